/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers: what had adds to the RFCs, as transcripts in virtual
 * milliseconds: taking and releasing, links, tracks, delays, orders, gaps.
 */
#include "vr_world.h"

enum { A, B, C };

static void
become_active(void)
{
	begin(vrrp("a", 1, 100));
	run(3700);
	expect("@0 a=BACKUP; @3609.375 a=ACTIVE; take a; a says 100;");
}

/* The word is taken back, when all is silent, and others come first. */
static void
take_fails(void **state)
{
	(void)state;
	begin(vrrp("a", 1, 100));
	s->manual = true;
	run(3610);
	expect("@0 a=BACKUP; @3609.375 a=ACTIVE; take a; a says 100;");
	answer(A, true, "no such device");
	expect("@3610 a=BACKUP; release a;");
	noted("router a: not taken: no such device");
	answer(A, false, NULL);
	expect("@3610 a says 0;");
	assert_int_equal(status(A).take_failed, 1);
	assert_false(s->told[A].able);
	/* Master down comes later than the end of the pause anyway. */
	run(4609);
	assert_false(s->told[A].able);
	run(4610);
	assert_true(s->told[A].able);
	run(7219);
	expect("");
	run(7220);
	expect("@7219.375 a=ACTIVE; take a; a says 100;");
}

/* The pause doubles up to 32 s, and a take that succeeds ends it. */
static void
take_backoff(void **state)
{
	static const int64_t pause[] = {
	    1000, 2000, 4000, 8000, 16000, 32000, 32000};
	struct vr_router_conf c = vrrp("a", 1, 200);
	int64_t failed;
	size_t i;

	(void)state;
	c.interval_ms = 10;
	make(&c, 1);
	s->manual = s->quiet = true;
	start();
	for (i = 0; i < NITEMS(pause); i++) {
		run(s->now_us / 1000 + 1);
		while (!s->asked[A])
			run(s->now_us / 1000 + 1);
		if (i > 0)
			assert_int_equal(
			    status(A).since.us - failed, pause[i - 1] * 1000);
		failed = s->now_us;
		answer(A, true, "busy");
		answer(A, false, NULL);
	}
	run(s->now_us / 1000 + 40000);
	answer(A, true, NULL);
	assert_true(status(A).held);
	link_is(0, false);
	answer(A, false, NULL);
	link_is(0, true);
	run(s->now_us / 1000 + 100);
	failed = s->now_us;
	answer(A, true, "busy");
	answer(A, false, NULL);
	run(s->now_us / 1000 + 999);
	assert_int_equal(status(A).state, VR_BACKUP);
	run(s->now_us / 1000 + 1);
	assert_int_equal(status(A).state, VR_ACTIVE);
}

/* Answers to an older order mean nothing. */
static void
late_answers(void **state)
{
	(void)state;
	begin(vrrp("a", 1, 255));
	s->manual = true;
	link_is(0, false);
	link_is(0, true);
	expect("@0 a=ACTIVE; take a; a says 255; a=INIT; release a; "
	       "a=ACTIVE; take a; a says 255;");
	step_raw((struct vr_event){.type = VR_EV_RELEASED,
	    .u.result = {A, s->seq[A] - 1, true, NULL}});
	step_raw((struct vr_event){
	    .type = VR_EV_TOOK, .u.result = {A, s->seq[A] - 2, false, "late"}});
	expect("");
	answer(A, true, NULL);
	assert_true(status(A).held);
	/* And a second word on the same is none. */
	step_raw((struct vr_event){
	    .type = VR_EV_TOOK, .u.result = {A, s->seq[A], false, "again"}});
	expect("");
	link_is(0, false);
	expect("@0 a=INIT; release a;");
	step_raw((struct vr_event){
	    .type = VR_EV_TOOK, .u.result = {A, s->seq[A], true, NULL}});
	assert_true(status(A).held);
}

