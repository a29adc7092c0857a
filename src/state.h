/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The durable record on disk: read once at start, then replaced atomically
 * (temporary file, fsync, rename, fsync of the directory) on the worker.
 */
#ifndef STATE_H
#define STATE_H

#include "had.h"
#include "statefile.h"
#include "worker.h"

/*
 * Reads path.  Returns 1 and *r; 0 if there is no such file (a fresh node);
 * -1 and a message in why that names the file, what is wrong and what to do.
 * Blocks; for the start of the daemon and for hactl only.
 */
MUST_CHECK int state_read(const char *path, const char *cluster, uint8_t node,
    struct sf_record *r, char *why, size_t size);

struct state;
typedef void (*state_done)(void *ctx, uint64_t serial, bool ok);

/* path is copied; w is borrowed until state_free.  NULL and errno. */
struct state *state_new(
    const char *path, struct worker *w, state_done, void *ctx);
/* Call after worker_free: nothing may be under way. */
void state_free(struct state *);
/*
 * Writes a copy of r; done is called on the loop, in order of the calls.
 * A failed write leaves the old record, is logged, and done says false.
 */
void state_write(struct state *, const struct sf_record *r, uint64_t serial);

#endif
