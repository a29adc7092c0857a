/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is on a lock disk.  Blocks of 4 KiB, of which the first 512 bytes count:
 * a header and one slot per node, and all of it a second time behind that.
 * Pure: bytes in, structs out.
 *
 * A slot has one writer, its node.  A write with number seq goes into copy
 * seq % 2, so that a write that is torn leaves the one before it whole.
 */
#ifndef LOCKDISK_SLOT_H
#define LOCKDISK_SLOT_H

#include "had.h"

enum {
	LD_BLOCK = 4096,
	LD_USED = 512, /* of a block; the checksum is over these */
	LD_BLOCKS = 1 + HAD_NODES_MAX, /* of one copy */
	LD_BYTES = 2 * LD_BLOCKS * LD_BLOCK,
};

struct ld_header {
	char cluster[HAD_NAME_MAX];
	uint64_t disk_id; /* random, of this creation; never 0 */
};

/* A block of Disk Paxos; see lockdisk_vote.h. */
struct ld_slot {
	uint64_t seq; /* 0: as it was created */
	uint64_t incarnation; /* of the daemon that wrote it */
	uint64_t epoch; /* that it asks for; 0: never asked */
	uint64_t mbal, bal;
	uint8_t node; /* whose it is */
	uint8_t inp; /* node id proposed at bal; 0 = none */
	uint8_t chosen; /* node id that has the lease of epoch; 0 = unknown */
};

/* Where on the disk: node 0 is the header. */
size_t ld_offset(uint8_t node, unsigned copy);

/* Fill LD_BLOCK bytes. */
void ld_header_encode(const struct ld_header *, uint8_t *block);
void ld_slot_encode(
    const struct ld_header *, const struct ld_slot *, uint8_t *block);

/* Of LD_USED bytes at least.  Return 0, or -1 and *why. */
int ld_header_decode(
    struct ld_header *, const uint8_t *bytes, size_t len, const char **why);
int ld_slot_decode(const struct ld_header *, uint8_t node, struct ld_slot *,
    const uint8_t *bytes, size_t len, const char **why);

/*
 * Which of two copies counts (NULL: not valid).  A writer may have been at
 * work while they were read: AGAIN means that they must be read until they
 * are seen twice the same, and then be looked at with stable set.  So a
 * reader gets what was written last before it began to read, or something
 * newer: that is a regular register (Lamport), and all that the vote needs.
 */
enum ld_pick { LD_PICK_A, LD_PICK_B, LD_PICK_AGAIN, LD_PICK_BAD };
enum ld_pick ld_pick(
    const struct ld_slot *a, const struct ld_slot *b, bool stable);

struct ld_view {
	struct ld_header header;
	struct ld_slot slots[HAD_NODES_MAX]; /* index id - 1 */
	uint8_t holder; /* of the highest lease that is known; 0 = none */
	uint64_t holder_epoch;
	char damage[96]; /* what is damaged without loss, or "" */
};

/*
 * The whole disk, LD_BYTES.  before: the same, read a moment ago, or NULL.
 * Returns 0; 1: read again, and give this as before; -1 and why: it is not a
 * lock disk of cluster, or not whole.
 */
int ld_view_decode(struct ld_view *, const uint8_t *image,
    const uint8_t *before, const char *cluster, char *why, size_t why_size);

#endif
