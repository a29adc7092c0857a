/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A world of two mirror cores for tests: disks with a volatile cache, an
 * ordered network, virtual time, and a client that knows which contents are
 * allowed in every sector.  Nothing happens by itself: the test, or a seeded
 * scheduler, picks each step.
 *
 * A disk keeps one 64-bit value per sector of data (the first eight bytes) and
 * whole bytes of the metadata.  A write takes effect when it completes.  A
 * power cut keeps or loses each sector that was not flushed, and applies any
 * part of what was under way.
 */
#ifndef MIR_WORLD_H
#define MIR_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mirror.h"
#include "mirror_int.h"

enum {
	W_SECTORS = 1024, /* of data: 512 KiB, eight chunks */
	W_META = 64, /* sectors */
	W_OPS = 512,
	W_MSGS = 4096,
	W_REQS = 16,
	W_MAYBE = 64,
};

struct w_op {
	bool used;
	struct mir_io io;
	struct w_snap *snap; /* FLUSH: what it makes stable, owned */
};

struct w_snap {
	uint64_t data[W_SECTORS], ver[W_SECTORS], mver[W_META];
	uint8_t meta[W_META][512];
};

struct w_disk {
	uint64_t cur[W_SECTORS], stable[W_SECTORS];
	uint8_t mcur[W_META][512], mstable[W_META][512];
	bool vol[W_SECTORS], mvol[W_META]; /* differs from stable, maybe */
	/* Which write it is: a late flush must not bring back an older one. */
	uint64_t ver[W_SECTORS], sver[W_SECTORS];
	uint64_t mver[W_META], msver[W_META], next_ver;
	bool broken; /* every operation fails */
	bool meta_ro; /* metadata cannot be written */
	struct w_op ops[W_OPS];
	unsigned n_ops;
};

struct w_msg {
	uint32_t assoc;
	size_t len;
	uint8_t *bytes; /* owned */
};

struct w_node {
	struct mir *m;
	struct w_disk d;
	struct mmeta_layout layout;
	monotime_t timer;
	uint32_t link; /* as in its VIEW; 0: not up */
	enum mir_peer view;
	bool up, frozen, doubt;
	bool silent; /* what it thinks of its peer */
	bool no_lease, no_right; /* for views */
	bool unclean; /* crashed since it was in sync */
	bool lost; /* and with its cache */
	struct w_msg in[W_MSGS];
	unsigned in_head, in_n;
	char why[160]; /* of the last note of severity error */
	bool done_ok;
	uint64_t done_token;
	char done_text[200];
	unsigned changed, notes;
};

/* What the client did and may find. */
struct w_req {
	bool used;
	uint8_t node;
	enum mir_cmd cmd;
	uint64_t cookie, off, id, started;
	uint32_t len;
	uint8_t buf[HAD_IO_MAX];
};
struct w_sector {
	uint64_t flushed; /* survives anything */
	uint64_t acked; /* survives any single failure */
	uint64_t acked_at;
	uint64_t maybe[W_MAYBE]; /* not acknowledged */
	unsigned n_maybe;
	uint64_t since[W_MAYBE]; /* acknowledged since the last flush */
	unsigned n_since;
};

struct world {
	struct w_node n[3]; /* 1 and 2 */
	monotime_t now;
	uint64_t rng, epoch, next_id, next_cookie, clock;
	uint32_t assoc; /* 0: no connection */
	uint32_t next_assoc;
	uint8_t owner; /* who may be primary; 0: nobody */
	uint8_t sole; /* went on alone, not in sync since */
	struct w_req reqs[W_REQS];
	struct w_sector s[W_SECTORS];
	unsigned acks, fails, reads, failovers, resyncs, crashes;
	bool trace;
};

static inline uint64_t
w_rand(struct world *w, uint64_t n)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return n == 0 ? w->rng : w->rng % n;
}

struct w_ctx {
	struct world *w;
	uint8_t id;
};
static struct w_ctx w_ctxs[3];

static inline struct w_node *
w_of(void *ctx)
{
	struct w_ctx *c = ctx;

	return &c->w->n[c->id];
}

static inline uint8_t
w_other(uint8_t id)
{
	return (uint8_t)(3 - id);
}

