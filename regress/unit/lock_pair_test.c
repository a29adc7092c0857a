/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two and three nodes: locks over the wire, and what becomes of them when
 * nodes die, come, are undecided or isolated, and when messages are lost.
 * One story per test.
 */
#include "lock_int.h"
#include "lock_world.h"

static uint64_t
granted(struct world *w, uint8_t id, uint32_t c, char res, uint8_t mode,
    uint32_t flags)
{
	uint64_t k = w_lockf(w, id, c, res, mode, flags, 0);

	w_settle(w);
	assert_int_equal(w_status(w, id, c, k), LKE_OK);
	return w_id(w, id, c, k);
}

static uint64_t
waits(struct world *w, uint8_t id, uint32_t c, char res, uint8_t mode)
{
	uint64_t k = w_lockf(w, id, c, res, mode, 0, 0);

	w_settle(w);
	assert_int_equal(w_status(w, id, c, k), -1);
	return k;
}

static void
is(struct world *w, uint8_t id, uint32_t c, uint64_t cookie, int status)
{
	w_settle(w);
	assert_int_equal(w_status(w, id, c, cookie), status);
}

static enum lk_phase
phase(struct world *w, uint8_t id)
{
	struct lk_status st;

	lk_status(w->node[id].lk, &st);
	return st.phase;
}

/* Node 2 is dead, node 1 goes on. */
static void
two_dies(struct world *w, uint64_t epoch)
{
	w_kill(w, 2);
	w_drop(w, 1, 2);
	w_view(w, 1, LK_VIEW_STOPPED, 1, 0, epoch - 1);
	w_view(w, 1, LK_VIEW_RUNNING, 1, 2, epoch);
}

static void
one_resource_for_both(void **state)
{
	(void)state;
	for (uint8_t master = 1; master <= 2; master++) {
		struct world *w = w_pair();
		char r = w_res_of(3, master);
		uint64_t a, b, k;

		a = granted(w, 1, 0, r, LKM_EX, LKF_BAST);
		b = waits(w, 2, 0, r, LKM_PR);
		assert_int_equal(w_ans(w, 1, 0, LKP_BAST, 0)->mode, LKM_PR);
		k = w_lockf(w, 2, 1, r, LKM_PR, LKF_NOQUEUE, 0);
		is(w, 2, 1, k, LKE_AGAIN);
		k = w_unlock(w, 1, 0, a);
		is(w, 1, 0, k, LKE_OK);
		is(w, 2, 0, b, LKE_OK);
		w_free(w);
	}
}

static void
names_spread_over_the_nodes(void **state)
{
	unsigned n[4] = {0};

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		char name[16];
		int len = snprintf(name, sizeof(name), "r%u", i);
		uint8_t m = lk_master_of(7, "s", (uint8_t *)name, (size_t)len);
		uint8_t m2 = lk_master_of(3, "s", (uint8_t *)name, (size_t)len);

		n[m]++;
		/* Who stays keeps what it had. */
		if (m != 3)
			assert_int_equal(m, m2);
	}
	for (unsigned i = 1; i <= 3; i++)
		assert_in_range(n[i], 900, 1100);
	assert_int_equal(lk_master_of(0, "s", (const uint8_t *)"x", 1), 0);
}

static void
a_dead_holder_is_voided(void **state)
{
	(void)state;
	for (uint8_t master = 1; master <= 2; master++) {
		struct world *w = w_pair();
		char r = w_res_of(3, master);
		uint64_t k, t1;

		granted(w, 2, 0, r, LKM_EX, 0);
		t1 = w_ans(w, 2, 0, LKP_DONE, 0)->token;
		k = waits(w, 1, 0, r, LKM_EX);
		/* Silent: nothing of it is voided. */
		w_kill(w, 2);
		w_view(w, 1, LK_VIEW_STOPPED, 1, 0, 1);
		w_sleep(w, 5000);
		is(w, 1, 0, k, -1);
		assert_int_equal(
		    w_ans(w, 1, 0, LKP_SPACE, 0)->arg, LKP_STOPPED);
		/* Not even if a view forgets to say that it is dead. */
		w_view(w, 1, LK_VIEW_RUNNING, 1, 0, 2);
		is(w, 1, 0, k, -1);
		/* Nor in the old epoch. */
		w_view(w, 1, LK_VIEW_RUNNING, 1, 2, 1);
		is(w, 1, 0, k, -1);
		assert_int_equal(phase(w, 1), LK_PH_STOPPED);
		w_view(w, 1, LK_VIEW_RUNNING, 1, 2, 2);
		is(w, 1, 0, k, LKE_OK);
		assert_true(w_ans(w, 1, 0, LKP_DONE, k)->token > t1);
		assert_int_equal(
		    w_ans(w, 1, 0, LKP_SPACE, 0)->arg, LKP_RUNNING);
		w_free(w);
	}
}

static void
undecided_what_is_mastered_here_goes_on(void **state)
{
	struct world *w = w_pair();
	char here = w_res_of(3, 1), there = w_res_of(3, 2);
	uint64_t k;

	(void)state;
	granted(w, 2, 0, here, LKM_PR, 0);
	w_view(w, 1, LK_VIEW_STOPPED, 1, 0, 1);
	k = w_lockf(w, 1, 0, here, LKM_PR, 0, 0);
	is(w, 1, 0, k, LKE_OK);
	k = w_lockf(w, 1, 1, here, LKM_EX, 0, 0);
	is(w, 1, 1, k, -1);
	k = w_lockf(w, 1, 2, there, LKM_PR, 0, 0);
	is(w, 1, 2, k, -1);
	/* NOQUEUE does not wait for a decision. */
	assert_int_equal(
	    w_status(w, 1, 3, w_lockf(w, 1, 3, there, LKM_PR, LKF_NOQUEUE, 0)),
	    LKE_AGAIN);
	/* It was nothing: both go on where they were. */
	w_view(w, 1, LK_VIEW_RUNNING, 3, 0, 1);
	is(w, 1, 2, k, LKE_OK);
	assert_int_equal(phase(w, 2), LK_PH_RUNNING);
	w_free(w);
}

