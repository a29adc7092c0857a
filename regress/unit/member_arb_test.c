/* SPDX-License-Identifier: BSD-2-Clause */
/* A silent peer and its arbiters: R2, R3, R5, R7, R9, R13. */
#include "member_world.h"

static void
fence_pair(void)
{
	w.fences = true;
	both_paired();
	arbiter(ALPHA, true, 0);
	arbiter(BRAVO, true, 0);
}

static void
lease_pair(void)
{
	w.voters = true;
	both_paired();
	arbiter(ALPHA, true, 0);
	arbiter(BRAVO, true, 0);
}

/* Asked at dead, not before; nothing is acknowledged; acts when it is off. */
static void
R3_off(void **state)
{
	(void)state;
	fence_pair();
	daemon_end(ALPHA);
	run(DEAD - HEARTBEAT);
	assert_int_equal(w.nodes[BRAVO].asked, 0);
	run(HEARTBEAT + 1);
	expect(BRAVO, PAIRED, SILENT);
	assert_int_equal(w.nodes[BRAVO].asked, 2);
	assert_false(w.nodes[BRAVO].asked_active);
	assert_false(w.nodes[BRAVO].asked_verify);
	/* However long it takes. */
	run(5000);
	expect(BRAVO, PAIRED, SILENT);
	verdict(BRAVO, MB_VERDICT_OFF);
	expect(BRAVO, PAIRED, SILENT);
	run(DISK);
	expect(BRAVO, ALONE, GONE);
	assert_int_equal(w.nodes[BRAVO].asked, 0);
	assert_int_equal(w.nodes[BRAVO].epoch, 2);
	noted(BRAVO, "[R3] alpha is gone: it is verified off");
}

/* The word came while it vouched for nothing: it acts on it afterwards. */
static void
R3_off_while_in_doubt(void **state)
{
	(void)state;
	fence_pair();
	daemon_end(ALPHA);
	run(DEAD + 1);
	expect(BRAVO, PAIRED, SILENT);
	freeze(BRAVO);
	run(DEAD);
	thaw(BRAVO);
	verdict(BRAVO, MB_VERDICT_OFF);
	expect(BRAVO, DOUBT, SILENT);
	run(2 * TAKEOVER);
	expect(BRAVO, ALONE, GONE);
	assert_int_equal(w.nodes[BRAVO].epoch, 2);
}

/*
 * R3: its daemon is dead, but since when?  It may have had the lease, and
 * acted: that only a voter knows.
 */
static void
R3_dead_too_late(void **state)
{
	(void)state;
	lease_pair();
	cut_both(true);
	run(DEAD + 1);
	expect(BRAVO, PAIRED, SILENT);
	daemon_end(ALPHA);
	run(5000);
	cut_both(false);
	aborted(BRAVO);
	refused(BRAVO, CROSS);
	run(DISK);
	expect(BRAVO, PAIRED, SILENT);
	noted(BRAVO, "[R3] alpha: its daemon is dead, but has not heard this "
		     "node for 5");
	w.nodes[BRAVO].notes[0] = '\0';
	refused(BRAVO, LAN);
	run(DISK);
	expect(BRAVO, PAIRED, SILENT);
	assert_null(strstr(w.nodes[BRAVO].notes, "its daemon is dead"));
	verdict(BRAVO, MB_VERDICT_DENIED);
	expect(BRAVO, INERT, UNKNOWN);
}

/* It cannot have had what this node has. */
static void
R3_dead_without_a_lease(void **state)
{
	(void)state;
	lease_pair();
	cut_both(true);
	run(DEAD + 1);
	verdict(BRAVO, MB_VERDICT_LEASE);
	expect(BRAVO, PAIRED, SILENT);
	daemon_end(ALPHA);
	aborted(BRAVO);
	refused(BRAVO, CROSS);
	run(DISK);
	expect(BRAVO, ALONE, GONE);
}

