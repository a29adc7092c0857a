/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server of the lock socket: accepts clients, knows who they are, moves
 * whole messages in both directions.  What is in them is not its business.
 */
#ifndef LOCK_SOCK_H
#define LOCK_SOCK_H

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "had.h"

struct lks;

struct lks_cb {
	/*
	 * Which lockspaces (bit i: the i-th) may this peer use?  gids has its
	 * primary and its supplementary groups.
	 */
	uint16_t (*spaces)(void *ctx, uid_t, const gid_t *gids, size_t n);
	void (*open)(
	    void *ctx, uint32_t client, uid_t, gid_t, pid_t, uint16_t spaces);
	/* bytes are borrowed during the call. */
	void (*msg)(
	    void *ctx, uint32_t client, const uint8_t *bytes, size_t len);
	/* The client is gone, or was cut off because it does not read. */
	void (*eof)(void *ctx, uint32_t client);
};

struct lks_conf {
	const char *path; /* borrowed during lks_new() */
	uint32_t clients_max;
	uint32_t uid_clients_max; /* per user but root; 0: no limit */
	size_t queue_bytes; /* unread answers of one client */
};

/* 0, or -1 with errno.  A stale socket file is replaced. */
int lks_new(struct lks **, sd_event *, const struct lks_conf *,
    const struct lks_cb *, void *ctx) MUST_CHECK;
/* Hangs up on everybody (they take it as the loss of their locks). */
void lks_free(struct lks *);

/*
 * Queues one message.  A client whose queue is full is cut off; its eof comes
 * from the loop, never from inside this call.
 */
void lks_send(struct lks *, uint32_t client, const uint8_t *bytes, size_t len);
/* Hangs up after what was queued; no eof callback follows. */
void lks_close(struct lks *, uint32_t client, const char *why);

struct lks_stats {
	uint32_t clients;
	uint64_t accepted, refused, cut_off, messages, bytes_in, bytes_out;
};
void lks_stats(const struct lks *, struct lks_stats *);

#endif
