/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What sealing costs on this processor, without any network: AES-256-GCM of
 * messages of one size, as the transport seals them, in bytes per second of
 * one core.
 *	aead BYTES MILLISECONDS
 */
#include <err.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

enum { MESSAGE_MAX = 128 * 1024, AAD = 16, TAG = 16, IV = 12 };

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
seal_one(
    EVP_CIPHER_CTX *c, uint64_t seq, const uint8_t *in, uint8_t *out, int len)
{
	uint8_t iv[IV] = {0};
	int n;

	memcpy(iv + 4, &seq, sizeof(seq));
	if (EVP_EncryptInit_ex(c, NULL, NULL, NULL, iv) != 1 ||
	    EVP_EncryptUpdate(c, NULL, &n, iv, AAD - IV) != 1 ||
	    EVP_EncryptUpdate(c, out, &n, in, len) != 1 ||
	    EVP_EncryptFinal_ex(c, out + n, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, out + len) != 1)
		errx(1, "sealing failed");
}

int
main(int argc, char *argv[])
{
	static uint8_t in[MESSAGE_MAX], out[MESSAGE_MAX + TAG];
	static const uint8_t key[32] = {1};
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int64_t start, end, now;
	uint64_t seq = 0;
	int len;

	if (argc != 3)
		errx(2, "usage: aead BYTES MILLISECONDS");
	len = atoi(argv[1]);
	if (len < 1 || len > MESSAGE_MAX)
		errx(2, "got %s, expected 1 to %d bytes", argv[1], MESSAGE_MAX);
	if (c == NULL ||
	    EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, NULL) != 1)
		errx(1, "no AES-256-GCM");
	start = now_us();
	end = start + atol(argv[2]) * 1000;
	do {
		seal_one(c, seq++, in, out, len);
		now = now_us();
	} while (now < end);
	printf("%" PRId64 "\n",
	    (int64_t)(seq * (uint64_t)len * 1000000) / (now - start));
	EVP_CIPHER_CTX_free(c);
	return 0;
}
