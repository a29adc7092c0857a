/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A backing disk: a block device or a regular file through io_uring.  Opened
 * with O_DIRECT where that is possible.  What is submitted in one iteration of
 * the loop goes to the kernel in one call, 256 KiB of data at most; the rest
 * when others had their turn.
 */
#ifndef MDISK_H
#define MDISK_H

#include <systemd/sd-event.h>

#include "had.h"

enum mdisk_op {
	MDISK_READ,
	MDISK_WRITE,
	MDISK_WRITE_FUA, /* stable when it completes */
	MDISK_FLUSH, /* all writes that have completed are stable */
	MDISK_TRIM, /* reads as zeroes afterwards, space given back */
	MDISK_ZERO, /* reads as zeroes afterwards, stays allocated */
};

struct mdisk_info {
	uint64_t size; /* bytes */
	uint32_t sector; /* smallest unit of any request, 512..4096 */
	bool direct; /* O_DIRECT */
	bool block; /* a block device */
	/*
	 * TRIM costs little.  Where it is false it writes zeroes, because both
	 * copies of a mirror must read the same: do not offer it to clients.
	 */
	bool trim;
};

/* error: 0 or a negative errno. */
typedef void (*mdisk_done)(void *ctx, uint64_t id, int error);
typedef void (*mdisk_closed)(void *ctx);

struct mdisk;

/*
 * ops_max: operations under way at once, all memory is sized by it.  Takes an
 * exclusive lock (flock; O_EXCL on a block device, so that a mounted one is
 * refused).  Blocks briefly: for the start, not for the data path.  NULL:
 * why has the text.  Then errno is EBUSY if somebody else has it; that may be
 * a process that was killed: the kernel ends its io_uring, and closes what
 * that had open, some time after it is gone.
 */
struct mdisk *mdisk_open(sd_event *, const char *path, unsigned ops_max,
    bool read_only, mdisk_done, void *ctx, char *why, size_t why_size);

/*
 * Submits one operation; id comes back with done, from the loop and never
 * from inside this call.  off and len are multiples of the sector and inside
 * the device, else done gets -EINVAL or -ENOSPC.  buf is lent until done; it
 * may have any alignment, aligned to the sector it is not copied.  There is
 * no order between operations under way.  At most ops_max are under way
 * (asserted).
 */
void mdisk_io(struct mdisk *, uint64_t id, enum mdisk_op, uint64_t off,
    uint32_t len, void *buf);

void mdisk_info(const struct mdisk *, struct mdisk_info *);
unsigned mdisk_under_way(const struct mdisk *);

/*
 * Waits on the loop until nothing is under way, then frees d and calls
 * closed, which may be NULL.
 */
void mdisk_close(struct mdisk *, mdisk_closed, void *ctx);

#endif
