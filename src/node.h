/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One node: all cores composed.  The daemon drives it with real sockets,
 * disks and clocks, the simulator with simulated ones; both link the same
 * objects.
 *
 * Contract: events go in by nd_step, one at a time; ops only enqueue and are
 * called in the order in which they must take effect.  Whoever drives it
 *  - gives TIMER at or after the time of ops->timer, and at least every
 *    heartbeat (the node sees to that itself by its timer);
 *  - answers every persist, disk, step, addr and lease call with its event;
 *  - reports associations only once the peer has proven its key.
 */
#ifndef NODE_H
#define NODE_H

#include "arb.h"
#include "conf.h"
#include "had.h"
#include "link.h"
#include "lock.h"
#include "member.h"
#include "mirror.h"
#include "share.h"
#include "svc.h"
#include "vip.h"
#include "vr.h"

enum nd_kind { ND_CTL, ND_BULK, ND_HB, ND_KINDS };

/* Streams of ctl; locks are spread over the rest by resource. */
enum { ND_STREAM_MEMBER = 0, ND_STREAM_SVC = 1, ND_STREAM_LOCK = 2 };

enum nd_ev {
	ND_EV_START,
	ND_EV_TIMER,
	ND_EV_UP,
	ND_EV_LOST,
	ND_EV_REFUSED,
	ND_EV_KERNEL_ALIVE,
	ND_EV_MSG,
	ND_EV_PERSISTED,
	ND_EV_STEP_DONE,
	ND_EV_EXPORTED,
	ND_EV_VIP,
	ND_EV_DISK,
	ND_EV_REQ,
	ND_EV_LOCK_OPEN,
	ND_EV_LOCK_MSG,
	ND_EV_LOCK_EOF,
	ND_EV_OP,
	ND_EV_ARB,
	ND_EV_PINGS,
	ND_EV_DOMAIN,
	ND_EV_ADVERT,
	ND_EV_WATCHDOG,
	ND_EV_VR_PACKET,
	ND_EV_VR_IFACE,
	ND_EV_VR_TRACK,
	ND_EV_SERVED,
	ND_EV_VR_RELOAD,
	ND_EV_STOP,
	ND_EV_N
};

/* Clients of the lock manager at once. */
enum { ND_LOCK_CLIENTS = 256 };

/* Requests to one volume at once, see struct mir_conf. */
enum { ND_REQS_MAX = 256 };

/*
 * How it is known of another machine that it has an address.  What that proves
 * is for the node to decide.
 */
enum nd_advert {
	ND_ADVERT_SAID, /* it advertises it, by VRRP or CARP */
	ND_ADVERT_ARP, /* it answers when asked who has it (ARP, ND) */
};
enum { ND_LINK_ADDRESS = 0xffff };

/* Operator requests. */
enum nd_op {
	ND_OP_SEED,
	ND_OP_TAKEOVER,
	ND_OP_STANDBY,
	ND_OP_ONLINE,
	ND_OP_RESYNC,
	ND_OP_FREEZE,
	ND_OP_THAW,
	ND_OP_MOVE,
	ND_OP_START,
	ND_OP_STOP,
	ND_OP_FENCE_TEST,
	ND_OP_FENCE_CONFIRM,
	ND_OP_RELEASE,
	ND_OP_N
};

/* An interface that virtual routers use; see nd_vr_ifaces. */
struct nd_vr_iface {
	bool carrier; /* it can send */
	bool has4, has6;
	uint8_t mac[6];
	uint8_t addr4[4]; /* its primary address, which is no service's */
	uint8_t addr6[16]; /* link-local */
};

/* From the IP header on.  Not sent by this node. */
struct nd_packet {
	const uint8_t *bytes;
	size_t len;
};

