/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One node: the cores, and what passes between them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_int.h"

struct nd_inner *
nd_inner_put(struct nd *nd, enum nd_inner_type type)
{
	struct nd_inner *in;
	unsigned slot;

	ASSERT(nd->inner_used < ND_INNER_MAX);
	/* From the start: what was never needed is never touched. */
	if (nd->inner_used == 0)
		nd->inner_head = 0;
	slot = (nd->inner_head + nd->inner_used++) % ND_INNER_MAX;
	in = &nd->inner[slot];
	memset(in, 0, sizeof(*in));
	in->type = type;
	in->text = nd->inner_text[slot];
	return in;
}

void
nd_cell(struct nd *nd, enum nd_table table, unsigned in, unsigned state)
{
	if (nd->ops->cell != NULL)
		nd->ops->cell(nd->ctx, table, in, state);
}

struct nd_peer *
nd_peer(struct nd *nd, uint8_t id)
{
	for (unsigned i = 0; i < nd->n_peers; i++)
		if (nd->peers[i].id == id)
			return &nd->peers[i];
	return NULL;
}

static bool
make_cores(struct nd *nd, const struct nd_disk *disks)
{
	nd->member = nd_member_new(nd);
	nd->arb = nd_arb_new(nd);
	nd->svc = nd_svc_new(nd);
	nd->vip = nd_vip_new(nd);
	nd->lock = nd_lock_new(nd);
	for (uint16_t i = 0; i < nd->conf->n_volumes; i++) {
		nd->vols[i].mir = nd_mir_new(nd, i, &disks[i]);
		if (nd->vols[i].mir == NULL)
			return false;
		mir_status(nd->vols[i].mir, &nd->vols[i].st);
	}
	if (!nd_vr_new(nd) || !nd_share_new(nd))
		return false;
	return nd->member != NULL && nd->arb != NULL && nd->svc != NULL &&
	       nd->vip != NULL && nd->lock != NULL;
}

struct nd *
nd_new(const struct conf *conf, uint8_t self, const struct nd_disk *disks,
    const struct nd_ops *ops, void *ctx)
{
	struct nd *nd = calloc(1, sizeof(*nd));

	if (nd == NULL)
		return NULL;
	nd->conf = conf;
	nd->ops = ops;
	nd->ctx = ctx;
	nd->self = self;
	nd->me = conf_node(conf, self);
	ASSERT(nd->me != NULL);
	for (unsigned i = 0; i < conf->n_nodes; i++) {
		struct nd_peer *p = &nd->peers[nd->n_peers];

		if (conf->nodes[i].id == self)
			continue;
		p->id = conf->nodes[i].id;
		p->conf = &conf->nodes[i];
		nd->n_peers++;
	}
	for (unsigned l = 0; l < HAD_LINKS_MAX; l++)
		nd->carrier[l] = true;
	nd->pings_any = true;
	nd->has_voters =
	    conf->witness.addr[0] != '\0' || conf->n_lock_disks > 0;
	nd->hb_at = nd->member_at = nd->svc_at = nd->vip_at = nd->lock_at =
	    nd->arb_at = nd->leave_at = nd->grace_at = nd->armed = MT_NEVER;
	for (unsigned i = 0; i < HAD_VOLUMES_MAX; i++)
		nd->mir_at[i] = MT_NEVER;
	if (!make_cores(nd, disks)) {
		nd_free(nd);
		return NULL;
	}
	return nd;
}

void
nd_free(struct nd *nd)
{
	if (nd == NULL)
		return;
	for (unsigned i = 0; i < HAD_VOLUMES_MAX; i++)
		if (nd->vols[i].mir != NULL)
			mir_free(nd->vols[i].mir);
	nd_share_free(nd);
	nd_vr_free(nd);
	if (nd->lock != NULL)
		lk_free(nd->lock);
	if (nd->vip != NULL)
		vip_free(nd->vip);
	if (nd->svc != NULL)
		svc_free(nd->svc);
	if (nd->arb != NULL)
		arb_free(nd->arb);
	if (nd->member != NULL)
		mb_free(nd->member);
	free(nd);
}

