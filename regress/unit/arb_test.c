/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arbitration: delays (R4), agents that lie, hang and fail (R3, R5), the
 * operator's word, half a refusal (R13), boot (R1), tests.  arb_fence_test.c
 * has every event in every state, arb_vote_test.c the voters.
 */
#include "arb_world.h"

enum { EPOCH = 8, WITNESS = 0, DISK1, DISK2 };

/* Time passes until so many milliseconds after the start. */
static void
until(int ms)
{
	assert_true(ms >= w.now);
	run(ms - w.now);
}

/* Agents. */

/* Nothing was measured: five seconds.  A second WANT does not begin anew. */
static void
R4_inactive_waits(void **unused)
{
	(void)unused;
	start(1, 0);
	want_inactive(EPOCH);
	until(3000);
	want_inactive(EPOCH);
	until(4999);
	expect("");
	state(WAIT);
	until(5000);
	expect("5000 level 1 off\n");
}

static void
R4_becomes_active(void **unused)
{
	(void)unused;
	start(1, 0);
	want_inactive(EPOCH);
	until(700);
	want_active(EPOCH);
	expect("700 level 1 off\n");
}

/* An agent that took 4 s: the other one has twice that before we fire. */
static void
R4_delay_of_a_measured_agent(void **unused)
{
	(void)unused;
	start(2, 0);
	want_active(EPOCH);
	until(2000);
	answers(ARB_RES_OK);
	answers(ARB_RES_FAILED);
	until(2999);
	expect("0 level 1 off\n2000 level 1 status\n2500 level 1 status\n");
	answers(ARB_RES_IS_OFF);
	expect("2999 verdict off epoch 8 [R3]\n2999 working yes 2999\n");
	rest();
	until(10000);
	want_inactive(EPOCH + 1);
	until(10000 + 2 * 2999 - 1);
	expect("");
	until(10000 + 2 * 2999);
	expect("15998 level 1 off\n");
}

/* It says "ok", but its status says "on": asked until its deadline. */
static void
R3_the_agent_lies(void **unused)
{
	(void)unused;
	start(2, 0);
	want_active(EPOCH);
	until(100);
	answers_token(w.token, ARB_RES_OK, "Success");
	answers_token(w.token, ARB_RES_IS_ON, "Status: ON");
	until(600);
	answers_token(w.token, ARB_RES_FAILED, "Unable to connect");
	until(1100);
	expect("0 level 1 off\n100 level 1 status\n600 level 1 status\n"
	       "1100 level 1 status\n");
	for (int ms = 1600; ms < LEVEL; ms += 500) {
		answers_token(w.token, ARB_RES_IS_ON, "Status: ON");
		until(ms);
	}
	answers_token(w.token, ARB_RES_IS_ON, "Status: ON");
	w.log[0] = '\0';
	state(CHECK);
	until(LEVEL);
	expect("10000 level 2 off\n");
	noted("bravo [R5] fence level 1: fence_a did not verify in time that "
	      "it is off: Status: ON");
	until(11000);
	answers(ARB_RES_OK);
	answers(ARB_RES_IS_OFF);
	expect("11000 level 2 status\n11000 verdict off epoch 8 [R3]\n"
	       "11000 working yes 1000\n");
	noted("bravo [R3] verdict off: fence_b says that it is off");
}

/* What "off" itself answers is never "it is off". */
static void
R3_off_is_not_status(void **unused)
{
	(void)unused;
	start(1, 0);
	want_active(EPOCH);
	answers(ARB_RES_IS_OFF);
	expect("0 level 1 off\n0 verdict frozen epoch 8 [R5]\n"
	       "0 working no 0\n");
}

static void
R5_the_agent_hangs(void **unused)
{
	uint32_t first;

	(void)unused;
	start(2, 0);
	want_active(EPOCH);
	first = w.token;
	until(LEVEL - 1);
	expect("0 level 1 off\n");
	until(LEVEL);
	expect("10000 cancel\n10000 level 2 off\n");
	noted("bravo [R5] fence level 1: fence_a did not answer in time");
	/* Its answer to the cancel is not that of the second level. */
	answers_token(first, ARB_RES_OK, "late");
	expect("");
	state(OFF);
	until(10500);
	answers(ARB_RES_OK);
	expect("10500 level 2 status\n");
	/* A status query that hangs ends with the level. */
	until(2 * LEVEL - 1);
	expect("");
	until(2 * LEVEL);
	expect("20000 cancel\n20000 verdict frozen epoch 8 [R5]\n"
	       "20000 working no 0\n");
	state(FROZEN);
}

