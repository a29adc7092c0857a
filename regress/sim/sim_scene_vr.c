/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stories of virtual routers and of shared addresses.
 */
#include "sim_vr.h"
#include "vrrp_packet.h"

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
#define TWO(what, rank, a) \
	ADDR(0) \
	ADDR(1) \
	"router r0 {\n" \
	"	" what "\n" \
	"	address e0\n" \
	"	address e1\n" BOTH("	" rank " ", a, 100) "}\n"
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

	return nd_router_status(h->nd, rt_host(h)->router_at[r], &s)
		   ? s.transitions
		   : 0;
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

/* Signed ones say the same; refused is only what the LAN turns round. */
static void
vr_signed(struct world *w)
{
	struct vr_status s;

	begin(w);
	daemon_kill(alpha(w));
	expect(w, run_till(w, bravo_holds, 1500), "bravo holds it");
	daemon_start(alpha(w));
	expect(w, run_till(w, alpha_holds, 10000), "and gives it back");
	run_ms(w, 2000);
	for (struct host *h = w->host; h < w->host + 2; h++) {
		nd_router_status(h->nd, rt_host(h)->router_at[0], &s);
		for (unsigned k = 0; k < VRRP_R_HMAC_REPLAY; k++)
			expect(w, s.rejects[k] == 0, "reason %u", k);
		expect(w, s.received > 0, "%s hears the other", h->name);
	}
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

/* Transitions of routers 0 and 1, on both. */
static uint64_t
all_moves(struct world *w)
{
	return moves(alpha(w), 0) + moves(bravo(w), 0) + moves(alpha(w), 1) +
	       moves(bravo(w), 1);
}

/*
 * Neither reaches a ping node: that is no reason to give anything to the other,
 * though each hears the other's adverts.  Then both do; but what alpha says of
 * that does not pass, while its adverts do.
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
	n = all_moves(w);
	run_ms(w, 3000);
	expect(w, all_moves(w) == n, "each keeps what it has");
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

/* --- reloads --- */

static bool
alpha_holds_1(struct world *w)
{
	return holder(w, 1) == 0;
}

static bool
bravo_holds_1(struct world *w)
{
	return holder(w, 1) == 1;
}

static bool
alpha_holds_2(struct world *w)
{
	return holder(w, 2) == 0;
}

static bool
bravo_holds_2(struct world *w)
{
	return holder(w, 2) == 1;
}

static bool
on_interface(struct world *w, unsigned id)
{
	return rt_host(alpha(w))->addr[id - ADDRESSES] ||
	       rt_host(bravo(w))->addr[id - ADDRESSES];
}

/* Each is master of one when a third comes, on alpha first. */
static void
vr_reload_adds(struct world *w)
{
	uint64_t n;

	rt_has(alpha(w), 2, false);
	rt_has(bravo(w), 2, false);
	begin(w);
	expect(w, bravo_holds_1(w), "bravo holds the other");
	expect(w, !on_interface(w, ADDRESSES + 2), "there are two only");
	n = all_moves(w);
	rt_has(alpha(w), 2, true);
	expect(w, run_till(w, alpha_holds_2, 1500), "alpha takes the third");
	run_ms(w, 3000);
	rt_has(bravo(w), 2, true);
	run_ms(w, 3000);
	expect(w, alpha_holds_2(w) && moves(bravo(w), 2) == 1,
	    "bravo hears who has it");
	expect(w, alpha_holds(w) && bravo_holds_1(w) && all_moves(w) == n,
	    "the others have not noticed");
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_holds_2, 2500), "and takes it");
	expect(w, run_till(w, bravo_holds_all, 1000), "with the others");
	scene_end(w);
}

