/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual routers: what the core's files share. */
#ifndef VR_INT_H
#define VR_INT_H

#include <string.h>

#include "vr.h"
#include "vr_split.h"

/* Why a router is in INIT; it leaves it when none is left. */
enum {
	VR_HOLD_OFF = 1 << 0, /* START did not come yet */
	VR_HOLD_LINK = 1 << 1,
	VR_HOLD_TRACK = 1 << 2,
	VR_HOLD_DELAY = 1 << 3,
	VR_HOLD_ORDER = 1 << 4,
	VR_HOLD_GROUP = 1 << 5, /* another of its sync group is held */
	VR_HOLD_STOP = 1 << 6, /* for good */
};

/* What is known of a router's addresses here. */
enum vr_addr { VR_ADDR_NONE, VR_ADDR_TAKING, VR_ADDR_HELD, VR_ADDR_RELEASING };

/* What a step did to a sync group. */
enum {
	VR_ACT_UP = 1 << 0, /* a member became ACTIVE */
	VR_ACT_DOWN = 1 << 1, /* a member fell from ACTIVE to BACKUP */
	VR_ACT_HOLD = 1 << 2, /* a member is held, or is no more */
};

/*
 * When a router is looked at again, its next deadline or earlier, and its id:
 * microseconds * VR_SLOTS + id, so that one comparison orders them.
 */
struct vr_alarm {
	uint64_t key;
};

struct vr_r {
	struct vr_router_conf conf;
	uint16_t id;
	bool used;
	bool leaving; /* no longer configured */
	bool say; /* its interval changed: the others should know */
	enum vr_state state;
	monotime_t since;
	const char *reason; /* static */
	uint8_t hold; /* VR_HOLD_* */
	uint8_t priority, demote; /* effective */
	uint8_t order_priority; /* bound: 0 = as configured */
	bool want; /* bound: ordered to be ACTIVE */
	bool yield; /* gave up by order: does not preempt */
	/* addresses */
	enum vr_addr addr;
	uint32_t seq;
	uint8_t release_tries;
	bool farewell; /* is sent when they are silent */
	/* deadlines, MT_NEVER or past = none */
	monotime_t start_at; /* end of the start-up delay */
	monotime_t release_at; /* release again */
	monotime_t advert_at; /* ACTIVE */
	monotime_t down_at; /* BACKUP: master is down */
	monotime_t preempt_at; /* BACKUP: may preempt from here on */
	monotime_t able_at; /* BACKUP: may take from here on */
	monotime_t assert_at; /* ACTIVE: may answer a worse one again */
	monotime_t conflict_at; /* may be noted again */
	uint32_t backoff_ms;
	/* the master as heard */
	bool has_master;
	uint8_t master[16];
	uint8_t master_priority;
	int64_t master_us; /* its interval */
	monotime_t heard_at;
	monotime_t worse_at; /* a third that would be preempted: until */
	enum vr_csum csum; /* as the others do it */
	uint64_t counter; /* CARP, of the last advert sent or heard */
	/* the peer node */
	struct vr_peer peer;
	bool peer_known; /* it told something, ever */
	uint64_t peer_met; /* in which meeting */
	bool peer_was; /* the last known master was the peer */
	bool waited;
	bool waiting; /* it is noted */
	struct vr_peer told;
	bool has_told;
	/* totals */
	uint64_t sent, received, farewells_sent, farewells_received;
	uint64_t transitions, became_active, take_failed, waits, conflicts;
};

struct vr_if {
	bool down;
	struct vr_reach reach;
	monotime_t reach_until;
	uint64_t meeting; /* with the peer; another one after its silence */
	bool speaks; /* the peer is dead, but advertises since */
};

struct vr {
	const struct vr_ops *ops; /* borrowed */
	void *ctx;
	uint32_t lease_ms, reach_ms;
	monotime_t now;
	bool in_step, started, stopping, stopped;
	bool sent; /* in this step */
	bool news; /* this REACH says something new */
	monotime_t phase; /* adverts of all keep to one beat, from here */
	uint64_t rng;
	uint64_t strays;
	monotime_t armed; /* what ops->timer was told */
	struct vr_if ifs[VR_IFS_MAX];
	struct {
		bool down;
		int32_t value;
	} tracks[VR_TRACKS_MAX];
	uint8_t acts[VR_GROUPS_MAX]; /* VR_ACT_* of this step */
	bool acted;
	bool settling;
	struct vr_alarm heap[VR_SLOTS]; /* the earliest first */
	uint16_t place[VR_SLOTS]; /* by id: index in heap + 1; 0 = none */
	uint16_t n_heap;
	uint16_t n; /* slots that were ever used */
	uint16_t latest[256]; /* by number: the slot that got it last */
	struct vr_r r[VR_SLOTS];
	/* By id.  Apart, as most are never touched. */
	uint64_t rejects[VR_SLOTS][VR_REJECTS_MAX];
};

