/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers inside the node: adverts out of and into packets.
 */
#include <string.h>

#include "node_vr.h"

/* The frame's addresses, of an advert to the group. */
static void
put_frame(const struct nd *nd, const struct nd_vr_router *r,
    const struct vr_advert *a, struct adv_frame *f)
{
	const struct conf_router *c = nd_vr_conf(nd, r);

	memcpy(f->src, a->src, sizeof(f->src));
	if (c->proto == CONF_CARP)
		carp_mac(f->src_mac, CARP_MAC_OPENBSD, c->vrid);
	else if (c->virtual_mac)
		vrrp_mac(f->src_mac, c->family, c->vrid);
	else
		memcpy(f->src_mac, nd->vr->facts[r->ifx].mac, 6);
}

static void
send_carp(struct nd *nd, struct nd_vr_router *r, const struct vr_advert *a)
{
	const struct conf_router *c = nd_vr_conf(nd, r);
	uint8_t frame[CARP_FRAME_MAX];
	struct carp_packet p;
	size_t len;

	carp_packet_init(&p, c->family, c->vrid);
	put_frame(nd, r, a, &p.f);
	p.advbase = a->advbase;
	p.advskew = a->advskew;
	p.demote = a->demote;
	p.counter = a->counter;
	carp_sign(&p, &r->carp->key);
	carp_replay_sent(&r->carp->replay, a->counter);
	len = carp_encode_frame(frame, sizeof(frame), &p);
	nd->ops->vr_send(nd->ctx, r->ifx, frame, len, false);
}

static enum vrrp_sum
sum_of(const struct conf_router *c, enum vr_csum learned)
{
	if (c->proto == CONF_VRRP2)
		return VRRP_SUM_MESSAGE;
	if (c->family == 6 || c->checksum == CONF_SUM_PSEUDO)
		return VRRP_SUM_PSEUDO;
	if (c->checksum == CONF_SUM_PLAIN || learned == VR_CSUM_PLAIN)
		return VRRP_SUM_MESSAGE;
	return VRRP_SUM_PSEUDO;
}

static void
put_auth(const struct conf_router *c, uint8_t *type, uint8_t auth[8])
{
	*type = VRRP_AUTH_NONE;
	memset(auth, 0, VRRP_AUTH_LEN);
	if (c->proto != CONF_VRRP2 || c->password[0] == '\0')
		return;
	*type = VRRP_AUTH_PASSWORD;
	memcpy(auth, c->password, strnlen(c->password, VRRP_AUTH_LEN));
}

/* The addresses of a router as they follow each other in an advert. */
static uint8_t
put_addrs(const struct nd *nd, const struct conf_router *c, uint8_t *buf)
{
	size_t len = c->family == 4 ? 4 : 16;

	for (uint8_t i = 0; i < c->n_addrs; i++)
		memcpy(
		    buf + i * len, nd->conf->addresses[c->addrs[i]].bytes, len);
	return c->n_addrs;
}

/* Of what is said again and again, the bytes and what they mean. */
static void
remember(struct nd_vr_router *r, bool here, const uint8_t *bytes, size_t len,
    const struct vr_advert *a)
{
	r->said_len = 0;
	if (len > sizeof(r->said) || r->auth != NULL)
		return;
	memcpy(r->said, bytes, len);
	r->said_len = (uint8_t)len;
	r->said_here = here;
	r->said_advert = *a;
}

/* The frame of an advert that is as the last one. */
static bool
send_again(struct nd *nd, struct nd_vr_router *r, const struct vr_advert *a)
{
	const struct vr_advert *b = &r->said_advert;

	if (r->said_len == 0 || !r->said_here || a->csum != b->csum ||
	    a->priority != b->priority || a->interval_ms != b->interval_ms ||
	    memcmp(a->src, b->src, sizeof(a->src)) != 0)
		return false;
	nd->ops->vr_send(nd->ctx, r->ifx, r->said, r->said_len, false);
	return true;
}

