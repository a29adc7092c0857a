/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How nodes agree, doubt and yield.
 *
 *	INERT + INERT	the sole survivor of before, or the lower id, raises the
 *			higher epoch, durably, and pairs; the other one follows
 *	ALONE + INERT	the one that acts clears SOLO, durably, and pairs
 *			first; only then may the other pair.  So a crash in
 *			between never leaves two nodes that may start alone
 *	PAIRED + ALONE	at one epoch: the first had agreed to what the other one
 *			never heard of, and yields
 *	ALONE + ALONE	the lower (epoch, then the higher id) yields
 *	DOUBT		asks with a challenge, so that nothing that was
 *			queued during the pause can be taken for the answer
 */
#include <string.h>

#include "member_int.h"

static uint64_t
next_random(struct mb *m)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	ASSERT(m->random != 0);
	return m->random;
}

static void
seed_done(struct mb *m, bool ok, const char *text)
{
	if (!m->seeding)
		return;
	m->seeding = false;
	m->ops->reply(m->ctx, m->seed_token, ok, text);
}

/* Starts from what is durable; serials are never used twice. */
static void
want_again(struct mb *m)
{
	uint64_t serial = m->want.serial;

	ASSERT(serial >= m->record.serial);
	m->want = m->record;
	m->want.serial = serial;
}

/*
 * R8: whoever acts alone raises the epoch first and makes that durable.  p is
 * NULL if there is no peer at all.
 */
void
mb_pair_alone(struct mb *m, struct peer *p, enum mb_peer verdict,
    const char *rule, bool own_right)
{
	ASSERT(m->self != MB_ALONE);
	m->goal_peer = p;
	m->goal_verdict = verdict;
	m->goal_rule = rule;
	m->goal_right = own_right;
	m->challenge = 0;
	want_again(m);
	m->want.epoch = m->epoch + 1;
	/*
	 * The lease's epoch; or one that no voter has granted: the peer may
	 * have had it before it was switched off.
	 */
	if (p != NULL && p->asked > m->epoch)
		m->want.epoch = p->asked + (m->conf.voters && !p->leased);
	/* The peer may have had higher ones: tokens have to be above those. */
	if (m->seeding)
		m->want.seeds++;
	/* The last one alive is not the last one with the data. */
	m->alone_behind = !own_right && m->data_behind;
	m->alone_blind = m->self == MB_INERT;
	m->want.solo = !m->alone_behind;
	if (m->alone_behind)
		mb_say(m, HAD_WARN, "R1",
		    "act alone, but not with the newest data: after a restart "
		    "the peer is waited for");
	mb_persist(m, GOAL_ALONE);
}

/*
 * R1: the sole survivor at the highest epoch starts again.  At a new epoch:
 * what its daemon before did is over, and must not be mistaken for what comes
 * (fencing tokens).
 */
static void
alone_again(struct mb *m, const char *why)
{
	struct peer *p = &m->peers[0];

	ASSERT(m->self == MB_INERT && m->record.solo);
	mb_say(m, HAD_INFO, "R1",
	    "act alone: sole survivor at epoch %llu, and %s %s",
	    (unsigned long long)m->epoch, p->name, why);
	mb_pair_alone(m, p, MB_PEER_GONE, "R1", true);
}

static bool
is_listening(const struct mb *m)
{
	return m->n_peers > 0 && m->self == MB_INERT && m->record.solo &&
	       m->goal == GOAL_NONE;
}

/* R8: somebody acted without this node.  It gives up everything first. */
static void
demote(struct mb *m, struct peer *p, uint64_t epoch, const char *why)
{
	uint64_t highest = epoch;

	ASSERT(m->self != MB_STOPPING);
	if (m->record.epoch > highest)
		highest = m->record.epoch;
	if (m->writing && m->want.epoch > highest)
		highest = m->want.epoch;
	mb_say(m, HAD_ERR, "R8",
	    "%s %s: this node at epoch %llu gives up "
	    "everything",
	    p->name, why, (unsigned long long)m->epoch);
	seed_done(m, false, "the peer is alive and has acted");
	m->goal = GOAL_NONE;
	m->challenge = 0;
	p->view_known = false;
	if (m->self != MB_INERT)
		mb_set_self(m, MB_INERT, "R8");
	mb_set_peer(m, p, MB_PEER_UNKNOWN, false, "R8");
	want_again(m);
	m->want.epoch = highest;
	m->want.solo = false;
	mb_persist(m, GOAL_DEMOTE);
}