/* ops of the core */
static inline void
w_disk_op(void *ctx, const struct mir_io *io)
{
	struct w_disk *d = &w_of(ctx)->d;
	struct w_op *o = d->ops;

	while (o->used)
		o++;
	assert_true(o < d->ops + W_OPS);
	assert_int_equal(io->off % 512, 0);
	assert_int_equal(io->len % 512, 0);
	if (io->area == MIR_DATA)
		assert_true(io->off + io->len <= W_SECTORS * 512);
	else
		assert_true(io->off + io->len <= W_META * 512);
	o->used = true;
	o->io = *io;
	if (io->cmd == MIR_FLUSH) {
		o->snap = malloc(sizeof(*o->snap));
		assert_non_null(o->snap);
		memcpy(o->snap->data, d->cur, sizeof(d->cur));
		memcpy(o->snap->ver, d->ver, sizeof(d->ver));
		memcpy(o->snap->meta, d->mcur, sizeof(d->mcur));
		memcpy(o->snap->mver, d->mver, sizeof(d->mver));
	}
	d->n_ops++;
}

static inline void
w_send(void *ctx, uint8_t peer, const uint8_t *hdr, size_t hdr_len,
    const void *data, size_t len)
{
	struct w_ctx *c = ctx;
	struct w_node *to = &c->w->n[peer];
	struct w_msg *msg;

	assert_int_equal(peer, w_other(c->id));
	assert_true(hdr_len + len <= MIR_MSG_MAX);
	if (c->w->assoc == 0 || c->w->n[c->id].link != c->w->assoc)
		return;
	assert_true(to->in_n < W_MSGS);
	msg = &to->in[(to->in_head + to->in_n++) % W_MSGS];
	msg->assoc = c->w->assoc;
	msg->len = hdr_len + len;
	msg->bytes = malloc(msg->len);
	memcpy(msg->bytes, hdr, hdr_len);
	if (len > 0)
		memcpy(msg->bytes + hdr_len, data, len);
}

static inline void
w_timer(void *ctx, monotime_t at)
{
	w_of(ctx)->timer = at;
}

static inline void
w_done(void *ctx, uint64_t token, bool ok, const char *text)
{
	struct w_node *n = w_of(ctx);
	struct w_ctx *c = ctx;

	n->done_ok = ok;
	n->done_token = token;
	snprintf(n->done_text, sizeof(n->done_text), "%s", text);
	if (c->w->trace)
		fprintf(stderr, "    %u done %d %s\n", c->id, ok, text);
}

static inline void
w_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	struct w_ctx *c = ctx;
	struct w_node *n = w_of(ctx);

	n->notes++;
	if (level == HAD_ERR)
		snprintf(n->why, sizeof(n->why), "%s", text);
	assert_non_null(rule);
	assert_string_equal(object, "volume orders");
	if (c->w->trace)
		fprintf(stderr, "    %u: %s\n", c->id, text);
}

static inline void
w_changed(void *ctx)
{
	w_of(ctx)->changed++;
}

/* the client's knowledge */
static inline void
w_maybe(struct w_sector *s, uint64_t id)
{
	for (unsigned i = 0; i < s->n_maybe; i++)
		if (s->maybe[i] == id)
			return;
	if (s->n_maybe == W_MAYBE) { /* the oldest is least interesting */
		memmove(s->maybe, s->maybe + 1,
		    (W_MAYBE - 1) * sizeof(s->maybe[0]));
		s->n_maybe--;
	}
	s->maybe[s->n_maybe++] = id;
}

static inline void
w_since(struct w_sector *s, uint64_t id)
{
	if (s->n_since == W_MAYBE) {
		memmove(s->since, s->since + 1,
		    (W_MAYBE - 1) * sizeof(s->since[0]));
		s->n_since--;
	}
	s->since[s->n_since++] = id;
}

/* More failed than one thing: what no flush covered may be lost. */
static inline void
w_catastrophe(struct world *w)
{
	for (int i = 0; i < W_SECTORS; i++) {
		struct w_sector *s = &w->s[i];

		for (unsigned j = 0; j < s->n_since; j++)
			w_maybe(s, s->since[j]);
		s->n_since = 0;
		s->acked = s->flushed;
	}
}

