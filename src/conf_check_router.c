/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checker's part for virtual routers: what their protocol can carry, who
 * decides about them, and that every address is somebody's.
 */
#include <bsd/string.h>
#include <stdio.h>
#include <string.h>

#include "conf_int.h"

enum {
	ROUTER_TRACKS_MAX = 16,
	VRRP2_PASSWORD_MAX = 8,
	CARP_PASSWORD_MAX = 20,
	VRRP3_INTERVAL_MAX_MS = 40950,
};

/* Network order; IPv4 ends in zeros, which no IPv6 host address does. */
static uint8_t
family_of(const uint8_t bytes[16])
{
	static const uint8_t zero[12];

	return memcmp(bytes + 4, zero, sizeof(zero)) == 0 ? 4 : 6;
}

static void
check_address(
    struct conf_checker *k, struct conf_router *r, struct conf_address *a)
{
	const struct conf_address *first = &k->c->addresses[r->addrs[0]];

	if (a->router != UINT16_MAX)
		CONF_AT(k, r,
		    "router %s: got address %s, expected an address of this "
		    "router alone: router %s on line %d has it",
		    r->name, a->name, k->c->routers[a->router].name,
		    k->c->routers[a->router].line);
	else
		a->router = r->id;
	if (a->family != first->family || strcmp(a->ifname, first->ifname) != 0)
		CONF_AT(k, r,
		    "router %s: got addresses %s and %s, expected addresses "
		    "of one family on one interface: two routers can be a "
		    "group",
		    r->name, first->name, a->name);
	if (a->service != r->service)
		CONF_AT(k, r,
		    "router %s: got addresses %s and %s, expected that one "
		    "service has all of them or none",
		    r->name, first->name, a->name);
}

static void
check_addresses(struct conf_checker *k, struct conf_router *r)
{
	struct conf *c = k->c;
	uint8_t i;

	if (r->n_addrs == 0) {
		CONF_AT(k, r,
		    "router %s: got no address, expected one or more: "
		    "'address' and the name of one",
		    r->name);
		return;
	}
	r->family = c->addresses[r->addrs[0]].family;
	r->service = c->addresses[r->addrs[0]].service;
	if (r->ifname[0] == '\0')
		strlcpy(r->ifname, c->addresses[r->addrs[0]].ifname,
		    sizeof(r->ifname));
	for (i = 0; i < r->n_addrs; i++)
		check_address(k, r, &c->addresses[r->addrs[i]]);
}

static void
check_vrrp2(struct conf_checker *k, const struct conf_router *r)
{
	if (r->family == 6)
		CONF_AT(k, r,
		    "router %s: got vrrp 2 for an IPv6 address, expected "
		    "vrrp 3",
		    r->name);
	if (r->interval_ms % 1000 != 0)
		CONF_AT(k, r,
		    "router %s: got interval %ums, expected whole seconds: "
		    "version 2 of VRRP knows no others",
		    r->name, r->interval_ms);
	if (strlen(r->password) > VRRP2_PASSWORD_MAX)
		CONF_AT(k, r,
		    "router %s: got a password of %zu bytes, expected at most "
		    "%d",
		    r->name, strlen(r->password), VRRP2_PASSWORD_MAX);
}

static void
check_vrrp3(struct conf_checker *k, const struct conf_router *r)
{
	if (r->interval_ms % 10 != 0 || r->interval_ms > VRRP3_INTERVAL_MAX_MS)
		CONF_AT(k, r,
		    "router %s: got interval %ums, expected hundredths of a "
		    "second, at most %dms: version 3 of VRRP knows no others",
		    r->name, r->interval_ms, VRRP3_INTERVAL_MAX_MS);
	if (r->password[0] != '\0' || r->password_file[0] != '\0')
		CONF_AT(k, r,
		    "router %s: got a password, expected none: version 3 of "
		    "VRRP has none (RFC 9568, section 9), 'hmac' signs",
		    r->name);
}

static void
check_carp(struct conf_checker *k, const struct conf_router *r)
{
	if (r->interval_ms % 1000 != 0 || r->interval_ms > 254 * 1000)
		CONF_AT(k, r,
		    "router %s: got interval %ums, expected whole seconds, at "
		    "most 254s, and fractions of one by a skew: carp knows no "
		    "others",
		    r->name, r->interval_ms);
	if (r->password[0] == '\0' && r->password_file[0] == '\0')
		CONF_AT(k, r,
		    "router %s: got no password, expected one: carp signs "
		    "with it",
		    r->name);
	if (strlen(r->password) > CARP_PASSWORD_MAX)
		CONF_AT(k, r,
		    "router %s: got a password of %zu bytes, expected at most "
		    "%d",
		    r->name, strlen(r->password), CARP_PASSWORD_MAX);
	if (r->n_unicast > 0)
		CONF_AT(k, r,
		    "router %s: got unicast peers, expected none: carp speaks "
		    "to its group",
		    r->name);
}

