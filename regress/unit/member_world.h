/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of membership as transcripts: alpha (1) and bravo (2), links
 * cross (0) and lan (1), time in virtual milliseconds.  Heartbeats every 20,
 * dead 100, takeover 150, lease 60.  A disk takes 2 ms, a message none.
 */
#ifndef MEMBER_WORLD_H
#define MEMBER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "member.h"

enum { ALPHA = 1, BRAVO = 2, CROSS = 0, LAN = 1 };
enum { HEARTBEAT = 20, DEAD = 100, TAKEOVER = 150, LEASE = 60, DISK = 2 };
enum { DEMOTE = 130 };

struct packet {
	uint8_t to, from;
	uint8_t bytes[64];
	size_t len;
};

struct node {
	struct mb *mb; /* owned; NULL = no daemon */
	uint8_t id;
	uint64_t incarnation;
	bool frozen;
	monotime_t frozen_at, timer;
	/* What the core said last. */
	enum mb_self self;
	bool own_right;
	enum mb_peer peer;
	bool stateless_gone;
	uint64_t epoch;
	char rule[16];
	/* The disk. */
	struct sf_record disk, pending;
	bool has_disk, is_pending, disk_broken;
	uint64_t pending_serial;
	monotime_t pending_at;
	/* What the arbiters are asked. */
	uint64_t asked;
	bool asked_active, asked_verify, demoted;
	unsigned asks;
	bool done, replied, reply_ok;
	char reply[160];
	char notes[16384];
	/* Order of takeover outputs, for R8. */
	uint64_t alone_at_disk_epoch;
};

static struct world {
	struct node nodes[3];
	int now;
	bool cut[3][2]; /* [from][link]: heartbeats are lost */
	bool ctl_cut;
	bool wait; /* silent peer wait */
	bool fences, voters, pings, one_domain;
	bool outside; /* addresses are on an interface that bears no link */
	struct packet queue[64];
	unsigned n_queue;
} w;

static inline monotime_t
at(int ms)
{
	/* Not zero: zero means never. */
	return (monotime_t){(int64_t)(ms + 1000) * 1000};
}

static inline void
op_send(void *ctx, uint8_t to, const uint8_t *bytes, size_t len)
{
	struct node *n = ctx;
	struct packet *p;

	if (w.ctl_cut)
		return;
	assert_true(w.n_queue < 64 && len <= sizeof(p->bytes));
	p = &w.queue[w.n_queue++];
	p->to = to;
	p->from = n->id;
	p->len = len;
	memcpy(p->bytes, bytes, len);
}

static inline void
op_timer(void *ctx, monotime_t when)
{
	((struct node *)ctx)->timer = when;
}

static inline void
op_persist(void *ctx, const struct sf_record *r, uint64_t serial)
{
	struct node *n = ctx;

	n->pending = *r;
	n->pending_serial = serial;
	n->is_pending = true;
	n->pending_at = at(w.now + DISK);
}

static inline void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	struct node *n = ctx;
	size_t used = strlen(n->notes);

	if (level == HAD_DEBUG)
		return;
	if (used + 400 > sizeof(n->notes))
		used = 0;
	snprintf(n->notes + used, sizeof(n->notes) - used, "%d %s [%s] %s\n",
	    w.now, object, rule, text);
	if (getenv("VERBOSE") != NULL)
		fputs(n->notes + used, stderr);
}

static inline void
op_self(void *ctx, enum mb_self self, bool own_right, const char *rule)
{
	struct node *n = ctx;

	if (self == MB_ALONE && n->self != MB_ALONE)
		n->alone_at_disk_epoch = n->disk.epoch;
	n->self = self;
	n->own_right = own_right;
	snprintf(n->rule, sizeof(n->rule), "%s", rule);
}

static inline void
op_peer(void *ctx, uint8_t id, enum mb_peer verdict, bool stateless_gone,
    const char *rule)
{
	struct node *n = ctx;

	assert_int_equal(id, 3 - n->id);
	assert_true(rule[0] != '\0');
	n->peer = verdict;
	n->stateless_gone = stateless_gone;
}

static inline void
op_arbitrate(
    void *ctx, uint8_t peer, uint64_t epoch, bool active, bool verify_only)
{
	struct node *n = ctx;

	assert_int_equal(peer, 3 - n->id);
	assert_true(epoch == 0 || epoch > n->epoch);
	n->asked = epoch;
	n->asked_active = active;
	n->asked_verify = verify_only;
	n->asks += epoch != 0;
}

