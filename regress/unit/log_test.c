/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines that are held: none is lost, none overtakes another, each has its own
 * time, and whoever ends or fails does not take them along.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

static int file = -1, terminal = -1;
static char text[128 * 1024];

/* What was written since setup, without the times. */
static const char *
written(void)
{
	static char out[sizeof(text)];
	ssize_t n = pread(file, text, sizeof(text) - 1, 0);
	char *line, *rest = text;
	size_t used = 0;

	assert_true(n >= 0);
	text[n] = out[0] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		const char *t = strstr(line, "test: ");

		assert_non_null(t);
		used += (size_t)snprintf(
		    out + used, sizeof(out) - used, "%s|", t + 6);
	}
	return out;
}

static int
setup(void **state)
{
	(void)state;
	file = memfd_create("log", MFD_CLOEXEC);
	terminal = dup(STDERR_FILENO);
	if (file < 0 || terminal < 0 || dup2(file, STDERR_FILENO) < 0)
		return -1;
	log_init("test", 0, false);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	log_release();
	dup2(terminal, STDERR_FILENO);
	close(terminal);
	close(file);
	return 0;
}

static void
test_at_once(void **state)
{
	(void)state;
	log_info("one");
	assert_string_equal(written(), "info: one|");
}

static void
test_held(void **state)
{
	(void)state;
	log_hold();
	log_at(HAD_INFO, "R1", "node a", "one");
	log_info("two %d", 2);
	log_debug("not wanted");
	assert_string_equal(written(), "");
	log_release();
	assert_string_equal(written(), "info: node a: one [R1]|info: two 2|");
	log_info("three");
	assert_string_equal(
	    written(), "info: node a: one [R1]|info: two 2|info: three|");
	log_release();
	assert_string_equal(
	    written(), "info: node a: one [R1]|info: two 2|info: three|");
}

static void
test_trouble_does_not_wait(void **state)
{
	(void)state;
	log_hold();
	log_info("one");
	log_warnx("two");
	assert_string_equal(written(), "info: one|warning: two|");
	log_info("three");
	assert_string_equal(written(), "info: one|warning: two|");
	log_release();
	assert_string_equal(written(), "info: one|warning: two|info: three|");
}

static void *
warn(void *arg)
{
	(void)arg;
	log_warnx("two");
	log_info("three");
	return NULL;
}

/* Another thread neither waits nor writes what is held here. */
static void
test_of_one_thread(void **state)
{
	pthread_t thread;

	(void)state;
	log_hold();
	log_info("one");
	assert_int_equal(pthread_create(&thread, NULL, warn, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_string_equal(written(), "warning: two|info: three|");
	log_release();
	assert_string_equal(written(), "warning: two|info: three|info: one|");
}

/* The time is that of the line, not of its writing. */
static void
test_times(void **state)
{
	double held, direct;

	(void)state;
	log_hold();
	log_info("one");
	usleep(20000);
	log_release();
	log_info("two");
	assert_string_equal(written(), "info: one|info: two|");
	/* written() cut it into lines. */
	held = strtod(text, NULL);
	direct = strtod(text + strlen(text) + 1, NULL);
	assert_true(direct - held >= 0.02);
}

/* More than there is room for is written earlier, in order. */
static void
test_many(void **state)
{
	unsigned next = 0, before;
	const char *p;
	char want[32];

	(void)state;
	log_hold();
	for (unsigned i = 0; i < 1000; i++)
		log_info("line number %u of a thousand", i);
	p = written();
	assert_true(*p != '\0');
	before = (unsigned)strlen(p);
	log_release();
	p = written();
	assert_true(strlen(p) > before);
	for (; *p != '\0'; p = strchr(p, '|') + 1) {
		snprintf(want, sizeof(want), "info: line number %u ", next++);
		assert_memory_equal(p, want, strlen(want));
	}
	assert_int_equal(next, 1000);
}

static int
child(void (*end)(void))
{
	static const struct rlimit none = {0, 0};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		log_hold();
		log_info("one");
		end();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
ends_badly(void)
{
	fatalx("two");
}

static void
asserts(void)
{
	had_assert_fail("log_test.c", 7, "pigs fly");
}

static void
test_the_end(void **state)
{
	int status;

	(void)state;
	status = child(ends_badly);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_string_equal(written(), "info: one|error: two|");
	status = child(asserts);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_string_equal(written(),
	    "info: one|error: two|info: one|"
	    "log_test.c:7: assertion failed: pigs fly|");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(at_once),
	    T(held),
	    T(trouble_does_not_wait),
	    T(of_one_thread),
	    T(times),
	    T(many),
	    T(the_end),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
