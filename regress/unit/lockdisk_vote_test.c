/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vote on a lock disk, explored in full: two nodes, every interleaving of
 * their reads and writes, crashes and failing writes at every point.  And the
 * two copies of a slot, under a reader that is slower than the writer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "lockdisk_vote.h"

enum { N = 2, EPOCHS = 3, STACK = 1 << 16, TABLE = 1 << 24 };

enum io { IO_NONE, IO_READ, IO_WRITE, IO_WRITING, IO_WAIT };

/* As small as it can be: it is kept once per state on the stack. */
struct side {
	struct ldv v;
	enum io io;
	uint8_t asks, crashes, errors;
	uint8_t asked; /* the highest epoch granted when this ask began */
	uint8_t denied; /* bitmap of epochs */
};

struct state {
	struct side side[N];
	/* What is on the disk, and what will be if the write arrives. */
	struct ld_slot disk[N], coming[N];
	struct ld_slot before[N]; /* for the reader that must not be */
	uint8_t granted[EPOCHS + 1]; /* bitmap of nodes */
	uint8_t top; /* highest epoch granted */
};

struct limits {
	uint8_t asks, crashes, errors, tries;
	uint8_t epochs[N][2]; /* what each node asks for, in this order */
	bool stale; /* readers may get what was there before */
};

struct search {
	struct limits l;
	uint64_t *seen; /* owned; hashes */
	struct state *stack; /* owned */
	size_t depth;
	uint64_t states, grants, denials, violations;
};

/*
 * What has no influence on the future makes no new state: numbers of writes
 * count from what is on the disk, and who is about to look knows nothing.
 */
static uint64_t
hash_of(const struct search *s, const struct state *from)
{
	struct state st = *from;

	for (unsigned i = 0; i < N; i++) {
		struct ldv *v = &st.side[i].v;
		uint64_t base = st.disk[i].seq;

		if (!s->l.stale)
			memset(&st.before[i], 0, sizeof(st.before[i]));
		if (v->phase == LDV_LOOK || v->phase == LDV_IDLE ||
		    v->phase == LDV_PAUSE) {
			memset(&v->own, 0, sizeof(v->own));
			v->ballot = 0;
		} else {
			v->own.seq -= base;
		}
		if (v->floor > 0)
			v->floor += 1000 - base;
		if (st.coming[i].seq > 0)
			st.coming[i].seq += 1000 - base;
		st.disk[i].seq = 0;
	}
	return XXH3_64bits(&st, sizeof(st)) | 1;
}

static bool
is_new(struct search *s, const struct state *st)
{
	uint64_t h = hash_of(s, st);

	for (size_t i = h % TABLE;; i = (i + 1) % TABLE) {
		if (s->seen[i] == h)
			return false;
		if (s->seen[i] == 0) {
			s->seen[i] = h;
			assert_true(++s->states < TABLE / 10 * 9);
			return true;
		}
	}
}

static void
push(struct search *s, const struct state *st)
{
	if (!is_new(s, st))
		return;
	assert_true(s->depth < STACK);
	s->stack[s->depth++] = *st;
}

static void
verdict(struct search *s, struct state *st, unsigned i)
{
	struct side *p = &st->side[i];
	uint64_t e = p->v.epoch;
	uint8_t me = (uint8_t)(1u << i);

	assert_int_not_equal(p->v.verdict, LDV_BROKEN);
	if (p->v.verdict == LDV_DENIED) {
		s->denials++;
		p->denied |= (uint8_t)(1u << e);
		/* Not to one that has it, and by no lower epoch. */
		if (st->granted[e] & me || p->v.holder_epoch < e ||
		    (p->v.holder_epoch == e && p->v.holder == 0))
			s->violations++;
		return;
	}
	s->grants++;
	st->granted[e] |= me;
	if (st->granted[e] != me || e < p->asked || p->denied >> e & 1)
		s->violations++;
	if (e > st->top)
		st->top = (uint8_t)e;
}

static void
next_ask(const struct search *s, struct state *st, unsigned i)
{
	struct side *p = &st->side[i];

	p->io = IO_NONE;
	if (p->asks == s->l.asks)
		return;
	p->asked = st->top;
	(void)ldv_ask(&p->v, s->l.epochs[i][p->asks++ % 2]);
	p->io = IO_READ;
}

static void
take(struct search *s, struct state *st, unsigned i, enum ldv_do what)
{
	struct side *p = &st->side[i];

	switch (what) {
	case LDV_READ:
		p->io = IO_READ;
		break;
	case LDV_WRITE:
		p->io = IO_WRITE;
		break;
	case LDV_WAIT:
		p->io = p->v.tries < s->l.tries ? IO_WAIT : IO_NONE;
		if (p->io == IO_NONE)
			ldv_stop(&p->v);
		break;
	case LDV_DONE:
		verdict(s, st, i);
		next_ask(s, st, i);
		break;
	}
}

