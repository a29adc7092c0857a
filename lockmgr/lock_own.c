/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The owner's side: the locks of this node's clients.  A lock has at most one
 * request on the way; every request is completed once, here.
 */
#include <string.h>

#include "lock_int.h"

bool
lk_own_reachable(const struct lk *lk, const struct lk_res *r)
{
	if (r->master == 0 || lk->view.state == LK_VIEW_DOUBT)
		return false;
	if (r->master == lk->conf.self)
		return !r->frozen;
	return lk_in_session(lk, r->master) && lk->peers[r->master].ready;
}

static void
hold(struct lk *lk, struct lk_own *o)
{
	if (o->held)
		return;
	o->held = true;
	TAILQ_INSERT_TAIL(&lk->held, o, on_held);
}

static void
unhold(struct lk *lk, struct lk_own *o)
{
	if (!o->held)
		return;
	o->held = false;
	TAILQ_REMOVE(&lk->held, o, on_held);
}

/* A message about o with everything that any type needs. */
static struct lkw_msg
about(const struct lk *lk, const struct lk_own *o, uint8_t type)
{
	struct lkw_msg m = {.type = type,
	    .gr = o->gr,
	    .rq = o->rq,
	    .state = o->state,
	    .name_len = o->res->name_len,
	    .oseq = o->oseq,
	    .flags = o->flags | (o->bast ? LKF_BAST : 0),
	    .pid = o->pid,
	    .lock = lk_own_id(lk, o),
	    .token = o->token,
	    .qseq = o->qseq,
	    .space = o->res->space,
	    .val = o->val,
	    .name = o->res->name};

	memcpy(m.wval, o->wval, sizeof(m.wval));
	return m;
}

static void
send_cancel(struct lk *lk, struct lk_own *o)
{
	struct lkw_msg msg = about(lk, o, LKW_CANCEL);

	lk_to_master(lk, o->res->master, &msg);
}

/* The answer to the CANCEL of a conversion that came to its end. */
static void
end_cancel(struct lk *lk, struct lk_own *o, enum lke err)
{
	if (o->cancel_answer)
		lk_client_done(lk, o, o->cancel_cookie, err);
	o->cancelling = false;
	o->cancel_answer = false;
}

/* The request failed. */
static void
denied(struct lk *lk, struct lk_own *o, enum lke err)
{
	bool canceled = err == LKE_CANCELED;

	ASSERT(o->state == OWN_REQUEST || o->state == OWN_CONVERT);
	lk_own_deadline(lk, o, MT_NEVER);
	if (canceled && o->cancelling)
		err = o->cancel_why;
	unhold(lk, o);
	o->rq = LKM_IV;
	o->qseq = 0;
	if (o->state == OWN_REQUEST) {
		lk_client_done(lk, o, o->cookie, err);
		lk_own_free(lk, o);
		return;
	}
	o->state = OWN_GRANTED;
	lk_client_done(lk, o, o->cookie, err);
	end_cancel(lk, o, canceled ? LKE_OK : LKE_INVAL);
}

static bool
deny_unsent(const struct lk *lk, const struct lk_own *o)
{
	return (o->state == OWN_REQUEST || o->state == OWN_CONVERT) &&
	       !o->sent && (o->flags & (LKF_NOQUEUE | LKF_NOQUEUEBAST)) &&
	       (lk->phase == LK_PH_INERT || lk->phase == LK_PH_STOPPED);
}

void
lk_own_submit(struct lk *lk, struct lk_own *o)
{
	static const uint8_t type[] = {
	    [OWN_REQUEST] = LKW_REQUEST,
	    [OWN_CONVERT] = LKW_CONVERT,
	    [OWN_UNLOCK] = LKW_UNLOCK,
	};
	struct lkw_msg msg;

	ASSERT(o->state != OWN_FREE && o->state != OWN_GRANTED);
	if (!lk_own_reachable(lk, o->res)) {
		if (deny_unsent(lk, o))
			denied(lk, o, LKE_AGAIN);
		else
			hold(lk, o);
		return;
	}
	o->sent = true;
	msg = about(lk, o, type[o->state]);
	lk_to_master(lk, o->res->master, &msg);
}

