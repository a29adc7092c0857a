/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Membership: the entry point, the table of states and events, the durable
 * record.  member_peer.c judges a peer, member_pair.c agrees with it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "member_int.h"

enum { RETRY_MAX_MS = 10000 };

const char *
mb_self_name(enum mb_self s)
{
	static const char *const names[] = {
#define X(sym, name) name,
	    MB_SELF_LIST(X)
#undef X
	};
	ASSERT((unsigned)s < NITEMS(names));
	return names[s];
}

const char *
mb_peer_name(enum mb_peer p)
{
	static const char *const names[] = {
#define X(sym, name) name,
	    MB_PEER_LIST(X)
#undef X
	};
	ASSERT((unsigned)p < NITEMS(names));
	return names[p];
}

const char *
mb_ev_name(enum mb_ev e)
{
	static const char *const names[] = {
#define X(sym, name) name,
	    MB_EV_LIST(X)
#undef X
	};
	ASSERT((unsigned)e < NITEMS(names));
	return names[e];
}

struct mb *
mb_new(const struct mb_conf *conf, const struct mb_ops *ops, void *ctx)
{
	struct mb *m = calloc(1, sizeof(*m));

	ASSERT(conf->self >= 1 && conf->self <= HAD_NODES_MAX);
	/*
	 * The rules of this core are those of a pair.  Who is quorate among
	 * more nodes is the business of another stack.
	 */
	ASSERT(conf->n_peers <= 1);
	ASSERT(conf->n_peers == 0 ||
	       (conf->n_links >= 1 && conf->n_links <= HAD_LINKS_MAX));
	ASSERT(conf->heartbeat_ms > 0 && conf->heartbeat_ms < conf->dead_ms);
	ASSERT(conf->lease_ms < conf->dead_ms);
	ASSERT(conf->dead_ms <= conf->takeover_ms);
	ASSERT(!conf->voters || (conf->dead_ms < conf->self_demote_ms &&
				    conf->self_demote_ms < conf->takeover_ms));
	if (m == NULL)
		return NULL;
	m->conf = *conf;
	m->ops = ops;
	m->ctx = ctx;
	m->rule = "";
	m->retry_at = MT_NEVER;
	m->n_peers = conf->n_peers;
	memcpy(m->domain, conf->domain, sizeof(m->domain));
	for (unsigned i = 0; i < m->n_peers; i++) {
		struct peer *p = &m->peers[i];

		p->id = conf->peers[i].id;
		ASSERT(p->id != conf->self);
		memcpy(p->name, conf->peers[i].name, sizeof(p->name));
		p->rule = "";
		p->tell_at = p->jeopardy_at = MT_NEVER;
	}
	return m;
}

void
mb_free(struct mb *m)
{
	free(m);
}

struct peer *
mb_find(struct mb *m, uint8_t id)
{
	for (unsigned i = 0; i < m->n_peers; i++)
		if (m->peers[i].id == id)
			return &m->peers[i];
	return NULL;
}

void
mb_say(
    struct mb *m, enum had_level level, const char *rule, const char *fmt, ...)
{
	char text[240];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	m->ops->note(m->ctx, level, rule, m->conf.self_name, text);
}

int64_t
mb_ago_ms(const struct mb *m, monotime_t t)
{
	return mt_sub_us(m->now, t) / 1000;
}

/* The only place where the state of this node changes. */
void
mb_set_self(struct mb *m, enum mb_self self, const char *rule)
{
	ASSERT(self != MB_OFF && rule[0] != '\0');
	if (self != m->self)
		mb_say(m, HAD_INFO, rule, "%s -> %s at epoch %llu",
		    mb_self_name(m->self), mb_self_name(self),
		    (unsigned long long)m->epoch);
	if (self != MB_ALONE && self != MB_DOUBT)
		m->own_right = false;
	if (self != MB_INERT)
		m->booting = false;
	if (self != MB_PAIRED && self != MB_STOPPING)
		mb_arb_demote(m, false);
	m->self = self;
	m->rule = rule;
	m->since = m->now;
	m->ops->self(m->ctx, self, m->own_right, rule);
	mb_view_changed(m);
}

