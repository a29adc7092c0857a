/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers inside the node.  See node_vr.h.
 *
 * An elected address may speak as long as nobody else can have taken it: for
 * three intervals from the last advert that left, because no other machine
 * gives its holder up before.  So every flush of adverts renews the lease of
 * the elected addresses, until the first of the adverts is old.  But a node of
 * the same cluster knows by heartbeats when this one is dead, and takes then:
 * with a peer, the lease is no longer than that of the cluster.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_vr.h"

/*
 * How long an advert is good for, by its interval: nobody takes before three of
 * them, but the clock of another machine may be 2 % faster.
 */
static int64_t
good_us(uint32_t down_ms)
{
	return (int64_t)down_ms * 1000 * 100 / 102;
}

/* After this long an address that could not be taken is tried again. */
enum { MEND_MS = 1000 };

static bool
elected(const struct conf_address *a)
{
	return a->router != UINT16_MAX && a->service == UINT16_MAX;
}

bool
nd_elected(const struct nd *nd, uint16_t address)
{
	return elected(&nd->conf->addresses[address]);
}

struct nd_vr_router *
nd_vr_of(struct nd_vr *v, uint16_t id)
{
	uint32_t i;

	if (!vr_used(v->core, id))
		return NULL;
	i = vr_router_conf(v->core, id)->cookie;
	ASSERT(i < v->n);
	/* One that a reload adds is heard of before it is found. */
	v->routers[i].id = id;
	return &v->routers[i];
}

const struct conf_router *
nd_vr_conf(const struct nd *nd, const struct nd_vr_router *r)
{
	return &nd->conf->routers[r - nd->vr->routers];
}

/* Operations of the routers' core. */

static void
op_send(void *ctx, uint16_t id, const struct vr_advert *a)
{
	nd_vr_send(ctx, id, a);
}

/*
 * The addresses may speak as long as each router's last advert is good for.
 * One lease is for all of them, so it ends with the first.
 */
void
nd_vr_beat(struct nd *nd)
{
	struct nd_vr *v = nd->vr;
	monotime_t until = MT_NEVER, cap;
	struct nd_inner *in;

	v->beat_due = false;
	v->beat_at = MT_NEVER;
	for (uint16_t i = 0; i < v->n; i++) {
		const struct nd_vr_router *r = &v->routers[i];

		if (r->until.us != 0)
			until = mt_min(until, r->until);
	}
	if (until.us == MT_NEVER.us)
		return;
	in = nd_inner_put(nd, ND_IN_ELECTED);
	in->u.vip.type = VIP_EV_BEAT;
	/* What a slow router does not renew, a beat between its adverts does.
	 */
	cap = mt_add_ms(nd->now, nd->conf->t.lease_ms);
	if (nd->n_peers > 0 && mt_before(cap, until)) {
		until = cap;
		v->beat_at = mt_add_ms(nd->now, 1 + nd->conf->t.lease_ms / 4);
	}
	in->u.vip.u.beat.until = v->leased = until;
}

/* All that is to be said is handed to the kernel. */
static void
op_flush(void *ctx)
{
	struct nd *nd = ctx;

	nd->ops->vr_flush(nd->ctx);
	nd_vr_beat(nd);
}

void
nd_vr_order(struct nd *nd, uint16_t id, uint32_t seq, bool take)
{
	struct nd_vr_router *r = nd_vr_of(nd->vr, id);
	const struct conf_router *c;

	ASSERT(r != NULL);
	c = nd_vr_conf(nd, r);
	ASSERT(conf_router_elected(c));
	r->seq = seq;
	r->turn++;
	r->taking = take;
	r->failed = false;
	r->pending = c->n_addrs;
	for (uint8_t i = 0; i < c->n_addrs; i++) {
		struct nd_inner *in = nd_inner_put(nd, ND_IN_ELECTED);

		in->u.vip.type = take ? VIP_EV_TAKE : VIP_EV_RELEASE;
		in->u.vip.u.order.id = c->addrs[i];
		in->u.vip.u.order.hurry = !take;
		in->u.vip.u.order.token = UINT64_C(1) << 63 |
					  (uint64_t)r->turn << 48 |
					  (uint64_t)id << 32 | seq;
	}
}

