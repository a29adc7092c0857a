/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers: every transition of RFC 9568, sections 6.4.1 to 6.4.3, and
 * of RFC 3768 where it differs, as transcripts in virtual milliseconds.
 * Priority 100 and 1 s: skew 609.375 ms, master down after 3609.375 ms.
 */
#include "vr_world.h"

enum { A, B };

/* 6.4.1: priority 255: send, announce (that is the take), ACTIVE. */
static void
init_owner(void **state)
{
	(void)state;
	begin(vrrp("a", 1, 255));
	expect("@0 a=ACTIVE; take a; a says 255;");
	assert_int_equal(s->flushes, 1);
	assert_int_equal(s->last.interval_ms, 1000);
	assert_string_equal(status(A).reason, "it owns the addresses");
}

/* 6.4.1: otherwise BACKUP, with Active_Down_Interval of its own interval. */
static void
init_backup(void **state)
{
	(void)state;
	begin(vrrp("a", 1, 100));
	expect("@0 a=BACKUP;");
	assert_int_equal(s->sent, 0);
	assert_int_equal(status(A).next.us, 3609375);
	assert_int_equal(status(A).master_interval_ms, 1000);
}

/* Before START nothing is done about anything. */
static void
init_before_start(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);

	(void)state;
	make(&c, 1);
	hear(A, 9, 200);
	link_is(0, false);
	link_is(0, true);
	run(100000);
	expect("");
	assert_int_equal(status(A).received, 1);
	assert_int_equal(status(A).state, VR_INIT);
	start();
	expect("@100000 a=BACKUP;");
}

/* 6.4.1: a shutdown in INIT has nothing to say. */
static void
init_shutdown(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);

	(void)state;
	make(&c, 1);
	link_is(0, false);
	start();
	stop();
	expect("@0 done;");
	assert_int_equal(s->sent, 0);
}

/* 6.4.2: shutdown: INIT, without an advert. */
static void
backup_shutdown(void **state)
{
	(void)state;
	begin(vrrp("a", 1, 100));
	expect("@0 a=BACKUP;");
	run(50);
	stop();
	expect("@50 a=INIT; done;");
	run(60000);
	expect("");
	assert_int_equal(s->sent, 0);
}

/* 6.4.2: Active_Down_Timer fires: send, announce, Adver_Timer, ACTIVE. */
static void
backup_timer(void **state)
{
	(void)state;
	begin(vrrp("a", 1, 100));
	expect("@0 a=BACKUP;");
	run(3609);
	expect("");
	run(3610);
	expect("@3609.375 a=ACTIVE; take a; a says 100;");
	run(6000);
	/* Adver_Timer; on the beat of all routers, never later than due. */
	expect("@4000 a says 100; @5000 a says 100; @6000 a says 100;");
	assert_int_equal(status(A).became_active, 1);
}

/* 6.4.2: priority 0 from the master: Active_Down_Timer = Skew_Time. */
static void
backup_farewell(void **state)
{
	(void)state;
	begin(vrrp("a", 1, 100));
	run(1000);
	hear(A, 9, 200);
	at(2000);
	hear(A, 9, 0);
	run(2600);
	expect("@0 a=BACKUP;");
	run(2610);
	expect("@2609.375 a=ACTIVE; take a; a says 100;");
	assert_int_equal(status(A).farewells_received, 1);
}

/* Nobody's master said farewell: the master goes on, and so does the timer. */
static void
backup_farewell_of_another(void **state)
{
	(void)state;
	begin(vrrp("a", 1, 100));
	expect("@0 a=BACKUP;");
	run(1000);
	hear(A, 9, 200);
	at(2000);
	hear(A, 8, 0);
	run(4600);
	expect("");
	assert_int_equal(status(A).farewells_received, 1);
	run(4610);
	expect("@4609.375 a=ACTIVE; take a; a says 100;");
}

/* 6.4.2: priority >= local: reset the timer; equal whatever the address. */
static void
backup_hears_better(void **state)
{
	int64_t t;

	(void)state;
	begin(vrrp("a", 1, 100));
	expect("@0 a=BACKUP;");
	for (t = 1000; t <= 20000; t += 1000) {
		at(t);
		hear(A, t % 2000 ? 0 : 9, t < 10000 ? 101 : 100);
	}
	expect("");
	assert_true(status(A).has_master);
	assert_int_equal(status(A).master_priority, 100);
	assert_int_equal(status(A).received, 20);
	run(23600);
	expect("");
	run(23610);
	expect("@23609.375 a=ACTIVE; take a; a says 100;");
	assert_false(status(A).has_master);
}

/*
 * 6.4.2: the master's interval is learned, and the skew with it: 100 ms, so
 * down after 300 + 60.9375 ms; the own interval is used for sending.
 */
