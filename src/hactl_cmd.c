/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands that ask the daemon to show something.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "hactl.h"
#include "hactl_lock.h"

static void
print_json(const json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
}

int
usage_of(const char *text)
{
	fprintf(stderr, "usage: hactl %s\n", text);
	return EX_USAGE;
}

json_t *
request(const char *op)
{
	json_t *o = json_object();

	json_object_set_new(o, "op", json_string(op));
	return o;
}

int
show(const struct hactl *h, json_t *req, void (*text)(const json_t *, FILE *))
{
	int code;
	json_t *o = ask(h, req, &code);

	if (o == NULL)
		return code;
	if (h->json)
		print_json(o);
	else
		text(o, stdout);
	json_decref(o);
	return 0;
}

static int
exit_of_state(const json_t *o)
{
	const char *state = json_string_value(json_object_get(o, "state"));

	if (state == NULL)
		return HACTL_UNKNOWN;
	if (strcmp(state, "OK") == 0)
		return HACTL_OK;
	return strcmp(state, "DEGRADED") == 0 ? HACTL_DEGRADED : HACTL_CRITICAL;
}

/* The daemon is down: its last words and how old they are. */
static int
last_words(const struct hactl *h)
{
	json_t *o = ask_saved(h);
	int64_t age_s;
	char age[24];

	fprintf(stderr, "hactl: had is not running (%s/ctl.sock: %s)\n",
	    h->run_dir, strerror(errno));
	if (o == NULL) {
		fprintf(stderr, "hactl: and it left no state in %s\n",
		    h->state_dir);
		return HACTL_UNKNOWN;
	}
	age_s = (int64_t)time(NULL) -
		json_integer_value(json_object_get(o, "time"));
	json_object_set_new(o, "stale", json_true());
	json_object_set_new(o, "age_s", json_integer(age_s));
	if (h->json) {
		print_json(o);
	} else {
		format_age(age_s * 1000, age, sizeof(age));
		printf("had is down; this is its last state, %s old:\n", age);
		text_status(o, stdout);
		printf("action: start had, e.g. 'systemctl start had'\n");
	}
	json_decref(o);
	return HACTL_UNKNOWN;
}

static int
status_once(struct hactl *h)
{
	int code, fd = ask_open(h);
	json_t *o;

	if (fd < 0)
		return last_words(h);
	close(fd);
	o = ask(h, request("status"), &code);
	if (o == NULL)
		return HACTL_UNKNOWN;
	if (h->json)
		print_json(o);
	else
		text_status(o, stdout);
	code = exit_of_state(o);
	json_decref(o);
	return code;
}

int
cmd_status(struct hactl *h, int argc, char **argv)
{
	bool watch = argc == 2 && strcmp(argv[1], "-w") == 0;
	int code;

	if (argc > 2 || (argc == 2 && !watch))
		return usage_of("status [-w]");
	for (;;) {
		if (watch && h->terminal)
			printf("\033[H\033[2J");
		code = status_once(h);
		if (!watch)
			return code;
		fflush(stdout);
		usleep(500 * 1000);
	}
}

int
cmd_links(struct hactl *h, int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return usage_of("links");
	return show(h, request("links"), text_links);
}

int
cmd_volumes(struct hactl *h, int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return usage_of("volumes");
	return show(h, request("volumes"), text_volumes);
}

int
cmd_locks(struct hactl *h, int argc, char **argv)
{
	json_t *req = request("locks");

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--blocked") == 0) {
			json_object_set_new(req, "blocked", json_true());
		} else if (argv[i][0] != '-' && i == argc - 1) {
			json_object_set_new(req, "name", json_string(argv[i]));
		} else {
			json_decref(req);
			return usage_of("locks [--blocked] [NAME]");
		}
	}
	return show(h, req, text_locks);
}