/* The only place where a verdict changes. */
void
mb_set_peer(struct mb *m, struct peer *p, enum mb_peer verdict,
    bool stateless_gone, const char *rule)
{
	if (p->verdict == verdict && p->stateless_gone == stateless_gone)
		return;
	if (p->verdict != verdict) {
		mb_say(m, HAD_INFO, rule, "%s: %s -> %s", p->name,
		    mb_peer_name(p->verdict), mb_peer_name(verdict));
		p->since = m->now;
	}
	if (verdict == MB_PEER_ALIVE) {
		ASSERT(p->incarnation != 0);
		/* To become a pair each had to hear the other. */
		if (p->paired != p->incarnation)
			p->reached = m->now;
		p->paired = p->incarnation;
		p->aborted = false;
		p->refused = 0;
	} else if (verdict != MB_PEER_SILENT && verdict != MB_PEER_LOST) {
		p->paired = 0;
	}
	p->verdict = verdict;
	p->stateless_gone = stateless_gone;
	p->rule = rule;
	if (verdict != MB_PEER_SILENT) {
		mb_arb_rest(m, p);
		mb_arb_demote(m, false);
	}
	m->ops->peer(m->ctx, p->id, verdict, stateless_gone, rule);
	mb_peer_jeopardy(m, p);
}

/* Asks for m->want to be made durable; pair_done follows. */
void
mb_persist(struct mb *m, enum mb_goal goal)
{
	ASSERT(goal != GOAL_NONE);
	ASSERT(m->want.epoch >= m->record.epoch);
	m->goal = goal;
	memset(m->want.peer, 0, sizeof(m->want.peer));
	for (unsigned i = 0; i < m->n_peers; i++)
		m->want.peer[m->peers[i].id - 1] = (uint8_t)m->peers[i].verdict;
	if (goal == GOAL_ALONE && m->goal_peer != NULL)
		m->want.peer[m->goal_peer->id - 1] = (uint8_t)m->goal_verdict;
	m->want.clean = goal == GOAL_STOP;
	m->want.serial++;
	m->writing = true;
	m->retry_at = MT_NEVER;
	m->ops->persist(m->ctx, &m->want, m->want.serial);
}

void
mb_view_changed(struct mb *m)
{
	m->view_serial++;
	m->view_solo = m->record.solo;
	for (unsigned i = 0; i < m->n_peers; i++) {
		struct peer *p = &m->peers[i];

		p->told = false;
		if (p->incarnation != 0)
			mb_tell(m, p, 0);
	}
}

void
mb_tell(struct mb *m, struct peer *p, uint64_t answer)
{
	uint8_t bytes[MB_MSG_SIZE];
	struct mb_msg v = {.type = MB_MSG_VIEW};

	/* Not a word about the peer's fate while it is being decided. */
	if (m->goal == GOAL_ALONE && m->goal_peer == p)
		return;
	v.state = m->self;
	v.solo = m->record.solo;
	v.seeds = m->record.seeds;
	v.paired = p->paired != 0 && p->paired == p->incarnation;
	v.epoch = m->epoch;
	v.incarnation = m->incarnation;
	v.seen = p->incarnation;
	v.serial = m->view_serial;
	v.seen_serial = p->view_known ? p->view.serial : 0;
	v.challenge = m->challenge;
	v.answer = answer;
	v.spent = m->spent;
	mb_msg_encode(&v, bytes);
	m->ops->send(m->ctx, p->id, bytes, sizeof(bytes));
	p->tell_at = mt_add_ms(m->now, m->conf.dead_ms);
	p->told_at = m->now;
}

static void
on_start(struct mb *m, const struct mb_event *e)
{
	const struct sf_record *r = e->u.start.record;

	ASSERT(e->u.start.incarnation != 0);
	m->incarnation = e->u.start.incarnation;
	m->random = e->u.start.seed | 1;
	if (r != NULL) {
		ASSERT(r->node == m->conf.self);
		m->record = *r;
	} else {
		memcpy(m->record.cluster, m->conf.cluster,
		    sizeof(m->record.cluster));
		m->record.node = m->conf.self;
	}
	m->want = m->record;
	m->epoch = m->record.epoch;
	m->booting = true;
	m->ops->epoch(m->ctx, m->epoch);
	mb_set_self(m, MB_INERT, "R1");
	for (unsigned i = 0; i < m->n_peers; i++)
		m->ops->peer(
		    m->ctx, m->peers[i].id, MB_PEER_UNKNOWN, false, "R1");
	if (m->n_peers == 0) {
		mb_say(m, HAD_INFO, "R1", "no peer is configured: act alone");
		mb_pair_alone(m, NULL, MB_PEER_GONE, "R1", true);
	} else if (m->record.solo) {
		mb_say(m, HAD_INFO, "R1",
		    "this node was the sole survivor at epoch %llu: act alone "
		    "unless %s is heard within %u ms",
		    (unsigned long long)m->epoch, m->peers[0].name,
		    m->conf.takeover_ms);
	} else {
		mb_say(m, HAD_WARN, "R1",
		    "inert until %s is seen or 'hactl seed --peer-is-down %s'",
		    m->peers[0].name, m->peers[0].name);
	}
}

