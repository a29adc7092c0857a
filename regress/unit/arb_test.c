/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of arbitration as transcripts in virtual milliseconds.  This node
 * is alpha (1), its peer bravo (2); two fence levels, ipmi (3 s) and pdu (8 s);
 * voters as each test says; dead is 100 ms.  What the core asks the world is
 * compared whole: a line that is not expected fails the test as surely as one
 * that is missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arb.h"

enum { ALPHA = 1, BRAVO = 2, DEAD = 100, EPOCH = 8 };
enum { WITNESS, DISK1, DISK2 }; /* voters */

static struct {
	struct arb *arb; /* owned */
	int now;
	monotime_t timer;
	char did[4096]; /* since the last then() */
	char notes[16384];
	uint32_t token; /* of the agent that runs, or ran last */
	bool working;
} w;

static monotime_t
at(int ms)
{
	/* Not zero: zero means never. */
	return (monotime_t){(int64_t)(ms + 1000) * 1000};
}

static void
did(const char *fmt, ...)
{
	size_t used = strlen(w.did);
	va_list ap;

	used +=
	    (size_t)snprintf(w.did + used, sizeof(w.did) - used, "%d ", w.now);
	va_start(ap, fmt);
	used += (size_t)vsnprintf(w.did + used, sizeof(w.did) - used, fmt, ap);
	va_end(ap);
	assert_true(used + 2 < sizeof(w.did));
	strcat(w.did, "\n");
}

static void
op_timer(void *ctx, monotime_t when)
{
	(void)ctx;
	w.timer = when;
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	size_t used = strlen(w.notes);

	(void)ctx;
	(void)level;
	assert_true(rule[0] == 'R' && object[0] != '\0');
	assert_true(used + 400 < sizeof(w.notes));
	snprintf(w.notes + used, sizeof(w.notes) - used, "%d %s [%s] %s\n",
	    w.now, object, rule, text);
}

static void
op_vote(void *ctx, uint8_t voter, uint64_t epoch)
{
	(void)ctx;
	did("ask voter %u for %llu", voter, (unsigned long long)epoch);
}

static void
op_fence(void *ctx, uint8_t peer, uint8_t level, enum arb_action action,
    uint32_t token)
{
	static const char *const names[] = {"off", "status", "monitor", "on"};

	(void)ctx;
	assert_int_equal(peer, BRAVO);
	assert_true(token != 0 && token != w.token);
	w.token = token;
	did("%s by %s", names[action], level == 0 ? "ipmi" : "pdu");
}

static void
op_cancel(void *ctx, uint32_t token)
{
	(void)ctx;
	assert_int_equal(token, w.token);
	did("cancel");
}

static void
op_verdict(void *ctx, uint8_t peer, enum arb_verdict v, uint64_t epoch,
    const char *rule, const char *text)
{
	(void)ctx;
	assert_int_equal(peer, BRAVO);
	assert_true(text[0] != '\0');
	did("%s: %s for %llu", rule, arb_verdict_name(v),
	    (unsigned long long)epoch);
}

static void
op_spent(void *ctx, uint64_t epoch)
{
	(void)ctx;
	did("spent %llu", (unsigned long long)epoch);
}

static void
op_working(void *ctx, bool working, uint32_t fence_ms)
{
	(void)ctx;
	w.working = working;
	did("%s, fence %u ms", working ? "works" : "does not work", fence_ms);
}

static void
op_reply(void *ctx, uint64_t token, bool ok, const char *text)
{
	(void)ctx;
	did("reply %llu %s: %s", (unsigned long long)token, ok ? "ok" : "no",
	    text);
}

static const struct arb_ops ops = {op_timer, op_note, op_vote, op_fence,
    op_cancel, op_verdict, op_spent, op_working, op_reply};

static void
step(struct arb_event e)
{
	e.now = at(w.now);
	arb_step(w.arb, &e);
}

/* Everything that was asked of the world since last time. */
static void
then(const char *expected)
{
	assert_string_equal(w.did, expected);
	w.did[0] = '\0';
}

static void
noted(const char *text)
{
	if (strstr(w.notes, text) == NULL)
		fail_msg("not noted: %s\n%s", text, w.notes);
}

/* Lines of the notes that have this text. */
static unsigned
times_noted(const char *text)
{
	unsigned n = 0;

	for (const char *s = w.notes; (s = strstr(s, text)) != NULL; s++)
		n++;
	return n;
}

/* Until so many milliseconds after the start. */
static void
until(int ms)
{
	assert_true(ms >= w.now);
	while (!mt_before(at(ms), w.timer)) {
		int due = (int)(w.timer.us / 1000) - 1000;

		/* A timer in the past would never be over. */
		assert_true(due > w.now || w.timer.us % 1000 == 0);
		w.now = due > w.now ? due : w.now;
		step((struct arb_event){.type = ARB_EV_TIMER});
		assert_true(mt_before(at(w.now), w.timer));
	}
	w.now = ms;
}

