/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What became of the services.
 */
#include <stdio.h>
#include <string.h>

#include "faults_int.h"

enum { CALM_US = 3000000, SLOW_US = 400000, STUCK_US = 5000000 };

const char *
faults_kind_name(enum faults_kind k)
{
	static const char *const names[] = {
#define X(sym, name) name,
	    FAULTS_OUTCOME_LIST(X)
#undef X
	};

	ASSERT(k < FAULTS_KIND_N);
	return names[k];
}

static bool
looked_at(const struct world *w, unsigned service)
{
	return w->f->service < 0 || w->f->service == (int)service;
}

static bool
has_address(const struct conf_service *cs)
{
	for (unsigned i = 0; i < cs->n_steps; i++)
		if (cs->steps[i].type == CONF_STEP_ADDRESS)
			return true;
	return false;
}

/* All but its addresses, which only count where clients are. */
static bool
started(const struct host *h, uint16_t service)
{
	const struct conf_service *cs = &h->w->conf->services[service];

	/* An address alone is answered for until its lease has run out. */
	if (!host_up(h) && (cs->data || !has_address(cs)))
		return false;
	for (unsigned i = 0; i < cs->n_steps; i++) {
		const struct conf_step *st = &cs->steps[i];

		if (st->type == CONF_STEP_VOLUME) {
			if (!h->serve[st->ref].open || h->serve[st->ref].broken)
				return false;
		} else if (st->type == CONF_STEP_ADDRESS) {
			if (!h->addr[st->ref])
				return false;
		} else if (!h->active[service][i]) {
			return false;
		}
	}
	return true;
}

bool
verdict_runs(const struct host *h, uint16_t service)
{
	const struct conf_service *cs = &h->w->conf->services[service];

	if (!h->alive || !started(h, service))
		return false;
	for (unsigned i = 0; i < cs->n_steps; i++)
		if (cs->steps[i].type == CONF_STEP_ADDRESS &&
		    !host_answers(h, cs->steps[i].ref))
			return false;
	return true;
}

static void
look_at(struct world *w, uint16_t s)
{
	bool there[HOSTS];
	int on = -1;

	for (int i = 0; i < HOSTS; i++) {
		there[i] = verdict_runs(&w->host[i], s);
		if (there[i])
			on = i;
	}
	if (there[0] && there[1]) {
		w->doubled = true;
		on = w->seen[s].on >= 0 ? w->seen[s].on : on;
	}
	if (on == w->seen[s].on)
		return;
	if (on < 0) {
		w->seen[s].away_since = w->now;
	} else if (w->seen[s].on < 0) {
		int64_t us = w->now - w->seen[s].away_since;

		if (us > w->seen[s].away_us)
			w->seen[s].away_us = us;
	}
	w->seen[s].on = on;
	w->changed = w->now;
}

void
verdict_look(struct world *w)
{
	if (w->hit_at == NEVER)
		return;
	for (uint16_t s = 0; s < w->conf->n_services; s++)
		if (looked_at(w, s))
			look_at(w, s);
}

/* Of the volumes of a service, one whose write waits for longer than that. */
static bool
writes_wait(const struct world *w, uint16_t s, int64_t us)
{
	const struct conf_service *cs = &w->conf->services[s];
	const struct host *h;

	if (w->seen[s].on < 0)
		return false;
	h = &w->host[w->seen[s].on];
	for (unsigned i = 0; i < cs->n_steps; i++) {
		const struct serve *v = &h->serve[cs->steps[i].ref];

		if (cs->steps[i].type == CONF_STEP_VOLUME && v->busy &&
		    w->now - v->issued > us)
			return true;
	}
	return false;
}

bool
verdict_calm(const struct world *w)
{
	for (uint16_t s = 0; s < w->conf->n_services; s++)
		if (looked_at(w, s) &&
		    (w->seen[s].on < 0 || writes_wait(w, s, SLOW_US)))
			return false;
	return w->now - w->changed >= CALM_US;
}

/* Are acknowledged writes to a volume lost, or about to be? */
static bool
volume_at_risk(
    const struct world *w, uint16_t vol, int on, char *why, size_t size)
{
	const char *name = w->conf->volumes[vol].name;
	const struct host *failed = NULL;
	bool complete = false;

	for (unsigned i = 0; i < HOSTS; i++) {
		complete |=
		    !w->host[i].disk_failed && disk_complete(&w->host[i], vol);
		if (w->host[i].disk_failed)
			failed = &w->host[i];
	}
	if (w->both[vol])
		snprintf(why, size,
		    "both nodes write to volume %s: two different copies, one "
		    "of which has to be given up",
		    name);
	else if (!complete)
		snprintf(why, size,
		    "acknowledged writes to volume %s are lost with the disk "
		    "of %s",
		    name, failed != NULL ? failed->conf->name : "a node");
	else if (on >= 0 && !w->host[on].disk_failed &&
		 !disk_complete(&w->host[on], vol))
		snprintf(why, size,
		    "%s goes on with a copy of volume %s that lacks "
		    "acknowledged writes",
		    w->host[on].conf->name, name);
	else
		return false;
	return true;
}

