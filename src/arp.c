/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An ARP request without a sender address (a probe, RFC 5227), which changes
 * nobody's cache, by a packet socket; a neighbour solicitation (RFC 4861) by
 * a raw ICMPv6 socket.  Both are open only while there are questions.
 */
#include <arpa/inet.h>
#include <bsd/string.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include "arp.h"
#include "loop.h"

enum { ROUNDS = 64 };

struct question {
	char ifname[IF_NAMESIZE], addr[46]; /* addr "" = unused */
	int ifindex;
	uint8_t family; /* 4 or 6 */
	uint8_t bytes[16];
	uint8_t mac[6]; /* of the interface that asks */
	monotime_t until;
};

struct arp {
	sd_event *event; /* borrowed */
	arp_answered answered;
	void *ctx; /* borrowed */
	struct loop_timer *timer; /* owned; ends what nobody answered */
	int fd4, fd6; /* owned; -1 = closed */
	sd_event_source *in4, *in6; /* owned */
	struct question q[ARP_QUESTIONS_MAX];
};

static void
close_one(int *fd, sd_event_source **source)
{
	*source = sd_event_source_disable_unref(*source);
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

/* Forgets what is over; the sockets go with the last question. */
static void
tidy(struct arp *a, monotime_t now)
{
	monotime_t next = MT_NEVER;

	for (unsigned i = 0; i < ARP_QUESTIONS_MAX; i++) {
		struct question *q = &a->q[i];

		if (q->addr[0] != '\0' && !mt_before(now, q->until))
			q->addr[0] = '\0';
		if (q->addr[0] != '\0')
			next = mt_min(next, q->until);
	}
	loop_timer_at(a->timer, next);
	if (next.us == INT64_MAX) {
		close_one(&a->fd4, &a->in4);
		close_one(&a->fd6, &a->in6);
	}
}

static void
on_timer(void *arg, monotime_t now)
{
	tidy(arg, now);
}

static void
heard(struct arp *a, uint8_t family, int ifindex, const uint8_t *bytes)
{
	for (unsigned i = 0; i < ARP_QUESTIONS_MAX; i++) {
		struct question *q = &a->q[i], copy = *q;

		if (q->addr[0] == '\0' || q->family != family ||
		    q->ifindex != ifindex ||
		    memcmp(q->bytes, bytes, family == 4 ? 4 : 16) != 0 ||
		    !mt_before(loop_now(), q->until))
			continue;
		q->addr[0] = '\0';
		a->answered(a->ctx, copy.ifname, copy.addr);
		return;
	}
}

static int
on_arp(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct arp *a = arg;
	struct ether_arp p;
	struct sockaddr_ll from;
	socklen_t len;
	ssize_t n;

	(void)source, (void)revents;
	for (int i = 0; i < ROUNDS; i++) {
		len = sizeof(from);
		n = recvfrom(fd, &p, sizeof(p), MSG_DONTWAIT,
		    (struct sockaddr *)&from, &len);
		if (n == -1)
			break;
		/* A reply to this machine, not a claim to everybody. */
		if (n == sizeof(p) && from.sll_pkttype == PACKET_HOST &&
		    p.ea_hdr.ar_op == htons(ARPOP_REPLY) &&
		    p.ea_hdr.ar_pro == htons(ETHERTYPE_IP))
			heard(a, 4, from.sll_ifindex, p.arp_spa);
	}
	tidy(a, loop_now());
	return 0;
}

/* The interface by which an ICMPv6 message came; hop limit 255 or 0. */
static int
came_by(struct msghdr *m)
{
	struct in6_pktinfo info = {0};
	int hops = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL;
	     c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != IPPROTO_IPV6)
			continue;
		if (c->cmsg_type == IPV6_PKTINFO)
			memcpy(&info, CMSG_DATA(c), sizeof(info));
		if (c->cmsg_type == IPV6_HOPLIMIT)
			memcpy(&hops, CMSG_DATA(c), sizeof(hops));
	}
	/* Less than 255 has passed a router: not from this link. */
	return hops == 255 ? (int)info.ipi6_ifindex : 0;
}

static int
on_advert(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct arp *a = arg;
	struct nd_neighbor_advert na;
	uint8_t bytes[512];
	_Alignas(struct cmsghdr) char control[128];
	ssize_t n;

	(void)source, (void)revents;
	for (int i = 0; i < ROUNDS; i++) {
		struct iovec iov = {bytes, sizeof(bytes)};
		struct msghdr m = {.msg_iov = &iov,
		    .msg_iovlen = 1,
		    .msg_control = control,
		    .msg_controllen = sizeof(control)};

		n = recvmsg(fd, &m, MSG_DONTWAIT);
		if (n == -1)
			break;
		if ((size_t)n < sizeof(na))
			continue;
		memcpy(&na, bytes, sizeof(na));
		if (na.nd_na_type == ND_NEIGHBOR_ADVERT &&
		    (na.nd_na_flags_reserved & ND_NA_FLAG_SOLICITED) != 0)
			heard(a, 6, came_by(&m), na.nd_na_target.s6_addr);
	}
	tidy(a, loop_now());
	return 0;
}

static int
watch(struct arp *a, int fd, sd_event_source **source, sd_event_io_handler_t fn)
{
	int r = sd_event_add_io(a->event, source, fd, EPOLLIN, fn, a);

	if (r < 0)
		errno = -r;
	return r < 0 ? -1 : 0;
}

static int
open4(struct arp *a)
{
	if (a->fd4 != -1)
		return 0;
	a->fd4 = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    htons(ETH_P_ARP));
	if (a->fd4 == -1)
		return -1;
	return watch(a, a->fd4, &a->in4, on_arp);
}

