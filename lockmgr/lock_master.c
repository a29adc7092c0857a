/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The master's side: what owners ask for and tell.
 *
 * A record remembers the number of the last request of its owner, so that a
 * request that is told again after a broken session is done once: an equal
 * number gets its outcome again, a higher one is new.
 */
#include <string.h>

#include "lock_int.h"

static void
tell_simple(struct lk *lk, uint8_t node, uint8_t type, const struct lkw_msg *to)
{
	struct lkw_msg msg = {.type = type, .lock = to->lock, .oseq = to->oseq};

	lk_to_owner(lk, node, &msg);
}

static void
take_request(struct lk_mst *m, const struct lkw_msg *msg)
{
	m->oseq = msg->oseq;
	m->flags = msg->flags & LKF_ALL;
	m->bast = (msg->flags & LKF_BAST) != 0;
	m->rq = msg->rq;
	m->err = LKE_OK;
	memcpy(m->wval, msg->wval, sizeof(m->wval));
}

static void
on_request(struct lk *lk, uint8_t from, const struct lkw_msg *msg)
{
	struct lk_res *r = lk_res_get(lk, msg->space, msg->name, msg->name_len);
	struct lkw_msg deny = {.type = LKW_DENY,
	    .lock = msg->lock,
	    .oseq = msg->oseq,
	    .err = LKE_NOLCK};
	struct lk_mst *m = NULL;

	if (r != NULL && (r->master != lk->conf.self ||
			     lk_mst_find(lk, from, msg->lock) != NULL)) {
		lk_bad(lk, from, "a request that is not for this master");
		lk_res_put(lk, r);
		return;
	}
	if (r != NULL)
		m = lk_mst_new(lk, r, from, msg->lock);
	if (m == NULL) {
		lk_to_owner(lk, from, &deny);
	} else {
		take_request(m, msg);
		m->pid = msg->pid;
		if (r->frozen)
			lkq_insert(r, m, MST_WAITING);
		else
			lkq_request(lk, r, m);
	}
	if (r != NULL)
		lk_res_put(lk, r);
}

static void
do_convert(struct lk *lk, struct lk_mst *m, const struct lkw_msg *msg)
{
	struct lk_res *r = m->res;

	if (m->state != MST_GRANTED) {
		lk_bad(lk, m->node, "a conversion of a lock that waits");
		return;
	}
	take_request(m, msg);
	if (!r->frozen) {
		lkq_convert(lk, r, m);
		return;
	}
	lkq_remove(r, m);
	lkq_insert(r, m, MST_CONVERTING);
}

static void
on_unlock(struct lk *lk, uint8_t from, const struct lkw_msg *msg)
{
	struct lk_mst *m = lk_mst_find(lk, from, msg->lock);

	if (m == NULL) {
		tell_simple(lk, from, LKW_UNLOCKED, msg);
		return;
	}
	m->oseq = msg->oseq;
	lkq_unlock(lk, m->res, m, msg->flags, msg->wval);
}

/* Rebuilding. */

/*
 * Nobody may hold the resource at this moment; what is known of its value has
 * to stay, because others may still tell that they do.
 */
static void
keep(struct lk_res *r)
{
	ASSERT(r->frozen);
	if (!r->kept)
		r->refs++;
	r->kept = true;
}

void
lk_master_unkeep(struct lk *lk, struct lk_res *r)
{
	bool kept = r->kept;

	r->kept = false;
	r->val_told = false;
	if (kept)
		lk_res_put(lk, r);
}

static void
merge_value(struct lk_res *r, const struct lkw_val *v)
{
	if (v->seq > r->val.seq)
		r->val = *v;
}

/*
 * The write of a request that may or may not have reached the old master:
 * nobody else could write while its owner held PW or EX, so it is the next
 * one after what the owner has read.
 */
