/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two copies of a volume, every short history: breadth first, states that
 * were met are not entered again, and from each the way home is tried.  The
 * first violation is told with its history, which is a shortest one.
 *	mir_ex [-w WRITES] [-f FAULTS] [-a ACTS] [-o ORDER] [-q 0|1]
 *	    [CONFIGURATION...]
 * ORDER is a number of enum order; -q 0: anything may come at any moment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <getopt.h>

#include "mir_world.h"

enum { SETTLE_STEPS = 3000, NOBODY = UINT32_MAX };
#define SETTLED UINT64_C(0x5e771ed5e771ed00)

static const char *const order_names[ORDERS] = {[ORDER_AGE] = "in order",
    [ORDER_DISK] = "fast disks",
    [ORDER_NET] = "fast network",
    [ORDER_FIRST] = "fast node 1",
    [ORDER_SECOND] = "fast node 2",
    [ORDER_LAST] = "latest first",
    [ORDER_ANY] = "every order"};

/*
 * Cells, writes, faults, acts, rifts; fresh; quick: only writes and faults
 * come while something is under way, all else when it is at rest; errors: of
 * a disk are faults, too.
 */
static const struct config configs[] = {
    {"writes", ORDER_ANY, 2, 2, 1, 0, 0, false, true, false},
    {"acts", ORDER_ANY, 2, 1, 1, 1, 0, false, true, false},
    {"fresh", ORDER_ANY, 2, 1, 1, 0, 0, true, true, false},
    {"rift", ORDER_ANY, 2, 2, 1, 0, 1, false, true, false},
    {"moments", ORDER_AGE, 2, 1, 1, 0, 0, false, false, false},
    {"faults", ORDER_AGE, 2, 1, 2, 0, 0, false, true, false},
    {"errors", ORDER_AGE, 2, 1, 2, 0, 0, false, true, true},
};

/* Hashes of the states that were met; open addressing. */
static uint64_t *seen; /* owned */
static uint64_t seen_room, seen_n;

/* How each state was met first. */
static struct step {
	uint32_t parent;
	struct event event;
} * steps; /* owned */
static uint32_t n_states, room_states;

/* States to be entered: what differs from the first state, word by word. */
struct layer {
	uint8_t *bytes; /* owned */
	size_t len, room;
};
static struct layer now, next;
static uint8_t *root, *at, *kept; /* owned */
static uint64_t n_histories;
static const char *wrong;
static bool wrong_at_rest;
/* What is being tried, if it ends in an assertion. */
static uint32_t doing_state;
static struct event doing_event;

static void
out_of_memory(void)
{
	fprintf(stderr, "mir_ex: out of memory\n");
	exit(2);
}

static void *
grow(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n, size);
	if (p == NULL)
		out_of_memory();
	return p;
}

static void
seen_put(uint64_t h)
{
	uint64_t i = h & (seen_room - 1);

	while (seen[i] != 0)
		i = (i + 1) & (seen_room - 1);
	seen[i] = h;
}

static void
seen_grow(void)
{
	uint64_t *old = seen, n = seen_room;

	seen_room *= 2;
	seen = calloc(seen_room, sizeof(*seen));
	if (seen == NULL)
		out_of_memory();
	for (uint64_t i = 0; i < n; i++)
		if (old[i] != 0)
			seen_put(old[i]);
	free(old);
}

/* True if it was not there yet. */
static bool
visit(uint64_t h)
{
	uint64_t i;

	if (h == 0)
		h = 1;
	for (i = h & (seen_room - 1); seen[i] != 0;
	     i = (i + 1) & (seen_room - 1))
		if (seen[i] == h)
			return false;
	seen[i] = h;
	if (++seen_n > seen_room / 4 * 3)
		seen_grow();
	return true;
}

