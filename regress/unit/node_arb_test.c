/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the node makes of the world around it: answers for addresses (R3), its
 * own interfaces and ping nodes (R9), and whether it holds data well (R4, R6).
 * One node, alpha, whose insides are looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_int.h"
#include "wire.h"

enum { ALPHA = 1, BRAVO = 2, INCARNATION = 77 };
enum { WEB, DOOR, GATE, ANYBODYS };

/* Two direct cables; addresses on a link's interface and on two others. */
static const char file[] =
    "cluster shop {\n"
    "	heartbeat 100ms; dead 500ms; silent peer takeover\n"
    "	ping 192.0.2.1\n"
    "}\n"
    "node alpha { id 1; key \"sha256:5f2c0f4e8d1b6a9370c2e5b8f1a4d7e0"
    "0112233445566778899aabbccddeeff0\"\n"
    "	link a 10.77.0.1 interface e0\n"
    "	link b 10.78.0.1 interface e1 }\n"
    "node bravo { id 2; key \"sha256:91aa7b3c5d2e4f60718293a4b5c6d7e8"
    "f90123456789abcdeffedcba98765432\"\n"
    "	link a 10.77.0.2 interface e0\n"
    "	link b 10.78.0.2 interface e1 }\n"
    "volume vol { device \"/dev/sdb\" }\n"
    "address web { 192.0.2.80/24 interface e1 }\n"
    "address door { 198.51.100.80/24 interface l0 }\n"
    "address gate { 203.0.113.80/24 interface l1 }\n"
    "address anybodys { 203.0.113.81/24 interface l1 }\n"
    "router anybodys { vrrp 3 vrid 7; address anybodys }\n"
    "service shop { start { address web; volume vol\n"
    "	mount vol on \"/srv\" type ext4 } }\n"
    "service door { start { address door; address gate } }\n";

static struct {
	struct conf *conf; /* owned */
	struct nd *nd; /* owned */
	int64_t ms;
	unsigned cells[MB_EV_N]; /* how often membership was given it */
	char notes[8192];
} w;

static void
op_send(void *ctx, uint8_t peer, enum nd_kind kind, uint8_t link,
    uint16_t stream, const struct nd_buf *bufs, unsigned n)
{
	(void)ctx, (void)peer, (void)kind, (void)link, (void)stream;
	(void)bufs, (void)n;
}

static void
op_timer(void *ctx, monotime_t at)
{
	(void)ctx, (void)at;
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	size_t used = strlen(w.notes);

	(void)ctx, (void)level, (void)object;
	assert_true(used + 400 < sizeof(w.notes));
	snprintf(
	    w.notes + used, sizeof(w.notes) - used, "[%s] %s\n", rule, text);
}

static void
op_addr(void *ctx, uint16_t id)
{
	(void)ctx, (void)id;
}

static void
op_lease(void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	(void)ctx, (void)seq, (void)open, (void)until;
}

static void
op_step(void *ctx, uint16_t service, uint8_t step, enum svc_action action,
    uint32_t token)
{
	(void)ctx, (void)service, (void)step, (void)action, (void)token;
}

static void
op_cell(void *ctx, enum nd_table table, unsigned in, unsigned state)
{
	(void)ctx, (void)state;
	if (table == ND_TABLE_MB)
		w.cells[in]++;
}

/* Of the others none is called: nothing runs here. */
static const struct nd_ops ops = {
    .send = op_send,
    .timer = op_timer,
    .note = op_note,
    .step = op_step,
    .addr_add = op_addr,
    .addr_del = op_addr,
    .announce = op_addr,
    .lease = op_lease,
    .cell = op_cell,
};

static int64_t booted_us; /* before ms 0 */

static monotime_t
now(void)
{
	return (monotime_t){booted_us + (1000 + w.ms) * 1000};
}

static void
step(struct nd_event e)
{
	e.now = now();
	nd_step(w.nd, &e);
}

