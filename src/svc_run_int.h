/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of the service runner; nobody else includes it. */
#ifndef SVC_RUN_INT_H
#define SVC_RUN_INT_H

#include <bsd/sys/queue.h>
#include <sys/types.h>

#include "loop.h"
#include "svc_run.h"
#include "worker.h"

/*
 * What a start command left running: its session, and whoever has its id in
 * the environment, for those that made a session of their own.
 */
struct run_id {
	pid_t session; /* 0 = not known */
	uint64_t start; /* of its leader, clock ticks since boot */
	char id[64]; /* HAD_RUN=... */
};

enum hunt_kind { HUNT_RUN, HUNT_USERS };

/* A search through /proc, on the worker. */
struct hunt {
	enum hunt_kind kind;
	int signal;
	struct run_id run;
	char dir[HAD_PATH_MAX]; /* of the mount whose users are meant */
	char real[4096]; /* the same without links */
	int found; /* processes signalled by the last search */
	bool self; /* this daemon itself uses the mount */
};

/* svc_run_proc.c.  hunt_once returns 0 or -errno. */
int hunt_once(struct hunt *);
bool proc_is_mounted(const char *dir);
uint64_t proc_start(pid_t); /* 0 = there is no such process */

/* What a job is doing. */
enum phase {
	PH_CHILD, /* one child decides */
	PH_HUNT, /* one hunt decides */
	PH_NOTHING, /* answered from the loop */
	PH_CLEAN_UMOUNT,
	PH_CLEAN_USERS,
	PH_CLEAN_AGAIN,
	PH_CLEAN_LAZY,
	PH_CLEAN_STOP,
};

struct job {
	TAILQ_ENTRY(job) next;
	struct svc_run *run; /* borrowed */
	const struct conf_service *s; /* lent until answered */
	char name[HAD_NAME_MAX]; /* of the service */
	const struct conf_step *st; /* NULL = the health check */
	uint8_t step;
	enum svc_action action;
	uint32_t token;
	char device[HAD_PATH_MAX]; /* "" = none */
	enum phase phase;
	bool cancelled, answered;
	bool ok; /* for PH_NOTHING */
	unsigned rounds;
	struct run_id id; /* of a COMMAND */
	/* The child. */
	pid_t pid; /* 0 = none */
	int pidfd; /* owned, -1 = none */
	sd_event_source *exit; /* owned */
	int out; /* owned; its output */
	sd_event_source *output; /* owned */
	/* The hunt; under the worker while hunting. */
	struct hunt hunt;
	bool hunting;
	monotime_t term_until, hunt_until;
	/* Repeats the hunt, kills what was cancelled, answers at once. */
	struct loop_timer *timer; /* owned */
	char text[SVC_RUN_TEXT]; /* last line of output, or our own words */
};

struct svc_run {
	sd_event *event; /* borrowed */
	char dir[HAD_PATH_MAX];
	svc_run_done done;
	void *ctx; /* borrowed */
	struct worker *worker; /* owned */
	TAILQ_HEAD(, job) jobs;
	bool closing;
};

/* svc_run_job.c: children, output, hunts. */
int job_spawn(struct job *, const char *const argv[]);
void job_hunt(struct job *, enum hunt_kind, int sig, int64_t term_ms);
void job_kill(struct job *, int sig);
void job_free(struct job *);
/* svc_run.c: the phase under way is over. */
void job_next(struct job *, bool ok);
void job_timer(void *job, monotime_t now);

#endif
