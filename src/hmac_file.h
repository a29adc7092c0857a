/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A key of a virtual router's hmac, in a file of its own.
 */
#ifndef HMAC_FILE_H
#define HMAC_FILE_H

#include "conf.h"

/*
 * Reads the first line of the key's file into it: a text, or hex: and digits.
 * Refuses a file that group or others may read, and what is no key.  0, or -1
 * and why, which names the file.
 */
int MUST_CHECK hmac_file_read(struct conf_hmac_key *, char *why, size_t size);

#endif
