/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of associations: connecting, claims, proof, loss.
 */
#include "assoc_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BACKOFF_MAX_MS = 1000,
	MEND_AGAIN_MS = 30000,
	BROKEN_MS = 200,
};

const char *
tp_reason_text(enum tp_reason reason)
{
	static const char *const texts[] = {
#define X(name, text) [name] = text,
	    TP_REASONS(X)
#undef X
	};

	ASSERT((unsigned)reason < NITEMS(texts));
	return texts[reason];
}

const char *
tp_kind_text(enum tp_kind kind)
{
	static const char *const texts[] = {
	    [TP_CTL] = "ctl", [TP_BULK] = "bulk", [TP_HB] = "hb"};

	ASSERT((unsigned)kind < NITEMS(texts));
	return texts[kind];
}

struct tp_slot *
tp_slot(const struct tp *tp, uint8_t peer, enum tp_kind kind, uint8_t link)
{
	unsigned i, j;

	for (i = 0; i < tp->conf.n_peers; i++) {
		if (tp->peers[i].conf.id != peer)
			continue;
		for (j = 0; j < tp->n_eps; j++)
			if (tp->eps[j].kind == kind &&
			    (kind != TP_HB || tp->eps[j].link == link))
				return &tp->peers[i].slots[j];
	}
	return NULL;
}

static unsigned
tp_ep_index(const struct tp_ep *ep)
{
	return (unsigned)(ep - ep->tp->eps);
}

struct tp_assoc *
tp_find(struct tp_ep *ep, sctp_assoc_t id)
{
	struct tp_slot *slot;
	unsigned i, j;

	for (i = 0; i < ep->tp->conf.n_peers; i++) {
		slot = &ep->tp->peers[i].slots[tp_ep_index(ep)];
		for (j = 0; j < TP_CLAIMS; j++)
			if (slot->claims[j].state != TP_FREE &&
			    slot->claims[j].id == id)
				return &slot->claims[j];
	}
	return NULL;
}

/* Runs the timer at once: something is to be told. */
void
tp_wake(struct tp *tp)
{
	loop_timer_at(tp->timer, (monotime_t){0});
}

void
tp_retry(struct tp_slot *slot, bool at_once)
{
	monotime_t now = loop_now();

	if (at_once) {
		slot->backoff_ms = TP_BACKOFF_MS;
		slot->connect_at = now;
	} else {
		slot->connect_at = mt_add_ms(now, slot->backoff_ms);
		slot->backoff_ms = slot->backoff_ms * 2 < BACKOFF_MAX_MS
				       ? slot->backoff_ms * 2
				       : BACKOFF_MAX_MS;
	}
	tp_wake(slot->peer->tp);
}

/*
 * Ends an assoc.  If abort is false the kernel has ended it already.  Whether
 * it was up is told later, by tp_reap.
 */
void
tp_doom(struct tp_assoc *a, enum tp_reason reason, bool abort)
{
	struct tp_slot *slot = a->slot;

	ASSERT(a->state != TP_FREE);
	if (a->state == TP_DOOMED)
		return;
	if (abort)
		tp_sock_abort(slot->ep, a->id);
	a->reason = a->state == TP_CLOSING ? TP_LOCAL : reason;
	a->state = TP_DOOMED;
	if (slot->up == a) {
		slot->up = NULL;
		slot->out_len = 0;
		slot->blocked = false;
		msgq_clear(&slot->urgent);
		msgq_clear(&slot->normal);
		slot->want_writable = false;
	}
	tp_wake(slot->peer->tp);
}

/*
 * The kernel refuses to send: the association has ended, and the notification
 * that says how is on its way.  It must not be lost, so wait for it a while.
 */
void
tp_broken(struct tp_assoc *a)
{
	if (a->broken || a->state == TP_DOOMED)
		return;
	a->broken = true;
	a->deadline = mt_add_ms(loop_now(), BROKEN_MS);
	if (a->slot->up == a) {
		a->slot->out_len = 0;
		a->slot->blocked = false;
	}
	tp_wake(a->slot->peer->tp);
}

/* Frees what an assoc has; the kernel knows it no more. */
void
tp_forget(struct tp_assoc *a)
{
	struct tp_slot *slot = a->slot;

	seal_free(a->seal);
	seal_tls_free(a->tls);
	free(a->part);
	explicit_bzero(a, sizeof(*a));
	a->slot = slot;
}

