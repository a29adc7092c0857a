/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers: intervals, and one timer for all.
 *
 * The routers lie in a heap by their next deadline.  A master that is heard
 * moves its deadline with each advert, and that must not cost much each time:
 * its place in the heap is an alarm that stays where it is, until it is near.
 * Then it moves to where the deadline is by now, in the step that hears the
 * master anyway: it would else wake the process for nothing.  ops->timer is
 * called for an earlier time, and for a later one if what it was told is near.
 *
 * Adverts with the same interval leave at the same moments, counted from
 * START, so 255 routers wake the process once per interval, not 255 times.
 */
#include "vr_int.h"

/* Near: adverts of the shortest interval (10 ms) may not be heard before. */
enum { NEAR_US = 12000 };

/* Of the own adverts. */
int64_t
vr_interval_us(const struct vr_r *r)
{
	if (r->conf.proto != VR_CARP)
		return (int64_t)r->conf.interval_ms * 1000;
	return (r->conf.advbase * INT64_C(256) + vr_carp_skew(r)) * 1000000 /
	       256;
}

/*
 * VRRP: the higher the priority, the shorter.  Version 2 counts in seconds
 * whatever the interval; version 3 in the master's intervals.
 */
int64_t
vr_skew_us(const struct vr_r *r)
{
	int64_t unit = r->conf.proto == VR_VRRP2 ? 1000000 : r->master_us;

	if (r->conf.proto == VR_CARP)
		return vr_carp_skew(r) * INT64_C(1000000) / 256;
	return (256 - r->priority) * unit / 256;
}

/*
 * How long a master may be silent.  CARP without advbase would be declared
 * dead at its first late advert, so it counts the skew instead.
 */
int64_t
vr_down_us(const struct vr_r *r)
{
	if (r->conf.proto != VR_CARP)
		return 3 * r->master_us + vr_skew_us(r);
	if (r->conf.advbase == 0)
		return r->conf.dead_ratio * vr_skew_us(r);
	return r->conf.dead_ratio * (r->conf.advbase * INT64_C(1000000)) +
	       vr_skew_us(r);
}

/* The next moment of the beat; never farther than one interval. */
monotime_t
vr_next_advert(const struct vr *v, const struct vr_r *r)
{
	int64_t period = vr_interval_us(r);

	ASSERT(period > 0 && !mt_before(v->now, v->phase));
	return mt_add_us(v->now, period - mt_sub_us(v->now, v->phase) % period);
}

void
vr_listen(struct vr *v, struct vr_r *r)
{
	r->down_at = mt_add_us(v->now, vr_down_us(r));
}

static struct vr_alarm
alarm_of(monotime_t at, uint16_t id)
{
	ASSERT(at.us >= 0 && at.us < INT64_MAX / VR_SLOTS && id < VR_SLOTS);
	return (struct vr_alarm){(uint64_t)at.us * VR_SLOTS + id};
}

static monotime_t
alarm_at(struct vr_alarm a)
{
	return (monotime_t){(int64_t)(a.key / VR_SLOTS)};
}

static uint16_t
alarm_id(struct vr_alarm a)
{
	return (uint16_t)(a.key % VR_SLOTS);
}

static void
put(struct vr *v, uint16_t i, struct vr_alarm a)
{
	v->heap[i] = a;
	v->place[alarm_id(a)] = (uint16_t)(i + 1);
}