/* Not silent is not released: nobody is told to take. */
static void
release_fails(void **state)
{
	(void)state;
	become_active();
	s->manual = true;
	stop();
	expect("@3700 a=INIT; release a;");
	answer(A, false, "netlink says no");
	noted("router a: not released: netlink says no");
	assert_true(s->told[A].holds);
	run(3799);
	expect("");
	run(3800);
	expect("@3800 release a;");
	answer(A, false, NULL);
	expect("@3800 a says 0; done;");
	assert_false(s->told[A].holds);
}

/* After the third time the guard has to do: it has closed by then. */
static void
release_fails_for_good(void **state)
{
	(void)state;
	become_active();
	s->manual = true;
	order(A, VR_ORDER_RELEASE, 0);
	answer(A, false, "no");
	run(3800);
	answer(A, false, "no");
	run(3900);
	expect("@3700 a=BACKUP; release a; @3800 release a; "
	       "@3900 release a;");
	answer(A, false, "no");
	expect("@3900 a says 0;");
	noted("its addresses are left to the guard");
	assert_false(status(A).held);
}

/* A new master was heard while the addresses were going: no farewell. */
static void
no_late_farewell(void **state)
{
	(void)state;
	become_active();
	s->manual = true;
	order(A, VR_ORDER_RELEASE, 0);
	run(3750);
	hear(A, 9, 90);
	answer(A, false, NULL);
	expect("@3700 a=BACKUP; release a;");
	assert_int_equal(status(A).farewells_sent, 0);
}

/* A link that is down holds it in INIT, and carries no farewell. */
static void
links(void **state)
{
	struct vr_router_conf c[2] = {vrrp("a", 1, 255), vrrp("b", 1, 100)};

	(void)state;
	c[1].ifx = 1;
	make(c, 2);
	link_is(1, false);
	start();
	expect("@0 a=ACTIVE; take a; a says 255;");
	assert_string_equal(status(B).reason, "its interface is down");
	run(500);
	link_is(0, false);
	link_is(0, false);
	expect("@500 a=INIT; release a;");
	run(900);
	link_is(1, true);
	expect("@900 b=BACKUP;");
	run(1000);
	link_is(0, true);
	expect("@1000 a=ACTIVE; take a; a says 255;");
	run(4600);
	s->quiet = true;
	expect("@2000 a says 255; @3000 a says 255; @4000 a says 255; "
	       "@4509.375 b=ACTIVE; take b; b says 100;");
	hear(B, 9, 200);
	link_is(1, false);
	link_is(1, true);
	assert_false(status(B).has_master);
	expect("@4600 b=BACKUP; release b; b=INIT; b=BACKUP;");
}

/* Weights add while up or take away while down; never the owner's. */
static void
track_weights(void **state)
{
	struct vr_router_conf c[3] = {
	    vrrp("a", 1, 100), vrrp("b", 2, 255), vrrp("c", 3, 250)};
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		c[i].n_tracks = 2;
		c[i].tracks[0] = (struct vr_track){5, 20, false};
		c[i].tracks[1] = (struct vr_track){6, -120, false};
	}
	make(c, 3);
	s->quiet = true;
	start();
	assert_int_equal(status(A).priority, 120);
	assert_int_equal(status(A).base_priority, 100);
	assert_int_equal(status(B).priority, 255);
	assert_int_equal(status(C).priority, 254);
	track_is(5, false, 0);
	assert_int_equal(status(A).priority, 100);
	assert_int_equal(status(C).priority, 250);
	track_is(6, false, 0);
	assert_int_equal(status(A).priority, 1);
	assert_int_equal(status(B).priority, 255);
	assert_int_equal(status(C).priority, 130);
	track_is(5, true, 0);
	assert_int_equal(status(A).priority, 1);
	track_is(6, true, 0);
	track_is(7, false, 0);
	assert_int_equal(status(A).priority, 120);
	expect("@0 a=BACKUP; b=ACTIVE; take b; c=BACKUP;");
}

/* The others do not have to wait for the next advert. */
static void
track_tells_at_once(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);

	(void)state;
	c.n_tracks = 1;
	c.tracks[0] = (struct vr_track){5, -30, false};
	begin(c);
	run(3700);
	expect("@0 a=BACKUP; @3609.375 a=ACTIVE; take a; a says 100;");
	track_is(5, false, 0);
	expect("@3700 a says 70;");
	track_is(5, false, 0);
	expect("");
	run(4000);
	expect("@4000 a says 70;");
	/* One with 80 is now better. */
	hear(A, 9, 80);
	expect("@4000 a=BACKUP; release a;");
}