static void
noqueue_on_the_way_to_stopping_is_refused(void **state)
{
	struct world *w = w_pair();
	char there = w_res_of(3, 2);
	uint64_t k;

	(void)state;
	/* Node 1 is agreeing on a round: the request is held, not refused. */
	w_resync(w, 1, 2);
	k = w_lockf(w, 1, 0, there, LKM_EX, LKF_NOQUEUE, 0);
	assert_int_equal(w_status(w, 1, 0, k), -1);
	w_view(w, 1, LK_VIEW_STOPPED, 1, 0, 1);
	assert_int_equal(w_status(w, 1, 0, k), LKE_AGAIN);
	w_free(w);
}

static void
before_the_first_view_requests_wait(void **state)
{
	struct world *w = w_new(2, 5);
	uint64_t k, n;

	(void)state;
	w_view(w, 1, LK_VIEW_INERT, 1, 0, 0);
	w_open(w, 1, 0);
	assert_int_equal(w_ans(w, 1, 0, LKP_OPENED, 0)->arg, LKP_STOPPED);
	k = w_lockf(w, 1, 0, 'x', LKM_EX, 0, 0);
	n = w_lockf(w, 1, 0, 'y', LKM_EX, LKF_NOQUEUE, 0);
	is(w, 1, 0, k, -1);
	is(w, 1, 0, n, LKE_AGAIN);
	w_view(w, 1, LK_VIEW_RUNNING, 1, 2, 1);
	is(w, 1, 0, k, LKE_OK);
	w_free(w);
}

static void
a_join_moves_half_and_freezes_only_that(void **state)
{
	struct world *w = w_new(2, 5);
	char stays = w_res_of(3, 1), moves = w_res_of(3, 2);
	uint64_t a, b, ws, wm, k;

	(void)state;
	w_view(w, 1, LK_VIEW_RUNNING, 1, 2, 1);
	for (uint32_t c = 0; c < W_CLIENTS; c++)
		w_open(w, 1, c);
	a = granted(w, 1, 0, stays, LKM_EX, 0);
	b = granted(w, 1, 0, moves, LKM_EX, 0);
	ws = waits(w, 1, 1, stays, LKM_PR);
	wm = waits(w, 1, 1, moves, LKM_PR);
	k = waits(w, 1, 2, moves, LKM_EX);
	w_view(w, 2, LK_VIEW_RUNNING, 3, 0, 1);
	w_view(w, 1, LK_VIEW_RUNNING, 3, 0, 1);
	while (phase(w, 1) != LK_PH_REBUILD)
		w_deliver(w, 0);
	/* What stays is granted in the middle of it. */
	w_unlock(w, 1, 0, a);
	assert_int_equal(w_status(w, 1, 1, ws), LKE_OK);
	w_unlock(w, 1, 0, b);
	assert_int_equal(w_status(w, 1, 1, wm), -1);
	is(w, 1, 1, wm, LKE_OK);
	/* The order in the queue has moved, too. */
	is(w, 1, 2, k, -1);
	w_open(w, 2, 0);
	k = w_lockf(w, 2, 0, moves, LKM_EX, LKF_NOQUEUE, 0);
	is(w, 2, 0, k, LKE_AGAIN);
	w_free(w);
}

/* A new master does not grant before everybody has told what it holds. */
static void
a_new_master_waits_for_everybody(void **state)
{
	struct world *w = w_new(2, 5);
	char moves = w_res_of(3, 2);
	uint64_t k;

	(void)state;
	w_view(w, 1, LK_VIEW_RUNNING, 1, 2, 1);
	w_open(w, 1, 0);
	granted(w, 1, 0, moves, LKM_EX, 0);
	w_view(w, 1, LK_VIEW_RUNNING, 3, 0, 1);
	w_view(w, 2, LK_VIEW_RUNNING, 3, 0, 1);
	w_open(w, 2, 0);
	while (phase(w, 2) != LK_PH_REBUILD)
		w_deliver(w, 0);
	k = w_lockf(w, 2, 0, moves, LKM_EX, 0, 0);
	assert_int_equal(w_status(w, 2, 0, k), -1);
	is(w, 2, 0, k, -1);
	w_eof(w, 1, 0);
	is(w, 2, 0, k, LKE_OK);
	w_free(w);
}

