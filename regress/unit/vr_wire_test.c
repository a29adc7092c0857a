/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What nodes tell one another of routers: golden bytes, and each refusal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vr_wire.h"

static const struct vr_wire gw = {
    .ifname = "lan0",
    .proto = VR_VRRP3,
    .family = 4,
    .vrid = 51,
    .peer = {.holds = true,
	.wants = true,
	.priority = 200,
	.rank = 0xfe65, /* CARP: advbase 1, skew 154 */
	.addr = {10, 9, 0, 1}},
    .lan_ok = true,
    .asks = true,
};

static const uint8_t golden[VR_WIRE_LEN] = {'l', 'a', 'n',
    '0', [32] = 1, [33] = 4, [34] = 51, [35] = 0x55, [36] = 200, [38] = 0x65,
    [39] = 0xfe, [40] = 10, 9, 0, 1};

static void
test_golden(void **state)
{
	uint8_t buf[VR_WIRE_LEN];
	struct vr_wire back;
	const char *why;

	(void)state;
	vr_wire_put(buf, &gw);
	assert_memory_equal(buf, golden, sizeof(buf));
	assert_int_equal(vr_wire_get(&back, buf, &why), 0);
	assert_memory_equal(&back, &gw, sizeof(back));
}

static void
test_every_flag_comes_back(void **state)
{
	uint8_t buf[VR_WIRE_LEN], again[VR_WIRE_LEN];
	struct vr_wire back;
	const char *why;

	(void)state;
	for (unsigned f = 0; f <= UINT8_MAX; f++) {
		memcpy(buf, golden, sizeof(buf));
		buf[35] = (uint8_t)f;
		assert_int_equal(vr_wire_get(&back, buf, &why), 0);
		vr_wire_put(again, &back);
		assert_memory_equal(buf, again, sizeof(buf));
	}
}

static void
refused(unsigned at, uint8_t value, const char *text)
{
	uint8_t buf[VR_WIRE_LEN];
	struct vr_wire back;
	const char *why = "";

	memcpy(buf, golden, sizeof(buf));
	buf[at] = value;
	assert_int_equal(vr_wire_get(&back, buf, &why), -1);
	assert_non_null(strstr(why, text));
}

static void
test_refusals(void **state)
{
	(void)state;
	refused(0, 0, "without an interface");
	refused(31, 'x', "too long");
	refused(16, 'x', "too long");
	refused(32, 3, "unknown protocol");
	refused(33, 5, "unknown protocol");
	refused(34, 0, "unknown protocol");
	refused(37, 1, "unknown flags");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_every_flag_comes_back),
	    cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
