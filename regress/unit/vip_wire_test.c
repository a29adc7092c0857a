/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the holder of an address says about it, as another station on the
 * segment sees it: every field of the frames, and when they come.
 */
#include "vip_wire.h"

/* Frames on the wire, not what an encoder of ours would make of them. */
struct field {
	const char *what;
	unsigned off, len;
	uint8_t want[16];
};

enum kind { REQUEST, REPLY, NA, N_KINDS };

/* RFC 826, RFC 5227 section 3. */
static const struct field arp[] = {
    {"destination", 0, 6, {255, 255, 255, 255, 255, 255}},
    {"source", 6, 6, {2, 0, 0, 0, 0, 10}},
    {"type", 12, 2, {0x08, 0x06}},
    {"hardware", 14, 2, {0, 1}},
    {"protocol", 16, 2, {0x08, 0}},
    {"lengths", 18, 2, {6, 4}},
    {"sender hardware", 22, 6, {2, 0, 0, 0, 0, 10}},
    {"sender protocol", 28, 4, {10, 9, 0, 80}},
    {"target protocol", 38, 4, {10, 9, 0, 80}},
    {NULL, 42, 0, {0}},
};

static const struct field request[] = {
    {"operation", 20, 2, {0, 1}},
    {"target hardware", 32, 6, {255, 255, 255, 255, 255, 255}},
    {NULL, 42, 0, {0}},
};

static const struct field reply[] = {
    {"operation", 20, 2, {0, 2}},
    {"target hardware", 32, 6, {2, 0, 0, 0, 0, 10}},
    {NULL, 42, 0, {0}},
};

/* RFC 4861, sections 4.4, 4.6.1 and 7.2.6; to ff02::1. */
static const struct field adv[] = {
    {"destination", 0, 6, {0x33, 0x33, 0, 0, 0, 1}},
    {"source", 6, 6, {2, 0, 0, 0, 0, 10}},
    {"type", 12, 2, {0x86, 0xdd}},
    {"version, class, flow", 14, 4, {0x60}},
    {"payload length", 18, 2, {0, 32}},
    {"next header", 20, 1, {58}},
    {"hop limit", 21, 1, {255}},
    {"source address", 22, 16, {0xfd, 0x09, [15] = 0x80}},
    {"destination address", 38, 16, {0xff, 0x02, [15] = 1}},
    {"ICMP type and code", 54, 2, {136, 0}},
    {"target", 62, 16, {0xfd, 0x09, [15] = 0x80}},
    {"target link-layer option", 78, 2, {2, 1}},
    {"target link-layer address", 80, 6, {2, 0, 0, 0, 0, 10}},
    {NULL, 86, 0, {0}},
};

/* Override; not solicited, and no router. */
static const struct field host[] = {
    {"flags", 58, 4, {0x20}},
    {"checksum", 56, 2, {0x59, 0x82}},
    {NULL, 86, 0, {0}},
};

static const struct field router[] = {
    {"flags", 58, 4, {0xa0}},
    {"checksum", 56, 2, {0xd9, 0x81}},
    {NULL, 86, 0, {0}},
};

static unsigned
check_fields(const struct wire_frame *f, const struct field *want)
{
	unsigned covered = 0;

	for (; want->what != NULL; want++) {
		if (memcmp(f->b + want->off, want->want, want->len) != 0)
			print_error("field '%s' is wrong\n", want->what);
		assert_memory_equal(f->b + want->off, want->want, want->len);
		covered += want->len;
	}
	assert_int_equal(f->len, want->off);
	return covered;
}

/* Both tables together name every byte. */
static void
check_frame(const struct wire_frame *f, const struct field *all,
    const struct field *form)
{
	assert_int_equal(check_fields(f, all) + check_fields(f, form), f->len);
}

static enum kind
kind_of(const struct wire_frame *f)
{
	if (f->b[12] == 0x08 && f->b[13] == 0x06)
		return f->b[21] == 1 ? REQUEST : REPLY;
	/* Nothing else may speak for the addresses here. */
	assert_int_equal(f->b[12] << 8 | f->b[13], ETH_P_IPV6);
	assert_int_equal(f->b[54], 136);
	return NA;
}

static unsigned
count(const struct wire *w, enum kind kind, int64_t from)
{
	unsigned i, n = 0;

	for (i = 0; i < w->n; i++)
		n += w->f[i].us >= from && kind_of(&w->f[i]) == kind;
	return n;
}