/* The other's slot: what is there, what comes, and (stale) what was there. */
static void
step_read(struct search *s, const struct state *from, unsigned i)
{
	struct ld_slot slots[HAD_NODES_MAX];
	unsigned o = 1 - i;

	for (unsigned which = 0; which < 3; which++) {
		struct state st = *from;

		if (which == 1 && from->side[o].io != IO_WRITING)
			continue;
		if (which == 2 && !s->l.stale)
			continue;
		memset(slots, 0, sizeof(slots));
		for (unsigned n = 0; n < HAD_NODES_MAX; n++)
			slots[n].node = (uint8_t)(n + 1);
		slots[i] = from->disk[i];
		slots[o] = which == 0   ? from->disk[o]
			   : which == 1 ? from->coming[o]
					: from->before[o];
		take(s, &st, i, ldv_read(&st.side[i].v, slots));
		push(s, &st);
	}
}

static void
arrive(struct state *st, unsigned i)
{
	st->before[i] = st->disk[i];
	st->disk[i] = st->coming[i];
	memset(&st->coming[i], 0, sizeof(st->coming[i]));
}

static void
step_io(struct search *s, const struct state *from, unsigned i)
{
	struct state st = *from;
	struct side *p = &st.side[i];

	switch (p->io) {
	case IO_NONE:
		return;
	case IO_READ:
		step_read(s, from, i);
		return;
	case IO_WRITE:
		st.coming[i] = p->v.own;
		p->io = IO_WRITING;
		break;
	case IO_WRITING:
		arrive(&st, i);
		take(s, &st, i, ldv_wrote(&p->v));
		break;
	case IO_WAIT:
		take(s, &st, i, ldv_waited(&p->v));
		break;
	}
	push(s, &st);
}

/* It dies, or its write fails; what was under way arrives or does not. */
static void
step_fault(struct search *s, const struct state *from, unsigned i, bool crash)
{
	bool writing = from->side[i].io == IO_WRITING;

	if (from->side[i].io == IO_NONE || (!crash && !writing))
		return;
	for (unsigned arrives = 0; arrives <= writing; arrives++) {
		struct state st = *from;
		struct side *p = &st.side[i];

		if (arrives)
			arrive(&st, i);
		memset(&st.coming[i], 0, sizeof(st.coming[i]));
		/* The same epoch is asked for once more. */
		p->asks--;
		if (crash) {
			p->crashes++;
			ldv_init(&p->v, (uint8_t)(i + 1), p->crashes + 1u);
		} else {
			p->errors++;
			ldv_stop(&p->v);
		}
		next_ask(s, &st, i);
		push(s, &st);
	}
}

static void
explore(struct search *s, const struct limits *l)
{
	struct state st;

	memset(s, 0, sizeof(*s));
	memset(&st, 0, sizeof(st));
	s->l = *l;
	s->seen = calloc(TABLE, sizeof(*s->seen));
	s->stack = calloc(STACK, sizeof(*s->stack));
	assert_true(s->seen != NULL && s->stack != NULL);
	for (unsigned i = 0; i < N; i++) {
		ldv_init(&st.side[i].v, (uint8_t)(i + 1), 1);
		st.disk[i].node = st.before[i].node = (uint8_t)(i + 1);
	}
	for (unsigned i = 0; i < N; i++)
		next_ask(s, &st, i);
	push(s, &st);
	while (s->depth > 0) {
		st = s->stack[--s->depth];
		for (unsigned i = 0; i < N; i++) {
			step_io(s, &st, i);
			if (st.side[i].crashes < s->l.crashes)
				step_fault(s, &st, i, true);
			if (st.side[i].errors < s->l.errors)
				step_fault(s, &st, i, false);
		}
	}
	free(s->seen);
	free(s->stack);
	printf("# asks %u, crashes %u, errors %u, ballots %u%s: %llu states, "
	       "%llu grants, %llu denials, %llu violations\n",
	    l->asks, l->crashes, l->errors, l->tries,
	    l->stale ? ", stale reads" : "", (unsigned long long)s->states,
	    (unsigned long long)s->grants, (unsigned long long)s->denials,
	    (unsigned long long)s->violations);
}