struct nd_event {
	enum nd_ev type;
	monotime_t now;
	/*
	 * The wall clock, in microseconds since 1970, if there is a router
	 * with hmac; it may go back.
	 */
	uint64_t wall_us;
	bool elected; /* VIP: LEASED and FLUSHED of the elected addresses */
	bool shared; /* VIP: the same of the shared ones */
	/* UP, LOST, REFUSED, KERNEL_ALIVE, MSG; ADVERT: 0 = not known */
	uint8_t peer;
	union {
		struct {
			uint64_t seed, incarnation;
			const struct sf_record *record; /* lent; NULL = none */
		} start;
		struct { /* UP, LOST, REFUSED, KERNEL_ALIVE */
			enum nd_kind kind;
			uint8_t link;
			uint64_t incarnation; /* UP: the peer's */
			bool aborted; /* LOST: by the peer's ABORT */
			bool restarted; /* LOST: by a new INIT of the peer */
		} assoc;
		struct {
			enum nd_kind kind;
			uint8_t link;
			const uint8_t *bytes; /* lent for the step */
			size_t len;
		} msg;
		struct {
			uint64_t serial;
			bool ok;
		} persisted;
		struct { /* of a MOUNT, COMMAND or check */
			uint16_t service;
			uint8_t step;
			enum svc_action action;
			uint32_t token;
			enum svc_result result;
			const char *text; /* lent; may be NULL */
		} step;
		struct { /* answer to vol_export */
			uint16_t vol;
			bool on; /* is it there now */
			bool ok;
			const char *text; /* lent; why not */
		} exported;
		/*
		 * A result or an observation.  CARRIER is told of every
		 * interface, those of the links included.
		 */
		struct vip_event vip;
		struct {
			uint16_t vol;
			uint32_t io;
			int error; /* 0 or an errno, positive */
		} disk;
		struct {
			uint16_t vol;
			uint64_t cookie;
			enum mir_cmd cmd;
			bool fua;
			uint64_t off;
			uint32_t len;
			void *buf; /* lent until vol_reply */
		} req;
		/* VOTE, VOTER or FENCED: what an arbiter says */
		struct arb_event arb;
		struct { /* which ping nodes answer: bitmap, as configured */
			uint32_t answered;
		} pings;
		/* ADVERT: another machine has an address, or says so. */
		struct {
			enum nd_advert kind;
			uint16_t address; /* of a service, its id; or */
			uint8_t link; /* ND_LINK_ADDRESS: peer's, there */
		} advert;
		struct { /* own links that share a device */
			uint8_t link, other;
		} domain;
		struct { /* this node's watchdog runs (R7) */
			bool armed;
		} watchdog;
		/* An interface by its number, see nd_vr_ifaces. */
		struct {
			uint16_t ifx, n;
			const struct nd_packet *list; /* lent for the step */
		} packet;
		struct {
			uint16_t ifx;
			struct nd_vr_iface facts;
		} iface;
		/*
		 * Of conf.tracks, but not of volumes and services, which the
		 * node knows itself.
		 */
		struct {
			uint16_t id;
			bool up;
			int32_t value; /* of a file with a weight */
		} track;
		/*
		 * The lent configuration is now what conf_merge made of it and
		 * another one: its routers come, change and leave, and nothing
		 * else changes.  What it tracked before; and nd_reload_new's.
		 */
		struct {
			const struct conf_track *tracks; /* lent */
			uint16_t n_tracks;
			struct nd_vr *vr; /* the node's from now on */
		} reload;
		struct { /* answer to share_serve */
			uint32_t seq;
			bool ok;
		} served;
		struct { /* LOCK_OPEN, LOCK_MSG, LOCK_EOF */
			uint32_t client;
			uint32_t uid, gid, pid;
			uint16_t spaces; /* OPEN: bit i: may use space i */
			const uint8_t *bytes; /* lent for the step */
			size_t len;
		} lock;
		struct {
			enum nd_op op;
			uint64_t token;
			int service; /* id; -1 = all (TAKEOVER, FREEZE);
					RELEASE: router */
			uint16_t vol; /* RESYNC */
			uint8_t node; /* SEED, STANDBY, ONLINE, MOVE; RESYNC:
					 source */
			bool dry_run, force;
		} op;
	} u;
};

struct nd_buf {
	const void *data;
	size_t len;
};

