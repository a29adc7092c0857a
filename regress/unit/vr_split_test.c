/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers: a LAN in pieces.  Each row of the table of vr_split.c with
 * what the other node decides at the same moment, and its mirror image; all
 * situations of two nodes; and what a core does with what it is told.
 */
#include "vr_split.h"
#include "vr_world.h"

enum { A, B };

/* One node in a situation. */
struct side {
	enum vr_state state;
	bool lan, out, third, was, waited, preempt;
};

/* Two nodes that know the truth about one another. */
struct situation {
	struct side a, b;
	bool a_better;
	enum vr_life life; /* of one another */
};

static bool
wants(const struct side *x, const struct side *y, bool better)
{
	if (x->state != VR_BACKUP)
		return false;
	return y->state == VR_ACTIVE ? x->preempt && better : x->waited;
}

/* What x decides. */
static enum vr_verdict
decide(
    const struct side *x, const struct side *y, bool better, enum vr_life life)
{
	const struct vr_split in = {
	    .active = x->state == VR_ACTIVE,
	    .timed_out = x->out,
	    .third = x->third,
	    .peer_was = x->was,
	    .waited = x->waited,
	    .better = better,
	    .life = life,
	    .own_lan = x->lan,
	    .peer_lan = y->lan,
	    .peer_holds = y->state == VR_ACTIVE,
	    .peer_able = y->state == VR_BACKUP,
	    .peer_wants = wants(y, x, !better),
	    .peer_third = y->third,
	};
	const char *why = NULL;
	enum vr_verdict got;

	if (x->state == VR_INIT)
		return VR_PLAIN;
	got = vr_split(&in, &why);
	assert_non_null(why);
	assert_true(got == VR_PLAIN || strlen(why) > 0);
	return got;
}

struct row {
	int n; /* of the table */
	struct situation s;
	enum vr_verdict a, b;
};

#define LAN .lan = true
#define OUT .out = true
#define IS(x) .state = VR_##x
#define ALIVE .life = VR_PEER_ALIVE
#define DEAD .life = VR_PEER_DEAD
#define BETTER .a_better = true