static void
isolated_nodes_lose_their_locks_at_once(void **state)
{
	struct world *w = w_pair();
	char r = w_res_of(3, 1), s = w_res_of(3, 2);
	uint64_t a, wait, conv, k;
	const struct lkp_ans *lost;

	(void)state;
	a = granted(w, 1, 0, r, LKM_PR, 0);
	granted(w, 2, 0, r, LKM_PR, 0);
	granted(w, 2, 1, s, LKM_EX, 0);
	wait = waits(w, 1, 1, s, LKM_EX);
	conv = w_convert(w, 1, 0, a, LKM_EX, 0);
	is(w, 1, 0, conv, -1);
	w_view(w, 1, LK_VIEW_LOST, 1, 0, 1);
	assert_int_equal(w_status(w, 1, 0, conv), LKE_STALE);
	assert_int_equal(w_status(w, 1, 1, wait), LKE_STALE);
	for (uint32_t c = 0; c < W_CLIENTS; c++) {
		assert_int_equal(w_count(w, 1, c, LKP_SPACE, 0), 2);
		lost = w_ans(w, 1, c, LKP_SPACE, 0);
		assert_int_equal(lost->arg, LKP_LOST_ALL);
		assert_int_equal(lost->ms, 400);
	}
	k = w_unlock(w, 1, 0, a);
	is(w, 1, 0, k, LKE_NOENT);
	/* The other side goes on alone, then it joins again. */
	w_drop(w, 1, 2);
	w_view(w, 2, LK_VIEW_RUNNING, 2, 1, 2);
	k = w_lockf(w, 2, 2, r, LKM_PR, 0, 0);
	is(w, 2, 2, k, LKE_OK);
	w_view(w, 1, LK_VIEW_RUNNING, 3, 0, 2);
	w_view(w, 2, LK_VIEW_RUNNING, 3, 0, 2);
	k = w_lockf(w, 1, 0, r, LKM_EX, LKF_NOQUEUE, 0);
	is(w, 1, 0, k, LKE_AGAIN);
	w_free(w);
}

/* A node that does not know that it was declared dead learns it here. */
static void
a_node_voided_unawares_loses_its_locks(void **state)
{
	struct world *w = w_pair();
	char r = w_res_of(3, 1);
	uint64_t k;

	(void)state;
	granted(w, 2, 0, r, LKM_EX, 0);
	w_view(w, 2, LK_VIEW_STOPPED, 2, 0, 1);
	w_drop(w, 1, 2);
	w_view(w, 1, LK_VIEW_RUNNING, 1, 2, 2);
	/* In truth it was cut off; what follows would be arbitration's bug. */
	memset(w->node[2].clients[0].locks, 0,
	    sizeof(w->node[2].clients[0].locks));
	k = w_lockf(w, 1, 0, r, LKM_EX, 0, 0);
	is(w, 1, 0, k, LKE_OK);
	w_view(w, 1, LK_VIEW_RUNNING, 3, 0, 2);
	w_view(w, 2, LK_VIEW_RUNNING, 3, 0, 2);
	w_settle(w);
	assert_int_equal(phase(w, 1), LK_PH_RUNNING);
	assert_int_equal(phase(w, 2), LK_PH_RUNNING);
	{
		const struct w_client *c = &w->node[2].clients[0];
		unsigned lost = 0;

		for (unsigned i = 0; i < c->n_ans; i++)
			lost += c->ans[i].type == LKP_SPACE &&
				c->ans[i].arg == LKP_LOST_ALL;
		assert_int_equal(lost, 1);
	}
	k = w_lockf(w, 2, 1, r, LKM_PR, LKF_NOQUEUE, 0);
	is(w, 2, 1, k, LKE_AGAIN);
	w_free(w);
}

/* A daemon that restarts so fast that no view has it missing. */
static void
a_fast_restart_voids_the_old_locks(void **state)
{
	(void)state;
	for (uint8_t master = 1; master <= 2; master++) {
		struct world *w = w_pair();
		char r = w_res_of(3, master);
		uint64_t k, last = 0;

		for (unsigned i = 0; i < 4; i++) {
			uint64_t a = granted(w, 2, 0, r, LKM_EX, 0);

			last = w_ans(w, 2, 0, LKP_DONE, 0)->token;
			if (i < 3) {
				w_unlock(w, 2, 0, a);
				w_settle(w);
			}
		}
		k = waits(w, 1, 0, r, LKM_EX);
		w_kill(w, 2);
		w_drop(w, 1, 2);
		w_boot(w, 2);
		w_open(w, 2, 0);
		/* The same epoch: nobody acted alone. */
		w_view(w, 2, LK_VIEW_RUNNING, 3, 0, 1);
		w_resync(w, 1, 2);
		is(w, 1, 0, k, LKE_OK);
		assert_true(w_ans(w, 1, 0, LKP_DONE, k)->token > last);
		/* Resources that nobody held: their tokens grow as well. */
		w_eof(w, 1, 0);
		granted(w, 2, 0, r, LKM_EX, 0);
		w_free(w);
	}
}

