/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network at the level of messages: what SCTP does with them, and what
 * the kernel of a machine answers when its daemon is not there.
 */
#include <stdlib.h>
#include <string.h>

#include "sim_vr.h"

enum { TICK_US = 20000, QUEUE_MAX = 8 << 20 };

bool
dir_works(const struct world *w, unsigned link, unsigned from)
{
	return !w->link[link].dir[from].cut && w->host[0].powered &&
	       w->host[1].powered && !w->host[0].frozen && !w->host[1].frozen &&
	       w->host[0].carrier[link] && w->host[1].carrier[link];
}

bool
link_works(const struct world *w, unsigned link)
{
	return dir_works(w, link, 0) && dir_works(w, link, 1);
}

bool
any_link_works(const struct world *w)
{
	for (unsigned l = 0; l < LINKS; l++)
		if (link_works(w, l))
			return true;
	return false;
}

/* Both kernels and both daemons have it. */
static bool
is_joined(const struct assoc *a)
{
	return a->end[0].up && a->end[1].up && a->end[0].told &&
	       a->end[1].told && a->end[0].id == a->end[1].id;
}

/*
 * The cut of all links goes on until one has carried more than heartbeats for a
 * lease on end: before, the nodes cannot tell each other who has what.  When
 * ctl ended in the meantime, that is after it was connected again.
 */
static void
note_cut(struct world *w)
{
	bool words = false;

	for (unsigned l = 0; l < LINKS; l++)
		words |= link_works(w, l) && !w->link[l].dir[0].clogged &&
			 !w->link[l].dir[1].clogged;
	words = words && is_joined(&w->assoc[0]);
	if (!words)
		w->words_since = w->sim->now;
	w->cut_off = !any_link_works(w) ||
		     (w->cut_off && w->sim->now - w->words_since <
					(int64_t)w->conf->t.lease_ms * MS);
	if (w->cut_off && !words)
		w->total_cut_at = w->sim->now;
}

/* For statistics and excuses: since when is a link, are all links, unwell? */
static void
links_changed(struct world *w)
{
	for (unsigned l = 0; l < LINKS; l++) {
		bool bad = w->link[l].dir[0].cut || w->link[l].dir[1].cut ||
			   !w->host[0].carrier[l] || !w->host[1].carrier[l];

		if (!bad)
			w->link[l].impaired_since = NEVER;
		else if (w->link[l].impaired_since == NEVER)
			w->link[l].impaired_since = w->sim->now;
	}
	note_cut(w);
	watch_links(w);
}

void
link_set(struct world *w, unsigned link, unsigned from, bool cut)
{
	struct wire_dir *d = &w->link[link].dir[from];

	if (d->cut == cut)
		return;
	say(w, "link %s %s towards %s", w->conf->nodes[0].links[link].name,
	    cut ? "is cut" : "works again", w->host[1 - from].name);
	d->cut = cut;
	d->changed = w->sim->now;
	links_changed(w);
}

void
link_cut(struct world *w, unsigned link)
{
	link_set(w, link, 0, true);
	link_set(w, link, 1, true);
}

void
link_heal(struct world *w, unsigned link)
{
	link_set(w, link, 0, false);
	link_set(w, link, 1, false);
}

void
carrier_set(struct host *h, unsigned link, bool up)
{
	struct world *w = h->w;
	struct mail *m;

	if (h->carrier[link] == up)
		return;
	say(w, "%s carrier on %s: %s", h->name,
	    w->conf->nodes[0].links[link].name, up ? "on" : "off");
	h->carrier[link] = up;
	links_changed(w);
	addr_check(w);
	if (!h->running)
		return;
	m = mail_new(h, ND_EV_VIP, FROM_VIP);
	m->e.u.vip.type = VIP_EV_CARRIER;
	m->e.u.vip.u.carrier.up = up;
	snprintf(m->text, sizeof(m->text), "%s",
	    w->conf->nodes[h->idx].links[link].ifname);
	deliver_in(h, m, rnd_in(w, 200, 3000));
	rt_carrier(h);
}

