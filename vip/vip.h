/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Service addresses, the pure core: which addresses this node holds, whether
 * the kernel's guard lets them speak, and when they are announced.
 *
 * An address is put on its interface behind the closed guard, then the guard
 * is opened by a lease that runs out on its own, then neighbours are told.
 * It is given up the other way round: guard closed, then address removed.  So
 * at no moment can a node speak for an address that it is not entitled to,
 * and a daemon that stops running for any reason is silenced by the kernel.
 *
 * A node that is not entitled does not have the address on an interface, not
 * even behind a closed guard: what runs there would reach itself instead of the
 * one that serves it, for local traffic passes no hook of a device.  Adding it
 * takes 18 us (native, median), the guard 7.
 *
 * The core never decides who is entitled: TAKE and RELEASE say so per
 * address, VOUCH for the whole node.
 */
#ifndef VIP_H
#define VIP_H

#include "had.h"

/* IFA_PROTO of what had puts on interfaces; since Linux 5.18. */
enum { VIP_ADDR_PROTO = 0x68 };

/*
 * One service address.  Its id is its index in the configuration.  One with
 * family 0 is somebody else's business: its id is never used.
 */
struct vip_addr_conf {
	char name[HAD_NAME_MAX];
	uint8_t family; /* 4 or 6, or 0 */
	uint8_t bytes[16]; /* network order; IPv4 in the first four */
	uint8_t prefix;
	char ifname[16];
	/*
	 * It is on an interface of its own (ifname), whose hardware address
	 * mac is, and never seen with another one.
	 */
	bool has_mac;
	uint8_t mac[6];
	/*
	 * It is announced and resolved, but packets to it are not accepted
	 * (RFC 9568, Accept_Mode off).
	 */
	bool no_accept;
	/*
	 * Two machines have it on their interfaces and each serves some of its
	 * clients, which know it by the group address mac.
	 */
	bool shared;
};

struct vip_conf {
	const struct vip_addr_conf *addrs; /* borrowed by vip_new, copied */
	uint16_t n;
	uint32_t lease_ms; /* > 0; how long one renewal keeps the guard open */
};

/* A set of address ids. */
struct vip_set {
	uint64_t w[HAD_ADDRESSES_MAX / 64];
};

static inline bool
vip_set_has(const struct vip_set *s, uint16_t id)
{
	return (s->w[id / 64] >> (id % 64)) & 1u;
}

static inline void
vip_set_add(struct vip_set *s, uint16_t id)
{
	s->w[id / 64] |= UINT64_C(1) << (id % 64);
}

static inline void
vip_set_del(struct vip_set *s, uint16_t id)
{
	s->w[id / 64] &= ~(UINT64_C(1) << (id % 64));
}

/*
 * OFF       not here
 * ADDING    being put on the interface, guard closed
 * MUTED     on the interface, guard closed because nobody vouches
 * OPENING   on the interface, guard being opened
 * ACTIVE    guard open: clients are served
 * CLOSING   guard being closed, to give the address up
 * REMOVING  guard closed, being taken off the interface
 */
#define VIP_STATES(X) \
	X(OFF) \
	X(ADDING) \
	X(MUTED) \
	X(OPENING) \
	X(ACTIVE) \
	X(CLOSING) \
	X(REMOVING)
#define VIP_STATE_ENUM(n) VIP_##n,
enum vip_state { VIP_STATES(VIP_STATE_ENUM) VIP_STATE_N };
const char *vip_state_name(enum vip_state);

/*
 * START     removes what a dead daemon left on the interfaces; not of
 *           addresses with family 0, and once only
 * TIMER     at or after the time of ops->timer
 * TAKE      this node shall hold address id; ops->done(token) when clients
 *           are served, or when it failed
 * RELEASE   this node shall give it up; ops->done(token) when it is silent
 *           and off its interface, or (hurry) silent: then it is taken off
 *           at once, but after that
 * VOUCH     on: the daemon is entitled to speak for what it holds, but for
 *           what is leaving: that stays as silent as it is, until it is taken
 *           anew; off: the guard closes at once and stays closed.  A node
 *           starts with off.
 * BEAT      heartbeats of this tick were handed to the kernel; at, or now if
 *           that is 0 = a time taken before they were sent.  Renews the lease
 *           of everything that is open, until that time + lease_ms, in one
 *           batch; one that is older than the last one changes nothing.  Or
 *           until is given: it holds, be it later or earlier than the last
 * ADDED     result of ops->addr_add
 * REMOVED   result of ops->addr_del; found = it was there
 * LEASED    result of ops->lease
 * STRIPPED  somebody else removed the address from the interface
 * FLUSHED   somebody else changed the guard's tables (the driver puts them
 *           back)
 * CONFLICT  another machine was seen claiming the address
 * CARRIER   of an interface
 */
