/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl.h"
#include "log.h"

struct client {
	struct ctl *ctl; /* borrowed */
	sd_event_source *source; /* owned */
	int fd; /* -1 = free slot */
	uint32_t serial; /* of this use of the slot */
	bool busy; /* a request is being answered */
	bool serving; /* client_serve is running */
	char in[CTL_REQUEST_MAX];
	size_t in_used;
	char *out; /* owned; what the socket did not take yet */
	size_t out_used;
};

struct ctl {
	sd_event *event; /* borrowed */
	sd_event_source *source; /* owned */
	int fd;
	char path[HAD_PATH_MAX];
	const struct ctl_cb *cb; /* borrowed */
	void *ctx; /* borrowed */
	struct client clients[CTL_CLIENTS_MAX];
};

static void client_serve(struct client *);

static uint64_t
token_of(const struct client *c)
{
	return (uint64_t)c->serial << 32 | (uint64_t)(c - c->ctl->clients);
}

static struct client *
client_of(struct ctl *ctl, uint64_t token)
{
	size_t i = (size_t)(token & 0xffffffff);

	if (i >= CTL_CLIENTS_MAX || ctl->clients[i].fd < 0 ||
	    ctl->clients[i].serial != token >> 32)
		return NULL;
	return &ctl->clients[i];
}

static void
client_close(struct client *c)
{
	bool busy = c->busy;
	uint64_t token = token_of(c);

	if (c->fd < 0)
		return;
	sd_event_source_disable_unref(c->source);
	c->source = NULL;
	close(c->fd);
	c->fd = -1;
	free(c->out);
	c->out = NULL;
	c->out_used = c->in_used = 0;
	c->busy = false;
	if (busy && c->ctl->cb->gone != NULL)
		c->ctl->cb->gone(c->ctl->ctx, token);
}

static void
client_want(struct client *c)
{
	uint32_t want = EPOLLIN;

	if (c->out_used > 0)
		want |= EPOLLOUT;
	sd_event_source_set_io_events(c->source, want);
}

/* Sends what it can.  False if the client is gone. */
static bool
client_flush(struct client *c)
{
	while (c->out_used > 0) {
		ssize_t n = send(
		    c->fd, c->out, c->out_used, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			client_close(c);
			return false;
		}
		memmove(c->out, c->out + n, c->out_used - (size_t)n);
		c->out_used -= (size_t)n;
	}
	client_want(c);
	return true;
}

void
ctl_send(struct ctl *ctl, uint64_t token, json_t *answer)
{
	struct client *c = client_of(ctl, token);
	char *text, *grown;
	size_t len;

	if (c == NULL) {
		json_decref(answer);
		return;
	}
	json_object_set_new(answer, "version", json_integer(CTL_VERSION));
	text = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	if (text == NULL)
		return;
	len = strlen(text);
	/* A client that asks and does not read hurts only itself. */
	if (c->out_used + len + 1 > CTL_QUEUE_MAX ||
	    (grown = realloc(c->out, c->out_used + len + 1)) == NULL) {
		free(text);
		client_close(c);
		return;
	}
	c->out = grown;
	memcpy(c->out + c->out_used, text, len);
	c->out[c->out_used + len] = '\n';
	c->out_used += len + 1;
	free(text);
	client_flush(c);
}

void
ctl_done(
    struct ctl *ctl, uint64_t token, int code, const char *error, json_t *data)
{
	struct client *c = client_of(ctl, token);
	json_t *last = data != NULL ? data : json_object();

	ASSERT((code == 0) == (error == NULL));
	json_object_set_new(last, "done", json_true());
	json_object_set_new(last, "code", json_integer(code));
	if (error != NULL)
		json_object_set_new(last, "error", json_string(error));
	if (c != NULL)
		c->busy = false;
	ctl_send(ctl, token, last);
	/* The client may have asked the next thing meanwhile. */
	if ((c = client_of(ctl, token)) != NULL && !c->serving)
		client_serve(c);
}

static void
client_request(struct client *c, const char *line, size_t len)
{
	struct ctl *ctl = c->ctl;
	uint64_t token = token_of(c);
	json_error_t err;
	json_t *req = json_loadb(line, len, JSON_REJECT_DUPLICATES, &err);
	const char *op = json_string_value(json_object_get(req, "op"));
	char text[256];

	c->busy = true;
	if (req == NULL) {
		snprintf(text, sizeof(text), "not JSON: %s at column %d",
		    err.text, err.column);
		ctl_done(ctl, token, EX_DATAERR, text, NULL);
	} else if (op == NULL) {
		ctl_done(ctl, token, EX_DATAERR,
		    "a request needs an \"op\" that is a string", NULL);
	} else {
		ctl->cb->request(ctl->ctx, token, op, req);
	}
	json_decref(req);
}

