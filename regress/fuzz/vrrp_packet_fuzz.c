/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VRRP frames from the wire, as they are and once more with right checksums,
 * so that what lies behind them is reached.  What is taken gives the same
 * frame when it is encoded, but for what vrrp_packet.h names.
 */
#include <string.h>

#include "vrrp_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IP = ADV_ETH_LEN, BYTES_MAX = 8192 };

static void
put_sum(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/* Puts right checksums into a frame of IPv4 or IPv6; odd says which form. */
static void
mend(uint8_t *frame, size_t size, bool odd)
{
	struct adv_frame f;
	const uint8_t *msg;
	uint8_t *m;
	size_t n, head;

	if (size < IP + 20)
		return;
	head = (size_t)(frame[IP] & 15) * 4;
	if (frame[IP] >> 4 == 4 && IP + head <= size && head >= 20) {
		put_sum(frame + IP + 10, 0);
		put_sum(
		    frame + IP + 10, adv_sum_end(adv_sum(0, frame + IP, head)));
	}
	if (adv_get_eth(&f, frame, size, &msg, &n) != ADV_OK || n < 8)
		return;
	m = frame + (msg - frame);
	put_sum(m + 6, 0);
	put_sum(m + 6,
	    adv_sum_end(adv_sum(odd ? adv_sum_pseudo(0, &f, n) : 0, m, n)));
}

/* Nothing in it that is lost on the way. */
static bool
is_plain(const uint8_t *frame, const struct vrrp_packet *p)
{
	const uint8_t *ip = frame + IP, *msg = p->addrs - VRRP_HEAD_LEN;

	if (p->f.family == 4 && (ip[0] != 0x45 || (ip[6] & 0x80) != 0 ||
				    (ip[10] == 0xff && ip[11] == 0xff)))
		return false;
	if (p->version == 3 && (msg[4] & 0xf0) != 0)
		return false;
	return msg[6] != 0xff || msg[7] != 0xff;
}

static void
look(const uint8_t *frame, size_t size)
{
	uint8_t out[VRRP_FRAME_MAX];
	struct vrrp_packet p, again;
	struct vrrp_expect e;
	enum vrrp_reject r;
	size_t n;

	r = vrrp_decode_frame(&p, frame, size);
	ASSERT(vrrp_reject_name(r) != NULL);
	if (r != VRRP_OK)
		return;
	ASSERT(p.vrid != 0 && p.naddr != 0 && p.f.ttl == ADV_TTL);
	ASSERT(vrrp_interval_ok(p.version, p.interval_ms));
	e = (struct vrrp_expect){p.version, p.f.family, p.vrid, p.auth_type};
	memcpy(e.auth, p.auth, VRRP_AUTH_LEN);
	e.interval_ms = p.interval_ms;
	e.addrs = p.addrs;
	e.naddr = p.naddr;
	ASSERT(vrrp_check(&p, &e) == VRRP_OK);
	n = vrrp_encode_frame(out, sizeof(out), &p);
	ASSERT(n <= size);
	if (is_plain(frame, &p))
		ASSERT(memcmp(out, frame, n) == 0);
	ASSERT(vrrp_decode_frame(&again, out, n) == VRRP_OK);
	ASSERT(vrrp_check(&again, &e) == VRRP_OK);
	ASSERT(memcmp(&again.f, &p.f, sizeof(p.f)) == 0);
	ASSERT(again.priority == p.priority && again.sum == p.sum);
	ASSERT(again.interval_ms == p.interval_ms);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t copy[BYTES_MAX];
	unsigned odd;

	look(data, size);
	if (size > sizeof(copy))
		return 0;
	for (odd = 0; odd < 2; odd++) {
		memcpy(copy, data, size);
		mend(copy, size, odd != 0);
		look(copy, size);
	}
	return 0;
}
