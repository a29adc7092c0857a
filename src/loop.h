/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop: a thin layer over sd-event.  Drivers take the sd_event they
 * are given and add their own sources; this header holds what they share.
 */
#ifndef LOOP_H
#define LOOP_H

#include <systemd/sd-event.h>

#include "had.h"

/* CLOCK_BOOTTIME now. */
monotime_t loop_now(void);

/*
 * The loop's lag: how much later than asked its timers ran, and in max_us also
 * the longest turn, which something may have waited for.  Kept as a histogram
 * of the last minute; microseconds.  It costs no wake-up of its own.
 */
struct loop_lag {
	uint32_t p50_us, p99_us, max_us;
};
struct loop;
struct loop *loop_new(void); /* fatal on failure */
void loop_free(struct loop *);
sd_event *loop_event(struct loop *); /* borrowed */
void loop_lag(const struct loop *, struct loop_lag *);
int loop_run(struct loop *); /* until loop_exit(); its code */
void loop_exit(struct loop *, int code);

/*
 * Priorities of event sources, the most urgent first.  Each turn of the loop
 * runs one callback, of the most urgent source that has something; all others
 * keep SD_EVENT_PRIORITY_NORMAL and have their turns in the order of arrival.
 * What runs before them must be little, or they starve.
 */
enum {
	LOOP_HEARTBEAT = -10, /* of a peer */
	LOOP_TIMER = -8, /* deadlines; our heartbeats */
	LOOP_CONTROL = -5, /* membership, services, locks of a peer */
};

/*
 * One-shot timer that can be re-armed; MT_NEVER disarms.  Accuracy 100 us.
 * cb runs on the loop, before what is not urgent.
 */
struct loop_timer;
typedef void (*loop_timer_fn)(void *ctx, monotime_t now);
struct loop_timer *loop_timer_new(sd_event *, loop_timer_fn, void *ctx);
void loop_timer_at(struct loop_timer *, monotime_t at);
/* How late it runs counts as the loop's lag. */
void loop_timer_watch(struct loop_timer *, struct loop *); /* borrowed */
void loop_timer_free(struct loop_timer *);

#endif
