/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The timeline of two nodes: the messages by which one asks for the other's
 * events, and the order in which both are told.  Pure.
 *
 * Clocks.  An event has its node's time since boot.  The answer to a question
 * that was sent at t0 and is here at t1 has the peer's time T of in between:
 * the peer's clock is ahead by at least T - t1 and at most T - t0.  Several
 * answers narrow that down; what is left is the error.
 */
#ifndef EVLOG_H
#define EVLOG_H

#include "had.h"

enum {
	EV_PIECE = 32, /* events in one answer */
	EV_RULE = 12,
	EV_OBJECT = 48,
	EV_TEXT = 240,
	EV_ENTRY_MIN = 28,
	EV_HEAD = 24,
	EV_MSG_MAX =
	    EV_HEAD + EV_PIECE * (EV_ENTRY_MIN + EV_RULE + EV_OBJECT + EV_TEXT),
};

struct ev {
	uint64_t serial; /* grows on its node */
	int64_t at_us; /* since boot of its node */
	uint64_t epoch;
	uint8_t level; /* enum had_level */
	char rule[EV_RULE], object[EV_OBJECT], text[EV_TEXT];
};

enum ev_type { EV_ASK = 1, EV_ANSWER };
struct ev_msg {
	enum ev_type type;
	uint32_t id; /* of the question */
	/* ASK: events after serial, not older than so long; 0 = all */
	uint64_t after;
	uint64_t age_us;
	/* ANSWER, the oldest first */
	bool more; /* ask again for what follows */
	int64_t now_us; /* of the one who answers */
	uint8_t n;
	struct ev events[EV_PIECE];
};

size_t ev_encode(const struct ev_msg *, uint8_t bytes[EV_MSG_MAX]);
int ev_decode(
    struct ev_msg *, const uint8_t *bytes, size_t len, const char **why);

/* How far the peer's clock is ahead: between low and high. */
struct ev_clock {
	bool known;
	int64_t low_us, high_us;
};
void ev_clock_add(
    struct ev_clock *, int64_t asked_us, int64_t peer_us, int64_t now_us);
/* Peer's time in own time; *error_us: it may be off by so much. */
int64_t ev_clock_own(
    const struct ev_clock *, int64_t peer_us, int64_t *error_us);

/*
 * Is a told before b?  They are of different nodes, their times those of one
 * clock.  Where the clocks cannot tell the epoch does: what happened in a
 * later one is never the cause of what happened in an earlier one.
 */
bool ev_before(const struct ev *a, const struct ev *b, int64_t error_us);

#endif
