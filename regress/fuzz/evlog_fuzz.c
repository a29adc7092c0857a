/* SPDX-License-Identifier: BSD-2-Clause */
/* Timelines from a peer: what decodes encodes to the same bytes. */
#include <string.h>

#include "evlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ev_msg m;
	static uint8_t bytes[EV_MSG_MAX];
	const char *why;

	if (ev_decode(&m, data, size, &why) < 0) {
		ASSERT(why != NULL);
		return 0;
	}
	ASSERT(ev_encode(&m, bytes) == size);
	ASSERT(memcmp(bytes, data, size) == 0);
	return 0;
}
