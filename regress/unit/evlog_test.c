/* SPDX-License-Identifier: BSD-2-Clause */
/* The timeline of two nodes: messages, clocks, and the order of causes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "evlog.h"

static void
golden_answer(void **state)
{
	static const uint8_t want[] = {2, 1, 1, 0, 7, 0, 0, 0, /* head */
	    0x10, 0x27, 0, 0, 0, 0, 0, 0, /* now */
	    0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, /* serial */
	    0xe8, 3, 0, 0, 0, 0, 0, 0, /* at */
	    5, 0, 0, 0, 0, 0, 0, 0, /* epoch */
	    HAD_WARN, 2, 4, 6, 'R', '3', 'n', 'o', 'd', 'e', 'i', 's', ' ', 'g',
	    'o', 'n'};
	struct ev_msg m = {.type = EV_ANSWER,
	    .id = 7,
	    .more = true,
	    .now_us = 10000,
	    .n = 1,
	    .events = {{9, 1000, 5, HAD_WARN, "R3", "node", "is gon"}}};
	uint8_t bytes[EV_MSG_MAX];
	struct ev_msg back;
	const char *why;
	size_t len = ev_encode(&m, bytes);

	(void)state;
	assert_int_equal(len, sizeof(want));
	assert_memory_equal(bytes, want, len);
	assert_int_equal(ev_decode(&back, bytes, len, &why), 0);
	assert_true(back.more);
	assert_int_equal(back.events[0].serial, 9);
	assert_string_equal(back.events[0].text, "is gon");
}

static void
golden_question(void **state)
{
	struct ev_msg m = {.type = EV_ASK, .id = 3, .after = 40, .age_us = 99};
	uint8_t bytes[EV_MSG_MAX];
	struct ev_msg back;
	const char *why;

	(void)state;
	assert_int_equal(ev_encode(&m, bytes), EV_HEAD);
	assert_int_equal(ev_decode(&back, bytes, EV_HEAD, &why), 0);
	assert_int_equal(back.after, 40);
	assert_int_equal(back.age_us, 99);
	assert_int_equal(back.id, 3);
}

/* The longest answer fits. */
static void
full_answer(void **state)
{
	struct ev_msg m = {.type = EV_ANSWER, .n = EV_PIECE}, back;
	uint8_t bytes[EV_MSG_MAX];
	const char *why;

	(void)state;
	for (unsigned i = 0; i < EV_PIECE; i++) {
		struct ev *e = &m.events[i];

		e->serial = i + 1;
		e->level = HAD_INFO;
		memset(e->rule, 'r', sizeof(e->rule) - 1);
		memset(e->object, 'o', sizeof(e->object) - 1);
		memset(e->text, 't', sizeof(e->text) - 1);
	}
	assert_int_equal(
	    ev_decode(&back, bytes, ev_encode(&m, bytes), &why), 0);
	assert_memory_equal(&back.events[EV_PIECE - 1], &m.events[EV_PIECE - 1],
	    sizeof(struct ev));
}

static void
malformed_is_refused(void **state)
{
	static const struct {
		uint8_t bytes[96];
		size_t len;
		const char *why;
	} cases[] = {
	    {{1}, 23, "too short"},
	    {{3}, 24, "unknown type"},
	    {{1, 2}, 24, "unknown flags"},
	    {{1, 0, 0, 1}, 24, "unknown flags"},
	    {{2, [16] = 1}, 24, "unknown flags"},
	    {{2, 0, 33}, 24, "wrong count"},
	    {{1, 0, 1}, 24, "wrong count"},
	    {{2, 1, 0}, 24, "wrong count"},
	    {{2, [15] = 0x80}, 24, "time out of range"},
	    {{1}, 25, "trailing bytes"},
	    {{2, 0, 1}, 24, "event cut short"},
	    {{2, 0, 1, [48] = 6, 1}, 52, "event cut short"},
	    {{2, 0, 1, [48] = 1}, 52, "unknown level"},
	    {{2, 0, 1, [39] = 0x80, [48] = 6}, 52, "time out of range"},
	    {{2, 0, 1, [48] = 6, 12}, 64, "text too long"},
	    {{2, 0, 1, [48] = 6, 1, 0, 0, 0x1b}, 53, "control character"},
	    {{2, 0, 1, [48] = 6}, 53, "trailing bytes"},
	    {{2, 0, 2, [24] = 2, [48] = 6, [52] = 2, [76] = 6}, 80,
		"events out of order"},
	};
	struct ev_msg m;
	const char *why;

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		assert_int_equal(
		    ev_decode(&m, cases[i].bytes, cases[i].len, &why), -1);
		if (strstr(why, cases[i].why) == NULL)
			fail_msg("case %zu: %s", i, why);
	}
}

/* The peer is 1000 s ahead; what one answer leaves open another narrows. */
static void
clocks_are_measured_by_round_trips(void **state)
{
	struct ev_clock c = {0};
	int64_t error, ahead = 1000000000;

	(void)state;
	/* 400 us there, 100 us back. */
	ev_clock_add(&c, 1000, 1400 + ahead, 1500);
	assert_int_equal(c.high_us - c.low_us, 500);
	/* 100 us there, 400 us back. */
	ev_clock_add(&c, 2000, 2100 + ahead, 2500);
	assert_int_equal(ev_clock_own(&c, 5000 + ahead, &error), 5000);
	assert_int_equal(error, 100);
	/* Its machine slept: the old measure is void. */
	ev_clock_add(&c, 3000, 3050 + 2 * ahead, 3100);
	assert_int_equal(ev_clock_own(&c, 5000 + 2 * ahead, &error), 5000);
	assert_int_equal(error, 50);
}

static struct ev
at(int64_t us, uint64_t epoch)
{
	return (struct ev){.at_us = us, .epoch = epoch};
}

static void
an_effect_is_never_told_before_its_cause(void **state)
{
	struct ev cause = at(1000, 5), effect = at(950, 6);

	(void)state;
	/* The clocks cannot tell them apart: the epoch can. */
	assert_true(ev_before(&cause, &effect, 100));
	assert_false(ev_before(&effect, &cause, 100));
	/* They can: a node that is behind by an epoch says something new. */
	cause.at_us = 9000;
	assert_false(ev_before(&cause, &effect, 100));
	/* In one epoch time decides. */
	cause = at(1000, 6);
	assert_true(ev_before(&effect, &cause, 10));
	assert_false(ev_before(&cause, &effect, 10));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(golden_answer),
	    cmocka_unit_test(golden_question),
	    cmocka_unit_test(full_answer),
	    cmocka_unit_test(malformed_is_refused),
	    cmocka_unit_test(clocks_are_measured_by_round_trips),
	    cmocka_unit_test(an_effect_is_never_told_before_its_cause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
