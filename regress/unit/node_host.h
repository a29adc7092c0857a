/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of whole nodes: two of them in virtual time, and what answers each
 * in place of its drivers.  Between them is a LAN, which brings adverts at
 * once, or connections, which bring messages after a millisecond.  A test has
 * a struct world of its own and its own table of ops, and puts before or
 * instead of an op what it wants to see.
 */
#ifndef NODE_HOST_H
#define NODE_HOST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node.h"

enum { NODES = 2, EVENTS = 1024, FRAMES = 512, FRAME = 512 };

struct frame {
	int64_t at;
	enum nd_kind kind;
	uint8_t link;
	size_t len;
	uint8_t bytes[FRAME];
};

struct world;
struct host {
	struct world *w; /* borrowed */
	const monotime_t *now; /* borrowed: the world's */
	struct host *other; /* borrowed */
	unsigned me; /* 0 or 1 */
	struct conf *conf; /* owned */
	struct nd *nd; /* owned; NULL: dead */
	monotime_t timer;
	struct nd_event queue[EVENTS]; /* what the drivers answer */
	unsigned n_queue;
	struct frame in[FRAMES]; /* ring: what the connections bring */
	unsigned head, n_in;
	/* The guard of the elected or shared addresses. */
	struct vip_set open;
	monotime_t until;
	bool present[HAD_ADDRESSES_MAX];
	bool broken[HAD_ADDRESSES_MAX]; /* it cannot be added */
	unsigned adds, announced[HAD_ADDRESSES_MAX];
	bool frozen; /* no event reaches it */
	bool deaf, cut; /* the LAN: it hears nothing, nothing leaves it */
	bool mute; /* no driver answers */
	bool done;
	int64_t wall_us; /* its wall clock is so far ahead of the time */
	/* After each step: what must hold at any time; NULL: nothing. */
	void (*look)(const struct host *);
};

static inline void
host_init(
    struct host *h, struct world *w, const monotime_t *now, struct host *all)
{
	h->w = w;
	h->now = now;
	h->me = (unsigned)(h - all);
	h->other = &all[1 - h->me];
}

static inline void
put(struct host *h, const struct nd_event *e)
{
	if (h->mute)
		return;
	assert_true(h->n_queue < EVENTS);
	h->queue[h->n_queue++] = *e;
}

static inline void
step(struct host *h, struct nd_event *e)
{
	e->now = *h->now;
	e->wall_us = (uint64_t)(h->now->us + h->wall_us);
	nd_step(h->nd, e);
	if (h->look != NULL)
		h->look(h);
}

/* Does it answer for this address, by its number? */
static inline bool
holds(const struct host *h, uint16_t id)
{
	return h->present[id] && vip_set_has(&h->open, id) &&
	       mt_before(*h->now, h->until);
}

/* --- ops; ctx is the host --- */

static inline void
host_timer(void *ctx, monotime_t at)
{
	((struct host *)ctx)->timer = at;
}

static inline void
host_persist(void *ctx, const struct sf_record *r, uint64_t serial)
{
	struct nd_event e = {.type = ND_EV_PERSISTED};

	(void)r;
	e.u.persisted.serial = serial;
	e.u.persisted.ok = true;
	put(ctx, &e);
}

static inline void
host_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	const struct host *h = ctx;

	(void)level, (void)rule;
	if (getenv("NOTES") != NULL)
		printf("%8.3f %u %s: %s\n", (double)h->now->us / 1e6, h->me,
		    object, text);
}

static inline void
host_add(void *ctx, uint16_t id)
{
	struct nd_event e = {.type = ND_EV_VIP};
	struct host *h = ctx;

	h->present[id] = !h->broken[id];
	h->adds++;
	e.u.vip.type = VIP_EV_ADDED;
	e.u.vip.u.result.id = id;
	e.u.vip.u.result.ok = !h->broken[id];
	e.u.vip.u.result.text = "no such interface";
	put(h, &e);
}