/* Nor can it in so short a time. */
static void
R3_dead_at_once(void **state)
{
	(void)state;
	lease_pair();
	daemon_end(ALPHA);
	run(DEAD - 2 * HEARTBEAT);
	aborted(BRAVO);
	refused(BRAVO, CROSS);
	run(DISK);
	expect(BRAVO, ALONE, GONE);
}

static void
R3_heard_again(void **state)
{
	(void)state;
	fence_pair();
	cut_both(true);
	run(DEAD + 1);
	expect(ALPHA, PAIRED, SILENT);
	assert_int_equal(w.nodes[ALPHA].asked, 2);
	cut_both(false);
	run(HEARTBEAT + 1);
	expect(ALPHA, PAIRED, ALIVE);
	assert_int_equal(w.nodes[ALPHA].asked, 0);
	/* An answer that was on its way changes nothing. */
	verdict(ALPHA, MB_VERDICT_OFF);
	run(10);
	expect(ALPHA, PAIRED, ALIVE);
}

/* Who holds data says so, also while the question is open (R4). */
static void
R4_active(void **state)
{
	(void)state;
	fence_pair();
	holds(ALPHA, true);
	cut_both(true);
	run(DEAD + 1);
	assert_true(w.nodes[ALPHA].asked_active);
	assert_false(w.nodes[BRAVO].asked_active);
	holds(BRAVO, true);
	assert_true(w.nodes[BRAVO].asked_active);
	assert_int_equal(w.nodes[BRAVO].asks, 2);
	holds(BRAVO, true);
	assert_int_equal(w.nodes[BRAVO].asks, 2);
}

static void
R5_frozen(void **state)
{
	(void)state;
	fence_pair();
	daemon_end(ALPHA);
	run(DEAD + 1);
	verdict(BRAVO, MB_VERDICT_FROZEN);
	verdict(BRAVO, MB_VERDICT_FROZEN);
	run(60000);
	expect(BRAVO, PAIRED, SILENT);
	noted(BRAVO, "[R5] nobody can say what became of alpha: everything is "
		     "frozen until it is heard, or 'hactl fence confirm "
		     "alpha'");
	assert_null(strstr(strstr(w.nodes[BRAVO].notes, "[R5]") + 1, "[R5]"));
	/* The operator confirmed, or a level worked after all. */
	verdict(BRAVO, MB_VERDICT_OFF);
	run(DISK);
	expect(BRAVO, ALONE, GONE);
}

/* With the lease, it waits until the other has demoted itself. */
static void
R7_lease_waits(void **state)
{
	(void)state;
	lease_pair();
	daemon_end(ALPHA);
	run(DEAD + 1);
	verdict(BRAVO, MB_VERDICT_LEASE);
	expect(BRAVO, PAIRED, SILENT);
	run(TAKEOVER - DEAD - HEARTBEAT - 1);
	expect(BRAVO, PAIRED, SILENT);
	run(HEARTBEAT + 1 + DISK);
	expect(BRAVO, ALONE, GONE);
	assert_int_equal(w.nodes[BRAVO].epoch, 2);
	assert_false(w.nodes[BRAVO].demoted);
}

/* Without peer and lease, data stops; the lease or the peer ends that. */
/*
 * A word that comes through after long says that its sender hears nothing.
 * Until when it did is not what it confirmed last.
 */
static void
R7_a_late_word_ends_no_wait(void **state)
{
	struct mb_event e = {.type = MB_EV_HEARD};

	(void)state;
	lease_pair();
	cut_both(true);
	e.u.heard.from = ALPHA;
	e.u.heard.incarnation = w.nodes[ALPHA].incarnation;
	e.u.heard.epoch = 1;
	e.u.heard.reached = at(w.now);
	run(HEARTBEAT - 10);
	step(BRAVO, e);
	run(DEAD + 1);
	verdict(BRAVO, MB_VERDICT_LEASE);
	run(TAKEOVER - DEAD - HEARTBEAT / 2);
	expect(BRAVO, PAIRED, SILENT);
	e.u.heard.one_way = e.u.heard.unheard = true;
	step(BRAVO, e);
	run(DISK + 2);
	expect(BRAVO, PAIRED, SILENT);
	run(TAKEOVER + DISK);
	expect(BRAVO, ALONE, GONE);
}

