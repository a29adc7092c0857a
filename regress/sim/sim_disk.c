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
set_bit(uint64_t *map, size_t s, bool on)
{
	if (on)
		map[s / 64] |= UINT64_C(1) << s % 64;
	else
		map[s / 64] &= ~(UINT64_C(1) << s % 64);
}

static bool
get_bit(const uint64_t *map, size_t s)
{
	return map[s / 64] >> s % 64 & 1;
}

/* The first that is set of from..end-1; end if there is none. */
static size_t
next_bit(const uint64_t *map, size_t from, size_t end)
{
	uint64_t word;

	for (; from < end; from = (from | 63) + 1) {
		word = map[from / 64] >> from % 64;
		if (word != 0) {
			from += (size_t)__builtin_ctzll(word);
			break;
		}
	}
	return from < end ? from : end;
}

static void
write_sector(struct disk *d, size_t s, const uint8_t *bytes, bool stable)
{
	memcpy(d->cache + s * SECTOR, bytes, SECTOR);
	d->bad[s] &= (uint8_t)~BAD_READ; /* written anew: remapped */
	if (stable) {
		memcpy(d->stable + s * SECTOR, bytes, SECTOR);
		d->since[s] = d->serial;
	}
	set_bit(d->dirty, s, !stable);
	set_bit(d->touched, s, true);
}

bool
disk_same(struct world *w, uint64_t *where)
{
	struct disk *a = &w->host[0].disk, *b = &w->host[1].disk;
	size_t n = a->layout.data_bytes / SECTOR;
	uint64_t either[SECTORS / 64];

	for (size_t i = 0; i < SECTORS / 64; i++)
		either[i] = a->touched[i] | b->touched[i];
	for (size_t s = next_bit(either, 0, n); s < n;
	     s = next_bit(either, s + 1, n)) {
		*where = s * SECTOR;
		if (memcmp(a->cache + *where, b->cache + *where, SECTOR) != 0)
			return false;
	}
	memset(a->touched, 0, sizeof(a->touched));
	memset(b->touched, 0, sizeof(b->touched));
	return true;
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
	uint64_t garbage = rnd(w);
	const char *why;

	if (mmeta_plan(&d->layout, DISK_BYTES, true, 1, &why) < 0) {
		fprintf(stderr, "sim: %s\n", why);
		exit(2);
	}
	/* Garbage of an earlier use; cheap, since there is much of it. */
	for (size_t i = 0; i < d->layout.data_bytes; i += 8) {
		garbage += UINT64_C(0x9e3779b97f4a7c15);
		memcpy(d->stable + i, &garbage, 8);
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
	memset(d->touched, 0xff, sizeof(d->touched));
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
			/* A late one must not bring back what is older. */
			if (!get_bit(d->dirty, s) || d->since[s] >= op->serial)
				continue;
			memcpy(d->stable + s * SECTOR, p + 8, SECTOR);
			d->since[s] = op->serial;
			if (memcmp(d->stable + s * SECTOR,
				d->cache + s * SECTOR, SECTOR) == 0)
				set_bit(d->dirty, s, false);
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

	if (held(w, e) || !op->used || op->serial != e->b || h->gen != e->gen)
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
	size_t n = 0, end = hi / SECTOR;

	for (size_t s = next_bit(d->dirty, lo / SECTOR, end); s < end;
	     s = next_bit(d->dirty, s + 1, end))
		n++;
	op->copy = malloc(n * (SECTOR + 8) + 1);
	if (op->copy == NULL)
		exit(2);
	op->n = n;
	n = 0;
	for (uint64_t s = next_bit(d->dirty, lo / SECTOR, end); s < end;
	     s = next_bit(d->dirty, s + 1, end)) {
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
	if (w->sim->now < d->slow_until)
		us += rnd_in(w, 0, d->slow_us);
	e = at(w, w->sim->now + us, ev_disk, h, h->gen);
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

	for (size_t i = 0; i < op->len / SECTOR; i++) {
		uint64_t to = off + i * SECTOR;

		if (!chance(h->w, keep))
			continue;
		memcpy(d->stable + to,
		    op->cmd == MIR_WRITE ? op->copy + i * SECTOR : zeroes,
		    SECTOR);
		memcpy(d->cache + to, d->stable + to, SECTOR);
		set_bit(d->touched, to / SECTOR, true);
	}
}

void
disk_power_cut(struct host *h)
{
	struct disk *d = &h->disk;
	int keep = (int)rnd_in(h->w, 0, 1000);

	/* Only where it is dirty does the cache differ. */
	for (size_t s = next_bit(d->dirty, 0, SECTORS); s < SECTORS;
	     s = next_bit(d->dirty, s + 1, SECTORS)) {
		uint8_t *stable = d->stable + s * SECTOR;
		uint8_t *cache = d->cache + s * SECTOR;

		if (chance(h->w, keep)) {
			memcpy(stable, cache, SECTOR);
		} else {
			memcpy(cache, stable, SECTOR);
			set_bit(d->touched, s, true);
		}
		set_bit(d->dirty, s, false);
	}
	for (unsigned i = 0; i < DISK_OPS; i++) {
		struct disk_op *op = &d->ops[i];

		if (!op->used)
			continue;
		if (op->cmd != MIR_READ && op->cmd != MIR_FLUSH && !d->dead)
			tear(h, op);
		op_free(op);
	}
}

/* A cache empties itself too, in any order. */
void
disk_destage(struct host *h)
{
	struct disk *d = &h->disk;

	for (size_t s = next_bit(d->dirty, 0, SECTORS); s < SECTORS;
	     s = next_bit(d->dirty, s + 1, SECTORS)) {
		if (!chance(h->w, 300))
			continue;
		memcpy(d->stable + s * SECTOR, d->cache + s * SECTOR, SECTOR);
		d->since[s] = d->serial;
		set_bit(d->dirty, s, false);
	}
}
