/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metadata of a volume on its device: creating and showing it, for hactl.
 * Calls block; they are not for the daemon's loop.
 */
#ifndef MVOLUME_H
#define MVOLUME_H

#include "had.h"
#include "mmeta.h"

struct mvolume_new {
	const char *device; /* backing device or file; borrowed */
	const char *meta; /* of its own for the metadata; "" = internal */
	const char *cluster; /* names; borrowed */
	const char *volume;
	uint8_t node; /* whose copy */
	uint8_t peers[MMETA_SLOTS];
	unsigned n_peers; /* 1..MMETA_SLOTS */
	/*
	 * The device's data become the volume's: this copy is good.  Else it
	 * is blank and takes what the peer has.  On one node at most.
	 */
	bool keep;
	bool force; /* also over something recognised */
};

/*
 * Writes fresh metadata, stable when it returns.  Refuses without force: a
 * device on which libblkid recognises something (with keep only what reaches
 * into the metadata), or that has metadata of had.  Always refuses a device
 * in use.  Returns 0, or -1 and why, which says what to do.
 */
int mvolume_create(
    const struct mvolume_new *, char *why, size_t why_size) MUST_CHECK;

struct mvolume_info {
	struct mmeta_sb sb; /* the copy that counts */
	struct mmeta_layout layout;
	bool internal;
	uint64_t device_bytes;
	int which; /* 0 or 1: the superblock that sb comes from */
	bool good[2]; /* the superblocks */
	const char *bad_why[2]; /* static; NULL if good */
	uint64_t intent_bytes; /* of data in chunks being written */
	uint64_t dirty_bytes[MMETA_SLOTS]; /* that the slot's peer lacks */
	unsigned bad_sectors; /* of the maps, read as all ones */
};

/*
 * Reads the metadata; the daemon may be running.  Returns 0, or -1 and why.
 */
int mvolume_dump(const char *device, const char *meta, struct mvolume_info *,
    char *why, size_t why_size) MUST_CHECK;

/* As text, lines ending in \n; returns the length needed, as snprintf(3). */
size_t mvolume_text(const struct mvolume_info *, char *buf, size_t size);

#endif
