/* SPDX-License-Identifier: BSD-2-Clause */
/* Failures, operators, messages, and a swarm of all of them. */
#include "svc_world.h"

static void
failed_start_rolls_back_and_the_peer_tries(void **state)
{
	(void)state;
	w.nodes[ALPHA].result[COMMAND][SVC_DO_START] = 1;
	pair();
	run(100);
	contains(w.nodes[ALPHA].log, "start2 stop2 stop1 stop0 ");
	contains(w.nodes[ALPHA].notes, "start failed on alpha at step 3: exit "
				       "1; rolled back");
	expect(ALPHA, SHOP, STOPPED);
	expect(BRAVO, SHOP, RUNNING);
}

static void
failed_start_on_both_is_tried_slowly(void **state)
{
	int starts = 0;

	(void)state;
	w.nodes[ALPHA].result[COMMAND][SVC_DO_START] = 1;
	w.nodes[BRAVO].result[COMMAND][SVC_DO_START] = 1;
	pair();
	run(120 * 1000);
	for (uint8_t id = ALPHA; id <= BRAVO; id++)
		for (const char *p = w.nodes[id].log;
		     (p = strstr(p, "start2 ")) != NULL; p++)
			starts++;
	/* R15: 5, 10, 20, 40, 60 seconds apart on each. */
	assert_in_range(starts, 6, 14);
	w.nodes[BRAVO].result[COMMAND][SVC_DO_START] = 0;
	run(130 * 1000);
	expect(BRAVO, SHOP, RUNNING);
	expect(ALPHA, SHOP, STOPPED);
}

static void
late_start_is_cancelled(void **state)
{
	(void)state;
	w.nodes[ALPHA].result[COMMAND][SVC_DO_START] = -1;
	pair();
	run(1000);
	expect(ALPHA, SHOP, STARTING);
	run(100);
	contains(w.nodes[ALPHA].log, "start2 ");
	contains(w.nodes[ALPHA].log, "cancel stop2 stop1 stop0 ");
	contains(w.nodes[ALPHA].notes, "at step 3: timed out; rolled back");
	expect(BRAVO, SHOP, RUNNING);
}

/* Not even the cancellation is answered: the core goes on, once. */
static void
late_cancel_is_not_waited_for(void **state)
{
	(void)state;
	w.nodes[ALPHA].result[COMMAND][SVC_DO_START] = -1;
	w.nodes[ALPHA].ignores_cancel = true;
	pair();
	run(5900);
	expect(ALPHA, SHOP, STARTING);
	run(300);
	expect(ALPHA, SHOP, STOPPED);
	expect(BRAVO, SHOP, RUNNING);
	/* The answer comes at last; it has an old token. */
	for (int i = 0; i < 8; i++)
		if (w.nodes[ALPHA].jobs[i].used &&
		    w.nodes[ALPHA].jobs[i].due == -1)
			w.nodes[ALPHA].jobs[i].due = w.now;
	run(10);
	expect(ALPHA, SHOP, STOPPED);
}

static void
R12_users_are_killed(void **state)
{
	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = 1;
	view(ALPHA, SVC_RIGHT_NONE, '-');
	run(4);
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = 0;
	run(20);
	contains(w.nodes[ALPHA].log, "stop1 kill1 stop1 stop0 ");
	expect(ALPHA, SHOP, STOPPED);
}

static void
R12_nothing_starts_elsewhere(void **state)
{
	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = 1;
	takeover(BRAVO, SHOP, false);
	run(100);
	expect(ALPHA, SHOP, FAILED);
	expect(BRAVO, SHOP, STOPPED);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
	assert_int_equal(w.nodes[BRAVO].code, 1);
	contains(w.nodes[BRAVO].reply, "shop: will not stop: exit 1");
	run(4000);
	expect(BRAVO, SHOP, STOPPED);
	/* A second takeover is refused with the reason. */
	takeover(BRAVO, SHOP, false);
	contains(w.nodes[BRAVO].reply, "it is failed on alpha");
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = 0;
	run(2000);
	/* Stopped at last: it runs again, where it was. */
	expect(ALPHA, SHOP, RUNNING);
}

