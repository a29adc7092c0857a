/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Evidence about one peer becomes a verdict.
 *
 *	heard on any link			ALIVE stays ALIVE
 *	aborted and a fresh INIT refused	GONE, at once; but not if it may
 *	    have had the lease before that
 *	a new incarnation			the old one is GONE
 *	silent for dead_ms			SILENT (R14)
 *	... for takeover_ms: its kernel answers, or every link was lost
 *	    within dead_ms, and takeover is allowed	GONE (R3)
 *	... and the file says wait		LOST (R3)
 *	... the last link was lost alone	LOST (R2, jeopardy)
 *	... with an arbiter it is the one who says, see member_arb.c
 */
#include <stdio.h>
#include <string.h>

#include "member_int.h"

/* Names of the links in a bitmap, for notes. */
static const char *
link_names(const struct mb *m, uint8_t set, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned l = 0; l < m->conf.n_links && used < size; l++) {
		if ((set >> l & 1) == 0)
			continue;
		used += (size_t)snprintf(buf + used, size - used, "%s%s",
		    used > 0 ? " and " : "", m->conf.links[l]);
	}
	return buf;
}

static bool
link_usable(const struct mb *m, const struct peer *p, unsigned l)
{
	return p->heard[l].us != 0 && !p->link_down[l] && !m->carrier_lost[l] &&
	       mb_ago_ms(m, p->heard[l]) < m->conf.dead_ms;
}

/* Was it heard a moment ago? */
bool
mb_peer_fresh(const struct mb *m, const struct peer *p)
{
	return p->incarnation != 0 && p->last.us != 0 &&
	       mb_ago_ms(m, p->last) < m->conf.dead_ms;
}

/*
 * Its kernel has answered for so long that a daemon that runs would have been
 * heard: it is frozen.  One answer proves nothing: after a cut the kernel's
 * come first.
 */
static bool
is_frozen(const struct mb *m, const struct peer *p)
{
	return !mt_before(p->kernel_since, p->word) &&
	       mt_sub_us(p->kernel, p->kernel_since) >=
		   m->conf.dead_ms * 1000 / 2;
}

/* The last time that the peer was heard in each link domain. */
static void
heard_domains(
    const struct mb *m, const struct peer *p, monotime_t heard[HAD_LINKS_MAX])
{
	memset(heard, 0, HAD_LINKS_MAX * sizeof(*heard));
	for (unsigned l = 0; l < m->conf.n_links; l++) {
		monotime_t *d = &heard[m->domain[l]];

		ASSERT(m->domain[l] < HAD_LINKS_MAX);
		if (mt_before(*d, p->sure[l]))
			*d = p->sure[l];
	}
}

/* For so long this node heard nothing, and does not know since when. */
void
mb_peer_shift(struct mb *m, struct peer *p, int64_t us)
{
	ASSERT(us >= 0);
	for (unsigned l = 0; l < m->conf.n_links; l++) {
		if (p->heard[l].us != 0)
			p->heard[l] =
			    mt_min(m->now, mt_add_us(p->heard[l], us));
		if (p->sure[l].us != 0)
			p->sure[l] = mt_add_us(p->sure[l], us);
	}
	p->moved_us += us;
	p->thawed_at = m->now;
}

/*
 * R2: a link that fails while this node stands still has not failed at once
 * with one that does so afterwards.  So when the peer is heard on one of them,
 * the others are as old as they are.  What had been queued meanwhile answers
 * nothing that this node has sent since, and says nothing about now.
 */
void
mb_peer_sure(struct mb *m, struct peer *p, uint8_t link, monotime_t reached)
{
	ASSERT(link < m->conf.n_links);
	if (reached.us != 0 && mt_before(reached, p->thawed_at))
		return;
	for (unsigned l = 0; l < m->conf.n_links; l++)
		if (p->sure[l].us != 0)
			p->sure[l] = mt_add_us(p->sure[l], -p->moved_us);
	p->moved_us = 0;
	p->sure[link] = m->now;
}

/*
 * R2: were all link domains lost within dead_ms of each other, from a state
 * of redundancy?  Then it is silence; else the last one was lost in jeopardy.
 */