static void
send_vrrp(struct nd *nd, struct nd_vr_router *r, const struct vr_advert *a)
{
	static const uint8_t unknown_mac[6];
	const struct conf_router *c = nd_vr_conf(nd, r);
	uint8_t frame[ADV_HEAD_MAX + VRRP_HEAD_LEN + VRRP_AUTH_LEN +
		      16 * HAD_ROUTER_ADDRESSES_MAX + VRRP_TRAILER_LEN];
	uint8_t addrs[16 * HAD_ROUTER_ADDRESSES_MAX];
	uint8_t trailer[VRRP_TRAILER_LEN];
	struct vrrp_packet p;
	size_t len;

	vrrp_packet_init(
	    &p, c->proto == CONF_VRRP2 ? 2 : 3, c->family, c->vrid);
	put_frame(nd, r, a, &p.f);
	p.priority = a->priority;
	p.interval_ms = a->interval_ms;
	p.sum = sum_of(c, a->csum);
	put_auth(c, &p.auth_type, p.auth);
	p.naddr = put_addrs(nd, c, addrs);
	p.addrs = addrs;
	p.trailer = nd_vr_auth_sign(nd, r, &p, trailer);
	if (c->n_unicast == 0) {
		len = vrrp_encode_frame(frame, sizeof(frame), &p);
		nd->ops->vr_send(nd->ctx, r->ifx, frame, len, false);
		remember(r, true, frame, len, a);
	}
	for (uint8_t i = 0; i < c->n_unicast; i++) {
		adv_frame_unicast(&p.f, c->unicast[i], unknown_mac);
		len = vrrp_encode_frame(frame, sizeof(frame), &p);
		nd->ops->vr_send(nd->ctx, r->ifx, frame, len, true);
	}
}

void
nd_vr_send(struct nd *nd, uint16_t id, const struct vr_advert *a)
{
	struct nd_vr_router *r = nd_vr_of(nd->vr, id);

	ASSERT(r != NULL);
	if (r->carp != NULL)
		send_carp(nd, r, a);
	else if (!send_again(nd, r, a))
		send_vrrp(nd, r, a);
	if (vr_state(nd->vr->core, id) == VR_ACTIVE &&
	    conf_router_elected(nd_vr_conf(nd, r)))
		r->until =
		    nd_vr_good_until(nd->now, nd_vr_conf(nd, r)->interval_ms);
}

_Static_assert((int)VRRP_REJECTS_N <= VR_REJECTS_MAX &&
		   (int)CARP_REJECTS_N <= VR_REJECTS_MAX,
    "every reason has a counter");

static void
rejected(struct nd *nd, uint16_t id, uint8_t why)
{
	struct vr_event e = {.type = VR_EV_REJECTED};

	e.u.rejected.id = id;
	e.u.rejected.why = why;
	nd_vr_step(nd, &e);
}

/* An advert of the other node: it lives, whatever SCTP says. */
static void
evidence(struct nd *nd, struct nd_vr_router *r, const uint8_t src[16])
{
	uint8_t family = nd_vr_conf(nd, r)->family;
	size_t len = family == 4 ? 4 : 16;

	for (unsigned i = 0; i < nd->n_peers; i++) {
		const struct nd_peer *p = &nd->peers[i];
		const uint8_t *source =
		    conf_router_source(nd_vr_conf(nd, r), p->id);
		struct nd_inner *in;

		if (!(source != NULL && memcmp(source, src, len) == 0) &&
		    !(r->told && memcmp(r->peer.peer.addr, src, len) == 0))
			continue;
		r->heard_at = nd->now;
		in = nd_inner_put(nd, ND_IN_MEMBER);
		in->u.member.type = MB_EV_ADVERT;
		in->u.member.u.advert.peer = p->id;
	}
}

static void
advert(struct nd *nd, struct nd_vr_router *r, const struct vr_advert *a)
{
	struct vr_event e = {.type = VR_EV_ADVERT};

	evidence(nd, r, a->src);
	e.u.advert.id = r->id;
	e.u.advert.a = *a;
	nd_vr_step(nd, &e);
}

/*
 * The router that an advert is for.  why: what its codec says, 0 = it is well;
 * reasons are numbered by the codec of the router's protocol, those of no
 * router by that of VRRP.
 */
static struct nd_vr_router *
meant(struct nd *nd, uint16_t ifx, uint8_t family, uint8_t vrid, bool carp,
    uint8_t why)
{
	struct nd_vr *v = nd->vr;
	uint16_t id = vrid == 0 ? VR_NONE : vr_find(v->core, ifx, family, vrid);
	struct nd_vr_router *r = id == VR_NONE ? NULL : nd_vr_of(v, id);

	if (r == NULL)
		rejected(nd, VR_NONE, VRRP_R_VRID);
	else if (carp != (r->carp != NULL))
		rejected(nd, id,
		    r->carp != NULL ? (uint8_t)CARP_R_AUTHLEN
				    : (uint8_t)VRRP_R_CARP);
	else if (why != 0)
		rejected(nd, id, why);
	else
		return r;
	return NULL;
}

/*
 * What was found right is right again as long as nothing changes that it was
 * compared with (nd_vr_config).  CARP never says the same twice, nor does who
 * signs; of a router with hmac nothing is kept (remember).
 */
