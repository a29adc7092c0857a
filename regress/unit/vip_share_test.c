/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared addresses in a real kernel: two machines have one address, and each
 * client is answered by exactly one of them.
 */
#include "share.h"
#include "share_group.h"
#include "vip_net.h"

#define LOW UINT64_C(0x00000000ffffffff)
#define HIGH UINT64_C(0xffffffff00000000)
enum { SERVER_PORT = 8088, CLIENTS = 200 };

/* Clients are 10.9.1.1 to 10.9.1.200, all in the client's namespace. */

struct sharer {
	struct loop *loop;
	struct vip_guard *guard;
	struct vip_addr *addr;
	struct vip_announce *announce;
	struct share_group *group;
	struct loop_timer *beat;
	struct vip_set open;
	int cmd;
	volatile struct sharer_page {
		volatile bool up;
		volatile unsigned done, conflicts;
		char err[200];
	} * page;
};
static struct sharer_page *pages[2];

static void
no_stripped(void *ctx, uint16_t id)
{
	(void)ctx, (void)id;
}

static void
no_carrier(void *ctx, const char *ifname, bool up)
{
	(void)ctx, (void)ifname, (void)up;
}

static void
no_flushed(void *ctx, bool ok, const char *text)
{
	(void)ctx, (void)ok, (void)text;
}

static void
count_conflict(void *ctx, uint16_t id, const uint8_t mac[6])
{
	(void)id, (void)mac;
	((struct sharer *)ctx)->page->conflicts++;
}

static void
sharer_beat(void *ctx, monotime_t now)
{
	struct sharer *s = ctx;

	loop_timer_at(s->beat, mt_add_ms(now, BEAT_MS));
	(void)vip_guard_lease(s->guard, &s->open, mt_add_ms(now, LEASE_MS));
}

/* A command is the buckets to serve. */
static int
sharer_cmd(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct sharer *s = ctx;
	uint64_t buckets;

	(void)src, (void)revents;
	if (read(fd, &buckets, 8) != 8) {
		loop_exit(s->loop, 0);
		return 0;
	}
	if (vip_guard_buckets(s->guard, buckets) == 0)
		s->page->done++;
	(void)vip_announce_send(s->announce, WEB4);
	(void)vip_announce_send(s->announce, WEB6);
	return 0;
}

static int
sharer_main(struct sharer_page *page, int cmd)
{
	static const struct vip_addr_cb acb = {no_stripped, no_carrier};
	static const struct vip_guard_cb gcb = {no_flushed};
	static const struct vip_announce_cb ncb = {count_conflict};
	struct sharer s = {.page = page};
	struct vip_addr_conf a[2] = {net_addrs[WEB4], net_addrs[WEB6]};
	struct vip_guard_conf gc = {a, 2, NULL, 0, VIP_GUARD_SHARE};
	const char *name = "";
	sd_event *e;

	for (unsigned i = 0; i < 2; i++) {
		a[i].shared = true;
		a[i].prefix = a[i].family == 4 ? 16 : 64;
		share_mac(a[i].mac, a[i].family, a[i].bytes);
		vip_set_add(&s.open, (uint16_t)i);
	}
	s.loop = loop_new();
	e = loop_event(s.loop);
	s.beat = loop_timer_new(e, sharer_beat, &s);
	s.guard = vip_guard_new(e, &gc, &gcb, &s, page->err, sizeof(page->err));
	if (s.guard == NULL)
		return 1;
	s.addr = vip_addr_new(
	    e, a, 2, NULL, 0, &acb, &s, page->err, sizeof(page->err));
	s.announce =
	    vip_announce_new(e, a, 2, &ncb, &s, page->err, sizeof(page->err));
	s.group = share_group_new(a, 2);
	if (s.addr == NULL || s.announce == NULL || s.group == NULL ||
	    share_group_join(s.group, &name) != 0 ||
	    vip_addr_add(s.addr, WEB4) < 0 || vip_addr_add(s.addr, WEB6) < 0)
		return 1;
	sd_event_add_io(e, NULL, cmd, EPOLLIN, sharer_cmd, &s);
	loop_timer_at(s.beat, loop_now());
	page->up = true;
	loop_run(s.loop);
	vip_addr_del(s.addr, WEB4);
	vip_addr_del(s.addr, WEB6);
	share_group_free(s.group);
	vip_announce_free(s.announce);
	vip_addr_free(s.addr);
	vip_guard_free(s.guard, true);
	return 0;
}

