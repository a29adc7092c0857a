/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arb_world.h"

struct world W;
const struct config *config;
const char *broken;

static struct mb *mbs[NODES]; /* owned */
struct mb *const *mb_cores = mbs;
static struct arb *arbs[NODES]; /* owned */
struct arb *const *arb_cores = arbs;
static uint8_t fresh_mb[NODES][MB_USED], fresh_arb[NODES][ARB_USED];

/* What a core has for the other, once its step is over. */
enum inner_type { IN_WANT, IN_REST, IN_VERDICT, IN_ARBITER, IN_HOLDS };
static struct inner {
	enum inner_type type;
	unsigned node;
	uint64_t epoch;
	bool active, verify, working;
	enum arb_verdict verdict;
	uint32_t fence_ms;
} inner[64];
static unsigned n_inner;

_Noreturn void
had_assert_fail(const char *file, int line, const char *expr)
{
	printf("%s:%d: assertion failed: %s\n", file, line, expr);
	fflush(NULL);
	_Exit(3);
}

static unsigned
index_of(void *ctx)
{
	return (unsigned)((struct node *)ctx - W.node);
}

static struct inner *
put(enum inner_type type, unsigned i)
{
	struct inner *in;

	ASSERT(n_inner < NITEMS(inner));
	in = &inner[n_inner++];
	memset(in, 0, sizeof(*in));
	in->type = type;
	in->node = i;
	return in;
}

static struct mail *
mail(int what, unsigned to, int64_t ms)
{
	struct mail *m;

	ASSERT(W.n_mails < MAILS);
	m = &W.mails[W.n_mails++];
	memset(m, 0, sizeof(*m));
	m->what = what;
	m->to = (uint8_t)to;
	m->boot = W.node[to].boot;
	m->due = mt_add_ms(W.now, ms);
	return m;
}

static bool
way(unsigned from, unsigned link)
{
	return !W.cut[link][from] && W.node[0].powered && W.node[1].powered;
}

static bool
both_ways(unsigned link)
{
	return way(0, link) && way(1, link);
}

bool
world_any_both_ways(void)
{
	return both_ways(0) || both_ways(1);
}

/* An association: both daemons are there, and a path. */
static bool
joined(void)
{
	return W.node[0].running && W.node[1].running && world_any_both_ways();
}

static void
mb_send(void *ctx, uint8_t to, const uint8_t *bytes, size_t len)
{
	ASSERT(len == MB_MSG_SIZE);
	if (joined())
		memcpy(mail(M_MSG, to - 1u, TICK_MS)->bytes, bytes, len);
	(void)ctx;
}

static void
mb_timer(void *ctx, monotime_t at)
{
	((struct node *)ctx)->mb_at = at;
}

static void
mb_persist_op(void *ctx, const struct sf_record *r, uint64_t serial)
{
	struct mail *m = mail(M_DISK, index_of(ctx), TICK_MS);

	m->record = *r;
	m->serial = serial;
}

static void
note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx;
	(void)level;
	(void)rule;
	(void)object;
	(void)text;
}

static void
hold(unsigned i, bool on)
{
	if (W.node[i].holds == on)
		return;
	W.node[i].holds = on;
	put(IN_HOLDS, i);
}

static void
mb_self(void *ctx, enum mb_self s, bool own_right, const char *rule)
{
	struct node *n = ctx;

	(void)rule;
	n->self = s;
	n->own_right = own_right;
	if (s == MB_INERT || s == MB_ISOLATED || s == MB_STOPPING)
		hold(index_of(ctx), false);
	/* Only with data known to be the newest. */
	if (s == MB_ALONE && own_right)
		hold(index_of(ctx), true);
}

static void
mb_peer_op(void *ctx, uint8_t id, enum mb_peer verdict, bool stateless_gone,
    const char *rule)
{
	(void)id;
	(void)stateless_gone;
	(void)rule;
	((struct node *)ctx)->verdict = verdict;
}

static void
mb_arbitrate(
    void *ctx, uint8_t peer, uint64_t epoch, bool active, bool verify_only)
{
	struct inner *in = put(epoch == 0 ? IN_REST : IN_WANT, index_of(ctx));

	(void)peer;
	in->epoch = epoch;
	in->active = active;
	in->verify = verify_only;
}

static void
mb_demote(void *ctx, bool on)
{
	struct node *n = ctx;

	n->no_data = on;
	if (on)
		hold(index_of(ctx), false);
	else if (n->self == MB_ALONE && n->own_right)
		hold(index_of(ctx), true);
}