static bool
said_before(struct nd *nd, uint16_t ifx, const struct nd_packet *b)
{
	size_t head;
	struct nd_vr_router *r;
	uint8_t family;
	uint16_t id;

	if (b->len == 0)
		return false;
	family = b->bytes[0] >> 4;
	head = family == 4 ? ADV_IP4_LEN : ADV_IP6_LEN;
	if (b->len <= head + 1 || b->len > sizeof(r->said))
		return false;
	id = vr_find(nd->vr->core, ifx, family, b->bytes[head + 1]);
	r = id == VR_NONE ? NULL : nd_vr_of(nd->vr, id);
	if (r == NULL || r->said_here || r->said_len != b->len ||
	    memcmp(r->said, b->bytes, b->len) != 0)
		return false;
	advert(nd, r, &r->said_advert);
	return true;
}

static void
got_vrrp(struct nd *nd, uint16_t ifx, const uint8_t *bytes, size_t len)
{
	uint8_t addrs[16 * HAD_ROUTER_ADDRESSES_MAX];
	const struct conf_router *c;
	struct vr_advert a = {0};
	struct vrrp_expect x;
	struct vrrp_packet p;
	struct nd_vr_router *r;
	enum vrrp_reject why, hmac;
	bool counted, twice;

	memset(&p, 0, sizeof(p));
	why = vrrp_decode_ip(&p, bytes, len);
	r = meant(nd, ifx, p.f.family, p.vrid, false, (uint8_t)why);
	if (r == NULL)
		return;
	c = nd_vr_conf(nd, r);
	x = (struct vrrp_expect){
	    .version = c->proto == CONF_VRRP2 ? 2 : 3,
	    .family = c->family,
	    .vrid = c->vrid,
	    .interval_ms = c->proto == CONF_VRRP2 ? c->interval_ms : 0,
	    .own = vr_router_conf(nd->vr->core, r->id)->own_addr,
	    .addrs = addrs,
	    .naddr = put_addrs(nd, c, addrs),
	    .trailer = r->auth != NULL,
	};
	put_auth(c, &x.auth_type, x.auth);
	why = vrrp_check(&p, &x);
	/*
	 * RFC 3768 drops what has other addresses, RFC 9568 only counts it: so
	 * the addresses of a router can be changed on one machine after the
	 * other, and never both of them take those that stay.
	 */
	counted = why == VRRP_R_ADDRESSES && c->proto == CONF_VRRP3;
	if (why != VRRP_OK && !counted) {
		rejected(nd, r->id, (uint8_t)why);
		return;
	}
	/* Last: what is wrong elsewhere is not remembered as heard. */
	hmac = nd_vr_auth_check(nd, r, &p, &twice);
	if (hmac != VRRP_OK) {
		if (!twice)
			rejected(nd, r->id, (uint8_t)hmac);
		return;
	}
	if (counted)
		rejected(nd, r->id, (uint8_t)why);
	memcpy(a.src, p.f.src, sizeof(a.src));
	a.csum = p.sum == VRRP_SUM_PSEUDO ? VR_CSUM_PSEUDO : VR_CSUM_PLAIN;
	a.priority = p.priority;
	a.interval_ms = p.interval_ms;
	if (why == VRRP_OK)
		remember(r, false, bytes, len, &a);
	advert(nd, r, &a);
}

static void
got_carp(struct nd *nd, uint16_t ifx, const uint8_t *bytes, size_t len)
{
	struct vr_advert a = {0};
	struct carp_packet p;
	struct nd_vr_router *r;
	enum carp_reject why;

	memset(&p, 0, sizeof(p));
	why = carp_decode_ip(&p, bytes, len);
	r = meant(nd, ifx, p.f.family, p.vhid, true, (uint8_t)why);
	if (r == NULL)
		return;
	why = carp_check(&p, nd_vr_conf(nd, r)->vrid, &r->carp->key);
	if (why == CARP_OK)
		why = carp_replay_check(&r->carp->replay, &p, nd->now);
	if (why != CARP_OK) {
		rejected(nd, r->id, (uint8_t)why);
		return;
	}
	memcpy(a.src, p.f.src, sizeof(a.src));
	a.advbase = p.advbase;
	a.advskew = p.advskew;
	a.demote = p.demote;
	a.counter = p.counter;
	advert(nd, r, &a);
}

static void
got(struct nd *nd, uint16_t ifx, const struct nd_packet *b)
{
	const uint8_t *payload;
	struct adv_frame f;
	size_t len;

	if (said_before(nd, ifx, b))
		return;
	memset(&f, 0, sizeof(f));
	if (adv_get_ip(&f, b->bytes, b->len, &payload, &len) == ADV_OK &&
	    carp_is_message(payload, len))
		got_carp(nd, ifx, b->bytes, b->len);
	else
		got_vrrp(nd, ifx, b->bytes, b->len);
}

void
nd_vr_packet(struct nd *nd, const struct nd_event *e)
{
	if (e->u.packet.ifx >= nd->vr->n_ifs)
		return;
	for (uint16_t i = 0; i < e->u.packet.n; i++)
		got(nd, e->u.packet.ifx, &e->u.packet.list[i]);
}
