/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One node, several clients: modes, queues, flags, conversions, value blocks,
 * notices, quotas.  One test per rule.
 */
#include "lock_world.h"

static struct world *
alone(void)
{
	struct world *w = w_new(1, 7);

	w_view(w, 1, LK_VIEW_RUNNING, 1, 0, 1);
	for (uint32_t c = 0; c < W_CLIENTS; c++)
		w_open(w, 1, c);
	return w;
}

static uint64_t
lock(struct world *w, uint32_t c, uint8_t mode, uint32_t flags)
{
	return w_lockf(w, 1, c, 'r', mode, flags, 0);
}

static int
status(struct world *w, uint32_t c, uint64_t cookie)
{
	return w_status(w, 1, c, cookie);
}

/* Grants at once; the lock's id. */
static uint64_t
held(struct world *w, uint32_t c, uint8_t mode, uint32_t flags)
{
	uint64_t k = lock(w, c, mode, flags);

	assert_int_equal(status(w, c, k), LKE_OK);
	return w_id(w, 1, c, k);
}

static void
compatibility_of_all_modes(void **state)
{
	(void)state;
	for (uint8_t a = 0; a < LKM_COUNT; a++)
		for (uint8_t b = 0; b < LKM_COUNT; b++) {
			struct world *w = alone();
			uint64_t k;

			held(w, 0, a, 0);
			k = lock(w, 1, b, LKF_NOQUEUE);
			assert_int_equal(status(w, 1, k),
			    w_compatible(a, b) ? LKE_OK : LKE_AGAIN);
			assert_int_equal(lkm_compat(a, b), w_compatible(a, b));
			w_free(w);
		}
}

static void
waiters_are_served_in_order(void **state)
{
	struct world *w = alone();
	uint64_t ex = held(w, 0, LKM_EX, 0), a, b, c, nl;

	(void)state;
	a = lock(w, 1, LKM_PR, 0);
	b = lock(w, 2, LKM_EX, 0);
	c = lock(w, 3, LKM_PR, 0);
	assert_non_null(w_ans(w, 1, 1, LKP_QUEUED, a));
	w_unlock(w, 1, 0, ex);
	assert_int_equal(status(w, 1, a), LKE_OK);
	/* PR behind a waiting EX waits, and so does a plain NL. */
	assert_int_equal(status(w, 3, c), -1);
	nl = lock(w, 0, LKM_NL, 0);
	assert_int_equal(status(w, 0, nl), -1);
	w_unlock(w, 1, 1, w_id(w, 1, 1, a));
	assert_int_equal(status(w, 2, b), LKE_OK);
	assert_int_equal(status(w, 3, c), -1);
	w_unlock(w, 1, 2, w_id(w, 1, 2, b));
	assert_int_equal(status(w, 3, c), LKE_OK);
	assert_int_equal(status(w, 0, nl), LKE_OK);
	w_free(w);
}

static void
noqueue_does_not_wait(void **state)
{
	struct world *w = alone();
	uint64_t h = held(w, 0, LKM_EX, LKF_BAST), k;

	(void)state;
	k = lock(w, 1, LKM_PR, LKF_NOQUEUE);
	assert_int_equal(status(w, 1, k), LKE_AGAIN);
	assert_null(w_ans(w, 1, 0, LKP_BAST, 0));
	k = lock(w, 1, LKM_PR, LKF_NOQUEUEBAST);
	assert_int_equal(status(w, 1, k), LKE_AGAIN);
	assert_int_equal(w_ans(w, 1, 0, LKP_BAST, 0)->mode, LKM_PR);
	assert_int_equal(w_ans(w, 1, 0, LKP_BAST, 0)->lock, h);
	w_free(w);
}

static void
expedite_passes_the_queue(void **state)
{
	struct world *w = alone();
	uint64_t k;

	(void)state;
	held(w, 0, LKM_PR, 0);
	lock(w, 1, LKM_EX, 0);
	k = lock(w, 2, LKM_NL, LKF_EXPEDITE);
	assert_int_equal(status(w, 2, k), LKE_OK);
	k = lock(w, 2, LKM_CR, LKF_EXPEDITE);
	assert_int_equal(status(w, 2, k), LKE_INVAL);
	k = lock(w, 2, LKM_NL, LKF_EXPEDITE | LKF_NOQUEUE);
	assert_int_equal(status(w, 2, k), LKE_INVAL);
	k = lock(w, 2, LKM_NL, LKF_EXPEDITE | LKF_NOORDER);
	assert_int_equal(status(w, 2, k), LKE_INVAL);
	w_free(w);
}

