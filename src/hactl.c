/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl: shows what had does and why, and tells it what to do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "hactl.h"

static const struct command {
	const char *name;
	int (*run)(struct hactl *, int argc, char **argv);
	const char *help;
} commands[] = {
    {"status", cmd_status, "state, its cause, what to do (-w: live)"},
    {"links", cmd_links, "links to the peer"},
    {"addresses", cmd_addresses, "service addresses and virtual routers"},
    {"metrics", cmd_metrics, "addresses and routers for Prometheus"},
    {"volumes", cmd_volumes, "volumes, resync with progress"},
    {"locks", cmd_locks, "[--blocked] [NAME]: who holds, who waits, why"},
    {"events", cmd_events,
	"[--since 10m] [--local] [-f]: timeline of both nodes"},
    {"why", cmd_why, "[SERVICE]: the last decisions and their evidence"},
    {"faults", cmd_faults,
	"[--single]: what becomes of each fault, and of two"},
    {"doctor", cmd_doctor, "is this machine fit for had, and how to mend it"},
    {"takeover", cmd_takeover, "[SERVICE]: run it here"},
    {"move", cmd_move, "SERVICE NODE: run it there"},
    {"start", cmd_start, "SERVICE: may run again"},
    {"stop", cmd_stop, "[-y] SERVICE: runs nowhere until start"},
    {"release", cmd_release, "ROUTER: let another machine have it"},
    {"freeze", cmd_freeze, "[SERVICE]: nothing moves by itself"},
    {"thaw", cmd_thaw, "[SERVICE]: it may again"},
    {"standby", cmd_standby, "[-y] NODE: drain a node"},
    {"online", cmd_online, "NODE: take part again"},
    {"seed", cmd_seed, "--peer-is-down NODE: start without the peer"},
    {"fence", cmd_fence, "test NODE | [-y] confirm NODE: it is off"},
    {"lockdisk", cmd_lockdisk, "create PATH"},
    {"reload", cmd_reload, "read the configuration again"},
    {"volume", cmd_volume, "create|dump|resync NAME"},
    {"lock", cmd_lock, "[-s SPACE] [-m MODE] [-n|-w S] NAME [-- COMMAND]"},
    {"keygen", cmd_keygen, "[FILE]: make this node's key"},
};

static _Noreturn void
usage(int status)
{
	FILE *f = status == 0 ? stdout : stderr;

	fprintf(f,
	    "usage: hactl [--json] [--dry-run] [-y] [-f conf] [-r rundir] "
	    "[-s statedir] [command]\n");
	for (unsigned i = 0; i < NITEMS(commands); i++)
		fprintf(f, "  %-9s %s\n", commands[i].name, commands[i].help);
	exit(status);
}

/* By name or by a prefix that only one has; "volume" is not "volumes". */
static const struct command *
find(const char *word)
{
	const struct command *found = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < NITEMS(commands); i++) {
		if (strcmp(commands[i].name, word) == 0)
			return &commands[i];
		if (strncmp(commands[i].name, word, strlen(word)) == 0) {
			found = &commands[i];
			n++;
		}
	}
	if (n == 1)
		return found;
	fprintf(stderr, "hactl: %s command '%s'\n",
	    n == 0 ? "no such" : "ambiguous", word);
	for (unsigned i = 0; n > 1 && i < NITEMS(commands); i++)
		if (strncmp(commands[i].name, word, strlen(word)) == 0)
			fprintf(stderr, "  %s\n", commands[i].name);
	exit(EX_USAGE);
}

/*
 * Takes hactl's own options out of the line, wherever they stand before "--":
 * 'hactl status --json' works as well as 'hactl --json status'.
 */
static int
options(struct hactl *h, int argc, char **argv)
{
	int out = 1;

	for (int i = 1; i < argc; i++) {
		const char **value = NULL;

		/* lock has a command line of its own behind its name. */
		if (strcmp(argv[i], "--") == 0 ||
		    (out > 1 && strcmp(argv[1], "lock") == 0)) {
			while (i < argc)
				argv[out++] = argv[i++];
			break;
		}
		if (strcmp(argv[i], "--json") == 0)
			h->json = true;
		else if (strcmp(argv[i], "--dry-run") == 0)
			h->dry_run = true;
		else if (strcmp(argv[i], "-y") == 0 ||
			 strcmp(argv[i], "--yes") == 0)
			h->yes = true;
		else if (strcmp(argv[i], "--help") == 0 ||
			 strcmp(argv[i], "-h") == 0)
			usage(0);
		else if (strcmp(argv[i], "--version") == 0 ||
			 strcmp(argv[i], "-V") == 0) {
			printf("hactl %s\n", HAD_VERSION);
			exit(0);
		} else if (out == 1 && strcmp(argv[i], "-f") == 0)
			value = &h->conf_path;
		else if (out == 1 && strcmp(argv[i], "-r") == 0)
			value = &h->run_dir;
		else if (out == 1 && strcmp(argv[i], "-s") == 0)
			value = &h->state_dir;
		else
			argv[out++] = argv[i];
		if (value != NULL && i + 1 == argc)
			usage(EX_USAGE);
		if (value != NULL)
			*value = argv[++i];
	}
	argv[out] = NULL;
	return out;
}

int
main(int argc, char **argv)
{
	struct hactl h = {
	    .run_dir = "/run/had",
	    .state_dir = "/var/lib/had",
	    .conf_path = SYSCONFDIR "/had/had.conf",
	    .terminal = isatty(STDOUT_FILENO) == 1,
	};
	char status[] = "status";
	char *bare[] = {status, NULL};

	argc = options(&h, argc, argv);
	if (argc == 1)
		return cmd_status(&h, 1, bare);
	return find(argv[1])->run(&h, argc - 1, argv + 1);
}
