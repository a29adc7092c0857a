/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual hardware addresses in a real kernel: the interfaces, and that with
 * the guard an address is only ever seen with the one that it has.
 */
#include "vip_net.h"
#include "vr_mac.h"

#include <linux/if_packet.h>

#define MAC4 "00:00:5e:00:01:33"
#define MAC6 "00:00:5e:00:02:33"
static const uint8_t mac4[6] = {0, 0, 0x5e, 0, 1, 0x33};
static const uint8_t mac6[6] = {0, 0, 0x5e, 0, 2, 0x33};
static const uint8_t mac7[6] = {0, 0, 0x5e, 0, 1, 7};
static const uint8_t vip4[4] = {10, 9, 0, 80};

static const struct vip_addr_conf mac_addrs[] = {
    {.name = "not ours"},
    {"vr4", 4, {10, 9, 0, 80}, 24, "had51-4.0", true, {0, 0, 0x5e, 0, 1, 0x33}},
    {"vr6", 6, {0xfd, 0x09, [15] = 0x80}, 64, "had51-6.0", true,
	{0, 0, 0x5e, 0, 2, 0x33}},
    {"deaf4", 4, {10, 9, 0, 81}, 24, "had51-4.0", true,
	{0, 0, 0x5e, 0, 1, 0x33}, true},
    {"deaf6", 6, {0xfd, 0x09, [15] = 0x81}, 64, "had51-6.0", true,
	{0, 0, 0x5e, 0, 2, 0x33}, true},
};
enum { VR4 = 1, VR6, DEAF4, DEAF6, N_ADDRS };

/* One machine, in this process; its clothes are in alpha's namespace. */
static struct loop *loop;
static struct vrm *vrm;
static struct vip_guard *guard;
static struct vip_addr *addr;
static struct vip_announce *announce;
static char err[200];
static char lost[128];
static int n_lost, n_flushed;

static void
cb_mac_lost(void *ctx, const char *name, bool ok, const char *text)
{
	(void)ctx;
	snprintf(lost, sizeof(lost), "%s %d %s", name, ok, text);
	n_lost++;
}

static void
cb_guard_flushed(void *ctx, bool ok, const char *text)
{
	(void)ctx, (void)ok, (void)text;
	n_flushed++;
}

static void
cb_addr_lost(void *ctx, uint16_t id)
{
	(void)ctx, (void)id;
}

static void
cb_wire(void *ctx, const char *ifname, bool up)
{
	(void)ctx, (void)ifname, (void)up;
}

static void
cb_claimed(void *ctx, uint16_t id, const uint8_t mac[6])
{
	(void)ctx, (void)id, (void)mac;
}

static const struct vrm_cb mac_cb = {cb_mac_lost};

/* The loop's turns in alpha, until cond or ms are over. */
#define TURN_UNTIL(ms, cond) \
	({ \
		int64_t end_ = now_us() + us(ms); \
		enter(spaces[ALPHA].fd); \
		while (!(cond) && now_us() < end_) \
			sd_event_run(loop_event(loop), 2000); \
		enter(hub_fd); \
		(cond); \
	})

static bool
mac_start(void)
{
	enter(spaces[ALPHA].fd);
	loop = loop_new();
	vrm = vrm_new(loop_event(loop), &mac_cb, NULL, err, sizeof(err));
	enter(hub_fd);
	return vrm != NULL;
}

static int
mac_add(const char *parent, const char *name, const uint8_t mac[6], int family)
{
	int r, saved;

	enter(spaces[ALPHA].fd);
	r = vrm_add(vrm, parent, name, mac, (uint8_t)family);
	saved = errno;
	enter(hub_fd);
	errno = saved;
	return r;
}

static int
machine_down(void **state)
{
	if (hub_fd < 0)
		return 0;
	enter(spaces[ALPHA].fd);
	if (announce != NULL)
		vip_announce_free(announce);
	if (addr != NULL)
		vip_addr_free(addr);
	if (guard != NULL)
		vip_guard_free(guard, true);
	if (vrm != NULL)
		vrm_free(vrm);
	if (loop != NULL)
		loop_free(loop);
	enter(hub_fd);
	announce = NULL;
	addr = NULL;
	guard = NULL;
	vrm = NULL;
	loop = NULL;
	n_lost = n_flushed = 0;
	err[0] = lost[0] = '\0';
	return world_clean(state);
}