/* Takes whole lines out of the buffer while no request is being answered. */
static void
client_serve(struct client *c)
{
	uint32_t serial = c->serial;
	char *end;

	c->serving = true;
	while (c->fd >= 0 && c->serial == serial && !c->busy &&
	       (end = memchr(c->in, '\n', c->in_used)) != NULL) {
		char line[CTL_REQUEST_MAX];
		size_t len = (size_t)(end - c->in);

		memcpy(line, c->in, len);
		c->in_used -= len + 1;
		memmove(c->in, end + 1, c->in_used);
		client_request(c, line, len);
	}
	c->serving = false;
}

static int
client_io(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct client *c = arg;
	ssize_t n;

	(void)s;
	if ((events & EPOLLOUT) != 0 && !client_flush(c))
		return 0;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
		return 0;
	n = recv(
	    fd, c->in + c->in_used, sizeof(c->in) - c->in_used, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		client_close(c);
		return 0;
	}
	c->in_used += (size_t)n;
	client_serve(c);
	if (c->fd >= 0 && c->in_used == sizeof(c->in)) {
		ctl_done(c->ctl, token_of(c), EX_DATAERR,
		    "request line longer than 16 KiB", NULL);
		client_close(c);
	}
	return 0;
}

static int
ctl_accept(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct ctl *ctl = arg;
	struct client *c = NULL;
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)s;
	(void)events;
	if (conn < 0)
		return 0;
	for (size_t i = 0; i < CTL_CLIENTS_MAX && c == NULL; i++)
		if (ctl->clients[i].fd < 0)
			c = &ctl->clients[i];
	if (c == NULL) {
		close(conn);
		return 0;
	}
	c->fd = conn;
	c->serial++;
	if (sd_event_add_io(
		ctl->event, &c->source, conn, EPOLLIN, client_io, c) < 0) {
		close(conn);
		c->fd = -1;
	}
	return 0;
}

/*
 * A socket file that nobody serves is what a dead daemon left.  One that does
 * not answer at once, because its daemon is frozen, is still in use; and what
 * is no socket is not ours to remove.
 */
static int
remove_stale(const struct sockaddr_un *sun)
{
	struct stat st;
	int probe, rc, error;

	if (lstat(sun->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		return -1;
	}
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return -1;
	rc = connect(probe, (const struct sockaddr *)sun, sizeof(*sun));
	error = errno;
	close(probe);
	if (rc < 0 && error == ECONNREFUSED)
		return unlink(sun->sun_path);
	errno = EADDRINUSE;
	return -1;
}

static int
bind_path(int fd, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sun.sun_path, path);
	if (remove_stale(&sun) < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return -1;
	if (chmod(path, 0600) < 0)
		return -1;
	return listen(fd, 16);
}

struct ctl *
ctl_new(sd_event *event, const char *path, const struct ctl_cb *cb, void *ctx)
{
	struct ctl *ctl = calloc(1, sizeof(*ctl));
	int saved;

	if (ctl == NULL)
		return NULL;
	ctl->event = event;
	ctl->cb = cb;
	ctl->ctx = ctx;
	for (size_t i = 0; i < CTL_CLIENTS_MAX; i++) {
		ctl->clients[i].fd = -1;
		ctl->clients[i].ctl = ctl;
	}
	snprintf(ctl->path, sizeof(ctl->path), "%s", path);
	ctl->fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ctl->fd < 0 || bind_path(ctl->fd, path) < 0 ||
	    sd_event_add_io(
		event, &ctl->source, ctl->fd, EPOLLIN, ctl_accept, ctl) < 0) {
		saved = errno;
		if (ctl->fd >= 0)
			close(ctl->fd);
		free(ctl);
		errno = saved;
		return NULL;
	}
	return ctl;
}

void
ctl_free(struct ctl *ctl)
{
	if (ctl == NULL)
		return;
	for (size_t i = 0; i < CTL_CLIENTS_MAX; i++)
		client_close(&ctl->clients[i]);
	sd_event_source_disable_unref(ctl->source);
	close(ctl->fd);
	if (unlink(ctl->path) < 0 && errno != ENOENT)
		log_warn("control: %s", ctl->path);
	free(ctl);
}
