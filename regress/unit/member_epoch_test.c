/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may act: epochs and thaws (R8), isolation (R9), goodbyes. */
#include "member_world.h"

/* The restart of a daemon is seen before its death was. */
static void
R8_restarted(void **state)
{
	(void)state;
	both_paired();
	daemon_end(ALPHA);
	daemon_start(ALPHA);
	run(30);
	noted(BRAVO, "[R8] alpha is gone: its daemon restarted");
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 2);
	noted(BRAVO, "paired -> alone at epoch 2");
}

/* Nothing takes effect before the raised epoch is durable. */
static void
R8_durable_before_acting(void **state)
{
	(void)state;
	both_paired();
	w.nodes[BRAVO].disk_broken = true;
	daemon_end(ALPHA);
	run(TAKEOVER + 500);
	expect(BRAVO, PAIRED, SILENT);
	assert_true(w.nodes[BRAVO].epoch == 1);
	noted(BRAVO, "[R8] the record of epoch 2 cannot be written");
	w.nodes[BRAVO].disk_broken = false;
	run(1000);
	expect(BRAVO, ALONE, GONE);
	assert_true(w.nodes[BRAVO].alone_at_disk_epoch == 2);
}

/* Frozen, taken over from, thawed: it demotes itself and joins. */
static void
R8_thawed_late(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	run(500);
	expect(BRAVO, ALONE, GONE);
	thaw(ALPHA);
	/* Its question was answered at once: it has been taken over from. */
	expect(ALPHA, INERT, UNKNOWN);
	noted(ALPHA, "paired -> doubt");
	noted(ALPHA, "[R8] bravo has raised the epoch without us");
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 2);
}

/* Thawed in time: doubt, a question, an answer. */
static void
R8_thawed_in_time(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	run(LEASE + 20);
	w.ctl_cut = true;
	thaw(ALPHA);
	expect(ALPHA, DOUBT, ALIVE);
	run(30);
	expect(ALPHA, DOUBT, ALIVE);
	w.ctl_cut = false;
	run(2 * HEARTBEAT);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 1);
	noted(ALPHA, "[R8] bravo answers and has not acted meanwhile");
}

/* What was queued during the pause is not an answer. */
static void
R8_stale_queue_is_no_answer(void **state)
{
	struct node *b = &w.nodes[BRAVO];

	(void)state;
	both_paired();
	freeze(ALPHA);
	run(500);
	expect(BRAVO, ALONE, GONE);
	w.ctl_cut = true;
	thaw(ALPHA);
	step(ALPHA, (struct mb_event){.type = MB_EV_HEARD,
			.u.heard = {BRAVO, LAN, b->incarnation, 1}});
	expect(ALPHA, DOUBT, ALIVE);
	step(ALPHA, (struct mb_event){.type = MB_EV_HEARD,
			.u.heard = {BRAVO, LAN, b->incarnation, 2}});
	expect(ALPHA, INERT, UNKNOWN);
}

/* The answers are lost, the heartbeats are not. */
static void
R8_doubt_ends_by_heartbeats(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	run(LEASE + 20);
	w.ctl_cut = true;
	thaw(ALPHA);
	run(DEAD - 10);
	expect(ALPHA, DOUBT, ALIVE);
	run(HEARTBEAT + 10);
	expect(ALPHA, PAIRED, ALIVE);
}

/*
 * Its disk is slow: a heartbeat of a node that has decided, and cannot say so
 * yet, ends nobody's doubt.
 */
static void
R8_doubt_waits_for_a_decision(void **state)
{
	(void)state;
	both_paired();
	w.nodes[BRAVO].disk_broken = true;
	freeze(ALPHA);
	run(TAKEOVER + DISK + 5);
	expect(BRAVO, PAIRED, SILENT);
	w.ctl_cut = true;
	w.cut[ALPHA][CROSS] = w.cut[ALPHA][LAN] = true;
	thaw(ALPHA);
	expect(ALPHA, DOUBT, ALIVE);
	run(DEAD + HEARTBEAT + 10);
	expect(ALPHA, DOUBT, ALIVE);
	w.nodes[BRAVO].disk_broken = false;
	run(2 * DEAD);
	expect(BRAVO, ALONE, GONE);
	expect(ALPHA, INERT, UNKNOWN);
}

