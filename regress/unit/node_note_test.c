/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * R15: a cause is told once a second, and how often it was not; what changes a
 * state is always told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_int.h"

static unsigned told;
static char last[400];

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx, (void)level, (void)rule, (void)object;
	told++;
	snprintf(last, sizeof(last), "%s", text);
}

static const struct nd_ops ops = {.note = op_note};

static int
setup(void **state)
{
	struct nd *nd = calloc(1, sizeof(*nd));

	assert_non_null(nd);
	nd->ops = &ops;
	nd->now.us = 5000000;
	told = 0;
	*state = nd;
	return 0;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

static void
R15_once_a_second(void **state)
{
	struct nd *nd = *state;

	for (unsigned i = 0; i < 10; i++) {
		nd_note(nd, HAD_WARN, "R15", "link a", "down");
		nd->now = mt_add_ms(nd->now, 100);
	}
	assert_int_equal(told, 1);
	nd_note(nd, HAD_WARN, "R15", "link a", "down");
	assert_int_equal(told, 2);
	assert_string_equal(last, "down (and 9 times more lately)");
	nd->now = mt_add_ms(nd->now, 1000);
	nd_note(nd, HAD_WARN, "R15", "link a", "down");
	assert_int_equal(told, 3);
	assert_string_equal(last, "down");
}

/* Another object, or another text, is another cause. */
static void
R15_each_cause_by_itself(void **state)
{
	struct nd *nd = *state;

	nd_note(nd, HAD_ERR, "R15", "link a", "down");
	nd_note(nd, HAD_ERR, "R15", "link b", "down");
	nd_note(nd, HAD_ERR, "R15", "link a", "late");
	assert_int_equal(told, 3);
	nd_note(nd, HAD_ERR, "R15", "link b", "down");
	assert_int_equal(told, 3);
}

static void
changes_of_a_state_are_all_told(void **state)
{
	for (unsigned i = 0; i < 5; i++)
		nd_note(*state, HAD_INFO, "", "shop", "stopped -> claiming");
	assert_int_equal(told, 5);
}

/* More causes than there is room for: the oldest is forgotten, not the rest. */
static void
R15_many_causes(void **state)
{
	struct nd *nd = *state;
	char text[32];

	for (unsigned i = 0; i <= ND_SAID; i++) {
		snprintf(text, sizeof(text), "cause %u", i);
		nd_note(nd, HAD_WARN, "R15", "disk", text);
		nd->now = mt_add_ms(nd->now, 1);
	}
	assert_int_equal(told, ND_SAID + 1);
	nd_note(nd, HAD_WARN, "R15", "disk", text);
	nd_note(nd, HAD_WARN, "R15", "disk", "cause 1");
	assert_int_equal(told, ND_SAID + 1);
	nd_note(nd, HAD_WARN, "R15", "disk", "cause 0");
	assert_int_equal(told, ND_SAID + 2);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(R15_once_a_second),
	    T(R15_each_cause_by_itself),
	    T(changes_of_a_state_are_all_told),
	    T(R15_many_causes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
