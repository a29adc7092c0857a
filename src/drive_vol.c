/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volumes: backing disks, the NBD server and the kernel's device.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drive_int.h"
#include "log.h"

enum {
	CONNECTIONS = 2, /* of the kernel's client */
	CLIENTS_MAX = 8,
	BUFFERS = 160, /* of 64 KiB */
	/* A restarted daemon gets what was in flight so much later. */
	REQUEST_TIMEOUT_S = 5,
	DEAD_TIMEOUT_S = 10, /* nobody serves the device: then errors */
	MAX_SECTORS_KB = 512,
	OPEN_RETRY_MS = 100, /* a disk that somebody else has */
	OPEN_WAIT_MS = 10 * 1000,
};

static void
io_done(void *ctx, uint64_t id, int error)
{
	struct drive_vol *v = ctx;
	struct drive_io *slot = &v->ios[id];
	struct nd_event e = {.type = ND_EV_DISK};

	ASSERT(id < DRIVE_IOS && slot->used);
	if (slot->flush_after && error == 0) {
		slot->flush_after = false;
		mdisk_io(slot->area == MIR_META && v->meta != NULL ? v->meta
								   : v->data,
		    id, MDISK_FLUSH, 0, 0, NULL);
		return;
	}
	slot->used = false;
	e.u.disk.vol = v->id;
	e.u.disk.io = slot->io;
	e.u.disk.error = -error;
	drive_step(v->drive, &e);
}

static enum mdisk_op
disk_op(const struct mir_io *io)
{
	switch (io->cmd) {
	case MIR_READ:
		return MDISK_READ;
	case MIR_WRITE:
		return io->fua ? MDISK_WRITE_FUA : MDISK_WRITE;
	case MIR_FLUSH:
		return MDISK_FLUSH;
	case MIR_TRIM:
		return MDISK_TRIM;
	case MIR_ZERO:
		break;
	}
	return MDISK_ZERO;
}

void
drive_disk(void *ctx, uint16_t vol, const struct mir_io *io)
{
	struct drive *d = ctx;
	struct drive_vol *v = &d->vols[vol];
	uint64_t off = io->off;
	struct mdisk *disk = v->data;
	unsigned slot = 0;

	while (slot < DRIVE_IOS && v->ios[slot].used)
		slot++;
	ASSERT(slot < DRIVE_IOS);
	if (io->area == MIR_META) {
		if (v->meta != NULL)
			disk = v->meta;
		else
			off += v->disk.layout.meta_off;
	}
	v->ios[slot].used = true;
	v->ios[slot].io = io->io;
	v->ios[slot].area = io->area;
	v->ios[slot].flush_after =
	    io->fua && (io->cmd == MIR_TRIM || io->cmd == MIR_ZERO);
	mdisk_io(disk, slot, disk_op(io), io->cmd == MIR_FLUSH ? 0 : off,
	    io->len, io->buf);
}

static void
exported(struct drive_vol *v, bool on, bool ok, const char *text)
{
	struct nd_event e = {.type = ND_EV_EXPORTED};

	e.u.exported.vol = v->id;
	e.u.exported.on = on;
	e.u.exported.ok = ok;
	e.u.exported.text = text;
	drive_step(v->drive, &e);
}

static void
cb_request(void *ctx, uint64_t cookie, enum nbd_cmd cmd, bool fua, uint64_t off,
    uint32_t len, void *buf)
{
	static const enum mir_cmd cmds[] = {
	    [NBD_READ] = MIR_READ,
	    [NBD_WRITE] = MIR_WRITE,
	    [NBD_FLUSH] = MIR_FLUSH,
	    [NBD_TRIM] = MIR_TRIM,
	    [NBD_ZERO] = MIR_ZERO,
	};
	struct drive_vol *v = ctx;
	struct nd_event e = {.type = ND_EV_REQ};

	e.u.req.vol = v->id;
	e.u.req.cookie = cookie;
	e.u.req.cmd = cmds[cmd];
	e.u.req.fua = fua;
	e.u.req.off = off;
	e.u.req.len = len;
	e.u.req.buf = buf;
	drive_step(v->drive, &e);
}

void
drive_vol_reply(void *ctx, uint16_t vol, uint64_t cookie, int error)
{
	struct drive *d = ctx;

	nbd_complete(d->vols[vol].nbd, cookie, error);
}

static void
cb_closed(void *ctx, unsigned tag)
{
	struct drive_vol *v = ctx;

	if (v->kernel != NULL && v->wanted)
		nbdk_lost(v->kernel, tag);
}

static void
cb_stopped(void *ctx)
{
	struct drive_vol *v = ctx;

	nbd_free(v->nbd);
	v->nbd = NULL;
	exported(v, false, v->why[0] == '\0', v->why);
}

