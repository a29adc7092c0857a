/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One sealed association between a node and had-witness, on an SCTP socket of
 * the one-to-one kind; both the program and the client in had use it.
 */
#ifndef WITNESS_INT_H
#define WITNESS_INT_H

#include <systemd/sd-event.h>

#include "had.h"
#include "seal.h"

struct wcn;

enum wcn_end {
	WCN_UNREACHED, /* never connected */
	WCN_CLOSED, /* by the other end, or by its kernel */
	WCN_LOST, /* by retransmissions, or a queue that does not move */
	WCN_BAD, /* not who it should be, or it breaks the protocol */
	WCN_LATE, /* it did not prove itself in time */
};

/*
 * None runs within wcn_new, wcn_send or wcn_shutdown; they may call the latter
 * two, and down may call wcn_free as well.
 */
struct wcn_cb {
	/* Authenticated and keyed; before it no msg comes. */
	void (*up)(void *ctx, uint64_t peer_incarnation);
	void (*msg)(void *ctx, const uint8_t *, size_t);
	/* The end of it, whether it was up or not; the last call. */
	void (*down)(void *ctx, enum wcn_end, const char *why);
};

/*
 * fd is owned from here on, and is connected, or connecting.  client: this end
 * is a node.  who is copied, id, cb and ctx are borrowed until wcn_free.  If it
 * is not up after auth_ms, it goes down.  NULL: out of memory, fd is closed.
 */
struct wcn *wcn_new(sd_event *, int fd, bool client, const struct seal_id *,
    const struct seal_who *who, uint32_t auth_ms, const struct wcn_cb *,
    void *ctx);
/* The other one sees an ABORT. */
void wcn_free(struct wcn *);

/*
 * Seals and sends, at most WCN_MAX bytes.  If it cannot it goes down, from the
 * loop.  Returns 0, or -1 if it is not up.
 */
enum { WCN_MAX = 512 };
int wcn_send(struct wcn *, const void *, size_t);

/* Sends what was sent, then ends the association; down follows. */
void wcn_shutdown(struct wcn *);

/*
 * Sockets, not blocking.  Both return the descriptor, or -1 with errno and a
 * text in why.  local may be "" for wcn_connect.
 */
int wcn_listen(const char *addr, uint16_t port, char *why, size_t size);
int wcn_connect(
    const char *addr, uint16_t port, const char *local, char *why, size_t size);
/* Could wcn_connect work at all?  0, or -1 with errno and why. */
int wcn_probe(const char *addr, const char *local, char *why, size_t size);
/* -1 with errno; the other one's address as text. */
int wcn_accept(int listener, char *addr, size_t size);

#endif
