/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of one association: handshake, records, end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/sctp.h>

#include "loop.h"
#include "witness_int.h"

enum {
	/* Bound into the keys; 0 to 2 are kinds between nodes (sctp.h). */
	KIND = 3,
	STREAM_DATA = 1, /* 0 is for the handshake */
	TURN_MESSAGES = 16, /* bounded work for one wake-up */
	SHUTDOWN_MS = 1000,
	BROKEN_MS = 200,
	RX_MAX = SEAL_UNPROVEN_MAX,
};
#define REKEY_RECORDS (UINT64_C(1) << 28)

struct wcn {
	int fd; /* owned */
	sd_event_source *source; /* owned */
	struct loop_timer *timer; /* owned; deadline, and telling the end */
	struct seal *seal; /* owned */
	struct seal_tls *tls; /* owned; until up */
	struct seal_session session;
	const struct wcn_cb *cb; /* borrowed */
	void *ctx; /* borrowed */
	bool connecting, up, closing, ended;
	bool broken; /* the kernel takes nothing more */
	enum wcn_end end;
	const char *why; /* static, or strerror's */
	size_t rx_len;
	uint8_t rx[RX_MAX + 1]; /* one more, to see what is too long */
};

/* No more of it; told from the loop. */
static void
end(struct wcn *c, enum wcn_end how, const char *why)
{
	if (c->ended)
		return;
	c->ended = true;
	c->end = how;
	c->why = why;
	c->source = sd_event_source_disable_unref(c->source);
	loop_timer_at(c->timer, (monotime_t){0});
}

static void
transmit(struct wcn *c, uint8_t *bytes, size_t len, uint16_t stream)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct sctp_sndinfo))];
	} control = {0};
	struct iovec iov = {bytes, len};
	struct msghdr m = {
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control),
	};
	struct sctp_sndinfo info = {.snd_sid = stream};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = IPPROTO_SCTP;
	h->cmsg_type = SCTP_SNDINFO;
	h->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(h), &info, sizeof(info));
	if (sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == -1) {
		/* Far more fits than a healthy one ever leaves unread. */
		if (errno == EAGAIN) {
			end(c, WCN_LOST, "it takes nothing");
			return;
		}
		/* The other one has hung up; its last words are still there. */
		c->broken = true;
		c->why = strerror(errno);
		loop_timer_at(c->timer, mt_add_ms(loop_now(), BROKEN_MS));
	}
}

/* What the handshake and the change of keys have to say. */
static void
flush(struct wcn *c)
{
	uint8_t buf[SEAL_UNPROVEN_MAX];
	size_t len;

	while (!c->ended && !c->broken) {
		len = 0;
		if (c->tls != NULL)
			len = seal_tls_output(c->tls, buf, sizeof(buf));
		if (len == 0)
			len = seal_control(c->seal, buf);
		if (len == 0)
			return;
		transmit(c, buf, len, 0);
	}
}

static void
got_tls(struct wcn *c, const uint8_t *bytes, size_t len)
{
	const char *why;
	int rc;

	if (c->tls == NULL) {
		end(c, WCN_BAD, "a handshake where none belongs");
		return;
	}
	rc = seal_tls_input(c->tls, bytes, len, &c->session, &why);
	if (rc == -1) {
		end(c, WCN_BAD, why);
		return;
	}
	/* Our greeting goes out before the token. */
	flush(c);
	if (rc == 1)
		seal_use(c->seal, &c->session);
	flush(c);
}

static void
proven(struct wcn *c)
{
	ASSERT(!c->up);
	c->up = true;
	seal_tls_free(c->tls);
	c->tls = NULL;
	if (!c->broken)
		loop_timer_at(c->timer, MT_NEVER);
	c->cb->up(c->ctx, c->session.peer_incarnation);
}

/* One whole message. */
static void
got(struct wcn *c, uint16_t stream, bool unordered, uint8_t *bytes, size_t len)
{
	enum seal_verdict verdict;
	struct seal_in in;

	verdict = seal_open(c->seal, stream, unordered, bytes, len, &in);
	if (verdict == SEAL_BAD) {
		end(c, WCN_BAD, in.why);
		return;
	}
	flush(c);
	if (!c->up && !c->ended && seal_ready(c->seal))
		proven(c);
	if (c->ended)
		return;
	switch (verdict) {
	case SEAL_GOT_TLS:
		got_tls(c, in.data, in.len);
		break;
	case SEAL_GOT_DATA:
		if (c->up && !c->closing)
			c->cb->msg(c->ctx, in.data, in.len);
		break;
	case SEAL_GOT_CREDIT:
		end(c, WCN_BAD, "credit where none belongs");
		break;
	case SEAL_DROP:
	case SEAL_HANDLED:
	case SEAL_BAD:
		break;
	}
}

