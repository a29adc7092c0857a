/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any events, any bytes from the peer: no assertion is reachable, the epoch
 * is durable before it is announced and never falls.  The first three bytes of
 * input choose the configuration; then each event is a byte, what it needs, and
 * a delay.
 */
#include <string.h>

#include "member.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct world {
	bool demoted;
	struct sf_record disk, pending[64];
	unsigned n_pending;
	uint64_t epoch;
	monotime_t timer;
	enum mb_self self;
	bool done;
};

static void
op_send(void *ctx, uint8_t to, const uint8_t *bytes, size_t len)
{
	(void)ctx;
	(void)bytes;
	ASSERT(to == 2 && len > 0);
}

static void
op_timer(void *ctx, monotime_t at)
{
	((struct world *)ctx)->timer = at;
}

static void
op_persist(void *ctx, const struct sf_record *r, uint64_t serial)
{
	struct world *w = ctx;

	ASSERT(serial == r->serial);
	if (w->n_pending < 64)
		w->pending[w->n_pending++] = *r;
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx;
	(void)level;
	ASSERT(rule != NULL && object[0] != '\0' && text[0] != '\0');
}

static void
op_self(void *ctx, enum mb_self self, bool own_right, const char *rule)
{
	struct world *w = ctx;

	(void)own_right;
	(void)rule;
	w->self = self;
}

static void
op_peer(
    void *ctx, uint8_t id, enum mb_peer verdict, bool gone, const char *rule)
{
	(void)ctx;
	(void)gone;
	(void)rule;
	ASSERT(id == 2 && (unsigned)verdict < MB_PEER_N);
}

static void
op_epoch(void *ctx, uint64_t epoch)
{
	struct world *w = ctx;

	ASSERT(epoch >= w->epoch && epoch <= w->disk.epoch);
	w->epoch = epoch;
}

static void
op_arbitrate(
    void *ctx, uint8_t peer, uint64_t epoch, bool active, bool verify_only)
{
	struct world *w = ctx;

	(void)active;
	(void)verify_only;
	ASSERT(peer == 2 && (epoch == 0 || epoch > w->epoch));
}

static void
op_demote(void *ctx, bool on)
{
	struct world *w = ctx;

	ASSERT(w->demoted != on);
	w->demoted = on;
}

static void
op_reply(void *ctx, uint64_t token, bool ok, const char *text)
{
	(void)ctx;
	(void)token;
	(void)ok;
	ASSERT(text[0] != '\0');
}

static void
op_done(void *ctx)
{
	((struct world *)ctx)->done = true;
}

static const struct mb_ops ops = {op_send, op_timer, op_persist, op_note,
    op_self, op_peer, op_arbitrate, op_demote, op_epoch, op_reply, op_done};

/* Answers the oldest write. */
static void
persisted(struct world *w, struct mb *m, monotime_t now, bool ok)
{
	struct mb_event e = {.type = MB_EV_PERSISTED, .now = now};
	struct sf_record r;

	if (w->n_pending == 0)
		return;
	r = w->pending[0];
	memmove(
	    w->pending, w->pending + 1, --w->n_pending * sizeof(w->pending[0]));
	if (ok)
		w->disk = r;
	e.u.persisted.serial = r.serial;
	e.u.persisted.ok = ok;
	mb_step(m, &e);
}

/* A message that decodes more often than not. */
static void
fill_msg(uint8_t bytes[64], const uint8_t *data)
{
	memset(bytes, 0, 64);
	bytes[0] = data[0] & 15 ? 1 : 2;
	bytes[1] = data[1] % 8;
	bytes[2] = data[2] & 3;
	bytes[8] = data[3] & 7;
	bytes[16] = data[4] % 3;
	bytes[24] = data[5] % 3 + 9;
	bytes[32] = data[6];
	bytes[40] = data[0] >> 6;
	if (data[0] == 0xff)
		memcpy(bytes, data, 7);
}

static void
about_arbiters(struct mb_event *e, const uint8_t d[8])
{
	switch (e->type) {
	case MB_EV_VERDICT:
		e->u.verdict.peer = d[1] & 3;
		e->u.verdict.verdict = d[2] & 3;
		e->u.verdict.epoch = d[3] & 7;
		break;
	case MB_EV_ARBITER:
		e->u.arbiter.working = d[1] & 1;
		e->u.arbiter.spent = d[2] & 7;
		break;
	case MB_EV_DOMAIN:
		e->u.domain.link = d[1] & 3;
		e->u.domain.other = d[2] & 3;
		break;
	case MB_EV_PINGS:
		e->u.pings.any = d[1] & 1;
		break;
	case MB_EV_ADVERT:
		e->u.advert.peer = d[1] & 3;
		break;
	case MB_EV_HOLDS:
		e->u.holds.data = d[1] & 1;
		break;
	default:
		break;
	}
}

