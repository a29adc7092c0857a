/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared addresses: two cores, their guards and the words between them, in
 * virtual milliseconds.  At no time may both guards let one bucket through,
 * and when all is quiet each has a server.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "share.h"

enum { NODES = 2, WORDS = 64, LEASE_MS = 30, DEAD_MS = 50, RETRY_MS = 40 };
#define LOW UINT64_C(0x00000000ffffffff)
#define HIGH UINT64_C(0xffffffff00000000)

struct host {
	struct world *w;
	unsigned me;
	struct share *s; /* owned; NULL: dead */
	uint64_t incarnation;
	struct share_view view; /* as told last */
	/* The guard. */
	uint64_t buckets;
	bool vouched, guard_fails, applies; /* in spite of the failure */
	int64_t lease_until;
	bool frozen, stopped;
	bool serving; /* SERVED is due */
	uint32_t seq;
	bool ok;
	int64_t served_at, timer;
	/* Words on their way to this node. */
	struct share_word words[WORDS];
	int64_t word_at[WORDS];
	unsigned head, n;
	unsigned said, serves;
	uint8_t good;
};

struct world {
	int64_t now;
	struct host h[NODES];
	uint32_t random;
	bool cut, jitter;
	unsigned empty_ms; /* a bucket without a server */
};

static uint32_t
rnd(struct world *w, uint32_t n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 17;
	w->random ^= w->random << 5;
	return w->random % n;
}

static void
op_serve(void *ctx, uint32_t seq, uint64_t buckets)
{
	struct host *h = ctx;

	assert_false(h->serving);
	h->serves++;
	h->serving = true;
	h->seq = seq;
	h->ok = !h->guard_fails;
	if (h->ok || h->applies)
		h->buckets = buckets;
	h->served_at = h->w->now + (h->w->jitter ? rnd(h->w, 3) : 0);
}

static void
op_vouch(void *ctx, bool on)
{
	struct host *h = ctx;

	assert_int_not_equal(h->vouched, on);
	h->vouched = on;
	h->lease_until = on ? h->w->now + LEASE_MS : 0;
}

static void
op_say(void *ctx, const struct share_word *word)
{
	struct host *h = ctx, *to = &h->w->h[1 - h->me];
	unsigned at = (to->head + to->n) % WORDS;
	uint8_t bytes[SHARE_WIRE_LEN];
	const char *why;

	h->said++;
	/* Nothing may be served that was not announced. */
	assert_int_equal(h->buckets & ~word->bound, 0);
	if (h->w->cut || to->s == NULL)
		return;
	assert_true(to->n < WORDS);
	share_wire_put(bytes, word);
	assert_int_equal(
	    share_wire_get(&to->words[at], bytes, sizeof(bytes), &why), 0);
	to->word_at[at] = h->w->now + 1 + (h->w->jitter ? rnd(h->w, 8) : 0);
	to->n++;
}

static void
op_timer(void *ctx, monotime_t at)
{
	((struct host *)ctx)->timer = at.us;
}

static void
op_done(void *ctx)
{
	((struct host *)ctx)->stopped = true;
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	struct host *h = ctx;

	(void)level, (void)rule, (void)object;
	if (getenv("NOTES") != NULL)
		printf("%6lld %u %s\n", (long long)h->w->now, h->me, text);
}

static const struct share_ops ops = {
    .serve = op_serve,
    .vouch = op_vouch,
    .say = op_say,
    .timer = op_timer,
    .done = op_done,
    .note = op_note,
};

static void
step(struct host *h, struct share_event *e)
{
	e->now = (monotime_t){h->w->now * 1000};
	share_step(h->s, e);
}

static void
simple(struct host *h, enum share_ev type)
{
	struct share_event e = {.type = type};

	step(h, &e);
}

static void
see(struct host *h, bool right, enum share_life life)
{
	struct share_event e = {.type = SHARE_EV_VIEW};

	h->view = (struct share_view){
	    right, life, h->w->h[1 - h->me].incarnation, h->good};
	e.u.view = h->view;
	if (h->s != NULL)
		step(h, &e);
}

