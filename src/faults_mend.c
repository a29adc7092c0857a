/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fault is mended.
 */
#include <stdio.h>
#include <string.h>

#include "faults_int.h"

static void
carrier_back(struct host *h, unsigned net)
{
	const struct faults *f = h->w->f;

	for (unsigned n = 0; n < f->n_nets; n++)
		if (strcmp(f->nets[n].ifname[h->idx],
			f->nets[net].ifname[h->idx]) == 0)
			net_carrier(h, n, true);
}

/* A direct cable that is not cut has its carrier from both machines. */
static void
power_back(struct host *h)
{
	struct world *w = h->w;

	for (unsigned l = 0; l < h->conf->n_fences; l++)
		w->fence_lost[h->idx][l] = false;
	for (unsigned n = 0; n < w->f->n_nets; n++)
		if (w->f->nets[n].link >= 0 && !w->f->nets[n].lan &&
		    !w->dead[n])
			carrier_back(host_other(h), n);
	host_restart(h);
}

/* A blank disk takes the peer's data. */
static void
disk_back(struct host *h)
{
	const char *why;
	int rc;

	h->disk_failed = false;
	rc = disk_format(h, false, &why);
	ASSERT(rc == 0);
	if (h->alive)
		host_restart(h);
}

void
mend(struct world *w, const struct fault *f)
{
	struct host *h = &w->host[f->host];

	switch (f->type) {
	case FAULT_CRASH:
	case FAULT_DAEMON:
	case FAULT_FREEZE:
		host_restart(h);
		break;
	case FAULT_POWER:
		power_back(h);
		break;
	case FAULT_DISK:
		disk_back(h);
		break;
	case FAULT_CABLE:
		carrier_back(h, f->which);
		break;
	case FAULT_DIRECT:
	case FAULT_SWITCH:
		w->dead[f->which] = false;
		for (unsigned i = 0; i < HOSTS; i++)
			carrier_back(&w->host[i], f->which);
		break;
	case FAULT_SILENT:
		w->silent[f->which] = false;
		break;
	case FAULT_DOMAIN:
		memset(w->silent, 0, sizeof(w->silent));
		break;
	case FAULT_PINGS:
		w->pings_lost = false;
		break;
	case FAULT_WITNESS:
		w->witness_lost = false;
		break;
	case FAULT_LOCKDISK:
		w->disk_lost[f->which] = false;
		break;
	case FAULT_FENCE:
		w->fence_lost[f->host][f->which] = false;
		break;
	case FAULT_N:
		ASSERT(false);
	}
	w->net_changed = w->now;
}

/* Fenced, or reset by its watchdog: no fault of the two. */
bool
mend_starts(struct world *w, char *what, size_t size)
{
	for (unsigned i = 0; i < HOSTS; i++) {
		struct host *h = &w->host[i];

		if (h->alive || h->hit)
			continue;
		snprintf(what, size, " and start %s", h->conf->name);
		host_restart(h);
		return true;
	}
	return false;
}