static void
op_take(void *ctx, uint16_t id, uint32_t seq)
{
	nd_vr_order(ctx, id, seq, true);
}

static void
op_release(void *ctx, uint16_t id, uint32_t seq)
{
	nd_vr_order(ctx, id, seq, false);
}

static void
op_timer(void *ctx, monotime_t at)
{
	((struct nd *)ctx)->vr->vr_at = at;
}

static void
op_state(void *ctx, uint16_t id, enum vr_state from, enum vr_state to,
    const char *reason)
{
	struct nd *nd = ctx;
	struct nd_vr_router *r = nd_vr_of(nd->vr, id);

	(void)from, (void)reason;
	if (r == NULL || to == VR_ACTIVE || r->until.us == 0)
		return;
	r->until.us = 0;
	nd->vr->beat_due = true;
}

static void
op_tell(void *ctx, uint16_t id, const struct vr_peer *p)
{
	nd_vr_tell_word(ctx, id, p);
}

static void
op_conflict(void *ctx, uint16_t id, const uint8_t src[16])
{
	/* The core has noted it. */
	(void)ctx, (void)id, (void)src;
}

static void
op_gone(void *ctx, uint16_t id)
{
	struct nd_vr *v = ((struct nd *)ctx)->vr;

	for (uint16_t i = 0; i < v->n; i++) {
		struct nd_vr_router *r = &v->routers[i];

		if (r->id != id)
			continue;
		r->id = VR_NONE;
		r->told = r->fresh = false;
		r->left = r->tell = v->tells = true;
	}
}

static void
op_done(void *ctx)
{
	struct nd *nd = ctx;

	nd->vr->stopped = true;
	nd_inner_put(nd, ND_IN_MEMBER)->u.member.type = MB_EV_STOP;
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	nd_note(ctx, level, rule, object, text);
}

static void
op_cell(void *ctx, enum vr_ev in, enum vr_state state)
{
	nd_cell(ctx, ND_TABLE_VR, in, state);
}

static const struct vr_ops ops = {
    .send = op_send,
    .flush = op_flush,
    .take = op_take,
    .release = op_release,
    .timer = op_timer,
    .state = op_state,
    .tell = op_tell,
    .conflict = op_conflict,
    .gone = op_gone,
    .done = op_done,
    .note = op_note,
    .cell = op_cell,
};

/* Operations of the elected addresses' core. */

static void
el_add(void *ctx, uint16_t id)
{
	struct nd *nd = ctx;

	nd->ops->addr_add(nd->ctx, id);
}

static void
el_del(void *ctx, uint16_t id)
{
	struct nd *nd = ctx;

	nd->ops->addr_del(nd->ctx, id);
}

static void
el_lease(void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct nd *nd = ctx;

	nd->ops->vr_lease(nd->ctx, seq, open, until);
}

static void
el_announce(void *ctx, uint16_t id)
{
	struct nd *nd = ctx;

	nd->ops->announce(nd->ctx, id);
}

static void
el_timer(void *ctx, monotime_t at)
{
	((struct nd *)ctx)->vr->vip_at = at;
}

/*
 * The kernel has silenced them, because no advert left in time: somebody else
 * may have them by now.  The routers stand down and listen first.
 */
static void
el_lapsed(void *ctx)
{
	struct nd *nd = ctx;
	struct nd_inner *in = nd_inner_put(nd, ND_IN_VR);

	in->u.vr.type = VR_EV_GAP;
	in->u.vr.u.gap.ms = nd->vr->lease_ms + 1;
	nd->vr->vouched = false;
}