static void
R5_all_fail_then_confirm(void **unused)
{
	(void)unused;
	start(2, 0);
	want_active(EPOCH);
	answers_token(w.token, ARB_RES_FAILED, "Connection refused");
	answers(ARB_RES_TIMEOUT);
	expect("0 level 1 off\n0 level 2 off\n0 verdict frozen epoch 8 [R5]\n"
	       "0 working no 0\n");
	noted("bravo [R5] fence level 1: fence_a failed: Connection refused");
	noted("bravo [R5] fence level 2: fence_b did not answer in time");
	/* One alarm; agents are not tried again, however long it takes. */
	until(3600 * 1000);
	want_active(EPOCH);
	expect("");
	assert_int_equal(count_notes("verdict frozen"), 1);
	state(FROZEN);
	confirm();
	expect("3600000 verdict off epoch 8 [R5]\n3600000 reply ok\n");
	noted("3600000 bravo [R5] verdict off: the operator confirmed");
	state(WON);
}

static void
R5_confirm_while_an_agent_runs(void **unused)
{
	uint32_t first;

	(void)unused;
	start(1, 0);
	want_active(EPOCH);
	first = w.token;
	until(1000);
	confirm();
	expect("0 level 1 off\n1000 cancel\n1000 verdict off epoch 8 [R5]\n"
	       "1000 reply ok\n");
	answers_token(first, ARB_RES_OK, "late");
	until(20000);
	expect("");
	state(WON);
}

static void
R5_confirm_refused(void **unused)
{
	(void)unused;
	start(1, 1);
	confirm();
	assert_string_equal(w.reply, "nothing is undecided about it");
	confirm_of(7);
	assert_string_equal(w.reply, "there is no such peer");
	want_active(EPOCH);
	denied(WITNESS, EPOCH);
	confirm();
	assert_string_equal(w.reply, "the peer has the lease: it acts");
	expect("0 reply no\n0 reply no\n0 vote 0 epoch 8\n"
	       "0 verdict denied epoch 8 [R13]\n0 reply no\n");
	rest();
	want_active(EPOCH + 1);
	granted(WITNESS, EPOCH + 1);
	answers(ARB_RES_OK);
	answers(ARB_RES_IS_OFF);
	expect("0 vote 0 epoch 9\n0 verdict lease epoch 9 [R6]\n"
	       "0 level 1 off\n0 level 1 status\n"
	       "0 verdict off epoch 9 [R3]\n0 working yes 1\n");
	confirm();
	expect("0 reply no\n");
	assert_string_equal(w.reply, "it is decided already");
}

/* Neither agent nor voter: nobody can say. */
static void
R3_no_arbiter(void **unused)
{
	(void)unused;
	start(0, 0);
	want_active(EPOCH);
	expect("0 verdict frozen epoch 8 [R5]\n");
	state(FROZEN);
}

/* Agents and voters. */

/*
 * One refusal is not the majority, but it says that the peer lives and asked:
 * no fence without the lease.
 */
static void
R13_one_refusal_of_three(void **unused)
{
	(void)unused;
	start(1, 3);
	want_active(EPOCH);
	unreachable(WITNESS, EPOCH);
	unreachable(DISK1, EPOCH);
	expect("0 vote 0 epoch 8\n0 vote 1 epoch 8\n0 vote 2 epoch 8\n");
	state(WAIT);
	denied(DISK2, EPOCH);
	expect("0 verdict frozen epoch 8 [R5]\n");
	noted("bravo [R13] a voter refused the lease: no fence without it");
	state(FROZEN);
	until(DEAD);
	expect("100 vote 0 epoch 8\n100 vote 1 epoch 8\n");
	granted(WITNESS, EPOCH);
	granted(DISK1, EPOCH);
	expect("100 verdict lease epoch 8 [R6]\n100 level 1 off\n");
	state(OFF);
}

