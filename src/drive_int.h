/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the wiring share.
 */
#ifndef DRIVE_INT_H
#define DRIVE_INT_H

#include <jansson.h>

#include "arp.h"
#include "ctl.h"
#include "drive.h"
#include "fence.h"
#include "log.h"
#include "lock_sock.h"
#include "lockdisk.h"
#include "loop.h"
#include "mdisk.h"
#include "nbd.h"
#include "nbd_kernel.h"
#include "node.h"
#include "ping.h"
#include "sctp.h"
#include "selffence.h"
#include "state.h"
#include "svc_run.h"
#include "track.h"
#include "vip_addr.h"
#include "vip_announce.h"
#include "vip_guard.h"
#include "vip_sweep.h"
#include "vr_mac.h"
#include "vr_sock.h"
#include "vr_unicast.h"
#include "vrrp_packet.h"
#include "watchdog.h"
#include "witness_link.h"
#include "worker.h"

enum { DRIVE_NOTES = 1024, DRIVE_QUEUE = 4096, DRIVE_QUEUE_TEXT = 160 };

enum { /* of the texts of a note, NUL included */
	DRIVE_RULE_MAX = 12,
	DRIVE_OBJECT_MAX = 48,
	DRIVE_TEXT_MAX = 240,
};

/* One line of the timeline, for hactl events and why: one block. */
struct drive_note {
	uint64_t serial; /* 0 = unused */
	int64_t wall_ms;
	monotime_t at;
	uint64_t epoch;
	uint8_t level; /* enum had_level */
	uint8_t object_at, text_at; /* in rule, which they follow */
	char rule[];
};

static inline const char *
note_object(const struct drive_note *n)
{
	return n->rule + n->object_at;
}

static inline const char *
note_text(const struct drive_note *n)
{
	return n->rule + n->text_at;
}

/* An operation of a mirror under way in a disk. */
struct drive_io {
	uint32_t io;
	bool used, flush_after; /* fua of an operation that has none */
	enum mir_area area;
};
enum { DRIVE_IOS = 1024 };

struct drive_vol {
	struct drive *drive; /* borrowed */
	uint16_t id;
	struct mdisk *data; /* owned; NULL: no device */
	struct mdisk *meta; /* owned; NULL: internal */
	struct nd_disk disk;
	uint32_t sector;
	bool trim;
	struct drive_io ios[DRIVE_IOS];
	struct nbdk *kernel; /* owned; NULL: the kernel has no nbd */
	char kernel_why[200];
	char why[160]; /* the export failed */
	struct nbd *nbd; /* owned; NULL: not exported */
	bool opened; /* or given up: what disk says is final */
	bool wanted, attached;
	unsigned closing;
};

/* A lock disk and the number that it votes under. */
struct drive_disk_voter {
	struct drive *drive; /* borrowed */
	struct lockdisk *disk; /* owned */
	uint8_t voter;
	char name[16];
};

struct drive {
	struct conf *conf; /* owned */
	struct drive_options o;
	uint8_t self;
	const struct conf_node *me; /* borrowed */
	struct loop *loop; /* owned, as all below */
	sd_event *event; /* borrowed */
	struct loop_timer *timer, *tick;
	struct worker *worker;
	struct state *state;
	struct nd *nd;
	struct tp *tp;
	struct svc_run *run;
	struct ctl *ctl;
	struct lks *locks;
	struct vip_addr *addr;
	struct vip_guard *guard;
	struct vip_announce *announce;
	/* Virtual routers; NULL: there are none. */
	struct vip_guard *router_guard;
	struct vrs *vrs, *vrs_old; /* old: until drive_vr_drain */
	struct vrm *vrm; /* NULL: no router has a virtual mac */
	struct vru *vru;
	struct log_limit vru_limit;
	struct track *track;
	/* Shared addresses; NULL: there are none. */
	struct vip_guard *share_guard;
	struct share_group *share_group;
	struct fence *fence;
	struct wl *witness; /* NULL: none is configured */
	struct drive_disk_voter disk_voters[HAD_LOCK_DISKS_MAX];
	struct ping *ping; /* NULL: none is configured */
	struct arp *arp;
	struct wd *watchdog; /* NULL: none, or it could not be armed */
	struct loop_timer *arb_timer;
	bool starving, hungry; /* the watchdog, for good; until it may eat */
	struct drive_vol vols[HAD_VOLUMES_MAX];
	struct nd_disk disks[HAD_VOLUMES_MAX];
	struct loop_timer *open_timer; /* disks that are in use are tried */
	monotime_t open_until; /* again, until then */

	bool stepping, begun;
	bool wall; /* there is, or was, a router with hmac */
	struct sf_record record;
	bool record_set;
	uint64_t seed, incarnation;
	/* Events that came while the node was in a step. */
	struct nd_event queue[DRIVE_QUEUE]; /* ring */
	char queue_text[DRIVE_QUEUE][DRIVE_QUEUE_TEXT];
	unsigned queue_head, queue_used;

	struct drive_note *notes[DRIVE_NOTES]; /* owned; ring by serial */
	uint64_t note_serial;
	uint64_t follow[CTL_CLIENTS_MAX]; /* tokens of hactl events -f */
	struct drive_events *events; /* owned */

	struct nd_status *status; /* scratch */
	uint64_t status_saved; /* note serial that the saved status has */
	bool saving;
	monotime_t saved_at;
	char *save_text; /* owned by the job under way */
	size_t save_len, save_size;
	uint64_t watchdog_us;
	bool stopping, clean;
	monotime_t stop_at;
};

