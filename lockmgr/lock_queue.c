/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queues of a resource on its master: who is granted, who waits, who is
 * told.  A lock is on one of three queues:
 *
 *	request -> waiting -> granted <-> converting
 *
 * A converting lock still holds its granted mode.
 */
#include <string.h>

#include "lock_int.h"

static struct lk_mstq *
queue_of(struct lk_res *r, unsigned state)
{
	ASSERT(state != MST_FREE);
	return state == MST_GRANTED      ? &r->granted
	       : state == MST_CONVERTING ? &r->converting
					 : &r->waiting;
}

/* Keeps the counts by mode; n is 1 or -1. */
static void
count(struct lk_res *r, const struct lk_mst *m, int n)
{
	if (m->state != MST_WAITING)
		r->holders[m->gr] += (uint32_t)n;
	if (m->state != MST_GRANTED) {
		r->wanted[m->rq] += (uint32_t)n;
		if (m->flags & LKF_NOORDER)
			r->noorder += (uint32_t)n;
	}
}

void
lkq_insert(struct lk_res *r, struct lk_mst *m, enum lk_mst_state state)
{
	struct lk_mstq *q = queue_of(r, state);
	struct lk_mst *x;

	ASSERT(m->state == MST_FREE && m->res == r);
	ASSERT((state == MST_WAITING) == (m->gr == LKM_IV));
	ASSERT((state == MST_GRANTED) == (m->rq == LKM_IV));
	m->state = (uint8_t)state;
	count(r, m, 1);
	if (state != MST_WAITING)
		r->bast_due = true;
	if (state == MST_GRANTED || m->qseq == 0) {
		TAILQ_INSERT_TAIL(q, m, on_queue);
		return;
	}
	/* By place; the end is the usual one.  Unknown places come last. */
	TAILQ_FOREACH_REVERSE(x, q, lk_mstq, on_queue)
	{
		if (x->qseq != 0 && x->qseq < m->qseq)
			break;
	}
	if (x == NULL)
		TAILQ_INSERT_HEAD(q, m, on_queue);
	else
		TAILQ_INSERT_AFTER(q, x, m, on_queue);
}

void
lkq_remove(struct lk_res *r, struct lk_mst *m)
{
	count(r, m, -1);
	TAILQ_REMOVE(queue_of(r, m->state), m, on_queue);
	m->state = MST_FREE;
}

uint64_t
lk_token_next(struct lk *lk)
{
	uint64_t least = lk->view.epoch << LK_TOKEN_SHIFT;

	if (lk->token < least)
		lk->token = least;
	return ++lk->token;
}

void
lk_token_leap(struct lk *lk)
{
	lk_token_next(lk);
	lk->token += 1ULL << 32;
}

/* What owners are told. */

void
lkq_tell_grant(struct lk *lk, const struct lk_mst *m)
{
	struct lkw_msg msg = {.type = LKW_GRANT,
	    .lock = m->lock,
	    .oseq = m->oseq,
	    .gr = m->gr,
	    .token = m->token,
	    .val = m->res->val};

	lk_to_owner(lk, m->node, &msg);
}

void
lkq_tell_deny(struct lk *lk, const struct lk_mst *m, enum lke err)
{
	struct lkw_msg msg = {.type = LKW_DENY,
	    .lock = m->lock,
	    .oseq = m->oseq,
	    .err = (uint8_t)err};

	lk_to_owner(lk, m->node, &msg);
}

void
lkq_tell_queued(struct lk *lk, const struct lk_res *r, struct lk_mst *m)
{
	bool ahead;
	const struct lk_mst *b = lkq_blocker(r, m, &ahead);
	struct lkw_msg msg = {.type = LKW_QUEUED,
	    .lock = m->lock,
	    .oseq = m->oseq,
	    .qseq = m->qseq};

	if (b != NULL) {
		msg.blocker_node = b->node;
		msg.blocker_mode = ahead ? b->rq : b->gr;
		msg.blocker_pid = b->pid;
		m->told_node = b->node;
		m->told_lock = b->lock;
	}
	lk_to_owner(lk, m->node, &msg);
}

/* Rules. */

/* Is the wanted mode of m in conflict with what any other lock holds? */
static bool
conflict(const struct lk_res *r, const struct lk_mst *m)
{
	for (unsigned mode = 0; mode < LKM_COUNT; mode++) {
		uint32_t n = r->holders[mode];

		if (m->state != MST_FREE && m->gr == mode)
			n--;
		if (n > 0 && !lkm_compat(mode, m->rq))
			return true;
	}
	return false;
}

