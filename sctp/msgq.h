/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bounded queue of messages in one piece of memory, allocated once: the
 * daemon must not wait for memory that only its own writes can free.
 */
#ifndef MSGQ_H
#define MSGQ_H

#include <sys/uio.h>

#include "had.h"

struct msgq {
	uint8_t *buf; /* owned */
	size_t size, head, used;
};

struct msgq_head {
	uint32_t len;
	uint16_t stream;
	uint16_t sealed; /* as it is; else the payload of a message */
};

/* Returns 0, or -1 with ENOMEM. */
int msgq_init(struct msgq *, size_t size);
void msgq_fini(struct msgq *);
void msgq_clear(struct msgq *);

/* Returns false if there is no room. */
bool msgq_push(
    struct msgq *, uint16_t stream, bool sealed, const struct iovec *, int);

/* The oldest message, in one or two pieces; returns false if empty. */
bool msgq_front(const struct msgq *, struct msgq_head *, struct iovec iov[2]);
void msgq_pop(struct msgq *);

#endif
