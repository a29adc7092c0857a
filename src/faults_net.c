/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Links, associations, and what a kernel answers when its daemon does not.
 */
#include <string.h>

#include "faults_int.h"

enum {
	FLIGHT_US = 200,
	/* A message that was lost is sent again, on another path. */
	AGAIN_US = 60000,
	CHANGED_US = 1000000,
	/* No path for so long: the kernel gives an association up. */
	PATIENCE_US = 4000000,
	/* The transport tries to connect again so often. */
	RETRY_TICKS = 10,
};

static bool
direction_works(const struct world *w, unsigned net)
{
	return !w->silent[net] && !w->dead[net] && w->host[0].carrier[net] &&
	       w->host[1].carrier[net];
}

/* Between the kernels of both nodes. */
bool
net_works(const struct world *w, unsigned link)
{
	return direction_works(w, link) && w->host[0].alive && w->host[1].alive;
}

bool
net_outside(const struct host *h)
{
	const struct faults *f = h->w->f;

	if (!f->any_lan)
		return h->alive;
	for (unsigned n = 0; n < f->n_nets; n++)
		if (f->nets[n].lan && h->carrier[n] && !h->w->dead[n])
			return h->alive;
	return false;
}

static unsigned
links_of(const struct world *w)
{
	return w->conf->nodes[0].n_links;
}

static unsigned
assoc_of(enum nd_kind kind, uint8_t link)
{
	return kind == ND_CTL ? 0 : kind == ND_BULK ? 1 : 2u + link;
}

/* The link that carries it now; -1: none. */
static int
path(const struct world *w, unsigned assoc)
{
	if (assoc >= 2)
		return net_works(w, assoc - 2) ? (int)assoc - 2 : -1;
	for (unsigned l = 0; l < links_of(w); l++)
		if (net_works(w, l))
			return (int)l;
	return -1;
}

static void
fill(struct nd_event *e, unsigned assoc)
{
	e->u.assoc.kind = assoc == 0 ? ND_CTL : assoc == 1 ? ND_BULK : ND_HB;
	e->u.assoc.link = assoc >= 2 ? (uint8_t)(assoc - 2) : 0;
}

void
net_start(struct world *w)
{
	for (unsigned a = 0; a < ASSOCS; a++)
		for (unsigned i = 0; i < HOSTS; i++)
			w->assoc[a][i].bad_since = NEVER;
}

/* Its daemon is told; the kernel has forgotten it. */
static void
lose(struct host *h, unsigned assoc, bool aborted)
{
	struct end *end = &h->w->assoc[assoc][h->idx];
	struct ev *e;

	if (!end->up)
		return;
	end->up = false;
	e = world_mail(h, 0, ND_EV_LOST);
	fill(e->mail, assoc);
	e->mail->u.assoc.aborted = aborted;
}

static void
ev_abort(struct world *w, struct ev *e)
{
	(void)w;
	lose(e->h, (unsigned)e->a, true);
}

void
net_killed(struct host *h)
{
	struct world *w = h->w;

	for (unsigned a = 0; a < ASSOCS; a++) {
		if (!w->assoc[a][h->idx].up)
			continue;
		w->assoc[a][h->idx].up = false;
		if (h->alive && path(w, a) >= 0)
			world_at(w, FLIGHT_US, ev_abort, host_other(h))->a = a;
	}
}

static void
ev_arrive(struct world *w, struct ev *e)
{
	struct host *h = e->h;
	unsigned assoc = (unsigned)e->a;
	struct end *end = &w->assoc[assoc][h->idx];
	struct ev *m;
	int link = path(w, assoc);

	if (!end->up || !host_up(h) || link < 0)
		return;
	/* Its path has failed meanwhile: the other one takes some time. */
	if (assoc < 2 && link != (int)e->b) {
		m = world_at(w, AGAIN_US, ev_arrive, h);
		m->a = e->a;
		m->b = (uint64_t)link;
		if (end->last_at < m->at)
			end->last_at = m->at;
	} else {
		m = world_mail(h, 0, ND_EV_MSG);
		m->mail->u.msg.kind = assoc == 0   ? ND_CTL
				      : assoc == 1 ? ND_BULK
						   : ND_HB;
		m->mail->u.msg.link = assoc >= 2 ? (uint8_t)(assoc - 2) : 0;
	}
	m->data = e->data;
	m->len = e->len;
	e->data = NULL;
}

