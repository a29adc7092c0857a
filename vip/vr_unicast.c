/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Adverts to one machine.  See vr_unicast.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "vr_unicast.h"

enum { PRIORITY = 6, IP4_LEN = 20, IP6_LEN = 40 };

struct vru {
	int fd4, fd6; /* owned */
};

/* Nothing is ever read from them: protocol IPPROTO_RAW only sends. */
static int
raw_socket(int family)
{
	int fd = socket(
	    family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	int priority = PRIORITY;

	if (fd < 0)
		return -1;
	(void)setsockopt(
	    fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority));
	return fd;
}

struct vru *
vru_new(void)
{
	struct vru *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->fd4 = raw_socket(AF_INET);
	u->fd6 = u->fd4 < 0 ? -1 : raw_socket(AF_INET6);
	/* A kernel without IPv6 has no routers of that family. */
	if (u->fd4 < 0 || (u->fd6 < 0 && errno != EAFNOSUPPORT)) {
		vru_free(u);
		return NULL;
	}
	return u;
}

void
vru_free(struct vru *u)
{
	if (u == NULL)
		return;
	if (u->fd4 >= 0)
		close(u->fd4);
	if (u->fd6 >= 0)
		close(u->fd6);
	free(u);
}

static int
send4(const struct vru *u, uint32_t ifindex, const uint8_t *packet, size_t len)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control;
	struct iovec iov = {(void *)(uintptr_t)packet, len};
	struct msghdr m = {.msg_name = &to,
	    .msg_namelen = sizeof(to),
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes)};
	struct in_pktinfo info = {.ipi_ifindex = (int)ifindex};
	struct cmsghdr *c;

	memset(&control, 0, sizeof(control));
	memcpy(&to.sin_addr, packet + 16, 4);
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	return sendmsg(u->fd4, &m, 0) == (ssize_t)len ? 0 : -1;
}

static int
send6(const struct vru *u, uint32_t ifindex, const uint8_t *packet, size_t len)
{
	struct sockaddr_in6 to = {
	    .sin6_family = AF_INET6, .sin6_scope_id = ifindex};
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;
	struct iovec iov = {(void *)(uintptr_t)packet, len};
	struct msghdr m = {.msg_name = &to,
	    .msg_namelen = sizeof(to),
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes)};
	struct in6_pktinfo info = {.ipi6_ifindex = ifindex};
	struct cmsghdr *c;

	memset(&control, 0, sizeof(control));
	memcpy(&to.sin6_addr, packet + 24, 16);
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	return sendmsg(u->fd6, &m, 0) == (ssize_t)len ? 0 : -1;
}

int
vru_send(struct vru *u, uint32_t ifindex, const uint8_t *packet, size_t len)
{
	if (len >= IP4_LEN && packet[0] >> 4 == 4)
		return send4(u, ifindex, packet, len);
	if (len >= IP6_LEN && packet[0] >> 4 == 6 && u->fd6 >= 0)
		return send6(u, ifindex, packet, len);
	errno = EINVAL;
	return -1;
}
