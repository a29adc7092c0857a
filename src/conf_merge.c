/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A reload of routers and addresses: a new configuration is laid over the one
 * that runs, so that what both have keeps its place.  See conf.h.
 */
#include <bsd/string.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf_int.h"

struct merge {
	struct conf *out;
	const struct conf *old, *next;
	struct conf_merge *m;
	char *why;
	size_t size;
	uint16_t addr[HAD_ADDRESSES_MAX]; /* of next: its place in out */
	uint16_t router[HAD_ADDRESSES_MAX]; /* the same */
	bool fresh[HAD_ADDRESSES_MAX]; /* of out: a router that is new */
};

static int refuse(struct merge *g, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int
refuse(struct merge *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(g->why, g->size, fmt, ap);
	va_end(ap);
	return -1;
}

static void
name(struct merge *g, char sign, const char *what)
{
	char *to = g->m->names;
	size_t used = strlen(to);

	if (used + HAD_NAME_MAX + 8 >= sizeof(g->m->names))
		strlcpy(to + used,
		    strcmp(to + used - 3, "...") == 0 ? "" : " ...", 5);
	else
		snprintf(to + used, sizeof(g->m->names) - used, "%s %c%s",
		    used == 0 ? ":" : "", sign, what);
}

/* Only routers have it. */
static bool
routed(const struct conf_address *a)
{
	return a->service == UINT16_MAX && !a->share;
}

static bool
same_address(const struct conf_address *a, const struct conf_address *b)
{
	return a->family == b->family && a->prefix == b->prefix &&
	       memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0 &&
	       strcmp(a->ifname, b->ifname) == 0 && a->share == b->share &&
	       a->service == b->service;
}

static bool
same_router(const struct conf_router *a, const struct conf_router *b)
{
	return a->vrid == b->vrid && a->family == b->family &&
	       strcmp(a->ifname, b->ifname) == 0;
}

/* Where an address of next is in out, or is to be. */
static int
place_address(struct merge *g, uint16_t k)
{
	const struct conf_address *a = &g->next->addresses[k];
	struct conf *out = g->out;
	uint16_t at = UINT16_MAX;

	for (uint16_t i = 0; i < out->n_addresses; i++) {
		const struct conf_address *o = &out->addresses[i];

		if (conf_is_hole(o->name)) {
			at = at == UINT16_MAX ? i : at;
			continue;
		}
		if (o->family != a->family ||
		    memcmp(o->bytes, a->bytes, sizeof(a->bytes)) != 0)
			continue;
		if (o->leaving)
			return refuse(g,
			    "address %s is still being given up: reload once "
			    "more",
			    o->name);
		if (!same_address(o, a))
			return refuse(g,
			    "address %s gets another interface, prefix length, "
			    "service or share, which needs a restart of had",
			    a->name);
		g->addr[k] = i;
		return 0;
	}
	if (!routed(a))
		return refuse(g,
		    "address %s is new, and of a service or shared, which "
		    "needs a restart of had",
		    a->name);
	if (at == UINT16_MAX && out->n_addresses == HAD_ADDRESSES_MAX)
		return refuse(g,
		    "there are more than %d addresses with those that leave: "
		    "reload without these first, then with the new ones",
		    HAD_ADDRESSES_MAX);
	if (at == UINT16_MAX)
		at = out->n_addresses++;
	g->addr[k] = at;
	g->m->addrs_added++;
	out->addresses[at] = *a;
	return 0;
}

static int
place_addresses(struct merge *g)
{
	bool there[HAD_ADDRESSES_MAX] = {false};
	struct conf *out = g->out;

	memcpy(out->addresses, g->old->addresses, sizeof(out->addresses));
	out->n_addresses = g->old->n_addresses;
	for (uint16_t k = 0; k < g->next->n_addresses; k++) {
		if (place_address(g, k) < 0)
			return -1;
		there[g->addr[k]] = true;
	}
	for (uint16_t k = 0; k < g->next->n_addresses; k++) {
		out->addresses[g->addr[k]] = g->next->addresses[k];
		out->addresses[g->addr[k]].id = g->addr[k];
		out->addresses[g->addr[k]].router = UINT16_MAX;
	}
	for (uint16_t i = 0; i < out->n_addresses; i++) {
		struct conf_address *a = &out->addresses[i];

		if (there[i] || conf_is_hole(a->name) || a->leaving)
			continue;
		if (!routed(a))
			return refuse(g,
			    "address %s, of a service or shared, is not in the "
			    "file any more, which needs a restart of had",
			    a->name);
		a->leaving = true;
		g->m->addrs_removed++;
	}
	return 0;
}

/* What a router cannot change while it runs. */
static int
check_kept(
    struct merge *g, const struct conf_router *o, const struct conf_router *r)
{
	const char *what = NULL;

	if (o->leaving)
		return refuse(g,
		    "router %s is still being given up: reload once more",
		    o->name);
	if (o->proto != r->proto)
		what = "its protocol";
	else if (o->service != r->service)
		what = "its service";
	else if (o->virtual_mac != r->virtual_mac)
		what = "virtual mac";
	if (what != NULL)
		return refuse(g,
		    "router %s changes %s, which needs a restart of had",
		    r->name, what);
	return 0;
}

/* A group keeps its number. */
static int
number_group(struct merge *g, uint16_t k)
{
	const char *name = g->next->routers[k].group;
	bool taken[UINT8_MAX] = {true};
	uint8_t id = 0;

	if (name[0] == '\0')
		return 0;
	for (uint16_t i = 0; i < g->old->n_routers; i++) {
		const struct conf_router *o = &g->old->routers[i];

		if (strcmp(o->group, name) == 0)
			return o->group_id;
		taken[o->group_id] = true;
	}
	for (uint16_t i = 0; i < k; i++) {
		const struct conf_router *o = &g->out->routers[g->router[i]];

		if (strcmp(o->group, name) == 0)
			return o->group_id;
		taken[o->group_id] = true;
	}
	while (id < UINT8_MAX && taken[id])
		id++;
	if (id == UINT8_MAX)
		return refuse(g,
		    "there are more than %d groups with those that leave: "
		    "reload without these first",
		    UINT8_MAX - 1);
	return id;
}

/* An interface keeps its number; one that no router is on has it for later. */
static int
number_interface(struct merge *g, const char *ifname)
{
	struct conf *c = g->out;

	for (uint16_t i = 0; i < c->n_router_ifs; i++)
		if (strcmp(c->router_ifs[i], ifname) == 0)
			return 0;
	if (c->n_router_ifs == HAD_ROUTER_IFS_MAX)
		return refuse(g,
		    "routers have been on more than %d interfaces since the "
		    "start, which needs a restart of had",
		    HAD_ROUTER_IFS_MAX);
	memcpy(c->router_ifs[c->n_router_ifs++], ifname, 16);
	return 0;
}

/* Where a router of next is in out, or is to be. */
static int
place_router(struct merge *g, uint16_t k)
{
	const struct conf_router *r = &g->next->routers[k];
	struct conf *out = g->out;
	uint16_t at = UINT16_MAX;

	for (uint16_t i = 0; i < out->n_routers; i++) {
		const struct conf_router *o = &out->routers[i];

		if (conf_is_hole(o->name))
			at = at == UINT16_MAX ? i : at;
		else if (same_router(o, r)) {
			g->router[k] = i;
			return check_kept(g, o, r);
		}
	}
	if (at == UINT16_MAX && out->n_routers == HAD_ADDRESSES_MAX)
		return refuse(g,
		    "there are more than %d routers with those that leave: "
		    "reload without these first, then with the new ones",
		    HAD_ADDRESSES_MAX);
	if (at == UINT16_MAX)
		at = out->n_routers++;
	g->router[k] = at;
	g->fresh[at] = true;
	out->routers[at] = *r;
	return number_interface(g, r->ifname);
}

/* The router of next at its place, with the places of its addresses. */
static int
put_router(struct merge *g, uint16_t k)
{
	struct conf_router *r = &g->out->routers[g->router[k]];
	int group = number_group(g, k);

	if (group < 0)
		return -1;
	*r = g->next->routers[k];
	r->id = g->router[k];
	r->group_id = (uint8_t)group;
	for (uint8_t i = 0; i < r->n_addrs; i++) {
		r->addrs[i] = g->addr[r->addrs[i]];
		g->out->addresses[r->addrs[i]].router = r->id;
	}
	return 0;
}

static int
place_routers(struct merge *g)
{
	bool there[HAD_ADDRESSES_MAX] = {false};
	struct conf *out = g->out;

	memcpy(out->routers, g->old->routers, sizeof(out->routers));
	out->n_routers = g->old->n_routers;
	memcpy(out->router_ifs, g->old->router_ifs, sizeof(out->router_ifs));
	out->n_router_ifs = g->old->n_router_ifs;
	for (uint16_t k = 0; k < g->next->n_routers; k++) {
		if (place_router(g, k) < 0)
			return -1;
		there[g->router[k]] = true;
	}
	for (uint16_t k = 0; k < g->next->n_routers; k++)
		if (put_router(g, k) < 0)
			return -1;
	for (uint16_t i = 0; i < out->n_routers; i++) {
		struct conf_router *r = &out->routers[i];

		if (there[i] || conf_is_hole(r->name) || r->leaving)
			continue;
		r->leaving = true;
		g->m->removed++;
		name(g, '-', r->name);
	}
	return 0;
}

/* Who has an address cannot change while it is held. */
static int
check_addresses(struct merge *g)
{
	for (uint16_t i = 0; i < g->old->n_addresses; i++) {
		const struct conf_address *o = &g->old->addresses[i];
		const struct conf_address *a = &g->out->addresses[i];
		const struct conf_router *r;

		if (conf_is_hole(o->name) || a->leaving ||
		    a->router == o->router)
			continue;
		if (routed(a))
			return refuse(g,
			    "address %s goes from router %s to another: reload "
			    "without it first, then with it",
			    a->name, g->old->routers[o->router].name);
		r = a->router != UINT16_MAX ? &g->out->routers[a->router]
					    : &g->old->routers[o->router];
		if (r->virtual_mac)
			return refuse(g,
			    "address %s of a service gets or loses a router "
			    "with a virtual mac, which needs a restart of had",
			    a->name);
	}
	return 0;
}

static void
put_tracks(struct merge *g)
{
	for (uint16_t i = 0; i < g->out->n_tracks; i++)
		g->out->tracks[i].router = g->router[g->next->tracks[i].router];
}

static void
put_hmac_keys(struct merge *g)
{
	for (uint16_t i = 0; i < g->out->n_hmac_keys; i++)
		g->out->hmac_keys[i].router =
		    g->router[g->next->hmac_keys[i].router];
}

/* The next thing that a router tracks, or NULL. */
static const struct conf_track *
next_track(const struct conf *c, uint16_t router, uint16_t *i)
{
	for (; *i < c->n_tracks; (*i)++)
		if (c->tracks[*i].router == router)
			return &c->tracks[(*i)++];
	return NULL;
}

static bool
same_tracks(const struct conf *a, const struct conf *b, uint16_t router)
{
	uint16_t i = 0, k = 0;

	for (;;) {
		const struct conf_track *t = next_track(a, router, &i);
		const struct conf_track *u = next_track(b, router, &k);
		struct conf_track v;

		if (t == NULL || u == NULL)
			return t == u;
		v = *u;
		v.line = t->line;
		v.col = t->col;
		if (memcmp(t, &v, sizeof(v)) != 0)
			return false;
	}
}

/* What a file holds counts, too: it has been read. */
static bool
same_hmac_keys(
    const struct conf *a, const struct conf *b, const struct conf_router *r)
{
	const struct conf_hmac_key *x[CONF_HMAC_KEYS_MAX];
	const struct conf_hmac_key *y[CONF_HMAC_KEYS_MAX];
	uint8_t n = conf_router_keys(a, r, x);

	if (conf_router_keys(b, r, y) != n)
		return false;
	for (uint8_t i = 0; i < n; i++)
		if (x[i]->id != y[i]->id || x[i]->len != y[i]->len ||
		    memcmp(x[i]->bytes, y[i]->bytes, sizeof(x[i]->bytes)) !=
			0 ||
		    strcmp(x[i]->file, y[i]->file) != 0)
			return false;
	return true;
}

/* What is signed, or has to be equal, is no advert to who has the old list. */
static int
check_list(
    struct merge *g, const struct conf_router *o, const struct conf_router *r)
{
	if (r->proto == CONF_VRRP3 || !conf_router_elected(r) ||
	    (r->n_addrs == o->n_addrs &&
		memcmp(r->addrs, o->addrs, sizeof(r->addrs)) == 0))
		return 0;
	return refuse(g,
	    "router %s changes its addresses: with %s, adverts with another "
	    "list are refused, so both nodes would take them all; stop had on "
	    "both to change it",
	    r->name, r->proto == CONF_CARP ? "carp" : "vrrp 2");
}

static bool
same_names(const struct merge *g, const struct conf_router *r)
{
	for (uint8_t i = 0; i < r->n_addrs; i++)
		if (strcmp(g->old->addresses[r->addrs[i]].name,
			g->out->addresses[r->addrs[i]].name) != 0)
			return false;
	return true;
}

static int
count_routers(struct merge *g)
{
	for (uint16_t k = 0; k < g->next->n_routers; k++) {
		const struct conf_router *r = &g->out->routers[g->router[k]];
		struct conf_router o;

		if (g->fresh[r->id]) {
			g->m->added++;
			name(g, '+', r->name);
			continue;
		}
		o = g->old->routers[r->id];
		if (check_list(g, &o, r) < 0)
			return -1;
		o.line = r->line;
		o.col = r->col;
		if (memcmp(&o, r, sizeof(o)) == 0 && same_names(g, r) &&
		    same_tracks(g->old, g->out, r->id) &&
		    same_hmac_keys(g->old, g->out, r)) {
			g->m->kept++;
			continue;
		}
		g->m->changed++;
		name(g, '~', r->name);
	}
	return 0;
}

int
conf_merge(struct conf *out, const struct conf *running,
    const struct conf *next, struct conf_merge *m, char *why, size_t size)
{
	struct merge g = {.out = out,
	    .old = running,
	    .next = next,
	    .m = m,
	    .why = why,
	    .size = size};

	memset(m, 0, sizeof(*m));
	*out = *next;
	if (place_addresses(&g) < 0 || place_routers(&g) < 0 ||
	    check_addresses(&g) < 0)
		return -1;
	put_tracks(&g);
	put_hmac_keys(&g);
	for (uint16_t i = 0; i < out->n_services; i++)
		for (uint8_t k = 0; k < out->services[i].n_steps; k++) {
			struct conf_step *s = &out->services[i].steps[k];

			if (s->type == CONF_STEP_ADDRESS)
				s->ref = g.addr[s->ref];
		}
	return count_routers(&g);
}

void
conf_drop_router(struct conf *c, uint16_t i)
{
	ASSERT(i < c->n_routers && c->routers[i].leaving);
	memset(&c->routers[i], 0, sizeof(c->routers[i]));
	c->routers[i].id = i;
	c->routers[i].service = UINT16_MAX;
	while (
	    c->n_routers > 0 && conf_is_hole(c->routers[c->n_routers - 1].name))
		c->n_routers--;
}

void
conf_drop_address(struct conf *c, uint16_t i)
{
	ASSERT(i < c->n_addresses && c->addresses[i].leaving);
	memset(&c->addresses[i], 0, sizeof(c->addresses[i]));
	c->addresses[i].id = i;
	c->addresses[i].router = c->addresses[i].service = UINT16_MAX;
	while (c->n_addresses > 0 &&
	       conf_is_hole(c->addresses[c->n_addresses - 1].name))
		c->n_addresses--;
}

static size_t
most(uint16_t a, uint16_t b)
{
	return a > b ? a : b;
}

/*
 * Behind the last one there are zeros, which need no memory as long as nobody
 * writes them.
 */
void
conf_copy_routers(struct conf *to, const struct conf *from)
{
	memcpy(to->addresses, from->addresses,
	    most(to->n_addresses, from->n_addresses) *
		sizeof(to->addresses[0]));
	memcpy(to->routers, from->routers,
	    most(to->n_routers, from->n_routers) * sizeof(to->routers[0]));
	memcpy(to->tracks, from->tracks,
	    most(to->n_tracks, from->n_tracks) * sizeof(to->tracks[0]));
	memcpy(to->hmac_keys, from->hmac_keys,
	    most(to->n_hmac_keys, from->n_hmac_keys) *
		sizeof(to->hmac_keys[0]));
	memcpy(to->router_ifs, from->router_ifs, sizeof(to->router_ifs));
	to->n_addresses = from->n_addresses;
	to->n_routers = from->n_routers;
	to->n_tracks = from->n_tracks;
	to->n_hmac_keys = from->n_hmac_keys;
	to->n_router_ifs = from->n_router_ifs;
}
