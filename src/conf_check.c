/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the words mean together.  Fills in what is derived, and reports what
 * no pair of nodes could run: each message begins with the object.
 */
#include <stdio.h>
#include <string.h>

#include "conf_int.h"

/* The chain of timers, or the inequality that fails with its numbers. */
static void
check_timers(struct conf_checker *k)
{
	struct conf *c = k->c;
	struct conf_timers *t = &c->t;
	uint32_t over;

	if (conf_timers_derive(t, conf_n_voters(c), c->watchdog_timeout_ms)) {
		ASSERT(t->heartbeat_ms < t->lease_ms);
		ASSERT(t->lease_ms < t->dead_ms);
		ASSERT(t->dead_ms <= t->takeover_ms);
		return;
	}
	if (t->dead_ms < conf_dead_min(t->heartbeat_ms))
		CONF_AT(k, c,
		    "cluster %s: got heartbeat %ums and dead %ums, "
		    "expected dead %ums or more: the lease is at least "
		    "2 * heartbeat = %ums, and lease * 1.02 + %dms = %ums "
		    "<= dead must hold",
		    c->cluster, t->heartbeat_ms, t->dead_ms,
		    conf_dead_min(t->heartbeat_ms), 2 * t->heartbeat_ms,
		    CONF_MARGIN_MS, conf_dead_min(t->heartbeat_ms));
	over = conf_lease_over(t->self_demote_ms);
	if (t->watchdog_ms != 0 && over > t->watchdog_ms)
		CONF_AT(k, &c->watchdog_at,
		    "cluster %s: got dead %ums and watchdog timeout %ums, "
		    "expected a timeout of %us or more, or a shorter dead: "
		    "self-demote is at least 2 * dead = %ums, and "
		    "self-demote * 1.02 + %dms = %ums <= watchdog must hold",
		    c->cluster, t->dead_ms, t->watchdog_ms, (over + 999) / 1000,
		    t->self_demote_ms, CONF_MARGIN_MS, over);
}

static void
check_cluster(struct conf_checker *k)
{
	struct conf *c = k->c;
	struct conf_timers *t = &c->t;

	if (c->cluster[0] == '\0') {
		conf_error(k->errors, k->file, 1, 1,
		    "got no cluster block, expected 'cluster NAME { ... }'");
		return;
	}
	if (!conf_name_valid(c->cluster))
		CONF_AT(k, c, "cluster: got name '%s', expected a valid name",
		    c->cluster);
	if (c->port == 0 || c->port > 65535 - 1 - HAD_LINKS_MAX)
		CONF_AT(k, c, "cluster %s: got port %u, expected 1 to %d",
		    c->cluster, c->port, 65535 - 1 - HAD_LINKS_MAX);
	if (t->heartbeat_ms < 2 || t->heartbeat_ms > 10 * 1000) {
		CONF_AT(k, c,
		    "cluster %s: got heartbeat %ums, expected 2ms to 10s",
		    c->cluster, t->heartbeat_ms);
		return;
	}
	check_timers(k);
}

static void
check_node_pair(struct conf_checker *k, const struct conf_node *n,
    const struct conf_node *other)
{
	if (strcmp(n->name, other->name) == 0)
		CONF_AT(k, n,
		    "node %s: got a second node of this name, "
		    "expected one (the first is on line %d)",
		    n->name, other->line);
	if (n->id != 0 && n->id == other->id)
		CONF_AT(k, n,
		    "node %s: got id %u, expected another id: "
		    "node %s on line %d has it",
		    n->name, n->id, other->name, other->line);
	if (n->key_set && other->key_set &&
	    memcmp(n->key, other->key, sizeof(n->key)) == 0)
		CONF_AT(k, n,
		    "node %s: got the key of node %s, expected the node's "
		    "own ('hactl keygen' on it makes one)",
		    n->name, other->name);
}