static void
check_proto(struct conf_checker *k, const struct conf_router *r)
{
	if (r->vrid == 0) {
		CONF_AT(k, r,
		    "router %s: got no protocol, expected 'vrrp 3 vrid "
		    "NUMBER', 'vrrp 2 vrid NUMBER' or 'carp vhid NUMBER'",
		    r->name);
		return;
	}
	switch (r->proto) {
	case CONF_VRRP2:
		check_vrrp2(k, r);
		break;
	case CONF_VRRP3:
		check_vrrp3(k, r);
		break;
	case CONF_CARP:
		check_carp(k, r);
		break;
	}
	if (r->checksum != CONF_SUM_AUTO &&
	    (r->proto != CONF_VRRP3 || r->family != 4))
		CONF_AT(k, r,
		    "router %s: got a checksum, expected it only for vrrp 3 "
		    "over IPv4: elsewhere there is one form",
		    r->name);
}

/* The words before the protocol cannot know it. */
static void
check_rank(struct conf_checker *k, const struct conf_router *r)
{
	unsigned i;

	for (i = 0; i <= HAD_NODES_MAX; i++)
		if ((r->rank_set & 1u << i) != 0 &&
		    (r->proto == CONF_CARP ? r->rank[i] > 254
					   : r->rank[i] == 0))
			CONF_AT(k, r, "router %s: got %s %u, expected %s",
			    r->name,
			    r->proto == CONF_CARP ? "skew" : "priority",
			    r->rank[i],
			    r->proto == CONF_CARP ? "0 to 254" : "1 to 255");
}

static void
check_peers(struct conf_checker *k, const struct conf_router *r)
{
	unsigned i, j;

	for (i = 0; i < r->n_sources; i++)
		if (family_of(r->sources[i].addr) != r->family)
			CONF_AT(k, r,
			    "router %s: got a source of the other family, "
			    "expected an IPv%u address",
			    r->name, r->family);
	for (i = 0; i < r->n_unicast; i++) {
		if (family_of(r->unicast[i]) != r->family)
			CONF_AT(k, r,
			    "router %s: got a unicast peer of the other "
			    "family, expected an IPv%u address",
			    r->name, r->family);
		for (j = 0; j < i; j++)
			if (memcmp(r->unicast[i], r->unicast[j], 16) == 0)
				CONF_AT(k, r,
				    "router %s: got a unicast peer twice, "
				    "expected each once",
				    r->name);
	}
}

/* A service decides where its addresses are, and nothing else does. */
static void
check_bound(struct conf_checker *k, const struct conf_router *r)
{
	const char *what = NULL;
	uint16_t i;

	for (i = 0; i < k->c->n_tracks; i++)
		if (k->c->tracks[i].router == r->id)
			what = "track";
	if (r->preempt)
		what = "preempt";
	else if (r->start_after_ms != 0)
		what = "start after";
	else if (r->group[0] != '\0')
		what = "group";
	else if (r->no_accept)
		what = "accept never";
	if (what != NULL)
		CONF_AT(k, r,
		    "router %s: got %s, expected none: service %s decides "
		    "where its addresses are",
		    r->name, what, k->c->services[r->service].name);
}

static void
check_tracks(struct conf_checker *k, const struct conf_router *r)
{
	const struct conf *c = k->c;
	unsigned n = 0;
	uint16_t i;

	for (i = 0; i < c->n_tracks; i++) {
		const struct conf_track *t = &c->tracks[i];

		if (t->router != r->id)
			continue;
		if (++n == ROUTER_TRACKS_MAX + 1)
			CONF_AT(k, t,
			    "router %s: got more than %d tracked things, "
			    "expected at most that",
			    r->name, ROUTER_TRACKS_MAX);
		if ((t->type == CONF_TRACK_VOLUME ||
			t->type == CONF_TRACK_SERVICE) &&
		    t->ref == UINT16_MAX)
			CONF_AT(k, t,
			    "router %s: got %s, expected a %s that the file "
			    "defines",
			    r->name, t->what,
			    t->type == CONF_TRACK_VOLUME ? "volume"
							 : "service");
	}
}

/* Groups are numbered in the order of the file. */
static void
number_group(struct conf_checker *k, struct conf_router *r)
{
	struct conf *c = k->c;
	uint8_t next = 1;
	uint16_t i;

	r->group_id = 0;
	if (r->group[0] == '\0')
		return;
	for (i = 0; i < r->id; i++) {
		if (c->routers[i].group_id == 0)
			continue;
		if (strcmp(c->routers[i].group, r->group) == 0) {
			r->group_id = c->routers[i].group_id;
			return;
		}
		if (c->routers[i].group_id >= next)
			next = (uint8_t)(c->routers[i].group_id + 1);
	}
	if (next == UINT8_MAX)
		CONF_AT(k, r,
		    "router %s: got more than %d groups, expected at most "
		    "that",
		    r->name, UINT8_MAX - 1);
	else
		r->group_id = next;
}

