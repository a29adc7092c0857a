/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames from the wire.  What is taken for a claim has a family, and an
 * announcement of that very claim is taken for the same.
 */
#include <string.h>

#include "vip_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t frame[VIP_PACKET_MAX];
	struct vip_claim c, again;
	const char *why = NULL;
	size_t len;

	if (vip_claim_decode(&c, data, size, &why) < 0) {
		ASSERT(why != NULL);
		return 0;
	}
	ASSERT(c.family == 4 || c.family == 6);
	if (c.family == 4) {
		vip_arp_encode(frame, VIP_ARP_REPLY, c.mac, c.ip);
		len = VIP_ARP_LEN;
	} else {
		vip_na_encode(frame, c.mac, c.ip, true);
		len = VIP_NA_LEN;
	}
	ASSERT(vip_claim_decode(&again, frame, len, &why) == 0);
	ASSERT(memcmp(&c, &again, sizeof(c)) == 0);
	return 0;
}
