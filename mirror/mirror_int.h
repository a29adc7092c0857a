/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the mirror core share.
 *
 *	mirror.c   new, free, step, small helpers, what an event leads to
 *	mload.c    reading the metadata at start
 *	msave.c    superblock and bitmap pages to disk; generations
 *	mintent.c  write-intent map: before a write, and cleaning up after
 *	msess.c    session with the peer: greeting, verdict, beginning, end
 *	mwrite.c   requests that change data, and flushes
 *	mread.c    reads
 *	mpeer.c    what the peer asks of this disk
 *	resync.c   copying dirty blocks to the peer
 *	mfail.c    errors of this disk
 *	mrole.c    promote, demote, resync on request, stop
 *	mstatus.c  names and status
 *
 * Order of things that makes it safe:
 *
 *  1. A data write goes to a disk only when the intent bit of its chunk is
 *     stable there, and to the peer only when it is stable here.  So after
 *     any crash, the chunks in which the copies can differ are in the union
 *     of the intent maps and bitmaps of both nodes: what a node was told to
 *     write and did not is in the sender's map, what a node lost from its
 *     cache is in its own.
 *  2. An intent bit is cleared after: the request was answered (here) or
 *     carried out (for the peer), a flush of the data, and the bitmap page
 *     with the chunk's dirty bits being stable.
 *  3. A write that the peer does not get sets its dirty bits before it is
 *     answered, and before the first such answer a new generation is stable,
 *     unless the peer is known to be behind already.
 *  4. A dirty bit is cleared when the other disk has acknowledged the block
 *     (its own intent map guards it until it is stable there).
 */
#ifndef MIRROR_INT_H
#define MIRROR_INT_H

#include <bsd/sys/queue.h>

#include "dirtymap.h"
#include "mdecide.h"
#include "mirror.h"
#include "mproto.h"
#include "rangelock.h"

enum {
	META_IOS = 4, /* page writes at once, for each kind of map */
	LOAD_PAGES = HAD_IO_MAX / MMETA_PAGE,
	WARM_CHUNKS = 16, /* intents set ahead of a sequential writer */
	SYNC_CHUNKS = 256, /* the same for a resync */
	SYNC_TICK_MS = 100,
	SYNC_STALL_MS = 10000,
	META_RETRY_MS = 5000,
	ERR_SHUTDOWN = 108, /* ESHUTDOWN, EIO, ... without <errno.h> */
	ERR_IO = 5,
	ERR_INVAL = 22,
	ERR_NOSPC = 28,
	ERR_NOMEM = 12,
};

/* What an io number belongs to. */
enum io_kind {
	IO_REQ,
	IO_REP,
	IO_PIECE,
	IO_SB,
	IO_INTENT,
	IO_BITMAP,
	IO_LOAD,
	IO_FLUSH,
	IO_KINDS
};
enum { FLUSH_CLEAN, FLUSH_FIN, FLUSH_ROLE, FLUSH_N };

/* HELD: without intents no write may begin, see mfail.c. */
enum phase { PH_FREE, PH_LOCK, PH_INTENT, PH_HELD, PH_RUN };
enum local { L_NONE, L_BUSY, L_OK, L_FAIL };
enum remote {
	R_NONE, /* not concerned */
	R_WAIT, /* concerned, held until it is known what to do */
	R_QUEUED, /* in sendq */
	R_SENT,
	R_OK,
	R_ALONE, /* dirty bits instead */
	R_FAIL, /* the peer could not */
};

/* One request of the front end. */
struct mreq {
	TAILQ_ENTRY(mreq) link; /* free or active, by arrival */
	TAILQ_ENTRY(mreq) send; /* in sendq */
	TAILQ_ENTRY(mreq) iwait; /* waits for intents */
	struct rl_entry lock;
	enum phase phase;
	enum local local;
	enum remote remote;
	enum mir_cmd cmd;
	bool fua, aborted, internal;
	uint32_t len;
	uint64_t off, cookie, serial;
	void *buf; /* lent until reply */
	int error; /* of the peer */
	monotime_t since;
};
TAILQ_HEAD(mreq_list, mreq);

/* One operation of the peer on this disk. */
struct mrep {
	TAILQ_ENTRY(mrep) link; /* free or active */
	TAILQ_ENTRY(mrep) iwait;
	struct rl_entry lock;
	enum phase phase;
	enum mp_type type;
	bool fua;
	uint32_t len, session; /* whose answer still counts */
	uint64_t off, id;
	uint8_t *buf; /* of m->arena, HAD_IO_MAX bytes */
};
TAILQ_HEAD(mrep_list, mrep);