/* Whatever is due meanwhile, every 20 ms: the daemon runs. */
static void
run(int64_t ms)
{
	for (int64_t end = w.ms + ms; w.ms < end;) {
		w.ms += 20;
		step((struct nd_event){.type = ND_EV_TIMER});
	}
}

/* A heartbeat of bravo. */
static void
bravo_says(struct wire_hb hb)
{
	struct wire_hdr h = {.core = WIRE_HEARTBEAT,
	    .sender = BRAVO,
	    .incarnation = INCARNATION};
	struct nd_event e = {.type = ND_EV_MSG, .peer = BRAVO};
	uint8_t bytes[WIRE_HDR_LEN + WIRE_HB_LEN];

	hb.seq = hb.link = 1;
	wire_put_hdr(bytes, &h);
	wire_put_hb(bytes + WIRE_HDR_LEN, &hb);
	e.u.msg.kind = ND_HB;
	e.u.msg.link = 1;
	e.u.msg.bytes = bytes;
	e.u.msg.len = sizeof(bytes);
	step(e);
}

/* Sent at that time of its clock. */
static void
hears_bravo_of(int64_t sent_us, uint8_t flags)
{
	bravo_says((struct wire_hb){.sent_us = sent_us, .flags = flags});
}

static void
hears_bravo(void)
{
	hears_bravo_of(1, 0);
}

/* Alpha has started, and has heard bravo. */
static int
setup(void **state)
{
	struct conf_errors errors = {.text = NULL};
	struct nd_disk none[1] = {{.why = "none"}};
	struct nd_event e = {.type = ND_EV_START};

	(void)state;
	memset(&w, 0, sizeof(w));
	w.conf = calloc(1, sizeof(*w.conf));
	assert_non_null(w.conf);
	assert_int_equal(
	    conf_parse(w.conf, "had.conf", file, strlen(file), &errors), 0);
	w.nd = nd_new(w.conf, ALPHA, none, &ops, NULL);
	assert_non_null(w.nd);
	e.u.start.seed = 4711;
	e.u.start.incarnation = 42;
	step(e);
	e = (struct nd_event){.type = ND_EV_UP, .peer = BRAVO};
	e.u.assoc.kind = ND_HB;
	e.u.assoc.link = 1;
	e.u.assoc.incarnation = INCARNATION;
	step(e);
	hears_bravo();
	/* Nothing is left of an earlier daemon. */
	e = (struct nd_event){.type = ND_EV_VIP};
	e.u.vip.type = VIP_EV_REMOVED;
	e.u.vip.u.result.ok = true;
	e.u.vip.u.result.text = "";
	for (uint16_t i = 0; i < w.conf->n_addresses; i++) {
		e.u.vip.u.result.id = i;
		step(e);
		if (w.conf->addresses[i].service != UINT16_MAX)
			assert_int_equal(vip_state(w.nd->vip, i), VIP_OFF);
	}
	memset(w.cells, 0, sizeof(w.cells));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	nd_free(w.nd);
	free(w.conf);
	return 0;
}

static void
advert(enum nd_advert kind, uint8_t peer, uint16_t address)
{
	struct nd_event e = {.type = ND_EV_ADVERT, .peer = peer};

	e.u.advert.kind = kind;
	e.u.advert.address = address;
	e.u.advert.link = 1;
	step(e);
}

/* An answer for a link's address is the kernel's, at any time. */
static void
R3_links_answer_is_the_kernels(void **state)
{
	(void)state;
	advert(ND_ADVERT_ARP, BRAVO, ND_LINK_ADDRESS);
	assert_int_equal(w.cells[MB_EV_KERNEL_ALIVE], 1);
	assert_int_equal(w.cells[MB_EV_ADVERT], 0);
	/* Whose link that is, only the driver can know. */
	advert(ND_ADVERT_ARP, 0, ND_LINK_ADDRESS);
	assert_int_equal(w.cells[MB_EV_KERNEL_ALIVE], 1);
}

