/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stories of virtual routers and of shared addresses.
 */
#include "sim_vr.h"

#define ADDR(n) "address e" #n " { 192.0.2.10" #n "/24 interface l0 }\n"
#define BOTH(what, a, b) what #a " on alpha\n" what #b " on bravo\n"
#define VRRP(n, every, a, b, more) \
	ADDR(n) \
	"router r" #n " {\n" \
	"	vrrp 3 vrid 1" #n "\n" \
	"	address e" #n "\n" \
	"	interval " every "\n" BOTH("	priority ", a, b) more "}\n"
#define CARP(n, a, b, more) \
	ADDR(n) \
	"router r" #n " {\n" \
	"	carp vhid 2" #n "\n" \
	"	password \"sesame\"\n" \
	"	address e" #n "\n" BOTH("	skew ", a, b) more "}\n"
#define SHARED(n) \
	"address e" #n " { 192.0.2.10" #n "/24 interface l0; share }\n"

/* Who holds router r, and nobody else does; -1. */
static int
holder(struct world *w, unsigned r)
{
	bool a = rt_holds(alpha(w), r), b = rt_holds(bravo(w), r);

	return a == b ? -1 : a ? 0 : 1;
}

static bool
alpha_holds(struct world *w)
{
	return holder(w, 0) == 0;
}

static bool
bravo_holds(struct world *w)
{
	return holder(w, 0) == 1;
}

/* So many transitions of this node's router. */
static uint64_t
moves(struct host *h, unsigned r)
{
	struct vr_status s;

	return nd_router_status(h->nd, (uint16_t)r, &s) ? s.transitions : 0;
}

static void
begin(struct world *w)
{
	scene_begin(w);
	expect(w, run_till(w, alpha_holds, 10000), "alpha holds the address");
	run_ms(w, 2000);
}

/* It vanishes: known by heartbeats long before three of its adverts miss. */
static void
vr_node_dies(struct world *w)
{
	int64_t t;

	begin(w);
	t = w->sim->now;
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_holds, 2500), "bravo holds it");
	expect(w, w->sim->now - t < 2000 * MS, "before 3 s: %lld ms",
	    (long long)((w->sim->now - t) / MS));
	scene_end(w);
}

/* The kernel of a dead daemon closes its guard, and says that it is dead. */
static void
vr_daemon_is_killed(struct world *w)
{
	begin(w);
	daemon_kill(alpha(w));
	expect(w, !rt_open(alpha(w), ADDRESSES), "its guard is closed");
	expect(w, run_till(w, bravo_holds, 1500), "bravo holds it");
	run_ms(w, 1000);
	daemon_start(alpha(w));
	run_ms(w, 8000);
	expect(w, bravo_holds(w), "it stays there");
	scene_end(w);
}

/*
 * A LAN in pieces while the crossover carries words: whoever is cut off hears
 * no master, and is told that there is one.
 */
static void
vr_lan_cut(struct world *w)
{
	uint64_t n;

	begin(w);
	n = moves(bravo(w), 0);
	link_cut(w, LAN);
	run_ms(w, 12000);
	expect(w, alpha_holds(w) && moves(bravo(w), 0) == n, "nothing moved");
	link_heal(w, LAN);
	run_ms(w, 3000);
	expect(w, alpha_holds(w) && moves(bravo(w), 0) == n, "nor then");
	scene_end(w);
}

/* keepalived: two masters for as long as it lasts. */
static void
vr_adverts_lost_one_way(struct world *w)
{
	uint64_t n;

	begin(w);
	n = moves(bravo(w), 0);
	rt_lose(alpha(w), 1000);
	run_ms(w, 8000);
	expect(w, alpha_holds(w) && moves(bravo(w), 0) == n, "nothing moved");
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_holds, 2500), "but it moves from the dead");
	scene_end(w);
}

/* Where no word passes the protocol has two, and one as soon as it can. */
static void
vr_no_word_passes(struct world *w)
{
	begin(w);
	link_cut(w, 0);
	run_ms(w, 5000);
	link_cut(w, LAN);
	run_ms(w, 5000);
	expect(w, rt_holds(alpha(w), 0) && rt_holds(bravo(w), 0), "both do");
	link_heal(w, LAN);
	run_ms(w, 1500);
	expect(w, alpha_holds(w), "alpha holds it, which is better");
	scene_end(w);
}

