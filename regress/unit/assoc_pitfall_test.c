/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is odd about SCTP sockets, one oddity per test; regress/lab/PITFALLS
 * lists them.  The system calls are ours here, the keys are real.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/ip.h>

#include "assoc_int.h"
#include "seal_ends.h"

enum {
	CTL_FD = 1000,
	HB_FD,
	NEW_FD,
	ASSOC = 7,
	PORT = 7770,
	ITEMS = 8,
	LONG = 3000,
};

/* What the kernel gives with one call of recvmsg. */
struct item {
	uint8_t bytes[LONG + SEAL_OVERHEAD];
	size_t len;
	int flags;
	uint16_t stream;
	bool unordered;
	const char *from;
};

static struct {
	struct tp *tp;
	struct pair *pairs[2]; /* ctl, hb: both ends' keys */
	sd_event *event;
	struct item items[ITEMS];
	unsigned n_items, at;
	unsigned sent, flagged; /* data; EOF and ABORT */
	int full; /* what it answers to data instead */
	uint16_t flags;
	unsigned closed, sockets;
	unsigned reuse, freebind, bound, n_addrs; /* in this order */
	struct sockaddr_in addrs[4];
	/* What the owner was told. */
	uint8_t got[LONG];
	size_t got_len;
	unsigned n_got, lost, refused, notes;
	enum tp_reason reason;
	char note[200];
	int64_t now_us;
} w;

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	ts->tv_sec = w.now_us / 1000000 + 1000;
	ts->tv_nsec = w.now_us % 1000000 * 1000;
	return 0;
}

ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct sctp_sndinfo info;

	(void)fd;
	assert_true((flags & MSG_NOSIGNAL) != 0);
	assert_true((flags & MSG_DONTWAIT) != 0);
	memcpy(&info, CMSG_DATA(CMSG_FIRSTHDR(m)), sizeof(info));
	if (info.snd_flags & (SCTP_EOF | SCTP_ABORT)) {
		w.flagged++;
		w.flags = info.snd_flags;
		return 0;
	}
	if (w.full != 0) {
		errno = w.full;
		return -1;
	}
	w.sent++;
	return (ssize_t)m->msg_iov[0].iov_len;
}

ssize_t
recvmsg(int fd, struct msghdr *m, int flags)
{
	struct sctp_rcvinfo info = {.rcv_assoc_id = ASSOC};
	struct sockaddr_in from = {.sin_family = AF_INET};
	const struct item *i = &w.items[w.at];
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	(void)fd;
	assert_true((flags & MSG_DONTWAIT) != 0);
	if (w.at == w.n_items) {
		errno = EAGAIN;
		return -1;
	}
	w.at++;
	assert_true(i->len <= m->msg_iov[0].iov_len);
	memcpy(m->msg_iov[0].iov_base, i->bytes, i->len);
	info.rcv_sid = i->stream;
	info.rcv_flags = i->unordered ? SCTP_UNORDERED : 0;
	c->cmsg_level = IPPROTO_SCTP;
	c->cmsg_type = SCTP_RCVINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	m->msg_controllen = CMSG_SPACE(sizeof(info));
	if (i->from != NULL) {
		inet_pton(AF_INET, i->from, &from.sin_addr);
		memcpy(m->msg_name, &from, sizeof(from));
	}
	m->msg_flags = i->flags;
	return (ssize_t)i->len;
}

int
socket(int domain, int type, int protocol)
{
	(void)domain;
	assert_true((type & SOCK_CLOEXEC) != 0);
	assert_int_equal(protocol, IPPROTO_SCTP);
	w.sockets++;
	if (w.sockets == 1 && w.closed == 0)
		return NEW_FD;
	errno = EMFILE;
	return -1;
}

int
close(int fd)
{
	if (fd == CTL_FD || fd == HB_FD)
		w.closed++;
	return fd < CTL_FD ? (int)syscall(SYS_close, fd) : 0;
}

int
listen(int fd, int n)
{
	(void)n;
	assert_int_equal(fd, NEW_FD);
	return 0;
}

int
getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	(void)fd;
	(void)level;
	(void)name;
	(void)value;
	(void)len;
	errno = EINVAL;
	return -1;
}

