/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers: what one router answers to each event in each state.  The
 * drawing is in vr.c.
 */
#include <stdio.h>

#include "vr_int.h"

enum {
	BACKOFF_MIN_MS = 1000, /* after a take that failed */
	BACKOFF_MAX_MS = 32000,
	RELEASE_TRIES = 3,
	RELEASE_GAP_MIN_MS = 100,
};

typedef void (*cell_fn)(struct vr *, struct vr_r *, const struct vr_event *);

static void
c_same(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	(void)v, (void)r, (void)ev;
}

static void
c_start(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	(void)ev;
	if (r->conf.start_delay_ms > 0) {
		r->start_at = mt_add_ms(v->now, r->conf.start_delay_ms);
		vr_hold(v, r, VR_HOLD_DELAY, true, "start-up delay");
	}
	vr_begin(v, r);
}

/* A release that failed; tried again by whoever waits for its farewell. */
static void
release_due(struct vr *v, struct vr_r *r)
{
	if (!vr_due_at(v, r->release_at))
		return;
	ASSERT(r->addr == VR_ADDR_RELEASING);
	r->release_at = MT_NEVER;
	v->ops->release(v->ctx, r->id, ++r->seq);
}

static void
c_timer_init(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	(void)ev;
	release_due(v, r);
	if ((r->hold & VR_HOLD_DELAY) && vr_due_at(v, r->start_at))
		vr_hold(v, r, VR_HOLD_DELAY, false, "start-up delay is over");
}

static void
c_timer_backup(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	(void)ev;
	release_due(v, r);
	if (!vr_due_at(v, r->down_at))
		return;
	r->has_master = false;
	if (r->conf.bound)
		r->down_at = MT_NEVER;
	else
		vr_try_take(v, r, "no master is heard");
}

static void
c_timer_active(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	(void)ev;
	if (!vr_due_at(v, r->advert_at))
		return;
	vr_send(v, r);
	r->advert_at = vr_next_advert(v, r);
}

/* RFC 9568, section 6.4.1: nothing is done about it. */
static void
c_hear_init(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	(void)v, (void)ev;
	r->received++;
}

static void
c_hear_backup(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	if (r->conf.bound)
		vr_hear_bound(v, r, &ev->u.advert.a);
	else
		vr_hear_backup(v, r, &ev->u.advert.a);
}

static void
c_hear_active(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	if (r->conf.bound)
		vr_hear_bound(v, r, &ev->u.advert.a);
	else
		vr_hear_active(v, r, &ev->u.advert.a);
}

static void
c_rejected(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	ASSERT(ev->u.rejected.why < VR_REJECTS_MAX);
	v->rejects[r->id][ev->u.rejected.why]++;
}

static void
c_link(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	bool up = ev->u.link.up;

	if (!(r->hold & VR_HOLD_OFF))
		vr_hold(v, r, VR_HOLD_LINK, !up,
		    up ? "its interface is up" : "its interface is down");
}

static void
c_track(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	(void)ev;
	if (!(r->hold & VR_HOLD_OFF))
		vr_weigh(v, r);
}

/* A take that failed leaves the field to others for a while. */
static void
c_took_active(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	char text[160];

	if (ev->u.result.seq != r->seq || r->addr != VR_ADDR_TAKING)
		return;
	if (ev->u.result.ok) {
		r->addr = VR_ADDR_HELD;
		r->backoff_ms = 0;
		return;
	}
	r->take_failed++;
	r->backoff_ms *= 2;
	if (r->backoff_ms < BACKOFF_MIN_MS)
		r->backoff_ms = BACKOFF_MIN_MS;
	if (r->backoff_ms > BACKOFF_MAX_MS)
		r->backoff_ms = BACKOFF_MAX_MS;
	r->able_at = mt_add_ms(v->now, r->backoff_ms);
	snprintf(text, sizeof(text), "not taken: %s",
	    ev->u.result.text != NULL ? ev->u.result.text : "no reason given");
	vr_note(v, r, HAD_WARN, "R15", text);
	vr_go(v, r, VR_BACKUP, true, "its addresses could not be taken");
}

static void
c_released(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	uint32_t gap = v->lease_ms;
	char text[160];

	if (ev->u.result.seq != r->seq || r->addr != VR_ADDR_RELEASING)
		return;
	if (ev->u.result.ok) {
		vr_released(v, r);
		return;
	}
	snprintf(text, sizeof(text), "not released: %s",
	    ev->u.result.text != NULL ? ev->u.result.text : "no reason given");
	vr_note(v, r, HAD_WARN, "R15", text);
	if (++r->release_tries < RELEASE_TRIES) {
		if (gap < RELEASE_GAP_MIN_MS)
			gap = RELEASE_GAP_MIN_MS;
		r->release_at = mt_add_ms(v->now, gap);
		return;
	}
	/* Nobody renews its lease any more: the guard has closed by now. */
	vr_note(v, r, HAD_ERR, "R15", "its addresses are left to the guard");
	vr_released(v, r);
}

