/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of bit numbers with a count and a fast search for the next member.
 * One summary bit per word keeps the search short: a terabyte in blocks of
 * 4 KiB has 4 Mi words, and 64 Ki words of summary.
 */
#ifndef DIRTYMAP_H
#define DIRTYMAP_H

#include "had.h"

struct dirtymap {
	uint64_t *words; /* owned */
	uint64_t *sum; /* owned; bit w is set iff words[w] != 0 */
	uint64_t nbits; /* valid numbers are 0..nbits - 1 */
	uint64_t room; /* bits that memory was allocated for */
	uint64_t count; /* members */
};

/* Allocates for that many bits, all clear.  Returns 0, or -1: no memory. */
int dm_init(struct dirtymap *, uint64_t nbits) MUST_CHECK;
void dm_fini(struct dirtymap *);
/* Fewer bits than allocated for, e.g. a peer with a smaller disk; clears. */
void dm_resize(struct dirtymap *, uint64_t nbits);

bool dm_test(const struct dirtymap *, uint64_t bit);
/* [from, from + n), which must be valid; they return how many changed. */
uint64_t dm_set(struct dirtymap *, uint64_t from, uint64_t n);
uint64_t dm_clear(struct dirtymap *, uint64_t from, uint64_t n);
void dm_set_all(struct dirtymap *);
void dm_clear_all(struct dirtymap *);
/* Is every number of the range a member? */
bool dm_all(const struct dirtymap *, uint64_t from, uint64_t n);
/* Is any? */
bool dm_any(const struct dirtymap *, uint64_t from, uint64_t n);

/* The first member >= from; false if there is none. */
bool dm_next(const struct dirtymap *, uint64_t from, uint64_t *bit);
/* Length of the run of members that begins at from, at most max. */
uint64_t dm_run(const struct dirtymap *, uint64_t from, uint64_t max);

/* 64 bits at once, for the codecs; numbers beyond nbits read as 0. */
uint64_t dm_word(const struct dirtymap *, uint64_t word);
void dm_or_word(struct dirtymap *, uint64_t word, uint64_t bits);
void dm_put_word(struct dirtymap *, uint64_t word, uint64_t bits);

#endif
