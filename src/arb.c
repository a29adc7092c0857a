/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arbitration: the entry point and the table of one peer's states.
 * arb_fence.c runs agents, arb_vote.c asks voters; with both configured they
 * work side by side, and either is enough (R3).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arb_int.h"

const char *
arb_ev_name(enum arb_ev e)
{
	static const char *const names[] = {
#define X(sym, name) name,
	    ARB_EV_LIST(X)
#undef X
	};
	ASSERT((unsigned)e < NITEMS(names));
	return names[e];
}

const char *
arb_state_name(enum arb_state s)
{
	static const char *const names[] = {
#define X(sym, name) name,
	    ARB_STATE_LIST(X)
#undef X
	};
	ASSERT((unsigned)s < NITEMS(names));
	return names[s];
}

const char *
arb_verdict_name(enum arb_verdict v)
{
	static const char *const names[] = {
#define X(sym, name) name,
	    ARB_VERDICT_LIST(X)
#undef X
	};
	ASSERT((unsigned)v < NITEMS(names));
	return names[v];
}

struct arb *
arb_new(const struct arb_conf *conf, const struct arb_ops *ops, void *ctx)
{
	struct arb *a = calloc(1, sizeof(*a));

	ASSERT(conf->n_voters <= HAD_VOTERS_MAX);
	ASSERT(conf->n_peers < HAD_NODES_MAX && conf->dead_ms > 0);
	if (a == NULL)
		return NULL;
	a->conf = *conf;
	a->ops = ops;
	a->ctx = ctx;
	for (unsigned i = 0; i < conf->n_peers; i++) {
		struct arb_peer *p = &a->peers[i];

		ASSERT(conf->peers[i].n_levels <= HAD_FENCES_MAX);
		p->id = conf->peers[i].id;
		memcpy(p->name, conf->peers[i].name, sizeof(p->name));
		p->n_levels = conf->peers[i].n_levels;
		memcpy(p->timeout_ms, conf->peers[i].timeout_ms,
		    sizeof(p->timeout_ms));
		memcpy(p->agent, conf->peers[i].agent, sizeof(p->agent));
		p->deadline = p->next_at = MT_NEVER;
	}
	for (unsigned i = 0; i < conf->n_voters; i++)
		a->voters[i].ask_at = MT_NEVER;
	return a;
}

void
arb_free(struct arb *a)
{
	free(a);
}

void
arb_say(struct arb *a, enum had_level level, const char *rule,
    const struct arb_peer *p, const char *fmt, ...)
{
	char text[240];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	a->ops->note(
	    a->ctx, level, rule, p != NULL ? p->name : "arbiters", text);
}

/* The only place where a state changes. */
void
arb_set(
    struct arb *a, struct arb_peer *p, enum arb_state state, const char *why)
{
	if (p->state == state)
		return;
	arb_say(a, HAD_INFO, "R3", p, "arbitration: %s -> %s: %s",
	    arb_state_name(p->state), arb_state_name(state), why);
	p->state = state;
	p->since = a->now;
}

void
arb_verdict(struct arb *a, struct arb_peer *p, enum arb_verdict v,
    const char *rule, const char *text)
{
	ASSERT(p->epoch != 0);
	arb_say(a,
	    v == ARB_VERDICT_OFF || v == ARB_VERDICT_LEASE ? HAD_WARN : HAD_ERR,
	    rule, p, "verdict %s: %s", arb_verdict_name(v), text);
	a->ops->verdict(a->ctx, p->id, v, p->epoch, rule, text);
}

static void
do_nothing(struct arb *a, struct arb_peer *p, const struct arb_event *e)
{
	(void)a;
	(void)p;
	(void)e;
}

/* The node that holds data asks first, so the lease stays with it (R6). */
static void
ask_voters(struct arb *a, struct arb_peer *p)
{
	if (a->conf.n_voters > 0)
		arb_vote_open(a, p->epoch,
		    p->active ? a->now : mt_add_ms(a->now, a->conf.dead_ms));
}

