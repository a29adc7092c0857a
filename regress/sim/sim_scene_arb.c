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

/* R7: each hears the other, on different links: nothing happens meanwhile. */
static void
R7_crossed_links(struct world *w)
{
	scene_begin(w);
	link_set(w, 0, 0, true);
	link_set(w, LAN, 1, true);
	run_ms(w, 2500);
	expect(w, runs_on(w, 0) == 0 && nd_epoch(alpha(w)->nd) == 1,
	    "nothing moved");
	expect(w, alpha(w)->resets + bravo(w)->resets == 0, "nobody was reset");
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
	expect(w, !a->holds || w->sim->now >= a->held_until, "alpha does not");
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

/* R1: after boot a fence that says "off" is enough to act, not to own. */
static void
R1_waits_for_peer_at_boot(struct world *w)
{
	scene_begin(w);
	host_power_off(alpha(w));
	host_power_off(bravo(w));
	run_ms(w, 1000);
	host_power_on(bravo(w));
	w->voter[0].box->down = true;
	run_ms(w, 20000);
	expect(w, self_of(bravo(w)) == MB_INERT, "bravo waits for alpha");
	expect(w, runs_on(w, 0) == -1, "nothing runs");
	host_power_on(alpha(w));
	expect(w, run_till(w, shop_runs, 20000), "the pair runs the service");
	scene_end(w);
}

/* R1: the sole survivor starts again unattended, its lease was enough. */
static void
R1_solo_restarts(struct world *w)
{
	scene_begin(w);
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_runs, 10000), "bravo runs the service");
	host_power_off(bravo(w));
	run_ms(w, 1000);
	host_power_on(bravo(w));
	expect(w, run_till(w, bravo_runs, 10000), "and again after its boot");
	scene_end(w);
}

/*
 * R1: two that have booted agree, and are cut off before the second hears of
 * it.  An operator lets it act, at the very epoch of that pair.
 */
static void
R1_a_pair_that_one_never_heard_of(struct world *w)
{
	scene_begin(w);
	host_power_off(alpha(w));
	host_power_off(bravo(w));
	link_cut(w, 0); /* so that it is jeopardy (R2) */
	run_ms(w, 1000);
	host_power_on(alpha(w));
	host_power_on(bravo(w));
	while (self_of(alpha(w)) != MB_PAIRED && !w->sim->failed)
		run_until(w, w->sim->now + 50);
	expect(w, self_of(bravo(w)) == MB_INERT, "alpha has paired first");
	link_cut(w, LAN);
	run_ms(w, 5000);
	w->lied = true; /* alpha is not down */
	operator(bravo(w), ND_OP_SEED, -1, 1);
	run_ms(w, 5000);
	expect(w, self_of(bravo(w)) == MB_ALONE, "bravo acts alone");
	expect(w, nd_epoch(alpha(w)->nd) == nd_epoch(bravo(w)->nd),
	    "at the epoch of the pair");
	link_heal(w, 0);
	link_heal(w, LAN);
	expect(w, run_till(w, settled, 10000), "a pair in the end");
	scene_end(w);
}

/*
 * R1: the same, but the second was the sole survivor: it pairs first, and gives
 * up that it may start alone.  So nobody acts at two epochs.
 */
static void
R1_sole_survivor_pairs_first(struct world *w)
{
	scene_begin(w);
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_runs, 10000), "bravo runs the service");
	host_power_off(bravo(w));
	run_ms(w, 1000);
	host_power_on(alpha(w));
	host_power_on(bravo(w));
	while (self_of(alpha(w)) != MB_PAIRED &&
	       self_of(bravo(w)) != MB_PAIRED && !w->sim->failed)
		run_until(w, w->sim->now + 50);
	expect(w, self_of(alpha(w)) == MB_INERT, "bravo has paired first");
	expect(w, !status(bravo(w))->member.solo, "and must not start alone");
	host_power_off(bravo(w));
	run_ms(w, 5000);
	expect(w, self_of(alpha(w)) == MB_INERT, "alpha does not act");
	host_power_on(bravo(w));
	expect(w, run_till(w, settled, 10000), "a pair in the end");
	scene_end(w);
}