/* It could not be written, and the peer is back: nobody acts alone. */
static void
R8_decision_is_dropped(void **state)
{
	(void)state;
	both_paired();
	w.nodes[BRAVO].disk_broken = true;
	freeze(ALPHA);
	run(TAKEOVER + DISK + 5);
	expect(BRAVO, PAIRED, SILENT);
	thaw(ALPHA);
	run(3 * DEAD);
	noted(BRAVO, "[R8] alpha is heard again: to act alone at epoch 2, "
		     "which could not be written, is given up");
	expect(BRAVO, PAIRED, ALIVE);
	expect(ALPHA, PAIRED, ALIVE);
	w.nodes[BRAVO].disk_broken = false;
	run(5 * DEAD);
	assert_false(w.nodes[BRAVO].disk.solo);
	assert_true(w.nodes[BRAVO].disk.epoch == 1);
}

static void
R8_short_gap_is_nothing(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	run(LEASE);
	thaw(ALPHA);
	expect(ALPHA, PAIRED, ALIVE);
}

/* The pause itself is not silence of the peer. */
static void
R8_gap_is_not_silence(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	freeze(BRAVO);
	run(5000);
	w.nodes[ALPHA].frozen = w.nodes[BRAVO].frozen = false;
	w.nodes[ALPHA].frozen = true;
	thaw(BRAVO);
	thaw(ALPHA);
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 1);
}

/*
 * R1: the disk took its time, and meanwhile the peer was cut off: it does not
 * come to a pair.  Once it is heard again it does, though neither has anything
 * new to say.
 */
static void
R1_pair_after_a_failed_write(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	run(TAKEOVER + HEARTBEAT + DISK + 1);
	expect(BRAVO, ALONE, GONE);
	w.nodes[BRAVO].disk_broken = true;
	thaw(ALPHA);
	run(HEARTBEAT + DISK);
	expect(ALPHA, INERT, UNKNOWN);
	noted(BRAVO, "cannot be written");
	cut_both(true);
	run(DEAD + HEARTBEAT);
	w.nodes[BRAVO].disk_broken = false;
	run(5 * DEAD);
	expect(BRAVO, ALONE, GONE);
	assert_true(w.nodes[BRAVO].disk.solo);
	cut_both(false);
	run(DEAD);
	expect(BRAVO, PAIRED, ALIVE);
	expect(ALPHA, PAIRED, ALIVE);
}

/* The same with two that are inert: the lower id would have been first. */
static void
R1_both_inert_after_a_failed_write(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	w.nodes[ALPHA].disk_broken = true;
	daemon_start(BRAVO);
	run(2 * HEARTBEAT + DISK);
	noted(ALPHA, "cannot be written");
	cut_both(true);
	run(DEAD + HEARTBEAT);
	w.nodes[ALPHA].disk_broken = false;
	run(5 * DEAD);
	expect(ALPHA, INERT, UNKNOWN);
	cut_both(false);
	run(DEAD);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
}

/*
 * R8: it stood still as it was about to follow into the pair, and the peer,
 * which has died since, may have acted.
 */
static void
R8_thawed_on_the_way_into_a_pair(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	daemon_start(BRAVO);
	for (int i = 0; i < 100 && (w.nodes[ALPHA].self != MB_PAIRED ||
				       !w.nodes[BRAVO].is_pending);
	     i++)
		run(1);
	expect(ALPHA, PAIRED, ALIVE);
	assert_true(w.nodes[BRAVO].is_pending);
	freeze(BRAVO);
	run(TAKEOVER + HEARTBEAT + DISK + 1);
	expect(ALPHA, ALONE, GONE);
	daemon_end(ALPHA);
	run(DEAD);
	thaw(BRAVO);
	run(5 * TAKEOVER);
	expect(BRAVO, INERT, UNKNOWN);
}

