/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What two nodes tell one another of the addresses that both of them serve.
 * Pure: bytes in, structs out.
 *
 * SHARE_WIRE_LEN bytes:
 *	0 seq  4 ask  8 answer  12 good  13 flags  14 zero (2 bytes)
 *	16 bound  24 want
 */
#ifndef SHARE_WIRE_H
#define SHARE_WIRE_H

#include "had.h"

enum { SHARE_WIRE_LEN = 32, SHARE_WIRE_AGAIN = 1 };

/* All that a node has to say; a later word replaces the one before. */
struct share_word {
	uint32_t seq; /* grows; never 0 */
	uint32_t ask; /* number of the question that this is */
	uint32_t answer; /* the other's question that it answers; 0: none yet */
	uint8_t good; /* shared addresses that it could serve */
	bool again; /* the question stands: answer, even if that was done */
	/*
	 * Buckets.  It serves none outside of bound, and will not before it
	 * has asked anew and got an answer.
	 */
	uint64_t bound;
	uint64_t want; /* those that it means to serve */
};

void share_wire_put(uint8_t buf[SHARE_WIRE_LEN], const struct share_word *);
/* 0, or -1 and why. */
int share_wire_get(
    struct share_word *, const uint8_t *buf, size_t len, const char **why);

#endif