static const struct row rows[] = {
    {1, {.a = {IS(ACTIVE)}, .b = {IS(BACKUP), LAN, OUT}}, VR_PLAIN, VR_PLAIN},
    {1, {.a = {IS(ACTIVE)}, .b = {IS(BACKUP), LAN, OUT}, DEAD}, VR_PLAIN,
	VR_PLAIN},
    {2, {.a = {IS(ACTIVE)}, .b = {IS(BACKUP), LAN}, ALIVE, BETTER}, VR_YIELD,
	VR_TAKE},
    {2, {.a = {IS(ACTIVE)}, .b = {IS(ACTIVE), LAN}, ALIVE, BETTER}, VR_YIELD,
	VR_PLAIN},
    {3,
	{.a = {IS(ACTIVE), LAN},
	    .b = {IS(BACKUP), OUT, .preempt = true},
	    ALIVE},
	VR_PLAIN, VR_WAIT},
    {3, {.a = {IS(ACTIVE), LAN}, .b = {IS(ACTIVE)}, ALIVE}, VR_PLAIN, VR_YIELD},
    {4, {.a = {IS(ACTIVE), LAN}, .b = {IS(ACTIVE), LAN}, ALIVE}, VR_YIELD,
	VR_PLAIN},
    {4, {.a = {IS(ACTIVE)}, .b = {IS(ACTIVE)}, ALIVE}, VR_YIELD, VR_PLAIN},
    {5,
	{.a = {IS(ACTIVE), LAN},
	    .b = {IS(BACKUP), LAN, .preempt = true},
	    ALIVE},
	VR_YIELD, VR_WAIT},
    {5, {.a = {IS(ACTIVE)}, .b = {IS(BACKUP), .preempt = true}, ALIVE},
	VR_YIELD, VR_WAIT},
    {6, {.a = {IS(ACTIVE), LAN}, .b = {IS(BACKUP), LAN, OUT}, ALIVE}, VR_PLAIN,
	VR_WAIT},
    {6,
	{.a = {IS(ACTIVE), LAN},
	    .b = {IS(BACKUP), LAN, .preempt = true},
	    ALIVE,
	    BETTER},
	VR_PLAIN, VR_WAIT},
    {6, {.a = {IS(ACTIVE)}, .b = {IS(INIT), LAN}, ALIVE}, VR_PLAIN, VR_PLAIN},
    {7, {.a = {IS(BACKUP), LAN, OUT}, .b = {IS(ACTIVE), LAN}}, VR_PLAIN,
	VR_PLAIN},
    {7, {.a = {IS(BACKUP), LAN, OUT}, .b = {IS(BACKUP), LAN, OUT}}, VR_PLAIN,
	VR_PLAIN},
    {8,
	{.a = {IS(BACKUP), LAN, .third = true, .was = true},
	    .b = {IS(INIT)},
	    DEAD},
	VR_PLAIN, VR_PLAIN},
    {8,
	{.a = {IS(BACKUP), LAN, .third = true},
	    .b = {IS(BACKUP), LAN, OUT},
	    ALIVE},
	VR_PLAIN, VR_WAIT},
    {9, {.a = {IS(BACKUP), .was = true}, .b = {IS(INIT)}, DEAD}, VR_TAKE,
	VR_PLAIN},
    {9,
	{.a = {IS(BACKUP), LAN, .was = true, OUT, .third = true},
	    .b = {IS(INIT), LAN},
	    DEAD},
	VR_TAKE, VR_PLAIN},
    {10, {.a = {IS(BACKUP), LAN, OUT}, .b = {IS(INIT), LAN}, DEAD}, VR_PLAIN,
	VR_PLAIN},
    {11, {.a = {IS(BACKUP), LAN}, .b = {IS(ACTIVE)}, ALIVE}, VR_TAKE, VR_YIELD},
    {12, {.a = {IS(BACKUP), LAN, OUT}, .b = {IS(ACTIVE), LAN}, ALIVE, BETTER},
	VR_WAIT, VR_PLAIN},
    {12, {.a = {IS(BACKUP), OUT}, .b = {IS(ACTIVE), LAN}, ALIVE}, VR_WAIT,
	VR_PLAIN},
    {12, {.a = {IS(BACKUP), OUT}, .b = {IS(ACTIVE)}, ALIVE}, VR_WAIT, VR_PLAIN},
    {13,
	{.a = {IS(BACKUP), LAN, OUT},
	    .b = {IS(BACKUP), LAN, .third = true},
	    ALIVE,
	    BETTER},
	VR_WAIT, VR_PLAIN},
    {14, {.a = {IS(BACKUP), OUT}, .b = {IS(BACKUP), LAN, OUT}, ALIVE, BETTER},
	VR_WAIT, VR_TAKE},
    {14, {.a = {IS(BACKUP), .was = true}, .b = {IS(BACKUP), LAN}, ALIVE},
	VR_WAIT, VR_PLAIN},
    {15, {.a = {IS(BACKUP), LAN, .was = true}, .b = {IS(BACKUP), LAN}, ALIVE},
	VR_TAKE, VR_PLAIN},
    {15, {.a = {IS(BACKUP), .was = true}, .b = {IS(INIT)}, ALIVE}, VR_TAKE,
	VR_PLAIN},
    {15, {.a = {IS(BACKUP), .was = true}, .b = {IS(INIT), LAN}, ALIVE}, VR_TAKE,
	VR_PLAIN},
    {16,
	{.a = {IS(BACKUP), LAN},
	    .b = {IS(BACKUP), LAN, .waited = true},
	    ALIVE,
	    BETTER},
	VR_TAKE, VR_PLAIN},
    {17, {.a = {IS(BACKUP), LAN}, .b = {IS(BACKUP), LAN}, ALIVE, BETTER},
	VR_PLAIN, VR_PLAIN},
    {17,
	{.a = {IS(BACKUP), LAN}, .b = {IS(BACKUP), LAN, .waited = true}, ALIVE},
	VR_PLAIN, VR_PLAIN},
    {18, {.a = {IS(BACKUP), LAN, OUT}, .b = {IS(BACKUP), OUT}, ALIVE}, VR_TAKE,
	VR_WAIT},
    {19, {.a = {IS(BACKUP), LAN, OUT}, .b = {IS(INIT), LAN}, ALIVE}, VR_TAKE,
	VR_PLAIN},
    {19, {.a = {IS(BACKUP), OUT}, .b = {IS(INIT), LAN}, ALIVE}, VR_TAKE,
	VR_PLAIN},
    {20,
	{.a = {IS(BACKUP), LAN, OUT},
	    .b = {IS(BACKUP), LAN, OUT},
	    ALIVE,
	    BETTER},
	VR_TAKE, VR_WAIT},
    {20, {.a = {IS(BACKUP), OUT}, .b = {IS(BACKUP), OUT}, ALIVE, BETTER},
	VR_TAKE, VR_WAIT},
    {21,
	{.a = {IS(BACKUP), LAN, OUT, .waited = true},
	    .b = {IS(BACKUP), LAN},
	    ALIVE},
	VR_TAKE, VR_TAKE},
    {22, {.a = {IS(BACKUP), LAN, OUT}, .b = {IS(BACKUP), LAN}, ALIVE}, VR_WAIT,
	VR_PLAIN},
};