/* The other node says for so long that it hears nothing of node. */
static void
unheard(uint8_t node, int ms)
{
	uint8_t other = node == ALPHA ? BRAVO : ALPHA;
	struct mb_event e = {.type = MB_EV_HEARD};

	e.u.heard.from = other;
	e.u.heard.incarnation = w.nodes[other].incarnation;
	e.u.heard.epoch = w.nodes[other].epoch;
	e.u.heard.one_way = e.u.heard.unheard = true;
	for (; ms > 0; ms -= HEARTBEAT) {
		step(node, e);
		run(HEARTBEAT);
	}
}

/*
 * Words that say so and come no farther apart than a lease go back to the
 * first of them.  After a longer pause it may have heard something in between.
 */
static void
R7_a_pause_between_words_counts_anew(void **state)
{
	(void)state;
	lease_pair();
	cut_both(true);
	unheard(BRAVO, HEARTBEAT);
	run(DEAD);
	verdict(BRAVO, MB_VERDICT_LEASE);
	unheard(BRAVO, TAKEOVER - LEASE - HEARTBEAT);
	expect(BRAVO, PAIRED, SILENT);
	unheard(BRAVO, 2 * HEARTBEAT);
	expect(BRAVO, ALONE, GONE);
}

/*
 * Its answer after this node's pause is a word, of one who hears this node:
 * what heartbeats on their way say is older.
 */
static void
R8_who_answers_is_not_silent(void **state)
{
	struct mb_event e = {.type = MB_EV_GAP};

	(void)state;
	lease_pair();
	freeze(BRAVO);
	run(DEAD + 1);
	expect(ALPHA, PAIRED, SILENT);
	w.nodes[BRAVO].frozen = false;
	e.u.gap.us = (DEAD + 1) * 1000;
	step(BRAVO, e);
	expect(BRAVO, DOUBT, ALIVE);
	e = (struct mb_event){.type = MB_EV_HEARD};
	e.u.heard.from = ALPHA;
	e.u.heard.incarnation = w.nodes[ALPHA].incarnation;
	e.u.heard.epoch = w.nodes[ALPHA].epoch;
	e.u.heard.one_way = e.u.heard.unheard = true;
	step(BRAVO, e);
	for (unsigned i = 0; i < w.n_queue; i++) {
		struct packet p = w.queue[i];

		step(p.to, (struct mb_event){.type = MB_EV_MSG,
			       .u.msg = {p.from, p.bytes, p.len}});
		step(BRAVO, (struct mb_event){.type = MB_EV_TIMER});
	}
	w.n_queue = 0;
	expect(BRAVO, PAIRED, ALIVE);
	assert_null(strstr(w.nodes[BRAVO].notes, "[R14]"));
}

/*
 * Bravo stood still for less than dead and asks; alpha gets the question, and
 * bravo nothing any more.
 */
static void
ask_alpha(void)
{
	struct mb_event e = {.type = MB_EV_GAP};

	lease_pair();
	freeze(BRAVO);
	run(LEASE + HEARTBEAT);
	w.nodes[BRAVO].frozen = false;
	e.u.gap.us = mt_sub_us(at(w.now), w.nodes[BRAVO].frozen_at);
	step(BRAVO, e);
	expect(BRAVO, DOUBT, ALIVE);
	cut_both(true);
}

static monotime_t
heard_of_alpha(void)
{
	struct mb_status s;

	mb_status(w.nodes[ALPHA].mb, &s);
	return s.peers[0].mutual;
}

static void
alpha_gets_the_questions(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w.n_queue; i++) {
		struct packet p = w.queue[i];

		if (p.to != ALPHA)
			continue;
		step(ALPHA, (struct mb_event){.type = MB_EV_MSG,
				.u.msg = {p.from, p.bytes, p.len}});
		n++;
	}
	w.n_queue = 0;
	assert_true(n > 0);
}

