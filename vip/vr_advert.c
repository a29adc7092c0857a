/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers: adverts, what they say and what is done about them.
 *
 * VRRP: RFC 9568, sections 6.4.2 and 6.4.3, and RFC 3768 likewise, but:
 *  - Priority 0 of somebody who is not the master that was heard last is only
 *    counted, as the master goes on.
 *  - A worse master is answered at most eight times per interval, so that a
 *    flood makes no flood, and in version 2, too.
 *
 * CARP: as carp_proto_input_c() of OpenBSD.  Who advertises more often is
 * better, with a lower demotion before that; equal ones: the lower address, as
 * ucarp has it.  Whoever hears a counter goes on from there: then the replay
 * memory of others is not offended when the master changes.
 */
#include <string.h>

#include "vr_int.h"

enum { CARP_LEAVE = 255, CARP_SKEW_MAX = 240, CONFLICT_GAP_MS = 1000 };

/* Implementations without a demotion field hear of it by the skew. */
uint8_t
vr_carp_skew(const struct vr_r *r)
{
	uint16_t skew = r->conf.advskew;

	if (!r->conf.demote_skew || r->demote == 0 || skew >= CARP_SKEW_MAX)
		return (uint8_t)skew;
	skew += r->demote;
	return (uint8_t)(skew < CARP_SKEW_MAX ? skew : CARP_SKEW_MAX);
}

static void
send_with(struct vr *v, struct vr_r *r, bool farewell)
{
	struct vr_advert a = {.csum = r->csum};

	memcpy(a.src, r->conf.own_addr, vr_addr_len(r));
	if (r->conf.proto == VR_CARP) {
		a.advbase = farewell ? CARP_LEAVE : r->conf.advbase;
		a.advskew = farewell ? CARP_LEAVE : vr_carp_skew(r);
		a.demote = vr_carp_demote(r);
		a.counter = ++r->counter;
	} else {
		a.priority = farewell ? 0 : r->priority;
		a.interval_ms = r->conf.interval_ms;
	}
	r->sent++;
	v->sent = true;
	v->ops->send(v->ctx, r->id, &a);
}

void
vr_send(struct vr *v, struct vr_r *r)
{
	ASSERT(r->state == VR_ACTIVE);
	send_with(v, r, false);
}

/* An interface that is down takes no farewell. */
void
vr_send_farewell(struct vr *v, struct vr_r *r)
{
	ASSERT(r->state != VR_ACTIVE);
	r->farewell = false;
	if (v->ifs[r->conf.ifx].down)
		return;
	r->farewells_sent++;
	send_with(v, r, true);
}

static int
cmp_addr(const struct vr_r *r, const struct vr_advert *a)
{
	return memcmp(a->src, r->conf.own_addr, vr_addr_len(r));
}

static bool
is_farewell(const struct vr_r *r, const struct vr_advert *a)
{
	if (r->conf.proto != VR_CARP)
		return a->priority == 0;
	return a->advbase == CARP_LEAVE && a->advskew == CARP_LEAVE;
}

/* In 1/256 s. */
static uint32_t
carp_every(uint32_t base, uint8_t skew)
{
	return base * 256 + skew;
}

static uint32_t
carp_own(const struct vr_r *r)
{
	return carp_every(r->conf.advbase, vr_carp_skew(r));
}

/* In ACTIVE: shall this router give way to the sender? */
static bool
gives_way(const struct vr_r *r, const struct vr_advert *a)
{
	uint32_t own, its;
	uint8_t demote = vr_carp_demote(r);

	if (r->conf.proto != VR_CARP) {
		if (a->priority != r->priority)
			return a->priority > r->priority;
		return cmp_addr(r, a) > 0;
	}
	own = carp_own(r);
	its = carp_every(a->advbase, a->advskew);
	if (a->demote != demote)
		return a->demote < demote;
	if (own != its)
		return own > its;
	return cmp_addr(r, a) < 0;
}

/* In BACKUP: is the sender worse, so that preemption would end it? */
static bool
is_worse(const struct vr_r *r, const struct vr_advert *a)
{
	uint8_t demote = vr_carp_demote(r);

	if (r->conf.proto != VR_CARP)
		return a->priority < r->priority;
	return carp_own(r) < carp_every(a->advbase, a->advskew) &&
	       a->demote >= demote;
}

/* CARP: masters that nobody waits for, preemption or not. */
static bool
is_failing(const struct vr_r *r, const struct vr_advert *a)
{
	uint8_t demote = vr_carp_demote(r);

	if (r->conf.proto != VR_CARP)
		return false;
	if (a->demote > demote)
		return true;
	return r->conf.advbase != 0 &&
	       carp_every((uint32_t)r->conf.advbase * r->conf.dead_ratio,
		   vr_carp_skew(r)) < carp_every(a->advbase, a->advskew);
}

