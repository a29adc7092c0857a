/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is there: seeding (R1), jeopardy (R2), arbitration (R3). */
#include "member_world.h"

static void
R1_peer_seen(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	run(5000);
	expect(ALPHA, INERT, UNKNOWN);
	noted(ALPHA, "[R1] inert until bravo is seen or 'hactl seed "
		     "--peer-is-down bravo'");
	daemon_start(BRAVO);
	run(50);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	noted(ALPHA, "[R1] bravo is seen, agreed on epoch 1");
}

/* What an earlier pair did at its epoch is over: fencing tokens grow. */
static void
R1_both_restarted(void **state)
{
	(void)state;
	both_paired();
	daemon_end(ALPHA);
	daemon_end(BRAVO);
	daemon_start(ALPHA);
	daemon_start(BRAVO);
	run(5000);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch > 1);
	assert_true(w.nodes[ALPHA].epoch == w.nodes[BRAVO].epoch);
}

static void
R1_seed(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	run(100);
	seed(ALPHA);
	/* Nothing before the epoch is durable (R8). */
	expect(ALPHA, INERT, UNKNOWN);
	assert_false(w.nodes[ALPHA].replied);
	run(DISK);
	expect(ALPHA, ALONE, GONE);
	assert_true(w.nodes[ALPHA].own_right);
	assert_true(w.nodes[ALPHA].epoch == 1);
	assert_true(w.nodes[ALPHA].disk.solo);
	assert_true(w.nodes[ALPHA].replied && w.nodes[ALPHA].reply_ok);
	/* The peer joins the one that acts. */
	daemon_start(BRAVO);
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[BRAVO].epoch == 1);
	assert_false(w.nodes[ALPHA].disk.solo);
	assert_false(w.nodes[BRAVO].disk.solo);
}

/* How often an operator said so is durable, and the pair agrees on it. */
static void
R1_seeds_are_counted(void **state)
{
	struct mb_status s;

	(void)state;
	both_paired();
	assert_int_equal(w.nodes[BRAVO].disk.seeds, 0);
	daemon_end(ALPHA);
	daemon_end(BRAVO);
	daemon_start(BRAVO);
	run(100);
	seed(BRAVO);
	run(DISK);
	expect(BRAVO, ALONE, GONE);
	assert_int_equal(w.nodes[BRAVO].disk.seeds, 1);
	assert_true(w.nodes[BRAVO].epoch == 2);
	/* Its restart is not the operator's word. */
	daemon_end(BRAVO);
	daemon_start(BRAVO);
	run(TAKEOVER + DISK + 1);
	expect(BRAVO, ALONE, GONE);
	assert_int_equal(w.nodes[BRAVO].disk.seeds, 1);
	daemon_start(ALPHA);
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
	assert_int_equal(w.nodes[ALPHA].disk.seeds, 1);
	mb_status(w.nodes[ALPHA].mb, &s);
	assert_int_equal(s.seeds, 1);
}

static void
R1_seed_refused(void **state)
{
	(void)state;
	both_paired();
	seed(ALPHA);
	assert_true(w.nodes[ALPHA].replied);
	assert_false(w.nodes[ALPHA].reply_ok);
	assert_non_null(strstr(w.nodes[ALPHA].reply, "bravo is not down: "
						     "heard"));
	expect(ALPHA, PAIRED, ALIVE);
	w.nodes[ALPHA].replied = false;
	step(ALPHA, (struct mb_event){.type = MB_EV_SEED, .u.seed = {7, 99}});
	assert_string_equal(w.nodes[ALPHA].reply, "there is no such peer");
	step(ALPHA, (struct mb_event){.type = MB_EV_STOP});
	w.nodes[ALPHA].replied = false;
	seed(ALPHA);
	assert_string_equal(w.nodes[ALPHA].reply, "this node is stopping");
}

