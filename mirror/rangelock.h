/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Serialises operations on overlapping ranges of a volume, first come, first
 * served.  An entry is embedded in the operation it guards; nothing is
 * allocated.  The number of entries is small (operations in flight), so a
 * list in order of arrival does.
 */
#ifndef RANGELOCK_H
#define RANGELOCK_H

#include <bsd/sys/queue.h>

#include "had.h"

struct rl_entry {
	TAILQ_ENTRY(rl_entry) link;
	uint64_t off, len;
	bool queued, granted;
};
TAILQ_HEAD(rl_list, rl_entry);

struct rangelock {
	struct rl_list list; /* borrowed entries, by arrival */
	uint32_t waiting;
};

void rl_init(struct rangelock *);
/*
 * Queues e.  true: it is granted at once.  false: rl_release of an earlier
 * entry will grant it.
 */
bool rl_acquire(
    struct rangelock *, struct rl_entry *, uint64_t off, uint64_t len);
/*
 * Takes e out, granted or not, and calls granted() for each entry that is
 * granted by that.  granted() may acquire and release.
 */
void rl_release(struct rangelock *, struct rl_entry *e,
    void (*granted)(void *ctx, struct rl_entry *), void *ctx);

#endif
