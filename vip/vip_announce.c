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

#include "log.h"
#include "loop.h"
#include "vip_announce.h"
#include "vip_packet.h"

enum {
	/* Per address a comparison and a return; the rest is the prelude. */
	FILTER_MAX = 2 * HAD_ADDRESSES_MAX + 16,
	FRAME_MAX = 2048,
	QUEUE = 128, /* frames in one call */
	SNDBUF = 4 * 1024 * 1024, /* all addresses at once */
	READ_ROUNDS = 64, /* bounded work per wake-up */
};

struct ear {
	int fd; /* owned; -1: none */
	sd_event_source *src; /* owned */
};

/* An interface; what is known of it is asked once in each turn. */
struct port {
	char name[16];
	bool asked;
	int index; /* 0: not there, or not Ethernet */
	int error; /* then: why */
	uint8_t mac[6];
};

struct entry {
	struct vip_addr_conf conf;
	uint16_t port;
};

struct vip_announce {
	struct vip_announce_cb cb;
	void *ctx; /* borrowed */
	int out; /* owned: sends, and asks about interfaces */
	struct ear arp, na;
	sd_event_source *defer; /* owned; sends what is queued */
	unsigned queued;
	uint8_t frames[QUEUE][VIP_PACKET_MAX];
	struct iovec iov[QUEUE];
	struct sockaddr_ll to[QUEUE];
	struct mmsghdr msgs[QUEUE];
	/* Of a shared address: one of its machines announces it. */
	bool shared[QUEUE], sharing;
	struct log_limit limit;
	uint16_t n_ports;
	struct port ports[HAD_ADDRESSES_MAX];
	uint16_t n;
	struct entry addrs[]; /* n */
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
		const uint8_t *b = va->addrs[i].conf.bytes + at;

