/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Faults at random.  Each seed picks its own kinds and rates.
 *
 * Under "silent peer takeover" the cut of all links at once with both nodes
 * alive is the accepted risk and is left out: a link is cut only while the
 * other works, or has been bad for so long that its loss is jeopardy (R2).
 * So is a machine that stands still and cannot know it, because nothing stops
 * the other from acting and dying before a word of it is heard.  Everything
 * else, freezes above all, is not excused.
 */
#include <stdlib.h>
#include <string.h>

#include "sim_vr.h"

enum fault {
	F_KILL,
	F_POWER,
	F_PAUSE,
	F_STOP,
	F_CUT,
	F_ONE_WAY,
	F_CARRIER,
	F_LOSS,
	F_DELAY,
	F_OPERATOR,
	F_DISK,
	F_SLOW_DISK,
	F_STEPS,
	F_BOTH_POWER,
	F_ASSOC,
	F_FREEZE,
	F_CLOCK,
	F_CLOG,
	F_TWICE,
	F_VOTER,
	F_AGENT,
	F_PING,
	F_CRASH,
	F_SWITCH,
	F_EIO,
	FAULTS
};

static void
better(struct wire_dir *d, enum fault f)
{
	if (f == F_LOSS) {
		d->loss_permille = 0;
	} else if (f == F_DELAY) {
		d->delay_us = 200;
		d->jitter_us = 100;
	} else {
		d->clogged = false;
		d->twice_permille = 0;
	}
}

/* What ends later: b = kind, c = detail. */
static void
ev_end(struct world *w, struct ev *e)
{
	struct host *h = e->h;
	unsigned link = (unsigned)e->c;

	switch ((enum fault)e->b) {
	case F_KILL:
	case F_STOP:
		if (h->powered && !h->running)
			daemon_start(h);
		else if (h->running && h->stopping)
			at(w, w->sim->now + SEC, ev_end, h, 0)->b = F_STOP;
		break;
	case F_POWER:
	case F_BOTH_POWER:
	case F_CRASH:
		if (!h->powered)
			host_power_on(h);
		break;
	case F_EIO:
		h->disk.dead = false;
		break;
	case F_PAUSE:
		if (h->running && h->paused && !h->frozen && h->gen == e->gen)
			daemon_resume(h);
		break;
	case F_CUT:
	case F_ONE_WAY:
		link_heal(w, link);
		break;
	case F_CARRIER:
		carrier_set(h, link, true);
		break;
	case F_STEPS:
		h->fail_permille = 0;
		h->mute_steps = false;
		break;
	case F_FREEZE:
		if (h->frozen && h->gen == e->gen)
			machine_thaw(h, link != 0);
		break;
	case F_LOSS:
	case F_DELAY:
	case F_CLOG:
	case F_TWICE:
		for (unsigned d = 0; d < HOSTS; d++)
			better(&w->link[link].dir[d], (enum fault)e->b);
		watch_links(w);
		break;
	case F_VOTER:
	case F_AGENT:
	case F_PING:
		if (w->arb_faults > 0 && --w->arb_faults == 0)
			arb_heal(w);
		break;
	default:
		break;
	}
}

static void
later(struct world *w, struct host *h, enum fault f, int64_t us, unsigned link)
{
	struct ev *e =
	    at(w, w->sim->now + us, ev_end, h, h != NULL ? h->gen : 0);

	e->b = f;
	e->c = link;
}

/* May this link go?  See above. */
static bool
may_cut(const struct world *w, unsigned link)
{
	int64_t since = w->link[1 - link].impaired_since;

	if (!w->takeover)
		return true;
	if (since == NEVER)
		/* And the other has been whole long enough to be known so. */
		return w->link[link].impaired_since == NEVER;
	return w->sim->now - since > 6 * (int64_t)w->conf->t.dead_ms * MS;
}

