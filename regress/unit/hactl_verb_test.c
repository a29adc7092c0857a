/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each verb of hactl asks the daemon, and what it prints of the answer.
 * The daemon is a child that says what it was asked.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "hactl.h"

static char dir[] = "/tmp/hactl_verb.XXXXXX", out[8192];

/* Answers one request with itself as text; exits. */
static void
serve(int s, const char *answer)
{
	char line[4096] = "";
	json_t *o = json_object();
	int c = accept(s, NULL, NULL);
	ssize_t n = read(c, line, sizeof(line) - 1);

	if (n > 0)
		line[strcspn(line, "\n")] = '\0';
	if (answer != NULL) {
		dprintf(c, "%s\n", answer);
		_exit(0);
	}
	json_object_set_new(o, "done", json_true());
	json_object_set_new(o, "code", json_integer(0));
	json_object_set_new(o, "text", json_string(line));
	dprintf(c, "%s\n", json_dumps(o, JSON_COMPACT));
	_exit(0);
}

static pid_t
daemon_of(const char *answer)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/ctl.sock", dir);
	unlink(sun.sun_path);
	assert_int_equal(bind(s, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(s, 1), 0);
	pid = fork();
	if (pid == 0)
		serve(s, answer);
	close(s);
	return pid;
}

/* Runs one verb; its standard output is in out. */
static int
verb(struct hactl *h, int (*run)(struct hactl *, int, char **), int argc,
    char **argv, const char *answer)
{
	pid_t pid = daemon_of(answer);
	int saved = dup(STDOUT_FILENO), code, status;
	FILE *f = tmpfile();
	size_t n;

	fflush(stdout);
	dup2(fileno(f), STDOUT_FILENO);
	code = run(h, argc, argv);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(f);
	n = fread(out, 1, sizeof(out) - 1, f);
	out[n] = '\0';
	fclose(f);
	/* A verb that asked nothing leaves it waiting. */
	if (waitpid(pid, &status, WNOHANG) == 0 && code == EX_USAGE) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	} else {
		waitpid(pid, &status, 0);
	}
	return code;
}

struct ask {
	int (*run)(struct hactl *, int, char **);
	const char *line; /* words of the command */
	bool dry_run, yes;
	const char *want; /* the request; NULL: refused before one is sent */
};

static const struct ask asks[] = {
    {cmd_takeover, "takeover", false, false, "{\"op\":\"takeover\"}"},
    {cmd_takeover, "takeover shop", true, false,
	"{\"op\":\"takeover\",\"service\":\"shop\",\"dry_run\":true}"},
    {cmd_move, "move shop bravo", false, false,
	"{\"op\":\"move\",\"service\":\"shop\",\"node\":\"bravo\"}"},
    {cmd_move, "move shop bravo", true, false,
	"{\"op\":\"move\",\"service\":\"shop\",\"node\":\"bravo\","
	"\"dry_run\":true}"},
    {cmd_move, "move shop", false, false, NULL},
    {cmd_start, "start shop", false, false,
	"{\"op\":\"start\",\"service\":\"shop\"}"},
    {cmd_start, "start shop", true, false,
	"{\"op\":\"start\",\"service\":\"shop\",\"dry_run\":true}"},
    {cmd_start, "start", false, false, NULL},
    {cmd_stop, "stop shop", false, true,
	"{\"op\":\"stop\",\"service\":\"shop\"}"},
    {cmd_stop, "stop shop", true, false,
	"{\"op\":\"stop\",\"service\":\"shop\",\"dry_run\":true}"},
    /* It ends the service: not without -y. */
    {cmd_stop, "stop shop", false, false, NULL},
    {cmd_stop, "stop", false, true, NULL},
    {cmd_freeze, "freeze", false, false, "{\"op\":\"freeze\"}"},
    {cmd_freeze, "freeze --all", true, false,
	"{\"op\":\"freeze\",\"dry_run\":true}"},
    {cmd_freeze, "freeze shop", false, false,
	"{\"op\":\"freeze\",\"service\":\"shop\"}"},
    {cmd_freeze, "freeze --some", false, false, NULL},
    {cmd_freeze, "freeze shop web", false, false, NULL},
    {cmd_thaw, "thaw", false, false, "{\"op\":\"thaw\"}"},
    {cmd_thaw, "thaw shop", true, false,
	"{\"op\":\"thaw\",\"service\":\"shop\",\"dry_run\":true}"},
    {cmd_standby, "standby alpha", true, false,
	"{\"op\":\"standby\",\"node\":\"alpha\",\"dry_run\":true}"},
    {cmd_standby, "standby alpha", false, true,
	"{\"op\":\"standby\",\"node\":\"alpha\",\"force\":true}"},
    {cmd_standby, "standby --force alpha", false, false,
	"{\"op\":\"standby\",\"node\":\"alpha\",\"force\":true}"},
    {cmd_standby, "standby", false, false, NULL},
    {cmd_online, "online alpha", true, false,
	"{\"op\":\"online\",\"node\":\"alpha\",\"dry_run\":true}"},
    {cmd_online, "online", false, false, NULL},
    {cmd_seed, "seed --peer-is-down bravo", true, false,
	"{\"op\":\"seed\",\"node\":\"bravo\",\"dry_run\":true}"},
    {cmd_seed, "seed --peer-is-down bravo", false, false,
	"{\"op\":\"seed\",\"node\":\"bravo\"}"},
    {cmd_seed, "seed bravo", false, true, NULL},
    {cmd_reload, "reload", true, false, "{\"op\":\"reload\",\"dry_run\":true}"},
    {cmd_reload, "reload", false, false, "{\"op\":\"reload\"}"},
    {cmd_reload, "reload now", false, false, NULL},
    {cmd_events, "events --local", false, false,
	"{\"op\":\"events\",\"local\":true}"},
    {cmd_events, "events --node bravo -f x", false, false, NULL},
    {cmd_events, "events --node bravo", false, false,
	"{\"op\":\"events\",\"node\":\"bravo\"}"},
    {cmd_why, "why shop", false, false,
	"{\"op\":\"why\",\"service\":\"shop\"}"},
};