/* The cores whose states and inputs are a table. */
enum nd_table {
	ND_TABLE_MB,
	ND_TABLE_SVC,
	ND_TABLE_ARB,
	ND_TABLE_VIP,
	ND_TABLE_VR,
	ND_TABLE_SHARE,
};

struct nd_ops {
	/* One message of n parts; copied before the call returns. */
	void (*send)(void *ctx, uint8_t peer, enum nd_kind, uint8_t link,
	    uint16_t stream, const struct nd_buf *, unsigned n);
	void (*timer)(void *ctx, monotime_t at);
	void (*persist)(void *ctx, const struct sf_record *, uint64_t serial);
	void (*note)(void *ctx, enum had_level, const char *rule,
	    const char *object, const char *text);
	/* MOUNT, COMMAND and check steps. */
	void (*step)(void *ctx, uint16_t service, uint8_t step, enum svc_action,
	    uint32_t token);
	void (*step_cancel)(void *ctx, uint32_t token);
	/* Serve the volume to this machine, or stop that. -> EXPORTED */
	void (*vol_export)(void *ctx, uint16_t vol, bool on);
	void (*disk)(void *ctx, uint16_t vol, const struct mir_io *);
	void (*vol_reply)(void *ctx, uint16_t vol, uint64_t cookie, int error);
	/* As in struct vip_ops; results come as ND_EV_VIP. */
	void (*addr_add)(void *ctx, uint16_t id);
	void (*addr_del)(void *ctx, uint16_t id);
	void (*lease)(void *ctx, uint64_t seq, const struct vip_set *open,
	    monotime_t until);
	void (*announce)(void *ctx, uint16_t id);
	/*
	 * Virtual routers; may be NULL if the configuration has none.  lease:
	 * of the elected addresses, which have a guard of their own; answered
	 * by VIP with elected set.  send: a whole Ethernet frame, or with
	 * resolve one whose destination's hardware address is not known; they
	 * may be kept back until flush.
	 */
	void (*vr_lease)(void *ctx, uint64_t seq, const struct vip_set *open,
	    monotime_t until);
	void (*vr_send)(void *ctx, uint16_t ifx, const uint8_t *frame,
	    size_t len, bool resolve);
	void (*vr_flush)(void *ctx);
	/*
	 * Shared addresses; may be NULL if the configuration has none.  They
	 * have a guard of their own: lease is answered by VIP with shared set,
	 * serve (clients of these buckets, and no others) by SERVED.
	 */
	void (*share_lease)(void *ctx, uint64_t seq, const struct vip_set *open,
	    monotime_t until);
	void (*share_serve)(void *ctx, uint32_t seq, uint64_t buckets);
	void (*lock_send)(
	    void *ctx, uint32_t client, const uint8_t *bytes, size_t len);
	void (*lock_close)(void *ctx, uint32_t client, const char *why);
	/*
	 * Arbiters, see struct arb_ops; answered by ARB.  Voter 0 is the
	 * witness if there is one, then come the lock disks.
	 */
	void (*vote)(void *ctx, uint8_t voter, uint64_t epoch);
	void (*fence)(void *ctx, uint8_t node, uint8_t level, enum arb_action,
	    uint32_t token);
	void (*fence_cancel)(void *ctx, uint32_t token);
	/* Answer to an OP; code is a sysexits(3) number. */
	void (*reply)(void *ctx, uint64_t token, int code, const char *text);
	/* After STOP: everything is stopped and said. */
	void (*done)(void *ctx, bool clean);
	/* What the peer gave to nd_tell; lent, unchecked. */
	void (*told)(void *ctx, uint8_t peer, const uint8_t *bytes, size_t len);
	/* R12: reset this machine now, as the configuration wants it. */
	void (*self_fence)(void *ctx, const char *why);
	/*
	 * NULL, or: a cell of a core's table is taken, its input and its state
	 * by their numbers.  For a simulator that wants to know which never
	 * are.
	 */
	void (*cell)(void *ctx, enum nd_table, unsigned in, unsigned state);
};