static void
track_fault(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 255);

	(void)state;
	c.n_tracks = 1;
	c.tracks[0] = (struct vr_track){5, 0, false};
	begin(c);
	expect("@0 a=ACTIVE; take a; a says 255;");
	track_is(5, false, 0);
	expect("@0 a=INIT; release a; a says 0;");
	track_is(5, true, 0);
	expect("@0 a=ACTIVE; take a; a says 255;");
}

/* Before START, too: it never speaks before all that it needs is there. */
static void
track_fault_at_start(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 255);

	(void)state;
	c.n_tracks = 1;
	c.tracks[0] = (struct vr_track){5, 0, false};
	make(&c, 1);
	track_is(5, false, 0);
	start();
	expect("");
	assert_string_equal(
	    status(A).reason, "something that it depends on is down");
	track_is(5, true, 0);
	expect("@0 a=ACTIVE; take a; a says 255;");
}

static void
track_scaled(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);

	(void)state;
	c.n_tracks = 1;
	c.tracks[0] = (struct vr_track){5, -10, true};
	begin(c);
	assert_int_equal(status(A).priority, 100);
	track_is(5, true, 3);
	assert_int_equal(status(A).priority, 70);
	track_is(5, true, -2);
	assert_int_equal(status(A).priority, 120);
	track_is(5, true, 25);
	assert_int_equal(status(A).priority, 1);
	assert_int_equal(status(A).state, VR_BACKUP);
	track_is(5, true, 26);
	assert_int_equal(status(A).state, VR_INIT);
	track_is(5, true, INT32_MIN);
	assert_int_equal(status(A).state, VR_BACKUP);
	assert_int_equal(status(A).priority, 254);
	track_is(5, true, 1);
	assert_int_equal(status(A).priority, 90);
}

/* A delay counts from the first worse advert; a better one ends it. */
static void
preempt_delay(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);
	int64_t t;

	(void)state;
	c.preempt_delay_ms = 10000;
	begin(c);
	expect("@0 a=BACKUP;");
	for (t = 1000; t <= 8000; t += 1000) {
		at(t);
		hear(A, 9, 50);
	}
	at(9000);
	hear(A, 9, 150);
	for (t = 10000; t <= 22000; t += 1000) {
		at(t);
		hear(A, 9, 50);
	}
	expect("");
	/* Heard at 19000 for the last time before the end of the delay. */
	run(22900);
	expect("@22609.375 a=ACTIVE; take a; a says 100;");
}

/* Nothing is preempted where nobody is: no delay then. */
static void
preempt_delay_does_not_delay_failover(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);

	(void)state;
	c.preempt_delay_ms = 100000;
	begin(c);
	at(1000);
	hear(A, 9, 50);
	run(4600);
	expect("@0 a=BACKUP;");
	run(4610);
	expect("@4609.375 a=ACTIVE; take a; a says 100;");
}

static void
start_delay(void **state)
{
	struct vr_router_conf c[2] = {vrrp("a", 1, 255), vrrp("b", 2, 100)};

	(void)state;
	c[0].start_delay_ms = 5000;
	c[1].start_delay_ms = 7000;
	make(c, 2);
	start();
	assert_string_equal(status(A).reason, "start-up delay");
	run(4999);
	hear(A, 9, 100);
	expect("");
	run(7000);
	expect("@5000 a=ACTIVE; take a; a says 255; @6000 a says 255; "
	       "@7000 a says 255; b=BACKUP;");
	/* It is of the start only. */
	link_is(0, false);
	link_is(0, true);
	expect("@7000 a=INIT; release a; b=INIT; a=ACTIVE; take a; "
	       "a says 255; b=BACKUP;");
}

