/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which faults a configuration can have, and one run.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults_int.h"

enum { STEP_MS = 250, BOOT_MS = 60 * 1000, QUIET_MS = 3000 };

static struct fault *PRINTF_LIKE(5, 6) add(struct faults *f,
    enum fault_type type, unsigned host, unsigned which, const char *fmt, ...)
{
	struct fault *t = &f->list[f->n];
	va_list ap;

	ASSERT(f->n < FAULTS_MAX);
	f->n++;
	t->type = type;
	t->host = (uint8_t)host;
	t->which = (uint8_t)which;
	va_start(ap, fmt);
	vsnprintf(t->name, sizeof(t->name), fmt, ap);
	va_end(ap);
	return t;
}

static void PRINTF_LIKE(2, 3) remedy_is(struct fault *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->mend, sizeof(t->mend), fmt, ap);
	va_end(ap);
}

static void
node_faults(struct faults *f, unsigned i)
{
	const char *name = f->conf->nodes[i].name;

	remedy_is(
	    add(f, FAULT_CRASH, i, 0, "%s crashes", name), "restart %s", name);
	remedy_is(add(f, FAULT_POWER, i, 0, "%s loses its power", name),
	    "give %s power", name);
	remedy_is(add(f, FAULT_DAEMON, i, 0, "had dies on %s", name),
	    "start had on %s", name);
	remedy_is(add(f, FAULT_FREEZE, i, 0, "had freezes on %s", name),
	    "kill and start had on %s", name);
	if (f->conf->n_volumes > 0)
		remedy_is(
		    add(f, FAULT_DISK, i, 0, "the disk of %s fails", name),
		    "replace the disk of %s (hactl volume create)", name);
}

/* How many links share that link's domain, itself included. */
static unsigned
in_domain(const struct conf *c, unsigned link, const char **name)
{
	unsigned n = 1;

	for (unsigned l = 0; l < c->nodes[0].n_links; l++)
		for (unsigned i = 0; i < HOSTS && l != link; i++) {
			const struct conf_link *cl = c->nodes[i].links;

			if (cl[l].domain[0] == '\0' ||
			    strcmp(cl[l].domain, cl[link].domain) != 0)
				continue;
			*name = cl[l].domain;
			n += 1;
			break;
		}
	return n;
}

static void
net_faults(struct faults *f, unsigned n)
{
	const struct net *net = &f->nets[n];
	const char *what = net->link >= 0 ? "link" : "network", *domain = NULL;

	if (!net->lan)
		remedy_is(add(f, FAULT_DIRECT, 0, n,
			      "the cable of link %s is cut", net->name),
		    "mend link %s", net->name);
	for (unsigned i = 0; net->lan && i < HOSTS; i++)
		remedy_is(
		    add(f, FAULT_CABLE, i, n, "%s loses its cable of %s %s",
			f->conf->nodes[i].name, what, net->name),
		    "mend the cable of %s %s at %s", what, net->name,
		    f->conf->nodes[i].name);
	if (net->lan)
		remedy_is(add(f, FAULT_SWITCH, 0, n, "the switch of %s %s dies",
			      what, net->name),
		    "mend the switch of %s %s", what, net->name);
	if (net->link < 0)
		return;
	remedy_is(
	    add(f, FAULT_SILENT, 0, n, "link %s passes nothing", net->name),
	    "mend link %s", net->name);
	/* Named by its first link. */
	if (in_domain(f->conf, n, &domain) < 2)
		return;
	for (unsigned k = 0; k < f->n; k++)
		if (f->list[k].type == FAULT_DOMAIN &&
		    strstr(f->list[k].name, domain) != NULL)
			return;
	remedy_is(
	    add(f, FAULT_DOMAIN, 0, n, "domain %s passes nothing", domain),
	    "mend domain %s", domain);
}

static void
arbiter_faults(struct faults *f)
{
	const struct conf *c = f->conf;

	if (c->n_pings > 0)
		remedy_is(add(f, FAULT_PINGS, 0, 0, "no ping node answers"),
		    "mend the way to the ping nodes");
	if (c->witness.addr[0] != '\0')
		remedy_is(add(f, FAULT_WITNESS, 0, 0, "the witness is lost"),
		    "mend the witness");
	for (unsigned i = 0; i < c->n_lock_disks; i++)
		remedy_is(
		    add(f, FAULT_LOCKDISK, 0, i, "lock disk %u is lost", i + 1),
		    "mend lock disk %u", i + 1);
	for (unsigned i = 0; i < HOSTS; i++)
		for (unsigned l = 0; l < c->nodes[i].n_fences; l++)
			remedy_is(add(f, FAULT_FENCE, i, l,
				      "fence device %u of %s is dead", l + 1,
				      c->nodes[i].name),
			    "mend fence device %u of %s", l + 1,
			    c->nodes[i].name);
}