static void
standby(struct vr *v, struct vr_r *r, enum vr_order order)
{
	if (order == VR_ORDER_STANDBY)
		vr_hold(v, r, VR_HOLD_ORDER, true, "ordered to stand by");
	if (order == VR_ORDER_RESUME) {
		r->yield = false;
		vr_hold(v, r, VR_HOLD_ORDER, false, "ordered to resume");
	}
}

/* Bound: who decides elsewhere is obeyed. */
static void
obey(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	r->want = ev->u.order.order == VR_ORDER_ACTIVE;
	r->order_priority = ev->u.order.priority;
	if (!r->want && r->state == VR_ACTIVE)
		vr_go(v, r, VR_BACKUP, true, "ordered to give way");
	if (!(r->hold & VR_HOLD_OFF))
		vr_weigh(v, r);
	if (r->want && r->state == VR_BACKUP)
		vr_go(v, r, VR_ACTIVE, false, "ordered to be active");
}

static void
c_order(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	switch (ev->u.order.order) {
	case VR_ORDER_ACTIVE:
	case VR_ORDER_BACKUP:
		ASSERT(r->conf.bound);
		obey(v, r, ev);
		break;
	case VR_ORDER_RELEASE:
		ASSERT(!r->conf.bound);
		if (r->state == VR_INIT)
			break;
		r->yield = true;
		if (r->state == VR_ACTIVE)
			vr_go(v, r, VR_BACKUP, true, "ordered to give way");
		break;
	default:
		standby(v, r, ev->u.order.order);
		break;
	}
}

static void
c_gap_backup(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	if (r->down_at.us == INT64_MAX)
		return;
	/* What was not listened to does not count as silence. */
	if (ev->u.gap.ms > v->lease_ms)
		vr_listen(v, r);
	else
		r->down_at = mt_add_ms(r->down_at, ev->u.gap.ms);
}

/*
 * Somebody else may be master for long.  No farewell: it would make others
 * hurry who have a master.
 */
static void
c_gap_active(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	if (ev->u.gap.held || ev->u.gap.ms <= v->lease_ms)
		return;
	r->want = false;
	vr_go(v, r, VR_BACKUP, false, "the process did not run for too long");
}

/* The new configuration is in place; what follows for this one? */
static void
c_config(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	uint64_t sent = r->sent;

	(void)ev;
	if (!(r->hold & VR_HOLD_OFF))
		vr_weigh(v, r);
	if (r->say && r->state == VR_ACTIVE && r->sent == sent)
		vr_send(v, r);
	r->say = false;
}

static void
c_stop(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	(void)ev;
	vr_hold(v, r, VR_HOLD_STOP, true, "stopping");
}

static void
c_reach(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	(void)ev;
	vr_peer_eval(v, r);
}

static void
c_peer(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	uint8_t addr[16];

	memcpy(addr, r->peer.addr, sizeof(addr));
	r->peer = ev->u.peer.p;
	/* It was the peer that was heard, if it was. */
	if (ev->u.peer.gone)
		memcpy(r->peer.addr, addr, sizeof(addr));
	r->peer_known = true;
	r->peer_met = v->ifs[r->conf.ifx].meeting;
	vr_peer_eval(v, r);
	if (ev->u.peer.gone)
		r->peer_known = false;
}

static const cell_fn table[VR_EV_N][VR_STATE_N] = {
    [VR_EV_START] = {c_start, c_same, c_same},
    [VR_EV_TIMER] = {c_timer_init, c_timer_backup, c_timer_active},
    [VR_EV_ADVERT] = {c_hear_init, c_hear_backup, c_hear_active},
    [VR_EV_REJECTED] = {c_rejected, c_rejected, c_rejected},
    [VR_EV_LINK] = {c_link, c_link, c_link},
    [VR_EV_TRACK] = {c_track, c_track, c_track},
    [VR_EV_TOOK] = {c_same, c_same, c_took_active},
    [VR_EV_RELEASED] = {c_released, c_released, c_same},
    [VR_EV_ORDER] = {c_order, c_order, c_order},
    [VR_EV_GAP] = {c_same, c_gap_backup, c_gap_active},
    [VR_EV_CONFIG] = {c_config, c_config, c_config},
    [VR_EV_STOP] = {c_stop, c_stop, c_stop},
    [VR_EV_REACH] = {c_reach, c_reach, c_reach},
    [VR_EV_PEER] = {c_peer, c_peer, c_peer},
};

void
vr_cell(struct vr *v, struct vr_r *r, const struct vr_event *ev)
{
	cell_fn fn = table[ev->type][r->state];

	ASSERT(fn != NULL);
	if (v->ops->cell != NULL)
		v->ops->cell(v->ctx, ev->type, r->state);
	fn(v, r, ev);
}
