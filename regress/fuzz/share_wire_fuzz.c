/* SPDX-License-Identifier: BSD-2-Clause */
/* What decodes must encode to the same bytes. */
#include <string.h>

#include "share_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[SHARE_WIRE_LEN];
	const char *why = NULL;
	struct share_word w;

	if (share_wire_get(&w, data, size, &why) == -1) {
		ASSERT(why != NULL);
		return 0;
	}
	share_wire_put(bytes, &w);
	ASSERT(memcmp(bytes, data, size) == 0);
	return 0;
}