static bool
has_addresses(const struct conf *c, const char *ifname)
{
	for (unsigned i = 0; i < c->n_addresses; i++)
		if (strcmp(c->addresses[i].ifname, ifname) == 0)
			return true;
	return false;
}

static void
link_nets(struct faults *f)
{
	const struct conf *c = f->conf;

	for (unsigned l = 0; l < c->nodes[0].n_links; l++) {
		struct net *n = &f->nets[f->n_nets++];

		n->link = (int)l;
		memcpy(n->name, c->nodes[0].links[l].name, sizeof(n->name));
		for (unsigned i = 0; i < HOSTS; i++) {
			memcpy(n->ifname[i], c->nodes[i].links[l].ifname,
			    sizeof(n->ifname[i]));
			n->lan |= has_addresses(c, n->ifname[i]);
		}
		if (c->n_addresses == 0)
			n->lan = strncmp(n->name, "lan", 3) == 0;
		f->any_lan |= n->lan;
	}
}

/* Interfaces that carry service addresses and no link. */
static void
address_nets(struct faults *f)
{
	const struct conf *c = f->conf;

	for (unsigned a = 0; a < c->n_addresses; a++) {
		const char *ifname = c->addresses[a].ifname;
		bool known = false;
		struct net *n;

		for (unsigned i = 0; i < f->n_nets; i++)
			known |= strcmp(f->nets[i].ifname[0], ifname) == 0 ||
				 strcmp(f->nets[i].ifname[1], ifname) == 0;
		if (known || f->n_nets == NETS)
			continue;
		n = &f->nets[f->n_nets++];
		n->link = -1;
		n->lan = f->any_lan = true;
		memcpy(n->name, ifname, sizeof(n->ifname[0]));
		for (unsigned i = 0; i < HOSTS; i++)
			memcpy(n->ifname[i], ifname, sizeof(n->ifname[i]));
	}
}

struct faults *
faults_new(const struct conf *c, int service)
{
	struct faults *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	ASSERT(c->n_nodes == HOSTS && c->n_services > 0);
	ASSERT(service < (int)c->n_services);
	f->conf = c;
	f->service = service;
	for (unsigned s = 0; s < c->n_services; s++)
		f->home[s] = c->services[s].prefer != 0 ? c->services[s].prefer
							: c->nodes[0].id;
	link_nets(f);
	address_nets(f);
	for (unsigned i = 0; i < HOSTS; i++)
		node_faults(f, i);
	for (unsigned n = 0; n < f->n_nets; n++)
		net_faults(f, n);
	arbiter_faults(f);
	return f;
}

void
faults_free(struct faults *f)
{
	free(f);
}

unsigned
faults_count(const struct faults *f)
{
	return f->n;
}

const char *
faults_name(const struct faults *f, unsigned fault)
{
	ASSERT(fault < f->n);
	return f->list[fault].name;
}

uint8_t
faults_home(const struct faults *f, uint16_t service)
{
	return f->home[service];
}

/* How much of a node is dead: the daemon stands, is gone, and its kernel. */
static int
deadness(enum fault_type t)
{
	switch (t) {
	case FAULT_FREEZE:
		return 1;
	case FAULT_DAEMON:
		return 2;
	case FAULT_CRASH:
		return 3;
	case FAULT_POWER:
		return 4;
	default:
		return 0;
	}
}

bool
faults_void(const struct faults *f, unsigned first, unsigned second)
{
	const struct fault *a = &f->list[first], *b = &f->list[second];
	int dead = deadness(a->type);

	if (first == second)
		return true;
	return dead > 0 && a->host == b->host && deadness(b->type) > 0 &&
	       deadness(b->type) <= dead;
}

/* Both are there, agree, and have the same data. */
static bool
is_paired(struct world *w)
{
	for (unsigned i = 0; i < HOSTS; i++) {
		const struct nd_status *st = host_status(&w->host[i]);

		if (st->member.self != MB_PAIRED ||
		    st->member.peers[0].verdict != MB_PEER_ALIVE)
			return false;
		for (unsigned v = 0; v < st->n_vols; v++)
			if (st->vols[v].conn != MIR_CONN_INSYNC ||
			    st->vols[v].disk != MIR_DISK_UPTODATE)
				return false;
	}
	return true;
}

static bool
runs_at(struct world *w, uint16_t s, uint8_t node)
{
	for (unsigned i = 0; i < HOSTS; i++)
		if (w->host[i].id == node)
			return verdict_runs(&w->host[i], s);
	return false;
}

