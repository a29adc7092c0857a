/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every schedule of a small world, not a sample: two nodes, one or two
 * resources, three locks, every order of requests, conversions, cancels,
 * messages, a broken association and the death of a node, to a depth.  Paths
 * that come to a state that was seen are cut.  In every state: I3 and tokens
 * (by the world), and after everything on the way has arrived, nobody waits
 * who could be granted; when all let go, nothing is left.
 */
#define W_ANS 64
#define W_LOCKS 4
#define W_QUEUE 128
#include "lock_world.h"

#ifdef __SANITIZE_ADDRESS__
#define LESS 1 /* ten times slower */
#else
#define LESS 0
#endif

enum {
	DEPTH_MAX = 16,
	LOCKS = 3,
	SEEN = 1 << 21, /* slots of the hash table */
};

struct small {
	const char *name;
	const char *modes; /* digits: what is requested and converted to */
	unsigned res; /* how many resources: 1 or 2 */
	uint8_t home[LOCKS]; /* node of each lock */
	unsigned depth;
	unsigned states_min; /* a search that finds fewer is broken */
	bool faults;
};

struct path {
	uint8_t len;
	uint8_t action[DEPTH_MAX];
};

static uint64_t *seen; /* owned */
static unsigned n_seen;

/* A world with what the search has to know beside it. */
struct run {
	struct world *w;
	bool cut, dead;
	unsigned n_res;
	char res[2];
};

/* Lock l is the one lock of client l on its node. */
static struct w_lock *
lock_of(const struct run *r, const struct small *s, unsigned l)
{
	return &r->w->node[s->home[l]].clients[l].locks[0];
}

static bool
deliver_between(struct world *w, uint8_t from, bool really)
{
	for (unsigned i = 0; i < w->n_queue; i++)
		if (w->queue[i].from == from) {
			if (really)
				w_deliver(w, i);
			return true;
		}
	return false;
}

static void
break_link(struct run *r)
{
	w_drop(r->w, 1, 2);
	w_resync(r->w, 1, 2);
	w_resync(r->w, 2, 1);
	r->cut = true;
}

static void
kill_two(struct run *r)
{
	w_kill(r->w, 2);
	w_drop(r->w, 1, 2);
	w_view(r->w, 1, LK_VIEW_RUNNING, 1, 2, 2);
	r->dead = true;
}

/* What lock l can do: request, convert, unlock, cancel. */
static bool
act_lock(struct run *r, const struct small *s, unsigned l, unsigned what)
{
	struct w_lock *x = lock_of(r, s, l);
	uint8_t id = s->home[l];
	unsigned n = (unsigned)strlen(s->modes);
	struct w_client *c = &r->w->node[id].clients[l];

	if (r->w->node[id].lk == NULL)
		return false;
	if (x->id == 0) {
		if (what >= n * r->n_res || c->pending > 0)
			return false;
		w_lockf(r->w, id, l, r->res[what / n],
		    (uint8_t)(s->modes[what % n] - '0'), 0, 0);
		return true;
	}
	if (x->unlocking)
		return false;
	if (x->want != LKM_IV) {
		if (what != 0 || c->pending > 1)
			return false;
		w_cancel(r->w, id, l, x->id);
		return true;
	}
	if (what < n) {
		if (s->modes[what] - '0' == x->mode)
			return false;
		w_convert(
		    r->w, id, l, x->id, (uint8_t)(s->modes[what] - '0'), 0);
		return true;
	}
	if (what != n)
		return false;
	w_unlock(r->w, id, l, x->id);
	return true;
}

/* false: not possible in this state. */
static bool
act(struct run *r, const struct small *s, unsigned action)
{
	unsigned per_lock = (unsigned)strlen(s->modes) * r->n_res + 1;

	if (action < 2)
		return deliver_between(r->w, (uint8_t)(action + 1), true);
	if (action == 2) {
		if (!s->faults || r->cut || r->dead)
			return false;
		break_link(r);
		return true;
	}
	if (action == 3) {
		if (!s->faults || r->dead)
			return false;
		kill_two(r);
		return true;
	}
	action -= 4;
	return act_lock(r, s, action / per_lock, action % per_lock);
}

static unsigned
n_actions(const struct small *s)
{
	return 4 + LOCKS * ((unsigned)strlen(s->modes) * s->res + 1);
}

static void
mix(uint64_t *h, uint64_t v)
{
	*h = (*h ^ v) * 0x9e3779b97f4a7c15ULL;
	*h ^= *h >> 29;
}

