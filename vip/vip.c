/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Service addresses, the pure core.  See vip.h.
 *
 *	             TAKE           ADDED            LEASED
 *	       OFF --------> ADDING -----> OPENING --------> ACTIVE
 *	        ^               |            ^  |               |
 *	        |         ADDED |   VOUCH on |  | VOUCH off     | VOUCH off,
 *	        |               v            |  v               | lease ran out
 *	        |              MUTED --------+  MUTED <---------+
 *	REMOVED |                  RELEASE
 *	        +------ REMOVING <---------- CLOSING <--- any of them, RELEASE
 *	                          LEASED
 *
 * One lease op names all addresses that may speak.  Its end is counted from
 * the last heartbeat that left, never from the time of the op: the peer counts
 * from its last receive, which is later, so it cannot start to speak while
 * this node still may.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "vip_int.h"

#define NAME(n) #n,
const char *
vip_state_name(enum vip_state s)
{
	static const char *const names[] = {VIP_STATES(NAME)};

	ASSERT(s < VIP_STATE_N);
	return names[s];
}

const char *
vip_ev_name(enum vip_ev e)
{
	static const char *const names[] = {VIP_EVENTS(NAME)};

	ASSERT(e < VIP_EV_N);
	return names[e];
}
#undef NAME

void
vip_note(const struct vip *v, const struct vip_a *a, enum had_level level,
    const char *rule, const char *text)
{
	char object[HAD_NAME_MAX + 16];

	snprintf(object, sizeof(object), "address %s", a->conf.name);
	v->ops->note(v->ctx, level, rule, object, text);
}

/* The only place where a state changes. */
void
vip_set_state(
    struct vip *v, struct vip_a *a, enum vip_state to, const char *why)
{
	bool quiet = a->looking && (to == VIP_REMOVING || to == VIP_OFF);
	char text[192];

	ASSERT(to < VIP_STATE_N && to != a->state);
	snprintf(text, sizeof(text), "%s -> %s: %s", vip_state_name(a->state),
	    vip_state_name(to), why);
	ASSERT(v->in[a->state] > 0);
	v->in[a->state]--;
	v->in[to]++;
	if (a->state == VIP_ACTIVE)
		vip_set_del(&v->active, a->id);
	if (to == VIP_ACTIVE)
		vip_set_add(&v->active, a->id);
	a->state = to;
	a->since = v->now;
	a->looking = a->looking && to == VIP_REMOVING;
	vip_note(v, a, quiet ? HAD_DEBUG : HAD_INFO, "", text);
}

static bool
any_in(const struct vip *v, enum vip_state state)
{
	return v->in[state] > 0;
}

/* Nothing renewed the lease in time: the kernel has closed the guard. */
static void
lapse(struct vip *v)
{
	uint16_t i;

	v->lapsed++;
	v->vouched = false;
	v->touched = true;
	v->want_close = true; /* a clock that stood still may have kept it */
	v->ops->note(v->ctx, HAD_WARN, "", "addresses",
	    "the lease was not renewed in time; silent until vouched for");
	for (i = 0; i < v->n; i++) {
		struct vip_a *a = &v->addrs[i];

		if (a->state != VIP_ACTIVE && a->state != VIP_OPENING)
			continue;
		a->announce_at = MT_NEVER;
		vip_set_state(v, a, VIP_MUTED, "its lease has run out");
	}
	v->ops->lapsed(v->ctx);
}

/* Asks for the guard that the states call for. */
static void
lease(struct vip *v)
{
	struct vip_set open = v->active;
	bool moving = any_in(v, VIP_OPENING) || any_in(v, VIP_CLOSING);
	monotime_t until;
	bool valid;
	uint16_t i;

	until = v->has_beat ? v->beat_until : v->now;
	valid = mt_before(v->now, until);
	ASSERT(valid || !any_in(v, VIP_ACTIVE));
	v->seq++;
	for (i = 0; moving && i < v->n; i++) {
		struct vip_a *a = &v->addrs[i];

		if (a->state == VIP_OPENING && valid)
			vip_set_add(&open, i);
		if (a->state == VIP_OPENING)
			a->seq = valid ? v->seq : VIP_NOT_ASKED;
		else if (a->state == VIP_CLOSING && a->seq == VIP_NOT_ASKED)
			a->seq = v->seq;
	}
	v->asked_until = until;
	if (valid && (any_in(v, VIP_ACTIVE) || any_in(v, VIP_OPENING)) &&
	    mt_before(v->asked_max, until))
		v->asked_max = until;
	v->want_open = v->want_close = false;
	v->ops->lease(v->ctx, v->seq, &open, until);
}

