/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers: several in one core.  Sync groups, reload, one timer.
 */
#include "vr_world.h"

enum { A, B, C };

static struct vr_router_conf many[HAD_ROUTERS_MAX];

/* Two interfaces, a router on each, in one group. */
static void
pair(struct vr_router_conf c[2])
{
	c[0] = vrrp("a", 1, 100);
	c[1] = vrrp("b", 1, 100);
	c[1].ifx = 1;
	c[0].group = c[1].group = 7;
}

static void
begin_pair(void)
{
	struct vr_router_conf c[2];

	pair(c);
	make(c, 2);
	start();
	expect("@0 a=BACKUP; b=BACKUP;");
}

/* One takes, all take. */
static void
group_takes(void **state)
{
	(void)state;
	begin_pair();
	s->quiet = true;
	run(1000);
	hear(B, 9, 200);
	run(3610);
	expect("@3609.375 a=ACTIVE; take a; b=ACTIVE; take b;");
	assert_string_equal(
	    status(B).reason, "another of its sync group is active");
	/* One gives way, all give way, and tell it to those who can take. */
	s->quiet = false;
	hear(B, 9, 200);
	expect("@3610 b=BACKUP; release b; a=BACKUP; release a; a says 0;");
}

/*
 * Not while one of them hears a better master: it would be driven back, and
 * take again, for ever.
 */
static void
group_waits_for_all(void **state)
{
	int64_t t;

	(void)state;
	begin_pair();
	s->quiet = true;
	for (t = 1000; t <= 60000; t += 1000) {
		at(t);
		hear(A, 9, 50); /* A would preempt */
		hear(B, 9, 200);
	}
	expect("");
	assert_true(status(A).waited > 10);
	noted("another of its sync group hears a better master");
	run(63610);
	expect("@63609.375 b=ACTIVE; take b; a=ACTIVE; take a;");
}

/*
 * The same of a peer that is known to be dead: its new daemon advertises before
 * it is anybody's peer again.  Else two such nodes, each better by another
 * router of the group, would drive each other out thousands of times a second.
 */
static void
group_waits_for_a_dead_peer_that_speaks(void **state)
{
	int64_t t;
	uint16_t i;

	(void)state;
	begin_pair();
	s->quiet = true;
	for (i = 0; i < 2; i++) {
		reach_is(i, VR_PEER_ALIVE, true, true);
		peer_says((uint16_t)(i == 0 ? A : B), false, true, false, 100);
		reach_is(i, VR_PEER_DEAD, true, true);
	}
	for (t = 1000; t <= 20000; t += 250) {
		at(t);
		reach_is(0, VR_PEER_DEAD, true, true);
		reach_is(1, VR_PEER_DEAD, true, true);
		if (t % 1000 != 0)
			continue;
		hear(A, 2, 50); /* A would preempt */
		hear(B, 2, 200);
	}
	expect("");
	noted("another of its sync group hears a better master");
	run(23610);
	expect("@23609.375 b=ACTIVE; take b; a=ACTIVE; take a;");
}

/* What gave way for a better one takes from a worse one, all of it. */
static void
group_preempts_again(void **state)
{
	(void)state;
	begin_pair();
	s->quiet = true;
	run(3700);
	hear(A, 9, 200);
	expect("@3609.375 a=ACTIVE; take a; b=ACTIVE; take b; "
	       "@3700 a=BACKUP; release a; b=BACKUP; release b;");
	at(5000);
	hear(B, 9, 50);
	at(6000);
	hear(B, 9, 50);
	at(7000);
	hear(B, 9, 50);
	run(7400);
	expect("@7309.375 a=ACTIVE; take a; b=ACTIVE; take b;");
}

static void
group_falls(void **state)
{
	(void)state;
	begin_pair();
	run(3700);
	expect("@3609.375 a=ACTIVE; take a; a says 100; b=ACTIVE; take b; "
	       "b says 100;");
	link_is(1, false);
	expect("@3700 b=INIT; release b; a=INIT; release a; a says 0;");
	run(60000);
	link_is(1, true);
	expect("@60000 a=BACKUP; b=BACKUP;");
}

