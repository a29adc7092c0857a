/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim: runs seeds of the swarm, or one named scene.
 *	-n SEEDS  how many (1)		-s SEED   the first (1)
 *	-v        tell everything	-S NAME   this scene; -l lists them
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

static struct world *running;

/* In place of the daemon's: an assertion is a violation with a replay line. */
_Noreturn void
had_assert_fail(const char *file, int line, const char *expr)
{
	fprintf(stderr, "sim: %s:%d: assertion failed: %s\n", file, line, expr);
	if (running != NULL)
		violation(running, "assertion", "%s:%d: %s", file, line, expr);
	fflush(NULL);
	_exit(3);
}

struct totals {
	unsigned seeds, faults, failovers, violations, excused;
	uint64_t hash;
	unsigned long acks, reads, grants;
};

static bool
no_waiter(struct world *w)
{
	return lock_idle(w);
}

/* An operator's help for what only an operator may decide. */
static void
help(struct world *w)
{
	for (unsigned i = 0; i < HOSTS; i++) {
		struct host *h = &w->host[i];
		const struct nd_status *s = status(h);
		bool sick = s->vols[0].disk == MIR_DISK_NONE ||
			    s->vols[0].disk == MIR_DISK_FAILED;

		for (unsigned k = 0; k < SERVICES; k++)
			sick |= s->svc.services[k].state == SVC_FAILED;
		if (sick) {
			say(w,
			    "%s is rebooted: disk replaced, or a service "
			    "that would not stop",
			    h->name);
			daemon_kill(h);
			svc_killed(h, true);
			daemon_start(h);
		}
	}
}

/* What operators have frozen or stopped goes on. */
static void
undo(struct world *w)
{
	struct host *h = &w->host[w->host[0].running ? 0 : 1];

	if (!h->running || w->failed)
		return;
	operator(h, ND_OP_THAW, -1, 0);
	for (int i = 0; i < SERVICES; i++)
		operator(h, ND_OP_START, i, 0);
	run_ms(w, 5000);
}

static void
liveness(struct world *w)
{
	enum { FIRST_MS = 20000, THEN_MS = 60000 };

	swarm_heal(w);
	run_ms(w, FIRST_MS);
	if (!w->failed && !settled(w))
		undo(w);
	if (w->failed)
		return;
	if (!settled(w)) {
		help(w);
		run_ms(w, 3000);
		for (unsigned i = 0; i < HOSTS && !w->failed; i++)
			operator(&w->host[i], ND_OP_ONLINE, -1, w->host[i].id);
		run_ms(w, 3000);
		for (uint16_t i = 0; i < SERVICES && !w->failed; i++)
			if (runs_on(w, i) < 0)
				operator(&w->host[0], ND_OP_TAKEOVER, i, 0);
	}
	if (!run_till(w, settled, THEN_MS)) {
		violation(w, "I6", "not settled after %d s: %s",
		    (FIRST_MS + THEN_MS) / 1000, unsettled(w));
		return;
	}
	w->lock_calm = true;
	if (!run_till(w, no_waiter, 20000))
		violation(w, "I6", "a lock client is stuck: %s", lock_stuck(w));
	/* Reads of everything, then silence. */
	run_ms(w, 1000);
	w->vol_gap_us = 0;
	run_ms(w, 2000);
	judge_end(w);
}

static void
tell(struct world *w, struct totals *t)
{
	t->seeds++;
	t->faults += w->faults;
	t->failovers += w->failovers;
	t->violations += w->violations;
	t->excused += w->excused;
	t->acks += w->acks;
	t->reads += w->reads;
	t->grants += w->grants;
	t->hash = (t->hash ^ w->hash) * UINT64_C(0x100000001b3);
	if (w->verbose)
		printf("seed %llu: %u faults, %u failovers, %u writes, %u "
		       "reads, %u grants, %u excused, hash %016llx\n",
		    (unsigned long long)w->seed, w->faults, w->failovers,
		    w->acks, w->reads, w->grants, w->excused,
		    (unsigned long long)w->hash);
}

static void
one_seed(uint64_t seed, bool verbose, struct totals *t)
{
	struct world *w = world_new(seed, NULL, stdout, verbose);

	running = w;
	swarm_begin(w);
	for (unsigned i = 0; i < HOSTS; i++)
		host_power_on(&w->host[i]);
	run_ms(w, rnd_in(w, 10000, 40000));
	if (!w->failed)
		liveness(w);
	running = NULL;
	tell(w, t);
	world_free(w);
}

static int
one_scene(const char *name, bool verbose, struct totals *t)
{
	for (unsigned i = 0; i < n_scenes + n_scenes_arb; i++) {
		const struct scene *sc =
		    i < n_scenes ? &scenes[i] : &scenes_arb[i - n_scenes];
		struct world *w;

		if (strcmp(sc->name, name) != 0)
			continue;
		w = world_new(1000 + i, sc, stdout, verbose);
		running = w;
		swarm_begin(w);
		sc->fn(w);
		running = NULL;
		tell(w, t);
		world_free(w);
		return 0;
	}
	fprintf(stderr, "sim: no scene '%s'; -l lists them\n", name);
	return 2;
}

static int
usage(void)
{
	fprintf(stderr, "usage: sim [-v] [-n SEEDS] [-s FIRST] | -S SCENE | "
			"-l\n");
	return 2;
}

int
main(int argc, char **argv)
{
	unsigned long n = 1, first = 1;
	bool verbose = false;
	const char *scene = NULL;
	struct totals t = {.hash = UINT64_C(0xcbf29ce484222325)};
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt(argc, argv, "n:s:S:lv")) != -1) {
		if (c == 'n')
			n = strtoul(optarg, NULL, 0);
		else if (c == 's')
			first = strtoul(optarg, NULL, 0);
		else if (c == 'S')
			scene = optarg;
		else if (c == 'v')
			verbose = true;
		else if (c == 'l') {
			for (unsigned i = 0; i < n_scenes; i++)
				printf("%s\n", scenes[i].name);
			for (unsigned i = 0; i < n_scenes_arb; i++)
				printf("%s\n", scenes_arb[i].name);
			return 0;
		} else
			return usage();
	}
	if (optind != argc)
		return usage();
	if (scene != NULL) {
		if (one_scene(scene, verbose, &t) != 0)
			return 2;
	} else {
		for (unsigned long i = 0; i < n; i++)
			one_seed(first + i, verbose, &t);
	}
	printf("%lu writes, %lu reads, %lu grants, %u excused\n", t.acks,
	    t.reads, t.grants, t.excused);
	printf("%u seeds, %u faults, %u failovers, %u violations, hash "
	       "%016llx\n",
	    t.seeds, t.faults, t.failovers, t.violations,
	    (unsigned long long)t.hash);
	return t.violations > 0;
}