static void
one(struct mb *m, struct world *w, monotime_t now, const uint8_t d[8])
{
	struct mb_event e = {.type = d[0] % MB_EV_N, .now = now};
	uint8_t bytes[64];

	switch (e.type) {
	case MB_EV_START:
		e.u.start.incarnation = 10;
		break;
	case MB_EV_HEARD:
		e.u.heard.from = 2;
		e.u.heard.link = d[1] & 3;
		e.u.heard.incarnation = d[2] % 3;
		e.u.heard.epoch = d[3] & 7;
		e.u.heard.acts = d[3] & 8;
		break;
	case MB_EV_LINK:
		e.u.link.peer = 2;
		e.u.link.link = d[1] & 3;
		e.u.link.up = d[2] & 1;
		break;
	case MB_EV_CARRIER:
		e.u.carrier.link = d[1] % (MB_OUTSIDE + 1);
		e.u.carrier.up = d[2] & 1;
		break;
	case MB_EV_DATA:
		e.u.data.current = d[1] & 1;
		break;
	case MB_EV_MSG:
		fill_msg(bytes, d + 1);
		e.u.msg.from = 2;
		e.u.msg.bytes = bytes;
		e.u.msg.len = d[1] == 0xee ? 63 : 64;
		break;
	case MB_EV_ABORTED:
	case MB_EV_REFUSED:
	case MB_EV_KERNEL_ALIVE:
		e.u.refused.peer = d[1] & 3;
		if (e.type != MB_EV_ABORTED)
			e.u.refused.link = d[2] & 3;
		break;
	case MB_EV_NEWER_EPOCH:
		e.u.newer.from = 2;
		e.u.newer.epoch = d[1] & 7;
		break;
	case MB_EV_PERSISTED:
		persisted(w, m, now, (d[1] & 7) != 0);
		return;
	case MB_EV_SEED:
		e.u.seed.peer = d[1] & 3;
		break;
	case MB_EV_GAP:
		e.u.gap.us = d[1] * 2000;
		break;
	default:
		about_arbiters(&e, d);
		break;
	}
	mb_step(m, &e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mb_conf c = {.cluster = "f",
	    .self = 1,
	    .self_name = "a",
	    .n_peers = 1,
	    .peers = {{2, "b"}},
	    .n_links = 2,
	    .links = {"x", "y"},
	    .heartbeat_ms = 20,
	    .lease_ms = 60,
	    .dead_ms = 100,
	    .takeover_ms = 150};
	struct world w = {
	    .timer = MT_NEVER, .disk = {.cluster = "f", .node = 1}};
	struct mb_event start = {.type = MB_EV_START};
	monotime_t now = {1000000};
	struct mb_status s;
	struct mb_forecast f;
	struct mb *m;

	if (size < 3)
		return 0;
	c.silent_takeover = data[0] & 1;
	c.n_links = 1 + (data[0] >> 1 & 1);
	c.fences = data[0] >> 2 & 1;
	c.voters = data[0] >> 3 & 1;
	c.pings = data[0] >> 4 & 1;
	c.outside = data[0] >> 5 & 1;
	c.self_demote_ms = 130;
	w.disk.solo = data[1] & 1;
	w.disk.epoch = data[2] & 7;
	m = mb_new(&c, &ops, &w);
	start.now = now;
	start.u.start.incarnation = 10;
	start.u.start.seed = 1;
	start.u.start.record = &w.disk;
	mb_step(m, &start);
	for (size_t i = 3; i + 9 <= size && !w.done; i += 9) {
		now = mt_add_ms(now, data[i + 8] & 63);
		if (!mt_before(now, w.timer)) {
			struct mb_event t = {.type = MB_EV_TIMER, .now = now};

			mb_step(m, &t);
		}
		one(m, &w, now, data + i);
		mb_status(m, &s);
		mb_forecast(m, now, 2, &f);
		ASSERT(s.self == w.self && s.epoch == w.epoch);
	}
	mb_free(m);
	return 0;
}
