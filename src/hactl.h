/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl: the parts that its files share.
 */
#ifndef HACTL_H
#define HACTL_H

#include <jansson.h>
#include <stdio.h>

#include "had.h"

struct hactl {
	const char *run_dir, *state_dir, *conf_path; /* borrowed */
	bool json, dry_run;
	bool yes; /* what may lose service needs not be asked about */
	bool terminal; /* standard output is one */
};

/* Exit codes of status and check. */
enum { HACTL_OK, HACTL_DEGRADED, HACTL_CRITICAL, HACTL_UNKNOWN };

/* hactl_ask.c */
/*
 * Connects.  -1: no daemon answers; errno says why.
 */
int ask_open(const struct hactl *);
/* Sends one request; takes the reference.  0 or -1. */
int ask_send(int fd, json_t *req);
/*
 * Next answer, or NULL if the daemon has hung up.  *last: the request is
 * answered, with *code and, if that is not 0, "error" in the object.
 */
struct ask_reader {
	int fd;
	char *buf; /* owned */
	size_t used, size;
};
json_t *ask_next(struct ask_reader *, bool *last, int *code);
void ask_reader_free(struct ask_reader *);
/*
 * One request, one answer.  Says why on standard error if there is none or if
 * it is an error; then NULL and *code.
 */
json_t *ask(const struct hactl *, json_t *req, int *code);
/* What the daemon saved before it went down; NULL: nothing. */
json_t *ask_saved(const struct hactl *);

/*
 * Asks, prints the answer as JSON or by text, and gives the exit code; takes
 * the reference.
 */
int show(
    const struct hactl *, json_t *req, void (*text)(const json_t *, FILE *));
json_t *request(const char *op);
/* Says how a command is used; the exit code. */
int usage_of(const char *text);

/* hactl_text.c: each prints for eyes to standard output. */
void text_status(const json_t *, FILE *);
void text_links(const json_t *, FILE *);
void text_volumes(const json_t *, FILE *);
void text_locks(const json_t *, FILE *);
void text_addresses(const json_t *, FILE *); /* hactl_router.c */
void text_metrics(const json_t *, FILE *); /* hactl_metrics.c */
void text_event(const json_t *, FILE *);
void text_why(const json_t *, FILE *);

/* hactl_table.c */
/* "12 d", "3 h", "0.1 s"; "-" for less than 0. */
void format_age(int64_t ms, char *buf, size_t size);
void format_bytes(int64_t bytes, char *buf, size_t size);
struct table {
	unsigned columns, rows;
	char *cells[600][12]; /* owned */
};
void table_row(struct table *, const char *const *cells, unsigned n);
/* Columns as wide as they need, two spaces apart; frees the cells. */
void table_print(struct table *, const char *indent, FILE *);

/* hactl_cmd.c, hactl_act.c: commands that ask the daemon; exit codes. */
int cmd_status(struct hactl *, int argc, char **argv);
int cmd_links(struct hactl *, int argc, char **argv);
int cmd_volumes(struct hactl *, int argc, char **argv);
int cmd_locks(struct hactl *, int argc, char **argv);
int cmd_addresses(struct hactl *, int argc, char **argv);
int cmd_metrics(struct hactl *, int argc, char **argv);
int cmd_release(struct hactl *, int argc, char **argv);
int cmd_events(struct hactl *, int argc, char **argv);
int cmd_why(struct hactl *, int argc, char **argv);
int cmd_takeover(struct hactl *, int argc, char **argv);
int cmd_standby(struct hactl *, int argc, char **argv);
int cmd_online(struct hactl *, int argc, char **argv);
int cmd_freeze(struct hactl *, int argc, char **argv);
int cmd_thaw(struct hactl *, int argc, char **argv);
int cmd_move(struct hactl *, int argc, char **argv);
int cmd_start(struct hactl *, int argc, char **argv);
int cmd_stop(struct hactl *, int argc, char **argv);
int cmd_seed(struct hactl *, int argc, char **argv);
int cmd_reload(struct hactl *, int argc, char **argv);
int cmd_lock(struct hactl *, int argc, char **argv);

/* hactl_faults.c, hactl_faults_text.c; no daemon */
struct conf;
struct faults_options {
	int service; /* -1: all */
	bool single, at_once, all;
};
int cmd_faults(struct hactl *, int argc, char **argv);
/* NULL after having said why; c has two nodes and a service. */
json_t *faults_json(const struct conf *c, const struct faults_options *);
/* The exit code that goes with it. */
int faults_status(const json_t *);
void text_faults(const json_t *, bool all, FILE *);

/* hactl_doctor.c; no daemon */
int cmd_doctor(struct hactl *, int argc, char **argv);

/* hactl_fence.c */
int cmd_fence(struct hactl *, int argc, char **argv);
int cmd_lockdisk(struct hactl *, int argc, char **argv); /* no daemon */

/* hactl_volume.c, hactl_conf.c: these work without a daemon */
int cmd_volume(struct hactl *, int argc, char **argv);
int cmd_keygen(struct hactl *, int argc, char **argv);

#endif