static void
start(unsigned levels, unsigned voters)
{
	struct arb_conf c = {.self = ALPHA,
	    .n_peers = 1,
	    .n_voters = (uint8_t)voters,
	    .voters = {"witness", "lock disk 1", "lock disk 2"},
	    .dead_ms = DEAD};

	arb_free(w.arb);
	memset(&w, 0, sizeof(w));
	c.peers[0].id = BRAVO;
	c.peers[0].n_levels = (uint8_t)levels;
	strcpy(c.peers[0].name, "bravo");
	strcpy(c.peers[0].agent[0], "ipmi");
	strcpy(c.peers[0].agent[1], "pdu");
	c.peers[0].timeout_ms[0] = 3000;
	c.peers[0].timeout_ms[1] = 8000;
	w.timer = MT_NEVER;
	w.arb = arb_new(&c, &ops, &w);
	assert_non_null(w.arb);
	step((struct arb_event){.type = ARB_EV_START});
	then(levels > 0 ? "0 works, fence 0 ms\n"
			: "0 does not work, fence 0 ms\n");
}

static int
end(void **state)
{
	(void)state;
	arb_free(w.arb);
	w.arb = NULL;
	return 0;
}

enum { INACTIVE, ACTIVE, BOOT };

static void
want(int how, uint64_t epoch)
{
	step((struct arb_event){.type = ARB_EV_WANT,
	    .u.want = {BRAVO, epoch, how == ACTIVE, how == BOOT}});
}

static void
rest(void)
{
	step((struct arb_event){.type = ARB_EV_REST, .u.rest = {BRAVO}});
}

/* The agent that was run last ends. */
static void
agent(enum arb_result result, const char *text)
{
	step((struct arb_event){
	    .type = ARB_EV_FENCED, .u.fenced = {w.token, result, text}});
}

static void
late_agent(uint32_t token, enum arb_result result)
{
	step((struct arb_event){
	    .type = ARB_EV_FENCED, .u.fenced = {token, result, "late"}});
}

static void
vote(uint8_t voter, uint64_t epoch, enum arb_vote v)
{
	step((struct arb_event){.type = ARB_EV_VOTE,
	    .u.vote = {voter, epoch, v, v == ARB_VOTE_DENIED ? BRAVO : 0,
		v == ARB_VOTE_DENIED ? epoch : 0}});
}

static void
voter(uint8_t v, bool up)
{
	step((struct arb_event){
	    .type = ARB_EV_VOTER, .u.voter = {.voter = v, .up = up}});
}

static void
confirm(uint8_t peer)
{
	step((struct arb_event){
	    .type = ARB_EV_CONFIRM, .u.confirm = {peer, 70}});
}

static void
test(uint8_t peer)
{
	step((struct arb_event){.type = ARB_EV_TEST, .u.test = {peer, 71}});
}

static void
is(enum arb_state state)
{
	struct arb_status s;

	arb_status(w.arb, &s);
	if (s.peers[0].state != state)
		fail_msg("%s, expected %s", arb_state_name(s.peers[0].state),
		    arb_state_name(state));
}

/* Agents. */

static void
R4_active_fires_at_once(void **state)
{
	(void)state;
	start(2, 0);
	want(ACTIVE, EPOCH);
	then("0 off by ipmi\n");
	is(ARB_OFF);
	until(400);
	agent(ARB_RES_OK, "Success: Powered OFF");
	then("400 status by ipmi\n");
	is(ARB_CHECK);
	until(600);
	agent(ARB_RES_IS_OFF, "Status: OFF");
	then("600 R3: off for 8\n600 works, fence 600 ms\n");
	is(ARB_WON);
	noted("bravo [R3] verdict off: ipmi says that it is off");
	rest();
	then("");
	is(ARB_IDLE);
}

/* Nothing was measured: five seconds.  A second WANT does not begin anew. */
static void
R4_inactive_waits(void **state)
{
	(void)state;
	start(1, 0);
	want(INACTIVE, EPOCH);
	until(3000);
	want(INACTIVE, EPOCH);
	until(4999);
	then("");
	is(ARB_WAIT);
	until(5000);
	then("5000 off by ipmi\n");
}

static void
R4_becomes_active(void **state)
{
	(void)state;
	start(1, 0);
	want(INACTIVE, EPOCH);
	until(700);
	want(ACTIVE, EPOCH);
	then("700 off by ipmi\n");
}

/* An agent that took 4 s: the other one has twice that before we fire. */
static void
R4_delay_of_a_measured_agent(void **state)
{
	(void)state;
	start(2, 0);
	want(ACTIVE, EPOCH);
	until(2000);
	agent(ARB_RES_OK, NULL);
	agent(ARB_RES_FAILED, NULL);
	until(2999);
	then("0 off by ipmi\n2000 status by ipmi\n2500 status by ipmi\n");
	agent(ARB_RES_IS_OFF, NULL);
	then("2999 R3: off for 8\n2999 works, fence 2999 ms\n");
	rest();
	until(10000);
	want(INACTIVE, EPOCH + 1);
	until(10000 + 2 * 2999 - 1);
	then("");
	until(10000 + 2 * 2999);
	then("15998 off by ipmi\n");
}