enum piece { P_FREE, P_LOCK, P_READ, P_QUEUED, P_SENT };

/* One piece of a resync, at the source. */
struct mpiece {
	TAILQ_ENTRY(mpiece) send;
	struct rl_entry lock;
	enum piece state;
	bool aborted, zero;
	uint32_t len;
	uint64_t off, serial;
	uint8_t *buf; /* of m->arena */
};
TAILQ_HEAD(mpiece_list, mpiece);

/* A page of a map on its way to the disk. */
struct mpage_io {
	bool busy;
	uint32_t page;
	uint64_t seq;
	uint8_t *buf; /* of m->arena */
};

enum save { SAVE_IDLE, SAVE_FIRST, SAVE_SECOND };
enum load {
	LOAD_NONE,
	LOAD_SB_A,
	LOAD_SB_B,
	LOAD_INTENT,
	LOAD_BITMAP,
	LOAD_SAVE
};
enum clean { CLEAN_IDLE, CLEAN_FLUSH, CLEAN_BITS };
enum role_op {
	OP_NONE,
	OP_PROMOTE_HELD,
	OP_PROMOTE_SAVE,
	OP_DEMOTE_DRAIN,
	OP_DEMOTE_FLUSH,
	OP_DEMOTE_CLEAN,
	OP_DEMOTE_SAVE,
	OP_STOP_DRAIN,
	OP_STOP_FLUSH,
	OP_STOP_CLEAN,
	OP_STOP_SAVE
};
enum fin { FIN_NONE, FIN_FLUSH, FIN_SAVE };

/* What a write needs to be answered. */
enum mode {
	MODE_HOLD, /* undecided: wait */
	MODE_BOTH, /* both disks */
	MODE_ALONE, /* this disk, and dirty bits */
	MODE_REMOTE, /* the peer's disk only */
	MODE_DEAD, /* no copy within reach: fail */
};

struct mir {
	struct mir_conf c;
	const struct mir_ops *ops; /* lent until mir_free */
	void *ctx;
	monotime_t now; /* of the event under way */
	bool in_step, started, stopped;
	bool again; /* something changed: go round once more */
	uint64_t rng, serial;

	/* arbitration */
	uint64_t epoch;
	enum mir_peer view;
	uint32_t view_link;
	bool own_right, doubt, silent, compared;

	/* role */
	bool primary;
	enum role_op op;
	uint64_t op_token, op_epoch, op_seq;
	bool op_force;
	bool op_first; /* the promotion under way makes a new copy the volume */
	bool flush_busy[FLUSH_N];

	/* disk and metadata */
	bool failed; /* metadata missing or refused */
	bool attached; /* the disk is in use */
	bool meta_bad; /* metadata cannot be written, and the copy is needed */
	bool meta_trial; /* ... and it is being tried again */
	bool meta_clean; /* of the trial: the dirty map is not written yet */
	uint64_t meta_seq; /* of the trial: the superblock */
	monotime_t meta_at; /* the next trial */
	enum load load;
	uint64_t load_at;
	bool sb_bad[2];
	struct mmeta_sb sb;
	unsigned slot; /* of the peer, in sb */
	enum save save;
	int sb_copy; /* the one that was written last */
	uint64_t save_want, save_done, save_run;
	uint8_t *sb_buf; /* of m->arena */
	uint8_t *load_buf; /* of m->arena; two superblocks, or pages */

	/* dirty bits towards the peer */
	struct dirtymap bits;
	struct dirtymap bpage_dirty, bpage_wait; /* by page */
	struct mpage_io bio[META_IOS];
	uint64_t bseq, bwait_seq;

	/* intents */
	struct dirtymap intent; /* wanted */
	struct dirtymap istable; /* surely on disk */
	struct dirtymap isnap; /* as being written */
	struct dirtymap itouched; /* used since the last cleaning */
	struct dirtymap icand; /* may be cleared */
	struct dirtymap ipage_dirty, ipage_busy; /* by page */
	struct mpage_io iio[META_IOS];
	struct mreq_list ireqs; /* linked by iwait */
	struct mrep_list ireps; /* linked by iwait */
	enum clean clean;
	monotime_t clean_at;
	bool clean_all; /* for demote and stop: everything, at once */
	bool full_new; /* all bits were set since the cleaning began */