/*
 * A question may be old: that it comes does not mean that who asked it has
 * heard anything since, and alpha counts on.
 */
static void
R7_a_question_is_no_sign_of_being_heard(void **state)
{
	monotime_t before;

	(void)state;
	ask_alpha();
	before = heard_of_alpha();
	assert_true(mt_before(before, at(w.now - LEASE + 1)));
	alpha_gets_the_questions();
	assert_true(heard_of_alpha().us == before.us);
	expect(ALPHA, PAIRED, ALIVE);
}

/*
 * What was on its way says that bravo hears nothing, but bravo is answered: it
 * goes on from then, and so counts alpha.
 */
static void
R7_an_answer_is_newer_than_a_late_word(void **state)
{
	(void)state;
	ask_alpha();
	alpha_gets_the_questions();
	unheard(ALPHA, DEAD - HEARTBEAT);
	expect(ALPHA, PAIRED, ALIVE);
	unheard(ALPHA, HEARTBEAT);
	expect(ALPHA, PAIRED, SILENT);
	verdict(ALPHA, MB_VERDICT_LEASE);
	unheard(ALPHA, TAKEOVER - DEAD - HEARTBEAT);
	expect(ALPHA, PAIRED, SILENT);
	unheard(ALPHA, 2 * HEARTBEAT);
	expect(ALPHA, ALONE, GONE);
}

/* This node was deaf, and mute as well: what the peer has heard is as old. */
static void
R7_mute_while_it_stood_still(void **state)
{
	struct mb_status s;

	(void)state;
	lease_pair();
	freeze(ALPHA);
	cut_both(true);
	run(DEAD);
	thaw(ALPHA);
	expect(ALPHA, DOUBT, ALIVE);
	mb_status(w.nodes[ALPHA].mb, &s);
	assert_true(!mt_before(w.nodes[ALPHA].frozen_at, s.peers[0].mutual));
	assert_true(mt_before(w.nodes[ALPHA].frozen_at, s.peers[0].heard));
}

static void
R7_demoted(void **state)
{
	(void)state;
	lease_pair();
	cut_both(true);
	run(DEMOTE - HEARTBEAT);
	assert_false(w.nodes[ALPHA].demoted);
	run(HEARTBEAT + 1);
	assert_true(w.nodes[ALPHA].demoted);
	expect(ALPHA, PAIRED, SILENT);
	noted(ALPHA, "[R7] bravo is silent for");
	cut_both(false);
	run(HEARTBEAT + 1);
	expect(ALPHA, PAIRED, ALIVE);
	assert_false(w.nodes[ALPHA].demoted);
	cut_both(true);
	run(DEMOTE + HEARTBEAT);
	assert_true(w.nodes[ALPHA].demoted);
	verdict(ALPHA, MB_VERDICT_LEASE);
	run(HEARTBEAT + DISK);
	expect(ALPHA, ALONE, GONE);
	assert_false(w.nodes[ALPHA].demoted);
}

/* A fence alone demotes nobody: one dead standby never stops the service. */
static void
R7_not_without_voters(void **state)
{
	(void)state;
	fence_pair();
	daemon_end(ALPHA);
	run(10 * TAKEOVER);
	assert_false(w.nodes[BRAVO].demoted);
}

/* A cut: one has the lease, the other gives up and comes back behind it. */
static void
R13_denied(void **state)
{
	(void)state;
	lease_pair();
	cut_both(true);
	run(DEAD + HEARTBEAT);
	verdict(ALPHA, MB_VERDICT_LEASE);
	verdict(BRAVO, MB_VERDICT_DENIED);
	expect(BRAVO, INERT, UNKNOWN);
	assert_int_equal(w.nodes[BRAVO].asked, 0);
	run(TAKEOVER);
	expect(ALPHA, ALONE, GONE);
	run(10000);
	expect(BRAVO, INERT, UNKNOWN);
	assert_int_equal(w.nodes[BRAVO].asked, 0);
	cut_both(false);
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_int_equal(w.nodes[BRAVO].epoch, 2);
}

