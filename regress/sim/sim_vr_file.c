/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file of each node, which operators edit on one node first and then on
 * the other, or for a while on one only; and its reload, by the code of the
 * daemon.  What a reload does not change does not notice it.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim_vr.h"

enum {
	AGAIN_US = 300000, /* who is told to reload once more */
	TIDY_US = 250000, /* the daemon's tick */
};

/* --- its text --- */

struct sheet {
	const struct world *w; /* borrowed */
	const struct vr_file *f; /* borrowed */
	char s[VR_TEXT];
	size_t used;
	int router; /* whose block it is, or -1 */
};

static void PRINTF_LIKE(2, 3) put(struct sheet *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->used +=
	    (size_t)vsnprintf(t->s + t->used, sizeof(t->s) - t->used, fmt, ap);
	va_end(ap);
	ASSERT(t->used < sizeof(t->s));
}

static int
router_named(const struct world *w, const char *name)
{
	for (int i = 0; i < w->conf->n_routers; i++)
		if (strcmp(w->conf->routers[i].name, name) == 0)
			return i;
	had_assert_fail(__FILE__, __LINE__, name);
}

static unsigned
address_named(const struct world *w, const char *name)
{
	for (unsigned i = ADDRESSES; i < w->conf->n_addresses; i++)
		if (strcmp(w->conf->addresses[i].name, name) == 0)
			return i;
	had_assert_fail(__FILE__, __LINE__, name);
}

static unsigned
host_named(const struct world *w, const char *name)
{
	for (unsigned i = 0; i < w->n_hosts; i++)
		if (strcmp(host_names[w->idx][i], name) == 0)
			return i;
	had_assert_fail(__FILE__, __LINE__, name);
}

static bool
has_addr(const struct world *w, const struct vr_file *f, unsigned id)
{
	uint16_t router = w->conf->addresses[id].router;

	return router == UINT16_MAX ||
	       (f->router[router] && f->addr[id - ADDRESSES]);
}

/* A line of a router's block. */
static void
put_statement(struct sheet *t, const char *line)
{
	char word[32], name[32];
	unsigned n;

	if (!t->f->router[t->router])
		return;
	if (sscanf(line, "router %31s", name) == 1) {
		put(t, "router %s%s {\n", name,
		    t->f->renamed[t->router] ? "-new" : "");
		return;
	}
	if (sscanf(line, " address %31s", name) == 1) {
		if (!has_addr(t->w, t->f, address_named(t->w, name)))
			return;
	} else if (sscanf(line, " %31s %u on %31s", word, &n, name) == 3) {
		int rank = t->f->rank[t->router][host_named(t->w, name)];

		if (rank >= 0) {
			put(t, "	%s %d on %s\n", word, rank, name);
			return;
		}
	} else if (sscanf(line, " interval %u", &n) == 1) {
		if (t->f->every_ms[t->router] > 0) {
			put(t, "	interval %ums\n",
			    t->f->every_ms[t->router]);
			return;
		}
	}
	put(t, "%s\n", line);
}

static void
put_line(struct sheet *t, const char *line)
{
	char name[32];

	if (sscanf(line, "router %31s", name) == 1)
		t->router = router_named(t->w, name);
	if (t->router >= 0) {
		put_statement(t, line);
		if (strcmp(line, "}") == 0)
			t->router = -1;
		return;
	}
	if (sscanf(line, "address %31s", name) == 1 &&
	    !has_addr(t->w, t->f, address_named(t->w, name)))
		return;
	put(t, "%s\n", line);
}

static struct conf *
parse(const struct host *h, const struct vr_file *f)
{
	const struct world *w = h->w;
	struct sheet *t = calloc(1, sizeof(*t));
	char text[VR_TEXT], *rest = text, *line;
	struct conf *c;

	if (t == NULL)
		exit(2);
	t->w = w;
	t->f = f;
	t->router = -1;
	snprintf(text, sizeof(text), "%s", w->vr->text);
	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			put_line(t, line);
	c = conf_make(w->sim->seed, w->with, w->idx, w->n_hosts, t->s);
	free(t);
	return c;
}

