/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers inside the node: what the two nodes of a pair tell one
 * another of them, over whatever link is there.  So a LAN that is cut while
 * its carrier is up, or that lets adverts through in one direction only,
 * makes neither two holders nor none.
 *
 * Changes are told at once; all of it when the peer greets.  What it told is
 * true as long as it is heard, and is repeated to the core every heartbeat.
 */
#include <string.h>

#include "node_vr.h"

/* Negative evidence: no ping node answers here. */
static bool
lan_ok(const struct nd *nd, uint16_t ifx)
{
	return nd->vr->link_up[ifx] &&
	       (nd->conf->n_pings == 0 || nd->pings_any);
}

static bool
hears(const struct nd *nd, const struct nd_vr_router *r)
{
	return r->heard_at.us != 0 &&
	       mt_sub_us(nd->now, r->heard_at) <
		   (int64_t)nd_vr_conf(nd, r)->interval_ms * 3000;
}

/*
 * Its word that it lost the LAN is void when its adverts, of any router there,
 * still come long after that: what it said since does not pass.  If it does,
 * and the word is true, the peer gives way by itself.  But not to one that has
 * lost the LAN as well: to this one nothing is given, either, as long as the
 * other's heartbeats say that it reaches no ping node.
 */
static bool
peer_lan_ok(const struct nd *nd, const struct nd_vr_router *r)
{
	int64_t reach_us = nd->conf->t.heartbeat_ms * INT64_C(3000);

	if (nd->vr->peer_lan_ok[r->ifx])
		return true;
	if (!lan_ok(nd, r->ifx) && nd->conf->n_pings > 0 &&
	    !nd->peers[0].pings_any)
		return false;
	for (uint16_t i = 0; i < nd->vr->n; i++) {
		const struct nd_vr_router *o = &nd->vr->routers[i];

		if (o->ifx == r->ifx && hears(nd, o) &&
		    mt_sub_us(o->heard_at, nd->vr->peer_lan_at[r->ifx]) >
			reach_us)
			return true;
	}
	return false;
}

/* One that has left holds nothing, and takes nothing. */
static bool
put_entry(struct nd *nd, struct nd_vr_router *r, uint8_t *buf)
{
	const struct conf_router *c = nd_vr_conf(nd, r);
	struct vr_wire w = {0};

	if ((r->id == VR_NONE && !r->left) || !conf_router_elected(c))
		return false;
	memcpy(w.ifname, c->ifname, sizeof(w.ifname));
	w.proto = nd_vr_proto(c);
	w.family = c->family;
	w.vrid = c->vrid;
	w.lan_ok = lan_ok(nd, r->ifx);
	if (r->id != VR_NONE) {
		vr_told(nd->vr->core, r->id, &w.peer);
		w.hears = hears(nd, r);
		w.asks = r->asks;
	}
	w.left = r->id == VR_NONE;
	r->asks = r->left = false; /* or the next greeting tells all */
	vr_wire_put(buf, &w);
	return true;
}

static void
send_all(struct nd *nd, const uint8_t *bytes, size_t len)
{
	struct nd_buf buf = {bytes, len};

	for (unsigned i = 0; i < nd->n_peers; i++)
		if (nd->peers[i].hello)
			nd_net_send(
			    nd, &nd->peers[i], WIRE_ROUTERS, 0, 0, &buf, 1);
}

/*
 * At the end of the step: what was decided is done first, and what is sealed
 * and sent meanwhile would make its clients wait.  See nd_vr_tell_due.
 */
void
nd_vr_tell(struct nd *nd, uint16_t id)
{
	struct nd_vr_router *r = nd_vr_of(nd->vr, id);

	if (nd->n_peers == 0 || r == NULL)
		return;
	r->tell = nd->vr->tells = true;
}

/* TELL_SETTLED: has changed, and its addresses are not on their way. */
enum tell { TELL_EACH, TELL_CHANGED, TELL_SETTLED };

static bool
to_tell(const struct nd_vr_router *r, enum tell which)
{
	return which == TELL_EACH ||
	       (r->tell && (which == TELL_CHANGED || r->pending == 0));
}

/* Of all of those, or of those on one interface. */
static void
tell(struct nd *nd, int ifx, enum tell which)
{
	enum { AT_ONCE = 64 };
	uint8_t entries[AT_ONCE * VR_WIRE_LEN];
	struct nd_vr *v = nd->vr;
	size_t n = 0;

	for (uint16_t i = 0; nd->n_peers > 0 && i < v->n; i++) {
		struct nd_vr_router *r = &v->routers[i];

		if ((ifx >= 0 && r->ifx != ifx) || !to_tell(r, which))
			continue;
		r->tell = false;
		if (put_entry(nd, r, entries + n * VR_WIRE_LEN))
			n++;
		if (n < AT_ONCE)
			continue;
		send_all(nd, entries, n * VR_WIRE_LEN);
		n = 0;
	}
	if (n > 0)
		send_all(nd, entries, n * VR_WIRE_LEN);
}

/*
 * Of a router whose addresses are on their way it waits until they are there,
 * or silent: that is told then by the same word, and clients wait for it.  But
 * not for long: late ends it.
 */
