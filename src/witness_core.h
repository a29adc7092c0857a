/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The witness of one cluster: a lease bound to an epoch, for one node (R6).
 * A pure core.
 *
 *	asked for E by N, the record says {epoch, holder}:
 *	E > epoch			write {E, N}; once that is durable,
 *GRANTED E = epoch and N = holder	GRANTED (idempotent) else
 *DENIED, naming holder and epoch
 *
 * Nothing expires here: a lease is superseded by a higher epoch only, so it
 * sticks to its holder.  One write at a time; an ask that comes meanwhile
 * waits, one for each node, and is looked at in order of arrival.  A write
 * that failed grants nothing, and the record stays what it was.
 */
#ifndef WITNESS_CORE_H
#define WITNESS_CORE_H

#include "had.h"

struct wit_lease {
	uint64_t epoch; /* 0: none */
	uint8_t holder; /* node id, 0 if none */
	uint64_t incarnation; /* of the holder when it was granted */
};

enum wit_vote { WIT_GRANTED, WIT_DENIED, WIT_FAILED };

struct wit_conf {
	nodeset_t nodes; /* who may ask */
	struct wit_lease lease; /* the durable one */
};

enum wit_ev {
	WIT_EV_ASK,
	WIT_EV_WRITTEN, /* the answer to write() */
	WIT_EV_GONE, /* a node's association ended: it waits no more */
};

struct wit_event {
	enum wit_ev type;
	union {
		struct {
			uint8_t node; /* proven */
			uint64_t incarnation;
			uint64_t epoch; /* > 0 */
		} ask;
		bool written; /* it is durable */
		uint8_t gone; /* node */
	} u;
};

struct wit_ops {
	/* Make it durable; answered by one WRITTEN, never at once. */
	void (*write)(void *ctx, const struct wit_lease *);
	/* lease is the one that counts (none: epoch 0, with FAILED only). */
	void (*answer)(void *ctx, uint8_t node, uint64_t epoch, enum wit_vote,
	    const struct wit_lease *lease);
	/* For the log: a grant, a denial that is new, a failure. */
	void (*note)(
	    void *ctx, enum had_level, const char *rule, const char *text);
};

struct wit;
/* ops and ctx stay borrowed until wit_free.  NULL: out of memory. */
struct wit *wit_new(const struct wit_conf *, const struct wit_ops *, void *ctx);
void wit_free(struct wit *);
void wit_step(struct wit *, const struct wit_event *);
const struct wit_lease *wit_lease(const struct wit *);

#endif
