/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What decides about a silent peer, and what else tells who is cut off:
 * voters (the witness, lock disks), fence agents that really switch the
 * machine off, watchdogs, ping nodes, ARP answers, adverts.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum {
	TICK_US = 10000,
	PROBE_US = 1000000,
	TRIES_US = 10000000,
	TELLS_US = 5000000, /* in so long a voter that works has answered */
};

bool
voter_reaches(const struct world *w, const struct host *h, unsigned voter)
{
	const struct voter *v = &w->voter[voter];

	/* The witness is reached by the LAN. */
	return h->powered && !h->frozen && !v->box->down && !v->cut[h->idx] &&
	       (!v->witness || h->carrier[LAN]);
}

bool
voter_well(const struct world *w, const struct host *h, unsigned voter)
{
	const struct box *b = w->voter[voter].box;

	return voter_reaches(w, h, voter) && !b->read_only &&
	       b->lost_permille == 0 && b->slow_us == 0;
}

bool
voters_work(const struct world *w, const struct host *h)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->n_voters; i++)
		n += voter_well(w, h, i);
	return n > w->n_voters / 2;
}

bool
arb_works(const struct world *w, const struct host *h)
{
	unsigned o = 1 - h->idx;

	if (voters_work(w, h))
		return true;
	for (unsigned l = 0; l < LEVELS && (w->with & W_FENCE); l++)
		if (!w->agent[o][l].cut[h->idx] &&
		    (w->agent[o][l].how == AG_GOOD ||
			w->agent[o][l].how == AG_LATE))
			return true;
	return false;
}

/* I8: what is tried again, and again, is counted. */
static void
count(struct host *h, unsigned *n, unsigned limit, const char *what)
{
	struct world *w = h->w;

	monotime_t heard = status(h)->member.peers[0].heard;

	/* Of one silence: the peer was heard, and a new one is another cause.
	 */
	if (w->sim->now - h->tries.since > TRIES_US ||
	    heard.us != h->tries.heard.us) {
		memset(&h->tries, 0, sizeof(h->tries));
		h->tries.since = w->sim->now;
		h->tries.heard = heard;
	}
	if (++*n > limit)
		violation(w, "I8", "%s: %u times %s within %d s", h->name, *n,
		    what, TRIES_US / 1000000);
}

/* --- voters --- */

static struct mail *
arb_mail(struct host *h, enum arb_ev type)
{
	struct mail *m = mail_new(h, ND_EV_ARB, FROM_ARB);

	m->e.u.arb.type = type;
	return m;
}

/* To its daemon, which waits for one answer to its last question. */
static void
answered(struct host *h, unsigned voter, enum arb_vote vote, uint8_t holder,
    uint64_t holder_epoch)
{
	struct world *w = h->w;
	struct voter *v = &w->voter[voter];
	struct mail *m = arb_mail(h, ARB_EV_VOTE);
	static const char *const names[] = {
	    "grants", "denies", "does not answer about"};

	/* What it names was asked for by a node of this very cluster. */
	if (vote == ARB_VOTE_DENIED && (holder < 1 || holder > w->n_hosts ||
					   v->asked[holder - 1] < holder_epoch))
		violation(w, "R6", "voter %u: nobody asked for epoch %llu",
		    voter, (unsigned long long)holder_epoch);
	/* An answer may be late: a higher epoch is another's since. */
	if (vote == ARB_VOTE_GRANTED && h->ask[voter].epoch <= v->epoch &&
	    v->holder != h->id && v->had[h->idx] != h->ask[voter].epoch)
		violation(w, "R6", "voter %u: epoch %llu is not %s's", voter,
		    (unsigned long long)h->ask[voter].epoch, h->name);

	h->ask[voter].open = false;
	m->e.u.arb.u.vote.voter = (uint8_t)voter;
	m->e.u.arb.u.vote.epoch = h->ask[voter].epoch;
	m->e.u.arb.u.vote.vote = vote;
	if (vote == ARB_VOTE_DENIED) {
		m->e.u.arb.u.vote.holder = holder;
		m->e.u.arb.u.vote.holder_epoch = holder_epoch;
	}
	detail(h->w, "%s voter %u %s epoch %llu (held by %u, %llu)", h->name,
	    voter, names[vote], (unsigned long long)h->ask[voter].epoch, holder,
	    (unsigned long long)holder_epoch);
	deliver(h, m);
}