static bool
path(
    const struct world *w, const struct assoc *a, unsigned from, unsigned *link)
{
	if (a->kind == ND_HB) {
		*link = a->link;
		return dir_works(w, a->link, from);
	}
	for (unsigned l = 0; l < LINKS; l++) {
		*link = l;
		if (dir_works(w, l, from) && !w->link[l].dir[from].clogged)
			return true;
	}
	return false;
}

static bool
path_both(const struct world *w, const struct assoc *a)
{
	if (a->kind == ND_HB)
		return link_works(w, a->link);
	for (unsigned l = 0; l < LINKS; l++)
		if (link_works(w, l))
			return true;
	/* Acknowledgements may take another path than the data. */
	return (dir_works(w, 0, 0) || dir_works(w, 1, 0)) &&
	       (dir_works(w, 0, 1) || dir_works(w, 1, 1));
}

static int64_t
flight(struct world *w, unsigned link, unsigned from)
{
	const struct wire_dir *d = &w->link[link].dir[from];

	return d->delay_us + rnd_in(w, 0, d->jitter_us);
}

static void
queue_clear(struct queue *q)
{
	struct msg *m;

	while ((m = q->head) != NULL) {
		q->head = m->next;
		free(m->data);
		free(m);
	}
	q->tail = &q->head;
	q->bytes = 0;
}

static void
end_clear(struct end *e)
{
	for (unsigned s = 0; s < STREAMS; s++)
		queue_clear(&e->q[s]);
}

static struct mail *
assoc_mail(struct host *h, enum nd_ev type, const struct assoc *a)
{
	struct mail *m = mail_new(h, type, FROM_NET + a->idx);

	m->e.u.assoc.kind = a->kind;
	m->e.u.assoc.link = a->link;
	return m;
}

static const char *
assoc_name(const struct assoc *a)
{
	static const char *const names[] = {
	    "ctl", "bulk", "hb cross", "hb lan"};

	return names[a->idx];
}

/* Side s loses the association; its daemon is told if it knew of it. */
static void
lose(struct world *w, struct assoc *a, unsigned s, const char *how)
{
	struct end *e = &a->end[s];
	struct host *h = &w->host[s];
	struct mail *m;

	if (!e->up)
		return;
	e->up = e->closing = false;
	e->bad_since = NEVER;
	end_clear(e);
	if (!e->told)
		return;
	e->told = false;
	if (a->kind == ND_CTL)
		rt_words_lost(w);
	detail(w, "%s %s is lost: %s", h->name, assoc_name(a), how);
	m = assoc_mail(h, ND_EV_LOST, a);
	m->e.u.assoc.aborted = strcmp(how, "aborted") == 0;
	m->e.u.assoc.restarted = strcmp(how, "restarted") == 0;
	deliver(h, m);
}

static void try_refused(struct world *, struct assoc *, unsigned s);

static void
ev_abort(struct world *w, struct ev *e)
{
	struct assoc *a = &w->assoc[e->a];
	unsigned s = (unsigned)e->b;

	if (!a->end[s].up || a->end[s].id != e->gen)
		return;
	lose(w, a, s, e->c ? "shut down" : "aborted");
	if (!e->c)
		try_refused(w, a, s);
}

/* The kernel of the other side tells side s that there is nothing (more). */
static void
send_abort(struct world *w, struct assoc *a, unsigned s, bool shutdown)
{
	unsigned link;
	struct ev *e;

	if (!a->end[s].up || !path(w, a, 1 - s, &link) ||
	    chance(w, w->link[link].dir[1 - s].loss_permille))
		return;
	e = at(w, w->sim->now + flight(w, link, 1 - s), ev_abort, NULL,
	    a->end[s].id);
	e->a = a->idx;
	e->b = s;
	e->c = shutdown;
}

