/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers: what the peer node says over another path, what it is told,
 * and when it is believed.  The decision itself is in vr_split.c.
 */
#include <stdio.h>
#include <string.h>

#include "vr_int.h"

/*
 * What was told is true as long as the peer is known to live, and void then.
 * A dead one that advertises has begun anew, as nobody's peer yet.
 */
static enum vr_life
peer_life(const struct vr *v, const struct vr_r *r)
{
	const struct vr_if *i = &v->ifs[r->conf.ifx];

	if (r->conf.bound || !mt_before(v->now, i->reach_until))
		return VR_PEER_UNKNOWN;
	if (i->reach.life == VR_PEER_ALIVE &&
	    (!r->peer_known || r->peer_met != i->meeting))
		return VR_PEER_UNKNOWN;
	if (i->reach.life == VR_PEER_DEAD && i->speaks)
		return VR_PEER_UNKNOWN;
	return i->reach.life;
}

static uint8_t
word_priority(const struct vr_r *r)
{
	return r->conf.proto == VR_CARP ? 255 - vr_carp_demote(r) : r->priority;
}

static uint16_t
word_rank(const struct vr_r *r)
{
	if (r->conf.proto != VR_CARP)
		return 0;
	return (uint16_t)(0xffff - (r->conf.advbase * 256 + vr_carp_skew(r)));
}

/* Since they met: before that it may have had another file. */
static bool
has_too(const struct vr *v, const struct vr_r *m)
{
	return m->peer_known && m->peer_met == v->ifs[m->conf.ifx].meeting;
}

/* The same one on both nodes, whose names of it may differ for a while. */
static bool
comes_first(const struct vr_r *a, const struct vr_r *b)
{
	if (a->conf.vrid != b->conf.vrid)
		return a->conf.vrid < b->conf.vrid;
	if (a->conf.family != b->conf.family)
		return a->conf.family < b->conf.family;
	return strcmp(a->conf.name, b->conf.name) < 0;
}

/*
 * Than the peer.  Equal ones: VRRP prefers the higher address, CARP the lower.
 * The members of a sync group are weighed together: if each node were better
 * by another one of them, they would drive each other out for ever.
 */
bool
vr_better(const struct vr *v, const struct vr_r *r)
{
	int64_t priority = (int64_t)word_priority(r) - r->peer.priority;
	int64_t rank = (int64_t)word_rank(r) - r->peer.rank;
	const struct vr_r *first = r;
	uint16_t i;
	int cmp;

	for (i = 0; r->conf.group != 0 && i < v->n; i++) {
		const struct vr_r *m = &v->r[i];

		if (m == r || !vr_live(m) || m->conf.group != r->conf.group ||
		    !has_too(v, m))
			continue;
		priority += (int64_t)word_priority(m) - m->peer.priority;
		rank += (int64_t)word_rank(m) - m->peer.rank;
		if (comes_first(m, first))
			first = m;
	}
	if (priority != 0)
		return priority > 0;
	if (rank != 0)
		return rank > 0;
	cmp =
	    memcmp(first->conf.own_addr, first->peer.addr, vr_addr_len(first));
	return first->conf.proto == VR_CARP ? cmp < 0 : cmp > 0;
}

/* CARP takes from who is demoted more, whatever it is configured to. */
static bool
preempts_peer(const struct vr *v, const struct vr_r *r)
{
	if (!vr_better(v, r))
		return false;
	return vr_preempts(r) || (r->conf.proto == VR_CARP && !r->yield &&
				     word_priority(r) > r->peer.priority);
}

static bool
hears_third(const struct vr *v, const struct vr_r *r)
{
	if (r->state != VR_BACKUP)
		return false;
	if (mt_before(v->now, r->worse_at))
		return true;
	return r->has_master && mt_before(v->now, r->down_at) &&
	       !vr_is_peer(r, r->master);
}

static enum vr_verdict
verdict(
    const struct vr *v, const struct vr_r *r, bool timed_out, const char **why)
{
	const struct vr_reach *reach = &v->ifs[r->conf.ifx].reach;
	struct vr_split s = {
	    .active = r->state == VR_ACTIVE,
	    .timed_out = timed_out,
	    .third = hears_third(v, r),
	    .beats_third = mt_before(v->now, r->worse_at),
	    .peer_was = r->peer_was,
	    .waited = r->waited,
	    .better = vr_better(v, r),
	    .life = peer_life(v, r),
	    .own_lan = reach->own_lan_ok,
	    .peer_lan = reach->peer_lan_ok,
	    .peer_holds = r->peer.holds,
	    .peer_able = r->peer.able,
	    .peer_wants = r->peer.wants,
	    .peer_third = r->peer.third,
	};

	return vr_split(&s, why);
}

/*
 * A member that has heard its master of late, and would not preempt it: then
 * the group would be driven back at once, and again and again.  When a master
 * dies its other adverts are older than that by the time that one is missed.
 */
static bool
hears_better(const struct vr *v, const struct vr_r *m)
{
	if (!m->has_master ||
	    !mt_before(v->now, mt_add_us(m->heard_at, 2 * m->master_us)))
		return false;
	/* Of the peer more is known than what it said on the LAN. */
	return !vr_is_peer(m, m->master) || peer_life(v, m) == VR_PEER_UNKNOWN;
}

