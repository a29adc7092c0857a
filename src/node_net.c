/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The node on the network: associations come and go, heartbeats, and the
 * envelope with rule R8 (an older epoch is refused and told the current one).
 */
#include <stdio.h>
#include <string.h>

#include "node_int.h"

void
nd_net_init(struct nd *nd)
{
	const struct lnk_conf lc = {
	    .heartbeat_ms = nd->conf->t.heartbeat_ms,
	    .dead_ms = nd->conf->t.dead_ms,
	};

	for (unsigned i = 0; i < nd->n_peers; i++)
		for (unsigned l = 0; l < nd->me->n_links; l++)
			lnk_init(&nd->peers[i].links[l], &lc, nd->now);
	nd->hb_at =
	    nd->n_peers > 0 || nd->conf->n_addresses > 0 ? nd->now : MT_NEVER;
}

void
nd_net_send(struct nd *nd, struct nd_peer *p, enum wire_core core,
    uint8_t instance, uint32_t session, const struct nd_buf *bufs, unsigned n)
{
	struct wire_hdr h = {
	    .core = core,
	    .sender = nd->self,
	    .instance = instance,
	    .session = session,
	    .incarnation = nd->incarnation,
	    .epoch = nd->epoch,
	};
	uint8_t bytes[WIRE_HDR_LEN];
	struct nd_buf parts[4] = {{bytes, sizeof(bytes)}};
	bool bulk = core == WIRE_MIRROR || (core == WIRE_OPEN && instance);
	uint16_t stream = ND_STREAM_SVC;

	ASSERT(n < NITEMS(parts));
	if (bulk ? !p->bulk_up : !p->ctl_up)
		return;
	wire_put_hdr(bytes, &h);
	for (unsigned i = 0; i < n; i++)
		parts[1 + i] = bufs[i];
	if (bulk || core == WIRE_MEMBER || core == WIRE_HELLO)
		stream = ND_STREAM_MEMBER;
	nd->ops->send(
	    nd->ctx, p->id, bulk ? ND_BULK : ND_CTL, 0, stream, parts, n + 1);
}

void
nd_tell(struct nd *nd, uint8_t peer, const uint8_t *bytes, size_t len)
{
	struct nd_peer *p = nd_peer(nd, peer);
	struct nd_buf buf = {bytes, len};

	ASSERT(!nd->stepping);
	if (p != NULL)
		nd_net_send(nd, p, WIRE_EVENTS, 0, 0, &buf, 1);
}

static void
send_hello(struct nd *nd, struct nd_peer *p)
{
	struct wire_hello h = {.digest = nd->conf->digest};
	uint8_t bytes[WIRE_HELLO_LEN];
	struct nd_buf buf = {bytes, sizeof(bytes)};

	snprintf(h.version, sizeof(h.version), "%s", HAD_VERSION);
	snprintf(h.cluster, sizeof(h.cluster), "%s", nd->conf->cluster);
	wire_put_hello(bytes, &h);
	nd_net_send(nd, p, WIRE_HELLO, 0, 0, &buf, 1);
}

/* Another daemon answers there now: what was known of the old one is void. */
static void
meet(struct nd *nd, struct nd_peer *p, uint64_t incarnation)
{
	if (p->incarnation == incarnation)
		return;
	p->incarnation = incarnation;
	p->hello = false;
	for (unsigned l = 0; l < nd->me->n_links; l++) {
		lnk_reset(&p->links[l], nd->now);
		p->hb_echo_us[l] = 0;
	}
	p->hb_heard_us = 0;
}

void
nd_net_up(struct nd *nd, const struct nd_event *e)
{
	struct nd_peer *p = nd_peer(nd, e->peer);

	if (p == NULL || e->u.assoc.link >= HAD_LINKS_MAX)
		return;
	meet(nd, p, e->u.assoc.incarnation);
	switch (e->u.assoc.kind) {
	case ND_CTL:
		p->ctl_up = true;
		nd_vr_unmet(nd);
		send_hello(nd, p);
		nd_inner_put(nd, ND_IN_SVC)->u.svc.type = SVC_EV_JOINED;
		break;
	case ND_BULK:
		p->bulk_up = true;
		break;
	case ND_HB:
		p->hb_up[e->u.assoc.link] = true;
		break;
	case ND_KINDS:
		break;
	}
	nd_session_check(nd, p);
}

