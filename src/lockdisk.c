/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One piece of I/O at a time, on the disk's own thread: a look (the whole
 * disk, until it holds still) or a write of the own slot.  Nothing else is
 * begun before it has returned, however long that takes, so no write of this
 * daemon can overtake another; the loop answers UNREACHABLE meanwhile.
 */
#include <bsd/string.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lockdisk.h"
#include "lockdisk_slot.h"
#include "lockdisk_vote.h"
#include "log.h"
#include "loop.h"
#include "worker.h"

enum { LOOKS_MAX = 16, PAUSE_US = 2000, PAUSE_MAX_US = 100000 };

struct io {
	bool write;
	/* The thread's between submission and the end. */
	int fd; /* owned, -1 = closed */
	bool direct;
	uint8_t *image, *before; /* owned; LD_BYTES each, aligned */
	struct ld_slot own; /* to be written */
	struct ld_view view; /* what a look saw */
	char why[192];
};

struct lockdisk {
	sd_event *event; /* borrowed */
	struct ld_cb cb;
	void *ctx; /* borrowed */
	char path[HAD_PATH_MAX], cluster[HAD_NAME_MAX];
	uint32_t deadline_ms, probe_ms;
	struct worker *worker; /* owned */
	struct loop_timer *probe, *deadline, *pause; /* owned */
	struct io io;
	bool busy; /* io is under way, for the vote if for_vote */
	bool for_vote;
	monotime_t begun; /* of io */
	uint64_t disk_id; /* seen first; 0 = not yet */
	struct ldv vote;
	bool asking, voting; /* to be answered; the machine is at work */
	uint64_t epoch; /* asked for */
	uint64_t random;
	bool looked; /* up() has been called */
	struct ld_status status;
	bool closing;
};

/* On the thread. */

