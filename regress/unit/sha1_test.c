/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SHA-1 by the examples of FIPS 180, HMAC by those of RFC 2202.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "sha1.h"

static void
is(const uint8_t digest[SHA1_LEN], const char *want)
{
	char hex[2 * SHA1_LEN + 1];
	unsigned i;

	for (i = 0; i < SHA1_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	assert_string_equal(hex, want);
}

static void
hash_is(const void *data, size_t len, const char *want)
{
	uint8_t digest[SHA1_LEN];
	struct sha1 s;

	sha1_init(&s);
	sha1_update(&s, data, len);
	sha1_final(&s, digest);
	is(digest, want);
}

static void
hmac_is(const void *key, size_t klen, const void *data, size_t len,
    const char *want)
{
	uint8_t digest[SHA1_LEN];
	struct sha1_hmac m;

	sha1_hmac_init(&m, key, klen);
	sha1_hmac_update(&m, data, len);
	sha1_hmac_final(&m, digest);
	is(digest, want);
}

static void
test_examples(void **state)
{
	static const char two[] =
	    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

	(void)state;
	hash_is("", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	hash_is("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
	hash_is(two, 56, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

static void
test_a_million(void **state)
{
	uint8_t digest[SHA1_LEN], a[1000];
	struct sha1 s;
	int i;

	(void)state;
	memset(a, 'a', sizeof(a));
	sha1_init(&s);
	for (i = 0; i < 1000; i++)
		sha1_update(&s, a, sizeof(a));
	sha1_final(&s, digest);
	is(digest, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

/* Around the padding, where the length no longer fits into the block. */
static void
test_lengths_around_a_block(void **state)
{
	static const struct {
		size_t len;
		const char *want;
	} t[] = {
	    {1, "11f6ad8ec52a2984abaafd7c3b516503785c2072"},
	    {55, "cef734ba81a024479e09eb5a75b6ddae62e6abf1"},
	    {56, "901305367c259952f4e7af8323f480d59f81335b"},
	    {63, "0ddc4e0cccd9a12850deb5abb0853a4425559fec"},
	    {64, "bb2fa3ee7afb9f54c6dfb5d021f14b1ffe40c163"},
	    {65, "78c741ddc482e4cdf8c474a0876347a0905b6233"},
	    {119, "4300320394f7ee239bcdce7d3b8bcee173a0cd5c"},
	    {120, "ceb2821639c4b6dcb10bce0e522ca2e608ce056d"},
	    {128, "150fa3fbdc899bd0b8f95a9fb6027f564d953762"},
	};
	uint8_t x[128];
	unsigned i;

	(void)state;
	memset(x, 'x', sizeof(x));
	for (i = 0; i < NITEMS(t); i++)
		hash_is(x, t[i].len, t[i].want);
}

static void
test_pieces_are_the_whole(void **state)
{
	uint8_t data[200], digest[SHA1_LEN], whole[SHA1_LEN];
	struct sha1 s;
	size_t i, piece;

	(void)state;
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	sha1_init(&s);
	sha1_update(&s, data, sizeof(data));
	sha1_final(&s, whole);
	for (piece = 1; piece < 70; piece++) {
		sha1_init(&s);
		for (i = 0; i < sizeof(data); i += piece)
			sha1_update(&s, data + i,
			    sizeof(data) - i < piece ? sizeof(data) - i
						     : piece);
		sha1_final(&s, digest);
		assert_memory_equal(digest, whole, SHA1_LEN);
	}
}

static void
test_hmac_examples(void **state)
{
	static const char large[] =
	    "Test Using Larger Than Block-Size Key - Hash Key First";
	static const char larger[] = "Test Using Larger Than Block-Size Key "
				     "and Larger Than One Block-Size Data";
	uint8_t key[80], data[50];
	unsigned i;

	(void)state;
	memset(key, 0x0b, sizeof(key));
	hmac_is(
	    key, 20, "Hi There", 8, "b617318655057264e28bc0b6fb378c8ef146be00");
	hmac_is("Jefe", 4, "what do ya want for nothing?", 28,
	    "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
	memset(key, 0xaa, sizeof(key));
	memset(data, 0xdd, sizeof(data));
	hmac_is(key, 20, data, 50, "125d7342b9ac11cd91a39af48aa17b4f63f175d3");
	for (i = 0; i < 25; i++)
		key[i] = (uint8_t)(i + 1);
	memset(data, 0xcd, sizeof(data));
	hmac_is(key, 25, data, 50, "4c9007f4026250c6bc8414f9bf50c86c2d7235da");
	memset(key, 0x0c, sizeof(key));
	hmac_is(key, 20, "Test With Truncation", 20,
	    "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04");
	memset(key, 0xaa, sizeof(key));
	hmac_is(key, 80, large, strlen(large),
	    "aa4ae5e15272d00e95705637ce8a3b55ed402112");
	hmac_is(key, 80, larger, strlen(larger),
	    "e8e99d0f45237d786d6bbaa7965c7808bbff1a91");
}

/* CARP prepares a key once and goes on from copies of it. */
static void
test_a_copy_goes_on(void **state)
{
	uint8_t digest[SHA1_LEN];
	struct sha1_hmac m, copy;

	(void)state;
	sha1_hmac_init(&m, "Jefe", 4);
	sha1_hmac_update(&m, "what do ya want ", 16);
	copy = m;
	sha1_hmac_update(&copy, "else", 4);
	sha1_hmac_final(&copy, digest);
	sha1_hmac_update(&m, "for nothing?", 12);
	sha1_hmac_final(&m, digest);
	is(digest, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_examples),
	    cmocka_unit_test(test_a_million),
	    cmocka_unit_test(test_lengths_around_a_block),
	    cmocka_unit_test(test_pieces_are_the_whole),
	    cmocka_unit_test(test_hmac_examples),
	    cmocka_unit_test(test_a_copy_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