void
nd_net_lost(struct nd *nd, const struct nd_event *e)
{
	struct nd_peer *p = nd_peer(nd, e->peer);
	struct nd_inner *in;

	if (p == NULL || e->u.assoc.link >= HAD_LINKS_MAX)
		return;
	switch (e->u.assoc.kind) {
	case ND_CTL:
		p->ctl_up = false;
		nd_vr_unmet(nd);
		break;
	case ND_BULK:
		p->bulk_up = false;
		break;
	case ND_HB:
		p->hb_up[e->u.assoc.link] = false;
		break;
	case ND_KINDS:
		break;
	}
	nd_session_check(nd, p);
	if (e->u.assoc.aborted && e->u.assoc.kind != ND_BULK) {
		in = nd_inner_put(nd, ND_IN_MEMBER);
		in->u.member.type = MB_EV_ABORTED;
		in->u.member.u.aborted.peer = p->id;
	}
}

static void
link_changed(
    struct nd *nd, struct nd_peer *p, unsigned link, struct lnk_change c)
{
	const struct conf_link *cl = &nd->me->links[link];
	bool was = c.from != LNK_DOWN, is = c.to != LNK_DOWN;
	struct nd_inner *in;
	char object[HAD_NAME_MAX + 8], text[160];

	if (c.from == c.to)
		return;
	snprintf(object, sizeof(object), "link %s", cl->name);
	snprintf(text, sizeof(text), "to %s: %s -> %s: %s", p->conf->name,
	    lnk_state_text(c.from), lnk_state_text(c.to), c.why);
	/* A late beat is worth a line only to those who look for it. */
	nd_note(nd,
	    was == is ? HAD_DEBUG
	    : is      ? HAD_INFO
		      : HAD_WARN,
	    "", object, text);
	if (was == is)
		return;
	in = nd_inner_put(nd, ND_IN_MEMBER);
	in->u.member.type = MB_EV_LINK;
	in->u.member.u.link.peer = p->id;
	in->u.member.u.link.link = (uint8_t)link;
	in->u.member.u.link.up = is;
}

/*
 * What a heartbeat says of its sender, unless a later one has said it already:
 * they come on several links, late, and in any order.  False: it is such.
 */
static bool
hb_flags(struct nd *nd, struct nd_peer *p, uint64_t incarnation,
    const struct wire_hb *hb)
{
	bool pings = (hb->flags & WIRE_HB_PINGS) != 0;

	if (incarnation == p->hb_incarnation && hb->sent_us < p->hb_sent_us)
		return false;
	p->hb_incarnation = incarnation;
	p->hb_sent_us = hb->sent_us;
	p->digest = hb->digest;
	p->watchdog_armed = (hb->flags & WIRE_HB_ARMED) != 0;
	p->holds = (hb->flags & WIRE_HB_HOLDS) != 0;
	if (p->pings_any != pings) {
		p->pings_any = pings;
		nd_arb_addresses(nd);
	}
	return true;
}

/*
 * R7: what of this node it has heard, on whatever link, was sent then.  That
 * is told, and nothing is made of the time between: the heartbeat may have
 * been on its way for long, and the other's clock may have leapt.
 */
static monotime_t
heard_by(const struct nd *nd, const struct wire_hb *hb)
{
	const uint64_t mask = (UINT64_C(1) << WIRE_HEARD_BITS) - 1;
	int64_t ago = (int64_t)(((uint64_t)nd->now.us - hb->heard_us) & mask);
	monotime_t told = {nd->now.us - ago}, echo = {hb->echo_us};

	if (hb->heard_us == 0 || mt_before(told, echo))
		told = echo;
	/* 0 would mean just now. */
	return told.us > 0 ? told : (monotime_t){1};
}

/*
 * R8: this node ends, and stood still meanwhile without knowing it.  Nobody
 * asks it to give up anything but what it ends anyway, so it trusts itself no
 * more.
 */