static bool
lost_at_once(const struct mb *m, const struct peer *p)
{
	monotime_t heard[HAD_LINKS_MAX], second = {0};
	unsigned last = 0;

	heard_domains(m, p, heard);
	for (unsigned d = 1; d < HAD_LINKS_MAX; d++)
		if (mt_before(heard[last], heard[d]))
			last = d;
	for (unsigned d = 0; d < HAD_LINKS_MAX; d++)
		if (d != last && mt_before(second, heard[d]))
			second = heard[d];
	return second.us != 0 &&
	       mt_sub_us(heard[last], second) <= m->conf.dead_ms * 1000;
}

/* How many link domains could carry a message now. */
static unsigned
usable_domains(const struct mb *m, const struct peer *p)
{
	uint32_t set = 0;
	unsigned n = 0;

	for (unsigned l = 0; l < m->conf.n_links; l++)
		if (link_usable(m, p, l))
			set |= 1u << m->domain[l];
	for (; set != 0; set &= set - 1)
		n++;
	return n;
}

static bool
is_paired_verdict(const struct peer *p)
{
	return p->verdict == MB_PEER_ALIVE || p->verdict == MB_PEER_SILENT ||
	       p->verdict == MB_PEER_LOST;
}

/*
 * R7: it is heard, but hears nothing of this node on any link: to the arbiters
 * it says that this node is silent, and counts the time from then.  So must
 * this node.
 */
static bool
is_unheard(const struct mb *m, const struct peer *p)
{
	return p->unheard && mb_arb_configured(m) &&
	       p->paired == p->incarnation &&
	       (p->verdict == MB_PEER_ALIVE || p->verdict == MB_PEER_SILENT);
}

/*
 * R7: a heartbeat says that it has heard nothing for lease_ms.  If the one
 * that said so before is older than that, it may have heard something between.
 */
void
mb_peer_unheard(struct mb *m, struct peer *p)
{
	ASSERT(p->unheard);
	if (mt_sub_us(m->now, p->deaf_word) > (int64_t)m->conf.lease_ms * 1000)
		p->deaf = (monotime_t){0};
	p->deaf_word = m->now;
}

void
mb_peer_heard(struct mb *m, struct peer *p, uint64_t incarnation)
{
	ASSERT(incarnation == p->incarnation);
	p->word = m->now;
	if (!p->unheard)
		p->deaf = (monotime_t){0};
	else if (p->deaf.us == 0)
		p->deaf = mt_add_ms(m->now, -(int64_t)m->conf.lease_ms);
	if (is_unheard(m, p)) {
		p->last = mt_min(p->last, mt_before(p->reached, p->answered)
					      ? p->answered
					      : p->reached);
		if (p->verdict == MB_PEER_ALIVE && !mb_peer_fresh(m, p))
			mb_say(m, HAD_WARN, "R7",
			    "%s is heard, but has not heard this node for "
			    "%lld ms",
			    p->name, (long long)mb_ago_ms(m, p->reached));
		mb_peer_tick(m, p);
		return;
	}
	p->last = m->now;
	/*
	 * It lives, whatever was aborted.  Not if this was on its way when
	 * the abort came.
	 */
	if (p->aborted && mb_ago_ms(m, p->aborted_at) > m->conf.heartbeat_ms)
		p->aborted = false;
	if (!p->aborted) {
		p->refused = 0;
		p->late_death = false;
	}
	if (!p->told && p->tell_at.us == INT64_MAX)
		p->tell_at = m->now;
	if (p->aborted || incarnation != p->paired || m->goal == GOAL_ALONE)
		return;
	if (p->verdict == MB_PEER_SILENT || p->verdict == MB_PEER_LOST)
		mb_set_peer(m, p, MB_PEER_ALIVE, false, "R2");
}

/*
 * Another daemon answers than before.  If we were paired with the old one,
 * that one is dead, and it was the new one's kernel that said so.  Unless
 * the epoch has moved on: then this node has missed something (R8).
 */
void
mb_peer_incarnation(
    struct mb *m, struct peer *p, uint64_t incarnation, uint64_t epoch)
{
	uint64_t old = p->incarnation;