/* A service is where an operator would have it. */
static bool
bring_home(struct world *w, uint16_t s)
{
	uint8_t home = w->f->home[s];
	struct host *h = &w->host[w->host[0].id == home ? 0 : 1];

	if (runs_at(w, s, home))
		return true;
	host_ask(h, ND_OP_TAKEOVER, s, home);
	for (unsigned ms = 0; ms < BOOT_MS; ms += STEP_MS) {
		if (runs_at(w, s, home))
			return true;
		world_run(w, STEP_MS);
	}
	return false;
}

static int
begin(struct world *w, char *why, size_t size)
{
	unsigned ms = 0;

	while (!is_paired(w) && (ms += STEP_MS) < BOOT_MS)
		world_run(w, STEP_MS);
	world_run(w, QUIET_MS);
	for (uint16_t s = 0; ms < BOOT_MS && s < w->conf->n_services; s++)
		if (!bring_home(w, s))
			ms = BOOT_MS;
	if (ms >= BOOT_MS) {
		snprintf(why, size, "the pair does not come up: %.150s",
		    host_status(&w->host[0])->reason);
		return -1;
	}
	world_run(w, QUIET_MS);
	while (!is_paired(w) && (ms += STEP_MS) < BOOT_MS)
		world_run(w, STEP_MS);
	return 0;
}

/* After which nothing is under way any more that is not seen. */
static void
spans(const struct conf *c, int64_t *least_ms, int64_t *most_ms)
{
	int64_t fence_ms = 0;

	for (unsigned i = 0; i < HOSTS; i++) {
		int64_t ms = 0;

		for (unsigned l = 0; l < c->nodes[i].n_fences; l++)
			ms += 2 * (int64_t)c->nodes[i].fences[l].timeout_ms;
		fence_ms = ms > fence_ms ? ms : fence_ms;
	}
	*least_ms = 2 * (int64_t)c->t.takeover_ms + 2000;
	*most_ms = *least_ms + fence_ms + 15000;
	if (fence_ms > 0)
		*least_ms += 10000;
}

static void
settle(struct world *w)
{
	int64_t least, most, from = w->now;

	spans(w->conf, &least, &most);
	while (w->now - from < most * MS &&
	       (w->now - from < least * MS || !verdict_calm(w)))
		world_run(w, STEP_MS);
}

/* Until nothing changes any more; NULL: the pair does not come up. */
static struct world *
play(const struct faults *f, const struct fault *a, const struct fault *b,
    uint32_t gap_ms, char *why, size_t size)
{
	struct world *w = world_new(f);

	if (begin(w, why, size) < 0) {
		world_free(w);
		return NULL;
	}
	w->hit_at = w->now;
	for (unsigned s = 0; s < f->conf->n_services; s++)
		w->seen[s].on = w->host[0].id == f->home[s] ? 0 : 1;
	hit(w, a);
	if (b != NULL && gap_ms > 0)
		world_run(w, gap_ms);
	if (b != NULL)
		hit(w, b);
	settle(w);
	return w;
}

/* Is it enough to mend these of the two?  The rest stays as it is. */
static bool
mended(const struct faults *f, const struct fault *a, const struct fault *b,
    uint32_t gap_ms, bool first, bool second, struct faults_outcome *o)
{
	char why[256], starts[80] = "";
	struct world *w = play(f, a, b, gap_ms, why, sizeof(why));
	int64_t from;
	bool ok;

	ASSERT(w != NULL);
	from = w->changed = w->now;
	if (first)
		mend(w, a);
	if (second)
		mend(w, b);
	ok = remedy_waits(w, o->worst, from);
	if (!ok && mend_starts(w, starts, sizeof(starts))) {
		from = w->changed = w->now;
		ok = remedy_waits(w, o->worst, from);
	}
	if (ok) {
		o->back_ms = (uint32_t)((w->now - from) / MS);
		snprintf(o->action, sizeof(o->action), "%s%s%s%s",
		    first ? a->mend : "", first && second ? " and " : "",
		    second ? b->mend : "", starts);
	}
	world_free(w);
	return ok;
}

int
faults_run(const struct faults *f, unsigned first, int second, uint32_t gap_ms,
    struct faults_outcome *o)
{
	const struct fault *a, *b = second >= 0 ? &f->list[second] : NULL;
	struct world *w;

	ASSERT(first < f->n && second < (int)f->n);
	memset(o, 0, sizeof(*o));
	a = &f->list[first];
	w = play(f, a, b, gap_ms, o->why, sizeof(o->why));
	if (w == NULL)
		return -1;
	verdict(w, a, b, o);
	world_free(w);
	if (o->services[o->worst].kind != FAULTS_WAITS || o->node != 0)
		return 0;
	/* The least of it that helps; the later one is the nearer one. */
	if (b == NULL)
		mended(f, a, b, gap_ms, true, false, o);
	else if (!mended(f, a, b, gap_ms, false, true, o) &&
		 !mended(f, a, b, gap_ms, true, false, o))
		mended(f, a, b, gap_ms, true, true, o);
	return 0;
}
