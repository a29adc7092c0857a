/* SPDX-License-Identifier: BSD-2-Clause */
/* What decodes must encode to the same bytes. */
#include <string.h>

#include "statefile.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sf_record r;
	uint8_t bytes[SF_SIZE];
	const char *why;

	if (sf_decode(&r, data, size, &why) == -1) {
		ASSERT(why != NULL);
		return 0;
	}
	sf_encode(&r, bytes);
	ASSERT(size == SF_SIZE && memcmp(bytes, data, SF_SIZE) == 0);
	return 0;
}
