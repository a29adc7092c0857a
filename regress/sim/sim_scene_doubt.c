/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stories of nodes that have missed something: that stood still, are isolated,
 * or hear and are not heard.
 */
#include <string.h>

#include "sim.h"

static bool
all_free(struct world *w)
{
	return lock_idle(w);
}

static bool
alpha_holds(struct world *w)
{
	return w->locker[0].state == LK_HELD;
}

static bool
bravo_holds(struct world *w)
{
	return w->locker[LOCKERS].state == LK_HELD;
}

static bool
alpha_ended(struct world *w)
{
	return !alpha(w)->running;
}

static bool
bravo_isolated(struct world *w)
{
	return self_of(bravo(w)) == MB_ISOLATED;
}

/*
 * R9: it stood still, and then it is isolated.  What its clients are promised
 * counts from what the peer has heard, and that time is over.
 */
static void
isolated_after_a_thaw(struct world *w)
{
	struct locker *a = &w->locker[0], *b = &w->locker[LOCKERS];

	scene_begin(w);
	w->lock_calm = true;
	expect(w, run_till(w, all_free, 10000), "all locks are free");
	w->lock_gap_us = 0;
	lock_ask(b, 0, LKM_EX, 0);
	run_ms(w, 200);
	expect(w, bravo_holds(w), "bravo holds EX");
	machine_freeze(bravo(w));
	run_ms(w, w->conf->t.takeover_ms + 300);
	expect(w, self_of(alpha(w)) == MB_ALONE, "alpha goes on alone");
	carrier_set(bravo(w), 0, false);
	carrier_set(bravo(w), LAN, false);
	machine_thaw(bravo(w), true);
	expect(w, run_till(w, bravo_isolated, 100), "bravo is isolated");
	lock_ask(a, 0, LKM_EX, 0);
	run_ms(w, 200);
	expect(w, alpha_holds(w), "alpha holds EX");
	w->lock_gap_us = 10 * MS;
	scene_end(w);
}

static bool
alpha_isolated(struct world *w)
{
	return self_of(alpha(w)) == MB_ISOLATED;
}

/* R9: what was handed over is not granted while the daemon is stopped. */
static void
stopped_in_isolation(struct world *w)
{
	struct locker *a = &w->locker[0], *b = &w->locker[LOCKERS];

	scene_begin(w);
	w->lock_calm = true;
	expect(w, run_till(w, all_free, 10000), "all locks are free");
	w->lock_gap_us = 0;
	alpha(w)->mute_steps = true;
	carrier_set(alpha(w), 0, false);
	carrier_set(alpha(w), LAN, false);
	expect(w, run_till(w, alpha_isolated, 1000), "alpha is isolated");
	daemon_stop(alpha(w));
	run_ms(w, w->conf->t.takeover_ms + 300);
	expect(w, alpha(w)->running, "alpha takes its time");
	expect(w, self_of(bravo(w)) == MB_ALONE, "bravo goes on alone");
	lock_ask(b, 0, LKM_EX, 0);
	run_ms(w, 200);
	expect(w, bravo_holds(w), "bravo holds EX");
	lock_ask(a, 0, LKM_EX, 0);
	run_ms(w, 200);
	expect(w, !alpha_holds(w), "alpha grants nothing");
	expect(w, run_till(w, alpha_ended, 20000), "alpha has ended");
	alpha(w)->mute_steps = false;
	w->lock_gap_us = 10 * MS;
	scene_end(w);
}

static bool
alpha_leased(struct world *w)
{
	return w->voter[0].holder == 1;
}

/*
 * R1, R7: heard on no link, but on the ctl association: a pair would break
 * again within a second, and who has demoted itself when, nobody could tell.
 * So there is none, and whoever has the lease goes on.
 */