static void
noorder_passes_the_queue_if_compatible(void **state)
{
	struct world *w = alone();
	uint64_t pr = held(w, 0, LKM_PR, 0), ex, k, n;

	(void)state;
	ex = lock(w, 1, LKM_EX, 0);
	k = lock(w, 2, LKM_PR, LKF_NOORDER);
	assert_int_equal(status(w, 2, k), LKE_OK);
	/* While it waits, too: PW conflicts with PR, not with CR. */
	n = lock(w, 3, LKM_PW, LKF_NOORDER);
	assert_int_equal(status(w, 3, n), -1);
	w_convert(w, 1, 2, w_id(w, 1, 2, k), LKM_CR, 0);
	assert_int_equal(status(w, 3, n), -1);
	w_convert(w, 1, 0, pr, LKM_CR, 0);
	assert_int_equal(status(w, 3, n), LKE_OK);
	assert_int_equal(status(w, 1, ex), -1);
	w_free(w);
}

static void
conversion_in_place(void **state)
{
	struct world *w = alone();
	uint64_t a = held(w, 0, LKM_PR, 0), k, ex;

	(void)state;
	ex = lock(w, 1, LKM_EX, 0);
	/* First evaluation: granted though somebody waits. */
	k = w_convert(w, 1, 0, a, LKM_PW, 0);
	assert_int_equal(status(w, 0, k), LKE_OK);
	assert_int_equal(w_ans(w, 1, 0, LKP_DONE, k)->mode, LKM_PW);
	k = w_convert(w, 1, 0, a, LKM_NL, 0);
	assert_int_equal(status(w, 0, k), LKE_OK);
	assert_int_equal(status(w, 1, ex), LKE_OK);
	w_free(w);
}

static void
conversions_come_before_new_requests(void **state)
{
	struct world *w = alone();
	uint64_t a = held(w, 0, LKM_PR, 0), b = held(w, 1, LKM_PR, 0);
	uint64_t wait, conv, nl;

	(void)state;
	wait = lock(w, 2, LKM_PW, 0);
	conv = w_convert(w, 1, 0, a, LKM_EX, 0);
	assert_int_equal(status(w, 0, conv), -1);
	nl = lock(w, 3, LKM_NL, 0);
	w_unlock(w, 1, 1, b);
	assert_int_equal(status(w, 0, conv), LKE_OK);
	assert_int_equal(status(w, 2, wait), -1);
	assert_int_equal(status(w, 3, nl), -1);
	w_unlock(w, 1, 0, a);
	assert_int_equal(status(w, 2, wait), LKE_OK);
	assert_int_equal(status(w, 3, nl), LKE_OK);
	w_free(w);
}

static void
quecvt_waits_behind_a_converter(void **state)
{
	struct world *w = alone();
	uint64_t a = held(w, 0, LKM_PR, 0), b = held(w, 1, LKM_PR, 0);
	uint64_t c = held(w, 2, LKM_NL, 0), d = held(w, 3, LKM_NL, 0);
	uint64_t conv, plain, que, k;

	(void)state;
	conv = w_convert(w, 1, 0, a, LKM_EX, 0);
	assert_int_equal(status(w, 0, conv), -1);
	plain = w_convert(w, 1, 2, c, LKM_CR, 0);
	assert_int_equal(status(w, 2, plain), LKE_OK);
	que = w_convert(w, 1, 3, d, LKM_CR, LKF_QUECVT);
	assert_int_equal(status(w, 3, que), -1);
	w_unlock(w, 1, 2, c);
	w_unlock(w, 1, 1, b);
	assert_int_equal(status(w, 0, conv), LKE_OK);
	assert_int_equal(status(w, 3, que), -1);
	w_convert(w, 1, 0, a, LKM_CR, 0);
	assert_int_equal(status(w, 3, que), LKE_OK);
	/* With nobody converting it is granted in place. */
	k = w_convert(w, 1, 3, d, LKM_CW, LKF_QUECVT);
	assert_int_equal(status(w, 3, k), LKE_OK);
	k = lock(w, 2, LKM_CR, LKF_QUECVT);
	assert_int_equal(status(w, 2, k), LKE_INVAL);
	w_free(w);
}

