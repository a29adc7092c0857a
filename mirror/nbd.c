/* SPDX-License-Identifier: BSD-2-Clause */
/* NBD server: sockets and the life of clients. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <bsd/string.h>

#include "loop.h"
#include "nbd_int.h"

enum { DRAIN_US = 2 * 1000 * 1000, READS = 8, SOCK_BUF = 1 << 20 };

uint16_t
nbd_flags(const struct nbd *n)
{
	uint16_t flags = NBDP_HAS_FLAGS | NBDP_SEND_FLUSH | NBDP_SEND_FUA |
			 NBDP_SEND_WRITE_ZEROES | NBDP_CAN_MULTI_CONN;

	return n->conf.trim ? flags | NBDP_SEND_TRIM : flags;
}

void
nbd_pump_soon(struct nbd *n)
{
	sd_event_source_set_enabled(n->pump_src, SD_EVENT_ONESHOT);
}

void
nbd_complain(struct nbd_client *c, const char *fmt, ...)
{
	struct nbd *n = c->nbd;
	char text[256];
	uint32_t swallowed;
	va_list ap;

	n->st.refused++;
	if (!log_allowed(&n->limit, loop_now(), &swallowed))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (swallowed > 0)
		log_warnx("volume %s: NBD client %u: %s (and %u more)",
		    n->conf.name, c->id, text, swallowed);
	else
		log_warnx(
		    "volume %s: NBD client %u: %s", n->conf.name, c->id, text);
}

/* Polls for what the client can go on with. */
void
nbd_client_poll(struct nbd_client *c)
{
	uint32_t events = 0;

	if (!c->waiting && c->phase != NBD_PH_END && !c->nbd->stopping &&
	    c->rlen - c->rat < sizeof(c->rbuf))
		events |= EPOLLIN;
	if (c->full)
		events |= EPOLLOUT;
	if (events == c->polled)
		return;
	c->polled = events;
	sd_event_source_set_io_events(c->src, events);
}

void
nbd_client_wait(struct nbd_client *c)
{
	if (c->waiting)
		return;
	c->waiting = true;
	TAILQ_INSERT_TAIL(&c->nbd->waiters, c, wait_link);
}

/* why NULL: it ended as it should. */
void
nbd_client_close(struct nbd_client *c, const char *why)
{
	struct nbd *n = c->nbd;
	struct nbd_piece *p;

	ASSERT(c->src != NULL);
	/* After a disconnect or a stop it may leave as it likes. */
	if (why != NULL && c->phase != NBD_PH_END)
		nbd_complain(c, "%s", why);
	for (unsigned i = 0; i < n->n_pieces; i++) {
		p = &n->pieces[i];
		if (p->client != c)
			continue;
		if (p->state == NBD_LENT)
			nbd_piece_orphan(p);
		else
			nbd_piece_free(n, p);
	}
	ASSERT(c->used == 0 && c->used_plain == 0);
	if (c->waiting)
		TAILQ_REMOVE(&n->waiters, c, wait_link);
	c->waiting = false;
	c->src = sd_event_source_disable_unref(c->src);
	n->n_clients--;
	if (n->listen_src != NULL)
		sd_event_source_set_enabled(n->listen_src, SD_EVENT_ON);
	nbd_pump_soon(n);
	log_debug("volume %s: NBD client %u: closed", n->conf.name, c->id);
	if (c->adopted && n->cb.closed != NULL)
		n->cb.closed(n->ctx, c->tag);
}

int
nbd_client_parse(struct nbd_client *c)
{
	int r = 1;

	c->turn = 0;
	while (r == 1 && !c->waiting && !c->nbd->stopping &&
	       c->phase != NBD_PH_END) {
		if (c->phase < NBD_PH_REQUEST)
			r = nbd_shake_step(c);
		else
			r = nbd_req_step(c);
	}
	if (r == -1)
		return -1;
	nbd_client_poll(c);
	return 0;
}