/* An answer for a service's address is the daemon's, once its guard ended. */
static void
R3_services_answer_counts_when_the_guard_has_ended(void **state)
{
	int64_t guard_ms = (w.conf->t.lease_ms * 1020 + 999) / 1000 + 10;

	(void)state;
	assert_true(guard_ms < w.conf->t.dead_ms);
	advert(ND_ADVERT_ARP, 0, WEB);
	w.ms += guard_ms - 1;
	assert_false(nd_may_probe(w.nd, BRAVO, now()));
	advert(ND_ADVERT_ARP, 0, WEB);
	assert_int_equal(w.cells[MB_EV_ADVERT], 0);
	w.ms += 1;
	advert(ND_ADVERT_ARP, 0, WEB);
	assert_int_equal(w.cells[MB_EV_ADVERT], 1);
	assert_int_equal(w.cells[MB_EV_KERNEL_ALIVE], 0);
	hears_bravo();
	advert(ND_ADVERT_ARP, 0, WEB);
	assert_int_equal(w.cells[MB_EV_ADVERT], 1);
}

/* Asked when it could count, and as long as nobody has decided. */
static void
R3_asks_while_it_is_undecided(void **state)
{
	struct nd_peer *p = &w.nd->peers[0];

	(void)state;
	p->verdict = MB_PEER_ALIVE;
	assert_false(nd_may_probe(w.nd, BRAVO, now()));
	w.ms += w.conf->t.lease_ms * 1020 / 1000 + 11;
	assert_true(nd_may_probe(w.nd, BRAVO, now()));
	assert_false(nd_may_probe(w.nd, 7, now()));
	p->verdict = MB_PEER_SILENT;
	assert_true(nd_may_probe(w.nd, BRAVO, now()));
	for (p->verdict = 0; p->verdict < MB_PEER_N; p->verdict++)
		if (p->verdict != MB_PEER_SILENT && p->verdict != MB_PEER_ALIVE)
			assert_false(nd_may_probe(w.nd, BRAVO, now()));
}

/* What this node serves itself says nothing about another. */
static void
R3_own_address_is_no_evidence(void **state)
{
	struct vip_event v = {.type = VIP_EV_TAKE};

	(void)state;
	w.ms += w.conf->t.dead_ms;
	v.now = now();
	v.u.order.id = WEB;
	vip_step(w.nd->vip, &v);
	assert_int_not_equal(vip_state(w.nd->vip, WEB), VIP_OFF);
	advert(ND_ADVERT_ARP, 0, WEB);
	assert_int_equal(w.cells[MB_EV_ADVERT], 0);
	advert(ND_ADVERT_ARP, 0, DOOR);
	assert_int_equal(w.cells[MB_EV_ADVERT], 1);
}

/* What is held by election any router may have: it is not bravo's word. */
static void
R3_elected_address_is_no_evidence(void **state)
{
	(void)state;
	w.ms += w.conf->t.dead_ms;
	advert(ND_ADVERT_ARP, 0, ANYBODYS);
	assert_int_equal(w.cells[MB_EV_ADVERT], 0);
	advert(ND_ADVERT_ARP, 0, GATE);
	assert_int_equal(w.cells[MB_EV_ADVERT], 1);
}

/* How long ago bravo heard what it heard last, in us. */
static int64_t
unheard_us(void)
{
	struct mb_status m;

	mb_status(w.nd->member, &m);
	return mt_sub_us(now(), m.peers[0].mutual);
}

/*
 * Bravo says on a link that it hears this node on another.  What it heard was
 * sent when it says, however long the word was on its way, and whatever bravo's
 * clock made of the time: it leapt three seconds meanwhile.
 */
