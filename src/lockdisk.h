/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock disk: a small shared device or file that grants leases without a
 * server.  lockdisk_vote.h has the algorithm, lockdisk_slot.h the layout; here
 * is the I/O, on a thread of its own for each disk, so that one that hangs
 * holds up nothing else.
 */
#ifndef LOCKDISK_H
#define LOCKDISK_H

#include <systemd/sd-event.h>

#include "had.h"

enum ld_vote { LD_GRANTED, LD_DENIED, LD_UNREACHABLE };

struct ld_conf {
	const char *path; /* lent for ld_new */
	const char *cluster; /* lent for ld_new */
	uint64_t incarnation; /* of this daemon; not 0 */
	uint8_t self; /* node id */
	uint32_t deadline_ms; /* of one ask, and of a look at the disk */
	uint32_t probe_ms; /* between two looks at the disk */
};

/* texts are borrowed for the call: "" or the reason. */
struct ld_cb {
	/*
	 * To an ld_ask, within deadline_ms, never from within ld_ask.  holder
	 * 0: not known.
	 */
	void (*answer)(void *ctx, uint64_t epoch, enum ld_vote, uint8_t holder,
	    uint64_t holder_epoch, const char *text);
	/* Once after the first look, then when it changes. */
	void (*up)(void *ctx, bool up, const char *text);
};

struct lockdisk;

/* NULL and errno on failure; a disk that is not there is not up. */
struct lockdisk *ld_new(
    sd_event *, const struct ld_conf *, const struct ld_cb *, void *ctx);
/* Waits for I/O that is under way; calls nothing back. */
void ld_free(struct lockdisk *);

/*
 * Asks for the lease of epoch.  One for the epoch that is being asked for
 * joins it and is answered with it, once; one for another epoch takes the
 * place of the older, which is not answered.
 */
void ld_ask(struct lockdisk *, uint64_t epoch);

struct ld_status {
	bool up;
	uint8_t holder; /* of the highest lease seen; 0 = none */
	uint64_t holder_epoch;
	char text[128]; /* why not up, or what is damaged; "" */
};
void ld_status(const struct lockdisk *, struct ld_status *);

/*
 * Makes path (a device, or a file, which may be missing) a lock disk of
 * cluster.  A device or file that holds anything else, or the lock disk of
 * another cluster, is refused unless force; so is an existing lock disk of
 * this cluster, since its leases would be lost.  Returns 0, or -1 and why.
 */
int MUST_CHECK lockdisk_create(const char *path, const char *cluster,
    bool force, char *why, size_t why_size);

#endif
