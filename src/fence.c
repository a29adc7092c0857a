/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A job's life: files are read and the program is started on the thread, then
 * the loop watches its pidfd and its output.  What the agent is to know goes
 * into a pipe that is larger than it, before the program is started: nobody
 * has to wait for an agent that does not read.  Secrets are nowhere else: not
 * in arguments, not in the environment, and cut out of what is said of it.
 */
#include <bsd/string.h>
#include <bsd/sys/queue.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fence.h"
#include "log.h"
#include "loop.h"
#include "worker.h"

/* How long a killed agent may take to be gone before that is said. */
enum { GONE_MS = 1000 };

struct job {
	TAILQ_ENTRY(job) next;
	struct fence *fence; /* borrowed */
	struct conf_fence f;
	struct fa_values values;
	char node[HAD_NAME_MAX];
	enum fa_action action;
	uint32_t token;
	char path[HAD_PATH_MAX + 16];
	/* The thread's while starting, then the loop's. */
	pid_t pid; /* 0 = none, or waited for */
	int out; /* owned; its output, -1 = none */
	char error[2 * HAD_PATH_MAX]; /* why it was not started */
	bool starting, cancelled, answered;
	int pidfd; /* owned, -1 = none */
	sd_event_source *exit, *output; /* owned */
	struct loop_timer *timer; /* owned */
	struct fa_output text;
};

struct fence {
	sd_event *event; /* borrowed */
	fence_done done;
	void *ctx; /* borrowed */
	struct worker *worker; /* owned */
	TAILQ_HEAD(, job) jobs;
	bool closing;
};

static void
job_free(struct job *j)
{
	ASSERT(!j->starting);
	TAILQ_REMOVE(&j->fence->jobs, j, next);
	sd_event_source_disable_unref(j->exit);
	sd_event_source_disable_unref(j->output);
	if (j->pidfd != -1)
		close(j->pidfd);
	if (j->out != -1)
		close(j->out);
	loop_timer_free(j->timer);
	explicit_bzero(&j->values, sizeof(j->values));
	free(j);
}

static void
job_answer(struct job *j, enum fa_result result, const char *text)
{
	struct fence *f = j->fence;

	ASSERT(!j->answered);
	j->answered = true;
	if (!f->closing)
		f->done(f->ctx, j->token, result, text);
}

static void
job_kill(const struct job *j)
{
	/* The group stays as long as the leader is not waited for. */
	if (j->pid > 0)
		(void)kill(-j->pid, SIGKILL);
}

/* On the thread. */

static int
read_param(struct job *j, unsigned i)
{
	const char *path = j->f.params[i].value, *why;
	uint8_t bytes[HAD_VALUE_MAX + 2];
	size_t used = 0;
	ssize_t n = 1;
	int r = -1, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	while (fd != -1 && used < sizeof(bytes) &&
	       (n = read(fd, bytes + used, sizeof(bytes) - used)) > 0)
		used += (size_t)n;
	if (fd == -1 || n == -1)
		snprintf(j->error, sizeof(j->error), "parameter %s: %s: %s",
		    j->f.params[i].name, path, strerror(errno));
	else if (fa_value_of_file(j->values.values[i], bytes, used, &why) == -1)
		snprintf(j->error, sizeof(j->error), "parameter %s: %s: %s",
		    j->f.params[i].name, path, why);
	else
		r = 0;
	if (fd != -1)
		close(fd);
	explicit_bzero(bytes, sizeof(bytes));
	return r;
}

