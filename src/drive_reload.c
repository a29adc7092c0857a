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

/*
 * The drivers first: closed before an address can appear, and with all that
 * leaves.  Then the node, and what did not change keeps its state.
 */
static int
apply_routers(struct drive *d, const struct conf *from, char *text, size_t size)
{
	struct nd_event e = {.type = ND_EV_VR_RELOAD};
	struct conf *old = calloc(1, sizeof(*old));
	struct nd_vr *vr = nd_reload_new(d->nd, from);
	char err[256] = "no memory";

	if (old != NULL) {
		*old = *d->conf;
		conf_copy_routers(d->conf, from);
	}
	if (old == NULL || vr == NULL ||
	    drive_vip_remake(d, err, sizeof(err)) < 0) {
		snprintf(
		    text, size, "%s; the running configuration stays", err);
		if (old != NULL)
			conf_copy_routers(d->conf, old);
		nd_reload_free(vr);
		free(old);
		return -1;
	}
	e.u.reload.tracks = old->tracks;
	e.u.reload.n_tracks = old->n_tracks;
	e.u.reload.vr = vr;
	/* One that loses its keys signs its last word yet. */
	d->wall = d->wall || from->n_hmac_keys > 0;
	drive_step(d, &e);
	drive_vr_drain(d);
	drive_vr_tracks(d);
	free(old);
	return 0;
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

/* Reads the file, its passwords and keys; 0, or -1 and what is wrong. */
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
		    "a password file or the file of a key cannot be read, the "
		    "running configuration stays: see had's log");
		return -1;
	}
	return 0;
}

/* What is compared: all but the routers, which conf_merge compares. */
static void
cut(struct conf *c)
{
	c->n_addresses = c->n_routers = c->n_tracks = c->n_hmac_keys = 0;
}

/* flat becomes new but for what can be applied, old what it was. */
static void
flatten(struct conf *flat, struct conf *old, const struct conf *new,
    const struct conf *running)
{
	*flat = *new;
	*old = *running;
	cut(flat);
	cut(old);
	for (unsigned i = 0; i < flat->n_services && i < old->n_services; i++)
		level_service(&flat->services[i], &old->services[i]);
	for (unsigned i = 0; i < flat->n_lockspaces && i < old->n_lockspaces;
	     i++)
		memcpy(flat->lockspaces[i].group, old->lockspaces[i].group,
		    sizeof(flat->lockspaces[i].group));
}

/* What is refused; 0, or -1 and why. */
static int
check(const struct conf *flat, const struct conf *old, char *text, size_t size)
{
	/*
	 * The cores were made for them, and until the other node has them, too,
	 * the two would decide on each other by different rules.
	 */
	if (!same(flat, old, conf_print_arbiters)) {
		snprintf(text, size,
		    "the file changes what decides on a silent peer (timers, "
		    "silent peer, witness, lock disks, watchdog, pings, self "
		    "fence, fences, domains of links), which a running daemon "
		    "keeps: while both nodes are well restart had, on the "
		    "standby node first; the running configuration stays");
		return -1;
	}
	if (!same(flat, old, conf_print)) {
		snprintf(text, size,
		    "the file changes more than a running daemon can take "
		    "over (services' commands, checks, timeouts, mount "
		    "options, preferences, groups of lockspaces, and routers "
		    "with their addresses): restart had, on the standby node "
		    "first; the running configuration stays");
		return -1;
	}
	return 0;
}

static bool
any(const struct conf_merge *m)
{
	return m->added + m->removed + m->changed + m->addrs_added +
		   m->addrs_removed >
	       0;
}

static void
say(const struct conf_merge *m, bool dry_run, char *text, size_t size)
{
	int n = snprintf(
	    text, size, "%s", dry_run ? "it would be applied" : "applied");

	if (any(m))
		n += snprintf(text + n, size - (size_t)n,
		    ": routers %u added, %u removed, %u changed, %u kept; "
		    "addresses %u added, %u removed%s",
		    m->added, m->removed, m->changed, m->kept, m->addrs_added,
		    m->addrs_removed, m->names);
	if (dry_run)
		snprintf(text + n, size - (size_t)n,
		    "; nothing %sis interrupted",
		    m->removed + m->addrs_removed > 0 ? "else " : "");
}

struct confs {
	struct conf new, flat, old, merged;
};

static int
reload_with(
    struct drive *d, struct confs *c, bool dry_run, char *text, size_t size)
{
	struct conf_merge m;
	char why[256];

	if (load(d, &c->new, text, size) < 0)
		return -1;
	flatten(&c->flat, &c->old, &c->new, d->conf);
	if (check(&c->flat, &c->old, text, size) < 0)
		return -1;
	if (conf_merge(&c->merged, d->conf, &c->new, &m, why, sizeof(why)) <
	    0) {
		snprintf(
		    text, size, "%s; the running configuration stays", why);
		return -1;
	}
	/* As they are, services and lockspaces included. */
	c->flat = c->new;
	cut(&c->flat);
	if (!any(&m) && same(&c->flat, &c->old, conf_print))
		snprintf(text, size, "nothing changed");
	else
		say(&m, dry_run, text, size);
	if (dry_run)
		return 0;
	if (any(&m) && apply_routers(d, &c->merged, text, size) < 0)
		return -1;
	apply(d->conf, &c->merged);
	return 0;
}

static int
reload(struct drive *d, bool dry_run, char *text, size_t size)
{
	struct confs *c;
	int result = -1;

	if (!d->begun) {
		snprintf(text, size, "had is starting, try again");
		return -1;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		snprintf(text, size, "no memory");
	else
		result = reload_with(d, c, dry_run, text, size);
	free(c);
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
