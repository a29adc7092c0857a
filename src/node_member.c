/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Membership inside the node: its verdicts become the views of the others.
 */
#include <string.h>

#include "node_int.h"

static void
op_send(void *ctx, uint8_t to, const uint8_t *bytes, size_t len)
{
	struct nd *nd = ctx;
	struct nd_peer *p = nd_peer(nd, to);
	struct nd_buf buf = {bytes, len};

	if (p != NULL)
		nd_net_send(nd, p, WIRE_MEMBER, 0, 0, &buf, 1);
}

static void
op_timer(void *ctx, monotime_t at)
{
	((struct nd *)ctx)->member_at = at;
}

static void
op_persist(void *ctx, const struct sf_record *r, uint64_t serial)
{
	struct nd *nd = ctx;

	nd->ops->persist(nd->ctx, r, serial);
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	nd_note(ctx, level, rule, object, text);
}

static void
op_self(void *ctx, enum mb_self state, bool own_right, const char *rule)
{
	struct nd *nd = ctx;

	(void)rule;
	/* What it had was to be handed over, or may have been taken. */
	if ((nd->state == MB_DOUBT || nd->state == MB_ISOLATED) &&
	    state == MB_STOPPING)
		nd->distrusted = true;
	if (state == MB_PAIRED)
		nd->met = true;
	else if (state == MB_INERT)
		nd->met = false;
	nd->state = state;
	nd->own_right = own_right;
	nd->views_due = true;
}

static void
op_peer(void *ctx, uint8_t id, enum mb_peer verdict, bool stateless_gone,
    const char *rule)
{
	struct nd *nd = ctx;
	struct nd_peer *p = nd_peer(nd, id);

	(void)rule;
	ASSERT(p != NULL);
	p->verdict = verdict;
	p->stateless_gone = stateless_gone;
	nd->views_due = true;
}

static void
op_arbitrate(
    void *ctx, uint8_t peer, uint64_t epoch, bool active, bool verify_only)
{
	nd_arb_ask(ctx, peer, epoch, active, verify_only);
}

static void
op_demote(void *ctx, bool on)
{
	struct nd *nd = ctx;

	nd->no_data = on;
	nd->views_due = true;
}

static void
op_epoch(void *ctx, uint64_t epoch)
{
	struct nd *nd = ctx;

	ASSERT(epoch >= nd->epoch);
	nd->epoch = epoch;
	nd->views_due = true;
}

static void
op_reply(void *ctx, uint64_t token, bool ok, const char *text)
{
	struct nd *nd = ctx;

	nd->ops->reply(nd->ctx, token, ok ? 0 : 69, text);
}

static void
op_done(void *ctx)
{
	struct nd *nd = ctx;

	nd_vr_tell_due(nd, true); /* no word leaves after this */
	nd->ops->done(nd->ctx, true);
}

static void
op_cell(void *ctx, enum mb_ev in, enum mb_self state)
{
	nd_cell(ctx, ND_TABLE_MB, in, state);
}

static const struct mb_ops ops = {
    .send = op_send,
    .timer = op_timer,
    .persist = op_persist,
    .note = op_note,
    .self = op_self,
    .peer = op_peer,
    .arbitrate = op_arbitrate,
    .demote = op_demote,
    .epoch = op_epoch,
    .reply = op_reply,
    .done = op_done,
    .cell = op_cell,
};

/* Links of one name of a domain share a number; others have their own. */
static void
domains(const struct conf_node *me, uint8_t domain[HAD_LINKS_MAX])
{
	for (uint8_t l = 0; l < me->n_links; l++) {
		const char *name = me->links[l].domain;

		domain[l] = l;
		for (uint8_t o = 0; o < l && name[0] != '\0'; o++) {
			if (strcmp(me->links[o].domain, name) != 0)
				continue;
			domain[l] = domain[o];
			break;
		}
	}
}

struct mb *
nd_member_new(struct nd *nd)
{
	struct mb_conf c = {
	    .self = nd->self,
	    .n_peers = nd->n_peers,
	    .n_links = nd->me->n_links,
	    .heartbeat_ms = nd->conf->t.heartbeat_ms,
	    .lease_ms = nd->conf->t.lease_ms,
	    .dead_ms = nd->conf->t.dead_ms,
	    .takeover_ms = nd->conf->t.takeover_ms,
	    .silent_takeover = nd->conf->silent == CONF_SILENT_TAKEOVER,
	    .voters = nd->has_voters,
	    .self_demote_ms = nd->conf->t.self_demote_ms,
	    .pings = nd->conf->n_pings > 0,
	};

	for (uint16_t i = 0; i < nd->conf->n_addresses; i++)
		c.outside |= nd_arb_outside(nd, i);
	domains(nd->me, c.domain);

	memcpy(c.cluster, nd->conf->cluster, sizeof(c.cluster));
	memcpy(c.self_name, nd->me->name, sizeof(c.self_name));
	for (unsigned i = 0; i < nd->n_peers; i++) {
		c.peers[i].id = nd->peers[i].id;
		c.fences |= nd->peers[i].conf->n_fences > 0;
		memcpy(c.peers[i].name, nd->peers[i].conf->name,
		    sizeof(c.peers[i].name));
	}
	for (unsigned l = 0; l < nd->me->n_links; l++)
		memcpy(c.links[l], nd->me->links[l].name, sizeof(c.links[l]));
	return mb_new(&c, &ops, nd);
}

