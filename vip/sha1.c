/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SHA-1 as FIPS 180-4, section 6.1, and HMAC as RFC 2104 describe it.
 */
#include <string.h>

#include "sha1.h"

static uint32_t
rotl(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

/* The function and the constant of round t. */
static uint32_t
round_sum(unsigned t, uint32_t b, uint32_t c, uint32_t d)
{
	if (t < 20)
		return ((b & c) | (~b & d)) + 0x5a827999;
	if (t < 40)
		return (b ^ c ^ d) + 0x6ed9eba1;
	if (t < 60)
		return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
	return (b ^ c ^ d) + 0xca62c1d6;
}

static void
transform(uint32_t h[5], const uint8_t *p)
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], sum;
	unsigned t;

	for (t = 0; t < 16; t++, p += 4)
		w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		       (uint32_t)p[2] << 8 | p[3];
	for (; t < 80; t++)
		w[t] = rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
	for (t = 0; t < 80; t++) {
		sum = rotl(a, 5) + round_sum(t, b, c, d) + e + w[t];
		e = d;
		d = c;
		c = rotl(b, 30);
		b = a;
		a = sum;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

void
sha1_init(struct sha1 *s)
{
	static const uint32_t start[5] = {
	    0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};

	memset(s, 0, sizeof(*s));
	memcpy(s->h, start, sizeof(s->h));
}

void
sha1_update(struct sha1 *s, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t used, n;

	for (; len > 0; p += n, len -= n) {
		used = s->bytes % SHA1_BLOCK;
		n = SHA1_BLOCK - used;
		if (n > len)
			n = len;
		memcpy(s->block + used, p, n);
		s->bytes += n;
		if (used + n == SHA1_BLOCK)
			transform(s->h, s->block);
	}
}

void
sha1_final(struct sha1 *s, uint8_t digest[SHA1_LEN])
{
	static const uint8_t pad[SHA1_BLOCK] = {0x80};
	size_t used = s->bytes % SHA1_BLOCK;
	uint64_t bits = s->bytes * 8;
	uint8_t length[8];
	unsigned i;

	for (i = 0; i < 8; i++)
		length[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha1_update(s, pad, (used < 56 ? 56 : 56 + SHA1_BLOCK) - used);
	sha1_update(s, length, sizeof(length));
	ASSERT(s->bytes % SHA1_BLOCK == 0);
	for (i = 0; i < SHA1_LEN; i++)
		digest[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void
sha1_hmac_init(struct sha1_hmac *m, const void *key, size_t len)
{
	uint8_t inner[SHA1_BLOCK] = {0}, outer[SHA1_BLOCK];
	struct sha1 s;
	unsigned i;

	if (len > SHA1_BLOCK) {
		sha1_init(&s);
		sha1_update(&s, key, len);
		sha1_final(&s, inner);
	} else {
		memcpy(inner, key, len);
	}
	for (i = 0; i < SHA1_BLOCK; i++) {
		outer[i] = inner[i] ^ 0x5c;
		inner[i] ^= 0x36;
	}
	sha1_init(&m->inner);
	sha1_update(&m->inner, inner, SHA1_BLOCK);
	sha1_init(&m->outer);
	sha1_update(&m->outer, outer, SHA1_BLOCK);
}

void
sha1_hmac_update(struct sha1_hmac *m, const void *data, size_t len)
{
	sha1_update(&m->inner, data, len);
}

void
sha1_hmac_final(struct sha1_hmac *m, uint8_t digest[SHA1_LEN])
{
	sha1_final(&m->inner, digest);
	sha1_update(&m->outer, digest, SHA1_LEN);
	sha1_final(&m->outer, digest);
}