static void
serve(int where, uint64_t buckets)
{
	unsigned done = pages[where]->done;

	assert_int_equal(write(spaces[where].h.cmd, &buckets, 8), 8);
	assert_true(WAIT_FOR(2000, pages[where]->done == done + 1));
}

static void
sharer_start(int where, uint64_t buckets)
{
	struct holder *h = &spaces[where].h;
	int p[2];

	if (pages[where] == NULL)
		pages[where] = mmap(NULL, sizeof(*pages[0]),
		    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(pages[where], MAP_FAILED);
	memset(pages[where], 0, sizeof(*pages[where]));
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	h->pid = fork();
	if (h->pid == 0) {
		child_init();
		close(p[1]);
		if (setns(spaces[where].fd, CLONE_NEWNET) != 0)
			_exit(2);
		_exit(sharer_main(pages[where], p[0]));
	}
	close(p[0]);
	h->cmd = p[1];
	if (!WAIT_FOR(2000,
		pages[where]->up || waitpid(h->pid, NULL, WNOHANG) == h->pid) ||
	    !pages[where]->up)
		fail_msg("%s", pages[where]->err);
	serve(where, buckets);
}

static void
sharer_end(int where, int sig)
{
	struct holder *h = &spaces[where].h;

	if (h->pid == 0)
		return;
	if (sig != 0)
		kill(h->pid, sig);
	close(h->cmd);
	waitpid(h->pid, NULL, 0);
	h->pid = 0;
}

/* Each client asks by ARP; who[i]: last byte of who answered, -1: two did. */
static void
all_ask(int who[CLIENTS])
{
	static const uint8_t vip[4] = {10, 9, 0, 80};
	static const uint8_t group[6] = {0x01, 0x00, 0x5e, 0x7f, 0, 80};
	int64_t end;
	uint8_t f[128];
	int fd = arp_socket();

	memset(who, 0, CLIENTS * sizeof(who[0]));
	for (unsigned i = 0; i < CLIENTS; i++) {
		uint8_t self[4] = {10, 9, 1, (uint8_t)(i + 1)};

		vip_arp_encode(f, VIP_ARP_REQUEST, spaces[CLIENT].mac, self);
		memset(f + 32, 0, 6);
		memcpy(f + 38, vip, 4);
		assert_int_equal(send(fd, f, VIP_ARP_LEN, 0), VIP_ARP_LEN);
	}
	end = now_us() + us(200);
	while (now_us() < end) {
		struct pollfd p = {fd, POLLIN, 0};
		unsigned i;

		if (poll(&p, 1, 20) <= 0 ||
		    recv(fd, f, sizeof(f), 0) < VIP_ARP_LEN || f[21] != 2 ||
		    memcmp(f + 28, vip, 4) != 0 || f[40] != 1)
			continue;
		i = f[41] - 1u;
		assert_true(i < CLIENTS);
		/* The group inside, the interface's own address outside. */
		assert_memory_equal(f + 22, group, 6);
		assert_int_equal(f[6] & 1, 0);
		who[i] = who[i] == 0 ? f[11] : -1;
	}
	close(fd);
}

static void
expect(const int who[CLIENTS], int only)
{
	unsigned alpha = 0, bravo = 0;

	for (unsigned i = 0; i < CLIENTS; i++) {
		if (who[i] != 0xa && who[i] != 0xb)
			fail_msg("client %u: answered by %d", i + 1, who[i]);
		if (who[i] == 0xa)
			alpha++;
		else
			bravo++;
	}
	print_message("alpha %u, bravo %u\n", alpha, bravo);
	if (only != 0)
		assert_int_equal(only == 0xa ? alpha : bravo, CLIENTS);
	else
		assert_true(alpha > CLIENTS / 3 && bravo > CLIENTS / 3);
}

/* Each namespace says its name to whoever connects. */
static pid_t
server_start(int where)
{
	struct sockaddr_in6 to = {
	    .sin6_family = AF_INET6, .sin6_port = htons(SERVER_PORT)};
	char name = (char)('a' + where);
	int l, one = 1, c;
	pid_t pid;

	enter(spaces[where].fd);
	l = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	enter(hub_fd);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(l, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(l, 64), 0);
	pid = fork();
	if (pid == 0) {
		child_init();
		for (;;) {
			c = accept(l, NULL, NULL);
			if (c >= 0 && write(c, &name, 1) == 1)
				close(c);
		}
	}
	close(l);
	return pid;
}

/* Who serves a connection from 10.9.1.k?  0: nobody. */
static char
connects(unsigned k)
{
	struct sockaddr_in from = {
	    .sin_family = AF_INET, .sin_addr = {htonl(0x0a090100 | k)}};
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(SERVER_PORT),
	    .sin_addr = {htonl(0x0a090050)}};
	struct timeval tv = {scale, 0};
	char who = 0;
	int fd;

	enter(spaces[CLIENT].fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	enter(hub_fd);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    read(fd, &who, 1) != 1)
		who = 0;
	close(fd);
	return who;
}

