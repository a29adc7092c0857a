/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The same checksum as mirror/mmeta.c, eight bytes at a time: millions of
 * superblocks are written and read in an exploration.  The linker takes this
 * one (-z muldefs); crc_same says whether it is the same.
 */
#include <endian.h>
#include <string.h>

#include "mir_world.h"

static uint32_t table[8][256];

static void
fill(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = (c & 1 ? 0x82f63b78 : 0) ^ c >> 1;
		table[0][i] = c;
	}
	for (unsigned i = 0; i < 256; i++)
		for (unsigned k = 1; k < 8; k++)
			table[k][i] = table[0][table[k - 1][i] & 255] ^
				      table[k - 1][i] >> 8;
}

uint32_t
mmeta_crc32c(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t crc = ~UINT32_C(0);
	uint64_t v;

	if (table[0][1] == 0)
		fill();
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&v, p, 8);
		v = le64toh(v) ^ crc;
		crc = 0;
		for (unsigned k = 0; k < 8; k++)
			crc ^= table[7 - k][v >> (8 * k) & 255];
	}
	for (; len > 0; len--, p++)
		crc = table[0][(crc ^ *p) & 255] ^ crc >> 8;
	return ~crc;
}

bool
crc_same(void)
{
	return mmeta_crc32c("123456789", 9) == 0xe3069283;
}
