/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Voters.  Each grants an epoch to one node, for ever; a majority of those
 * that are configured decides.  Two nodes that ask for the same epoch cannot
 * both have one, because two majorities have a voter in common (R6).
 */
#include "arb_int.h"

static unsigned
majority(const struct arb *a)
{
	return a->conf.n_voters / 2 + 1;
}

static unsigned
count(const struct arb *a, enum arb_vote vote)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->conf.n_voters; i++)
		n += a->voters[i].answered && a->voters[i].vote == vote;
	return n;
}

enum arb_tally
arb_tally(const struct arb *a)
{
	unsigned granted = count(a, ARB_VOTE_GRANTED);
	unsigned denied = count(a, ARB_VOTE_DENIED);
	unsigned none = count(a, ARB_VOTE_UNREACHABLE);

	ASSERT(granted + denied + none <= a->conf.n_voters);
	if (a->conf.n_voters == 0)
		return TALLY_STUCK;
	if (granted >= majority(a))
		return TALLY_WON;
	if (a->conf.n_voters - denied < majority(a)) {
		/* Of an even number each may have half, and nobody more. */
		if (a->conf.n_voters - granted < majority(a))
			return TALLY_STUCK;
		if (denied < majority(a) &&
		    granted + denied + none < a->conf.n_voters)
			return TALLY_OPEN;
		return TALLY_LOST;
	}
	/* So few are left that no answer could change it. */
	if (granted + denied + none == a->conf.n_voters ||
	    a->conf.n_voters - denied - none < majority(a))
		return TALLY_STUCK;
	return TALLY_OPEN;
}

/* A voter refused: another node asked.  May it have a majority by that? */
bool
arb_vote_taken(const struct arb *a)
{
	return count(a, ARB_VOTE_DENIED) > 0 &&
	       a->conf.n_voters - count(a, ARB_VOTE_GRANTED) >= majority(a);
}

/*
 * The highest epoch that voters hold for this node in such a number that no
 * other node can have a majority for it; 0 = none.
 */
static uint64_t
blocked_epoch(const struct arb *a)
{
	unsigned enough = a->conf.n_voters - majority(a) + 1;
	uint64_t best = 0;

	for (unsigned i = 0; i < a->conf.n_voters; i++) {
		uint64_t epoch = a->voters[i].holder_epoch;
		unsigned n = 0;

		if (a->voters[i].holder != a->conf.self || epoch <= best)
			continue;
		for (unsigned j = 0; j < a->conf.n_voters; j++)
			n += a->voters[j].holder == a->conf.self &&
			     a->voters[j].holder_epoch == epoch;
		if (n >= enough)
			best = epoch;
	}
	return best;
}

/* Not what is being asked for: that may yet be used. */
static void
tell_spent(struct arb *a)
{
	uint64_t epoch = blocked_epoch(a);

	if (epoch == 0 || (a->voting && epoch <= a->vote_epoch))
		return;
	a->ops->spent(a->ctx, epoch);
}

/* Puts the question; one that is open already stays. */
void
arb_vote_open(struct arb *a, uint64_t epoch, monotime_t at)
{
	ASSERT(epoch > 0);
	if (a->voting && a->vote_epoch == epoch) {
		for (unsigned i = 0; i < a->conf.n_voters; i++) {
			struct arb_voter *v = &a->voters[i];

			if (!v->asked && !v->answered)
				v->ask_at = mt_min(v->ask_at, at);
		}
		return;
	}
	a->vote_epoch = epoch;
	a->voting = true;
	for (unsigned i = 0; i < a->conf.n_voters; i++) {
		struct arb_voter *v = &a->voters[i];

		v->asked = v->answered = false;
		v->retry_ms = a->conf.dead_ms;
		v->ask_at = at;
	}
}

void
arb_vote_close(struct arb *a)
{
	if (!a->voting)
		return;
	a->voting = false;
	for (unsigned i = 0; i < a->conf.n_voters; i++)
		a->voters[i].ask_at = MT_NEVER;
	tell_spent(a);
}

