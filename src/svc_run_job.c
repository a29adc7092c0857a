/* SPDX-License-Identifier: BSD-2-Clause */
/* Children and hunts of the service runner. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "svc_run_int.h"

enum { HUNT_MS = 20, HUNT_LIMIT_MS = 5000, KILL_AFTER_MS = 500 };

/* Keeps the last line that is not empty. */
static void
take_output(struct job *j, char *buf, size_t len)
{
	char *line, *rest = buf;

	buf[len] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL) {
		for (char *p = line; *p != '\0'; p++)
			if ((unsigned char)*p < ' ' || *p == 127)
				*p = ' ';
		if (line[strspn(line, " ")] == '\0')
			continue;
		snprintf(j->text, sizeof(j->text), "%s", line);
		log_debug("service %s: %s", j->name, j->text);
	}
}

/* At most 64 KiB a wake-up; false at the end. */
static bool
drain(struct job *j)
{
	char buf[4096 + 1];
	ssize_t n;

	for (int i = 0; i < 16; i++) {
		n = read(j->out, buf, sizeof(buf) - 1);
		if (n == 0)
			return false;
		if (n == -1)
			return errno == EAGAIN || errno == EINTR;
		take_output(j, buf, (size_t)n);
	}
	return true;
}

static void
close_output(struct job *j)
{
	j->output = sd_event_source_disable_unref(j->output);
	if (j->out != -1)
		close(j->out);
	j->out = -1;
}

/*
 * A started command keeps the pipe as its standard output; it is read, and
 * thrown away, until the last one has closed it.
 */
static int
on_output(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct job *j = arg;

	(void)source;
	(void)fd;
	(void)revents;
	if (drain(j))
		return 0;
	close_output(j);
	if (j->answered)
		job_free(j);
	return 0;
}

static int
child_exited(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct job *j = arg;
	siginfo_t si = {0};
	bool ok;

	(void)source;
	(void)revents;
	if (waitid(P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG) == -1 ||
	    si.si_pid == 0)
		return 0;
	if (j->out != -1 && !drain(j))
		close_output(j);
	ok = si.si_code == CLD_EXITED && si.si_status == 0;
	if (!ok && j->text[0] == '\0')
		snprintf(j->text, sizeof(j->text), "%s %d",
		    si.si_code == CLD_EXITED ? "exit" : "signal", si.si_status);
	j->exit = sd_event_source_disable_unref(j->exit);
	close(j->pidfd);
	j->pidfd = -1;
	j->pid = 0;
	job_next(j, ok);
	return 0;
}

static int
set_attr(posix_spawnattr_t *a)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	if ((r = posix_spawnattr_setsigmask(a, &none)) != 0 ||
	    (r = posix_spawnattr_setsigdefault(a, &all)) != 0)
		return r;
	return posix_spawnattr_setflags(a, POSIX_SPAWN_SETSID |
					       POSIX_SPAWN_SETSIGMASK |
					       POSIX_SPAWN_SETSIGDEF);
}

static int
set_files(posix_spawn_file_actions_t *fa, int out)
{
	int r;

	if ((r = posix_spawn_file_actions_addopen(
		 fa, 0, "/dev/null", O_RDONLY, 0)) != 0 ||
	    (r = posix_spawn_file_actions_adddup2(fa, out, 1)) != 0 ||
	    (r = posix_spawn_file_actions_adddup2(fa, out, 2)) != 0 ||
	    (r = posix_spawn_file_actions_addchdir_np(fa, "/")) != 0)
		return r;
	/* Nothing of the daemon's is for them. */
	return posix_spawn_file_actions_addclosefrom_np(fa, 3);
}

static int
spawn(struct job *j, const char *const argv[], int out)
{
	char service[HAD_NAME_MAX + 16], step[16], id[80],
	    path[] =
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:"
		"/bin";
	char lang[] = "LC_ALL=C";
	char *envp[] = {path, lang, service, step, id, NULL};
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	char **args = NULL;
	int r;

	snprintf(service, sizeof(service), "HAD_SERVICE=%s", j->s->name);
	snprintf(step, sizeof(step), "HAD_STEP=%u", j->step);
	/* Only what a start leaves behind is ever looked for. */
	if (j->action == SVC_DO_START)
		snprintf(id, sizeof(id), "HAD_RUN=%s", j->id.id);
	else
		envp[4] = NULL;
	if ((r = posix_spawn_file_actions_init(&fa)) != 0)
		return r;
	if ((r = posix_spawnattr_init(&attr)) != 0) {
		posix_spawn_file_actions_destroy(&fa);
		return r;
	}
	memcpy(&args, &argv, sizeof(args));
	if ((r = set_attr(&attr)) == 0 && (r = set_files(&fa, out)) == 0)
		r = posix_spawn(&j->pid, argv[0], &fa, &attr, args, envp);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	return r;
}

