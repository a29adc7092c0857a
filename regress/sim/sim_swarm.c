/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Faults at random.  Each seed picks its own kinds and rates.
 *
 * Under "silent peer takeover" the cut of all links at once with both nodes
 * alive is the accepted risk and is left out: a link is cut only while the
 * other works, or has been bad for so long that its loss is jeopardy (R2).
 * Everything else, freezes above all, is not excused.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

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
	FAULTS
};

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
			at(w, w->now + SEC, ev_end, h, 0)->b = F_STOP;
		break;
	case F_POWER:
	case F_BOTH_POWER:
		if (!h->powered)
			host_power_on(h);
		break;
	case F_PAUSE:
		if (h->running && h->paused && h->gen == e->gen)
			daemon_resume(h);
		break;
	case F_CUT:
	case F_ONE_WAY:
		link_heal(w, link);
		break;
	case F_CARRIER:
		carrier_set(h, link, true);
		break;
	case F_LOSS:
		for (unsigned d = 0; d < HOSTS; d++)
			w->link[link].dir[d].loss_permille = 0;
		break;
	case F_DELAY:
		for (unsigned d = 0; d < HOSTS; d++) {
			w->link[link].dir[d].delay_us = 200;
			w->link[link].dir[d].jitter_us = 100;
		}
		break;
	case F_STEPS:
		h->fail_permille = 0;
		h->mute_steps = false;
		break;
	default:
		break;
	}
}

static void
later(struct world *w, struct host *h, enum fault f, int64_t us, unsigned link)
{
	struct ev *e = at(w, w->now + us, ev_end, h, h != NULL ? h->gen : 0);

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
	return w->now - since > 6 * (int64_t)w->conf->t.dead_ms * MS;
}

/* After a heal, the nodes must have seen it before the next cut. */
static void
link_fault(struct world *w, enum fault f, struct host *h)
{
	unsigned l = (unsigned)rnd_in(w, 0, LINKS - 1);
	int64_t us = rnd_in(w, 20 * MS, 6 * SEC);

	if (!may_cut(w, l))
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
		if (f == F_LOSS) {
			w->link[l].dir[d].loss_permille =
			    (int)rnd_in(w, 10, 250);
		} else {
			w->link[l].dir[d].delay_us = rnd_in(w, MS, 30 * MS);
			w->link[l].dir[d].jitter_us = rnd_in(w, 0, 60 * MS);
		}
	}
	say(w, "link %s: %s", w->conf->nodes[0].links[l].name,
	    f == F_LOSS ? "lossy" : "slow");
	later(w, NULL, f, rnd_in(w, SEC, 10 * SEC), l);
}

