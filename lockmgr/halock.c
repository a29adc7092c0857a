/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libhalock: the connection and the asynchronous interface.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "halock_int.h"

/*
 * Layer 0 wants one; a program that has its own (the daemon, its tools) keeps
 * it.
 */
__attribute__((weak, visibility("hidden"))) _Noreturn void
had_assert_fail(const char *file, int line, const char *expr)
{
	fprintf(stderr, "libhalock: %s:%d: %s\n", file, line, expr);
	abort();
}

const char *
halock_mode_name(enum halock_mode mode)
{
	return lkm_name(mode);
}

int
halock_mode_parse(const char *s)
{
	uint8_t mode;

	if (lkm_parse(s, &mode))
		return mode;
	errno = EINVAL;
	return -1;
}

int
halock_fd(const struct halock *h)
{
	return h->epoll;
}

/* Events. */

static enum halock_type
type_of(const struct lkp_ans *a)
{
	if (a->type != LKP_SPACE)
		return (enum halock_type)a->type;
	switch (a->arg) {
	case LKP_STOPPED:
		return HALOCK_STOPPED;
	case LKP_RECOVERING:
		return HALOCK_RECOVERING;
	case LKP_RUNNING:
		return HALOCK_RUNNING;
	default:
		return HALOCK_LOST;
	}
}

static void
to_event(struct halock_event *e, const struct lkp_ans *a)
{
	memset(e, 0, sizeof(*e));
	e->type = type_of(a);
	e->status = a->status;
	e->mode = (enum halock_mode)a->mode;
	e->cookie = a->cookie;
	e->lock = a->lock;
	e->token = a->token;
	e->value_read = (a->flags & LKP_F_VALUE) != 0;
	e->value_valid = e->value_read && !(a->flags & LKP_F_NOTVALID);
	memcpy(e->value, a->value, sizeof(e->value));
	e->waiting = (a->flags & LKP_F_WAITING) != 0;
	e->converting = (a->flags & LKP_F_CONVERTING) != 0;
	e->rqmode = (enum halock_mode)a->rqmode;
	e->node = a->node;
	e->pid = a->pid;
	if (a->type == LKP_ROW)
		e->age_ms = a->ms;
	else
		e->grace_ms = a->ms;
}

static bool
is_state(enum halock_type type)
{
	return type == HALOCK_STOPPED || type == HALOCK_RECOVERING ||
	       type == HALOCK_RUNNING;
}

static int
keep(struct halock *h, const struct lkp_ans *a)
{
	uint64_t one = 1;
	struct halock_event *last;

	/*
	 * Of states in a row the last one counts, so that a program that uses
	 * only synchronous calls does not pile them up.
	 */
	if (h->n_events > 0) {
		last = &h->events[(h->events_first + h->n_events - 1) %
				  h->events_max];
		if (is_state(last->type) && is_state(type_of(a))) {
			to_event(last, a);
			return 0;
		}
	}
	if (h->n_events == h->events_max) {
		size_t max = h->events_max == 0 ? 64 : h->events_max * 2;
		struct halock_event *e = calloc(max, sizeof(*e));

		if (e == NULL)
			return -1;
		for (size_t i = 0; i < h->n_events; i++)
			e[i] = h->events[(h->events_first + i) % h->events_max];
		free(h->events);
		h->events = e;
		h->events_max = max;
		h->events_first = 0;
	}
	to_event(
	    &h->events[(h->events_first + h->n_events) % h->events_max], a);
	/* The descriptor is readable as long as events are kept. */
	if (h->n_events++ == 0 && write(h->wake, &one, sizeof(one)) == -1)
		return -1;
	return 0;
}

/* Gives an answer to the thread that waits for it, or keeps it. */
static int
hand_out(struct halock *h, const struct lkp_ans *a)
{
	struct halock_wait *w;

	if (a->type == LKP_ERROR)
		return -1;
	if (!(a->cookie & HALOCK_SYNC))
		return keep(h, a);
	for (w = h->waits; w != NULL; w = w->next) {
		if (w->cookie == a->cookie &&
		    (a->type == LKP_DONE || a->type == LKP_OPENED)) {
			w->ans = *a;
			w->done = true;
		}
	}
	return 0;
}

static void
gone(struct halock *h)
{
	uint64_t one = 1;

	h->dead = true;
	/* Readable for ever: halock_next() says ENOTCONN. */
	if (write(h->wake, &one, sizeof(one)) == -1)
		h->n_events = 0;
}