static int fail(struct io *, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int
fail(struct io *io, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(io->why, sizeof(io->why), fmt, ap);
	va_end(ap);
	return -1;
}

static int
io_open(struct io *io, const char *path)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_DSYNC;
	struct stat st;

	io->fd = open(path, flags | O_DIRECT);
	io->direct = io->fd != -1;
	if (io->fd == -1 && errno == EINVAL)
		io->fd = open(path, flags);
	if (io->fd == -1 || fstat(io->fd, &st) == -1)
		return fail(io, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return fail(io, "neither a file nor a block device");
	/* Through this machine's cache the other's writes are not seen. */
	if (S_ISBLK(st.st_mode) && !io->direct)
		return fail(io, "the device has no direct I/O");
	return 0;
}

static int
io_read(struct io *io, uint8_t *image)
{
	size_t used = 0;
	ssize_t n;

	if (!io->direct)
		(void)posix_fadvise(io->fd, 0, 0, POSIX_FADV_DONTNEED);
	while (used < LD_BYTES) {
		n = pread(io->fd, image + used, LD_BYTES - used, (off_t)used);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return fail(io, "read: %s", strerror(errno));
		if (n == 0 || n % LD_USED != 0)
			return fail(io, "truncated: %zu bytes of %d",
			    used + (size_t)n, LD_BYTES);
		used += (size_t)n;
	}
	return 0;
}

/* The name must still mean what is open: the other node goes by the name. */
static int
io_same(struct io *io, const char *path)
{
	struct stat now, was;

	if (stat(path, &now) == -1 || fstat(io->fd, &was) == -1)
		return fail(io, "%s", strerror(errno));
	if (now.st_dev != was.st_dev || now.st_ino != was.st_ino ||
	    now.st_rdev != was.st_rdev)
		return fail(io, "something else is in its place");
	return 0;
}

/* Until it holds still; see ld_pick(). */
static int
io_look(struct io *io, const char *path, const char *cluster)
{
	uint8_t *swap;
	int r;

	if (io_same(io, path) == -1)
		return -1;
	for (int i = 0; i < LOOKS_MAX; i++) {
		if (io_read(io, io->image) == -1)
			return -1;
		r = ld_view_decode(&io->view, io->image,
		    i == 0 ? NULL : io->before, cluster, io->why,
		    sizeof(io->why));
		if (r <= 0)
			return r;
		swap = io->before;
		io->before = io->image;
		io->image = swap;
	}
	return fail(io, "it changes faster than it can be read");
}

static int
io_write(struct io *io)
{
	size_t at = ld_offset(io->own.node, io->own.seq % 2);
	ssize_t n;

	ld_slot_encode(&io->view.header, &io->own, io->image);
	do
		n = pwrite(io->fd, io->image, LD_BLOCK, (off_t)at);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return fail(io, "write: %s", strerror(errno));
	if (n != LD_BLOCK)
		return fail(io, "write: short");
	return 0;
}

static int
io_run(void *arg)
{
	struct lockdisk *d = arg;
	struct io *io = &d->io;
	int r = 0;

	io->why[0] = '\0';
	if (io->fd == -1 && (io->write || io_open(io, d->path) == -1))
		r = -1;
	else
		r = io->write ? io_write(io) : io_look(io, d->path, d->cluster);
	/* Another device may be there by the next time. */
	if (r == -1 && io->fd != -1) {
		close(io->fd);
		io->fd = -1;
	}
	return r;
}

/* On the loop. */

static void io_done(void *, int);

static void
io_begin(struct lockdisk *d, bool write, bool for_vote)
{
	ASSERT(!d->busy);
	d->busy = true;
	d->for_vote = for_vote;
	d->begun = loop_now();
	d->io.write = write;
	if (write)
		d->io.own = d->vote.own;
	if (worker_submit(d->worker, io_run, io_done, d) == -1)
		fatal("lock disk %s: worker", d->path);
}

static void
set_up(struct lockdisk *d, bool up, const char *text)
{
	bool news = !d->looked || up != d->status.up;

	if (strcmp(d->status.text, text) != 0 && text[0] != '\0')
		log_warnx("lock disk %s: %s", d->path, text);
	strlcpy(d->status.text, text, sizeof(d->status.text));
	d->status.up = up;
	d->looked = true;
	if (news)
		d->cb.up(d->ctx, up, d->status.text);
}

static void
answer(struct lockdisk *d, enum ld_vote vote, const char *text)
{
	ASSERT(d->asking);
	d->asking = d->voting = false;
	loop_timer_at(d->deadline, MT_NEVER);
	loop_timer_at(d->pause, MT_NEVER);
	ldv_stop(&d->vote);
	d->cb.answer(
	    d->ctx, d->epoch, vote, d->vote.holder, d->vote.holder_epoch, text);
}

/* So that two that met do not meet again. */
static void
pause_vote(struct lockdisk *d)
{
	unsigned tries = d->vote.tries < 6 ? d->vote.tries : 6;
	uint64_t range = (uint64_t)PAUSE_US << tries;

	d->random ^= d->random << 13;
	d->random ^= d->random >> 7;
	d->random ^= d->random << 17;
	if (range > PAUSE_MAX_US)
		range = PAUSE_MAX_US;
	loop_timer_at(
	    d->pause, mt_add_us(loop_now(), (int64_t)(1 + d->random % range)));
}

static void
vote_step(struct lockdisk *d, enum ldv_do what)
{
	static const enum ld_vote votes[] = {
	    [LDV_GRANTED] = LD_GRANTED,
	    [LDV_DENIED] = LD_DENIED,
	    [LDV_BROKEN] = LD_UNREACHABLE,
	};

	switch (what) {
	case LDV_READ:
		io_begin(d, false, true);
		break;
	case LDV_WRITE:
		io_begin(d, true, true);
		break;
	case LDV_WAIT:
		pause_vote(d);
		break;
	case LDV_DONE:
		if (d->vote.verdict == LDV_BROKEN)
			set_up(d, false, d->vote.why);
		answer(d, votes[d->vote.verdict],
		    d->vote.why != NULL ? d->vote.why : "");
		break;
	}
}

static void
vote_begin(struct lockdisk *d)
{
	if (!d->asking || d->voting || d->busy)
		return;
	d->voting = true;
	vote_step(d, ldv_ask(&d->vote, d->epoch));
}

/* A look must be one at the disk that was there at the beginning. */
static int
looked(struct lockdisk *d)
{
	const struct ld_view *v = &d->io.view;

	if (d->disk_id == 0)
		d->disk_id = v->header.disk_id;
	if (d->disk_id != v->header.disk_id)
		return fail(&d->io, "another lock disk is in its place");
	d->status.holder = v->holder;
	d->status.holder_epoch = v->holder_epoch;
	set_up(d, true, v->damage);
	return 0;
}

static void
io_done(void *arg, int result)
{
	struct lockdisk *d = arg;
	bool voting = d->for_vote && d->voting;

	d->busy = false;
	if (d->closing)
		return;
	if (result == 0 && !d->io.write)
		result = looked(d);
	if (result != 0) {
		set_up(d, false, d->io.why);
		if (voting)
			answer(d, LD_UNREACHABLE, d->io.why);
	} else if (voting && d->io.write) {
		vote_step(d, ldv_wrote(&d->vote));
	} else if (voting) {
		vote_step(d, ldv_read(&d->vote, d->io.view.slots));
	}
	/* What came while it was busy. */
	vote_begin(d);
}

static void
on_probe(void *arg, monotime_t now)
{
	struct lockdisk *d = arg;
	char text[64];

	loop_timer_at(d->probe, mt_add_ms(now, d->probe_ms));
	if (!d->busy) {
		/* A vote that is waiting looks by itself. */
		if (!d->voting)
			io_begin(d, false, false);
		return;
	}
	if (mt_before(now, mt_add_ms(d->begun, d->deadline_ms)))
		return;
	snprintf(text, sizeof(text), "no answer for %u ms", d->deadline_ms);
	set_up(d, false, text);
}

static void
on_deadline(void *arg, monotime_t now)
{
	struct lockdisk *d = arg;
	char text[64];

	(void)now;
	snprintf(text, sizeof(text), "no answer for %u ms", d->deadline_ms);
	if (d->busy && !mt_before(now, mt_add_ms(d->begun, d->deadline_ms)))
		set_up(d, false, text);
	/* The vote may have come to its end from within. */
	if (d->asking)
		answer(d, LD_UNREACHABLE, text);
}

static void
on_pause(void *arg, monotime_t now)
{
	struct lockdisk *d = arg;

	(void)now;
	if (!d->voting)
		return;
	if (d->busy) {
		loop_timer_at(d->pause, mt_add_us(now, PAUSE_US));
		return;
	}
	vote_step(d, ldv_waited(&d->vote));
}

void
ld_ask(struct lockdisk *d, uint64_t epoch)
{
	ASSERT(epoch > 0);
	if (d->asking && d->epoch == epoch)
		return;
	if (d->voting) {
		ldv_stop(&d->vote);
		loop_timer_at(d->pause, MT_NEVER);
	}
	d->asking = true;
	d->voting = false;
	d->epoch = epoch;
	d->vote.holder = 0;
	d->vote.holder_epoch = 0;
	loop_timer_at(d->deadline, mt_add_ms(loop_now(), d->deadline_ms));
	vote_begin(d);
}

void
ld_status(const struct lockdisk *d, struct ld_status *st)
{
	*st = d->status;
}

struct lockdisk *
ld_new(sd_event *event, const struct ld_conf *conf, const struct ld_cb *cb,
    void *ctx)
{
	struct lockdisk *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	ASSERT(conf->probe_ms > 0 && conf->deadline_ms > 0);
	d->event = event;
	d->cb = *cb;
	d->ctx = ctx;
	strlcpy(d->path, conf->path, sizeof(d->path));
	strlcpy(d->cluster, conf->cluster, sizeof(d->cluster));
	d->deadline_ms = conf->deadline_ms;
	d->probe_ms = conf->probe_ms;
	d->random = conf->incarnation;
	ldv_init(&d->vote, conf->self, conf->incarnation);
	d->io.fd = -1;
	d->io.image = aligned_alloc(LD_BLOCK, LD_BYTES);
	d->io.before = aligned_alloc(LD_BLOCK, LD_BYTES);
	if (d->io.image != NULL && d->io.before != NULL)
		d->worker = worker_new(event);
	if (d->worker == NULL) {
		free(d->io.image);
		free(d->io.before);
		free(d);
		return NULL;
	}
	d->probe = loop_timer_new(event, on_probe, d);
	d->deadline = loop_timer_new(event, on_deadline, d);
	d->pause = loop_timer_new(event, on_pause, d);
	loop_timer_at(d->probe, loop_now());
	return d;
}

void
ld_free(struct lockdisk *d)
{
	if (d == NULL)
		return;
	d->closing = true;
	worker_free(d->worker);
	loop_timer_free(d->probe);
	loop_timer_free(d->deadline);
	loop_timer_free(d->pause);
	if (d->io.fd != -1)
		close(d->io.fd);
	free(d->io.image);
	free(d->io.before);
	free(d);
}