static void
check_nodes(struct conf_checker *k)
{
	const struct conf *c = k->c;
	const struct conf_node *n;
	uint8_t i, j;

	if (c->n_nodes == 0 && c->cluster[0] != '\0')
		CONF_AT(k, c, "cluster %s: got no node, expected one or two",
		    c->cluster);
	if (c->n_nodes > 2)
		CONF_AT(k, &c->nodes[2],
		    "node %s: got a third node, expected one or two: "
		    "more are not supported",
		    c->nodes[2].name);
	for (i = 0; i < c->n_nodes; i++) {
		n = &c->nodes[i];
		if (!conf_name_valid(n->name))
			CONF_AT(k, n,
			    "node: got name '%s', expected a valid name",
			    n->name);
		if (n->id > HAD_NODES_MAX)
			CONF_AT(k, n,
			    "node %s: got id %u, expected a number from 1 to "
			    "%d",
			    n->name, n->id, HAD_NODES_MAX);
		if (n->id == 0)
			CONF_AT(k, n,
			    "node %s: got no id, expected 'id' and a "
			    "number from 1 to %d",
			    n->name, HAD_NODES_MAX);
		if (c->n_nodes > 1 && !n->key_set)
			CONF_AT(k, n,
			    "node %s: got no key, expected 'key' and the "
			    "fingerprint that 'hactl keygen' prints on it",
			    n->name);
		for (j = 0; j < i; j++)
			check_node_pair(k, n, &c->nodes[j]);
	}
}

static void
check_link_address(struct conf_checker *k, const struct conf_node *n,
    const struct conf_link *l)
{
	uint8_t bytes[16], family;

	family = conf_addr_parse(l->addr, bytes);
	if (family == 0)
		CONF_AT(k, l,
		    "node %s: link %s: got address '%s', expected a "
		    "numeric IPv4 or IPv6 address",
		    n->name, l->name, l->addr);
	else if (!conf_addr_unicast(family, bytes))
		CONF_AT(k, l,
		    "node %s: link %s: got address %s, expected a "
		    "unicast address",
		    n->name, l->name, l->addr);
	else if (conf_addr_link_local(family, bytes))
		CONF_AT(k, l,
		    "node %s: link %s: got address %s, expected one that is "
		    "not link-local",
		    n->name, l->name, l->addr);
	if (!conf_ifname_valid(l->ifname))
		CONF_AT(k, l,
		    "node %s: link %s: got interface '%s', expected the "
		    "name of a network interface",
		    n->name, l->name, l->ifname);
}

static void
check_link_pair(struct conf_checker *k, const struct conf_node *n,
    const struct conf_link *l, const struct conf_node *on,
    const struct conf_link *ol)
{
	uint8_t a[16], b[16], fa, fb;
	bool same_name;

	fa = conf_addr_parse(l->addr, a);
	fb = conf_addr_parse(ol->addr, b);
	same_name = strcmp(l->name, ol->name) == 0;
	if (n == on && same_name)
		CONF_AT(k, l,
		    "node %s: link %s: got a second link of this name, "
		    "expected one (the first is on line %d)",
		    n->name, l->name, ol->line);
	if (n != on && same_name && fa != 0 && fb != 0 && fa != fb)
		CONF_AT(k, l,
		    "node %s: link %s: got IPv%u address %s, expected IPv%u "
		    "as %s of node %s on line %d",
		    n->name, l->name, fa, l->addr, fb, ol->addr, on->name,
		    ol->line);
	if (fa != 0 && fa == fb && memcmp(a, b, sizeof(a)) == 0)
		CONF_AT(k, l,
		    "node %s: link %s: got address %s, expected another: "
		    "link %s of node %s on line %d has it",
		    n->name, l->name, l->addr, ol->name, on->name, ol->line);
}

static const struct conf_link *
find_link(const struct conf_node *n, const char *name)
{
	uint8_t i;

	for (i = 0; i < n->n_links; i++)
		if (strcmp(n->links[i].name, name) == 0)
			return &n->links[i];
	return NULL;
}

/* Both ends of a link have one name, and from the first node one index. */
static void
match_links(
    struct conf_checker *k, struct conf_node *n, const struct conf_node *first)
{
	const struct conf_link *l;
	uint8_t i;

	for (i = 0; i < n->n_links; i++) {
		l = find_link(first, n->links[i].name);
		if (l != NULL)
			n->links[i].index = (uint8_t)(l - first->links);
		else
			CONF_AT(k, &n->links[i],
			    "node %s: link %s: got no such link of node %s, "
			    "expected one on both nodes",
			    n->name, n->links[i].name, first->name);
	}
	for (i = 0; i < first->n_links; i++)
		if (find_link(n, first->links[i].name) == NULL)
			CONF_AT(k, &first->links[i],
			    "node %s: link %s: got no such link of node %s, "
			    "expected one on both nodes",
			    first->name, first->links[i].name, n->name);
}

