/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions of two nodes, without the rest of them.
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

struct side {
	struct nd *nd; /* owned */
	uint8_t open[4]; /* what it sent last */
	bool sent;
};

static void
op_send(void *ctx, uint8_t peer, enum nd_kind kind, uint8_t link,
    uint16_t stream, const struct nd_buf *bufs, unsigned n)
{
	struct side *s = ctx;

	(void)peer, (void)kind, (void)link, (void)stream;
	assert_int_equal(n, 2);
	assert_int_equal(bufs[1].len, sizeof(s->open));
	memcpy(s->open, bufs[1].data, sizeof(s->open));
	s->sent = true;
}

static const struct nd_ops ops = {.send = op_send};

static void
side_new(struct side *s, uint8_t id, uint64_t seed)
{
	memset(s, 0, sizeof(*s));
	s->nd = calloc(1, sizeof(*s->nd));
	assert_non_null(s->nd);
	s->nd->ops = &ops;
	s->nd->ctx = s;
	s->nd->self = id;
	s->nd->seed = seed;
	s->nd->n_peers = 1;
	s->nd->state = MB_PAIRED;
	s->nd->peers[0].id = 3 - id;
	s->nd->peers[0].verdict = MB_PEER_ALIVE;
	s->nd->peers[0].ctl_up = true;
	nd_session_check(s->nd, &s->nd->peers[0]);
}

static struct nd_session *
ctl(struct side *s)
{
	return &s->nd->peers[0].ctl;
}

/* Messages pass as long as there are any. */
static void
talk(struct side *a, struct side *b)
{
	for (int i = 0; a->sent || b->sent; i++) {
		struct side *from = a->sent ? a : b, *to = a->sent ? b : a;
		uint8_t open[4];

		assert_true(i < 10);
		memcpy(open, from->open, sizeof(open));
		from->sent = false;
		nd_session_open(
		    to->nd, &to->nd->peers[0], false, open, sizeof(open));
	}
	/* The cores inside would hear of it. */
	a->nd->inner_used = b->nd->inner_used = 0;
}

static void
expect_up(struct side *a, struct side *b)
{
	assert_true(ctl(a)->up && ctl(b)->up);
	assert_int_equal(nd_session_tx(ctl(a)), nd_session_rx(ctl(b)));
	assert_int_equal(nd_session_rx(ctl(a)), nd_session_tx(ctl(b)));
}

/* A session that ends is followed by one of another name, ever. */
static void
a_new_session_has_a_new_name(void **state)
{
	struct side a, b;

	(void)state;
	side_new(&a, 1, 1);
	side_new(&b, 2, 2);
	talk(&a, &b);
	expect_up(&a, &b);
	for (int i = 0; i < 400000; i++) {
		struct side *s = i & 1 ? &a : &b;
		uint16_t mine_a = ctl(&a)->mine, mine_b = ctl(&b)->mine;

		nd_session_broken(s->nd, &s->nd->peers[0], false);
		talk(&a, &b);
		expect_up(&a, &b);
		assert_int_not_equal(ctl(&a)->mine, mine_a);
		assert_int_not_equal(ctl(&b)->mine, mine_b);
	}
	free(a.nd);
	free(b.nd);
}

/* Both give up at once, and each hears the other's OPEN after that. */
static void
both_give_up_at_once(void **state)
{
	struct side a, b;

	(void)state;
	side_new(&a, 1, 3);
	side_new(&b, 2, 4);
	talk(&a, &b);
	for (int i = 0; i < 1000; i++) {
		nd_session_broken(a.nd, &a.nd->peers[0], false);
		nd_session_broken(b.nd, &b.nd->peers[0], false);
		assert_false(ctl(&a)->up || ctl(&b)->up);
		talk(&a, &b);
		expect_up(&a, &b);
	}
	free(a.nd);
	free(b.nd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_new_session_has_a_new_name),
	    cmocka_unit_test(both_give_up_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
