/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Layout of the 512 bytes, little-endian:
 *	  0	magic "hadlock" and 'h' (header) or 's' (slot)
 *	  8	version (2), node (1; 0 in a header), zero (5)
 *	 16	XXH3-64 of the 512 bytes with this field zero
 *	 24	disk id (8)
 *	 32	cluster (32, NUL-padded)
 * A slot goes on:
 *	 64	seq (8), incarnation (8), epoch (8), mbal (8), bal (8)
 *	104	inp (1), chosen (1)
 * Zero to the end.
 */
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "lockdisk_slot.h"

enum {
	VERSION = 1,
	OFF_SUM = 16,
	OFF_ID = 24,
	OFF_CLUSTER = 32,
	OFF_SLOT = 64,
	OFF_SLOT_END = 106,
};

static const char magic[7] = "hadlock";

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

static uint64_t
checksum(const uint8_t *bytes)
{
	uint8_t copy[LD_USED];

	memcpy(copy, bytes, sizeof(copy));
	memset(copy + OFF_SUM, 0, 8);
	return XXH3_64bits(copy, sizeof(copy));
}

size_t
ld_offset(uint8_t node, unsigned copy)
{
	ASSERT(node <= HAD_NODES_MAX && copy < 2);
	return (size_t)(copy * LD_BLOCKS + node) * LD_BLOCK;
}

static void
encode_common(const struct ld_header *h, uint8_t node, uint8_t *block)
{
	size_t len = strnlen(h->cluster, sizeof(h->cluster));

	ASSERT(len > 0 && len < sizeof(h->cluster) && h->disk_id != 0);
	memset(block, 0, LD_BLOCK);
	memcpy(block, magic, sizeof(magic));
	block[7] = node == 0 ? 'h' : 's';
	put_int(block + 8, VERSION, 2);
	block[10] = node;
	put_int(block + OFF_ID, h->disk_id, 8);
	memcpy(block + OFF_CLUSTER, h->cluster, len);
}

void
ld_header_encode(const struct ld_header *h, uint8_t *block)
{
	encode_common(h, 0, block);
	put_int(block + OFF_SUM, checksum(block), 8);
}

void
ld_slot_encode(
    const struct ld_header *h, const struct ld_slot *s, uint8_t *block)
{
	uint8_t *p = block + OFF_SLOT;

	ASSERT(s->node >= 1 && s->node <= HAD_NODES_MAX);
	encode_common(h, s->node, block);
	put_int(p, s->seq, 8);
	put_int(p + 8, s->incarnation, 8);
	put_int(p + 16, s->epoch, 8);
	put_int(p + 24, s->mbal, 8);
	put_int(p + 32, s->bal, 8);
	p[40] = s->inp;
	p[41] = s->chosen;
	put_int(block + OFF_SUM, checksum(block), 8);
}

static const char *
check_common(const uint8_t *bytes, size_t len, char kind)
{
	const uint8_t *name = bytes + OFF_CLUSTER;

	if (len < LD_USED)
		return "truncated";
	if (memcmp(bytes, magic, sizeof(magic)) != 0 || bytes[7] != kind)
		return "not of a lock disk (bad magic)";
	if (get_int(bytes + 8, 2) != VERSION)
		return "written by another version";
	if (get_int(bytes + OFF_SUM, 8) != checksum(bytes))
		return "checksum does not match";
	if (name[0] == '\0' || memchr(name, '\0', HAD_NAME_MAX) == NULL)
		return "bad cluster name";
	for (size_t i = strlen((const char *)name); i < HAD_NAME_MAX; i++)
		if (name[i] != '\0')
			return "bad cluster name";
	if (get_int(bytes + OFF_ID, 8) == 0)
		return "no disk id";
	for (size_t i = 11; i < OFF_SUM; i++)
		if (bytes[i] != 0)
			return "reserved bytes are not zero";
	for (size_t i = kind == 'h' ? OFF_SLOT : OFF_SLOT_END; i < LD_USED; i++)
		if (bytes[i] != 0)
			return "reserved bytes are not zero";
	return NULL;
}

int
ld_header_decode(
    struct ld_header *h, const uint8_t *bytes, size_t len, const char **why)
{
	memset(h, 0, sizeof(*h));
	*why = check_common(bytes, len, 'h');
	if (*why == NULL && bytes[10] != 0)
		*why = "a header with a node";
	if (*why != NULL)
		return -1;
	memcpy(h->cluster, bytes + OFF_CLUSTER, sizeof(h->cluster));
	h->disk_id = get_int(bytes + OFF_ID, 8);
	return 0;
}

/* What no node would write of itself. */
static const char *
slot_check(const struct ld_slot *s)
{
	if (s->inp > HAD_NODES_MAX || s->chosen > HAD_NODES_MAX)
		return "node id out of range";
	if (s->epoch == 0 && (s->mbal | s->bal | s->inp | s->chosen) != 0)
		return "a ballot without an epoch";
	if (s->epoch != 0 && (s->seq == 0 || s->incarnation == 0))
		return "an epoch that nobody wrote";
	/* Ballots of a node are its own: k * 16 + id - 1, k > 0. */
	if (s->mbal != 0 && (s->mbal < HAD_NODES_MAX ||
				s->mbal % HAD_NODES_MAX != s->node - 1u))
		return "another node's ballot";
	if (s->bal != 0 && s->bal % HAD_NODES_MAX != s->node - 1u)
		return "another node's ballot";
	if (s->bal > s->mbal || (s->bal != 0) != (s->inp != 0))
		return "ballots do not match";
	if (s->chosen != 0 && (s->chosen != s->inp || s->bal != s->mbal))
		return "chosen without a ballot";
	return NULL;
}