/* --- its numbers --- */

static uint16_t
router_at(const struct conf *c, const struct conf_router *r)
{
	for (uint16_t i = 0; i < c->n_routers; i++)
		if (c->routers[i].vrid == r->vrid &&
		    !conf_is_hole(c->routers[i].name))
			return i;
	return VR_NOWHERE;
}

static uint16_t
addr_at(const struct conf *c, const struct conf_address *a)
{
	for (uint16_t i = ADDRESSES; i < c->n_addresses; i++)
		if (c->addresses[i].family == a->family &&
		    memcmp(c->addresses[i].bytes, a->bytes, 16) == 0 &&
		    !conf_is_hole(c->addresses[i].name))
			return i;
	return VR_NOWHERE;
}

static void
number(struct host *h)
{
	const struct conf *c = h->w->conf;
	struct vr_host *v = rt_host(h);

	for (unsigned k = 0; k < c->n_routers; k++)
		v->router_at[k] = router_at(h->conf, &c->routers[k]);
	for (unsigned i = ADDRESSES; i < c->n_addresses; i++)
		v->addr_at[i - ADDRESSES] = addr_at(h->conf, &c->addresses[i]);
}

uint16_t
rt_number(const struct host *h, uint16_t id)
{
	const struct vr_host *v = rt_host(h);

	if (id < ADDRESSES)
		return id;
	for (uint16_t i = 0; i < VR_ADDRS; i++)
		if (v->addr_at[i] == id)
			return (uint16_t)(i + ADDRESSES);
	violation(
	    h->w, "contract", "%s: no address has number %u", h->name, id);
	return ADDRESSES;
}

const struct conf_router *
rt_router(const struct host *h, unsigned router)
{
	uint16_t i = rt_host(h)->router_at[router];

	return i == VR_NOWHERE ? NULL : &h->conf->routers[i];
}

bool
rt_configured(const struct host *h, unsigned router)
{
	const struct conf_router *r = rt_router(h, router);

	return h->running && r != NULL && !r->leaving;
}

void
rt_files(struct world *w, const struct vr_drawn *d)
{
	struct vr_world *v = w->vr;

	v->text = strdup(d->text);
	if (v->text == NULL)
		exit(2);
	v->reloads = d->reloads;
	for (unsigned i = 0; i < HOSTS; i++) {
		struct vr_host *h = &v->host[i];

		for (unsigned k = 0; k < VR_ROUTERS; k++) {
			h->file.router[k] = (d->late >> k & 1) == 0;
			h->file.rank[k][0] = h->file.rank[k][1] = -1;
			h->router_at[k] = VR_NOWHERE;
		}
		for (unsigned k = 0; k < VR_ADDRS; k++) {
			h->file.addr[k] = true;
			h->addr_at[k] = VR_NOWHERE;
		}
	}
}

void
rt_read(struct host *h)
{
	struct vr_host *v;

	if (h->w->vr == NULL) {
		h->conf = h->w->conf;
		return;
	}
	v = rt_host(h);
	free(h->conf);
	h->conf = parse(h, &v->file);
	number(h);
	rt_bounds(h->w, h->conf);
	v->reloads++;
	v->tidying = false;
	/* What an earlier one left: see vip_sweep.h. */
	for (unsigned i = 0; i < VR_ADDRS; i++)
		v->addr[i] &= v->addr_at[i] != VR_NOWHERE;
}

/* --- what an operator changes --- */

