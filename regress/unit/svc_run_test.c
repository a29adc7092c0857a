/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The service runner with real children.  Mounts need root and are made in a
 * mount namespace of the test's own; without root those tests are skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <poll.h>
#include <sys/syscall.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop.h"
#include "svc_run.h"

enum { COMMAND, MOUNT };

struct fixture {
	char dir[64], steps[96], srv[96], file[128];
	struct loop *loop;
	struct svc_run *run;
	struct conf_service *s;
	uint32_t token;
	bool stay; /* the loop goes on after the answer */
	/* The answer. */
	int answers;
	enum svc_result result;
	char text[SVC_RUN_TEXT];
};

static void
answered(void *ctx, uint16_t service, uint8_t step, enum svc_action action,
    uint32_t token, enum svc_result result, const char *text)
{
	struct fixture *f = ctx;

	(void)step;
	(void)action;
	assert_int_equal(service, 3);
	assert_int_equal(token, f->token);
	f->answers++;
	f->result = result;
	snprintf(f->text, sizeof(f->text), "%s", text);
	if (!f->stay)
		loop_exit(f->loop, 0);
}

static void
run_new(struct fixture *f)
{
	struct svc_run_conf c = {.steps_dir = f->steps};

	f->loop = loop_new();
	f->run = svc_run_new(loop_event(f->loop), &c, answered, f);
	assert_non_null(f->run);
}

