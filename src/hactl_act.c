/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands that ask the daemon to do something.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "hactl.h"

static void
text_answer(const json_t *o, FILE *f)
{
	const char *text = json_string_value(json_object_get(o, "text"));

	fprintf(f, "%s\n", text != NULL ? text : "done");
}

static int
act(const struct hactl *h, json_t *req)
{
	if (h->dry_run)
		json_object_set_new(req, "dry_run", json_true());
	return show(h, req, text_answer);
}

int
cmd_takeover(struct hactl *h, int argc, char **argv)
{
	json_t *req = request("takeover");

	if (argc > 2) {
		json_decref(req);
		return usage_of("[--dry-run] takeover [SERVICE]");
	}
	if (argc == 2)
		json_object_set_new(req, "service", json_string(argv[1]));
	return act(h, req);
}

int
cmd_standby(struct hactl *h, int argc, char **argv)
{
	json_t *req = request("standby");
	bool force = argc == 3 && strcmp(argv[1], "--force") == 0;

	if (argc != 2 && !force) {
		json_decref(req);
		return usage_of("[--dry-run] standby [-y | --force] NODE");
	}
	json_object_set_new(req, "node", json_string(argv[argc - 1]));
	if (force || h->yes)
		json_object_set_new(req, "force", json_true());
	return act(h, req);
}

int
cmd_online(struct hactl *h, int argc, char **argv)
{
	json_t *req = request("online");

	if (argc != 2) {
		json_decref(req);
		return usage_of("[--dry-run] online NODE");
	}
	json_object_set_new(req, "node", json_string(argv[1]));
	return act(h, req);
}

/* One service, or with no name or --all everything. */
static int
freeze(const struct hactl *h, const char *op, int argc, char **argv)
{
	json_t *req = request(op);
	char text[64];

	if (argc > 2 ||
	    (argc == 2 && argv[1][0] == '-' && strcmp(argv[1], "--all") != 0)) {
		json_decref(req);
		snprintf(
		    text, sizeof(text), "[--dry-run] %s [SERVICE | --all]", op);
		return usage_of(text);
	}
	if (argc == 2 && argv[1][0] != '-')
		json_object_set_new(req, "service", json_string(argv[1]));
	return act(h, req);
}

int
cmd_freeze(struct hactl *h, int argc, char **argv)
{
	return freeze(h, "freeze", argc, argv);
}

int
cmd_thaw(struct hactl *h, int argc, char **argv)
{
	return freeze(h, "thaw", argc, argv);
}

int
cmd_move(struct hactl *h, int argc, char **argv)
{
	json_t *req = request("move");

	if (argc != 3) {
		json_decref(req);
		return usage_of("[--dry-run] move SERVICE NODE");
	}
	json_object_set_new(req, "service", json_string(argv[1]));
	json_object_set_new(req, "node", json_string(argv[2]));
	return act(h, req);
}

int
cmd_release(struct hactl *h, int argc, char **argv)
{
	json_t *req = request("release");

	if (argc != 2) {
		json_decref(req);
		return usage_of("[--dry-run] release ROUTER");
	}
	json_object_set_new(req, "router", json_string(argv[1]));
	return act(h, req);
}

int
cmd_start(struct hactl *h, int argc, char **argv)
{
	json_t *req = request("start");

	if (argc != 2) {
		json_decref(req);
		return usage_of("[--dry-run] start SERVICE");
	}
	json_object_set_new(req, "service", json_string(argv[1]));
	return act(h, req);
}

/* What ends a service wants -y, or its name typed. */
static bool
is_meant(const struct hactl *h, const char *name)
{
	char line[HAD_NAME_MAX + 2];

	if (h->yes || h->dry_run)
		return true;
	if (isatty(STDIN_FILENO) != 1) {
		fprintf(stderr,
		    "hactl: %s would be down on both nodes; -y if that is "
		    "meant\n",
		    name);
		return false;
	}
	fprintf(stderr,
	    "%s will be down on both nodes until 'hactl start %s'.\n"
	    "Type its name to go on: ",
	    name, name);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return false;
	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, name) == 0)
		return true;
	fprintf(stderr, "hactl: nothing is done\n");
	return false;
}

int
cmd_stop(struct hactl *h, int argc, char **argv)
{
	json_t *req;

	if (argc != 2)
		return usage_of("[--dry-run] stop [-y] SERVICE");
	if (!is_meant(h, argv[1]))
		return EX_USAGE;
	req = request("stop");
	json_object_set_new(req, "service", json_string(argv[1]));
	return act(h, req);
}

int
cmd_seed(struct hactl *h, int argc, char **argv)
{
	json_t *req;

	/* What can lose data wants the node's name typed. */
	if (argc != 3 || strcmp(argv[1], "--peer-is-down") != 0)
		return usage_of("[--dry-run] seed --peer-is-down NODE");
	req = request("seed");
	json_object_set_new(req, "node", json_string(argv[2]));
	return act(h, req);
}

int
cmd_reload(struct hactl *h, int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return usage_of("[--dry-run] reload");
	return act(h, request("reload"));
}