static inline bool
w_allowed(const struct w_sector *s, uint64_t v)
{
	if (v == s->acked)
		return true;
	for (unsigned i = 0; i < s->n_maybe; i++)
		if (s->maybe[i] == v)
			return true;
	return false;
}

static inline uint64_t
w_value(const struct w_req *r, uint32_t i)
{
	return r->cmd == MIR_WRITE ? r->id * 4096 + i + 1 : 0;
}

static inline void
w_reply(void *ctx, uint64_t cookie, int error)
{
	struct w_ctx *c = ctx;
	struct world *w = c->w;
	struct w_req *r = w->reqs;
	uint64_t v;

	while (r < w->reqs + W_REQS && !(r->used && r->cookie == cookie))
		r++;
	assert_true(r < w->reqs + W_REQS);
	assert_int_equal(r->node, c->id);
	r->used = false;
	if (w->trace)
		fprintf(stderr, "    %u reply %llu error %d\n", c->id,
		    (unsigned long long)cookie, error);
	if (error != 0) {
		w->fails++;
		return;
	}
	w->acks++;
	if (r->cmd == MIR_FLUSH) {
		for (int i = 0; i < W_SECTORS; i++)
			if (w->s[i].acked_at < r->started) {
				w->s[i].flushed = w->s[i].acked;
				w->s[i].n_since = 0;
			}
		return;
	}
	for (uint32_t i = 0; i < r->len / 512; i++) {
		struct w_sector *s = &w->s[r->off / 512 + i];

		if (r->cmd == MIR_READ) {
			memcpy(&v, r->buf + i * 512, 8);
			if (!w_allowed(s, v))
				fail_msg("sector %llu: read %llx, acked %llx",
				    (unsigned long long)(r->off / 512 + i),
				    (unsigned long long)v,
				    (unsigned long long)s->acked);
			w->reads++;
			continue;
		}
		s->acked = w_value(r, i);
		s->acked_at = ++w->clock;
		/* What it overwrote may be below it in a lost cache. */
		for (unsigned j = 0; j < s->n_maybe; j++)
			w_since(s, s->maybe[j]);
		w_since(s, s->acked);
		s->n_maybe = 0;
	}
}

static const struct mir_ops w_ops = {
    .disk = w_disk_op,
    .reply = w_reply,
    .send = w_send,
    .timer = w_timer,
    .done = w_done,
    .note = w_note,
    .changed = w_changed,
};

/* steps */
static inline void
w_step(struct world *w, uint8_t id, struct mir_event *ev)
{
	ev->now = w->now;
	mir_step(w->n[id].m, ev);
}

static inline void
w_view(struct world *w, uint8_t id, enum mir_peer peer, bool demoted)
{
	struct w_node *n = &w->n[id];
	struct mir_event ev = {.type = MIR_VIEW};

	if (w->trace)
		fprintf(
		    stderr, "    %u view %d demoted %d\n", id, peer, demoted);
	n->view = peer;
	n->link = peer == MIR_PEER_UP ? w->assoc : 0;
	ev.u.view.peer = peer;
	ev.u.view.epoch = w->epoch;
	ev.u.view.link = n->link;
	ev.u.view.own_right = peer == MIR_PEER_GONE && !n->no_right;
	ev.u.view.demoted = demoted;
	ev.u.view.no_lease = n->no_lease;
	ev.u.view.doubt = n->doubt;
	ev.u.view.silent = n->silent;
	w_step(w, id, &ev);
}

static inline void
w_msg_free(struct w_node *n)
{
	while (n->in_n > 0) {
		free(n->in[n->in_head].bytes);
		n->in_head = (n->in_head + 1) % W_MSGS;
		n->in_n--;
	}
}

/* Can the first message be delivered?  Those of a dead connection go. */
static inline bool
w_has_msg(struct world *w, uint8_t id)
{
	struct w_node *n = &w->n[id];

	while (n->in_n > 0 && n->in[n->in_head].assoc != w->assoc) {
		free(n->in[n->in_head].bytes);
		n->in_head = (n->in_head + 1) % W_MSGS;
		n->in_n--;
	}
	return n->up && !n->frozen && n->in_n > 0 && n->link == w->assoc;
}