/* It says "ok", but its status says "on": asked until its deadline. */
static void
R3_the_agent_lies(void **state)
{
	(void)state;
	start(2, 0);
	want(ACTIVE, EPOCH);
	until(100);
	agent(ARB_RES_OK, "Success");
	agent(ARB_RES_IS_ON, "Status: ON");
	then("0 off by ipmi\n100 status by ipmi\n");
	for (int ms = 600; ms < 3000; ms += 500) {
		until(ms);
		agent(ARB_RES_IS_ON, "Status: ON");
	}
	then("600 status by ipmi\n1100 status by ipmi\n1600 status by ipmi\n"
	     "2100 status by ipmi\n2600 status by ipmi\n");
	until(3000);
	then("3000 off by pdu\n");
	noted("bravo [R5] fence level 1: ipmi is not verified off in time: "
	      "Status: ON");
	until(4000);
	agent(ARB_RES_OK, NULL);
	agent(ARB_RES_IS_OFF, NULL);
	then("4000 status by pdu\n4000 R3: off for 8\n"
	     "4000 works, fence 1000 ms\n");
	noted("bravo [R3] verdict off: pdu says that it is off");
}

/* What "off" itself answers is never "it is off". */
static void
R3_off_is_not_status(void **state)
{
	(void)state;
	start(1, 0);
	want(ACTIVE, EPOCH);
	agent(ARB_RES_IS_OFF, NULL);
	then("0 off by ipmi\n0 R5: frozen for 8\n"
	     "0 does not work, fence 0 ms\n");
}

static void
R5_the_agent_hangs(void **state)
{
	uint32_t first;

	(void)state;
	start(2, 0);
	want(ACTIVE, EPOCH);
	first = w.token;
	until(2999);
	then("0 off by ipmi\n");
	until(3000);
	then("3000 cancel\n3000 off by pdu\n");
	noted("bravo [R5] fence level 1: ipmi did not answer in time");
	/* Its answer to the cancel is not that of the second level. */
	late_agent(first, ARB_RES_OK);
	then("");
	is(ARB_OFF);
	until(3500);
	agent(ARB_RES_OK, NULL);
	then("3500 status by pdu\n");
	/* A status query that hangs ends with the level. */
	until(10999);
	then("");
	until(11000);
	then("11000 cancel\n11000 R5: frozen for 8\n"
	     "11000 does not work, fence 0 ms\n");
	is(ARB_FROZEN);
}

static void
R5_all_fail_then_confirm(void **state)
{
	(void)state;
	start(2, 0);
	want(ACTIVE, EPOCH);
	agent(ARB_RES_FAILED, "Connection refused");
	agent(ARB_RES_TIMEOUT, NULL);
	then("0 off by ipmi\n0 off by pdu\n0 R5: frozen for 8\n"
	     "0 does not work, fence 0 ms\n");
	noted("bravo [R5] fence level 1: ipmi failed: Connection refused");
	noted("bravo [R5] fence level 2: pdu did not answer in time");
	/* One alarm; agents are not tried again, however long it takes. */
	until(3600 * 1000);
	want(ACTIVE, EPOCH);
	then("");
	assert_int_equal(times_noted("verdict frozen"), 1);
	is(ARB_FROZEN);
	confirm(BRAVO);
	then("3600000 R5: off for 8\n3600000 reply 70 ok: confirmed\n");
	noted("3600000 bravo [R5] verdict off: the operator confirmed");
	is(ARB_WON);
}

static void
R5_confirm_while_an_agent_runs(void **state)
{
	uint32_t first;

	(void)state;
	start(1, 0);
	want(ACTIVE, EPOCH);
	first = w.token;
	until(1000);
	confirm(BRAVO);
	then("0 off by ipmi\n1000 cancel\n1000 R5: off for 8\n"
	     "1000 reply 70 ok: confirmed\n");
	late_agent(first, ARB_RES_OK);
	until(20000);
	then("");
	is(ARB_WON);
}

static void
R5_confirm_refused(void **state)
{
	(void)state;
	start(1, 1);
	confirm(BRAVO);
	then("0 reply 70 no: nothing is undecided about it\n");
	confirm(7);
	then("0 reply 70 no: there is no such peer\n");
	want(ACTIVE, EPOCH);
	vote(WITNESS, EPOCH, ARB_VOTE_DENIED);
	then("0 ask voter 0 for 8\n0 R13: denied for 8\n");
	confirm(BRAVO);
	then("0 reply 70 no: the peer has the lease: it acts\n");
	rest();
	want(ACTIVE, EPOCH + 1);
	vote(WITNESS, EPOCH + 1, ARB_VOTE_GRANTED);
	agent(ARB_RES_OK, NULL);
	agent(ARB_RES_IS_OFF, NULL);
	then("0 ask voter 0 for 9\n0 R6: lease for 9\n0 off by ipmi\n"
	     "0 status by ipmi\n0 R3: off for 9\n0 works, fence 1 ms\n");
	confirm(BRAVO);
	then("0 reply 70 no: it is decided already\n");
}

