/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For transcripts of the virtual routers' core: one core in virtual time.
 * What comes out is written down as words, a time before the first word of
 * each moment that says something.
 */
#ifndef VR_WORLD_H
#define VR_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <bsd/string.h>

#include "vr.h"

#define ALL_MAX 1024

struct script {
	struct vr *v;
	char out[16384];
	char notes[16384];
	int64_t now_us, said_us;
	monotime_t armed;
	bool manual; /* takes and releases are answered by the test */
	bool quiet; /* adverts are only counted */
	uint32_t seq[ALL_MAX]; /* of the last take or release */
	bool asked_take[ALL_MAX], asked[ALL_MAX];
	struct vr_peer told[ALL_MAX];
	struct vr_advert last; /* sent */
	unsigned sent, flushes, wakeups, tells, states, timer_calls;
	unsigned cells[VR_EV_N][VR_STATE_N];
};

static struct script s_one;
static struct script *const s = &s_one;

static inline void PRINTF_LIKE(1, 2) say(const char *fmt, ...)
{
	size_t used;
	va_list ap;

	if (s->said_us != s->now_us) {
		used = strlen(s->out);
		if (s->now_us % 1000 == 0)
			snprintf(s->out + used, sizeof(s->out) - used, "@%lld ",
			    (long long)s->now_us / 1000);
		else
			snprintf(s->out + used, sizeof(s->out) - used,
			    "@%lld.%03lld ", (long long)s->now_us / 1000,
			    (long long)s->now_us % 1000);
		s->said_us = s->now_us;
	}
	used = strlen(s->out);
	va_start(ap, fmt);
	vsnprintf(s->out + used, sizeof(s->out) - used, fmt, ap);
	va_end(ap);
}

static inline const char *
name(uint16_t id)
{
	return vr_router_conf(s->v, id)->name;
}

static inline void
o_send(void *ctx, uint16_t id, const struct vr_advert *a)
{
	(void)ctx;
	s->sent++;
	s->last = *a;
	if (s->quiet)
		return;
	if (vr_router_conf(s->v, id)->proto == VR_CARP)
		say("%s says %u/%u/%u; ", name(id), a->advbase, a->advskew,
		    a->demote);
	else
		say("%s says %u; ", name(id), a->priority);
}

static inline void
o_flush(void *ctx)
{
	(void)ctx;
	s->flushes++;
}

static inline void
o_take(void *ctx, uint16_t id, uint32_t seq)
{
	(void)ctx;
	assert_true(seq > s->seq[id]);
	s->seq[id] = seq;
	s->asked[id] = s->asked_take[id] = true;
	say("take %s; ", name(id));
}

static inline void
o_release(void *ctx, uint16_t id, uint32_t seq)
{
	(void)ctx;
	assert_true(seq > s->seq[id]);
	s->seq[id] = seq;
	s->asked[id] = true;
	s->asked_take[id] = false;
	say("release %s; ", name(id));
}

static inline void
o_timer(void *ctx, monotime_t at)
{
	(void)ctx;
	s->timer_calls++;
	s->armed = at;
}

static inline void
o_state(void *ctx, uint16_t id, enum vr_state from, enum vr_state to,
    const char *reason)
{
	(void)ctx, (void)from;
	assert_true(strlen(reason) > 0);
	s->states++;
	say("%s=%s; ", name(id), vr_state_name(to));
}

static inline void
o_tell(void *ctx, uint16_t id, const struct vr_peer *p)
{
	(void)ctx;
	s->tells++;
	s->told[id] = *p;
}

static inline void
o_conflict(void *ctx, uint16_t id, const uint8_t src[16])
{
	(void)ctx;
	say("conflict %s .%u; ", name(id), src[3]);
}

static inline void
o_gone(void *ctx, uint16_t id)
{
	(void)ctx;
	say("gone %u; ", id);
}

static inline void
o_done(void *ctx)
{
	(void)ctx;
	say("done; ");
}