static void
push(uint32_t state)
{
	size_t words = world_size() / 8, n = 0;
	const uint64_t *a = (const uint64_t *)(const void *)root;
	const uint64_t *b = (const uint64_t *)(const void *)kept;
	uint64_t *out;

	if (next.len + (2 + 2 * words) * 8 > next.room) {
		next.room = next.room * 2 + (2 + 2 * words) * 8;
		next.bytes = grow(next.bytes, next.room, 1);
	}
	out = (uint64_t *)(void *)(next.bytes + next.len);
	for (size_t i = 0; i < words; i++) {
		if (a[i] == b[i])
			continue;
		/* Its place, and how many words follow. */
		size_t head = 1 + n++;

		out[head] = (uint64_t)i << 32;
		for (; i < words && a[i] != b[i]; i++, out[head]++)
			out[1 + n++] = b[i];
	}
	out[0] = (uint64_t)n << 32 | state;
	next.len += (1 + n) * 8;
}

/* Fills at; returns the state's number and moves on. */
static uint32_t
pull(size_t *pos)
{
	const uint64_t *in = (const uint64_t *)(const void *)(now.bytes + *pos);
	size_t n = in[0] >> 32, words;
	uint32_t state = (uint32_t)in[0];

	memcpy(at, root, world_size());
	for (size_t i = 1; i <= n; i += 1 + words) {
		words = (uint32_t)in[i];
		memcpy(at + (in[i] >> 32) * 8, &in[i + 1], words * 8);
	}
	*pos += (1 + n) * 8;
	return state;
}

/* The way home; what was seen to end well once is not tried again. */
static void
settle(bool tell)
{
	struct event e;
	char name[200];
	unsigned i;

	for (i = 0; i < SETTLE_STEPS; i++) {
		if (!tell && !visit(world_hash() ^ SETTLED))
			return;
		if (!env_mend(&e))
			break;
		if (tell) {
			env_name(e, name, sizeof(name));
			printf("#   (mended) %s\n", name);
		}
		env_apply(e);
		if ((wrong = world_broken()) != NULL)
			return;
	}
	wrong = i == SETTLE_STEPS ? "mended, it never comes to rest"
				  : world_unequal();
}

static void
remember(uint32_t parent, struct event e)
{
	if (n_states == room_states) {
		room_states = room_states * 2 + 4096;
		steps = grow(steps, room_states, sizeof(*steps));
	}
	steps[n_states].parent = parent;
	steps[n_states++].event = e;
}

/* One more step of a history. */
static void
try_event(uint32_t state, struct event e)
{
	world_load(at);
	doing_state = state;
	doing_event = e;
	wrong_at_rest = false;
	env_apply(e);
	n_histories++;
	wrong = world_broken();
	if (wrong == NULL && !visit(world_hash()))
		return;
	remember(state, e);
	if (wrong != NULL)
		return;
	world_save(kept);
	push(n_states - 1);
	wrong_at_rest = true;
	settle(false);
}

static void
explore(void)
{
	struct event events[EVENTS_MAX];
	struct layer swap;
	unsigned n;

	while (next.len > 0 && wrong == NULL) {
		swap = now;
		now = next;
		next = swap;
		next.len = 0;
		for (size_t pos = 0; pos < now.len && wrong == NULL;) {
			uint32_t state = pull(&pos);

			world_load(at);
			n = env_events(events, NITEMS(events));
			for (unsigned k = 0; k < n && wrong == NULL; k++)
				try_event(state, events[k]);
		}
	}
}

static void
tell(uint32_t state)
{
	struct event *path = NULL;
	const char *what = wrong;
	char name[200];
	unsigned n = 0;

	printf("# %s: %s\n", C->name, what);
	world_print();
	for (uint32_t s = state; s != 0; s = steps[s].parent) {
		path = grow(path, n + 1, sizeof(*path));
		path[n++] = steps[s].event;
	}
	world_load(root);
	telling = true;
	while (n-- > 0) {
		env_name(path[n], name, sizeof(name));
		printf("#   %s\n", name);
		env_apply(path[n]);
	}
	if (wrong_at_rest)
		settle(true);
	telling = false;
	wrong = what;
	free(path);
}