/* Neither agent nor voter: nobody can say. */
static void
R3_no_arbiter(void **state)
{
	(void)state;
	start(0, 0);
	want(ACTIVE, EPOCH);
	then("0 R5: frozen for 8\n");
	is(ARB_FROZEN);
}

/* Voters. */

static void
R6_lease_of_one(void **state)
{
	(void)state;
	start(0, 1);
	want(ACTIVE, EPOCH);
	then("0 ask voter 0 for 8\n");
	is(ARB_ASK);
	vote(WITNESS, EPOCH, ARB_VOTE_GRANTED);
	then("0 R6: lease for 8\n");
	is(ARB_WON);
	noted("bravo [R6] verdict lease: a majority of the voters");
	until(100000);
	then("");
}

/* The lease is sticky: who holds no data asks one dead_ms later. */
static void
R6_inactive_asks_later(void **state)
{
	(void)state;
	start(0, 1);
	want(INACTIVE, EPOCH);
	until(DEAD - 1);
	then("");
	until(DEAD);
	then("100 ask voter 0 for 8\n");
	rest();
	until(1000);
	want(INACTIVE, EPOCH + 1);
	until(1050);
	want(ACTIVE, EPOCH + 1);
	then("1050 ask voter 0 for 9\n");
	until(1200);
	then("");
}

static void
R6_both_of_two(void **state)
{
	(void)state;
	start(0, 2);
	want(ACTIVE, EPOCH);
	vote(WITNESS, EPOCH, ARB_VOTE_GRANTED);
	then("0 ask voter 0 for 8\n0 ask voter 1 for 8\n");
	vote(DISK1, EPOCH, ARB_VOTE_GRANTED);
	then("0 R6: lease for 8\n");
}

static void
R6_two_of_three(void **state)
{
	(void)state;
	start(0, 3);
	want(ACTIVE, EPOCH);
	vote(DISK2, EPOCH, ARB_VOTE_GRANTED);
	vote(WITNESS, EPOCH, ARB_VOTE_DENIED);
	then("0 ask voter 0 for 8\n0 ask voter 1 for 8\n0 ask voter 2 for 8\n");
	is(ARB_ASK);
	vote(DISK1, EPOCH, ARB_VOTE_GRANTED);
	then("0 R6: lease for 8\n");
}

static void
R13_two_of_three_deny(void **state)
{
	(void)state;
	start(0, 3);
	want(ACTIVE, EPOCH);
	vote(DISK2, EPOCH, ARB_VOTE_GRANTED);
	vote(WITNESS, EPOCH, ARB_VOTE_DENIED);
	vote(DISK1, EPOCH, ARB_VOTE_DENIED);
	then("0 ask voter 0 for 8\n0 ask voter 1 for 8\n0 ask voter 2 for 8\n"
	     "0 R13: denied for 8\n");
	is(ARB_LOST);
	noted("bravo [R13] verdict denied: the lease is another's");
}

/* One voter cannot make a majority of two, however long it takes. */
static void
R6_half_is_no_majority(void **state)
{
	(void)state;
	start(0, 2);
	want(ACTIVE, EPOCH);
	vote(WITNESS, EPOCH, ARB_VOTE_GRANTED);
	vote(DISK1, EPOCH, ARB_VOTE_UNREACHABLE);
	then("0 ask voter 0 for 8\n0 ask voter 1 for 8\n0 R5: frozen for 8\n");
	is(ARB_FROZEN);
	until(DEAD);
	then("100 ask voter 1 for 8\n");
	vote(DISK1, EPOCH, ARB_VOTE_GRANTED);
	then("100 R6: lease for 8\n");
	is(ARB_WON);
}

/* Asked again ever more rarely, but at once when it is there again. */
static void
R15_backoff(void **state)
{
	char expected[64];
	unsigned notes;
	int next = 0, gap = DEAD;

	(void)state;
	start(0, 1);
	want(ACTIVE, EPOCH);
	then("0 ask voter 0 for 8\n");
	vote(WITNESS, EPOCH, ARB_VOTE_UNREACHABLE);
	then("0 R5: frozen for 8\n");
	notes = times_noted("\n");
	while (gap < 60000) {
		next += gap;
		until(next - 1);
		then("");
		until(next);
		snprintf(
		    expected, sizeof(expected), "%d ask voter 0 for 8\n", next);
		then(expected);
		vote(WITNESS, EPOCH, ARB_VOTE_UNREACHABLE);
		gap *= 2;
	}
	/* The bound. */
	until(next + 60000);
	snprintf(expected, sizeof(expected), "%d ask voter 0 for 8\n", w.now);
	then(expected);
	vote(WITNESS, EPOCH, ARB_VOTE_UNREACHABLE);
	/* Not one line more about one cause. */
	assert_int_equal(times_noted("\n"), notes);
	until(w.now + 1234);
	voter(WITNESS, true);
	snprintf(expected, sizeof(expected),
	    "%d ask voter 0 for 8\n%d works, fence 0 ms\n", w.now, w.now);
	then(expected);
	vote(WITNESS, EPOCH, ARB_VOTE_DENIED);
	snprintf(expected, sizeof(expected), "%d R13: denied for 8\n", w.now);
	then(expected);
	is(ARB_LOST);
}

