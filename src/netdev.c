/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netdev.h"

enum { DEVICES = 16, DEPTH = 4, NAME = 16 };

struct devices {
	char names[DEVICES][NAME];
	unsigned n;
};

static void
add(struct devices *d, const char *name)
{
	for (unsigned i = 0; i < d->n; i++)
		if (strcmp(d->names[i], name) == 0)
			return;
	if (d->n < DEVICES)
		snprintf(d->names[d->n++], NAME, "%s", name);
}

/*
 * The bond or team that a device is a slave of: one monitor decides for all
 * slaves.  A bridge is none, its ports fail one by one.
 */
static void
add_master(struct devices *d, const char *class, const char *name)
{
	char path[512], to[256];
	const char *master;
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s/master", class, name);
	n = readlink(path, to, sizeof(to) - 1);
	if (n <= 0)
		return;
	to[n] = '\0';
	master = strrchr(to, '/') != NULL ? strrchr(to, '/') + 1 : to;
	snprintf(path, sizeof(path), "%s/%s/bridge", class, master);
	if (stat(path, &st) != 0)
		add(d, master);
}

/* name and everything that it lies above. */
static void
collect(struct devices *d, const char *class, const char *name, unsigned depth)
{
	char path[512];
	struct dirent *e;
	DIR *dir;

	add(d, name);
	add_master(d, class, name);
	snprintf(path, sizeof(path), "%s/%s", class, name);
	if (depth == 0 || (dir = opendir(path)) == NULL)
		return;
	while ((e = readdir(dir)) != NULL)
		if (strncmp(e->d_name, "lower_", 6) == 0)
			collect(d, class, e->d_name + 6, depth - 1);
	closedir(dir);
}

bool
netdev_share(const char *class, const char *a, const char *b)
{
	struct devices da = {.n = 0}, db = {.n = 0};

	collect(&da, class, a, DEPTH);
	collect(&db, class, b, DEPTH);
	for (unsigned i = 0; i < da.n; i++)
		for (unsigned j = 0; j < db.n; j++)
			if (strcmp(da.names[i], db.names[j]) == 0)
				return true;
	return false;
}
