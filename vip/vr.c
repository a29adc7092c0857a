/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers, the pure core.  See vr.h.
 *
 *	         nothing holds it; owner, or ordered
 *	      +---------------------------------------------+
 *	      |                                             v
 *	    INIT --------------> BACKUP -----------------> ACTIVE
 *	    ^  ^ nothing holds it  |  ^  master is down,     | |
 *	    |  +-------------------+  |  worse, or its peer  | |
 *	    |    held                 |  node's word         | |
 *	    |                         +----------------------+ |
 *	    |                           better master, peer    |
 *	    |                           yields, not taken, gap |
 *	    +--------------------------------------------------+
 *	                          held
 *
 * Held: not started, link down, something tracked is down, start-up delay,
 * sync group incomplete, standby, stop.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "vr_int.h"

#define NAME(n) #n,
const char *
vr_state_name(enum vr_state s)
{
	static const char *const names[] = {VR_STATES(NAME)};

	ASSERT(s < VR_STATE_N);
	return names[s];
}

const char *
vr_ev_name(enum vr_ev e)
{
	static const char *const names[] = {VR_EVENTS(NAME)};

	ASSERT(e < VR_EV_N);
	return names[e];
}
#undef NAME

void
vr_note(const struct vr *v, const struct vr_r *r, enum had_level level,
    const char *rule, const char *text)
{
	char object[HAD_NAME_MAX + 16];

	snprintf(object, sizeof(object), "router %s", r->conf.name);
	v->ops->note(v->ctx, level, rule, object, text);
}

static void
leave_active(struct vr *v, struct vr_r *r, bool farewell)
{
	r->advert_at = MT_NEVER;
	if (r->conf.bound) {
		if (farewell)
			vr_send_farewell(v, r);
		return;
	}
	r->farewell = farewell;
	r->addr = VR_ADDR_RELEASING;
	r->release_tries = 0;
	r->release_at = MT_NEVER;
	v->ops->release(v->ctx, r->id, ++r->seq);
}

static void
enter_active(struct vr *v, struct vr_r *r)
{
	r->became_active++;
	r->peer_was = r->waited = r->waiting = r->yield = false;
	r->down_at = MT_NEVER;
	r->assert_at = (monotime_t){0};
	if (!r->conf.bound) {
		r->farewell = false;
		r->release_at = MT_NEVER;
		r->addr = VR_ADDR_TAKING;
		v->ops->take(v->ctx, r->id, ++r->seq);
	}
	vr_send(v, r);
	r->advert_at = vr_next_advert(v, r);
}

void
vr_go(struct vr *v, struct vr_r *r, enum vr_state to, bool farewell,
    const char *reason)
{
	enum vr_state from = r->state;
	char text[192];

	ASSERT(to < VR_STATE_N && to != from);
	snprintf(text, sizeof(text), "%s -> %s: %s", vr_state_name(from),
	    vr_state_name(to), reason);
	r->state = to;
	r->since = v->now;
	r->reason = reason;
	r->transitions++;
	vr_note(v, r, HAD_INFO, "", text);
	v->ops->state(v->ctx, r->id, from, to, reason);
	r->has_master = false;
	r->preempt_at = MT_NEVER;
	r->worse_at = (monotime_t){0};
	if (from == VR_ACTIVE)
		leave_active(v, r, farewell);
	if (to == VR_ACTIVE) {
		enter_active(v, r);
		vr_group_act(v, r, VR_ACT_UP);
		return;
	}
	r->down_at = MT_NEVER;
	r->master_us = vr_interval_us(r);
	if (to == VR_BACKUP && !r->conf.bound)
		vr_listen(v, r);
	if (to == VR_BACKUP && from == VR_ACTIVE)
		vr_group_act(v, r, VR_ACT_DOWN);
}

/*
 * RFC 9568, section 6.4.1: the owner does not wait for anybody.  But a peer
 * node that holds the addresses is asked for them, so that there are never two.
 */
static void
startup(struct vr *v, struct vr_r *r, const char *reason)
{
	ASSERT(r->state == VR_INIT && r->hold == 0);
	if (r->conf.bound) {
		vr_go(v, r, r->want ? VR_ACTIVE : VR_BACKUP, false, reason);
		return;
	}
	if (r->conf.proto != VR_CARP && r->conf.priority == VR_OWNER &&
	    !r->yield && !mt_before(v->now, r->able_at) &&
	    !vr_peer_holds(v, r)) {
		vr_go(v, r, VR_ACTIVE, false, "it owns the addresses");
		return;
	}
	vr_go(v, r, VR_BACKUP, false, reason);
	vr_peer_eval(v, r);
}

void
vr_hold(struct vr *v, struct vr_r *r, uint8_t bits, bool on, const char *reason)
{
	uint8_t old = r->hold;

	r->hold = on ? old | bits : (uint8_t)(old & ~bits);
	if (r->hold == old)
		return;
	if (bits & ~VR_HOLD_GROUP)
		vr_group_act(v, r, VR_ACT_HOLD);
	if (r->hold == 0)
		startup(v, r, reason);
	else if (r->state != VR_INIT)
		vr_go(v, r, VR_INIT, true, reason);
	else if (on)
		r->reason = reason;
}

/* The addresses are silent. */
void
vr_released(struct vr *v, struct vr_r *r)
{
	ASSERT(r->addr == VR_ADDR_RELEASING && r->state != VR_ACTIVE);
	r->addr = VR_ADDR_NONE;
	r->release_at = MT_NEVER;
	/* Whom a new master is heard from already, nobody must hurry for. */
	if (r->farewell && !r->has_master)
		vr_send_farewell(v, r);
	r->farewell = false;
}

