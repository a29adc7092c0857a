/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that an NBD client can send, as the server's decoders see it.
 * The first byte selects one; what they accept must be safe to act on.
 */
#include <stdlib.h>
#include <string.h>

#include "nbd_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
fuzz_go(const uint8_t *p, size_t len)
{
	static const struct nbdp_export e = {
	    .name = "fuzz", .size = 1 << 20, .block_min = 512};
	uint8_t out[3 * NBDP_NAME_MAX];
	struct nbdp_go g;
	const char *why;

	if (nbdp_get_go(&g, p, len, &why) == -1)
		return;
	ASSERT(g.name_len <= NBDP_NAME_MAX);
	ASSERT((const uint8_t *)g.name >= p);
	ASSERT((const uint8_t *)g.name + g.name_len <= p + len);
	ASSERT(
	    nbdp_put_info(out, sizeof(out), NBDP_OPT_GO, &g, &e) < sizeof(out));
}

static void
fuzz_request(const uint8_t *p, size_t len, bool structured)
{
	static const struct nbdp_export e = {.name = "fuzz",
	    .size = UINT64_C(1) << 40,
	    .flags = NBDP_SEND_FLUSH | NBDP_SEND_FUA | NBDP_SEND_TRIM |
		     NBDP_SEND_WRITE_ZEROES,
	    .block_min = 512};
	struct nbdp_request r;
	const char *why;

	if (nbdp_get_request(&r, p, len, &why) == -1)
		return;
	ASSERT(nbdp_cmd_name(r.cmd) != NULL);
	if (nbdp_check_request(&r, &e, structured, &why) != NBDP_OK)
		return;
	if (r.cmd == NBDP_DISC || r.cmd == NBDP_FLUSH)
		return;
	ASSERT(r.len > 0 && r.len % 512 == 0 && r.off % 512 == 0);
	ASSERT(r.off + r.len <= e.size && r.off + r.len > r.off);
	ASSERT(nbdp_payload(&r) <= NBDP_PAYLOAD_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct nbdp_opt_hdr h;
	uint32_t flags;
	const char *why;

	if (len < 1)
		return 0;
	switch (p[0] % 5) {
	case 0:
		fuzz_go(p + 1, len - 1);
		break;
	case 1:
	case 2:
		fuzz_request(p + 1, len - 1, p[0] % 5 == 1);
		break;
	case 3:
		(void)nbdp_get_opt_hdr(&h, p + 1, len - 1, &why);
		break;
	case 4:
		(void)nbdp_get_client_flags(&flags, p + 1, len - 1, &why);
		break;
	}
	return 0;
}
