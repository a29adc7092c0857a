/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl lock: exit statuses, who waits for whom, and that the command is dead
 * before anybody else may have the lock.
 */
#include "lock_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sysexits.h>
#include <time.h>

#include "hactl_lock.h"
#include "halock.h"

static int
setup(void **state)
{
	struct server *s = calloc(1, sizeof(*s));

	server_start(s);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	server_end(*state);
	free(*state);
	return 0;
}

/* A hactl lock in a process of its own; its streams are pipes. */
struct run {
	pid_t pid;
	int in, out, err;
};

static void
start(struct run *r, const struct server *s, const char *const *args)
{
	int in[2], out[2], err[2];
	char *argv[32];
	int argc = 0;

	argv[argc++] = strdup("lock");
	argv[argc++] = strdup("-S");
	argv[argc++] = strdup(s->path);
	for (; *args != NULL; args++)
		argv[argc++] = strdup(*args);
	argv[argc] = NULL;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	r->pid = fork();
	assert_int_not_equal(r->pid, -1);
	if (r->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		/* Not the ends of other runs: they would never end. */
		close_range(3, ~0U, 0);
		_exit(hactl_lock(argc, argv));
	}
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	r->in = in[1];
	r->out = out[0];
	r->err = err[0];
}

#define START(r, s, ...) start(r, s, (const char *const[]){__VA_ARGS__, NULL})

