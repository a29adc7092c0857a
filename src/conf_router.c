/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parser's part for virtual routers: addresses that are held by election
 * (VRRP, CARP), or that a service holds and that tell so.
 */
#include <bsd/string.h>
#include <string.h>

#include "conf_int.h"

enum {
	INTERVAL_MIN_MS = 10, /* VRRPv3 counts centiseconds */
	INTERVAL_MAX_MS = 255 * 1000,
	DELAY_MAX_MS = 3600 * 1000,
	EVERY_MIN_MS = 100,
	EVERY_MAX_MS = 3600 * 1000,
};

/* "vrid 51" or "vhid 51" */
static bool
parse_number_of(struct conf_parser *p, enum conf_kw kw)
{
	uint32_t n;

	if (!conf_want_kw(p, kw) || !conf_uint(p, 1, 255, &n))
		return false;
	p->router->vrid = (uint8_t)n;
	return true;
}

/* vrrp and carp exclude each other; each stands once by the table. */
static bool
proto_is_new(struct conf_parser *p)
{
	if (p->router->vrid == 0)
		return true;
	conf_error(p->errors, p->file, p->key_line, p->key_col,
	    "got a second protocol, expected vrrp or carp once");
	return false;
}

static bool
parse_vrrp(struct conf_parser *p)
{
	uint32_t version;

	if (!proto_is_new(p) || !conf_uint(p, 2, 3, &version))
		return false;
	p->router->proto = version == 2 ? CONF_VRRP2 : CONF_VRRP3;
	return parse_number_of(p, CONF_KW_VRID);
}

static bool
parse_carp(struct conf_parser *p)
{
	if (!proto_is_new(p))
		return false;
	p->router->proto = CONF_CARP;
	return parse_number_of(p, CONF_KW_VHID);
}

static bool
parse_interface(struct conf_parser *p)
{
	return conf_ifname(p, p->router->ifname);
}

/* Its block stands before, as those of the nodes do. */
static bool
parse_address(struct conf_parser *p)
{
	struct conf_router *r = p->router;
	struct conf_token at = p->tok;
	char name[HAD_NAME_MAX];
	uint16_t i;

	if (r->n_addrs == HAD_ROUTER_ADDRESSES_MAX)
		return conf_expected(p, "at most %d addresses of a router",
		    HAD_ROUTER_ADDRESSES_MAX);
	if (!conf_name(p, name, sizeof(name), "the name of an address"))
		return false;
	for (i = 0; i < p->c->n_addresses; i++)
		if (strcmp(p->c->addresses[i].name, name) == 0)
			break;
	if (i == p->c->n_addresses) {
		conf_error(p->errors, p->file, at.line, at.col,
		    "got %s, expected an address whose block stands before",
		    name);
		return false;
	}
	r->addrs[r->n_addrs++] = i;
	return true;
}

/* "[on NODE]"; *slot is 0 for every node, or that node's place. */
static bool
parse_on(struct conf_parser *p, uint32_t *set, uint8_t *slot)
{
	char name[HAD_NAME_MAX];
	struct conf_token at = p->tok;
	const struct conf_node *n;

	*slot = 0;
	if (conf_is_kw(p, CONF_KW_ON)) {
		conf_next(p);
		at = p->tok;
		if (!conf_name(p, name, sizeof(name), "the name of a node"))
			return false;
		n = conf_node_named(p->c, name);
		if (n == NULL || n->id == 0 || n->id > HAD_NODES_MAX) {
			conf_error(p->errors, p->file, at.line, at.col,
			    "got %s, expected a node with an id whose block "
			    "stands before",
			    name);
			return false;
		}
		*slot = n->id;
	}
	if ((*set & 1u << *slot) != 0) {
		conf_error(p->errors, p->file, at.line, at.col,
		    "got a second value for the same node, expected it once");
		return false;
	}
	*set |= 1u << *slot;
	return true;
}

static bool
parse_rank(struct conf_parser *p, uint32_t min, uint32_t max)
{
	struct conf_router *r = p->router;
	uint32_t n;
	uint8_t slot;

	if (!conf_uint(p, min, max, &n) || !parse_on(p, &r->rank_set, &slot))
		return false;
	r->rank[slot] = (uint8_t)n;
	return true;
}

static bool
parse_priority(struct conf_parser *p)
{
	struct conf_router *r = p->router;

	if (r->proto == CONF_CARP) {
		conf_error(p->errors, p->file, p->key_line, p->key_col,
		    "got a priority, expected a skew: carp knows no others");
		return false;
	}
	return parse_rank(p, 1, CONF_VRRP_OWNER);
}

static bool
parse_skew(struct conf_parser *p)
{
	struct conf_router *r = p->router;

	if (r->proto != CONF_CARP) {
		conf_error(p->errors, p->file, p->key_line, p->key_col,
		    "got a skew, expected 'carp' before it, or a priority");
		return false;
	}
	return parse_rank(p, 0, 254);
}

