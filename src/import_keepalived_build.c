/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was read of a keepalived.conf, put together to routers.  The addresses
 * of a router are of one family on one interface; those of an instance need
 * not be: then it becomes several routers, in a group that moves as one.
 */
#include <arpa/inet.h>
#include <bsd/string.h>
#include <stdio.h>
#include <string.h>

#include "import_int.h"

static bool
router_taken(const struct import *im, const char *name)
{
	return conf_router_named(im->c, name) != NULL;
}

static bool
address_taken(const struct import *im, const char *name)
{
	for (uint16_t i = 0; i < im->c->n_addresses; i++)
		if (strcmp(im->c->addresses[i].name, name) == 0)
			return true;
	return false;
}

static bool
group_taken(const struct import *im, const char *name)
{
	for (uint16_t i = 0; i < im->n_groups; i++)
		if (strcmp(im->groups[i].ours, name) == 0)
			return true;
	for (uint16_t i = 0; i < im->c->n_routers; i++)
		if (strcmp(im->c->routers[i].group, name) == 0)
			return true;
	return false;
}

/* text, or text-suffix, as a name that nothing has yet. */
static void
unique(const struct import *im, char dst[HAD_NAME_MAX], const char *text,
    const char *suffix, bool (*taken)(const struct import *, const char *))
{
	char tail[HAD_NAME_MAX] = "", end[HAD_NAME_MAX], clean[HAD_NAME_MAX];

	if (*suffix != '\0') {
		imp_name(clean, suffix, 12);
		snprintf(tail, sizeof(tail), "-%.12s", clean);
	}
	for (unsigned i = 1;; i++) {
		strlcpy(end, tail, sizeof(end));
		if (i > 1)
			snprintf(end, sizeof(end), "%.13s-%u", tail, i);
		imp_name(dst, text, HAD_NAME_MAX - 1 - strlen(end));
		strlcat(dst, end, HAD_NAME_MAX);
		if (!taken(im, dst))
			return;
	}
}

static struct imp_instance *
instance_named(struct import *im, const char *name)
{
	for (uint16_t i = 0; i < im->n_instances; i++)
		if (strcmp(im->instances[i].name, name) == 0)
			return &im->instances[i];
	return NULL;
}

void
imp_groups(struct import *im)
{
	for (uint16_t i = 0; i < im->n_groups; i++) {
		struct imp_group *g = &im->groups[i];
		char ours[HAD_NAME_MAX];

		unique(im, ours, g->name, "", group_taken);
		strlcpy(g->ours, ours, sizeof(g->ours));
		if (strcmp(g->ours, g->name) != 0)
			imp_tell(im, g->line, g->name,
			    "the group is called %s: had's names have at "
			    "most 31 letters, digits and '_.-'",
			    g->ours);
	}
	for (uint16_t i = 0; i < im->n_members; i++) {
		const struct imp_member *m = &im->members[i];
		struct imp_instance *in = instance_named(im, m->name);

		if (in == NULL)
			imp_tell(im, m->line, m->name,
			    "left out of the group: no vrrp_instance has "
			    "this name");
		else if (in->group != UINT16_MAX && in->group != m->group)
			imp_tell(im, m->line, m->name,
			    "left out of this group: it is in group %s",
			    im->groups[in->group].ours);
		else
			in->group = m->group;
	}
}

/* Tells what the version of VRRP cannot have, and rounds. */
static uint32_t
interval_ms(struct import *im, const struct imp_instance *in, bool v2)
{
	uint64_t step = v2 ? 1000 : 10, us = in->interval_us;
	uint64_t ms = (us + step * 1000 - 1) / (step * 1000) * step;

	if (ms < step)
		ms = step;
	if (!v2 && ms > 40950)
		ms = 40950;
	if (ms * 1000 != us)
		imp_tell(im, in->interval_line, "advert_int",
		    "becomes %u.%02us: version %d of VRRP knows no others",
		    (unsigned)(ms / 1000), (unsigned)(ms % 1000 / 10),
		    v2 ? 2 : 3);
	return (uint32_t)ms;
}

static void
set_password(
    struct import *im, const struct imp_instance *in, struct conf_router *r)
{
	if (in->password[0] == '\0')
		return;
	if (r->proto == CONF_VRRP2)
		strlcpy(r->password, in->password, sizeof(r->password));
	else
		imp_tell(im, in->auth_line, "auth_pass",
		    "left out: version 3 of VRRP has no password; keepalived "
		    "ignores it, too");
}

static void
set_preempt(
    struct import *im, const struct imp_instance *in, struct conf_router *r)
{
	const char *why = NULL;

	if (in->priority == CONF_VRRP_OWNER)
		why = "the owner of the addresses always takes them";
	else if (in->master)
		why = "it has no effect with state MASTER in keepalived "
		      "either; take that away if it was meant";
	r->preempt = !in->nopreempt || why != NULL;
	if (why != NULL && in->nopreempt)
		imp_tell(
		    im, in->nopreempt_line, "nopreempt", "left out: %s", why);
	if (why != NULL && in->preempt_us != 0)
		imp_tell(
		    im, in->preempt_line, "preempt_delay", "left out: %s", why);
	if (why == NULL && r->preempt)
		r->preempt_after_ms = (uint32_t)((in->preempt_us + 999) / 1000);
}

