/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The metadata of a mirrored volume: layout and codecs.  Pure.
 *
 * An area of 4 KiB pages, internal (the last bytes of the device) or external
 * (a file or device of its own):
 *
 *	page 0			superblock, copy A
 *	intent map		1 bit per 64 KiB of data
 *	bitmap of slot 0	1 bit per 4 KiB of data that slot's peer lacks
 *	...			one bitmap per slot
 *	last page		superblock, copy B
 *
 * A superblock carries CRC32C and a generation counter; the higher valid one
 * counts, and one copy is stable before the other is touched.  Map pages are
 * made of sectors of 512 bytes, each with a CRC32C, its place and the tag of
 * this format of its own, so that a torn page is a mixture of old and new
 * sectors and never garbage.  A sector that does not check reads as all ones:
 * unknown is dirty.
 */
#ifndef MMETA_H
#define MMETA_H

#include "had.h"

struct dirtymap;

enum {
	MMETA_VERSION = 1,
	MMETA_PAGE = 4096,
	MMETA_SECTOR = 512,
	MMETA_SECTOR_HDR = 16,
	MMETA_SECTOR_BITS = (MMETA_SECTOR - MMETA_SECTOR_HDR) * 8, /* 3968 */
	MMETA_PAGE_BITS = MMETA_SECTOR_BITS * (MMETA_PAGE / MMETA_SECTOR),
	MMETA_CHUNK = 65536, /* bytes of data per intent bit */
	MMETA_BLOCK = 4096, /* bytes of data per bitmap bit */
	MMETA_CHUNK_BITS = MMETA_CHUNK / MMETA_BLOCK,
	MMETA_SLOTS = 8, /* peers that the format has room for */
	MMETA_HISTORY = 8,
};
#define MMETA_DATA_MAX (UINT64_C(16) << 40) /* 16 TiB of data */

struct mmeta_layout {
	uint64_t data_bytes; /* usable for data, multiple of 4096 */
	uint64_t meta_off; /* where the area begins: on the device if internal,
			      else 0 */
	uint64_t meta_bytes; /* length of the area */
	/* The rest is relative to the beginning of the area. */
	uint64_t sb_off[2];
	uint64_t intent_off, intent_pages;
	uint64_t bitmap_off[MMETA_SLOTS], bitmap_pages; /* pages: of each */
	uint8_t slots;
};

/*
 * The layout for a device of that many bytes.  slots: peers, 1..8 (two nodes:
 * 1).  Returns 0, or -1 and why (too small, too large).
 */
int mmeta_plan(struct mmeta_layout *, uint64_t device_bytes, bool internal,
    unsigned slots, const char **why);

/* Flags of a copy, in the superblock. */
enum {
	MMETA_F_CONSISTENT = 1, /* it was one moment of the volume's history */
	MMETA_F_UPTODATE = 2, /* and, as far as it knew, the last one */
	MMETA_F_PRIMARY = 4, /* in use: found at load, it means a crash */
	MMETA_F_CRASHED_PRIMARY = 8,
	MMETA_F_CRASHED = 16, /* writes may have been lost from a cache */
	MMETA_F_DISCARD = 32, /* the operator gave this copy up */
	MMETA_F_ALL = 63,
};
/* Flags of a slot. */
enum {
	MMETA_S_FULL = 1, /* all bits are set, whatever the map says */
	MMETA_S_EVEN = 2, /* the peer may have our current generation, although
			     bitmap is not 0: a resync began from equal
			     generations, or its end may have arrived */
	MMETA_S_ALL = 3,
};

struct mmeta_slot {
	uint8_t peer; /* node id; 0: unused */
	uint8_t flags; /* MMETA_S_* */
	uint64_t bitmap; /* generation that the bits count from; 0: none */
};

struct mmeta_sb {
	uint64_t gen; /* of this superblock, raised by each update */
	uint64_t tag; /* random, of this format; in each map sector */
	uint64_t cluster; /* hash of the cluster's name */
	uint8_t volume_id[16]; /* random; zeroes: blank, never had data */
	char name[HAD_NAME_MAX]; /* of the volume */
	uint8_t node; /* whose copy it is */
	uint8_t slots;
	uint32_t flags; /* MMETA_F_* */
	uint64_t data_bytes; /* of the volume; <= what the device has */
	uint64_t room_bytes; /* data_bytes of the layout */
	uint64_t epoch; /* highest at which it was primary */
	uint64_t current; /* generation of the data; 0: blank */
	uint64_t history[MMETA_HISTORY]; /* newest first, 0: none */
	struct mmeta_slot slot[MMETA_SLOTS];
};

/* All zeroes: just created, nothing was ever written. */
bool mmeta_blank(const struct mmeta_sb *);

void mmeta_sb_encode(const struct mmeta_sb *, uint8_t page[MMETA_PAGE]);
/* 0, or -1 and why. */
int mmeta_sb_decode(
    struct mmeta_sb *, const uint8_t page[MMETA_PAGE], const char **why);
/*
 * The copy that counts.  *which is 0 (a) or 1 (b).  Returns 0, or -1 and why
 * if neither is good.
 */
int mmeta_sb_pick(struct mmeta_sb *, const uint8_t a[MMETA_PAGE],
    const uint8_t b[MMETA_PAGE], int *which, const char **why);

enum mmeta_map { MMETA_INTENT = 0, MMETA_BITMAP = 1 };

/*
 * Page number page of a map (slot: 0 for the intent map).  The bits come from
 * and go to bit page * MMETA_PAGE_BITS of the dirtymap, as far as it reaches.
 * Decoding sets bits and clears none; it returns how many sectors were bad
 * and taken as all ones.
 */
void mmeta_page_encode(uint8_t buf[MMETA_PAGE], uint64_t tag, enum mmeta_map,
    unsigned slot, uint32_t page, const struct dirtymap *);
unsigned mmeta_page_decode(const uint8_t buf[MMETA_PAGE], uint64_t tag,
    enum mmeta_map, unsigned slot, uint32_t page, struct dirtymap *);

/* What hactl volume create decides. */
struct mmeta_new {
	uint64_t cluster; /* mmeta_cluster() of its name */
	const char *name; /* of the volume; borrowed */
	uint8_t node;
	uint8_t peers[MMETA_SLOTS]; /* node ids, as many as slots */
	uint64_t tag; /* random, not 0 */
	/*
	 * keep: the data on the device is the volume's; this copy is good and
	 * the others will be made from it.  Needs two random values, not 0.
	 * Otherwise the copy is blank and takes whatever the peer has; of two
	 * blank ones, the first to become primary.
	 */
	bool keep;
	uint8_t volume_id[16];
	uint64_t current;
};
void mmeta_format(
    struct mmeta_sb *, const struct mmeta_layout *, const struct mmeta_new *);
/*
 * The bytes of the freshly formatted page at offset off of the area.  Write
 * all pages but the two superblocks, flush, then the superblocks, flush.
 */
void mmeta_format_page(const struct mmeta_sb *, const struct mmeta_layout *,
    uint64_t off, uint8_t page[MMETA_PAGE]);

/* Hash of a cluster's name; never 0. */
uint64_t mmeta_cluster(const char *name);

/* CRC32C (Castagnoli), as iSCSI and SCTP have it. */
uint32_t mmeta_crc32c(const void *, size_t);

#endif
