/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers inside the node: what the world and the other cores say.
 * See node_vr.h.
 */
#include <stdio.h>
#include <string.h>

#include "node_vr.h"

/* A source that the file names need not be on the interface. */
static bool
can_send(const struct nd *nd, uint16_t ifx)
{
	const struct nd_vr *v = nd->vr;
	const struct nd_vr_iface *f = &v->facts[ifx];

	if (!f->carrier)
		return false;
	for (uint16_t i = 0; i < v->n; i++) {
		const struct conf_router *c = &nd->conf->routers[i];

		if (nd_vr_live(nd, i) && v->routers[i].ifx == ifx &&
		    conf_router_source(c, nd->self) == NULL &&
		    !(c->family == 4 ? f->has4 : f->has6))
			return false;
	}
	return true;
}

void
nd_vr_links(struct nd *nd, uint16_t ifx)
{
	struct vr_event e = {.type = VR_EV_LINK};
	struct nd_vr *v = nd->vr;
	bool up = can_send(nd, ifx);

	if (v->link_told[ifx] && v->link_up[ifx] == up)
		return;
	v->link_told[ifx] = true;
	v->link_up[ifx] = up;
	e.u.link.ifx = ifx;
	e.u.link.up = up;
	nd_vr_step(nd, &e);
}

/* What is known of an interface has changed. */
static void
on_iface(struct nd *nd, const struct nd_event *e)
{
	struct nd_vr *v = nd->vr;
	uint16_t ifx = e->u.iface.ifx;

	if (ifx >= v->n_ifs)
		return;
	v->facts[ifx] = e->u.iface.facts;
	nd_vr_config(nd);
	nd_vr_links(nd, ifx);
	nd_vr_reach(nd);
}

static void
on_track(struct nd *nd, uint16_t id, bool up, int32_t value)
{
	struct vr_event e = {.type = VR_EV_TRACK};

	if (id >= nd->conf->n_tracks)
		return;
	e.u.track.id = nd->vr->track_id[id];
	e.u.track.up = up;
	e.u.track.value = value;
	nd_vr_step(nd, &e);
}

void
nd_vr_event(struct nd *nd, const struct nd_event *e)
{
	if (nd->vr == NULL && e->type != ND_EV_VR_RELOAD)
		return;
	if (e->type == ND_EV_VR_PACKET)
		nd_vr_packet(nd, e);
	else if (e->type == ND_EV_VR_IFACE)
		on_iface(nd, e);
	else if (e->type == ND_EV_VR_RELOAD)
		nd_vr_reload(nd, e);
	else
		on_track(nd, e->u.track.id, e->u.track.up, e->u.track.value);
}

/* Whose event is it? */
bool
nd_vr_vip(struct nd *nd, const struct nd_event *e)
{
	struct vip_event v = e->u.vip;
	uint16_t id;

	if (nd->vr == NULL)
		return false;
	switch (v.type) {
	case VIP_EV_ADDED:
	case VIP_EV_REMOVED:
		id = v.u.result.id;
		break;
	case VIP_EV_STRIPPED:
		id = v.u.stripped.id;
		break;
	case VIP_EV_CONFLICT:
		id = v.u.conflict.id;
		break;
	case VIP_EV_CARRIER:
		nd_vr_elected_step(nd, &v);
		return false; /* of both */
	default:
		if (e->elected)
			nd_vr_elected_step(nd, &v);
		return e->elected;
	}
	/* Of one that is gone, somebody else may still be heard. */
	if (conf_is_hole(nd->conf->addresses[id].name))
		return true;
	if (!nd_elected(nd, id))
		return false;
	nd_vr_elected_step(nd, &v);
	return true;
}

void
nd_vr_timers(struct nd *nd)
{
	struct nd_vr *v = nd->vr;

	if (v == NULL)
		return;
	if (!mt_before(nd->now, v->vr_at)) {
		v->vr_at = MT_NEVER;
		nd_inner_put(nd, ND_IN_VR)->u.vr.type = VR_EV_TIMER;
	}
	if (!mt_before(nd->now, v->vip_at)) {
		v->vip_at = MT_NEVER;
		nd_inner_put(nd, ND_IN_ELECTED)->u.vip.type = VIP_EV_TIMER;
	}
	if (!mt_before(nd->now, v->mend_at))
		nd_vr_mend(nd);
	if (!mt_before(nd->now, v->beat_at))
		nd_vr_beat(nd);
	if (nd->n_peers > 0 && !mt_before(nd->now, v->reach_at)) {
		v->reach_at = mt_add_ms(nd->now, nd->conf->t.heartbeat_ms);
		nd_vr_reach(nd);
	}
}