static void
on_timer(struct mb *m, const struct mb_event *e)
{
	(void)e;
	if (!mt_before(m->now, m->retry_at) && !mb_pair_dropped(m))
		mb_persist(m, m->goal);
	for (unsigned i = 0; i < m->n_peers; i++)
		mb_peer_tick(m, &m->peers[i]);
	mb_pair_tick(m);
	mb_arb_boot(m);
}

static void
on_heard(struct mb *m, const struct mb_event *e)
{
	struct peer *p = mb_find(m, e->u.heard.from);
	uint64_t incarnation = e->u.heard.incarnation;

	if (p == NULL || e->u.heard.link >= m->conf.n_links ||
	    incarnation == 0 || incarnation == p->dead)
		return;
	if (incarnation != p->incarnation)
		mb_peer_incarnation(m, p, incarnation, e->u.heard.epoch);
	if (!e->u.heard.old) {
		p->unheard = e->u.heard.unheard;
		if (p->unheard)
			mb_peer_unheard(m, p);
	}
	if (!e->u.heard.one_way) {
		p->heard[e->u.heard.link] = m->now;
		mb_peer_sure(m, p, e->u.heard.link, e->u.heard.reached);
	}
	if (!e->u.heard.unheard && e->u.heard.reached.us == 0)
		p->reached = m->now;
	else if (mt_before(p->reached, e->u.heard.reached) &&
		 !mt_before(m->now, e->u.heard.reached))
		p->reached = e->u.heard.reached;
	mb_peer_heard(m, p, incarnation);
	mb_pair_newer(m, p, e->u.heard.epoch);
	mb_pair_rival(m, p, e->u.heard.epoch, e->u.heard.acts);
	if (!e->u.heard.deciding && !e->u.heard.old)
		mb_pair_heard(m, p, e->u.heard.epoch);
	p->beat = m->now;
	mb_pair_beat(m, p);
	mb_peer_jeopardy(m, p);
}

static void
on_link(struct mb *m, const struct mb_event *e)
{
	struct peer *p = mb_find(m, e->u.link.peer);

	if (p == NULL || e->u.link.link >= m->conf.n_links)
		return;
	p->link_down[e->u.link.link] = !e->u.link.up;
	mb_peer_jeopardy(m, p);
}

/*
 * R9: this node is the isolated one.  It hands over to a living peer; with
 * nobody to hand over to, nothing changes.
 */
static void
isolate(struct mb *m, const char *how)
{
	bool heir = false;

	for (unsigned i = 0; i < m->n_peers; i++)
		heir |= m->peers[i].verdict == MB_PEER_ALIVE ||
			m->peers[i].verdict == MB_PEER_SILENT;
	if (!heir || m->goal == GOAL_ALONE ||
	    (m->self != MB_PAIRED && m->self != MB_DOUBT))
		return;
	mb_say(m, HAD_ERR, "R9", "%s: this node is isolated, hand over", how);
	m->challenge = 0;
	for (unsigned i = 0; i < m->n_peers; i++)
		mb_arb_rest(m, &m->peers[i]);
	mb_set_self(m, MB_ISOLATED, "R9");
	m->by_pings = false;
}

void
mb_isolated_by_pings(struct mb *m)
{
	isolate(m, "no ping node answers and the peer is silent");
	m->by_pings |= m->self == MB_ISOLATED;
}

/*
 * Is this node cut off, by its own carriers?  A direct cable loses its carrier
 * with the other machine, so links alone say nothing while an interface that
 * leads elsewhere has one, or a ping node answers.
 */
static bool
no_carrier(const struct mb *m)
{
	for (unsigned l = 0; l < m->conf.n_links; l++)
		if (!m->carrier_lost[l])
			return false;
	return (!m->conf.outside || m->carrier_lost[MB_OUTSIDE]) &&
	       (!m->conf.pings || m->pings_lost);
}

static void
isolated_by_carrier(struct mb *m)
{
	if (no_carrier(m))
		isolate(m, "carrier lost on every own interface");
}

