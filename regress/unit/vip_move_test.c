/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two holders in two network namespaces, one address, one client: whatever
 * happens to one, they never both answer; and the client follows.
 */
#include "vip_net.h"

static const uint8_t vip4[4] = {10, 9, 0, 80};

/* What the peer waits from its own last receive on: lease and margin. */
#define TAKEOVER_MS (LEASE_MS + LEASE_MS / 50 + 20 * scale)

static void
both_start(void)
{
	assert_true(holder_start(ALPHA));
	assert_true(holder_start(BRAVO));
	take_both(ALPHA);
}

/* After bravo's first answer there is none of alpha's any more. */
static void
check_moved(struct prober *p, const char *how, int64_t from)
{
	int64_t last, first;

	assert_true(WAIT_FOR(2000, prober_count(p, 0xb, from) > 20));
	prober_end(p);
	last = prober_last(p, 0xa);
	first = prober_first(p, 0xb, from);
	assert_true(p->page->n < ANSWERS_MAX);
	print_message(
	    "%s: nobody for %lld us\n", how, (long long)(first - last));
	assert_true(last < first);
	prober_free(p);
}

static void
test_planned_move(void **state)
{
	struct prober p;
	int64_t from;
	int i;

	(void)state;
	NEED_WORLD();
	both_start();
	holder_cmd(BRAVO, 'V', 1);
	/* There and back again. */
	for (i = 0; i < 4; i++) {
		prober_start(&p);
		assert_true(WAIT_FOR(2000, p.page->n > 20));
		from = now_us();
		holder_cmd(ALPHA, 'R', WEB4);
		assert_true(
		    WAIT_FOR(2000, holder_state(ALPHA, WEB4) == VIP_OFF));
		holder_cmd(BRAVO, 'T', WEB4);
		check_moved(&p, "planned move", from);
		holder_cmd(BRAVO, 'R', WEB4);
		assert_true(
		    WAIT_FOR(2000, holder_state(BRAVO, WEB4) == VIP_OFF));
		holder_cmd(ALPHA, 'T', WEB4);
		WAIT_STATE(ALPHA, WEB4, VIP_ACTIVE);
	}
}

/* The daemon is dead: the peer need not wait for the lease. */
static void
test_killed(void **state)
{
	struct prober p;
	int64_t from;

	(void)state;
	NEED_WORLD();
	both_start();
	holder_cmd(BRAVO, 'V', 1);
	prober_start(&p);
	assert_true(WAIT_FOR(2000, p.page->n > 20));
	from = now_us();
	holder_end(ALPHA, SIGKILL);
	holder_cmd(BRAVO, 'T', WEB4);
	holder_cmd(BRAVO, 'T', WEB6);
	check_moved(&p, "killed", from);
	assert_true(tcp_answers(VIP6, 1000));
	/* Alpha's addresses are still there, and say nothing. */
	assert_int_equal(run_in(ALPHA, "ip addr | grep -q '" VIP4 "/24'"), 0);
}

static void
test_frozen_and_thawed(void **state)
{
	struct prober p;
	int64_t from, first;

	(void)state;
	NEED_WORLD();
	both_start();
	holder_cmd(BRAVO, 'V', 1);
	prober_start(&p);
	assert_true(WAIT_FOR(2000, p.page->n > 20));
	from = now_us();
	kill(spaces[ALPHA].h.pid, SIGSTOP);
	sleep_ms(TAKEOVER_MS);
	holder_cmd(BRAVO, 'T', WEB4);
	assert_true(WAIT_FOR(2000, prober_count(&p, 0xb, from) > 20));
	kill(spaces[ALPHA].h.pid, SIGCONT);
	WAIT_STATE(ALPHA, WEB4, VIP_MUTED);
	sleep_ms(100 * scale);
	first = prober_first(&p, 0xb, from);
	assert_int_equal(prober_count(&p, 0xa, first), 0);
	check_moved(&p, "frozen", from);
}

