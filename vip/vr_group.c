/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers: sync groups.  All members are in the same state: one that
 * is held in INIT holds the others; one that takes pulls the others, and does
 * not take while one of them hears a better master (vr_peer.c); one that gives
 * way takes the others with it.  It is settled at the end of a step, so that a
 * step's own transitions come first.
 */
#include "vr_int.h"

static bool
member(const struct vr *v, uint16_t i, uint8_t group)
{
	return vr_live(&v->r[i]) && v->r[i].conf.group == group;
}

void
vr_group_act(struct vr *v, const struct vr_r *r, uint8_t act)
{
	if (r->conf.group == 0 || r->leaving || v->settling)
		return;
	v->acts[r->conf.group] |= act;
	v->acted = true;
}

/* True if one of them is held for a reason of its own. */
static bool
settle_holds(struct vr *v, uint8_t group)
{
	bool held = false;
	uint16_t i;

	for (i = 0; i < v->n; i++)
		if (member(v, i, group) && (v->r[i].hold & ~VR_HOLD_GROUP) != 0)
			held = true;
	for (i = 0; i < v->n; i++)
		if (member(v, i, group))
			vr_hold(v, &v->r[i], VR_HOLD_GROUP, held,
			    held ? "another of its sync group is held"
				 : "its sync group is complete");
	return held;
}

static void
settle_up(struct vr *v, uint8_t group)
{
	uint16_t i;

	for (i = 0; i < v->n; i++)
		if (member(v, i, group) && v->r[i].state == VR_BACKUP)
			vr_go(v, &v->r[i], VR_ACTIVE, false,
			    "another of its sync group is active");
}

/* What one of them must not do again at once, the others must not, either. */
static void
settle_down(struct vr *v, uint8_t group)
{
	monotime_t able_at = {0};
	bool yield = false;
	uint16_t i;

	for (i = 0; i < v->n; i++)
		if (member(v, i, group)) {
			yield = yield || v->r[i].yield;
			if (mt_before(able_at, v->r[i].able_at))
				able_at = v->r[i].able_at;
		}
	for (i = 0; i < v->n; i++) {
		if (!member(v, i, group))
			continue;
		v->r[i].yield = yield;
		v->r[i].able_at = able_at;
		if (v->r[i].state == VR_ACTIVE)
			vr_go(v, &v->r[i], VR_BACKUP, true,
			    "another of its sync group gave way");
	}
}

/* An owner that is released from INIT becomes ACTIVE at once. */
static bool
any_active(const struct vr *v, uint8_t group)
{
	uint16_t i;

	for (i = 0; i < v->n; i++)
		if (member(v, i, group) && v->r[i].state == VR_ACTIVE)
			return true;
	return false;
}

void
vr_group_settle(struct vr *v)
{
	uint16_t g, i;
	uint8_t acts;

	if (!v->acted)
		return;
	v->settling = true;
	for (g = 1; g < VR_GROUPS_MAX; g++) {
		acts = v->acts[g];
		v->acts[g] = 0;
		if (acts == 0)
			continue;
		if ((acts & VR_ACT_HOLD) && settle_holds(v, (uint8_t)g))
			continue;
		if (acts & VR_ACT_DOWN)
			settle_down(v, (uint8_t)g);
		else if (any_active(v, (uint8_t)g))
			settle_up(v, (uint8_t)g);
	}
	v->settling = false;
	v->acted = false;
	for (i = 0; i < v->n; i++)
		if (v->r[i].used && v->r[i].conf.group != 0) {
			vr_tell(v, &v->r[i]);
			vr_queue(v, &v->r[i]);
		}
}
