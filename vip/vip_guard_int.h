/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the guard share: batches of nftables messages.
 */
#ifndef VIP_GUARD_INT_H
#define VIP_GUARD_INT_H

#include <libmnl/libmnl.h>

#include "vip_guard.h"

#define VIP_TABLE_GUARD "had_guard"
#define VIP_TABLE_LEASE "had_lease"

enum {
	VIP_BATCH_SIZE = 256 * 1024,
	VIP_BATCH_MSGS = 256, /* messages in one batch, at most */
	VIP_GUARD_DEVS_MAX = 64,
	/*
	 * The kernel counts a lease in jiffies, rounded down; one of none at
	 * all would last for ever.  A jiffy has 10 ms at most.
	 */
	VIP_LEASE_MIN_MS = 10,
};

struct vip_batch {
	char *buf; /* owned; VIP_BATCH_SIZE bytes */
	size_t len;
	uint32_t seq; /* of the first message; they count up from it */
	uint32_t n;
	const char *what[VIP_BATCH_MSGS]; /* static: for texts of errors */
};

int vip_batch_init(struct vip_batch *);
void vip_batch_release(struct vip_batch *);

/* Fill the batch; nothing reaches the kernel before vip_batch_send. */
void vip_batch_begin(struct vip_batch *);
/*
 * Both tables anew, in place of those that are there: devs is the list of
 * interfaces, NULL-terminated.  lease_ms 0: no lease.
 */
void vip_batch_install(struct vip_batch *, const struct vip_addr_conf *,
    uint16_t n, const char *const *devs, const struct vip_set *open,
    uint64_t lease_ms);
/* The sets of what is open hold open and nothing else. */
void vip_batch_open(struct vip_batch *, const struct vip_addr_conf *,
    uint16_t n, const struct vip_set *open);
/*
 * The lease ends in lease_ms, or now (0).  in_place: by moving the end of the
 * element that there is.
 */
void vip_batch_lease(struct vip_batch *, uint64_t lease_ms, bool in_place);
void vip_batch_remove(struct vip_batch *);
/*
 * All or nothing.  0, or -1 and errno, and *what names the part that the
 * kernel refused.
 */
int vip_batch_send(struct vip_batch *, struct mnl_socket *, const char **what);
/* How long the kernel says the lease still lasts; 0: there is none. */
int vip_lease_left(struct vip_batch *, struct mnl_socket *, uint64_t *ms);

#endif