static void
every_row(void **state)
{
	bool seen[23] = {false};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		const struct situation *t = &rows[i].s;
		enum vr_life b_life =
		    t->life == VR_PEER_DEAD ? VR_PEER_UNKNOWN : t->life;
		enum vr_verdict a = decide(&t->a, &t->b, t->a_better, t->life);
		enum vr_verdict b = decide(&t->b, &t->a, !t->a_better, b_life);

		if (a != rows[i].a || b != rows[i].b)
			print_error(
			    "row %d, entry %zu: %d %d\n", rows[i].n, i, a, b);
		assert_int_equal(a, rows[i].a);
		assert_int_equal(b, rows[i].b);
		seen[rows[i].n] = true;
	}
	for (i = 1; i < NITEMS(seen); i++)
		assert_true(seen[i]);
}

/* A third that would be preempted does not make this node wait (13). */
static void
worse_third(void **state)
{
	struct vr_split in = {.timed_out = true,
	    .life = VR_PEER_ALIVE,
	    .own_lan = true,
	    .peer_lan = true,
	    .peer_able = true,
	    .peer_third = true,
	    .better = true};
	const char *why;

	(void)state;
	assert_int_equal(vr_split(&in, &why), VR_WAIT);
	in.beats_third = true;
	assert_int_equal(vr_split(&in, &why), VR_TAKE);
}

static bool
bit(unsigned *bits)
{
	bool b = *bits & 1;

	*bits >>= 1;
	return b;
}

static bool
possible(const struct side *x, const struct side *y)
{
	if (x->state != VR_BACKUP &&
	    (x->out || x->third || x->was || x->waited))
		return false;
	if (x->third && (x->out || x->was || x->waited))
		return false;
	if (x->was && x->waited)
		return false;
	/* y gave it up a moment ago, and has listened since. */
	return !x->was || (!y->out && !y->waited && !y->was);
}

/* With both alive and told the truth: never two, never none. */
static void
judge(const struct situation *t)
{
	enum vr_verdict a = decide(&t->a, &t->b, t->a_better, VR_PEER_ALIVE);
	enum vr_verdict b = decide(&t->b, &t->a, !t->a_better, VR_PEER_ALIVE);
	const struct side *worse = t->a_better ? &t->b : &t->a;

	if (t->a.state == VR_ACTIVE && t->b.state == VR_ACTIVE)
		assert_int_equal((a == VR_YIELD) + (b == VR_YIELD), 1);
	/* Who does not reach the LAN is not heard there. */
	if (a == VR_TAKE && t->b.state == VR_ACTIVE)
		assert_true(!t->b.lan && t->a.lan && b == VR_YIELD);
	/* Two take at once only if one waited for that long already. */
	if (a == VR_TAKE && b == VR_TAKE)
		assert_true(worse->waited && worse->out);
	if (a == VR_YIELD && t->b.state == VR_BACKUP)
		assert_true(
		    (t->b.lan && !t->a.lan) ||
		    (t->a.lan == t->b.lan && wants(&t->b, &t->a, true)));
	if (a == VR_YIELD)
		assert_true(t->b.state != VR_INIT);
	/* Nobody holds it, all are silent: somebody takes now. */
	if (t->a.state != VR_ACTIVE && t->b.state != VR_ACTIVE &&
	    (t->a.out || t->a.state == VR_INIT) &&
	    (t->b.out || t->b.state == VR_INIT) && (t->a.out || t->b.out))
		assert_true(a == VR_TAKE || b == VR_TAKE);
}

