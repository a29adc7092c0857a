/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client sees of a service address, one probe a millisecond.
 *
 * arp, nd, icmp: each probe is told from the others by something that comes
 * back with its answer (a made-up sender hardware address; one of SLOTS
 * made-up sender addresses; the sequence number), so that a probe answered
 * by two stations is seen as such.  An outage is a run of unanswered probes;
 * its length is the time from the last answered probe before it to the first
 * after it, both as sent.  A probe that was not sent because this program
 * did not run is a stall, not an outage.
 *
 * tcp: holds a connection, with -e writes a byte a millisecond and wants it
 * back; when the connection breaks, makes new ones until one stands.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	RING = 16384, /* probes that may still be answered */
	GRACE_US = 5 * 1000 * 1000, /* an answer later than this is late */
	LINGER_US = 300 * 1000, /* for answers after the last probe */
	SLOTS = 128, /* sender addresses of nd probes */
	MACS_MAX = 16,
	OUTAGES_MAX = 256,
	STALL_US = 10 * 1000,
	CONNECT_US = 200 * 1000,
	RETRY_US = 10 * 1000,
	UNANSWERED = 255,
	NOBODY = 254, /* before the first and after the last answer */
};

enum mode { MODE_ARP, MODE_ND, MODE_ICMP, MODE_TCP };
static const char *const mode_names[] = {"arp", "nd", "icmp", "tcp"};

struct probe {
	int64_t sent_us;
	uint32_t seq;
	uint8_t by; /* index in macs[] of the first answer */
	bool twice;
};

struct outage {
	int64_t start_us, len_us;
	uint32_t lost;
	uint8_t from, to;
};

struct prober {
	/* as asked */
	enum mode mode;
	int family;
	uint8_t addr[16];
	const char *addr_text; /* borrowed from argv */
	const char *ifname; /* borrowed from argv */
	uint16_t port;
	int64_t interval_us, run_us, stale_us;
	bool echo;
	/* sockets */
	int packet, out;
	unsigned ifindex;
	uint8_t mac[6];
	/* probes */
	struct probe ring[RING];
	uint32_t seq, settled; /* next to send, next to judge */
	int64_t start_us, next_us, last_send_us;
	int64_t last_good_us; /* sending time of the last answered probe */
	uint8_t last_by;
	uint32_t lost_run;
	/* what was seen */
	uint8_t macs[MACS_MAX][6];
	uint64_t mac_answers[MACS_MAX];
	int64_t mac_first_us[MACS_MAX]; /* sending time of what it answered */
	unsigned n_macs;
	uint64_t answered, lost, late, repeats, duplicates, send_errors, stalls;
	int64_t first_dup_us, longest_stall_us, longest_us;
	struct outage outages[OUTAGES_MAX];
	unsigned n_outages, outages_total;
	uint64_t resets, closes, refused, timeouts, connects;
};

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "prober: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* --- accounts --- */

static uint8_t
mac_index(struct prober *p, const uint8_t *mac)
{
	unsigned i;

	for (i = 0; i < p->n_macs; i++)
		if (memcmp(p->macs[i], mac, 6) == 0)
			return (uint8_t)i;
	if (p->n_macs == MACS_MAX)
		return MACS_MAX - 1;
	memcpy(p->macs[p->n_macs], mac, 6);
	return (uint8_t)p->n_macs++;
}

static void
outage_add(struct prober *p, int64_t from_us, int64_t to_us, uint32_t lost,
    uint8_t from, uint8_t to)
{
	struct outage *o;
	int64_t len = to_us - from_us;

	p->outages_total++;
	/* Before the first answer there was no service to be lost. */
	if (from != NOBODY && len > p->longest_us)
		p->longest_us = len;
	if (p->n_outages == OUTAGES_MAX)
		return;
	o = &p->outages[p->n_outages++];
	o->start_us = from_us - p->start_us;
	o->len_us = len;
	o->lost = lost;
	o->from = from;
	o->to = to;
}