static void
R6_votes_that_do_not_count(void **state)
{
	(void)state;
	start(0, 1);
	want(ACTIVE, EPOCH);
	then("0 ask voter 0 for 8\n");
	/* Of an earlier epoch, of no voter. */
	vote(WITNESS, EPOCH - 1, ARB_VOTE_GRANTED);
	vote(WITNESS, EPOCH - 1, ARB_VOTE_DENIED);
	vote(DISK1, EPOCH, ARB_VOTE_GRANTED);
	then("");
	is(ARB_ASK);
	/* After all was over. */
	rest();
	vote(WITNESS, EPOCH, ARB_VOTE_GRANTED);
	then("0 spent 8\n");
	is(ARB_IDLE);
	vote(WITNESS, EPOCH, ARB_VOTE_GRANTED);
	is(ARB_IDLE);
}

/* A lease of an old epoch is not one of the new. */
static void
R6_another_epoch(void **state)
{
	(void)state;
	start(0, 1);
	want(ACTIVE, EPOCH);
	vote(WITNESS, EPOCH, ARB_VOTE_GRANTED);
	then("0 ask voter 0 for 8\n0 R6: lease for 8\n");
	want(ACTIVE, EPOCH + 1);
	is(ARB_ASK);
	vote(WITNESS, EPOCH, ARB_VOTE_GRANTED);
	then("0 ask voter 0 for 9\n");
	vote(WITNESS, EPOCH + 1, ARB_VOTE_GRANTED);
	then("0 R6: lease for 9\n");
	is(ARB_WON);
}

/* What is held for this node and was not used is told. */
static void
R6_spent(void **state)
{
	struct arb_status s;

	(void)state;
	start(0, 1);
	want(ACTIVE, EPOCH);
	step((struct arb_event){.type = ARB_EV_VOTE,
	    .u.vote = {WITNESS, EPOCH, ARB_VOTE_DENIED, ALPHA, 11}});
	/* Nobody else has it: not denied, and 11 can be nobody's. */
	then("0 ask voter 0 for 8\n0 spent 11\n0 R5: frozen for 8\n");
	want(ACTIVE, 12);
	then("0 ask voter 0 for 12\n");
	vote(WITNESS, 12, ARB_VOTE_GRANTED);
	then("0 R6: lease for 12\n");
	arb_status(w.arb, &s);
	assert_int_equal(s.voters[0].holder, ALPHA);
	assert_int_equal(s.voters[0].holder_epoch, 12);
}

static void
R6_losing_only_a_voter_is_nothing(void **state)
{
	(void)state;
	start(0, 3);
	voter(WITNESS, true);
	then("");
	voter(DISK1, true);
	then("0 works, fence 0 ms\n");
	voter(DISK2, true);
	voter(WITNESS, false);
	then("");
	noted("[R6] witness does not answer; nothing changes");
	voter(DISK1, false);
	then("0 does not work, fence 0 ms\n");
	is(ARB_IDLE);
	voter(9, true);
	then("");
}

/* Agents and voters. */

/* Granted: acts after the takeover time, or at once if it is off before. */
static void
both_lease_then_off(void **state)
{
	(void)state;
	start(1, 1);
	want(ACTIVE, EPOCH);
	then("0 ask voter 0 for 8\n");
	is(ARB_WAIT);
	until(10);
	vote(WITNESS, EPOCH, ARB_VOTE_GRANTED);
	then("10 R6: lease for 8\n10 off by ipmi\n");
	until(80);
	agent(ARB_RES_OK, NULL);
	agent(ARB_RES_IS_OFF, NULL);
	then("80 status by ipmi\n80 R3: off for 8\n80 works, fence 70 ms\n");
}

static void
both_lease_then_agents_fail(void **state)
{
	(void)state;
	start(2, 1);
	want(INACTIVE, EPOCH);
	until(DEAD);
	vote(WITNESS, EPOCH, ARB_VOTE_GRANTED);
	agent(ARB_RES_FAILED, NULL);
	agent(ARB_RES_FAILED, NULL);
	then("100 ask voter 0 for 8\n100 R6: lease for 8\n100 off by ipmi\n"
	     "100 off by pdu\n100 does not work, fence 0 ms\n");
	is(ARB_WON);
	noted("bravo [R5] fence level 2: pdu failed");
}

