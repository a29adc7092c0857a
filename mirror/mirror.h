/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mirror: one replicated volume, as seen by one of its two nodes.  A pure
 * core (HACKING.md): events in by mir_step, everything else out by ops.
 *
 * What its user must honour:
 *  - VIEW says what arbitration thinks of the peer.  Every message between
 *    the nodes carries the epoch in its envelope, and an older one never
 *    arrives here (R8).  Messages of one association arrive in order; after
 *    a loss VIEW comes with another link number before any message of the
 *    new association.
 *  - A request's buffer stays valid until reply(); a disk operation's buffer
 *    until its DISK event.  Each disk operation gets exactly one DISK event,
 *    never from inside ops->disk.
 *  - fua (DATA and META): stable when the DISK event comes.  FLUSH: every
 *    operation on that area that completed before is stable.
 *  - Requests are pieces as mir_piece() cuts them, at most reqs_max at once.
 */
#ifndef MIRROR_H
#define MIRROR_H

#include "had.h"
#include "mmeta.h"

#define MIR_EV_LIST(X) \
	X(START, "start") \
	X(VIEW, "view") \
	X(REQ, "request") \
	X(DISK, "disk") \
	X(MSG, "message") \
	X(PROMOTE, "promote") \
	X(DEMOTE, "demote") \
	X(RESYNC, "resync") \
	X(STOP, "stop") \
	X(TIMER, "timer")

/* State of the copy on this node's disk. */
#define MIR_DISK_LIST(X) \
	X(NONE, "diskless") /* no device, or detached after an error */ \
	X(LOADING, "loading") \
	X(FAILED, "failed") /* metadata missing or refused; see error */ \
	X(BLANK, "blank") /* created, never had data */ \
	X(INCONSISTENT, "inconsistent") /* a resync is needed or under way */ \
	X(OUTDATED, "outdated") /* the peer is known to have newer data */ \
	X(UPTODATE, "up-to-date")

/* State of the connection to the peer's copy. */
#define MIR_CONN_LIST(X) \
	X(DOWN, "disconnected") \
	X(DRAIN, "draining") /* old writes of the peer first */ \
	X(HELLO, "greeting") /* comparing generations */ \
	X(BITS, "exchanging-bitmap") \
	X(BEGIN, "beginning-resync") \
	X(INSYNC, "in-sync") \
	X(NOCOPY, \
	    "peer-without-copy") /* usable, but only one side has data */ \
	X(SOURCE, "sync-source") \
	X(FINISH, "finishing-resync") \
	X(TARGET, "sync-target") \
	X(WAIT, "waiting") /* nothing can be done now; see error */ \
	X(SPLIT, "split-brain") \
	X(REFUSED, "refused") /* not the same volume; see error */

#define X(sym, name) MIR_##sym,
enum mir_ev { MIR_EV_LIST(X) MIR_EV_N };
#undef X
#define X(sym, name) MIR_DISK_##sym,
enum mir_disk { MIR_DISK_LIST(X) MIR_DISK_N };
#undef X
#define X(sym, name) MIR_CONN_##sym,
enum mir_conn { MIR_CONN_LIST(X) MIR_CONN_N };
#undef X

const char *mir_ev_name(enum mir_ev);
const char *mir_disk_name(enum mir_disk);
const char *mir_conn_name(enum mir_conn);

enum mir_cmd { MIR_READ, MIR_WRITE, MIR_FLUSH, MIR_TRIM, MIR_ZERO };
enum mir_area { MIR_DATA, MIR_META };

/* One disk operation.  TRIM and ZERO must read back as zeroes. */
struct mir_io {
	uint32_t io; /* comes back in the DISK event */
	enum mir_cmd cmd;
	enum mir_area area;
	bool fua;
	uint64_t off; /* in the area; META: from its beginning */
	uint32_t len;
	void *buf; /* lent until the DISK event; NULL: FLUSH, TRIM, ZERO */
};

/*
 * Pieces: READ and WRITE at most HAD_IO_MAX bytes and never across a multiple
 * of it; TRIM and ZERO the same with MIR_TRIM_MAX.  Offsets and lengths are
 * multiples of 512.  mir_piece says how much of the request fits the first
 * piece.
 */
enum { MIR_TRIM_MAX = 16 << 20 };
uint32_t mir_piece(enum mir_cmd, uint64_t off, uint64_t len);

struct mir_conf {
	char name[HAD_NAME_MAX];
	uint8_t self, peer; /* node ids */
	char peer_name[HAD_NAME_MAX];
	uint64_t cluster; /* mmeta_cluster(name of the cluster) */
	/* From mmeta_plan for the opened device; all zero: there is none. */
	struct mmeta_layout layout;
	char disk_why[96]; /* without a device: why, for status */
	uint32_t resync_rate_kib; /* limit per second; 0: none */
	/* 0 takes the default. */
	uint32_t reqs_max; /* requests at once; 128 */
	uint32_t peer_slots; /* the peer's operations at once; 64 */
	uint32_t window_bytes; /* unacknowledged towards the peer; 1 MiB */
	uint32_t resync_pieces; /* of 64 KiB, at once; 16 */
	uint32_t clean_ms; /* an intent lives at least so long; 5000 */
	uint32_t latency_ms; /* resync yields to slower requests; 20 */
};

