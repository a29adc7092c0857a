/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel says about network interfaces: do two of them share a
 * device that one fault would take from both (R2)?
 */
#ifndef NETDEV_H
#define NETDEV_H

#include "had.h"

/*
 * True if a and b are the same, lie above a common device (VLANs of one card,
 * a VLAN and its card), or are slaves of one bond or team.  class is the
 * directory of interfaces, "/sys/class/net"; what cannot be read shares
 * nothing.
 */
bool netdev_share(const char *class, const char *a, const char *b);

#endif
