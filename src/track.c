/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files, processes and checks.  See track.h.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bsd/string.h>

#include "log.h"
#include "loop.h"
#include "track.h"
#include "worker.h"

enum { COMM_LEN = 15, NUMBER_MAX = 32 };

extern char **environ;

struct item {
	struct track *track; /* borrowed */
	struct conf_track conf;
	uint16_t id;
	struct worker *worker; /* owned if it is a check, else the shared one */
	struct loop_timer *timer; /* owned */
	bool told, up, late; /* late: the last run of the check timed out */
	int32_t value;
	/* The thread's while the job is under way. */
	bool now_up, timed_out;
	int32_t now_value;
};

struct track {
	struct track_cb cb;
	void *ctx; /* borrowed */
	struct worker *files; /* owned */
	int stop; /* owned; readable: everybody ends */
	bool closing;
	uint16_t n;
	struct item items[]; /* n */
};

/* On the threads. */

static void
look_at_file(struct item *it)
{
	char text[NUMBER_MAX] = "";
	int fd = open(it->conf.what, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;
	long v;

	it->now_up = fd >= 0;
	it->now_value = 0;
	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return;
	v = strtol(text, NULL, 10);
	it->now_value = v > 254 ? 254 : v < -254 ? -254 : (int32_t)v;
}

static bool
is_called(const char *pid, const char *name)
{
	char path[300], comm[COMM_LEN + 2] = "";
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, comm, sizeof(comm) - 1);
	close(fd);
	if (n <= 0)
		return false;
	comm[strcspn(comm, "\n")] = '\0';
	return strncmp(comm, name, COMM_LEN) == 0;
}

static void
look_for_process(struct item *it)
{
	DIR *proc = opendir("/proc");
	const struct dirent *e;

	it->now_up = false;
	it->now_value = 0;
	if (proc == NULL)
		return;
	while (!it->now_up && (e = readdir(proc)) != NULL)
		it->now_up = isdigit((unsigned char)e->d_name[0]) &&
			     is_called(e->d_name, it->conf.what);
	closedir(proc);
}

static int
spawn(const struct item *it, pid_t *pid)
{
	char shell[] = "/bin/sh", flag[] = "-c";
	char *argv[] = {shell, flag, NULL, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	char command[HAD_PATH_MAX];
	sigset_t none;
	int r;

	strlcpy(command, it->conf.what, sizeof(command));
	argv[2] = command;
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(
	    &attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawn_file_actions_init(&files);
	for (int fd = 0; fd < 3; fd++)
		posix_spawn_file_actions_addopen(
		    &files, fd, "/dev/null", O_RDWR, 0);
	r = posix_spawn(pid, argv[0], &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return r;
}

/* Waits for the child, for its deadline, or for the end of everything. */
static void
run_check(struct item *it)
{
	struct pollfd p[2] = {
	    {.fd = it->track->stop, .events = POLLIN}, {.events = POLLIN}};
	int status = 0, ready;
	pid_t pid;

	it->now_up = it->timed_out = false;
	it->now_value = 0;
	if (spawn(it, &pid) != 0)
		return;
	p[1].fd = (int)syscall(SYS_pidfd_open, pid, 0);
	ready = p[1].fd < 0 ? 0 : poll(p, 2, (int)it->conf.timeout_ms);
	if (ready <= 0 || (p[1].revents & POLLIN) == 0) {
		it->timed_out = ready == 0;
		(void)kill(-pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (p[1].fd >= 0)
		close(p[1].fd);
	it->now_up =
	    !it->timed_out && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int
look(void *job)
{
	struct item *it = job;

	if (it->conf.type == CONF_TRACK_FILE)
		look_at_file(it);
	else if (it->conf.type == CONF_TRACK_PROCESS)
		look_for_process(it);
	else
		run_check(it);
	return 0;
}

/* Back on the loop. */

static uint32_t
every_ms(const struct item *it)
{
	return it->conf.type == CONF_TRACK_CHECK ? it->conf.every_ms
						 : TRACK_EVERY_MS;
}

static void
looked(void *job, int result)
{
	struct item *it = job;
	struct track *t = it->track;

	(void)result;
	if (t->closing)
		return;
	loop_timer_at(it->timer, mt_add_ms(loop_now(), every_ms(it)));
	if (it->conf.type == CONF_TRACK_CHECK && it->timed_out) {
		if (!it->late)
			log_warnx("check %s: timed out, which changes nothing",
			    it->conf.what);
		it->late = true;
		return;
	}
	it->late = false;
	if (it->told && it->up == it->now_up && it->value == it->now_value)
		return;
	it->told = true;
	it->up = it->now_up;
	it->value = it->now_value;
	t->cb.changed(t->ctx, it->id, it->up, it->value);
}

static void
on_timer(void *ctx, monotime_t now)
{
	struct item *it = ctx;

	if (worker_submit(it->worker, look, looked, it) < 0)
		loop_timer_at(it->timer, mt_add_ms(now, every_ms(it)));
}

static bool
item_init(struct track *t, sd_event *event, struct item *it)
{
	it->track = t;
	it->worker =
	    it->conf.type == CONF_TRACK_CHECK ? worker_new(event) : t->files;
	it->timer = loop_timer_new(event, on_timer, it);
	if (it->worker == NULL || it->timer == NULL)
		return false;
	loop_timer_at(it->timer, loop_now());
	return true;
}

struct track *
track_new(sd_event *event, const struct conf_track *tracks, uint16_t n,
    const struct track_cb *cb, void *ctx)
{
	struct track *t = calloc(1, sizeof(*t) + n * sizeof(t->items[0]));

	if (t == NULL)
		return NULL;
	t->cb = *cb;
	t->ctx = ctx;
	t->stop = eventfd(0, EFD_CLOEXEC);
	t->files = worker_new(event);
	if (t->stop < 0 || t->files == NULL) {
		track_free(t);
		return NULL;
	}
	for (uint16_t i = 0; i < n; i++) {
		struct item *it = &t->items[t->n];

		if (tracks[i].type != CONF_TRACK_FILE &&
		    tracks[i].type != CONF_TRACK_PROCESS &&
		    tracks[i].type != CONF_TRACK_CHECK)
			continue;
		it->conf = tracks[i];
		it->id = i;
		t->n++;
		if (!item_init(t, event, it)) {
			track_free(t);
			return NULL;
		}
	}
	return t;
}

void
track_free(struct track *t)
{
	if (t == NULL)
		return;
	t->closing = true;
	if (t->stop >= 0)
		(void)eventfd_write(t->stop, 1);
	for (uint16_t i = 0; i < t->n; i++) {
		struct item *it = &t->items[i];

		if (it->conf.type == CONF_TRACK_CHECK && it->worker != NULL)
			worker_free(it->worker);
		if (it->timer != NULL)
			loop_timer_free(it->timer);
	}
	if (t->files != NULL)
		worker_free(t->files);
	if (t->stop >= 0)
		close(t->stop);
	free(t);
}
