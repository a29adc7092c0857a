/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared addresses inside the node.  See node_share.h.
 */
#include <stdlib.h>
#include <string.h>

#include "node_share.h"

enum { RETRY_MS = 200, TAKE_MS = 1000 };

bool
nd_shared(const struct nd *nd, uint16_t address)
{
	return nd->conf->addresses[address].share;
}

static void
share_event(struct nd *nd, struct share_event *e)
{
	e->now = nd->now;
	share_step(nd->share->core, e);
}

void
nd_share_step(struct nd *nd, struct share_event *e)
{
	share_event(nd, e);
}

void
nd_share_vip_step(struct nd *nd, struct vip_event *e)
{
	e->now = nd->now;
	vip_step(nd->share->vip, e);
}

/* Operations of the shares' core. */

static void
op_serve(void *ctx, uint32_t seq, uint64_t buckets)
{
	struct nd *nd = ctx;

	nd->ops->share_serve(nd->ctx, seq, buckets);
}

static void
op_vouch(void *ctx, bool on)
{
	struct nd_inner *in = nd_inner_put(ctx, ND_IN_SHARED);

	in->u.vip.type = VIP_EV_VOUCH;
	in->u.vip.u.vouch.on = on;
}

static void
send_word(struct nd *nd, struct nd_peer *p, const struct share_word *w)
{
	uint8_t bytes[SHARE_WIRE_LEN];
	struct nd_buf buf = {bytes, sizeof(bytes)};

	share_wire_put(bytes, w);
	nd_net_send(nd, p, WIRE_SHARE, 0, 0, &buf, 1);
}

static void
op_say(void *ctx, const struct share_word *w)
{
	struct nd *nd = ctx;

	for (unsigned i = 0; i < nd->n_peers; i++)
		send_word(nd, &nd->peers[i], w);
}

static void
op_timer(void *ctx, monotime_t at)
{
	((struct nd *)ctx)->share->core_at = at;
}

static void
op_done(void *ctx)
{
	struct nd *nd = ctx;
	struct nd_share *s = nd->share;

	s->given_up = true;
	for (uint16_t i = 0; i < nd->conf->n_addresses; i++) {
		struct nd_inner *in;

		if (!nd_shared(nd, i))
			continue;
		in = nd_inner_put(nd, ND_IN_SHARED);
		in->u.vip.type = VIP_EV_RELEASE;
		in->u.vip.u.order.id = i;
		in->u.vip.u.order.token = UINT64_C(1) << 32 | i;
		s->releasing++;
	}
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	nd_note(ctx, level, rule, object, text);
}

static void
op_cell(void *ctx, enum share_ev in, enum share_state state)
{
	nd_cell(ctx, ND_TABLE_SHARE, in, state);
}

static const struct share_ops ops = {
    .serve = op_serve,
    .vouch = op_vouch,
    .say = op_say,
    .timer = op_timer,
    .done = op_done,
    .note = op_note,
    .cell = op_cell,
};

/* Operations of the shared addresses' core. */

static void
sh_add(void *ctx, uint16_t id)
{
	struct nd *nd = ctx;

	nd->ops->addr_add(nd->ctx, id);
}

static void
sh_del(void *ctx, uint16_t id)
{
	struct nd *nd = ctx;

	nd->ops->addr_del(nd->ctx, id);
}

static void
sh_lease(void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct nd *nd = ctx;

	nd->ops->share_lease(nd->ctx, seq, open, until);
}

static void
sh_announce(void *ctx, uint16_t id)
{
	struct nd *nd = ctx;

	nd->ops->announce(nd->ctx, id);
}

static void
sh_timer(void *ctx, monotime_t at)
{
	((struct nd *)ctx)->share->vip_at = at;
}

/*
 * The kernel has silenced them, because no renewal came in time: the other
 * node may serve their clients.  Membership is told as for those of services.
 */
static void
sh_lapsed(void *ctx)
{
	struct nd *nd = ctx;
	struct nd_inner *in;

	nd_inner_put(nd, ND_IN_SHARE)->u.share.type = SHARE_EV_LAPSED;
	in = nd_inner_put(nd, ND_IN_MEMBER);
	in->u.member.type = MB_EV_GAP;
	in->u.member.u.gap.us = (int64_t)nd->conf->t.lease_ms * 1000 + 1;
	nd->views_due = true;
}

static void
sh_done(void *ctx, uint64_t token, bool ok, const char *text)
{
	struct nd_share *s = ((struct nd *)ctx)->share;

	/* Released or not: the guard is closed. */
	(void)ok, (void)text;
	if (token >> 32 == 0 || s->releasing == 0)
		return;
	if (--s->releasing == 0)
		s->stopped = true;
}

static void
sh_cell(void *ctx, enum vip_ev in, enum vip_state state)
{
	nd_cell(ctx, ND_TABLE_VIP, in, state);
}

