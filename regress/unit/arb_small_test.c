/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every schedule of a small world, not a sample: two nodes on both sides of a
 * cut, their arbitration cores, voters and fence agents that both reach; every
 * order of messages, and up to three faults: a request or an answer is lost,
 * a voter is lost for ever, an agent fails, lies, hangs or half works, a node
 * dies, time passes though something is on its way.  States that were seen are
 * cut.
 *
 * A node asks once; acts at once when the other is off, some time later with
 * a lease, and never when it was refused or nobody could say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arb_int.h"

enum { FAULTS = 3, EPOCH = 2, VOTERS = 3, SEEN = 1 << 23, DEPTH_MAX = 400 };

enum where { NONE, TO_VOTER, TO_NODE };

/* One core with one peer: the rest of struct arb is never touched. */
union core {
	struct arb arb;
	char bytes[offsetof(struct arb, peers) + sizeof(struct arb_peer)];
};

struct side {
	monotime_t timer;
	bool wanted, active, dead, off, acts;
	bool leased, was_off, denied, frozen;
	/* The question that is on its way to a voter, and its answer. */
	enum where at[VOTERS];
	enum arb_vote answer[VOTERS];
	uint8_t holder[VOTERS];
	bool told[VOTERS]; /* that it is lost */
	/* The agent that runs. */
	uint32_t token;
	enum arb_action action;
	bool hangs;
};

struct small {
	const char *name;
	uint8_t levels, voters;
	bool both_active;
	unsigned states_min; /* a search that finds fewer is broken */
};

/* What is copied at each branch, beside the two cores. */
struct state {
	monotime_t now;
	struct side side[2];
	uint8_t holder[VOTERS]; /* node id: of EPOCH, durably; 0 = nobody */
	bool lost[VOTERS];
	uint8_t faults;
	bool lied; /* an agent said "off" of one that is on */
};

static struct {
	struct state s;
	struct arb *core[2]; /* owned */
	const struct small *small;
	uint64_t *seen; /* owned */
	unsigned n_seen, leaves, won[2], frozen, depth;
} g;

static unsigned
index_of(void *ctx)
{
	return (unsigned)((struct arb **)ctx - g.core);
}

static void
op_timer(void *ctx, monotime_t at)
{
	g.s.side[index_of(ctx)].timer = at;
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx;
	(void)level;
	(void)rule;
	(void)object;
	(void)text;
}

static void
op_vote(void *ctx, uint8_t voter, uint64_t epoch)
{
	struct side *n = &g.s.side[index_of(ctx)];

	assert_int_equal(epoch, EPOCH);
	/* One question at a time: each is answered. */
	assert_int_equal(n->at[voter], NONE);
	n->at[voter] = TO_VOTER;
}

static void
op_fence(void *ctx, uint8_t peer, uint8_t level, enum arb_action action,
    uint32_t token)
{
	struct side *n = &g.s.side[index_of(ctx)];

	assert_int_equal(peer, 2 - index_of(ctx));
	assert_true(level < g.small->levels);
	assert_int_equal(n->token, 0);
	/* R13: the loser never fences. */
	assert_false(n->denied);
	/* R5: what froze fires no more, unless a lease came after all. */
	assert_false(n->was_off || (n->frozen && !n->leased));
	n->token = token;
	n->action = action;
	n->hangs = false;
}

static void
op_cancel(void *ctx, uint32_t token)
{
	struct side *n = &g.s.side[index_of(ctx)];

	assert_int_equal(n->token, token);
	n->token = 0;
}

/* Neither may act while the other does, but for what an agent lied about. */
static void
act(unsigned i)
{
	const struct side *other = &g.s.side[1 - i];

	g.s.side[i].acts = true;
	if (other->acts && !other->dead && !g.s.side[i].dead && !g.s.lied)
		fail_msg("%s: both act", g.small->name);
}