static void
crossed_links_make_no_pair(struct world *w)
{
	struct locker *a = &w->locker[0], *b = &w->locker[LOCKERS];
	uint64_t epoch;

	scene_begin(w);
	w->lock_calm = true;
	expect(w, run_till(w, all_free, 10000), "all locks are free");
	w->lock_gap_us = 0;
	link_set(w, 0, 1, true);
	run_ms(w, 3000);
	link_set(w, LAN, 0, true);
	expect(w, run_till(w, alpha_leased, 20000), "alpha has the lease");
	run_ms(w, 5000);
	epoch = nd_epoch(alpha(w)->nd);
	lock_ask(b, 0, LKM_EX, 0);
	lock_ask(a, 0, LKM_EX, 0);
	run_ms(w, 10000);
	expect(w, self_of(alpha(w)) == MB_ALONE, "alpha acts alone");
	expect(w, nd_epoch(alpha(w)->nd) == epoch, "ever since");
	expect(w, alpha_holds(w) && !bravo_holds(w), "and grants locks");
	w->lock_gap_us = 10 * MS;
	scene_end(w);
}

static bool
both_paired(struct world *w)
{
	return self_of(alpha(w)) == MB_PAIRED && self_of(bravo(w)) == MB_PAIRED;
}

/*
 * R2: one link is lost while alpha stands still, the other soon after it goes
 * on: that is jeopardy, to both.
 */
static void
R2_link_lost_in_a_pause(struct world *w)
{
	scene_begin(w);
	machine_freeze(alpha(w));
	run_ms(w, 100);
	link_cut(w, 0);
	run_ms(w, w->conf->t.takeover_ms + 1000);
	expect(w, self_of(bravo(w)) == MB_ALONE, "bravo goes on alone");
	machine_thaw(alpha(w), true);
	expect(w, run_till(w, both_paired, 1000), "a pair again");
	run_ms(w, w->conf->t.dead_ms / 2);
	link_cut(w, LAN);
	run_ms(w, 3000);
	expect(w, self_of(alpha(w)) == MB_PAIRED, "alpha keeps what it has");
	expect(w, self_of(bravo(w)) == MB_PAIRED, "and so does bravo");
	scene_end(w);
}

static bool
alpha_finishes(struct world *w)
{
	return status(alpha(w))->vols[0].conn == MIR_CONN_FINISH;
}

/*
 * All is copied to bravo, and its superblock cannot say so: alpha has it all
 * and goes on, and what bravo refuses is not taken for equal.
 */
static void
resync_ends_in_a_bad_superblock(struct world *w)
{
	struct disk *d = &bravo(w)->disk;
	size_t s = d->layout.meta_off / SECTOR;
	unsigned before;

	scene_begin(w);
	host_power_off(bravo(w));
	run_ms(w, 3000);
	expect(w, status(alpha(w))->vols[0].alone, "alpha goes on alone");
	host_power_on(bravo(w));
	expect(w, run_till(w, alpha_finishes, 20000), "all is copied");
	memset(d->bad + s, BAD_WRITE, SECTORS - s);
	run_ms(w, 200);
	before = w->acks;
	run_ms(w, 2000);
	expect(w, w->acks > before + 20, "writes are acknowledged");
	memset(d->bad, 0, sizeof(d->bad));
	run_ms(w, 6000);
	if (status(bravo(w))->vols[0].disk == MIR_DISK_NONE)
		daemon_kill(bravo(w));
	run_ms(w, 1000);
	scene_end(w);
}

/* Both answer for the address without data. */
static bool
gate_doubled(struct world *w)
{
	return answers(alpha(w), 1) && answers(bravo(w), 1);
}

static bool
ctl_joined(struct world *w)
{
	const struct end *a = &w->assoc[0].end[0], *b = &w->assoc[0].end[1];

	return a->told && b->told && a->id == b->id;
}

/*
 * Heartbeats do not say who runs what, and ctl comes late: as soon as it is
 * there the one that had the address first is silent, and remains so.
 */