static void
el_done(void *ctx, uint64_t token, bool ok, const char *text)
{
	struct nd *nd = ctx;
	struct nd_vr *v = nd->vr;
	uint16_t id = (uint16_t)(token >> 32);
	struct nd_vr_router *r;
	struct nd_inner *in;

	if (token == ND_TOKEN_MEND) {
		if (!ok)
			v->mend_at = mt_add_ms(nd->now, MEND_MS);
		return;
	}
	r = nd_vr_of(v, id);
	/* Of an order that a newer one has replaced. */
	if (r == NULL || r->pending == 0 || r->seq != (uint32_t)token ||
	    r->turn != (uint8_t)(token >> 48))
		return;
	r->failed = r->failed || !ok;
	if (--r->pending > 0)
		return;
	in = nd_inner_put(nd, ND_IN_VR);
	in->u.vr.type = r->taking ? VR_EV_TOOK : VR_EV_RELEASED;
	in->u.vr.u.result.id = id;
	in->u.vr.u.result.seq = r->seq;
	in->u.vr.u.result.ok = !r->failed;
	if (r->failed) {
		snprintf(in->text, ND_INNER_TEXT, "%s", text);
		in->u.vr.u.result.text = in->text;
	}
}

static void
el_cell(void *ctx, enum vip_ev in, enum vip_state state)
{
	nd_cell(ctx, ND_TABLE_VIP, in, state);
}

static const struct vip_ops elected_ops = {
    .addr_add = el_add,
    .addr_del = el_del,
    .lease = el_lease,
    .announce = el_announce,
    .timer = el_timer,
    .lapsed = el_lapsed,
    .done = el_done,
    .note = op_note,
    .cell = el_cell,
};

monotime_t
nd_vr_good_until(monotime_t sent, uint32_t interval_ms)
{
	return mt_add_us(sent, good_us(3 * interval_ms));
}

void
nd_vr_step(struct nd *nd, struct vr_event *e)
{
	e->now = nd->now;
	vr_step(nd->vr->core, e);
}

void
nd_vr_elected_step(struct nd *nd, struct vip_event *e)
{
	e->now = nd->now;
	vip_step(nd->vr->vip, e);
}

uint16_t
nd_vr_ifaces(const struct conf *c, char names[VR_IFS_MAX][16])
{
	_Static_assert(
	    (int)HAD_ROUTER_IFS_MAX == (int)VR_IFS_MAX, "interfaces");
	memcpy(names, c->router_ifs, sizeof(c->router_ifs));
	return c->n_router_ifs;
}

static void
add_tracks(const struct nd *nd, uint16_t router, struct vr_router_conf *out)
{
	const struct conf *c = nd->conf;

	for (uint16_t i = 0; i < c->n_tracks; i++) {
		const struct conf_track *t = &c->tracks[i];

		if (t->router != router)
			continue;
		ASSERT(out->n_tracks < VR_ROUTER_TRACKS_MAX);
		out->tracks[out->n_tracks++] =
		    (struct vr_track){.id = nd->vr->track_id[i],
			.weight = t->weight,
			.scaled = t->type == CONF_TRACK_FILE && t->weight != 0};
	}
}

enum vr_proto
nd_vr_proto(const struct conf_router *c)
{
	static const enum vr_proto protos[] = {
	    [CONF_VRRP2] = VR_VRRP2,
	    [CONF_VRRP3] = VR_VRRP3,
	    [CONF_CARP] = VR_CARP,
	};

	return protos[c->proto];
}

