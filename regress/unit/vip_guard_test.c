/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guard in a real kernel: an address answers exactly while its holder is
 * alive, entitled and in time.
 */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "vip_net.h"

static const uint8_t vip4[4] = {10, 9, 0, 80};

/* An emulated machine takes long over a batch of a hundred messages. */
#define RESTORE_MS (scale == 1 ? 100 : 500)

static void
test_closed_guard_is_silent(void **state)
{
	static const uint8_t own[4] = {10, 9, 0, 1};

	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	holder_cmd(ALPHA, 'T', WEB4);
	holder_cmd(ALPHA, 'T', WEB6);
	WAIT_STATE(ALPHA, WEB4, VIP_MUTED);
	WAIT_STATE(ALPHA, WEB6, VIP_MUTED);
	/* Both are on the interface, and nothing comes of it. */
	assert_int_equal(run_in(ALPHA, "ip addr | grep -q '" VIP4 "/24'"), 0);
	assert_int_equal(run_in(ALPHA, "ip addr | grep -q '" VIP6 "/64'"), 0);
	assert_int_equal(arp_who(vip4, 50), 0);
	assert_false(tcp_answers(VIP4, 50));
	assert_false(tcp_answers(VIP6, 50));
	/* Nor if the client knows where to send, so that no reset comes. */
	client_pin(ALPHA);
	assert_false(tcp_answers(VIP4, 50));
	assert_false(tcp_answers(VIP6, 50));
	assert_int_not_equal(
	    run_in(CLIENT, "ping -c1 -W1 -q " VIP4 " >/dev/null 2>&1"), 0);
	/* The machine's own addresses are not concerned. */
	assert_int_equal(arp_who(own, 500), 0xa);
	assert_true(tcp_answers("10.9.0.1", 500));
	assert_true(tcp_answers("fd09::1", 500));
}

static void
test_open_guard_answers(void **state)
{
	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	assert_int_equal(arp_who(vip4, 500), 0xa);
	assert_true(tcp_answers(VIP4, 500));
	assert_true(tcp_answers(VIP6, 500));
	print_message("lease batch: %u us, at most %u us\n",
	    spaces[ALPHA].h.page->guard.lease_us_last,
	    spaces[ALPHA].h.page->guard.lease_us_max);
}

/* A frozen daemon's lease runs out in the kernel, and it knows when it thaws.
 */
static void
test_frozen_holder_falls_silent(void **state)
{
	struct prober p;
	int64_t frozen;

	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	prober_start(&p);
	assert_true(WAIT_FOR(2000, p.page->n > 20));
	kill(spaces[ALPHA].h.pid, SIGSTOP);
	frozen = now_us();
	sleep_ms(LEASE_MS + 60 * scale);
	assert_false(tcp_answers(VIP6, 40));
	/* It must find out by itself and stay silent until vouched for. */
	kill(spaces[ALPHA].h.pid, SIGCONT);
	WAIT_STATE(ALPHA, WEB4, VIP_MUTED);
	sleep_ms(100 * scale);
	assert_int_equal(spaces[ALPHA].h.page->lapsed_calls, 1);
	prober_end(&p);
	assert_true(prober_last(&p, 0xa) > frozen - us(20));
	assert_true(prober_last(&p, 0xa) < frozen + LEASE_MS * 1000 + us(20));
	prober_free(&p);
	holder_cmd(ALPHA, 'V', 1);
	WAIT_STATE(ALPHA, WEB4, VIP_ACTIVE);
	assert_int_equal(arp_who(vip4, 500), 0xa);
}

/* Killed: silent at once, although the address stays where it is. */
static void
test_killed_holder_falls_silent(void **state)
{
	struct prober p;
	int64_t killed;

	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	client_pin(ALPHA);
	assert_true(tcp_answers(VIP4, 500));
	prober_start(&p);
	assert_true(WAIT_FOR(2000, p.page->n > 20));
	killed = now_us();
	holder_end(ALPHA, SIGKILL);
	sleep_ms(2 * LEASE_MS);
	prober_end(&p);
	print_message("silent %lld us after SIGKILL\n",
	    (long long)(prober_last(&p, 0xa) - killed));
	assert_true(prober_last(&p, 0xa) > killed - us(20));
	/* Well before the lease would have ended. */
	assert_true(prober_last(&p, 0xa) < killed + LEASE_MS * 1000 / 2);
	prober_free(&p);
	assert_int_equal(run_in(ALPHA, "ip addr | grep -q '" VIP4 "/24'"), 0);
	assert_int_equal(run_in(ALPHA, "ip addr | grep -q '" VIP6 "/64'"), 0);
	assert_false(tcp_answers(VIP4, 50));
	assert_false(tcp_answers(VIP6, 50));
	assert_int_not_equal(
	    run_in(ALPHA, "nft list table netdev had_lease 2>/dev/null"), 0);
}

