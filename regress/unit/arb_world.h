/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arbitration as transcripts: this node is alpha (1), the silent peer bravo
 * (2), dead is 100 ms, a fence level may take 10 s.  Time is virtual, in
 * milliseconds.  What the core asks for is written down, a line each, with
 * its time; expect() compares all that was asked for since it was called last.
 */
#ifndef ARB_WORLD_H
#define ARB_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arb.h"

enum { ALPHA = 1, BRAVO = 2, CHARLIE = 3, DEAD = 100, LEVEL = 10000 };

static struct world {
	struct arb *arb; /* owned */
	int now;
	monotime_t timer;
	uint32_t token; /* of the agent that was run last */
	char log[8192]; /* since the last expect() */
	char reply[2048];
	char notes[16384];
	uint64_t spent;
} w;

static inline monotime_t
at(int ms)
{
	/* Not zero: zero means never. */
	return (monotime_t){(int64_t)(ms + 1000) * 1000};
}

static inline void PRINTF_LIKE(1, 2) logged(const char *fmt, ...)
{
	size_t used = strlen(w.log);
	va_list ap;

	assert_true(used + 200 < sizeof(w.log));
	used += (size_t)sprintf(w.log + used, "%d ", w.now);
	va_start(ap, fmt);
	vsnprintf(w.log + used, 180, fmt, ap);
	va_end(ap);
	strcat(w.log, "\n");
}

static inline void
op_timer(void *ctx, monotime_t when)
{
	((struct world *)ctx)->timer = when;
}

static inline void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	size_t used = strlen(w.notes);

	(void)ctx;
	if (level == HAD_DEBUG)
		return;
	if (used + 400 > sizeof(w.notes))
		used = 0;
	snprintf(w.notes + used, sizeof(w.notes) - used, "%d %s [%s] %s\n",
	    w.now, object, rule, text);
	if (getenv("VERBOSE") != NULL)
		fputs(w.notes + used, stderr);
}

static inline void
op_vote(void *ctx, uint8_t voter, uint64_t epoch)
{
	(void)ctx;
	logged("vote %u epoch %llu", voter, (unsigned long long)epoch);
}

static inline void
op_fence(void *ctx, uint8_t peer, uint8_t level, enum arb_action action,
    uint32_t token)
{
	static const char *const names[] = {"off", "status", "monitor", "on"};

	(void)ctx;
	assert_true(token != 0 && token != w.token);
	w.token = token;
	if (peer == BRAVO)
		logged("level %u %s", level + 1u, names[action]);
	else
		logged("peer %u level %u %s", peer, level + 1u, names[action]);
}

static inline void
op_cancel(void *ctx, uint32_t token)
{
	(void)ctx;
	assert_int_equal(token, w.token);
	logged("cancel");
}

static inline void
op_verdict(void *ctx, uint8_t peer, enum arb_verdict v, uint64_t epoch,
    const char *rule, const char *text)
{
	(void)ctx;
	assert_true(text[0] != '\0');
	if (peer == BRAVO)
		logged("verdict %s epoch %llu [%s]", arb_verdict_name(v),
		    (unsigned long long)epoch, rule);
	else
		logged("peer %u verdict %s epoch %llu [%s]", peer,
		    arb_verdict_name(v), (unsigned long long)epoch, rule);
}

static inline void
op_spent(void *ctx, uint64_t epoch)
{
	(void)ctx;
	if (epoch != w.spent)
		logged("spent %llu", (unsigned long long)epoch);
	w.spent = epoch;
}

static inline void
op_working(void *ctx, bool working, uint32_t fence_ms)
{
	(void)ctx;
	logged("working %s %u", working ? "yes" : "no", fence_ms);
}

static inline void
op_reply(void *ctx, uint64_t token, bool ok, const char *text)
{
	(void)ctx;
	assert_int_equal(token, 99);
	logged("reply %s", ok ? "ok" : "no");
	snprintf(w.reply, sizeof(w.reply), "%s", text);
}

static const struct arb_ops ops = {op_timer, op_note, op_vote, op_fence,
    op_cancel, op_verdict, op_spent, op_working, op_reply};

static inline void
step(struct arb_event e)
{
	e.now = at(w.now);
	arb_step(w.arb, &e);
	/* A time that has passed already would never come. */
	assert_true(mt_before(e.now, w.timer));
}

static inline void
start_peers(unsigned peers, unsigned levels, unsigned voters)
{
	struct arb_conf c = {.self = ALPHA,
	    .n_peers = (uint8_t)peers,
	    .n_voters = (uint8_t)voters,
	    .dead_ms = DEAD};

	for (unsigned i = 0; i < peers; i++) {
		c.peers[i].id = (uint8_t)(BRAVO + i);
		strcpy(c.peers[i].name, i == 0 ? "bravo" : "charlie");
		c.peers[i].n_levels = (uint8_t)levels;
		for (unsigned l = 0; l < levels; l++) {
			c.peers[i].timeout_ms[l] = LEVEL;
			snprintf(c.peers[i].agent[l], HAD_NAME_MAX, "fence_%c",
			    (char)('a' + l));
		}
	}
	for (unsigned i = 0; i < voters; i++)
		snprintf(c.voters[i], HAD_NAME_MAX,
		    i == 0 ? "witness" : "lock disk %u", i);
	arb_free(w.arb);
	memset(&w, 0, sizeof(w));
	w.timer = MT_NEVER;
	w.arb = arb_new(&c, &ops, &w);
	step((struct arb_event){.type = ARB_EV_START});
}

