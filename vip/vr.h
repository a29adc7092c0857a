/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers, the pure core: who of several machines on a LAN holds the
 * addresses of a VRRP or CARP group.  All routers of a node in one instance,
 * on one timer.  RFC 9568 and RFC 3768, section 6.4; CARP as in OpenBSD.
 *
 * It sees no packets: the caller decodes them (ADVERT) and encodes what
 * ops->send names; and no kernel: ops->take and ops->release order the
 * addresses, TOOK and RELEASED answer.
 *
 * Adverts say that the addresses are held here, so they are sent while they
 * are, or while they are being taken: the first one leaves at once, because it
 * makes a worse machine silent sooner.  If the take fails, priority 0 takes
 * the word back.  The farewell (priority 0; CARP: advbase = advskew = 255)
 * leaves when the addresses are silent, never before: it makes others take.
 */
#ifndef VR_H
#define VR_H

#include "had.h"

enum {
	VR_IFS_MAX = 64, /* interfaces, in the caller's table */
	VR_TRACKS_MAX = 256, /* tracked things, in the caller's table */
	VR_ROUTER_TRACKS_MAX = 16, /* of one router */
	VR_GROUPS_MAX = 256, /* sync groups; 0 = none */
	VR_OWNER = 255, /* the priority of the addresses' owner */
	VR_NONE = 0xffff, /* no router */
	/*
	 * Reasons of REJECTED are numbered by the codec of the router's
	 * protocol, from 1; 0 is found here: version 2, another interval.
	 */
	VR_REJECTS_MAX = 32,
	VR_SLOTS = 2 * HAD_ROUTERS_MAX, /* ids are below; see CONFIG */
};

enum vr_proto { VR_VRRP2, VR_VRRP3, VR_CARP };

/* How the IPv4 checksum of VRRPv3 is made. */
enum vr_csum {
	VR_CSUM_PSEUDO, /* with the pseudo header: keepalived, FRR */
	VR_CSUM_PLAIN, /* of the message only: RFC 9568 */
};

/*
 * A thing that a router depends on.  Weight 0: while it is down the router is
 * in INIT.  Else, for VRRP: a positive weight is added while it is up, a
 * negative one while it is down; scaled: value * weight is added, and -254 or
 * less is as down with weight 0.  For CARP, every loss counts as demotion.
 * Neither applies to the owner, except weight 0.
 */
struct vr_track {
	uint32_t id : 9; /* < VR_TRACKS_MAX */
	int32_t weight : 10; /* -254..254 */
	bool scaled : 1;
};

/* Interface, family and vrid are a router's identity. */
struct vr_router_conf {
	char name[HAD_NAME_MAX];
	uint32_t cookie; /* the caller's; means nothing here */
	uint16_t ifx; /* < VR_IFS_MAX */
	uint8_t family; /* 4 or 6; the family of the adverts */
	uint8_t vrid; /* 1..255; CARP: vhid */
	enum vr_proto proto;
	/*
	 * bound: no election; ORDER says when it is ACTIVE, the addresses are
	 * somebody else's business, and take and release are never called.
	 */
	bool bound;
	bool preempt;
	bool accept; /* for the caller, who lets packets in */
	uint8_t group; /* sync group, 0 = none; not for bound ones */
	uint8_t priority; /* 1..255; VRRP */
	uint32_t interval_ms; /* VRRP; version 2: whole seconds */
	uint32_t preempt_delay_ms;
	uint32_t start_delay_ms;
	uint8_t own_addr[16]; /* primary address; IPv4 in the first four */
	/* CARP */
	uint8_t advbase; /* 0..254 s; 0 only with advskew > 0 */
	uint8_t advskew; /* 0..254 */
	uint8_t dead_ratio; /* advbases until a master is dead; 3 */
	bool demote_skew; /* demotion raises advskew (ucarp), no field */
	uint8_t n_tracks;
	struct vr_track tracks[VR_ROUTER_TRACKS_MAX];
};

struct vr_conf {
	const struct vr_router_conf *routers; /* borrowed, copied */
	uint16_t n; /* <= HAD_ROUTERS_MAX */
	uint32_t lease_ms; /* of the guard; > 0 */
	uint32_t reach_ms; /* how long a REACH is true; > 0 */
};

#define VR_STATES(X) \
	X(INIT) \
	X(BACKUP) \
	X(ACTIVE)