/* One event that a core had for another. */
static void
inner_step(struct nd *nd, struct nd_inner *in)
{
	char text[ND_INNER_TEXT];

	switch (in->type) {
	case ND_IN_MEMBER:
		in->u.member.now = nd->now;
		mb_step(nd->member, &in->u.member);
		break;
	case ND_IN_SVC:
		in->u.svc.now = nd->now;
		/* The slot may be another's before the step is over. */
		if (in->u.svc.type == SVC_EV_STEP_DONE) {
			memcpy(text, in->text, sizeof(text));
			in->u.svc.u.done.text = text;
		}
		svc_step(nd->svc, &in->u.svc);
		break;
	case ND_IN_VIP:
		in->u.vip.now = nd->now;
		vip_step(nd->vip, &in->u.vip);
		break;
	case ND_IN_MIR:
		if (in->u.mir.type == MIR_PROMOTE)
			in->u.mir.u.promote.epoch = nd->epoch;
		nd_mir_step(nd, in->vol, &in->u.mir);
		break;
	case ND_IN_LOCK:
		in->u.lock.now = nd->now;
		lk_step(nd->lock, &in->u.lock);
		break;
	case ND_IN_ARB:
		in->u.arb.now = nd->now;
		arb_step(nd->arb, &in->u.arb);
		break;
	case ND_IN_VR:
		if ((in->u.vr.type == VR_EV_TOOK ||
			in->u.vr.type == VR_EV_RELEASED) &&
		    in->u.vr.u.result.text != NULL) {
			memcpy(text, in->text, sizeof(text));
			in->u.vr.u.result.text = text;
		}
		nd_vr_step(nd, &in->u.vr);
		break;
	case ND_IN_ELECTED:
		nd_vr_elected_step(nd, &in->u.vip);
		break;
	case ND_IN_SHARE:
		nd_share_step(nd, &in->u.share);
		break;
	case ND_IN_SHARED:
		nd_share_vip_step(nd, &in->u.vip);
		break;
	}
}

/* Until no core has anything to tell another. */
static void
settle(struct nd *nd)
{
	unsigned rounds = 0;

	for (;;) {
		struct nd_inner in;

		/* A loop between cores would never end. */
		ASSERT(++rounds < 100000);
		if (nd->inner_used > 0) {
			in = nd->inner[nd->inner_head];
			nd->inner_head = (nd->inner_head + 1) % ND_INNER_MAX;
			nd->inner_used--;
			inner_step(nd, &in);
		} else if (nd->views_due) {
			nd_views(nd);
		} else {
			nd_vouch(nd);
			nd_mir_data(nd);
			nd_vr_settle(nd);
			nd_share_settle(nd);
			if (nd->inner_used == 0)
				break;
		}
	}
}

static bool
due(const struct nd *nd, monotime_t *at)
{
	if (mt_before(nd->now, *at))
		return false;
	*at = MT_NEVER;
	return true;
}

static void
timers(struct nd *nd)
{
	if (due(nd, &nd->member_at))
		nd_inner_put(nd, ND_IN_MEMBER)->u.member.type = MB_EV_TIMER;
	if (due(nd, &nd->svc_at))
		nd_inner_put(nd, ND_IN_SVC)->u.svc.type = SVC_EV_TIMER;
	if (due(nd, &nd->vip_at))
		nd_inner_put(nd, ND_IN_VIP)->u.vip.type = VIP_EV_TIMER;
	if (due(nd, &nd->lock_at))
		nd_inner_put(nd, ND_IN_LOCK)->u.lock.type = LK_EV_TIMER;
	if (due(nd, &nd->arb_at))
		nd_inner_put(nd, ND_IN_ARB)->u.arb.type = ARB_EV_TIMER;
	for (uint16_t i = 0; i < nd->conf->n_volumes; i++) {
		struct nd_inner *in;

		if (!due(nd, &nd->mir_at[i]))
			continue;
		in = nd_inner_put(nd, ND_IN_MIR);
		in->u.mir.type = MIR_TIMER;
		in->vol = i;
	}
	if (due(nd, &nd->leave_at))
		nd_mir_stop(nd);
	if (due(nd, &nd->grace_at))
		nd->views_due = true;
	nd_vr_timers(nd);
	nd_share_timers(nd);
	nd_beat(nd);
}