	ASSERT(incarnation != 0 && incarnation != old);
	if (old != 0)
		p->dead = old;
	p->incarnation = incarnation;
	p->view_known = false;
	p->told = false;
	p->tell_at = m->now;
	p->aborted = p->late_death = false;
	p->refused = 0;
	p->reached = p->answered = p->beat = (monotime_t){0};
	p->unheard = p->pair_waits = false;
	p->deaf = (monotime_t){0};
	if (p->asked_verify)
		mb_arb_rest(m, p);
	if (p->paired == 0 || p->paired != old || !is_paired_verdict(p) ||
	    epoch > m->epoch)
		return;
	if (m->self != MB_PAIRED && m->self != MB_STOPPING)
		return;
	mb_say(m, HAD_WARN, "R8",
	    "%s is gone: its daemon restarted, the one that was paired is "
	    "dead",
	    p->name);
	mb_peer_decide(m, p, MB_PEER_GONE, "R8");
}

/*
 * Its daemon is dead, but since when?  If it had not heard this node for so
 * long that voters may have granted it the lease, it may have acted alone
 * before it died, and its data be the newest.  They know.
 */
static bool
may_have_had_lease(const struct mb *m, const struct peer *p)
{
	return m->conf.voters && !p->leased &&
	       mb_ago_ms(m, p->reached) >= m->conf.dead_ms;
}

static void
check_dead(struct mb *m, struct peer *p)
{
	char names[HAD_LINKS_MAX * (HAD_NAME_MAX + 5)];
	int64_t apart;

	if (!p->aborted || p->refused == 0 || !is_paired_verdict(p))
		return;
	apart = mt_sub_us(p->aborted_at, p->refused_at) / 1000;
	if (apart > m->conf.takeover_ms ||
	    apart < -(int64_t)m->conf.takeover_ms)
		return;
	if (m->goal == GOAL_ALONE ||
	    (m->self != MB_PAIRED && m->self != MB_STOPPING))
		return;
	if (may_have_had_lease(m, p)) {
		if (!p->late_death)
			mb_say(m, HAD_WARN, "R3",
			    "%s: its daemon is dead, but has not heard this "
			    "node for %lld ms and may have had the lease: a "
			    "voter must say",
			    p->name, (long long)mb_ago_ms(m, p->reached));
		p->late_death = true;
		return;
	}
	mb_say(m, HAD_WARN, "R3",
	    "%s is gone: association aborted by it, fresh INIT refused on %s; "
	    "its daemon is dead, its kernel alive",
	    p->name, link_names(m, p->refused, names, sizeof(names)));
	mb_peer_decide(m, p, MB_PEER_GONE, "R3");
}

/* An ABORT alone proves nothing: it can be forged. */
void
mb_peer_aborted(struct mb *m, struct peer *p)
{
	p->aborted = true;
	p->aborted_at = m->now;
	check_dead(m, p);
}

void
mb_peer_refused(struct mb *m, struct peer *p, uint8_t link)
{
	p->refused |= (uint8_t)(1u << link);
	p->refused_at = m->now;
	check_dead(m, p);
}

/*
 * A verdict that lets this node act: it takes effect when it is durable.
 * Whoever is being stopped acts as well until its volumes are closed.
 */
void
mb_peer_decide(
    struct mb *m, struct peer *p, enum mb_peer verdict, const char *rule)
{
	ASSERT(verdict == MB_PEER_GONE || verdict == MB_PEER_LEFT);
	if (m->self == MB_PAIRED || m->stop_acts)
		mb_pair_alone(m, p, verdict, rule, false);
	else
		mb_set_peer(m, p, verdict, false, rule);
}