/* False: it would be no file, or one that no operator may bring about. */
static bool
apply(const struct world *w, struct vr_file *f, const struct vr_edit *e)
{
	const struct conf_router *r;
	unsigned left = 0;

	switch (e->what) {
	case ED_ROUTER:
		f->router[e->which] = e->there;
		return true;
	case ED_ADDR:
		r = &w->conf->routers[w->conf->addresses[e->which].router];
		f->addr[e->which - ADDRESSES] = e->there;
		for (uint8_t i = 0; i < r->n_addrs; i++)
			left += f->addr[r->addrs[i] - ADDRESSES];
		return left > 0 && (r->proto == CONF_VRRP3 || f->router[r->id]);
	case ED_RANK:
		f->rank[e->which][e->node] = (int)e->value;
		return true;
	case ED_EVERY:
		f->every_ms[e->which] = e->value;
		return true;
	case ED_NAME:
		f->renamed[e->which] = !e->there;
		return true;
	default:
		return true;
	}
}

/* The list of these is the same on both nodes, or neither believes another. */
static bool
is_fixed(const struct world *w, const struct vr_edit *e)
{
	return e->what == ED_ADDR &&
	       w->conf->routers[w->conf->addresses[e->which].router].proto !=
		   CONF_VRRP3;
}

static void
tell(const struct host *h, const struct vr_edit *e)
{
	const struct conf *c = h->w->conf;

	if (e->what == ED_ROUTER)
		say(h->w, "%s reload: router %s %s", h->name,
		    c->routers[e->which].name, e->there ? "comes" : "goes");
	else if (e->what == ED_ADDR)
		say(h->w, "%s reload: address %s %s", h->name,
		    c->addresses[e->which].name, e->there ? "comes" : "goes");
	else if (e->what == ED_RANK)
		say(h->w, "%s reload: router %s has %s %d on %s", h->name,
		    c->routers[e->which].name,
		    c->routers[e->which].proto == CONF_CARP ? "skew"
							    : "priority",
		    (int)e->value, host_names[h->w->idx][e->node]);
	else if (e->what == ED_NAME)
		say(h->w, "%s reload: router %s has %s name", h->name,
		    c->routers[e->which].name, e->there ? "its" : "another");
	else
		say(h->w, "%s reload: router %s has interval %u ms", h->name,
		    c->routers[e->which].name, e->value);
}

/* A file without a daemon has no reload: the next start reads it. */
void
rt_edit(struct host *h, const struct vr_edit *e)
{
	struct vr_file f = rt_host(h)->file;

	if (h->running) {
		deliver_in(h,
		    mail_bytes(h, ND_EV_VR_RELOAD, FROM_CTL, e, sizeof(*e)),
		    100);
		return;
	}
	if (is_fixed(h->w, e) || !apply(h->w, &f, e))
		return;
	tell(h, e);
	rt_host(h)->file = f;
}

void
rt_has(struct host *h, unsigned router, bool there)
{
	struct vr_edit e = {.what = ED_ROUTER, .which = router, .there = there};

	rt_edit(h, &e);
}

void
rt_has_addr(struct host *h, unsigned id, bool there)
{
	struct vr_edit e = {.what = ED_ADDR, .which = id, .there = there};

	rt_edit(h, &e);
}

void
rt_rename(struct host *h, unsigned router)
{
	struct vr_edit e = {.what = ED_NAME,
	    .which = router,
	    .there = rt_host(h)->file.renamed[router]};

	rt_edit(h, &e);
}

void
rt_rank(struct host *h, unsigned router, uint8_t rank)
{
	struct vr_edit e = {
	    .what = ED_RANK, .which = router, .node = h->idx, .value = rank};

	if (h->running)
		rt_edit(h, &e);
}

/* --- what the daemon does --- */

static bool
leaves(const struct conf *c)
{
	for (unsigned i = 0; i < c->n_routers; i++)
		if (c->routers[i].leaving)
			return true;
	for (unsigned i = 0; i < c->n_addresses; i++)
		if (c->addresses[i].leaving)
			return true;
	return false;
}

