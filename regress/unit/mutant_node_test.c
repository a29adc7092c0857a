/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What regress/mutants asks of the composed node: the envelope's epoch (R8)
 * and who may feed the watchdog (R7).  One node, alpha; what bravo sends is
 * made here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "node_int.h"
#include "wire.h"

enum { ALPHA = 1, BRAVO = 2, INCARNATION = 77, EPOCH = 5 };

static const char file[] =
    "cluster shop {\n"
    "	heartbeat 100ms; dead 500ms\n"
    "	witness 192.0.2.53 key \"sha256:c0ffee3c5d2e4f60718293a4b5c6d7e8"
    "f90123456789abcdeffedcba98765432\" port 7770\n"
    "}\n"
    "node alpha { id 1; key \"sha256:5f2c0f4e8d1b6a9370c2e5b8f1a4d7e0"
    "0112233445566778899aabbccddeeff0\"\n"
    "	link a 10.77.0.1 interface e0\n"
    "	link b 10.78.0.1 interface e1 }\n"
    "node bravo { id 2; key \"sha256:91aa7b3c5d2e4f60718293a4b5c6d7e8"
    "f90123456789abcdeffedcba98765432\"\n"
    "	link a 10.77.0.2 interface e0\n"
    "	link b 10.78.0.2 interface e1 }\n"
    "address web { 192.0.2.80/24 interface e0 }\n"
    "service web { start { address web timeout 10s } }\n";

static struct {
	struct conf *conf; /* owned */
	struct nd *nd; /* owned */
	struct nd_status *status; /* owned */
	int64_t ms;
	unsigned stale; /* answers to an older epoch */
	uint64_t stale_epoch;
} w;

static void
op_send(void *ctx, uint8_t peer, enum nd_kind kind, uint8_t link,
    uint16_t stream, const struct nd_buf *bufs, unsigned n)
{
	struct wire_hdr h;
	const char *why;

	(void)ctx, (void)kind, (void)link, (void)stream;
	assert_int_equal(peer, BRAVO);
	assert_true(n > 0);
	assert_int_equal(wire_get_hdr(&h, bufs[0].data, bufs[0].len, &why), 0);
	if (h.core != WIRE_STALE)
		return;
	w.stale++;
	w.stale_epoch = h.epoch;
}

static void
op_timer(void *ctx, monotime_t at)
{
	(void)ctx, (void)at;
}

static void
op_persist(void *ctx, const struct sf_record *r, uint64_t serial)
{
	(void)ctx, (void)r, (void)serial;
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx, (void)level, (void)rule, (void)object, (void)text;
}

static void
op_addr(void *ctx, uint16_t id)
{
	(void)ctx, (void)id;
}

static void
op_lease(void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	(void)ctx, (void)seq, (void)open, (void)until;
}

static void
op_vote(void *ctx, uint8_t voter, uint64_t epoch)
{
	(void)ctx, (void)voter, (void)epoch;
}

/* Of the others none is called: nothing runs here. */
static const struct nd_ops ops = {
    .send = op_send,
    .timer = op_timer,
    .persist = op_persist,
    .note = op_note,
    .addr_add = op_addr,
    .addr_del = op_addr,
    .announce = op_addr,
    .lease = op_lease,
    .vote = op_vote,
};

static void
step(struct nd_event e)
{
	e.now = (monotime_t){(1000 + w.ms++) * 1000};
	nd_step(w.nd, &e);
}

/* Alpha has started, at EPOCH, and bravo is connected. */
static int
setup(void **state)
{
	struct sf_record r = {
	    .cluster = "shop", .node = ALPHA, .epoch = EPOCH, .serial = 1};
	struct conf_errors errors = {.text = NULL};
	struct nd_disk none[1] = {{.why = ""}};
	struct nd_event e = {.type = ND_EV_START};

	(void)state;
	memset(&w, 0, sizeof(w));
	w.conf = calloc(1, sizeof(*w.conf));
	w.status = calloc(1, sizeof(*w.status));
	assert_non_null(w.conf);
	assert_non_null(w.status);
	assert_int_equal(
	    conf_parse(w.conf, "had.conf", file, strlen(file), &errors), 0);
	w.nd = nd_new(w.conf, ALPHA, none, &ops, NULL);
	assert_non_null(w.nd);
	e.u.start.seed = 4711;
	e.u.start.incarnation = 42;
	e.u.start.record = &r;
	step(e);
	e = (struct nd_event){.type = ND_EV_UP, .peer = BRAVO};
	e.u.assoc.kind = ND_CTL;
	e.u.assoc.incarnation = INCARNATION;
	step(e);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	nd_free(w.nd);
	free(w.status);
	free(w.conf);
	return 0;
}

static const struct nd_status *
status(void)
{
	nd_status(w.nd, (monotime_t){(1000 + w.ms) * 1000}, w.status);
	return w.status;
}

/* A message of bravo for the services, with nothing in it. */
static void
sends(uint64_t epoch)
{
	struct wire_hdr h = {.core = WIRE_SVC,
	    .sender = BRAVO,
	    .incarnation = INCARNATION,
	    .epoch = epoch};
	struct nd_event e = {.type = ND_EV_MSG, .peer = BRAVO};
	uint8_t bytes[WIRE_HDR_LEN];

	wire_put_hdr(bytes, &h);
	e.u.msg.kind = ND_CTL;
	e.u.msg.bytes = bytes;
	e.u.msg.len = sizeof(bytes);
	step(e);
}

/* Whoever was overtaken is refused, and learns by whom. */
static void
R8_an_older_epoch_is_refused(void **state)
{
	(void)state;
	assert_int_equal(status()->epoch, EPOCH);
	sends(EPOCH);
	assert_int_equal(status()->refused_stale, 0);
	assert_int_equal(w.stale, 0);
	sends(EPOCH - 1);
	assert_int_equal(status()->refused_stale, 1);
	assert_int_equal(w.stale, 1);
	assert_int_equal(w.stale_epoch, EPOCH);
	sends(0);
	assert_int_equal(status()->refused_stale, 2);
	assert_int_equal(status()->epoch, EPOCH);
}

static bool
may_feed(void)
{
	return nd_may_feed(w.nd, (monotime_t){(1000 + w.ms) * 1000});
}

/* With data in its hands and no right to it a node starves its watchdog. */
static void
R7_who_holds_data_needs_a_right_to_be_fed(void **state)
{
	(void)state;
	assert_int_equal(status()->member.self, MB_INERT);
	assert_true(may_feed());
	w.nd->holding = 1;
	assert_false(may_feed());
	w.nd->no_data = true;
	assert_false(may_feed());
	/* All has stopped: it may live on. */
	w.nd->holding = 0;
	assert_true(may_feed());
	/* Without somebody who could lend it to another: as ever (R7). */
	w.nd->holding = 1;
	w.nd->has_voters = false;
	assert_true(may_feed());
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(R8_an_older_epoch_is_refused),
	    T(R7_who_holds_data_needs_a_right_to_be_fed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