/* libsctp binds by one of these. */
int
setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd;
	if (level == SOL_SOCKET && name == SO_REUSEADDR)
		w.reuse = w.bound == 0;
	if (level == SOL_IP && name == IP_FREEBIND)
		w.freebind = w.bound == 0;
	if (level == SOL_SCTP && name == SCTP_SOCKOPT_BINDX_ADD) {
		w.bound++;
		w.n_addrs = (unsigned)(len / sizeof(w.addrs[0]));
		assert_in_range(w.n_addrs, 1, NITEMS(w.addrs));
		memcpy(w.addrs, value, len);
	}
	return 0;
}

static void
got(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link, uint16_t stream,
    const uint8_t *data, size_t len)
{
	(void)ctx;
	(void)peer;
	(void)kind;
	(void)link;
	(void)stream;
	assert_true(len <= sizeof(w.got));
	memcpy(w.got, data, len);
	w.got_len = len;
	w.n_got++;
}

static void
lost(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link,
    enum tp_reason reason)
{
	(void)ctx;
	(void)peer;
	(void)kind;
	(void)link;
	w.lost++;
	w.reason = reason;
}

static void
refused(void *ctx, uint8_t peer, uint8_t link)
{
	(void)ctx;
	assert_int_equal(peer, 2);
	assert_int_equal(link, 0);
	w.refused++;
}

static void
note(void *ctx, enum had_level level, const char *object, const char *text)
{
	(void)ctx;
	(void)level;
	(void)object;
	w.notes++;
	snprintf(w.note, sizeof(w.note), "%s", text);
}

/* An association that is up on endpoint i. */
static void
up(struct tp *tp, unsigned i)
{
	struct tp_slot *slot = &tp->peers[0].slots[i];
	struct tp_assoc *a = &slot->claims[0];

	w.pairs[i] = paired(i == 1, 1 << 20);
	tp->eps[i] = (struct tp_ep){
	    .tp = tp,
	    .kind = i == 0 ? TP_CTL : TP_HB,
	    .fd = i == 0 ? CTL_FD : HB_FD,
	    .port = (uint16_t)(PORT + 2 * i),
	};
	slot->peer = &tp->peers[0];
	slot->ep = &tp->eps[i];
	slot->backoff_ms = TP_BACKOFF_MS;
	slot->out_size = i == 0 ? HAD_MSG_MAX : TP_HB_MAX + SEAL_OVERHEAD;
	slot->out = malloc(slot->out_size);
	assert_non_null(slot->out);
	assert_int_equal(msgq_init(&slot->urgent, 2 * HAD_MSG_MAX), 0);
	assert_int_equal(msgq_init(&slot->normal, 2 * HAD_MSG_MAX), 0);
	for (unsigned k = 0; k < TP_CLAIMS; k++)
		slot->claims[k].slot = slot;
	*a = (struct tp_assoc){
	    .state = TP_PROVEN,
	    .slot = slot,
	    .id = ASSOC,
	    .told = true,
	    .seal = w.pairs[i]->end[ALPHA].seal,
	    .key_epoch = seal_epoch(w.pairs[i]->end[ALPHA].seal),
	};
	w.pairs[i]->end[ALPHA].seal = NULL; /* the assoc has it now */
	slot->up = a;
}

static int
begin(void **state)
{
	static const struct tp_cb cb = {
	    .msg = got, .lost = lost, .refused = refused, .note = note};
	static const char *const own[] = {"10.77.0.1", "192.0.2.11"};
	static const char *const theirs[] = {"10.77.0.2", "192.0.2.12"};
	struct tp *tp = calloc(1, sizeof(*tp));
	struct tp_peer_conf *peer;

	(void)state;
	memset(&w, 0, sizeof(w));
	assert_non_null(tp);
	w.tp = tp;
	assert_true(sd_event_new(&w.event) >= 0);
	tp->event = w.event;
	tp->conf.dead_ms = 500;
	tp->conf.heartbeat_ms = 100;
	tp->conf.n_peers = 1;
	tp->conf.n_links = 2;
	tp->n_eps = 2;
	tp->warned = true;
	tp->cb = &cb;
	tp->timer = loop_timer_new(w.event, tp_tick, tp);
	tp->rx = malloc(TP_RX_MAX);
	tp->peers = calloc(1, sizeof(*tp->peers));
	assert_true(tp->rx != NULL && tp->peers != NULL);
	tp->peers[0].tp = tp;
	peer = &tp->peers[0].conf;
	peer->id = 2;
	peer->n_links = 2;
	for (unsigned i = 0; i < 2; i++) {
		tp->conf.links[i].index = peer->links[i].index = (uint8_t)i;
		strcpy(tp->conf.links[i].addr, own[i]);
		strcpy(peer->links[i].addr, theirs[i]);
		assert_int_equal(
		    tp_addr_parse(&tp->addrs[i], &tp->conf.links[i]), 0);
		assert_int_equal(
		    tp_addr_parse(&tp->peers[0].addrs[i], &peer->links[i]), 0);
	}
	up(tp, 0);
	up(tp, 1);
	assert_int_equal(tp_pump_new(tp), 0);
	return 0;
}