/*
 * Neither acts.  SOLO is gone from the disk before the other may act: should
 * it act and die, nobody starts again at an older epoch, with older tokens.
 */
static bool
is_first(const struct mb *m, const struct peer *p)
{
	if (m->view_solo != p->view.solo)
		return m->view_solo;
	return m->conf.self < p->id;
}

/*
 * Heartbeats come from it, and it hears those of this node, on whatever link.
 * Where only ctl finds its way, a pair would break again at once.
 */
static bool
beats_pass(const struct mb *m, const struct peer *p)
{
	return p->beat.us != 0 && mb_ago_ms(m, p->beat) < m->conf.dead_ms &&
	       !p->unheard;
}

/*
 * The side that acts pairs first; the other only with one that has.  Its word
 * has to answer this node's present view: what was on its way while this node
 * stood still says nothing about now.
 */
static bool
would_pair(const struct mb *m, const struct peer *p)
{
	if (!mb_peer_fresh(m, p) || !p->view_known || !p->told)
		return false;
	if (m->self != MB_INERT && m->self != MB_ALONE)
		return false;
	if (p->view.state == MB_INERT)
		return m->self == MB_ALONE || is_first(m, p);
	return m->self == MB_INERT && p->view.state == MB_PAIRED &&
	       p->view.paired;
}

static bool
can_pair(const struct mb *m, const struct peer *p)
{
	return would_pair(m, p) && beats_pass(m, p);
}

/* What it said last may be over by the time that heartbeats pass: ask. */
void
mb_pair_beat(struct mb *m, struct peer *p)
{
	if (!p->pair_waits || !beats_pass(m, p))
		return;
	p->pair_waits = false;
	mb_view_changed(m);
}

static void
try_pair(struct mb *m, struct peer *p)
{
	if (m->goal != GOAL_NONE || !would_pair(m, p))
		return;
	p->pair_waits = !beats_pass(m, p);
	if (p->pair_waits)
		return;
	if (m->self == MB_ALONE && p->view.epoch > m->epoch)
		mb_say(m, HAD_WARN, "R8",
		    "%s knows epoch %llu but does not act: adopted", p->name,
		    (unsigned long long)p->view.epoch);
	m->goal_peer = p;
	want_again(m);
	if (p->view.epoch > m->want.epoch)
		m->want.epoch = p->view.epoch;
	if (p->view.seeds > m->want.seeds)
		m->want.seeds = p->view.seeds;
	/* Both may have acted at that one: tokens have to be above it. */
	if (m->self == MB_ALONE && m->alone_blind && p->view.epoch >= m->epoch)
		m->want.epoch = p->view.epoch + 1;
	/*
	 * Neither acts: what the daemons before them did at that epoch is
	 * over, and must not be mistaken for what comes (fencing tokens).
	 */
	if (m->self == MB_INERT && p->view.state == MB_INERT) {
		if (p->view.spent > m->spent)
			m->spent = p->view.spent;
		if (m->spent > m->want.epoch)
			m->want.epoch = m->spent;
		m->want.epoch++;
	}
	m->want.solo = false;
	if (!m->writing && m->want.epoch == m->record.epoch &&
	    m->want.seeds == m->record.seeds && !m->record.solo) {
		m->goal = GOAL_PAIR;
		mb_pair_done(m);
	} else {
		mb_persist(m, GOAL_PAIR);
	}
}

/* Pairing came to nothing: whoever acts alone says so on disk. */
static void
restore_solo(struct mb *m)
{
	if (m->self != MB_ALONE || m->goal != GOAL_NONE || m->record.solo ||
	    m->alone_behind)
		return;
	want_again(m);
	m->want.solo = true;
	mb_persist(m, GOAL_RESTORE);
}

