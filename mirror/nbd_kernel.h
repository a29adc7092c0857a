/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's NBD client: gives /dev/nbdN sockets of this process over
 * generic netlink, so that a volume appears as a block device.  All calls
 * that can wait run on a thread of its own; results come back on the loop.
 */
#ifndef NBD_KERNEL_H
#define NBD_KERNEL_H

#include <systemd/sd-event.h>

#include "had.h"

enum { NBDK_CONNECTIONS_MAX = 16 };

struct nbdk_conf {
	/* "had:CLUSTER:NODE:VOLUME"; unique on the machine. */
	char identifier[128];
	char link[HAD_PATH_MAX]; /* symbolic link to the device, "" = none */
	uint64_t size;
	uint32_t block_size; /* logical block, 512..4096 */
	uint16_t flags; /* transmission flags, nbd_flags() */
	unsigned connections; /* 1..NBDK_CONNECTIONS_MAX */
	/*
	 * A request that stays unanswered that long goes out again on another
	 * connection; after a daemon's death it is the longest stall.
	 */
	unsigned timeout_s;
	unsigned dead_timeout_s; /* no connection at all: then I/O errors */
	unsigned max_sectors_kb; /* largest request; 0 = the kernel's default */
	int index; /* N of /dev/nbdN; -1 = the first free one */
};

struct nbdk_cb {
	/*
	 * Serve this socket (nbd_adopt); fd is the callee's.  tag is the
	 * number of the connection: give it to nbd_adopt and, when the
	 * connection ends, to nbdk_lost.  Returns 0, or -1 if it cannot now:
	 * fd is closed then.
	 */
	int (*serve)(void *ctx, int fd, unsigned tag);
	/* Attached as /dev/nbd<index>, or index < 0 and why says it. */
	void (*attached)(void *ctx, int index, const char *why);
	/* Detached; error 0 or a negative errno and why. */
	void (*detached)(void *ctx, int error, const char *why);
};

struct nbdk;

/*
 * Opens the netlink socket in the initial network namespace, where alone the
 * nbd family exists.  NULL: why says what is missing and how to get it.
 */
struct nbdk *nbdk_new(
    sd_event *, const struct nbdk_cb *, void *ctx, char *why, size_t why_size);
/* Waits for a job under way; does not detach, the device keeps waiting. */
void nbdk_free(struct nbdk *);

/*
 * Starts attaching; serve() is called for each connection first.  If a device
 * carries the identifier already (the daemon died), its connections are
 * replaced and its I/O goes on; else a new one is made.  attached() follows.
 */
void nbdk_attach(struct nbdk *, const struct nbdk_conf *);
/* A connection that serve() took has ended: it is replaced if attached. */
void nbdk_lost(struct nbdk *, unsigned tag);
/*
 * Starts detaching; I/O under way fails.  Valid whenever nbdk_index() >= 0.
 * detached() follows.
 */
void nbdk_detach(struct nbdk *);
/* N of /dev/nbdN, -1 if not attached. */
int nbdk_index(const struct nbdk *);

/*
 * Left over by a dead daemon: disconnects every device whose identifier
 * begins with prefix ("had:CLUSTER:NODE:") and calls done with their number,
 * or a negative errno.  I/O waiting on them fails, which lets their file
 * systems be unmounted.  Only while nothing is attached.
 */
typedef void (*nbdk_cleaned)(void *ctx, int n);
void nbdk_clean(struct nbdk *, const char *prefix, nbdk_cleaned, void *ctx);

/* Index of the device with that identifier, -1 if none; reads sysfs. */
int nbdk_find(const char *identifier);

#endif