static void
mb_epoch(void *ctx, uint64_t epoch)
{
	((struct node *)ctx)->epoch = epoch;
}

static void
mb_reply(void *ctx, uint64_t token, bool ok, const char *text)
{
	(void)ctx;
	(void)token;
	(void)ok;
	(void)text;
}

static void
mb_done(void *ctx)
{
	(void)ctx;
}

static const struct mb_ops mb_ops = {.send = mb_send,
    .timer = mb_timer,
    .persist = mb_persist_op,
    .note = note,
    .self = mb_self,
    .peer = mb_peer_op,
    .arbitrate = mb_arbitrate,
    .demote = mb_demote,
    .epoch = mb_epoch,
    .reply = mb_reply,
    .done = mb_done};

static void
arb_timer(void *ctx, monotime_t at)
{
	((struct node *)ctx)->arb_at = at;
}

/* The voter decides when the question arrives: at once. */
static void
arb_vote_op(void *ctx, uint8_t voter, uint64_t epoch)
{
	unsigned i = index_of(ctx);
	struct mail *m;

	ASSERT(voter == 0);
	m = mail(M_VOTE, i, TICK_MS);
	m->serial = epoch;
	if (W.voter_down || W.voter_cut[i]) {
		m->vote = ARB_VOTE_UNREACHABLE;
		return;
	}
	if (epoch > W.voter_epoch) {
		W.voter_epoch = epoch;
		W.voter_holder = (uint8_t)(i + 1);
	}
	m->vote = epoch == W.voter_epoch && W.voter_holder == i + 1
		      ? ARB_VOTE_GRANTED
		      : ARB_VOTE_DENIED;
	m->holder = W.voter_holder;
	m->holder_epoch = W.voter_epoch;
}

void
world_power_off(unsigned i)
{
	W.node[i].powered = W.node[i].running = W.node[i].frozen = false;
	W.node[i].holds = false;
	W.node[i].token = 0;
}

static void
arb_fence_op(void *ctx, uint8_t peer, uint8_t level, enum arb_action action,
    uint32_t token)
{
	struct node *n = ctx;
	unsigned target = peer - 1u;
	struct mail *m;

	ASSERT(level == 0 && config->fences);
	if (action == ARB_DO_OFF && n->denied)
		broken = "I5: the loser fences";
	n->token = token;
	if (W.agent[target] == AGENT_HANGS)
		return;
	m = mail(M_FENCED, index_of(ctx), OFF_MS);
	m->serial = token;
	if (W.agent[target] == AGENT_FAILS) {
		m->result = ARB_RES_FAILED;
	} else if (action == ARB_DO_OFF) {
		m->result = ARB_RES_OK;
		if (W.agent[target] == AGENT_GOOD)
			W.off_at[target] = mt_add_ms(W.now, OFF_MS);
	} else if (action == ARB_DO_STATUS) {
		bool off = !W.node[target].powered;

		if (!off && W.agent[target] == AGENT_LIES)
			off = W.lied = true;
		m->result = off ? ARB_RES_IS_OFF : ARB_RES_IS_ON;
	}
}

static void
arb_cancel(void *ctx, uint32_t token)
{
	struct node *n = ctx;

	if (n->token == token)
		n->token = 0;
}

static void
arb_verdict_op(void *ctx, uint8_t peer, enum arb_verdict v, uint64_t epoch,
    const char *rule, const char *text)
{
	struct inner *in = put(IN_VERDICT, index_of(ctx));

	(void)peer;
	(void)rule;
	(void)text;
	in->verdict = v;
	in->epoch = epoch;
	if (v == ARB_VERDICT_DENIED)
		((struct node *)ctx)->denied = true;
}

static void
arb_spent(void *ctx, uint64_t epoch)
{
	put(IN_ARBITER, index_of(ctx))->epoch = epoch;
}

static void
arb_working(void *ctx, bool working, uint32_t fence_ms)
{
	struct inner *in = put(IN_ARBITER, index_of(ctx));

	in->working = working;
	in->fence_ms = fence_ms;
}

static void
arb_reply(void *ctx, uint64_t token, bool ok, const char *text)
{
	(void)ctx;
	(void)token;
	(void)ok;
	(void)text;
}

