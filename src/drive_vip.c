/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses: what the vip core orders is done by netlink and packet sockets
 * at once, and the result comes back after the step.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drive_int.h"
#include "log.h"
#include "vip_guard_claim.h"

static void
cb_stripped(void *ctx, uint16_t id)
{
	struct nd_event e = {.type = ND_EV_VIP};

	e.u.vip.type = VIP_EV_STRIPPED;
	e.u.vip.u.stripped.id = id;
	drive_step(ctx, &e);
}

static void
cb_carrier(void *ctx, const char *ifname, bool up)
{
	struct nd_event e = {.type = ND_EV_VIP};

	e.u.vip.type = VIP_EV_CARRIER;
	e.u.vip.u.carrier.ifname = ifname;
	e.u.vip.u.carrier.up = up;
	drive_step(ctx, &e);
	drive_vr_carrier(ctx, ifname, up);
	drive_share_join(ctx);
}

static void
cb_flushed(void *ctx, bool ok, const char *text)
{
	struct nd_event e = {.type = ND_EV_VIP};

	if (!ok)
		log_warnx("guard: cannot be put back: %s", text);
	e.u.vip.type = VIP_EV_FLUSHED;
	e.u.vip.u.flushed.ok = ok;
	e.u.vip.u.flushed.text = text;
	drive_step(ctx, &e);
}

static void
cb_conflict(void *ctx, uint16_t id, const uint8_t mac[6])
{
	struct nd_event e = {.type = ND_EV_VIP};

	e.u.vip.type = VIP_EV_CONFLICT;
	e.u.vip.u.conflict.id = id;
	memcpy(e.u.vip.u.conflict.mac, mac, 6);
	drive_step(ctx, &e);
}

void
drive_addr_add(void *ctx, uint16_t id)
{
	struct drive *d = ctx;
	struct nd_event e = {.type = ND_EV_VIP};

	e.u.vip.type = VIP_EV_ADDED;
	e.u.vip.u.result.id = id;
	e.u.vip.u.result.ok = vip_addr_add(d->addr, id) == 0;
	e.u.vip.u.result.text = e.u.vip.u.result.ok ? "" : strerror(errno);
	drive_step(d, &e);
}

void
drive_addr_del(void *ctx, uint16_t id)
{
	struct drive *d = ctx;
	struct nd_event e = {.type = ND_EV_VIP};
	int n = vip_addr_del(d->addr, id);

	e.u.vip.type = VIP_EV_REMOVED;
	e.u.vip.u.result.id = id;
	e.u.vip.u.result.ok = n >= 0;
	e.u.vip.u.result.found = n > 0;
	e.u.vip.u.result.text = n >= 0 ? "" : strerror(errno);
	drive_step(d, &e);
}

void
drive_lease(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct drive *d = ctx;
	struct nd_event e = {.type = ND_EV_VIP};
	bool ok = vip_guard_lease(d->guard, open, until) == 0;

	e.u.vip.type = VIP_EV_LEASED;
	e.u.vip.u.leased.seq = seq;
	e.u.vip.u.leased.ok = ok;
	e.u.vip.u.leased.text = ok ? "" : vip_guard_error(d->guard);
	drive_step(d, &e);
}

void
drive_announce(void *ctx, uint16_t id)
{
	struct drive *d = ctx;

	if (vip_announce_send(d->announce, id) < 0)
		log_warn(
		    "address %s: announcement", d->conf->addresses[id].name);
}

/* Addresses of services, of routers, shared ones, and all of them. */
struct all_addrs {
	struct vip_addr_conf services[HAD_ADDRESSES_MAX];
	struct vip_addr_conf routers[HAD_ADDRESSES_MAX];
	struct vip_addr_conf shared[HAD_ADDRESSES_MAX];
	struct vip_addr_conf all[HAD_ADDRESSES_MAX];
	char watch[HAD_LINKS_MAX + HAD_TRACKS_MAX][16];
	uint16_t n, n_watch;
	bool any_service;
};

static void
fill(const struct drive *d, struct all_addrs *l)
{
	l->n = d->conf->n_addresses;
	for (uint16_t i = 0; i < l->n; i++) {
		const struct conf_address *a = &d->conf->addresses[i];
		struct vip_addr_conf *to = &l->all[i];

		memcpy(to->name, a->name, sizeof(to->name));
		to->family = a->family;
		memcpy(to->bytes, a->bytes, sizeof(to->bytes));
		to->prefix = a->prefix;
		memcpy(to->ifname, a->ifname, sizeof(to->ifname));
		drive_vr_place(d, i, to);
		drive_share_place(d, i, to);
		l->services[i] = l->routers[i] = l->shared[i] = *to;
		/* Each guard and core skips what is another's. */
		if (a->service == UINT16_MAX)
			l->services[i].family = 0;
		if (a->service != UINT16_MAX || a->share)
			l->routers[i].family = 0;
		if (!a->share)
			l->shared[i].family = 0;
		l->any_service = l->any_service || a->service != UINT16_MAX;
	}
	for (unsigned k = 0; k < d->me->n_links; k++)
		memcpy(l->watch[l->n_watch++], d->me->links[k].ifname, 16);
	for (uint16_t k = 0; k < d->conf->n_tracks; k++)
		if (d->conf->tracks[k].type == CONF_TRACK_INTERFACE)
			memcpy(l->watch[l->n_watch++], d->conf->tracks[k].what,
			    16);
}

static const struct vip_addr_cb addr_cb = {
    .stripped = cb_stripped, .carrier = cb_carrier};
