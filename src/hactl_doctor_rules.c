/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl doctor: base chains of others that would drop what had sends or
 * waits for.  A chain is walked as the first packet of the protocol would go
 * through it; a condition that is not about the protocol or an interface may
 * hold or not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hactl_doctor.h"

struct proto {
	int number;
	const char *name, *what;
};

static const struct proto protos[] = {
    {112, "vrrp", "VRRP and CARP"},
    {132, "sctp", "SCTP"},
};

enum fit { FIT_NO, FIT_MAYBE, FIT_YES };
enum outcome { GO_ON, ACCEPTED, DROPPED };

struct walk {
	const struct doctor *d; /* borrowed */
	const json_t *objects; /* borrowed: of the listing */
	const struct proto *p; /* borrowed */
	const char *family, *table; /* borrowed */
	unsigned depth;
	bool maybe; /* an accept under conditions was passed */
	/* The rule that drops: -1 = none; under conditions. */
	int drop, soft;
	const char *drop_chain, *soft_chain; /* borrowed */
	bool named; /* the rule that drops names the protocol */
};

/* A rule while its expressions are read. */
struct rule {
	const char *chain; /* borrowed */
	int handle;
	enum fit fit;
	bool named;
};

static const char *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL ? text : "";
}

/* Is this value, or one of these, the protocol? */
static bool
has_proto(const struct walk *w, const json_t *v)
{
	const char *text = json_string_value(v);
	const json_t *e;
	size_t i;

	if (json_is_integer(v))
		return json_integer_value(v) == w->p->number;
	if (text != NULL && text[0] == '@') {
		json_array_foreach(w->objects, i, e)
		{
			const json_t *set = json_object_get(e, "set");

			if (strcmp(text_of(set, "name"), text + 1) == 0 &&
			    strcmp(text_of(set, "table"), w->table) == 0 &&
			    strcmp(text_of(set, "family"), w->family) == 0)
				return has_proto(
				    w, json_object_get(set, "elem"));
		}
		return false;
	}
	if (text != NULL)
		return strcmp(text, w->p->name) == 0 ||
		       atoi(text) == w->p->number;
	if (json_is_object(v))
		v = json_object_get(v, "set");
	json_array_foreach(v, i, e)
	{
		if (has_proto(w, e))
			return true;
	}
	return false;
}

/* Does the string, or one of these, match? */
static bool
has_text(const json_t *v, const char *want)
{
	const char *text = json_string_value(v);
	const json_t *e;
	size_t i;

	if (text != NULL) {
		size_t n = strlen(text);

		if (n > 0 && text[n - 1] == '*')
			return strncmp(text, want, n - 1) == 0;
		return strcmp(text, want) == 0;
	}
	if (json_is_object(v))
		v = json_object_get(v, "set");
	json_array_foreach(v, i, e)
	{
		if (has_text(e, want))
			return true;
	}
	return false;
}

/* Does had speak this protocol on one of these interfaces? */
static enum fit
fit_interface(const struct walk *w, const json_t *right)
{
	const struct conf *c = w->d->c;

	if (c == NULL)
		return has_text(right, "lo") ? FIT_NO : FIT_YES;
	for (uint16_t i = 0; w->p->number == 112 && i < c->n_routers; i++)
		if (has_text(right, c->routers[i].ifname))
			return FIT_YES;
	for (uint8_t i = 0; w->p->number == 132 && i < c->n_nodes; i++)
		for (uint8_t k = 0; k < c->nodes[i].n_links; k++)
			if (has_text(right, c->nodes[i].links[k].ifname))
				return FIT_YES;
	return FIT_NO;
}

/* A field of a header. */
static enum fit
fit_payload(const struct walk *w, const json_t *payload, const json_t *right,
    struct rule *r)
{
	const char *proto = text_of(payload, "protocol");
	const char *field = text_of(payload, "field");

	if (strcmp(field, "protocol") == 0 || strcmp(field, "nexthdr") == 0) {
		r->named |= has_proto(w, right);
		return has_proto(w, right) ? FIT_YES : FIT_NO;
	}
	/* The groups that only VRRP and CARP use. */
	if (has_text(right, "224.0.0.18") || has_text(right, "ff02::12")) {
		r->named |= w->p->number == 112;
		return w->p->number == 112 ? FIT_YES : FIT_NO;
	}
	if (strcmp(proto, "ip") == 0 || strcmp(proto, "ip6") == 0 ||
	    strcmp(proto, "ether") == 0)
		return FIT_MAYBE;
	if (strcmp(proto, w->p->name) == 0) {
		r->named = true;
		return FIT_YES;
	}
	return strcmp(proto, "th") == 0 && w->p->number == 132 ? FIT_MAYBE
							       : FIT_NO;
}