/* A fresh INIT: refused when the kernel answers for a daemon that is gone. */
static void
ev_refused(struct world *w, struct ev *e)
{
	struct host *h = e->h, *o = other(h);
	struct mail *m;

	if (h->gen != e->gen || !h->running || o->running ||
	    !link_works(w, (unsigned)e->a))
		return;
	m = assoc_mail(h, ND_EV_REFUSED, &w->assoc[2 + e->a]);
	detail(w, "%s connection on link %u refused by the kernel", h->name,
	    (unsigned)e->a);
	deliver(h, m);
}

static void
try_refused(struct world *w, struct assoc *a, unsigned s)
{
	struct host *h = &w->host[s], *o = other(h);
	struct end *e = &a->end[s];
	unsigned l = a->link;

	if (a->kind != ND_HB || !h->running || h->paused || o->running ||
	    !link_works(w, l) || e->up)
		return;
	e->refused_at = w->sim->now + rnd_in(w, 100 * MS, 300 * MS);
	if (chance(w, w->link[l].dir[0].loss_permille) ||
	    chance(w, w->link[l].dir[1].loss_permille))
		return;
	at(w, w->sim->now + flight(w, l, 0) + flight(w, l, 1), ev_refused, h,
	    h->gen)
	    ->a = l;
}

void
net_killed(struct host *h, bool aborts, bool goodbye)
{
	struct world *w = h->w;

	for (unsigned i = 0; i < ASSOCS; i++) {
		struct assoc *a = &w->assoc[i];
		struct end *e = &a->end[h->idx];

		if (!e->up)
			continue;
		e->up = e->told = e->closing = false;
		/* What is queued goes first on a clean end, else it is gone. */
		if (!goodbye)
			end_clear(e);
		if (aborts)
			send_abort(w, a, 1 - h->idx, goodbye);
	}
}

/* The shutdown is complete: both ends hear of it, each in its time. */
static void
ev_shut(struct world *w, struct ev *e)
{
	struct assoc *a = &w->assoc[e->a];

	for (unsigned s = 0; s < HOSTS; s++) {
		if (!a->end[s].up || a->end[s].id != e->gen)
			continue;
		send_abort(w, a, 1 - s, true);
		lose(w, a, s, "shut down");
	}
}

void
net_break(struct world *w, unsigned assoc)
{
	struct assoc *a = &w->assoc[assoc];
	unsigned s = (unsigned)rnd_in(w, 0, HOSTS - 1);

	if (!a->end[s].up)
		return;
	say(w, "%s ends, at %s first", assoc_name(a), w->host[s].name);
	watch_disturbed(w);
	switch (rnd_in(w, 0, 2)) {
	case 0: /* given up by one side */
		send_abort(w, a, 1 - s, false);
		lose(w, a, s, "closed");
		break;
	case 1: /* the kernels gave it up, or a middle box did */
		send_abort(w, a, s, false);
		send_abort(w, a, 1 - s, false);
		break;
	default: /* shut down, which may take its time */
		a->end[s].closing = true;
		at(w, w->sim->now + rnd_in(w, 1, 2 * SEC), ev_shut, NULL,
		    a->end[s].id)
		    ->a = assoc;
		break;
	}
}

static void
arrive_stream(struct world *w, struct assoc *a, unsigned from, unsigned s)
{
	struct end *src = &a->end[from], *dst = &a->end[1 - from];
	struct queue *q = &src->q[s];
	struct host *h = &w->host[1 - from];

	while (q->head != NULL && q->head->arrived && dst->told) {
		struct msg *m = q->head;
		struct mail *mail = mail_bytes(
		    h, ND_EV_MSG, FROM_NET + a->idx, m->data, m->len);

		mail->sent = m->sent;
		q->head = m->next;
		if (q->head == NULL)
			q->tail = &q->head;
		q->bytes -= m->len;
		mail->e.u.msg.kind = a->kind;
		mail->e.u.msg.link = a->link;
		free(m->data);
		free(m);
		deliver(h, mail);
	}
}