void
lk_own_flush_held(struct lk *lk)
{
	struct lk_own *o;
	unsigned n = 0;

	/* A grant may take others off the list, so begin at its head anew. */
	TAILQ_FOREACH (o, &lk->held, on_held)
		n++;
	while (n-- > 0 && (o = TAILQ_FIRST(&lk->held)) != NULL) {
		unhold(lk, o);
		if (!lk_own_reachable(lk, o->res))
			hold(lk, o);
		else if (!o->sent)
			lk_own_submit(lk, o);
		else if (o->cancelling)
			send_cancel(lk, o);
	}
}

void
lk_own_deny_held(struct lk *lk)
{
	struct lk_own *o, *next;

	for (o = TAILQ_FIRST(&lk->held); o != NULL; o = next) {
		next = TAILQ_NEXT(o, on_held);
		if (deny_unsent(lk, o) && !lk_own_reachable(lk, o->res))
			denied(lk, o, LKE_AGAIN);
	}
}

void
lk_own_rebuild(struct lk *lk, struct lk_own *o)
{
	struct lkw_msg msg = about(lk, o, LKW_REBUILD);

	unhold(lk, o);
	o->sent = true;
	if (o->cancelling)
		hold(lk, o); /* CANCEL follows when the master is ready */
	lk_to_master(lk, o->res->master, &msg);
}

void
lk_own_drop(struct lk *lk, struct lk_own *o, uint32_t flags)
{
	lk_own_deadline(lk, o, MT_NEVER);
	if (o->client != NULL) {
		TAILQ_REMOVE(&o->client->owns, o, on_client);
		o->client->locks--;
		o->client = NULL;
	}
	if (o->state == OWN_UNLOCK)
		return;
	if (o->state == OWN_REQUEST && !o->sent) {
		lk_own_free(lk, o);
		return;
	}
	unhold(lk, o);
	o->state = OWN_UNLOCK;
	o->rq = LKM_IV;
	o->oseq++;
	o->flags = flags;
	o->sent = false;
	o->cancelling = false;
	o->cancel_answer = false;
	lk_own_submit(lk, o);
}

void
lk_own_cancel(struct lk *lk, struct lk_own *o, enum lke why)
{
	ASSERT(o->state == OWN_REQUEST || o->state == OWN_CONVERT);
	lk_own_deadline(lk, o, MT_NEVER);
	if (o->state == OWN_REQUEST) {
		lk_client_done(lk, o, o->cookie, why);
		lk_own_drop(lk, o, 0);
		return;
	}
	o->cancelling = true;
	o->cancel_why = (uint8_t)why;
	if (!o->sent)
		denied(lk, o, LKE_CANCELED);
	else if (lk_own_reachable(lk, o->res))
		send_cancel(lk, o);
	else
		hold(lk, o);
}

void
lk_own_timeouts(struct lk *lk)
{
	struct lk_own *o;

	while ((o = lk_own_first_deadline(lk)) != NULL &&
	       !mt_before(lk->now, o->deadline)) {
		lk->count.timeouts++;
		lk_own_cancel(lk, o, LKE_TIMEDOUT);
	}
}

/* Loss. */

static void
lose(struct lk *lk, struct lk_own *o)
{
	/* An UNLOCK, too: its value may not have been written. */
	if (o->state != OWN_GRANTED)
		lk_client_done(lk, o, o->cookie, LKE_STALE);
	end_cancel(lk, o, LKE_STALE);
	lk_own_free(lk, o);
}

void
lk_own_lose_all(struct lk *lk, uint32_t grace_ms)
{
	lk_client_space(lk, LKP_LOST_ALL, grace_ms);
	for (uint32_t i = 0; i < lk->owns_hi; i++) {
		if (lk->owns[i].state != OWN_FREE)
			lose(lk, &lk->owns[i]);
	}
	ASSERT(lk->owns_used == 0 && TAILQ_EMPTY(&lk->held));
}