static void
overtaken_at_the_end(struct nd *nd, const struct nd_peer *p, uint64_t epoch)
{
	char text[160];

	if (nd->state != MB_STOPPING || nd->distrusted || epoch <= nd->epoch)
		return;
	nd->distrusted = true;
	nd->views_due = true;
	snprintf(text, sizeof(text),
	    "%s acts at epoch %llu: this node, which ends, vouches for "
	    "nothing any more",
	    p->conf->name, (unsigned long long)epoch);
	nd_note(nd, HAD_ERR, "R8", nd->me->name, text);
}

static void
heartbeat(struct nd *nd, struct nd_peer *p, uint8_t link,
    const struct wire_hdr *h, const uint8_t *bytes, size_t len)
{
	struct wire_hb hb;
	struct nd_inner *in;
	const char *why;
	bool old;

	if (wire_get_hb(&hb, bytes, len, &why) < 0 || hb.link != link ||
	    link >= nd->me->n_links) {
		nd->refused_malformed++;
		return;
	}
	p->heard = nd->now;
	old = !hb_flags(nd, p, h->incarnation, &hb);
	p->hb_echo_us[link] = hb.sent_us;
	p->hb_echo_at[link] = nd->now;
	if (p->hb_heard_us < hb.sent_us)
		p->hb_heard_us = hb.sent_us;
	link_changed(nd, p, link,
	    lnk_heard(
		&p->links[link], hb.seq, hb.echo_us, hb.echo_age_us, nd->now));
	in = nd_inner_put(nd, ND_IN_MEMBER);
	in->u.member.type = MB_EV_HEARD;
	in->u.member.u.heard.from = p->id;
	in->u.member.u.heard.link = link;
	in->u.member.u.heard.incarnation = h->incarnation;
	in->u.member.u.heard.epoch = h->epoch;
	in->u.member.u.heard.old = old;
	in->u.member.u.heard.deciding = (hb.flags & WIRE_HB_DECIDING) != 0;
	in->u.member.u.heard.acts = (hb.flags & WIRE_HB_VOUCHED) != 0;
	if (in->u.member.u.heard.acts)
		overtaken_at_the_end(nd, p, h->epoch);
	in->u.member.u.heard.one_way =
	    hb.echo_us == 0 ||
	    hb.echo_age_us > (uint64_t)nd->conf->t.dead_ms * 1000;
	in->u.member.u.heard.reached = heard_by(nd, &hb);
	in->u.member.u.heard.unheard =
	    in->u.member.u.heard.one_way && (hb.flags & WIRE_HB_HEARS) == 0;
}

static void
hello(struct nd *nd, struct nd_peer *p, const uint8_t *bytes, size_t len)
{
	struct wire_hello h;
	const char *why;
	char text[160];

	if (wire_get_hello(&h, bytes, len, &why) < 0) {
		nd_malformed(nd, p, why);
		return;
	}
	p->hello = true;
	nd_vr_hello(nd);
	nd_share_hello(nd);
	memcpy(p->version, h.version, sizeof(p->version));
	p->digest = h.digest;
	if (h.digest != nd->conf->digest) {
		snprintf(text, sizeof(text),
		    "%s has another configuration: %016llx there, %016llx "
		    "here",
		    p->conf->name, (unsigned long long)h.digest,
		    (unsigned long long)nd->conf->digest);
		nd_note(nd, HAD_WARN, "", "configuration", text);
	}
}

/* R8.  False: the message is refused; the sender learns why. */
static bool
epoch_ok(struct nd *nd, struct nd_peer *p, const struct wire_hdr *h)
{
	struct nd_inner *in;

	if (h->epoch == nd->epoch)
		return true;
	if (h->epoch > nd->epoch) {
		in = nd_inner_put(nd, ND_IN_MEMBER);
		in->u.member.type = MB_EV_NEWER_EPOCH;
		in->u.member.u.newer.from = p->id;
		in->u.member.u.newer.epoch = h->epoch;
	} else {
		nd->refused_stale++;
		if (!mt_before(nd->now, p->stale_at)) {
			p->stale_at =
			    mt_add_ms(nd->now, nd->conf->t.heartbeat_ms);
			nd_net_send(nd, p, WIRE_STALE, 0, 0, NULL, 0);
		}
	}
	return false;
}