void
arb_vote_tick(struct arb *a)
{
	for (unsigned i = 0; i < a->conf.n_voters; i++) {
		struct arb_voter *v = &a->voters[i];

		if (!a->voting || mt_before(a->now, v->ask_at))
			continue;
		v->ask_at = MT_NEVER;
		v->asked = true;
		a->ops->vote(a->ctx, (uint8_t)i, a->vote_epoch);
	}
}

monotime_t
arb_vote_deadline(const struct arb *a)
{
	monotime_t at = MT_NEVER;

	for (unsigned i = 0; a->voting && i < a->conf.n_voters; i++)
		at = mt_min(at, a->voters[i].ask_at);
	return at;
}

static void
again(struct arb *a, struct arb_voter *v)
{
	if (!a->voting)
		return;
	v->ask_at = mt_add_ms(a->now, v->retry_ms);
	v->retry_ms *= 2;
	if (v->retry_ms > ARB_RETRY_MAX_MS)
		v->retry_ms = ARB_RETRY_MAX_MS;
}

void
arb_vote_event(struct arb *a, const struct arb_event *e)
{
	struct arb_voter *v;

	if (e->u.vote.voter >= a->conf.n_voters)
		return;
	v = &a->voters[e->u.vote.voter];
	if (e->u.vote.vote == ARB_VOTE_GRANTED &&
	    e->u.vote.epoch >= v->holder_epoch) {
		v->holder = a->conf.self;
		v->holder_epoch = e->u.vote.epoch;
	} else if (e->u.vote.vote == ARB_VOTE_DENIED && e->u.vote.holder != 0 &&
		   e->u.vote.holder_epoch >= v->holder_epoch) {
		v->holder = e->u.vote.holder;
		v->holder_epoch = e->u.vote.holder_epoch;
	}
	/* What was granted or denied is so for ever, whenever it was asked. */
	if (!a->voting || e->u.vote.epoch != a->vote_epoch ||
	    (!v->asked && e->u.vote.vote == ARB_VOTE_UNREACHABLE)) {
		tell_spent(a);
		return;
	}
	v->asked = false;
	v->answered = true;
	v->vote = e->u.vote.vote;
	if (v->vote == ARB_VOTE_UNREACHABLE)
		again(a, v);
	/*
	 * Denied by a lease of this node itself, above the epoch: nobody has
	 * it, and the next question will be put above it.
	 */
	if (v->vote == ARB_VOTE_DENIED && e->u.vote.holder == a->conf.self)
		v->vote = ARB_VOTE_UNREACHABLE;
	tell_spent(a);
}

void
arb_voter_event(struct arb *a, const struct arb_event *e)
{
	struct arb_voter *v;

	if (e->u.voter.voter >= a->conf.n_voters)
		return;
	v = &a->voters[e->u.voter.voter];
	if (e->u.voter.holder != 0 &&
	    e->u.voter.holder_epoch >= v->holder_epoch) {
		v->holder = e->u.voter.holder;
		v->holder_epoch = e->u.voter.holder_epoch;
	}
	if (v->up != e->u.voter.up) {
		v->up = e->u.voter.up;
		arb_say(a, v->up ? HAD_INFO : HAD_WARN, "R6", NULL, "%s %s",
		    a->conf.voters[e->u.voter.voter],
		    v->up ? "answers"
			  : "does not answer; nothing changes by that alone");
		/* It may answer at once what it could not before. */
		if (v->up && a->voting && v->answered &&
		    v->vote == ARB_VOTE_UNREACHABLE) {
			v->ask_at = a->now;
			v->retry_ms = a->conf.dead_ms;
		}
	}
	tell_spent(a);
}

bool
arb_voters_work(const struct arb *a)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->conf.n_voters; i++)
		n += a->voters[i].up;
	return a->conf.n_voters > 0 && n >= majority(a);
}
