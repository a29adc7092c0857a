/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <bsd/sys/queue.h>

#include "log.h"
#include "loop.h"
#include "mdisk.h"

enum {
	BOUNCES = 8, /* for buffers that O_DIRECT cannot take */
	BOUNCE_LEN = HAD_IO_MAX,
	ZEROES_LEN = HAD_IO_MAX, /* of a write that replaces write-zeroes */
	/* Per turn of the loop: completions, time for them, bytes. */
	BATCH = 64,
	BATCH_US = 1000,
	SUBMIT_BYTES = 4 * HAD_IO_MAX,
};

struct io {
	STAILQ_ENTRY(io) link; /* in d->free, d->ready */
	uint64_t id;
	uint64_t off;
	uint8_t *buf; /* lent by the caller */
	uint8_t *bounce; /* borrowed from d->bounces; NULL = none */
	uint32_t len, done;
	uint32_t submitted; /* bytes of the part under way */
	enum mdisk_op op;
	bool by_hand; /* zeroes are written, the disk cannot */
	int error; /* found before it was submitted */
};
STAILQ_HEAD(ioq, io);

struct mdisk {
	char *path; /* owned */
	int fd, event_fd; /* owned */
	struct io_uring ring;
	bool ring_open;
	struct mdisk_info info;
	sd_event *event; /* a reference */
	sd_event_source *event_src, *submit_src; /* owned */
	struct io *ios; /* owned, ops_max */
	unsigned ops_max, under_way, in_ring;
	struct ioq free, ready; /* ready: to be submitted */
	uint8_t *memory; /* owned: bounces, then zeroes */
	uint8_t *bounces[BOUNCES];
	unsigned n_bounces; /* free ones, at the front */
	mdisk_done done;
	void *ctx; /* borrowed */
	mdisk_closed closed;
	void *closed_ctx; /* borrowed */
	bool closing;
};

/* The submit source runs once in this turn of the loop, for most of it. */
static void
submit_soon(struct mdisk *d)
{
	sd_event_source_set_enabled(d->submit_src, SD_EVENT_ONESHOT);
}

static bool
is_rw(const struct io *io)
{
	return io->op == MDISK_READ || io->op == MDISK_WRITE ||
	       io->op == MDISK_WRITE_FUA;
}

/* The file offset and the bytes that are left of io. */
static uint64_t
at(const struct io *io)
{
	return io->off + io->done;
}

static bool
needs_bounce(const struct mdisk *d, const struct io *io)
{
	return d->info.direct && is_rw(io) &&
	       (uintptr_t)(io->buf + io->done) % d->info.sector != 0;
}

static void
prepare_rw(struct mdisk *d, struct io *io, struct io_uring_sqe *sqe)
{
	uint8_t *buf = io->buf + io->done;
	uint32_t len = io->len - io->done;

	if (io->bounce != NULL) {
		buf = io->bounce;
		if (len > BOUNCE_LEN)
			len = BOUNCE_LEN;
		if (io->op != MDISK_READ)
			memcpy(buf, io->buf + io->done, len);
	}
	io->submitted = len;
	if (io->op == MDISK_READ)
		io_uring_prep_read(sqe, d->fd, buf, len, at(io));
	else
		io_uring_prep_write(sqe, d->fd, buf, len, at(io));
	if (io->op == MDISK_WRITE_FUA)
		sqe->rw_flags = RWF_DSYNC;
}

static void
prepare_zero(struct mdisk *d, struct io *io, struct io_uring_sqe *sqe)
{
	uint32_t len = io->len - io->done;
	int mode =
	    io->op == MDISK_TRIM ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	if (io->by_hand) {
		io->submitted = len < ZEROES_LEN ? len : ZEROES_LEN;
		io_uring_prep_write(sqe, d->fd,
		    d->memory + BOUNCES * BOUNCE_LEN, io->submitted, at(io));
		return;
	}
	io->submitted = len;
	io_uring_prep_fallocate(
	    sqe, d->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)at(io), (off_t)len);
}

static void
prepare(struct mdisk *d, struct io *io, struct io_uring_sqe *sqe)
{
	switch (io->op) {
	case MDISK_READ:
	case MDISK_WRITE:
	case MDISK_WRITE_FUA:
		prepare_rw(d, io, sqe);
		break;
	case MDISK_FLUSH:
		io->submitted = 0;
		io_uring_prep_fsync(sqe, d->fd, IORING_FSYNC_DATASYNC);
		break;
	case MDISK_TRIM:
	case MDISK_ZERO:
		prepare_zero(d, io, sqe);
		break;
	}
	io_uring_sqe_set_data(sqe, io);
}