/* Denied, but the winner heard it again before it acted. */
static void
R13_blip(void **state)
{
	(void)state;
	lease_pair();
	cut_both(true);
	run(DEAD + HEARTBEAT);
	verdict(ALPHA, MB_VERDICT_LEASE);
	verdict(BRAVO, MB_VERDICT_DENIED);
	cut_both(false);
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_int_equal(w.nodes[ALPHA].epoch, 1);
	/* The unused lease is in nobody's way: both ask above it. */
	daemon_end(ALPHA);
	run(DEAD + HEARTBEAT);
	assert_int_equal(w.nodes[BRAVO].asked, 3);
	verdict(BRAVO, MB_VERDICT_LEASE);
	run(TAKEOVER);
	expect(BRAVO, ALONE, GONE);
	assert_int_equal(w.nodes[BRAVO].epoch, 3);
}

/*
 * What was asked for in vain may be the peer's: asking above it would give
 * two nodes a lease each.
 */
static void
R6_asked_in_vain(void **state)
{
	(void)state;
	lease_pair();
	/* Only bravo's beats arrive. */
	w.cut[ALPHA][CROSS] = w.cut[ALPHA][LAN] = true;
	w.cut[BRAVO][CROSS] = w.cut[BRAVO][LAN] = true;
	w.ctl_cut = true;
	run(DEAD + HEARTBEAT);
	assert_int_equal(w.nodes[BRAVO].asked, 2);
	verdict(ALPHA, MB_VERDICT_LEASE);
	w.cut[ALPHA][LAN] = false;
	run(HEARTBEAT + 1);
	w.cut[ALPHA][LAN] = true;
	run(DEAD + HEARTBEAT);
	assert_true(w.nodes[BRAVO].asked == 2 || w.nodes[BRAVO].asked == 0);
}

/* Voters say late that they hold an epoch for this node. */
static void
R6_spent_is_told(void **state)
{
	(void)state;
	lease_pair();
	arbiter(ALPHA, true, 7);
	run(DEAD);
	daemon_end(ALPHA);
	run(DEAD + HEARTBEAT);
	assert_int_equal(w.nodes[BRAVO].asked, 8);
}

/* A pair that starts anew starts above it. */
static void
R6_spent_at_pairing(void **state)
{
	(void)state;
	w.voters = true;
	daemon_start(ALPHA);
	arbiter(ALPHA, true, 7);
	daemon_start(BRAVO);
	run(100);
	expect(BRAVO, PAIRED, ALIVE);
	assert_int_equal(w.nodes[BRAVO].epoch, 8);
}

/* A verdict of a lease that was asked for before counts no more. */
static void
R6_old_lease(void **state)
{
	struct mb_event e = {.type = MB_EV_VERDICT};

	(void)state;
	lease_pair();
	arbiter(BRAVO, true, 4);
	daemon_end(ALPHA);
	run(DEAD + HEARTBEAT);
	assert_int_equal(w.nodes[BRAVO].asked, 5);
	e.u.verdict.peer = ALPHA;
	e.u.verdict.verdict = MB_VERDICT_LEASE;
	e.u.verdict.epoch = 2;
	step(BRAVO, e);
	run(10 * TAKEOVER);
	expect(BRAVO, PAIRED, SILENT);
}

/* An agent that says that the peer is off wakes a node, but not its data. */
static void
R1_verified_off(void **state)
{
	(void)state;
	w.fences = true;
	daemon_start(ALPHA);
	run(TAKEOVER + 1);
	assert_int_equal(w.nodes[ALPHA].asked, 1);
	assert_true(w.nodes[ALPHA].asked_verify);
	verdict(ALPHA, MB_VERDICT_FROZEN);
	expect(ALPHA, INERT, UNKNOWN);
	verdict(ALPHA, MB_VERDICT_OFF);
	run(DISK);
	expect(ALPHA, ALONE, GONE);
	assert_false(w.nodes[ALPHA].own_right);
}