static void
do_want(struct arb *a, struct arb_peer *p, const struct arb_event *e)
{
	ASSERT(e->u.want.epoch > 0);
	arb_test_end(a, p, "given up: the agents are needed");
	p->epoch = e->u.want.epoch;
	p->active = e->u.want.active;
	p->waits = e->u.want.last;
	p->verify = e->u.want.verify_only;
	p->leased = p->off = p->exhausted = false;
	p->level = 0;
	p->verify_ms = ARB_VERIFY_MS;
	p->last[0] = '\0';
	if (p->verify) {
		if (p->n_levels == 0)
			return;
		arb_set(a, p, ARB_VERIFY, "is it off?");
		arb_fence_verify(a, p);
		return;
	}
	ask_voters(a, p);
	if (p->n_levels == 0) {
		arb_set(a, p, ARB_ASK, "the voters are asked");
	} else {
		p->next_at = arb_fence_delay(a, p);
		arb_set(a, p, ARB_WAIT,
		    mt_before(a->now, p->next_at)
			? "the other one may fire first (R4)"
			: "this node fires at once (R4)");
	}
	/* They may have answered already, about another peer. */
	arb_input(a, p, ARB_IN_VOTES, e);
}

static void
do_rest(struct arb *a, struct arb_peer *p, const struct arb_event *e)
{
	bool wanted = false;

	(void)e;
	arb_fence_stop(a, p);
	arb_set(a, p, ARB_IDLE, "nobody needs to know any more");
	p->epoch = 0;
	p->leased = false;
	for (unsigned i = 0; i < a->conf.n_peers; i++)
		wanted |= a->peers[i].state != ARB_IDLE && !a->peers[i].verify;
	if (!wanted)
		arb_vote_close(a);
}

/*
 * Another epoch, or this node holds data by now.  A lease of the epoch before
 * is not what is asked for; but what is off stays off, and one that was
 * refused does not try again by asking for more (R13).
 */
static void
do_want_more(struct arb *a, struct arb_peer *p, const struct arb_event *e)
{
	if (e->u.want.verify_only != p->verify) {
		do_rest(a, p, e);
		do_want(a, p, e);
		return;
	}
	p->active = e->u.want.active;
	p->waits = e->u.want.last;
	if (p->epoch != e->u.want.epoch) {
		p->epoch = e->u.want.epoch;
		p->leased = false;
		if (p->state == ARB_WON && !p->off)
			arb_set(a, p, ARB_ASK, "another epoch is wanted");
	}
	if (p->verify)
		return;
	ask_voters(a, p);
	if (p->state == ARB_WAIT)
		p->next_at = mt_min(p->next_at, arb_fence_delay(a, p));
}

/*
 * R13: one voter refused, most do not answer: the peer may have the lease, and
 * act.  To switch it off then would be to lose what it did.
 */
static void
hold_fire(struct arb *a, struct arb_peer *p)
{
	if (p->leased || p->state == ARB_ASK || p->state == ARB_FROZEN ||
	    !arb_vote_taken(a))
		return;
	arb_fence_stop(a, p);
	arb_say(a, HAD_WARN, "R13", p,
	    "a voter refused the lease: no fence without it");
	arb_set(a, p, ARB_ASK, "no fence without the lease");
}