/* Active as it is: the peer may be the one with the lease, and shoot first. */
static void
R4_active_without_voters_waits(void **state)
{
	(void)state;
	start(1, 1);
	want(ACTIVE, EPOCH);
	vote(WITNESS, EPOCH, ARB_VOTE_UNREACHABLE);
	then("0 ask voter 0 for 8\n");
	until(4999);
	then("100 ask voter 0 for 8\n");
	is(ARB_WAIT);
	until(5000);
	then("5000 off by ipmi\n");
	agent(ARB_RES_OK, NULL);
	agent(ARB_RES_IS_OFF, NULL);
	then("5000 status by ipmi\n5000 R3: off for 8\n"
	     "5000 works, fence 1 ms\n");
}

/* Nor do two nodes that reach no voter shoot each other at the same time. */
static void
R4_inactive_without_voters_waits_longer(void **state)
{
	(void)state;
	start(1, 1);
	want(INACTIVE, EPOCH);
	until(DEAD);
	vote(WITNESS, EPOCH, ARB_VOTE_UNREACHABLE);
	until(9999);
	then("100 ask voter 0 for 8\n200 ask voter 0 for 8\n");
	until(10000);
	then("10000 off by ipmi\n");
}

/* Refused: the agent that runs is stopped, and none is run later. */
static void
R13_denied_while_fencing(void **state)
{
	uint32_t first;

	(void)state;
	start(2, 1);
	want(ACTIVE, EPOCH);
	vote(WITNESS, EPOCH, ARB_VOTE_UNREACHABLE);
	until(5000);
	first = w.token;
	then("0 ask voter 0 for 8\n100 ask voter 0 for 8\n"
	     "5000 off by ipmi\n");
	vote(WITNESS, EPOCH, ARB_VOTE_DENIED);
	then("5000 cancel\n5000 R13: denied for 8\n");
	is(ARB_LOST);
	late_agent(first, ARB_RES_OK);
	late_agent(first, ARB_RES_TIMEOUT);
	want(ACTIVE, EPOCH);
	until(100000);
	then("");
	is(ARB_LOST);
}

static void
R13_denied_before_it_fires(void **state)
{
	(void)state;
	start(1, 1);
	want(INACTIVE, EPOCH);
	until(DEAD);
	vote(WITNESS, EPOCH, ARB_VOTE_DENIED);
	until(100000);
	then("100 ask voter 0 for 8\n100 R13: denied for 8\n");
	is(ARB_LOST);
}

/*
 * One refusal is not the majority, but it says that the peer lives and asked:
 * no fence without the lease.
 */
static void
R13_one_refusal_of_three(void **state)
{
	(void)state;
	start(1, 3);
	want(ACTIVE, EPOCH);
	vote(WITNESS, EPOCH, ARB_VOTE_UNREACHABLE);
	vote(DISK1, EPOCH, ARB_VOTE_UNREACHABLE);
	then("0 ask voter 0 for 8\n0 ask voter 1 for 8\n0 ask voter 2 for 8\n");
	is(ARB_WAIT);
	vote(DISK2, EPOCH, ARB_VOTE_DENIED);
	then("0 R5: frozen for 8\n");
	noted("bravo [R13] a voter refused the lease: no fence without it");
	is(ARB_FROZEN);
	until(DEAD);
	then("100 ask voter 0 for 8\n100 ask voter 1 for 8\n");
	vote(WITNESS, EPOCH, ARB_VOTE_GRANTED);
	vote(DISK1, EPOCH, ARB_VOTE_GRANTED);
	then("100 R6: lease for 8\n");
	is(ARB_WON);
	until(100000);
	then("");
}

static void
R13_one_refusal_while_fencing(void **state)
{
	(void)state;
	start(1, 3);
	want(ACTIVE, EPOCH);
	for (uint8_t v = WITNESS; v <= DISK2; v++)
		vote(v, EPOCH, ARB_VOTE_UNREACHABLE);
	until(99);
	then("0 ask voter 0 for 8\n0 ask voter 1 for 8\n0 ask voter 2 for 8\n");
	until(5000);
	then("100 ask voter 0 for 8\n100 ask voter 1 for 8\n"
	     "100 ask voter 2 for 8\n5000 off by ipmi\n");
	vote(DISK2, EPOCH, ARB_VOTE_DENIED);
	then("5000 cancel\n5000 R5: frozen for 8\n");
}

/* Agents are used up, voters may still come. */
static void
both_fail_and_a_lease_comes(void **state)
{
	(void)state;
	start(1, 1);
	want(ACTIVE, EPOCH);
	vote(WITNESS, EPOCH, ARB_VOTE_UNREACHABLE);
	until(5000);
	agent(ARB_RES_FAILED, NULL);
	then("0 ask voter 0 for 8\n100 ask voter 0 for 8\n5000 off by ipmi\n"
	     "5000 R5: frozen for 8\n5000 does not work, fence 0 ms\n");
	until(6000);
	then("");
	vote(WITNESS, EPOCH, ARB_VOTE_GRANTED);
	then("6000 R6: lease for 8\n");
	is(ARB_WON);
}