/* R1: ctl alone makes no pair, which would break again at once. */
static void
R1_no_pair_without_heartbeats(void **state)
{
	uint64_t epoch;

	(void)state;
	both_paired();
	cut_both(true);
	w.ctl_cut = false;
	run(10 * DEAD);
	expect(BRAVO, ALONE, GONE);
	expect(ALPHA, INERT, UNKNOWN);
	epoch = w.nodes[BRAVO].epoch;
	run(20 * DEAD);
	expect(BRAVO, ALONE, GONE);
	assert_true(w.nodes[BRAVO].epoch == epoch);
	cut_both(false);
	run(2 * HEARTBEAT + 2 * DISK);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
}

/* Nor with one that is heard and says that it hears nothing. */
static void
R1_no_pair_with_the_deaf(void **state)
{
	struct mb_event e = {.type = MB_EV_HEARD};

	(void)state;
	cut_both(true);
	w.ctl_cut = false;
	daemon_start(ALPHA);
	daemon_start(BRAVO);
	e.u.heard.from = BRAVO;
	e.u.heard.link = LAN;
	e.u.heard.incarnation = w.nodes[BRAVO].incarnation;
	e.u.heard.one_way = e.u.heard.unheard = true;
	for (int i = 0; i < 50; i++) {
		step(ALPHA, e);
		run(HEARTBEAT);
	}
	expect(ALPHA, INERT, UNKNOWN);
	e.u.heard.one_way = e.u.heard.unheard = false;
	step(ALPHA, e);
	deliver();
	run(DISK);
	expect(ALPHA, PAIRED, ALIVE);
}

/* Silence after a short pause: the peer cannot have acted. */
static void
R8_thawed_to_silence_short(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	run(LEASE + 10);
	daemon_end(BRAVO);
	thaw(ALPHA);
	run(TAKEOVER + 2 * HEARTBEAT + DISK);
	expect(ALPHA, ALONE, GONE);
	assert_true(w.nodes[ALPHA].epoch == 2);
}

/* Silence after a long one: it may have, so nobody guesses. */
static void
R8_thawed_to_silence_long(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	run(1000);
	expect(BRAVO, ALONE, GONE);
	daemon_end(BRAVO);
	thaw(ALPHA);
	run(5000);
	expect(ALPHA, INERT, UNKNOWN);
	noted(ALPHA, "may have acted alone during the pause");
	seed(ALPHA);
	run(DISK);
	expect(ALPHA, ALONE, GONE);
}

/* Alone, a pause shorter than any operator changes nothing. */
static void
R8_thawed_alone(void **state)
{
	(void)state;
	bravo_alone();
	freeze(BRAVO);
	run(TAKEOVER);
	thaw(BRAVO);
	expect(BRAVO, ALONE, GONE);
	freeze(BRAVO);
	run(10000);
	thaw(BRAVO);
	expect(BRAVO, DOUBT, GONE);
	run(TAKEOVER);
	expect(BRAVO, ALONE, GONE);
	assert_true(w.nodes[BRAVO].disk.solo);
}

/* alpha was frozen alone, the operator seeded bravo: alpha gives up. */
static void
R8_seeded_meanwhile(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	run(10);
	seed(ALPHA);
	run(10);
	expect(ALPHA, ALONE, GONE);
	freeze(ALPHA);
	w.nodes[BRAVO].disk.epoch = 5;
	w.nodes[BRAVO].disk.node = BRAVO;
	strcpy(w.nodes[BRAVO].disk.cluster, "shop");
	w.nodes[BRAVO].has_disk = true;
	daemon_start(BRAVO);
	run(10);
	seed(BRAVO);
	run(1000);
	expect(BRAVO, ALONE, GONE);
	thaw(ALPHA);
	run(100);
	noted(ALPHA, "acted alone as well and has precedence");
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 6);
	assert_false(w.nodes[ALPHA].disk.solo);
}