static int
cb_serve(void *ctx, int fd, unsigned tag)
{
	struct drive_vol *v = ctx;

	if (v->nbd == NULL) {
		close(fd);
		return -1;
	}
	return nbd_adopt(v->nbd, fd, tag);
}

static void
cb_attached(void *ctx, int index, const char *why)
{
	struct drive_vol *v = ctx;

	if (index >= 0) {
		v->attached = true;
		log_info("volume %s: is /dev/nbd%d",
		    v->drive->conf->volumes[v->id].name, index);
		if (v->wanted)
			exported(v, true, true, NULL);
		else
			nbdk_detach(v->kernel);
		return;
	}
	log_warnx("volume %s: no block device: %s",
	    v->drive->conf->volumes[v->id].name, why);
	v->wanted = false;
	snprintf(v->why, sizeof(v->why), "%s", why);
	nbd_stop(v->nbd, false);
}

static void
cb_detached(void *ctx, int error, const char *why)
{
	struct drive_vol *v = ctx;

	v->attached = false;
	if (error != 0)
		log_warnx("volume %s: detach: %s",
		    v->drive->conf->volumes[v->id].name, why);
	if (v->nbd != NULL)
		nbd_stop(v->nbd, true);
}

static int
serve(struct drive_vol *v)
{
	static const struct nbd_cb cb = {
	    .request = cb_request, .closed = cb_closed, .stopped = cb_stopped};
	struct drive *d = v->drive;
	struct nbd_conf c = {
	    .block_min = v->sector,
	    .trim = v->trim,
	    .clients_max = CLIENTS_MAX,
	    .buffers = BUFFERS,
	};
	struct mir_status *st;

	nd_status(d->nd, drive_now(), d->status);
	st = &d->status->vols[v->id];
	c.size = st->size_bytes;
	if (c.size == 0) {
		errno = ENODEV;
		return -1;
	}
	snprintf(c.name, sizeof(c.name), "%s", d->conf->volumes[v->id].name);
	snprintf(
	    c.path, sizeof(c.path), "%.200s/nbd-%s.sock", d->o.run_dir, c.name);
	/* What the mirror core was told to expect. */
	ASSERT(nbd_pieces_max(&c) <= ND_REQS_MAX);
	v->nbd = nbd_new(d->event, &c, &cb, v);
	return v->nbd != NULL ? 0 : -1;
}

static void
attach(struct drive_vol *v)
{
	struct drive *d = v->drive;
	const char *name = d->conf->volumes[v->id].name;
	struct nbdk_conf c = {
	    .size = d->status->vols[v->id].size_bytes,
	    .block_size = v->sector,
	    .flags = nbd_flags(v->nbd),
	    .connections = CONNECTIONS,
	    .timeout_s = REQUEST_TIMEOUT_S,
	    .dead_timeout_s = DEAD_TIMEOUT_S,
	    .max_sectors_kb = MAX_SECTORS_KB,
	    .index = -1,
	};

	snprintf(c.identifier, sizeof(c.identifier), "had:%s:%s:%s",
	    d->conf->cluster, d->me->name, name);
	snprintf(c.link, sizeof(c.link), "/dev/had/%s", name);
	nbdk_attach(v->kernel, &c);
}

void
drive_vol_export(void *ctx, uint16_t vol, bool on)
{
	struct drive *d = ctx;
	struct drive_vol *v = &d->vols[vol];

	v->wanted = on;
	v->why[0] = '\0';
	if (on && v->nbd != NULL) {
		exported(v, false, false, "the last export is still ending");
	} else if (on) {
		if (serve(v) < 0)
			exported(v, false, false, strerror(errno));
		else if (v->kernel != NULL)
			attach(v);
		else
			exported(v, true, true, NULL);
	} else if (v->nbd == NULL) {
		exported(v, false, true, NULL);
	} else if (v->attached) {
		nbdk_detach(v->kernel);
	} else {
		nbd_stop(v->nbd, true);
	}
}

const char *
drive_vol_device(const struct drive *d, uint16_t vol, char *buf, size_t size)
{
	const struct drive_vol *v = &d->vols[vol];

	if (v->kernel == NULL || !v->attached)
		return NULL;
	snprintf(buf, size, "/dev/nbd%d", nbdk_index(v->kernel));
	return buf;
}