static void
do_votes(struct arb *a, struct arb_peer *p, const struct arb_event *e)
{
	(void)e;
	/* The question is another's, who asked for more. */
	if (a->voting && a->vote_epoch != p->epoch)
		return;
	switch (arb_tally(a)) {
	case TALLY_OPEN:
		hold_fire(a, p);
		return;
	case TALLY_STUCK:
		hold_fire(a, p);
		if (p->state != ARB_ASK)
			return;
		arb_set(a, p, ARB_FROZEN, "the voters cannot decide");
		arb_verdict(
		    a, p, ARB_VERDICT_FROZEN, "R5", "the voters cannot decide");
		return;
	case TALLY_LOST:
		arb_fence_stop(a, p);
		arb_set(a, p, ARB_LOST, "the lease is another's");
		arb_verdict(a, p, ARB_VERDICT_DENIED, "R13",
		    "the lease is another's: this node never fences");
		return;
	case TALLY_WON:
		break;
	}
	if (p->leased)
		return;
	p->leased = true;
	arb_verdict(a, p, ARB_VERDICT_LEASE, "R6", "a majority of the voters");
	if (p->state == ARB_OFF || p->state == ARB_CHECK)
		return;
	if (p->n_levels == 0 || p->exhausted) {
		arb_set(a, p, ARB_WON, "the lease is granted");
		return;
	}
	p->next_at = a->now;
	arb_set(a, p, ARB_WAIT, "this node fires at once (R4)");
}

static void
do_confirm(struct arb *a, struct arb_peer *p, const struct arb_event *e)
{
	arb_fence_stop(a, p);
	p->off = true;
	arb_set(a, p, ARB_WON, "the operator confirmed");
	arb_verdict(a, p, ARB_VERDICT_OFF, "R5",
	    "the operator confirmed that it is off");
	a->ops->reply(a->ctx, e->u.confirm.token, true, "confirmed");
}

static void
no_confirm(struct arb *a, struct arb_peer *p, const struct arb_event *e)
{
	a->ops->reply(a->ctx, e->u.confirm.token, false,
	    p->state == ARB_IDLE  ? "nothing is undecided about it"
	    : p->state == ARB_WON ? "it is decided already"
				  : "the peer has the lease: it acts");
}

static void
no_test(struct arb *a, struct arb_peer *p, const struct arb_event *e)
{
	(void)p;
	a->ops->reply(a->ctx, e->u.test.token, false,
	    "not now: the agents are being used in earnest");
}

static void
test_tick(struct arb *a, struct arb_peer *p, const struct arb_event *e)
{
	struct arb_event late = {.type = ARB_EV_FENCED, .now = a->now};

	(void)e;
	if (!p->testing || mt_before(a->now, p->deadline))
		return;
	arb_fence_stop(a, p);
	late.u.fenced.result = ARB_RES_TIMEOUT;
	arb_test_done(a, p, &late);
}

/*
 * Every state answers every input; next is what the action may leave behind.
 * Columns: IDLE, VERIFY, WAIT, OFF, CHECK, ASK, WON, LOST, FROZEN.
 */
struct cell {
	void (*act)(struct arb *, struct arb_peer *, const struct arb_event *);
	uint16_t next;
};
#define S(x) (1u << ARB_##x)
#define FIRED (S(OFF) | S(CHECK) | S(ASK) | S(WON) | S(FROZEN))
#define AGAIN (S(IDLE) | S(VERIFY) | S(WAIT) | S(ASK) | S(FROZEN))
#define COUNTED (S(WON) | S(LOST) | S(FROZEN))

