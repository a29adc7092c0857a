/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What must hold for elected addresses.
 *
 * I1: two nodes answer for one only while nothing tells them of each other,
 * which is neither the LAN, by adverts, nor a link that carries words; and no
 * longer than it takes to hear, once something does.  A master that takes from
 * a worse one by an advert may overlap with it for as long as that flies, and,
 * if the worse one stands still, until its guard closes.
 *
 * I6: if one node can hold all its routers and the other cannot, they are on
 * the one within the protocol's bound.
 *
 * I7: in a quiet time no router changes its state.
 *
 * All of it of the routers and addresses that both nodes' files have, or one.
 * A reload is the time from which what it changed is judged anew; what it did
 * not change notices nothing (sim_vr_file.c).
 */
#include <string.h>

#include "sim_vr.h"

enum {
	SLACK_US = 100000, /* for daemons and their mail */
	FLIGHT_US = 100000, /* of a word */
	CROSS_US = 5000, /* words that cross: both took at once */
	START_US = 500000, /* a take, after everything else */
};

void
rt_disturbed(struct world *w)
{
	if (w->vr != NULL)
		w->vr->still_at = w->sim->now;
}

void
rt_changed(struct world *w, unsigned router)
{
	const struct conf_router *r = w->conf->routers;

	for (unsigned k = 0; k < w->conf->n_routers; k++)
		if (k == router ||
		    (r[k].group[0] != '\0' &&
			strcmp(r[k].group, r[router].group) == 0))
			w->vr->changed_at[k] = w->sim->now;
}

/* Also what comes and goes between two looks. */
void
rt_anew(struct world *w)
{
	rt_disturbed(w);
	if (w->vr != NULL)
		w->vr->alone_at = NEVER;
}

void
rt_words_lost(struct world *w)
{
	if (w->vr != NULL)
		w->vr->words_bad_at = w->sim->now;
}

/* As if it had not run for so long: it gives way, and listens. */
void
rt_jumped(const struct host *h)
{
	if (h->w->vr != NULL && h->w->vr->alone == h->idx)
		h->w->vr->alone_at = NEVER;
}

static bool
fair(const struct wire_dir *d)
{
	return !d->cut && !d->clogged && d->loss_permille == 0 &&
	       d->delay_us <= MS && d->jitter_us <= MS;
}

static bool
link_fair(const struct world *w, unsigned l)
{
	return link_works(w, l) && fair(&w->link[l].dir[0]) &&
	       fair(&w->link[l].dir[1]);
}

static bool
lan_fair(const struct world *w)
{
	return link_fair(w, LAN) && w->vr->host[0].lost_permille == 0 &&
	       w->vr->host[1].lost_permille == 0;
}

/* Words take the first link that works; see sim_net.c. */
static bool
words_fair(struct world *w)
{
	if (!paired(w) ||
	    !(link_works(w, 0) ? link_fair(w, 0) : link_fair(w, LAN)))
		return false;
	for (unsigned i = 0; i < HOSTS; i++) {
		const struct nd_peer_status *p = &w->host[i].st->peers[0];

		/* One that is being shut down takes no word any more. */
		if (!p->ctl || !p->hello || w->assoc[0].end[i].closing)
			return false;
	}
	return true;
}

/* What happened between two looks. */
static void
last_cuts(struct world *w)
{
	struct vr_world *v = w->vr;

	for (unsigned l = 0; l < LINKS; l++)
		for (unsigned d = 0; d < HOSTS; d++) {
			int64_t t = w->link[l].dir[d].changed;

			if (t > v->words_bad_at)
				v->words_bad_at = t;
			if (l == LAN && t > v->lan_bad_at)
				v->lan_bad_at = t;
		}
}

static void
look_links(struct world *w, bool words)
{
	struct vr_world *v = w->vr;

	last_cuts(w);
	if (!lan_fair(w))
		v->lan_bad_at = w->sim->now;
	if (words && !words_fair(w))
		v->words_bad_at = w->sim->now;
}

static bool
asleep(const struct world *w)
{
	for (unsigned i = 0; i < HOSTS; i++)
		if (w->host[i].paused || w->host[i].waking)
			return true;
	return false;
}

static bool
is_carp(const struct world *w, unsigned id)
{
	return w->conf->routers[w->conf->addresses[id].router].proto ==
	       CONF_CARP;
}

static bool
preempts(const struct conf_router *r)
{
	return r->preempt || r->proto == CONF_CARP ||
	       r->rank[1] == CONF_VRRP_OWNER || r->rank[2] == CONF_VRRP_OWNER;
}