/* The last survivor restarts unattended; its peer cannot (amnesia). */
static void
R1_solo(void **state)
{
	(void)state;
	bravo_alone();
	daemon_end(BRAVO);
	run(1000);
	daemon_start(ALPHA);
	run(5000);
	expect(ALPHA, INERT, UNKNOWN);
	daemon_end(ALPHA);
	daemon_start(BRAVO);
	run(TAKEOVER - 1);
	expect(BRAVO, INERT, UNKNOWN);
	run(2 + DISK);
	expect(BRAVO, ALONE, GONE);
	assert_true(w.nodes[BRAVO].own_right);
	/* Fencing tokens of the daemon before are not given out again. */
	assert_true(w.nodes[BRAVO].epoch == 3);
	assert_true(w.nodes[BRAVO].disk.epoch == 3);
	noted(BRAVO, "[R1] act alone: sole survivor at epoch 2, and alpha "
		     "was not heard");
}

/* The last one alive, but its data is old: it must not start alone again. */
static void
R1_no_solo_with_old_data(void **state)
{
	struct mb_event e = {.type = MB_EV_DATA};

	(void)state;
	both_paired();
	e.u.data.current = false;
	step(BRAVO, e);
	daemon_end(ALPHA);
	run(TAKEOVER + DEAD + DISK);
	expect(BRAVO, ALONE, GONE);
	assert_false(w.nodes[BRAVO].disk.solo);
	daemon_end(BRAVO);
	daemon_start(BRAVO);
	run(5000);
	expect(BRAVO, INERT, UNKNOWN);
}

static void
R1_solo_refused_is_at_once(void **state)
{
	(void)state;
	bravo_alone();
	daemon_end(BRAVO);
	daemon_start(BRAVO);
	run(3);
	refused(BRAVO, LAN);
	run(DISK);
	expect(BRAVO, ALONE, GONE);
	noted(BRAVO, "alpha refuses: its daemon does not run");
}

/* SOLO is gone from the disk before the other may act. */
static void
R1_solo_ends_with_pairing(void **state)
{
	(void)state;
	bravo_alone();
	daemon_start(ALPHA);
	for (int i = 0; i < 200; i++) {
		run(1);
		if (w.nodes[ALPHA].self == MB_PAIRED)
			assert_false(w.nodes[BRAVO].disk.solo);
	}
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 2);
}

/*
 * Neither acts, and bravo was the sole survivor: it goes first, though alpha
 * has the lower id.  Or alpha would act, and bravo after it at an older epoch.
 */
static void
R1_solo_goes_first(void **state)
{
	(void)state;
	bravo_alone();
	daemon_end(BRAVO);
	daemon_start(ALPHA);
	daemon_start(BRAVO);
	for (int i = 0; i < 100 && w.nodes[ALPHA].self != MB_PAIRED; i++)
		run(1);
	expect(ALPHA, PAIRED, ALIVE);
	assert_false(w.nodes[BRAVO].disk.solo);
	assert_true(w.nodes[BRAVO].disk.epoch == w.nodes[ALPHA].epoch);
}

/* It is the first no more, and nobody waits for it to be. */
static void
R1_solo_goes_first_in_vain(void **state)
{
	(void)state;
	bravo_alone();
	daemon_end(BRAVO);
	daemon_start(ALPHA);
	daemon_start(BRAVO);
	for (int i = 0; i < 100 && w.nodes[BRAVO].disk.solo; i++) {
		run(1);
		if (!w.nodes[BRAVO].is_pending || w.nodes[BRAVO].disk.solo == 0)
			continue;
		/* Too late to be heard when the disk has written. */
		for (uint8_t l = 0; l < 2; l++)
			w.cut[ALPHA][l] = w.cut[BRAVO][l] = true;
		w.ctl_cut = true;
		w.now += DEAD;
	}
	expect(BRAVO, INERT, UNKNOWN);
	assert_false(w.nodes[BRAVO].disk.solo);
	memset(w.cut, 0, sizeof(w.cut));
	w.ctl_cut = false;
	run(300);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
}