static void
arm(struct nd *nd)
{
	monotime_t at = nd_net_next(nd);

	at = mt_min(at, mt_min(nd->member_at, nd->svc_at));
	at = mt_min(at, mt_min(nd->vip_at, nd->lock_at));
	at = mt_min(at, mt_min(nd->leave_at, nd->grace_at));
	at = mt_min(at, mt_min(nd->arb_at, nd_vr_next(nd)));
	at = mt_min(at, nd_share_next(nd));
	for (uint16_t i = 0; i < nd->conf->n_volumes; i++)
		at = mt_min(at, nd->mir_at[i]);
	if (at.us == nd->armed.us)
		return;
	nd->armed = at;
	nd->ops->timer(nd->ctx, at);
}

static void
start(struct nd *nd, const struct nd_event *e)
{
	struct mb_event m = {.type = MB_EV_START, .now = nd->now};
	struct svc_event s = {.type = SVC_EV_START, .now = nd->now};
	struct vip_event v = {.type = VIP_EV_START, .now = nd->now};
	struct lk_event l = {.type = LK_EV_START, .now = nd->now};
	struct arb_event a = {.type = ARB_EV_START, .now = nd->now};
	struct mir_event r = {.type = MIR_START};

	ASSERT(!nd->started && e->u.start.seed != 0);
	nd->started = true;
	nd->seed = e->u.start.seed;
	nd->incarnation = e->u.start.incarnation;
	if (e->u.start.record != NULL)
		nd->epoch = e->u.start.record->epoch;
	nd_net_init(nd);
	vip_step(nd->vip, &v);
	arb_step(nd->arb, &a);
	l.u.start.seed = nd->seed;
	l.u.start.epoch = nd->epoch;
	lk_step(nd->lock, &l);
	for (uint16_t i = 0; i < nd->conf->n_volumes; i++) {
		r.u.start.seed = nd->seed + i + 1;
		nd_mir_step(nd, i, &r);
	}
	s.u.start.seed = nd->seed;
	svc_step(nd->svc, &s);
	m.u.start.incarnation = nd->incarnation;
	m.u.start.seed = nd->seed;
	m.u.start.record = e->u.start.record;
	mb_step(nd->member, &m);
	nd->views_due = true;
	nd_vr_start(nd);
	nd_share_start(nd);
}

/*
 * A daemon that did not run for a while says so before it looks at anything
 * that arrived meanwhile: longer than its lease, and it stands back; shorter,
 * and the silence of its peer was its own.
 */
static void
thaw(struct nd *nd)
{
	int64_t lease_us = (int64_t)nd->conf->t.lease_ms * 1000;
	int64_t gap_us = mt_sub_us(nd->now, nd->stepped);
	/* How long it was to sleep anyway, it has listened. */
	int64_t late_us = mt_sub_us(nd->now, nd->armed);
	struct mb_event m = {.type = MB_EV_GAP, .now = nd->now};

	nd_vr_gap(nd, gap_us);
	m.u.gap.us = gap_us > lease_us ? gap_us : late_us;
	if (nd->n_peers == 0 ||
	    m.u.gap.us <= (int64_t)nd->conf->t.heartbeat_ms * 1000 / 4)
		return;
	mb_step(nd->member, &m);
	/* Who ends does not come back to ask: it trusts itself no more. */
	if (nd->state == MB_STOPPING && gap_us > lease_us) {
		nd->distrusted = true;
		nd->views_due = true;
	}
	settle(nd);
}

static void
step_done(struct nd *nd, const struct nd_event *e)
{
	struct svc_event s = {.type = SVC_EV_STEP_DONE, .now = nd->now};

	s.u.done.service = e->u.step.service;
	s.u.done.step = e->u.step.step;
	s.u.done.action = e->u.step.action;
	s.u.done.token = e->u.step.token;
	s.u.done.result = e->u.step.result;
	s.u.done.text = e->u.step.text;
	svc_step(nd->svc, &s);
}

static void
vip_event(struct nd *nd, const struct nd_event *e)
{
	struct vip_event v = e->u.vip;

	if (nd_vr_vip(nd, e) || nd_share_vip(nd, e))
		return;
	v.now = nd->now;
	vip_step(nd->vip, &v);
	if (v.type != VIP_EV_CARRIER)
		return;
	for (uint8_t l = 0; l < nd->me->n_links; l++)
		if (strcmp(nd->me->links[l].ifname, v.u.carrier.ifname) == 0)
			nd_net_carrier(nd, l, v.u.carrier.up);
	nd_arb_carrier(nd, v.u.carrier.ifname, v.u.carrier.up);
}