static int
clients_up(void **state)
{
	if (world_up(state) != 0)
		return -1;
	if (hub_fd < 0)
		return 0;
	run_in(CLIENT,
	    "for i in $(seq 1 %d); do echo addr add 10.9.1.$i/16 dev "
	    "eth0; done | ip -batch -",
	    CLIENTS);
	run_in(CLIENT,
	    "for i in $(seq 1 20); do echo addr add fd09::1:$i/64 dev "
	    "eth0 nodad; done | ip -batch -");
	/* Who asks by which address must not depend on the kernel. */
	run_in(CLIENT, "sysctl -qw net.ipv4.conf.all.arp_announce=0");
	return 0;
}

static int
sharers_clean(void **state)
{
	sharer_end(ALPHA, SIGKILL);
	sharer_end(BRAVO, SIGKILL);
	return world_clean(state);
}

static void
test_each_client_has_one_server(void **state)
{
	int first[CLIENTS], who[CLIENTS];

	(void)state;
	NEED_WORLD();
	sharer_start(ALPHA, LOW);
	sharer_start(BRAVO, HIGH);
	all_ask(first);
	expect(first, 0);
	/* It is always the same one. */
	all_ask(who);
	assert_memory_equal(who, first, sizeof(who));
	/* One dies: one batch, and the other has its clients. */
	sharer_end(BRAVO, SIGKILL);
	all_ask(who);
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_int_equal(who[i], first[i] == 0xa ? 0xa : 0);
	serve(ALPHA, SHARE_EVERY);
	all_ask(who);
	expect(who, 0xa);
	/* It returns: given up first, then taken. */
	sharer_start(BRAVO, 0);
	all_ask(who);
	expect(who, 0xa);
	serve(ALPHA, LOW);
	serve(BRAVO, HIGH);
	all_ask(who);
	assert_memory_equal(who, first, sizeof(who));
	/* A frozen one falls silent. */
	kill(spaces[ALPHA].h.pid, SIGSTOP);
	sleep_ms(LEASE_MS + 60 * scale);
	all_ask(who);
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_int_equal(who[i], first[i] == 0xb ? 0xb : 0);
	kill(spaces[ALPHA].h.pid, SIGCONT);
	/* What is shared is no conflict, and was announced. */
	assert_int_equal(pages[BRAVO]->conflicts, 0);
}