/*
 * The grant rules, in their order.  now: the first evaluation, m does not
 * wait yet (a conversion is on the granted queue, a new one on none).
 */
static bool
grantable(
    const struct lk_res *r, const struct lk_mst *m, bool now, bool recover)
{
	bool conv = m->gr != LKM_IV;

	/* 1. EXPEDITE is a new NL: it conflicts with nothing. */
	if (m->flags & LKF_EXPEDITE)
		return true;
	/* 2. A conflict with what is held. */
	if (conflict(r, m))
		return false;
	/* 3. In a recovery nobody knows the order of conversions. */
	if (conv && recover)
		return true;
	/* 4. A conversion in place; QUECVT: only if nobody converts. */
	if (conv && now)
		return !(m->flags & LKF_QUECVT) || TAILQ_EMPTY(&r->converting);
	/* 5. NOORDER does not respect the queue. */
	if (m->flags & LKF_NOORDER)
		return true;
	/* 6. First come, first served; conversions before new requests. */
	if (conv)
		return TAILQ_FIRST(&r->converting) == m;
	if (!TAILQ_EMPTY(&r->converting))
		return false;
	return now ? TAILQ_EMPTY(&r->waiting) : TAILQ_FIRST(&r->waiting) == m;
}

/*
 * A converter waits for those ahead of it; is one of them waiting for a mode
 * that it holds?  x goes to the end of the queue, so nobody is behind it.
 */
static bool
conversion_deadlock(const struct lk_res *r, const struct lk_mst *x)
{
	const struct lk_mst *y;

	TAILQ_FOREACH (y, &r->converting, on_queue) {
		if (y != x && !lkm_compat(x->gr, y->rq))
			return true;
	}
	return false;
}

const struct lk_mst *
lkq_blocker(const struct lk_res *r, const struct lk_mst *m, bool *ahead)
{
	const struct lk_mst *x;

	ASSERT(m->rq != LKM_IV);
	*ahead = false;
	TAILQ_FOREACH (x, &r->granted, on_queue) {
		if (x != m && !lkm_compat(x->gr, m->rq))
			return x;
	}
	TAILQ_FOREACH (x, &r->converting, on_queue) {
		if (x != m && !lkm_compat(x->gr, m->rq))
			return x;
	}
	/* Nobody holds it: somebody is ahead in the queue. */
	*ahead = true;
	x = TAILQ_FIRST(&r->converting);
	if (x != NULL && x != m)
		return x;
	x = TAILQ_FIRST(&r->waiting);
	return x != m && m->gr == LKM_IV ? x : NULL;
}

/* Value block. */

void
lkq_invalidate(struct lk_res *r)
{
	/* Counts as a write: an older copy must not come back as valid. */
	r->val.seq++;
	r->val.valid = false;
}

static void
value_write(struct lk_res *r, uint32_t flags, const uint8_t *wval)
{
	if (flags & LKF_IVVALBLK) {
		lkq_invalidate(r);
	} else if (flags & LKF_VALBLK) {
		memcpy(r->val.bytes, wval, sizeof(r->val.bytes));
		r->val.seq++;
		r->val.valid = true;
	}
}

/* Grants. */

static void
grant(struct lk *lk, struct lk_res *r, struct lk_mst *m)
{
	uint8_t old = m->gr;

	if (m->state != MST_FREE)
		lkq_remove(r, m);
	/* From PW or EX to an equal or lower mode the value is written. */
	if ((old == LKM_EX || old == LKM_PW) && m->rq <= old)
		value_write(r, m->flags, m->wval);
	m->gr = m->rq;
	m->rq = LKM_IV;
	m->err = LKE_OK;
	m->basted = 0;
	m->told_node = 0;
	m->qseq = 0;
	m->since = lk->now;
	m->token = lk_token_next(lk);
	lkq_insert(r, m, MST_GRANTED);
	lk->count.grants++;
	lkq_tell_grant(lk, m);
}

static unsigned
wanted_modes(const struct lk_res *r)
{
	unsigned mask = 0;

	for (unsigned i = 0; i < LKM_COUNT; i++)
		mask |= (unsigned)(r->wanted[i] > 0) << i;
	return mask;
}

/* The highest of the wanted modes that a holder is in the way of. */
static uint8_t
highest_blocked(uint8_t held, unsigned mask)
{
	for (unsigned i = LKM_COUNT; i-- > 0;) {
		if ((mask >> i & 1) && !lkm_compat(held, i))
			return (uint8_t)i;
	}
	return LKM_IV;
}