static inline bool
w_deliver(struct world *w, uint8_t id)
{
	struct w_node *n = &w->n[id];
	struct w_msg msg;
	struct mir_event ev = {.type = MIR_MSG};

	if (!w_has_msg(w, id))
		return false;
	msg = n->in[n->in_head];
	n->in_head = (n->in_head + 1) % W_MSGS;
	n->in_n--;
	ev.u.msg.from = w_other(id);
	ev.u.msg.bytes = msg.bytes;
	ev.u.msg.len = msg.len;
	w_step(w, id, &ev);
	free(msg.bytes);
	return true;
}

static inline void
w_put_sector(struct w_disk *d, const struct mir_io *io, uint32_t i)
{
	uint64_t v = 0, at = io->off / 512 + i;

	if (io->area == MIR_META) {
		memcpy(d->mcur[at], (uint8_t *)io->buf + i * 512, 512);
		d->mvol[at] = true;
		d->mver[at] = ++d->next_ver;
		return;
	}
	if (io->cmd == MIR_WRITE)
		memcpy(&v, (uint8_t *)io->buf + i * 512, 8);
	d->cur[at] = v;
	d->vol[at] = true;
	d->ver[at] = ++d->next_ver;
}

static inline void
w_settle(struct w_disk *d, const struct mir_io *io, uint32_t i)
{
	uint64_t at = io->off / 512 + i;

	if (io->area == MIR_META) {
		memcpy(d->mstable[at], d->mcur[at], 512);
		d->msver[at] = d->mver[at];
		d->mvol[at] = false;
	} else {
		d->stable[at] = d->cur[at];
		d->sver[at] = d->ver[at];
		d->vol[at] = false;
	}
}

static inline void
w_op_free(struct w_disk *d, struct w_op *o)
{
	free(o->snap);
	memset(o, 0, sizeof(*o));
	d->n_ops--;
}

static inline void
w_flush(struct w_disk *d, const struct w_snap *s)
{
	for (int i = 0; i < W_SECTORS; i++) {
		if (s->ver[i] <= d->sver[i])
			continue;
		d->stable[i] = s->data[i];
		d->sver[i] = s->ver[i];
		d->vol[i] = d->ver[i] != d->sver[i];
	}
	for (int i = 0; i < W_META; i++) {
		if (s->mver[i] <= d->msver[i])
			continue;
		memcpy(d->mstable[i], s->meta[i], 512);
		d->msver[i] = s->mver[i];
		d->mvol[i] = d->mver[i] != d->msver[i];
	}
}

/* Carries out one operation; its event is the caller's. */
static inline void
w_perform(struct w_disk *d, struct w_op *o)
{
	const struct mir_io *io = &o->io;
	uint64_t at;

	if (io->cmd == MIR_FLUSH) {
		w_flush(d, o->snap);
		return;
	}
	for (uint32_t i = 0; i < io->len / 512; i++) {
		at = io->off / 512 + i;
		if (io->cmd == MIR_READ && io->area == MIR_META) {
			memcpy((uint8_t *)io->buf + i * 512, d->mcur[at], 512);
		} else if (io->cmd == MIR_READ) {
			memset((uint8_t *)io->buf + i * 512, 0, 512);
			memcpy((uint8_t *)io->buf + i * 512, &d->cur[at], 8);
		} else {
			w_put_sector(d, io, i);
			if (io->fua)
				w_settle(d, io, i);
		}
	}
}

static inline void
w_complete(struct world *w, uint8_t id, unsigned i, int error)
{
	struct w_disk *d = &w->n[id].d;
	struct w_op *o = &d->ops[i];
	struct mir_event ev = {.type = MIR_DISK};

	assert_true(o->used);
	if (error == 0)
		w_perform(d, o);
	ev.u.disk.io = o->io.io;
	ev.u.disk.error = error;
	w_op_free(d, o);
	w_step(w, id, &ev);
}

static inline int
w_error(const struct w_disk *d, const struct mir_io *io)
{
	return d->broken || (d->meta_ro && io->area == MIR_META &&
				io->cmd == MIR_WRITE)
		   ? 5
		   : 0;
}

