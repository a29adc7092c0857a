/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checker's part for arbiters: who may decide on a silent peer, whether
 * they can, and whether nothing else in the file contradicts them.
 */
#include <stdio.h>
#include <string.h>

#include "conf_int.h"

/* Whose address it is: a link's or that of a service; NULL = nobody's. */
static const char *
address_owner(const struct conf *c, uint8_t family, const uint8_t bytes[16],
    char *who, size_t size)
{
	const struct conf_node *n;
	uint8_t other[16];
	uint16_t i, j;

	for (i = 0; i < c->n_nodes; i++) {
		n = &c->nodes[i];
		for (j = 0; j < n->n_links; j++) {
			if (conf_addr_parse(n->links[j].addr, other) !=
				family ||
			    memcmp(other, bytes, sizeof(other)) != 0)
				continue;
			snprintf(who, size, "link %s of node %s on line %d",
			    n->links[j].name, n->name, n->links[j].line);
			return who;
		}
	}
	for (i = 0; i < c->n_addresses; i++) {
		if (conf_addr_parse(c->addresses[i].addr, other) != family ||
		    memcmp(other, bytes, sizeof(other)) != 0)
			continue;
		snprintf(who, size, "address %s on line %d",
		    c->addresses[i].name, c->addresses[i].line);
		return who;
	}
	return NULL;
}

/* An address outside of the pair; what is the object, with its name. */
static void
check_outside(struct conf_checker *k, struct conf_pos at, const char *what,
    const char *addr, const char *because)
{
	uint8_t bytes[16], family;
	const char *owner;
	char who[160];

	family = conf_addr_parse(addr, bytes);
	if (family == 0) {
		CONF_AT(k, &at,
		    "%s: got address '%s', expected a numeric IPv4 or IPv6 "
		    "address",
		    what, addr);
		return;
	}
	if (!conf_addr_unicast(family, bytes))
		CONF_AT(k, &at,
		    "%s: got address %s, expected a unicast address", what,
		    addr);
	else if (conf_addr_link_local(family, bytes))
		CONF_AT(k, &at,
		    "%s: got address %s, expected one that is not link-local",
		    what, addr);
	owner = address_owner(k->c, family, bytes, who, sizeof(who));
	if (owner != NULL)
		CONF_AT(k, &at,
		    "%s: got address %s, expected another: %s has it, and %s",
		    what, addr, owner, because);
}

static void
check_witness(struct conf_checker *k)
{
	const struct conf_witness *w = &k->c->witness;
	const struct conf_node *n;

	if (w->addr[0] == '\0')
		return;
	check_outside(k, (struct conf_pos){w->line, w->col}, "witness", w->addr,
	    "a witness on one of the nodes would be lost with it");
	if (w->port == 0)
		CONF_AT(k, w, "witness: got port 0, expected 1 to 65535");
	for (n = k->c->nodes; n < k->c->nodes + k->c->n_nodes; n++)
		if (n->key_set && memcmp(n->key, w->key, sizeof(w->key)) == 0)
			CONF_AT(k, w,
			    "witness: got the key of node %s on line %d, "
			    "expected the witness's own",
			    n->name, n->line);
}

static void
check_pings(struct conf_checker *k)
{
	uint8_t a[16], b[16], family, i, j;
	const struct conf *c = k->c;

	for (i = 0; i < c->n_pings; i++) {
		check_outside(k, c->ping_at[i], "ping", c->pings[i],
		    "its answer says nothing about the network outside");
		family = conf_addr_parse(c->pings[i], a);
		for (j = 0; j < i; j++)
			if (family != 0 &&
			    conf_addr_parse(c->pings[j], b) == family &&
			    memcmp(a, b, sizeof(a)) == 0)
				CONF_AT(k, &c->ping_at[i],
				    "ping: got address %s, expected another: "
				    "line %d has it",
				    c->pings[i], c->ping_at[j].line);
	}
}

static void
check_lock_disk(struct conf_checker *k, uint8_t i)
{
	const struct conf *c = k->c;
	const struct conf_pos *at = &c->lock_disk_at[i];
	const char *path = c->lock_disks[i];
	const struct conf_volume *v;
	uint8_t j;

	if (path[0] != '/')
		CONF_AT(k, at,
		    "lock disk: got \"%s\", expected a path that begins with "
		    "'/'",
		    path);
	for (j = 0; j < i; j++)
		if (strcmp(path, c->lock_disks[j]) == 0)
			CONF_AT(k, at,
			    "lock disk: got \"%s\", expected another: line %d "
			    "has it, and one disk has one vote",
			    path, c->lock_disk_at[j].line);
	for (v = c->volumes; v < c->volumes + c->n_volumes; v++)
		if (strcmp(path, v->device) == 0 || strcmp(path, v->meta) == 0)
			CONF_AT(k, at,
			    "lock disk: got \"%s\", expected another: volume "
			    "%s on line %d uses it",
			    path, v->name, v->line);
}