int
halock_read(struct halock *h, bool block)
{
	const char *why;
	ssize_t n;
	int records = -1;

	if (h->dead)
		return -1;
	h->reading = true;
	pthread_mutex_unlock(&h->lock);
	do {
		n = recv(
		    h->sock, h->in, sizeof(h->in), block ? 0 : MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	pthread_mutex_lock(&h->lock);
	h->reading = false;
	pthread_cond_broadcast(&h->cond);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n > 0)
		records = lkp_get_hdr(h->in, (size_t)n, LKP_ANS_LEN, &why);
	for (int i = 0; i < records; i++) {
		struct lkp_ans a;

		if (lkp_get_ans(&a, h->in + LKP_HDR_LEN + i * LKP_ANS_LEN,
			&why) == -1 ||
		    hand_out(h, &a) == -1)
			records = -1;
	}
	if (records < 0)
		gone(h);
	return records < 0 ? -1 : 1;
}

int
halock_next(struct halock *h, struct halock_event *e)
{
	uint64_t count;
	int rc = 0;

	pthread_mutex_lock(&h->lock);
	/* If another thread reads, it will wake the descriptor. */
	if (h->n_events == 0 && !h->reading)
		halock_read(h, false);
	if (h->n_events > 0) {
		*e = h->events[h->events_first];
		h->events_first = (h->events_first + 1) % h->events_max;
		if (--h->n_events == 0 && !h->dead &&
		    read(h->wake, &count, sizeof(count)) == -1)
			h->dead = true;
		rc = 1;
	} else if (h->dead) {
		errno = ENOTCONN;
		rc = -1;
	}
	pthread_mutex_unlock(&h->lock);
	return rc;
}

/* Requests. */

void
halock_put_req(const struct halock *h, uint8_t *p, const struct halock_req *r)
{
	struct lkp_req q = {.op = (uint8_t)r->op,
	    .mode = (uint8_t)r->mode,
	    .space = h->space,
	    .flags = r->flags,
	    .cookie = r->cookie,
	    .lock = r->lock,
	    .timeout_ms = r->timeout_ms};

	if (r->name != NULL) {
		q.name_len = (uint8_t)r->name_len;
		memcpy(q.name, r->name, r->name_len);
	}
	if (r->value != NULL)
		memcpy(q.value, r->value, sizeof(q.value));
	lkp_put_req(p, &q);
}

int
halock_send(struct halock *h, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	pthread_mutex_lock(&h->send_lock);
	do {
		n = send(h->sock, bytes, len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	pthread_mutex_unlock(&h->send_lock);
	if (n == (ssize_t)len)
		return 0;
	if (errno == EPIPE || errno == ECONNRESET)
		errno = ENOTCONN;
	return -1;
}

int
halock_submit(struct halock *h, const struct halock_req *reqs, size_t n)
{
	uint8_t *buf;
	int rc;

	if (n < 1 || n > HALOCK_BATCH_MAX) {
		errno = EINVAL;
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		const struct halock_req *r = &reqs[i];

		if (r->op < HALOCK_OP_LOCK || r->op > HALOCK_OP_QUERY ||
		    (r->cookie & HALOCK_SYNC) ||
		    (r->name != NULL &&
			(r->name_len < 1 || r->name_len > HALOCK_NAME_MAX))) {
			errno = EINVAL;
			return -1;
		}
	}
	buf = malloc(LKP_HDR_LEN + n * LKP_REQ_LEN);
	if (buf == NULL)
		return -1;
	lkp_put_hdr(buf, (unsigned)n);
	for (size_t i = 0; i < n; i++)
		halock_put_req(
		    h, buf + LKP_HDR_LEN + i * LKP_REQ_LEN, &reqs[i]);
	rc = halock_send(h, buf, LKP_HDR_LEN + n * LKP_REQ_LEN);
	free(buf);
	return rc;
}

/* The connection. */

static int
connect_to(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, rc;

	if (path == NULL)
		path = secure_getenv("HALOCK_SOCKET");
	if (path == NULL)
		path = HALOCK_SOCKET;
	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	do {
		rc = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	} while (rc == -1 && errno == EINTR);
	if (rc == 0)
		return fd;
	rc = errno;
	close(fd);
	errno = rc;
	return -1;
}

/* Asks for the lockspace; nothing else is on the connection yet. */
static int
open_space(struct halock *h, const char *space)
{
	struct lkp_req q = {.op = LKP_OPEN, .cookie = HALOCK_SYNC};
	struct halock_wait w = {.cookie = HALOCK_SYNC};
	uint8_t buf[LKP_HDR_LEN + LKP_REQ_LEN];

	if (strlen(space) < 1 || strlen(space) >= HAD_NAME_MAX) {
		errno = ENOENT;
		return -1;
	}
	q.name_len = (uint8_t)strlen(space);
	memcpy(q.name, space, q.name_len);
	lkp_put_hdr(buf, 1);
	lkp_put_req(buf + LKP_HDR_LEN, &q);
	if (halock_send(h, buf, sizeof(buf)) == -1)
		return -1;
	pthread_mutex_lock(&h->lock);
	h->waits = &w;
	while (!w.done && halock_read(h, true) >= 0)
		;
	h->waits = NULL;
	pthread_mutex_unlock(&h->lock);
	if (!w.done || w.ans.type != LKP_OPENED) {
		errno = ENOTCONN;
		return -1;
	}
	h->space = w.ans.space;
	errno = w.ans.status == LKE_PERM ? EACCES : w.ans.status;
	return errno == 0 ? 0 : -1;
}

static int
make_pollable(struct halock *h)
{
	struct epoll_event sock = {.events = EPOLLIN};
	struct epoll_event wake = {.events = EPOLLIN};

	h->epoll = epoll_create1(EPOLL_CLOEXEC);
	h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->epoll == -1 || h->wake == -1)
		return -1;
	if (epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->sock, &sock) == -1 ||
	    epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->wake, &wake) == -1)
		return -1;
	return 0;
}

struct halock *
halock_open(const char *path, const char *space)
{
	struct halock *h = calloc(1, sizeof(*h));
	int saved;

	if (h == NULL)
		return NULL;
	h->epoll = h->wake = -1;
	h->cookie = HALOCK_SYNC;
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_init(&h->send_lock, NULL);
	pthread_cond_init(&h->cond, NULL);
	h->sock = connect_to(path);
	if (h->sock != -1 && make_pollable(h) == 0 && open_space(h, space) == 0)
		return h;
	saved = errno;
	halock_close(h);
	errno = saved;
	return NULL;
}

void
halock_close(struct halock *h)
{
	if (h == NULL)
		return;
	if (h->sock != -1)
		close(h->sock);
	if (h->epoll != -1)
		close(h->epoll);
	if (h->wake != -1)
		close(h->wake);
	pthread_mutex_destroy(&h->lock);
	pthread_mutex_destroy(&h->send_lock);
	pthread_cond_destroy(&h->cond);
	free(h->events);
	free(h);
}
