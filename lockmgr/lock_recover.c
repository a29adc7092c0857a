/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Views, rounds, rebuilding.
 *
 *	INERT, STOPPED --view RUNNING--> SYNC --> REBUILD --> RUNNING
 *
 *	SYNC	every node tells its view to every member, with the view of
 *		the other that it knows.  When both know, they are in session;
 *		when all are in session with all, the round begins.
 *	REBUILD	masters are chosen anew; owners tell what they hold to masters
 *		elsewhere and to new masters here (REBUILD), old masters hand
 *		value blocks over (VALUE), then everybody says TOLD.
 *	RUNNING	when all have said TOLD: new masters fix and grant, then
 *		say READY, and owners send them requests.
 *
 * A resource whose master stays is granted all the time.  Anything new (a
 * view, a SYNC with another view, a lost message) begins the next round.
 */
#include <stdio.h>
#include <string.h>

#include "lock_int.h"

const char *
lk_phase_name(enum lk_phase phase)
{
	static const char *const names[] = {
	    "inert", "stopped", "agreeing", "rebuilding", "running"};

	ASSERT(phase < NITEMS(names));
	return names[phase];
}

static enum lkp_space
space_state(enum lk_phase phase)
{
	return phase == LK_PH_RUNNING   ? LKP_RUNNING
	       : phase <= LK_PH_STOPPED ? LKP_STOPPED
					: LKP_RECOVERING;
}

/* The only place where the phase changes. */
static void
set_phase(struct lk *lk, enum lk_phase phase, const char *why)
{
	enum lk_phase old = lk->phase;

	if (old == phase)
		return;
	lk->phase = phase;
	lk_note(lk,
	    phase == LK_PH_RUNNING || phase <= LK_PH_STOPPED ? HAD_INFO
							     : HAD_DEBUG,
	    "%s -> %s: %s", lk_phase_name(old), lk_phase_name(phase), why);
	if (space_state(old) != space_state(phase))
		lk_client_space(lk, space_state(phase), 0);
}

/* Ends all sessions: frames on the way count no more. */
static void
next_view(struct lk *lk)
{
	if (++lk->round == 0) {
		lk->inst = lk_random(lk);
		lk->round = 1;
	}
	lk->synced = false;
	lk->sync_at = MT_NEVER;
	NODE_FOREACH(id, lk->conf.nodes)
	{
		struct lk_peer *p = &lk->peers[id];

		lk_frames_reset(p);
		p->told = 0;
		p->synced = false;
		p->told_all = false;
		p->ready = false;
	}
	lk_query_abort(lk);
}

static nodeset_t
others(const struct lk *lk)
{
	return (nodeset_t)(lk->view.members & ~NODESET(lk->conf.self));
}

/* RUNNING at last. */
static void
settle(struct lk *lk)
{
	struct lkw_msg ready = {.type = LKW_READY};

	lk->settled = true;
	lk->settled_ring = lk->ring;
	lk->unsettled = 0;
	lk->count.rounds++;
	set_phase(lk, LK_PH_RUNNING, "everybody has told what it holds");
	for (uint32_t i = 0; i < lk->ress_hi; i++) {
		struct lk_res *r = &lk->ress[i];

		if (!r->used || r->master != lk->conf.self)
			continue;
		if (r->frozen)
			lkq_thaw(lk, r);
		else if (r->bast_due)
			lkq_run(lk, r, false);
	}
	NODE_FOREACH(id, others(lk)) lk_frame(lk, id, &ready);
	lk_own_flush_held(lk);
}

static void
check_told(struct lk *lk)
{
	if (lk->phase != LK_PH_REBUILD)
		return;
	NODE_FOREACH(id, others(lk))
	{
		if (!lk->peers[id].told_all)
			return;
	}
	settle(lk);
}

