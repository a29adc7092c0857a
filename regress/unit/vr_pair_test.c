/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers: two nodes that are peers, on a LAN that loses adverts one
 * way or both and over a crossover that delivers what ops->tell says.  It is
 * measured how long both had the addresses, and how long none.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "vr.h"

enum {
	LAN_US = 200,
	CROSS_US = 1000, /* the crossover is the slower one */
	RELEASE_US = 300,
	REACH_MS = 100,
	QUEUE = 4096,
};

enum what { W_NONE, W_ADVERT, W_PEER, W_TOOK, W_RELEASED };

struct msg {
	enum what what;
	int64_t at, order;
	int to;
	struct vr_advert a;
	struct vr_peer p;
	uint32_t seq;
};

static struct node {
	struct vr *v;
	int64_t timer;
	bool held; /* clients are served by it, as far as it is up to it */
	bool dead;
	bool link, lan; /* link: the carrier; lan: others are reached */
	enum vr_life life; /* of the other, as told */
} nodes[2];

static struct msg queue[QUEUE];
static int64_t now, seqno, next_reach;
static bool lost[2]; /* adverts to this node */
static bool cut; /* the crossover */
static int64_t both_us, none_us; /* with the other's LAN in order */

static void
post(struct msg m, int64_t us)
{
	int i;

	for (i = 0; queue[i].what != W_NONE; i++)
		assert_true(i + 1 < QUEUE);
	m.at = now + us;
	m.order = seqno++;
	queue[i] = m;
}

static int
self(const void *ctx)
{
	return (int)((const struct node *)ctx - nodes);
}

static void
o_send(void *ctx, uint16_t id, const struct vr_advert *a)
{
	int to = !self(ctx);
	struct msg m = {.what = W_ADVERT, .to = to, .a = *a};

	assert_int_equal(id, 0);
	/* An advert is a word that the addresses are here. */
	assert_true(a->priority == 0 || nodes[!to].held);
	if (!lost[to] && nodes[0].lan && nodes[1].lan && nodes[0].link &&
	    nodes[1].link)
		post(m, LAN_US);
}

static void
o_flush(void *ctx)
{
	(void)ctx;
}

static void
o_take(void *ctx, uint16_t id, uint32_t seq)
{
	(void)id;
	nodes[self(ctx)].held = true;
	post((struct msg){.what = W_TOOK, .to = self(ctx), .seq = seq}, 1);
}

static void
o_release(void *ctx, uint16_t id, uint32_t seq)
{
	(void)id;
	post((struct msg){.what = W_RELEASED, .to = self(ctx), .seq = seq},
	    RELEASE_US);
}

static void
o_timer(void *ctx, monotime_t at)
{
	nodes[self(ctx)].timer = at.us;
}

static void
o_state(void *ctx, uint16_t id, enum vr_state from, enum vr_state to,
    const char *reason)
{
	(void)ctx, (void)id, (void)from, (void)to, (void)reason;
}

static void
o_tell(void *ctx, uint16_t id, const struct vr_peer *p)
{
	(void)id;
	if (!cut)
		post((struct msg){.what = W_PEER, .to = !self(ctx), .p = *p},
		    CROSS_US);
}

static void
o_conflict(void *ctx, uint16_t id, const uint8_t src[16])
{
	(void)ctx, (void)id, (void)src;
}

static void
o_gone(void *ctx, uint16_t id)
{
	(void)ctx, (void)id;
}

static void
o_done(void *ctx)
{
	(void)ctx;
}

static void
o_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx, (void)level, (void)rule, (void)object, (void)text;
}

static const struct vr_ops ops = {
    .send = o_send,
    .flush = o_flush,
    .take = o_take,
    .release = o_release,
    .timer = o_timer,
    .state = o_state,
    .tell = o_tell,
    .conflict = o_conflict,
    .gone = o_gone,
    .done = o_done,
    .note = o_note,
};

static void
step(int i, struct vr_event ev)
{
	if (nodes[i].dead)
		return;
	ev.now = (monotime_t){now};
	vr_step(nodes[i].v, &ev);
}

static void
deliver(struct msg *slot)
{
	struct msg m = *slot;
	struct node *n = &nodes[m.to];

	slot->what = W_NONE;
	if (n->dead)
		return;
	switch (m.what) {
	case W_ADVERT:
		step(m.to, (struct vr_event){
			       .type = VR_EV_ADVERT, .u.advert = {0, m.a}});
		break;
	case W_PEER:
		step(m.to,
		    (struct vr_event){.type = VR_EV_PEER, .u.peer = {0, m.p}});
		break;
	case W_TOOK:
		step(m.to, (struct vr_event){.type = VR_EV_TOOK,
			       .u.result = {0, m.seq, true, NULL}});
		break;
	default:
		/* Unless it was taken again meanwhile. */
		if (vr_state(n->v, 0) != VR_ACTIVE)
			n->held = false;
		step(m.to, (struct vr_event){.type = VR_EV_RELEASED,
			       .u.result = {0, m.seq, true, NULL}});
		break;
	}
}