/* Its exit status (128 + signal). */
static int
end(struct run *r)
{
	int status;

	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	close(r->in);
	close(r->out);
	close(r->err);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

/* Reads a line; "" at the end. */
static void
line(int fd, char *buf, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && read(fd, buf + n, 1) == 1 && buf[n] != '\n')
		n++;
	buf[n] = '\0';
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#define RUN(status, s, ...) \
	do { \
		struct run run_; \
\
		START(&run_, s, __VA_ARGS__); \
		assert_int_equal(end(&run_), status); \
	} while (0)

static void
it_exits_as_its_command(void **state)
{
	struct server *s = *state;

	RUN(0, s, "job", "--", "true");
	RUN(7, s, "job", "--", "sh", "-c", "exit 7");
	RUN(128 + SIGKILL, s, "job", "--", "sh", "-c", "kill -9 $$");
	RUN(127, s, "job", "--", "/nonexistent");
	RUN(126, s, "job", "--", "/etc/passwd");
}

static void
wrong_words_are_refused(void **state)
{
	struct server *s = *state;
	struct run r;
	char text[128];

	RUN(EX_USAGE, s, "-n", "-w", "1", "job", "--", "true");
	RUN(EX_USAGE, s, "-m", "XX", "job", "--", "true");
	RUN(EX_USAGE, s, "-w", "soon", "job", "--", "true");
	RUN(EX_USAGE, s, "-w", "-1", "job", "--", "true");
	RUN(EX_USAGE, s, "-z", "job", "--", "true");
	RUN(EX_USAGE, s, "job", "true");
	RUN(EX_USAGE, s, "job", "--");
	RUN(EX_USAGE, s, "-n");
	RUN(EX_USAGE, s, "", "--", "true");
	RUN(EX_NOPERM, s, "-s", "closed", "job", "--", "true");
	START(&r, s, "-s", "nosuch", "job", "--", "true");
	line(r.err, text, sizeof(text));
	assert_string_equal(text, "hactl: lockspace nosuch: no such "
				  "lockspace, or had does not run");
	assert_int_equal(end(&r), EX_UNAVAILABLE);
}

static void
the_command_finds_the_token(void **state)
{
	struct server *s = *state;
	struct run r;
	char a[64], b[64];

	START(&r, s, "job", "--", "sh", "-c", "echo $HAD_LOCK_TOKEN");
	line(r.out, a, sizeof(a));
	assert_int_equal(end(&r), 0);
	START(&r, s, "job", "--", "sh", "-c", "echo $HAD_LOCK_TOKEN");
	line(r.out, b, sizeof(b));
	assert_int_equal(end(&r), 0);
	assert_true(strtoull(b, NULL, 10) > strtoull(a, NULL, 10));
	assert_true(strtoull(a, NULL, 10) > 0);
}

static void
one_waits_for_the_other(void **state)
{
	struct server *s = *state;
	struct run first, second, third;
	char text[64];
	int64_t begin;

	START(&first, s, "job", "--", "sh", "-c", "echo on; read x; echo off");
	line(first.out, text, sizeof(text));
	assert_string_equal(text, "on");
	RUN(EX_TEMPFAIL, s, "-n", "job", "--", "true");
	begin = now_ms();
	RUN(EX_TEMPFAIL, s, "-w", "0.2", "job", "--", "true");
	assert_in_range(now_ms() - begin, 200, 5000);
	/* Another name, another mode: not in the way. */
	RUN(0, s, "-n", "other", "--", "true");
	RUN(0, s, "-n", "-m", "NL", "job", "--", "true");
	START(&second, s, "-m", "pr", "job", "--", "sh", "-c",
	    "echo two; read x");
	START(&third, s, "-w", "60", "-m", "PR", "job", "--", "sh", "-c",
	    "echo three; read x");
	assert_int_equal(write(first.in, "\n", 1), 1);
	line(first.out, text, sizeof(text));
	assert_string_equal(text, "off");
	assert_int_equal(end(&first), 0);
	line(second.out, text, sizeof(text));
	assert_string_equal(text, "two");
	line(third.out, text, sizeof(text));
	assert_string_equal(text, "three");
	close(second.in);
	second.in = dup(2);
	close(third.in);
	third.in = dup(2);
	/* read at the end of input fails */
	assert_int_equal(end(&second), 1);
	assert_int_equal(end(&third), 1);
	/* It is free as soon as hactl has ended. */
	RUN(0, s, "-n", "job", "--", "true");
}

static void
without_a_command_it_holds_until_told(void **state)
{
	struct server *s = *state;
	struct run r;
	char text[64];

	START(&r, s, "job");
	line(r.out, text, sizeof(text));
	assert_true(strtoull(text, NULL, 10) > 0);
	RUN(EX_TEMPFAIL, s, "-n", "job", "--", "true");
	close(r.in);
	r.in = dup(2);
	assert_int_equal(end(&r), 0);
	START(&r, s, "job");
	line(r.out, text, sizeof(text));
	kill(r.pid, SIGTERM);
	assert_int_equal(end(&r), 0);
	RUN(0, s, "-n", "job", "--", "true");
}

static void
signals_go_to_the_command(void **state)
{
	struct server *s = *state;
	struct run r, waiting;
	char text[64];

	START(&r, s, "job", "--", "sh", "-c",
	    "trap 'echo caught; exit 9' TERM; echo on; while :; do "
	    "read x; done");
	line(r.out, text, sizeof(text));
	START(&waiting, s, "job", "--", "true");
	kill(r.pid, SIGTERM);
	line(r.out, text, sizeof(text));
	assert_string_equal(text, "caught");
	assert_int_equal(end(&r), 9);
	assert_int_equal(end(&waiting), 0);
}

static void
a_lost_lock_ends_the_command_in_time(void **state)
{
	struct server *s = *state;
	struct run r;
	char text[64];
	int64_t begin;

	START(&r, s, "job", "--", "sh", "-c",
	    "trap 'echo term' TERM; echo on; "
	    "while :; do read x || exec 0</dev/zero; done");
	line(r.out, text, sizeof(text));
	assert_string_equal(text, "on");
	begin = now_ms();
	server_tell(s, 'L');
	line(r.err, text, sizeof(text));
	assert_string_equal(
	    text, "hactl: lock job: lost: this node may not hold locks");
	assert_int_equal(end(&r), EX_IOERR);
	/* Not at once, and well before others are granted. */
	assert_in_range(
	    now_ms() - begin, SERVER_GRACE_MS / 2, SERVER_GRACE_MS - 1);
}

static void
a_lost_lock_lets_the_command_clean_up(void **state)
{
	struct server *s = *state;
	struct run r;
	char text[64];

	START(&r, s, "job", "--", "sh", "-c",
	    "trap 'echo clean; exit 0' TERM; echo on; while :; do "
	    "read x; done");
	line(r.out, text, sizeof(text));
	server_tell(s, 'L');
	line(r.out, text, sizeof(text));
	assert_string_equal(text, "clean");
	assert_int_equal(end(&r), EX_IOERR);
}

/* Also what it started: the pipe ends when nobody has it any more. */
static void
the_death_of_the_daemon_kills_at_once(void **state)
{
	struct server *s = *state;
	struct run r;
	char text[64];
	int64_t begin;

	START(&r, s, "job", "--", "sh", "-c",
	    "trap '' TERM; sleep 100 & echo on; wait");
	line(r.out, text, sizeof(text));
	begin = now_ms();
	server_kill(s);
	line(r.out, text, sizeof(text));
	assert_string_equal(text, "");
	assert_int_equal(end(&r), EX_IOERR);
	assert_in_range(now_ms() - begin, 0, SERVER_GRACE_MS / 2);
	/* Without a daemon there are no locks. */
	RUN(EX_UNAVAILABLE, s, "job", "--", "true");
}

static void
the_death_of_hactl_kills_at_once(void **state)
{
	struct server *s = *state;
	struct run r;
	char text[64];

	START(&r, s, "job", "--", "sh", "-c",
	    "trap '' TERM; echo on; while :; do read x; done");
	line(r.out, text, sizeof(text));
	kill(r.pid, SIGKILL);
	line(r.out, text, sizeof(text));
	assert_string_equal(text, "");
	assert_int_equal(end(&r), 128 + SIGKILL);
	RUN(0, s, "-w", "60", "job", "--", "true");
}

static void
who_waits_goes_on_after_a_loss(void **state)
{
	struct server *s = *state;
	struct halock *h = halock_open(s->path, "default");
	struct halock_grant g;
	struct pollfd fd = {.events = POLLIN};
	struct halock_event e = {0};
	struct run r;

	assert_non_null(h);
	assert_int_equal(
	    halock_lock(h, "job", HALOCK_EX, HALOCK_BAST, 0, &g), 0);
	START(&r, s, "-w", "60", "job", "--", "true");
	/* It waits when this one is in its way. */
	fd.fd = halock_fd(h);
	while (e.type != HALOCK_BLOCKING) {
		assert_int_equal(poll(&fd, 1, 10000), 1);
		while (e.type != HALOCK_BLOCKING && halock_next(h, &e) == 1)
			;
	}
	server_tell(s, 'L');
	server_tell(s, 'R');
	assert_int_equal(end(&r), 0);
	halock_close(h);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(it_exits_as_its_command),
	    TEST(wrong_words_are_refused),
	    TEST(the_command_finds_the_token),
	    TEST(one_waits_for_the_other),
	    TEST(without_a_command_it_holds_until_told),
	    TEST(signals_go_to_the_command),
	    TEST(a_lost_lock_ends_the_command_in_time),
	    TEST(a_lost_lock_lets_the_command_clean_up),
	    TEST(the_death_of_the_daemon_kills_at_once),
	    TEST(the_death_of_hactl_kills_at_once),
	    TEST(who_waits_goes_on_after_a_loss),
	};

	/* Nothing here waits for ever. */
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