static void
done_pair(struct mb *m, struct peer *p)
{
	if (m->self != MB_INERT && m->self != MB_ALONE)
		return;
	if (can_pair(m, p)) {
		mb_say(m, HAD_INFO, "R1", "%s is seen, agreed on epoch %llu",
		    p->name, (unsigned long long)m->epoch);
		/* R7: what it did not hear before that counts no more. */
		p->deaf = (monotime_t){0};
		mb_set_peer(m, p, MB_PEER_ALIVE, false, "R1");
		mb_set_self(m, MB_PAIRED, "R1");
		return;
	}
	restore_solo(m);
}

static void
done_alone(struct mb *m, struct peer *p)
{
	/* The disk took so long, or failed: it asks no more whether it may. */
	if (m->self == MB_INERT && p != NULL && !m->seeding &&
	    mb_peer_fresh(m, p)) {
		mb_say(m, HAD_WARN, "R1",
		    "%s is heard after all: this node waits for a pair",
		    p->name);
		mb_view_changed(m);
		return;
	}
	if (p != NULL)
		mb_set_peer(m, p, m->goal_verdict, false, m->goal_rule);
	if (m->self == MB_STOPPING) {
		mb_view_changed(m);
		return;
	}
	m->own_right = m->goal_right;
	mb_set_self(m, MB_ALONE, m->goal_rule);
	seed_done(m, true, "this node acts alone");
}

/* What was decided is durable. */
void
mb_pair_done(struct mb *m)
{
	enum mb_goal goal = m->goal;
	struct peer *p = m->goal_peer;
	bool raised = m->record.epoch != m->epoch;

	ASSERT(!m->writing);
	m->goal = GOAL_NONE;
	m->goal_peer = NULL;
	if (raised) {
		ASSERT(m->record.epoch > m->epoch);
		m->epoch = m->record.epoch;
		m->ops->epoch(m->ctx, m->epoch);
		if (goal != GOAL_ALONE && goal != GOAL_PAIR)
			mb_view_changed(m);
	}
	switch (goal) {
	case GOAL_ALONE:
		done_alone(m, p);
		break;
	case GOAL_PAIR:
		done_pair(m, p);
		break;
	case GOAL_DEMOTE:
		for (unsigned i = 0; i < m->n_peers; i++)
			try_pair(m, &m->peers[i]);
		break;
	case GOAL_STOP:
		m->ops->done(m->ctx);
		break;
	case GOAL_NONE:
	case GOAL_RESTORE:
		break;
	}
	/* Whatever came of it, what is still asked is of an older one. */
	if (raised && goal != GOAL_STOP)
		mb_arb_epoch(m);
	/*
	 * Pairing came to nothing: who is first may be another one now, and the
	 * peer's word of before has been used up.  It answers a new view.
	 */
	if (m->goal == GOAL_NONE &&
	    ((m->self == MB_INERT &&
		 (goal == GOAL_PAIR || m->record.solo != m->view_solo)) ||
		(m->self == MB_ALONE &&
		    (goal == GOAL_PAIR || goal == GOAL_RESTORE))))
		mb_view_changed(m);
}

/*
 * The disk has failed, and meanwhile the peer's same daemon is heard again.
 * What may have reached the disk in part is written anew.
 */
bool
mb_pair_dropped(struct mb *m)
{
	struct peer *p = m->goal_peer;

	if (m->goal != GOAL_ALONE || p == NULL ||
	    (m->self != MB_PAIRED && m->self != MB_STOPPING) || m->seeding ||
	    p->aborted || p->incarnation != p->paired || !mb_peer_fresh(m, p))
		return false;
	mb_say(m, HAD_WARN, "R8",
	    "%s is heard again: to act alone at epoch %llu, which could not "
	    "be written, is given up",
	    p->name, (unsigned long long)m->want.epoch);
	m->goal = GOAL_NONE;
	m->goal_peer = NULL;
	want_again(m);
	m->want.solo = false;
	mb_persist(m, GOAL_RESTORE);
	return true;
}

/*
 * The goodbye will say that this node has not acted, and so must its record:
 * the peer goes on because of it.
 */