/* The session of ctl is gone: keys in use stay, new ones wait. */
static void
tp_no_session(struct tp_peer *peer)
{
	struct tp_slot *slot;
	unsigned i, j;

	peer->have_session = false;
	explicit_bzero(&peer->session, sizeof(peer->session));
	for (i = 0; i < peer->tp->n_eps; i++) {
		slot = &peer->slots[i];
		for (j = 0; j < TP_CLAIMS && slot->ep->kind != TP_CTL; j++)
			if (slot->claims[j].seal != NULL)
				seal_use(slot->claims[j].seal, NULL);
	}
}

/* Tells that one assoc is lost and arranges for the next one. */
static void
tp_bury(struct tp_assoc *a)
{
	struct tp_slot *slot = a->slot;
	struct tp_peer *peer = slot->peer;
	struct tp *tp = peer->tp;
	bool told = a->told;
	enum tp_reason reason = a->reason;
	unsigned i;

	tp_forget(a);
	if (slot->up == NULL && !tp->draining)
		tp_retry(slot, told && reason != TP_SHUTDOWN);
	if (!told)
		return;
	slot->stats.up = false;
	slot->stats.losses++;
	for (i = 0; i < HAD_LINKS_MAX; i++)
		slot->paths[i] = TP_PATH_UNKNOWN;
	if (slot->ep->kind == TP_CTL && slot->up == NULL)
		tp_no_session(peer);
	tp->cb->lost(
	    tp->ctx, peer->conf.id, slot->ep->kind, slot->ep->link, reason);
}

/* Tells what was doomed; only from the loop, never within a callback. */
void
tp_reap(struct tp *tp)
{
	struct tp_assoc *a;
	unsigned i, j, k;

	ASSERT(!tp->calling);
	tp->calling = true;
	for (i = 0; i < tp->conf.n_peers; i++)
		for (j = 0; j < tp->n_eps; j++)
			for (k = 0; k < TP_CLAIMS; k++) {
				a = &tp->peers[i].slots[j].claims[k];
				if (a->state == TP_DOOMED)
					tp_bury(a);
			}
	tp->calling = false;
}

void
tp_stranger(struct tp *tp, const union tp_addr *addr, const char *why)
{
	tp->stats.strangers++;
	tp->strangers_due++;
	tp_addr_text(
	    addr, tp->stats.stranger_addr, sizeof(tp->stats.stranger_addr));
	snprintf(
	    tp->stats.stranger_why, sizeof(tp->stats.stranger_why), "%s", why);
	tp_wake(tp);
}

void
tp_refuse(struct tp_assoc *a, const char *why)
{
	struct tp_slot *slot = a->slot;
	union tp_addr addrs[HAD_LINKS_MAX] = {0};

	if (a->told) {
		slot->stats.rx_bad++;
		tp_doom(a, TP_BAD_PEER, true);
		return;
	}
	(void)tp_sock_peers(slot->ep, a->id, addrs, HAD_LINKS_MAX);
	tp_stranger(slot->peer->tp, &addrs[0], why);
	tp_doom(a, TP_BAD_PEER, true);
}

/* Which peer's slot these addresses may claim; NULL and why. */
static struct tp_slot *
tp_claimed(
    struct tp_ep *ep, const union tp_addr *addrs, int n, const char **why)
{
	struct tp_peer *peer = NULL;
	unsigned i, j;
	int known = 0, k;

	*why = "its address is not configured";
	for (i = 0; i < ep->tp->conf.n_peers && known == 0; i++) {
		peer = &ep->tp->peers[i];
		for (k = 0; k < n; k++)
			for (j = 0; j < peer->conf.n_links; j++)
				if (tp_addr_equal(&peer->addrs[j], &addrs[k]) &&
				    (ep->kind != TP_HB ||
					peer->conf.links[j].index == ep->link))
					known++;
	}
	if (known == 0)
		return NULL;
	*why = "it has addresses that are not configured";
	if (known != n)
		return NULL;
	*why = "its port is not the configured one";
	if (ntohs(addrs[0].v4.sin_port) != ep->port)
		return NULL;
	return &peer->slots[tp_ep_index(ep)];
}

/* Sets up sealing for a new association; false: out of memory. */
static bool
tp_prepare(struct tp_assoc *a)
{
	struct tp_peer *peer = a->slot->peer;
	struct tp *tp = peer->tp;
	struct seal_conf conf = {
	    .kind = (uint8_t)a->slot->ep->kind,
	    .link = a->slot->ep->link,
	    .client = tp->conf.self < peer->conf.id,
	    .unordered = a->slot->ep->kind == TP_HB,
	    .rekey_records = tp->conf.rekey_records,
	};
	struct seal_who who = {
	    .cluster = tp->conf.cluster,
	    .self = tp->conf.self,
	    .peer = peer->conf.id,
	    .incarnation = tp->conf.incarnation,
	};

	memcpy(who.pin, peer->conf.pin, sizeof(who.pin));
	a->seal = seal_new(&conf);
	if (a->seal == NULL)
		return false;
	if (a->slot->ep->kind != TP_CTL)
		return true;
	a->tls = seal_tls_new(tp->id, &who);
	return a->tls != NULL;
}

