/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What must hold while faults come and go.
 *
 * I7: from the moment that all has been well for a while, nothing of a
 * service is started, stopped or moved, nobody is fenced and no epoch raised,
 * as long as nothing but voters, fence agents and one link at a time are
 * unwell.
 *
 * I6: if then one node dies and nothing else happens, and there is somebody
 * who can tell (an arbiter, the dead daemon's kernel, or the word of the
 * configuration), the services run on the other within a bound that follows
 * from the timers, and go on running.  A cluster of one has its own word.
 *
 * I8: what a node sends, writes, asks for and logs in a second is bounded; one
 * cause is logged once a second.
 */
#include <string.h>

#include "sim_vr.h"

enum {
	QUIET_US = 3000000, /* until all is known to be well */
	WHOLE_US = 2000000, /* until a link is known to be whole */
	/*
	 * What a start takes here at most, once it may: the epoch on the disk,
	 * written anew after an error; export, mount, command, guard.
	 */
	START_US = 3000000,
	FENCE_DELAY_US = 5000000, /* R4 */
	RETRY_US = 61000000, /* R12, and the step itself */
};

/* --- I7 --- */

static bool
link_whole(const struct world *w, unsigned l)
{
	if (w->link[l].impaired_since != NEVER)
		return false;
	for (unsigned d = 0; d < HOSTS; d++) {
		const struct wire_dir *dir = &w->link[l].dir[d];

		if (dir->clogged || dir->loss_permille > 0 ||
		    dir->twice_permille > 0 || dir->delay_us > MS)
			return false;
	}
	return true;
}

/* One link at a time: the other has been whole for long enough. */
static bool
links_fair(struct world *w)
{
	bool fair = true;

	for (unsigned l = 0; l < LINKS; l++) {
		struct link *k = &w->link[l];

		if (!link_whole(w, l))
			k->whole_at = NEVER;
		else if (k->whole_at == NEVER)
			k->whole_at = w->sim->now;
	}
	for (unsigned l = 0; l < LINKS; l++) {
		int64_t since = w->link[1 - l].whole_at;

		if (w->link[l].whole_at == NEVER &&
		    (since == NEVER || w->sim->now - since < WHOLE_US))
			fair = false;
	}
	return fair;
}

/* A step that once hung does so until its own time is over. */
static bool
any_hung(const struct host *h)
{
	for (unsigned i = 0; i < NITEMS(h->jobs); i++)
		if (h->jobs[i].used && h->jobs[i].hung)
			return true;
	return false;
}

static bool
host_well(const struct host *h)
{
	return h->running && !h->paused && !h->stopping && !h->misled &&
	       h->fail_permille == 0 && !h->mute_steps && !any_hung(h) &&
	       !h->ping_cut && !h->disk_sick && !h->disk.dead &&
	       h->w->sim->now >= h->disk.slow_until;
}

/*
 * The carrier of the addresses' interface is more than a link: R9 hands over
 * when one node lacks it, or sees no ping node behind it.
 */
static bool
lan_counts(const struct world *w)
{
	bool a = w->host[0].carrier[LAN], b = w->host[1].carrier[LAN];

	return w->n_hosts > 1 && (a != b || (w->with & W_PINGS && !(a && b)));
}

static bool
well(struct world *w)
{
	for (unsigned i = 0; i < w->n_hosts; i++)
		if (!host_well(&w->host[i]))
			return false;
	return links_fair(w) && !lan_counts(w);
}

static bool
is_quiet(const struct world *w)
{
	return w->quiet_at != NEVER && w->sim->now >= w->quiet_at;
}

void
watch_disturbed(struct world *w)
{
	w->quiet_at = w->hold_at = NEVER;
	w->undecided = false;
}

void
watch_links(struct world *w)
{
	if (!links_fair(w) || lan_counts(w))
		w->quiet_at = NEVER;
	/* Not before it was known to be well. */
	else if (!is_quiet(w))
		w->quiet_at = NEVER;
}

void
watch_moved(struct host *h, const char *what)
{
	if (!is_quiet(h->w))
		return;
	violation(h->w, "I7", "%s %s, and nobody but %s is unwell", h->name,
	    what, "a voter, an agent or one link");
}

