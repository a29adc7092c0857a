/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Membership: evidence in, verdicts out.  A pure core: who is alive, who may
 * act, at which epoch.  The rules R1, R2, R3, R8, R9, R13 and R15 of had(8)
 * appear by name in its notes.
 *
 * What its user must honour:
 *  - Messages of this core and heartbeats are exempt from the epoch check of
 *    the envelope (R8): they are how nodes with different epochs agree.
 *  - HEARD is given for every authenticated heartbeat, whatever its epoch.
 *  - persist() calls are carried out in order and each is answered by one
 *    PERSISTED; nothing that depends on a record happens before it.
 *  - On a scheduling gap (the daemon did not run), GAP is given before any
 *    message that was received after the gap.
 *  - No volume write is acknowledged unless self is PAIRED or ALONE.
 */
#ifndef MEMBER_H
#define MEMBER_H

#include "had.h"
#include "statefile.h"

/*
 * What this node may do.
 *   OFF       before START
 *   INERT     booted or demoted: runs nothing, owns nothing
 *   PAIRED    agrees with the peer on the epoch; ownership by negotiation
 *   ALONE     may act without asking: the epoch was raised durably
 *   ISOLATED  cut off by its own links: hand over, never take (R9)
 *   DOUBT     thawed, or a higher epoch was seen: vouch for nothing,
 *             acknowledge nothing, stop nothing; short
 *   STOPPING  the operator stops the daemon: stop services, then STOPPED
 */
#define MB_SELF_LIST(X) \
	X(OFF, "off") \
	X(INERT, "inert") \
	X(PAIRED, "paired") \
	X(ALONE, "alone") \
	X(ISOLATED, "isolated") \
	X(DOUBT, "doubt") \
	X(STOPPING, "stopping")

/*
 * What became of a peer.
 *   UNKNOWN  not agreed with since this daemon started or was demoted
 *   ALIVE    paired and heard
 *   SILENT   not heard for dead_ms, undecided: hold acknowledgements (R14);
 *            with an arbiter until it has spoken (R3, R5)
 *   LEFT     said goodbye: its services are stopped
 *   GONE     dead for our purposes: may be taken over from
 *   LOST     cut off: keep what you hold, take nothing (R2, R3 wait)
 */
#define MB_PEER_LIST(X) \
	X(UNKNOWN, "unknown") \
	X(ALIVE, "alive") \
	X(SILENT, "silent") \
	X(LEFT, "left") \
	X(GONE, "gone") \
	X(LOST, "lost")

#define MB_EV_LIST(X) \
	X(START, "start") \
	X(TIMER, "timer") \
	X(HEARD, "heard") \
	X(LINK, "link") \
	X(CARRIER, "carrier") \
	X(MSG, "msg") \
	X(ABORTED, "aborted") \
	X(REFUSED, "refused") \
	X(KERNEL_ALIVE, "kernel-alive") \
	X(NEWER_EPOCH, "newer-epoch") \
	X(PERSISTED, "persisted") \
	X(DATA, "data") \
	X(SEED, "seed") \
	X(GAP, "gap") \
	X(VERDICT, "verdict") \
	X(ARBITER, "arbiter") \
	X(DOMAIN, "domain") \
	X(PINGS, "pings") \
	X(ADVERT, "advert") \
	X(HOLDS, "holds") \
	X(STOP, "stop") \
	X(STOPPED, "stopped")

#define X(sym, name) MB_##sym,
enum mb_self { MB_SELF_LIST(X) MB_SELF_N };
#undef X
#define X(sym, name) MB_PEER_##sym,
enum mb_peer { MB_PEER_LIST(X) MB_PEER_N };
#undef X
#define X(sym, name) MB_EV_##sym,
enum mb_ev { MB_EV_LIST(X) MB_EV_N };
#undef X

const char *mb_self_name(enum mb_self);
const char *mb_peer_name(enum mb_peer);
const char *mb_ev_name(enum mb_ev);

struct mb_conf {
	char cluster[HAD_NAME_MAX];
	uint8_t self; /* node id */
	char self_name[HAD_NAME_MAX];
	uint8_t n_peers; /* 0: a cluster of one, ALONE from the start */
	struct {
		uint8_t id;
		char name[HAD_NAME_MAX];
	} peers[HAD_NODES_MAX - 1];
	uint8_t n_links;
	char links[HAD_LINKS_MAX][HAD_NAME_MAX];
	/* Links with the same number can be cut by one fault (R2). */
	uint8_t domain[HAD_LINKS_MAX];
	uint32_t heartbeat_ms, lease_ms, dead_ms, takeover_ms;
	bool silent_takeover; /* false: silent peer wait */
	/* Arbiters: fence agents for the peer; somebody who grants leases. */
	bool fences, voters;
	uint32_t self_demote_ms; /* with voters (R7) */
	bool pings; /* ping nodes are configured (R9) */
	/* Service addresses are on interfaces that bear no link (R9). */
	bool outside;
};

