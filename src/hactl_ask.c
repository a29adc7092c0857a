/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "hactl.h"

int
ask_open(const struct hactl *h)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, saved;

	if ((size_t)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/ctl.sock",
		h->run_dir) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int
ask_send(int fd, json_t *req)
{
	char *text = json_dumps(req, JSON_COMPACT), *at = text;
	size_t left;
	int result = 0;

	json_decref(req);
	if (text == NULL)
		return -1;
	left = strlen(text);
	text[left++] = '\n'; /* in the place of the NUL */
	while (left > 0) {
		ssize_t n = send(fd, at, left, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			result = -1;
			break;
		}
		at += n;
		left -= (size_t)n;
	}
	free(text);
	return result;
}

void
ask_reader_free(struct ask_reader *r)
{
	free(r->buf);
	if (r->fd >= 0)
		close(r->fd);
}

/* Reads until a whole line is in the buffer.  False: hung up. */
static bool
fill(struct ask_reader *r)
{
	while (r->used == 0 || memchr(r->buf, '\n', r->used) == NULL) {
		ssize_t n;

		if (r->size - r->used < 4096) {
			size_t size = r->size == 0 ? 65536 : 2 * r->size;
			char *grown = realloc(r->buf, size);

			if (grown == NULL)
				return false;
			r->buf = grown;
			r->size = size;
		}
		n = recv(r->fd, r->buf + r->used, r->size - r->used, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		r->used += (size_t)n;
	}
	return true;
}

json_t *
ask_next(struct ask_reader *r, bool *last, int *code)
{
	json_t *o;
	size_t len;
	char *end;

	if (!fill(r))
		return NULL;
	end = memchr(r->buf, '\n', r->used);
	len = (size_t)(end - r->buf);
	o = json_loadb(r->buf, len, 0, NULL);
	r->used -= len + 1;
	memmove(r->buf, end + 1, r->used);
	if (o == NULL)
		return NULL;
	*last = json_is_true(json_object_get(o, "done"));
	*code = (int)json_integer_value(json_object_get(o, "code"));
	return o;
}

json_t *
ask(const struct hactl *h, json_t *req, int *code)
{
	struct ask_reader r = {.fd = ask_open(h)};
	json_t *o = NULL;
	bool last = false;

	*code = EX_UNAVAILABLE;
	if (r.fd < 0) {
		fprintf(stderr,
		    "hactl: had does not answer at %s/ctl.sock: "
		    "%s\n",
		    h->run_dir, strerror(errno));
		json_decref(req);
		return NULL;
	}
	if (ask_send(r.fd, req) == 0)
		o = ask_next(&r, &last, code);
	ask_reader_free(&r);
	if (o == NULL) {
		fprintf(stderr, "hactl: had hung up\n");
		*code = EX_UNAVAILABLE;
	} else if (*code != 0) {
		fprintf(stderr, "hactl: %s\n",
		    json_string_value(json_object_get(o, "error")));
		json_decref(o);
		o = NULL;
	}
	return o;
}

json_t *
ask_saved(const struct hactl *h)
{
	char path[HAD_PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/status.json",
		h->state_dir) >= sizeof(path))
		return NULL;
	return json_load_file(path, 0, NULL);
}
