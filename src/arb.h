/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arbitration: may this node act as if a silent peer were dead?  A pure core.
 * It asks the arbiters that the configuration names, in the way of the rules
 * R3 to R6 and R13 of had(8), and gives one verdict at a time.
 *
 *  - A fence agent switches the peer off; only a status query that says "off"
 *    afterwards counts (R3).  Levels are tried in order; when the last has
 *    failed everything freezes until an operator confirms (R5).
 *  - Voters (the witness and the lock disks) grant a lease bound to an epoch.
 *    A majority of the configured ones decides; a voter never grants one epoch
 *    to two nodes (R6).
 *  - The node that holds good data fires at once; so does the one that was
 *    granted the lease.  Any other waits, so that two nodes never shoot each
 *    other (R4), and one that was refused the lease never fires (R13); nor
 *    does one that a voter refused while the others do not answer.
 */
#ifndef ARB_H
#define ARB_H

#include "had.h"

#define ARB_EV_LIST(X) \
	X(START, "start") \
	X(TIMER, "timer") \
	X(WANT, "want") \
	X(REST, "rest") \
	X(VOTE, "vote") \
	X(VOTER, "voter") \
	X(FENCED, "fenced") \
	X(CONFIRM, "confirm") \
	X(TEST, "test")

/*
 * About one peer.
 *   IDLE     nobody wants to act without it
 *   VERIFY   after boot: is it off?  Only status queries, nothing is switched
 *   WAIT     the delay of the one that is not to shoot first (R4)
 *   OFF      an agent was told to switch it off
 *   CHECK    and is asked whether it is
 *   ASK      no agent to use (any more, or without the lease): the voters
 *            are asked
 *   WON      verdict OFF or LEASE given, nothing left to try; until REST
 *   LOST     refused by the voters: never fires (R13); until REST
 *   FROZEN   every arbiter failed (R5): until REST, CONFIRM or a lease
 */
#define ARB_STATE_LIST(X) \
	X(IDLE, "idle") \
	X(VERIFY, "verifying") \
	X(WAIT, "delayed") \
	X(OFF, "fencing") \
	X(CHECK, "verifying the fence") \
	X(ASK, "asking") \
	X(WON, "won") \
	X(LOST, "lost") \
	X(FROZEN, "frozen")

#define ARB_VERDICT_LIST(X) \
	X(OFF, "off") /* it is off: act at once */ \
	X(LEASE, "lease") /* granted: act once it has demoted itself (R7) */ \
	X(DENIED, "denied") /* the peer has the lease */ \
	X(FROZEN, "frozen") /* nobody can say: an operator must */

#define X(sym, name) ARB_EV_##sym,
enum arb_ev { ARB_EV_LIST(X) ARB_EV_N };
#undef X
#define X(sym, name) ARB_##sym,
enum arb_state { ARB_STATE_LIST(X) ARB_STATE_N };
#undef X
#define X(sym, name) ARB_VERDICT_##sym,
enum arb_verdict { ARB_VERDICT_LIST(X) ARB_VERDICT_N };
#undef X

const char *arb_ev_name(enum arb_ev);
const char *arb_state_name(enum arb_state);
const char *arb_verdict_name(enum arb_verdict);

/* What an agent is run for (fence agents' "action"). */
enum arb_action { ARB_DO_OFF, ARB_DO_STATUS, ARB_DO_MONITOR, ARB_DO_ON };

/*
 * What came of it.  Fence agents' convention: off, on and monitor exit 0 on
 * success; status exits 0 = on, 2 = off, 1 = cannot say.
 */
enum arb_result {
	ARB_RES_OK, /* OFF, ON, MONITOR: done, so it says */
	ARB_RES_IS_ON, /* STATUS */
	ARB_RES_IS_OFF, /* STATUS */
	ARB_RES_FAILED,
	ARB_RES_TIMEOUT, /* cancelled at its deadline */
};

enum arb_vote {
	ARB_VOTE_GRANTED,
	ARB_VOTE_DENIED,
	ARB_VOTE_UNREACHABLE, /* no answer, or it could not make it durable */
};

struct arb_conf {
	uint8_t self;
	uint8_t n_peers;
	struct {
		uint8_t id;
		char name[HAD_NAME_MAX];
		uint8_t n_levels; /* fence levels that switch it off */
		uint32_t timeout_ms[HAD_FENCES_MAX];
		char agent[HAD_FENCES_MAX][HAD_NAME_MAX]; /* for notes */
	} peers[HAD_NODES_MAX - 1];
	uint8_t n_voters; /* 0: nobody grants leases */
	char voters[HAD_VOTERS_MAX][HAD_NAME_MAX]; /* for notes */
	uint32_t dead_ms; /* a voter that does not answer in time is asked
			     again after so long, backing off */
};