int
ld_slot_decode(const struct ld_header *h, uint8_t node, struct ld_slot *s,
    const uint8_t *bytes, size_t len, const char **why)
{
	const uint8_t *p = bytes + OFF_SLOT;

	memset(s, 0, sizeof(*s));
	if ((*why = check_common(bytes, len, 's')) != NULL)
		return -1;
	if (memcmp(bytes + OFF_CLUSTER, h->cluster, HAD_NAME_MAX) != 0)
		*why = "of another cluster";
	else if (get_int(bytes + OFF_ID, 8) != h->disk_id)
		*why = "of another lock disk";
	else if (bytes[10] != node)
		*why = "of another node";
	if (*why != NULL)
		return -1;
	s->node = node;
	s->seq = get_int(p, 8);
	s->incarnation = get_int(p + 8, 8);
	s->epoch = get_int(p + 16, 8);
	s->mbal = get_int(p + 24, 8);
	s->bal = get_int(p + 32, 8);
	s->inp = p[40];
	s->chosen = p[41];
	*why = slot_check(s);
	return *why == NULL ? 0 : -1;
}

/*
 * Both whole and one write apart: the newer one, whatever the writer does
 * meanwhile.  For if n was written before the reading began, in A say, then A
 * is read as n, newer, or torn.
 *
 * One torn: it may be that n + 2 is under way in B, so that n + 1 is in A by
 * now, which was read when it was n - 1 or n.  Reading A again shows it; so
 * when two readings show the same, no write ended between them.
 */
enum ld_pick
ld_pick(const struct ld_slot *a, const struct ld_slot *b, bool stable)
{
	if (a != NULL && b != NULL) {
		if (a->seq == b->seq + 1 || (a->seq == 0 && b->seq == 0))
			return LD_PICK_A;
		if (b->seq == a->seq + 1)
			return LD_PICK_B;
		/* A write got lost, or one was under way. */
		return stable ? LD_PICK_BAD : LD_PICK_AGAIN;
	}
	if (!stable)
		return LD_PICK_AGAIN;
	if (a == NULL && b == NULL)
		return LD_PICK_BAD;
	return a != NULL ? LD_PICK_A : LD_PICK_B;
}

static int
header_of(struct ld_view *v, const uint8_t *image, const char *cluster,
    char *why, size_t why_size)
{
	struct ld_header h[2];
	const char *bad[2];
	int ok[2];

	for (unsigned c = 0; c < 2; c++)
		ok[c] = ld_header_decode(&h[c], image + ld_offset(0, c),
			    LD_BLOCK, &bad[c]) == 0;
	if (!ok[0] && !ok[1]) {
		snprintf(why, why_size, "header: %s", bad[0]);
		return -1;
	}
	if (!ok[0] || !ok[1])
		snprintf(v->damage, sizeof(v->damage),
		    "header: copy %d: %s; the other is used", ok[0] ? 2 : 1,
		    ok[0] ? bad[1] : bad[0]);
	else if (memcmp(&h[0], &h[1], sizeof(h[0])) != 0) {
		snprintf(why, why_size, "its two headers differ");
		return -1;
	}
	v->header = ok[0] ? h[0] : h[1];
	if (strcmp(v->header.cluster, cluster) == 0)
		return 0;
	snprintf(why, why_size, "it belongs to cluster %s, not to %s",
	    v->header.cluster, cluster);
	return -1;
}

static int
slot_of(struct ld_view *v, uint8_t id, const uint8_t *image,
    const uint8_t *before, char *why, size_t why_size)
{
	const char *bad[2] = {NULL, NULL};
	struct ld_slot s[2];
	bool ok[2], stable = before != NULL;
	enum ld_pick pick;

	for (unsigned c = 0; c < 2; c++) {
		size_t at = ld_offset(id, c);

		ok[c] = ld_slot_decode(&v->header, id, &s[c], image + at,
			    LD_BLOCK, &bad[c]) == 0;
		if (ok[c] && s[c].seq % 2 != c && s[c].seq != 0) {
			ok[c] = false;
			bad[c] = "in the other's place";
		}
		stable =
		    stable && memcmp(image + at, before + at, LD_BLOCK) == 0;
	}
	pick = ld_pick(ok[0] ? &s[0] : NULL, ok[1] ? &s[1] : NULL, stable);
	if (pick == LD_PICK_AGAIN)
		return 1;
	if (pick == LD_PICK_BAD) {
		snprintf(why, why_size, "slot of node %u: %s", id,
		    ok[0] ? "a write got lost" : bad[0]);
		return -1;
	}
	v->slots[id - 1] = s[pick == LD_PICK_A ? 0 : 1];
	if (!ok[0] || !ok[1])
		snprintf(v->damage, sizeof(v->damage),
		    "slot of node %u: copy %d: %s; the other is used", id,
		    ok[0] ? 2 : 1, ok[0] ? bad[1] : bad[0]);
	return 0;
}

int
ld_view_decode(struct ld_view *v, const uint8_t *image, const uint8_t *before,
    const char *cluster, char *why, size_t why_size)
{
	bool again = false;

	memset(v, 0, sizeof(*v));
	if (header_of(v, image, cluster, why, why_size) == -1)
		return -1;
	for (uint8_t id = 1; id <= HAD_NODES_MAX; id++) {
		const struct ld_slot *s = &v->slots[id - 1];
		int r = slot_of(v, id, image, before, why, why_size);

		if (r == -1)
			return -1;
		again = again || r == 1;
		if (s->chosen != 0 && s->epoch >= v->holder_epoch) {
			v->holder = s->chosen;
			v->holder_epoch = s->epoch;
		}
	}
	return again ? 1 : 0;
}
