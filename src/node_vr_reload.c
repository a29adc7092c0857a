/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers inside the node: a reload.  What it keeps has its place in
 * the configuration and in the cores, and goes on as it was.  See node_vr.h.
 */
#include <stdlib.h>
#include <string.h>

#include "node_vr.h"

static bool
same_track(const struct conf_track *a, const struct conf_track *b)
{
	return a->type == b->type && strcmp(a->what, b->what) == 0;
}

/*
 * Things that were tracked before keep their number in the core, and so what
 * is known of them; a new one gets a number that nobody refers to, and is up.
 */
static void
number_tracks(struct nd *nd, const struct conf_track *old, uint16_t n_old)
{
	struct nd_vr *v = nd->vr;
	bool taken[VR_TRACKS_MAX] = {false};
	uint16_t was[HAD_TRACKS_MAX], next = 0;
	struct vr_event e = {.type = VR_EV_TRACK};

	memcpy(was, v->track_id, sizeof(was));
	for (uint16_t k = 0; k < n_old; k++)
		taken[was[k]] = true;
	memset(v->track_told, 0, sizeof(v->track_told));
	for (uint16_t i = 0; i < nd->conf->n_tracks; i++) {
		uint16_t k = 0;

		while (k < n_old && !same_track(&old[k], &nd->conf->tracks[i]))
			k++;
		if (k < n_old) {
			v->track_id[i] = was[k];
			continue;
		}
		while (taken[next])
			next++;
		taken[next] = true;
		v->track_id[i] = e.u.track.id = next;
		e.u.track.up = true;
		nd_vr_step(nd, &e);
	}
}

/* What was known of the routers and interfaces that stay. */
static void
adopt(const struct nd *nd, struct nd_vr *v, struct nd_vr *old)
{
	uint16_t n = old->n < v->n ? old->n : v->n;

	ASSERT(v->core == NULL && old->n_ifs <= v->n_ifs);
	v->core = old->core;
	old->core = NULL;
	vip_adopt(v->vip, old->vip);
	for (uint16_t i = 0; i < n; i++) {
		struct nd_vr_router fresh = v->routers[i];

		if (old->routers[i].id == VR_NONE)
			continue;
		v->routers[i] = old->routers[i];
		v->routers[i].said_len = 0; /* of what was configured */
		ASSERT(v->routers[i].ifx == fresh.ifx);
		old->routers[i].carp = fresh.carp;
		old->routers[i].auth = fresh.auth;
		nd_vr_auth_adopt(nd, &v->routers[i], &old->routers[i],
		    nd->conf->routers[i].leaving);
	}
	memcpy(v->facts, old->facts, sizeof(v->facts));
	memcpy(v->link_told, old->link_told, sizeof(v->link_told));
	memcpy(v->link_up, old->link_up, sizeof(v->link_up));
	memcpy(v->lan_told, old->lan_told, sizeof(v->lan_told));
	memcpy(v->peer_lan_ok, old->peer_lan_ok, sizeof(v->peer_lan_ok));
	memcpy(v->peer_lan_at, old->peer_lan_at, sizeof(v->peer_lan_at));
	memcpy(v->track_told, old->track_told, sizeof(v->track_told));
	memcpy(v->track_up, old->track_up, sizeof(v->track_up));
	memcpy(v->track_id, old->track_id, sizeof(v->track_id));
	v->started = old->started;
	v->vouched = old->vouched;
	v->standby = old->standby;
	v->stopping = old->stopping;
	v->stopped = old->stopped;
	v->beat_due = old->beat_due;
	v->tells = old->tells;
	v->asked = old->asked;
	v->vr_at = old->vr_at;
	v->vip_at = old->vip_at;
	v->beat_at = old->beat_at;
	v->leased = old->leased;
	v->reach_at = old->reach_at;
	v->mend_at = old->mend_at;
	v->services = old->services;
}

static void
order_address(struct nd *nd, uint16_t id, enum vip_ev what, uint64_t token)
{
	struct nd_inner *in = nd_inner_put(nd, ND_IN_ELECTED);

	in->u.vip.type = what;
	in->u.vip.u.order.id = id;
	in->u.vip.u.order.token = token;
}

static bool
is_off(const struct vip *v, uint16_t id)
{
	enum vip_state s = vip_state(v, id);

	/* REMOVING: START looks for leftovers. */
	return s == VIP_OFF || s == VIP_REMOVING;
}

/* A router that is active has all of its addresses, those that came later. */
void
nd_vr_mend(struct nd *nd)
{
	struct nd_vr *v = nd->vr;

	v->mend_at = MT_NEVER;
	for (uint16_t i = 0; i < v->n; i++) {
		const struct conf_router *c = &nd->conf->routers[i];
		const struct nd_vr_router *r = &v->routers[i];

		if (!nd_vr_live(nd, i) || !conf_router_elected(c) ||
		    r->id == VR_NONE || r->pending > 0 ||
		    vr_state(v->core, r->id) != VR_ACTIVE)
			continue;
		for (uint8_t k = 0; k < c->n_addrs; k++)
			if (is_off(v->vip, c->addrs[k]))
				order_address(nd, c->addrs[k], VIP_EV_TAKE,
				    ND_TOKEN_MEND);
	}
}