/* clang-format off */
static const struct cell table[ARB_IN_N][ARB_STATE_N] = {
	[ARB_IN_TICK] = {
		{test_tick, S(IDLE)},
		{arb_fence_tick, S(VERIFY)},
		{arb_fence_tick, S(WAIT) | S(OFF)},
		{arb_fence_tick, FIRED},
		{arb_fence_tick, FIRED},
		{do_nothing, S(ASK)},
		{do_nothing, S(WON)},
		{do_nothing, S(LOST)},
		{do_nothing, S(FROZEN)},
	},
	[ARB_IN_WANT] = {
		{do_want, AGAIN | COUNTED},
		{do_want_more, AGAIN | COUNTED},
		{do_want_more, AGAIN},
		{do_want_more, S(OFF) | AGAIN},
		{do_want_more, S(CHECK) | AGAIN},
		{do_want_more, AGAIN},
		{do_want_more, S(WON) | AGAIN},
		{do_want_more, S(LOST) | AGAIN},
		{do_want_more, AGAIN},
	},
	[ARB_IN_REST] = {
		{do_nothing, S(IDLE)},
		{do_rest, S(IDLE)},
		{do_rest, S(IDLE)},
		{do_rest, S(IDLE)},
		{do_rest, S(IDLE)},
		{do_rest, S(IDLE)},
		{do_rest, S(IDLE)},
		{do_rest, S(IDLE)},
		{do_rest, S(IDLE)},
	},
	[ARB_IN_VOTES] = {
		{do_nothing, S(IDLE)},
		{do_nothing, S(VERIFY)},
		{do_votes, S(WAIT) | S(ASK) | COUNTED},
		{do_votes, S(OFF) | S(ASK) | COUNTED},
		{do_votes, S(CHECK) | S(ASK) | COUNTED},
		{do_votes, S(WAIT) | S(ASK) | COUNTED},
		{do_nothing, S(WON)},
		{do_nothing, S(LOST)},
		{do_votes, S(WAIT) | COUNTED},
	},
	[ARB_IN_FENCED] = {
		{arb_test_done, S(IDLE)},
		{arb_fence_done, S(VERIFY) | S(WON)},
		{do_nothing, S(WAIT)},
		{arb_fence_done, FIRED},
		{arb_fence_done, FIRED},
		{do_nothing, S(ASK)},
		{do_nothing, S(WON)},
		{do_nothing, S(LOST)},
		{do_nothing, S(FROZEN)},
	},
	[ARB_IN_CONFIRM] = {
		{no_confirm, S(IDLE)},
		{do_confirm, S(WON)},
		{do_confirm, S(WON)},
		{do_confirm, S(WON)},
		{do_confirm, S(WON)},
		{do_confirm, S(WON)},
		{no_confirm, S(WON)},
		{no_confirm, S(LOST)},
		{do_confirm, S(WON)},
	},
	[ARB_IN_TEST] = {
		{arb_test, S(IDLE)},
		{no_test, S(VERIFY)},
		{no_test, S(WAIT)},
		{no_test, S(OFF)},
		{no_test, S(CHECK)},
		{no_test, S(ASK)},
		{no_test, S(WON)},
		{no_test, S(LOST)},
		{no_test, S(FROZEN)},
	},
};
/* clang-format on */

void
arb_input(struct arb *a, struct arb_peer *p, enum arb_in in,
    const struct arb_event *e)
{
	const struct cell *cell = &table[in][p->state];

	if (a->ops->cell != NULL)
		a->ops->cell(a->ctx, in, p->state);
	cell->act(a, p, e);
	ASSERT((cell->next >> p->state & 1) != 0);
}

static struct arb_peer *
find(struct arb *a, uint8_t id)
{
	for (unsigned i = 0; i < a->conf.n_peers; i++)
		if (a->peers[i].id == id)
			return &a->peers[i];
	return NULL;
}

static void
all(struct arb *a, enum arb_in in, const struct arb_event *e)
{
	for (unsigned i = 0; i < a->conf.n_peers; i++)
		arb_input(a, &a->peers[i], in, e);
}

static void
fenced(struct arb *a, const struct arb_event *e)
{
	for (unsigned i = 0; i < a->conf.n_peers; i++)
		if (e->u.fenced.token != 0 &&
		    a->peers[i].token == e->u.fenced.token)
			arb_input(a, &a->peers[i], ARB_IN_FENCED, e);
}

/* An operator's request about one peer. */
static void
request(struct arb *a, uint8_t peer, uint64_t token, enum arb_in in,
    const struct arb_event *e)
{
	struct arb_peer *p = find(a, peer);

	if (p == NULL)
		a->ops->reply(a->ctx, token, false, "there is no such peer");
	else
		arb_input(a, p, in, e);
}

