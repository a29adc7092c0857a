/* SPDX-License-Identifier: BSD-2-Clause */
/* Arbitration by voters, alone and beside fence agents: R4, R6, R13, R15. */
#include "arb_world.h"

/* The one that holds data asks first, so the lease stays with it. */
static void
R6_active_asks_at_once(void **unused)
{
	(void)unused;
	start(0, 1);
	want_active(2);
	expect("0 vote 0 epoch 2\n");
	start(0, 1);
	want_inactive(2);
	run(DEAD - 1);
	expect("");
	run(1);
	expect("100 vote 0 epoch 2\n");
	/* Data came to it meanwhile: asked at once, but not twice. */
	start(0, 1);
	want_inactive(2);
	run(10);
	want_active(2);
	want_active(2);
	run(1000);
	expect("10 vote 0 epoch 2\n");
}

static void
R6_one_of_one(void **unused)
{
	(void)unused;
	start(0, 1);
	want_active(2);
	run(3);
	granted(0, 2);
	expect("0 vote 0 epoch 2\n"
	       "3 verdict lease epoch 2 [R6]\n");
	state(WON);
	/* Said once; repeated questions change nothing. */
	granted(0, 2);
	want_active(2);
	run(60000);
	expect("");
	assert_int_equal(status().voters[0].holder, ALPHA);
	assert_int_equal(status().voters[0].holder_epoch, 2);
}

static void
R6_two_of_two(void **unused)
{
	(void)unused;
	start(0, 2);
	want_active(2);
	granted(1, 2);
	state(ASK);
	expect("0 vote 0 epoch 2\n"
	       "0 vote 1 epoch 2\n");
	granted(0, 2);
	expect("0 verdict lease epoch 2 [R6]\n");
}

static void
R6_two_of_three(void **unused)
{
	(void)unused;
	start(0, 3);
	want_active(2);
	expect("0 vote 0 epoch 2\n"
	       "0 vote 1 epoch 2\n"
	       "0 vote 2 epoch 2\n");
	granted(2, 2);
	denied(0, 2);
	expect("");
	granted(1, 2);
	expect("0 verdict lease epoch 2 [R6]\n");
	/* Losing one of three changes nothing, neither does a stranger. */
	unreachable(0, 2);
	granted(3, 2);
	voter(4, true, BRAVO, 9);
	expect("");
}

static void
R13_denied(void **unused)
{
	(void)unused;
	start(0, 3);
	want_active(2);
	w.log[0] = '\0';
	denied(0, 2);
	expect("");
	denied(1, 2);
	expect("0 verdict denied epoch 2 [R13]\n");
	state(LOST);
	assert_int_equal(status().voters[1].holder, BRAVO);
	/* Asking for more does not help the one that was refused. */
	denied(2, 2);
	want_active(3);
	granted(0, 3);
	granted(1, 3);
	run(60000);
	state(LOST);
	assert_null(strstr(w.log, "verdict"));
}

/* The agent that runs is cancelled, and nothing is fired from then on. */
static void
R13_denied_cancels(void **unused)
{
	uint32_t old;

	(void)unused;
	start(2, 1);
	want_active(2);
	run(5000);
	expect("0 vote 0 epoch 2\n"
	       "5000 level 1 off\n");
	old = w.token;
	denied(0, 2);
	expect("5000 cancel\n"
	       "5000 verdict denied epoch 2 [R13]\n");
	answers_token(old, ARB_RES_OK, NULL);
	want_active(2);
	run(600000);
	expect("");
	state(LOST);
	/* Nor while it waits. */
	start(2, 1);
	want_inactive(2);
	run(200);
	denied(0, 2);
	run(600000);
	expect("100 vote 0 epoch 2\n"
	       "200 verdict denied epoch 2 [R13]\n");
}

/* Two voters, one each: neither has the lease, so neither is refused. */
static void
R6_split(void **unused)
{
	(void)unused;
	start(0, 2);
	want_active(2);
	w.log[0] = '\0';
	denied(1, 2);
	expect("");
	granted(0, 2);
	expect("0 verdict frozen epoch 2 [R5]\n");
	/* The other way round. */
	start(0, 2);
	want_active(2);
	w.log[0] = '\0';
	granted(1, 2);
	expect("");
	denied(0, 2);
	expect("0 verdict frozen epoch 2 [R5]\n");
	/* With half, the other may have all that it needs. */
	start(0, 2);
	want_active(2);
	w.log[0] = '\0';
	unreachable(0, 2);
	expect("0 verdict frozen epoch 2 [R5]\n");
	denied(1, 2);
	expect("0 verdict denied epoch 2 [R13]\n");
	/* Nobody can have it now: next time it is asked above it. */
	start(0, 2);
	want_active(2);
	denied(1, 2);
	granted(0, 2);
	w.log[0] = '\0';
	rest();
	expect("0 spent 2\n");
	/* Three of four would be needed; the last one may still grant. */
	start(0, 4);
	want_active(2);
	w.log[0] = '\0';
	denied(0, 2);
	granted(1, 2);
	granted(2, 2);
	expect("");
	granted(3, 2);
	expect("0 verdict lease epoch 2 [R6]\n");
}

