/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver: packet sockets that announce service addresses and that see other
 * machines claim them.
 */
#ifndef VIP_ANNOUNCE_H
#define VIP_ANNOUNCE_H

#include <systemd/sd-event.h>

#include "vip.h"

struct vip_announce_cb {
	/*
	 * A machine with another hardware address claims id; one that is on
	 * an interface of this machine is none.  Called for each
	 * packet, also while this node does not hold the address: the core
	 * sorts it out.
	 */
	void (*conflict)(void *ctx, uint16_t id, const uint8_t mac[6]);
};

struct vip_announce;
/* addrs are copied.  NULL and errno, with err filled in. */
struct vip_announce *vip_announce_new(sd_event *, const struct vip_addr_conf *,
    uint16_t n, const struct vip_announce_cb *, void *ctx, char *err,
    size_t err_size);
void vip_announce_free(struct vip_announce *);

/*
 * Gratuitous ARP in request and reply form, or an unsolicited neighbour
 * advertisement.  They are queued, and leave together in few system calls at
 * the end of this turn of the loop, or with vip_announce_flush.  The guard
 * sees them like any packet and drops those of a closed address.  0, or -1
 * and errno if there is no interface to send by; what fails later is logged.
 */
int vip_announce_send(struct vip_announce *, uint16_t id);
void vip_announce_flush(struct vip_announce *);

#endif
