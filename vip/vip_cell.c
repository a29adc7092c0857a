/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Service addresses: what one address answers to each event in each state.
 * The drawing is in vip.c.
 */
#include <stdio.h>
#include <string.h>

#include "vip_int.h"

enum {
	GAP_MIN_MS = 100, /* first pause between two repairs of one cause */
	GAP_MAX_MS = 10000,
	GAP_QUIET_MS = 60000, /* after this long without, start afresh */
	OPEN_TRIES = 3, /* refusals of the guard before TAKE fails */
};

/* When an address is announced, counted from its becoming active. */
static const uint32_t announce_ms[] = {0, 100, 1000, 5000};

typedef enum vip_state (*cell_fn)(
    struct vip *, struct vip_a *, const struct vip_event *, const char **why);

static void
addr_done(const struct vip *v, struct vip_a *a, bool ok, const char *text)
{
	uint64_t token = a->token;

	a->token = 0;
	if (token != 0)
		v->ops->done(v->ctx, token, ok, text);
}

static void
addr_fail(struct vip_a *a, const char *what, const char *text)
{
	snprintf(a->error, sizeof(a->error), "%s: %s", what,
	    text != NULL ? text : "no reason given");
}

/* True if the thing may be done now; then the pause for the next grows. */
static bool
gap_pass(struct vip_gap *g, monotime_t now)
{
	if (g->ms == 0 ||
	    mt_sub_us(now, g->next) > (int64_t)GAP_QUIET_MS * 1000)
		g->ms = GAP_MIN_MS;
	else if (mt_before(now, g->next))
		return false;
	else if (g->ms < GAP_MAX_MS)
		g->ms = g->ms * 2 < GAP_MAX_MS ? g->ms * 2 : GAP_MAX_MS;
	g->next = mt_add_ms(now, g->ms);
	return true;
}

/* Announces now and by the schedule from here on. */
static void
announce_start(struct vip *v, struct vip_a *a)
{
	ASSERT(a->state == VIP_ACTIVE);
	a->announce_base = v->now;
	a->announce_next = 0;
	a->announce_at = v->now;
}

static void
announce_due(struct vip *v, struct vip_a *a)
{
	while (!mt_before(v->now, a->announce_at)) {
		ASSERT(a->announce_next < NITEMS(announce_ms));
		v->ops->announce(v->ctx, a->id);
		a->announced++;
		/* A late timer must not fire the whole schedule at once. */
		do {
			a->announce_next++;
			if (a->announce_next == NITEMS(announce_ms)) {
				a->announce_at = MT_NEVER;
				return;
			}
			a->announce_at = mt_add_ms(
			    a->announce_base, announce_ms[a->announce_next]);
		} while (!mt_before(v->now, a->announce_at));
	}
}

/* Puts the address back on its interface, now or when the pause is over. */
static void
repair(struct vip *v, struct vip_a *a)
{
	if (!gap_pass(&a->repair, v->now)) {
		a->retry_at = a->repair.next;
		return;
	}
	a->retry_at = MT_NEVER;
	v->ops->addr_add(v->ctx, a->id);
}

/*
 * Cells of the table.  Each returns the next state, and why if that is another
 * one.
 */

static enum vip_state
c_same(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	(void)v, (void)ev, (void)why;
	return a->state;
}

/* Nothing of a dead daemon may stay on an interface. */
static enum vip_state
c_start(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	(void)ev;
	if (a->conf.family == 0 || !a->fresh)
		return a->state;
	a->fresh = false;
	a->looking = true;
	v->ops->addr_del(v->ctx, a->id);
	*why = "looking for leftovers";
	return VIP_REMOVING;
}

static enum vip_state
c_take(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	ASSERT(a->conf.family != 0);
	if (a->token != 0)
		addr_done(v, a, false, "taken again");
	a->token = ev->u.order.token;
	a->error[0] = '\0';
	a->retry_at = MT_NEVER;
	v->ops->addr_add(v->ctx, a->id);
	*why = "taken";
	return VIP_ADDING;
}

