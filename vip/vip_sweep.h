/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver: addresses that a had put on an interface and that this one's
 * configuration has not.  Only their mark tells: a had that died left them,
 * behind the guard of what was configured then, and the file was changed
 * before it was started again.  Nobody guards them now, and another machine
 * may have them.
 */
#ifndef VIP_SWEEP_H
#define VIP_SWEEP_H

#include "vip.h"

struct vip_swept {
	uint8_t family; /* 4 or 6 */
	uint8_t prefix;
	uint8_t bytes[16];
	uint32_t ifindex;
};

/*
 * Those that bear the mark and are not in addrs (family 0: none), at most
 * size.  Returns how many, or -1 and errno.
 */
int vip_sweep_find(const struct vip_addr_conf *addrs, uint16_t n,
    struct vip_swept *found, size_t size);
/*
 * Removes them: before a guard is made, which would not know them, and only if
 * no other had lives that may have put them there.  0, or -1 and errno.
 */
int vip_sweep(const struct vip_swept *, size_t n);

#endif