/* In CARRIER: the interfaces of conf.outside, taken together. */
enum { MB_OUTSIDE = HAD_LINKS_MAX };

/* What the arbiters say, as enum arb_verdict; the composer translates. */
enum mb_verdict {
	MB_VERDICT_OFF, /* it is verified off: act at once */
	MB_VERDICT_LEASE, /* granted: act at takeover_ms (R7) */
	MB_VERDICT_DENIED, /* the peer has it: act no more (R13) */
	MB_VERDICT_FROZEN, /* nobody can say (R5) */
};

struct mb_event {
	enum mb_ev type;
	monotime_t now;
	union {
		struct {
			uint64_t
			    incarnation; /* random, of this daemon, not 0 */
			uint64_t seed;
			/* borrowed for the step; NULL: there is none */
			const struct sf_record *record;
		} start;
		struct { /* a valid heartbeat arrived */
			uint8_t from, link;
			uint64_t incarnation, epoch;
			/* It stands behind what it holds: it acts. */
			bool acts;
			/* The peer hears nothing of this node on that link:
			 * it lives, but the link is not one to count on. */
			bool one_way;
			/* And none on any other. */
			bool unheard;
			/* One that it sent later has come before: what it says
			 * of its sender is over. */
			bool old;
			/* What it heard last of this node was
			 * sent at that time; us 0 = it did not say, so
			 * just now, unless one_way. */
			monotime_t reached;
			/*
			 * It is about to act alone, as soon as its disk has it:
			 * that it is heard does not mean that it will not.
			 */
			bool deciding;
		} heard;
		struct { /* link liveness changed */
			uint8_t peer, link;
			bool up;
		} link;
		struct { /* own interface; assumed up until told */
			uint8_t link; /* or MB_OUTSIDE: has any of those? */
			bool up;
		} carrier;
		struct {
			uint8_t from;
			const uint8_t *bytes; /* borrowed for the step */
			size_t len;
		} msg;
		/* an established association (ctl or hb) was aborted */
		struct {
			uint8_t peer;
		} aborted;
		/* the peer's kernel refused a fresh INIT on that link */
		struct {
			uint8_t peer, link;
		} refused;
		/* the peer's kernel answered (SCTP HEARTBEAT-ACK, ARP) */
		struct {
			uint8_t peer, link;
		} kernel_alive;
		/* an envelope carried, or answered, a higher epoch */
		struct {
			uint8_t from;
			uint64_t epoch;
		} newer;
		struct {
			uint64_t serial;
			bool ok;
		} persisted;
		/*
		 * Whether this node's copy of the data is the newest one;
		 * assumed so until told otherwise.  A node that acts alone
		 * without it may not start alone again (R1).
		 */
		struct {
			bool current;
		} data;
		/* the operator typed this peer's name: it is down */
		struct {
			uint8_t peer;
			uint64_t token; /* for reply() */
		} seed;
		/* answer to arbitrate() */
		struct {
			uint8_t peer;
			enum mb_verdict verdict;
			uint64_t epoch; /* LEASE: the one that was granted */
		} verdict;
		/*
		 * Could an arbiter decide now?  Without one, one link domain
		 * left is jeopardy (R2).  fence_ms: as measured, 0 = not yet.
		 */
		struct {
			bool working;
			uint32_t fence_ms;
			/* An epoch that voters hold for this node, which did
			 * not use it; 0 = none. */
			uint64_t spent;
		} arbiter;
		/* the kernel says that two own links share a device */
		struct {
			uint8_t link, other;
		} domain;
		/* does any ping node answer; assumed so until told (R9) */
		struct {
			bool any;
		} pings;
		/*
		 * A sign of its daemon on no association: an advert of VRRP or
		 * CARP, or an address that its guard would hide without it.
		 * It lives, whatever SCTP says.
		 */
		struct {
			uint8_t peer;
		} advert;
		/*
		 * This node holds data, and holds it well: it shoots first
		 * (R4), and asks for the lease first (R6).
		 */
		struct {
			bool data;
		} holds;
		/* this daemon did not run for so long, ending now */
		struct {
			int64_t us;
		} gap;
	} u;
};