static void
all_situations(void **state)
{
	unsigned i, n = 0;

	(void)state;
	for (i = 0; i < 9u << 13; i++) {
		unsigned bits = i / 9;
		struct situation t = {
		    .a = {.state = (enum vr_state)(i % 3)},
		    .b = {.state = (enum vr_state)(i / 3 % 3)},
		};

		t.a_better = bit(&bits);
		t.a.lan = bit(&bits);
		t.b.lan = bit(&bits);
		t.a.out = bit(&bits);
		t.b.out = bit(&bits);
		t.a.third = bit(&bits);
		t.b.third = bit(&bits);
		t.a.was = bit(&bits);
		t.b.was = bit(&bits);
		t.a.waited = bit(&bits);
		t.b.waited = bit(&bits);
		t.a.preempt = bit(&bits);
		t.b.preempt = bit(&bits);
		if (!possible(&t.a, &t.b) || !possible(&t.b, &t.a))
			continue;
		judge(&t);
		n++;
	}
	print_message("%u situations\n", n);
	assert_true(n > 1500);
}

/* A core that is told of its peer 192.0.2.2, which is better or worse. */
static void
begin_told(uint8_t priority)
{
	begin(vrrp("a", 1, priority));
	reach_is(0, VR_PEER_ALIVE, true, true);
	s->quiet = true;
}

/* Adverts are lost one way; the peer goes on.  Its word has to be renewed. */
static void
one_way(void **state)
{
	const char *first;
	int64_t t;

	(void)state;
	begin_told(100);
	hear(A, 2, 150);
	for (t = 100; t <= 20000; t += 100) {
		run(t);
		reach_is(0, VR_PEER_ALIVE, true, true);
		if (t == 100)
			peer_says(A, true, false, false, 150);
	}
	/* The same word again is not looked at. */
	assert_int_equal(s->cells[VR_EV_REACH][VR_BACKUP], 1);
	expect("@0 a=BACKUP;");
	assert_in_range(status(A).waited, 3, 60);
	/* Noted once, however long it takes. */
	first = strstr(s->notes,
	    "not taken: the peer says that it is active and reaches the LAN "
	    "(on this LAN this node hears the peer: no;");
	assert_non_null(first);
	assert_null(strstr(first + 1, "not taken"));
	/* Without a word there is only the protocol. */
	run(20501);
	expect("@20500 a=ACTIVE; take a;");
}

/* Its LAN is gone, or it gave up: at once. */
static void
peer_lost_lan(void **state)
{
	(void)state;
	begin_told(100);
	hear(A, 2, 150);
	peer_says(A, true, false, false, 150);
	run(300);
	reach_is(0, VR_PEER_ALIVE, true, false);
	expect("@0 a=BACKUP; @300 a=ACTIVE; take a;");
	assert_string_equal(status(A).reason, "the peer lost the LAN");
}

static void
peer_gave_up(void **state)
{
	(void)state;
	begin_told(100);
	hear(A, 2, 150);
	peer_says(A, true, false, false, 150);
	run(300);
	peer_says(A, false, true, false, 150);
	expect("@0 a=BACKUP; @300 a=ACTIVE; take a;");
	assert_string_equal(status(A).reason, "the peer gave it up");
}

static void
peer_died(void **state)
{
	(void)state;
	begin_told(100);
	hear(A, 2, 150);
	peer_says(A, true, false, false, 150);
	run(300);
	reach_is(0, VR_PEER_DEAD, true, false);
	expect("@0 a=BACKUP; @300 a=ACTIVE; take a;");
}

