/* SPDX-License-Identifier: BSD-2-Clause */
/* What operators say and what holds: freeze, thaw, stop, start, and move. */
#include "svc_world.h"

static void
dies(uint8_t id)
{
	daemon_end(id);
	view((uint8_t)(3 - id), SVC_RIGHT_ALONE, 'g');
	run(100);
}

static void
comes_back(uint8_t id)
{
	daemon_start(id);
	run(10);
	volume(id, true, true, true);
	view(id, SVC_RIGHT_PAIRED, 'a');
	view((uint8_t)(3 - id), SVC_RIGHT_PAIRED, 'a');
	run(1000);
}

static void
frozen_moves_nothing_and_stops_nothing(void **state)
{
	struct svc_event e = {.type = SVC_EV_ADDRESS};
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	order(BRAVO, SVC_OP_FREEZE, -1, 0);
	assert_int_equal(w.nodes[BRAVO].code, 0);
	assert_string_equal(w.nodes[BRAVO].reply,
	    "frozen: nothing moves by itself until 'hactl thaw'");
	run(10);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_true(st.frozen && st.services[SHOP].frozen);
	contains(w.nodes[ALPHA].notes, "[freeze] everything is frozen");
	/* Neither for want of carrier, nor for a check, nor for a death. */
	step(ALPHA, e);
	deliver();
	w.nodes[ALPHA].result[N_STEPS][SVC_DO_STATUS] = 1;
	run(5000);
	expect(ALPHA, SHOP, RUNNING);
	contains(w.nodes[ALPHA].notes, "[freeze] frozen by an operator: it is "
				       "not taken from alpha; 'hactl thaw'");
	contains(w.nodes[ALPHA].notes, "[R11] check failed on alpha: exit 1; "
				       "frozen by an operator: it goes on");
	dies(ALPHA);
	expect(BRAVO, SHOP, STOPPED);
	expect(BRAVO, WEB, STOPPED);
	run(700 * 1000);
	expect(BRAVO, SHOP, STOPPED);
	order(BRAVO, SVC_OP_THAW, -1, 0);
	assert_string_equal(w.nodes[BRAVO].reply,
	    "thawed; alpha is not there and learns it "
	    "later");
	run(50);
	expect(BRAVO, SHOP, RUNNING);
}

/* A frozen service starts again where it ran. */
static void
frozen_is_remembered_by_the_other_node(void **state)
{
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	order(ALPHA, SVC_OP_FREEZE, SHOP, 0);
	run(10);
	dies(ALPHA);
	expect(BRAVO, SHOP, STOPPED);
	expect(BRAVO, WEB, RUNNING);
	comes_back(ALPHA);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_true(st.services[SHOP].frozen);
	assert_false(st.services[WEB].frozen || st.frozen);
	expect(ALPHA, SHOP, RUNNING);
	order(ALPHA, SVC_OP_THAW, SHOP, 0);
	run(10);
	svc_status(w.nodes[BRAVO].svc, &st);
	assert_false(st.services[SHOP].frozen);
}

static void
frozen_obeys_operators(void **state)
{
	(void)state;
	shop_on_alpha();
	order(ALPHA, SVC_OP_FREEZE, -1, 0);
	run(10);
	standby(ALPHA, ALPHA, false);
	assert_int_equal(w.nodes[ALPHA].code, 1);
	contains(w.nodes[ALPHA].reply, "is frozen ('hactl thaw'); -y stops it");
	order(ALPHA, SVC_OP_MOVE, SHOP, BRAVO);
	run(50);
	expect(BRAVO, SHOP, RUNNING);
	assert_int_equal(w.nodes[ALPHA].code, 0);
	dies(BRAVO);
	takeover(ALPHA, SHOP, false);
	run(50);
	expect(ALPHA, SHOP, RUNNING);
}

/* Said on both sides of a cut: the later word holds, of equal ones freeze. */
static void
words_of_two_sides_meet(void **state)
{
	struct svc_status a, b;

	(void)state;
	shop_on_alpha();
	w.deaf = true;
	view(ALPHA, SVC_RIGHT_PAIRED, 'l');
	view(BRAVO, SVC_RIGHT_PAIRED, 'l');
	order(ALPHA, SVC_OP_FREEZE, SHOP, 0);
	order(BRAVO, SVC_OP_THAW, SHOP, 0);
	order(ALPHA, SVC_OP_FREEZE, -1, 0);
	order(BRAVO, SVC_OP_FREEZE, WEB, 0);
	order(BRAVO, SVC_OP_THAW, WEB, 0);
	order(ALPHA, SVC_OP_FREEZE, WEB, 0);
	w.deaf = false;
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	run(2000);
	order(BRAVO, SVC_OP_THAW, -1, 0);
	run(10);
	order(ALPHA, SVC_OP_FREEZE, SHOP, 0);
	run(10);
	svc_status(w.nodes[ALPHA].svc, &a);
	svc_status(w.nodes[BRAVO].svc, &b);
	assert_true(a.services[SHOP].frozen && b.services[SHOP].frozen);
	assert_false(a.services[WEB].frozen || b.services[WEB].frozen);
	assert_false(a.frozen || b.frozen);
}

