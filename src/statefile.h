/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The durable record of a node (/var/lib/had/state): epoch and SOLO.  Pure:
 * bytes in, struct out.  A record that is torn, corrupt or not this node's is
 * an error with a reason, never a guess.
 */
#ifndef STATEFILE_H
#define STATEFILE_H

#include "had.h"

enum { SF_SIZE = 96 }; /* bytes of an encoded record, always */

struct sf_record {
	char cluster[HAD_NAME_MAX];
	uint8_t node; /* whose record this is */
	uint64_t epoch; /* the highest one known; 0 before the first */
	uint64_t serial; /* grows with every write */
	/*
	 * SOLO (rule R1): at this epoch this node was the only one that could
	 * act, so it may start without having seen the peer.
	 */
	bool solo;
	/*
	 * How often an operator has let a node act that may have missed epochs
	 * of its peer.  It keeps fencing tokens growing, and nothing else.
	 */
	uint32_t seeds;
	bool clean; /* stopped on purpose, with a goodbye */
	/* enum mb_peer of each node as last decided, index id - 1; for eyes */
	uint8_t peer[HAD_NODES_MAX];
};

/* Encodes SF_SIZE bytes. */
void sf_encode(const struct sf_record *, uint8_t bytes[SF_SIZE]);

/* Returns 0, or -1 and *why: length, magic, version, checksum, field. */
int sf_decode(
    struct sf_record *, const uint8_t *bytes, size_t len, const char **why);

/* Is r the record of node id in cluster?  0, or -1 and *why. */
int sf_mine(const struct sf_record *r, const char *cluster, uint8_t id,
    const char **why);

#endif