static const struct vip_ops shared_ops = {
    .addr_add = sh_add,
    .addr_del = sh_del,
    .lease = sh_lease,
    .announce = sh_announce,
    .timer = sh_timer,
    .lapsed = sh_lapsed,
    .done = sh_done,
    .note = op_note,
    .cell = sh_cell,
};

static struct vip *
new_shared(struct nd *nd)
{
	struct vip_addr_conf addrs[HAD_ADDRESSES_MAX];
	struct vip_conf c = {
	    .addrs = addrs,
	    .n = nd->conf->n_addresses,
	    .lease_ms = nd->conf->t.lease_ms,
	};

	memset(addrs, 0, sizeof(addrs));
	for (uint16_t i = 0; i < c.n; i++) {
		const struct conf_address *a = &nd->conf->addresses[i];

		memcpy(addrs[i].name, a->name, sizeof(addrs[i].name));
		addrs[i].family = nd_shared(nd, i) ? a->family : 0;
		memcpy(addrs[i].bytes, a->bytes, sizeof(addrs[i].bytes));
		addrs[i].prefix = a->prefix;
		memcpy(addrs[i].ifname, a->ifname, sizeof(addrs[i].ifname));
		addrs[i].shared = nd_shared(nd, i);
	}
	return vip_new(&c, &shared_ops, nd);
}

bool
nd_share_new(struct nd *nd)
{
	static const uint64_t low = UINT32_MAX;
	struct share_conf c = {.retry_ms = RETRY_MS};
	bool any = false;

	for (uint16_t i = 0; i < nd->conf->n_addresses; i++)
		any = any || nd_shared(nd, i);
	if (!any)
		return true;
	ASSERT(nd->n_peers == 1);
	c.half = nd->self < nd->peers[0].id ? low : ~low;
	nd->share = calloc(1, sizeof(*nd->share));
	if (nd->share == NULL)
		return false;
	nd->share->core_at = nd->share->vip_at = nd->share->take_at = MT_NEVER;
	nd->share->core = share_new(&c, &ops, nd);
	nd->share->vip = new_shared(nd);
	return nd->share->core != NULL && nd->share->vip != NULL;
}

void
nd_share_free(struct nd *nd)
{
	if (nd->share == NULL)
		return;
	share_free(nd->share->core);
	if (nd->share->vip != NULL)
		vip_free(nd->share->vip);
	free(nd->share);
	nd->share = NULL;
}

/* At first; later those that could not be put on their interface. */
static void
take(struct nd *nd, bool first)
{
	struct nd_share *s = nd->share;

	s->take_at = mt_add_ms(nd->now, TAKE_MS);
	for (uint16_t i = 0; i < nd->conf->n_addresses; i++) {
		struct vip_event e = {.type = VIP_EV_TAKE};

		if (!nd_shared(nd, i) ||
		    (!first && vip_state(s->vip, i) != VIP_OFF))
			continue;
		e.u.order.id = i;
		nd_share_vip_step(nd, &e);
	}
}

void
nd_share_start(struct nd *nd)
{
	struct share_event e = {.type = SHARE_EV_START};
	struct vip_event v = {.type = VIP_EV_START};

	if (nd->share == NULL)
		return;
	nd_share_vip_step(nd, &v);
	e.u.start.seed = (uint32_t)(nd->seed ^ nd->seed >> 32);
	share_event(nd, &e);
	take(nd, true);
}

static bool
due(const struct nd *nd, monotime_t *at)
{
	if (mt_before(nd->now, *at))
		return false;
	*at = MT_NEVER;
	return true;
}

void
nd_share_timers(struct nd *nd)
{
	struct nd_share *s = nd->share;

	if (s == NULL)
		return;
	if (due(nd, &s->core_at))
		nd_inner_put(nd, ND_IN_SHARE)->u.share.type = SHARE_EV_TIMER;
	if (due(nd, &s->vip_at))
		nd_inner_put(nd, ND_IN_SHARED)->u.vip.type = VIP_EV_TIMER;
	if (due(nd, &s->take_at) && !s->stopping)
		take(nd, false);
}

monotime_t
nd_share_next(const struct nd *nd)
{
	const struct nd_share *s = nd->share;

	if (s == NULL)
		return MT_NEVER;
	return mt_min(s->core_at, mt_min(s->vip_at, s->take_at));
}

void
nd_share_beat(struct nd *nd)
{
	if (nd->share != NULL)
		nd_inner_put(nd, ND_IN_SHARED)->u.vip.type = VIP_EV_BEAT;
}

static enum share_life
life(const struct nd *nd)
{
	const struct nd_peer *p = &nd->peers[0];

	if (p->verdict == MB_PEER_ALIVE)
		return SHARE_PEER_ALIVE;
	if (nd->state == MB_ALONE || p->verdict == MB_PEER_GONE ||
	    p->verdict == MB_PEER_LEFT || p->stateless_gone)
		return SHARE_PEER_DEAD;
	return SHARE_PEER_UNKNOWN;
}

