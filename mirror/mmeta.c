/* SPDX-License-Identifier: BSD-2-Clause */
/* Metadata of a mirrored volume: layout and codecs; see mmeta.h. */
#include "mmeta.h"

#include <string.h>

#include <bsd/string.h>

#include "dirtymap.h"
#include "wire.h"

static const uint8_t magic[8] = {'h', 'a', 'd', 'm', 'e', 't', 'a', '1'};

/*
 * Offsets in a superblock.  The checksum covers the page with its own field
 * as zeroes.
 */
enum {
	O_MAGIC = 0,
	O_VERSION = 8,
	O_CRC = 12,
	O_GEN = 16,
	O_TAG = 24,
	O_CLUSTER = 32,
	O_VOLUME = 40,
	O_NAME = 56,
	O_NODE = 88,
	O_SLOTS = 89,
	O_PAGE_SHIFT = 90,
	O_CHUNK_SHIFT = 91,
	O_BLOCK_SHIFT = 92,
	O_FLAGS = 96,
	O_DATA = 104,
	O_ROOM = 112,
	O_EPOCH = 120,
	O_CURRENT = 128,
	O_HISTORY = 136,
	O_SLOT = O_HISTORY + 8 * MMETA_HISTORY,
	SLOT_LEN = 16,
};

uint32_t
mmeta_crc32c(const void *data, size_t len)
{
	/* Four bits at a time: small, constant, fast enough for metadata. */
	static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede,
	    0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
	    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4,
	    0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
	const uint8_t *p = data;
	uint32_t crc = ~UINT32_C(0);

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		crc = table[crc & 15] ^ crc >> 4;
		crc = table[crc & 15] ^ crc >> 4;
	}
	return ~crc;
}

uint64_t
mmeta_cluster(const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return h != 0 ? h : 1;
}

/* Pages of a map of one bit per unit. */
static uint64_t
map_pages(uint64_t bytes, uint64_t unit)
{
	uint64_t bits = (bytes + unit - 1) / unit;

	return (bits + MMETA_PAGE_BITS - 1) / MMETA_PAGE_BITS;
}

static uint64_t
area_pages(uint64_t data, unsigned slots)
{
	return 2 + map_pages(data, MMETA_CHUNK) +
	       slots * map_pages(data, MMETA_BLOCK);
}

int
mmeta_plan(struct mmeta_layout *l, uint64_t device_bytes, bool internal,
    unsigned slots, const char **why)
{
	uint64_t pages = device_bytes / MMETA_PAGE, data = pages, area;

	ASSERT(slots >= 1 && slots <= MMETA_SLOTS);
	memset(l, 0, sizeof(*l));
	if (internal) {
		/* Sized for the whole device: simple, a few pages too many. */
		area = area_pages(pages * MMETA_PAGE, slots);
		data = pages > area ? pages - area : 0;
	} else
		area = area_pages(pages * MMETA_PAGE, slots);
	if (data < 16) {
		*why = "the device is too small";
		return -1;
	}
	if (data > MMETA_DATA_MAX / MMETA_PAGE) {
		*why = "the device is larger than 16 TiB";
		return -1;
	}
	l->data_bytes = data * MMETA_PAGE;
	l->meta_off = internal ? l->data_bytes : 0;
	l->meta_bytes = area * MMETA_PAGE;
	l->slots = (uint8_t)slots;
	l->intent_off = MMETA_PAGE;
	l->intent_pages = map_pages(l->data_bytes, MMETA_CHUNK);
	l->bitmap_pages = map_pages(l->data_bytes, MMETA_BLOCK);
	for (unsigned i = 0; i < slots; i++)
		l->bitmap_off[i] =
		    l->intent_off +
		    (l->intent_pages + i * l->bitmap_pages) * MMETA_PAGE;
	l->sb_off[0] = 0;
	l->sb_off[1] = l->meta_bytes - MMETA_PAGE;
	ASSERT(l->bitmap_off[slots - 1] + l->bitmap_pages * MMETA_PAGE <=
	       l->sb_off[1]);
	return 0;
}

bool
mmeta_blank(const struct mmeta_sb *sb)
{
	static const uint8_t zero[16];

	return memcmp(sb->volume_id, zero, sizeof(zero)) == 0;
}

static uint32_t
page_crc(const uint8_t page[MMETA_PAGE])
{
	uint8_t copy[MMETA_PAGE];

	memcpy(copy, page, MMETA_PAGE);
	put_u32(copy + O_CRC, 0);
	return mmeta_crc32c(copy, MMETA_PAGE);
}