static const struct arb_ops arb_ops = {.timer = arb_timer,
    .note = note,
    .vote = arb_vote_op,
    .fence = arb_fence_op,
    .cancel = arb_cancel,
    .verdict = arb_verdict_op,
    .spent = arb_spent,
    .working = arb_working,
    .reply = arb_reply};

static void
one_inner(const struct inner *in)
{
	static const enum mb_verdict to[] = {
	    [ARB_VERDICT_OFF] = MB_VERDICT_OFF,
	    [ARB_VERDICT_LEASE] = MB_VERDICT_LEASE,
	    [ARB_VERDICT_DENIED] = MB_VERDICT_DENIED,
	    [ARB_VERDICT_FROZEN] = MB_VERDICT_FROZEN,
	};
	unsigned i = in->node;
	uint8_t other = (uint8_t)(2 - i);
	struct mb_event m = {.now = W.now};
	struct arb_event a = {.now = W.now};

	switch (in->type) {
	case IN_WANT:
		W.node[i].denied = false;
		a.type = ARB_EV_WANT;
		a.u.want.peer = other;
		a.u.want.epoch = in->epoch;
		a.u.want.active = in->active;
		/* As src/node_arb.c, with beats that told no holder. */
		a.u.want.last = !in->active && i == 1;
		a.u.want.verify_only = in->verify;
		arb_step(arbs[i], &a);
		return;
	case IN_REST:
		W.node[i].denied = false;
		a.type = ARB_EV_REST;
		a.u.rest.peer = other;
		arb_step(arbs[i], &a);
		return;
	case IN_VERDICT:
		m.type = MB_EV_VERDICT;
		m.u.verdict.peer = other;
		m.u.verdict.verdict = to[in->verdict];
		m.u.verdict.epoch = in->epoch;
		break;
	case IN_ARBITER:
		m.type = MB_EV_ARBITER;
		m.u.arbiter.working = arbs[i]->working;
		m.u.arbiter.fence_ms = arbs[i]->told_fence_ms;
		m.u.arbiter.spent = in->epoch;
		break;
	case IN_HOLDS:
		m.type = MB_EV_HOLDS;
		m.u.holds.data = W.node[i].holds;
		break;
	}
	mb_step(mbs[i], &m);
}

static void
settle(void)
{
	for (unsigned k = 0; k < n_inner; k++) {
		struct inner in = inner[k];

		if (W.node[in.node].running)
			one_inner(&in);
	}
	n_inner = 0;
}

void
world_mb_give(unsigned i, struct mb_event e)
{
	e.now = W.now;
	mb_step(mbs[i], &e);
	settle();
}

static void
arb_give(unsigned i, struct arb_event e)
{
	e.now = W.now;
	arb_step(arbs[i], &e);
	settle();
}

static uint64_t
incarnation(unsigned i)
{
	return 100 * (i + 1) + W.node[i].boot;
}

static void
put_back(unsigned i, const uint8_t *mb, const uint8_t *arb)
{
	memcpy((uint8_t *)mbs[i] + MB_FROM, mb, MB_USED);
	memcpy((uint8_t *)arbs[i] + ARB_FROM, arb, ARB_USED);
}

static void
take_copy(unsigned i, uint8_t *mb, uint8_t *arb)
{
	memcpy(mb, (uint8_t *)mbs[i] + MB_FROM, MB_USED);
	memcpy(arb, (uint8_t *)arbs[i] + ARB_FROM, ARB_USED);
}

void
world_boot(unsigned i)
{
	struct node *n = &W.node[i];
	struct mb_event e = {.type = MB_EV_START};

	n->powered = n->running = true;
	W.shot &= (uint8_t) ~(1u << i);
	n->frozen = n->holds = n->no_data = n->denied = false;
	n->boot++;
	n->verdict = MB_PEER_UNKNOWN;
	n->mb_at = n->arb_at = MT_NEVER;
	n->token = 0;
	n->stepped = W.now;
	memset(n->heard, 0, sizeof(n->heard));
	memset(n->link_up, 0, sizeof(n->link_up));
	memset(n->reached, 0, sizeof(n->reached));
	put_back(i, fresh_mb[i], fresh_arb[i]);
	arb_give(i, (struct arb_event){.type = ARB_EV_START});
	e.u.start.incarnation = incarnation(i);
	e.u.start.seed = incarnation(i);
	e.u.start.record = n->has_record ? &n->record : NULL;
	n->epoch = n->has_record ? n->record.epoch : 0;
	world_mb_give(i, e);
	if (config->voter)
		arb_give(i, (struct arb_event){.type = ARB_EV_VOTER,
				.u.voter = {0, true, 0, 0}});
}