/*
 * The addresses of routers that stay.  An order under way is given once more:
 * it is for other addresses now.
 */
static void
addresses(struct nd *nd)
{
	struct nd_vr *v = nd->vr;

	for (uint16_t i = 0; i < v->n; i++) {
		struct nd_vr_router *r = &v->routers[i];

		if (nd_vr_live(nd, i) && r->id != VR_NONE && r->pending > 0)
			nd_vr_order(nd, r->id, r->seq, r->taking);
	}
	for (uint16_t i = 0; i < nd->conf->n_addresses; i++) {
		const struct conf_address *a = &nd->conf->addresses[i];

		if (nd_elected(nd, i) && a->leaving &&
		    nd_vr_live(nd, a->router))
			order_address(nd, i, VIP_EV_RELEASE, 0);
	}
	nd_vr_mend(nd);
}

/*
 * One that came says what it is, and heeds what was said before: here, and by
 * the peer, which told of it when it was not there.
 */
static void
welcome(struct nd *nd, struct nd_vr_router *r)
{
	struct vr_event e = {.type = VR_EV_ORDER};

	ASSERT(r->id != VR_NONE);
	if (!conf_router_elected(nd_vr_conf(nd, r)))
		return;
	e.u.order.id = r->id;
	e.u.order.order = VR_ORDER_STANDBY;
	if (nd->vr->standby)
		nd_vr_step(nd, &e);
	r->asks = true;
	nd_vr_tell(nd, r->id);
}

/*
 * The configuration is the new one already, so nothing can be done with the old
 * routers: not even a pause noticed in which the reload came.
 */
void
nd_vr_swap(struct nd *nd, const struct nd_event *e)
{
	struct nd_vr *old = nd->vr, *v = e->u.reload.vr;

	ASSERT(v != NULL && v->n == nd->conf->n_routers);
	if (old == NULL)
		return;
	nd->vr = v;
	adopt(nd, v, old);
	nd_reload_free(old);
	number_tracks(nd, e->u.reload.tracks, e->u.reload.n_tracks);
}

void
nd_vr_reload(struct nd *nd, const struct nd_event *e)
{
	struct vip_event start = {.type = VIP_EV_START};
	struct nd_vr *v = e->u.reload.vr;
	bool fresh[HAD_ADDRESSES_MAX];

	if (nd->vr == NULL) {
		nd->vr = v;
		nd_vr_start(nd);
		number_tracks(nd, e->u.reload.tracks, e->u.reload.n_tracks);
	}
	ASSERT(nd->vr == v);
	for (uint16_t i = 0; i < v->n; i++)
		fresh[i] = nd_vr_live(nd, i) && v->routers[i].id == VR_NONE;
	nd_vr_keys(nd);
	nd_vr_elected_step(nd, &start);
	nd_vr_config(nd);
	for (uint16_t x = 0; x < v->n_ifs; x++)
		nd_vr_links(nd, x);
	addresses(nd);
	for (uint16_t i = 0; i < v->n; i++)
		if (fresh[i])
			welcome(nd, &v->routers[i]);
}

bool
nd_router_left(const struct nd *nd, uint16_t i)
{
	return nd->vr == NULL || i >= nd->vr->n ||
	       nd->vr->routers[i].id == VR_NONE;
}

static bool
address_left(const struct nd *nd, uint16_t id)
{
	return nd->vr == NULL || vip_state(nd->vr->vip, id) == VIP_OFF;
}

static bool
router_left(const struct nd *nd, const struct conf_router *r)
{
	bool gone = r->leaving && nd_router_left(nd, r->id);

	for (uint8_t k = 0; gone && k < r->n_addrs; k++)
		gone = !conf_router_elected(r) || address_left(nd, r->addrs[k]);
	return gone;
}

bool
nd_reload_tidy(const struct nd *nd, struct conf *c,
    void (*gone)(void *ctx, const struct conf_router *), void *ctx)
{
	bool left = false;

	ASSERT(c == nd->conf);
	for (uint16_t i = c->n_routers; i-- > 0;) {
		const struct conf_router *r = &c->routers[i];

		if (!router_left(nd, r))
			continue;
		left = true;
		if (gone != NULL)
			gone(ctx, r);
		for (uint8_t k = 0; k < r->n_addrs; k++)
			if (c->addresses[r->addrs[k]].leaving)
				conf_drop_address(c, r->addrs[k]);
		conf_drop_router(c, i);
	}
	for (uint16_t i = c->n_addresses; i-- > 0;)
		if (c->addresses[i].leaving && address_left(nd, i) &&
		    !c->routers[c->addresses[i].router].leaving) {
			left = true;
			conf_drop_address(c, i);
		}
	return left;
}