static void
bast_queue(struct lk *lk, struct lk_mstq *q, unsigned mask, bool forget)
{
	struct lk_mst *m;

	TAILQ_FOREACH (m, q, on_queue) {
		uint8_t high = highest_blocked(m->gr, mask);
		struct lkw_msg msg = {
		    .type = LKW_BAST, .lock = m->lock, .rq = high};

		if (forget)
			m->basted &= (uint8_t)mask;
		if (high == LKM_IV || !m->bast || (m->basted >> high & 1))
			continue;
		m->basted |= (uint8_t)(1u << high);
		lk->count.bast_sent++;
		lk_to_owner(lk, m->node, &msg);
	}
}

/* One BAST to each conflicting holder, with the highest waiting mode. */
static void
send_basts(struct lk *lk, struct lk_res *r)
{
	unsigned mask = wanted_modes(r);

	if (mask == r->bast_for && (!r->bast_due || mask == 0))
		return;
	bast_queue(lk, &r->granted, mask, true);
	bast_queue(lk, &r->converting, mask, true);
	r->bast_for = (uint8_t)mask;
	r->bast_due = false;
}

/* The owner of the first in a queue is told when its blocker changes. */
static void
refresh_blocker(struct lk *lk, const struct lk_res *r, struct lk_mst *m)
{
	const struct lk_mst *b;
	bool ahead;

	if (m == NULL || m->node == lk->conf.self)
		return;
	b = lkq_blocker(r, m, &ahead);
	if (b != NULL && (b->node != m->told_node || b->lock != m->told_lock))
		lkq_tell_queued(lk, r, m);
}

void
lkq_run(struct lk *lk, struct lk_res *r, bool recover)
{
	struct lk_mst *m, *next;

	if (r->frozen)
		return;
	if (lk->view.state == LK_VIEW_DOUBT) {
		r->bast_due = true; /* looked at again by settle */
		return;
	}
	for (m = TAILQ_FIRST(&r->converting); m != NULL; m = next) {
		next = TAILQ_NEXT(m, on_queue);
		if (!grantable(r, m, false, recover))
			continue;
		grant(lk, r, m);
		next = TAILQ_FIRST(&r->converting);
	}
	for (m = TAILQ_FIRST(&r->waiting); m != NULL; m = next) {
		next = TAILQ_NEXT(m, on_queue);
		if (grantable(r, m, false, recover))
			grant(lk, r, m);
		else if (r->noorder == 0)
			break;
	}
	send_basts(lk, r);
	refresh_blocker(lk, r, TAILQ_FIRST(&r->converting));
	refresh_blocker(lk, r, TAILQ_FIRST(&r->waiting));
}

/* Somebody does not wait, but those in its way hear of it. */
static void
noqueue_basts(struct lk *lk, struct lk_res *r, const struct lk_mst *m)
{
	if (!(m->flags & LKF_NOQUEUEBAST))
		return;
	bast_queue(lk, &r->granted, 1u << m->rq, false);
	bast_queue(lk, &r->converting, 1u << m->rq, false);
	/* Not a waiter: the next one has to be told anew. */
	r->bast_due = true;
	r->bast_for = 0xff;
}

static void
enqueue(struct lk *lk, struct lk_res *r, struct lk_mst *m)
{
	m->qseq = ++r->qseq;
	lkq_insert(r, m, m->gr == LKM_IV ? MST_WAITING : MST_CONVERTING);
	lkq_tell_queued(lk, r, m);
}

void
lkq_request(struct lk *lk, struct lk_res *r, struct lk_mst *m)
{
	ASSERT(!r->frozen && m->state == MST_FREE && m->gr == LKM_IV);
	if (grantable(r, m, true, false)) {
		grant(lk, r, m);
		lkq_run(lk, r, false);
	} else if (m->flags & (LKF_NOQUEUE | LKF_NOQUEUEBAST)) {
		noqueue_basts(lk, r, m);
		lkq_tell_deny(lk, m, LKE_AGAIN);
		lk_mst_free(lk, m);
	} else {
		enqueue(lk, r, m);
		send_basts(lk, r);
	}
}

static void
convert_denied(struct lk *lk, struct lk_mst *m, enum lke err)
{
	ASSERT(m->state == MST_GRANTED || m->state == MST_FREE);
	m->rq = LKM_IV;
	m->err = (uint8_t)err;
	if (err == LKE_DEADLK)
		lk->count.deadlocks++;
	lkq_tell_deny(lk, m, err);
}