static void
R7_counts_from_what_was_heard(void **state)
{
	int64_t lease_us = w.conf->t.lease_ms * INT64_C(1000);
	struct wire_hb hb = {.sent_us = 2, .flags = WIRE_HB_HEARS};

	(void)state;
	w.ms += 10000;
	hb.echo_us = now().us - 5000000;
	hb.echo_age_us = 8000000;
	hb.heard_us = (uint64_t)(now().us - 2 * lease_us);
	bravo_says(hb);
	assert_int_equal(unheard_us(), 2 * lease_us);
	/* An older word that comes later changes nothing. */
	hb.heard_us = (uint64_t)(now().us - 3 * lease_us);
	bravo_says(hb);
	assert_int_equal(unheard_us(), 2 * lease_us);
	/* What comes back on the link itself counts as well. */
	hb.echo_us = now().us - 30000;
	hb.echo_age_us = 10000;
	bravo_says(hb);
	assert_int_equal(unheard_us(), 30000);
	/* Who says that it hears, but not what, says nothing. */
	w.ms += 1000;
	hb.heard_us = 0;
	hb.echo_us = 0;
	bravo_says(hb);
	assert_int_equal(unheard_us(), 1030000);
}

/* Not all bits of the time are told, and this machine has been up for long. */
static int
setup_after_nine_years(void **state)
{
	booted_us = (INT64_C(1) << WIRE_HEARD_BITS) - 1005000;
	return setup(state);
}

static int
teardown_nine_years(void **state)
{
	booted_us = 0;
	return teardown(state);
}

static void
R7_counts_after_nine_years_as_well(void **state)
{
	struct wire_hb hb = {.sent_us = 2, .flags = WIRE_HB_HEARS};

	(void)state;
	assert_true(now().us >> WIRE_HEARD_BITS == 0);
	hb.heard_us = (uint64_t)now().us;
	w.ms += 20;
	assert_true(now().us >> WIRE_HEARD_BITS == 1);
	bravo_says(hb);
	assert_int_equal(unheard_us(), 20000);
}

/* What only a daemon sends counts at once; what nobody knows never does. */
static void
R3_advert_counts_at_once(void **state)
{
	(void)state;
	advert(ND_ADVERT_SAID, BRAVO, WEB);
	assert_int_equal(w.cells[MB_EV_ADVERT], 1);
	advert(ND_ADVERT_SAID, BRAVO, ND_LINK_ADDRESS);
	assert_int_equal(w.cells[MB_EV_ADVERT], 2);
	advert(ND_ADVERT_SAID, BRAVO, w.conf->n_addresses);
	advert(ND_ADVERT_SAID, 7, ND_LINK_ADDRESS);
	assert_int_equal(w.cells[MB_EV_ADVERT], 2);
}

static void
carrier(const char *ifname, bool up)
{
	struct nd_event e = {.type = ND_EV_VIP};

	e.u.vip.type = VIP_EV_CARRIER;
	e.u.vip.u.carrier.ifname = ifname;
	e.u.vip.u.carrier.up = up;
	step(e);
}

/* Interfaces that bear addresses and no link are one: one of them is enough. */
static void
R9_outside_is_told_as_one(void **state)
{
	(void)state;
	assert_false(nd_arb_outside(w.nd, WEB));
	assert_true(nd_arb_outside(w.nd, DOOR));
	assert_true(nd_arb_outside(w.nd, GATE));
	carrier("l0", false);
	carrier("l7", false);
	assert_int_equal(w.cells[MB_EV_CARRIER], 0);
	assert_true(w.nd->unusable[DOOR]);
	assert_false(w.nd->unusable[GATE]);
	carrier("l1", false);
	assert_int_equal(w.cells[MB_EV_CARRIER], 1);
	assert_true(w.nd->outside_lost);
	carrier("l0", true);
	assert_int_equal(w.cells[MB_EV_CARRIER], 2);
	assert_false(w.nd->outside_lost);
	/* One that bears both is a link. */
	carrier("e1", false);
	assert_int_equal(w.cells[MB_EV_CARRIER], 3);
	assert_false(w.nd->outside_lost);
	assert_true(w.nd->unusable[WEB]);
}

