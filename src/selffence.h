/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last resort (R12): this node resets itself, because something that must
 * stop does not.
 */
#ifndef SELFFENCE_H
#define SELFFENCE_H

#include "conf.h"
#include "had.h"

struct selffence_conf {
	enum conf_self_fence how;
	/*
	 * A file that gets one line, "sysrq: REASON" or "watchdog: REASON", in
	 * place of what would happen: for labs where nodes share a kernel.
	 * NULL = in earnest.  Borrowed.
	 */
	const char *fake;
	const char *trigger; /* NULL = /proc/sysrq-trigger; borrowed */
	/* WATCHDOG: the composer stops feeding, for good. */
	void (*starve)(void *ctx);
	void *ctx; /* borrowed */
};

/* Could it be done?  0, or -1 and why; for the start of the daemon. */
int MUST_CHECK selffence_check(
    const struct selffence_conf *, char *why, size_t why_size);

/*
 * Does it.  In earnest sysrq does not return.  Returns 0: done, or under way;
 * 1: it is configured off; -1 and errno: it could not be done.
 */
int MUST_CHECK selffence_now(const struct selffence_conf *, const char *reason);

#endif
