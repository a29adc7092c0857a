/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Layout, little-endian:
 *	 0	magic "hadstate"
 *	 8	version (2), flags (1: 1 solo, 2 clean), node (1)
 *	12	CRC-32C of the 96 bytes with this field zero
 *	16	epoch (8)
 *	24	serial (8)
 *	32	cluster (32, NUL-padded)
 *	64	peer verdicts (16)
 *	80	seeds (4), zeroes (12)
 */
#include <string.h>

#include "statefile.h"

enum {
	VERSION = 1,
	FLAG_SOLO = 1,
	FLAG_CLEAN = 2,
	OFF_CRC = 12,
	OFF_CLUSTER = 32,
	OFF_PEERS = 64,
	OFF_SEEDS = 80,
	OFF_ZERO = 84,
};

static const uint8_t magic[8] = "hadstate";

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
sf_encode(const struct sf_record *r, uint8_t bytes[SF_SIZE])
{
	size_t len = strnlen(r->cluster, sizeof(r->cluster));

	ASSERT(len > 0 && len < sizeof(r->cluster));
	ASSERT(r->node >= 1 && r->node <= HAD_NODES_MAX);
	memset(bytes, 0, SF_SIZE);
	memcpy(bytes, magic, sizeof(magic));
	put_int(bytes + 8, VERSION, 2);
	bytes[10] =
	    (uint8_t)((r->solo ? FLAG_SOLO : 0) | (r->clean ? FLAG_CLEAN : 0));
	bytes[11] = r->node;
	put_int(bytes + 16, r->epoch, 8);
	put_int(bytes + 24, r->serial, 8);
	memcpy(bytes + OFF_CLUSTER, r->cluster, len);
	memcpy(bytes + OFF_PEERS, r->peer, sizeof(r->peer));
	put_int(bytes + OFF_SEEDS, r->seeds, 4);
	put_int(bytes + OFF_CRC, crc32c(bytes, SF_SIZE), 4);
}

static const char *
decode_check(const uint8_t *bytes, size_t len)
{
	const uint8_t *name = bytes + OFF_CLUSTER;

	if (len < SF_SIZE)
		return "truncated";
	if (len > SF_SIZE)
		return "too long";
	if (memcmp(bytes, magic, sizeof(magic)) != 0)
		return "not a state file (bad magic)";
	if (get_int(bytes + 8, 2) != VERSION)
		return "written by another version";
	if (get_int(bytes + OFF_CRC, 4) != crc32c(bytes, SF_SIZE))
		return "checksum does not match";
	if ((bytes[10] & ~(FLAG_SOLO | FLAG_CLEAN)) != 0)
		return "unknown flags";
	if (bytes[11] < 1 || bytes[11] > HAD_NODES_MAX)
		return "node id out of range";
	if (name[0] == '\0' || memchr(name, '\0', HAD_NAME_MAX) == NULL)
		return "bad cluster name";
	for (size_t i = strlen((const char *)name); i < HAD_NAME_MAX; i++)
		if (name[i] != '\0')
			return "bad cluster name";
	for (size_t i = OFF_ZERO; i < SF_SIZE; i++)
		if (bytes[i] != 0)
			return "reserved bytes are not zero";
	return NULL;
}

int
sf_decode(
    struct sf_record *r, const uint8_t *bytes, size_t len, const char **why)
{
	memset(r, 0, sizeof(*r));
	if ((*why = decode_check(bytes, len)) != NULL)
		return -1;
	r->solo = (bytes[10] & FLAG_SOLO) != 0;
	r->clean = (bytes[10] & FLAG_CLEAN) != 0;
	r->node = bytes[11];
	r->epoch = get_int(bytes + 16, 8);
	r->serial = get_int(bytes + 24, 8);
	memcpy(r->cluster, bytes + OFF_CLUSTER, sizeof(r->cluster));
	memcpy(r->peer, bytes + OFF_PEERS, sizeof(r->peer));
	r->seeds = (uint32_t)get_int(bytes + OFF_SEEDS, 4);
	ASSERT(r->cluster[sizeof(r->cluster) - 1] == '\0');
	return 0;
}

int
sf_mine(const struct sf_record *r, const char *cluster, uint8_t id,
    const char **why)
{
	ASSERT(id >= 1 && id <= HAD_NODES_MAX);
	*why = NULL;
	if (strcmp(r->cluster, cluster) != 0)
		*why = "belongs to another cluster";
	else if (r->node != id)
		*why = "belongs to another node";
	return *why == NULL ? 0 : -1;
}
