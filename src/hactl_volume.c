/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl volume: what is done to a volume's disk (no daemon needed), and
 * resync, which the daemon does.
 */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf.h"
#include "hactl.h"
#include "hactl_int.h"
#include "mvolume.h"

static int
usage(void)
{
	fprintf(stderr,
	    "usage: hactl volume create [--force] [--keep-data | --mkfs TYPE] "
	    "NAME\n"
	    "       hactl volume dump NAME\n"
	    "       hactl volume resync NAME --from NODE\n");
	return EX_USAGE;
}

/* Makes a file system that leaves room for the metadata. */
static int
make_fs(const char *type, const struct conf_volume *v, uint64_t bytes)
{
	char prog[32], size[32];
	/* Nothing is left to be initialised later: that would be mirrored. */
	char lazy[] = "lazy_itable_init=0,lazy_journal_init=0";
	const char *ext[] = {
	    prog, "-q", "-F", "-E", lazy, v->device, size, NULL};
	const char *xfs[] = {prog, "-q", "-f", "-d", size, v->device, NULL};
	bool is_xfs = strcmp(type, "xfs") == 0;
	int status;
	pid_t pid;

	snprintf(prog, sizeof(prog), "mkfs.%s", type);
	if (is_xfs)
		snprintf(
		    size, sizeof(size), "size=%llu", (unsigned long long)bytes);
	else
		snprintf(size, sizeof(size), "%lluk",
		    (unsigned long long)bytes / 1024);
	pid = fork();
	if (pid < 0)
		return -1;
	if (pid == 0) {
		const char **argv = is_xfs ? xfs : ext;
		char *copy[8] = {NULL};

		for (unsigned i = 0; argv[i] != NULL; i++)
			copy[i] = strdup(argv[i]);
		execvp(prog, copy);
		fprintf(stderr, "hactl: %s: %s\n", prog, strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int
create_with(
    const struct conf *c, const struct conf_volume *v, bool force, bool keep)
{
	struct mvolume_new n = {
	    .device = v->device,
	    .meta = v->meta,
	    .cluster = c->cluster,
	    .volume = v->name,
	    .keep = keep,
	    .force = force,
	};
	const struct conf_node *me = hactl_me(c);
	char why[512];

	if (me == NULL)
		return EX_CONFIG;
	n.node = me->id;
	for (unsigned i = 0; i < c->n_nodes; i++)
		if (c->nodes[i].id != me->id)
			n.peers[n.n_peers++] = c->nodes[i].id;
	if (mvolume_create(&n, why, sizeof(why)) < 0) {
		fprintf(stderr, "hactl: volume %s: %s\n", v->name, why);
		return EX_CANTCREAT;
	}
	return 0;
}

static int
create(struct hactl *h, const struct conf *c, int argc, char **argv)
{
	const struct conf_volume *v;
	const char *name = NULL, *fs = NULL;
	bool force = false, keep = false;
	struct mvolume_info info;
	char why[512];
	int code;

	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--force") == 0)
			force = true;
		else if (strcmp(argv[i], "--keep-data") == 0)
			keep = true;
		else if (strcmp(argv[i], "--mkfs") == 0 && i + 1 < argc)
			fs = argv[++i];
		else if (argv[i][0] != '-' && name == NULL)
			name = argv[i];
		else
			return usage();
	}
	if (name == NULL || (keep && fs != NULL))
		return usage();
	if (fs != NULL && strcmp(fs, "ext4") != 0 && strcmp(fs, "xfs") != 0) {
		fprintf(stderr, "hactl: --mkfs makes ext4 and xfs; for others "
				"make it yourself and use --keep-data\n");
		return EX_USAGE;
	}
	v = hactl_volume(c, name);
	if (v == NULL)
		return EX_USAGE;
	code = create_with(c, v, force, keep);
	if (code != 0 || fs == NULL)
		goto out;
	if (mvolume_dump(v->device, v->meta, &info, why, sizeof(why)) < 0) {
		fprintf(stderr, "hactl: volume %s: %s\n", name, why);
		return EX_IOERR;
	}
	if (make_fs(fs, v, info.layout.data_bytes) < 0) {
		fprintf(stderr, "hactl: volume %s: mkfs.%s failed\n", name, fs);
		return EX_CANTCREAT;
	}
	code = create_with(c, v, true, true);
out:
	if (code == 0 && h->json)
		printf("{\"version\": 1, \"volume\": \"%s\", \"created\": "
		       "true}\n",
		    name);
	else if (code == 0)
		printf("volume %s: metadata written to %s\n", name,
		    v->meta[0] != '\0' ? v->meta : v->device);
	return code;
}

static void
hex(const uint8_t *bytes, size_t n, char *text)
{
	for (size_t i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static json_t *
dump_json(const struct mvolume_info *i)
{
	json_t *o = json_object(), *list = json_array();
	char text[40];

	json_object_set_new(o, "version", json_integer(1));
	json_object_set_new(o, "volume", json_string(i->sb.name));
	hex(i->sb.volume_id, sizeof(i->sb.volume_id), text);
	json_object_set_new(o, "volume_id", json_string(text));
	json_object_set_new(o, "node", json_integer(i->sb.node));
	json_object_set_new(o, "internal", json_boolean(i->internal));
	json_object_set_new(o, "blank", json_boolean(mmeta_blank(&i->sb)));
	json_object_set_new(o, "flags", json_integer(i->sb.flags));
	json_object_set_new(
	    o, "data_bytes", json_integer((json_int_t)i->sb.data_bytes));
	json_object_set_new(o, "epoch", json_integer((json_int_t)i->sb.epoch));
	snprintf(
	    text, sizeof(text), "%016llx", (unsigned long long)i->sb.current);
	json_object_set_new(o, "generation", json_string(text));
	json_object_set_new(
	    o, "intent_bytes", json_integer((json_int_t)i->intent_bytes));
	json_object_set_new(o, "bad_sectors", json_integer(i->bad_sectors));
	for (unsigned s = 0; s < i->sb.slots; s++) {
		json_t *p = json_object();

		json_object_set_new(
		    p, "peer", json_integer(i->sb.slot[s].peer));
		snprintf(text, sizeof(text), "%016llx",
		    (unsigned long long)i->sb.slot[s].bitmap);
		json_object_set_new(p, "generation", json_string(text));
		json_object_set_new(p, "dirty_bytes",
		    json_integer((json_int_t)i->dirty_bytes[s]));
		json_array_append_new(list, p);
	}
	json_object_set_new(o, "peers", list);
	return o;
}

static int
dump(struct hactl *h, const struct conf *c, int argc, char **argv)
{
	const struct conf_volume *v;
	struct mvolume_info info;
	char why[512], text[8192];

	if (argc != 3)
		return usage();
	v = hactl_volume(c, argv[2]);
	if (v == NULL)
		return EX_USAGE;
	if (mvolume_dump(v->device, v->meta, &info, why, sizeof(why)) < 0) {
		fprintf(stderr, "hactl: volume %s: %s\n", v->name, why);
		return EX_DATAERR;
	}
	if (h->json) {
		json_t *o = dump_json(&info);

		json_dumpf(o, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(o);
		return 0;
	}
	mvolume_text(&info, text, sizeof(text));
	fputs(text, stdout);
	return 0;
}

/* Polls until the resync that was asked for has ended; shows the progress. */
static int
watch(struct hactl *h, const char *name)
{
	bool seen = false;

	for (unsigned idle = 0; idle < 20;) {
		json_t *req = json_object(), *o, *v, *sync;
		bool active = false;
		size_t i;
		int code;

		json_object_set_new(req, "op", json_string("volumes"));
		o = ask(h, req, &code);
		if (o == NULL)
			return code;
		json_array_foreach(json_object_get(o, "volumes"), i, v)
		{
			sync = json_object_get(v, "resync");
			if (strcmp(
				json_string_value(json_object_get(v, "name")),
				name) == 0)
				active = json_is_true(
				    json_object_get(sync, "active"));
		}
		if (active && h->terminal)
			printf("\033[H\033[2J");
		if (active)
			text_volumes(o, stdout);
		json_decref(o);
		if (seen && !active)
			break;
		seen = seen || active;
		idle += !active;
		fflush(stdout);
		usleep(250 * 1000);
	}
	return 0;
}

static int
resync(struct hactl *h, const struct conf *c, int argc, char **argv)
{
	json_t *req, *o;
	int code;

	if (argc != 5 || strcmp(argv[3], "--from") != 0)
		return usage();
	if (hactl_volume(c, argv[2]) == NULL)
		return EX_USAGE;
	req = json_object();
	json_object_set_new(req, "op", json_string("resync"));
	json_object_set_new(req, "volume", json_string(argv[2]));
	json_object_set_new(req, "node", json_string(argv[4]));
	if (h->dry_run)
		json_object_set_new(req, "dry_run", json_true());
	o = ask(h, req, &code);
	if (o == NULL)
		return code;
	if (h->json)
		json_dumpf(o, stdout, JSON_INDENT(2));
	else
		printf("%s", json_string_value(json_object_get(o, "text")));
	putchar('\n');
	json_decref(o);
	return h->terminal && !h->json && !h->dry_run ? watch(h, argv[2]) : 0;
}

int
cmd_volume(struct hactl *h, int argc, char **argv)
{
	struct conf *c;
	int code = EX_USAGE;

	if (argc < 3)
		return usage();
	c = hactl_conf(h);
	if (c == NULL)
		return EX_CONFIG;
	if (strcmp(argv[1], "create") == 0)
		code = create(h, c, argc, argv);
	else if (strcmp(argv[1], "dump") == 0)
		code = dump(h, c, argc, argv);
	else if (strcmp(argv[1], "resync") == 0)
		code = resync(h, c, argc, argv);
	else
		usage();
	free(c);
	return code;
}
