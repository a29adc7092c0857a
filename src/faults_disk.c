/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks, the export of volumes, and one program per volume that writes all
 * the time, each write with a number: so it is known which copy has what was
 * acknowledged.
 */
#include <errno.h>
#include <string.h>

#include "faults_int.h"

enum { DISK_US = 1000, DRAIN_US = 5000, GAP_US = 250000 };

int
disk_format(struct host *h, bool keep, const char **why)
{
	for (unsigned v = 0; v < h->w->conf->n_volumes; v++) {
		struct copy *c = &h->copies[v];
		struct mmeta_sb sb;
		struct mmeta_new new = {
		    .cluster = mmeta_cluster(h->w->conf->cluster),
		    .name = h->w->conf->volumes[v].name,
		    .node = h->id,
		    .peers = {host_other(h)->id},
		    .tag = h->id,
		    .keep = keep,
		    .volume_id = {(uint8_t)(v + 1)},
		    .current = v + 1,
		};

		memset(c->bytes, 0, sizeof(c->bytes));
		if (mmeta_plan(&c->layout, DEVICE_BYTES, true, 1, why) < 0)
			return -1;
		mmeta_format(&sb, &c->layout, &new);
		for (uint64_t off = 0; off < c->layout.meta_bytes;
		     off += MMETA_PAGE)
			mmeta_format_page(&sb, &c->layout, off,
			    c->bytes + c->layout.meta_off + off);
	}
	return 0;
}

/* a = volume, b = number and command, c = place */
static void
ev_disk(struct world *w, struct ev *e)
{
	struct host *h = e->h;
	struct copy *c = &h->copies[e->a];
	struct ev *m;

	(void)w;
	if (!h->disk_failed) {
		switch ((enum mir_cmd)(e->b >> 32)) {
		case MIR_READ:
			memcpy(e->buf, c->bytes + e->c, e->len);
			break;
		case MIR_WRITE:
			memcpy(c->bytes + e->c, e->buf, e->len);
			break;
		case MIR_TRIM:
		case MIR_ZERO:
			memset(c->bytes + e->c, 0, e->len);
			break;
		case MIR_FLUSH:
			break;
		}
	}
	m = world_mail(h, 0, ND_EV_DISK);
	m->mail->u.disk.vol = (uint16_t)e->a;
	m->mail->u.disk.io = (uint32_t)e->b;
	m->mail->u.disk.error = h->disk_failed ? EIO : 0;
}

void
disk_op(struct host *h, uint16_t vol, const struct mir_io *io)
{
	struct ev *e = world_at(h->w, DISK_US, ev_disk, h);
	uint64_t from =
	    io->area == MIR_META ? h->copies[vol].layout.meta_off : 0;

	ASSERT(from + io->off + io->len <= DEVICE_BYTES);
	e->a = vol;
	e->b = (uint64_t)io->cmd << 32 | io->io;
	e->c = from + io->off;
	e->len = io->len;
	e->buf = io->buf;
}

static void
write_one(struct host *h, uint16_t vol)
{
	struct serve *s = &h->serve[vol];
	struct ev *e;

	if (!s->open || !s->wanted || s->busy || !host_up(h))
		return;
	s->busy = true;
	s->number = ++h->w->numbers;
	s->block = (unsigned)(s->number % BLOCKS);
	s->issued = h->w->now;
	s->cookie = s->number;
	memcpy(s->buf, &s->number, sizeof(s->number));
	e = world_mail(h, 0, ND_EV_REQ);
	e->mail->u.req.vol = vol;
	e->mail->u.req.cookie = s->cookie;
	e->mail->u.req.cmd = MIR_WRITE;
	e->mail->u.req.off = (uint64_t)s->block * WRITE_BYTES;
	e->mail->u.req.len = WRITE_BYTES;
	e->mail->u.req.buf = s->buf;
}

static void
ev_write(struct world *w, struct ev *e)
{
	struct serve *s = &e->h->serve[e->a];

	if (!s->open) {
		s->due = false;
		return;
	}
	world_at(w, GAP_US, ev_write, e->h)->a = e->a;
	write_one(e->h, (uint16_t)e->a);
}

void
disk_write_now(struct host *h)
{
	for (uint16_t v = 0; v < h->w->conf->n_volumes; v++)
		write_one(h, v);
}

/* Two nodes must not acknowledge in turns. */
static void
acknowledged(struct host *h, uint16_t vol)
{
	struct serve *s = &h->serve[vol], *o = &host_other(h)->serve[vol];
	struct world *w = h->w;

	if (s->first_ack == NEVER)
		s->first_ack = w->now;
	s->last_ack = w->now;
	if (o->open && o->last_ack > s->first_ack)
		w->both[vol] = true;
	if (w->acked[vol][s->block] < s->number)
		w->acked[vol][s->block] = s->number;
}

void
disk_reply(struct host *h, uint16_t vol, uint64_t cookie, int error)
{
	struct serve *s = &h->serve[vol];
	struct world *w = h->w;

	ASSERT(s->busy && s->cookie == cookie);
	s->busy = false;
	s->broken = error != 0;
	if (error != 0)
		return;
	acknowledged(h, vol);
	if (w->hit_at == NEVER)
		return;
	for (unsigned i = 0; i < w->conf->n_services; i++) {
		const struct conf_service *cs = &w->conf->services[i];

		for (unsigned k = 0; k < cs->n_steps; k++)
			if (cs->steps[k].type == CONF_STEP_VOLUME &&
			    cs->steps[k].ref == vol &&
			    w->seen[i].held_us < w->now - s->issued)
				w->seen[i].held_us = w->now - s->issued;
	}
}

static void
exported(struct host *h, uint16_t vol, bool on)
{
	struct ev *e = world_mail(h, 0, ND_EV_EXPORTED);

	e->mail->u.exported.vol = vol;
	e->mail->u.exported.on = on;
	e->mail->u.exported.ok = true;
	e->mail->u.exported.text = "";
}

static void
ev_open(struct world *w, struct ev *e)
{
	struct host *h = e->h;
	struct serve *s = &h->serve[e->a];

	if (!host_up(h) || !s->wanted)
		return;
	s->open = true;
	s->broken = false;
	s->first_ack = NEVER;
	s->last_ack = 0;
	if (!s->due)
		world_at(w, 0, ev_write, h)->a = e->a;
	s->due = true;
	exported(h, (uint16_t)e->a, true);
}

/* Once the last answer is given. */
static void
ev_close(struct world *w, struct ev *e)
{
	struct host *h = e->h;
	struct serve *s = &h->serve[e->a];

	if (!host_up(h) || s->wanted)
		return;
	if (s->busy) {
		world_at(w, DRAIN_US, ev_close, h)->a = e->a;
		return;
	}
	s->open = false;
	exported(h, (uint16_t)e->a, false);
}

void
disk_export(struct host *h, uint16_t vol, bool on)
{
	h->serve[vol].wanted = on;
	world_at(h->w, on ? FAULTS_EXPORT_MS * MS : DRAIN_US,
	    on ? ev_open : ev_close, h)
	    ->a = vol;
}

bool
disk_complete(const struct host *h, uint16_t vol)
{
	for (unsigned b = 0; b < BLOCKS; b++) {
		uint64_t number;

		memcpy(&number, h->copies[vol].bytes + b * WRITE_BYTES,
		    sizeof(number));
		if (number < h->w->acked[vol][b])
			return false;
	}
	return true;
}