monotime_t
nd_vr_next(const struct nd *nd)
{
	const struct nd_vr *v = nd->vr;
	monotime_t at;

	if (v == NULL)
		return MT_NEVER;
	at = mt_min(mt_min(v->vr_at, v->vip_at), v->mend_at);
	at = mt_min(at, v->beat_at);
	return nd->n_peers > 0 ? mt_min(at, v->reach_at) : at;
}

/*
 * It did not run, and an advert of a router is not good any more: others may
 * have taken what is held here.  Or it woke too late, and did not listen.
 */
void
nd_vr_gap(struct nd *nd, int64_t us)
{
	int64_t late_us = mt_sub_us(nd->now, nd->armed);
	struct vr_event e = {.type = VR_EV_GAP};
	struct nd_vr *v = nd->vr;

	if (v == NULL || us <= (int64_t)v->lease_ms * 1000)
		return;
	e.u.gap.held = true;
	for (uint16_t i = 0; i < v->n; i++)
		if (v->routers[i].until.us != 0 &&
		    (!mt_before(nd->now, v->routers[i].until) ||
			!mt_before(nd->now, v->leased)))
			e.u.gap.held = false;
	if (e.u.gap.held && late_us <= (int64_t)v->lease_ms * 1000)
		return;
	e.u.gap.ms = (uint32_t)((e.u.gap.held ? late_us : us) / 1000);
	nd_vr_step(nd, &e);
}

/* A bound router says what its addresses do. */
static void
bound(struct nd *nd, struct nd_vr_router *r)
{
	const struct conf_router *c = nd_vr_conf(nd, r);
	struct vr_event e = {.type = VR_EV_ORDER};
	bool on = nd->vouch_told;

	if (conf_router_elected(c) || r->id == VR_NONE)
		return;
	for (uint8_t i = 0; i < c->n_addrs; i++)
		on = on && vip_state(nd->vip, c->addrs[i]) == VIP_ACTIVE;
	if (on == r->ordered)
		return;
	r->ordered = on;
	e.u.order.id = r->id;
	e.u.order.order = on ? VR_ORDER_ACTIVE : VR_ORDER_BACKUP;
	nd_vr_step(nd, &e);
}

static void
tracks(struct nd *nd)
{
	struct nd_vr *v = nd->vr;

	for (uint16_t i = 0; i < nd->conf->n_tracks; i++) {
		const struct conf_track *t = &nd->conf->tracks[i];
		bool up;

		if (t->type == CONF_TRACK_VOLUME)
			up = nd->vols[t->ref].st.primary;
		else if (t->type == CONF_TRACK_SERVICE)
			up = (v->services >> t->ref & 1u) != 0;
		else
			continue;
		if (v->track_told[i] && v->track_up[i] == up)
			continue;
		v->track_told[i] = true;
		v->track_up[i] = up;
		on_track(nd, i, up, 0);
	}
}

/* The elected addresses answer whenever the routers say so. */
static void
vouch(struct nd *nd)
{
	struct nd_inner *in;

	if (nd->vr->vouched)
		return;
	nd->vr->vouched = true;
	in = nd_inner_put(nd, ND_IN_ELECTED);
	in->u.vip.type = VIP_EV_VOUCH;
	in->u.vip.u.vouch.on = true;
}

static void
standby(struct nd *nd)
{
	struct nd_vr *v = nd->vr;
	bool on = svc_standby(nd->svc);

	if (on == v->standby)
		return;
	v->standby = on;
	for (uint16_t i = 0; i < v->n; i++) {
		struct vr_event e = {.type = VR_EV_ORDER};

		if (!nd_vr_live(nd, i) ||
		    !conf_router_elected(&nd->conf->routers[i]))
			continue;
		e.u.order.id = v->routers[i].id;
		e.u.order.order = on ? VR_ORDER_STANDBY : VR_ORDER_RESUME;
		nd_vr_step(nd, &e);
	}
}

void
nd_vr_settle(struct nd *nd)
{
	struct nd_vr *v = nd->vr;

	if (v == NULL)
		return;
	/* After every event of this node: not a look at each router. */
	for (uint16_t i = 0; i < v->n_bound; i++)
		bound(nd, &v->routers[v->bound[i]]);
	tracks(nd);
	standby(nd);
	vouch(nd);
	if (v->beat_due)
		nd_vr_beat(nd);
}

