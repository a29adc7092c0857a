/* SPDX-License-Identifier: BSD-2-Clause */
/* Metadata: layout, codecs, and what a torn or reordered write leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dirtymap.h"
#include "mmeta.h"
#include "wire.h"

static const char *why;

static void
crc_of_the_standard(void **state)
{
	uint8_t zero[32] = {0}, up[32];

	(void)state;
	for (int i = 0; i < 32; i++)
		up[i] = (uint8_t)i;
	/* RFC 3720, B.4 */
	assert_int_equal(mmeta_crc32c(zero, 32), 0x8a9136aau);
	assert_int_equal(mmeta_crc32c(up, 32), 0x46dd794eu);
	assert_int_equal(mmeta_crc32c("123456789", 9), 0xe3069283u);
}

static void
layouts(void **state)
{
	static const uint64_t sizes[] = {256 << 10, 1 << 20, 100 << 20,
	    UINT64_C(5) << 30, UINT64_C(1) << 40, UINT64_C(16) << 40};
	struct mmeta_layout l;

	(void)state;
	for (size_t i = 0; i < NITEMS(sizes); i++)
		for (unsigned slots = 1; slots <= MMETA_SLOTS; slots++)
			for (int internal = 0; internal < 2; internal++) {
				assert_int_equal(mmeta_plan(&l, sizes[i] + 511,
						     internal, slots, &why),
				    0);
				assert_int_equal(l.data_bytes % MMETA_PAGE, 0);
				if (internal)
					assert_true(l.meta_off + l.meta_bytes <=
						    sizes[i] + 511);
				else
					assert_int_equal(
					    l.data_bytes, sizes[i]);
				/* Each map has a bit for everything. */
				assert_true(l.intent_pages * MMETA_PAGE_BITS *
						MMETA_CHUNK >=
					    l.data_bytes);
				assert_true(l.bitmap_pages * MMETA_PAGE_BITS *
						MMETA_BLOCK >=
					    l.data_bytes);
				/* A thousandth is enough. */
				if (sizes[i] >= UINT64_C(1) << 40)
					assert_true(
					    l.meta_bytes <
					    l.data_bytes / 1000 * slots);
			}
	assert_int_equal(mmeta_plan(&l, 10000, true, 1, &why), -1);
	assert_string_equal(why, "the device is too small");
	assert_int_equal(
	    mmeta_plan(&l, UINT64_C(17) << 40, false, 1, &why), -1);
	assert_string_equal(why, "the device is larger than 16 TiB");
}

static void
sample(struct mmeta_sb *sb)
{
	memset(sb, 0, sizeof(*sb));
	sb->gen = 77;
	sb->tag = 0x1122334455667788;
	sb->cluster = mmeta_cluster("shop");
	memset(sb->volume_id, 3, 16);
	strcpy(sb->name, "orders");
	sb->node = 2;
	sb->slots = 2;
	sb->flags = MMETA_F_CONSISTENT | MMETA_F_PRIMARY;
	sb->data_bytes = 1 << 20;
	sb->room_bytes = 2 << 20;
	sb->epoch = 42;
	sb->current = 0xabc;
	for (int i = 0; i < MMETA_HISTORY; i++)
		sb->history[i] = 100 + (uint64_t)i;
	sb->slot[0] = (struct mmeta_slot){1, MMETA_S_FULL, 0xdef};
	sb->slot[1] = (struct mmeta_slot){3, 0, 0};
}