static void
the_later_of_two_deadlocked_converters_is_refused(void **state)
{
	struct world *w = alone();
	uint64_t a = held(w, 0, LKM_PR, 0), b = held(w, 1, LKM_PR, 0), x, y;
	struct lk_status st;

	(void)state;
	x = w_convert(w, 1, 0, a, LKM_EX, 0);
	y = w_convert(w, 1, 1, b, LKM_EX, 0);
	assert_int_equal(status(w, 0, x), -1);
	assert_int_equal(status(w, 1, y), LKE_DEADLK);
	assert_int_equal(w_ans(w, 1, 1, LKP_DONE, y)->mode, LKM_PR);
	/* It keeps its mode: the first one waits until it goes. */
	w_unlock(w, 1, 1, b);
	assert_int_equal(status(w, 0, x), LKE_OK);
	lk_status(w->node[1].lk, &st);
	assert_int_equal(st.deadlocks, 1);
	w_free(w);
}

/* Two converters that do not block one another both wait. */
static void
no_deadlock_where_none_is(void **state)
{
	struct world *w = alone();
	uint64_t a = held(w, 0, LKM_CR, 0), b = held(w, 1, LKM_CR, 0), h;
	uint64_t x, y;

	(void)state;
	h = held(w, 2, LKM_PR, 0);
	x = w_convert(w, 1, 0, a, LKM_CW, 0);
	y = w_convert(w, 1, 1, b, LKM_CW, 0);
	assert_int_equal(status(w, 0, x), -1);
	assert_int_equal(status(w, 1, y), -1);
	w_unlock(w, 1, 2, h);
	assert_int_equal(status(w, 0, x), LKE_OK);
	assert_int_equal(status(w, 1, y), LKE_OK);
	w_free(w);
}

static void
a_conversion_refused_keeps_its_mode(void **state)
{
	struct world *w = alone();
	uint64_t a = held(w, 0, LKM_PR, 0), b = held(w, 1, LKM_PR, 0), k;

	(void)state;
	k = w_convert(w, 1, 0, a, LKM_EX, LKF_NOQUEUE);
	assert_int_equal(status(w, 0, k), LKE_AGAIN);
	k = lock(w, 2, LKM_CW, LKF_NOQUEUE);
	w_unlock(w, 1, 1, b);
	k = lock(w, 2, LKM_CW, LKF_NOQUEUE);
	assert_int_equal(status(w, 2, k), LKE_AGAIN);
	k = w_convert(w, 1, 0, a, LKM_EX, LKF_NOQUEUE);
	assert_int_equal(status(w, 0, k), LKE_OK);
	w_free(w);
}

static void
cancel(void **state)
{
	struct world *w = alone();
	uint64_t a = held(w, 0, LKM_PR, 0), b = held(w, 1, LKM_PR, 0);
	uint64_t wait, conv, k;

	(void)state;
	k = w_cancel(w, 1, 0, a);
	assert_int_equal(status(w, 0, k), LKE_INVAL);
	/* One that waits opens the way for those behind it. */
	wait = lock(w, 2, LKM_EX, 0);
	conv = lock(w, 3, LKM_PR, 0);
	k = w_cancel(w, 1, 2, w_id(w, 1, 2, wait));
	assert_int_equal(status(w, 2, k), LKE_OK);
	assert_int_equal(status(w, 2, wait), LKE_CANCELED);
	assert_int_equal(status(w, 3, conv), LKE_OK);
	w_unlock(w, 1, 3, w_id(w, 1, 3, conv));
	/* A conversion keeps its old mode. */
	conv = w_convert(w, 1, 0, a, LKM_EX, 0);
	k = w_cancel(w, 1, 0, a);
	assert_int_equal(status(w, 0, conv), LKE_CANCELED);
	assert_int_equal(status(w, 0, k), LKE_OK);
	assert_int_equal(w_ans(w, 1, 0, LKP_DONE, conv)->mode, LKM_PR);
	w_unlock(w, 1, 1, b);
	k = w_convert(w, 1, 0, a, LKM_EX, LKF_NOQUEUE);
	assert_int_equal(status(w, 0, k), LKE_OK);
	w_free(w);
}