/* Taken once more on the way up: the newer order is the one that waits. */
static enum vip_state
c_take_again(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	if (a->token != 0)
		addr_done(v, a, false, "taken again");
	a->token = ev->u.order.token;
	if (!v->vouched || a->state != VIP_MUTED)
		return a->state;
	v->want_open = true;
	a->seq = VIP_NOT_ASKED;
	a->tries = 0;
	*why = "taken again";
	return VIP_OPENING;
}

static enum vip_state
c_take_active(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	ASSERT(a->token == 0);
	(void)why;
	a->token = ev->u.order.token;
	addr_done(v, a, true, "active already");
	return a->state;
}

/* The guard first: the address must be silent before anybody hears "done". */
static enum vip_state
c_release(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	if (a->token != 0)
		addr_done(v, a, false, "released");
	a->token = ev->u.order.token;
	a->hurry = ev->u.order.hurry;
	a->seq = VIP_NOT_ASKED;
	a->retry_at = MT_NEVER;
	a->announce_at = MT_NEVER;
	v->want_close = true;
	*why = "released";
	return VIP_CLOSING;
}

static enum vip_state
c_release_again(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	(void)why;
	if (a->token != 0)
		addr_done(v, a, false, "released again");
	a->token = ev->u.order.token;
	a->hurry = ev->u.order.hurry;
	return a->state;
}

static enum vip_state
c_release_off(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	ASSERT(a->token == 0);
	(void)why;
	a->token = ev->u.order.token;
	addr_done(v, a, true, "was not here");
	return a->state;
}

static enum vip_state
c_added(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	if (!ev->u.result.ok) {
		addr_fail(a, "not added", ev->u.result.text);
		vip_note(v, a, HAD_WARN, "", a->error);
		addr_done(v, a, false, a->error);
		*why = "could not be added";
		return VIP_OFF;
	}
	a->present = true;
	if (!v->vouched) {
		*why = "on its interface, nobody vouches";
		return VIP_MUTED;
	}
	*why = "on its interface";
	v->want_open = true;
	a->seq = VIP_NOT_ASKED;
	a->tries = 0;
	return VIP_OPENING;
}

/* The result of a repair. */
static enum vip_state
c_readded(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	(void)why;
	if (!ev->u.result.ok) {
		addr_fail(a, "not put back", ev->u.result.text);
		vip_note(v, a, HAD_WARN, "R15", a->error);
		a->retry_at = a->repair.next;
		return a->state;
	}
	if (!a->present)
		vip_note(v, a, HAD_INFO, "", "is back on its interface");
	a->present = true;
	a->retry_at = MT_NEVER;
	if (a->state == VIP_ACTIVE) {
		announce_start(v, a);
		announce_due(v, a);
	}
	return a->state;
}

static enum vip_state
c_removed(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	char text[sizeof(a->error) + 32];

	if (!ev->u.result.ok) {
		/* It is silent, which is what the others wait for. */
		addr_fail(a, "not removed", ev->u.result.text);
		vip_note(v, a, HAD_WARN, "R15", a->error);
		snprintf(text, sizeof(text), "silenced, but %s", a->error);
		addr_done(v, a, true, text);
		gap_pass(&a->repair, v->now);
		a->retry_at = a->repair.next;
		return a->state;
	}
	a->present = false;
	a->retry_at = MT_NEVER;
	addr_done(v, a, true, "released");
	a->looking = a->looking && !ev->u.result.found;
	*why = ev->u.result.found ? "removed" : "was not on any interface";
	return VIP_OFF;
}

/* Another one waits: the lease op tells when it is open, or that it is not. */
static enum vip_state
c_leased_opening(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	if (a->seq == VIP_NOT_ASKED || ev->u.leased.seq < a->seq)
		return a->state;
	a->seq = VIP_NOT_ASKED;
	if (ev->u.leased.ok) {
		/* The answer may come when the lease is over already. */
		if (!mt_before(v->now, v->lease_until))
			return a->state;
		*why = "guard open";
		return VIP_ACTIVE;
	}
	addr_fail(a, "guard not opened", ev->u.leased.text);
	if (++a->tries < OPEN_TRIES)
		return a->state;
	addr_done(v, a, false, a->error);
	v->want_close = true;
	*why = "the guard does not open";
	return VIP_CLOSING;
}

