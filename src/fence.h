/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs fence agents.  Nothing here blocks: files are read and programs are
 * started on a thread, children are watched by a pidfd.
 */
#ifndef FENCE_H
#define FENCE_H

#include <systemd/sd-event.h>

#include "conf.h"
#include "fence_agent.h"
#include "had.h"

/* Beyond the agent's timeout_ms it is killed even if nobody cancels it. */
enum { FENCE_GRACE_MS = 1000 };

struct fence;

/* text is one line, borrowed for the call, without secrets; may be "". */
typedef void (*fence_done)(
    void *ctx, uint32_t token, enum fa_result, const char *text);

/* NULL and errno on failure. */
struct fence *fence_new(sd_event *, fence_done, void *ctx);
/* Agents that run are killed; done is not called any more. */
void fence_free(struct fence *);

/*
 * Runs the agent of conf for node; conf is copied.  done is called exactly
 * once, never from within this call.  A program that is missing or cannot be
 * run, or a parameter's file that cannot be read, is FAILED with the reason.
 */
void fence_run(struct fence *, const struct conf_fence *conf, const char *node,
    enum fa_action action, uint32_t token);

/*
 * Kills the agent and its process group at once; done then says TIMEOUT, when
 * it is gone (or cannot be killed).  An unknown token is ignored.
 */
void fence_cancel(struct fence *, uint32_t token);

#endif