/* Its users were killed, it was stopped once more: then the node goes. */
static void
R12_self_fence_comes_last_and_once(void **state)
{
	struct svc_status st;

	(void)state;
	w.conf.self_fence = CONF_SELF_FENCE_SYSRQ;
	shop_on_alpha();
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = 1;
	takeover(BRAVO, SHOP, false);
	run(100);
	expect(ALPHA, SHOP, FAILED);
	contains(w.nodes[ALPHA].log,
	    "stop1 kill1 stop1 fence(service shop will not stop: exit 1) ");
	contains(w.nodes[ALPHA].notes, "[R12] alpha resets itself; the peer "
				       "takes over once that is certain");
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_true(st.self_fenced);
	/* Nothing is started elsewhere before, whatever is silent or lost. */
	run(100 * 1000);
	assert_int_equal(w.nodes[ALPHA].fenced, 1);
	expect(BRAVO, SHOP, STOPPED);
	view(BRAVO, SVC_RIGHT_PAIRED, 's');
	run(5000);
	expect(BRAVO, SHOP, STOPPED);
	view(BRAVO, SVC_RIGHT_PAIRED, 'l');
	run(5000);
	expect(BRAVO, SHOP, STOPPED);
	daemon_end(ALPHA);
	view(BRAVO, SVC_RIGHT_ALONE, 'g');
	run(50);
	expect(BRAVO, SHOP, RUNNING);
}

static void
R12_no_self_fence_unless_configured(void **state)
{
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = 1;
	takeover(BRAVO, SHOP, false);
	run(100 * 1000);
	expect(ALPHA, SHOP, FAILED);
	assert_int_equal(w.nodes[ALPHA].fenced, 0);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_false(st.self_fenced);
}

/* A reset would not end what an earlier daemon left in a wrong place. */
static void
R12_leftovers_do_not_reset_the_node(void **state)
{
	(void)state;
	w.conf.self_fence = CONF_SELF_FENCE_SYSRQ;
	w.nodes[ALPHA].result[MOUNT][SVC_DO_CLEAN] = 1;
	pair();
	run(100 * 1000);
	expect(ALPHA, SHOP, FAILED);
	assert_int_equal(w.nodes[ALPHA].fenced, 0);
}

static void
takeover_moves(void **state)
{
	(void)state;
	shop_on_alpha();
	takeover(BRAVO, SHOP, false);
	assert_int_equal(w.nodes[BRAVO].replies, 0);
	run(20);
	expect(ALPHA, SHOP, STOPPED);
	expect(BRAVO, SHOP, RUNNING);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
	assert_int_equal(w.nodes[BRAVO].code, 0);
	contains(w.nodes[BRAVO].reply, "shop: runs on bravo, moved in 8 ms");
	contains(w.nodes[ALPHA].log, "stop3 stop2 stop1 stop0 ");
	contains(w.nodes[BRAVO].log, "start0 start1 start2 start3 ");
	run(5000);
	expect(BRAVO, SHOP, RUNNING);
}

static void
takeover_all(void **state)
{
	(void)state;
	shop_on_alpha();
	takeover(BRAVO, -1, false);
	run(20);
	expect(BRAVO, SHOP, RUNNING);
	expect(BRAVO, WEB, RUNNING);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
	contains(w.nodes[BRAVO].reply, "web: runs on bravo");
	contains(w.nodes[BRAVO].reply, "shop: runs on bravo");
	takeover(BRAVO, -1, false);
	assert_string_equal(w.nodes[BRAVO].reply,
	    "no service that runs elsewhere can run here");
}