		if (va->addrs[i].conf.family != family)
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

/* The interface's index and hardware address, or why not. */
static int
port_ask(const struct vip_announce *va, struct port *p)
{
	struct ifreq ifr = {0};
	int index;

	p->asked = true;
	p->index = 0;
	strlcpy(ifr.ifr_name, p->name, sizeof(ifr.ifr_name));
	if (ioctl(va->out, SIOCGIFINDEX, &ifr) < 0)
		return errno;
	index = ifr.ifr_ifindex;
	if (ioctl(va->out, SIOCGIFHWADDR, &ifr) < 0)
		return errno;
	if (ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		return EAFNOSUPPORT;
	memcpy(p->mac, ifr.ifr_hwaddr.sa_data, 6);
	p->index = index;
	return 0;
}

static const struct port *
port_of(struct vip_announce *va, uint16_t i)
{
	struct port *p = &va->ports[i];

	if (!p->asked)
		p->error = port_ask(va, p);
	return p;
}

/* The next turn must ask again. */
static void
ports_forget(struct vip_announce *va)
{
	uint16_t i;

	for (i = 0; i < va->n_ports; i++)
		va->ports[i].asked = false;
}

/* Another port of this machine on the same segment is no stranger. */
static bool
is_ours(struct vip_announce *va, const uint8_t mac[6])
{
	uint16_t i;

	for (i = 0; i < va->n_ports; i++) {
		const struct port *p = port_of(va, i);

		if (p->index != 0 && memcmp(p->mac, mac, 6) == 0)
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
		const struct vip_addr_conf *a = &va->addrs[i].conf;

		/* Only its own segment counts. */
		if (a->family == c->family &&
		    memcmp(a->bytes, c->ip, len) == 0 &&
		    port_of(va, va->addrs[i].port)->index == ifindex &&
		    !(a->shared && memcmp(a->mac, c->mac, 6) == 0) &&
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
	ports_forget(va);
	return 0;
}

void
vip_announce_flush(struct vip_announce *va)
{
	unsigned at = 0;
	uint32_t suppressed;

	while (at < va->queued) {
		int n = sendmmsg(
		    va->out, va->msgs + at, va->queued - at, MSG_DONTWAIT);

		if (n > 0) {
			at += (unsigned)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		/* The next ones may have another interface. */
		if (!(va->shared[at] && errno == ENOBUFS) &&
		    log_allowed(&va->limit, loop_now(), &suppressed))
			log_warn(
			    "announcements: not sent, %u before", suppressed);
		at++;
	}
	va->queued = 0;
	ports_forget(va);
}

static int
on_defer(sd_event_source *src, void *ctx)
{
	(void)src;
	vip_announce_flush(ctx);
	return 0;
}

/* Room for a frame of the queue, to be sent by this port. */
static uint8_t *
put(struct vip_announce *va, const struct port *p, uint16_t proto, size_t len)
{
	unsigned i;

	if (va->queued == QUEUE)
		vip_announce_flush(va);
	i = va->queued++;
	va->iov[i] = (struct iovec){va->frames[i], len};
	va->shared[i] = va->sharing;
	va->to[i] = (struct sockaddr_ll){
	    .sll_family = AF_PACKET,
	    .sll_ifindex = p->index,
	    /* So that the guard knows what it is looking at. */
	    .sll_protocol = htons(proto),
	    .sll_halen = 6,
	};
	va->msgs[i].msg_hdr = (struct msghdr){
	    .msg_name = &va->to[i],
	    .msg_namelen = sizeof(va->to[i]),
	    .msg_iov = &va->iov[i],
	    .msg_iovlen = 1,
	};
	return va->frames[i];
}

static void
put_arp(
    struct vip_announce *va, const struct port *p, int op, const uint8_t *bytes)
{
	vip_arp_encode(put(va, p, ETH_P_ARP, VIP_ARP_LEN), op, p->mac, bytes);
}

static void
put_na(struct vip_announce *va, const struct port *p, const uint8_t *bytes,
    bool router)
{
	vip_na_encode(
	    put(va, p, ETH_P_IPV6, VIP_NA_LEN), p->mac, bytes, router);
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
		if (va->addrs[i].conf.family == family)
			return true;
	return false;
}

static uint16_t
port_add(struct vip_announce *va, const char *name)
{
	uint16_t i;

	for (i = 0; i < va->n_ports; i++)
		if (strcmp(va->ports[i].name, name) == 0)
			return i;
	strlcpy(va->ports[i].name, name, sizeof(va->ports[i].name));
	va->n_ports++;
	return i;
}

static int
out_open(struct vip_announce *va, sd_event *event)
{
	int size = SNDBUF, r;

	/* Protocol 0: it never receives. */
	va->out = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (va->out < 0)
		return -1;
	setsockopt(va->out, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	r = sd_event_add_defer(event, &va->defer, on_defer, va);
	if (r >= 0)
		r = sd_event_source_set_priority(va->defer, LOOP_TIMER);
	if (r >= 0)
		r = sd_event_source_set_enabled(va->defer, SD_EVENT_OFF);
	if (r < 0)
		errno = -r;
	return r < 0 ? -1 : 0;
}

struct vip_announce *
vip_announce_new(sd_event *event, const struct vip_addr_conf *addrs, uint16_t n,
    const struct vip_announce_cb *cb, void *ctx, char *err, size_t err_size)
{
	struct vip_announce *va;
	uint16_t i;
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
	va->arp.fd = va->na.fd = va->out = -1;
	for (i = 0; i < n; i++) {
		va->addrs[i].conf = addrs[i];
		if (addrs[i].family != 0)
			va->addrs[i].port = port_add(va, addrs[i].ifname);
	}
	if (out_open(va, event) == 0 &&
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
	vip_announce_flush(va);
	ear_close(&va->arp);
	ear_close(&va->na);
	sd_event_source_disable_unref(va->defer);
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

int
vip_announce_send(struct vip_announce *va, uint16_t id)
{
	const struct vip_addr_conf *a;
	const struct port *p;

	ASSERT(id < va->n && va->addrs[id].conf.family != 0);
	a = &va->addrs[id].conf;
	p = port_of(va, va->addrs[id].port);
	if (p->index == 0) {
		errno = p->error;
		ports_forget(va);
		return -1;
	}
	va->sharing = a->shared;
	if (a->family == 6)
		put_na(va, p, a->bytes, is_router(a->ifname));
	else {
		put_arp(va, p, VIP_ARP_REQUEST, a->bytes);
		put_arp(va, p, VIP_ARP_REPLY, a->bytes);
	}
	if (sd_event_source_set_enabled(va->defer, SD_EVENT_ONESHOT) < 0)
		vip_announce_flush(va);
	return 0;
}
