/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A node's identity: an Ed25519 private key in a PEM file, and the
 * fingerprint by which the others know it.
 */
#ifndef KEYFILE_H
#define KEYFILE_H

#include "had.h"

struct evp_pkey_st;

/* "sha256:" and 64 hexadecimal digits, NUL included. */
enum { KEYFILE_TEXT = 7 + 64 + 1 };

/*
 * Makes a key and writes it to path, mode 0600, durably.  Never overwrites:
 * EEXIST.  Returns 0, or -1 with errno and a text in why.
 */
int MUST_CHECK keyfile_generate(
    const char *path, uint8_t fingerprint[32], char *why, size_t why_size);

/*
 * Loads a key; refuses one that is not Ed25519 or that group or others may
 * read (EPERM).  The caller frees it with EVP_PKEY_free.  Returns NULL with
 * errno and a text in why.
 */
struct evp_pkey_st *keyfile_load(const char *path, char *why, size_t why_size);

/* SHA-256 of the SubjectPublicKeyInfo.  Returns 0, or -1 with EINVAL. */
int keyfile_fingerprint(struct evp_pkey_st *, uint8_t fingerprint[32]);

void keyfile_text(const uint8_t fingerprint[32], char text[KEYFILE_TEXT]);

#endif
