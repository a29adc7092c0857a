/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an operator could type: it is tried, and only what brings the service
 * back is recommended.
 */
#include <stdio.h>
#include <string.h>

#include "faults_int.h"

enum { BACK_MS = 60 * 1000, STEP_MS = 50, STUCK_MS = 2000 };

static bool
writes_go(const struct world *w, const struct host *h, uint16_t service)
{
	const struct conf_service *cs = &w->conf->services[service];

	for (unsigned i = 0; i < cs->n_steps; i++) {
		const struct serve *s = &h->serve[cs->steps[i].ref];

		if (cs->steps[i].type == CONF_STEP_VOLUME &&
		    (!s->open || (s->busy && s->issued < w->changed)))
			return false;
	}
	return true;
}

static bool
is_back(const struct world *w, uint16_t service)
{
	for (unsigned i = 0; i < HOSTS; i++)
		if (verdict_runs(&w->host[i], service) &&
		    writes_go(w, &w->host[i], service))
			return true;
	return false;
}

bool
remedy_waits(struct world *w, uint16_t service, int64_t from)
{
	char why[256];

	while (w->now - from < BACK_MS * MS) {
		/* What loses data is no remedy. */
		if (is_back(w, service))
			return !verdict_at_risk(w, service, why, sizeof(why));
		world_run(w, STEP_MS);
	}
	return false;
}

/* Asks, and waits for what it brings about. */
static bool
try(struct host *h, enum nd_op op, int service, uint8_t node, uint16_t wanted,
    struct faults_outcome *o)
{
	struct world *w = h->w;
	int64_t from = w->now;

	/* Writes that had waited until now must not wait any more. */
	w->changed = w->now;
	if (host_ask(h, op, service, node) != 0 ||
	    !remedy_waits(w, wanted, from))
		return false;
	o->node = h->id;
	o->back_ms = (uint32_t)((w->now - from) / MS);
	return true;
}

static bool
is_frozen(struct host *h)
{
	const struct nd_status *st = host_status(h);

	return st->arb.n_peers > 0 && st->arb.peers[0].state == ARB_FROZEN;
}

static bool
is_held(struct host *h, uint16_t service)
{
	return host_status(h)->svc.services[service].held[0] != '\0';
}

/* The other node is down, or is made so: then it may be declared dead. */
static bool
declare(struct host *h, uint16_t service, struct faults_outcome *o)
{
	struct host *peer = host_other(h);
	const char *name = peer->conf->name;
	char text[128];
	bool ok;

	if (host_up(peer) || nd_verdict(h->nd, peer->id) == MB_PEER_GONE ||
	    nd_verdict(h->nd, peer->id) == MB_PEER_LEFT)
		return false;
	if (is_frozen(h)) {
		snprintf(text, sizeof(text), "hactl fence confirm %s", name);
		host_kill(peer, true);
		ok = try(h, ND_OP_FENCE_CONFIRM, -1, peer->id, service, o);
	} else {
		snprintf(
		    text, sizeof(text), "hactl seed --peer-is-down %s", name);
		host_kill(peer, true);
		ok = try(h, ND_OP_SEED, -1, peer->id, service, o);
	}
	snprintf(o->action, sizeof(o->action),
	    "make sure that %s is off, then on %s: %s", name, h->conf->name,
	    text);
	return ok;
}

/* Neither is in doubt, but nothing moves by itself. */
static bool
pull(struct host *h, uint16_t service, struct faults_outcome *o)
{
	const char *name = h->w->conf->services[service].name;

	if (is_held(h, service)) {
		snprintf(o->action, sizeof(o->action), "on %s: hactl thaw %s",
		    h->conf->name, name);
		if (try(h, ND_OP_THAW, service, 0, service, o))
			return true;
	}
	snprintf(o->action, sizeof(o->action), "on %s: hactl takeover %s",
	    h->conf->name, name);
	return try(h, ND_OP_TAKEOVER, service, h->id, service, o);
}

bool
remedy(struct world *w, uint16_t service, struct faults_outcome *o)
{
	/* Where it is stuck is more likely to help. */
	for (unsigned i = 0; i < HOSTS; i++)
		if (host_up(&w->host[i]) && declare(&w->host[i], service, o))
			return true;
	for (unsigned i = 0; i < HOSTS; i++)
		if (host_up(&w->host[i]) && pull(&w->host[i], service, o))
			return true;
	o->action[0] = '\0';
	o->node = 0;
	return false;
}