/* All links cut at once with both alive: both act, one yields later. */
static void
R8_conflict(void **state)
{
	(void)state;
	both_paired();
	cut_both(true);
	run(1000);
	expect(ALPHA, ALONE, GONE);
	expect(BRAVO, ALONE, GONE);
	cut_both(false);
	run(200);
	/* Equal epochs: the higher id yields. */
	noted(BRAVO, "[R8] alpha acts as well, at epoch 2: vouch for nothing");
	noted(BRAVO, "[R8] alpha acted alone as well and has precedence");
	noted(ALPHA, "[R8] bravo acted alone as well, at epoch 2");
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(strstr(w.nodes[ALPHA].notes, "alone -> inert") == NULL);
}

/* Both act at one epoch; only heartbeats pass again. */
static void
tie(void)
{
	both_paired();
	cut_both(true);
	run(1000);
	expect(ALPHA, ALONE, GONE);
	expect(BRAVO, ALONE, GONE);
	assert_true(w.nodes[ALPHA].epoch == w.nodes[BRAVO].epoch);
	cut_both(false);
	w.ctl_cut = true;
}

/* The one that will have to yield is silent with the first heartbeat. */
static void
R8_tie_is_heard_at_once(void **state)
{
	(void)state;
	tie();
	heartbeat(ALPHA, LAN);
	expect(BRAVO, DOUBT, GONE);
	/* However long ctl takes, and only that one. */
	heartbeat(BRAVO, LAN);
	run(2 * TAKEOVER);
	expect(ALPHA, ALONE, GONE);
	expect(BRAVO, DOUBT, GONE);
	w.ctl_cut = false;
	run(100);
	noted(BRAVO, "[R8] alpha acted alone as well and has precedence");
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
}

/* The other is heard first: it is told once, and changes nothing. */
static void
R8_tie_is_kept(void **state)
{
	const char *first;

	(void)state;
	tie();
	heartbeat(BRAVO, CROSS);
	heartbeat(BRAVO, LAN);
	expect(ALPHA, ALONE, GONE);
	noted(ALPHA, "[R8] bravo acts as well, at epoch 2: it must yield");
	first = strstr(w.nodes[ALPHA].notes, "bravo acts as well");
	assert_null(strstr(first + 1, "bravo acts as well"));
}

/* The higher epoch wins, whatever the ids. */
static void
R8_higher_epoch_keeps(void **state)
{
	(void)state;
	tie();
	step(ALPHA, (struct mb_event){.type = MB_EV_HEARD,
			.u.heard = {BRAVO, LAN, w.nodes[BRAVO].incarnation, 3,
			    .acts = true}});
	expect(ALPHA, DOUBT, GONE);
	step(BRAVO, (struct mb_event){.type = MB_EV_HEARD,
			.u.heard = {ALPHA, LAN, w.nodes[ALPHA].incarnation, 1,
			    .acts = true}});
	expect(BRAVO, ALONE, GONE);
}

/* A peer that knows the epoch and does not act is no rival. */
static void
R8_no_tie_with_an_idle_peer(void **state)
{
	(void)state;
	tie();
	step(BRAVO, (struct mb_event){.type = MB_EV_HEARD,
			.u.heard = {ALPHA, LAN, w.nodes[ALPHA].incarnation, 2,
			    .acts = false}});
	expect(BRAVO, ALONE, GONE);
}

/* Silence again before ctl has spoken: alone as before. */
static void
R8_tie_falls_silent(void **state)
{
	(void)state;
	tie();
	heartbeat(ALPHA, LAN);
	expect(BRAVO, DOUBT, GONE);
	cut_both(true);
	run(TAKEOVER + 1);
	expect(BRAVO, ALONE, GONE);
	assert_true(w.nodes[BRAVO].disk.solo);
}