static void
backup_learns(void **state)
{
	(void)state;
	begin(vrrp("a", 1, 100));
	expect("@0 a=BACKUP;");
	run(1000);
	hear_every(A, 9, 200, 100);
	assert_int_equal(status(A).master_interval_ms, 100);
	assert_int_equal(status(A).interval_ms, 1000);
	run(1360);
	expect("");
	run(2000);
	expect("@1360.937 a=ACTIVE; take a; a says 100; @2000 a says 100;");
	assert_int_equal(s->last.interval_ms, 1000);
	run(2000);
	hear_every(A, 9, 200, 40950);
	expect("@2000 a=BACKUP; release a;");
	run(2000 + 3 * 40950 + 24953);
	expect("");
	run(2000 + 3 * 40950 + 24954);
	expect("@149803.906 a=ACTIVE; take a; a says 100;");
}

/* 6.4.2: Preempt_Mode, lower priority: discarded, the timer goes on. */
static void
backup_preempts(void **state)
{
	(void)state;
	begin(vrrp("a", 1, 100));
	expect("@0 a=BACKUP;");
	at(1000);
	hear(A, 9, 99);
	at(2000);
	hear(A, 9, 99);
	at(3000);
	hear(A, 9, 99);
	assert_false(status(A).has_master);
	run(3610);
	expect("@3609.375 a=ACTIVE; take a; a says 100;");
	assert_int_equal(status(A).received, 3);
}

/* 6.4.2: no Preempt_Mode: a lower one is a master, too. */
static void
backup_does_not_preempt(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);
	int64_t t;

	(void)state;
	c.preempt = false;
	begin(c);
	expect("@0 a=BACKUP;");
	for (t = 1000; t <= 60000; t += 1000) {
		at(t);
		hear(A, 9, 1);
	}
	expect("");
	run(63610);
	expect("@63609.375 a=ACTIVE; take a; a says 100;");
}

/* 6.4.2: the owner preempts always. */
static void
backup_owner_preempts(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 255);

	(void)state;
	c.preempt = false;
	begin(c);
	gap(101);
	expect("@0 a=ACTIVE; take a; a says 255; a=BACKUP; release a;");
	at(1000);
	hear(A, 9, 200);
	at(2000);
	hear(A, 9, 200);
	at(3000);
	hear(A, 9, 200);
	run(3004);
	expect("@3003.906 a=ACTIVE; take a; a says 255;");
}

/* 6.4.3: shutdown: INIT, priority 0; here when the addresses are silent. */
static void
active_shutdown(void **state)
{
	(void)state;
	begin(vrrp("a", 1, 255));
	expect("@0 a=ACTIVE; take a; a says 255;");
	s->manual = true;
	run(500);
	stop();
	expect("@500 a=INIT; release a;");
	run(510);
	answer(A, false, NULL);
	expect("@510 a says 0; done;");
	assert_int_equal(status(A).farewells_sent, 1);
	run(60000);
	expect("");
}

/* 6.4.3: Adver_Timer fires: send, set it again. */
static void
active_timer(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 255);

	(void)state;
	c.interval_ms = 10;
	begin(c);
	run(30);
	expect("@0 a=ACTIVE; take a; a says 255; @10 a says 255; "
	       "@20 a says 255; @30 a says 255;");
	/* A late process sends one, not all that it missed. */
	s->now_us = 77000;
	run(80);
	expect("@77 a says 255; @80 a says 255;");
	assert_int_equal(s->flushes, 6);
}

static void
become_active(void)
{
	begin(vrrp("a", 1, 100));
	run(3700);
	expect("@0 a=BACKUP; @3609.375 a=ACTIVE; take a; a says 100;");
}

/* 6.4.3: priority 0: send an advert, reset Adver_Timer. */
static void
active_hears_farewell(void **state)
{
	(void)state;
	become_active();
	hear(A, 9, 0);
	expect("@3700 a says 100;");
	run(4000);
	expect("@4000 a says 100;");
	assert_int_equal(status(A).state, VR_ACTIVE);
}

/*
 * 6.4.3: greater priority: cancel Adver_Timer, learn the interval, set
 * Active_Down_Timer, BACKUP.  No farewell: somebody has it.
 */
static void
active_hears_higher(void **state)
{
	(void)state;
	become_active();
	hear_every(A, 0, 101, 500);
	expect("@3700 a=BACKUP; release a;");
	assert_int_equal(status(A).master_interval_ms, 500);
	assert_true(status(A).has_master);
	/* 3700 + 1500 + 500 * 156 / 256 */
	run(5600);
	expect("@5504.687 a=ACTIVE; take a; a says 100;");
}

/* 6.4.3: equal priority, greater address: BACKUP. */
static void
active_hears_equal_higher(void **state)
{
	(void)state;
	become_active();
	hear(A, 2, 100);
	expect("@3700 a=BACKUP; release a;");
}

/* 6.4.3: equal priority, smaller address: stays, and says so at once. */
static void
active_hears_equal_lower(void **state)
{
	(void)state;
	become_active();
	hear(A, 0, 100);
	expect("@3700 a says 100;");
}