/* May one take while the other holds and does not run? */
static bool
takes_by_right(const struct world *w, unsigned id)
{
	uint16_t router = w->conf->addresses[id].router;

	for (unsigned i = 0; i < w->n_hosts; i++) {
		const struct conf_router *r = rt_router(&w->host[i], router);

		if (r != NULL && preempts(r))
			return true;
	}
	return preempts(&w->conf->routers[router]);
}

/*
 * Each had heard that the other gave it up, and one of them stood still before
 * it could hear that the other has it.
 */
static bool
took_at_once(const struct vr_world *v, unsigned i)
{
	int64_t apart = v->since[0][i] - v->since[1][i];

	return apart > -CROSS_US && apart < CROSS_US;
}

/* How long may both answer, if adverts work? */
static int64_t
lan_bound(const struct world *w, unsigned i)
{
	const struct vr_world *v = w->vr;

	if (v->asleep[i])
		return takes_by_right(w, ADDRESSES + i) || took_at_once(v, i)
			   ? v->down_us
			   : 0;
	if (asleep(w))
		return v->down_us;
	/* Its counter may be one that was used while it did not run. */
	return is_carp(w, ADDRESSES + i) ? v->every_us + SLACK_US : SLACK_US;
}

/* What one says the other has heard. */
static bool
words_passed(const struct world *w)
{
	const struct conf_timers *t = &w->conf->t;

	return w->sim->now - w->vr->words_bad_at >
	       (2 * (int64_t)t->heartbeat_ms + t->dead_ms) * MS + FLIGHT_US;
}

bool
rt_words_passed(struct world *w)
{
	look_links(w, true);
	return words_passed(w);
}

static void
judge_twice(struct world *w, unsigned i)
{
	struct vr_world *v = w->vr;
	int64_t now = w->sim->now, twice = now - v->twice_at[i];

	look_links(w, true);
	if (now - v->lan_bad_at > v->down_us + SLACK_US &&
	    twice > lan_bound(w, i))
		violation(w, "I1",
		    "both nodes answer for address %s since %lld ms, and "
		    "adverts pass",
		    w->conf->addresses[ADDRESSES + i].name,
		    (long long)(twice / MS));
	else if (words_passed(w) &&
		 twice > (asleep(w) ? v->down_us : FLIGHT_US))
		violation(w, "I1",
		    "both nodes answer for address %s since %lld ms, and "
		    "words pass",
		    w->conf->addresses[ADDRESSES + i].name,
		    (long long)(twice / MS));
}

void
rt_check(struct world *w)
{
	struct vr_world *v = w->vr;

	if (v == NULL || w->n_hosts == 1)
		return;
	share_check(w);
	look_links(w, false);
	for (unsigned i = 0; i < VR_ADDRS; i++) {
		for (unsigned k = 0; k < 2; k++)
			if (!rt_answers(&w->host[k], ADDRESSES + i))
				v->since[k][i] = 0;
			else if (v->since[k][i] == 0)
				v->since[k][i] = w->sim->now;
		if (v->since[0][i] == 0 || v->since[1][i] == 0) {
			v->twice_at[i] = NEVER;
			continue;
		}
		if (v->twice_at[i] == NEVER) {
			v->twice_at[i] = w->sim->now;
			v->asleep[i] = asleep(w);
			v->doubles++;
			detail(w, "both answer for address %u", ADDRESSES + i);
		}
		if (w->host[0].misled || w->host[1].misled)
			w->excused++;
		else
			judge_twice(w, i);
	}
}

/* --- I6 --- */

/* Nothing of its own keeps its routers from being held here. */
static bool
able(struct host *h)
{
	const struct vr_host *v = rt_host(h);

	return h->running && !h->paused && !h->stopping && !h->misled &&
	       h->carrier[LAN] && h->carrier[0] && !v->no_file &&
	       h->fail_permille == 0 && v->failed_at == NEVER && !h->ping_cut &&
	       !NODESET_HAS(status(h)->svc.standby, h->id);
}

/* It neither holds nor can, and who hears nothing of it may know. */
static bool
out(const struct host *h)
{
	if (!h->running || h->paused)
		return true;
	return !h->carrier[LAN] && link_fair(h->w, 0);
}

