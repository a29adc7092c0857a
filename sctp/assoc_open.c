/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The beginning and the end of the transport.
 */
#include "assoc_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
tp_defaults(struct tp_conf *c)
{
	ASSERT(c->n_links > 0 && c->n_links <= HAD_LINKS_MAX);
	ASSERT(c->n_peers <= HAD_NODES_MAX);
	ASSERT(c->heartbeat_ms > 0 && c->dead_ms > 0);
	if (c->window_bytes == 0)
		c->window_bytes = 256 << 10;
	/* A message and what is not yet acknowledged have to fit. */
	if (c->window_bytes < 2 * HAD_MSG_MAX)
		c->window_bytes = 2 * HAD_MSG_MAX;
	if (c->queue_bytes == 0)
		c->queue_bytes = 1 << 20;
	if (c->queue_bytes < 2 * HAD_MSG_MAX)
		c->queue_bytes = 2 * HAD_MSG_MAX;
	if (c->auth_ms == 0)
		c->auth_ms = 1800;
	if (c->rekey_records == 0)
		c->rekey_records = UINT64_C(1) << 28;
}

static int
tp_new_slot(struct tp *tp, struct tp_peer *peer, unsigned ep)
{
	struct tp_slot *slot = &peer->slots[ep];
	bool hb = tp->eps[ep].kind == TP_HB;
	unsigned i;

	slot->peer = peer;
	slot->ep = &tp->eps[ep];
	slot->backoff_ms = TP_BACKOFF_MS;
	for (i = 0; i < TP_CLAIMS; i++)
		slot->claims[i].slot = slot;
	slot->out_size = hb ? TP_HB_MAX + SEAL_OVERHEAD : HAD_MSG_MAX;
	slot->out = malloc(slot->out_size);
	if (slot->out == NULL ||
	    msgq_init(&slot->urgent, hb ? 1024 : 2 * HAD_MSG_MAX) == -1)
		return -1;
	return hb ? 0 : msgq_init(&slot->normal, tp->conf.queue_bytes);
}

static int
tp_new_peers(struct tp *tp, char *why, size_t why_size)
{
	struct tp_peer *peer;
	unsigned i, j;

	tp->peers = calloc(tp->conf.n_peers + 1u, sizeof(*tp->peers));
	tp->rx = malloc(TP_RX_MAX);
	if (tp->peers == NULL || tp->rx == NULL) {
		snprintf(why, why_size, "out of memory");
		return -1;
	}
	for (i = 0; i < tp->conf.n_peers; i++) {
		peer = &tp->peers[i];
		peer->tp = tp;
		peer->conf = tp->conf.peers[i];
		peer->mend_at = mt_add_ms(loop_now(), TP_MEND_MS);
		for (j = 0; j < tp->n_eps; j++)
			if (tp_new_slot(tp, peer, j) == -1) {
				snprintf(why, why_size, "out of memory");
				return -1;
			}
		for (j = 0; j < peer->conf.n_links; j++)
			if (tp_addr_parse(
				&peer->addrs[j], &peer->conf.links[j]) == -1) {
				snprintf(why, why_size,
				    "%s: not a numeric address",
				    peer->conf.links[j].addr);
				return -1;
			}
	}
	return 0;
}

static void
tp_new_eps(struct tp *tp)
{
	struct tp_ep *ep;
	unsigned i;

	for (i = 0; i < 2u + tp->conf.n_links; i++) {
		ep = &tp->eps[i];
		ep->tp = tp;
		ep->fd = -1;
		ep->kind = i == 0 ? TP_CTL : i == 1 ? TP_BULK : TP_HB;
		ep->link = i < 2 ? 0 : tp->conf.links[i - 2].index;
		ep->port =
		    (uint16_t)(tp->conf.port + (i < 2 ? i : 2u + ep->link));
		tp->n_eps++;
	}
}

static int
tp_open_ep(struct tp_ep *ep, char *why, size_t why_size)
{
	if (tp_sock_open(ep, why, why_size) == -1)
		return -1;
	if (sd_event_add_io(
		ep->tp->event, &ep->source, ep->fd, EPOLLIN, tp_io, ep) < 0) {
		snprintf(why, why_size, "cannot watch a socket");
		errno = ENOMEM;
		return -1;
	}
	/* Bulk waits with the disks and clients that it is of. */
	if (ep->kind != TP_BULK)
		(void)sd_event_source_set_priority(ep->source,
		    ep->kind == TP_HB ? LOOP_HEARTBEAT : LOOP_CONTROL);
	return 0;
}