/* An operator's release: who takes is left alone, but nobody is not. */
static void
order_release(void **state)
{
	int64_t t;

	(void)state;
	become_active();
	order(A, VR_ORDER_RELEASE, 0);
	expect("@3700 a=BACKUP; release a; a says 0;");
	for (t = 4000; t <= 20000; t += 1000) {
		at(t);
		hear(A, 9, 50);
	}
	expect("");
	assert_true(s->told[A].able);
	run(23700);
	expect("@23609.375 a=ACTIVE; take a; a says 100;");
	/* Then all is as it was. */
	link_is(0, false);
	link_is(0, true);
	hear(A, 9, 50);
	run(26000);
	hear(A, 9, 50);
	expect("@23700 a=INIT; release a; a=BACKUP;");
	run(27310);
	expect("@27309.375 a=ACTIVE; take a; a says 100;");
}

static void
order_resume(void **state)
{
	(void)state;
	become_active();
	order(A, VR_ORDER_RELEASE, 0);
	hear(A, 9, 50);
	order(A, VR_ORDER_RESUME, 0);
	expect("@3700 a=BACKUP; release a; a says 0;");
	at(4700);
	hear(A, 9, 50);
	run(7310);
	expect("@7309.375 a=ACTIVE; take a; a says 100;");
}

static void
order_standby(void **state)
{
	(void)state;
	become_active();
	order(A, VR_ORDER_STANDBY, 0);
	order(A, VR_ORDER_RELEASE, 0);
	run(60000);
	expect("@3700 a=INIT; release a; a says 0;");
	assert_string_equal(status(A).reason, "ordered to stand by");
	order(A, VR_ORDER_RESUME, 0);
	expect("@60000 a=BACKUP;");
}

/* Bound: it does what it is told, and nothing else. */
static void
bound(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);

	(void)state;
	c.bound = true;
	begin(c);
	run(60000);
	expect("@0 a=BACKUP;");
	hear(A, 9, 50);
	hear(A, 8, 0);
	assert_true(status(A).has_master);
	hear(A, 9, 0);
	assert_false(status(A).has_master);
	hear(A, 9, 50);
	assert_true(status(A).has_master);
	run(64000);
	assert_false(status(A).has_master);
	order(A, VR_ORDER_ACTIVE, 0);
	run(65000);
	expect("@64000 a=ACTIVE; a says 100; @65000 a says 100;");
	order(A, VR_ORDER_ACTIVE, 180);
	order(A, VR_ORDER_ACTIVE, 180);
	expect("@65000 a says 180;");
	order(A, VR_ORDER_BACKUP, 20);
	expect("@65000 a=BACKUP; a says 0;");
	assert_int_equal(status(A).priority, 20);
	assert_int_equal(s->tells, 0);
	stop();
	expect("@65000 a=INIT; done;");
}

/* Two that speak: the better one says so, and who decides is told. */
static void
bound_conflict(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);

	(void)state;
	c.bound = true;
	begin(c);
	order(A, VR_ORDER_ACTIVE, 0);
	expect("@0 a=BACKUP; a=ACTIVE; a says 100;");
	run(300);
	hear(A, 9, 200);
	hear(A, 9, 200);
	expect("@300 conflict a .9;");
	run(600);
	hear(A, 9, 50);
	expect("@600 a says 100;");
	run(1350);
	hear(A, 9, 200);
	expect("@1000 a says 100; @1350 conflict a .9;");
	hear(A, 9, 0);
	expect("@1350 a says 100;");
	assert_int_equal(status(A).conflicts, 4);
	assert_int_equal(status(A).state, VR_ACTIVE);
}

/* The order outlives a link, but not a gap. */
static void
bound_link_and_gap(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);

	(void)state;
	c.bound = true;
	make(&c, 1);
	order(A, VR_ORDER_ACTIVE, 0);
	start();
	expect("@0 a=ACTIVE; a says 100;");
	link_is(0, false);
	link_is(0, true);
	expect("@0 a=INIT; a=ACTIVE; a says 100;");
	gap(101);
	expect("@0 a=BACKUP;");
	link_is(0, false);
	link_is(0, true);
	expect("@0 a=INIT; a=BACKUP;");
}