static void
voter_fault(struct world *w)
{
	unsigned i;
	struct voter *v;
	static const char *const how[] = {"is down", "restarts",
	    "is cut off from one node", "is slow", "loses answers",
	    "cannot write"};
	unsigned kind = (unsigned)rnd_in(w, 0, NITEMS(how) - 1);

	if (w->n_voters == 0)
		return;
	i = (unsigned)rnd_in(w, 0, (int64_t)w->n_voters - 1);
	v = &w->voter[i];
	say(w, "voter %u%s %s", i, v->witness ? ", of all clusters," : "",
	    how[kind]);
	if (kind < 2)
		box_down(v->box);
	v->cut[rnd_in(w, 0, HOSTS - 1)] |= kind == 2;
	if (kind == 3)
		v->box->slow_us = rnd_in(w, 10 * MS, 1500 * MS);
	if (kind == 4)
		v->box->lost_permille = (int)rnd_in(w, 200, 1000);
	v->box->read_only |= kind == 5;
	w->arb_faults++;
	later(w, NULL, F_VOTER,
	    kind == 1 ? rnd_in(w, 50 * MS, SEC) : rnd_in(w, SEC, 10 * SEC), 0);
}

/* One that says "off" of a machine that runs breaks every promise. */
static void
agent_fault(struct world *w)
{
	static const char *const names[AG_HOWS] = {"works", "fails", "hangs",
	    "is late", "boasts", "cannot say", "lies"};
	unsigned off = (unsigned)rnd_in(w, 0, HOSTS - 1);
	unsigned level = (unsigned)rnd_in(w, 0, LEVELS - 1);
	struct agent *ag = &w->agent[off][level];

	if ((w->with & W_FENCE) == 0)
		return;
	if (chance(w, 300)) {
		unsigned from = (unsigned)rnd_in(w, 0, HOSTS - 1);

		say(w, "the agents of %s are cut off from %s",
		    w->host[off].name, w->host[from].name);
		for (unsigned l = 0; l < LEVELS; l++)
			w->agent[off][l].cut[from] = true;
	} else {
		ag->how = (enum agent_how)rnd_in(
		    w, AG_FAIL, w->sim->seed % 16 == 1 ? AG_LIAR : AG_MUTE);
		say(w, "agent %u of %s %s", level, w->host[off].name,
		    names[ag->how]);
	}
	w->arb_faults++;
	later(w, NULL, F_AGENT, rnd_in(w, 2 * SEC, 15 * SEC), 0);
}

static void
ping_fault(struct world *w, struct host *h)
{
	if ((w->with & W_PINGS) == 0)
		return;
	say(w, "%s reaches no ping node", h->name);
	h->ping_cut = true;
	if (chance(w, 300))
		other(h)->ping_cut = true;
	w->arb_faults++;
	later(w, NULL, F_PING, rnd_in(w, 100 * MS, 6 * SEC), 0);
}

static void
clock_fault(struct world *w, struct host *h)
{
	if (!h->powered || h->frozen)
		return;
	if (chance(w, 500))
		clock_drift(h, (int)rnd_in(w, -8000, 8000));
	else
		clock_jump(h, rnd_in(w, MS, 3 * SEC));
}

/* After a heal, the nodes must have seen it before the next cut. */
static void
link_fault(struct world *w, enum fault f, struct host *h)
{
	unsigned l = (unsigned)rnd_in(w, 0, LINKS - 1);
	int64_t us = rnd_in(w, 20 * MS, 6 * SEC);

	if (!may_cut(w, l) || (w->n_hosts == 1 && f != F_CARRIER))
		return;
	if (f == F_CUT)
		link_cut(w, l);
	else if (f == F_ONE_WAY)
		link_set(w, l, h->idx, true);
	else
		carrier_set(h, l, false);
	later(w, h, f, us, l);
	/* In jeopardy the link that went last comes back first. */
	if (w->takeover && w->link[1 - l].impaired_since != NEVER)
		later(w, h, f, us / 2, l);
}

static void
quality_fault(struct world *w, enum fault f)
{
	unsigned l = (unsigned)rnd_in(w, 0, LINKS - 1);

	for (unsigned d = 0; d < HOSTS; d++) {
		if (f == F_CLOG) {
			w->link[l].dir[d].clogged = true;
		} else if (f == F_TWICE) {
			w->link[l].dir[d].twice_permille =
			    (int)rnd_in(w, 50, 900);
		} else if (f == F_LOSS) {
			w->link[l].dir[d].loss_permille =
			    (int)rnd_in(w, 10, 250);
		} else {
			w->link[l].dir[d].delay_us = rnd_in(w, MS, 30 * MS);
			w->link[l].dir[d].jitter_us = rnd_in(w, 0, 60 * MS);
		}
	}
	say(w, "link %s: %s", w->conf->nodes[0].links[l].name,
	    f == F_LOSS    ? "lossy"
	    : f == F_CLOG  ? "clogged"
	    : f == F_TWICE ? "says things twice"
			   : "slow");
	watch_links(w);
	later(w, NULL, f, rnd_in(w, SEC, 10 * SEC), l);
}

