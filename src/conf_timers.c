/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The chain heartbeat < lease < dead <= takeover.  The file gives heartbeat
 * and dead; the rest follows, so that nobody can set a chain under which two
 * nodes answer for one address.
 */
#include <stdio.h>
#include <string.h>

#include "conf_int.h"

/* lease * 1.02 + margin, rounded up: the other machine's clock may be slow. */
uint32_t
conf_lease_over(uint32_t lease_ms)
{
	return (uint32_t)(((uint64_t)lease_ms * 102 + 99) / 100) +
	       CONF_MARGIN_MS;
}

/* A lease that one lost heartbeat does not end is two heartbeats long. */
uint32_t
conf_dead_min(uint32_t heartbeat_ms)
{
	return conf_lease_over(2 * heartbeat_ms);
}

/*
 * The lease lies in the middle between heartbeat and dead: as long as it can
 * be (a stalled machine keeps its addresses) and leave the peer time.
 */
bool
conf_timers_derive(struct conf_timers *t)
{
	uint32_t lease;

	lease = (uint32_t)(((uint64_t)t->heartbeat_ms + t->dead_ms) / 2);
	if (lease < 2 * t->heartbeat_ms)
		lease = 2 * t->heartbeat_ms;
	while (
	    lease > 2 * t->heartbeat_ms && conf_lease_over(lease) > t->dead_ms)
		lease--;
	t->lease_ms = lease;
	t->takeover_ms = conf_lease_over(lease);
	if (t->takeover_ms < t->dead_ms)
		t->takeover_ms = t->dead_ms;
	return t->heartbeat_ms >= 2 && conf_lease_over(lease) <= t->dead_ms;
}

/* One line of the proof: small <= large. */
static void
put_proof(struct conf_out *o, const char *what, uint32_t small, uint32_t large)
{
	conf_put(o, "  %-34s %6u <= %-6u %s\n", what, small, large,
	    small <= large ? "holds" : "DOES NOT HOLD");
}

size_t
conf_print_timers(const struct conf *c, char *buf, size_t size)
{
	const struct conf_timers *t = &c->t;
	struct conf_out o = {.buf = buf, .size = size};

	if (size > 0)
		buf[0] = '\0';
	conf_put(&o, "timers of cluster %s\n", c->cluster);
	conf_put(
	    &o, "  heartbeat %6u ms  sent on every link\n", t->heartbeat_ms);
	conf_put(&o,
	    "  lease     %6u ms  without a beat of its daemon a node's "
	    "addresses fall silent\n",
	    t->lease_ms);
	conf_put(&o,
	    "  dead      %6u ms  a peer not heard for so long is silent\n",
	    t->dead_ms);
	conf_put(&o,
	    "  takeover  %6u ms  after the last receive, what it had may "
	    "start here\n",
	    t->takeover_ms);
	conf_put(&o, "proof\n");
	put_proof(
	    &o, "2 * heartbeat <= lease", 2 * t->heartbeat_ms, t->lease_ms);
	put_proof(&o, "lease * 1.02 + 10 <= dead", conf_lease_over(t->lease_ms),
	    t->dead_ms);
	put_proof(&o, "lease * 1.02 + 10 <= takeover",
	    conf_lease_over(t->lease_ms), t->takeover_ms);
	put_proof(&o, "dead <= takeover", t->dead_ms, t->takeover_ms);
	return o.len;
}