static void
ev_tidy(struct world *w, struct ev *e)
{
	struct host *h = e->h;
	struct vr_host *v = rt_host(h);

	if (h->gen != e->gen || !h->running)
		return;
	if (!h->paused && nd_reload_tidy(h->nd, h->conf, NULL, NULL)) {
		number(h);
		for (unsigned i = 0; i < VR_ADDRS; i++)
			if (v->addr[i] && v->addr_at[i] == VR_NOWHERE)
				violation(w, "reload",
				    "%s: address %s is gone from the file, and "
				    "on its interface",
				    h->name,
				    w->conf->addresses[ADDRESSES + i].name);
	}
	v->tidying = leaves(h->conf);
	if (v->tidying)
		at(w, w->sim->now + TIDY_US, ev_tidy, h, h->gen);
}

/* Which routers are as before. */
struct before {
	bool same[VR_ROUTERS]; /* and so are those of its group */
	/* At most, its name or its addresses are others. */
	bool goes_on[VR_ROUTERS];
	uint64_t moves[VR_ROUTERS];
	bool answers[VR_ADDRS];
};

static bool
same_addrs(const struct world *w, const struct vr_file *f,
    const struct vr_file *g, unsigned k)
{
	const struct conf_router *r = &w->conf->routers[k];

	for (uint8_t i = 0; i < r->n_addrs; i++)
		if (f->addr[r->addrs[i] - ADDRESSES] !=
		    g->addr[r->addrs[i] - ADDRESSES])
			return false;
	return true;
}

static bool
same_else(const struct vr_file *f, const struct vr_file *g, unsigned k)
{
	return f->router[k] == g->router[k] && f->rank[k][0] == g->rank[k][0] &&
	       f->rank[k][1] == g->rank[k][1] &&
	       f->every_ms[k] == g->every_ms[k];
}

static bool
together(const struct conf *c, unsigned a, unsigned b)
{
	return c->routers[a].group[0] != '\0' &&
	       strcmp(c->routers[a].group, c->routers[b].group) == 0;
}

static uint64_t
moves(const struct host *h, unsigned router)
{
	struct vr_status s;

	return nd_router_status(h->nd, rt_host(h)->router_at[router], &s)
		   ? s.transitions
		   : 0;
}

static void
look_before(const struct host *h, const struct vr_file *f,
    const struct vr_file *g, struct before *b)
{
	const struct world *w = h->w;
	unsigned n = w->conf->n_routers;

	memset(b, 0, sizeof(*b));
	for (unsigned k = 0; k < n; k++) {
		b->goes_on[k] = rt_configured(h, k) && same_else(f, g, k);
		b->same[k] = same_else(f, g, k) && same_addrs(w, f, g, k);
		if (b->goes_on[k])
			b->moves[k] = moves(h, k);
	}
	for (unsigned k = 0; k < n; k++)
		for (unsigned i = 0; i < n; i++)
			if (!same_else(f, g, i) && together(w->conf, i, k))
				b->same[k] = b->goes_on[k] = false;
	for (unsigned i = 0; i < VR_ADDRS; i++)
		b->answers[i] = rt_answers(h, ADDRESSES + i);
}

/* What stays has no transition, and no address of it falls silent. */
static void
look_after(const struct host *h, const struct before *b)
{
	struct world *w = h->w;

	for (unsigned k = 0; k < w->conf->n_routers; k++) {
		const struct conf_router *r = &w->conf->routers[k];

		if (!b->goes_on[k])
			continue;
		if (moves(h, k) != b->moves[k])
			violation(w, "reload",
			    "%s: router %s stays, and moved by a reload",
			    h->name, r->name);
		for (uint8_t i = 0; i < r->n_addrs; i++)
			if (b->answers[r->addrs[i] - ADDRESSES] &&
			    rt_host(h)->file.addr[r->addrs[i] - ADDRESSES] &&
			    !rt_answers(h, r->addrs[i]))
				violation(w, "reload",
				    "%s: address %s stays, and fell silent by "
				    "a reload",
				    h->name,
				    w->conf->addresses[r->addrs[i]].name);
	}
}

static void
ev_again(struct world *w, struct ev *e)
{
	(void)w;
	if (e->h->gen == e->gen)
		rt_edit(e->h, e->data);
}

