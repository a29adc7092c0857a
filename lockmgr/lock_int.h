/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the lock core share.
 *
 *	lock_client.c	requests of clients -> owner records
 *	lock_own.c	owner records <-> messages to and from masters
 *	lock_master.c	messages of owners -> master records
 *	lock_queue.c	grant rules, queues, value blocks, BASTs
 *	lock_dist.c	frames, sessions between nodes
 *	lock_recover.c	views, rounds, rebuilding
 *	lock_table.c	tables of records, all sized at the start
 *	lock_status.c	counters and rows
 *
 * An owner talks to the master of its resource in struct lkw_msg, whether
 * that is this node (a call) or another (a frame).  A master never calls back
 * into a master, nor an owner into an owner, so the calls nest twice at most.
 */
#ifndef LOCK_INT_H
#define LOCK_INT_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "lock.h"
#include "lock_wire.h"

enum {
	LK_SYNC_MS = 250, /* repeats SYNC to who has not answered */
	LK_BAD_MS = 1000, /* compares again after bytes that make no sense */
	LK_OUT_MAX = 2048, /* answers kept until the end of a step */
	LK_QUERIES_MAX = 64,
	LK_ROWS_MAX = 200, /* rows of one query */
	/* Tokens: the epoch, then 44 bits that count grants. */
	LK_TOKEN_SHIFT = 44,
};

#define LK_NONE UINT32_MAX /* no index */

/* The owner's record of a lock; on the node of its client. */
enum lk_own_state {
	OWN_FREE,
	OWN_REQUEST, /* new, not granted yet */
	OWN_GRANTED,
	OWN_CONVERT, /* granted in gr, wants rq */
	OWN_UNLOCK, /* given up; waits for the master to say so */
};

struct lk_own {
	TAILQ_ENTRY(lk_own) on_res;
	TAILQ_ENTRY(lk_own) on_client;
	TAILQ_ENTRY(lk_own) on_held;
	RB_ENTRY(lk_own) by_deadline;
	struct lk_res *res; /* borrowed; holds a reference */
	struct lk_client *client; /* borrowed; NULL: it is gone */
	uint64_t cookie; /* of the pending request */
	uint64_t cancel_cookie;
	uint64_t token, qseq;
	struct lkw_val val; /* as of the last grant */
	uint8_t wval[LKP_VALUE_LEN]; /* to be written by the request */
	monotime_t since, deadline;
	uint32_t gen, flags, pid;
	uint32_t oseq; /* of the last request */
	uint32_t blocker_pid;
	uint8_t state, gr, rq, space;
	uint8_t blocker_node, blocker_mode;
	bool held; /* on lk->held: to be sent when possible */
	bool sent; /* the request may have reached a master */
	bool bast; /* the client wants BASTs */
	bool cancelling; /* a conversion; CANCEL is or will be sent */
	bool cancel_answer; /* cancel_cookie is to be answered */
	uint8_t cancel_why; /* LKE_CANCELED or LKE_TIMEDOUT */
};

/* The master's record of a lock; on the node that decides. */
enum lk_mst_state { MST_FREE, MST_GRANTED, MST_CONVERTING, MST_WAITING };

struct lk_mst {
	TAILQ_ENTRY(lk_mst) on_queue;
	LIST_ENTRY(lk_mst) on_hash;
	struct lk_res *res; /* borrowed; holds a reference */
	uint64_t lock; /* id at its owner */
	uint64_t token, qseq;
	monotime_t since;
	uint32_t oseq; /* last request of the owner that came */
	uint32_t flags, pid;
	uint32_t round; /* in which its owner last told of it */
	uint8_t node, state, gr, rq;
	uint8_t err; /* outcome of request oseq if it was denied */
	uint8_t basted; /* modes told by BAST since the grant */
	bool bast; /* the owner wants BASTs */
	uint8_t told_node; /* blocker that the owner was told */
	uint64_t told_lock;
	uint8_t wval[LKP_VALUE_LEN]; /* conversion: to be written */
};

