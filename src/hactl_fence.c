/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl fence and hactl lockdisk: arbiters in an operator's hands.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "hactl.h"
#include "hactl_int.h"
#include "lockdisk.h"

static void
text_fence(const json_t *o, FILE *f)
{
	const char *text = json_string_value(json_object_get(o, "text"));

	fprintf(f, "%s\n", text != NULL ? text : "done");
}

static const char confirm_warning[] =
    "If it is not off, both nodes will write to the data.\n"
    "Type the node's name to confirm that it is off: ";

/* R5: nothing is more dangerous; the name is typed twice. */
static bool
is_sure(const struct hactl *h, const char *node)
{
	char line[HAD_NAME_MAX + 2];

	if (h->yes || h->dry_run)
		return true;
	fputs(confirm_warning, stderr);
	if (fgets(line, sizeof(line), stdin) == NULL)
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, node) == 0)
		return true;
	fprintf(stderr, "hactl: not confirmed\n");
	return false;
}

int
cmd_fence(struct hactl *h, int argc, char **argv)
{
	bool confirm;
	json_t *req;

	if (argc != 3 ||
	    (strcmp(argv[1], "test") != 0 && strcmp(argv[1], "confirm") != 0))
		return usage_of("[--dry-run] [-y] fence test|confirm NODE");
	confirm = strcmp(argv[1], "confirm") == 0;
	if (confirm && !is_sure(h, argv[2]))
		return EX_USAGE;
	req = request(confirm ? "fence-confirm" : "fence-test");
	json_object_set_new(req, "node", json_string(argv[2]));
	if (h->dry_run)
		json_object_set_new(req, "dry_run", json_true());
	return show(h, req, text_fence);
}

/* Is path one of the lock disks of the configuration? */
static bool
is_configured(const struct conf *c, const char *path)
{
	for (unsigned i = 0; i < c->n_lock_disks; i++)
		if (strcmp(c->lock_disks[i], path) == 0)
			return true;
	return false;
}

int
cmd_lockdisk(struct hactl *h, int argc, char **argv)
{
	struct conf *c;
	char why[300];
	int rc = EX_USAGE;

	if (argc != 3 || strcmp(argv[1], "create") != 0)
		return usage_of("[--dry-run] [-y] lockdisk create PATH");
	if ((c = hactl_conf(h)) == NULL)
		return EX_CONFIG;
	if (!is_configured(c, argv[2])) {
		fprintf(stderr,
		    "hactl: %s is no lock disk of %s; 'lock disk \"%s\"' in "
		    "the cluster block makes it one\n",
		    argv[2], h->conf_path, argv[2]);
	} else if (h->dry_run) {
		printf("%s: becomes a lock disk of cluster %s; what it holds "
		       "is lost\n",
		    argv[2], c->cluster);
		rc = 0;
	} else if (lockdisk_create(
		       argv[2], c->cluster, h->yes, why, sizeof(why)) < 0) {
		fprintf(stderr, "hactl: %s: %s%s\n", argv[2], why,
		    h->yes ? "" : "; -y does it nevertheless");
		rc = EX_CANTCREAT;
	} else {
		printf("%s: a lock disk of cluster %s\n", argv[2], c->cluster);
		rc = 0;
	}
	free(c);
	return rc;
}