/* 6.4.3: smaller priority: an advert at once; no flood answers a flood. */
static void
active_hears_lower(void **state)
{
	int i;

	(void)state;
	become_active();
	for (i = 0; i < 100; i++)
		hear(A, 9, 99);
	expect("@3700 a says 100;");
	run(3900);
	hear(A, 9, 99);
	expect("@3900 a says 100;");
	run(4000);
	expect("@4000 a says 100;");
}

/* Addresses of IPv6 are compared whole. */
static void
active_compares_ip6(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 255);
	struct vr_event ev = {.type = VR_EV_ADVERT,
	    .u.advert = {A, {.priority = 255, .interval_ms = 1000}}};

	(void)state;
	c.family = 6;
	memset(c.own_addr, 0x20, 16);
	begin(c);
	expect("@0 a=ACTIVE; take a; a says 255;");
	memset(ev.u.advert.a.src, 0x20, 16);
	ev.u.advert.a.src[15] = 0x1f;
	step(ev);
	expect("@0 a says 255;");
	noted("another machine says that it is the owner, too");
	ev.u.advert.a.src[15] = 0x21;
	step(ev);
	expect("@0 a=BACKUP; release a;");
	assert_int_equal(status(A).conflicts, 2);
}

/* RFC 3768: the skew is a part of a second, whatever the interval. */
static void
v2_skew(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);

	(void)state;
	c.proto = VR_VRRP2;
	c.interval_ms = 5000;
	begin(c);
	run(15609);
	expect("@0 a=BACKUP;");
	run(15610);
	expect("@15609.375 a=ACTIVE; take a; a says 100;");
	hear_every(A, 9, 200, 5000);
	at(20000);
	hear_every(A, 9, 0, 5000);
	expect("@15610 a=BACKUP; release a;");
	run(20610);
	expect("@20609.375 a=ACTIVE; take a; a says 100;");
}

/* RFC 3768, 7.1: another interval is no advert of this router. */
static void
v2_interval(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);

	(void)state;
	c.proto = VR_VRRP2;
	begin(c);
	expect("@0 a=BACKUP;");
	at(3000);
	hear_every(A, 9, 200, 2000);
	assert_int_equal(status(A).rejects[0], 1);
	assert_int_equal(status(A).received, 0);
	run(3610);
	expect("@3609.375 a=ACTIVE; take a; a says 100;");
	hear_every(A, 9, 200, 2000);
	expect("");
	assert_int_equal(status(A).rejects[0], 2);
}

/* An interval of nothing would make a master down at once. */
static void
v3_interval_zero(void **state)
{
	(void)state;
	begin(vrrp("a", 1, 100));
	expect("@0 a=BACKUP;");
	run(1000);
	hear_every(A, 9, 200, 0);
	assert_int_equal(status(A).rejects[0], 1);
	run(3600);
	expect("");
}

/* What the caller refused is counted where it belongs. */
static void
rejects(void **state)
{
	(void)state;
	begin(vrrp("a", 1, 100));
	step((struct vr_event){.type = VR_EV_REJECTED, .u.rejected = {A, 31}});
	step((struct vr_event){
	    .type = VR_EV_REJECTED, .u.rejected = {VR_NONE, 3}});
	step((struct vr_event){.type = VR_EV_REJECTED, .u.rejected = {77, 3}});
	assert_int_equal(status(A).rejects[31], 1);
	assert_int_equal(vr_strays(s->v), 2);
}

/* The form of the checksum is the one that the others use. */
static void
checksum_form(void **state)
{
	struct vr_event ev = {.type = VR_EV_ADVERT,
	    .u.advert = {A, {.src = {192, 0, 2, 9},
				.priority = 200,
				.interval_ms = 1000,
				.csum = VR_CSUM_PLAIN}}};

	(void)state;
	begin(vrrp("a", 1, 100));
	run(3700);
	assert_int_equal(s->last.csum, VR_CSUM_PSEUDO);
	step(ev);
	run(8000);
	assert_int_equal(status(A).state, VR_ACTIVE);
	assert_int_equal(s->last.csum, VR_CSUM_PLAIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(init_owner),
	    T(init_backup),
	    T(init_before_start),
	    T(init_shutdown),
	    T(backup_shutdown),
	    T(backup_timer),
	    T(backup_farewell),
	    T(backup_farewell_of_another),
	    T(backup_hears_better),
	    T(backup_learns),
	    T(backup_preempts),
	    T(backup_does_not_preempt),
	    T(backup_owner_preempts),
	    T(active_shutdown),
	    T(active_timer),
	    T(active_hears_farewell),
	    T(active_hears_higher),
	    T(active_hears_equal_higher),
	    T(active_hears_equal_lower),
	    T(active_hears_lower),
	    T(active_compares_ip6),
	    T(v2_skew),
	    T(v2_interval),
	    T(v3_interval_zero),
	    T(rejects),
	    T(checksum_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