static void
tick_silent(struct mb *m, struct peer *p)
{
	const char *how;

	/* One that died between a heartbeat and its advert lives no more. */
	if (p->advert.us != 0 && mb_ago_ms(m, p->advert) < m->conf.dead_ms &&
	    mt_before(mt_add_ms(p->last, 2 * (int64_t)m->conf.heartbeat_ms),
		p->advert)) {
		mb_say(m, HAD_ERR, "R3",
		    "%s is silent on every link, but its adverts are heard: it "
		    "lives; each side keeps what it holds",
		    p->name);
		mb_set_peer(m, p, MB_PEER_LOST, false, "R3");
		return;
	}
	if (is_frozen(m, p)) {
		how = "its daemon is silent, its kernel answers: frozen";
	} else if (!lost_at_once(m, p)) {
		mb_say(m, HAD_ERR, "R2",
		    "%s is lost: the last link failed in jeopardy; each side "
		    "keeps what it holds",
		    p->name);
		mb_set_peer(m, p, MB_PEER_LOST, false, "R2");
		return;
	} else {
		how = "all links fell silent at once";
	}
	if (!m->conf.silent_takeover) {
		mb_say(m, HAD_ERR, "R3",
		    "%s is silent for %lld ms: %s; silent peer wait: an "
		    "operator decides (hactl seed --peer-is-down %s)",
		    p->name, (long long)mb_ago_ms(m, p->last), how, p->name);
		mb_set_peer(m, p, MB_PEER_LOST, true, "R3");
		return;
	}
	mb_say(m, HAD_WARN, "R3",
	    "%s is gone: %s, %lld ms since it was heard; silent peer takeover",
	    p->name, how, (long long)mb_ago_ms(m, p->last));
	mb_peer_decide(m, p, MB_PEER_GONE, "R3");
}

void
mb_peer_tick(struct mb *m, struct peer *p)
{
	monotime_t silent = mt_add_ms(p->last, m->conf.dead_ms);

	if (!mt_before(m->now, p->jeopardy_at)) {
		p->jeopardy_at = MT_NEVER;
		p->jeopardy = true;
		mb_say(m, HAD_WARN, "R2",
		    "jeopardy: one link domain left to %s; its loss moves "
		    "nothing",
		    p->name);
	}
	if (p->incarnation != 0 && !mt_before(m->now, p->tell_at)) {
		p->tell_at = MT_NEVER;
		if (mb_peer_fresh(m, p) && !p->told)
			mb_tell(m, p, 0);
	}
	if ((m->self != MB_PAIRED && m->self != MB_STOPPING) ||
	    m->goal == GOAL_ALONE)
		return;
	if (p->verdict == MB_PEER_ALIVE && !mt_before(m->now, silent)) {
		mb_say(m, HAD_WARN, "R14",
		    "%s is silent for %lld ms: undecided, acknowledgements "
		    "are held",
		    p->name, (long long)mb_ago_ms(m, p->last));
		mb_set_peer(m, p, MB_PEER_SILENT, false, "R14");
	}
	if (p->verdict != MB_PEER_SILENT)
		return;
	/* The guard of a frozen node has closed: addresses may move. */
	if (is_frozen(m, p) && !p->stateless_gone)
		mb_set_peer(m, p, MB_PEER_SILENT, true, "R3");
	if (m->pings_lost && m->self == MB_PAIRED &&
	    !mt_before(m->now, mt_add_ms(p->last, m->conf.takeover_ms)))
		mb_isolated_by_pings(m);
	else if (mb_arb_configured(m))
		mb_arb_silent(m, p);
	else if (!mt_before(m->now, mt_add_ms(p->last, m->conf.takeover_ms)))
		tick_silent(m, p);
}

/* R2: raises the alarm dead_ms after redundancy was lost, ends it at once. */
void
mb_peer_jeopardy(struct mb *m, struct peer *p)
{
	unsigned usable = usable_domains(m, p);

	if (p->verdict == MB_PEER_ALIVE && usable == 0)
		return;
	if (p->verdict != MB_PEER_ALIVE || usable > 1 || m->arbiter_works) {
		p->jeopardy_at = MT_NEVER;
		if (p->jeopardy && p->verdict == MB_PEER_ALIVE)
			mb_say(m, HAD_INFO, "R2", "jeopardy is over");
		p->jeopardy = false;
	} else if (!p->jeopardy && p->jeopardy_at.us == INT64_MAX) {
		p->jeopardy_at = mt_add_ms(m->now, m->conf.dead_ms);
	}
}

