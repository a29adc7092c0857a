/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sockets of adverts in a real kernel: what comes through, when, and what
 * is told of the interfaces.
 */
#include "vip_net.h"
#include "vr_sock.h"

enum { ETH0, ETH7, N_IFS };

static const struct vrs_iface_conf ifs[N_IFS] = {
    {"eth0", true, true, true}, {"eth7", true, true, false}};
/* Bravo, by both families, on the first; on the other the client. */
static const struct vrs_addr peers[] = {
    {ETH0, 4, {10, 9, 0, 2}},
    {ETH0, 6, {0xfd, 0x09, [15] = 2}},
    {ETH7, 4, {10, 9, 0, 100}},
};
static const struct vrs_addr own[] = {{ETH0, 4, {10, 9, 0, 80}},
    {VRS_NO_IFACE, 4, {10, 9, 0, 8}},
    {ETH0, 6, {0xfd, 0x09, [13] = 0xab, 0xcd, 0xef}},
    {ETH0, 6, {0xfd, 0x0a, [13] = 0xab, 0xcd, 0xef}},
    {VRS_NO_IFACE, 6, {0xfd, 0x09, [13] = 0xab, 0xcd, 0xee}}};

static struct loop *loop;
static struct vrs *vrs;
static int n_packets, n_told[N_IFS];
static struct vrs_iface told[N_IFS];
static struct {
	uint16_t iface;
	uint8_t mac[6], ip[128];
	size_t len;
	monotime_t received;
} last;

static void
cb_packets(void *ctx, uint16_t id, const struct vrs_packet *p, unsigned n)
{
	assert_ptr_equal(ctx, &last);
	assert_true(n > 0);
	for (; n > 0; n--, p++) {
		n_packets++;
		last.iface = id;
		last.len = p->len;
		last.received = p->received;
		memcpy(last.mac, p->src_mac, 6);
		memcpy(last.ip, p->ip,
		    p->len < sizeof(last.ip) ? p->len : sizeof(last.ip));
	}
}

static void
cb_iface(void *ctx, uint16_t id, const struct vrs_iface *facts)
{
	assert_ptr_equal(ctx, &last);
	n_told[id]++;
	told[id] = *facts;
}

#define TURN_UNTIL(ms, cond) \
	({ \
		int64_t end_ = now_us() + us(ms); \
		enter(spaces[ALPHA].fd); \
		while (!(cond) && now_us() < end_) \
			sd_event_run(loop_event(loop), 2000); \
		enter(hub_fd); \
		(cond); \
	})

static struct vrs *
vrs_make(void)
{
	static const struct vrs_cb cb = {cb_packets, cb_iface};
	const struct vrs_conf conf = {
	    ifs, N_IFS, peers, NITEMS(peers), own, NITEMS(own)};
	char err[200] = "";
	struct vrs *v;

	enter(spaces[ALPHA].fd);
	v = vrs_new(loop_event(loop), &conf, &cb, &last, err, sizeof(err));
	enter(hub_fd);
	assert_string_equal(err, "");
	assert_non_null(v);
	return v;
}

static void
up(void)
{
	loop = loop_new();
	vrs = vrs_make();
	/* From inside vrs_new nothing is told. */
	assert_int_equal(n_told[ETH0] + n_told[ETH7], 0);
	assert_true(TURN_UNTIL(
	    4000, n_told[ETH0] > 0 && told[ETH0].has6 && told[ETH0].carrier));
}

static int
down(void **state)
{
	if (vrs != NULL)
		vrs_free(vrs);
	if (loop != NULL)
		loop_free(loop);
	vrs = NULL;
	loop = NULL;
	n_packets = 0;
	memset(n_told, 0, sizeof(n_told));
	if (hub_fd >= 0)
		run_in(ALPHA, "ip link del eth7 2>/dev/null");
	return world_clean(state);
}

/* Another machine's frames. */

static int
wire(int where)
{
	struct sockaddr_ll ll = {.sll_family = AF_PACKET};
	int fd;

	enter(spaces[where].fd);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	ll.sll_ifindex = (int)if_nametoindex("eth0");
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	enter(hub_fd);
	return fd;
}