/* alpha dies again while bravo clears SOLO: bravo writes it back. */
static void
R1_solo_restored(void **state)
{
	(void)state;
	bravo_alone();
	daemon_start(ALPHA);
	while (w.nodes[BRAVO].disk.solo && w.nodes[BRAVO].self == MB_ALONE) {
		run(1);
		if (w.nodes[BRAVO].is_pending)
			break;
	}
	assert_true(w.nodes[BRAVO].is_pending);
	daemon_end(ALPHA);
	w.now += DEAD + 20;
	run(20);
	expect(BRAVO, ALONE, GONE);
	assert_true(w.nodes[BRAVO].disk.solo);
}

static void
R1_no_peer_configured(void **state)
{
	struct mb_conf c = {.cluster = "one",
	    .self = 1,
	    .heartbeat_ms = 20,
	    .lease_ms = 60,
	    .dead_ms = 100,
	    .takeover_ms = 150};
	struct node *n = &w.nodes[ALPHA];

	(void)state;
	n->id = ALPHA;
	n->mb = mb_new(&c, &ops, n);
	n->timer = MT_NEVER;
	step(ALPHA,
	    (struct mb_event){.type = MB_EV_START, .u.start = {5, 5, NULL}});
	assert_int_equal(n->self, MB_INERT);
	run(DISK);
	assert_int_equal(n->self, MB_ALONE);
	assert_true(n->own_right && n->epoch == 1);
}

/* One link lost, the second more than dead later: each keeps its own. */
static void
R2_jeopardy(void **state)
{
	struct mb_status s;

	(void)state;
	both_paired();
	w.cut[ALPHA][CROSS] = w.cut[BRAVO][CROSS] = true;
	run(DEAD + 50);
	mb_status(w.nodes[BRAVO].mb, &s);
	assert_false(s.jeopardy);
	run(DEAD);
	mb_status(w.nodes[BRAVO].mb, &s);
	assert_true(s.jeopardy);
	noted(BRAVO, "[R2] jeopardy: one link domain left to alpha");
	expect(BRAVO, PAIRED, ALIVE);
	cut_both(true);
	run(5000);
	expect(ALPHA, PAIRED, LOST);
	expect(BRAVO, PAIRED, LOST);
	assert_true(w.nodes[BRAVO].epoch == 1);
	noted(BRAVO, "[R2] alpha is lost: the last link failed in jeopardy");
	/* It heals without a takeover and without a doubt. */
	cut_both(false);
	run(2 * DEAD + 50);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	mb_status(w.nodes[BRAVO].mb, &s);
	assert_false(s.jeopardy);
}

/* A link reported down by its liveness raises the alarm as well. */
static void
R2_link_down(void **state)
{
	struct mb_status s;

	(void)state;
	both_paired();
	step(BRAVO, (struct mb_event){
			.type = MB_EV_LINK, .u.link = {ALPHA, LAN, false}});
	run(DEAD + 1);
	mb_status(w.nodes[BRAVO].mb, &s);
	assert_true(s.jeopardy);
	assert_int_equal(s.peers[0].links_up, 1 << CROSS);
	step(BRAVO, (struct mb_event){
			.type = MB_EV_LINK, .u.link = {ALPHA, LAN, true}});
	run(HEARTBEAT);
	mb_status(w.nodes[BRAVO].mb, &s);
	assert_false(s.jeopardy);
	noted(BRAVO, "[R2] jeopardy is over");
}

/* A daemon killed in jeopardy is taken over from: its kernel said so. */
static void
R2_crash_in_jeopardy(void **state)
{
	(void)state;
	both_paired();
	w.cut[ALPHA][CROSS] = w.cut[BRAVO][CROSS] = true;
	run(500);
	daemon_end(ALPHA);
	aborted(BRAVO);
	refused(BRAVO, LAN);
	run(DISK);
	expect(BRAVO, ALONE, GONE);
}

