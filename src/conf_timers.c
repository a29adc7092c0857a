/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The chain heartbeat < lease < dead < self-demote < watchdog < takeover; the
 * middle two only where voters grant leases.  The file gives heartbeat, dead
 * and the watchdog's timeout; the rest follows, so that nobody can set a
 * chain under which two nodes answer for one address or write to one volume.
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
static void
derive_lease(struct conf_timers *t)
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
}

/*
 * R7: one dead to notice, one for the voters to answer.  A watchdog is fed
 * last while the peer was heard within lease, so it resets by lease + its
 * timeout; half of that is left to stop in order.
 */
static void
derive_demotion(struct conf_timers *t, uint32_t watchdog_ms)
{
	t->self_demote_ms = 2 * t->dead_ms;
	if (t->self_demote_ms < watchdog_ms / 2)
		t->self_demote_ms = watchdog_ms / 2;
	t->watchdog_ms = watchdog_ms;
	t->takeover_ms = watchdog_ms != 0
			     ? conf_lease_over(t->lease_ms + watchdog_ms)
			     : conf_lease_over(t->self_demote_ms);
}

bool
conf_timers_derive(struct conf_timers *t, uint8_t voters, uint32_t watchdog_ms)
{
	struct conf_bound bounds[CONF_BOUNDS_MAX];
	size_t i, n;

	derive_lease(t);
	t->self_demote_ms = t->watchdog_ms = 0;
	if (voters > 0)
		derive_demotion(t, watchdog_ms);
	if (t->heartbeat_ms < 2)
		return false;
	n = conf_timers_bounds(t, bounds);
	for (i = 0; i < n; i++)
		if (bounds[i].small > bounds[i].large)
			return false;
	return true;
}

/* What the checker refuses by and had -n prints: the same list. */
size_t
conf_timers_bounds(
    const struct conf_timers *t, struct conf_bound b[CONF_BOUNDS_MAX])
{
	size_t n = 0;

	b[n++] = (struct conf_bound){
	    "2 * heartbeat <= lease", 2 * t->heartbeat_ms, t->lease_ms};
	b[n++] = (struct conf_bound){"lease * 1.02 + 10 <= dead",
	    conf_lease_over(t->lease_ms), t->dead_ms};
	b[n++] = (struct conf_bound){"lease * 1.02 + 10 <= takeover",
	    conf_lease_over(t->lease_ms), t->takeover_ms};
	b[n++] =
	    (struct conf_bound){"dead <= takeover", t->dead_ms, t->takeover_ms};
	if (t->self_demote_ms == 0)
		return n;
	b[n++] = (struct conf_bound){
	    "2 * dead <= self-demote", 2 * t->dead_ms, t->self_demote_ms};
	if (t->watchdog_ms != 0)
		b[n++] =
		    (struct conf_bound){"self-demote * 1.02 + 10 <= watchdog",
			conf_lease_over(t->self_demote_ms), t->watchdog_ms};
	else
		b[n++] =
		    (struct conf_bound){"self-demote * 1.02 + 10 <= takeover",
			conf_lease_over(t->self_demote_ms), t->takeover_ms};
	if (t->watchdog_ms != 0)
		b[n++] = (struct conf_bound){
		    "(lease + watchdog) * 1.02 + 10 <= takeover",
		    conf_lease_over(t->lease_ms + t->watchdog_ms),
		    t->takeover_ms};
	ASSERT(n <= CONF_BOUNDS_MAX);
	return n;
}

static void
put_timer(struct conf_out *o, const char *name, uint32_t ms, const char *what)
{
	conf_put(o, "  %-11s %7u ms  %s\n", name, ms, what);
}

static void
put_chain(struct conf_out *o, const struct conf *c)
{
	const struct conf_timers *t = &c->t;
	const char *what;

	put_timer(o, "heartbeat", t->heartbeat_ms, "sent on every link");
	put_timer(o, "lease", t->lease_ms,
	    "without a beat of its daemon a node's addresses fall silent");
	put_timer(
	    o, "dead", t->dead_ms, "a peer not heard for so long is silent");
	if (t->self_demote_ms != 0)
		put_timer(o, "self-demote", t->self_demote_ms,
		    "without peer and without lease a node has stopped its "
		    "data");
	if (t->watchdog_ms != 0)
		put_timer(o, "watchdog", t->watchdog_ms,
		    "or its watchdog has reset it");
	if (t->self_demote_ms != 0 && c->nodes[0].n_fences > 0)
		what = "after the last receive, and with a lease, what the "
		       "peer had may start here; sooner once it is verified "
		       "off";
	else if (t->self_demote_ms != 0)
		what = "after the last receive, and with a lease, what the "
		       "peer had may start here";
	else if (conf_arbitrated(c))
		what = "after the last receive at the earliest; data once the "
		       "peer is verified off";
	else
		what = "after the last receive, what it had may start here";
	put_timer(o, "takeover", t->takeover_ms, what);
}

size_t
conf_print_timers(const struct conf *c, char *buf, size_t size)
{
	struct conf_bound bounds[CONF_BOUNDS_MAX];
	struct conf_out o = {.buf = buf, .size = size};
	size_t i, n;

	if (size > 0)
		buf[0] = '\0';
	conf_put(&o, "timers of cluster %s\n", c->cluster);
	put_chain(&o, c);
	conf_put(&o, "proof\n");
	n = conf_timers_bounds(&c->t, bounds);
	for (i = 0; i < n; i++)
		conf_put(&o, "  %-42s %7u <= %-7u %s\n", bounds[i].what,
		    bounds[i].small, bounds[i].large,
		    bounds[i].small <= bounds[i].large ? "holds"
						       : "DOES NOT HOLD");
	conf_put_votes(&o, c);
	return o.len;
}