/* Each service runs on one node, and is stopped on the other. */
static bool
at_rest(struct world *w)
{
	for (unsigned i = 0; i < w->n_hosts; i++) {
		const struct nd_status *s = status(&w->host[i]);

		for (unsigned k = 0; k < SERVICES; k++)
			if (s->svc.services[k].state != SVC_RUNNING &&
			    s->svc.services[k].state != SVC_STOPPED)
				return false;
	}
	return true;
}

static void
look_quiet(struct world *w)
{
	if (!well(w)) {
		w->quiet_at = NEVER;
	} else if (w->quiet_at == NEVER && settled(w) && at_rest(w)) {
		w->quiet_at = w->sim->now + QUIET_US;
		w->windows++;
	}
}

/* --- I6 --- */

static bool
is_dead(const struct host *h)
{
	return !h->running || h->paused;
}

static bool
able(const struct host *h)
{
	for (unsigned l = 0; l < LINKS; l++)
		if (!h->carrier[l])
			return false;
	return host_well(h) && !h->stale;
}

/* The kernel of a dead daemon says so. */
static bool
refuses(const struct host *o)
{
	return o->powered && !o->frozen && !o->running && any_link_works(o->w);
}

enum { T_NOBODY, T_EVIDENCE, T_VOTERS, T_AGENTS };

/* Is there somebody who can tell h about its peer?  The quickest. */
static int
who_tells(struct host *h)
{
	struct world *w = h->w;

	if (w->n_hosts == 1 || w->takeover || refuses(other(h)))
		return T_EVIDENCE;
	if (voters_work(w, h))
		return T_VOTERS;
	return arb_works(w, h) ? T_AGENTS : T_NOBODY;
}

/*
 * Whoever could not tell at first is asked again only now and then (R15), and
 * an agent that was told something first takes its time: then the bound is the
 * longest.
 */
static int64_t
bound_us(struct host *h)
{
	struct world *w = h->w;
	const struct conf_timers *t = &w->conf->t;
	int64_t us = (int64_t)t->takeover_ms * MS + START_US;
	const struct conf_node *n;

	if (w->teller == T_EVIDENCE && !w->retold)
		return us;
	if (w->teller == T_VOTERS && !w->retold) /* once in vain, at most */
		return us + 2 * (int64_t)t->dead_ms * MS;
	/* The delay, twice if neither holds data, then every level. */
	us += 2 * FENCE_DELAY_US;
	n = &w->conf->nodes[1 - h->idx];
	for (unsigned l = 0; l < n->n_fences; l++)
		us += 2 * (int64_t)n->fences[l].timeout_ms * MS;
	return us;
}

void
watch_death(struct host *h)
{
	struct world *w = h->w;
	struct host *o = other(h);
	bool was_quiet = is_quiet(w);

	if (w->undecided && is_dead(h))
		return; /* more so now */
	watch_disturbed(w);
	if (!was_quiet || w->n_hosts == 1 || !able(o))
		return;
	/* R2, and what the configuration's word is worth then. */
	if (w->takeover &&
	    (w->with & W_DOMAIN || !(link_whole(w, 0) && link_whole(w, 1))))
		return;
	if (status(o)->member.jeopardy)
		return;
	w->undecided = true;
}

/* An operator, or R10, or a failure that R10 counts, keeps it where it is. */
static bool
is_held(const struct nd_status *s, unsigned service)
{
	return s->svc.frozen || NODESET_HAS(s->svc.standby, s->self) ||
	       s->svc.services[service].stopped ||
	       s->svc.services[service].frozen ||
	       s->svc.services[service].barred ||
	       s->svc.services[service].held[0] != '\0';
}

/*
 * R12: what could not be stopped is tried again after at most a minute; at once
 * when the peer dies, but a cluster of one has none.  The bound is from there.
 */
static bool
is_retried(struct host *h, const struct nd_status *s, unsigned service)
{
	int64_t now = h->w->sim->now, failed_at = h->stop_failed_at[service];

	if (h->w->n_hosts > 1 || failed_at == 0)
		return false;
	if (s->svc.services[service].state == SVC_FAILED &&
	    now - failed_at < RETRY_US)
		h->retried_at[service] = now;
	return h->retried_at[service] > failed_at &&
	       now - h->retried_at[service] <= bound_us(h);
}

