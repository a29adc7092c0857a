/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volumes inside the node.
 */
#include <stdio.h>
#include <string.h>

#include "node_int.h"

static struct nd_vol *
vol_of(struct nd_vol_ref *r)
{
	return &r->nd->vols[r->vol];
}

static void
op_disk(void *ctx, const struct mir_io *io)
{
	struct nd_vol_ref *r = ctx;

	r->nd->ops->disk(r->nd->ctx, r->vol, io);
}

static void
op_reply(void *ctx, uint64_t cookie, int error)
{
	struct nd_vol_ref *r = ctx;

	r->nd->ops->vol_reply(r->nd->ctx, r->vol, cookie, error);
}

static void
op_send(void *ctx, uint8_t peer, const uint8_t *hdr, size_t hdr_len,
    const void *data, size_t data_len)
{
	struct nd_vol_ref *r = ctx;
	struct nd_peer *p = nd_peer(r->nd, peer);
	struct nd_buf parts[2] = {{hdr, hdr_len}, {data, data_len}};

	if (p != NULL && p->bulk.up)
		nd_net_send(r->nd, p, WIRE_MIRROR, (uint8_t)r->vol,
		    nd_session_tx(&p->bulk), parts, data_len > 0 ? 2 : 1);
}

static void
op_timer(void *ctx, monotime_t at)
{
	struct nd_vol_ref *r = ctx;

	r->nd->mir_at[r->vol] = at;
}

static void
op_done(void *ctx, uint64_t token, bool ok, const char *text)
{
	struct nd_vol_ref *r = ctx;
	struct nd *nd = r->nd;
	struct nd_vol *v = vol_of(r);
	struct nd_inner *in;

	switch (token) {
	case ND_TOKEN_PROMOTE:
	case ND_TOKEN_DEMOTE:
		nd_svc_promoted(
		    nd, r->vol, token == ND_TOKEN_PROMOTE, ok, text);
		break;
	case ND_TOKEN_STOP:
		ASSERT(nd->stopping > 0);
		if (--nd->stopping > 0)
			break;
		in = nd_inner_put(nd, ND_IN_MEMBER);
		in->u.member.type = MB_EV_STOPPED;
		break;
	case ND_TOKEN_RESYNC:
		if (v->resync_token != 0)
			nd->ops->reply(
			    nd->ctx, v->resync_token, ok ? 0 : 69, text);
		v->resync_token = 0;
		break;
	default:
		ASSERT(false);
	}
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	nd_note(((struct nd_vol_ref *)ctx)->nd, level, rule, object, text);
}

static void
op_changed(void *ctx)
{
	vol_of(ctx)->changed = true;
}

static const struct mir_ops ops = {
    .disk = op_disk,
    .reply = op_reply,
    .send = op_send,
    .timer = op_timer,
    .done = op_done,
    .note = op_note,
    .changed = op_changed,
};

struct mir *
nd_mir_new(struct nd *nd, uint16_t vol, const struct nd_disk *disk)
{
	const struct conf_volume *cv = &nd->conf->volumes[vol];
	struct mir_conf c = {
	    .self = nd->self,
	    .cluster = mmeta_cluster(nd->conf->cluster),
	    .layout = disk->layout,
	    .resync_rate_kib = cv->resync_rate_kib,
	    .reqs_max = ND_REQS_MAX,
	};

	memcpy(c.name, cv->name, sizeof(c.name));
	memcpy(c.disk_why, disk->why, sizeof(c.disk_why));
	if (nd->n_peers > 0) {
		c.peer = nd->peers[0].id;
		memcpy(
		    c.peer_name, nd->peers[0].conf->name, sizeof(c.peer_name));
	}
	nd->refs[vol].nd = nd;
	nd->refs[vol].vol = vol;
	return mir_new(&c, &ops, &nd->refs[vol]);
}

/*
 * Whether the copies are comparable now.  NOCOPY is no comparison: the copy
 * that is missing may have been the newer one, unless the node that misses it
 * says what it had.
 */