static void
run_end(struct fixture *f)
{
	svc_run_free(f->run);
	loop_free(f->loop);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct conf_step *st;

	strcpy(f->dir, "/tmp/had-run-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->steps, sizeof(f->steps), "%s/steps", f->dir);
	snprintf(f->srv, sizeof(f->srv), "%s/a srv", f->dir);
	snprintf(f->file, sizeof(f->file), "%s/file", f->dir);
	f->s = calloc(1, sizeof(*f->s));
	strcpy(f->s->name, "shop");
	f->s->id = 3;
	f->s->n_steps = 2;
	st = &f->s->steps[COMMAND];
	st->type = CONF_STEP_COMMAND;
	strcpy(st->name, "server");
	st->timeout_ms = 2000;
	st = &f->s->steps[MOUNT];
	st->type = CONF_STEP_MOUNT;
	strcpy(st->dir, f->srv);
	strcpy(st->fstype, "tmpfs");
	st->timeout_ms = 5000;
	run_new(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	run_end(f);
	umount2(f->srv, MNT_DETACH);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
	assert_int_equal(system(command), 0);
	free(f->s);
	free(f);
	return 0;
}

/* Starts an action and waits for its answer. */
static enum svc_result
go(struct fixture *f, uint8_t step, enum svc_action action)
{
	f->answers = 0;
	f->text[0] = '\0';
	svc_run_go(f->run, f->s, step, action, ++f->token,
	    step == MOUNT ? "none" : NULL);
	assert_int_equal(f->answers, 0);
	loop_run(f->loop);
	assert_int_equal(f->answers, 1);
	return f->result;
}

/* A loop that was left cannot be run again: the next one. */
static enum svc_result
again(struct fixture *f, uint8_t step, enum svc_action action)
{
	run_end(f);
	run_new(f);
	return go(f, step, action);
}

static void
set(char *field, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(field, HAD_PATH_MAX, fmt, ap);
	va_end(ap);
}

/* The pid in f->file, once it is written there. */
static pid_t
pid_in_file(const struct fixture *f)
{
	FILE *in = fopen(f->file, "r");
	int pid = 0;

	assert_non_null(in);
	assert_int_equal(fscanf(in, "%d", &pid), 1);
	fclose(in);
	return pid;
}

/* Does it live on after so long?  One that was signalled needs a moment. */
static bool
lives(pid_t pid, int ms)
{
	struct pollfd p = {.events = POLLIN};
	int n;

	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p.fd < 0)
		return false;
	n = poll(&p, 1, ms);
	close(p.fd);
	return n == 0;
}

static void
exit_code_decides_and_the_last_line_is_told(void **state)
{
	struct fixture *f = *state;
	struct conf_step *st = &f->s->steps[COMMAND];

	set(st->start, "echo first; echo second 1>&2; echo");
	assert_int_equal(go(f, COMMAND, SVC_DO_START), SVC_RES_OK);
	assert_string_equal(f->text, "second");
	set(st->start, "echo 'no \001 disk'; exit 3");
	assert_int_equal(again(f, COMMAND, SVC_DO_START), SVC_RES_FAILED);
	assert_string_equal(f->text, "no   disk");
	set(st->start, "exit 3");
	assert_int_equal(again(f, COMMAND, SVC_DO_START), SVC_RES_FAILED);
	assert_string_equal(f->text, "exit 3");
	set(st->start, "kill -9 $$");
	assert_int_equal(again(f, COMMAND, SVC_DO_START), SVC_RES_FAILED);
	assert_string_equal(f->text, "signal 9");
}

static void
environment_and_directory(void **state)
{
	struct fixture *f = *state;

	set(f->s->steps[COMMAND].status,
	    "echo \"$HAD_SERVICE $HAD_STEP $PWD $(cat "
	    "/proc/self/oom_score_adj) ${HAD_RUN-none}\"; ls /proc/$$/fd | "
	    "wc -l >&2");
	assert_int_equal(go(f, COMMAND, SVC_DO_STATUS), SVC_RES_OK);
	/* Nothing but its three descriptors. */
	assert_string_equal(f->text, "3");
	set(f->s->steps[COMMAND].status,
	    "echo \"$HAD_SERVICE $HAD_STEP $PWD $(cat "
	    "/proc/self/oom_score_adj) ${HAD_RUN-none}\"");
	assert_int_equal(again(f, COMMAND, SVC_DO_STATUS), SVC_RES_OK);
	assert_string_equal(f->text, "shop 0 / 0 none");
}

static void
status_and_check(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(go(f, COMMAND, SVC_DO_STATUS), SVC_RES_OK);
	set(f->s->steps[COMMAND].status, "echo down; false");
	assert_int_equal(again(f, COMMAND, SVC_DO_STATUS), SVC_RES_FAILED);
	assert_string_equal(f->text, "down");
	set(f->s->check, "test $HAD_SERVICE = shop && echo fine");
	assert_int_equal(again(f, SVC_STEP_CHECK, SVC_DO_STATUS), SVC_RES_OK);
	assert_string_equal(f->text, "fine");
}

static void
cancel(void *ctx, monotime_t now)
{
	struct fixture *f = ctx;

	(void)now;
	svc_run_cancel(f->run, 4711);
	svc_run_cancel(f->run, f->token);
}

static void
cancel_in(struct fixture *f, int ms, enum svc_action action)
{
	struct loop_timer *t = loop_timer_new(loop_event(f->loop), cancel, f);

	loop_timer_at(t, mt_add_ms(loop_now(), ms));
	assert_int_equal(go(f, COMMAND, action), SVC_RES_TIMEOUT);
	loop_timer_free(t);
}

static void
cancelled_with_its_group(void **state)
{
	struct fixture *f = *state;

	set(f->s->steps[COMMAND].start, "sleep 60 & echo $! >'%s'; wait",
	    f->file);
	cancel_in(f, 100, SVC_DO_START);
	assert_false(lives(pid_in_file(f), 2000));
}

static void
cancelled_that_ignores_term_is_killed(void **state)
{
	struct fixture *f = *state;
	monotime_t begin = loop_now();

	set(f->s->steps[COMMAND].status,
	    "trap '' TERM; echo $$ >'%s'; while :; do sleep 0.05; done",
	    f->file);
	cancel_in(f, 50, SVC_DO_STATUS);
	assert_true(mt_sub_us(loop_now(), begin) >= 500 * 1000);
	assert_false(lives(pid_in_file(f), 2000));
}

/* stop "" ends what start left: its session, and who left the session. */
static void
stop_without_a_command(void **state)
{
	struct fixture *f = *state;
	pid_t pid;

	set(f->s->steps[COMMAND].start, "sleep 60 & echo $! >'%s'", f->file);
	assert_int_equal(go(f, COMMAND, SVC_DO_START), SVC_RES_OK);
	pid = pid_in_file(f);
	assert_true(lives(pid, 0));
	assert_int_equal(again(f, COMMAND, SVC_DO_STOP), SVC_RES_OK);
	assert_false(lives(pid, 2000));

	set(f->s->steps[COMMAND].start,
	    "setsid sh -c 'echo $$ >\"%s\"; exec sleep 60' & "
	    "while ! test -s '%s'; do sleep 0.01; done",
	    f->file, f->file);
	assert_int_equal(unlink(f->file), 0);
	assert_int_equal(again(f, COMMAND, SVC_DO_START), SVC_RES_OK);
	pid = pid_in_file(f);
	assert_true(lives(pid, 0));
	assert_int_equal(again(f, COMMAND, SVC_DO_STOP), SVC_RES_OK);
	assert_false(lives(pid, 2000));
	/* Once more: there is nothing. */
	assert_int_equal(again(f, COMMAND, SVC_DO_STOP), SVC_RES_OK);
}

/* TERM for half of the deadline, then KILL. */
static void
stop_of_one_that_ignores_term(void **state)
{
	struct fixture *f = *state;
	monotime_t begin;
	pid_t pid;

	f->s->steps[COMMAND].timeout_ms = 400;
	set(f->s->steps[COMMAND].start,
	    "sh -c 'trap \"\" TERM; echo $$ >\"%s\"; while :; do sleep "
	    "0.05; done' & while ! test -s '%s'; do sleep 0.01; done",
	    f->file, f->file);
	assert_int_equal(go(f, COMMAND, SVC_DO_START), SVC_RES_OK);
	pid = pid_in_file(f);
	begin = loop_now();
	assert_int_equal(again(f, COMMAND, SVC_DO_STOP), SVC_RES_OK);
	assert_true(mt_sub_us(loop_now(), begin) >= 200 * 1000);
	assert_false(lives(pid, 2000));
}

/* The daemon died: the next one finds what was left by the record. */
static void
leftovers_of_a_command(void **state)
{
	struct fixture *f = *state;
	pid_t pid;

	set(f->s->steps[COMMAND].start, "sleep 60 & echo $! >'%s'", f->file);
	set(f->s->steps[COMMAND].stop, "touch '%s/stopped'; exit 1", f->dir);
	assert_int_equal(go(f, COMMAND, SVC_DO_CLEAN), SVC_RES_OK);
	assert_int_equal(again(f, COMMAND, SVC_DO_START), SVC_RES_OK);
	pid = pid_in_file(f);
	assert_int_equal(again(f, COMMAND, SVC_DO_CLEAN), SVC_RES_OK);
	assert_false(lives(pid, 2000));
	/* Its own stop came first. */
	snprintf(f->file, sizeof(f->file), "%s/stopped", f->dir);
	assert_int_equal(access(f->file, F_OK), 0);
}

/* A stranger that got the number of the session is spared. */
static void
a_strangers_session_is_spared(void **state)
{
	struct fixture *f = *state;
	char path[160];
	pid_t pid;
	FILE *out;

	pid = fork();
	if (pid == 0) {
		setsid();
		execlp("sleep", "sleep", "60", NULL);
		_exit(1);
	}
	snprintf(path, sizeof(path), "%s/shop.0", f->steps);
	out = fopen(path, "w");
	assert_non_null(out);
	/* An older leader had this number once. */
	fprintf(out, "%d 1 some.other.run\n", pid);
	fclose(out);
	assert_int_equal(go(f, COMMAND, SVC_DO_CLEAN), SVC_RES_OK);
	assert_true(lives(pid, 0));
	assert_int_equal(access(path, F_OK), -1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* What a service prints is read as long as it runs. */
static void
chatty_service_is_not_blocked(void **state)
{
	struct fixture *f = *state;

	set(f->s->steps[COMMAND].start,
	    "(head -c 300000 /dev/zero | tr '\\0' x; echo >'%s') &", f->file);
	f->stay = true;
	svc_run_go(f->run, f->s, COMMAND, SVC_DO_START, ++f->token, NULL);
	for (int i = 0; i < 1000 && access(f->file, F_OK) == -1; i++)
		assert_true(sd_event_run(loop_event(f->loop), 10000) >= 0);
	assert_int_equal(f->answers, 1);
	assert_int_equal(f->result, SVC_RES_OK);
	assert_int_equal(access(f->file, F_OK), 0);
}

static void
in_own_namespace(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS) == -1)
		skip();
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

static bool
mounted(const struct fixture *f)
{
	struct stat up, here;

	return stat(f->dir, &up) == 0 && stat(f->srv, &here) == 0 &&
	       up.st_dev != here.st_dev;
}

static void
mount_and_umount(void **state)
{
	struct fixture *f = *state;

	in_own_namespace();
	assert_int_equal(go(f, MOUNT, SVC_DO_START), SVC_RES_OK);
	assert_true(mounted(f));
	assert_int_equal(again(f, MOUNT, SVC_DO_STOP), SVC_RES_OK);
	assert_false(mounted(f));
	assert_int_equal(again(f, MOUNT, SVC_DO_STOP), SVC_RES_OK);
	strcpy(f->s->steps[MOUNT].options, "size=64k,nonsense");
	assert_int_equal(again(f, MOUNT, SVC_DO_START), SVC_RES_FAILED);
	assert_non_null(strstr(f->text, "mount"));
}

static void
busy_mount_and_its_users(void **state)
{
	struct fixture *f = *state;
	pid_t pid;

	in_own_namespace();
	assert_int_equal(go(f, MOUNT, SVC_DO_START), SVC_RES_OK);
	pid = fork();
	if (pid == 0) {
		if (chdir(f->srv) == -1)
			_exit(1);
		/* An open file outlives the current directory. */
		execlp(
		    "sh", "sh", "-c", "exec 3>held; cd /; exec sleep 60", NULL);
		_exit(1);
	}
	snprintf(f->file, sizeof(f->file), "%s/held", f->srv);
	while (access(f->file, F_OK) == -1)
		sched_yield();
	assert_int_equal(again(f, MOUNT, SVC_DO_STOP), SVC_RES_FAILED);
	assert_non_null(strstr(f->text, "busy"));
	assert_int_equal(again(f, MOUNT, SVC_DO_KILL), SVC_RES_OK);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(again(f, MOUNT, SVC_DO_STOP), SVC_RES_OK);
	assert_false(mounted(f));
}

static void
leftover_mount_with_users(void **state)
{
	struct fixture *f = *state;
	pid_t pid;

	in_own_namespace();
	assert_int_equal(go(f, MOUNT, SVC_DO_CLEAN), SVC_RES_OK);
	assert_int_equal(again(f, MOUNT, SVC_DO_START), SVC_RES_OK);
	pid = fork();
	if (pid == 0) {
		if (chdir(f->srv) == -1)
			_exit(1);
		execlp("sh", "sh", "-c", ">held; exec sleep 60", NULL);
		_exit(1);
	}
	snprintf(f->file, sizeof(f->file), "%s/held", f->srv);
	while (access(f->file, F_OK) == -1)
		sched_yield();
	assert_int_equal(again(f, MOUNT, SVC_DO_CLEAN), SVC_RES_OK);
	assert_false(mounted(f));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* What somebody else mounted there is neither covered nor removed. */
static void
foreign_mount_is_left_alone(void **state)
{
	struct fixture *f = *state;

	in_own_namespace();
	assert_int_equal(mkdir(f->srv, 0700), 0);
	assert_int_equal(mount("none", f->srv, "tmpfs", 0, NULL), 0);
	assert_int_equal(go(f, MOUNT, SVC_DO_START), SVC_RES_FAILED);
	assert_string_equal(f->text, "something is mounted there already");
	assert_int_equal(again(f, MOUNT, SVC_DO_STOP), SVC_RES_OK);
	assert_int_equal(again(f, MOUNT, SVC_DO_KILL), SVC_RES_OK);
	assert_int_equal(again(f, MOUNT, SVC_DO_CLEAN), SVC_RES_OK);
	assert_true(mounted(f));
}

static void
unusable_steps_dir(void **state)
{
	struct fixture *f = *state;
	struct svc_run_conf c = {.steps_dir = "/proc/no/such"};

	assert_null(svc_run_new(loop_event(f->loop), &c, answered, f));
	assert_int_equal(errno, ENOENT);
	/* It vanishes later: a start that could not be found is refused. */
	assert_int_equal(rmdir(f->steps), 0);
	set(f->s->steps[COMMAND].start, "true");
	assert_int_equal(go(f, COMMAND, SVC_DO_START), SVC_RES_FAILED);
	assert_non_null(strstr(f->text, "shop.0"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(exit_code_decides_and_the_last_line_is_told),
	    T(environment_and_directory),
	    T(status_and_check),
	    T(cancelled_with_its_group),
	    T(cancelled_that_ignores_term_is_killed),
	    T(stop_without_a_command),
	    T(stop_of_one_that_ignores_term),
	    T(leftovers_of_a_command),
	    T(a_strangers_session_is_spared),
	    T(chatty_service_is_not_blocked),
	    T(unusable_steps_dir),
	    T(mount_and_umount),
	    T(busy_mount_and_its_users),
	    T(leftover_mount_with_users),
	    T(foreign_mount_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