static void
later(struct host *h, const struct vr_edit *edit, int64_t us,
    void (*fn)(struct world *, struct ev *))
{
	struct ev *e = at(h->w, h->w->sim->now + us, fn, h, h->gen);

	e->data = malloc(sizeof(*edit));
	if (e->data == NULL)
		exit(2);
	memcpy(e->data, edit, sizeof(*edit));
}

/* Refused by right: until the last one is done, or for good. */
static void
refused(struct host *h, const struct vr_edit *edit, const char *why)
{
	say(h->w, "%s refuses: %s", h->name, why);
	if (strstr(why, "reload once more") != NULL)
		later(h, edit, AGAIN_US, ev_again);
	else if (!is_fixed(h->w, edit))
		violation(h->w, "reload", "%s refuses: %s", h->name, why);
}

static bool
changes(const struct conf_merge *m)
{
	return m->added + m->removed + m->changed + m->addrs_added +
		   m->addrs_removed >
	       0;
}

/* As drive_reload.c does it. */
static void
take(struct host *h, struct mail *m, const struct conf *merged,
    const struct vr_file *f)
{
	struct vr_host *v = rt_host(h);
	struct vr_file was = v->file;
	struct conf *old = malloc(sizeof(*old));
	bool late = h->timer_at <= m->e.now.us;
	struct before b;

	if (old == NULL)
		exit(2);
	memcpy(old, h->conf, sizeof(*old));
	look_before(h, &was, f, &b);
	m->e.u.reload.vr = nd_reload_new(h->nd, merged);
	m->e.u.reload.tracks = old->tracks;
	m->e.u.reload.n_tracks = old->n_tracks;
	conf_copy_routers(h->conf, merged);
	v->file = *f;
	v->reloads++;
	number(h);
	rt_bounds(h->w, h->conf);
	for (unsigned k = 0; k < h->w->conf->n_routers; k++)
		if (!b.same[k])
			rt_changed(h->w, k);
	nd_step(h->nd, &m->e);
	free(old);
	/* Time that had passed was noticed by this, too. */
	if (!late)
		look_after(h, &b);
	rt_check(h->w);
	rt_tell(h);
	if (leaves(h->conf) && !v->tidying) {
		v->tidying = true;
		at(h->w, h->w->sim->now + TIDY_US, ev_tidy, h, h->gen);
	}
}

bool
rt_reload(struct host *h, struct mail *m)
{
	struct vr_file f = rt_host(h)->file;
	struct conf *next, *merged;
	struct conf_merge what;
	struct vr_edit edit;
	char why[256];
	bool ok;

	ASSERT(m->len == sizeof(edit));
	memcpy(&edit, m->data, sizeof(edit));
	if (!apply(h->w, &f, &edit))
		return false;
	tell(h, &edit);
	next = parse(h, &f);
	merged = malloc(sizeof(*merged));
	if (merged == NULL)
		exit(2);
	ok = conf_merge(merged, h->conf, next, &what, why, sizeof(why)) == 0;
	if (!ok)
		refused(h, &edit, why);
	else if (changes(&what))
		take(h, m, merged, &f);
	if (ok) {
		rt_host(h)->file = f;
		h->conf->digest = next->digest;
	}
	free(next);
	free(merged);
	return ok;
}

/* --- operators at random --- */

