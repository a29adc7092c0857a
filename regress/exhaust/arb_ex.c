/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arbitration, every history with so many faults: depth first, states that
 * were seen are not entered again.  At many ticks any fault may come, and any
 * repair; see choices.
 *	arb_ex [-f FAULTS] [CONFIGURATION...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arb_world.h"

enum { DEPTH = 4000, SEEN_BITS = 25, QUIET_TICKS = 300 };

static const struct config configs[] = {
    {"none", false, false, 90000},
    {"fence", true, false, 90000},
    {"witness", false, true, 90000},
    {"both", true, true, 90000},
};

static uint64_t *seen; /* owned */
static uint64_t n_seen, n_steps, n_quiet;
static struct saved *stack; /* owned; by depth */
static struct {
	uint8_t kind; /* 0: nothing; then faults, then repairs */
} path[DEPTH];
static const char *wrong;
static unsigned wrong_depth;

/*
 * When a fault or a repair may come, in ticks after what came last: during the
 * races of detection, while arbiters are asked, after the delay of the second
 * (R4), and when everything has come to rest.  With three faults and arbiters,
 * which may fail in many ways, there are fewer of those times.
 */
enum { TIMES = 7, REST_TICKS = 56 };
static const struct {
	uint8_t fault_at[TIMES], repair_at[TIMES], repairs;
} full = {{0, 1, 2, 4, 7, 14, 56}, {2, 9, 56, 56, 56, 56, 56}, 2},
  thin = {{0, 2, 7, 56, 56, 56, 56}, {9, 56, 56, 56, 56, 56, 56}, 1};
static bool thinly;

/* True if it was not there yet. */
static bool
visit(uint64_t h)
{
	uint64_t i = h >> (64 - SEEN_BITS);

	if (h == 0)
		h = 1;
	while (seen[i] != 0) {
		if (seen[i] == h)
			return false;
		i = (i + 1) & ((UINT64_C(1) << SEEN_BITS) - 1);
	}
	seen[i] = h;
	n_seen++;
	ASSERT(n_seen < UINT64_C(1) << (SEEN_BITS - 1) << 1);
	return true;
}

/*
 * Nothing comes any more: is whoever is left at work, in the end?  What leads
 * to a state that was looked at in this way ends as that did.
 */
static void
quiet(unsigned depth)
{
	struct saved *s = &stack[depth];
	unsigned i;

	world_save(s);
	W.faults = W.repairs = UINT8_MAX;
	W.since = 0;
	for (i = 0; i < QUIET_TICKS && wrong == NULL; i++) {
		if (!visit(world_hash()))
			break;
		world_tick();
		n_steps++;
		wrong = world_broken();
	}
	if (wrong == NULL && i == QUIET_TICKS)
		wrong = world_stuck();
	n_quiet++;
	if (wrong != NULL)
		wrong_depth = depth;
	else
		world_load(s);
}

static bool
apply(unsigned kind)
{
	if (kind == 0)
		return true;
	if (kind <= n_faults) {
		if (W.faults == 0 || !world_fault(kind - 1))
			return false;
		W.faults--;
		return true;
	}
	if (W.repairs == 0 || !world_repair(kind - 1 - n_faults))
		return false;
	W.repairs--;
	return true;
}

static bool
may(unsigned kind)
{
	if (kind == 0)
		return W.faults + W.repairs > 0 && W.since < REST_TICKS;
	if (kind <= n_faults)
		return memchr(thinly ? thin.fault_at : full.fault_at, W.since,
			   TIMES) != NULL;
	return memchr(thinly ? thin.repair_at : full.repair_at, W.since,
		   TIMES) != NULL;
}

static void
explore(unsigned depth)
{
	struct saved *s = &stack[depth];
	bool loaded = true;

	ASSERT(depth + 2 < DEPTH);
	world_save(s);
	for (unsigned k = 0; k <= n_faults + REPAIRS && wrong == NULL; k++) {
		if (!loaded)
			world_load(s);
		loaded = true;
		if (!may(k))
			continue;
		loaded = false;
		if (!apply(k))
			continue;
		W.since = k == 0 ? W.since + 1 : 0;
		path[depth].kind = (uint8_t)k;
		if (k > 0)
			quiet(depth + 1);
		if (wrong == NULL) {
			world_tick();
			n_steps++;
			wrong = world_broken();
			wrong_depth = depth + 1;
		}
		if (wrong == NULL && visit(world_hash()))
			explore(depth + 1);
	}
}

static const char *
name_of(unsigned kind)
{
	return kind <= n_faults ? world_fault_name(kind - 1)
				: world_repair_name(kind - 1 - n_faults);
}

static void
tell(const struct config *c)
{
	printf("# %s: %s\n", c->name, wrong);
	world_print();
	for (unsigned i = 0; i < wrong_depth; i++)
		if (path[i].kind != 0)
			printf("#   %6u ms: %s\n", i * TICK_MS,
			    name_of(path[i].kind));
}

static int
one(const struct config *c, unsigned faults)
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	n_seen = n_steps = n_quiet = 0;
	wrong = NULL;
	memset(seen, 0, sizeof(*seen) << SEEN_BITS);
	world_begin(c);
	for (unsigned i = 0; i < 100 && wrong == NULL; i++) {
		world_tick();
		wrong = world_broken();
	}
	ASSERT(W.node[0].self == MB_PAIRED && W.node[1].self == MB_PAIRED &&
	       W.node[0].holds);
	W.faults = (uint8_t)faults;
	thinly = faults > 2 && (c->fences || c->voter);
	W.repairs = thinly ? thin.repairs : full.repairs;
	visit(world_hash());
	explore(0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (wrong != NULL)
		tell(c);
	printf(
	    "%s: %u faults, %llu states, %llu steps, %llu ends, %.1f s: %s\n",
	    c->name, faults, (unsigned long long)n_seen,
	    (unsigned long long)n_steps, (unsigned long long)n_quiet,
	    (double)(b.tv_sec - a.tv_sec) +
		(double)(b.tv_nsec - a.tv_nsec) / 1e9,
	    wrong != NULL ? "BROKEN" : "nothing broken");
	world_end();
	return wrong != NULL || (faults > 1 && n_seen < c->states_min);
}

int
main(int argc, char **argv)
{
	unsigned faults = 3;
	int c, bad = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt(argc, argv, "f:")) != -1) {
		if (c == 'f')
			faults = (unsigned)atoi(optarg);
		else
			return 2;
	}
	seen = calloc(UINT64_C(1) << SEEN_BITS, sizeof(*seen));
	stack = calloc(DEPTH, sizeof(*stack));
	if (seen == NULL || stack == NULL)
		return 2;
	for (unsigned i = 0; i < NITEMS(configs); i++) {
		bool wanted = optind == argc;

		for (int k = optind; k < argc; k++)
			wanted |= strcmp(argv[k], configs[i].name) == 0;
		if (wanted)
			bad |= one(&configs[i], faults);
	}
	free(seen);
	free(stack);
	return bad;
}
