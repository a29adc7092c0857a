/* SPDX-License-Identifier: BSD-2-Clause */
/* What regress/mutants asks of membership beyond member_test.c. */
#include "member_world.h"

/*
 * A node that acts on a forged ABORT finds its peer again a moment later; what
 * it did in between is what counts.
 */
static void
R3_an_abort_raises_no_epoch(void **state)
{
	uint64_t epoch;

	(void)state;
	both_paired();
	epoch = w.nodes[BRAVO].epoch;
	for (int i = 0; i < 50; i++) {
		aborted(BRAVO);
		for (int ms = 0; ms < DISK + 2; ms++) {
			run(1);
			expect(BRAVO, PAIRED, ALIVE);
		}
	}
	run(500);
	expect(BRAVO, PAIRED, ALIVE);
	expect(ALPHA, PAIRED, ALIVE);
	assert_int_equal(w.nodes[BRAVO].epoch, epoch);
	assert_int_equal(w.nodes[BRAVO].disk.epoch, epoch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(R3_an_abort_raises_no_epoch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