static void
timeouts_are_real(void **state)
{
	struct world *w = alone();
	uint64_t a = held(w, 0, LKM_PR, 0), b, wait, conv, behind;

	(void)state;
	b = held(w, 1, LKM_PR, 0);
	wait = w_lockf(w, 1, 2, 'r', LKM_EX, 0, 300);
	behind = lock(w, 3, LKM_PR, 0);
	w_sleep(w, 299);
	assert_int_equal(status(w, 2, wait), -1);
	w_sleep(w, 2);
	assert_int_equal(status(w, 2, wait), LKE_TIMEDOUT);
	assert_int_equal(status(w, 3, behind), LKE_OK);
	w_unlock(w, 1, 3, w_id(w, 1, 3, behind));
	{
		struct lkp_req q = {.op = LKP_CONVERT,
		    .mode = LKM_EX,
		    .lock = a,
		    .timeout_ms = 50};

		q.cookie = conv = w_cookie(w, LKP_CONVERT, 0, LKM_EX);
		w_req(w, 1, 0, &q);
	}
	w_sleep(w, 51);
	assert_int_equal(status(w, 0, conv), LKE_TIMEDOUT);
	/* Granted in time: nothing happens later. */
	w_unlock(w, 1, 1, b);
	wait = w_lockf(w, 1, 2, 'r', LKM_PR, 0, 100);
	assert_int_equal(status(w, 2, wait), LKE_OK);
	w_sleep(w, 1000);
	assert_int_equal(w_count(w, 1, 2, LKP_DONE, wait), 1);
	assert_int_equal(w->node[1].timer.us, INT64_MAX);
	w_free(w);
}

/* Value blocks. */

static const struct lkp_ans *
done(struct world *w, uint32_t c, uint64_t cookie)
{
	assert_int_equal(status(w, c, cookie), LKE_OK);
	return w_ans(w, 1, c, LKP_DONE, cookie);
}

static void
read_is(struct world *w, uint32_t c, uint64_t cookie, const char *value)
{
	const struct lkp_ans *a = done(w, c, cookie);

	assert_int_equal(a->flags, LKP_F_VALUE);
	assert_string_equal((const char *)a->value, value);
}

static void
value_blocks_pass_from_writer_to_reader(void **state)
{
	struct world *w = alone();
	uint64_t nl = held(w, 3, LKM_NL, 0), a, k;

	(void)state;
	/* Never written: zeros are not called valid. */
	k = lock(w, 0, LKM_EX, LKF_VALBLK);
	assert_int_equal(done(w, 0, k)->flags, LKP_F_VALUE | LKP_F_NOTVALID);
	a = w_id(w, 1, 0, k);
	/* EX -> EX writes, as does EX -> PR; PR -> EX reads. */
	w_value(w, LKP_CONVERT, 1, 0, a, LKM_EX, LKF_VALBLK, "one");
	k = w_value(w, LKP_CONVERT, 1, 0, a, LKM_PR, LKF_VALBLK, "two");
	assert_int_equal(done(w, 0, k)->flags, 0);
	read_is(w, 1, lock(w, 1, LKM_PR, LKF_VALBLK), "two");
	/* Without the flag nothing is transferred. */
	k = lock(w, 1, LKM_CR, 0);
	assert_int_equal(done(w, 1, k)->flags, 0);
	/* From PR nothing is written, by no way. */
	k = w_value(w, LKP_CONVERT, 1, 0, a, LKM_NL, LKF_VALBLK, "bad");
	assert_int_equal(done(w, 0, k)->flags, 0);
	k = w_value(w, LKP_UNLOCK, 1, 0, a, 0, LKF_VALBLK, "bad");
	read_is(w, 3, w_convert(w, 1, 3, nl, LKM_CR, LKF_VALBLK), "two");
	w_free(w);
}

static void
unlock_writes_from_pw_and_ex(void **state)
{
	static const uint8_t modes[] = {LKM_PW, LKM_EX};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *w = alone();
		uint64_t a, nl = held(w, 3, LKM_NL, 0);

		a = held(w, 0, modes[i], 0);
		w_value(w, LKP_UNLOCK, 1, 0, a, 0, LKF_VALBLK, "v");
		read_is(w, 1, lock(w, 1, LKM_CR, LKF_VALBLK), "v");
		/* PW -> PW writes, PW -> EX reads. */
		a = held(w, 0, LKM_PW, 0);
		w_value(w, LKP_CONVERT, 1, 0, a, LKM_PW, LKF_VALBLK, "pw");
		w_unlock(w, 1, 1, w_id(w, 1, 1, 0));
		read_is(w, 0,
		    w_value(w, LKP_CONVERT, 1, 0, a, LKM_EX, LKF_VALBLK, "no"),
		    "pw");
		w_unlock(w, 1, 3, nl);
		w_free(w);
	}
}