/* A split, and agents: then the delay decides. */
static void
R4_split_fences(void **unused)
{
	(void)unused;
	start(1, 2);
	want_active(2);
	granted(0, 2);
	denied(1, 2);
	w.log[0] = '\0';
	run(5000);
	expect("5000 level 1 off\n");
}

/* Asked again and again, ever more seldom, at least once a minute. */
static void
R15_backoff(void **unused)
{
	int ms = DEAD;

	(void)unused;
	start(0, 1);
	want_active(2);
	expect("0 vote 0 epoch 2\n");
	unreachable(0, 2);
	expect("0 verdict frozen epoch 2 [R5]\n");
	for (int i = 0; i<14; i++, ms = ms * 2> 60000 ? 60000 : ms * 2) {
		char line[64];

		run(ms - 1);
		expect("");
		run(1);
		snprintf(line, sizeof(line), "%d vote 0 epoch 2\n", w.now);
		expect(line);
		unreachable(0, 2);
		expect("");
	}
	assert_int_equal(ms, 60000);
	assert_int_equal(count_notes("verdict frozen"), 1);
	/* It is back: asked at once, and it grants. */
	run(10);
	voter(0, true, 0, 0);
	granted(0, 2);
	assert_non_null(strstr(w.log, " vote 0 epoch 2\n"));
	assert_non_null(strstr(w.log, " verdict lease epoch 2 [R6]\n"));
	state(WON);
}

static void
R15_backoff_begins_anew(void **unused)
{
	(void)unused;
	start(0, 1);
	voter(0, false, 0, 0);
	want_active(2);
	for (int i = 0; i < 5; i++) {
		unreachable(0, 2);
		run(DEAD << i);
	}
	w.log[0] = '\0';
	unreachable(0, 2);
	voter(0, true, 0, 0);
	expect("3100 vote 0 epoch 2\n"
	       "3100 working yes 0\n");
	unreachable(0, 2);
	run(DEAD);
	expect("3200 vote 0 epoch 2\n");
	/* After an answer nobody asks, whatever goes up and down. */
	granted(0, 2);
	voter(0, false, 0, 0);
	voter(0, true, 0, 0);
	run(60000);
	expect("3200 verdict lease epoch 2 [R6]\n"
	       "3200 working no 0\n"
	       "3200 working yes 0\n");
}

/* FROZEN may be followed by a refusal as well. */
static void
R5_frozen_then_denied(void **unused)
{
	(void)unused;
	start(0, 1);
	want_active(2);
	unreachable(0, 2);
	run(DEAD);
	denied(0, 2);
	expect("0 vote 0 epoch 2\n"
	       "0 verdict frozen epoch 2 [R5]\n"
	       "100 vote 0 epoch 2\n"
	       "100 verdict denied epoch 2 [R13]\n");
}

/* Another epoch is wanted: what was answered about the first is over. */
static void
R6_old_votes(void **unused)
{
	(void)unused;
	start(0, 3);
	want_active(2);
	granted(0, 2);
	want_active(7);
	expect("0 vote 0 epoch 2\n"
	       "0 vote 1 epoch 2\n"
	       "0 vote 2 epoch 2\n"
	       "0 vote 0 epoch 7\n"
	       "0 vote 1 epoch 7\n"
	       "0 vote 2 epoch 7\n");
	granted(1, 2);
	granted(2, 2);
	denied(0, 2);
	denied(1, 2);
	unreachable(2, 2);
	state(ASK);
	expect("");
	granted(0, 7);
	granted(1, 7);
	expect("0 verdict lease epoch 7 [R6]\n");
}

/* A lease is one of its epoch; what is verified off is off at any. */
static void
R6_lease_of_another_epoch(void **unused)
{
	(void)unused;
	start(0, 1);
	want_active(2);
	granted(0, 2);
	state(WON);
	w.log[0] = '\0';
	want_active(3);
	state(ASK);
	granted(0, 3);
	expect("0 vote 0 epoch 3\n"
	       "0 verdict lease epoch 3 [R6]\n");
	start(1, 1);
	want_active(2);
	granted(0, 2);
	answers(ARB_RES_OK);
	answers(ARB_RES_IS_OFF);
	want_active(3);
	state(WON);
}