void
lkq_convert(struct lk *lk, struct lk_res *r, struct lk_mst *m)
{
	ASSERT(!r->frozen && m->state == MST_GRANTED && m->rq != LKM_IV);
	if (grantable(r, m, true, false)) {
		/* grant() takes it off the queue by its state: granted. */
		grant(lk, r, m);
		lkq_run(lk, r, false);
	} else if (m->flags & (LKF_NOQUEUE | LKF_NOQUEUEBAST)) {
		noqueue_basts(lk, r, m);
		convert_denied(lk, m, LKE_AGAIN);
	} else if (conversion_deadlock(r, m)) {
		convert_denied(lk, m, LKE_DEADLK);
	} else {
		lkq_remove(r, m);
		enqueue(lk, r, m);
		send_basts(lk, r);
	}
}

void
lkq_unlock(struct lk *lk, struct lk_res *r, struct lk_mst *m, uint32_t flags,
    const uint8_t *wval)
{
	struct lkw_msg msg = {
	    .type = LKW_UNLOCKED, .lock = m->lock, .oseq = m->oseq};
	uint8_t node = m->node;

	if (m->gr == LKM_PW || m->gr == LKM_EX) {
		/* What a dead writer left half done is not to be trusted. */
		if (flags & LKW_F_DEAD)
			flags |= LKF_IVVALBLK;
		value_write(r, flags, wval);
	}
	if (m->state != MST_FREE)
		lkq_remove(r, m);
	/* Keep r while m's reference goes. */
	r->refs++;
	lk_mst_free(lk, m);
	lk_to_owner(lk, node, &msg);
	lkq_run(lk, r, false);
	lk_res_put(lk, r);
}

void
lkq_cancel(struct lk *lk, struct lk_res *r, struct lk_mst *m)
{
	if (m->state != MST_CONVERTING)
		return; /* its outcome is on the way */
	lkq_remove(r, m);
	m->rq = LKM_IV;
	m->qseq = 0;
	m->told_node = 0;
	lkq_insert(r, m, MST_GRANTED);
	convert_denied(lk, m, LKE_CANCELED);
	lkq_run(lk, r, false);
}

/* Recovery. */

bool
lkq_weaker(uint8_t old, uint8_t mode)
{
	for (unsigned i = 0; i < LKM_COUNT; i++) {
		if (lkm_compat(old, i) && !lkm_compat(mode, i))
			return false;
	}
	return true;
}

/*
 * Who waits on a resource that was rebuilt: places anew, NOQUEUE refused,
 * deadlocks found, owners told.
 */
static void
settle_waiters(struct lk *lk, struct lk_res *r, struct lk_mstq *q)
{
	struct lk_mst *m, *next;

	for (m = TAILQ_FIRST(q); m != NULL; m = next) {
		bool conv = m->state == MST_CONVERTING;
		enum lke err = LKE_OK;

		next = TAILQ_NEXT(m, on_queue);
		if (m->flags & (LKF_NOQUEUE | LKF_NOQUEUEBAST)) {
			err = LKE_AGAIN;
		} else if (conv) {
			for (struct lk_mst *y = TAILQ_FIRST(q); y != m;
			     y = TAILQ_NEXT(y, on_queue))
				if (!lkm_compat(m->gr, y->rq))
					err = LKE_DEADLK;
		}
		if (err == LKE_OK) {
			if (m->qseq == 0)
				m->qseq = ++r->qseq;
			lkq_tell_queued(lk, r, m);
			continue;
		}
		lkq_remove(r, m);
		if (conv) {
			m->rq = LKM_IV;
			m->qseq = 0;
			lkq_insert(r, m, MST_GRANTED);
			convert_denied(lk, m, err);
		} else {
			lkq_tell_deny(lk, m, err);
			lk_mst_free(lk, m);
		}
	}
}

/*
 * A resource that was rebuilt.  Conversions are granted out of order where
 * they can be: the dead master may have granted one without its owner hearing
 * of it, and then nobody holds what would be in its way, whatever is held
 * since.
 */
void
lkq_thaw(struct lk *lk, struct lk_res *r)
{
	ASSERT(r->frozen && r->master == lk->conf.self);
	r->refs++;
	r->frozen = false;
	/* A value whose last writer is not proven is not valid. */
	if (!r->val_told && r->holders[LKM_CW] + r->holders[LKM_PR] +
				    r->holders[LKM_PW] + r->holders[LKM_EX] ==
				0)
		lkq_invalidate(r);
	lk_master_unkeep(lk, r);
	r->bast_due = true;
	r->bast_for = 0xff;
	lkq_run(lk, r, true);
	settle_waiters(lk, r, &r->converting);
	settle_waiters(lk, r, &r->waiting);
	/* Refusals may have opened the way for others. */
	lkq_run(lk, r, false);
	lk_res_put(lk, r);
}