/*
 * Of one family only, which has been told; the source is one of the
 * instance's interface.
 */
static void
set_peers(const struct imp_instance *in, struct conf_router *r)
{
	if (in->source_family == r->family &&
	    strcmp(r->ifname, in->ifname) == 0) {
		memcpy(r->sources[0].addr, in->source, 16);
		r->n_sources = 1;
		r->source_set = 1;
	}
	for (uint8_t i = 0; i < in->n_peers; i++)
		if (in->peer_family[i] == r->family)
			memcpy(r->unicast[r->n_unicast++], in->peers[i], 16);
}

static const char *
ifname_of(const struct imp_instance *in, const struct imp_addr *a)
{
	return a->ifname[0] != '\0' ? a->ifname : in->ifname;
}

static void
add_address(struct import *im, const struct imp_instance *in,
    struct conf_router *r, struct imp_addr *a)
{
	struct conf *c = im->c;
	struct conf_address *ca = &c->addresses[c->n_addresses];
	char number[8];

	a->placed = true;
	if (r->n_addrs == HAD_ROUTER_ADDRESSES_MAX) {
		imp_tell(im, a->line, in->name,
		    "an address is left out: a router of had has at most %d; "
		    "give the others a virtual_router_id of their own",
		    HAD_ROUTER_ADDRESSES_MAX);
		return;
	}
	if (a->excluded)
		imp_tell(im, a->line, "virtual_ipaddress_excluded",
		    "router %s names this address in its adverts, too: had "
		    "excludes none, and a machine that runs keepalived needs "
		    "it in its virtual_ipaddress",
		    r->name);
	snprintf(number, sizeof(number), "%u", r->n_addrs + 1u);
	unique(im, ca->name, r->name, number, address_taken);
	(void)inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->bytes, ca->addr,
	    sizeof(ca->addr));
	memcpy(ca->bytes, a->bytes, sizeof(ca->bytes));
	ca->family = a->family;
	ca->prefix = a->prefix;
	strlcpy(ca->ifname, ifname_of(in, a), sizeof(ca->ifname));
	ca->line = a->line;
	r->addrs[r->n_addrs++] = c->n_addresses++;
}

/* All addresses like this one; those of the adverts first. */
static void
add_addresses(struct import *im, const struct imp_instance *in,
    struct conf_router *r, const struct imp_addr *like)
{
	for (int excluded = 0; excluded < 2; excluded++)
		for (uint16_t i = 0; i < im->n_addrs; i++) {
			struct imp_addr *a = &im->addrs[i];

			if (a->instance == in - im->instances && !a->placed &&
			    a->excluded == (excluded == 1) &&
			    a->family == like->family &&
			    strcmp(ifname_of(in, a), ifname_of(in, like)) == 0)
				add_address(im, in, r, a);
		}
}

/* VRRP tells routers apart by it. */
static bool
vrid_is_free(struct import *im, const struct imp_instance *in, uint8_t family,
    const char *ifname)
{
	const struct conf *c = im->c;

	for (uint16_t i = 0; i < c->n_routers; i++)
		if (c->routers[i].vrid == in->vrid &&
		    c->routers[i].family == family &&
		    strcmp(c->routers[i].ifname, ifname) == 0) {
			imp_tell(im, in->line, in->name,
			    "its IPv%u addresses on %s are left out: router "
			    "%s has virtual_router_id %u there; give it "
			    "another, or its own interface",
			    family, ifname, c->routers[i].name, in->vrid);
			return false;
		}
	return true;
}

static void
set_group(struct import *im, struct imp_instance *in, struct conf_router *r)
{
	struct conf_router *first = &im->c->routers[in->first_router];
	char name[HAD_NAME_MAX];

	if (in->group != UINT16_MAX)
		strlcpy(r->group, im->groups[in->group].ours, sizeof(r->group));
	else if (in->n_routers == 1) {
		unique(im, name, first->name, "", group_taken);
		strlcpy(first->group, name, sizeof(first->group));
		strlcpy(r->group, name, sizeof(r->group));
	} else if (in->n_routers > 1)
		strlcpy(r->group, first->group, sizeof(r->group));
}

static void
name_router(struct import *im, struct imp_instance *in, struct conf_router *r,
    const struct imp_addr *a)
{
	const struct conf_router *first = &im->c->routers[in->first_router];
	char name[HAD_NAME_MAX];

	if (in->n_routers == 0) {
		unique(im, name, in->name, "", router_taken);
		if (strcmp(name, in->name) != 0)
			imp_tell(im, in->line, in->name,
			    "the router is called %s: had's names have at "
			    "most 31 letters, digits and '_.-', each once",
			    name);
	} else {
		unique(im, name, in->name,
		    a->family == first->family ? ifname_of(in, a)
		    : a->family == 6           ? "ip6"
					       : "ip4",
		    router_taken);
		imp_tell(im, a->line, in->name,
		    "IPv%u addresses on %s become router %s, which sends "
		    "adverts of its own there, in group with %s: a router has "
		    "addresses of one family on one interface; the other "
		    "machines need the same",
		    a->family, ifname_of(in, a), name, first->name);
	}
	strlcpy(r->name, name, sizeof(r->name));
}

