/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A world for tests of the lock core: up to three nodes wired together by
 * queues that lose nothing and keep the order, clients that remember what
 * they hold, and a judge that checks every grant (I3).
 */
#ifndef LOCK_WORLD_H
#define LOCK_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lock.h"
#include "lock_wire.h"

/* A search makes many worlds; it may want them smaller. */
#ifndef W_ANS
#define W_ANS 512
#define W_LOCKS 64
#define W_QUEUE 4096
#endif

enum { W_NODES = 3, W_CLIENTS = 4 };

struct w_msg {
	uint8_t from, to;
	unsigned life; /* of the sender */
	size_t len;
	uint8_t *bytes; /* owned */
};

/* What a client knows of a lock. */
struct w_lock {
	uint64_t id, token;
	uint8_t res; /* its name is one letter */
	uint8_t mode;
	uint8_t want; /* of a request that is on its way, LKM_IV: none */
	bool unlocking;
};

struct w_client {
	bool open;
	struct lkp_ans ans[W_ANS]; /* not looked at yet */
	unsigned n_ans, seen;
	struct w_lock locks[W_LOCKS];
	unsigned pending; /* requests without a DONE */
	bool closed; /* by the daemon */
	char why[128];
};

struct w_node {
	struct lk *lk; /* owned; NULL: dead */
	unsigned life;
	monotime_t timer;
	struct lk_view view;
	struct w_client clients[W_CLIENTS];
};

struct world {
	monotime_t now;
	unsigned nodes;
	uint64_t seed, cookie;
	struct w_node node[W_NODES + 1]; /* by id */
	struct w_msg queue[W_QUEUE]; /* in the order of sending */
	unsigned n_queue;
	uint64_t token[256][LKM_COUNT]; /* highest per resource and mode */
	unsigned grants;
	bool verbose;
	struct w_ctx {
		struct world *w; /* borrowed */
		uint8_t id;
	} ctx[W_NODES + 1];
};

static inline bool
w_compatible(uint8_t a, uint8_t b)
{
	/* Written down again, from the table of the design. */
	static const char *const table[] = {
	    "yyyyyy", "yyyyyn", "yyynnn", "yynynn", "yynnnn", "ynnnnn"};

	return table[a][b] == 'y';
}

static inline bool
w_weaker(uint8_t a, uint8_t b)
{
	for (uint8_t i = 0; i < LKM_COUNT; i++)
		if (w_compatible(b, i) && !w_compatible(a, i))
			return false;
	return true;
}

/* What a client holds for certain while a conversion may be done already. */
static inline uint8_t
w_holds(const struct w_lock *l)
{
	if (l->id == 0 || l->mode == LKM_IV || l->unlocking)
		return LKM_IV;
	if (l->want == LKM_IV || w_weaker(l->mode, l->want))
		return l->mode;
	return w_weaker(l->want, l->mode) ? l->want : LKM_CR;
}

/* I3: what clients hold is compatible. */
static inline void
w_judge(struct world *w)
{
	struct {
		uint8_t res, mode;
	} all[W_NODES * W_CLIENTS * W_LOCKS];
	unsigned n = 0;

	for (unsigned i = 1; i <= w->nodes; i++)
		for (unsigned c = 0; w->node[i].lk != NULL && c < W_CLIENTS;
		     c++)
			for (unsigned l = 0; l < W_LOCKS; l++) {
				struct w_lock *x =
				    &w->node[i].clients[c].locks[l];

				all[n].res = x->res;
				all[n].mode = w_holds(x);
				n += all[n].mode != LKM_IV;
			}
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = i + 1; j < n; j++)
			if (all[i].res == all[j].res &&
			    !w_compatible(all[i].mode, all[j].mode))
				fail_msg("resource %c: %s beside %s",
				    all[i].res, lkm_name(all[i].mode),
				    lkm_name(all[j].mode));
}

static inline struct w_lock *
w_find(struct w_client *c, uint64_t id)
{
	for (unsigned i = 0; id != 0 && i < W_LOCKS; i++)
		if (c->locks[i].id == id)
			return &c->locks[i];
	return NULL;
}

static inline void
w_new_lock(struct w_client *c, uint64_t id, uint8_t res, uint8_t want)
{
	for (unsigned i = 0; i < W_LOCKS; i++)
		if (c->locks[i].id == 0) {
			c->locks[i] = (struct w_lock){
			    .id = id, .res = res, .mode = LKM_IV, .want = want};
			return;
		}
	fail_msg("too many locks for the test");
}