static int
end(void **state)
{
	struct tp_slot *slot;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		slot = &w.tp->peers[0].slots[i];
		for (unsigned k = 0; k < TP_CLAIMS; k++)
			tp_forget(&slot->claims[k]);
		msgq_fini(&slot->urgent);
		msgq_fini(&slot->normal);
		free(slot->out);
		free_pair(w.pairs[i]);
	}
	loop_timer_free(w.tp->timer);
	sd_event_source_disable_unref(w.tp->pump);
	free(w.tp->peers);
	free(w.tp->rx);
	free(w.tp);
	sd_event_unref(w.event);
	return 0;
}

/* The kernel will give these bytes. */
static void
put(const void *bytes, size_t len, int flags, uint16_t stream, const char *from)
{
	struct item *i = &w.items[w.n_items++];

	assert_true(w.n_items <= ITEMS && len <= sizeof(i->bytes));
	memcpy(i->bytes, bytes, len);
	i->len = len;
	i->flags = flags;
	i->stream = stream;
	i->from = from;
}

static void
arrive(unsigned ep)
{
	struct tp_ep *e = &w.tp->eps[ep];

	assert_int_equal(tp_io(NULL, e->fd, EPOLLIN, e), 0);
}

/* What the peer seals for endpoint ep. */
static size_t
sealed(unsigned ep, uint8_t *out, size_t size, const void *data, size_t len)
{
	union {
		const void *in;
		void *out;
	} base = {.in = data};
	struct iovec iov = {base.out, len};
	size_t n =
	    seal_data(w.pairs[ep]->end[BRAVO].seal, 1, &iov, 1, out, size);

	assert_true(n > 0);
	return n;
}

static void
change(struct sctp_assoc_change *c, uint16_t what, uint16_t error)
{
	memset(c, 0, sizeof(*c));
	c->sac_type = SCTP_ASSOC_CHANGE;
	c->sac_length = sizeof(*c);
	c->sac_state = what;
	c->sac_error = error;
	c->sac_assoc_id = ASSOC;
}

static void
a_message_in_parts_is_one(void **state)
{
	uint8_t data[LONG], bytes[LONG + SEAL_OVERHEAD];
	size_t n;

	(void)state;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	n = sealed(0, bytes, sizeof(bytes), data, sizeof(data));
	put(bytes, 1000, 0, 1, NULL);
	put(bytes + 1000, 1500, 0, 1, NULL);
	arrive(0);
	assert_int_equal(w.n_got, 0);
	put(bytes + 2500, n - 2500, MSG_EOR, 1, NULL);
	arrive(0);
	assert_int_equal(w.n_got, 1);
	assert_int_equal(w.got_len, sizeof(data));
	assert_memory_equal(w.got, data, sizeof(data));
	assert_int_equal(w.tp->peers[0].slots[0].stats.rx_parts, 1);
	assert_int_equal(w.lost, 0);
}