static void
lost_messages_are_told_again(void **state)
{
	(void)state;
	for (uint8_t master = 1; master <= 2; master++) {
		struct world *w = w_pair();
		char r = w_res_of(3, master);
		uint64_t a, b, c, conv, cancel, k;

		a = granted(w, 1, 0, r, LKM_PR, LKF_BAST);
		/* A request, lost. */
		b = w_lockf(w, 2, 0, r, LKM_PR, 0, 0);
		w_drop(w, 1, 2);
		w_resync(w, 1, 2);
		w_resync(w, 2, 1);
		is(w, 2, 0, b, LKE_OK);
		b = w_id(w, 2, 0, b);
		/* A conversion that deadlocks, its refusal lost. */
		conv = w_convert(w, 1, 0, a, LKM_EX, LKF_BAST);
		w_settle(w);
		c = w_convert(w, 2, 0, b, LKM_EX, 0);
		if (w->n_queue > 0)
			w_deliver(w, 0);
		w_drop(w, 1, 2);
		w_resync(w, 1, 2);
		w_resync(w, 2, 1);
		is(w, 2, 0, c, LKE_DEADLK);
		is(w, 1, 0, conv, -1);
		/* A CANCEL, lost. */
		cancel = w_cancel(w, 1, 0, a);
		w_drop(w, 1, 2);
		w_resync(w, 2, 1);
		w_resync(w, 1, 2);
		is(w, 1, 0, cancel, LKE_OK);
		is(w, 1, 0, conv, LKE_CANCELED);
		/* An UNLOCK done, its answer lost. */
		k = w_unlock(w, 2, 0, b);
		if (w->n_queue > 0)
			w_deliver(w, 0);
		w_drop(w, 1, 2);
		w_resync(w, 2, 1);
		w_resync(w, 1, 2);
		is(w, 2, 0, k, LKE_OK);
		/* BASTs, lost. */
		w->node[1].clients[0].n_ans = 0;
		c = w_lockf(w, 2, 1, r, LKM_EX, 0, 0);
		if (master == 1)
			w_deliver(w, 0);
		else
			assert_null(w_ans(w, 1, 0, LKP_BAST, 0));
		w_drop(w, 1, 2);
		w_resync(w, 1, 2);
		w_resync(w, 2, 1);
		is(w, 2, 1, c, -1);
		assert_non_null(w_ans(w, 1, 0, LKP_BAST, 0));
		w_free(w);
	}
}

/* Nobody says so, but the numbers of the frames have a gap. */
static void
a_gap_is_seen(void **state)
{
	struct world *w = w_pair();
	char r = w_res_of(3, 1);
	uint64_t a, b;

	(void)state;
	a = w_lockf(w, 2, 0, r, LKM_PR, 0, 0);
	w_drop(w, 1, 2);
	b = w_lockf(w, 2, 1, r, LKM_PR, 0, 0);
	is(w, 2, 0, a, LKE_OK);
	is(w, 2, 1, b, LKE_OK);
	w_free(w);
}

static void
a_lost_sync_is_repeated(void **state)
{
	struct world *w = w_new(2, 5);

	(void)state;
	w_view(w, 1, LK_VIEW_RUNNING, 3, 0, 1);
	w_view(w, 2, LK_VIEW_RUNNING, 3, 0, 1);
	w_drop(w, 1, 2);
	w_sleep(w, 260);
	w_settle(w);
	assert_int_equal(phase(w, 1), LK_PH_RUNNING);
	assert_int_equal(phase(w, 2), LK_PH_RUNNING);
	assert_int_equal(w->node[1].timer.us, INT64_MAX);
	w_free(w);
}

static void
timeouts_and_deaths_while_undecided(void **state)
{
	struct world *w = w_pair();
	char there = w_res_of(3, 2);
	uint64_t a, k, t;

	(void)state;
	a = granted(w, 1, 0, there, LKM_EX, 0);
	w_view(w, 1, LK_VIEW_STOPPED, 1, 0, 1);
	t = w_lockf(w, 1, 1, there, LKM_PR, 0, 100);
	w_sleep(w, 101);
	assert_int_equal(w_status(w, 1, 1, t), LKE_TIMEDOUT);
	k = w_lockf(w, 1, 2, there, LKM_PR, 0, 0);
	w_cancel(w, 1, 2, w_id(w, 1, 2, k));
	assert_int_equal(w_status(w, 1, 2, k), LKE_CANCELED);
	/* A conversion that was never sent can be cancelled, too. */
	k = w_convert(w, 1, 0, a, LKM_NL, 0);
	w_cancel(w, 1, 0, a);
	assert_int_equal(w_status(w, 1, 0, k), LKE_CANCELED);
	w_eof(w, 1, 0);
	w_view(w, 1, LK_VIEW_RUNNING, 3, 0, 1);
	k = w_lockf(w, 2, 0, there, LKM_EX, 0, 0);
	is(w, 2, 0, k, LKE_OK);
	w_free(w);
}

/* Conversions that were on the way when the master died. */

static void
a_conversion_down_counts_though_its_master_died(void **state)
{
	struct world *w = w_pair();
	char r = w_res_of(3, 2);
	uint64_t a, up, k;

	(void)state;
	a = granted(w, 1, 0, r, LKM_EX, 0);
	up = waits(w, 1, 1, r, LKM_PR);
	k = w_convert(w, 1, 0, a, LKM_PR, 0);
	two_dies(w, 2);
	is(w, 1, 0, k, LKE_OK);
	is(w, 1, 1, up, LKE_OK);
	w_free(w);
}

static void
deadlocks_are_found_among_rebuilt_conversions(void **state)
{
	struct world *w = w_pair();
	char r = w_res_of(3, 2);
	uint64_t a, b, x, y, n;

	(void)state;
	a = granted(w, 1, 0, r, LKM_PR, 0);
	b = granted(w, 1, 1, r, LKM_PR, 0);
	w_view(w, 1, LK_VIEW_STOPPED, 1, 0, 1);
	x = w_convert(w, 1, 0, a, LKM_EX, 0);
	y = w_convert(w, 1, 1, b, LKM_EX, 0);
	n = w_lockf(w, 1, 2, r, LKM_EX, 0, 0);
	two_dies(w, 2);
	/* One of them is refused and goes; the other one gets it. */
	assert_int_not_equal(
	    w_status(w, 1, 0, x) == -1, w_status(w, 1, 1, y) == -1);
	if (w_status(w, 1, 0, x) == -1) {
		assert_int_equal(w_status(w, 1, 1, y), LKE_DEADLK);
		w_eof(w, 1, 1);
		is(w, 1, 0, x, LKE_OK);
	} else {
		assert_int_equal(w_status(w, 1, 0, x), LKE_DEADLK);
		w_eof(w, 1, 0);
		is(w, 1, 1, y, LKE_OK);
	}
	is(w, 1, 2, n, -1);
	w_free(w);
}

