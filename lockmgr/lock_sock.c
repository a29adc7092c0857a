/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <bsd/sys/queue.h>

#include "lock_proto.h"
#include "lock_sock.h"
#include "log.h"
#include "loop.h"

enum {
	GROUPS_MAX = 256,
	READS_MAX = 8, /* messages of one client in one wake-up */
};

struct message {
	STAILQ_ENTRY(message) next;
	size_t len;
	uint8_t bytes[];
};

STAILQ_HEAD(messageq, message);

struct conn {
	struct lks *lks; /* borrowed */
	sd_event_source *source; /* owned */
	int fd; /* -1: free slot */
	uint32_t serial; /* of this use of the slot */
	uid_t uid;
	pid_t pid;
	bool cut; /* does not read: to be hung up on by the loop */
	bool closing; /* hung up on, as soon as it has what is queued */
	struct messageq queue; /* owned; what the socket did not take */
	size_t queued;
};

struct lks {
	sd_event *event; /* borrowed */
	sd_event_source *source; /* owned */
	int fd;
	int spare; /* given up to turn a client away when there is no other */
	struct lks_conf conf; /* path is not used after lks_new() */
	char path[HAD_PATH_MAX];
	const struct lks_cb *cb; /* borrowed */
	void *ctx; /* borrowed */
	struct conn *conns; /* owned */
	struct lks_stats stats;
	struct log_limit limit;
	/* One byte more than any message, so that a longer one shows. */
	uint8_t in[LKP_REQ_MSG_MAX + 1];
};

static uint32_t
id_of(const struct conn *c)
{
	return (uint32_t)(c - c->lks->conns);
}

static void
conn_free(struct conn *c)
{
	struct message *m;

	sd_event_source_disable_unref(c->source);
	c->source = NULL;
	close(c->fd);
	c->fd = -1;
	while ((m = STAILQ_FIRST(&c->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->queue, next);
		free(m);
	}
	c->queued = 0;
	c->lks->stats.clients--;
}

static void
conn_eof(struct conn *c)
{
	struct lks *lks = c->lks;
	uint32_t id = id_of(c);

	conn_free(c);
	lks->cb->eof(lks->ctx, id);
}

/* What is asked by one that is hung up on is not read. */
static void
conn_want(struct conn *c)
{
	uint32_t want = c->closing ? 0 : EPOLLIN;

	if (!STAILQ_EMPTY(&c->queue))
		want |= EPOLLOUT;
	sd_event_source_set_io_events(c->source, want);
}

/* Sends what the socket takes.  A broken connection shows up as EOF later. */
static void
conn_flush(struct conn *c)
{
	struct message *m;

	while ((m = STAILQ_FIRST(&c->queue)) != NULL) {
		ssize_t n =
		    send(c->fd, m->bytes, m->len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		/* Sent whole, as messages are, or never. */
		STAILQ_REMOVE_HEAD(&c->queue, next);
		c->queued -= m->len;
		c->lks->stats.bytes_out += n > 0 ? (uint64_t)n : 0;
		free(m);
	}
	if (c->closing && STAILQ_EMPTY(&c->queue))
		conn_free(c);
	else
		conn_want(c);
}

static void
conn_read(struct conn *c)
{
	struct lks *lks = c->lks;
	uint32_t serial = c->serial, id = id_of(c);

	for (unsigned i = 0; i < READS_MAX; i++) {
		ssize_t n = recv(c->fd, lks->in, sizeof(lks->in), MSG_DONTWAIT);

		/*
		 * A client that left without reading everything is told as a
		 * reset, once, before what it had sent.
		 */
		if (n < 0 && (errno == EINTR || errno == ECONNRESET))
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			conn_eof(c);
			return;
		}
		lks->stats.messages++;
		lks->stats.bytes_in += (uint64_t)n;
		lks->cb->msg(lks->ctx, id, lks->in, (size_t)n);
		/* It may have been hung up on meanwhile. */
		if (c->fd < 0 || c->serial != serial || c->cut || c->closing)
			return;
	}
}

static int
on_conn(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct conn *c = userdata;
	uint32_t serial = c->serial;

	(void)s;
	(void)fd;
	if (c->cut) {
		conn_eof(c);
		return 0;
	}
	if (c->closing && (revents & (EPOLLHUP | EPOLLERR))) {
		conn_free(c);
		return 0;
	}
	if (revents & EPOLLOUT)
		conn_flush(c);
	if (c->closing)
		return 0;
	if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR) && c->serial == serial)
		conn_read(c);
	return 0;
}