/*
 * A peer learns of a daemon's death from its connections.  By then the
 * addresses must be silent.
 */
static void
test_silent_before_peers_know(void **state)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7)};
	struct prober p;
	int64_t known;
	int l, i, c[3];
	char byte;

	(void)state;
	NEED_WORLD();
	enter(spaces[CLIENT].fd);
	l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	enter(hub_fd);
	assert_int_equal(bind(l, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(l, 3), 0);
	holder_connects = true;
	assert_true(holder_start(ALPHA));
	holder_connects = false;
	for (i = 0; i < 3; i++)
		c[i] = accept(l, NULL, NULL);
	take_both(ALPHA);
	prober_start(&p);
	assert_true(WAIT_FOR(2000, p.page->n > 20));
	kill(spaces[ALPHA].h.pid, SIGKILL);
	known = INT64_MAX;
	for (i = 0; i < 3; i++) {
		assert_true(read(c[i], &byte, 1) <= 0);
		if (now_us() < known)
			known = now_us();
	}
	sleep_ms(LEASE_MS);
	prober_end(&p);
	print_message("peers knew %lld us after the last answer\n",
	    (long long)(known - prober_last(&p, 0xa)));
	/* An answer may have been on its way; it was sent before. */
	assert_true(prober_last(&p, 0xa) <= known + us(1));
	prober_free(&p);
	for (i = 0; i < 3; i++)
		close(c[i]);
	close(l);
}

/* A listener in the client's namespace for the holder's connections. */
static int
client_listens(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7)};
	int one = 1, l;

	enter(spaces[CLIENT].fd);
	holder_proto = IPPROTO_SCTP;
	l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, holder_proto);
	if (l < 0) {
		holder_proto = 0;
		l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	}
	enter(hub_fd);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(l, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(l, 3), 0);
	return l;
}

/*
 * While the daemon is frozen the kernel goes on speaking for its connections
 * (it acknowledges, and with SCTP it sends heartbeats).  That must not look
 * like life: nothing of it renews the lease.
 */
static void
test_kernel_traffic_renews_nothing(void **state)
{
	struct prober p;
	int64_t frozen, end;
	int l, i, c[3], pending = -1;

	(void)state;
	NEED_WORLD();
	l = client_listens();
	holder_connects = true;
	assert_true(holder_start(ALPHA));
	holder_connects = false;
	for (i = 0; i < 3; i++)
		c[i] = accept(l, NULL, NULL);
	take_both(ALPHA);
	prober_start(&p);
	assert_true(WAIT_FOR(2000, p.page->n > 20));
	kill(spaces[ALPHA].h.pid, SIGSTOP);
	frozen = now_us();
	end = frozen + LEASE_MS * 1000 + us(100);
	while (now_us() < end) {
		for (i = 0; i < 3; i++)
			assert_int_equal(write(c[i], "x", 1), 1);
		usleep(2000);
	}
	/* All of it was acknowledged, by the kernel. */
	assert_true(holder_proto != 0 ||
		    WAIT_FOR(1000,
			ioctl(c[0], SIOCOUTQ, &pending) == 0 && pending == 0));
	prober_end(&p);
	assert_true(prober_last(&p, 0xa) > frozen - us(20));
	assert_true(prober_last(&p, 0xa) < frozen + LEASE_MS * 1000 + us(20));
	prober_free(&p);
	kill(spaces[ALPHA].h.pid, SIGCONT);
	for (i = 0; i < 3; i++)
		close(c[i]);
	close(l);
	holder_proto = 0;
}

/* The mark is only the guard's to give: a process cannot help itself. */
static void
test_foreign_mark_gives_nothing(void **state)
{
	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	client_pin(ALPHA);
	holder_end(ALPHA, SIGKILL);
	assert_int_equal(
	    run_in(ALPHA,
		"nft 'add table netdev evil; add chain netdev evil i { type "
		"filter hook ingress device eth0 priority -500; }; add rule "
		"netdev evil i meta mark set 0xffffffff; add chain netdev evil "
		"o { type filter hook egress device eth0 priority -500; }; add "
		"rule netdev evil o meta mark set 0xffffffff'"),
	    0);
	assert_false(tcp_answers(VIP4, 50));
	assert_false(tcp_answers(VIP6, 50));
	assert_int_equal(arp_who(vip4, 50), 0);
}