void
mb_pair_undecide(struct mb *m)
{
	if (m->goal != GOAL_ALONE)
		return;
	seed_done(m, false, "this node is stopped");
	m->goal = GOAL_NONE;
	m->goal_peer = NULL;
	want_again(m);
}

static void
open_challenge(struct mb *m)
{
	m->challenge = next_random(m);
	m->ask_at = mt_add_ms(m->now, 2 * m->conf.heartbeat_ms);
}

void
mb_pair_doubt(struct mb *m, enum mb_self from, const char *rule)
{
	ASSERT(from == MB_PAIRED || from == MB_ALONE);
	m->doubt_from = from;
	m->doubt_at = m->now;
	open_challenge(m);
	/* The new view carries the challenge. */
	mb_set_self(m, MB_DOUBT, rule);
}

/* ISOLATED, and a carrier is back. */
void
mb_pair_ask(struct mb *m)
{
	ASSERT(m->self == MB_ISOLATED);
	m->doubt_at = m->now;
	open_challenge(m);
	for (unsigned i = 0; i < m->n_peers; i++)
		if (m->peers[i].incarnation != 0)
			mb_tell(m, &m->peers[i], 0);
}

static bool
from_pair(const struct mb *m)
{
	return m->self == MB_PAIRED || m->self == MB_ISOLATED ||
	       (m->self == MB_DOUBT && m->doubt_from == MB_PAIRED);
}

/* The peer answered after the pause and has not acted: go on as before. */
static void
resolve(struct mb *m, struct peer *p)
{
	const char *rule = m->self == MB_ISOLATED ? "R9" : "R8";

	ASSERT(m->self == MB_DOUBT || m->self == MB_ISOLATED);
	m->challenge = 0;
	mb_say(m, HAD_INFO, rule, "%s answers and has not acted meanwhile",
	    p->name);
	if (!from_pair(m)) {
		mb_set_self(m, MB_ALONE, rule);
		try_pair(m, p);
		restore_solo(m);
		return;
	}
	mb_set_self(m, MB_PAIRED, rule);
	if (p->incarnation == p->paired) {
		mb_set_peer(m, p, MB_PEER_ALIVE, false, rule);
		return;
	}
	mb_say(m, HAD_WARN, "R8", "%s is gone: its daemon restarted", p->name);
	mb_peer_decide(m, p, MB_PEER_GONE, "R8");
}

/* Both acted alone: the lower (epoch, then the higher id) yields. */
static bool
has_precedence(const struct mb *m, const struct peer *p, uint64_t epoch)
{
	return epoch > m->epoch || (epoch == m->epoch && p->id < m->conf.self);
}

static void
conflict(struct mb *m, struct peer *p, const struct mb_msg *v)
{
	if (has_precedence(m, p, v->epoch)) {
		demote(
		    m, p, v->epoch, "acted alone as well and has precedence");
		return;
	}
	mb_say(m, HAD_ERR, "R8",
	    "%s acted alone as well, at epoch %llu: it must yield to epoch "
	    "%llu",
	    p->name, (unsigned long long)v->epoch,
	    (unsigned long long)m->epoch);
}

/* It has heard that this node acts as well, and is in doubt because of it. */
static bool
is_yielding(const struct mb *m, const struct peer *p, const struct mb_msg *v)
{
	return m->self == MB_ALONE && v->state == MB_DOUBT &&
	       v->epoch == m->epoch && !has_precedence(m, p, v->epoch);
}

/* An epoch above ours was seen on p's heartbeats or messages. */
void
mb_pair_newer(struct mb *m, struct peer *p, uint64_t epoch)
{
	if (epoch <= m->epoch || m->self == MB_STOPPING)
		return;
	if (from_pair(m) || (m->self == MB_INERT && m->goal == GOAL_ALONE)) {
		demote(m, p, epoch, "has raised the epoch without us");
		return;
	}
	/* A node that does not act may know a higher epoch: that is fine. */
	if (m->self != MB_ALONE || m->goal == GOAL_PAIR ||
	    (p->view_known && p->view.state == MB_INERT))
		return;
	mb_say(m, HAD_WARN, "R8",
	    "%s is at epoch %llu: vouch for nothing until it says why", p->name,
	    (unsigned long long)epoch);
	mb_pair_doubt(m, MB_ALONE, "R8");
}