/* R1: what two operators force at once is found out, and refused. */
static void
R1_seeded_on_both_sides(struct world *w)
{
	scene_begin(w);
	link_cut(w, 0);
	link_cut(w, LAN);
	for (unsigned i = 0; i < HOSTS; i++) {
		host_power_off(&w->host[i]);
		host_power_on(&w->host[i]);
	}
	run_ms(w, 5000);
	w->lied = true; /* neither was down */
	operator(alpha(w), ND_OP_SEED, -1, 2);
	operator(bravo(w), ND_OP_SEED, -1, 1);
	run_ms(w, 5000);
	expect(w, status(alpha(w))->vols[0].primary, "alpha serves");
	expect(w, status(bravo(w))->vols[0].primary, "bravo serves as well");
	link_heal(w, 0);
	link_heal(w, LAN);
	run_ms(w, 10000);
	w->lied = false;
	expect(w,
	    status(alpha(w))->vols[0].conn == MIR_CONN_SPLIT &&
		status(bravo(w))->vols[0].conn == MIR_CONN_SPLIT,
	    "the conflict is found and nothing is copied");
	expect(w,
	    !(status(alpha(w))->vols[0].primary &&
		status(bravo(w))->vols[0].primary),
	    "one of them has yielded");
}

/* Its daemon starts anew, while alpha works without a disk of its own. */
static void
restart_bravo(struct world *w, bool stop)
{
	alpha(w)->disk.dead = true;
	run_ms(w, 4000);
	expect(w, runs_on(w, 0) == 0, "alpha goes on from bravo's copy");
	if (stop)
		operator(alpha(w), ND_OP_STOP, 0, 0);
	run_ms(w, 2000);
	daemon_kill(bravo(w));
	run_ms(w, 1000);
	daemon_start(bravo(w));
	expect(w, run_till(w, paired, 10000), "they are a pair again");
	run_ms(w, 3000);
}

static void
mend_alpha(struct world *w)
{
	daemon_kill(alpha(w));
	alpha(w)->disk.dead = false;
	run_ms(w, 1000);
}

/* R1: what a primary without a disk works on is the newest copy. */
static void
R1_copy_in_use_is_the_newest(struct world *w)
{
	scene_begin(w);
	restart_bravo(w, false);
	expect(w, runs_on(w, 0) == 0, "alpha goes on");
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_runs, 5000), "bravo runs the service");
	alpha(w)->disk.dead = false;
	scene_end(w);
}

/* R1: a service starts where the good copy is, not on a node without one. */
static void
R1_good_copy_starts(struct world *w)
{
	scene_begin(w);
	restart_bravo(w, true);
	expect(w, runs_on(w, 0) == -1, "it is stopped");
	operator(alpha(w), ND_OP_START, 0, 0);
	expect(w, run_till(w, bravo_runs, 10000), "bravo runs the service");
	mend_alpha(w);
	scene_end(w);
}

/* R2: with an arbiter that works, one link left is no jeopardy. */
static void
R2_arbiter_ends_jeopardy(struct world *w)
{
	scene_begin(w);
	link_cut(w, 0);
	run_ms(w, 3000);
	expect(w, !status(bravo(w))->member.jeopardy, "no jeopardy");
	w->voter[0].box->down = true;
	run_ms(w, 3000);
	expect(w, status(bravo(w))->member.jeopardy, "without it there is");
	w->voter[0].box->down = false;
	run_ms(w, 3000);
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_runs, 10000), "bravo runs the service");
	scene_end(w);
}

/* R2: what the kernel says of devices counts as one domain. */
static void
R2_shared_device(struct world *w)
{
	scene_begin(w);
	expect(w, status(bravo(w))->member.jeopardy, "both links are one");
	host_power_off(alpha(w));
	run_ms(w, 10000);
	expect(w, runs_on(w, 0) == -1, "bravo takes nothing");
	scene_end(w);
}

/* R3: it says so itself, on another way: each keeps what it holds. */
static void
R3_adverts_are_life(struct world *w)
{
	scene_begin(w);
	for (unsigned i = 2; i < ASSOCS; i++)
		for (unsigned d = 0; d < HOSTS; d++)
			w->assoc[i].mute = true;
	run_ms(w, 5000);
	expect(w, runs_on(w, 0) == 0, "alpha keeps the service");
	expect(w, self_of(bravo(w)) == MB_PAIRED, "bravo has not acted");
	for (unsigned i = 2; i < ASSOCS; i++)
		w->assoc[i].mute = false;
	scene_end(w);
}