static void
vr_carrier_lost(struct world *w)
{
	begin(w);
	carrier_set(alpha(w), LAN, false);
	expect(w, run_till(w, bravo_holds, 100), "bravo holds it at once");
	run_ms(w, 1000);
	carrier_set(alpha(w), LAN, true);
	run_ms(w, 6000);
	expect(w, bravo_holds(w), "it stays there");
	scene_end(w);
}

/*
 * A process that does not run cannot give way: its guard closes before the
 * other node is sure that it is dead, however rare its adverts are.
 */
static void
vr_process_stands_still(struct world *w)
{
	begin(w);
	daemon_pause(alpha(w));
	expect(w, run_till(w, bravo_holds, 2500), "bravo holds it");
	run_ms(w, 2000);
	daemon_resume(alpha(w));
	run_ms(w, 6000);
	expect(w, bravo_holds(w), "it stays there");
	scene_end(w);
}

/* Shorter than every bound: it is held on. */
static void
vr_short_pause(struct world *w)
{
	uint64_t n;

	begin(w);
	n = moves(alpha(w), 0);
	for (int i = 0; i < 5; i++) {
		daemon_pause(alpha(w));
		run_ms(w, w->conf->t.lease_ms / 3);
		daemon_resume(alpha(w));
		run_ms(w, 500);
		daemon_pause(bravo(w));
		run_ms(w, w->conf->t.lease_ms / 3);
		daemon_resume(bravo(w));
		run_ms(w, 500);
	}
	expect(w, alpha_holds(w) && moves(alpha(w), 0) == n, "nothing moved");
	scene_end(w);
}

static void
vr_preempts_after_return(struct world *w)
{
	int64_t t;

	begin(w);
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_holds, 5000), "bravo holds it");
	host_power_on(alpha(w));
	t = w->sim->now;
	expect(w, run_till(w, alpha_holds, 15000), "alpha takes it back");
	expect(w, w->sim->now - t >= 2000 * MS, "not before its delay");
	scene_end(w);
}

static void
vr_equal_priorities(struct world *w)
{
	uint64_t n;

	scene_begin(w);
	run_ms(w, 8000);
	expect(w, holder(w, 0) >= 0, "one holds it");
	n = moves(alpha(w), 0) + moves(bravo(w), 0);
	run_ms(w, 20000);
	expect(w, moves(alpha(w), 0) + moves(bravo(w), 0) == n,
	    "and it stays there");
	scene_end(w);
}

static bool
bravo_holds_all(struct world *w)
{
	for (unsigned r = 0; r < w->conf->n_routers; r++)
		if (holder(w, r) != 1)
			return false;
	return true;
}

/* What only one of them depends on takes all of the group along. */
static void
vr_group_falls_together(struct world *w)
{
	begin(w);
	rt_file(alpha(w), false);
	expect(w, run_till(w, bravo_holds_all, 1000), "bravo holds all");
	rt_file(alpha(w), true);
	run_ms(w, 8000);
	expect(w, bravo_holds_all(w), "they stay there");
	scene_end(w);
}

/* Each node is better by another member: weighed together, one is. */
static void
vr_group_at_cross_purposes(struct world *w)
{
	uint64_t n;

	scene_begin(w);
	run_ms(w, 8000);
	expect(w, holder(w, 0) >= 0 && holder(w, 0) == holder(w, 1),
	    "one node holds both");
	n = moves(alpha(w), 0) + moves(bravo(w), 0);
	carrier_set(alpha(w), LAN, false);
	carrier_set(bravo(w), LAN, false);
	run_ms(w, 1000);
	carrier_set(alpha(w), LAN, true);
	carrier_set(bravo(w), LAN, true);
	run_ms(w, 8000);
	expect(w, holder(w, 0) >= 0 && holder(w, 0) == holder(w, 1),
	    "one node holds both again");
	expect(w, moves(alpha(w), 0) + moves(bravo(w), 0) - n < 12,
	    "in a few steps");
	scene_end(w);
}