static enum fit
fit_of(const struct walk *w, const json_t *left, const json_t *right,
    struct rule *r)
{
	const json_t *payload = json_object_get(left, "payload");
	const char *meta = text_of(json_object_get(left, "meta"), "key");
	const char *ct = text_of(json_object_get(left, "ct"), "key");

	if (payload != NULL)
		return fit_payload(w, payload, right, r);
	if (strcmp(meta, "l4proto") == 0) {
		r->named |= has_proto(w, right);
		return has_proto(w, right) ? FIT_YES : FIT_NO;
	}
	if (strcmp(meta, "nfproto") == 0 || strcmp(meta, "protocol") == 0)
		return FIT_YES;
	if (strncmp(meta, "iif", 3) == 0 || strncmp(meta, "oif", 3) == 0)
		return fit_interface(w, right);
	/* The first packet is a new one. */
	if (strcmp(ct, "state") == 0)
		return has_text(right, "new") ? FIT_YES : FIT_NO;
	return FIT_MAYBE;
}

static enum fit
fit_match(const struct walk *w, const json_t *m, struct rule *r)
{
	const json_t *left = json_object_get(m, "left");
	const json_t *payload = json_object_get(left, "payload");
	const char *field = text_of(payload, "field");
	bool not = strcmp(text_of(m, "op"), "!=") == 0;
	struct rule other = {0};
	enum fit fit =
	    fit_of(w, left, json_object_get(m, "right"), not ? &other : r);

	if (!not || fit == FIT_MAYBE)
		return fit;
	/* "tcp dport != 22" is still about tcp, and nothing else. */
	if (payload != NULL && strcmp(field, "protocol") != 0 &&
	    strcmp(field, "nexthdr") != 0)
		return strncmp(text_of(payload, "protocol"), "ip", 2) == 0 ||
			       fit == FIT_YES
			   ? FIT_MAYBE
			   : FIT_NO;
	return fit == FIT_YES ? FIT_NO : FIT_YES;
}

static enum outcome walk_chain(struct walk *, const char *chain);

static enum outcome
drop(struct walk *w, const struct rule *r)
{
	if (r->fit == FIT_YES) {
		w->drop = r->handle;
		w->drop_chain = r->chain;
		w->named = r->named;
		return DROPPED;
	}
	if (r->named && w->soft < 0) {
		w->soft = r->handle;
		w->soft_chain = r->chain;
	}
	return GO_ON;
}

static enum outcome
jump(struct walk *w, const struct rule *r, const char *target)
{
	enum outcome o = walk_chain(w, target);

	if (r->fit == FIT_YES || (r->named && o == ACCEPTED))
		return o;
	if (o == ACCEPTED)
		w->maybe = true;
	if (o == DROPPED && (w->named || r->named) && w->soft < 0) {
		w->soft = w->drop;
		w->soft_chain = w->drop_chain;
	}
	return GO_ON;
}

/* *end: the chain is left. */
static enum outcome
verdict(struct walk *w, const struct rule *r, const json_t *e, bool *end)
{
	enum outcome o = GO_ON;

	if (json_object_get(e, "accept") != NULL) {
		if (r->fit == FIT_YES || r->named)
			return ACCEPTED;
		w->maybe = true;
	} else if (json_object_get(e, "drop") != NULL ||
		   json_object_get(e, "reject") != NULL)
		return drop(w, r);
	else if (json_object_get(e, "return") != NULL)
		*end = r->fit == FIT_YES;
	else if (json_object_get(e, "jump") != NULL)
		o = jump(w, r, text_of(json_object_get(e, "jump"), "target"));
	else if (json_object_get(e, "goto") != NULL) {
		o = jump(w, r, text_of(json_object_get(e, "goto"), "target"));
		*end = r->fit == FIT_YES;
	}
	return o;
}

static enum outcome
verdict_map(struct walk *w, const struct rule *r, const json_t *map, bool *end)
{
	const json_t *e, *all = json_object_get(map, "data");
	enum outcome o = GO_ON;
	size_t i;

	if (json_is_object(all))
		all = json_object_get(all, "set");
	json_array_foreach(all, i, e)
	{
		struct rule one = *r;
		enum fit fit = fit_of(
		    w, json_object_get(map, "key"), json_array_get(e, 0), &one);

		if (fit < one.fit)
			one.fit = fit;
		if (one.fit != FIT_NO && o == GO_ON)
			o = verdict(w, &one, json_array_get(e, 1), end);
	}
	return o;
}