/* Between two options or requests, where an end harms nobody. */
static bool
is_idle(const struct nbd_client *c)
{
	return c->rlen == c->rat && c->n_reqs == 0 &&
	       (c->phase == NBD_PH_FLAGS || c->phase == NBD_PH_OPT ||
		   c->phase == NBD_PH_REQUEST);
}

/* One read of the socket; -1 the client is gone, 0 no more now, 1 more. */
static int
read_once(struct nbd_client *c)
{
	struct iovec iov[2];
	size_t direct = 0, room;
	ssize_t n;
	int k = 0;

	if (c->rat > 0) {
		memmove(c->rbuf, c->rbuf + c->rat, c->rlen - c->rat);
		c->rlen -= c->rat;
		c->rat = 0;
	}
	if (c->rlen == 0) {
		iov[k].iov_base = nbd_req_room(c, &direct);
		iov[k].iov_len = direct;
		k += direct > 0;
	}
	room = sizeof(c->rbuf) - c->rlen;
	iov[k++] = (struct iovec){c->rbuf + c->rlen, room};
	if (direct + room == 0)
		return 0;
	do
		n = readv(c->fd, iov, k);
	while (n == -1 && errno == EINTR);
	c->nbd->st.wakeups++;
	if (n == -1 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		nbd_client_close(c, is_idle(c) ? NULL : "went away");
		return -1;
	}
	room += direct - (size_t)n; /* what stayed empty */
	if (direct > (size_t)n)
		direct = (size_t)n;
	c->rlen += (size_t)n - direct;
	if (direct > 0)
		nbd_req_filled(c, direct);
	if (nbd_client_parse(c) == -1)
		return -1;
	return room == 0 && c->polled & EPOLLIN;
}

static int
on_client(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct nbd_client *c = arg;

	(void)s;
	(void)fd;
	if (events & EPOLLOUT) {
		/* A handshake goes on when its reply is out. */
		if (nbd_client_flush(c) == -1 || nbd_client_parse(c) == -1)
			return 0;
	}
	if (events & EPOLLIN && c->polled & EPOLLIN) {
		for (int i = 0; i < READS; i++)
			if (read_once(c) <= 0)
				break;
		return 0;
	}
	/* Reported also when nobody polls for input. */
	if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN))
		nbd_client_close(c, "went away");
	return 0;
}

static struct nbd_client *
client_new(struct nbd *n, int fd)
{
	struct nbd_client *c = NULL;
	int size = SOCK_BUF;

	for (unsigned i = 0; i < n->conf.clients_max && c == NULL; i++)
		if (n->clients[i].src == NULL)
			c = &n->clients[i];
	if (c == NULL) {
		errno = EUSERS;
		goto fail;
	}
	memset(c, 0, offsetof(struct nbd_client, rbuf));
	c->nbd = n;
	c->fd = fd;
	c->id = ++n->client_ids;
	c->phase = NBD_PH_REQUEST;
	STAILQ_INIT(&c->out);
	STAILQ_INIT(&c->free_reqs);
	for (unsigned i = 0; i < NBD_REQS; i++)
		STAILQ_INSERT_TAIL(&c->free_reqs, &c->reqs[i], link);
	/* Best effort: large requests then need fewer wake-ups. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	c->polled = EPOLLIN;
	errno = -sd_event_add_io(n->event, &c->src, fd, EPOLLIN, on_client, c);
	if (c->src == NULL)
		goto fail;
	sd_event_source_set_io_fd_own(c->src, 1);
	n->n_clients++;
	return c;
fail:
	close(fd);
	return NULL;
}

int
nbd_adopt(struct nbd *n, int fd, unsigned tag)
{
	struct nbd_client *c;
	int flags = fcntl(fd, F_GETFL);

	if (n->stopping) {
		close(fd);
		errno = ESHUTDOWN;
		return -1;
	}
	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1) {
		close(fd);
		return -1;
	}
	if ((c = client_new(n, fd)) == NULL)
		return -1;
	c->adopted = true;
	c->tag = tag;
	log_debug("volume %s: NBD client %u: the kernel, connection %u",
	    n->conf.name, c->id, tag);
	return 0;
}

static int
on_listen(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct nbd *n = arg;
	struct nbd_client *c;
	uint32_t swallowed;
	int client;

	(void)events;
	if (n->n_clients == n->conf.clients_max) {
		/* They wait in the backlog until somebody leaves. */
		if (log_allowed(&n->limit, loop_now(), &swallowed))
			log_warnx("volume %s: %u NBD clients, one has to wait",
			    n->conf.name, n->n_clients);
		sd_event_source_set_enabled(s, SD_EVENT_OFF);
		return 0;
	}
	client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (client == -1) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			log_warn("volume %s: accept", n->conf.name);
		return 0;
	}
	if ((c = client_new(n, client)) == NULL) {
		log_warn("volume %s: new NBD client", n->conf.name);
		return 0;
	}
	log_debug("volume %s: NBD client %u: connected", n->conf.name, c->id);
	(void)nbd_shake_start(c);
	return 0;
}

