/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The writer of the volume.  It writes through whichever node serves it,
 * every sector marked with its place and a version, and knows what it may
 * read back:
 *
 *  - Of the versions of a sector, those count that no other has superseded.
 *    One supersedes another if it was acknowledged and had been issued after
 *    the other was acknowledged, or after the other's node stopped serving.
 *  - What a read has returned counts as acknowledged: reads never go back.
 *  - A version is flushed if it was acknowledged before a flush was issued
 *    that was acknowledged.  Only a power cut of the last good copy may lose
 *    one that was not, and then all from before it count again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { BLOCK = 4096, UNITS = VIEW_BLOCKS * 8, PER_BLOCK = BLOCK / SECTOR };

/* Some chunks of the volume are written all over, some in a few places. */
static uint64_t
block_off(unsigned b)
{
	return b < 32 ? (uint64_t)b * BLOCK
		      : (uint64_t)(32 + (b - 32) * 6) * BLOCK;
}

static unsigned
unit_of(uint64_t off)
{
	uint64_t b = off / BLOCK;

	if (b >= 32)
		b = 32 + (b - 32) / 6;
	ASSERT(b < VIEW_BLOCKS);
	return (unsigned)(b * PER_BLOCK + off % BLOCK / SECTOR);
}

/* The eight bytes at i of a sector that holds a version. */
static uint64_t
word_of(unsigned i, unsigned unit, uint32_t version)
{
	if (i == 0)
		return UINT64_C(0x5eed5eed) | (uint64_t)unit << 32;
	return version | (uint64_t)(version * 2654435761u + i) << 32;
}

static void
mark(uint8_t *p, unsigned unit, uint32_t version)
{
	for (unsigned i = 0; i < SECTOR; i += 8) {
		uint64_t word = word_of(i, unit, version);

		memcpy(p + i, &word, 8);
	}
}

/* The version in a sector; 0: zeroes; UINT32_MAX: neither. */
static uint32_t
look(const uint8_t *p, unsigned unit)
{
	static const uint8_t zeroes[SECTOR];
	uint32_t version;

	if (memcmp(p, zeroes, SECTOR) == 0)
		return 0;
	memcpy(&version, p + 8, 4);
	for (unsigned i = 0; i < SECTOR; i += 8) {
		uint64_t word = word_of(i, unit, version);

		if (memcmp(p + i, &word, 8) != 0)
			return UINT32_MAX;
	}
	return version;
}

static bool
supersedes(const struct version *y, const struct version *x)
{
	int64_t done = x->acked < x->ended ? x->acked : x->ended;

	return y != x && y->acked != NEVER && done < y->issued;
}

static bool
counts(const struct unit *u, const struct version *x)
{
	for (unsigned i = 0; i < u->n; i++)
		if (supersedes(&u->v[i], x))
			return false;
	return true;
}

/* May a read under way still bring what was there when it was issued? */
static bool
being_read(const struct world *w, const struct unit *u)
{
	for (unsigned i = 0; i < VREQS; i++) {
		const struct vreq *r = &w->req[i];

		if (!r->used || r->cmd != MIR_READ)
			continue;
		for (uint32_t k = 0; k < r->len / SECTOR; k++)
			if (u == &w->units[unit_of(r->off + k * SECTOR)])
				return true;
	}
	return false;
}

/* Had anything been acknowledged when that was asked for? */
static bool
written_before(const struct unit *u, int64_t issued)
{
	for (unsigned i = 0; i < u->n; i++)
		if (u->v[i].acked < issued)
			return true;
	return false;
}

static bool
never_again(const struct unit *u, const struct version *v)
{
	for (unsigned i = 0; i < u->n; i++)
		if (u->v[i].flushed && supersedes(&u->v[i], v))
			return true;
	return false;
}

/* What a flushed version has superseded can never come back. */
static void
prune(const struct world *w, struct unit *u)
{
	uint32_t over = 0;
	unsigned n = 0;

	if (u->n < 2)
		return;
	for (unsigned i = 0; i < u->n; i++)
		if (never_again(u, &u->v[i]))
			over |= 1u << i;
	if (over == 0 || being_read(w, u))
		return;
	for (unsigned i = 0; i < u->n; i++)
		if (!(over >> i & 1))
			u->v[n++] = u->v[i];
	u->n = n;
}

/* Of several that look the same, as zeroes do, the one that counts or did. */
static struct version *
version_in(struct unit *u, uint32_t v)
{
	struct version *found = NULL;

	for (unsigned i = 0; i < u->n; i++)
		if ((v == 0 ? u->v[i].zero : u->v[i].v == v) &&
		    (found == NULL || !counts(u, found)))
			found = &u->v[i];
	return found;
}

