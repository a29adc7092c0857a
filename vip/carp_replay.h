/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which CARP counters were heard, so that nobody plays an advertisement twice.
 * Pure; one per vhid, fed with advertisements whose digest is right.
 *
 * A sender starts at a random 64-bit counter and adds a little with every
 * advertisement: a run.  The digest covers the counter, not the sender's
 * address, so what is remembered are runs, whoever sent them:
 *
 *  - A counter inside a run that is remembered is a replay, always, from any
 *    address.
 *  - A counter shortly after a run continues it (OpenBSD shares one run
 *    between its IPv4 and its IPv6 address).
 *  - Any other counter is a new run: a new sender's, or that of one that has
 *    started again.  It is taken from an address that was silent for quiet_us,
 *    and refused from one that still speaks: else a single old advertisement
 *    could shut out the sender it was recorded from.
 *
 * quiet_us should be the time after which the sender counts as dead less one
 * of its intervals: then one that starts again within that time is heard again
 * before it is given up, and no advertisement is believed that contradicts a
 * living sender.
 *
 * What this cannot do: know a run from before it began to listen, or one that
 * CARP_RUNS_MAX later ones have displaced.
 */
#ifndef CARP_REPLAY_H
#define CARP_REPLAY_H

#include "carp_packet.h"

enum {
	CARP_RUNS_MAX = 16,
	CARP_RUN_GAP = 1 << 16, /* so many lost ones still continue a run */
};

struct carp_run {
	uint64_t first, last; /* counters heard, both included */
	monotime_t heard; /* last */
	uint8_t family; /* of the sender heard last; 0: the own run */
	uint8_t src[16];
	bool used;
};

struct carp_replay {
	struct carp_run runs[CARP_RUNS_MAX];
};

void carp_replay_init(struct carp_replay *);

/*
 * CARP_OK and remembered, or CARP_R_REPLAY, or CARP_R_RESTART.  now must not
 * go back.
 */
enum carp_reject carp_replay_check(struct carp_replay *,
    const struct carp_packet *, monotime_t now, int64_t quiet_us);

/* Remembers an own advertisement: it may not come back from another address. */
void carp_replay_sent(struct carp_replay *, uint64_t counter, monotime_t now);

#endif