static void
never_granted_to_two(void **state)
{
	static const struct limits all[] = {
	    {.asks = 2, .crashes = 0, .tries = 3, .epochs = {{1, 1}, {1, 1}}},
	    {.asks = 1,
		.crashes = 1,
		.errors = 1,
		.tries = 2,
		.epochs = {{1, 1}, {1, 1}}},
	    {.asks = 1, .crashes = 2, .tries = 2, .epochs = {{1, 1}, {1, 1}}},
	    {.asks = 2, .crashes = 1, .tries = 2, .epochs = {{1, 2}, {1, 2}}},
	    {.asks = 2, .crashes = 1, .tries = 2, .epochs = {{1, 2}, {2, 3}}},
	    {.asks = 2, .errors = 1, .tries = 2, .epochs = {{2, 1}, {1, 3}}},
	};
	struct search s;
	uint64_t states = 0;

	(void)state;
	for (unsigned i = 0; i < NITEMS(all); i++) {
		explore(&s, &all[i]);
		assert_int_equal(s.violations, 0);
		assert_true(s.grants > 0 && s.denials > 0);
		states += s.states;
	}
	printf("# %llu states in all\n", (unsigned long long)states);
}

/* The search finds what is wrong: caches would be. */
static void
stale_reads_are_caught(void **state)
{
	const struct limits l = {
	    .asks = 1, .tries = 2, .epochs = {{1, 1}, {1, 1}}, .stale = true};
	struct search s;

	(void)state;
	explore(&s, &l);
	assert_true(s.violations > 0);
}

/* Alone, it takes two looks and three writes; a second ask one look. */
static void
one_alone_is_granted(void **state)
{
	struct ld_slot slots[HAD_NODES_MAX] = {0};
	enum ldv_do what;
	unsigned reads = 0, writes = 0;
	struct ldv v;

	(void)state;
	ldv_init(&v, 2, 77);
	what = ldv_ask(&v, 9);
	while (what != LDV_DONE) {
		assert_int_not_equal(what, LDV_WAIT);
		if (what == LDV_READ) {
			reads++;
			what = ldv_read(&v, slots);
		} else {
			writes++;
			slots[1] = v.own;
			what = ldv_wrote(&v);
		}
	}
	assert_int_equal(v.verdict, LDV_GRANTED);
	assert_int_equal(reads, 3);
	assert_int_equal(writes, 3);
	assert_int_equal(slots[1].chosen, 2);
	assert_int_equal(slots[1].epoch, 9);
	/* Again, and after a restart: it stays granted. */
	assert_int_equal(ldv_ask(&v, 9), LDV_READ);
	assert_int_equal(ldv_read(&v, slots), LDV_DONE);
	assert_int_equal(v.verdict, LDV_GRANTED);
	ldv_init(&v, 2, 78);
	assert_int_equal(ldv_ask(&v, 9), LDV_READ);
	assert_int_equal(ldv_read(&v, slots), LDV_DONE);
	assert_int_equal(v.verdict, LDV_GRANTED);
	/* A lower one is denied, and so is another node; both are told. */
	assert_int_equal(ldv_ask(&v, 8), LDV_READ);
	assert_int_equal(ldv_read(&v, slots), LDV_DONE);
	assert_int_equal(v.verdict, LDV_DENIED);
	assert_int_equal(v.holder, 2);
	assert_int_equal(v.holder_epoch, 9);
	ldv_init(&v, 1, 5);
	assert_int_equal(ldv_ask(&v, 9), LDV_READ);
	assert_int_equal(ldv_read(&v, slots), LDV_DONE);
	assert_int_equal(v.verdict, LDV_DENIED);
	assert_int_equal(v.holder, 2);
	/* A higher one supersedes. */
	assert_int_equal(ldv_ask(&v, 10), LDV_READ);
	assert_int_equal(ldv_read(&v, slots), LDV_WRITE);
}

static void
what_must_not_be_is_refused(void **state)
{
	struct ld_slot slots[HAD_NODES_MAX] = {0};
	struct ldv v;

	(void)state;
	ldv_init(&v, 1, 7);
	assert_int_equal(ldv_ask(&v, 3), LDV_READ);
	assert_int_equal(ldv_read(&v, slots), LDV_WRITE);
	slots[0] = v.own;
	assert_int_equal(ldv_wrote(&v), LDV_READ);
	/* Somebody else writes into this node's slot. */
	slots[0].seq++;
	slots[0].incarnation = 8;
	assert_int_equal(ldv_read(&v, slots), LDV_DONE);
	assert_int_equal(v.verdict, LDV_BROKEN);
	assert_string_equal(v.why, "another daemon writes as this node");
	/* The disk is put back to what it was. */
	memset(slots, 0, sizeof(slots));
	assert_int_equal(ldv_ask(&v, 3), LDV_READ);
	assert_int_equal(ldv_read(&v, slots), LDV_DONE);
	assert_string_equal(v.why, "it shows an old state of this node's slot");
	/* Ends of numbers. */
	ldv_init(&v, 1, 7);
	slots[1].epoch = 3;
	slots[1].mbal = UINT64_MAX - 14;
	assert_int_equal(ldv_ask(&v, 3), LDV_READ);
	assert_int_equal(ldv_read(&v, slots), LDV_DONE);
	assert_string_equal(v.why, "there is no ballot left");
	slots[0].seq = UINT64_MAX;
	assert_int_equal(ldv_ask(&v, 3), LDV_READ);
	assert_int_equal(ldv_read(&v, slots), LDV_DONE);
	assert_string_equal(v.why, "there is no number left");
}