/* One-way loss: alpha is heard by nobody and hears it was replaced. */
static void
R8_one_way(void **state)
{
	(void)state;
	both_paired();
	w.cut[ALPHA][CROSS] = w.cut[ALPHA][LAN] = true;
	w.ctl_cut = true;
	run(TAKEOVER + DISK + HEARTBEAT);
	expect(BRAVO, ALONE, GONE);
	run(HEARTBEAT);
	expect(ALPHA, INERT, UNKNOWN);
	w.cut[ALPHA][CROSS] = w.cut[ALPHA][LAN] = w.ctl_cut = false;
	run(300);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
}

/* The envelope check saw a higher epoch. */
static void
R8_newer_epoch_seen(void **state)
{
	(void)state;
	both_paired();
	w.ctl_cut = true;
	step(ALPHA, (struct mb_event){
			.type = MB_EV_NEWER_EPOCH, .u.newer = {BRAVO, 3}});
	expect(ALPHA, INERT, UNKNOWN);
	assert_true(w.nodes[ALPHA].epoch == 1);
	run(DISK);
	assert_true(w.nodes[ALPHA].epoch == 3);
}

/* Own carrier lost everywhere: hand over, never take. */
static void
R9_isolated(void **state)
{
	(void)state;
	both_paired();
	carrier(ALPHA, CROSS, false);
	expect(ALPHA, PAIRED, ALIVE);
	carrier(ALPHA, LAN, false);
	cut_both(true);
	expect(ALPHA, ISOLATED, ALIVE);
	run(1000);
	expect(ALPHA, ISOLATED, ALIVE);
	expect(BRAVO, ALONE, GONE);
	cut_both(false);
	carrier(ALPHA, LAN, true);
	carrier(ALPHA, CROSS, true);
	run(200);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 2);
}

/* The peer did not act meanwhile. */
static void
R9_isolated_briefly(void **state)
{
	(void)state;
	both_paired();
	carrier(ALPHA, CROSS, false);
	carrier(ALPHA, LAN, false);
	cut_both(true);
	run(50);
	cut_both(false);
	carrier(ALPHA, LAN, true);
	run(1);
	expect(ALPHA, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 1);
	noted(ALPHA, "[R9] carrier is back on lan");
}

/*
 * Direct cables: the other machine has lost its power, and with it went every
 * link's carrier.  The LAN, where the addresses are, still has one.
 */
static void
R9_direct_cables(void **state)
{
	(void)state;
	w.outside = true;
	both_paired();
	daemon_end(ALPHA);
	carrier(BRAVO, CROSS, false);
	carrier(BRAVO, LAN, false);
	expect(BRAVO, PAIRED, ALIVE);
	run(TAKEOVER + HEARTBEAT + DISK);
	expect(BRAVO, ALONE, GONE);
	noted(BRAVO, "[R3] alpha is gone: all links fell silent at once");
}

/* The last of all interfaces decides, whichever it is; and the first back. */
static void
R9_every_interface(void **state)
{
	(void)state;
	w.outside = true;
	both_paired();
	carrier(ALPHA, MB_OUTSIDE, false);
	carrier(ALPHA, CROSS, false);
	expect(ALPHA, PAIRED, ALIVE);
	carrier(ALPHA, LAN, false);
	expect(ALPHA, ISOLATED, ALIVE);
	noted(ALPHA, "[R9] carrier lost on every own interface");
	carrier(ALPHA, MB_OUTSIDE, true);
	noted(ALPHA, "[R9] carrier is back on an interface of addresses");
	run(1);
	expect(ALPHA, PAIRED, ALIVE);
	carrier(ALPHA, LAN, false);
	expect(ALPHA, PAIRED, ALIVE);
	carrier(ALPHA, MB_OUTSIDE, false);
	expect(ALPHA, ISOLATED, ALIVE);
}

