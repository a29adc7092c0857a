/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers: the rules of CARP, as transcripts in virtual milliseconds.
 * advbase 1, advskew 0: each second, down after 3 s; a skew counts 1/256 s.
 */
#include "vr_world.h"

enum { A, B };

/* INIT to BACKUP; nobody is heard for 3 * advbase + skew: ACTIVE. */
static void
times(void **state)
{
	(void)state;
	begin(carp_conf("a", 1, 128));
	run(3499);
	expect("@0 a=BACKUP;");
	/* Adverts each 1.5 s. */
	run(6100);
	expect("@3500 a=ACTIVE; take a; a says 1/128/0; "
	       "@4500 a says 1/128/0; @6000 a says 1/128/0;");
	assert_int_equal(status(A).interval_ms, 1500);
}

/* ucarp's dead ratio. */
static void
dead_ratio(void **state)
{
	struct vr_router_conf c = carp_conf("a", 1, 128);

	(void)state;
	c.dead_ratio = 5;
	begin(c);
	run(5499);
	expect("@0 a=BACKUP;");
	run(5500);
	expect("@5500 a=ACTIVE; take a; a says 1/128/0;");
}

/* Without advbase the skew alone is the interval. */
static void
no_advbase(void **state)
{
	struct vr_router_conf c = carp_conf("a", 1, 64);

	(void)state;
	c.advbase = 0;
	begin(c);
	run(749);
	expect("@0 a=BACKUP;");
	run(1000);
	expect("@750 a=ACTIVE; take a; a says 0/64/0; @1000 a says 0/64/0;");
}

static void
become_active(uint8_t skew)
{
	begin(carp_conf("a", 1, skew));
	s->quiet = true;
	run(3900);
	s->quiet = false;
	s->out[0] = '\0';
	s->said_us = -1;
	assert_int_equal(status(A).state, VR_ACTIVE);
}

/* The bow-out: 255/255, when all is silent. */
static void
bow_out(void **state)
{
	(void)state;
	become_active(100);
	s->manual = true;
	stop();
	expect("@3900 a=INIT; release a;");
	answer(A, false, NULL);
	expect("@3900 a says 255/255/0; done;");
}

/* ACTIVE: who advertises more often has it. */
static void
active_hears_faster(void **state)
{
	(void)state;
	become_active(100);
	carp(A, 9, 1, 99, 0);
	expect("@3900 a=BACKUP; release a;");
	assert_int_equal(status(A).master_interval_ms, 1386);
	run(7290);
	expect("");
	run(7291);
	expect("@7290.625 a=ACTIVE; take a; a says 1/100/0;");
}

static void
active_hears_slower(void **state)
{
	(void)state;
	become_active(100);
	carp(A, 0, 1, 101, 0);
	carp(A, 0, 2, 0, 0);
	expect("@3900 a says 1/100/0;");
	assert_int_equal(status(A).state, VR_ACTIVE);
}

/* Equal ones: the lower address, as ucarp has it. */
static void
active_hears_equal(void **state)
{
	(void)state;
	become_active(100);
	carp(A, 2, 1, 100, 0);
	expect("@3900 a says 1/100/0;");
	carp(A, 0, 1, 100, 0);
	expect("@3900 a=BACKUP; release a;");
}

/* A higher demotion loses, however fast; a lower wins, however slow. */
static void
active_hears_demoted(void **state)
{
	(void)state;
	become_active(100);
	carp(A, 0, 1, 0, 1);
	expect("@3900 a says 1/100/0;");
	vr_free(s->v);
	{
		struct vr_router_conf c = carp_conf("a", 1, 0);

		c.n_tracks = 1;
		c.tracks[0] = (struct vr_track){3, -40, false};
		begin(c);
	}
	run(3000);
	expect("@0 a=BACKUP; @3000 a=ACTIVE; take a; a says 1/0/0;");
	run(3500);
	track_is(3, false, 0);
	expect("@3500 a says 1/0/40;");
	assert_int_equal(status(A).demote, 40);
	carp(A, 9, 1, 200, 41);
	expect("@3500 a says 1/0/40;");
	carp(A, 9, 1, 200, 39);
	expect("@3500 a=BACKUP; release a;");
}

/* A bow-out is answered, as somebody may be about to take. */
static void
active_hears_bow_out(void **state)
{
	(void)state;
	become_active(100);
	carp(A, 9, 255, 255, 0);
	expect("@3900 a says 1/100/0;");
	assert_int_equal(status(A).farewells_received, 1);
}

/* BACKUP without preemption: any master will do. */
static void
backup_waits(void **state)
{
	int64_t t;

	(void)state;
	begin(carp_conf("a", 1, 0));
	expect("@0 a=BACKUP;");
	for (t = 1000; t < 30000; t += 2000) {
		at(t);
		carp(A, 9, 1, 200, 0);
	}
	expect("");
	run(32000);
	expect("@32000 a=ACTIVE; take a; a says 1/0/0;");
}

/* With it, a slower one is taken from at once. */
static void
backup_preempts(void **state)
{
	struct vr_router_conf c = carp_conf("a", 1, 100);

	(void)state;
	c.preempt = true;
	begin(c);
	expect("@0 a=BACKUP;");
	run(1000);
	carp(A, 9, 1, 100, 0);
	carp(A, 9, 1, 99, 0);
	expect("");
	carp(A, 9, 1, 101, 0);
	expect("@1000 a=ACTIVE; take a; a says 1/100/0;");
}