static void
mix_message(uint64_t *h, const struct w_msg *m)
{
	struct lkw_hdr hdr;
	const uint8_t *p = m->bytes + LKW_HDR_LEN;
	size_t len = m->len - LKW_HDR_LEN;
	const char *why;

	assert_int_equal(lkw_get_hdr(&hdr, m->bytes, m->len, &why), 0);
	mix(h, (uint64_t)m->from << 8 | hdr.kind);
	for (unsigned i = 0; hdr.kind == LKW_DATA && i < hdr.count; i++) {
		struct lkw_msg msg;
		int n = lkw_get_msg(&msg, p, len, &why);

		assert_true(n > 0);
		p += n;
		len -= (size_t)n;
		mix(h, (uint64_t)msg.type << 40 | (uint64_t)msg.gr << 32 |
			   (uint64_t)msg.rq << 24 | (uint64_t)msg.state << 16 |
			   (msg.lock & 0xff));
	}
}

/* The state but for what grows for ever: tokens, numbers, times. */
static uint64_t
digest(const struct run *r)
{
	uint64_t h = r->cut | r->dead << 1;

	for (uint8_t id = 1; id <= 2; id++) {
		struct lk_iter it = {0};
		struct lk_row row;
		struct lk_status st;

		if (r->w->node[id].lk == NULL)
			continue;
		lk_status(r->w->node[id].lk, &st);
		mix(&h, (uint64_t)st.phase << 16 | st.ring);
		mix(&h, st.locks << 16 | st.masters);
		while (lk_status_next(r->w->node[id].lk, &it, &row))
			mix(&h,
			    (uint64_t)row.pid << 40 | (uint64_t)row.mode << 32 |
				(uint64_t)row.rqmode << 24 |
				(uint64_t)row.blocker_pid << 8 | row.name[0]);
		for (unsigned c = 0; c < LOCKS; c++) {
			const struct w_client *cl = &r->w->node[id].clients[c];

			mix(&h, (uint64_t)cl->pending << 40 |
				    (uint64_t)cl->locks[0].mode << 32 |
				    (uint64_t)cl->locks[0].want << 24 |
				    cl->locks[0].unlocking << 16 |
				    (cl->locks[0].id != 0));
		}
	}
	for (unsigned i = 0; i < r->w->n_queue; i++)
		mix_message(&h, &r->w->queue[i]);
	return h == 0 ? 1 : h;
}

static bool
is_new(uint64_t h)
{
	uint32_t i = (uint32_t)h & (SEEN - 1);

	while (seen[i] != 0) {
		if (seen[i] == h)
			return false;
		i = (i + 1) & (SEEN - 1);
	}
	assert_true(n_seen++ < SEEN / 2);
	seen[i] = h;
	return true;
}

static void
begin(struct run *r, const struct small *s)
{
	memset(r, 0, sizeof(*r));
	r->w = w_new(2, 1);
	r->n_res = s->res;
	r->res[0] = w_res_of(3, 1);
	r->res[1] = w_res_of(3, 2);
	if (s->res == 1 && s->home[0] == 2)
		r->res[0] = r->res[1];
	w_view(r->w, 1, LK_VIEW_RUNNING, 3, 0, 1);
	w_view(r->w, 2, LK_VIEW_RUNNING, 3, 0, 1);
	w_settle(r->w);
	for (unsigned l = 0; l < LOCKS; l++)
		w_open(r->w, s->home[l], l);
}

/* All rows that the master of a resource knows. */
static unsigned
rows_of(const struct run *r, char res, struct lk_row *rows)
{
	unsigned n = 0;
	struct lk_iter it = {0};
	struct lk_row row;
	uint8_t master =
	    r->dead ? 1 : lk_master_of(3, "default", (uint8_t *)&res, 1);

	while (lk_status_next(r->w->node[master].lk, &it, &row))
		if (row.name[0] == (uint8_t)res)
			rows[n++] = row;
	return n;
}

/* Nothing is on the way: who waits must have something in its way. */
static void
nobody_waits_in_vain(const struct run *r, char res)
{
	struct lk_row rows[LOCKS];
	unsigned n = rows_of(r, res, rows), converting = 0, waiting = 0;
	bool conv_free = false, wait_free = false;

	for (unsigned i = 0; i < n; i++) {
		bool conflict = false;

		if (rows[i].state == LK_ROW_GRANTED)
			continue;
		for (unsigned j = 0; j < n; j++)
			if (j != i && rows[j].mode != LKM_IV &&
			    !w_compatible(rows[j].mode, rows[i].rqmode))
				conflict = true;
		if (rows[i].state == LK_ROW_CONVERTING) {
			converting++;
			conv_free |= !conflict;
		} else {
			waiting++;
			wait_free |= !conflict;
		}
	}
	/* With one in the queue it is the first. */
	if (converting == 1 && conv_free)
		fail_msg("a conversion waits though nothing is in its way");
	if (converting == 0 && waiting == 1 && wait_free)
		fail_msg("a request waits though nothing is in its way");
}