/*
 * Closing is never put off.  Opening waits for its siblings that are still
 * being added, so that many addresses move in one batch, but not beyond the
 * next heartbeat.
 */
static void
lease_if_due(struct vip *v, bool beat)
{
	bool renew = beat && (any_in(v, VIP_ACTIVE) || any_in(v, VIP_OPENING) ||
				 any_in(v, VIP_CLOSING));

	if (v->want_close || renew || (v->want_open && !any_in(v, VIP_ADDING)))
		lease(v);
}

static void
timer_set(struct vip *v)
{
	monotime_t at;
	uint16_t i;

	if (v->touched)
		v->due = MT_NEVER;
	for (i = 0; v->touched && i < v->n; i++) {
		v->due = mt_min(v->due, v->addrs[i].retry_at);
		v->due = mt_min(v->due, v->addrs[i].announce_at);
	}
	v->touched = false;
	at = any_in(v, VIP_ACTIVE) ? mt_min(v->due, v->lease_until) : v->due;
	if (at.us != v->timer_at.us) {
		v->timer_at = at;
		v->ops->timer(v->ctx, at);
	}
}

static void
on_leased(struct vip *v, const struct vip_event *ev)
{
	char text[160];

	ASSERT(ev->u.leased.seq <= v->seq);
	if (ev->u.leased.ok) {
		v->renewed++;
		if (ev->u.leased.seq == v->seq)
			v->lease_until = v->asked_until;
		return;
	}
	v->lease_failed++;
	if (mt_before(v->now, v->fail_note_at))
		return;
	v->fail_note_at = mt_add_ms(v->now, VIP_NOTE_GAP_MS);
	snprintf(text, sizeof(text), "the guard refused a change: %s",
	    ev->u.leased.text != NULL ? ev->u.leased.text : "no reason given");
	v->ops->note(v->ctx, HAD_WARN, "R15", "addresses", text);
}

static void
on_flushed(struct vip *v, const struct vip_event *ev)
{
	char text[160];

	v->flushed++;
	if (ev->u.flushed.ok)
		snprintf(text, sizeof(text),
		    "somebody changed its tables; they were put back");
	else
		snprintf(text, sizeof(text),
		    "somebody changed its tables; not put back yet: %s",
		    ev->u.flushed.text != NULL ? ev->u.flushed.text
					       : "no reason given");
	v->ops->note(v->ctx, HAD_WARN, "", "guard", text);
}

/*
 * What was promised by a heartbeat is never taken back by an older one, but by
 * who says until when.
 */
static void
on_beat(struct vip *v, const struct vip_event *ev)
{
	monotime_t at = ev->u.beat.at.us != 0 ? ev->u.beat.at : v->now;
	monotime_t until = ev->u.beat.until;

	ASSERT(!mt_before(v->now, at));
	if (until.us == 0) {
		if (v->has_beat && mt_before(at, v->beat_at))
			return;
		until = mt_add_ms(at, v->lease_ms);
	}
	v->has_beat = true;
	v->beat_at = at;
	v->beat_until = until;
	if (any_in(v, VIP_ACTIVE) && !mt_before(v->now, until))
		lapse(v);
}

/* What concerns the node as a whole. */
static void
on_node(struct vip *v, const struct vip_event *ev)
{
	switch (ev->type) {
	case VIP_EV_BEAT:
		on_beat(v, ev);
		break;
	case VIP_EV_VOUCH:
		v->vouched = ev->u.vouch.on;
		break;
	case VIP_EV_LEASED:
		on_leased(v, ev);
		break;
	case VIP_EV_FLUSHED:
		on_flushed(v, ev);
		break;
	default:
		break;
	}
}

/* The address an event names, or NULL if it concerns all. */
static struct vip_a *
event_addr(struct vip *v, const struct vip_event *ev)
{
	uint16_t id;

	switch (ev->type) {
	case VIP_EV_TAKE:
	case VIP_EV_RELEASE:
		id = ev->u.order.id;
		break;
	case VIP_EV_ADDED:
	case VIP_EV_REMOVED:
		id = ev->u.result.id;
		break;
	case VIP_EV_STRIPPED:
		id = ev->u.stripped.id;
		break;
	case VIP_EV_CONFLICT:
		id = ev->u.conflict.id;
		break;
	default:
		return NULL;
	}
	ASSERT(id < v->n);
	return &v->addrs[id];
}

/* The addresses that it concerns answer it. */
static void
answer(struct vip *v, const struct vip_event *ev)
{
	struct vip_a *a = event_addr(v, ev);
	uint16_t i;

	/* A lease renewed each 10 ms is nothing to hundreds of addresses. */
	if (a == NULL && vip_no_cell(v, ev->type))
		return;
	v->touched = true;
	if (a != NULL)
		vip_cell(v, a, ev);
	for (i = 0; a == NULL && i < v->n; i++)
		vip_cell(v, &v->addrs[i], ev);
}