static void
disk_free(struct mdisk *d)
{
	sd_event_source_disable_unref(d->event_src);
	sd_event_source_disable_unref(d->submit_src);
	sd_event_unref(d->event);
	if (d->ring_open)
		io_uring_queue_exit(&d->ring);
	if (d->event_fd != -1)
		close(d->event_fd);
	if (d->fd != -1)
		close(d->fd);
	if (d->memory != NULL)
		munmap(d->memory, BOUNCES * BOUNCE_LEN + ZEROES_LEN);
	free(d->ios);
	free(d->path);
	free(d);
}

static void
finish(struct mdisk *d, struct io *io, int error)
{
	uint64_t id = io->id;

	ASSERT(d->under_way > 0);
	if (io->bounce != NULL)
		d->bounces[d->n_bounces++] = io->bounce;
	d->under_way--;
	STAILQ_INSERT_HEAD(&d->free, io, link);
	d->done(d->ctx, id, error);
}

/* Submits what is ready, as far as ring and bounce buffers reach. */
static int
on_submit(sd_event_source *s, void *arg)
{
	struct mdisk *d = arg;
	struct io_uring_sqe *sqe;
	uint32_t bytes = 0;
	struct io *io;
	int r;

	(void)s;
	while (bytes < SUBMIT_BYTES && (io = STAILQ_FIRST(&d->ready)) != NULL) {
		if (io->error != 0) {
			STAILQ_REMOVE_HEAD(&d->ready, link);
			finish(d, io, io->error);
			continue;
		}
		if (needs_bounce(d, io) && io->bounce == NULL) {
			if (d->n_bounces == 0)
				break; /* a completion brings one back */
			io->bounce = d->bounces[--d->n_bounces];
		}
		if ((sqe = io_uring_get_sqe(&d->ring)) == NULL)
			break; /* full: submitted below, then again */
		STAILQ_REMOVE_HEAD(&d->ready, link);
		prepare(d, io, sqe);
		if (is_rw(io) || io->by_hand)
			bytes += io->submitted;
		d->in_ring++;
	}
	r = io_uring_submit(&d->ring);
	/* EAGAIN, EBUSY: the kernel has no room now; completions make some. */
	if (r < 0 && r != -EAGAIN && r != -EBUSY && r != -EINTR)
		fatalx("disk %s: io_uring_submit: %s", d->path, strerror(-r));
	if (io_uring_sq_ready(&d->ring) > 0 ||
	    (!STAILQ_EMPTY(&d->ready) &&
		(d->n_bounces > 0 || bytes >= SUBMIT_BYTES)))
		submit_soon(d);
	if (d->closing && d->under_way == 0) {
		mdisk_closed closed = d->closed;
		void *ctx = d->closed_ctx;

		disk_free(d);
		if (closed != NULL)
			closed(ctx);
	}
	return 0;
}

static bool
is_unsupported(int error)
{
	return error == -EOPNOTSUPP || error == -EINVAL || error == -ENOSYS ||
	       error == -ENOTTY;
}

static void
again(struct mdisk *d, struct io *io)
{
	STAILQ_INSERT_TAIL(&d->ready, io, link);
	submit_soon(d);
}

/* A part of io came back with res: bytes, 0 or a negative errno. */
static void
completed(struct mdisk *d, struct io *io, int res)
{
	if (res == -EAGAIN || res == -EINTR) {
		again(d, io);
		return;
	}
	if ((io->op == MDISK_TRIM || io->op == MDISK_ZERO) && !io->by_hand) {
		if (is_unsupported(res)) {
			io->by_hand = true;
			again(d, io);
			return;
		}
		finish(d, io, res);
		return;
	}
	if (res < 0 || io->op == MDISK_FLUSH) {
		finish(d, io, res);
		return;
	}
	/* Nothing moved though it is inside the device: it has shrunk. */
	if (res == 0) {
		finish(d, io, -EIO);
		return;
	}
	ASSERT((uint32_t)res <= io->submitted);
	if (io->op == MDISK_READ && io->bounce != NULL)
		memcpy(io->buf + io->done, io->bounce, (size_t)res);
	io->done += (uint32_t)res;
	if (io->done < io->len)
		again(d, io);
	else
		finish(d, io, 0);
}