static void
test_names(void **state)
{
	char name[16];

	(void)state;
	vrm_name(name, 51, 4, 12);
	assert_string_equal(name, "had51-4.12");
	vrm_name(name, 255, 6, 999999);
	assert_string_equal(name, "had255-6.999999");
}

#define ALPHA_HAS(cmd) (run_in(ALPHA, cmd) == 0)

static void
test_interface_is_as_it_should_be(void **state)
{
	static const char *const settings =
	    "cat /proc/sys/net/ipv?/conf/eth0/* 2>/dev/null | sha1sum";
	unsigned index;

	(void)state;
	NEED_WORLD();
	assert_int_equal(
	    run_in(ALPHA, "%s >/tmp/.vr_mac_test.%d", settings, getpid()), 0);
	assert_true(mac_start());
	assert_int_equal(mac_add("eth0", "had51-4.0", mac4, 4), 0);
	assert_int_equal(mac_add("eth0", "had51-6.0", mac6, 6), 0);
	assert_true(ALPHA_HAS("ip -d link show had51-4.0 | tr '\\n' ' ' | grep "
			      "'<.*UP.*macvlan mode private'"
			      " | grep 'alias had: ' | grep -q " MAC4));
	assert_true(ALPHA_HAS("ip -d link show had51-6.0 | tr '\\n' ' ' | grep "
			      "'addrgenmode none' | grep -q " MAC6));
	/* It stays without addresses, whatever a router says. */
	assert_true(ALPHA_HAS(
	    "test -z \"$(ip -o addr show dev had51-4.0)$(ip -o addr show dev "
	    "had51-6.0)\""));
	assert_true(ALPHA_HAS("cd /proc/sys/net/ipv6/conf; test $(cat "
			      "had51-4.0/disable_ipv6 had51-6.0/accept_ra "
			      "had51-6.0/autoconf | tr -d '\\n') = 100"));
	assert_true(ALPHA_HAS("cd /proc/sys/net/ipv4/conf/had51-4.0; test "
			      "$(cat rp_filter arp_ignore promote_secondaries "
			      "| tr -d '\\n') = 211"));
	/* The interface below is as it was. */
	assert_int_equal(run_in(ALPHA,
			     "%s | cmp - /tmp/.vr_mac_test.%d; r=$?; rm -f "
			     "/tmp/.vr_mac_test.%d; exit $r",
			     settings, getpid(), getpid()),
	    0);
	/* Once more is the same. */
	enter(spaces[ALPHA].fd);
	index = if_nametoindex("had51-4.0");
	assert_int_equal(vrm_add(vrm, "eth0", "had51-4.0", mac4, 4), 0);
	assert_int_equal(if_nametoindex("had51-4.0"), index);
	/* With another address it is another one. */
	assert_int_equal(vrm_add(vrm, "eth0", "had51-4.0", mac6, 4), -1);
	assert_string_equal(
	    vrm_error(vrm), "had51-4.0: up: Address already in use");
	assert_int_equal(vrm_add(vrm, "eth0", "had51-4.0", mac4, 4), 0);
	assert_int_equal(vrm_add(vrm, "eth0", "had51-4.0", mac7, 4), 0);
	assert_int_not_equal(if_nametoindex("had51-4.0"), index);
	assert_int_equal(vrm_del(vrm, "had51-4.0"), 0);
	assert_int_equal(vrm_del(vrm, "had51-4.0"), 0);
	assert_int_equal(if_nametoindex("had51-4.0"), 0);
	vrm_free(vrm);
	vrm = NULL;
	assert_int_equal(if_nametoindex("had51-6.0"), 0);
	enter(hub_fd);
}

static void
test_refusals_name_the_reason(void **state)
{
	(void)state;
	NEED_WORLD();
	assert_int_equal(
	    run_in(ALPHA, "ip link add had7-4.0 link eth0 type macvlan"), 0);
	assert_true(mac_start());
	assert_int_equal(mac_add("eth9", "had51-4.0", mac4, 4), -1);
	assert_int_equal(errno, ENODEV);
	assert_string_equal(vrm_error(vrm), "had51-4.0: eth9: No such device");
	/* A stranger's interface is not touched. */
	assert_int_equal(mac_add("eth0", "had7-4.0", mac4, 4), -1);
	assert_int_equal(errno, EEXIST);
	assert_string_equal(vrm_error(vrm), "had7-4.0: create: File exists");
	assert_false(ALPHA_HAS("ip link show had7-4.0 | grep -q alias"));
	assert_int_equal(mac_add("lo", "had51-4.0", mac4, 4), -1);
	assert_non_null(strstr(vrm_error(vrm), "had51-4.0: create: "));
	assert_true(ALPHA_HAS("ip link del had7-4.0"));
}