/* The stop: unfinished requests are forgotten, finished ones answered. */
static void
pump_stop(struct nbd *n)
{
	struct nbd_client *c;

	for (unsigned i = 0; i < n->conf.clients_max; i++) {
		c = &n->clients[i];
		if (c->src == NULL || c->phase == NBD_PH_END)
			continue;
		nbd_req_cut(c);
		c->phase = NBD_PH_END;
		nbd_client_poll(c);
	}
}

static void
pump_client(struct nbd *n, struct nbd_client *c)
{
	if (n->cut) {
		nbd_client_close(c, NULL);
		return;
	}
	if (c->broken != NULL) {
		nbd_client_close(c, c->broken);
		return;
	}
	if (!STAILQ_EMPTY(&c->out) && !c->full && nbd_client_flush(c) == -1)
		return;
	if (c->phase == NBD_PH_END && c->n_reqs == 0 && c->olen == 0 &&
	    STAILQ_EMPTY(&c->out))
		nbd_client_close(c, NULL);
}

static int
on_drain(sd_event_source *s, uint64_t usec, void *arg)
{
	struct nbd *n = arg;

	(void)s;
	(void)usec;
	log_warnx(
	    "volume %s: NBD clients do not take their replies", n->conf.name);
	n->cut = true;
	nbd_pump_soon(n);
	return 0;
}

static int
on_pump(sd_event_source *s, void *arg)
{
	struct nbd *n = arg;
	struct nbd_client *c;
	unsigned waiting = 0;

	(void)s;
	if (n->stopping)
		pump_stop(n);
	for (unsigned i = 0; i < n->conf.clients_max; i++)
		if (n->clients[i].src != NULL)
			pump_client(n, &n->clients[i]);
	TAILQ_FOREACH (c, &n->waiters, wait_link)
		waiting++;
	for (; waiting > 0 && (c = TAILQ_FIRST(&n->waiters)) != NULL;
	     waiting--) {
		TAILQ_REMOVE(&n->waiters, c, wait_link);
		c->waiting = false;
		(void)nbd_client_parse(c);
	}
	if (!n->stopping || n->in_flight > 0 || n->stopped)
		return 0;
	if (n->n_clients > 0) {
		if (n->drain_src == NULL)
			(void)sd_event_add_time_relative(n->event,
			    &n->drain_src, CLOCK_BOOTTIME, DRAIN_US, 0,
			    on_drain, n);
		return 0;
	}
	n->stopped = true;
	n->cb.stopped(n->ctx); /* may free n */
	return 0;
}

void
nbd_stop(struct nbd *n, bool drain)
{
	if (n->listen_src != NULL) {
		n->listen_src = sd_event_source_disable_unref(n->listen_src);
		if (unlink(n->conf.path) == -1 && errno != ENOENT)
			log_warn("volume %s: %s", n->conf.name, n->conf.path);
	}
	n->stopping = true;
	if (!drain)
		n->cut = true;
	nbd_pump_soon(n);
}