_Noreturn void
had_assert_fail(const char *file, int line, const char *expr)
{
	static bool twice;

	printf("# %s:%d: assertion failed: %s\n", file, line, expr);
	if (!twice && n_states > 0) {
		twice = true;
		wrong = "an assertion failed";
		remember(doing_state, doing_event);
		tell(n_states - 1);
	}
	fflush(NULL);
	_Exit(3);
}

static void
apply(enum ev_type type, unsigned node, unsigned arg)
{
	env_apply((struct event){(uint8_t)type, (uint8_t)node, (uint16_t)arg});
	ASSERT(world_broken() == NULL);
}

/* In sync, node 1 primary, all at rest; or both off, one copy new. */
static void
begin(void)
{
	struct event e;

	if (!C->fresh) {
		for (unsigned i = 0; i < NODES; i++)
			apply(EV_BOOT, i, 0);
		while (env_mend(&e))
			apply(e.type, e.node, e.arg);
		apply(EV_PROMOTE, 0, 0);
		while (env_mend(&e))
			apply(e.type, e.node, e.arg);
		ASSERT(cores[0]->primary && world_unequal() == NULL);
	}
	world_save(root);
	world_save(kept);
	visit(world_hash());
	remember(0, (struct event){EV_NONE, 0, 0});
	push(0);
}

static int
one(const struct config *c)
{
	struct timespec a, b;
	size_t size;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	wrong = NULL;
	n_states = 0;
	n_histories = seen_n = 0;
	seen_room = 1 << 20;
	seen = grow(NULL, seen_room, sizeof(*seen));
	memset(seen, 0, seen_room * sizeof(*seen));
	world_begin(c);
	size = world_size();
	root = grow(NULL, size, 1);
	at = grow(NULL, size, 1);
	kept = grow(NULL, size, 1);
	memset(root, 0, size);
	memset(kept, 0, size);
	next.len = 0;
	begin();
	explore();
	if (wrong != NULL)
		tell(n_states - 1);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	printf("%s, %s: %u writes, %u faults, %u acts, %.1f s, %u states, "
	       "%llu histories, %d violations\n",
	    c->name, order_names[c->order], c->writes, c->faults, c->admin,
	    (double)(b.tv_sec - a.tv_sec) +
		(double)(b.tv_nsec - a.tv_nsec) / 1e9,
	    n_states, (unsigned long long)n_histories, wrong != NULL);
	world_end();
	free(seen);
	free(root);
	free(at);
	free(kept);
	return wrong != NULL;
}

static int
number(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (*s == '\0' || *end != '\0' || n < 0 || n > 99) {
		fprintf(stderr, "mir_ex: %s: not a small number\n", s);
		exit(2);
	}
	return (int)n;
}

int
main(int argc, char **argv)
{
	int c, bad = 0, writes = -1, faults = -1, acts = -1, order = -1;
	int quick = -1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt(argc, argv, "w:f:a:o:q:")) != -1) {
		switch (c) {
		case 'w':
			writes = number(optarg);
			break;
		case 'f':
			faults = number(optarg);
			break;
		case 'a':
			acts = number(optarg);
			break;
		case 'o':
			order = number(optarg);
			break;
		case 'q':
			quick = number(optarg);
			break;
		default:
			return 2;
		}
	}
	for (unsigned i = 0; i < NITEMS(configs); i++) {
		bool wanted = optind == argc;
		struct config conf = configs[i];

		for (int k = optind; k < argc; k++)
			wanted |= strcmp(argv[k], conf.name) == 0;
		if (writes >= 0)
			conf.writes = (uint8_t)writes;
		if (faults >= 0)
			conf.faults = (uint8_t)faults;
		if (acts >= 0)
			conf.admin = (uint8_t)acts;
		if (order >= 0)
			conf.order = (enum order)order;
		if (quick >= 0)
			conf.quick = quick;
		if (wanted)
			bad |= one(&conf);
	}
	free(now.bytes);
	free(next.bytes);
	free(steps);
	return bad;
}
