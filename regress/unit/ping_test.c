/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pings and questions for an address, in a network namespace of the test's
 * own: what is asked is on its loopback, or on the other end of a veth pair.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "arp.h"
#include "log.h"
#include "loop.h"
#include "ping.h"

struct world {
	struct loop *loop;
	int pings, arps;
	uint32_t answered;
	char ifname[16], addr[46];
};

static void
run(const char *command)
{
	assert_int_equal(system(command), 0);
}

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	log_init("ping_test", 0, false);
	w->loop = loop_new();
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	loop_free(w->loop);
	free(w);
	return 0;
}

static void
run_until(struct world *w, const int *what, int count)
{
	monotime_t end = mt_add_ms(loop_now(), 30000);

	while (*what < count) {
		assert_true(sd_event_run(loop_event(w->loop), 1000000) >= 0);
		assert_true(mt_before(loop_now(), end));
	}
}

static void
changed(void *ctx, uint32_t answered)
{
	struct world *w = ctx;

	w->pings++;
	w->answered = answered;
}

static void
answered(void *ctx, const char *ifname, const char *addr)
{
	struct world *w = ctx;

	w->arps++;
	strlcpy(w->ifname, ifname, sizeof(w->ifname));
	strlcpy(w->addr, addr, sizeof(w->addr));
}

static void
who_answers_and_who_does_not(void **state)
{
	struct world *w = *state;
	const struct ping_conf c = {
	    .addrs = {"127.0.0.1", "10.9.9.9", "::1", "2001:db8::9"},
	    .n = 4,
	    .period_ms = 20,
	    .dead_ms = 300,
	};
	monotime_t start = loop_now();
	struct ping *p;
	char err[128];

	p = ping_new(loop_event(w->loop), &c, changed, w, err, sizeof(err));
	assert_non_null(p);
	run_until(w, &w->pings, 1);
	/* Not all answered, so it took its time to say so. */
	assert_true(mt_sub_us(loop_now(), start) >= 300 * 1000);
	assert_int_equal(w->answered, 5);
	assert_int_equal(ping_answered(p), 5);
	run("ip addr add 10.9.9.9/32 dev lo");
	run_until(w, &w->pings, 2);
	assert_int_equal(w->answered, 7);
	run("ip addr add 2001:db8::9/128 dev lo nodad");
	run_until(w, &w->pings, 3);
	assert_int_equal(w->answered, 15);
	start = loop_now();
	run("ip addr del 10.9.9.9/32 dev lo");
	run_until(w, &w->pings, 4);
	assert_int_equal(w->answered, 13);
	run("ip addr del 2001:db8::9/128 dev lo");
	run_until(w, &w->pings, 5);
	assert_int_equal(w->answered, 5);
	ping_free(p);
	/* When all answer there is nothing to wait for. */
	w->pings = 0;
	start = loop_now();
	p = ping_new(loop_event(w->loop),
	    &(struct ping_conf){.addrs = {"127.0.0.1"},
		.n = 1,
		.period_ms = 20,
		.dead_ms = 60000},
	    changed, w, err, sizeof(err));
	assert_non_null(p);
	run_until(w, &w->pings, 1);
	assert_int_equal(w->answered, 1);
	assert_true(mt_sub_us(loop_now(), start) < 30 * 1000000);
	ping_free(p);
}

static void
a_name_is_no_address(void **state)
{
	struct world *w = *state;
	const struct ping_conf c = {.addrs = {"127.0.0.1", "router"},
	    .n = 2,
	    .period_ms = 20,
	    .dead_ms = 100};
	char err[128];

	assert_null(
	    ping_new(loop_event(w->loop), &c, changed, w, err, sizeof(err)));
	assert_string_equal(err, "ping router: not a numeric address");
}

static void
the_other_end_has_its_addresses(void **state)
{
	struct world *w = *state;
	struct arp *a = arp_new(loop_event(w->loop), answered, w);
	monotime_t end;

	assert_non_null(a);
	run("ip link add p0 type veth peer name p1 && "
	    "ip addr add 10.8.8.1/24 dev p1 && "
	    "ip addr add 2001:db8:8::1/64 dev p1 nodad && "
	    "ip addr add fe80::5/64 dev p0 nodad && "
	    "ip link set p0 up && ip link set p1 up");
	assert_int_equal(arp_probe(a, "p0", "10.8.8.1"), 0);
	run_until(w, &w->arps, 1);
	assert_string_equal(w->ifname, "p0");
	assert_string_equal(w->addr, "10.8.8.1");
	assert_int_equal(arp_probe(a, "p0", "2001:db8:8::1"), 0);
	run_until(w, &w->arps, 2);
	assert_string_equal(w->ifname, "p0");
	assert_string_equal(w->addr, "2001:db8:8::1");
	/* Nobody has this one; several questions at once are kept apart. */
	assert_int_equal(arp_probe(a, "p0", "10.8.8.77"), 0);
	assert_int_equal(arp_probe(a, "p0", "2001:db8:8::77"), 0);
	assert_int_equal(arp_probe(a, "p0", "10.8.8.1"), 0);
	assert_int_equal(arp_probe(a, "p0", "10.8.8.1"), 0);
	run_until(w, &w->arps, 3);
	end = mt_add_ms(loop_now(), ARP_ANSWER_MS + 200);
	while (mt_before(loop_now(), end))
		sd_event_run(loop_event(w->loop), 50000);
	assert_int_equal(w->arps, 3);
	/* They are over: there is room for as many as ever. */
	for (int i = 0; i < ARP_QUESTIONS_MAX; i++) {
		char addr[32];

		snprintf(addr, sizeof(addr), "10.8.8.%d", 100 + i);
		assert_int_equal(arp_probe(a, "p0", addr), 0);
	}
	assert_int_equal(arp_probe(a, "p0", "10.8.8.99"), -1);
	assert_int_equal(errno, ENOSPC);
	arp_free(a);
}

static void
what_cannot_be_asked_is_refused(void **state)
{
	struct world *w = *state;
	struct arp *a = arp_new(loop_event(w->loop), answered, w);

	assert_int_equal(arp_probe(a, "p7", "10.8.8.1"), -1);
	assert_int_equal(errno, ENODEV);
	assert_int_equal(arp_probe(a, "lo", "10.8.8.1"), -1);
	assert_int_equal(errno, EAFNOSUPPORT);
	assert_int_equal(arp_probe(a, "p0", "alpha"), -1);
	assert_int_equal(errno, EINVAL);
	run("ip link set p0 down");
	assert_int_equal(arp_probe(a, "p0", "10.8.8.1"), -1);
	assert_int_equal(errno, ENETDOWN);
	arp_free(a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(who_answers_and_who_does_not),
	    TEST(a_name_is_no_address),
	    TEST(the_other_end_has_its_addresses),
	    TEST(what_cannot_be_asked_is_refused),
	};

	/* Nothing of it is to leave this machine. */
	if (unshare(CLONE_NEWNET) == -1 || system("ip link set lo up") != 0) {
		perror("a network namespace");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
