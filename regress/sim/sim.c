/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim: runs seeds of the swarm, or one named scene.
 *	-n SEEDS  how many (1)		-s SEED   the first (1)
 *	-v        tell everything	-S NAME   this scene; -l lists them
 *	-j N      by N processes; the result is the same
 *	-R        only seeds with virtual routers or shared addresses
 *	-m        the fewest faults of that seed that break the same promise;
 *		  -o FILE keeps them, -f FILE plays them again
 *	-x EPOCH  to reach that epoch, which is harmless, counts as a violation:
 *		  a test of the tests
 *	-c FILE   which cells of the state machines were taken; adds to FILE
 *	-B N      N failovers of one address and nothing else: how many a second
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim_run.h"
#include "sim_vr.h"

static struct sim *running;

/* In place of the daemon's: an assertion is a violation with a replay line. */
_Noreturn void
had_assert_fail(const char *file, int line, const char *expr)
{
	fprintf(stderr, "sim: %s:%d: assertion failed: %s\n", file, line, expr);
	if (running != NULL)
		violation(running->world[0], "assertion", "%s:%d: %s", file,
		    line, expr);
	fflush(NULL);
	_exit(3);
}

struct totals {
	unsigned seeds, faults, failovers, violations, excused, lies;
	uint64_t hash;
	unsigned long acks, reads, grants, windows, holds;
};

/* What was built: so that a replay line can be followed later. */
const char *
sim_commit(void)
{
	return SIM_COMMIT;
}

static bool
no_waiter(struct world *w)
{
	bool idle = true;

	for (unsigned i = 0; i < w->sim->n_worlds; i++)
		idle &= lock_idle(w->sim->world[i]);
	return idle;
}

static bool
all_settled(struct world *w)
{
	for (unsigned i = 0; i < w->sim->n_worlds; i++)
		if (!settled(w->sim->world[i]))
			return false;
	return true;
}