static void
look_alone(struct world *w)
{
	struct vr_world *v = w->vr;
	struct host *h = NULL;
	int64_t bound =
	    (w->conf->t.takeover_ms + 3 * (int64_t)w->conf->t.heartbeat_ms) *
		MS +
	    v->down_us + v->delay_us + START_US;

	for (unsigned i = 0; i < w->n_hosts; i++)
		if (able(&w->host[i]) &&
		    (w->n_hosts == 1 || out(&w->host[1 - i])))
			h = &w->host[i];
	if (h == NULL) {
		v->alone_at = NEVER;
		return;
	}
	if (v->alone_at == NEVER || v->alone != h->idx)
		v->alone_at = w->sim->now;
	v->alone = h->idx;
	if (w->sim->now - v->alone_at <= bound)
		return;
	v->looks++;
	for (unsigned k = 0; k < w->conf->n_routers; k++)
		if (rt_configured(h, k) && !rt_holds(h, k) &&
		    w->sim->now - v->changed_at[k] > bound)
			violation(w, "I6",
			    "%s could hold router %s since %lld ms, and does "
			    "not",
			    h->name, w->conf->routers[k].name,
			    (long long)((w->sim->now - v->alone_at) / MS));
}

/*
 * Members that only one node has go nowhere as long as the other one holds the
 * others of that sync group.
 */
static bool
uneven(const struct world *w, unsigned router)
{
	const struct conf_router *r = w->conf->routers;

	if (w->n_hosts == 1 || r[router].group[0] == '\0')
		return false;
	for (unsigned k = 0; k < w->conf->n_routers; k++)
		if (strcmp(r[k].group, r[router].group) == 0 &&
		    rt_configured(&w->host[0], k) !=
			rt_configured(&w->host[1], k))
			return true;
	return false;
}

/* Each router is held by one of those that have it. */
static const char *
unheld(const struct world *w, int64_t changed_us)
{
	static char text[160];

	for (unsigned k = 0; k < w->conf->n_routers; k++) {
		unsigned n = 0, wanted = 0;

		for (unsigned i = 0; i < w->n_hosts; i++) {
			n += rt_holds(&w->host[i], k);
			wanted |= rt_configured(&w->host[i], k);
		}
		if (n == wanted || (n == 0 && uneven(w, k)) ||
		    w->sim->now - w->vr->changed_at[k] < changed_us)
			continue;
		snprintf(text, sizeof(text), "router %s is held by %u nodes",
		    w->conf->routers[k].name, n);
		return text;
	}
	return NULL;
}

const char *
rt_unsettled(struct world *w)
{
	const char *why;

	if (w->vr == NULL)
		return NULL;
	why = unheld(w, 0);
	return why != NULL ? why : share_unsettled(w);
}

/* --- I7 --- */

static uint64_t
moves(const struct host *h, unsigned router)
{
	struct vr_status s;

	if (!h->running ||
	    !nd_router_status(h->nd, rt_host(h)->router_at[router], &s))
		return 0;
	return s.transitions;
}

static bool
quiet(const struct world *w)
{
	for (unsigned i = 0; i < w->n_hosts; i++)
		for (unsigned l = 0; l < LINKS; l++)
			if (!w->host[i].carrier[l])
				return false;
	return w->quiet_at != NEVER && w->sim->now >= w->quiet_at;
}

/* By a look now and then: what moved and moved back counts, too. */
static void
look_still(struct world *w)
{
	struct vr_world *v = w->vr;
	int64_t enough = v->down_us + v->delay_us + 3 * SEC;
	const char *why;
	bool still;

	if (!quiet(w))
		v->still_at = w->sim->now;
	still = w->sim->now - v->still_at > enough;
	for (unsigned i = 0; i < w->n_hosts; i++)
		for (unsigned k = 0; k < w->conf->n_routers; k++) {
			struct host *h = &w->host[i];
			uint64_t n = moves(h, k);

			if (n == v->host[i].moves[k])
				continue;
			v->host[i].moves[k] = n;
			/* By a reload that changed it. */
			if (w->sim->now - v->changed_at[k] <= enough)
				continue;
			v->still_at = w->sim->now;
			if (still)
				violation(w, "I7",
				    "%s: router %s moved, and all is well",
				    h->name, w->conf->routers[k].name);
		}
	if (!still)
		return;
	why = unheld(w, enough);
	if (why == NULL)
		why = share_unsettled(w);
	if (why != NULL)
		violation(w, "I7", "all is well, but %s", why);
}

void
rt_round(struct world *w)
{
	if (w->vr == NULL)
		return;
	look_links(w, true);
	rt_check(w);
	if (w->lied) {
		rt_anew(w);
		return;
	}
	look_alone(w);
	look_still(w);
	/* What failed once is tried again, later and later. */
	for (unsigned i = 0; i < w->n_hosts; i++)
		if (w->host[i].fail_permille == 0 &&
		    w->vr->host[i].failed_at != NEVER &&
		    w->sim->now - w->vr->host[i].failed_at > 70 * SEC)
			w->vr->host[i].failed_at = NEVER;
}