static void
doubled_until_ctl(struct world *w)
{
	expect(w, gate_doubled(w), "both answer for the address without data");
	expect(w, run_till(w, ctl_joined, 5000), "ctl is connected again");
	run_ms(w, w->conf->t.heartbeat_ms);
	expect(w, !answers(alpha(w), 1), "alpha had it first, and is silent");
	expect(w, answers(bravo(w), 1), "bravo answers");
	run_ms(w, 3000);
	expect(w, runs_on(w, 1) == 1, "it stays there");
	scene_end(w);
}

/* All links were cut for so long that every association ended. */
static void
cut_until_ctl_ends(struct world *w)
{
	scene_begin(w);
	w->late_us = 1500 * MS;
	link_cut(w, 0);
	link_cut(w, LAN);
	run_ms(w, 8000);
	link_heal(w, 0);
	link_heal(w, LAN);
	doubled_until_ctl(w);
}

/* The machine stood still for so long, and does not know it. */
static void
still_until_ctl_ends(struct world *w)
{
	scene_begin(w);
	w->late_us = 1500 * MS;
	machine_freeze(alpha(w));
	run_ms(w, 8000);
	machine_thaw(alpha(w), false);
	run_ms(w, w->conf->t.heartbeat_ms);
	doubled_until_ctl(w);
}

/*
 * One machine stands still, then the other, each for less than a lease: the
 * silence of its peer was in part its own.
 */
static void
short_pauses_do_not_add_up(struct world *w)
{
	int64_t lease = w->conf->t.lease_ms;

	scene_begin(w);
	machine_freeze(alpha(w));
	run_ms(w, lease * 2 / 3);
	machine_thaw(alpha(w), true);
	run_ms(w, 1);
	machine_freeze(bravo(w));
	run_ms(w, lease - 5);
	machine_thaw(bravo(w), true);
	run_ms(w, 3000);
	expect(
	    w, both_paired(w) && nd_epoch(alpha(w)->nd) == 1, "nothing moved");
	scene_end(w);
}

/*
 * R8: it stood still while it was stopped, and cannot know it.  The peer acts
 * at a higher epoch: nothing is granted here any more.
 */
static void
overtaken_at_its_end(struct world *w)
{
	struct locker *a = &w->locker[0];

	scene_begin(w);
	w->lock_calm = true;
	expect(w, run_till(w, all_free, 10000), "all locks are free");
	w->lock_gap_us = 0;
	alpha(w)->mute_steps = true;
	daemon_stop(alpha(w));
	run_ms(w, 20);
	machine_freeze(alpha(w));
	run_ms(w, w->conf->t.takeover_ms + 500);
	expect(w, self_of(bravo(w)) == MB_ALONE, "bravo goes on alone");
	machine_thaw(alpha(w), false);
	run_ms(w, 2 * w->conf->t.heartbeat_ms);
	expect(w, self_of(alpha(w)) == MB_STOPPING, "alpha takes its time");
	lock_ask(a, 0, LKM_EX, 0);
	run_ms(w, 200);
	expect(w, !alpha_holds(w), "and grants nothing");
	expect(w, run_till(w, alpha_ended, 30000), "alpha has ended");
	alpha(w)->mute_steps = false;
	w->lock_gap_us = 10 * MS;
	scene_end(w);
}

static bool
alpha_paired(struct world *w)
{
	return self_of(alpha(w)) == MB_PAIRED;
}

/*
 * R1: bravo was the sole survivor, and dies before it has followed into the
 * pair: it may start alone again at its own epoch.  Tokens of alpha, which was
 * told that bravo is off and has no newest data, would be above those.
 */