/* What a dead daemon left goes; what is somebody else's stays. */
static void
test_leftovers_go(void **state)
{
	(void)state;
	NEED_WORLD();
	assert_true(ALPHA_HAS(
	    "ip link add had51-4.0 link eth0 type macvlan && ip link set "
	    "had51-4.0 alias 'had: virtual address on eth0' && ip link add "
	    "theirs link eth0 type macvlan && ip link set theirs alias "
	    "'not had: '"));
	assert_true(mac_start());
	assert_false(ALPHA_HAS("ip link show had51-4.0 2>/dev/null"));
	assert_true(ALPHA_HAS("ip link del theirs"));
}

/* Somebody removes it, or the interface below: it comes back. */
static void
test_removed_comes_back(void **state)
{
	(void)state;
	NEED_WORLD();
	assert_true(mac_start());
	assert_int_equal(mac_add("eth0", "had51-4.0", mac4, 4), 0);
	assert_true(ALPHA_HAS("ip link del had51-4.0"));
	assert_true(TURN_UNTIL(100, n_lost == 1));
	assert_string_equal(lost, "had51-4.0 1 ");
	assert_true(ALPHA_HAS("ip link show had51-4.0 | grep -q " MAC4));
	assert_int_equal(run_in(-1, "ip link del p0"), 0);
	assert_true(TURN_UNTIL(2000, n_lost >= 2));
	assert_string_equal(
	    lost, "had51-4.0 0 had51-4.0: eth0: No such device");
	space_cable(ALPHA);
	assert_true(TURN_UNTIL(5000, strcmp(lost, "had51-4.0 1 ") == 0));
	assert_true(ALPHA_HAS("ip link show had51-4.0 | grep -q " MAC4));
}