static bool
compared(const struct mir_status *st)
{
	switch (st->conn) {
	case MIR_CONN_INSYNC:
	case MIR_CONN_SOURCE:
	case MIR_CONN_FINISH:
	case MIR_CONN_TARGET:
		return true;
	case MIR_CONN_NOCOPY:
		return st->disk == MIR_DISK_UPTODATE && st->peer_agrees;
	case MIR_CONN_WAIT:
		/* Neither has ever had data: nothing can be stale. */
		return st->disk == MIR_DISK_BLANK &&
		       st->peer_disk == MIR_DISK_BLANK;
	default:
		return false;
	}
}

/*
 * R8: the peer has acted without this node, or may have: what an earlier
 * comparison said is over, and the next one may never come.
 */
static bool
overtaken(const struct nd *nd)
{
	return nd->state == MB_INERT ||
	       (nd->state == MB_ISOLATED && nd->n_peers > 0 &&
		   !nd->peers[0].bulk.up);
}

/* Without a connection what was seen last stays true. */
static void
see_peer_copy(struct nd_vol *v)
{
	switch (v->st.conn) {
	case MIR_CONN_NOCOPY:
	case MIR_CONN_SOURCE:
	case MIR_CONN_FINISH:
		v->sole = v->st.disk == MIR_DISK_UPTODATE;
		break;
	case MIR_CONN_DOWN:
	case MIR_CONN_DRAIN:
	case MIR_CONN_HELLO:
	case MIR_CONN_BITS:
	case MIR_CONN_BEGIN:
		break;
	default:
		v->sole = false;
		break;
	}
}

static void
tell_svc(struct nd *nd, uint16_t vol)
{
	struct nd_vol *v = &nd->vols[vol];
	bool promote, uptodate;
	struct nd_inner *in;

	v->changed = false;
	mir_status(v->mir, &v->st);
	see_peer_copy(v);
	nd_arb_holds(nd);
	promote = mir_promotable(v->mir, NULL, 0);
	uptodate = v->st.disk == MIR_DISK_UPTODATE;
	v->met = !overtaken(nd) && (v->met || compared(&v->st));
	if (promote == v->told_promote && uptodate == v->told_uptodate &&
	    v->met == v->told_met)
		return;
	v->told_promote = promote;
	v->told_uptodate = uptodate;
	v->told_met = v->met;
	in = nd_inner_put(nd, ND_IN_SVC);
	in->u.svc.type = SVC_EV_VOLUME;
	in->u.svc.u.volume.id = vol;
	in->u.svc.u.volume.can_promote = promote;
	in->u.svc.u.volume.uptodate = uptodate;
	in->u.svc.u.volume.met = v->met;
}

/* Is every copy here the newest one, as far as this node can know? */
void
nd_mir_data(struct nd *nd)
{
	bool behind = false;
	struct nd_inner *in;

	for (uint16_t i = 0; i < nd->conf->n_volumes; i++) {
		const struct nd_vol *v = &nd->vols[i];

		if (!v->met && !nd->own_right)
			behind = true;
		if (v->st.disk != MIR_DISK_UPTODATE &&
		    v->st.disk != MIR_DISK_BLANK)
			behind = true;
	}
	if (behind == nd->data_behind)
		return;
	nd->data_behind = behind;
	in = nd_inner_put(nd, ND_IN_MEMBER);
	in->u.member.type = MB_EV_DATA;
	in->u.member.u.data.current = !behind;
}

void
nd_mir_step(struct nd *nd, uint16_t vol, struct mir_event *e)
{
	struct nd_vol *v = &nd->vols[vol];

	e->now = nd->now;
	mir_step(v->mir, e);
	if (v->changed || e->type == MIR_VIEW || e->type == MIR_START)
		tell_svc(nd, vol);
}

