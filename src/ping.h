/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks a few addresses whether they can be reached (R9): ICMP and ICMPv6 echo
 * requests, one to each every period.
 */
#ifndef PING_H
#define PING_H

#include <systemd/sd-event.h>

#include "had.h"

struct ping_conf {
	const char *addrs[HAD_PINGS_MAX]; /* numeric; lent for ping_new */
	uint8_t n;
	uint32_t period_ms;
	uint32_t dead_ms; /* an answer counts for so long; >= period_ms */
};

struct ping;

/*
 * answered: bit i is set if addrs[i] answered within the last dead_ms.
 * Called first when dead_ms have passed or all have answered, then at each
 * change.
 */
typedef void (*ping_changed)(void *ctx, uint32_t answered);

/* NULL and err: a bad address, no socket. */
struct ping *ping_new(sd_event *, const struct ping_conf *, ping_changed,
    void *ctx, char *err, size_t err_size);
void ping_free(struct ping *);

/* As last called back; 0 before that. */
uint32_t ping_answered(const struct ping *);

#endif
