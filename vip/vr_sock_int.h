/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the advert sockets share.
 */
#ifndef VR_SOCK_INT_H
#define VR_SOCK_INT_H

#include <linux/if_packet.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "log.h"
#include "loop.h"
#include "vr_sock.h"

enum {
	ADVERT_PROTO = 112,
	VRS_READ_MAX = 4096, /* of a frame that is read */
	/*
	 * Frames in one call.  More would save little: a call is a fiftieth
	 * of what its frames take, and the queue is memory for each.
	 */
	VRS_QUEUE = 64,
};

struct ear {
	struct vrs *vrs; /* borrowed */
	uint16_t id; /* of the interface */
	uint32_t ifindex; /* that it is bound to; 0: none */
	int fd; /* owned; -1: none */
	uint8_t *ring; /* mapped; NULL: none */
	unsigned next; /* slot of it that is read next */
	int group; /* owned; -1: none; keeps the membership */
	sd_event_source *src; /* owned */
	monotime_t burst_at; /* since then came */
	unsigned burst; /* as many */
	bool rests; /* there are many: src is off until the timer */
	unsigned seen; /* adverts since it was looked at, */
	monotime_t oldest, newest; /* when the first and the last came */
	unsigned polls; /* very many: it is looked at so often yet */
};

struct iface {
	struct vrs_iface_conf conf;
	struct vrs_iface facts; /* as the kernel last told */
	struct vrs_iface told; /* as the caller knows */
	bool was_told;
	struct ear ear4, ear6;
	int out; /* owned; -1: none; sends */
	uint32_t out_ifindex; /* that it is bound to; 0: none */
};

struct vrs {
	struct vrs_cb cb;
	void *ctx; /* borrowed */
	sd_event *event; /* borrowed */
	int catch4, catch6; /* owned */
	struct vrs_addr *peers, *own; /* owned */
	uint16_t n_peers, n_own;
	uint8_t *big; /* owned; room for a long frame */
	bool reading;
	struct loop_timer *rest; /* owned */
	monotime_t rest_at; /* when that ends; past: none */

	/* What is known of the interfaces (vr_facts.c). */
	struct mnl_socket *ask, *mon; /* owned */
	sd_event_source *mon_src, *defer_src; /* owned */
	struct loop_timer *retry; /* owned */
	char *buf; /* owned */
	uint32_t seq;
	bool links_stale, addrs_stale;
	uint16_t n_ifs;
	struct iface ifs[VRS_IFS_MAX];

	/* The queue. */
	uint8_t *bytes; /* owned */
	size_t queued_bytes;
	unsigned n_queued;
	uint16_t on[VRS_QUEUE]; /* which interface */
	struct iovec iov[VRS_QUEUE];
	struct mmsghdr out_msgs[VRS_QUEUE];

	struct log_limit send_limit, bind_limit;
	struct vrs_stats stats;
};

/*
 * vr_sock.c: the ears of an interface are on the one that there is now.  0, or
 * -1 and errno if one of them could not be put there.
 */
int vrs_bind(struct vrs *, uint16_t id);

/* vr_facts.c: 0, or -1 and errno. */
int vrs_facts_open(struct vrs *);
void vrs_facts_close(struct vrs *);

#endif