/* What the nodes tell each other anyway, and about their links. */
static void
reach(void)
{
	struct vr_peer p;
	int i;

	for (i = 0; i < 2 && !cut; i++) {
		if (nodes[!i].dead && nodes[i].life == VR_PEER_ALIVE)
			continue;
		step(i,
		    (struct vr_event){.type = VR_EV_REACH,
			.u.reach = {0,
			    {nodes[i].life, nodes[i].lan && nodes[i].link,
				nodes[!i].lan && nodes[!i].link, true, true}}});
		if (nodes[!i].dead)
			continue;
		vr_told(nodes[!i].v, 0, &p);
		post((struct msg){.what = W_PEER, .to = i, .p = p}, CROSS_US);
	}
}

static bool
serves(int i)
{
	return nodes[i].held && nodes[i].link && nodes[i].lan && !nodes[i].dead;
}

static void
pass(int64_t to)
{
	if (serves(0) && serves(1))
		both_us += to - now;
	if (!serves(0) && !serves(1))
		none_us += to - now;
	now = to;
}

/* The next thing that happens at or before until. */
static bool
next(int64_t until)
{
	struct msg *m = NULL;
	int64_t best = next_reach;
	int i, who = -1;

	for (i = 0; i < QUEUE; i++)
		if (queue[i].what != W_NONE &&
		    (queue[i].at < best || (m != NULL && queue[i].at == best &&
					       queue[i].order < m->order))) {
			best = queue[i].at;
			m = &queue[i];
		}
	for (i = 0; i < 2; i++)
		if (!nodes[i].dead && nodes[i].timer < best) {
			best = nodes[i].timer;
			who = i;
		}
	if (best > until)
		return false;
	pass(best > now ? best : now);
	if (who >= 0) {
		nodes[who].timer = INT64_MAX;
		step(who, (struct vr_event){.type = VR_EV_TIMER});
	} else if (m != NULL) {
		deliver(m);
	} else {
		next_reach += REACH_MS * 1000;
		reach();
	}
	return true;
}

static void
run(int64_t ms)
{
	while (next(ms * 1000))
		;
	pass(ms * 1000);
}

static void
boot(int i)
{
	step(i, (struct vr_event){
		    .type = VR_EV_START, .u.start = {(uint64_t)i + 1}});
}

/* Node 0 has priority p0 and 192.0.2.1, node 1 p1 and .2; 1 s, preempting. */
static void
world(uint8_t p0, uint8_t p1, uint32_t interval_ms)
{
	int i;

	memset(queue, 0, sizeof(queue));
	now = seqno = next_reach = 0;
	lost[0] = lost[1] = cut = false;
	for (i = 0; i < 2; i++) {
		struct vr_router_conf c = {
		    .name = "a",
		    .vrid = 1,
		    .family = 4,
		    .proto = VR_VRRP3,
		    .preempt = true,
		    .priority = i ? p1 : p0,
		    .interval_ms = interval_ms,
		    .own_addr = {192, 0, 2, (uint8_t)(i + 1)},
		};
		struct vr_conf conf = {&c, 1, 100, 500};

		nodes[i] = (struct node){.timer = INT64_MAX,
		    .link = true,
		    .lan = true,
		    .life = VR_PEER_ALIVE};
		nodes[i].v = vr_new(&conf, &ops, &nodes[i]);
		assert_non_null(nodes[i].v);
	}
	boot(0);
	boot(1);
	both_us = none_us = 0;
}

static int
end(void **state)
{
	(void)state;
	vr_free(nodes[0].v);
	vr_free(nodes[1].v);
	return 0;
}

/* From here on: who holds, both 0, none at most. */
static void
settle(int holder)
{
	run(now / 1000 + 8000);
	assert_int_equal(vr_state(nodes[holder].v, 0), VR_ACTIVE);
	assert_int_equal(vr_state(nodes[!holder].v, 0), VR_BACKUP);
	both_us = none_us = 0;
}

static void
check(int holder, int64_t none_max_us)
{
	run(now / 1000 + 30000);
	assert_true(nodes[holder].held);
	assert_false(nodes[!holder].held && !nodes[!holder].dead);
	assert_int_equal(both_us, 0);
	if (none_us > none_max_us)
		print_error("none for %lld us\n", (long long)none_us);
	assert_true(none_us <= none_max_us);
}

static void
link_is(int i, bool up)
{
	nodes[i].link = up;
	step(i, (struct vr_event){.type = VR_EV_LINK, .u.link = {0, up}});
}

static void
starts(void **state)
{
	(void)state;
	world(150, 100, 1000);
	run(20000);
	assert_int_equal(vr_state(nodes[0].v, 0), VR_ACTIVE);
	assert_int_equal(both_us, 0);
}

