/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client of had-witness: one association of its own to the witness, with
 * the transport's identity and sealing, and the asking of leases over it.
 *
 * It connects and reconnects by itself (100 ms, doubling up to 1 s), pings,
 * and says when the witness comes and goes.  All callbacks run from the loop,
 * never within wl_new or wl_ask; they may call wl_ask, but not wl_free.
 * Nothing blocks, and at most one ask is under way.
 */
#ifndef WITNESS_LINK_H
#define WITNESS_LINK_H

#include <systemd/sd-event.h>

#include "had.h"

struct evp_pkey_st;
struct wl;

enum wl_vote {
	WL_GRANTED,
	WL_DENIED,
	/* No answer within dead_ms, or it could not make it durable. */
	WL_UNREACHABLE,
};

struct wl_conf {
	char addr[46]; /* of the witness; numeric */
	uint16_t port;
	uint8_t pin[32]; /* SHA-256 of its SubjectPublicKeyInfo */
	char local[46]; /* address to connect from; "" = as the route says */
	char cluster[HAD_NAME_MAX];
	uint8_t self; /* node id */
	uint64_t incarnation;
	struct evp_pkey_st
	    *key; /* this node's; borrowed until wl_new returns */
	uint32_t dead_ms; /* limit of an ask, and of its silence */
	uint32_t ping_ms; /* 0 = a third of dead_ms */
};

struct wl_cb {
	/*
	 * The answer to wl_ask(epoch): exactly one, unless another ask has
	 * replaced it.  DENIED: holder is the node that has a lease (0 = the
	 * witness does not say) and holder_epoch that lease's epoch; else 0.
	 */
	void (*answer)(void *ctx, uint64_t epoch, enum wl_vote, uint8_t holder,
	    uint64_t holder_epoch);
	/*
	 * The witness works: it is authenticated and answers pings.  Told on
	 * each change; it is down before the first call.
	 */
	void (*up)(void *ctx, bool up);
	/* For the log; object is "witness".  Once for each change of cause. */
	void (*note)(
	    void *ctx, enum had_level, const char *object, const char *text);
};

/*
 * Begins to connect.  conf is copied; cb and ctx stay borrowed until wl_free.
 * NULL with errno and a text in why: the address is not numeric (EINVAL), the
 * key is not Ed25519, out of memory, or this kernel has no SCTP
 * (EPROTONOSUPPORT).
 */
struct wl *wl_new(sd_event *, const struct wl_conf *, const struct wl_cb *,
    void *ctx, char *why, size_t why_size);
void wl_free(struct wl *);

/*
 * Asks for the lease of epoch (> 0), now or as soon as the witness is reached
 * within dead_ms.  Replaces an ask under way, which is then not answered.
 * Asking again for what was granted is granted again.
 */
void wl_ask(struct wl *, uint64_t epoch);

struct wl_status {
	bool up;
	monotime_t since; /* of up, or of its loss */
	uint32_t rtt_us; /* of the last ping, 0 = unknown */
	uint32_t ups; /* times it came up */
	char why[160]; /* if down: what was tried last and why it failed */
};
void wl_status(const struct wl *, struct wl_status *);

#endif