static void
born(struct world *w, unsigned i)
{
	struct share_event e = {.type = SHARE_EV_START};
	struct share_conf c = {i == 0 ? LOW : HIGH, RETRY_MS};
	struct host *h = &w->h[i];
	uint64_t incarnation = h->incarnation + 1;

	memset(h, 0, sizeof(*h));
	h->w = w;
	h->me = i;
	h->incarnation = incarnation;
	h->timer = INT64_MAX;
	h->good = 1;
	h->s = share_new(&c, &ops, h);
	assert_non_null(h->s);
	e.u.start.seed = (uint32_t)(incarnation * 7919 + i);
	step(h, &e);
}

static void
dies(struct host *h)
{
	share_free(h->s);
	h->s = NULL;
	h->buckets = 0;
	h->vouched = h->serving = false;
	/* The envelope of a message names the daemon: later it is refused. */
	h->n = h->w->h[1 - h->me].n = 0;
}

static uint64_t
open_of(const struct host *h)
{
	return h->vouched && h->w->now < h->lease_until ? h->buckets : 0;
}

static void
turn(struct host *h)
{
	struct share_event e = {.type = SHARE_EV_SERVED};

	if (h->s == NULL || h->frozen)
		return;
	if (h->serving && h->served_at <= h->w->now) {
		h->serving = false;
		e.u.served.seq = h->seq;
		e.u.served.ok = h->ok;
		step(h, &e);
	}
	while (h->n > 0 && h->word_at[h->head] <= h->w->now) {
		e.type = SHARE_EV_WORD;
		e.u.word = h->words[h->head];
		h->head = (h->head + 1) % WORDS;
		h->n--;
		step(h, &e);
	}
	if (h->timer != INT64_MAX && h->timer <= h->w->now * 1000) {
		h->timer = INT64_MAX;
		simple(h, SHARE_EV_TIMER);
	}
	if (h->vouched && h->w->now % 10 == 0)
		h->lease_until = h->w->now + LEASE_MS;
}

static void
judge(struct world *w)
{
	uint64_t a = open_of(&w->h[0]), b = open_of(&w->h[1]);

	assert_int_equal(a & b, 0);
	if ((a | b) != SHARE_EVERY)
		w->empty_ms++;
}

static void
run(struct world *w, unsigned ms)
{
	while (ms-- > 0) {
		w->now++;
		for (unsigned i = 0; i < NODES; i++) {
			turn(&w->h[i]);
			judge(w);
		}
	}
}

static struct world *
world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->now = 1000;
	w->random = 1;
	born(w, 0);
	born(w, 1);
	return w;
}

static void
world_free(struct world *w)
{
	share_free(w->h[0].s);
	share_free(w->h[1].s);
	free(w);
}

static void
pair(struct world *w)
{
	see(&w->h[0], true, SHARE_PEER_ALIVE);
	see(&w->h[1], true, SHARE_PEER_ALIVE);
}

static struct world *
paired(void)
{
	struct world *w = world_new();

	run(w, 20);
	pair(w);
	run(w, 20);
	assert_true(open_of(&w->h[0]) == LOW);
	assert_true(open_of(&w->h[1]) == HIGH);
	w->empty_ms = 0;
	return w;
}

static enum share_state
state(const struct host *h)
{
	struct share_status st;

	share_status(h->s, &st);
	return st.state;
}

static void
test_nothing_without_right(void **unused)
{
	struct world *w = world_new();

	(void)unused;
	run(w, 100);
	assert_int_equal(w->h[0].buckets | w->h[1].buckets, 0);
	assert_false(w->h[0].vouched);
	assert_int_equal(state(&w->h[0]), SHARE_WAITING);
	/* One that may act does not know what the other does. */
	see(&w->h[0], true, SHARE_PEER_UNKNOWN);
	run(w, 100);
	assert_int_equal(state(&w->h[0]), SHARE_ASKING);
	assert_int_equal(w->h[0].buckets, 0);
	world_free(w);
}