static enum vip_state
c_leased_closing(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	if (a->seq == VIP_NOT_ASKED || ev->u.leased.seq < a->seq)
		return a->state;
	if (!ev->u.leased.ok) {
		/* Then the kernel closes it when the lease has run out. */
		addr_fail(a, "guard not closed", ev->u.leased.text);
		a->retry_at = v->asked_max;
		return a->state;
	}
	a->retry_at = MT_NEVER;
	*why = "guard closed";
	if (a->hurry && a->token != 0) {
		addr_done(v, a, true, "silent");
		a->retry_at = v->now; /* when that has been heard */
	} else {
		v->ops->addr_del(v->ctx, a->id);
	}
	return VIP_REMOVING;
}

static enum vip_state
c_vouch(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	if (v->vouched && a->state == VIP_MUTED) {
		/* Somebody else may have taken it meanwhile. */
		if (vip_set_has(&ev->u.vouch.leaving, a->id))
			return a->state;
		v->want_open = true;
		a->seq = VIP_NOT_ASKED;
		a->tries = 0;
		*why = "vouched for";
		return VIP_OPENING;
	}
	if (!v->vouched && a->state != VIP_MUTED) {
		v->want_close = true;
		a->announce_at = MT_NEVER;
		*why = "nobody vouches any more";
		return VIP_MUTED;
	}
	return a->state;
}

static enum vip_state
c_stripped(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	(void)ev, (void)why;
	a->present = false;
	a->stripped++;
	if (a->retry_at.us == INT64_MAX) {
		vip_note(v, a, HAD_WARN, "R15",
		    "somebody removed it from its interface; putting it back");
		repair(v, a);
	}
	return a->state;
}

/* It was about to go anyway. */
static enum vip_state
c_stripped_leaving(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	(void)v, (void)ev, (void)why;
	a->present = false;
	return a->state;
}

static enum vip_state
c_conflict(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	const uint8_t *m = ev->u.conflict.mac;
	char text[96];

	(void)why;
	a->conflicts++;
	if (!gap_pass(&a->defend, v->now))
		return a->state;
	snprintf(text, sizeof(text),
	    "claimed by %02x:%02x:%02x:%02x:%02x:%02x; announcing again", m[0],
	    m[1], m[2], m[3], m[4], m[5]);
	vip_note(v, a, HAD_WARN, "R15", text);
	v->ops->announce(v->ctx, a->id);
	a->announced++;
	return a->state;
}

/* A switch that lost the port has forgotten where the address is. */
static enum vip_state
c_carrier(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	bool was = a->carrier;

	(void)why;
	if (a->conf.family == 0 ||
	    strcmp(ev->u.carrier.ifname, a->conf.ifname) != 0 ||
	    was == ev->u.carrier.up)
		return a->state;
	a->carrier = ev->u.carrier.up;
	vip_note(v, a, a->carrier ? HAD_INFO : HAD_WARN, "",
	    a->carrier ? "interface has carrier" : "interface lost carrier");
	if (a->carrier && a->state == VIP_ACTIVE) {
		announce_start(v, a);
		announce_due(v, a);
	}
	return a->state;
}

static enum vip_state
c_timer_up(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	(void)ev, (void)why;
	if (!mt_before(v->now, a->retry_at))
		repair(v, a);
	if (a->state == VIP_ACTIVE)
		announce_due(v, a);
	return a->state;
}

static enum vip_state
c_timer_closing(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	(void)ev;
	if (mt_before(v->now, a->retry_at))
		return a->state;
	a->retry_at = MT_NEVER;
	v->ops->addr_del(v->ctx, a->id);
	*why = "its lease has run out";
	return VIP_REMOVING;
}