/* A pipe that holds the input and has no writer any more. */
static int
input_pipe(struct job *j)
{
	char buf[FA_INPUT_MAX];
	const char *why;
	int fds[2], len, r = -1;

	len = fa_input(&j->f, &j->values, j->action, j->node, buf, &why);
	if (len == -1) {
		snprintf(j->error, sizeof(j->error), "%s", why);
		return -1;
	}
	if (pipe2(fds, O_CLOEXEC) == 0) {
		/* A pipe holds 64 KiB, or a page: this fits into it. */
		if (fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0 &&
		    write(fds[1], buf, (size_t)len) == len)
			r = fds[0];
		else
			close(fds[0]);
		close(fds[1]);
	}
	if (r == -1)
		snprintf(
		    j->error, sizeof(j->error), "pipe: %s", strerror(errno));
	explicit_bzero(buf, sizeof(buf));
	return r;
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
set_files(posix_spawn_file_actions_t *fa, int in, int out)
{
	int r;

	if ((r = posix_spawn_file_actions_adddup2(fa, in, 0)) != 0 ||
	    (r = posix_spawn_file_actions_adddup2(fa, out, 1)) != 0 ||
	    (r = posix_spawn_file_actions_adddup2(fa, out, 2)) != 0 ||
	    (r = posix_spawn_file_actions_addchdir_np(fa, "/")) != 0)
		return r;
	return posix_spawn_file_actions_addclosefrom_np(fa, 3);
}

static int
spawn(struct job *j, int in, int out)
{
	char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
		      "/sbin:/bin";
	char lang[] = "LC_ALL=C";
	char *envp[] = {path, lang, NULL}, *argv[] = {j->path, NULL};
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	int r;

	if ((r = posix_spawn_file_actions_init(&fa)) != 0)
		return r;
	if ((r = posix_spawnattr_init(&attr)) != 0) {
		posix_spawn_file_actions_destroy(&fa);
		return r;
	}
	if ((r = set_attr(&attr)) == 0 && (r = set_files(&fa, in, out)) == 0)
		r = posix_spawn(&j->pid, j->path, &fa, &attr, argv, envp);
	if (r != 0)
		j->pid = 0;
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	return r;
}

/* Returns 0, or -1 with the reason in error. */
static int
start_run(void *arg)
{
	struct job *j = arg;
	int in, fds[2], r;

	for (unsigned i = 0; i < j->f.n_params; i++)
		if (j->f.params[i].file && read_param(j, i) == -1)
			return -1;
	if ((in = input_pipe(j)) == -1)
		return -1;
	r = pipe2(fds, O_CLOEXEC) == -1 ? errno : 0;
	if (r == 0) {
		j->out = fds[0];
		r = fcntl(fds[0], F_SETFL, O_NONBLOCK) == -1 ? errno : 0;
		if (r == 0)
			r = spawn(j, in, fds[1]);
		close(fds[1]);
	}
	close(in);
	if (r == 0)
		return 0;
	snprintf(j->error, sizeof(j->error), "cannot run %s: %s", j->path,
	    strerror(r));
	return -1;
}

/* On the loop. */

/* At most 64 KiB a wake-up; false at the end. */
static bool
drain(struct job *j)
{
	char buf[4096];
	ssize_t n;

	for (int i = 0; i < 16; i++) {
		n = read(j->out, buf, sizeof(buf));
		if (n == 0)
			return false;
		if (n == -1)
			return errno == EAGAIN || errno == EINTR;
		fa_output_add(&j->text, buf, (size_t)n);
	}
	return true;
}

static int
on_output(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct job *j = arg;

	(void)source, (void)fd, (void)revents;
	if (!drain(j))
		j->output = sd_event_source_disable_unref(j->output);
	return 0;
}

static void
exit_answer(struct job *j, const siginfo_t *si)
{
	char text[FA_LINE_MAX];
	bool exited = si->si_code == CLD_EXITED;
	enum fa_result result = FA_FAILED;

	fa_output_text(&j->text, &j->f, &j->values, text);
	if (j->cancelled)
		result = FA_TIMEOUT;
	else if (exited)
		result = fa_result_of(j->action, si->si_status);
	if (result == FA_FAILED && text[0] == '\0')
		snprintf(text, sizeof(text), "%s %d",
		    exited ? "exit" : "signal", si->si_status);
	if (result == FA_TIMEOUT && text[0] == '\0')
		strlcpy(text, "killed, it said nothing", sizeof(text));
	job_answer(j, result, text);
}

static int
child_exited(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct job *j = arg;
	siginfo_t si = {0};

	(void)source, (void)revents;
	/* First what it left behind in its group, then the leader itself. */
	if (waitid(P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG | WNOWAIT) == -1 ||
	    si.si_pid == 0)
		return 0;
	job_kill(j);
	if (waitid(P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG) == -1)
		return 0;
	j->pid = 0;
	(void)drain(j);
	if (!j->answered)
		exit_answer(j, &si);
	job_free(j);
	return 0;
}

static void
job_stop(struct job *j)
{
	j->cancelled = true;
	job_kill(j);
	loop_timer_at(j->timer, mt_add_ms(loop_now(), GONE_MS));
}

/* Past its deadline, or killed and not gone. */
static void
job_timer(void *arg, monotime_t now)
{
	struct job *j = arg;

	(void)now;
	if (!j->cancelled)
		job_stop(j);
	else if (!j->answered)
		job_answer(j, FA_TIMEOUT,
		    j->starting ? "it could not even be started"
				: "killed, and still there");
}

static int
watch(struct job *j)
{
	int r;

	j->pidfd = (int)syscall(SYS_pidfd_open, j->pid, 0);
	if (j->pidfd == -1)
		return -errno;
	r = sd_event_add_io(
	    j->fence->event, &j->exit, j->pidfd, EPOLLIN, child_exited, j);
	if (r >= 0)
		r = sd_event_add_io(
		    j->fence->event, &j->output, j->out, EPOLLIN, on_output, j);
	return r;
}

static void
reap(struct job *j)
{
	job_kill(j);
	while (waitpid(j->pid, NULL, 0) == -1 && errno == EINTR)
		;
	j->pid = 0;
}

static void
start_done(void *arg, int result)
{
	struct job *j = arg;
	int r = 0;

	j->starting = false;
	if (result == 0 && j->fence->closing) {
		reap(j);
	} else if (result == 0 && (r = watch(j)) < 0) {
		reap(j);
		snprintf(j->error, sizeof(j->error), "cannot watch %s: %s",
		    j->path, strerror(-r));
	} else if (result == 0) {
		/* Cancelled while it was being started. */
		if (j->cancelled)
			job_kill(j);
		return;
	}
	if (!j->answered)
		job_answer(j, j->cancelled ? FA_TIMEOUT : FA_FAILED, j->error);
	job_free(j);
}

void
fence_run(struct fence *f, const struct conf_fence *conf, const char *node,
    enum fa_action action, uint32_t token)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		fatal("fence: calloc");
	ASSERT(!f->closing && conf->n_params <= HAD_FENCE_PARAMS_MAX);
	j->fence = f;
	j->f = *conf;
	j->action = action;
	j->token = token;
	j->pidfd = j->out = -1;
	strlcpy(j->node, node, sizeof(j->node));
	snprintf(j->path, sizeof(j->path), "%s%s",
	    strchr(conf->agent, '/') == NULL ? "/usr/sbin/" : "", conf->agent);
	for (unsigned i = 0; i < conf->n_params; i++)
		if (!conf->params[i].file)
			strlcpy(j->values.values[i], conf->params[i].value,
			    HAD_VALUE_MAX);
	TAILQ_INSERT_TAIL(&f->jobs, j, next);
	j->timer = loop_timer_new(f->event, job_timer, j);
	loop_timer_at(j->timer,
	    mt_add_ms(loop_now(), (int64_t)conf->timeout_ms + FENCE_GRACE_MS));
	j->starting = true;
	if (worker_submit(f->worker, start_run, start_done, j) == -1)
		fatal("fence: worker");
}

void
fence_cancel(struct fence *f, uint32_t token)
{
	struct job *j;

	TAILQ_FOREACH (j, &f->jobs, next)
		if (j->token == token && !j->cancelled && !j->answered)
			break;
	if (j != NULL)
		job_stop(j);
}

struct fence *
fence_new(sd_event *event, fence_done done, void *ctx)
{
	struct fence *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	TAILQ_INIT(&f->jobs);
	f->event = event;
	f->done = done;
	f->ctx = ctx;
	f->worker = worker_new(event);
	if (f->worker != NULL)
		return f;
	free(f);
	return NULL;
}

void
fence_free(struct fence *f)
{
	struct job *j;

	if (f == NULL)
		return;
	f->closing = true;
	/* Those that are being started end in start_done. */
	worker_free(f->worker);
	while ((j = TAILQ_FIRST(&f->jobs)) != NULL) {
		if (j->pid > 0)
			reap(j);
		job_free(j);
	}
	free(f);
}