void
mmeta_sb_encode(const struct mmeta_sb *sb, uint8_t page[MMETA_PAGE])
{
	uint8_t *p;

	ASSERT(sb->slots >= 1 && sb->slots <= MMETA_SLOTS);
	memset(page, 0, MMETA_PAGE);
	memcpy(page + O_MAGIC, magic, sizeof(magic));
	put_u32(page + O_VERSION, MMETA_VERSION);
	put_u64(page + O_GEN, sb->gen);
	put_u64(page + O_TAG, sb->tag);
	put_u64(page + O_CLUSTER, sb->cluster);
	memcpy(page + O_VOLUME, sb->volume_id, 16);
	memcpy(page + O_NAME, sb->name, HAD_NAME_MAX);
	page[O_NODE] = sb->node;
	page[O_SLOTS] = sb->slots;
	page[O_PAGE_SHIFT] = 12;
	page[O_CHUNK_SHIFT] = 16;
	page[O_BLOCK_SHIFT] = 12;
	put_u32(page + O_FLAGS, sb->flags);
	put_u64(page + O_DATA, sb->data_bytes);
	put_u64(page + O_ROOM, sb->room_bytes);
	put_u64(page + O_EPOCH, sb->epoch);
	put_u64(page + O_CURRENT, sb->current);
	for (int i = 0; i < MMETA_HISTORY; i++)
		put_u64(page + O_HISTORY + 8 * i, sb->history[i]);
	for (int i = 0; i < sb->slots; i++) {
		p = page + O_SLOT + SLOT_LEN * i;
		p[0] = sb->slot[i].peer;
		p[1] = sb->slot[i].flags;
		put_u64(p + 8, sb->slot[i].bitmap);
	}
	put_u32(page + O_CRC, page_crc(page));
}

/* Values that no had ever wrote, although the checksum is right. */
static const char *
sb_nonsense(const struct mmeta_sb *sb, const uint8_t *page)
{
	if (page[O_PAGE_SHIFT] != 12 || page[O_CHUNK_SHIFT] != 16 ||
	    page[O_BLOCK_SHIFT] != 12)
		return "unknown page, chunk or block size";
	if (sb->slots < 1 || sb->slots > MMETA_SLOTS)
		return "bad number of peers";
	if (sb->node < 1 || sb->node > HAD_NODES_MAX)
		return "bad node id";
	if (memchr(sb->name, '\0', HAD_NAME_MAX) == NULL)
		return "bad volume name";
	if ((sb->flags & ~(uint32_t)MMETA_F_ALL) != 0)
		return "unknown flags";
	if (sb->room_bytes == 0 || sb->room_bytes > MMETA_DATA_MAX ||
	    sb->room_bytes % MMETA_PAGE != 0)
		return "bad size of the device";
	if (sb->data_bytes == 0 || sb->data_bytes > sb->room_bytes ||
	    sb->data_bytes % MMETA_PAGE != 0)
		return "bad size of the volume";
	for (int i = 0; i < sb->slots; i++)
		if (sb->slot[i].peer > HAD_NODES_MAX ||
		    (sb->slot[i].flags & ~MMETA_S_ALL) != 0)
			return "bad peer";
	if (mmeta_blank(sb) != (sb->current == 0))
		return "volume id and generation contradict each other";
	return NULL;
}

int
mmeta_sb_decode(
    struct mmeta_sb *sb, const uint8_t page[MMETA_PAGE], const char **why)
{
	const uint8_t *p;

	memset(sb, 0, sizeof(*sb));
	if (memcmp(page + O_MAGIC, magic, sizeof(magic)) != 0) {
		*why = "no superblock";
		return -1;
	}
	if (get_u32(page + O_CRC) != page_crc(page)) {
		*why = "superblock damaged (checksum)";
		return -1;
	}
	if (get_u32(page + O_VERSION) != MMETA_VERSION) {
		*why = "superblock of another version of had";
		return -1;
	}
	sb->gen = get_u64(page + O_GEN);
	sb->tag = get_u64(page + O_TAG);
	sb->cluster = get_u64(page + O_CLUSTER);
	memcpy(sb->volume_id, page + O_VOLUME, 16);
	memcpy(sb->name, page + O_NAME, HAD_NAME_MAX);
	sb->node = page[O_NODE];
	sb->slots = page[O_SLOTS];
	sb->flags = get_u32(page + O_FLAGS);
	sb->data_bytes = get_u64(page + O_DATA);
	sb->room_bytes = get_u64(page + O_ROOM);
	sb->epoch = get_u64(page + O_EPOCH);
	sb->current = get_u64(page + O_CURRENT);
	for (int i = 0; i < MMETA_HISTORY; i++)
		sb->history[i] = get_u64(page + O_HISTORY + 8 * i);
	for (int i = 0; i < sb->slots && i < MMETA_SLOTS; i++) {
		p = page + O_SLOT + SLOT_LEN * i;
		sb->slot[i].peer = p[0];
		sb->slot[i].flags = p[1];
		sb->slot[i].bitmap = get_u64(p + 8);
	}
	*why = sb_nonsense(sb, page);
	return *why == NULL ? 0 : -1;
}

