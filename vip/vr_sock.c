/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packet sockets for adverts.  See vr_sock.h; what the kernel says about the
 * interfaces is read in vr_facts.c.
 *
 * Each interface has a socket per family that receives, bound to it, with a
 * filter in the kernel; another pair of sockets only joins the groups.  One
 * socket sends for all.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bsd/string.h>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_sched.h>

#include "log.h"
#include "loop.h"
#include "vr_sock_int.h"

enum {
	PEERS_MAX = 100, /* of one interface and family: jumps are short */
	FILTER_MAX = 32 + 9 * PEERS_MAX,
	READ_ROUNDS = 8, /* bounded work per wake-up and socket, in batches */
	/*
	 * Room for two adverts of as many routers as an interface can have.
	 * A slot holds an advert of 37 IPv4 addresses, or of 7 IPv6 ones.
	 */
	RING_SLOTS = 512,
	RING_SLOT = 256,
	RING_BLOCK = 64 * 1024, /* whole pages, whatever their size */
	RING_BYTES = RING_SLOTS * RING_SLOT,
	REST_FROM = 8, /* adverts in REST_MS: there are many routers */
	REST_MS = 1,
	MANY_FROM = 64, /* adverts of one rest */
	POLL_MS = 5,
	INTERVAL_MS = 10, /* the shortest that a router can have */
	POLLS = 4, /* without as many, before the socket wakes again */
	QUEUE_BYTES = 256 * 1024,
	SNDBUF = 8 * 1024 * 1024,
	RCVBUF = 1024 * 1024,
	STAMP_MAX_US = 60 * 1000000, /* older: somebody has set the clock */
};

/* The filter. */

struct program {
	struct sock_filter f[FILTER_MAX];
	unsigned short n;
};

static void
stmt(struct program *p, uint16_t code, uint32_t k)
{
	ASSERT(p->n < FILTER_MAX);
	p->f[p->n++] = (struct sock_filter)BPF_STMT(code, k);
}

static void
jump(struct program *p, uint16_t op, uint32_t k, uint8_t yes, uint8_t no)
{
	ASSERT(p->n < FILTER_MAX);
	p->f[p->n++] =
	    (struct sock_filter)BPF_JUMP(BPF_JMP | op | BPF_K, k, yes, no);
}

static uint32_t
word(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	       (uint32_t)b[2] << 8 | b[3];
}

/* Goes on if what is at offset is k, else returns 0: not for us. */
static void
must_be(struct program *p, uint16_t load, uint32_t offset, uint32_t k)
{
	stmt(p, BPF_LD | load | BPF_ABS, offset);
	jump(p, BPF_JEQ, k, 1, 0);
	stmt(p, BPF_RET | BPF_K, 0);
}

/* Returns all of the packet if len bytes at offset are b; else goes on. */
static void
pass_if(struct program *p, uint32_t offset, const uint8_t *b, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += 4) {
		stmt(p, BPF_LD | BPF_W | BPF_ABS, offset + (uint32_t)i);
		jump(p, BPF_JEQ, word(b + i), 0,
		    (uint8_t)(2 * ((len - i) / 4) - 1));
	}
	stmt(p, BPF_RET | BPF_K, VRS_READ_MAX);
}

static void
filter_build(
    const struct vrs *v, uint16_t id, uint8_t family, struct program *p)
{
	static const uint8_t all4[4] = {224, 0, 0, 18};
	static const uint8_t all6[16] = {0xff, 0x02, [15] = 0x12};
	bool v4 = family == 4;
	uint32_t src = v4 ? 14 + 12 : 14 + 8, dst = v4 ? 14 + 16 : 14 + 24;
	size_t len = v4 ? 4 : 16;
	uint16_t i;

	p->n = 0;
	/* Not what another machine gets, nor what this one sends. */
	stmt(p, BPF_LD | BPF_W | BPF_ABS,
	    (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE));
	jump(p, BPF_JGT, PACKET_MULTICAST, 0, 1);
	stmt(p, BPF_RET | BPF_K, 0);
	/*
	 * All protocols come here: a packet from the hardware address that a
	 * macvlan of this machine has would not reach a socket of one of them.
	 */
	must_be(p, BPF_H, 12, v4 ? ETH_P_IP : ETH_P_IPV6);
	must_be(p, BPF_B, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT), 0);
	/* A VLAN above this interface is another one. */
	must_be(p, BPF_W, (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX),
	    v->ifs[id].facts.ifindex);
	must_be(p, BPF_B, v4 ? 14 + 9 : 14 + 6, ADVERT_PROTO);
	if (v->ifs[id].conf.multicast)
		pass_if(p, dst, v4 ? all4 : all6, len);
	for (i = 0; i < v->n_peers; i++)
		if (v->peers[i].iface == id && v->peers[i].family == family)
			pass_if(p, src, v->peers[i].bytes, len);
	stmt(p, BPF_RET | BPF_K, 0);
}