struct arb_event {
	enum arb_ev type;
	monotime_t now;
	union {
		/*
		 * This node wants to act as if peer were dead, at epoch.
		 * Repeated if active or epoch changes.  verify_only: after
		 * boot, nothing may be switched off (R1).
		 */
		struct {
			uint8_t peer;
			uint64_t epoch; /* the one to be granted */
			bool active; /* this node holds good data (R4) */
			/* Neither does, and the peer's id is lower. */
			bool last;
			bool verify_only;
		} want;
		struct { /* no longer: it lives, or it was decided */
			uint8_t peer;
		} rest;
		/* Answer to vote(); one with another epoch is ignored. */
		struct {
			uint8_t voter;
			uint64_t epoch;
			enum arb_vote vote;
			uint8_t holder; /* DENIED: node id, 0 = unknown */
			uint64_t holder_epoch; /* DENIED: of its lease */
		} vote;
		/*
		 * Liveness of a voter, for status and for jeopardy (R2), and
		 * the lease that it holds, as far as it says.
		 */
		struct {
			uint8_t voter;
			bool up;
			uint8_t holder; /* node id, 0 = unknown */
			uint64_t holder_epoch;
		} voter;
		struct { /* answer to fence() */
			uint32_t token;
			enum arb_result result;
			const char *text; /* borrowed; may be NULL */
		} fenced;
		struct { /* the operator says: it is off (R5) */
			uint8_t peer;
			uint64_t token; /* for reply() */
		} confirm;
		/* Run "monitor", then "status", on every level. */
		struct {
			uint8_t peer;
			uint64_t token;
		} test;
	} u;
};

/* The inputs of the state machine of one peer, as cell() tells them. */
#define ARB_IN_LIST(X) \
	X(TICK, "tick") \
	X(WANT, "want") \
	X(REST, "rest") \
	X(VOTES, "votes") \
	X(FENCED, "fenced") \
	X(CONFIRM, "confirm") \
	X(TEST, "test")
#define X(sym, name) ARB_IN_##sym,
enum arb_in { ARB_IN_LIST(X) ARB_IN_N };
#undef X

struct arb_ops {
	void (*timer)(void *ctx, monotime_t at);
	void (*note)(void *ctx, enum had_level, const char *rule,
	    const char *object, const char *text);
	/* Ask a voter for the lease of epoch; answered by one VOTE. */
	void (*vote)(void *ctx, uint8_t voter, uint64_t epoch);
	/*
	 * Run the agent of that level; answered by one FENCED, also after
	 * cancel.  A FENCED with an old token is ignored.
	 */
	void (*fence)(void *ctx, uint8_t peer, uint8_t level, enum arb_action,
	    uint32_t token);
	void (*cancel)(void *ctx, uint32_t token);
	/*
	 * At most one between a WANT and its REST; but LEASE may be followed
	 * by OFF, and FROZEN by any other.  epoch: the one asked for.
	 */
	void (*verdict)(void *ctx, uint8_t peer, enum arb_verdict,
	    uint64_t epoch, const char *rule, const char *text);
	/*
	 * Voters hold epoch for this node in such a number that the peer
	 * cannot have had it, and this node was given no verdict for it.
	 */
	void (*spent)(void *ctx, uint64_t epoch);
	/*
	 * Could a lease or a fence be had now, as far as is known; and how
	 * long an agent took, 0 = not measured.  Told on change.
	 */
	void (*working)(void *ctx, bool working, uint32_t fence_ms);
	/* Answer to CONFIRM and TEST; text may have several lines. */
	void (*reply)(void *ctx, uint64_t token, bool ok, const char *text);
	/* NULL, or: the machine of a peer in this state is given this input. */
	void (*cell)(void *ctx, enum arb_in, enum arb_state);
};

struct arb;
struct arb *arb_new(const struct arb_conf *, const struct arb_ops *, void *ctx);
void arb_free(struct arb *);
void arb_step(struct arb *, const struct arb_event *);

struct arb_status {
	uint8_t n_peers;
	struct {
		uint8_t id;
		enum arb_state state;
		uint8_t level; /* under way or next */
		uint8_t n_levels;
		monotime_t since; /* of state */
		/* Last test: us 0 = never. */
		monotime_t tested;
		bool test_ok;
		uint32_t fence_ms; /* measured, of off until verified; 0 */
		char last[96]; /* what the last agent said, or "" */
	} peers[HAD_NODES_MAX - 1];
	uint8_t n_voters, voters_up; /* voters_up: bitmap */
	struct {
		uint8_t holder; /* as it said last; 0 = unknown */
		uint64_t holder_epoch;
	} voters[HAD_VOTERS_MAX];
	bool working; /* as told by working() */
};
void arb_status(const struct arb *, struct arb_status *);

#endif
