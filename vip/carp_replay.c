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
heard_in(const struct carp_run *run, uint64_t counter)
{
	return run->used && counter - run->first <= run->last - run->first;
}

/* Of counters that were not heard. */
static bool
comes_after(uint64_t last, uint64_t counter)
{
	return counter - last <= CARP_RUN_GAP;
}

static bool
heard_before(const struct carp_replay *r, uint64_t counter)
{
	unsigned i;

	if (heard_in(&r->own, counter))
		return true;
	for (i = 0; i < CARP_RUNS_MAX; i++)
		if (heard_in(&r->runs[i], counter))
			return true;
	for (i = 0; i < r->nlone; i++)
		if (r->lone[i] == counter)
			return true;
	return false;
}

static struct carp_run *
run_before(struct carp_replay *r, uint64_t counter)
{
	struct carp_run *run;

	for (run = r->runs; run < r->runs + CARP_RUNS_MAX; run++)
		if (run->used && comes_after(run->last, counter))
			return run;
	return NULL;
}

/* A new run from first on, in place of the one that is silent for longest. */
static struct carp_run *
run_new(struct carp_replay *r, uint64_t first)
{
	struct carp_run *run, *place = &r->runs[0];

	for (run = r->runs; run < r->runs + CARP_RUNS_MAX && place->used; run++)
		if (!run->used || mt_before(run->heard, place->heard))
			place = run;
	memset(place, 0, sizeof(*place));
	place->used = true;
	place->first = first;
	return place;
}

static void
run_goes_on(struct carp_run *run, const struct carp_packet *p, monotime_t now)
{
	ASSERT(run->used);
	run->last = p->counter;
	run->heard = now;
	run->quiet_us = 0;
	if (!carp_is_bow_out(p))
		run->quiet_us = 2 * carp_interval_us(p->advbase, p->advskew);
	memcpy(run->src, p->f.src, sizeof(run->src));
}

static const uint64_t *
lone_before(const struct carp_replay *r, uint64_t counter)
{
	unsigned i;

	for (i = 0; i < r->nlone; i++)
		if (comes_after(r->lone[i], counter))
			return &r->lone[i];
	return NULL;
}

static void
lone_add(struct carp_replay *r, uint64_t counter)
{
	ASSERT(r->next < CARP_LONE_MAX);
	r->lone[r->next] = counter;
	r->next = (r->next + 1) % CARP_LONE_MAX;
	if (r->nlone < CARP_LONE_MAX)
		r->nlone++;
}

/* Does a run of this sender go on? */
static bool
is_counting(
    const struct carp_replay *r, const struct adv_frame *f, monotime_t now)
{
	const struct carp_run *run;

	for (run = r->runs; run < r->runs + CARP_RUNS_MAX; run++)
		if (run->used &&
		    memcmp(run->src, f->src, sizeof(run->src)) == 0 &&
		    mt_sub_us(now, run->heard) < run->quiet_us)
			return true;
	return false;
}

enum carp_reject
carp_replay_check(
    struct carp_replay *r, const struct carp_packet *p, monotime_t now)
{
	const uint64_t *lone;
	struct carp_run *run;

	if (heard_before(r, p->counter))
		return CARP_R_REPLAY;
	run = run_before(r, p->counter);
	if (run == NULL) {
		/*
		 * A lone one goes on even beside a run of its sender: else a
		 * recording could be the run, and shut the sender out.
		 */
		lone = lone_before(r, p->counter);
		if (lone == NULL && is_counting(r, &p->f, now))
			return CARP_R_RESTART;
		if (lone == NULL) {
			lone_add(r, p->counter);
			return CARP_OK;
		}
		run = run_new(r, *lone);
	}
	run_goes_on(run, p, now);
	return CARP_OK;
}

void
carp_replay_sent(struct carp_replay *r, uint64_t counter)
{
	if (!r->own.used || !comes_after(r->own.last, counter))
		r->own.first = counter;
	r->own.used = true;
	r->own.last = counter;
}