/* Its farewell, then bravo's turn; removed there, too, it is nobody's. */
static void
vr_reload_removes_on_the_master(struct world *w)
{
	uint64_t n;
	int64_t t;

	begin(w);
	expect(w, alpha_holds_1(w), "alpha holds the other");
	n = moves(alpha(w), 0) + moves(bravo(w), 0);
	t = w->sim->now;
	rt_has(alpha(w), 1, false);
	expect(w, run_till(w, bravo_holds_1, 1000), "bravo holds it");
	expect(w, w->sim->now - t < 100 * MS, "at once: %lld ms",
	    (long long)((w->sim->now - t) / MS));
	run_ms(w, 5000);
	expect(w, bravo_holds_1(w), "and goes on");
	rt_has(bravo(w), 1, false);
	run_ms(w, 1000);
	expect(w, !on_interface(w, ADDRESSES + 1), "now it is nobody's");
	expect(w, alpha(w)->conf->n_routers == 1, "and its place is free");
	expect(w,
	    alpha_holds(w) && moves(alpha(w), 0) + moves(bravo(w), 0) == n,
	    "the other has not noticed");
	scene_end(w);
}

/* Not preempting, it finds it where it is; nor is it held up by that. */
static void
vr_reload_removes_and_returns(struct world *w)
{
	uint64_t n;

	begin(w);
	n = moves(alpha(w), 0) + moves(bravo(w), 0);
	for (int i = 0; i < 3; i++) {
		expect(w, alpha_holds_1(w), "alpha holds the other");
		rt_has(alpha(w), 1, false);
		expect(w, run_till(w, bravo_holds_1, 1000), "bravo holds it");
		run_ms(w, i * 100);
		rt_has(alpha(w), 1, true);
		run_ms(w, 3000);
		expect(w, bravo_holds_1(w), "it stays there");
		rt_release(bravo(w), 1);
		expect(w, run_till(w, alpha_holds_1, 1000), "until asked to");
	}
	expect(w,
	    alpha_holds(w) && moves(alpha(w), 0) + moves(bravo(w), 0) == n,
	    "the other has not noticed");
	scene_end(w);
}

/* The backup loses it and has it again, then the master dies. */
static void
vr_reload_removes_on_the_backup(struct world *w)
{
	begin(w);
	rt_has(bravo(w), 0, false);
	run_ms(w, 3000);
	expect(w, alpha_holds(w), "alpha holds it");
	rt_release(alpha(w), 0);
	run_ms(w, 100);
	expect(w, run_till(w, alpha_holds, 3000), "for want of another");
	rt_has(bravo(w), 0, true);
	run_ms(w, 3000);
	expect(w, alpha_holds(w), "still");
	host_power_off(alpha(w));
	expect(w, run_till(w, bravo_holds, 2500), "bravo holds it");
	scene_end(w);
}

/* What the master said of it was said before bravo had it. */
static void
vr_reload_adds_unheard(struct world *w)
{
	rt_has(bravo(w), 0, false);
	begin(w);
	link_cut(w, LAN);
	run_ms(w, 3000);
	for (int i = 0; i < 3; i++) {
		rt_has(bravo(w), 0, true);
		run_ms(w, 3000);
		expect(w, alpha_holds(w) && moves(bravo(w), 0) == 1,
		    "bravo is told who has it");
		rt_has(bravo(w), 0, false);
		run_ms(w, 1000);
	}
	scene_end(w);
}

/* One that only bravo has is told nothing of the LAN that all are on. */
static void
vr_reload_adds_beside_the_unheard(struct world *w)
{
	uint64_t n;

	rt_has(alpha(w), 1, false);
	rt_has(bravo(w), 1, false);
	begin(w);
	link_cut(w, LAN);
	run_ms(w, 3000);
	n = moves(bravo(w), 0);
	rt_has(bravo(w), 1, true);
	expect(w, run_till(w, bravo_holds_1, 2000), "bravo holds the new one");
	run_ms(w, 3000);
	expect(w, alpha_holds(w) && moves(bravo(w), 0) == n,
	    "the other is alpha's");
	scene_end(w);
}

/* One address less, on the master first; and back, on the backup first. */
static void
vr_reload_addresses(struct world *w)
{
	const unsigned second = ADDRESSES + 1;
	uint64_t n;

	begin(w);
	n = moves(alpha(w), 0) + moves(bravo(w), 0);
	rt_has_addr(alpha(w), second, false);
	run_ms(w, 1000);
	expect(w, alpha_holds(w) && !on_interface(w, second),
	    "the rest goes on without it");
	rt_has_addr(bravo(w), second, false);
	run_ms(w, 1000);
	rt_has_addr(bravo(w), second, true);
	run_ms(w, 1000);
	expect(w, !on_interface(w, second), "only who is active has it");
	rt_has_addr(alpha(w), second, true);
	run_ms(w, 100);
	expect(w, rt_answers(alpha(w), second), "at once");
	rt_has_addr(alpha(w), ADDRESSES, false);
	run_ms(w, 1000);
	rt_has_addr(alpha(w), ADDRESSES, true);
	run_ms(w, 1000);
	expect(w,
	    alpha_holds(w) && moves(alpha(w), 0) + moves(bravo(w), 0) == n,
	    "its router has not moved");
	scene_end(w);
}

