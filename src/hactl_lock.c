/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl lock: a lock of the cluster held while a command runs.
 *
 * Who may be granted the lock next, and when, decides how the command dies:
 *
 *	LOST with a grace	SIGTERM, SIGKILL after half of the grace
 *	this lock lost		SIGKILL: it was granted to others already
 *	the daemon gone		SIGKILL: its peer may take over at once
 *	hactl killed		SIGKILL by the kernel (PR_SET_PDEATHSIG)
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "hactl_lock.h"
#include "halock.h"

enum { LOCK = 1, UNLOCK = 2, UNLOCK_MS = 1000 };

/* What the exit status says besides that of the command. */
enum { EXIT_BUSY = EX_TEMPFAIL, EXIT_LOST = EX_IOERR };

struct hold {
	const char *socket, *space, *name; /* borrowed */
	char **command; /* borrowed; NULL: none */
	enum halock_mode mode;
	bool noqueue;
	uint32_t wait_ms; /* 0: for ever */
	struct halock *h; /* owned */
	int signals; /* signalfd */
	uint64_t lock, token;
	bool granted, lost, terminal;
	pid_t child; /* its process group, too; 0: not running */
	int status; /* of the child */
	int64_t until_ms, kill_ms; /* deadlines, 0: none */
};

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int
usage(void)
{
	fprintf(stderr, "usage: hactl lock [-s space] [-m mode] "
			"[-n | -w seconds] [-S socket]\n"
			"                  name [-- command ...]\n");
	return EX_USAGE;
}

static bool
parse_seconds(const char *s, uint32_t *ms)
{
	char *end;
	double d;

	errno = 0;
	d = strtod(s, &end);
	if (errno != 0 || end == s || *end != '\0' || !(d > 0) || d > 4e6)
		return false;
	*ms = (uint32_t)(d * 1000 + 0.5);
	if (*ms == 0)
		*ms = 1;
	return true;
}

/* 0, or the exit status after a message. */
static int
parse(struct hold *o, int argc, char **argv)
{
	int c, mode;

	optind = 0; /* hactl has used getopt before: begin anew */
	while ((c = getopt(argc, argv, "+s:m:nw:S:")) != -1) {
		switch (c) {
		case 's':
			o->space = optarg;
			break;
		case 'm':
			mode = halock_mode_parse(optarg);
			if (mode == -1) {
				fprintf(stderr,
				    "hactl: lock: %s: not a mode: "
				    "NL CR CW PR PW EX\n",
				    optarg);
				return EX_USAGE;
			}
			o->mode = (enum halock_mode)mode;
			break;
		case 'n':
			o->noqueue = true;
			break;
		case 'w':
			if (!parse_seconds(optarg, &o->wait_ms)) {
				fprintf(stderr,
				    "hactl: lock: %s: not a "
				    "number of seconds\n",
				    optarg);
				return EX_USAGE;
			}
			break;
		case 'S':
			o->socket = optarg;
			break;
		default:
			return usage();
		}
	}
	if (optind >= argc || (o->noqueue && o->wait_ms != 0))
		return usage();
	o->name = argv[optind++];
	if (strlen(o->name) < 1 || strlen(o->name) > HALOCK_NAME_MAX) {
		fprintf(stderr, "hactl: lock: a name has 1 to %d bytes\n",
		    HALOCK_NAME_MAX);
		return EX_USAGE;
	}
	if (optind == argc)
		return 0;
	if (strcmp(argv[optind], "--") != 0 || optind + 1 >= argc)
		return usage();
	o->command = &argv[optind + 1];
	return 0;
}

static int
complain(const struct hold *o, int status, const char *why)
{
	fprintf(stderr, "hactl: lock %s: %s\n", o->name, why);
	return status;
}

static int
submit_lock(struct hold *o)
{
	struct halock_req r = {.op = HALOCK_OP_LOCK,
	    .mode = o->mode,
	    .cookie = LOCK,
	    .flags = o->noqueue ? HALOCK_NOQUEUE : 0,
	    .name = o->name,
	    .name_len = strlen(o->name)};

	if (o->until_ms != 0) {
		int64_t left = o->until_ms - now_ms();

		r.timeout_ms = left > 0 ? (uint32_t)left : 1;
	}
	return halock_submit(o->h, &r, 1);
}

/* Signals arrive in the loop; the command gets the old mask back. */
static int
watch_signals(struct hold *o, sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, old);
	o->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return o->signals;
}

