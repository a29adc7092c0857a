/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the lock cores of two nodes say to one another.
 *
 * Frame, LKW_HDR_LEN bytes:
 *	0 version  1 kind  2 count  4 view of the sender  12 view of the
 *	receiver as the sender knows it  20 sequence in this pair of views
 * A view is the instance of a lock core (31..63) and its round (0..31).  A
 * frame counts only in the pair of views that it names; after a change both
 * sides tell everything again, so nothing else needs to be retried.
 *
 * SYNC carries one struct lkw_sync, DATA carries count messages: a type byte
 * and the fields that its type has, in the order of enum lkw_field.
 */
#ifndef LOCK_WIRE_H
#define LOCK_WIRE_H

#include "lock_proto.h"

enum {
	LKW_VERSION = 1,
	LKW_HDR_LEN = 24,
	LKW_SYNC_LEN = 16,
	LKW_MSG_MAX = 256, /* no message is longer */
	LKW_FRAME_MAX = 32 * 1024,
};

enum lkw_kind { LKW_SYNC = 1, LKW_DATA = 2 };

struct lkw_hdr {
	uint8_t kind;
	uint16_t count;
	uint64_t src, dst; /* views */
	uint32_t seq;
};

/* Agreement on a round. */
struct lkw_sync {
	nodeset_t members; /* of the sender's view */
	bool synced; /* the sender knows the views of all its members */
	uint32_t void_inst; /* instance of the receiver that is void, or 0 */
	uint64_t epoch;
};

/* X(name, fields): owner to master, then master to owner, then rounds. */
#define LKW_TYPES(X) \
	X(REQUEST, F_LOCK | F_OSEQ | F_RQ | F_FLAGS | F_PID | F_NAME) \
	X(CONVERT, F_LOCK | F_OSEQ | F_RQ | F_FLAGS | F_WVAL) \
	X(UNLOCK, F_LOCK | F_OSEQ | F_FLAGS | F_WVAL) \
	X(CANCEL, F_LOCK | F_OSEQ) \
	X(QUERY, F_LOCK | F_NAME) \
	X(QUEUED, F_LOCK | F_OSEQ | F_QSEQ | F_BLOCKER) \
	X(GRANT, F_LOCK | F_OSEQ | F_GR | F_TOKEN | F_VAL) \
	X(DENY, F_LOCK | F_OSEQ | F_ERR) \
	X(UNLOCKED, F_LOCK | F_OSEQ) \
	X(BAST, F_LOCK | F_RQ) \
	X(GONE, F_LOCK) \
	X(ROW, F_LOCK | F_STATE | F_GR | F_RQ | F_PID | F_TOKEN | F_QSEQ | \
		   F_OSEQ) \
	X(ROWS, F_LOCK | F_OSEQ) \
	X(REBUILD, F_LOCK | F_OSEQ | F_STATE | F_GR | F_RQ | F_FLAGS | F_PID | \
		       F_TOKEN | F_QSEQ | F_VAL | F_WVAL | F_NAME) \
	X(VALUE, F_VAL | F_TOKEN | F_NAME) \
	X(TOLD, F_TOKEN) \
	X(READY, 0)

enum lkw_type {
	LKW_NONE,
#define X(name, fields) LKW_##name,
	LKW_TYPES(X)
#undef X
	    LKW_TYPE_END
};

/* A value block as it travels: the higher seq is the later write. */
struct lkw_val {
	uint8_t bytes[LKP_VALUE_LEN];
	uint64_t seq; /* 0: never written */
	bool valid;
};

struct lkw_msg {
	uint8_t type;
	uint8_t gr, rq; /* modes; LKM_IV allowed */
	uint8_t state; /* REBUILD: enum lk_own_state; ROW: row state */
	uint8_t err; /* enum lke */
	uint8_t name_len;
	uint8_t blocker_node, blocker_mode;
	uint32_t blocker_pid;
	uint32_t oseq; /* of the owner's request; ROW: node; ROWS: n */
	uint32_t flags; /* LKF_* and LKW_F_* */
	uint32_t pid;
	uint64_t lock; /* the owner's id; QUERY, ROW, ROWS: query */
	uint64_t token;
	uint64_t qseq; /* place in the queue; ROW: age in ms */
	uint64_t space; /* hash of the lockspace's name */
	struct lkw_val val;
	uint8_t wval[LKP_VALUE_LEN]; /* to be written */
	const uint8_t *name; /* borrowed: points into the frame */
};

enum {
	LKW_F_DEAD = 1u << 16, /* UNLOCK: the client died holding it */
	LKW_F_ALL = LKF_ALL | LKW_F_DEAD,
};

void lkw_put_hdr(uint8_t *, const struct lkw_hdr *);
int lkw_get_hdr(struct lkw_hdr *, const uint8_t *, size_t, const char **why);
void lkw_put_sync(uint8_t *, const struct lkw_sync *);
int lkw_get_sync(struct lkw_sync *, const uint8_t *, size_t, const char **why);

/* Returns the length, at most LKW_MSG_MAX. */
size_t lkw_put_msg(uint8_t *, const struct lkw_msg *);
/* Returns the length used of len bytes, or -1 and why. */
int lkw_get_msg(
    struct lkw_msg *, const uint8_t *, size_t len, const char **why);
const char *lkw_type_name(unsigned type);

#endif
