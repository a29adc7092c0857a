/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fewest faults of a seed that still break the same promise.  When each
 * fault comes and what it draws depends on the seed and its number only, so
 * that it can be left out without moving the others.
 */
#include <stdlib.h>
#include <string.h>

#include "sim_run.h"

struct hunt {
	uint64_t seed;
	struct plan plan; /* of the last run */
	char rule[16];
	unsigned runs;
	FILE *nowhere; /* owned */
};

static bool
has(const struct plan *p, unsigned i)
{
	return p->keep[i / 64] >> i % 64 & 1;
}

static void
set(struct plan *p, unsigned i, bool on)
{
	if (on)
		p->keep[i / 64] |= UINT64_C(1) << i % 64;
	else
		p->keep[i / 64] &= ~(UINT64_C(1) << i % 64);
}

/* Does it still break the same promise with these faults? */
static bool
breaks(struct hunt *h, struct plan *p)
{
	struct result r = {0};

	h->runs++;
	seed_run(h->seed, h->nowhere, false, p, &r);
	return strcmp(p->rule, h->rule) == 0;
}

static unsigned
list(const struct plan *p, unsigned *which)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PLAN_MAX; i++)
		if (has(p, i))
			which[n++] = i;
	return n;
}

/* One round of ddmin: leaves out each of so many parts in turn. */
static bool
smaller(struct hunt *h, unsigned parts)
{
	unsigned which[PLAN_MAX], n = list(&h->plan, which);

	for (unsigned k = 0; k < parts; k++) {
		struct plan p = h->plan;

		for (unsigned i = n * k / parts; i < n * (k + 1) / parts; i++)
			set(&p, which[i], false);
		if (!breaks(h, &p))
			continue;
		memcpy(h->plan.keep, p.keep, sizeof(p.keep));
		return true;
	}
	return false;
}

static void
shrink(struct hunt *h)
{
	unsigned which[PLAN_MAX], n = list(&h->plan, which), parts = 2;

	while (n > 0) {
		if (parts > n)
			parts = n;
		if (smaller(h, parts))
			parts = parts > 2 ? parts - 1 : 2;
		else if (parts == n)
			return; /* none of them can go */
		else
			parts *= 2;
		n = list(&h->plan, which);
	}
}

/* The list, as it is told and as replay() reads it. */
static void
print_plan(struct hunt *h, FILE *to)
{
	struct plan p = h->plan;
	char *words = NULL;
	size_t len;

	p.words = open_memstream(&words, &len);
	if (p.words == NULL)
		exit(2);
	breaks(h, &p);
	fclose(p.words);
	fprintf(to, "# commit %s: %s: %s\nseed %llu\n", sim_commit(), p.rule,
	    p.text, (unsigned long long)h->seed);
	if (p.epoch != 0)
		fprintf(to, "forbid epoch %llu\n", (unsigned long long)p.epoch);
	fprintf(to, "%s", words);
	free(words);
}

static void
hunt_begin(struct hunt *h, uint64_t seed)
{
	memset(h, 0, sizeof(*h));
	h->seed = seed;
	h->nowhere = fopen("/dev/null", "w");
	if (h->nowhere == NULL)
		exit(2);
}

int
minimise(uint64_t seed, uint64_t epoch, const char *save)
{
	struct hunt h;
	struct result r = {0};
	unsigned which[PLAN_MAX], before, after;
	FILE *to;

	hunt_begin(&h, seed);
	h.plan = (struct plan){.all = true, .epoch = epoch};
	seed_run(seed, h.nowhere, false, &h.plan, &r);
	snprintf(h.rule, sizeof(h.rule), "%s", h.plan.rule);
	if (h.rule[0] == '\0') {
		printf("seed %llu breaks nothing\n", (unsigned long long)seed);
		fclose(h.nowhere);
		return 2;
	}
	before = h.plan.n < PLAN_MAX ? h.plan.n : PLAN_MAX;
	h.plan.all = false;
	for (unsigned i = 0; i < before; i++)
		set(&h.plan, i, true);
	shrink(&h);
	after = list(&h.plan, which);
	print_plan(&h, stdout);
	if (save != NULL) {
		if ((to = fopen(save, "w")) == NULL) {
			perror(save);
			exit(2);
		}
		print_plan(&h, to);
		fclose(to);
		printf("# replay: build/release/sim -f %s -v\n", save);
	}
	printf("%u of %u faults break %s, after %u runs\n", after, before,
	    h.rule, h.runs);
	fclose(h.nowhere);
	return 1;
}

static int
read_plan(FILE *f, struct plan *p, uint64_t *seed)
{
	char line[256];
	unsigned n = 0;

	while (fgets(line, sizeof(line), f) != NULL) {
		unsigned long long v;

		n++;
		if (line[0] == '#' || line[0] == '\n' || line[0] == ' ')
			continue;
		if (sscanf(line, "seed %llu", &v) == 1) {
			*seed = v;
		} else if (sscanf(line, "forbid epoch %llu", &v) == 1) {
			p->epoch = v;
		} else if (sscanf(line, "fault %llu", &v) == 1 &&
			   v < PLAN_MAX) {
			set(p, (unsigned)v, true);
		} else {
			fprintf(stderr, "sim: line %u: '%.*s'?\n", n,
			    (int)strcspn(line, "\n"), line);
			return -1;
		}
	}
	return 0;
}

int
replay(const char *path)
{
	struct plan p = {0};
	struct result r = {0};
	uint64_t seed = 0;
	FILE *f = fopen(path, "r");
	int bad;

	if (f == NULL) {
		perror(path);
		return 2;
	}
	bad = read_plan(f, &p, &seed);
	fclose(f);
	if (bad != 0)
		return 2;
	p.words = stdout;
	seed_run(seed, stdout, false, &p, &r);
	printf("%s%s%s, hash %016llx\n", p.rule[0] != '\0' ? p.rule : "nothing",
	    p.rule[0] != '\0' ? ": " : " is broken", p.text,
	    (unsigned long long)r.hash);
	return p.rule[0] != '\0';
}