static int
on_event(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct mdisk *d = arg;
	monotime_t end = mt_add_us(loop_now(), BATCH_US);
	struct io_uring_cqe *cqe;
	uint64_t n;
	struct io *io;
	int res;

	(void)s;
	(void)events;
	if (read(fd, &n, sizeof(n)) == -1 && errno != EAGAIN)
		fatal("disk %s: eventfd", d->path);
	for (int i = 0; i < BATCH; i++) {
		if (io_uring_peek_cqe(&d->ring, &cqe) != 0)
			break;
		io = io_uring_cqe_get_data(cqe);
		res = cqe->res;
		io_uring_cqe_seen(&d->ring, cqe);
		ASSERT(d->in_ring > 0);
		d->in_ring--;
		completed(d, io, res);
		if (!mt_before(loop_now(), end))
			break;
	}
	/* More than one turn's worth: come back after the others. */
	if (io_uring_cq_ready(&d->ring) > 0) {
		n = 1;
		if (write(fd, &n, sizeof(n)) == -1)
			fatal("disk %s: eventfd", d->path);
	}
	if (!STAILQ_EMPTY(&d->ready) || d->closing)
		submit_soon(d);
	return 0;
}

void
mdisk_io(struct mdisk *d, uint64_t id, enum mdisk_op op, uint64_t off,
    uint32_t len, void *buf)
{
	struct io *io = STAILQ_FIRST(&d->free);

	ASSERT(io != NULL && !d->closing);
	STAILQ_REMOVE_HEAD(&d->free, link);
	*io =
	    (struct io){.id = id, .op = op, .off = off, .len = len, .buf = buf};
	if (op == MDISK_FLUSH)
		ASSERT(len == 0);
	else if (len == 0 || len % d->info.sector != 0 ||
		 off % d->info.sector != 0)
		io->error = -EINVAL;
	else if (off > d->info.size || len > d->info.size - off)
		io->error = -ENOSPC;
	d->under_way++;
	STAILQ_INSERT_TAIL(&d->ready, io, link);
	submit_soon(d);
}

void
mdisk_info(const struct mdisk *d, struct mdisk_info *info)
{
	*info = d->info;
}

unsigned
mdisk_under_way(const struct mdisk *d)
{
	return d->under_way;
}

void
mdisk_close(struct mdisk *d, mdisk_closed closed, void *ctx)
{
	ASSERT(!d->closing);
	d->closing = true;
	d->closed = closed;
	d->closed_ctx = ctx;
	submit_soon(d);
}

/* Opening. */

/* A number from the queue directory of a block device; 0 if there is none. */
static uint64_t
queue_limit(dev_t dev, const char *name)
{
	char path[128];
	uint64_t v = 0;
	FILE *f;

	/* A partition has no queue of its own; its parent directory has. */
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/queue/%s",
	    major(dev), minor(dev), name);
	if ((f = fopen(path, "re")) == NULL) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../queue/%s",
		    major(dev), minor(dev), name);
		f = fopen(path, "re");
	}
	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu", &v) != 1)
		v = 0;
	fclose(f);
	return v;
}

/* Punching a hole beyond the end changes nothing but tells. */
static bool
can_punch(int fd, uint64_t size)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		   (off_t)((size + 4095) & ~4095ULL), 4096) == 0;
}

/* The disk under a file may want more than 512 bytes for O_DIRECT. */
static bool
takes_512(const struct mdisk *d)
{
	return pread(d->fd, d->memory, 512, 512) >= 0;
}

static int
find_info(struct mdisk *d, bool read_only, char *why, size_t why_size)
{
	struct stat st;
	int sector;

	if (fstat(d->fd, &st) == -1)
		goto fail;
	d->info.block = S_ISBLK(st.st_mode);
	d->info.sector = 512;
	if (S_ISREG(st.st_mode)) {
		d->info.size = (uint64_t)st.st_size;
		if (d->info.direct && !takes_512(d))
			d->info.sector = 4096;
		d->info.trim = !read_only && can_punch(d->fd, d->info.size);
	} else if (d->info.block) {
		if (ioctl(d->fd, BLKGETSIZE64, &d->info.size) == -1 ||
		    ioctl(d->fd, BLKSSZGET, &sector) == -1)
			goto fail;
		d->info.sector = (uint32_t)sector;
		d->info.trim =
		    !read_only &&
		    queue_limit(st.st_rdev, "write_zeroes_max_bytes") > 0 &&
		    queue_limit(st.st_rdev, "discard_max_bytes") > 0;
	} else {
		snprintf(why, why_size,
		    "%s is neither a block device nor a regular file", d->path);
		return -1;
	}
	d->info.size -= d->info.size % d->info.sector;
	return 0;
fail:
	snprintf(why, why_size, "%s: %s", d->path, strerror(errno));
	return -1;
}

