/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Announcements byte by byte, and what counts as another machine's claim.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "vip_packet.h"

static const uint8_t mac[6] = {0x02, 0, 0, 0, 0, 0x0a};
static const uint8_t ip4[4] = {192, 0, 2, 80};
static const uint8_t ip6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 0x80};

static void
refused(const uint8_t *frame, size_t len, const char *want)
{
	struct vip_claim c;
	const char *why = NULL;

	assert_int_equal(vip_claim_decode(&c, frame, len, &why), -1);
	assert_string_equal(why, want);
}

static void
test_arp_bytes(void **state)
{
	static const uint8_t request[VIP_ARP_LEN] = {0xff, 0xff, 0xff, 0xff,
	    0xff, 0xff, 2, 0, 0, 0, 0, 0x0a, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0,
	    0, 0, 0, 0x0a, 192, 0, 2, 80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	    192, 0, 2, 80};
	static const uint8_t reply[VIP_ARP_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff,
	    0xff, 2, 0, 0, 0, 0, 0x0a, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0,
	    0, 0x0a, 192, 0, 2, 80, 2, 0, 0, 0, 0, 0x0a, 192, 0, 2, 80};
	uint8_t f[VIP_ARP_LEN];

	(void)state;
	vip_arp_encode(f, VIP_ARP_REQUEST, mac, ip4);
	assert_memory_equal(f, request, sizeof(f));
	vip_arp_encode(f, VIP_ARP_REPLY, mac, ip4);
	assert_memory_equal(f, reply, sizeof(f));
}

static void
test_na_bytes(void **state)
{
	static const uint8_t want[VIP_NA_LEN] = {0x33, 0x33, 0, 0, 0, 1, 2, 0,
	    0, 0, 0, 0x0a, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255,
	    /* from the address itself to all nodes */
	    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff,
	    2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	    /*
	     * The checksum: twice 2001 + 0db8 + 0080, ff02 + 0001, length 20,
	     * protocol 3a, 8800 + 2000, option 0201 + 0200 + 000a make
	     * 207da; folded and inverted.
	     */
	    136, 0, 0xf8, 0x23, 0x20, 0, 0, 0, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0,
	    0, 0, 0, 0, 0, 0, 0, 0, 0x80, 2, 1, 2, 0, 0, 0, 0, 0x0a};
	uint8_t f[VIP_NA_LEN];

	(void)state;
	vip_na_encode(f, mac, ip6, false);
	assert_memory_equal(f, want, sizeof(f));
	vip_na_encode(f, mac, ip6, true);
	assert_int_equal(f[58], 0xa0);
}

static void
test_own_announcements_are_claims(void **state)
{
	uint8_t f[VIP_PACKET_MAX];
	struct vip_claim c;
	const char *why;

	(void)state;
	vip_arp_encode(f, VIP_ARP_REPLY, mac, ip4);
	assert_int_equal(vip_claim_decode(&c, f, VIP_ARP_LEN, &why), 0);
	assert_int_equal(c.family, 4);
	assert_memory_equal(c.ip, ip4, 4);
	assert_memory_equal(c.mac, mac, 6);
	vip_na_encode(f, mac, ip6, true);
	assert_int_equal(vip_claim_decode(&c, f, VIP_NA_LEN, &why), 0);
	assert_int_equal(c.family, 6);
	assert_memory_equal(c.ip, ip6, 16);
	assert_memory_equal(c.mac, mac, 6);
}

static void
test_bad_arp(void **state)
{
	uint8_t f[VIP_ARP_LEN];

	(void)state;
	vip_arp_encode(f, VIP_ARP_REQUEST, mac, ip4);
	refused(f, 13, "frame: too short");
	refused(f, VIP_ARP_LEN - 1, "ARP: too short");
	f[15] = 6;
	refused(f, sizeof(f), "ARP: not of Ethernet");
	vip_arp_encode(f, VIP_ARP_REQUEST, mac, ip4);
	f[19] = 16;
	refused(f, sizeof(f), "ARP: not for IPv4");
	vip_arp_encode(f, VIP_ARP_REQUEST, mac, ip4);
	f[21] = 3;
	refused(f, sizeof(f), "ARP: neither request nor reply");
	vip_arp_encode(f, VIP_ARP_REQUEST, mac, ip4);
	memset(f + 28, 0, 4);
	refused(f, sizeof(f), "ARP: a probe claims nothing");
	f[12] = 0x81;
	refused(f, sizeof(f), "frame: neither ARP nor IPv6");
}