/* A ping node answers, by an interface that the file does not name. */
static void
R9_pings_deny_isolation(void **state)
{
	(void)state;
	w.pings = true;
	both_paired();
	carrier(ALPHA, CROSS, false);
	carrier(ALPHA, LAN, false);
	expect(ALPHA, PAIRED, ALIVE);
	pings(ALPHA, false);
	expect(ALPHA, ISOLATED, ALIVE);
	noted(ALPHA, "[R9] carrier lost on every own interface");
	/* By its carriers, so they end it. */
	carrier(ALPHA, LAN, true);
	run(1);
	expect(ALPHA, PAIRED, ALIVE);
}

/* With nobody to hand over to, a pulled cable changes nothing. */
static void
R9_alone_keeps(void **state)
{
	(void)state;
	bravo_alone();
	carrier(BRAVO, CROSS, false);
	carrier(BRAVO, LAN, false);
	run(1000);
	expect(BRAVO, ALONE, GONE);
}

static void
goodbye(void **state)
{
	(void)state;
	both_paired();
	step(ALPHA, (struct mb_event){.type = MB_EV_STOP});
	deliver();
	run(10);
	expect(ALPHA, STOPPING, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	step(ALPHA, (struct mb_event){.type = MB_EV_STOPPED});
	deliver();
	run(DISK);
	expect(BRAVO, ALONE, LEFT);
	assert_true(w.nodes[ALPHA].done);
	assert_true(w.nodes[ALPHA].disk.clean);
	assert_false(w.nodes[ALPHA].disk.solo);
	assert_true(w.nodes[BRAVO].disk.solo);
	/* The refusals that follow mean nothing new. */
	daemon_end(ALPHA);
	aborted(BRAVO);
	refused(BRAVO, LAN);
	run(500);
	expect(BRAVO, ALONE, LEFT);
	daemon_start(ALPHA);
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
}

/* Both stop one after the other: the last one may start alone. */
static void
goodbye_of_both(void **state)
{
	(void)state;
	goodbye(state);
	step(BRAVO, (struct mb_event){.type = MB_EV_STOP});
	step(BRAVO, (struct mb_event){.type = MB_EV_STOPPED});
	deliver();
	run(10);
	expect(ALPHA, ALONE, LEFT);
	step(ALPHA, (struct mb_event){.type = MB_EV_STOP});
	step(ALPHA, (struct mb_event){.type = MB_EV_STOPPED});
	run(10);
	assert_true(w.nodes[ALPHA].done && w.nodes[ALPHA].disk.solo);
	assert_false(w.nodes[BRAVO].disk.solo);
}

static void
stop(uint8_t id)
{
	step(id, (struct mb_event){.type = MB_EV_STOP});
	deliver();
}

/*
 * What ends acts as well while it does, and raises the epoch for it: the peer
 * that stood still meanwhile must not go on from what it had.
 */
static void
R8_stopping_acts(void **state)
{
	(void)state;
	both_paired();
	stop(ALPHA);
	w.nodes[BRAVO].frozen = true;
	w.nodes[ALPHA].disk_broken = true;
	run(DEAD + TAKEOVER);
	/* Nothing before the epoch is durable. */
	expect(ALPHA, STOPPING, SILENT);
	w.nodes[ALPHA].disk_broken = false;
	run(DEAD + DISK + 1);
	expect(ALPHA, STOPPING, GONE);
	assert_true(w.nodes[ALPHA].epoch == 2);
	assert_true(w.nodes[ALPHA].disk.solo);
	w.nodes[BRAVO].frozen = false;
	step(BRAVO, (struct mb_event){.type = MB_EV_GAP,
			.u.gap = {(2 * DEAD + TAKEOVER) * 1000}});
	deliver();
	expect(BRAVO, INERT, UNKNOWN);
	step(ALPHA, (struct mb_event){.type = MB_EV_STOPPED});
	deliver();
	run(500);
	assert_true(w.nodes[ALPHA].done && w.nodes[ALPHA].disk.solo);
	expect(BRAVO, INERT, UNKNOWN);
	assert_true(w.nodes[BRAVO].disk.epoch == 2);
	assert_false(w.nodes[BRAVO].disk.solo);
}

/* The goodbye says that it has not acted: so it has not, nor says its disk. */
static void
R8_stopped_before_it_acts(void **state)
{
	(void)state;
	both_paired();
	stop(ALPHA);
	w.nodes[BRAVO].frozen = true;
	for (int i = 0; i < 500 && !w.nodes[ALPHA].is_pending; i++)
		run(1);
	assert_true(w.nodes[ALPHA].pending.solo);
	step(ALPHA, (struct mb_event){.type = MB_EV_STOPPED});
	run(DISK);
	assert_true(w.nodes[ALPHA].done && w.nodes[ALPHA].disk.clean);
	assert_false(w.nodes[ALPHA].disk.solo);
	assert_true(w.nodes[ALPHA].disk.epoch == 1);
}

/* Nor does it act if it stood still itself, or has said goodbye. */
static void
R8_stopping_in_doubt(void **state)
{
	(void)state;
	both_paired();
	stop(ALPHA);
	step(ALPHA,
	    (struct mb_event){.type = MB_EV_GAP, .u.gap = {LEASE * 1000 + 1}});
	daemon_end(BRAVO);
	run(DEAD + TAKEOVER);
	expect(ALPHA, STOPPING, GONE);
	assert_true(w.nodes[ALPHA].epoch == 1);
	assert_false(w.nodes[ALPHA].disk.solo);
}

static void
R8_both_stopping(void **state)
{
	(void)state;
	both_paired();
	stop(ALPHA);
	stop(BRAVO);
	step(ALPHA, (struct mb_event){.type = MB_EV_STOPPED});
	step(BRAVO, (struct mb_event){.type = MB_EV_STOPPED});
	deliver();
	run(10);
	assert_true(w.nodes[ALPHA].done && w.nodes[BRAVO].done);
	for (uint8_t id = ALPHA; id <= BRAVO; id++) {
		assert_true(w.nodes[id].disk.clean && !w.nodes[id].disk.solo);
		assert_true(w.nodes[id].disk.epoch == 1);
	}
}

/* Bytes from outside are refused with a reason, whatever they are. */
static void
bad_messages(void **state)
{
	uint8_t good[64], b[64];
	static const struct {
		int at, value;
		const char *why;
	} cases[] = {
	    {0, 9, "unknown type"},
	    {1, 0, "unknown state"},
	    {1, 77, "unknown state"},
	    {2, 8, "unknown flags"},
	    {3, 1, "a reserved byte is not zero"},
	};

	(void)state;
	both_paired();
	seed(ALPHA);
	step(BRAVO, (struct mb_event){.type = MB_EV_STOP});
	assert_true(w.n_queue > 0);
	memcpy(good, w.queue[0].bytes, sizeof(good));
	w.n_queue = 0;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		memcpy(b, good, sizeof(b));
		b[cases[i].at] = (uint8_t)cases[i].value;
		step(ALPHA, (struct mb_event){
				.type = MB_EV_MSG, .u.msg = {BRAVO, b, 64}});
		noted(ALPHA, cases[i].why);
	}
	step(ALPHA,
	    (struct mb_event){.type = MB_EV_MSG, .u.msg = {BRAVO, good, 55}});
	noted(ALPHA, "wrong length");
	memset(good + 16, 0, 8);
	step(ALPHA,
	    (struct mb_event){.type = MB_EV_MSG, .u.msg = {BRAVO, good, 64}});
	noted(ALPHA, "no incarnation");
	expect(ALPHA, PAIRED, ALIVE);
}