static enum svc_right
right_of(enum mb_self state)
{
	switch (state) {
	case MB_PAIRED:
		return SVC_RIGHT_PAIRED;
	case MB_ALONE:
		return SVC_RIGHT_ALONE;
	case MB_ISOLATED:
		return SVC_RIGHT_ISOLATED;
	case MB_DOUBT:
		return SVC_RIGHT_DOUBT;
	case MB_STOPPING:
		return SVC_RIGHT_STOPPING;
	case MB_OFF:
	case MB_INERT:
	case MB_SELF_N:
		break;
	}
	return SVC_RIGHT_NONE;
}

static void
svc_view(struct nd *nd)
{
	struct nd_inner *in = nd_inner_put(nd, ND_IN_SVC);
	struct svc_view *v = &in->u.svc.u.view;

	in->u.svc.type = SVC_EV_VIEW;
	v->right = right_of(nd->state);
	v->own_right = nd->own_right;
	v->epoch = nd->epoch;
	v->no_data = nd->no_data;
	for (unsigned i = 0; i < nd->n_peers; i++) {
		const struct nd_peer *p = &nd->peers[i];
		nodeset_t bit = NODESET(p->id);

		if (p->stateless_gone)
			v->stateless_gone |= bit;
		if (p->verdict == MB_PEER_ALIVE)
			v->alive |= bit;
		else if (p->verdict == MB_PEER_SILENT)
			v->silent |= bit;
		else if (p->verdict == MB_PEER_LOST)
			v->lost |= bit;
		else if (p->verdict == MB_PEER_LEFT ||
			 p->verdict == MB_PEER_GONE)
			v->gone |= bit;
	}
}

/*
 * After a doubt the peer may run what this node still holds: an address
 * without data moves without a new epoch.  So its word is awaited, whatever
 * else its file has: of services that differ it says nothing that counts.
 */
static bool
peer_has_told(struct nd *nd)
{
	struct svc_status st;

	for (unsigned i = 0; i < nd->n_peers; i++)
		if (nd->peers[i].verdict != MB_PEER_ALIVE)
			return true;
	svc_status(nd->svc, &st);
	return st.n_services == 0 || st.peer_told;
}

/*
 * Addresses of services that have to stop here, and have not come to it yet:
 * the peer may run them.  A right that is back is none to these.
 */
static void
leaving(struct nd *nd, struct vip_set *set)
{
	struct svc_status st;

	svc_status(nd->svc, &st);
	for (uint16_t i = 0; i < st.n_services; i++) {
		const struct conf_service *cs = &nd->conf->services[i];

		for (unsigned s = 0; st.services[i].ends && s < cs->n_steps;
		     s++)
			if (cs->steps[s].type == CONF_STEP_ADDRESS)
				vip_set_add(set, cs->steps[s].ref);
	}
}

/* The daemon stands behind its addresses only while it may. */
void
nd_vouch(struct nd *nd)
{
	bool on = nd->state == MB_PAIRED || nd->state == MB_ALONE ||
		  (nd->state == MB_STOPPING && !nd->distrusted);
	struct nd_inner *in;

	if (on == nd->vouch_told)
		return;
	if (on && nd->state == MB_PAIRED && !peer_has_told(nd))
		return;
	nd->vouch_told = on;
	in = nd_inner_put(nd, ND_IN_VIP);
	in->u.vip.type = VIP_EV_VOUCH;
	in->u.vip.u.vouch.on = on;
	if (on)
		leaving(nd, &in->u.vip.u.vouch.leaving);
}

void
nd_views(struct nd *nd)
{
	nd->views_due = false;
	for (unsigned i = 0; i < nd->n_peers; i++)
		nd_session_check(nd, &nd->peers[i]);
	nd_mir_views(nd);
	nd_lock_view(nd);
	/* At once when it ends; else when all is quiet, see settle. */
	if (nd->vouch_told)
		nd_vouch(nd);
	nd_arb_addresses(nd);
	nd_vr_views(nd);
	svc_view(nd);
}
