/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the node share.
 *
 * A core's op that concerns another core does not step that core at once (its
 * caller is in the middle of a step): it goes into the inner queue, which
 * nd_settle empties once the step is over.
 */
#ifndef NODE_INT_H
#define NODE_INT_H

#include "node.h"
#include "wire.h"

/*
 * A session: the span in which messages of the cores between two nodes are
 * complete and in order.  There is one over ctl (services, locks) and one over
 * bulk (volumes).  See node_session.c.
 */
struct nd_session {
	uint16_t mine; /* my nonce, never 0 */
	uint16_t theirs; /* the peer's, 0 = not known */
	bool willing; /* assoc up, paired and not given up */
	bool up;
};

struct nd_peer {
	uint8_t id;
	const struct conf_node *conf; /* borrowed */
	uint64_t incarnation; /* 0 = never met */
	bool ctl_up, bulk_up, hb_up[HAD_LINKS_MAX];
	struct nd_session ctl, bulk;
	struct lnk links[HAD_LINKS_MAX];
	uint64_t hb_seq[HAD_LINKS_MAX];
	uint64_t hb_incarnation; /* of the latest heartbeat */
	int64_t hb_sent_us;
	int64_t hb_echo_us[HAD_LINKS_MAX]; /* the peer's sent_us last heard */
	int64_t hb_heard_us; /* the latest of them */
	monotime_t hb_echo_at[HAD_LINKS_MAX];
	enum mb_peer verdict;
	bool stateless_gone;
	bool hello;
	char version[32];
	uint64_t digest;
	monotime_t heard;
	bool pings_any, watchdog_armed, holds; /* so it says */
	monotime_t stale_at; /* not before: next WIRE_STALE */
};

/* A step of a service that a core carries out. */
struct nd_task {
	enum { ND_TASK_NONE, ND_TASK_VOLUME, ND_TASK_ADDRESS } what;
	enum svc_action action;
	uint32_t token;
	bool exporting; /* VOLUME: the mirror is done, the export is not */
};

enum nd_inner_type {
	ND_IN_MEMBER,
	ND_IN_SVC,
	ND_IN_VIP,
	ND_IN_MIR,
	ND_IN_LOCK,
	ND_IN_ARB,
	ND_IN_VR,
	ND_IN_ELECTED, /* as VIP, for the elected addresses */
	ND_IN_SHARE,
	ND_IN_SHARED, /* as VIP, for the shared addresses */
};
struct nd_inner {
	enum nd_inner_type type;
	uint16_t vol;
	union {
		struct mb_event member;
		struct svc_event svc;
		struct vip_event vip;
		struct mir_event mir;
		struct lk_event lock;
		struct arb_event arb;
		struct vr_event vr;
		struct share_event share;
	} u;
	char *text; /* ND_INNER_TEXT; what a text pointer in u points to */
};
enum { ND_INNER_MAX = 1024, ND_INNER_TEXT = 128 };

/* What was last told to the cores of one volume. */
struct nd_vol {
	struct mir *mir; /* owned */
	bool exported, export_wanted;
	struct mir_status st; /* after the last step */
	bool changed; /* st is to be taken anew and svc to be told */
	bool met; /* compared with the peer's copy since the start */
	bool told_promote, told_uptodate, told_met;
	bool sole; /* the peer's copy was no good when it was seen last */
	uint32_t link; /* number of the session, for VIEW */
	uint64_t resync_token; /* an operator waits, 0 = none */
};

/* A warning that was said (R15). */
enum { ND_SAID = 64, ND_SAY_MS = 1000 };
struct nd_said {
	uint64_t what; /* a digest of it */
	monotime_t next; /* not before */
	uint32_t more; /* times that it was not said since */
};

struct nd {
	const struct conf *conf; /* lent */
	const struct nd_ops *ops; /* lent */
	void *ctx; /* borrowed */
	uint8_t self;
	const struct conf_node *me; /* borrowed */
	bool stepping, started;
	monotime_t now, stepped; /* of this step; of the one before */
	uint64_t wall_us; /* of this step */
	uint64_t seed, incarnation, epoch;

	struct mb *member; /* owned, as all cores */
	struct arb *arb;
	struct svc *svc;
	struct vip *vip;
	struct lk *lock;
	struct nd_vr *vr; /* NULL: there are no virtual routers */
	struct nd_share *share; /* NULL: there are no shared addresses */
	struct nd_vol vols[HAD_VOLUMES_MAX];
	/* ctx of the ops of each volume */
	struct nd_vol_ref {
		struct nd *nd; /* borrowed */
		uint16_t vol;
	} refs[HAD_VOLUMES_MAX];

