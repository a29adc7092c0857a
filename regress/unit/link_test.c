/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One link's story in virtual milliseconds: heartbeat 20 ms, dead 100 ms.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link.h"

static const struct lnk_conf conf = {.heartbeat_ms = 20, .dead_ms = 100};

static monotime_t
at(int64_t ms)
{
	return (monotime_t){1000000 + ms * 1000};
}

static int64_t
us(int64_t ms)
{
	return at(ms).us;
}

static void
heard(struct lnk *l, uint64_t seq, int64_t ms)
{
	(void)lnk_heard(l, seq, 0, 0, at(ms));
}

static void
expect(struct lnk_change c, enum lnk_state from, enum lnk_state to)
{
	assert_string_equal(lnk_state_text(c.from), lnk_state_text(from));
	assert_string_equal(lnk_state_text(c.to), lnk_state_text(to));
}

static void
starts_down_and_the_first_beat_raises_it(void **state)
{
	struct lnk l;
	struct lnk_status s;

	(void)state;
	lnk_init(&l, &conf, at(0));
	lnk_status(&l, &s);
	assert_int_equal(s.state, LNK_DOWN);
	assert_int_equal(s.heard_at.us, MT_NEVER.us);
	assert_int_equal(s.loss_permille, 1000);
	assert_int_equal(lnk_next(&l).us, MT_NEVER.us);
	expect(lnk_tick(&l, at(1000)), LNK_DOWN, LNK_DOWN);
	expect(lnk_heard(&l, 7, 0, 0, at(1010)), LNK_DOWN, LNK_UP);
	lnk_status(&l, &s);
	assert_int_equal(s.since.us, us(1010));
	assert_int_equal(s.heard_at.us, us(1010));
	assert_int_equal(s.loss_permille, 0);
}

static void
silence_is_late_after_three_beats_and_down_after_dead(void **state)
{
	struct lnk l;
	struct lnk_status s;

	(void)state;
	lnk_init(&l, &conf, at(0));
	heard(&l, 1, 0);
	assert_int_equal(lnk_next(&l).us, us(60));
	expect(lnk_tick(&l, at(59)), LNK_UP, LNK_UP);
	expect(lnk_tick(&l, at(60)), LNK_UP, LNK_LATE);
	assert_int_equal(lnk_next(&l).us, us(100));
	expect(lnk_tick(&l, at(99)), LNK_LATE, LNK_LATE);
	expect(lnk_tick(&l, at(100)), LNK_LATE, LNK_DOWN);
	assert_int_equal(lnk_next(&l).us, MT_NEVER.us);
	expect(lnk_heard(&l, 8, 0, 0, at(150)), LNK_DOWN, LNK_UP);
	lnk_status(&l, &s);
	assert_int_equal(s.late, 1);
	assert_int_equal(s.downs, 1);
	assert_int_equal(s.lost, 6);
}

static void
a_late_link_recovers_with_the_next_beat(void **state)
{
	struct lnk l;

	(void)state;
	lnk_init(&l, &conf, at(0));
	heard(&l, 1, 0);
	expect(lnk_tick(&l, at(70)), LNK_UP, LNK_LATE);
	expect(lnk_heard(&l, 4, 0, 0, at(80)), LNK_LATE, LNK_UP);
	assert_int_equal(lnk_next(&l).us, us(140));
}

static void
a_tick_that_comes_too_late_goes_straight_down(void **state)
{
	struct lnk l;
	struct lnk_change c;

	(void)state;
	lnk_init(&l, &conf, at(0));
	heard(&l, 1, 0);
	c = lnk_tick(&l, at(500));
	expect(c, LNK_UP, LNK_DOWN);
	assert_string_equal(c.why, "silent");
}

static void
dead_below_three_beats_skips_late(void **state)
{
	const struct lnk_conf tight = {.heartbeat_ms = 20, .dead_ms = 50};
	struct lnk l;

	(void)state;
	lnk_init(&l, &tight, at(0));
	heard(&l, 1, 0);
	assert_int_equal(lnk_next(&l).us, us(50));
	expect(lnk_tick(&l, at(50)), LNK_UP, LNK_DOWN);
}

