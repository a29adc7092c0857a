/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers composed: two nodes with nothing between them but a LAN, in
 * virtual milliseconds.  Whatever happens, at no time may both speak for the
 * address, and what is elected is held, leased and announced.
 */
#include "node_host.h"
#include "vrrp_packet.h"

struct world {
	monotime_t now;
	struct host h[NODES];
	struct nd_packet heard[NODES]; /* the last one */
	unsigned both, none_ms;
};

static void
op_send(void *ctx, uint16_t ifx, const uint8_t *frame, size_t len, bool resolve)
{
	const struct nd_packet *p = lan_send(ctx, ifx, frame, len, resolve);
	const struct host *h = ctx;

	assert_int_equal(ifx, 0);
	if (p != NULL)
		h->w->heard[h->other->me] = *p;
}

static const struct nd_ops ops = {
    .timer = host_timer,
    .persist = host_persist,
    .note = host_note,
    .addr_add = host_add,
    .addr_del = host_del,
    .lease = host_lease_none,
    .announce = host_announce,
    .vr_lease = host_vr_lease,
    .vr_send = op_send,
    .vr_flush = host_vr_flush,
    .reply = host_reply,
    .done = host_done,
};

static bool
speaks(const struct host *h)
{
	return holds(h, 0);
}

/* Time goes by; the checker looks every millisecond. */
static void
run_ms(struct world *w, unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		w->now = mt_add_ms(w->now, 1);
		lan_settle(w->h);
		w->both += speaks(&w->h[0]) && speaks(&w->h[1]);
		w->none_ms =
		    speaks(&w->h[0]) || speaks(&w->h[1]) ? 0 : w->none_ms + 1;
	}
}

static void
start(struct world *w, unsigned i, const char *router)
{
	struct host *h = &w->h[i];
	char text[1024], errors[1024];
	struct conf_errors err = {.text = errors, .size = sizeof(errors)};

	snprintf(text, sizeof(text),
	    "cluster c%u {\n}\nnode n%u {\nid 1\n}\naddress gw {\n"
	    "10.9.0.100/24 interface eth0\n}\nrouter gw {\naddress gw\n%s\n}\n",
	    i, i, router);
	host_init(h, w, &w->now, w->h);
	h->conf = malloc(sizeof(*h->conf));
	assert_non_null(h->conf);
	if (conf_parse(h->conf, "test", text, strlen(text), &err) != 0)
		fail_msg("%s", errors);
	host_start(h, 1, &ops, 7 + i, 77 + i, NULL);
	host_iface(h, true, (uint8_t[]){10, 9, 0, (uint8_t)(i + 1)});
	lan_settle(w->h);
}

static struct world *
pair(const char *first, const char *second)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->now.us = 1000000;
	start(w, 0, first);
	start(w, 1, second);
	return w;
}

static void
end(struct world *w)
{
	assert_int_equal(w->both, 0);
	for (unsigned i = 0; i < NODES; i++)
		host_free(&w->h[i]);
	free(w);
}

static void
carrier(struct world *w, unsigned i, bool up)
{
	w->h[i].deaf = w->h[i].cut = !up;
	host_iface(&w->h[i], up, (uint8_t[]){10, 9, 0, (uint8_t)(i + 1)});
	lan_settle(w->h);
}

#define V3 "vrrp 3 vrid 51; interval 100ms; "

static void
test_the_better_one_has_it(void **state)
{
	struct world *w = pair(V3 "priority 200", V3 "priority 100");

	(void)state;
	run_ms(w, 2000);
	assert_true(speaks(&w->h[0]));
	assert_false(w->h[1].present[0]);
	/* At once, after 100 ms, after a second. */
	assert_int_equal(w->h[0].announced[0], 3);
	run_ms(w, 10000);
	assert_int_equal(w->none_ms, 0);
	assert_int_equal(w->h[0].announced[0], 4);
	assert_int_equal(w->h[0].adds, 1);
	end(w);
}