static void
op_verdict(void *ctx, uint8_t peer, enum arb_verdict v, uint64_t epoch,
    const char *rule, const char *text)
{
	unsigned i = index_of(ctx);
	struct side *n = &g.s.side[i];

	(void)rule;
	(void)text;
	assert_int_equal(peer, 2 - i);
	assert_int_equal(epoch, EPOCH);
	/* LEASE may be followed by OFF, FROZEN by any other, once. */
	assert_false(n->was_off || n->denied);
	switch (v) {
	case ARB_VERDICT_OFF:
		assert_true(g.s.side[1 - i].off || g.s.lied);
		n->was_off = true;
		act(i);
		break;
	case ARB_VERDICT_LEASE:
		assert_false(n->leased);
		n->leased = true;
		break;
	case ARB_VERDICT_DENIED:
		assert_false(n->leased);
		n->denied = true;
		break;
	case ARB_VERDICT_FROZEN:
		assert_false(n->leased || n->frozen);
		n->frozen = true;
		break;
	case ARB_VERDICT_N:
		fail();
	}
	assert_false(g.s.side[0].leased && g.s.side[1].leased);
}

static void
op_spent(void *ctx, uint64_t epoch)
{
	(void)ctx;
	(void)epoch;
	fail_msg("nobody gave it up");
}

static void
op_working(void *ctx, bool working, uint32_t fence_ms)
{
	(void)ctx;
	(void)working;
	(void)fence_ms;
}

static void
op_reply(void *ctx, uint64_t token, bool ok, const char *text)
{
	(void)ctx;
	(void)token;
	(void)ok;
	(void)text;
	fail_msg("nobody asked");
}

static const struct arb_ops ops = {op_timer, op_note, op_vote, op_fence,
    op_cancel, op_verdict, op_spent, op_working, op_reply};

static void
step(unsigned i, struct arb_event e)
{
	e.now = g.s.now;
	if (!g.s.side[i].dead)
		arb_step(g.core[i], &e);
}

static void
die(unsigned i)
{
	struct side *n = &g.s.side[i];

	n->dead = true;
	n->timer = MT_NEVER;
	/* Its agent dies with it; its questions come to voters all the same. */
	n->token = 0;
	for (unsigned v = 0; v < VOTERS; v++)
		if (n->at[v] == TO_NODE)
			n->at[v] = NONE;
}

static void
fenced(unsigned i, enum arb_result result)
{
	struct arb_event e = {.type = ARB_EV_FENCED};

	e.u.fenced.token = g.s.side[i].token;
	e.u.fenced.result = result;
	g.s.side[i].token = 0;
	step(i, e);
}

/* What an agent may do.  The first of each kind is no fault. */
enum { AGENT_WAYS = 6 };

static bool
agent(unsigned i, unsigned way)
{
	struct side *n = &g.s.side[i], *other = &g.s.side[1 - i];
	bool off = n->action == ARB_DO_OFF;

	if (n->token == 0 || n->hangs || (way > 0 && g.s.faults == 0))
		return false;
	g.s.faults -= way > 0;
	switch (way) {
	case 0: /* as it should */
		if (off) {
			other->off = true;
			die(1 - i);
		}
		fenced(i, off          ? ARB_RES_OK
			  : other->off ? ARB_RES_IS_OFF
				       : ARB_RES_IS_ON);
		return true;
	case 1:
		fenced(i, ARB_RES_FAILED);
		return true;
	case 2: /* it lies */
		g.s.lied |= !off && !other->off;
		fenced(i, off ? ARB_RES_OK : ARB_RES_IS_OFF);
		return true;
	case 3: /* until its deadline */
		n->hangs = true;
		return true;
	case 4: /* it hangs after it has worked */
	case 5: /* it says that it failed, but it worked */
		if (!off)
			break;
		other->off = true;
		die(1 - i);
		if (way == 5)
			fenced(i, ARB_RES_FAILED);
		else
			n->hangs = true;
		return true;
	}
	g.s.faults++;
	return false;
}