/* A third is master: the peer's word is about itself only. */
static void
third_is_master(void **state)
{
	(void)state;
	begin_told(100);
	peer_says(A, true, false, false, 150);
	hear(A, 9, 200);
	assert_true(s->told[A].third);
	peer_says(A, false, true, false, 150);
	reach_is(0, VR_PEER_DEAD, true, true);
	run(3600);
	expect("@0 a=BACKUP;");
	run(3700);
	expect("@3609.375 a=ACTIVE; take a;");
}

/* The holder gives way at once to a peer that reaches the LAN. */
static void
own_lan_lost(void **state)
{
	(void)state;
	begin_told(255);
	peer_says(A, false, true, false, 150);
	s->manual = true;
	reach_is(0, VR_PEER_ALIVE, false, true);
	expect("@0 a=ACTIVE; take a; a says 255; a=BACKUP; release a;");
	assert_true(s->told[A].holds);
	answer(A, false, NULL);
	assert_false(s->told[A].holds);
	assert_true(s->told[A].able);
}

/* A better peer asks, and gets it; a worse one does not. */
static void
asked(void **state)
{
	(void)state;
	begin_told(100);
	run(3700);
	expect("@0 a=BACKUP; @3609.375 a=ACTIVE; take a;");
	reach_is(0, VR_PEER_ALIVE, true, true);
	peer_says(A, false, true, true, 99);
	expect("");
	peer_says(A, false, true, false, 150);
	expect("");
	peer_says(A, false, true, true, 150);
	expect("@3700 a=BACKUP; release a;");
	assert_string_equal(
	    status(A).reason, "handed over to the peer, which is better");
}

/* And asks itself: by its right, after its delay, not against an order. */
static void
asks(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 100);

	(void)state;
	c.preempt_delay_ms = 200;
	begin(c);
	reach_is(0, VR_PEER_ALIVE, true, true);
	peer_says(A, true, false, false, 50);
	assert_false(s->told[A].wants);
	run(199);
	assert_false(s->told[A].wants);
	run(200);
	assert_true(s->told[A].wants);
	order(A, VR_ORDER_RELEASE, 0);
	assert_false(s->told[A].wants);
	order(A, VR_ORDER_RESUME, 0);
	assert_true(s->told[A].wants);
	peer_says(A, true, false, false, 101);
	assert_false(s->told[A].wants);
	expect("@0 a=BACKUP;");
}

/* An owner asks, too, if its peer has it when it starts. */
static void
owner_asks(void **state)
{
	struct vr_router_conf c = vrrp("a", 1, 255);

	(void)state;
	make(&c, 1);
	reach_is(0, VR_PEER_ALIVE, true, true);
	peer_says(A, true, false, false, 50);
	start();
	expect("@0 a=BACKUP;");
	assert_true(s->told[A].wants);
	peer_says(A, false, true, false, 50);
	expect("@0 a=ACTIVE; take a; a says 255;");
}

/* CARP: who is demoted less asks whatever it is configured to. */
static void
carp_asks(void **state)
{
	struct vr_peer p = {.holds = true,
	    .priority = 255 - 3,
	    .rank = 0xffff - 256,
	    .addr = {192, 0, 2, 2}};

	(void)state;
	begin(carp_conf("a", 1, 0));
	reach_is(0, VR_PEER_ALIVE, true, true);
	step((struct vr_event){.type = VR_EV_PEER, .u.peer = {A, p}});
	assert_true(s->told[A].wants);
	p.priority = 255;
	step((struct vr_event){.type = VR_EV_PEER, .u.peer = {A, p}});
	assert_false(s->told[A].wants);
	assert_int_equal(s->told[A].rank, 0xffff - 256);
	/* Adverts say that it is failing; its word is that it still has it. */
	p.priority = 255 - 3;
	step((struct vr_event){.type = VR_EV_PEER, .u.peer = {A, p}});
	carp(A, 2, 1, 0, 3);
	expect("@0 a=BACKUP;");
	p.holds = false;
	step((struct vr_event){.type = VR_EV_PEER, .u.peer = {A, p}});
	expect("@0 a=ACTIVE; take a; a says 1/0/0;");
}

