/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver: looks after files, processes and checks that virtual routers
 * depend on.  Nothing here blocks the loop: files and /proc are read by one
 * thread, each check has a thread of its own that waits for its child.
 */
#ifndef TRACK_H
#define TRACK_H

#include <systemd/sd-event.h>

#include "conf.h"

enum { TRACK_EVERY_MS = 500 }; /* of files and processes */

struct track_cb {
	/*
	 * From the loop; once when it is known, and for each change.  id is
	 * the index in the configuration, value that of a file's number.
	 */
	void (*changed)(void *ctx, uint16_t id, bool up, int32_t value);
};

struct track;
/*
 * What is of another type is left out.  tracks are copied.  NULL and errno on
 * failure.
 *
 * FILE: up while it exists; its number is the first line, 0 if that is none.
 * PROCESS: up while a process of that name (as /proc/PID/comm has it, 15
 * bytes) runs.  CHECK: run by /bin/sh -c in a session of its own, up if it
 * exits with 0; one that times out is killed and changes nothing (R11).
 */
struct track *track_new(sd_event *, const struct conf_track *tracks, uint16_t n,
    const struct track_cb *, void *ctx);
/* Checks that run are killed. */
void track_free(struct track *);

#endif
