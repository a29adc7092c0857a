/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server of the lock socket.
 *
 * A client whose answers do not fit its socket is not read from until it has
 * taken them, so that one that only asks fills its own queue and nothing else.
 * What others cause (blocking notices) still adds to the queue; when that is
 * full the client is cut off.
 */
#include "lock_sock.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lock_proto.h"
#include "log.h"
#include "loop.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

enum {
	BACKLOG = 128,
	READS_PER_TURN = 4, /* then others have theirs */
	ACCEPTS_PER_TURN = 16,
};

struct out {
	STAILQ_ENTRY(out) next;
	size_t len;
	uint8_t bytes[];
};

enum client_state {
	CL_FREE,
	CL_OPEN,
	CL_DOOMED, /* the loop will tell eof */
	CL_DRAINING, /* eof is not told; closed when the queue is empty */
};

struct client {
	struct lks *lks; /* borrowed */
	sd_event_source *io; /* owned */
	int fd; /* -1 when free */
	enum client_state state;
	bool deaf; /* takes no answers any more; may have asked before */
	uid_t uid;
	pid_t pid;
	STAILQ_HEAD(, out) queue; /* owned */
	size_t queued; /* bytes, what it takes to keep them included */
};

struct lks {
	sd_event *event; /* borrowed */
	sd_event_source *accept, *doom; /* owned */
	int fd;
	int spare; /* given up to refuse a client when descriptors are out */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct lks_conf conf; /* path is not kept */
	const struct lks_cb *cb; /* borrowed */
	void *ctx; /* borrowed */
	struct client *clients; /* owned, conf.clients_max */
	struct lks_stats stats;
	struct log_limit limit;
	/* One byte more, so that the core sees that a message is too long. */
	uint8_t in[LKP_REQ_MSG_MAX + 1];
};

static void
say(struct lks *s, const char *what, pid_t pid, uid_t uid, const char *why)
{
	uint32_t more;

	if (!log_allowed(&s->limit, loop_now(), &more))
		return;
	log_warnx("lock client pid %d uid %u: %s: %s (%u more not logged)",
	    (int)pid, (unsigned)uid, what, why, more);
}

