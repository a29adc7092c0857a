/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who gets the lease: transcripts of one witness.  What the core wants is
 * written down as lines:
 *	write EPOCH NODE | NODE granted EPOCH | NODE denied EPOCH HOLDER AT |
 *	NODE failed EPOCH
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "witness_core.h"

struct world {
	struct wit *w;
	char said[512];
	unsigned notes;
	/* The disk, and who was ever granted an epoch below 64. */
	struct wit_lease disk, writing;
	bool busy;
	/* A failed write has come to be nevertheless. */
	bool unsure;
	uint8_t granted[64];
};

static void
add(struct world *x, const char *line)
{
	size_t used = strlen(x->said);

	snprintf(x->said + used, sizeof(x->said) - used, "%s%s",
	    used > 0 ? "; " : "", line);
}

static void
op_write(void *ctx, const struct wit_lease *l)
{
	struct world *x = ctx;
	char line[64];

	assert_false(x->busy);
	assert_true(x->unsure || l->epoch > x->disk.epoch);
	x->busy = true;
	x->writing = *l;
	snprintf(line, sizeof(line), "write %d %u", (int)l->epoch, l->holder);
	add(x, line);
}

static void
op_answer(void *ctx, uint8_t node, uint64_t epoch, enum wit_vote vote,
    const struct wit_lease *l)
{
	struct world *x = ctx;
	char line[64];

	switch (vote) {
	case WIT_GRANTED:
		/* Durable before the answer, and never two of one epoch. */
		assert_true(x->unsure ||
			    (x->disk.epoch == epoch && x->disk.holder == node));
		assert_true(l->epoch == epoch && l->holder == node);
		if (epoch < NITEMS(x->granted)) {
			assert_true(x->granted[epoch] == 0 ||
				    x->granted[epoch] == node);
			x->granted[epoch] = node;
		}
		snprintf(line, sizeof(line), "%u granted %d", node, (int)epoch);
		break;
	case WIT_DENIED:
		assert_true(x->unsure || l->epoch == x->disk.epoch);
		snprintf(line, sizeof(line), "%u denied %d %u %d", node,
		    (int)epoch, l->holder, (int)l->epoch);
		break;
	default:
		snprintf(line, sizeof(line), "%u failed %d", node, (int)epoch);
		break;
	}
	add(x, line);
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *text)
{
	struct world *x = ctx;

	assert_true(level == HAD_INFO || level == HAD_ERR);
	assert_string_equal(rule, "R6");
	assert_true(strlen(text) > 0);
	x->notes++;
}

static const struct wit_ops ops = {op_write, op_answer, op_note};

static void
start(struct world *x)
{
	struct wit_conf conf = {.nodes = 0x8003, .lease = x->disk};

	wit_free(x->w);
	x->w = wit_new(&conf, &ops, x);
	assert_non_null(x->w);
	x->busy = x->unsure = false;
}

static void
asks(struct world *x, uint8_t node, uint64_t epoch)
{
	struct wit_event e = {.type = WIT_EV_ASK};

	e.u.ask.node = node;
	e.u.ask.incarnation = 100u + node;
	e.u.ask.epoch = epoch;
	wit_step(x->w, &e);
}

static void
written(struct world *x, bool ok)
{
	struct wit_event e = {.type = WIT_EV_WRITTEN, .u.written = ok};

	assert_true(x->busy);
	x->busy = false;
	if (ok) {
		x->disk = x->writing;
		x->unsure = false;
	}
	wit_step(x->w, &e);
}

static void
gone(struct world *x, uint8_t node)
{
	struct wit_event e = {.type = WIT_EV_GONE, .u.gone = node};

	wit_step(x->w, &e);
}

static void
expect(struct world *x, const char *said)
{
	assert_string_equal(x->said, said);
	x->said[0] = '\0';
}

static void
durable_before_it_is_said(void **state)
{
	struct world x = {.w = NULL};

	(void)state;
	start(&x);
	asks(&x, 1, 5);
	expect(&x, "write 5 1");
	written(&x, true);
	expect(&x, "1 granted 5");
	assert_true(wit_lease(x.w)->epoch == 5);
	assert_int_equal(wit_lease(x.w)->holder, 1);
	assert_true(wit_lease(x.w)->incarnation == 101);
	wit_free(x.w);
}

static void
sticky_and_idempotent(void **state)
{
	struct world x = {.disk = {.epoch = 5, .holder = 1}};

	(void)state;
	start(&x);
	asks(&x, 1, 5);
	asks(&x, 1, 5);
	expect(&x, "1 granted 5; 1 granted 5");
	asks(&x, 2, 5);
	expect(&x, "2 denied 5 1 5");
	asks(&x, 2, 4);
	asks(&x, 1, 4);
	expect(&x, "2 denied 4 1 5; 1 denied 4 1 5");
	wit_free(x.w);
}

static void
a_higher_epoch_supersedes(void **state)
{
	struct world x = {.disk = {.epoch = 5, .holder = 1}};

	(void)state;
	start(&x);
	asks(&x, 2, 9);
	written(&x, true);
	expect(&x, "write 9 2; 2 granted 9");
	asks(&x, 1, 6);
	asks(&x, 1, 9);
	expect(&x, "1 denied 6 2 9; 1 denied 9 2 9");
	wit_free(x.w);
}