static void
noqueue_on_the_way_to_a_dead_master_is_answered(void **state)
{
	struct world *w = w_pair();
	char r = w_res_of(3, 2);
	uint64_t a, k, free_one;

	(void)state;
	a = granted(w, 1, 0, r, LKM_PR, 0);
	granted(w, 1, 1, r, LKM_PR, 0);
	k = w_convert(w, 1, 0, a, LKM_EX, LKF_NOQUEUE);
	free_one = w_lockf(w, 1, 2, r, LKM_EX, LKF_NOQUEUE, 0);
	two_dies(w, 2);
	is(w, 1, 0, k, LKE_AGAIN);
	is(w, 1, 2, free_one, LKE_AGAIN);
	w_free(w);
}

static struct world *
three(void)
{
	struct world *w = w_new(3, 9);

	for (uint8_t i = 1; i <= 3; i++)
		w_view(w, i, LK_VIEW_RUNNING, 7, 0, 1);
	w_settle(w);
	for (uint8_t i = 1; i <= 3; i++)
		for (uint32_t c = 0; c < W_CLIENTS; c++)
			w_open(w, i, c);
	return w;
}

/*
 * PR to CW: neither is weaker.  The dead master had granted it, its owner
 * does not know; that another one holds CW proves it.
 */
static void
a_granted_conversion_is_proven_by_other_holders(void **state)
{
	struct world *w = three();
	char r = w_res_of(7, 3);
	uint64_t a, nl, ex, conv, cw;

	(void)state;
	nl = granted(w, 1, 1, r, LKM_NL, 0);
	a = granted(w, 1, 0, r, LKM_PR, 0);
	/* Another conversion is ahead, and cannot be granted. */
	ex = w_convert(w, 1, 1, nl, LKM_EX, 0);
	is(w, 1, 1, ex, -1);
	conv = w_convert(w, 1, 0, a, LKM_CW, 0);
	w_deliver(w, 0);
	w_drop(w, 3, 1); /* the grant */
	cw = w_lockf(w, 2, 0, r, LKM_CW, LKF_NOORDER, 0);
	is(w, 2, 0, cw, LKE_OK);
	is(w, 1, 0, conv, -1);
	w_kill(w, 3);
	w_drop(w, 3, 1);
	w_drop(w, 3, 2);
	w_view(w, 1, LK_VIEW_RUNNING, 3, 4, 2);
	w_view(w, 2, LK_VIEW_RUNNING, 3, 4, 2);
	is(w, 1, 0, conv, LKE_OK);
	assert_int_equal(w_ans(w, 1, 0, LKP_DONE, conv)->mode, LKM_CW);
	is(w, 1, 1, ex, -1);
	w_free(w);
}

static void
the_survivors_of_three_agree(void **state)
{
	struct world *w = three();
	char r = w_res_of(7, 3);
	uint64_t a, b, c;

	(void)state;
	a = granted(w, 1, 0, r, LKM_EX, 0);
	b = waits(w, 2, 0, r, LKM_EX);
	c = waits(w, 1, 1, r, LKM_EX);
	w_kill(w, 3);
	w_drop(w, 3, 1);
	w_drop(w, 3, 2);
	/* A newer view overtakes the first round. */
	w_view(w, 1, LK_VIEW_RUNNING, 3, 4, 2);
	w_deliver(w, 0);
	w_view(w, 2, LK_VIEW_RUNNING, 3, 4, 2);
	w_deliver(w, 0);
	w_view(w, 1, LK_VIEW_RUNNING, 3, 4, 3);
	w_deliver(w, 0);
	w_view(w, 2, LK_VIEW_RUNNING, 3, 4, 3);
	w_settle(w);
	w_unlock(w, 1, 0, a);
	/* The order of the queue has survived its master. */
	is(w, 2, 0, b, LKE_OK);
	is(w, 1, 1, c, -1);
	w_unlock(w, 2, 0, w_id(w, 2, 0, b));
	is(w, 1, 1, c, LKE_OK);
	w_free(w);
}

/* Value blocks. */

static void
value_is(
    struct world *w, uint8_t id, uint32_t c, uint64_t cookie, const char *value)
{
	const struct lkp_ans *a;

	is(w, id, c, cookie, LKE_OK);
	a = w_ans(w, id, c, LKP_DONE, cookie);
	if (value == NULL) {
		assert_int_equal(a->flags, LKP_F_VALUE | LKP_F_NOTVALID);
	} else {
		assert_int_equal(a->flags, LKP_F_VALUE);
		assert_string_equal((const char *)a->value, value);
	}
}

static void
write_value(struct world *w, uint8_t id, uint32_t c, char r, const char *v)
{
	uint64_t a = granted(w, id, c, r, LKM_EX, 0);

	w_value(w, LKP_UNLOCK, id, c, a, 0, LKF_VALBLK, v);
	w_settle(w);
}