/* The peer has taken it, but nobody has told this node: still one answers. */
static void
test_both_want_it_one_is_entitled(void **state)
{
	struct prober p;
	int64_t from;

	(void)state;
	NEED_WORLD();
	both_start();
	holder_cmd(BRAVO, 'T', WEB4);
	holder_cmd(BRAVO, 'T', WEB6);
	WAIT_STATE(BRAVO, WEB4, VIP_MUTED);
	prober_start(&p);
	from = now_us();
	assert_true(WAIT_FOR(2000, p.page->n > 100));
	prober_end(&p);
	assert_int_equal(prober_count(&p, 0xb, from), 0);
	prober_free(&p);
}

static bool
neigh_is(const char *addr, const char *mac)
{
	char got[32];

	client_neigh(addr, got, sizeof(got));
	return strcmp(got, mac) == 0;
}

/* The client believed in bravo, and follows without asking. */
static void
test_announcement_moves_neighbours(void **state)
{
	(void)state;
	NEED_WORLD();
	assert_int_equal(
	    run_in(CLIENT,
		"for a in " VIP4 " " VIP6 "; do ip neigh replace $a dev eth0 "
		"lladdr 02:00:00:00:00:0b nud stale; done"),
	    0);
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	assert_true(WAIT_FOR(1000, neigh_is(VIP4, "02:00:00:00:00:0a")));
	assert_true(WAIT_FOR(1000, neigh_is(VIP6, "02:00:00:00:00:0a")));
	/* Again 100 ms later. */
	assert_true(WAIT_FOR(
	    1000, spaces[ALPHA].h.page->status.addrs[WEB4].announced >= 2));
}

/* Sends one frame from bravo's interface. */
static void
send_from(int where, const uint8_t *frame, size_t len)
{
	struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_halen = 6};
	int fd;

	enter(spaces[where].fd);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	ll.sll_ifindex = (int)if_nametoindex("eth0");
	memcpy(&ll.sll_protocol, frame + 12, 2);
	assert_int_equal(
	    sendto(fd, frame, len, 0, (struct sockaddr *)&ll, sizeof(ll)),
	    (ssize_t)len);
	close(fd);
	enter(hub_fd);
}

/* A stranger claims the address; it is heard, and claimed back. */
static void
test_conflict_is_answered(void **state)
{
	const volatile struct vip_addr_status *s;
	uint8_t ip6[16], f[VIP_PACKET_MAX];
	uint64_t before;

	(void)state;
	NEED_WORLD();
	inet_pton(AF_INET6, VIP6, ip6);
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	assert_int_equal(arp_who(vip4, 500), 0xa);
	assert_true(tcp_answers(VIP6, 500));
	s = spaces[ALPHA].h.page->status.addrs;
	/* Its own announcements and the client's packets are no conflict. */
	assert_int_equal(s[WEB4].conflicts, 0);
	assert_int_equal(s[WEB6].conflicts, 0);
	before = s[WEB4].announced;
	vip_arp_encode(f, VIP_ARP_REPLY, spaces[CLIENT].mac, vip4);
	send_from(CLIENT, f, VIP_ARP_LEN);
	assert_true(WAIT_FOR(1000, s[WEB4].conflicts == 1));
	assert_true(WAIT_FOR(1000, s[WEB4].announced > before));
	before = s[WEB6].announced;
	vip_na_encode(f, spaces[CLIENT].mac, ip6, false);
	send_from(CLIENT, f, VIP_NA_LEN);
	assert_true(WAIT_FOR(1000, s[WEB6].conflicts == 1));
	assert_true(WAIT_FOR(1000, s[WEB6].announced > before));
}