/* Judges probes in the order of sending, up to those sent at "until". */
static void
settle(struct prober *p, int64_t until_us)
{
	struct probe *q;

	while (p->settled != p->seq) {
		q = &p->ring[p->settled % RING];
		if (q->sent_us > until_us)
			return;
		p->settled++;
		if (q->by == UNANSWERED) {
			p->lost++;
			p->lost_run++;
			continue;
		}
		if (p->lost_run > 0)
			outage_add(p, p->last_good_us, q->sent_us, p->lost_run,
			    p->last_by, q->by);
		p->lost_run = 0;
		p->last_good_us = q->sent_us;
		p->last_by = q->by;
	}
}

static void
answer(struct prober *p, uint32_t seq, const uint8_t *mac)
{
	struct probe *q = &p->ring[seq % RING];
	uint8_t by;

	if (p->seq - seq > RING || seq - p->settled >= p->seq - p->settled ||
	    q->seq != seq) {
		p->late++;
		return;
	}
	by = mac_index(p, mac);
	if (p->mac_answers[by]++ == 0)
		p->mac_first_us[by] = q->sent_us;
	if (q->by == UNANSWERED) {
		q->by = by;
		p->answered++;
	} else if (q->by == by) {
		p->repeats++;
	} else if (!q->twice) {
		q->twice = true;
		if (p->duplicates++ == 0)
			p->first_dup_us = q->sent_us - p->start_us;
	}
}

/* --- packets --- */

static uint16_t
checksum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *b = data;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(b[i] << 8 | b[i + 1]);
	if (len % 2 != 0)
		sum += (uint32_t)(b[len - 1] << 8);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void
put32(uint8_t *b, uint32_t v)
{
	b[0] = (uint8_t)(v >> 24);
	b[1] = (uint8_t)(v >> 16);
	b[2] = (uint8_t)(v >> 8);
	b[3] = (uint8_t)v;
}

static uint32_t
get32(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	       (uint32_t)b[2] << 8 | b[3];
}

static int
send_frame(struct prober *p, const uint8_t *frame, size_t len)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};

	to.sll_ifindex = (int)p->ifindex;
	memcpy(to.sll_addr, frame, 6);
	if (sendto(p->packet, frame, len, MSG_DONTWAIT,
		(const struct sockaddr *)&to, sizeof to) == -1)
		return -1;
	return 0;
}

/*
 * An ARP probe (RFC 5227: sender protocol address 0, so that nobody learns
 * from it) whose sender hardware address is 02:ad and the sequence number.
 */
static int
send_arp(struct prober *p, uint32_t seq)
{
	uint8_t f[42] = {0xff, 0xff, 0xff, 0xff, 0xff,
	    0xff, [12] = 0x08, [13] = 0x06, [15] = 1, [16] = 0x08, [18] = 6,
	    [19] = 4, [21] = 1, [22] = 0x02, [23] = 0xad};

	memcpy(f + 6, p->mac, 6);
	put32(f + 24, seq);
	memcpy(f + 38, p->addr, 4);
	return send_frame(p, f, sizeof f);
}

static void
take_arp(struct prober *p, const uint8_t *f, size_t len)
{
	if (len < 42 || f[20] != 0 || f[21] != 2)
		return;
	if (memcmp(f + 28, p->addr, 4) != 0 || f[32] != 0x02 || f[33] != 0xad)
		return;
	answer(p, get32(f + 34), f + 22);
}

/*
 * A neighbour solicitation from one of SLOTS made-up link-local addresses;
 * the source link-layer option names this interface, so the answer comes
 * here.  A slot is used again after SLOTS probes.
 */
static int
send_nd(struct prober *p, uint32_t seq)
{
	uint8_t f[14 + 40 + 32] = {0x33, 0x33, 0xff};
	uint8_t *ip = f + 14, *nd = f + 54;
	uint32_t sum = 32 + IPPROTO_ICMPV6;
	uint16_t c;

	memcpy(f + 3, p->addr + 13, 3);
	memcpy(f + 6, p->mac, 6);
	f[12] = 0x86;
	f[13] = 0xdd;
	ip[0] = 0x60;
	ip[5] = 32;
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = 255;
	ip[8] = 0xfe;
	ip[9] = 0x80;
	ip[20] = 0xad;
	ip[23] = (uint8_t)(seq % SLOTS);
	ip[24] = 0xff;
	ip[25] = 0x02;
	ip[35] = 1;
	ip[36] = 0xff;
	memcpy(ip + 37, p->addr + 13, 3);
	nd[0] = ND_NEIGHBOR_SOLICIT;
	memcpy(nd + 8, p->addr, 16);
	nd[24] = 1;
	nd[25] = 1;
	memcpy(nd + 26, p->mac, 6);
	c = (uint16_t)~checksum(ip + 8, 32, sum);
	c = checksum(nd, 32, c);
	nd[2] = (uint8_t)(c >> 8);
	nd[3] = (uint8_t)c;
	return send_frame(p, f, sizeof f);
}