static bool
legal(const struct unit *u, uint32_t found)
{
	if (u->n == 0)
		return true; /* never written: garbage of the disk */
	for (unsigned i = 0; i < u->n; i++)
		if ((found == 0 ? u->v[i].zero : u->v[i].v == found) &&
		    counts(u, &u->v[i]))
			return true;
	return false;
}

static bool
virgin(const struct unit *u)
{
	bool acked = false;

	for (unsigned i = 0; i < u->n; i++)
		acked |= u->v[i].acked != NEVER;
	return !acked;
}

bool
vol_holds(const struct world *w, const uint8_t *image)
{
	for (unsigned b = 0; b < VIEW_BLOCKS; b++) {
		for (unsigned s = 0; s < PER_BLOCK; s++) {
			uint64_t off = block_off(b) + s * SECTOR;
			const struct unit *u = &w->units[unit_of(off)];

			if (!virgin(u) &&
			    !legal(u, look(image + off, unit_of(off))))
				return false;
		}
	}
	return true;
}

void
vol_adopt(struct world *w, const uint8_t *image)
{
	for (unsigned b = 0; b < VIEW_BLOCKS; b++) {
		for (unsigned s = 0; s < PER_BLOCK; s++) {
			uint64_t off = block_off(b) + s * SECTOR;
			unsigned n = unit_of(off);
			uint32_t v = look(image + off, n);

			w->units[n].n = 0;
			if (v == UINT32_MAX)
				continue; /* garbage of the disk */
			w->units[n].n = 1;
			w->units[n].v[0] = (struct version){.v = v,
			    .zero = v == 0,
			    .issued = w->sim->now,
			    .acked = w->sim->now,
			    .ended = NEVER};
		}
	}
}

static void
versions_add(struct world *w, struct vreq *r)
{
	for (uint32_t i = 0; i < r->len / SECTOR; i++) {
		unsigned n = unit_of(r->off + i * SECTOR);
		struct unit *u = &w->units[n];

		ASSERT(u->n < VERSIONS);
		u->v[u->n++] = (struct version){.v = r->version,
		    .zero = r->cmd != MIR_WRITE,
		    .issued = r->issued,
		    .acked = NEVER,
		    .ended = NEVER,
		    .session = r->session};
		if (r->cmd == MIR_WRITE)
			mark(r->buf + (size_t)i * SECTOR, n, r->version);
	}
}

static bool
room(const struct world *w, uint64_t off, uint32_t len)
{
	for (uint32_t i = 0; i < len / SECTOR; i++)
		if (w->units[unit_of(off + i * SECTOR)].n >= VERSIONS - 2)
			return false;
	return true;
}

static bool
overlaps(const struct world *w, uint64_t off, uint32_t len)
{
	for (unsigned i = 0; i < VREQS; i++) {
		const struct vreq *r = &w->req[i];

		if (r->used && r->cmd != MIR_FLUSH && r->off < off + len &&
		    off < r->off + r->len)
			return true;
	}
	return false;
}

static void
issue(struct world *w, struct host *h)
{
	struct vreq *r = NULL;
	unsigned b = (unsigned)rnd_in(w, 0, VIEW_BLOCKS - 1), kind;
	struct mail *m;

	for (unsigned i = 0; i < VREQS && r == NULL; i++)
		if (!w->req[i].used)
			r = &w->req[i];
	if (r == NULL)
		return;
	memset(r, 0, sizeof(*r));
	r->off = block_off(b);
	r->len = BLOCK;
	kind = (unsigned)rnd_in(w, 0, 99);
	if (b < 16 && chance(w, 500))
		r->len = (uint32_t)rnd_in(w, 1, 16 - (b % 16)) * BLOCK;
	else if (chance(w, 200))
		r->len = SECTOR * (uint32_t)rnd_in(w, 1, 7);
	r->cmd = kind < 55   ? MIR_WRITE
		 : kind < 60 ? MIR_ZERO
		 : kind < 63 ? MIR_TRIM
		 : kind < 70 ? MIR_FLUSH
			     : MIR_READ;
	r->fua = r->cmd != MIR_READ && r->cmd != MIR_FLUSH && chance(w, 150);
	if (r->cmd == MIR_FLUSH)
		r->off = r->len = 0;
	else if (r->cmd != MIR_READ && !room(w, r->off, r->len))
		return;
	if (overlaps(w, r->off, r->len) && !(w->overlap_ok && chance(w, 300)))
		return;
	r->used = true;
	r->h = h;
	r->gen = h->gen;
	r->session = h->vol.serial;
	r->cookie = ++w->cookie;
	r->version = ++w->version;
	r->issued = w->sim->now;
	r->buf = calloc(1, r->len + 1);
	if (r->buf == NULL)
		exit(2);
	if (r->cmd != MIR_READ && r->cmd != MIR_FLUSH)
		versions_add(w, r);
	h->vol.inflight++;
	m = mail_new(h, ND_EV_REQ, FROM_VOL);
	m->e.u.req.cookie = r->cookie;
	m->e.u.req.cmd = r->cmd;
	m->e.u.req.fua = r->fua;
	m->e.u.req.off = r->off;
	m->e.u.req.len = r->len;
	m->e.u.req.buf = r->len > 0 ? r->buf : NULL;
	deliver(h, m);
}