/* Everything on the wire, at the client. */
static int
ears_open(void)
{
	struct sockaddr_ll ll = {
	    .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd;

	enter(spaces[CLIENT].fd);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	ll.sll_ifindex = (int)if_nametoindex("eth0");
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	enter(hub_fd);
	return fd;
}

/* What alpha sent: from which hardware address, about which service's. */
struct heard {
	unsigned virtual; /* frames from a virtual one */
	unsigned adverts;
	unsigned services; /* frames of a service address */
	unsigned wrong; /* of those, from or with a wrong one */
	unsigned asked; /* ARP requests in the name of the primary one */
};

static void
hear_arp(struct heard *h, const uint8_t *f)
{
	static const uint8_t primary[4] = {10, 9, 0, 1};

	if (memcmp(f + 28, vip4, 4) == 0) {
		h->services++;
		h->wrong += memcmp(f + 22, mac4, 6) != 0;
	}
	h->asked += f[21] == 1 && memcmp(f + 28, primary, 4) == 0;
}

static void
hear(struct heard *h, const uint8_t *f)
{
	const uint8_t *ip6 = mac_addrs[VR6].bytes;
	bool v = memcmp(f + 6, mac4, 6) == 0 || memcmp(f + 6, mac6, 6) == 0;

	if (!v && memcmp(f + 6, spaces[ALPHA].mac, 6) != 0)
		return;
	h->virtual += v;
	if (f[12] == 8 && f[13] == 6)
		hear_arp(h, f);
	else if (f[12] == 8 && f[13] == 0) {
		h->adverts += f[23] == 112;
		if (memcmp(f + 26, vip4, 4) == 0 && f[23] != 112) {
			h->services++;
			h->wrong += memcmp(f + 6, mac4, 6) != 0;
		}
	} else if (f[12] == 0x86 && memcmp(f + 22, ip6, 16) == 0) {
		h->services++;
		h->wrong += memcmp(f + 6, mac6, 6) != 0;
		/* A neighbour advertisement's option. */
		if (f[20] == 58 && f[54] == 136)
			h->wrong += memcmp(f + 80, mac6, 6) != 0;
	}
}

static struct heard
ears_close(int fd)
{
	struct heard h = {0};
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	uint8_t f[2048];

	memset(f, 0, sizeof(f));
	while (recvfrom(fd, f, sizeof(f), MSG_DONTWAIT,
		   (struct sockaddr *)&from, &len) > 0) {
		if (from.sll_pkttype != PACKET_OUTGOING)
			hear(&h, f);
		len = sizeof(from);
		memset(f, 0, sizeof(f));
	}
	close(fd);
	return h;
}

/* Interfaces, the closed guard, and the addresses behind it. */
static void
machine_up(void)
{
	static const struct vip_guard_cb gcb = {cb_guard_flushed};
	static const struct vip_addr_cb acb = {cb_addr_lost, cb_wire};
	static const struct vip_announce_cb ncb = {cb_claimed};
	static const char below[1][16] = {"eth0"};
	static const uint8_t primary[4] = {10, 9, 0, 1};
	/* The bridge takes its time. */
	assert_true(WAIT_FOR(5000, arp_who(primary, 50) == 0xa));
	struct vip_guard_conf gc = {
	    mac_addrs, N_ADDRS, below, 1, VIP_GUARD_ROUTER};
	sd_event *e;
	uint16_t i;

	assert_true(mac_start());
	e = loop_event(loop);
	enter(spaces[ALPHA].fd);
	guard = vip_guard_new(e, &gc, &gcb, NULL, err, sizeof(err));
	enter(hub_fd);
	assert_string_equal(err, "");
	assert_non_null(guard);
	assert_int_equal(mac_add("eth0", "had51-4.0", mac4, 4), 0);
	assert_int_equal(mac_add("eth0", "had51-6.0", mac6, 6), 0);
	enter(spaces[ALPHA].fd);
	addr = vip_addr_new(
	    e, mac_addrs, N_ADDRS, below, 1, &acb, NULL, err, sizeof(err));
	announce = vip_announce_new(
	    e, mac_addrs, N_ADDRS, &ncb, NULL, err, sizeof(err));
	enter(hub_fd);
	assert_non_null(addr);
	assert_non_null(announce);
	for (i = VR4; i < N_ADDRS; i++)
		assert_int_equal(vip_addr_add(addr, i), 0);
	assert_int_equal(vip_guard_primary(guard, "eth0", primary), 0);
}

static void
lease_all(int ms)
{
	struct vip_set open = {{0}};
	uint16_t i;

	for (i = VR4; i < N_ADDRS; i++)
		vip_set_add(&open, i);
	if (ms == 0)
		memset(&open, 0, sizeof(open));
	assert_int_equal(
	    vip_guard_lease(guard, &open, mt_add_ms(loop_now(), ms)), 0);
}

static bool
ping(const char *to)
{
	return run_in(CLIENT, "ping -c1 -W1 -q %s >/dev/null 2>&1", to) == 0;
}

static bool
knows(const char *to, const char *mac)
{
	char got[32];

	client_neigh(to, got, sizeof(got));
	return strcmp(got, mac) == 0;
}

/* Not a single frame of a backup's virtual hardware address gets out. */
static void
test_backup_is_silent_and_deaf(void **state)
{
	struct heard h;
	int fd;

	(void)state;
	NEED_WORLD();
	fd = ears_open();
	machine_up();
	assert_int_equal(arp_who(vip4, 50), 0);
	assert_false(ping(VIP6));
	/* Multicast reports are repeated within a second. */
	sleep_ms(1200);
	/* Nor does it answer, or forward, what is sent to it. */
	assert_int_equal(run_in(CLIENT, "ip neigh replace 10.9.0.1 dev eth0 "
					"lladdr " MAC4 " nud permanent"),
	    0);
	assert_false(ping("10.9.0.1"));
	h = ears_close(fd);
	assert_int_equal(h.virtual, 0);
	assert_int_equal(h.services, 0);
	lease_all(5000);
	assert_true(WAIT_FOR(4000, ping("10.9.0.1")));
	run_in(CLIENT, "ip neigh del 10.9.0.1 dev eth0");
}

/* The master's address is never seen with another hardware address. */
static void
test_master_has_one_address(void **state)
{
	struct heard h;
	int fd;

	(void)state;
	NEED_WORLD();
	machine_up();
	lease_all(20000);
	fd = ears_open();
	assert_true(WAIT_FOR(4000, ping(VIP4)));
	assert_true(WAIT_FOR(4000, ping(VIP6)));
	assert_true(knows(VIP4, MAC4));
	assert_true(knows(VIP6, MAC6));
	/* Alpha has forgotten the client, and asks for it. */
	run_in(ALPHA, "ip neigh flush all");
	assert_true(WAIT_FOR(4000, ping(VIP4)));
	assert_true(WAIT_FOR(4000, ping(VIP6)));
	assert_true(knows(VIP4, MAC4));
	assert_true(knows(VIP6, MAC6));
	assert_true(tcp_answers(VIP4, 500));
	assert_true(tcp_answers(VIP6, 500));
	h = ears_close(fd);
	assert_int_equal(h.wrong, 0);
	assert_true(h.services >= 8);
	assert_true(h.asked >= 1);
	/* Without a primary address it cannot ask. */
	run_in(CLIENT, "ip neigh flush all");
	assert_int_equal(vip_guard_primary(guard, "eth0", NULL), 0);
	assert_int_equal(vip_guard_primary(guard, "eth1", NULL), -1);
	assert_int_equal(errno, ENODEV);
	run_in(CLIENT,
	    "ip neigh replace " VIP4 " lladdr " MAC4 " dev eth0 nud permanent");
	run_in(ALPHA, "ip neigh flush all");
	assert_false(ping(VIP4));
	/* The machine's own address is as it always was. */
	assert_true(WAIT_FOR(4000, ping("10.9.0.1")));
	assert_true(WAIT_FOR(4000, ping("fd09::1")));
	lease_all(0);
	assert_int_equal(arp_who(vip4, 50), 0);
}

/* Accept_Mode off: it is resolved, and that is all. */
static void
test_no_accept(void **state)
{
	static const uint8_t deaf4[4] = {10, 9, 0, 81};

	(void)state;
	NEED_WORLD();
	machine_up();
	lease_all(20000);
	assert_int_equal(arp_who(deaf4, 500), 0x33);
	assert_false(ping("10.9.0.81"));
	assert_false(tcp_answers("10.9.0.81", 50));
	assert_false(ping("fd09::81"));
	assert_false(tcp_answers("fd09::81", 50));
	assert_true(knows("fd09::81", MAC6));
}

static void
advert_out(void)
{
	uint8_t f[46] = {0x01, 0x00, 0x5e, 0, 0, 0x12, 0, 0, 0x5e, 0, 1, 0x33,
	    8, 0, 0x45, 0xc0, 0, 32, [22] = 255, [23] = 112, 0xd0, 0x42, 10, 9,
	    0, 80, 224, 0, 0, 18, 0x31, 51};
	struct sockaddr_ll ll = {.sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_IP),
	    .sll_halen = 6};
	int fd;

	enter(spaces[ALPHA].fd);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	ll.sll_ifindex = (int)if_nametoindex("eth0");
	assert_int_equal(
	    sendto(fd, f, sizeof(f), 0, (struct sockaddr *)&ll, sizeof(ll)),
	    sizeof(f));
	close(fd);
	enter(hub_fd);
}

