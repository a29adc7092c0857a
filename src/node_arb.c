/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arbitration inside the node: membership's questions go to the arbiters,
 * their verdicts come back; and what else says who is cut off: ping nodes,
 * shared devices, the watchdog.
 */
#include <stdio.h>
#include <string.h>

#include "node_int.h"

static void
op_timer(void *ctx, monotime_t at)
{
	((struct nd *)ctx)->arb_at = at;
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	nd_note(ctx, level, rule, object, text);
}

static void
op_vote(void *ctx, uint8_t voter, uint64_t epoch)
{
	struct nd *nd = ctx;

	nd->ops->vote(nd->ctx, voter, epoch);
}

static void
op_fence(void *ctx, uint8_t peer, uint8_t level, enum arb_action action,
    uint32_t token)
{
	struct nd *nd = ctx;

	nd->ops->fence(nd->ctx, peer, level, action, token);
}

static void
op_cancel(void *ctx, uint32_t token)
{
	struct nd *nd = ctx;

	nd->ops->fence_cancel(nd->ctx, token);
}

static void
op_verdict(void *ctx, uint8_t peer, enum arb_verdict v, uint64_t epoch,
    const char *rule, const char *text)
{
	static const enum mb_verdict to[] = {
	    [ARB_VERDICT_OFF] = MB_VERDICT_OFF,
	    [ARB_VERDICT_LEASE] = MB_VERDICT_LEASE,
	    [ARB_VERDICT_DENIED] = MB_VERDICT_DENIED,
	    [ARB_VERDICT_FROZEN] = MB_VERDICT_FROZEN,
	};
	struct nd_inner *in = nd_inner_put(ctx, ND_IN_MEMBER);

	(void)rule;
	(void)text;
	in->u.member.type = MB_EV_VERDICT;
	in->u.member.u.verdict.peer = peer;
	in->u.member.u.verdict.verdict = to[v];
	in->u.member.u.verdict.epoch = epoch;
}

static void
tell_arbiter(struct nd *nd)
{
	struct nd_inner *in = nd_inner_put(nd, ND_IN_MEMBER);

	in->u.member.type = MB_EV_ARBITER;
	in->u.member.u.arbiter.working = nd->arb_works;
	in->u.member.u.arbiter.fence_ms = nd->fence_ms;
	in->u.member.u.arbiter.spent = nd->spent;
}

static void
op_spent(void *ctx, uint64_t epoch)
{
	struct nd *nd = ctx;

	if (epoch <= nd->spent)
		return;
	nd->spent = epoch;
	tell_arbiter(nd);
}

static void
op_working(void *ctx, bool working, uint32_t fence_ms)
{
	struct nd *nd = ctx;

	nd->arb_works = working;
	nd->fence_ms = fence_ms;
	tell_arbiter(nd);
}

static void
op_reply(void *ctx, uint64_t token, bool ok, const char *text)
{
	struct nd *nd = ctx;

	nd->ops->reply(nd->ctx, token, ok ? 0 : 69, text);
}

static void
op_cell(void *ctx, enum arb_in in, enum arb_state state)
{
	nd_cell(ctx, ND_TABLE_ARB, in, state);
}

static const struct arb_ops ops = {
    .timer = op_timer,
    .note = op_note,
    .vote = op_vote,
    .fence = op_fence,
    .cancel = op_cancel,
    .verdict = op_verdict,
    .spent = op_spent,
    .working = op_working,
    .reply = op_reply,
    .cell = op_cell,
};

/* The last part of an agent's path; notes are short. */
static void
agent_name(const char *agent, char name[HAD_NAME_MAX])
{
	const char *slash = strrchr(agent, '/');

	snprintf(name, HAD_NAME_MAX, "%.*s", HAD_NAME_MAX - 1,
	    slash != NULL ? slash + 1 : agent);
}

