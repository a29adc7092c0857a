/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A backing disk: what is written lands in a volatile cache when the write
 * completes; FUA and FLUSH make it stable.  A power cut keeps any subset of
 * the sectors that were not stable, of writes under way too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static uint64_t
place(const struct disk *d, enum mir_area area, uint64_t off)
{
	return area == MIR_META ? d->layout.meta_off + off : off;
}

static void
write_sector(struct disk *d, size_t s, const uint8_t *bytes, bool stable)
{
	memcpy(d->cache + s * SECTOR, bytes, SECTOR);
	d->bad[s] &= (uint8_t)~BAD_READ; /* written anew: remapped */
	if (stable)
		memcpy(d->stable + s * SECTOR, bytes, SECTOR);
	d->dirty[s] = !stable;
}

void
disk_format(struct host *h, bool keep)
{
	struct disk *d = &h->disk;
	struct world *w = h->w;
	struct mmeta_sb sb;
	struct mmeta_new new = {
	    .cluster = mmeta_cluster(w->conf->cluster),
	    .name = "vol",
	    .node = h->id,
	    .peers = {(uint8_t)(3 - h->id)},
	    .keep = keep,
	};
	const char *why;

	if (mmeta_plan(&d->layout, DISK_BYTES, true, 1, &why) < 0) {
		fprintf(stderr, "sim: %s\n", why);
		exit(2);
	}
	/* Garbage of an earlier use. */
	for (size_t i = 0; i < d->layout.data_bytes; i += 8) {
		uint64_t r = rnd(w);

		memcpy(d->stable + i, &r, 8);
	}
	new.tag = rnd(w) | 1;
	if (keep) {
		new.current = rnd(w) | 1;
		for (unsigned i = 0; i < sizeof(new.volume_id); i++)
			new.volume_id[i] = (uint8_t)(rnd(w) >> 24);
	}
	mmeta_format(&sb, &d->layout, &new);
	for (uint64_t off = 0; off < d->layout.meta_bytes; off += MMETA_PAGE)
		mmeta_format_page(
		    &sb, &d->layout, off, d->stable + d->layout.meta_off + off);
	memcpy(d->cache, d->stable, sizeof(d->cache));
}

/* Reads, writes and flushes take effect when they complete. */
static void
apply(struct disk *d, struct disk_op *op)
{
	uint64_t off = place(d, op->area, op->off);
	size_t first = off / SECTOR, n = op->len / SECTOR;
	static const uint8_t zeroes[SECTOR];

	switch (op->cmd) {
	case MIR_READ:
		memcpy(op->buf, d->cache + off, op->len);
		break;
	case MIR_WRITE:
		for (size_t i = 0; i < n; i++)
			write_sector(
			    d, first + i, op->copy + i * SECTOR, op->fua);
		break;
	case MIR_TRIM:
	case MIR_ZERO:
		for (size_t i = 0; i < n; i++)
			write_sector(d, first + i, zeroes, op->fua);
		break;
	case MIR_FLUSH:
		for (size_t i = 0; i < op->n; i++) {
			const uint8_t *p = op->copy + i * (SECTOR + 8);
			uint64_t s;

			memcpy(&s, p, 8);
			if (!d->dirty[s])
				continue;
			memcpy(d->stable + s * SECTOR, p + 8, SECTOR);
			if (memcmp(d->stable + s * SECTOR,
				d->cache + s * SECTOR, SECTOR) == 0)
				d->dirty[s] = 0;
		}
		break;
	}
}

static int
error_of(const struct disk *d, const struct disk_op *op)
{
	uint64_t off = place(d, op->area, op->off);
	uint8_t mask = op->cmd == MIR_READ ? BAD_READ : BAD_WRITE;

	if (d->dead)
		return EIO;
	for (size_t i = 0; i < op->len / SECTOR; i++)
		if (d->bad[off / SECTOR + i] & mask)
			return EIO;
	return 0;
}

static void
op_free(struct disk_op *op)
{
	free(op->copy);
	memset(op, 0, sizeof(*op));
}

static void
ev_disk(struct world *w, struct ev *e)
{
	struct host *h = e->h;
	struct disk_op *op = &h->disk.ops[e->a];
	struct mail *m;

	if (!op->used || op->serial != e->b || h->gen != e->gen)
		return;
	m = mail_new(h, ND_EV_DISK, FROM_DISK);
	m->e.u.disk.vol = 0;
	m->e.u.disk.io = op->io;
	m->e.u.disk.error = error_of(&h->disk, op);
	if (op->cmd == MIR_WRITE && memcmp(op->buf, op->copy, op->len) != 0)
		violation(w, "contract",
		    "%s: a buffer changed while it was being written", h->name);
	if (m->e.u.disk.error == 0)
		apply(&h->disk, op);
	else
		say(w, "%s disk error: command %u area %u at %llu, %u bytes",
		    h->name, op->cmd, op->area, (unsigned long long)op->off,
		    op->len);
	op_free(op);
	deliver(h, m);
}