/* Receiving. */

/*
 * The kernel writes what comes into a ring that this process sees: an advert
 * costs no system call and no copy.  What is longer than a slot comes by the
 * socket's own queue, in the same order.
 */

static struct tpacket2_hdr *
slot(const struct ear *e)
{
	return (struct tpacket2_hdr *)(void *)(e->ring +
					       (size_t)e->next * RING_SLOT);
}

static bool
ear_has(const struct ear *e)
{
	return e->ring != NULL &&
	       (__atomic_load_n(&slot(e)->tp_status, __ATOMIC_ACQUIRE) &
		   TP_STATUS_USER) != 0;
}

/*
 * When the kernel got a packet: its stamp is of the wall clock, so take its
 * age, unless that cannot be.
 */
static monotime_t
stamp(const struct tpacket2_hdr *h, monotime_t now, const struct timespec *wall)
{
	int64_t age =
	    (int32_t)((uint32_t)wall->tv_sec - h->tp_sec) * INT64_C(1000000) +
	    (wall->tv_nsec - (int64_t)h->tp_nsec) / 1000;

	return age > 0 && age < STAMP_MAX_US ? mt_add_us(now, -age) : now;
}

/* The frame of a slot; len 0: there is none that could be an advert. */
static const uint8_t *
frame_of(struct ear *e, const struct tpacket2_hdr *h, size_t *len)
{
	uint8_t *big = e->vrs->big;
	ssize_t n;

	*len = h->tp_snaplen;
	if ((h->tp_status & TP_STATUS_COPY) == 0)
		return (const uint8_t *)h + h->tp_mac;
	n = recv(e->fd, big, VRS_READ_MAX, MSG_DONTWAIT);
	*len = n > 0 ? (size_t)n : 0;
	return big;
}

/*
 * Up to VRS_PACKETS_MAX of them.  A slot is the kernel's again when all that
 * came with it are told, for their bytes are lent.
 */
