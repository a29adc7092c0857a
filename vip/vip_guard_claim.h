/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver: proof that no other had guards anything here.  It owns the tables by
 * whose loss the kernel silences a dead daemon (had_lease of every class, see
 * vip_guard.h), as a living one would, but empty: no packet notices, and what
 * the guard of a dead one keeps silent stays silent.
 */
#ifndef VIP_GUARD_CLAIM_H
#define VIP_GUARD_CLAIM_H

#include <stddef.h>

struct vip_guard_claim;
/* NULL: another had lives here, or the kernel cannot do it; err says which. */
struct vip_guard_claim *vip_guard_claim(char *err, size_t size);
/* Before a guard of this daemon's own is made.  NULL is allowed. */
void vip_guard_unclaim(struct vip_guard_claim *);

#endif