/* Whoever has an address answers the other one that asks for it. */
static void
ask_for_addresses(struct world *w)
{
	for (unsigned i = 0; i < HOSTS; i++) {
		struct host *h = &w->host[i];

		for (unsigned id = 0; id < ADDRESSES; id++) {
			struct mail *m;

			if (!h->running || !answers(other(h), id) ||
			    !link_works(w, LAN))
				continue;
			m = mail_new(h, ND_EV_ADVERT, FROM_PING);
			m->e.u.advert.kind = ND_ADVERT_ARP;
			m->e.u.advert.address = (uint16_t)id;
			deliver_in(h, m, 300);
		}
	}
}

/* R3: SCTP is silent, but its guard is open: each keeps what it holds. */
static void
R3_answers_are_life(struct world *w)
{
	scene_begin(w);
	operator(bravo(w), ND_OP_TAKEOVER, 1, 0);
	run_ms(w, 3000);
	for (unsigned i = 2; i < ASSOCS; i++)
		w->assoc[i].mute = true;
	for (unsigned i = 0; i < 100; i++) {
		ask_for_addresses(w);
		run_ms(w, 50);
	}
	expect(w, runs_on(w, 0) == 0 && runs_on(w, 1) == 1, "nothing moves");
	expect(w,
	    self_of(alpha(w)) == MB_PAIRED && self_of(bravo(w)) == MB_PAIRED,
	    "nobody acts");
	for (unsigned i = 2; i < ASSOCS; i++)
		w->assoc[i].mute = false;
	scene_end(w);
}

/* R3: what answers before its guard has closed may be frozen all the same. */
static void
R3_early_answers_prove_nothing(struct world *w)
{
	unsigned asked = 0;

	scene_begin(w);
	daemon_pause(alpha(w));
	for (; answers(alpha(w), 0) && asked < 1000; asked++) {
		ask_for_addresses(w);
		run_ms(w, 1);
	}
	expect(w, asked > w->conf->t.lease_ms / 2, "alpha answers for a while");
	expect(w, run_till(w, bravo_runs, 2000), "bravo runs the service");
	scene_end(w);
}

/* R3: its last advert came after its last heartbeat: that is no life. */
static void
R3_last_advert_of_the_dead(struct world *w)
{
	scene_begin(w);
	for (int i = 0; i < 10 && !w->sim->failed; i++) {
		run_ms(w, 3000 + 13 * i);
		host_crash(bravo(w));
		run_ms(w, 2000);
		expect(w, self_of(alpha(w)) == MB_ALONE, "alpha goes on alone");
		host_power_on(bravo(w));
		expect(w, run_till(w, settled, 20000), "a pair again");
	}
	scene_end(w);
}

/* R4: in a cut both could fire: the one that holds data does, first. */
static void
R4_active_fires_first(struct world *w)
{
	scene_begin(w);
	link_cut(w, 0);
	link_cut(w, LAN);
	run_ms(w, 4000);
	expect(w, w->fenced == 1 && bravo(w)->resets == 1, "bravo was fenced");
	expect(w, runs_on(w, 0) == 0, "alpha keeps the service");
	scene_end(w);
}

/* R4: who runs on the other's copy has nothing to go on with. */
static void
R4_good_copy_fires_first(struct world *w)
{
	scene_begin(w);
	alpha(w)->disk.dead = true;
	run_ms(w, 5000);
	expect(w, runs_on(w, 0) == 0, "alpha goes on from bravo's copy");
	w->stays_off = true;
	link_cut(w, 0);
	link_cut(w, LAN);
	expect(w, run_till(w, bravo_runs, 4500), "bravo runs the service");
	expect(w, w->fenced == 1 && alpha(w)->resets == 1, "alpha was fenced");
	alpha(w)->disk.dead = false;
	scene_end(w);
}

