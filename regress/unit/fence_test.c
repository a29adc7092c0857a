/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver of fence agents, with the lab's agents and small scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bsd/string.h>

#include "fence.h"
#include "log.h"
#include "loop.h"

struct world {
	struct loop *loop;
	struct fence *fence;
	struct conf_fence f;
	char dir[64];
	int answers;
	uint32_t token;
	enum fa_result result;
	char text[512];
};

static void
done(void *ctx, uint32_t token, enum fa_result result, const char *text)
{
	struct world *w = ctx;

	w->answers++;
	w->token = token;
	w->result = result;
	strlcpy(w->text, text, sizeof(w->text));
}

static void
param(struct world *w, const char *name, const char *value, bool file)
{
	struct conf_fence_param *p = &w->f.params[w->f.n_params++];

	strlcpy(p->name, name, sizeof(p->name));
	strlcpy(p->value, value, sizeof(p->value));
	p->file = file;
}

static void
path_in(const struct world *w, const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", w->dir, name);
}

static void
put(const struct world *w, const char *name, const char *text, mode_t mode)
{
	char path[128];
	FILE *f;

	path_in(w, name, path);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
get(const struct world *w, const char *name, char *buf, size_t size)
{
	char path[128];
	size_t n;
	FILE *f;

	path_in(w, name, path);
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(buf, 1, size - 1, f);
	buf[n] = '\0';
	fclose(f);
}

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	log_init("fence_test", 0, false);
	strlcpy(w->dir, "/tmp/fence_test.XXXXXX", sizeof(w->dir));
	assert_non_null(mkdtemp(w->dir));
	w->loop = loop_new();
	w->fence = fence_new(loop_event(w->loop), done, w);
	assert_non_null(w->fence);
	w->f.timeout_ms = 60 * 1000;
	param(w, "state", w->dir, false);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;
	char command[128];

	fence_free(w->fence);
	loop_free(w->loop);
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

/* An agent of the lab; the tests are run from the top of the tree. */
static void
agent(struct world *w, const char *name)
{
	char cwd[160];

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(w->f.agent, sizeof(w->f.agent), "%s/regress/lab/agents/%s",
	    cwd, name);
}

static void
script(struct world *w, const char *text)
{
	put(w, "agent", text, 0755);
	path_in(w, "agent", w->f.agent);
}

static void
answer(struct world *w)
{
	w->answers = 0;
	while (w->answers == 0)
		assert_true(sd_event_run(loop_event(w->loop), UINT64_MAX) >= 0);
}

static void
go(struct world *w, enum fa_action action)
{
	uint32_t token = w->token + 1;

	w->answers = 0;
	fence_run(w->fence, &w->f, "bravo", action, token);
	assert_int_equal(w->answers, 0);
	answer(w);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->token, token);
}

static void
an_agent_switches_and_tells(void **state)
{
	struct world *w = *state;
	char buf[256];

	agent(w, "fence_ok");
	go(w, FA_MONITOR);
	assert_int_equal(w->result, FA_OK);
	go(w, FA_STATUS);
	assert_int_equal(w->result, FA_IS_ON);
	assert_string_equal(w->text, "Status: ON");
	go(w, FA_OFF);
	assert_int_equal(w->result, FA_OK);
	assert_string_equal(w->text, "Success: Powered OFF");
	go(w, FA_STATUS);
	assert_int_equal(w->result, FA_IS_OFF);
	go(w, FA_ON);
	assert_int_equal(w->result, FA_OK);
	go(w, FA_STATUS);
	assert_int_equal(w->result, FA_IS_ON);
	get(w, "log", buf, sizeof(buf));
	assert_string_equal(buf, "fence_ok monitor bravo\n"
				 "fence_ok status bravo\nfence_ok off bravo\n"
				 "fence_ok status bravo\nfence_ok on bravo\n"
				 "fence_ok status bravo\n");
}

static void
a_liar_is_found_out_by_status(void **state)
{
	struct world *w = *state;

	agent(w, "fence_liar");
	go(w, FA_OFF);
	assert_int_equal(w->result, FA_OK);
	go(w, FA_STATUS);
	assert_int_equal(w->result, FA_IS_ON);
}