static int
listen_on(struct nbd *n)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, r;

	if (strlcpy(sun.sun_path, n->conf.path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	/* Left by a dead daemon; never anything but a socket. */
	if (lstat(n->conf.path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(n->conf.path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	/* The mode of the socket becomes that of its file, without a race. */
	if (fchmod(fd, 0600) == -1 ||
	    bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, 16) == -1)
		goto fail;
	r = sd_event_add_io(
	    n->event, &n->listen_src, fd, EPOLLIN, on_listen, n);
	if (r < 0) {
		errno = -r;
		goto fail;
	}
	sd_event_source_set_io_fd_own(n->listen_src, 1);
	return 0;
fail:
	r = errno;
	close(fd);
	errno = r;
	return -1;
}

static int
pieces_new(struct nbd *n)
{
	n->n_pieces = nbd_pieces_max(&n->conf);
	n->pieces = calloc(n->n_pieces, sizeof(*n->pieces));
	n->memory_len = (size_t)n->conf.buffers * HAD_IO_MAX;
	/* Touched now: the data path must never wait for memory. */
	n->memory = mmap(NULL, n->memory_len, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (n->memory == MAP_FAILED)
		n->memory = NULL;
	if (n->pieces == NULL || n->memory == NULL)
		return -1;
	for (unsigned i = 0; i < n->n_pieces; i++) {
		n->pieces[i].index = i;
		if (i < n->conf.buffers) {
			n->pieces[i].buf = n->memory + (size_t)i * HAD_IO_MAX;
			STAILQ_INSERT_TAIL(&n->free, &n->pieces[i], link);
		} else
			STAILQ_INSERT_TAIL(&n->free_plain, &n->pieces[i], link);
	}
	n->n_free = n->conf.buffers;
	return 0;
}

static bool
conf_is_valid(const struct nbd_conf *c)
{
	return c->clients_max > 0 && c->buffers >= 4 * c->clients_max &&
	       c->block_min >= 512 && c->block_min <= 4096 &&
	       (c->block_min & (c->block_min - 1)) == 0 &&
	       c->size % c->block_min == 0;
}

struct nbd *
nbd_new(sd_event *event, const struct nbd_conf *conf, const struct nbd_cb *cb,
    void *ctx)
{
	struct nbd *n;
	int r;

	if (!conf_is_valid(conf)) {
		errno = EINVAL;
		return NULL;
	}
	if ((n = calloc(1, sizeof(*n))) == NULL)
		return NULL;
	n->conf = *conf;
	n->cb = *cb;
	n->ctx = ctx;
	n->event = sd_event_ref(event);
	n->reserve = conf->buffers / (2 * conf->clients_max);
	STAILQ_INIT(&n->free);
	STAILQ_INIT(&n->free_plain);
	TAILQ_INIT(&n->waiters);
	n->clients = calloc(conf->clients_max, sizeof(*n->clients));
	if (n->clients == NULL || pieces_new(n) == -1)
		goto fail;
	r = sd_event_add_defer(event, &n->pump_src, on_pump, n);
	if (r < 0) {
		errno = -r;
		goto fail;
	}
	sd_event_source_set_enabled(n->pump_src, SD_EVENT_OFF);
	if (conf->path[0] != '\0' && listen_on(n) == -1)
		goto fail;
	return n;
fail:
	r = errno;
	nbd_free(n);
	errno = r;
	return NULL;
}

void
nbd_free(struct nbd *n)
{
	ASSERT(n->in_flight == 0);
	for (unsigned i = 0; n->clients != NULL && i < n->conf.clients_max; i++)
		if (n->clients[i].src != NULL)
			sd_event_source_disable_unref(n->clients[i].src);
	if (n->listen_src != NULL) {
		sd_event_source_disable_unref(n->listen_src);
		(void)unlink(n->conf.path);
	}
	sd_event_source_disable_unref(n->pump_src);
	sd_event_source_disable_unref(n->drain_src);
	sd_event_unref(n->event);
	if (n->memory != NULL)
		munmap(n->memory, n->memory_len);
	free(n->pieces);
	free(n->clients);
	free(n);
}

void
nbd_status(const struct nbd *n, struct nbd_status *st)
{
	*st = n->st;
	st->clients = n->n_clients;
	st->in_flight = n->in_flight;
	st->buffers_free = n->n_free;
}