static void
a_value_without_proof_is_not_valid(void **state)
{
	struct world *w = w_pair();
	char r = w_res_of(3, 2);

	(void)state;
	granted(w, 1, 0, r, LKM_NL, 0);
	write_value(w, 1, 1, r, "old");
	/* It has read "old", which is valid as far as it knows. */
	granted(w, 1, 3, r, LKM_CR, LKF_VALBLK);
	/* Node 2 was the master, and could have written last. */
	granted(w, 2, 1, r, LKM_NL, 0);
	{
		uint64_t a = granted(w, 2, 0, r, LKM_PW, 0);

		w_value(w, LKP_UNLOCK, 2, 0, a, 0, LKF_VALBLK, "new");
	}
	two_dies(w, 2);
	value_is(w, 1, 2, w_lockf(w, 1, 2, r, LKM_PW, LKF_VALBLK, 0), NULL);
	w_free(w);
}

static void
a_reader_proves_the_value(void **state)
{
	struct world *w = w_pair();
	char r = w_res_of(3, 2);

	(void)state;
	granted(w, 1, 0, r, LKM_NL, 0);
	write_value(w, 2, 0, r, "kept");
	granted(w, 1, 1, r, LKM_PR, 0);
	two_dies(w, 2);
	value_is(w, 1, 2, w_lockf(w, 1, 2, r, LKM_PR, LKF_VALBLK, 0), "kept");
	w_free(w);
}

static void
a_dead_writer_leaves_no_valid_value(void **state)
{
	struct world *w = w_pair();
	char r = w_res_of(3, 1);

	(void)state;
	granted(w, 1, 0, r, LKM_NL, 0);
	write_value(w, 1, 1, r, "old");
	granted(w, 2, 0, r, LKM_PW, 0);
	two_dies(w, 2);
	value_is(w, 1, 2, w_lockf(w, 1, 2, r, LKM_PR, LKF_VALBLK, 0), NULL);
	/* One that only read does no harm. */
	w_free(w);
	w = w_pair();
	granted(w, 1, 0, r, LKM_NL, 0);
	write_value(w, 1, 1, r, "old");
	granted(w, 2, 0, r, LKM_PR, 0);
	two_dies(w, 2);
	value_is(w, 1, 2, w_lockf(w, 1, 2, r, LKM_EX, LKF_VALBLK, 0), "old");
	w_free(w);
}

static void
a_value_moves_with_its_resource(void **state)
{
	struct world *w = w_new(2, 5);
	char moves = w_res_of(3, 2);

	(void)state;
	w_view(w, 1, LK_VIEW_RUNNING, 1, 2, 1);
	w_open(w, 1, 0);
	w_open(w, 1, 1);
	granted(w, 1, 0, moves, LKM_NL, 0);
	write_value(w, 1, 1, moves, "here");
	w_view(w, 1, LK_VIEW_RUNNING, 3, 0, 1);
	w_view(w, 2, LK_VIEW_RUNNING, 3, 0, 1);
	w_settle(w);
	w_open(w, 2, 0);
	value_is(
	    w, 2, 0, w_lockf(w, 2, 0, moves, LKM_EX, LKF_VALBLK, 0), "here");
	w_free(w);
}

/* A write on its way when the master died counts, if it is the newest. */
static void
a_write_on_its_way_is_not_forgotten(void **state)
{
	struct world *w = w_pair();
	char r = w_res_of(3, 2);
	uint64_t a;

	(void)state;
	granted(w, 1, 0, r, LKM_NL, 0);
	write_value(w, 1, 1, r, "old");
	a = granted(w, 1, 1, r, LKM_EX, 0);
	w_value(w, LKP_CONVERT, 1, 1, a, LKM_PR, LKF_VALBLK, "new");
	two_dies(w, 2);
	value_is(w, 1, 2, w_lockf(w, 1, 2, r, LKM_PR, LKF_VALBLK, 0), "new");
	w_free(w);
}

/* The master moves away and back; a write was lost on the way to it. */
static void
a_write_lost_before_a_move_is_kept(void **state)
{
	struct world *w = three();
	char r = w_res_of(7, 3);
	uint64_t a, k;

	(void)state;
	/* Without node 3 somebody of 1, 2 is its master: the other writes. */
	uint8_t master = lk_master_of(3, "default", (uint8_t *)&r, 1);
	uint8_t writer = (uint8_t)(3 - master);

	w_kill(w, 3);
	w_drop(w, 3, 1);
	w_drop(w, 3, 2);
	w_view(w, 1, LK_VIEW_RUNNING, 3, 4, 2);
	w_view(w, 2, LK_VIEW_RUNNING, 3, 4, 2);
	w_settle(w);
	granted(w, master, 0, r, LKM_NL, 0);
	write_value(w, writer, 1, r, "old");
	a = granted(w, writer, 1, r, LKM_EX, 0);
	k = w_value(w, LKP_UNLOCK, writer, 1, a, 0, LKF_VALBLK, "new");
	w_drop(w, 1, 2);
	w_boot(w, 3);
	w_open(w, 3, 0);
	for (uint8_t i = 1; i <= 3; i++)
		w_view(w, i, LK_VIEW_RUNNING, 7, 0, 2);
	is(w, writer, 1, k, LKE_OK);
	value_is(w, 3, 0, w_lockf(w, 3, 0, r, LKM_EX, LKF_VALBLK, 0), "new");
	w_free(w);
}

/* What an operator sees. */