static void
take_nd(struct prober *p, const uint8_t *f, size_t len)
{
	const uint8_t *ip = f + 14, *nd = f + 54;
	uint32_t last = p->seq - 1, back;

	if (len < 14 + 40 + 24 || ip[6] != IPPROTO_ICMPV6 ||
	    nd[0] != ND_NEIGHBOR_ADVERT || memcmp(nd + 8, p->addr, 16) != 0)
		return;
	if (ip[24] != 0xfe || ip[36] != 0xad || ip[39] >= SLOTS)
		return;
	/* The latest probe from that slot. */
	back = (last % SLOTS + SLOTS - ip[39]) % SLOTS;
	answer(p, last - back, f + 6);
}

static int
send_icmp(struct prober *p, uint32_t seq)
{
	uint8_t m[16] = {p->family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	uint16_t id = (uint16_t)getpid(), c;

	m[4] = (uint8_t)(id >> 8);
	m[5] = (uint8_t)id;
	m[6] = (uint8_t)(seq >> 8);
	m[7] = (uint8_t)seq;
	put32(m + 8, seq);
	memcpy(&v4.sin_addr, p->addr, 4);
	memcpy(&v6.sin6_addr, p->addr, 16);
	if (p->family == AF_INET) {
		c = checksum(m, sizeof m, 0);
		m[2] = (uint8_t)(c >> 8);
		m[3] = (uint8_t)c;
		return sendto(p->out, m, sizeof m, MSG_DONTWAIT,
			   (struct sockaddr *)&v4, sizeof v4) == -1
			   ? -1
			   : 0;
	}
	return sendto(p->out, m, sizeof m, MSG_DONTWAIT, (struct sockaddr *)&v6,
		   sizeof v6) == -1
		   ? -1
		   : 0;
}

static void
take_icmp(struct prober *p, const uint8_t *f, size_t len)
{
	const uint8_t *ip = f + 14, *m;
	uint16_t id = (uint16_t)getpid();

	if (p->family == AF_INET) {
		if (len < 14 + 20 + 16 || ip[9] != IPPROTO_ICMP ||
		    memcmp(ip + 12, p->addr, 4) != 0)
			return;
		m = ip + (ip[0] & 15) * 4;
		if (m + 16 > f + len || m[0] != ICMP_ECHOREPLY)
			return;
	} else {
		if (len < 14 + 40 + 16 || ip[6] != IPPROTO_ICMPV6 ||
		    memcmp(ip + 8, p->addr, 16) != 0)
			return;
		m = ip + 40;
		if (m[0] != ICMP6_ECHO_REPLY)
			return;
	}
	if (m[4] == (uint8_t)(id >> 8) && m[5] == (uint8_t)id)
		answer(p, get32(m + 8), f + 6);
}

/* --- probing --- */

static void
receive(struct prober *p)
{
	struct sockaddr_ll from;
	socklen_t len;
	uint8_t f[2048];
	ssize_t n;
	int i;

	for (i = 0; i < 64; i++) {
		len = sizeof from;
		n = recvfrom(p->packet, f, sizeof f, MSG_DONTWAIT,
		    (struct sockaddr *)&from, &len);
		if (n == -1)
			break;
		if (from.sll_pkttype == PACKET_OUTGOING)
			continue;
		if (p->mode == MODE_ARP)
			take_arp(p, f, (size_t)n);
		else if (p->mode == MODE_ND)
			take_nd(p, f, (size_t)n);
		else
			take_icmp(p, f, (size_t)n);
	}
	/* What the kernel also hands to the raw socket is not read there. */
	while (p->out != -1 && recv(p->out, f, sizeof f, MSG_DONTWAIT) > 0)
		continue;
}

static void
probe(struct prober *p, int64_t now)
{
	struct probe *q;
	int rc;

	/* Whoever is overwritten must have been judged. */
	settle(p, now - GRACE_US);
	if (p->seq - p->settled >= RING)
		settle(p, p->ring[p->settled % RING].sent_us);
	if (p->seq != 0 && now - p->last_send_us > p->interval_us + STALL_US) {
		p->stalls++;
		if (now - p->last_send_us > p->longest_stall_us)
			p->longest_stall_us = now - p->last_send_us;
	}
	p->last_send_us = now;
	q = &p->ring[p->seq % RING];
	q->sent_us = now;
	q->seq = p->seq;
	q->by = UNANSWERED;
	q->twice = false;
	if (p->mode == MODE_ARP)
		rc = send_arp(p, p->seq);
	else if (p->mode == MODE_ND)
		rc = send_nd(p, p->seq);
	else
		rc = send_icmp(p, p->seq);
	if (rc == -1)
		p->send_errors++;
	p->seq++;
}

static void
wait_until(int fd, short events, int64_t until_us)
{
	struct pollfd pfd = {.fd = fd, .events = events};
	struct timespec ts;
	int64_t left = until_us - now_us();

	if (left < 0)
		left = 0;
	ts.tv_sec = left / 1000000;
	ts.tv_nsec = left % 1000000 * 1000;
	(void)ppoll(&pfd, 1, &ts, NULL);
}

static void
probe_loop(struct prober *p)
{
	int64_t now, end, linger;

	p->next_us = p->start_us;
	p->last_good_us = p->start_us;
	p->last_by = NOBODY;
	end = p->start_us + p->run_us;
	while (!stop && (now = now_us()) < end) {
		if (now >= p->next_us) {
			probe(p, now);
			p->next_us += p->interval_us;
			if (p->next_us < now)
				p->next_us = now + p->interval_us;
		}
		receive(p);
		wait_until(p->packet, POLLIN, p->next_us);
	}
	linger = now_us() + LINGER_US;
	while (p->seq != 0 && now_us() < linger) {
		receive(p);
		if (p->ring[(p->seq - 1) % RING].by != UNANSWERED)
			linger = 0;
		wait_until(p->packet, POLLIN, linger);
	}
	settle(p, INT64_MAX);
	if (p->lost_run > 0)
		outage_add(p, p->last_good_us, now_us(), p->lost_run,
		    p->last_by, NOBODY);
}

/* --- tcp --- */

struct tcp {
	int fd; /* owned; -1 = none */
	bool open;
	int64_t try_us, began_us, next_us;
	int64_t good_us; /* when it last was known to work */
	uint64_t wanted; /* bytes sent and not yet back */
	bool ever;
};

static void
tcp_good(struct prober *p, struct tcp *t, int64_t now, bool broken)
{
	int64_t slack = 5 * p->interval_us;

	if (slack < STALL_US)
		slack = STALL_US;
	if (!t->ever && now - p->start_us > slack)
		outage_add(p, p->start_us, now, 0, NOBODY, NOBODY);
	else if (t->ever && (broken || (p->echo && now - t->good_us > slack)))
		outage_add(p, t->good_us, now, 0, 0, 0);
	t->ever = true;
	t->good_us = now;
}

static void
tcp_down(struct prober *p, struct tcp *t, int64_t now)
{
	/* An idle connection was good until it was seen to break. */
	if (t->open && !p->echo)
		t->good_us = now;
	close(t->fd);
	t->fd = -1;
	t->open = false;
	t->wanted = 0;
	t->try_us = now + RETRY_US;
}

static void
tcp_failed(struct prober *p, struct tcp *t, int err, int64_t now)
{
	if (err == ECONNREFUSED)
		p->refused++;
	else if (err == ECONNRESET || err == EPIPE)
		p->resets++;
	else
		p->timeouts++;
	tcp_down(p, t, now);
}

static void
tcp_connect(struct prober *p, struct tcp *t, int64_t now)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	int one = 1, rc;

	t->fd =
	    socket(p->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd == -1)
		die("socket");
	(void)setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	v4.sin_port = v6.sin6_port = htons(p->port);
	memcpy(&v4.sin_addr, p->addr, 4);
	memcpy(&v6.sin6_addr, p->addr, 16);
	t->began_us = now;
	if (p->family == AF_INET)
		rc = connect(t->fd, (struct sockaddr *)&v4, sizeof v4);
	else
		rc = connect(t->fd, (struct sockaddr *)&v6, sizeof v6);
	if (rc == -1 && errno != EINPROGRESS)
		tcp_failed(p, t, errno, now);
}

