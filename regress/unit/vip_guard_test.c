/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guard in a real kernel: an address answers exactly while its holder is
 * alive, entitled and in time.
 */
#include "vip_net.h"

static const uint8_t vip4[4] = {10, 9, 0, 80};

static void
take_both(int where)
{
	holder_cmd(where, 'V', 1);
	holder_cmd(where, 'T', WEB4);
	holder_cmd(where, 'T', WEB6);
	WAIT_STATE(where, WEB4, VIP_ACTIVE);
	WAIT_STATE(where, WEB6, VIP_ACTIVE);
}

static void
test_closed_guard_is_silent(void **state)
{
	static const uint8_t own[4] = {10, 9, 0, 1};

	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	holder_cmd(ALPHA, 'T', WEB4);
	holder_cmd(ALPHA, 'T', WEB6);
	WAIT_STATE(ALPHA, WEB4, VIP_MUTED);
	WAIT_STATE(ALPHA, WEB6, VIP_MUTED);
	/* Both are on the interface, and nothing comes of it. */
	assert_int_equal(run_in(ALPHA, "ip addr | grep -q '" VIP4 "/24'"), 0);
	assert_int_equal(run_in(ALPHA, "ip addr | grep -q '" VIP6 "/64'"), 0);
	assert_int_equal(arp_who(vip4, 50), 0);
	assert_false(tcp_answers(VIP4, 50));
	assert_false(tcp_answers(VIP6, 50));
	/* Nor if the client knows where to send, so that no reset comes. */
	client_pin(ALPHA);
	assert_false(tcp_answers(VIP4, 50));
	assert_false(tcp_answers(VIP6, 50));
	assert_int_not_equal(
	    run_in(CLIENT, "ping -c1 -W1 -q " VIP4 " >/dev/null 2>&1"), 0);
	/* The machine's own addresses are not concerned. */
	assert_int_equal(arp_who(own, 500), 0xa);
	assert_true(tcp_answers("10.9.0.1", 500));
	assert_true(tcp_answers("fd09::1", 500));
}

static void
test_open_guard_answers(void **state)
{
	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	assert_int_equal(arp_who(vip4, 500), 0xa);
	assert_true(tcp_answers(VIP4, 500));
	assert_true(tcp_answers(VIP6, 500));
	print_message("lease batch: %u us, at most %u us\n",
	    spaces[ALPHA].h.page->guard.lease_us_last,
	    spaces[ALPHA].h.page->guard.lease_us_max);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_closed_guard_is_silent, world_clean),
	    cmocka_unit_test_teardown(test_open_guard_answers, world_clean),
	};

	return cmocka_run_group_tests(tests, world_up, world_down);
}