struct arb *
nd_arb_new(struct nd *nd)
{
	const struct conf *conf = nd->conf;
	struct arb_conf c = {.self = nd->self, .dead_ms = conf->t.dead_ms};

	c.n_peers = nd->n_peers;
	for (unsigned i = 0; i < nd->n_peers; i++) {
		const struct conf_node *n = nd->peers[i].conf;

		c.peers[i].id = n->id;
		memcpy(c.peers[i].name, n->name, sizeof(c.peers[i].name));
		c.peers[i].n_levels = n->n_fences;
		for (unsigned l = 0; l < n->n_fences; l++) {
			c.peers[i].timeout_ms[l] = n->fences[l].timeout_ms;
			agent_name(n->fences[l].agent, c.peers[i].agent[l]);
		}
	}
	if (conf->witness.addr[0] != '\0')
		snprintf(c.voters[c.n_voters++], HAD_NAME_MAX, "witness");
	for (unsigned i = 0; i < conf->n_lock_disks; i++)
		snprintf(c.voters[c.n_voters++], HAD_NAME_MAX, "lock disk %u",
		    i + 1);
	return arb_new(&c, &ops, nd);
}

/* Membership asks, or needs to know no more. */
void
nd_arb_ask(
    struct nd *nd, uint8_t peer, uint64_t epoch, bool active, bool verify_only)
{
	struct nd_inner *in = nd_inner_put(nd, ND_IN_ARB);
	const struct nd_peer *p = nd_peer(nd, peer);

	if (epoch == 0) {
		in->u.arb.type = ARB_EV_REST;
		in->u.arb.u.rest.peer = peer;
		return;
	}
	in->u.arb.type = ARB_EV_WANT;
	in->u.arb.u.want.peer = peer;
	in->u.arb.u.want.epoch = epoch;
	/* Both hold data: the lower id counts as the active one (R4). */
	if (p != NULL && p->holds && p->id < nd->self)
		active = false;
	in->u.arb.u.want.active = active;
	in->u.arb.u.want.last =
	    p != NULL && !active && !p->holds && p->id < nd->self;
	in->u.arb.u.want.verify_only = verify_only;
}

void
nd_arb_event(struct nd *nd, const struct nd_event *e)
{
	struct arb_event a = e->u.arb;

	a.now = nd->now;
	arb_step(nd->arb, &a);
}

void
nd_arb_op(struct nd *nd, const struct nd_event *e)
{
	struct arb_event a = {.now = nd->now};

	if (e->u.op.op == ND_OP_FENCE_TEST) {
		a.type = ARB_EV_TEST;
		a.u.test.peer = e->u.op.node;
		a.u.test.token = e->u.op.token;
	} else {
		a.type = ARB_EV_CONFIRM;
		a.u.confirm.peer = e->u.op.node;
		a.u.confirm.token = e->u.op.token;
	}
	arb_step(nd->arb, &a);
}

/*
 * R9: does a living peer reach ping nodes while this one reaches none?  Then
 * the addresses are better there.
 */
static bool
cut_off(const struct nd *nd)
{
	if (nd->conf->n_pings == 0 || nd->pings_any)
		return false;
	/* Undecided, or isolated: it is as it was. */
	if (nd->state == MB_ISOLATED)
		return nd->cut_off;
	for (unsigned i = 0; i < nd->n_peers; i++) {
		if (nd->peers[i].verdict == MB_PEER_ALIVE &&
		    nd->peers[i].pings_any)
			return true;
		if (nd->peers[i].verdict == MB_PEER_SILENT)
			return nd->cut_off;
	}
	return false;
}

static void
say_cut_off(struct nd *nd, bool cut)
{
	if (cut)
		nd_note(nd, HAD_WARN, "R9", nd->me->name,
		    "no ping node answers here, but the peer reaches one: its "
		    "addresses are handed over");
	else if (nd->state != MB_ISOLATED)
		nd_note(nd, HAD_INFO, "R9", nd->me->name,
		    "addresses may be served from here again");
}