void
nd_vr_service(struct nd *nd, uint16_t service, enum svc_state state)
{
	uint32_t bit = UINT32_C(1) << service;

	if (nd->vr == NULL)
		return;
	if (state == SVC_RUNNING)
		nd->vr->services |= bit;
	else
		nd->vr->services &= ~bit;
}

/* The addresses fall silent and the others are told, then the rest ends. */
void
nd_vr_stop(struct nd *nd)
{
	struct vr_event e = {.type = VR_EV_STOP};

	if (nd->vr == NULL || nd->vr->stopped) {
		nd_inner_put(nd, ND_IN_MEMBER)->u.member.type = MB_EV_STOP;
		return;
	}
	if (nd->vr->stopping)
		return;
	nd->vr->stopping = true;
	nd_vr_step(nd, &e);
}

void
nd_vr_op(struct nd *nd, const struct nd_event *e)
{
	struct vr_event o = {.type = VR_EV_ORDER};
	struct nd_vr *v = nd->vr;
	int i = e->u.op.service;
	char text[160];

	ASSERT(v != NULL && i >= 0 && i < v->n);
	if (!conf_router_elected(&nd->conf->routers[i])) {
		snprintf(text, sizeof(text),
		    "router %s: service %s decides where its addresses are: "
		    "'hactl move' moves them",
		    nd->conf->routers[i].name,
		    nd->conf->services[nd->conf->routers[i].service].name);
		nd->ops->reply(nd->ctx, e->u.op.token, 69, text);
		return;
	}
	o.u.order.id = v->routers[i].id;
	o.u.order.order = VR_ORDER_RELEASE;
	if (!nd_vr_live(nd, (uint16_t)i) ||
	    vr_state(v->core, o.u.order.id) != VR_ACTIVE) {
		snprintf(text, sizeof(text), "router %s is not active here",
		    nd->conf->routers[i].name);
		nd->ops->reply(nd->ctx, e->u.op.token, 0, text);
		return;
	}
	/* Who waits is answered before it can be active again. */
	if (v->routers[i].asker != 0) {
		snprintf(text, sizeof(text),
		    "router %s: its release was asked for before, and that is "
		    "not answered yet: ask again",
		    nd->conf->routers[i].name);
		nd->ops->reply(nd->ctx, e->u.op.token, 75, text);
		return;
	}
	if (!e->u.op.dry_run) {
		v->routers[i].asker = e->u.op.token;
		v->asked = true;
		nd_vr_step(nd, &o);
		return;
	}
	snprintf(text, sizeof(text),
	    "router %s: its addresses would be released for another machine to "
	    "take",
	    nd->conf->routers[i].name);
	nd->ops->reply(nd->ctx, e->u.op.token, 0, text);
}

/* Operators wait until what they gave up is silent, and the peer told. */
void
nd_vr_answer(struct nd *nd)
{
	struct nd_vr *v = nd->vr;
	char text[160];

	if (v == NULL || !v->asked)
		return;
	v->asked = false;
	for (uint16_t i = 0; i < v->n; i++) {
		struct nd_vr_router *r = &v->routers[i];
		uint64_t token = r->asker;

		if (token == 0)
			continue;
		if (r->id != VR_NONE && r->held && !r->taking) {
			v->asked = true;
			continue;
		}
		r->asker = 0;
		snprintf(text, sizeof(text),
		    "router %s: its addresses are released",
		    nd->conf->routers[i].name);
		nd->ops->reply(nd->ctx, token, 0, text);
	}
}

bool
nd_router_status(const struct nd *nd, uint16_t i, struct vr_status *s)
{
	if (nd->vr == NULL || i >= nd->vr->n ||
	    nd->vr->routers[i].id == VR_NONE)
		return false;
	vr_status(nd->vr->core, nd->vr->routers[i].id, s);
	return true;
}

void
nd_vr_addresses(const struct nd *nd, struct vip_status *s)
{
	if (nd->vr == NULL)
		return;
	for (uint16_t i = 0; i < s->n; i++)
		if (nd_elected(nd, i))
			vip_addr_status(nd->vr->vip, i, &s->addrs[i]);
}

uint64_t
nd_router_strays(const struct nd *nd)
{
	return nd->vr != NULL ? vr_strays(nd->vr->core) : 0;
}