static bool
waits(const struct host *h, const struct ev *e)
{
	return h->gen == e->gen && h->running && h->ask[e->a].open &&
	       h->ask[e->a].serial == e->b;
}

/* An answer is on its way. */
struct answer {
	enum arb_vote vote;
	uint8_t holder;
	uint64_t holder_epoch;
};

/* a = voter, b = serial of the question */
static void
ev_answer(struct world *w, struct ev *e)
{
	const struct answer *a = e->data;
	struct host *h = e->h;

	if (!waits(h, e) || !voter_reaches(w, h, (unsigned)e->a) ||
	    chance(w, w->voter[e->a].box->lost_permille))
		return;
	answered(h, (unsigned)e->a, a->vote, a->holder, a->holder_epoch);
}

void
arb_answer(struct host *h, unsigned voter, uint64_t epoch, enum arb_vote vote,
    uint8_t holder, uint64_t holder_epoch)
{
	struct world *w = h->w;
	struct answer *a;
	struct ev *e;

	if (epoch != h->ask[voter].epoch)
		return; /* to an older question */
	if (vote == ARB_VOTE_GRANTED)
		w->leases++;
	e = at(w,
	    w->sim->now + rnd_in(w, MS, 10 * MS) +
		rnd_in(w, 0, w->voter[voter].box->slow_us),
	    ev_answer, h, h->gen);
	e->a = voter;
	e->b = h->ask[voter].serial;
	e->data = a = malloc(sizeof(*a));
	if (a == NULL)
		exit(2);
	*a = (struct answer){vote, holder, holder_epoch};
}

/*
 * The rule of a lock disk: the block is durable before the answer goes, and
 * stays, whoever hears of it.
 */
static void
disk_ask(struct host *h, unsigned voter, uint64_t epoch)
{
	struct world *w = h->w;
	struct voter *v = &w->voter[voter];
	enum arb_vote vote = ARB_VOTE_DENIED;

	if (epoch > v->epoch && v->box->read_only) {
		vote = ARB_VOTE_UNREACHABLE;
	} else if (epoch > v->epoch) {
		v->epoch = v->had[h->idx] = epoch;
		v->holder = h->id;
		say(w, "voter %u: epoch %llu is %s's", voter,
		    (unsigned long long)epoch, h->name);
	}
	if (epoch == v->epoch && v->holder == h->id)
		vote = ARB_VOTE_GRANTED;
	arb_answer(h, voter, epoch, vote, v->holder, v->epoch);
}

/* The question is there. */
static void
ev_question(struct world *w, struct ev *e)
{
	struct host *h = e->h;
	struct voter *v = &w->voter[e->a];
	uint64_t epoch = h->ask[e->a].epoch;

	if (h->gen != e->gen || h->ask[e->a].serial != e->b ||
	    !voter_reaches(w, h, (unsigned)e->a))
		return;
	if (epoch > v->asked[h->idx])
		v->asked[h->idx] = epoch;
	if (v->witness)
		witness_ask(h, (unsigned)e->a, epoch);
	else
		disk_ask(h, (unsigned)e->a, epoch);
}

static void
ev_no_answer(struct world *w, struct ev *e)
{
	if (held(w, e) || !waits(e->h, e))
		return;
	answered(e->h, (unsigned)e->a, ARB_VOTE_UNREACHABLE, 0, 0);
}

