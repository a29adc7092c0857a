/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A silent peer, and somebody who decides about it: fence agents, and voters
 * that grant leases (R3, R5, R6, R7, R13).
 *
 *	SILENT		asked; nothing is acknowledged meanwhile (R14)
 *	off		GONE at once: it was verified
 *	lease		GONE at takeover_ms: by then it has demoted itself
 *	denied		the peer has the lease: inert, and never fires
 *	frozen		SILENT stays: an operator must say (R5)
 *	no lease by self_demote_ms	data stops here (R7)
 *
 * An epoch that was granted to this node and not used is spent: the peer could
 * never have it.  Nodes tell each other, and the next one to ask does so above
 * it.  Only the holder may say so: an epoch that was asked for in vain may be
 * the peer's, which acts at it.
 */
#include "member_int.h"

bool
mb_arb_configured(const struct mb *m)
{
	return m->conf.fences || m->conf.voters;
}

/* The epoch of a lease that nobody can have had before. */
static uint64_t
next_epoch(const struct mb *m)
{
	return (m->spent > m->epoch ? m->spent : m->epoch) + 1;
}

void
mb_arb_demote(struct mb *m, bool on)
{
	if (m->demoted == on)
		return;
	m->demoted = on;
	m->ops->demote(m->ctx, on);
}

static void
ask(struct mb *m, struct peer *p, bool verify_only)
{
	uint64_t epoch = next_epoch(m);

	if (p->asked == epoch && p->asked_active == m->holds_data &&
	    p->asked_verify == verify_only)
		return;
	p->asked = epoch;
	p->asked_active = m->holds_data;
	p->asked_verify = verify_only;
	m->ops->arbitrate(m->ctx, p->id, epoch, m->holds_data, verify_only);
}

/* It lives, or it was decided: nobody needs to be asked any more. */
void
mb_arb_rest(struct mb *m, struct peer *p)
{
	uint64_t epoch = p->asked;
	bool leased = p->leased;

	p->asked = 0;
	p->frozen = p->leased = p->off = p->asked_verify = false;
	if (epoch == 0)
		return;
	m->ops->arbitrate(m->ctx, p->id, 0, false, false);
	if (leased)
		mb_arb_spent(m, epoch);
}

/*
 * R7: the peer counts from what it heard last of this node, which may be a
 * heartbeat less than this node has heard of it.
 */
static monotime_t
demote_at(const struct mb *m, const struct peer *p)
{
	return mt_add_ms(mt_min(p->last, p->reached), m->conf.self_demote_ms);
}

/*
 * It has demoted itself by then.  It counts from what it knows to have been
 * heard, which is not after the last that was; while it says that it hears
 * nothing, from what it heard last: before the lease that it said so after.
 * Unless it was answered since: it said so before it had the answer.
 */
static monotime_t
take_at(const struct mb *m, const struct peer *p)
{
	monotime_t from = p->word;

	if (p->deaf.us != 0 && mb_ago_ms(m, p->word) < m->conf.dead_ms)
		from = mt_min(from,
		    mt_before(p->deaf, p->answered) ? p->answered : p->deaf);
	return mt_add_ms(from, m->conf.takeover_ms);
}

/* In doubt it keeps what it was told: it may be the one that was overtaken. */
static bool
may_decide(const struct mb *m)
{
	return m->self == MB_PAIRED || m->self == MB_STOPPING;
}

static void
off(struct mb *m, struct peer *p)
{
	if (p->asked_verify) {
		if (m->self != MB_INERT || m->goal != GOAL_NONE)
			return;
		mb_say(m, HAD_WARN, "R1",
		    "%s is verified off: act alone, but without knowing whose "
		    "data is the newest",
		    p->name);
		mb_pair_alone(m, p, MB_PEER_GONE, "R1", false);
		return;
	}
	p->off = true;
	if (!may_decide(m))
		return;
	mb_say(m, HAD_WARN, "R3", "%s is gone: it is verified off", p->name);
	mb_peer_decide(m, p, MB_PEER_GONE, "R3");
}

/* Repeated while it is silent; what was done already is not done again. */
void
mb_arb_silent(struct mb *m, struct peer *p)
{
	ASSERT(p->verdict == MB_PEER_SILENT);
	ASSERT(mb_arb_configured(m));
	ASSERT(may_decide(m));
	if (p->off) {
		off(m, p);
		return;
	}
	if (!p->frozen)
		ask(m, p, false);
	if (p->leased && !mt_before(m->now, take_at(m, p))) {
		mb_say(m, HAD_WARN, "R3",
		    "%s is gone: this node has the lease of epoch %llu, and "
		    "%s has demoted itself",
		    p->name, (unsigned long long)p->asked, p->name);
		mb_peer_decide(m, p, MB_PEER_GONE, "R3");
		return;
	}
	if (!m->conf.voters || p->leased || m->demoted ||
	    mt_before(m->now, demote_at(m, p)))
		return;
	mb_say(m, HAD_ERR, "R7",
	    "%s is silent for %lld ms and there is no lease: data stops here",
	    p->name, (long long)mb_ago_ms(m, p->last));
	mb_arb_demote(m, true);
}

