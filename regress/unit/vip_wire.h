/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A station on the client's side of the segment that sees whole frames: those
 * in which alpha speaks for a service address, with the kernel's own time of
 * each.  Comes after vip_net.h.
 */
#ifndef VIP_WIRE_H
#define VIP_WIRE_H

#include "vip_net.h"

enum { WIRE_MAX = 4096, WIRE_BYTES = 128 };

struct wire_frame {
	int64_t us; /* of CLOCK_REALTIME, when it came in */
	size_t len; /* of the frame; no more than WIRE_BYTES are kept */
	uint8_t b[WIRE_BYTES];
};

struct wire {
	int fd; /* owned */
	unsigned n;
	struct wire_frame f[WIRE_MAX];
};

static const uint8_t wire_vip4[4] = {10, 9, 0, 80};
static const uint8_t wire_vip6[16] = {0xfd, 0x09, [15] = 0x80};

static inline int64_t
wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static inline void
wire_open(struct wire *w)
{
	struct sockaddr_ll ll = {
	    .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int on = 1, bytes = 16 << 20;

	w->n = 0;
	enter(spaces[CLIENT].fd);
	w->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(w->fd >= 0);
	ll.sll_ifindex = (int)if_nametoindex("eth0");
	setsockopt(w->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	assert_int_equal(
	    setsockopt(w->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)), 0);
	assert_int_equal(bind(w->fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	enter(hub_fd);
}

/* Does alpha say in this frame that a service address is its own? */
static inline bool
wire_speaks(const struct wire_frame *f)
{
	size_t len = f->len < WIRE_BYTES ? f->len : WIRE_BYTES;

	if (len < 14 || memcmp(f->b + 6, spaces[ALPHA].mac, 6) != 0)
		return false;
	return memmem(f->b + 14, len - 14, wire_vip4, 4) != NULL ||
	       memmem(f->b + 14, len - 14, wire_vip6, 16) != NULL;
}

/* One frame off the socket; false: there is none. */
static inline bool
wire_take(struct wire *w)
{
	struct wire_frame *f = &w->f[w->n];
	char control[CMSG_SPACE(sizeof(struct timespec))];
	struct iovec iov = {f->b, sizeof(f->b)};
	struct sockaddr_ll from;
	struct msghdr m = {.msg_name = &from,
	    .msg_namelen = sizeof(from),
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};
	struct timespec ts;
	ssize_t len = recvmsg(w->fd, &m, MSG_TRUNC);

	if (len < 0)
		return false;
	assert_non_null(CMSG_FIRSTHDR(&m));
	memcpy(&ts, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(ts));
	f->us = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
	f->len = (size_t)len;
	if (from.sll_pkttype != PACKET_OUTGOING && wire_speaks(f)) {
		assert_true(w->n + 1 < WIRE_MAX);
		w->n++;
	}
	return true;
}

/* Listens for ms of real time, or only takes what has come (0). */
static inline void
wire_listen(struct wire *w, int64_t ms)
{
	int64_t end = now_us() + ms * 1000, left;
	struct pollfd p = {w->fd, POLLIN, 0};

	do {
		while (wire_take(w))
			continue;
		left = (end - now_us() + 999) / 1000;
	} while (left > 0 && poll(&p, 1, (int)left) >= 0);
}

static inline void
wire_close(struct wire *w)
{
	close(w->fd);
}

#endif