static void
test_bad_na(void **state)
{
	uint8_t f[VIP_NA_LEN];

	(void)state;
	vip_na_encode(f, mac, ip6, false);
	refused(f, 14 + 39, "IPv6: too short or another version");
	refused(f, VIP_NA_LEN - 1, "IPv6: shorter than its header says");
	f[14] = 0x40;
	refused(f, sizeof(f), "IPv6: too short or another version");
	vip_na_encode(f, mac, ip6, false);
	f[54] = 135;
	refused(f, sizeof(f), "IPv6: not a neighbour advertisement");
	vip_na_encode(f, mac, ip6, false);
	f[19] = 23; /* payload length */
	refused(f, sizeof(f), "IPv6: not a neighbour advertisement");
	vip_na_encode(f, mac, ip6, false);
	f[21] = 254;
	refused(f, sizeof(f), "NA: hop limit is not 255");
	vip_na_encode(f, mac, ip6, false);
	f[55] = 1;
	refused(f, sizeof(f), "NA: code is not 0");
	vip_na_encode(f, mac, ip6, false);
	f[70] ^= 1;
	refused(f, sizeof(f), "NA: wrong checksum");
}

/* Puts the checksum right after a change, the slow way. */
static void
resum(uint8_t *f, size_t len)
{
	uint32_t sum = 58 + (uint32_t)(len - 54);
	size_t i;

	f[56] = f[57] = 0;
	for (i = 22; i < len; i += 2)
		sum += (uint32_t)(f[i] << 8 | f[i + 1]);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	f[56] = (uint8_t)(~sum >> 8);
	f[57] = (uint8_t)~sum;
}

static void
test_na_options(void **state)
{
	uint8_t f[VIP_NA_LEN];
	struct vip_claim c;
	const char *why;

	(void)state;
	vip_na_encode(f, mac, ip6, false);
	f[79] = 0; /* an option without length never ends */
	resum(f, sizeof(f));
	refused(f, sizeof(f), "NA: bad option length");
	f[79] = 2; /* longer than what is left */
	resum(f, sizeof(f));
	refused(f, sizeof(f), "NA: bad option length");
	vip_na_encode(f, mac, ip6, false);
	f[62] = 0xff;
	resum(f, sizeof(f));
	refused(f, sizeof(f), "NA: multicast target");
	/* Another option: the frame's source counts. */
	vip_na_encode(f, mac, ip6, false);
	f[78] = 99;
	f[85] = 0x77;
	resum(f, sizeof(f));
	assert_int_equal(vip_claim_decode(&c, f, sizeof(f), &why), 0);
	assert_memory_equal(c.mac, mac, 6);
	/* The option's address counts, not the frame's. */
	f[78] = 2;
	resum(f, sizeof(f));
	assert_int_equal(vip_claim_decode(&c, f, sizeof(f), &why), 0);
	assert_int_equal(c.mac[5], 0x77);
	/* None at all. */
	f[19] = 24;
	resum(f, VIP_NA_LEN - 8);
	assert_int_equal(vip_claim_decode(&c, f, VIP_NA_LEN - 8, &why), 0);
	assert_memory_equal(c.mac, mac, 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_arp_bytes),
	    cmocka_unit_test(test_na_bytes),
	    cmocka_unit_test(test_own_announcements_are_claims),
	    cmocka_unit_test(test_bad_arp),
	    cmocka_unit_test(test_bad_na),
	    cmocka_unit_test(test_na_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