/* It stood still, and the first that it does is to get one address more. */
static void
vr_reload_in_a_pause(struct world *w)
{
	rt_has_addr(alpha(w), ADDRESSES + 1, false);
	begin(w);
	rt_has_addr(alpha(w), ADDRESSES + 1, true);
	machine_freeze(alpha(w));
	expect(w, run_till(w, bravo_holds, 3000), "bravo has them");
	machine_thaw(alpha(w), true);
	run_ms(w, 3000);
	expect(w, bravo_holds(w) && alpha(w)->running, "and keeps them");
	scene_end(w);
}

/* By any name it is the same: what the nodes tell one another goes on. */
static void
vr_reload_another_name(struct world *w)
{
	uint64_t n;

	begin(w);
	n = moves(alpha(w), 0) + moves(bravo(w), 0);
	rt_rename(alpha(w), 0);
	link_cut(w, LAN);
	run_ms(w, 5000);
	expect(w,
	    alpha_holds(w) && moves(alpha(w), 0) + moves(bravo(w), 0) == n,
	    "alpha holds it");
	rt_release(alpha(w), 0);
	expect(w, run_till(w, bravo_holds, 500), "bravo is told that it may");
	rt_rename(bravo(w), 0);
	run_ms(w, 3000);
	expect(w, bravo_holds(w), "and it stays there");
	scene_end(w);
}

static bool
gate_is_alphas(struct world *w)
{
	return answers(alpha(w), 1);
}

/* Who has another file still says what it runs, and that is awaited. */
static void
vr_reload_then_doubt(struct world *w)
{
	begin(w);
	operator(alpha(w), ND_OP_MOVE, 1, bravo(w)->id);
	run_ms(w, 3000);
	expect(w, answers(bravo(w), 1), "bravo has the gate");
	rt_rename(alpha(w), 0);
	run_ms(w, 1000);
	daemon_pause(bravo(w));
	for (unsigned l = 0; l < LINKS; l++)
		for (unsigned d = 0; d < HOSTS; d++)
			w->link[l].dir[d].clogged = true;
	expect(w, run_till(w, gate_is_alphas, 5000), "alpha has it");
	daemon_resume(bravo(w));
	run_ms(w, 1000);
	expect(w, !answers(bravo(w), 1), "bravo waits for its word");
	for (unsigned l = 0; l < LINKS; l++)
		for (unsigned d = 0; d < HOSTS; d++)
			w->link[l].dir[d].clogged = false;
	run_ms(w, 3000);
	scene_end(w);
}

/*
 * Alpha is better by both together, bravo by the first: what only alpha has is
 * not weighed, or both would be better.
 */
static void
vr_reload_group_loses_a_member(struct world *w)
{
	begin(w);
	expect(w, alpha_holds_1(w), "alpha holds both");
	rt_has(bravo(w), 1, false);
	expect(w, run_till(w, bravo_holds, 3000), "bravo holds the first");
	run_ms(w, 3000);
	expect(w, bravo_holds(w) && holder(w, 1) == -1,
	    "and the second is not without it");
	rt_has(bravo(w), 1, true);
	expect(w, run_till(w, alpha_holds, 3000), "alpha is better by both");
	expect(w, run_till(w, alpha_holds_1, 1000), "and holds both");
	run_ms(w, 3000);
	expect(w, alpha_holds(w) && alpha_holds_1(w), "for good");
	scene_end(w);
}

