/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl doctor: a chain of nftables, walked as the first packet of a protocol
 * would go through it.  A condition that is not about the protocol or an
 * interface may hold or not.
 */
#include <stdlib.h>
#include <string.h>

#include "hactl_doctor.h"

enum fit { FIT_NO, FIT_MAYBE, FIT_YES };
/* A rule while its expressions are read. */
struct rule {
	const char *chain; /* borrowed */
	int handle;
	enum fit fit;
	bool named;
};

const char *
doctor_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL ? text : "";
}

/* Is this value, or one of these, the protocol? */
static bool
has_proto(const struct doctor_walk *w, const json_t *v)
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

			if (strcmp(doctor_text(set, "name"), text + 1) == 0 &&
			    strcmp(doctor_text(set, "table"), w->table) == 0 &&
			    strcmp(doctor_text(set, "family"), w->family) == 0)
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
fit_interface(const struct doctor_walk *w, const json_t *right)
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
fit_payload(const struct doctor_walk *w, const json_t *payload,
    const json_t *right, struct rule *r)
{
	const char *proto = doctor_text(payload, "protocol");
	const char *field = doctor_text(payload, "field");

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
fit_of(const struct doctor_walk *w, const json_t *left, const json_t *right,
    struct rule *r)
{
	const json_t *payload = json_object_get(left, "payload");
	const char *meta = doctor_text(json_object_get(left, "meta"), "key");
	const char *ct = doctor_text(json_object_get(left, "ct"), "key");

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
fit_match(const struct doctor_walk *w, const json_t *m, struct rule *r)
{
	const json_t *left = json_object_get(m, "left");
	const json_t *payload = json_object_get(left, "payload");
	const char *field = doctor_text(payload, "field");
	bool not = strcmp(doctor_text(m, "op"), "!=") == 0;
	struct rule other = {0};
	enum fit fit =
	    fit_of(w, left, json_object_get(m, "right"), not ? &other : r);

	if (!not || fit == FIT_MAYBE)
		return fit;
	/* "tcp dport != 22" is still about tcp, and nothing else. */
	if (payload != NULL && strcmp(field, "protocol") != 0 &&
	    strcmp(field, "nexthdr") != 0)
		return strncmp(doctor_text(payload, "protocol"), "ip", 2) ==
				   0 ||
			       fit == FIT_YES
			   ? FIT_MAYBE
			   : FIT_NO;
	return fit == FIT_YES ? FIT_NO : FIT_YES;
}

static enum doctor_outcome
drop(struct doctor_walk *w, const struct rule *r)
{
	if (r->fit == FIT_YES) {
		w->drop = r->handle;
		w->drop_chain = r->chain;
		w->named = r->named;
		return DOCTOR_DROPPED;
	}
	if (r->named && w->soft < 0) {
		w->soft = r->handle;
		w->soft_chain = r->chain;
	}
	return DOCTOR_GO_ON;
}

static enum doctor_outcome
jump(struct doctor_walk *w, const struct rule *r, const char *target)
{
	enum doctor_outcome o = doctor_walk(w, target);

	if (r->fit == FIT_YES || (r->named && o == DOCTOR_ACCEPTED))
		return o;
	if (o == DOCTOR_ACCEPTED)
		w->maybe = true;
	if (o == DOCTOR_DROPPED && (w->named || r->named) && w->soft < 0) {
		w->soft = w->drop;
		w->soft_chain = w->drop_chain;
	}
	return DOCTOR_GO_ON;
}

/* *end: the chain is left. */
static enum doctor_outcome
verdict(struct doctor_walk *w, const struct rule *r, const json_t *e, bool *end)
{
	enum doctor_outcome o = DOCTOR_GO_ON;

	if (json_object_get(e, "accept") != NULL) {
		if (r->fit == FIT_YES || r->named)
			return DOCTOR_ACCEPTED;
		w->maybe = true;
	} else if (json_object_get(e, "drop") != NULL ||
		   json_object_get(e, "reject") != NULL)
		return drop(w, r);
	else if (json_object_get(e, "return") != NULL)
		*end = r->fit == FIT_YES;
	else if (json_object_get(e, "jump") != NULL)
		o = jump(
		    w, r, doctor_text(json_object_get(e, "jump"), "target"));
	else if (json_object_get(e, "goto") != NULL) {
		o = jump(
		    w, r, doctor_text(json_object_get(e, "goto"), "target"));
		*end = r->fit == FIT_YES;
	}
	return o;
}

static enum doctor_outcome
verdict_map(
    struct doctor_walk *w, const struct rule *r, const json_t *map, bool *end)
{
	const json_t *e, *all = json_object_get(map, "data");
	enum doctor_outcome o = DOCTOR_GO_ON;
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
		if (one.fit != FIT_NO && o == DOCTOR_GO_ON)
			o = verdict(w, &one, json_array_get(e, 1), end);
	}
	return o;
}

static enum doctor_outcome
walk_rule(struct doctor_walk *w, const json_t *rule, bool *end)
{
	struct rule r = {.chain = doctor_text(rule, "chain"), .fit = FIT_YES};
	enum doctor_outcome o = DOCTOR_GO_ON;
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
		if (r.fit == FIT_NO || o != DOCTOR_GO_ON || *end)
			return o;
	}
	return DOCTOR_GO_ON;
}

enum doctor_outcome
doctor_walk(struct doctor_walk *w, const char *chain)
{
	enum doctor_outcome o = DOCTOR_GO_ON;
	bool end = false;
	const json_t *e;
	size_t i;

	/* The kernel has no deeper ones. */
	if (w->depth == 16)
		return DOCTOR_GO_ON;
	w->depth++;
	json_array_foreach(w->objects, i, e)
	{
		const json_t *rule = json_object_get(e, "rule");

		if (o != DOCTOR_GO_ON || end)
			break;
		if (rule != NULL &&
		    strcmp(doctor_text(rule, "family"), w->family) == 0 &&
		    strcmp(doctor_text(rule, "table"), w->table) == 0 &&
		    strcmp(doctor_text(rule, "chain"), chain) == 0)
			o = walk_rule(w, rule, &end);
	}
	w->depth--;
	return o;
}