/* A resource finds its master in the new ring. */
static void
remaster(struct lk *lk, struct lk_res *r)
{
	uint8_t master = lk_res_master(r, lk->ring), self = lk->conf.self;
	struct lk_own *o, *next;

	r->refs++;
	if (r->master == self && master != self) {
		struct lkw_msg msg = {.type = LKW_VALUE,
		    .val = r->val,
		    .token = lk->token,
		    .space = r->space,
		    .name = r->name,
		    .name_len = r->name_len};
		bool known = !r->frozen;

		lk_master_drop(lk, r);
		if (known)
			lk_frame(lk, master, &msg);
	} else if (r->master != self && master == self) {
		lk_master_drop(lk, r);
		r->frozen = true;
	}
	r->master = master;
	if (master != self || r->frozen) {
		for (o = TAILQ_FIRST(&r->owns); o != NULL; o = next) {
			next = TAILQ_NEXT(o, on_res);
			lk_own_rebuild(lk, o);
		}
	}
	lk_res_put(lk, r);
}

static void
begin_rebuild(struct lk *lk)
{
	struct lkw_msg told = {.type = LKW_TOLD};

	lk->ring = lk->view.members;
	lk->ring_epoch = lk->view.epoch;
	lk->settled = false;
	lk->unsettled++;
	lk->sync_at = MT_NEVER;
	set_phase(lk, LK_PH_REBUILD, "all members are in session");
	for (uint32_t i = 0; i < lk->ress_hi; i++) {
		if (lk->ress[i].used)
			remaster(lk, &lk->ress[i]);
	}
	told.token = lk->token;
	NODE_FOREACH(id, others(lk)) lk_frame(lk, id, &told);
	check_told(lk);
}

void
lk_round_begin(struct lk *lk)
{
	bool all = true;

	if (lk->phase != LK_PH_SYNC)
		return;
	NODE_FOREACH(id, others(lk))
	{
		if (!lk_met(lk, id))
			return;
		all = all && lk->peers[id].synced;
	}
	if (!lk->synced) {
		lk->synced = true;
		NODE_FOREACH(id, others(lk)) lk_send_sync(lk, id);
	}
	if (all)
		begin_rebuild(lk);
}

void
lk_new_round(struct lk *lk, const char *why)
{
	next_view(lk);
	set_phase(lk, LK_PH_SYNC, why);
	if (others(lk) != 0)
		lk->sync_at = mt_add_ms(lk->now, LK_SYNC_MS);
	NODE_FOREACH(id, others(lk)) lk_send_sync(lk, id);
	lk_round_begin(lk);
}

/* Every lock of this node's clients is void. */
static void
lose(struct lk *lk, uint32_t grace_ms, const char *why)
{
	lk->ring = 0;
	lk->settled_ring = 0;
	lk->settled = false;
	lk->unsettled = 0;
	next_view(lk);
	lk->inst = lk_random(lk);
	set_phase(lk, LK_PH_INERT, why);
	lk_own_lose_all(lk, grace_ms);
	for (uint32_t i = 0; i < lk->ress_hi; i++) {
		if (lk->ress[i].used)
			lk_master_drop(lk, &lk->ress[i]);
	}
	ASSERT(lk->msts_used == 0 && lk->ress_used == 0);
}

/* Arbitration has decided: nodes are dead, their locks void. */
static void
bury(struct lk *lk, nodeset_t dead)
{
	NODE_FOREACH(id, dead & lk->conf.nodes)
	{
		struct lk_peer *p = &lk->peers[id];

		if (id == lk->conf.self || p->view == 0)
			continue;
		p->void_inst = (uint32_t)(p->view >> 32);
		p->view = 0;
		p->echo = 0;
		lk_frames_reset(p);
		lk_master_purge(lk, id);
	}
}

static const char *
must_stop(const struct lk *lk, const struct lk_view *v)
{
	if (v->state == LK_VIEW_DOUBT)
		return "this node may have been declared dead";
	if (v->state == LK_VIEW_STOPPED)
		return "the fate of a node is undecided";
	if (lk->ring & ~(v->members | v->dead))
		return "a member is neither here nor declared dead";
	if ((lk->ring & v->dead & ~NODESET(lk->conf.self)) &&
	    v->epoch <= lk->ring_epoch)
		return "a member died, but the epoch was not raised";
	return NULL;
}

/*
 * After a doubt about this node itself that became one about another: what is
 * mastered here goes on, and with what was held back.
 */