/*
 * The switch of all clusters dies: no LAN anywhere, no witness, no ping node.
 * For one whose links are all that it has, it is a link like any other.
 */
static void
switch_fault(struct sim *s, struct world *w0)
{
	int64_t us = rnd_in(w0, 100 * MS, 8 * SEC);

	for (unsigned i = 0; i < s->n_worlds; i++) {
		struct world *w = s->world[i];

		if (!may_cut(w, LAN) ||
		    (w->takeover && w->link[1 - LAN].impaired_since != NEVER))
			return;
	}
	say(w0, "the switch of the LAN dies");
	for (unsigned i = 0; i < s->n_worlds; i++) {
		struct world *w = s->world[i];

		for (unsigned k = 0; k < w->n_hosts; k++) {
			carrier_set(&w->host[k], LAN, false);
			later(w, &w->host[k], F_CARRIER, us, LAN);
		}
	}
}

/*
 * Whoever types that a machine is off has looked.  What it had alone is lost
 * with it: he knows that too, and has it in writing that it had nothing.
 */
static void
confirm(struct world *w, struct host *h)
{
	if ((w->with & W_ARBITER) == 0 || h->paused || other(h)->powered)
		return;
	if (h->stale && other(h)->record.epoch > nd_epoch(h->nd))
		return;
	operator(h, ND_OP_FENCE_CONFIRM, -1, other(h)->id);
}

static void
operator_fault(struct world *w, struct host *h)
{
	struct host *o = other(h);
	const struct nd_status *s;
	int service;

	if (!h->running || h->stopping)
		return;
	service = (int)rnd_in(w, -1, SERVICES - 1);
	switch (rnd_in(w, 0, 14)) {
	case 7:
	case 8:
		confirm(w, h);
		return;
	case 9:
		operator(h, ND_OP_MOVE, service < 0 ? 0 : service,
		    chance(w, 500) ? h->id : o->id);
		return;
	case 10:
		operator(h, chance(w, 500) ? ND_OP_START : ND_OP_STOP,
		    service < 0 ? 0 : service, 0);
		return;
	case 11:
		operator(h, ND_OP_FREEZE, service, 0);
		return;
	case 12:
	case 13:
		operator(h, ND_OP_THAW, service, 0);
		return;
	case 14:
		operator(h, ND_OP_FENCE_TEST, -1, o->id);
		return;
	case 0:
	case 1:
		operator(h, ND_OP_TAKEOVER, service, 0);
		return;
	case 2:
		operator(h, ND_OP_STANDBY, -1, chance(w, 500) ? h->id : o->id);
		return;
	case 3:
	case 4:
		operator(h, ND_OP_ONLINE, -1, chance(w, 500) ? h->id : o->id);
		return;
	default:
		break;
	}
	/* Whoever types "the peer is down" has looked, and knows the data. */
	s = status(h);
	if (w->n_hosts > 1 && !o->powered && !h->paused && !h->stale &&
	    s->member.self != MB_PAIRED && s->vols[0].disk == MIR_DISK_UPTODATE)
		operator(h, ND_OP_SEED, -1, o->id);
}

static void
disk_fault(struct world *w)
{
	struct disk *d = &w->host[w->disk_victim].disk;
	size_t s = (size_t)rnd_in(w, 0, SECTORS - 1);
	size_t n = (size_t)rnd_in(w, 1, 64);
	bool meta = chance(w, 200);
	uint8_t how = chance(w, 500) ? BAD_READ : BAD_WRITE;

	if (meta)
		s = (size_t)rnd_in(
		    w, (int64_t)(d->layout.meta_off / SECTOR), SECTORS - 1);
	say(w, "%s %zu sectors at %zu%s cannot be %s",
	    w->host[w->disk_victim].name, n, s, meta ? " (metadata)" : "",
	    how == BAD_READ ? "read" : "written");
	for (size_t i = 0; i < n && s + i < SECTORS; i++)
		d->bad[s + i] |= how;
	w->host[w->disk_victim].disk_sick = true;
}

