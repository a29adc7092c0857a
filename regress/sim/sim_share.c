/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses that both nodes share: the guard that lets each answer the clients
 * of its buckets, and what must hold: no client is answered by both, and each
 * by one, unless nobody can tell what became of the other node.
 */
#include <string.h>

#include "sim_vr.h"

static bool
is_shared(const struct world *w, unsigned id)
{
	return w->conf->addresses[id].share;
}

uint64_t
share_answers(const struct host *h, unsigned id)
{
	const struct vr_host *v = rt_host(h);
	uint16_t at = v->addr_at[id - ADDRESSES];

	if (at == VR_NOWHERE || !h->powered || h->frozen || !h->carrier[LAN] ||
	    !v->addr[id - ADDRESSES] || h->w->sim->now >= v->shared.until ||
	    !vip_set_has(&v->shared.open, at))
		return 0;
	return v->buckets;
}

static void
told(struct host *h, const char *what)
{
	detail(h->w, "%s %s shared addresses: %016llx", h->name, what,
	    (unsigned long long)rt_host(h)->buckets);
	share_check(h->w);
}

void
share_lease(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct host *h = ctx;
	struct world *w = h->w;
	struct mail *m = mail_new(h, ND_EV_VIP, FROM_VIP);

	if (until.us >
	    local_of(h, w->sim->now) + (int64_t)w->conf->t.lease_ms * MS)
		violation(w, "I1",
		    "%s opens the guard of shared addresses for too long",
		    h->name);
	rt_set_guard(h, &rt_host(h)->shared, open, until);
	mix(w, open->w[0] << 32 ^ (uint64_t)rt_host(h)->shared.until);
	m->e.shared = true;
	m->e.u.vip.type = VIP_EV_LEASED;
	m->e.u.vip.u.leased.seq = seq;
	m->e.u.vip.u.leased.ok = true;
	deliver_in(h, m, 10);
	told(h, "renews its lease of");
}

void
share_serve(void *ctx, uint32_t seq, uint64_t buckets)
{
	struct host *h = ctx;
	struct mail *m = mail_new(h, ND_EV_SERVED, FROM_VIP);

	m->e.u.served.seq = seq;
	m->e.u.served.ok = !chance(h->w, h->fail_permille / 4);
	if (m->e.u.served.ok) {
		if (rt_host(h)->buckets != buckets)
			say(h->w, "%s serves shares %016llx", h->name,
			    (unsigned long long)buckets);
		rt_host(h)->buckets = buckets;
	} else {
		rt_host(h)->failed_at = h->w->sim->now;
	}
	mix(h->w, buckets);
	deliver_in(h, m, 10);
	told(h, "serves of");
}

/*
 * Whoever has all keeps it until the other speaks up, which may take longer
 * than to hear that it lives.
 */
static bool
excused(struct world *w)
{
	if (addr_excused(w, 1))
		w->vr->shares_twice = true;
	else if (!w->vr->shares_twice || rt_words_passed(w))
		return false;
	w->excused++;
	return true;
}

void
share_check(struct world *w)
{
	bool twice = false;

	for (unsigned id = ADDRESSES; id < w->conf->n_addresses; id++) {
		uint64_t both;

		if (!is_shared(w, id))
			continue;
		both = share_answers(&w->host[0], id) &
		       share_answers(&w->host[1], id);
		if (both == 0)
			continue;
		twice = true;
		if (excused(w))
			continue;
		violation(w, "I1",
		    "both nodes answer shares %016llx of address %s",
		    (unsigned long long)both, w->conf->addresses[id].name);
	}
	w->vr->shares_twice &= twice;
}

const char *
share_unsettled(struct world *w)
{
	static char text[160];

	for (unsigned id = ADDRESSES; id < w->conf->n_addresses; id++) {
		uint64_t a, b;

		if (!is_shared(w, id))
			continue;
		a = share_answers(&w->host[0], id);
		b = share_answers(&w->host[1], id);
		if ((a | b) == SHARE_EVERY && (a & b) == 0)
			continue;
		snprintf(text, sizeof(text),
		    "shares of address %s: %016llx and %016llx",
		    w->conf->addresses[id].name, (unsigned long long)a,
		    (unsigned long long)b);
		return text;
	}
	return NULL;
}

void
share_survivor(struct host *h)
{
	struct world *w = h->w;

	if (w->vr == NULL || rt_host(h)->failed_at != NEVER ||
	    NODESET_HAS(status(h)->svc.standby, h->id))
		return;
	for (unsigned id = ADDRESSES; id < w->conf->n_addresses; id++)
		if (is_shared(w, id) && share_answers(h, id) != SHARE_EVERY)
			violation(w, "I6",
			    "%s is left, and answers shares %016llx of "
			    "address %s",
			    h->name, (unsigned long long)share_answers(h, id),
			    w->conf->addresses[id].name);
}