/*
 * Adverts pass, with virtual address and all: the farewell leaves when the
 * addresses are silent.  They open nothing.
 */
static void
test_adverts_pass_and_open_nothing(void **state)
{
	struct heard h;
	int fd;

	(void)state;
	NEED_WORLD();
	machine_up();
	fd = ears_open();
	advert_out();
	sleep_ms(5 * scale);
	h = ears_close(fd);
	assert_int_equal(h.adverts, 1);
	assert_int_equal(h.virtual, 1);
	assert_int_equal(arp_who(vip4, 50), 0);
	/* And they renew nothing. */
	lease_all(100 * scale);
	assert_int_equal(arp_who(vip4, 50), 0x33);
	for (int i = 0; i < 12; i++) {
		sleep_ms(10 * scale);
		advert_out();
	}
	assert_int_equal(arp_who(vip4, 50), 0);
}

/* The lease of the shortest interval: ten milliseconds and a bit. */
static void
test_short_lease(void **state)
{
	struct prober p;
	int64_t next, last = 0, gap = 0, from;
	unsigned i;

	(void)state;
	NEED_WORLD();
	machine_up();
	lease_all(29 * scale);
	prober_start(&p);
	from = next = now_us();
	for (i = 0; i < 100; i++) {
		lease_all(29 * scale);
		last = now_us();
		next += us(10);
		if (next > last)
			usleep((useconds_t)(next - last));
	}
	sleep_ms(60 * scale);
	prober_end(&p);
	assert_true(p.page->n > 100);
	assert_true(prober_count(&p, 0x33, from) > 100);
	assert_true(prober_last(&p, 0x33) <= last + us(29) + us(2));
	for (i = 1; i < p.page->n; i++)
		if (p.page->a[i].us - p.page->a[i - 1].us > gap)
			gap = p.page->a[i].us - p.page->a[i - 1].us;
	print_message("lease of 29 ms: longest gap %lld us, %lld us after the "
		      "last renewal\n",
	    (long long)gap, (long long)(prober_last(&p, 0x33) - last));
	prober_free(&p);
}

