/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wires the node to the drivers: each driver's callback becomes an event of
 * the node, each op of the node a call of a driver.  Nothing is decided here.
 */
#ifndef DRIVE_H
#define DRIVE_H

#include "conf.h"

struct drive_options {
	const char *conf_path, *key_path, *run_dir, *state_dir; /* borrowed */
	const char *node; /* borrowed; NULL = find out by address */
	int verbose;
};

/*
 * Reads and checks the file; errors go to standard error as they are.
 * Returns 0, or -1.
 */
int drive_load(struct conf *, const char *path);

/* The file of each router's password, into the configuration; 0, or -1. */
int drive_vr_passwords(struct conf *);

struct drive;
/* Takes conf.  NULL after having said why. */
struct drive *drive_new(struct conf *, const struct drive_options *);
int drive_run(struct drive *); /* exit status */
void drive_free(struct drive *);

#endif