static bool
parse_interval(struct conf_parser *p)
{
	return conf_duration(
	    p, INTERVAL_MIN_MS, INTERVAL_MAX_MS, &p->router->interval_ms);
}

static bool
parse_preempt(struct conf_parser *p)
{
	struct conf_router *r = p->router;

	if (!conf_either(p, CONF_KW_NEVER, CONF_KW_AFTER, &r->preempt))
		return false;
	return !r->preempt ||
	       conf_duration(p, 0, DELAY_MAX_MS, &r->preempt_after_ms);
}

static bool
parse_start(struct conf_parser *p)
{
	return conf_want_kw(p, CONF_KW_AFTER) &&
	       conf_duration(p, 0, DELAY_MAX_MS, &p->router->start_after_ms);
}

static bool
parse_password(struct conf_parser *p)
{
	struct conf_router *r = p->router;

	if (p->tok.type == CONF_TOK_WORD && conf_is_kw(p, CONF_KW_FILE)) {
		conf_next(p);
		return conf_path(p, r->password_file, sizeof(r->password_file),
		    "the path of a file");
	}
	if (p->tok.text[0] == '\0')
		return conf_expected(p, "a password that is not empty");
	return conf_text(p, r->password, sizeof(r->password), "a password");
}

static bool
parse_binary(struct conf_parser *p, uint8_t bytes[16])
{
	uint8_t family = conf_addr_parse(p->tok.text, bytes);

	if (family == 0 || !conf_addr_unicast(family, bytes))
		return conf_expected(p, "a numeric unicast address");
	/* The checker compares the family; an IPv4 address ends in zeros. */
	conf_next(p);
	return true;
}

static bool
parse_source(struct conf_parser *p)
{
	struct conf_router *r = p->router;
	uint8_t bytes[16], slot, at;

	if (r->n_sources == CONF_SOURCES_MAX)
		return conf_expected(
		    p, "at most %d sources of a router", CONF_SOURCES_MAX);
	if (!parse_binary(p, bytes) || !parse_on(p, &r->source_set, &slot))
		return false;
	/* By node, in whatever order the file has them. */
	for (at = r->n_sources++; at > 0 && r->sources[at - 1].node > slot;
	     at--)
		r->sources[at] = r->sources[at - 1];
	r->sources[at].node = slot;
	memcpy(r->sources[at].addr, bytes, sizeof(bytes));
	return true;
}

static bool
parse_unicast(struct conf_parser *p)
{
	struct conf_router *r = p->router;

	if (r->n_unicast == HAD_ROUTER_PEERS_MAX)
		return conf_expected(p, "at most %d unicast peers of a router",
		    HAD_ROUTER_PEERS_MAX);
	return parse_binary(p, r->unicast[r->n_unicast]) && ++r->n_unicast > 0;
}

static bool
parse_checksum(struct conf_parser *p)
{
	bool plain;

	if (!conf_either(p, CONF_KW_PSEUDO, CONF_KW_PLAIN, &plain))
		return false;
	p->router->checksum = plain ? CONF_SUM_PLAIN : CONF_SUM_PSEUDO;
	return true;
}

static bool
parse_virtual(struct conf_parser *p)
{
	p->router->virtual_mac = true;
	return conf_want_kw(p, CONF_KW_MAC);
}

static bool
parse_accept(struct conf_parser *p)
{
	p->router->no_accept = true;
	return conf_want_kw(p, CONF_KW_NEVER);
}

static bool
parse_group(struct conf_parser *p)
{
	return conf_name(p, p->router->group, sizeof(p->router->group),
	    "the name of a group of routers");
}

static bool
track_weight(struct conf_parser *p)
{
	struct conf_token at = p->tok;
	int32_t w;

	if (!conf_int(p, -254, 254, &w))
		return false;
	if (w == 0) {
		conf_error(p->errors, p->file, at.line, at.col,
		    "got weight 0, expected another number, or no weight: "
		    "then the router does not take part while it is down");
		return false;
	}
	p->track->weight = (int16_t)w;
	return true;
}

static bool
track_every(struct conf_parser *p)
{
	return conf_duration(
	    p, EVERY_MIN_MS, EVERY_MAX_MS, &p->track->every_ms);
}

static bool
track_timeout(struct conf_parser *p)
{
	return conf_duration(p, 1, EVERY_MAX_MS, &p->track->timeout_ms);
}