static void
take_mail(const struct mail *m)
{
	struct node *n = &W.node[m->to];
	struct mb_event e = {.type = MB_EV_MSG};
	struct arb_event a = {.type = ARB_EV_VOTE};

	if (m->what == M_DISK) {
		n->record = m->record;
		n->has_record = true;
		e.type = MB_EV_PERSISTED;
		e.u.persisted.serial = m->serial;
		e.u.persisted.ok = true;
		world_mb_give(m->to, e);
	} else if (m->what == M_MSG) {
		e.u.msg.from = (uint8_t)(2 - m->to);
		e.u.msg.bytes = m->bytes;
		e.u.msg.len = MB_MSG_SIZE;
		world_mb_give(m->to, e);
	} else if (m->what == M_VOTE) {
		a.u.vote.epoch = m->serial;
		a.u.vote.vote = m->vote;
		a.u.vote.holder = m->holder;
		a.u.vote.holder_epoch = m->holder_epoch;
		arb_give(m->to, a);
	} else if (m->serial == n->token) {
		a.type = ARB_EV_FENCED;
		a.u.fenced.token = (uint32_t)m->serial;
		a.u.fenced.result = m->result;
		arb_give(m->to, a);
	}
}

bool
world_awake(unsigned i)
{
	return W.node[i].running && !W.node[i].frozen;
}

static void
mails(unsigned i)
{
	for (unsigned k = 0; k < W.n_mails;) {
		struct mail m = W.mails[k];

		if (m.to != i || mt_before(W.now, m.due) ||
		    (W.node[i].running && W.node[i].frozen)) {
			k++;
			continue;
		}
		memmove(&W.mails[k], &W.mails[k + 1],
		    (--W.n_mails - k) * sizeof(m));
		/* The sender's end may be gone by now. */
		if (W.node[i].running && m.boot == W.node[i].boot &&
		    (m.what != M_MSG || joined()))
			take_mail(&m);
	}
}

static void
beats(unsigned i)
{
	struct node *n = &W.node[i], *o = &W.node[1 - i];

	for (uint8_t l = 0; l < LINKS; l++) {
		struct mb_event e = {.type = MB_EV_HEARD};
		bool old = n->link_up[l];

		if (world_awake(1 - i) && way(1 - i, l)) {
			n->heard[l] = W.now;
			o->reached[l] = W.now;
			e.u.heard.from = (uint8_t)(2 - i);
			e.u.heard.link = l;
			e.u.heard.incarnation = incarnation(1 - i);
			e.u.heard.epoch = o->epoch;
			e.u.heard.acts =
			    o->self == MB_PAIRED || o->self == MB_ALONE;
			e.u.heard.reached = n->reached[l];
			e.u.heard.one_way =
			    n->reached[l].us == 0 ||
			    mt_sub_us(W.now, n->reached[l]) > 300 * 1000;
			world_mb_give(i, e);
		}
		n->link_up[l] = n->heard[l].us != 0 &&
				mt_sub_us(W.now, n->heard[l]) <= 300 * 1000;
		if (old == n->link_up[l])
			continue;
		e = (struct mb_event){.type = MB_EV_LINK};
		e.u.link.peer = (uint8_t)(2 - i);
		e.u.link.link = l;
		e.u.link.up = n->link_up[l];
		world_mb_give(i, e);
	}
}

/* What the peer's kernel answers. */
static void
kernels(unsigned i)
{
	struct node *o = &W.node[1 - i];

	for (uint8_t l = 0; l < LINKS; l++) {
		struct mb_event e = {.type = MB_EV_REFUSED};

		if (!both_ways(l))
			continue;
		if (o->running) {
			e.type = MB_EV_KERNEL_ALIVE;
			e.u.kernel_alive.peer = (uint8_t)(2 - i);
			e.u.kernel_alive.link = l;
		} else {
			e.u.refused.peer = (uint8_t)(2 - i);
			e.u.refused.link = l;
		}
		world_mb_give(i, e);
	}
}

/* The service starts where both agree that it runs nowhere: on the first. */
static void
service(void)
{
	struct node *a = &W.node[0], *b = &W.node[1];

	if (world_awake(0) && world_awake(1) && a->self == MB_PAIRED &&
	    b->self == MB_PAIRED && a->verdict == MB_PEER_ALIVE &&
	    b->verdict == MB_PEER_ALIVE && !a->holds && !b->holds &&
	    !a->no_data && joined()) {
		hold(0, true);
		settle();
	}
}

