/* SPDX-License-Identifier: BSD-2-Clause */
/* Serialises overlapping operations; see rangelock.h. */
#include "rangelock.h"

void
rl_init(struct rangelock *l)
{
	TAILQ_INIT(&l->list);
	l->waiting = 0;
}

static bool
overlap(const struct rl_entry *a, const struct rl_entry *b)
{
	return a->off < b->off + b->len && b->off < a->off + a->len;
}

/* Nothing that came before e touches its range. */
static bool
is_free(const struct rangelock *l, const struct rl_entry *e)
{
	const struct rl_entry *o;

	TAILQ_FOREACH (o, &l->list, link) {
		if (o == e)
			return true;
		if (overlap(o, e))
			return false;
	}
	return true;
}

bool
rl_acquire(struct rangelock *l, struct rl_entry *e, uint64_t off, uint64_t len)
{
	ASSERT(!e->queued && len > 0 && off + len > off);
	e->off = off;
	e->len = len;
	e->queued = true;
	e->granted = is_free(l, e);
	TAILQ_INSERT_TAIL(&l->list, e, link);
	if (!e->granted)
		l->waiting++;
	return e->granted;
}

/* The first waiting entry that nothing blocks any more. */
static struct rl_entry *
next_free(const struct rangelock *l)
{
	struct rl_entry *o;

	if (l->waiting == 0)
		return NULL;
	TAILQ_FOREACH (o, &l->list, link)
		if (!o->granted && is_free(l, o))
			return o;
	return NULL;
}

void
rl_release(struct rangelock *l, struct rl_entry *e,
    void (*granted)(void *ctx, struct rl_entry *), void *ctx)
{
	struct rl_entry *o;

	ASSERT(e->queued);
	TAILQ_REMOVE(&l->list, e, link);
	if (!e->granted) {
		ASSERT(l->waiting > 0);
		l->waiting--;
	}
	e->queued = e->granted = false;
	/* Searched anew each time: granted() may change the list. */
	while ((o = next_free(l)) != NULL) {
		o->granted = true;
		l->waiting--;
		granted(ctx, o);
	}
}