static bool
on_interface(const struct nd *nd, uint16_t id)
{
	enum vip_state s = vip_state(nd->share->vip, id);

	return s == VIP_MUTED || s == VIP_OPENING || s == VIP_ACTIVE;
}

/* How many of them could be served from here. */
static uint8_t
good(const struct nd *nd)
{
	uint8_t n = 0;

	if (svc_standby(nd->svc))
		return 0;
	for (uint16_t i = 0; i < nd->conf->n_addresses; i++)
		if (nd_shared(nd, i) && !nd->unusable[i] && n < UINT8_MAX &&
		    on_interface(nd, i))
			n++;
	return n;
}

/* What the other cores know, if it has changed. */
void
nd_share_settle(struct nd *nd)
{
	struct nd_share *s = nd->share;
	struct share_event e = {.type = SHARE_EV_VIEW};
	struct share_view *v = &e.u.view;

	if (s == NULL)
		return;
	if (s->stopped) {
		/* Once: the routers end, then the rest. */
		s->stopped = false;
		nd_vr_stop(nd);
		return;
	}
	v->right = nd->state == MB_PAIRED || nd->state == MB_ALONE ||
		   (nd->state == MB_STOPPING && !nd->distrusted);
	v->life = life(nd);
	v->incarnation = nd->peers[0].incarnation;
	v->good = good(nd);
	if (s->viewed && v->right == s->view.right && v->life == s->view.life &&
	    v->incarnation == s->view.incarnation && v->good == s->view.good)
		return;
	s->viewed = true;
	s->view = *v;
	share_event(nd, &e);
}

void
nd_share_hello(struct nd *nd)
{
	struct share_event e = {.type = SHARE_EV_HELLO};

	if (nd->share != NULL)
		share_event(nd, &e);
}

/* A node whose file has no shared address serves none: who asks shall know. */
static void
answer_none(struct nd *nd, struct nd_peer *p, const struct share_word *w)
{
	struct share_word none = {.seq = w->seq, .answer = w->ask};

	send_word(nd, p, &none);
}

void
nd_share_told(
    struct nd *nd, struct nd_peer *p, const uint8_t *bytes, size_t len)
{
	struct share_event e = {.type = SHARE_EV_WORD};
	const char *why;

	if (share_wire_get(&e.u.word, bytes, len, &why) < 0) {
		nd_malformed(nd, p, why);
		return;
	}
	if (nd->share == NULL)
		answer_none(nd, p, &e.u.word);
	else
		share_event(nd, &e);
}

void
nd_share_served(struct nd *nd, const struct nd_event *e)
{
	struct share_event s = {.type = SHARE_EV_SERVED};

	ASSERT(nd->share != NULL);
	s.u.served.seq = e->u.served.seq;
	s.u.served.ok = e->u.served.ok;
	share_event(nd, &s);
}

bool
nd_share_vip(struct nd *nd, const struct nd_event *e)
{
	struct vip_event v = e->u.vip;
	uint16_t id;

	if (nd->share == NULL)
		return false;
	switch (v.type) {
	case VIP_EV_ADDED:
	case VIP_EV_REMOVED:
		id = v.u.result.id;
		break;
	case VIP_EV_STRIPPED:
		id = v.u.stripped.id;
		break;
	case VIP_EV_CONFLICT:
		id = v.u.conflict.id;
		break;
	case VIP_EV_CARRIER:
		nd_share_vip_step(nd, &v);
		return false; /* of all */
	default:
		if (e->shared)
			nd_share_vip_step(nd, &v);
		return e->shared;
	}
	if (!nd_shared(nd, id))
		return false;
	nd_share_vip_step(nd, &v);
	return true;
}

/* They fall silent, the other node takes their clients; then the rest ends. */
void
nd_share_stop(struct nd *nd)
{
	struct share_event e = {.type = SHARE_EV_STOP};

	if (nd->share == NULL ||
	    (nd->share->given_up && nd->share->releasing == 0)) {
		nd_vr_stop(nd);
		return;
	}
	if (nd->share->stopping)
		return;
	nd->share->stopping = true;
	share_event(nd, &e);
}

bool
nd_share_status(const struct nd *nd, struct share_status *s)
{
	if (nd->share == NULL)
		return false;
	share_status(nd->share->core, s);
	return true;
}

void
nd_share_addresses(const struct nd *nd, struct vip_status *s)
{
	if (nd->share == NULL)
		return;
	for (uint16_t i = 0; i < s->n; i++)
		if (nd_shared(nd, i))
			vip_addr_status(nd->share->vip, i, &s->addrs[i]);
}
