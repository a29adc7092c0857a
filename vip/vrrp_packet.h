/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Advertisements of VRRP version 2 (RFC 3768, IPv4, with the simple password
 * of RFC 2338) and version 3 (RFC 9568, IPv4 and IPv6), with or without the
 * trailer of draft-cassen-vrrp-auth-hmac, and the frames around them.  Pure:
 * bytes in, structs out; see adv_frame.h for what is fed in.
 */
#ifndef VRRP_PACKET_H
#define VRRP_PACKET_H

#include "adv_frame.h"

enum {
	VRRP_HEAD_LEN = 8,
	VRRP_AUTH_LEN = 8, /* version 2 only, always there */
	VRRP_ADDRS_MAX = 255, /* the count is a byte */
	VRRP_TRAILER_LEN = 28, /* of what authenticates it, see vrrp_auth.h */
	VRRP_FRAME_MAX = ADV_HEAD_MAX + VRRP_HEAD_LEN + 16 * VRRP_ADDRS_MAX +
			 VRRP_TRAILER_LEN,
	VRRP_TOS = 0xc0, /* internetwork control */
	VRRP_PRIO_LEAVE = 0, /* the master goes: do not wait for it */
	VRRP_PRIO_OWNER = 255,
	VRRP_AUTH_NONE = 0,
	VRRP_AUTH_PASSWORD = 1,
};

/* What the checksum covers. */
enum vrrp_sum {
	VRRP_SUM_MESSAGE, /* version 2; IPv4 in version 3 by RFC 9568 */
	VRRP_SUM_PSEUDO, /* IPv6; IPv4 in version 3 as keepalived has it */
};

/*
 * Why an advertisement is refused: identifier, name of its counter.  The first
 * ones are those of the frame; those after AUTH_TYPE are found by vrrp_check,
 * those from HMAC_MISSING on by vrrp_auth_check.
 */
#define VRRP_REJECTS(X) \
	ADV_REJECTS(X) \
	X(CARP, "carp") /* a CARP advertisement, see carp_packet.h */ \
	X(VERSION, "version") /* unknown, 2 over IPv6, or not the router's */ \
	X(TYPE, "type") /* not an advertisement */ \
	X(VRID, "vrid") /* zero, or not the router's */ \
	X(NADDR, "naddr") /* no address */ \
	X(LENGTH, "length") /* other than version and count make it */ \
	X(CHECKSUM, "checksum") /* in no form that the version allows */ \
	X(INTERVAL, "interval") /* zero; version 2: not the router's */ \
	X(AUTH_TYPE, "auth-type") /* version 2: neither 0 nor 1 */ \
	X(AUTH_MISMATCH, "auth-mismatch") /* another type than the router's */ \
	X(AUTH, "auth") /* wrong password */ \
	X(ADDRESSES, "addresses") /* not those of the router */ \
	X(OWN, "own") /* sent from the router's own address */ \
	X(HMAC_MISSING, "hmac-missing") /* not signed */ \
	X(HMAC_MALFORMED, "hmac-malformed") /* another type, reserved bits */ \
	X(HMAC_STALE, "hmac-stale") /* its clock is out of the window */ \
	X(HMAC_KEY, "hmac-key") /* signed with a key that is not known */ \
	X(HMAC, "hmac") /* wrong: another key, or changed on its way */ \
	X(HMAC_SENDER, "hmac-sender") /* signed well, by no unicast peer */ \
	X(HMAC_REPLAY, "hmac-replay") /* no newer than one that was heard */

#define X(id, name) VRRP_R_##id,
enum vrrp_reject { VRRP_OK, VRRP_REJECTS(X) VRRP_REJECTS_N };
#undef X

/* The counter's name; "ok" for VRRP_OK. */
const char *vrrp_reject_name(enum vrrp_reject);

