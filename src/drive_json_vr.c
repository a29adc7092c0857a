/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Service addresses and virtual routers as JSON; see drive_json.c.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "carp_packet.h"
#include "drive_int.h"

static void
put_s(json_t *o, const char *key, const char *value)
{
	json_object_set_new(o, key, json_string(value));
}

static void
put_i(json_t *o, const char *key, int64_t value)
{
	json_object_set_new(o, key, json_integer(value));
}

static void
put_b(json_t *o, const char *key, bool value)
{
	json_object_set_new(o, key, json_boolean(value));
}

static int64_t
ago_ms(monotime_t now, monotime_t at)
{
	if (at.us == 0 || at.us == MT_NEVER.us)
		return -1;
	return mt_sub_us(now, at) / 1000;
}

static void
put_addr(json_t *o, const char *key, uint8_t family, const uint8_t bytes[16])
{
	char text[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(
	    family == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text));
	put_s(o, key, text);
}

json_t *
drive_json_address(struct drive *d, uint16_t i, monotime_t now)
{
	const struct conf *c = d->conf;
	const struct conf_address *a = &c->addresses[i];
	const struct vip_addr_status *s = &d->status->vip.addrs[i];
	char text[80];
	json_t *o;

	if (conf_is_hole(a->name))
		return NULL;
	o = json_object();
	put_s(o, "name", a->name);
	snprintf(text, sizeof(text), "%s/%u", a->addr, a->prefix);
	put_s(o, "address", text);
	put_s(o, "interface", a->ifname);
	put_s(o, "service",
	    a->service != UINT16_MAX ? c->services[a->service].name : "");
	put_s(o, "router",
	    a->router != UINT16_MAX ? c->routers[a->router].name : "");
	put_b(o, "shared", a->share);
	put_s(o, "state", vip_state_name(s->state));
	put_b(o, "carrier", s->carrier);
	put_i(o, "since_ms", ago_ms(now, s->since));
	put_i(o, "announced", (int64_t)s->announced);
	put_i(o, "conflicts", (int64_t)s->conflicts);
	put_i(o, "stripped", (int64_t)s->stripped);
	put_s(o, "error", s->error);
	return o;
}

json_t *
drive_json_address_list(struct drive *d, monotime_t now)
{
	json_t *list = json_array();

	for (uint16_t i = 0; i < d->status->vip.n; i++) {
		json_t *o = drive_json_address(d, i, now);

		if (o != NULL)
			json_array_append_new(list, o);
	}
	return list;
}

/* Only what has happened. */
static json_t *
rejects(const struct vr_status *s)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < VR_REJECTS_MAX; i++) {
		const char *name;

		if (s->rejects[i] == 0)
			continue;
		name = s->proto == VR_CARP
			   ? carp_reject_name((enum carp_reject)i)
			   : vrrp_reject_name((enum vrrp_reject)i);
		put_i(o, name, (int64_t)s->rejects[i]);
	}
	return o;
}

static const char *
proto_name(enum vr_proto p)
{
	return p == VR_CARP ? "carp" : p == VR_VRRP2 ? "vrrp 2" : "vrrp 3";
}

static void
put_counters(json_t *o, const struct vr_status *s)
{
	put_i(o, "sent", (int64_t)s->sent);
	put_i(o, "received", (int64_t)s->received);
	put_i(o, "farewells_sent", (int64_t)s->farewells_sent);
	put_i(o, "farewells_received", (int64_t)s->farewells_received);
	put_i(o, "transitions", (int64_t)s->transitions);
	put_i(o, "became_active", (int64_t)s->became_active);
	put_i(o, "take_failed", (int64_t)s->take_failed);
	put_i(o, "waited", (int64_t)s->waited);
	put_i(o, "conflicts", (int64_t)s->conflicts);
	json_object_set_new(o, "rejected", rejects(s));
}

static json_t *
router(const struct drive *d, const struct conf_router *c,
    const struct vr_status *s, monotime_t now)
{
	json_t *o = json_object();

	put_s(o, "name", s->name);
	put_s(o, "protocol", proto_name(s->proto));
	put_i(o, "vrid", s->vrid);
	put_i(o, "family", s->family);
	put_s(o, "interface", c->ifname);
	put_s(o, "service",
	    c->service != UINT16_MAX ? d->conf->services[c->service].name : "");
	put_s(o, "group", c->group);
	put_s(o, "state", vr_state_name(s->state));
	put_s(o, "reason", s->reason);
	put_i(o, "since_ms", ago_ms(now, s->since));
	if (s->proto == VR_CARP) {
		put_i(o, "skew", conf_router_rank(c, d->self));
		put_i(o, "demotion", s->demote);
	} else {
		put_i(o, "priority", s->priority);
		put_i(o, "base_priority", s->base_priority);
	}
	put_i(o, "interval_ms", s->interval_ms);
	if (s->has_master) {
		put_addr(o, "master", s->family, s->master);
		put_i(o, "master_priority", s->master_priority);
		put_i(o, "master_interval_ms", s->master_interval_ms);
	} else {
		put_s(o, "master", "");
	}
	put_counters(o, s);
	return o;
}

static json_t *
shares(const struct share_status *s, monotime_t now)
{
	json_t *o = json_object();

	put_s(o, "state", share_state_name(s->state));
	put_i(o, "since_ms", ago_ms(now, s->since));
	put_i(o, "serves", __builtin_popcountll(s->serves));
	put_i(o, "of", SHARE_BUCKETS);
	put_b(o, "certain", s->exact);
	put_i(o, "changes", (int64_t)s->moved);
	put_i(o, "failed", (int64_t)s->failed);
	return o;
}

json_t *
drive_json_addresses(struct drive *d)
{
	json_t *o = json_object(), *list = json_array();
	monotime_t now = drive_now();
	struct share_status sh;
	struct vr_status s;

	nd_status(d->nd, now, d->status);
	json_object_set_new(o, "addresses", drive_json_address_list(d, now));
	for (uint16_t i = 0; i < d->conf->n_routers; i++)
		if (nd_router_status(d->nd, i, &s))
			json_array_append_new(
			    list, router(d, &d->conf->routers[i], &s, now));
	json_object_set_new(o, "routers", list);
	if (nd_share_status(d->nd, &sh))
		json_object_set_new(o, "shares", shares(&sh, now));
	put_i(o, "strays", (int64_t)nd_router_strays(d->nd));
	return o;
}
