/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One raw socket per family.  A request carries a random number of this
 * process, so that nobody else's echo counts, and the address's index.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/icmp.h>

#include "loop.h"
#include "ping.h"

enum { READ_ROUNDS = 64 };

/* Both families begin like this (RFC 792, RFC 4443). */
struct echo {
	uint8_t type, code;
	uint16_t sum;
	uint16_t id, seq;
	uint8_t cookie[8];
	uint8_t index;
	uint8_t pad[3];
};

struct target {
	struct sockaddr_storage addr;
	socklen_t addr_len;
	monotime_t heard; /* us 0 = never */
};

struct ear {
	int fd; /* owned, -1 = none */
	sd_event_source *source; /* owned */
};

struct ping {
	ping_changed changed;
	void *ctx; /* borrowed */
	struct loop_timer *timer; /* owned */
	struct ear v4, v6;
	struct target targets[HAD_PINGS_MAX];
	uint8_t n;
	uint32_t period_ms, dead_ms;
	uint8_t cookie[8];
	uint16_t seq;
	monotime_t start;
	bool said; /* changed() has been called */
	uint32_t answered;
};

static uint16_t
checksum(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void
evaluate(struct ping *p, monotime_t now)
{
	uint32_t answered = 0, all = (1u << p->n) - 1;

	for (unsigned i = 0; i < p->n; i++)
		if (p->targets[i].heard.us != 0 &&
		    mt_before(now,
			mt_add_ms(p->targets[i].heard, (int64_t)p->dead_ms)))
			answered |= 1u << i;
	if (!p->said && answered != all &&
	    mt_before(now, mt_add_ms(p->start, (int64_t)p->dead_ms)))
		return;
	if (p->said && answered == p->answered)
		return;
	p->said = true;
	p->answered = answered;
	p->changed(p->ctx, answered);
}

/* What cannot be sent is not answered, and that is what is counted. */
static void
ask(struct ping *p, unsigned i)
{
	const struct target *t = &p->targets[i];
	bool v6 = t->addr.ss_family == AF_INET6;
	struct echo e = {.type = v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO,
	    .seq = htons(p->seq),
	    .index = (uint8_t)i};

	memcpy(e.cookie, p->cookie, sizeof(e.cookie));
	memcpy(&e.id, p->cookie, sizeof(e.id));
	/* The kernel does it for ICMPv6. */
	if (!v6)
		e.sum = checksum(&e, sizeof(e));
	(void)sendto(v6 ? p->v6.fd : p->v4.fd, &e, sizeof(e), MSG_DONTWAIT,
	    (const struct sockaddr *)&t->addr, t->addr_len);
}

static void
on_timer(void *arg, monotime_t now)
{
	struct ping *p = arg;

	evaluate(p, now);
	p->seq++;
	for (unsigned i = 0; i < p->n; i++)
		ask(p, i);
	loop_timer_at(p->timer, mt_add_ms(now, (int64_t)p->period_ms));
}

static bool
same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return memcmp(&a6->sin6_addr, &b6->sin6_addr, 16) == 0;
}

static void
take(struct ping *p, const uint8_t *bytes, size_t len,
    const struct sockaddr_storage *from)
{
	struct echo e;
	size_t head = 0;

	/* IPv4 comes with its header. */
	if (from->ss_family == AF_INET)
		head = len > 0 ? (size_t)(bytes[0] & 15) * 4 : len;
	if (len < head + sizeof(e))
		return;
	memcpy(&e, bytes + head, sizeof(e));
	if (e.type != (from->ss_family == AF_INET ? ICMP_ECHOREPLY
						  : ICMP6_ECHO_REPLY) ||
	    e.code != 0 || e.index >= p->n ||
	    memcmp(e.cookie, p->cookie, sizeof(e.cookie)) != 0 ||
	    !same_address(from, &p->targets[e.index].addr))
		return;
	/* An answer that was long on its way proves little of now. */
	if ((uint16_t)(p->seq - ntohs(e.seq)) > 1)
		return;
	p->targets[e.index].heard = loop_now();
}

