/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Failovers and nothing else: a pair that shares one service with an address
 * and no data.  The node that serves dies in one of several ways, the other
 * takes the address, the first comes back and they are a pair again.  How many
 * of those one core simulates in a second.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim_run.h"

static const char text[] = "cluster fast {\n"
			   "	heartbeat 100ms\n"
			   "	dead 500ms\n"
			   "	silent peer takeover\n"
			   "}\n"
			   "node alpha {\n"
			   "	id 1\n"
			   "	key \"sha256:00000000000000000000000000000000"
			   "00000000000000000000000000000001\"\n"
			   "	link cross 10.77.0.1 interface x0\n"
			   "	link lan 192.0.2.11 interface l0\n"
			   "}\n"
			   "node bravo {\n"
			   "	id 2\n"
			   "	key \"sha256:00000000000000000000000000000000"
			   "00000000000000000000000000000002\"\n"
			   "	link cross 10.77.0.2 interface x0\n"
			   "	link lan 192.0.2.12 interface l0\n"
			   "}\n"
			   "address web { 192.0.2.80/24 interface l0 }\n"
			   "service web {\n"
			   "	start { address web }\n"
			   "}\n"
			   "lockspace default { locks 16 }\n";

static struct conf *
configure(void)
{
	char complaints[512];
	struct conf_errors errors = {
	    .text = complaints, .size = sizeof(complaints)};
	struct conf *c = calloc(1, sizeof(*c));

	if (c == NULL)
		exit(2);
	if (conf_parse(c, "fast.conf", text, sizeof(text) - 1, &errors) < 0) {
		fprintf(stderr, "%.*s", (int)errors.used, complaints);
		exit(2);
	}
	return c;
}

static int
serving(struct world *w)
{
	int on = -1;

	for (int i = 0; i < (int)w->n_hosts; i++)
		if (answers(&w->host[i], 0))
			on = on < 0 ? i : -2;
	return on;
}

/* The way of each failure in turn. */
static void
fail(struct world *w, struct host *h, unsigned how)
{
	w->sim->faults++;
	if (how % 3 == 0)
		daemon_kill(h);
	else if (how % 3 == 1)
		host_power_off(h);
	else
		daemon_pause(h);
}

static void
rejoin(struct host *h)
{
	if (!h->powered)
		host_power_on(h);
	else if (!h->running)
		daemon_start(h);
	else
		daemon_resume(h);
}

/* Until ok, looked at often; false after ms. */
static bool
until(struct world *w, bool (*ok)(struct world *), int64_t ms)
{
	int64_t end = w->sim->now + ms * MS;

	while (!w->sim->failed && !ok(w)) {
		if (w->sim->now >= end)
			return false;
		run_until(w, w->sim->now + 20 * MS);
	}
	return !w->sim->failed;
}

static bool
taken(struct world *w)
{
	/* active_host: here, the one that failed. */
	return serving(w) == 1 - w->active_host;
}

static bool
served(struct world *w)
{
	return serving(w) >= 0;
}

static bool
together(struct world *w)
{
	/* Else the next loss would be one in jeopardy (R2). */
	if (!paired(w) || serving(w) != 1 - w->active_host)
		return false;
	for (unsigned i = 0; i < w->n_hosts; i++)
		if (status(&w->host[i])->member.peers[0].links_up != 3)
			return false;
	return true;
}

/* R10 is about what nobody looks after: here an operator does. */
static void
thaw(struct world *w)
{
	operator(&w->host[1 - w->active_host], ND_OP_THAW, -1, 0);
	run_ms(w, 20);
	if (w->op_code != 0)
		violation(w, "fast", "thaw: %s", w->op_text);
}

static void
one_failover(struct world *w, unsigned how)
{
	struct host *h;

	w->active_host = serving(w);
	h = &w->host[w->active_host];
	fail(w, h, how);
	if (!until(w, taken, 5000)) {
		violation(w, "I6", "nobody takes the address of %s", h->name);
		return;
	}
	w->failovers++;
	rejoin(h);
	if (!until(w, together, 20000))
		violation(w, "I6", "%s does not come back", h->name);
	else
		thaw(w);
}

int
only_failovers(unsigned n)
{
	static const struct scene alone = {.name = "failovers"};
	struct sim *sim = sim_new(1, &alone, stdout, false);
	struct world *w = sim->world[0];
	struct timespec a, b;
	double s;

	free(w->conf);
	w->conf = configure();
	for (unsigned i = 0; i < w->n_hosts; i++)
		host_power_on(&w->host[i]);
	if (!until(w, served, 20000) || !until(w, paired, 20000))
		violation(w, "I6", "no pair");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (unsigned i = 0; i < n && !w->sim->failed; i++)
		one_failover(w, i);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	s = (double)(b.tv_sec - a.tv_sec) +
	    (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	printf("%u faults, %u failovers, %u violations, hash %016llx\n",
	    w->sim->faults, w->failovers, w->sim->violations,
	    (unsigned long long)w->sim->hash);
	printf("%.0f failovers a second on one core, %.1f simulated hours\n",
	    w->failovers / s, (double)w->sim->now / SEC / 3600);
	n = w->sim->violations;
	sim_free(sim);
	return n > 0;
}
