/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arbiters of the small world: fence agents, the witness and the lock disks,
 * ping nodes and the watchdog of each node.
 */
#include <string.h>

#include "faults_int.h"

enum { STATUS_US = 300000, VOTE_US = 2000 };

static bool
has_witness(const struct world *w)
{
	return w->conf->witness.addr[0] != '\0';
}

static bool
voter_works(const struct host *h, unsigned voter)
{
	const struct world *w = h->w;

	if (has_witness(w) && voter == 0)
		return !w->witness_lost && net_outside(h);
	return !w->disk_lost[voter - has_witness(w)];
}

static struct ev *
arbiter_mail(struct host *h, int64_t us, enum arb_ev type)
{
	struct ev *e = world_mail(h, us, ND_EV_ARB);

	e->mail->u.arb.type = type;
	return e;
}

static void
tell_voter(struct host *h, unsigned voter, bool up)
{
	struct ev *e = arbiter_mail(h, 0, ARB_EV_VOTER);

	h->voters_up &= (uint8_t) ~(1u << voter);
	h->voters_up |= (uint8_t)(up << voter);
	e->mail->u.arb.u.voter.voter = (uint8_t)voter;
	e->mail->u.arb.u.voter.up = up;
	if (up) {
		e->mail->u.arb.u.voter.holder = h->w->voters[voter].holder;
		e->mail->u.arb.u.voter.holder_epoch = h->w->voters[voter].epoch;
	}
}

/* The question has arrived: the rule of every voter. */
static void
ev_vote(struct world *w, struct ev *e)
{
	struct host *h = e->h;
	unsigned voter = (unsigned)e->a;
	struct ev *m;

	if (!voter_works(h, voter)) {
		m = arbiter_mail(h, w->conf->t.dead_ms * MS, ARB_EV_VOTE);
		m->mail->u.arb.u.vote.vote = ARB_VOTE_UNREACHABLE;
	} else {
		if (e->b > w->voters[voter].epoch) {
			w->voters[voter].epoch = e->b;
			w->voters[voter].holder = h->id;
		}
		m = arbiter_mail(h, VOTE_US, ARB_EV_VOTE);
		m->mail->u.arb.u.vote.vote =
		    e->b == w->voters[voter].epoch &&
			    w->voters[voter].holder == h->id
			? ARB_VOTE_GRANTED
			: ARB_VOTE_DENIED;
		m->mail->u.arb.u.vote.holder = w->voters[voter].holder;
		m->mail->u.arb.u.vote.holder_epoch = w->voters[voter].epoch;
	}
	m->mail->u.arb.u.vote.voter = (uint8_t)voter;
	m->mail->u.arb.u.vote.epoch = e->b;
}

void
arbiter_vote(struct host *h, uint8_t voter, uint64_t epoch)
{
	struct ev *e = world_at(h->w, VOTE_US, ev_vote, h);

	ASSERT(voter < conf_n_voters(h->w->conf));
	e->a = voter;
	e->b = epoch;
}

static struct agent *
agent_of(struct host *h, uint32_t token)
{
	for (unsigned i = 0; i < NITEMS(h->agents); i++)
		if (h->agents[i].token == token)
			return &h->agents[i];
	return NULL;
}

static void
fenced(struct host *h, uint32_t token, enum arb_result result)
{
	struct ev *e = arbiter_mail(h, MS, ARB_EV_FENCED);

	e->mail->u.arb.u.fenced.token = token;
	e->mail->u.arb.u.fenced.result = result;
	e->mail->u.arb.u.fenced.text = "";
}

/* A device that does not answer lets its agent hang until the deadline. */
static void
ev_agent(struct world *w, struct ev *e)
{
	struct host *h = e->h, *target = host_other(h);
	struct agent *a = agent_of(h, (uint32_t)e->a);
	enum arb_result result = ARB_RES_OK;
	uint32_t token = (uint32_t)e->a;

	if (a == NULL || w->fence_lost[target->idx][a->level] ||
	    !net_outside(h))
		return;
	if (a->action == ARB_DO_OFF) {
		target->outlet_off = true;
		host_kill(target, true);
	} else if (a->action == ARB_DO_STATUS) {
		result = target->outlet_off ? ARB_RES_IS_OFF : ARB_RES_IS_ON;
	}
	memset(a, 0, sizeof(*a));
	fenced(h, token, result);
}

void
arbiter_fence(struct host *h, uint8_t node, uint8_t level,
    enum arb_action action, uint32_t token)
{
	struct agent *a = agent_of(h, 0);

	ASSERT(a != NULL && node == host_other(h)->id);
	a->token = token;
	a->level = level;
	a->action = action;
	world_at(h->w, action == ARB_DO_OFF ? FAULTS_FENCE_MS * MS : STATUS_US,
	    ev_agent, h)
	    ->a = token;
}

void
arbiter_cancel(struct host *h, uint32_t token)
{
	struct agent *a = agent_of(h, token);

	if (a == NULL)
		return;
	memset(a, 0, sizeof(*a));
	fenced(h, token, ARB_RES_TIMEOUT);
}

static bool
pings_answer(const struct host *h)
{
	return !h->w->pings_lost && net_outside(h);
}

static void
tell_pings(struct host *h, bool answer)
{
	struct ev *e = world_mail(h, 0, ND_EV_PINGS);

	h->pings_told = answer;
	if (answer)
		e->mail->u.pings.answered = (1u << h->w->conf->n_pings) - 1;
}

void
arbiter_start(struct host *h)
{
	for (unsigned v = 0; v < conf_n_voters(h->w->conf); v++) {
		tell_voter(h, v, true);
		h->voter_since[v] = NEVER;
	}
	h->pings_since = NEVER;
	if (h->w->conf->n_pings > 0)
		tell_pings(h, true);
	h->fed_at = h->w->now;
	if (h->w->conf->watchdog[0] != '\0')
		world_mail(h, 0, ND_EV_WATCHDOG)->mail->u.watchdog.armed = true;
}

/* A daemon that was killed does not disarm its watchdog either. */
static void
watchdog(struct host *h)
{
	const struct conf *c = h->w->conf;
	int64_t now = h->w->now;

	if (c->watchdog[0] == '\0')
		return;
	if (host_up(h) && nd_may_feed(h->nd, (monotime_t){now}))
		h->fed_at = now;
	else if (now - h->fed_at >= (int64_t)c->watchdog_timeout_ms * MS)
		host_kill(h, true);
}

/* Has it been different from what was told for so long? */
static bool
differs(bool is, int64_t *since, int64_t now, int64_t us)
{
	if (!is)
		*since = NEVER;
	else if (*since == NEVER)
		*since = now;
	return is && now - *since >= us;
}

void
arbiter_tick(struct host *h)
{
	const struct conf *c = h->w->conf;
	int64_t now = h->w->now;

	watchdog(h);
	if (!host_up(h))
		return;
	for (unsigned v = 0; v < conf_n_voters(c); v++) {
		bool up = voter_works(h, v);

		if (differs(up != (h->voters_up >> v & 1), &h->voter_since[v],
			now, c->t.dead_ms * MS))
			tell_voter(h, v, up);
	}
	if (c->n_pings > 0 && differs(pings_answer(h) != h->pings_told,
				  &h->pings_since, now, c->t.lease_ms * MS))
		tell_pings(h, pings_answer(h));
}