monotime_t
mb_peer_deadline(const struct mb *m, const struct peer *p)
{
	monotime_t at = p->jeopardy_at;

	if (p->incarnation != 0 && !p->told)
		at = mt_min(at, p->tell_at);
	if ((m->self != MB_PAIRED && m->self != MB_STOPPING) ||
	    m->goal == GOAL_ALONE)
		return at;
	if (p->verdict == MB_PEER_ALIVE)
		at = mt_min(at, mt_add_ms(p->last, m->conf.dead_ms));
	if (p->verdict == MB_PEER_SILENT && mb_arb_configured(m))
		at = mt_min(at, mb_arb_deadline(m, p));
	if (p->verdict == MB_PEER_SILENT &&
	    (!mb_arb_configured(m) || (m->pings_lost && m->self == MB_PAIRED)))
		at = mt_min(at, mt_add_ms(p->last, m->conf.takeover_ms));
	return at;
}

/* Link domains on which it is heard at that time. */
static unsigned
heard_now(const struct mb *m, monotime_t now, const struct peer *p)
{
	uint32_t set = 0;
	unsigned n = 0;

	for (unsigned l = 0; l < m->conf.n_links; l++)
		if (p->heard[l].us != 0 && !p->link_down[l] &&
		    !m->carrier_lost[l] &&
		    mt_sub_us(now, p->heard[l]) <
			(int64_t)m->conf.dead_ms * 1000)
			set |= 1u << m->domain[l];
	for (; set != 0; set &= set - 1)
		n++;
	return n;
}

/*
 * The survivor holds no data, so it fires last (R4); the lease it gets at
 * once, and acts when the other has demoted itself.
 */
static void
forecast_arbiter(
    const struct mb *m, const struct peer *p, struct mb_forecast *f)
{
	uint32_t delay = 2 * m->fence_ms;

	f->rule = "R3";
	if (!m->arbiter_works) {
		f->rule = "R5";
		snprintf(f->text, sizeof(f->text),
		    "no arbiter could decide now: an operator decides");
		return;
	}
	f->fate = MB_FATE_TAKEN;
	if (m->conf.voters) {
		snprintf(f->text, sizeof(f->text),
		    "by the lease, once %s has demoted itself", p->name);
		return;
	}
	if (delay < MB_FENCE_DELAY_MS)
		delay = MB_FENCE_DELAY_MS;
	f->ms = m->conf.dead_ms + delay + m->fence_ms;
	snprintf(f->text, sizeof(f->text),
	    "after %s is verified off by its fence agent", p->name);
}

void
mb_forecast(
    const struct mb *m, monotime_t now, uint8_t id, struct mb_forecast *f)
{
	const struct peer *p = NULL;

	memset(f, 0, sizeof(*f));
	f->fate = MB_FATE_NOBODY;
	f->rule = "R1";
	for (unsigned i = 0; i < m->n_peers; i++)
		if (m->peers[i].id == id)
			p = &m->peers[i];
	if (p == NULL || m->self != MB_PAIRED || p->verdict != MB_PEER_ALIVE) {
		snprintf(f->text, sizeof(f->text),
		    "%s is %s here, this node "
		    "is %s",
		    p == NULL ? "that node" : p->name,
		    mb_peer_name(p == NULL ? MB_PEER_UNKNOWN : p->verdict),
		    mb_self_name(m->self));
		return;
	}
	f->ms = m->conf.takeover_ms;
	/* An ABORT and a refusal come within a round trip. */
	f->crash_ms = m->conf.heartbeat_ms;
	f->fate = MB_FATE_OPERATOR;
	if (mb_arb_configured(m)) {
		forecast_arbiter(m, p, f);
	} else if (heard_now(m, now, p) <= 1) {
		f->rule = "R2";
		snprintf(f->text, sizeof(f->text),
		    "one link domain is left, "
		    "so its loss cannot be told from death: an operator "
		    "decides");
	} else if (!m->conf.silent_takeover) {
		f->rule = "R3";
		snprintf(f->text, sizeof(f->text),
		    "silent peer wait: an operator decides");
	} else {
		f->fate = MB_FATE_TAKEN;
		f->rule = "R3";
		snprintf(f->text, sizeof(f->text),
		    "silent peer takeover "
		    "after %u ms of silence on every link",
		    m->conf.takeover_ms);
	}
}
