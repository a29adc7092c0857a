/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * had-witness: listeners, associations, cores and records wired together.
 */
#ifndef WITNESS_SERVE_H
#define WITNESS_SERVE_H

#include "loop.h"
#include "witness_conf.h"

struct evp_pkey_st;
struct serve;

/*
 * Opens everything and says in the log what is wrong.  A cluster whose record
 * cannot be used is refused, the others are served; NULL if none is left.
 * conf is borrowed until serve_free, key until serve_new returns.
 */
struct serve *serve_new(struct loop *, const struct wc *conf,
    struct evp_pkey_st *key, const char *dir);
/* Waits for writes under way. */
void serve_free(struct serve *);

#endif