static void
to_core(struct nd *nd, struct nd_peer *p, const struct wire_hdr *h,
    const uint8_t *bytes, size_t len)
{
	bool bulk = h->core == WIRE_MIRROR;
	struct nd_session *s = bulk ? &p->bulk : &p->ctl;

	if (h->core != WIRE_SVC && (!s->up || h->session != nd_session_rx(s))) {
		/* Of a session that is over. */
		epoch_ok(nd, p, h);
		return;
	}
	if (!epoch_ok(nd, p, h)) {
		if (h->core != WIRE_SVC)
			nd_session_broken(nd, p, bulk);
		return;
	}
	if (h->core == WIRE_SVC) {
		struct svc_event e = {.type = SVC_EV_MSG, .now = nd->now};

		e.u.msg.from = p->id;
		e.u.msg.bytes = bytes;
		e.u.msg.len = len;
		svc_step(nd->svc, &e);
	} else if (h->core == WIRE_LOCK) {
		struct lk_event e = {.type = LK_EV_MSG, .now = nd->now};

		e.u.msg.from = p->id;
		e.u.msg.bytes = bytes;
		e.u.msg.len = len;
		lk_step(nd->lock, &e);
	} else if (h->instance < nd->conf->n_volumes) {
		struct mir_event e = {.type = MIR_MSG, .now = nd->now};

		e.u.msg.from = p->id;
		e.u.msg.bytes = bytes;
		e.u.msg.len = len;
		nd_mir_step(nd, h->instance, &e);
	} else {
		nd->refused_malformed++;
	}
}

void
nd_malformed(struct nd *nd, const struct nd_peer *p, const char *why)
{
	char text[160];

	nd->refused_malformed++;
	if (mt_before(nd->now, nd->malformed_at))
		return;
	nd->malformed_at = mt_add_ms(nd->now, 1000);
	snprintf(text, sizeof(text), "message from %s refused: %s",
	    p->conf->name, why);
	nd_note(nd, HAD_WARN, "R15", "node", text);
}

void
nd_net_msg(struct nd *nd, const struct nd_event *e)
{
	struct nd_peer *p = nd_peer(nd, e->peer);
	const uint8_t *bytes;
	size_t len;
	struct wire_hdr h;
	const char *why;

	if (p == NULL)
		return;
	if (wire_get_hdr(&h, e->u.msg.bytes, e->u.msg.len, &why) < 0) {
		nd_malformed(nd, p, why);
		return;
	}
	bytes = e->u.msg.bytes + WIRE_HDR_LEN;
	len = e->u.msg.len - WIRE_HDR_LEN;
	if (h.sender != p->id || h.incarnation != p->incarnation) {
		nd_malformed(nd, p, "of another node or of an earlier start");
		return;
	}
	if ((h.core == WIRE_HEARTBEAT) != (e->u.msg.kind == ND_HB) ||
	    (h.core == WIRE_MIRROR && e->u.msg.kind != ND_BULK)) {
		nd_malformed(nd, p, "on the wrong association");
		return;
	}
	switch ((enum wire_core)h.core) {
	case WIRE_HEARTBEAT:
		heartbeat(nd, p, e->u.msg.link, &h, bytes, len);
		break;
	case WIRE_HELLO:
		hello(nd, p, bytes, len);
		break;
	case WIRE_MEMBER: {
		struct mb_event m = {.type = MB_EV_MSG, .now = nd->now};

		m.u.msg.from = p->id;
		m.u.msg.bytes = bytes;
		m.u.msg.len = len;
		/* As good as a heartbeat, there and in what it is told. */
		p->heard = nd->now;
		mb_step(nd->member, &m);
		break;
	}
	case WIRE_OPEN:
		nd_session_open(nd, p, e->u.msg.kind == ND_BULK, bytes, len);
		break;
	case WIRE_STALE:
		if (h.epoch > nd->epoch)
			epoch_ok(nd, p, &h);
		break;
	case WIRE_SVC:
	case WIRE_LOCK:
	case WIRE_MIRROR:
		to_core(nd, p, &h, bytes, len);
		break;
	case WIRE_EVENTS:
		nd->ops->told(nd->ctx, p->id, bytes, len);
		break;
	case WIRE_ROUTERS:
		nd_vr_told(nd, p, bytes, len);
		break;
	case WIRE_SHARE:
		nd_share_told(nd, p, bytes, len);
		break;
	case WIRE_CORE_END:
		break;
	}
}