/*
 * A heartbeat of a peer that acts, and so does this node: all links were cut
 * at once, and are joined again.  Who has to yield is what conflict() will
 * say; until that word has come, that one vouches for nothing.
 */
void
mb_pair_rival(struct mb *m, struct peer *p, uint64_t epoch, bool acts)
{
	bool was = p->rival;

	p->rival = false;
	if (!acts || m->self != MB_ALONE || m->goal == GOAL_PAIR ||
	    epoch < m->epoch ||
	    (p->view_known &&
		(p->view.state == MB_INERT || p->view.state == MB_STOPPING)))
		return;
	if (has_precedence(m, p, epoch)) {
		mb_say(m, HAD_WARN, "R8",
		    "%s acts as well, at epoch %llu: vouch for nothing until "
		    "it says why",
		    p->name, (unsigned long long)epoch);
		mb_pair_doubt(m, MB_ALONE, "R8");
		return;
	}
	p->rival = true;
	if (!was)
		mb_say(m, HAD_ERR, "R8",
		    "%s acts as well, at epoch %llu: it must yield", p->name,
		    (unsigned long long)epoch);
}

void
mb_pair_view(struct mb *m, struct peer *p, const struct mb_msg *v)
{
	bool is_new = !p->view_known || v->serial != p->view.serial;
	uint32_t serial = m->view_serial;

	ASSERT(v->incarnation == p->incarnation);
	p->view = *v;
	p->view_known = true;
	p->solo = v->solo;
	if (v->spent > m->spent)
		m->spent = v->spent;
	p->told = v->seen == m->incarnation && v->seen_serial == serial;
	mb_peer_heard(m, p, v->incarnation);
	if ((m->self == MB_ALONE || m->self == MB_DOUBT) && !from_pair(m) &&
	    (v->state == MB_ALONE || is_yielding(m, p, v)))
		conflict(m, p, v);
	else if (from_pair(m) && v->state == MB_ALONE && v->epoch == m->epoch)
		demote(m, p, v->epoch,
		    "acts at the epoch of a pair that it "
		    "never heard of");
	else
		mb_pair_newer(m, p, v->epoch);
	if ((m->self == MB_DOUBT || m->self == MB_ISOLATED) &&
	    m->challenge != 0 && v->answer == m->challenge &&
	    v->state != MB_ALONE) {
		/* What it answers was asked after that. */
		p->unheard = false;
		if (mt_before(p->reached, m->doubt_at))
			p->reached = m->doubt_at;
		mb_peer_heard(m, p, p->incarnation);
		resolve(m, p);
	}
	try_pair(m, p);
	/*
	 * Whoever is answered goes on because of it: it is not silent.  That
	 * it hears this node it does not say: the question may have been on
	 * its way for long, and its sender have gone on meanwhile.
	 */
	if (v->challenge != 0 && m->goal != GOAL_ALONE &&
	    (m->self == MB_PAIRED || m->self == MB_STOPPING)) {
		p->unheard = false;
		p->answered = m->now;
		mb_peer_heard(m, p, p->incarnation);
	}
	/*
	 * Every new view is confirmed once; a challenge is answered always.
	 * One that is repeated has not been confirmed, for all that its sender
	 * knows: but what answers a word of just now is no repetition.
	 */
	if (v->challenge != 0 ||
	    (m->view_serial == serial &&
		(is_new || mb_ago_ms(m, p->told_at) >= m->conf.dead_ms / 2)))
		mb_tell(m, p, v->challenge);
}

