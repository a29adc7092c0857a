/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of clients: checked here, carried out on owner records; answers
 * are kept until the end of the step and leave as one message per client.
 */
#include <string.h>

#include "lock_int.h"

/* Answers. */

void
lk_client_flush(struct lk *lk)
{
	struct lk_client *c;

	while ((c = STAILQ_FIRST(&lk->dirty)) != NULL) {
		uint32_t i = c->out_head;
		unsigned n = 0;

		STAILQ_REMOVE_HEAD(&lk->dirty, on_dirty);
		c->dirty = false;
		c->out_head = c->out_tail = LK_NONE;
		while (i != LK_NONE) {
			lkp_put_ans(lk->msg_out + LKP_HDR_LEN + n * LKP_ANS_LEN,
			    &lk->outs[i].ans);
			i = lk->outs[i].next;
			if (++n < LKP_BATCH_MAX && i != LK_NONE)
				continue;
			lkp_put_hdr(lk->msg_out, n);
			lk->ops->client(lk->ctx, (uint32_t)(c - lk->clients),
			    lk->msg_out, LKP_HDR_LEN + n * LKP_ANS_LEN);
			n = 0;
		}
	}
	lk->outs_used = 0;
}

void
lk_client_put(struct lk *lk, struct lk_client *c, const struct lkp_ans *a)
{
	uint32_t i;

	ASSERT(c->used);
	if (lk->outs_used == LK_OUT_MAX)
		lk_client_flush(lk);
	i = lk->outs_used++;
	lk->outs[i].ans = *a;
	lk->outs[i].next = LK_NONE;
	if (!c->dirty) {
		c->dirty = true;
		STAILQ_INSERT_TAIL(&lk->dirty, c, on_dirty);
		c->out_head = i;
	} else {
		lk->outs[c->out_tail].next = i;
	}
	c->out_tail = i;
}

void
lk_client_done(
    struct lk *lk, const struct lk_own *o, uint64_t cookie, enum lke err)
{
	struct lkp_ans a = {.type = LKP_DONE,
	    .mode = o->state == OWN_UNLOCK ? LKM_IV : o->gr,
	    .rqmode = LKM_IV,
	    .space = o->space,
	    .status = err,
	    .cookie = cookie,
	    .lock = lk_own_id(lk, o)};

	if (o->client != NULL)
		lk_client_put(lk, o->client, &a);
}

static void
refuse(
    struct lk *lk, struct lk_client *c, const struct lkp_req *q, enum lke err)
{
	struct lkp_ans a = {.type = LKP_DONE,
	    .mode = LKM_IV,
	    .rqmode = LKM_IV,
	    .space = q->space,
	    .status = err,
	    .cookie = q->cookie,
	    .lock = q->lock};

	lk_client_put(lk, c, &a);
}

void
lk_client_space(struct lk *lk, enum lkp_space what, uint32_t ms)
{
	for (uint32_t i = 0; i < lk->conf.clients_max; i++) {
		struct lk_client *c = &lk->clients[i];

		for (uint8_t s = 0; c->used && s < lk->conf.n_spaces; s++) {
			struct lkp_ans a = {.type = LKP_SPACE,
			    .mode = LKM_IV,
			    .rqmode = LKM_IV,
			    .space = s,
			    .arg = what,
			    .ms = ms};

			if (c->opened >> s & 1)
				lk_client_put(lk, c, &a);
		}
	}
}

/* Requests. */

static void
do_open(struct lk *lk, struct lk_client *c, const struct lkp_req *q)
{
	struct lkp_ans a = {.type = LKP_OPENED,
	    .mode = LKM_IV,
	    .rqmode = LKM_IV,
	    .status = LKE_NOENT,
	    .cookie = q->cookie,
	    .node = lk->conf.self};

	for (uint8_t i = 0; i < lk->conf.n_spaces; i++) {
		const char *name = lk->spaces[i].name;

		if (strlen(name) != q->name_len ||
		    memcmp(name, q->name, q->name_len) != 0)
			continue;
		a.space = i;
		a.status = c->may >> i & 1 ? LKE_OK : LKE_PERM;
	}
	if (a.status == LKE_OK) {
		c->opened |= (uint16_t)(1u << a.space);
		a.arg = lk->phase == LK_PH_RUNNING   ? LKP_RUNNING
			: lk->phase <= LK_PH_STOPPED ? LKP_STOPPED
						     : LKP_RECOVERING;
	}
	lk_client_put(lk, c, &a);
}

static bool
uid_at_quota(const struct lk *lk, const struct lk_client *c)
{
	uint32_t n = 0;

	if (lk->conf.uid_locks_max == 0 || c->uid == 0)
		return false;
	for (uint32_t i = 0; i < lk->conf.clients_max; i++) {
		if (lk->clients[i].used && lk->clients[i].uid == c->uid)
			n += lk->clients[i].locks;
	}
	return n >= lk->conf.uid_locks_max;
}