static void
died_before_it_followed(struct world *w)
{
	unsigned grants;

	scene_begin(w);
	host_power_off(alpha(w));
	run_ms(w, 10000);
	expect(w, self_of(bravo(w)) == MB_ALONE, "bravo goes on alone");
	host_power_off(bravo(w));
	run_ms(w, 1000);
	host_power_on(alpha(w));
	run_ms(w, 10000);
	expect(w, self_of(alpha(w)) == MB_ALONE, "alpha acts: bravo is off");
	host_power_on(bravo(w));
	expect(w, run_till(w, alpha_paired, 5000), "alpha pairs first");
	expect(w, self_of(bravo(w)) == MB_INERT, "bravo has not followed");
	host_power_off(bravo(w));
	grants = w->grants;
	run_ms(w, 10000);
	expect(w, self_of(alpha(w)) == MB_ALONE, "alpha acts: bravo is off");
	expect(w, w->grants == grants, "and grants no lock");
	host_power_off(alpha(w));
	run_ms(w, 1000);
	host_power_on(bravo(w));
	run_ms(w, 5000);
	expect(w, self_of(bravo(w)) == MB_ALONE, "bravo was the sole survivor");
	expect(w, w->grants > grants, "and grants locks");
	scene_end(w);
}

static bool
bravo_alone(struct world *w)
{
	return self_of(bravo(w)) == MB_ALONE;
}

/*
 * R3: it had the lease, acted alone, and died; that its kernel says so does
 * not tell since when.  What it acknowledged is the newest.
 */
static void
R3_dead_after_it_acted(struct world *w)
{
	unsigned before;

	scene_begin(w);
	w->voter[0].cut[0] = true;
	link_cut(w, 0);
	link_cut(w, LAN);
	expect(w, run_till(w, bravo_alone, 20000), "bravo has the lease");
	run_ms(w, 1000);
	before = w->acks;
	run_ms(w, 1000);
	expect(w, w->acks > before, "it acknowledges writes");
	daemon_kill(bravo(w));
	link_heal(w, 0);
	run_ms(w, 3000);
	expect(w, self_of(alpha(w)) == MB_PAIRED, "alpha is undecided");
	w->voter[0].cut[0] = false;
	run_ms(w, 10000);
	expect(w, self_of(alpha(w)) == MB_INERT, "the lease is bravo's");
	daemon_start(bravo(w));
	scene_end(w);
}

/* The grace that was promised in isolation outlives it, and a goodbye. */
static void
stopped_after_isolation(struct world *w)
{
	struct locker *a = &w->locker[0], *b = &w->locker[LOCKERS];

	scene_begin(w);
	w->lock_calm = true;
	expect(w, run_till(w, all_free, 10000), "all locks are free");
	w->lock_gap_us = 0;
	lock_ask(a, 0, LKM_EX, 0);
	run_ms(w, 200);
	expect(w, alpha_holds(w), "alpha holds EX");
	lock_ask(b, 0, LKM_EX, 0);
	run_ms(w, 50);
	carrier_set(alpha(w), 0, false);
	carrier_set(alpha(w), LAN, false);
	expect(w, run_till(w, alpha_isolated, 100), "alpha is isolated");
	carrier_set(alpha(w), LAN, true);
	expect(w, run_till(w, both_paired, 600), "a pair again");
	expect(w, w->sim->now < a->held_until, "it was promised time");
	daemon_stop(alpha(w));
	expect(w, run_till(w, bravo_holds, 10000), "bravo holds EX");
	expect(w, w->sim->now >= a->held_until, "not before");
	expect(w, run_till(w, alpha_ended, 5000), "alpha has ended");
	w->lock_gap_us = 10 * MS;
	scene_end(w);
}

/*
 * R9: isolated, and its clock stood still before.  The grace that it promises
 * is longer than it can know; nobody is to blame when another is granted.
 */
static void
isolated_and_misled(struct world *w)
{
	struct locker *a = &w->locker[0], *b = &w->locker[LOCKERS];
	unsigned excused;

	scene_begin(w);
	w->lock_calm = true;
	expect(w, run_till(w, all_free, 10000), "all locks are free");
	w->lock_gap_us = 0;
	lock_ask(b, 0, LKM_EX, 0);
	run_ms(w, 200);
	expect(w, bravo_holds(w), "bravo holds EX");
	machine_freeze(bravo(w));
	run_ms(w, w->conf->t.takeover_ms / 3);
	carrier_set(bravo(w), 0, false);
	carrier_set(bravo(w), LAN, false);
	machine_thaw(bravo(w), false);
	expect(w, run_till(w, bravo_isolated, 100), "bravo is isolated");
	lock_ask(a, 0, LKM_EX, 0);
	run_ms(w, 2 * w->conf->t.dead_ms);
	expect(w, !alpha_holds(w) && !bravo(w)->misled, "silence tells");
	excused = w->excused;
	expect(w, run_till(w, alpha_holds, 10000), "alpha holds EX");
	expect(w, w->excused > excused, "bravo's grace is not over");
	w->lock_gap_us = 10 * MS;
	scene_end(w);
}

