/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frame around an advertisement of VRRP or CARP: Ethernet header, IPv4 or
 * IPv6 header of protocol 112.  Pure: bytes in, structs out.
 *
 * A decoder takes the IP packet, as an AF_PACKET socket of type SOCK_DGRAM
 * gives it, or the whole Ethernet frame of one of type SOCK_RAW.  (A raw IPv6
 * socket keeps the header to itself.)  Such a socket gets packets before the
 * kernel's IP layer has looked at them, so everything is checked here.  What
 * was sent by this machine or is meant for another one (PACKET_OUTGOING,
 * PACKET_OTHERHOST) the caller has to drop itself.
 */
#ifndef ADV_FRAME_H
#define ADV_FRAME_H

#include "had.h"

enum {
	ADV_ETH_LEN = 14,
	ADV_IP4_LEN = 20, /* as sent; received ones may have options */
	ADV_IP6_LEN = 40,
	ADV_HEAD_MAX = ADV_ETH_LEN + ADV_IP6_LEN,
	ADV_PROTO = 112,
	ADV_TTL = 255, /* the only one accepted: nothing routed (GTSM) */
};

/* Why the frame around an advertisement is refused: identifier, name. */
#define ADV_REJECTS(X) \
	X(SHORT, "short") /* ends inside a header */ \
	X(ETHERTYPE, "ethertype") /* the frame is not of its IP version */ \
	X(IP_VERSION, "ip-version") /* neither 4 nor 6 */ \
	X(IP_HEADER, "ip-header") /* header length below 20 or too long */ \
	X(IP_LENGTH, "ip-length") /* the header says more than there is */ \
	X(IP_CHECKSUM, "ip-checksum") \
	X(FRAGMENT, "fragment") \
	X(PROTOCOL, "protocol") /* not 112 directly after the IP header */ \
	X(TTL, "ttl") /* not 255: came from another network */ \
	X(SOURCE, "source") /* not one host's; not link-local to ff02::12 */ \
	X(DESTINATION, "destination") /* multicast, but another group */

#define X(id, name) ADV_R_##id,
enum adv_reject { ADV_OK, ADV_REJECTS(X) ADV_REJECTS_N };
#undef X

/* Everything of the headers that may differ from packet to packet. */
struct adv_frame {
	uint8_t family; /* 4 or 6 */
	uint8_t tos; /* type of service, traffic class */
	uint8_t ttl; /* hop limit */
	bool df; /* IPv4: don't fragment */
	uint16_t id; /* IPv4: identification */
	uint32_t flow; /* IPv6: flow label, 20 bits */
	uint8_t src[16]; /* network order; IPv4 in the first four, rest 0 */
	uint8_t dst[16];
	uint8_t src_mac[6]; /* zero where only the IP packet was decoded */
	uint8_t dst_mac[6];
};

/* A frame to 224.0.0.18 or ff02::12, TTL 255, all else zero. */
void adv_frame_init(struct adv_frame *, uint8_t family);

/* To one host: its address (4 or 16 bytes) and its hardware address. */
void adv_frame_unicast(
    struct adv_frame *, const uint8_t *dst, const uint8_t dst_mac[6]);

bool adv_is_multicast(const struct adv_frame *);

/* Bytes of the headers that adv_put_ip and adv_put_eth write. */
size_t adv_ip_len(const struct adv_frame *);

/*
 * Reads the IP header; on ADV_OK *payload (borrowed from ip) and *payload_len
 * are what it carries, link-layer padding cut off.
 */
enum adv_reject adv_get_ip(struct adv_frame *, const uint8_t *ip, size_t len,
    const uint8_t **payload, size_t *payload_len);

/* The same behind an Ethernet header without VLAN tag. */
enum adv_reject adv_get_eth(struct adv_frame *, const uint8_t *frame,
    size_t len, const uint8_t **payload, size_t *payload_len);

/* Write the headers of payload_len bytes; return the header's length. */
size_t adv_put_ip(uint8_t *ip, const struct adv_frame *, size_t payload_len);
size_t adv_put_eth(
    uint8_t *frame, const struct adv_frame *, size_t payload_len);

/*
 * The Internet checksum (RFC 1071).  adv_sum adds len bytes to a running sum,
 * adv_sum_pseudo the pseudo header of the frame's addresses (RFC 9293, section
 * 3.1; RFC 8200, section 8.1) for a payload of len bytes; adv_sum_end folds
 * and inverts: 0 over bytes that carry a right checksum.
 */
uint32_t adv_sum(uint32_t sum, const uint8_t *, size_t len);
uint32_t adv_sum_pseudo(uint32_t sum, const struct adv_frame *, size_t len);
uint16_t adv_sum_end(uint32_t sum);

#endif