/* Reads once; false if there is nothing more to read. */
static bool
receive(struct wcn *c)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[256];
	} control;
	struct iovec iov = {c->rx + c->rx_len, sizeof(c->rx) - c->rx_len};
	struct msghdr m = {
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control),
	};
	struct sctp_rcvinfo info = {0};
	struct cmsghdr *h;
	size_t len;
	ssize_t n;

	n = recvmsg(c->fd, &m, MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n == -1) {
		end(c, errno == ETIMEDOUT ? WCN_LOST : WCN_CLOSED,
		    errno == ECONNRESET ? "aborted" : strerror(errno));
		return false;
	}
	if (n == 0) {
		end(c, WCN_CLOSED, "shut down");
		return false;
	}
	if ((m.msg_flags & MSG_NOTIFICATION) != 0)
		return true;
	for (h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h))
		if (h->cmsg_level == IPPROTO_SCTP &&
		    h->cmsg_type == SCTP_RCVINFO)
			memcpy(&info, CMSG_DATA(h), sizeof(info));
	c->rx_len += (size_t)n;
	if (c->rx_len > RX_MAX) {
		end(c, WCN_BAD, "too long a message");
		return false;
	}
	/* The kernel may give it in parts. */
	if ((m.msg_flags & MSG_EOR) == 0)
		return true;
	len = c->rx_len;
	c->rx_len = 0;
	got(c, info.rcv_sid, (info.rcv_flags & SCTP_UNORDERED) != 0, c->rx,
	    len);
	return true;
}

/* The attempt to connect is over; false if it failed. */
static bool
connected(struct wcn *c)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0) {
		end(c, WCN_UNREACHED, strerror(error));
		return false;
	}
	c->connecting = false;
	(void)sd_event_source_set_io_events(c->source, EPOLLIN);
	got_tls(c, NULL, 0);
	return true;
}

static int
on_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct wcn *c = arg;

	(void)source;
	(void)fd;
	if (c->connecting) {
		if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0 ||
		    !connected(c))
			return 0;
	}
	for (int i = 0; i < TURN_MESSAGES && !c->ended && receive(c); i++)
		continue;
	return 0;
}

static void
on_timer(void *arg, monotime_t now)
{
	struct wcn *c = arg;

	(void)now;
	if (c->ended) {
		c->cb->down(c->ctx, c->end, c->why);
		return;
	}
	if (c->connecting)
		end(c, WCN_UNREACHED, "no answer");
	else if (c->broken)
		end(c, WCN_CLOSED, c->why);
	else if (c->closing)
		end(c, WCN_CLOSED, "shut down here");
	else
		end(c, WCN_LATE, "it did not prove itself in time");
}

static bool
prepare(struct wcn *c, sd_event *event, bool client, const struct seal_id *id,
    const struct seal_who *who)
{
	struct seal_conf conf = {
	    .kind = KIND,
	    .client = client,
	    .rekey_records = REKEY_RECORDS,
	};

	c->seal = seal_new(&conf);
	c->tls = seal_tls_new(id, who);
	if (c->seal == NULL || c->tls == NULL)
		return false;
	c->connecting = client;
	return sd_event_add_io(event, &c->source, c->fd,
		   client ? EPOLLOUT : EPOLLIN, on_io, c) >= 0;
}

struct wcn *
wcn_new(sd_event *event, int fd, bool client, const struct seal_id *id,
    const struct seal_who *who, uint32_t auth_ms, const struct wcn_cb *cb,
    void *ctx)
{
	struct wcn *c = calloc(1, sizeof(*c));

	ASSERT(client == (who->find == NULL));
	ASSERT(client == (who->self < who->peer));
	if (c == NULL) {
		close(fd);
		return NULL;
	}
	c->fd = fd;
	c->cb = cb;
	c->ctx = ctx;
	c->timer = loop_timer_new(event, on_timer, c);
	if (!prepare(c, event, client, id, who)) {
		wcn_free(c);
		return NULL;
	}
	loop_timer_at(c->timer, mt_add_ms(loop_now(), auth_ms));
	if (!client)
		got_tls(c, NULL, 0);
	return c;
}

void
wcn_free(struct wcn *c)
{
	if (c == NULL)
		return;
	sd_event_source_disable_unref(c->source);
	loop_timer_free(c->timer);
	seal_free(c->seal);
	seal_tls_free(c->tls);
	close(c->fd);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

int
wcn_send(struct wcn *c, const void *data, size_t len)
{
	uint8_t buf[WCN_MAX + SEAL_OVERHEAD];
	union {
		const void *in;
		void *out;
	} base = {.in = data};
	struct iovec iov = {base.out, len};

	ASSERT(len <= WCN_MAX);
	if (!c->up || c->closing || c->broken || c->ended ||
	    !seal_ready(c->seal))
		return -1;
	len = seal_data(c->seal, STREAM_DATA, &iov, 1, buf, sizeof(buf));
	if (len == 0)
		end(c, WCN_LOST, "the keys are used up");
	else
		transmit(c, buf, len, STREAM_DATA);
	flush(c);
	return 0;
}

void
wcn_shutdown(struct wcn *c)
{
	if (c->ended || c->closing)
		return;
	c->closing = true;
	if (shutdown(c->fd, SHUT_WR) == -1)
		end(c, WCN_CLOSED, "shut down here");
	else
		loop_timer_at(c->timer, mt_add_ms(loop_now(), SHUTDOWN_MS));
}