TAILQ_HEAD(lk_ownq, lk_own);
TAILQ_HEAD(lk_mstq, lk_mst);
LIST_HEAD(lk_mstl, lk_mst);

struct lk_res {
	LIST_ENTRY(lk_res) on_hash;
	struct lk_ownq owns;
	struct lk_mstq granted, converting, waiting;
	uint64_t space; /* hash of the lockspace's name */
	uint64_t qseq; /* last place given */
	struct lkw_val val;
	uint32_t refs; /* owner and master records */
	uint32_t holders[LKM_COUNT]; /* granted and converting, by mode */
	uint32_t wanted[LKM_COUNT]; /* converting and waiting, by mode */
	uint32_t noorder; /* of those, with LKF_NOORDER */
	uint8_t name[LKP_NAME_MAX];
	uint8_t name_len;
	uint8_t master; /* 0: no view yet */
	uint8_t bast_for; /* modes of the last round of BASTs */
	bool bast_due; /* a holder came since */
	bool frozen; /* mastered here, but not everything told */
	bool val_told; /* frozen: val came from the old master */
	bool kept; /* frozen: a reference, so that val stays until it thaws */
	bool used;
};
LIST_HEAD(lk_resl, lk_res);

struct lk_client {
	struct lk_ownq owns;
	uint32_t uid, gid, pid;
	uint32_t locks;
	uint32_t out_head, out_tail; /* in lk->outs, LK_NONE: empty */
	uint16_t may, opened; /* lockspaces */
	bool used, dirty;
	STAILQ_ENTRY(lk_client) on_dirty;
};

STAILQ_HEAD(lk_clientq, lk_client);

struct lk_out {
	struct lkp_ans ans;
	uint32_t next;
};

struct lk_peer {
	uint64_t view; /* its last SYNC, 0: none */
	uint64_t echo; /* my view as that SYNC knew it */
	uint64_t told; /* its view that my last SYNC echoed */
	nodeset_t members; /* of its view */
	uint32_t void_inst; /* its instance that is void here */
	uint32_t tx_seq, rx_seq;
	bool told_all; /* TOLD came: it has told what it holds */
	bool ready; /* READY came: it takes requests */
	bool synced; /* it is in session with all its members */
	uint8_t *out; /* owned, LKW_FRAME_MAX; NULL: not configured */
	size_t out_len;
	uint16_t out_count;
};

struct lk_query {
	struct lk_client *client; /* borrowed; NULL: free */
	uint64_t cookie, id;
	uint8_t node;
	uint8_t space;
};

struct lk_space {
	char name[HAD_NAME_MAX];
	uint64_t hash;
	uint32_t locks_max, locks;
};

RB_HEAD(lk_deadlines, lk_own);

struct lk {
	const struct lk_ops *ops; /* lent until lk_free() */
	void *ctx; /* borrowed */
	struct lk_conf conf;
	bool stepping, started;
	monotime_t now;
	uint64_t rng, hash_seed;

	struct lk_view view;
	bool viewed;
	enum lk_phase phase;
	uint32_t inst, round; /* the two halves of this node's view */
	nodeset_t ring; /* masters are chosen from it; 0: none */
	nodeset_t settled_ring; /* the last one that came to READY */
	uint64_t ring_epoch; /* of the view that made the ring */
	bool synced; /* SYNC: in session with all members */
	bool settled; /* ring came to READY here */
	unsigned unsettled; /* rings entered since the last READY */
	monotime_t sync_at, armed;
	uint64_t token; /* the last one given by this master */
	struct lk_peer peers[HAD_NODES_MAX + 1]; /* by id */

	struct lk_space spaces[HAD_LOCKSPACES_MAX];
	struct lk_client *clients; /* owned */
	struct lk_clientq dirty;
	struct lk_out *outs; /* owned */
	uint32_t outs_used;
	struct lk_query queries[LK_QUERIES_MAX];
	uint64_t query_id;