int
mmeta_sb_pick(struct mmeta_sb *sb, const uint8_t a[MMETA_PAGE],
    const uint8_t b[MMETA_PAGE], int *which, const char **why)
{
	struct mmeta_sb other;
	const char *why_b;
	bool a_ok = mmeta_sb_decode(sb, a, why) == 0;
	bool b_ok = mmeta_sb_decode(&other, b, &why_b) == 0;

	if (!a_ok && !b_ok) {
		/* Say the more telling of the two. */
		if (memcmp(a, magic, sizeof(magic)) != 0)
			*why = why_b;
		return -1;
	}
	*which = 0;
	if (!a_ok || (b_ok && other.gen > sb->gen)) {
		*sb = other;
		*which = 1;
	}
	return 0;
}

/* 4: checksum of the rest, 4: map, slot and number, 8: tag. */
static void
sector_seal(
    uint8_t *s, uint64_t tag, enum mmeta_map map, unsigned slot, uint32_t index)
{
	ASSERT(index < 1u << 24 && slot < MMETA_SLOTS);
	put_u32(s + 4, index | (uint32_t)map << 31 | slot << 24);
	put_u64(s + 8, tag);
	put_u32(s, mmeta_crc32c(s + 4, MMETA_SECTOR - 4));
}

void
mmeta_page_encode(uint8_t buf[MMETA_PAGE], uint64_t tag, enum mmeta_map map,
    unsigned slot, uint32_t page, const struct dirtymap *dm)
{
	uint64_t word = (uint64_t)page * (MMETA_PAGE_BITS / 64);
	uint8_t *s;

	for (uint32_t i = 0; i < MMETA_PAGE / MMETA_SECTOR; i++) {
		s = buf + i * MMETA_SECTOR;
		for (int j = 0; j < MMETA_SECTOR_BITS / 64; j++)
			put_u64(s + MMETA_SECTOR_HDR + 8 * j,
			    dm == NULL ? 0 : dm_word(dm, word++));
		sector_seal(
		    s, tag, map, slot, page * (MMETA_PAGE / MMETA_SECTOR) + i);
	}
}

unsigned
mmeta_page_decode(const uint8_t buf[MMETA_PAGE], uint64_t tag,
    enum mmeta_map map, unsigned slot, uint32_t page, struct dirtymap *dm)
{
	uint64_t word = (uint64_t)page * (MMETA_PAGE_BITS / 64);
	uint8_t want[MMETA_SECTOR];
	unsigned bad = 0;

	for (uint32_t i = 0; i < MMETA_PAGE / MMETA_SECTOR; i++) {
		const uint8_t *s = buf + i * MMETA_SECTOR;
		bool ok;

		memcpy(want, s, MMETA_SECTOR);
		sector_seal(want, tag, map, slot,
		    page * (MMETA_PAGE / MMETA_SECTOR) + i);
		ok = memcmp(want, s, MMETA_SECTOR_HDR) == 0;
		bad += !ok;
		for (int j = 0; j < MMETA_SECTOR_BITS / 64; j++)
			dm_or_word(dm, word++,
			    ok ? get_u64(s + MMETA_SECTOR_HDR + 8 * j)
			       : ~UINT64_C(0));
	}
	return bad;
}

void
mmeta_format(struct mmeta_sb *sb, const struct mmeta_layout *l,
    const struct mmeta_new *n)
{
	ASSERT(n->tag != 0 && n->node >= 1 && n->node <= HAD_NODES_MAX);
	memset(sb, 0, sizeof(*sb));
	sb->gen = 1;
	sb->tag = n->tag;
	sb->cluster = n->cluster;
	strlcpy(sb->name, n->name, sizeof(sb->name));
	sb->node = n->node;
	sb->slots = l->slots;
	sb->data_bytes = sb->room_bytes = l->data_bytes;
	for (int i = 0; i < l->slots; i++)
		sb->slot[i].peer = n->peers[i];
	if (n->keep) {
		ASSERT(n->current != 0);
		memcpy(sb->volume_id, n->volume_id, 16);
		ASSERT(!mmeta_blank(sb));
		sb->current = n->current;
		sb->flags = MMETA_F_CONSISTENT | MMETA_F_UPTODATE;
	}
}

void
mmeta_format_page(const struct mmeta_sb *sb, const struct mmeta_layout *l,
    uint64_t off, uint8_t page[MMETA_PAGE])
{
	uint64_t at;

	ASSERT(off % MMETA_PAGE == 0 && off < l->meta_bytes);
	if (off == l->sb_off[0] || off == l->sb_off[1]) {
		mmeta_sb_encode(sb, page);
		return;
	}
	at = (off - l->intent_off) / MMETA_PAGE;
	if (at < l->intent_pages) {
		mmeta_page_encode(
		    page, sb->tag, MMETA_INTENT, 0, (uint32_t)at, NULL);
		return;
	}
	at -= l->intent_pages;
	if (at / l->bitmap_pages < l->slots)
		mmeta_page_encode(page, sb->tag, MMETA_BITMAP,
		    (unsigned)(at / l->bitmap_pages),
		    (uint32_t)(at % l->bitmap_pages), NULL);
	else
		memset(page, 0, MMETA_PAGE); /* room left over */
}