/* R5: what fails is no success: the next level. */
static void
R5_next_level(struct world *w)
{
	scene_begin(w);
	w->agent[0][0].how = AG_FAIL;
	w->stays_off = true;
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_runs, 20000), "bravo runs the service");
	w->agent[0][0].how = AG_GOOD;
	scene_end(w);
}

/* R5: no level is left: everything waits for an operator, who has looked. */
static void
R5_freezes_until_confirmed(struct world *w)
{
	scene_begin(w);
	w->agent[0][0].how = AG_BOASTS;
	w->agent[0][1].how = AG_HANG;
	host_power_off(alpha(w));
	w->agent[0][0].how = AG_MUTE;
	run_ms(w, 30000);
	expect(w, !bravo_runs(w), "bravo does not act");
	expect(w, status(bravo(w))->arb.peers[0].state == ARB_FROZEN,
	    "it is frozen");
	operator(bravo(w), ND_OP_FENCE_CONFIRM, -1, 1);
	expect(w, run_till(w, bravo_runs, 5000), "now it does");
	scene_end(w);
}

/* R6: the voter goes, and comes back: nothing changes. */
static void
R6_lost_witness_changes_nothing(struct world *w)
{
	scene_begin(w);
	w->voter[0].box->down = true;
	run_ms(w, 10000);
	expect(w, runs_on(w, 0) == 0 && nd_epoch(alpha(w)->nd) == 1,
	    "nothing moved");
	w->voter[0].box->down = false;
	run_ms(w, 3000);
	expect(w, nd_epoch(alpha(w)->nd) == 1, "nor afterwards");
	scene_end(w);
}

static bool
all_are_settled(struct world *w)
{
	for (unsigned i = 0; i < w->sim->n_worlds; i++)
		if (!settled(w->sim->world[i]))
			return false;
	return true;
}

/* Five nodes: two pairs and one alone, with one witness and one switch. */
static void
five_begin(struct world *w)
{
	struct sim *s = w->sim;

	expect(w, s->n_worlds == 3 && s->world[2]->n_hosts == 1,
	    "two pairs and a node alone");
	for (unsigned k = 0; k < HOSTS; k++)
		host_power_on(&s->world[1]->host[k]);
	host_power_on(&s->world[2]->host[0]);
	scene_begin(w);
	expect(w, run_till(w, all_are_settled, 20000), "all are well");
	run_ms(w, 5000);
}

/* R6: the lease of one cluster says nothing about another's. */
static void
R6_each_cluster_has_its_lease(struct world *w)
{
	struct world *o = w->sim->world[1];
	int on;

	five_begin(w);
	on = runs_on(o, 0);
	link_cut(w, 0);
	link_cut(w, LAN);
	run_ms(w, 5000);
	expect(w, w->voter[0].holder == 1 && w->voter[0].epoch == 2,
	    "alpha has the lease of its cluster");
	expect(w, o->voter[0].epoch == 0, "nobody has that of the other one");
	expect(w, settled(o) && runs_on(o, 0) == on, "where nothing moved");
	link_cut(o, 0);
	link_cut(o, LAN);
	run_ms(w, 5000);
	expect(w, o->voter[0].epoch == 2 && o->voter[0].holder == on + 1,
	    "epoch 2 of the other one is still to be had");
	expect(w, w->voter[0].holder == 1 && w->voter[0].epoch == 2,
	    "and takes nothing from alpha");
	scene_end(w);
	expect(w, run_till(w, all_are_settled, 60000), "all are well again");
}

/* I7: the witness of all, then the switch of all: nobody moves anywhere. */
static void
R6_what_all_share_moves_nobody(struct world *w)
{
	struct sim *s = w->sim;

	five_begin(w);
	box_down(&s->witness);
	run_ms(w, 8000);
	s->witness.down = false;
	run_ms(w, 3000);
	for (unsigned i = 0; i < s->n_worlds; i++)
		for (unsigned k = 0; k < s->world[i]->n_hosts; k++)
			carrier_set(&s->world[i]->host[k], LAN, false);
	run_ms(w, 8000);
	for (unsigned i = 0; i < s->n_worlds; i++)
		expect(w, runs_on(s->world[i], 0) >= 0 && paired(s->world[i]),
		    "cluster %u goes on", i);
	scene_end(w);
	expect(w, run_till(w, all_are_settled, 60000), "all are well again");
}

