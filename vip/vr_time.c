/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers: intervals, and one timer for all.
 *
 * The routers lie in a heap by their next deadline.  ops->timer is called only
 * for an earlier time than the one it was told: a master that is heard moves
 * its deadline with each advert, and that must not cost a call each time.  The
 * old time then passes without anything to do, which is cheaper.
 *
 * Adverts with the same interval leave at the same moments, counted from
 * START, so 255 routers wake the process once per interval, not 255 times.
 */
#include "vr_int.h"

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

static bool
before(const struct vr *v, uint16_t a, uint16_t b)
{
	int64_t x = v->r[a].at.us, y = v->r[b].at.us;

	return x < y || (x == y && a < b);
}

static void
put(struct vr *v, uint16_t slot, uint16_t id)
{
	v->heap[slot] = id;
	v->r[id].heap = slot;
}

static void
sift_up(struct vr *v, uint16_t i)
{
	uint16_t id = v->heap[i];

	while (i > 0 && before(v, id, v->heap[(i - 1) / 2])) {
		put(v, i, v->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(v, i, id);
}

static void
sift_down(struct vr *v, uint16_t i)
{
	uint16_t id = v->heap[i], c;

	while ((c = 2 * i + 1) < v->n_heap) {
		if (c + 1 < v->n_heap && before(v, v->heap[c + 1], v->heap[c]))
			c++;
		if (!before(v, v->heap[c], id))
			break;
		put(v, i, v->heap[c]);
		i = c;
	}
	put(v, i, id);
}

static void
unqueue(struct vr *v, struct vr_r *r)
{
	uint16_t i = r->heap, last;

	ASSERT(i < v->n_heap && v->heap[i] == r->id);
	r->heap = VR_NOT_QUEUED;
	last = v->heap[--v->n_heap];
	if (i == v->n_heap)
		return;
	put(v, i, last);
	sift_up(v, i);
	sift_down(v, v->r[last].heap);
}

/* A deadline that lies in the past was seen, and is none any more. */
static monotime_t
future(const struct vr *v, monotime_t at)
{
	return mt_before(v->now, at) ? at : MT_NEVER;
}

static monotime_t
deadline(const struct vr *v, const struct vr_r *r)
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

void
vr_queue(struct vr *v, struct vr_r *r)
{
	monotime_t at = deadline(v, r);

	if (at.us == INT64_MAX) {
		r->at = at;
		if (r->heap != VR_NOT_QUEUED)
			unqueue(v, r);
		return;
	}
	if (r->heap == VR_NOT_QUEUED) {
		ASSERT(v->n_heap < VR_SLOTS);
		r->at = at;
		put(v, v->n_heap++, r->id);
		sift_up(v, r->heap);
	} else if (at.us != r->at.us) {
		r->at = at;
		sift_up(v, r->heap);
		sift_down(v, r->heap);
	}
}

struct vr_r *
vr_due(struct vr *v)
{
	struct vr_r *r;

	if (v->n_heap == 0)
		return NULL;
	r = &v->r[v->heap[0]];
	return vr_due_at(v, r->at) ? r : NULL;
}

void
vr_arm(struct vr *v)
{
	monotime_t at = v->n_heap > 0 ? v->r[v->heap[0]].at : MT_NEVER;

	if (mt_before(at, v->armed)) {
		v->armed = at;
		v->ops->timer(v->ctx, at);
	}
}