static void
test_each_its_half(void **unused)
{
	struct world *w = paired();
	unsigned said = w->h[0].said + w->h[1].said;

	(void)unused;
	assert_int_equal(state(&w->h[0]), SHARE_SHARING);
	run(w, 1000);
	/* All is said: they are quiet. */
	assert_int_equal(w->h[0].said + w->h[1].said, said);
	assert_int_equal(w->empty_ms, 0);
	assert_true(w->h[0].timer == INT64_MAX);
	world_free(w);
}

static void
test_death_and_return(void **unused)
{
	struct world *w = paired();
	unsigned serves = w->h[0].serves;

	(void)unused;
	dies(&w->h[1]);
	run(w, 5);
	see(&w->h[0], true, SHARE_PEER_DEAD);
	run(w, 2);
	/* One order moved all of it. */
	assert_int_equal(w->h[0].serves, serves + 1);
	assert_int_equal(state(&w->h[0]), SHARE_WHOLE);
	assert_true(open_of(&w->h[0]) == SHARE_EVERY);
	born(w, 1);
	run(w, 50);
	assert_true(open_of(&w->h[0]) == SHARE_EVERY);
	w->empty_ms = 0;
	pair(w);
	run(w, 20);
	assert_true(open_of(&w->h[0]) == LOW);
	assert_true(open_of(&w->h[1]) == HIGH);
	/* Given up, said, taken: as long as one message is on its way. */
	assert_true(w->empty_ms <= 6);
	world_free(w);
}

/* The survivor serves all until the other can, however slow that one is. */
static void
test_survivor_waits_for_a_word(void **unused)
{
	struct world *w = paired();

	(void)unused;
	dies(&w->h[1]);
	see(&w->h[0], true, SHARE_PEER_DEAD);
	born(w, 1);
	see(&w->h[0], true, SHARE_PEER_ALIVE);
	w->empty_ms = 0;
	run(w, 300);
	assert_int_equal(w->empty_ms, 0);
	assert_int_equal(state(&w->h[0]), SHARE_WHOLE);
	see(&w->h[1], true, SHARE_PEER_ALIVE);
	run(w, 20);
	assert_int_equal(state(&w->h[0]), SHARE_SHARING);
	assert_int_equal(state(&w->h[1]), SHARE_SHARING);
	world_free(w);
}

/* It learns of it by its lease, by membership, or by both. */
static void
thaw(struct host *h, unsigned how)
{
	h->frozen = false;
	if (how != 1)
		simple(h, SHARE_EV_LAPSED);
	if (how != 2)
		see(h, false, SHARE_PEER_UNKNOWN);
}

/*
 * Frozen with an old answer of the peer unread: that one is no answer after
 * the thaw.
 */
static void
old_answer_is_void(unsigned how)
{
	struct world *w = paired();

	w->h[1].frozen = true;
	simple(&w->h[0], SHARE_EV_HELLO);
	run(w, DEAD_MS);
	see(&w->h[0], true, SHARE_PEER_DEAD);
	run(w, 10);
	assert_true(open_of(&w->h[0]) == SHARE_EVERY);
	thaw(&w->h[1], how);
	/* It may act again before the other knows of it. */
	if (how != 2)
		see(&w->h[1], true, SHARE_PEER_ALIVE);
	run(w, 1);
	assert_int_equal(open_of(&w->h[1]), 0);
	run(w, 100);
	/* A word of a dead one changes nothing. */
	assert_true(open_of(&w->h[0]) == SHARE_EVERY);
	w->empty_ms = 0;
	/* Nor does an old one of somebody who has come back. */
	w->cut = true;
	see(&w->h[0], true, SHARE_PEER_ALIVE);
	run(w, 10);
	assert_int_equal(w->empty_ms, 0);
	w->cut = false;
	run(w, 100);
	assert_true(open_of(&w->h[0]) == LOW);
	assert_true(open_of(&w->h[1]) == HIGH);
	world_free(w);
}