#define VR_STATE_ENUM(n) VR_##n,
enum vr_state { VR_STATES(VR_STATE_ENUM) VR_STATE_N };
const char *vr_state_name(enum vr_state);

/* An advert, received or to be sent. */
struct vr_advert {
	uint8_t src[16]; /* received: who; IPv4 in the first four */
	enum vr_csum csum; /* VRRPv3, IPv4 */
	uint8_t priority; /* VRRP; 0 = farewell */
	uint32_t interval_ms; /* VRRP; > 0 */
	uint8_t advbase, advskew, demote; /* CARP */
	uint64_t counter; /* CARP */
};

/* ACTIVE, BACKUP: for bound routers only.  The others: for the elected. */
enum vr_order {
	VR_ORDER_ACTIVE,
	VR_ORDER_BACKUP,
	VR_ORDER_RELEASE, /* give up; do not preempt who takes it */
	VR_ORDER_STANDBY, /* give up and stay in INIT until RESUME */
	VR_ORDER_RESUME,
};

/*
 * What is known of the peer node, another had, over another path than this
 * LAN.  DEAD: it is certain that it is silent on the LAN, too (fenced, or its
 * lease is over).
 */
enum vr_life { VR_PEER_UNKNOWN, VR_PEER_DEAD, VR_PEER_ALIVE };

/* Of one interface. */
struct vr_reach {
	enum vr_life life;
	bool own_lan_ok, peer_lan_ok;
	bool own_hears_peer, peer_hears_us; /* told when a take is put off */
};

/* What the nodes tell one another of a router over that path. */
struct vr_peer {
	bool holds; /* ACTIVE, or not yet silent */
	bool able; /* would take if it had to */
	/* May preempt the present holder; or there is none, and it waits. */
	bool wants;
	bool third; /* hears a master that is neither of the two */
	uint8_t priority; /* VRRP: effective; CARP: 255 - demotion */
	uint16_t rank; /* CARP: less, the rarer its adverts; VRRP: 0 */
	uint8_t addr[16]; /* its primary address */
};

/*
 * START     seed is random.  What LINK and TRACK do not tell before is up
 * TIMER     at or after the time of ops->timer.  Whoever was received before
 *           must have been told before, or a late process deposes masters
 * ADVERT    decoded, authentic (CARP: not a replay), not from this node
 * REJECTED  a packet that was not believed; id may be VR_NONE
 * LINK      an interface can send, or not
 * TRACK     of a tracked thing
 * TOOK      ops->take(id, seq) is done, or has failed
 * RELEASED  ops->release(id, seq): the addresses are silent; or it failed
 * ORDER     of an operator or of the composition
 * GAP       the process has not run for ms, which it should have.  Before
 *           anything else after it
 * CONFIG    a new configuration.  What has the same interface, family, vrid,
 *           protocol and boundness keeps its id and its state; others come,
 *           or go: they release, say farewell, then ops->gone
 * STOP      all release and say farewell; then ops->done
 * REACH     the peer node, as seen from an interface; one per interface, again
 *           before reach_ms, which costs nothing if it says the same
 * PEER      what the peer told of a router by its ops->tell, when it changed;
 *           all of them whenever the nodes meet anew.  True as long as REACH
 *           says that the peer is alive; when it says so again, it has to be
 *           told again
 */
#define VR_EVENTS(X) \
	X(START) \
	X(TIMER) \
	X(ADVERT) \
	X(REJECTED) \
	X(LINK) \
	X(TRACK) \
	X(TOOK) \
	X(RELEASED) \
	X(ORDER) \
	X(GAP) \
	X(CONFIG) \
	X(STOP) \
	X(REACH) \
	X(PEER)
#define VR_EV_ENUM(n) VR_EV_##n,
enum vr_ev { VR_EVENTS(VR_EV_ENUM) VR_EV_N };
const char *vr_ev_name(enum vr_ev);