static void
add_router(struct import *im, struct imp_instance *in, const struct imp_addr *a,
    uint8_t version)
{
	struct conf *c = im->c;
	struct conf_router *r = &c->routers[c->n_routers];
	const char *ifname = in->n_routers == 0 ? in->ifname : ifname_of(in, a);
	bool strict = in->strict_set ? in->strict : im->strict;

	if (c->n_routers == HAD_ADDRESSES_MAX ||
	    !vrid_is_free(im, in, a->family, ifname)) {
		if (c->n_routers == HAD_ADDRESSES_MAX)
			imp_tell(im, in->line, in->name,
			    "left out: had has at most %d routers",
			    HAD_ADDRESSES_MAX);
		for (uint16_t i = 0; i < im->n_addrs; i++)
			if (im->addrs[i].instance == in - im->instances &&
			    im->addrs[i].family == a->family &&
			    strcmp(ifname_of(in, &im->addrs[i]),
				ifname_of(in, a)) == 0)
				im->addrs[i].placed = true;
		return;
	}
	if (in->n_routers == 0)
		in->first_router = c->n_routers;
	name_router(im, in, r, a);
	set_group(im, in, r);
	r->proto = version == 2 && a->family == 4 ? CONF_VRRP2 : CONF_VRRP3;
	r->vrid = in->vrid;
	r->family = a->family;
	r->line = in->line;
	strlcpy(r->ifname, ifname, sizeof(r->ifname));
	r->rank[0] = in->priority;
	r->rank_set = 1;
	r->interval_ms = interval_ms(im, in, r->proto == CONF_VRRP2);
	r->start_after_ms = (uint32_t)((im->start_us + 999) / 1000);
	r->virtual_mac = in->vmac;
	r->no_accept = in->no_accept || (strict && !in->accept);
	set_password(im, in, r);
	imp_set_hmac(im, in, r);
	set_preempt(im, in, r);
	set_peers(in, r);
	c->n_routers++;
	in->n_routers++;
	add_addresses(im, in, r, a);
}

/*
 * The address whose family and interface are the instance's own: those that
 * are in its adverts, and on its interface, come first.
 */
static const struct imp_addr *
main_address(const struct import *im, const struct imp_instance *in)
{
	const struct imp_addr *first = NULL, *here = NULL;

	for (int excluded = 0; excluded < 2; excluded++)
		for (uint16_t i = 0; i < im->n_addrs; i++) {
			const struct imp_addr *a = &im->addrs[i];

			if (a->instance != in - im->instances ||
			    a->excluded != (excluded == 1))
				continue;
			if (first == NULL)
				first = a;
			if (here == NULL && a->family == first->family &&
			    strcmp(ifname_of(in, a), in->ifname) == 0)
				here = a;
		}
	return here != NULL ? here : first;
}

static uint8_t
version_of(struct import *im, const struct imp_instance *in, uint8_t family)
{
	uint8_t v = in->version != 0 ? in->version : im->version;

	if (family == 6 && in->version == 2)
		imp_tell(im, in->version_line, "version",
		    "becomes 3: version 2 of VRRP has no IPv6");
	return v == 0 ? 2 : v;
}

static void
tell_family(struct import *im, const struct imp_instance *in, uint8_t family)
{
	if (in->source_family != 0 && in->source_family != family)
		imp_tell(im, in->source_line, in->name,
		    "the source address holds for its IPv%u addresses "
		    "alone; the others take that of the interface",
		    in->source_family);
	for (uint8_t i = 0; i < in->n_peers; i++)
		if (in->peer_family[i] != family) {
			imp_tell(im, in->line, in->name,
			    "each unicast peer holds for the addresses of its "
			    "own family alone");
			break;
		}
}

static void
build(struct import *im, struct imp_instance *in)
{
	const struct imp_addr *a = main_address(im, in);
	uint8_t version;

	if (in->ifname[0] == '\0')
		strlcpy(in->ifname, im->ifname, sizeof(in->ifname));
	if (in->vrid == 0 || a == NULL || in->ifname[0] == '\0') {
		imp_tell(im, in->line, in->name, "left out: it has no %s",
		    in->vrid == 0 ? "virtual_router_id"
		    : a == NULL   ? "virtual_ipaddress"
				  : "interface, and global_defs no "
				    "default_interface");
		return;
	}
	a = main_address(im, in);
	version = version_of(im, in, a->family);
	tell_family(im, in, a->family);
	add_router(im, in, a, version);
	for (uint16_t i = 0; i < im->n_addrs; i++)
		if (im->addrs[i].instance == in - im->instances &&
		    !im->addrs[i].placed)
			add_router(im, in, &im->addrs[i], version);
}

void
imp_routers(struct import *im)
{
	for (uint16_t i = 0; i < im->n_instances; i++)
		build(im, &im->instances[i]);
}