static void
tcp_connecting(struct prober *p, struct tcp *t, int64_t now, short revents)
{
	int err = 0;
	socklen_t len = sizeof err;

	if (revents == 0) {
		if (now - t->began_us > CONNECT_US) {
			tcp_down(p, t, now);
			t->try_us = now;
		}
		return;
	}
	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1)
		err = errno;
	if (err != 0) {
		tcp_failed(p, t, err, now);
		return;
	}
	t->open = true;
	t->next_us = now;
	p->connects++;
	tcp_good(p, t, now, true);
}

static void
tcp_opened(struct prober *p, struct tcp *t, int64_t now, short revents)
{
	char buf[4096];
	ssize_t n;

	if (revents != 0) {
		n = recv(t->fd, buf, sizeof buf, MSG_DONTWAIT);
		if (n == 0) {
			p->closes++;
			tcp_down(p, t, now);
			return;
		}
		if (n == -1 && errno != EAGAIN) {
			tcp_failed(p, t, errno, now);
			return;
		}
		if (n > 0 && p->echo) {
			p->answered += (uint64_t)n;
			t->wanted -=
			    (uint64_t)n < t->wanted ? (uint64_t)n : t->wanted;
			tcp_good(p, t, now, false);
		}
	}
	if (!p->echo)
		return;
	if (t->wanted > 0 && now - t->good_us > p->stale_us) {
		p->timeouts++;
		tcp_down(p, t, now);
	} else if (now >= t->next_us) {
		if (send(t->fd, ".", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1) {
			t->wanted++;
			p->seq++;
		} else if (errno != EAGAIN) {
			tcp_failed(p, t, errno, now);
		}
		t->next_us = now + p->interval_us;
	}
}

static void
tcp_loop(struct prober *p)
{
	struct tcp t = {.fd = -1};
	struct pollfd pfd;
	int64_t now, end = p->start_us + p->run_us;
	int ms;

	t.good_us = p->start_us;
	while (!stop && (now = now_us()) < end) {
		if (t.fd == -1 && now >= t.try_us)
			tcp_connect(p, &t, now);
		pfd.fd = t.fd;
		pfd.events = t.open ? POLLIN : POLLOUT;
		pfd.revents = 0;
		ms = p->echo && t.open ? (int)(p->interval_us / 1000) : 10;
		if (poll(&pfd, 1, ms > 0 ? ms : 1) == -1)
			continue;
		now = now_us();
		if (t.fd == -1)
			continue;
		if (t.open)
			tcp_opened(p, &t, now, pfd.revents);
		else
			tcp_connecting(p, &t, now, pfd.revents);
	}
	if (!t.open)
		outage_add(
		    p, t.good_us, now_us(), 0, t.ever ? 0 : NOBODY, NOBODY);
	if (t.fd != -1)
		close(t.fd);
}

/* --- set-up and report --- */

static void
print_mac_text(const uint8_t *m)
{
	printf("\"%02x:%02x:%02x:%02x:%02x:%02x\"", m[0], m[1], m[2], m[3],
	    m[4], m[5]);
}

static void
print_mac(const struct prober *p, const char *key, uint8_t i)
{
	printf("\"%s\":", key);
	if (i >= p->n_macs)
		printf("null");
	else
		print_mac_text(p->macs[i]);
}

static void
print_macs(const struct prober *p, const char *key, const uint64_t *of)
{
	unsigned i;

	printf("\"%s\":{", key);
	for (i = 0; i < p->n_macs; i++) {
		printf("%s", i > 0 ? "," : "");
		print_mac_text(p->macs[i]);
		printf(":%llu", (unsigned long long)of[i]);
	}
	printf("}");
}

static void
report(const struct prober *p)
{
	struct timespec ts;
	const struct outage *o;
	int64_t now = now_us(), ran = now - p->start_us;
	uint64_t first[MACS_MAX];
	unsigned i;

	clock_gettime(CLOCK_REALTIME, &ts);
	/* On the clock of others. */
	for (i = 0; i < p->n_macs; i++)
		first[i] =
		    (uint64_t)(ts.tv_sec * 1000000LL + ts.tv_nsec / 1000 - now +
			       p->mac_first_us[i]);
	printf("{\"mode\":\"%s\",\"address\":\"%s\",\"start_ms\":%lld,"
	       "\"ran_ms\":%.1f,\"probes\":%u,\"answered\":%llu,\"lost\":%llu,"
	       "\"late\":%llu,\"repeats\":%llu,\"send_errors\":%llu,",
	    mode_names[p->mode], p->addr_text,
	    (long long)(ts.tv_sec * 1000LL + ts.tv_nsec / 1000000 - ran / 1000),
	    (double)ran / 1e3, p->seq, (unsigned long long)p->answered,
	    (unsigned long long)p->lost, (unsigned long long)p->late,
	    (unsigned long long)p->repeats, (unsigned long long)p->send_errors);
	print_macs(p, "answers", p->mac_answers);
	printf(",");
	print_macs(p, "first_us", first);
	printf(",\"duplicates\":%llu,\"first_duplicate_ms\":",
	    (unsigned long long)p->duplicates);
	if (p->duplicates > 0)
		printf("%.1f", (double)p->first_dup_us / 1e3);
	else
		printf("null");
	printf(",\"longest_ms\":%.1f,\"outages_total\":%u,\"outages\":[",
	    (double)p->longest_us / 1e3, p->outages_total);
	for (i = 0; i < p->n_outages; i++) {
		o = &p->outages[i];
		printf("%s{\"start_ms\":%.1f,\"len_ms\":%.1f,\"lost\":%u,",
		    i > 0 ? "," : "", (double)o->start_us / 1e3,
		    (double)o->len_us / 1e3, o->lost);
		print_mac(p, "from", o->from);
		printf(",");
		print_mac(p, "to", o->to);
		printf("}");
	}
	printf("],\"stalls\":%llu,\"longest_stall_ms\":%.1f,"
	       "\"connects\":%llu,\"resets\":%llu,\"closes\":%llu,"
	       "\"refused\":%llu,\"timeouts\":%llu}\n",
	    (unsigned long long)p->stalls, (double)p->longest_stall_us / 1e3,
	    (unsigned long long)p->connects, (unsigned long long)p->resets,
	    (unsigned long long)p->closes, (unsigned long long)p->refused,
	    (unsigned long long)p->timeouts);
}

static void
packet_open(struct prober *p)
{
	struct sockaddr_ll ll = {.sll_family = AF_PACKET};
	struct packet_mreq mr = {.mr_type = PACKET_MR_PROMISC};
	struct ifreq ifr = {0};
	int proto, size = 1 << 20;

	if (p->mode == MODE_ARP)
		proto = ETH_P_ARP;
	else if (p->family == AF_INET)
		proto = ETH_P_IP;
	else
		proto = ETH_P_IPV6;
	p->ifindex = if_nametoindex(p->ifname);
	if (p->ifindex == 0)
		die(p->ifname);
	p->packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(proto));
	if (p->packet == -1)
		die("packet socket");
	(void)setsockopt(p->packet, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	ll.sll_protocol = htons(proto);
	ll.sll_ifindex = (int)p->ifindex;
	if (bind(p->packet, (const struct sockaddr *)&ll, sizeof ll) == -1)
		die("bind");
	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", p->ifname);
	if (ioctl(p->packet, SIOCGIFHWADDR, &ifr) == -1)
		die("hardware address");
	memcpy(p->mac, ifr.ifr_hwaddr.sa_data, 6);
	/* Answers to made-up hardware addresses are for this program. */
	mr.mr_ifindex = (int)p->ifindex;
	if (p->mode == MODE_ARP &&
	    setsockopt(p->packet, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr,
		sizeof mr) == -1)
		die("promiscuous mode");
	if (p->mode == MODE_ICMP) {
		p->out = socket(p->family, SOCK_RAW | SOCK_CLOEXEC,
		    p->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
		if (p->out == -1)
			die("raw socket");
	}
}

static _Noreturn void
usage(int status)
{
	fprintf(status == 0 ? stdout : stderr,
	    "usage: prober [-e] [-i interface] [-I microseconds] [-m mode]\n"
	    "              [-p port] [-s ms] [-t seconds] address\n"
	    "\t-m mode\tarp (IPv4, default), nd (IPv6, default), icmp or tcp\n"
	    "\t-i name\tinterface, default lan0 (arp, nd, icmp)\n"
	    "\t-I us\ttime between probes, 500 to 1000000, default 1000\n"
	    "\t-p port\tof the service (tcp)\n"
	    "\t-e\tthe service echoes: write a byte per probe (tcp)\n"
	    "\t-s ms\tgive a silent connection up (tcp -e), default 1000\n"
	    "\t-t s\tend after so many seconds, at most and by default 3600\n"
	    "Ends on SIGTERM or SIGINT, too, and prints a JSON object.\n");
	exit(status);
}

static long
number(const char *text, long min, long max)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || v < min || v > max) {
		fprintf(stderr, "prober: got '%s', expected %ld to %ld\n", text,
		    min, max);
		exit(2);
	}
	return v;
}