/* It starts when the last of them can, and not in between. */
static void
group_starts_whole(void **state)
{
	struct vr_router_conf c[2];

	(void)state;
	pair(c);
	c[0].priority = 255;
	c[1].start_delay_ms = 5000;
	make(c, 2);
	s->quiet = true;
	link_is(0, false);
	start();
	run(6000);
	expect("");
	link_is(0, true);
	expect("@6000 a=ACTIVE; take a; b=BACKUP; b=ACTIVE; take b;");
}

static void
group_take_fails(void **state)
{
	(void)state;
	begin_pair();
	s->manual = s->quiet = true;
	run(3700);
	answer(A, true, NULL);
	answer(B, true, "busy");
	expect("@3609.375 a=ACTIVE; take a; b=ACTIVE; take b; "
	       "@3700 b=BACKUP; release b; a=BACKUP; release a;");
	assert_false(s->told[A].able);
	assert_false(s->told[B].able);
}

static void
group_order(void **state)
{
	int64_t t;

	(void)state;
	begin_pair();
	s->quiet = true;
	run(3700);
	order(A, VR_ORDER_RELEASE, 0);
	for (t = 4000; t < 20000; t += 1000) {
		at(t);
		hear(A, 9, 50);
		hear(B, 9, 50);
	}
	expect("@3609.375 a=ACTIVE; take a; b=ACTIVE; take b; "
	       "@3700 a=BACKUP; release a; b=BACKUP; release b;");
}

/* What did not change is not touched; the others come and go. */
static void
reload_keeps(void **state)
{
	struct vr_router_conf c[3] = {
	    vrrp("a", 1, 100), vrrp("b", 2, 255), vrrp("c", 3, 255)};
	int64_t since;

	(void)state;
	make(c, 3);
	s->quiet = true;
	start();
	run(3700);
	expect("@0 a=BACKUP; b=ACTIVE; take b; c=ACTIVE; take c; "
	       "@3609.375 a=ACTIVE; take a;");
	s->quiet = false;
	since = status(A).since.us;
	reload(c, 3);
	expect("");
	/* Order means nothing, the key does; b goes, a new one comes. */
	{
		struct vr_router_conf d[3] = {c[2], vrrp("d", 4, 255), c[0]};

		d[2].cookie = 99;
		reload(d, 3);
	}
	expect("@3700 b=INIT; release b; d=ACTIVE; take d; d says 255; "
	       "b says 0; gone 1;");
	assert_int_equal(status(A).since.us, since);
	assert_int_equal(vr_router_conf(s->v, A)->cookie, 99);
	assert_int_equal(vr_find(s->v, 0, 4, 1), A);
	assert_int_equal(vr_find(s->v, 0, 4, 2), VR_NONE);
	assert_int_equal(vr_find(s->v, 0, 4, 3), C);
	assert_int_equal(vr_find(s->v, 0, 4, 4), 3);
	assert_false(vr_used(s->v, B));
	assert_int_equal(vr_ids(s->v), 4);
	/* An event that was on its way to b is nobody's. */
	hear(B, 9, 255);
	expect("");
	run(4000);
	expect("@4000 a says 100; c says 255; d says 255;");
}

/* A change of what a state depends on has the effect that it always has. */
static void
reload_changes(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);

	(void)state;
	begin(c);
	run(3700);
	expect("@0 a=BACKUP; @3609.375 a=ACTIVE; take a; a says 100;");
	c.priority = 150;
	c.interval_ms = 200;
	reload(&c, 1);
	expect("@3700 a says 150;");
	run(4000);
	expect("@3800 a says 150; @4000 a says 150;");
	track_is(9, false, 0);
	c.n_tracks = 1;
	c.tracks[0].id = 9;
	reload(&c, 1);
	expect("@4000 a=INIT; release a; a says 0;");
	c.n_tracks = 0;
	reload(&c, 1);
	expect("@4000 a=BACKUP;");
	/* Another protocol on the same key is another router. */
	c.proto = VR_VRRP2;
	c.interval_ms = 1000;
	reload(&c, 1);
	expect("@4000 a=INIT; a=BACKUP; gone 0;");
	assert_int_equal(vr_find(s->v, 0, 4, 1), 1);
	c.bound = true;
	reload(&c, 1);
	expect("@4000 a=INIT; a=BACKUP; gone 1;");
	assert_int_equal(vr_find(s->v, 0, 4, 1), 0);
	assert_int_equal(vr_state(s->v, 0), VR_BACKUP);
}