/* R6: in a cut the lease sticks to the one that holds the data. */
static void
R6_lease_sticks_to_active(struct world *w)
{
	scene_begin(w);
	link_cut(w, 0);
	link_cut(w, LAN);
	run_ms(w, 5000);
	expect(w, w->voter[0].holder == 1, "the lease is alpha's");
	expect(w, runs_on(w, 0) == 0, "which keeps the service");
	expect(w, self_of(bravo(w)) == MB_INERT, "bravo gave up");
	scene_end(w);
}

/* R6: nor does it get the lease. */
static void
R6_lease_for_the_good_copy(struct world *w)
{
	scene_begin(w);
	alpha(w)->disk.dead = true;
	run_ms(w, 5000);
	expect(w, runs_on(w, 0) == 0, "alpha goes on from bravo's copy");
	link_cut(w, 0);
	link_cut(w, LAN);
	expect(w, run_till(w, bravo_runs, 10000), "bravo runs the service");
	expect(w, w->voter[0].holder == 2, "the lease is bravo's");
	expect(w, self_of(alpha(w)) == MB_INERT, "alpha gave up");
	daemon_kill(alpha(w));
	alpha(w)->disk.dead = false;
	run_ms(w, 1000);
	scene_end(w);
}

/* R7: without peer and lease the data stops before the other starts it. */
static void
R7_self_demotes(struct world *w)
{
	scene_begin(w);
	w->voter[0].cut[0] = true;
	link_cut(w, 0);
	link_cut(w, LAN);
	expect(w, run_till(w, bravo_runs, 10000), "bravo runs the service");
	expect(w, !alpha(w)->vol.open, "alpha serves the volume no more");
	scene_end(w);
}

/* R7: frozen, it cannot stop; its watchdog does not ask. */
static void
R7_watchdog_resets_the_frozen(struct world *w)
{
	scene_begin(w);
	daemon_pause(alpha(w));
	expect(w, run_till(w, bravo_runs, 10000), "bravo runs the service");
	expect(w, alpha(w)->resets == 1, "alpha was reset");
	run_ms(w, 5000);
	expect(w, runs_on(w, 0) == 1, "it stays there");
	scene_end(w);
}

/* R8: the whole machine stood still, watchdog and clock with it. */
static void
R8_machine_stood_still(struct world *w)
{
	scene_begin(w);
	machine_freeze(alpha(w));
	expect(w, run_till(w, bravo_runs, 10000), "bravo runs the service");
	run_ms(w, 3000);
	machine_thaw(alpha(w), false);
	run_ms(w, 3000);
	expect(w, bravo_runs(w) && runs_on(w, 0) == 1, "and alone");
	scene_end(w);
}

static unsigned
both_answer_ms(struct world *w)
{
	unsigned ms = 0;

	for (; answers(alpha(w), 1) && answers(bravo(w), 1) && ms < 5000; ms++)
		run_ms(w, 1);
	return ms;
}

/*
 * R8: both acted, at one epoch.  When heartbeats pass again one is silent at
 * once, though nothing else passes yet.
 */
static void
R8_tie_ends_with_a_heartbeat(struct world *w)
{
	unsigned ms;

	scene_begin(w);
	w->lied = true; /* silent peer takeover, and neither was down */
	link_cut(w, 0);
	link_cut(w, LAN);
	run_ms(w, 1500);
	expect(w,
	    self_of(alpha(w)) == MB_ALONE && self_of(bravo(w)) == MB_ALONE &&
		nd_epoch(alpha(w)->nd) == nd_epoch(bravo(w)->nd),
	    "both act at the same epoch");
	expect(w, answers(alpha(w), 1) && answers(bravo(w), 1),
	    "both answer for an address");
	for (unsigned l = 0; l < LINKS; l++)
		for (unsigned d = 0; d < HOSTS; d++)
			w->link[l].dir[d].clogged = true;
	link_heal(w, 0);
	link_heal(w, LAN);
	ms = both_answer_ms(w);
	expect(w, ms <= w->conf->t.heartbeat_ms + 5, "for %u ms more", ms);
	expect(w, self_of(alpha(w)) == MB_ALONE, "alpha goes on");
	expect(w, self_of(bravo(w)) == MB_DOUBT, "bravo vouches for nothing");
	for (unsigned l = 0; l < LINKS; l++)
		for (unsigned d = 0; d < HOSTS; d++)
			w->link[l].dir[d].clogged = false;
	expect(w, run_till(w, paired, 5000), "they are a pair again");
	expect(w, status(alpha(w))->vols[0].conn == MIR_CONN_SPLIT,
	    "whose data diverged");
	w->lied = false;
}

