/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver: packet sockets for the adverts of virtual routers (VRRP and CARP,
 * IP protocol 112), and what the kernel says about the interfaces they use.
 *
 * Adverts are read and written as whole frames, so that they can come from a
 * virtual hardware address.  They pass the egress hook like any packet.
 */
#ifndef VR_SOCK_H
#define VR_SOCK_H

#include <systemd/sd-event.h>

#include "had.h"

enum {
	VRS_IFS_MAX = 64,
	VRS_FRAME_MAX = 4096, /* one frame to be sent, at most */
	VRS_NO_IFACE = 0xffff,
	VRS_PACKETS_MAX = 64, /* told at once, at most */
};

/* An interface.  Its id is its index in the configuration. */
struct vrs_iface_conf {
	char name[16];
	bool want4, want6; /* adverts of this family */
	bool multicast; /* joins 224.0.0.18, ff02::12 */
};

struct vrs_addr {
	uint16_t iface; /* VRS_NO_IFACE: none of those here */
	uint8_t family; /* 4 or 6 */
	uint8_t bytes[16]; /* network order; IPv4 in the first four */
};

struct vrs_conf { /* all of it is borrowed by vrs_new, and copied */
	const struct vrs_iface_conf *ifaces;
	uint16_t n_ifaces;
	/* Who may send adverts by unicast; nobody else's come through. */
	const struct vrs_addr *peers;
	uint16_t n_peers; /* at most 100 of one interface and family */
	/*
	 * Service addresses, which are never anybody's primary address.  Of
	 * an IPv6 one the interface joins the solicited-node group.
	 */
	const struct vrs_addr *own;
	uint16_t n_own;
};

/* What is known about an interface.  Unknown things are zero. */
struct vrs_iface {
	bool exists;
	bool up; /* administratively */
	bool carrier; /* and fit to send */
	bool has_mac; /* Ethernet */
	bool has4, has6;
	uint32_t ifindex;
	uint32_t mtu;
	uint8_t mac[6];
	uint8_t addr4[4]; /* primary: the first global one, not a service's */
	uint8_t addr6[16]; /* link-local, not tentative, not a virtual MAC's */
};

/*
 * An IP packet of protocol 112 from its IP header on, as the network gave it:
 * nothing else is checked.  received: when the kernel got it, never in the
 * future.  All of it is lent.
 */
struct vrs_packet {
	const uint8_t *src_mac; /* 6 bytes */
	const uint8_t *ip;
	size_t len;
	monotime_t received;
};

/* Called from the loop, never from inside vrs_new, vrs_send or vrs_flush. */
struct vrs_cb {
	/* n that came together, in their order; 0 < n <= VRS_PACKETS_MAX */
	void (*packets)(
	    void *ctx, uint16_t iface, const struct vrs_packet *, unsigned n);
	/* Once for each interface soon after the start; once per change. */
	void (*iface)(void *ctx, uint16_t iface, const struct vrs_iface *);
};

struct vrs;
/*
 * An interface that does not exist yet is bound when it appears.  A second
 * instance may be made before the first one is freed, so that a change of the
 * configuration loses no packet.  NULL and errno, with err filled in.
 */
struct vrs *vrs_new(sd_event *, const struct vrs_conf *, const struct vrs_cb *,
    void *ctx, char *err, size_t err_size);
void vrs_free(struct vrs *);

/*
 * Queues a whole Ethernet frame, copied; what is queued leaves with vrs_flush,
 * or before if there are many.  Frames leave in the order of the calls.
 */
void vrs_send(struct vrs *, uint16_t iface, const uint8_t *frame, size_t len);
/* All of it in as few system calls as can be: one, if nothing is refused. */
void vrs_flush(struct vrs *);

/* As last seen; borrowed. */
const struct vrs_iface *vrs_iface(const struct vrs *, uint16_t iface);

/*
 * Reads what the kernel has for us now, without waiting for the loop's turn,
 * and calls cb.packets for it: before a timeout deposes somebody.
 */
void vrs_read(struct vrs *);

struct vrs_stats {
	uint64_t sent, send_calls;
	uint64_t send_failed; /* refused by the kernel */
	uint64_t send_unbound; /* no interface to send by */
	uint64_t received;
	uint64_t rests; /* of a socket, as many came at once */
	uint64_t overruns; /* of the kernel's notices; all was asked anew */
};
void vrs_stats(const struct vrs *, struct vrs_stats *);

#endif