static int
open6(struct arp *a)
{
	struct icmp6_filter f;
	const int on = 1, hops = 255;

	if (a->fd6 != -1)
		return 0;
	a->fd6 = socket(
	    AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
	ICMP6_FILTER_SETBLOCKALL(&f);
	ICMP6_FILTER_SETPASS(ND_NEIGHBOR_ADVERT, &f);
	if (a->fd6 == -1 ||
	    setsockopt(a->fd6, IPPROTO_ICMPV6, ICMP6_FILTER, &f, sizeof(f)) ==
		-1 ||
	    setsockopt(a->fd6, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on,
		sizeof(on)) == -1 ||
	    setsockopt(a->fd6, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on,
		sizeof(on)) == -1 ||
	    setsockopt(a->fd6, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops,
		sizeof(hops)) == -1)
		return -1;
	return watch(a, a->fd6, &a->in6, on_advert);
}

static int
send4(struct arp *a, const struct question *q)
{
	struct ether_arp p = {0};
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ARP),
	    .sll_ifindex = q->ifindex,
	    .sll_halen = 6};

	p.ea_hdr.ar_hrd = htons(ARPHRD_ETHER);
	p.ea_hdr.ar_pro = htons(ETHERTYPE_IP);
	p.ea_hdr.ar_hln = 6;
	p.ea_hdr.ar_pln = 4;
	p.ea_hdr.ar_op = htons(ARPOP_REQUEST);
	memcpy(p.arp_sha, q->mac, 6);
	memcpy(p.arp_tpa, q->bytes, 4);
	memset(to.sll_addr, 0xff, 6);
	return sendto(a->fd4, &p, sizeof(p), MSG_DONTWAIT,
		   (struct sockaddr *)&to, sizeof(to)) == sizeof(p)
		   ? 0
		   : -1;
}

static int
send6(struct arp *a, const struct question *q)
{
	struct {
		struct nd_neighbor_solicit ns;
		struct nd_opt_hdr opt;
		uint8_t mac[6];
	} p = {0};
	struct sockaddr_in6 to = {
	    .sin6_family = AF_INET6, .sin6_scope_id = (uint32_t)q->ifindex};
	static const uint8_t group[13] = {
	    0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};

	p.ns.nd_ns_type = ND_NEIGHBOR_SOLICIT;
	memcpy(&p.ns.nd_ns_target, q->bytes, 16);
	p.opt.nd_opt_type = ND_OPT_SOURCE_LINKADDR;
	p.opt.nd_opt_len = 1;
	memcpy(p.mac, q->mac, 6);
	memcpy(to.sin6_addr.s6_addr, group, sizeof(group));
	memcpy(to.sin6_addr.s6_addr + 13, q->bytes + 13, 3);
	return sendto(a->fd6, &p, sizeof(p), MSG_DONTWAIT,
		   (struct sockaddr *)&to, sizeof(to)) == sizeof(p)
		   ? 0
		   : -1;
}

/* Fills in what the kernel knows of the interface. */
static int
interface(struct arp *a, struct question *q)
{
	struct ifreq ifr = {0};
	int fd = q->family == 4 ? a->fd4 : a->fd6;

	strlcpy(ifr.ifr_name, q->ifname, sizeof(ifr.ifr_name));
	if (ioctl(fd, SIOCGIFINDEX, &ifr) == -1)
		return -1;
	q->ifindex = ifr.ifr_ifindex;
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) == -1)
		return -1;
	if (ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	memcpy(q->mac, ifr.ifr_hwaddr.sa_data, 6);
	return 0;
}

/* The place of the same question, or a free one. */
static struct question *
place(struct arp *a, const struct question *q)
{
	struct question *free_one = NULL;

	for (unsigned i = 0; i < ARP_QUESTIONS_MAX; i++) {
		struct question *o = &a->q[i];

		if (o->addr[0] == '\0')
			free_one = free_one == NULL ? o : free_one;
		else if (strcmp(o->addr, q->addr) == 0 &&
			 strcmp(o->ifname, q->ifname) == 0)
			return o;
	}
	return free_one;
}

int
arp_probe(struct arp *a, const char *ifname, const char *addr)
{
	struct question q = {0}, *to;
	int r = -1, error;

	strlcpy(q.ifname, ifname, sizeof(q.ifname));
	strlcpy(q.addr, addr, sizeof(q.addr));
	if (inet_pton(AF_INET, q.addr, q.bytes) == 1)
		q.family = 4;
	else if (inet_pton(AF_INET6, q.addr, q.bytes) == 1)
		q.family = 6;
	errno = EINVAL;
	if (q.family != 0 && (to = place(a, &q)) == NULL)
		errno = ENOSPC;
	else if (q.family != 0 && (q.family == 4 ? open4(a) : open6(a)) == 0 &&
		 interface(a, &q) == 0 &&
		 (q.family == 4 ? send4(a, &q) : send6(a, &q)) == 0) {
		q.until = mt_add_ms(loop_now(), ARP_ANSWER_MS);
		*to = q;
		r = 0;
	}
	error = errno;
	tidy(a, loop_now());
	errno = error;
	return r;
}

struct arp *
arp_new(sd_event *event, arp_answered answered, void *ctx)
{
	struct arp *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->event = event;
	a->answered = answered;
	a->ctx = ctx;
	a->fd4 = a->fd6 = -1;
	a->timer = loop_timer_new(event, on_timer, a);
	return a;
}

void
arp_free(struct arp *a)
{
	if (a == NULL)
		return;
	loop_timer_free(a->timer);
	close_one(&a->fd4, &a->in4);
	close_one(&a->fd6, &a->in6);
	free(a);
}
