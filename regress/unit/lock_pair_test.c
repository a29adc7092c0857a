/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two and three nodes: locks over the wire, and what becomes of them when
 * nodes die, come, are undecided or isolated, and when messages are lost.
 * One story per test.
 */
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

/* A node that may have been declared dead itself grants nothing at all. */
static void
in_doubt_nothing_is_granted(void **state)
{
	struct world *w = w_pair();
	char here = w_res_of(3, 1);
	uint64_t a, held, wait, fresh;

	(void)state;
	a = granted(w, 1, 0, here, LKM_EX, 0);
	wait = waits(w, 1, 1, here, LKM_PR);
	w_view(w, 1, LK_VIEW_DOUBT, 1, 0, 1);
	held = w_unlock(w, 1, 0, a);
	fresh = w_lockf(w, 1, 2, w_res_of(1, 1), LKM_NL, 0, 0);
	is(w, 1, 1, wait, -1);
	is(w, 1, 2, fresh, -1);
	/* The client dies: still nobody is granted what it had. */
	w_eof(w, 1, 0);
	is(w, 1, 1, wait, -1);
	(void)held;
	/* It is the other one whose fate is undecided: this one goes on. */
	w_view(w, 1, LK_VIEW_STOPPED, 1, 0, 1);
	assert_int_equal(w_status(w, 1, 1, wait), LKE_OK);
	w_view(w, 1, LK_VIEW_RUNNING, 3, 0, 1);
	is(w, 1, 2, fresh, LKE_OK);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_resource_for_both),
	    cmocka_unit_test(names_spread_over_the_nodes),
	    cmocka_unit_test(a_dead_holder_is_voided),
	    cmocka_unit_test(undecided_what_is_mastered_here_goes_on),
	    cmocka_unit_test(in_doubt_nothing_is_granted),
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
	    cmocka_unit_test(rows_and_queries_reach_over_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
