/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two nodes, each the membership and the arbitration core of the daemon, in a
 * world that moves in ticks of one heartbeat: two links, a voter, a fence
 * agent per node, a service with data that follows the right to it.
 *
 * A state is all of that with times relative to now, so that states of
 * different histories are the same state.
 */
#ifndef ARB_WORLD_H
#define ARB_WORLD_H

#include <stddef.h>

#include "arb_int.h"
#include "member_int.h"

enum {
	NODES = 2,
	LINKS = 2,
	TICK_MS = 100,
	MAILS = 24,
	OFF_MS = 200, /* an agent takes so long */
};

enum way { AGENT_GOOD, AGENT_FAILS, AGENT_LIES, AGENT_HANGS };

/* Something that is on its way to a node. */
struct mail {
	enum { M_NONE, M_MSG, M_DISK, M_VOTE, M_FENCED } what;
	uint8_t to;
	uint8_t boot; /* of the receiver */
	monotime_t due;
	uint64_t serial; /* DISK; VOTE: epoch; FENCED: token */
	enum arb_vote vote;
	enum arb_result result;
	uint8_t holder;
	uint64_t holder_epoch;
	struct sf_record record;
	uint8_t bytes[MB_MSG_SIZE];
};

struct node {
	bool powered, running, frozen;
	uint8_t boot;
	struct sf_record record;
	bool has_record;
	monotime_t mb_at, arb_at, stepped;
	/* What was told by membership. */
	enum mb_self self;
	enum mb_peer verdict;
	bool own_right, no_data;
	uint64_t epoch;
	bool denied; /* the other has the lease, until REST */
	bool holds; /* the service runs here */
	/* The link layer. */
	monotime_t heard[LINKS]; /* us 0: never */
	bool link_up[LINKS];
	monotime_t reached[LINKS]; /* sent then, and heard by the peer */
	/* The agent that runs. */
	uint32_t token;
};

struct world {
	monotime_t now;
	struct node node[NODES];
	bool cut[LINKS][NODES]; /* from that node */
	bool voter_down, voter_cut[NODES];
	monotime_t off_at[NODES]; /* an agent switches it off then */
	uint8_t shot; /* bitmap: switched off, and not back */
	uint64_t voter_epoch;
	uint8_t voter_holder;
	enum way agent[NODES]; /* that switches this node off */
	bool lied; /* what follows is not promised */
	uint8_t faults; /* left */
	uint8_t repairs; /* left */
	uint8_t since; /* ticks since something came */
	uint8_t n_mails;
	struct mail mails[MAILS];
};

/*
 * Of a core with one peer: from behind its configuration, which stays the
 * same, up to what only an operator reads.  The rest is never touched.
 */
enum {
	MB_FROM = offsetof(struct mb, stepping),
	MB_USED = offsetof(struct mb, peers) + sizeof(struct peer) - MB_FROM,
	ARB_FROM = offsetof(struct arb, stepping),
	ARB_USED = offsetof(struct arb, peers) +
		   offsetof(struct arb_peer, last) - ARB_FROM,
};
struct saved {
	uint8_t mb[NODES][MB_USED], arb[NODES][ARB_USED];
	struct world w;
};

struct config {
	const char *name;
	bool fences, voter;
	uint64_t states_min; /* an exploration that finds fewer is broken */
};

extern struct world W;
extern struct mb *const *mb_cores;
extern struct arb *const *arb_cores;
extern const struct config *config;

void world_begin(const struct config *);
void world_end(void);
void world_save(struct saved *);
void world_load(const struct saved *);
void world_tick(void);
/* For faults and repairs. */
void world_mb_give(unsigned node, struct mb_event);
bool world_awake(unsigned node);
bool world_any_both_ways(void);
void world_power_off(unsigned node);
void world_boot(unsigned node);
/* Things go wrong, and right again; false: it makes no difference now. */
bool world_fault(unsigned kind);
bool world_repair(unsigned kind);
const char *world_fault_name(unsigned kind);
const char *world_repair_name(unsigned kind);
enum { REPAIRS = 4 };
extern const unsigned n_faults;
/* NULL, or which promise is broken. */
const char *world_broken(void);
const char *world_stuck(void);
/* Broken by an op, since the last tick. */
extern const char *broken;
uint64_t world_hash(void);
void world_print(void);

#endif