/* Some stay off for so long that every bound is over. */
static int64_t
off_for(struct world *w)
{
	return chance(w, 150) ? rnd_in(w, 8 * SEC, 30 * SEC)
			      : rnd_in(w, SEC, 8 * SEC);
}

static bool
host_fault(struct world *w, enum fault f, struct host *h)
{
	struct host *o = other(h);
	int64_t dead = w->conf->t.dead_ms * MS;

	switch (f) {
	case F_KILL:
		if (!h->running || h->frozen)
			return false;
		daemon_kill(h);
		later(w, h, f, rnd_in(w, 10 * MS, 6 * SEC), 0);
		return true;
	case F_STOP:
		if (!h->running || h->stopping || h->frozen)
			return false;
		daemon_stop(h);
		later(w, h, f, rnd_in(w, SEC, 8 * SEC), 0);
		return true;
	case F_POWER:
	case F_BOTH_POWER:
	case F_CRASH:
		if (!h->powered)
			return false;
		if (f == F_CRASH)
			host_crash(h);
		else
			host_power_off(h);
		later(w, h, f, off_for(w), 0);
		if (f == F_BOTH_POWER && o->powered) {
			host_power_off(o);
			later(w, o, f, off_for(w), 0);
		}
		return true;
	case F_PAUSE:
		if (!h->running || h->paused)
			return false;
		daemon_pause(h);
		later(w, h, f,
		    chance(w, 400) ? rnd_in(w, MS, dead)
				   : rnd_in(w, dead / 2, 5 * dead),
		    0);
		return true;
	case F_FREEZE:
		if (!h->running || h->paused)
			return false;
		machine_freeze(h);
		later(w, h, f,
		    chance(w, 300) ? rnd_in(w, MS, dead)
				   : rnd_in(w, dead / 2, 8 * dead),
		    w->takeover || chance(w, 500));
		return true;
	default:
		return false;
	}
}

static void
steps_fault(struct world *w, struct host *h)
{
	h->fail_permille = (int)rnd_in(w, 50, 500);
	h->mute_steps = chance(w, 200);
	say(w, "%s steps %s", h->name, h->mute_steps ? "hang" : "fail");
	later(w, h, F_STEPS, rnd_in(w, SEC, 8 * SEC), 0);
}

/* Any of all nodes. */
static struct host *
victim(struct world *w0)
{
	struct sim *s = w0->sim;
	int64_t n = 0;

	for (unsigned i = 0; i < s->n_worlds; i++)
		n += s->world[i]->n_hosts;
	n = rnd_in(w0, 0, n - 1);
	for (unsigned i = 0; i < s->n_worlds; i++) {
		struct world *w = s->world[i];

		if (n < (int64_t)w->n_hosts)
			return &w->host[n];
		n -= w->n_hosts;
	}
	ASSERT(false);
	return NULL;
}

static void
inject(struct world *first)
{
	enum fault f = (enum fault)rnd_in(first, 0, FAULTS - 1);
	struct host *h = victim(first);
	struct world *w = h->w;
	struct sim *s = w->sim;

	while (!(s->menu >> f & 1))
		f = (enum fault)((f + 1) % FAULTS);
	s->faults++;
	/* The others say so themselves, where something comes of it. */
	if (f == F_PING || f == F_DISK || f == F_SLOW_DISK || f == F_STEPS ||
	    f == F_EIO)
		watch_disturbed(w);
	switch (f) {
	case F_CUT:
	case F_ONE_WAY:
	case F_CARRIER:
		link_fault(w, f, h);
		break;
	case F_LOSS:
	case F_DELAY:
	case F_CLOG:
	case F_TWICE:
		quality_fault(w, f);
		break;
	case F_VOTER:
		voter_fault(w);
		break;
	case F_AGENT:
		agent_fault(w);
		break;
	case F_PING:
		ping_fault(w, h);
		break;
	case F_CLOCK:
		clock_fault(w, h);
		break;
	case F_OPERATOR:
		operator_fault(w, h);
		break;
	case F_DISK:
		disk_fault(w);
		break;
	case F_SWITCH:
		switch_fault(s, w);
		break;
	case F_EIO:
		h = &w->host[w->disk_victim];
		say(w, "%s: its disk answers EIO to everything", h->name);
		h->disk.dead = true;
		later(w, h, f, rnd_in(w, 100 * MS, 8 * SEC), 0);
		break;
	case F_SLOW_DISK:
		h->disk.slow_us = rnd_in(w, 5 * MS, 200 * MS);
		h->disk.slow_until = w->sim->now + rnd_in(w, SEC, 5 * SEC);
		say(w, "%s disk is slow", h->name);
		break;
	case F_ASSOC: /* ctl or bulk: silence of all heartbeats is a cut */
		for (int64_t n = rnd_in(w, 1, 3); n > 0; n--)
			net_break(w, (unsigned)rnd_in(w, 0, 1));
		break;
	case F_STEPS:
		steps_fault(w, h);
		break;
	default:
		if (!host_fault(w, f, h))
			s->faults--;
		break;
	}
}

