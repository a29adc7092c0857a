/* SPDX-License-Identifier: BSD-2-Clause */
/* The witness's record: what it writes it reads, nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "witness_file.h"

static const struct wf_record sample = {
    .cluster = "shop",
    .epoch = 0x0102030405060708,
    .holder = 2,
    .incarnation = 99,
    .serial = 3,
};

/* CRC-32C, as an independent check of the checksum's place. */
static void
sign(uint8_t bytes[WF_SIZE])
{
	uint32_t crc = 0xffffffff;

	memset(bytes + 12, 0, 4);
	for (size_t i = 0; i < WF_SIZE; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	crc = ~crc;
	for (int i = 0; i < 4; i++)
		bytes[12 + i] = (uint8_t)(crc >> (8 * i));
}

static void
round_trip(void **state)
{
	static const uint8_t head[] = {
	    'h', 'a', 'd', 'l', 'e', 'a', 's', 'e', 1, 0, 2, 0};
	uint8_t bytes[WF_SIZE], signed_[WF_SIZE];
	struct wf_record r;
	const char *why;

	(void)state;
	wf_encode(&sample, bytes);
	assert_memory_equal(bytes, head, sizeof(head));
	assert_memory_equal(bytes + 16, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
	assert_memory_equal(bytes + 32, "shop\0", 5);
	memcpy(signed_, bytes, sizeof(bytes));
	sign(signed_);
	assert_memory_equal(bytes, signed_, sizeof(bytes));
	assert_int_equal(wf_decode(&r, "shop", bytes, WF_SIZE, &why), 0);
	assert_null(why);
	assert_string_equal(r.cluster, "shop");
	assert_true(r.epoch == sample.epoch);
	assert_int_equal(r.holder, 2);
	assert_true(r.incarnation == 99 && r.serial == 3);
}

static void
every_flipped_bit_is_refused(void **state)
{
	uint8_t bytes[WF_SIZE];
	struct wf_record r;
	const char *why;

	(void)state;
	wf_encode(&sample, bytes);
	for (size_t i = 0; i < WF_SIZE * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(
		    wf_decode(&r, "shop", bytes, WF_SIZE, &why), -1);
		assert_non_null(why);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

static void
refuse(const uint8_t *bytes, size_t len, const char *expected)
{
	struct wf_record r;
	const char *why = NULL;

	assert_int_equal(wf_decode(&r, "shop", bytes, len, &why), -1);
	assert_string_equal(why, expected);
}

static void
lengths(void **state)
{
	uint8_t bytes[WF_SIZE + 1] = {0};

	(void)state;
	wf_encode(&sample, bytes);
	for (size_t n = 0; n < WF_SIZE; n++)
		refuse(bytes, n, "truncated");
	refuse(bytes, WF_SIZE + 1, "too long");
}

/* One byte changed, with the right checksum. */
static void
spoilt(size_t at, uint8_t value, const char *expected)
{
	uint8_t bytes[WF_SIZE];

	wf_encode(&sample, bytes);
	assert_int_not_equal(bytes[at], value);
	bytes[at] = value;
	sign(bytes);
	refuse(bytes, WF_SIZE, expected);
}

static void
fields(void **state)
{
	uint8_t bytes[WF_SIZE];

	(void)state;
	spoilt(0, 'H', "not a witness's record (bad magic)");
	spoilt(8, 2, "written by another version");
	spoilt(9, 1, "written by another version");
	spoilt(10, HAD_NODES_MAX + 1, "holder out of range");
	spoilt(10, 0, "a lease without holder, or a holder without lease");
	spoilt(11, 1, "reserved bytes are not zero");
	for (size_t i = 72; i < WF_SIZE; i++)
		spoilt(i, 1, "reserved bytes are not zero");
	spoilt(32, 0, "bad cluster name");
	spoilt(63, 'x', "bad cluster name");
	spoilt(35, 't', "belongs to another cluster");
	wf_encode(&sample, bytes);
	memset(bytes + 16, 0, 8);
	sign(bytes);
	refuse(bytes, WF_SIZE,
	    "a lease without holder, or a holder without lease");
	wf_encode(&sample, bytes);
	memset(bytes + 32, 'n', 32);
	sign(bytes);
	refuse(bytes, WF_SIZE, "bad cluster name");
	wf_encode(&sample, bytes);
	bytes[12] ^= 1;
	refuse(bytes, WF_SIZE, "checksum does not match");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_trip),
	    cmocka_unit_test(every_flipped_bit_is_refused),
	    cmocka_unit_test(lengths),
	    cmocka_unit_test(fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