static void
cut(struct conn *c)
{
	struct lks *lks = c->lks;
	uint32_t swallowed;

	c->cut = true;
	lks->stats.cut_off++;
	/* Wakes the loop up: the end of the connection is readable. */
	shutdown(c->fd, SHUT_RDWR);
	if (log_allowed(&lks->limit, loop_now(), &swallowed))
		log_warnx("locks: client pid %d does not read its answers: "
			  "cut off",
		    (int)c->pid);
}

void
lks_send(struct lks *lks, uint32_t client, const uint8_t *bytes, size_t len)
{
	struct conn *c;
	struct message *m;

	ASSERT(client < lks->conf.clients_max);
	c = &lks->conns[client];
	if (c->fd < 0 || c->cut || c->closing)
		return;
	if (STAILQ_EMPTY(&c->queue)) {
		ssize_t n =
		    send(c->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0)
			lks->stats.bytes_out += (uint64_t)n;
		/* Any other error is the end, which the loop sees. */
		if (n >= 0 || errno != EAGAIN)
			return;
	}
	if (c->queued + len > lks->conf.queue_bytes ||
	    (m = malloc(sizeof(*m) + len)) == NULL) {
		cut(c);
		return;
	}
	m->len = len;
	memcpy(m->bytes, bytes, len);
	STAILQ_INSERT_TAIL(&c->queue, m, next);
	c->queued += len;
	conn_want(c);
}

void
lks_close(struct lks *lks, uint32_t client, const char *why)
{
	struct conn *c;
	uint32_t swallowed;

	ASSERT(client < lks->conf.clients_max);
	c = &lks->conns[client];
	if (c->fd < 0 || c->closing)
		return;
	if (log_allowed(&lks->limit, loop_now(), &swallowed))
		log_warnx("locks: client pid %d, uid %u: %s: hung up",
		    (int)c->pid, (unsigned)c->uid, why);
	c->closing = true;
	conn_flush(c);
}

/* Who may come in. */

static void
turn_away(struct lks *lks, pid_t pid, uid_t uid, const char *why)
{
	uint32_t swallowed;

	lks->stats.refused++;
	if (log_allowed(&lks->limit, loop_now(), &swallowed))
		log_warnx("locks: client pid %d, uid %u: refused, %s", (int)pid,
		    (unsigned)uid, why);
}

static struct conn *
free_slot(struct lks *lks, uid_t uid)
{
	struct conn *slot = NULL, *closing = NULL;
	uint32_t same = 0;

	for (uint32_t i = lks->conf.clients_max; i-- > 0;) {
		if (lks->conns[i].fd < 0)
			slot = &lks->conns[i];
		else if (lks->conns[i].uid == uid)
			same++;
		if (lks->conns[i].fd >= 0 && lks->conns[i].closing)
			closing = &lks->conns[i];
	}
	if (uid != 0 && lks->conf.uid_clients_max != 0 &&
	    same >= lks->conf.uid_clients_max)
		return NULL;
	/* One that only has answers to take gives way. */
	if (slot == NULL && closing != NULL) {
		conn_free(closing);
		slot = closing;
	}
	return slot;
}

/* Its primary and its supplementary groups, as of when it connected. */
static size_t
groups_of(int fd, gid_t primary, gid_t gids[GROUPS_MAX])
{
	socklen_t len = (GROUPS_MAX - 1) * sizeof(gids[0]);

	gids[0] = primary;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids + 1, &len) == -1)
		return 1; /* more than fit, or none: the primary one counts */
	return 1 + len / sizeof(gids[0]);
}

static void
admit(struct lks *lks, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	gid_t gids[GROUPS_MAX];
	struct conn *c;
	size_t n;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1) {
		close(fd);
		return;
	}
	c = free_slot(lks, cred.uid);
	if (c == NULL || sd_event_add_io(lks->event, &c->source, fd, EPOLLIN,
			     on_conn, c) < 0) {
		turn_away(lks, cred.pid, cred.uid, "too many clients");
		close(fd);
		return;
	}
	c->fd = fd;
	c->serial++;
	c->uid = cred.uid;
	c->pid = cred.pid;
	c->cut = c->closing = false;
	lks->stats.clients++;
	lks->stats.accepted++;
	n = groups_of(fd, cred.gid, gids);
	lks->cb->open(lks->ctx, id_of(c), cred.uid, cred.gid, cred.pid,
	    lks->cb->spaces(lks->ctx, cred.uid, gids, n));
}