/* vr.c */
void vr_note(const struct vr *, const struct vr_r *, enum had_level,
    const char *rule, const char *text);
/* The only place where a state changes; with a farewell if it was ACTIVE. */
void vr_go(struct vr *, struct vr_r *, enum vr_state, bool farewell,
    const char *reason);
/* reason is told if it makes the router fall to INIT, or come back. */
void vr_hold(
    struct vr *, struct vr_r *, uint8_t bits, bool on, const char *reason);
void vr_released(struct vr *, struct vr_r *);

/* vr_cell.c */
void vr_cell(struct vr *, struct vr_r *, const struct vr_event *);

/* vr_advert.c */
uint8_t vr_carp_skew(const struct vr_r *);
void vr_send(struct vr *, struct vr_r *);
void vr_send_farewell(struct vr *, struct vr_r *);
void vr_hear_backup(struct vr *, struct vr_r *, const struct vr_advert *);
void vr_hear_active(struct vr *, struct vr_r *, const struct vr_advert *);
void vr_hear_bound(struct vr *, struct vr_r *, const struct vr_advert *);

/* vr_peer.c */
bool vr_better(const struct vr *, const struct vr_r *);
/* BACKUP: takes unless the peer node's word is against it; then waits. */
void vr_try_take(struct vr *, struct vr_r *, const char *reason);
/* It says so, and lives. */
bool vr_peer_holds(const struct vr *, const struct vr_r *);
bool vr_peer_denies(const struct vr *, const struct vr_r *);
bool vr_peer_weighs(const struct vr *, const struct vr_r *, const uint8_t *src);
/* Something was learned of the peer. */
void vr_peer_eval(struct vr *, struct vr_r *);
void vr_peer_make(const struct vr *, const struct vr_r *, struct vr_peer *);
void vr_tell(struct vr *, struct vr_r *);

/* vr_time.c */
int64_t vr_interval_us(const struct vr_r *); /* own */
int64_t vr_skew_us(const struct vr_r *);
int64_t vr_down_us(const struct vr_r *);
monotime_t vr_next_advert(const struct vr *, const struct vr_r *);
void vr_listen(struct vr *, struct vr_r *); /* restarts master-down */
monotime_t vr_deadline(const struct vr *, const struct vr_r *); /* the next */
void vr_queue(struct vr *, struct vr_r *); /* by its deadlines */
struct vr_r *vr_due(struct vr *); /* the first that is due, or NULL */
void vr_arm(struct vr *);

/* vr_group.c */
void vr_group_act(struct vr *, const struct vr_r *, uint8_t act);
void vr_group_settle(struct vr *);
bool vr_group_free(struct vr *, const struct vr_r *);

/* vr_conf.c */
void vr_weigh(struct vr *, struct vr_r *);
void vr_configure(struct vr *, const struct vr_conf *);
void vr_begin(struct vr *, struct vr_r *);
void vr_gone(struct vr *, struct vr_r *);

static inline bool
vr_live(const struct vr_r *r)
{
	return r->used && !r->leaving;
}

static inline size_t
vr_addr_len(const struct vr_r *r)
{
	return r->conf.family == 4 ? 4 : 16;
}

/* CARP, the demotion field of its adverts. */
static inline uint8_t
vr_carp_demote(const struct vr_r *r)
{
	return r->conf.demote_skew ? 0 : r->demote;
}

/* The owner always does, unless an order took it away. */
static inline bool
vr_preempts(const struct vr_r *r)
{
	return !r->yield &&
	       (r->conf.preempt ||
		   (r->conf.proto != VR_CARP && r->conf.priority == VR_OWNER));
}

/* Is it the peer node's address there? */
static inline bool
vr_is_peer(const struct vr_r *r, const uint8_t *addr)
{
	return r->peer_known && memcmp(addr, r->peer.addr, vr_addr_len(r)) == 0;
}

static inline bool
vr_due_at(const struct vr *v, monotime_t at)
{
	return at.us != INT64_MAX && !mt_before(v->now, at);
}

#endif