static void
check_pair(struct conf_checker *k, const struct conf_router *r,
    const struct conf_router *o)
{
	if (strcmp(r->name, o->name) == 0)
		CONF_AT(k, r,
		    "router %s: got a second router of this name, expected "
		    "one (the first is on line %d)",
		    r->name, o->line);
	if (r->vrid != 0 && r->vrid == o->vrid && r->family == o->family &&
	    strcmp(r->ifname, o->ifname) == 0)
		CONF_AT(k, r,
		    "router %s: got %s %u, expected another: router %s on "
		    "line %d has it on interface %s",
		    r->name, r->proto == CONF_CARP ? "vhid" : "vrid", r->vrid,
		    o->name, o->line, o->ifname);
}

/* Interfaces are numbered in the order of the file. */
static void
number_interface(struct conf_checker *k, const struct conf_router *r)
{
	struct conf *c = k->c;
	uint16_t i;

	for (i = 0; i < c->n_router_ifs; i++)
		if (strcmp(c->router_ifs[i], r->ifname) == 0)
			return;
	if (i == HAD_ROUTER_IFS_MAX)
		CONF_AT(k, r,
		    "router %s: got interface %s, expected routers on at most "
		    "%d interfaces",
		    r->name, r->ifname, HAD_ROUTER_IFS_MAX);
	else
		memcpy(c->router_ifs[c->n_router_ifs++], r->ifname,
		    sizeof(c->router_ifs[0]));
}

static void
check_router(struct conf_checker *k, struct conf_router *r)
{
	uint16_t i;

	if (!conf_name_valid(r->name))
		CONF_AT(k, r, "router: got name '%s', expected a valid name",
		    r->name);
	r->service = UINT16_MAX;
	check_addresses(k, r);
	check_proto(k, r);
	check_rank(k, r);
	check_peers(k, r);
	conf_check_hmac(k, r);
	check_tracks(k, r);
	if (r->n_addrs > 0 && r->service != UINT16_MAX)
		check_bound(k, r);
	number_group(k, r);
	number_interface(k, r);
	for (i = 0; i < r->id; i++)
		check_pair(k, r, &k->c->routers[i]);
}

/* Both nodes have it, so nobody else may. */
static void
check_share(struct conf_checker *k, const struct conf_address *a)
{
	const struct conf *c = k->c;

	if (a->service != UINT16_MAX)
		CONF_AT(k, a,
		    "address %s: got share and service %s, expected one of "
		    "them: a service's address is on one node",
		    a->name, c->services[a->service].name);
	if (a->router != UINT16_MAX)
		CONF_AT(k, a,
		    "address %s: got share and router %s, expected one of "
		    "them: a router's address is on one node",
		    a->name, c->routers[a->router].name);
	if (c->n_nodes != 2)
		CONF_AT(k, a,
		    "address %s: got share and %u node%s, expected two nodes "
		    "to share it",
		    a->name, c->n_nodes, c->n_nodes == 1 ? "" : "s");
}

void
conf_check_routers(struct conf_checker *k)
{
	struct conf *c = k->c;
	uint16_t i;

	for (i = 0; i < c->n_addresses; i++)
		c->addresses[i].router = UINT16_MAX;
	c->n_router_ifs = 0;
	for (i = 0; i < c->n_routers; i++) {
		c->routers[i].id = i;
		check_router(k, &c->routers[i]);
	}
	for (i = 0; i < c->n_addresses; i++)
		if (c->addresses[i].share)
			check_share(k, &c->addresses[i]);
		else if (c->addresses[i].service == UINT16_MAX &&
			 c->addresses[i].router == UINT16_MAX)
			CONF_AT(k, &c->addresses[i],
			    "address %s: got no service and no router that "
			    "has it, expected one, or share: nobody would ever "
			    "take it",
			    c->addresses[i].name);
}

const struct conf_router *
conf_router_named(const struct conf *c, const char *name)
{
	for (uint16_t i = 0; i < c->n_routers; i++)
		if (strcmp(c->routers[i].name, name) == 0)
			return &c->routers[i];
	return NULL;
}

uint8_t
conf_router_rank(const struct conf_router *r, uint8_t node)
{
	ASSERT(node <= HAD_NODES_MAX);
	if ((r->rank_set & 1u << node) != 0)
		return r->rank[node];
	if ((r->rank_set & 1u) != 0)
		return r->rank[0];
	return r->proto == CONF_CARP ? 0 : CONF_PRIORITY;
}

const uint8_t *
conf_router_source(const struct conf_router *r, uint8_t node)
{
	const uint8_t *others = NULL;

	ASSERT(node <= HAD_NODES_MAX);
	for (uint8_t i = 0; i < r->n_sources; i++) {
		if (r->sources[i].node == node)
			return r->sources[i].addr;
		if (r->sources[i].node == 0)
			others = r->sources[i].addr;
	}
	return others;
}

bool
conf_router_elected(const struct conf_router *r)
{
	return r->service == UINT16_MAX;
}

uint32_t
conf_router_down_ms(const struct conf *c)
{
	uint32_t least = 0;

	for (uint16_t i = 0; i < c->n_routers; i++) {
		const struct conf_router *r = &c->routers[i];

		if (conf_router_elected(r) && !conf_is_hole(r->name) &&
		    (least == 0 || 3 * r->interval_ms < least))
			least = 3 * r->interval_ms;
	}
	return least;
}
