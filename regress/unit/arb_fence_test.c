/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fence agents as transcripts, and every event in every state of arbitration:
 * R1, R3, R4, R5.
 */
#include "arb_world.h"

static void
R4_active_fires_at_once(void **unused)
{
	(void)unused;
	start(1, 0);
	want_active(2);
	run(3000);
	answers(ARB_RES_OK);
	run(1000);
	answers(ARB_RES_IS_OFF);
	rest();
	expect("0 level 1 off\n"
	       "3000 level 1 status\n"
	       "4000 verdict off epoch 2 [R3]\n"
	       "4000 working yes 4000\n");
	/* Measured: the other waits twice as long. */
	want_inactive(3);
	run(7999);
	expect("");
	run(1);
	expect("12000 level 1 off\n");
	/* Not measured: 5 s; and at once when data comes to it. */
	start(1, 0);
	want_inactive(2);
	run(4999);
	expect("");
	run(1);
	expect("5000 level 1 off\n");
	start(1, 0);
	want_inactive(2);
	run(10);
	want_active(2);
	want_active(2);
	expect("10 level 1 off\n");
}

/* It says ok and does nothing: status is the judge, until the deadline. */
static void
R3_agent_lies(void **unused)
{
	(void)unused;
	start(1, 0);
	want_active(2);
	answers(ARB_RES_OK);
	expect("0 level 1 off\n0 level 1 status\n");
	for (int i = 0; i < LEVEL / 500; i++) {
		state(CHECK);
		w.log[0] = '\0';
		answers_token(w.token, ARB_RES_IS_ON, "Status: ON");
		run(500);
	}
	expect("10000 verdict frozen epoch 2 [R5]\n"
	       "10000 working no 0\n");
	/* What it said last is why. */
	noted("fence_a did not verify in time that it is off: Status: ON");
}

/* Cancelled at its deadline; what it says then counts no more. */
static void
R5_agent_hangs(void **unused)
{
	uint32_t old;

	(void)unused;
	start(2, 0);
	want_active(2);
	old = w.token;
	run(LEVEL);
	expect("0 level 1 off\n"
	       "10000 cancel\n"
	       "10000 level 2 off\n");
	noted("[R5] fence level 1: fence_a did not answer in time");
	answers_token(old, ARB_RES_OK, NULL);
	expect("");
	answers(ARB_RES_OK);
	old = w.token;
	run(LEVEL);
	expect("10000 level 2 status\n"
	       "20000 cancel\n"
	       "20000 verdict frozen epoch 2 [R5]\n"
	       "20000 working no 0\n");
	/* A query that hangs is no different. */
	noted("[R5] fence level 2: fence_b did not answer in time");
	answers_token(old, ARB_RES_IS_OFF, NULL);
	expect("");
	run(600000);
	confirm();
	expect("620000 verdict off epoch 2 [R5]\n"
	       "620000 reply ok\n");
	assert_int_equal(count_notes("verdict frozen"), 1);
}

/* R1: whatever is answered, nothing is switched; ever more seldom. */
static void
R1_verify_only_asks(void **unused)
{
	(void)unused;
	start(1, 1);
	want_verify(2);
	expect("0 level 1 status\n");
	for (unsigned i = 0, ms = 5000; i < 7; i++, ms *= 2) {
		char line[64];

		answers(i % 2 == 0 ? ARB_RES_IS_ON : ARB_RES_FAILED);
		run((int)(ms > 60000 ? 60000 : ms) - 1);
		expect("");
		run(1);
		snprintf(line, sizeof(line), "%d level 1 status\n", w.now);
		expect(line);
	}
	answers(ARB_RES_IS_OFF);
	expect("255000 verdict off epoch 2 [R3]\n");
}

/* A test that was given up says nothing about the agents. */
static void
test_ended_by_want(void **unused)
{
	uint32_t old;

	(void)unused;
	start(1, 0);
	test();
	answers(ARB_RES_OK);
	answers_token(w.token, ARB_RES_IS_ON, "Status: ON");
	expect("0 level 1 monitor\n"
	       "0 level 1 status\n"
	       "0 reply ok\n");
	assert_string_equal(w.reply, "level 1: fence_a: monitor: ok\n"
				     "level 1: fence_a: status: on: Status: "
				     "ON\n");
	assert_int_equal(status().peers[0].level, 0);
	run(5);
	test();
	old = w.token;
	want_active(2);
	expect("5 level 1 monitor\n"
	       "5 cancel\n"
	       "5 reply no\n"
	       "5 level 1 off\n");
	assert_string_equal(w.reply, "given up: the agents are needed\n");
	answers_token(old, ARB_RES_OK, NULL);
	expect("");
	assert_true(status().peers[0].test_ok);
	assert_int_equal(status().peers[0].tested.us, at(0).us);
	rest();
	expect("5 cancel\n");
	assert_true(status().working);
}