static void
finish(struct run *r, const struct small *s)
{
	struct world *w = r->w;

	w_settle(w);
	for (unsigned i = 0; i < r->n_res; i++)
		nobody_waits_in_vain(r, r->res[i]);
	for (unsigned round = 0; round < LOCKS + 1; round++) {
		for (unsigned l = 0; l < LOCKS; l++) {
			struct w_lock *x = lock_of(r, s, l);

			if (w->node[s->home[l]].lk != NULL && x->id != 0 &&
			    x->want == LKM_IV && !x->unlocking)
				w_unlock(w, s->home[l], l, x->id);
		}
		w_settle(w);
	}
	for (uint8_t id = 1; id <= 2; id++) {
		struct lk_status st;

		if (w->node[id].lk == NULL)
			continue;
		lk_status(w->node[id].lk, &st);
		assert_int_equal(st.phase, LK_PH_RUNNING);
		assert_int_equal(st.locks, 0);
		assert_int_equal(st.masters, 0);
		assert_int_equal(st.resources, 0);
		for (unsigned l = 0; l < LOCKS; l++)
			assert_int_equal(w->node[id].clients[l].pending, 0);
	}
}

/* Walks a path; false if its last action is not possible. */
static bool
walk(struct run *r, const struct small *s, const struct path *p)
{
	begin(r, s);
	for (unsigned i = 0; i < p->len; i++)
		if (!act(r, s, p->action[i]))
			return false;
	return true;
}

static void
search(const struct small *s)
{
	struct path *paths;
	unsigned head = 0, tail = 0, max = SEEN / 2;
	struct run r;

	seen = calloc(SEEN, sizeof(*seen));
	paths = calloc(max, sizeof(*paths));
	n_seen = 0;
	tail++; /* the empty path */
	while (head < tail) {
		const struct path p = paths[head++];

		for (unsigned a = 0; a < n_actions(s); a++) {
			struct path next = p;

			next.action[next.len++] = (uint8_t)a;
			if (walk(&r, s, &next) && is_new(digest(&r))) {
				if (next.len < s->depth) {
					assert_true(tail < max);
					paths[tail++] = next;
				}
				finish(&r, s);
			}
			w_free(r.w);
		}
	}
	fprintf(
	    stderr, "# %s: %u states to depth %u\n", s->name, n_seen, s->depth);
	assert_true(n_seen >= s->states_min);
	free(seen);
	free(paths);
}

static void
conversions_of_three(void **state)
{
	static const struct small s = {.name = "conversions, PR and EX",
	    .modes = "35",
	    .res = 1,
	    .home = {1, 2, 2},
	    .depth = 6 - LESS,
	    .states_min = LESS ? 500 : 3000};

	(void)state;
	search(&s);
}

static void
faults_with_the_master_surviving(void **state)
{
	static const struct small s = {.name = "faults, the master survives",
	    .modes = "35",
	    .res = 1,
	    .home = {1, 2, 2},
	    .depth = 6 - LESS,
	    .states_min = LESS ? 500 : 3000,
	    .faults = true};

	(void)state;
	search(&s);
}

static void
faults_with_the_master_dying(void **state)
{
	static const struct small s = {.name = "faults, the master dies",
	    .modes = "05",
	    .res = 1,
	    .home = {2, 1, 1},
	    .depth = 6 - LESS,
	    .states_min = LESS ? 500 : 3000,
	    .faults = true};

	(void)state;
	search(&s);
}

static void
modes_that_are_neither_stronger(void **state)
{
	static const struct small s = {.name = "PR and CW",
	    .modes = "23",
	    .res = 1,
	    .home = {2, 1, 1},
	    .depth = 6 - LESS,
	    .states_min = LESS ? 500 : 3000,
	    .faults = true};

	(void)state;
	search(&s);
}

static void
two_resources(void **state)
{
	static const struct small s = {.name = "two resources",
	    .modes = "5",
	    .res = 2,
	    .home = {1, 2, 1},
	    .depth = 6 - LESS,
	    .states_min = LESS ? 500 : 3000,
	    .faults = true};

	(void)state;
	search(&s);
}

static void
all_modes_shallow(void **state)
{
	static const struct small s = {.name = "all modes",
	    .modes = "012345",
	    .res = 1,
	    .home = {1, 2, 1},
	    .depth = 4 - LESS,
	    .states_min = LESS ? 500 : 3000};

	(void)state;
	search(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(conversions_of_three),
	    cmocka_unit_test(faults_with_the_master_surviving),
	    cmocka_unit_test(faults_with_the_master_dying),
	    cmocka_unit_test(modes_that_are_neither_stronger),
	    cmocka_unit_test(two_resources),
	    cmocka_unit_test(all_modes_shallow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