/* False: somebody has it, who may be about to go. */
static bool
open_disk(struct drive *d, struct drive_vol *v)
{
	const struct conf_volume *c = &d->conf->volumes[v->id];
	struct nd_disk *disk = &v->disk;
	struct mdisk_info info;
	const char *bad = NULL;
	char why[sizeof(disk->why)] = "";
	uint64_t meta_size;
	bool busy = false;

	v->sector = 512;
	v->data = mdisk_open(d->event, c->device, DRIVE_IOS, false, io_done, v,
	    why, sizeof(why));
	if (v->data == NULL) {
		busy = errno == EBUSY;
		goto none;
	}
	mdisk_info(v->data, &info);
	v->sector = info.sector;
	v->trim = info.trim;
	meta_size = info.size;
	if (c->meta[0] != '\0') {
		struct mdisk_info mi;

		v->meta = mdisk_open(d->event, c->meta, DRIVE_IOS, false,
		    io_done, v, why, sizeof(why));
		if (v->meta == NULL) {
			busy = errno == EBUSY;
			goto close;
		}
		mdisk_info(v->meta, &mi);
		meta_size = mi.size;
	}
	if (mmeta_plan(&disk->layout, info.size, v->meta == NULL, 1, &bad) <
		0 ||
	    (v->meta != NULL && meta_size < disk->layout.meta_bytes)) {
		snprintf(why, sizeof(why), "%s",
		    bad != NULL ? bad : "the metadata does not fit its device");
		memset(&disk->layout, 0, sizeof(disk->layout));
		goto close;
	}
	disk->why[0] = '\0';
	return true;
close:
	mdisk_close(v->data, NULL, NULL);
	v->data = NULL;
none:
	if (!busy || disk->why[0] == '\0')
		log_warnx("volume %s: %s%s", c->name, why,
		    busy ? "; waiting for it" : "");
	memcpy(disk->why, why, sizeof(disk->why));
	return !busy;
}

/*
 * A daemon that was killed a moment ago may still have the disks: they are
 * waited for, since a node that starts without its disk stays without it.
 */
static void
open_disks(void *ctx, monotime_t now)
{
	struct drive *d = ctx;
	bool all = true;

	for (uint16_t i = 0; i < d->conf->n_volumes; i++) {
		struct drive_vol *v = &d->vols[i];

		if (v->data == NULL && !v->opened)
			v->opened = open_disk(d, v);
		all &= v->opened;
		d->disks[i] = v->disk;
	}
	if (all || !mt_before(now, d->open_until))
		drive_begin(d);
	else
		loop_timer_at(d->open_timer, mt_add_ms(now, OPEN_RETRY_MS));
}

int
drive_vol_new(struct drive *d)
{
	static const struct nbdk_cb kcb = {.serve = cb_serve,
	    .attached = cb_attached,
	    .detached = cb_detached};

	for (uint16_t i = 0; i < d->conf->n_volumes; i++) {
		struct drive_vol *v = &d->vols[i];

		v->drive = d;
		v->id = i;
		v->kernel = nbdk_new(
		    d->event, &kcb, v, v->kernel_why, sizeof(v->kernel_why));
		if (v->kernel == NULL)
			log_warnx("volume %s: served by its socket only: %s",
			    d->conf->volumes[i].name, v->kernel_why);
	}
	d->open_timer = loop_timer_new(d->event, open_disks, d);
	return d->open_timer != NULL ? 0 : -1;
}

static void
wait_for_disks(struct drive *d)
{
	d->open_until = mt_add_ms(drive_now(), OPEN_WAIT_MS);
	loop_timer_at(d->open_timer, drive_now());
}

static void
cleaned(void *ctx, int n)
{
	if (n < 0)
		log_warnx(
		    "volumes: devices of an earlier daemon: %s", strerror(-n));
	else if (n > 0)
		log_info("volumes: %d devices of an earlier daemon removed", n);
	wait_for_disks(ctx);
}

/*
 * What waits for the devices of a dead daemon fails now, so that its file
 * systems can be unmounted, and its disks are let go: before they are opened
 * and the node starts.
 */
void
drive_vol_open(struct drive *d)
{
	char prefix[128];

	if (d->conf->n_volumes == 0 || d->vols[0].kernel == NULL) {
		wait_for_disks(d);
		return;
	}
	snprintf(prefix, sizeof(prefix), "had:%s:%s:", d->conf->cluster,
	    d->me->name);
	nbdk_clean(d->vols[0].kernel, prefix, cleaned, d);
}

void
drive_vol_close(struct drive *d)
{
	loop_timer_free(d->open_timer);
	for (uint16_t i = 0; i < d->conf->n_volumes; i++) {
		struct drive_vol *v = &d->vols[i];

		if (v->kernel != NULL)
			nbdk_free(v->kernel);
		if (v->data != NULL)
			mdisk_close(v->data, NULL, NULL);
		if (v->meta != NULL)
			mdisk_close(v->meta, NULL, NULL);
	}
}
