/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "wire.h"

void
wire_put_hdr(uint8_t buf[WIRE_HDR_LEN], const struct wire_hdr *h)
{
	ASSERT(h->core > 0 && h->core < WIRE_CORE_END);
	ASSERT(h->sender >= 1 && h->sender <= HAD_NODES_MAX);
	buf[0] = WIRE_VERSION;
	buf[1] = h->core;
	buf[2] = h->sender;
	buf[3] = h->instance;
	put_u32(buf + 4, h->session);
	put_u64(buf + 8, h->incarnation);
	put_u64(buf + 16, h->epoch);
}

int
wire_get_hdr(
    struct wire_hdr *h, const uint8_t *buf, size_t len, const char **why)
{
	if (len < WIRE_HDR_LEN) {
		*why = "shorter than its envelope";
		return -1;
	}
	if (buf[0] != WIRE_VERSION) {
		*why = "of another version of the protocol";
		return -1;
	}
	if (buf[1] == 0 || buf[1] >= WIRE_CORE_END) {
		*why = "for an unknown core";
		return -1;
	}
	if (buf[2] < 1 || buf[2] > HAD_NODES_MAX) {
		*why = "from an impossible node id";
		return -1;
	}
	h->core = buf[1];
	h->sender = buf[2];
	h->instance = buf[3];
	h->session = get_u32(buf + 4);
	h->incarnation = get_u64(buf + 8);
	h->epoch = get_u64(buf + 16);
	return 0;
}

void
wire_put_hb(uint8_t buf[WIRE_HB_LEN], const struct wire_hb *hb)
{
	ASSERT(hb->link < HAD_LINKS_MAX);
	put_u64(buf, hb->seq);
	put_u64(buf + 8, (uint64_t)hb->sent_us);
	put_u64(buf + 16, (uint64_t)hb->echo_us);
	put_u32(buf + 24, hb->echo_age_us);
	put_u32(buf + 28, hb->lease_ms);
	buf[32] = hb->link;
	buf[33] = hb->flags;
	for (unsigned i = 0; i < WIRE_HEARD_BITS / 8; i++)
		buf[34 + i] =
		    (uint8_t)(hb->heard_us >> (WIRE_HEARD_BITS - 8 - 8 * i));
	put_u64(buf + 40, hb->digest);
}

int
wire_get_hb(
    struct wire_hb *hb, const uint8_t *buf, size_t len, const char **why)
{
	if (len != WIRE_HB_LEN) {
		*why = "heartbeat of a wrong length";
		return -1;
	}
	if (buf[32] >= HAD_LINKS_MAX) {
		*why = "heartbeat of an impossible link";
		return -1;
	}
	hb->seq = get_u64(buf);
	hb->sent_us = (int64_t)get_u64(buf + 8);
	hb->echo_us = (int64_t)get_u64(buf + 16);
	hb->echo_age_us = get_u32(buf + 24);
	hb->lease_ms = get_u32(buf + 28);
	hb->link = buf[32];
	hb->flags = buf[33];
	hb->heard_us = 0;
	for (unsigned i = 0; i < WIRE_HEARD_BITS / 8; i++)
		hb->heard_us = hb->heard_us << 8 | buf[34 + i];
	hb->digest = get_u64(buf + 40);
	return 0;
}

void
wire_put_hello(uint8_t buf[WIRE_HELLO_LEN], const struct wire_hello *h)
{
	memset(buf, 0, WIRE_HELLO_LEN);
	memcpy(buf, h->version, strnlen(h->version, sizeof(h->version) - 1));
	memcpy(
	    buf + 32, h->cluster, strnlen(h->cluster, sizeof(h->cluster) - 1));
	put_u64(buf + 64, h->digest);
}

int
wire_get_hello(
    struct wire_hello *h, const uint8_t *buf, size_t len, const char **why)
{
	if (len != WIRE_HELLO_LEN) {
		*why = "greeting of a wrong length";
		return -1;
	}
	if (buf[31] != 0 || buf[63] != 0) {
		*why = "greeting with an unterminated name";
		return -1;
	}
	memcpy(h->version, buf, 32);
	memcpy(h->cluster, buf + 32, 32);
	h->digest = get_u64(buf + 64);
	return 0;
}