/* One operation, chosen by pick among those under way. */
static inline bool
w_complete_any(struct world *w, uint8_t id, uint64_t pick)
{
	struct w_node *n = &w->n[id];
	unsigned k;

	if (!n->up || n->frozen || n->d.n_ops == 0)
		return false;
	k = (unsigned)(pick % n->d.n_ops);
	for (unsigned i = 0; i < W_OPS; i++)
		if (n->d.ops[i].used && k-- == 0) {
			w_complete(w, id, i, w_error(&n->d, &n->d.ops[i].io));
			return true;
		}
	return false;
}

static inline void
w_advance(struct world *w, int64_t ms)
{
	struct mir_event ev;

	w->now = mt_add_ms(w->now, ms);
	for (uint8_t id = 1; id <= 2; id++) {
		struct w_node *n = &w->n[id];

		if (!n->up || n->frozen || mt_before(w->now, n->timer))
			continue;
		ev = (struct mir_event){.type = MIR_TIMER};
		w_step(w, id, &ev);
		/* A timer that stays due would spin. */
		assert_true(mt_before(w->now, n->timer));
	}
}

static inline bool
w_work(struct world *w)
{
	bool any = false;

	for (uint8_t id = 1; id <= 2; id++) {
		any |= w_complete_any(w, id, 0);
		any |= w_deliver(w, id);
	}
	return any;
}

/* Until nothing is under way, time standing still. */
static inline void
w_run(struct world *w)
{
	for (int i = 0; w_work(w); i++)
		assert_true(i < 200000);
}

static inline void
w_run_ms(struct world *w, int64_t ms)
{
	for (int64_t t = 0; t < ms; t += 50) {
		w_run(w);
		w_advance(w, 50);
	}
	w_run(w);
}

/* making and unmaking */
static inline void
w_format(struct world *w, uint8_t id, bool keep)
{
	struct w_node *n = &w->n[id];
	struct mmeta_sb sb;
	uint8_t page[MMETA_PAGE];
	struct mmeta_new nw = {.cluster = mmeta_cluster("shop"),
	    .name = "orders",
	    .node = id,
	    .peers = {w_other(id)},
	    .tag = w_rand(w, 0),
	    .keep = keep,
	    .volume_id = {1, 2, 3},
	    .current = 0x1000};

	mmeta_format(&sb, &n->layout, &nw);
	for (uint64_t off = 0; off < n->layout.meta_bytes; off += MMETA_PAGE) {
		mmeta_format_page(&sb, &n->layout, off, page);
		memcpy(n->d.mcur[off / 512], page, MMETA_PAGE);
		memcpy(n->d.mstable[off / 512], page, MMETA_PAGE);
	}
}

static inline void
w_start_conf(struct world *w, uint8_t id, struct mir_conf c)
{
	struct w_node *n = &w->n[id];
	struct mir_event ev = {.type = MIR_START};

	assert_false(n->up);
	w_ctxs[id] = (struct w_ctx){w, id};
	n->m = mir_new(&c, &w_ops, &w_ctxs[id]);
	assert_non_null(n->m);
	n->up = true;
	n->frozen = n->doubt = false;
	n->link = 0;
	n->timer = MT_NEVER;
	ev.u.start.seed = w_rand(w, 0);
	w_step(w, id, &ev);
	w_view(w, id, MIR_PEER_DOWN, false);
}

static inline struct mir_conf
w_conf(struct world *w, uint8_t id)
{
	return (struct mir_conf){.name = "orders",
	    .self = id,
	    .peer = w_other(id),
	    .peer_name = "peer",
	    .cluster = mmeta_cluster("shop"),
	    .layout = w->n[id].layout,
	    .reqs_max = W_REQS,
	    .peer_slots = 8,
	    .window_bytes = 256 * 1024,
	    .resync_pieces = 4,
	    .clean_ms = 1000};
}

static inline void
w_start(struct world *w, uint8_t id)
{
	w_start_conf(w, id, w_conf(w, id));
}

static inline struct world *
w_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));
	const char *why;

	assert_non_null(w);
	w->rng = seed * 2654435761u + 88172645463325252ull;
	w->now = (monotime_t){1000000};
	w->epoch = 1;
	w->next_id = 1;
	w->next_cookie = 1;
	for (uint8_t id = 1; id <= 2; id++) {
		assert_int_equal(mmeta_plan(&w->n[id].layout, W_SECTORS * 512,
				     false, 1, &why),
		    0);
		assert_true(w->n[id].layout.meta_bytes <= W_META * 512);
	}
	return w;
}