static inline void
op_demote(void *ctx, bool on)
{
	struct node *n = ctx;

	assert_true(n->demoted != on);
	n->demoted = on;
}

static inline void
op_epoch(void *ctx, uint64_t epoch)
{
	struct node *n = ctx;

	/* Never before it is durable. */
	assert_true(epoch <= n->disk.epoch);
	n->epoch = epoch;
}

static inline void
op_reply(void *ctx, uint64_t token, bool ok, const char *text)
{
	struct node *n = ctx;

	assert_int_equal(token, 99);
	assert_false(n->replied);
	n->replied = true;
	n->reply_ok = ok;
	snprintf(n->reply, sizeof(n->reply), "%s", text);
}

static inline void
op_done(void *ctx)
{
	((struct node *)ctx)->done = true;
}

static const struct mb_ops ops = {op_send, op_timer, op_persist, op_note,
    op_self, op_peer, op_arbitrate, op_demote, op_epoch, op_reply, op_done};

static inline void
step(uint8_t id, struct mb_event e)
{
	struct node *n = &w.nodes[id];

	if (n->mb == NULL || n->frozen)
		return;
	e.now = at(w.now);
	mb_step(n->mb, &e);
}

static inline void
deliver(void)
{
	for (unsigned i = 0; i < w.n_queue; i++) {
		struct packet p = w.queue[i];

		assert_true(i < 60);
		step(p.to, (struct mb_event){.type = MB_EV_MSG,
			       .u.msg = {p.from, p.bytes, p.len}});
	}
	w.n_queue = 0;
}

static inline void
daemon_start(uint8_t id)
{
	struct mb_conf c = {.cluster = "shop",
	    .self = id,
	    .n_peers = 1,
	    .n_links = 2,
	    .links = {"cross", "lan"},
	    .heartbeat_ms = HEARTBEAT,
	    .lease_ms = LEASE,
	    .dead_ms = DEAD,
	    .takeover_ms = TAKEOVER,
	    .fences = w.fences,
	    .voters = w.voters,
	    .self_demote_ms = DEMOTE,
	    .pings = w.pings,
	    .outside = w.outside,
	    .domain = {0, w.one_domain ? 0 : 1}};
	struct node *n = &w.nodes[id];

	strcpy(c.self_name, id == ALPHA ? "alpha" : "bravo");
	strcpy(c.peers[0].name, id == ALPHA ? "bravo" : "alpha");
	c.peers[0].id = (uint8_t)(3 - id);
	c.silent_takeover = !w.wait;
	assert_null(n->mb);
	n->id = id;
	n->incarnation += 100 + id;
	n->mb = mb_new(&c, &ops, n);
	n->timer = MT_NEVER;
	n->notes[0] = '\0';
	step(id, (struct mb_event){.type = MB_EV_START,
		     .u.start = {
			 n->incarnation, id, n->has_disk ? &n->disk : NULL}});
	deliver();
}

static inline void
daemon_end(uint8_t id)
{
	struct node *n = &w.nodes[id];

	mb_free(n->mb);
	n->mb = NULL;
	n->is_pending = false;
	n->frozen = n->done = n->replied = false;
	n->self = MB_OFF;
	n->peer = MB_PEER_UNKNOWN;
	n->asked = 0;
	n->asks = 0;
	n->demoted = false;
}

static inline void
heartbeat(uint8_t from, uint8_t link)
{
	struct node *n = &w.nodes[from];

	if (n->mb == NULL || n->frozen || w.cut[from][link] ||
	    n->self == MB_STOPPING)
		return;
	step((uint8_t)(3 - from),
	    (struct mb_event){.type = MB_EV_HEARD,
		.u.heard = {from, link, n->incarnation, n->epoch,
		    .acts = n->self == MB_PAIRED || n->self == MB_ALONE,
		    .deciding = mb_deciding(n->mb)}});
	deliver();
}

static inline void
tick(struct node *n)
{
	struct mb_event e = {.type = MB_EV_PERSISTED};

	if (n->mb == NULL || n->frozen)
		return;
	if (n->is_pending && !mt_before(at(w.now), n->pending_at)) {
		n->is_pending = false;
		e.u.persisted.serial = n->pending_serial;
		e.u.persisted.ok = !n->disk_broken;
		if (!n->disk_broken) {
			n->disk = n->pending;
			n->has_disk = true;
		}
		step(n->id, e);
		deliver();
	}
	for (int i = 0; !mt_before(at(w.now), n->timer); i++) {
		/* A timer that never moves on would spin the loop. */
		assert_true(i < 5);
		n->timer = MT_NEVER;
		step(n->id, (struct mb_event){.type = MB_EV_TIMER});
		deliver();
	}
}

