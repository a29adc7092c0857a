/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <time.h>

#include "log.h"

static struct {
	const char *prog; /* borrowed */
	int verbose;
	bool to_journal;
	char node[HAD_NAME_MAX];
	uint64_t epoch;
} ctx = {.prog = "had"};

/*
 * Lines that wait: of each a head and its texts, with their NULs.  Those of the
 * thread that holds them: others have nothing to hold, and write at once.
 */
enum { HELD_BYTES = 16384 };

struct held {
	monotime_t at;
	uint64_t epoch;
	enum had_level level;
	uint32_t object, text, len; /* where they begin; of all */
	char rule[];
};

static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
	bool on;
	size_t used;
	_Alignas(struct held) char bytes[HELD_BYTES];
} held;

void
log_init(const char *prog, int verbose, bool to_journal)
{
	ctx.prog = prog;
	ctx.verbose = verbose;
	ctx.to_journal = to_journal;
}

void
log_context(const char *node, uint64_t epoch)
{
	snprintf(ctx.node, sizeof(ctx.node), "%s", node);
	ctx.epoch = epoch;
}

static const char *
level_name(enum had_level level)
{
	switch (level) {
	case HAD_ERR:
		return "error";
	case HAD_WARN:
		return "warning";
	case HAD_INFO:
		return "info";
	case HAD_DEBUG:
		return "debug";
	}
	return "?";
}

static monotime_t
log_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (monotime_t){(int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000};
}

static void
put(enum had_level level, monotime_t now, uint64_t epoch, const char *rule,
    const char *object, const char *text)
{
	if (ctx.to_journal) {
		sd_journal_send("MESSAGE=%s%s%s", object, *object ? ": " : "",
		    text, "PRIORITY=%d", (int)level, "SYSLOG_IDENTIFIER=%s",
		    ctx.prog, "HAD_NODE=%s", ctx.node, "HAD_EPOCH=%llu",
		    (unsigned long long)epoch, "HAD_RULE=%s", rule,
		    "HAD_OBJECT=%s", object, NULL);
		return;
	}
	fprintf(stderr, "%5lld.%06lld %s: %s: %s%s%s%s%s%s\n",
	    (long long)(now.us / 1000000), (long long)(now.us % 1000000),
	    ctx.prog, level_name(level), object, *object ? ": " : "", text,
	    *rule ? " [" : "", rule, *rule ? "]" : "");
}

static void
put_held(void)
{
	size_t at = 0;

	while (at < held.used) {
		const struct held *h = (const void *)(held.bytes + at);

		at += h->len;
		put(h->level, h->at, h->epoch, h->rule, h->rule + h->object,
		    h->rule + h->text);
	}
	held.used = 0;
}

/* False: there is no room for it. */
static bool
keep(enum had_level level, const char *rule, const char *object,
    const char *text)
{
	size_t a = strlen(rule) + 1, b = strlen(object) + 1;
	size_t c = strlen(text) + 1;
	size_t len = sizeof(struct held) + a + b + c;
	struct held *h = (void *)(held.bytes + held.used);

	len += -len % _Alignof(struct held);
	if (len > HELD_BYTES - held.used)
		return false;
	h->at = log_now();
	h->epoch = ctx.epoch;
	h->level = level;
	h->object = (uint32_t)a;
	h->text = (uint32_t)(a + b);
	h->len = (uint32_t)len;
	memcpy(h->rule, rule, a);
	memcpy(h->rule + a, object, b);
	memcpy(h->rule + a + b, text, c);
	held.used += len;
	return true;
}

void
log_hold(void)
{
	held.on = true;
}

void
log_release(void)
{
	put_held();
	held.on = false;
}

void
log_at(enum had_level level, const char *rule, const char *object,
    const char *text)
{
	if (level == HAD_DEBUG && ctx.verbose == 0)
		return;
	if (held.on && level > HAD_WARN && keep(level, rule, object, text))
		return;
	put_held();
	put(level, log_now(), ctx.epoch, rule, object, text);
}

static void
log_v(enum had_level level, const char *suffix, const char *fmt, va_list ap)
{
	char text[1024];
	int n;

	n = vsnprintf(text, sizeof(text), fmt, ap);
	if (n >= 0 && suffix != NULL && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, ": %s", suffix);
	log_at(level, "", "", text);
}

#define LOG_BODY(level, suffix) \
	do { \
		va_list ap; \
		va_start(ap, fmt); \
		log_v((level), (suffix), fmt, ap); \
		va_end(ap); \
	} while (0)

void
log_warn(const char *fmt, ...)
{
	const char *why = strerror(errno);

	LOG_BODY(HAD_WARN, why);
}

void
log_warnx(const char *fmt, ...)
{
	LOG_BODY(HAD_WARN, NULL);
}

void
log_info(const char *fmt, ...)
{
	LOG_BODY(HAD_INFO, NULL);
}

void
log_debug(const char *fmt, ...)
{
	if (ctx.verbose > 0)
		LOG_BODY(HAD_DEBUG, NULL);
}

void
fatal(const char *fmt, ...)
{
	const char *why = strerror(errno);

	LOG_BODY(HAD_ERR, why);
	exit(1);
}

void
fatalx(const char *fmt, ...)
{
	LOG_BODY(HAD_ERR, NULL);
	exit(1);
}

bool
log_allowed(struct log_limit *l, monotime_t now, uint32_t *suppressed)
{
	if (mt_before(now, l->next)) {
		l->suppressed++;
		return false;
	}
	*suppressed = l->suppressed;
	l->suppressed = 0;
	l->next = mt_add_ms(now, 1000);
	return true;
}

/* abort(3), so that a core file and the watchdog tell the story. */
void
had_assert_fail(const char *file, int line, const char *expr)
{
	put_held();
	fprintf(stderr, "%s: %s:%d: assertion failed: %s\n", ctx.prog, file,
	    line, expr);
	abort();
}
