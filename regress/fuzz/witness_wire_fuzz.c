/* SPDX-License-Identifier: BSD-2-Clause */
/* What decodes must encode to the same bytes. */
#include <string.h>

#include "witness_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[WW_MAX];
	struct ww_msg m;
	const char *why;

	if (ww_decode(&m, data, size, &why) == -1) {
		ASSERT(why != NULL);
		return 0;
	}
	ASSERT(ww_encode(&m, bytes) == size);
	ASSERT(memcmp(bytes, data, size) == 0);
	return 0;
}