/* The backing device of a volume, as its driver found it. */
struct nd_disk {
	struct mmeta_layout layout; /* all zero: there is none */
	char why[96]; /* then: why */
};

struct nd;
struct nd_vr;
/*
 * conf and ops are lent until nd_free; disks has an entry for each volume.
 * NULL if memory is short.
 */
struct nd *nd_new(const struct conf *conf, uint8_t self,
    const struct nd_disk *disks, const struct nd_ops *, void *ctx);
void nd_free(struct nd *);
void nd_step(struct nd *, const struct nd_event *);

/* Everything that hactl shows, in plain structs. */
enum nd_health { ND_OK, ND_DEGRADED, ND_CRITICAL };
struct nd_peer_status {
	uint8_t id;
	bool ctl, bulk, hello;
	char version[32];
	uint64_t digest;
	monotime_t heard;
	bool watchdog_armed; /* so it says */
};
struct nd_status {
	enum nd_health health;
	char reason[200]; /* one line: why it is not OK */
	char action[200]; /* one line: what to do next */
	char forecast[320]; /* what happens if the active node dies now */
	uint8_t self;
	uint64_t epoch, incarnation;
	struct mb_status member;
	struct arb_status arb;
	bool watchdog_armed;
	struct svc_status svc;
	struct vip_status vip;
	struct mir_status vols[HAD_VOLUMES_MAX];
	uint16_t n_vols;
	struct nd_peer_status peers[HAD_NODES_MAX];
	uint8_t n_peers;
	struct lnk_status links[HAD_NODES_MAX][HAD_LINKS_MAX]; /* by peer */
	uint8_t n_links;
	uint64_t refused_stale, refused_malformed; /* messages */
};
/* The struct is large: keep it on the heap. */
void nd_status(const struct nd *, monotime_t now, struct nd_status *);

/* For the checker of the simulator and for hactl locks. */
const struct lk *nd_locks(const struct nd *);
/* May the watchdog be fed now (R7)?  Asked every heartbeat. */
bool nd_may_feed(const struct nd *, monotime_t now);
/*
 * About timelines (evlog.h), to a peer: it comes out of its ops->told.  Not
 * from within an op.  Lost if the peer is not connected.
 */
void nd_tell(struct nd *, uint8_t peer, const uint8_t *bytes, size_t len);
/*
 * Should it be asked on every link whether this peer's kernel answers, and who
 * has the addresses of services?  Asked every heartbeat.
 */
bool nd_may_probe(const struct nd *, uint8_t peer, monotime_t now);
/* What became of a peer; UNKNOWN if there is none of that id. */
enum mb_peer nd_verdict(const struct nd *, uint8_t peer);
/* Epoch in force. */
uint64_t nd_epoch(const struct nd *);

/*
 * Memory for the routers of conf, which is what VR_RELOAD will find in the lent
 * one.  NULL: there is none.
 */
struct nd_vr *nd_reload_new(struct nd *, const struct conf *conf);
void nd_reload_free(struct nd_vr *); /* it was not given to VR_RELOAD */
/* Nothing is left of a router that leaves. */
bool nd_router_left(const struct nd *, uint16_t i);
/*
 * What has left, with its addresses, becomes a hole of the lent configuration;
 * gone (or NULL) hears of each router before.  False: nothing has.
 */
bool nd_reload_tidy(const struct nd *, struct conf *,
    void (*gone)(void *ctx, const struct conf_router *), void *ctx);

/*
 * The interfaces that virtual routers of a configuration use, by their
 * numbers; returns how many.
 */
uint16_t nd_vr_ifaces(const struct conf *, char names[VR_IFS_MAX][16]);
/* false: there are no routers.  i: number in the configuration. */
bool nd_router_status(const struct nd *, uint16_t i, struct vr_status *);
/* false: there are no shared addresses. */
bool nd_share_status(const struct nd *, struct share_status *);
/* Adverts that are for no router of this node. */
uint64_t nd_router_strays(const struct nd *);

#endif