void
vip_step(struct vip *v, const struct vip_event *ev)
{

	ASSERT(ev->type < VIP_EV_N && !v->in_step);
	v->in_step = true;
	v->now = ev->now;
	if (any_in(v, VIP_ACTIVE) && !mt_before(v->now, v->lease_until))
		lapse(v);
	on_node(v, ev);
	answer(v, ev);
	lease_if_due(v, ev->type == VIP_EV_BEAT);
	timer_set(v);
	v->in_step = false;
}

struct vip *
vip_new(const struct vip_conf *conf, const struct vip_ops *ops, void *ctx)
{
	struct vip *v;
	uint16_t i;

	ASSERT(conf->n <= HAD_ADDRESSES_MAX && conf->lease_ms > 0);
	v = calloc(1, sizeof(*v) + conf->n * sizeof(v->addrs[0]));
	if (v == NULL)
		return NULL;
	v->ops = ops;
	v->ctx = ctx;
	v->n = v->in[VIP_OFF] = conf->n;
	v->lease_ms = conf->lease_ms;
	v->timer_at = MT_NEVER;
	v->touched = true;
	for (i = 0; i < v->n; i++) {
		v->addrs[i].conf = conf->addrs[i];
		v->addrs[i].id = i;
		v->addrs[i].carrier = v->addrs[i].fresh = true;
		v->addrs[i].retry_at = MT_NEVER;
		v->addrs[i].announce_at = MT_NEVER;
	}
	return v;
}

static bool
same_addr(const struct vip_addr_conf *a, const struct vip_addr_conf *b)
{
	return a->family == b->family && a->prefix == b->prefix &&
	       memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0 &&
	       strcmp(a->ifname, b->ifname) == 0;
}

/* Its name may be another. */
static void
adopt_addr(struct vip *v, struct vip_a *a, const struct vip_a *old)
{
	struct vip_addr_conf conf = a->conf;

	v->in[a->state]--;
	*a = *old;
	a->conf = conf;
	v->in[a->state]++;
	if (a->state == VIP_ACTIVE)
		vip_set_add(&v->active, a->id);
}

void
vip_adopt(struct vip *v, const struct vip *old)
{
	uint16_t i;

	ASSERT(v->seq == 0 && !v->has_beat && !old->in_step);
	v->vouched = old->vouched;
	v->has_beat = old->has_beat;
	v->now = old->now;
	v->beat_at = old->beat_at;
	v->beat_until = old->beat_until;
	v->lease_until = old->lease_until;
	v->asked_until = old->asked_until;
	v->asked_max = old->asked_max;
	v->timer_at = old->timer_at;
	v->fail_note_at = old->fail_note_at;
	v->seq = old->seq;
	v->want_open = old->want_open;
	v->want_close = old->want_close;
	v->renewed = old->renewed;
	v->lease_failed = old->lease_failed;
	v->lapsed = old->lapsed;
	v->flushed = old->flushed;
	for (i = 0; i < old->n; i++) {
		const struct vip_a *o = &old->addrs[i];

		if (i < v->n && same_addr(&v->addrs[i].conf, &o->conf))
			adopt_addr(v, &v->addrs[i], o);
		else
			ASSERT(o->state == VIP_OFF);
	}
}

void
vip_free(struct vip *v)
{
	free(v);
}

enum vip_state
vip_state(const struct vip *v, uint16_t id)
{
	ASSERT(id < v->n);
	return v->addrs[id].state;
}

void
vip_addr_status(const struct vip *v, uint16_t id, struct vip_addr_status *t)
{
	const struct vip_a *a;

	ASSERT(id < v->n);
	a = &v->addrs[id];
	strlcpy(t->name, a->conf.name, sizeof(t->name));
	t->state = a->state;
	t->present = a->present;
	t->carrier = a->carrier;
	t->since = a->since;
	t->announced = a->announced;
	t->conflicts = a->conflicts;
	t->stripped = a->stripped;
	strlcpy(t->error, a->error, sizeof(t->error));
}

void
vip_status(const struct vip *v, struct vip_status *s)
{
	uint16_t i;

	memset(s, 0, sizeof(*s));
	s->n = v->n;
	s->vouched = v->vouched;
	s->lease_until = v->lease_until;
	s->renewed = v->renewed;
	s->lease_failed = v->lease_failed;
	s->lapsed = v->lapsed;
	s->flushed = v->flushed;
	for (i = 0; i < v->n; i++)
		vip_addr_status(v, i, &s->addrs[i]);
}