static void
values_can_be_made_invalid(void **state)
{
	struct world *w = alone();
	uint64_t nl = held(w, 3, LKM_NL, 0), a, k;

	(void)state;
	a = held(w, 0, LKM_EX, 0);
	w_value(w, LKP_CONVERT, 1, 0, a, LKM_EX, LKF_VALBLK, "one");
	w_value(w, LKP_UNLOCK, 1, 0, a, 0, LKF_IVVALBLK, NULL);
	k = lock(w, 1, LKM_PR, LKF_VALBLK);
	assert_int_equal(done(w, 1, k)->flags, LKP_F_VALUE | LKP_F_NOTVALID);
	/* A reader cannot say so, and not both at once. */
	a = w_id(w, 1, 1, k);
	k = w_value(w, LKP_UNLOCK, 1, 1, a, 0, LKF_IVVALBLK, NULL);
	assert_int_equal(status(w, 1, k), LKE_INVAL);
	k = w_value(w, LKP_CONVERT, 1, 1, a, LKM_NL, LKF_IVVALBLK, NULL);
	assert_int_equal(status(w, 1, k), LKE_INVAL);
	w_unlock(w, 1, 1, a);
	a = held(w, 0, LKM_EX, 0);
	k = w_value(w, LKP_UNLOCK, 1, 0, a, 0, LKF_IVVALBLK | LKF_VALBLK, 0);
	assert_int_equal(status(w, 0, k), LKE_INVAL);
	/* A write makes it valid again. */
	w_value(w, LKP_UNLOCK, 1, 0, a, 0, LKF_VALBLK, "new");
	read_is(w, 1, lock(w, 1, LKM_PR, LKF_VALBLK), "new");
	assert_int_equal(status(w, 3, w_unlock(w, 1, 3, nl)), LKE_OK);
	w_free(w);
}

static void
a_writer_that_dies_invalidates_the_value(void **state)
{
	struct world *w = alone();
	uint64_t k, a;

	(void)state;
	held(w, 3, LKM_NL, 0);
	a = held(w, 0, LKM_EX, 0);
	w_value(w, LKP_CONVERT, 1, 0, a, LKM_NL, LKF_VALBLK, "one");
	w_eof(w, 1, 0);
	/* It held NL: nothing is lost. */
	k = lock(w, 1, LKM_EX, LKF_VALBLK);
	read_is(w, 1, k, "one");
	w_eof(w, 1, 1);
	k = lock(w, 2, LKM_PR, LKF_VALBLK);
	assert_int_equal(done(w, 2, k)->flags, LKP_F_VALUE | LKP_F_NOTVALID);
	w_free(w);
}

/* Notices. */

static void
holders_hear_once_of_the_highest_waiting_mode(void **state)
{
	struct world *w = alone();
	uint64_t a = held(w, 0, LKM_PR, LKF_BAST), wait;

	(void)state;
	held(w, 1, LKM_CR, LKF_BAST);
	held(w, 2, LKM_PR, 0);
	wait = lock(w, 3, LKM_PW, 0);
	assert_int_equal(w_count(w, 1, 0, LKP_BAST, 0), 1);
	assert_int_equal(w_ans(w, 1, 0, LKP_BAST, 0)->mode, LKM_PW);
	/* CR is not in the way of PW; the third did not ask. */
	assert_int_equal(w_count(w, 1, 1, LKP_BAST, 0), 0);
	assert_int_equal(w_count(w, 1, 2, LKP_BAST, 0), 0);
	lock(w, 3, LKM_PW, 0);
	assert_int_equal(w_count(w, 1, 0, LKP_BAST, 0), 1);
	lock(w, 3, LKM_EX, 0);
	assert_int_equal(w_count(w, 1, 0, LKP_BAST, 0), 2);
	assert_int_equal(w_ans(w, 1, 0, LKP_BAST, 0)->mode, LKM_EX);
	assert_int_equal(w_ans(w, 1, 1, LKP_BAST, 0)->mode, LKM_EX);
	/* Regranted: told again. */
	w_convert(w, 1, 0, a, LKM_PR, 0);
	assert_int_equal(w_count(w, 1, 0, LKP_BAST, 0), 2);
	w_convert(w, 1, 0, a, LKM_PR, LKF_BAST);
	assert_int_equal(w_count(w, 1, 0, LKP_BAST, 0), 3);
	assert_int_equal(status(w, 3, wait), -1);
	w_free(w);
}