/* A new daemon replaces the dead one's tables and cleans up, in silence. */
static void
test_restart_opens_nothing(void **state)
{
	struct prober p;
	int64_t from;

	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	holder_end(ALPHA, SIGKILL);
	prober_start(&p);
	sleep_ms(20 * scale);
	from = now_us();
	assert_true(holder_start(ALPHA));
	WAIT_STATE(ALPHA, WEB4, VIP_OFF);
	WAIT_STATE(ALPHA, WEB6, VIP_OFF);
	sleep_ms(50 * scale);
	prober_end(&p);
	assert_int_equal(prober_count(&p, 0xa, from), 0);
	prober_free(&p);
	assert_int_not_equal(run_in(ALPHA, "ip addr | grep -q '" VIP4 "'"), 0);
	assert_int_not_equal(run_in(ALPHA, "ip addr | grep -q '" VIP6 "'"), 0);
	take_both(ALPHA);
	assert_true(tcp_answers(VIP4, 500));
}

static bool
guard_there(void)
{
	return run_in(ALPHA,
		   "nft list chain netdev had_guard judge_in 2>/dev/null | "
		   "grep -q guarded4") == 0;
}

/* Somebody flushes everything: nothing opens, all is back within 100 ms. */
static void
test_flush_is_repaired(void **state)
{
	struct prober p;
	int64_t from;

	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	holder_cmd(ALPHA, 'T', WEB4);
	WAIT_STATE(ALPHA, WEB4, VIP_MUTED);
	prober_start(&p);
	sleep_ms(20 * scale);
	from = now_us();
	assert_int_equal(run_in(ALPHA, "nft flush ruleset"), 0);
	assert_true(
	    WAIT_FOR(RESTORE_MS, spaces[ALPHA].h.page->status.flushed == 1));
	assert_true(guard_there());
	assert_int_equal(run_in(ALPHA, "nft delete table netdev had_guard"), 0);
	assert_true(
	    WAIT_FOR(RESTORE_MS, spaces[ALPHA].h.page->status.flushed == 2));
	assert_true(guard_there());
	assert_int_equal(
	    run_in(ALPHA, "nft flush set netdev had_guard guarded4"), 0);
	assert_true(
	    WAIT_FOR(RESTORE_MS, spaces[ALPHA].h.page->status.flushed == 3));
	sleep_ms(20 * scale);
	prober_end(&p);
	assert_int_equal(prober_count(&p, 0xa, from), 0);
	prober_free(&p);
}

/* The holder goes on holding through a flush. */
static void
test_flush_interrupts_nothing(void **state)
{
	struct prober p;
	unsigned i;
	int64_t gap = 0;

	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	prober_start(&p);
	assert_true(WAIT_FOR(2000, p.page->n > 20));
	assert_int_equal(run_in(ALPHA, "nft flush ruleset"), 0);
	assert_true(
	    WAIT_FOR(RESTORE_MS, spaces[ALPHA].h.page->status.flushed == 1));
	sleep_ms(50 * scale);
	assert_true(guard_there());
	prober_end(&p);
	for (i = 1; i < p.page->n; i++)
		if (p.page->a[i].us - p.page->a[i - 1].us > gap)
			gap = p.page->a[i].us - p.page->a[i - 1].us;
	prober_free(&p);
	/* A machine that stalls for a whole lease silences it, rightly. */
	if (spaces[ALPHA].h.page->lapsed_calls == 0) {
		assert_true(gap < us(50) || scale > 1);
		assert_int_equal(holder_state(ALPHA, WEB4), VIP_ACTIVE);
	}
	/* And still: dead is silent. */
	holder_end(ALPHA, SIGKILL);
	assert_int_equal(arp_who(vip4, 50), 0);
}

/* A foreign change that has nothing to do with the guard wakes nobody. */
static void
test_foreign_tables_are_left_alone(void **state)
{
	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	assert_int_equal(
	    run_in(ALPHA, "nft add table netdev theirs; nft add table inet t"),
	    0);
	sleep_ms(50 * scale);
	assert_int_equal(spaces[ALPHA].h.page->status.flushed, 0);
	assert_int_equal(spaces[ALPHA].h.page->guard.restored, 0);
	holder_end(ALPHA, 0);
	assert_int_equal(
	    run_in(ALPHA, "nft list tables | grep -qx 'table netdev theirs'"),
	    0);
}

static void
test_second_daemon_is_refused(void **state)
{
	pid_t first;

	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	first = spaces[ALPHA].h.pid;
	/* In the same machine, while the first one lives. */
	assert_false(holder_start(ALPHA));
	assert_non_null(
	    strstr(spaces[ALPHA].h.page->err, "another had may own it"));
	assert_int_equal(arp_who(vip4, 500), 0xa);
	kill(first, SIGKILL);
	waitpid(first, NULL, 0);
}

static void
test_clean_stop_removes_the_tables(void **state)
{
	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	holder_cmd(ALPHA, 'R', WEB4);
	holder_cmd(ALPHA, 'R', WEB6);
	WAIT_STATE(ALPHA, WEB4, VIP_OFF);
	WAIT_STATE(ALPHA, WEB6, VIP_OFF);
	assert_int_not_equal(run_in(ALPHA, "ip addr | grep -q '" VIP4 "'"), 0);
	holder_end(ALPHA, 0);
	assert_int_not_equal(
	    run_in(ALPHA, "nft list tables | grep -q had_"), 0);
}