static void
run_node(unsigned i)
{
	struct node *n = &W.node[i];
	int64_t gap = mt_sub_us(W.now, n->stepped);

	mails(i);
	if (!world_awake(i))
		return;
	if (gap > 200 * 1000)
		world_mb_give(
		    i, (struct mb_event){.type = MB_EV_GAP, .u.gap.us = gap});
	n->stepped = W.now;
	beats(i);
	if (world_awake(i))
		kernels(i);
	if (world_awake(i) && !mt_before(W.now, n->arb_at)) {
		n->arb_at = MT_NEVER;
		arb_give(i, (struct arb_event){.type = ARB_EV_TIMER});
	}
	if (world_awake(i) && !mt_before(W.now, n->mb_at)) {
		n->mb_at = MT_NEVER;
		world_mb_give(i, (struct mb_event){.type = MB_EV_TIMER});
	}
}

void
world_tick(void)
{
	W.now = mt_add_ms(W.now, TICK_MS);
	for (unsigned i = 0; i < NODES; i++) {
		if (mt_before(W.now, W.off_at[i]))
			continue;
		W.off_at[i] = MT_NEVER;
		if (W.node[i].powered)
			W.shot |= (uint8_t)(1u << i);
		world_power_off(i);
	}
	run_node(0);
	run_node(1);
	service();
}

static size_t
used(const struct world *w)
{
	return offsetof(struct world, mails) + w->n_mails * sizeof(w->mails[0]);
}

void
world_save(struct saved *s)
{
	memcpy(&s->w, &W, used(&W));
	for (unsigned i = 0; i < NODES; i++)
		take_copy(i, s->mb[i], s->arb[i]);
}

void
world_load(const struct saved *s)
{
	memcpy(&W, &s->w, used(&s->w));
	for (unsigned i = 0; i < NODES; i++)
		put_back(i, s->mb[i], s->arb[i]);
	broken = NULL;
	n_inner = 0;
}

static void
make(unsigned i)
{
	uint8_t other = (uint8_t)(2 - i);
	struct mb_conf m = {.cluster = "small",
	    .self = (uint8_t)(i + 1),
	    .n_peers = 1,
	    .n_links = LINKS,
	    .domain = {0, 1},
	    .heartbeat_ms = TICK_MS,
	    .lease_ms = 200,
	    .dead_ms = 300,
	    .takeover_ms = config->voter ? 622 : 300,
	    .silent_takeover = !config->voter && !config->fences,
	    .fences = config->fences,
	    .voters = config->voter,
	    .self_demote_ms = config->voter ? 600 : 0};
	struct arb_conf a = {.self = (uint8_t)(i + 1),
	    .n_peers = 1,
	    .n_voters = config->voter,
	    .dead_ms = 300};

	snprintf(m.self_name, sizeof(m.self_name), "node%u", i + 1);
	m.peers[0].id = a.peers[0].id = other;
	snprintf(m.peers[0].name, HAD_NAME_MAX, "node%u", other);
	snprintf(a.peers[0].name, HAD_NAME_MAX, "node%u", other);
	snprintf(m.links[0], HAD_NAME_MAX, "one");
	snprintf(m.links[1], HAD_NAME_MAX, "two");
	snprintf(a.voters[0], HAD_NAME_MAX, "witness");
	a.peers[0].n_levels = config->fences;
	a.peers[0].timeout_ms[0] = 1000;
	snprintf(a.peers[0].agent[0], HAD_NAME_MAX, "agent");
	mbs[i] = mb_new(&m, &mb_ops, &W.node[i]);
	arbs[i] = arb_new(&a, &arb_ops, &W.node[i]);
	if (mbs[i] == NULL || arbs[i] == NULL)
		exit(2);
	take_copy(i, fresh_mb[i], fresh_arb[i]);
}

void
world_begin(const struct config *c)
{
	config = c;
	memset(&W, 0, sizeof(W));
	W.now.us = 1000 * 1000;
	W.off_at[0] = W.off_at[1] = MT_NEVER;
	broken = NULL;
	for (unsigned i = 0; i < NODES; i++)
		make(i);
	for (unsigned i = 0; i < NODES; i++)
		world_boot(i);
}

void
world_end(void)
{
	for (unsigned i = 0; i < NODES; i++) {
		mb_free(mbs[i]);
		arb_free(arbs[i]);
	}
}
