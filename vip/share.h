/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared addresses, the pure core: two nodes answer for one address, each for
 * its share of the clients.  A hash of the client's address is one of
 * SHARE_BUCKETS; this core decides which of them this node serves.
 *
 * Never both the same one, and none without a server for longer than it takes
 * to be sure:
 *
 * - While both nodes may act each serves its half.  What one of them does not
 *   want (it stops, its cable is out) the other takes.
 * - A node takes a bucket only after the other has said, in answer to a
 *   question that was asked after this node had announced that it might take
 *   it, that it serves it no more.  So two that want the same bucket at the
 *   same moment see one another before either takes it.
 * - Who serves a bucket gives it up in the kernel first and says so then.
 * - A peer that is dead is not asked: its guard is closed, because its lease
 *   has ended.  Whoever has lost the right to act, or whose own lease has
 *   ended, has lost all buckets, and what the peer said before is void.
 */
#ifndef SHARE_H
#define SHARE_H

#include "had.h"
#include "share_wire.h"

enum { SHARE_BUCKETS = 64 };
#define SHARE_EVERY UINT64_MAX

/*
 * OFF       before START
 * WAITING   may not act: serves nothing, the guard is closed
 * ASKING    may act, serves nothing: the peer has not answered yet, or has
 *           all of it
 * SHARING   serves a part
 * WHOLE     serves all
 * STOPPED   after STOP: serves nothing and never will
 */
#define SHARE_STATES(X) \
	X(OFF) \
	X(WAITING) \
	X(ASKING) \
	X(SHARING) \
	X(WHOLE) \
	X(STOPPED)
#define SHARE_STATE_ENUM(n) SHARE_##n,
enum share_state { SHARE_STATES(SHARE_STATE_ENUM) SHARE_STATE_N };
const char *share_state_name(enum share_state);

/* What became of the peer. */
enum share_life {
	SHARE_PEER_UNKNOWN, /* keep what there is, take nothing */
	SHARE_PEER_ALIVE, /* it answers */
	SHARE_PEER_DEAD, /* its guard is closed, or it has left */
};

/*
 * START   the guard has no bucket
 * TIMER   at or after the time of ops->timer
 * VIEW    what membership says
 * HELLO   the connection to the peer is new: what was said may be lost
 * WORD    from the peer
 * SERVED  result of ops->serve
 * LAPSED  the lease ended: the guard has closed of its own accord
 * STOP    give everything up; ops->done when that has happened
 */
#define SHARE_EVENTS(X) \
	X(START) \
	X(TIMER) \
	X(VIEW) \
	X(HELLO) \
	X(WORD) \
	X(SERVED) \
	X(LAPSED) \
	X(STOP)
#define SHARE_EV_ENUM(n) SHARE_EV_##n,
enum share_ev { SHARE_EVENTS(SHARE_EV_ENUM) SHARE_EV_N };
const char *share_ev_name(enum share_ev);

struct share_view {
	bool right; /* this node may act */
	enum share_life life;
	uint64_t incarnation; /* the peer's */
	/*
	 * Shared addresses that could be served here.  The node that has fewer
	 * leaves its half to the other.
	 */
	uint8_t good;
};

struct share_event {
	enum share_ev type;
	monotime_t now;
	union {
		struct {
			uint32_t seed; /* no two starts have the same */
		} start;
		struct share_view view;
		struct share_word word;
		struct {
			uint32_t seq;
			bool ok;
		} served;
	} u;
};

/* They only enqueue, and take effect in the order of the calls. */
struct share_ops {
	/* The guard accepts exactly these buckets. -> SERVED{seq} */
	void (*serve)(void *ctx, uint32_t seq, uint64_t buckets);
	/* May this node's guard be open?  Told only on change. */
	void (*vouch)(void *ctx, bool on);
	/* To the peer; dropped if there is no connection. */
	void (*say)(void *ctx, const struct share_word *);
	void (*timer)(void *ctx, monotime_t at);
	void (*done)(void *ctx); /* after STOP: nothing is served */
	void (*note)(void *ctx, enum had_level, const char *rule,
	    const char *object, const char *text);
	/* NULL, or: this event comes in this state. */
	void (*cell)(void *ctx, enum share_ev, enum share_state);
};

struct share_conf {
	uint64_t half; /* this node's; the peer's is the rest */
	uint32_t retry_ms; /* > 0; what failed or got no answer is repeated */
};

struct share_status {
	enum share_state state;
	monotime_t since; /* of the state */
	uint64_t serves; /* buckets */
	bool exact; /* else the guard failed: at most these */
	uint64_t failed, moved; /* totals: guard's failures, changes */
};

/*
 * The group address that clients send to, so that both nodes hear them: for
 * IPv4 that of the group 239.255 and the last two bytes, which is to be joined,
 * for IPv6 that of the solicited-node group, which every holder has joined.
 * So switches that look into IGMP and MLD let it pass.
 */
void share_mac(uint8_t mac[6], uint8_t family, const uint8_t bytes[16]);

struct share;
struct share *share_new(
    const struct share_conf *, const struct share_ops *, void *ctx);
void share_free(struct share *);
void share_step(struct share *, const struct share_event *);
void share_status(const struct share *, struct share_status *);

#endif