static inline void
o_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	size_t used = strlen(s->notes);

	(void)ctx, (void)level, (void)rule;
	if (used > sizeof(s->notes) / 2)
		used = 0;
	snprintf(
	    s->notes + used, sizeof(s->notes) - used, "%s: %s\n", object, text);
}

static inline void
o_cell(void *ctx, enum vr_ev ev, enum vr_state state)
{
	(void)ctx;
	s->cells[ev][state]++;
}

static const struct vr_ops script_ops = {
    .send = o_send,
    .flush = o_flush,
    .take = o_take,
    .release = o_release,
    .timer = o_timer,
    .state = o_state,
    .tell = o_tell,
    .conflict = o_conflict,
    .gone = o_gone,
    .done = o_done,
    .note = o_note,
    .cell = o_cell,
};

static inline void
step_raw(struct vr_event ev)
{
	ev.now = (monotime_t){s->now_us};
	vr_step(s->v, &ev);
}

static inline void
answer(uint16_t id, bool took, const char *error)
{
	assert_true(s->asked[id] && s->asked_take[id] == took);
	s->asked[id] = false;
	step_raw((struct vr_event){.type = took ? VR_EV_TOOK : VR_EV_RELEASED,
	    .u.result = {id, s->seq[id], error == NULL, error}});
}

/* The world answers each take and release at once, in their order. */
static inline void
answer_all(void)
{
	uint16_t i;

	for (i = 0; !s->manual && i < vr_ids(s->v); i++)
		while (s->asked[i] && vr_used(s->v, i))
			answer(i, s->asked_take[i], NULL);
}

static inline void
step(struct vr_event ev)
{
	step_raw(ev);
	answer_all();
}

/* Time passes; timers are kept. */
static inline void
run_us(int64_t us)
{
	assert_true(us >= s->now_us);
	while (s->armed.us <= us) {
		if (s->armed.us > s->now_us)
			s->now_us = s->armed.us;
		s->armed = MT_NEVER;
		s->wakeups++;
		step((struct vr_event){.type = VR_EV_TIMER});
	}
	s->now_us = us;
}

static inline void
run(int64_t ms)
{
	run_us(ms * 1000);
}

/* The time before the events of ms, without a timer of that moment. */
static inline void
at(int64_t ms)
{
	run_us(ms * 1000 - 1);
	s->now_us = ms * 1000;
}

static inline void
start(void)
{
	step((struct vr_event){.type = VR_EV_START, .u.start = {42}});
}

static inline void
stop(void)
{
	step((struct vr_event){.type = VR_EV_STOP});
}

/* VRRP, from 192.0.2.from; an IPv6 one from the same bytes. */
static inline void
hear_every(uint16_t id, uint8_t from, uint8_t priority, uint32_t ms)
{
	step((struct vr_event){.type = VR_EV_ADVERT,
	    .u.advert = {id, {.src = {192, 0, 2, from},
				 .priority = priority,
				 .interval_ms = ms}}});
}

static inline void
hear(uint16_t id, uint8_t from, uint8_t priority)
{
	hear_every(id, from, priority, 1000);
}

static inline void
carp(uint16_t id, uint8_t from, uint8_t base, uint8_t skew, uint8_t demote)
{
	step((struct vr_event){.type = VR_EV_ADVERT,
	    .u.advert = {id, {.src = {192, 0, 2, from},
				 .advbase = base,
				 .advskew = skew,
				 .demote = demote,
				 .counter = 7000}}});
}

static inline void
link_is(uint16_t ifx, bool up)
{
	step((struct vr_event){.type = VR_EV_LINK, .u.link = {ifx, up}});
}

static inline void
track_is(uint16_t id, bool up, int32_t value)
{
	step(
	    (struct vr_event){.type = VR_EV_TRACK, .u.track = {id, up, value}});
}