static void
client_forget(struct client *c)
{
	struct out *o;

	while ((o = STAILQ_FIRST(&c->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->queue, next);
		free(o);
	}
	c->queued = 0;
}

static void
client_close(struct client *c)
{
	ASSERT(c->state != CL_FREE);
	client_forget(c);
	sd_event_source_disable_unref(c->io);
	c->io = NULL;
	close(c->fd);
	c->fd = -1;
	c->state = CL_FREE;
	c->lks->stats.clients--;
}

static void
client_gone(struct client *c)
{
	struct lks *s = c->lks;

	client_close(c);
	s->cb->eof(s->ctx, (uint32_t)(c - s->clients));
}

/* The eof is told from the loop. */
static void
client_doom(struct client *c, const char *why)
{
	struct lks *s = c->lks;

	ASSERT(c->state == CL_OPEN);
	client_forget(c);
	c->state = CL_DOOMED;
	s->stats.cut_off++;
	say(s, "cut off", c->pid, c->uid, why);
	sd_event_source_set_enabled(s->doom, SD_EVENT_ONESHOT);
}

static void
client_want(struct client *c)
{
	uint32_t want = 0;

	if (c->queued > 0)
		want = EPOLLOUT;
	else if (c->state == CL_OPEN)
		want = EPOLLIN;
	sd_event_source_set_io_events(c->io, want);
}

/* What it asked before it stopped listening is still done. */
static void
client_deaf(struct client *c)
{
	c->deaf = true;
	client_forget(c);
}

/* False if the socket takes no more now. */
static bool
client_put(struct client *c, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	do {
		n = send(c->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
		return false;
	if (n < 0)
		client_deaf(c);
	else
		c->lks->stats.bytes_out += len;
	return true;
}

static void
client_flush(struct client *c)
{
	struct out *o;

	while ((o = STAILQ_FIRST(&c->queue)) != NULL) {
		if (!client_put(c, o->bytes, o->len))
			break;
		if (c->deaf)
			break;
		STAILQ_REMOVE_HEAD(&c->queue, next);
		c->queued -= sizeof(*o) + o->len;
		free(o);
	}
	if (c->state == CL_DRAINING && c->queued == 0)
		client_close(c);
	else
		client_want(c);
}

void
lks_send(struct lks *s, uint32_t client, const uint8_t *bytes, size_t len)
{
	struct client *c;
	struct out *o;

	ASSERT(client < s->conf.clients_max);
	c = &s->clients[client];
	if (c->state != CL_OPEN || c->deaf)
		return;
	if (c->queued == 0 && client_put(c, bytes, len))
		return;
	if (c->queued + sizeof(*o) + len > s->conf.queue_bytes) {
		client_doom(c, "it does not read its answers");
		return;
	}
	o = malloc(sizeof(*o) + len);
	if (o == NULL) {
		client_doom(c, "no memory for its answers");
		return;
	}
	o->len = len;
	memcpy(o->bytes, bytes, len);
	STAILQ_INSERT_TAIL(&c->queue, o, next);
	c->queued += sizeof(*o) + len;
	client_want(c);
}

void
lks_close(struct lks *s, uint32_t client, const char *why)
{
	struct client *c;

	ASSERT(client < s->conf.clients_max);
	c = &s->clients[client];
	if (c->state != CL_OPEN && c->state != CL_DOOMED)
		return;
	say(s, "closed", c->pid, c->uid, why);
	c->state = CL_DRAINING;
	if (c->queued == 0)
		client_close(c);
	else
		client_want(c);
}

static void
client_read(struct client *c)
{
	struct lks *s = c->lks;

	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t n;

		if (c->state != CL_OPEN || c->queued > 0)
			return;
		n = recv(c->fd, s->in, sizeof(s->in), MSG_DONTWAIT);
		/* A reset is told once, before what was sent until then. */
		if (n < 0 && (errno == EINTR || errno == ECONNRESET))
			continue;
		if (n < 0 && errno == EAGAIN && !c->deaf)
			return;
		if (n <= 0) {
			client_gone(c);
			return;
		}
		s->stats.messages++;
		s->stats.bytes_in += (uint64_t)n;
		s->cb->msg(
		    s->ctx, (uint32_t)(c - s->clients), s->in, (size_t)n);
	}
}

static int
client_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct client *c = arg;

	(void)source;
	(void)fd;
	if (c->state == CL_DOOMED) {
		client_gone(c);
		return 0;
	}
	if (events & (EPOLLHUP | EPOLLERR))
		client_deaf(c);
	if (c->state == CL_DRAINING || (events & EPOLLOUT) || c->deaf)
		client_flush(c);
	if (c->state == CL_OPEN && (c->deaf || (events & EPOLLIN)))
		client_read(c);
	return 0;
}

static int
doom_run(sd_event_source *source, void *arg)
{
	struct lks *s = arg;

	(void)source;
	for (uint32_t i = 0; i < s->conf.clients_max; i++)
		if (s->clients[i].state == CL_DOOMED)
			client_gone(&s->clients[i]);
	return 0;
}

/* A free slot; one that only waits to hang up is made free. */
static struct client *
slot_take(struct lks *s)
{
	struct client *c = NULL;

	for (uint32_t i = 0; i < s->conf.clients_max; i++) {
		if (s->clients[i].state == CL_FREE)
			return &s->clients[i];
		if (s->clients[i].state == CL_DRAINING)
			c = &s->clients[i];
	}
	if (c != NULL)
		client_close(c);
	return c;
}

static bool
uid_full(const struct lks *s, uid_t uid)
{
	uint32_t n = 0;

	if (uid == 0 || s->conf.uid_clients_max == 0)
		return false;
	for (uint32_t i = 0; i < s->conf.clients_max; i++)
		if (s->clients[i].state != CL_FREE && s->clients[i].uid == uid)
			n++;
	return n >= s->conf.uid_clients_max;
}

/* Says why before it hangs up. */
static void
refuse(struct lks *s, int fd, const struct ucred *who, enum lke status,
    const char *why)
{
	uint8_t msg[LKP_HDR_LEN + LKP_ANS_LEN];
	struct lkp_ans a = {.type = LKP_ERROR,
	    .mode = LKM_IV,
	    .rqmode = LKM_IV,
	    .status = status};

	s->stats.refused++;
	say(s, "refused", who->pid, who->uid, why);
	lkp_put_hdr(msg, 1);
	lkp_put_ans(msg + LKP_HDR_LEN, &a);
	if (send(fd, msg, sizeof(msg), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("lock client pid %d: left before it was refused",
		    (int)who->pid);
	close(fd);
}

/*
 * The primary and the supplementary groups of the process that connected.
 * The caller frees.
 */
static gid_t *
groups_of(int fd, gid_t primary, size_t *n)
{
	socklen_t len = (NGROUPS_MAX + 1) * sizeof(gid_t);
	gid_t *gids = malloc(sizeof(gid_t) + len);

	if (gids == NULL)
		return NULL;
	gids[0] = primary;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids + 1, &len) < 0)
		len = 0;
	*n = 1 + len / sizeof(gid_t);
	return gids;
}

static uint16_t
spaces_of(struct lks *s, int fd, const struct ucred *who)
{
	size_t n;
	gid_t *gids = groups_of(fd, who->gid, &n);
	uint16_t spaces;

	if (gids == NULL)
		return 0;
	spaces = s->cb->spaces(s->ctx, who->uid, gids, n);
	free(gids);
	return spaces;
}

static void
admit(struct lks *s, int fd)
{
	struct ucred who = {.pid = 0};
	socklen_t len = sizeof(who);
	struct client *c;
	uint16_t spaces;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0) {
		refuse(s, fd, &who, LKE_PERM, "who it is cannot be told");
		return;
	}
	spaces = spaces_of(s, fd, &who);
	if (spaces == 0 && who.uid != 0) {
		refuse(s, fd, &who, LKE_PERM, "in no lockspace's group");
		return;
	}
	if (uid_full(s, who.uid)) {
		refuse(s, fd, &who, LKE_DQUOT, "too many clients of this user");
		return;
	}
	c = slot_take(s);
	if (c == NULL ||
	    sd_event_add_io(s->event, &c->io, fd, EPOLLIN, client_io, c) < 0) {
		refuse(s, fd, &who, LKE_NOLCK, "too many clients");
		return;
	}
	c->fd = fd;
	c->state = CL_OPEN;
	c->deaf = false;
	c->uid = who.uid;
	c->pid = who.pid;
	s->stats.clients++;
	s->stats.accepted++;
	s->cb->open(s->ctx, (uint32_t)(c - s->clients), who.uid, who.gid,
	    who.pid, spaces);
}

