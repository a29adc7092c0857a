/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Logging to standard error or the journal.  Every line begins with the
 * object it is about ("volume orders: ...").
 */
#ifndef LOG_H
#define LOG_H

#include "had.h"

/*
 * Structured fields that go with every journal line (HAD_NODE, HAD_EPOCH);
 * node is copied.  Standard error gets "LEVEL: text".
 */
void log_init(const char *prog, int verbose, bool to_journal);
void log_context(const char *node, uint64_t epoch);

/*
 * From hold to release lines are kept, and then written in their order, each
 * with its own time: what takes long (a journal that is slow) is done after
 * what others wait for.  A warning or an error does not wait, nor does what
 * was held before it.
 */
void log_hold(void);
void log_release(void);

void log_at(enum had_level level, const char *rule, const char *object,
    const char *text);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2); /* + strerror(errno) */
void log_warnx(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);
_Noreturn void fatal(const char *fmt, ...) PRINTF_LIKE(1, 2);
_Noreturn void fatalx(const char *fmt, ...) PRINTF_LIKE(1, 2);

/*
 * At most one line a second for one cause (R15): true if the caller may log
 * now; *suppressed is how many were swallowed since the last line.
 */
struct log_limit {
	monotime_t next;
	uint32_t suppressed;
};
bool log_allowed(struct log_limit *, monotime_t now, uint32_t *suppressed);

#endif