static void
vote(unsigned i, unsigned v, enum arb_vote answer)
{
	struct arb_event e = {.type = ARB_EV_VOTE};

	e.u.vote.voter = (uint8_t)v;
	e.u.vote.epoch = EPOCH;
	e.u.vote.vote = answer;
	if (answer == ARB_VOTE_DENIED) {
		e.u.vote.holder = g.s.side[i].holder[v];
		e.u.vote.holder_epoch = EPOCH;
	}
	g.s.side[i].at[v] = NONE;
	step(i, e);
}

/* 0: one step on its way; 1: lost, which the node is told. */
static bool
message(unsigned i, unsigned v, bool lost)
{
	struct side *n = &g.s.side[i];

	if (n->at[v] == NONE || (lost && g.s.faults == 0))
		return false;
	if (n->at[v] == TO_VOTER && g.s.lost[v]) {
		/* Told once; what is asked later is never answered. */
		if (lost || n->told[v])
			return false;
		n->told[v] = true;
		vote(i, v, ARB_VOTE_UNREACHABLE);
	} else if (lost) {
		g.s.faults--;
		vote(i, v, ARB_VOTE_UNREACHABLE);
	} else if (n->at[v] == TO_NODE) {
		vote(i, v, n->answer[v]);
	} else {
		if (g.s.holder[v] == 0)
			g.s.holder[v] = (uint8_t)(i + 1);
		n->holder[v] = g.s.holder[v];
		n->answer[v] =
		    g.s.holder[v] == i + 1 ? ARB_VOTE_GRANTED : ARB_VOTE_DENIED;
		n->at[v] = n->dead ? NONE : TO_NODE;
	}
	return true;
}

static bool
on_its_way(void)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct side *n = &g.s.side[i];

		if ((n->token != 0 && !n->hangs) || (!n->wanted && !n->dead))
			return true;
		for (unsigned v = 0; v < VOTERS; v++)
			if (n->at[v] == TO_NODE ||
			    (n->at[v] == TO_VOTER &&
				!(g.s.lost[v] && n->told[v])))
				return true;
	}
	return false;
}

/* To the next timer.  A fault, if something is on its way. */
static bool
time_passes(void)
{
	monotime_t at = mt_min(g.s.side[0].timer, g.s.side[1].timer);
	bool slow = on_its_way();

	if (at.us == INT64_MAX || (slow && g.s.faults == 0))
		return false;
	g.s.faults -= slow;
	assert_true(mt_before(g.s.now, at));
	g.s.now = at;
	for (unsigned i = 0; i < 2; i++)
		if (!mt_before(at, g.s.side[i].timer))
			step(i, (struct arb_event){.type = ARB_EV_TIMER});
	return true;
}

static bool
want(unsigned i)
{
	struct side *n = &g.s.side[i];
	struct arb_event e = {.type = ARB_EV_WANT};

	if (n->wanted || n->dead)
		return false;
	n->wanted = true;
	e.u.want.peer = (uint8_t)(2 - i);
	e.u.want.epoch = EPOCH;
	e.u.want.active = n->active;
	step(i, e);
	return true;
}

static bool
lose_voter(unsigned v)
{
	if (v >= g.small->voters || g.s.lost[v] || g.s.faults == 0)
		return false;
	g.s.faults--;
	g.s.lost[v] = true;
	return true;
}

/* What can happen on one side; then time, then a voter is lost. */
enum {
	DO_WANT,
	DO_ACT,
	DO_DIE,
	DO_AGENT,
	DO_MESSAGE = DO_AGENT + AGENT_WAYS,
	DO_LOSE = DO_MESSAGE + VOTERS,
	DO_N = DO_LOSE + VOTERS,
	TIME = 2 * DO_N,
	ACTIONS = TIME + 1 + VOTERS
};