/*
 * It hears of a higher epoch when its agent has looked: then that was wrong,
 * the agent is asked again, and an operator who decides instead raises it once
 * more.
 */
static void
R1_newer_epoch_while_it_verifies(void **state)
{
	(void)state;
	w.fences = true;
	daemon_start(ALPHA);
	run(TAKEOVER + 1);
	verdict(ALPHA, MB_VERDICT_FROZEN);
	verdict(ALPHA, MB_VERDICT_OFF);
	step(ALPHA, (struct mb_event){
			.type = MB_EV_NEWER_EPOCH, .u.newer = {BRAVO, 7}});
	run(3 * DISK);
	expect(ALPHA, INERT, UNKNOWN);
	assert_int_equal(w.nodes[ALPHA].asked, 8);
	assert_true(w.nodes[ALPHA].asked_verify);
	seed(ALPHA);
	run(DISK);
	expect(ALPHA, ALONE, GONE);
	assert_int_equal(w.nodes[ALPHA].epoch, 8);
}

static void
R1_verify_ends_when_heard(void **state)
{
	(void)state;
	w.fences = true;
	daemon_start(ALPHA);
	run(TAKEOVER + 1);
	assert_true(w.nodes[ALPHA].asked_verify);
	daemon_start(BRAVO);
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
	assert_int_equal(w.nodes[ALPHA].asked, 0);
}

/* Who was demoted has data that it knows: no agent brings it back. */
static void
R1_only_after_boot(void **state)
{
	(void)state;
	w.fences = w.voters = true;
	both_paired();
	cut_both(true);
	run(DEAD + HEARTBEAT);
	verdict(BRAVO, MB_VERDICT_DENIED);
	expect(BRAVO, INERT, UNKNOWN);
	run(10 * TAKEOVER);
	assert_int_equal(w.nodes[BRAVO].asked, 0);
}

/* Two links over one device are one domain: always jeopardy, but for an
 * arbiter that works. */
static void
R2_domain(void **state)
{
	struct mb_status s;

	(void)state;
	w.one_domain = true;
	both_paired();
	run(2 * DEAD);
	mb_status(w.nodes[ALPHA].mb, &s);
	assert_true(s.jeopardy);
	daemon_end(BRAVO);
	run(10 * TAKEOVER);
	expect(ALPHA, PAIRED, LOST);
}

static void
R2_domain_of_the_kernel(void **state)
{
	struct mb_event e = {.type = MB_EV_DOMAIN};
	struct mb_status s;

	(void)state;
	both_paired();
	run(2 * DEAD);
	mb_status(w.nodes[ALPHA].mb, &s);
	assert_false(s.jeopardy);
	e.u.domain.link = LAN;
	e.u.domain.other = CROSS;
	step(ALPHA, e);
	noted(ALPHA, "[R2] links lan and cross share a device: one link "
		     "domain");
	run(2 * DEAD);
	mb_status(w.nodes[ALPHA].mb, &s);
	assert_true(s.jeopardy);
}

static void
R2_arbiter(void **state)
{
	struct mb_status s;

	(void)state;
	w.fences = w.one_domain = true;
	both_paired();
	run(2 * DEAD);
	mb_status(w.nodes[ALPHA].mb, &s);
	assert_true(s.jeopardy);
	arbiter(ALPHA, true, 0);
	mb_status(w.nodes[ALPHA].mb, &s);
	assert_false(s.jeopardy);
	arbiter(ALPHA, false, 0);
	run(2 * DEAD);
	mb_status(w.nodes[ALPHA].mb, &s);
	assert_true(s.jeopardy);
	/* Asked all the same: only an arbiter can say. */
	cut_both(true);
	run(2 * DEAD);
	expect(ALPHA, PAIRED, SILENT);
	assert_int_equal(w.nodes[ALPHA].asked, 2);
}