static void
backup_preempts_later(void **state)
{
	struct vr_router_conf c = carp_conf("a", 1, 100);

	(void)state;
	c.preempt = true;
	c.preempt_delay_ms = 2000;
	begin(c);
	run(1000);
	carp(A, 9, 1, 101, 0);
	at(2999);
	carp(A, 9, 1, 101, 0);
	expect("@0 a=BACKUP;");
	run(3000);
	carp(A, 9, 1, 101, 0);
	expect("@3000 a=ACTIVE; take a; a says 1/100/0;");
}

/* Not from a slower one that is demoted less. */
static void
backup_demoted_does_not_preempt(void **state)
{
	struct vr_router_conf c = carp_conf("a", 1, 100);

	(void)state;
	c.preempt = true;
	c.n_tracks = 1;
	c.tracks[0] = (struct vr_track){3, 5, false};
	make(&c, 1);
	track_is(3, false, 0);
	start();
	assert_int_equal(status(A).demote, 5);
	carp(A, 9, 1, 200, 4);
	expect("@0 a=BACKUP;");
	carp(A, 9, 1, 200, 5);
	expect("@0 a=ACTIVE; take a; a says 1/100/5;");
}

/* Masters demoted more are taken from, preemption or not. */
static void
backup_takes_from_demoted(void **state)
{
	(void)state;
	begin(carp_conf("a", 1, 200));
	carp(A, 9, 1, 0, 0);
	expect("@0 a=BACKUP;");
	carp(A, 9, 1, 0, 1);
	expect("@0 a=ACTIVE; take a; a says 1/200/0;");
}

/* One that would time out anyway is taken from now; a bow-out is one. */
static void
backup_takes_from_slow(void **state)
{
	(void)state;
	begin(carp_conf("a", 1, 100));
	carp(A, 9, 3, 100, 0);
	expect("@0 a=BACKUP;");
	carp(A, 9, 3, 101, 0);
	expect("@0 a=ACTIVE; take a; a says 1/100/0;");
}

static void
backup_takes_after_bow_out(void **state)
{
	(void)state;
	begin(carp_conf("a", 1, 100));
	carp(A, 9, 1, 0, 0);
	carp(A, 8, 255, 255, 0);
	expect("@0 a=BACKUP;");
	carp(A, 9, 255, 255, 0);
	expect("@0 a=ACTIVE; take a; a says 1/100/0;");
}

/* An order to give way holds against all that is heard, not against silence. */
static void
backup_yields(void **state)
{
	(void)state;
	become_active(0);
	order(A, VR_ORDER_RELEASE, 0);
	carp(A, 9, 1, 200, 3);
	carp(A, 9, 1, 200, 0);
	expect("@3900 a=BACKUP; release a; a says 255/255/0;");
	run(6900);
	expect("@6900 a=ACTIVE; take a; a says 1/0/0;");
}

/* Where others know no demotion, the skew says it; never beyond 240. */
static void
demotion_by_skew(void **state)
{
	struct vr_router_conf c = carp_conf("a", 1, 100);

	(void)state;
	c.demote_skew = true;
	c.n_tracks = 3;
	c.tracks[0] = (struct vr_track){3, -40, false};
	c.tracks[1] = (struct vr_track){4, 200, false};
	c.tracks[2] = (struct vr_track){5, -1, true};
	begin(c);
	run(3700);
	expect("@0 a=BACKUP; @3390.625 a=ACTIVE; take a; a says 1/100/0;");
	track_is(3, false, 0);
	expect("@3700 a says 1/140/0;");
	track_is(5, true, 7);
	expect("@3700 a says 1/147/0;");
	track_is(5, true, -7);
	track_is(4, false, 0);
	expect("@3700 a says 1/140/0; a says 1/240/0;");
	/* And the others' field counts as nothing of ours. */
	carp(A, 9, 1, 239, 0);
	expect("@3700 a=BACKUP; release a;");
}

/* Two lives never repeat a counter; what is heard is gone on from. */
static void
counters(void **state)
{
	uint64_t first, second;

	(void)state;
	become_active(100);
	first = s->last.counter;
	run(5300);
	assert_int_equal(s->last.counter, first + 1);
	carp(A, 9, 1, 99, 0);
	run(9000);
	assert_int_equal(status(A).state, VR_ACTIVE);
	assert_true(s->last.counter > 7000 && s->last.counter < 7010);
	vr_free(s->v);
	{
		struct vr_router_conf c[2] = {
		    carp_conf("a", 1, 0), carp_conf("b", 2, 0)};

		make(c, 2);
	}
	s->quiet = true;
	step((struct vr_event){.type = VR_EV_START, .u.start = {43}});
	run(3000);
	second = s->last.counter;
	assert_true(second != first);
	run(3999);
	assert_int_equal(s->sent, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(times),
	    T(dead_ratio),
	    T(no_advbase),
	    T(bow_out),
	    T(active_hears_faster),
	    T(active_hears_slower),
	    T(active_hears_equal),
	    T(active_hears_demoted),
	    T(active_hears_bow_out),
	    T(backup_waits),
	    T(backup_preempts),
	    T(backup_preempts_later),
	    T(backup_demoted_does_not_preempt),
	    T(backup_takes_from_demoted),
	    T(backup_takes_from_slow),
	    T(backup_takes_after_bow_out),
	    T(backup_yields),
	    T(demotion_by_skew),
	    T(counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
