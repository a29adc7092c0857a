/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop: timers fire once, in order, not early; the lag is measured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop.h"

struct shot {
	struct loop *loop;
	monotime_t due, at;
	int fired;
	int order;
	int *clock;
	int exit_code; /* -1: go on */
};

static void
shot_fire(void *ctx, monotime_t now)
{
	struct shot *s = ctx;

	s->at = now;
	s->fired++;
	s->order = ++*s->clock;
	if (s->exit_code >= 0)
		loop_exit(s->loop, s->exit_code);
}

static void
timers_fire_once_and_not_early(void **state)
{
	struct loop *l = loop_new();
	int clock = 0;
	struct shot a = {.loop = l, .clock = &clock, .exit_code = 7};
	struct shot b = {.loop = l, .clock = &clock, .exit_code = -1};
	struct loop_timer *ta, *tb;

	(void)state;
	ta = loop_timer_new(loop_event(l), shot_fire, &a);
	tb = loop_timer_new(loop_event(l), shot_fire, &b);
	a.due = mt_add_ms(loop_now(), 30);
	b.due = mt_add_ms(loop_now(), 5);
	loop_timer_at(ta, a.due);
	loop_timer_at(tb, b.due);
	assert_int_equal(loop_run(l), 7);
	assert_int_equal(a.fired, 1);
	assert_int_equal(b.fired, 1);
	assert_int_equal(b.order, 1);
	assert_int_equal(a.order, 2);
	assert_false(mt_before(a.at, a.due));
	assert_false(mt_before(b.at, b.due));
	loop_timer_free(ta);
	loop_timer_free(tb);
	loop_free(l);
}

static void
never_disarms_and_a_new_time_replaces(void **state)
{
	struct loop *l = loop_new();
	int clock = 0;
	struct shot a = {.loop = l, .clock = &clock, .exit_code = -1};
	struct shot b = {.loop = l, .clock = &clock, .exit_code = 3};
	struct loop_timer *ta, *tb;

	(void)state;
	ta = loop_timer_new(loop_event(l), shot_fire, &a);
	tb = loop_timer_new(loop_event(l), shot_fire, &b);
	loop_timer_at(ta, mt_add_ms(loop_now(), 1));
	loop_timer_at(ta, MT_NEVER);
	b.due = mt_add_ms(loop_now(), 10);
	loop_timer_at(tb, mt_add_ms(loop_now(), 1));
	loop_timer_at(tb, b.due);
	assert_int_equal(loop_run(l), 3);
	assert_int_equal(a.fired, 0);
	assert_int_equal(b.fired, 1);
	assert_false(mt_before(b.at, b.due));
	loop_timer_free(ta);
	loop_timer_free(tb);
	loop_free(l);
}

static int stalls;

/* Holds the loop for 30 ms, as a bad callback would. */
static void
stall(void *ctx, monotime_t now)
{
	monotime_t until = mt_add_ms(now, 30);

	(void)ctx;
	stalls++;
	while (mt_before(loop_now(), until))
		continue;
}

static void
lag_shows_a_stalled_loop(void **state)
{
	struct loop *l = loop_new();
	int clock = 0;
	struct shot end = {.loop = l, .clock = &clock, .exit_code = 0};
	struct loop_timer *ts, *te;
	struct loop_lag lag;

	(void)state;
	loop_lag(l, &lag);
	assert_int_equal(lag.max_us, 0);
	ts = loop_timer_new(loop_event(l), stall, NULL);
	te = loop_timer_new(loop_event(l), shot_fire, &end);
	loop_timer_at(ts, mt_add_ms(loop_now(), 3));
	loop_timer_at(te, mt_add_ms(loop_now(), 80));
	loop_run(l);
	loop_lag(l, &lag);
	assert_int_equal(stalls, 1);
	/* The tick due at 10 ms came when the stall ended, at 33 ms. */
	assert_true(lag.max_us >= 15000);
	assert_true(lag.p50_us <= lag.p99_us);
	assert_true(lag.p99_us <= lag.max_us);
	loop_timer_free(ts);
	loop_timer_free(te);
	loop_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(timers_fire_once_and_not_early),
	    cmocka_unit_test(never_disarms_and_a_new_time_replaces),
	    cmocka_unit_test(lag_shows_a_stalled_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
