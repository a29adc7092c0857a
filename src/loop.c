/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "loop.h"

/*
 * The histogram: eight buckets for each power of two, so a percentile is
 * right within 12 %.  Six slices of ten seconds make the last minute.
 */
enum {
	/*
	 * Accuracy of timers (0 would mean sd-event's 250 ms), and the time
	 * after which the same one may run again, so that others can.
	 */
	TIMER_US = 100,
	SLICE_US = 10 * 1000 * 1000,
	N_SLICES = 6,
	SUB = 8,
	N_BUCKETS = 28 * SUB,
};

struct slice {
	uint32_t count[N_BUCKETS];
	uint32_t total, max_us;
};

struct loop {
	sd_event *event; /* owned */
	struct slice slices[N_SLICES];
	unsigned slice;
	uint64_t slice_end_us;
};

struct loop_timer {
	sd_event_source *source; /* owned */
	loop_timer_fn fn;
	void *ctx; /* borrowed */
	struct loop *watch; /* borrowed; NULL: nobody asks how late it is */
	int64_t due_us, fired_us;
};

monotime_t
loop_now(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_BOOTTIME, &ts) == -1)
		fatal("loop: clock_gettime");
	return (monotime_t){(int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000};
}

static unsigned
bucket_of(uint32_t us)
{
	unsigned power, b;

	if (us < SUB)
		return us;
	power = 31 - (unsigned)__builtin_clz(us);
	b = (power - 2) * SUB + ((us >> (power - 3)) & (SUB - 1));
	return b < N_BUCKETS ? b : N_BUCKETS - 1;
}

/* The largest value that falls into bucket b. */
static uint32_t
bucket_top(unsigned b)
{
	unsigned power;

	if (b < SUB)
		return b;
	power = b / SUB + 2;
	return (uint32_t)(((uint64_t)(SUB + b % SUB + 1) << (power - 3)) - 1);
}

/* The slice of now. */
static struct slice *
slice_at(struct loop *l, uint64_t now_us)
{
	while (now_us >= l->slice_end_us) {
		l->slice = (l->slice + 1) % N_SLICES;
		memset(&l->slices[l->slice], 0, sizeof(l->slices[0]));
		l->slice_end_us += SLICE_US;
		/* After a long pause there is nothing to shift slice-wise. */
		if (now_us >= l->slice_end_us + SLICE_US * N_SLICES)
			l->slice_end_us = now_us + SLICE_US;
	}
	return &l->slices[l->slice];
}

static uint32_t
lag_of(int64_t from_us, int64_t to_us)
{
	int64_t us = to_us - from_us;

	return us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* A timer ran so late. */
static void
lag_add(struct loop *l, monotime_t now, uint32_t us)
{
	struct slice *s = slice_at(l, (uint64_t)now.us);

	s->count[bucket_of(us)]++;
	s->total++;
	if (us > s->max_us)
		s->max_us = us;
}

/* A turn took so long. */
static void
turn_add(struct loop *l, monotime_t now, uint32_t us)
{
	struct slice *s = slice_at(l, (uint64_t)now.us);

	if (us > s->max_us)
		s->max_us = us;
}

struct loop *
loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));
	int r;

	if (l == NULL)
		fatal("loop: calloc");
	if ((r = sd_event_new(&l->event)) < 0) {
		errno = -r;
		fatal("loop: sd_event_new");
	}
	l->slice_end_us = (uint64_t)loop_now().us + SLICE_US;
	return l;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	sd_event_unref(l->event);
	free(l);
}

sd_event *
loop_event(struct loop *l)
{
	return l->event;
}

static uint32_t
percentile(const uint32_t *count, uint64_t total, unsigned percent)
{
	uint64_t want = (total * percent + 99) / 100, seen = 0;

	for (unsigned b = 0; b < N_BUCKETS; b++) {
		seen += count[b];
		if (seen >= want)
			return bucket_top(b);
	}
	return bucket_top(N_BUCKETS - 1);
}