/* Cookies say which resource and mode a LOCK was for: serial, mode, name. */
static inline uint64_t
w_cookie(struct world *w, uint8_t op, uint8_t res, uint8_t mode)
{
	return ++w->cookie << 24 | (uint64_t)op << 16 | (uint64_t)mode << 8 |
	       res;
}

static inline void
w_granted(struct world *w, struct w_lock *l, const struct lkp_ans *a)
{
	l->mode = a->mode;
	l->token = a->token;
	l->want = LKM_IV;
	/* Of two that exclude one another the later has the higher token. */
	for (uint8_t m = 0; m < LKM_COUNT; m++)
		if (!w_compatible(a->mode, m) &&
		    a->token <= w->token[l->res][m])
			fail_msg("resource %c: token %llx after %llx", l->res,
			    (unsigned long long)a->token,
			    (unsigned long long)w->token[l->res][m]);
	if (w->token[l->res][a->mode] < a->token)
		w->token[l->res][a->mode] = a->token;
	w->grants++;
	w_judge(w);
}

static inline void
w_done(struct world *w, struct w_client *c, const struct lkp_ans *a)
{
	uint8_t op = (uint8_t)(a->cookie >> 16);
	struct w_lock *l = w_find(c, a->lock);

	assert_true(c->pending > 0);
	c->pending--;
	if (op == LKP_LOCK) {
		if (l == NULL && a->status == LKE_OK) {
			w_new_lock(c, a->lock, (uint8_t)a->cookie, 0);
			l = w_find(c, a->lock);
		}
		if (a->status == LKE_OK)
			w_granted(w, l, a);
		else if (l != NULL)
			l->id = 0;
	} else if (op == LKP_CONVERT && l != NULL) {
		if (a->status == LKE_OK)
			w_granted(w, l, a);
		else if (a->status != LKE_BUSY)
			l->want = LKM_IV;
	} else if (op == LKP_UNLOCK && l != NULL && a->status == LKE_OK) {
		l->id = 0;
	}
}

static inline void
w_take(struct world *w, struct w_client *c, const struct lkp_ans *a)
{
	struct w_lock *l = w_find(c, a->lock);

	if (a->type == LKP_DONE) {
		w_done(w, c, a);
	} else if (a->type == LKP_QUEUED) {
		if (l == NULL)
			w_new_lock(c, a->lock, (uint8_t)a->cookie, a->rqmode);
	} else if (a->type == LKP_LOST && l != NULL) {
		l->id = 0;
	} else if (a->type == LKP_SPACE && a->arg == LKP_LOST_ALL) {
		/* Requests that were waiting are completed by DONE. */
		for (unsigned i = 0; i < W_LOCKS; i++)
			c->locks[i].id = 0;
	}
	assert_true(c->n_ans < W_ANS);
	c->ans[c->n_ans++] = *a;
}

/* The ops. */

static inline void
w_send(void *ctx, uint8_t peer, const uint8_t *bytes, size_t len)
{
	struct world *w = ((struct w_ctx *)ctx)->w;
	uint8_t id = ((struct w_ctx *)ctx)->id;
	struct w_msg *m;

	assert_in_range(peer, 1, w->nodes);
	assert_true(w->n_queue < W_QUEUE);
	m = &w->queue[w->n_queue++];
	m->from = id;
	m->to = peer;
	m->life = w->node[id].life;
	m->len = len;
	m->bytes = malloc(len);
	memcpy(m->bytes, bytes, len);
}

static inline void
w_client(void *ctx, uint32_t client, const uint8_t *bytes, size_t len)
{
	struct world *w = ((struct w_ctx *)ctx)->w;
	uint8_t id = ((struct w_ctx *)ctx)->id;
	const char *why;
	int n = lkp_get_hdr(bytes, len, LKP_ANS_LEN, &why);

	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		struct lkp_ans a;

		assert_int_equal(
		    lkp_get_ans(
			&a, bytes + LKP_HDR_LEN + i * LKP_ANS_LEN, &why),
		    0);
		w_take(w, &w->node[id].clients[client], &a);
	}
}