static void
check_params(struct conf_checker *k, const struct conf_node *n,
    const struct conf_fence *f)
{
	const struct conf_fence_param *p, *o;

	for (p = f->params; p < f->params + f->n_params; p++) {
		if (!conf_param_valid(p->name) ||
		    conf_param_reserved(p->name) != NULL)
			CONF_AT(k, f,
			    "node %s: fence %s: got parameter '%s', expected "
			    "one of the agent's that had does not set itself",
			    n->name, f->agent, p->name);
		if (p->value[0] == '\0' || (p->file && p->value[0] != '/'))
			CONF_AT(k, f,
			    "node %s: fence %s: got %s \"%s\" for %s, expected "
			    "%s",
			    n->name, f->agent, p->file ? "file" : "value",
			    p->value, p->name,
			    p->file ? "a path that begins with '/'"
				    : "a value");
		for (o = f->params; o < p; o++)
			if (strcmp(o->name, p->name) == 0)
				CONF_AT(k, f,
				    "node %s: fence %s: got a second parameter "
				    "%s, expected it once",
				    n->name, f->agent, p->name);
	}
}

/* What is on one side only would let one node take over and not the other. */
static void
check_fences(struct conf_checker *k)
{
	const struct conf_node *n, *with = NULL;
	const struct conf_fence *f;
	const struct conf *c = k->c;

	for (n = c->nodes; n < c->nodes + c->n_nodes; n++) {
		for (f = n->fences; f < n->fences + n->n_fences; f++) {
			if (!conf_agent_valid(f->agent))
				CONF_AT(k, f,
				    "node %s: fence: got agent '%s', expected "
				    "a name, or a path from '/' on",
				    n->name, f->agent);
			if (f->timeout_ms == 0)
				CONF_AT(k, f,
				    "node %s: fence %s: got timeout 0, "
				    "expected 1ms or more",
				    n->name, f->agent);
			check_params(k, n, f);
		}
		if (n->n_fences > 0 && with == NULL)
			with = n;
	}
	for (n = c->nodes; with != NULL && n < c->nodes + c->n_nodes; n++)
		if (n->n_fences == 0)
			CONF_AT(k, n,
			    "node %s: got no fence, expected one or more: node "
			    "%s on line %d has, and a node that cannot be "
			    "switched off could never be taken over from",
			    n->name, with->name, with->line);
}

/* Voters of even number are allowed; had -n says what they need. */
static void
check_watchdog(struct conf_checker *k)
{
	const struct conf *c = k->c;
	uint32_t ms = c->watchdog_timeout_ms;

	if (c->self_fence == CONF_SELF_FENCE_WATCHDOG && c->watchdog[0] == '\0')
		CONF_AT(k, &c->self_fence_at,
		    "cluster %s: got 'self fence watchdog' without a watchdog, "
		    "expected 'watchdog' and its device and timeout",
		    c->cluster);
	if (c->watchdog[0] == '\0')
		return;
	if (c->watchdog[0] != '/')
		CONF_AT(k, &c->watchdog_at,
		    "cluster %s: got watchdog \"%s\", expected a path that "
		    "begins with '/'",
		    c->cluster, c->watchdog);
	if (ms < 1000 || ms > CONF_WATCHDOG_MAX_MS || ms % 1000 != 0)
		CONF_AT(k, &c->watchdog_at,
		    "cluster %s: got watchdog timeout %ums, expected whole "
		    "seconds from 1s to %us",
		    c->cluster, ms, CONF_WATCHDOG_MAX_MS / 1000);
	if (conf_n_voters(c) == 0 && c->self_fence != CONF_SELF_FENCE_WATCHDOG)
		CONF_AT(k, &c->watchdog_at,
		    "cluster %s: got a watchdog that nothing would use, "
		    "expected a witness or lock disk (whose lease a node "
		    "without its peer needs to be fed) or 'self fence "
		    "watchdog'",
		    c->cluster);
}

/* There is nobody to arbitrate with, and nobody to hand over to. */
static void
check_alone(struct conf_checker *k)
{
	const struct conf *c = k->c;
	const struct conf_node *n = &c->nodes[0];

	if (c->n_nodes != 1)
		return;
	if (c->witness.addr[0] != '\0')
		CONF_AT(k, &c->witness,
		    "witness: got one node, expected two: it decides between "
		    "nodes");
	if (c->n_lock_disks > 0)
		CONF_AT(k, &c->lock_disk_at[0],
		    "lock disk: got one node, expected two: it decides "
		    "between nodes");
	if (c->n_pings > 0)
		CONF_AT(k, &c->ping_at[0],
		    "ping: got one node, expected two: a node that is cut off "
		    "hands over to the other");
	if (n->n_fences > 0)
		CONF_AT(k, &n->fences[0],
		    "node %s: got a fence of the only node, expected two "
		    "nodes: one switches the other off",
		    n->name);
}

void
conf_check_arbiters(struct conf_checker *k)
{
	const struct conf *c = k->c;
	uint8_t i;

	if (c->silent != CONF_SILENT_UNSET && conf_arbitrated(c))
		CONF_AT(k, &c->silent_at,
		    "cluster %s: got 'silent peer %s' together with a %s, "
		    "expected one of them: the arbiter decides what silence "
		    "of the peer means",
		    c->cluster,
		    c->silent == CONF_SILENT_WAIT ? "wait" : "takeover",
		    c->witness.addr[0] != '\0' ? "witness"
		    : c->n_lock_disks > 0      ? "lock disk"
					       : "fence");
	check_witness(k);
	check_pings(k);
	for (i = 0; i < c->n_lock_disks; i++)
		check_lock_disk(k, i);
	check_watchdog(k);
	check_fences(k);
	check_alone(k);
}