static void
merge_write(struct lk_res *r, const struct lkw_msg *msg)
{
	struct lkw_val v = {.seq = msg->val.seq + 1};

	if (msg->gr != LKM_PW && msg->gr != LKM_EX)
		return;
	if (msg->flags & (LKF_IVVALBLK | LKW_F_DEAD)) {
		merge_value(r, &v);
	} else if (msg->flags & LKF_VALBLK) {
		memcpy(v.bytes, msg->wval, sizeof(v.bytes));
		v.valid = true;
		merge_value(r, &v);
	}
}

/* A lock that this new master has not heard of. */
static void
adopt(struct lk *lk, uint8_t from, struct lk_res *r, const struct lkw_msg *msg)
{
	struct lk_mst *m;

	if (msg->gr != LKM_IV)
		merge_value(r, &msg->val);
	if (msg->state == OWN_UNLOCK) {
		merge_write(r, msg);
		keep(r);
		tell_simple(lk, from, LKW_UNLOCKED, msg);
		return;
	}
	m = lk_mst_new(lk, r, from, msg->lock);
	if (m == NULL) {
		tell_simple(lk, from, LKW_GONE, msg);
		return;
	}
	take_request(m, msg);
	m->gr = msg->gr;
	m->pid = msg->pid;
	m->token = msg->token;
	m->qseq = msg->qseq;
	if (r->qseq < m->qseq)
		r->qseq = m->qseq;
	if (msg->state == OWN_CONVERT && lkq_weaker(msg->gr, msg->rq)) {
		/* It will be granted whatever comes; its write is here. */
		merge_write(r, msg);
		m->flags &= ~(uint32_t)(LKF_VALBLK | LKF_IVVALBLK);
	}
	lkq_insert(r, m,
	    msg->state == OWN_GRANTED   ? MST_GRANTED
	    : msg->state == OWN_CONVERT ? MST_CONVERTING
					: MST_WAITING);
}

/* A lock that is known here; its owner and this master compare. */
static void
compare(struct lk *lk, struct lk_mst *m, const struct lkw_msg *msg)
{
	struct lk_res *r = m->res;

	m->round = lk->round;
	m->basted = 0;
	r->bast_due = true;
	if (msg->oseq != m->oseq) {
		if (msg->state == OWN_CONVERT)
			do_convert(lk, m, msg);
		else if (msg->state == OWN_UNLOCK)
			on_unlock(lk, m->node, msg);
		else
			m->oseq = msg->oseq;
		return;
	}
	if (msg->state != OWN_REQUEST && msg->state != OWN_CONVERT)
		return;
	if (m->state != MST_GRANTED) {
		if (!r->frozen)
			lkq_tell_queued(lk, r, m);
	} else if (m->err != LKE_OK) {
		lkq_tell_deny(lk, m, m->err);
	} else if (msg->state != OWN_CONVERT || m->gr == msg->rq) {
		lkq_tell_grant(lk, m);
	}
}

/* Do state and modes of a told lock fit? */
static bool
told_well(const struct lkw_msg *msg)
{
	switch (msg->state) {
	case OWN_REQUEST:
		return msg->gr == LKM_IV && msg->rq != LKM_IV;
	case OWN_GRANTED:
		return msg->gr != LKM_IV && msg->rq == LKM_IV;
	case OWN_CONVERT:
		return msg->gr != LKM_IV && msg->rq != LKM_IV;
	case OWN_UNLOCK:
		return msg->rq == LKM_IV;
	default:
		return false;
	}
}