static void
own_carrier_off_is_down_at_once_and_on_waits_for_a_beat(void **state)
{
	struct lnk l;
	struct lnk_change c;
	struct lnk_status s;

	(void)state;
	lnk_init(&l, &conf, at(0));
	heard(&l, 1, 0);
	c = lnk_carrier(&l, false, at(10));
	expect(c, LNK_UP, LNK_DOWN);
	assert_string_equal(c.why, "no carrier");
	/* A beat that was under way counts, but raises nothing. */
	expect(lnk_heard(&l, 2, 0, 0, at(11)), LNK_DOWN, LNK_DOWN);
	expect(lnk_carrier(&l, false, at(12)), LNK_DOWN, LNK_DOWN);
	lnk_status(&l, &s);
	assert_false(s.carrier);
	expect(lnk_carrier(&l, true, at(20)), LNK_DOWN, LNK_DOWN);
	expect(lnk_heard(&l, 3, 0, 0, at(30)), LNK_DOWN, LNK_UP);
	lnk_status(&l, &s);
	assert_int_equal(s.downs, 1);
}

static void
loss_is_measured_over_the_window(void **state)
{
	struct lnk l;
	struct lnk_status s;
	uint64_t seq;

	(void)state;
	lnk_init(&l, &conf, at(0));
	/* Every fourth beat is lost. */
	for (seq = 1; seq <= 400; seq++)
		if (seq % 4 != 0)
			heard(&l, seq, (int64_t)seq * 20);
	heard(&l, 401, 401 * 20);
	lnk_status(&l, &s);
	assert_int_equal(s.lost, 100);
	assert_int_equal(s.loss_permille, 250);
	/* A window without loss forgets it, the total does not. */
	for (seq = 402; seq <= 401 + LNK_WINDOW; seq++)
		heard(&l, seq, (int64_t)seq * 20);
	lnk_status(&l, &s);
	assert_int_equal(s.lost, 100);
	assert_int_equal(s.loss_permille, 0);
}

static void
loss_of_a_young_link_counts_only_what_could_have_come(void **state)
{
	struct lnk l;
	struct lnk_status s;

	(void)state;
	lnk_init(&l, &conf, at(0));
	heard(&l, 500, 0);
	heard(&l, 502, 40);
	heard(&l, 503, 60);
	lnk_status(&l, &s);
	assert_int_equal(s.loss_permille, 250);
}

static void
a_long_outage_fills_the_window(void **state)
{
	struct lnk l;
	struct lnk_status s;

	(void)state;
	lnk_init(&l, &conf, at(0));
	heard(&l, 1, 0);
	heard(&l, 1 + 10 * LNK_WINDOW, 20 * 10 * LNK_WINDOW);
	lnk_status(&l, &s);
	assert_int_equal(s.loss_permille, 1000 * (LNK_WINDOW - 1) / LNK_WINDOW);
	assert_int_equal(s.lost, 10 * LNK_WINDOW - 1);
	/* The largest jump there is. */
	heard(&l, UINT64_MAX, 100000);
	lnk_status(&l, &s);
	assert_int_equal(s.state, LNK_UP);
}

static void
window_shifts_by_more_than_a_word(void **state)
{
	struct lnk l;
	struct lnk_status s;

	(void)state;
	lnk_init(&l, &conf, at(0));
	heard(&l, 1, 0);
	heard(&l, 2, 20);
	heard(&l, 72, 1440); /* 70: one word and six bits */
	heard(&l, 72 + 64, 2720); /* exactly one word */
	lnk_status(&l, &s);
	/* Of 128 expected, those within are 2 (gap 134: out), 72 and 136. */
	assert_int_equal(s.loss_permille, 126 * 1000 / 128);
	heard(&l, 73, 2721);
	lnk_status(&l, &s);
	assert_int_equal(s.loss_permille, 125 * 1000 / 128);
}

static void
reordered_and_repeated_beats_do_not_refresh(void **state)
{
	struct lnk l;
	struct lnk_status s;

	(void)state;
	lnk_init(&l, &conf, at(0));
	heard(&l, 1, 0);
	heard(&l, 3, 40);
	lnk_status(&l, &s);
	assert_int_equal(s.lost, 1);
	heard(&l, 2, 90);
	lnk_status(&l, &s);
	assert_int_equal(s.lost, 0);
	assert_int_equal(s.heard_at.us, us(40));
	heard(&l, 2, 91);
	heard(&l, 3, 92);
	lnk_status(&l, &s);
	assert_int_equal(s.duplicate, 2);
	assert_int_equal(s.received, 5);
	expect(lnk_tick(&l, at(140)), LNK_UP, LNK_DOWN);
}