/* Without this the loop would spin on a client that cannot be accepted. */
static void
shed(struct lks *s)
{
	int fd;

	s->stats.refused++;
	say(s, "refused", 0, 0, "out of file descriptors");
	if (s->spare >= 0)
		close(s->spare);
	fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int
accept_io(sd_event_source *source, int listen_fd, uint32_t events, void *arg)
{
	struct lks *s = arg;

	(void)source;
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(
		    listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			shed(s);
		if (fd < 0)
			return 0;
		admit(s, fd);
	}
	return 0;
}

/* Removes the socket file of a dead daemon; a live one is left alone. */
static int
stale_remove(const struct sockaddr_un *sun)
{
	struct stat st;
	int fd, rc, saved;

	if (lstat(sun->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	saved = errno;
	close(fd);
	if (rc < 0 && saved == ECONNREFUSED)
		return unlink(sun->sun_path);
	errno = EADDRINUSE;
	return -1;
}

/* Everybody may connect: who may do what is decided by the groups. */
static int
listen_at(struct lks *s, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sun.sun_path, path);
	if (stale_remove(&sun) < 0)
		return -1;
	s->fd =
	    socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0 ||
	    bind(s->fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0)
		return -1;
	strcpy(s->path, path);
	if (chmod(path, 0666) < 0)
		return -1;
	return listen(s->fd, BACKLOG);
}

static int
sources_add(struct lks *s)
{
	int rc =
	    sd_event_add_io(s->event, &s->accept, s->fd, EPOLLIN, accept_io, s);

	if (rc >= 0)
		rc = sd_event_add_defer(s->event, &s->doom, doom_run, s);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(s->doom, SD_EVENT_OFF);
	if (rc < 0)
		errno = -rc;
	return rc < 0 ? -1 : 0;
}

int
lks_new(struct lks **out, sd_event *event, const struct lks_conf *conf,
    const struct lks_cb *cb, void *ctx)
{
	struct lks *s = calloc(1, sizeof(*s));
	int saved;

	ASSERT(conf->clients_max > 0 && conf->queue_bytes > 0);
	if (s == NULL)
		return -1;
	s->event = event;
	s->conf = *conf;
	s->conf.path = NULL;
	s->cb = cb;
	s->ctx = ctx;
	s->fd = -1;
	s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	s->clients = calloc(conf->clients_max, sizeof(*s->clients));
	for (uint32_t i = 0; s->clients != NULL && i < conf->clients_max; i++) {
		s->clients[i].lks = s;
		s->clients[i].fd = -1;
		STAILQ_INIT(&s->clients[i].queue);
	}
	if (s->clients == NULL || s->spare < 0 ||
	    listen_at(s, conf->path) < 0 || sources_add(s) < 0) {
		saved = errno;
		lks_free(s);
		errno = saved;
		return -1;
	}
	*out = s;
	return 0;
}

void
lks_free(struct lks *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; s->clients != NULL && i < s->conf.clients_max; i++)
		if (s->clients[i].state != CL_FREE)
			client_close(&s->clients[i]);
	sd_event_source_disable_unref(s->accept);
	sd_event_source_disable_unref(s->doom);
	if (s->fd >= 0)
		close(s->fd);
	if (s->spare >= 0)
		close(s->spare);
	if (s->path[0] != '\0' && unlink(s->path) < 0 && errno != ENOENT)
		log_warn("locks: %s", s->path);
	free(s->clients);
	free(s);
}

void
lks_stats(const struct lks *s, struct lks_stats *out)
{
	*out = s->stats;
}
