/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel says about associations and their paths.
 */
#include "assoc_int.h"

#include <errno.h>
#include <string.h>

void
tp_path(struct tp_slot *slot, sctp_assoc_t id, const union tp_addr *addr,
    enum tp_path_state state)
{
	struct tp_peer *peer = slot->peer;
	struct tp *tp = peer->tp;
	struct sctp_paddrinfo info = {.spinfo_assoc_id = id};
	socklen_t len = sizeof(info);
	uint32_t srtt_us = 0;
	unsigned i;

	for (i = 0; i < peer->conf.n_links; i++)
		if (tp_addr_equal(&peer->addrs[i], addr))
			break;
	if (i == peer->conf.n_links || slot->up == NULL || slot->up->id != id ||
	    !slot->up->told || slot->paths[i] == state)
		return;
	slot->paths[i] = state;
	memcpy(&info.spinfo_address, addr, tp_addr_len(addr));
	if (getsockopt(slot->ep->fd, SOL_SCTP, SCTP_GET_PEER_ADDR_INFO, &info,
		&len) == 0)
		srtt_us = info.spinfo_srtt * 1000;
	tp->cb->path(tp->ctx, peer->conf.id, slot->ep->kind,
	    peer->conf.links[i].index, state, srtt_us);
}

/*
 * An attempt to connect failed.  The kernel does not say whether an ABORT came
 * or nothing at all, and a one-to-many socket gets no error either.  But time
 * cannot run out sooner than TP_REFUSED_MS, and an ABORT that a daemon asked
 * for carries a cause, while a kernel that has nobody to listen gives none.
 */
static void
tp_not_started(struct tp_ep *ep, const struct sctp_assoc_change *c)
{
	struct tp *tp = ep->tp;
	monotime_t now = loop_now();
	struct tp_slot *slot;
	unsigned i;

	for (i = 0; i < tp->conf.n_peers; i++) {
		slot = &tp->peers[i].slots[ep - tp->eps];
		if (!slot->connecting || slot->connect_id != c->sac_assoc_id)
			continue;
		slot->connecting = false;
		tp_retry(slot, false);
		if (ep->kind == TP_HB && c->sac_error == 0 &&
		    mt_before(
			now, mt_add_ms(slot->connected_at, TP_REFUSED_MS)))
			tp->cb->refused(
			    tp->ctx, tp->peers[i].conf.id, ep->link);
		return;
	}
}

static void
tp_assoc_change(struct tp_ep *ep, const struct sctp_assoc_change *c)
{
	struct tp_assoc *a = tp_find(ep, c->sac_assoc_id);
	/* The ABORT chunk follows if one came; nothing if time ran out. */
	bool aborted = c->sac_length > sizeof(*c);

	switch (c->sac_state) {
	case SCTP_COMM_UP:
		if (a == NULL)
			tp_claim(ep, c->sac_assoc_id);
		break;
	case SCTP_COMM_LOST:
		if (a != NULL)
			tp_doom(a, aborted ? TP_ABORTED : TP_TIMEOUT, false);
		break;
	case SCTP_RESTART:
		/* Same association, new peer: all keys are void. */
		if (a != NULL) {
			tp_doom(a, TP_RESTARTED, false);
			tp_reap(ep->tp);
		}
		tp_claim(ep, c->sac_assoc_id);
		break;
	case SCTP_SHUTDOWN_COMP:
		if (a != NULL)
			tp_doom(a, TP_SHUTDOWN, false);
		break;
	case SCTP_CANT_STR_ASSOC:
		tp_not_started(ep, c);
		break;
	}
}

enum tp_path_state
tp_path_state(int spinfo_state)
{
	switch (spinfo_state) {
	case SCTP_ACTIVE:
		return TP_PATH_ACTIVE;
	case SCTP_PF:
		return TP_PATH_SUSPECT;
	case SCTP_INACTIVE:
		return TP_PATH_DOWN;
	default:
		return TP_PATH_UNKNOWN;
	}
}

static void
tp_addr_change(struct tp_ep *ep, const struct sctp_paddr_change *c)
{
	struct tp_assoc *a = tp_find(ep, c->spc_assoc_id);
	union tp_addr addr = {0};

	if (a == NULL)
		return;
	memcpy(&addr, &c->spc_aaddr, sizeof(addr));
	switch (c->spc_state) {
	case SCTP_ADDR_AVAILABLE:
	case SCTP_ADDR_CONFIRMED:
		tp_path(a->slot, a->id, &addr, TP_PATH_ACTIVE);
		break;
	case SCTP_ADDR_UNREACHABLE:
		tp_path(a->slot, a->id, &addr, TP_PATH_DOWN);
		break;
	case SCTP_ADDR_PF:
		tp_path(a->slot, a->id, &addr, TP_PATH_SUSPECT);
		break;
	}
}

static void
tp_shutdown_event(struct tp_ep *ep, const struct sctp_shutdown_event *e)
{
	struct tp_assoc *a = tp_find(ep, e->sse_assoc_id);

	/* There is no half-close: nothing can be sent any more. */
	if (a != NULL && a->state != TP_CLOSING)
		tp_doom(a, TP_SHUTDOWN, false);
}

static void
tp_partial_event(struct tp_ep *ep, const struct sctp_pdapi_event *e)
{
	struct tp_assoc *a = tp_find(ep, e->pdapi_assoc_id);

	/* The rest of a message in parts will not come. */
	if (a != NULL)
		a->part_len = 0;
}

void
tp_note(struct tp_ep *ep, const uint8_t *bytes, size_t len)
{
	union {
		struct sctp_assoc_change change;
		struct sctp_paddr_change path;
		struct sctp_shutdown_event shutdown;
		struct sctp_pdapi_event partial;
		uint16_t type;
	} n = {0};
	size_t want;

	memcpy(&n, bytes, len < sizeof(n) ? len : sizeof(n));
	switch (n.type) {
	case SCTP_ASSOC_CHANGE:
		want = sizeof(n.change);
		break;
	case SCTP_PEER_ADDR_CHANGE:
		want = sizeof(n.path);
		break;
	case SCTP_SHUTDOWN_EVENT:
		want = sizeof(n.shutdown);
		break;
	case SCTP_PARTIAL_DELIVERY_EVENT:
		want = sizeof(n.partial);
		break;
	default:
		return;
	}
	if (len < want)
		return;
	switch (n.type) {
	case SCTP_ASSOC_CHANGE:
		tp_assoc_change(ep, &n.change);
		break;
	case SCTP_PEER_ADDR_CHANGE:
		tp_addr_change(ep, &n.path);
		break;
	case SCTP_SHUTDOWN_EVENT:
		tp_shutdown_event(ep, &n.shutdown);
		break;
	case SCTP_PARTIAL_DELIVERY_EVENT:
		tp_partial_event(ep, &n.partial);
		break;
	}
}