/* Tells the services which addresses could be served from here. */
void
nd_arb_addresses(struct nd *nd)
{
	bool cut = cut_off(nd);

	if (cut != nd->cut_off) {
		nd->cut_off = cut;
		say_cut_off(nd, cut);
	}
	for (uint16_t i = 0; i < nd->conf->n_addresses; i++) {
		struct nd_inner *in;

		if (nd->unusable[i] == (nd->no_carrier[i] || cut))
			continue;
		nd->unusable[i] = nd->no_carrier[i] || cut;
		in = nd_inner_put(nd, ND_IN_SVC);
		in->u.svc.type = SVC_EV_ADDRESS;
		in->u.svc.u.address.id = i;
		in->u.svc.u.address.usable = !nd->unusable[i];
	}
}

/* R9: is the address on an interface that bears no link of this node? */
bool
nd_arb_outside(const struct nd *nd, uint16_t address)
{
	const char *ifname = nd->conf->addresses[address].ifname;

	if (conf_is_hole(nd->conf->addresses[address].name))
		return false;
	for (uint8_t l = 0; l < nd->me->n_links; l++)
		if (strcmp(nd->me->links[l].ifname, ifname) == 0)
			return false;
	return true;
}

/* Of an interface that bears addresses, or of any other. */
void
nd_arb_carrier(struct nd *nd, const char *ifname, bool up)
{
	bool outside = false, lost = true;

	for (uint16_t i = 0; i < nd->conf->n_addresses; i++) {
		if (strcmp(nd->conf->addresses[i].ifname, ifname) == 0)
			nd->no_carrier[i] = !up;
		if (!nd_arb_outside(nd, i))
			continue;
		outside = true;
		lost &= nd->no_carrier[i];
	}
	if (outside && lost != nd->outside_lost) {
		struct nd_inner *in = nd_inner_put(nd, ND_IN_MEMBER);

		nd->outside_lost = lost;
		in->u.member.type = MB_EV_CARRIER;
		in->u.member.u.carrier.link = MB_OUTSIDE;
		in->u.member.u.carrier.up = !lost;
	}
	nd_arb_addresses(nd);
}

/*
 * Not heard for so long that its guard has closed, should its daemon be dead
 * or frozen: who has one of its addresses now has a daemon that vouches.
 */
static bool
guard_has_ended(const struct nd *nd, const struct nd_peer *p, monotime_t now)
{
	return mt_sub_us(now, p->heard) >=
	       (int64_t)nd->conf->t.lease_ms * 1020 + 10000;
}

bool
nd_may_probe(const struct nd *nd, uint8_t peer, monotime_t now)
{
	for (unsigned i = 0; i < nd->n_peers; i++) {
		const struct nd_peer *p = &nd->peers[i];

		/* Nobody has decided about it yet. */
		if (p->id == peer)
			return p->verdict == MB_PEER_SILENT ||
			       (p->verdict == MB_PEER_ALIVE &&
				   guard_has_ended(nd, p, now));
	}
	return false;
}

/*
 * What another machine on the network shows.  An answer for an address of its
 * link comes from the peer's kernel, whatever became of its daemon.  One for an
 * address of a service that this node does not serve: with two nodes that is
 * the peer, and its guard is open.  What is held by election may be with any
 * router.  An advert comes from nothing but its daemon.
 */
static bool
proves_life(
    const struct nd *nd, const struct nd_peer *p, const struct nd_event *e)
{
	uint16_t address = e->u.advert.address;

	return e->u.advert.kind == ND_ADVERT_SAID ||
	       (nd->conf->addresses[address].service != UINT16_MAX &&
		   vip_state(nd->vip, address) == VIP_OFF &&
		   guard_has_ended(nd, p, nd->now));
}

void
nd_arb_advert(struct nd *nd, const struct nd_event *e)
{
	const struct nd_peer *p = nd_peer(nd, e->peer);
	struct mb_event m = {.type = MB_EV_ADVERT, .now = nd->now};
	uint16_t address = e->u.advert.address;

	if (address != ND_LINK_ADDRESS && address >= nd->conf->n_addresses)
		return;
	if (p == NULL && nd->n_peers == 1 && address != ND_LINK_ADDRESS)
		p = &nd->peers[0];
	if (p == NULL)
		return;
	m.u.advert.peer = p->id;
	if (e->u.advert.kind == ND_ADVERT_ARP && address == ND_LINK_ADDRESS) {
		m.type = MB_EV_KERNEL_ALIVE;
		m.u.kernel_alive.peer = p->id;
		m.u.kernel_alive.link = e->u.advert.link;
	} else if (!proves_life(nd, p, e)) {
		return;
	}
	mb_step(nd->member, &m);
}