	enum mb_self state;
	bool own_right;
	bool met; /* in a pair since it started or gave up */
	bool data_behind; /* last DATA said so */
	/*
	 * The operator stopped this daemon while it was in doubt, or isolated:
	 * what it holds may be another's, so it vouches for nothing any more.
	 */
	bool distrusted;
	/* Arbitration. */
	bool has_voters, arb_works, no_data, pings_any, cut_off;
	bool watchdog_armed;
	uint32_t holding; /* bitmap of services with data that run here */
	uint32_t fence_ms;
	uint64_t spent;
	bool active; /* holds data, and holds it well: as member knows it */
	bool no_carrier[HAD_ADDRESSES_MAX], unusable[HAD_ADDRESSES_MAX];
	/* So have all interfaces that bear addresses and no link. */
	bool outside_lost;
	bool views_due; /* the cores' view is older than this node's */
	bool vouch_told; /* last VOUCH */
	bool lock_ran; /* locks may have been granted since the start */
	/* Lock clients were told LOST and promised so much time. */
	bool lock_lost;
	monotime_t grace_until, grace_at; /* the end; its timer */

	struct nd_peer peers[HAD_NODES_MAX];
	uint8_t n_peers;
	bool carrier[HAD_LINKS_MAX]; /* of own links */

	monotime_t hb_at;
	monotime_t member_at, svc_at, vip_at, lock_at, arb_at;
	monotime_t mir_at[HAD_VOLUMES_MAX];
	monotime_t armed; /* last given to ops->timer */

	struct nd_task tasks[HAD_SERVICES_MAX][HAD_STEPS_MAX];

	struct nd_inner inner[ND_INNER_MAX]; /* ring */
	char inner_text[ND_INNER_MAX][ND_INNER_TEXT]; /* most have none */
	unsigned inner_head, inner_used;

	bool leaving; /* services are stopped: locks are given up */
	monotime_t leave_at; /* then volumes, then the goodbye */
	unsigned stopping; /* volumes that have still to answer STOP */
	uint64_t refused_stale, refused_malformed;
	struct nd_said said[ND_SAID]; /* of late: node_note.c */
	monotime_t malformed_at; /* not before: next note about one */
};

/* node.c */
struct nd_inner *nd_inner_put(struct nd *, enum nd_inner_type);
void nd_note(struct nd *, enum had_level, const char *rule, const char *object,
    const char *text);
struct nd_peer *nd_peer(struct nd *, uint8_t id); /* NULL if unknown */
void nd_cell(struct nd *, enum nd_table, unsigned in, unsigned state);

/* node_net.c: associations, envelope, heartbeats */
void nd_net_init(struct nd *);
void nd_net_up(struct nd *, const struct nd_event *);
void nd_net_lost(struct nd *, const struct nd_event *);
void nd_net_msg(struct nd *, const struct nd_event *);
/* Counts it, and says so once a second. */
void nd_malformed(struct nd *, const struct nd_peer *, const char *why);
void nd_net_carrier(struct nd *, uint8_t link, bool up);
void nd_beat(struct nd *);
monotime_t nd_net_next(const struct nd *);
/* One message, in its envelope; dropped if the association is down. */
void nd_net_send(struct nd *, struct nd_peer *, enum wire_core,
    uint8_t instance, uint32_t session, const struct nd_buf *, unsigned n);

/* node_session.c */
void nd_session_check(struct nd *, struct nd_peer *);
void nd_session_open(
    struct nd *, struct nd_peer *, bool bulk, const uint8_t *bytes, size_t len);
void nd_session_broken(struct nd *, struct nd_peer *, bool bulk);
uint32_t nd_session_tx(const struct nd_session *);
uint32_t nd_session_rx(const struct nd_session *);

/* node_member.c */
struct mb *nd_member_new(struct nd *);
void nd_views(struct nd *); /* tells every core what changed */
void nd_vouch(struct nd *);

/* node_arb.c */
struct arb *nd_arb_new(struct nd *);
void nd_arb_ask(
    struct nd *, uint8_t peer, uint64_t epoch, bool active, bool verify_only);