/* drive.c: an event for the node, now or after the step under way. */
void drive_step(struct drive *, struct nd_event *);
monotime_t drive_now(void);
void drive_begin(struct drive *); /* START of the node */

/* drive_net.c */
int drive_net_new(struct drive *, uint64_t incarnation);
void drive_send(void *ctx, uint8_t peer, enum nd_kind, uint8_t link,
    uint16_t stream, const struct nd_buf *, unsigned n);

/* drive_arb.c */
int drive_arb_new(struct drive *);
void drive_arb_begin(struct drive *);
void drive_arb_free(struct drive *, bool clean);
void drive_vote(void *ctx, uint8_t voter, uint64_t epoch);
void drive_fence(
    void *ctx, uint8_t node, uint8_t level, enum arb_action, uint32_t token);
void drive_fence_cancel(void *ctx, uint32_t token);
void drive_self_fence(void *ctx, const char *why);

/* drive_vip.c */
int drive_vip_new(struct drive *);
void drive_vip_free(struct drive *, bool remove);
/* The configuration has other routers: 0, or -1 and all is as it was. */
int drive_vip_remake(struct drive *, char *err, size_t size);
void drive_addr_add(void *ctx, uint16_t id);
void drive_addr_del(void *ctx, uint16_t id);
void drive_lease(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until);
void drive_announce(void *ctx, uint16_t id);

/* drive_vr.c */
int drive_vr_new(struct drive *, const struct vip_addr_conf *, uint16_t n,
    char *err, size_t size);
void drive_vr_free(struct drive *, bool remove);
void drive_vr_tracks(struct drive *);
int drive_vr_remake(struct drive *, const struct vip_addr_conf *, uint16_t n,
    char *err, size_t size);
void drive_vr_drain(struct drive *);
void drive_vr_tidy(struct drive *); /* now and then */
void drive_vr_place(
    const struct drive *, uint16_t address, struct vip_addr_conf *);
void drive_vr_carrier(struct drive *, const char *ifname, bool up);
void drive_vr_lease(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until);
void drive_vr_send(
    void *ctx, uint16_t ifx, const uint8_t *frame, size_t len, bool resolve);
void drive_vr_flush(void *ctx);

/* drive_share.c */
int drive_share_new(struct drive *, const struct vip_addr_conf *, uint16_t n,
    char *err, size_t size);
void drive_share_free(struct drive *, bool remove);
void drive_share_place(
    const struct drive *, uint16_t address, struct vip_addr_conf *);
void drive_share_join(struct drive *); /* an interface came or went */
void drive_share_lease(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until);
void drive_share_serve(void *ctx, uint32_t seq, uint64_t buckets);

/* drive_vol.c */
int drive_vol_new(struct drive *);
void drive_vol_open(struct drive *); /* then drive_begin */
void drive_vol_close(struct drive *);
void drive_vol_export(void *ctx, uint16_t vol, bool on);
void drive_disk(void *ctx, uint16_t vol, const struct mir_io *);
void drive_vol_reply(void *ctx, uint16_t vol, uint64_t cookie, int error);
/* "/dev/nbdN" of an exported volume, or NULL. */
const char *drive_vol_device(
    const struct drive *, uint16_t vol, char *buf, size_t size);

/* drive_ctl.c */
int drive_ctl_new(struct drive *);
/* The client gets every note from now on. */
void drive_ctl_follow(struct drive *, uint64_t token);
int drive_locks_new(struct drive *);
void drive_lock_send(
    void *ctx, uint32_t client, const uint8_t *bytes, size_t len);
void drive_lock_close(void *ctx, uint32_t client, const char *why);
void drive_reply(void *ctx, uint64_t token, int code, const char *text);
/* With nothing but texts; to be freed.  NULL: there is no memory. */
struct drive_note *drive_note_new(
    const char *rule, const char *object, const char *text);
void drive_note(void *ctx, enum had_level, const char *rule, const char *object,
    const char *text);

/* drive_events.c: the timelines of both nodes */
int drive_events_new(struct drive *);
void drive_events_free(struct drive *);
/* node: 0 = both; ctl_send if follow, else ctl_done. */
void drive_events_ask(struct drive *, uint64_t token, uint8_t node,
    int64_t since_ms, bool follow);
void drive_told(void *ctx, uint8_t peer, const uint8_t *bytes, size_t len);

/* drive_reload.c: 0 and a summary, or -1 and what is wrong. */
int drive_reload(struct drive *, char *text, size_t size);
/* The same without doing it. */
int drive_reload_plan(struct drive *, char *text, size_t size);

/* drive_json.c: each returns a new object. */
json_t *drive_json_status(struct drive *);
/* All but the addresses, which may be many. */
json_t *drive_json_status_head(struct drive *);
json_t *drive_json_links(struct drive *);
json_t *drive_json_volumes(struct drive *);
/* drive_json_vr.c; the list is of the status that was taken last. */
json_t *drive_json_addresses(struct drive *);
/* NULL: there is none.  Of what drive_json_status_head has found. */
json_t *drive_json_address(struct drive *, uint16_t, monotime_t now);
json_t *drive_json_address_list(struct drive *, monotime_t now);
json_t *drive_json_locks(struct drive *, const char *name, bool blocked);
/* drive_json_arb.c; of the status that was taken last. */
json_t *drive_json_arbiters(struct drive *, monotime_t now);
json_t *drive_json_note(const struct drive_note *);

#endif
