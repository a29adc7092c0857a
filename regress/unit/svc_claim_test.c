/* SPDX-License-Identifier: BSD-2-Clause */
/* A node that asks its peer for a service, and the peer goes away. */
#include "svc_world.h"

/* The peer said goodbye while it was asked: nobody else starts it. */
static void
takeover_outlives_the_other_node(void **state)
{
	(void)state;
	pair();
	run(100);
	expect(ALPHA, SHOP, RUNNING);
	w.deaf = true;
	takeover(BRAVO, SHOP, false);
	expect(BRAVO, SHOP, PULLING);
	view(BRAVO, SVC_RIGHT_ALONE, 'g');
	/* In this very step: there may be no other for a long time. */
	expect(BRAVO, SHOP, STARTING);
	run(100);
	expect(BRAVO, SHOP, RUNNING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(takeover_outlives_the_other_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