static void
dispatch(struct arb *a, const struct arb_event *e)
{
	struct arb_peer *p;

	switch (e->type) {
	case ARB_EV_START:
		a->started = true;
		break;
	case ARB_EV_TIMER:
		break;
	case ARB_EV_WANT:
		if ((p = find(a, e->u.want.peer)) != NULL)
			arb_input(a, p, ARB_IN_WANT, e);
		break;
	case ARB_EV_REST:
		if ((p = find(a, e->u.rest.peer)) != NULL)
			arb_input(a, p, ARB_IN_REST, e);
		break;
	case ARB_EV_VOTE:
		arb_vote_event(a, e);
		if (a->voting)
			all(a, ARB_IN_VOTES, e);
		break;
	case ARB_EV_VOTER:
		arb_voter_event(a, e);
		break;
	case ARB_EV_FENCED:
		fenced(a, e);
		break;
	case ARB_EV_CONFIRM:
		request(a, e->u.confirm.peer, e->u.confirm.token,
		    ARB_IN_CONFIRM, e);
		break;
	case ARB_EV_TEST:
		request(a, e->u.test.peer, e->u.test.token, ARB_IN_TEST, e);
		break;
	case ARB_EV_N:
		ASSERT(false);
	}
}

/* A peer without an agent needs the voters; an agent that failed is none. */
static bool
works(const struct arb *a, uint32_t *fence_ms)
{
	bool agents = a->conf.n_peers > 0;

	*fence_ms = 0;
	for (unsigned i = 0; i < a->conf.n_peers; i++) {
		const struct arb_peer *p = &a->peers[i];

		agents &= p->n_levels > 0 && !p->exhausted &&
			  (p->tested.us == 0 || p->test_ok);
		if (p->fence_ms > *fence_ms)
			*fence_ms = p->fence_ms;
	}
	return agents || arb_voters_work(a);
}

static void
tell_working(struct arb *a, bool first)
{
	uint32_t fence_ms;
	bool working = works(a, &fence_ms);

	if (!first && working == a->working && fence_ms == a->told_fence_ms)
		return;
	a->working = working;
	a->told_fence_ms = fence_ms;
	a->ops->working(a->ctx, working, fence_ms);
}

static monotime_t
next_deadline(const struct arb *a)
{
	monotime_t at = arb_vote_deadline(a);

	for (unsigned i = 0; i < a->conf.n_peers; i++) {
		const struct arb_peer *p = &a->peers[i];

		at = mt_min(at, mt_min(p->next_at, p->deadline));
	}
	return at;
}

void
arb_step(struct arb *a, const struct arb_event *e)
{
	ASSERT(!a->stepping);
	ASSERT((unsigned)e->type < ARB_EV_N);
	ASSERT(a->started == (e->type != ARB_EV_START));
	ASSERT(!mt_before(e->now, a->now));
	a->stepping = true;
	a->now = e->now;
	dispatch(a, e);
	/* What is due now, be it that a delay is none. */
	arb_vote_tick(a);
	all(a, ARB_IN_TICK, e);
	tell_working(a, e->type == ARB_EV_START);
	a->ops->timer(a->ctx, next_deadline(a));
	a->stepping = false;
}

void
arb_status(const struct arb *a, struct arb_status *s)
{
	memset(s, 0, sizeof(*s));
	s->n_peers = a->conf.n_peers;
	s->n_voters = a->conf.n_voters;
	s->working = a->working;
	for (unsigned i = 0; i < a->conf.n_voters; i++) {
		s->voters_up |= (uint8_t)(a->voters[i].up << i);
		s->voters[i].holder = a->voters[i].holder;
		s->voters[i].holder_epoch = a->voters[i].holder_epoch;
	}
	for (unsigned i = 0; i < a->conf.n_peers; i++) {
		const struct arb_peer *p = &a->peers[i];

		s->peers[i].id = p->id;
		s->peers[i].state = p->state;
		s->peers[i].level = p->level;
		s->peers[i].n_levels = p->n_levels;
		s->peers[i].since = p->since;
		s->peers[i].tested = p->tested;
		s->peers[i].test_ok = p->test_ok;
		s->peers[i].fence_ms = p->fence_ms;
		memcpy(s->peers[i].last, p->last, sizeof(p->last));
	}
}
