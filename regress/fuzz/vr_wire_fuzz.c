/* SPDX-License-Identifier: BSD-2-Clause */
/* What decodes must encode to the same bytes. */
#include <string.h>

#include "vr_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[VR_WIRE_LEN];
	const char *why = NULL;
	struct vr_wire w;

	if (size != VR_WIRE_LEN)
		return 0;
	if (vr_wire_get(&w, data, &why) == -1) {
		ASSERT(why != NULL);
		return 0;
	}
	vr_wire_put(bytes, &w);
	ASSERT(memcmp(bytes, data, size) == 0);
	return 0;
}
