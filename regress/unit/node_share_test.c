/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared addresses composed: two nodes with all their cores, their guards and
 * the connections between them, in virtual milliseconds.  Whatever happens,
 * no client may be answered by both.
 */
#include "node_host.h"
#include "wire.h"

enum { SHARES = 2 };
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

struct world {
	monotime_t now;
	struct host h[NODES];
	uint64_t incarnation[NODES];
	struct sf_record record[NODES];
	bool has_record[NODES];
	uint64_t buckets[NODES]; /* of the guard */
	unsigned part; /* halves of them: some clients without a server */
};

static void
op_persist(void *ctx, const struct sf_record *r, uint64_t serial)
{
	const struct host *h = ctx;

	h->w->record[h->me] = *r;
	h->w->has_record[h->me] = true;
	host_persist(ctx, r, serial);
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
	struct nd_event e = {.shared = true};
	struct host *h = ctx;

	host_guard(h, &e, seq, open, until);
	if (!e.u.vip.u.leased.ok)
		memset(&h->open, 0, sizeof(h->open));
}

static void
op_share_serve(void *ctx, uint32_t seq, uint64_t buckets)
{
	struct nd_event e = {.type = ND_EV_SERVED};
	struct host *h = ctx;

	h->w->buckets[h->me] = buckets;
	e.u.served.seq = seq;
	e.u.served.ok = true;
	put(h, &e);
}

static const struct nd_ops ops = {
    .reply = host_reply,
    .send = host_send,
    .timer = host_timer,
    .persist = op_persist,
    .note = host_note,
    .addr_add = host_add,
    .addr_del = host_del,
    .lease = op_lease,
    .announce = host_announce,
    .share_lease = op_share_lease,
    .share_serve = op_share_serve,
    .done = host_done,
    .told = host_told,
};

static uint64_t
open_of(const struct host *h)
{
	return h->nd != NULL && vip_set_has(&h->open, 0) &&
		       mt_before(*h->now, h->until)
		   ? h->w->buckets[h->me]
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
run(struct world *w, unsigned ms)
{
	while (ms-- > 0) {
		w->now.us += 1000;
		for (unsigned i = 0; i < NODES; i++) {
			host_turn(&w->h[i]);
			judge(w);
		}
	}
}

static void
boot(struct world *w, unsigned i, bool with_shares)
{
	struct conf_errors errors = {.text = NULL};
	struct host *h = &w->h[i];
	char text[2048];

	snprintf(text, sizeof(text), "%s%s", file, with_shares ? shares : "");
	h->conf = calloc(1, sizeof(*h->conf));
	assert_non_null(h->conf);
	assert_int_equal(
	    conf_parse(h->conf, "f", text, strlen(text), &errors), 0);
	w->incarnation[i] += 1000 + i;
	host_start(h, (uint8_t)(i + 1), &ops, w->incarnation[i] * 77,
	    w->incarnation[i], w->has_record[i] ? &w->record[i] : NULL);
}

static void
connect_both(struct world *w)
{
	host_connect(&w->h[0], w->incarnation[1], 2);
	host_connect(&w->h[1], w->incarnation[0], 2);
}

static void
dies(struct world *w, unsigned i, bool said)
{
	struct host *h = &w->h[i], *o = &w->h[1 - i];
	struct nd_event e = {.type = ND_EV_LOST, .peer = (uint8_t)(i + 1)};

	host_free(h);
	memset(&h->open, 0, sizeof(h->open));
	w->buckets[i] = 0;
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
	for (unsigned i = 0; i < NODES; i++)
		host_init(&w->h[i], w, &w->now, w->h);
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
	for (unsigned i = 0; i < NODES; i++)
		host_free(&w->h[i]);
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
	for (unsigned i = 0; i < SHARES; i++) {
		assert_true(w->h[0].announced[i] > 0);
		assert_true(w->h[1].announced[i] > 0);
	}
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
	w->h[1].broken[0] = w->h[1].broken[1] = true;
	boot(w, 1, true);
	run(w, 20);
	connect_both(w);
	w->part = 0;
	run(w, 500);
	assert_true(open_of(&w->h[0]) == SHARE_EVERY);
	assert_int_equal(w->part, 0);
	w->h[1].broken[0] = w->h[1].broken[1] = false;
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
		    .incarnation = w->incarnation[1]};
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