static void
pr_and_cw_block_one_another(void **state)
{
	struct world *w = alone();

	(void)state;
	held(w, 0, LKM_PR, LKF_BAST);
	lock(w, 1, LKM_CW, 0);
	lock(w, 2, LKM_PR, 0);
	assert_int_equal(w_ans(w, 1, 0, LKP_BAST, 0)->mode, LKM_CW);
	w_free(w);
	w = alone();
	held(w, 0, LKM_CW, LKF_BAST);
	lock(w, 1, LKM_PR, 0);
	lock(w, 2, LKM_CW, 0);
	assert_int_equal(w_ans(w, 1, 0, LKP_BAST, 0)->mode, LKM_PR);
	w_free(w);
}

static void
a_new_waiter_after_a_cancelled_one_is_told_again(void **state)
{
	struct world *w = alone();
	uint64_t wait;

	(void)state;
	held(w, 0, LKM_PR, LKF_BAST);
	wait = lock(w, 1, LKM_EX, 0);
	w_cancel(w, 1, 1, w_id(w, 1, 1, wait));
	lock(w, 2, LKM_EX, 0);
	assert_int_equal(w_count(w, 1, 0, LKP_BAST, 0), 2);
	w_free(w);
}

/* Refusals. */

static void
each_wrong_request_has_its_error(void **state)
{
	struct world *w = alone();
	uint64_t a = held(w, 0, LKM_PR, 0), k;
	struct lkp_req q = {.op = LKP_LOCK, .mode = 6, .name_len = 1};

	(void)state;
#define REFUSED(err) \
	do { \
		q.cookie = w_cookie(w, 99, 0, 0); \
		w_req(w, 1, 1, &q); \
		assert_int_equal(status(w, 1, q.cookie), err); \
	} while (0)
	q.name[0] = 'r';
	REFUSED(LKE_INVAL); /* no such mode */
	q.mode = LKM_NL;
	q.flags = LKF_ALL + 1;
	REFUSED(LKE_INVAL);
	q.flags = LKF_IVVALBLK;
	REFUSED(LKE_INVAL);
	q.flags = LKF_NOQUEUE;
	q.timeout_ms = 5;
	REFUSED(LKE_INVAL);
	q.flags = 0;
	q.timeout_ms = 0;
	q.lock = a;
	REFUSED(LKE_INVAL); /* a new lock has no id */
	q.lock = 0;
	q.space = 1;
	REFUSED(LKE_NOENT); /* not opened */
	q.space = 9;
	REFUSED(LKE_NOENT);
	q.space = 0;
	q.name_len = 0;
	q.name[0] = 0;
	REFUSED(LKE_INVAL);
	q.op = LKP_CONVERT;
	q.lock = a;
	REFUSED(LKE_NOENT); /* somebody else's */
	q.lock = 12345;
	REFUSED(LKE_NOENT);
	k = w_value(w, LKP_CONVERT, 1, 0, a, 7, 0, NULL);
	assert_int_equal(status(w, 0, k), LKE_INVAL);
	k = w_convert(w, 1, 0, a, LKM_NL, LKF_EXPEDITE);
	assert_int_equal(status(w, 0, k), LKE_INVAL);
	k = w_convert(w, 1, 0, a, LKM_NL, LKF_VALBLK | LKF_IVVALBLK);
	assert_int_equal(status(w, 0, k), LKE_INVAL);
	k = w_value(w, LKP_UNLOCK, 1, 0, a, 0, LKF_NOQUEUE, NULL);
	assert_int_equal(status(w, 0, k), LKE_INVAL);
	k = w_value(w, LKP_CANCEL, 1, 0, a, 0, LKF_NOQUEUE, NULL);
	assert_int_equal(status(w, 0, k), LKE_INVAL);
	/* One request at a time. */
	held(w, 1, LKM_PR, 0);
	w_convert(w, 1, 0, a, LKM_EX, 0);
	k = w_convert(w, 1, 0, a, LKM_NL, 0);
	assert_int_equal(status(w, 0, k), LKE_BUSY);
	k = w_unlock(w, 1, 0, a);
	assert_int_equal(status(w, 0, k), LKE_BUSY);
	w_free(w);
}

