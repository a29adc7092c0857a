/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers inside the node: what its files share.
 *
 * The core of the routers decides who holds elected addresses; a second core
 * of addresses, with a guard and a lease of its own, holds them.  The first
 * one keeps those of services, which membership decides about.
 */
#ifndef NODE_VR_H
#define NODE_VR_H

#include "carp_packet.h"
#include "carp_replay.h"
#include "node_int.h"
#include "vr.h"
#include "vr_wire.h"
#include "vrrp_auth.h"
#include "vrrp_packet.h"

/* CARP: its key and what was heard. */
struct nd_vr_carp {
	struct carp_key key;
	struct carp_replay replay;
};

/* VRRP with hmac: its keys, and what was sent and heard. */
struct nd_vr_auth {
	monotime_t refused_at, skewed_at; /* said last */
	/* After a reload: until then old sockets bring what new ones did. */
	monotime_t twice_until;
	struct vrrp_auth auth;
	struct vrrp_auth_key keys[]; /* those of auth */
};

/* One router, by its number in the configuration. */
struct nd_vr_router {
	uint16_t id; /* in the core; VR_NONE: none yet */
	uint16_t ifx;
	/* An order to the addresses under way. */
	uint32_t seq;
	uint16_t pending; /* addresses that have not answered */
	uint8_t turn; /* tells it from one before of the same seq */
	bool taking, failed;
	uint64_t asker; /* an operator who waits for its release; 0: none */
	/* So long nobody else takes it, after the last advert; 0 = none. */
	monotime_t until;
	monotime_t heard_at; /* the last one of the peer node */
	bool ordered; /* bound: told ACTIVE */
	bool tell; /* the peer is to hear of it, see nd_vr_tell_due */
	bool held; /* by the core's last word of it */
	bool left; /* and that it is here no more */
	bool asks; /* it has come: what the peer has of it was never told */
	bool told; /* the peer node has told something of it, ever */
	bool fresh; /* and by the present connection */
	struct {
		struct vr_peer peer;
		bool hears;
	} peer; /* what */
	struct nd_vr_carp *carp; /* owned; NULL: VRRP */
	struct nd_vr_auth *auth; /* owned; NULL: no hmac */
	/*
	 * Its last packet that was right in all, or (said_here) the frame of
	 * the last advert from here; said_len 0: none.  With hmac there never
	 * is one: each is signed anew, and none is right twice.
	 */
	bool said_here;
	uint8_t said_len, said[64];
	struct vr_advert said_advert;
};

struct nd_vr {
	struct vr *core; /* owned */
	struct vip *vip; /* owned; the elected addresses */
	uint32_t lease_ms; /* of the elected addresses */
	uint16_t n, n_ifs, n_bound;
	uint16_t bound[HAD_ADDRESSES_MAX]; /* numbers of those of services */
	struct nd_vr_router *routers; /* owned; n */
	struct vr_router_conf *confs; /* owned; n_confs of at most n */
	uint16_t n_confs;
	char ifs[VR_IFS_MAX][16];
	struct nd_vr_iface facts[VR_IFS_MAX];
	bool link_told[VR_IFS_MAX], link_up[VR_IFS_MAX];
	bool lan_told[VR_IFS_MAX]; /* last said to the peer */
	bool peer_lan_ok[VR_IFS_MAX]; /* and by it */
	monotime_t peer_lan_at[VR_IFS_MAX]; /* when */
	bool started, vouched, standby, stopping, stopped;
	bool tells, asked; /* one of them has tell, an asker */
	bool beat_due; /* a router gave up: the others' lease is another */
	monotime_t vr_at, vip_at, reach_at;
	monotime_t leased; /* until then, if any is held */
	monotime_t beat_at; /* the lease is to be renewed without an advert */
	monotime_t mend_at; /* addresses that were added by a reload */
	uint32_t services; /* bitmap: run here */
	bool track_told[HAD_TRACKS_MAX], track_up[HAD_TRACKS_MAX];
	/* Of the configuration's tracks, in the core: kept by a reload. */
	uint16_t track_id[HAD_TRACKS_MAX];
};

/* node_vr.c */
struct nd_vr_router *nd_vr_of(struct nd_vr *, uint16_t id); /* by core's id */
const struct conf_router *nd_vr_conf(
    const struct nd *, const struct nd_vr_router *);
enum vr_proto nd_vr_proto(const struct conf_router *);
void nd_vr_config(struct nd *);
void nd_vr_keys(struct nd *); /* passwords may have changed */
/* Orders all addresses of a router; who asks gets one answer. */
void nd_vr_order(struct nd *, uint16_t id, uint32_t seq, bool take);
void nd_vr_beat(struct nd *); /* renews the lease by what was sent */
monotime_t nd_vr_good_until(monotime_t sent, uint32_t interval_ms);
/* In use: neither a hole, nor gone, nor leaving. */
static inline bool
nd_vr_live(const struct nd *nd, uint16_t i)
{
	const struct conf_router *c = &nd->conf->routers[i];

	return !conf_is_hole(c->name) && !c->leaving;
}

/* node_vr_reload.c */
enum { ND_TOKEN_MEND = 1 }; /* of an address's order by no router */
void nd_vr_reload(struct nd *, const struct nd_event *);
void nd_vr_mend(struct nd *);

/* node_vr_event.c */
void nd_vr_links(struct nd *, uint16_t ifx);

/* node_vr_auth.c: hmac */
bool nd_vr_auth_new(struct nd_vr_router *, const struct conf *,
    const struct conf_router *); /* false: no memory */
/* After a reload: goes on where old was; leaves: with the keys of old. */
void nd_vr_auth_adopt(const struct nd *, struct nd_vr_router *,
    struct nd_vr_router *old, bool leaves);
/* The trailer of its next advert; NULL: it is not signed. */
const uint8_t *nd_vr_auth_sign(const struct nd *, struct nd_vr_router *,
    const struct vrrp_packet *, uint8_t trailer[VRRP_TRAILER_LEN]);
/*
 * Is it to be believed?  What is wrong is said now and then.  *twice: it is no
 * replay, a reload brought it twice.
 */
enum vrrp_reject nd_vr_auth_check(struct nd *, struct nd_vr_router *,
    const struct vrrp_packet *, bool *twice);

/* node_vr_adv.c: adverts */
void nd_vr_send(struct nd *, uint16_t id, const struct vr_advert *);
void nd_vr_packet(struct nd *, const struct nd_event *);

/* node_vr_peer.c: the other node, over another path */
void nd_vr_tell(struct nd *, uint16_t id);
void nd_vr_tell_word(struct nd *, uint16_t id, const struct vr_peer *);
void nd_vr_tell_all(struct nd *, int ifx); /* -1: of all interfaces */
void nd_vr_reach(struct nd *);

#endif
