/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Named stories, each the test of a rule of arbitration.  They run on the
 * same simulator as the swarm, without its faults.
 */
#include <stdarg.h>
#include <string.h>

#include "sim.h"

struct host *
alpha(struct world *w)
{
	return &w->host[0];
}

struct host *
bravo(struct world *w)
{
	return &w->host[1];
}

void
expect(struct world *w, bool ok, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!ok)
		violation(w, "scene", "expected: %s", text);
	else
		say(w, "as expected: %s", text);
}

enum mb_self
self_of(struct host *h)
{
	return status(h)->member.self;
}

bool
shop_runs(struct world *w)
{
	return runs_on(w, 0) >= 0;
}

static bool
no_locks(struct world *w)
{
	return lock_idle(w);
}

void
scene_begin(struct world *w)
{
	host_power_on(alpha(w));
	host_power_on(bravo(w));
	expect(w, run_till(w, settled, 20000), "a pair in sync");
	run_ms(w, 3000); /* both links are known to work */
	if (runs_on(w, 0) != 0) {
		operator(alpha(w), ND_OP_TAKEOVER, 0, 0);
		run_ms(w, 2000);
	}
	if (runs_on(w, 1) != 0) {
		operator(alpha(w), ND_OP_TAKEOVER, 1, 0);
		run_ms(w, 2000);
	}
	expect(w, run_till(w, settled, 20000) && runs_on(w, 0) == 0,
	    "the service runs on alpha");
	expect(w, w->acks > 0, "writes are acknowledged");
}

void
scene_end(struct world *w)
{
	if (w->sim->failed)
		return;
	swarm_heal(w->sim);
	expect(w, run_till(w, settled, 60000), "all is well again: %s",
	    unsettled(w) != NULL ? unsettled(w) : "yes");
	w->lock_calm = true;
	expect(w, run_till(w, no_locks, 20000), "no lock client is stuck");
	run_ms(w, 1000);
	w->vol_gap_us = 0;
	run_ms(w, 2000);
	judge_end(w);
}

/* SIGKILL: ABORT and refusal are proof, the peer acts at once. */
static void
crash_takeover(struct world *w)
{
	int64_t t;

	scene_begin(w);
	t = w->sim->now;
	daemon_kill(alpha(w));
	expect(w, run_till(w, shop_runs, 2000) && runs_on(w, 0) == 1,
	    "bravo runs the service");
	expect(w, w->sim->now - t < 1000 * MS, "within a second: %lld ms",
	    (long long)((w->sim->now - t) / MS));
	run_ms(w, 3000);
	daemon_start(alpha(w));
	run_ms(w, 5000);
	expect(w, runs_on(w, 0) == 1, "it stays there");
	scene_end(w);
}

/* R8: frozen beyond everything, then thawed in the middle of its work. */
static void
freeze_thaw(struct world *w)
{
	scene_begin(w);
	daemon_pause(alpha(w));
	expect(w, run_till(w, shop_runs, 5000), "somebody runs the service");
	run_ms(w, 3000);
	expect(w, !guard_open(alpha(w), 0), "the guard of alpha has closed");
	daemon_resume(alpha(w));
	run_ms(w, 3000);
	expect(w, runs_on(w, 0) == 1, "bravo runs the service");
	scene_end(w);
}

/* Shorter than the lease: nothing happens. */
static void
freeze_short(struct world *w)
{
	scene_begin(w);
	daemon_pause(alpha(w));
	run_ms(w, w->conf->t.lease_ms / 2);
	daemon_resume(alpha(w));
	run_ms(w, 3000);
	expect(w, runs_on(w, 0) == 0 && nd_epoch(alpha(w)->nd) == 1,
	    "nothing moved");
	scene_end(w);
}

static void
cross_cut_nothing_moves(struct world *w)
{
	scene_begin(w);
	link_cut(w, 0);
	run_ms(w, 8000);
	expect(w, runs_on(w, 0) == 0 && runs_on(w, 1) == 0, "nothing moved");
	expect(w, paired(w), "they are still a pair");
	link_heal(w, 0);
	run_ms(w, 3000);
	link_cut(w, LAN);
	run_ms(w, 8000);
	expect(w, runs_on(w, 0) == 0 && runs_on(w, 1) == 0, "nothing moved");
	scene_end(w);
}

