/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sealing of messages.  No sockets: bytes in, bytes out, so that two ends can
 * be tested in memory.
 *
 *	ctl:  TLS bytes both ways (seal_tls) -> struct seal_session
 *	each association, ctl included, once a session exists:
 *	      TOKEN ->, <- TOKEN	a nonce each, under a MAC of the session
 *	      CONFIRM ->, <- CONFIRM	sealed under keys from both nonces
 *	      DATA, CREDIT		sealed
 *
 * The same exchange gives new keys later (a new key epoch), while data flows
 * under the old ones.  An end sends under the new keys only when it knows that
 * the other one has installed them, so streams that overtake each other lose
 * nothing.  Replayed tokens cannot lead to a CONFIRM: our nonce is fresh.
 *
 * Record: 16 bytes of header (the AAD), ciphertext, 16 bytes of tag:
 *	0 version, 1 type, 2 key epoch (16 bits), 4 stream (15 bits; bit 15:
 *	unordered), 6 zero (16 bits), 8 sequence (64 bits); little-endian
 */
#ifndef SEAL_H
#define SEAL_H

#include <sys/uio.h>

#include "had.h"

struct evp_pkey_st;

enum {
	SEAL_HEADER = 16,
	SEAL_TAG = 16,
	SEAL_OVERHEAD = SEAL_HEADER + SEAL_TAG,
	SEAL_STREAMS = 17, /* stream 0 is for the exchange above */
	/* Nothing that an unproven peer may send is longer. */
	SEAL_UNPROVEN_MAX = 4096,
	SEAL_HELLO_MAX = 32768, /* all TLS bytes of one side */
	SEAL_CONTROL_MAX = 128, /* TOKEN, CONFIRM, CREDIT */
};

/* What an authenticated handshake leaves: all keys derive from it. */
struct seal_session {
	uint8_t sid[8];
	uint8_t master[32];
	uint64_t incarnation; /* ours */
	uint64_t peer_incarnation;
};

/* seal_tls.c: the handshake. */

struct seal_id; /* our key and its certificate */
struct seal_tls;

/* key is borrowed during the call.  NULL: not Ed25519, or out of memory. */
struct seal_id *seal_id_new(struct evp_pkey_st *key);
void seal_id_free(struct seal_id *);

struct seal_who {
	const char *cluster;
	uint8_t self, peer; /* node ids; the lower one is TLS's client */
	uint64_t incarnation;
	uint8_t pin[32]; /* the peer's SHA-256(SPKI) */
	/*
	 * For one that serves many: whose key is this?  Returns NULL and sets
	 * cluster (borrowed during the call) and peer, which the greeting has
	 * to confirm; or why it is refused.  cluster above is "", peer 0 until
	 * then, pin unused, and the other end TLS's client.  NULL: pin decides.
	 */
	const char *(*find)(void *ctx, const uint8_t pin[32],
	    const char **cluster, uint8_t *peer);
	void *ctx; /* borrowed; of find */
};

/*
 * who is copied, id borrowed until seal_tls_free.  NULL: out of memory.
 */
struct seal_tls *seal_tls_new(const struct seal_id *, const struct seal_who *);
void seal_tls_free(struct seal_tls *);

/*
 * Takes bytes of the peer (none to begin with), fills in *s and returns 1
 * when the peer is authenticated; 0 to go on; -1 and why if it is refused.
 */
int seal_tls_input(struct seal_tls *, const uint8_t *, size_t,
    struct seal_session *s, const char **why);

/* The next record to send on stream 0; 0 = nothing.  Call until 0. */
size_t seal_tls_output(struct seal_tls *, uint8_t *buf, size_t size);

/* seal.c: one association. */

struct seal;

struct seal_conf {
	uint8_t kind, link; /* bound into the keys */
	bool client; /* our id is the lower one */
	bool unordered; /* DATA is unordered on stream 1 only (hb) */
	uint64_t rekey_records;
};

struct seal *seal_new(const struct seal_conf *); /* NULL: out of memory */
void seal_free(struct seal *);

/*
 * The session of ctl that is current, copied; NULL: there is none now.  Keys
 * in use stay in use.  A session that differs from the one in use leads to new
 * keys.
 */
void seal_use(struct seal *, const struct seal_session *);

/* True once the peer has proven itself and data can be sealed. */
bool seal_ready(const struct seal *);

/* Key epoch in use, 0 = none.  It grows with each change of keys. */
uint16_t seal_epoch(const struct seal *);

/*
 * A TOKEN or CONFIRM to send on stream 0, ordered; 0 = nothing.  To be called
 * until 0 after each seal_use, seal_open, seal_data and seal_credit.
 */
size_t seal_control(struct seal *, uint8_t buf[SEAL_CONTROL_MAX]);

enum seal_type {
	SEAL_TLS = 1,
	SEAL_TOKEN,
	SEAL_CONFIRM,
	SEAL_DATA,
	SEAL_CREDIT,
};

/*
 * Seals one message into buf (SEAL_OVERHEAD more than the sum of iov).
 * Returns the length, 0 if the keys are used up and must not be used again:
 * the association has to be closed.  Only when seal_ready.
 */
size_t seal_data(struct seal *, uint16_t stream, const struct iovec *, int,
    uint8_t *buf, size_t size);
size_t seal_credit(
    struct seal *, uint64_t consumed, uint8_t buf[SEAL_CONTROL_MAX]);

enum seal_verdict {
	SEAL_GOT_TLS, /* *out: bytes for seal_tls_input */
	SEAL_GOT_DATA, /* *out: the message */
	SEAL_GOT_CREDIT, /* *credit */
	SEAL_HANDLED, /* look at seal_ready and seal_control */
	SEAL_DROP, /* unordered, not genuine: ignore, count */
	SEAL_BAD, /* close the association */
};

struct seal_in {
	uint8_t *data; /* within the bytes given, opened in place */
	size_t len;
	uint64_t credit;
	const char *why; /* of DROP and BAD; static */
};

/* Opens what came on a stream. */
enum seal_verdict seal_open(struct seal *, uint16_t stream, bool unordered,
    uint8_t *bytes, size_t len, struct seal_in *);

#endif
