/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packet sockets that announce service addresses and that see other machines
 * claim them.  See vip_announce.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bsd/string.h>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "vip_announce.h"
#include "vip_packet.h"

enum {
	/* Per address a comparison and a return; the rest is the prelude. */
	FILTER_MAX = 2 * HAD_ADDRESSES_MAX + 16,
	FRAME_MAX = 2048,
	READ_ROUNDS = 64, /* bounded work per wake-up */
};

struct ear {
	int fd; /* owned; -1: none */
	sd_event_source *src; /* owned */
};

struct vip_announce {
	struct vip_announce_cb cb;
	void *ctx; /* borrowed */
	int out; /* owned: sends, and asks about interfaces */
	struct ear arp, na;
	uint16_t n;
	struct vip_addr_conf addrs[]; /* n */
};

/*
 * Frames that claim one of the addresses of one family: the kernel throws
 * everything else away before it would wake this process.
 */
static size_t
filter_build(
    const struct vip_announce *va, uint8_t family, struct sock_filter *f)
{
	static const struct sock_filter arp[] = {
	    /* The sender's protocol address. */
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 14 + 14),
	};
	static const struct sock_filter na[] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 6),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 58, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 40),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 136, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	    /* The last word of the target; the rest is compared later. */
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 14 + 40 + 8 + 12),
	};
	size_t n, at = family == 4 ? 0 : 12;
	uint16_t i;

	n = family == 4 ? NITEMS(arp) : NITEMS(na);
	memcpy(f, family == 4 ? arp : na, n * sizeof(*f));
	for (i = 0; i < va->n; i++) {
		const uint8_t *b = va->addrs[i].bytes + at;

		if (va->addrs[i].family != family)
			continue;
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
		    (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
			(uint32_t)b[2] << 8 | b[3],
		    0, 1);
		f[n++] =
		    (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, FRAME_MAX);
	}
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	ASSERT(n <= FILTER_MAX);
	return n;
}