static void
options(struct prober *p, int argc, char *argv[])
{
	int c, mode = -1;

	while ((c = getopt(argc, argv, "ehi:I:m:p:s:t:")) != -1) {
		switch (c) {
		case 'e':
			p->echo = true;
			break;
		case 'h':
			usage(0);
		case 'i':
			p->ifname = optarg;
			break;
		case 'I':
			p->interval_us = number(optarg, 500, 1000000);
			break;
		case 'm':
			for (mode = 3; mode >= 0; mode--)
				if (strcmp(optarg, mode_names[mode]) == 0)
					break;
			if (mode == -1)
				usage(2);
			break;
		case 'p':
			p->port = (uint16_t)number(optarg, 1, 65535);
			break;
		case 's':
			p->stale_us = number(optarg, 1, 60000) * 1000;
			break;
		case 't':
			p->run_us = number(optarg, 1, 3600) * 1000000;
			break;
		default:
			usage(2);
		}
	}
	if (argc - optind != 1)
		usage(2);
	p->addr_text = argv[optind];
	p->family = AF_INET;
	if (inet_pton(AF_INET, p->addr_text, p->addr) != 1) {
		p->family = AF_INET6;
		if (inet_pton(AF_INET6, p->addr_text, p->addr) != 1) {
			fprintf(stderr,
			    "prober: got '%s', expected an address\n",
			    p->addr_text);
			exit(2);
		}
	}
	if (mode == -1)
		mode = p->family == AF_INET ? MODE_ARP : MODE_ND;
	p->mode = (enum mode)mode;
	if ((p->mode == MODE_ARP && p->family != AF_INET) ||
	    (p->mode == MODE_ND && p->family != AF_INET6)) {
		fprintf(stderr, "prober: arp is for IPv4, nd for IPv6\n");
		exit(2);
	}
	if ((p->mode == MODE_TCP) != (p->port != 0)) {
		fprintf(stderr, "prober: -p goes with -m tcp\n");
		exit(2);
	}
}

int
main(int argc, char *argv[])
{
	static struct prober p;
	struct sigaction sa = {.sa_handler = on_signal};
	struct sched_param prio = {.sched_priority = 10};

	p.ifname = "lan0";
	p.interval_us = 1000;
	p.stale_us = 1000 * 1000;
	p.run_us = 3600LL * 1000000;
	p.packet = p.out = -1;
	options(&p, argc, argv);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	if (p.mode != MODE_TCP)
		packet_open(&p);
	/* Only a wish: it makes stalls rarer where it is granted. */
	(void)sched_setscheduler(0, SCHED_FIFO, &prio);
	p.start_us = now_us();
	fprintf(stderr, "probing\n");
	if (p.mode == MODE_TCP)
		tcp_loop(&p);
	else
		probe_loop(&p);
	report(&p);
	return 0;
}