static struct vr_edit
draw(struct world *w, struct host *h)
{
	static const unsigned every[] = {100, 200, 400, 1000};
	unsigned k = (unsigned)rnd_in(w, 0, w->conf->n_routers - 1);
	unsigned kind = (unsigned)rnd_in(w, 0, 10);
	const struct conf_router *r = &w->conf->routers[k];
	const struct vr_file *f = &rt_host(h)->file;
	struct vr_edit e = {.what = ED_ROUTER, .which = k};

	e.there = !f->router[k];
	if (kind < 4)
		return e;
	if (kind < 7 && r->n_addrs > 1) {
		e.what = ED_ADDR;
		e.which = r->addrs[rnd_in(w, 0, r->n_addrs - 1)];
		e.there = !f->addr[e.which - ADDRESSES];
	} else if (kind == 10) {
		e.what = ED_NAME;
		e.there = f->renamed[k];
	} else if (kind == 9 && r->proto == CONF_VRRP3) {
		e.what = ED_EVERY;
		e.value = every[rnd_in(w, 0, NITEMS(every) - 1)];
	} else {
		e.what = ED_RANK;
		e.node = (unsigned)rnd_in(w, 0, (int64_t)w->n_hosts - 1);
		e.value = (unsigned)rnd_in(w, 1, 254);
	}
	return e;
}

/* What brings the file back to what it is. */
static struct vr_edit
undo(const struct vr_file *f, const struct vr_edit *e)
{
	struct vr_edit back = *e;

	back.there = !e->there;
	if (e->what == ED_RANK)
		back.value = (unsigned)f->rank[e->which][e->node];
	else if (e->what == ED_EVERY)
		back.value = f->every_ms[e->which];
	return back;
}

static void
ev_second(struct world *w, struct ev *e)
{
	if (!w->sim->calm)
		rt_edit(e->h, e->data);
}

/* On one first and on the other later, on one for a while, or on one only. */
static void
change(struct world *w)
{
	struct host *h = &w->host[rnd_in(w, 0, (int64_t)w->n_hosts - 1)];
	struct vr_edit e = draw(w, h), back = undo(&rt_host(h)->file, &e);
	int64_t how = rnd_in(w, 0, 9);
	int64_t us = rnd_in(w, MS, chance(w, 300) ? 300 * MS : 8 * SEC);

	w->sim->faults++;
	rt_edit(h, &e);
	if (how < 6 && w->n_hosts > 1)
		later(other(h), &e, us, ev_second);
	else if (how < 8)
		later(h, &back, us, ev_second);
}

void
rt_files_swarm(struct sim *s)
{
	for (unsigned i = 0; i < s->n_worlds; i++) {
		struct world *w = s->world[i];

		if (w->vr != NULL && w->vr->reloads)
			faults_from(
			    w, rnd_in(w, SEC, 6 * SEC), 6 * SEC, change);
	}
}

/* Mostly, the operator ends with the same file on both. */
void
rt_files_heal(struct world *w)
{
	const struct vr_file *f = &w->vr->host[0].file;
	const struct vr_file *g = &w->vr->host[1].file;
	struct host *h = &w->host[1];

	if (!w->vr->reloads || w->n_hosts == 1 || chance(w, 300))
		return;
	for (unsigned k = 0; k < w->conf->n_routers; k++) {
		const struct conf_router *r = &w->conf->routers[k];
		struct vr_edit e = {
		    .what = ED_EVERY, .which = k, .value = f->every_ms[k]};

		if (f->every_ms[k] != g->every_ms[k])
			rt_edit(h, &e);
		if (f->renamed[k] != g->renamed[k])
			rt_rename(h, k);
		for (unsigned i = 0; i < HOSTS; i++) {
			e.what = ED_RANK;
			e.node = i;
			e.value = (unsigned)f->rank[k][i];
			if (f->rank[k][i] != g->rank[k][i])
				rt_edit(h, &e);
		}
		for (uint8_t i = 0; i < r->n_addrs; i++) {
			unsigned id = r->addrs[i];

			/* What comes first, so that there is always one. */
			if (f->addr[id - ADDRESSES] && !g->addr[id - ADDRESSES])
				rt_has_addr(h, id, true);
		}
		for (uint8_t i = 0; i < r->n_addrs; i++) {
			unsigned id = r->addrs[i];

			if (!f->addr[id - ADDRESSES] && g->addr[id - ADDRESSES])
				rt_has_addr(h, id, false);
		}
		if (f->router[k] != g->router[k])
			rt_has(h, k, f->router[k]);
	}
}