/* No advert gets through from the first moment on: still one. */
static void
starts_deaf(void **state)
{
	(void)state;
	world(100, 150, 1000);
	lost[0] = lost[1] = true;
	run(60000);
	assert_int_equal(vr_state(nodes[1].v, 0), VR_ACTIVE);
	assert_int_equal(vr_state(nodes[0].v, 0), VR_BACKUP);
	assert_int_equal(both_us, 0);
	assert_true(none_us < 4000000);
}

static void
lost_one_way(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		world(150, 100, 1000);
		settle(0);
		lost[0] = i != 0;
		lost[1] = i != 1;
		check(0, 0);
		lost[0] = lost[1] = false;
		check(0, 0);
		if (i < 2)
			end(NULL);
	}
}

/* Carrier of the holder's LAN: a hand-over by the crossover, and back. */
static void
link_lost(void **state)
{
	(void)state;
	world(150, 100, 1000);
	settle(0);
	link_is(0, false);
	check(1, RELEASE_US + CROSS_US);
	/* It comes back, is better, and asks for it. */
	none_us = 0;
	link_is(0, true);
	check(0, RELEASE_US + CROSS_US);
}

/* The LAN is cut behind the switch, all carriers are there. */
static void
lan_cut(void **state)
{
	(void)state;
	world(150, 100, 1000);
	settle(0);
	nodes[0].lan = false;
	reach();
	check(1, RELEASE_US + CROSS_US);
	none_us = 0;
	nodes[0].lan = true;
	check(0, RELEASE_US + CROSS_US);
}

static void
planned(void **state)
{
	(void)state;
	world(150, 100, 1000);
	settle(0);
	step(0, (struct vr_event){
		    .type = VR_EV_ORDER, .u.order = {0, VR_ORDER_RELEASE, 0}});
	check(1, RELEASE_US + CROSS_US);
	/* And it does not take it back. */
	check(1, RELEASE_US + CROSS_US);
}

/* What is certain is not waited for. */
static void
dies(void **state)
{
	(void)state;
	world(150, 100, 1000);
	settle(0);
	nodes[0].dead = true;
	run(now / 1000 + 20);
	nodes[1].life = VR_PEER_DEAD;
	reach();
	check(1, 20 * 1000);
}

/* Nothing is certain: then the protocol's time goes by. */
static void
vanishes(void **state)
{
	(void)state;
	world(150, 100, 1000);
	settle(0);
	nodes[0].dead = cut = true;
	check(1, 3610 * 1000);
}

/* The LAN alone is enough, and the crossover's return changes nothing. */
static void
crossover_cut(void **state)
{
	(void)state;
	world(150, 100, 1000);
	settle(0);
	cut = true;
	check(0, 0);
	cut = false;
	check(0, 0);
}

static uint64_t rng;

static unsigned
draw(unsigned n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned)(rng >> 20) % n;
}

static void
mishap(void)
{
	int i = (int)draw(2);

	switch (draw(5)) {
	case 0:
		lost[i] = !lost[i];
		break;
	case 1:
		link_is(i, !nodes[i].link);
		break;
	case 2:
		nodes[i].lan = !nodes[i].lan;
		reach();
		break;
	case 3:
		step(i,
		    (struct vr_event){.type = VR_EV_ORDER,
			.u.order = {0,
			    draw(2) ? VR_ORDER_RELEASE : VR_ORDER_RESUME, 0}});
		break;
	default:
		if (draw(4) == 0)
			step(i, (struct vr_event){
				    .type = VR_EV_GAP, .u.gap = {150}});
		break;
	}
}

/*
 * Anything but a cut of the crossover, in any order: two speak only as long as
 * a word takes to cross; and when all is well again, one has it.
 */
static void
chaos(void **state)
{
	int64_t worst = 0;
	int seed, k;

	(void)state;
	for (seed = 1; seed <= 300; seed++) {
		rng = (uint64_t)seed * UINT64_C(0x9e3779b97f4a7c15);
		world((uint8_t)(90 + draw(3) * 10), 100, 100);
		for (k = 0; k < 60; k++) {
			both_us = 0;
			run(now / 1000 + 1 + draw(draw(2) ? 10 : 900));
			mishap();
			if (both_us > worst)
				worst = both_us;
		}
		lost[0] = lost[1] = false;
		for (k = 0; k < 2; k++) {
			nodes[k].lan = true;
			if (!nodes[k].link)
				link_is(k, true);
		}
		reach();
		run(now / 1000 + 2000);
		both_us = none_us = 0;
		run(now / 1000 + 3000);
		if (none_us != 0 || both_us != 0)
			print_error("seed %d\n", seed);
		assert_int_equal(none_us, 0);
		assert_int_equal(both_us, 0);
		if (seed < 300)
			end(NULL);
	}
	print_message("both for %lld us at most\n", (long long)worst);
	assert_true(worst <= 2 * CROSS_US + RELEASE_US);
}

#define T(f) cmocka_unit_test_teardown(f, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(starts),
	    T(starts_deaf),
	    T(lost_one_way),
	    T(link_lost),
	    T(lan_cut),
	    T(planned),
	    T(dies),
	    T(vanishes),
	    T(crossover_cut),
	    T(chaos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
