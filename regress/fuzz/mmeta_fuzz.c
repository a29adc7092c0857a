/* SPDX-License-Identifier: BSD-2-Clause */
/* Superblocks and map pages from a hostile disk. */
#include <stdlib.h>
#include <string.h>

#include "dirtymap.h"
#include "mmeta.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
sb(const uint8_t page[MMETA_PAGE])
{
	uint8_t again[MMETA_PAGE];
	struct mmeta_sb a, b;
	const char *why;

	if (mmeta_sb_decode(&a, page, &why) == -1)
		return;
	mmeta_sb_encode(&a, again);
	if (mmeta_sb_decode(&b, again, &why) == -1 ||
	    memcmp(&a, &b, sizeof(a)) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t page[MMETA_PAGE] = {0}, zero[MMETA_PAGE] = {0};
	struct dirtymap dm;
	struct mmeta_sb got;
	const char *why;
	unsigned bad;
	int which;

	memcpy(page, data, len < MMETA_PAGE ? len : MMETA_PAGE);
	sb(page);
	mmeta_sb_pick(&got, page, zero, &which, &why);
	mmeta_sb_pick(&got, zero, page, &which, &why);
	if (dm_init(&dm, MMETA_PAGE_BITS + 100) == -1)
		return 0;
	bad = mmeta_page_decode(page, 1, MMETA_BITMAP, 0, 1, &dm);
	if (bad > 8 || dm.count > dm.nbits)
		abort();
	dm_fini(&dm);
	/* Past the checksum: what the fields may do. */
	memcpy(page, "hadmeta1\1\0\0\0", 12);
	put_u32(page + 12, 0);
	put_u32(page + 12, mmeta_crc32c(page, MMETA_PAGE));
	sb(page);
	return 0;
}
