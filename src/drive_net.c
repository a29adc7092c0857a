/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The transport's callbacks as events of the node.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "drive_int.h"
#include "keyfile.h"
#include "log.h"

_Static_assert((int)ND_CTL == (int)TP_CTL && (int)ND_BULK == (int)TP_BULK &&
		   (int)ND_HB == (int)TP_HB,
    "kinds of associations differ");

static void
cb_up(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link,
    uint64_t incarnation)
{
	struct nd_event e = {.type = ND_EV_UP, .peer = peer};

	log_debug("transport: %s %u to node %u is up", tp_kind_text(kind), link,
	    peer);
	e.u.assoc.kind = (enum nd_kind)kind;
	e.u.assoc.link = link;
	e.u.assoc.incarnation = incarnation;
	drive_step(ctx, &e);
}

static void
cb_lost(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link,
    enum tp_reason reason)
{
	struct nd_event e = {.type = ND_EV_LOST, .peer = peer};

	log_debug("transport: %s %u to node %u is lost: %s", tp_kind_text(kind),
	    link, peer, tp_reason_text(reason));
	e.u.assoc.kind = (enum nd_kind)kind;
	e.u.assoc.link = link;
	e.u.assoc.aborted = reason == TP_ABORTED;
	e.u.assoc.restarted = reason == TP_RESTARTED;
	drive_step(ctx, &e);
}

static void
cb_refused(void *ctx, uint8_t peer, uint8_t link)
{
	struct nd_event e = {.type = ND_EV_REFUSED, .peer = peer};

	e.u.assoc.kind = ND_HB;
	e.u.assoc.link = link;
	drive_step(ctx, &e);
}

static void
cb_kernel_alive(void *ctx, uint8_t peer, uint8_t link)
{
	struct nd_event e = {.type = ND_EV_KERNEL_ALIVE, .peer = peer};

	e.u.assoc.kind = ND_HB;
	e.u.assoc.link = link;
	drive_step(ctx, &e);
}

static void
cb_path(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link,
    enum tp_path_state state, uint32_t srtt_us)
{
	static const char *const names[] = {
	    "unknown", "active", "suspect", "down"};

	(void)ctx;
	log_debug("transport: path of %s over link %u to node %u is %s, "
		  "rtt %u us",
	    tp_kind_text(kind), link, peer, names[state], srtt_us);
}

static void
cb_msg(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link,
    uint16_t stream, const uint8_t *data, size_t len)
{
	struct nd_event e = {.type = ND_EV_MSG, .peer = peer};

	(void)stream;
	e.u.msg.kind = (enum nd_kind)kind;
	e.u.msg.link = link;
	e.u.msg.bytes = data;
	e.u.msg.len = len;
	drive_step(ctx, &e);
}

static void
cb_writable(void *ctx, uint8_t peer, enum tp_kind kind)
{
	(void)ctx;
	log_debug("transport: %s to node %u takes messages again",
	    tp_kind_text(kind), peer);
}

static void
cb_stranger(void *ctx, const char *addr, const char *why, uint32_t count)
{
	char text[200];

	snprintf(text, sizeof(text), "refused %s: %s (%u since the last line)",
	    addr, why, count);
	drive_note(ctx, HAD_WARN, "R15", "transport", text);
}

static void
cb_note(void *ctx, enum had_level level, const char *object, const char *text)
{
	drive_note(ctx, level, "", object, text);
}

static const struct tp_cb cb = {
    .up = cb_up,
    .lost = cb_lost,
    .refused = cb_refused,
    .kernel_alive = cb_kernel_alive,
    .path = cb_path,
    .msg = cb_msg,
    .writable = cb_writable,
    .stranger = cb_stranger,
    .note = cb_note,
};

void
drive_send(void *ctx, uint8_t peer, enum nd_kind kind, uint8_t link,
    uint16_t stream, const struct nd_buf *bufs, unsigned n)
{
	struct drive *d = ctx;
	struct iovec iov[8];

	ASSERT(n <= NITEMS(iov));
	if (d->tp == NULL)
		return;
	for (unsigned i = 0; i < n; i++) {
		union {
			const void *in;
			void *out;
		} u = {.in = bufs[i].data};

		iov[i].iov_base = u.out;
		iov[i].iov_len = bufs[i].len;
	}
	/*
	 * A heartbeat that finds no room is late anyway.  The others are
	 * windowed far below the queue: if it is full, the peer is stuck.
	 */
	if (tp_sendv(d->tp, peer, (enum tp_kind)kind, link, stream, iov,
		(int)n) < 0 &&
	    errno == EAGAIN && kind != ND_HB) {
		drive_note(d, HAD_WARN, "R15", "transport",
		    "the queue to the peer is full: connecting anew");
		tp_close_peer(d->tp, peer, d->conf->t.dead_ms);
	}
}

static void
copy_links(struct tp_link *to, const struct conf_node *n)
{
	for (unsigned l = 0; l < n->n_links; l++) {
		to[l].index = n->links[l].index;
		memcpy(to[l].addr, n->links[l].addr, sizeof(to[l].addr));
		memcpy(to[l].ifname, n->links[l].ifname, sizeof(to[l].ifname));
	}
}

int
drive_net_new(struct drive *d, uint64_t incarnation)
{
	struct tp_conf c = {
	    .self = d->self,
	    .incarnation = incarnation,
	    .port = d->conf->port,
	    .heartbeat_ms = d->conf->t.heartbeat_ms,
	    .dead_ms = d->conf->t.dead_ms,
	    .n_links = d->me->n_links,
	    /*
	     * What the kernel holds of bulk is ahead of all else on the wire.
	     * A volume has a window of its own, of 1 MiB to either side.
	     */
	    .window_bytes = 256 << 10,
	    .queue_bytes = (8u + 2u * d->conf->n_volumes) << 20,
	};
	char why[512];

	if (d->conf->n_nodes < 2)
		return 0;
	c.key = keyfile_load(d->o.key_path, why, sizeof(why));
	if (c.key == NULL) {
		log_at(HAD_ERR, "", "transport", why);
		return -1;
	}
	memcpy(c.cluster, d->conf->cluster, sizeof(c.cluster));
	copy_links(c.links, d->me);
	for (unsigned i = 0; i < d->conf->n_nodes; i++) {
		const struct conf_node *n = &d->conf->nodes[i];
		struct tp_peer_conf *p = &c.peers[c.n_peers];
		uint8_t own[32];

		if (n->id == d->self) {
			if (keyfile_fingerprint(c.key, own) < 0 ||
			    memcmp(own, n->key, sizeof(own)) != 0)
				log_warnx("transport: %s is not the key that "
					  "the configuration pins for %s: "
					  "the peer will refuse this node",
				    d->o.key_path, n->name);
			continue;
		}
		p->id = n->id;
		memcpy(p->pin, n->key, sizeof(p->pin));
		copy_links(p->links, n);
		p->n_links = n->n_links;
		c.n_peers++;
	}
	d->tp = tp_new(d->event, &c, &cb, d, why, sizeof(why));
	EVP_PKEY_free(c.key);
	if (d->tp == NULL) {
		log_at(HAD_ERR, "", "transport", why);
		return -1;
	}
	return 0;
}
