/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers: configuration, the first and every later one, and the
 * effective priority.  A later one changes no state by itself: what follows
 * from it follows by the rules of the states.
 */
#include <string.h>

#include "vr_int.h"

enum { WEIGHT_MAX = 254, NO_SLOT = VR_SLOTS };

/* xorshift64*: no two routers, and no two lives, share CARP's counters. */
static uint64_t
draw(struct vr *v)
{
	ASSERT(v->rng != 0);
	v->rng ^= v->rng >> 12;
	v->rng ^= v->rng << 25;
	v->rng ^= v->rng >> 27;
	return v->rng * UINT64_C(2685821657736338717);
}

static int32_t
clamp(int64_t x, int32_t lo, int32_t hi)
{
	ASSERT(lo <= hi);
	if (x < lo)
		return lo;
	return x > hi ? hi : (int32_t)x;
}

/* What one tracked thing does to a priority; fault: it forbids any state. */
static int32_t
effect(const struct vr *v, const struct vr_r *r, const struct vr_track *t,
    bool *fault)
{
	bool down = v->tracks[t->id].down;
	int32_t w = t->weight;

	if (w == 0) {
		*fault = *fault || down;
		return 0;
	}
	if (t->scaled) {
		w = clamp((int64_t)v->tracks[t->id].value * w, -WEIGHT_MAX,
		    WEIGHT_MAX);
		*fault = *fault || w == -WEIGHT_MAX;
		return r->conf.proto == VR_CARP && w > 0 ? 0 : w;
	}
	if (r->conf.proto == VR_CARP)
		return !down ? 0 : w < 0 ? w : -w;
	if (w > 0)
		return down ? 0 : w;
	return down ? w : 0;
}

/* The effective priority, and whether something holds the router in INIT. */
void
vr_weigh(struct vr *v, struct vr_r *r)
{
	uint8_t base = r->conf.priority, i, priority, demote;
	int32_t sum = 0;
	bool fault = false, changed;

	if (r->conf.bound && r->order_priority != 0)
		base = r->order_priority;
	for (i = 0; i < r->conf.n_tracks; i++)
		sum += effect(v, r, &r->conf.tracks[i], &fault);
	priority = base == VR_OWNER
		       ? VR_OWNER
		       : (uint8_t)clamp(base + sum, 1, VR_OWNER - 1);
	demote = r->conf.proto == VR_CARP ? (uint8_t)clamp(-sum, 0, 255) : 0;
	changed = priority != r->priority || demote != r->demote;
	r->priority = priority;
	r->demote = demote;
	vr_hold(v, r, VR_HOLD_TRACK, fault,
	    fault ? "something that it depends on is down"
		  : "all that it depends on is up");
	/* The others shall not have to wait for the next one. */
	if (changed && r->state == VR_ACTIVE && mt_before(r->since, v->now))
		vr_send(v, r);
}

/* START came, or a new router comes while others run. */
void
vr_begin(struct vr *v, struct vr_r *r)
{
	ASSERT(v->started && (r->hold & VR_HOLD_OFF));
	r->counter = draw(v);
	if (r->conf.group != 0)
		r->hold |= VR_HOLD_GROUP; /* until it is settled */
	vr_hold(v, r, VR_HOLD_LINK, v->ifs[r->conf.ifx].down,
	    "its interface is down");
	vr_weigh(v, r);
	if (v->stopping)
		vr_hold(v, r, VR_HOLD_STOP, true, "stopping");
	vr_hold(v, r, VR_HOLD_OFF, false, "started");
}

static void
check(const struct vr_router_conf *c)
{
	uint8_t i;

	ASSERT(c->ifx < VR_IFS_MAX && c->vrid > 0);
	ASSERT(c->family == 4 || (c->family == 6 && c->proto != VR_VRRP2));
	ASSERT(!c->bound || c->group == 0);
	ASSERT(c->n_tracks <= VR_ROUTER_TRACKS_MAX);
	if (c->proto == VR_CARP)
		ASSERT(c->dead_ratio > 0 && c->advbase < 255 &&
		       c->advskew < 255 && c->advbase + c->advskew > 0);
	else
		ASSERT(c->priority > 0 && c->interval_ms > 0);
	for (i = 0; i < c->n_tracks; i++)
		ASSERT(c->tracks[i].id < VR_TRACKS_MAX &&
		       c->tracks[i].weight >= -WEIGHT_MAX &&
		       c->tracks[i].weight <= WEIGHT_MAX);
}