static void
test_connections(void **state)
{
	unsigned n[2] = {0, 0};
	pid_t pid[2];
	char mac[32];

	(void)state;
	NEED_WORLD();
	pid[0] = server_start(ALPHA);
	pid[1] = server_start(BRAVO);
	sharer_start(ALPHA, LOW);
	sharer_start(BRAVO, HIGH);
	for (unsigned k = 1; k <= 40; k++) {
		char who = connects(k);

		assert_true(who == 'a' || who == 'b');
		n[who - 'a']++;
	}
	print_message("connections: alpha %u, bravo %u\n", n[0], n[1]);
	assert_true(n[0] > 8 && n[1] > 8);
	client_neigh(VIP4, mac, sizeof(mac));
	assert_string_equal(mac, "01:00:5e:7f:00:50");
	/* The nodes have asked for their clients, and that taught nothing. */
	run_in(ALPHA, "ip neigh flush all");
	run_in(BRAVO, "ip neigh flush all");
	for (unsigned k = 1; k <= 10; k++)
		assert_int_not_equal(connects(k), 0);
	client_neigh(VIP4, mac, sizeof(mac));
	assert_string_equal(mac, "01:00:5e:7f:00:50");
	sharer_end(ALPHA, SIGKILL);
	serve(BRAVO, SHARE_EVERY);
	for (unsigned k = 1; k <= 40; k++)
		assert_int_equal(connects(k), 'b');
	for (unsigned i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
}

static unsigned
pings6(void)
{
	unsigned n = 0;

	for (unsigned k = 1; k <= 20; k++)
		n += run_in(CLIENT,
			 "ping -c1 -W1 -q -I fd09::1:%u " VIP6
			 " >/dev/null 2>&1",
			 k) == 0;
	return n;
}

static void
test_ipv6(void **state)
{
	char mac[32];

	(void)state;
	NEED_WORLD();
	sharer_start(ALPHA, LOW);
	sharer_start(BRAVO, HIGH);
	/* Known from one, good for all: the client's cache is one. */
	assert_int_equal(pings6(), 20);
	client_neigh(VIP6, mac, sizeof(mac));
	assert_string_equal(mac, "33:33:ff:00:00:80");
	sharer_end(BRAVO, SIGKILL);
	assert_in_range(pings6(), 1, 19);
	serve(ALPHA, SHARE_EVERY);
	client_unpin();
	assert_int_equal(pings6(), 20);
	client_neigh(VIP6, mac, sizeof(mac));
	assert_string_equal(mac, "33:33:ff:00:00:80");
}

static uint16_t
sum(const uint8_t *p, size_t len)
{
	uint32_t s = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	while (s >> 16 != 0)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

/* A router (10.9.0.100) tells that a packet to 10.9.1.k was too big. */
static void
router_reports(unsigned k)
{
	uint8_t f[14 + 20 + 8 + 28] = {0x01, 0x00, 0x5e, 0x7f, 0, 80};
	uint8_t *ip = f + 14, *icmp = ip + 20, *inner = icmp + 8;
	static const uint8_t head[] = {0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0,
	    10, 9, 0, 100, 10, 9, 0, 80};
	uint16_t s;
	int fd = arp_socket();

	memcpy(f + 6, spaces[CLIENT].mac, 6);
	f[12] = 8;
	memcpy(ip, head, sizeof(head));
	s = sum(ip, 20);
	ip[10] = (uint8_t)(s >> 8), ip[11] = (uint8_t)s;
	icmp[0] = 3, icmp[1] = 4, icmp[6] = 5, icmp[7] = 0;
	memcpy(inner, head, sizeof(head));
	/* An echo reply: every kernel believes that without a socket. */
	inner[9] = IPPROTO_ICMP;
	memcpy(inner + 12, head + 16, 4);
	inner[16] = 10, inner[17] = 9, inner[18] = 1, inner[19] = (uint8_t)k;
	s = sum(icmp, 8 + 28);
	icmp[2] = (uint8_t)(s >> 8), icmp[3] = (uint8_t)s;
	assert_int_equal(send(fd, f, sizeof(f), 0), sizeof(f));
	close(fd);
}

static bool
knows_mtu(int where, unsigned k)
{
	return run_in(where, "ip route get 10.9.1.%u | grep -q 'mtu 1280'",
		   k) == 0;
}

/* What a router says of a client's packet reaches that client's server. */
static void
test_errors_follow_the_client(void **state)
{
	int who[CLIENTS];
	unsigned alpha = 0, bravo = 0;

	(void)state;
	NEED_WORLD();
	sharer_start(ALPHA, LOW);
	sharer_start(BRAVO, HIGH);
	all_ask(who);
	for (unsigned k = 1; k <= 12; k++) {
		bool a = who[k - 1] == 0xa;

		router_reports(k);
		assert_true(WAIT_FOR(1000, knows_mtu(a ? ALPHA : BRAVO, k)));
		assert_false(knows_mtu(a ? BRAVO : ALPHA, k));
		alpha += a;
		bravo += !a;
	}
	assert_true(alpha > 0 && bravo > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(
		test_each_client_has_one_server, sharers_clean),
	    cmocka_unit_test_teardown(test_connections, sharers_clean),
	    cmocka_unit_test_teardown(test_ipv6, sharers_clean),
	    cmocka_unit_test_teardown(
		test_errors_follow_the_client, sharers_clean),
	};

	return cmocka_run_group_tests(tests, clients_up, world_down);
}