static void
lock_event(struct nd *nd, const struct nd_event *e)
{
	struct lk_event l = {.now = nd->now};

	if (e->type == ND_EV_LOCK_OPEN) {
		l.type = LK_EV_CLIENT_OPEN;
		l.u.open.client = e->u.lock.client;
		l.u.open.uid = e->u.lock.uid;
		l.u.open.gid = e->u.lock.gid;
		l.u.open.pid = e->u.lock.pid;
		l.u.open.spaces = e->u.lock.spaces;
	} else if (e->type == ND_EV_LOCK_MSG) {
		l.type = LK_EV_CLIENT_MSG;
		l.u.cmsg.client = e->u.lock.client;
		l.u.cmsg.bytes = e->u.lock.bytes;
		l.u.cmsg.len = e->u.lock.len;
	} else {
		l.type = LK_EV_CLIENT_EOF;
		l.u.eof.client = e->u.lock.client;
	}
	lk_step(nd->lock, &l);
}

static void
op_event(struct nd *nd, const struct nd_event *e)
{
	struct svc_event s = {.type = SVC_EV_OP, .now = nd->now};
	struct mb_event m = {.type = MB_EV_SEED, .now = nd->now};

	s.u.op.service = e->u.op.service;
	s.u.op.node = e->u.op.node;
	s.u.op.dry_run = e->u.op.dry_run;
	s.u.op.force = e->u.op.force;
	s.u.op.token = e->u.op.token;
	switch (e->u.op.op) {
	case ND_OP_SEED:
		m.u.seed.peer = e->u.op.node;
		m.u.seed.token = e->u.op.token;
		mb_step(nd->member, &m);
		return;
	case ND_OP_RESYNC:
		nd_mir_resync(nd, e);
		return;
	case ND_OP_FENCE_TEST:
	case ND_OP_FENCE_CONFIRM:
		nd_arb_op(nd, e);
		return;
	case ND_OP_RELEASE:
		nd_vr_op(nd, e);
		return;
	case ND_OP_TAKEOVER:
		s.u.op.op = SVC_OP_TAKEOVER;
		break;
	case ND_OP_STANDBY:
		s.u.op.op = SVC_OP_STANDBY;
		break;
	case ND_OP_ONLINE:
		s.u.op.op = SVC_OP_ONLINE;
		break;
	case ND_OP_FREEZE:
		s.u.op.op = SVC_OP_FREEZE;
		break;
	case ND_OP_THAW:
		s.u.op.op = SVC_OP_THAW;
		break;
	case ND_OP_MOVE:
		s.u.op.op = SVC_OP_MOVE;
		break;
	case ND_OP_START:
		s.u.op.op = SVC_OP_START;
		break;
	case ND_OP_STOP:
		s.u.op.op = SVC_OP_STOP;
		break;
	case ND_OP_N:
		return;
	}
	svc_step(nd->svc, &s);
}

static void
volume_event(struct nd *nd, const struct nd_event *e)
{
	struct mir_event r = {.type = MIR_DISK};

	if (e->type == ND_EV_DISK) {
		r.u.disk.io = e->u.disk.io;
		r.u.disk.error = e->u.disk.error;
		nd_mir_step(nd, e->u.disk.vol, &r);
		return;
	}
	r.type = MIR_REQ;
	r.u.req.cookie = e->u.req.cookie;
	r.u.req.cmd = e->u.req.cmd;
	r.u.req.fua = e->u.req.fua;
	r.u.req.off = e->u.req.off;
	r.u.req.len = e->u.req.len;
	r.u.req.buf = e->u.req.buf;
	nd_mir_step(nd, e->u.req.vol, &r);
}

static void
net_event(struct nd *nd, const struct nd_event *e)
{
	struct mb_event m = {.type = MB_EV_REFUSED, .now = nd->now};

	switch (e->type) {
	case ND_EV_UP:
		nd_net_up(nd, e);
		return;
	case ND_EV_LOST:
		nd_net_lost(nd, e);
		return;
	case ND_EV_MSG:
		nd_net_msg(nd, e);
		return;
	case ND_EV_REFUSED:
		m.u.refused.peer = e->peer;
		m.u.refused.link = e->u.assoc.link;
		break;
	case ND_EV_KERNEL_ALIVE:
		m.type = MB_EV_KERNEL_ALIVE;
		m.u.kernel_alive.peer = e->peer;
		m.u.kernel_alive.link = e->u.assoc.link;
		break;
	default:
		ASSERT(false);
	}
	if (nd_peer(nd, e->peer) != NULL)
		mb_step(nd->member, &m);
}

