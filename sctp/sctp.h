/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The transport between nodes: SCTP associations with sealed messages.
 *
 * To each peer there are one `ctl` and one `bulk` association, multi-homed
 * over all links, and one single-homed `hb` association per link.  Nothing is
 * reported before the peer has proven its pinned key and both ends are keyed.
 *
 * The driver connects, reconnects and refuses strangers by itself.  It copies
 * what it is given; data passed to callbacks is lent until they return.
 * Callbacks may call tp_send and tp_close_peer, but not tp_free.
 */
#ifndef SCTP_H
#define SCTP_H

#include <sys/uio.h>
#include <systemd/sd-event.h>

#include "had.h"

struct tp;
struct evp_pkey_st;

enum tp_kind {
	TP_CTL, /* streams 0..TP_STREAMS-1, ordered */
	TP_BULK, /* same, under a credit window */
	TP_HB, /* one per link, unordered, expires */
	TP_KINDS
};

enum {
	/* The largest payload of one message. */
	TP_PAYLOAD_MAX = HAD_MSG_MAX - 32,
	/*
	 * Streams for tp_send.  Of ctl, stream 0 overtakes the others when
	 * the kernel's buffer is full: it is for membership.
	 */
	TP_STREAMS = 16,
};

/* Why an association ended. */
#define TP_REASONS(X) \
	X(TP_ABORTED, "aborted by the peer") \
	X(TP_SHUTDOWN, "shut down by the peer") \
	X(TP_RESTARTED, "the peer restarted") \
	X(TP_TIMEOUT, "too many retransmissions") \
	X(TP_BAD_PEER, "forged, replayed or malformed message") \
	X(TP_LOCAL, "closed here")
enum tp_reason {
#define X(name, text) name,
	TP_REASONS(X)
#undef X
};
const char *tp_reason_text(enum tp_reason);
const char *tp_kind_text(enum tp_kind);

/* State of one path (a peer's address within an association). */
enum tp_path_state {
	TP_PATH_UNKNOWN, /* no association, or not confirmed yet */
	TP_PATH_ACTIVE,
	TP_PATH_SUSPECT, /* potentially failed: data goes elsewhere */
	TP_PATH_DOWN,
};

/*
 * One network link.  The index is the link's index in the configuration,
 * equal on all nodes: lower ones are preferred.
 */
struct tp_link {
	uint8_t index;
	char addr[46]; /* numeric; a local one, or the peer's */
	char ifname[16]; /* "" = unknown; the local interface's name */
};

struct tp_peer_conf {
	uint8_t id;
	uint8_t pin[32]; /* SHA-256 of the peer's SubjectPublicKeyInfo */
	struct tp_link links[HAD_LINKS_MAX];
	uint8_t n_links;
};

struct tp_conf {
	uint8_t self;
	char cluster[HAD_NAME_MAX];
	uint64_t incarnation; /* of this boot or start; grows */
	struct evp_pkey_st *key; /* borrowed until tp_new returns; Ed25519 */
	uint16_t port; /* ctl; bulk + 1; hb + 2 + link index */
	uint32_t heartbeat_ms;
	uint32_t dead_ms; /* lifetime of an unsent heartbeat */
	struct tp_link links[HAD_LINKS_MAX]; /* of this node */
	uint8_t n_links;
	struct tp_peer_conf peers[HAD_NODES_MAX];
	uint8_t n_peers;
	/* 0 = the default. */
	uint32_t window_bytes; /* bulk credit; 256 KiB */
	uint32_t queue_bytes; /* per ctl and bulk association; 1 MiB */
	uint32_t auth_ms; /* time to prove oneself; 1800 */
	uint64_t rekey_records; /* new keys after so many; 2^28 */
};

struct tp_cb {
	/* Authenticated and keyed.  link is 0 for ctl and bulk. */
	void (*up)(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link,
	    uint64_t peer_incarnation);
	/* Only for an association that was up. */
	void (*lost)(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link,
	    enum tp_reason reason);
	/*
	 * The peer's kernel refused a fresh association on this link's
	 * heartbeat port: kernel alive, daemon not.  Tried at once after an
	 * abort, then repeated with each attempt to connect; also told when
	 * there was no association before.
	 */
	void (*refused)(void *ctx, uint8_t peer, uint8_t link);
	/*
	 * Something arrived from the peer's kernel on this link since the
	 * last call (acknowledgements of heartbeats included).  It says
	 * nothing about its daemon.  At most once per heartbeat_ms.
	 */
	void (*kernel_alive)(void *ctx, uint8_t peer, uint8_t link);
	/* Authenticated associations only; srtt_us 0 = unknown. */
	void (*path)(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link,
	    enum tp_path_state state, uint32_t srtt_us);
	void (*msg)(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link,
	    uint16_t stream, const uint8_t *data, size_t len);
	/* After EAGAIN: half of the queue is free again. */
	void (*writable)(void *ctx, uint8_t peer, enum tp_kind kind);
	/*
	 * A stranger was refused.  At most once a second; count is how many
	 * since the last call, addr and why are of the latest.
	 */
	void (*stranger)(
	    void *ctx, const char *addr, const char *why, uint32_t count);
	/* A text for the log; object is "transport", "link lan", ... */
	void (*note)(void *ctx, enum had_level level, const char *object,
	    const char *text);
};