/* What a flush will make stable: all that completed before it was asked. */
static void
snapshot(struct disk *d, struct disk_op *op)
{
	uint64_t lo = op->area == MIR_META ? d->layout.meta_off : 0;
	uint64_t hi = op->area == MIR_META ? DISK_BYTES : d->layout.data_bytes;
	size_t n = 0;

	for (size_t s = lo / SECTOR; s < hi / SECTOR; s++)
		n += d->dirty[s];
	op->copy = malloc(n * (SECTOR + 8) + 1);
	if (op->copy == NULL)
		exit(2);
	op->n = n;
	n = 0;
	for (uint64_t s = lo / SECTOR; s < hi / SECTOR; s++) {
		if (!d->dirty[s])
			continue;
		memcpy(op->copy + n * (SECTOR + 8), &s, 8);
		memcpy(op->copy + n * (SECTOR + 8) + 8, d->cache + s * SECTOR,
		    SECTOR);
		n++;
	}
}

void
disk_op(struct host *h, const struct mir_io *io)
{
	struct world *w = h->w;
	struct disk *d = &h->disk;
	unsigned i = 0;
	int64_t us;
	struct ev *e;
	struct disk_op *op;
	uint64_t limit =
	    io->area == MIR_META ? d->layout.meta_bytes : d->layout.data_bytes;

	while (i < DISK_OPS && d->ops[i].used)
		i++;
	ASSERT(i < DISK_OPS);
	ASSERT(io->off % SECTOR == 0 && io->len % SECTOR == 0);
	ASSERT(io->off + io->len <= limit);
	op = &d->ops[i];
	*op = (struct disk_op){.io = io->io,
	    .cmd = io->cmd,
	    .area = io->area,
	    .fua = io->fua,
	    .used = true,
	    .off = io->off,
	    .len = io->len,
	    .serial = ++d->serial,
	    .buf = io->buf};
	if (io->cmd == MIR_WRITE) {
		op->copy = malloc(io->len);
		if (op->copy == NULL)
			exit(2);
		memcpy(op->copy, io->buf, io->len);
	} else if (io->cmd == MIR_FLUSH) {
		op->len = 0;
		snapshot(d, op);
	}
	mix(w, (uint64_t)io->cmd << 60 ^ io->off << 8 ^ io->area);
	us = io->cmd == MIR_FLUSH || io->fua ? rnd_in(w, 500, 6000)
					     : rnd_in(w, 50, 1500);
	if (w->now < d->slow_until)
		us += rnd_in(w, 0, d->slow_us);
	e = at(w, w->now + us, ev_disk, h, h->gen);
	e->a = i;
	e->b = op->serial;
}

/* The process died: what it had given to the kernel happens, or does not. */
void
disk_killed(struct host *h)
{
	struct disk *d = &h->disk;

	for (unsigned i = 0; i < DISK_OPS; i++) {
		struct disk_op *op = &d->ops[i];

		if (!op->used)
			continue;
		if (op->cmd != MIR_READ && op->cmd != MIR_FLUSH &&
		    error_of(d, op) == 0 && chance(h->w, 700)) {
			op->fua = false;
			apply(d, op);
		}
		op_free(op);
	}
}

static void
tear(struct host *h, struct disk_op *op)
{
	struct disk *d = &h->disk;
	uint64_t off = place(d, op->area, op->off);
	static const uint8_t zeroes[SECTOR];
	int keep = (int)rnd_in(h->w, 0, 1000);

	for (size_t i = 0; i < op->len / SECTOR; i++)
		if (chance(h->w, keep))
			memcpy(d->stable + off + i * SECTOR,
			    op->cmd == MIR_WRITE ? op->copy + i * SECTOR
						 : zeroes,
			    SECTOR);
}

void
disk_power_cut(struct host *h)
{
	struct disk *d = &h->disk;
	int keep = (int)rnd_in(h->w, 0, 1000);

	for (size_t s = 0; s < SECTORS; s++) {
		if (d->dirty[s] && chance(h->w, keep))
			memcpy(d->stable + s * SECTOR, d->cache + s * SECTOR,
			    SECTOR);
		d->dirty[s] = 0;
	}
	for (unsigned i = 0; i < DISK_OPS; i++) {
		struct disk_op *op = &d->ops[i];

		if (!op->used)
			continue;
		if (op->cmd != MIR_READ && op->cmd != MIR_FLUSH && !d->dead)
			tear(h, op);
		op_free(op);
	}
	memcpy(d->cache, d->stable, sizeof(d->cache));
}

/* A cache empties itself too, in any order. */
void
disk_destage(struct host *h)
{
	struct disk *d = &h->disk;

	for (size_t s = 0; s < SECTORS; s++) {
		if (!d->dirty[s] || !chance(h->w, 300))
			continue;
		memcpy(d->stable + s * SECTOR, d->cache + s * SECTOR, SECTOR);
		d->dirty[s] = 0;
	}
}