static void
look_alive(struct world *w)
{
	struct host *h = &w->host[0];
	const struct nd_status *s;
	int teller;

	if (!w->undecided)
		return;
	if (w->n_hosts > 1 && is_dead(h))
		h = other(h);
	if (other(h)->running && other(h)->stopping)
		return; /* it says goodbye */
	teller = who_tells(h);
	if (!able(h) || (w->n_hosts > 1 && !is_dead(other(h))) ||
	    teller == T_NOBODY) {
		watch_disturbed(w);
		return;
	}
	if (w->hold_at == NEVER || teller != w->teller) {
		w->retold = w->hold_at != NEVER;
		w->hold_at = w->sim->now;
		w->teller = teller;
	}
	if (w->sim->now - w->hold_at <= bound_us(h))
		return;
	w->holds++;
	share_survivor(h);
	s = status(h);
	for (unsigned i = 0; i < SERVICES; i++)
		if (s->svc.services[i].state != SVC_RUNNING && !is_held(s, i) &&
		    !is_retried(h, s, i))
			violation(w, "I6",
			    "%s could run service %s since %lld ms, and it is "
			    "%s: %s",
			    h->name, w->conf->services[i].name,
			    (long long)((w->sim->now - w->hold_at) / MS),
			    svc_state_name(s->svc.services[i].state),
			    s->svc.services[i].reason);
}

void
watch_born(struct host *h)
{
	watch_disturbed(h->w);
	h->w->undecided = h->w->n_hosts == 1;
}

/* I5: whoever has lost the vote has no agent at work any more. */
static void
look_loser(struct host *h)
{
	if (!h->running || h->paused ||
	    status(h)->arb.peers[0].state != ARB_LOST)
		return;
	for (unsigned i = 0; i < AGENT_JOBS; i++)
		if (h->agents[i].used && h->agents[i].action == ARB_DO_OFF)
			violation(h->w, "I5",
			    "%s lost the vote, and its agent goes on", h->name);
}

void
watch_round(struct world *w)
{
	for (unsigned i = 0; i < w->n_hosts && w->with & W_FENCE; i++)
		look_loser(&w->host[i]);
	if (w->lied) {
		watch_disturbed(w);
		return;
	}
	look_quiet(w);
	look_alive(w);
}

/* --- I8 --- */

enum {
	BEATS_MAX = 120, /* heartbeats a second, of all links */
	SENDS_MAX = 6000, /* ctl */
	BULK_MAX = 30000,
	PERSISTS_MAX = 40,
	STEPS_MAX = 60,
	NOTES_MAX = 8, /* of one text */
};

static void
count(struct host *h, unsigned *n, unsigned limit, const char *what)
{
	struct world *w = h->w;

	if (w->sim->now - h->rate.since >= SEC) {
		memset(&h->rate, 0, sizeof(h->rate));
		h->rate.since = w->sim->now;
	}
	if (++*n > limit)
		violation(w, "I8", "%s %s %u times within a second", h->name,
		    what, *n);
}

void
watch_send(struct host *h, enum nd_kind kind)
{
	static const unsigned limits[] = {
	    [ND_CTL] = SENDS_MAX, [ND_BULK] = BULK_MAX, [ND_HB] = BEATS_MAX};

	count(h, &h->rate.sends[kind], limits[kind], "sends");
}

void
watch_persist(struct host *h)
{
	count(h, &h->rate.persists, PERSISTS_MAX, "writes its record");
}

void
watch_step(struct host *h)
{
	count(h, &h->rate.steps, STEPS_MAX, "runs a step");
}

static uint64_t
digest(uint64_t v, const char *text)
{
	for (; *text != '\0'; text++)
		v = (v ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return v;
}

/*
 * A warning comes once a second.  A state may change, and change back, as
 * often as its causes do, but not without end.
 */
void
watch_note(
    struct host *h, enum had_level level, const char *object, const char *text)
{
	uint64_t what =
	    digest(digest(UINT64_C(0xcbf29ce484222325), object), text);
	int64_t now = local_of(h, h->w->sim->now); /* it counts by that */
	unsigned i = 0, limit = level >= HAD_INFO ? NOTES_MAX : 1;

	while (i < TOLD && h->told[i].what != what)
		i++;
	if (i == TOLD) {
		i = h->told_next;
		h->told_next = (h->told_next + 1) % TOLD;
		h->told[i].what = what;
		h->told[i].at = NEVER;
	}
	if (h->told[i].at == NEVER || now - h->told[i].at >= SEC) {
		h->told[i].at = now;
		h->told[i].n = 0;
	}
	if (++h->told[i].n > limit)
		violation(h->w, "I8",
		    "%s says %u times within a second: %s: %s", h->name,
		    h->told[i].n, object, text);
}