/* What was granted is granted, also if it was thought lost on the way. */
static void
R6_late_grant(void **unused)
{
	(void)unused;
	start(0, 1);
	want_active(2);
	unreachable(0, 2);
	granted(0, 2);
	expect("0 vote 0 epoch 2\n"
	       "0 verdict frozen epoch 2 [R5]\n"
	       "0 verdict lease epoch 2 [R6]\n");
	/* The answer to the question before must not hide the next one. */
	rest();
	want_active(2);
	unreachable(0, 2);
	granted(0, 2);
	state(WON);
	unreachable(0, 2);
	run(60000);
	state(WON);
}

/* Nobody wants it any more: a grant that blocks the peer is spent. */
static void
R6_spent_one_of_one(void **unused)
{
	(void)unused;
	start(0, 1);
	want_active(2);
	rest();
	expect("0 vote 0 epoch 2\n");
	run(50);
	granted(0, 2);
	expect("50 spent 2\n");
	/* A refusal that comes late says nothing. */
	start(0, 1);
	want_active(2);
	rest();
	denied(0, 2);
	unreachable(0, 2);
	run(60000);
	expect("0 vote 0 epoch 2\n");
	/* Granted first, given up then. */
	start(0, 1);
	want_active(2);
	granted(0, 2);
	w.log[0] = '\0';
	rest();
	expect("0 spent 2\n");
}

static void
R6_spent_of_more(void **unused)
{
	(void)unused;
	start(0, 2);
	want_active(2);
	rest();
	w.log[0] = '\0';
	granted(1, 2);
	expect("0 spent 2\n");
	/* The peer can have two of three still. */
	start(0, 3);
	want_active(2);
	rest();
	w.log[0] = '\0';
	granted(0, 2);
	expect("");
	denied(1, 2);
	expect("");
	granted(2, 2);
	expect("0 spent 2\n");
	/* One each of two epochs are not two of one. */
	start(0, 3);
	want_active(2);
	granted(0, 2);
	want_active(3);
	granted(1, 3);
	rest();
	w.log[0] = '\0';
	granted(2, 4);
	expect("");
}

/* This node's own lease, of before it forgot its epoch, is in its way. */
static void
R6_own_older_lease(void **unused)
{
	(void)unused;
	start(0, 1);
	want_active(2);
	vote_of(0, 2, ARB_VOTE_DENIED, ALPHA, 9);
	expect("0 vote 0 epoch 2\n"
	       "0 spent 9\n"
	       "0 verdict frozen epoch 2 [R5]\n");
	/* Membership asks above it. */
	want_active(10);
	granted(0, 10);
	expect("0 vote 0 epoch 10\n"
	       "0 verdict lease epoch 10 [R6]\n");
	/* One of three is in nobody's way. */
	start(0, 3);
	want_active(2);
	w.log[0] = '\0';
	vote_of(0, 2, ARB_VOTE_DENIED, ALPHA, 9);
	granted(1, 2);
	granted(2, 2);
	expect("0 verdict lease epoch 2 [R6]\n");
	/* A refusal that names nobody is the peer's, for all we know. */
	start(0, 1);
	voter(0, true, ALPHA, 1);
	want_active(2);
	w.log[0] = '\0';
	vote_of(0, 2, ARB_VOTE_DENIED, 0, 0);
	expect("0 verdict denied epoch 2 [R13]\n");
}

/* Voters say by themselves what they hold; old words change nothing. */
static void
R6_voters_say_spent(void **unused)
{
	(void)unused;
	start(0, 3);
	voter(0, true, ALPHA, 5);
	assert_int_equal(w.spent, 0);
	voter(1, true, ALPHA, 5);
	assert_int_equal(w.spent, 5);
	voter(1, true, ALPHA, 4);
	assert_int_equal(status().voters[1].holder_epoch, 5);
	voter(1, true, 0, 6);
	assert_int_equal(status().voters[1].holder_epoch, 5);
	voter(1, true, BRAVO, 6);
	assert_int_equal(status().voters[1].holder, BRAVO);
	assert_int_equal(w.spent, 5);
}