static void
takeover_that_fails_goes_back(void **state)
{
	(void)state;
	shop_on_alpha();
	w.nodes[BRAVO].result[ADDRESS][SVC_DO_START] = 1;
	takeover(BRAVO, SHOP, false);
	run(50);
	assert_int_equal(w.nodes[BRAVO].code, 1);
	contains(w.nodes[BRAVO].reply, "shop: failed here: exit 1");
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
}

static void
takeover_of_a_peer_that_dies(void **state)
{
	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = -1;
	takeover(BRAVO, SHOP, false);
	run(10);
	expect(BRAVO, SHOP, PULLING);
	daemon_end(ALPHA);
	view(BRAVO, SVC_RIGHT_ALONE, 'g');
	run(10);
	expect(BRAVO, SHOP, RUNNING);
	assert_int_equal(w.nodes[BRAVO].code, 0);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
}

/* It would be given back at once, after an interruption for nothing. */
static void
R9_takeover_without_its_address_is_refused(void **state)
{
	struct svc_event e = {.type = SVC_EV_ADDRESS};

	(void)state;
	shop_on_alpha();
	step(BRAVO, e);
	deliver();
	takeover(BRAVO, SHOP, true);
	contains(
	    w.nodes[BRAVO].reply, "its address cannot be served from here");
	takeover(BRAVO, SHOP, false);
	contains(
	    w.nodes[BRAVO].reply, "its address cannot be served from here");
	assert_int_equal(w.nodes[BRAVO].code, 1);
	run(50);
	expect(ALPHA, SHOP, RUNNING);
	e.u.address.usable = true;
	step(BRAVO, e);
	deliver();
	takeover(BRAVO, SHOP, false);
	run(50);
	expect(BRAVO, SHOP, RUNNING);
}

static void
takeover_is_refused_with_a_reason(void **state)
{
	(void)state;
	shop_on_alpha();
	takeover(ALPHA, SHOP, false);
	assert_string_equal(w.nodes[ALPHA].reply, "it runs on alpha already");
	assert_int_equal(w.nodes[ALPHA].code, 1);
	takeover(ALPHA, 9, false);
	assert_string_equal(w.nodes[ALPHA].reply, "there is no such service");
	volume(BRAVO, false, false, true);
	takeover(BRAVO, SHOP, false);
	contains(w.nodes[BRAVO].reply,
	    "cannot run here: volume orders cannot become primary");
	volume(BRAVO, true, true, true);
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = -1;
	takeover(BRAVO, SHOP, false);
	takeover(BRAVO, SHOP, false);
	assert_string_equal(
	    w.nodes[BRAVO].reply, "another request is under way");
	view(BRAVO, SVC_RIGHT_PAIRED, 'l');
	takeover(BRAVO, WEB, false);
	contains(w.nodes[BRAVO].reply, "has no peer to take it from");
	standby(BRAVO, BRAVO, false);
	takeover(BRAVO, WEB, false);
	contains(w.nodes[BRAVO].reply, "this node is standby");
}

/* Something comes between: whoever asked is told, and can ask again. */
static void
requests_that_are_overtaken_end(void **state)
{
	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].took_ms = 50;
	takeover(BRAVO, SHOP, false);
	op(BRAVO,
	    (struct svc_event){.u.op = {.op = SVC_OP_STANDBY, .node = BRAVO}});
	w.nodes[BRAVO].replies = 0;
	run(1000);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
	assert_int_equal(w.nodes[BRAVO].code, 1);
	assert_string_equal(
	    w.nodes[BRAVO].reply, "shop: not taken: something came between");
	expect(ALPHA, SHOP, RUNNING);
}

