/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Value blocks over nodes: they move with their resource, and are never
 * called valid when nobody proves who wrote last.
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

static void
is(struct world *w, uint8_t id, uint32_t c, uint64_t cookie, int status)
{
	w_settle(w);
	assert_int_equal(w_status(w, id, c, cookie), status);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_value_without_proof_is_not_valid),
	    cmocka_unit_test(a_reader_proves_the_value),
	    cmocka_unit_test(a_dead_writer_leaves_no_valid_value),
	    cmocka_unit_test(a_value_moves_with_its_resource),
	    cmocka_unit_test(a_write_on_its_way_is_not_forgotten),
	    cmocka_unit_test(a_write_lost_before_a_move_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
