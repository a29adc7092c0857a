/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock manager of one node: all its lockspaces.  Pure.
 *
 * Every lock has an owner record on the node of its client and a master
 * record on the node that decides about the resource (rendezvous hashing over
 * the members).  Both may be the same node.  Only the master grants.
 *
 * After every change of members the nodes agree on a round (SYNC), owners
 * tell the masters what they hold (REBUILD), and masters go on when everybody
 * has told (READY).  A resource whose master does not change is not frozen
 * meanwhile.  A newer VIEW aborts a round and starts the next one.
 */
#ifndef LOCK_H
#define LOCK_H

#include "had.h"
#include "lock_proto.h"

struct lk;

struct lk_conf {
	uint8_t self;
	nodeset_t nodes; /* all configured nodes, self included */
	uint8_t n_spaces;
	struct {
		char name[HAD_NAME_MAX];
		uint32_t locks_max; /* on this node, all clients */
	} spaces[HAD_LOCKSPACES_MAX];
	uint32_t clients_max;
	uint32_t client_locks_max; /* per client; 0: no limit of its own */
	uint32_t uid_locks_max; /* per user but root; 0: no limit */
};

enum lk_view_state {
	/*
	 * Members and dead are decided, epoch is durable: rebuild and grant.
	 */
	LK_VIEW_RUNNING,
	/*
	 * The fate of a node is undecided.  What depends on it waits, nothing
	 * of it is voided; what is mastered here goes on.
	 */
	LK_VIEW_STOPPED,
	/*
	 * This node may have been declared dead without knowing: as STOPPED,
	 * and what is mastered here does not go on either.  Short.
	 */
	LK_VIEW_DOUBT,
	/*
	 * This node is isolated or was declared dead: every lock of its
	 * clients is void and they are told at once.
	 */
	LK_VIEW_LOST,
	/* Not seeded yet: nothing is granted, requests wait. */
	LK_VIEW_INERT,
};

/*
 * VIEW: what arbitration says.  Sent at START's heels and at every change; an
 * equal view repeated does nothing.
 *
 * A node that was a member before and is neither in members nor in dead keeps
 * its locks and blocks a new round: it is undecided, whatever state says.  A
 * node that said goodbye belongs into dead.  Whenever a former member is in
 * dead, epoch must be higher than that of the last running view, because
 * fencing tokens are drawn from it; a lower or equal one stops the lockspaces
 * and is noted.  Likewise, an epoch in which an earlier daemon of this node
 * or of its peers granted locks must not be used again when all of them have
 * restarted.
 */
struct lk_view {
	enum lk_view_state state;
	nodeset_t members; /* alive and paired, self included */
	nodeset_t dead; /* their locks are void */
	uint64_t epoch;
	uint32_t grace_ms; /* LOST: others are granted after this */
};

enum lk_ev {
	LK_EV_START,
	LK_EV_TIMER,
	LK_EV_VIEW,
	/*
	 * Messages from or to this peer may be lost (its association broke or
	 * was restarted) though it stayed a member: tell everything again.
	 */
	LK_EV_RESYNC,
	LK_EV_MSG, /* payload from another node's lock core */
	LK_EV_CLIENT_OPEN,
	LK_EV_CLIENT_MSG, /* one message of lock_proto.h */
	LK_EV_CLIENT_EOF,
};

struct lk_event {
	enum lk_ev type;
	monotime_t now;
	union {
		struct {
			uint64_t seed;
			uint64_t epoch;
		} start;
		struct lk_view view;
		struct {
			uint8_t peer;
		} resync;
		struct {
			uint8_t from;
			const uint8_t *bytes; /* borrowed during the step */
			size_t len;
		} msg;
		struct {
			uint32_t client; /* < clients_max, free now */
			uint32_t uid, gid, pid;
			uint16_t spaces; /* bit i: may open spaces[i] */
		} open;
		struct {
			uint32_t client;
			const uint8_t *bytes; /* borrowed during the step */
			size_t len;
		} cmsg;
		struct {
			uint32_t client;
		} eof;
	} u;
};

/* The functions only enqueue; bytes are copied or sent before they return. */
struct lk_ops {
	/*
	 * To the lock core of peer.  Must arrive complete and in order, all
	 * messages of one pair on one stream; after a gap LK_EV_RESYNC.
	 */
	void (*send)(void *ctx, uint8_t peer, const uint8_t *bytes, size_t len);
	/* One message of lock_proto.h to a client. */
	void (*client)(
	    void *ctx, uint32_t client, const uint8_t *bytes, size_t len);
	/*
	 * Hang up on a client that broke the protocol, after what was sent.
	 * The core has forgotten it and its locks; its slot may be used again
	 * with the next CLIENT_OPEN, no CLIENT_EOF follows or is needed.
	 */
	void (*client_close)(void *ctx, uint32_t client, const char *why);
	void (*timer)(void *ctx, monotime_t at);
	void (*note)(void *ctx, enum had_level, const char *rule,
	    const char *object, const char *text);
};

struct lk *lk_new(const struct lk_conf *, const struct lk_ops *, void *ctx);
void lk_free(struct lk *);
void lk_step(struct lk *, const struct lk_event *);

enum lk_phase {
	LK_PH_INERT, /* no view yet, lost or not seeded */
	LK_PH_STOPPED,
	LK_PH_SYNC, /* agreeing on the round */
	LK_PH_REBUILD, /* owners tell masters */
	LK_PH_RUNNING,
};
const char *lk_phase_name(enum lk_phase);

struct lk_status {
	enum lk_phase phase;
	nodeset_t ring; /* the members that masters are chosen from */
	uint64_t epoch;
	uint32_t clients;
	uint32_t locks; /* owned here */
	uint32_t granted, waiting, converting; /* of those */
	uint32_t by_mode[LKM_COUNT]; /* granted, owned here */
	uint32_t resources; /* known here */
	uint32_t mastered; /* of those, mastered here */
	uint32_t masters; /* master records here, remote owners' too */
	uint32_t rounds; /* since START */
	uint64_t grants, bast_sent, deadlocks, timeouts, bad_messages;
};
void lk_status(const struct lk *, struct lk_status *);

/*
 * Every lock that this node knows of: those of its own clients, and those of
 * other nodes on resources mastered here.  Zero the iterator to begin; false
 * at the end.  Do not step in between.
 */
enum lk_row_state { LK_ROW_GRANTED, LK_ROW_CONVERTING, LK_ROW_WAITING };
const char *lk_row_state_name(enum lk_row_state);

struct lk_iter {
	uint32_t own, mst;
};

struct lk_row {
	const char *space; /* borrowed until lk_free() */
	uint8_t name[LKP_NAME_MAX];
	uint8_t name_len;
	uint8_t node; /* of the owner */
	uint8_t master;
	enum lk_row_state state;
	uint8_t mode; /* granted, LKM_IV while waiting */
	uint8_t rqmode; /* wanted, LKM_IV if granted */
	uint32_t pid;
	uint64_t lock; /* id on its node */
	uint64_t token;
	monotime_t since; /* of the grant or of the request */
	/* Of one that waits: the first lock in its way, node 0 if unknown. */
	uint8_t blocker_node;
	uint8_t blocker_mode;
	uint32_t blocker_pid;
	char why[96]; /* why it waits, "" if granted */
};
bool lk_status_next(const struct lk *, struct lk_iter *, struct lk_row *);

/* The member of ring that masters a resource; for tests and `hactl locks`. */
uint8_t lk_master_of(
    nodeset_t ring, const char *space, const uint8_t *name, size_t name_len);

#endif
