/* SPDX-License-Identifier: BSD-2-Clause */
/* What nodes say of services, and the peer goes away, or comes back. */
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

/*
 * Both took the address while nothing joined them.  What they said meanwhile
 * is lost, and is said again as soon as it can be heard.
 */
static void
told_again_when_joined(void **state)
{
	(void)state;
	pair();
	run(1000);
	expect(ALPHA, WEB, RUNNING);
	w.deaf = true;
	view(ALPHA, SVC_RIGHT_PAIRED, 's');
	view(BRAVO, SVC_RIGHT_PAIRED, 'f');
	run(1200);
	expect(ALPHA, WEB, RUNNING);
	expect(BRAVO, WEB, RUNNING);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	run(10);
	w.deaf = false;
	step(ALPHA, (struct svc_event){.type = SVC_EV_JOINED});
	step(BRAVO, (struct svc_event){.type = SVC_EV_JOINED});
	deliver();
	run(5);
	assert_true(w.nodes[ALPHA].state[WEB] == SVC_STOPPED ||
		    w.nodes[BRAVO].state[WEB] == SVC_STOPPED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(takeover_outlives_the_other_node),
	    T(told_again_when_joined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
