/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VRRP frames from the wire, as they are and once more with right checksums,
 * so that what lies behind them is reached.  What is taken gives the same
 * frame when it is encoded, but for what vrrp_packet.h names.  What it is, it
 * is once more with a signature, of a key that is known here, and then with
 * that and a bit turned.
 */
#include <string.h>

#include "vrrp_auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IP = ADV_ETH_LEN, BYTES_MAX = 8192 };

static void
put_sum(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/* Is it a message with a trailer?  Then its length without it. */
static size_t
sum_len(const struct adv_frame *f, const uint8_t *msg, size_t n)
{
	size_t len = VRRP_HEAD_LEN + (size_t)msg[3] * (f->family == 4 ? 4 : 16);

	if (msg[0] >> 4 == 2)
		len += VRRP_AUTH_LEN;
	return f->family == 4 && n == len + VRRP_TRAILER_LEN ? len : n;
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
	n = sum_len(&f, msg, n);
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
keys_init(struct vrrp_auth *a, struct vrrp_auth_key *key)
{
	static const uint8_t bytes[VRRP_HMAC_KEY_MIN] = {1, 2, 3};

	memset(a, 0, sizeof(*a));
	vrrp_auth_key_init(key, 1, bytes, sizeof(bytes));
	a->keys = key;
	a->n_keys = a->sign = 1;
	a->enforce = true;
	a->window_s = 5;
}

/* What came is judged, whatever it is; and never is a copy believed. */
static void
judge(const struct vrrp_packet *p)
{
	struct vrrp_auth_key key;
	enum vrrp_reject r;
	struct vrrp_auth a;
	int32_t ahead;

	for (unsigned monotonic = 0; monotonic < 2; monotonic++) {
		keys_init(&a, &key);
		a.monotonic = monotonic != 0;
		r = vrrp_auth_check(&a, p, 0, &ahead);
		ASSERT(p->trailer != NULL || r == VRRP_R_HMAC_MISSING);
		ASSERT(r == VRRP_OK || r >= VRRP_R_HMAC_MISSING);
		if (r == VRRP_OK)
			ASSERT(vrrp_auth_check(&a, p, 0, &ahead) ==
			       VRRP_R_HMAC_REPLAY);
	}
}

/* The same with a signature of our own; at: the bit that is turned. */
static void
look_signed(struct vrrp_packet p, uint64_t clock, size_t at)
{
	static uint8_t msg[VRRP_FRAME_MAX], out[VRRP_FRAME_MAX];
	uint8_t trailer[VRRP_TRAILER_LEN];
	struct vrrp_auth_key key;
	struct vrrp_packet again;
	struct vrrp_auth a, b;
	enum vrrp_reject r;
	int32_t ahead;
	size_t n;

	keys_init(&a, &key);
	b = a;
	p.trailer = NULL;
	n = vrrp_encode_message(msg, sizeof(msg), &p);
	vrrp_auth_sign(&a, clock, p.f.family, p.f.src, msg, n, trailer);
	p.trailer = trailer;
	n = vrrp_encode_message(out, sizeof(out), &p);
	memset(&again, 0, sizeof(again));
	again.f = p.f;
	ASSERT(vrrp_decode_message(&again, out, n) == VRRP_OK);
	ASSERT(vrrp_auth_check(&b, &again, clock, &ahead) == VRRP_OK);
	ASSERT(ahead == 0);
	ASSERT(
	    vrrp_auth_check(&b, &again, clock, &ahead) == VRRP_R_HMAC_REPLAY);
	/* The checksum is the only one that counts for nothing. */
	at %= 8 * n;
	if (at / 8 == 6 || at / 8 == 7)
		return;
	keys_init(&b, &key);
	out[at / 8] ^= (uint8_t)(1u << at % 8);
	if (vrrp_decode_message(&again, out, n) == VRRP_R_CHECKSUM) {
		put_sum(out + 6, 0);
		put_sum(out + 6,
		    adv_sum_end(adv_sum(
			p.sum == VRRP_SUM_PSEUDO
			    ? adv_sum_pseudo(0, &p.f, sum_len(&p.f, out, n))
			    : 0,
			out, sum_len(&p.f, out, n))));
	}
	if (vrrp_decode_message(&again, out, n) != VRRP_OK)
		return;
	r = vrrp_auth_check(&b, &again, clock, &ahead);
	ASSERT(r != VRRP_OK);
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
	e.trailer = true;
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
	ASSERT((again.trailer == NULL) == (p.trailer == NULL));
	judge(&p);
	look_signed(p,
	    (uint64_t)adv_sum(1, frame, size) * UINT64_C(0x9e3779b97f4a7c15),
	    adv_sum(0, frame, size));
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