/* A sync group takes only if nothing is against it for any of its members. */
static bool
group_must_wait(const struct vr *v, const struct vr_r *r, const char **why)
{
	uint16_t i;

	if (r->conf.group == 0)
		return false;
	for (i = 0; i < v->n; i++) {
		const struct vr_r *m = &v->r[i];

		if (m == r || !vr_live(m) || m->conf.group != r->conf.group ||
		    m->state != VR_BACKUP)
			continue;
		if (verdict(v, m, true, why) == VR_WAIT)
			return true;
		*why = "another of its sync group hears a better master";
		if (hears_better(v, m))
			return true;
	}
	return false;
}

/* The word of the peer, or of the group, is against it. */
static void
put_off(struct vr *v, struct vr_r *r, const char *why)
{
	const struct vr_if *i = &v->ifs[r->conf.ifx];
	char text[192];

	r->waits++;
	snprintf(text, sizeof(text),
	    "not taken: %s (on this LAN this node hears the peer: %s; "
	    "the peer hears this node: %s)",
	    why, i->reach.own_hears_peer ? "yes" : "no",
	    i->reach.peer_hears_us ? "yes" : "no");
	if (!r->waiting)
		vr_note(v, r, HAD_WARN, "",
		    peer_life(v, r) == VR_PEER_ALIVE ? text : why);
	r->waiting = true;
	vr_listen(v, r);
	/* Without a newer word the old one does not hold for longer. */
	if (mt_before(v->now, i->reach_until))
		r->down_at = mt_min(r->down_at, i->reach_until);
}

void
vr_try_take(struct vr *v, struct vr_r *r, const char *reason)
{
	const struct vr_reach *reach = &v->ifs[r->conf.ifx].reach;
	const char *why;

	ASSERT(r->state == VR_BACKUP && !r->conf.bound);
	if (mt_before(v->now, r->able_at)) {
		r->down_at = r->able_at;
		return;
	}
	if (verdict(v, r, true, &why) == VR_WAIT) {
		/* For a better peer that may take; not for one that has it. */
		r->waited = !r->peer.holds && !r->peer.third &&
			    (reach->own_lan_ok || !reach->peer_lan_ok);
		put_off(v, r, why);
	} else if (group_must_wait(v, r, &why)) {
		put_off(v, r, why);
	} else {
		vr_go(v, r, VR_ACTIVE, false, reason);
	}
}

static void
peer_lives(struct vr *v, struct vr_r *r)
{
	if (r->state == VR_ACTIVE)
		return;
	if (!r->peer.holds) {
		r->peer_was = r->peer_was && !r->peer.third;
		return;
	}
	r->peer_was = true;
	r->waited = false;
	/* If something worse holds, the delay is counted from here on. */
	if (r->state == VR_BACKUP && preempts_peer(v, r) &&
	    r->preempt_at.us == INT64_MAX)
		r->preempt_at = mt_add_ms(v->now, r->conf.preempt_delay_ms);
}

void
vr_peer_eval(struct vr *v, struct vr_r *r)
{
	const char *why;
	enum vr_verdict what;

	if (r->conf.bound)
		return;
	if (peer_life(v, r) == VR_PEER_ALIVE)
		peer_lives(v, r);
	if (r->state == VR_INIT)
		return;
	what = verdict(v, r, false, &why);
	if (what == VR_YIELD) {
		ASSERT(r->state == VR_ACTIVE);
		vr_go(v, r, VR_BACKUP, true, why);
	} else if (what == VR_TAKE) {
		ASSERT(r->state == VR_BACKUP);
		vr_try_take(v, r, why);
	}
}

/* By what is known of it, which an advert may be newer than. */
bool
vr_peer_denies(const struct vr *v, const struct vr_r *r)
{
	enum vr_life life = peer_life(v, r);

	return life == VR_PEER_DEAD ||
	       (life == VR_PEER_ALIVE && !r->peer.holds);
}

/* Is the group to be weighed, and not one of its members, against a sender? */
bool
vr_peer_weighs(const struct vr *v, const struct vr_r *r, const uint8_t *src)
{
	return r->conf.group != 0 && vr_is_peer(r, src) &&
	       peer_life(v, r) == VR_PEER_ALIVE;
}

bool
vr_peer_holds(const struct vr *v, const struct vr_r *r)
{
	return peer_life(v, r) == VR_PEER_ALIVE && r->peer.holds;
}

void
vr_peer_make(const struct vr *v, const struct vr_r *r, struct vr_peer *p)
{
	memset(p, 0, sizeof(*p));
	p->holds = r->state == VR_ACTIVE || r->addr != VR_ADDR_NONE;
	p->able = r->state == VR_BACKUP && !mt_before(v->now, r->able_at);
	if (p->able && peer_life(v, r) == VR_PEER_ALIVE)
		p->wants = r->peer.holds ? preempts_peer(v, r) &&
					       !mt_before(v->now, r->preempt_at)
					 : r->waited;
	p->third = hears_third(v, r);
	p->priority = word_priority(r);
	p->rank = word_rank(r);
	memcpy(p->addr, r->conf.own_addr, vr_addr_len(r));
}

/* Each change once. */
void
vr_tell(struct vr *v, struct vr_r *r)
{
	struct vr_peer p;
	const struct vr_peer *q = &r->told;

	if (r->conf.bound || !r->used)
		return;
	vr_peer_make(v, r, &p);
	if (r->has_told && p.holds == q->holds && p.able == q->able &&
	    p.wants == q->wants && p.third == q->third &&
	    p.priority == q->priority && p.rank == q->rank &&
	    memcmp(p.addr, q->addr, sizeof(p.addr)) == 0)
		return;
	r->told = p;
	r->has_told = true;
	v->ops->tell(v->ctx, r->id, &p);
}