/* A machine that stalls is late; early is always wrong. */
#define LATE_US (100 * 1000 * (int64_t)scale)
#define EARLY_US 2000

/* The frames of a kind that came from then on, and when they were due. */
static void
check_times(
    const struct wire *w, enum kind kind, int64_t from, const int *ms, int n)
{
	int64_t base = 0;
	int i, got = 0;

	for (i = 0; i < (int)w->n; i++) {
		int64_t late;

		if (w->f[i].us < from || kind_of(&w->f[i]) != kind)
			continue;
		assert_true(got < n);
		if (got == 0)
			base = w->f[i].us - ms[0] * 1000;
		late = w->f[i].us - base - ms[got] * (int64_t)1000;
		if (late < -EARLY_US || late > LATE_US)
			print_error("kind %d, number %d, due at %d ms: "
				    "%lld us late\n",
			    kind, got + 1, ms[got], (long long)late);
		assert_in_range(late + EARLY_US, 0, LATE_US + EARLY_US);
		got++;
	}
	assert_int_equal(got, n);
}

/* At once, 100 ms, 1 s and 5 s later; every time in all three forms. */
static void
test_taken_is_announced_by_schedule(void **state)
{
	static const int due[] = {0, 100, 1000, 5000};
	static struct wire w;
	int64_t from;
	unsigned i;

	(void)state;
	NEED_WORLD();
	wire_open(&w);
	assert_true(holder_start(ALPHA));
	from = wall_us();
	take_both(ALPHA);
	wire_listen(&w, 5000 + 500 * scale);
	wire_close(&w);
	for (i = 0; i < w.n; i++) {
		enum kind k = kind_of(&w.f[i]);

		if (k == NA)
			check_frame(&w.f[i], adv, host);
		else
			check_frame(&w.f[i], arp, k == REPLY ? reply : request);
	}
	for (i = 0; i < N_KINDS; i++)
		check_times(&w, i, from, due, NITEMS(due));
	/* "At once" is after the order, not after some pause of its own. */
	assert_in_range(w.f[0].us - from, 0, LATE_US);
	/* And nobody else's name was used. */
	assert_int_equal(spaces[ALPHA].h.page->status.addrs[WEB4].conflicts, 0);
}

/* The request form comes first: a host that learns from one knows both. */
static void
test_both_forms_in_one_go(void **state)
{
	static struct wire w;

	(void)state;
	NEED_WORLD();
	wire_open(&w);
	assert_true(holder_start(ALPHA));
	holder_cmd(ALPHA, 'V', 1);
	holder_cmd(ALPHA, 'T', WEB4);
	WAIT_STATE(ALPHA, WEB4, VIP_ACTIVE);
	wire_listen(&w, 40 * scale);
	wire_close(&w);
	assert_true(w.n >= 2);
	assert_int_equal(kind_of(&w.f[0]), REQUEST);
	assert_int_equal(kind_of(&w.f[1]), REPLY);
	assert_in_range(w.f[1].us - w.f[0].us, 0, 20000 * scale);
	/* Nothing was said about the address that was not taken. */
	assert_int_equal(count(&w, NA, 0), 0);
}

static void
forwarding(int on)
{
	assert_int_equal(
	    run_in(
		ALPHA, "echo %d >/proc/sys/net/ipv6/conf/eth0/forwarding", on),
	    0);
}

/* A host that forwards says that it is a router; another says it is not. */
static void
test_router_flag_is_the_hosts(void **state)
{
	static struct wire w;
	int on;

	(void)state;
	NEED_WORLD();
	for (on = 1; on >= 0; on--) {
		forwarding(on);
		wire_open(&w);
		assert_true(holder_start(ALPHA));
		holder_cmd(ALPHA, 'V', 1);
		holder_cmd(ALPHA, 'T', WEB6);
		WAIT_STATE(ALPHA, WEB6, VIP_ACTIVE);
		wire_listen(&w, 40 * scale);
		wire_close(&w);
		assert_true(w.n >= 1);
		check_frame(&w.f[0], adv, on ? router : host);
		holder_end(ALPHA, SIGKILL);
		world_clean(NULL);
	}
}

