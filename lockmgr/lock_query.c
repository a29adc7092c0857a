/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QUERY: who holds and who waits for a resource, asked of its master.
 */
#include "lock_int.h"

static void
done(struct lk *lk, struct lk_client *c, uint64_t cookie, uint8_t space,
    enum lke err, uint32_t rows)
{
	struct lkp_ans a = {.type = LKP_DONE,
	    .mode = LKM_IV,
	    .rqmode = LKM_IV,
	    .space = space,
	    .status = err,
	    .cookie = cookie,
	    .arg = rows};

	lk_client_put(lk, c, &a);
}

void
lk_query_client(struct lk *lk, struct lk_client *c, const struct lkp_req *q)
{
	struct lk_query *slot = NULL;
	struct lkw_msg msg = {.type = LKW_QUERY};
	uint8_t master;

	if (q->name_len == 0 || q->flags != 0 || q->timeout_ms != 0 ||
	    q->lock != 0) {
		done(lk, c, q->cookie, q->space, LKE_INVAL, 0);
		return;
	}
	if (q->space >= lk->conf.n_spaces || !(c->opened >> q->space & 1)) {
		done(lk, c, q->cookie, q->space, LKE_NOENT, 0);
		return;
	}
	for (unsigned i = 0; i < LK_QUERIES_MAX; i++) {
		if (lk->queries[i].client == NULL)
			slot = &lk->queries[i];
	}
	master = lk_master_of(
	    lk->ring, lk->spaces[q->space].name, q->name, q->name_len);
	if (slot == NULL || master == 0 ||
	    (master != lk->conf.self &&
		(!lk_in_session(lk, master) || !lk->peers[master].ready))) {
		done(lk, c, q->cookie, q->space, LKE_AGAIN, 0);
		return;
	}
	slot->client = c;
	slot->cookie = q->cookie;
	slot->space = q->space;
	slot->node = master;
	slot->id = ++lk->query_id;
	msg.lock = slot->id;
	msg.space = lk->spaces[q->space].hash;
	msg.name = q->name;
	msg.name_len = q->name_len;
	if (master == lk->conf.self)
		lk_query_master(lk, master, &msg);
	else
		lk_frame(lk, master, &msg);
}

static void
reply(struct lk *lk, uint8_t to, const struct lkw_msg *msg)
{
	if (to == lk->conf.self)
		lk_query_answer(lk, to, msg);
	else
		lk_frame(lk, to, msg);
}

static uint32_t
rows(
    struct lk *lk, uint8_t to, uint64_t id, const struct lk_mstq *q, uint32_t n)
{
	const struct lk_mst *m;

	TAILQ_FOREACH (m, q, on_queue) {
		struct lkw_msg msg = {.type = LKW_ROW,
		    .lock = id,
		    .state = m->state,
		    .gr = m->gr,
		    .rq = m->rq,
		    .pid = m->pid,
		    .token = m->token,
		    .qseq = (uint64_t)mt_sub_us(lk->now, m->since) / 1000,
		    .oseq = m->node};

		if (n++ < LK_ROWS_MAX)
			reply(lk, to, &msg);
	}
	return n;
}

void
lk_query_master(struct lk *lk, uint8_t from, const struct lkw_msg *msg)
{
	const struct lk_res *r =
	    lk_res_find(lk, msg->space, msg->name, msg->name_len);
	struct lkw_msg end = {.type = LKW_ROWS, .lock = msg->lock};
	uint32_t n = 0;

	if (r != NULL) {
		n = rows(lk, from, msg->lock, &r->granted, n);
		n = rows(lk, from, msg->lock, &r->converting, n);
		n = rows(lk, from, msg->lock, &r->waiting, n);
	}
	end.oseq = n;
	reply(lk, from, &end);
}

void
lk_query_answer(struct lk *lk, uint8_t from, const struct lkw_msg *msg)
{
	struct lk_query *q = NULL;
	struct lkp_ans a = {.type = LKP_ROW,
	    .mode = msg->gr,
	    .rqmode = msg->rq,
	    .token = msg->token,
	    .pid = msg->pid,
	    .node = (uint8_t)msg->oseq};

	for (unsigned i = 0; i < LK_QUERIES_MAX; i++) {
		if (lk->queries[i].client != NULL &&
		    lk->queries[i].id == msg->lock &&
		    lk->queries[i].node == from)
			q = &lk->queries[i];
	}
	if (q == NULL)
		return; /* its client is gone */
	if (msg->type == LKW_ROWS) {
		done(lk, q->client, q->cookie, q->space, LKE_OK, msg->oseq);
		q->client = NULL;
		return;
	}
	a.cookie = q->cookie;
	a.space = q->space;
	a.ms = msg->qseq > UINT32_MAX ? UINT32_MAX : (uint32_t)msg->qseq;
	a.flags = msg->state == MST_WAITING      ? LKP_F_WAITING
		  : msg->state == MST_CONVERTING ? LKP_F_CONVERTING
						 : 0;
	lk_client_put(lk, q->client, &a);
}

void
lk_query_forget(struct lk *lk, const struct lk_client *c)
{
	for (unsigned i = 0; i < LK_QUERIES_MAX; i++) {
		if (lk->queries[i].client == c)
			lk->queries[i].client = NULL;
	}
}

void
lk_query_abort(struct lk *lk)
{
	for (unsigned i = 0; i < LK_QUERIES_MAX; i++) {
		struct lk_query *q = &lk->queries[i];

		if (q->client != NULL)
			done(lk, q->client, q->cookie, q->space, LKE_AGAIN, 0);
		q->client = NULL;
	}
}