void
mb_pair_goodbye(struct mb *m, struct peer *p, const struct mb_msg *v)
{
	bool paired = p->paired == v->incarnation;

	mb_say(m, HAD_INFO, "goodbye", "%s said goodbye at epoch %llu", p->name,
	    (unsigned long long)v->epoch);
	/* What it sent before and what arrives later counts no more. */
	p->dead = v->incarnation;
	p->incarnation = 0;
	p->view_known = false;
	if (v->epoch > m->epoch && from_pair(m)) {
		demote(m, p, v->epoch, "acted without us, then left");
		return;
	}
	if (m->goal == GOAL_ALONE)
		return;
	if (is_listening(m)) {
		alone_again(m, "said goodbye");
	} else if (m->self == MB_ALONE) {
		mb_set_peer(m, p, MB_PEER_LEFT, false, "goodbye");
	} else if (paired) {
		if (m->self == MB_DOUBT || m->self == MB_ISOLATED) {
			m->challenge = 0;
			mb_set_self(m, MB_PAIRED, "goodbye");
		}
		mb_peer_decide(m, p, MB_PEER_LEFT, "goodbye");
	}
}

/*
 * Should the answer to the challenge get lost: a heartbeat that arrives
 * dead_ms after the pause was not queued during it.
 */
void
mb_pair_heard(struct mb *m, struct peer *p, uint64_t epoch)
{
	if ((m->self != MB_DOUBT && m->self != MB_ISOLATED) ||
	    m->challenge == 0 || !from_pair(m) || epoch > m->epoch ||
	    p->incarnation != p->paired ||
	    mb_ago_ms(m, m->doubt_at) < m->conf.dead_ms)
		return;
	resolve(m, p);
}

/* R1: nobody is there to be heard, its kernel says. */
void
mb_pair_refused(struct mb *m, struct peer *p)
{
	if (is_listening(m) && !mb_peer_fresh(m, p))
		alone_again(m, "refuses: its daemon does not run");
}

static monotime_t
listen_deadline(const struct mb *m)
{
	monotime_t from = m->since;

	if (mt_before(from, m->peers[0].last))
		from = m->peers[0].last;
	return mt_add_ms(from, m->conf.takeover_ms);
}

static monotime_t
doubt_deadline(const struct mb *m)
{
	monotime_t from = m->doubt_at;

	if (mt_before(from, m->peers[0].last))
		from = m->peers[0].last;
	return mt_add_ms(from, m->conf.takeover_ms);
}

/* Silence since the thaw. */
static void
doubt_ends(struct mb *m)
{
	struct peer *p = &m->peers[0];

	ASSERT(m->self == MB_DOUBT);
	m->challenge = 0;
	if (m->doubt_from == MB_ALONE) {
		mb_say(m, HAD_INFO, "R8", "%s is silent as before", p->name);
		mb_set_self(m, MB_ALONE, "R8");
		restore_solo(m);
		return;
	}
	if (!m->may_have_acted) {
		mb_say(m, HAD_WARN, "R8",
		    "%s is silent since, but cannot have acted", p->name);
		mb_set_self(m, MB_PAIRED, "R8");
		mb_peer_tick(m, p);
		return;
	}
	mb_say(m, HAD_ERR, "R8",
	    "%s is silent and may have acted alone during the pause: inert "
	    "until it is seen, or 'hactl seed --peer-is-down %s' if it did not",
	    p->name, p->name);
	p->view_known = false;
	mb_set_self(m, MB_INERT, "R8");
	mb_set_peer(m, p, MB_PEER_UNKNOWN, false, "R8");
}

void
mb_pair_tick(struct mb *m)
{
	if (is_listening(m) && !mt_before(m->now, listen_deadline(m)))
		alone_again(m, "was not heard");
	if (m->challenge == 0)
		return;
	if (m->self == MB_DOUBT && !mt_before(m->now, doubt_deadline(m))) {
		doubt_ends(m);
		return;
	}
	if (mt_before(m->now, m->ask_at))
		return;
	m->ask_at = mt_add_ms(m->now, 2 * m->conf.heartbeat_ms);
	for (unsigned i = 0; i < m->n_peers; i++)
		if (m->peers[i].incarnation != 0)
			mb_tell(m, &m->peers[i], 0);
}

monotime_t
mb_pair_deadline(const struct mb *m)
{
	monotime_t at = MT_NEVER;

	if (is_listening(m))
		at = mt_min(at, listen_deadline(m));
	if (m->challenge != 0) {
		at = mt_min(at, m->ask_at);
		if (m->self == MB_DOUBT)
			at = mt_min(at, doubt_deadline(m));
	}
	return at;
}
