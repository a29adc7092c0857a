/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver: membership in the groups by whose hardware addresses clients reach
 * shared addresses (see share_mac).  For IPv4 only; every holder of an IPv6
 * address is in its solicited-node group anyway.
 */
#ifndef SHARE_GROUP_H
#define SHARE_GROUP_H

#include "vip.h"

struct share_group;
/* addrs: copied; those that are not shared are skipped.  NULL and errno. */
struct share_group *share_group_new(
    const struct vip_addr_conf *addrs, uint16_t n);
void share_group_free(struct share_group *);

/*
 * Joins what is not joined: at first, and where an interface was made anew.
 * Returns how many could not be; name and errno are those of the first.
 */
unsigned share_group_join(struct share_group *, const char **name);

#endif