static void
on_carrier(struct mb *m, const struct mb_event *e)
{
	uint8_t link = e->u.carrier.link;

	if (link >= m->conf.n_links && link != MB_OUTSIDE)
		return;
	m->carrier_lost[link] = !e->u.carrier.up;
	for (unsigned i = 0; i < m->n_peers; i++)
		mb_peer_jeopardy(m, &m->peers[i]);
	isolated_by_carrier(m);
	if (m->self == MB_ISOLATED && !m->by_pings && e->u.carrier.up) {
		mb_say(m, HAD_INFO, "R9", "carrier is back on %s",
		    link == MB_OUTSIDE ? "an interface of addresses"
				       : m->conf.links[link]);
		mb_pair_ask(m);
	}
}

/* Negative evidence hands over, never takes. */
static void
on_pings(struct mb *m, const struct mb_event *e)
{
	if (!m->conf.pings || m->pings_lost == !e->u.pings.any)
		return;
	m->pings_lost = !e->u.pings.any;
	mb_say(m, m->pings_lost ? HAD_WARN : HAD_INFO, "R9", "%s",
	    m->pings_lost ? "no ping node answers" : "ping nodes answer");
	isolated_by_carrier(m);
	if (!m->pings_lost && m->self == MB_ISOLATED && m->by_pings) {
		m->by_pings = false;
		mb_pair_ask(m);
	}
}

static void
on_advert(struct mb *m, const struct mb_event *e)
{
	struct peer *p = mb_find(m, e->u.advert.peer);

	if (p != NULL)
		p->advert = m->now;
}

static void
on_verdict(struct mb *m, const struct mb_event *e)
{
	struct peer *p = mb_find(m, e->u.verdict.peer);

	if (p != NULL)
		mb_arb_verdict(m, p, e);
}

static void
on_arbiter(struct mb *m, const struct mb_event *e)
{
	if (!mb_arb_configured(m))
		return;
	m->fence_ms = e->u.arbiter.fence_ms;
	mb_arb_spent(m, e->u.arbiter.spent);
	if (m->arbiter_works == e->u.arbiter.working)
		return;
	m->arbiter_works = e->u.arbiter.working;
	mb_say(m, m->arbiter_works ? HAD_INFO : HAD_WARN, "R2",
	    m->arbiter_works ? "an arbiter can decide"
			     : "no arbiter could decide now");
	for (unsigned i = 0; i < m->n_peers; i++)
		mb_peer_jeopardy(m, &m->peers[i]);
}

/* One number for all that share a device. */
static void
on_domain(struct mb *m, const struct mb_event *e)
{
	uint8_t link = e->u.domain.link, other = e->u.domain.other;
	uint8_t from, to;

	if (link >= m->conf.n_links || other >= m->conf.n_links)
		return;
	from = m->domain[link];
	to = m->domain[other];
	if (from == to)
		return;
	mb_say(m, HAD_WARN, "R2",
	    "links %s and %s share a device: one link domain",
	    m->conf.links[link], m->conf.links[other]);
	for (unsigned l = 0; l < m->conf.n_links; l++)
		if (m->domain[l] == from)
			m->domain[l] = to;
	for (unsigned i = 0; i < m->n_peers; i++)
		mb_peer_jeopardy(m, &m->peers[i]);
}

static void
on_holds(struct mb *m, const struct mb_event *e)
{
	if (m->holds_data == e->u.holds.data)
		return;
	m->holds_data = e->u.holds.data;
	mb_arb_holds(m);
}

static void
on_msg(struct mb *m, const struct mb_event *e)
{
	struct peer *p = mb_find(m, e->u.msg.from);
	struct mb_msg v;
	const char *why;

	if (p == NULL)
		return;
	if (mb_msg_decode(&v, e->u.msg.bytes, e->u.msg.len, &why) == -1) {
		mb_say(m, HAD_WARN, "",
		    "a membership message of %s is refused: %s", p->name, why);
		return;
	}
	if (v.incarnation == p->dead)
		return;
	if (v.incarnation != p->incarnation)
		mb_peer_incarnation(m, p, v.incarnation, v.epoch);
	if (v.type == MB_MSG_GOODBYE)
		mb_pair_goodbye(m, p, &v);
	else
		mb_pair_view(m, p, &v);
}

static void
on_aborted(struct mb *m, const struct mb_event *e)
{
	struct peer *p = mb_find(m, e->u.aborted.peer);

	if (p != NULL)
		mb_peer_aborted(m, p);
}