void
loop_lag(const struct loop *l, struct loop_lag *lag)
{
	uint32_t count[N_BUCKETS] = {0};
	uint64_t total = 0;

	memset(lag, 0, sizeof(*lag));
	for (unsigned i = 0; i < N_SLICES; i++) {
		for (unsigned b = 0; b < N_BUCKETS; b++)
			count[b] += l->slices[i].count[b];
		total += l->slices[i].total;
		if (l->slices[i].max_us > lag->max_us)
			lag->max_us = l->slices[i].max_us;
	}
	if (total == 0)
		return;
	lag->p50_us = percentile(count, total, 50);
	lag->p99_us = percentile(count, total, 99);
	if (lag->p50_us > lag->max_us)
		lag->p50_us = lag->max_us;
	if (lag->p99_us > lag->max_us)
		lag->p99_us = lag->max_us;
}

/* One turn: as sd_event_run, but what it took is kept. */
static int
turn(struct loop *l)
{
	uint64_t began_us;
	monotime_t now;
	int r = sd_event_prepare(l->event);

	if (r == 0)
		r = sd_event_wait(l->event, UINT64_MAX);
	if (r <= 0)
		return r;
	r = sd_event_now(l->event, CLOCK_BOOTTIME, &began_us);
	if (r < 0)
		return r;
	r = sd_event_dispatch(l->event);
	now = loop_now();
	turn_add(l, now, lag_of((int64_t)began_us, now.us));
	return r;
}

int
loop_run(struct loop *l)
{
	int r = 0, code;

	while (r >= 0 && sd_event_get_state(l->event) != SD_EVENT_FINISHED)
		r = turn(l);
	if (r >= 0)
		r = sd_event_get_exit_code(l->event, &code);
	if (r < 0) {
		errno = -r;
		fatal("loop: turn");
	}
	return code;
}

void
loop_exit(struct loop *l, int code)
{
	sd_event_exit(l->event, code);
}

static int
timer_fired(sd_event_source *source, uint64_t due_us, void *arg)
{
	struct loop_timer *t = arg;
	monotime_t now = loop_now();

	(void)source;
	(void)due_us;
	t->fired_us = now.us;
	if (t->watch != NULL)
		lag_add(t->watch, now, lag_of(t->due_us, now.us));
	t->fn(t->ctx, now); /* may free t */
	return 0;
}

struct loop_timer *
loop_timer_new(sd_event *event, loop_timer_fn fn, void *ctx)
{
	struct loop_timer *t = calloc(1, sizeof(*t));
	int r;

	if (t == NULL)
		fatal("loop: calloc");
	t->fn = fn;
	t->ctx = ctx;
	t->fired_us = -TIMER_US;
	r = sd_event_add_time(event, &t->source, CLOCK_BOOTTIME, UINT64_MAX,
	    TIMER_US, timer_fired, t);
	if (r >= 0)
		r = sd_event_source_set_enabled(t->source, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(t->source, LOOP_TIMER);
	if (r < 0) {
		errno = -r;
		fatal("loop: timer");
	}
	return t;
}

void
loop_timer_at(struct loop_timer *t, monotime_t at)
{
	bool never = at.us == INT64_MAX;
	int64_t now_us;
	int r;

	ASSERT(at.us >= 0);
	if (at.us < t->fired_us + TIMER_US)
		at.us = t->fired_us + TIMER_US;
	/* Asked for the past, it is not late. */
	if (t->watch != NULL) {
		now_us = loop_now().us;
		t->due_us = at.us < now_us ? now_us : at.us;
	}
	r = sd_event_source_set_time(t->source, (uint64_t)at.us);
	if (r >= 0)
		r = sd_event_source_set_enabled(
		    t->source, never ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
	if (r < 0) {
		errno = -r;
		fatal("loop: timer");
	}
}

void
loop_timer_watch(struct loop_timer *t, struct loop *l)
{
	t->watch = l;
	t->due_us = INT64_MAX; /* until it is armed again */
}

void
loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	sd_event_source_disable_unref(t->source);
	free(t);
}