static struct msg *
find(struct queue *q, uint64_t serial)
{
	struct msg *m;

	for (m = q->head; m != NULL; m = m->next)
		if (m->serial == serial)
			return m;
	return NULL;
}

static void transmit(
    struct world *, struct assoc *, unsigned, unsigned, struct msg *);

/*
 * A packet comes in, if its link still works: a = association and stream,
 * b = message, c = link, or LINKS for "not sent yet".
 */
static void
ev_packet(struct world *w, struct ev *e)
{
	struct assoc *a = &w->assoc[e->a >> 8];
	unsigned s = e->a & 0xff, from = e->h->idx;
	struct end *src = &a->end[from], *dst = &a->end[1 - from];
	struct msg *m;

	if (src->id != e->gen)
		return;
	m = find(&src->q[s], e->b);
	if (m == NULL || m->arrived)
		return;
	if (e->c == LINKS || !dir_works(w, (unsigned)e->c, from) ||
	    w->link[e->c].dir[from].clogged) {
		transmit(w, a, from, s, m);
		return;
	}
	if (!dst->up || dst->id != src->id) {
		/* Out of the blue. */
		send_abort(w, a, from, false);
		return;
	}
	m->arrived = true;
	arrive_stream(w, a, from, s);
}

static void
transmit(
    struct world *w, struct assoc *a, unsigned from, unsigned s, struct msg *m)
{
	unsigned link = 0;
	bool works = path(w, a, from, &link);
	int64_t us = flight(w, link, from), rto = rnd_in(w, 50 * MS, 200 * MS);
	struct ev *e;

	if (!works || chance(w, w->link[link].dir[from].loss_permille)) {
		works = false;
		us = rto;
	} else if (link > 0 && a->kind != ND_HB &&
		   w->sim->now - w->link[0].dir[from].changed < SEC) {
		us += rnd_in(w, 0, 100 * MS);
	}
	e = at(w, w->sim->now + us, ev_packet, &w->host[from], a->end[from].id);
	e->a = a->idx << 8 | s;
	e->b = m->serial;
	e->c = works ? link : LINKS;
}

/* Heartbeats: unordered, lost for good when they are too old. */
static void
ev_beat(struct world *w, struct ev *e)
{
	struct assoc *a = &w->assoc[e->a];
	unsigned from = e->h->idx, l = a->link;
	struct end *src = &a->end[from], *dst = &a->end[1 - from];
	bool lost = a->mute || !dir_works(w, l, from) ||
		    chance(w, w->link[l].dir[from].loss_permille);
	struct mail *m;
	struct ev *again;

	if (src->id != e->gen || !src->up)
		return;
	if (lost) {
		if (w->sim->now - (int64_t)e->b > w->conf->t.dead_ms * MS)
			return;
		again = at(w, w->sim->now + rnd_in(w, 30 * MS, 60 * MS),
		    ev_beat, e->h, e->gen);
		again->a = e->a;
		again->b = e->b;
		again->data = e->data;
		again->len = e->len;
		e->data = NULL;
		return;
	}
	if (!dst->up || dst->id != src->id) {
		send_abort(w, a, from, false);
		return;
	}
	if (!dst->told)
		return;
	if (chance(w, w->link[l].dir[from].twice_permille)) {
		again = at(w, w->sim->now + rnd_in(w, 1, 80 * MS), ev_beat,
		    e->h, e->gen);
		again->a = e->a;
		again->b = e->b;
		again->data = malloc(e->len);
		if (again->data == NULL)
			exit(2);
		memcpy(again->data, e->data, e->len);
		again->len = e->len;
	}
	m = mail_bytes(
	    &w->host[1 - from], ND_EV_MSG, FROM_NET + a->idx, e->data, e->len);
	m->sent = (int64_t)e->b;
	m->e.u.msg.kind = a->kind;
	m->e.u.msg.link = a->link;
	deliver(&w->host[1 - from], m);
}

