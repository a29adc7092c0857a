/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reload: parse, check, compare, apply; all or nothing.  What a running
 * daemon can take over is copied; anything else is named and refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drive_int.h"
#include "log.h"

/* Makes the parts of new that can be applied equal to old. */
static void
level_service(struct conf_service *new, const struct conf_service *old)
{
	new->prefer = old->prefer;
	new->failback = old->failback;
	memcpy(new->check, old->check, sizeof(new->check));
	new->check_every_ms = old->check_every_ms;
	new->check_timeout_ms = old->check_timeout_ms;
	for (unsigned i = 0; i < new->n_steps &&i < old->n_steps; i++) {
		struct conf_step *n = &new->steps[i];
		const struct conf_step *o = &old->steps[i];

		n->timeout_ms = o->timeout_ms;
		memcpy(n->options, o->options, sizeof(n->options));
		memcpy(n->start, o->start, sizeof(n->start));
		memcpy(n->stop, o->stop, sizeof(n->stop));
		memcpy(n->status, o->status, sizeof(n->status));
	}
}

/* Is it the same router, with the same addresses? */
static bool
same_router(const struct conf_router *a, const struct conf_router *b)
{
	return strcmp(a->name, b->name) == 0 && a->proto == b->proto &&
	       a->vrid == b->vrid && a->family == b->family &&
	       a->service == b->service && a->n_addrs == b->n_addrs &&
	       memcmp(a->addrs, b->addrs, a->n_addrs * sizeof(a->addrs[0])) ==
		   0 &&
	       strcmp(a->ifname, b->ifname) == 0 &&
	       a->virtual_mac == b->virtual_mac &&
	       a->no_accept == b->no_accept && a->n_unicast == b->n_unicast &&
	       memcmp(a->unicast, b->unicast, sizeof(a->unicast)) == 0;
}

/* Its carrier is known already. */
static bool
is_watched(const struct conf *old, const char *ifname)
{
	for (uint16_t i = 0; i < old->n_addresses; i++)
		if (strcmp(old->addresses[i].ifname, ifname) == 0)
			return true;
	for (uint16_t i = 0; i < old->n_tracks; i++)
		if (old->tracks[i].type == CONF_TRACK_INTERFACE &&
		    strcmp(old->tracks[i].what, ifname) == 0)
			return true;
	return false;
}

/*
 * Routers may change in everything but who they are and what they hold.  The
 * lease of the guard follows from the fastest of them, so that has to stay.
 */
static void
level_routers(struct conf *new, const struct conf *old)
{
	if (new->n_routers != old->n_routers ||
	    conf_router_down_ms(new) != conf_router_down_ms(old))
		return;
	for (uint16_t i = 0; i < new->n_routers; i++)
		if (!same_router(&new->routers[i], &old->routers[i]))
			return;
	for (uint16_t i = 0; i < new->n_tracks; i++)
		if (new->tracks[i].type == CONF_TRACK_INTERFACE &&
		    !is_watched(old, new->tracks[i].what))
			return;
	memcpy(new->routers, old->routers, sizeof(new->routers));
	memcpy(new->tracks, old->tracks, sizeof(new->tracks));
	new->n_tracks = old->n_tracks;
}

/*
 * The printed form is compared: it leaves out where things stand in the file
 * and how they were written.
 */
static bool
same(const struct conf *a, const struct conf *b,
    size_t (*print)(const struct conf *, char *, size_t))
{
	size_t la = print(a, NULL, 0), lb = print(b, NULL, 0);
	char *ta = calloc(1, la + 1), *tb = calloc(1, lb + 1);
	bool equal = false;

	if (ta != NULL && tb != NULL) {
		print(a, ta, la + 1);
		print(b, tb, lb + 1);
		equal = la == lb && memcmp(ta, tb, la) == 0;
	}
	free(ta);
	free(tb);
	return equal;
}