/* What the core is to know of one router, as things are now. */
static void
fill(const struct nd *nd, uint16_t i, struct vr_router_conf *out)
{
	const struct nd_vr *v = nd->vr;
	const struct conf_router *c = &nd->conf->routers[i];
	const struct nd_vr_iface *f = &v->facts[v->routers[i].ifx];
	const uint8_t *source = conf_router_source(c, nd->self);
	uint8_t rank = conf_router_rank(c, nd->self);

	memset(out, 0, sizeof(*out));
	memcpy(out->name, c->name, sizeof(out->name));
	out->cookie = i;
	out->ifx = v->routers[i].ifx;
	out->family = c->family;
	out->vrid = c->vrid;
	out->proto = nd_vr_proto(c);
	out->bound = !conf_router_elected(c);
	out->preempt = c->preempt;
	out->accept = !c->no_accept;
	out->group = c->group_id;
	out->preempt_delay_ms = c->preempt_after_ms;
	out->start_delay_ms = c->start_after_ms;
	if (c->proto == CONF_CARP) {
		out->advbase = (uint8_t)(c->interval_ms / 1000);
		out->advskew = rank;
		out->dead_ratio = 3;
	} else {
		out->priority = rank;
		out->interval_ms = c->interval_ms;
	}
	if (source != NULL)
		memcpy(out->own_addr, source, sizeof(out->own_addr));
	else if (c->family == 4)
		memcpy(out->own_addr, f->addr4, sizeof(f->addr4));
	else
		memcpy(out->own_addr, f->addr6, sizeof(f->addr6));
	add_tracks(nd, i, out);
}

static struct vr_conf
make_conf(struct nd *nd)
{
	struct nd_vr *v = nd->vr;

	v->n_confs = 0;
	for (uint16_t i = 0; i < v->n; i++)
		if (nd_vr_live(nd, i))
			fill(nd, i, &v->confs[v->n_confs++]);
	return (struct vr_conf){
	    .routers = v->confs,
	    .n = v->n_confs,
	    .lease_ms = v->lease_ms,
	    .reach_ms = 3 * nd->conf->t.heartbeat_ms,
	};
}

static void
find_ids(struct nd_vr *v)
{
	for (uint16_t i = 0; i < v->n_confs; i++) {
		const struct vr_router_conf *c = &v->confs[i];

		v->routers[c->cookie].id =
		    vr_find(v->core, c->ifx, c->family, c->vrid);
	}
}

static void
make_key(
    const struct conf *c, const struct conf_router *r, struct nd_vr_carp *carp)
{
	uint8_t addrs[HAD_ROUTER_ADDRESSES_MAX * 16];
	size_t len = r->family == 4 ? 4 : 16, n = r->n_addrs;

	for (size_t i = 0; i < n; i++)
		memcpy(addrs + i * len, c->addresses[r->addrs[i]].bytes, len);
	carp_key_init(&carp->key, r->password, r->vrid, addrs,
	    r->family == 4 ? n : 0, addrs, r->family == 6 ? n : 0);
}

void
nd_vr_keys(struct nd *nd)
{
	for (uint16_t i = 0; i < nd->vr->n; i++)
		if (nd->vr->routers[i].carp != NULL && nd_vr_live(nd, i))
			make_key(nd->conf, &nd->conf->routers[i],
			    nd->vr->routers[i].carp);
}

static struct vip *
new_elected(struct nd *nd, const struct conf *conf, uint32_t lease_ms)
{
	struct vip_addr_conf addrs[HAD_ADDRESSES_MAX];
	struct vip_conf c = {
	    .addrs = addrs,
	    .n = conf->n_addresses,
	    .lease_ms = lease_ms,
	};

	memset(addrs, 0, sizeof(addrs));
	for (uint16_t i = 0; i < c.n; i++) {
		const struct conf_address *a = &conf->addresses[i];

		memcpy(addrs[i].name, a->name, sizeof(addrs[i].name));
		addrs[i].family = elected(a) ? a->family : 0;
		memcpy(addrs[i].bytes, a->bytes, sizeof(addrs[i].bytes));
		addrs[i].prefix = a->prefix;
		memcpy(addrs[i].ifname, a->ifname, sizeof(addrs[i].ifname));
	}
	return vip_new(&c, &elected_ops, nd);
}

static bool
new_routers(struct nd_vr *v, const struct conf *c)
{
	for (uint16_t i = 0; i < v->n; i++) {
		const struct conf_router *rc = &c->routers[i];
		struct nd_vr_router *r = &v->routers[i];

		r->id = VR_NONE;
		if (conf_is_hole(rc->name))
			continue;
		while (strcmp(v->ifs[r->ifx], rc->ifname) != 0)
			r->ifx++;
		if (!conf_router_elected(rc) && !rc->leaving)
			v->bound[v->n_bound++] = i;
		if (!nd_vr_auth_new(r, c, rc))
			return false;
		if (rc->proto != CONF_CARP)
			continue;
		r->carp = calloc(1, sizeof(*r->carp));
		if (r->carp == NULL)
			return false;
		make_key(c, rc, r->carp);
		carp_replay_init(&r->carp->replay);
	}
	return true;
}

