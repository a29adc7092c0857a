/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fault happens.
 */
#include <string.h>

#include "faults_int.h"

static void
carrier_lost(struct host *h, unsigned net)
{
	const struct faults *f = h->w->f;

	/* Whatever goes over that interface. */
	for (unsigned n = 0; n < f->n_nets; n++)
		if (strcmp(f->nets[n].ifname[h->idx],
			f->nets[net].ifname[h->idx]) == 0)
			net_carrier(h, n, false);
}

/* A controller in the machine is fed by the machine. */
static bool
is_built_in(const char *agent)
{
	static const char *const names[] = {"ipmi", "ilo", "idrac", "drac",
	    "redfish", "imm", "amt", "rsa", "cimc"};

	for (unsigned i = 0; i < NITEMS(names); i++)
		if (strstr(agent, names[i]) != NULL)
			return true;
	return false;
}

static void
power_lost(struct host *h)
{
	struct world *w = h->w;

	host_kill(h, true);
	for (unsigned l = 0; l < h->conf->n_fences; l++)
		if (is_built_in(h->conf->fences[l].agent))
			w->fence_lost[h->idx][l] = true;
	/* Nothing drives the other end of a direct cable. */
	for (unsigned n = 0; n < w->f->n_nets; n++)
		if (w->f->nets[n].link >= 0 && !w->f->nets[n].lan)
			carrier_lost(host_other(h), n);
}

static bool
same_domain(const struct world *w, unsigned a, unsigned b)
{
	for (unsigned i = 0; i < HOSTS; i++) {
		const struct conf_link *l = w->conf->nodes[i].links;

		if (l[a].domain[0] != '\0' &&
		    strcmp(l[a].domain, l[b].domain) == 0)
			return true;
	}
	return false;
}

static void
domain_silent(struct world *w, unsigned link)
{
	for (unsigned l = 0; l < w->conf->nodes[0].n_links; l++)
		if (same_domain(w, link, l))
			w->silent[l] = true;
}

void
hit(struct world *w, const struct fault *f)
{
	struct host *h = &w->host[f->host];

	h->hit |= f->type == FAULT_CRASH || f->type == FAULT_POWER ||
		  f->type == FAULT_DAEMON || f->type == FAULT_FREEZE;
	switch (f->type) {
	case FAULT_CRASH:
		host_kill(h, true);
		break;
	case FAULT_POWER:
		power_lost(h);
		break;
	case FAULT_DAEMON:
		host_kill(h, false);
		break;
	case FAULT_FREEZE:
		h->frozen = true;
		break;
	case FAULT_DISK:
		h->disk_failed = true;
		break;
	case FAULT_CABLE:
		carrier_lost(h, f->which);
		break;
	case FAULT_DIRECT:
	case FAULT_SWITCH:
		w->dead[f->which] = true;
		for (unsigned i = 0; i < HOSTS; i++)
			carrier_lost(&w->host[i], f->which);
		break;
	case FAULT_SILENT:
		w->silent[f->which] = true;
		break;
	case FAULT_DOMAIN:
		domain_silent(w, f->which);
		break;
	case FAULT_PINGS:
		w->pings_lost = true;
		break;
	case FAULT_WITNESS:
		w->witness_lost = true;
		break;
	case FAULT_LOCKDISK:
		w->disk_lost[f->which] = true;
		break;
	case FAULT_FENCE:
		w->fence_lost[f->host][f->which] = true;
		break;
	case FAULT_N:
		ASSERT(false);
	}
	w->net_changed = w->changed = w->now;
	for (unsigned i = 0; i < HOSTS; i++)
		disk_write_now(&w->host[i]);
}