static void
stopped_stays_stopped_on_both(void **state)
{
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	/* Said on the node that does not run it. */
	order(BRAVO, SVC_OP_STOP, SHOP, 0);
	assert_int_equal(w.nodes[BRAVO].replies, 0);
	run(50);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
	assert_int_equal(w.nodes[BRAVO].code, 0);
	assert_string_equal(
	    w.nodes[BRAVO].reply, "shop: stopped until it is started");
	expect(ALPHA, SHOP, STOPPED);
	contains(w.nodes[ALPHA].notes, "[stop] stopped on alpha: an operator "
				       "stopped it");
	run(10000);
	expect(BRAVO, SHOP, STOPPED);
	expect(ALPHA, WEB, RUNNING);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_true(st.services[SHOP].stopped);
	/* Daemons come and go, one at a time. */
	dies(ALPHA);
	expect(BRAVO, SHOP, STOPPED);
	comes_back(ALPHA);
	dies(BRAVO);
	comes_back(BRAVO);
	expect(ALPHA, SHOP, STOPPED);
	expect(BRAVO, SHOP, STOPPED);
	takeover(BRAVO, SHOP, false);
	assert_string_equal(w.nodes[BRAVO].reply,
	    "an operator stopped it; 'hactl start shop' first");
	order(BRAVO, SVC_OP_STOP, SHOP, 0);
	assert_string_equal(
	    w.nodes[BRAVO].reply, "an operator stopped it already");
	order(BRAVO, SVC_OP_START, SHOP, 0);
	run(50);
	/* On the preferred node, and the one who asked is told. */
	expect(ALPHA, SHOP, RUNNING);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
	assert_int_equal(w.nodes[BRAVO].code, 0);
	assert_string_equal(w.nodes[BRAVO].reply, "shop: runs on alpha");
	order(BRAVO, SVC_OP_START, SHOP, 0);
	assert_string_equal(
	    w.nodes[BRAVO].reply, "it is running on alpha already");
}

static void
stop_here_tells_how_long_it_took(void **state)
{
	(void)state;
	shop_on_alpha();
	order(ALPHA, SVC_OP_STOP, SHOP, 0);
	run(50);
	assert_int_equal(w.nodes[ALPHA].code, 0);
	contains(w.nodes[ALPHA].reply, "shop: stopped in");
	order(ALPHA, SVC_OP_START, SHOP, 0);
	run(50);
	contains(w.nodes[ALPHA].reply, "shop: started in");
	expect(ALPHA, SHOP, RUNNING);
}

static void
stop_that_fails_is_told(void **state)
{
	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = 1;
	order(BRAVO, SVC_OP_STOP, SHOP, 0);
	run(50);
	assert_int_equal(w.nodes[BRAVO].code, 1);
	assert_string_equal(
	    w.nodes[BRAVO].reply, "shop: will not stop on alpha");
}

static void
start_that_nobody_can(void **state)
{
	(void)state;
	shop_on_alpha();
	order(ALPHA, SVC_OP_STOP, SHOP, 0);
	run(50);
	dies(BRAVO);
	volume(ALPHA, false, false, true);
	order(ALPHA, SVC_OP_START, SHOP, 0);
	assert_int_equal(w.nodes[ALPHA].code, 1);
	assert_string_equal(w.nodes[ALPHA].reply,
	    "no node can run it now: volume orders cannot become primary "
	    "there");
	order(ALPHA, SVC_OP_START, 9, 0);
	assert_string_equal(w.nodes[ALPHA].reply, "there is no such service");
	order(ALPHA, SVC_OP_MOVE, SHOP, 7);
	assert_string_equal(w.nodes[ALPHA].reply, "there is no such node");
}

/* The peer cannot start it and says so by its table only: not for ever. */
static void
start_is_not_waited_for_long(void **state)
{
	(void)state;
	shop_on_alpha();
	order(BRAVO, SVC_OP_STOP, SHOP, 0);
	run(50);
	w.nodes[ALPHA].result[MOUNT][SVC_DO_START] = 1;
	w.nodes[BRAVO].result[MOUNT][SVC_DO_START] = -1;
	order(BRAVO, SVC_OP_START, WEB, 0);
	order(ALPHA, SVC_OP_START, SHOP, 0);
	run(62 * 1000);
	assert_int_equal(w.nodes[ALPHA].replies, 1);
	assert_int_equal(w.nodes[ALPHA].code, 1);
}