struct vr_event {
	enum vr_ev type;
	monotime_t now;
	union {
		struct {
			uint64_t seed;
		} start;
		struct {
			uint16_t id;
			struct vr_advert a;
		} advert;
		struct {
			uint16_t id;
			uint8_t why; /* < VR_REJECTS_MAX */
		} rejected;
		struct {
			uint16_t ifx;
			bool up;
		} link;
		struct {
			uint16_t id;
			bool up;
			int32_t value; /* for scaled ones */
		} track;
		struct {
			uint16_t id;
			uint32_t seq;
			bool ok;
			const char *text; /* why not; borrowed, or NULL */
		} result; /* TOOK, RELEASED */
		struct {
			uint16_t id;
			enum vr_order order;
			uint8_t priority; /* ACTIVE: 0 = as configured */
		} order;
		struct {
			uint32_t ms;
			bool held; /* nobody can have taken what is held */
		} gap;
		const struct vr_conf *conf; /* borrowed */
		struct {
			uint16_t ifx;
			struct vr_reach r;
		} reach;
		struct {
			uint16_t id;
			struct vr_peer p;
			bool gone; /* its last word: it has no such router */
		} peer;
	} u;
};

/* All of them only enqueue, and take effect in the order of the calls. */
struct vr_ops {
	/* One advert; lent.  They may be kept back until flush. */
	void (*send)(void *ctx, uint16_t id, const struct vr_advert *);
	void (*flush)(void *ctx); /* once at the end of a step that sent */
	/*
	 * The newest seq counts: answers to older ones are ignored here, and
	 * a release may overtake the take before it.
	 */
	void (*take)(void *ctx, uint16_t id, uint32_t seq); /* -> TOOK */
	void (*release)(void *ctx, uint16_t id, uint32_t seq); /* -> RELEASED */
	void (*timer)(void *ctx, monotime_t at);
	/* One call, and one note, for each transition. */
	void (*state)(void *ctx, uint16_t id, enum vr_state from,
	    enum vr_state to, const char *reason);
	/* The peer node should know this; lent.  Called when it changes. */
	void (*tell)(void *ctx, uint16_t id, const struct vr_peer *);
	/* A bound ACTIVE hears another master. */
	void (*conflict)(void *ctx, uint16_t id, const uint8_t src[16]);
	void (*gone)(void *ctx, uint16_t id); /* the id is free again */
	void (*done)(void *ctx); /* STOP is done */
	void (*note)(void *ctx, enum had_level, const char *rule,
	    const char *object, const char *text);
	/* NULL, or: this event comes to a router in this state. */
	void (*cell)(void *ctx, enum vr_ev, enum vr_state);
};

struct vr_status {
	char name[HAD_NAME_MAX];
	enum vr_proto proto;
	uint8_t family, vrid, group;
	uint16_t ifx;
	bool bound, held; /* held: its addresses are here, as far as known */
	enum vr_state state;
	monotime_t since;
	const char *reason; /* of the state; static */
	uint8_t base_priority; /* VRRP */
	uint8_t priority; /* VRRP: effective */
	uint8_t demote; /* CARP */
	bool has_master; /* BACKUP: somebody is heard */
	uint8_t master[16];
	uint8_t master_priority;
	uint32_t interval_ms; /* own */
	uint32_t master_interval_ms; /* learned */
	monotime_t next; /* its timer, or MT_NEVER */
	uint64_t sent, received, farewells_sent, farewells_received;
	uint64_t transitions, became_active, take_failed;
	uint64_t waited; /* timeouts that the peer node contradicted */
	uint64_t conflicts;
	uint64_t rejects[VR_REJECTS_MAX];
};

struct vr;
/* NULL only if there is no memory.  ops is borrowed for the core's life. */
struct vr *vr_new(const struct vr_conf *, const struct vr_ops *, void *ctx);
void vr_free(struct vr *);
void vr_step(struct vr *, const struct vr_event *);

/* Ids that were given so far are below; not all are in use. */
uint16_t vr_ids(const struct vr *);
/* In use, one that leaves included. */
bool vr_used(const struct vr *, uint16_t id);
/* After vr_new and CONFIG; VR_NONE if there is none. */
uint16_t vr_find(const struct vr *, uint16_t ifx, uint8_t family, uint8_t vrid);
/* Its configuration as it is now; borrowed until the next step. */
const struct vr_router_conf *vr_router_conf(const struct vr *, uint16_t id);
enum vr_state vr_state(const struct vr *, uint16_t id);
void vr_status(const struct vr *, uint16_t id, struct vr_status *);
/* What ops->tell said last; for repeating it to the peer. */
void vr_told(const struct vr *, uint16_t id, struct vr_peer *);
/* Packets not believed that belong to no router. */
uint64_t vr_strays(const struct vr *);

#endif
