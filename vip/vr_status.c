/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual routers: what can be asked of the core between two steps. */
#include <string.h>

#include <bsd/string.h>

#include "vr_int.h"

uint16_t
vr_ids(const struct vr *v)
{
	return v->n;
}

bool
vr_used(const struct vr *v, uint16_t id)
{
	return id < v->n && v->r[id].used;
}

static bool
is(const struct vr *v, uint16_t i, uint16_t ifx, uint8_t family, uint8_t vrid)
{
	const struct vr_r *r = &v->r[i];

	return i < v->n && vr_live(r) && r->conf.ifx == ifx &&
	       r->conf.family == family && r->conf.vrid == vrid;
}

uint16_t
vr_find(const struct vr *v, uint16_t ifx, uint8_t family, uint8_t vrid)
{
	uint16_t i = v->latest[vrid];

	/* Mostly a number is used once: then every advert finds it at once. */
	if (is(v, i, ifx, family, vrid))
		return i;
	for (i = 0; i < v->n; i++)
		if (is(v, i, ifx, family, vrid))
			return i;
	return VR_NONE;
}

const struct vr_router_conf *
vr_router_conf(const struct vr *v, uint16_t id)
{
	ASSERT(vr_used(v, id));
	return &v->r[id].conf;
}

enum vr_state
vr_state(const struct vr *v, uint16_t id)
{
	ASSERT(vr_used(v, id));
	return v->r[id].state;
}

void
vr_told(const struct vr *v, uint16_t id, struct vr_peer *p)
{
	ASSERT(vr_used(v, id));
	vr_peer_make(v, &v->r[id], p);
}

uint64_t
vr_strays(const struct vr *v)
{
	return v->strays;
}

void
vr_status(const struct vr *v, uint16_t id, struct vr_status *s)
{
	const struct vr_r *r = &v->r[id];

	ASSERT(vr_used(v, id));
	memset(s, 0, sizeof(*s));
	strlcpy(s->name, r->conf.name, sizeof(s->name));
	s->proto = r->conf.proto;
	s->family = r->conf.family;
	s->vrid = r->conf.vrid;
	s->group = r->conf.group;
	s->ifx = r->conf.ifx;
	s->bound = r->conf.bound;
	s->held = r->addr != VR_ADDR_NONE;
	s->state = r->state;
	s->since = r->since;
	s->reason = r->reason;
	s->base_priority = r->conf.priority;
	s->priority = r->priority;
	s->demote = r->demote;
	s->has_master = r->has_master;
	memcpy(s->master, r->master, sizeof(s->master));
	s->master_priority = r->master_priority;
	s->interval_ms = (uint32_t)(vr_interval_us(r) / 1000);
	s->master_interval_ms = (uint32_t)(r->master_us / 1000);
	s->next = vr_deadline(v, r);
	s->sent = r->sent;
	s->received = r->received;
	s->farewells_sent = r->farewells_sent;
	s->farewells_received = r->farewells_received;
	s->transitions = r->transitions;
	s->became_active = r->became_active;
	s->take_failed = r->take_failed;
	s->waited = r->waits;
	s->conflicts = r->conflicts;
	memcpy(s->rejects, v->rejects[id], sizeof(s->rejects));
}