/* A slow router beside a fast one that is elsewhere keeps its lease. */
static void
vr_slow_beside_fast(struct world *w)
{
	uint64_t n;

	begin(w);
	expect(w, holder(w, 1) == 1, "bravo holds the fast one");
	n = moves(alpha(w), 0);
	run_ms(w, 10000);
	expect(w, moves(alpha(w), 0) == n && alpha_holds(w),
	    "alpha has never been silent");
	scene_end(w);
}

static void
vr_carp_split(struct world *w)
{
	uint64_t n;

	begin(w);
	n = moves(bravo(w), 0);
	link_cut(w, LAN);
	run_ms(w, 10000);
	expect(w, alpha_holds(w) && moves(bravo(w), 0) == n, "nothing moved");
	/* Both have it for a while, and agree by words. */
	link_cut(w, 0);
	run_ms(w, 6000);
	expect(w, rt_holds(alpha(w), 0) && rt_holds(bravo(w), 0), "both do");
	link_heal(w, 0);
	run_ms(w, 2500);
	expect(w, alpha_holds(w), "alpha holds it, which is better");
	scene_end(w);
}

/* hactl release, and a new priority by a reload. */
static void
vr_operators(struct world *w)
{
	begin(w);
	rt_release(alpha(w), 0);
	expect(w, run_till(w, bravo_holds, 1000), "bravo holds it");
	run_ms(w, 8000);
	expect(w, bravo_holds(w), "who released it does not take it back");
	rt_rank(alpha(w), 0, 50);
	rt_rank(bravo(w), 0, 60);
	run_ms(w, 8000);
	expect(w, bravo_holds(w), "a reload moves nothing by itself");
	daemon_kill(bravo(w));
	expect(w, run_till(w, alpha_holds, 5000), "alpha holds it");
	daemon_start(bravo(w));
	expect(w, run_till(w, bravo_holds, 15000), "bravo is better now");
	scene_end(w);
}

static void
vr_goodbye(struct world *w)
{
	int64_t t;

	begin(w);
	t = w->sim->now;
	daemon_stop(alpha(w));
	expect(w, run_till(w, bravo_holds, 1000), "bravo holds it");
	expect(w, w->sim->now - t < 100 * MS, "at once: %lld ms",
	    (long long)((w->sim->now - t) / MS));
	run_ms(w, 1000);
	scene_end(w);
}

static void
vr_standby(struct world *w)
{
	begin(w);
	operator(alpha(w), ND_OP_STANDBY, -1, 1);
	expect(w, run_till(w, bravo_holds, 1000), "bravo holds it");
	operator(alpha(w), ND_OP_ONLINE, -1, 1);
	expect(w, run_till(w, alpha_holds, 15000), "alpha takes it back");
	scene_end(w);
}

/* Clogged: beats pass, words do not, and what was said before is old. */
static void
vr_old_words(struct world *w)
{
	uint64_t n;

	begin(w);
	for (unsigned l = 0; l < LINKS; l++)
		for (unsigned d = 0; d < HOSTS; d++)
			w->link[l].dir[d].clogged = true;
	run_ms(w, 100);
	rt_file(alpha(w), false);
	run_ms(w, 5000);
	rt_file(alpha(w), true);
	n = moves(alpha(w), 0) + moves(bravo(w), 0);
	run_ms(w, 2000);
	expect(w, moves(alpha(w), 0) + moves(bravo(w), 0) - n < 8,
	    "it does not go to and fro");
	scene_end(w);
}

/*
 * The only one that is left falls back for a moment, or believes that it did
 * not run: each time it listens for as long as a master may be silent, and has
 * the address again then.
 */