static unsigned
ear_batch(struct ear *e, const struct timespec *wall, monotime_t now)
{
	struct vrs *v = e->vrs;
	struct vrs_packet p[VRS_PACKETS_MAX];
	struct tpacket2_hdr *used[VRS_PACKETS_MAX];
	unsigned n = 0, n_used = 0, i;
	const uint8_t *frame;
	size_t len;
	bool big = false;

	/* There is one place for a long frame. */
	while (n_used < VRS_PACKETS_MAX && !big && ear_has(e)) {
		struct tpacket2_hdr *h = slot(e);

		used[n_used++] = h;
		e->next = (e->next + 1) % RING_SLOTS;
		big = (h->tp_status & TP_STATUS_COPY) != 0;
		frame = frame_of(e, h, &len);
		if (len <= ETH_HLEN)
			continue;
		p[n++] = (struct vrs_packet){
		    .src_mac = frame + 6,
		    .ip = frame + ETH_HLEN,
		    .len = len - ETH_HLEN,
		    .received = stamp(h, now, wall),
		};
		e->newest = p[n - 1].received;
		if (e->seen + n == 1)
			e->oldest = e->newest;
	}
	v->stats.received += n;
	if (n > 0)
		v->cb.packets(v->ctx, e->id, p, n);
	for (i = 0; i < n_used; i++)
		__atomic_store_n(
		    &used[i]->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	return n_used;
}

static void
ear_read(struct ear *e)
{
	struct timespec wall;
	unsigned n;
	int rounds = READ_ROUNDS;
	monotime_t now;

	if (!ear_has(e))
		return;
	clock_gettime(CLOCK_REALTIME, &wall);
	now = loop_now();
	do {
		n = ear_batch(e, &wall, now);
		e->seen += n;
	} while (n > 0 && --rounds > 0);
}

/* The first of all rests ends the others. */
static void
rest(struct vrs *v, monotime_t now, monotime_t at)
{
	if (mt_before(now, v->rest_at) && !mt_before(at, v->rest_at))
		return;
	v->rest_at = at;
	loop_timer_at(v->rest, at);
}

/*
 * As long as there are very many the socket is looked at twice in the shortest
 * interval.  If all of them came in one burst, as a master's do, it is looked
 * at when the next one is over.
 */
static monotime_t
look_again(const struct ear *e, monotime_t now)
{
	if (e->polls == 0)
		return mt_add_ms(now, REST_MS);
	if (e->seen < MANY_FROM ||
	    !mt_before(e->newest, mt_add_ms(e->oldest, POLL_MS)))
		return mt_add_ms(now, POLL_MS);
	return mt_add_ms(e->newest, INTERVAL_MS + REST_MS);
}

/*
 * Adverts of many routers come in a burst, and each one would wake the process,
 * which is dearer than reading it: after some of them the socket has a rest.
 * What is due is heard before any timeout.
 */
static void
ear_turn(struct ear *e)
{
	struct vrs *v = e->vrs;
	monotime_t now = loop_now();
	bool rested = e->rests;

	ASSERT(!v->reading);
	if (!mt_before(now, mt_add_ms(e->burst_at, REST_MS))) {
		e->burst_at = now;
		e->burst = 0;
	}
	v->reading = true;
	ear_read(e);
	v->reading = false;
	if (rested) {
		if (e->seen >= MANY_FROM)
			e->polls = POLLS;
		else if (e->polls > 0)
			e->polls--;
		e->burst = 0;
		e->rests = e->polls > 0;
	} else {
		e->burst += e->seen;
		e->rests = e->burst >= REST_FROM;
	}
	v->stats.rests += e->rests;
	if (e->rests)
		rest(v, now, look_again(e, now));
	e->seen = 0;
	if (rested != e->rests && e->src != NULL)
		sd_event_source_set_enabled(
		    e->src, e->rests ? SD_EVENT_OFF : SD_EVENT_ON);
}

static int
on_packet(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct ear *e = ctx;
	socklen_t size = sizeof(int);
	int error;

	(void)src;
	ASSERT(fd == e->fd);
	/* That of the interface, too; it would wake for ever. */
	if (revents & EPOLLERR)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	ear_turn(e);
	return 0;
}

static void
on_rest(void *ctx, monotime_t now)
{
	struct vrs *v = ctx;
	uint16_t i;

	(void)now;
	v->rest_at.us = 0;
	for (i = 0; i < v->n_ifs; i++) {
		if (v->ifs[i].ear4.rests)
			ear_turn(&v->ifs[i].ear4);
		if (v->ifs[i].ear6.rests)
			ear_turn(&v->ifs[i].ear6);
	}
}

void
vrs_read(struct vrs *v)
{
	uint16_t i;

	ASSERT(!v->reading);
	v->reading = true;
	for (i = 0; i < v->n_ifs; i++) {
		ear_read(&v->ifs[i].ear4);
		ear_read(&v->ifs[i].ear6);
	}
	v->reading = false;
}

static void
ear_close(struct ear *e)
{
	sd_event_source_disable_unref(e->src);
	e->src = NULL;
	ASSERT(!e->vrs->reading);
	if (e->ring != NULL)
		munmap(e->ring, RING_BYTES);
	if (e->fd >= 0)
		close(e->fd);
	if (e->group >= 0)
		close(e->group);
	e->ring = NULL;
	e->fd = e->group = -1;
	e->ifindex = 0;
	e->rests = false;
	e->seen = e->polls = 0;
}

/* The hardware's group; and a real join, so that switches know. */
static int
ear_join(struct ear *e, uint8_t family, uint32_t ifindex)
{
	struct packet_mreq pm = {
	    .mr_ifindex = (int)ifindex,
	    .mr_type = PACKET_MR_MULTICAST,
	    .mr_alen = 6,
	};
	const struct ip_mreqn m4 = {
	    .imr_multiaddr = {htonl(0xe0000012)}, .imr_ifindex = (int)ifindex};
	struct ipv6_mreq m6 = {.ipv6mr_interface = ifindex};
	bool v4 = family == 4;

	memcpy(pm.mr_address,
	    v4 ? (uint8_t[6]){0x01, 0x00, 0x5e, 0, 0, 0x12}
	       : (uint8_t[6]){0x33, 0x33, 0, 0, 0, 0x12},
	    6);
	inet_pton(AF_INET6, "ff02::12", &m6.ipv6mr_multiaddr);
	if (e->group < 0 || setsockopt(e->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP,
				&pm, sizeof(pm)) < 0)
		return -1;
	return v4 ? setsockopt(e->group, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m4,
			sizeof(m4))
		  : setsockopt(e->group, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m6,
			sizeof(m6));
}

/*
 * Questions for an IPv6 address go to a group of its own.  Reports of an
 * interface with a virtual hardware address are silenced while the address is
 * elsewhere, so the interface below is in the group always: a switch that
 * listens would else not pass on the questions after a takeover.
 */
static int
ear_solicited(const struct vrs *v, const struct ear *e, uint32_t ifindex)
{
	struct ipv6_mreq m = {.ipv6mr_interface = ifindex};
	uint8_t *g = m.ipv6mr_multiaddr.s6_addr;
	uint16_t i;

	inet_pton(AF_INET6, "ff02::1:ff00:0", g);
	for (i = 0; i < v->n_own; i++) {
		if (v->own[i].family != 6 || v->own[i].iface != e->id)
			continue;
		memcpy(g + 13, v->own[i].bytes + 13, 3);
		if (setsockopt(e->group, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m,
			sizeof(m)) < 0 &&
		    errno != EADDRINUSE)
			return -1;
	}
	return 0;
}

static int
ear_ring(struct ear *e)
{
	static const struct tpacket_req req = {
	    .tp_block_size = RING_BLOCK,
	    .tp_block_nr = RING_BYTES / RING_BLOCK,
	    .tp_frame_size = RING_SLOT,
	    .tp_frame_nr = RING_SLOTS,
	};
	int version = TPACKET_V2, on = 1;
	void *p;

	if (setsockopt(e->fd, SOL_PACKET, PACKET_VERSION, &version,
		sizeof(version)) < 0 ||
	    setsockopt(e->fd, SOL_PACKET, PACKET_COPY_THRESH, &on, sizeof(on)) <
		0 ||
	    setsockopt(e->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) <
		0)
		return -1;
	p = mmap(
	    NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, e->fd, 0);
	if (p == MAP_FAILED)
		return -1;
	e->ring = p;
	e->next = 0;
	return 0;
}

static int
ear_open(struct vrs *v, struct ear *e, uint8_t family)
{
	const struct iface *f = &v->ifs[e->id];
	struct sockaddr_ll to = {
	    .sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ALL),
	    .sll_ifindex = (int)f->facts.ifindex,
	};
	struct program p;
	struct sock_fprog prog = {0, p.f};
	int on = 1, size = RCVBUF, r;

	filter_build(v, e->id, family, &p);
	prog.len = p.n;
	/* No protocol until the filter is there: no flood in between. */
	e->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (e->fd < 0 ||
	    setsockopt(
		e->fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ||
	    ear_ring(e) < 0 ||
	    /* What this machine sends is not copied for it to be dropped. */
	    setsockopt(e->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on,
		sizeof(on)) < 0 ||
	    bind(e->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	setsockopt(e->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	e->group = socket(
	    family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (e->group < 0 ||
	    (f->conf.multicast && ear_join(e, family, f->facts.ifindex) < 0) ||
	    (family == 6 && ear_solicited(v, e, f->facts.ifindex) < 0))
		return -1;
	r = sd_event_add_io(v->event, &e->src, e->fd, EPOLLIN, on_packet, e);
	if (r >= 0)
		r = sd_event_source_set_priority(e->src, LOOP_HEARTBEAT);
	if (r < 0)
		errno = -r;
	return r < 0 ? -1 : 0;
}

static int
ear_bind(struct vrs *v, struct ear *e, uint8_t family)
{
	const struct iface *f = &v->ifs[e->id];
	uint32_t suppressed;
	int saved;

	if (e->ifindex == f->facts.ifindex)
		return 0;
	ear_close(e);
	if (!f->facts.has_mac)
		return 0;
	if (ear_open(v, e, family) == 0) {
		e->ifindex = f->facts.ifindex;
		return 0;
	}
	saved = errno;
	if (log_allowed(&v->bind_limit, loop_now(), &suppressed))
		log_warn(
		    "interface %s: adverts of IPv%d", f->conf.name, family);
	ear_close(e);
	errno = saved;
	return -1;
}

int
vrs_bind(struct vrs *v, uint16_t id)
{
	struct iface *f = &v->ifs[id];
	int r = 0;

	/* One family without the other is better than none. */
	if (f->conf.want4)
		r = ear_bind(v, &f->ear4, 4);
	if (f->conf.want6 && ear_bind(v, &f->ear6, 6) < 0)
		r = -1;
	return r;
}

/* Sending. */

void
vrs_send(struct vrs *v, uint16_t id, const uint8_t *frame, size_t len)
{
	ASSERT(id < v->n_ifs && len > ETH_HLEN && len <= VRS_FRAME_MAX);
	if (v->ifs[id].facts.ifindex == 0) {
		v->stats.send_unbound++;
		return;
	}
	if (v->n_queued == VRS_QUEUE || v->queued_bytes + len > QUEUE_BYTES)
		vrs_flush(v);
	memcpy(v->bytes + v->queued_bytes, frame, len);
	v->on[v->n_queued] = id;
	v->iov[v->n_queued] = (struct iovec){v->bytes + v->queued_bytes, len};
	v->out_msgs[v->n_queued].msg_hdr = (struct msghdr){
	    .msg_iov = &v->iov[v->n_queued],
	    .msg_iovlen = 1,
	};
	v->n_queued++;
	v->queued_bytes += len;
}

static void
send_failed(struct vrs *v, uint16_t id)
{
	uint32_t suppressed;
	int saved = errno;

	v->stats.send_failed++;
	if (log_allowed(&v->send_limit, loop_now(), &suppressed))
		log_warnx("interface %s: advert not sent: %s (%u more before)",
		    v->ifs[id].conf.name, strerror(saved), suppressed);
}

/*
 * The socket is bound to the interface that there is now, so that no message
 * needs an address: with many routers that is a part of what they cost.
 */
static int
out_bind(struct iface *f)
{
	/* Protocol 0: it never receives; the kernel reads it in the frame. */
	struct sockaddr_ll to = {
	    .sll_family = AF_PACKET,
	    .sll_ifindex = (int)f->facts.ifindex,
	};

	if (f->out_ifindex == f->facts.ifindex)
		return 0;
	f->out_ifindex = 0;
	if (f->facts.ifindex == 0) {
		errno = ENODEV;
		return -1;
	}
	if (bind(f->out, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	f->out_ifindex = f->facts.ifindex;
	return 0;
}

/* What is queued from at on for one interface.  How many that are, or -1. */
static int
flush_some(struct vrs *v, unsigned at)
{
	struct iface *f = &v->ifs[v->on[at]];
	unsigned n = 1;

	while (at + n < v->n_queued && v->on[at + n] == v->on[at])
		n++;
	if (out_bind(f) < 0)
		return -1;
	v->stats.send_calls++;
	return sendmmsg(f->out, v->out_msgs + at, n, MSG_DONTWAIT);
}

void
vrs_flush(struct vrs *v)
{
	unsigned at = 0;

	while (at < v->n_queued) {
		int n = flush_some(v, at);

		if (n > 0) {
			v->stats.sent += (unsigned)n;
			at += (unsigned)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		/* The next ones may have another interface. */
		send_failed(v, v->on[at]);
		at++;
	}
	v->n_queued = 0;
	v->queued_bytes = 0;
}

/* Beginning and end. */

/*
 * Adverts by unicast would be answered with an ICMP error if nobody wanted
 * them, and the packet sockets do not count.
 */
static int
catcher(int family)
{
	struct sock_filter none[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog prog = {NITEMS(none), none};
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, ADVERT_PROTO);

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
			   sizeof(prog)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int
open_sockets(struct vrs *v)
{
	int size = SNDBUF, prio = TC_PRIO_CONTROL;
	uint16_t i;

	for (i = 0; i < v->n_ifs; i++) {
		int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

		if ((v->ifs[i].out = fd) < 0)
			return -1;
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
		setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &prio, sizeof(prio));
	}
	v->catch4 = catcher(AF_INET);
	v->catch6 = catcher(AF_INET6);
	if (v->catch4 < 0 || (v->catch6 < 0 && errno != EAFNOSUPPORT))
		return -1;
	return 0;
}

static int
copy_conf(struct vrs *v, const struct vrs_conf *conf)
{
	uint16_t i;

	ASSERT(conf->n_ifaces <= VRS_IFS_MAX);
	v->n_ifs = conf->n_ifaces;
	for (i = 0; i < v->n_ifs; i++) {
		struct iface *f = &v->ifs[i];

		f->conf = conf->ifaces[i];
		f->out = -1;
		f->ear4 = f->ear6 =
		    (struct ear){.vrs = v, .id = i, .fd = -1, .group = -1};
	}
	v->n_peers = conf->n_peers;
	v->n_own = conf->n_own;
	v->peers = calloc(conf->n_peers + 1u, sizeof(*v->peers));
	v->own = calloc(conf->n_own + 1u, sizeof(*v->own));
	v->bytes = malloc(QUEUE_BYTES);
	v->big = malloc(VRS_READ_MAX);
	if (v->peers == NULL || v->own == NULL || v->bytes == NULL ||
	    v->big == NULL)
		return -1;
	if (conf->n_peers > 0)
		memcpy(
		    v->peers, conf->peers, conf->n_peers * sizeof(*v->peers));
	if (conf->n_own > 0)
		memcpy(v->own, conf->own, conf->n_own * sizeof(*v->own));
	return 0;
}

/* More than the filter has room for. */
static int
check_peers(const struct vrs *v)
{
	unsigned n[VRS_IFS_MAX][2] = {{0}};
	uint16_t i;

	for (i = 0; i < v->n_peers; i++) {
		ASSERT(v->peers[i].iface < v->n_ifs);
		if (++n[v->peers[i].iface][v->peers[i].family == 6] >
		    PEERS_MAX) {
			errno = E2BIG;
			return -1;
		}
	}
	return 0;
}

struct vrs *
vrs_new(sd_event *event, const struct vrs_conf *conf, const struct vrs_cb *cb,
    void *ctx, char *err, size_t err_size)
{
	struct vrs *v = calloc(1, sizeof(*v));
	const char *what = "memory";
	int saved;

	if (v != NULL) {
		v->cb = *cb;
		v->ctx = ctx;
		v->event = event;
		v->catch4 = v->catch6 = -1;
		if (copy_conf(v, conf) == 0 && (what = "peers") != NULL &&
		    check_peers(v) == 0 && (what = "sockets") != NULL &&
		    open_sockets(v) == 0 && (what = "rtnetlink") != NULL &&
		    (v->rest = loop_timer_new(event, on_rest, v)) != NULL &&
		    vrs_facts_open(v) == 0)
			return v;
	}
	saved = errno;
	snprintf(err, err_size, "adverts: %s: %s", what, strerror(saved));
	vrs_free(v);
	errno = saved;
	return NULL;
}

void
vrs_free(struct vrs *v)
{
	uint16_t i;

	if (v == NULL)
		return;
	for (i = 0; i < v->n_ifs; i++) {
		ear_close(&v->ifs[i].ear4);
		ear_close(&v->ifs[i].ear6);
		if (v->ifs[i].out >= 0)
			close(v->ifs[i].out);
	}
	vrs_facts_close(v);
	loop_timer_free(v->rest);
	if (v->catch4 >= 0)
		close(v->catch4);
	if (v->catch6 >= 0)
		close(v->catch6);
	free(v->peers);
	free(v->own);
	free(v->bytes);
	free(v->big);
	free(v);
}

const struct vrs_iface *
vrs_iface(const struct vrs *v, uint16_t id)
{
	ASSERT(id < v->n_ifs);
	return &v->ifs[id].facts;
}

void
vrs_stats(const struct vrs *v, struct vrs_stats *s)
{
	*s = v->stats;
}
