/* SPDX-License-Identifier: BSD-2-Clause */
/* Who runs what: cleaning, placement, the rules R1 to R11. */
#include "svc_world.h"

static void
leftovers_are_cleaned_first(void **state)
{
	(void)state;
	w.nodes[ALPHA].view.own_right = true;
	daemon_start(ALPHA);
	volume(ALPHA, true, true, false);
	/* Entitled at once: it cleans nevertheless. */
	view(ALPHA, SVC_RIGHT_ALONE, 'g');
	expect(ALPHA, SHOP, CLEANING);
	run(3);
	expect(ALPHA, SHOP, CLEANING);
	run(20);
	expect(ALPHA, SHOP, RUNNING);
	contains(w.nodes[ALPHA].log, "clean3 clean0 clean2 ");
	contains(w.nodes[ALPHA].log, "clean0 start0 start1 start2 start3 ");
}

static void
leftovers_that_stay_block(void **state)
{
	(void)state;
	w.nodes[ALPHA].result[MOUNT][SVC_DO_CLEAN] = 1;
	pair();
	run(100);
	expect(ALPHA, SHOP, FAILED);
	/* alpha may still have it mounted: bravo must not start it. */
	expect(BRAVO, SHOP, STOPPED);
	contains(w.nodes[ALPHA].notes, "[R12] will not stop on alpha: exit 1");
	w.nodes[ALPHA].result[MOUNT][SVC_DO_CLEAN] = 0;
	run(5000);
	expect(ALPHA, SHOP, RUNNING);
}

static void
inert_runs_nothing(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	volume(ALPHA, true, true, true);
	view(ALPHA, SVC_RIGHT_NONE, '-');
	run(5000);
	expect(ALPHA, SHOP, STOPPED);
	expect(ALPHA, WEB, STOPPED);
}

static void
ordered_start_on_the_preferred_node(void **state)
{
	(void)state;
	pair();
	run(100);
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
	/* web has no preference: the lower id. */
	expect(ALPHA, WEB, RUNNING);
	expect(BRAVO, WEB, STOPPED);
	contains(w.nodes[ALPHA].log, "start1 start2 start3 ");
	/* Why there: the evidence is in the note. */
	contains(w.nodes[ALPHA].notes,
	    "shop [service] start on alpha: preferred before bravo");
	contains(w.nodes[ALPHA].notes,
	    "web [service] start on alpha: nobody runs it, lower id than "
	    "bravo");
}

static void
volumes_decide(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	daemon_start(BRAVO);
	run(10);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	/* alpha is preferred and ready first, but its copy is incomplete. */
	volume(ALPHA, true, false, true);
	run(500);
	expect(ALPHA, SHOP, STOPPED);
	volume(BRAVO, true, true, true);
	run(50);
	expect(BRAVO, SHOP, RUNNING);
	expect(ALPHA, SHOP, STOPPED);
	contains(w.nodes[BRAVO].notes,
	    "shop [service] start on bravo: alpha has no complete copy");
}

/* The preferred node is a moment late: it still gets the service. */
static void
preferred_node_is_waited_for(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	daemon_start(BRAVO);
	run(10);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	volume(BRAVO, true, true, true);
	run(500);
	expect(BRAVO, SHOP, STOPPED);
	volume(ALPHA, true, true, true);
	run(50);
	expect(ALPHA, SHOP, RUNNING);
}

static void
preferred_node_is_not_waited_for_long(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	daemon_start(BRAVO);
	run(10);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	volume(BRAVO, true, true, true);
	run(1100);
	expect(BRAVO, SHOP, RUNNING);
	volume(ALPHA, true, true, true);
	run(5000);
	/* R10: no failback. */
	expect(BRAVO, SHOP, RUNNING);
	expect(ALPHA, SHOP, STOPPED);
}

