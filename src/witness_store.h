/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The records of had-witness on disk: one file for each cluster,
 * DIR/CLUSTER.lease, replaced atomically (temporary file, fsync, rename, fsync
 * of the directory) on the worker.  One process at a time has the directory.
 */
#ifndef WITNESS_STORE_H
#define WITNESS_STORE_H

#include "had.h"
#include "witness_file.h"
#include "worker.h"

/*
 * Reads a cluster's record.  Returns 1 and *r; 0 if there is none (*r has
 * epoch 0); -1 and a message in why that names the file, what is wrong and
 * what to do.  Blocks; for the start only.
 */
MUST_CHECK int wst_read(const char *dir, const char *cluster,
    struct wf_record *r, char *why, size_t size);

struct wst;
typedef void (*wst_done)(void *ctx, bool durable);

/*
 * Takes the directory, for as long as the process lives: two witnesses on the
 * same records would grant an epoch twice.  dir is copied, w borrowed until
 * wst_free.  NULL with errno and why.
 */
struct wst *wst_new(const char *dir, struct worker *w, char *why, size_t size);
/* Call after worker_free: nothing may be under way. */
void wst_free(struct wst *);

/*
 * Writes a copy of r; done is called on the loop.  A failed write is logged;
 * the file then has the old record or the new one.
 */
void wst_write(struct wst *, const struct wf_record *r, wst_done, void *ctx);

#endif