static void
takeover_dry_run(void **state)
{
	(void)state;
	shop_on_alpha();
	takeover(BRAVO, SHOP, true);
	assert_int_equal(w.nodes[BRAVO].code, 0);
	assert_string_equal(w.nodes[BRAVO].reply,
	    "alpha: stop address shop\n"
	    "alpha: stop command server\n"
	    "alpha: stop mount /srv\n"
	    "alpha: stop volume orders\n"
	    "bravo: start volume orders\n"
	    "bravo: start mount /srv\n"
	    "bravo: start command server\n"
	    "bravo: start address shop\n"
	    "shop: expected interruption not measured yet; the deadlines "
	    "allow 8000 ms\n");
	run(1000);
	expect(ALPHA, SHOP, RUNNING);
	/* Once both ways were measured it knows better. */
	takeover(BRAVO, SHOP, false);
	run(100);
	takeover(ALPHA, SHOP, false);
	run(100);
	takeover(BRAVO, SHOP, true);
	contains(w.nodes[BRAVO].reply,
	    "shop: expected interruption about 8 ms, as last time\n");
}

static void
standby_drains(void **state)
{
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	standby(ALPHA, ALPHA, false);
	run(30);
	assert_int_equal(w.nodes[ALPHA].replies, 1);
	assert_int_equal(w.nodes[ALPHA].code, 0);
	expect(BRAVO, SHOP, RUNNING);
	expect(BRAVO, WEB, RUNNING);
	svc_status(w.nodes[BRAVO].svc, &st);
	assert_int_equal(st.standby, NODESET(ALPHA));
	assert_int_equal(st.services[SHOP].on, BRAVO);
	/* It takes nothing back, not even from a dead peer. */
	daemon_end(BRAVO);
	view(ALPHA, SVC_RIGHT_ALONE, 'g');
	run(1000);
	expect(ALPHA, SHOP, STOPPED);
	op(ALPHA,
	    (struct svc_event){.u.op = {.op = SVC_OP_ONLINE, .node = ALPHA}});
	assert_string_equal(w.nodes[ALPHA].reply, "online");
	run(20);
	expect(ALPHA, SHOP, RUNNING);
}

static void
standby_of_the_peer(void **state)
{
	(void)state;
	shop_on_alpha();
	standby(BRAVO, ALPHA, false);
	run(30);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
	assert_int_equal(w.nodes[BRAVO].code, 0);
	contains(w.nodes[BRAVO].reply, "shop: stopped in");
	expect(BRAVO, SHOP, RUNNING);
	op(BRAVO,
	    (struct svc_event){.u.op = {.op = SVC_OP_ONLINE, .node = ALPHA}});
	assert_string_equal(w.nodes[BRAVO].reply, "online");
	standby(BRAVO, 9, false);
	assert_string_equal(w.nodes[BRAVO].reply, "there is no such node");
}

/* The request gets lost: it is asked again. */
static void
standby_of_the_peer_gets_lost(void **state)
{
	(void)state;
	shop_on_alpha();
	w.deaf = true;
	standby(BRAVO, ALPHA, false);
	w.deaf = false;
	run(520);
	expect(BRAVO, SHOP, RUNNING);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
	assert_int_equal(w.nodes[BRAVO].code, 0);
	w.deaf = true;
	op(BRAVO,
	    (struct svc_event){.u.op = {.op = SVC_OP_ONLINE, .node = ALPHA}});
	run(100);
	assert_int_equal(w.nodes[BRAVO].replies, 0);
	w.deaf = false;
	run(2000);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
	assert_string_equal(w.nodes[BRAVO].reply, "online");
}

/* Nobody else can run it: only force stops it. */
static void
standby_is_refused(void **state)
{
	(void)state;
	shop_on_alpha();
	volume(BRAVO, false, false, true);
	standby(ALPHA, ALPHA, false);
	assert_int_equal(w.nodes[ALPHA].code, 1);
	contains(w.nodes[ALPHA].reply, "shop runs here and the peer cannot "
				       "take it now");
	run(1000);
	expect(ALPHA, SHOP, RUNNING);
	standby(ALPHA, ALPHA, true);
	run(50);
	expect(ALPHA, SHOP, STOPPED);
	assert_int_equal(w.nodes[ALPHA].code, 0);
	daemon_end(BRAVO);
	view(ALPHA, SVC_RIGHT_ALONE, 'g');
	standby(ALPHA, BRAVO, false);
	assert_string_equal(w.nodes[ALPHA].reply, "that node is not there");
}