static void
forecast(void **state)
{
	struct mb_forecast f;

	(void)state;
	daemon_start(BRAVO);
	run(10);
	mb_forecast(w.nodes[BRAVO].mb, at(w.now), ALPHA, &f);
	assert_int_equal(f.fate, MB_FATE_NOBODY);
	daemon_end(BRAVO);
	both_paired();
	mb_forecast(w.nodes[BRAVO].mb, at(w.now), ALPHA, &f);
	assert_int_equal(f.fate, MB_FATE_TAKEN);
	assert_int_equal(f.ms, TAKEOVER);
	assert_int_equal(f.crash_ms, HEARTBEAT);
	assert_string_equal(f.rule, "R3");
	w.cut[ALPHA][CROSS] = true;
	run(500);
	mb_forecast(w.nodes[BRAVO].mb, at(w.now), ALPHA, &f);
	assert_int_equal(f.fate, MB_FATE_OPERATOR);
	assert_string_equal(f.rule, "R2");
	daemon_end(ALPHA);
	daemon_end(BRAVO);
	memset(&w, 0, sizeof(w));
	w.wait = true;
	both_paired();
	mb_forecast(w.nodes[BRAVO].mb, at(w.now), ALPHA, &f);
	assert_int_equal(f.fate, MB_FATE_OPERATOR);
	assert_string_equal(f.rule, "R3");
	assert_string_equal(f.text, "silent peer wait: an operator decides");
}