/* An operator's help for what only an operator may decide. */
static void
help(struct world *w)
{
	for (unsigned i = 0; i < w->n_hosts; i++) {
		struct host *h = &w->host[i];
		const struct nd_status *s = status(h);
		bool sick = w->conf->n_volumes > 0 &&
			    (s->vols[0].disk == MIR_DISK_NONE ||
				s->vols[0].disk == MIR_DISK_FAILED ||
				/* A flush that failed is not tried again. */
				s->vols[0].error[0] != '\0');

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

	if (!h->running || settled(w))
		return;
	operator(h, ND_OP_THAW, -1, 0);
	for (int i = 0; i < SERVICES; i++)
		operator(h, ND_OP_START, i, 0);
}

/* fn for each world that is not well, and then some time. */
static void
each_unsettled(struct sim *s, void (*fn)(struct world *), int64_t ms)
{
	bool any = false;

	for (unsigned i = 0; i < s->n_worlds && !s->failed; i++) {
		if (settled(s->world[i]))
			continue;
		fn(s->world[i]);
		any = true;
	}
	if (any)
		run_ms(s->world[0], ms);
}

static void
online(struct world *w)
{
	for (unsigned i = 0; i < w->n_hosts; i++)
		operator(&w->host[i], ND_OP_ONLINE, -1, w->host[i].id);
}

static void
takeover(struct world *w)
{
	for (uint16_t i = 0; i < SERVICES; i++)
		if (runs_on(w, i) < 0)
			operator(&w->host[0], ND_OP_TAKEOVER, i, 0);
}

/* False: a world is not well, and nothing excuses it. */
static bool
settles(struct sim *s)
{
	enum { FIRST_MS = 20000, THEN_MS = 60000 };

	run_ms(s->world[0], FIRST_MS);
	each_unsettled(s, undo, 5000);
	each_unsettled(s, help, 3000);
	each_unsettled(s, online, 3000);
	/* What was said to one that was just away is heard by now. */
	each_unsettled(s, undo, 5000);
	each_unsettled(s, takeover, 0);
	if (run_till(s->world[0], all_settled, THEN_MS / 2))
		return true;
	/* A service that was still stopping was not started then. */
	each_unsettled(s, undo, 0);
	if (run_till(s->world[0], all_settled, THEN_MS))
		return true;
	for (unsigned i = 0; i < s->n_worlds; i++)
		if (!settled(s->world[i]))
			violation(s->world[i], "I6",
			    "not settled after %d s: %s",
			    (FIRST_MS + THEN_MS) / 1000,
			    unsettled(s->world[i]));
	return false;
}

static void
liveness(struct sim *s)
{
	struct world *w = s->world[0];

	swarm_heal(s);
	if (!settles(s))
		return;
	for (unsigned i = 0; i < s->n_worlds; i++)
		s->world[i]->lock_calm = true;
	run_till(w, no_waiter, 20000);
	for (unsigned i = 0; i < s->n_worlds; i++)
		if (!lock_idle(s->world[i]))
			violation(s->world[i], "I6",
			    "a lock client is stuck: %s",
			    lock_stuck(s->world[i]));
	/* Reads of everything, then silence. */
	run_ms(w, 1000);
	for (unsigned i = 0; i < s->n_worlds; i++)
		s->world[i]->vol_gap_us = 0;
	run_ms(w, 2000);
	for (unsigned i = 0; i < s->n_worlds; i++)
		judge_end(s->world[i]);
}

static void
result_of(const struct sim *s, struct result *r)
{
	*r = (struct result){.hash = s->hash,
	    .faults = s->faults,
	    .violations = s->violations,
	    .begun = true,
	    .done = true};
	for (unsigned i = 0; i < s->n_worlds; i++) {
		const struct world *w = s->world[i];

		r->failovers += w->failovers;
		r->excused += w->excused;
		r->lies += w->lies;
		r->acks += w->acks;
		r->reads += w->reads;
		r->grants += w->grants;
		r->windows += w->windows;
		r->holds += w->holds;
	}
}

static void
add(struct totals *t, const struct result *r)
{
	t->seeds++;
	t->faults += r->faults;
	t->failovers += r->failovers;
	t->violations += r->violations;
	t->excused += r->excused;
	t->acks += r->acks;
	t->reads += r->reads;
	t->grants += r->grants;
	t->lies += r->lies;
	t->windows += r->windows;
	t->holds += r->holds;
	t->hash = (t->hash ^ r->hash) * UINT64_C(0x100000001b3);
}

void
seed_run(
    uint64_t seed, FILE *out, bool verbose, struct plan *plan, struct result *r)
{
	struct sim *s = sim_new(seed, NULL, out, verbose);

	running = s;
	s->plan = plan;
	plan->rule[0] = plan->text[0] = '\0';
	swarm_begin(s);
	for (unsigned i = 0; i < s->n_worlds; i++)
		for (unsigned k = 0; k < s->world[i]->n_hosts; k++)
			host_power_on(&s->world[i]->host[k]);
	run_ms(s->world[0], rnd_in(s->world[0], 10000, 40000));
	if (!s->failed)
		liveness(s);
	running = NULL;
	result_of(s, r);
	if (verbose)
		fprintf(out,
		    "seed %llu: %u faults, %u failovers, %u writes, %u "
		    "reads, %u grants, %u excused, %u lies, hash %016llx\n",
		    (unsigned long long)s->seed, s->faults, r->failovers,
		    r->acks, r->reads, r->grants, r->excused, r->lies,
		    (unsigned long long)s->hash);
	sim_free(s);
}

static const struct scene *
scene_at(unsigned i)
{
	if (i < n_scenes)
		return &scenes[i];
	i -= n_scenes;
	if (i < n_scenes_arb)
		return &scenes_arb[i];
	i -= n_scenes_arb;
	return i < n_scenes_doubt ? &scenes_doubt[i]
				  : &scenes_vr[i - n_scenes_doubt];
}

static unsigned
scene_count(void)
{
	return n_scenes + n_scenes_arb + n_scenes_doubt + n_scenes_vr;
}

static int
one_scene(const char *name, bool verbose, struct totals *t)
{
	struct result r;

	for (unsigned i = 0; i < scene_count(); i++) {
		const struct scene *sc = scene_at(i);
		struct sim *s;

		if (strcmp(sc->name, name) != 0)
			continue;
		s = sim_new(1000 + i, sc, stdout, verbose);
		running = s;
		swarm_begin(s);
		sc->fn(s->world[0]);
		running = NULL;
		result_of(s, &r);
		add(t, &r);
		sim_free(s);
		return 0;
	}
	fprintf(stderr, "sim: no scene '%s'; -l lists them\n", name);
	return 2;
}

static int
list_scenes(void)
{
	for (unsigned i = 0; i < scene_count(); i++)
		printf("%s\n", scene_at(i)->name);
	return 0;
}

struct options {
	uint64_t n, first, epoch, workers, failovers;
	bool verbose, minimise, routers;
	const char *scene, *plan, *save, *cells;
};

static void
all_seeds(const struct options *o, struct totals *t)
{
	struct result *all = shared((o->n + 1) * sizeof(*all));

	for (uint64_t i = 0; o->routers && i < o->n; i++)
		all[i].done = !rt_drawn(o->first + i);
	if (o->verbose) {
		struct plan plan = {.all = true, .epoch = o->epoch};

		for (uint64_t i = 0; i < o->n; i++)
			if (!all[i].done)
				seed_run(
				    o->first + i, stdout, true, &plan, &all[i]);
	} else {
		seeds_run(o->first, o->n, (unsigned)o->workers, o->epoch, all);
	}
	for (uint64_t i = 0; i < o->n; i++)
		if (all[i].begun)
			add(t, &all[i]);
}

static int
usage(void)
{
	fprintf(stderr,
	    "usage: sim [-v] [-R] [-n SEEDS] [-s FIRST] [-j WORKERS] "
	    "[-x EPOCH] [-c CELLS]\n"
	    "       sim -m -s SEED [-x EPOCH] [-o FILE] | -f FILE\n"
	    "       sim -S SCENE [-v] [-c CELLS] | -l | -B FAILOVERS\n");
	return 2;
}

static int
number(const char *s, uint64_t *v)
{
	char *end;

	errno = 0;
	*v = strtoull(s, &end, 0);
	return errno != 0 || end == s || *end != '\0' || s[0] == '-' ? -1 : 0;
}

static int
parse(int argc, char **argv, struct options *o)
{
	int c, bad = 0;

	while ((c = getopt(argc, argv, "n:s:j:x:S:f:o:c:B:mvR")) != -1) {
		if (c == 'n')
			bad |= number(optarg, &o->n);
		else if (c == 's')
			bad |= number(optarg, &o->first);
		else if (c == 'j')
			bad |= number(optarg, &o->workers);
		else if (c == 'x')
			bad |= number(optarg, &o->epoch);
		else if (c == 'B')
			bad |= number(optarg, &o->failovers);
		else if (c == 'S')
			o->scene = optarg;
		else if (c == 'f')
			o->plan = optarg;
		else if (c == 'o')
			o->save = optarg;
		else if (c == 'c')
			o->cells = optarg;
		else if (c == 'm')
			o->minimise = true;
		else if (c == 'v')
			o->verbose = true;
		else if (c == 'R')
			o->routers = true;
		else
			return -1;
	}
	if (o->n > 10000000 || o->workers > 256 || o->failovers > 100000000)
		bad = -1;
	return optind == argc ? bad : -1;
}

int
main(int argc, char **argv)
{
	struct options o = {.n = 1, .first = 1};
	struct totals t = {.hash = UINT64_C(0xcbf29ce484222325)};

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && strcmp(argv[1], "-l") == 0)
		return list_scenes();
	if (parse(argc, argv, &o) != 0)
		return usage();
	cells_begin();
	if (o.plan != NULL)
		return replay(o.plan);
	if (o.minimise)
		return minimise(o.first, o.epoch, o.save);
	if (o.failovers != 0)
		return only_failovers((unsigned)o.failovers);
	if (o.scene == NULL)
		all_seeds(&o, &t);
	else if (one_scene(o.scene, o.verbose, &t) != 0)
		return 2;
	if (o.cells != NULL && cells_save(o.cells) != 0)
		return 2;
	printf("%lu writes, %lu reads, %lu grants, %lu quiet times, %lu looks "
	       "at a survivor, %u excused, %u lies\n",
	    t.acks, t.reads, t.grants, t.windows, t.holds, t.excused, t.lies);
	printf("%u seeds, %u faults, %u failovers, %u violations, hash "
	       "%016llx\n",
	    t.seeds, t.faults, t.failovers, t.violations,
	    (unsigned long long)t.hash);
	return t.violations > 0;
}