/* The kernel has an association: whose is it? */
void
tp_claim(struct tp_ep *ep, sctp_assoc_t id)
{
	union tp_addr addrs[HAD_LINKS_MAX + 1] = {0};
	struct tp *tp = ep->tp;
	struct tp_assoc *a = NULL;
	struct tp_slot *slot;
	const char *why;
	int i, n;

	n = tp_sock_peers(ep, id, addrs, NITEMS(addrs));
	if (n <= 0)
		return; /* gone already */
	if (n > (int)NITEMS(addrs))
		n = NITEMS(addrs); /* one more than any peer has */
	slot = tp_claimed(ep, addrs, n, &why);
	for (i = 0; slot != NULL && i < TP_CLAIMS && a == NULL; i++)
		if (slot->claims[i].state == TP_FREE)
			a = &slot->claims[i];
	if (a == NULL) {
		if (slot != NULL)
			why = "too many associations that prove nothing";
		tp_stranger(tp, &addrs[0], why);
		tp_sock_abort(ep, id);
		return;
	}
	if (tp->draining || mt_before(loop_now(), slot->peer->hold_until)) {
		tp_sock_abort(ep, id);
		return;
	}
	slot->connecting = false;
	a->state = TP_CLAIMING;
	a->slot = slot;
	a->id = id;
	a->deadline = mt_add_ms(loop_now(), tp->conf.auth_ms);
	if (!tp_prepare(a)) {
		tp_doom(a, TP_LOCAL, true);
		return;
	}
	if (a->tls != NULL) {
		struct seal_session none;

		(void)seal_tls_input(a->tls, NULL, 0, &none, &why);
	} else if (slot->peer->have_session) {
		a->have_session = true;
		a->incarnation = slot->peer->session.peer_incarnation;
		seal_use(a->seal, &slot->peer->session);
	}
	tp_control(a);
	tp_wake(tp);
}

/* ctl has a new session: all other associations of the peer get keys of it. */
void
tp_session(struct tp_peer *peer, const struct seal_session *session)
{
	struct tp_slot *slot;
	struct tp_assoc *a;
	unsigned i, j;

	peer->session = *session;
	peer->have_session = true;
	for (i = 0; i < peer->tp->n_eps; i++) {
		slot = &peer->slots[i];
		for (j = 0; j < TP_CLAIMS && slot->ep->kind != TP_CTL; j++) {
			a = &slot->claims[j];
			if (a->state != TP_CLAIMING && a->state != TP_PROVEN)
				continue;
			if (a->have_session &&
			    a->incarnation != session->peer_incarnation) {
				tp_doom(a, TP_RESTARTED, true);
				continue;
			}
			a->have_session = true;
			a->incarnation = session->peer_incarnation;
			seal_use(a->seal, session);
			tp_control(a);
		}
	}
}

/* The paths as the kernel has them at the beginning. */
static void
tp_paths(struct tp_assoc *a)
{
	struct tp_slot *slot = a->slot;
	struct tp_peer *peer = slot->peer;
	struct sctp_paddrinfo info;
	union tp_addr addr;
	socklen_t len;
	unsigned i;

	for (i = 0; i < peer->conf.n_links; i++) {
		if (slot->ep->kind == TP_HB &&
		    peer->conf.links[i].index != slot->ep->link)
			continue;
		addr = peer->addrs[i];
		addr.v4.sin_port = htons(slot->ep->port);
		memset(&info, 0, sizeof(info));
		info.spinfo_assoc_id = a->id;
		memcpy(&info.spinfo_address, &addr, tp_addr_len(&addr));
		len = sizeof(info);
		if (getsockopt(slot->ep->fd, SOL_SCTP, SCTP_GET_PEER_ADDR_INFO,
			&info, &len) == 0)
			tp_path(slot, a->id, &addr,
			    tp_path_state(info.spinfo_state));
	}
}