static int
words(const char *line, char *copy, size_t size, char **argv)
{
	int argc = 0;

	snprintf(copy, size, "%s", line);
	for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
		argv[argc++] = w;
	argv[argc] = NULL;
	return argc;
}

static void
verbs_ask_what_they_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < NITEMS(asks); i++) {
		const struct ask *a = &asks[i];
		struct hactl h = {.run_dir = dir,
		    .state_dir = dir,
		    .dry_run = a->dry_run,
		    .yes = a->yes,
		    .json = a->run == cmd_why || a->run == cmd_events};
		char copy[128], *argv[8], want[512];
		int argc = words(a->line, copy, sizeof(copy), argv);
		int code = verb(&h, a->run, argc, argv, NULL);

		if (a->want == NULL) {
			if (code != EX_USAGE)
				fail_msg("%s: code %d", a->line, code);
			assert_string_equal(out, "");
			continue;
		}
		assert_int_equal(code, 0);
		snprintf(want, sizeof(want), "%s\n", a->want);
		if (h.json) {
			json_t *o = json_loads(out, 0, NULL);

			assert_string_equal(
			    json_string_value(json_object_get(o, "text")),
			    a->want);
			json_decref(o);
		} else {
			assert_string_equal(out, want);
		}
	}
}

static void
refusals_are_told_with_their_code(void **state)
{
	struct hactl h = {.run_dir = dir, .state_dir = dir};
	char copy[64], *argv[8];
	int argc = words("move shop bravo", copy, sizeof(copy), argv);

	(void)state;
	assert_int_equal(verb(&h, cmd_move, argc, argv,
			     "{\"done\":true,\"code\":69,\"error\":\"it runs "
			     "on bravo already\"}"),
	    EX_UNAVAILABLE);
	assert_string_equal(out, "");
	/* For programs the answer is JSON. */
	h.json = true;
	assert_int_equal(verb(&h, cmd_move, argc, argv,
			     "{\"version\":1,\"done\":true,\"code\":0,"
			     "\"text\":\"shop: runs on bravo\"}"),
	    0);
	assert_non_null(strstr(out, "\"text\": \"shop: runs on bravo\""));
}

/* Each line says its node; what is missing is said last. */
static void
events_of_both_nodes(void **state)
{
	static const char answer[] =
	    "{\"version\":1,\"done\":true,\"code\":0,\"missing\":\"bravo "
	    "does not answer: its later events are missing\",\"events\":["
	    "{\"time_ms\":1790000000123,\"node\":\"bravo\",\"level\":"
	    "\"info\",\"object\":\"shop\",\"text\":\"handed to alpha\","
	    "\"rule\":\"service\"},"
	    "{\"time_ms\":1790000000124,\"node\":\"alpha\",\"level\":"
	    "\"info\",\"object\":\"service shop\",\"text\":\"pulling -> "
	    "starting: handed over\",\"rule\":\"\"}]}";
	struct hactl h = {.run_dir = dir, .state_dir = dir};
	char copy[64], *argv[8];
	int argc = words("events --since 10m", copy, sizeof(copy), argv);

	(void)state;
	setenv("TZ", "UTC", 1);
	assert_int_equal(verb(&h, cmd_events, argc, argv, answer), 0);
	assert_string_equal(out,
	    "2026-09-21 14:13:20.123 bravo info    shop: handed to alpha "
	    "[service]\n"
	    "2026-09-21 14:13:20.124 alpha info    service shop: pulling -> "
	    "starting: handed over\n"
	    "(bravo does not answer: its later events are missing)\n");
	argc = words("events --node", copy, sizeof(copy), argv);
	assert_int_equal(verb(&h, cmd_events, argc, argv, answer), EX_USAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(verbs_ask_what_they_say),
	    cmocka_unit_test(events_of_both_nodes),
	    cmocka_unit_test(refusals_are_told_with_their_code),
	};
	char path[64];
	int bad;

	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(dir) == NULL || freopen("/dev/null", "r", stdin) == NULL)
		return 1;
	bad = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(path, sizeof(path), "%s/ctl.sock", dir);
	unlink(path);
	rmdir(dir);
	return bad;
}
