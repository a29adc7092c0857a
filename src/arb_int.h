/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of the arbitration core; nobody else includes it. */
#ifndef ARB_INT_H
#define ARB_INT_H

#include "arb.h"

enum {
	ARB_DELAY_MS = 5000, /* R4: at the least, before the second fires */
	ARB_POLL_MS = 500, /* between two looks whether it is off yet */
	ARB_VERIFY_MS = 5000, /* after boot, between two rounds; doubles */
	ARB_RETRY_MAX_MS = 60 * 1000, /* R15 */
	ARB_TEXT = 96,
	ARB_REPORT = 1024,
};

struct arb_peer {
	uint8_t id;
	char name[HAD_NAME_MAX];
	uint8_t n_levels;
	uint32_t timeout_ms[HAD_FENCES_MAX];
	char agent[HAD_FENCES_MAX][HAD_NAME_MAX];
	enum arb_state state;
	monotime_t since;
	/* What is wanted. */
	uint64_t epoch;
	bool active, verify, waits;
	bool leased; /* verdict LEASE was given, of that epoch */
	bool off; /* verdict OFF was given */
	/* The agent that runs. */
	uint32_t token; /* 0 = none */
	enum arb_action action;
	uint8_t level;
	bool exhausted; /* no level is left */
	monotime_t deadline; /* of the level, or of a query */
	monotime_t next_at; /* to fire, to look again; MT_NEVER */
	monotime_t began; /* of off */
	uint32_t verify_ms; /* until the next round */
	/* A test that an operator waits for. */
	bool testing, test_bad;
	uint64_t test_token;
	monotime_t tested; /* us 0 = never */
	bool test_ok;
	uint32_t fence_ms;
	char last[ARB_TEXT];
	char report[ARB_REPORT];
};

struct arb_voter {
	bool up;
	bool asked; /* and not yet answered */
	bool answered; /* since the question was put */
	enum arb_vote vote; /* if answered */
	monotime_t ask_at; /* again; MT_NEVER */
	uint32_t retry_ms;
	uint8_t holder; /* of its lease, as it said last */
	uint64_t holder_epoch;
};

struct arb {
	struct arb_conf conf;
	const struct arb_ops *ops; /* borrowed until arb_free */
	void *ctx; /* borrowed until arb_free */
	bool stepping, started;
	monotime_t now;
	uint32_t token;
	bool working;
	uint32_t told_fence_ms;
	/* The question to the voters: one for all peers. */
	uint64_t vote_epoch; /* 0 = none was put yet */
	bool voting; /* it is open */
	struct arb_voter voters[HAD_VOTERS_MAX];
	struct arb_peer peers[HAD_NODES_MAX - 1];
};

/* arb.c */
void arb_say(struct arb *, enum had_level, const char *rule,
    const struct arb_peer *, const char *fmt, ...) PRINTF_LIKE(5, 6);
void arb_set(struct arb *, struct arb_peer *, enum arb_state, const char *why);
void arb_verdict(struct arb *, struct arb_peer *, enum arb_verdict,
    const char *rule, const char *text);
void arb_input(
    struct arb *, struct arb_peer *, enum arb_in, const struct arb_event *);

/* arb_fence.c: agents. */
void arb_fence_stop(struct arb *, struct arb_peer *);
monotime_t arb_fence_delay(const struct arb *, const struct arb_peer *);
void arb_fence_fire(struct arb *, struct arb_peer *);
void arb_fence_verify(struct arb *, struct arb_peer *);
void arb_fence_tick(struct arb *, struct arb_peer *, const struct arb_event *);
void arb_fence_done(struct arb *, struct arb_peer *, const struct arb_event *);
void arb_test(struct arb *, struct arb_peer *, const struct arb_event *);
void arb_test_done(struct arb *, struct arb_peer *, const struct arb_event *);
void arb_test_end(struct arb *, struct arb_peer *, const char *why);

/* arb_vote.c: the witness and the lock disks. */
enum arb_tally {
	TALLY_OPEN, /* answers are missing */
	TALLY_WON,
	TALLY_LOST, /* others have so many that we cannot win */
	TALLY_STUCK, /* all have answered, and nobody can win by that */
};
enum arb_tally arb_tally(const struct arb *);
bool arb_vote_taken(const struct arb *);
void arb_vote_open(struct arb *, uint64_t epoch, monotime_t at);
void arb_vote_close(struct arb *);
void arb_vote_event(struct arb *, const struct arb_event *);
void arb_voter_event(struct arb *, const struct arb_event *);
void arb_vote_tick(struct arb *);
monotime_t arb_vote_deadline(const struct arb *);
bool arb_voters_work(const struct arb *);

#endif
