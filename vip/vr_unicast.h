/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver: adverts to one machine.  The kernel finds its hardware address, as
 * for any packet; the IP header is the caller's own.
 */
#ifndef VR_UNICAST_H
#define VR_UNICAST_H

#include "had.h"

struct vru;
struct vru *vru_new(void); /* NULL and errno */
void vru_free(struct vru *);

/*
 * Sends the IP packet, from its IP header on, by the interface ifindex to the
 * destination that its header names.  0, or -1 and errno: EINVAL for what is
 * no IP packet.
 */
int vru_send(struct vru *, uint32_t ifindex, const uint8_t *packet, size_t len);

#endif