static inline void
run(int ms)
{
	for (int end = w.now + ms; w.now < end;) {
		w.now++;
		for (uint8_t id = ALPHA; id <= BRAVO; id++) {
			tick(&w.nodes[id]);
			for (uint8_t l = 0; l < 2 && w.now % HEARTBEAT == id;
			     l++)
				heartbeat(id, l);
		}
	}
}

static inline void
expect_(uint8_t id, enum mb_self self, enum mb_peer peer, int line)
{
	const struct node *n = &w.nodes[id];

	if (n->self == self && n->peer == peer)
		return;
	fprintf(stderr, "line %d, node %u: %s, peer %s; expected %s, %s\n%s",
	    line, id, mb_self_name(n->self), mb_peer_name(n->peer),
	    mb_self_name(self), mb_peer_name(peer), n->notes);
	fail();
}
#define expect(id, self, peer) expect_(id, MB_##self, MB_PEER_##peer, __LINE__)

static inline void
noted(uint8_t id, const char *text)
{
	if (strstr(w.nodes[id].notes, text) == NULL) {
		fprintf(stderr, "missing '%s' in\n%s", text, w.nodes[id].notes);
		fail();
	}
}

static inline void
both_paired(void)
{
	daemon_start(ALPHA);
	daemon_start(BRAVO);
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == w.nodes[BRAVO].epoch);
}

static inline void
aborted(uint8_t id)
{
	step(id, (struct mb_event){
		     .type = MB_EV_ABORTED, .u.aborted = {(uint8_t)(3 - id)}});
	deliver();
}

static inline void
refused(uint8_t id, uint8_t link)
{
	step(id, (struct mb_event){.type = MB_EV_REFUSED,
		     .u.refused = {(uint8_t)(3 - id), link}});
	deliver();
}

static inline void
seed(uint8_t id)
{
	w.nodes[id].replied = false;
	step(id, (struct mb_event){
		     .type = MB_EV_SEED, .u.seed = {(uint8_t)(3 - id), 99}});
	deliver();
}

static inline void
carrier(uint8_t id, uint8_t link, bool up)
{
	step(id,
	    (struct mb_event){.type = MB_EV_CARRIER, .u.carrier = {link, up}});
	deliver();
}

static inline void
verdict(uint8_t id, enum mb_verdict v)
{
	struct mb_event e = {.type = MB_EV_VERDICT};

	e.u.verdict.peer = (uint8_t)(3 - id);
	e.u.verdict.verdict = v;
	e.u.verdict.epoch = w.nodes[id].asked;
	step(id, e);
	deliver();
}

static inline void
arbiter(uint8_t id, bool working, uint64_t spent)
{
	struct mb_event e = {.type = MB_EV_ARBITER};

	e.u.arbiter.working = working;
	e.u.arbiter.spent = spent;
	step(id, e);
	deliver();
}

static inline void
holds(uint8_t id, bool data)
{
	step(id, (struct mb_event){.type = MB_EV_HOLDS, .u.holds.data = data});
	deliver();
}

static inline void
pings(uint8_t id, bool any)
{
	step(id, (struct mb_event){.type = MB_EV_PINGS, .u.pings.any = any});
	deliver();
}

static inline void
cut_both(bool cut)
{
	for (uint8_t id = ALPHA; id <= BRAVO; id++)
		w.cut[id][CROSS] = w.cut[id][LAN] = cut;
	w.ctl_cut = cut;
}

static inline void
freeze(uint8_t id)
{
	w.nodes[id].frozen = true;
	w.nodes[id].frozen_at = at(w.now);
}

static inline void
thaw(uint8_t id)
{
	struct node *n = &w.nodes[id];

	n->frozen = false;
	step(id, (struct mb_event){.type = MB_EV_GAP,
		     .u.gap = {mt_sub_us(at(w.now), n->frozen_at)}});
	deliver();
}

/* bravo takes over from alpha, which died with an abort and a refusal. */
static inline void
bravo_alone(void)
{
	both_paired();
	daemon_end(ALPHA);
	aborted(BRAVO);
	refused(BRAVO, CROSS);
	run(5);
	expect(BRAVO, ALONE, GONE);
}

static inline int
setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	mb_free(w.nodes[ALPHA].mb);
	mb_free(w.nodes[BRAVO].mb);
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