struct nd_vr *
nd_reload_new(struct nd *nd, const struct conf *c)
{
	struct nd_vr *v = calloc(1, sizeof(*v));
	uint32_t down_ms = conf_router_down_ms(c);

	if (v == NULL)
		return NULL;
	v->n = c->n_routers;
	v->n_ifs = nd_vr_ifaces(c, v->ifs);
	v->lease_ms = (uint32_t)(good_us(down_ms) / 1000);
	if (v->lease_ms == 0 ||
	    (nd->n_peers > 0 && v->lease_ms > nd->conf->t.lease_ms))
		v->lease_ms = nd->conf->t.lease_ms; /* 0: all are bound */
	v->vr_at = v->vip_at = v->reach_at = v->mend_at = MT_NEVER;
	v->beat_at = MT_NEVER;
	for (uint16_t i = 0; i < HAD_TRACKS_MAX; i++)
		v->track_id[i] = i;
	v->routers = calloc(v->n + 1u, sizeof(*v->routers));
	v->confs = calloc(v->n + 1u, sizeof(*v->confs));
	v->vip = new_elected(nd, c, v->lease_ms);
	if (nd->vr == NULL) {
		struct vr_conf none = {.lease_ms = v->lease_ms, .reach_ms = 1};

		v->core = vr_new(&none, &ops, nd);
	}
	if (v->routers == NULL || v->confs == NULL || v->vip == NULL ||
	    (nd->vr == NULL && v->core == NULL) || !new_routers(v, c)) {
		nd_reload_free(v);
		return NULL;
	}
	return v;
}

void
nd_reload_free(struct nd_vr *v)
{
	if (v == NULL)
		return;
	if (v->core != NULL)
		vr_free(v->core);
	if (v->vip != NULL)
		vip_free(v->vip);
	for (uint16_t i = 0; v->routers != NULL && i < v->n; i++) {
		free(v->routers[i].carp);
		free(v->routers[i].auth);
	}
	free(v->routers);
	free(v->confs);
	free(v);
}

bool
nd_vr_new(struct nd *nd)
{
	if (nd->conf->n_routers == 0)
		return true;
	nd->vr = nd_reload_new(nd, nd->conf);
	if (nd->vr == NULL)
		return false;
	nd_vr_config(nd);
	return true;
}

void
nd_vr_free(struct nd *nd)
{
	nd_reload_free(nd->vr);
	nd->vr = NULL;
}

void
nd_vr_start(struct nd *nd)
{
	struct vr_event e = {.type = VR_EV_START};
	struct vip_event a = {.type = VIP_EV_START};
	struct nd_vr *v = nd->vr;

	if (v == NULL)
		return;
	v->started = true;
	nd_vr_elected_step(nd, &a);
	/* Nothing can be sent before the first word about an interface. */
	for (uint16_t x = 0; x < v->n_ifs; x++)
		nd_vr_links(nd, x);
	e.u.start.seed = nd->seed ^ UINT64_C(0x76727200);
	if (e.u.start.seed == 0)
		e.u.start.seed = 1;
	nd_vr_step(nd, &e);
	v->reach_at = nd->now;
}

/* The routers as the file and the interfaces have them now. */
void
nd_vr_config(struct nd *nd)
{
	struct vr_event e = {.type = VR_EV_CONFIG};
	struct vr_conf vc = make_conf(nd);

	for (uint16_t i = 0; i < nd->vr->n; i++)
		nd->vr->routers[i].said_len = 0;
	e.u.conf = &vc;
	nd_vr_step(nd, &e);
	find_ids(nd->vr);
}