/* Both formatted, node 1's data kept, started, not connected. */
static inline struct world *
w_new_pair(uint64_t seed)
{
	struct world *w = w_new(seed);

	for (uint8_t id = 1; id <= 2; id++) {
		w_format(w, id, id == 1);
		w_start(w, id);
	}
	w_run(w);
	return w;
}

/* The daemon dies; what the disk has under way may still happen. */
static inline void
w_crash(struct world *w, uint8_t id, bool power)
{
	struct w_node *n = &w->n[id];
	struct w_disk *d = &n->d;

	if (!n->up)
		return;
	if (w->trace)
		fprintf(stderr, "    %u crash, power %d\n", id, power);
	for (unsigned i = 0; i < W_OPS; i++) {
		struct w_op *o = &d->ops[i];

		if (!o->used)
			continue;
		if (o->io.cmd == MIR_WRITE || o->io.cmd == MIR_TRIM ||
		    o->io.cmd == MIR_ZERO)
			for (uint32_t j = 0; j < o->io.len / 512; j++)
				if (w_rand(w, 2) == 0)
					w_put_sector(d, &o->io, j);
		w_op_free(d, o);
	}
	for (int i = 0; i < W_SECTORS && power; i++) {
		if (d->vol[i] && w_rand(w, 2) == 0)
			d->cur[i] = d->stable[i];
		d->stable[i] = d->cur[i];
		d->vol[i] = false;
	}
	for (int i = 0; i < W_META && power; i++) {
		if (d->mvol[i] && w_rand(w, 2) == 0)
			memcpy(d->mcur[i], d->mstable[i], 512);
		memcpy(d->mstable[i], d->mcur[i], 512);
		d->mvol[i] = false;
	}
	mir_free(n->m);
	n->m = NULL;
	n->up = n->frozen = n->doubt = false;
	n->link = 0;
	n->unclean = true;
	w_msg_free(n);
	for (int i = 0; i < W_REQS; i++)
		if (w->reqs[i].used && w->reqs[i].node == id)
			w->reqs[i].used = false;
	if (w->assoc != 0) { /* the other side sees the abort */
		w->assoc = 0;
		if (w->n[w_other(id)].up && !w->n[w_other(id)].frozen)
			w_view(w, w_other(id), MIR_PEER_DOWN, false);
	}
	w->crashes++;
}

static inline void
w_free(struct world *w)
{
	for (uint8_t id = 1; id <= 2; id++) {
		struct w_disk *d = &w->n[id].d;

		for (unsigned i = 0; i < W_OPS; i++)
			if (d->ops[i].used)
				w_op_free(d, &d->ops[i]);
		w_msg_free(&w->n[id]);
		mir_free(w->n[id].m);
	}
	free(w);
}

static inline void
w_connect(struct world *w)
{
	if (w->assoc != 0)
		return;
	w->assoc = ++w->next_assoc;
	w_view(w, 1, MIR_PEER_UP, false);
	w_view(w, 2, MIR_PEER_UP, false);
}

static inline void
w_cut(struct world *w)
{
	w->assoc = 0;
	for (uint8_t id = 1; id <= 2; id++) {
		w_msg_free(&w->n[id]);
		if (w->n[id].up && !w->n[id].frozen &&
		    w->n[id].view == MIR_PEER_UP)
			w_view(w, id, MIR_PEER_DOWN, false);
	}
}

static inline void
w_promote(struct world *w, uint8_t id, uint64_t token)
{
	struct mir_event ev = {.type = MIR_PROMOTE};

	w->n[id].done_token = 0;
	ev.u.promote.token = token;
	ev.u.promote.epoch = w->epoch;
	w_step(w, id, &ev);
}

static inline void
w_demote(struct world *w, uint8_t id, uint64_t token)
{
	struct mir_event ev = {.type = MIR_DEMOTE};

	w->n[id].done_token = 0;
	ev.u.demote.token = token;
	w_step(w, id, &ev);
}

static inline struct mir_status
w_status(struct world *w, uint8_t id)
{
	struct mir_status st;

	mir_status(w->n[id].m, &st);
	return st;
}