/* Two copies under a reader: contents are a seq, or torn. */
enum { TORN = -1, WRITES = 4, UNREAD = -2 };

struct copies {
	int8_t disk[2];
	int8_t done, begun; /* seq of the last write ended, begun */
	int8_t got[2][2]; /* the reading before, and this one */
	int8_t low; /* done when the reading that counts began */
	uint8_t crashes;
};

static enum ld_pick
pick(const int8_t got[2], bool stable)
{
	struct ld_slot a = {.seq = (uint64_t)got[0]},
		       b = {.seq = (uint64_t)got[1]};

	return ld_pick(
	    got[0] == TORN ? NULL : &a, got[1] == TORN ? NULL : &b, stable);
}

static void
copies_read(struct copies *c, unsigned which, unsigned *wrong)
{
	bool stable = memcmp(c->got[0], c->got[1], 2) == 0;
	enum ld_pick p;

	if (c->got[1][0] == UNREAD && c->got[1][1] == UNREAD &&
	    c->got[0][0] == UNREAD)
		c->low = c->done;
	c->got[1][which] = c->disk[which];
	if (c->got[1][0] == UNREAD || c->got[1][1] == UNREAD)
		return;
	stable = memcmp(c->got[0], c->got[1], 2) == 0;
	p = pick(c->got[1], stable);
	/* Tears all look the same here, so two may be taken for one: safe. */
	if (p == LD_PICK_BAD && (c->got[1][0] != TORN || c->got[1][1] != TORN))
		(*wrong)++;
	if (p == LD_PICK_A || p == LD_PICK_B) {
		int8_t seq = c->got[1][p == LD_PICK_A ? 0 : 1];

		if (seq < c->low || seq > c->begun)
			(*wrong)++;
	}
	memcpy(c->got[0], c->got[1], 2);
	if (p != LD_PICK_AGAIN)
		memset(c->got[0], UNREAD, 2);
	memset(c->got[1], UNREAD, 2);
}

static void
copies_explore(
    struct copies *stack, uint64_t *seen, size_t *states, unsigned *wrong)
{
	struct copies c = {.got = {{UNREAD, UNREAD}, {UNREAD, UNREAD}}};
	size_t depth = 0;

	stack[depth++] = c;
	while (depth > 0) {
		struct copies from = stack[--depth];
		uint64_t h = XXH3_64bits(&from, sizeof(from)) | 1;
		size_t at = h % (1 << 20);

		while (seen[at] != 0 && seen[at] != h)
			at = (at + 1) % (1 << 20);
		if (seen[at] == h)
			continue;
		seen[at] = h;
		(*states)++;
		for (unsigned which = 0; which < 2; which++) {
			c = from;
			if (c.got[1][which] != UNREAD)
				continue;
			copies_read(&c, which, wrong);
			stack[depth++] = c;
		}
		c = from;
		if (c.begun == c.done && c.done < WRITES) {
			c.begun++;
			c.disk[c.begun % 2] = TORN;
			stack[depth++] = c;
		} else if (c.begun > c.done) {
			c.done++;
			c.disk[c.done % 2] = c.done;
			stack[depth++] = c;
			/* Or the writer dies, and does it again. */
			c = from;
			if (c.crashes++ < 2) {
				c.begun = c.done;
				stack[depth++] = c;
			}
		}
		assert_true(depth + 4 < STACK);
	}
}

static void
a_slot_reads_as_written_last_or_newer(void **state)
{
	struct copies *stack = calloc(STACK, sizeof(*stack));
	uint64_t *seen = calloc(1 << 20, sizeof(*seen));
	size_t states = 0;
	unsigned wrong = 0;

	(void)state;
	copies_explore(stack, seen, &states, &wrong);
	printf("# copies: %zu states\n", states);
	assert_int_equal(wrong, 0);
	assert_true(states > 1000);
	free(stack);
	free(seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_alone_is_granted),
	    cmocka_unit_test(what_must_not_be_is_refused),
	    cmocka_unit_test(a_slot_reads_as_written_last_or_newer),
	    cmocka_unit_test(stale_reads_are_caught),
	    cmocka_unit_test(never_granted_to_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