/* "90", "90s", "10m", "2h", "1d" before now, as milliseconds of the epoch. */
static int64_t
since_of(const char *text)
{
	static const struct {
		const char *unit;
		int64_t seconds;
	} units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
	char *end;
	long long n = strtoll(text, &end, 10);

	if (end == text || n < 0)
		return -1;
	for (unsigned i = 0; i < NITEMS(units); i++)
		if (strcmp(end, units[i].unit) == 0)
			return ((int64_t)time(NULL) - n * units[i].seconds) *
			       1000;
	return -1;
}

static void
print_events(const struct hactl *h, const json_t *o)
{
	const json_t *list = json_object_get(o, "events"), *e;
	const char *missing = json_string_value(json_object_get(o, "missing"));
	size_t i;

	if (list == NULL) {
		if (h->json)
			print_json(o);
		else
			text_event(o, stdout);
		return;
	}
	if (h->json) {
		print_json(o);
		return;
	}
	json_array_foreach(list, i, e) text_event(e, stdout);
	if (missing != NULL && missing[0] != '\0')
		printf("(%s)\n", missing);
}

/* Prints as events come, until the daemon hangs up. */
static int
follow(const struct hactl *h, json_t *req)
{
	struct ask_reader r = {.fd = ask_open(h)};
	bool last = false;
	int code = EX_UNAVAILABLE;
	json_t *o;

	if (r.fd < 0 || ask_send(r.fd, req) < 0) {
		fprintf(stderr, "hactl: had does not answer: %s\n",
		    strerror(errno));
		return EX_UNAVAILABLE;
	}
	while (!last && (o = ask_next(&r, &last, &code)) != NULL) {
		print_events(h, o);
		fflush(stdout);
		json_decref(o);
	}
	ask_reader_free(&r);
	fprintf(stderr, "hactl: had hung up\n");
	return EX_UNAVAILABLE;
}

int
cmd_events(struct hactl *h, int argc, char **argv)
{
	json_t *req = request("events"), *o;
	bool follows = false, bad = false;
	int code;

	for (int i = 1; i < argc && !bad; i++) {
		if (strcmp(argv[i], "-f") == 0) {
			follows = true;
			json_object_set_new(req, "follow", json_true());
		} else if (strcmp(argv[i], "--local") == 0) {
			json_object_set_new(req, "local", json_true());
		} else if (strcmp(argv[i], "--node") == 0 && i + 1 < argc) {
			json_object_set_new(
			    req, "node", json_string(argv[++i]));
		} else if (strcmp(argv[i], "--since") == 0 && i + 1 < argc) {
			int64_t ms = since_of(argv[++i]);

			bad = ms < 0;
			json_object_set_new(req, "since_ms", json_integer(ms));
		} else {
			bad = true;
		}
	}
	if (bad) {
		json_decref(req);
		return usage_of(
		    "events [--since 90s|10m|2h|1d] [--local | --node "
		    "NODE] [-f]");
	}
	if (follows)
		return follow(h, req);
	o = ask(h, req, &code);
	if (o == NULL)
		return code;
	print_events(h, o);
	json_decref(o);
	return 0;
}

int
cmd_why(struct hactl *h, int argc, char **argv)
{
	json_t *req = request("why");

	if (argc > 2) {
		json_decref(req);
		return usage_of("why [SERVICE]");
	}
	if (argc == 2)
		json_object_set_new(req, "service", json_string(argv[1]));
	return show(h, req, text_why);
}

int
cmd_lock(struct hactl *h, int argc, char **argv)
{
	char path[HAD_PATH_MAX + 16], dash_s[] = "-S", **with;
	int rc;

	/* The socket goes with hactl's own -r, as for every command. */
	snprintf(path, sizeof(path), "%s/lock.sock", h->run_dir);
	with = calloc((size_t)argc + 3, sizeof(*with));
	if (with == NULL) {
		fprintf(stderr, "hactl: lock: %s\n", strerror(errno));
		return EX_OSERR;
	}
	with[0] = argv[0];
	with[1] = dash_s;
	with[2] = path;
	for (int i = 1; i < argc; i++)
		with[i + 2] = argv[i];
	rc = hactl_lock(argc + 2, with);
	free(with);
	return rc;
}