static uint8_t *
join(const struct nd_buf *bufs, unsigned n, size_t *len)
{
	uint8_t *p, *q;

	*len = 0;
	for (unsigned i = 0; i < n; i++)
		*len += bufs[i].len;
	ASSERT(*len <= HAD_MSG_MAX - 32);
	p = q = malloc(*len);
	if (p == NULL)
		exit(2);
	for (unsigned i = 0; i < n; i++) {
		if (bufs[i].len > 0)
			memcpy(q, bufs[i].data, bufs[i].len);
		q += bufs[i].len;
	}
	return p;
}

void
net_send(struct host *h, enum nd_kind kind, uint8_t link, uint16_t stream,
    const struct nd_buf *bufs, unsigned n)
{
	struct world *w = h->w;
	struct assoc *a = &w->assoc[kind == ND_CTL    ? 0
				    : kind == ND_BULK ? 1
						      : 2 + link];
	struct end *e = &a->end[h->idx];
	struct queue *q;
	struct msg *m;
	size_t len;
	uint8_t *bytes;

	ASSERT(stream < STREAMS);
	if (!e->told || e->closing)
		return;
	bytes = join(bufs, n, &len);
	mix_bytes(w, bytes, len < 96 ? len : 96);
	if (kind == ND_HB) {
		struct ev *ev = at(w, w->sim->now + flight(w, link, h->idx),
		    ev_beat, h, e->id);

		ev->a = a->idx;
		ev->b = (uint64_t)w->sim->now;
		ev->data = bytes;
		ev->len = len;
		return;
	}
	q = &e->q[stream];
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		exit(2);
	m->data = bytes;
	m->len = len;
	m->serial = ++w->sim->seq;
	m->sent = w->sim->now;
	*q->tail = m;
	q->tail = &m->next;
	q->bytes += len;
	if (q->bytes > QUEUE_MAX)
		violation(w, "bounds", "%s: the queue of %s has no end",
		    h->name, assoc_name(a));
	transmit(w, a, h->idx, stream, m);
}

static void
ev_told(struct world *w, struct ev *e)
{
	struct assoc *a = &w->assoc[e->a];
	struct host *h = e->h;
	struct end *me = &a->end[h->idx];
	struct mail *m;

	if (!me->up || me->told || me->id != e->gen || !h->running)
		return;
	me->told = true;
	m = assoc_mail(h, ND_EV_UP, a);
	m->e.u.assoc.incarnation = e->b;
	detail(w, "%s %s is up", h->name, assoc_name(a));
	deliver(h, m);
	for (unsigned s = 0; s < STREAMS; s++)
		arrive_stream(w, a, 1 - h->idx, s);
}

/* The handshake is done: both ends exist; the daemons hear it in turn. */
static void
ev_connected(struct world *w, struct ev *e)
{
	struct assoc *a = &w->assoc[e->a];
	uint64_t incarnation[HOSTS];

	a->connecting = false;
	for (unsigned s = 0; s < HOSTS; s++) {
		struct host *h = &w->host[s];

		if (!h->running || h->paused || h->gen != (s ? e->c : e->b))
			return;
	}
	if (!path_both(w, a))
		return;
	a->id++;
	for (unsigned s = 0; s < HOSTS; s++) {
		incarnation[s] = status(&w->host[s])->incarnation;
		lose(w, a, s, "restarted");
		end_clear(&a->end[s]);
		a->end[s].up = true;
		a->end[s].told = a->end[s].closing = false;
		a->end[s].id = a->id;
		a->end[s].bad_since = NEVER;
	}
	a->patience_us = rnd_in(w, 3 * SEC, 6 * SEC);
	for (unsigned s = 0; s < HOSTS; s++) {
		int64_t us = rnd_in(w, MS, 15 * MS) +
			     (a->kind == ND_HB ? 0 : rnd_in(w, 0, w->late_us));
		struct ev *t =
		    at(w, w->sim->now + us, ev_told, &w->host[s], a->id);

		t->a = a->idx;
		t->b = incarnation[1 - s];
	}
}