static void
a_failed_write_grants_nothing(void **state)
{
	struct world x = {.disk = {.epoch = 5, .holder = 1}};

	(void)state;
	start(&x);
	asks(&x, 2, 6);
	written(&x, false);
	expect(&x, "write 6 2; 2 failed 6");
	assert_true(wit_lease(x.w)->epoch == 5);
	/* The old lease counts still, and the epoch is free. */
	asks(&x, 1, 5);
	asks(&x, 1, 6);
	written(&x, true);
	expect(&x, "1 granted 5; write 6 1; 1 granted 6");
	asks(&x, 2, 6);
	expect(&x, "2 denied 6 1 6");
	wit_free(x.w);
}

/* The first write ever failed: there is no lease to name. */
static void
a_failed_first_write(void **state)
{
	struct world x = {.w = NULL};

	(void)state;
	start(&x);
	asks(&x, 1, 1);
	asks(&x, 2, 1);
	written(&x, false);
	expect(&x, "write 1 1; 1 failed 1; write 1 2");
	written(&x, true);
	expect(&x, "2 granted 1");
	wit_free(x.w);
}

static void
two_at_once(void **state)
{
	struct world x = {.w = NULL};

	(void)state;
	start(&x);
	asks(&x, 2, 3);
	asks(&x, 1, 3);
	expect(&x, "write 3 2");
	written(&x, true);
	expect(&x, "2 granted 3; 1 denied 3 2 3");
	wit_free(x.w);
}

static void
those_who_wait_are_looked_at_in_order(void **state)
{
	struct world x = {.w = NULL};

	(void)state;
	start(&x);
	asks(&x, 1, 3);
	asks(&x, 16, 4);
	asks(&x, 2, 4);
	asks(&x, 16, 5); /* another epoch, its old place */
	asks(&x, 1, 3); /* asks again for what is being written */
	written(&x, true);
	expect(&x, "write 3 1; 1 granted 3; write 5 16");
	written(&x, true);
	expect(&x, "16 granted 5; 2 denied 4 16 5; 1 denied 3 16 5");
	wit_free(x.w);
}

static void
who_is_gone_waits_no_more(void **state)
{
	struct world x = {.w = NULL};

	(void)state;
	start(&x);
	asks(&x, 1, 3);
	asks(&x, 2, 4);
	gone(&x, 2);
	gone(&x, 1);
	written(&x, true);
	expect(&x, "write 3 1; 1 granted 3");
	asks(&x, 2, 3);
	expect(&x, "2 denied 3 1 3");
	wit_free(x.w);
}

static void
a_denial_is_noted_once(void **state)
{
	struct world x = {.disk = {.epoch = 5, .holder = 1}};

	(void)state;
	start(&x);
	for (int i = 0; i < 100; i++)
		asks(&x, 2, 5);
	assert_int_equal(x.notes, 1);
	asks(&x, 2, 4);
	assert_int_equal(x.notes, 2);
	wit_free(x.w);
}

/*
 * Random asks, writes that fail (the file then has the old record or the new
 * one) and restarts, in which a write that was under
 * way has come to be or not: op_answer checks that no epoch has two holders.
 */
static void
never_two_holders_of_an_epoch(void **state)
{
	uint64_t seed = 88172645463325252;
	unsigned grants = 0;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct world x = {.w = NULL};

		start(&x);
		for (int i = 0; i < 200; i++) {
			static const uint8_t ids[] = {1, 2, 16};
			unsigned what;

			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			what = (unsigned)(seed >> 20) % 16;
			if (what < 9)
				asks(&x, ids[(seed >> 32) % 3],
				    x.disk.epoch / 2 + 1 + (seed >> 40) % 30);
			else if (what < 14 && x.busy) {
				if (what == 9 && (seed >> 51 & 1) != 0) {
					x.disk = x.writing;
					x.unsure = true;
				}
				written(&x, what != 9);
			} else if (what == 14) {
				gone(&x, ids[(seed >> 32) % 3]);
			} else if (what == 15) {
				/* Killed: the rename was done, or not. */
				if (x.busy && (seed >> 50 & 1) != 0)
					x.disk = x.writing;
				start(&x);
			}
			x.said[0] = '\0';
		}
		for (size_t e = 0; e < NITEMS(x.granted); e++)
			grants += x.granted[e] != 0;
		wit_free(x.w);
	}
	assert_true(grants > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(durable_before_it_is_said),
	    cmocka_unit_test(sticky_and_idempotent),
	    cmocka_unit_test(a_higher_epoch_supersedes),
	    cmocka_unit_test(a_failed_write_grants_nothing),
	    cmocka_unit_test(a_failed_first_write),
	    cmocka_unit_test(two_at_once),
	    cmocka_unit_test(those_who_wait_are_looked_at_in_order),
	    cmocka_unit_test(who_is_gone_waits_no_more),
	    cmocka_unit_test(a_denial_is_noted_once),
	    cmocka_unit_test(never_two_holders_of_an_epoch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