struct mb_ops {
	/* On ctl's membership stream; dropped if there is no association. */
	void (*send)(void *ctx, uint8_t to, const uint8_t *bytes, size_t len);
	void (*timer)(void *ctx, monotime_t at);
	void (*persist)(void *ctx, const struct sf_record *, uint64_t serial);
	void (*note)(void *ctx, enum had_level, const char *rule,
	    const char *object, const char *text);
	/*
	 * own_right: this node's data is current without having met the peer
	 * (its SOLO record, the operator's seed, or it was in the pair until
	 * now).  Without it a volume that was not compared with the peer's
	 * since this daemon's start must not be promoted.
	 */
	void (*self)(void *ctx, enum mb_self, bool own_right, const char *rule);
	/* stateless_gone: addresses without data may be taken already. */
	void (*peer)(void *ctx, uint8_t id, enum mb_peer, bool stateless_gone,
	    const char *rule);
	/*
	 * May this node act without peer, at epoch?  Answered by VERDICT.
	 * epoch 0: the question is withdrawn.  verify_only: after boot,
	 * nothing may be switched off for it (R1).
	 */
	void (*arbitrate)(void *ctx, uint8_t peer, uint64_t epoch, bool active,
	    bool verify_only);
	/*
	 * on: this node has lost its peer and got no lease in time: its data
	 * has to stop (R7).  Told only on change.
	 */
	void (*demote)(void *ctx, bool on);
	/* The epoch for every envelope from now on; durable. */
	void (*epoch)(void *ctx, uint64_t epoch);
	/* The answer to SEED.  text is one line. */
	void (*reply)(void *ctx, uint64_t token, bool ok, const char *text);
	/* Goodbye is sent and the record is durable: the daemon may exit. */
	void (*done)(void *ctx);
	/* NULL, or: this event comes in this state. */
	void (*cell)(void *ctx, enum mb_ev, enum mb_self);
};

struct mb;
struct mb *mb_new(const struct mb_conf *, const struct mb_ops *, void *ctx);
void mb_free(struct mb *);
void mb_step(struct mb *, const struct mb_event *);

struct mb_status {
	enum mb_self self;
	const char *rule; /* of the last change of self; static string */
	bool own_right;
	bool jeopardy; /* one link domain left to a living peer (R2) */
	bool demoted; /* without peer and lease (R7) */
	bool arbiter_works; /* as told; false without one */
	bool persisting; /* a decision waits for the disk */
	uint64_t epoch, incarnation;
	bool solo; /* of the durable record */
	uint32_t seeds; /* the same */
	monotime_t since; /* of self */
	uint8_t n_peers;
	struct {
		uint8_t id;
		enum mb_peer verdict;
		const char *rule; /* static string */
		bool stateless_gone;
		enum mb_self state; /* as the peer said last */
		uint64_t incarnation, epoch;
		monotime_t heard; /* last, any link; us 0 = never */
		monotime_t mutual; /* and it has heard this node since */
		monotime_t since; /* of verdict */
		uint8_t links_up; /* bitmap */
		bool arbitrating; /* the arbiters are being asked */
		bool leased; /* and granted the lease */
		/* Its record may let it start alone, it said last (R1). */
		bool solo;
	} peers[HAD_NODES_MAX - 1];
};
void mb_status(const struct mb *, struct mb_status *);
/* It will act alone once its disk has written that. */
bool mb_deciding(const struct mb *);

/* What happens if peer vanishes now, all at once, without a word. */
enum mb_fate {
	MB_FATE_TAKEN, /* the survivor acts after ms */
	MB_FATE_OPERATOR, /* the survivor keeps what it holds; an operator
			     decides (R2 jeopardy or R3 wait) */
	MB_FATE_NOBODY, /* it is not here, or nobody could tell */
};
struct mb_forecast {
	enum mb_fate fate;
	const char *rule; /* static string */
	uint32_t ms; /* node vanishes: until the survivor acts */
	uint32_t crash_ms; /* only its daemon dies: bound for the same */
	char text[160]; /* one clause: why */
};
/*
 * Pure question for the last line of status.  The rules are symmetric, so
 * asked on the active node it also says what the peer would do.
 */
void mb_forecast(
    const struct mb *, monotime_t now, uint8_t peer, struct mb_forecast *);

#endif