static void
a_restarted_peer_counts_anew_after_reset(void **state)
{
	struct lnk l;
	struct lnk_status s;

	(void)state;
	lnk_init(&l, &conf, at(0));
	heard(&l, 100000, 0);
	expect(lnk_tick(&l, at(100)), LNK_UP, LNK_DOWN);
	/* Without a reset its small numbers are old ones. */
	expect(lnk_heard(&l, 1, 0, 0, at(110)), LNK_DOWN, LNK_DOWN);
	lnk_reset(&l, at(111));
	expect(lnk_heard(&l, 2, 0, 0, at(112)), LNK_DOWN, LNK_UP);
	lnk_status(&l, &s);
	assert_int_equal(s.lost, 0);
	assert_int_equal(s.loss_permille, 0);
}

static void
round_trip_is_smoothed_and_excludes_the_hold(void **state)
{
	struct lnk l;
	struct lnk_status s;
	uint64_t seq;

	(void)state;
	lnk_init(&l, &conf, at(0));
	(void)lnk_heard(&l, 1, us(0), 9000, at(10));
	lnk_status(&l, &s);
	assert_int_equal(s.srtt_us, 1000);
	/* An eighth of the difference. */
	(void)lnk_heard(&l, 2, us(20), 1000, at(30));
	lnk_status(&l, &s);
	assert_int_equal(s.srtt_us, 2000);
	for (seq = 3; seq < 100; seq++)
		(void)lnk_heard(&l, seq, us((int64_t)seq * 20), 0,
		    at((int64_t)seq * 20 + 5));
	lnk_status(&l, &s);
	assert_in_range(s.srtt_us, 4900, 5000);
}

static void
impossible_round_trips_are_ignored(void **state)
{
	struct lnk l;
	struct lnk_status s;

	(void)state;
	lnk_init(&l, &conf, at(0));
	(void)lnk_heard(&l, 1, us(0), 2000, at(1)); /* held longer than away */
	(void)lnk_heard(&l, 2, us(50), 0, at(2)); /* from the future */
	(void)lnk_heard(&l, 3, 1, 0, at(100000)); /* a minute and more */
	(void)lnk_heard(&l, 4, -5, 0, at(100001));
	lnk_status(&l, &s);
	assert_int_equal(s.srtt_us, 0);
	(void)lnk_heard(&l, 5, us(100002), 0, at(100002));
	lnk_status(&l, &s);
	assert_int_equal(s.srtt_us, 1);
}

static void
sent_beats_are_counted(void **state)
{
	struct lnk l;
	struct lnk_status s;

	(void)state;
	lnk_init(&l, &conf, at(0));
	lnk_sent(&l, at(1));
	lnk_sent(&l, at(21));
	lnk_status(&l, &s);
	assert_int_equal(s.sent, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(starts_down_and_the_first_beat_raises_it),
	    cmocka_unit_test(
		silence_is_late_after_three_beats_and_down_after_dead),
	    cmocka_unit_test(a_late_link_recovers_with_the_next_beat),
	    cmocka_unit_test(a_tick_that_comes_too_late_goes_straight_down),
	    cmocka_unit_test(dead_below_three_beats_skips_late),
	    cmocka_unit_test(
		own_carrier_off_is_down_at_once_and_on_waits_for_a_beat),
	    cmocka_unit_test(loss_is_measured_over_the_window),
	    cmocka_unit_test(
		loss_of_a_young_link_counts_only_what_could_have_come),
	    cmocka_unit_test(a_long_outage_fills_the_window),
	    cmocka_unit_test(window_shifts_by_more_than_a_word),
	    cmocka_unit_test(reordered_and_repeated_beats_do_not_refresh),
	    cmocka_unit_test(a_restarted_peer_counts_anew_after_reset),
	    cmocka_unit_test(round_trip_is_smoothed_and_excludes_the_hold),
	    cmocka_unit_test(impossible_round_trips_are_ignored),
	    cmocka_unit_test(sent_beats_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