static void
learn(struct vr *v, struct vr_r *r, const struct vr_advert *a)
{
	memcpy(r->master, a->src, sizeof(r->master));
	r->has_master = true;
	r->heard_at = v->now;
	r->master_priority = a->priority;
	r->csum = a->csum;
	/* Or else a word that is late would be taken for a farewell. */
	r->peer_was = vr_is_peer(r, a->src) && !vr_peer_denies(v, r);
	r->waited = r->waiting = false;
	r->worse_at = (monotime_t){0};
	if (r->conf.proto == VR_CARP)
		r->master_us =
		    carp_every(a->advbase, a->advskew) * INT64_C(1000000) / 256;
	else
		r->master_us = (int64_t)a->interval_ms * 1000;
	vr_listen(v, r);
}

/* Counts it; false if it is not to be believed. */
static bool
accept(struct vr *v, struct vr_r *r, const struct vr_advert *a)
{
	if (r->conf.proto != VR_CARP &&
	    (a->interval_ms == 0 ||
		(r->conf.proto == VR_VRRP2 &&
		    a->interval_ms != r->conf.interval_ms))) {
		v->rejects[r->id][0]++;
		return false;
	}
	r->received++;
	if (r->conf.proto == VR_CARP)
		r->counter = a->counter;
	if (is_farewell(r, a))
		r->farewells_received++;
	else if (vr_is_peer(r, a->src))
		v->ifs[r->conf.ifx].speaks = true;
	return true;
}

/* The master goes: the best of the rest comes first. */
static void
hear_farewell(struct vr *v, struct vr_r *r, const struct vr_advert *a)
{
	if (r->has_master && memcmp(a->src, r->master, vr_addr_len(r)) != 0)
		return;
	r->has_master = false;
	r->worse_at = (monotime_t){0};
	if (r->conf.proto == VR_CARP)
		vr_try_take(v, r, "the master said farewell");
	else
		r->down_at = mt_add_us(v->now, vr_skew_us(r));
}

/* From the first worse advert on a preemption is delayed. */
static bool
may_preempt(struct vr *v, struct vr_r *r)
{
	if (!vr_preempts(r))
		return false;
	if (r->preempt_at.us == INT64_MAX)
		r->preempt_at = mt_add_ms(v->now, r->conf.preempt_delay_ms);
	return !mt_before(v->now, r->preempt_at);
}

void
vr_hear_backup(struct vr *v, struct vr_r *r, const struct vr_advert *a)
{
	if (!accept(v, r, a))
		return;
	if (is_farewell(r, a)) {
		hear_farewell(v, r, a);
		return;
	}
	if (is_failing(r, a) && !r->yield) {
		vr_try_take(v, r, "the master says that it is failing");
		return;
	}
	if (!is_worse(r, a)) {
		r->preempt_at = MT_NEVER;
		learn(v, r, a);
		return;
	}
	if (!may_preempt(v, r)) {
		learn(v, r, a);
		return;
	}
	if (!vr_is_peer(r, a->src))
		r->worse_at = mt_add_us(v->now, vr_down_us(r));
	if (r->conf.proto == VR_CARP)
		vr_try_take(v, r, "the master is worse");
}

/* Answers at once, to be heard by whoever learned a worse one's place. */
static void
answer(struct vr *v, struct vr_r *r)
{
	if (mt_before(v->now, r->assert_at))
		return;
	r->assert_at = mt_add_us(v->now, vr_interval_us(r) / 8);
	vr_send(v, r);
}

void
vr_hear_active(struct vr *v, struct vr_r *r, const struct vr_advert *a)
{
	if (!accept(v, r, a))
		return;
	if (is_farewell(r, a)) {
		vr_send(v, r);
		r->advert_at = vr_next_advert(v, r);
		return;
	}
	if (a->priority == VR_OWNER && r->priority == VR_OWNER &&
	    r->conf.proto != VR_CARP) {
		r->conflicts++;
		if (!mt_before(v->now, r->conflict_at)) {
			r->conflict_at = mt_add_ms(v->now, CONFLICT_GAP_MS);
			vr_note(v, r, HAD_WARN, "",
			    "another machine says that it is the owner, too");
		}
	}
	if (vr_peer_weighs(v, r, a->src) ? vr_better(v, r) : !gives_way(r, a)) {
		answer(v, r);
		return;
	}
	vr_go(v, r, VR_BACKUP, false, "a better master is heard");
	learn(v, r, a);
}

/* No election: who else speaks is told to those who decide. */
void
vr_hear_bound(struct vr *v, struct vr_r *r, const struct vr_advert *a)
{
	if (!accept(v, r, a))
		return;
	if (r->state == VR_BACKUP) {
		if (!is_farewell(r, a)) {
			learn(v, r, a);
		} else if (r->has_master &&
			   memcmp(a->src, r->master, vr_addr_len(r)) == 0) {
			r->has_master = false;
			r->down_at = MT_NEVER;
		}
		return;
	}
	ASSERT(r->state == VR_ACTIVE);
	if (is_farewell(r, a)) {
		answer(v, r);
		return;
	}
	r->conflicts++;
	if (!mt_before(v->now, r->conflict_at)) {
		r->conflict_at = mt_add_ms(v->now, CONFLICT_GAP_MS);
		vr_note(v, r, HAD_WARN, "",
		    "another master is heard for an address that a service "
		    "has here");
		v->ops->conflict(v->ctx, r->id, a->src);
	}
	if (!gives_way(r, a))
		answer(v, r);
}