/* A network manager removes the addresses; they are put back. */
static void
test_stripped_is_put_back(void **state)
{
	const volatile struct vip_addr_status *s;
	int64_t from;

	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	s = spaces[ALPHA].h.page->status.addrs;
	assert_int_equal(run_in(ALPHA, "ip addr del " VIP4 "/24 dev eth0"), 0);
	assert_int_equal(run_in(ALPHA, "ip addr del " VIP6 "/64 dev eth0"), 0);
	/* How long programs take to start is not what is measured. */
	from = now_us();
	assert_true(WAIT_FOR(1000, s[WEB4].stripped == 1 && s[WEB4].present));
	assert_true(WAIT_FOR(1000, s[WEB6].stripped == 1 && s[WEB6].present));
	assert_true(now_us() - from < us(200));
	assert_int_equal(run_in(ALPHA, "ip addr | grep -q '" VIP4 "/24'"), 0);
	assert_int_equal(run_in(ALPHA, "ip addr | grep -q '" VIP6 "/64'"), 0);
	assert_true(tcp_answers(VIP4, 500));
	assert_true(tcp_answers(VIP6, 500));
}

/* A leftover with another prefix or on another interface goes, too. */
static void
test_leftovers_go_wherever_they_are(void **state)
{
	(void)state;
	NEED_WORLD();
	assert_int_equal(
	    run_in(ALPHA,
		"ip link add dummy1 type veth peer name dummy2; ip link set "
		"dummy1 up; "
		"ip addr add " VIP4 "/32 dev dummy1; ip addr add " VIP4
		"/16 dev eth0; ip addr add " VIP6 "/128 dev dummy1 nodad"),
	    0);
	assert_true(holder_start(ALPHA));
	assert_true(WAIT_FOR(2000, holder_state(ALPHA, WEB4) == VIP_OFF &&
				       holder_state(ALPHA, WEB6) == VIP_OFF));
	assert_int_not_equal(run_in(ALPHA, "ip addr | grep -q '" VIP4 "'"), 0);
	assert_int_not_equal(run_in(ALPHA, "ip addr | grep -q '" VIP6 "'"), 0);
	run_in(ALPHA, "ip link del dummy1");
}

static void
test_carrier_is_told(void **state)
{
	const volatile struct vip_addr_status *s;
	uint64_t before;

	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	s = spaces[ALPHA].h.page->status.addrs;
	assert_true(s[WEB4].carrier);
	run_in(-1, "ip link set p0 down");
	assert_true(WAIT_FOR(1000, !s[WEB4].carrier));
	before = s[WEB4].announced;
	run_in(-1, "ip link set p0 up");
	assert_true(WAIT_FOR(1000, s[WEB4].carrier));
	assert_true(WAIT_FOR(1000, s[WEB4].announced > before));
}

/* The address never becomes the source of the node's own connections. */
static void
test_never_a_source(void **state)
{
	(void)state;
	NEED_WORLD();
	assert_true(holder_start(ALPHA));
	take_both(ALPHA);
	assert_int_equal(
	    run_in(ALPHA, "ip -6 addr show dev eth0 | grep -A1 '" VIP6
			  "/64' | grep -q 'preferred_lft 0sec'"),
	    0);
	assert_int_equal(run_in(ALPHA, "ip -6 addr show dev eth0 | grep '" VIP6
				       "/64' | grep -q nodad"),
	    0);
	assert_int_equal(
	    run_in(ALPHA, "ip route get fd09::100 | grep -q 'src fd09::1 '"),
	    0);
	assert_int_equal(
	    run_in(ALPHA, "ip route get 10.9.0.100 | grep -q 'src 10.9.0.1 '"),
	    0);
}

static void
nothing_lost(void *ctx, uint16_t id)
{
	(void)ctx, (void)id;
}

static void
count_lost(void *ctx, uint16_t id)
{
	(void)id;
	++*(int *)ctx;
}

static void
nothing_moved(void *ctx, const char *ifname, bool up)
{
	(void)ctx, (void)ifname, (void)up;
}

static void
nothing_claimed(void *ctx, uint16_t id, const uint8_t mac[6])
{
	(void)ctx, (void)id, (void)mac;
}