static int
on_reply(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct sockaddr_storage from;
	socklen_t from_len;
	struct ping *p = arg;
	uint8_t bytes[512];
	ssize_t n;

	(void)source, (void)revents;
	for (int i = 0; i < READ_ROUNDS; i++) {
		from_len = sizeof(from);
		n = recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT,
		    (struct sockaddr *)&from, &from_len);
		/* An error that came back is one read, not the end. */
		if (n == -1 && (errno == EAGAIN || errno == EBADF))
			break;
		if (n > 0)
			take(p, bytes, (size_t)n, &from);
	}
	evaluate(p, loop_now());
	return 0;
}

static int
ear_open(struct ping *p, struct ear *ear, int family, sd_event *event)
{
	struct icmp_filter f4 = {~(1u << ICMP_ECHOREPLY)};
	struct icmp6_filter f6;
	int r;

	ear->fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    family == AF_INET ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6);
	if (ear->fd == -1)
		return -1;
	ICMP6_FILTER_SETBLOCKALL(&f6);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &f6);
	r = family == AF_INET
		? setsockopt(ear->fd, SOL_RAW, ICMP_FILTER, &f4, sizeof(f4))
		: setsockopt(
		      ear->fd, IPPROTO_ICMPV6, ICMP6_FILTER, &f6, sizeof(f6));
	if (r == -1)
		return -1;
	r = sd_event_add_io(event, &ear->source, ear->fd, EPOLLIN, on_reply, p);
	if (r < 0)
		errno = -r;
	return r < 0 ? -1 : 0;
}

static void
ear_close(struct ear *ear)
{
	sd_event_source_disable_unref(ear->source);
	if (ear->fd != -1)
		close(ear->fd);
}

static int
target_set(struct target *t, const char *text)
{
	struct addrinfo hints = {
	    .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_RAW};
	struct addrinfo *ai;

	if (getaddrinfo(text, NULL, &hints, &ai) != 0)
		return -1;
	memcpy(&t->addr, ai->ai_addr, ai->ai_addrlen);
	t->addr_len = ai->ai_addrlen;
	freeaddrinfo(ai);
	return 0;
}

static int
set_up(struct ping *p, sd_event *event, const struct ping_conf *conf, char *err,
    size_t size)
{
	for (unsigned i = 0; i < p->n; i++) {
		struct target *t = &p->targets[i];
		struct ear *ear;

		if (target_set(t, conf->addrs[i]) == -1) {
			snprintf(err, size, "ping %s: not a numeric address",
			    conf->addrs[i]);
			errno = EINVAL;
			return -1;
		}
		ear = t->addr.ss_family == AF_INET ? &p->v4 : &p->v6;
		if (ear->fd == -1 &&
		    ear_open(p, ear, t->addr.ss_family, event) == -1) {
			snprintf(err, size, "ping %s: %s", conf->addrs[i],
			    strerror(errno));
			return -1;
		}
	}
	return 0;
}

struct ping *
ping_new(sd_event *event, const struct ping_conf *conf, ping_changed changed,
    void *ctx, char *err, size_t err_size)
{
	struct ping *p = calloc(1, sizeof(*p));

	ASSERT(conf->n <= HAD_PINGS_MAX && conf->period_ms > 0);
	ASSERT(conf->dead_ms >= conf->period_ms);
	if (p == NULL) {
		snprintf(err, err_size, "ping: %s", strerror(errno));
		return NULL;
	}
	p->changed = changed;
	p->ctx = ctx;
	p->n = conf->n;
	p->period_ms = conf->period_ms;
	p->dead_ms = conf->dead_ms;
	p->v4.fd = p->v6.fd = -1;
	p->start = loop_now();
	p->timer = loop_timer_new(event, on_timer, p);
	if (getrandom(p->cookie, sizeof(p->cookie), 0) != sizeof(p->cookie)) {
		snprintf(err, err_size, "ping: %s", strerror(errno));
	} else if (set_up(p, event, conf, err, err_size) == 0) {
		loop_timer_at(p->timer, p->start);
		return p;
	}
	ping_free(p);
	return NULL;
}

void
ping_free(struct ping *p)
{
	if (p == NULL)
		return;
	loop_timer_free(p->timer);
	ear_close(&p->v4);
	ear_close(&p->v6);
	free(p);
}

uint32_t
ping_answered(const struct ping *p)
{
	return p->answered;
}