/* false: not possible in this state. */
static bool
happens(unsigned action)
{
	unsigned i = action / DO_N, what = action % DO_N;
	struct side *n = &g.s.side[i];

	if (action == TIME)
		return time_passes();
	if (action > TIME)
		return lose_voter(action - TIME - 1);
	if (what >= DO_LOSE)
		return message(i, what - DO_LOSE, true);
	if (what >= DO_MESSAGE)
		return message(i, what - DO_MESSAGE, false);
	if (what >= DO_AGENT)
		return agent(i, what - DO_AGENT);
	if (what == DO_WANT)
		return want(i);
	if (what == DO_ACT) {
		if (!n->leased || n->acts || n->dead)
			return false;
		act(i);
		return true;
	}
	if (n->dead || g.s.faults == 0)
		return false;
	g.s.faults--;
	die(i);
	return true;
}

static void
mix(uint64_t *h, uint64_t v)
{
	*h = (*h ^ v) * 0x9e3779b97f4a7c15ULL;
	*h ^= *h >> 29;
}

/* Times from now on; what was a while ago is over. */
static uint64_t
until(monotime_t at)
{
	return at.us == INT64_MAX ? 1 : (uint64_t)(at.us - g.s.now.us) << 1;
}

static void
mix_core(uint64_t *h, const struct arb *a)
{
	const struct arb_peer *p = &a->peers[0];

	mix(h, (uint64_t)p->state << 32 | (uint64_t)p->level << 16 |
		   (uint64_t)p->action << 8 | (p->token != 0) << 5 |
		   p->leased << 4 | p->off << 3 | p->exhausted << 2 |
		   p->active << 1 | a->voting);
	mix(h, until(p->deadline));
	mix(h, until(p->next_at));
	for (unsigned v = 0; v < a->conf.n_voters; v++) {
		const struct arb_voter *x = &a->voters[v];

		mix(h, (uint64_t)x->retry_ms << 16 | x->holder << 8 |
			   x->asked << 7 | x->answered << 6 |
			   (uint64_t)x->vote);
		mix(h, until(x->ask_at));
	}
}

static uint64_t
digest(void)
{
	uint64_t h = (uint64_t)g.s.faults << 1 | g.s.lied;

	for (unsigned i = 0; i < 2; i++) {
		const struct side *n = &g.s.side[i];

		mix(&h, n->wanted | n->dead << 1 | n->off << 2 | n->acts << 3 |
			    n->leased << 4 | n->was_off << 5 | n->denied << 6 |
			    n->frozen << 7 | (n->token != 0) << 8 |
			    n->hangs << 9);
		for (unsigned v = 0; v < VOTERS; v++)
			mix(&h,
			    (uint64_t)n->at[v] << 16 |
				(n->at[v] == TO_NODE ? n->answer[v] + 1u : 0u)
				    << 8 |
				g.s.holder[v] << 2 | g.s.lost[v] << 1 |
				n->told[v]);
		if (!n->dead)
			mix_core(&h, g.core[i]);
	}
	return h == 0 ? 1 : h;
}

static bool
is_new(uint64_t h)
{
	uint32_t i = (uint32_t)(h >> 20) & (SEEN - 1);

	while (g.seen[i] != 0) {
		if (g.seen[i] == h)
			return false;
		i = (i + 1) & (SEEN - 1);
	}
	assert_true(g.n_seen++ < SEEN / 4 * 3);
	g.seen[i] = h;
	return true;
}

/* Nothing can happen any more but a fault: everybody has an answer. */
static void
at_the_end(void)
{
	bool somebody = false;

	g.leaves++;
	for (unsigned i = 0; i < 2; i++) {
		enum arb_state s = g.core[i]->peers[0].state;

		if (g.s.side[i].dead)
			continue;
		somebody |= s == ARB_WON;
		g.won[i] += s == ARB_WON;
		g.frozen += s == ARB_FROZEN;
		if (s != ARB_WON && s != ARB_LOST && s != ARB_FROZEN)
			fail_msg("%s: %s at the end", g.small->name,
			    arb_state_name(s));
		assert_int_equal(s == ARB_WON, g.s.side[i].acts);
	}
	/* Without any fault somebody acts; but two voters may be split. */
	if (g.s.faults == FAULTS && g.small->voters != 2)
		assert_true(somebody);
	/* R4: nor do they shoot each other. */
	if (g.s.faults == FAULTS && !g.small->both_active)
		assert_false(g.s.side[0].off && g.s.side[1].off);
}