static const struct vip_announce_cb announce_cb = {.conflict = cb_conflict};

static int
make(struct drive *d, const struct all_addrs *l, char *err, size_t size)
{
	static const struct vip_guard_cb guard_cb = {.flushed = cb_flushed};
	struct vip_guard_conf gc = {.addrs = l->services,
	    .n = l->n,
	    .ifnames = l->watch,
	    .n_ifnames = d->me->n_links,
	    .class = VIP_GUARD_SERVICE};

	/* The guards first: closed before an address can appear. */
	if (l->any_service) {
		d->guard =
		    vip_guard_new(d->event, &gc, &guard_cb, d, err, size);
		if (d->guard == NULL)
			return -1;
	}
	if (drive_vr_new(d, l->routers, l->n, err, size) < 0)
		return -1;
	if (drive_share_new(d, l->shared, l->n, err, size) < 0)
		return -1;
	d->addr = vip_addr_new(d->event, l->all, l->n, l->watch, l->n_watch,
	    &addr_cb, d, err, size);
	if (d->addr == NULL)
		return -1;
	if (l->n > 0)
		d->announce = vip_announce_new(
		    d->event, l->all, l->n, &announce_cb, d, err, size);
	return l->n == 0 || d->announce != NULL ? 0 : -1;
}

/* What the new watchers have seen is told by them, soon. */
static int
remake(struct drive *d, const struct all_addrs *l, char *err, size_t size)
{
	struct vip_addr *addr = d->addr;
	struct vip_announce *announce = d->announce;

	d->announce = NULL;
	d->addr = vip_addr_new(d->event, l->all, l->n, l->watch, l->n_watch,
	    &addr_cb, d, err, size);
	if (d->addr != NULL && l->n > 0)
		d->announce = vip_announce_new(
		    d->event, l->all, l->n, &announce_cb, d, err, size);
	if (d->addr == NULL || (l->n > 0 && d->announce == NULL) ||
	    drive_vr_remake(d, l->routers, l->n, err, size) < 0) {
		vip_addr_free(d->addr);
		if (d->announce != NULL)
			vip_announce_free(d->announce);
		d->addr = addr;
		d->announce = announce;
		return -1;
	}
	vip_addr_adopt(d->addr, addr);
	vip_addr_free(addr);
	if (announce != NULL)
		vip_announce_free(announce);
	return 0;
}

int
drive_vip_remake(struct drive *d, char *err, size_t size)
{
	struct all_addrs *l = calloc(1, sizeof(*l));
	int r;

	if (l == NULL) {
		snprintf(err, size, "no memory");
		return -1;
	}
	fill(d, l);
	r = remake(d, l, err, size);
	free(l);
	return r;
}

static void
text_of(const struct vip_swept *s, char text[INET6_ADDRSTRLEN])
{
	inet_ntop(s->family == 4 ? AF_INET : AF_INET6, s->bytes, text,
	    INET6_ADDRSTRLEN);
}

static void
say_swept(const struct vip_swept *s)
{
	char text[INET6_ADDRSTRLEN];

	text_of(s, text);
	log_warnx("addresses: %s/%u was left by a daemon whose file had it, "
		  "this file has not: removed",
	    text, s->prefix);
}

/* Whoever put them there is dead, or nothing is done. */
static int
sweep_those(const struct vip_swept *left, int n, char *err, size_t size)
{
	char text[INET6_ADDRSTRLEN], why[160];
	struct vip_guard_claim *claim = vip_guard_claim(why, sizeof(why));
	int r;

	if (claim == NULL) {
		text_of(&left[0], text);
		snprintf(err, size,
		    "%s/%u was put there by a had and is not in this file, "
		    "and it is not removed: %s",
		    text, left[0].prefix, why);
		return -1;
	}
	r = vip_sweep(left, (size_t)n);
	if (r < 0)
		snprintf(err, size, "leftovers: %s", strerror(errno));
	vip_guard_unclaim(claim);
	for (int i = 0; r == 0 && i < n; i++)
		say_swept(&left[i]);
	return r;
}

/*
 * What an earlier daemon left and nobody knows any more goes before the new
 * guards open it.
 */
static int
sweep(const struct all_addrs *l, char *err, size_t size)
{
	struct vip_swept left[64];
	int n;

	do {
		n = vip_sweep_find(l->all, l->n, left, NITEMS(left));
		if (n < 0)
			snprintf(err, size, "leftovers: %s", strerror(errno));
		if (n < 0 || (n > 0 && sweep_those(left, n, err, size) < 0))
			return -1;
	} while (n == NITEMS(left));
	return 0;
}

int
drive_vip_new(struct drive *d)
{
	struct all_addrs *l = calloc(1, sizeof(*l));
	char err[320] = "no memory";
	int r = -1;

	if (l != NULL) {
		fill(d, l);
		r = sweep(l, err, sizeof(err));
		if (r == 0)
			r = make(d, l, err, sizeof(err));
	}
	free(l);
	if (r < 0)
		log_warnx("addresses: %s", err);
	return r;
}

void
drive_vip_free(struct drive *d, bool remove)
{
	if (d->announce != NULL)
		vip_announce_free(d->announce);
	if (d->addr != NULL)
		vip_addr_free(d->addr);
	drive_share_free(d, remove);
	drive_vr_free(d, remove);
	if (d->guard != NULL)
		vip_guard_free(d->guard, remove);
	d->announce = NULL;
	d->addr = NULL;
	d->guard = NULL;
}
