/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the transport driver share.
 *
 * An endpoint is one socket: ctl, bulk, and hb for each link.  A slot is what
 * the configuration asks for: one association to a peer on an endpoint.  An
 * assoc is one that the kernel has; several may claim a slot until one of
 * them has proven itself, so that a stranger cannot keep the peer out.
 *
 * No callback runs within a call of the owner: such calls only doom an assoc,
 * and tp_reap tells, from the loop.
 */
#ifndef ASSOC_INT_H
#define ASSOC_INT_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <netinet/sctp.h>

#include "log.h"
#include "loop.h"
#include "msgq.h"
#include "sctp.h"
#include "seal.h"

enum {
	TP_ENDPOINTS = 2 + HAD_LINKS_MAX,
	TP_CLAIMS = 4, /* assocs that may claim one slot */
	TP_BACKOFF_MS = 100,
	/* Three INITs, 100 ms and more each, are not over before. */
	TP_REFUSED_MS = 250,
	/* A path that ctl or bulk lacks is waited for so long. */
	TP_MEND_MS = 3000,
	TP_HB_MAX = 1200,
	TP_RX_MAX = HAD_MSG_MAX + 1,
	TP_NOTE_MAX = 512,
};

union tp_addr {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

enum tp_state {
	TP_FREE,
	TP_CLAIMING, /* not proven yet */
	TP_PROVEN,
	TP_CLOSING, /* shutdown under way, still receiving */
	TP_DOOMED, /* gone in the kernel, to be told */
};

struct tp_assoc {
	enum tp_state state;
	struct tp_slot *slot; /* borrowed */
	sctp_assoc_t id;
	bool told; /* up was called */
	bool broken; /* the kernel takes nothing; it will say why */
	enum tp_reason reason;
	monotime_t deadline; /* of CLAIMING */
	struct seal *seal; /* owned */
	struct seal_tls *tls; /* owned; ctl until proven */
	struct seal_session session;
	bool have_session; /* ctl: of its own handshake; else: was given one */
	uint64_t incarnation;
	uint16_t key_epoch;
	uint8_t *part; /* owned; a message under assembly */
	size_t part_len, part_size;
	uint64_t sent, credited; /* bulk: bytes given to the kernel, consumed */
	uint64_t consumed, said; /* bulk: here, and what the peer knows */
	uint64_t rx_packets; /* of the kernel, when last looked */
	uint64_t rtx; /* the same, retransmitted chunks */
};

struct tp_slot {
	struct tp_peer *peer; /* borrowed */
	struct tp_ep *ep; /* borrowed */
	struct tp_assoc claims[TP_CLAIMS];
	struct tp_assoc *up; /* in claims; proven and told */
	monotime_t connect_at;
	bool connecting; /* an INIT is out */
	sctp_assoc_t connect_id;
	monotime_t connected_at;
	uint32_t backoff_ms;
	monotime_t up_at;
	struct msgq urgent, normal;
	uint8_t *out; /* owned; one sealed message that the kernel refused */
	size_t out_size, out_len;
	uint16_t out_stream;
	bool out_data;
	bool blocked; /* the kernel refused it, EPOLLOUT will tell */
	bool want_writable;
	bool due; /* the pump is to send some of it */
	monotime_t trouble_at; /* not before: next note about a heartbeat */
	struct tp_assoc_stats stats;
	enum tp_path_state paths[HAD_LINKS_MAX];
};

struct tp_peer {
	struct tp *tp; /* borrowed */
	struct tp_peer_conf conf;
	union tp_addr addrs[HAD_LINKS_MAX]; /* as conf.links, no port */
	struct tp_slot slots[TP_ENDPOINTS]; /* as tp->eps */
	struct seal_session session;
	bool have_session;
	monotime_t hold_until; /* no connecting before */
	monotime_t mend_at; /* ctl lacks a path; next look */
};

struct tp_ep {
	struct tp *tp; /* borrowed */
	enum tp_kind kind;
	uint8_t link; /* index of the configuration */
	uint16_t port;
	int fd;
	sd_event_source *source; /* owned */
	bool want_out;
	uint8_t note[TP_NOTE_MAX]; /* a notification under assembly */
	size_t note_len;
};

struct tp {
	sd_event *event; /* borrowed */
	struct loop_timer *timer; /* owned */
	sd_event_source *pump; /* owned */
	unsigned pump_at; /* the slot whose turn it is */
	struct tp_conf conf;
	const struct tp_cb *cb; /* borrowed */
	void *ctx; /* borrowed */
	struct seal_id *id; /* owned */
	struct tp_ep eps[TP_ENDPOINTS];
	unsigned n_eps;
	struct tp_peer *peers; /* owned; conf.n_peers */
	union tp_addr addrs[HAD_LINKS_MAX]; /* as conf.links, no port */
	uint8_t *rx; /* owned, TP_RX_MAX */
	bool draining, warned;
	bool calling; /* within tp_reap */
	monotime_t alive_at; /* next look at the kernel's counters */
	struct tp_stats stats;
	uint32_t strangers_due;
	monotime_t stranger_next;
};

/* sctp_sock.c */
int tp_addr_parse(union tp_addr *, const struct tp_link *);
bool tp_addr_equal(const union tp_addr *, const union tp_addr *);
void tp_addr_text(const union tp_addr *, char *, size_t);
socklen_t tp_addr_len(const union tp_addr *);
int tp_sock_open(struct tp_ep *, char *why, size_t why_size);
/* Begins to connect; the new association's id. */
int tp_sock_connect(struct tp_ep *, const struct tp_peer *, sctp_assoc_t *);
/* All addresses of an association; returns their number, or -1. */
int tp_sock_peers(const struct tp_ep *, sctp_assoc_t, union tp_addr *, int);
void tp_sock_abort(const struct tp_ep *, sctp_assoc_t);
int tp_sock_eof(const struct tp_ep *, sctp_assoc_t);
void tp_sock_primary(const struct tp_ep *, sctp_assoc_t, const union tp_addr *);

/* assoc.c */
void tp_wake(struct tp *);
void tp_reap(struct tp *);
struct tp_slot *tp_slot(
    const struct tp *, uint8_t peer, enum tp_kind, uint8_t link);
struct tp_assoc *tp_find(struct tp_ep *, sctp_assoc_t);
void tp_doom(struct tp_assoc *, enum tp_reason, bool abort);
/* Ends a claim that is not the peer, or not any more; says so. */
void tp_refuse(struct tp_assoc *, const char *why);
void tp_stranger(struct tp *, const union tp_addr *, const char *why);
void tp_claim(struct tp_ep *, sctp_assoc_t);
void tp_proven(struct tp_assoc *);
void tp_session(struct tp_peer *, const struct seal_session *);
void tp_retry(struct tp_slot *, bool at_once);
void tp_broken(struct tp_assoc *);
void tp_forget(struct tp_assoc *);
void tp_tick(void *tp, monotime_t now);

/* assoc_open.c */
void tp_reopen(struct tp_ep *);

/* assoc_io.c */
int tp_io(sd_event_source *, int fd, uint32_t events, void *ep);
int tp_pump_new(struct tp *); /* 0, or -1 with errno */
void tp_control(struct tp_assoc *);
void tp_flush(struct tp_slot *);
void tp_watch(struct tp_ep *);

/* assoc_note.c */
void tp_note(struct tp_ep *, const uint8_t *, size_t);
void tp_path(
    struct tp_slot *, sctp_assoc_t, const union tp_addr *, enum tp_path_state);

/* assoc_info.c */
void tp_alive(struct tp *);
enum tp_path_state tp_path_state(int spinfo_state);

#endif