static void
rows_and_queries_reach_over_nodes(void **state)
{
	struct world *w = w_pair();
	char r = w_res_of(3, 1);
	struct lkp_req q = {.op = LKP_QUERY, .name_len = 1, .cookie = 77};
	struct lk_iter it = {0};
	struct lk_row row;

	(void)state;
	q.name[0] = (uint8_t)r;
	granted(w, 1, 0, r, LKM_EX, 0);
	waits(w, 2, 0, r, LKM_PR);
	waits(w, 2, 1, r, LKM_EX);
	/* Node 2 is not its master and still knows why. */
	assert_true(lk_status_next(w->node[2].lk, &it, &row));
	assert_string_equal(row.why, "pid 100 on node 1 holds EX");
	assert_int_equal(row.master, 1);
	assert_true(lk_status_next(w->node[2].lk, &it, &row));
	assert_false(lk_status_next(w->node[2].lk, &it, &row));
	/* Node 1 sees the locks of node 2. */
	memset(&it, 0, sizeof(it));
	assert_true(lk_status_next(w->node[1].lk, &it, &row));
	assert_true(lk_status_next(w->node[1].lk, &it, &row));
	assert_int_equal(row.node, 2);
	assert_int_equal(row.pid, 200);
	assert_string_equal(row.why, "pid 100 on node 1 holds EX");
	/* The blocker of the first in the queue is kept up to date. */
	w_req(w, 2, 2, &q);
	w_settle(w);
	assert_int_equal(w_count(w, 2, 2, LKP_ROW, 77), 3);
	assert_int_equal(w_ans(w, 2, 2, LKP_DONE, 77)->arg, 3);
	/* No answer will come: not silence, but an error. */
	q.cookie = 78;
	w_req(w, 2, 2, &q);
	w_view(w, 2, LK_VIEW_STOPPED, 2, 0, 1);
	assert_int_equal(w_status(w, 2, 2, 78), LKE_AGAIN);
	q.cookie = 79;
	w_req(w, 2, 2, &q);
	assert_int_equal(w_status(w, 2, 2, 79), LKE_AGAIN);
	memset(&it, 0, sizeof(it));
	assert_true(lk_status_next(w->node[2].lk, &it, &row));
	assert_string_equal(
	    row.why, "the fate of its master, node 1, is undecided");
	w_free(w);
}

/* A peer of bytes: what no correct node sends. */

static void
raw(struct world *w, uint8_t kind, uint64_t src, uint64_t dst, uint32_t seq,
    const uint8_t *body, size_t len, uint16_t count)
{
	uint8_t buf[1024];
	struct lkw_hdr h = {
	    .kind = kind, .count = count, .src = src, .dst = dst, .seq = seq};
	struct lk_event ev = {.type = LK_EV_MSG};

	lkw_put_hdr(buf, &h);
	memcpy(buf + LKW_HDR_LEN, body, len);
	ev.u.msg.from = 2;
	ev.u.msg.bytes = buf;
	ev.u.msg.len = LKW_HDR_LEN + len;
	w_step(w, 1, &ev);
}

static void
raw_sync(struct world *w, uint64_t src, uint64_t dst)
{
	uint8_t buf[LKW_SYNC_LEN];
	struct lkw_sync s = {.members = 3, .synced = true, .epoch = 1};

	lkw_put_sync(buf, &s);
	raw(w, LKW_SYNC, src, dst, 0, buf, sizeof(buf), 1);
}

/* The view of node 1 as its last frame says. */
static uint64_t
view_of_one(struct world *w)
{
	struct lkw_hdr h;
	const char *why;
	struct w_msg *m;

	assert_true(w->n_queue > 0);
	m = &w->queue[w->n_queue - 1];
	assert_int_equal(lkw_get_hdr(&h, m->bytes, m->len, &why), 0);
	return h.src;
}

static const uint64_t fake = 0x1234500000001ULL;

/* Node 1 runs together with node 2, which is this test. */
static struct world *
faked(uint64_t *view)
{
	struct world *w = w_new(2, 3);
	struct lkw_msg told = {.type = LKW_TOLD};
	uint8_t buf[LKW_MSG_MAX];

	w_kill(w, 2);
	w_view(w, 1, LK_VIEW_RUNNING, 3, 0, 1);
	for (uint32_t c = 0; c < W_CLIENTS; c++)
		w_open(w, 1, c);
	*view = view_of_one(w);
	raw_sync(w, fake, *view);
	raw(w, LKW_DATA, fake, *view, 0, buf, lkw_put_msg(buf, &told), 1);
	assert_int_equal(phase(w, 1), LK_PH_RUNNING);
	return w;
}

static uint64_t
bad(struct world *w)
{
	struct lk_status st;

	lk_status(w->node[1].lk, &st);
	return st.bad_messages;
}