/* Adverts with another list would be refused by the other node. */
static void
vr_reload_refused(struct world *w)
{
	uint64_t n;

	begin(w);
	n = moves(alpha(w), 0) + moves(bravo(w), 0);
	for (unsigned i = 0; i < 2; i++) {
		rt_has_addr(alpha(w), ADDRESSES + i, false);
		rt_has_addr(bravo(w), ADDRESSES + i, false);
		run_ms(w, 2000);
	}
	expect(w, rt_host(alpha(w))->reloads == 1, "it was refused");
	expect(w,
	    alpha_holds(w) && rt_answers(alpha(w), ADDRESSES) &&
		rt_answers(alpha(w), ADDRESSES + 1) &&
		moves(alpha(w), 0) + moves(bravo(w), 0) == n,
	    "and nothing changed");
	scene_end(w);
}

/* No router at all, some, and none again; it starts again with some. */
static void
vr_reload_from_none(struct world *w)
{
	for (unsigned r = 0; r < 2; r++) {
		rt_has(alpha(w), r, false);
		rt_has(bravo(w), r, false);
	}
	scene_begin(w);
	for (int i = 0; i < 2; i++) {
		rt_has(alpha(w), 1, true);
		rt_has(alpha(w), 0, true);
		rt_has(bravo(w), 0, true);
		expect(w, run_till(w, alpha_holds, 3000), "alpha holds it");
		expect(w, run_till(w, alpha_holds_1, 3000), "and the other");
		run_ms(w, 1000);
		rt_has(bravo(w), 0, false);
		rt_has(alpha(w), 0, false);
		rt_has(alpha(w), 1, false);
		run_ms(w, 1000);
		expect(w, alpha(w)->conf->n_routers == 0, "there is none");
	}
	rt_has(bravo(w), 1, true);
	expect(w, run_till(w, bravo_holds_1, 5000), "bravo holds the other");
	daemon_kill(bravo(w));
	rt_has(bravo(w), 0, true);
	rt_has(alpha(w), 1, true);
	daemon_start(bravo(w));
	expect(w, run_till(w, alpha_holds_1, 5000), "alpha holds the other");
	expect(w, run_till(w, bravo_holds, 3000), "and bravo the first");
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
#define SIGNED \
	VRRP(0, "200ms", 150, 100, \
	    "	preempt after 2s\n	hmac { key 1 " \
	    "sesame-is-a-word-of-six-letters- }\n")

const struct scene scenes_vr[] = {
    {SCENE(vr_node_dies), 0, 0, SLOW},
    {SCENE(vr_daemon_is_killed), 0, 0, FAST},
    {SCENE(vr_signed), 0, 0, SIGNED},
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
    {SCENE(vr_reload_adds), 0, 0,
	FAST VRRP(1, "200ms", 100, 150, "	preempt after 0ms\n")
	    VRRP(2, "200ms", 150, 100, "")},
    {SCENE(vr_reload_removes_on_the_master), 0, 0,
	FAST VRRP(1, "200ms", 150, 100, "")},
    {SCENE(vr_reload_removes_and_returns), 0, 0,
	FAST VRRP(1, "200ms", 150, 100, "")},
    {SCENE(vr_reload_removes_on_the_backup), 0, 0, FAST},
    {SCENE(vr_reload_adds_unheard), 0, 0, FAST},
    {SCENE(vr_reload_adds_beside_the_unheard), 0, 0,
	FAST VRRP(1, "200ms", 100, 150, "")},
    {SCENE(vr_reload_addresses), 0, 0, TWO("vrrp 3 vrid 10", "priority", 150)},
    {SCENE(vr_reload_in_a_pause), 0, 0, TWO("vrrp 3 vrid 10", "priority", 150)},
    {SCENE(vr_reload_another_name), 0, 0, FAST},
    {SCENE(vr_reload_then_doubt), W_WAIT, 0, FAST},
    {SCENE(vr_reload_group_loses_a_member), 0, 0,
	VRRP(0, "200ms", 100, 150, "	group g\n	preempt after 0ms\n")
	    VRRP(1, "200ms", 200, 100,
		"	group g\n	preempt after 0ms\n")},
    {SCENE(vr_reload_refused), 0, 0,
	TWO("carp vhid 20\n	password \"sesame\"", "skew", 0)},
    {SCENE(vr_reload_from_none), 0, 0,
	FAST VRRP(1, "1s", 150, 100, "	preempt after 0ms\n")},
};
const unsigned n_scenes_vr = NITEMS(scenes_vr);