static void
a_notification_in_parts_is_one(void **state)
{
	uint8_t bytes[920] = {0}; /* the ABORT chunk follows */
	struct sctp_assoc_change c;

	(void)state;
	change(&c, SCTP_COMM_LOST, 0);
	c.sac_length = sizeof(bytes);
	memcpy(bytes, &c, sizeof(c));
	put(bytes, 10, MSG_NOTIFICATION, 0, NULL);
	arrive(0);
	assert_int_equal(w.lost, 0);
	/* Longer than anybody wants to know: its end does not matter. */
	put(bytes + 10, 600, MSG_NOTIFICATION, 0, NULL);
	put(bytes + 610, sizeof(bytes) - 610, MSG_NOTIFICATION | MSG_EOR, 0,
	    NULL);
	arrive(0);
	assert_int_equal(w.lost, 1);
	assert_int_equal(w.reason, TP_ABORTED);
	/* The next one begins anew. */
	change(&c, SCTP_SHUTDOWN_COMP, 0);
	put(&c, sizeof(c), MSG_NOTIFICATION | MSG_EOR, 0, NULL);
	arrive(1);
	assert_int_equal(w.lost, 2);
	assert_int_equal(w.reason, TP_SHUTDOWN);
}

static void
a_heartbeat_from_another_link_is_dropped(void **state)
{
	uint8_t bytes[100];
	size_t n = sealed(1, bytes, sizeof(bytes), "one", 3);

	(void)state;
	put(bytes, n, MSG_EOR, 1, "192.0.2.12");
	w.items[0].unordered = true;
	arrive(1);
	assert_int_equal(w.n_got, 0);
	assert_int_equal(w.tp->peers[0].slots[1].stats.rx_bad, 1);
	assert_int_equal(w.lost, 0);
	assert_string_equal(w.note,
	    "a heartbeat from node 2 on link 0 was dropped: it came from "
	    "another link");
	n = sealed(1, bytes, sizeof(bytes), "two", 3);
	put(bytes, n, MSG_EOR, 1, "10.77.0.2");
	w.items[1].unordered = true;
	arrive(1);
	assert_int_equal(w.n_got, 1);
	assert_memory_equal(w.got, "two", 3);
}

/* Retransmissions of ctl take the other path: that is what it is for. */
static void
a_message_may_come_by_any_link(void **state)
{
	uint8_t bytes[100];
	size_t n = sealed(0, bytes, sizeof(bytes), "one", 3);

	(void)state;
	put(bytes, n, MSG_EOR, 1, "192.0.2.12");
	n = sealed(0, bytes, sizeof(bytes), "two", 3);
	put(bytes, n, MSG_EOR, 1, "10.77.0.2");
	arrive(0);
	assert_int_equal(w.n_got, 2);
}