static void
ev_round(struct world *w, struct ev *e)
{
	(void)e;
	for (unsigned i = 0; i < w->n_hosts; i++)
		disk_destage(&w->host[i]);
	judge_sync_point(w);
	watch_round(w);
	rt_round(w);
	at(w, w->sim->now + rnd_in(w, 20 * MS, 200 * MS), ev_round, NULL, 0);
}

static void
world_begin(struct world *w)
{
	at(w, w->sim->now, ev_round, NULL, 0);
	w->vol_gap_us = rnd_in(w, 2 * MS, 40 * MS);
	w->lock_gap_us = rnd_in(w, 3 * MS, 40 * MS);
	w->overlap_ok = chance(w, 500);
	w->disk_victim = (unsigned)rnd_in(w, 0, w->n_hosts - 1);
}

void
swarm_begin(struct sim *s)
{
	struct world *w = s->world[0];
	int64_t gap_us; /* in the middle */

	for (unsigned i = 0; i < s->n_worlds; i++)
		world_begin(s->world[i]);
	if (s->scene != NULL)
		return;
	do {
		s->menu = (uint32_t)(rnd(w) & rnd(w)) & ((1u << FAULTS) - 1);
	} while (s->menu == 0);
	/* Dead disks on top of dead nodes leave no copy: one of the two. */
	if (s->menu >> F_DISK & 1 || s->menu >> F_EIO & 1)
		s->menu &=
		    ~(1u << F_POWER | 1u << F_BOTH_POWER | 1u << F_CRASH);
	/* The more nodes, the more faults. */
	gap_us = rnd_in(w, 300 * MS, 4 * SEC) / s->n_worlds;
	/* A slow machine: handshakes end late, and not at once on both sides.
	 */
	if (s->menu >> F_ASSOC & 1)
		for (unsigned i = 0; i < s->n_worlds; i++)
			s->world[i]->late_us = rnd_in(w, 0, 1500 * MS);
	faults_from(w, rnd_in(w, SEC, 4 * SEC), 2 * gap_us, inject);
	rt_swarm(s);
}

static void
host_heal(struct host *h)
{
	h->fail_permille = 0;
	h->mute_steps = h->disk_sick = false;
	memset(h->disk.bad, 0, sizeof(h->disk.bad));
	h->disk.slow_until = 0;
	h->disk.dead = false;
	if (!h->powered)
		host_power_on(h);
	else if (!h->running)
		daemon_start(h);
	else if (h->frozen)
		machine_thaw(h, true);
	else if (h->paused)
		daemon_resume(h);
}

/* The world is whole again; no fault follows. */
void
swarm_heal(struct sim *s)
{
	say(s->world[0], "everything is healed");
	s->calm = true;
	for (unsigned i = 0; i < s->n_worlds; i++) {
		struct world *w = s->world[i];

		w->stays_off = false;
		rt_heal(w);
		arb_heal(w);
		for (unsigned l = 0; l < LINKS; l++) {
			link_heal(w, l);
			for (unsigned d = 0; d < HOSTS; d++)
				w->link[l].dir[d] = (struct wire_dir){
				    .delay_us = 200, .jitter_us = 100};
			for (unsigned k = 0; k < w->n_hosts; k++)
				carrier_set(&w->host[k], l, true);
		}
		for (unsigned k = 0; k < w->n_hosts; k++)
			host_heal(&w->host[k]);
	}
}
