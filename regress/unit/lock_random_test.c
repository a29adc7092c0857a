/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random schedules on two and three nodes: clients that come, lock, convert,
 * write value blocks, cancel and die; messages that take their time; broken
 * associations; nodes that die at any point, are isolated, come back; views
 * that reach each node at another moment.  Checked all the time: I3, tokens,
 * one completion per request, no value called valid that is older than an
 * acknowledged one.  At the end everything heals and everybody lets go: what
 * is left would be a lost wake-up.
 *
 * LOCK_SEEDS=FROM-TO runs others than the usual ones, LOCK_VERBOSE=1 tells.
 */
#include "lock_world.h"

enum { RES = 3, STEPS = 1000, SEEDS = 300 };

struct random {
	struct world *w; /* owned */
	uint64_t rng;
	nodeset_t members;
	uint64_t epoch;
	bool stale[W_NODES + 1]; /* its view is older than the truth */
	bool cut[W_NODES + 1][W_NODES + 1]; /* a < b: association broken */
	unsigned p_node, p_link, p_eof, p_deliver;
	uint32_t serial;
	unsigned valid_reads;
	uint32_t acked[256]; /* highest write that was acknowledged */
	uint32_t writes[STEPS * 4]; /* by number of the request */
};

/* That the schedules do something, over all seeds of a test. */
static unsigned long total_grants, total_reads;

static uint32_t
rnd(struct random *r, uint32_t n)
{
	r->rng ^= r->rng << 13;
	r->rng ^= r->rng >> 7;
	r->rng ^= r->rng << 17;
	return (uint32_t)(r->rng >> 33) % n;
}

static bool
alive(const struct random *r, uint8_t id)
{
	return r->w->node[id].lk != NULL;
}

/*
 * A value that is called valid is the last one that was acknowledged, or a
 * later one.  NL and CR may be granted beside a writer, so what they read can
 * be older by the time that it arrives.
 */
static void
look_at(struct random *r, const struct lkp_ans *a)
{
	uint8_t res = (uint8_t)a->cookie;
	uint32_t wrote, v;

	if (a->type != LKP_DONE || a->status != LKE_OK)
		return;
	assert_in_range(a->cookie >> 24, 1, NITEMS(r->writes) - 1);
	wrote = r->writes[a->cookie >> 24];
	if (r->acked[res] < wrote)
		r->acked[res] = wrote;
	memcpy(&v, a->value, 4);
	if (a->flags == LKP_F_VALUE && a->mode >= LKM_CW && a->mode != LKM_IV) {
		if (v < r->acked[res])
			fail_msg("%c: value %u is called valid after %u", res,
			    v, r->acked[res]);
		r->valid_reads++;
	}
}

/* Looks at the new answers of all clients. */
static void
look(struct random *r)
{
	for (uint8_t id = 1; id <= r->w->nodes; id++)
		for (unsigned c = 0; c < W_CLIENTS; c++) {
			struct w_client *cl = &r->w->node[id].clients[c];

			for (unsigned i = 0; i < cl->n_ans; i++)
				look_at(r, &cl->ans[i]);
			cl->n_ans = 0;
		}
}

static void
set_view(struct random *r, uint8_t id)
{
	nodeset_t all = (nodeset_t)((1u << r->w->nodes) - 1);

	r->stale[id] = false;
	if (!NODESET_HAS(r->members, id))
		w_view(r->w, id, LK_VIEW_INERT, NODESET(id), 0, r->epoch);
	else
		w_view(r->w, id, LK_VIEW_RUNNING, r->members,
		    (nodeset_t)(all & ~r->members), r->epoch);
}

static void
changed(struct random *r)
{
	r->epoch++;
	for (uint8_t i = 1; i <= r->w->nodes; i++)
		r->stale[i] = alive(r, i);
}

static void
boot(struct random *r, uint8_t id)
{
	w_boot(r->w, id);
	for (uint32_t c = 0; c < W_CLIENTS; c++)
		w_open(r->w, id, c);
}

static void
purge_queue(struct random *r, uint8_t id)
{
	for (uint8_t i = 1; i <= r->w->nodes; i++)
		w_drop(r->w, id, i);
}

/* Something happens to a node. */
static void
node_trouble(struct random *r)
{
	uint8_t id = (uint8_t)(1 + rnd(r, r->w->nodes));
	nodeset_t rest = r->members & (nodeset_t)~NODESET(id);

	if (!alive(r, id)) {
		boot(r, id);
		r->members |= NODESET(id);
		changed(r);
	} else if (!NODESET_HAS(r->members, id)) {
		r->members |= NODESET(id);
		changed(r);
	} else if (rnd(r, 4) == 0) {
		/* In doubt for a while. */
		w_view(r->w, id, rnd(r, 2) ? LK_VIEW_STOPPED : LK_VIEW_DOUBT,
		    r->members, 0, r->epoch);
		r->stale[id] = true;
	} else if (rest != 0 && rnd(r, 3) == 0) {
		/* Isolated: it hears of it before the others go on. */
		w_view(r->w, id, LK_VIEW_LOST, NODESET(id), 0, r->epoch);
		r->members = rest;
		changed(r);
		r->stale[id] = false;
	} else if (rest != 0) {
		w_kill(r->w, id);
		purge_queue(r, id);
		r->members = rest;
		if (rnd(r, 3) == 0) {
			/* So fast that nobody sees it gone. */
			boot(r, id);
			r->members |= NODESET(id);
		}
		changed(r);
	}
}