static inline void
host_del(void *ctx, uint16_t id)
{
	struct nd_event e = {.type = ND_EV_VIP};
	struct host *h = ctx;

	e.u.vip.type = VIP_EV_REMOVED;
	e.u.vip.u.result.id = id;
	e.u.vip.u.result.ok = true;
	e.u.vip.u.result.found = h->present[id];
	h->present[id] = false;
	put(h, &e);
}

/* The guard refuses to open what it would have to close at once. */
static inline void
host_guard(struct host *h, struct nd_event *e, uint64_t seq,
    const struct vip_set *open, monotime_t until)
{
	static const struct vip_set none;

	e->type = ND_EV_VIP;
	e->u.vip.type = VIP_EV_LEASED;
	e->u.vip.u.leased.seq = seq;
	e->u.vip.u.leased.ok =
	    memcmp(open, &none, sizeof(none)) == 0 || mt_before(*h->now, until);
	e->u.vip.u.leased.text = "late";
	if (e->u.vip.u.leased.ok) {
		h->open = *open;
		h->until = until;
	}
	put(h, e);
}

static inline void
host_vr_lease(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct nd_event e = {.elected = true};

	host_guard(ctx, &e, seq, open, until);
}

static inline void
host_lease_none(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	(void)ctx, (void)seq, (void)open, (void)until;
	fail_msg("no address of a service is configured");
}

static inline void
host_announce(void *ctx, uint16_t id)
{
	((struct host *)ctx)->announced[id]++;
}

static inline void
host_vr_flush(void *ctx)
{
	(void)ctx;
}

static inline void
host_reply(void *ctx, uint64_t token, int code, const char *text)
{
	(void)ctx, (void)token, (void)text;
	assert_int_equal(code, 0);
}

static inline void
host_done(void *ctx, bool clean)
{
	assert_true(clean);
	((struct host *)ctx)->done = true;
}

static inline void
host_told(void *ctx, uint8_t peer, const uint8_t *bytes, size_t len)
{
	(void)ctx, (void)peer, (void)bytes, (void)len;
}

/* To the other one, a millisecond later. */
static inline void
host_send(void *ctx, uint8_t peer, enum nd_kind kind, uint8_t link,
    uint16_t stream, const struct nd_buf *bufs, unsigned n)
{
	struct host *h = ctx, *to = h->other;
	struct frame *f;

	(void)stream;
	assert_int_equal(peer, to->me + 1);
	if (to->nd == NULL)
		return;
	assert_true(to->n_in < FRAMES);
	f = &to->in[(to->head + to->n_in++) % FRAMES];
	f->at = h->now->us + 1000;
	f->kind = kind;
	f->link = link;
	f->len = 0;
	for (unsigned i = 0; i < n; i++) {
		assert_true(f->len + bufs[i].len <= FRAME);
		if (bufs[i].len > 0)
			memcpy(f->bytes + f->len, bufs[i].data, bufs[i].len);
		f->len += bufs[i].len;
	}
}

/* What the other one heard of it, without its Ethernet header, or NULL. */
static inline const struct nd_packet *
lan_send(struct host *h, uint16_t ifx, const uint8_t *frame, size_t len,
    bool resolve)
{
	static uint8_t ring[NODES * EVENTS][FRAME];
	static struct nd_packet list[NODES * EVENTS];
	static unsigned next;
	struct nd_event e = {.type = ND_EV_VR_PACKET};
	const struct host *to = h->other;
	struct nd_packet *p = &list[next];

	assert_false(resolve);
	assert_true(len > 14 && len <= FRAME);
	if (to->nd == NULL || to->deaf || to->frozen || h->cut)
		return NULL;
	memcpy(ring[next], frame + 14, len - 14);
	*p = (struct nd_packet){ring[next], len - 14};
	next = (next + 1) % NITEMS(list);
	e.u.packet.ifx = ifx;
	e.u.packet.n = 1;
	e.u.packet.list = p;
	put(h->other, &e);
	return p;
}

