/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NBD server for one volume: a UNIX socket and adopted sockets (the kernel's
 * client).  It takes requests apart into pieces as mir_piece() has it, hands
 * each to the callback, and answers when they are complete.
 * All buffers are allocated by nbd_new.  A client that misbehaves gets its
 * error, or loses its connection; it never ends the daemon.
 */
#ifndef NBD_H
#define NBD_H

#include <systemd/sd-event.h>

#include "had.h"

enum nbd_cmd { NBD_READ, NBD_WRITE, NBD_FLUSH, NBD_TRIM, NBD_ZERO };

struct nbd_conf {
	char name[HAD_NAME_MAX]; /* of the export; "" is accepted as well */
	char path[HAD_PATH_MAX]; /* of the socket, mode 0600; "" = none */
	uint64_t size; /* bytes, a multiple of block_min */
	uint32_t block_min; /* the disk's sector: 512..4096, power of two */
	bool trim; /* offer TRIM (both disks can punch holes) */
	unsigned clients_max; /* connections at once, adopted ones included */
	/*
	 * Buffers of 64 KiB, allocated and touched at start.  Each client has
	 * buffers / (2 * clients_max) of its own, which must be at least 2; the
	 * rest is shared.  A read without structured replies that needs more
	 * than its own buffers cannot report an error in its middle: the
	 * connection ends then.
	 */
	unsigned buffers;
};

/* Pieces that can be with the callback at once. */
enum { NBD_PLAIN = 8 }; /* flushes, trims and zeroes of one client */
static inline unsigned
nbd_pieces_max(const struct nbd_conf *c)
{
	return c->buffers + c->clients_max * NBD_PLAIN;
}

struct nbd_cb {
	/*
	 * One piece.  FLUSH has off and len 0.  buf is HAD_IO_MAX bytes,
	 * page-aligned and the driver's; it holds the data of a WRITE and
	 * takes those of a READ until nbd_complete(cookie); NULL for FLUSH,
	 * TRIM and ZERO.  nbd_complete may be called from inside.
	 * fua: stable before it completes (WRITE, TRIM, ZERO).  Data pieces
	 * do not cross multiples of HAD_IO_MAX, TRIM and ZERO those of
	 * MIR_TRIM_MAX; at most nbd_pieces_max() are out at once.
	 */
	void (*request)(void *ctx, uint64_t cookie, enum nbd_cmd, bool fua,
	    uint64_t off, uint32_t len, void *buf);
	/* An adopted socket ended; tag as given to nbd_adopt.  May be NULL. */
	void (*closed)(void *ctx, unsigned tag);
	/* nbd_stop has finished: nothing is in flight.  nbd_free may follow. */
	void (*stopped)(void *ctx);
};

struct nbd;

/* Listens at once.  NULL and errno. */
struct nbd *nbd_new(
    sd_event *, const struct nbd_conf *, const struct nbd_cb *, void *ctx);
/*
 * Only after stopped() (also from inside it), or if nothing was ever in
 * flight (asserted).
 */
void nbd_free(struct nbd *);

/*
 * Serves fd, from now on the driver's, directly in the transmission phase:
 * the other end is given to the kernel.  Simple replies.  -1: no room
 * (EUSERS), stopping (ESHUTDOWN); fd is closed then as well.
 */
int nbd_adopt(struct nbd *, int fd, unsigned tag);

/* The piece is done; error 0 or an errno (positive).  The buffer goes back. */
void nbd_complete(struct nbd *, uint64_t cookie, int error);

/*
 * Stops: no new client, the socket file is gone, no further request is read.
 * drain: replies to what is in flight are still sent, for at most 2 s after
 * the last of them is ready; else all connections end now.  Pieces in flight
 * stay valid until nbd_complete in both cases.  Then stopped(), from the
 * loop.  Calling it again with drain false cuts a drain short.
 */
void nbd_stop(struct nbd *, bool drain);

/* Transmission flags, as the kernel's client wants to be told. */
uint16_t nbd_flags(const struct nbd *);

struct nbd_status {
	unsigned clients; /* connections in use */
	unsigned in_flight; /* pieces */
	unsigned buffers_free;
	uint64_t reads, writes, flushes, trims, zeroes; /* requests */
	uint64_t read_bytes, written_bytes;
	uint64_t errors; /* requests answered with an error */
	uint64_t refused; /* malformed requests and clients */
	uint64_t wakeups, sends; /* reads of sockets, writes to them */
};
void nbd_status(const struct nbd *, struct nbd_status *);

#endif