static void
on_refused(struct mb *m, const struct mb_event *e)
{
	struct peer *p = mb_find(m, e->u.refused.peer);

	if (p == NULL || e->u.refused.link >= m->conf.n_links)
		return;
	mb_peer_refused(m, p, e->u.refused.link);
	mb_pair_refused(m, p);
}

static void
on_kernel_alive(struct mb *m, const struct mb_event *e)
{
	struct peer *p = mb_find(m, e->u.kernel_alive.peer);

	if (p == NULL)
		return;
	/* Answers far apart may have a cut between them. */
	if (mt_before(p->kernel_since, p->last) ||
	    mb_ago_ms(m, p->kernel) > m->conf.dead_ms / 2)
		p->kernel_since = m->now;
	p->kernel = m->now;
	mb_peer_tick(m, p);
}

static void
on_data(struct mb *m, const struct mb_event *e)
{
	m->data_behind = !e->u.data.current;
}

static void
on_newer_epoch(struct mb *m, const struct mb_event *e)
{
	struct peer *p = mb_find(m, e->u.newer.from);

	if (p != NULL)
		mb_pair_newer(m, p, e->u.newer.epoch);
}

static void
on_persisted(struct mb *m, const struct mb_event *e)
{
	/* An older one was overtaken by another decision. */
	if (!m->writing || e->u.persisted.serial != m->want.serial)
		return;
	m->writing = false;
	if (e->u.persisted.ok) {
		m->record = m->want;
		m->retry_ms = 0;
		mb_pair_done(m);
		return;
	}
	mb_say(m, HAD_ERR, "R8",
	    "the record of epoch %llu cannot be written: the decision waits",
	    (unsigned long long)m->want.epoch);
	if (m->goal == GOAL_STOP) {
		mb_pair_done(m);
		return;
	}
	if (m->seeding) {
		m->seeding = false;
		m->ops->reply(m->ctx, m->seed_token, false,
		    "the record cannot be written; it is tried again");
	}
	m->retry_ms = m->retry_ms == 0 ? m->conf.dead_ms : m->retry_ms * 2;
	if (m->retry_ms > RETRY_MAX_MS)
		m->retry_ms = RETRY_MAX_MS;
	m->retry_at = mt_add_ms(m->now, m->retry_ms);
}

static void
seed_answer(
    struct mb *m, const struct mb_event *e, bool ok, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	m->ops->reply(m->ctx, e->u.seed.token, ok, text);
}

/* R1: the operator vouches that the peer is down. */
static void
on_seed(struct mb *m, const struct mb_event *e)
{
	struct peer *p = mb_find(m, e->u.seed.peer);

	if (p == NULL) {
		seed_answer(m, e, false, "there is no such peer");
		return;
	}
	if (mb_peer_fresh(m, p)) {
		seed_answer(m, e, false, "%s is not down: heard %lld ms ago",
		    p->name, (long long)mb_ago_ms(m, p->last));
		return;
	}
	if (m->seeding || m->goal == GOAL_ALONE) {
		seed_answer(m, e, false, "a decision is under way already");
		return;
	}
	mb_say(m, HAD_WARN, "R1", "the operator says that %s is down", p->name);
	if (m->self == MB_ALONE) {
		m->own_right = true;
		mb_set_self(m, MB_ALONE, "R1");
		seed_answer(m, e, true, "this node acts alone already");
		return;
	}
	m->seeding = true;
	m->seed_token = e->u.seed.token;
	mb_pair_alone(m, p, MB_PEER_GONE, "R1", true);
}

static void
on_seed_refused(struct mb *m, const struct mb_event *e)
{
	seed_answer(m, e, false, "this node is %s", mb_self_name(m->self));
}

/*
 * For so long the peer was not silent: this node was deaf.  And mute: what the
 * peer has heard of it is as old as it is, and others count from that.
 */
static void
shift_silence(struct mb *m, int64_t us)
{
	for (unsigned i = 0; i < m->n_peers; i++) {
		struct peer *p = &m->peers[i];

		/* R2 goes by what was: a short one does not blur it. */
		if (us > (int64_t)m->conf.lease_ms * 1000)
			mb_peer_shift(m, p, us);
		if (p->last.us != 0)
			p->last = mt_min(m->now, mt_add_us(p->last, us));
		if (p->word.us != 0)
			p->word = mt_min(m->now, mt_add_us(p->word, us));
		if (p->deaf.us != 0)
			p->deaf = mt_min(m->now, mt_add_us(p->deaf, us));
	}
}