static void
link_trouble(struct random *r)
{
	uint8_t a = (uint8_t)(1 + rnd(r, r->w->nodes));
	uint8_t b = (uint8_t)(1 + rnd(r, r->w->nodes));

	if (a >= b)
		return;
	w_drop(r->w, a, b);
	r->cut[a][b] = !r->cut[a][b];
	if (r->cut[a][b])
		return;
	if (alive(r, a))
		w_resync(r->w, a, b);
	if (alive(r, b))
		w_resync(r->w, b, a);
}

static void
drop_cut(struct random *r)
{
	for (uint8_t a = 1; a <= r->w->nodes; a++)
		for (uint8_t b = (uint8_t)(a + 1); b <= r->w->nodes; b++)
			if (r->cut[a][b])
				w_drop(r->w, a, b);
}

/* Delivers the oldest message of a random pair. */
static void
deliver(struct random *r)
{
	struct world *w = r->w;
	unsigned i;

	drop_cut(r);
	if (w->n_queue == 0)
		return;
	i = rnd(r, w->n_queue);
	for (unsigned j = 0; j < i; j++)
		if (w->queue[j].from == w->queue[i].from &&
		    w->queue[j].to == w->queue[i].to)
			i = j;
	w_deliver(w, i);
}

static void
send(struct random *r, uint8_t id, unsigned c, struct lkp_req *q, uint8_t res,
    bool writes)
{
	uint32_t serial = ++r->serial;

	if (q->flags & LKF_VALBLK)
		memcpy(q->value, &serial, 4);
	q->cookie = w_cookie(r->w, q->op, res, q->mode);
	if (writes)
		r->writes[q->cookie >> 24] = serial;
	w_req(r->w, id, c, q);
}

static void
existing(struct random *r, uint8_t id, unsigned c, struct w_lock *l)
{
	struct lkp_req q = {.lock = l->id};
	uint8_t was = l->mode;
	bool writes;

	if (l->unlocking)
		return;
	if (l->want != LKM_IV) {
		q.op = LKP_CANCEL;
		if (rnd(r, 3) == 0)
			send(r, id, c, &q, l->res, false);
		return;
	}
	q.op = rnd(r, 2) ? LKP_CONVERT : LKP_UNLOCK;
	q.mode = (uint8_t)(q.op == LKP_CONVERT ? rnd(r, LKM_COUNT) : 0);
	q.flags = rnd(r, 2) ? LKF_VALBLK : 0;
	writes = (q.flags & LKF_VALBLK) && (was == LKM_EX || was == LKM_PW) &&
		 (q.op == LKP_UNLOCK || q.mode <= was);
	if (q.op == LKP_CONVERT) {
		q.flags |= rnd(r, 4) == 0 ? LKF_NOQUEUE : 0;
		q.flags |= rnd(r, 6) == 0 ? LKF_QUECVT : 0;
		if (!(q.flags & LKF_NOQUEUE) && rnd(r, 4) == 0)
			q.timeout_ms = 1 + rnd(r, 300);
	}
	send(r, id, c, &q, l->res, writes);
}

static void
client_op(struct random *r)
{
	uint8_t id = (uint8_t)(1 + rnd(r, r->w->nodes));
	unsigned c = rnd(r, W_CLIENTS), i = rnd(r, 3);
	struct w_client *cl = &r->w->node[id].clients[c];
	struct lkp_req q = {.op = LKP_LOCK, .name_len = 1};

	if (!alive(r, id))
		return;
	if (rnd(r, 1000) < r->p_eof) {
		w_eof(r->w, id, c);
		w_open(r->w, id, c);
		return;
	}
	if (cl->locks[i].id != 0) {
		existing(r, id, c, &cl->locks[i]);
		return;
	}
	if (cl->pending > 2)
		return;
	q.name[0] = (uint8_t)('a' + rnd(r, RES));
	q.mode = (uint8_t)rnd(r, LKM_COUNT);
	q.flags = rnd(r, 2) ? LKF_VALBLK : 0;
	q.flags |= rnd(r, 2) ? LKF_BAST : 0;
	q.flags |= rnd(r, 4) == 0 ? LKF_NOQUEUE : 0;
	q.flags |= rnd(r, 8) == 0 ? LKF_NOORDER : 0;
	if (!(q.flags & LKF_NOQUEUE) && rnd(r, 4) == 0)
		q.timeout_ms = 1 + rnd(r, 300);
	send(r, id, c, &q, q.name[0], false);
}