static void
sift_up(struct vr *v, uint16_t i, struct vr_alarm a)
{
	while (i > 0 && a.key < v->heap[(i - 1) / 2].key) {
		put(v, i, v->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(v, i, a);
}

static void
sift_down(struct vr *v, uint16_t i, struct vr_alarm a)
{
	uint16_t c;

	while ((c = 2 * i + 1) < v->n_heap) {
		if (c + 1 < v->n_heap)
			c += v->heap[c + 1].key < v->heap[c].key;
		if (v->heap[c].key > a.key)
			break;
		put(v, i, v->heap[c]);
		i = c;
	}
	put(v, i, a);
}

static void
unqueue(struct vr *v, uint16_t id)
{
	uint16_t i = (uint16_t)(v->place[id] - 1);
	struct vr_alarm last;

	ASSERT(i < v->n_heap && alarm_id(v->heap[i]) == id);
	v->place[id] = 0;
	last = v->heap[--v->n_heap];
	if (i == v->n_heap)
		return;
	sift_up(v, i, last);
	sift_down(v, (uint16_t)(v->place[alarm_id(last)] - 1), last);
}

/* A deadline that lies in the past was seen, and is none any more. */
static monotime_t
future(const struct vr *v, monotime_t at)
{
	return mt_before(v->now, at) ? at : MT_NEVER;
}

monotime_t
vr_deadline(const struct vr *v, const struct vr_r *r)
{
	monotime_t at = r->release_at;

	if (!r->used)
		return MT_NEVER;
	if (r->hold & VR_HOLD_DELAY)
		at = mt_min(at, r->start_at);
	if (r->state == VR_ACTIVE)
		at = mt_min(at, r->advert_at);
	if (r->state == VR_BACKUP) {
		at = mt_min(at, r->down_at);
		at = mt_min(at, future(v, r->preempt_at));
		at = mt_min(at, future(v, r->able_at));
	}
	return at;
}

/*
 * A deadline that moves away, as that of a master with each of its adverts,
 * leaves the alarm where it is: the router is looked at then, and queued anew.
 */
void
vr_queue(struct vr *v, struct vr_r *r)
{
	monotime_t at = vr_deadline(v, r);
	uint16_t place = v->place[r->id];
	monotime_t old;

	if (at.us == INT64_MAX) {
		if (place != 0)
			unqueue(v, r->id);
		return;
	}
	if (place == 0) {
		ASSERT(v->n_heap < VR_SLOTS);
		v->n_heap++;
		sift_up(v, v->n_heap - 1, alarm_of(at, r->id));
		return;
	}
	old = alarm_at(v->heap[place - 1]);
	if (mt_before(at, old))
		sift_up(v, place - 1, alarm_of(at, r->id));
	else if (vr_due_at(v, old))
		sift_down(v, place - 1, alarm_of(at, r->id));
}

/* A deadline that is none any more, but of which the alarm has to tell. */
static bool
came(const struct vr *v, monotime_t alarm, monotime_t at)
{
	return !mt_before(at, alarm) && !mt_before(v->now, at);
}

/*
 * Alarms that are near and of what was put off move to where they belong.
 * True if the first one then tells of something, be it due or not.
 */
static bool
settle(struct vr *v)
{
	monotime_t near = mt_add_us(v->now, NEAR_US), alarm, at;

	while (v->n_heap > 0) {
		struct vr_r *r = &v->r[alarm_id(v->heap[0])];

		alarm = alarm_at(v->heap[0]);
		if (mt_before(near, alarm))
			break;
		at = vr_deadline(v, r);
		if (!mt_before(alarm, at) || came(v, alarm, r->preempt_at) ||
		    came(v, alarm, r->able_at))
			return true;
		if (at.us == INT64_MAX)
			unqueue(v, r->id);
		else
			sift_down(v, 0, alarm_of(at, r->id));
	}
	return false;
}

struct vr_r *
vr_due(struct vr *v)
{
	if (!settle(v) || !vr_due_at(v, alarm_at(v->heap[0])))
		return NULL;
	return &v->r[alarm_id(v->heap[0])];
}

void
vr_arm(struct vr *v)
{
	monotime_t at;

	settle(v);
	at = v->n_heap > 0 ? alarm_at(v->heap[0]) : MT_NEVER;
	if (mt_before(at, v->armed) ||
	    (mt_before(v->armed, at) &&
		!mt_before(mt_add_us(v->now, NEAR_US), v->armed))) {
		v->armed = at;
		v->ops->timer(v->ctx, at);
	}
}