static void
test_a_dead_one_is_replaced(void **state)
{
	struct world *w = pair(V3 "priority 200", V3 "priority 100");

	(void)state;
	run_ms(w, 2000);
	/* Its machine is dead. */
	host_free(&w->h[0]);
	memset(&w->h[0].open, 0, sizeof(w->h[0].open));
	w->h[0].present[0] = false;
	run_ms(w, 350);
	assert_false(speaks(&w->h[1]));
	run_ms(w, 120);
	assert_true(speaks(&w->h[1]));
	/* It does not take it back by itself. */
	start(w, 0, V3 "priority 200");
	run_ms(w, 3000);
	assert_true(speaks(&w->h[1]));
	end(w);
}

/* The lease is over before anybody else takes; it listens first afterwards. */
static void
test_a_frozen_one_is_silent_in_time(void **state)
{
	struct world *w = pair(V3 "priority 200", V3 "priority 100");

	(void)state;
	run_ms(w, 2000);
	w->h[0].frozen = true;
	run_ms(w, 290);
	assert_true(!speaks(&w->h[0]) || !speaks(&w->h[1]));
	run_ms(w, 1000);
	assert_true(speaks(&w->h[1]));
	assert_false(speaks(&w->h[0]));
	w->h[0].frozen = false;
	run_ms(w, 3000);
	assert_true(speaks(&w->h[1]));
	assert_false(w->h[0].present[0]);
	end(w);
}

static void
test_preempt_is_gapless(void **state)
{
	struct world *w =
	    pair(V3 "priority 200; preempt after 1s", V3 "priority 100");
	unsigned most = 0;

	(void)state;
	run_ms(w, 2000);
	carrier(w, 0, false);
	run_ms(w, 1000);
	assert_true(speaks(&w->h[1]));
	carrier(w, 0, true);
	for (unsigned i = 0; i < 3000; i++) {
		run_ms(w, 1);
		if (w->none_ms > most)
			most = w->none_ms;
	}
	assert_true(speaks(&w->h[0]));
	assert_true(most <= 1);
	end(w);
}

static void
test_release_moves_it_at_once(void **state)
{
	struct world *w = pair(V3 "priority 200", V3 "priority 100");
	struct nd_event e = {.type = ND_EV_OP};

	(void)state;
	run_ms(w, 2000);
	e.u.op.op = ND_OP_RELEASE;
	step(&w->h[0], &e);
	/* Skew: (256 - 100) / 256 of an interval. */
	run_ms(w, 65);
	assert_true(speaks(&w->h[1]));
	assert_false(w->h[0].present[0]);
	end(w);
}

static void
test_stop_says_farewell_and_leaves_nothing(void **state)
{
	struct world *w = pair(V3 "priority 200", V3 "priority 100");
	struct nd_event e = {.type = ND_EV_STOP};

	(void)state;
	run_ms(w, 2000);
	step(&w->h[0], &e);
	run_ms(w, 65);
	assert_true(w->h[0].done);
	assert_false(w->h[0].present[0]);
	assert_true(speaks(&w->h[1]));
	end(w);
}

static void
test_carp(void **state)
{
	struct world *w =
	    pair("carp vhid 7; password secret", "carp vhid 7; skew 100; "
						 "password secret");
	struct vr_status s;

	(void)state;
	run_ms(w, 10000);
	assert_true(speaks(&w->h[0]));
	assert_true(nd_router_status(w->h[1].nd, 0, &s));
	assert_true(s.received > 5);
	w->h[0].frozen = true;
	run_ms(w, 5000);
	assert_true(speaks(&w->h[1]));
	w->h[0].frozen = false;
	run_ms(w, 5000);
	end(w);
}

/* Another password: each hears and believes nothing, and counts it. */
static void
test_wrong_password_is_counted(void **state)
{
	struct world *w = pair("vrrp 2 vrid 5; password one; priority 200",
	    "vrrp 2 vrid 5; password two");
	struct vr_status s;
	uint64_t n = 0;

	(void)state;
	w->h[1].cut = true;
	run_ms(w, 7000);
	assert_true(nd_router_status(w->h[1].nd, 0, &s));
	for (unsigned i = 0; i < VR_REJECTS_MAX; i++)
		n += s.rejects[i];
	assert_true(n >= 2);
	assert_int_equal(s.received, 0);
	w->both = 0; /* they are two groups */
	end(w);
}

