/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread for the few calls that can block (fsync, rename, open of a
 * device).  Jobs run one after the other, in the order of submission.
 */
#ifndef WORKER_H
#define WORKER_H

#include <systemd/sd-event.h>

struct worker;
/* run: on the thread; returns 0 or -errno.  done: back on the loop. */
typedef int (*worker_run)(void *job);
typedef void (*worker_done)(void *job, int result);

struct worker *worker_new(sd_event *); /* NULL and errno on failure */
void worker_free(struct worker *); /* waits for jobs under way */
/* job stays the caller's until done runs.  Returns 0, or -1 and errno. */
int worker_submit(struct worker *, worker_run, worker_done, void *job);

#endif