/*
 * There is no descriptor for a client.  Left where it is it would be reported
 * again and again; so it is taken with the spare one, and hung up on.
 */
static void
turn_away_unseen(struct lks *lks)
{
	int conn;

	turn_away(lks, 0, 0, "no more file descriptors");
	if (lks->spare != -1)
		close(lks->spare);
	conn = accept4(lks->fd, NULL, NULL, SOCK_CLOEXEC);
	if (conn != -1)
		close(conn);
	lks->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int
on_listen(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct lks *lks = userdata;
	uint32_t swallowed;
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)s;
	(void)revents;
	if (conn >= 0)
		admit(lks, conn);
	else if (errno == EMFILE || errno == ENFILE)
		turn_away_unseen(lks);
	else if (errno != EINTR && errno != EAGAIN && errno != ECONNABORTED &&
		 log_allowed(&lks->limit, loop_now(), &swallowed))
		log_warn("locks: accept");
	return 0;
}

/*
 * A socket file that nobody serves is what a dead daemon left.  Anything else
 * is not ours to remove.
 */
static int
remove_stale(const struct sockaddr_un *sa)
{
	struct stat st;
	int fd, rc, error;

	if (lstat(sa->sun_path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	rc = connect(fd, (const struct sockaddr *)sa, sizeof(*sa));
	error = errno;
	close(fd);
	if (rc == -1 && error == ECONNREFUSED)
		return unlink(sa->sun_path);
	errno = EADDRINUSE;
	return -1;
}

static int
listen_at(struct lks *lks, const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(sa.sun_path) ||
	    strlen(path) >= sizeof(lks->path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sa.sun_path, path);
	strcpy(lks->path, path);
	if (remove_stale(&sa) == -1)
		return -1;
	lks->fd =
	    socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (lks->fd == -1)
		return -1;
	/* Anybody may connect; each lockspace has its group. */
	if (bind(lks->fd, (struct sockaddr *)&sa, sizeof(sa)) == -1 ||
	    chmod(path, 0666) == -1 || listen(lks->fd, 128) == -1)
		return -1;
	return 0;
}

int
lks_new(struct lks **out, sd_event *event, const struct lks_conf *conf,
    const struct lks_cb *cb, void *ctx)
{
	struct lks *lks = calloc(1, sizeof(*lks));
	int rc;

	ASSERT(conf->clients_max > 0 && conf->queue_bytes > 0);
	*out = NULL;
	if (lks == NULL)
		return -1;
	lks->fd = lks->spare = -1;
	lks->event = event;
	lks->conf = *conf;
	lks->cb = cb;
	lks->ctx = ctx;
	lks->conns = calloc(conf->clients_max, sizeof(*lks->conns));
	for (uint32_t i = 0; lks->conns != NULL && i < conf->clients_max; i++) {
		lks->conns[i].lks = lks;
		lks->conns[i].fd = -1;
		STAILQ_INIT(&lks->conns[i].queue);
	}
	lks->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (lks->conns == NULL || lks->spare == -1 ||
	    listen_at(lks, conf->path) == -1)
		goto fail;
	rc = sd_event_add_io(
	    event, &lks->source, lks->fd, EPOLLIN, on_listen, lks);
	if (rc < 0) {
		errno = -rc;
		goto fail;
	}
	*out = lks;
	return 0;
fail:
	rc = errno;
	if (lks->fd != -1)
		close(lks->fd);
	if (lks->spare != -1)
		close(lks->spare);
	free(lks->conns);
	free(lks);
	errno = rc;
	return -1;
}

void
lks_free(struct lks *lks)
{
	if (lks == NULL)
		return;
	for (uint32_t i = 0; i < lks->conf.clients_max; i++) {
		if (lks->conns[i].fd >= 0)
			conn_free(&lks->conns[i]);
	}
	sd_event_source_disable_unref(lks->source);
	close(lks->fd);
	if (lks->spare != -1)
		close(lks->spare);
	unlink(lks->path);
	free(lks->conns);
	free(lks);
}

void
lks_stats(const struct lks *lks, struct lks_stats *stats)
{
	*stats = lks->stats;
}