static bool
bravo_failed(struct world *w)
{
	return status(bravo(w))->svc.services[0].state == SVC_FAILED;
}

/* R12: a clean-up that failed is tried again at once when its peer dies. */
static void
R12_survivor_cleans_again(struct world *w)
{
	scene_begin(w);
	daemon_kill(bravo(w));
	bravo(w)->fail_permille = 1000;
	daemon_start(bravo(w));
	expect(w, run_till(w, both_paired, 5000), "a pair again");
	run_ms(w, 500);
	expect(w, bravo_failed(w), "bravo cannot clean up");
	bravo(w)->fail_permille = 0;
	daemon_kill(alpha(w));
	expect(w, run_till(w, shop_runs, 1000), "bravo runs the service");
	scene_end(w);
}

static bool
bravo_undecided(struct world *w)
{
	return status(bravo(w))->member.peers[0].verdict == MB_PEER_SILENT;
}

static bool
bravo_fails(struct world *w)
{
	return status(bravo(w))->vols[0].error[0] != '\0';
}

/*
 * The peer lost its power, and what was not flushed; its association has not
 * ended yet when metadata of this copy cannot be written.  It stays, for it is
 * the only one that has everything.
 */
static void
metadata_fails_in_silence(struct world *w)
{
	struct disk *d = &bravo(w)->disk;

	scene_begin(w);
	run_ms(w, 5900); /* the intents are cleaned up soon */
	w->voter[0].cut[1] = true;
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_undecided, 1000), "alpha is silent");
	for (size_t s = d->layout.meta_off / SECTOR; s < SECTORS; s++)
		d->bad[s] = BAD_WRITE;
	expect(w, run_till(w, bravo_fails, 2000), "bravo cannot write");
	expect(w, status(bravo(w))->vols[0].conn == MIR_CONN_INSYNC,
	    "the association has not ended");
	expect(w, status(bravo(w))->vols[0].disk == MIR_DISK_UPTODATE,
	    "the disk stays");
	run_ms(w, 5000);
	host_power_on(alpha(w));
	expect(w, run_till(w, shop_runs, 10000), "the service runs");
	run_ms(w, 5000);
	daemon_kill(bravo(w));
	memset(d->bad, 0, sizeof(d->bad));
	w->voter[0].cut[1] = false;
	run_ms(w, 1000);
	scene_end(w);
}

const struct scene scenes_doubt[] = {
    {SCENE(isolated_after_a_thaw), 0},
    {SCENE(stopped_in_isolation), 0},
    {SCENE(crossed_links_make_no_pair), W_WITNESS},
    {SCENE(R2_link_lost_in_a_pause), 0},
    {SCENE(resync_ends_in_a_bad_superblock), 0},
    {SCENE(cut_until_ctl_ends), W_WAIT},
    {SCENE(still_until_ctl_ends), W_WAIT},
    {SCENE(short_pauses_do_not_add_up), 0},
    {SCENE(overtaken_at_its_end), 0},
    {SCENE(died_before_it_followed), W_FENCE},
    {SCENE(R3_dead_after_it_acted), W_WITNESS},
    {SCENE(stopped_after_isolation), W_WITNESS | W_WATCHDOG},
    {SCENE(isolated_and_misled), W_WITNESS | W_WATCHDOG},
    {SCENE(R12_survivor_cleans_again), 0},
    {SCENE(metadata_fails_in_silence), W_WITNESS},
};
const unsigned n_scenes_doubt = NITEMS(scenes_doubt);