void
arb_vote(struct host *h, uint8_t voter, uint64_t epoch)
{
	struct world *w = h->w;
	struct ev *e;
	uint32_t serial = ++h->ask[voter].serial;

	ASSERT(voter < w->n_voters && epoch > 0);
	/* Voters that come back are asked at once, each time. */
	count(h, &h->tries.votes[voter], 16, "a voter was asked");
	mix(w, epoch << 8 | voter);
	detail(w, "%s asks voter %u for epoch %llu", h->name, voter,
	    (unsigned long long)epoch);
	h->ask[voter].epoch = epoch;
	h->ask[voter].open = true;
	e = at(w,
	    w->sim->now + rnd_in(w, 300, 5 * MS) +
		rnd_in(w, 0, w->voter[voter].box->slow_us),
	    ev_question, h, h->gen);
	e->a = voter;
	e->b = serial;
	e = at(
	    w, w->sim->now + w->conf->t.dead_ms * MS, ev_no_answer, h, h->gen);
	e->a = voter;
	e->b = serial;
}

/* The witness is pinged, a lock disk read once a second. */
static void
watch_voter(struct host *h, unsigned i)
{
	struct world *w = h->w;
	const struct voter *v = &w->voter[i];
	bool up = voter_reaches(w, h, i);
	int64_t wait = !v->witness ? PROBE_US
		       : up        ? 100 * MS
				   : w->conf->t.dead_ms * MS;
	struct mail *m;

	if (up == h->ask[i].up) {
		h->ask[i].since = w->sim->now;
		return;
	}
	if (w->sim->now - h->ask[i].since < wait)
		return;
	h->ask[i].up = up;
	m = arb_mail(h, ARB_EV_VOTER);
	m->e.u.arb.u.voter.voter = (uint8_t)i;
	m->e.u.arb.u.voter.up = up;
	if (!v->witness && up) {
		m->e.u.arb.u.voter.holder = v->holder;
		m->e.u.arb.u.voter.holder_epoch = v->epoch;
	}
	deliver(h, m);
}

/* --- fence agents --- */

/* b = boot: it may have been switched on by somebody else. */
static void
ev_boot(struct world *w, struct ev *e)
{
	(void)w;
	if (!e->h->powered && e->h->boot == e->b)
		host_power_on(e->h);
}

static void
off(struct host *h, int64_t boots_in)
{
	struct world *w = h->w;

	host_power_off(h);
	h->resets++;
	if (!w->stays_off)
		at(w, w->sim->now + boots_in, ev_boot, h, 0)->b = h->boot;
}

void
machine_reset(struct host *h, const char *why)
{
	struct world *w = h->w;

	say(w, "%s is reset: %s", h->name, why);
	watch_moved(h, "is reset");
	off(h, rnd_in(w, SEC, 3 * SEC));
}

/* Does h hold what the other, had it a majority of the voters, does not? */
static bool
is_loser(struct world *w, struct host *h)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->n_voters; i++)
		n += w->voter[i].holder == other(h)->id &&
		     w->voter[i].epoch > nd_epoch(h->nd);
	return w->n_voters > 0 && n > w->n_voters / 2;
}

/* The board switches its machine off; who told it is known. */
static void
fenced(struct world *w, struct host *by, struct host *victim)
{
	bool knows = status(by)->arb.peers[0].state == ARB_LOST;

	say(w, "%s: %s switches it off", victim->name, by->name);
	w->fenced++;
	if (knows) {
		violation(w, "I5", "%s lost the vote, and fences %s", by->name,
		    victim->name);
		return;
	}
	/*
	 * It waited (R4), and nobody was there to tell it that the victim has
	 * the lease and acts: no link, no voter, and an agent of the victim's
	 * that did not do its work.
	 */
	if (is_loser(w, by) && victim->running &&
	    nd_epoch(victim->nd) > nd_epoch(by->nd)) {
		if (by->voters_at != NEVER &&
		    w->sim->now - by->voters_at > TELLS_US)
			violation(w, "I5", "%s could have known, and fences %s",
			    by->name, victim->name);
		say(w, "%s has lost the vote and does not know", by->name);
		w->lied = true;
		w->lies++;
	}
	off(victim, rnd_in(w, 3 * SEC, 8 * SEC));
}