/* --- what happens to it --- */

/* Its configuration is there. */
static inline void
host_start(struct host *h, uint8_t id, const struct nd_ops *ops, uint64_t seed,
    uint64_t incarnation, const struct sf_record *record)
{
	static const struct nd_disk none[1] = {{.why = "none"}};
	struct nd_event e = {.type = ND_EV_START};

	h->timer = MT_NEVER;
	h->n_queue = h->n_in = 0;
	h->done = h->frozen = false;
	h->nd = nd_new(h->conf, id, none, ops, h);
	assert_non_null(h->nd);
	e.u.start.seed = seed;
	e.u.start.incarnation = incarnation;
	e.u.start.record = record;
	step(h, &e);
}

static inline void
host_free(struct host *h)
{
	if (h->nd != NULL)
		nd_free(h->nd);
	free(h->conf);
	h->nd = NULL;
	h->conf = NULL;
}

/* The first interface of its routers. */
static inline void
host_iface(struct host *h, bool up, const uint8_t addr4[4])
{
	struct nd_event e = {.type = ND_EV_VR_IFACE};

	e.u.iface.facts.carrier = up;
	e.u.iface.facts.has4 = true;
	memcpy(e.u.iface.facts.addr4, addr4, 4);
	put(h, &e);
}

/* It has connections to the other one, by that many links. */
static inline void
host_connect(struct host *h, uint64_t incarnation, uint8_t links)
{
	struct nd_event e = {
	    .type = ND_EV_UP, .peer = (uint8_t)(h->other->me + 1)};

	e.u.assoc.incarnation = incarnation;
	e.u.assoc.kind = ND_CTL;
	step(h, &e);
	e.u.assoc.kind = ND_HB;
	for (uint8_t l = 0; l < links; l++) {
		e.u.assoc.link = l;
		step(h, &e);
	}
}

/* True: there was an answer of a driver. */
static inline bool
host_answer(struct host *h)
{
	struct nd_event e;

	if (h->n_queue == 0)
		return false;
	e = h->queue[0];
	memmove(h->queue, h->queue + 1, --h->n_queue * sizeof(e));
	step(h, &e);
	return true;
}

/* True: its timer was due. */
static inline bool
host_tick(struct host *h)
{
	struct nd_event e = {.type = ND_EV_TIMER};

	if (mt_before(*h->now, h->timer))
		return false;
	h->timer = MT_NEVER;
	step(h, &e);
	return true;
}

/* What the drivers answer comes at once, before anything else. */
static inline void
host_work(struct host *h)
{
	while (host_answer(h))
		continue;
}

/* All that is due of one host: messages, then its timer. */
static inline void
host_turn(struct host *h)
{
	struct nd_event e = {
	    .type = ND_EV_MSG, .peer = (uint8_t)(h->other->me + 1)};

	if (h->nd == NULL || h->frozen)
		return;
	host_work(h);
	while (h->n_in > 0 && h->in[h->head].at <= h->now->us) {
		struct frame *f = &h->in[h->head];

		e.u.msg.kind = f->kind;
		e.u.msg.link = f->link;
		e.u.msg.bytes = f->bytes;
		e.u.msg.len = f->len;
		h->head = (h->head + 1) % FRAMES;
		h->n_in--;
		step(h, &e);
		host_work(h);
	}
	if (host_tick(h))
		host_work(h);
}

/* All that is due, of both in turn. */
static inline void
lan_settle(struct host all[NODES])
{
	bool busy = true;

	while (busy) {
		busy = false;
		for (unsigned i = 0; i < NODES; i++)
			if (all[i].nd != NULL && !all[i].frozen)
				busy |=
				    host_answer(&all[i]) || host_tick(&all[i]);
	}
}

#endif