/* Both links are direct cables; the addresses are on another interface. */
static void
direct_cables(struct world *w)
{
	for (unsigned i = 0; i < HOSTS; i++)
		snprintf(w->conf->nodes[i].links[LAN].ifname,
		    sizeof(w->conf->nodes[i].links[LAN].ifname), "x1");
}

/* R9: the other machine's power takes the carrier of every link away. */
static void
R9_direct_cables(struct world *w)
{
	direct_cables(w);
	scene_begin(w);
	host_power_off(alpha(w));
	carrier_set(bravo(w), 0, false);
	carrier_set(bravo(w), LAN, false);
	expect(w, run_till(w, bravo_runs, 5000), "bravo runs the service");
	expect(w, self_of(bravo(w)) == MB_ALONE && runs_on(w, 1) == 1,
	    "and the address: it is not isolated");
	operator(bravo(w), ND_OP_SEED, -1, 1);
	run_ms(w, 1000);
	expect(w, w->op_code == 0 && strstr(w->op_text, "already") != NULL,
	    "nobody needs to seed it: %s", w->op_text);
	scene_end(w);
}

/* R9: the interface that bears addresses, alone: they go where one works. */
static void
R9_lan_carrier_hands_over(struct world *w)
{
	scene_begin(w);
	carrier_set(alpha(w), LAN, false);
	run_ms(w, 5000);
	expect(w, runs_on(w, 0) == 1 && runs_on(w, 1) == 1,
	    "bravo runs the services");
	expect(w, self_of(alpha(w)) == MB_PAIRED && nd_epoch(bravo(w)->nd) == 1,
	    "in agreement");
	scene_end(w);
}

/* R9: no ping node answers here, but there: the addresses go there. */
static void
R9_pings_hand_over(struct world *w)
{
	scene_begin(w);
	alpha(w)->ping_cut = true;
	run_ms(w, 5000);
	expect(w, runs_on(w, 0) == 1 && runs_on(w, 1) == 1,
	    "bravo runs the services");
	expect(w, nd_epoch(bravo(w)->nd) == 1, "in agreement");
	scene_end(w);
}

/* R9: who reaches nobody takes nothing. */
static void
R9_never_takes(struct world *w)
{
	scene_begin(w);
	bravo(w)->ping_cut = true;
	run_ms(w, 2000);
	host_power_off(alpha(w));
	run_ms(w, 10000);
	expect(w, !bravo_runs(w), "bravo takes nothing");
	bravo(w)->ping_cut = false;
	scene_end(w);
}

static void
comes_back(struct world *w, struct host *h)
{
	host_power_on(h);
	expect(w, run_till(w, settled, 30000), "%s is back", h->name);
	run_ms(w, 3000);
	expect(w, runs_on(w, 0) == 1 - (int)h->idx, "no failback");
}

/* R10: a node that took it within ten minutes does not take it again. */
static void
R10_second_takeover_waits(struct world *w)
{
	scene_begin(w);
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_runs, 10000), "bravo took the service");
	comes_back(w, alpha(w));
	host_power_off(bravo(w));
	expect(w, run_till(w, shop_runs, 10000), "alpha had not taken it yet");
	comes_back(w, bravo(w));
	host_power_off(alpha(w));
	run_ms(w, 10000);
	expect(w, runs_on(w, 0) == -1, "there it stays");
	operator(bravo(w), ND_OP_THAW, 0, 0);
	expect(w, run_till(w, bravo_runs, 10000), "until an operator thaws it");
	scene_end(w);
}

