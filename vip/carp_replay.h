/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which CARP counters were heard, so that nobody plays an advertisement twice.
 * Pure; one per vhid, fed with advertisements whose digest is right.
 *
 * OpenBSD, FreeBSD and had start at a random 64-bit counter and add a little
 * with every advertisement: a run.  ucarp takes a random counter each time.
 * The digest covers the counter, but not the sender's address, so counters are
 * remembered whoever sent them:
 *
 *  - One that was heard, or lies within a run, is a replay: always, and from
 *    any address.
 *  - One shortly after a run continues it.  (OpenBSD shares one run between
 *    its IPv4 and its IPv6 address.)  One shortly after a lone counter makes a
 *    run with it.
 *  - Any other is new: of a new sender, of one that has started again, or of
 *    ucarp.  It is refused from an address whose run goes on: a sender that
 *    counts does not jump while it lives.  Else it is taken, as a lone counter.
 *
 * A run goes on for two intervals after what was heard last, and not at all
 * after a bow-out.  A master counts as dead after three: so one that starts
 * again is heard before it is given up, and its restart alone never makes a
 * second master.  The interval is the one of the run, not of the packet in
 * question: the digest does not cover it.
 *
 * What this cannot do: know what was sent before it began to listen; know a
 * run that CARP_RUNS_MAX later ones displaced, or a lone counter that
 * CARP_LONE_MAX later ones did, which with ucarp is that many adverts.
 */
#ifndef CARP_REPLAY_H
#define CARP_REPLAY_H

#include "carp_packet.h"

enum {
	CARP_RUNS_MAX = 8,
	CARP_LONE_MAX = 128,
	CARP_RUN_GAP = 1 << 16, /* so many steps still continue a run */
};

struct carp_run {
	uint64_t first, last; /* counters heard, both included */
	monotime_t heard; /* last */
	int64_t quiet_us; /* after it, when the run no longer goes on */
	uint8_t src[16]; /* of the sender heard last; IPv4 zero-padded */
	bool used;
};

struct carp_replay {
	struct carp_run own; /* what was sent from here */
	struct carp_run runs[CARP_RUNS_MAX];
	uint64_t lone[CARP_LONE_MAX]; /* a ring */
	unsigned nlone; /* used; all, once it is full */
	unsigned next; /* to be written */
};

void carp_replay_init(struct carp_replay *);

/*
 * CARP_OK and remembered, or CARP_R_REPLAY, or CARP_R_RESTART.  now must not
 * go back.
 */
enum carp_reject carp_replay_check(
    struct carp_replay *, const struct carp_packet *, monotime_t now);

/* Remembers an own advertisement: it may not come back from another address. */
void carp_replay_sent(struct carp_replay *, uint64_t counter);

#endif