/* The node vanishes: both links within dead of each other. */
static void
R3_takeover(void **state)
{
	int t;

	(void)state;
	both_paired();
	t = w.now;
	daemon_end(ALPHA);
	while (w.nodes[BRAVO].peer == MB_PEER_ALIVE)
		run(1);
	expect(BRAVO, PAIRED, SILENT);
	assert_in_range(w.now - t, DEAD - HEARTBEAT, DEAD);
	assert_false(w.nodes[BRAVO].stateless_gone);
	while (w.nodes[BRAVO].peer == MB_PEER_SILENT)
		run(1);
	expect(BRAVO, ALONE, GONE);
	assert_in_range(w.now - t, TAKEOVER - HEARTBEAT, TAKEOVER + DISK);
	assert_false(w.nodes[BRAVO].own_right);
	assert_true(w.nodes[BRAVO].epoch == 2 && w.nodes[BRAVO].disk.solo);
	noted(BRAVO, "[R3] alpha is gone: all links fell silent at once, 150 "
		     "ms since it was heard; silent peer takeover");
}

static void
R3_wait(void **state)
{
	(void)state;
	w.wait = true;
	both_paired();
	daemon_end(ALPHA);
	run(5000);
	expect(BRAVO, PAIRED, LOST);
	assert_true(w.nodes[BRAVO].stateless_gone);
	assert_true(w.nodes[BRAVO].epoch == 1);
	noted(BRAVO, "silent peer wait: an operator decides (hactl seed "
		     "--peer-is-down alpha)");
	seed(BRAVO);
	run(DISK);
	expect(BRAVO, ALONE, GONE);
	assert_true(w.nodes[BRAVO].own_right);
}

static void
R3_aborted_and_refused(void **state)
{
	(void)state;
	both_paired();
	daemon_end(ALPHA);
	aborted(BRAVO);
	expect(BRAVO, PAIRED, ALIVE);
	run(1);
	refused(BRAVO, CROSS);
	run(DISK);
	expect(BRAVO, ALONE, GONE);
	noted(BRAVO, "[R3] alpha is gone: association aborted by it, fresh "
		     "INIT refused on cross; its daemon is dead");
}

/* A forged ABORT, or one of a connection that is set up again. */
static void
R3_abort_alone_proves_nothing(void **state)
{
	(void)state;
	both_paired();
	aborted(BRAVO);
	run(500);
	expect(BRAVO, PAIRED, ALIVE);
	/* Long after: the abort does not count any more. */
	refused(BRAVO, CROSS);
	run(500);
	expect(BRAVO, PAIRED, ALIVE);
	/* Nor does a refusal alone. */
	refused(BRAVO, LAN);
	run(500);
	expect(BRAVO, PAIRED, ALIVE);
}

/* A heartbeat that was on its way when alpha died saves nobody. */
static void
R3_heartbeat_in_flight(void **state)
{
	(void)state;
	both_paired();
	aborted(BRAVO);
	heartbeat(ALPHA, LAN);
	daemon_end(ALPHA);
	run(1);
	refused(BRAVO, CROSS);
	run(DISK);
	expect(BRAVO, ALONE, GONE);
}

/* Alpha's kernel acknowledges bravo's heartbeats. */
static void
kernel_answers(int64_t ms)
{
	struct mb_event k = {.type = MB_EV_KERNEL_ALIVE};

	k.u.kernel_alive.peer = ALPHA;
	for (; ms > 0; ms -= HEARTBEAT) {
		run(ms < HEARTBEAT ? ms : HEARTBEAT);
		step(BRAVO, k);
	}
}

/* Frozen: the kernel answers.  Addresses may move first, data later. */
static void
R3_frozen(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	kernel_answers(DEAD);
	expect(BRAVO, PAIRED, SILENT);
	assert_true(w.nodes[BRAVO].stateless_gone);
	run(TAKEOVER - DEAD + DISK);
	expect(BRAVO, ALONE, GONE);
	noted(BRAVO, "its daemon is silent, its kernel answers: frozen");
}

/* Frozen in jeopardy: the link works, so this is no cut. */
static void
R3_frozen_in_jeopardy(void **state)
{
	(void)state;
	both_paired();
	w.cut[ALPHA][CROSS] = w.cut[BRAVO][CROSS] = true;
	run(500);
	freeze(ALPHA);
	kernel_answers(DEAD);
	run(TAKEOVER);
	expect(BRAVO, ALONE, GONE);
}