static bool
same(const struct vr_router_conf *a, const struct vr_router_conf *b)
{
	return a->ifx == b->ifx && a->family == b->family &&
	       a->vrid == b->vrid && a->proto == b->proto &&
	       a->bound == b->bound;
}

/* One that stays. */
static void
apply(struct vr *v, struct vr_r *r, const struct vr_router_conf *c)
{
	int64_t old_us = vr_interval_us(r);
	uint8_t old_group = r->conf.group;

	if (old_group != c->group)
		vr_group_act(v, r, VR_ACT_HOLD);
	r->conf = *c;
	if (old_group != c->group) {
		vr_group_act(v, r, VR_ACT_HOLD);
		if (c->group == 0)
			vr_hold(v, r, VR_HOLD_GROUP, false,
			    "it is in no sync group any more");
	}
	if (vr_interval_us(r) == old_us)
		return;
	if (r->state == VR_ACTIVE) {
		/* The last one need not be good until the next. */
		r->say = true;
		r->advert_at = vr_next_advert(v, r);
	} else if (!r->has_master)
		r->master_us = vr_interval_us(r);
}

void
vr_gone(struct vr *v, struct vr_r *r)
{
	ASSERT(r->used && r->addr == VR_ADDR_NONE);
	r->used = false;
	memset(v->rejects[r->id], 0, sizeof(v->rejects[0]));
	vr_queue(v, r);
	v->ops->gone(v->ctx, r->id);
}

static void
leave(struct vr *v, struct vr_r *r)
{
	vr_group_act(v, r, VR_ACT_HOLD);
	r->leaving = true;
	vr_hold(v, r, VR_HOLD_STOP, true, "it is no longer configured");
}

static struct vr_r *
slot(struct vr *v)
{
	uint16_t i;

	for (i = 0; i < VR_SLOTS && v->r[i].used; i++)
		;
	if (i < VR_SLOTS)
		return &v->r[i];
	/* The release of one that leaves was ordered; its answer can wait. */
	for (i = 0; !v->r[i].leaving; i++)
		ASSERT(i + 1 < VR_SLOTS);
	v->r[i].addr = VR_ADDR_NONE;
	vr_gone(v, &v->r[i]);
	return &v->r[i];
}

static void
add(struct vr *v, const struct vr_router_conf *c)
{
	struct vr_r *r = slot(v);
	uint32_t seq = r->seq; /* late answers are for its predecessor */

	memset(r, 0, sizeof(*r));
	r->id = (uint16_t)(r - v->r);
	if (r->id >= v->n)
		v->n = (uint16_t)(r->id + 1);
	r->used = true;
	r->seq = seq;
	r->conf = *c;
	v->latest[c->vrid] = r->id;
	r->since = v->now;
	r->reason = "not started";
	r->hold = VR_HOLD_OFF;
	r->start_at = r->release_at = r->advert_at = MT_NEVER;
	r->down_at = r->preempt_at = MT_NEVER;
	r->priority = c->priority;
	r->master_us = vr_interval_us(r);
	if (v->started)
		vr_begin(v, r);
}

void
vr_configure(struct vr *v, const struct vr_conf *conf)
{
	uint64_t stays[VR_SLOTS / 64] = {0};
	uint64_t known[HAD_ROUTERS_MAX / 64] = {0};
	uint16_t i, id;

	ASSERT(conf->n <= HAD_ROUTERS_MAX);
	ASSERT(conf->lease_ms > 0 && conf->reach_ms > 0);
	v->lease_ms = conf->lease_ms;
	v->reach_ms = conf->reach_ms;
	for (i = 0; i < conf->n; i++) {
		const struct vr_router_conf *c = &conf->routers[i];

		check(c);
		id = vr_find(v, c->ifx, c->family, c->vrid);
		if (id == VR_NONE || !same(&v->r[id].conf, c))
			continue;
		/* A key that is there twice would be two on one wire. */
		ASSERT(!(stays[id / 64] >> (id % 64) & 1));
		stays[id / 64] |= UINT64_C(1) << (id % 64);
		known[i / 64] |= UINT64_C(1) << (i % 64);
		apply(v, &v->r[id], c);
	}
	for (i = 0; i < v->n; i++)
		if (vr_live(&v->r[i]) && !(stays[i / 64] >> (i % 64) & 1))
			leave(v, &v->r[i]);
	for (i = 0; i < conf->n; i++)
		if (!(known[i / 64] >> (i % 64) & 1))
			add(v, &conf->routers[i]);
}