void
nd_vr_tell_due(struct nd *nd, bool late)
{
	struct nd_vr *v = nd->vr;

	if (v == NULL || !v->tells)
		return;
	v->tells = false;
	if (nd->n_peers == 0)
		return;
	tell(nd, -1, late ? TELL_CHANGED : TELL_SETTLED);
	for (uint16_t i = 0; i < v->n; i++)
		v->tells = v->tells || v->routers[i].tell;
}

/* Nobody has it now, the peer may take it: that is told before all else. */
void
nd_vr_tell_word(struct nd *nd, uint16_t id, const struct vr_peer *p)
{
	struct nd_vr_router *r = nd_vr_of(nd->vr, id);
	bool gave_up;

	nd_vr_tell(nd, id);
	if (r == NULL)
		return;
	gave_up = r->held && !p->holds;
	r->held = p->holds;
	if (gave_up)
		nd_vr_tell_due(nd, false);
}

void
nd_vr_tell_all(struct nd *nd, int ifx)
{
	tell(nd, ifx, TELL_EACH);
}

void
nd_vr_hello(struct nd *nd)
{
	if (nd->vr != NULL)
		nd_vr_tell_all(nd, -1);
}

static struct nd_vr_router *
meant(struct nd *nd, const struct vr_wire *w)
{
	struct nd_vr *v = nd->vr;

	for (uint16_t i = 0; i < v->n; i++) {
		struct nd_vr_router *r = &v->routers[i];
		const struct conf_router *c = nd_vr_conf(nd, r);

		if (r->id != VR_NONE && conf_router_elected(c) &&
		    c->vrid == w->vrid && c->family == w->family &&
		    nd_vr_proto(c) == w->proto &&
		    strcmp(c->ifname, w->ifname) == 0)
			return r;
	}
	return NULL;
}

static enum vr_life
life(const struct nd_peer *p)
{
	if (p->verdict == MB_PEER_ALIVE && p->ctl_up)
		return VR_PEER_ALIVE;
	if (p->verdict == MB_PEER_GONE || p->verdict == MB_PEER_LEFT ||
	    p->stateless_gone)
		return VR_PEER_DEAD;
	return VR_PEER_UNKNOWN;
}

static void
repeat(struct nd *nd, struct nd_vr_router *r, enum vr_life l, bool gone)
{
	struct vr_event p = {.type = VR_EV_PEER};
	struct vr_event e = {.type = VR_EV_REACH};

	if (r->id == VR_NONE || !conf_router_elected(nd_vr_conf(nd, r)))
		return;
	e.u.reach.ifx = r->ifx;
	e.u.reach.r.life = l;
	e.u.reach.r.own_lan_ok = lan_ok(nd, r->ifx);
	e.u.reach.r.peer_lan_ok = peer_lan_ok(nd, r);
	e.u.reach.r.own_hears_peer = hears(nd, r);
	e.u.reach.r.peer_hears_us = r->peer.hears;
	nd_vr_step(nd, &e);
	if (!r->fresh)
		return;
	p.u.peer.id = r->id;
	p.u.peer.p = r->peer.peer;
	p.u.peer.gone = gone;
	nd_vr_step(nd, &p);
}

void
nd_vr_reach(struct nd *nd)
{
	struct nd_vr *v = nd->vr;
	enum vr_life l;

	if (nd->n_peers == 0)
		return;
	for (uint16_t x = 0; x < v->n_ifs; x++) {
		bool ok = lan_ok(nd, x);

		if (ok == v->lan_told[x])
			continue;
		v->lan_told[x] = ok;
		nd_vr_tell_all(nd, x);
	}
	l = life(&nd->peers[0]);
	for (uint16_t i = 0; i < v->n; i++)
		repeat(nd, &v->routers[i], l, false);
}

/* What was told by the last connection may have been the last word or not. */
void
nd_vr_unmet(struct nd *nd)
{
	for (uint16_t i = 0; nd->vr != NULL && i < nd->vr->n; i++)
		nd->vr->routers[i].fresh = false;
}

void
nd_vr_views(struct nd *nd)
{
	if (nd->vr != NULL)
		nd_vr_reach(nd);
}

void
nd_vr_told(struct nd *nd, struct nd_peer *p, const uint8_t *bytes, size_t len)
{
	struct vr_wire w;
	const char *why;

	if (nd->vr == NULL)
		return;
	if (len % VR_WIRE_LEN != 0) {
		nd_malformed(nd, p, "words about routers of another length");
		return;
	}
	/* One that is refused takes none of the others with it. */
	for (; len > 0; bytes += VR_WIRE_LEN, len -= VR_WIRE_LEN) {
		struct nd_vr_router *r;

		if (vr_wire_get(&w, bytes, &why) < 0) {
			nd_malformed(nd, p, why);
			continue;
		}
		r = meant(nd, &w);
		if (r == NULL)
			continue;
		r->told = r->fresh = true;
		r->peer.peer = w.peer;
		r->peer.hears = w.hears;
		/* It is one LAN for all of them. */
		nd->vr->peer_lan_ok[r->ifx] = w.lan_ok;
		nd->vr->peer_lan_at[r->ifx] = nd->now;
		if (w.asks)
			nd_vr_tell(nd, r->id);
		repeat(nd, r, life(p), w.left);
		if (w.left)
			r->told = r->fresh = false;
	}
}