enum mir_peer {
	MIR_PEER_DOWN, /* not connected, undecided: hold (R14) */
	MIR_PEER_UP, /* paired, its bulk association is up */
	MIR_PEER_GONE, /* decided: this node may go on without it */
};

struct mir_event {
	enum mir_ev type;
	monotime_t now;
	union {
		struct {
			uint64_t seed; /* random */
		} start;
		struct {
			uint64_t epoch;
			enum mir_peer peer;
			uint32_t link; /* UP: another one per association */
			/*
			 * This node's data is current without having met the
			 * peer (struct mb_ops self).  Without it a copy that
			 * was not compared since START is not promoted alone.
			 */
			bool own_right;
			/* Thawed or a higher epoch was seen: answer nothing,
			 * refuse nothing until the next VIEW. */
			bool doubt;
			/* Demoted by force: requests fail, nothing waits. */
			bool demoted;
			/*
			 * UP: nothing is heard of it; its association has
			 * not ended yet.
			 */
			bool silent;
			/*
			 * With demoted: for want of a lease (R7).  The peer
			 * has not acted: it would be at a higher epoch.
			 */
			bool no_lease;
		} view;
		struct {
			uint64_t cookie;
			enum mir_cmd cmd;
			bool fua;
			uint64_t off;
			uint32_t len;
			void *buf; /* lent until reply; NULL as in mir_io */
		} req;
		struct {
			uint32_t io;
			int error; /* 0 or an errno, positive */
		} disk;
		struct {
			uint8_t from;
			const uint8_t *bytes; /* borrowed for the step */
			size_t len;
		} msg;
		struct {
			uint64_t token, epoch;
			/* Also an outdated copy (consistent, not the last). */
			bool force;
		} promote;
		struct {
			uint64_t token;
		} demote;
		struct {
			uint64_t token;
			uint8_t from; /* whose copy is kept */
		} resync;
		struct { /* clean end of the daemon: all is made stable */
			uint64_t token;
		} stop;
	} u;
};

struct mir_ops {
	void (*disk)(void *ctx, const struct mir_io *);
	/* error: 0 or an errno, positive. */
	void (*reply)(void *ctx, uint64_t cookie, int error);
	/*
	 * One message of two parts, copied before the call returns; data may
	 * be NULL.  Together at most MIR_MSG_MAX bytes.
	 */
	void (*send)(void *ctx, uint8_t peer, const uint8_t *hdr,
	    size_t hdr_len, const void *data, size_t data_len);
	void (*timer)(void *ctx, monotime_t at);
	/* Answer to PROMOTE, DEMOTE, RESYNC, STOP.  text is one line. */
	void (*done)(void *ctx, uint64_t token, bool ok, const char *text);
	void (*note)(void *ctx, enum had_level, const char *rule,
	    const char *object, const char *text);
	/* Role, disk, connection or size changed; see mir_status. */
	void (*changed)(void *ctx);
};

enum { MIR_MSG_MAX = HAD_IO_MAX + 4096 };

struct mir;
/*
 * NULL if memory is short.  conf is copied; ops is lent until mir_free.  All
 * memory is allocated here: the maps by the layout, buffers by the rest.
 */
struct mir *mir_new(const struct mir_conf *, const struct mir_ops *, void *ctx);
void mir_free(struct mir *);
void mir_step(struct mir *, const struct mir_event *);

struct mir_status {
	bool primary;
	bool peer_primary; /* as it said last; false while disconnected */
	bool changing; /* a promotion or demotion is under way */
	enum mir_disk disk, peer_disk; /* peer: LOADING = unknown */
	enum mir_conn conn;
	/* NOCOPY, this one is the copy: the peer has seen no other data */
	bool peer_agrees;
	bool holding; /* answers are held back (R14) */
	bool alone; /* goes on without the peer, whose copy falls behind */
	uint64_t size_bytes; /* 0: not known yet */
	uint64_t dirty_bytes; /* what the copies may differ in */
	uint64_t epoch;
	uint8_t volume_id[16];
	uint64_t current, bitmap, history[MMETA_HISTORY];
	uint32_t requests, peer_ops, intents; /* in flight; hot chunks */
	uint64_t read_bytes, written_bytes, sent_bytes, received_bytes;
	uint32_t latency_us; /* of writes, smoothed */
	struct {
		bool active, source, stalled; /* stalled: see error */
		uint64_t total_bytes, left_bytes;
		uint64_t rate; /* bytes per second; 0: not known yet */
		uint32_t eta_s; /* valid if rate is not 0 */
	} sync;
	char error[160]; /* "" or why it is not all right */
};
void mir_status(const struct mir *, struct mir_status *);

/*
 * Would PROMOTE be accepted now?  true: at once, or held until the peer is
 * decided about; false: why has the reason (why may be NULL).
 */
bool mir_promotable(const struct mir *, char *why, size_t why_size);

#endif
