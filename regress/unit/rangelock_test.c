/* SPDX-License-Identifier: BSD-2-Clause */
/* Overlapping operations one after the other, in order of arrival. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "rangelock.h"

static struct rl_entry *order[64];
static unsigned n_order;

static void
granted(void *ctx, struct rl_entry *e)
{
	(void)ctx;
	order[n_order++] = e;
}

static void
first_come_first_served(void **state)
{
	struct rangelock l;
	struct rl_entry e[5];

	(void)state;
	memset(e, 0, sizeof(e));
	n_order = 0;
	rl_init(&l);
	assert_true(rl_acquire(&l, &e[0], 0, 10));
	assert_false(rl_acquire(&l, &e[1], 5, 10));
	/* Free of e[0], but behind e[1], which must not starve. */
	assert_false(rl_acquire(&l, &e[2], 12, 4));
	assert_true(rl_acquire(&l, &e[3], 16, 4)); /* touches nobody */
	assert_false(rl_acquire(&l, &e[4], 0, 100));
	rl_release(&l, &e[0], granted, NULL);
	assert_int_equal(n_order, 1);
	assert_ptr_equal(order[0], &e[1]);
	rl_release(&l, &e[1], granted, NULL);
	assert_ptr_equal(order[1], &e[2]);
	rl_release(&l, &e[2], granted, NULL);
	assert_int_equal(n_order, 2);
	rl_release(&l, &e[3], granted, NULL);
	assert_ptr_equal(order[2], &e[4]);
	rl_release(&l, &e[4], granted, NULL);
	assert_int_equal(l.waiting, 0);
	assert_true(TAILQ_EMPTY(&l.list));
}

static void
who_gives_up_waiting_lets_others_through(void **state)
{
	struct rangelock l;
	struct rl_entry e[3];

	(void)state;
	memset(e, 0, sizeof(e));
	n_order = 0;
	rl_init(&l);
	assert_true(rl_acquire(&l, &e[0], 0, 10));
	assert_false(rl_acquire(&l, &e[1], 5, 10));
	assert_false(rl_acquire(&l, &e[2], 10, 10));
	rl_release(&l, &e[1], granted, NULL);
	assert_int_equal(n_order, 1);
	assert_ptr_equal(order[0], &e[2]);
	rl_release(&l, &e[2], granted, NULL);
	rl_release(&l, &e[0], granted, NULL);
	assert_int_equal(l.waiting, 0);
}

static void
never_two_that_overlap(void **state)
{
	struct rangelock l;
	struct rl_entry e[40];
	uint64_t rng = 7;

	(void)state;
	memset(e, 0, sizeof(e));
	rl_init(&l);
	for (int i = 0; i < 20000; i++) {
		struct rl_entry *x;

		rng = rng * 6364136223846793005u + 1442695040888963407u;
		x = &e[(rng >> 33) % 40];
		n_order = 0;
		if (x->queued)
			rl_release(&l, x, granted, NULL);
		else
			rl_acquire(
			    &l, x, (rng >> 40) % 200, 1 + (rng >> 50) % 30);
		for (int a = 0; a < 40; a++)
			for (int b = 0; b < a; b++)
				assert_false(e[a].granted && e[b].granted &&
					     e[a].off < e[b].off + e[b].len &&
					     e[b].off < e[a].off + e[a].len);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(first_come_first_served),
	    cmocka_unit_test(who_gives_up_waiting_lets_others_through),
	    cmocka_unit_test(never_two_that_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
