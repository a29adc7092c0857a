/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the guard share: batches of nftables messages.
 */
#ifndef VIP_GUARD_INT_H
#define VIP_GUARD_INT_H

#include <libmnl/libmnl.h>

#include "vip_guard.h"

/* What differs between the classes of guards. */
struct vip_guard_names {
	const char *guard, *lease; /* tables */
	const char *guard_what, *lease_what; /* for texts of errors */
	uint32_t mark;
};
extern const struct vip_guard_names vip_guard_names[];

enum {
	VIP_BATCH_SIZE = 256 * 1024,
	VIP_BATCH_KEEP = 32 * 1024, /* after a longer one its pages go back */
	VIP_BATCH_MSGS = 256, /* messages in one batch, at most */
	VIP_GUARD_DEVS_MAX = 64 + HAD_LINKS_MAX,
};

/* Had's primary address on an interface, for questions of the kernel's. */
struct vip_primary {
	uint32_t ifindex;
	uint8_t addr[4];
};

/* All that the tables are made from. */
struct vip_tables {
	const struct vip_addr_conf *addrs; /* borrowed */
	uint16_t n;
	const char *devs[VIP_GUARD_DEVS_MAX + 1]; /* there now; NULL ends */
	struct vip_primary primary[VIP_GUARD_DEVS_MAX];
	uint16_t n_primary;
	uint64_t buckets; /* of shared addresses */
};

struct vip_batch {
	const struct vip_guard_names *names;
	char *buf; /* owned; VIP_BATCH_SIZE bytes */
	size_t len;
	uint32_t seq; /* of the first message; they count up from it */
	uint32_t n;
	const char *what[VIP_BATCH_MSGS]; /* static: for texts of errors */
	char lease_msg[128]; /* a lease as a message, once there was one */
	uint16_t lease_len; /* of it; 0: there was none */
	uint16_t lease_times[2]; /* where in it the time stands */
};

int vip_batch_init(struct vip_batch *, enum vip_guard_class);
void vip_batch_release(struct vip_batch *);

/* Fill the batch; nothing reaches the kernel before vip_batch_send. */
void vip_batch_begin(struct vip_batch *);
/*
 * Both tables anew, in place of those that are there.  lease_ms 0: no lease.
 */
void vip_batch_install(struct vip_batch *, const struct vip_tables *,
    const struct vip_set *open, uint64_t lease_ms);
/* The sets of what is open hold open and nothing else. */
/* old: what is open now, NULL if that is not known. */
void vip_batch_open(struct vip_batch *, const struct vip_tables *,
    const struct vip_set *old, const struct vip_set *open);
/* The primary addresses are those of the tables and no others. */
void vip_batch_primary(struct vip_batch *, const struct vip_tables *);
/* Clients of these buckets, and no others. */
void vip_batch_buckets(struct vip_batch *, uint64_t buckets);
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

/*
 * vip_guard_share.c: what only a guard of shared addresses has.  Its sets but
 * macs4 and macs6, and chains to jump to.
 */
void vip_batch_share(struct vip_batch *, uint64_t buckets);
/*
 * In a chain that judges packets, after the address: drops those of other
 * buckets.  proto: ETH_P_*; nd: the ICMPv6 type that it is for, 0 = all;
 * unspecified: of those only such without a source.
 */
void vip_batch_share_rules(struct vip_batch *, const char *chain, bool in,
    uint16_t proto, uint8_t nd, bool unspecified);

#endif