static void
standby_dry_run(void **state)
{
	(void)state;
	shop_on_alpha();
	op(ALPHA, (struct svc_event){.u.op = {.op = SVC_OP_STANDBY,
					 .node = ALPHA,
					 .dry_run = true}});
	contains(w.nodes[ALPHA].reply, "alpha: stop address shop\n");
	contains(w.nodes[ALPHA].reply, "bravo: start address web\n");
	run(1000);
	expect(ALPHA, SHOP, RUNNING);
}

/* The daemon is stopped: services move before the goodbye. */
static void
stopping_hands_over(void **state)
{
	(void)state;
	shop_on_alpha();
	view(ALPHA, SVC_RIGHT_STOPPING, 'a');
	run(30);
	assert_true(w.nodes[ALPHA].told_stopped && w.nodes[ALPHA].clean);
	expect(BRAVO, SHOP, RUNNING);
	expect(BRAVO, WEB, RUNNING);
}

static void
stopping_that_fails_is_told(void **state)
{
	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = 1;
	view(ALPHA, SVC_RIGHT_STOPPING, 'a');
	run(50);
	assert_true(w.nodes[ALPHA].told_stopped);
	assert_false(w.nodes[ALPHA].clean);
	expect(BRAVO, SHOP, STOPPED);
}

/* A start under way is ended before it is stopped. */
static void
stop_during_start(void **state)
{
	(void)state;
	w.nodes[ALPHA].took_ms = 20;
	w.nodes[ALPHA].result[MOUNT][SVC_DO_START] = -1;
	pair();
	run(200);
	expect(ALPHA, SHOP, STARTING);
	view(ALPHA, SVC_RIGHT_NONE, '-');
	run(200);
	expect(ALPHA, SHOP, STOPPED);
	contains(w.nodes[ALPHA].log, "start1 cancel ");
	contains(w.nodes[ALPHA].log, "stop1 stop0 ");
}

static void
lost_messages_are_repeated(void **state)
{
	(void)state;
	w.deaf = true;
	pair();
	run(300);
	w.deaf = false;
	run(1000);
	expect(ALPHA, SHOP, RUNNING);
	w.deaf = true;
	takeover(BRAVO, SHOP, false);
	run(300);
	w.deaf = false;
	run(1000);
	expect(BRAVO, SHOP, RUNNING);
}

static void
other_configuration_is_not_agreed_with(void **state)
{
	struct conf other;

	(void)state;
	other = w.conf;
	strcpy(other.services[SHOP].name, "shoe");
	daemon_start(ALPHA);
	w.nodes[BRAVO].id = BRAVO;
	w.nodes[BRAVO].timer = MT_NEVER;
	w.nodes[BRAVO].svc = svc_new(&other, BRAVO, &ops, &w.nodes[BRAVO]);
	step(BRAVO, (struct svc_event){.type = SVC_EV_START});
	run(10);
	volume(ALPHA, true, true, true);
	volume(BRAVO, true, true, true);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	run(5000);
	expect(ALPHA, SHOP, STOPPED);
	expect(BRAVO, SHOP, STOPPED);
	expect(ALPHA, WEB, RUNNING);
	contains(w.nodes[ALPHA].notes, "bravo has another configuration");
}

