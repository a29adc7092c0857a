/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of CARP counters.  All distances are modulo 2^64: a run may go
 * through zero.
 */
#include <string.h>

#include "carp_replay.h"

void
carp_replay_init(struct carp_replay *r)
{
	memset(r, 0, sizeof(*r));
}

static bool
heard_before(const struct carp_run *run, uint64_t counter)
{
	return run->used && counter - run->first <= run->last - run->first;
}

static bool
continues(const struct carp_run *run, uint64_t counter)
{
	return run->used && counter - run->last <= CARP_RUN_GAP;
}

static bool
is_from(const struct carp_run *run, const struct adv_frame *f)
{
	return run->used && run->family == f->family &&
	       memcmp(run->src, f->src, sizeof(run->src)) == 0;
}

static void
set_sender(struct carp_run *run, const struct adv_frame *f, monotime_t now)
{
	run->heard = now;
	run->family = 0;
	memset(run->src, 0, sizeof(run->src));
	if (f != NULL) {
		run->family = f->family;
		memcpy(run->src, f->src, sizeof(run->src));
	}
}

/* Goes on with the run of this counter, or forgets the oldest for a new one. */
static void
remember(struct carp_replay *r, const struct adv_frame *f, uint64_t counter,
    monotime_t now)
{
	struct carp_run *run, *oldest = NULL;

	for (run = r->runs; run < r->runs + CARP_RUNS_MAX; run++)
		if (continues(run, counter)) {
			run->last = counter;
			set_sender(run, f, now);
			return;
		}
	for (run = r->runs; run < r->runs + CARP_RUNS_MAX; run++) {
		if (!run->used) {
			oldest = run;
			break;
		}
		if (oldest == NULL || mt_before(run->heard, oldest->heard))
			oldest = run;
	}
	ASSERT(oldest != NULL);
	oldest->used = true;
	oldest->first = counter;
	oldest->last = counter;
	set_sender(oldest, f, now);
}

enum carp_reject
carp_replay_check(struct carp_replay *r, const struct carp_packet *p,
    monotime_t now, int64_t quiet_us)
{
	bool speaks = false, goes_on = false;
	const struct carp_run *run;

	ASSERT(quiet_us >= 0);
	for (run = r->runs; run < r->runs + CARP_RUNS_MAX; run++) {
		if (heard_before(run, p->counter))
			return CARP_R_REPLAY;
		if (continues(run, p->counter))
			goes_on = true;
		if (is_from(run, &p->f) &&
		    mt_sub_us(now, run->heard) < quiet_us)
			speaks = true;
	}
	if (speaks && !goes_on)
		return CARP_R_RESTART;
	remember(r, &p->f, p->counter, now);
	return CARP_OK;
}

void
carp_replay_sent(struct carp_replay *r, uint64_t counter, monotime_t now)
{
	remember(r, NULL, counter, now);
}