struct vrrp_packet {
	struct adv_frame f;
	uint8_t version; /* 2 or 3 */
	uint8_t vrid; /* 1..255 */
	uint8_t priority;
	uint8_t naddr; /* 1..255 */
	enum vrrp_sum sum; /* seen, or to be sent */
	/*
	 * Version 2: whole seconds, 1000..255000; version 3: whole
	 * centiseconds, 10..40950.
	 */
	uint32_t interval_ms;
	uint8_t auth_type; /* version 2: VRRP_AUTH_*; version 3: 0 */
	uint8_t auth[VRRP_AUTH_LEN]; /* version 2: as on the wire */
	/*
	 * Borrowed: from the packet that was decoded, or from who encodes.
	 * naddr addresses of 4 or 16 bytes, one after the other; of IPv6 the
	 * first should be link-local (RFC 9568, section 5.2.9).
	 */
	const uint8_t *addrs;
	/*
	 * Borrowed as addrs: VRRP_TRAILER_LEN bytes, as on the wire, directly
	 * behind the message of a packet that was decoded; NULL: none.
	 */
	const uint8_t *trailer;
};

/*
 * An advertisement to the group, with the checksum form that keepalived sends
 * (message in version 2, else pseudo header), without MAC source, addresses,
 * priority, interval, which the caller sets.
 */
void vrrp_packet_init(
    struct vrrp_packet *, uint8_t version, uint8_t family, uint8_t vrid);

/* The virtual router's MAC: 00:00:5e:00:01:VRID, IPv6 00:00:5e:00:02:VRID. */
void vrrp_mac(uint8_t mac[6], uint8_t family, uint8_t vrid);

/* Can version carry this interval exactly? */
bool vrrp_interval_ok(uint8_t version, uint32_t interval_ms);

/* Bytes of the message alone, without a trailer. */
size_t vrrp_message_len(const struct vrrp_packet *);

/*
 * Encoders: message alone, IP packet, whole Ethernet frame without padding.
 * They assert that the packet is possible and fits into cap bytes
 * (VRRP_FRAME_MAX always do), and return the length.
 */
size_t vrrp_encode_message(
    uint8_t *buf, size_t cap, const struct vrrp_packet *);
size_t vrrp_encode_ip(uint8_t *buf, size_t cap, const struct vrrp_packet *);
size_t vrrp_encode_frame(uint8_t *buf, size_t cap, const struct vrrp_packet *);

/*
 * Decoders.  The message decoder takes the frame's addresses from p->f (the
 * checksum may cover them); the others fill p->f, too.  On VRRP_OK all of p is
 * set, otherwise as much as was read: vrid is 0 or the one on the wire, so
 * that the caller can count at the router meant.
 *
 * An encoded decoded packet is the same packet, but for: IPv4 options, the
 * reserved IPv4 flag and bytes after the IP packet are gone, the four reserved
 * bits of version 3 are zero, and a checksum of ffff becomes its other form 0.
 * Should both checksum forms fit, VRRP_SUM_PSEUDO is told.
 */
enum vrrp_reject vrrp_decode_message(
    struct vrrp_packet *, const uint8_t *msg, size_t len);
enum vrrp_reject vrrp_decode_ip(
    struct vrrp_packet *, const uint8_t *ip, size_t len);
enum vrrp_reject vrrp_decode_frame(
    struct vrrp_packet *, const uint8_t *frame, size_t len);

/* What a router expects of the others. */
struct vrrp_expect {
	uint8_t version, family, vrid;
	uint8_t auth_type; /* version 2 */
	uint8_t auth[VRRP_AUTH_LEN]; /* zero-padded password */
	uint32_t interval_ms; /* version 2: must match; 0: any */
	const uint8_t *own; /* borrowed: own primary address, or NULL */
	const uint8_t *addrs; /* borrowed: naddr addresses; NULL: any */
	uint8_t naddr;
	bool trailer; /* it may have one: vrrp_auth_check decides */
};

/*
 * The checks that need the configuration (RFC 3768 and RFC 9568, section 7.1).
 * The order of addresses does not matter; those of an owner (255) are not
 * compared, as it is right by definition.
 */
enum vrrp_reject vrrp_check(
    const struct vrrp_packet *, const struct vrrp_expect *);

/* Of IPv6: is the first address link-local, as section 5.2.9 wants it? */
bool vrrp_first_is_link_local(const struct vrrp_packet *);

#endif