/* An interface that is made anew is guarded anew. */
static void
test_new_interface_is_guarded(void **state)
{
	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	assert_int_equal(run_in(-1, "ip link del p0"), 0);
	assert_true(WAIT_FOR(
	    15000, spaces[ALPHA].h.page->status.addrs[0].stripped > 0));
	holder_cmd(ALPHA, 'V', 0);
	space_cable(ALPHA);
	assert_true(
	    WAIT_FOR(15000, spaces[ALPHA].h.page->status.addrs[0].present));
	assert_int_equal(holder_state(ALPHA, WEB4), VIP_MUTED);
	client_pin(ALPHA);
	assert_false(tcp_answers(VIP4, 50));
	assert_int_equal(arp_who(vip4, 50), 0);
	holder_cmd(ALPHA, 'V', 1);
	WAIT_STATE(ALPHA, WEB4, VIP_ACTIVE);
	assert_true(tcp_answers(VIP4, 500));
}

/* This node may be a client of an address that its peer holds. */
static void
test_standby_reaches_the_holder(void **state)
{
	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	assert_true(holder_start(BRAVO));
	take_both(ALPHA);
	assert_int_equal(
	    run_in(BRAVO, "ping -c1 -W2 -q " VIP4 " >/dev/null"), 0);
	assert_int_equal(
	    run_in(BRAVO, "ping -c1 -W2 -q " VIP6 " >/dev/null"), 0);
}

/* As many as there may be, in one batch per heartbeat. */
static void
test_256_addresses(void **state)
{
	static struct vip_addr_conf addrs[HAD_ADDRESSES_MAX];
	static const struct vip_guard_cb cb = {cb_flushed};
	struct vip_guard_conf gc = {addrs, HAD_ADDRESSES_MAX, NULL, 0};
	struct vip_set all;
	struct vip_guard_stats st;
	struct vip_guard *g;
	struct loop *loop;
	char err[200] = "";
	int64_t start;
	unsigned i;

	(void)state;
	NEED_WORLD();
	memset(&all, 0xff, sizeof(all));
	for (i = 0; i < HAD_ADDRESSES_MAX; i++) {
		addrs[i] = net_addrs[i % 2];
		addrs[i].bytes[i % 2 ? 14 : 2] = 7;
		addrs[i].bytes[i % 2 ? 15 : 3] = (uint8_t)i;
	}
	enter(spaces[ALPHA].fd);
	loop = loop_new();
	g = vip_guard_new(loop_event(loop), &gc, &cb, NULL, err, sizeof(err));
	enter(hub_fd);
	assert_string_equal(err, "");
	assert_non_null(g);
	start = now_us();
	for (i = 0; i < 50; i++)
		assert_int_equal(
		    vip_guard_lease(g, &all, mt_add_ms(loop_now(), 1000)), 0);
	print_message("lease of 256 addresses: %lld us a batch\n",
	    (long long)(now_us() - start) / 50);
	assert_int_equal(
	    run_in(ALPHA, "test $(nft list set netdev had_lease open4 | "
			  "grep -o 10.9.7 | wc -l) = 128"),
	    0);
	/* Too late to open anything: everything is closed, and it says so. */
	assert_int_equal(vip_guard_lease(g, &all, loop_now()), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_int_not_equal(
	    run_in(ALPHA, "nft list set netdev had_lease open4 | grep -q 10.9"),
	    0);
	assert_int_not_equal(
	    run_in(ALPHA, "nft list set netdev had_lease lease | grep -q exp"),
	    0);
	vip_guard_stats(g, &st);
	assert_int_equal(st.failed, 0);
	vip_guard_free(g, true);
	loop_free(loop);
}

/* An argument picks tests by name, with * and ?. */
int
main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_teardown(test_##name, world_clean)
	const struct CMUnitTest tests[] = {
	    T(closed_guard_is_silent),
	    T(open_guard_answers),
	    T(frozen_holder_falls_silent),
	    T(killed_holder_falls_silent),
	    T(silent_before_peers_know),
	    T(kernel_traffic_renews_nothing),
	    T(foreign_mark_gives_nothing),
	    T(restart_opens_nothing),
	    T(flush_is_repaired),
	    T(flush_interrupts_nothing),
	    T(foreign_tables_are_left_alone),
	    T(second_daemon_is_refused),
	    T(clean_stop_removes_the_tables),
	    T(new_interface_is_guarded),
	    T(standby_reaches_the_holder),
	    T(256_addresses),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, world_up, world_down);
}