/* l with every link before it, on its node and on the nodes before that. */
static void
check_link(struct conf_checker *k, uint8_t node, uint8_t link)
{
	const struct conf_node *n = &k->c->nodes[node];
	const struct conf_node *on;
	uint8_t i, j, end;

	if (!conf_name_valid(n->links[link].name))
		CONF_AT(k, &n->links[link],
		    "node %s: link: got name '%s', expected a valid name",
		    n->name, n->links[link].name);
	if (n->links[link].domain[0] != '\0' &&
	    !conf_name_valid(n->links[link].domain))
		CONF_AT(k, &n->links[link],
		    "node %s: link %s: got domain '%s', expected a valid name",
		    n->name, n->links[link].name, n->links[link].domain);
	check_link_address(k, n, &n->links[link]);
	for (i = 0; i <= node; i++) {
		on = &k->c->nodes[i];
		end = i == node ? link : on->n_links;
		for (j = 0; j < end; j++)
			check_link_pair(
			    k, n, &n->links[link], on, &on->links[j]);
	}
}

static void
check_links(struct conf_checker *k)
{
	struct conf *c = k->c;
	struct conf_node *n;
	uint8_t i, j;

	for (i = 0; i < c->n_nodes; i++) {
		n = &c->nodes[i];
		for (j = 0; j < n->n_links; j++) {
			n->links[j].index = j;
			check_link(k, i, j);
		}
		if (c->n_nodes > 1 && n->n_links == 0)
			CONF_AT(k, n,
			    "node %s: got no link, expected one or more",
			    n->name);
	}
	if (c->n_nodes == 2 && c->nodes[0].n_links > 0 &&
	    c->nodes[1].n_links > 0)
		match_links(k, &c->nodes[1], &c->nodes[0]);
}

/* device or meta of v against what another volume uses. */
static void
check_path(struct conf_checker *k, const struct conf_volume *v,
    const char *what, const char *path, const struct conf_volume *other,
    const char *other_path)
{
	if (path[0] != '\0' && strcmp(path, other_path) == 0)
		CONF_AT(k, v,
		    "volume %s: got %s \"%s\", expected another: "
		    "volume %s on line %d uses it",
		    v->name, what, path, other->name, other->line);
}

/* R3: silence of the peer has no default meaning. */
static void
check_silent(struct conf_checker *k, const struct conf_volume *v)
{
	const struct conf *c = k->c;

	if (c->n_nodes != 2) {
		if (c->n_nodes < 2)
			CONF_AT(k, v,
			    "volume %s: got %u node, expected two: a volume "
			    "is mirrored between two nodes",
			    v->name, c->n_nodes);
		return;
	}
	if (c->silent == CONF_SILENT_UNSET && !conf_arbitrated(c))
		CONF_AT(k, v,
		    "volume %s: got neither an arbiter nor a 'silent peer' "
		    "line in cluster %s, expected a fence of each node, a "
		    "witness or a lock disk (which decide), or 'silent peer "
		    "takeover' (a silent peer counts as "
		    "dead and its volumes are taken: safe as long as not all "
		    "links are cut at once, which looks the same and lets "
		    "both nodes write) or 'silent peer wait' (nothing moves "
		    "until an operator says that it is dead)",
		    v->name, c->cluster);
}

static void
check_volumes(struct conf_checker *k)
{
	struct conf *c = k->c;
	struct conf_volume *v, *o;
	uint16_t i, j;

	for (i = 0; i < c->n_volumes; i++) {
		v = &c->volumes[i];
		v->id = i;
		if (!conf_name_valid(v->name))
			CONF_AT(k, v,
			    "volume: got name '%s', expected a valid name",
			    v->name);
		if (v->device[0] != '/')
			CONF_AT(k, v,
			    "volume %s: got no device, expected 'device' "
			    "and the path of a block device or file",
			    v->name);
		if (v->meta[0] != '\0' && v->meta[0] != '/')
			CONF_AT(k, v,
			    "volume %s: got meta \"%s\", expected a path "
			    "that begins with '/'",
			    v->name, v->meta);
		if (strcmp(v->meta, v->device) == 0 && v->meta[0] != '\0')
			CONF_AT(k, v,
			    "volume %s: got its device \"%s\" as meta, "
			    "expected 'internal' or another path",
			    v->name, v->meta);
		check_silent(k, v);
		for (j = 0; j < i; j++) {
			o = &c->volumes[j];
			if (strcmp(v->name, o->name) == 0)
				CONF_AT(k, v,
				    "volume %s: got a second volume of this "
				    "name, expected one (the first is on "
				    "line %d)",
				    v->name, o->line);
			check_path(k, v, "device", v->device, o, o->device);
			check_path(k, v, "device", v->device, o, o->meta);
			check_path(k, v, "meta", v->meta, o, o->device);
			check_path(k, v, "meta", v->meta, o, o->meta);
		}
	}
}

