/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: /run/had/ctl.sock, a UNIX stream, mode 0600.  A client
 * sends one JSON object per line, {"op": "status", ...}, and gets one or more
 * JSON objects, a line each, of which the last has "done": true and "code", a
 * sysexits(3) number, with "error" if it is not 0.
 */
#ifndef CTL_H
#define CTL_H

#include <jansson.h>
#include <systemd/sd-event.h>

#include "had.h"

enum {
	CTL_VERSION = 1, /* of the JSON schema; in every answer as "version" */
	CTL_CLIENTS_MAX = 32,
	CTL_REQUEST_MAX = 16 * 1024,
	CTL_QUEUE_MAX = 4 * 1024 * 1024,
};

struct ctl;
struct ctl_cb {
	/*
	 * A request; answer with ctl_send any number of times and ctl_done
	 * once, now or later.  req is borrowed.
	 */
	void (*request)(void *ctx, uint64_t token, const char *op, json_t *req);
	/* The client of token is gone; further answers are dropped. */
	void (*gone)(void *ctx, uint64_t token);
};

/* NULL and errno, e.g. EADDRINUSE when a living daemon answers at path. */
struct ctl *ctl_new(
    sd_event *, const char *path, const struct ctl_cb *, void *ctx);
void ctl_free(struct ctl *);

/* One answer; takes the reference. */
void ctl_send(struct ctl *, uint64_t token, json_t *answer);
/* The last answer: data may be NULL, error is NULL exactly if code is 0. */
void ctl_done(
    struct ctl *, uint64_t token, int code, const char *error, json_t *data);

#endif