/* Amnesia: a copy that was not compared since the start is not used. */
static void
R1_stale_copy_is_not_used(void **state)
{
	char why[96];
	uint32_t ms;

	(void)state;
	daemon_start(ALPHA);
	run(10);
	volume(ALPHA, true, true, false);
	view(ALPHA, SVC_RIGHT_ALONE, 'g');
	run(5000);
	expect(ALPHA, SHOP, STOPPED);
	/* What has no data runs. */
	expect(ALPHA, WEB, RUNNING);
	assert_int_equal(svc_forecast(w.nodes[ALPHA].svc, SHOP, BRAVO, &ms, why,
			     sizeof(why)),
	    0);
	assert_string_equal(
	    why, "volume orders was not compared with the peer's copy yet");
	/* The operator seeds it: its own right. */
	w.nodes[ALPHA].view.own_right = true;
	view(ALPHA, SVC_RIGHT_ALONE, 'g');
	run(50);
	expect(ALPHA, SHOP, RUNNING);
}

static void
R8_alone_takes_over(void **state)
{
	(void)state;
	shop_on_alpha();
	view(BRAVO, SVC_RIGHT_PAIRED, 's');
	run(1000);
	expect(BRAVO, SHOP, STOPPED);
	daemon_end(ALPHA);
	view(BRAVO, SVC_RIGHT_ALONE, 'g');
	run(10);
	expect(BRAVO, SHOP, RUNNING);
	expect(BRAVO, WEB, RUNNING);
	contains(w.nodes[BRAVO].notes,
	    "shop [service] start on bravo, an automatic takeover: alpha is "
	    "gone and ran it");
}

static void
R8_demoted_stops_everything(void **state)
{
	(void)state;
	shop_on_alpha();
	view(ALPHA, SVC_RIGHT_DOUBT, 'a');
	run(100);
	expect(ALPHA, SHOP, RUNNING);
	view(ALPHA, SVC_RIGHT_NONE, '-');
	expect(ALPHA, SHOP, STOPPING);
	run(20);
	expect(ALPHA, SHOP, STOPPED);
	contains(w.nodes[ALPHA].log, "stop3 stop0 stop2 stop1 stop0 ");
	contains(w.nodes[ALPHA].notes, "[R8] stopped on alpha: this node may "
				       "not run anything");
}

/*
 * A check under way has to end first: meanwhile the service still runs, but
 * what is silent of it must not speak again, even if the right is back.
 */
static void
R8_demoted_during_a_check(void **state)
{
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[N_STEPS][SVC_DO_STATUS] = -1;
	w.nodes[ALPHA].ignores_cancel = true;
	run(5500);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_false(st.services[SHOP].ends);
	view(ALPHA, SVC_RIGHT_NONE, '-');
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	expect(ALPHA, SHOP, RUNNING);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_true(st.services[SHOP].ends);
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = -1;
	run(3000);
	expect(ALPHA, SHOP, STOPPING);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_true(st.services[SHOP].ends);
}

/* The peer is starting what was taken from here: it will run it. */
static void
R8_yields_to_a_start(void **state)
{
	(void)state;
	shop_on_alpha();
	view(ALPHA, SVC_RIGHT_DOUBT, 'a');
	w.deaf = true;
	w.nodes[BRAVO].took_ms = 400;
	view(BRAVO, SVC_RIGHT_ALONE, 'g');
	run(100);
	expect(BRAVO, SHOP, STARTING);
	w.deaf = false;
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	run(300);
	expect(BRAVO, SHOP, STARTING);
	expect(ALPHA, SHOP, STOPPED);
	run(3000);
	expect(BRAVO, SHOP, RUNNING);
	expect(ALPHA, SHOP, STOPPED);
}

/* In doubt a start pauses between two steps, and goes on afterwards. */
static void
R8_doubt_pauses_a_start(void **state)
{
	(void)state;
	w.nodes[ALPHA].took_ms = 20;
	pair();
	run(110);
	expect(ALPHA, SHOP, STARTING);
	view(ALPHA, SVC_RIGHT_DOUBT, 'a');
	run(2000);
	expect(ALPHA, SHOP, STARTING);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	run(100);
	expect(ALPHA, SHOP, RUNNING);
}

static void
R2_lost_keeps_and_takes_nothing(void **state)
{
	(void)state;
	shop_on_alpha();
	w.deaf = true;
	view(ALPHA, SVC_RIGHT_PAIRED, 'l');
	view(BRAVO, SVC_RIGHT_PAIRED, 'l');
	run(60000);
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
	w.deaf = false;
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	run(2000);
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
}