static void
vr_survivor_blinks(struct world *w)
{
	begin(w);
	host_power_off(bravo(w));
	run_ms(w, 8000);
	for (int i = 0; i < 4; i++) {
		carrier_set(alpha(w), LAN, false);
		run_ms(w, 15);
		carrier_set(alpha(w), LAN, true);
		expect(w, run_till(w, alpha_holds, 4000), "after its carrier");
		run_ms(w, 3000);
		clock_jump(alpha(w), 2000 * MS);
		run_ms(w, 300);
		expect(w, !rt_holds(alpha(w), 0), "it gave way");
		expect(w, run_till(w, alpha_holds, 4000), "after its clock");
		run_ms(w, 3000);
		rt_file(alpha(w), false);
		run_ms(w, 15);
		rt_file(alpha(w), true);
		expect(w, run_till(w, alpha_holds, 4000), "after its file");
		run_ms(w, 3000);
	}
	host_power_on(bravo(w));
	run_ms(w, 15);
	host_power_off(bravo(w));
	run_ms(w, 4000);
	expect(w, alpha_holds(w), "a node that only begins changes nothing");
	scene_end(w);
}

/*
 * Neither reached a ping node, now both do; but what alpha says of that does
 * not pass, while its adverts do.
 */
static void
vr_old_word_of_the_lan(struct world *w)
{
	uint64_t n;

	begin(w);
	bravo(w)->ping_cut = true;
	run_ms(w, 1000);
	alpha(w)->ping_cut = true;
	run_ms(w, 1000);
	expect(w, alpha_holds(w), "alpha holds it on");
	for (unsigned l = 0; l < LINKS; l++)
		for (unsigned d = 0; d < HOSTS; d++)
			w->link[l].dir[d].clogged = true;
	run_ms(w, 100);
	n = moves(bravo(w), 0);
	alpha(w)->ping_cut = bravo(w)->ping_cut = false;
	run_ms(w, 2000);
	expect(w, alpha_holds(w) && moves(bravo(w), 0) == n, "nothing moved");
	scene_end(w);
}

/* --- shared addresses --- */

static bool
both_serve(struct world *w)
{
	return share_unsettled(w) == NULL &&
	       share_answers(alpha(w), ADDRESSES) != 0 &&
	       share_answers(bravo(w), ADDRESSES) != 0;
}

static bool
bravo_serves_all(struct world *w)
{
	return share_answers(bravo(w), ADDRESSES) == SHARE_EVERY &&
	       share_answers(alpha(w), ADDRESSES) == 0;
}

static void
share_begin(struct world *w)
{
	scene_begin(w);
	expect(w, run_till(w, both_serve, 5000), "each serves its half");
}

static void
share_moves(struct world *w)
{
	share_begin(w);
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_serves_all, 3000), "bravo serves all");
	host_power_on(alpha(w));
	expect(w, run_till(w, both_serve, 10000), "and gives half of it back");
	daemon_kill(alpha(w));
	expect(w, run_till(w, bravo_serves_all, 1000), "bravo serves all");
	daemon_start(alpha(w));
	expect(w, run_till(w, both_serve, 10000), "and gives half of it back");
	daemon_stop(alpha(w));
	expect(w, run_till(w, bravo_serves_all, 1000), "bravo serves all");
	run_ms(w, 1000);
	scene_end(w);
}

static void
share_process_stands_still(struct world *w)
{
	share_begin(w);
	daemon_pause(alpha(w));
	expect(w, run_till(w, bravo_serves_all, 3000), "bravo serves all");
	run_ms(w, 1000);
	daemon_resume(alpha(w));
	expect(w, run_till(w, both_serve, 10000), "and gives half of it back");
	run_ms(w, 5000); /* no jeopardy any more */
	machine_freeze(alpha(w));
	expect(w, run_till(w, bravo_serves_all, 3000), "bravo serves all");
	machine_thaw(alpha(w), true);
	expect(w, run_till(w, both_serve, 10000), "and gives half of it back");
	scene_end(w);
}

/* It does not know that it stood still, and words come late. */
static void
share_still_and_lossy(struct world *w)
{
	share_begin(w);
	operator(alpha(w), ND_OP_STOP, 1, 0);
	for (int i = 0; i < 4; i++) {
		run_ms(w, 3000);
		machine_freeze(alpha(w));
		run_ms(w, 3000);
		expect(w, share_answers(bravo(w), ADDRESSES) == SHARE_EVERY,
		    "bravo serves all");
		for (unsigned l = 0; l < LINKS; l++)
			for (unsigned d = 0; d < HOSTS; d++)
				w->link[l].dir[d].loss_permille = 600;
		machine_thaw(alpha(w), false);
		run_ms(w, 2000);
		for (unsigned l = 0; l < LINKS; l++)
			for (unsigned d = 0; d < HOSTS; d++)
				w->link[l].dir[d].loss_permille = 0;
		expect(
		    w, run_till(w, both_serve, 5000), "each serves its half");
	}
	operator(alpha(w), ND_OP_START, 1, 0);
	scene_end(w);
}