/* R2: in jeopardy the loss of the last link proves nothing. */
static void
one_link_then_death_is_jeopardy(struct world *w)
{
	scene_begin(w);
	link_cut(w, 0);
	run_ms(w, 5000);
	expect(w, status(bravo(w))->member.jeopardy, "bravo is in jeopardy");
	host_power_off(alpha(w));
	run_ms(w, 10000);
	expect(w, runs_on(w, 0) == -1, "bravo takes nothing");
	expect(w, self_of(bravo(w)) == MB_PAIRED, "and does not act alone");
	scene_end(w);
}

/* R2: each side keeps what it holds. */
static void
cut_in_jeopardy_keeps(struct world *w)
{
	scene_begin(w);
	link_cut(w, 0);
	run_ms(w, 5000);
	link_cut(w, LAN);
	run_ms(w, 5000);
	expect(w, runs_on(w, 0) == 0, "alpha keeps the service");
	expect(w, nd_epoch(bravo(w)->nd) == 1, "bravo has not acted");
	scene_end(w);
}

static void
node_vanishes(struct world *w)
{
	int64_t t;

	scene_begin(w);
	t = w->sim->now;
	host_power_off(alpha(w));
	expect(w, run_till(w, shop_runs, 5000) && runs_on(w, 0) == 1,
	    "bravo runs the service");
	expect(w, w->sim->now - t < 2 * SEC, "in about a second: %lld ms",
	    (long long)((w->sim->now - t) / MS));
	scene_end(w);
}

/* R3: the file says that an operator decides. */
static void
silence_waits(struct world *w)
{
	scene_begin(w);
	host_power_off(alpha(w));
	run_ms(w, 10000);
	expect(w, runs_on(w, 0) == -1, "nobody takes the service");
	expect(w, runs_on(w, 1) == 1, "an address without data moves");
	host_power_on(alpha(w));
	expect(w, run_till(w, shop_runs, 20000), "it comes back with alpha");
	scene_end(w);
}

static void
goodbye_handover(struct world *w)
{
	scene_begin(w);
	daemon_stop(alpha(w));
	expect(w, run_till(w, shop_runs, 5000) && runs_on(w, 0) == 1,
	    "bravo runs the service");
	run_ms(w, 1000);
	expect(w, !alpha(w)->running, "alpha has ended");
	scene_end(w);
}

static void
planned_takeover(struct world *w)
{
	scene_begin(w);
	operator(bravo(w), ND_OP_TAKEOVER, 0, 0);
	run_ms(w, 3000);
	expect(w, runs_on(w, 0) == 1, "bravo runs the service");
	expect(w, w->op_code == 0, "the operator was told so: %s", w->op_text);
	expect(w, nd_epoch(alpha(w)->nd) == 1, "nobody acted alone");
	operator(alpha(w), ND_OP_STANDBY, -1, 2);
	run_ms(w, 3000);
	expect(w, runs_on(w, 0) == 0 && runs_on(w, 1) == 0, "bravo is drained");
	operator(alpha(w), ND_OP_ONLINE, -1, 2);
	scene_end(w);
}

/* R1: the last survivor restarts unattended; its peer must not. */
static void
both_crash_restart_last_survivor(struct world *w)
{
	scene_begin(w);
	host_power_off(alpha(w));
	expect(w, run_till(w, shop_runs, 5000), "bravo runs the service");
	run_ms(w, 3000);
	host_power_off(bravo(w));
	run_ms(w, 1000);
	host_power_on(bravo(w));
	expect(w, run_till(w, shop_runs, 10000) && runs_on(w, 0) == 1,
	    "bravo starts alone");
	run_ms(w, 3000);
	scene_end(w);
}

/* R1: a stale node that boots alone stays inert. */
static void
amnesia(struct world *w)
{
	scene_begin(w);
	host_power_off(alpha(w));
	expect(w, run_till(w, shop_runs, 5000), "bravo runs the service");
	run_ms(w, 3000);
	host_power_off(bravo(w));
	host_power_on(alpha(w));
	run_ms(w, 20000);
	expect(w, self_of(alpha(w)) == MB_INERT, "alpha is inert");
	expect(w, runs_on(w, 0) == -1 && runs_on(w, 1) == -1, "nothing runs");
	scene_end(w);
}

