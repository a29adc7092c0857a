/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of the codecs of VRRP and CARP: captured frames, and checksums
 * mended after a byte was changed.
 */
#ifndef ADV_PCAP_H
#define ADV_PCAP_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "adv_frame.h"

enum { PCAP_HEAD = 24, PCAP_RECORD = 16, FRAME_MAX = 256 };

struct pcap {
	FILE *f; /* owned */
	uint8_t frame[FRAME_MAX]; /* the last one read */
	size_t len;
};

static inline uint32_t
pcap_get32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void
pcap_open(struct pcap *c, const char *name)
{
	uint8_t head[PCAP_HEAD];
	char path[128];

	snprintf(path, sizeof(path), "regress/vectors/%s", name);
	c->f = fopen(path, "rb");
	assert_non_null(c->f);
	assert_int_equal(fread(head, 1, sizeof(head), c->f), sizeof(head));
	assert_int_equal(pcap_get32(head), 0xa1b2c3d4);
	assert_int_equal(pcap_get32(head + 20), 1); /* Ethernet */
}

/* The next frame; false, and closed, after the last. */
static inline bool
pcap_next(struct pcap *c)
{
	uint8_t rec[PCAP_RECORD];
	size_t n = fread(rec, 1, sizeof(rec), c->f);

	if (n == 0) {
		fclose(c->f);
		return false;
	}
	assert_int_equal(n, sizeof(rec));
	c->len = pcap_get32(rec + 8);
	assert_int_equal(c->len, pcap_get32(rec + 12)); /* whole */
	assert_in_range(c->len, ADV_ETH_LEN, FRAME_MAX);
	assert_int_equal(fread(c->frame, 1, c->len, c->f), c->len);
	return true;
}

/* Is it an advertisement, of whichever protocol? */
static inline bool
pcap_is_advert(const struct pcap *c)
{
	const uint8_t *ip = c->frame + ADV_ETH_LEN;

	return (c->frame[12] == 0x08 && c->frame[13] == 0 &&
		   ip[9] == ADV_PROTO) ||
	       (c->frame[12] == 0x86 && ip[6] == ADV_PROTO);
}

/* Puts a right checksum at msg[at], over len bytes and what sum has already. */
static inline void
mend_sum(uint8_t *msg, size_t len, size_t at, uint32_t sum)
{
	uint16_t v;

	msg[at] = 0;
	msg[at + 1] = 0;
	v = adv_sum_end(adv_sum(sum, msg, len));
	msg[at] = (uint8_t)(v >> 8);
	msg[at + 1] = (uint8_t)v;
}

/* A right header checksum for the IPv4 packet. */
static inline void
mend_ip4(uint8_t *ip)
{
	mend_sum(ip, (size_t)(ip[0] & 15) * 4, 10, 0);
}

#endif