/* Both arbiters: the lease first, and its holder fires at once (R4). */
static void
R6_lease_then_off(void **unused)
{
	(void)unused;
	start(1, 1);
	want_active(2);
	run(20);
	granted(0, 2);
	expect("0 vote 0 epoch 2\n"
	       "20 verdict lease epoch 2 [R6]\n"
	       "20 level 1 off\n");
	run(30);
	answers(ARB_RES_OK);
	answers(ARB_RES_IS_OFF);
	expect("50 level 1 status\n"
	       "50 verdict off epoch 2 [R3]\n"
	       "50 working yes 30\n");
	rest();
	/* Agents that fail take no lease away. */
	start(1, 1);
	want_active(2);
	granted(0, 2);
	answers(ARB_RES_FAILED);
	run(60000);
	expect("0 vote 0 epoch 2\n"
	       "0 verdict lease epoch 2 [R6]\n"
	       "0 level 1 off\n"
	       "0 working no 0\n");
	state(WON);
	/* The lease comes while an agent runs. */
	start(1, 1);
	want_active(2);
	run(5000);
	granted(0, 2);
	answers(ARB_RES_OK);
	expect("0 vote 0 epoch 2\n"
	       "5000 level 1 off\n"
	       "5000 verdict lease epoch 2 [R6]\n"
	       "5000 level 1 status\n");
}

/*
 * Voters do not answer: it may be the peer who has the lease and fires, so an
 * active node waits too; and should nobody hear them, the other waits longer.
 */
static void
R4_unreachable_voters(void **unused)
{
	(void)unused;
	start(1, 1);
	want_active(2);
	expect("0 vote 0 epoch 2\n");
	unreachable(0, 2);
	run(4999);
	state(WAIT);
	w.log[0] = '\0';
	run(1);
	expect("5000 level 1 off\n");
	start(1, 1);
	want_inactive(2);
	run(9999);
	state(WAIT);
	expect("100 vote 0 epoch 2\n");
	run(1);
	expect("10000 level 1 off\n");
}

/* No agent is left, but a voter may yet answer. */
static void
R5_agents_then_voters(void **unused)
{
	(void)unused;
	start(1, 1);
	want_active(2);
	run(5000);
	answers(ARB_RES_FAILED);
	expect("0 vote 0 epoch 2\n"
	       "5000 level 1 off\n"
	       "5000 working no 0\n");
	state(ASK);
	unreachable(0, 2);
	expect("5000 verdict frozen epoch 2 [R5]\n");
	run(DEAD);
	granted(0, 2);
	expect("5100 vote 0 epoch 2\n"
	       "5100 verdict lease epoch 2 [R6]\n");
	state(WON);
}

/* Two peers: one question for both. */
static void
two_peers(void **unused)
{
	(void)unused;
	start_peers(2, 0, 1);
	w.log[0] = '\0';
	want_active(2);
	granted(0, 2);
	run(10);
	/* It was answered already. */
	want_of(CHARLIE, 2, true, false);
	expect("0 vote 0 epoch 2\n"
	       "0 verdict lease epoch 2 [R6]\n"
	       "10 peer 3 verdict lease epoch 2 [R6]\n");
	/* As long as one wants it, it stays open; then it is spent. */
	rest();
	expect("");
	step((struct arb_event){.type = ARB_EV_REST, .u.rest.peer = CHARLIE});
	expect("10 spent 2\n");
	/* An answer is one to the epoch that was asked for. */
	start_peers(2, 0, 1);
	want_active(2);
	want_of(CHARLIE, 3, true, false);
	w.log[0] = '\0';
	granted(0, 3);
	expect("0 peer 3 verdict lease epoch 3 [R6]\n");
	state(ASK);
	/* Who only verifies needs no voter. */
	start_peers(2, 1, 1);
	want_of(CHARLIE, 2, false, true);
	want_active(2);
	granted(0, 2);
	w.log[0] = '\0';
	rest();
	expect("0 cancel\n"
	       "0 spent 2\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(R6_active_asks_at_once),
	    T(R6_one_of_one),
	    T(R6_two_of_two),
	    T(R6_two_of_three),
	    T(R13_denied),
	    T(R13_denied_cancels),
	    T(R6_split),
	    T(R4_split_fences),
	    T(R15_backoff),
	    T(R15_backoff_begins_anew),
	    T(R5_frozen_then_denied),
	    T(R6_old_votes),
	    T(R6_lease_of_another_epoch),
	    T(R6_late_grant),
	    T(R6_spent_one_of_one),
	    T(R6_spent_of_more),
	    T(R6_own_older_lease),
	    T(R6_voters_say_spent),
	    T(R6_lease_then_off),
	    T(R4_unreachable_voters),
	    T(R5_agents_then_voters),
	    T(two_peers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
