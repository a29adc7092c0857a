/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared addresses composed: two nodes with all their cores, their guards and
 * the connections between them, in virtual milliseconds.  Whatever happens,
 * no client may be answered by both.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node.h"
#include "wire.h"

enum { NODES = 2, EVENTS = 64, FRAMES = 512, FRAME = 512 };
#define LOW UINT64_C(0x00000000ffffffff)
#define HIGH UINT64_C(0xffffffff00000000)

static const char file[] =
    "cluster web { heartbeat 20ms; dead 80ms; silent peer takeover }\n"
    "node alpha {\n\tid 1\n"
    "\tkey \"sha256:5f2c0f4e8d1b6a9370c2e5b8f1a4d7e0"
    "0112233445566778899aabbccddeeff0\"\n"
    "\tlink cross 10.77.0.1 interface eno2\n"
    "\tlink lan 192.0.2.11 interface eno1\n}\n"
    "node bravo {\n\tid 2\n"
    "\tkey \"sha256:91aa7b3c5d2e4f60718293a4b5c6d7e8"
    "f90123456789abcdeffedcba98765432\"\n"
    "\tlink cross 10.77.0.2 interface eno2\n"
    "\tlink lan 192.0.2.12 interface eno1\n}\n";
static const char shares[] =
    "address web { 192.0.2.80/24 interface eno1; share }\n"
    "address web6 { 2001:db8::80/64 interface eno1; share }\n";

struct frame {
	int64_t at;
	enum nd_kind kind;
	uint8_t link;
	size_t len;
	uint8_t bytes[FRAME];
};

struct host {
	struct world *w;
	unsigned me;
	struct conf *conf; /* owned */
	struct nd *nd; /* owned; NULL: dead */
	uint64_t incarnation;
	struct sf_record record;
	bool has_record;
	monotime_t timer;
	struct nd_event queue[EVENTS];
	unsigned n_queue;
	struct frame in[FRAMES]; /* ring */
	unsigned head, n_in;
	/* The guard. */
	uint64_t buckets;
	struct vip_set open;
	monotime_t until;
	bool present[2], frozen, done, no_add;
	unsigned announced;
};

struct world {
	monotime_t now;
	struct host h[NODES];
	unsigned part; /* halves of them: some clients without a server */
};

static void
put(struct host *h, const struct nd_event *e)
{
	assert_true(h->n_queue < EVENTS);
	h->queue[h->n_queue++] = *e;
}