static void
ev_writer(struct world *w, struct ev *e)
{
	(void)e;
	at(w,
	    w->sim->now +
		(w->vol_gap_us > 0 ? rnd_in(w, 1, 2 * w->vol_gap_us) : 50 * MS),
	    ev_writer, NULL, 0);
	for (unsigned i = 0; i < w->n_hosts && w->vol_gap_us > 0; i++) {
		struct host *h = &w->host[i];

		if (h->running && !h->frozen && h->vol.open && h->vol.wanted)
			issue(w, h);
	}
}

/* Does the other one own the volume by now? */
static bool
overtaken(struct host *h)
{
	struct host *o = other(h);

	return o->running && !o->frozen && o->vol.open &&
	       nd_epoch(o->nd) > nd_epoch(h->nd) &&
	       nd_verdict(o->nd, h->id) == MB_PEER_GONE;
}

/* Two nodes must not acknowledge in turns. */
static void
one_owner(struct world *w, struct host *h)
{
	struct host *o = other(h);

	if (w->active_host != (int)h->idx) {
		if (w->active_host >= 0)
			w->failovers++;
		w->active_host = (int)h->idx;
	}
	/*
	 * It cannot know that it was overtaken, and may still tell what both
	 * copies have had before: see acked_write.
	 */
	if (h->misled)
		return;
	if (h->vol.first_ack == NEVER)
		h->vol.first_ack = w->sim->now;
	h->vol.last_ack = w->sim->now;
	if (overtaken(h))
		violation(w, "I1", "%s acknowledges at epoch %llu what %s owns",
		    h->name, (unsigned long long)nd_epoch(h->nd), o->name);
	if (o->vol.open && o->vol.last_ack > h->vol.first_ack)
		violation(w, "I1", "both nodes acknowledge writes");
}

/*
 * A copy that lacks what was just acknowledged is stale until in sync.  True:
 * the other one lacks this.
 */
static bool
staleness(struct world *w, const struct vreq *r)
{
	struct host *o = other(r->h);
	bool lacks = false;

	for (uint32_t i = 0; i < r->len / SECTOR && !lacks; i++) {
		uint64_t off = r->off + i * SECTOR;
		unsigned n = unit_of(off);

		lacks = !legal(&w->units[n], look(o->disk.cache + off, n));
	}
	if (lacks && !o->stale) {
		o->stale = true;
		detail(w, "%s is behind", o->name);
	}
	return lacks;
}

static void
acked_write(struct world *w, struct vreq *r)
{
	one_owner(w, r->h);
	w->acks++;
	for (uint32_t i = 0; i < r->len / SECTOR; i++) {
		struct unit *u = &w->units[unit_of(r->off + i * SECTOR)];

		for (unsigned k = 0; k < u->n; k++) {
			if (u->v[k].v != r->version)
				continue;
			u->v[k].acked = w->sim->now;
			u->v[k].flushed = r->fua;
		}
		prune(w, u);
	}
	if (staleness(w, r) && r->h->misled && overtaken(r->h))
		violation(w, "I1", "%s stood still, and acknowledges alone",
		    r->h->name);
}

static void
acked_flush(struct world *w, const struct vreq *r)
{
	one_owner(w, r->h);
	for (unsigned i = 0; i < UNITS; i++) {
		for (unsigned k = 0; k < w->units[i].n; k++)
			if (w->units[i].v[k].acked < r->issued)
				w->units[i].v[k].flushed = true;
		prune(w, &w->units[i]);
	}
}