	struct lk_own *owns; /* owned */
	struct lk_mst *msts; /* owned */
	struct lk_res *ress; /* owned */
	struct lk_mstl *mst_hash; /* owned */
	struct lk_resl *res_hash; /* owned */
	uint32_t owns_max, msts_max, ress_max, hash_mask;
	/* Records from *_hi on were never used. */
	uint32_t owns_hi, msts_hi, ress_hi;
	uint32_t owns_used, msts_used, ress_used;
	struct lk_ownq owns_free, held;
	struct lk_mstq msts_free;
	struct lk_resl ress_free;
	struct lk_deadlines deadlines;

	struct lk_status count; /* only the counters that grow */
	uint8_t msg_out[LKP_ANS_MSG_MAX];
};

/* lock.c */
void lk_note(struct lk *, enum had_level, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
uint32_t lk_random(struct lk *); /* never 0 */

/* lock_table.c */
int lk_table_new(struct lk *); /* -1: no memory */
void lk_table_free(struct lk *);
uint64_t lk_space_hash(const char *space);
struct lk_res *lk_res_find(
    struct lk *, uint64_t space, const uint8_t *name, size_t len);
/* Finds or makes; NULL if the table is full.  Takes a reference. */
struct lk_res *lk_res_get(
    struct lk *, uint64_t space, const uint8_t *name, size_t len);
void lk_res_put(struct lk *, struct lk_res *);
uint8_t lk_res_master(const struct lk_res *, nodeset_t ring);
struct lk_own *lk_own_new(struct lk *, struct lk_res *);
struct lk_own *lk_own_find(struct lk *, uint64_t lock);
uint64_t lk_own_id(const struct lk *, const struct lk_own *);
void lk_own_free(struct lk *, struct lk_own *);
/* Arms, moves or (MT_NEVER) disarms the deadline of a request. */
void lk_own_deadline(struct lk *, struct lk_own *, monotime_t);
struct lk_own *lk_own_first_deadline(struct lk *);
struct lk_mst *lk_mst_new(
    struct lk *, struct lk_res *, uint8_t node, uint64_t lock);
struct lk_mst *lk_mst_find(const struct lk *, uint8_t node, uint64_t lock);
void lk_mst_free(struct lk *, struct lk_mst *); /* off the queues already */

/* lock_queue.c */
void lkq_insert(struct lk_res *, struct lk_mst *, enum lk_mst_state);
void lkq_remove(struct lk_res *, struct lk_mst *);
void lkq_request(struct lk *, struct lk_res *, struct lk_mst *);
void lkq_convert(struct lk *, struct lk_res *, struct lk_mst *);
/* Value block, queues, UNLOCKED; frees m. */
void lkq_unlock(struct lk *, struct lk_res *, struct lk_mst *, uint32_t flags,
    const uint8_t *wval);
void lkq_cancel(struct lk *, struct lk_res *, struct lk_mst *);
/* Grants what can be; recover: conversions out of order. */
void lkq_run(struct lk *, struct lk_res *, bool recover);
/* The recovery of a resource that was rebuilt here: fix, grant. */
void lkq_thaw(struct lk *, struct lk_res *);
/* The first lock in the way of one that waits; NULL if there is none. */
const struct lk_mst *lkq_blocker(
    const struct lk_res *, const struct lk_mst *, bool *ahead);
void lkq_invalidate(struct lk_res *);
/* Does mode allow others everything that old allows? */
bool lkq_weaker(uint8_t old, uint8_t mode);
void lkq_tell_grant(struct lk *, const struct lk_mst *);
void lkq_tell_queued(struct lk *, const struct lk_res *, struct lk_mst *);
void lkq_tell_deny(struct lk *, const struct lk_mst *, enum lke);
uint64_t lk_token_next(struct lk *);
/*
 * Beyond whatever a master that restarted in this epoch may have given; it
 * began where everybody was when the round settled.
 */
void lk_token_leap(struct lk *);

/* lock_master.c: a message of an owner (node from) to the master here. */
void lk_master_msg(struct lk *, uint8_t from, const struct lkw_msg *);
/* Voids every lock of a node. */
void lk_master_purge(struct lk *, uint8_t node);
/* Drops the locks of a node that it did not tell of in this round. */
void lk_master_sweep(struct lk *, uint8_t node);
/* Frozen no more: lets go of what kept the value. */
void lk_master_unkeep(struct lk *, struct lk_res *);
/* Forgets the master's part of a resource that moved away. */
void lk_master_drop(struct lk *, struct lk_res *);

/* lock_own.c */
void lk_owner_msg(struct lk *, uint8_t from, const struct lkw_msg *);
/* Sends the pending request, or holds it until its master is ready. */
void lk_own_submit(struct lk *, struct lk_own *);
void lk_own_flush_held(struct lk *);
/* NOQUEUE does not wait for a node whose fate is undecided. */
void lk_own_deny_held(struct lk *);
void lk_own_rebuild(struct lk *, struct lk_own *);
void lk_own_cancel(struct lk *, struct lk_own *, enum lke why);
/* Gives a lock up; answers nobody. */
void lk_own_drop(struct lk *, struct lk_own *, uint32_t flags);
/* Every lock here is void: completes, tells, frees. */
void lk_own_lose_all(struct lk *, uint32_t grace_ms);
bool lk_own_reachable(const struct lk *, const struct lk_res *);
void lk_own_timeouts(struct lk *);

/* lock_client.c */
void lk_client_open(struct lk *, const struct lk_event *);
void lk_client_msg(struct lk *, uint32_t client, const uint8_t *, size_t len);
void lk_client_eof(struct lk *, uint32_t client);
void lk_client_space(struct lk *, enum lkp_space, uint32_t ms);
void lk_client_put(struct lk *, struct lk_client *, const struct lkp_ans *);
void lk_client_done(
    struct lk *, const struct lk_own *, uint64_t cookie, enum lke);
void lk_client_flush(struct lk *);

/* lock_query.c */
void lk_query_client(struct lk *, struct lk_client *, const struct lkp_req *);
void lk_query_master(struct lk *, uint8_t from, const struct lkw_msg *);
void lk_query_answer(struct lk *, uint8_t from, const struct lkw_msg *);
void lk_query_forget(struct lk *, const struct lk_client *);
/* No answer from another node will come any more. */
void lk_query_abort(struct lk *);

/* lock_dist.c */
/* To a node's master or owner side: a call here, a frame elsewhere. */
void lk_to_master(struct lk *, uint8_t node, const struct lkw_msg *);
void lk_to_owner(struct lk *, uint8_t node, const struct lkw_msg *);
void lk_frame(struct lk *, uint8_t node, const struct lkw_msg *);
void lk_send_sync(struct lk *, uint8_t node);
/* Each of the two sides knows the present view of the other. */
bool lk_met(const struct lk *, uint8_t node);
/* And messages count: REBUILD or RUNNING. */
bool lk_in_session(const struct lk *, uint8_t node);
void lk_frames_reset(struct lk_peer *);
void lk_frames_flush(struct lk *);
void lk_bad(struct lk *, uint8_t from, const char *why);
void lk_dist_msg(struct lk *, uint8_t from, const uint8_t *, size_t len);
uint64_t lk_my_view(const struct lk *);

/* lock_recover.c */
void lk_view_set(struct lk *, const struct lk_view *);
void lk_new_round(struct lk *, const char *why);
/* From SYNC to REBUILD, if everybody is in session. */
void lk_round_begin(struct lk *);
void lk_round_sync(
    struct lk *, uint8_t from, const struct lkw_hdr *, const struct lkw_sync *);
void lk_round_msg(struct lk *, uint8_t from, const struct lkw_msg *);
void lk_round_timer(struct lk *);

#define NODE_FOREACH(id, set) \
	for (uint8_t id = 1; id <= HAD_NODES_MAX; id++) \
		if (NODESET_HAS(set, id))

#endif