/* All levels are tried, the bad ones named; who failed does not work. */
static void
test_fails(void **unused)
{
	(void)unused;
	start(2, 0);
	test();
	answers_token(w.token, ARB_RES_FAILED, "bad password");
	run(LEVEL);
	answers(ARB_RES_OK);
	answers(ARB_RES_IS_OFF);
	expect("0 level 1 monitor\n"
	       "0 level 1 status\n"
	       "10000 cancel\n"
	       "10000 level 2 monitor\n"
	       "10000 level 2 status\n"
	       "10000 reply no\n"
	       "10000 working no 0\n");
	assert_string_equal(w.reply,
	    "level 1: fence_a: monitor: failed: bad password\n"
	    "level 1: fence_a: status: no answer in time\n"
	    "level 2: fence_b: monitor: ok\n"
	    "level 2: fence_b: status: off\n");
	assert_false(status().peers[0].test_ok);
	assert_int_equal(status().peers[0].tested.us, at(10000).us);
}

/* Brings a peer with one level and one voter into a state. */
static void
reach(enum arb_state s)
{
	start(1, 1);
	if (s == ARB_VERIFY)
		want_verify(2);
	else if (s != ARB_IDLE)
		want_active(2);
	if (s == ARB_WON)
		confirm();
	if (s == ARB_LOST)
		denied(0, 2);
	if (s == ARB_FROZEN)
		unreachable(0, 2);
	if (s == ARB_OFF || s == ARB_CHECK || s == ARB_ASK || s == ARB_FROZEN)
		run(5000);
	if (s == ARB_CHECK)
		answers(ARB_RES_OK);
	if (s == ARB_ASK || s == ARB_FROZEN)
		answers(ARB_RES_FAILED);
	state_(s, __LINE__);
	w.log[0] = '\0';
}

static void
send_tick(void)
{
	step((struct arb_event){.type = ARB_EV_TIMER});
}

static void
send_late(void)
{
	run(60000);
}

static void
send_want(void)
{
	want_active(2);
}

static void
send_verify(void)
{
	want_verify(2);
}

static void
send_granted(void)
{
	granted(0, 2);
}

static void
send_denied(void)
{
	denied(0, 2);
}

static void
send_unreachable(void)
{
	unreachable(0, 2);
}

static void
send_voter(void)
{
	voter(0, true, BRAVO, 1);
}

static void
send_ok(void)
{
	answers(ARB_RES_OK);
}

static void
send_off(void)
{
	answers(ARB_RES_IS_OFF);
}

/* A letter for each state: what the event leads to from there. */
static const struct {
	const char *what;
	void (*send)(void);
	const char *to;
} rows[] = {
    /* from           IVWOCAwlF, in the order of ARB_STATE_LIST */
    {"timer", send_tick, "IVWOCAwlF"},
    /* Nobody answers for a minute: the voter may yet. */
    {"a minute", send_late, "IVAAAAwlF"},
    {"want", send_want, "WWWOCAwlF"},
    {"want, verify only", send_verify, "VVVVVVVVV"},
    {"rest", rest, "IIIIIIIII"},
    /* With the lease it may fire. */
    {"granted", send_granted, "IVOOCwwlw"},
    {"denied", send_denied, "IVllllwll"},
    {"unreachable", send_unreachable, "IVWOCFwlF"},
    {"voter", send_voter, "IVWOCAwlF"},
    {"fenced, ok", send_ok, "IVWCCAwlF"},
    {"fenced, off", send_off, "IwWAwAwlF"},
    {"confirm", confirm, "Iwwwwwwlw"},
    {"test", test, "IVWOCAwlF"},
};

static void
every_event_in_every_state(void **unused)
{
	(void)unused;
	for (unsigned r = 0; r < NITEMS(rows); r++)
		for (unsigned s = 0; s < ARB_STATE_N; s++) {
			static const char letters[] = "IVWOCAwlF";
			enum arb_state is;

			reach((enum arb_state)s);
			rows[r].send();
			is = status().peers[0].state;
			if (letters[is] != rows[r].to[s])
				fail_msg("%s in %s: %s, expected %c",
				    rows[r].what,
				    arb_state_name((enum arb_state)s),
				    arb_state_name(is), rows[r].to[s]);
		}
}

/* Whoever needs to know no more is left alone, whatever was under way. */
static void
rest_cancels_in_every_state(void **unused)
{
	(void)unused;
	for (unsigned s = 0; s < ARB_STATE_N; s++) {
		bool runs = s == ARB_VERIFY || s == ARB_OFF || s == ARB_CHECK;
		uint32_t old;

		reach((enum arb_state)s);
		old = w.token;
		rest();
		assert_true((strstr(w.log, "cancel") != NULL) == runs);
		w.log[0] = '\0';
		answers_token(old, ARB_RES_IS_OFF, NULL);
		run(600000);
		expect("");
		state(IDLE);
		assert_true(w.timer.us == MT_NEVER.us);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(R4_active_fires_at_once),
	    T(R3_agent_lies),
	    T(R5_agent_hangs),
	    T(R1_verify_only_asks),
	    T(test_ended_by_want),
	    T(test_fails),
	    T(every_event_in_every_state),
	    T(rest_cancels_in_every_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