/* What only membership needs to know. */
static void
member_event(struct nd *nd, const struct nd_event *e)
{
	struct mb_event m = {.now = nd->now};

	switch (e->type) {
	case ND_EV_PERSISTED:
		m.type = MB_EV_PERSISTED;
		m.u.persisted.serial = e->u.persisted.serial;
		m.u.persisted.ok = e->u.persisted.ok;
		break;
	case ND_EV_DOMAIN:
		m.type = MB_EV_DOMAIN;
		m.u.domain.link = e->u.domain.link;
		m.u.domain.other = e->u.domain.other;
		break;
	case ND_EV_STOP:
		nd_share_stop(nd);
		return;
	default:
		ASSERT(false);
	}
	mb_step(nd->member, &m);
}

static void
dispatch(struct nd *nd, const struct nd_event *e)
{
	switch (e->type) {
	case ND_EV_START:
		start(nd, e);
		break;
	case ND_EV_TIMER:
		nd->armed = MT_NEVER;
		break;
	case ND_EV_UP:
	case ND_EV_LOST:
	case ND_EV_REFUSED:
	case ND_EV_KERNEL_ALIVE:
	case ND_EV_MSG:
		net_event(nd, e);
		break;
	case ND_EV_PERSISTED:
	case ND_EV_DOMAIN:
	case ND_EV_STOP:
		member_event(nd, e);
		break;
	case ND_EV_ADVERT:
		nd_arb_advert(nd, e);
		break;
	case ND_EV_STEP_DONE:
		step_done(nd, e);
		break;
	case ND_EV_EXPORTED:
		nd_svc_exported(nd, e->u.exported.vol, e->u.exported.on,
		    e->u.exported.ok, e->u.exported.text);
		break;
	case ND_EV_VIP:
		vip_event(nd, e);
		break;
	case ND_EV_DISK:
	case ND_EV_REQ:
		volume_event(nd, e);
		break;
	case ND_EV_LOCK_OPEN:
	case ND_EV_LOCK_MSG:
	case ND_EV_LOCK_EOF:
		lock_event(nd, e);
		break;
	case ND_EV_OP:
		op_event(nd, e);
		break;
	case ND_EV_ARB:
		nd_arb_event(nd, e);
		break;
	case ND_EV_PINGS:
		nd_arb_pings(nd, e->u.pings.answered);
		break;
	case ND_EV_WATCHDOG:
		nd->watchdog_armed = e->u.watchdog.armed;
		break;
	case ND_EV_VR_PACKET:
	case ND_EV_VR_IFACE:
	case ND_EV_VR_TRACK:
	case ND_EV_VR_RELOAD:
		nd_vr_event(nd, e);
		break;
	case ND_EV_SERVED:
		nd_share_served(nd, e);
		break;
	case ND_EV_N:
		ASSERT(false);
	}
}

void
nd_step(struct nd *nd, const struct nd_event *e)
{
	ASSERT(!nd->stepping);
	ASSERT(nd->started == (e->type != ND_EV_START));
	nd->stepping = true;
	nd->now = e->now;
	nd->wall_us = e->wall_us;
	if (e->type == ND_EV_VR_RELOAD)
		nd_vr_swap(nd, e);
	if (nd->started) {
		ASSERT(!mt_before(nd->now, nd->stepped));
		thaw(nd);
	}
	dispatch(nd, e);
	settle(nd);
	timers(nd);
	settle(nd);
	nd_vr_tell_due(nd, e->type == ND_EV_TIMER);
	nd_vr_answer(nd);
	arm(nd);
	nd->stepped = nd->now;
	nd->stepping = false;
}

const struct lk *
nd_locks(const struct nd *nd)
{
	return nd->lock;
}

enum mb_peer
nd_verdict(const struct nd *nd, uint8_t peer)
{
	for (unsigned i = 0; i < nd->n_peers; i++)
		if (nd->peers[i].id == peer)
			return nd->peers[i].verdict;
	return MB_PEER_UNKNOWN;
}

uint64_t
nd_epoch(const struct nd *nd)
{
	return nd->epoch;
}