static enum outcome
walk_rule(struct walk *w, const json_t *rule, bool *end)
{
	struct rule r = {.chain = text_of(rule, "chain"), .fit = FIT_YES};
	enum outcome o = GO_ON;
	const json_t *e;
	size_t i;

	r.handle = (int)json_integer_value(json_object_get(rule, "handle"));
	json_array_foreach(json_object_get(rule, "expr"), i, e)
	{
		const json_t *m = json_object_get(e, "match");
		const json_t *map = json_object_get(e, "vmap");
		enum fit fit = FIT_YES;

		if (m != NULL)
			fit = fit_match(w, m, &r);
		else if (json_object_get(e, "limit") != NULL ||
			 json_object_get(e, "xt") != NULL)
			fit = FIT_MAYBE;
		else
			o = map != NULL ? verdict_map(w, &r, map, end)
					: verdict(w, &r, e, end);
		if (fit < r.fit)
			r.fit = fit;
		if (r.fit == FIT_NO || o != GO_ON || *end)
			return o;
	}
	return GO_ON;
}

static enum outcome
walk_chain(struct walk *w, const char *chain)
{
	enum outcome o = GO_ON;
	bool end = false;
	const json_t *e;
	size_t i;

	/* The kernel has no deeper ones. */
	if (w->depth == 16)
		return GO_ON;
	w->depth++;
	json_array_foreach(w->objects, i, e)
	{
		const json_t *rule = json_object_get(e, "rule");

		if (o != GO_ON || end)
			break;
		if (rule != NULL &&
		    strcmp(text_of(rule, "family"), w->family) == 0 &&
		    strcmp(text_of(rule, "table"), w->table) == 0 &&
		    strcmp(text_of(rule, "chain"), chain) == 0)
			o = walk_rule(w, rule, &end);
	}
	w->depth--;
	return o;
}

/* Does the configuration send the protocol over what the chain sees? */
static bool
is_used(const struct doctor *d, const struct proto *p, const char *family)
{
	int only = strcmp(family, "ip") == 0    ? 4
		   : strcmp(family, "ip6") == 0 ? 6
						: 0;
	const struct conf *c = d->c;

	if (c == NULL)
		return true;
	if (p->number == 112) {
		for (uint16_t i = 0; i < c->n_routers; i++)
			if (only == 0 || c->routers[i].family == only)
				return true;
		return false;
	}
	for (uint8_t i = 0; c->n_nodes > 1 && i < c->nodes[0].n_links; i++)
		if (only == 0 ||
		    only == (strchr(c->nodes[0].links[i].addr, ':') != NULL
				    ? 6
				    : 4))
			return true;
	return false;
}

static void
say(struct doctor *d, enum doctor_level level, const struct walk *w,
    const char *base, const char *chain, const char *rule, const char *how)
{
	char object[256], fix[512];

	snprintf(
	    object, sizeof(object), "%s %s %s", w->family, w->table, chain);
	snprintf(fix, sizeof(fix),
	    "nft insert rule %s %s %s meta l4proto %d accept, and in what "
	    "sets up the table",
	    w->family, w->table, base, w->p->number);
	doctor_say(d, level, "firewall", object, fix,
	    "%s protocol %d (%s)%s%s%s", how, w->p->number, w->p->what,
	    *rule != '\0' ? ": rule '" : "", rule, *rule != '\0' ? "'" : "");
}

typedef void rule_text_fn(
    const char *, const char *, const char *, int, char *, size_t);

/* One protocol through one base chain; true: nothing is wrong. */
static bool
check_chain(struct doctor *d, struct walk *w, const json_t *chain,
    rule_text_fn *rule_text)
{
	const char *name = text_of(chain, "name");
	enum outcome o = walk_chain(w, name);
	char rule[256] = "";

	if (o == DROPPED) {
		rule_text(w->family, w->table, w->drop_chain, w->drop, rule,
		    sizeof(rule));
		say(d, w->maybe && !w->named ? DOCTOR_WARN : DOCTOR_FAIL, w,
		    name, w->drop_chain, rule,
		    w->maybe && !w->named
			? "accepts only under conditions, and then drops,"
			: "drops");
		return false;
	}
	if (w->soft >= 0) {
		rule_text(w->family, w->table, w->soft_chain, w->soft, rule,
		    sizeof(rule));
		say(d, DOCTOR_WARN, w, name, w->soft_chain, rule,
		    "drops under conditions");
		return false;
	}
	if (o == GO_ON && strcmp(text_of(chain, "policy"), "drop") == 0) {
		say(d, w->maybe ? DOCTOR_WARN : DOCTOR_FAIL, w, name, name, "",
		    w->maybe ? "has the policy drop, and only rules with "
			       "conditions that accept"
			     : "has the policy drop, and no rule accepts");
		return false;
	}
	return true;
}