static void
ev_late_off(struct world *w, struct ev *e)
{
	struct host *victim = e->h;

	if (victim->powered && victim->boot == e->b) {
		say(w, "%s is switched off at last", victim->name);
		w->fenced++;
		off(victim, rnd_in(w, 3 * SEC, 8 * SEC));
	}
}

static enum arb_result
query(struct world *w, enum agent_how how, const struct host *victim)
{
	switch (how) {
	case AG_MUTE:
	case AG_FAIL:
		return ARB_RES_FAILED;
	case AG_LIAR:
		if (victim->powered) {
			w->lied = true;
			w->lies++;
		}
		return ARB_RES_IS_OFF;
	default:
		return victim->powered ? ARB_RES_IS_ON : ARB_RES_IS_OFF;
	}
}

static enum arb_result
switch_off(
    struct world *w, enum agent_how how, struct host *by, struct host *victim)
{
	switch (how) {
	case AG_FAIL:
		return ARB_RES_FAILED;
	case AG_LATE:
		if (victim->powered)
			at(w, w->sim->now + rnd_in(w, 100 * MS, 2 * SEC),
			    ev_late_off, victim, 0)
			    ->b = victim->boot;
		return ARB_RES_OK;
	case AG_BOASTS:
	case AG_LIAR:
		return ARB_RES_OK;
	default:
		if (victim->powered)
			fenced(w, by, victim);
		return ARB_RES_OK;
	}
}

/* a = place in agents, b = token */
static void
ev_agent(struct world *w, struct ev *e)
{
	struct host *h = e->h, *victim = other(h);
	enum arb_action action = h->agents[e->a].action;
	const struct agent *ag = &w->agent[victim->idx][h->agents[e->a].level];
	enum agent_how how = ag->cut[h->idx] ? AG_FAIL : ag->how;
	enum arb_result res = ARB_RES_OK;
	struct mail *m;

	if (held(w, e) || h->gen != e->gen || !h->running ||
	    !h->agents[e->a].used || h->agents[e->a].token != e->b)
		return;
	if (how == AG_HANG)
		return; /* until it is cancelled */
	if (action == ARB_DO_STATUS)
		res = query(w, how, victim);
	else if (action == ARB_DO_OFF)
		res = switch_off(w, how, h, victim);
	else if (how == AG_FAIL)
		res = ARB_RES_FAILED;
	if (w->sim->failed || !h->running)
		return;
	h->agents[e->a].used = false;
	m = arb_mail(h, ARB_EV_FENCED);
	m->e.u.arb.u.fenced.token = (uint32_t)e->b;
	m->e.u.arb.u.fenced.result = res;
	snprintf(m->text, sizeof(m->text), "%s",
	    res == ARB_RES_FAILED ? "no route to the board" : "");
	deliver(h, m);
}

void
arb_fence(struct host *h, uint8_t node, uint8_t level, enum arb_action action,
    uint32_t token)
{
	struct world *w = h->w;
	unsigned i = 0;
	struct ev *e;

	ASSERT(node == other(h)->id && level < LEVELS);
	while (i < AGENT_JOBS && h->agents[i].used)
		i++;
	ASSERT(i < AGENT_JOBS);
	mix(w, (uint64_t)token << 16 | (uint64_t)level << 8 | action);
	detail(w, "%s agent of level %u: %s", h->name, level,
	    action == ARB_DO_OFF ? "off" : "a question");
	if (action == ARB_DO_OFF)
		count(h, &h->tries.offs[level], 5, "an agent was to fence");
	else
		count(h, &h->tries.queries[level], 30, "an agent was asked");
	if (action == ARB_DO_OFF && status(h)->arb.peers[0].state == ARB_LOST)
		violation(w, "I5", "%s lost the vote, and fires", h->name);
	if (action == ARB_DO_OFF)
		watch_moved(h, "fences");
	h->agents[i].used = true;
	h->agents[i].token = token;
	h->agents[i].level = level;
	h->agents[i].action = action;
	e = at(w,
	    w->sim->now + (action == ARB_DO_OFF ? rnd_in(w, 50 * MS, 1200 * MS)
						: rnd_in(w, 5 * MS, 100 * MS)),
	    ev_agent, h, h->gen);
	e->a = i;
	e->b = token;
}