/* What is against one of a group is against all. */
static void
group_waits(void **state)
{
	struct vr_router_conf c[2] = {vrrp("a", 1, 100), vrrp("b", 1, 100)};

	(void)state;
	c[1].ifx = 1;
	c[0].group = c[1].group = 1;
	make(c, 2);
	s->quiet = true;
	start();
	reach_is(0, VR_PEER_ALIVE, true, true);
	reach_is(1, VR_PEER_ALIVE, true, true);
	peer_says(A, true, false, false, 150);
	peer_says(B, true, false, false, 150);
	reach_is(0, VR_PEER_ALIVE, true, false);
	expect("@0 a=BACKUP; b=BACKUP;");
	peer_says(A, false, true, false, 150);
	expect("");
	peer_says(B, false, true, false, 150);
	expect("@0 b=ACTIVE; take b; a=ACTIVE; take a;");
}

static void
peer_has_none(uint16_t id)
{
	step((struct vr_event){
	    .type = VR_EV_PEER, .u.peer = {.id = id, .gone = true}});
}

/* It gave it up with its router; what it said before is void. */
static void
peer_has_it_no_more(void **state)
{
	(void)state;
	begin(vrrp("a", 1, 100));
	reach_is(0, VR_PEER_ALIVE, true, true);
	peer_says(A, true, false, false, 150);
	expect("@0 a=BACKUP;");
	hear(A, 2, 150);
	peer_has_none(A);
	expect("@0 a=ACTIVE; take a; a says 100;");
}

/* A member that the peer has not is not weighed. */
static void
group_without_a_member(void **state)
{
	struct vr_router_conf c[2] = {vrrp("a", 1, 100), vrrp("b", 2, 200)};

	(void)state;
	c[0].group = c[1].group = 1;
	c[0].preempt = c[1].preempt = true;
	make(c, 2);
	s->quiet = true;
	start();
	reach_is(0, VR_PEER_ALIVE, true, true);
	peer_says(A, false, false, false, 150);
	peer_says(B, false, false, false, 100);
	run(5000);
	assert_int_equal(vr_state(s->v, A), VR_ACTIVE);
	/* That it lives was true for a while only, and so was its word. */
	reach_is(0, VR_PEER_ALIVE, true, true);
	peer_says(B, false, false, false, 100);
	peer_says(A, false, true, true, 150);
	assert_int_equal(vr_state(s->v, A), VR_ACTIVE);
	peer_has_none(B);
	peer_says(A, false, true, true, 150);
	assert_int_equal(vr_state(s->v, A), VR_BACKUP);
	assert_int_equal(vr_state(s->v, B), VR_BACKUP);
}

/* It has started again, and not with all of them. */
static void
group_without_a_member_since(void **state)
{
	struct vr_router_conf c[2] = {vrrp("a", 1, 100), vrrp("b", 2, 200)};

	(void)state;
	c[0].group = c[1].group = 1;
	make(c, 2);
	s->quiet = true;
	start();
	reach_is(0, VR_PEER_ALIVE, true, true);
	peer_says(A, false, false, false, 150);
	peer_says(B, false, false, false, 100);
	run(5000);
	reach_is(0, VR_PEER_DEAD, true, true);
	run(6000);
	reach_is(0, VR_PEER_ALIVE, true, true);
	peer_says(A, true, false, false, 150);
	assert_int_equal(vr_state(s->v, A), VR_BACKUP);
	assert_int_equal(vr_state(s->v, B), VR_BACKUP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_row),
	    cmocka_unit_test(worse_third),
	    cmocka_unit_test(all_situations),
	    T(one_way),
	    T(peer_lost_lan),
	    T(peer_gave_up),
	    T(peer_died),
	    T(third_is_master),
	    T(own_lan_lost),
	    T(asked),
	    T(asks),
	    T(owner_asks),
	    T(carp_asks),
	    T(group_waits),
	    T(peer_has_it_no_more),
	    T(group_without_a_member),
	    T(group_without_a_member_since),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
