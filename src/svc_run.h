/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the steps of services that need children: mounts and commands.
 * Nothing here blocks: every child is watched by a pidfd, scans of /proc
 * are done by a child of their own.
 */
#ifndef SVC_RUN_H
#define SVC_RUN_H

#include <systemd/sd-event.h>

#include "conf.h"
#include "had.h"
#include "svc.h"

enum { SVC_RUN_TEXT = 128 };

struct svc_run_conf {
	const char *steps_dir; /* "/run/had/steps"; made if missing; lent */
};

struct svc_run;

/* text is one line, borrowed for the call; "" if there is nothing to say. */
typedef void (*svc_run_done)(void *ctx, uint16_t service, uint8_t step,
    enum svc_action, uint32_t token, enum svc_result, const char *text);

/* NULL and errno on failure.  conf is read once. */
struct svc_run *svc_run_new(
    sd_event *, const struct svc_run_conf *conf, svc_run_done, void *ctx);
/* Running children are killed, with their groups; started commands stay. */
void svc_run_free(struct svc_run *);

/*
 * Carries out action on a MOUNT or COMMAND step, or on the health check
 * (step SVC_STEP_CHECK, action STATUS; s->check is run).  device is the block
 * device of a MOUNT, else NULL.  done is called exactly once, never from
 * within this call.
 *
 * COMMAND: start must return, with 0, when the service is up; what it leaves
 * running stays in its session, which stop "" terminates.  status and check
 * answer by their exit code.  Each is run by /bin/sh -c in a session of its
 * own with HAD_SERVICE and HAD_STEP in the environment, / as directory; the
 * last line of its output becomes text.
 */
void svc_run_go(struct svc_run *, const struct conf_service *s, uint8_t step,
    enum svc_action, uint32_t token, const char *device);

/*
 * The deadline is over: TERM to the child's group, KILL half a second later;
 * done then says TIMEOUT.  An unknown token is ignored: it has been answered.
 */
void svc_run_cancel(struct svc_run *, uint32_t token);

#endif