static void
tick_end(struct world *w, struct assoc *a, unsigned s)
{
	struct end *e = &a->end[s], *o = &a->end[1 - s];
	struct host *h = &w->host[s], *oh = other(h);
	bool there = o->up && o->id == e->id;
	bool way = path_both(w, a);

	if (h->frozen) {
		e->bad_since = NEVER;
		return;
	}
	if (e->up && way && oh->powered && !there) {
		/* Its kernel heartbeats meet nothing. */
		send_abort(w, a, s, false);
	} else if (e->up && (!way || !oh->powered)) {
		if (e->bad_since == NEVER)
			e->bad_since = w->sim->now;
		else if (w->sim->now - e->bad_since > a->patience_us)
			lose(w, a, s, "timed out");
	} else {
		e->bad_since = NEVER;
	}
	if (!h->running || h->paused)
		return;
	if (!e->up && w->sim->now >= e->refused_at)
		try_refused(w, a, s);
	if (a->kind == ND_HB && e->told && there && way &&
	    w->sim->now >= e->alive_at) {
		e->alive_at = w->sim->now + w->conf->t.heartbeat_ms * MS;
		deliver(h, assoc_mail(h, ND_EV_KERNEL_ALIVE, a));
	}
}

static void
ev_tick(struct world *w, struct ev *e)
{
	(void)e;
	net_tick(w);
	at(w, w->sim->now + TICK_US, ev_tick, NULL, 0);
}

void
net_tick(struct world *w)
{
	note_cut(w);
	for (unsigned i = 0; i < ASSOCS; i++) {
		struct assoc *a = &w->assoc[i];
		struct ev *e;

		for (unsigned s = 0; s < HOSTS; s++)
			tick_end(w, a, s);
		if (a->connecting || !w->host[0].running ||
		    !w->host[1].running || w->host[0].paused ||
		    w->host[1].paused || !path_both(w, a) ||
		    (a->end[0].up && a->end[1].up &&
			a->end[0].id == a->end[1].id))
			continue;
		if (!chance(w, 300))
			continue;
		a->connecting = true;
		e = at(w, w->sim->now + rnd_in(w, 5 * MS, 60 * MS),
		    ev_connected, NULL, 0);
		e->a = i;
		e->b = w->host[0].gen;
		e->c = w->host[1].gen;
	}
}

void
net_init(struct world *w)
{
	for (unsigned i = 0; i < ASSOCS; i++) {
		struct assoc *a = &w->assoc[i];

		a->idx = i;
		a->kind = i == 0 ? ND_CTL : i == 1 ? ND_BULK : ND_HB;
		a->link = i < 2 ? 0 : (uint8_t)(i - 2);
		for (unsigned s = 0; s < HOSTS; s++) {
			a->end[s].bad_since = NEVER;
			for (unsigned q = 0; q < STREAMS; q++)
				a->end[s].q[q].tail = &a->end[s].q[q].head;
		}
	}
	for (unsigned l = 0; l < LINKS; l++) {
		w->link[l].impaired_since = NEVER;
		w->link[l].whole_at = w->sim->now;
		for (unsigned d = 0; d < HOSTS; d++) {
			w->link[l].dir[d].delay_us = 200;
			w->link[l].dir[d].jitter_us = 100;
		}
	}
	if (w->n_hosts > 1)
		at(w, w->sim->now, ev_tick, NULL, 0);
}

void
net_free(struct world *w)
{
	for (unsigned i = 0; i < ASSOCS; i++)
		for (unsigned s = 0; s < HOSTS; s++)
			end_clear(&w->assoc[i].end[s]);
}
