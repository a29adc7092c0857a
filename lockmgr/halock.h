/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libhalock: cluster-wide locks for programs, served by had(8).  See
 * halock(3).  Every function is thread-safe.
 */
#ifndef HALOCK_H
#define HALOCK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HALOCK_SOCKET "/run/had/lock.sock"
#define HALOCK_NAME_MAX 64
#define HALOCK_VALUE_LEN 32
#define HALOCK_BATCH_MAX 256

enum halock_mode {
	HALOCK_NL = 0,
	HALOCK_CR = 1,
	HALOCK_CW = 2,
	HALOCK_PR = 3,
	HALOCK_PW = 4,
	HALOCK_EX = 5,
};

enum {
	HALOCK_NOQUEUE = 1u << 0,
	HALOCK_NOQUEUEBAST = 1u << 1,
	HALOCK_QUECVT = 1u << 2,
	HALOCK_EXPEDITE = 1u << 3,
	HALOCK_NOORDER = 1u << 4,
	HALOCK_VALBLK = 1u << 5,
	HALOCK_IVVALBLK = 1u << 6,
	HALOCK_BAST = 1u << 7,
};

struct halock; /* a connection to one lockspace */

/*
 * Connects; path NULL is $HALOCK_SOCKET or HALOCK_SOCKET.  NULL and errno on
 * failure: EACCES if not in the lockspace's group, ENOENT if there is no such
 * lockspace or socket, ECONNREFUSED if had does not run.
 */
struct halock *halock_open(const char *path, const char *space);
/* Releases every lock of the connection.  No other call may be going on. */
void halock_close(struct halock *);

/* Asynchronous. */

enum halock_op {
	HALOCK_OP_LOCK = 2,
	HALOCK_OP_CONVERT = 3,
	HALOCK_OP_UNLOCK = 4,
	HALOCK_OP_CANCEL = 5,
	HALOCK_OP_QUERY = 6,
};

struct halock_req {
	enum halock_op op;
	enum halock_mode mode; /* LOCK, CONVERT */
	unsigned flags;
	uint32_t timeout_ms; /* LOCK, CONVERT; 0: for ever */
	uint64_t cookie; /* comes back; below 1 << 63 */
	uint64_t lock; /* CONVERT, UNLOCK, CANCEL */
	const char *name; /* LOCK, QUERY; borrowed during the call */
	size_t name_len; /* 1..HALOCK_NAME_MAX */
	const void *value; /* HALOCK_VALUE_LEN bytes to write, or NULL */
};

enum halock_type {
	HALOCK_QUEUED = 2, /* the request waits; lock is its id */
	HALOCK_DONE = 3, /* the one completion of a request */
	HALOCK_BLOCKING = 4, /* lock is in the way of somebody's mode */
	HALOCK_STOPPED = 16, /* a node's fate is undecided: waiting */
	HALOCK_RECOVERING = 17,
	HALOCK_RUNNING = 18,
	/*
	 * Every lock of this connection is lost; others may be granted them
	 * after grace_ms, not before.
	 */
	HALOCK_LOST = 19,
	HALOCK_LOCK_LOST = 7, /* this one lock is lost */
	HALOCK_ROW = 6, /* one lock on the queried resource */
};

struct halock_event {
	enum halock_type type;
	int status; /* DONE: 0 or an errno */
	enum halock_mode mode; /* granted; BLOCKING: the blocked mode */
	uint64_t cookie;
	uint64_t lock;
	uint64_t token; /* fencing token, DONE of LOCK and CONVERT */
	uint32_t grace_ms; /* LOST */
	int value_read; /* value[] was transferred */
	int value_valid; /* and is valid */
	uint8_t value[HALOCK_VALUE_LEN];
	/* ROW */
	int waiting; /* not granted yet */
	int converting; /* granted in mode, waits for rqmode */
	enum halock_mode rqmode;
	unsigned node;
	uint32_t pid;
	uint32_t age_ms;
};

/* Poll it for input; then call halock_next() until it returns 0. */
int halock_fd(const struct halock *);
/*
 * Sends up to HALOCK_BATCH_MAX requests as one message, all or nothing.  0,
 * or -1 and errno: EINVAL, ENOTCONN after the daemon hung up.
 */
int halock_submit(struct halock *, const struct halock_req *, size_t n);
/*
 * 1 and an event, 0 if there is none now, -1 and errno.  ENOTCONN: the
 * daemon is gone and so are the locks; others may be granted them at once.
 */
int halock_next(struct halock *, struct halock_event *);

/* Synchronous.  0, or -1 and errno. */

struct halock_grant {
	uint64_t lock;
	uint64_t token;
	int value_valid; /* with HALOCK_VALBLK */
	uint8_t value[HALOCK_VALUE_LEN];
};

/* value is read into grant, written from value; both may be NULL. */
int halock_lock(struct halock *, const char *name, enum halock_mode,
    unsigned flags, uint32_t timeout_ms, struct halock_grant *);
int halock_convert(struct halock *, uint64_t lock, enum halock_mode,
    unsigned flags, uint32_t timeout_ms, const void *value,
    struct halock_grant *);
int halock_unlock(
    struct halock *, uint64_t lock, unsigned flags, const void *value);
int halock_cancel(struct halock *, uint64_t lock);

const char *halock_mode_name(enum halock_mode);
/* -1 and EINVAL if it is no mode. */
int halock_mode_parse(const char *);

#ifdef __cplusplus
}
#endif

#endif
