/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Liveness of one link to one peer, as seen by the heartbeats on it.  Pure:
 * time comes in with every call.  One object per (peer, link).
 *
 * late: no heartbeat for LNK_LATE_BEATS intervals; down: none for dead_ms, or
 * the own carrier is off.  Loss is measured by gaps in the peer's sequence
 * over the last LNK_WINDOW expected beats.
 */
#ifndef LINK_H
#define LINK_H

#include "had.h"

enum { LNK_LATE_BEATS = 3, LNK_WINDOW = 128 };

#define LNK_STATES(X) \
	X(LNK_DOWN, down) \
	X(LNK_LATE, late) \
	X(LNK_UP, up)
enum lnk_state {
#define X(name, text) name,
	LNK_STATES(X)
#undef X
};
const char *lnk_state_text(enum lnk_state);

struct lnk_conf {
	uint32_t heartbeat_ms;
	uint32_t dead_ms;
};

/* Embedded; all fields are private to link.c. */
struct lnk {
	struct lnk_conf conf;
	enum lnk_state state;
	bool carrier;
	bool ever; /* something was heard since lnk_init */
	monotime_t heard_at;
	monotime_t since; /* of state */
	uint64_t peer_seq; /* highest heard */
	uint64_t seen[LNK_WINDOW / 64]; /* bit n: beat peer_seq - n came */
	uint32_t expected; /* beats in the window, <= LNK_WINDOW */
	uint32_t srtt_us, rttvar_us; /* 0 = none yet */
	monotime_t sent_at;
	uint64_t sent, received;
	uint64_t lost; /* gaps in the sequence that were not filled */
	uint64_t duplicate; /* seen before, or older than the window */
	uint64_t late; /* times the link became late */
	uint64_t downs; /* times the link went down */
};

/* What a call changed.  from == to: nothing. */
struct lnk_change {
	enum lnk_state from, to;
	const char *why; /* static text */
};

struct lnk_status {
	enum lnk_state state;
	bool carrier;
	monotime_t since;
	monotime_t heard_at; /* MT_NEVER if never */
	uint32_t srtt_us; /* 0 = unknown */
	uint32_t loss_permille; /* of the last LNK_WINDOW expected beats */
	uint64_t sent, received, lost, duplicate, late, downs;
};

/* Starts down, carrier assumed on. */
void lnk_init(struct lnk *, const struct lnk_conf *, monotime_t now);

/* A heartbeat of ours left on this link. */
void lnk_sent(struct lnk *, monotime_t now);

/*
 * A heartbeat of the peer came: its sequence (per link, grows by one with
 * each beat, restarts with a new incarnation: call lnk_reset then), our own
 * timestamp that it echoes (echo_us, 0 = none; hold_us is how long the peer
 * had held it before answering).
 */
struct lnk_change lnk_heard(struct lnk *, uint64_t seq, int64_t echo_us,
    uint32_t hold_us, monotime_t now);

/* The peer restarted: its sequence begins anew.  The state stays. */
void lnk_reset(struct lnk *, monotime_t now);

/* Own carrier; off means down at once, on waits for a heartbeat. */
struct lnk_change lnk_carrier(struct lnk *, bool on, monotime_t now);

/* To be called at or after lnk_next. */
struct lnk_change lnk_tick(struct lnk *, monotime_t now);

/* When the state would change if nothing more were heard; MT_NEVER. */
monotime_t lnk_next(const struct lnk *);

void lnk_status(const struct lnk *, struct lnk_status *);

#endif