static int
watch(struct job *j)
{
	int r;

	j->pidfd = (int)syscall(SYS_pidfd_open, j->pid, 0);
	if (j->pidfd == -1)
		return errno;
	r = sd_event_add_io(
	    j->run->event, &j->exit, j->pidfd, EPOLLIN, child_exited, j);
	if (r >= 0)
		r = sd_event_add_io(
		    j->run->event, &j->output, j->out, EPOLLIN, on_output, j);
	return r < 0 ? -r : 0;
}

/* Starts a child.  Returns 0, or -1 with the reason in text. */
int
job_spawn(struct job *j, const char *const argv[])
{
	int fds[2], r;

	ASSERT(j->pid == 0);
	close_output(j);
	if (pipe2(fds, O_CLOEXEC) == -1) {
		r = errno;
	} else {
		j->out = fds[0];
		r = fcntl(fds[0], F_SETFL, O_NONBLOCK) == -1 ? errno : 0;
		if (r == 0)
			r = spawn(j, argv, fds[1]);
		close(fds[1]);
		if (r == 0 && (r = watch(j)) != 0)
			job_kill(j, SIGKILL);
	}
	if (r == 0)
		return 0;
	j->pid = 0;
	close_output(j);
	snprintf(j->text, sizeof(j->text), "cannot run %s: %s", argv[0],
	    strerror(r));
	return -1;
}

/* To the whole session's first group. */
void
job_kill(struct job *j, int sig)
{
	if (j->pid > 0)
		(void)kill(-j->pid, sig);
}

static int
hunt_run(void *arg)
{
	struct job *j = arg;

	return hunt_once(&j->hunt);
}

static void
hunt_done(void *arg, int result)
{
	struct job *j = arg;
	monotime_t now = loop_now();

	j->hunting = false;
	if (j->run->closing)
		return;
	if (result != 0) {
		snprintf(j->text, sizeof(j->text), "cannot search /proc: %s",
		    strerror(-result));
		job_next(j, false);
	} else if (j->hunt.found == 0) {
		if (j->hunt.self)
			snprintf(j->text, sizeof(j->text),
			    "this daemon itself uses %.80s", j->hunt.dir);
		job_next(j, !j->hunt.self);
	} else if (j->cancelled || !mt_before(now, j->hunt_until)) {
		snprintf(j->text, sizeof(j->text), "%d processes do not end",
		    j->hunt.found);
		job_next(j, false);
	} else {
		if (!mt_before(now, j->term_until))
			j->hunt.signal = SIGKILL;
		loop_timer_at(j->timer, mt_add_ms(now, HUNT_MS));
	}
}

static void
hunt_submit(struct job *j)
{
	j->hunting = true;
	if (worker_submit(j->run->worker, hunt_run, hunt_done, j) == -1)
		fatal("service %s: worker", j->s->name);
}

/*
 * Signals until nobody is left; after term_ms of SIGTERM with SIGKILL.
 * job_next follows.
 */
void
job_hunt(struct job *j, enum hunt_kind kind, int sig, int64_t term_ms)
{
	monotime_t now = loop_now();

	ASSERT(!j->hunting);
	j->hunt = (struct hunt){.kind = kind, .signal = sig, .run = j->id};
	if (kind == HUNT_USERS)
		snprintf(j->hunt.dir, sizeof(j->hunt.dir), "%s", j->st->dir);
	j->term_until = mt_add_ms(now, term_ms);
	j->hunt_until = mt_add_ms(j->term_until, HUNT_LIMIT_MS);
	hunt_submit(j);
}

void
job_timer(void *arg, monotime_t now)
{
	struct job *j = arg;

	(void)now;
	if (j->phase == PH_NOTHING)
		job_next(j, j->ok);
	else if (j->pid != 0)
		job_kill(j, SIGKILL);
	else if (!j->hunting)
		hunt_submit(j);
}

void
svc_run_cancel(struct svc_run *r, uint32_t token)
{
	struct job *j;

	TAILQ_FOREACH (j, &r->jobs, next)
		if (j->token == token && !j->answered)
			break;
	if (j == NULL)
		return;
	j->cancelled = true;
	if (j->pid == 0)
		return;
	job_kill(j, SIGTERM);
	loop_timer_at(j->timer, mt_add_ms(loop_now(), KILL_AFTER_MS));
}

void
job_free(struct job *j)
{
	ASSERT(!j->hunting);
	TAILQ_REMOVE(&j->run->jobs, j, next);
	sd_event_source_disable_unref(j->exit);
	if (j->pidfd != -1)
		close(j->pidfd);
	close_output(j);
	loop_timer_free(j->timer);
	free(j);
}