static void
sum4(uint8_t *f)
{
	uint32_t sum = 0;
	int i;

	f[24] = f[25] = 0;
	for (i = 14; i < 34; i += 2)
		sum += (uint32_t)(f[i] << 8 | f[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	f[24] = (uint8_t)(~sum >> 8);
	f[25] = (uint8_t)~sum;
}

static size_t
frame4(uint8_t *f, int from, const char *to, uint8_t proto)
{
	static const uint8_t head[] = {0x45, 0xc0, 0, 32, 0, 0, 0, 0, 255};

	memset(f, 0, 46);
	memcpy(f, (uint8_t[6]){0x01, 0x00, 0x5e, 0, 0, 0x12}, 6);
	memcpy(f + 6, spaces[from].mac, 6);
	f[12] = 8;
	memcpy(f + 14, head, sizeof(head));
	f[23] = proto;
	memcpy(f + 26,
	    (uint8_t[4]){10, 9, 0, (uint8_t)(from == CLIENT ? 100 : 1 + from)},
	    4);
	inet_pton(AF_INET, to, f + 30);
	if (f[30] < 224)
		memcpy(f, spaces[ALPHA].mac, 6);
	sum4(f);
	return 46;
}

static size_t
frame6(uint8_t *f, const char *from, const char *to, uint8_t next)
{
	memset(f, 0, 14 + 40 + 24);
	memcpy(f, (uint8_t[6]){0x33, 0x33, 0, 0, 0, 0x12}, 6);
	memcpy(f + 6, spaces[BRAVO].mac, 6);
	f[12] = 0x86;
	f[13] = 0xdd;
	f[14] = 0x60;
	f[19] = 24;
	f[20] = next;
	f[21] = 255;
	inet_pton(AF_INET6, from, f + 22);
	inet_pton(AF_INET6, to, f + 38);
	if (f[38] != 0xff)
		memcpy(f, spaces[ALPHA].mac, 6);
	return 14 + 40 + 24;
}

/* True if the frame comes through; a good one follows it, as the end. */
static bool
comes(int where, const uint8_t *f, size_t len)
{
	uint8_t end[64];
	int fd = wire(where), before = n_packets;
	bool came;

	assert_int_equal(send(fd, f, len, 0), (ssize_t)len);
	came = TURN_UNTIL(30, n_packets > before);
	frame4(end, where, "224.0.0.18", 112);
	end[34] = 0xee;
	assert_int_equal(send(fd, end, 46, 0), 46);
	if (came) {
		assert_int_equal(n_packets, before + 1);
		assert_int_equal(last.len, len - 14);
		assert_memory_equal(last.ip, f + 14, len - 14);
		assert_memory_equal(last.mac, f + 6, 6);
		assert_int_equal(last.iface, ETH0);
		assert_true(last.received.us <= now_us());
		assert_true(last.received.us > now_us() - us(500));
	}
	assert_true(TURN_UNTIL(2000, n_packets > before + came));
	assert_int_equal(last.ip[20], 0xee);
	close(fd);
	return came;
}

static void
test_what_comes_through(void **state)
{
	uint8_t f[128];

	(void)state;
	NEED_WORLD();
	up();
	assert_true(comes(BRAVO, f, frame4(f, BRAVO, "224.0.0.18", 112)));
	assert_true(comes(CLIENT, f, frame4(f, CLIENT, "224.0.0.18", 112)));
	assert_true(comes(BRAVO, f, frame6(f, "fe80::b", "ff02::12", 112)));
	/* By unicast only from peers. */
	assert_true(comes(BRAVO, f, frame4(f, BRAVO, "10.9.0.1", 112)));
	assert_true(comes(BRAVO, f, frame6(f, "fd09::2", "fd09::1", 112)));
	assert_false(comes(CLIENT, f, frame4(f, CLIENT, "10.9.0.1", 112)));
	assert_false(comes(BRAVO, f, frame6(f, "fd09::3", "fd09::1", 112)));
	/* Other groups and other protocols. */
	assert_false(comes(CLIENT, f, frame4(f, CLIENT, "224.0.0.5", 112)));
	assert_false(comes(CLIENT, f, frame6(f, "fe80::b", "ff02::5", 112)));
	assert_false(comes(BRAVO, f, frame4(f, BRAVO, "224.0.0.18", 17)));
	assert_false(comes(BRAVO, f, frame6(f, "fe80::b", "ff02::12", 58)));
	/* What another machine gets. */
	frame4(f, BRAVO, "10.9.0.1", 112);
	f[5] = 0x77;
	assert_int_equal(run_in(ALPHA, "ip link set eth0 promisc on"), 0);
	assert_false(comes(BRAVO, f, 46));
	assert_int_equal(run_in(ALPHA, "ip link set eth0 promisc off"), 0);
}

/* The kernel's stamp counts, not when this process came to read. */
static void
test_stamp_is_of_the_arrival(void **state)
{
	uint8_t f[64];
	int64_t sent;
	int fd, i;

	(void)state;
	NEED_WORLD();
	up();
	fd = wire(BRAVO);
	frame4(f, BRAVO, "224.0.0.18", 112);
	/* The kernel begins to stamp some time after it was asked to. */
	for (i = 1; i <= 20; i++) {
		sent = now_us();
		assert_int_equal(send(fd, f, 46, 0), 46);
		sleep_ms(80);
		vrs_read(vrs);
		assert_int_equal(n_packets, i);
		assert_true(last.received.us >= sent - 1000);
		if (last.received.us < sent + us(40))
			break;
	}
	close(fd);
	assert_true(i <= 20);
}

static void
test_groups_are_joined(void **state)
{
	(void)state;
	NEED_WORLD();
	up();
	assert_int_equal(run_in(ALPHA, "grep -qi 120000E0 /proc/net/igmp"), 0);
	assert_int_equal(run_in(ALPHA, "grep eth0 /proc/net/igmp6 | grep -q "
				       "ff020000000000000000000000000012"),
	    0);
	assert_int_equal(
	    run_in(ALPHA, "grep eth0 /proc/net/dev_mcast | grep 01005e000012 | "
			  "grep -v ' 1 ' | grep -q ' 2 '"),
	    0);
	assert_int_equal(
	    run_in(ALPHA, "test $(grep eth0 /proc/net/igmp6 | grep -c "
			  "ff0200000000000000000001ffabcde[ef]) = 1"),
	    0);
	vrs_free(vrs);
	vrs = NULL;
	assert_int_not_equal(
	    run_in(ALPHA, "grep -qi 120000E0 /proc/net/igmp"), 0);
}

/* Does the sender of an advert by unicast get an error back? */
static bool
icmp_error(void)
{
	uint8_t f[128], got[256];
	struct sockaddr_ll ll = {
	    .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	int fd = wire(CLIENT);
	int64_t end = now_us() + us(60);
	bool found = false;
	ssize_t n;

	enter(spaces[CLIENT].fd);
	ll.sll_ifindex = (int)if_nametoindex("eth0");
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	enter(hub_fd);
	frame4(f, CLIENT, "10.9.0.1", 112);
	assert_int_equal(send(fd, f, 46, 0), 46);
	while (now_us() < end) {
		n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
		if (n < 0)
			usleep(500);
		else if (n > 34 && got[23] == 1 && got[34] == 3)
			found = true;
	}
	close(fd);
	return found;
}

static void
test_unicast_gets_no_error(void **state)
{
	(void)state;
	NEED_WORLD();
	run_in(CLIENT, "ping -c1 -W1 -q 10.9.0.1 >/dev/null");
	assert_true(icmp_error());
	up();
	run_in(ALPHA, "echo 0 >/proc/sys/net/ipv4/icmp_ratelimit");
	assert_false(icmp_error());
	assert_int_equal(n_packets, 0);
}

static void
test_facts(void **state)
{
	static const uint8_t a4[4] = {10, 9, 0, 1}, b4[4] = {10, 8, 0, 1};
	int n;

	(void)state;
	NEED_WORLD();
	run_in(ALPHA, "ip addr del 10.9.0.1/24 dev eth0; ip addr add "
		      "10.9.0.8/24 dev eth0; ip addr add 10.9.0.1/24 dev eth0");
	up();
	assert_true(told[ETH0].exists && told[ETH0].up && told[ETH0].has4);
	assert_true(told[ETH0].has_mac);
	assert_memory_equal(told[ETH0].mac, spaces[ALPHA].mac, 6);
	/* Not the service's, although that is the first. */
	assert_memory_equal(told[ETH0].addr4, a4, 4);
	assert_int_equal(told[ETH0].addr6[0], 0xfe);
	assert_int_equal(told[ETH0].mtu, 1500);
	assert_int_equal(n_told[ETH7], 1);
	assert_false(told[ETH7].exists);
	assert_memory_equal(
	    vrs_iface(vrs, ETH0), &told[ETH0], sizeof(told[ETH0]));
	/* What does not concern it is not told. */
	n = n_told[ETH0];
	run_in(ALPHA,
	    "ip addr add 10.9.0.80/24 dev eth0; ip addr add "
	    "fe80::200:5eff:fe00:133/64 dev eth0 nodad; ip addr add "
	    "fd77::1/64 dev eth0; ip link add dummy1 type veth peer name "
	    "dummy2; ip addr add 10.7.0.1/24 dev dummy1; ip link del dummy1");
	assert_false(TURN_UNTIL(50, n_told[ETH0] > n));
	/* One change, one call. */
	run_in(ALPHA, "ip link set eth0 mtu 1400");
	assert_true(TURN_UNTIL(500, told[ETH0].mtu == 1400));
	assert_false(TURN_UNTIL(50, n_told[ETH0] > n + 1));
	/* The kernel has a subnet's second address after all firsts. */
	run_in(ALPHA, "ip addr add 10.8.0.1/24 dev eth0");
	assert_true(TURN_UNTIL(500, memcmp(told[ETH0].addr4, b4, 4) == 0));
	run_in(ALPHA, "ip addr del 10.8.0.1/24 dev eth0");
	assert_true(TURN_UNTIL(500, memcmp(told[ETH0].addr4, a4, 4) == 0));
	run_in(ALPHA, "ip addr flush dev eth0 to 10.9.0.0/24");
	assert_true(TURN_UNTIL(500, !told[ETH0].has4));
	run_in(ALPHA, "ip addr flush dev eth0 to fe80::/10");
	assert_true(TURN_UNTIL(500, !told[ETH0].has6));
	/* Tentative ones do not count; that ends after a second or two. */
	run_in(ALPHA, "ip addr add fe80::a/64 dev eth0");
	assert_true(TURN_UNTIL(5000, told[ETH0].has6));
	assert_int_equal(told[ETH0].addr6[15], 0xa);
	run_in(-1, "ip link set p0 down");
	assert_true(TURN_UNTIL(500, !told[ETH0].carrier));
	assert_true(told[ETH0].up);
	run_in(-1, "ip link set p0 up");
	assert_true(TURN_UNTIL(500, told[ETH0].carrier));
	run_in(ALPHA, "ip addr flush dev eth0; ip link set eth0 mtu 1500; "
		      "ip addr add 10.9.0.1/24 dev eth0; ip addr add "
		      "fd09::1/64 dev eth0 nodad; ip addr add fe80::a/64 "
		      "dev eth0 nodad");
}

/* An interface that comes later is listened on; one made anew, too. */
static void
test_interface_comes_and_goes(void **state)
{
	static const char *const make =
	    "ip link add eth7 type veth peer name eth8 && ip link set eth8 up "
	    "&& ip link set eth7 up";
	struct sockaddr_ll ll = {.sll_family = AF_PACKET};
	uint8_t f[64];
	int fd, round;

	(void)state;
	NEED_WORLD();
	up();
	for (round = 0; round < 2; round++) {
		n_packets = 0;
		vrs_send(vrs, ETH7, f, 46);
		assert_int_equal(run_in(ALPHA, "%s", make), 0);
		assert_true(TURN_UNTIL(1000, told[ETH7].carrier));
		enter(spaces[ALPHA].fd);
		fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
		ll.sll_ifindex = (int)if_nametoindex("eth8");
		enter(hub_fd);
		assert_int_equal(
		    bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
		/* It has no multicast, but a peer. */
		frame4(f, BRAVO, "224.0.0.18", 112);
		assert_int_equal(send(fd, f, 46, 0), 46);
		frame4(f, CLIENT, "10.9.0.1", 112);
		memset(f, 0xff, 6);
		assert_int_equal(send(fd, f, 46, 0), 46);
		assert_true(TURN_UNTIL(1000, n_packets > 0));
		assert_int_equal(n_packets, 1);
		assert_int_equal(last.iface, ETH7);
		close(fd);
		assert_int_equal(run_in(ALPHA, "ip link del eth7"), 0);
		assert_true(TURN_UNTIL(1000, !told[ETH7].exists));
	}
}

static unsigned
frames_at(int fd)
{
	uint8_t f[128];
	unsigned n = 0;

	while (recv(fd, f, sizeof(f), MSG_DONTWAIT) > 0)
		n += f[23] == 112;
	return n;
}

/* After a burst a socket rests, and then hears what came meanwhile. */
static void
test_bursts(void **state)
{
	struct vrs_stats s;
	uint8_t f[64];
	int fd, i, round;

	(void)state;
	NEED_WORLD();
	up();
	fd = wire(BRAVO);
	frame4(f, BRAVO, "224.0.0.18", 112);
	for (round = 1; round <= 3; round++) {
		for (i = 0; i < 20; i++)
			assert_int_equal(send(fd, f, 46, 0), 46);
		assert_true(TURN_UNTIL(2000, n_packets == round * 21 - 1));
		vrs_stats(vrs, &s);
		assert_true(s.rests >= (unsigned)round);
		assert_int_equal(send(fd, f, 46, 0), 46);
		/* Before a timeout it is asked all the same. */
		if (round == 2) {
			enter(spaces[ALPHA].fd);
			vrs_read(vrs);
			enter(hub_fd);
			assert_int_equal(n_packets, round * 21);
		}
		assert_true(TURN_UNTIL(2000, n_packets == round * 21));
		/* Awake again. */
		assert_false(TURN_UNTIL(20, n_packets > round * 21));
	}
	/* One by one they are many as well. */
	vrs_stats(vrs, &s);
	for (i = (int)s.rests; i == (int)s.rests; vrs_stats(vrs, &s)) {
		assert_true(n_packets < 10000);
		assert_int_equal(send(fd, f, 46, 0), 46);
		round = n_packets;
		assert_true(TURN_UNTIL(2000, n_packets > round));
	}
	close(fd);
}

/* Very many are looked at now and then, as long as they come, and no longer. */
static void
test_very_many(void **state)
{
	struct vrs_stats s, later;
	uint8_t f[64];
	int fd, i, round;

	(void)state;
	NEED_WORLD();
	up();
	fd = wire(BRAVO);
	frame4(f, BRAVO, "224.0.0.18", 112);
	for (round = 1; round <= 5; round++) {
		for (i = 0; i < 100; i++)
			assert_int_equal(send(fd, f, 46, 0), 46);
		assert_true(TURN_UNTIL(2000, n_packets == round * 100));
	}
	/* Nothing comes: five milliseconds, a few times. */
	assert_false(TURN_UNTIL(200, n_packets > 500));
	vrs_stats(vrs, &s);
	assert_true(s.rests >= 5);
	assert_false(TURN_UNTIL(100, n_packets > 500));
	vrs_stats(vrs, &later);
	assert_int_equal(later.rests, s.rests);
	assert_int_equal(send(fd, f, 46, 0), 46);
	assert_true(TURN_UNTIL(2000, n_packets == 501));
	close(fd);
}

/* After a burst of very many it is looked at when the next one is due. */
static void
test_burst_after_burst(void **state)
{
	monotime_t sent = {0};
	uint8_t f[64];
	int fd, i, round;

	(void)state;
	NEED_WORLD();
	up();
	fd = wire(BRAVO);
	frame4(f, BRAVO, "224.0.0.18", 112);
	for (round = 1; round <= 3; round++) {
		for (i = 0; i < 100; i++)
			assert_int_equal(send(fd, f, 46, 0), 46);
		sent = loop_now();
		assert_true(TURN_UNTIL(2000, n_packets == round * 100));
	}
	assert_int_equal(send(fd, f, 46, 0), 46);
	assert_true(TURN_UNTIL(2000, n_packets == 301));
	assert_true(mt_sub_us(loop_now(), sent) >= 10500);
	/* But what is due is not put off. */
	assert_int_equal(send(fd, f, 46, 0), 46);
	enter(spaces[ALPHA].fd);
	vrs_read(vrs);
	enter(hub_fd);
	assert_int_equal(n_packets, 302);
	close(fd);
}

/*
 * A frame that no slot of the ring has room for comes whole and in its place;
 * more of them than the ring has are lost, and then it goes on.
 */
static void
test_long_ones_and_too_many(void **state)
{
	static uint8_t f[1514], g[64];
	int fd, i;

	(void)state;
	NEED_WORLD();
	up();
	fd = wire(BRAVO);
	frame4(f, BRAVO, "224.0.0.18", 112);
	for (i = 46; i < (int)sizeof(f); i++)
		f[i] = (uint8_t)i;
	/* The switch cuts off what the header does not count. */
	f[16] = 1500 >> 8;
	f[17] = 1500 & 0xff;
	sum4(f);
	frame4(g, BRAVO, "224.0.0.18", 112);
	for (i = 1; i <= 3; i++) {
		assert_int_equal(send(fd, g, 46, 0), 46);
		assert_int_equal(send(fd, f, sizeof(f), 0), sizeof(f));
		assert_true(TURN_UNTIL(2000, n_packets == 2 * i));
		assert_int_equal(last.len, sizeof(f) - 14);
		assert_memory_equal(last.ip, f + 14, sizeof(last.ip));
	}
	for (i = 0; i < 1500; i++)
		assert_int_equal(send(fd, g, 46, 0), 46);
	n_packets = 0;
	assert_true(TURN_UNTIL(2000, n_packets >= 512));
	assert_false(TURN_UNTIL(20, n_packets > 512));
	for (i = 1; i <= 600; i++) {
		assert_int_equal(send(fd, g, 46, 0), 46);
		if (i % 100 == 0)
			assert_true(TURN_UNTIL(2000, n_packets == 512 + i));
	}
	close(fd);
}

/* Many frames in one call; the egress hook sees each. */
static void
test_send(void **state)
{
	struct sockaddr_ll ll = {
	    .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	struct vrs_stats s;
	uint8_t f[64];
	int fd, i, size = 4 << 20;

	(void)state;
	NEED_WORLD();
	up();
	fd = wire(CLIENT);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	enter(spaces[CLIENT].fd);
	ll.sll_ifindex = (int)if_nametoindex("eth0");
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	enter(hub_fd);
	frame4(f, ALPHA, "224.0.0.18", 112);
	for (i = 0; i < 64; i++)
		vrs_send(vrs, ETH0, f, 46);
	assert_int_equal(frames_at(fd), 0);
	vrs_flush(vrs);
	vrs_flush(vrs);
	vrs_stats(vrs, &s);
	assert_int_equal(s.sent, 64);
	assert_int_equal(s.send_calls, 1);
	assert_true(WAIT_FOR(1000, (i -= (int)frames_at(fd)) == 0));
	/* More than fit leave before. */
	for (i = 0; i < 600; i++)
		vrs_send(vrs, ETH0, f, 46);
	vrs_flush(vrs);
	vrs_stats(vrs, &s);
	assert_int_equal(s.sent, 664);
	assert_int_equal(s.send_calls, 1 + 10);
	assert_true(WAIT_FOR(1000, (i -= (int)frames_at(fd)) == 0));
	/* None of them is heard as somebody else's. */
	assert_false(TURN_UNTIL(20, n_packets > 0));
	/* What the hook drops does not leave. */
	run_in(ALPHA,
	    "nft 'add table netdev t; add chain netdev t o { type filter hook "
	    "egress device eth0 priority 0; }; add rule netdev t o ip "
	    "protocol 112 drop'");
	vrs_send(vrs, ETH0, f, 46);
	vrs_flush(vrs);
	sleep_ms(5 * scale);
	assert_int_equal(frames_at(fd), 0);
	close(fd);
}

/* What cannot be sent is counted, and does not keep up what can. */
static void
test_send_fails(void **state)
{
	struct vrs_stats s;
	uint8_t f[64];

	(void)state;
	NEED_WORLD();
	up();
	frame4(f, ALPHA, "224.0.0.18", 112);
	vrs_send(vrs, ETH7, f, 46);
	vrs_flush(vrs);
	vrs_stats(vrs, &s);
	assert_int_equal(s.send_unbound, 1);
	assert_int_equal(s.send_calls, 0);
	assert_int_equal(
	    run_in(ALPHA, "ip link add eth7 type veth peer name eth8"), 0);
	assert_true(TURN_UNTIL(1000, told[ETH7].exists));
	assert_false(told[ETH7].up);
	vrs_send(vrs, ETH0, f, 46);
	vrs_send(vrs, ETH7, f, 46);
	vrs_send(vrs, ETH7, f, 46);
	vrs_send(vrs, ETH0, f, 46);
	vrs_flush(vrs);
	vrs_stats(vrs, &s);
	assert_int_equal(s.send_failed, 2);
	assert_int_equal(s.sent, 2);
	assert_int_equal(run_in(ALPHA, "ip link del eth7"), 0);
}

/* A new configuration's sockets are there before the old ones go. */
static void
test_two_at_once(void **state)
{
	struct vrs *other;
	uint8_t f[64];
	int fd;

	(void)state;
	NEED_WORLD();
	up();
	other = vrs_make();
	fd = wire(BRAVO);
	frame4(f, BRAVO, "224.0.0.18", 112);
	assert_int_equal(send(fd, f, 46, 0), 46);
	assert_true(TURN_UNTIL(1000, n_packets == 2));
	vrs_free(vrs);
	vrs = other;
	assert_int_equal(send(fd, f, 46, 0), 46);
	assert_true(TURN_UNTIL(1000, n_packets == 3));
	close(fd);
}

static void
test_too_many_peers(void **state)
{
	static struct vrs_addr many[101];
	static const struct vrs_cb cb = {cb_packets, cb_iface};
	struct vrs_conf conf = {ifs, N_IFS, many, 101, NULL, 0};
	char err[200] = "";
	int i;

	(void)state;
	NEED_WORLD();
	for (i = 0; i < 101; i++)
		many[i] = (struct vrs_addr){ETH0, 6, {0xfd, [15] = (uint8_t)i}};
	loop = loop_new();
	enter(spaces[ALPHA].fd);
	assert_null(
	    vrs_new(loop_event(loop), &conf, &cb, &last, err, sizeof(err)));
	assert_string_equal(err, "adverts: peers: Argument list too long");
	conf.n_peers = 100;
	vrs = vrs_new(loop_event(loop), &conf, &cb, &last, err, sizeof(err));
	enter(hub_fd);
	assert_non_null(vrs);
}

/* An argument picks tests by name, with * and ?. */
int
main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_teardown(test_##name, down)
	const struct CMUnitTest tests[] = {
	    T(what_comes_through),
	    T(stamp_is_of_the_arrival),
	    T(groups_are_joined),
	    T(unicast_gets_no_error),
	    T(facts),
	    T(interface_comes_and_goes),
	    T(bursts),
	    T(very_many),
	    T(burst_after_burst),
	    T(long_ones_and_too_many),
	    T(send),
	    T(send_fails),
	    T(two_at_once),
	    T(too_many_peers),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, world_up, world_down);
}