static const struct {
	enum conf_kw kw;
	enum conf_track_type type;
	const char *what;
} track_types[] = {
    {CONF_KW_INTERFACE, CONF_TRACK_INTERFACE, "a network interface"},
    {CONF_KW_CHECK, CONF_TRACK_CHECK, "a shell command"},
    {CONF_KW_FILE, CONF_TRACK_FILE, "the path of a file"},
    {CONF_KW_PROCESS, CONF_TRACK_PROCESS, "the name of a program"},
    {CONF_KW_VOLUME, CONF_TRACK_VOLUME, "the name of a volume"},
    {CONF_KW_SERVICE, CONF_TRACK_SERVICE, "the name of a service"},
};

/* What the thing is called, behind the word of its type. */
static bool
track_what(struct conf_parser *p, struct conf_track *t, const char *what)
{
	char ifname[16];

	switch (t->type) {
	case CONF_TRACK_INTERFACE:
		if (!conf_ifname(p, ifname))
			return false;
		strlcpy(t->what, ifname, sizeof(t->what));
		return true;
	case CONF_TRACK_FILE:
		return conf_path(p, t->what, sizeof(t->what), what);
	case CONF_TRACK_VOLUME:
	case CONF_TRACK_SERVICE:
		return conf_name(p, t->what, HAD_NAME_MAX, what);
	case CONF_TRACK_CHECK:
	case CONF_TRACK_PROCESS:
		if (p->tok.text[0] == '\0')
			return conf_expected(p, "%s", what);
		return conf_text(p, t->what, sizeof(t->what), what);
	}
	return false;
}

static bool
parse_track(struct conf_parser *p)
{
	static const struct conf_stmt plain[] = {
	    {CONF_KW_WEIGHT, track_weight, false, false},
	};
	static const struct conf_stmt check[] = {
	    {CONF_KW_WEIGHT, track_weight, false, false},
	    {CONF_KW_EVERY, track_every, false, false},
	    {CONF_KW_TIMEOUT, track_timeout, false, false},
	};
	struct conf *c = p->c;
	struct conf_track *t;
	size_t i;

	if (c->n_tracks == HAD_TRACKS_MAX)
		return conf_expected(
		    p, "at most %d tracked things", HAD_TRACKS_MAX);
	p->track = t = &c->tracks[c->n_tracks];
	t->line = p->key_line;
	t->col = p->key_col;
	t->router = (uint16_t)(p->router - c->routers);
	t->every_ms = CONF_CHECK_EVERY_MS;
	t->timeout_ms = CONF_CHECK_TIMEOUT_MS;
	for (i = 0; i < NITEMS(track_types); i++)
		if (conf_is_kw(p, track_types[i].kw))
			break;
	if (i == NITEMS(track_types))
		return conf_expected(
		    p, "interface, check, file, process, volume or service");
	t->type = track_types[i].type;
	conf_next(p);
	if (!track_what(p, t, track_types[i].what) ||
	    !(t->type == CONF_TRACK_CHECK
		    ? conf_attrs(p, check, NITEMS(check))
		    : conf_attrs(p, plain, NITEMS(plain))))
		return false;
	c->n_tracks++;
	return true;
}

bool
conf_parse_router(struct conf_parser *p)
{
	static const struct conf_stmt table[] = {
	    {CONF_KW_VRRP, parse_vrrp, false, false},
	    {CONF_KW_CARP, parse_carp, false, false},
	    {CONF_KW_ADDRESS, parse_address, true, false},
	    {CONF_KW_INTERFACE, parse_interface, false, false},
	    {CONF_KW_PRIORITY, parse_priority, true, false},
	    {CONF_KW_SKEW, parse_skew, true, false},
	    {CONF_KW_INTERVAL, parse_interval, false, false},
	    {CONF_KW_PREEMPT, parse_preempt, false, false},
	    {CONF_KW_START, parse_start, false, false},
	    {CONF_KW_PASSWORD, parse_password, false, false},
	    {CONF_KW_HMAC, conf_parse_hmac, false, true},
	    {CONF_KW_SOURCE, parse_source, true, false},
	    {CONF_KW_UNICAST, parse_unicast, true, false},
	    {CONF_KW_CHECKSUM, parse_checksum, false, false},
	    {CONF_KW_VIRTUAL, parse_virtual, false, false},
	    {CONF_KW_ACCEPT, parse_accept, false, false},
	    {CONF_KW_GROUP, parse_group, false, false},
	    {CONF_KW_TRACK, parse_track, true, false},
	};
	struct conf *c = p->c;
	struct conf_router *r;

	if (c->n_routers == HAD_ADDRESSES_MAX)
		return conf_expected(
		    p, "at most %d routers", HAD_ADDRESSES_MAX);
	p->router = r = &c->routers[c->n_routers++];
	r->line = p->key_line;
	r->col = p->key_col;
	r->interval_ms = CONF_INTERVAL_MS;
	return conf_name(p, r->name, sizeof(r->name), "the router's name") &&
	       conf_block(p, table, NITEMS(table), "router");
}