/* The peer has proven itself on this association; it takes the slot. */
void
tp_proven(struct tp_assoc *a)
{
	struct tp_slot *slot = a->slot;
	struct tp_peer *peer = slot->peer;
	struct tp *tp = peer->tp;
	unsigned i;

	ASSERT(a->state == TP_CLAIMING && seal_ready(a->seal));
	if (tp->draining) {
		tp_doom(a, TP_LOCAL, true);
		return;
	}
	if (slot->up != NULL)
		tp_doom(slot->up, TP_RESTARTED, true);
	a->state = TP_PROVEN;
	slot->up = a;
	/* What was there before is told first. */
	if (slot->ep->kind == TP_CTL)
		tp_session(peer, &a->session);
	tp_reap(tp);
	if (a->state != TP_PROVEN)
		return;
	a->told = true;
	slot->backoff_ms = TP_BACKOFF_MS;
	slot->up_at = loop_now();
	slot->stats.up = true;
	slot->stats.ups++;
	a->key_epoch = seal_epoch(a->seal);
	seal_tls_free(a->tls);
	a->tls = NULL;
	for (i = 0; i < peer->conf.n_links && slot->ep->kind != TP_HB; i++)
		if (peer->conf.links[i].index == 0)
			tp_sock_primary(slot->ep, a->id, &peer->addrs[i]);
	tp->cb->up(tp->ctx, peer->conf.id, slot->ep->kind, slot->ep->link,
	    a->incarnation);
	if (a->state == TP_PROVEN)
		tp_paths(a);
}

static void
tp_expire(struct tp_slot *slot, monotime_t now)
{
	struct tp_assoc *a;
	unsigned i;

	for (i = 0; i < TP_CLAIMS; i++) {
		a = &slot->claims[i];
		if ((a->state != TP_CLAIMING && !a->broken) ||
		    a->state == TP_DOOMED || mt_before(now, a->deadline))
			continue;
		if (a->broken) {
			tp_doom(a, TP_TIMEOUT, true);
			continue;
		}
		tp_refuse(a, "it did not prove itself in time");
	}
}

static void
tp_connect(struct tp_slot *slot, monotime_t now)
{
	struct tp *tp = slot->peer->tp;

	if (slot->up != NULL || tp->draining ||
	    mt_before(now, slot->connect_at))
		return;
	if (mt_before(now, slot->peer->hold_until)) {
		slot->connect_at = slot->peer->hold_until;
		return;
	}
	/* In case that nothing is heard of this attempt. */
	slot->connect_at = mt_add_ms(now, 2 * BACKOFF_MAX_MS);
	if (slot->ep->fd == -1)
		tp_reopen(slot->ep);
	slot->connecting = true;
	slot->connected_at = now;
	if (tp_sock_connect(slot->ep, slot->peer, &slot->connect_id) == -1) {
		slot->connecting = false;
		tp_retry(slot, false);
	}
}

/*
 * An association that began while a link was down can lack that path for
 * ever: the kernel does not add one.  Once the link's heartbeats pass, it is
 * shut down and made anew.
 */
static void
tp_mend(struct tp_peer *peer, struct tp_slot *slot, monotime_t now)
{
	union tp_addr addrs[HAD_LINKS_MAX];
	struct tp *tp = peer->tp;
	struct tp_slot *hb;
	unsigned i;
	int n;

	if (slot->up == NULL || slot->ep->kind == TP_HB ||
	    slot->up->state != TP_PROVEN)
		return;
	n = tp_sock_peers(slot->ep, slot->up->id, addrs, HAD_LINKS_MAX);
	if (n < 0 || n >= peer->conf.n_links)
		return;
	for (i = 0; i < peer->conf.n_links; i++) {
		hb = tp_slot(
		    tp, peer->conf.id, TP_HB, peer->conf.links[i].index);
		if (hb == NULL || hb->up == NULL ||
		    mt_before(now, mt_add_ms(hb->up_at, TP_MEND_MS)))
			return;
	}
	peer->mend_at = mt_add_ms(now, MEND_AGAIN_MS);
	tp->cb->note(tp->ctx, HAD_INFO, "transport",
	    "an association lacks a path of a link that works: made anew");
	slot->up->state = TP_CLOSING;
	if (tp_sock_eof(slot->ep, slot->up->id) == -1)
		tp_doom(slot->up, TP_LOCAL, true);
}

static void
tp_tell_strangers(struct tp *tp, monotime_t now)
{
	uint32_t n = tp->strangers_due;

	if (n == 0 || mt_before(now, tp->stranger_next))
		return;
	tp->strangers_due = 0;
	tp->stranger_next = mt_add_ms(now, 1000);
	tp->cb->stranger(
	    tp->ctx, tp->stats.stranger_addr, tp->stats.stranger_why, n);
}

