/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers in their world: adverts as frames on the LAN, the facts of
 * its interface, what is tracked, the guard of elected addresses, and faults
 * that only routers have.
 */
#include <stdlib.h>
#include <string.h>

#include "adv_frame.h"
#include "carp_packet.h"
#include "sim_vr.h"
#include "vrrp_packet.h"

struct vr_host *
rt_host(const struct host *h)
{
	return &h->w->vr->host[h->idx];
}

static int64_t
us_max(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/*
 * The bounds of the slowest one that there ever was: after RFC 9568, 6.1, and
 * CARP's.
 */
void
rt_bounds(struct world *w, const struct conf *c)
{
	struct vr_world *v = w->vr;

	for (unsigned i = 0; i < c->n_routers; i++) {
		const struct conf_router *r = &c->routers[i];
		int64_t every = r->interval_ms * MS;

		if (conf_is_hole(r->name))
			continue;
		if (r->proto == CONF_CARP)
			every += SEC; /* the skew */
		v->every_us = us_max(v->every_us, every);
		v->down_us = us_max(
		    v->down_us, 3 * r->interval_ms * MS + us_max(every, SEC));
		v->delay_us = us_max(v->delay_us,
		    (r->preempt_after_ms + r->start_after_ms) * MS);
	}
}

void
rt_init(struct world *w, const struct vr_drawn *d)
{
	struct vr_world *v;

	if (!d->any)
		return;
	ASSERT(w->conf->n_addresses <= ADDRESSES + VR_ADDRS &&
	       w->conf->n_routers <= VR_ROUTERS);
	w->vr = v = calloc(1, sizeof(*v));
	if (v == NULL)
		exit(2);
	rt_files(w, d);
	rt_bounds(w, w->conf);
	v->lan_bad_at = v->words_bad_at = v->still_at = w->sim->now;
	v->alone_at = NEVER;
	for (unsigned i = 0; i < VR_ADDRS; i++)
		v->twice_at[i] = NEVER;
	for (unsigned i = 0; i < HOSTS; i++)
		v->host[i].failed_at = NEVER;
}

void
rt_free(struct world *w)
{
	if (w->vr == NULL)
		return;
	for (unsigned i = 0; i < HOSTS; i++)
		free(w->host[i].conf);
	free(w->vr->text);
	free(w->vr);
}

/* --- what the daemon hears --- */

/* In the order in which it came to be, however late. */
static void
tell(struct host *h, struct mail *m, int64_t us)
{
	struct vr_host *v = rt_host(h);
	int64_t now = h->w->sim->now;

	v->told_at = us_max(v->told_at, now + us);
	deliver_in(h, m, v->told_at - now);
}

static void
tell_iface(struct host *h, int64_t us)
{
	uint8_t last = (uint8_t)(10 * (h->w->idx + 1) + h->id);
	struct nd_vr_iface *f;
	struct mail *m;

	if (!h->running || h->conf->n_router_ifs == 0)
		return;
	m = mail_new(h, ND_EV_VR_IFACE, FROM_LAN);
	f = &m->e.u.iface.facts;
	/* All routers are on the LAN. */
	m->e.u.iface.ifx = 0;
	f->carrier = h->carrier[LAN];
	f->has4 = f->has6 = true;
	memcpy(f->mac, (uint8_t[]){2, 0, 0, 0, 0, last}, 6);
	memcpy(f->addr4, (uint8_t[]){192, 0, 2, last}, 4);
	memcpy(f->addr6, (uint8_t[]){0xfe, 0x80}, 2);
	f->addr6[15] = last;
	tell(h, m, us);
}

static void
tell_tracks(struct host *h, int64_t us)
{
	for (uint16_t i = 0; h->running && i < h->conf->n_tracks; i++) {
		const struct conf_track *t = &h->conf->tracks[i];
		struct mail *m;

		if (t->type != CONF_TRACK_FILE &&
		    t->type != CONF_TRACK_INTERFACE)
			continue;
		m = mail_new(h, ND_EV_VR_TRACK, FROM_LAN);
		m->serial = rt_host(h)->reloads;
		m->e.u.track.id = i;
		m->e.u.track.up = t->type == CONF_TRACK_FILE
				      ? !rt_host(h)->no_file
				      : h->carrier[0];
		m->e.u.track.value = m->e.u.track.up;
		tell(h, m, us);
	}
}

void
rt_tell(struct host *h)
{
	tell_iface(h, 60);
	tell_tracks(h, 70);
}

void
rt_started(struct host *h)
{
	if (h->w->vr == NULL)
		return;
	rt_anew(h->w);
	memset(rt_host(h)->moves, 0, sizeof(rt_host(h)->moves));
	rt_host(h)->failed_at = NEVER;
	rt_host(h)->told_at = 0;
	rt_tell(h);
}

void
rt_carrier(struct host *h)
{
	if (h->w->vr == NULL || h->w->conf->n_routers == 0)
		return;
	rt_anew(h->w);
	tell_iface(h, rnd_in(h->w, 200, 3000));
	tell_tracks(h, rnd_in(h->w, 200, 3000));
}

/* Whoever was received before is told before a timer, as the daemon does. */
struct mail **
rt_first(struct host *h, struct mail **at_)
{
	if (*at_ == NULL || (*at_)->e.type != ND_EV_TIMER)
		return at_;
	for (struct mail **m = &h->inbox; *m != NULL; m = &(*m)->next)
		if ((*m)->source == FROM_LAN)
			return m;
	return at_;
}

static bool
same_fact(const struct mail *a, const struct mail *b)
{
	if (a->gen != b->gen || a->e.type != b->e.type)
		return false;
	switch (a->e.type) {
	case ND_EV_VR_IFACE:
		return a->e.u.iface.ifx == b->e.u.iface.ifx;
	case ND_EV_VR_TRACK:
		return a->e.u.track.id == b->e.u.track.id;
	case ND_EV_VIP:
		return a->e.u.vip.type == VIP_EV_CARRIER &&
		       b->e.u.vip.type == VIP_EV_CARRIER &&
		       strcmp(a->text, b->text) == 0;
	default:
		return false;
	}
}

/* The drivers read all that waits, then tell what is so now. */
void
rt_overtaken(struct host *h, const struct mail *by)
{
	for (struct mail **at_ = &h->inbox; *at_ != NULL;) {
		struct mail *m = *at_;

		if (!same_fact(m, by)) {
			at_ = &m->next;
			continue;
		}
		*at_ = m->next;
		if (m->next == NULL)
			h->inbox_end = at_;
		free(m);
	}
}

/* --- the guard --- */

void
rt_set_guard(struct host *h, struct vr_guard *g, const struct vip_set *open,
    monotime_t until)
{
	g->open = *open;
	g->until = true_of(h, until.us);
}

static void
leased(struct host *h, uint64_t seq)
{
	struct mail *m = mail_new(h, ND_EV_VIP, FROM_VIP);

	m->e.elected = true;
	m->e.u.vip.type = VIP_EV_LEASED;
	m->e.u.vip.u.leased.seq = seq;
	m->e.u.vip.u.leased.ok = true;
	deliver_in(h, m, 10);
}

/* A lease: a peer takes when it is sure that this node is dead. */
static int64_t
longest(const struct world *w)
{
	return w->n_hosts > 1 ? w->conf->t.lease_ms * MS : w->vr->down_us;
}

void
rt_lease(void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct host *h = ctx;
	struct world *w = h->w;
	bool had[VR_ADDRS];

	for (unsigned i = 0; i < VR_ADDRS; i++)
		had[i] = rt_answers(h, ADDRESSES + i);
	if (until.us > local_of(h, w->sim->now) + longest(w))
		violation(w, "I1", "%s opens its routers' guard for too long",
		    h->name);
	rt_set_guard(h, &rt_host(h)->elected, open, until);
	for (unsigned i = 0; i < VR_ADDRS; i++)
		if (rt_answers(h, ADDRESSES + i) != had[i])
			say(w, "%s %s for address %s", h->name,
			    had[i] ? "is silent" : "answers",
			    w->conf->addresses[ADDRESSES + i].name);
	mix(w, open->w[0] << 32 ^ (uint64_t)rt_host(h)->elected.until);
	leased(h, seq);
	rt_check(w);
}

/* What the running daemon does not know has no guard. */
static bool
passes(const struct host *h, const struct vr_guard *g, unsigned id)
{
	uint16_t at = rt_host(h)->addr_at[id - ADDRESSES];

	if (at == VR_NOWHERE)
		return h->running;
	return h->w->sim->now < g->until && vip_set_has(&g->open, at);
}

bool
rt_open(const struct host *h, unsigned id)
{
	const struct vr_host *v = rt_host(h);

	return h->powered && v->addr[id - ADDRESSES] &&
	       (passes(h, &v->elected, id) || passes(h, &v->shared, id));
}

bool
rt_answers(const struct host *h, unsigned id)
{
	const struct vr_host *v = rt_host(h);

	return h->powered && !h->frozen && h->carrier[LAN] &&
	       v->addr[id - ADDRESSES] && passes(h, &v->elected, id);
}

bool
rt_holds(const struct host *h, unsigned router)
{
	const struct conf_router *r = rt_router(h, router);

	if (!rt_configured(h, router))
		return false;
	for (unsigned i = 0; i < r->n_addrs; i++)
		if (!rt_answers(h, rt_number(h, r->addrs[i])))
			return false;
	return true;
}

static struct mail *
addr_mail(struct host *h, enum vip_ev type, uint16_t id, bool ok)
{
	struct mail *m = mail_new(h, ND_EV_VIP, FROM_VIP);

	m->e.u.vip.type = type;
	m->e.u.vip.u.result.id = id;
	m->e.u.vip.u.result.ok = ok;
	snprintf(m->text, sizeof(m->text), "%s", ok ? "" : "no such device");
	return m;
}

void
rt_addr_add(struct host *h, uint16_t id)
{
	struct vr_host *v = rt_host(h);
	bool ok = !chance(h->w, h->fail_permille / 4);

	v->addr[rt_number(h, id) - ADDRESSES] |= ok;
	if (!ok)
		v->failed_at = h->w->sim->now;
	deliver_in(h, addr_mail(h, VIP_EV_ADDED, id, ok), 20);
	rt_check(h->w);
}

void
rt_addr_del(struct host *h, uint16_t id)
{
	struct vr_host *v = rt_host(h);
	struct mail *m = addr_mail(h, VIP_EV_REMOVED, id, true);

	m->e.u.vip.u.result.found = v->addr[rt_number(h, id) - ADDRESSES];
	v->addr[rt_number(h, id) - ADDRESSES] = false;
	deliver_in(h, m, 20);
}

void
rt_killed(struct host *h, bool power)
{
	struct vr_host *v;

	if (h->w->vr == NULL)
		return;
	v = rt_host(h);
	if (power)
		memset(v->addr, 0, sizeof(v->addr));
	/* The owner tables go with their sockets. */
	v->elected.until = v->shared.until = 0;
	rt_anew(h->w);
	rt_words_lost(h->w);
}

void
rt_thawed(struct host *h, int64_t us)
{
	struct vr_host *v;

	if (h->w->vr == NULL)
		return;
	v = rt_host(h);
	if (v->elected.until > h->paused_at)
		v->elected.until += us;
	if (v->shared.until > h->paused_at)
		v->shared.until += us;
}

/* --- the LAN --- */

/* A frame comes in.  b: from. */
static void
ev_frame(struct world *w, struct ev *e)
{
	unsigned from = (unsigned)e->b;
	struct mail *m;

	if (!e->h->running || !dir_works(w, LAN, from))
		return;
	m = mail_bytes(e->h, ND_EV_VR_PACKET, FROM_LAN,
	    (const uint8_t *)e->data + ADV_ETH_LEN, e->len - ADV_ETH_LEN);
	m->e.u.packet.ifx = (uint16_t)e->a;
	deliver(e->h, m);
}

/* The router that says farewell with this frame; -1: it says none. */
static int
farewell_of(const struct conf *c, const uint8_t *ip, size_t len)
{
	const uint8_t *payload;
	struct carp_packet carp;
	struct vrrp_packet vrrp;
	struct adv_frame f;
	size_t n;
	uint8_t id;

	memset(&f, 0, sizeof(f));
	memset(&carp, 0, sizeof(carp));
	memset(&vrrp, 0, sizeof(vrrp));
	if (adv_get_ip(&f, ip, len, &payload, &n) != ADV_OK)
		return -2;
	if (carp_is_message(payload, n)) {
		if (carp_decode_ip(&carp, ip, len) != CARP_OK)
			return -2;
		if (!carp_is_bow_out(&carp))
			return -1;
		id = carp.vhid;
	} else {
		if (vrrp_decode_ip(&vrrp, ip, len) != VRRP_OK)
			return -2;
		if (vrrp.priority != 0)
			return -1;
		id = vrrp.vrid;
	}
	for (int i = 0; i < c->n_routers; i++)
		if (c->routers[i].vrid == id)
			return i;
	return -2;
}

/* A farewell makes others take: never while the addresses can speak. */
static void
judge_frame(struct host *h, const uint8_t *frame, size_t len)
{
	const struct conf *c = h->w->conf;
	int r = farewell_of(c, frame + ADV_ETH_LEN, len - ADV_ETH_LEN);

	if (r == -2)
		violation(
		    h->w, "contract", "%s sends what is no advert", h->name);
	/* All that are anybody's, those that just went included. */
	for (unsigned i = 0; r >= 0 && i < c->routers[r].n_addrs; i++)
		if (rt_open(h, c->routers[r].addrs[i]))
			violation(h->w, "I1",
			    "%s: router %s says farewell, and its guard is "
			    "open",
			    h->name, c->routers[r].name);
}

void
rt_send(void *ctx, uint16_t ifx, const uint8_t *frame, size_t len, bool resolve)
{
	struct host *h = ctx;
	struct world *w = h->w;
	struct wire_dir *d = &w->link[LAN].dir[h->idx];
	struct ev *e;

	ASSERT(ifx == 0 && !resolve && len > ADV_ETH_LEN);
	mix_bytes(w, frame, len);
	judge_frame(h, frame, len);
	if (w->n_hosts == 1 || chance(w, d->loss_permille) ||
	    chance(w, rt_host(h)->lost_permille))
		return;
	for (int n = chance(w, d->twice_permille) ? 2 : 1; n > 0; n--) {
		e = at(w,
		    w->sim->now + d->delay_us + rnd_in(w, 0, d->jitter_us),
		    ev_frame, other(h), 0);
		e->a = ifx;
		e->b = h->idx;
		e->data = malloc(len);
		if (e->data == NULL)
			exit(2);
		memcpy(e->data, frame, len);
		e->len = len;
	}
}

void
rt_flush(void *ctx)
{
	(void)ctx;
}

/* --- faults that only they have --- */

void
rt_file(struct host *h, bool there)
{
	if (rt_host(h)->no_file == !there)
		return;
	say(h->w, "%s: the tracked file is %s", h->name,
	    there ? "there" : "gone");
	rt_host(h)->no_file = !there;
	rt_anew(h->w);
	if (h->running)
		tell_tracks(h, rnd_in(h->w, MS, 20 * MS));
}

void
rt_lose(struct host *h, int permille)
{
	if (rt_host(h)->lost_permille == permille)
		return;
	say(h->w, "%s: %d of 1000 adverts that it sends get lost", h->name,
	    permille);
	rt_host(h)->lost_permille = permille;
	rt_check(h->w);
}

void
rt_release(struct host *h, unsigned router)
{
	operator(h, ND_OP_RELEASE, (int)router, 0);
	/* Nobody holds it, until nobody takes it. */
	rt_anew(h->w);
}

static void
ev_found(struct world *w, struct ev *e)
{
	(void)w;
	rt_file(e->h, true);
}

static void
ev_heard(struct world *w, struct ev *e)
{
	(void)w;
	rt_lose(e->h, 0);
}

static void
inject(struct world *w)
{
	struct host *h = &w->host[rnd_in(w, 0, (int64_t)w->n_hosts - 1)];
	unsigned r;

	if (w->conf->n_routers == 0)
		return;
	r = (unsigned)rnd_in(w, 0, w->conf->n_routers - 1);
	w->sim->faults++;
	switch (rnd_in(w, 0, 4)) {
	case 0:
		rt_file(h, false);
		at(w, w->sim->now + rnd_in(w, 10 * MS, 5 * SEC), ev_found, h,
		    0);
		break;
	case 1:
		if (h->running && !h->stopping)
			rt_release(h, r);
		break;
	case 2:
		rt_rank(h, r, (uint8_t)rnd_in(w, 1, 254));
		break;
	default:
		rt_lose(h, chance(w, 500) ? 1000 : (int)rnd_in(w, 50, 900));
		at(w, w->sim->now + rnd_in(w, 100 * MS, 8 * SEC), ev_heard, h,
		    0);
		break;
	}
}

void
rt_swarm(struct sim *s)
{
	for (unsigned i = 0; i < s->n_worlds; i++) {
		struct world *w = s->world[i];

		if (w->vr != NULL && w->conf->n_routers > 0 && chance(w, 600))
			faults_from(
			    w, rnd_in(w, SEC, 8 * SEC), 4 * SEC, inject);
	}
	rt_files_swarm(s);
}

void
rt_heal(struct world *w)
{
	if (w->vr == NULL)
		return;
	for (unsigned i = 0; i < w->n_hosts; i++) {
		rt_file(&w->host[i], true);
		rt_lose(&w->host[i], 0);
	}
	rt_files_heal(w);
}