static void
bad_messages(void **state)
{
	static const struct {
		uint8_t bytes[64];
		size_t len;
		const char *why;
	} cases[] = {
	    {{1}, 15, "too short"},
	    {{9}, 16, "unknown type"},
	    {{2, 0x80}, 16, "unknown flags"},
	    {{1, 0, 1}, 16, "wrong length of a table"},
	    {{1, 0, 200}, 16, "wrong length of a table"},
	    {{2}, 17, "trailing bytes"},
	    {{6, 0, 3}, 16, "unknown operation"},
	    {{6, 0, 1}, 16, "operation on an unknown service"},
	    {{6, 0, 0, 0, 0, 0, 0, 0, 32}, 16, "operation on an unknown"},
	    {{6, 0, 0, 0, 0, 0, 0, 0, 0}, 17, "trailing bytes"},
	    {{5}, 17, "bad text"},
	    {{1, 0, 1, [16] = 33}, 52, "service out of range"},
	    {{1, 0, 1, [18] = 8}, 52, "unknown state of a service"},
	    {{1, 0, 1, [19] = 3}, 52, "unknown ability"},
	    {{1, 0, 1, [36] = 16}, 52, "unknown flags of a service"},
	    {{1, 0, 1, [38] = 1}, 52, "unknown flags of a service"},
	    {{1, 0, 1, [37] = 17}, 52, "unknown node of a service"},
	    {{2, 0, 7}, 16, "a service that is not configured here"},
	    {{2, 0, 0}, 16, "a service that is not configured here"},
	};

	(void)state;
	shop_on_alpha();
	for (size_t i = 0; i < NITEMS(cases); i++) {
		w.nodes[ALPHA].notes[0] = '\0';
		step(
		    ALPHA, (struct svc_event){.type = SVC_EV_MSG,
			       .u.msg = {BRAVO, cases[i].bytes, cases[i].len}});
		contains(w.nodes[ALPHA].notes, cases[i].why);
	}
	expect(ALPHA, SHOP, RUNNING);
}

static void
forecast(void **state)
{
	char why[96];
	uint32_t ms;

	(void)state;
	shop_on_alpha();
	assert_int_equal(svc_forecast(w.nodes[ALPHA].svc, SHOP, ALPHA, &ms, why,
			     sizeof(why)),
	    BRAVO);
	assert_int_equal(svc_forecast(w.nodes[BRAVO].svc, SHOP, ALPHA, &ms, why,
			     sizeof(why)),
	    BRAVO);
	/* Not the one that runs it: it stays. */
	assert_int_equal(svc_forecast(w.nodes[BRAVO].svc, SHOP, BRAVO, &ms, why,
			     sizeof(why)),
	    ALPHA);
	volume(BRAVO, false, false, true);
	assert_int_equal(svc_forecast(w.nodes[ALPHA].svc, SHOP, ALPHA, &ms, why,
			     sizeof(why)),
	    0);
	assert_string_equal(why, "bravo cannot run it now");
}

static bool
owns(uint8_t id)
{
	enum svc_state st = w.nodes[id].state[SHOP];

	return w.nodes[id].svc != NULL &&
	       (st == SVC_STARTING || st == SVC_RUNNING || st == SVC_STOPPING ||
		   st == SVC_FAILED);
}

static void
swarm_event(void)
{
	uint8_t id = (uint8_t)(1 + rnd(2));
	struct node *n = &w.nodes[id];

	switch (rnd(9)) {
	case 6:
		order(id, rnd(2) ? SVC_OP_FREEZE : SVC_OP_THAW, (int)rnd(2) - 1,
		    0);
		break;
	case 7:
		order(id, rnd(3) ? SVC_OP_START : SVC_OP_STOP, SHOP, 0);
		break;
	case 8:
		order(id, SVC_OP_MOVE, SHOP, (uint8_t)(1 + rnd(2)));
		break;
	case 0:
		takeover(id, SHOP, rnd(4) == 0);
		break;
	case 1:
		standby(id, (uint8_t)(1 + rnd(2)), rnd(2) == 0);
		break;
	case 2:
		op(id, (struct svc_event){.u.op = {.op = SVC_OP_ONLINE,
					      .node = (uint8_t)(1 + rnd(2))}});
		break;
	case 3:
		n->result[rnd(N_STEPS + 1)][rnd(SVC_ACTION_N)] =
		    (int)rnd(3) - 1;
		break;
	case 4:
		volume(id, rnd(4) != 0, rnd(3) != 0, rnd(5) != 0);
		break;
	case 5:
		view(id, rnd(3) == 0 ? SVC_RIGHT_DOUBT : SVC_RIGHT_PAIRED, 'a');
		break;
	}
}