/* Sends what is queued, then ends the association. */
static void
tp_drain_slot(struct tp_slot *slot)
{
	struct tp_assoc *a = slot->up;

	if (a == NULL || a->state != TP_PROVEN)
		return;
	tp_flush(slot);
	if (slot->out_len > 0 || slot->urgent.used + slot->normal.used > 0)
		return;
	a->state = TP_CLOSING;
	if (tp_sock_eof(slot->ep, a->id) == -1)
		tp_doom(a, TP_LOCAL, true);
}

static monotime_t
tp_next(const struct tp *tp)
{
	const struct tp_slot *slot;
	monotime_t next = tp->alive_at;
	unsigned i, j, k;

	if (tp->strangers_due > 0)
		next = mt_min(next, tp->stranger_next);
	for (i = 0; i < tp->conf.n_peers; i++) {
		for (j = 0; j < tp->n_eps; j++) {
			slot = &tp->peers[i].slots[j];
			if (slot->up == NULL && !tp->draining)
				next = mt_min(next, slot->connect_at);
			for (k = 0; k < TP_CLAIMS; k++)
				if (slot->claims[k].state == TP_DOOMED)
					next = (monotime_t){0};
				else if (slot->claims[k].state == TP_CLAIMING ||
					 slot->claims[k].broken)
					next = mt_min(
					    next, slot->claims[k].deadline);
		}
	}
	return next;
}

/* Sysctls are read and complained of, never written. */
static void
tp_warn(struct tp *tp)
{
	char text[512], *rest = text, *line;

	tp->warned = true;
	if (tp_probe(text, sizeof(text)) == -1)
		return;
	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			tp->cb->note(tp->ctx, HAD_WARN, "transport", line);
}

void
tp_tick(void *arg, monotime_t now)
{
	struct tp *tp = arg;
	struct tp_peer *peer;
	unsigned i, j;

	if (!tp->warned)
		tp_warn(tp);
	tp_reap(tp);
	for (i = 0; i < tp->conf.n_peers; i++) {
		peer = &tp->peers[i];
		for (j = 0; j < tp->n_eps; j++) {
			tp_expire(&peer->slots[j], now);
			tp_connect(&peer->slots[j], now);
			if (tp->draining)
				tp_drain_slot(&peer->slots[j]);
			else if (!mt_before(now, peer->mend_at))
				tp_mend(peer, &peer->slots[j], now);
		}
		if (!mt_before(now, peer->mend_at))
			peer->mend_at = mt_add_ms(now, TP_MEND_MS);
	}
	tp_reap(tp);
	tp_tell_strangers(tp, now);
	if (!mt_before(now, tp->alive_at)) {
		tp->alive_at =
		    mt_add_ms(now, tp->conf.dead_ms / 4 > tp->conf.heartbeat_ms
				       ? tp->conf.dead_ms / 4
				       : tp->conf.heartbeat_ms);
		tp_alive(tp);
	}
	loop_timer_at(tp->timer, tp_next(tp));
}

void
tp_drain(struct tp *tp)
{
	struct tp_assoc *a;
	unsigned i, j, k;

	tp->draining = true;
	for (i = 0; i < tp->conf.n_peers; i++)
		for (j = 0; j < tp->n_eps; j++)
			for (k = 0; k < TP_CLAIMS; k++) {
				a = &tp->peers[i].slots[j].claims[k];
				if (a->state == TP_CLAIMING)
					tp_doom(a, TP_LOCAL, true);
			}
	tp_wake(tp);
}

bool
tp_idle(const struct tp *tp)
{
	unsigned i, j, k;

	for (i = 0; i < tp->conf.n_peers; i++)
		for (j = 0; j < tp->n_eps; j++)
			for (k = 0; k < TP_CLAIMS; k++)
				if (tp->peers[i].slots[j].claims[k].state !=
				    TP_FREE)
					return false;
	return true;
}

void
tp_close_peer(struct tp *tp, uint8_t id, uint32_t delay_ms)
{
	struct tp_peer *peer;
	unsigned i, j, k;

	for (i = 0; i < tp->conf.n_peers; i++) {
		peer = &tp->peers[i];
		if (peer->conf.id != id)
			continue;
		peer->hold_until = mt_add_ms(loop_now(), delay_ms);
		for (j = 0; j < tp->n_eps; j++)
			for (k = 0; k < TP_CLAIMS; k++)
				if (peer->slots[j].claims[k].state != TP_FREE)
					tp_doom(&peer->slots[j].claims[k],
					    TP_LOCAL, true);
	}
	tp_wake(tp);
}