static inline void
order(uint16_t id, enum vr_order o, uint8_t priority)
{
	step((struct vr_event){
	    .type = VR_EV_ORDER, .u.order = {id, o, priority}});
}

static inline void
gap(uint32_t ms)
{
	step((struct vr_event){.type = VR_EV_GAP, .u.gap = {ms}});
}

static inline void
reach_is(uint16_t ifx, enum vr_life life, bool own_lan, bool peer_lan)
{
	step((struct vr_event){.type = VR_EV_REACH,
	    .u.reach = {ifx, {life, own_lan, peer_lan, false, false}}});
}

/* The peer is 192.0.2.2. */
static inline void
peer_says(uint16_t id, bool holds, bool able, bool wants, uint8_t priority)
{
	step((struct vr_event){.type = VR_EV_PEER,
	    .u.peer = {id, {.holds = holds,
			       .able = able,
			       .wants = wants,
			       .priority = priority,
			       .addr = {192, 0, 2, 2}}}});
}

static inline void
expect_at(const char *file, int line, const char *want)
{
	size_t n = strlen(s->out);

	if (n > 0 && s->out[n - 1] == ' ')
		s->out[n - 1] = '\0';
	if (strcmp(s->out, want) != 0)
		print_error(
		    "%s:%d:\n got: %s\nwant: %s\n", file, line, s->out, want);
	assert_string_equal(s->out, want);
	s->out[0] = '\0';
	s->said_us = -1;
}
#define expect(want) expect_at(__FILE__, __LINE__, want)

static inline void
noted(const char *what)
{
	if (strstr(s->notes, what) == NULL)
		print_error("not noted: %s\nbut: %s\n", what, s->notes);
	assert_non_null(strstr(s->notes, what));
	s->notes[0] = '\0';
}

static inline struct vr_status
status(uint16_t id)
{
	struct vr_status st;

	vr_status(s->v, id, &st);
	return st;
}

/* VRRPv3, IPv4, priority 100, each second, preempting, 192.0.2.1. */
static inline struct vr_router_conf
vrrp(const char *nm, uint8_t vrid, uint8_t priority)
{
	struct vr_router_conf c = {
	    .vrid = vrid,
	    .family = 4,
	    .proto = VR_VRRP3,
	    .preempt = true,
	    .priority = priority,
	    .interval_ms = 1000,
	    .own_addr = {192, 0, 2, 1},
	};

	strlcpy(c.name, nm, sizeof(c.name));
	return c;
}

/* CARP, 1 s, advskew as given, demotion in its field, 192.0.2.1. */
static inline struct vr_router_conf
carp_conf(const char *nm, uint8_t vhid, uint8_t skew)
{
	struct vr_router_conf c = {
	    .vrid = vhid,
	    .family = 4,
	    .proto = VR_CARP,
	    .advbase = 1,
	    .advskew = skew,
	    .dead_ratio = 3,
	    .own_addr = {192, 0, 2, 1},
	};

	strlcpy(c.name, nm, sizeof(c.name));
	return c;
}

/* Lease 100 ms, word of the peer good for 500 ms. */
static inline void
reload(const struct vr_router_conf *c, uint16_t n)
{
	struct vr_conf conf = {c, n, 100, 500};

	step((struct vr_event){.type = VR_EV_CONFIG, .u.conf = &conf});
}

static inline void
make(const struct vr_router_conf *c, uint16_t n)
{
	struct vr_conf conf = {c, n, 100, 500};

	memset(s, 0, sizeof(*s));
	s->armed = MT_NEVER;
	s->said_us = -1;
	s->v = vr_new(&conf, &script_ops, NULL);
	assert_non_null(s->v);
}

/* One router, started at 0. */
static inline void
begin(struct vr_router_conf c)
{
	make(&c, 1);
	start();
}

static inline int
end(void **state)
{
	(void)state;
	vr_free(s->v);
	s->v = NULL;
	return 0;
}

#define T(f) cmocka_unit_test_teardown(f, end)

#endif