/*
 * What the peer has heard of this node is so old that it may have counted it
 * as dead: it may have been deaf itself before, so a short pause is enough.
 */
static bool
unheard_for(const struct mb *m, uint32_t ms)
{
	if (m->self != MB_PAIRED)
		return false;
	for (unsigned i = 0; i < m->n_peers; i++) {
		const struct peer *p = &m->peers[i];

		if (p->verdict == MB_PEER_ALIVE && p->reached.us != 0 &&
		    mb_ago_ms(m, p->reached) >= ms)
			return true;
	}
	return false;
}

/*
 * R8, self-thaw.  Beyond the lease this node's guard has closed and the peer
 * may be about to act; beyond takeover_ms it may have acted.  Alone, only an
 * operator can have let the peer act, and not in less than takeover_ms.
 */
static void
on_gap(struct mb *m, const struct mb_event *e)
{
	int64_t us = e->u.gap.us, limit;
	bool old;

	ASSERT(us >= 0);
	shift_silence(m, us);
	/* The guard has not closed, and the peer cannot be about to act. */
	old = unheard_for(m, m->conf.dead_ms);
	if (us <= (int64_t)m->conf.lease_ms * 1000 && !old)
		return;
	/* Who ends does not come back to ask: it acts no more. */
	m->stop_acts = false;
	if (m->self == MB_INERT)
		mb_view_changed(m);
	if (m->n_peers == 0 || m->goal == GOAL_ALONE ||
	    (m->self != MB_PAIRED && m->self != MB_ALONE &&
		m->self != MB_DOUBT))
		return;
	limit = m->self == MB_PAIRED ? m->conf.lease_ms : m->conf.takeover_ms;
	if (m->self != MB_DOUBT && us <= limit * 1000 && !old)
		return;
	if (m->self != MB_DOUBT)
		m->may_have_acted = false;
	if (us >=
		(int64_t)(m->conf.takeover_ms - m->conf.heartbeat_ms) * 1000 ||
	    unheard_for(m, m->conf.takeover_ms))
		m->may_have_acted = true;
	mb_say(m, HAD_WARN, "R8",
	    "did not run for %lld ms: vouch for nothing until %s says what "
	    "happened",
	    (long long)(us / 1000), m->peers[0].name);
	mb_pair_doubt(m, m->self == MB_DOUBT ? m->doubt_from : m->self, "R8");
}

static void
on_stop(struct mb *m, const struct mb_event *e)
{
	(void)e;
	m->challenge = 0;
	m->stop_acts = m->self == MB_PAIRED;
	mb_say(m, HAD_INFO, "stop", "the operator stops this node");
	mb_set_self(m, MB_STOPPING, "stop");
}

static void
on_stopped(struct mb *m, const struct mb_event *e)
{
	uint8_t bytes[MB_MSG_SIZE];
	struct mb_msg v = {.type = MB_MSG_GOODBYE, .state = MB_STOPPING};

	(void)e;
	mb_pair_undecide(m);
	v.epoch = m->epoch;
	v.incarnation = m->incarnation;
	for (unsigned i = 0; i < m->n_peers; i++) {
		struct peer *p = &m->peers[i];

		v.seen = p->incarnation;
		v.serial = m->view_serial;
		mb_msg_encode(&v, bytes);
		if (p->incarnation != 0)
			m->ops->send(m->ctx, p->id, bytes, sizeof(bytes));
	}
	m->stop_acts = false;
	mb_say(m, HAD_INFO, "stop", "goodbye");
	mb_persist(m, GOAL_STOP);
}

static void
on_ignored(struct mb *m, const struct mb_event *e)
{
	mb_say(m, HAD_DEBUG, "", "%s is ignored while %s", mb_ev_name(e->type),
	    mb_self_name(m->self));
}

/*
 * Every state answers every event; next is what the action may leave behind.
 * Rows are events; columns OFF, INERT, PAIRED, ALONE, ISOLATED, DOUBT,
 * STOPPING.
 */
struct cell {
	void (*act)(struct mb *, const struct mb_event *);
	uint8_t next;
};
#define S(x) (1u << MB_##x)
#define ROW(ev, ...) [MB_EV_##ev] = {__VA_ARGS__}
#define DO(fn, next) \
	{ \
		fn, next \
	}
#define NO(x) \
	{ \
		on_ignored, S(x) \
	}