/* Submits a request; NULL if the client has no room or would overlap. */
static inline struct w_req *
w_request(
    struct world *w, uint8_t id, enum mir_cmd cmd, uint64_t off, uint32_t len)
{
	struct w_req *r = w->reqs, *o;
	struct mir_event ev = {.type = MIR_REQ};
	uint64_t v;

	while (r < w->reqs + W_REQS && r->used)
		r++;
	if (r == w->reqs + W_REQS)
		return NULL;
	for (o = w->reqs; o < w->reqs + W_REQS && cmd != MIR_FLUSH; o++)
		if (o->used && o->cmd != MIR_FLUSH && off < o->off + o->len &&
		    o->off < off + len)
			return NULL;
	r->used = true;
	r->node = id;
	r->cmd = cmd;
	r->cookie = w->next_cookie++;
	r->off = off;
	r->len = len;
	r->id = w->next_id++;
	r->started = ++w->clock;
	for (uint32_t i = 0; i < len / 512 && cmd != MIR_READ; i++) {
		v = w_value(r, i);
		memset(r->buf + i * 512, 0, 512);
		memcpy(r->buf + i * 512, &v, 8);
		w_maybe(&w->s[off / 512 + i], v);
	}
	if (w->trace)
		fprintf(stderr, "    %u request %llu cmd %d sectors %llu+%u\n",
		    id, (unsigned long long)r->cookie, cmd,
		    (unsigned long long)off / 512, len / 512);
	ev.u.req.cookie = r->cookie;
	ev.u.req.cmd = cmd;
	ev.u.req.fua = cmd != MIR_READ && cmd != MIR_FLUSH && w_rand(w, 8) == 0;
	ev.u.req.off = off;
	ev.u.req.len = len;
	ev.u.req.buf = cmd == MIR_READ || cmd == MIR_WRITE ? r->buf : NULL;
	w_step(w, id, &ev);
	return r;
}

static inline void
w_write(struct world *w, uint8_t id, uint64_t sector, uint32_t n)
{
	assert_non_null(w_request(w, id, MIR_WRITE, sector * 512, n * 512));
}

/* Both disks hold the same and all that was acknowledged. */
static inline void
w_check_equal(struct world *w)
{
	for (int i = 0; i < W_SECTORS; i++) {
		if (w->n[1].d.cur[i] != w->n[2].d.cur[i])
			fail_msg("sector %d differs: %llx, %llx (acked %llx)",
			    i, (unsigned long long)w->n[1].d.cur[i],
			    (unsigned long long)w->n[2].d.cur[i],
			    (unsigned long long)w->s[i].acked);
		if (!w_allowed(&w->s[i], w->n[1].d.cur[i]))
			fail_msg("sector %d: %llx, but %llx was acknowledged",
			    i, (unsigned long long)w->n[1].d.cur[i],
			    (unsigned long long)w->s[i].acked);
	}
}

/* beginnings and ends of stories */
static inline void
start_primary(struct world *w, uint8_t id)
{
	w_promote(w, id, 77);
	w_run(w);
	assert_int_equal(w->n[id].done_token, 77);
	assert_true(w->n[id].done_ok);
	assert_true(w_status(w, id).primary);
}

/* In sync, node 1 primary. */
static inline struct world *
new_synced(uint64_t seed)
{
	struct world *w = w_new_pair(seed);

	w_connect(w);
	w_run_ms(w, 2000);
	assert_int_equal(w_status(w, 1).conn, MIR_CONN_INSYNC);
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_INSYNC);
	start_primary(w, 1);
	return w;
}

static inline unsigned
in_flight(const struct world *w)
{
	unsigned n = 0;

	for (int i = 0; i < W_REQS; i++)
		n += w->reqs[i].used;
	return n;
}

static inline void
end_in_sync(struct world *w)
{
	w_connect(w);
	w_run_ms(w, 15000);
	assert_int_equal(w_status(w, 1).conn, MIR_CONN_INSYNC);
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_INSYNC);
	assert_int_equal(w_status(w, 1).dirty_bytes, 0);
	assert_int_equal(w_status(w, 2).dirty_bytes, 0);
	assert_int_equal(in_flight(w), 0);
	w_check_equal(w);
	w_free(w);
}

#endif