static inline void
start(unsigned levels, unsigned voters)
{
	start_peers(1, levels, voters);
	w.log[0] = '\0';
}

/* Time passes, and nobody answers anything. */
static inline void
run(int ms)
{
	for (int end = w.now + ms; w.now < end;) {
		w.now++;
		if (!mt_before(at(w.now), w.timer))
			step((struct arb_event){.type = ARB_EV_TIMER});
	}
}

static inline void
want_of(uint8_t peer, uint64_t epoch, bool active, bool verify_only)
{
	struct arb_event e = {.type = ARB_EV_WANT};

	e.u.want.peer = peer;
	e.u.want.epoch = epoch;
	e.u.want.active = active;
	e.u.want.verify_only = verify_only;
	step(e);
}

static inline void
want_active(uint64_t epoch)
{
	want_of(BRAVO, epoch, true, false);
}

static inline void
want_inactive(uint64_t epoch)
{
	want_of(BRAVO, epoch, false, false);
}

static inline void
want_verify(uint64_t epoch)
{
	want_of(BRAVO, epoch, false, true);
}

static inline void
rest(void)
{
	step((struct arb_event){.type = ARB_EV_REST, .u.rest.peer = BRAVO});
}

/* What the agent that runs has to say. */
static inline void
answers_token(uint32_t token, enum arb_result result, const char *text)
{
	struct arb_event e = {.type = ARB_EV_FENCED};

	e.u.fenced.token = token;
	e.u.fenced.result = result;
	e.u.fenced.text = text;
	step(e);
}

static inline void
answers(enum arb_result result)
{
	answers_token(w.token, result, NULL);
}

static inline void
vote_of(uint8_t voter, uint64_t epoch, enum arb_vote vote, uint8_t holder,
    uint64_t holder_epoch)
{
	struct arb_event e = {.type = ARB_EV_VOTE};

	e.u.vote.voter = voter;
	e.u.vote.epoch = epoch;
	e.u.vote.vote = vote;
	e.u.vote.holder = holder;
	e.u.vote.holder_epoch = holder_epoch;
	step(e);
}

static inline void
granted(uint8_t voter, uint64_t epoch)
{
	vote_of(voter, epoch, ARB_VOTE_GRANTED, 0, 0);
}

static inline void
denied(uint8_t voter, uint64_t epoch)
{
	vote_of(voter, epoch, ARB_VOTE_DENIED, BRAVO, epoch);
}

static inline void
unreachable(uint8_t voter, uint64_t epoch)
{
	vote_of(voter, epoch, ARB_VOTE_UNREACHABLE, 0, 0);
}

static inline void
voter(uint8_t id, bool up, uint8_t holder, uint64_t holder_epoch)
{
	struct arb_event e = {.type = ARB_EV_VOTER};

	e.u.voter.voter = id;
	e.u.voter.up = up;
	e.u.voter.holder = holder;
	e.u.voter.holder_epoch = holder_epoch;
	step(e);
}

static inline void
confirm_of(uint8_t peer)
{
	step((struct arb_event){
	    .type = ARB_EV_CONFIRM, .u.confirm = {peer, 99}});
}

static inline void
confirm(void)
{
	confirm_of(BRAVO);
}

static inline void
test_of(uint8_t peer)
{
	step((struct arb_event){.type = ARB_EV_TEST, .u.test = {peer, 99}});
}

static inline void
test(void)
{
	test_of(BRAVO);
}

static inline struct arb_status
status(void)
{
	struct arb_status s;

	arb_status(w.arb, &s);
	return s;
}

static inline void
expect_(const char *text, int line)
{
	if (strcmp(w.log, text) != 0) {
		fprintf(stderr,
		    "line %d: expected\n%s-- but it was\n%s"
		    "-- notes\n%s",
		    line, text, w.log, w.notes);
		fail();
	}
	w.log[0] = '\0';
}
#define expect(text) expect_(text, __LINE__)

static inline void
state_(enum arb_state state, int line)
{
	enum arb_state is = status().peers[0].state;

	if (is == state)
		return;
	fprintf(stderr, "line %d: %s, expected %s\n%s", line,
	    arb_state_name(is), arb_state_name(state), w.notes);
	fail();
}
#define state(s) state_(ARB_##s, __LINE__)

static inline unsigned
count_notes(const char *text)
{
	unsigned n = 0;

	for (const char *p = w.notes; (p = strstr(p, text)) != NULL; p++)
		n++;
	return n;
}

static inline void
noted_(const char *text, int line)
{
	if (count_notes(text) > 0)
		return;
	fprintf(stderr, "line %d: missing '%s' in\n%s", line, text, w.notes);
	fail();
}
#define noted(text) noted_(text, __LINE__)

static inline int
teardown(void **unused)
{
	(void)unused;
	arb_free(w.arb);
	w.arb = NULL;
	return 0;
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

#endif