static void
superblock_there_and_back(void **state)
{
	struct mmeta_sb a, b;
	uint8_t page[MMETA_PAGE];

	(void)state;
	sample(&a);
	mmeta_sb_encode(&a, page);
	assert_int_equal(mmeta_sb_decode(&b, page, &why), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	/* Any flipped bit is seen. */
	for (unsigned i = 0; i < MMETA_PAGE * 8; i += 7) {
		page[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(mmeta_sb_decode(&b, page, &why), -1);
		page[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

/* Well sealed nonsense: each has its reason. */
static void
superblock_that_makes_no_sense(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
		const char *text;
	} bad[] = {
	    {0, 'x', "no superblock"},
	    {8, 9, "superblock of another version of had"},
	    {90, 13, "unknown page, chunk or block size"},
	    {89, 0, "bad number of peers"},
	    {89, 9, "bad number of peers"},
	    {88, 0, "bad node id"},
	    {88, 17, "bad node id"},
	    {98, 1, "unknown flags"},
	    {112, 1, "bad size of the device"},
	    {104, 1, "bad size of the volume"},
	    {200, 99, "bad peer"},
	    {201, 64, "bad peer"},
	};
	struct mmeta_sb sb;
	uint8_t page[MMETA_PAGE];

	(void)state;
	for (size_t i = 0; i < NITEMS(bad); i++) {
		sample(&sb);
		mmeta_sb_encode(&sb, page);
		page[bad[i].at] = bad[i].value;
		put_u32(page + 12, 0);
		put_u32(page + 12, mmeta_crc32c(page, MMETA_PAGE));
		assert_int_equal(mmeta_sb_decode(&sb, page, &why), -1);
		assert_string_equal(why, bad[i].text);
	}
	sample(&sb);
	sb.current = 0;
	mmeta_sb_encode(&sb, page);
	assert_int_equal(mmeta_sb_decode(&sb, page, &why), -1);
	memset(sb.name, 'a', sizeof(sb.name));
	sb.current = 1;
	mmeta_sb_encode(&sb, page);
	assert_int_equal(mmeta_sb_decode(&sb, page, &why), -1);
	assert_string_equal(why, "bad volume name");
}

/*
 * One update: copy A, stable, then copy B.  Cut with any subset of the sectors
 * of the page under way written: old or new, and once A is stable, new.
 */
static void
update_cut_anywhere(void **state)
{
	struct mmeta_sb old, new, got;
	uint8_t po[MMETA_PAGE], pn[MMETA_PAGE], disk[2][MMETA_PAGE];
	int which;

	(void)state;
	sample(&old);
	new = old;
	new.gen++;
	new.current = 0x999;
	/* Differences in more than one sector would be possible, too. */
	mmeta_sb_encode(&old, po);
	mmeta_sb_encode(&new, pn);
	pn[3000] = 1; /* as of a later version with more fields */
	put_u32(pn + 12, 0);
	put_u32(pn + 12, mmeta_crc32c(pn, MMETA_PAGE));
	for (int copy = 0; copy < 2; copy++)
		for (unsigned mask = 0; mask < 256; mask++) {
			memcpy(disk[0], copy == 1 ? pn : po, MMETA_PAGE);
			memcpy(disk[1], po, MMETA_PAGE);
			for (int s = 0; s < 8; s++)
				if (mask >> s & 1)
					memcpy(disk[copy] + s * 512,
					    pn + s * 512, 512);
			assert_int_equal(
			    mmeta_sb_pick(&got, disk[0], disk[1], &which, &why),
			    0);
			if (copy == 1 || mask == 255)
				assert_int_equal(got.current, new.current);
			else
				assert_true(got.current == old.current ||
					    got.current == new.current);
			assert_true(got.gen == old.gen || got.gen == new.gen);
		}
	/* At any byte. */
	for (int cut = 0; cut <= MMETA_PAGE; cut++) {
		memcpy(disk[0], po, MMETA_PAGE);
		memcpy(disk[1], po, MMETA_PAGE);
		memcpy(disk[0], pn, (size_t)cut);
		assert_int_equal(
		    mmeta_sb_pick(&got, disk[0], disk[1], &which, &why), 0);
		assert_int_equal(got.current,
		    cut == MMETA_PAGE || memcmp(disk[0], pn, MMETA_PAGE) == 0
			? new.current
			: old.current);
	}
	memset(disk, 0, sizeof(disk));
	assert_int_equal(
	    mmeta_sb_pick(&got, disk[0], disk[1], &which, &why), -1);
	assert_string_equal(why, "no superblock");
	memcpy(disk[0], pn, 100);
	assert_int_equal(
	    mmeta_sb_pick(&got, disk[0], disk[1], &which, &why), -1);
	assert_string_equal(why, "superblock damaged (checksum)");
}

static void
map_page_there_and_back(void **state)
{
	struct dirtymap a, b;
	uint8_t page[MMETA_PAGE];
	uint64_t nbits = MMETA_PAGE_BITS * 2 + 1000;

	(void)state;
	assert_int_equal(dm_init(&a, nbits), 0);
	assert_int_equal(dm_init(&b, nbits), 0);
	for (uint64_t i = 0; i < nbits; i += 1 + i % 91)
		dm_set(&a, i, 1);
	for (uint32_t p = 0; p < 3; p++) {
		mmeta_page_encode(page, 5, MMETA_BITMAP, 3, p, &a);
		assert_int_equal(
		    mmeta_page_decode(page, 5, MMETA_BITMAP, 3, p, &b), 0);
	}
	assert_int_equal(a.count, b.count);
	for (uint64_t i = 0; i < nbits; i++)
		assert_int_equal(dm_test(&a, i), dm_test(&b, i));
	dm_fini(&a);
	dm_fini(&b);
}

/* Torn between sectors: each bit old or new.  Otherwise: all ones. */
static void
map_page_torn_or_out_of_place(void **state)
{
	struct dirtymap o, n, got;
	uint8_t po[MMETA_PAGE], pn[MMETA_PAGE], page[MMETA_PAGE];

	(void)state;
	assert_int_equal(dm_init(&o, MMETA_PAGE_BITS), 0);
	assert_int_equal(dm_init(&n, MMETA_PAGE_BITS), 0);
	assert_int_equal(dm_init(&got, MMETA_PAGE_BITS), 0);
	for (uint64_t i = 0; i < MMETA_PAGE_BITS; i += 37) {
		dm_set(&o, i, 1);
		dm_set(
		    &n, i + 5 < MMETA_PAGE_BITS ? i + 5 : i, 2 - (i > 31000));
	}
	mmeta_page_encode(po, 5, MMETA_INTENT, 0, 0, &o);
	mmeta_page_encode(pn, 5, MMETA_INTENT, 0, 0, &n);
	for (unsigned mask = 0; mask < 256; mask++) {
		for (int s = 0; s < 8; s++)
			memcpy(page + s * 512,
			    (mask >> s & 1 ? pn : po) + s * 512, 512);
		dm_clear_all(&got);
		assert_int_equal(
		    mmeta_page_decode(page, 5, MMETA_INTENT, 0, 0, &got), 0);
		for (uint64_t i = 0; i < MMETA_PAGE_BITS; i++)
			assert_int_equal(dm_test(&got, i),
			    dm_test(
				mask >> (i / MMETA_SECTOR_BITS) & 1 ? &n : &o,
				i));
	}
	/* Torn within a sector, foreign, out of place, or nothing at all. */
	for (int k = 0; k < 6; k++) {
		memcpy(page, po, MMETA_PAGE);
		if (k == 0)
			memcpy(page + 700, pn + 700, 100);
		if (k == 1)
			memset(page, 0, MMETA_PAGE);
		dm_clear_all(&got);
		assert_int_equal(mmeta_page_decode(page, k == 2 ? 6 : 5,
				     k == 3 ? MMETA_BITMAP : MMETA_INTENT,
				     k == 4, k == 5, &got),
		    k == 0 ? 1 : 8);
		if (k == 0) {
			assert_true(
			    dm_all(&got, MMETA_SECTOR_BITS, MMETA_SECTOR_BITS));
			assert_int_equal(dm_test(&got, 1), dm_test(&o, 1));
		} else if (k != 5) {
			assert_int_equal(got.count, MMETA_PAGE_BITS);
		}
	}
	dm_fini(&o);
	dm_fini(&n);
	dm_fini(&got);
}

static void
fresh_metadata_load(void **state)
{
	struct mmeta_layout l;
	struct mmeta_sb sb, got;
	struct mmeta_new n = {.cluster = mmeta_cluster("shop"),
	    .name = "orders",
	    .node = 1,
	    .peers = {2, 3},
	    .tag = 9,
	    .volume_id = {1},
	    .current = 4};
	uint8_t page[MMETA_PAGE];
	struct dirtymap dm;

	(void)state;
	assert_int_equal(mmeta_plan(&l, 300 << 20, true, 2, &why), 0);
	assert_int_equal(dm_init(&dm, l.data_bytes / MMETA_BLOCK), 0);
	for (int keep = 0; keep < 2; keep++) {
		n.keep = keep;
		mmeta_format(&sb, &l, &n);
		assert_int_equal(mmeta_blank(&sb), !keep);
		for (int c = 0; c < 2; c++) {
			mmeta_format_page(&sb, &l, l.sb_off[c], page);
			assert_int_equal(mmeta_sb_decode(&got, page, &why), 0);
			assert_memory_equal(&got, &sb, sizeof(sb));
		}
		for (uint32_t p = 0; p < l.intent_pages; p++) {
			mmeta_format_page(
			    &sb, &l, l.intent_off + p * MMETA_PAGE, page);
			assert_int_equal(
			    mmeta_page_decode(page, 9, MMETA_INTENT, 0, p, &dm),
			    0);
		}
		for (unsigned s = 0; s < 2; s++)
			for (uint32_t p = 0; p < l.bitmap_pages; p++) {
				mmeta_format_page(&sb, &l,
				    l.bitmap_off[s] + p * MMETA_PAGE, page);
				assert_int_equal(mmeta_page_decode(page, 9,
						     MMETA_BITMAP, s, p, &dm),
				    0);
			}
		assert_int_equal(dm.count, 0);
	}
	dm_fini(&dm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(crc_of_the_standard),
	    cmocka_unit_test(layouts),
	    cmocka_unit_test(superblock_there_and_back),
	    cmocka_unit_test(superblock_that_makes_no_sense),
	    cmocka_unit_test(update_cut_anywhere),
	    cmocka_unit_test(map_page_there_and_back),
	    cmocka_unit_test(map_page_torn_or_out_of_place),
	    cmocka_unit_test(fresh_metadata_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