static void
tp_close_ep(struct tp_ep *ep)
{
	ep->source = sd_event_source_unref(ep->source);
	if (ep->fd != -1)
		close(ep->fd);
	ep->fd = -1;
	ep->want_out = false;
	ep->note_len = 0;
}

/* The socket is of no more use: another one. */
void
tp_reopen(struct tp_ep *ep)
{
	struct tp *tp = ep->tp;
	struct tp_slot *slot;
	char why[256], text[300];
	unsigned i, k;

	for (i = 0; i < tp->conf.n_peers; i++) {
		slot = &tp->peers[i].slots[ep - tp->eps];
		slot->connecting = false;
		for (k = 0; k < TP_CLAIMS; k++)
			if (slot->claims[k].state != TP_FREE)
				tp_doom(&slot->claims[k], TP_LOCAL, true);
	}
	tp_close_ep(ep);
	if (tp_open_ep(ep, why, sizeof(why)) == 0)
		return;
	/* Attempts to connect fail from here on, and come back to it. */
	snprintf(text, sizeof(text), "cannot reopen: %s", why);
	tp->cb->note(tp->ctx, HAD_ERR, "transport", text);
}

static int
tp_open(struct tp *tp, char *why, size_t why_size)
{
	unsigned i;

	for (i = 0; i < tp->conf.n_links; i++)
		if (tp_addr_parse(&tp->addrs[i], &tp->conf.links[i]) == -1) {
			snprintf(why, why_size, "%s: not a numeric address",
			    tp->conf.links[i].addr);
			return -1;
		}
	for (i = 0; i < tp->n_eps; i++)
		if (tp_open_ep(&tp->eps[i], why, why_size) == -1)
			return -1;
	return 0;
}

struct tp *
tp_new(sd_event *event, const struct tp_conf *conf, const struct tp_cb *cb,
    void *ctx, char *why, size_t why_size)
{
	struct tp *tp = calloc(1, sizeof(*tp));
	int saved;

	if (tp == NULL) {
		snprintf(why, why_size, "out of memory");
		return NULL;
	}
	tp->event = event;
	tp->conf = *conf;
	tp->cb = cb;
	tp->ctx = ctx;
	tp_defaults(&tp->conf);
	tp_new_eps(tp);
	tp->id = seal_id_new(conf->key);
	tp->conf.key = NULL;
	tp->timer = loop_timer_new(event, tp_tick, tp);
	tp->alive_at = loop_now();
	errno = ENOMEM;
	if (tp_pump_new(tp) == -1)
		snprintf(why, why_size, "out of memory");
	else if (tp->id == NULL || tp->timer == NULL)
		snprintf(why, why_size, "the key is not an Ed25519 key");
	else if (tp_new_peers(tp, why, why_size) == 0 &&
		 tp_open(tp, why, why_size) == 0) {
		tp_wake(tp);
		return tp;
	}
	saved = errno;
	tp_free(tp);
	errno = saved;
	return NULL;
}

void
tp_free(struct tp *tp)
{
	struct tp_slot *slot;
	unsigned i, j, k;

	if (tp == NULL)
		return;
	for (i = 0; i < tp->n_eps; i++)
		tp_close_ep(&tp->eps[i]);
	for (i = 0; tp->peers != NULL && i < tp->conf.n_peers; i++)
		for (j = 0; j < tp->n_eps; j++) {
			slot = &tp->peers[i].slots[j];
			for (k = 0; k < TP_CLAIMS; k++)
				tp_forget(&slot->claims[k]);
			msgq_fini(&slot->urgent);
			msgq_fini(&slot->normal);
			free(slot->out);
		}
	if (tp->timer != NULL)
		loop_timer_free(tp->timer);
	sd_event_source_disable_unref(tp->pump);
	seal_id_free(tp->id);
	free(tp->rx);
	free(tp->peers);
	free(tp);
}
