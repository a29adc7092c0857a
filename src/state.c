/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "state.h"

struct state {
	char path[HAD_PATH_MAX];
	char tmp[HAD_PATH_MAX + 8];
	char dir[HAD_PATH_MAX];
	struct worker *worker; /* borrowed */
	state_done done;
	void *ctx; /* borrowed */
	unsigned under_way;
};

struct job {
	struct state *state; /* borrowed */
	uint64_t serial;
	uint8_t bytes[SF_SIZE];
	const char *failed; /* the call that failed; static string */
};

static int
refuse(char *why, size_t size, const char *path, const char *text)
{
	snprintf(why, size,
	    "%s: %s: refusing to guess who may act.  If the peer runs, remove "
	    "the file and start again; if the peer is down for good, remove "
	    "it, start, and type 'hactl seed --peer-is-down NODE'",
	    path, text);
	return -1;
}

int
state_read(const char *path, const char *cluster, uint8_t node,
    struct sf_record *r, char *why, size_t size)
{
	/* One byte more than a record, to notice what is too long. */
	uint8_t bytes[SF_SIZE + 1];
	const char *reason;
	size_t used = 0;
	ssize_t n = 0;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1)
		return refuse(why, size, path, strerror(errno));
	while (used < sizeof(bytes) &&
	       (n = read(fd, bytes + used, sizeof(bytes) - used)) > 0)
		used += (size_t)n;
	if (n == -1)
		reason = strerror(errno);
	else if (sf_decode(r, bytes, used, &reason) == 0)
		(void)sf_mine(r, cluster, node, &reason);
	close(fd);
	return reason == NULL ? 1 : refuse(why, size, path, reason);
}

struct state *
state_new(const char *path, struct worker *w, state_done done, void *ctx)
{
	struct state *s;
	const char *slash = strrchr(path, '/');

	if (path[0] == '\0' || strlen(path) >= sizeof(s->path) ||
	    (slash != NULL && slash[1] == '\0')) {
		errno = EINVAL;
		return NULL;
	}
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	snprintf(s->path, sizeof(s->path), "%s", path);
	snprintf(s->tmp, sizeof(s->tmp), "%s.new", path);
	if (slash == NULL)
		snprintf(s->dir, sizeof(s->dir), ".");
	else if (slash == path)
		snprintf(s->dir, sizeof(s->dir), "/");
	else
		snprintf(
		    s->dir, sizeof(s->dir), "%.*s", (int)(slash - path), path);
	s->worker = w;
	s->done = done;
	s->ctx = ctx;
	return s;
}

void
state_free(struct state *s)
{
	if (s == NULL)
		return;
	ASSERT(s->under_way == 0);
	free(s);
}

static MUST_CHECK int
write_all(int fd, const uint8_t *p, size_t len)
{
	ssize_t n;

	while (len > 0) {
		if ((n = write(fd, p, len)) == -1 && errno != EINTR)
			return -1;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static MUST_CHECK int
write_file(struct job *j)
{
	int fd, error;

	j->failed = "open";
	fd =
	    open(j->state->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd == -1)
		return -errno;
	error = 0;
	if (write_all(fd, j->bytes, sizeof(j->bytes)) == -1) {
		j->failed = "write";
		error = -errno;
	} else if (fsync(fd) == -1) {
		j->failed = "fsync";
		error = -errno;
	}
	if (close(fd) == -1 && error == 0) {
		j->failed = "close";
		error = -errno;
	}
	return error;
}

static MUST_CHECK int
sync_dir(struct job *j)
{
	int fd, error = 0;

	j->failed = "open of the directory";
	fd = open(j->state->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	if (fsync(fd) == -1) {
		j->failed = "fsync of the directory";
		error = -errno;
	}
	close(fd);
	return error;
}

/*
 * On the worker.  Until the directory is synced the new name may be lost,
 * and then the old record is found: so that failure is one as well.
 */
static int
job_run(void *arg)
{
	struct job *j = arg;
	int error;

	if ((error = write_file(j)) != 0)
		return error;
	if (rename(j->state->tmp, j->state->path) == -1) {
		j->failed = "rename";
		return -errno;
	}
	return sync_dir(j);
}

static void
job_done(void *arg, int result)
{
	struct job *j = arg;
	struct state *s = j->state;

	ASSERT(s->under_way > 0);
	s->under_way--;
	if (result != 0)
		log_warnx("state: %s: %s failed: %s", s->path, j->failed,
		    strerror(-result));
	s->done(s->ctx, j->serial, result == 0);
	free(j);
}

void
state_write(struct state *s, const struct sf_record *r, uint64_t serial)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		fatal("state: calloc");
	j->state = s;
	j->serial = serial;
	sf_encode(r, j->bytes);
	if (worker_submit(s->worker, job_run, job_done, j) == -1)
		fatal("state: worker_submit");
	s->under_way++;
}
