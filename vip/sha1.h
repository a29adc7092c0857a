/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SHA-1 (FIPS 180-4) and HMAC-SHA1 (RFC 2104), because CARP needs them in pure
 * code.  Not for anything new.  The structs may be copied: a copy goes on from
 * the same point.
 */
#ifndef SHA1_H
#define SHA1_H

#include "had.h"

enum { SHA1_LEN = 20, SHA1_BLOCK = 64 };

struct sha1 {
	uint32_t h[5];
	uint64_t bytes;
	uint8_t block[SHA1_BLOCK];
};

void sha1_init(struct sha1 *);
void sha1_update(struct sha1 *, const void *, size_t len);
void sha1_final(struct sha1 *, uint8_t digest[SHA1_LEN]);

struct sha1_hmac {
	struct sha1 inner, outer;
};

void sha1_hmac_init(struct sha1_hmac *, const void *key, size_t len);
void sha1_hmac_update(struct sha1_hmac *, const void *, size_t len);
void sha1_hmac_final(struct sha1_hmac *, uint8_t digest[SHA1_LEN]);

#endif