static void
some_view(struct random *r)
{
	uint8_t id = (uint8_t)(1 + rnd(r, r->w->nodes));

	if (alive(r, id) && r->stale[id])
		set_view(r, id);
}

static void
step(struct random *r)
{
	uint32_t x = rnd(r, 1000);

	if (x < r->p_node)
		node_trouble(r);
	else if (x < r->p_node + r->p_link)
		link_trouble(r);
	else if (x < r->p_node + r->p_link + 40)
		w_sleep(r->w, rnd(r, 60));
	else if (x < r->p_node + r->p_link + 140)
		some_view(r);
	else if (x < r->p_node + r->p_link + 140 + r->p_deliver)
		deliver(r);
	else
		client_op(r);
	w_judge(r->w);
	look(r);
}

static void
heal(struct random *r)
{
	memset(r->cut, 0, sizeof(r->cut));
	for (uint8_t i = 1; i <= r->w->nodes; i++) {
		if (!alive(r, i))
			boot(r, i);
		r->members |= NODESET(i);
		purge_queue(r, i);
	}
	changed(r);
	for (uint8_t i = 1; i <= r->w->nodes; i++)
		set_view(r, i);
	w_settle(r->w);
	look(r);
}

/* Everybody lets go; each round frees the heads of all queues. */
static void
drain(struct random *r)
{
	struct world *w = r->w;

	for (unsigned round = 0; round < 60; round++) {
		for (uint8_t id = 1; id <= w->nodes; id++)
			for (unsigned c = 0; c < W_CLIENTS; c++)
				for (unsigned l = 0; l < W_LOCKS; l++) {
					struct w_lock *x =
					    &w->node[id].clients[c].locks[l];

					if (x->id != 0 && x->want == LKM_IV &&
					    !x->unlocking)
						w_unlock(w, id, c, x->id);
					look(r);
				}
		w_settle(w);
		look(r);
	}
	for (uint8_t id = 1; id <= w->nodes; id++) {
		struct lk_status st;

		lk_status(w->node[id].lk, &st);
		assert_int_equal(st.phase, LK_PH_RUNNING);
		for (unsigned c = 0; c < W_CLIENTS; c++)
			assert_int_equal(w->node[id].clients[c].pending, 0);
		assert_int_equal(st.locks, 0);
		assert_int_equal(st.masters, 0);
		assert_int_equal(st.resources, 0);
		assert_int_equal(st.bad_messages, 0);
	}
}

static void
run(unsigned nodes, uint64_t seed)
{
	struct random r = {.rng = seed * 0x9e3779b97f4a7c15ULL + 1};

	r.w = w_new(nodes, seed);
	r.w->verbose = getenv("LOCK_VERBOSE") != NULL;
	for (uint8_t i = 1; i <= nodes; i++) {
		r.members |= NODESET(i);
		for (uint32_t c = 0; c < W_CLIENTS; c++)
			w_open(r.w, i, c);
	}
	rnd(&r, 2);
	r.p_node = rnd(&r, 3) == 0 ? 0 : rnd(&r, 16);
	r.p_link = rnd(&r, 3) == 0 ? 0 : rnd(&r, 16);
	r.p_eof = rnd(&r, 60);
	r.p_deliver = 200 + rnd(&r, 500);
	changed(&r);
	for (unsigned i = 0; i < STEPS; i++)
		step(&r);
	heal(&r);
	drain(&r);
	total_grants += r.w->grants;
	total_reads += r.valid_reads;
	w_free(r.w);
}

static void
seeds(unsigned nodes)
{
	unsigned from = 1, to = SEEDS;
	const char *env = getenv("LOCK_SEEDS");

	if (env != NULL)
		assert_int_equal(sscanf(env, "%u-%u", &from, &to), 2);
	total_grants = total_reads = 0;
	for (unsigned s = from; s <= to; s++) {
		if (env != NULL || s == from)
			fprintf(stderr, "# %u nodes, seed %u\n", nodes, s);
		run(nodes, s);
	}
	fprintf(stderr, "# %u nodes: %lu grants, %lu valid values read\n",
	    nodes, total_grants, total_reads);
	assert_true(total_grants > 20 * (to - from + 1));
	assert_true(total_reads > 2 * (to - from + 1));
}

static void
two_nodes(void **state)
{
	(void)state;
	seeds(2);
}

static void
three_nodes(void **state)
{
	(void)state;
	seeds(3);
}

static void
one_node(void **state)
{
	(void)state;
	seeds(1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_node),
	    cmocka_unit_test(two_nodes),
	    cmocka_unit_test(three_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
