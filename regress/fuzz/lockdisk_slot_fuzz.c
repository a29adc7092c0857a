/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What decodes must encode to the same bytes; what is not whole has a reason;
 * and whatever a slot says, the vote takes a step.  The checksum is put right,
 * or nothing would ever get past it: input is kind, node, and a block.
 */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "lockdisk_slot.h"
#include "lockdisk_vote.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct ld_header fuzz_header = {"prod", 0x1122334455667788};

static void
put_sum(uint8_t *block)
{
	uint64_t sum;

	memset(block + 16, 0, 8);
	sum = XXH3_64bits(block, LD_USED);
	for (int i = 0; i < 8; i++)
		block[16 + i] = (uint8_t)(sum >> (8 * i));
}

static void
vote(const struct ld_slot *s, uint8_t self)
{
	struct ld_slot slots[HAD_NODES_MAX] = {0};
	enum ldv_do what;
	struct ldv v;

	for (unsigned i = 0; i < HAD_NODES_MAX; i++)
		slots[i].node = (uint8_t)(i + 1);
	slots[s->node - 1] = *s;
	ldv_init(&v, self, 1);
	what = ldv_ask(&v, s->epoch > 1 ? s->epoch : 1);
	for (int i = 0; i < 16 && what != LDV_DONE; i++) {
		if (what == LDV_READ) {
			what = ldv_read(&v, slots);
		} else if (what == LDV_WRITE) {
			slots[self - 1] = v.own;
			what = ldv_wrote(&v);
		} else {
			what = ldv_waited(&v);
		}
	}
	ASSERT(what == LDV_DONE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t block[LD_BLOCK] = {0}, again[LD_BLOCK];
	uint8_t node;
	struct ld_header h;
	struct ld_slot s;
	const char *why;

	if (size < 2)
		return 0;
	node = (uint8_t)(data[1] % HAD_NODES_MAX + 1);
	if (ld_slot_decode(&fuzz_header, node, &s, data + 2, size - 2, &why) ==
	    -1)
		ASSERT(why != NULL);
	memcpy(
	    block, data + 2, size - 2 < LD_USED ? size - 2 : (size_t)LD_USED);
	put_sum(block);
	if (ld_header_decode(&h, block, LD_USED, &why) == 0) {
		ld_header_encode(&h, again);
		ASSERT(memcmp(block, again, LD_USED) == 0);
	} else {
		ASSERT(why != NULL);
	}
	if (ld_slot_decode(&fuzz_header, node, &s, block, LD_USED, &why) == 0) {
		ld_slot_encode(&fuzz_header, &s, again);
		ASSERT(memcmp(block, again, LD_USED) == 0);
		vote(&s, (uint8_t)(data[0] % HAD_NODES_MAX + 1));
	} else {
		ASSERT(why != NULL);
	}
	return 0;
}