static void
R13_one_refusal_while_fencing(void **unused)
{
	(void)unused;
	start(1, 3);
	want_active(EPOCH);
	for (uint8_t v = WITNESS; v <= DISK2; v++)
		unreachable(v, EPOCH);
	until(99);
	expect("0 vote 0 epoch 8\n0 vote 1 epoch 8\n0 vote 2 epoch 8\n");
	until(5000);
	expect("100 vote 0 epoch 8\n100 vote 1 epoch 8\n"
	       "100 vote 2 epoch 8\n5000 level 1 off\n");
	denied(DISK2, EPOCH);
	expect("5000 cancel\n5000 verdict frozen epoch 8 [R5]\n");
}

/* After boot. */

static void
R1_verify_switches_nothing(void **unused)
{
	(void)unused;
	start(2, 1);
	want_verify(EPOCH);
	expect("0 level 1 status\n");
	state(VERIFY);
	/* The first cannot say, the second says "on". */
	answers_token(w.token, ARB_RES_FAILED, "no route");
	expect("0 level 2 status\n");
	until(10);
	answers(ARB_RES_IS_ON);
	until(5009);
	expect("");
	until(5010);
	expect("5010 level 1 status\n");
	/* It hangs: its deadline. */
	until(15010);
	expect("15010 cancel\n15010 level 2 status\n");
	answers(ARB_RES_IS_ON);
	until(25010);
	expect("25010 level 1 status\n");
	answers(ARB_RES_IS_OFF);
	expect("25010 verdict off epoch 8 [R3]\n");
	state(WON);
	assert_int_equal(count_notes("verdict"), 1);
}

/* R15: rarer and rarer, but once a minute. */
static void
R1_verify_backs_off(void **unused)
{
	static const int rounds[] = {5000, 15000, 35000, 75000, 135000, 195000};
	char expected[64];

	(void)unused;
	start(1, 0);
	want_verify(EPOCH);
	expect("0 level 1 status\n");
	for (unsigned i = 0; i < NITEMS(rounds); i++) {
		answers(ARB_RES_IS_ON);
		until(rounds[i] - 1);
		expect("");
		until(rounds[i]);
		snprintf(expected, sizeof(expected), "%d level 1 status\n",
		    rounds[i]);
		expect(expected);
	}
}

static void
R1_verify_then_silent(void **unused)
{
	(void)unused;
	start(1, 0);
	want_verify(EPOCH);
	until(50);
	want_active(EPOCH);
	expect("0 level 1 status\n50 cancel\n50 level 1 off\n");
	rest();
	expect("50 cancel\n");
	want_verify(EPOCH);
	confirm();
	expect("50 level 1 status\n50 cancel\n50 verdict off epoch 8 [R5]\n"
	       "50 reply ok\n");
}

/* No agent could say: nothing is asked, nothing is said. */
static void
R1_verify_without_agents(void **unused)
{
	(void)unused;
	start(0, 1);
	want_verify(EPOCH);
	until(100000);
	expect("");
	state(IDLE);
}

/* Tests by the operator. */

static void
test_of_every_level(void **unused)
{
	(void)unused;
	start(2, 0);
	assert_true(status().peers[0].tested.us == 0);
	assert_int_equal(status().peers[0].n_levels, 2);
	test();
	expect("0 level 1 monitor\n");
	answers(ARB_RES_OK);
	expect("0 level 1 status\n");
	until(200);
	answers_token(w.token, ARB_RES_IS_ON, "Status: ON");
	answers(ARB_RES_OK);
	answers(ARB_RES_IS_OFF);
	expect("200 level 2 monitor\n200 level 2 status\n200 reply ok\n");
	assert_string_equal(w.reply,
	    "level 1: fence_a: monitor: ok\n"
	    "level 1: fence_a: status: on: Status: ON\n"
	    "level 2: fence_b: monitor: ok\n"
	    "level 2: fence_b: status: off\n");
	assert_true(status().peers[0].test_ok);
	assert_true(status().peers[0].tested.us == at(200).us);
	state(IDLE);
	noted("bravo [R5] fence test passed");
}

