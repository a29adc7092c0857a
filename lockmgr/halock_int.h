/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the two files of libhalock share.
 *
 * Any thread may wait for answers, but only one reads from the socket at a
 * time; it hands out what it has read and wakes the others.
 */
#ifndef HALOCK_INT_H
#define HALOCK_INT_H

#include <pthread.h>
#include <stdbool.h>

#include "halock.h"
#include "lock_proto.h"

/* A thread that waits for the completion of its request. */
struct halock_wait {
	struct halock_wait *next; /* borrowed: on another thread's stack */
	uint64_t cookie;
	bool done;
	struct lkp_ans ans;
};

struct halock {
	pthread_mutex_t lock; /* everything below */
	pthread_mutex_t send_lock; /* keeps the order of messages */
	pthread_cond_t cond; /* something was read, or nobody reads */
	int sock, epoll, wake; /* owned; wake: an eventfd, events are kept */
	uint8_t space;
	bool reading; /* a thread reads */
	bool dead; /* the daemon hung up */
	uint64_t cookie; /* of the last synchronous request */
	struct halock_wait *waits; /* borrowed */
	struct halock_event *events; /* owned: ring, kept for halock_next() */
	size_t n_events, events_first, events_max;
	uint8_t in[LKP_ANS_MSG_MAX + 1];
};

/* Cookies of synchronous requests; those of callers are below. */
#define HALOCK_SYNC (1ULL << 63)

/* Sends one message; 0 or -1 and errno. */
int halock_send(struct halock *, const uint8_t *, size_t len);
/*
 * With the lock held: reads what is there, or waits for it if block.  1 if
 * something was read, 0 if there was nothing, -1 if the daemon is gone.
 */
int halock_read(struct halock *, bool block);
void halock_put_req(
    const struct halock *, uint8_t *, const struct halock_req *);

#endif