static enum vip_state
c_timer_removing(struct vip *v, struct vip_a *a, const struct vip_event *ev,
    const char **why)
{
	(void)ev, (void)why;
	if (!mt_before(v->now, a->retry_at)) {
		a->retry_at = MT_NEVER;
		v->ops->addr_del(v->ctx, a->id);
	}
	return a->state;
}

/* Cells name the states that they may return beside the one they are in. */
#define B(s) (1u << VIP_##s)
#define CELL(fn, may) \
	{ \
		c_##fn, may \
	}
#define SAME CELL(same, 0)
static const struct {
	cell_fn fn;
	uint8_t may;
} table[VIP_STATE_N][VIP_EV_N] =
    {
	[VIP_OFF] =
	    {
		[VIP_EV_START] = CELL(start, B(REMOVING)),
		[VIP_EV_TIMER] = SAME,
		[VIP_EV_TAKE] = CELL(take, B(ADDING)),
		[VIP_EV_RELEASE] = CELL(release_off, 0),
		[VIP_EV_VOUCH] = SAME,
		[VIP_EV_BEAT] = SAME,
		[VIP_EV_ADDED] = SAME,
		[VIP_EV_REMOVED] = SAME,
		[VIP_EV_LEASED] = SAME,
		[VIP_EV_STRIPPED] = SAME,
		[VIP_EV_FLUSHED] = SAME,
		[VIP_EV_CONFLICT] = SAME,
		[VIP_EV_CARRIER] = CELL(carrier, 0),
	    },
	[VIP_ADDING] =
	    {
		[VIP_EV_START] = SAME,
		[VIP_EV_TIMER] = SAME,
		[VIP_EV_TAKE] = CELL(take_again, 0),
		[VIP_EV_RELEASE] = CELL(release, B(CLOSING)),
		[VIP_EV_VOUCH] = SAME,
		[VIP_EV_BEAT] = SAME,
		[VIP_EV_ADDED] = CELL(added, B(OFF) | B(MUTED) | B(OPENING)),
		[VIP_EV_REMOVED] = SAME,
		[VIP_EV_LEASED] = SAME,
		[VIP_EV_STRIPPED] = SAME,
		[VIP_EV_FLUSHED] = SAME,
		[VIP_EV_CONFLICT] = SAME,
		[VIP_EV_CARRIER] = CELL(carrier, 0),
	    },
	[VIP_MUTED] =
	    {
		[VIP_EV_START] = SAME,
		[VIP_EV_TIMER] = CELL(timer_up, 0),
		[VIP_EV_TAKE] = CELL(take_again, B(OPENING)),
		[VIP_EV_RELEASE] = CELL(release, B(CLOSING)),
		[VIP_EV_VOUCH] = CELL(vouch, B(OPENING)),
		[VIP_EV_BEAT] = SAME,
		[VIP_EV_ADDED] = CELL(readded, 0),
		[VIP_EV_REMOVED] = SAME,
		[VIP_EV_LEASED] = SAME,
		[VIP_EV_STRIPPED] = CELL(stripped, 0),
		[VIP_EV_FLUSHED] = SAME,
		[VIP_EV_CONFLICT] = SAME,
		[VIP_EV_CARRIER] = CELL(carrier, 0),
	    },
	[VIP_OPENING] =
	    {
		[VIP_EV_START] = SAME,
		[VIP_EV_TIMER] = CELL(timer_up, 0),
		[VIP_EV_TAKE] = CELL(take_again, 0),
		[VIP_EV_RELEASE] = CELL(release, B(CLOSING)),
		[VIP_EV_VOUCH] = CELL(vouch, B(MUTED)),
		[VIP_EV_BEAT] = SAME,
		[VIP_EV_ADDED] = CELL(readded, 0),
		[VIP_EV_REMOVED] = SAME,
		[VIP_EV_LEASED] = CELL(leased_opening, B(ACTIVE) | B(CLOSING)),
		[VIP_EV_STRIPPED] = CELL(stripped, 0),
		[VIP_EV_FLUSHED] = SAME,
		[VIP_EV_CONFLICT] = SAME,
		[VIP_EV_CARRIER] = CELL(carrier, 0),
	    },
	[VIP_ACTIVE] =
	    {
		[VIP_EV_START] = SAME,
		[VIP_EV_TIMER] = CELL(timer_up, 0),
		[VIP_EV_TAKE] = CELL(take_active, 0),
		[VIP_EV_RELEASE] = CELL(release, B(CLOSING)),
		[VIP_EV_VOUCH] = CELL(vouch, B(MUTED)),
		[VIP_EV_BEAT] = SAME,
		[VIP_EV_ADDED] = CELL(readded, 0),
		[VIP_EV_REMOVED] = SAME,
		[VIP_EV_LEASED] = SAME,
		[VIP_EV_STRIPPED] = CELL(stripped, 0),
		[VIP_EV_FLUSHED] = SAME,
		[VIP_EV_CONFLICT] = CELL(conflict, 0),
		[VIP_EV_CARRIER] = CELL(carrier, 0),
	    },
	[VIP_CLOSING] =
	    {
		[VIP_EV_START] = SAME,
		[VIP_EV_TIMER] = CELL(timer_closing, B(REMOVING)),
		[VIP_EV_TAKE] = CELL(take, B(ADDING)),
		[VIP_EV_RELEASE] = CELL(release_again, 0),
		[VIP_EV_VOUCH] = SAME,
		[VIP_EV_BEAT] = SAME,
		[VIP_EV_ADDED] = SAME,
		[VIP_EV_REMOVED] = SAME,
		[VIP_EV_LEASED] = CELL(leased_closing, B(REMOVING)),
		[VIP_EV_STRIPPED] = CELL(stripped_leaving, 0),
		[VIP_EV_FLUSHED] = SAME,
		[VIP_EV_CONFLICT] = SAME,
		[VIP_EV_CARRIER] = CELL(carrier, 0),
	    },
	[VIP_REMOVING] =
	    {
		[VIP_EV_START] = SAME,
		[VIP_EV_TIMER] = CELL(timer_removing, 0),
		[VIP_EV_TAKE] = CELL(take, B(ADDING)),
		[VIP_EV_RELEASE] = CELL(release_again, 0),
		[VIP_EV_VOUCH] = SAME,
		[VIP_EV_BEAT] = SAME,
		[VIP_EV_ADDED] = SAME,
		[VIP_EV_REMOVED] = CELL(removed, B(OFF)),
		[VIP_EV_LEASED] = SAME,
		[VIP_EV_STRIPPED] = CELL(stripped_leaving, 0),
		[VIP_EV_FLUSHED] = SAME,
		[VIP_EV_CONFLICT] = SAME,
		[VIP_EV_CARRIER] = CELL(carrier, 0),
	    },
};
#undef SAME
#undef CELL
#undef B

bool
vip_no_cell(const struct vip *v, enum vip_ev ev)
{
	enum vip_state s;

	for (s = 0; s < VIP_STATE_N; s++)
		if (v->in[s] > 0 && table[s][ev].fn != c_same)
			return false;
	for (s = 0; s < VIP_STATE_N; s++)
		if (v->in[s] > 0 && v->ops->cell != NULL)
			v->ops->cell(v->ctx, ev, s);
	return true;
}

/* One address answers one event. */
void
vip_cell(struct vip *v, struct vip_a *a, const struct vip_event *ev)
{
	enum vip_state old = a->state, to;
	const char *why = NULL;

	ASSERT(table[old][ev->type].fn != NULL);
	if (v->ops->cell != NULL)
		v->ops->cell(v->ctx, ev->type, old);
	to = table[old][ev->type].fn(v, a, ev, &why);
	ASSERT(a->state == old);
	if (to == old)
		return;
	ASSERT(why != NULL && ((table[old][ev->type].may >> to) & 1u));
	vip_set_state(v, a, to, why);
	if (to != VIP_ACTIVE)
		return;
	a->error[0] = '\0';
	addr_done(v, a, true, "active");
	announce_start(v, a);
	announce_due(v, a);
}