static int
open_path(struct mdisk *d, bool read_only, char *why, size_t why_size)
{
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
	struct stat st;

	if (stat(d->path, &st) == -1)
		goto fail;
	/* Keeps away mount, LVM, mdadm: whoever also asks exclusively. */
	if (S_ISBLK(st.st_mode) && !read_only)
		flags |= O_EXCL;
	d->fd = open(d->path, flags | O_DIRECT);
	d->info.direct = d->fd != -1;
	if (d->fd == -1 && errno == EINVAL)
		d->fd = open(d->path, flags);
	if (d->fd == -1)
		goto fail;
	/*
	 * Only the opening must not wait.  io_uring takes the flag as a wish
	 * to be told EAGAIN where it would otherwise wait by itself: for ever
	 * on a device that cannot do without, such as a failed dm target.
	 */
	if ((flags = fcntl(d->fd, F_GETFL)) == -1 ||
	    fcntl(d->fd, F_SETFL, flags & ~O_NONBLOCK) == -1)
		goto fail;
	if (!read_only && flock(d->fd, LOCK_EX | LOCK_NB) == -1) {
		snprintf(why, why_size, "%s: %s", d->path,
		    errno == EWOULDBLOCK ? "in use by another process"
					 : strerror(errno));
		if (errno == EWOULDBLOCK)
			errno = EBUSY;
		return -1;
	}
	return 0;
fail:
	snprintf(why, why_size, "%s: %s", d->path,
	    errno == EBUSY ? "in use: mounted, or part of LVM, RAID or had"
			   : strerror(errno));
	return -1;
}

static int
open_ring(struct mdisk *d, char *why, size_t why_size)
{
	struct io_uring_params p = {
	    .flags = IORING_SETUP_CQSIZE, .cq_entries = d->ops_max};
	unsigned entries = d->ops_max < 256 ? d->ops_max : 256;
	int r;

	/* Room for every completion: none is ever put aside by the kernel. */
	r = io_uring_queue_init_params(entries, &d->ring, &p);
	if (r < 0) {
		snprintf(why, why_size, "io_uring: %s%s", strerror(-r),
		    r == -ENOSYS || r == -EPERM
			? " (the kernel lacks it, or sysctl "
			  "kernel.io_uring_disabled forbids it)"
			: "");
		return -1;
	}
	d->ring_open = true;
	d->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (d->event_fd == -1) {
		snprintf(why, why_size, "eventfd: %s", strerror(errno));
		return -1;
	}
	r = io_uring_register_eventfd(&d->ring, d->event_fd);
	if (r == 0)
		r = sd_event_add_io(
		    d->event, &d->event_src, d->event_fd, EPOLLIN, on_event, d);
	if (r >= 0)
		r = sd_event_add_defer(d->event, &d->submit_src, on_submit, d);
	if (r < 0) {
		snprintf(why, why_size, "io_uring: %s", strerror(-r));
		return -1;
	}
	sd_event_source_set_enabled(d->submit_src, SD_EVENT_OFF);
	return 0;
}

static int
get_memory(struct mdisk *d)
{
	d->memory = mmap(NULL, BOUNCES * BOUNCE_LEN + ZEROES_LEN,
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
	    -1, 0);
	if (d->memory == MAP_FAILED)
		d->memory = NULL;
	d->ios = calloc(d->ops_max, sizeof(*d->ios));
	if (d->memory == NULL || d->ios == NULL)
		return -1;
	for (unsigned i = 0; i < BOUNCES; i++)
		d->bounces[d->n_bounces++] = d->memory + i * BOUNCE_LEN;
	for (unsigned i = 0; i < d->ops_max; i++)
		STAILQ_INSERT_TAIL(&d->free, &d->ios[i], link);
	return 0;
}

struct mdisk *
mdisk_open(sd_event *event, const char *path, unsigned ops_max, bool read_only,
    mdisk_done done, void *ctx, char *why, size_t why_size)
{
	struct mdisk *d = calloc(1, sizeof(*d));

	int error = 0;

	ASSERT(ops_max > 0);
	if (d == NULL || (d->path = strdup(path)) == NULL) {
		free(d);
		snprintf(why, why_size, "%s: out of memory", path);
		return NULL;
	}
	d->fd = d->event_fd = -1;
	d->event = sd_event_ref(event);
	d->ops_max = ops_max;
	d->done = done;
	d->ctx = ctx;
	STAILQ_INIT(&d->free);
	STAILQ_INIT(&d->ready);
	if (get_memory(d) == -1) {
		snprintf(why, why_size, "%s: out of memory", path);
		goto fail;
	}
	if (open_path(d, read_only, why, why_size) == -1 ||
	    find_info(d, read_only, why, why_size) == -1 ||
	    open_ring(d, why, why_size) == -1) {
		error = errno;
		goto fail;
	}
	if (!d->info.direct)
		log_info("disk %s: no O_DIRECT there, going through the "
			 "page cache",
		    path);
	return d;
fail:
	disk_free(d);
	errno = error;
	return NULL;
}