void
nd_arb_pings(struct nd *nd, uint32_t answered)
{
	struct nd_inner *in = nd_inner_put(nd, ND_IN_MEMBER);

	nd->pings_any = answered != 0;
	in->u.member.type = MB_EV_PINGS;
	in->u.member.u.pings.any = nd->pings_any;
	nd_arb_addresses(nd);
}

/* Could a service start from it, if the peer were not there? */
static bool
is_usable(const struct nd_vol *v)
{
	return v->st.disk == MIR_DISK_UPTODATE || v->st.disk == MIR_DISK_BLANK;
}

/*
 * Does this node hold data, and hold it well?  It does if it runs what has
 * data, or if it has the only good copy.  It does not if one of its copies is
 * no good, as the one of a disk that failed: then the peer shall be the one
 * that goes on, not a node that has nothing to go on with.
 */
static bool
holds_well(const struct nd *nd)
{
	bool holds = nd->holding != 0;

	for (uint16_t s = 0; s < nd->conf->n_services; s++) {
		const struct conf_service *cs = &nd->conf->services[s];

		for (unsigned i = 0; i < cs->n_steps; i++) {
			const struct nd_vol *v;

			if (cs->steps[i].type != CONF_STEP_VOLUME)
				continue;
			v = &nd->vols[cs->steps[i].ref];
			if (!is_usable(v))
				return false;
			holds |= v->sole;
		}
	}
	return holds;
}

/* R4, R6: tells membership, and by heartbeats the peer. */
void
nd_arb_holds(struct nd *nd)
{
	bool active = holds_well(nd);
	struct nd_inner *in;

	if (active == nd->active)
		return;
	nd->active = active;
	in = nd_inner_put(nd, ND_IN_MEMBER);
	in->u.member.type = MB_EV_HOLDS;
	in->u.member.u.holds.data = active;
}

/* A service changed its state. */
void
nd_arb_service(struct nd *nd, uint16_t service, enum svc_state state)
{
	uint32_t bit = 1u << service;

	ASSERT(service < HAD_SERVICES_MAX);
	if (!nd->conf->services[service].data)
		return;
	if (state == SVC_STOPPED || state == SVC_CLAIMING ||
	    state == SVC_PULLING)
		nd->holding &= ~bit;
	else
		nd->holding |= bit;
	nd_arb_holds(nd);
}

static bool
heard(const struct nd *nd, monotime_t now, monotime_t last)
{
	return mt_sub_us(now, last) < (int64_t)nd->conf->t.lease_ms * 1000;
}

/*
 * R7: the watchdog is fed while this node may hold what it holds.  Between the
 * silence of its peer (it counts on what it heard within the lease, as the
 * timer chain does, and on being heard within dead) and a lease it may not;
 * neither may one that was overtaken, until all has stopped.
 */
bool
nd_may_feed(const struct nd *nd, monotime_t now)
{
	struct mb_status m;

	if (!nd->has_voters || nd->holding == 0)
		return true;
	if (nd->no_data)
		return false;
	mb_status(nd->member, &m);
	switch (m.self) {
	case MB_ALONE:
		return true;
	case MB_PAIRED:
	case MB_STOPPING:
		for (unsigned i = 0; i < m.n_peers; i++)
			if ((m.peers[i].verdict == MB_PEER_SILENT ||
				m.peers[i].verdict == MB_PEER_ALIVE) &&
			    !m.peers[i].leased &&
			    (!heard(nd, now, m.peers[i].heard) ||
				mt_sub_us(now, m.peers[i].mutual) >=
				    (int64_t)nd->conf->t.dead_ms * 1000))
				return false;
		return true;
	default:
		return false;
	}
}