static inline void
w_close(void *ctx, uint32_t client, const char *why)
{
	struct world *w = ((struct w_ctx *)ctx)->w;
	uint8_t id = ((struct w_ctx *)ctx)->id;

	w->node[id].clients[client].closed = true;
	memset(w->node[id].clients[client].locks, 0,
	    sizeof(w->node[id].clients[client].locks));
	snprintf(w->node[id].clients[client].why,
	    sizeof(w->node[id].clients[client].why), "%s", why);
}

static inline void
w_timer(void *ctx, monotime_t at)
{
	struct world *w = ((struct w_ctx *)ctx)->w;
	uint8_t id = ((struct w_ctx *)ctx)->id;

	w->node[id].timer = at;
}

static inline void
w_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	struct world *w = ((struct w_ctx *)ctx)->w;
	uint8_t id = ((struct w_ctx *)ctx)->id;

	(void)rule;
	if (w->verbose)
		fprintf(stderr, "%10.3f node %u <%d> %s: %s\n",
		    (double)w->now.us / 1000, id, level, object, text);
}

static const struct lk_ops w_ops = {
    .send = w_send,
    .client = w_client,
    .client_close = w_close,
    .timer = w_timer,
    .note = w_note,
};

/* Moves. */

static inline void
w_step(struct world *w, uint8_t id, struct lk_event *ev)
{
	w->now.us += 10;
	ev->now = w->now;
	lk_step(w->node[id].lk, ev);
}

static inline void
w_boot_with(struct world *w, uint8_t id, const struct lk_conf *conf)
{
	struct w_node *n = &w->node[id];
	struct lk_event ev = {.type = LK_EV_START};

	assert_null(n->lk);
	memset(n->clients, 0, sizeof(n->clients));
	n->life++;
	n->timer = MT_NEVER;
	w->ctx[id].w = w;
	w->ctx[id].id = id;
	n->lk = lk_new(conf, &w_ops, &w->ctx[id]);
	assert_non_null(n->lk);
	ev.u.start.seed = ++w->seed * 0x9e3779b97f4a7c15ULL + id;
	w_step(w, id, &ev);
}

static inline struct lk_conf
w_conf(const struct world *w, uint8_t id)
{
	struct lk_conf c = {.self = id,
	    .nodes = (nodeset_t)((1u << w->nodes) - 1),
	    .n_spaces = 2,
	    .clients_max = W_CLIENTS};

	strcpy(c.spaces[0].name, "default");
	c.spaces[0].locks_max = 32;
	strcpy(c.spaces[1].name, "other");
	c.spaces[1].locks_max = 4;
	return c;
}

static inline void
w_boot(struct world *w, uint8_t id)
{
	struct lk_conf c = w_conf(w, id);

	w_boot_with(w, id, &c);
}

static inline struct world *
w_new(unsigned nodes, uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_in_range(nodes, 1, W_NODES);
	w->nodes = nodes;
	w->seed = seed;
	w->now.us = 1000000;
	for (uint8_t i = 1; i <= nodes; i++)
		w_boot(w, i);
	return w;
}

static inline void
w_free(struct world *w)
{
	for (unsigned i = 1; i <= w->nodes; i++)
		lk_free(w->node[i].lk);
	for (unsigned i = 0; i < w->n_queue; i++)
		free(w->queue[i].bytes);
	free(w);
}

static inline void
w_view(struct world *w, uint8_t id, enum lk_view_state state, nodeset_t members,
    nodeset_t dead, uint64_t epoch)
{
	struct lk_event ev = {.type = LK_EV_VIEW};

	ev.u.view.state = state;
	ev.u.view.members = members;
	ev.u.view.dead = dead;
	ev.u.view.epoch = epoch;
	ev.u.view.grace_ms = 400;
	w->node[id].view = ev.u.view;
	w_step(w, id, &ev);
}

/* Delivers the i-th message that is on its way. */
static inline void
w_deliver(struct world *w, unsigned i)
{
	struct w_msg m = w->queue[i];
	struct lk_event ev = {.type = LK_EV_MSG};

	w->n_queue--;
	memmove(&w->queue[i], &w->queue[i + 1],
	    (w->n_queue - i) * sizeof(w->queue[0]));
	if (w->node[m.to].lk != NULL && w->node[m.from].life == m.life) {
		ev.u.msg.from = m.from;
		ev.u.msg.bytes = m.bytes;
		ev.u.msg.len = m.len;
		w_step(w, m.to, &ev);
	}
	free(m.bytes);
}