/* What is shorter than a tick of the kernel would be longer than asked. */
static void
test_lease_below_a_tick(void **state)
{
	struct vip_set open = {{1u << VR4}};
	uint32_t tick = vip_guard_tick_us();

	(void)state;
	NEED_WORLD();
	assert_true(tick >= 1000 && tick <= 10000);
	machine_up();
	lease_all(20000);
	assert_int_equal(
	    vip_guard_lease(guard, &open, mt_add_us(loop_now(), tick - 1)), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_int_equal(arp_who(vip4, 20), 0);
	assert_int_equal(
	    vip_guard_lease(guard, &open, mt_add_us(loop_now(), tick + 1500)),
	    0);
	sleep_ms(20 * scale);
	assert_int_equal(arp_who(vip4, 20), 0);
}

/* The guard of services and that of routers know nothing of one another. */
static void
test_two_guards(void **state)
{
	static const struct vip_guard_cb gcb = {cb_guard_flushed};
	struct vip_guard_conf gc = {
	    net_addrs + WEB6, 1, NULL, 0, VIP_GUARD_SERVICE};
	struct vip_guard_stats st;
	struct vip_set first = {{1}};
	struct vip_guard *other;
	int i;

	(void)state;
	NEED_WORLD();
	machine_up();
	enter(spaces[ALPHA].fd);
	other =
	    vip_guard_new(loop_event(loop), &gc, &gcb, NULL, err, sizeof(err));
	enter(hub_fd);
	assert_string_equal(err, "");
	assert_non_null(other);
	/* fd09::80 is in both here, so both must be open. */
	lease_all(20000);
	assert_true(WAIT_FOR(4000, ping(VIP4)));
	assert_false(ping(VIP6));
	run_in(CLIENT, "ip neigh flush all");
	assert_int_equal(
	    vip_guard_lease(other, &first, mt_add_ms(loop_now(), 20000)), 0);
	assert_true(WAIT_FOR(4000, ping(VIP6)));
	lease_all(0);
	run_in(CLIENT, "ip neigh flush all");
	assert_false(ping(VIP6));
	/* Nobody takes the other's beats for a stranger's work. */
	for (i = 0; i < 20; i++) {
		lease_all(1000);
		vip_guard_lease(other, &first, mt_add_ms(loop_now(), 1000));
	}
	TURN_UNTIL(20, false);
	assert_int_equal(n_flushed, 0);
	/* A flush is repaired by both. */
	assert_int_equal(run_in(ALPHA, "nft flush ruleset"), 0);
	assert_true(TURN_UNTIL(500, n_flushed >= 2));
	assert_true(ALPHA_HAS("nft list chain netdev had_guard judge_in | "
			      "grep -q guarded4"));
	assert_true(ALPHA_HAS("nft list chain netdev had_guard_vr judge_in | "
			      "grep -q guardedm"));
	vip_guard_stats(guard, &st);
	assert_int_equal(st.failed, 0);
	enter(spaces[ALPHA].fd);
	vip_guard_free(other, true);
	enter(hub_fd);
	assert_true(ALPHA_HAS("nft list table netdev had_guard_vr >/dev/null"));
	assert_false(ALPHA_HAS("nft list table netdev had_guard 2>/dev/null"));
}

/* An argument picks tests by name, with * and ?. */
int
main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_teardown(test_##name, machine_down)
	const struct CMUnitTest tests[] = {
	    T(names),
	    T(interface_is_as_it_should_be),
	    T(refusals_name_the_reason),
	    T(leftovers_go),
	    T(removed_comes_back),
	    T(backup_is_silent_and_deaf),
	    T(master_has_one_address),
	    T(no_accept),
	    T(adverts_pass_and_open_nothing),
	    T(short_lease),
	    T(lease_below_a_tick),
	    T(two_guards),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, world_up, world_down);
}