/* The last advert told of another interval, and may be good for less. */
static void
reload_tells_of_the_interval(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);

	(void)state;
	begin(c);
	run(3650);
	expect("@0 a=BACKUP; @3609.375 a=ACTIVE; take a; a says 100;");
	c.interval_ms = 4000;
	reload(&c, 1);
	expect("@3650 a says 100;");
	reload(&c, 1);
	expect("");
	run(4000);
	expect("@4000 a says 100;");
	run(7999);
	expect("");
}

static void
reload_groups(void **state)
{
	struct vr_router_conf c[3];

	(void)state;
	pair(c);
	c[2] = vrrp("c", 3, 100);
	c[2].ifx = 1;
	make(c, 2);
	s->quiet = true;
	start();
	run(3700);
	expect("@0 a=BACKUP; b=BACKUP; @3609.375 a=ACTIVE; take a; "
	       "b=ACTIVE; take b;");
	/* One that joins an active group is active. */
	c[2].group = 7;
	c[2].start_delay_ms = 100000;
	reload(c, 3);
	expect("@3700 c=BACKUP; c=ACTIVE; take c;");
	/* One that leaves it does not take the others with it. */
	reload(c, 2);
	expect("@3700 c=INIT; release c; gone 2;");
	link_is(1, false);
	expect("@3700 b=INIT; release b; a=INIT; release a;");
	c[0].group = 0;
	reload(c, 2);
	expect("@3700 a=BACKUP;");
	/* And joins one that is held. */
	c[0].group = 7;
	reload(c, 2);
	expect("@3700 a=INIT;");
}

static void
reload_before_start_and_after_stop(void **state)
{
	struct vr_router_conf c[2] = {vrrp("a", 1, 255), vrrp("b", 2, 255)};

	(void)state;
	make(c, 1);
	reload(c, 2);
	expect("");
	start();
	expect("@0 a=ACTIVE; take a; a says 255; b=ACTIVE; take b; "
	       "b says 255;");
	s->manual = true;
	reload(c, 1);
	stop();
	expect("@0 b=INIT; release b; a=INIT; release a;");
	reload(c, 2);
	expect("");
	answer(A, false, NULL);
	expect("@0 a says 0;");
	answer(B, false, NULL);
	expect("@0 b says 0; gone 1; done;");
}

/* Ids run out only if nothing is ever released; then they are taken back. */
static void
reload_without_end(void **state)
{
	struct vr_status st;
	uint32_t seq;
	int i, k;

	(void)state;
	for (i = 0; i < HAD_ROUTERS_MAX; i++) {
		many[i] = vrrp("r", (uint8_t)(i % 255 + 1), 255);
		many[i].ifx = (uint16_t)(i / 255);
	}
	make(many, HAD_ROUTERS_MAX);
	s->manual = s->quiet = true;
	start();
	seq = s->seq[0];
	for (k = 0; k < 5; k++) {
		for (i = 0; i < HAD_ROUTERS_MAX; i++)
			many[i].ifx = (uint16_t)((k + 1) * 4 + i / 255);
		s->out[0] = '\0';
		reload(many, HAD_ROUTERS_MAX);
	}
	assert_int_equal(vr_ids(s->v), VR_SLOTS);
	/* A late answer to a predecessor is not an answer to this one. */
	step_raw((struct vr_event){
	    .type = VR_EV_RELEASED, .u.result = {0, seq + 1, true, NULL}});
	vr_status(s->v, vr_find(s->v, 20, 4, 1), &st);
	assert_int_equal(st.state, VR_ACTIVE);
	s->out[0] = '\0';
}

