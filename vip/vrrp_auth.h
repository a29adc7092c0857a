/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Authentication of VRRP advertisements by HMAC-SHA256, of either version and
 * family (draft-cassen-vrrp-auth-hmac; keepalived calls it auth_hmac).  Pure;
 * time comes in.
 *
 * Behind the message, which stays as it is, stand 28 bytes: a key's number, a
 * sequence made of the wall clock, and the HMAC of a pseudo header (family,
 * version, vrid, source address), of the message but for its checksum, and of
 * themselves.  The destination is not covered: copies to several machines are
 * the same.
 *
 * What this cannot do: know what was sent before it began to listen.  Who
 * plays that to it is refused by time, if replay is judged by time: a sender's
 * clock and the receiver's differ by no more than the window.  Otherwise
 * (monotonic) the first advert of a sender is believed however old it is, and
 * who sets the clock of a sender back has to start its receivers anew.
 */
#ifndef VRRP_AUTH_H
#define VRRP_AUTH_H

#include <openssl/sha.h>

#include "vrrp_packet.h"

enum {
	VRRP_HMAC_LEN = 16, /* of the 32 that SHA-256 gives */
	VRRP_HMAC_KEY_MIN = 32,
	VRRP_HMAC_KEY_MAX = 64,
	VRRP_AUTH_SENDERS = 4, /* remembered of those of a group */
	VRRP_AUTH_MARKS = 8, /* of unicast peers, one for each */
	VRRP_AUTH_HMAC_SHA256 = 1, /* the only type */
};

/* The trailer as it is on the wire, but for the reserved bytes. */
struct vrrp_trailer {
	uint8_t type;
	uint8_t key; /* 1..255 */
	uint16_t reserved; /* zero */
	uint64_t seq; /* seconds << 32, 1/65536 s << 16, a counter */
	uint8_t hmac[VRRP_HMAC_LEN];
};

void vrrp_trailer_put(
    uint8_t bytes[VRRP_TRAILER_LEN], const struct vrrp_trailer *);
void vrrp_trailer_get(
    struct vrrp_trailer *, const uint8_t bytes[VRRP_TRAILER_LEN]);

/* A key, prepared: what it was is not in here. */
struct vrrp_auth_key {
	uint8_t id; /* 1..255 */
	SHA256_CTX inner, outer; /* behind the padded key */
};

/* At most VRRP_HMAC_KEY_MAX bytes. */
void vrrp_auth_key_init(
    struct vrrp_auth_key *, uint8_t id, const uint8_t *key, size_t len);

/* The newest advert of a sender. */
struct vrrp_auth_mark {
	bool used;
	uint8_t src[16]; /* IPv4 zero-padded */
	uint64_t seq;
	uint32_t turn; /* when, among the others */
};

/* Of one router. */
struct vrrp_auth {
	/* As configured. */
	const struct vrrp_auth_key *keys; /* borrowed; n_keys */
	uint8_t n_keys;
	uint8_t sign; /* the key that signs; 0: not signed */
	bool enforce; /* what is not signed is refused */
	bool monotonic;
	uint16_t window_s;
	uint8_t peers[VRRP_AUTH_MARKS][16]; /* who may send */
	uint8_t n_peers; /* 0: anybody of the group */
	/* What was sent and heard. */
	bool sent;
	uint64_t last; /* then: that one */
	uint32_t turn;
	struct vrrp_auth_mark marks[VRRP_AUTH_MARKS];
};

/* A wall clock in microseconds since 1970 as a sequence has it. */
uint64_t vrrp_auth_clock(uint64_t us);

/*
 * The trailer of the next advert, for a message that was encoded without one.
 * src is its source (4 or 16 bytes).  Once for each advert, however many get
 * it: no sequence is used twice.
 */
void vrrp_auth_sign(struct vrrp_auth *, uint64_t clock, uint8_t family,
    const uint8_t *src, const uint8_t *msg, size_t len,
    uint8_t trailer[VRRP_TRAILER_LEN]);

/*
 * Is this decoded advert to be believed?  VRRP_OK, and it is remembered; or
 * why not, and nothing changes.  *ahead_s: by how much its clock is ahead, if
 * it has one, as far as 32 bits go.
 */
enum vrrp_reject vrrp_auth_check(struct vrrp_auth *, const struct vrrp_packet *,
    uint64_t clock, int32_t *ahead_s);

/* Of one that was refused as a replay: is it the very one heard last? */
bool vrrp_auth_is_last(const struct vrrp_auth *, const struct vrrp_packet *);

/* A new configuration goes on where the old one was. */
void vrrp_auth_adopt(struct vrrp_auth *, const struct vrrp_auth *old);

#endif
