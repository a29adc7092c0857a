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
 * The loop's lag: how much later than asked the 10 ms tick ran.  Kept as a
 * histogram of the last minute; microseconds.
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
 * One-shot timer that can be re-armed; MT_NEVER disarms.  Accuracy 100 us.
 * cb runs on the loop.
 */
struct loop_timer;
typedef void (*loop_timer_fn)(void *ctx, monotime_t now);
struct loop_timer *loop_timer_new(sd_event *, loop_timer_fn, void *ctx);
void loop_timer_at(struct loop_timer *, monotime_t at);
void loop_timer_free(struct loop_timer *);

#endif