static void
op_send(void *ctx, uint8_t peer, enum nd_kind kind, uint8_t link,
    uint16_t stream, const struct nd_buf *bufs, unsigned n)
{
	struct host *h = ctx, *to = &h->w->h[peer - 1];
	struct frame *f;

	(void)stream;
	if (to->nd == NULL)
		return;
	assert_true(to->n_in < FRAMES);
	f = &to->in[(to->head + to->n_in++) % FRAMES];
	f->at = h->w->now.us + 1000;
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

static void
op_timer(void *ctx, monotime_t at)
{
	((struct host *)ctx)->timer = at;
}

static void
op_persist(void *ctx, const struct sf_record *r, uint64_t serial)
{
	struct nd_event e = {.type = ND_EV_PERSISTED};
	struct host *h = ctx;

	h->record = *r;
	h->has_record = true;
	e.u.persisted.serial = serial;
	e.u.persisted.ok = true;
	put(h, &e);
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	struct host *h = ctx;

	(void)level, (void)rule;
	if (getenv("NOTES") != NULL)
		printf("%8.3f %u %s: %s\n", (double)h->w->now.us / 1e6, h->me,
		    object, text);
}

static void
op_add(void *ctx, uint16_t id)
{
	struct nd_event e = {.type = ND_EV_VIP};
	struct host *h = ctx;

	h->present[id] = !h->no_add;
	e.u.vip.type = VIP_EV_ADDED;
	e.u.vip.u.result.id = id;
	e.u.vip.u.result.ok = !h->no_add;
	e.u.vip.u.result.text = "no such interface";
	put(h, &e);
}

static void
op_del(void *ctx, uint16_t id)
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

static void
op_lease(void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct nd_event e = {.type = ND_EV_VIP};

	(void)until;
	/* No address is a service's. */
	assert_false(vip_set_has(open, 0) || vip_set_has(open, 1));
	e.u.vip.type = VIP_EV_LEASED;
	e.u.vip.u.leased.seq = seq;
	e.u.vip.u.leased.ok = true;
	put(ctx, &e);
}

static void
op_share_lease(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct nd_event e = {.type = ND_EV_VIP, .shared = true};
	struct host *h = ctx;
	bool any = vip_set_has(open, 0) || vip_set_has(open, 1);

	e.u.vip.type = VIP_EV_LEASED;
	e.u.vip.u.leased.seq = seq;
	e.u.vip.u.leased.ok = !any || mt_before(h->w->now, until);
	e.u.vip.u.leased.text = "late";
	memset(&h->open, 0, sizeof(h->open));
	if (e.u.vip.u.leased.ok) {
		h->open = *open;
		h->until = until;
	}
	put(h, &e);
}

static void
op_share_serve(void *ctx, uint32_t seq, uint64_t buckets)
{
	struct nd_event e = {.type = ND_EV_SERVED};
	struct host *h = ctx;

	h->buckets = buckets;
	e.u.served.seq = seq;
	e.u.served.ok = true;
	put(h, &e);
}

static void
op_announce(void *ctx, uint16_t id)
{
	(void)id;
	((struct host *)ctx)->announced++;
}

static void
op_done(void *ctx, bool clean)
{
	assert_true(clean);
	((struct host *)ctx)->done = true;
}

static void
op_told(void *ctx, uint8_t peer, const uint8_t *bytes, size_t len)
{
	(void)ctx, (void)peer, (void)bytes, (void)len;
}

static void
op_reply(void *ctx, uint64_t token, int code, const char *text)
{
	(void)ctx, (void)token, (void)text;
	assert_int_equal(code, 0);
}

static const struct nd_ops ops = {
    .reply = op_reply,
    .send = op_send,
    .timer = op_timer,
    .persist = op_persist,
    .note = op_note,
    .addr_add = op_add,
    .addr_del = op_del,
    .lease = op_lease,
    .announce = op_announce,
    .share_lease = op_share_lease,
    .share_serve = op_share_serve,
    .done = op_done,
    .told = op_told,
};

static void
step(struct host *h, struct nd_event *e)
{
	e->now = h->w->now;
	nd_step(h->nd, e);
}

static uint64_t
open_of(const struct host *h)
{
	return h->nd != NULL && vip_set_has(&h->open, 0) &&
		       mt_before(h->w->now, h->until)
		   ? h->buckets
		   : 0;
}

static void
judge(struct world *w)
{
	uint64_t a = open_of(&w->h[0]), b = open_of(&w->h[1]);

	if ((a & b) != 0)
		fail_msg("at %lld us: both serve %016llx", (long long)w->now.us,
		    (unsigned long long)(a & b));
	if ((a | b) != SHARE_EVERY)
		w->part++;
}

static void
work(struct host *h)
{
	struct nd_event e;

	while (h->n_queue > 0) {
		e = h->queue[0];
		memmove(
		    h->queue, h->queue + 1, --h->n_queue * sizeof(h->queue[0]));
		step(h, &e);
	}
}

static void
turn(struct host *h)
{
	struct nd_event e = {.type = ND_EV_MSG, .peer = (uint8_t)(2 - h->me)};

	if (h->nd == NULL || h->frozen)
		return;
	work(h);
	while (h->n_in > 0 && h->in[h->head].at <= h->w->now.us) {
		struct frame *f = &h->in[h->head];

		e.u.msg.kind = f->kind;
		e.u.msg.link = f->link;
		e.u.msg.bytes = f->bytes;
		e.u.msg.len = f->len;
		h->head = (h->head + 1) % FRAMES;
		h->n_in--;
		step(h, &e);
		work(h);
	}
	if (!mt_before(h->w->now, h->timer)) {
		e = (struct nd_event){.type = ND_EV_TIMER};
		h->timer = MT_NEVER;
		step(h, &e);
		work(h);
	}
}

static void
run(struct world *w, unsigned ms)
{
	while (ms-- > 0) {
		w->now.us += 1000;
		for (unsigned i = 0; i < NODES; i++) {
			turn(&w->h[i]);
			judge(w);
		}
	}
}

static void
boot(struct world *w, unsigned i, bool with_shares)
{
	struct conf_errors errors = {.text = NULL};
	struct nd_disk none[1] = {{.why = "none"}};
	struct nd_event e = {.type = ND_EV_START};
	struct host *h = &w->h[i];
	char text[2048];

	snprintf(text, sizeof(text), "%s%s", file, with_shares ? shares : "");
	h->w = w;
	h->me = i;
	h->timer = MT_NEVER;
	h->done = h->frozen = false;
	h->n_in = h->n_queue = 0;
	h->conf = calloc(1, sizeof(*h->conf));
	assert_int_equal(
	    conf_parse(h->conf, "f", text, strlen(text), &errors), 0);
	h->nd = nd_new(h->conf, (uint8_t)(i + 1), none, &ops, h);
	assert_non_null(h->nd);
	h->incarnation += 1000 + i;
	e.u.start.seed = h->incarnation * 77;
	e.u.start.incarnation = h->incarnation;
	e.u.start.record = h->has_record ? &h->record : NULL;
	step(h, &e);
}

static void
connect_to(struct host *h, const struct host *o)
{
	struct nd_event e = {.type = ND_EV_UP, .peer = (uint8_t)(o->me + 1)};

	e.u.assoc.incarnation = o->incarnation;
	e.u.assoc.kind = ND_CTL;
	step(h, &e);
	e.u.assoc.kind = ND_HB;
	for (uint8_t l = 0; l < 2; l++) {
		e.u.assoc.link = l;
		step(h, &e);
	}
}

static void
connect_both(struct world *w)
{
	connect_to(&w->h[0], &w->h[1]);
	connect_to(&w->h[1], &w->h[0]);
}

static void
dies(struct world *w, unsigned i, bool said)
{
	struct host *h = &w->h[i], *o = &w->h[1 - i];
	struct nd_event e = {.type = ND_EV_LOST, .peer = (uint8_t)(i + 1)};

	nd_free(h->nd);
	free(h->conf);
	h->nd = NULL;
	memset(&h->open, 0, sizeof(h->open));
	h->buckets = 0;
	h->n_in = h->n_queue = 0;
	if (!said || o->nd == NULL)
		return;
	e.u.assoc.aborted = true;
	e.u.assoc.kind = ND_CTL;
	step(o, &e);
	e.u.assoc.kind = ND_HB;
	for (uint8_t l = 0; l < 2; l++) {
		e.u.assoc.link = l;
		step(o, &e);
	}
}

static struct world *
world_new(bool second)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->now.us = 1000000;
	boot(w, 0, true);
	boot(w, 1, second);
	run(w, 10);
	connect_both(w);
	return w;
}