/*
 * Opens the sockets and begins to connect.  Returns NULL with errno set and a
 * text in why (EPROTONOSUPPORT: this kernel has no SCTP, the text says what to
 * do).  conf, cb and ctx: conf is copied, cb and ctx stay borrowed until
 * tp_free.
 */
struct tp *tp_new(sd_event *, const struct tp_conf *, const struct tp_cb *,
    void *ctx, char *why, size_t why_size);

/* Closes everything at once; peers see an ABORT. */
void tp_free(struct tp *);

/*
 * Stops connecting, delivers what is queued, then shuts down every
 * association; each is reported as lost, TP_LOCAL.  tp_idle is true once all
 * are gone (the caller bounds the wait and then calls tp_free).
 */
void tp_drain(struct tp *);
bool tp_idle(const struct tp *);

/*
 * Sends one message, at most TP_PAYLOAD_MAX bytes (TP_HB: 1200).  link matters
 * for TP_HB only, stream for the others.  Returns 0, or -1 with errno:
 * ENOTCONN	the association is not up
 * EMSGSIZE	too long
 * EAGAIN	the queue is full (wait for writable), or for TP_HB: dropped
 */
int tp_send(struct tp *, uint8_t peer, enum tp_kind, uint8_t link,
    uint16_t stream, const void *data, size_t len);
int tp_sendv(struct tp *, uint8_t peer, enum tp_kind, uint8_t link,
    uint16_t stream, const struct iovec *, int iovcnt);

/* True between up and lost. */
bool tp_is_up(const struct tp *, uint8_t peer, enum tp_kind, uint8_t link);

/* Bytes accepted by tp_send that were not yet given to the kernel. */
size_t tp_queued(const struct tp *, uint8_t peer, enum tp_kind);

/*
 * Bytes of bulk that may be sent before anything has to queue: the window
 * minus what the peer has not consumed yet minus what is queued.
 */
size_t tp_credit(const struct tp *, uint8_t peer);

/*
 * Aborts all associations of a peer; it is connected anew after delay_ms.
 * Reported as lost, TP_LOCAL.
 */
void tp_close_peer(struct tp *, uint8_t peer, uint32_t delay_ms);

struct tp_path_info {
	enum tp_path_state state;
	uint32_t srtt_us, rto_ms, mtu;
	bool primary;
};
/* Returns 0, or -1 with ENOTCONN. */
int tp_path_info(struct tp *, uint8_t peer, enum tp_kind, uint8_t link,
    struct tp_path_info *);

/* Counters of one association slot since tp_new, for status. */
struct tp_assoc_stats {
	bool up;
	uint64_t tx_msgs, tx_bytes, rx_msgs, rx_bytes;
	uint64_t tx_dropped; /* hb that found no room */
	uint64_t rx_bad; /* failed to open, or from the wrong link */
	uint64_t rx_parts; /* messages that the kernel gave in parts */
	uint64_t retransmits; /* chunks, of the kernel's association */
	uint32_t ups, losses, rekeys;
	uint32_t queued_bytes, inflight_bytes;
};
struct tp_stats {
	uint64_t strangers;
	char stranger_addr[64]; /* the latest; "" = none */
	char stranger_why[64];
};
void tp_stats(const struct tp *, struct tp_stats *);
/* Returns 0, or -1 with ENOENT. */
int tp_assoc_stats(struct tp *, uint8_t peer, enum tp_kind, uint8_t link,
    struct tp_assoc_stats *);

/*
 * Tries to open an SCTP socket and reads the sysctls that matter.  Returns 0,
 * or -1 with errno and the fix in why.  With 0, why holds warnings, one a
 * line, or is "".
 */
int tp_probe(char *why, size_t why_size);

#endif