static enum lke
check_lock(
    const struct lk *lk, const struct lk_client *c, const struct lkp_req *q)
{
	const uint32_t no_wait = LKF_NOQUEUE | LKF_NOQUEUEBAST;

	if (q->mode >= LKM_COUNT || q->name_len == 0 || q->lock != 0)
		return LKE_INVAL;
	if (q->flags & ~(uint32_t)LKF_ALL)
		return LKE_INVAL;
	if (q->flags & (LKF_QUECVT | LKF_IVVALBLK))
		return LKE_INVAL;
	if ((q->flags & LKF_EXPEDITE) &&
	    (q->mode != LKM_NL || (q->flags & (no_wait | LKF_NOORDER))))
		return LKE_INVAL;
	if ((q->flags & no_wait) && q->timeout_ms != 0)
		return LKE_INVAL;
	if (q->space >= lk->conf.n_spaces || !(c->opened >> q->space & 1))
		return LKE_NOENT;
	if (lk->conf.client_locks_max != 0 &&
	    c->locks >= lk->conf.client_locks_max)
		return LKE_DQUOT;
	if (uid_at_quota(lk, c))
		return LKE_DQUOT;
	if (lk->spaces[q->space].locks >= lk->spaces[q->space].locks_max)
		return LKE_NOLCK;
	return LKE_OK;
}

/* Sends a request; the client hears if it waits. */
static void
submit(struct lk *lk, struct lk_own *o, const struct lkp_req *q)
{
	struct lkp_ans a = {.type = LKP_QUEUED,
	    .mode = LKM_IV,
	    .rqmode = q->mode,
	    .space = o->space,
	    .cookie = q->cookie,
	    .lock = lk_own_id(lk, o)};
	struct lk_client *c = o->client;

	o->cookie = q->cookie;
	o->flags = q->flags & ~(uint32_t)LKF_BAST;
	o->bast = (q->flags & LKF_BAST) != 0;
	o->rq = q->mode;
	o->oseq++;
	o->sent = false;
	o->cancelling = false;
	o->cancel_answer = false;
	memcpy(o->wval, q->value, sizeof(o->wval));
	if (q->timeout_ms != 0)
		lk_own_deadline(lk, o, mt_add_ms(lk->now, q->timeout_ms));
	lk_own_submit(lk, o);
	/* It may be done already, or even gone. */
	o = lk_own_find(lk, a.lock);
	if (o != NULL && (o->state == OWN_REQUEST || o->state == OWN_CONVERT))
		lk_client_put(lk, c, &a);
}

static void
do_lock(struct lk *lk, struct lk_client *c, const struct lkp_req *q)
{
	enum lke err = check_lock(lk, c, q);
	struct lk_own *o = NULL;
	struct lk_res *r;

	if (err != LKE_OK) {
		refuse(lk, c, q, err);
		return;
	}
	r = lk_res_get(lk, lk->spaces[q->space].hash, q->name, q->name_len);
	if (r != NULL) {
		o = lk_own_new(lk, r);
		lk_res_put(lk, r);
	}
	if (o == NULL) {
		refuse(lk, c, q, LKE_NOLCK);
		return;
	}
	o->client = c;
	o->space = q->space;
	o->pid = c->pid;
	lk->spaces[q->space].locks++;
	c->locks++;
	TAILQ_INSERT_TAIL(&c->owns, o, on_client);
	submit(lk, o, q);
}

static enum lke
check_convert(const struct lk_own *o, const struct lkp_req *q)
{
	const uint32_t no_wait = LKF_NOQUEUE | LKF_NOQUEUEBAST;

	if (q->mode >= LKM_COUNT || q->name_len != 0)
		return LKE_INVAL;
	if ((q->flags & ~(uint32_t)LKF_ALL) || (q->flags & LKF_EXPEDITE))
		return LKE_INVAL;
	if ((q->flags & LKF_VALBLK) && (q->flags & LKF_IVVALBLK))
		return LKE_INVAL;
	if ((q->flags & no_wait) && q->timeout_ms != 0)
		return LKE_INVAL;
	if (o->state != OWN_GRANTED)
		return LKE_BUSY;
	/* Only a writer can say that the value is not valid. */
	if ((q->flags & LKF_IVVALBLK) &&
	    ((o->gr != LKM_PW && o->gr != LKM_EX) || q->mode > o->gr))
		return LKE_INVAL;
	return LKE_OK;
}

static void
do_convert(struct lk *lk, struct lk_own *o, const struct lkp_req *q)
{
	enum lke err = check_convert(o, q);

	if (err != LKE_OK) {
		refuse(lk, o->client, q, err);
		return;
	}
	o->state = OWN_CONVERT;
	submit(lk, o, q);
}

static void
do_unlock(struct lk *lk, struct lk_own *o, const struct lkp_req *q)
{
	enum lke err = LKE_OK;

	if ((q->flags & ~(uint32_t)(LKF_VALBLK | LKF_IVVALBLK)) ||
	    q->timeout_ms != 0 || q->name_len != 0 ||
	    q->flags == (LKF_VALBLK | LKF_IVVALBLK))
		err = LKE_INVAL;
	else if (o->state != OWN_GRANTED)
		err = LKE_BUSY;
	else if ((q->flags & LKF_IVVALBLK) && o->gr != LKM_PW &&
		 o->gr != LKM_EX)
		err = LKE_INVAL;
	if (err != LKE_OK) {
		refuse(lk, o->client, q, err);
		return;
	}
	o->cookie = q->cookie;
	o->flags = q->flags;
	memcpy(o->wval, q->value, sizeof(o->wval));
	o->state = OWN_UNLOCK;
	o->oseq++;
	o->sent = false;
	lk_own_submit(lk, o);
}