/* The interface's index and hardware address; -1 if it has no Ethernet one. */
static int
iface(
    const struct vip_announce *va, const char *name, int *index, uint8_t mac[6])
{
	struct ifreq ifr = {0};

	strlcpy(ifr.ifr_name, name, sizeof(ifr.ifr_name));
	if (ioctl(va->out, SIOCGIFINDEX, &ifr) < 0)
		return -1;
	*index = ifr.ifr_ifindex;
	if (ioctl(va->out, SIOCGIFHWADDR, &ifr) < 0)
		return -1;
	if (ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	return 0;
}

/* Another port of this machine on the same segment is no stranger. */
static bool
is_ours(const struct vip_announce *va, const uint8_t mac[6])
{
	uint8_t own[6];
	int index;
	uint16_t i;

	for (i = 0; i < va->n; i++) {
		if (i > 0 &&
		    strcmp(va->addrs[i].ifname, va->addrs[i - 1].ifname) == 0)
			continue;
		if (iface(va, va->addrs[i].ifname, &index, own) == 0 &&
		    memcmp(own, mac, 6) == 0)
			return true;
	}
	return false;
}

static void
claimed(struct vip_announce *va, const struct vip_claim *c, int ifindex)
{
	size_t len = c->family == 4 ? 4 : 16;
	uint16_t i;

	for (i = 0; i < va->n; i++) {
		const struct vip_addr_conf *a = &va->addrs[i];

		/* Only its own segment counts. */
		if (a->family == c->family &&
		    memcmp(a->bytes, c->ip, len) == 0 &&
		    (int)if_nametoindex(a->ifname) == ifindex &&
		    !is_ours(va, c->mac))
			va->cb.conflict(va->ctx, i, c->mac);
	}
}

static int
on_frame(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct vip_announce *va = ctx;
	uint8_t frame[FRAME_MAX];
	struct sockaddr_ll from;
	socklen_t from_len;
	struct vip_claim c;
	const char *why;
	ssize_t len;
	int rounds = READ_ROUNDS;

	(void)src, (void)revents;
	while (rounds-- > 0) {
		from_len = sizeof(from);
		len = recvfrom(fd, frame, sizeof(frame), MSG_DONTWAIT,
		    (struct sockaddr *)&from, &from_len);
		if (len < 0)
			break;
		if (from.sll_pkttype == PACKET_OUTGOING ||
		    vip_claim_decode(&c, frame, (size_t)len, &why) < 0)
			continue;
		claimed(va, &c, from.sll_ifindex);
	}
	return 0;
}

static int
ear_open(
    struct vip_announce *va, struct ear *ear, uint8_t family, sd_event *event)
{
	struct sock_filter code[FILTER_MAX];
	struct sock_fprog prog = {
	    (unsigned short)filter_build(va, family, code), code};
	struct sockaddr_ll to = {
	    .sll_family = AF_PACKET,
	    .sll_protocol = htons(family == 4 ? ETH_P_ARP : ETH_P_IPV6),
	};
	int r;

	/* No protocol until the filter is there: no flood in between. */
	ear->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ear->fd < 0 ||
	    setsockopt(ear->fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
		sizeof(prog)) < 0 ||
	    bind(ear->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	r = sd_event_add_io(event, &ear->src, ear->fd, EPOLLIN, on_frame, va);
	if (r < 0)
		errno = -r;
	return r < 0 ? -1 : 0;
}

static void
ear_close(struct ear *ear)
{
	sd_event_source_disable_unref(ear->src);
	if (ear->fd >= 0)
		close(ear->fd);
}

static bool
has_family(const struct vip_announce *va, uint8_t family)
{
	uint16_t i;

	for (i = 0; i < va->n; i++)
		if (va->addrs[i].family == family)
			return true;
	return false;
}

struct vip_announce *
vip_announce_new(sd_event *event, const struct vip_addr_conf *addrs, uint16_t n,
    const struct vip_announce_cb *cb, void *ctx, char *err, size_t err_size)
{
	struct vip_announce *va;
	int saved;

	ASSERT(n <= HAD_ADDRESSES_MAX);
	va = calloc(1, sizeof(*va) + n * sizeof(va->addrs[0]));
	if (va == NULL) {
		snprintf(err, err_size, "announcer: %s", strerror(errno));
		return NULL;
	}
	va->cb = *cb;
	va->ctx = ctx;
	va->n = n;
	va->arp.fd = va->na.fd = -1;
	if (n > 0)
		memcpy(va->addrs, addrs, n * sizeof(*addrs));
	/* Protocol 0: it never receives. */
	va->out = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (va->out >= 0 &&
	    (!has_family(va, 4) || ear_open(va, &va->arp, 4, event) == 0) &&
	    (!has_family(va, 6) || ear_open(va, &va->na, 6, event) == 0))
		return va;
	saved = errno;
	snprintf(
	    err, err_size, "announcer: packet socket: %s", strerror(saved));
	vip_announce_free(va);
	errno = saved;
	return NULL;
}

void
vip_announce_free(struct vip_announce *va)
{
	if (va == NULL)
		return;
	ear_close(&va->arp);
	ear_close(&va->na);
	if (va->out >= 0)
		close(va->out);
	free(va);
}

/* A host that forwards is a router, and its advertisements say so. */
static bool
is_router(const char *ifname)
{
	char path[80], c = '0';
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/forwarding",
	    ifname);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, &c, 1) != 1)
		c = '0';
	close(fd);
	return c != '0';
}

static int
transmit(
    const struct vip_announce *va, int index, const uint8_t *frame, size_t len)
{
	struct sockaddr_ll to = {
	    .sll_family = AF_PACKET,
	    .sll_ifindex = index,
	    .sll_halen = 6,
	};

	/* So that the guard knows what it is looking at. */
	memcpy(&to.sll_protocol, frame + 12, 2);
	memcpy(to.sll_addr, frame, 6);
	return sendto(va->out, frame, len, MSG_DONTWAIT, (struct sockaddr *)&to,
		   sizeof(to)) == (ssize_t)len
		   ? 0
		   : -1;
}

int
vip_announce_send(struct vip_announce *va, uint16_t id)
{
	const struct vip_addr_conf *a;
	uint8_t frame[VIP_PACKET_MAX], mac[6];
	int index;

	ASSERT(id < va->n);
	a = &va->addrs[id];
	if (iface(va, a->ifname, &index, mac) < 0)
		return -1;
	if (a->family == 6) {
		vip_na_encode(frame, mac, a->bytes, is_router(a->ifname));
		return transmit(va, index, frame, VIP_NA_LEN);
	}
	vip_arp_encode(frame, VIP_ARP_REQUEST, mac, a->bytes);
	if (transmit(va, index, frame, VIP_ARP_LEN) < 0)
		return -1;
	vip_arp_encode(frame, VIP_ARP_REPLY, mac, a->bytes);
	return transmit(va, index, frame, VIP_ARP_LEN);
}
