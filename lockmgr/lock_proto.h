/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The protocol between lock clients and the daemon, over a SOCK_SEQPACKET
 * UNIX socket.  Every message is a header and an array of records of one
 * fixed size, so that one system call carries many requests or answers.
 * Integers are little-endian.  Shared with libhalock.
 */
#ifndef LOCK_PROTO_H
#define LOCK_PROTO_H

#include "had.h"

enum {
	LKP_VERSION = 1,
	LKP_NAME_MAX = 64, /* bytes of a resource name, not terminated */
	LKP_VALUE_LEN = 32, /* bytes of a value block */
	LKP_HDR_LEN = 8,
	LKP_REQ_LEN = 128,
	LKP_ANS_LEN = 80,
	LKP_BATCH_MAX = 256, /* records in one message */
	LKP_REQ_MSG_MAX = LKP_HDR_LEN + LKP_BATCH_MAX * LKP_REQ_LEN,
	LKP_ANS_MSG_MAX = LKP_HDR_LEN + LKP_BATCH_MAX * LKP_ANS_LEN,
};

/* Modes; LKM_IV means "none" and is never requested. */
enum lkm {
	LKM_NL = 0,
	LKM_CR = 1,
	LKM_CW = 2,
	LKM_PR = 3,
	LKM_PW = 4,
	LKM_EX = 5,
	LKM_IV = 0xff,
};

enum { LKM_COUNT = 6 };

/* Flags of a request; any other bit is refused with LKE_INVAL. */
enum {
	LKF_NOQUEUE = 1u << 0, /* LKE_AGAIN instead of waiting */
	LKF_NOQUEUEBAST = 1u << 1, /* as NOQUEUE, and tell who is in the way */
	LKF_QUECVT = 1u << 2, /* conversion: in place only if none waits */
	LKF_EXPEDITE = 1u << 3, /* new NL: granted at once, out of order */
	LKF_NOORDER = 1u << 4, /* granted as soon as compatible */
	LKF_VALBLK = 1u << 5, /* transfer the value block */
	LKF_IVVALBLK = 1u << 6, /* mark the value block not valid */
	LKF_BAST = 1u << 7, /* LOCK, CONVERT: wants LKP_BAST */
	LKF_ALL = (1u << 8) - 1,
};

/* Errors: the numbers of Linux' errno, so that clients can use them so. */
enum lke {
	LKE_OK = 0,
	LKE_PERM = 1, /* not in the lockspace's group */
	LKE_NOENT = 2, /* no such lock or lockspace */
	LKE_AGAIN = 11, /* NOQUEUE and not grantable */
	LKE_BUSY = 16, /* the lock has a request pending */
	LKE_INVAL = 22, /* wrong use of a flag, mode or operation */
	LKE_DEADLK = 35, /* conversion deadlock; the old mode is kept */
	LKE_NOLCK = 37, /* the lockspace is full */
	LKE_PROTO = 71, /* not this protocol; the daemon hangs up */
	LKE_TIMEDOUT = 110,
	LKE_STALE = 116, /* lost: this node may not hold locks now */
	LKE_DQUOT = 122, /* quota of the client or of its user */
	LKE_CANCELED = 125,
};

enum lkp_op {
	LKP_OPEN = 1, /* name: lockspace; answered by LKP_OPENED */
	LKP_LOCK = 2,
	LKP_CONVERT = 3,
	LKP_UNLOCK = 4,
	LKP_CANCEL = 5, /* of the pending request of a lock */
	LKP_QUERY = 6, /* LKP_ROW per lock on a resource, then DONE */
};

struct lkp_req {
	uint8_t op;
	uint8_t mode;
	uint8_t space; /* from LKP_OPENED */
	uint8_t name_len;
	uint32_t flags;
	uint64_t cookie; /* chosen by the client, comes back */
	uint64_t lock; /* CONVERT, UNLOCK, CANCEL */
	uint32_t timeout_ms; /* LOCK, CONVERT; 0: for ever */
	uint8_t name[LKP_NAME_MAX];
	uint8_t value[LKP_VALUE_LEN];
};

enum lkp_type {
	LKP_OPENED = 1, /* status, space */
	LKP_QUEUED = 2, /* the request waits; lock is its id */
	LKP_DONE = 3, /* the one completion of a request */
	LKP_BAST = 4, /* lock is in the way of mode */
	LKP_SPACE = 5, /* arg: enum lkp_space; ms: grace of LOST */
	LKP_ROW = 6, /* one lock on the queried resource */
	LKP_LOST = 7, /* this one lock is lost */
	LKP_ERROR = 8, /* status: why the daemon hangs up */
};

/* What happens to a lockspace. */
enum lkp_space {
	LKP_STOPPED = 1, /* the fate of a node is undecided: waiting */
	LKP_RECOVERING = 2, /* being rebuilt after a change of members */
	LKP_RUNNING = 3,
	/*
	 * Every lock of this client is lost.  Others may be granted them after
	 * ms milliseconds, not before.
	 */
	LKP_LOST_ALL = 4,
};

enum {
	LKP_F_NOTVALID = 1, /* the value block is not valid */
	LKP_F_VALUE = 2, /* value[] was read from the resource */
	LKP_F_WAITING = 4, /* LKP_ROW: on the wait queue */
	LKP_F_CONVERTING = 8, /* LKP_ROW: on the convert queue */
};

struct lkp_ans {
	uint8_t type;
	uint8_t mode; /* granted; of a BAST: the blocked mode */
	uint8_t rqmode; /* LKP_ROW: what it waits for */
	uint8_t space;
	int32_t status; /* enum lke */
	uint64_t cookie;
	uint64_t lock;
	uint64_t token; /* fencing token of the grant, else 0 */
	uint32_t arg; /* SPACE: state; DONE of a QUERY: rows */
	uint32_t pid; /* ROW */
	uint32_t ms; /* ROW: age; SPACE: grace */
	uint8_t node; /* ROW */
	uint8_t flags;
	uint8_t value[LKP_VALUE_LEN];
};

/* "NL" ... "EX", "-" for LKM_IV. */
const char *lkm_name(unsigned mode);
/* Case does not matter; false if it is no mode. */
bool lkm_parse(const char *, uint8_t *mode);
/* May a lock in mode want be granted beside one granted in mode held? */
bool lkm_compat(unsigned held, unsigned want);

/*
 * Headers: lkp_put_hdr() writes LKP_HDR_LEN bytes.  lkp_get_hdr() checks the
 * whole message of len bytes against the record size rec and returns the
 * number of records (>= 1), or -1 and *why.
 */
void lkp_put_hdr(uint8_t *, unsigned count);
int lkp_get_hdr(const uint8_t *, size_t len, size_t rec, const char **why);

void lkp_put_req(uint8_t *, const struct lkp_req *);
/* Checks form only: known op, lengths, reserved bytes zero. */
int lkp_get_req(struct lkp_req *, const uint8_t *, const char **why);
void lkp_put_ans(uint8_t *, const struct lkp_ans *);
int lkp_get_ans(struct lkp_ans *, const uint8_t *, const char **why);

#endif
