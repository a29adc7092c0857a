/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the NBD server share: nbd.c (sockets and life cycle),
 * nbd_shake.c (handshake), nbd_req.c (requests and pieces), nbd_out.c
 * (replies).
 *
 *	recv -> parse -> request -> piece -> callback ... nbd_complete
 *	                    |          |                      |
 *	                 (no room: client waits)         reply queue -> send
 *
 * A client that finds no request, piece or buffer stops reading its socket
 * and waits in nbd->waiters; the pump serves the waiters in turn.  A client
 * that goes away orphans its pieces: they live until nbd_complete, without
 * client and request.
 */
#ifndef NBD_INT_H
#define NBD_INT_H

#include <bsd/sys/queue.h>

#include "log.h"
#include "nbd.h"
#include "nbd_proto.h"

enum {
	NBD_RBUF = 32 * 1024, /* receive buffer of a client */
	NBD_OBUF = 3 * NBDP_NAME_MAX, /* replies of one option */
	NBD_REQS = 128, /* requests of a client under way */
	NBD_IOV = 128, /* segments of one send */
	NBD_BUDGET = 64, /* pieces issued to one client per turn */
};

enum nbd_phase {
	NBD_PH_FLAGS, /* handshake: client flags */
	NBD_PH_OPT, /* an option's header */
	NBD_PH_OPT_DATA,
	NBD_PH_OPT_SKIP, /* data of an option that was too long */
	NBD_PH_REQUEST, /* transmission: a request's header */
	NBD_PH_ISSUE, /* pieces without payload */
	NBD_PH_DATA, /* payload of a write, piece by piece */
	NBD_PH_SKIP, /* payload of a refused write */
	NBD_PH_END, /* nothing more is read: disconnect, stop */
};

struct nbd_client;
struct nbd_req;

/* One reply, or one chunk of it, on its way out. */
struct nbd_out {
	STAILQ_ENTRY(nbd_out) link;
	struct nbd_piece *piece; /* its data follow the header; or NULL */
	struct nbd_req *req; /* that ends with this; or NULL */
	uint32_t hdr_len, data_len;
	uint8_t hdr[NBDP_HDR_MAX];
};
STAILQ_HEAD(nbd_outq, nbd_out);

enum nbd_piece_state {
	NBD_FREE,
	NBD_FILLING, /* payload is being received */
	NBD_LENT, /* with the callback */
	NBD_DONE, /* complete, reply waits or is on its way */
};

struct nbd_piece {
	struct nbd_out out;
	STAILQ_ENTRY(nbd_piece) link; /* in nbd->free or nbd->free_plain */
	TAILQ_ENTRY(nbd_piece) req_link; /* in req->pieces, by offset */
	struct nbd_client *client; /* borrowed; NULL = orphan */
	struct nbd_req *req; /* borrowed; NULL = orphan */
	uint8_t *buf; /* part of nbd->memory; NULL = plain */
	uint64_t off;
	uint32_t len, filled;
	uint32_t index, gen; /* together the cookie */
	enum nbd_piece_state state;
	int error;
};
STAILQ_HEAD(nbd_pieceq, nbd_piece);
TAILQ_HEAD(nbd_piecelist, nbd_piece);

/* How the reply to a read is put together. */
enum nbd_mode {
	NBD_WHOLE, /* one reply when all pieces are complete */
	NBD_CHUNKS, /* one chunk per piece, in any order */
	NBD_STREAM, /* header, then pieces in order */
};

struct nbd_req {
	struct nbd_out out;
	STAILQ_ENTRY(nbd_req) link; /* in client->free_reqs */
	struct nbdp_request r;
	struct nbd_piecelist pieces;
	struct nbd_client *client; /* borrowed; NULL = unused */
	enum nbd_cmd cmd;
	enum nbd_mode mode;
	uint64_t next, end; /* next offset to issue */
	uint32_t open; /* pieces filling or lent */
	bool issued; /* all pieces are */
	bool head_sent; /* NBD_STREAM: header is queued */
	int error; /* first error of a piece */
};