/* A frozen peer: what has no data moves first, the thawed one yields. */
static void
R3_stateless_moves_early(void **state)
{
	(void)state;
	shop_on_alpha();
	w.deaf = true;
	view(BRAVO, SVC_RIGHT_PAIRED, 'f');
	run(20);
	expect(BRAVO, WEB, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
	w.deaf = false;
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	run(600);
	expect(BRAVO, WEB, RUNNING);
	expect(ALPHA, WEB, STOPPED);
	expect(ALPHA, SHOP, RUNNING);
	contains(w.nodes[ALPHA].notes, "the peer runs it as well and took it "
				       "later");
}

static void
R9_isolated_hands_over(void **state)
{
	(void)state;
	shop_on_alpha();
	view(ALPHA, SVC_RIGHT_ISOLATED, 'a');
	run(20);
	expect(ALPHA, SHOP, STOPPED);
	expect(ALPHA, WEB, STOPPED);
	contains(w.nodes[ALPHA].notes, "[R9] stopped on alpha: this node is "
				       "isolated");
}

/* The LAN port is down here and not there: the service moves after a lease. */
static void
R9_address_without_carrier(void **state)
{
	struct svc_event e = {.type = SVC_EV_ADDRESS};

	(void)state;
	shop_on_alpha();
	step(ALPHA, e);
	deliver();
	run(w.conf.t.heartbeat_ms / 4 - 5);
	expect(ALPHA, SHOP, RUNNING);
	run(40);
	expect(ALPHA, SHOP, STOPPED);
	expect(BRAVO, SHOP, RUNNING);
	expect(ALPHA, WEB, RUNNING);
	contains(w.nodes[ALPHA].notes, "[R9] stopped on alpha: no carrier for "
				       "its address here: hand over");
}

/* Both ports are down: nobody is better off, nothing moves. */
static void
R9_no_carrier_anywhere(void **state)
{
	struct svc_event e = {.type = SVC_EV_ADDRESS};

	(void)state;
	shop_on_alpha();
	step(BRAVO, e);
	deliver();
	step(ALPHA, e);
	deliver();
	run(5000);
	expect(ALPHA, SHOP, RUNNING);
}

/* The switch dies: one of them hears of it first, and does not hand over. */
static void
R9_both_lose_their_carrier(void **state)
{
	struct svc_event e = {.type = SVC_EV_ADDRESS};

	(void)state;
	shop_on_alpha();
	step(ALPHA, e);
	deliver();
	run(w.conf.t.heartbeat_ms / 4 - 10);
	step(BRAVO, e);
	deliver();
	run(5000);
	expect(ALPHA, SHOP, RUNNING);
	assert_null(strstr(w.nodes[ALPHA].notes, "hand over"));
}

static void
R10_no_failback(void **state)
{
	(void)state;
	shop_on_alpha();
	daemon_end(ALPHA);
	view(BRAVO, SVC_RIGHT_ALONE, 'g');
	run(50);
	expect(BRAVO, SHOP, RUNNING);
	daemon_start(ALPHA);
	run(10);
	volume(ALPHA, true, true, true);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	run(5000);
	expect(BRAVO, SHOP, RUNNING);
	expect(ALPHA, SHOP, STOPPED);
}

static void
R10_failback_when_configured(void **state)
{
	(void)state;
	w.conf.services[SHOP].failback = true;
	shop_on_alpha();
	daemon_end(ALPHA);
	view(BRAVO, SVC_RIGHT_ALONE, 'g');
	run(50);
	daemon_start(ALPHA);
	run(10);
	volume(ALPHA, true, false, true);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	run(2000);
	/* Not before its copy is complete. */
	expect(BRAVO, SHOP, RUNNING);
	volume(ALPHA, true, true, true);
	run(500 * 1000);
	/* Nor within ten minutes of the takeover: it waits, silently. */
	expect(BRAVO, SHOP, RUNNING);
	assert_null(strstr(w.nodes[BRAVO].notes, "[R10]"));
	w.nodes[BRAVO].log[0] = '\0';
	run(100 * 1000);
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
	contains(w.nodes[BRAVO].notes, "[R10] stopped on bravo: failback");
	/* At the first go, although ages are told in whole seconds. */
	assert_null(strstr(w.nodes[BRAVO].log, "start"));
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
dies(uint8_t id)
{
	daemon_end(id);
	view((uint8_t)(3 - id), SVC_RIGHT_ALONE, 'g');
	run(100);
}

/*
 * Whoever runs it dies.  Each node takes it once; what kills both does not
 * go round for ever, and both know although both forgot.
 */
static void
R10_ping_pong_of_deaths_ends(void **state)
{
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	dies(ALPHA);
	expect(BRAVO, SHOP, RUNNING);
	comes_back(ALPHA);
	dies(BRAVO);
	expect(ALPHA, SHOP, RUNNING);
	comes_back(BRAVO);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_int_equal(st.services[SHOP].moved_by, ALPHA);
	dies(ALPHA);
	/* bravo took it lately, as alpha has told it. */
	expect(BRAVO, SHOP, STOPPED);
	contains(w.nodes[BRAVO].notes,
	    "[R10] bravo took it by itself 2 s ago; one automatic takeover in "
	    "10 minutes: frozen for 598 s; 'hactl takeover shop' on the node "
	    "that shall run it, or 'hactl thaw shop'");
	svc_status(w.nodes[BRAVO].svc, &st);
	contains(st.services[SHOP].held, "bravo took it by itself");
	run(300 * 1000);
	expect(BRAVO, SHOP, STOPPED);
	/* One line, not one per look at it (R15). */
	assert_null(strstr(
	    strstr(w.nodes[BRAVO].notes, "shop [R10]") + 5, "shop [R10]"));
	run(300 * 1000);
	expect(BRAVO, SHOP, RUNNING);
}

/* Frozen because it moved too often: where it ran it may start again. */
static void
R10_frozen_service_starts_where_it_ran(void **state)
{
	(void)state;
	shop_on_alpha();
	dies(ALPHA);
	comes_back(ALPHA);
	dies(BRAVO);
	comes_back(BRAVO);
	dies(ALPHA);
	expect(BRAVO, SHOP, STOPPED);
	comes_back(ALPHA);
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
}

/* Each service has a count of its own. */
static void
R10_counts_each_service(void **state)
{
	(void)state;
	shop_on_alpha();
	takeover(BRAVO, WEB, false);
	run(1000);
	expect(BRAVO, WEB, RUNNING);
	dies(ALPHA);
	expect(BRAVO, SHOP, RUNNING);
	comes_back(ALPHA);
	dies(BRAVO);
	expect(ALPHA, SHOP, RUNNING);
	expect(ALPHA, WEB, RUNNING);
	comes_back(BRAVO);
	dies(ALPHA);
	/* bravo took shop lately, and web never. */
	expect(BRAVO, SHOP, STOPPED);
	expect(BRAVO, WEB, RUNNING);
}

static void
R10_operator_ends_the_freeze(void **state)
{
	(void)state;
	shop_on_alpha();
	dies(ALPHA);
	comes_back(ALPHA);
	dies(BRAVO);
	comes_back(BRAVO);
	dies(ALPHA);
	expect(BRAVO, SHOP, STOPPED);
	takeover(BRAVO, SHOP, false);
	run(50);
	expect(BRAVO, SHOP, RUNNING);
	assert_int_equal(w.nodes[BRAVO].code, 0);
}

static void
R10_thaw_ends_the_freeze(void **state)
{
	(void)state;
	shop_on_alpha();
	dies(ALPHA);
	comes_back(ALPHA);
	dies(BRAVO);
	comes_back(BRAVO);
	dies(ALPHA);
	order_dry(BRAVO, SVC_OP_THAW, SHOP, 0);
	contains(w.nodes[BRAVO].reply, "bravo: start volume orders\n");
	contains(w.nodes[BRAVO].reply, "shop: may move by itself again\n");
	expect(BRAVO, SHOP, STOPPED);
	order(BRAVO, SVC_OP_THAW, SHOP, 0);
	run(50);
	expect(BRAVO, SHOP, RUNNING);
}

/* It moved five minutes ago because an operator wanted so: not counted. */
static void
R10_operators_moves_do_not_count(void **state)
{
	(void)state;
	shop_on_alpha();
	takeover(BRAVO, SHOP, false);
	run(300 * 1000);
	expect(BRAVO, SHOP, RUNNING);
	takeover(ALPHA, SHOP, false);
	run(100 * 1000);
	standby(ALPHA, ALPHA, false);
	run(1000);
	expect(BRAVO, SHOP, RUNNING);
	op(ALPHA,
	    (struct svc_event){.u.op = {.op = SVC_OP_ONLINE, .node = ALPHA}});
	dies(BRAVO);
	expect(ALPHA, SHOP, RUNNING);
	comes_back(BRAVO);
	dies(ALPHA);
	expect(BRAVO, SHOP, RUNNING);
}

/* Moved by itself, then back by an operator, who has looked: counted anew. */
static void
R10_operator_begins_the_count_anew(void **state)
{
	(void)state;
	shop_on_alpha();
	dies(ALPHA);
	expect(BRAVO, SHOP, RUNNING);
	comes_back(ALPHA);
	takeover(ALPHA, SHOP, false);
	run(2000);
	expect(ALPHA, SHOP, RUNNING);
	dies(ALPHA);
	expect(BRAVO, SHOP, RUNNING);
	/* That one counts. */
	comes_back(ALPHA);
	dies(BRAVO);
	expect(ALPHA, SHOP, RUNNING);
	comes_back(BRAVO);
	dies(ALPHA);
	expect(BRAVO, SHOP, STOPPED);
}

/* The daemon on alpha is restarted by an operator: nor does that. */
static void
R10_goodbye_does_not_count(void **state)
{
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	view(ALPHA, SVC_RIGHT_STOPPING, 'a');
	run(50);
	expect(BRAVO, SHOP, RUNNING);
	svc_status(w.nodes[BRAVO].svc, &st);
	assert_int_equal(st.services[SHOP].moved_by, 0);
}

/* From a node that lives it does not move twice: it is tried where it is. */
static void
R10_check_that_fails_everywhere_does_not_move_twice(void **state)
{
	uint32_t ms;
	char why[96];

	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[N_STEPS][SVC_DO_STATUS] = 1;
	run(4200);
	expect(BRAVO, SHOP, RUNNING);
	w.nodes[ALPHA].result[N_STEPS][SVC_DO_STATUS] = 0;
	order(ALPHA, SVC_OP_START, WEB, 0);
	w.nodes[BRAVO].result[N_STEPS][SVC_DO_STATUS] = 1;
	run(60 * 1000);
	expect(ALPHA, SHOP, STOPPED);
	w.nodes[BRAVO].result[N_STEPS][SVC_DO_STATUS] = 0;
	run(70 * 1000);
	expect(BRAVO, SHOP, RUNNING);
	/* alpha took it never: if bravo dies it may. */
	assert_int_equal(svc_forecast(w.nodes[ALPHA].svc, SHOP, BRAVO, &ms, why,
			     sizeof(why)),
	    0);
	dies(BRAVO);
	expect(ALPHA, SHOP, RUNNING);
}

/* No carrier, but it came here by itself a minute ago: alarm, no move. */
static void
R10_carrier_does_not_move_it_back(void **state)
{
	struct svc_event e = {.type = SVC_EV_ADDRESS};
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	step(ALPHA, e);
	deliver();
	run(w.conf.t.lease_ms + 50);
	expect(BRAVO, SHOP, RUNNING);
	e.u.address.usable = true;
	step(ALPHA, e);
	deliver();
	run(1000);
	e.u.address.usable = false;
	step(BRAVO, e);
	deliver();
	run(1000);
	expect(BRAVO, SHOP, RUNNING);
	contains(w.nodes[BRAVO].notes, "[R10] bravo took it by itself");
	svc_status(w.nodes[BRAVO].svc, &st);
	assert_true(st.services[SHOP].held[0] != '\0');
	e.u.address.usable = true;
	step(BRAVO, e);
	deliver();
	svc_status(w.nodes[BRAVO].svc, &st);
	assert_string_equal(st.services[SHOP].held, "");
}

static void
R11_failed_check_restarts_then_moves(void **state)
{
	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[N_STEPS][SVC_DO_STATUS] = 1;
	run(2010);
	contains(w.nodes[ALPHA].notes, "[R11] check failed on alpha: exit 1; "
				       "started again");
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
	run(2100);
	contains(w.nodes[ALPHA].notes, "this node is given up");
	expect(ALPHA, SHOP, STOPPED);
	expect(BRAVO, SHOP, RUNNING);
	/* And it stays there. */
	w.nodes[ALPHA].result[N_STEPS][SVC_DO_STATUS] = 0;
	run(700 * 1000);
	expect(BRAVO, SHOP, RUNNING);
}

/* With nobody to move to, it is tried here again at growing intervals. */
static void
R11_failed_check_alone(void **state)
{
	(void)state;
	w.nodes[ALPHA].view.own_right = true;
	daemon_start(ALPHA);
	run(10);
	volume(ALPHA, true, true, true);
	view(ALPHA, SVC_RIGHT_ALONE, 'g');
	run(50);
	expect(ALPHA, SHOP, RUNNING);
	w.nodes[ALPHA].result[COMMAND][SVC_DO_STATUS] = 1;
	run(5000);
	expect(ALPHA, SHOP, STOPPED);
	w.nodes[ALPHA].result[COMMAND][SVC_DO_STATUS] = 0;
	run(5000);
	expect(ALPHA, SHOP, RUNNING);
}

static void
R11_late_check_degrades(void **state)
{
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[N_STEPS][SVC_DO_STATUS] = -1;
	run(10000);
	expect(ALPHA, SHOP, RUNNING);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_true(st.services[SHOP].degraded);
	contains(w.nodes[ALPHA].notes, "[R11] a check on alpha did not answer "
				       "in time: degraded, nothing moves");
	w.nodes[ALPHA].result[N_STEPS][SVC_DO_STATUS] = 0;
	run(5000);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_false(st.services[SHOP].degraded);
	contains(w.nodes[ALPHA].notes, "answers its checks again");
}

/* The status of a step is a check as any other: late degrades, bad moves. */
static void
R11_status_of_a_step(void **state)
{
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[COMMAND][SVC_DO_STATUS] = -1;
	run(10 * 1000);
	expect(ALPHA, SHOP, RUNNING);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_true(st.services[SHOP].degraded);
	/* Late and bad in one round: the bad one counts. */
	w.nodes[ALPHA].result[N_STEPS][SVC_DO_STATUS] = 1;
	run(20 * 1000);
	expect(BRAVO, SHOP, RUNNING);
	contains(w.nodes[ALPHA].notes, "[R11] check failed on alpha: exit 1");
}

/* A check that cannot even be killed is late, not bad. */
static void
R11_check_that_cannot_be_killed(void **state)
{
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[N_STEPS][SVC_DO_STATUS] = -1;
	w.nodes[ALPHA].ignores_cancel = true;
	run(30 * 1000);
	expect(ALPHA, SHOP, RUNNING);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_true(st.services[SHOP].degraded);
	expect(BRAVO, SHOP, STOPPED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(leftovers_are_cleaned_first),
	    T(leftovers_that_stay_block),
	    T(inert_runs_nothing),
	    T(ordered_start_on_the_preferred_node),
	    T(volumes_decide),
	    T(preferred_node_is_waited_for),
	    T(preferred_node_is_not_waited_for_long),
	    T(R1_stale_copy_is_not_used),
	    T(R8_alone_takes_over),
	    T(R8_demoted_stops_everything),
	    T(R8_demoted_during_a_check),
	    T(R8_yields_to_a_start),
	    T(R8_doubt_pauses_a_start),
	    T(R2_lost_keeps_and_takes_nothing),
	    T(R3_stateless_moves_early),
	    T(R9_isolated_hands_over),
	    T(R9_address_without_carrier),
	    T(R9_no_carrier_anywhere),
	    T(R9_both_lose_their_carrier),
	    T(R10_no_failback),
	    T(R10_failback_when_configured),
	    T(R10_ping_pong_of_deaths_ends),
	    T(R10_frozen_service_starts_where_it_ran),
	    T(R10_counts_each_service),
	    T(R10_operator_ends_the_freeze),
	    T(R10_thaw_ends_the_freeze),
	    T(R10_operators_moves_do_not_count),
	    T(R10_operator_begins_the_count_anew),
	    T(R10_goodbye_does_not_count),
	    T(R10_check_that_fails_everywhere_does_not_move_twice),
	    T(R10_carrier_does_not_move_it_back),
	    T(R11_failed_check_restarts_then_moves),
	    T(R11_failed_check_alone),
	    T(R11_late_check_degrades),
	    T(R11_status_of_a_step),
	    T(R11_check_that_cannot_be_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