/*
 * While they are paired at most one owns the service, whatever is lost, late
 * or failing; and when all is well again it runs on one of them.
 */
static void
swarm_one_owner(void **state)
{
	for (uint32_t seed = 1; seed <= 150; seed++) {
		setup(state);
		w.random = seed * 2654435761u | 1;
		pair();
		for (int i = 0; i < 300; i++) {
			run((int)rnd(400));
			if (owns(ALPHA) && owns(BRAVO)) {
				fprintf(stderr, "seed %u: two owners at %d\n",
				    seed, w.now);
				fail();
			}
			swarm_event();
		}
		w.random = 0;
		for (uint8_t id = ALPHA; id <= BRAVO; id++) {
			memset(
			    w.nodes[id].result, 0, sizeof(w.nodes[id].result));
			for (int i = 0; i < 8; i++)
				if (w.nodes[id].jobs[i].used)
					w.nodes[id].jobs[i].due = w.now + 1;
			view(id, SVC_RIGHT_PAIRED, 'a');
			volume(id, true, true, true);
			op(id, (struct svc_event){
				   .u.op = {.op = SVC_OP_ONLINE, .node = id}});
		}
		/* What is under way ends in a minute. */
		run(62 * 1000);
		order(ALPHA, SVC_OP_THAW, -1, 0);
		order(ALPHA, SVC_OP_START, SHOP, 0);
		run(130 * 1000);
		if ((w.nodes[ALPHA].state[SHOP] == SVC_RUNNING) ==
		    (w.nodes[BRAVO].state[SHOP] == SVC_RUNNING)) {
			fprintf(stderr,
			    "seed %u: %s and %s in the end: %s\n%s%s", seed,
			    svc_state_name(w.nodes[ALPHA].state[SHOP]),
			    svc_state_name(w.nodes[BRAVO].state[SHOP]),
			    w.nodes[ALPHA].reply, w.nodes[ALPHA].notes,
			    w.nodes[BRAVO].notes);
			fail();
		}
		teardown(state);
		w.nodes[ALPHA].svc = w.nodes[BRAVO].svc = NULL;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(failed_start_rolls_back_and_the_peer_tries),
	    T(failed_start_on_both_is_tried_slowly),
	    T(late_start_is_cancelled),
	    T(late_cancel_is_not_waited_for),
	    T(R12_users_are_killed),
	    T(R12_nothing_starts_elsewhere),
	    T(R12_self_fence_comes_last_and_once),
	    T(R12_no_self_fence_unless_configured),
	    T(R12_leftovers_do_not_reset_the_node),
	    T(takeover_moves),
	    T(takeover_all),
	    T(takeover_that_fails_goes_back),
	    T(takeover_of_a_peer_that_dies),
	    T(R9_takeover_without_its_address_is_refused),
	    T(takeover_is_refused_with_a_reason),
	    T(requests_that_are_overtaken_end),
	    T(takeover_dry_run),
	    T(standby_drains),
	    T(standby_of_the_peer),
	    T(standby_of_the_peer_gets_lost),
	    T(standby_is_refused),
	    T(standby_dry_run),
	    T(stopping_hands_over),
	    T(stopping_that_fails_is_told),
	    T(stop_during_start),
	    T(lost_messages_are_repeated),
	    T(other_configuration_is_not_agreed_with),
	    T(bad_messages),
	    T(forecast),
	    T(swarm_one_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