static void
resume_here(struct lk *lk)
{
	if (lk->view.state == LK_VIEW_DOUBT)
		return;
	for (uint32_t i = 0; i < lk->ress_hi; i++) {
		struct lk_res *r = &lk->ress[i];

		if (r->used && r->master == lk->conf.self && r->bast_due)
			lkq_run(lk, r, false);
	}
	lk_own_flush_held(lk);
}

void
lk_view_set(struct lk *lk, const struct lk_view *v)
{
	const char *why;

	ASSERT((v->members & ~lk->conf.nodes) == 0);
	ASSERT(NODESET_HAS(v->members, lk->conf.self));
	ASSERT((v->members & v->dead) == 0);
	if (lk->viewed && lk->view.state == v->state &&
	    lk->view.members == v->members && lk->view.dead == v->dead &&
	    lk->view.epoch == v->epoch)
		return;
	lk->view = *v;
	lk->viewed = true;
	if (v->state == LK_VIEW_LOST || v->state == LK_VIEW_INERT) {
		if (v->state == LK_VIEW_LOST || lk->ring != 0)
			lose(lk, v->grace_ms,
			    "this node may not hold locks now");
		bury(lk, v->dead);
		lk_own_deny_held(lk);
		return;
	}
	why = must_stop(lk, v);
	if (why != NULL) {
		next_view(lk);
		if (v->state == LK_VIEW_RUNNING)
			lk_note(lk, HAD_ERR, "stopped: %s", why);
		set_phase(lk, LK_PH_STOPPED, why);
		resume_here(lk);
		lk_own_deny_held(lk);
		return;
	}
	bury(lk, v->dead);
	lk_new_round(lk, "the members are decided");
}

void
lk_round_sync(struct lk *lk, uint8_t from, const struct lkw_hdr *h,
    const struct lkw_sync *s)
{
	struct lk_peer *p = &lk->peers[from];
	uint32_t inst = (uint32_t)(h->src >> 32);
	bool changed = p->view != h->src;

	if (p->view != 0 && p->view >> 32 != inst) {
		/* Another daemon, or one that lost its locks. */
		lk_note(lk, HAD_INFO, "node %u begins anew: its locks are void",
		    from);
		lk_master_purge(lk, from);
		lk_token_leap(lk);
	}
	if (p->void_inst != inst)
		p->void_inst = 0;
	p->view = h->src;
	p->echo = h->dst;
	p->members = s->members;
	p->synced = s->synced && h->dst == lk_my_view(lk);
	if (changed)
		lk_frames_reset(p);
	if (s->void_inst == lk->inst && lk->phase != LK_PH_INERT) {
		lk_note(lk, HAD_ERR, "node %u has voided the locks of this one",
		    from);
		lose(lk, 0, "declared dead by a peer");
		if (lk->view.state == LK_VIEW_RUNNING)
			lk_new_round(lk, "joining again");
		return;
	}
	if (lk->phase < LK_PH_SYNC || !NODESET_HAS(lk->view.members, from))
		return;
	if (changed && (lk->phase != LK_PH_SYNC || lk->synced)) {
		lk_new_round(lk, "a member is in another round");
		return;
	}
	if (p->told != p->view || p->echo != lk_my_view(lk))
		lk_send_sync(lk, from);
	lk_round_begin(lk);
}

void
lk_round_msg(struct lk *lk, uint8_t from, const struct lkw_msg *msg)
{
	struct lk_peer *p = &lk->peers[from];

	if (msg->type == LKW_READY) {
		p->ready = true;
		lk_own_flush_held(lk);
		return;
	}
	if (lk->phase != LK_PH_REBUILD || p->told_all) {
		lk_bad(lk, from, "it has told all before");
		return;
	}
	p->told_all = true;
	if (lk->token < msg->token)
		lk->token = msg->token;
	lk_master_sweep(lk, from);
	check_told(lk);
}

void
lk_round_timer(struct lk *lk)
{
	if (mt_before(lk->now, lk->sync_at))
		return;
	if (lk->phase != LK_PH_SYNC) {
		lk_new_round(lk, "a node sent what cannot be");
		return;
	}
	lk->sync_at = mt_add_ms(lk->now, LK_SYNC_MS);
	NODE_FOREACH(id, others(lk)) lk_send_sync(lk, id);
}