static void
lockspaces_have_groups(void **state)
{
	struct world *w = alone();
	struct lkp_req q = {.op = LKP_OPEN, .cookie = 5};

	(void)state;
	memcpy(q.name, "other", 5);
	q.name_len = 5;
	w_req(w, 1, 0, &q);
	assert_int_equal(w_ans(w, 1, 0, LKP_OPENED, 5)->status, LKE_PERM);
	memcpy(q.name, "nosuch", 6);
	q.name_len = 6;
	q.cookie = 6;
	w_req(w, 1, 0, &q);
	assert_int_equal(w_ans(w, 1, 0, LKP_OPENED, 6)->status, LKE_NOENT);
	w_free(w);
}

static void
quotas(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct lk_conf c;
	uint64_t k = 0;

	(void)state;
	w->nodes = 1;
	c = w_conf(w, 1);
	c.client_locks_max = 3;
	c.uid_locks_max = 5;
	c.spaces[0].locks_max = 8;
	w_boot_with(w, 1, &c);
	w_view(w, 1, LK_VIEW_RUNNING, 1, 0, 1);
	w_open_as(w, 1, 0, 1000);
	w_open_as(w, 1, 1, 1000);
	w_open_as(w, 1, 2, 0);
	w_open_as(w, 1, 3, 0);
	for (unsigned i = 0; i < 3; i++)
		held(w, 0, LKM_NL, 0);
	k = lock(w, 0, LKM_NL, 0);
	assert_int_equal(status(w, 0, k), LKE_DQUOT);
	held(w, 1, LKM_NL, 0);
	held(w, 1, LKM_NL, 0);
	k = lock(w, 1, LKM_NL, 0); /* the user's */
	assert_int_equal(status(w, 1, k), LKE_DQUOT);
	for (unsigned i = 0; i < 3; i++)
		held(w, 2, LKM_NL, 0);
	k = lock(w, 3, LKM_NL, 0); /* the lockspace's */
	assert_int_equal(status(w, 3, k), LKE_NOLCK);
	w_eof(w, 1, 0);
	held(w, 3, LKM_NL, 0);
	w_free(w);
}

static void
the_death_of_a_client_releases(void **state)
{
	struct world *w = alone();
	uint64_t wait, other;
	struct lk_status st;

	(void)state;
	held(w, 0, LKM_EX, 0);
	wait = lock(w, 1, LKM_PR, 0);
	other = lock(w, 2, LKM_PR, 0);
	w_eof(w, 1, 1);
	w_eof(w, 1, 0);
	assert_int_equal(status(w, 2, other), LKE_OK);
	(void)wait;
	w_eof(w, 1, 2);
	lk_status(w->node[1].lk, &st);
	assert_int_equal(st.locks, 0);
	assert_int_equal(st.resources, 0);
	assert_int_equal(st.masters, 0);
	assert_int_equal(st.clients, 1);
	w_free(w);
}

static void
batches_are_answered_as_batches(void **state)
{
	struct world *w = alone();
	static uint8_t buf[LKP_REQ_MSG_MAX];
	unsigned n = 30;

	(void)state;
	lkp_put_hdr(buf, n);
	for (unsigned i = 0; i < n; i++) {
		struct lkp_req q = {.op = LKP_LOCK,
		    .mode = LKM_EX,
		    .name_len = 1,
		    .cookie = w_cookie(w, LKP_LOCK, (uint8_t)(i + 'A'), 5)};

		q.name[0] = (uint8_t)(i + 'A');
		w->node[1].clients[0].pending++;
		lkp_put_req(buf + LKP_HDR_LEN + i * LKP_REQ_LEN, &q);
	}
	w_bytes(w, 1, 0, buf, LKP_HDR_LEN + n * LKP_REQ_LEN);
	assert_int_equal(w_count(w, 1, 0, LKP_DONE, 0), n);
	w_free(w);
}

static void
garbage_is_answered_and_hung_up_on(void **state)
{
	struct world *w = alone();
	uint8_t buf[LKP_HDR_LEN + LKP_REQ_LEN] = {0};
	uint64_t other;

	(void)state;
	held(w, 0, LKM_EX, 0);
	other = lock(w, 1, LKM_PR, 0);
	w_bytes(w, 1, 0, buf, sizeof(buf));
	assert_int_equal(w_ans(w, 1, 0, LKP_ERROR, 0)->status, LKE_PROTO);
	assert_true(w->node[1].clients[0].closed);
	assert_string_equal(
	    w->node[1].clients[0].why, "no message of the lock protocol");
	assert_int_equal(status(w, 1, other), LKE_OK);
	/* A good header, an operation that is none. */
	lkp_put_hdr(buf, 1);
	buf[LKP_HDR_LEN] = 99;
	w_bytes(w, 1, 2, buf, sizeof(buf));
	assert_string_equal(w->node[1].clients[2].why, "unknown operation");
	/* What it sent before it heard is not heard; its slot is free. */
	w_bytes(w, 1, 2, buf, sizeof(buf));
	w_eof(w, 1, 2);
	w_open(w, 1, 2);
	w_free(w);
}