/* Delivers everything, in order. */
static inline void
w_settle(struct world *w)
{
	unsigned n = 0;

	while (w->n_queue > 0) {
		w_deliver(w, 0);
		assert_true(n++ < 100000);
	}
	w_judge(w);
}

/* Loses what is on the way between two nodes, as a broken association. */
static inline void
w_drop(struct world *w, uint8_t a, uint8_t b)
{
	for (unsigned i = 0; i < w->n_queue;) {
		struct w_msg *m = &w->queue[i];

		if ((m->from == a && m->to == b) ||
		    (m->from == b && m->to == a)) {
			free(m->bytes);
			w->n_queue--;
			memmove(
			    m, m + 1, (w->n_queue - i) * sizeof(w->queue[0]));
		} else {
			i++;
		}
	}
}

static inline void
w_resync(struct world *w, uint8_t id, uint8_t peer)
{
	struct lk_event ev = {.type = LK_EV_RESYNC};

	ev.u.resync.peer = peer;
	w_step(w, id, &ev);
}

/* Advances the clock; timers that are due run. */
static inline void
w_sleep(struct world *w, int64_t ms)
{
	monotime_t end = mt_add_ms(w->now, ms);

	for (;;) {
		uint8_t due = 0;
		struct lk_event ev = {.type = LK_EV_TIMER};

		for (uint8_t i = 1; i <= w->nodes; i++)
			if (w->node[i].lk != NULL &&
			    !mt_before(end, w->node[i].timer) &&
			    (due == 0 || mt_before(w->node[i].timer,
					     w->node[due].timer)))
				due = i;
		if (due == 0)
			break;
		if (mt_before(w->now, w->node[due].timer))
			w->now = w->node[due].timer;
		w_step(w, due, &ev);
	}
	if (mt_before(w->now, end))
		w->now = end;
}

static inline void
w_kill(struct world *w, uint8_t id)
{
	lk_free(w->node[id].lk);
	w->node[id].lk = NULL;
	memset(w->node[id].clients, 0, sizeof(w->node[id].clients));
}

static inline void
w_bytes(struct world *w, uint8_t id, uint32_t client, const uint8_t *bytes,
    size_t len)
{
	struct lk_event ev = {.type = LK_EV_CLIENT_MSG};

	ev.u.cmsg.client = client;
	ev.u.cmsg.bytes = bytes;
	ev.u.cmsg.len = len;
	w_step(w, id, &ev);
}

static inline void
w_req(struct world *w, uint8_t id, uint32_t client, const struct lkp_req *q)
{
	uint8_t buf[LKP_HDR_LEN + LKP_REQ_LEN];
	struct w_lock *l = w_find(&w->node[id].clients[client], q->lock);

	lkp_put_hdr(buf, 1);
	lkp_put_req(buf + LKP_HDR_LEN, q);
	if (q->op != LKP_OPEN)
		w->node[id].clients[client].pending++;
	/* From here on the client has given it up. */
	if (l != NULL && q->op == LKP_CONVERT && l->want == LKM_IV)
		l->want = q->mode;
	if (l != NULL && q->op == LKP_UNLOCK && l->want == LKM_IV &&
	    l->mode != LKM_IV)
		l->unlocking = true;
	w_bytes(w, id, client, buf, sizeof(buf));
}

static inline void
w_open_as(struct world *w, uint8_t id, uint32_t client, uint32_t uid)
{
	struct lk_event ev = {.type = LK_EV_CLIENT_OPEN};
	struct lkp_req q = {.op = LKP_OPEN, .name_len = 7};

	memset(&w->node[id].clients[client], 0,
	    sizeof(w->node[id].clients[client]));
	w->node[id].clients[client].open = true;
	ev.u.open.client = client;
	ev.u.open.uid = uid;
	ev.u.open.pid = id * 100 + client;
	ev.u.open.spaces = 1;
	w_step(w, id, &ev);
	memcpy(q.name, "default", 7);
	w_req(w, id, client, &q);
}

static inline void
w_open(struct world *w, uint8_t id, uint32_t client)
{
	w_open_as(w, id, client, 0);
}

static inline void
w_eof(struct world *w, uint8_t id, uint32_t client)
{
	struct lk_event ev = {.type = LK_EV_CLIENT_EOF};

	ev.u.eof.client = client;
	memset(&w->node[id].clients[client], 0,
	    sizeof(w->node[id].clients[client]));
	w_step(w, id, &ev);
}