static struct world *
paired(void)
{
	struct world *w = world_new(true);

	run(w, 1000);
	assert_true(open_of(&w->h[0]) == LOW);
	assert_true(open_of(&w->h[1]) == HIGH);
	w->part = 0;
	return w;
}

static void
world_free(struct world *w)
{
	for (unsigned i = 0; i < NODES; i++) {
		if (w->h[i].nd == NULL)
			continue;
		nd_free(w->h[i].nd);
		free(w->h[i].conf);
	}
	free(w);
}

static void
halves(struct world *w)
{
	assert_true(open_of(&w->h[0]) == LOW);
	assert_true(open_of(&w->h[1]) == HIGH);
}

static void
test_pair(void **state)
{
	struct world *w = paired();
	struct share_status s;

	(void)state;
	run(w, 1000);
	assert_int_equal(w->part, 0);
	assert_true(nd_share_status(w->h[0].nd, &s));
	assert_int_equal(s.state, SHARE_SHARING);
	assert_true(s.exact && s.serves == LOW);
	assert_true(w->h[0].announced > 0 && w->h[1].announced > 0);
	world_free(w);
}

static void
back(struct world *w, unsigned i)
{
	boot(w, i, true);
	run(w, 20);
	connect_both(w);
	run(w, 1000);
	halves(w);
}

static void
test_daemon_dies(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NODES; i++) {
		struct world *w = paired();

		dies(w, i, true);
		run(w, 200);
		assert_true(open_of(&w->h[1 - i]) == SHARE_EVERY);
		print_message("daemon died: %u half ms\n", w->part);
		assert_true(w->part <= 160);
		w->part = 0;
		back(w, i);
		print_message("return: %u half ms\n", w->part);
		assert_true(w->part <= 12);
		world_free(w);
	}
}

static void
test_node_vanishes(void **state)
{
	struct world *w = paired();

	(void)state;
	dies(w, 1, false);
	run(w, 300);
	assert_true(open_of(&w->h[0]) == SHARE_EVERY);
	print_message("vanished: %u half ms\n", w->part);
	assert_true(w->part <= 2 * 120);
	back(w, 1);
	world_free(w);
}

static void
test_freeze(void **state)
{
	(void)state;
	/* Shorter than the lease, about it, and longer than anything. */
	for (unsigned ms = 10; ms < 400; ms += 7) {
		struct world *w = paired();

		w->h[1].frozen = true;
		run(w, ms);
		w->h[1].frozen = false;
		run(w, 2000);
		halves(w);
		world_free(w);
	}
}

