/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "lockdisk_vote.h"

void
ldv_init(struct ldv *v, uint8_t self, uint64_t incarnation)
{
	ASSERT(self >= 1 && self <= HAD_NODES_MAX && incarnation != 0);
	memset(v, 0, sizeof(*v));
	v->self = self;
	v->incarnation = incarnation;
}

void
ldv_stop(struct ldv *v)
{
	v->phase = LDV_IDLE;
}

enum ldv_do
ldv_ask(struct ldv *v, uint64_t epoch)
{
	ASSERT(epoch > 0);
	v->epoch = epoch;
	v->phase = LDV_LOOK;
	v->holder = 0;
	v->holder_epoch = 0;
	v->tries = 0;
	v->why = NULL;
	return LDV_READ;
}

static enum ldv_do
broken(struct ldv *v, const char *why)
{
	v->phase = LDV_IDLE;
	v->verdict = LDV_BROKEN;
	v->why = why;
	return LDV_DONE;
}

static enum ldv_do
decided(struct ldv *v, uint8_t holder, uint64_t epoch)
{
	bool mine = holder == v->self && epoch == v->epoch;

	v->phase = LDV_IDLE;
	v->verdict = mine ? LDV_GRANTED : LDV_DENIED;
	v->holder = holder;
	v->holder_epoch = epoch;
	return LDV_DONE;
}

static enum ldv_do
write_own(struct ldv *v, enum ldv_phase phase)
{
	v->own.node = v->self;
	v->own.incarnation = v->incarnation;
	v->own.seq++;
	v->phase = phase;
	return LDV_WRITE;
}

/* Phase 1: joins a ballot above all others. */
static enum ldv_do
prepare(struct ldv *v, const struct ld_slot *slots)
{
	uint64_t top = 0;

	for (unsigned i = 0; i < HAD_NODES_MAX; i++)
		if (slots[i].epoch == v->epoch && slots[i].mbal > top)
			top = slots[i].mbal;
	if (top >= UINT64_MAX - 2 * HAD_NODES_MAX)
		return broken(v, "there is no ballot left");
	v->ballot = (top / HAD_NODES_MAX + 1) * HAD_NODES_MAX + v->self - 1;
	if (v->own.epoch != v->epoch) {
		v->own.epoch = v->epoch;
		v->own.bal = 0;
		v->own.inp = 0;
	}
	v->own.mbal = v->ballot;
	v->own.chosen = 0;
	return write_own(v, LDV_PREPARE);
}

/* Phase 2: proposes the value of the highest ballot that was seen. */
static enum ldv_do
propose(struct ldv *v, const struct ld_slot *slots)
{
	uint64_t bal = 0;
	uint8_t value = v->self;

	for (unsigned i = 0; i < HAD_NODES_MAX; i++)
		if (slots[i].epoch == v->epoch && slots[i].bal > bal) {
			bal = slots[i].bal;
			value = slots[i].inp;
		}
	v->own.bal = v->ballot;
	v->own.inp = value;
	return write_own(v, LDV_PROPOSE);
}

/* Is what the disk says of this node what it wrote? */
static const char *
own_check(const struct ldv *v, const struct ld_slot *own)
{
	if (own->seq < v->floor)
		return "it shows an old state of this node's slot";
	if (v->floor > 0 && own->incarnation != v->incarnation)
		return "another daemon writes as this node";
	if (own->seq == UINT64_MAX)
		return "there is no number left";
	if (v->phase != LDV_LOOK && own->seq != v->own.seq)
		return "another daemon writes as this node";
	return NULL;
}

enum ldv_do
ldv_read(struct ldv *v, const struct ld_slot slots[HAD_NODES_MAX])
{
	const struct ld_slot *own = &slots[v->self - 1], *top = own;
	const char *why = own_check(v, own);
	bool higher = false;

	ASSERT(v->phase == LDV_LOOK || v->phase == LDV_PREPARED ||
	       v->phase == LDV_PROPOSED);
	if (why != NULL)
		return broken(v, why);
	for (unsigned i = 0; i < HAD_NODES_MAX; i++) {
		const struct ld_slot *s = &slots[i];

		if (s->epoch > top->epoch ||
		    (s->epoch == top->epoch && s->chosen > top->chosen))
			top = s;
		if (s->epoch == v->epoch && s->mbal > v->ballot)
			higher = true;
	}
	if (top->epoch > v->epoch ||
	    (top->epoch == v->epoch && top->chosen != 0))
		return decided(v, top->chosen, top->epoch);
	if (v->phase == LDV_LOOK) {
		v->own = *own;
		return prepare(v, slots);
	}
	if (higher) {
		v->phase = LDV_PAUSE;
		if (v->tries < UINT8_MAX)
			v->tries++;
		return LDV_WAIT;
	}
	if (v->phase == LDV_PREPARED)
		return propose(v, slots);
	v->own.chosen = v->own.inp;
	return write_own(v, LDV_CHOOSE);
}

enum ldv_do
ldv_wrote(struct ldv *v)
{
	v->floor = v->own.seq;
	switch (v->phase) {
	case LDV_PREPARE:
		v->phase = LDV_PREPARED;
		return LDV_READ;
	case LDV_PROPOSE:
		v->phase = LDV_PROPOSED;
		return LDV_READ;
	default:
		ASSERT(v->phase == LDV_CHOOSE);
		return decided(v, v->own.chosen, v->epoch);
	}
}

enum ldv_do
ldv_waited(struct ldv *v)
{
	ASSERT(v->phase == LDV_PAUSE);
	v->phase = LDV_LOOK;
	return LDV_READ;
}