static _Noreturn void
run_command(const struct hold *o, const sigset_t *mask, pid_t parent)
{
	char token[24];
	int err;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The parent died before that: nobody holds the lock any more. */
	if (getppid() != parent)
		_exit(EXIT_LOST);
	if (o->terminal) {
		signal(SIGTTOU, SIG_IGN);
		tcsetpgrp(STDIN_FILENO, getpid());
		signal(SIGTTOU, SIG_DFL);
	}
	sigprocmask(SIG_SETMASK, mask, NULL);
	snprintf(token, sizeof(token), "%" PRIu64, o->token);
	setenv("HAD_LOCK_TOKEN", token, 1);
	execvp(o->command[0], o->command);
	err = errno;
	fprintf(stderr, "hactl: lock: %s: %s\n", o->command[0], strerror(err));
	_exit(err == ENOENT ? 127 : 126);
}

static int
start_command(struct hold *o, const sigset_t *mask)
{
	pid_t parent = getpid();

	o->terminal =
	    isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
	o->child = fork();
	if (o->child == 0)
		run_command(o, mask, parent);
	if (o->child == -1) {
		o->child = 0;
		return -1;
	}
	/* Both do it, so that it is done for whoever is first. */
	setpgid(o->child, o->child);
	return 0;
}

static void
kill_command(const struct hold *o, int sig)
{
	if (o->child > 0 && kill(-o->child, sig) == -1)
		kill(o->child, sig);
}

/* The lock is lost: the command has to end before others are granted. */
static void
lose(struct hold *o, uint32_t grace_ms, const char *why)
{
	if (!o->granted || o->lost)
		return;
	o->lost = true;
	fprintf(stderr, "hactl: lock %s: lost: %s\n", o->name, why);
	if (grace_ms < 2) {
		kill_command(o, SIGKILL);
		return;
	}
	kill_command(o, SIGTERM);
	kill_command(o, SIGCONT);
	o->kill_ms = now_ms() + grace_ms / 2;
}

/* A completion: -1, or the exit status. */
static int
on_done(struct hold *o, const struct halock_event *e)
{
	if (e->cookie != LOCK)
		return -1;
	switch (e->status) {
	case 0:
		o->granted = true;
		o->lock = e->lock;
		o->token = e->token;
		return -1;
	case ESTALE:
		/* Lost while it waited: it holds nothing and goes on. */
		if (submit_lock(o) == -1)
			return complain(o, EX_UNAVAILABLE, strerror(errno));
		return -1;
	case EAGAIN:
		return complain(o, EXIT_BUSY, "busy");
	case ETIMEDOUT:
		return complain(o, EXIT_BUSY, "not granted in time");
	default:
		return complain(o, EX_UNAVAILABLE, strerror(e->status));
	}
}

/* Everything that the daemon says: -1, or the exit status. */
static int
on_events(struct hold *o)
{
	struct halock_event e;
	int rc;

	while ((rc = halock_next(o->h, &e)) == 1) {
		if (e.type == HALOCK_DONE)
			rc = on_done(o, &e);
		else
			rc = -1;
		if (rc != -1)
			return rc;
		if (e.type == HALOCK_LOST)
			lose(o, e.grace_ms, "this node may not hold locks");
		else if (e.type == HALOCK_LOCK_LOST)
			lose(o, 0, "it was given to others");
	}
	if (rc == 0)
		return -1;
	if (!o->granted)
		return complain(o, EX_UNAVAILABLE, "the daemon is gone");
	lose(o, 0, "the daemon is gone");
	return -1;
}

static void
reap(struct hold *o)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != o->child)
			continue;
		if (WIFSTOPPED(status)) {
			/* Nobody could wake it: the shell knows only hactl. */
			if (WSTOPSIG(status) == SIGTSTP)
				kill_command(o, SIGCONT);
			continue;
		}
		o->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
						: WEXITSTATUS(status);
		/* What it left behind in its group has no lock any more. */
		if (o->lost)
			kill(-o->child, SIGKILL);
		o->child = 0;
	}
}