/*
 * The peer was deaf for a while: what it has heard of this node is older than
 * dead, so it may have acted, and a pause does not have to be long.
 */
static void
R8_short_gap_of_the_unheard(void **state)
{
	struct mb_event e = {.type = MB_EV_HEARD};

	(void)state;
	both_paired();
	freeze(BRAVO);
	e.u.heard.from = BRAVO;
	e.u.heard.incarnation = w.nodes[BRAVO].incarnation;
	e.u.heard.epoch = w.nodes[BRAVO].epoch;
	e.u.heard.acts = true;
	e.u.heard.reached = at(w.now);
	for (int ms = 0; ms < DEAD; ms += HEARTBEAT) {
		run(HEARTBEAT);
		step(ALPHA, e);
	}
	expect(ALPHA, PAIRED, ALIVE);
	freeze(ALPHA);
	run(LEASE / 2);
	thaw(ALPHA);
	expect(ALPHA, DOUBT, ALIVE);
}

/*
 * A link that fails while this node stands still has not failed at once with
 * one that does so soon after it, though its last beats are heard only then.
 */
static void
R2_link_lost_in_a_pause(void **state)
{
	struct mb_event e = {.type = MB_EV_HEARD};

	(void)state;
	both_paired();
	run(HEARTBEAT - 10);
	freeze(ALPHA);
	run(1);
	w.cut[ALPHA][CROSS] = w.cut[BRAVO][CROSS] = true;
	run(DEAD - HEARTBEAT);
	thaw(ALPHA);
	e.u.heard.from = BRAVO;
	e.u.heard.link = CROSS;
	e.u.heard.incarnation = w.nodes[BRAVO].incarnation;
	e.u.heard.epoch = 1;
	e.u.heard.reached = w.nodes[ALPHA].frozen_at;
	step(ALPHA, e);
	run(DEAD / 2);
	expect(ALPHA, PAIRED, ALIVE);
	cut_both(true);
	run(2 * TAKEOVER);
	expect(ALPHA, PAIRED, LOST);
	noted(ALPHA, "[R2] bravo is lost: the last link failed in jeopardy");
}

/*
 * The last link is cut and comes back: the peer's kernel answers before its
 * daemon is heard.  That is no freeze.
 */
static void
R2_kernel_first_after_cut(void **state)
{
	struct mb_event k = {.type = MB_EV_KERNEL_ALIVE};

	(void)state;
	both_paired();
	w.cut[ALPHA][CROSS] = w.cut[BRAVO][CROSS] = true;
	run(500);
	k.u.kernel_alive.peer = ALPHA;
	step(BRAVO, k);
	w.cut[ALPHA][LAN] = w.cut[BRAVO][LAN] = true;
	run(DEAD);
	step(BRAVO, k);
	run(TAKEOVER);
	expect(BRAVO, PAIRED, LOST);
	noted(BRAVO, "the last link failed in jeopardy");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(R1_peer_seen),
	    T(R1_seed),
	    T(R1_both_restarted),
	    T(R1_seed_refused),
	    T(R1_seeds_are_counted),
	    T(R1_solo),
	    T(R1_no_solo_with_old_data),
	    T(R1_solo_refused_is_at_once),
	    T(R1_solo_ends_with_pairing),
	    T(R1_solo_goes_first),
	    T(R1_solo_goes_first_in_vain),
	    T(R1_solo_restored),
	    T(R1_no_peer_configured),
	    T(R2_jeopardy),
	    T(R2_link_down),
	    T(R2_crash_in_jeopardy),
	    T(R2_kernel_first_after_cut),
	    T(R2_link_lost_in_a_pause),
	    T(R8_short_gap_of_the_unheard),
	    T(R3_takeover),
	    T(R3_wait),
	    T(R3_aborted_and_refused),
	    T(R3_abort_alone_proves_nothing),
	    T(R3_heartbeat_in_flight),
	    T(R3_frozen),
	    T(R3_frozen_in_jeopardy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