/*
 * R1: after boot an agent may verify that the peer is off.  Whether this
 * node's data is the newest, it cannot say.
 */
void
mb_arb_boot(struct mb *m)
{
	struct peer *p = &m->peers[0];

	if (m->n_peers == 0 || mt_before(m->now, mb_arb_boot_deadline(m)))
		return;
	mb_say(m, HAD_INFO, "R1", "%s was not heard: is it off?", p->name);
	ask(m, p, true);
}

monotime_t
mb_arb_boot_deadline(const struct mb *m)
{
	const struct peer *p = &m->peers[0];

	if (!m->conf.fences || !m->booting || m->self != MB_INERT ||
	    m->goal != GOAL_NONE || m->record.solo || m->n_peers == 0 ||
	    p->incarnation != 0 || p->asked != 0)
		return MT_NEVER;
	return mt_add_ms(m->since, m->conf.takeover_ms);
}

monotime_t
mb_arb_deadline(const struct mb *m, const struct peer *p)
{
	ASSERT(p->verdict == MB_PEER_SILENT);
	if (p->leased)
		return take_at(m, p);
	if (m->conf.voters && !m->demoted)
		return demote_at(m, p);
	return MT_NEVER;
}

/* The peer has the lease, and will act: this node must not (R13). */
static void
denied(struct mb *m, struct peer *p)
{
	mb_say(m, HAD_ERR, "R13",
	    "the lease is %s's: this node gives up everything and never "
	    "fences",
	    p->name);
	p->view_known = false;
	mb_set_self(m, MB_INERT, "R13");
	mb_set_peer(m, p, MB_PEER_UNKNOWN, false, "R13");
}

/* What a withdrawn question is answered with counts no more. */
void
mb_arb_verdict(struct mb *m, struct peer *p, const struct mb_event *e)
{
	if (p->asked == 0 || m->goal == GOAL_ALONE)
		return;
	if (!p->asked_verify && p->verdict != MB_PEER_SILENT)
		return;
	switch (e->u.verdict.verdict) {
	case MB_VERDICT_OFF:
		off(m, p);
		break;
	case MB_VERDICT_LEASE:
		if (e->u.verdict.epoch != p->asked || p->asked_verify)
			break;
		p->leased = true;
		p->frozen = false;
		mb_arb_demote(m, false);
		if (may_decide(m))
			mb_arb_silent(m, p);
		break;
	case MB_VERDICT_DENIED:
		if (m->self == MB_PAIRED)
			denied(m, p);
		break;
	case MB_VERDICT_FROZEN:
		if (p->frozen)
			break;
		p->frozen = true;
		mb_say(m, HAD_ERR, "R5",
		    "nobody can say what became of %s: everything is frozen "
		    "until it is heard, or 'hactl fence confirm %s'",
		    p->name, p->name);
		break;
	}
}

/* Voters hold that epoch for this node, which does not act at it. */
void
mb_arb_spent(struct mb *m, uint64_t epoch)
{
	if (epoch <= m->spent || epoch <= m->epoch)
		return;
	m->spent = epoch;
	for (unsigned i = 0; i < m->n_peers; i++)
		if (m->peers[i].asked != 0 && m->peers[i].asked <= epoch &&
		    !m->peers[i].leased)
			ask(m, &m->peers[i], m->peers[i].asked_verify);
	mb_view_changed(m);
}

/* What was asked for is of an epoch that is over: of no use, if granted. */
void
mb_arb_epoch(struct mb *m)
{
	for (unsigned i = 0; i < m->n_peers; i++) {
		struct peer *p = &m->peers[i];

		if (p->asked == 0 || p->asked > m->epoch)
			continue;
		p->leased = false;
		ask(m, p, p->asked_verify);
	}
}

/* R4: who holds data shoots first. */
void
mb_arb_holds(struct mb *m)
{
	for (unsigned i = 0; i < m->n_peers; i++)
		if (m->peers[i].asked != 0 && !m->peers[i].leased &&
		    !m->peers[i].frozen)
			ask(m, &m->peers[i], m->peers[i].asked_verify);
}
