/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock manager inside the node.
 */
#include <string.h>

#include "node_int.h"

/*
 * SEED_EPOCHS: more than a node can have missed.  After an operator's seed
 * tokens are above what the peer may have given out; the epoch itself does not
 * leap, or whoever was seeded in error would win over the one that acts.
 */
enum { CLIENT_LOCKS_MAX = 4096, SEED_EPOCHS = 1024 };

static void
op_send(void *ctx, uint8_t to, const uint8_t *bytes, size_t len)
{
	struct nd *nd = ctx;
	struct nd_peer *p = nd_peer(nd, to);
	struct nd_buf buf = {bytes, len};

	/* Outside of a session it would be lost: RESYNC tells it again. */
	if (p != NULL && p->ctl.up)
		nd_net_send(
		    nd, p, WIRE_LOCK, 0, nd_session_tx(&p->ctl), &buf, 1);
}

static void
op_client(void *ctx, uint32_t client, const uint8_t *bytes, size_t len)
{
	struct nd *nd = ctx;

	nd->ops->lock_send(nd->ctx, client, bytes, len);
}

static void
op_close(void *ctx, uint32_t client, const char *why)
{
	struct nd *nd = ctx;

	nd->ops->lock_close(nd->ctx, client, why);
}

static void
op_timer(void *ctx, monotime_t at)
{
	((struct nd *)ctx)->lock_at = at;
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	nd_note(ctx, level, rule, object, text);
}

static const struct lk_ops ops = {
    .send = op_send,
    .client = op_client,
    .client_close = op_close,
    .timer = op_timer,
    .note = op_note,
};

struct lk *
nd_lock_new(struct nd *nd)
{
	struct lk_conf c = {
	    .self = nd->self,
	    .nodes = NODESET(nd->self),
	    .n_spaces = (uint8_t)nd->conf->n_lockspaces,
	    .clients_max = ND_LOCK_CLIENTS,
	    .client_locks_max = CLIENT_LOCKS_MAX,
	};

	for (unsigned i = 0; i < nd->n_peers; i++)
		c.nodes |= NODESET(nd->peers[i].id);
	for (unsigned i = 0; i < c.n_spaces; i++) {
		const struct conf_lockspace *s = &nd->conf->lockspaces[i];

		memcpy(c.spaces[i].name, s->name, sizeof(c.spaces[i].name));
		c.spaces[i].locks_max = s->locks_max;
	}
	return lk_new(&c, &ops, nd);
}

/*
 * Others may grant what is held here takeover_ms after they heard this node
 * last; it heard them at most lease_ms before that, or has counted since.
 */
static uint32_t
grace_ms(const struct nd *nd)
{
	int64_t left = nd->conf->t.takeover_ms - nd->conf->t.lease_ms;
	struct mb_status m;

	if (nd->state != MB_ISOLATED)
		return (uint32_t)left;
	mb_status(nd->member, &m);
	for (unsigned i = 0; i < m.n_peers; i++)
		if (m.peers[i].mutual.us != 0)
			left -= mt_sub_us(nd->now, m.peers[i].mutual) / 1000;
	return left > 0 ? (uint32_t)left : 0;
}

static uint64_t
token_epoch(const struct nd *nd)
{
	struct mb_status m;

	mb_status(nd->member, &m);
	return nd->epoch + (uint64_t)m.seeds * SEED_EPOCHS;
}

/*
 * May this node, which acts alone, give out tokens?  Not without knowing which
 * epoch its peer had: it was off when this daemon started, or it has not
 * followed into the pair yet, and starts alone again at its own (R1).
 */
static bool
knows_epoch(const struct nd *nd)
{
	struct mb_status m;

	if (nd->own_right)
		return true;
	mb_status(nd->member, &m);
	for (unsigned i = 0; i < m.n_peers; i++)
		if (m.peers[i].solo)
			return false;
	return nd->met;
}

void
nd_lock_view(struct nd *nd)
{
	struct nd_inner *in = nd_inner_put(nd, ND_IN_LOCK);
	struct lk_view *v = &in->u.lock.u.view;
	bool undecided = false;

	in->u.lock.type = LK_EV_VIEW;
	v->members = NODESET(nd->self);
	v->epoch = token_epoch(nd);
	v->grace_ms = grace_ms(nd);
	for (unsigned i = 0; i < nd->n_peers; i++) {
		const struct nd_peer *p = &nd->peers[i];

		if (p->verdict == MB_PEER_ALIVE)
			v->members |= NODESET(p->id);
		else if (p->verdict == MB_PEER_GONE ||
			 p->verdict == MB_PEER_LEFT)
			v->dead |= NODESET(p->id);
		else
			undecided = true;
	}
	switch (nd->state) {
	case MB_PAIRED:
	case MB_STOPPING:
	case MB_ALONE:
		if (nd->leaving || nd->distrusted) {
			v->state = LK_VIEW_LOST;
			if (nd->distrusted)
				v->grace_ms = 0;
			break;
		}
		/* R7: locks stop with the data; the peer may grant them. */
		if (nd->no_data) {
			v->state = LK_VIEW_LOST;
			v->grace_ms = 0;
			break;
		}
		if (nd->state != MB_PAIRED && !knows_epoch(nd)) {
			v->state = LK_VIEW_INERT;
			break;
		}
		v->state = undecided ? LK_VIEW_STOPPED : LK_VIEW_RUNNING;
		break;
	case MB_DOUBT:
		v->state = LK_VIEW_DOUBT;
		break;
	case MB_ISOLATED:
		v->state = LK_VIEW_LOST;
		break;
	case MB_OFF:
	case MB_INERT:
	case MB_SELF_N:
		/* Demoted: somebody else may hold what was held here, now. */
		v->grace_ms = 0;
		v->state = nd->lock_ran ? LK_VIEW_LOST : LK_VIEW_INERT;
		break;
	}
	/* Whoever was promised time has it, though the right is back. */
	if (v->state == LK_VIEW_LOST && !nd->lock_lost)
		nd->grace_until = nd->grace_at =
		    mt_add_ms(nd->now, v->grace_ms);
	else if (nd->lock_lost && mt_before(nd->now, nd->grace_until))
		v->state = LK_VIEW_LOST;
	nd->lock_lost = v->state == LK_VIEW_LOST;
	/* Once locks may have been granted, to lose the right loses them. */
	if (v->state == LK_VIEW_RUNNING)
		nd->lock_ran = true;
}

/*
 * The peer grants what was held here as soon as it hears the goodbye.  So the
 * holders are told first, and have their grace.
 */
void
nd_lock_leave(struct nd *nd)
{
	struct lk_status st;

	ASSERT(!nd->leaving);
	lk_status(nd->lock, &st);
	nd->leaving = true;
	nd->views_due = true;
	nd->leave_at = nd->now;
	if (st.granted > 0 || st.converting > 0)
		nd->leave_at = mt_add_ms(
		    nd->now, nd->conf->t.takeover_ms - nd->conf->t.lease_ms);
	/* What was taken from its holders before, they still have time for. */
	if (nd->lock_lost && mt_before(nd->leave_at, nd->grace_until))
		nd->leave_at = nd->grace_until;
}