/* Silence, and no ping node answers: it is me. */
static void
R9_pings(void **state)
{
	(void)state;
	w.pings = true;
	both_paired();
	pings(ALPHA, false);
	run(1000);
	expect(ALPHA, PAIRED, ALIVE);
	cut_both(true);
	run(TAKEOVER + HEARTBEAT + DISK);
	expect(ALPHA, ISOLATED, SILENT);
	expect(BRAVO, ALONE, GONE);
	noted(ALPHA, "[R9] no ping node answers and the peer is silent: this "
		     "node is isolated, hand over");
	/* Back behind the one that acted. */
	pings(ALPHA, true);
	cut_both(false);
	run(TAKEOVER);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_int_equal(w.nodes[ALPHA].epoch, 2);
}

/* Thawed, in silence, and it was this node that was cut off. */
static void
R9_pings_after_a_doubt(void **state)
{
	(void)state;
	w.pings = true;
	both_paired();
	cut_both(true);
	freeze(ALPHA);
	run(LEASE + HEARTBEAT);
	thaw(ALPHA);
	expect(ALPHA, DOUBT, ALIVE);
	pings(ALPHA, false);
	run(2 * TAKEOVER);
	expect(ALPHA, ISOLATED, SILENT);
}

static void
R9_pings_and_lease(void **state)
{
	(void)state;
	w.pings = true;
	lease_pair();
	pings(ALPHA, false);
	cut_both(true);
	run(DEAD + HEARTBEAT);
	run(TAKEOVER);
	expect(ALPHA, ISOLATED, SILENT);
	assert_int_equal(w.nodes[ALPHA].asked, 0);
}

/* Its adverts are heard: it lives, whatever SCTP says. */
static void
R3_adverts(void **state)
{
	(void)state;
	both_paired();
	cut_both(true);
	for (int i = 0; i < 20; i++) {
		step(BRAVO, (struct mb_event){
				.type = MB_EV_ADVERT, .u.advert.peer = ALPHA});
		run(10);
	}
	expect(BRAVO, PAIRED, LOST);
	expect(ALPHA, ALONE, GONE);
	noted(BRAVO, "[R3] alpha is silent on every link, but its adverts are "
		     "heard: it lives");
}

static void
forecasts(void **state)
{
	struct mb_forecast f;

	(void)state;
	fence_pair();
	mb_forecast(w.nodes[ALPHA].mb, at(w.now), BRAVO, &f);
	assert_int_equal(f.fate, MB_FATE_TAKEN);
	assert_int_equal(f.ms, DEAD + 5000);
	arbiter(ALPHA, false, 0);
	mb_forecast(w.nodes[ALPHA].mb, at(w.now), BRAVO, &f);
	assert_int_equal(f.fate, MB_FATE_OPERATOR);
	assert_string_equal(f.rule, "R5");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(R3_off),
	    T(R3_off_while_in_doubt),
	    T(R8_who_answers_is_not_silent),
	    T(R7_a_question_is_no_sign_of_being_heard),
	    T(R7_an_answer_is_newer_than_a_late_word),
	    T(R3_dead_too_late),
	    T(R3_dead_without_a_lease),
	    T(R3_dead_at_once),
	    T(R3_heard_again),
	    T(R4_active),
	    T(R5_frozen),
	    T(R7_lease_waits),
	    T(R7_a_late_word_ends_no_wait),
	    T(R7_a_pause_between_words_counts_anew),
	    T(R7_mute_while_it_stood_still),
	    T(R7_demoted),
	    T(R7_not_without_voters),
	    T(R13_denied),
	    T(R13_blip),
	    T(R6_asked_in_vain),
	    T(R6_spent_is_told),
	    T(R6_spent_at_pairing),
	    T(R6_old_lease),
	    T(R1_verified_off),
	    T(R1_newer_epoch_while_it_verifies),
	    T(R1_verify_ends_when_heard),
	    T(R1_only_after_boot),
	    T(R2_domain),
	    T(R2_domain_of_the_kernel),
	    T(R2_arbiter),
	    T(R9_pings),
	    T(R9_pings_after_a_doubt),
	    T(R9_pings_and_lease),
	    T(R3_adverts),
	    T(forecasts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