/* The agents failed before the voter answered at all. */
static void
both_agents_fail_first(void **state)
{
	(void)state;
	start(1, 1);
	want(ACTIVE, EPOCH);
	until(5000);
	agent(ARB_RES_FAILED, NULL);
	then("0 ask voter 0 for 8\n5000 off by ipmi\n"
	     "5000 does not work, fence 0 ms\n");
	is(ARB_ASK);
	vote(WITNESS, EPOCH, ARB_VOTE_UNREACHABLE);
	then("5000 R5: frozen for 8\n");
}

/* After boot. */

static void
R1_verify_switches_nothing(void **state)
{
	(void)state;
	start(2, 1);
	want(BOOT, EPOCH);
	then("0 status by ipmi\n");
	is(ARB_VERIFY);
	/* The first cannot say, the second says "on". */
	agent(ARB_RES_FAILED, "no route");
	then("0 status by pdu\n");
	until(10);
	agent(ARB_RES_IS_ON, NULL);
	until(5009);
	then("");
	until(5010);
	then("5010 status by ipmi\n");
	/* It hangs: its deadline. */
	until(8010);
	then("8010 cancel\n8010 status by pdu\n");
	agent(ARB_RES_IS_ON, NULL);
	/* R15: rarer and rarer, at least once a minute. */
	until(18010);
	then("18010 status by ipmi\n");
	agent(ARB_RES_IS_OFF, NULL);
	then("18010 R3: off for 8\n");
	is(ARB_WON);
	assert_int_equal(times_noted("verdict"), 1);
}

static void
R1_verify_backs_off(void **state)
{
	static const int rounds[] = {5000, 15000, 35000, 75000, 135000, 195000};
	char expected[64];

	(void)state;
	start(1, 0);
	want(BOOT, EPOCH);
	then("0 status by ipmi\n");
	for (unsigned i = 0; i < NITEMS(rounds); i++) {
		agent(ARB_RES_IS_ON, NULL);
		until(rounds[i] - 1);
		then("");
		until(rounds[i]);
		snprintf(expected, sizeof(expected), "%d status by ipmi\n",
		    rounds[i]);
		then(expected);
	}
}

static void
R1_verify_then_silent(void **state)
{
	(void)state;
	start(1, 0);
	want(BOOT, EPOCH);
	until(50);
	want(ACTIVE, EPOCH);
	then("0 status by ipmi\n50 cancel\n50 off by ipmi\n");
	rest();
	then("50 cancel\n");
	want(BOOT, EPOCH);
	confirm(BRAVO);
	then("50 status by ipmi\n50 cancel\n50 R5: off for 8\n"
	     "50 reply 70 ok: confirmed\n");
}

/* No agent could say: nothing is asked, nothing is said. */
static void
R1_verify_without_agents(void **state)
{
	(void)state;
	start(0, 1);
	want(BOOT, EPOCH);
	until(100000);
	then("");
	is(ARB_IDLE);
}

/* The peer is heard again, whatever is under way. */

static void
rest_in_every_state(void **state)
{
	(void)state;
	for (int s = ARB_IDLE; s < ARB_STATE_N; s++) {
		int begun;

		start(1, s == ARB_ASK || s == ARB_LOST ? 1 : 0);
		if (s != ARB_IDLE)
			want(s == ARB_VERIFY ? BOOT
			     : s == ARB_WAIT ? INACTIVE
					     : ACTIVE,
			    EPOCH);
		if (s == ARB_CHECK || s == ARB_WON)
			agent(ARB_RES_OK, NULL);
		if (s == ARB_WON)
			agent(ARB_RES_IS_OFF, NULL);
		if (s == ARB_FROZEN)
			agent(ARB_RES_FAILED, NULL);
		if (s == ARB_LOST)
			vote(WITNESS, EPOCH, ARB_VOTE_DENIED);
		if (s == ARB_ASK) {
			until(5000);
			agent(ARB_RES_FAILED, NULL);
		}
		is((enum arb_state)s);
		w.did[0] = '\0';
		begun = w.now;
		rest();
		then(s == ARB_VERIFY || s == ARB_OFF || s == ARB_CHECK
			 ? "0 cancel\n"
			 : "");
		is(ARB_IDLE);
		late_agent(w.token, ARB_RES_OK);
		until(begun + 100000);
		then("");
	}
}

/* Tests by the operator. */

static void
test_of_every_level(void **state)
{
	struct arb_status s;

	(void)state;
	start(2, 0);
	arb_status(w.arb, &s);
	assert_true(s.peers[0].tested.us == 0 && s.peers[0].n_levels == 2);
	test(BRAVO);
	then("0 monitor by ipmi\n");
	agent(ARB_RES_OK, NULL);
	then("0 status by ipmi\n");
	until(200);
	agent(ARB_RES_IS_ON, "Status: ON");
	agent(ARB_RES_OK, NULL);
	agent(ARB_RES_IS_OFF, NULL);
	then("200 monitor by pdu\n200 status by pdu\n"
	     "200 reply 71 ok: level 1: ipmi: monitor: ok\n"
	     "level 1: ipmi: status: on: Status: ON\n"
	     "level 2: pdu: monitor: ok\n"
	     "level 2: pdu: status: off\n\n");
	arb_status(w.arb, &s);
	assert_true(s.peers[0].test_ok && s.peers[0].tested.us == at(200).us);
	is(ARB_IDLE);
	noted("bravo [R5] fence test passed");
}