/* Who waits for what another operator has taken back does so no longer. */
static void
a_later_word_ends_the_wait(void **state)
{
	(void)state;
	shop_on_alpha();
	order(BRAVO, SVC_OP_STOP, SHOP, 0);
	run(50);
	/* It takes for ever on alpha. */
	w.nodes[ALPHA].result[MOUNT][SVC_DO_START] = -1;
	order(BRAVO, SVC_OP_START, SHOP, 0);
	w.nodes[BRAVO].replies = 0;
	run(1000);
	assert_int_equal(w.nodes[BRAVO].replies, 0);
	order(ALPHA, SVC_OP_STOP, SHOP, 0);
	run(100);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
	assert_int_equal(w.nodes[BRAVO].code, 1);
	assert_string_equal(
	    w.nodes[BRAVO].reply, "shop: stopped by another operator");
}

static void
move_to_either_node(void **state)
{
	(void)state;
	shop_on_alpha();
	order(ALPHA, SVC_OP_MOVE, SHOP, BRAVO);
	run(50);
	expect(BRAVO, SHOP, RUNNING);
	assert_int_equal(w.nodes[ALPHA].code, 0);
	contains(w.nodes[ALPHA].reply, "shop: runs on bravo, moved in 8 ms");
	expect(ALPHA, WEB, RUNNING);
	order(ALPHA, SVC_OP_MOVE, SHOP, ALPHA);
	run(50);
	expect(ALPHA, SHOP, RUNNING);
	contains(w.nodes[ALPHA].reply, "shop: runs on alpha, moved in 8 ms");
	order(ALPHA, SVC_OP_MOVE, SHOP, ALPHA);
	assert_string_equal(w.nodes[ALPHA].reply, "it runs on alpha already");
	order(BRAVO, SVC_OP_MOVE, SHOP, ALPHA);
	run(10);
	assert_int_equal(w.nodes[BRAVO].code, 1);
	assert_string_equal(w.nodes[BRAVO].reply, "it runs on alpha already");
	dies(BRAVO);
	order(ALPHA, SVC_OP_MOVE, SHOP, BRAVO);
	assert_string_equal(w.nodes[ALPHA].reply, "that node is not there");
}

static void
dry_runs_change_nothing(void **state)
{
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	order_dry(ALPHA, SVC_OP_FREEZE, SHOP, 0);
	assert_string_equal(w.nodes[ALPHA].reply,
	    "shop: nothing of it moves by itself any more; what runs goes on: "
	    "no interruption\n");
	order_dry(ALPHA, SVC_OP_THAW, SHOP, 0);
	assert_string_equal(
	    w.nodes[ALPHA].reply, "shop: may move by itself again\n");
	order_dry(ALPHA, SVC_OP_MOVE, SHOP, BRAVO);
	contains(w.nodes[ALPHA].reply, "alpha: stop address shop\n");
	contains(w.nodes[ALPHA].reply, "bravo: start address shop\n");
	contains(w.nodes[ALPHA].reply, "shop: expected interruption ");
	order_dry(BRAVO, SVC_OP_STOP, SHOP, 0);
	contains(w.nodes[BRAVO].reply, "alpha: stop address shop\n");
	contains(w.nodes[BRAVO].reply,
	    "shop: expected interruption until it is started again\n");
	run(1000);
	expect(ALPHA, SHOP, RUNNING);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_false(st.services[SHOP].frozen || st.services[SHOP].stopped);
	order(ALPHA, SVC_OP_STOP, SHOP, 0);
	run(50);
	order_dry(ALPHA, SVC_OP_START, SHOP, 0);
	contains(w.nodes[ALPHA].reply, "alpha: start volume orders\n");
	run(1000);
	expect(ALPHA, SHOP, STOPPED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(frozen_moves_nothing_and_stops_nothing),
	    T(frozen_is_remembered_by_the_other_node),
	    T(frozen_obeys_operators),
	    T(words_of_two_sides_meet),
	    T(stopped_stays_stopped_on_both),
	    T(stop_here_tells_how_long_it_took),
	    T(stop_that_fails_is_told),
	    T(start_that_nobody_can),
	    T(start_is_not_waited_for_long),
	    T(a_later_word_ends_the_wait),
	    T(move_to_either_node),
	    T(dry_runs_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