static void
operator_fault(struct world *w, struct host *h)
{
	struct host *o = other(h);
	const struct nd_status *s;

	if (!h->running || h->stopping)
		return;
	switch (rnd_in(w, 0, 6)) {
	case 0:
	case 1:
		operator(
		    h, ND_OP_TAKEOVER, (int)rnd_in(w, -1, SERVICES - 1), 0);
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
	if (!o->powered && !h->stale && s->member.self != MB_PAIRED &&
	    s->vols[0].disk == MIR_DISK_UPTODATE)
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
	w->disk_faults = true;
}

static bool
host_fault(struct world *w, enum fault f, struct host *h)
{
	struct host *o = other(h);
	int64_t dead = w->conf->t.dead_ms * MS;

	switch (f) {
	case F_KILL:
		if (!h->running)
			return false;
		daemon_kill(h);
		later(w, h, f, rnd_in(w, 10 * MS, 6 * SEC), 0);
		return true;
	case F_STOP:
		if (!h->running || h->stopping)
			return false;
		daemon_stop(h);
		later(w, h, f, rnd_in(w, SEC, 8 * SEC), 0);
		return true;
	case F_POWER:
	case F_BOTH_POWER:
		if (!h->powered)
			return false;
		host_power_off(h);
		later(w, h, f, rnd_in(w, SEC, 8 * SEC), 0);
		if (f == F_BOTH_POWER && o->powered) {
			host_power_off(o);
			later(w, o, f, rnd_in(w, SEC, 8 * SEC), 0);
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
	default:
		return false;
	}
}

static void
inject(struct world *w)
{
	enum fault f = (enum fault)rnd_in(w, 0, FAULTS - 1);
	struct host *h = &w->host[rnd_in(w, 0, HOSTS - 1)];

	while (!(w->menu >> f & 1))
		f = (enum fault)((f + 1) % FAULTS);
	w->faults++;
	switch (f) {
	case F_CUT:
	case F_ONE_WAY:
	case F_CARRIER:
		link_fault(w, f, h);
		break;
	case F_LOSS:
	case F_DELAY:
		quality_fault(w, f);
		break;
	case F_OPERATOR:
		operator_fault(w, h);
		break;
	case F_DISK:
		disk_fault(w);
		break;
	case F_SLOW_DISK:
		h->disk.slow_us = rnd_in(w, 5 * MS, 200 * MS);
		h->disk.slow_until = w->now + rnd_in(w, SEC, 5 * SEC);
		say(w, "%s disk is slow", h->name);
		break;
	case F_ASSOC: /* ctl or bulk: silence of all heartbeats is a cut */
		for (int64_t n = rnd_in(w, 1, 3); n > 0; n--)
			net_break(w, (unsigned)rnd_in(w, 0, 1));
		break;
	case F_STEPS:
		h->fail_permille = (int)rnd_in(w, 50, 500);
		h->mute_steps = chance(w, 200);
		say(w, "%s steps %s", h->name, h->mute_steps ? "hang" : "fail");
		later(w, h, f, rnd_in(w, SEC, 8 * SEC), 0);
		break;
	default:
		if (!host_fault(w, f, h))
			w->faults--;
		break;
	}
}

static void
ev_fault(struct world *w, struct ev *e)
{
	(void)e;
	if (w->calm)
		return;
	inject(w);
	at(w, w->now + rnd_in(w, 1, 2 * w->fault_gap_us), ev_fault, NULL, 0);
}

static void
ev_round(struct world *w, struct ev *e)
{
	(void)e;
	for (unsigned i = 0; i < HOSTS; i++)
		disk_destage(&w->host[i]);
	judge_sync_point(w);
	at(w, w->now + rnd_in(w, 20 * MS, 200 * MS), ev_round, NULL, 0);
}

void
swarm_begin(struct world *w)
{
	at(w, w->now, ev_round, NULL, 0);
	w->vol_gap_us = rnd_in(w, 2 * MS, 40 * MS);
	w->lock_gap_us = rnd_in(w, 3 * MS, 40 * MS);
	w->overlap_ok = chance(w, 500);
	w->disk_victim = (unsigned)rnd_in(w, 0, HOSTS - 1);
	if (w->scene != NULL)
		return;
	do {
		w->menu = (uint32_t)(rnd(w) & rnd(w)) & ((1u << FAULTS) - 1);
	} while (w->menu == 0);
	/* Dead disks on top of dead nodes leave no copy: one of the two. */
	if (w->menu >> F_DISK & 1)
		w->menu &= ~(1u << F_POWER | 1u << F_BOTH_POWER);
	w->fault_gap_us = rnd_in(w, 300 * MS, 4 * SEC);
	/* A slow machine: handshakes end late, and not at once on both sides.
	 */
	if (w->menu >> F_ASSOC & 1)
		w->late_us = rnd_in(w, 0, 1500 * MS);
	at(w, w->now + rnd_in(w, SEC, 4 * SEC), ev_fault, NULL, 0);
}

/* The world is whole again; no fault follows. */
void
swarm_heal(struct world *w)
{
	say(w, "everything is healed");
	w->calm = true;
	for (unsigned l = 0; l < LINKS; l++) {
		link_heal(w, l);
		for (unsigned d = 0; d < HOSTS; d++) {
			w->link[l].dir[d] = (struct wire_dir){
			    .delay_us = 200, .jitter_us = 100};
			carrier_set(&w->host[d], l, true);
		}
	}
	for (unsigned i = 0; i < HOSTS; i++) {
		struct host *h = &w->host[i];

		h->fail_permille = 0;
		h->mute_steps = false;
		memset(h->disk.bad, 0, sizeof(h->disk.bad));
		h->disk.slow_until = 0;
		h->disk.dead = false;
		if (!h->powered)
			host_power_on(h);
		else if (!h->running)
			daemon_start(h);
		else if (h->paused)
			daemon_resume(h);
	}
}
