/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl doctor: the interfaces, addresses and links of the configuration.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hactl_doctor.h"
#include "netdev.h"

enum { MTU_JUMBO = 9000 };

/* The interface that has the address, or NULL. */
static const char *
holder(const struct ifaddrs *list, const char *addr)
{
	uint8_t want[16] = {0};
	uint8_t family;

	/* The checker has accepted it. */
	family = strchr(addr, ':') != NULL ? 6 : 4;
	if (inet_pton(family == 6 ? AF_INET6 : AF_INET, addr, want) != 1)
		return NULL;
	for (; list != NULL; list = list->ifa_next) {
		const struct sockaddr *sa = list->ifa_addr;
		const void *have = NULL;

		if (sa == NULL)
			continue;
		if (family == 4 && sa->sa_family == AF_INET)
			have = &((const struct sockaddr_in *)(const void *)sa)
				    ->sin_addr;
		else if (family == 6 && sa->sa_family == AF_INET6)
			have = &((const struct sockaddr_in6 *)(const void *)sa)
				    ->sin6_addr;
		if (have != NULL &&
		    memcmp(have, want, family == 4 ? 4 : 16) == 0)
			return list->ifa_name;
	}
	return NULL;
}

/* The node with the most link addresses here; alone it is this one. */
static const struct conf_node *
find_me(const struct doctor *d, const struct ifaddrs *list)
{
	const struct conf_node *me = NULL;
	unsigned most = 0;

	for (uint8_t i = 0; i < d->c->n_nodes; i++) {
		const struct conf_node *n = &d->c->nodes[i];
		unsigned here = 0;

		for (uint8_t k = 0; k < n->n_links; k++)
			here += holder(list, n->links[k].addr) != NULL;
		if (here > most || (d->c->n_nodes == 1 && n->n_links == 0)) {
			most = here;
			me = n;
		}
	}
	return me;
}

static long
net_number(const char *ifname, const char *what)
{
	char path[128], text[32] = "";
	FILE *f;
	long v = -1;

	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", ifname, what);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	if (fgets(text, sizeof(text), f) != NULL)
		v = strtol(text, NULL, 10);
	fclose(f);
	return v;
}

static void
check_interface(struct doctor *d, const char *ifname)
{
	char fix[128];

	if (if_nametoindex(ifname) == 0) {
		doctor_say(d, DOCTOR_FAIL, "interface", ifname,
		    "'ip -br link' lists those that there are; mend the name "
		    "in the configuration",
		    "there is none of this name");
		return;
	}
	snprintf(fix, sizeof(fix), "ip link set %s up, and look at its cable",
	    ifname);
	if (net_number(ifname, "carrier") == 1)
		doctor_say(
		    d, DOCTOR_OK, "interface", ifname, "", "it has a carrier");
	else
		doctor_say(d, DOCTOR_WARN, "interface", ifname, fix,
		    "it has no carrier");
}

/* Each interface once. */
static void
check_interfaces(struct doctor *d)
{
	const char *seen[HAD_ADDRESSES_MAX * 2 + HAD_LINKS_MAX];
	unsigned n = 0, all = 0, i;
	const struct conf *c = d->c;

	for (i = 0; d->me != NULL && i < d->me->n_links; i++)
		seen[all++] = d->me->links[i].ifname;
	for (i = 0; i < c->n_addresses; i++)
		seen[all++] = c->addresses[i].ifname;
	for (i = 0; i < c->n_routers; i++)
		seen[all++] = c->routers[i].ifname;
	for (; n < all; n++) {
		for (i = 0; i < n; i++)
			if (strcmp(seen[i], seen[n]) == 0)
				break;
		if (i == n)
			check_interface(d, seen[n]);
	}
}

static void
check_link(
    struct doctor *d, const struct conf_link *l, const struct ifaddrs *list)
{
	const char *on = holder(list, l->addr);
	char fix[160];

	snprintf(fix, sizeof(fix),
	    "give %s to %s where this machine's network is configured, or "
	    "mend the configuration",
	    l->addr, l->ifname);
	if (on == NULL)
		doctor_say(d, DOCTOR_FAIL, "link", l->name, fix,
		    "no interface has its address %s", l->addr);
	else if (strcmp(on, l->ifname) != 0)
		doctor_say(d, DOCTOR_FAIL, "link", l->name, fix,
		    "interface %s has its address %s, not %s", on, l->addr,
		    l->ifname);
	else
		doctor_say(
		    d, DOCTOR_OK, "link", l->name, "", "%s on %s", l->addr, on);
}

/* A link that no floating address shares is between the nodes alone. */
static bool
is_crossover(const struct conf *c, const struct conf_link *l)
{
	for (uint16_t i = 0; i < c->n_addresses; i++)
		if (strcmp(c->addresses[i].ifname, l->ifname) == 0)
			return false;
	return true;
}

static void
check_mtu(struct doctor *d, const struct conf_link *l)
{
	long mtu = net_number(l->ifname, "mtu");
	char fix[160];

	if (mtu < 0 || d->c->n_volumes == 0 || !is_crossover(d->c, l))
		return;
	snprintf(fix, sizeof(fix),
	    "ip link set %s mtu %d on both nodes, and where their network is "
	    "configured",
	    l->ifname, MTU_JUMBO);
	if (mtu >= MTU_JUMBO)
		doctor_say(
		    d, DOCTOR_OK, "mtu", l->ifname, "", "%ld bytes", mtu);
	else
		doctor_say(d, DOCTOR_WARN, "mtu", l->ifname, fix,
		    "%ld bytes; with %d the writes of volumes cost less over "
		    "link %s",
		    mtu, MTU_JUMBO, l->name);
}

static void
check_independence(struct doctor *d)
{
	const struct conf_node *me = d->me;
	unsigned bad = 0;

	if (d->c->n_nodes < 2)
		return;
	for (uint8_t i = 0; i < me->n_links; i++)
		for (uint8_t k = 0; k < i; k++) {
			const struct conf_link *a = &me->links[k];
			const struct conf_link *b = &me->links[i];

			if (!netdev_share(
				"/sys/class/net", a->ifname, b->ifname))
				continue;
			bad++;
			doctor_say(d, DOCTOR_WARN, "links", b->name,
			    "lead one of them over another card and another "
			    "cable",
			    "%s and %s share a device: one fault cuts both",
			    a->name, b->name);
		}
	if (me->n_links < 2)
		doctor_say(d, DOCTOR_WARN, "links", "",
		    "add a second one, over another card and another cable",
		    "there is one link: one fault cuts the nodes apart");
	else if (bad == 0)
		doctor_say(d, DOCTOR_OK, "links", "", "",
		    "%u, and no two share a device", me->n_links);
}

void
doctor_net(struct doctor *d)
{
	struct ifaddrs *list = NULL;

	if (d->c == NULL)
		return;
	if (getifaddrs(&list) < 0)
		list = NULL;
	d->me = find_me(d, list);
	if (d->me == NULL)
		doctor_say(d, DOCTOR_FAIL, "node", "",
		    "give this machine the address of one of its links, or "
		    "mend the configuration",
		    "no node of the configuration has a link address of this "
		    "machine");
	else
		doctor_say(
		    d, DOCTOR_OK, "node", d->me->name, "", "is this machine");
	check_interfaces(d);
	for (uint8_t i = 0; d->me != NULL && i < d->me->n_links; i++) {
		check_link(d, &d->me->links[i], list);
		check_mtu(d, &d->me->links[i]);
	}
	if (d->me != NULL)
		check_independence(d);
	freeifaddrs(list);
}