static bool
is_base(const json_t *chain)
{
	static const char *const hooks[] = {"prerouting", "input", "output",
	    "postrouting", "ingress", "egress"};
	const char *family = text_of(chain, "family");

	/* had's own guard drops by design. */
	if (strcmp(text_of(chain, "type"), "filter") != 0 ||
	    strncmp(text_of(chain, "table"), "had_", 4) == 0 ||
	    strcmp(family, "arp") == 0 || strcmp(family, "bridge") == 0)
		return false;
	for (unsigned i = 0; i < NITEMS(hooks); i++)
		if (strcmp(text_of(chain, "hook"), hooks[i]) == 0)
			return true;
	return false;
}

void
doctor_ruleset(struct doctor *d, const json_t *listing, rule_text_fn *rule_text)
{
	const json_t *objects = json_object_get(listing, "nftables"), *e;
	unsigned bad = 0, chains = 0;
	size_t i;

	json_array_foreach(objects, i, e)
	{
		const json_t *chain = json_object_get(e, "chain");

		if (chain == NULL || !is_base(chain))
			continue;
		chains++;
		for (unsigned k = 0; k < NITEMS(protos); k++) {
			struct walk w = {
			    .d = d,
			    .objects = objects,
			    .p = &protos[k],
			    .family = text_of(chain, "family"),
			    .table = text_of(chain, "table"),
			    .drop = -1,
			    .soft = -1,
			};

			if (is_used(d, w.p, w.family))
				bad += !check_chain(d, &w, chain, rule_text);
		}
	}
	if (bad == 0)
		doctor_say(d, DOCTOR_OK, "firewall", "", "",
		    "none of %u chain%s of others drops what had sends", chains,
		    chains == 1 ? "" : "s");
}

/* As nft(8) prints it, for eyes. */
static void
ask_rule_text(const char *family, const char *table, const char *chain,
    int handle, char *text, size_t size)
{
	const char *const argv[] = {
	    "nft", "-a", "list", "chain", family, table, chain, NULL};
	char want[32], *line, *save, *out;

	snprintf(text, size, "handle %d", handle);
	snprintf(want, sizeof(want), " # handle %d", handle);
	out = doctor_nft_run(argv, "", NULL, 0);
	if (out == NULL)
		return;
	for (line = strtok_r(out, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char *at = strstr(line, want);

		if (at == NULL || at[strlen(want)] != '\0')
			continue;
		line += strspn(line, " \t");
		snprintf(text, size, "%.*s (handle %d)", (int)(at - line), line,
		    handle);
	}
	free(out);
}

static bool
has_table(const json_t *listing, const char *name)
{
	const json_t *e;
	size_t i;

	json_array_foreach(json_object_get(listing, "nftables"), i, e)
	{
		if (strcmp(text_of(json_object_get(e, "table"), "name"),
			name) == 0)
			return true;
	}
	return false;
}

static void
check_others(struct doctor *d, const json_t *listing)
{
	FILE *f = fopen("/proc/net/ip_tables_names", "re");
	char word[64] = "";

	if (f != NULL && fgets(word, sizeof(word), f) != NULL)
		doctor_say(d, DOCTOR_WARN, "firewall", "iptables-legacy",
		    "iptables-legacy -S; let it accept protocols 112 and 132",
		    "the old iptables is in use; its rules were not looked "
		    "at");
	if (f != NULL)
		fclose(f);
	if (has_table(listing, "firewalld") ||
	    access("/run/firewalld.pid", F_OK) == 0)
		doctor_say(d, DOCTOR_WARN, "firewall", "firewalld",
		    "firewall-cmd --permanent --add-protocol=vrrp "
		    "--add-protocol=sctp, then firewall-cmd --reload",
		    "firewalld runs: what is changed by hand it takes back, "
		    "and a reload of it may flush the guard for a moment");
}

void
doctor_rules(struct doctor *d)
{
	static const char *const argv[] = {
	    "nft", "-j", "list", "ruleset", NULL};
	char why[256] = "", *out;
	json_t *listing = NULL;

	out = doctor_nft_run(argv, "", why, sizeof(why));
	if (out != NULL)
		listing = json_loads(out, 0, NULL);
	if (listing != NULL)
		doctor_ruleset(d, listing, ask_rule_text);
	else
		doctor_say(d, DOCTOR_WARN, "firewall", "",
		    "run it as root; install the package nftables",
		    "the rules were not looked at: %s",
		    out != NULL ? "no JSON" : why);
	check_others(d, listing);
	json_decref(listing);
	free(out);
}
