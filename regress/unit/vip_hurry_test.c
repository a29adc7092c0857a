/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An address that is given up in a hurry: who waits for it hears so when it is
 * silent, and only then, and it goes from its interface right after.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "vip.h"

static struct vip *v;
static char out[256];
static uint64_t seq;

static void
say(const char *what)
{
	assert_true(strlen(out) + strlen(what) < sizeof(out));
	strcat(out, what);
}

static void
op_add(void *ctx, uint16_t id)
{
	(void)ctx, (void)id;
	say("add; ");
}

static void
op_del(void *ctx, uint16_t id)
{
	(void)ctx, (void)id;
	say("del; ");
}

static void
op_lease(void *ctx, uint64_t n, const struct vip_set *open, monotime_t until)
{
	(void)ctx, (void)until;
	seq = n;
	say(vip_set_has(open, 0) ? "open; " : "close; ");
}

static void
op_announce(void *ctx, uint16_t id)
{
	(void)ctx, (void)id;
}

static void
op_timer(void *ctx, monotime_t at)
{
	char text[32];

	(void)ctx;
	snprintf(text, sizeof(text), "timer %lld; ", (long long)at.us / 1000);
	say(at.us == INT64_MAX ? "timer off; " : text);
}

static void
op_lapsed(void *ctx)
{
	(void)ctx;
	fail_msg("lapsed");
}

static void
op_done(void *ctx, uint64_t token, bool ok, const char *text)
{
	char line[64];

	(void)ctx;
	assert_true(ok);
	snprintf(line, sizeof(line), "done %u (%s); ", (unsigned)token, text);
	say(line);
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx, (void)level, (void)rule, (void)object, (void)text;
}

static const struct vip_ops ops = {
    .addr_add = op_add,
    .addr_del = op_del,
    .lease = op_lease,
    .announce = op_announce,
    .timer = op_timer,
    .lapsed = op_lapsed,
    .done = op_done,
    .note = op_note,
};

/* What it orders at that, all of it. */
static void
at(int64_t ms, struct vip_event e, const char *want)
{
	e.now.us = ms * 1000;
	out[0] = '\0';
	vip_step(v, &e);
	assert_string_equal(out, want);
}

static struct vip_event
leased(bool ok)
{
	return (struct vip_event){
	    .type = VIP_EV_LEASED, .u.leased = {seq, ok, "busy"}};
}

static struct vip_event
result(enum vip_ev type)
{
	return (struct vip_event){
	    .type = type, .u.result = {.ok = true, .found = true}};
}

static struct vip_event
order(enum vip_ev type, uint64_t token, bool hurry)
{
	return (struct vip_event){
	    .type = type, .u.order = {.token = token, .hurry = hurry}};
}

static const struct vip_event timer = {.type = VIP_EV_TIMER};

/* Active since 1000, with a lease until 1100; an announcement is due. */
static int
setup(void **state)
{
	static const struct vip_addr_conf addr = {
	    .name = "web", .family = 4, .ifname = "eth0"};
	struct vip_conf conf = {&addr, 1, 100};

	(void)state;
	v = vip_new(&conf, &ops, NULL);
	at(1000, (struct vip_event){.type = VIP_EV_VOUCH, .u.vouch.on = true},
	    "");
	at(1000, (struct vip_event){.type = VIP_EV_BEAT}, "");
	at(1000, order(VIP_EV_TAKE, 7, false), "add; ");
	at(1000, result(VIP_EV_ADDED), "open; ");
	at(1000, leased(true), "done 7 (active); timer 1100; ");
	at(1010, order(VIP_EV_RELEASE, 9, true), "close; timer off; ");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vip_free(v);
	return 0;
}

static void
test_heard_when_it_is_silent(void **state)
{
	(void)state;
	at(1011, leased(true), "done 9 (silent); timer 1011; ");
	assert_int_equal(vip_state(v, 0), VIP_REMOVING);
	at(1011, timer, "del; timer off; ");
	at(1012, result(VIP_EV_REMOVED), "");
	assert_int_equal(vip_state(v, 0), VIP_OFF);
}

static void
test_taken_before_it_went(void **state)
{
	(void)state;
	at(1011, leased(true), "done 9 (silent); timer 1011; ");
	at(1011, order(VIP_EV_TAKE, 10, false), "add; timer off; ");
	at(1011, timer, "");
	assert_int_equal(vip_state(v, 0), VIP_ADDING);
}

/* A guard that does not close is no silence, whatever the hurry. */
static void
test_waits_for_the_guard(void **state)
{
	(void)state;
	at(1011, leased(false), "timer 1100; ");
	at(1100, timer, "del; timer off; ");
	at(1101, result(VIP_EV_REMOVED), "done 9 (released); ");
}

/* Whoever orders it once more hears it when it has gone. */
static void
test_ordered_again(void **state)
{
	(void)state;
	at(1011, leased(true), "done 9 (silent); timer 1011; ");
	at(1011, order(VIP_EV_RELEASE, 11, true), "");
	at(1011, timer, "del; timer off; ");
	at(1012, result(VIP_EV_REMOVED), "done 11 (released); ");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(heard_when_it_is_silent),
	    T(taken_before_it_went),
	    T(waits_for_the_guard),
	    T(ordered_again),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