/* -1, or the exit status: a signal ends it unless a command gets it. */
static int
on_signals(struct hold *o)
{
	struct signalfd_siginfo si;

	while (read(o->signals, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			reap(o);
		else if (o->child > 0)
			kill_command(o, (int)si.ssi_signo);
		else if (o->command == NULL && o->granted)
			return EX_OK;
		else
			return 128 + (int)si.ssi_signo;
	}
	return -1;
}

static int
timeout_of(const struct hold *o)
{
	int64_t left;

	if (o->kill_ms == 0)
		return -1;
	left = o->kill_ms - now_ms();
	return left > 0 ? (int)left : 0;
}

/* Sleeps until something happens: -1, or the exit status. */
static int
wait_once(struct hold *o)
{
	struct pollfd fds[3] = {
	    {.fd = halock_fd(o->h), .events = POLLIN},
	    {.fd = o->signals, .events = POLLIN},
	    {.fd = o->granted && o->command == NULL ? STDIN_FILENO : -1,
		.events = POLLIN},
	};
	char buf[512];
	int rc;

	/* A daemon that is gone stays readable: no more to hear from it. */
	if (o->lost)
		fds[0].fd = -1;
	if (poll(fds, 3, timeout_of(o)) == -1 && errno != EINTR)
		return complain(o, EX_OSERR, strerror(errno));
	if (o->kill_ms != 0 && now_ms() >= o->kill_ms) {
		kill_command(o, SIGKILL);
		o->kill_ms = 0;
	}
	if (fds[0].revents != 0 && (rc = on_events(o)) != -1)
		return rc;
	if (fds[1].revents != 0 && (rc = on_signals(o)) != -1)
		return rc;
	if (fds[2].revents != 0 && read(STDIN_FILENO, buf, sizeof(buf)) <= 0)
		return EX_OK;
	return -1;
}

/* Lets go, and waits a moment so that the next one finds it free. */
static void
unlock(struct hold *o)
{
	struct halock_req r = {
	    .op = HALOCK_OP_UNLOCK, .cookie = UNLOCK, .lock = o->lock};
	struct pollfd fd = {.fd = halock_fd(o->h), .events = POLLIN};
	struct halock_event e;
	int64_t end = now_ms() + UNLOCK_MS;

	if (halock_submit(o->h, &r, 1) == -1)
		return;
	while (poll(&fd, 1, (int)(end - now_ms())) > 0) {
		int rc;

		while ((rc = halock_next(o->h, &e)) == 1)
			if (e.type == HALOCK_DONE && e.cookie == UNLOCK)
				return;
		if (rc == -1 || now_ms() >= end)
			return;
	}
}

static int
hold(struct hold *o, const sigset_t *mask)
{
	int rc;

	if (o->wait_ms != 0)
		o->until_ms = now_ms() + o->wait_ms;
	if (submit_lock(o) == -1)
		return complain(o, EX_UNAVAILABLE, strerror(errno));
	while (!o->granted) {
		rc = wait_once(o);
		if (rc != -1)
			return rc;
	}
	if (o->command == NULL) {
		printf("%" PRIu64 "\n", o->token);
		fflush(stdout);
	} else if (!o->lost && start_command(o, mask) == -1) {
		return complain(o, EX_OSERR, strerror(errno));
	}
	while (!(o->lost && o->child == 0) &&
	       (o->command == NULL || o->child != 0)) {
		rc = wait_once(o);
		if (rc != -1)
			break;
	}
	if (o->lost)
		return EXIT_LOST;
	unlock(o);
	return o->command == NULL ? rc : o->status;
}

static int
open_space(struct hold *o)
{
	o->h = halock_open(o->socket, o->space);
	if (o->h != NULL)
		return 0;
	switch (errno) {
	case EACCES:
		fprintf(stderr, "hactl: lockspace %s: not in its group\n",
		    o->space);
		return EX_NOPERM;
	case ENOENT:
		fprintf(stderr,
		    "hactl: lockspace %s: no such lockspace, or had does not "
		    "run\n",
		    o->space);
		return EX_UNAVAILABLE;
	default:
		fprintf(stderr, "hactl: lockspace %s: %s\n", o->space,
		    strerror(errno));
		return EX_UNAVAILABLE;
	}
}

int
hactl_lock(int argc, char **argv)
{
	struct hold o = {.space = "default", .mode = HALOCK_EX, .signals = -1};
	sigset_t mask;
	int rc = parse(&o, argc, argv);

	if (rc != 0)
		return rc;
	rc = open_space(&o);
	if (rc != 0)
		return rc;
	if (watch_signals(&o, &mask) == -1) {
		rc = complain(&o, EX_OSERR, strerror(errno));
	} else {
		rc = hold(&o, &mask);
		if (o.terminal) {
			signal(SIGTTOU, SIG_IGN);
			tcsetpgrp(STDIN_FILENO, getpgrp());
			signal(SIGTTOU, SIG_DFL);
		}
		close(o.signals);
		sigprocmask(SIG_SETMASK, &mask, NULL);
	}
	halock_close(o.h);
	return rc;
}