#define FROM_INERT (S(INERT) | S(PAIRED) | S(ALONE))
#define FROM_PAIRED (S(PAIRED) | S(INERT) | S(ALONE) | S(ISOLATED))
#define FROM_ALONE (S(ALONE) | S(PAIRED) | S(INERT) | S(DOUBT))
#define FROM_ISOLATED (S(ISOLATED) | S(PAIRED) | S(INERT) | S(ALONE))
#define FROM_DOUBT (S(DOUBT) | S(PAIRED) | S(ALONE) | S(INERT) | S(ISOLATED))
/* The same action in every state but OFF. */
#define ALL(ev, fn) \
	ROW(ev, NO(OFF), DO(fn, FROM_INERT), DO(fn, FROM_PAIRED), \
	    DO(fn, FROM_ALONE), DO(fn, FROM_ISOLATED), DO(fn, FROM_DOUBT), \
	    DO(fn, S(STOPPING)))

/* clang-format off */
static const struct cell table[MB_EV_N][MB_SELF_N] = {
	ROW(START, DO(on_start, S(INERT)), NO(INERT), NO(PAIRED), NO(ALONE),
	    NO(ISOLATED), NO(DOUBT), NO(STOPPING)),
	ALL(TIMER, on_timer),
	ALL(HEARD, on_heard),
	ROW(LINK, NO(OFF), DO(on_link, S(INERT)), DO(on_link, S(PAIRED)),
	    DO(on_link, S(ALONE)), DO(on_link, S(ISOLATED)),
	    DO(on_link, S(DOUBT)), DO(on_link, S(STOPPING))),
	ROW(CARRIER, NO(OFF), DO(on_carrier, S(INERT)),
	    DO(on_carrier, S(PAIRED) | S(ISOLATED)),
	    DO(on_carrier, S(ALONE)), DO(on_carrier, S(ISOLATED)),
	    DO(on_carrier, S(DOUBT) | S(ISOLATED)),
	    DO(on_carrier, S(STOPPING))),
	ALL(MSG, on_msg),
	ALL(ABORTED, on_aborted),
	ALL(REFUSED, on_refused),
	ALL(KERNEL_ALIVE, on_kernel_alive),
	ALL(NEWER_EPOCH, on_newer_epoch),
	ALL(PERSISTED, on_persisted),
	ROW(DATA, DO(on_data, S(OFF)), DO(on_data, S(INERT)),
	    DO(on_data, S(PAIRED)), DO(on_data, S(ALONE)),
	    DO(on_data, S(ISOLATED)), DO(on_data, S(DOUBT)),
	    DO(on_data, S(STOPPING))),
	ROW(SEED, DO(on_seed_refused, S(OFF)), DO(on_seed, S(INERT)),
	    DO(on_seed, S(PAIRED)), DO(on_seed, S(ALONE)),
	    DO(on_seed, S(ISOLATED)), DO(on_seed, S(DOUBT)),
	    DO(on_seed_refused, S(STOPPING))),
	ROW(GAP, NO(OFF), DO(on_gap, S(INERT)), DO(on_gap, S(PAIRED) | S(DOUBT)),
	    DO(on_gap, S(ALONE) | S(DOUBT)), DO(on_gap, S(ISOLATED)),
	    DO(on_gap, S(DOUBT)), DO(on_gap, S(STOPPING))),
	ROW(VERDICT, NO(OFF), DO(on_verdict, S(INERT)),
	    DO(on_verdict, S(PAIRED) | S(INERT) | S(ALONE)),
	    DO(on_verdict, S(ALONE)), DO(on_verdict, S(ISOLATED)),
	    DO(on_verdict, S(DOUBT)), DO(on_verdict, S(STOPPING))),
	ROW(ARBITER, DO(on_arbiter, S(OFF)), DO(on_arbiter, S(INERT)),
	    DO(on_arbiter, S(PAIRED)), DO(on_arbiter, S(ALONE)),
	    DO(on_arbiter, S(ISOLATED)), DO(on_arbiter, S(DOUBT)),
	    DO(on_arbiter, S(STOPPING))),
	ROW(DOMAIN, DO(on_domain, S(OFF)), DO(on_domain, S(INERT)),
	    DO(on_domain, S(PAIRED)), DO(on_domain, S(ALONE)),
	    DO(on_domain, S(ISOLATED)), DO(on_domain, S(DOUBT)),
	    DO(on_domain, S(STOPPING))),
	ROW(PINGS, DO(on_pings, S(OFF)), DO(on_pings, S(INERT)),
	    DO(on_pings, S(PAIRED) | S(ISOLATED)), DO(on_pings, S(ALONE)),
	    DO(on_pings, S(ISOLATED)), DO(on_pings, S(DOUBT) | S(ISOLATED)),
	    DO(on_pings, S(STOPPING))),
	ROW(ADVERT, DO(on_advert, S(OFF)), DO(on_advert, S(INERT)),
	    DO(on_advert, S(PAIRED)), DO(on_advert, S(ALONE)),
	    DO(on_advert, S(ISOLATED)), DO(on_advert, S(DOUBT)),
	    DO(on_advert, S(STOPPING))),
	ROW(HOLDS, DO(on_holds, S(OFF)), DO(on_holds, S(INERT)),
	    DO(on_holds, S(PAIRED)), DO(on_holds, S(ALONE)),
	    DO(on_holds, S(ISOLATED)), DO(on_holds, S(DOUBT)),
	    DO(on_holds, S(STOPPING))),
	ROW(STOP, NO(OFF), DO(on_stop, S(STOPPING)), DO(on_stop, S(STOPPING)),
	    DO(on_stop, S(STOPPING)), DO(on_stop, S(STOPPING)),
	    DO(on_stop, S(STOPPING)), NO(STOPPING)),
	ROW(STOPPED, NO(OFF), NO(INERT), NO(PAIRED), NO(ALONE), NO(ISOLATED),
	    NO(DOUBT), DO(on_stopped, S(STOPPING))),
};
/* clang-format on */