STAILQ_HEAD(nbd_reqq, nbd_req);

struct nbd_client {
	struct nbd *nbd; /* borrowed */
	TAILQ_ENTRY(nbd_client) wait_link; /* in nbd->waiters */
	sd_event_source *src; /* owned; NULL = slot unused */
	int fd; /* owned by src */
	unsigned id; /* for log lines */
	unsigned tag; /* of nbd_adopt */
	bool adopted, waiting, structured, no_zeroes, fixed;
	bool full; /* the socket takes no more; EPOLLOUT follows */
	uint32_t polled; /* epoll events in force */
	const char *broken; /* why the pump has to close it; or NULL */
	unsigned turn; /* pieces issued since the parser began */
	enum nbd_phase phase;
	struct nbdp_opt_hdr opt;
	uint64_t skip; /* bytes left of OPT_SKIP, SKIP */
	struct nbd_req *cur; /* being issued; in reqs */
	struct nbd_piece *fill; /* piece of cur being filled */
	unsigned used, used_plain; /* pieces held */
	unsigned n_reqs;
	struct nbd_outq out;
	size_t out_done; /* bytes of the first that are sent */
	size_t rlen, rat; /* bytes in rbuf, and the first unread one */
	size_t olen, oat;
	uint8_t rbuf[NBD_RBUF];
	uint8_t obuf[NBD_OBUF];
	struct nbd_req reqs[NBD_REQS];
	struct nbd_reqq free_reqs;
};

TAILQ_HEAD(nbd_clientlist, nbd_client);

struct nbd {
	struct nbd_conf conf;
	struct nbd_cb cb;
	void *ctx; /* borrowed, of the callbacks */
	sd_event *event; /* a reference */
	sd_event_source *listen_src; /* owned; NULL = none */
	sd_event_source *pump_src; /* owned; one-shot */
	sd_event_source *drain_src; /* owned; NULL = not armed */
	struct nbd_client *clients; /* owned, clients_max slots */
	struct nbd_piece *pieces; /* owned */
	uint8_t *memory; /* owned, mapped */
	size_t memory_len;
	unsigned n_pieces, n_free, reserve, n_clients, in_flight;
	unsigned client_ids;
	struct nbd_pieceq free, free_plain;
	struct nbd_clientlist waiters;
	bool stopping, stopped, cut;
	struct log_limit limit;
	struct nbd_status st;
};

/* nbd.c */
void nbd_client_close(struct nbd_client *, const char *why);
void nbd_client_wait(struct nbd_client *);
void nbd_client_poll(struct nbd_client *);
void nbd_pump_soon(struct nbd *);
/* At most one line a second for what clients do wrong. */
void nbd_complain(struct nbd_client *, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Parses what is there; -1 if the client is gone. */
int nbd_client_parse(struct nbd_client *);

/*
 * A step of the parser: 1 = go on, 0 = more bytes or resources are needed,
 * -1 = the client is gone.
 */
/* nbd_shake.c */
int nbd_shake_start(struct nbd_client *);
int nbd_shake_step(struct nbd_client *);

/* nbd_req.c */
int nbd_req_step(struct nbd_client *);
/* Forgets the request that is only partly there (stop). */
void nbd_req_cut(struct nbd_client *);
void nbd_piece_free(struct nbd *, struct nbd_piece *);
void nbd_piece_orphan(struct nbd_piece *);
void nbd_req_free(struct nbd_req *);
/* Where the next payload bytes may go directly; NULL if nowhere. */
uint8_t *nbd_req_room(struct nbd_client *, size_t *len);
/* len bytes were put there. */
void nbd_req_filled(struct nbd_client *, size_t len);

/* nbd_out.c */
void nbd_reply(struct nbd_req *, enum nbdp_error, const char *text);
void nbd_piece_done(struct nbd_piece *);
void nbd_req_finish(struct nbd_req *);
/* Sends what is ready; -1 if the client is gone. */
int nbd_client_flush(struct nbd_client *);

#endif
