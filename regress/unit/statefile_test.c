/* SPDX-License-Identifier: BSD-2-Clause */
/* The durable record's codec: what it writes it reads, nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "statefile.h"

static const struct sf_record sample = {
    .cluster = "shop",
    .node = 2,
    .epoch = 0x0102030405060708,
    .serial = 77,
    .solo = true,
    .clean = false,
    .peer = {4, 0, 1},
    .seeds = 0x01020304,
};

/* The layout is a contract with files of older daemons. */
static const uint8_t golden_head[] = {
    'h', 'a', 'd', 's', 't', 'a', 't', 'e', 1, 0, 1, 2};

static void
round_trip(void **state)
{
	uint8_t bytes[SF_SIZE], again[SF_SIZE];
	struct sf_record r;
	const char *why;

	(void)state;
	sf_encode(&sample, bytes);
	assert_memory_equal(bytes, golden_head, sizeof(golden_head));
	assert_memory_equal(bytes + 16, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
	assert_memory_equal(bytes + 80, "\x04\x03\x02\x01", 4);
	assert_int_equal(sf_decode(&r, bytes, sizeof(bytes), &why), 0);
	assert_null(why);
	assert_true(r.seeds == sample.seeds);
	assert_string_equal(r.cluster, "shop");
	assert_int_equal(r.node, 2);
	assert_true(r.epoch == sample.epoch);
	assert_true(r.serial == 77);
	assert_true(r.solo);
	assert_false(r.clean);
	assert_memory_equal(r.peer, sample.peer, sizeof(r.peer));
	sf_encode(&r, again);
	assert_memory_equal(bytes, again, sizeof(bytes));
}

static void
every_flipped_bit_is_refused(void **state)
{
	uint8_t bytes[SF_SIZE];
	struct sf_record r;
	const char *why;

	(void)state;
	sf_encode(&sample, bytes);
	for (size_t i = 0; i < SF_SIZE * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(sf_decode(&r, bytes, SF_SIZE, &why), -1);
		assert_non_null(why);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(sf_decode(&r, bytes, SF_SIZE, &why), 0);
}

static void
refuse(const uint8_t *bytes, size_t len, const char *expected)
{
	struct sf_record r;
	const char *why = NULL;

	assert_int_equal(sf_decode(&r, bytes, len, &why), -1);
	assert_string_equal(why, expected);
}

/* CRC-32C, bit by bit, as an independent check of the checksum's place. */
static void
seal(uint8_t bytes[SF_SIZE])
{
	uint32_t crc = UINT32_MAX;

	memset(bytes + 12, 0, 4);
	for (int i = 0; i < SF_SIZE; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
	}
	for (int i = 0; i < 4; i++)
		bytes[12 + i] = (uint8_t)(~crc >> 8 * i);
}

static void
every_reject_has_its_reason(void **state)
{
	uint8_t good[SF_SIZE], b[SF_SIZE + 1];

	(void)state;
	sf_encode(&sample, good);
#define FRESH() (memset(b, 0, sizeof(b)), memcpy(b, good, SF_SIZE))
	FRESH();
	refuse(b, 0, "truncated");
	refuse(b, SF_SIZE - 1, "truncated");
	refuse(b, SF_SIZE + 1, "too long");
	b[0] = 'x';
	refuse(b, SF_SIZE, "not a state file (bad magic)");
	FRESH();
	b[8] = 2;
	seal(b);
	refuse(b, SF_SIZE, "written by another version");
	FRESH();
	b[20]++;
	refuse(b, SF_SIZE, "checksum does not match");
	FRESH();
	b[10] |= 4;
	seal(b);
	refuse(b, SF_SIZE, "unknown flags");
	FRESH();
	b[11] = 0;
	seal(b);
	refuse(b, SF_SIZE, "node id out of range");
	b[11] = HAD_NODES_MAX + 1;
	seal(b);
	refuse(b, SF_SIZE, "node id out of range");
	FRESH();
	b[32] = 0;
	seal(b);
	refuse(b, SF_SIZE, "bad cluster name");
	FRESH();
	memset(b + 32, 'a', HAD_NAME_MAX);
	seal(b);
	refuse(b, SF_SIZE, "bad cluster name");
	FRESH();
	b[32 + HAD_NAME_MAX - 1] = 'a';
	seal(b);
	refuse(b, SF_SIZE, "bad cluster name");
	FRESH();
	b[SF_SIZE - 1] = 1;
	seal(b);
	refuse(b, SF_SIZE, "reserved bytes are not zero");
}

static void
a_foreign_record_is_refused(void **state)
{
	const char *why;

	(void)state;
	assert_int_equal(sf_mine(&sample, "shop", 2, &why), 0);
	assert_null(why);
	assert_int_equal(sf_mine(&sample, "shop2", 2, &why), -1);
	assert_string_equal(why, "belongs to another cluster");
	assert_int_equal(sf_mine(&sample, "shop", 1, &why), -1);
	assert_string_equal(why, "belongs to another node");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_trip),
	    cmocka_unit_test(every_flipped_bit_is_refused),
	    cmocka_unit_test(every_reject_has_its_reason),
	    cmocka_unit_test(a_foreign_record_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