/* One packet, n times in one event. */
static void
again(struct host *h, uint8_t *bytes, size_t len, uint16_t n)
{
	struct nd_packet list[4];
	struct nd_event e = {.type = ND_EV_VR_PACKET};

	assert_true(n <= NITEMS(list));
	for (unsigned i = 0; i < n; i++)
		list[i] = (struct nd_packet){bytes, len};
	e.u.packet.n = n;
	e.u.packet.list = list;
	step(h, &e);
}

/*
 * What was found right need not be looked at twice; but one bit of another
 * packet makes it another one, and so does what it is compared with.
 */
static void
test_the_same_again(void **state)
{
	struct world *w = pair(V3 "priority 200", V3 "priority 100");
	struct host *h = &w->h[1];
	struct vr_status before, s;
	uint8_t bytes[FRAME];
	size_t len;

	(void)state;
	run_ms(w, 1000);
	len = w->heard[1].len;
	assert_true(len > 0 && len <= sizeof(bytes));
	memcpy(bytes, w->heard[1].bytes, len);
	assert_true(nd_router_status(h->nd, 0, &before));
	assert_true(before.has_master && before.master_priority == 200);
	again(h, bytes, len, 4);
	assert_true(nd_router_status(h->nd, 0, &s));
	assert_int_equal(s.received, before.received + 4);
	assert_true(s.has_master && s.master_priority == 200);
	for (size_t i = 0; i < len; i++) {
		uint64_t n = 0;

		/* Ident, header sum, ToS: nobody minds.  Reserved bits, too. */
		if (i == 1 || i == 4 || i == 5 || i == 10 || i == 11)
			continue;
		before = s;
		bytes[i] ^= 0x01;
		again(h, bytes, len, 1);
		bytes[i] ^= 0x01;
		assert_true(nd_router_status(h->nd, 0, &s));
		for (unsigned k = 0; k < VR_REJECTS_MAX; k++)
			n += s.rejects[k] - before.rejects[k];
		if (n == 0)
			assert_int_equal(s.received, before.received);
		else
			assert_int_equal(n, 1);
	}
	/* Now that address is this node's own. */
	before = s;
	host_iface(h, true, (uint8_t[]){10, 9, 0, 1});
	lan_settle(w->h);
	again(h, bytes, len, 2);
	assert_true(nd_router_status(h->nd, 0, &s));
	assert_int_equal(s.received, before.received);
	assert_int_equal(s.rejects[VRRP_R_OWN], before.rejects[VRRP_R_OWN] + 2);
	end(w);
}

static void
test_junk_is_harmless(void **state)
{
	struct world *w = pair(V3 "priority 200", V3 "priority 100");
	uint8_t bytes[64];

	(void)state;
	run_ms(w, 1000);
	for (unsigned i = 0; i < 20000; i++) {
		struct nd_event e = {.type = ND_EV_VR_PACKET};
		struct nd_packet one = {bytes, i % (sizeof(bytes) + 1)};

		for (unsigned k = 0; k < sizeof(bytes); k++)
			bytes[k] = (uint8_t)rand();
		if (i % 2 == 0) {
			bytes[0] = 0x45;
			bytes[9] = 112;
		}
		e.u.packet.ifx = (uint16_t)(i % 3);
		e.u.packet.n = 1;
		e.u.packet.list = &one;
		step(&w->h[0], &e);
	}
	run_ms(w, 100);
	assert_true(speaks(&w->h[0]));
	end(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_better_one_has_it),
	    cmocka_unit_test(test_a_dead_one_is_replaced),
	    cmocka_unit_test(test_a_frozen_one_is_silent_in_time),
	    cmocka_unit_test(test_preempt_is_gapless),
	    cmocka_unit_test(test_release_moves_it_at_once),
	    cmocka_unit_test(test_stop_says_farewell_and_leaves_nothing),
	    cmocka_unit_test(test_carp),
	    cmocka_unit_test(test_wrong_password_is_counted),
	    cmocka_unit_test(test_the_same_again),
	    cmocka_unit_test(test_junk_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