static void
gone(struct lk *lk, struct lk_own *o)
{
	struct lkp_ans a = {.type = LKP_LOST,
	    .mode = o->gr,
	    .rqmode = LKM_IV,
	    .space = o->space,
	    .status = LKE_STALE,
	    .lock = lk_own_id(lk, o)};

	if (o->client != NULL && o->gr != LKM_IV && o->state != OWN_UNLOCK)
		lk_client_put(lk, o->client, &a);
	lose(lk, o);
}

/* Messages of the master. */

/* Does a grant of mode to a lock in old transfer the value to its owner? */
static bool
value_read(uint8_t old, uint8_t mode)
{
	if (old == LKM_IV)
		return true;
	return mode >= old && old != LKM_EX &&
	       !(old == LKM_PW && mode == LKM_PW);
}

static void
on_grant(struct lk *lk, struct lk_own *o, const struct lkw_msg *msg)
{
	struct lkp_ans a = {.type = LKP_DONE,
	    .mode = msg->gr,
	    .rqmode = LKM_IV,
	    .space = o->space,
	    .cookie = o->cookie,
	    .lock = lk_own_id(lk, o),
	    .token = msg->token};

	if ((o->flags & LKF_VALBLK) && value_read(o->gr, msg->gr)) {
		a.flags = LKP_F_VALUE;
		if (msg->val.valid)
			memcpy(a.value, msg->val.bytes, sizeof(a.value));
	}
	/* A writer hears whether it counts, too. */
	if (!msg->val.valid)
		a.flags |= LKP_F_NOTVALID;
	lk_own_deadline(lk, o, MT_NEVER);
	unhold(lk, o);
	o->gr = msg->gr;
	o->rq = LKM_IV;
	o->token = msg->token;
	o->val = msg->val;
	o->qseq = 0;
	o->since = lk->now;
	o->state = OWN_GRANTED;
	o->blocker_node = 0;
	if (o->client != NULL)
		lk_client_put(lk, o->client, &a);
	end_cancel(lk, o, LKE_INVAL);
}

static void
on_bast(struct lk *lk, const struct lk_own *o, uint8_t blocked)
{
	struct lkp_ans a = {.type = LKP_BAST,
	    .mode = blocked,
	    .rqmode = LKM_IV,
	    .space = o->space,
	    .lock = lk_own_id(lk, o)};

	if (o->client != NULL && o->bast && o->state != OWN_UNLOCK &&
	    !lkm_compat(o->gr, blocked))
		lk_client_put(lk, o->client, &a);
}

void
lk_owner_msg(struct lk *lk, uint8_t from, const struct lkw_msg *msg)
{
	struct lk_own *o = lk_own_find(lk, msg->lock);
	bool pending;

	if (o == NULL || o->res->master != from)
		return; /* an answer that was overtaken by the end of it */
	pending = (o->state == OWN_REQUEST || o->state == OWN_CONVERT) &&
		  o->oseq == msg->oseq;
	switch (msg->type) {
	case LKW_QUEUED:
		if (!pending)
			break;
		o->qseq = msg->qseq;
		o->blocker_node = msg->blocker_node;
		o->blocker_mode = msg->blocker_mode;
		o->blocker_pid = msg->blocker_pid;
		break;
	case LKW_GRANT:
		if (pending && msg->gr == o->rq)
			on_grant(lk, o, msg);
		break;
	case LKW_DENY:
		if (pending)
			denied(lk, o, msg->err);
		break;
	case LKW_UNLOCKED:
		if (o->state == OWN_UNLOCK && o->oseq == msg->oseq) {
			lk_client_done(lk, o, o->cookie, LKE_OK);
			lk_own_free(lk, o);
		}
		break;
	case LKW_BAST:
		on_bast(lk, o, msg->rq);
		break;
	case LKW_GONE:
		gone(lk, o);
		break;
	default:
		lk_bad(lk, from, "not a message for an owner");
	}
}