static void
test_stop(void **state)
{
	struct nd_event e = {.type = ND_EV_STOP};
	struct world *w = paired();

	(void)state;
	step(&w->h[0], &e);
	run(w, 300);
	assert_true(w->h[0].done);
	assert_false(w->h[0].present[0] || w->h[0].present[1]);
	assert_true(open_of(&w->h[1]) == SHARE_EVERY);
	print_message("planned: %u half ms\n", w->part);
	assert_true(w->part <= 20);
	dies(w, 0, true);
	back(w, 0);
	world_free(w);
}

static void
carrier(struct host *h, bool up)
{
	struct nd_event e = {.type = ND_EV_VIP};

	e.u.vip.type = VIP_EV_CARRIER;
	e.u.vip.u.carrier.ifname = "eno1";
	e.u.vip.u.carrier.up = up;
	step(h, &e);
}

static void
test_cable(void **state)
{
	struct world *w = paired();

	(void)state;
	carrier(&w->h[0], false);
	run(w, 20);
	assert_true(open_of(&w->h[1]) == SHARE_EVERY);
	carrier(&w->h[0], true);
	run(w, 20);
	halves(w);
	print_message("cable: %u half ms\n", w->part);
	assert_true(w->part <= 24);
	world_free(w);
}

static void
operator(struct host *h, enum nd_op op)
{
	struct nd_event e = {.type = ND_EV_OP};

	e.u.op.op = op;
	e.u.op.token = 1;
	e.u.op.node = (uint8_t)(h->me + 1);
	e.u.op.service = -1;
	step(h, &e);
}

static void
test_standby(void **state)
{
	struct world *w = paired();

	(void)state;
	operator(&w->h[1], ND_OP_STANDBY);
	run(w, 50);
	assert_true(open_of(&w->h[0]) == SHARE_EVERY);
	operator(&w->h[1], ND_OP_ONLINE);
	run(w, 50);
	halves(w);
	world_free(w);
}

/* The other one's file has no shared address. */
static void
test_only_one_knows(void **state)
{
	struct world *w = world_new(false);
	struct share_status s;

	(void)state;
	run(w, 1000);
	assert_true(open_of(&w->h[0]) == SHARE_EVERY);
	assert_false(nd_share_status(w->h[1].nd, &s));
	dies(w, 1, true);
	run(w, 100);
	back(w, 1);
	world_free(w);
}

/* What could not be put on its interface is tried again. */
static void
test_late_interface(void **state)
{
	struct world *w = paired();

	(void)state;
	dies(w, 1, true);
	run(w, 200);
	w->h[1].no_add = true;
	boot(w, 1, true);
	run(w, 20);
	connect_both(w);
	w->part = 0;
	run(w, 500);
	assert_true(open_of(&w->h[0]) == SHARE_EVERY);
	assert_int_equal(w->part, 0);
	w->h[1].no_add = false;
	run(w, 2500);
	halves(w);
	world_free(w);
}

static void
test_malformed(void **state)
{
	struct world *w = paired();
	struct nd_status *s = calloc(1, sizeof(*s));
	uint64_t before;

	(void)state;
	assert_non_null(s);
	nd_status(w->h[0].nd, w->now, s);
	before = s->refused_malformed;
	for (unsigned i = 0; i < 2; i++) {
		struct wire_hdr h = {.core = WIRE_SHARE,
		    .sender = 2,
		    .incarnation = w->h[1].incarnation};
		uint8_t bytes[WIRE_HDR_LEN + 7] = {0};
		struct nd_event e = {.type = ND_EV_MSG, .peer = 2};

		wire_put_hdr(bytes, &h);
		e.u.msg.kind = ND_CTL;
		e.u.msg.bytes = bytes;
		e.u.msg.len = sizeof(bytes);
		step(&w->h[0], &e);
	}
	nd_status(w->h[0].nd, w->now, s);
	assert_int_equal(s->refused_malformed, before + 2);
	free(s);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pair),
	    cmocka_unit_test(test_daemon_dies),
	    cmocka_unit_test(test_node_vanishes),
	    cmocka_unit_test(test_freeze),
	    cmocka_unit_test(test_stop),
	    cmocka_unit_test(test_cable),
	    cmocka_unit_test(test_standby),
	    cmocka_unit_test(test_only_one_knows),
	    cmocka_unit_test(test_late_interface),
	    cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
