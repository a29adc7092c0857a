/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Advertisements of CARP version 2, as OpenBSD's carp(4) and ucarp send them,
 * and the frames around them.  Pure: bytes in, structs out; see adv_frame.h
 * for what is fed in.
 */
#ifndef CARP_PACKET_H
#define CARP_PACKET_H

#include "adv_frame.h"
#include "sha1.h"

enum {
	CARP_LEN = 36,
	CARP_AUTHLEN = 7, /* counter and digest in words of four bytes */
	CARP_FRAME_MAX = ADV_HEAD_MAX + CARP_LEN,
	CARP_KEY_LEN = 20, /* a password is padded to it with zeros */
	CARP_TOS = 0x10, /* low delay */
};

/*
 * Why an advertisement is refused: identifier, name of its counter.  The first
 * ones are those of the frame; DIGEST is found by carp_check, the last two by
 * carp_replay_check.
 */
#define CARP_REJECTS(X) \
	ADV_REJECTS(X) \
	X(VERSION, "version") /* not 2 */ \
	X(TYPE, "type") /* not an advertisement */ \
	X(LENGTH, "length") /* not 36 */ \
	X(AUTHLEN, "authlen") /* not 7: perhaps VRRP */ \
	X(CHECKSUM, "checksum") \
	X(VHID, "vhid") /* zero, or not the router's */ \
	X(INTERVAL, "interval") /* advbase and advskew both zero */ \
	X(DIGEST, "digest") /* another password or other addresses */ \
	X(REPLAY, "replay") /* the counter was heard before */ \
	X(RESTART, "restart") /* jumps, although its sender counts */

#define X(id, name) CARP_R_##id,
enum carp_reject { CARP_OK, CARP_REJECTS(X) CARP_REJECTS_N };
#undef X

/* The counter's name; "ok" for CARP_OK. */
const char *carp_reject_name(enum carp_reject);

struct carp_packet {
	struct adv_frame f;
	uint8_t vhid; /* 1..255 */
	uint8_t advbase; /* s */
	uint8_t advskew; /* 1/256 s */
	uint8_t demote; /* ucarp: 0 */
	uint64_t counter;
	uint8_t digest[SHA1_LEN];
};

enum carp_mac_form {
	CARP_MAC_OPENBSD, /* 00:00:5e:00:01:VHID, the same as VRRP's */
	CARP_MAC_UCARP, /* 00:00:5e:00:00:VHID, as source of adverts only */
};
void carp_mac(uint8_t mac[6], enum carp_mac_form, uint8_t vhid);

/* To the group, ToS 0x10, don't fragment: as OpenBSD and ucarp do. */
void carp_packet_init(struct carp_packet *, uint8_t family, uint8_t vhid);

/*
 * Is this message of protocol 112 CARP's?  A message of VRRPv2 of that length
 * has five addresses, and one whose count is 7 has 44 bytes.
 */
bool carp_is_message(const uint8_t *msg, size_t len);

/* "I go": advbase and advskew are 255. */
bool carp_is_bow_out(const struct carp_packet *);

/* advbase + advskew / 256 seconds, in microseconds. */
int64_t carp_interval_us(uint8_t advbase, uint8_t advskew);

/*
 * Password, vhid and addresses, prepared; everything is copied.  OpenBSD signs
 * without the link-local addresses of IPv6 and takes both forms, FreeBSD has
 * only the one with them: we sign with them and take both forms, too.
 */
struct carp_key {
	struct sha1_hmac all, global; /* up to the counter */
};

/*
 * password has at most CARP_KEY_LEN bytes.  n4 addresses of 4 bytes and n6 of
 * 16, in any order; equal ones count once.
 */
void carp_key_init(struct carp_key *, const char *password, uint8_t vhid,
    const uint8_t *ip4, size_t n4, const uint8_t *ip6, size_t n6);

/* Fills the digest of p's counter. */
void carp_sign(struct carp_packet *, const struct carp_key *);

/* Encoders, as those of vrrp_packet.h; the digest is sent as it is. */
size_t carp_encode_message(
    uint8_t *buf, size_t cap, const struct carp_packet *);
size_t carp_encode_ip(uint8_t *buf, size_t cap, const struct carp_packet *);
size_t carp_encode_frame(uint8_t *buf, size_t cap, const struct carp_packet *);

/*
 * Decoders.  The checksum never has a pseudo header.  The digest is not
 * checked: carp_check needs the key for it.  On a refusal vhid is 0 or the one
 * on the wire.  Encoding gives the same packet again but for IPv4 options, the
 * reserved IPv4 flag, bytes after the IP packet, and a checksum of ffff.
 */
enum carp_reject carp_decode_message(
    struct carp_packet *, const uint8_t *msg, size_t len);
enum carp_reject carp_decode_ip(
    struct carp_packet *, const uint8_t *ip, size_t len);
enum carp_reject carp_decode_frame(
    struct carp_packet *, const uint8_t *frame, size_t len);

/* Is it for this vhid and signed with this key?  In constant time. */
enum carp_reject carp_check(
    const struct carp_packet *, uint8_t vhid, const struct carp_key *);

#endif
