/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packets that announce an address, and those by which another machine
 * claims one.  Pure: bytes in, structs out; whole Ethernet frames.
 */
#ifndef VIP_PACKET_H
#define VIP_PACKET_H

#include "had.h"

enum {
	VIP_ARP_LEN = 42, /* Ethernet header and ARP for IPv4 */
	VIP_NA_LEN = 86, /* Ethernet, IPv6, NA, one option */
	VIP_PACKET_MAX = VIP_NA_LEN,
};

enum vip_arp_form { VIP_ARP_REQUEST = 1, VIP_ARP_REPLY = 2 };

/*
 * Gratuitous ARP (RFC 5227, section 3; RFC 826): sender and target protocol
 * address are ip; to the broadcast address.  The request form has the target
 * hardware address ff:ff:ff:ff:ff:ff, the reply form repeats mac.  Fills
 * VIP_ARP_LEN bytes.
 */
void vip_arp_encode(uint8_t frame[VIP_ARP_LEN], enum vip_arp_form,
    const uint8_t mac[6], const uint8_t ip[4]);

/*
 * Unsolicited neighbour advertisement (RFC 4861, sections 4.4 and 7.2.6) from
 * ip to all nodes: override set, router as given, target link-layer address
 * mac.  Fills VIP_NA_LEN bytes.
 */
void vip_na_encode(uint8_t frame[VIP_NA_LEN], const uint8_t mac[6],
    const uint8_t ip[16], bool router);

/* Somebody says: this address is at this hardware address. */
struct vip_claim {
	uint8_t family; /* 4 or 6 */
	uint8_t ip[16]; /* network order; IPv4 in the first four */
	uint8_t mac[6];
};

/*
 * ARP request or reply: its sender fields; an ARP probe (sender 0.0.0.0)
 * claims nothing and is refused.  NA: its target and target link-layer
 * address, or the frame's source if it has no such option.  Returns 0, or -1
 * and why.
 */
int vip_claim_decode(
    struct vip_claim *, const uint8_t *frame, size_t len, const char **why);

#endif