static void
search(unsigned depth)
{
	struct state s = g.s;
	union core core[2];
	bool end = true;

	assert_true(depth < DEPTH_MAX);
	if (depth > g.depth)
		g.depth = depth;
	for (unsigned i = 0; i < 2; i++)
		memcpy(&core[i], g.core[i], sizeof(core[i].bytes));
	for (unsigned a = 0; a < ACTIONS; a++) {
		if (!happens(a))
			continue;
		end &= g.s.faults < s.faults;
		if (is_new(digest()))
			search(depth + 1);
		g.s = s;
		for (unsigned i = 0; i < 2; i++)
			memcpy(g.core[i], &core[i], sizeof(core[i].bytes));
	}
	if (end)
		at_the_end();
}

static void
begin(const struct small *small)
{
	memset(&g, 0, sizeof(g));
	g.small = small;
	g.seen = calloc(SEEN, sizeof(*g.seen));
	assert_non_null(g.seen);
	g.s.now.us = 1000000;
	g.s.faults = FAULTS;
	for (unsigned i = 0; i < 2; i++) {
		struct arb_conf c = {.self = (uint8_t)(i + 1),
		    .n_peers = 1,
		    .n_voters = small->voters,
		    .dead_ms = 100};

		c.peers[0].id = (uint8_t)(2 - i);
		c.peers[0].n_levels = small->levels;
		for (unsigned l = 0; l < small->levels; l++)
			c.peers[0].timeout_ms[l] = 1200;
		g.core[i] = arb_new(&c, &ops, &g.core[i]);
		g.s.side[i].active = i == 0 || small->both_active;
		step(i, (struct arb_event){.type = ARB_EV_START});
	}
}

static void
explore(const struct small *small)
{
	begin(small);
	search(0);
	fprintf(stderr,
	    "# %s: up to %u faults, %u states, %u ends, %u and %u won, %u "
	    "frozen, depth %u\n",
	    small->name, FAULTS, g.n_seen, g.leaves, g.won[0], g.won[1],
	    g.frozen, g.depth);
	assert_true(g.n_seen >= small->states_min);
	assert_true(g.won[0] > 0 && g.won[1] > 0 && g.frozen > 0);
	for (unsigned i = 0; i < 2; i++)
		arb_free(g.core[i]);
	free(g.seen);
}

static void
fence_only(void **state)
{
	static const struct small one = {"fence", 1, 0, false, 600};
	static const struct small two = {"two fence levels", 2, 0, false, 600};
	static const struct small both = {
	    "fence, both active", 1, 0, true, 700};

	(void)state;
	explore(&one);
	explore(&two);
	explore(&both);
}

static void
voters_only(void **state)
{
	static const struct small one = {"one voter", 0, 1, false, 1300};
	static const struct small two = {"two voters", 0, 2, true, 25000};
	static const struct small three = {"three voters", 0, 3, false, 300000};

	(void)state;
	explore(&one);
	explore(&two);
	explore(&three);
}

static void
fence_and_voters(void **state)
{
	static const struct small one = {
	    "fence and one voter", 1, 1, false, 7000};
	static const struct small both = {
	    "fence and one voter, both active", 1, 1, true, 10000};
	static const struct small three = {
	    "fence and three voters", 1, 3, false, 800000};

	(void)state;
	explore(&one);
	explore(&both);
	explore(&three);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fence_only),
	    cmocka_unit_test(voters_only),
	    cmocka_unit_test(fence_and_voters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