/* The operator knows that the other is down, and that its data is older. */
static void
operator_seeds(struct world *w)
{
	scene_begin(w);
	host_power_off(bravo(w));
	run_ms(w, 5000);
	host_power_off(alpha(w));
	run_ms(w, 1000);
	host_power_on(alpha(w));
	run_ms(w, 5000);
	expect(w, self_of(alpha(w)) == MB_INERT, "alpha is inert");
	operator(alpha(w), ND_OP_SEED, -1, 2);
	expect(w, run_till(w, shop_runs, 5000), "alpha runs the service");
	scene_end(w);
}

static bool
is_target(struct world *w)
{
	return bravo(w)->running &&
	       status(bravo(w))->vols[0].conn == MIR_CONN_TARGET;
}

static void
power_cut_during_resync(struct world *w)
{
	scene_begin(w);
	for (unsigned i = 0; i < 4 && !w->sim->failed; i++) {
		if (bravo(w)->powered)
			host_power_off(bravo(w));
		run_ms(w, 4000);
		host_power_on(bravo(w));
		run_till(w, is_target, 5000);
		run_ms(w, (int64_t)i);
	}
	host_power_off(alpha(w));
	run_ms(w, 3000);
	scene_end(w);
}

/* The power goes again and again while metadata is being written. */
static void
torn_metadata(struct world *w)
{
	scene_begin(w);
	for (unsigned i = 0; i < 25 && !w->sim->failed; i++) {
		struct host *h = &w->host[i % HOSTS];

		run_ms(w, rnd_in(w, 100, 1500));
		host_power_off(h);
		run_ms(w, rnd_in(w, 1, 1500));
		host_power_on(h);
		expect(w, run_till(w, settled, 60000), "in sync again");
	}
	scene_end(w);
}

/* R9: own carrier lost everywhere: hand over, never take. */
static void
isolation_hands_over(struct world *w)
{
	scene_begin(w);
	carrier_set(alpha(w), 0, false);
	carrier_set(alpha(w), LAN, false);
	run_ms(w, 5000);
	expect(w, self_of(alpha(w)) == MB_ISOLATED, "alpha is isolated");
	expect(w, runs_on(w, 0) == 1, "bravo runs the service");
	scene_end(w);
}

static bool
bravo_holds(struct world *w)
{
	return w->locker[LOCKERS].state == LK_HELD;
}

static void
lock_moves_after_death(struct world *w)
{
	struct locker *a = &w->locker[0], *b = &w->locker[LOCKERS];

	scene_begin(w);
	w->lock_calm = true;
	expect(w, run_till(w, no_locks, 10000), "all locks are free");
	w->lock_gap_us = 0;
	lock_ask(a, 0, LKM_EX, 0);
	run_ms(w, 200);
	expect(w, a->state == LK_HELD, "alpha holds EX");
	lock_ask(b, 0, LKM_EX, 0);
	run_ms(w, 2000);
	expect(w, b->state == LK_ASKED, "bravo waits");
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_holds, 3000), "bravo holds it");
	if (!w->sim->failed)
		lock_release(b);
	w->lock_gap_us = 10 * MS;
	scene_end(w);
}

/* A bad disk: the service goes on from the other copy, and nobody notices. */
static void
disk_dies_under_primary(struct world *w)
{
	unsigned before;

	scene_begin(w);
	alpha(w)->disk.dead = true;
	before = w->acks;
	run_ms(w, 5000);
	expect(w, w->acks > before + 20, "writes go on");
	expect(w, runs_on(w, 0) == 0, "the service stays");
	alpha(w)->disk.dead = false;
	daemon_kill(alpha(w));
	run_ms(w, 1000);
	scene_end(w);
}