static void
do_cancel(struct lk *lk, struct lk_own *o, const struct lkp_req *q)
{
	struct lk_client *c = o->client;

	if (q->flags != 0 || q->timeout_ms != 0 || q->name_len != 0 ||
	    (o->state != OWN_REQUEST && o->state != OWN_CONVERT)) {
		refuse(lk, c, q, LKE_INVAL);
	} else if (o->cancelling) {
		refuse(lk, c, q, LKE_BUSY);
	} else if (o->state == OWN_REQUEST) {
		lk_own_cancel(lk, o, LKE_CANCELED);
		refuse(lk, c, q, LKE_OK);
	} else {
		o->cancel_answer = true;
		o->cancel_cookie = q->cookie;
		lk_own_cancel(lk, o, LKE_CANCELED);
	}
}

/* CONVERT, UNLOCK, CANCEL: of a lock that this client has. */
static void
do_existing(struct lk *lk, struct lk_client *c, const struct lkp_req *q)
{
	struct lk_own *o = lk_own_find(lk, q->lock);

	if (o == NULL || o->client != c)
		refuse(lk, c, q, LKE_NOENT);
	else if (q->op == LKP_CONVERT)
		do_convert(lk, o, q);
	else if (q->op == LKP_UNLOCK)
		do_unlock(lk, o, q);
	else
		do_cancel(lk, o, q);
}

static void
dispatch(struct lk *lk, struct lk_client *c, const struct lkp_req *q)
{
	switch (q->op) {
	case LKP_OPEN:
		do_open(lk, c, q);
		break;
	case LKP_LOCK:
		do_lock(lk, c, q);
		break;
	case LKP_CONVERT:
	case LKP_UNLOCK:
	case LKP_CANCEL:
		do_existing(lk, c, q);
		break;
	case LKP_QUERY:
		lk_query_client(lk, c, q);
		break;
	default:
		ASSERT(!"an operation that the codec let pass");
	}
}

static void
hang_up(struct lk *lk, struct lk_client *c, const char *why)
{
	struct lkp_ans a = {.type = LKP_ERROR,
	    .mode = LKM_IV,
	    .rqmode = LKM_IV,
	    .status = LKE_PROTO};
	uint32_t id = (uint32_t)(c - lk->clients);

	lk->count.bad_messages++;
	lk_note(lk, HAD_WARN, "client pid %u: %s", c->pid, why);
	lk_client_put(lk, c, &a);
	lk_client_flush(lk);
	lk->ops->client_close(lk->ctx, id, why);
	lk_client_eof(lk, id);
}

void
lk_client_msg(struct lk *lk, uint32_t client, const uint8_t *bytes, size_t len)
{
	struct lk_client *c;
	struct lkp_req q;
	const char *why;
	int n;

	ASSERT(client < lk->conf.clients_max);
	c = &lk->clients[client];
	if (!c->used)
		return; /* was hung up on; this was on the way */
	n = lkp_get_hdr(bytes, len, LKP_REQ_LEN, &why);
	if (n < 0) {
		hang_up(lk, c, why);
		return;
	}
	for (int i = 0; i < n; i++) {
		if (lkp_get_req(&q, bytes + LKP_HDR_LEN + i * LKP_REQ_LEN,
			&why) == -1) {
			hang_up(lk, c, why);
			return;
		}
		dispatch(lk, c, &q);
	}
}

void
lk_client_open(struct lk *lk, const struct lk_event *ev)
{
	struct lk_client *c;

	ASSERT(ev->u.open.client < lk->conf.clients_max);
	c = &lk->clients[ev->u.open.client];
	ASSERT(!c->used);
	memset(c, 0, sizeof(*c));
	TAILQ_INIT(&c->owns);
	c->used = true;
	c->uid = ev->u.open.uid;
	c->gid = ev->u.open.gid;
	c->pid = ev->u.open.pid;
	c->may = ev->u.open.spaces;
	c->out_head = c->out_tail = LK_NONE;
}

void
lk_client_eof(struct lk *lk, uint32_t client)
{
	struct lk_client *c;
	struct lk_own *o;

	ASSERT(client < lk->conf.clients_max);
	c = &lk->clients[client];
	if (!c->used)
		return;
	while ((o = TAILQ_FIRST(&c->owns)) != NULL)
		lk_own_drop(lk, o, LKW_F_DEAD);
	ASSERT(c->locks == 0);
	lk_query_forget(lk, c);
	if (c->dirty)
		STAILQ_REMOVE(&lk->dirty, c, lk_client, on_dirty);
	c->dirty = false;
	c->used = false;
}