/* After a thaw: stand down, without farewell, and listen first. */
static void
gap_long(void **state)
{
	struct vr_router_conf c[2] = {vrrp("a", 1, 255), vrrp("b", 2, 100)};

	(void)state;
	make(c, 2);
	s->quiet = true;
	start();
	run(3000);
	expect("@0 a=ACTIVE; take a; b=BACKUP;");
	s->now_us += 20000000;
	gap(20000);
	expect("@23000 a=BACKUP; release a;");
	assert_int_equal(status(A).farewells_sent, 0);
	run(26003);
	expect("");
	run(26610);
	expect("@26003.906 a=ACTIVE; take a; @26609.375 b=ACTIVE; take b;");
}

/* What is held is still this one's: only who listens begins anew. */
static void
gap_that_took_nothing(void **state)
{
	struct vr_router_conf c[2] = {vrrp("a", 1, 255), vrrp("b", 2, 100)};
	struct vr_event e = {.type = VR_EV_GAP, .u.gap = {101, true}};

	(void)state;
	make(c, 2);
	s->quiet = true;
	start();
	run(3600);
	e.now.us = s->now_us;
	vr_step(s->v, &e);
	expect("@0 a=ACTIVE; take a; b=BACKUP;");
	run(7209);
	expect("");
	run(7210);
	expect("@7209.375 b=ACTIVE; take b;");
}

/* A short one: only what was not listened to does not count. */
static void
gap_short(void **state)
{
	struct vr_router_conf c[2] = {vrrp("a", 1, 255), vrrp("b", 2, 100)};

	(void)state;
	make(c, 2);
	s->quiet = true;
	start();
	run(3600);
	s->now_us += 100000;
	gap(100);
	expect("@0 a=ACTIVE; take a; b=BACKUP;");
	run(3709);
	expect("");
	run(3710);
	expect("@3709.375 b=ACTIVE; take b;");
}

/* A router in a state, with something that is due, held in INIT by an order. */
static void
in_state(enum vr_state want)
{
	struct vr_router_conf c = vrrp("a", 1, 100);

	c.n_tracks = 1;
	c.start_delay_ms = 10000;
	begin(c);
	s->manual = true;
	if (want != VR_INIT)
		run(10000);
	if (want == VR_ACTIVE)
		run(13700);
	assert_int_equal(vr_state(s->v, A), want);
}

/* Every state has an answer to every event; START comes once, in INIT. */
static void
table_is_total(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);
	struct vr_conf conf = {&c, 1, 100, 500};
	size_t i, e;

	(void)state;
	for (i = 0; i < VR_STATE_N; i++)
		for (e = VR_EV_START + 1; e < VR_EV_N; e++) {
			struct vr_event ev = {.type = (enum vr_ev)e};

			in_state((enum vr_state)i);
			if (e == VR_EV_CONFIG)
				ev.u.conf = &conf;
			else if (e == VR_EV_ADVERT)
				ev.u.advert.a.interval_ms = 1000;
			else if (e == VR_EV_ORDER)
				ev.u.order.order = VR_ORDER_RELEASE;
			else if (e == VR_EV_TIMER)
				s->now_us += 36000000;
			step_raw(ev);
			if (s->cells[e][i] == 0)
				print_error("%s in %s\n",
				    vr_ev_name((enum vr_ev)e),
				    vr_state_name((enum vr_state)i));
			assert_true(s->cells[e][i] > 0);
			vr_free(s->v);
		}
	in_state(VR_INIT);
	assert_int_equal(s->cells[VR_EV_START][VR_INIT], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(take_fails),
	    T(take_backoff),
	    T(late_answers),
	    T(release_fails),
	    T(release_fails_for_good),
	    T(no_late_farewell),
	    T(links),
	    T(track_weights),
	    T(track_tells_at_once),
	    T(track_fault),
	    T(track_fault_at_start),
	    T(track_scaled),
	    T(preempt_delay),
	    T(preempt_delay_does_not_delay_failover),
	    T(start_delay),
	    T(order_release),
	    T(order_resume),
	    T(order_standby),
	    T(bound),
	    T(bound_conflict),
	    T(bound_link_and_gap),
	    T(gap_long),
	    T(gap_that_took_nothing),
	    T(gap_short),
	    T(table_is_total),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