static void
share_standby_and_lan(struct world *w)
{
	share_begin(w);
	operator(bravo(w), ND_OP_STANDBY, -1, 1);
	expect(w, run_till(w, bravo_serves_all, 5000), "bravo serves all");
	operator(bravo(w), ND_OP_ONLINE, -1, 1);
	expect(w, run_till(w, both_serve, 5000), "each serves its half");
	carrier_set(alpha(w), LAN, false);
	expect(w, run_till(w, bravo_serves_all, 1000), "bravo serves all");
	carrier_set(alpha(w), LAN, true);
	expect(w, run_till(w, both_serve, 5000), "each serves its half");
	link_cut(w, LAN);
	run_ms(w, 5000);
	expect(w, both_serve(w), "a cut LAN moves no client");
	scene_end(w);
}

#define FAST VRRP(0, "200ms", 150, 100, "")
#define SLOW VRRP(0, "1s", 150, 100, "")
#define BACK VRRP(0, "200ms", 150, 100, "	preempt after 2s\n")

const struct scene scenes_vr[] = {
    {SCENE(vr_node_dies), 0, 0, SLOW},
    {SCENE(vr_daemon_is_killed), 0, 0, FAST},
    {SCENE(vr_lan_cut), 0, 0, FAST},
    {SCENE(vr_adverts_lost_one_way), 0, 0, FAST},
    {SCENE(vr_no_word_passes), 0, 0, FAST},
    {SCENE(vr_carrier_lost), 0, 0, FAST},
    {SCENE(vr_process_stands_still), 0, 0, SLOW},
    {SCENE(vr_short_pause), 0, 0, FAST},
    {SCENE(vr_preempts_after_return), 0, 0, BACK},
    {SCENE(vr_equal_priorities), 0, 0,
	VRRP(0, "100ms", 100, 100, "	preempt after 0ms\n")},
    {SCENE(vr_group_falls_together), 0, 0,
	VRRP(0, "200ms", 150, 100, "	group g\n") VRRP(1, "100ms", 150, 100,
	    "	group g\n	track file \"/sim/file\"\n")},
    {SCENE(vr_group_at_cross_purposes), 0, 0,
	VRRP(0, "200ms", 150, 100, "	group g\n	preempt after 0ms\n")
	    VRRP(1, "200ms", 100, 150, "	group g\n")},
    {SCENE(vr_slow_beside_fast), 0, 0,
	VRRP(0, "1s", 150, 100, "	preempt after 0ms\n")
	    VRRP(1, "100ms", 100, 150, "	preempt after 0ms\n")},
    {SCENE(vr_carp_split), 0, 0, CARP(0, 0, 100, "")},
    {SCENE(vr_operators), 0, 0, BACK},
    {SCENE(vr_goodbye), 0, 0, FAST},
    {SCENE(vr_standby), 0, 0, BACK},
    {SCENE(vr_old_words), 0, 0,
	VRRP(0, "100ms", 150, 100,
	    "	track file \"/sim/file\"\n	preempt after 0ms\n")},
    {SCENE(share_moves), 0, 0, SHARED(0)},
    {SCENE(share_process_stands_still), 0, 0, SHARED(0) SHARED(1)},
    {SCENE(share_standby_and_lan), 0, 0, SHARED(0)},
    {SCENE(vr_survivor_blinks), 0, 0,
	VRRP(0, "1s", 150, 100, "	track file \"/sim/file\"\n")},
    {SCENE(vr_old_word_of_the_lan), W_PINGS, 0,
	FAST VRRP(1, "200ms", 100, 150, "	preempt after 0ms\n")},
    {SCENE(share_still_and_lossy), W_WAIT, 0, SHARED(0)},
};
const unsigned n_scenes_vr = NITEMS(scenes_vr);