/*
 * This node ends while nobody has decided about the peer (R2).  The peer will
 * see that it has ended and go on with the data that it has: from here on
 * nothing may be answered that it lacks, so what is held fails.
 */
static bool
stranded(const struct nd *nd)
{
	return nd->state == MB_STOPPING && nd->n_peers > 0 &&
	       nd->peers[0].verdict == MB_PEER_LOST;
}

/* What arbitration and the session with the peer mean to a volume. */
static void
view(const struct nd *nd, uint16_t vol, struct mir_event *e)
{
	const struct nd_peer *p = nd->n_peers > 0 ? &nd->peers[0] : NULL;

	memset(e, 0, sizeof(*e));
	e->type = MIR_VIEW;
	e->u.view.epoch = nd->epoch;
	e->u.view.own_right = nd->own_right;
	e->u.view.link = nd->vols[vol].link;
	e->u.view.peer = MIR_PEER_DOWN;
	if (stranded(nd)) {
		e->u.view.demoted = true;
	} else if (p == NULL || p->verdict == MB_PEER_GONE ||
		   p->verdict == MB_PEER_LEFT || p->verdict == MB_PEER_LOST) {
		/* Only at an epoch that was raised for it. */
		if (nd->state == MB_ALONE || nd->state == MB_STOPPING)
			e->u.view.peer = MIR_PEER_GONE;
	} else if (p->bulk.up) {
		e->u.view.peer = MIR_PEER_UP;
		e->u.view.silent = p->verdict == MB_PEER_SILENT;
	}
	e->u.view.doubt = nd->state == MB_DOUBT;
	e->u.view.demoted |= nd->state == MB_INERT || nd->state == MB_OFF ||
			     nd->state == MB_ISOLATED || nd->distrusted;
	/*
	 * R7: what is held would never end, nor would who waits for it.  Where
	 * nothing runs nothing is held, and the copy stays as good as it was:
	 * a lease that comes a moment later may use it.
	 */
	e->u.view.no_lease =
	    !e->u.view.demoted && nd->no_data && nd->holding != 0;
	e->u.view.demoted |= e->u.view.no_lease;
}

void
nd_mir_views(struct nd *nd)
{
	for (uint16_t i = 0; i < nd->conf->n_volumes; i++) {
		struct nd_inner *in = nd_inner_put(nd, ND_IN_MIR);

		in->vol = i;
		view(nd, i, &in->u.mir);
	}
}

/* The session over bulk began or ended. */
void
nd_mir_peer(struct nd *nd, struct nd_peer *p, bool up)
{
	(void)p;
	for (uint16_t i = 0; i < nd->conf->n_volumes && up; i++)
		nd->vols[i].link++;
	nd_mir_views(nd);
}

void
nd_mir_stop(struct nd *nd)
{
	struct nd_inner *in;

	nd->stopping = nd->conf->n_volumes;
	for (uint16_t i = 0; i < nd->conf->n_volumes; i++) {
		in = nd_inner_put(nd, ND_IN_MIR);
		in->vol = i;
		in->u.mir.type = MIR_STOP;
		in->u.mir.u.stop.token = ND_TOKEN_STOP;
	}
	if (nd->stopping == 0) {
		in = nd_inner_put(nd, ND_IN_MEMBER);
		in->u.member.type = MB_EV_STOPPED;
	}
}

void
nd_mir_resync(struct nd *nd, const struct nd_event *e)
{
	struct nd_vol *v = &nd->vols[e->u.op.vol];
	struct nd_inner *in;

	if (v->resync_token != 0) {
		nd->ops->reply(nd->ctx, e->u.op.token, 75,
		    "another resync of that volume was just asked for");
		return;
	}
	v->resync_token = e->u.op.token;
	in = nd_inner_put(nd, ND_IN_MIR);
	in->vol = e->u.op.vol;
	in->u.mir.type = MIR_RESYNC;
	in->u.mir.u.resync.token = ND_TOKEN_RESYNC;
	in->u.mir.u.resync.from = e->u.op.node;
}