/* n routers with an interval of 10 ms; the odd ones own, or all, or none. */
static void
begin_many(int n, uint8_t priority)
{
	int i;

	for (i = 0; i < n; i++) {
		many[i] = vrrp("r", (uint8_t)(i + 1), priority);
		many[i].interval_ms = 10;
	}
	make(many, (uint16_t)n);
	s->quiet = true;
	start();
	s->out[0] = '\0';
}

/* 255 masters at 10 ms: one wake-up and one flush per interval. */
static void
many_masters(void **state)
{
	unsigned sent, flushes, wakeups;

	(void)state;
	begin_many(255, 255);
	run(1000);
	sent = s->sent;
	flushes = s->flushes;
	wakeups = s->wakeups;
	run(2000);
	assert_int_equal(s->sent - sent, 255 * 100);
	assert_int_equal(s->flushes - flushes, 100);
	assert_int_equal(s->wakeups - wakeups, 100);
}

/* They become masters at any time, and keep the same beat nevertheless. */
static void
many_masters_in_step(void **state)
{
	unsigned wakeups;
	int i;

	(void)state;
	begin_many(255, 200);
	for (i = 0; i < 255; i++) {
		run_us(s->now_us + 137);
		step((struct vr_event){.type = VR_EV_ADVERT,
		    .u.advert = {(uint16_t)i,
			{.src = {192, 0, 2, 9}, .interval_ms = 10}}});
	}
	run(1000);
	s->out[0] = '\0';
	wakeups = s->wakeups;
	run(2000);
	assert_int_equal(s->wakeups - wakeups, 100);
}

/* 255 that hear a master: a timer is touched by few adverts, none wakes. */
static void
many_backups(void **state)
{
	unsigned wakeups = 0, calls = 0;
	int64_t t;
	int i;

	(void)state;
	begin_many(255, 100);
	for (t = 10; t <= 3000; t += 10) {
		at(t);
		if (t == 2000) {
			wakeups = s->wakeups;
			calls = s->timer_calls;
		}
		for (i = 0; i < 255; i++)
			hear_every((uint16_t)i, 9, 200, 10);
	}
	assert_string_equal(s->out, "");
	/* Alarms move before they come, at most once in a round. */
	assert_int_equal(s->wakeups, wakeups);
	assert_in_range(s->timer_calls - calls, 1, 100);
	/* And all are there when the master is gone: 36.09375 ms later. */
	run(3036);
	assert_string_equal(s->out, "");
	run(3037);
	for (i = 0; i < 255; i++)
		assert_int_equal(status((uint16_t)i).state, VR_ACTIVE);
	s->out[0] = '\0';
}

/* The heap against the truth: all deadlines are met, in any order. */
static void
many_different(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 255; i++) {
		many[i] = vrrp("r", (uint8_t)(i + 1), (uint8_t)(1 + i % 254));
		many[i].interval_ms = (uint32_t)(10 * (1 + i * 7 % 97));
	}
	make(many, 255);
	s->quiet = true;
	start();
	run(4000);
	for (i = 0; i < 255; i++) {
		int64_t us = many[i].interval_ms * INT64_C(1000);
		int64_t down = 3 * us + (256 - many[i].priority) * us / 256;
		struct vr_status st = status((uint16_t)i);

		assert_int_equal(st.state, VR_ACTIVE);
		assert_int_equal(st.since.us, down);
		assert_int_equal(st.sent, 1 + 4000000 / us - down / us);
	}
	s->out[0] = '\0';
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(group_takes),
	    T(group_waits_for_all),
	    T(group_waits_for_a_dead_peer_that_speaks),
	    T(group_preempts_again),
	    T(group_falls),
	    T(group_starts_whole),
	    T(group_take_fails),
	    T(group_order),
	    T(reload_keeps),
	    T(reload_changes),
	    T(reload_tells_of_the_interval),
	    T(reload_groups),
	    T(reload_before_start_and_after_stop),
	    T(reload_without_end),
	    T(many_masters),
	    T(many_masters_in_step),
	    T(many_backups),
	    T(many_different),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