	/* requests */
	struct mreq *reqs; /* owned */
	struct mreq_list req_free, req_active;
	uint32_t n_active;
	struct mreq_list sendq; /* linked by send */
	struct rangelock locks;
	struct mrep *reps; /* owned */
	struct mrep_list rep_free, rep_active;
	uint32_t n_reps;
	enum mode mode; /* as the requests were last told */
	bool solo; /* going on alone was begun */
	bool told_doubt, told_durable, told_relied, told_hold;
	bool recheck; /* requests are to be looked at again */
	uint64_t solo_seq; /* save that it depends on */
	bool relied; /* without a disk: the peer has made that durable */
	uint64_t exposed; /* generation that clients have seen */

	/* session */
	enum mir_conn conn;
	uint32_t mine, yours;
	bool have_hello, sent_verdict;
	struct mir_ident self_id, peer_id;
	struct mir_verdict verdict;
	bool peer_primary, both_blank;
	uint64_t begin_seq; /* save that the next message waits for */
	bool begin_wait;
	uint64_t bits_at; /* next chunk to tell */
	bool bits_wait; /* for BITS_ACK */
	uint64_t begin_total;
	bool alone_owed; /* ALONE is to be sent when durable */
	uint64_t alone_seq;
	uint32_t cr_ops, cr_bytes; /* sent, not acknowledged */
	uint64_t inval_token; /* of RESYNC that waits for the peer */
	bool inval_wait;

	/* resync */
	struct mpiece *pieces; /* owned */
	struct mpiece_list piece_sendq;
	uint32_t n_pieces, sync_depth;
	uint64_t sync_at; /* cursor, bit */
	uint64_t sync_total, sync_left, sync_done; /* bytes */
	uint64_t sync_mark_done; /* at the last tick */
	monotime_t sync_mark, sync_stall, sync_paid, sync_wake;
	uint64_t sync_rate;
	bool sync_slow; /* a request was slow since the last tick */
	enum fin fin;
	uint64_t fin_seq, fin_current, fin_history[MMETA_HISTORY];

	/* for status */
	uint64_t read_bytes, written_bytes, sent_bytes, received_bytes;
	uint32_t latency_us;
	char error[160];
	uint64_t last_digest;
	uint8_t *arena; /* owned; all buffers, page-aligned inside */
};

/* mirror.c */
void mir_note(struct mir *, enum had_level, const char *rule, const char *fmt,
    ...) PRINTF_LIKE(4, 5);
uint64_t mir_random(struct mir *);
void mir_disk(struct mir *, enum io_kind, unsigned index, enum mir_cmd,
    enum mir_area, bool fua, uint64_t off, uint32_t len, void *buf);