static void
test_old_answer_is_void(void **unused)
{
	(void)unused;
	for (unsigned how = 0; how < 3; how++)
		old_answer_is_void(how);
}

/* Its guard is emptied before it is opened again. */
static void
test_lapse_empties_first(void **unused)
{
	struct world *w = paired();

	(void)unused;
	see(&w->h[0], true, SHARE_PEER_DEAD);
	dies(&w->h[1]);
	run(w, 2);
	w->h[0].guard_fails = true;
	simple(&w->h[0], SHARE_EV_LAPSED);
	assert_false(w->h[0].vouched);
	run(w, 3 * RETRY_MS);
	assert_false(w->h[0].vouched);
	assert_true(w->h[0].serves >= 3);
	w->h[0].guard_fails = false;
	run(w, 2 * RETRY_MS);
	assert_true(open_of(&w->h[0]) == SHARE_EVERY);
	world_free(w);
}

/* What could not be given up is not given to the other. */
static void
test_failed_guard_keeps_its_share(void **unused)
{
	struct world *w = paired();

	(void)unused;
	dies(&w->h[1]);
	see(&w->h[0], true, SHARE_PEER_DEAD);
	run(w, 2);
	born(w, 1);
	w->h[0].guard_fails = true;
	pair(w);
	run(w, 5 * RETRY_MS);
	assert_true(open_of(&w->h[0]) == SHARE_EVERY);
	assert_int_equal(open_of(&w->h[1]), 0);
	w->h[0].guard_fails = false;
	run(w, 2 * RETRY_MS);
	assert_true(open_of(&w->h[0]) == LOW);
	assert_true(open_of(&w->h[1]) == HIGH);
	world_free(w);
}

static void
test_planned_stop(void **unused)
{
	struct world *w = paired();

	(void)unused;
	simple(&w->h[0], SHARE_EV_STOP);
	run(w, 10);
	assert_true(w->h[0].stopped);
	assert_int_equal(state(&w->h[0]), SHARE_STOPPED);
	assert_true(open_of(&w->h[1]) == SHARE_EVERY);
	assert_true(w->empty_ms <= 5);
	world_free(w);
}

static void
test_stop_in_spite_of_the_guard(void **unused)
{
	struct world *w = paired();

	(void)unused;
	w->h[0].guard_fails = true;
	simple(&w->h[0], SHARE_EV_STOP);
	run(w, 5);
	assert_true(w->h[0].stopped);
	assert_int_equal(open_of(&w->h[0]), 0);
	world_free(w);
}

/* Its cable is out: the other takes its half, and gives it back. */
static void
test_worse_network(void **unused)
{
	struct world *w = paired();

	(void)unused;
	w->h[1].good = 0;
	see(&w->h[1], true, SHARE_PEER_ALIVE);
	run(w, 20);
	assert_true(open_of(&w->h[0]) == SHARE_EVERY);
	assert_int_equal(state(&w->h[1]), SHARE_ASKING);
	/* Both out: it makes no difference, each has its half. */
	w->h[0].good = 0;
	see(&w->h[0], true, SHARE_PEER_ALIVE);
	run(w, 20);
	assert_true(open_of(&w->h[1]) == HIGH);
	w->h[0].good = w->h[1].good = 1;
	pair(w);
	run(w, 20);
	assert_true(open_of(&w->h[0]) == LOW);
	assert_true(open_of(&w->h[1]) == HIGH);
	/* Alone it serves in any case. */
	w->h[1].good = 0;
	dies(&w->h[0]);
	see(&w->h[1], true, SHARE_PEER_DEAD);
	run(w, 5);
	assert_true(open_of(&w->h[1]) == SHARE_EVERY);
	world_free(w);
}