#define VIP_EVENTS(X) \
	X(START) \
	X(TIMER) \
	X(TAKE) \
	X(RELEASE) \
	X(VOUCH) \
	X(BEAT) \
	X(ADDED) \
	X(REMOVED) \
	X(LEASED) \
	X(STRIPPED) \
	X(FLUSHED) \
	X(CONFLICT) \
	X(CARRIER)
#define VIP_EV_ENUM(n) VIP_EV_##n,
enum vip_ev { VIP_EVENTS(VIP_EV_ENUM) VIP_EV_N };
const char *vip_ev_name(enum vip_ev);

struct vip_event {
	enum vip_ev type;
	monotime_t now;
	union {
		struct {
			uint16_t id;
			uint64_t token; /* 0: nobody waits, no done */
			bool hurry; /* RELEASE */
		} order; /* TAKE, RELEASE */
		struct {
			bool on;
			/* on: not for these; they are to be given up */
			struct vip_set leaving;
		} vouch;
		struct {
			monotime_t at; /* not after now; 0: now */
			monotime_t until; /* 0: at + lease_ms */
		} beat;
		struct {
			uint16_t id;
			bool ok;
			bool found; /* REMOVED */
			const char *text; /* why not ok; borrowed */
		} result; /* ADDED, REMOVED */
		struct {
			uint64_t seq;
			bool ok;
			const char *text; /* borrowed */
		} leased;
		struct {
			uint16_t id;
		} stripped;
		struct {
			uint16_t id;
			uint8_t mac[6];
		} conflict;
		struct {
			bool ok; /* put back */
			const char *text; /* why not; borrowed */
		} flushed;
		struct {
			const char *ifname; /* borrowed */
			bool up;
		} carrier;
	} u;
};

/*
 * All of them only enqueue: results come back later as events, never from
 * inside the call.  They take effect in the order of the calls.
 */
struct vip_ops {
	void (*addr_add)(void *ctx, uint16_t id); /* -> ADDED */
	void (*addr_del)(void *ctx, uint16_t id); /* -> REMOVED */
	/*
	 * The guard lets exactly the addresses of open speak, until the time
	 * given, and no other; with open empty the time means nothing.
	 * Replaces the call before it. -> LEASED{seq}, in the order of the
	 * calls.  open is lent during the call.
	 */
	void (*lease)(void *ctx, uint64_t seq, const struct vip_set *open,
	    monotime_t until);
	/* Gratuitous ARP, request and reply form; or unsolicited NA. */
	void (*announce)(void *ctx, uint16_t id);
	void (*timer)(void *ctx, monotime_t at);
	/*
	 * No renewal came in time, the kernel has silenced the addresses.
	 * They stay silent until the next VOUCH on, which the caller sends
	 * when it has made sure that it is still entitled.
	 */
	void (*lapsed)(void *ctx);
	void (*done)(void *ctx, uint64_t token, bool ok, const char *text);
	void (*note)(void *ctx, enum had_level, const char *rule,
	    const char *object, const char *text);
	/* NULL, or: this event comes to an address in this state. */
	void (*cell)(void *ctx, enum vip_ev, enum vip_state);
};

struct vip_addr_status {
	char name[HAD_NAME_MAX];
	enum vip_state state;
	bool present; /* on its interface, as far as is known */
	bool carrier; /* of its interface; true until told otherwise */
	monotime_t since; /* of the state */
	uint64_t announced, conflicts, stripped; /* totals */
	char error[64]; /* last failure, "" = none since the last TAKE */
};

struct vip_status {
	uint16_t n;
	bool vouched;
	monotime_t lease_until; /* confirmed; {0} = never */
	uint64_t renewed, lease_failed, lapsed, flushed; /* totals */
	struct vip_addr_status addrs[HAD_ADDRESSES_MAX];
};

struct vip;
/* NULL only if there is no memory.  ops is borrowed for the core's life. */
struct vip *vip_new(const struct vip_conf *, const struct vip_ops *, void *ctx);
void vip_free(struct vip *);
/*
 * A reload: v, which was made for the new configuration and has not been
 * stepped, goes on as old, which is not to be stepped any more, but only
 * freed.  Every id keeps its state; one whose configuration is another was OFF
 * in old, or is as after vip_new.  START then looks after the new ones only.
 */
void vip_adopt(struct vip *v, const struct vip *old);
void vip_step(struct vip *, const struct vip_event *);
void vip_status(const struct vip *, struct vip_status *);
void vip_addr_status(const struct vip *, uint16_t id, struct vip_addr_status *);
/* The state of one address. */
enum vip_state vip_state(const struct vip *, uint16_t id);

#endif