static void
a_failure_has_its_words(void **state)
{
	struct world *w = *state;

	agent(w, "fence_fail");
	go(w, FA_OFF);
	assert_int_equal(w->result, FA_FAILED);
	assert_string_equal(
	    w->text, "Unable to connect/login to fencing device");
	go(w, FA_STATUS);
	assert_int_equal(w->result, FA_FAILED);
	/* One that has none. */
	script(w, "#!/bin/sh\nexit 3\n");
	go(w, FA_OFF);
	assert_int_equal(w->result, FA_FAILED);
	assert_string_equal(w->text, "exit 3");
	script(w, "#!/bin/sh\nkill -SEGV $$\n");
	go(w, FA_STATUS);
	assert_int_equal(w->result, FA_FAILED);
	assert_string_equal(w->text, "signal 11");
}

static void
what_cannot_be_run_has_failed(void **state)
{
	struct world *w = *state;

	strlcpy(w->f.agent, "fence_that_is_not_there", sizeof(w->f.agent));
	go(w, FA_STATUS);
	assert_int_equal(w->result, FA_FAILED);
	assert_string_equal(w->text, "cannot run /usr/sbin/"
				     "fence_that_is_not_there: No such file or "
				     "directory");
	put(w, "plain", "#!/bin/sh\nexit 0\n", 0644);
	path_in(w, "plain", w->f.agent);
	go(w, FA_OFF);
	assert_int_equal(w->result, FA_FAILED);
	assert_non_null(strstr(w->text, "plain: Permission denied"));
}

/* Until the agent has written the file. */
static int
poll_file(sd_event_source *source, uint64_t usec, void *arg)
{
	struct world *w = arg;
	char path[128];
	struct stat st;

	path_in(w, "child", path);
	if (stat(path, &st) == 0 && st.st_size > 0) {
		fence_cancel(w->fence, w->token + 1);
		return 0;
	}
	assert_true(sd_event_source_set_time(source, usec + 10000) >= 0);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static bool
dead(const struct world *w, const char *name)
{
	char buf[32], stat_path[64], c = 0;
	FILE *f;

	get(w, name, buf, sizeof(buf));
	snprintf(stat_path, sizeof(stat_path), "/proc/%d/stat", atoi(buf));
	f = fopen(stat_path, "re");
	if (f == NULL)
		return true;
	if (fscanf(f, "%*d %*s %c", &c) != 1)
		c = 'X';
	fclose(f);
	/* A zombie that init has not yet looked at is gone as well. */
	return c == 'Z' || c == 'X';
}

/* Those of the group that are not the leader may die a moment later. */
static bool
gone(const struct world *w, const char *name)
{
	monotime_t until = mt_add_ms(loop_now(), 10000);

	while (!dead(w, name) && mt_before(loop_now(), until))
		sd_event_run(loop_event(w->loop), 10000);
	return dead(w, name);
}

static void
cancel_kills_it_and_its_children(void **state)
{
	struct world *w = *state;
	sd_event_source *poll = NULL;

	agent(w, "fence_hang");
	assert_true(
	    sd_event_add_time(loop_event(w->loop), &poll, CLOCK_BOOTTIME,
		(uint64_t)loop_now().us, 1000, poll_file, w) >= 0);
	go(w, FA_OFF);
	sd_event_source_disable_unref(poll);
	assert_int_equal(w->result, FA_TIMEOUT);
	assert_string_equal(w->text, "connecting");
	assert_true(gone(w, "pid"));
	assert_true(gone(w, "child"));
	/* It has been answered: nothing more comes of it. */
	fence_cancel(w->fence, w->token);
	fence_cancel(w->fence, 4711);
}

static void
the_deadline_needs_no_cancel(void **state)
{
	struct world *w = *state;
	monotime_t start = loop_now();

	agent(w, "fence_hang");
	w->f.timeout_ms = 500;
	go(w, FA_OFF);
	assert_int_equal(w->result, FA_TIMEOUT);
	assert_true(
	    mt_sub_us(loop_now(), start) >= (500 + FENCE_GRACE_MS) * 1000);
	assert_true(gone(w, "pid"));
}

static void
cancel_before_it_runs(void **state)
{
	struct world *w = *state;

	agent(w, "fence_ok");
	fence_run(w->fence, &w->f, "bravo", FA_OFF, 9);
	fence_cancel(w->fence, 9);
	answer(w);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->token, 9);
	assert_int_equal(w->result, FA_TIMEOUT);
}