static void
one(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	vr_cell(v, r, ev);
	vr_tell(v, r);
	if (r->leaving && r->addr == VR_ADDR_NONE)
		vr_gone(v, r);
	vr_queue(v, r);
}

/* The router that an event names; VR_NONE if it names none. */
static uint16_t
event_id(const struct vr_event *ev)
{
	switch (ev->type) {
	case VR_EV_ADVERT:
		return ev->u.advert.id;
	case VR_EV_REJECTED:
		return ev->u.rejected.id;
	case VR_EV_TOOK:
	case VR_EV_RELEASED:
		return ev->u.result.id;
	case VR_EV_ORDER:
		return ev->u.order.id;
	case VR_EV_PEER:
		return ev->u.peer.id;
	default:
		return VR_NONE;
	}
}

static bool
tracks(const struct vr_r *r, uint16_t id)
{
	uint8_t i;

	for (i = 0; i < r->conf.n_tracks; i++)
		if (r->conf.tracks[i].id == id)
			return true;
	return false;
}

/* Does it concern this router? */
static bool
concerns(const struct vr *v, const struct vr_r *r, const struct vr_event *ev)
{
	if (!r->used)
		return false;
	switch (ev->type) {
	case VR_EV_LINK:
		return r->conf.ifx == ev->u.link.ifx;
	case VR_EV_REACH:
		return v->news && r->conf.ifx == ev->u.reach.ifx;
	case VR_EV_TRACK:
		return tracks(r, ev->u.track.id);
	default:
		return true;
	}
}

static void
long_gap(struct vr *v)
{
	uint16_t i;

	for (i = 0; i < VR_IFS_MAX; i++)
		v->ifs[i].reach_until = (monotime_t){0};
}

static void
on_reach(struct vr *v, const struct vr_event *ev)
{
	const struct vr_reach *b = &ev->u.reach.r;
	struct vr_if *i;

	ASSERT(ev->u.reach.ifx < VR_IFS_MAX);
	i = &v->ifs[ev->u.reach.ifx];
	v->news = !mt_before(v->now, i->reach_until) ||
		  i->reach.life != b->life ||
		  i->reach.own_lan_ok != b->own_lan_ok ||
		  i->reach.peer_lan_ok != b->peer_lan_ok;
	if (b->life != VR_PEER_ALIVE)
		i->meeting++;
	if (b->life != VR_PEER_DEAD || i->reach.life != VR_PEER_DEAD)
		i->speaks = false;
	i->reach = *b;
	i->reach_until = mt_add_ms(v->now, v->reach_ms);
}

/* What concerns the node as a whole. */
static void
on_node(struct vr *v, const struct vr_event *ev)
{
	switch (ev->type) {
	case VR_EV_START:
		ASSERT(!v->started);
		v->started = true;
		v->phase = v->now;
		v->rng = ev->u.start.seed | 1;
		break;
	case VR_EV_TIMER:
		v->armed = MT_NEVER;
		break;
	case VR_EV_LINK:
		ASSERT(ev->u.link.ifx < VR_IFS_MAX);
		v->ifs[ev->u.link.ifx].down = !ev->u.link.up;
		break;
	case VR_EV_TRACK:
		ASSERT(ev->u.track.id < VR_TRACKS_MAX);
		v->tracks[ev->u.track.id].down = !ev->u.track.up;
		v->tracks[ev->u.track.id].value = ev->u.track.value;
		break;
	case VR_EV_GAP:
		if (ev->u.gap.ms > v->lease_ms)
			long_gap(v);
		break;
	case VR_EV_CONFIG:
		vr_configure(v, ev->u.conf);
		break;
	case VR_EV_STOP:
		v->stopping = true;
		break;
	case VR_EV_REACH:
		on_reach(v, ev);
		break;
	default:
		break;
	}
}

static void
dispatch(struct vr *v, const struct vr_event *ev)
{
	uint16_t id = event_id(ev), i;
	struct vr_r *r;

	if (id != VR_NONE) {
		/* One that went while the event was on its way is nobody. */
		if (id < v->n && v->r[id].used)
			one(v, &v->r[id], ev);
		else if (ev->type == VR_EV_REJECTED)
			v->strays++;
		return;
	}
	switch (ev->type) {
	case VR_EV_REJECTED:
		v->strays++;
		break;
	case VR_EV_TIMER:
		while ((r = vr_due(v)) != NULL) {
			one(v, r, ev);
			ASSERT(vr_due(v) != r);
		}
		break;
	default:
		for (i = 0; i < v->n; i++)
			if (concerns(v, &v->r[i], ev))
				one(v, &v->r[i], ev);
		break;
	}
}

static void
stop_if_done(struct vr *v)
{
	uint16_t i;

	if (!v->stopping || v->stopped)
		return;
	for (i = 0; i < v->n; i++)
		if (v->r[i].used && v->r[i].addr != VR_ADDR_NONE)
			return;
	v->stopped = true;
	v->ops->done(v->ctx);
}

void
vr_step(struct vr *v, const struct vr_event *ev)
{
	ASSERT(ev->type < VR_EV_N && !v->in_step);
	v->in_step = true;
	v->now = ev->now;
	v->sent = false;
	on_node(v, ev);
	dispatch(v, ev);
	vr_group_settle(v);
	if (v->sent)
		v->ops->flush(v->ctx);
	vr_arm(v);
	stop_if_done(v);
	v->in_step = false;
}

struct vr *
vr_new(const struct vr_conf *conf, const struct vr_ops *ops, void *ctx)
{
	struct vr *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return NULL;
	v->ops = ops;
	v->ctx = ctx;
	v->armed = MT_NEVER;
	vr_configure(v, conf);
	return v;
}

void
vr_free(struct vr *v)
{
	free(v);
}
