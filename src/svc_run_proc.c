/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks for processes in /proc and signals them.  Runs on the worker: it
 * takes milliseconds on a busy machine.  Only symbolic links and files of
 * /proc are read, so a dead device under the mount cannot block it.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "svc_run_int.h"

/*
 * Is dir the root of a mount?  Answered from memory: no file system is asked,
 * so a dead device does not matter.
 */
bool
proc_is_mounted(const char *dir)
{
	struct statx st;

	if (statx(AT_FDCWD, dir, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0,
		&st) == -1)
		return false;
	return (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/* The name by which the kernel knows dir, symbolic links resolved. */
static int
canonical(const char *dir, char *buf, size_t size)
{
	char name[32];
	ssize_t n;
	int fd = open(dir, O_PATH | O_CLOEXEC);

	if (fd == -1)
		return -1;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, buf, size - 1);
	close(fd);
	if (n <= 0)
		return -1;
	buf[n] = '\0';
	return 0;
}

/* Reads a small file of /proc; returns its length or -1. */
static ssize_t
read_proc(int dirfd, const char *name, char *buf, size_t size)
{
	size_t used = 0;
	ssize_t n = 0;
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return -1;
	while (
	    used + 1 < size && (n = read(fd, buf + used, size - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	buf[used] = '\0';
	return n == -1 ? -1 : (ssize_t)used;
}

/* Session and start time of a process. */
static int
read_stat(int proc, int *session, uint64_t *start)
{
	char buf[1024], *p;
	unsigned long long ticks;

	if (read_proc(proc, "stat", buf, sizeof(buf)) <= 0 ||
	    (p = strrchr(buf, ')')) == NULL)
		return -1;
	if (sscanf(p + 1,
		" %*c %*d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
		"%*d %*d %*d %*d %llu",
		session, &ticks) != 2)
		return -1;
	*start = ticks;
	return 0;
}

uint64_t
proc_start(pid_t pid)
{
	char name[32];
	uint64_t start = 0;
	int session, fd;

	snprintf(name, sizeof(name), "/proc/%d", pid);
	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return 0;
	if (read_stat(fd, &session, &start) == -1)
		start = 0;
	close(fd);
	return start;
}

static bool
environ_has(int proc, const char *id)
{
	static const char key[] = "HAD_RUN=";
	size_t size = 128 * 1024, len;
	char *buf = malloc(size);
	ssize_t n;
	bool has = false;

	if (buf == NULL)
		return false;
	n = read_proc(proc, "environ", buf, size);
	for (char *p = buf; n > 0 && p < buf + n && !has; p += len + 1) {
		len = strlen(p);
		has = strncmp(p, key, sizeof(key) - 1) == 0 &&
		      strcmp(p + sizeof(key) - 1, id) == 0;
	}
	free(buf);
	return has;
}

/*
 * A session's number is not given out again while somebody is in it.  If the
 * leader's pid belongs to a process with another start time, the session was
 * empty once and this is a stranger's.
 */
static bool
is_run(const struct hunt *h, int proc)
{
	int session;
	uint64_t start, leader;

	if (h->run.id[0] != '\0' && environ_has(proc, h->run.id))
		return true;
	if (h->run.session == 0 || read_stat(proc, &session, &start) == -1 ||
	    session != h->run.session || start < h->run.start)
		return false;
	leader = proc_start(h->run.session);
	return leader == 0 || leader == h->run.start;
}

static bool
is_under(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0' || path[len] == ' ');
}

static bool
link_under(int dirfd, const char *name, const char *dir)
{
	char path[4096];
	ssize_t n = readlinkat(dirfd, name, path, sizeof(path) - 1);

	if (n <= 0)
		return false;
	path[n] = '\0';
	return is_under(path, dir);
}

static bool
fd_under(int proc, const char *dir)
{
	int fd = openat(proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool found = false;

	if (d == NULL) {
		if (fd != -1)
			close(fd);
		return false;
	}
	while (!found && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			found = link_under(dirfd(d), e->d_name, dir);
	closedir(d);
	return found;
}

static bool
map_under(int proc, const char *dir)
{
	int fd = openat(proc, "maps", O_RDONLY | O_CLOEXEC);
	FILE *f = fd == -1 ? NULL : fdopen(fd, "re");
	char *line = NULL, *path;
	size_t size = 0;
	bool found = false;

	if (f == NULL) {
		if (fd != -1)
			close(fd);
		return false;
	}
	while (!found && getline(&line, &size, f) != -1) {
		if ((path = strchr(line, '/')) == NULL)
			continue;
		path[strcspn(path, "\n")] = '\0';
		found = is_under(path, dir);
	}
	free(line);
	fclose(f);
	return found;
}

static bool
is_user(const struct hunt *h, int proc)
{
	return link_under(proc, "cwd", h->real) ||
	       link_under(proc, "root", h->real) ||
	       link_under(proc, "exe", h->real) || fd_under(proc, h->real) ||
	       map_under(proc, h->real);
}

/* A dead process that nobody has waited for needs no signal. */
static bool
is_zombie(int proc)
{
	char buf[1024];
	const char *p;

	if (read_proc(proc, "stat", buf, sizeof(buf)) <= 0)
		return true;
	p = strrchr(buf, ')');
	return p == NULL || p[1] == '\0' || p[2] == 'Z' || p[2] == 'X';
}

static void
look_at(struct hunt *h, int all, const char *name)
{
	pid_t pid = (pid_t)strtol(name, NULL, 10);
	int pidfd, proc;
	bool match;

	if (pid <= 1)
		return;
	/* First the handle, then the look: the pid may change hands. */
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd == -1)
		return;
	proc = openat(all, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	match = proc != -1 && !is_zombie(proc) &&
		(h->kind == HUNT_RUN ? is_run(h, proc) : is_user(h, proc));
	if (match && pid == getpid()) {
		h->self = true;
	} else if (match) {
		h->found++;
		/* It may be gone already, which is as good. */
		(void)syscall(SYS_pidfd_send_signal, pidfd, h->signal, NULL, 0);
	}
	if (proc != -1)
		close(proc);
	close(pidfd);
}

int
hunt_once(struct hunt *h)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;

	h->found = 0;
	h->self = false;
	if (d == NULL)
		return -errno;
	if (h->kind == HUNT_USERS &&
	    canonical(h->dir, h->real, sizeof(h->real)) == -1) {
		int error = errno;

		closedir(d);
		return -error;
	}
	while ((e = readdir(d)) != NULL)
		if (isdigit((unsigned char)e->d_name[0]))
			look_at(h, dirfd(d), e->d_name);
	closedir(d);
	return 0;
}
