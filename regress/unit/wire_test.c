/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The envelope and the heartbeat: golden bytes both ways, and every way to be
 * malformed has its own words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire.h"

static const uint8_t golden_hdr[WIRE_HDR_LEN] = {1, 5, 2, 3, 0x78, 0x56, 0x34,
    0x12, 8, 7, 6, 5, 4, 3, 2, 1, 42, 0, 0, 0, 0, 0, 0, 0};

static void
envelope_is_golden_both_ways(void **state)
{
	struct wire_hdr h = {.core = WIRE_MIRROR,
	    .sender = 2,
	    .instance = 3,
	    .session = 0x12345678,
	    .incarnation = 0x0102030405060708,
	    .epoch = 42};
	struct wire_hdr got;
	uint8_t buf[WIRE_HDR_LEN];
	const char *why = NULL;

	(void)state;
	wire_put_hdr(buf, &h);
	assert_memory_equal(buf, golden_hdr, sizeof(buf));
	assert_int_equal(wire_get_hdr(&got, buf, sizeof(buf), &why), 0);
	assert_int_equal(got.core, WIRE_MIRROR);
	assert_int_equal(got.sender, 2);
	assert_int_equal(got.instance, 3);
	assert_true(got.session == 0x12345678);
	assert_true(got.incarnation == h.incarnation && got.epoch == 42);
}

static void
refused(size_t at, uint8_t value, size_t len, const char *expect)
{
	struct wire_hdr got;
	uint8_t buf[WIRE_HDR_LEN];
	const char *why = NULL;

	memcpy(buf, golden_hdr, sizeof(buf));
	if (at < sizeof(buf))
		buf[at] = value;
	assert_int_equal(wire_get_hdr(&got, buf, len, &why), -1);
	assert_string_equal(why, expect);
}

static void
each_malformed_envelope_has_its_own_reason(void **state)
{
	(void)state;
	refused(99, 0, WIRE_HDR_LEN - 1, "shorter than its envelope");
	refused(99, 0, 0, "shorter than its envelope");
	refused(0, 9, WIRE_HDR_LEN, "of another version of the protocol");
	refused(1, 0, WIRE_HDR_LEN, "for an unknown core");
	refused(1, WIRE_CORE_END, WIRE_HDR_LEN, "for an unknown core");
	refused(2, 0, WIRE_HDR_LEN, "from an impossible node id");
	refused(2, 17, WIRE_HDR_LEN, "from an impossible node id");
}

static void
heartbeat_round_trips_and_refuses(void **state)
{
	struct wire_hb hb = {.seq = 7,
	    .sent_us = -5,
	    .echo_us = 1234567890123,
	    .echo_age_us = 99,
	    .lease_ms = 300,
	    .link = 1,
	    .flags = WIRE_HB_VOUCHED,
	    .heard_us = 0xabcdef0123456789,
	    .digest = 0xfedcba9876543210};
	struct wire_hb got;
	uint8_t buf[WIRE_HB_LEN + 1];
	const char *why = NULL;

	(void)state;
	memset(&got, 0, sizeof(got));
	wire_put_hb(buf, &hb);
	assert_int_equal(wire_get_hb(&got, buf, WIRE_HB_LEN, &why), 0);
	assert_true(got.seq == 7 && got.sent_us == -5);
	assert_true(got.echo_us == hb.echo_us && got.echo_age_us == 99);
	assert_true(got.lease_ms == 300 && got.link == 1 && got.flags == 1);
	assert_true(got.digest == hb.digest);
	assert_true(got.heard_us == 0xef0123456789);
	assert_int_equal(wire_get_hb(&got, buf, WIRE_HB_LEN - 1, &why), -1);
	assert_string_equal(why, "heartbeat of a wrong length");
	buf[32] = HAD_LINKS_MAX;
	assert_int_equal(wire_get_hb(&got, buf, WIRE_HB_LEN, &why), -1);
	assert_string_equal(why, "heartbeat of an impossible link");
}

static void
hello_round_trips_and_refuses(void **state)
{
	struct wire_hello h = {
	    .version = "0.1.0", .cluster = "shop", .digest = 5};
	struct wire_hello got;
	uint8_t buf[WIRE_HELLO_LEN];
	const char *why = NULL;

	(void)state;
	wire_put_hello(buf, &h);
	assert_int_equal(wire_get_hello(&got, buf, sizeof(buf), &why), 0);
	assert_string_equal(got.version, "0.1.0");
	assert_string_equal(got.cluster, "shop");
	assert_true(got.digest == 5);
	assert_int_equal(wire_get_hello(&got, buf, 3, &why), -1);
	assert_string_equal(why, "greeting of a wrong length");
	buf[31] = 'x';
	assert_int_equal(wire_get_hello(&got, buf, sizeof(buf), &why), -1);
	assert_string_equal(why, "greeting with an unterminated name");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(envelope_is_golden_both_ways),
	    cmocka_unit_test(each_malformed_envelope_has_its_own_reason),
	    cmocka_unit_test(heartbeat_round_trips_and_refuses),
	    cmocka_unit_test(hello_round_trips_and_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