void mir_set_error(struct mir *, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The lock of a request, an operation or a piece was granted. */
void mir_granted(void *m, struct rl_entry *);
void mir_unlock(struct mir *, struct rl_entry *);
bool mir_peer_is_good(const struct mir *);
uint64_t mir_size(const struct mir *);
void mir_chunks(uint64_t off, uint32_t len, uint64_t *from, uint64_t *n);
void mir_blocks(uint64_t off, uint32_t len, uint64_t *from, uint64_t *n);

/* mfail.c */
/* The disk failed; detaches it if that loses nothing.  True if it did. */
bool mir_disk_error(struct mir *, const char *what, int error);
void mir_meta_error(struct mir *, const char *what, int error);
void mir_flush_error(struct mir *, int error);
bool mir_meta_refuses(struct mir *); /* to be overwritten; detached if so */
void mir_meta_run(struct mir *);

/* mload.c */
void mir_load(struct mir *);
void mir_load_done(struct mir *, int error);

/* msave.c */
uint64_t mir_save(struct mir *); /* its number, for mir_saved */
bool mir_saved(const struct mir *, uint64_t number);
void mir_save_run(struct mir *);
void mir_save_done(struct mir *, int error);
void mir_bits_mark(struct mir *, uint64_t from, uint64_t n); /* bits */
void mir_bits_set(struct mir *, uint64_t off, uint32_t len);
void mir_bits_set_all(struct mir *);
void mir_bits_clear(struct mir *, uint64_t off, uint32_t len);
void mir_bits_drop(struct mir *); /* all; the copies are equal */
void mir_bits_run(struct mir *);
void mir_bits_done(struct mir *, unsigned io, int error);
void mir_bits_wait(struct mir *);
void mir_push_history(struct mir *, uint64_t id);
void mir_resize(struct mir *, uint64_t bytes);
bool mir_bump(struct mir *); /* a new generation, if one is needed */
struct mmeta_slot *mir_slot(struct mir *);

/* mintent.c */
bool mir_intent(struct mir *, uint64_t off, uint32_t len, bool resync);
bool mir_intent_stable(const struct mir *, uint64_t off, uint32_t len);
void mir_intent_run(struct mir *);
void mir_intent_done(struct mir *, unsigned io, int error);
void mir_clean_arm(struct mir *);
void mir_clean_run(struct mir *);
void mir_clean_flushed(struct mir *);
bool mir_clean_finished(const struct mir *);

/* msess.c */
void mir_sess_reset(struct mir *, const char *reason);
void mir_sess_restart(struct mir *, const char *reason);
void mir_sess_refuse(struct mir *, const char *fmt, ...) PRINTF_LIKE(2, 3);
void mir_sess_run(struct mir *);
void mir_sess_role(struct mir *); /* own role changed */
void mir_set_conn(struct mir *, enum mir_conn, const char *reason);
void mir_tell(struct mir *, enum mp_type, uint64_t id, uint64_t arg,
    const void *data, size_t len);
void mir_put(struct mir *, struct mp_msg *, const void *data, size_t len);
void mir_msg(struct mir *, const struct mir_event *);
bool mir_sess_linked(const struct mir *); /* messages of data may flow */
void mir_ident(const struct mir *, struct mir_ident *);

/* mwrite.c */
void mir_req(struct mir *, const struct mir_event *);
void mir_req_internal_flush(struct mir *);
void mir_req_granted(struct mir *, struct mreq *);
void mir_req_intent(struct mir *, struct mreq *);
void mir_req_disk(struct mir *, struct mreq *, int error);
void mir_req_ack(struct mir *, const struct mp_msg *);
void mir_req_check(struct mir *, struct mreq *);
void mir_req_fail_fast(struct mir *); /* forced demotion */
void mir_req_unlink(struct mir *); /* the session ended */
void mir_solo(struct mir *); /* goes on without the peer */
void mir_mode_run(struct mir *);
uint32_t mir_req_cost(const struct mreq *);
void mir_send_run(struct mir *);

/* mread.c */
void mir_read(struct mir *, struct mreq *);
void mir_req_end(struct mir *, struct mreq *, int error);
void mir_read_check(struct mir *, struct mreq *);
void mir_read_data(struct mir *, const struct mp_msg *);

/* mpeer.c */
void mir_rep_msg(struct mir *, const struct mp_msg *);
void mir_rep_granted(struct mir *, struct mrep *);
void mir_rep_intent(struct mir *, struct mrep *);
void mir_rep_disk(struct mir *, struct mrep *, int error);

/* resync.c */
void mir_sync_start(struct mir *);
void mir_sync_run(struct mir *);
void mir_sync_abort(struct mir *);
void mir_piece_granted(struct mir *, struct mpiece *);
void mir_piece_disk(struct mir *, struct mpiece *, int error);
bool mir_piece_ack(struct mir *, const struct mp_msg *);
bool mir_piece_send(struct mir *); /* one, if there is room */
void mir_fin_msg(struct mir *, const struct mp_msg *);
void mir_fin_flushed(struct mir *, int error);
void mir_fin_run(struct mir *);
void mir_fin_ack(struct mir *);

/* mrole.c */
enum may { MAY_NOT, MAY_HOLD, MAY };
enum may mir_may_promote(
    const struct mir *, bool force, char *why, size_t size);
void mir_promote(struct mir *, const struct mir_event *);
void mir_demote(struct mir *, const struct mir_event *);
void mir_demoted(struct mir *); /* by force */
void mir_resync(struct mir *, const struct mir_event *);
void mir_invalidate(struct mir *, const struct mp_msg *);
void mir_invalidated(struct mir *, const struct mp_msg *);
void mir_inval_lost(struct mir *);
void mir_stop(struct mir *, const struct mir_event *);
void mir_role_run(struct mir *);
void mir_role_flushed(struct mir *);

/* mstatus.c */
enum mir_disk mir_disk_state(const struct mir *);
enum mir_disk mir_peer_disk_state(const struct mir *);
uint64_t mir_digest(const struct mir *);

#endif
