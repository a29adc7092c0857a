/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How nodes agree on a lock disk without a server: who has the lease of an
 * epoch.  A pure step machine; it says what to read, what to write and when to
 * wait, and is told what came of it.
 *
 * The algorithm is Disk Paxos (Gafni, Lamport: Disk Paxos, Distributed
 * Computing 16, 2003) with one disk, one instance per epoch, node ids as
 * values.  Every node has a slot that only it writes: the epoch of the instance
 * that it takes part in, mbal (the ballot that it has joined), bal and inp (the
 * last ballot in which it proposed something, and what).  A slot whose epoch
 * is lower counts as empty; ballots of different nodes are never equal.  To
 * ask for epoch E with ballot b, higher than all that it has seen:
 *
 *	look	read all slots
 *	1	write mbal = b; read all; propose what was proposed at the
 *		highest bal that is seen, or oneself if there is none
 *	2	write mbal = bal = b, inp = proposal; read all
 *	decided	if no slot with epoch E has mbal > b in either reading, the
 *		proposal has the lease of E: write chosen, then answer
 *
 * A higher mbal: wait, and begin again.  A higher epoch anywhere: DENIED.
 * chosen in a slot with epoch E: it is decided, answer.
 *
 * Why one epoch is never granted to two.  Let p decide v in ballot b, and let
 * c be the lowest ballot > b in which a node q proposes w != v.  Each writes
 * its slot before it reads the other's, and a slot read returns what was
 * written last before the reading, or something newer.  So of p's second
 * write (bal = b) and q's first (mbal = c), at least one is seen by the other's
 * reading that follows.  Had p seen mbal = c > b, it had not decided.  So q has
 * seen bal >= b of p at its first reading, and proposed the value of the
 * highest bal that it saw, which is b or between b and c: v, as c is the
 * lowest that differs.  A contradiction.  A q whose slot went on to a higher
 * epoch takes part in E no more: it is denied E, as its own slot is among
 * those that it looks at.  That a slot of a higher epoch hides what its node
 * proposed in E does no harm either: who sees it is denied E.
 *
 * Crashes at any point are a slot that stays as it is, or gets the write that
 * was under way; a node that comes back goes on from its slot, with a higher
 * ballot.  Delays are nothing but a late step.  Every grant has bal and inp in
 * both copies of the slot (the writes of phase 2 and of chosen), so no later
 * loss of one copy can undo it.
 *
 * What it takes for granted: a write that was reported or lost with its
 * machine does not arrive after a later one of the same node; a read does not
 * return old data from a cache.  regress/unit/lockdisk_test.c explores every
 * interleaving of two nodes, with crashes and failing writes.
 */
#ifndef LOCKDISK_VOTE_H
#define LOCKDISK_VOTE_H

#include "had.h"
#include "lockdisk_slot.h"

enum ldv_do {
	LDV_READ, /* all slots, then ldv_read() */
	LDV_WRITE, /* own, then ldv_wrote(), or ldv_stop() if it failed */
	LDV_WAIT, /* a while that grows with tries, then ldv_waited() */
	LDV_DONE, /* see verdict */
};

enum ldv_verdict { LDV_GRANTED, LDV_DENIED, LDV_BROKEN };

enum ldv_phase {
	LDV_IDLE,
	LDV_LOOK,
	LDV_PREPARE, /* its write, then its reading */
	LDV_PREPARED,
	LDV_PROPOSE,
	LDV_PROPOSED,
	LDV_CHOOSE,
	LDV_PAUSE,
};

struct ldv {
	uint64_t incarnation;
	uint64_t epoch; /* asked for */
	struct ld_slot own; /* as it is to be written, or was */
	/* The last write of this incarnation that is known to be done. */
	uint64_t floor; /* its seq, 0 = none */
	uint64_t ballot;
	enum ldv_phase phase;
	enum ldv_verdict verdict;
	uint64_t holder_epoch; /* DENIED */
	uint8_t holder; /* DENIED; 0 = not known */
	uint8_t self;
	uint8_t tries; /* ballots that were lost in this ask */
	const char *why; /* BROKEN */
};

void ldv_init(struct ldv *, uint8_t self, uint64_t incarnation);

/* Begins to ask; whatever was under way is given up. */
enum ldv_do ldv_ask(struct ldv *, uint64_t epoch);
enum ldv_do ldv_read(struct ldv *, const struct ld_slot slots[HAD_NODES_MAX]);
enum ldv_do ldv_wrote(struct ldv *);
enum ldv_do ldv_waited(struct ldv *);

/* Gives up; a write that is under way may or may not arrive. */
void ldv_stop(struct ldv *);

#endif
