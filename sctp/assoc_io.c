/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages: sealing and sending, receiving and opening.
 */
#include "assoc_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/*
	 * Bounded work for one turn of the loop, each way; others want to
	 * run, too.  One message is always allowed.
	 */
	TURN_MESSAGES = 32,
	TURN_BYTES = HAD_IO_MAX,
	TURN_US = 1000,
	TROUBLE_MS = 10000, /* between notes about the same trouble */
	/* Streams of the kernel: ours + 1, 0 is for seal. */
	STREAM_URGENT = 1,
};

/* Gives one sealed message to the kernel.  Returns 0, or -1 with errno. */
static int
tp_transmit(struct tp_assoc *a, const uint8_t *bytes, size_t len,
    uint16_t stream, bool expires)
{
	struct tp_ep *ep = a->slot->ep;
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct sctp_sndinfo)) +
			      CMSG_SPACE(sizeof(struct sctp_prinfo))];
	} control = {0};
	union {
		const uint8_t *in;
		void *out;
	} base = {.in = bytes};
	struct iovec iov = {base.out, len};
	struct msghdr m = {
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = CMSG_SPACE(sizeof(struct sctp_sndinfo)),
	};
	struct sctp_sndinfo info = {
	    .snd_sid = stream,
	    .snd_flags = expires ? SCTP_UNORDERED : 0,
	    .snd_assoc_id = a->id,
	};
	struct sctp_prinfo pr = {
	    .pr_policy = SCTP_PR_SCTP_TTL,
	    .pr_value = ep->tp->conf.dead_ms,
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = IPPROTO_SCTP;
	c->cmsg_type = SCTP_SNDINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	if (expires) {
		m.msg_controllen = sizeof(control);
		c = CMSG_NXTHDR(&m, c);
		c->cmsg_level = IPPROTO_SCTP;
		c->cmsg_type = SCTP_PRINFO;
		c->cmsg_len = CMSG_LEN(sizeof(pr));
		memcpy(CMSG_DATA(c), &pr, sizeof(pr));
	}
	return sendmsg(ep->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == -1 ? -1 : 0;
}

/* The pump goes on with it when others had their turn. */
static void
tp_pump_soon(struct tp_slot *slot)
{
	slot->due = true;
	(void)sd_event_source_set_enabled(
	    slot->peer->tp->pump, SD_EVENT_ONESHOT);
}

/* EPOLLOUT only while the kernel has refused something. */
void
tp_watch(struct tp_ep *ep)
{
	struct tp *tp = ep->tp;
	bool want = false;
	unsigned i;

	for (i = 0; i < tp->conf.n_peers; i++)
		want = want || tp->peers[i].slots[ep - tp->eps].blocked;
	if (want == ep->want_out || ep->source == NULL)
		return;
	ep->want_out = want;
	(void)sd_event_source_set_io_events(
	    ep->source, want ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/*
 * Sends what is sealed in slot->out.  Returns false if it has to wait, or if
 * the association is doomed.
 */
static bool
tp_push_out(struct tp_slot *slot)
{
	struct tp_assoc *a = slot->up;

	slot->blocked = false;
	if (tp_transmit(a, slot->out, slot->out_len, slot->out_stream, false) ==
	    -1) {
		if (errno == EAGAIN || errno == ENOBUFS)
			slot->blocked = true;
		else
			tp_broken(a);
		return false;
	}
	if (slot->out_data) {
		slot->stats.tx_msgs++;
		slot->stats.tx_bytes += slot->out_len - SEAL_OVERHEAD;
	}
	slot->out_len = 0;
	return true;
}

static size_t
tp_inflight(const struct tp_slot *slot)
{
	return slot->up == NULL ? 0
				: (size_t)(slot->up->sent - slot->up->credited);
}

/* May this much data leave now?  One message may always be under way. */
static bool
tp_room(const struct tp_slot *slot, size_t len)
{
	if (slot->ep->kind != TP_BULK || tp_inflight(slot) == 0)
		return true;
	return tp_inflight(slot) + len <= slot->ep->tp->conf.window_bytes;
}

/* Seals into slot->out, which is free; dooms the assoc if it cannot. */
static bool
tp_fill_out(
    struct tp_slot *slot, uint16_t stream, const struct iovec *iov, int n)
{
	struct tp_assoc *a = slot->up;

	ASSERT(slot->out_len == 0);
	slot->out_len =
	    seal_data(a->seal, stream, iov, n, slot->out, slot->out_size);
	slot->out_stream = stream;
	slot->out_data = true;
	if (slot->out_len == 0) {
		tp_doom(a, TP_LOCAL, true);
		return false;
	}
	if (slot->ep->kind == TP_BULK)
		a->sent += slot->out_len - SEAL_OVERHEAD;
	return true;
}

/* Moves one queued message into slot->out; false if there is none to send. */
static bool
tp_next_out(struct tp_slot *slot)
{
	struct msgq *q = &slot->urgent;
	struct msgq_head head;
	struct iovec iov[2];

	if (!msgq_front(q, &head, iov)) {
		q = &slot->normal;
		if (!msgq_front(q, &head, iov) || !tp_room(slot, head.len))
			return false;
	}
	if (head.sealed) {
		ASSERT(head.len <= slot->out_size);
		memcpy(slot->out, iov[0].iov_base, iov[0].iov_len);
		memcpy(slot->out + iov[0].iov_len, iov[1].iov_base,
		    iov[1].iov_len);
		slot->out_len = head.len;
		slot->out_stream = head.stream;
		slot->out_data = false;
	} else if (!tp_fill_out(slot, head.stream, iov, 2)) {
		return false;
	}
	msgq_pop(q);
	return true;
}

/* What seal wants to say: on stream 0, before all else. */
void
tp_control(struct tp_assoc *a)
{
	struct tp_slot *slot = a->slot;
	uint8_t buf[SEAL_UNPROVEN_MAX];
	struct iovec iov = {buf, 0};

	for (;;) {
		if ((a->state != TP_CLAIMING && a->state != TP_PROVEN) ||
		    a->broken)
			return;
		iov.iov_len = 0;
		if (a->tls != NULL)
			iov.iov_len = seal_tls_output(a->tls, buf, sizeof(buf));
		if (iov.iov_len == 0)
			iov.iov_len = seal_control(a->seal, buf);
		if (iov.iov_len == 0)
			return;
		if (slot->up == a &&
		    (slot->out_len > 0 || slot->urgent.used > 0)) {
			if (!msgq_push(&slot->urgent, 0, true, &iov, 1))
				tp_doom(a, TP_LOCAL, true);
			continue;
		}
		if (tp_transmit(a, buf, iov.iov_len, 0, false) == 0)
			continue;
		if (slot->up == a && errno == EAGAIN &&
		    msgq_push(&slot->urgent, 0, true, &iov, 1)) {
			tp_flush(slot);
			return;
		}
		tp_broken(a);
		return;
	}
}

/* Sends one turn's worth.  Returns true if it stopped for that alone. */
static bool
tp_send_some(struct tp_slot *slot)
{
	monotime_t end = mt_add_us(loop_now(), TURN_US);
	size_t bytes = 0;
	bool more = false;
	int i;

	for (i = 1; slot->up != NULL && !slot->up->broken && !more; i++) {
		if (slot->out_len == 0) {
			if (!tp_next_out(slot))
				break;
			/* Where ciphers are slow that was a turn's work. */
			more = !mt_before(loop_now(), end);
			if (more)
				break;
		}
		bytes += slot->out_len;
		if (!tp_push_out(slot))
			break;
		tp_control(slot->up);
		more = i == TURN_MESSAGES || bytes >= TURN_BYTES ||
		       !mt_before(loop_now(), end);
	}
	if (slot->up != NULL)
		tp_control(slot->up);
	tp_watch(slot->ep);
	return more &&
	       slot->out_len + slot->urgent.used + slot->normal.used > 0;
}

/*
 * What the kernel refuses stays sealed in slot->out: EPOLLOUT comes back to
 * it.  Bulk is never sent from within a step of its owner, who may have a
 * whole window of it.
 */
void
tp_flush(struct tp_slot *slot)
{
	if (slot->up != NULL &&
	    (slot->ep->kind == TP_BULK || tp_send_some(slot)))
		tp_pump_soon(slot);
}

/* Tells the owner that it may go on, from the loop only. */
static void
tp_tell_writable(struct tp_slot *slot)
{
	struct tp *tp = slot->peer->tp;

	if (!slot->want_writable || slot->up == NULL ||
	    slot->normal.used > slot->normal.size / 2 ||
	    slot->urgent.used > slot->urgent.size / 2)
		return;
	slot->want_writable = false;
	tp->cb->writable(tp->ctx, slot->peer->conf.id, slot->ep->kind);
}

/* The slot whose turn it is to be pumped; NULL: there is none. */
static struct tp_slot *
tp_due(struct tp *tp)
{
	unsigned i, at, n = tp->conf.n_peers * tp->n_eps;
	struct tp_slot *slot;

	for (i = 0; i < n; i++) {
		at = (tp->pump_at + i) % n;
		slot = &tp->peers[at / tp->n_eps].slots[at % tp->n_eps];
		if (!slot->due)
			continue;
		tp->pump_at = at;
		return slot;
	}
	return NULL;
}

/* One slot per turn of the loop, all in turn. */
static int
tp_pump(sd_event_source *source, void *arg)
{
	struct tp *tp = arg;
	struct tp_slot *slot = tp_due(tp);

	if (slot == NULL)
		return 0;
	tp->pump_at++;
	slot->due = tp_send_some(slot);
	tp_tell_writable(slot);
	if (tp->draining && slot->out_len + slot->normal.used == 0)
		tp_wake(tp);
	if (tp_due(tp) != NULL)
		return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

int
tp_pump_new(struct tp *tp)
{
	int r = sd_event_add_defer(tp->event, &tp->pump, tp_pump, tp);

	if (r >= 0)
		r = sd_event_source_set_enabled(tp->pump, SD_EVENT_OFF);
	if (r >= 0)
		return 0;
	errno = -r;
	return -1;
}

/*
 * A heartbeat that is dropped here makes the link look dead there: whoever
 * looks for the reason finds it in the log, once in a while.
 */
static void
tp_hb_trouble(struct tp_slot *slot, const char *what, const char *why)
{
	struct tp *tp = slot->peer->tp;
	monotime_t now = loop_now();
	char text[160];

	if (mt_before(now, slot->trouble_at))
		return;
	slot->trouble_at = mt_add_ms(now, TROUBLE_MS);
	snprintf(text, sizeof(text),
	    "a heartbeat %s node %u on link %u was dropped: %s", what,
	    slot->peer->conf.id, slot->ep->link, why);
	tp->cb->note(tp->ctx, HAD_WARN, "transport", text);
}

static int
tp_send_hb(struct tp_slot *slot, const struct iovec *iov, int n)
{
	struct tp_assoc *a = slot->up;
	size_t len;

	if (slot->out_len > 0) { /* keys wait to be sent, even */
		slot->stats.tx_dropped++;
		tp_hb_trouble(slot, "to", "new keys wait for room");
		errno = EAGAIN;
		return -1;
	}
	len = seal_data(a->seal, 1, iov, n, slot->out, slot->out_size);
	if (len == 0) {
		tp_doom(a, TP_LOCAL, true);
		errno = ENOTCONN;
		return -1;
	}
	if (tp_transmit(a, slot->out, len, 1, true) == -1) {
		slot->stats.tx_dropped++;
		tp_hb_trouble(slot, "to", strerror(errno));
		errno = EAGAIN;
		return -1;
	}
	slot->stats.tx_msgs++;
	slot->stats.tx_bytes += len - SEAL_OVERHEAD;
	tp_control(a);
	return 0;
}

static int
tp_enqueue(
    struct tp_slot *slot, uint16_t stream, const struct iovec *iov, int n)
{
	bool urgent = slot->ep->kind == TP_CTL && stream == STREAM_URGENT;
	struct msgq *q = urgent ? &slot->urgent : &slot->normal;

	if (slot->ep->kind == TP_CTL && slot->out_len == 0 && q->used == 0 &&
	    slot->urgent.used == 0) {
		if (!tp_fill_out(slot, stream, iov, n)) {
			errno = ENOTCONN;
			return -1;
		}
		tp_flush(slot);
		return 0;
	}
	if (!msgq_push(q, stream, false, iov, n)) {
		slot->want_writable = true;
		errno = EAGAIN;
		return -1;
	}
	if (slot->ep->kind == TP_BULK && slot->out_len == 0)
		tp_pump_soon(slot);
	return 0;
}

int
tp_sendv(struct tp *tp, uint8_t peer, enum tp_kind kind, uint8_t link,
    uint16_t stream, const struct iovec *iov, int n)
{
	struct tp_slot *slot = tp_slot(tp, peer, kind, link);
	size_t len = 0;
	int i;

	ASSERT(stream < TP_STREAMS);
	if (slot == NULL || slot->up == NULL || slot->up->state != TP_PROVEN ||
	    slot->up->broken || !seal_ready(slot->up->seal)) {
		errno = ENOTCONN;
		return -1;
	}
	for (i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (len > slot->out_size - SEAL_OVERHEAD) {
		errno = EMSGSIZE;
		return -1;
	}
	if (kind == TP_HB)
		return tp_send_hb(slot, iov, n);
	return tp_enqueue(slot, (uint16_t)(stream + 1), iov, n);
}

int
tp_send(struct tp *tp, uint8_t peer, enum tp_kind kind, uint8_t link,
    uint16_t stream, const void *data, size_t len)
{
	union {
		const void *in;
		void *out;
	} base = {.in = data};
	struct iovec iov = {base.out, len};

	return tp_sendv(tp, peer, kind, link, stream, &iov, 1);
}

size_t
tp_queued(const struct tp *tp, uint8_t peer, enum tp_kind kind)
{
	const struct tp_slot *slot = tp_slot(tp, peer, kind, 0);

	if (slot == NULL || slot->up == NULL)
		return 0;
	return slot->urgent.used + slot->normal.used + slot->out_len;
}

size_t
tp_credit(const struct tp *tp, uint8_t peer)
{
	const struct tp_slot *slot = tp_slot(tp, peer, TP_BULK, 0);
	size_t used;

	if (slot == NULL || slot->up == NULL || slot->up->state != TP_PROVEN)
		return 0;
	used = tp_inflight(slot) + slot->normal.used;
	return used < tp->conf.window_bytes ? tp->conf.window_bytes - used : 0;
}

/* Below: receiving. */

/* The peer learns what was consumed, a quarter of the window at a time. */
static void
tp_say_credit(struct tp_assoc *a)
{
	struct tp_slot *slot = a->slot;
	uint8_t buf[SEAL_CONTROL_MAX];
	struct iovec iov = {buf, 0};

	if (a->consumed - a->said < slot->ep->tp->conf.window_bytes / 4 ||
	    a->state != TP_PROVEN || !seal_ready(a->seal))
		return;
	iov.iov_len = seal_credit(a->seal, a->consumed, buf);
	if (iov.iov_len == 0 || !msgq_push(&slot->urgent, 0, true, &iov, 1)) {
		tp_doom(a, TP_LOCAL, true);
		return;
	}
	a->said = a->consumed;
	tp_flush(slot);
}

static void
tp_got_data(struct tp_assoc *a, uint16_t stream, const struct seal_in *in)
{
	struct tp_slot *slot = a->slot;
	struct tp *tp = slot->peer->tp;

	slot->stats.rx_msgs++;
	slot->stats.rx_bytes += in->len;
	a->consumed += in->len;
	tp->cb->msg(tp->ctx, slot->peer->conf.id, slot->ep->kind,
	    slot->ep->link, (uint16_t)(stream - 1), in->data, in->len);
	if (slot->ep->kind == TP_BULK)
		tp_say_credit(a);
}

static void
tp_got_credit(struct tp_assoc *a, uint64_t credit)
{
	if (a->slot->ep->kind != TP_BULK || credit < a->credited ||
	    credit > a->sent) {
		tp_refuse(a, "credit for what was never sent");
		return;
	}
	/* What it permits is sent at the end of the turn, not for each. */
	a->credited = credit;
}

static void
tp_got_tls(struct tp_assoc *a, const struct seal_in *in)
{
	const char *why;
	int rc;

	if (a->tls == NULL || a->have_session) {
		tp_refuse(a, "a handshake where none belongs");
		return;
	}
	rc = seal_tls_input(a->tls, in->data, in->len, &a->session, &why);
	if (rc == -1) {
		tp_refuse(a, why);
		return;
	}
	if (rc == 1) {
		/* Our greeting goes out before the token. */
		tp_control(a);
		a->have_session = true;
		a->incarnation = a->session.peer_incarnation;
		seal_use(a->seal, &a->session);
	}
	tp_control(a);
}

/* One whole message. */
static void
tp_got(struct tp_assoc *a, uint16_t stream, bool unordered, uint8_t *bytes,
    size_t len)
{
	struct tp_slot *slot = a->slot;
	enum seal_verdict verdict;
	struct seal_in in;

	if (len > (a->told ? HAD_MSG_MAX : SEAL_UNPROVEN_MAX)) {
		tp_refuse(a, "too long a message");
		return;
	}
	verdict = seal_open(a->seal, stream, unordered, bytes, len, &in);
	if (verdict == SEAL_BAD) {
		tp_refuse(a, in.why);
		return;
	}
	tp_control(a);
	if (a->state == TP_CLAIMING && seal_ready(a->seal))
		tp_proven(a);
	if (a->state == TP_PROVEN && a->key_epoch != seal_epoch(a->seal)) {
		a->key_epoch = seal_epoch(a->seal);
		slot->stats.rekeys++;
	}
	switch (verdict) {
	case SEAL_GOT_TLS:
		tp_got_tls(a, &in);
		break;
	case SEAL_GOT_DATA:
		if (a->told && a->state != TP_DOOMED)
			tp_got_data(a, stream, &in);
		break;
	case SEAL_GOT_CREDIT:
		if (a->state == TP_PROVEN)
			tp_got_credit(a, in.credit);
		break;
	case SEAL_DROP:
		slot->stats.rx_bad++;
		tp_hb_trouble(slot, "from", in.why);
		break;
	case SEAL_HANDLED:
	case SEAL_BAD:
		break;
	}
}

/* Keeps a part of a message; false: it gets too long. */
static bool
tp_keep_part(struct tp_assoc *a, const uint8_t *bytes, size_t len)
{
	size_t max = a->told ? HAD_MSG_MAX : SEAL_UNPROVEN_MAX;

	if (a->part_len + len > max)
		return false;
	if (a->part_size < max) {
		uint8_t *bigger = realloc(a->part, max);

		if (bigger == NULL)
			return false;
		a->part = bigger;
		a->part_size = max;
	}
	memcpy(a->part + a->part_len, bytes, len);
	a->part_len += len;
	return true;
}

struct tp_from {
	union tp_addr addr;
	struct sctp_rcvinfo info;
	int flags;
};

/* Bytes of an association, perhaps a part of a message. */
static void
tp_got_bytes(struct tp_ep *ep, const struct tp_from *from, size_t len)
{
	struct tp_assoc *a = tp_find(ep, from->info.rcv_assoc_id);
	struct tp *tp = ep->tp;
	uint8_t *bytes = tp->rx;
	unsigned i;

	if (a == NULL || a->state == TP_DOOMED)
		return;
	if (a->part_len > 0 || (from->flags & MSG_EOR) == 0) {
		if (!tp_keep_part(a, bytes, len)) {
			tp_refuse(a, "too long a message");
			return;
		}
		if ((from->flags & MSG_EOR) == 0)
			return;
		bytes = a->part;
		len = a->part_len;
		a->part_len = 0;
		a->slot->stats.rx_parts++;
	}
	for (i = 0; ep->kind == TP_HB && i < a->slot->peer->conf.n_links; i++)
		if (a->slot->peer->conf.links[i].index == ep->link &&
		    !tp_addr_equal(&a->slot->peer->addrs[i], &from->addr)) {
			a->slot->stats.rx_bad++;
			tp_hb_trouble(
			    a->slot, "from", "it came from another link");
			return;
		}
	tp_got(a, from->info.rcv_sid,
	    (from->info.rcv_flags & SCTP_UNORDERED) != 0, bytes, len);
}

/* Notifications come in parts, too. */
static void
tp_got_note(struct tp_ep *ep, size_t len, bool whole)
{
	size_t room = sizeof(ep->note) - ep->note_len;

	/* An ABORT chunk can make one long; its end does not matter. */
	if (len > room)
		len = room;
	memcpy(ep->note + ep->note_len, ep->tp->rx, len);
	ep->note_len += len;
	if (!whole)
		return;
	len = ep->note_len;
	ep->note_len = 0;
	tp_note(ep, ep->note, len);
}

/* Reads once.  Returns the number of bytes, 0 if there is no more. */
static size_t
tp_read(struct tp_ep *ep)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[256];
	} control;
	struct tp_from from = {.flags = 0};
	struct iovec iov = {ep->tp->rx, TP_RX_MAX};
	struct msghdr m = {
	    .msg_name = &from.addr,
	    .msg_namelen = sizeof(from.addr),
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	ssize_t n;

	n = recvmsg(ep->fd, &m, MSG_DONTWAIT);
	/*
	 * Nothing, although it is readable: a socket that was shut down says
	 * so for ever.
	 */
	if (n == 0 && (m.msg_flags & MSG_NOTIFICATION) == 0)
		tp_reopen(ep);
	if (n <= 0)
		return 0;
	from.flags = m.msg_flags;
	for (c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == IPPROTO_SCTP &&
		    c->cmsg_type == SCTP_RCVINFO)
			memcpy(&from.info, CMSG_DATA(c), sizeof(from.info));
	if ((m.msg_flags & MSG_NOTIFICATION) != 0)
		tp_got_note(ep, (size_t)n, (m.msg_flags & MSG_EOR) != 0);
	else
		tp_got_bytes(ep, &from, (size_t)n);
	return (size_t)n;
}

int
tp_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct tp_ep *ep = arg;
	struct tp *tp = ep->tp;
	monotime_t end = mt_add_us(loop_now(), TURN_US);
	struct tp_slot *slot;
	size_t bytes = 0, n;
	unsigned i;

	(void)source;
	(void)fd;
	(void)events;
	for (i = 0; i < TURN_MESSAGES && bytes < TURN_BYTES; i++) {
		if ((n = tp_read(ep)) == 0)
			break;
		bytes += n;
		tp_reap(tp);
		if (!mt_before(loop_now(), end))
			break;
	}
	for (i = 0; i < tp->conf.n_peers; i++) {
		slot = &tp->peers[i].slots[ep - tp->eps];
		tp_flush(slot);
		tp_tell_writable(slot);
		if (tp->draining)
			tp_wake(tp);
	}
	tp_watch(ep);
	tp_reap(tp);
	return 0;
}
