/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the address core share.
 */
#ifndef VIP_INT_H
#define VIP_INT_H

#include "vip.h"

/* VIP_NOTE_GAP_MS: at most one line a second for one cause (R15). */
enum { VIP_NOTE_GAP_MS = 1000 };

/* A pause that doubles while its cause persists (R15). */
struct vip_gap {
	monotime_t next; /* not before */
	uint32_t ms;
};

struct vip_a {
	struct vip_addr_conf conf;
	bool present, carrier;
	bool fresh; /* START has not looked after it */
	bool looking; /* it does: of interest only if it finds something */
	bool hurry; /* CLOSING: as soon as it is silent */
	uint8_t tries; /* OPENING: refusals of the guard */
	uint8_t announce_next; /* index in announce_ms */
	uint16_t id;
	enum vip_state state;
	monotime_t since;
	uint64_t token; /* whom done is owed; 0: nobody */
	/*
	 * OPENING, CLOSING: the lease op whose success ends the state;
	 * VIP_NOT_ASKED until it is issued.
	 */
	uint64_t seq;
	monotime_t retry_at; /* repeat what is due; MT_NEVER */
	monotime_t announce_at; /* ACTIVE: next one; MT_NEVER */
	monotime_t announce_base;
	struct vip_gap repair, defend;
	uint64_t announced, conflicts, stripped;
	char error[64];
};

#define VIP_NOT_ASKED UINT64_MAX

struct vip {
	const struct vip_ops *ops; /* borrowed */
	void *ctx; /* borrowed */
	uint16_t n;
	uint16_t in[VIP_STATE_N]; /* addresses in each state */
	struct vip_set active; /* those that are */
	uint32_t lease_ms;
	bool in_step, vouched;
	bool has_beat;
	monotime_t now; /* of the event in hand */
	monotime_t beat_at; /* last heartbeat that left */
	monotime_t beat_until; /* what it is good for */
	monotime_t lease_until; /* confirmed by LEASED */
	monotime_t asked_until; /* of lease op seq */
	monotime_t asked_max; /* latest end ever asked for */
	monotime_t timer_at;
	monotime_t due; /* the first of the addresses' own times */
	bool touched; /* they may have changed since */
	monotime_t fail_note_at; /* not before */
	uint64_t seq; /* of the last lease op */
	bool want_open, want_close;
	uint64_t renewed, lease_failed, lapsed, flushed;
	struct vip_a addrs[]; /* n */
};

/* vip_cell.c: one address answers one event; sets its state. */
void vip_cell(struct vip *, struct vip_a *, const struct vip_event *);
/* True if an event is nothing to any address in the state that it is in. */
bool vip_no_cell(const struct vip *, enum vip_ev);

/* vip.c: the only place where a state changes. */
void vip_set_state(
    struct vip *, struct vip_a *, enum vip_state, const char *why);
void vip_note(const struct vip *, const struct vip_a *, enum had_level,
    const char *rule, const char *text);

#endif