/* One that was late, or came twice, says nothing about now. */
static void
R9_an_older_heartbeat_takes_nothing_back(void **state)
{
	const struct nd_peer *p = &w.nd->peers[0];

	(void)state;
	hears_bravo_of(5000, WIRE_HB_PINGS | WIRE_HB_HOLDS | WIRE_HB_ARMED);
	assert_true(p->pings_any && p->holds && p->watchdog_armed);
	hears_bravo_of(4000, 0);
	assert_true(p->pings_any && p->holds && p->watchdog_armed);
	hears_bravo_of(6000, 0);
	assert_false(p->pings_any || p->holds || p->watchdog_armed);
	hears_bravo_of(5000, WIRE_HB_PINGS | WIRE_HB_HOLDS | WIRE_HB_ARMED);
	assert_false(p->pings_any || p->holds || p->watchdog_armed);
}

/* Nobody is told that all is well while nothing is known. */
static void
R9_isolated_is_not_told_as_well(void **state)
{
	static const char well[] = "addresses may be served from here again";
	struct nd_peer *p = &w.nd->peers[0];
	struct nd_event e = {.type = ND_EV_PINGS};

	(void)state;
	p->verdict = MB_PEER_ALIVE;
	p->pings_any = true;
	step(e);
	assert_true(w.nd->unusable[WEB]);
	assert_non_null(strstr(w.notes, "[R9] no ping node answers here"));
	p->verdict = MB_PEER_SILENT;
	nd_arb_addresses(w.nd);
	w.nd->state = MB_ISOLATED;
	nd_arb_addresses(w.nd);
	assert_true(w.nd->unusable[WEB]);
	e.u.pings.answered = 1;
	step(e);
	assert_null(strstr(w.notes, well));
	/* As soon as it is true it is told. */
	w.nd->state = MB_PAIRED;
	p->verdict = MB_PEER_ALIVE;
	e.u.pings.answered = 0;
	step(e);
	e.u.pings.answered = 1;
	step(e);
	assert_non_null(strstr(w.notes, well));
	assert_false(w.nd->unusable[WEB]);
}

static bool
active(enum mir_disk disk, bool runs, bool sole)
{
	struct nd_vol *v = &w.nd->vols[0];

	v->st.disk = disk;
	v->sole = sole;
	w.nd->holding = runs;
	nd_arb_holds(w.nd);
	return w.nd->active;
}

/* Data that it runs and has; or that nobody else has. */
static void
R4_who_holds_data_well(void **state)
{
	unsigned told;

	(void)state;
	run(40);
	told = w.cells[MB_EV_HOLDS];
	assert_true(active(MIR_DISK_UPTODATE, true, false));
	assert_true(active(MIR_DISK_BLANK, true, false));
	assert_false(active(MIR_DISK_UPTODATE, false, false));
	assert_true(active(MIR_DISK_UPTODATE, false, true));
	for (enum mir_disk d = 0; d < MIR_DISK_N; d++) {
		if (d == MIR_DISK_UPTODATE || d == MIR_DISK_BLANK)
			continue;
		assert_false(active(d, true, false));
	}
	assert_int_equal(w.cells[MB_EV_HOLDS], told);
	/* Each change is told, to membership too. */
	run(20);
	assert_int_equal(w.cells[MB_EV_HOLDS], told + 4);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(R3_links_answer_is_the_kernels),
	    T(R3_services_answer_counts_when_the_guard_has_ended),
	    T(R3_asks_while_it_is_undecided),
	    T(R3_own_address_is_no_evidence),
	    T(R3_elected_address_is_no_evidence),
	    T(R7_counts_from_what_was_heard),
	    cmocka_unit_test_setup_teardown(R7_counts_after_nine_years_as_well,
		setup_after_nine_years, teardown_nine_years),
	    T(R3_advert_counts_at_once),
	    T(R9_outside_is_told_as_one),
	    T(R9_an_older_heartbeat_takes_nothing_back),
	    T(R9_isolated_is_not_told_as_well),
	    T(R4_who_holds_data_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
