/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups of shared addresses.  See share_group.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "share_group.h"

/* A socket for each: the kernel bounds the groups of one. */
struct member {
	struct vip_addr_conf conf;
	unsigned ifindex; /* where it is joined; 0: nowhere */
	int fd; /* owned; -1: none */
};

struct share_group {
	uint16_t n;
	struct member members[];
};

struct share_group *
share_group_new(const struct vip_addr_conf *addrs, uint16_t n)
{
	struct share_group *g =
	    calloc(1, sizeof(*g) + n * sizeof(g->members[0]));

	if (g == NULL)
		return NULL;
	for (uint16_t i = 0; i < n; i++) {
		if (!addrs[i].shared || addrs[i].family != 4)
			continue;
		g->members[g->n].conf = addrs[i];
		g->members[g->n++].fd = -1;
	}
	return g;
}

void
share_group_free(struct share_group *g)
{
	if (g == NULL)
		return;
	for (uint16_t i = 0; i < g->n; i++)
		if (g->members[i].fd >= 0)
			close(g->members[i].fd);
	free(g);
}

static int
join(struct member *m, unsigned ifindex)
{
	struct ip_mreqn mreq = {.imr_ifindex = (int)ifindex};
	const uint8_t *b = m->conf.bytes;
	int saved;

	/* What was joined on an interface that is gone goes with the socket. */
	if (m->fd >= 0)
		close(m->fd);
	m->ifindex = 0;
	m->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (m->fd < 0)
		return -1;
	mreq.imr_multiaddr.s_addr = htonl(
	    UINT32_C(239) << 24 | 255u << 16 | (uint32_t)b[2] << 8 | b[3]);
	if (setsockopt(m->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq,
		sizeof(mreq)) < 0) {
		saved = errno;
		close(m->fd);
		m->fd = -1;
		errno = saved;
		return -1;
	}
	m->ifindex = ifindex;
	return 0;
}

unsigned
share_group_join(struct share_group *g, const char **name)
{
	unsigned failed = 0;
	int first = 0;

	for (uint16_t i = 0; i < g->n; i++) {
		struct member *m = &g->members[i];
		unsigned ifindex = if_nametoindex(m->conf.ifname);

		if (ifindex != 0 && ifindex == m->ifindex)
			continue;
		if (ifindex != 0 && join(m, ifindex) == 0)
			continue;
		if (failed++ > 0)
			continue;
		first = errno;
		*name = m->conf.name;
	}
	errno = first;
	return failed;
}