/* It makes a link look dead: who asks why is told, but not for each. */
static void
a_heartbeat_that_cannot_be_sent_is_told_of(void **state)
{
	struct tp_slot *hb = &w.tp->peers[0].slots[1];
	uint8_t bytes[100];
	size_t n = sealed(1, bytes, sizeof(bytes), "one", 3);

	(void)state;
	w.full = ENOBUFS;
	assert_int_equal(tp_send(w.tp, 2, TP_HB, 0, 0, "a", 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(hb->stats.tx_dropped, 1);
	assert_string_equal(w.note,
	    "a heartbeat to node 2 on link 0 was dropped: No buffer space "
	    "available");
	assert_int_equal(tp_send(w.tp, 2, TP_HB, 0, 0, "a", 1), -1);
	assert_int_equal(hb->stats.tx_dropped, 2);
	assert_int_equal(w.notes, 1);
	w.full = 0;
	assert_int_equal(tp_send(w.tp, 2, TP_HB, 0, 0, "a", 1), 0);
	/* One that does not open, ten seconds later. */
	w.now_us += 10 * 1000 * 1000;
	bytes[n - 1] ^= 1;
	put(bytes, n, MSG_EOR, 1, "10.77.0.2");
	w.items[0].unordered = true;
	arrive(1);
	assert_int_equal(hb->stats.rx_bad, 1);
	assert_int_equal(w.notes, 2);
	assert_string_equal(w.note,
	    "a heartbeat from node 2 on link 0 was dropped: record does not "
	    "open");
	assert_int_equal(w.lost, 0);
}

/* sendmsg looks at the flags of each. */
static void
nothing_that_is_sent_asks_for_a_signal(void **state)
{
	(void)state;
	assert_int_equal(tp_send(w.tp, 2, TP_CTL, 0, 0, "a", 1), 0);
	assert_int_equal(tp_send(w.tp, 2, TP_HB, 0, 0, "b", 1), 0);
	assert_int_equal(w.sent, 2);
	assert_int_equal(tp_sock_eof(&w.tp->eps[0], ASSOC), 0);
	assert_int_equal(w.flags, SCTP_EOF);
	tp_sock_abort(&w.tp->eps[0], ASSOC);
	assert_int_equal(w.flags, SCTP_ABORT);
	assert_int_equal(w.flagged, 2);
}

static void
a_socket_that_says_nothing_for_ever_is_replaced(void **state)
{
	(void)state;
	put("", 0, 0, 0, NULL);
	arrive(0);
	assert_int_equal(w.closed, 1);
	assert_true(w.sockets > 0);
	assert_int_equal(w.lost, 1);
	assert_int_equal(w.reason, TP_LOCAL);
	/* There is no other one here, and that is said. */
	assert_non_null(strstr(w.note, "cannot reopen: SCTP socket"));
	assert_int_equal(w.tp->eps[0].fd, -1);
	/* A notification of no bytes is none of it. */
	put("", 0, MSG_NOTIFICATION | MSG_EOR, 0, NULL);
	arrive(1);
	assert_int_equal(w.closed, 1);
}

/* To close with something unread would be an ABORT. */
static void
the_end_is_read_to_its_end_before_the_socket_closes(void **state)
{
	struct sctp_assoc_change done;
	uint8_t bytes[100];
	size_t n = sealed(0, bytes, sizeof(bytes), "last", 4);

	(void)state;
	change(&done, SCTP_SHUTDOWN_COMP, 0);
	tp_drain(w.tp);
	tp_tick(w.tp, loop_now());
	assert_int_equal(w.flagged, 2);
	assert_int_equal(w.flags, SCTP_EOF);
	assert_false(tp_idle(w.tp));
	put(bytes, n, MSG_EOR, 1, NULL);
	arrive(0);
	assert_int_equal(w.at, 1);
	assert_int_equal(w.lost, 0);
	put(&done, sizeof(done), MSG_NOTIFICATION | MSG_EOR, 0, NULL);
	arrive(0);
	assert_false(tp_idle(w.tp));
	put(&done, sizeof(done), MSG_NOTIFICATION | MSG_EOR, 0, NULL);
	arrive(1);
	assert_int_equal(w.lost, 2);
	assert_int_equal(w.reason, TP_LOCAL);
	assert_true(tp_idle(w.tp));
	assert_int_equal(w.closed, 0);
	assert_int_equal(w.flagged, 2);
}

/* An attempt to connect that ends after so long with this cause. */
static void
attempt(unsigned ms, uint16_t cause)
{
	struct tp_slot *slot = &w.tp->peers[0].slots[1];
	struct sctp_assoc_change c;

	change(&c, SCTP_CANT_STR_ASSOC, htons(cause));
	slot->connecting = true;
	slot->connect_id = ASSOC;
	slot->connected_at = loop_now();
	w.now_us += ms * 1000;
	put(&c, sizeof(c), MSG_NOTIFICATION | MSG_EOR, 0, NULL);
	arrive(1);
	assert_false(slot->connecting);
	assert_int_equal(w.at, w.n_items);
}

/* 256 in one order of bytes is 1 in the other: only 0 is like itself. */
static void
only_a_kernel_without_listener_gives_no_cause(void **state)
{
	(void)state;
	attempt(1, 0);
	assert_int_equal(w.refused, 1);
	attempt(1, 11); /* restart with new addresses */
	attempt(1, 12); /* a daemon asked for it */
	attempt(1, 256);
	assert_int_equal(w.refused, 1);
	attempt(TP_REFUSED_MS, 0); /* time ran out */
	assert_int_equal(w.refused, 1);
	attempt(TP_REFUSED_MS - 1, 0);
	assert_int_equal(w.refused, 2);
}

static void
a_socket_is_bound_to_its_addresses_and_may_be_again(void **state)
{
	struct tp_ep ep = {.tp = w.tp, .kind = TP_CTL, .port = PORT};
	char why[200] = "";
	unsigned seen = 0;

	(void)state;
	assert_int_equal(tp_sock_open(&ep, why, sizeof(why)), 0);
	assert_int_equal(ep.fd, NEW_FD);
	assert_int_equal(w.bound, 1);
	assert_true(w.reuse && w.freebind);
	assert_int_equal(w.n_addrs, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(w.addrs[i].sin_family, AF_INET);
		assert_int_equal(ntohs(w.addrs[i].sin_port), PORT);
		for (unsigned j = 0; j < 2; j++)
			seen += w.addrs[i].sin_addr.s_addr ==
				w.tp->addrs[j].v4.sin_addr.s_addr;
	}
	assert_int_equal(seen, 2);
	assert_int_not_equal(
	    w.addrs[0].sin_addr.s_addr, w.addrs[1].sin_addr.s_addr);
}

static void
a_heartbeat_socket_is_bound_to_its_link(void **state)
{
	struct tp_ep ep = {
	    .tp = w.tp, .kind = TP_HB, .link = 1, .port = PORT + 3};
	char why[200] = "";

	(void)state;
	assert_int_equal(tp_sock_open(&ep, why, sizeof(why)), 0);
	assert_int_equal(w.n_addrs, 1);
	assert_int_equal(
	    w.addrs[0].sin_addr.s_addr, w.tp->addrs[1].v4.sin_addr.s_addr);
	assert_int_equal(ntohs(w.addrs[0].sin_port), PORT + 3);
}

static void
after_the_peers_shutdown_nothing_is_sent(void **state)
{
	struct sctp_shutdown_event e = {
	    .sse_type = SCTP_SHUTDOWN_EVENT,
	    .sse_length = sizeof(e),
	    .sse_assoc_id = ASSOC,
	};

	(void)state;
	put(&e, sizeof(e), MSG_NOTIFICATION | MSG_EOR, 0, NULL);
	arrive(0);
	assert_int_equal(w.lost, 1);
	assert_int_equal(w.reason, TP_SHUTDOWN);
	assert_int_equal(tp_send(w.tp, 2, TP_CTL, 0, 0, "a", 1), -1);
	assert_int_equal(errno, ENOTCONN);
	assert_int_equal(w.sent, 0);
	assert_false(tp_is_up(w.tp, 2, TP_CTL, 0));
}

/* The kernel is not asked: it has no SIOCOUTQ and says EMSGSIZE late. */
static void
sizes_and_queues_are_known_without_the_kernel(void **state)
{
	static const uint8_t bytes[TP_PAYLOAD_MAX + 1];
	struct tp_slot *slot = &w.tp->peers[0].slots[0];

	(void)state;
	assert_int_equal(
	    tp_send(w.tp, 2, TP_CTL, 0, 1, bytes, TP_PAYLOAD_MAX + 1), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(
	    tp_send(w.tp, 2, TP_HB, 0, 0, bytes, TP_HB_MAX + 1), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(w.sent, 0);
	assert_int_equal(
	    tp_send(w.tp, 2, TP_CTL, 0, 1, bytes, TP_PAYLOAD_MAX), 0);
	assert_int_equal(tp_send(w.tp, 2, TP_HB, 0, 0, bytes, TP_HB_MAX), 0);
	assert_int_equal(w.sent, 2);
	assert_int_equal(tp_queued(w.tp, 2, TP_CTL), 0);
	slot->out_len = 100; /* the kernel is full */
	assert_int_equal(tp_send(w.tp, 2, TP_CTL, 0, 1, bytes, 1000), 0);
	assert_in_range(tp_queued(w.tp, 2, TP_CTL), 1100, 1200);
	slot->out_len = 0;
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
	    T(a_message_in_parts_is_one),
	    T(a_notification_in_parts_is_one),
	    T(a_heartbeat_from_another_link_is_dropped),
	    T(a_message_may_come_by_any_link),
	    T(a_heartbeat_that_cannot_be_sent_is_told_of),
	    T(nothing_that_is_sent_asks_for_a_signal),
	    T(a_socket_that_says_nothing_for_ever_is_replaced),
	    T(the_end_is_read_to_its_end_before_the_socket_closes),
	    T(only_a_kernel_without_listener_gives_no_cause),
	    T(a_socket_is_bound_to_its_addresses_and_may_be_again),
	    T(a_heartbeat_socket_is_bound_to_its_link),
	    T(after_the_peers_shutdown_nothing_is_sent),
	    T(sizes_and_queues_are_known_without_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