/* The client's ear for ARP, that holds many. */
static int
wide_ear(void)
{
	int fd = arp_socket(), size = 8 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

/* How many of 10.7.0.0/16 are claimed in both forms. */
static uint8_t seen[256];

static unsigned
claims(int fd)
{
	uint8_t f[128];
	unsigned i, n = 0;

	while (recv(fd, f, sizeof(f), MSG_DONTWAIT) > 0)
		if (f[28] == 10 && f[29] == 7 && f[21] >= 1 && f[21] <= 2)
			seen[f[31]] |= f[21];
	for (i = 0; i < 256; i++)
		n += seen[i] == 3;
	return n;
}

/* All addresses that there may be move at once: in milliseconds. */
static void
test_256_at_once(void **state)
{
	static struct vip_addr_conf many[HAD_ADDRESSES_MAX];
	static const struct vip_addr_cb acb = {nothing_lost, nothing_moved};
	static const struct vip_announce_cb ncb = {nothing_claimed};
	struct vip_announce *announce;
	struct vip_addr *addr;
	struct loop *loop;
	char err[200] = "";
	int64_t t[4];
	int i, fd;

	(void)state;
	NEED_WORLD();
	for (i = 0; i < HAD_ADDRESSES_MAX; i++)
		many[i] = (struct vip_addr_conf){
		    "", 4, {10, 7, 0, (uint8_t)i}, 16, "eth0"};
	fd = wide_ear();
	enter(spaces[ALPHA].fd);
	loop = loop_new();
	addr = vip_addr_new(loop_event(loop), many, HAD_ADDRESSES_MAX, NULL, 0,
	    &acb, NULL, err, sizeof(err));
	announce = vip_announce_new(loop_event(loop), many, HAD_ADDRESSES_MAX,
	    &ncb, NULL, err, sizeof(err));
	assert_string_equal(err, "");
	t[0] = now_us();
	for (i = 0; i < HAD_ADDRESSES_MAX; i++)
		assert_int_equal(vip_addr_add(addr, (uint16_t)i), 0);
	t[1] = now_us();
	for (i = 0; i < HAD_ADDRESSES_MAX; i++)
		assert_int_equal(vip_announce_send(announce, (uint16_t)i), 0);
	vip_announce_flush(announce);
	t[2] = now_us();
	for (i = 0; i < HAD_ADDRESSES_MAX; i++)
		assert_true(vip_addr_del(addr, (uint16_t)i) >= 0);
	t[3] = now_us();
	print_message("256 addresses: added in %lld us, announced in %lld us, "
		      "removed in %lld us\n",
	    (long long)(t[1] - t[0]), (long long)(t[2] - t[1]),
	    (long long)(t[3] - t[2]));
	/* On a busy machine it takes longer, but not ten times. */
	assert_true(t[1] - t[0] < us(100));
	assert_true(t[2] - t[1] < us(100));
	assert_true(WAIT_FOR(1000, claims(fd) == 256));
	/* Without a flush they leave when the loop turns. */
	memset(seen, 0, sizeof(seen));
	assert_int_equal(vip_announce_send(announce, 7), 0);
	sleep_ms(5);
	assert_int_equal(claims(fd), 0);
	for (i = 0; i < 10; i++)
		sd_event_run(loop_event(loop), 1000);
	assert_true(WAIT_FOR(1000, claims(fd) == 1));
	vip_announce_free(announce);
	vip_addr_free(addr);
	loop_free(loop);
	enter(hub_fd);
	close(fd);
}

/* The kernel removes a subnet's addresses with the first one; had must not. */
static void
test_subnet_outlives_its_first(void **state)
{
	static const struct vip_addr_conf three[] = {
	    {"a", 4, {10, 7, 0, 1}, 24, "eth0"},
	    {"b", 4, {10, 7, 0, 2}, 24, "eth0"},
	    {"c", 4, {10, 7, 0, 3}, 24, "eth0"},
	};
	static const struct vip_addr_cb acb = {count_lost, nothing_moved};
	struct vip_addr *addr;
	struct loop *loop;
	char err[200] = "";
	int i, lost = 0;

	(void)state;
	NEED_WORLD();
	run_in(ALPHA, "echo 0 >/proc/sys/net/ipv4/conf/all/promote_secondaries;"
		      "echo 0 >/proc/sys/net/ipv4/conf/eth0/"
		      "promote_secondaries");
	enter(spaces[ALPHA].fd);
	loop = loop_new();
	addr = vip_addr_new(
	    loop_event(loop), three, 3, NULL, 0, &acb, &lost, err, sizeof(err));
	enter(hub_fd);
	assert_string_equal(err, "");
	for (i = 0; i < 3; i++)
		assert_int_equal(vip_addr_add(addr, (uint16_t)i), 0);
	assert_int_equal(vip_addr_del(addr, 0), 1);
	for (i = 0; i < 10; i++)
		sd_event_run(loop_event(loop), 1000);
	assert_int_equal(
	    run_in(ALPHA, "test $(ip -o addr show dev eth0 | grep -c "
			  "'10.7.0.[23]/24') = 2"),
	    0);
	assert_int_equal(lost, 0);
	/* Somebody else's hand is something else. */
	run_in(ALPHA, "ip addr del 10.7.0.3/24 dev eth0");
	for (i = 0; i < 10; i++)
		sd_event_run(loop_event(loop), 1000);
	assert_int_equal(lost, 1);
	assert_int_equal(vip_addr_del(addr, 1), 1);
	assert_int_equal(vip_addr_del(addr, 2), 0);
	vip_addr_free(addr);
	loop_free(loop);
}

/* After a reload another one watches what was put there before. */
static void
test_another_one_watches(void **state)
{
	static const struct vip_addr_conf three[3] = {
	    {"a", 4, {10, 7, 0, 1}, 24, "eth0"},
	    {"b", 4, {10, 7, 0, 2}, 24, "eth0"},
	    {"c", 4, {10, 7, 0, 3}, 24, "eth0"},
	};
	static const struct vip_addr_cb acb = {count_lost, nothing_moved};
	struct vip_addr *old, *addr;
	struct loop *loop;
	char err[200] = "";
	int i, lost = 0;

	(void)state;
	NEED_WORLD();
	enter(spaces[ALPHA].fd);
	loop = loop_new();
	old = vip_addr_new(
	    loop_event(loop), three, 2, NULL, 0, &acb, &lost, err, sizeof(err));
	assert_non_null(old);
	assert_int_equal(vip_addr_add(old, 1), 0);
	addr = vip_addr_new(
	    loop_event(loop), three, 3, NULL, 0, &acb, &lost, err, sizeof(err));
	enter(hub_fd);
	assert_string_equal(err, "");
	vip_addr_adopt(addr, old);
	vip_addr_free(old);
	for (i = 0; i < 10; i++)
		sd_event_run(loop_event(loop), 1000);
	assert_int_equal(lost, 0);
	assert_true(vip_addr_present(addr, 1));
	run_in(ALPHA, "ip addr del 10.7.0.2/24 dev eth0");
	for (i = 0; i < 10; i++)
		sd_event_run(loop_event(loop), 1000);
	assert_int_equal(lost, 1);
	assert_int_equal(vip_addr_del(addr, 1), 0);
	vip_addr_free(addr);
	loop_free(loop);
}

/* An argument picks tests by name, with * and ?. */
int
main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_teardown(test_##name, world_clean)
	const struct CMUnitTest tests[] = {
	    T(planned_move),
	    T(killed),
	    T(frozen_and_thawed),
	    T(both_want_it_one_is_entitled),
	    T(announcement_moves_neighbours),
	    T(conflict_is_answered),
	    T(stripped_is_put_back),
	    T(leftovers_go_wherever_they_are),
	    T(carrier_is_told),
	    T(never_a_source),
	    T(256_at_once),
	    T(subnet_outlives_its_first),
	    T(another_one_watches),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, world_up, world_down);
}