static void
on_rebuild(struct lk *lk, uint8_t from, const struct lkw_msg *msg)
{
	struct lk_res *r = lk_res_get(lk, msg->space, msg->name, msg->name_len);
	struct lk_mst *m = lk_mst_find(lk, from, msg->lock);

	if (r == NULL) {
		tell_simple(lk, from, LKW_GONE, msg);
		return;
	}
	if (lk->token < msg->token)
		lk->token = msg->token;
	if (r->master != lk->conf.self || !told_well(msg) ||
	    (m != NULL && m->res != r))
		lk_bad(lk, from, "told of a lock that cannot be");
	else if (m != NULL)
		compare(lk, m, msg);
	else if (r->frozen)
		adopt(lk, from, r, msg);
	else if (msg->state == OWN_REQUEST)
		on_request(lk, from, msg);
	else if (msg->state == OWN_UNLOCK)
		tell_simple(lk, from, LKW_UNLOCKED, msg);
	else
		/* This master never lost it, so it was voided here. */
		tell_simple(lk, from, LKW_GONE, msg);
	lk_res_put(lk, r);
}

/* The old master of a resource that moved here hands the value block over. */
static void
on_value(struct lk *lk, uint8_t from, const struct lkw_msg *msg)
{
	struct lk_res *r = lk_res_get(lk, msg->space, msg->name, msg->name_len);

	if (r == NULL)
		return; /* full: without it the value is not valid */
	if (r->master != lk->conf.self || !r->frozen) {
		lk_bad(lk, from, "a value for a resource that did not move");
		lk_res_put(lk, r);
		return;
	}
	merge_value(r, &msg->val);
	r->val_told = true;
	keep(r);
	lk_res_put(lk, r);
}

void
lk_master_msg(struct lk *lk, uint8_t from, const struct lkw_msg *msg)
{
	struct lk_mst *m;

	switch (msg->type) {
	case LKW_REQUEST:
		on_request(lk, from, msg);
		break;
	case LKW_CONVERT:
		m = lk_mst_find(lk, from, msg->lock);
		if (m == NULL)
			tell_simple(lk, from, LKW_GONE, msg);
		else
			do_convert(lk, m, msg);
		break;
	case LKW_UNLOCK:
		on_unlock(lk, from, msg);
		break;
	case LKW_CANCEL:
		m = lk_mst_find(lk, from, msg->lock);
		if (m != NULL && m->oseq == msg->oseq)
			lkq_cancel(lk, m->res, m);
		break;
	case LKW_REBUILD:
		on_rebuild(lk, from, msg);
		break;
	case LKW_VALUE:
		on_value(lk, from, msg);
		break;
	default:
		lk_bad(lk, from, "not a message for a master");
	}
}

static void
void_lock(struct lk *lk, struct lk_mst *m)
{
	struct lk_res *r = m->res;

	r->refs++;
	if (m->gr == LKM_PW || m->gr == LKM_EX)
		lkq_invalidate(r);
	lkq_remove(r, m);
	lk_mst_free(lk, m);
	lkq_run(lk, r, false);
	lk_res_put(lk, r);
}

void
lk_master_purge(struct lk *lk, uint8_t node)
{
	for (uint32_t i = 0; i < lk->msts_hi; i++) {
		struct lk_mst *m = &lk->msts[i];

		if (m->res != NULL && m->node == node)
			void_lock(lk, m);
	}
}

void
lk_master_sweep(struct lk *lk, uint8_t node)
{
	for (uint32_t i = 0; i < lk->msts_hi; i++) {
		struct lk_mst *m = &lk->msts[i];

		if (m->res != NULL && m->node == node && m->round != lk->round)
			void_lock(lk, m);
	}
}

static void
drop_queue(struct lk *lk, struct lk_res *r, struct lk_mstq *q)
{
	struct lk_mst *m;

	while ((m = TAILQ_FIRST(q)) != NULL) {
		lkq_remove(r, m);
		lk_mst_free(lk, m);
	}
}

void
lk_master_drop(struct lk *lk, struct lk_res *r)
{
	r->refs++;
	drop_queue(lk, r, &r->granted);
	drop_queue(lk, r, &r->converting);
	drop_queue(lk, r, &r->waiting);
	memset(&r->val, 0, sizeof(r->val));
	r->qseq = 0;
	r->bast_for = 0;
	r->bast_due = false;
	r->frozen = false;
	lk_master_unkeep(lk, r);
	lk_res_put(lk, r);
}
