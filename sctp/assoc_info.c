/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What status wants to know, and the kernel's signs of life.
 */
#include "assoc_int.h"

#include <errno.h>
#include <string.h>

/*
 * Packets of the peer's kernel on each heartbeat association.  A frozen daemon
 * does not keep its kernel from acknowledging ours.
 */
void
tp_alive(struct tp *tp)
{
	struct sctp_assoc_stats s;
	struct tp_slot *slot;
	socklen_t len;
	unsigned i, j;
	uint64_t before;

	for (i = 0; i < tp->conf.n_peers; i++)
		for (j = 0; j < tp->n_eps; j++) {
			slot = &tp->peers[i].slots[j];
			if (slot->up == NULL)
				continue;
			memset(&s, 0, sizeof(s));
			s.sas_assoc_id = slot->up->id;
			len = sizeof(s);
			if (getsockopt(slot->ep->fd, SOL_SCTP,
				SCTP_GET_ASSOC_STATS, &s, &len) == -1)
				continue;
			slot->stats.retransmits +=
			    s.sas_rtxchunks - slot->up->rtx;
			slot->up->rtx = s.sas_rtxchunks;
			before = slot->up->rx_packets;
			slot->up->rx_packets = s.sas_ipackets;
			if (slot->ep->kind == TP_HB && before != 0 &&
			    before != s.sas_ipackets)
				tp->cb->kernel_alive(tp->ctx,
				    tp->peers[i].conf.id, slot->ep->link);
		}
}

bool
tp_is_up(const struct tp *tp, uint8_t peer, enum tp_kind kind, uint8_t link)
{
	const struct tp_slot *slot = tp_slot(tp, peer, kind, link);

	return slot != NULL && slot->up != NULL && slot->up->told &&
	       slot->up->state == TP_PROVEN;
}

int
tp_path_info(struct tp *tp, uint8_t peer, enum tp_kind kind, uint8_t link,
    struct tp_path_info *out)
{
	struct tp_slot *slot = tp_slot(tp, peer, kind, link);
	struct sctp_paddrinfo info = {0};
	struct sctp_status status = {0};
	union tp_addr addr, primary;
	socklen_t len = sizeof(info);
	unsigned i;

	memset(out, 0, sizeof(*out));
	if (slot == NULL || slot->up == NULL) {
		errno = ENOTCONN;
		return -1;
	}
	for (i = 0; i < slot->peer->conf.n_links; i++)
		if (slot->peer->conf.links[i].index == link)
			break;
	if (i == slot->peer->conf.n_links) {
		errno = ENOTCONN;
		return -1;
	}
	addr = slot->peer->addrs[i];
	addr.v4.sin_port = htons(slot->ep->port);
	info.spinfo_assoc_id = slot->up->id;
	memcpy(&info.spinfo_address, &addr, tp_addr_len(&addr));
	if (getsockopt(slot->ep->fd, SOL_SCTP, SCTP_GET_PEER_ADDR_INFO, &info,
		&len) == -1)
		return 0; /* the association lacks this path */
	out->state = tp_path_state(info.spinfo_state);
	out->srtt_us = info.spinfo_srtt * 1000;
	out->rto_ms = info.spinfo_rto;
	out->mtu = info.spinfo_mtu;
	status.sstat_assoc_id = slot->up->id;
	len = sizeof(status);
	if (getsockopt(slot->ep->fd, SOL_SCTP, SCTP_STATUS, &status, &len) ==
	    0) {
		memcpy(&primary, &status.sstat_primary.spinfo_address,
		    sizeof(primary));
		out->primary = tp_addr_equal(&primary, &addr);
	}
	return 0;
}

void
tp_stats(const struct tp *tp, struct tp_stats *out)
{
	*out = tp->stats;
}

int
tp_assoc_stats(struct tp *tp, uint8_t peer, enum tp_kind kind, uint8_t link,
    struct tp_assoc_stats *out)
{
	const struct tp_slot *slot = tp_slot(tp, peer, kind, link);

	if (slot == NULL) {
		errno = ENOENT;
		return -1;
	}
	*out = slot->stats;
	out->queued_bytes = (uint32_t)tp_queued(tp, peer, kind);
	if (kind == TP_BULK && slot->up != NULL)
		out->inflight_bytes =
		    (uint32_t)(slot->up->sent - slot->up->credited);
	return 0;
}
