/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs of the simulator: one seed, many at once, with some of its faults only.
 */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "sim.h"

/* What came of one seed; lies in memory that the workers share. */
struct result {
	uint64_t hash;
	uint32_t faults, failovers, violations, excused, lies;
	uint32_t acks, reads, grants;
	uint32_t windows, holds; /* of sim_watch.c */
	bool begun, done;
};

/* Which faults of a seed happen, by their number. */
enum { PLAN_MAX = 4096 };
struct plan {
	bool all;
	uint64_t keep[PLAN_MAX / 64];
	uint64_t epoch; /* to reach it counts as a violation; 0: none does */
	FILE *words; /* borrowed; what each fault does; may be NULL */
	/* what came of it */
	unsigned n; /* faults that were due */
	char rule[16], text[160]; /* the violation, or "" */
};

/* sim.c */
const char *sim_commit(void);
void seed_run(
    uint64_t seed, FILE *out, bool verbose, struct plan *, struct result *);

/*
 * sim_par.c: n seeds by so many workers; 0: in this process.  Those that are
 * done already are left out.
 */
void seeds_run(uint64_t first, unsigned long n, unsigned workers,
    uint64_t epoch, struct result *);
/* Memory that children share with this process. */
void *shared(size_t len);

/* sim_cells.c: begun before anything runs; added to what path has. */
void cells_begin(void);
int cells_save(const char *path);

/* sim_min.c */
int minimise(uint64_t seed, uint64_t epoch, const char *save);
int replay(const char *path);

/* sim_fast.c */
int only_failovers(unsigned n);

#endif