bool
verdict_at_risk(const struct world *w, uint16_t s, char *why, size_t size)
{
	const struct conf_service *cs = &w->conf->services[s];

	for (unsigned i = 0; i < cs->n_steps; i++)
		if (cs->steps[i].type == CONF_STEP_VOLUME &&
		    volume_at_risk(
			w, cs->steps[i].ref, w->seen[s].on, why, size))
			return true;
	return false;
}

static uint32_t
ms_of(int64_t us)
{
	return (uint32_t)((us + MS / 2) / MS);
}

static void
judge(const struct world *w, uint16_t s, struct faults_service *r)
{
	char why[256];
	bool waits = writes_wait(w, s, STUCK_US);

	memset(r, 0, sizeof(*r));
	if (w->seen[s].on >= 0)
		r->on = w->host[w->seen[s].on].id;
	r->away_ms = ms_of(w->seen[s].away_us);
	r->held_ms = ms_of(w->seen[s].held_us);
	if (verdict_at_risk(w, s, why, sizeof(why)))
		r->kind = FAULTS_RISK;
	else if (r->on == 0 || waits)
		r->kind = FAULTS_WAITS;
	else if (r->away_ms > 0 || r->on != w->f->home[s])
		r->kind = FAULTS_MOVES;
	else
		r->kind = FAULTS_CONTINUES;
}

/* Its steps are all there, but what it writes fails. */
static bool
fails_on(const struct world *w, uint16_t s, const char **on)
{
	const struct conf_service *cs = &w->conf->services[s];

	for (unsigned i = 0; i < HOSTS; i++) {
		const struct host *h = &w->host[i];

		for (unsigned k = 0; k < cs->n_steps && host_up(h); k++) {
			const struct serve *v = &h->serve[cs->steps[k].ref];

			if (cs->steps[k].type != CONF_STEP_VOLUME || !v->open ||
			    !v->broken)
				continue;
			*on = h->conf->name;
			return true;
		}
	}
	return false;
}

/* Why a service is not to be had, as far as the world knows better. */
static bool
why_away(const struct world *w, uint16_t s, char *why, size_t size)
{
	const char *name = w->conf->services[s].name;
	const char *on;

	if (writes_wait(w, s, STUCK_US)) {
		on = w->host[w->seen[s].on].conf->name;
		snprintf(why, size,
		    "%s runs on %s, but its writes wait until somebody says "
		    "what became of the other node",
		    name, on);
		return true;
	}
	if (fails_on(w, s, &on)) {
		snprintf(why, size,
		    "%s runs on %s, but no copy of its data is in reach there",
		    name, on);
		return true;
	}
	if (!host_up(&w->host[0]) && !host_up(&w->host[1])) {
		snprintf(why, size, "no daemon is left");
		return true;
	}
	for (unsigned i = 0; i < HOSTS; i++) {
		if (!started(&w->host[i], s))
			continue;
		snprintf(why, size, "%s runs on %s, but no client reaches it",
		    name, w->host[i].conf->name);
		return true;
	}
	return false;
}

/* What a node says that is there; the unhappiest of them. */
static void
why_says(struct world *w, char *why, size_t size)
{
	enum nd_health worst = ND_OK;

	for (unsigned i = 0; i < HOSTS; i++) {
		const struct nd_status *st;

		if (!host_up(&w->host[i]))
			continue;
		st = host_status(&w->host[i]);
		if (why[0] != '\0' && st->health <= worst)
			continue;
		worst = st->health;
		snprintf(
		    why, size, "%s: %s", w->host[i].conf->name, st->reason);
	}
}

static uint16_t
worst_of(const struct world *w, const struct faults_outcome *o)
{
	int worst = -1;

	for (uint16_t s = 0; s < w->conf->n_services; s++) {
		const struct faults_service *a = &o->services[s], *b;

		if (!looked_at(w, s))
			continue;
		b = worst >= 0 ? &o->services[worst] : NULL;
		if (b == NULL || a->kind > b->kind ||
		    (a->kind == b->kind &&
			a->away_ms + a->held_ms > b->away_ms + b->held_ms))
			worst = s;
	}
	ASSERT(worst >= 0);
	return (uint16_t)worst;
}

void
verdict(struct world *w, const struct fault *first, const struct fault *second,
    struct faults_outcome *o)
{
	memset(o, 0, sizeof(*o));
	for (uint16_t s = 0; s < w->conf->n_services; s++)
		if (looked_at(w, s))
			judge(w, s, &o->services[s]);
	o->worst = worst_of(w, o);
	o->doubled = w->doubled;
	for (unsigned i = 0; i < HOSTS; i++)
		o->daemons += host_up(&w->host[i]);
	if (o->services[o->worst].kind == FAULTS_RISK)
		verdict_at_risk(w, o->worst, o->why, sizeof(o->why));
	if (o->services[o->worst].kind != FAULTS_WAITS)
		return;
	if (!why_away(w, o->worst, o->why, sizeof(o->why)))
		why_says(w, o->why, sizeof(o->why));
	if (remedy(w, o->worst, o))
		return;
	snprintf(o->action, sizeof(o->action), "%s%s%s", first->mend,
	    second != NULL ? " and " : "", second != NULL ? second->mend : "");
}