static void
ev_agent_killed(struct world *w, struct ev *e)
{
	struct host *h = e->h;
	struct mail *m;

	if (held(w, e) || h->gen != e->gen || !h->running)
		return;
	m = arb_mail(h, ARB_EV_FENCED);
	m->e.u.arb.u.fenced.token = (uint32_t)e->b;
	m->e.u.arb.u.fenced.result = ARB_RES_TIMEOUT;
	deliver(h, m);
}

/* Killed at once; the daemon hears of it later. */
void
arb_fence_cancel(struct host *h, uint32_t token)
{
	struct world *w = h->w;

	for (unsigned i = 0; i < AGENT_JOBS; i++) {
		if (!h->agents[i].used || h->agents[i].token != token)
			continue;
		h->agents[i].used = false;
		at(w, w->sim->now + rnd_in(w, MS, 20 * MS), ev_agent_killed, h,
		    h->gen)
		    ->b = token;
	}
}

/* --- the watchdog --- */

static void
ev_self_fence(struct world *w, struct ev *e)
{
	(void)w;
	if (e->h->powered && e->h->boot == e->b)
		machine_reset(e->h, "by itself");
}

void
arb_self_fence(struct host *h, const char *why)
{
	struct world *w = h->w;

	say(w, "%s fences itself: %s", h->name, why);
	watch_moved(h, "fences itself");
	if (w->conf->self_fence == CONF_SELF_FENCE_OFF)
		violation(w, "R12", "%s: it was told not to", h->name);
	else if (w->conf->self_fence == CONF_SELF_FENCE_WATCHDOG)
		h->starving = true;
	else
		at(w, w->sim->now + 1, ev_self_fence, h, 0)->b = h->boot;
}

static void
feed(struct host *h)
{
	monotime_t now = {local_of(h, h->w->sim->now)};

	if (h->watchdog && !h->starving && nd_may_feed(h->nd, now))
		h->fed_at = h->w->sim->now;
}

/* --- who is cut off --- */

/* The peer's kernel is asked for while its daemon is silent. */
static void
probe(struct host *h)
{
	struct world *w = h->w;

	if (nd_verdict(h->nd, other(h)->id) != MB_PEER_SILENT)
		return;
	for (unsigned l = 0; l < LINKS; l++) {
		struct mail *m;

		if (!link_works(w, l) ||
		    chance(w, w->link[l].dir[0].loss_permille) ||
		    chance(w, w->link[l].dir[1].loss_permille))
			continue;
		m = mail_new(h, ND_EV_KERNEL_ALIVE, FROM_ARB);
		m->e.u.assoc.link = (uint8_t)l;
		deliver_in(h, m, 500);
	}
}

static void
watch_pings(struct host *h)
{
	struct world *w = h->w;
	bool up = h->carrier[LAN] && !h->ping_cut;
	struct mail *m;

	if (h->ping_told && up == h->pings_up) {
		h->ping_since = w->sim->now;
		return;
	}
	if (w->sim->now - h->ping_since <
	    (up ? w->conf->t.heartbeat_ms : w->conf->t.lease_ms) * MS)
		return;
	h->ping_told = true;
	h->pings_up = up;
	m = mail_new(h, ND_EV_PINGS, FROM_PING);
	m->e.u.pings.answered = up ? 3 : 0;
	deliver(h, m);
}

static void
advertise(struct host *from)
{
	struct host *h = other(from);

	if (h->running && from->running && !from->paused &&
	    dir_works(from->w, LAN, from->idx))
		deliver_in(h, mail_new(h, ND_EV_ADVERT, FROM_PING), 300);
}