static void
query_and_rows_say_who_and_why(void **state)
{
	struct world *w = alone();
	struct lkp_req q = {.op = LKP_QUERY, .name_len = 1, .cookie = 77};
	struct lk_iter it = {0};
	struct lk_row row;
	const struct lkp_ans *a;

	(void)state;
	held(w, 0, LKM_PR, 0);
	lock(w, 1, LKM_EX, 0);
	lock(w, 2, LKM_PR, 0);
	w_sleep(w, 1500);
	q.name[0] = 'r';
	w_req(w, 1, 3, &q);
	assert_int_equal(w_count(w, 1, 3, LKP_ROW, 77), 3);
	assert_int_equal(w_ans(w, 1, 3, LKP_DONE, 77)->arg, 3);
	a = w_ans(w, 1, 3, LKP_ROW, 77);
	assert_int_equal(a->flags, LKP_F_WAITING);
	assert_int_equal(a->pid, 102);
	assert_int_equal(a->node, 1);
	assert_int_equal(a->ms, 1500);
	assert_true(lk_status_next(w->node[1].lk, &it, &row));
	assert_int_equal(row.state, LK_ROW_GRANTED);
	assert_string_equal(row.why, "");
	assert_true(lk_status_next(w->node[1].lk, &it, &row));
	assert_int_equal(row.state, LK_ROW_WAITING);
	assert_string_equal(row.why, "pid 100 on node 1 holds PR");
	assert_string_equal(row.space, "default");
	assert_true(lk_status_next(w->node[1].lk, &it, &row));
	assert_string_equal(
	    row.why, "behind pid 101 on node 1, which wants EX");
	assert_false(lk_status_next(w->node[1].lk, &it, &row));
	w_free(w);
}

static void
tokens_only_grow(void **state)
{
	struct world *w = alone();
	uint64_t last = 0;

	(void)state;
	/* Also over the end of a resource. */
	for (unsigned i = 0; i < 5; i++) {
		uint64_t k = lock(w, 0, LKM_EX, 0);
		const struct lkp_ans *a = done(w, 0, k);

		assert_true(a->token > last);
		last = a->token;
		w_unlock(w, 1, 0, a->lock);
	}
	assert_true(last >= 1ULL << 44); /* the epoch is in it */
	w_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(compatibility_of_all_modes),
	    cmocka_unit_test(waiters_are_served_in_order),
	    cmocka_unit_test(noqueue_does_not_wait),
	    cmocka_unit_test(expedite_passes_the_queue),
	    cmocka_unit_test(noorder_passes_the_queue_if_compatible),
	    cmocka_unit_test(conversion_in_place),
	    cmocka_unit_test(conversions_come_before_new_requests),
	    cmocka_unit_test(quecvt_waits_behind_a_converter),
	    cmocka_unit_test(the_later_of_two_deadlocked_converters_is_refused),
	    cmocka_unit_test(no_deadlock_where_none_is),
	    cmocka_unit_test(a_conversion_refused_keeps_its_mode),
	    cmocka_unit_test(cancel),
	    cmocka_unit_test(timeouts_are_real),
	    cmocka_unit_test(value_blocks_pass_from_writer_to_reader),
	    cmocka_unit_test(unlock_writes_from_pw_and_ex),
	    cmocka_unit_test(values_can_be_made_invalid),
	    cmocka_unit_test(a_writer_that_dies_invalidates_the_value),
	    cmocka_unit_test(holders_hear_once_of_the_highest_waiting_mode),
	    cmocka_unit_test(pr_and_cw_block_one_another),
	    cmocka_unit_test(a_new_waiter_after_a_cancelled_one_is_told_again),
	    cmocka_unit_test(each_wrong_request_has_its_error),
	    cmocka_unit_test(lockspaces_have_groups),
	    cmocka_unit_test(quotas),
	    cmocka_unit_test(the_death_of_a_client_releases),
	    cmocka_unit_test(batches_are_answered_as_batches),
	    cmocka_unit_test(garbage_is_answered_and_hung_up_on),
	    cmocka_unit_test(query_and_rows_say_who_and_why),
	    cmocka_unit_test(tokens_only_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