/* Without the right to speak nothing reaches the wire, announcements least. */
static void
test_muted_holder_announces_nothing(void **state)
{
	static struct wire w;

	(void)state;
	NEED_WORLD();
	wire_open(&w);
	assert_true(holder_start(ALPHA));
	holder_cmd(ALPHA, 'T', WEB4);
	holder_cmd(ALPHA, 'T', WEB6);
	WAIT_STATE(ALPHA, WEB4, VIP_MUTED);
	WAIT_STATE(ALPHA, WEB6, VIP_MUTED);
	wire_listen(&w, 150 * scale);
	assert_int_equal(w.n, 0);
	/* The same station hears it as soon as the holder may speak. */
	holder_cmd(ALPHA, 'V', 1);
	WAIT_STATE(ALPHA, WEB4, VIP_ACTIVE);
	WAIT_STATE(ALPHA, WEB6, VIP_ACTIVE);
	wire_listen(&w, 40 * scale);
	wire_close(&w);
	assert_true(count(&w, REQUEST, 0) >= 1);
	assert_true(count(&w, REPLY, 0) >= 1);
	assert_true(count(&w, NA, 0) >= 1);
}

static void
client_says(const uint8_t *frame, size_t len)
{
	struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_halen = 6};
	int fd;

	enter(spaces[CLIENT].fd);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	ll.sll_ifindex = (int)if_nametoindex("eth0");
	memcpy(&ll.sll_protocol, frame + 12, 2);
	assert_int_equal(
	    sendto(fd, frame, len, 0, (struct sockaddr *)&ll, sizeof(ll)),
	    (ssize_t)len);
	close(fd);
	enter(hub_fd);
}

/*
 * Another station claims the address, twice in a row: the holder claims it
 * back at once, and once, since two holders that both did so for each frame
 * would flood the segment.  The schedule goes on.
 */
static void
test_conflict_is_answered_on_the_wire(void **state)
{
	static struct wire w;
	const volatile struct vip_addr_status *s;
	uint8_t garp[VIP_ARP_LEN], una[VIP_NA_LEN];
	int64_t start, claimed;

	(void)state;
	NEED_WORLD();
	wire_open(&w);
	assert_true(holder_start(ALPHA));
	s = spaces[ALPHA].h.page->status.addrs;
	start = wall_us();
	take_both(ALPHA);
	/* The first two of the schedule; a second is left to the third. */
	while (count(&w, REPLY, start) + count(&w, NA, start) < 4 &&
	       wall_us() - start < 100000 + LATE_US)
		wire_listen(&w, 5);
	assert_int_equal(count(&w, REQUEST, start), 2);
	assert_int_equal(count(&w, REPLY, start), 2);
	assert_int_equal(count(&w, NA, start), 2);
	vip_arp_encode(garp, VIP_ARP_REPLY, spaces[CLIENT].mac, wire_vip4);
	vip_na_encode(una, spaces[CLIENT].mac, wire_vip6, false);
	claimed = wall_us();
	client_says(garp, sizeof(garp));
	client_says(una, sizeof(una));
	client_says(garp, sizeof(garp));
	client_says(una, sizeof(una));
	assert_true(WAIT_FOR(1000, s[WEB4].conflicts == 2));
	assert_true(WAIT_FOR(1000, s[WEB6].conflicts == 2));
	wire_listen(&w, 0);
	assert_int_equal(count(&w, REQUEST, claimed), 1);
	assert_int_equal(count(&w, REPLY, claimed), 1);
	assert_int_equal(count(&w, NA, claimed), 1);
	/* The last of them was as quick, and as complete, as the first. */
	assert_in_range(w.f[w.n - 1].us - claimed, 0, LATE_US);
	if (kind_of(&w.f[w.n - 1]) == NA)
		check_frame(&w.f[w.n - 1], adv, host);
	else
		check_frame(&w.f[w.n - 1], arp, reply);
	/* What is still due one second after the taking comes, too. */
	wire_listen(&w, 1000 + 100 * scale - (wall_us() - start) / 1000);
	wire_close(&w);
	assert_int_equal(count(&w, REQUEST, claimed), 2);
	assert_int_equal(count(&w, NA, claimed), 2);
}

/* An argument picks tests by name, with * and ?. */
int
main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_teardown(test_##name, world_clean)
	const struct CMUnitTest tests[] = {
	    T(taken_is_announced_by_schedule),
	    T(both_forms_in_one_go),
	    T(router_flag_is_the_hosts),
	    T(muted_holder_announces_nothing),
	    T(conflict_is_answered_on_the_wire),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, world_up, world_down);
}