void
net_send(struct host *h, enum nd_kind kind, uint8_t link,
    const struct nd_buf *bufs, unsigned n)
{
	struct world *w = h->w;
	struct host *to = host_other(h);
	unsigned assoc = assoc_of(kind, link);
	struct end *end = &w->assoc[assoc][to->idx];
	int on = path(w, assoc);
	int64_t us = FLIGHT_US;
	size_t len = 0;
	uint8_t *p;
	struct ev *e;

	if (!w->assoc[assoc][h->idx].up || on < 0 || !host_up(to))
		return;
	if (on > 0 && kind != ND_HB && w->net_changed != 0 &&
	    w->now - w->net_changed < CHANGED_US)
		us += AGAIN_US;
	if (w->now + us <= end->last_at)
		us = end->last_at + 1 - w->now;
	end->last_at = w->now + us;
	for (unsigned i = 0; i < n; i++)
		len += bufs[i].len;
	e = world_at(w, us, ev_arrive, to);
	e->a = assoc;
	e->b = (uint64_t)on;
	p = world_bytes(e, len);
	for (unsigned i = 0; i < n; i++) {
		if (bufs[i].len > 0)
			memcpy(p, bufs[i].data, bufs[i].len);
		p += bufs[i].len;
	}
}

void
net_carrier(struct host *h, unsigned net, bool up)
{
	struct ev *e;

	if (h->carrier[net] == up)
		return;
	h->carrier[net] = up;
	h->w->net_changed = h->w->now;
	e = world_mail(h, MS, ND_EV_VIP);
	e->mail->u.vip.type = VIP_EV_CARRIER;
	e->mail->u.vip.u.carrier.up = up;
	memcpy(e->text, h->w->f->nets[net].ifname[h->idx],
	    sizeof(h->w->f->nets[net].ifname[h->idx]));
}

/* Fresh INITs are refused, ARP and heartbeats of the kernel are answered. */
static void
tick_link(struct host *h, unsigned link)
{
	struct world *w = h->w;
	struct host *o = host_other(h);
	struct ev *e;

	if (host_up(o) || !net_works(w, link))
		return;
	e = world_mail(h, FLIGHT_US, ND_EV_KERNEL_ALIVE);
	fill(e->mail, 2 + link);
	if (o->running || w->assoc[2 + link][h->idx].up)
		return;
	if (w->now / (20 * MS) % RETRY_TICKS != 0)
		return;
	e = world_mail(h, FLIGHT_US, ND_EV_REFUSED);
	fill(e->mail, 2 + link);
}

/* Both daemons are there and can reach each other. */
static void
connect(struct world *w, unsigned assoc)
{
	for (unsigned i = 0; i < HOSTS; i++) {
		struct host *h = &w->host[i];
		struct ev *e;

		lose(h, assoc, false);
		e = world_mail(h, 0, ND_EV_UP);
		w->assoc[assoc][i].up = true;
		fill(e->mail, assoc);
		e->mail->u.assoc.incarnation = host_other(h)->incarnation;
	}
}

void
net_tick(struct world *w)
{
	bool both = host_up(&w->host[0]) && host_up(&w->host[1]);

	for (unsigned a = 0; both && a < 2 + links_of(w); a++)
		if (path(w, a) >= 0 &&
		    (!w->assoc[a][0].up || !w->assoc[a][1].up))
			connect(w, a);
	for (unsigned i = 0; i < HOSTS; i++) {
		struct host *h = &w->host[i];

		if (!host_up(h))
			continue;
		for (unsigned a = 0; a < 2 + links_of(w); a++) {
			struct end *end = &w->assoc[a][i];

			if (path(w, a) >= 0)
				end->bad_since = NEVER;
			else if (end->bad_since == NEVER)
				end->bad_since = w->now;
			else if (w->now - end->bad_since > PATIENCE_US)
				lose(h, a, false);
		}
		for (unsigned l = 0; l < links_of(w); l++)
			tick_link(h, l);
	}
}
