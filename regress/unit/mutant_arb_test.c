/* SPDX-License-Identifier: BSD-2-Clause */
/* What regress/mutants asks of arbitration beyond arb_fence_test.c. */
#include "arb_world.h"

/* The device said ok, and then nothing: that is no "off", however often. */
static void
R3_a_query_without_answer_proves_nothing(void **unused)
{
	(void)unused;
	start(1, 0);
	want_active(2);
	answers(ARB_RES_OK);
	expect("0 level 1 off\n0 level 1 status\n");
	answers(ARB_RES_TIMEOUT);
	state(CHECK);
	run(500);
	expect("500 level 1 status\n");
	answers(ARB_RES_TIMEOUT);
	run(LEVEL - 500);
	state(FROZEN);
	noted("fence_a did not answer in time");
	assert_null(strstr(w.log, "verdict off"));
}

/* Nor does it after boot, when nothing may be switched (R1). */
static void
R1_nor_does_it_after_boot(void **unused)
{
	(void)unused;
	start(1, 0);
	want_verify(2);
	answers(ARB_RES_TIMEOUT);
	expect("0 level 1 status\n");
	state(VERIFY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(R3_a_query_without_answer_proves_nothing),
	    T(R1_nor_does_it_after_boot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