/* R10: each service has a count of its own; and what does not move is told. */
static void
R10_counts_each_service(struct world *w)
{
	scene_begin(w);
	operator(bravo(w), ND_OP_TAKEOVER, 1, 0);
	run_ms(w, 2000);
	expect(w, runs_on(w, 0) == 0 && runs_on(w, 1) == 1, "one on each");
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_runs, 10000), "bravo took shop by itself");
	comes_back(w, alpha(w));
	host_power_off(bravo(w));
	expect(w, run_till(w, shop_runs, 10000), "alpha took both");
	comes_back(w, bravo(w));
	expect(w, runs_on(w, 1) == 0, "both are on alpha");
	host_power_off(alpha(w));
	run_ms(w, 10000);
	expect(w, runs_on(w, 1) == 1, "gate was never taken by bravo: it is");
	expect(w, runs_on(w, 0) == -1, "shop was: there it stays");
	expect(w,
	    status(bravo(w))->health == ND_CRITICAL &&
		strstr(bravo(w)->st->reason, "shop is frozen (R10)") != NULL,
	    "and that is an alarm: %s", bravo(w)->st->reason);
	operator(bravo(w), ND_OP_THAW, 0, 0);
	expect(w, run_till(w, bravo_runs, 10000), "until an operator thaws it");
	expect(w, strstr(status(bravo(w))->reason, "R10") == NULL,
	    "which ends the alarm");
	scene_end(w);
}

/* R10: what operators move was not moved by itself. */
static void
R10_moves_do_not_count(struct world *w)
{
	scene_begin(w);
	operator(bravo(w), ND_OP_TAKEOVER, 0, 0);
	run_ms(w, 2000);
	operator(bravo(w), ND_OP_MOVE, 0, 1);
	run_ms(w, 2000);
	operator(alpha(w), ND_OP_STANDBY, -1, 1);
	run_ms(w, 2000);
	expect(w, runs_on(w, 0) == 1, "moved three times in six seconds");
	operator(alpha(w), ND_OP_ONLINE, -1, 1);
	run_ms(w, 1000);
	host_power_off(bravo(w));
	expect(w, run_till(w, shop_runs, 10000), "alpha takes it");
	comes_back(w, bravo(w));
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_runs, 10000), "so does bravo");
	scene_end(w);
}

/* R11: a check that times out degrades, and moves nothing. */
static void
R11_late_check_degrades(struct world *w)
{
	scene_begin(w);
	alpha(w)->mute_steps = true;
	run_ms(w, 12000);
	expect(w, status(alpha(w))->svc.services[0].degraded, "degraded");
	expect(w, runs_on(w, 0) == 0, "but it stays");
	alpha(w)->mute_steps = false;
	run_ms(w, 6000);
	expect(w, !status(alpha(w))->svc.services[0].degraded, "and is well");
	scene_end(w);
}

/* R12: it does not stop: the machine does, and only then it moves. */
static void
R12_self_fence(struct world *w)
{
	scene_begin(w);
	alpha(w)->mute_steps = true;
	operator(bravo(w), ND_OP_TAKEOVER, 0, 0);
	run_ms(w, 4000);
	expect(w, !bravo_runs(w), "nothing is started meanwhile");
	expect(w, run_till(w, bravo_runs, 180000), "bravo runs it in the end");
	expect(w, alpha(w)->resets == 1, "after alpha has reset itself");
	alpha(w)->mute_steps = false;
	scene_end(w);
}

/* R13: refused the lease, it never fires, though it could. */
static void
R13_loser_never_fences(struct world *w)
{
	scene_begin(w);
	w->agent[1][0].how = w->agent[1][1].how = AG_FAIL;
	link_cut(w, 0);
	link_cut(w, LAN);
	run_ms(w, 40000);
	expect(w, w->voter[0].holder == 1, "the lease is alpha's");
	expect(w, w->fenced == 0, "and bravo, which has agents, never fires");
	expect(w, runs_on(w, 0) == 0, "alpha keeps the service");
	scene_end(w);
}