/* Alone by what it knew, but the disk took so long that the peer is heard. */
static void
R1_heard_before_it_was_durable(void **state)
{
	(void)state;
	bravo_alone();
	daemon_end(BRAVO);
	w.nodes[BRAVO].disk_broken = true;
	daemon_start(BRAVO);
	run(TAKEOVER + DISK + 2);
	expect(BRAVO, INERT, UNKNOWN);
	noted(BRAVO, "[R8] the record of epoch 3 cannot be written");
	w.cut[BRAVO][CROSS] = w.cut[BRAVO][LAN] = true;
	w.ctl_cut = true;
	daemon_start(ALPHA);
	run(HEARTBEAT + 1);
	w.nodes[BRAVO].disk_broken = false;
	run(DEAD);
	expect(BRAVO, INERT, UNKNOWN);
	assert_int_equal(w.nodes[BRAVO].epoch, 3);
	noted(BRAVO, "[R1] alpha is heard after all: this node waits for a "
		     "pair");
	cut_both(false);
	run(2 * DEAD);
	expect(BRAVO, PAIRED, ALIVE);
	expect(ALPHA, PAIRED, ALIVE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(R1_heard_before_it_was_durable),
	    T(R8_restarted),
	    T(R8_durable_before_acting),
	    T(R8_thawed_late),
	    T(R8_thawed_in_time),
	    T(R8_stale_queue_is_no_answer),
	    T(R8_doubt_ends_by_heartbeats),
	    T(R8_doubt_waits_for_a_decision),
	    T(R8_decision_is_dropped),
	    T(R1_pair_after_a_failed_write),
	    T(R1_both_inert_after_a_failed_write),
	    T(R8_thawed_on_the_way_into_a_pair),
	    T(R1_no_pair_without_heartbeats),
	    T(R1_no_pair_with_the_deaf),
	    T(R8_short_gap_is_nothing),
	    T(R8_gap_is_not_silence),
	    T(R8_thawed_to_silence_short),
	    T(R8_thawed_to_silence_long),
	    T(R8_thawed_alone),
	    T(R8_seeded_meanwhile),
	    T(R8_conflict),
	    T(R8_tie_is_heard_at_once),
	    T(R8_tie_is_kept),
	    T(R8_higher_epoch_keeps),
	    T(R8_no_tie_with_an_idle_peer),
	    T(R8_tie_falls_silent),
	    T(R8_one_way),
	    T(R8_newer_epoch_seen),
	    T(R9_isolated),
	    T(R9_isolated_briefly),
	    T(R9_direct_cables),
	    T(R9_every_interface),
	    T(R9_pings_deny_isolation),
	    T(R9_alone_keeps),
	    T(goodbye),
	    T(goodbye_of_both),
	    T(R8_stopping_acts),
	    T(R8_stopped_before_it_acts),
	    T(R8_stopping_in_doubt),
	    T(R8_both_stopping),
	    T(bad_messages),
	    T(forecast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
