/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "log.h"
#include "witness_store.h"

enum { STORE_PATH_MAX = HAD_PATH_MAX + HAD_NAME_MAX + 16 };

struct wst {
	char dir[HAD_PATH_MAX];
	int dirfd; /* owned */
	int lock; /* owned */
	struct worker *worker; /* borrowed */
	unsigned under_way;
};

struct job {
	struct wst *store; /* borrowed */
	char name[HAD_NAME_MAX + 8], tmp[HAD_NAME_MAX + 16];
	uint8_t bytes[WF_SIZE];
	const char *failed; /* the call that failed; static string */
	wst_done done;
	void *ctx; /* borrowed */
};

static int
refuse(char *why, size_t size, const char *path, const char *text)
{
	snprintf(why, size,
	    "%s: %s: refusing to guess who has the lease.  Once both nodes "
	    "run and see each other, remove the file and start again",
	    path, text);
	return -1;
}

int
wst_read(const char *dir, const char *cluster, struct wf_record *r, char *why,
    size_t size)
{
	/* One byte more than a record, to notice what is too long. */
	uint8_t bytes[WF_SIZE + 1];
	const char *reason = NULL;
	char path[STORE_PATH_MAX];
	size_t used = 0;
	ssize_t n = 0;
	int fd;

	memset(r, 0, sizeof(*r));
	snprintf(r->cluster, sizeof(r->cluster), "%s", cluster);
	snprintf(path, sizeof(path), "%s/%s.lease", dir, cluster);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1)
		return refuse(why, size, path, strerror(errno));
	while (used < sizeof(bytes) &&
	       (n = read(fd, bytes + used, sizeof(bytes) - used)) > 0)
		used += (size_t)n;
	if (n == -1)
		reason = strerror(errno);
	else
		(void)wf_decode(r, cluster, bytes, used, &reason);
	close(fd);
	return reason == NULL ? 1 : refuse(why, size, path, reason);
}

static struct wst *
give_up(struct wst *s, const char *what, char *why, size_t size)
{
	int saved = errno;

	snprintf(why, size, "%s: %s%s", s->dir, what,
	    saved == EWOULDBLOCK ? "another had-witness has it"
				 : strerror(saved));
	if (s->lock != -1)
		close(s->lock);
	if (s->dirfd != -1)
		close(s->dirfd);
	free(s);
	errno = saved;
	return NULL;
}

struct wst *
wst_new(const char *dir, struct worker *w, char *why, size_t size)
{
	struct wst *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		snprintf(why, size, "out of memory");
		return NULL;
	}
	s->dirfd = s->lock = -1;
	s->worker = w;
	snprintf(s->dir, sizeof(s->dir), "%s", dir);
	if (strlen(dir) >= sizeof(s->dir)) {
		errno = ENAMETOOLONG;
		return give_up(s, "", why, size);
	}
	s->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dirfd == -1)
		return give_up(s, "", why, size);
	s->lock = openat(s->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock == -1)
		return give_up(s, "lock: ", why, size);
	if (flock(s->lock, LOCK_EX | LOCK_NB) == -1)
		return give_up(s, "", why, size);
	return s;
}

void
wst_free(struct wst *s)
{
	if (s == NULL)
		return;
	ASSERT(s->under_way == 0);
	close(s->lock);
	close(s->dirfd);
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
	int fd, error = 0;

	j->failed = "open";
	fd = openat(j->store->dirfd, j->tmp,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return -errno;
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

/*
 * On the worker.  Until the directory is synced the new name may be lost, so
 * that failure is one as well.
 */
static int
job_run(void *arg)
{
	struct job *j = arg;
	int dir = j->store->dirfd, error;

	if ((error = write_file(j)) != 0)
		return error;
	j->failed = "rename";
	if (renameat(dir, j->tmp, dir, j->name) == -1)
		return -errno;
	j->failed = "fsync of the directory";
	return fsync(dir) == -1 ? -errno : 0;
}

static void
job_done(void *arg, int result)
{
	struct job *j = arg;
	struct wst *s = j->store;

	ASSERT(s->under_way > 0);
	s->under_way--;
	if (result != 0)
		log_warnx("store: %s/%s: %s failed: %s", s->dir, j->name,
		    j->failed, strerror(-result));
	j->done(j->ctx, result == 0);
	free(j);
}

void
wst_write(struct wst *s, const struct wf_record *r, wst_done done, void *ctx)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		fatal("store: calloc");
	j->store = s;
	j->done = done;
	j->ctx = ctx;
	snprintf(j->name, sizeof(j->name), "%s.lease", r->cluster);
	snprintf(j->tmp, sizeof(j->tmp), "%s.lease.new", r->cluster);
	wf_encode(r, j->bytes);
	if (worker_submit(s->worker, job_run, job_done, j) == -1)
		fatal("store: worker_submit");
	s->under_way++;
}
