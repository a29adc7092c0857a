/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of arbitration, one scene each.
 */
#include <string.h>

#include "sim.h"

static bool
bravo_runs(struct world *w)
{
	return bravo(w)->running &&
	       status(bravo(w))->svc.services[0].state == SVC_RUNNING;
}

/* R3: the peer is silent; it is acted on when it is verified off. */
static void
R3_fence_verified(struct world *w)
{
	scene_begin(w);
	w->stays_off = true;
	daemon_pause(alpha(w));
	expect(w, run_till(w, bravo_runs, 10000), "bravo runs the service");
	expect(w, !alpha(w)->powered && w->fenced == 1, "alpha was fenced");
	scene_end(w);
}

/* R7: heard, but not hearing: to the arbiters it says that alpha is silent. */
static void
R7_heard_but_unheard(struct world *w)
{
	scene_begin(w);
	link_set(w, 0, 0, true);
	run_ms(w, 3000);
	link_set(w, LAN, 0, true);
	run_ms(w, 5000);
	expect(w, w->voter[0].holder == 1 && w->voter[0].epoch == 2,
	    "alpha knew it and got the lease");
	expect(w, self_of(alpha(w)) == MB_ALONE, "alpha goes on alone");
	expect(w, self_of(bravo(w)) == MB_INERT, "bravo gave up");
	scene_end(w);
}

static bool
all_free(struct world *w)
{
	return lock_idle(w);
}

/* R7: locks stop with the data: the lease lets the other grant them. */
static void
R7_locks_stop_too(struct world *w)
{
	struct locker *a = &w->locker[0], *b = &w->locker[LOCKERS];

	scene_begin(w);
	w->lock_calm = true;
	expect(w, run_till(w, all_free, 10000), "all locks are free");
	w->lock_gap_us = 0;
	lock_ask(a, 0, LKM_EX, 0);
	run_ms(w, 200);
	expect(w, a->state == LK_HELD, "alpha holds EX");
	w->voter[0].cut[0] = true;
	link_cut(w, 0);
	link_cut(w, LAN);
	run_ms(w, w->conf->t.takeover_ms + 200);
	lock_ask(b, 0, LKM_EX, 0);
	run_ms(w, 200);
	expect(w, b->state == LK_HELD, "bravo holds it");
	expect(w, !a->holds || w->now >= a->held_until, "alpha does not");
	w->lock_gap_us = 10 * MS;
	scene_end(w);
}

/* R7: one way fails first; the peer counts from what it heard last. */
static void
R7_counts_from_what_was_heard(struct world *w)
{
	struct locker *b = &w->locker[LOCKERS];

	scene_begin(w);
	w->lock_calm = true;
	expect(w, run_till(w, all_free, 10000), "all locks are free");
	w->lock_gap_us = 0;
	lock_ask(b, 0, LKM_EX, 0);
	run_ms(w, 200);
	expect(w, b->state == LK_HELD, "bravo holds EX");
	w->voter[0].cut[1] = true;
	link_set(w, 0, 1, true);
	link_set(w, LAN, 1, true);
	run_ms(w, w->conf->t.heartbeat_ms);
	link_cut(w, 0);
	link_cut(w, LAN);
	run_ms(w, w->conf->t.takeover_ms - 200);
	lock_ask(&w->locker[0], 0, LKM_EX, 0);
	run_ms(w, 1000);
	expect(w, w->locker[0].state == LK_HELD, "alpha holds it now");
	w->lock_gap_us = 10 * MS;
	scene_end(w);
}

/* R1: off, but at which epoch?  Fencing tokens of locks would go back. */
static void
R1_verified_off_grants_no_locks(struct world *w)
{
	unsigned grants;

	scene_begin(w);
	host_power_off(bravo(w));
	run_ms(w, 10000);
	expect(w, self_of(alpha(w)) == MB_ALONE, "alpha goes on alone");
	host_power_off(alpha(w));
	run_ms(w, 1000);
	host_power_on(bravo(w));
	grants = w->grants;
	run_ms(w, 10000);
	expect(w, self_of(bravo(w)) == MB_ALONE, "bravo acts: alpha is off");
	expect(w, runs_on(w, 1) == 1, "with the address");
	expect(w, runs_on(w, 0) == -1, "without the data");
	expect(w, w->grants == grants, "and grants no lock");
	scene_end(w);
}

const struct scene scenes_arb[] = {
    {SCENE(R3_fence_verified), W_FENCE},
    {SCENE(R7_heard_but_unheard), W_WITNESS},
    {SCENE(R7_locks_stop_too), W_WITNESS},
    {SCENE(R7_counts_from_what_was_heard), W_WITNESS},
    {SCENE(R1_verified_off_grants_no_locks), W_FENCE},
};
const unsigned n_scenes_arb = NITEMS(scenes_arb);