/* R8: overtaken while frozen, and then alone again before it was told what. */
static void
overtaken_then_alone(struct world *w)
{
	int64_t t;

	scene_begin(w);
	operator(bravo(w), ND_OP_TAKEOVER, 0, 0);
	run_ms(w, 3000);
	expect(w, runs_on(w, 0) == 1, "bravo runs the service");
	daemon_pause(bravo(w));
	run_ms(w, 3000);
	expect(w, status(alpha(w))->vols[0].primary, "alpha took it over");
	daemon_resume(bravo(w));
	t = w->sim->now;
	while (self_of(alpha(w)) != MB_PAIRED && w->sim->now < t + 5 * SEC)
		run_until(w, w->sim->now + 200);
	run_until(w, w->sim->now + MS);
	daemon_pause(alpha(w));
	run_ms(w, 100);
	expect(w,
	    self_of(bravo(w)) == MB_PAIRED &&
		status(bravo(w))->vols[0].conn < MIR_CONN_INSYNC,
	    "they are a pair, and the copies not yet compared");
	run_ms(w, 5000);
	expect(w, !status(bravo(w))->vols[0].primary,
	    "bravo does not serve older data");
	daemon_resume(alpha(w));
	scene_end(w);
}

static bool
alpha_ended(struct world *w)
{
	return !alpha(w)->running;
}

/* R2: the end of one side is seen later, and the other goes on then. */
static void
stopped_while_undecided(struct world *w)
{
	scene_begin(w);
	link_cut(w, LAN);
	run_ms(w, 5000);
	link_cut(w, 0);
	run_ms(w, 900);
	expect(w, vol_inflight(w) > 0, "writes are held");
	daemon_stop(alpha(w));
	expect(w, run_till(w, alpha_ended, 500), "alpha has ended");
	link_heal(w, 0);
	expect(w, run_till(w, shop_runs, 10000) && runs_on(w, 0) == 1,
	    "bravo runs the service");
	run_ms(w, 3000);
	expect(w, !bravo(w)->stale, "with all that was acknowledged");
	scene_end(w);
}

/*
 * An address without data moves while its node is frozen, which then thaws.
 * What the peer says of services may come after its word that all is well.
 */
static void
thawed_as_an_address_moves(struct world *w)
{
	struct wire_dir *cross = &w->link[0].dir[1], *lan = &w->link[1].dir[1];
	int64_t t;

	scene_begin(w);
	daemon_pause(alpha(w));
	run_ms(w, w->conf->t.lease_ms);
	cross->loss_permille = lan->loss_permille = 1000;
	for (t = w->sim->now; w->sim->now < t + 5 * SEC;)
		if (answers(bravo(w), 1))
			break;
		else
			run_until(w, w->sim->now + 100);
	expect(w, answers(bravo(w), 1), "bravo has the address");
	run_ms(w, 1);
	cross->loss_permille = lan->loss_permille = 0;
	daemon_resume(alpha(w)); /* what was lost is sent again, later */
	expect(w, run_till(w, settled, 20000), "all is settled again");
	scene_end(w);
}

/* R8: frozen beyond everything in the middle of a clean end. */
static void
frozen_while_stopping(struct world *w)
{
	scene_begin(w);
	w->lock_gap_us = 2 * MS;
	for (int i = 0; i < 8 && !w->sim->failed; i++) {
		daemon_stop(alpha(w));
		run_ms(w, 20 + 10 * i);
		if (alpha(w)->running)
			daemon_pause(alpha(w));
		run_ms(w, 3000);
		if (alpha(w)->running)
			daemon_resume(alpha(w));
		expect(w, run_till(w, alpha_ended, 5000), "alpha has ended");
		daemon_start(alpha(w));
		expect(w, run_till(w, settled, 20000), "all is settled again");
		operator(alpha(w), ND_OP_TAKEOVER, 0, 0);
		run_ms(w, 3000);
	}
	w->lock_gap_us = 10 * MS;
	scene_end(w);
}

/*
 * The peer vanishes, then the metadata of the only copy cannot be written,
 * then the peer is back: all that was acknowledged reaches its disk.
 */
static void
metadata_fails_alone(struct world *w)
{
	struct disk *d = &alpha(w)->disk;
	unsigned before;

	scene_begin(w);
	host_power_off(bravo(w));
	run_ms(w, 3000);
	expect(w, status(alpha(w))->vols[0].alone, "alpha goes on alone");
	for (size_t s = d->layout.meta_off / SECTOR; s < SECTORS; s++)
		d->bad[s] = BAD_WRITE;
	run_ms(w, 3000);
	host_power_on(bravo(w));
	run_ms(w, 8000);
	before = w->acks;
	run_ms(w, 3000);
	expect(w, w->acks > before + 20, "writes are acknowledged again");
	daemon_kill(alpha(w));
	memset(d->bad, 0, sizeof(d->bad));
	run_ms(w, 1000);
	scene_end(w);
}