static void
acked_read(struct world *w, const struct vreq *r)
{
	bool stays = false;

	w->reads++;
	/* Of a machine that stood still and does not know it. */
	if (r->h->misled) {
		w->excused++;
		return;
	}
	for (uint32_t i = 0; i < r->len / SECTOR; i++) {
		uint64_t off = r->off + i * SECTOR;
		unsigned n = unit_of(off);
		struct unit *u = &w->units[n];
		uint32_t found = look(r->buf + (size_t)i * SECTOR, n);
		struct version *v = version_in(u, found);

		if (v == NULL && !written_before(u, r->issued))
			continue; /* garbage of the disk */
		if (v != NULL && counts(u, v)) {
			/* Left over by a node that is gone: now it stays. */
			if (v->ended != NEVER && v->acked == NEVER) {
				v->acked = w->sim->now;
				stays = true;
			}
			continue;
		}
		/* It may have been superseded while the read was under way. */
		if (v != NULL) {
			bool old = false;

			for (unsigned k = 0; k < u->n; k++)
				old |= supersedes(&u->v[k], v) &&
				       u->v[k].acked < r->issued;
			if (!old)
				continue;
		}
		for (unsigned k = 0; k < u->n; k++)
			say(w,
			    "  may be version %u%s, issued %lld acked %lld "
			    "ended %lld flushed %d session %u",
			    u->v[k].v, counts(u, &u->v[k]) ? "" : " (old)",
			    (long long)u->v[k].issued, (long long)u->v[k].acked,
			    (long long)u->v[k].ended, u->v[k].flushed,
			    u->v[k].session);
		violation(w, "I2",
		    "%s reads version %u of sector %u (offset %llu), which "
		    "is not what was acknowledged",
		    r->h->name, found, n, (unsigned long long)off);
		return;
	}
	if (stays)
		staleness(w, r);
}

static void
refused(struct world *w, const struct vreq *r, int error)
{
	detail(w, "%s request %u at %llu fails: %s", r->h->name, r->cmd,
	    (unsigned long long)r->off, strerror(error));
	if (r->cmd == MIR_READ || r->cmd == MIR_FLUSH)
		return;
	for (uint32_t i = 0; i < r->len / SECTOR; i++) {
		struct unit *u = &w->units[unit_of(r->off + i * SECTOR)];

		for (unsigned k = 0; k < u->n; k++)
			if (u->v[k].v == r->version)
				u->v[k].ended = w->sim->now;
	}
}

void
vol_reply(struct host *h, uint64_t cookie, int error)
{
	struct world *w = h->w;
	struct vreq *r = NULL;

	for (unsigned i = 0; i < VREQS; i++)
		if (w->req[i].used && w->req[i].cookie == cookie)
			r = &w->req[i];
	mix(w, cookie << 8 | (unsigned)error);
	if (r == NULL || r->h != h) {
		violation(w, "contract", "%s answers request %llu twice",
		    h->name, (unsigned long long)cookie);
		return;
	}
	if (error != 0)
		refused(w, r, error);
	else if (r->cmd == MIR_READ)
		acked_read(w, r);
	else if (r->cmd == MIR_FLUSH)
		acked_flush(w, r);
	else
		acked_write(w, r);
	r->used = false;
	free(r->buf);
	r->buf = NULL;
	ASSERT(h->vol.inflight > 0);
	h->vol.inflight--;
	svc_drained(h);
}

/* Whatever was not answered may or may not have happened. */
void
vol_ended(struct host *h)
{
	struct world *w = h->w;

	for (unsigned i = 0; i < VREQS; i++) {
		struct vreq *r = &w->req[i];

		if (!r->used || r->h != h)
			continue;
		r->used = false;
		free(r->buf);
		r->buf = NULL;
	}
	for (unsigned i = 0; i < UNITS; i++)
		for (unsigned k = 0; k < w->units[i].n; k++)
			if (w->units[i].v[k].session == h->vol.serial &&
			    w->units[i].v[k].acked == NEVER &&
			    w->units[i].v[k].ended == NEVER)
				w->units[i].v[k].ended = w->sim->now;
	h->vol.inflight = 0;
	h->vol.open = h->vol.wanted = false;
	h->vol.first_ack = NEVER;
	h->vol.last_ack = 0;
}

/*
 * strict: the other copy has everything, nothing may be lost.  Otherwise
 * what was not flushed may be, and what was before it may be there again.
 */
void
vol_power_cut(struct host *h, bool strict)
{
	struct world *w = h->w;

	if (strict)
		return;
	for (unsigned i = 0; i < UNITS; i++) {
		struct unit *u = &w->units[i];

		for (unsigned k = 0; k < u->n; k++) {
			struct version *v = &u->v[k];

			if (v->acked == NEVER || v->flushed)
				continue;
			v->acked = NEVER;
			if (v->ended == NEVER)
				v->ended = w->sim->now;
		}
	}
	detail(w, "%s: what was not flushed may be lost", h->name);
}

unsigned
vol_inflight(const struct world *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < VREQS; i++)
		n += w->req[i].used;
	return n;
}

void
vol_init(struct world *w)
{
	w->units = calloc(UNITS, sizeof(*w->units));
	if (w->units == NULL)
		exit(2);
	at(w, w->sim->now, ev_writer, NULL, 0);
}

void
vol_free(struct world *w)
{
	for (unsigned i = 0; i < VREQS; i++)
		free(w->req[i].buf);
	free(w->units);
}
