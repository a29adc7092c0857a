/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What decodes must encode to the same bytes.  Of each input a second one is
 * made whose checksum is right, so that what is behind it is reached.
 */
#include <string.h>

#include "witness_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static uint32_t
crc32c(const uint8_t *p, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

static void
try(const uint8_t *data, size_t size)
{
	uint8_t bytes[WF_SIZE];
	struct wf_record r;
	const char *why;

	if (wf_decode(&r, "shop", data, size, &why) == -1) {
		ASSERT(why != NULL);
		return;
	}
	ASSERT(strcmp(r.cluster, "shop") == 0);
	wf_encode(&r, bytes);
	ASSERT(size == WF_SIZE && memcmp(bytes, data, WF_SIZE) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[WF_SIZE];
	uint32_t crc;

	try(data, size);
	if (size != WF_SIZE)
		return 0;
	memcpy(bytes, data, WF_SIZE);
	memset(bytes + 12, 0, 4);
	crc = crc32c(bytes, WF_SIZE);
	for (int i = 0; i < 4; i++)
		bytes[12 + i] = (uint8_t)(crc >> (8 * i));
	try(bytes, WF_SIZE);
	return 0;
}