static void
free_kills_and_is_silent(void **state)
{
	struct world *w = *state;

	agent(w, "fence_hang");
	fence_run(w->fence, &w->f, "bravo", FA_OFF, 1);
	fence_run(w->fence, &w->f, "alpha", FA_OFF, 2);
	for (int i = 0; i < 1000 && w->answers == 0; i++) {
		char path[128];

		path_in(w, "child", path);
		if (access(path, F_OK) == 0)
			break;
		sd_event_run(loop_event(w->loop), 10000);
	}
	fence_free(w->fence);
	assert_int_equal(w->answers, 0);
	assert_true(gone(w, "pid"));
	w->fence = fence_new(loop_event(w->loop), done, w);
}

static void
secrets_reach_only_standard_input(void **state)
{
	struct world *w = *state;
	char path[128], buf[4096];

	put(w, "pw", "hunter2\nsecond line\n", 0600);
	path_in(w, "pw", path);
	param(w, "passwd", path, true);
	script(w, "#!/bin/sh\n"
		  "d=$(dirname $0)\n"
		  "tr '\\0' '\\n' </proc/$$/environ >$d/env\n"
		  "tr '\\0' '\\n' </proc/$$/cmdline >$d/args\n"
		  "cat >$d/stdin\n"
		  "ls /proc/self/fd >$d/fds\n"
		  "echo login with hunter2 failed\nexit 1\n");
	go(w, FA_STATUS);
	assert_int_equal(w->result, FA_FAILED);
	assert_string_equal(w->text, "login with *** failed");
	get(w, "stdin", buf, sizeof(buf));
	assert_non_null(strstr(buf, "\npasswd=hunter2\n"));
	assert_null(strstr(buf, "second"));
	get(w, "env", buf, sizeof(buf));
	assert_null(strstr(buf, "hunter2"));
	assert_non_null(strstr(buf, "LC_ALL=C\n"));
	get(w, "args", buf, sizeof(buf));
	assert_null(strstr(buf, "hunter2"));
	get(w, "fds", buf, sizeof(buf));
	/* 3 is the directory that ls reads. */
	assert_string_equal(buf, "0\n1\n2\n3\n");
}

static void
a_parameter_file_that_cannot_be_read_fails(void **state)
{
	struct world *w = *state;
	char path[128], want[256];

	agent(w, "fence_ok");
	path_in(w, "nothing", path);
	param(w, "passwd", path, true);
	go(w, FA_STATUS);
	assert_int_equal(w->result, FA_FAILED);
	snprintf(want, sizeof(want),
	    "parameter passwd: %s: No such file or directory", path);
	assert_string_equal(w->text, want);
	put(w, "nothing", "", 0600);
	go(w, FA_STATUS);
	assert_int_equal(w->result, FA_FAILED);
	snprintf(want, sizeof(want),
	    "parameter passwd: %s: its first line is empty", path);
	assert_string_equal(w->text, want);
}

static void
a_flood_of_output_and_an_unread_input(void **state)
{
	struct world *w = *state;
	char big[HAD_VALUE_MAX];

	memset(big, 'b', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	while (w->f.n_params < HAD_FENCE_PARAMS_MAX)
		param(w, "option", big, false);
	script(w, "#!/bin/sh\n"
		  "dd if=/dev/zero bs=65536 count=64 2>/dev/null\n"
		  "echo\necho done >&2\nexit 2\n");
	go(w, FA_STATUS);
	assert_int_equal(w->result, FA_IS_OFF);
	assert_string_equal(w->text, "done");
}

static void
several_run_at_once(void **state)
{
	struct world *w = *state;

	agent(w, "fence_hang");
	fence_run(w->fence, &w->f, "alpha", FA_OFF, 70);
	agent(w, "fence_ok");
	go(w, FA_STATUS);
	assert_int_equal(w->result, FA_IS_ON);
	fence_cancel(w->fence, 70);
	answer(w);
	assert_int_equal(w->token, 70);
	assert_int_equal(w->result, FA_TIMEOUT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(an_agent_switches_and_tells),
	    TEST(a_liar_is_found_out_by_status),
	    TEST(a_failure_has_its_words),
	    TEST(what_cannot_be_run_has_failed),
	    TEST(cancel_kills_it_and_its_children),
	    TEST(the_deadline_needs_no_cancel),
	    TEST(cancel_before_it_runs),
	    TEST(free_kills_and_is_silent),
	    TEST(secrets_reach_only_standard_input),
	    TEST(a_parameter_file_that_cannot_be_read_fails),
	    TEST(a_flood_of_output_and_an_unread_input),
	    TEST(several_run_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