static void
test_fails(void **unused)
{
	(void)unused;
	start(1, 0);
	test();
	answers_token(w.token, ARB_RES_FAILED, "Unable to connect");
	expect("0 level 1 monitor\n0 level 1 status\n");
	test();
	expect("0 reply no\n");
	assert_string_equal(w.reply, "a test is under way already");
	until(LEVEL);
	expect("10000 cancel\n10000 reply no\n10000 working no 0\n");
	assert_string_equal(w.reply,
	    "level 1: fence_a: monitor: failed: Unable to connect\n"
	    "level 1: fence_a: status: no answer in time\n");
	assert_false(status().peers[0].test_ok || status().working);
	assert_true(status().peers[0].tested.us == at(LEVEL).us);
	/* And later it passes. */
	test();
	answers(ARB_RES_OK);
	answers(ARB_RES_IS_ON);
	expect("10000 level 1 monitor\n10000 level 1 status\n10000 reply ok\n"
	       "10000 working yes 0\n");
}

/* What an agent says is cut, so that the next one has its line. */
static void
test_with_long_texts(void **unused)
{
	static char text[2000];

	(void)unused;
	memset(text, 'x', sizeof(text) - 1);
	start(4, 0);
	test();
	for (unsigned i = 0; i < 4; i++) {
		answers_token(w.token, ARB_RES_OK, text);
		answers_token(w.token, ARB_RES_FAILED, text);
	}
	assert_non_null(strstr(w.reply, "level 1: fence_a: monitor: ok: x"));
	assert_non_null(strstr(w.reply, "level 4: fence_d: status: failed: x"));
	assert_int_equal(strlen(status().peers[0].last), 0);
	state(IDLE);
}

static void
test_refused(void **unused)
{
	(void)unused;
	start(1, 0);
	test_of(9);
	expect("0 reply no\n");
	assert_string_equal(w.reply, "there is no such peer");
	want_active(EPOCH);
	test();
	expect("0 level 1 off\n0 reply no\n");
	assert_string_equal(
	    w.reply, "not now: the agents are being used in earnest");
	start(0, 1);
	test();
	expect("0 reply no\n");
	assert_string_equal(w.reply, "no fence agent is configured for it");
}

static void
what_status_says(void **unused)
{
	struct arb_status s;

	(void)unused;
	start(2, 2);
	voter(DISK1, true, 0, 0);
	want_active(EPOCH);
	granted(WITNESS, EPOCH);
	granted(DISK1, EPOCH);
	until(30);
	answers_token(w.token, ARB_RES_FAILED, "no such plug");
	s = status();
	assert_int_equal(s.n_peers, 1);
	assert_int_equal(s.peers[0].id, BRAVO);
	assert_int_equal(s.peers[0].level, 1);
	assert_true(s.peers[0].since.us == at(0).us);
	assert_string_equal(s.peers[0].last, "no such plug");
	assert_int_equal(s.n_voters, 2);
	assert_int_equal(s.voters_up, 1u << DISK1);
	assert_int_equal(s.voters[DISK1].holder, ALPHA);
	assert_int_equal(s.voters[DISK1].holder_epoch, EPOCH);
	assert_true(s.working);
	assert_string_equal(arb_ev_name(ARB_EV_CONFIRM), "confirm");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(R4_inactive_waits),
	    T(R4_becomes_active),
	    T(R4_delay_of_a_measured_agent),
	    T(R3_the_agent_lies),
	    T(R3_off_is_not_status),
	    T(R5_the_agent_hangs),
	    T(R5_all_fail_then_confirm),
	    T(R5_confirm_while_an_agent_runs),
	    T(R5_confirm_refused),
	    T(R3_no_arbiter),
	    T(R13_one_refusal_of_three),
	    T(R13_one_refusal_while_fencing),
	    T(R1_verify_switches_nothing),
	    T(R1_verify_backs_off),
	    T(R1_verify_then_silent),
	    T(R1_verify_without_agents),
	    T(test_of_every_level),
	    T(test_fails),
	    T(test_with_long_texts),
	    T(test_refused),
	    T(what_status_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