static monotime_t
next_deadline(const struct mb *m)
{
	monotime_t at = mt_min(m->retry_at, mb_pair_deadline(m));

	if (m->n_peers > 0)
		at = mt_min(at, mb_arb_boot_deadline(m));

	for (unsigned i = 0; i < m->n_peers; i++)
		at = mt_min(at, mb_peer_deadline(m, &m->peers[i]));
	return at;
}

void
mb_step(struct mb *m, const struct mb_event *e)
{
	const struct cell *cell;

	ASSERT(!m->stepping);
	ASSERT((unsigned)e->type < MB_EV_N);
	ASSERT(!mt_before(e->now, m->now));
	m->stepping = true;
	m->now = e->now;
	if (m->ops->cell != NULL)
		m->ops->cell(m->ctx, e->type, m->self);
	cell = &table[e->type][m->self];
	cell->act(m, e);
	ASSERT((cell->next >> m->self & 1) != 0);
	if (m->self != MB_OFF)
		m->ops->timer(m->ctx, next_deadline(m));
	m->stepping = false;
}

bool
mb_deciding(const struct mb *m)
{
	return m->goal == GOAL_ALONE;
}

void
mb_status(const struct mb *m, struct mb_status *s)
{
	memset(s, 0, sizeof(*s));
	s->self = m->self;
	s->rule = m->rule;
	s->own_right = m->own_right;
	s->persisting = m->writing || m->retry_at.us != INT64_MAX;
	s->epoch = m->epoch;
	s->incarnation = m->incarnation;
	s->solo = m->record.solo;
	s->seeds = m->record.seeds;
	s->demoted = m->demoted;
	s->arbiter_works = m->arbiter_works;
	s->since = m->since;
	s->n_peers = (uint8_t)m->n_peers;
	for (unsigned i = 0; i < m->n_peers; i++) {
		const struct peer *p = &m->peers[i];

		s->jeopardy |= p->jeopardy;
		s->peers[i].id = p->id;
		s->peers[i].verdict = p->verdict;
		s->peers[i].rule = p->rule;
		s->peers[i].stateless_gone = p->stateless_gone;
		s->peers[i].state = p->view_known ? p->view.state : MB_OFF;
		s->peers[i].incarnation = p->incarnation;
		s->peers[i].epoch = p->view_known ? p->view.epoch : 0;
		s->peers[i].heard = p->last;
		s->peers[i].mutual = mt_min(p->last, p->reached);
		s->peers[i].since = p->since;
		s->peers[i].arbitrating = p->asked != 0;
		s->peers[i].leased = p->leased;
		s->peers[i].solo = p->solo;
		for (unsigned l = 0; l < m->conf.n_links; l++)
			if (p->heard[l].us != 0 && !p->link_down[l] &&
			    mb_ago_ms(m, p->heard[l]) <= m->conf.dead_ms)
				s->peers[i].links_up |= (uint8_t)(1u << l);
	}
}