void
nd_net_carrier(struct nd *nd, uint8_t link, bool up)
{
	struct nd_inner *in;

	if (link >= nd->me->n_links || nd->carrier[link] == up)
		return;
	nd->carrier[link] = up;
	for (unsigned i = 0; i < nd->n_peers; i++)
		link_changed(nd, &nd->peers[i], link,
		    lnk_carrier(&nd->peers[i].links[link], up, nd->now));
	in = nd_inner_put(nd, ND_IN_MEMBER);
	in->u.member.type = MB_EV_CARRIER;
	in->u.member.u.carrier.link = link;
	in->u.member.u.carrier.up = up;
}

static void
send_heartbeat(struct nd *nd, struct nd_peer *p, unsigned link)
{
	struct wire_hdr h = {
	    .core = WIRE_HEARTBEAT,
	    .sender = nd->self,
	    .incarnation = nd->incarnation,
	    .epoch = nd->epoch,
	};
	struct wire_hb hb = {
	    .seq = ++p->hb_seq[link],
	    .sent_us = nd->now.us,
	    .echo_us = p->hb_echo_us[link],
	    .lease_ms = nd->conf->t.lease_ms,
	    .link = (uint8_t)link,
	    .flags = nd->vouch_told ? WIRE_HB_VOUCHED : 0,
	    .heard_us = (uint64_t)p->hb_heard_us,
	    .digest = nd->conf->digest,
	};
	uint8_t hdr[WIRE_HDR_LEN], body[WIRE_HB_LEN];
	struct nd_buf parts[2] = {{hdr, sizeof(hdr)}, {body, sizeof(body)}};

	if (hb.echo_us != 0)
		hb.echo_age_us =
		    (uint32_t)mt_sub_us(nd->now, p->hb_echo_at[link]);
	if (nd->state == MB_ISOLATED)
		hb.flags |= WIRE_HB_ISOLATED;
	if (mb_deciding(nd->member))
		hb.flags |= WIRE_HB_DECIDING;
	if (nd->watchdog_armed)
		hb.flags |= WIRE_HB_ARMED;
	if (nd->active)
		hb.flags |= WIRE_HB_HOLDS;
	if (p->heard.us != 0 &&
	    mt_sub_us(nd->now, p->heard) < (int64_t)nd->conf->t.lease_ms * 1000)
		hb.flags |= WIRE_HB_HEARS;
	if (nd->conf->n_pings > 0 && nd->pings_any)
		hb.flags |= WIRE_HB_PINGS;
	wire_put_hdr(hdr, &h);
	wire_put_hb(body, &hb);
	nd->ops->send(nd->ctx, p->id, ND_HB, (uint8_t)link, 0, parts, 2);
	lnk_sent(&p->links[link], nd->now);
}

/* Every heartbeat interval: send, look at the links, renew the leases. */
void
nd_beat(struct nd *nd)
{
	struct nd_inner *in;

	for (unsigned i = 0; i < nd->n_peers; i++) {
		struct nd_peer *p = &nd->peers[i];

		for (unsigned l = 0; l < nd->me->n_links; l++) {
			if (!mt_before(nd->now, lnk_next(&p->links[l])))
				link_changed(
				    nd, p, l, lnk_tick(&p->links[l], nd->now));
			if (p->hb_up[l] && !mt_before(nd->now, nd->hb_at))
				send_heartbeat(nd, p, l);
		}
	}
	if (mt_before(nd->now, nd->hb_at))
		return;
	nd->hb_at = mt_add_ms(nd->hb_at, nd->conf->t.heartbeat_ms);
	if (mt_before(nd->hb_at, nd->now))
		nd->hb_at = mt_add_ms(nd->now, nd->conf->t.heartbeat_ms);
	in = nd_inner_put(nd, ND_IN_VIP);
	in->u.vip.type = VIP_EV_BEAT;
	nd_share_beat(nd);
}

monotime_t
nd_net_next(const struct nd *nd)
{
	monotime_t at = nd->hb_at;

	for (unsigned i = 0; i < nd->n_peers; i++)
		for (unsigned l = 0; l < nd->me->n_links; l++)
			at = mt_min(at, lnk_next(&nd->peers[i].links[l]));
	return at;
}