void nd_arb_event(struct nd *, const struct nd_event *);
void nd_arb_op(struct nd *, const struct nd_event *);
void nd_arb_addresses(struct nd *);
bool nd_arb_outside(const struct nd *, uint16_t address);
void nd_arb_carrier(struct nd *, const char *ifname, bool up);
void nd_arb_advert(struct nd *, const struct nd_event *);
void nd_arb_holds(struct nd *); /* a copy changed, or a service */
void nd_arb_pings(struct nd *, uint32_t answered);
void nd_arb_service(struct nd *, uint16_t service, enum svc_state);

/* node_svc.c */
struct svc *nd_svc_new(struct nd *);
struct vip *nd_vip_new(struct nd *);
void nd_task_done(struct nd *, uint16_t service, uint8_t step, enum svc_result,
    const char *text);
void nd_svc_exported(
    struct nd *, uint16_t vol, bool on, bool ok, const char *text);
void nd_svc_promoted(
    struct nd *, uint16_t vol, bool promote, bool ok, const char *text);

/* node_mir.c.  Tokens of orders to a mirror: */
enum { ND_TOKEN_PROMOTE = 1, ND_TOKEN_DEMOTE, ND_TOKEN_STOP, ND_TOKEN_RESYNC };
struct mir *nd_mir_new(struct nd *, uint16_t vol, const struct nd_disk *);
void nd_mir_stop(struct nd *); /* all volumes, then membership goes on */
void nd_mir_resync(struct nd *, const struct nd_event *);
void nd_mir_step(struct nd *, uint16_t vol, struct mir_event *);
void nd_mir_views(struct nd *);
void nd_mir_data(struct nd *); /* tells membership of the copies */
void nd_mir_peer(struct nd *, struct nd_peer *, bool up);

/* node_vr.c */
bool nd_vr_new(struct nd *); /* false: no memory */
void nd_vr_free(struct nd *);
void nd_vr_start(struct nd *);
void nd_vr_timers(struct nd *);
void nd_vr_swap(struct nd *, const struct nd_event *); /* VR_RELOAD, first */
/* What has changed; late: all of it. */
void nd_vr_tell_due(struct nd *, bool late);
void nd_vr_answer(struct nd *);
monotime_t nd_vr_next(const struct nd *);
void nd_vr_event(struct nd *, const struct nd_event *);
/* A result or an observation; false: not of an elected address. */
bool nd_vr_vip(struct nd *, const struct nd_event *);
void nd_vr_step(struct nd *, struct vr_event *);
void nd_vr_elected_step(struct nd *, struct vip_event *);
void nd_vr_gap(struct nd *, int64_t us);
void nd_vr_settle(struct nd *); /* what other cores mean for routers */
void nd_vr_service(struct nd *, uint16_t service, enum svc_state);
void nd_vr_stop(struct nd *); /* then membership goes on */
void nd_vr_op(struct nd *, const struct nd_event *);
bool nd_elected(const struct nd *, uint16_t address);
/* Puts the elected addresses among the others. */
void nd_vr_addresses(const struct nd *, struct vip_status *);
/* node_vr_peer.c */
void nd_vr_told(
    struct nd *, struct nd_peer *, const uint8_t *bytes, size_t len);
void nd_vr_unmet(struct nd *); /* the connection to the peer is another */
void nd_vr_views(struct nd *); /* the peer's verdict may have changed */
void nd_vr_hello(struct nd *); /* the peer is there: all is told anew */

/* node_share.c */
bool nd_share_new(struct nd *); /* false: no memory */
void nd_share_free(struct nd *);
void nd_share_start(struct nd *);
void nd_share_timers(struct nd *);
monotime_t nd_share_next(const struct nd *);
void nd_share_beat(struct nd *); /* heartbeats have been sent */
void nd_share_step(struct nd *, struct share_event *);
void nd_share_vip_step(struct nd *, struct vip_event *);
void nd_share_settle(struct nd *); /* what other cores mean for shares */
void nd_share_served(struct nd *, const struct nd_event *);
/* A result or an observation; false: not of a shared address. */
bool nd_share_vip(struct nd *, const struct nd_event *);
void nd_share_hello(struct nd *); /* the peer is there: all is told anew */
void nd_share_told(
    struct nd *, struct nd_peer *, const uint8_t *bytes, size_t len);
void nd_share_stop(struct nd *); /* then nd_vr_stop */
bool nd_shared(const struct nd *, uint16_t address);
/* Puts the shared addresses among the others. */
void nd_share_addresses(const struct nd *, struct vip_status *);

/* node_lock.c */
struct lk *nd_lock_new(struct nd *);
void nd_lock_view(struct nd *);
void nd_lock_leave(struct nd *); /* then nd_mir_stop */

#endif
