/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Layout, little-endian:
 *	 0	magic "hadlease"
 *	 8	version (2), holder (1), zero (1)
 *	12	CRC-32C of the 80 bytes with this field zero
 *	16	epoch (8)
 *	24	holder's incarnation (8)
 *	32	cluster (32, NUL-padded)
 *	64	serial (8)
 *	72	zeroes (8)
 */
#include <string.h>

#include "witness_file.h"

enum {
	VERSION = 1,
	OFF_CRC = 12,
	OFF_CLUSTER = 32,
	OFF_SERIAL = 64,
	OFF_ZERO = 72,
};

static const uint8_t magic[8] = "hadlease";

static uint32_t
crc32c(const uint8_t *p, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		/* The checksum counts as zero in its own sum. */
		crc ^= i >= OFF_CRC && i < OFF_CRC + 4 ? 0 : p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

static void
put_int(uint8_t *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t
get_int(const uint8_t *p, int bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

void
wf_encode(const struct wf_record *r, uint8_t bytes[WF_SIZE])
{
	size_t len = strnlen(r->cluster, sizeof(r->cluster));

	ASSERT(len > 0 && len < sizeof(r->cluster));
	ASSERT(r->holder <= HAD_NODES_MAX);
	ASSERT((r->holder == 0) == (r->epoch == 0));
	memset(bytes, 0, WF_SIZE);
	memcpy(bytes, magic, sizeof(magic));
	put_int(bytes + 8, VERSION, 2);
	bytes[10] = r->holder;
	put_int(bytes + 16, r->epoch, 8);
	put_int(bytes + 24, r->incarnation, 8);
	memcpy(bytes + OFF_CLUSTER, r->cluster, len);
	put_int(bytes + OFF_SERIAL, r->serial, 8);
	put_int(bytes + OFF_CRC, crc32c(bytes, WF_SIZE), 4);
}

static const char *
check_name(const uint8_t *name)
{
	if (name[0] == '\0' || memchr(name, '\0', HAD_NAME_MAX) == NULL)
		return "bad cluster name";
	for (size_t i = strlen((const char *)name); i < HAD_NAME_MAX; i++)
		if (name[i] != '\0')
			return "bad cluster name";
	return NULL;
}

static const char *
check(const uint8_t *bytes, size_t len)
{
	const char *why;

	if (len < WF_SIZE)
		return "truncated";
	if (len > WF_SIZE)
		return "too long";
	if (memcmp(bytes, magic, sizeof(magic)) != 0)
		return "not a witness's record (bad magic)";
	if (get_int(bytes + 8, 2) != VERSION)
		return "written by another version";
	if (get_int(bytes + OFF_CRC, 4) != crc32c(bytes, WF_SIZE))
		return "checksum does not match";
	if (bytes[10] > HAD_NODES_MAX)
		return "holder out of range";
	if ((bytes[10] == 0) != (get_int(bytes + 16, 8) == 0))
		return "a lease without holder, or a holder without lease";
	if ((why = check_name(bytes + OFF_CLUSTER)) != NULL)
		return why;
	if (bytes[11] != 0 || get_int(bytes + OFF_ZERO, 8) != 0)
		return "reserved bytes are not zero";
	return NULL;
}

int
wf_decode(struct wf_record *r, const char *cluster, const uint8_t *bytes,
    size_t len, const char **why)
{
	memset(r, 0, sizeof(*r));
	if ((*why = check(bytes, len)) != NULL)
		return -1;
	if (strcmp((const char *)bytes + OFF_CLUSTER, cluster) != 0) {
		*why = "belongs to another cluster";
		return -1;
	}
	memcpy(r->cluster, bytes + OFF_CLUSTER, sizeof(r->cluster));
	r->holder = bytes[10];
	r->epoch = get_int(bytes + 16, 8);
	r->incarnation = get_int(bytes + 24, 8);
	r->serial = get_int(bytes + OFF_SERIAL, 8);
	return 0;
}