/* R14: while it is undecided nothing is acknowledged. */
static void
R14_holds_acknowledgements(struct world *w)
{
	unsigned acks;

	scene_begin(w);
	for (unsigned l = 0; l < LEVELS; l++)
		w->agent[1][l].how = AG_HANG;
	host_power_off(bravo(w));
	run_ms(w, w->conf->t.dead_ms + 200);
	acks = w->acks;
	run_ms(w, 2000);
	expect(w, w->acks == acks && vol_inflight(w) > 0, "writes are held");
	operator(alpha(w), ND_OP_FENCE_CONFIRM, -1, 2);
	run_ms(w, 2000);
	expect(w, w->acks > acks, "and go on when it is decided");
	scene_end(w);
}

/* R15: voters that do not answer are asked less and less. */
static void
R15_backs_off(struct world *w)
{
	uint32_t n;

	scene_begin(w);
	w->voter[0].box->read_only = true;
	host_power_off(bravo(w));
	n = alpha(w)->ask[0].serial;
	run_ms(w, 58000);
	n = alpha(w)->ask[0].serial - n;
	expect(w, n >= 2 && n <= 16, "%u questions in a minute", n);
	scene_end(w);
}

const struct scene scenes_arb[] = {
    {SCENE(R3_fence_verified), W_FENCE},
    {SCENE(R7_heard_but_unheard), W_WITNESS},
    {SCENE(R7_crossed_links), W_WITNESS | W_WATCHDOG},
    {SCENE(R7_locks_stop_too), W_WITNESS},
    {SCENE(R7_counts_from_what_was_heard), W_WITNESS},
    {SCENE(R1_verified_off_grants_no_locks), W_FENCE},
    {SCENE(R1_waits_for_peer_at_boot), W_WITNESS},
    {SCENE(R1_solo_restarts), W_WITNESS},
    {SCENE(R1_seeded_on_both_sides), W_WAIT},
    {SCENE(R1_copy_in_use_is_the_newest), 0},
    {SCENE(R1_good_copy_starts), 0},
    {SCENE(R2_arbiter_ends_jeopardy), W_WITNESS},
    {SCENE(R2_shared_device), W_DOMAIN},
    {SCENE(R3_adverts_are_life), W_ADVERTS},
    {SCENE(R3_answers_are_life), 0},
    {SCENE(R3_early_answers_prove_nothing), 0},
    {SCENE(R4_active_fires_first), W_FENCE},
    {SCENE(R4_good_copy_fires_first), W_FENCE},
    {SCENE(R5_next_level), W_FENCE},
    {SCENE(R5_freezes_until_confirmed), W_FENCE},
    {SCENE(R6_lost_witness_changes_nothing), W_WITNESS | W_WATCHDOG},
    {SCENE(R6_lease_sticks_to_active), W_WITNESS},
    {SCENE(R6_lease_for_the_good_copy), W_WITNESS},
    {SCENE(R7_self_demotes), W_WITNESS},
    {SCENE(R7_watchdog_resets_the_frozen), W_WITNESS | W_WATCHDOG},
    {SCENE(R8_machine_stood_still), W_WITNESS | W_WATCHDOG},
    {SCENE(R8_tie_ends_with_a_heartbeat), 0},
    {SCENE(R9_direct_cables), 0},
    {SCENE(R9_lan_carrier_hands_over), 0},
    {SCENE(R9_pings_hand_over), W_PINGS},
    {SCENE(R9_never_takes), W_WITNESS | W_PINGS},
    {SCENE(R10_second_takeover_waits), W_WITNESS},
    {SCENE(R10_counts_each_service), W_WITNESS},
    {SCENE(R10_moves_do_not_count), W_WITNESS},
    {SCENE(R11_late_check_degrades), W_CHECK},
    {SCENE(R12_self_fence), W_SYSRQ},
    {SCENE(R13_loser_never_fences), W_FENCE | W_WITNESS},
    {SCENE(R14_holds_acknowledgements), W_FENCE},
    {SCENE(R15_backs_off), W_WITNESS},
    {SCENE(R6_each_cluster_has_its_lease), W_WITNESS, 5},
    {SCENE(R6_what_all_share_moves_nobody), W_WITNESS, 5},
    {SCENE(R1_a_pair_that_one_never_heard_of), 0},
    {SCENE(R3_last_advert_of_the_dead), W_ADVERTS},
    {SCENE(R1_sole_survivor_pairs_first), 0},
};
const unsigned n_scenes_arb = NITEMS(scenes_arb);