/* The routers and what they track; what did not change keeps its state. */
static void
apply_routers(struct drive *d, const struct conf *from)
{
	struct nd_event e = {.type = ND_EV_VR_RELOAD};
	struct conf_track *old;
	struct conf *to = d->conf;

	if (memcmp(to->routers, from->routers, sizeof(to->routers)) == 0 &&
	    memcmp(to->tracks, from->tracks, sizeof(to->tracks)) == 0)
		return;
	old = calloc(HAD_TRACKS_MAX, sizeof(*old));
	if (old == NULL)
		fatal("configuration");
	memcpy(old, to->tracks, sizeof(to->tracks));
	e.u.reload.tracks = old;
	e.u.reload.n_tracks = to->n_tracks;
	memcpy(to->routers, from->routers, sizeof(to->routers));
	memcpy(to->tracks, from->tracks, sizeof(to->tracks));
	to->n_tracks = from->n_tracks;
	drive_step(d, &e);
	drive_vr_tracks(d);
	free(old);
}

static void
apply(struct conf *to, const struct conf *from)
{
	for (unsigned i = 0; i < to->n_services; i++)
		to->services[i] = from->services[i];
	for (unsigned i = 0; i < to->n_lockspaces; i++)
		to->lockspaces[i] = from->lockspaces[i];
	to->digest = from->digest;
}

/* Reads the file and its passwords; 0, or -1 and what is wrong. */
static int
load(const struct drive *d, struct conf *new, char *text, size_t size)
{
	if (drive_load(new, d->o.conf_path) < 0) {
		snprintf(text, size,
		    "%s has errors, the running configuration stays: see "
		    "'had -n'",
		    d->o.conf_path);
		return -1;
	}
	if (drive_vr_passwords(new) < 0) {
		snprintf(text, size,
		    "a password file cannot be read, the running configuration "
		    "stays: see had's log");
		return -1;
	}
	return 0;
}

/* flat becomes new but for what can be applied. */
static void
flatten(struct conf *flat, const struct conf *new, const struct conf *old)
{
	*flat = *new;
	for (unsigned i = 0; i < flat->n_services && i < old->n_services; i++)
		level_service(&flat->services[i], &old->services[i]);
	for (unsigned i = 0; i < flat->n_lockspaces && i < old->n_lockspaces;
	     i++)
		memcpy(flat->lockspaces[i].group, old->lockspaces[i].group,
		    sizeof(flat->lockspaces[i].group));
	level_routers(flat, old);
}

static int
reload(struct drive *d, bool dry_run, char *text, size_t size)
{
	struct conf *new = calloc(1, sizeof(*new));
	struct conf *flat = calloc(1, sizeof(*flat));
	int result = -1;

	if (new == NULL || flat == NULL) {
		snprintf(text, size, "no memory");
		goto out;
	}
	if (load(d, new, text, size) < 0)
		goto out;
	flatten(flat, new, d->conf);
	/*
	 * The cores were made for them, and until the other node has them, too,
	 * the two would decide on each other by different rules.
	 */
	if (!same(flat, d->conf, conf_print_arbiters)) {
		snprintf(text, size,
		    "the file changes what decides on a silent peer (timers, "
		    "silent peer, witness, lock disks, watchdog, pings, self "
		    "fence, fences, domains of links), which a running daemon "
		    "keeps: while both nodes are well restart had, on the "
		    "standby node first; the running configuration stays");
		goto out;
	}
	if (!same(flat, d->conf, conf_print)) {
		snprintf(text, size,
		    "the file changes more than a running daemon can take "
		    "over (services' commands, checks, timeouts, mount "
		    "options, preferences, groups of lockspaces, and of "
		    "routers all but their protocol, addresses, shortest "
		    "interval, interface, virtual mac and peers): restart "
		    "had, on the standby node first; the running "
		    "configuration stays");
		goto out;
	}
	if (same(new, d->conf, conf_print))
		snprintf(text, size, "nothing changed");
	else
		snprintf(text, size, "%s",
		    dry_run ? "it would be applied; nothing is interrupted"
			    : "applied");
	if (!dry_run) {
		apply(d->conf, new);
		if (new->n_routers > 0)
			apply_routers(d, new);
	}
	result = 0;
out:
	free(new);
	free(flat);
	return result;
}

int
drive_reload(struct drive *d, char *text, size_t size)
{
	return reload(d, false, text, size);
}

int
drive_reload_plan(struct drive *d, char *text, size_t size)
{
	return reload(d, true, text, size);
}
