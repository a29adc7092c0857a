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
	/* No timer was late, but something may have waited for it. */
	assert_true(lag.max_us >= 29000);
	assert_int_equal(lag.p99_us, 0);
	loop_timer_free(ts);
	loop_timer_free(te);
	loop_free(l);
}

/* What is watched was due at 10 ms and ran when the stall ended, at 33 ms. */
static void
lag_is_how_late_the_watched_timers_are(void **state)
{
	struct loop *l = loop_new();
	int clock = 0;
	struct shot end = {.loop = l, .clock = &clock, .exit_code = 0};
	struct loop_timer *ts, *te;
	struct loop_lag lag;

	(void)state;
	ts = loop_timer_new(loop_event(l), stall, NULL);
	te = loop_timer_new(loop_event(l), shot_fire, &end);
	loop_timer_watch(te, l);
	loop_timer_at(ts, mt_add_ms(loop_now(), 3));
	loop_timer_at(te, mt_add_ms(loop_now(), 10));
	loop_run(l);
	loop_lag(l, &lag);
	assert_true(lag.p50_us >= 15000);
	assert_true(lag.p50_us <= lag.p99_us);
	assert_true(lag.p99_us <= lag.max_us);
	loop_timer_free(ts);
	loop_timer_free(te);
	loop_free(l);
}

/* Asked for what is past it runs at once, which is not late. */
static void
a_time_in_the_past_is_not_lag(void **state)
{
	struct loop *l = loop_new();
	int clock = 0;
	struct shot end = {.loop = l, .clock = &clock, .exit_code = 0};
	struct loop_timer *te;
	struct loop_lag lag;

	(void)state;
	te = loop_timer_new(loop_event(l), shot_fire, &end);
	loop_timer_watch(te, l);
	loop_timer_at(te, (monotime_t){0});
	loop_run(l);
	loop_lag(l, &lag);
	assert_true(lag.p99_us < 1000000);
	loop_timer_free(te);
	loop_free(l);
}

static void
an_idle_loop_does_not_wake_up(void **state)
{
	struct loop *l = loop_new();
	struct loop_timer *t;
	int clock = 0;
	struct shot never = {.loop = l, .clock = &clock, .exit_code = -1};

	(void)state;
	t = loop_timer_new(loop_event(l), shot_fire, &never);
	loop_timer_watch(t, l);
	loop_timer_at(t, MT_NEVER);
	assert_int_equal(sd_event_run(loop_event(l), 50000), 0);
	loop_timer_free(t);
	loop_free(l);
}

static int turns;

static int
busy(sd_event_source *source, void *ctx)
{
	(void)source;
	(void)ctx;
	turns++;
	return 0;
}

/* Ten sources that always have something: a deadline waits for none. */
static void
a_deadline_goes_before_what_is_not_urgent(void **state)
{
	struct loop *l = loop_new();
	int clock = 0;
	struct shot a = {.loop = l, .clock = &clock, .exit_code = -1};
	struct loop_timer *ta;
	sd_event_source *src[10];

	(void)state;
	for (unsigned i = 0; i < NITEMS(src); i++) {
		assert_true(sd_event_add_defer(
				loop_event(l), &src[i], busy, NULL) >= 0);
		assert_true(
		    sd_event_source_set_enabled(src[i], SD_EVENT_ON) >= 0);
	}
	ta = loop_timer_new(loop_event(l), shot_fire, &a);
	loop_timer_at(ta, (monotime_t){0});
	turns = 0;
	assert_true(sd_event_run(loop_event(l), 0) > 0);
	assert_int_equal(a.fired, 1);
	assert_int_equal(turns, 0);
	/* The others all have their turns. */
	loop_timer_at(ta, MT_NEVER);
	for (unsigned i = 0; i < NITEMS(src); i++)
		assert_true(sd_event_run(loop_event(l), 0) > 0);
	assert_int_equal(turns, NITEMS(src));
	for (unsigned i = 0; i < NITEMS(src); i++)
		sd_event_source_disable_unref(src[i]);
	loop_timer_free(ta);
	loop_free(l);
}

static struct loop_timer *greedy;
static struct loop *greedy_loop;
static int greedy_left;

static void
at_once_again(void *ctx, monotime_t now)
{
	(void)ctx;
	(void)now;
	if (--greedy_left == 0)
		loop_exit(greedy_loop, 1);
	loop_timer_at(greedy, (monotime_t){0});
}

static int
got_a_turn(sd_event_source *source, void *ctx)
{
	(void)source;
	(void)ctx;
	loop_exit(greedy_loop, 0);
	return 0;
}

static void
a_timer_that_is_always_due_starves_nobody(void **state)
{
	sd_event_source *src;

	(void)state;
	greedy_loop = loop_new();
	greedy_left = 1000;
	greedy = loop_timer_new(loop_event(greedy_loop), at_once_again, NULL);
	assert_true(sd_event_add_defer(
			loop_event(greedy_loop), &src, got_a_turn, NULL) >= 0);
	loop_timer_at(greedy, (monotime_t){0});
	assert_int_equal(loop_run(greedy_loop), 0);
	sd_event_source_disable_unref(src);
	loop_timer_free(greedy);
	loop_free(greedy_loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(timers_fire_once_and_not_early),
	    cmocka_unit_test(never_disarms_and_a_new_time_replaces),
	    cmocka_unit_test(lag_shows_a_stalled_loop),
	    cmocka_unit_test(lag_is_how_late_the_watched_timers_are),
	    cmocka_unit_test(a_time_in_the_past_is_not_lag),
	    cmocka_unit_test(an_idle_loop_does_not_wake_up),
	    cmocka_unit_test(a_deadline_goes_before_what_is_not_urgent),
	    cmocka_unit_test(a_timer_that_is_always_due_starves_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