static void
test_words_lost(void **unused)
{
	struct world *w = world_new();

	(void)unused;
	w->cut = true;
	pair(w);
	run(w, 3 * RETRY_MS);
	assert_int_equal(open_of(&w->h[0]) | open_of(&w->h[1]), 0);
	w->cut = false;
	simple(&w->h[0], SHARE_EV_HELLO);
	simple(&w->h[1], SHARE_EV_HELLO);
	run(w, 20);
	assert_true(open_of(&w->h[0]) == LOW);
	assert_true(open_of(&w->h[1]) == HIGH);
	/* Nor does it take the HELLO: what has no answer is asked again. */
	w->cut = true;
	see(&w->h[0], false, SHARE_PEER_UNKNOWN);
	run(w, 10);
	see(&w->h[0], true, SHARE_PEER_ALIVE);
	run(w, 10);
	w->cut = false;
	run(w, 3 * RETRY_MS);
	assert_true(open_of(&w->h[0]) == LOW);
	assert_true(open_of(&w->h[1]) == HIGH);
	world_free(w);
}

/* A silent peer is not dead: what it had stays its own. */
static void
test_silent_peer(void **unused)
{
	struct world *w = paired();

	(void)unused;
	see(&w->h[0], true, SHARE_PEER_UNKNOWN);
	run(w, 200);
	assert_true(open_of(&w->h[0]) == LOW);
	see(&w->h[0], true, SHARE_PEER_ALIVE);
	run(w, 20);
	assert_int_equal(w->empty_ms, 0);
	world_free(w);
}

/* Anything, in any order; then peace. */

static void
mend(struct world *w)
{
	for (unsigned i = 0; i < NODES; i++) {
		struct host *h = &w->h[i];

		h->guard_fails = false;
		if (h->frozen)
			thaw(h, 0);
		if (h->s != NULL && h->stopped)
			dies(h);
		if (h->s == NULL)
			born(w, i);
		h->good = 1;
	}
	if (w->cut) {
		w->cut = false;
		simple(&w->h[0], SHARE_EV_HELLO);
		simple(&w->h[1], SHARE_EV_HELLO);
	}
}

static void
fault(struct world *w)
{
	unsigned i = rnd(w, NODES);
	struct host *h = &w->h[i], *o = &w->h[1 - i];

	/* The other is always one that acts: two faults are none. */
	switch (rnd(w, 9)) {
	case 0: /* dies, and its peer learns of it sooner or later */
		dies(h);
		run(w, rnd(w, DEAD_MS));
		see(o, true, SHARE_PEER_DEAD);
		run(w, rnd(w, 30));
		born(w, i);
		break;
	case 1: /* freezes, for long */
		h->frozen = true;
		run(w, DEAD_MS + rnd(w, 20));
		see(o, true, SHARE_PEER_DEAD);
		run(w, rnd(w, 30));
		thaw(h, rnd(w, 3));
		break;
	case 2: /* or for a moment */
		h->frozen = true;
		run(w, rnd(w, LEASE_MS / 2));
		h->frozen = false;
		break;
	case 3:
		h->good = (uint8_t)rnd(w, 2);
		see(h, h->view.right, h->view.life);
		break;
	case 4: /* a connection breaks: what is under way is lost */
		w->cut = true;
		h->n = o->n = 0;
		run(w, rnd(w, 30));
		w->cut = false;
		simple(h, SHARE_EV_HELLO);
		simple(o, SHARE_EV_HELLO);
		break;
	case 5:
		h->guard_fails = !h->guard_fails;
		h->applies = rnd(w, 2) == 0;
		break;
	case 6:
		simple(h, SHARE_EV_STOP);
		run(w, rnd(w, 20));
		dies(h);
		run(w, rnd(w, 10));
		see(o, true, SHARE_PEER_DEAD);
		run(w, rnd(w, 10));
		born(w, i);
		break;
	case 7:
		see(h, true, SHARE_PEER_UNKNOWN);
		run(w, rnd(w, 20));
		break;
	case 8: /* is cut off, and stands back */
		see(h, false, SHARE_PEER_UNKNOWN);
		run(w, rnd(w, 20));
		see(o, true, SHARE_PEER_DEAD);
		run(w, rnd(w, 20));
		break;
	}
	run(w, rnd(w, 10));
	if (rnd(w, 2) == 0)
		see(h, true, SHARE_PEER_ALIVE);
	else
		see(o, true, SHARE_PEER_ALIVE);
	run(w, rnd(w, 6));
	pair(w);
	run(w, rnd(w, 30));
}