static void
bytes_of_a_peer_never_do_harm(void **state)
{
	uint64_t view;
	struct world *w = faked(&view);
	char r = w_res_of(3, 1), other = w_res_of(3, 2);
	struct lkw_msg m = {.type = LKW_REQUEST,
	    .lock = 7,
	    .oseq = 1,
	    .rq = LKM_PR,
	    .name_len = 1,
	    .name = (uint8_t *)&other};
	uint8_t buf[LKW_MSG_MAX];
	uint32_t seq = 1;
	uint64_t n = 0;

	(void)state;
#define BAD(body, len, count) \
	do { \
		raw(w, LKW_DATA, fake, view, seq++, body, len, count); \
		assert_int_equal(bad(w), ++n); \
	} while (0)
	buf[0] = 99;
	BAD(buf, 1, 1); /* no such type */
	BAD(buf, 0, 1); /* cut short */
	/* A request that is not for this master. */
	m.space = lk_space_hash("default");
	BAD(buf, lkw_put_msg(buf, &m), 1);
	m.type = LKW_QUEUED; /* of a lock that is not there: ignored */
	raw(w, LKW_DATA, fake, view, seq++, buf, lkw_put_msg(buf, &m), 1);
	assert_int_equal(bad(w), n);
	/* Bytes behind the last message. */
	m.type = LKW_READY;
	buf[lkw_put_msg(buf, &m)] = 0;
	BAD(buf, 2, 1);
	m.type = LKW_TOLD;
	BAD(buf, lkw_put_msg(buf, &m), 1);
	/* A lock that cannot be. */
	m.type = LKW_REBUILD;
	m.state = 9;
	m.name = (uint8_t *)&r;
	BAD(buf, lkw_put_msg(buf, &m), 1);
	m.type = LKW_VALUE;
	BAD(buf, lkw_put_msg(buf, &m), 1);
	/* Shorter than a header, from nobody, from itself. */
	{
		struct lk_event ev = {.type = LK_EV_MSG};

		ev.u.msg.from = 2;
		ev.u.msg.bytes = buf;
		ev.u.msg.len = 3;
		w_step(w, 1, &ev);
		assert_int_equal(bad(w), ++n);
		ev.u.msg.from = 9;
		w_step(w, 1, &ev);
		assert_int_equal(bad(w), ++n);
		ev.u.msg.from = 1;
		w_step(w, 1, &ev);
		assert_int_equal(bad(w), ++n);
	}
	/* After a while both sides compare again. */
	w_sleep(w, 1100);
	assert_int_equal(phase(w, 1), LK_PH_SYNC);
	w_free(w);
}

/* A lock that its owner does not tell of any more is gone. */
static void
what_is_not_told_is_dropped(void **state)
{
	uint64_t view, k;
	struct world *w = faked(&view);
	char r = w_res_of(3, 1);
	struct lkw_msg m = {.type = LKW_TOLD};
	struct lk_row row;
	struct lk_iter it = {0};
	uint8_t buf[LKW_MSG_MAX];

	(void)state;
	k = w_lockf(w, 1, 0, r, LKM_NL, 0, 0);
	assert_int_equal(w_status(w, 1, 0, k), LKE_OK);
	assert_true(lk_status_next(w->node[1].lk, &it, &row));
	/* Its request: the space is named by a hash that node 1 has sent. */
	m.type = LKW_REQUEST;
	m.lock = 7;
	m.oseq = 1;
	m.rq = LKM_EX;
	m.name = (uint8_t *)&r;
	m.name_len = 1;
	m.space = lk_space_hash("default");
	raw(w, LKW_DATA, fake, view, 1, buf, lkw_put_msg(buf, &m), 1);
	k = w_lockf(w, 1, 1, r, LKM_PR, 0, 0);
	assert_int_equal(w_status(w, 1, 1, k), -1);
	/* The same number twice, and a lock that waits converted. */
	raw(w, LKW_DATA, fake, view, 2, buf, lkw_put_msg(buf, &m), 1);
	assert_int_equal(bad(w), 1);
	w_resync(w, 1, 2);
	view = view_of_one(w);
	raw_sync(w, fake + 1, view);
	view = view_of_one(w);
	raw_sync(w, fake + 1, view);
	m.type = LKW_TOLD;
	raw(w, LKW_DATA, fake + 1, view, 0, buf, lkw_put_msg(buf, &m), 1);
	assert_int_equal(w_status(w, 1, 1, k), LKE_OK);
	w_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_resource_for_both),
	    cmocka_unit_test(names_spread_over_the_nodes),
	    cmocka_unit_test(a_dead_holder_is_voided),
	    cmocka_unit_test(undecided_what_is_mastered_here_goes_on),
	    cmocka_unit_test(noqueue_on_the_way_to_stopping_is_refused),
	    cmocka_unit_test(before_the_first_view_requests_wait),
	    cmocka_unit_test(a_join_moves_half_and_freezes_only_that),
	    cmocka_unit_test(a_new_master_waits_for_everybody),
	    cmocka_unit_test(isolated_nodes_lose_their_locks_at_once),
	    cmocka_unit_test(a_node_voided_unawares_loses_its_locks),
	    cmocka_unit_test(a_fast_restart_voids_the_old_locks),
	    cmocka_unit_test(lost_messages_are_told_again),
	    cmocka_unit_test(a_gap_is_seen),
	    cmocka_unit_test(a_lost_sync_is_repeated),
	    cmocka_unit_test(timeouts_and_deaths_while_undecided),
	    cmocka_unit_test(a_conversion_down_counts_though_its_master_died),
	    cmocka_unit_test(deadlocks_are_found_among_rebuilt_conversions),
	    cmocka_unit_test(noqueue_on_the_way_to_a_dead_master_is_answered),
	    cmocka_unit_test(a_granted_conversion_is_proven_by_other_holders),
	    cmocka_unit_test(the_survivors_of_three_agree),
	    cmocka_unit_test(a_value_without_proof_is_not_valid),
	    cmocka_unit_test(a_reader_proves_the_value),
	    cmocka_unit_test(a_dead_writer_leaves_no_valid_value),
	    cmocka_unit_test(a_value_moves_with_its_resource),
	    cmocka_unit_test(a_write_on_its_way_is_not_forgotten),
	    cmocka_unit_test(a_write_lost_before_a_move_is_kept),
	    cmocka_unit_test(rows_and_queries_reach_over_nodes),
	    cmocka_unit_test(bytes_of_a_peer_never_do_harm),
	    cmocka_unit_test(what_is_not_told_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