static void
test_fails(void **state)
{
	struct arb_status s;

	(void)state;
	start(1, 0);
	test(BRAVO);
	agent(ARB_RES_FAILED, "Unable to connect");
	then("0 monitor by ipmi\n0 status by ipmi\n");
	test(BRAVO);
	then("0 reply 71 no: a test is under way already\n");
	until(3000);
	then("3000 cancel\n"
	     "3000 reply 71 no: level 1: ipmi: monitor: failed: Unable to "
	     "connect\nlevel 1: ipmi: status: no answer in time\n\n"
	     "3000 does not work, fence 0 ms\n");
	arb_status(w.arb, &s);
	assert_false(s.peers[0].test_ok);
	assert_true(s.peers[0].tested.us == at(3000).us && !s.working);
	/* And later it passes. */
	test(BRAVO);
	agent(ARB_RES_OK, NULL);
	agent(ARB_RES_IS_ON, NULL);
	then("3000 monitor by ipmi\n3000 status by ipmi\n"
	     "3000 reply 71 ok: level 1: ipmi: monitor: ok\n"
	     "level 1: ipmi: status: on\n\n3000 works, fence 0 ms\n");
}

/* The agent's name is cut, its text as well; the report stays whole. */
static void
test_with_long_texts(void **state)
{
	static char text[2000];
	const char *s;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	start(2, 0);
	test(BRAVO);
	for (unsigned i = 0; i < 2; i++) {
		agent(ARB_RES_OK, text);
		agent(ARB_RES_FAILED, text);
	}
	s = strstr(w.did, "level 1");
	assert_non_null(s);
	assert_non_null(strstr(s, "level 2: pdu: status: failed"));
	is(ARB_IDLE);
}

static void
test_refused(void **state)
{
	(void)state;
	start(1, 0);
	test(9);
	then("0 reply 71 no: there is no such peer\n");
	want(ACTIVE, EPOCH);
	test(BRAVO);
	then("0 off by ipmi\n"
	     "0 reply 71 no: not now: the agents are being used in earnest\n");
	start(0, 1);
	test(BRAVO);
	then("0 reply 71 no: no fence agent is configured for it\n");
}

/* Given up for something better: that says nothing about the agents. */
static void
test_given_up(void **state)
{
	struct arb_status s;

	(void)state;
	start(1, 0);
	test(BRAVO);
	agent(ARB_RES_OK, NULL);
	agent(ARB_RES_IS_ON, NULL);
	w.did[0] = '\0';
	until(1000);
	test(BRAVO);
	until(1100);
	want(ACTIVE, EPOCH);
	then("1000 monitor by ipmi\n1100 cancel\n"
	     "1100 reply 71 no: given up: the agents are needed\n\n"
	     "1100 off by ipmi\n");
	arb_status(w.arb, &s);
	assert_true(s.working && s.peers[0].test_ok);
	assert_true(s.peers[0].tested.us == at(0).us);
}

static void
what_status_says(void **state)
{
	struct arb_status s;

	(void)state;
	start(2, 2);
	voter(DISK1, true);
	want(ACTIVE, EPOCH);
	vote(WITNESS, EPOCH, ARB_VOTE_GRANTED);
	vote(DISK1, EPOCH, ARB_VOTE_GRANTED);
	until(30);
	agent(ARB_RES_FAILED, "no such plug");
	arb_status(w.arb, &s);
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
#define T(fn) cmocka_unit_test_teardown(fn, end)
	const struct CMUnitTest tests[] = {
	    T(R4_active_fires_at_once),
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
	    T(R6_lease_of_one),
	    T(R6_inactive_asks_later),
	    T(R6_both_of_two),
	    T(R6_two_of_three),
	    T(R13_two_of_three_deny),
	    T(R6_half_is_no_majority),
	    T(R15_backoff),
	    T(R6_votes_that_do_not_count),
	    T(R6_another_epoch),
	    T(R6_spent),
	    T(R6_losing_only_a_voter_is_nothing),
	    T(both_lease_then_off),
	    T(both_lease_then_agents_fail),
	    T(R4_active_without_voters_waits),
	    T(R4_inactive_without_voters_waits_longer),
	    T(R13_denied_while_fencing),
	    T(R13_denied_before_it_fires),
	    T(R13_one_refusal_of_three),
	    T(R13_one_refusal_while_fencing),
	    T(both_fail_and_a_lease_comes),
	    T(both_agents_fail_first),
	    T(R1_verify_switches_nothing),
	    T(R1_verify_backs_off),
	    T(R1_verify_then_silent),
	    T(R1_verify_without_agents),
	    T(rest_in_every_state),
	    T(test_of_every_level),
	    T(test_fails),
	    T(test_with_long_texts),
	    T(test_refused),
	    T(test_given_up),
	    T(what_status_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
