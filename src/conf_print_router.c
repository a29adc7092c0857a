/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The printer's part for virtual routers.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "conf_int.h"

static void
put_addr(struct conf_out *o, const uint8_t bytes[16], uint8_t family)
{
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(family == 4 ? AF_INET : AF_INET6, bytes, text,
		sizeof(text)) != NULL)
		conf_put(o, "%s", text);
}

/* " on NODE" for all but the value that holds for every node. */
static void
put_on(struct conf_out *o, const struct conf *c, unsigned slot)
{
	const struct conf_node *n = conf_node(c, (uint8_t)slot);

	if (n != NULL)
		conf_put(o, " on %s", n->name);
	conf_put(o, "\n");
}

static void
put_proto(struct conf_out *o, const struct conf_router *r)
{
	if (r->proto == CONF_CARP)
		conf_put(o, "\tcarp vhid %u\n", r->vrid);
	else
		conf_put(o, "\tvrrp %d vrid %u\n",
		    r->proto == CONF_VRRP2 ? 2 : 3, r->vrid);
}

static void
put_slots(struct conf_out *o, const struct conf *c, const struct conf_router *r)
{
	for (unsigned i = 0; i <= HAD_NODES_MAX; i++) {
		if ((r->rank_set & 1u << i) == 0)
			continue;
		conf_put(o, "\t%s %u",
		    r->proto == CONF_CARP ? "skew" : "priority", r->rank[i]);
		put_on(o, c, i);
	}
	for (unsigned i = 0; i < r->n_sources; i++) {
		conf_put(o, "\tsource ");
		put_addr(o, r->sources[i].addr, r->family);
		put_on(o, c, r->sources[i].node);
	}
}

static void
put_track(struct conf_out *o, const struct conf_track *t)
{
	static const enum conf_kw words[] = {
	    [CONF_TRACK_INTERFACE] = CONF_KW_INTERFACE,
	    [CONF_TRACK_CHECK] = CONF_KW_CHECK,
	    [CONF_TRACK_FILE] = CONF_KW_FILE,
	    [CONF_TRACK_PROCESS] = CONF_KW_PROCESS,
	    [CONF_TRACK_VOLUME] = CONF_KW_VOLUME,
	    [CONF_TRACK_SERVICE] = CONF_KW_SERVICE,
	};

	conf_put(o, "\ttrack %s ", conf_kw_word(words[t->type]));
	conf_put_string(o, t->what);
	if (t->type == CONF_TRACK_CHECK) {
		conf_put(o, " every ");
		conf_put_duration(o, t->every_ms);
		conf_put(o, " timeout ");
		conf_put_duration(o, t->timeout_ms);
	}
	if (t->weight != 0)
		conf_put(o, " weight %d", t->weight);
	conf_put(o, "\n");
}

static void
put_password(struct conf_out *o, const struct conf_router *r)
{
	/* What is in the file is not printed. */
	if (r->password_file[0] != '\0') {
		conf_put(o, "\tpassword file ");
		conf_put_string(o, r->password_file);
		conf_put(o, "\n");
	} else if (r->password[0] != '\0') {
		conf_put(o, "\tpassword ");
		conf_put_string(o, r->password);
		conf_put(o, "\n");
	}
}

static void
put_election(struct conf_out *o, const struct conf_router *r)
{
	/* A service decides: there is nothing to say. */
	if (!conf_router_elected(r))
		return;
	if (r->preempt) {
		conf_put(o, "\tpreempt after ");
		conf_put_duration(o, r->preempt_after_ms);
		conf_put(o, "\n");
	} else
		conf_put(o, "\tpreempt never\n");
	if (r->start_after_ms != 0) {
		conf_put(o, "\tstart after ");
		conf_put_duration(o, r->start_after_ms);
		conf_put(o, "\n");
	}
	if (r->no_accept)
		conf_put(o, "\taccept never\n");
	if (r->group[0] != '\0')
		conf_put(o, "\tgroup %s\n", r->group);
}

void
conf_put_router(
    struct conf_out *o, const struct conf *c, const struct conf_router *r)
{
	conf_put(o, "router %s {\n", r->name);
	put_proto(o, r);
	for (unsigned i = 0; i < r->n_addrs; i++)
		conf_put(o, "\taddress %s\n", c->addresses[r->addrs[i]].name);
	conf_put(o, "\tinterface ");
	conf_put_word(o, r->ifname);
	conf_put(o, "\n\tinterval ");
	conf_put_duration(o, r->interval_ms);
	conf_put(o, "\n");
	put_slots(o, c, r);
	put_password(o, r);
	conf_put_hmac(o, c, r);
	for (unsigned i = 0; i < r->n_unicast; i++) {
		conf_put(o, "\tunicast ");
		put_addr(o, r->unicast[i], r->family);
		conf_put(o, "\n");
	}
	if (r->checksum != CONF_SUM_AUTO)
		conf_put(o, "\tchecksum %s\n",
		    r->checksum == CONF_SUM_PLAIN ? "plain" : "pseudo");
	if (r->virtual_mac)
		conf_put(o, "\tvirtual mac\n");
	put_election(o, r);
	for (uint16_t i = 0; i < c->n_tracks; i++)
		if (c->tracks[i].router == r->id)
			put_track(o, &c->tracks[i]);
	conf_put(o, "}\n");
}