static void
test_random_histories(void **unused)
{
	(void)unused;
	for (uint32_t seed = 1; seed <= 1000; seed++) {
		struct world *w = world_new();

		w->random = seed * 2654435761u;
		w->jitter = true;
		pair(w);
		for (unsigned k = 0; k < 40; k++)
			fault(w);
		mend(w);
		pair(w);
		run(w, 4 * RETRY_MS);
		if (open_of(&w->h[0]) != LOW || open_of(&w->h[1]) != HIGH)
			fail_msg("seed %u: %016llx %016llx", seed,
			    (unsigned long long)open_of(&w->h[0]),
			    (unsigned long long)open_of(&w->h[1]));
		world_free(w);
	}
}

/* The words' bytes. */

static const struct share_word word = {.seq = 0x01020304,
    .ask = 5,
    .answer = 6,
    .good = 2,
    .again = true,
    .bound = LOW,
    .want = UINT64_C(0x8000000000000001)};
static const uint8_t golden[SHARE_WIRE_LEN] = {4, 3, 2, 1, 5, 0, 0, 0, 6, 0, 0,
    0, 2, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
    0x80};

static void
test_golden(void **unused)
{
	uint8_t bytes[SHARE_WIRE_LEN];
	struct share_word back;
	const char *why;

	(void)unused;
	share_wire_put(bytes, &word);
	assert_memory_equal(bytes, golden, sizeof(bytes));
	assert_int_equal(share_wire_get(&back, bytes, sizeof(bytes), &why), 0);
	assert_int_equal(back.seq, word.seq);
	assert_int_equal(back.good, 2);
	assert_true(back.again && back.bound == word.bound);
	assert_true(back.want == word.want && back.answer == 6);
}

static void
refused(unsigned at, uint8_t value, size_t len, const char *text)
{
	uint8_t bytes[SHARE_WIRE_LEN];
	struct share_word back;
	const char *why = "";

	memcpy(bytes, golden, sizeof(bytes));
	bytes[0] = 0;
	bytes[at] = value;
	assert_int_equal(share_wire_get(&back, bytes, len, &why), -1);
	assert_non_null(strstr(why, text));
}

static void
test_refusals(void **unused)
{
	uint8_t bytes[SHARE_WIRE_LEN] = {0};
	struct share_word back;
	const char *why = "";

	(void)unused;
	refused(13, 2, SHARE_WIRE_LEN, "unknown fields");
	refused(14, 1, SHARE_WIRE_LEN, "unknown fields");
	refused(15, 1, SHARE_WIRE_LEN, "unknown fields");
	refused(0, 1, SHARE_WIRE_LEN - 1, "length");
	assert_int_equal(share_wire_get(&back, bytes, sizeof(bytes), &why), -1);
	assert_non_null(strstr(why, "without a number"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_without_right),
	    cmocka_unit_test(test_each_its_half),
	    cmocka_unit_test(test_death_and_return),
	    cmocka_unit_test(test_survivor_waits_for_a_word),
	    cmocka_unit_test(test_old_answer_is_void),
	    cmocka_unit_test(test_lapse_empties_first),
	    cmocka_unit_test(test_failed_guard_keeps_its_share),
	    cmocka_unit_test(test_planned_stop),
	    cmocka_unit_test(test_stop_in_spite_of_the_guard),
	    cmocka_unit_test(test_worse_network),
	    cmocka_unit_test(test_words_lost),
	    cmocka_unit_test(test_silent_peer),
	    cmocka_unit_test(test_random_histories),
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