/* Each heartbeat, by its own clock, as the daemon's loop does. */
static void
ev_beat(struct world *w, struct ev *e)
{
	struct host *h = e->h;

	if (h->gen != e->gen || !h->running)
		return;
	if (!h->paused) {
		feed(h);
		probe(h);
		if (w->with & W_ADVERTS)
			advertise(h);
	}
	at(w, w->sim->now + w->conf->t.heartbeat_ms * MS, ev_beat, h, h->gen);
}

static void
ev_tick(struct world *w, struct ev *e)
{
	(void)e;
	at(w, w->sim->now + TICK_US, ev_tick, NULL, 0);
	for (unsigned k = 0; k < w->n_hosts; k++) {
		struct host *h = &w->host[k];

		if (!h->powered || h->frozen)
			continue;
		if (h->watchdog && w->sim->now - h->fed_at >
				       w->conf->watchdog_timeout_ms * MS) {
			machine_reset(h, "its watchdog was not fed");
			continue;
		}
		if (!voters_work(w, h))
			h->voters_at = NEVER;
		else if (h->voters_at == NEVER)
			h->voters_at = w->sim->now;
		if (!h->running || h->paused)
			continue;
		for (unsigned i = 0; i < w->n_voters; i++)
			watch_voter(h, i);
		if (w->with & W_PINGS)
			watch_pings(h);
	}
}

/* --- the life of a daemon --- */

void
arb_started(struct host *h)
{
	struct world *w = h->w;
	struct mail *m;

	for (unsigned i = 0; i < VOTERS; i++) {
		h->ask[i].open = h->ask[i].up = false;
		h->ask[i].since = w->sim->now;
	}
	memset(h->agents, 0, sizeof(h->agents));
	h->voters_at = NEVER;
	h->ping_told = false;
	h->ping_since = w->sim->now;
	h->starving = h->clean = false;
	if (w->with & W_DOMAIN) {
		m = mail_new(h, ND_EV_DOMAIN, FROM_ARB);
		m->e.u.domain.link = LAN;
		m->e.u.domain.other = 0;
		deliver_in(h, m, 10);
	}
	if (w->with & W_WATCHDOG) {
		h->watchdog = true;
		h->fed_at = w->sim->now;
		m = mail_new(h, ND_EV_WATCHDOG, FROM_ARB);
		m->e.u.watchdog.armed = true;
		deliver_in(h, m, 20);
	}
	at(w, w->sim->now + MS, ev_beat, h, h->gen);
}

/* A watchdog that nobody disarmed goes on: who starts in time feeds it. */
void
arb_gone(struct host *h)
{
	if (!h->powered || (h->clean && !h->starving))
		h->watchdog = false;
	for (unsigned i = 0; i < h->w->n_voters && h->powered; i++)
		if (h->w->voter[i].witness)
			witness_gone(h, i);
	memset(h->agents, 0, sizeof(h->agents));
}

void
arb_init(struct world *w)
{
	unsigned disks =
	    (w->with & W_DISKS ? 2u : 0) + (w->with & W_DISK ? 1u : 0);

	w->n_voters = (w->with & W_WITNESS ? 1u : 0) + disks;
	ASSERT(w->n_voters <= VOTERS);
	for (unsigned i = 0; i < w->n_voters; i++) {
		struct voter *v = &w->voter[i];

		v->w = w;
		v->witness = i == 0 && (w->with & W_WITNESS);
		v->box = v->witness ? &w->sim->witness : &v->own;
	}
	at(w, w->sim->now, ev_tick, NULL, 0);
}

void
arb_heal(struct world *w)
{
	for (unsigned i = 0; i < w->n_voters; i++) {
		struct voter *v = &w->voter[i];

		memset(v->cut, 0, sizeof(v->cut));
		*v->box = (struct box){.boot = v->box->boot};
	}
	memset(w->agent, 0, sizeof(w->agent));
	for (unsigned i = 0; i < w->n_hosts; i++)
		w->host[i].ping_cut = false;
}