/* Requests; each returns its cookie. */

static inline uint64_t
w_lockf(struct world *w, uint8_t id, uint32_t client, char res, uint8_t mode,
    uint32_t flags, uint32_t timeout_ms)
{
	struct lkp_req q = {.op = LKP_LOCK,
	    .mode = mode,
	    .flags = flags,
	    .timeout_ms = timeout_ms,
	    .name_len = 1};

	q.name[0] = (uint8_t)res;
	q.cookie = w_cookie(w, LKP_LOCK, (uint8_t)res, mode);
	w_req(w, id, client, &q);
	return q.cookie;
}

static inline uint64_t
w_value(struct world *w, uint8_t op, uint8_t id, uint32_t client, uint64_t lock,
    uint8_t mode, uint32_t flags, const char *value)
{
	struct lkp_req q = {
	    .op = op, .mode = mode, .flags = flags, .lock = lock};

	if (value != NULL)
		memcpy(q.value, value, strlen(value));
	q.cookie = w_cookie(w, op, 0, mode);
	w_req(w, id, client, &q);
	return q.cookie;
}

static inline uint64_t
w_convert(struct world *w, uint8_t id, uint32_t client, uint64_t lock,
    uint8_t mode, uint32_t flags)
{
	return w_value(w, LKP_CONVERT, id, client, lock, mode, flags, NULL);
}

static inline uint64_t
w_unlock(struct world *w, uint8_t id, uint32_t client, uint64_t lock)
{
	return w_value(w, LKP_UNLOCK, id, client, lock, 0, 0, NULL);
}

static inline uint64_t
w_cancel(struct world *w, uint8_t id, uint32_t client, uint64_t lock)
{
	return w_value(w, LKP_CANCEL, id, client, lock, 0, 0, NULL);
}

/* The answer of a type to a request (cookie 0: any); NULL if not there. */
static inline const struct lkp_ans *
w_ans(const struct world *w, uint8_t id, uint32_t client, uint8_t type,
    uint64_t cookie)
{
	const struct w_client *c = &w->node[id].clients[client];

	for (unsigned i = c->n_ans; i-- > 0;)
		if (c->ans[i].type == type &&
		    (cookie == 0 || c->ans[i].cookie == cookie))
			return &c->ans[i];
	return NULL;
}

static inline unsigned
w_count(const struct world *w, uint8_t id, uint32_t client, uint8_t type,
    uint64_t cookie)
{
	const struct w_client *c = &w->node[id].clients[client];
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_ans; i++)
		n += c->ans[i].type == type &&
		     (cookie == 0 || c->ans[i].cookie == cookie);
	return n;
}

/* The status of a request's one completion; -1: not completed. */
static inline int
w_status(const struct world *w, uint8_t id, uint32_t client, uint64_t cookie)
{
	const struct lkp_ans *a = w_ans(w, id, client, LKP_DONE, cookie);

	assert_true(w_count(w, id, client, LKP_DONE, cookie) <= 1);
	return a == NULL ? -1 : a->status;
}

static inline uint64_t
w_id(const struct world *w, uint8_t id, uint32_t client, uint64_t cookie)
{
	const struct lkp_ans *a = w_ans(w, id, client, LKP_DONE, cookie);

	if (a == NULL)
		a = w_ans(w, id, client, LKP_QUEUED, cookie);
	assert_non_null(a);
	return a->lock;
}

/* Two nodes that run together, epoch 1, one client each. */
static inline struct world *
w_pair(void)
{
	struct world *w = w_new(2, 1);

	w_view(w, 1, LK_VIEW_RUNNING, 3, 0, 1);
	w_view(w, 2, LK_VIEW_RUNNING, 3, 0, 1);
	w_settle(w);
	for (uint8_t i = 1; i <= 2; i++)
		for (uint32_t c = 0; c < W_CLIENTS; c++)
			w_open(w, i, c);
	return w;
}

/* A resource (one letter) that a node masters in a ring. */
static inline char
w_res_of(nodeset_t ring, uint8_t node)
{
	for (char c = 'a'; c <= 'z'; c++)
		if (lk_master_of(ring, "default", (uint8_t *)&c, 1) == node)
			return c;
	fail_msg("no such resource");
	return 0;
}

#endif