/* A service address that is the address of a link would leave with it. */
static void
check_address_links(struct conf_checker *k, const struct conf_address *a)
{
	const struct conf_node *n;
	uint8_t bytes[16], i, j;

	for (i = 0; i < k->c->n_nodes; i++) {
		n = &k->c->nodes[i];
		for (j = 0; j < n->n_links; j++)
			if (conf_addr_parse(n->links[j].addr, bytes) ==
				a->family &&
			    memcmp(bytes, a->bytes, sizeof(bytes)) == 0)
				CONF_AT(k, a,
				    "address %s: got %s, expected another: "
				    "link %s of node %s on line %d has it",
				    a->name, a->addr, n->links[j].name, n->name,
				    n->links[j].line);
	}
}

static void
check_address(struct conf_checker *k, struct conf_address *a)
{
	if (!conf_name_valid(a->name))
		CONF_AT(k, a, "address: got name '%s', expected a valid name",
		    a->name);
	if (!conf_ifname_valid(a->ifname))
		CONF_AT(k, a,
		    "address %s: got interface '%s', expected the name "
		    "of a network interface",
		    a->name, a->ifname);
	a->family = conf_addr_parse(a->addr, a->bytes);
	if (a->family == 0) {
		CONF_AT(k, a,
		    "address %s: got '%s', expected a numeric IPv4 or "
		    "IPv6 address",
		    a->name, a->addr);
		return;
	}
	if (a->prefix < 1 || a->prefix > (a->family == 4 ? 32 : 128))
		CONF_AT(k, a,
		    "address %s: got prefix length %u, expected 1 to %d",
		    a->name, a->prefix, a->family == 4 ? 32 : 128);
	if (!conf_addr_unicast(a->family, a->bytes))
		CONF_AT(k, a, "address %s: got %s, expected a unicast address",
		    a->name, a->addr);
	else if (conf_addr_is_network(a->family, a->bytes, a->prefix))
		CONF_AT(k, a,
		    "address %s: got %s/%u, expected the address of a "
		    "host, not of the network or its broadcast",
		    a->name, a->addr, a->prefix);
	check_address_links(k, a);
}

static void
check_addresses(struct conf_checker *k)
{
	struct conf *c = k->c;
	struct conf_address *a, *o;
	uint16_t i, j;

	for (i = 0; i < c->n_addresses; i++) {
		a = &c->addresses[i];
		a->id = i;
		check_address(k, a);
		for (j = 0; j < i; j++) {
			o = &c->addresses[j];
			if (strcmp(a->name, o->name) == 0)
				CONF_AT(k, a,
				    "address %s: got a second address of this "
				    "name, expected one (the first is on "
				    "line %d)",
				    a->name, o->line);
			if (a->family == o->family &&
			    memcmp(a->bytes, o->bytes, sizeof(a->bytes)) == 0)
				CONF_AT(k, a,
				    "address %s: got %s, expected another: "
				    "address %s on line %d has it",
				    a->name, a->addr, o->name, o->line);
		}
	}
}

static void
check_lockspaces(struct conf_checker *k)
{
	struct conf *c = k->c;
	struct conf_lockspace *l;
	uint16_t i, j;

	for (i = 0; i < c->n_lockspaces; i++) {
		l = &c->lockspaces[i];
		l->id = i;
		if (!conf_name_valid(l->name))
			CONF_AT(k, l,
			    "lockspace: got name '%s', expected a valid "
			    "name",
			    l->name);
		if (l->locks_max < 1 || l->locks_max > CONF_LOCKS_MAX)
			CONF_AT(k, l,
			    "lockspace %s: got %u locks, expected 1 to "
			    "%d",
			    l->name, l->locks_max, CONF_LOCKS_MAX);
		for (j = 0; j < i; j++)
			if (strcmp(l->name, c->lockspaces[j].name) == 0)
				CONF_AT(k, l,
				    "lockspace %s: got a second lockspace of "
				    "this name, expected one (the first is on "
				    "line %d)",
				    l->name, c->lockspaces[j].line);
	}
}

int
conf_check(struct conf *c, const char *file, struct conf_errors *errors)
{
	struct conf_checker k = {.c = c, .file = file, .errors = errors};
	unsigned before;

	before = errors->count;
	check_cluster(&k);
	check_nodes(&k);
	check_links(&k);
	check_volumes(&k);
	check_addresses(&k);
	conf_check_services(&k);
	conf_check_routers(&k);
	check_lockspaces(&k);
	conf_check_arbiters(&k);
	return errors->count == before ? 0 : -1;
}