static bool
alpha_checks(struct world *w)
{
	for (unsigned i = 0; i < NITEMS(alpha(w)->jobs); i++)
		if (alpha(w)->jobs[i].used &&
		    alpha(w)->jobs[i].action == SVC_DO_STATUS)
			return true;
	return false;
}

/*
 * Frozen while a check hangs, and overtaken: the service still has to stop
 * when the pair agrees again, and its address stays silent until it has.
 */
static void
overtaken_during_a_check(struct world *w)
{
	scene_begin(w);
	for (int i = 0; i < 6 && !w->sim->failed; i++) {
		alpha(w)->mute_steps = true;
		expect(w, run_till(w, alpha_checks, 20000), "a check hangs");
		run_ms(w, 100);
		alpha(w)->mute_steps = false;
		daemon_pause(alpha(w));
		run_ms(w, 1500);
		daemon_resume(alpha(w));
		run_ms(w, 500);
		expect(w, run_till(w, settled, 20000), "all is settled again");
		operator(alpha(w), ND_OP_TAKEOVER, 0, 0);
		run_ms(w, 3000);
	}
	scene_end(w);
}

static uint64_t
highest_token(const struct world *w)
{
	uint64_t max = 0;

	for (unsigned n = 0; n < LOCK_NAMES; n++)
		for (unsigned m = 0; m < LKM_COUNT; m++)
			if (w->max_token[n][m] > max)
				max = w->max_token[n][m];
	return max;
}

/*
 * An operator lets bravo act, which has missed epochs of alpha: its tokens are
 * above alpha's, and those of the pair afterwards above its own.
 */
static void
seeded_below_the_peer(struct world *w)
{
	uint64_t before, seeded;

	scene_begin(w);
	host_power_off(bravo(w));
	run_ms(w, 3000);
	for (int i = 0; i < 3; i++) {
		daemon_kill(alpha(w));
		daemon_start(alpha(w));
		run_ms(w, 3000);
	}
	before = highest_token(w);
	host_power_off(alpha(w));
	host_power_on(bravo(w));
	run_ms(w, 3000);
	w->lied = true; /* its data are old, and it is told to use them */
	operator(bravo(w), ND_OP_SEED, -1, 1);
	run_ms(w, 5000);
	seeded = highest_token(w);
	expect(w, seeded > before, "tokens have grown");
	expect(w, nd_epoch(bravo(w)->nd) < 8, "the epoch did not leap");
	daemon_kill(bravo(w));
	daemon_start(bravo(w));
	run_ms(w, 3000);
	expect(w, highest_token(w) > seeded, "and grow");
}

const struct scene scenes[] = {
    {SCENE(crash_takeover), 0},
    {SCENE(freeze_thaw), 0},
    {SCENE(freeze_short), 0},
    {SCENE(cross_cut_nothing_moves), 0},
    {SCENE(one_link_then_death_is_jeopardy), 0},
    {SCENE(cut_in_jeopardy_keeps), 0},
    {SCENE(node_vanishes), 0},
    {SCENE(silence_waits), W_WAIT},
    {SCENE(goodbye_handover), W_WAIT},
    {SCENE(planned_takeover), 0},
    {SCENE(both_crash_restart_last_survivor), 0},
    {SCENE(amnesia), 0},
    {SCENE(operator_seeds), W_WAIT},
    {SCENE(power_cut_during_resync), 0},
    {SCENE(torn_metadata), 0},
    {SCENE(isolation_hands_over), 0},
    {SCENE(lock_moves_after_death), 0},
    {SCENE(disk_dies_under_primary), 0},
    {SCENE(overtaken_then_alone), 0},
    {SCENE(metadata_fails_alone), 0},
    {SCENE(stopped_while_undecided), 0},
    {SCENE(thawed_as_an_address_moves), W_WAIT},
    {SCENE(frozen_while_stopping), 0},
    {SCENE(overtaken_during_a_check), W_CHECK},
    {SCENE(seeded_below_the_peer), 0},
};
const unsigned n_scenes = NITEMS(scenes);
