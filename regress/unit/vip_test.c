/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The address core as transcripts: what goes in at which millisecond, and
 * every op that comes out, in order.  Lease 100 ms.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "vip.h"

enum { WEB, DB, LEASE = 100 };

static const struct vip_addr_conf addrs[] = {
    {"web", 4, {192, 0, 2, 80}, 24, "eno1"},
    {"db", 6, {0x20, 0x01, 0x0d, 0xb8, [15] = 0x80}, 64, "eno2"},
};

static char out[8192];
static char notes[8192];
static struct vip *v;
static uint64_t seq;
static int64_t now_ms;

static void PRINTF_LIKE(1, 2) say(const char *fmt, ...)
{
	size_t used = strlen(out);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out + used, sizeof(out) - used, fmt, ap);
	va_end(ap);
}

/* One more comes with a reload. */
static const char *
name_of(uint16_t id)
{
	return id < NITEMS(addrs) ? addrs[id].name : "new";
}

static void
o_add(void *ctx, uint16_t id)
{
	(void)ctx;
	say("add %s; ", name_of(id));
}

static void
o_del(void *ctx, uint16_t id)
{
	(void)ctx;
	say("del %s; ", name_of(id));
}

static void
o_lease(void *ctx, uint64_t s, const struct vip_set *open, monotime_t until)
{
	bool any = false;
	uint16_t i;

	(void)ctx;
	assert_int_equal(s, seq + 1);
	seq = s;
	say("lease");
	for (i = 0; i < NITEMS(addrs); i++)
		if (vip_set_has(open, i)) {
			say(" %s", addrs[i].name);
			any = true;
		}
	if (any)
		say(" until %lld; ", (long long)until.us / 1000);
	else
		say(" nothing; ");
}

static void
o_announce(void *ctx, uint16_t id)
{
	(void)ctx;
	say("announce %s; ", name_of(id));
}

static void
o_timer(void *ctx, monotime_t at)
{
	(void)ctx;
	if (at.us == INT64_MAX)
		say("timer off; ");
	else
		say("timer %lld; ", (long long)at.us / 1000);
}

static void
o_lapsed(void *ctx)
{
	(void)ctx;
	say("lapsed; ");
}

static void
o_done(void *ctx, uint64_t token, bool ok, const char *text)
{
	(void)ctx;
	say("done %d %s (%s); ", (int)token, ok ? "ok" : "failed", text);
}

static void
o_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	size_t used = strlen(notes);

	(void)ctx, (void)rule;
	snprintf(notes + used, sizeof(notes) - used, "%s%s: %s\n",
	    level == HAD_DEBUG ? "debug: " : "", object, text);
}

static const struct vip_ops ops = {
    o_add, o_del, o_lease, o_announce, o_timer, o_lapsed, o_done, o_note};

static void
step(int64_t ms, struct vip_event ev)
{
	assert_true(ms >= now_ms);
	now_ms = ms;
	ev.now = (monotime_t){ms * 1000};
	vip_step(v, &ev);
}

/* All that came out since the last call. */
static void
expect_at(int line, const char *want)
{
	char where[32];

	/* So that a failure names the line of the transcript. */
	snprintf(where, sizeof(where), "%d", line);
	if (strcmp(out, want) != 0)
		print_error("line %s:\n got: %s\nwant: %s\n", where, out, want);
	assert_string_equal(out, want);
	out[0] = '\0';
}
#define expect(want) expect_at(__LINE__, want)

static void
noted(const char *what)
{
	assert_non_null(strstr(notes, what));
	notes[0] = '\0';
}

static void
start(int64_t ms)
{
	step(ms, (struct vip_event){.type = VIP_EV_START});
}

static void
timer(int64_t ms)
{
	step(ms, (struct vip_event){.type = VIP_EV_TIMER});
}

static void
take(int64_t ms, uint16_t id, uint64_t token)
{
	step(ms,
	    (struct vip_event){.type = VIP_EV_TAKE, .u.order = {id, token}});
}

static void
release(int64_t ms, uint16_t id, uint64_t token)
{
	step(ms,
	    (struct vip_event){.type = VIP_EV_RELEASE, .u.order = {id, token}});
}

static void
vouch(int64_t ms, bool on)
{
	step(ms, (struct vip_event){.type = VIP_EV_VOUCH, .u.vouch = {on}});
}

static void
beat(int64_t ms)
{
	step(ms, (struct vip_event){.type = VIP_EV_BEAT});
}

static void
beat_of(int64_t ms, int64_t at_ms)
{
	step(ms, (struct vip_event){
		     .type = VIP_EV_BEAT, .u.beat = {{at_ms * 1000}}});
}

static void
added(int64_t ms, uint16_t id, const char *error)
{
	step(ms, (struct vip_event){.type = VIP_EV_ADDED,
		     .u.result = {id, error == NULL, false, error}});
}

static void
removed(int64_t ms, uint16_t id, bool found, const char *error)
{
	step(ms, (struct vip_event){.type = VIP_EV_REMOVED,
		     .u.result = {id, error == NULL, found, error}});
}

static void
leased(int64_t ms, const char *error)
{
	step(ms, (struct vip_event){.type = VIP_EV_LEASED,
		     .u.leased = {seq, error == NULL, error}});
}

static void
stripped(int64_t ms, uint16_t id)
{
	step(ms,
	    (struct vip_event){.type = VIP_EV_STRIPPED, .u.stripped = {id}});
}

static void
conflict(int64_t ms, uint16_t id)
{
	step(ms, (struct vip_event){.type = VIP_EV_CONFLICT,
		     .u.conflict = {id, {2, 0, 0, 0, 0, 0xb}}});
}

static void
carrier(int64_t ms, const char *ifname, bool up)
{
	step(ms, (struct vip_event){
		     .type = VIP_EV_CARRIER, .u.carrier = {ifname, up}});
}

static int
setup(void **state)
{
	struct vip_conf conf = {addrs, NITEMS(addrs), LEASE};

	(void)state;
	out[0] = notes[0] = '\0';
	seq = 0;
	now_ms = 0;
	v = vip_new(&conf, &ops, NULL);
	return v == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	vip_free(v);
	return 0;
}

/* Brings web up at 1000, all forgotten. */
static void
web_up(void)
{
	vouch(1000, true);
	beat(1000);
	take(1000, WEB, 7);
	added(1000, WEB, NULL);
	leased(1000, NULL);
	assert_int_equal(vip_state(v, WEB), VIP_ACTIVE);
	out[0] = notes[0] = '\0';
}

static void
test_start_removes_leftovers(void **state)
{
	(void)state;
	start(0);
	expect("del web; del db; ");
	assert_int_equal(vip_state(v, WEB), VIP_REMOVING);
	removed(1, WEB, true, NULL);
	removed(1, DB, false, NULL);
	expect("");
	/* That nothing was found is of no interest. */
	assert_string_equal(notes,
	    "debug: address web: OFF -> REMOVING: looking for leftovers\n"
	    "debug: address db: OFF -> REMOVING: looking for leftovers\n"
	    "address web: REMOVING -> OFF: removed\n"
	    "debug: address db: REMOVING -> OFF: was not on any interface\n");
	/* With nothing open, a heartbeat costs nothing. */
	beat(20);
	expect("");
	/* But it is of an address that was taken. */
	web_up();
	release(1010, WEB, 8);
	leased(1010, NULL);
	removed(1011, WEB, false, NULL);
	noted("\naddress web: REMOVING -> OFF: was not on any interface");
}

static void
test_take_opens_behind_the_guard(void **state)
{
	(void)state;
	vouch(1000, true);
	beat(1010);
	take(1020, WEB, 7);
	expect("add web; ");
	added(1021, WEB, NULL);
	/* Counted from the heartbeat, not from now. */
	expect("lease web until 1110; ");
	assert_int_equal(vip_state(v, WEB), VIP_OPENING);
	leased(1022, NULL);
	expect("done 7 ok (active); announce web; timer 1110; ");
	assert_int_equal(vip_state(v, WEB), VIP_ACTIVE);
	/* Taken again: it is there. */
	take(1023, WEB, 8);
	expect("done 8 ok (active already); ");
}

static void
test_release_closes_first(void **state)
{
	(void)state;
	web_up();
	release(1010, WEB, 9);
	expect("lease nothing; timer off; ");
	leased(1011, NULL);
	expect("del web; ");
	removed(1012, WEB, true, NULL);
	expect("done 9 ok (released); ");
	assert_int_equal(vip_state(v, WEB), VIP_OFF);
	release(1013, WEB, 10);
	expect("done 10 ok (was not here); ");
}

static void
test_schedule_of_announcements(void **state)
{
	int64_t t;
	unsigned n = 0;

	(void)state;
	web_up();
	for (t = 1020; t <= 7000; t += 20) {
		beat(t);
		leased(t, NULL);
		timer(t);
		if (strstr(out, "announce") != NULL) {
			n++;
			assert_true(t == 1100 || t == 2000 || t == 6000);
		}
		out[0] = '\0';
	}
	assert_int_equal(n, 3); /* the first was at once */
	/* A timer that comes late announces once, not once for each. */
	release(7000, WEB, 0);
	leased(7000, NULL);
	removed(7000, WEB, true, NULL);
	take(7000, WEB, 0);
	added(7000, WEB, NULL);
	leased(7000, NULL);
	out[0] = '\0';
	for (t = 7020; t <= 9000; t += 20) {
		beat(t);
		leased(t, NULL);
	}
	out[0] = '\0';
	timer(9000);
	expect("announce web; timer 9100; ");
}

static void
test_beat_renews_all_in_one(void **state)
{
	(void)state;
	web_up();
	take(1005, DB, 8);
	added(1005, DB, NULL);
	expect("add db; lease web db until 1100; ");
	leased(1005, NULL);
	expect("done 8 ok (active); announce db; ");
	beat(1020);
	expect("lease web db until 1120; ");
	leased(1020, NULL);
	expect("");
	/* Until it is confirmed, the old end counts. */
	beat(1040);
	expect("lease web db until 1140; ");
	leased(1040, "busy");
	noted("addresses: the guard refused a change: busy");
	timer(1100);
	expect("announce web; timer 1105; ");
	timer(1120);
	expect("lapsed; lease nothing; timer off; ");
}

/* Many addresses move in one batch: the first waits for the last. */
static void
test_siblings_open_together(void **state)
{
	(void)state;
	vouch(1000, true);
	beat(1000);
	take(1001, WEB, 7);
	take(1001, DB, 8);
	expect("add web; add db; ");
	added(1002, WEB, NULL);
	expect("");
	added(1003, DB, NULL);
	expect("lease web db until 1100; ");
	leased(1003, NULL);
	expect("done 7 ok (active); announce web; done 8 ok (active); "
	       "announce db; timer 1100; ");
}

/* But not beyond the next heartbeat. */
static void
test_slow_sibling_holds_up_nobody(void **state)
{
	(void)state;
	vouch(1000, true);
	beat(1000);
	take(1001, WEB, 7);
	take(1001, DB, 8);
	added(1002, WEB, NULL);
	expect("add web; add db; ");
	beat(1020);
	expect("lease web until 1120; ");
}

static void
test_nobody_vouches(void **state)
{
	(void)state;
	beat(1000);
	take(1000, WEB, 7);
	added(1000, WEB, NULL);
	expect("add web; ");
	assert_int_equal(vip_state(v, WEB), VIP_MUTED);
	beat(1020);
	expect("");
	vouch(1030, true);
	expect("lease web until 1120; ");
	leased(1030, NULL);
	expect("done 7 ok (active); announce web; timer 1120; ");
	vouch(1040, false);
	expect("lease nothing; timer off; ");
	assert_int_equal(vip_state(v, WEB), VIP_MUTED);
	leased(1040, NULL);
	/* Released from there: the guard is closed once more, to be sure. */
	release(1050, WEB, 8);
	expect("lease nothing; ");
	leased(1050, NULL);
	removed(1050, WEB, true, NULL);
	expect("del web; done 8 ok (released); ");
}

/* R8: what has to stop is not vouched for again, and all else is. */
static void
test_leaving_stays_silent(void **state)
{
	struct vip_event ev = {.type = VIP_EV_VOUCH, .u.vouch = {true, {{0}}}};

	(void)state;
	beat(1000);
	take(1000, WEB, 7);
	added(1000, WEB, NULL);
	take(1000, DB, 8);
	added(1000, DB, NULL);
	expect("add web; add db; ");
	vip_set_add(&ev.u.vouch.leaving, WEB);
	step(1010, ev);
	expect("lease db until 1100; ");
	leased(1010, NULL);
	expect("done 8 ok (active); announce db; timer 1100; ");
	assert_int_equal(vip_state(v, WEB), VIP_MUTED);
	beat(1020);
	expect("lease db until 1120; ");
	leased(1020, NULL);
	expect("timer 1110; ");
	assert_int_equal(vip_state(v, WEB), VIP_MUTED);
	/* Until somebody takes it anew. */
	take(1030, WEB, 9);
	expect("done 7 failed (taken again); lease web db until 1120; ");
	leased(1030, NULL);
	assert_int_equal(vip_state(v, WEB), VIP_ACTIVE);
}

/* No heartbeat has left yet: nothing to count a lease from. */
static void
test_first_beat_opens(void **state)
{
	(void)state;
	vouch(1000, true);
	take(1000, WEB, 7);
	added(1000, WEB, NULL);
	expect("add web; lease nothing; ");
	leased(1000, NULL);
	assert_int_equal(vip_state(v, WEB), VIP_OPENING);
	beat(1010);
	expect("lease web until 1110; ");
	leased(1010, NULL);
	expect("done 7 ok (active); announce web; timer 1110; ");
}

/* A daemon that was frozen finds out before it does anything else. */
static void
test_late_beat_lapses(void **state)
{
	struct vip_status s;

	(void)state;
	web_up();
	beat(1150);
	expect("lapsed; lease nothing; timer off; ");
	noted("addresses: the lease was not renewed in time");
	assert_int_equal(vip_state(v, WEB), VIP_MUTED);
	leased(1150, NULL);
	beat(1170);
	expect("");
	vip_status(v, &s);
	assert_int_equal(s.lapsed, 1);
	assert_false(s.vouched);
	vouch(1180, true);
	expect("lease web until 1270; ");
	leased(1181, NULL);
	expect("announce web; timer 1270; ");
}

static void
test_timer_lapses_without_beats(void **state)
{
	(void)state;
	web_up();
	timer(1100);
	expect("lapsed; lease nothing; timer off; ");
	assert_int_equal(vip_state(v, WEB), VIP_MUTED);
}

/* The answer comes when the lease is over: that opened nothing. */
static void
test_late_answer_opens_nothing(void **state)
{
	(void)state;
	vouch(1000, true);
	beat(1000);
	take(1000, WEB, 7);
	added(1000, WEB, NULL);
	out[0] = '\0';
	leased(1100, NULL);
	expect("");
	assert_int_equal(vip_state(v, WEB), VIP_OPENING);
	beat(1110);
	expect("lease web until 1210; ");
	leased(1110, NULL);
	assert_int_equal(vip_state(v, WEB), VIP_ACTIVE);
}

static void
test_add_fails(void **state)
{
	struct vip_status s;

	(void)state;
	take(1000, WEB, 7);
	added(1000, WEB, "No such device");
	expect("add web; done 7 failed (not added: No such device); ");
	assert_int_equal(vip_state(v, WEB), VIP_OFF);
	vip_status(v, &s);
	assert_string_equal(s.addrs[WEB].error, "not added: No such device");
	take(1001, WEB, 8);
	vip_status(v, &s);
	assert_string_equal(s.addrs[WEB].error, "");
}

static void
test_guard_does_not_open(void **state)
{
	(void)state;
	vouch(1000, true);
	beat(1000);
	take(1000, WEB, 7);
	added(1000, WEB, NULL);
	leased(1000, "no");
	beat(1020);
	leased(1020, "no");
	beat(1040);
	out[0] = '\0';
	leased(1040, "no");
	expect("done 7 failed (guard not opened: no); lease nothing; ");
	assert_int_equal(vip_state(v, WEB), VIP_CLOSING);
	/* It does not close on order either: then by itself, in time. */
	leased(1040, "no");
	expect("timer 1140; ");
	timer(1140);
	expect("del web; timer off; ");
	removed(1140, WEB, true, NULL);
	assert_int_equal(vip_state(v, WEB), VIP_OFF);
}

/* Silent is what the others wait for; taking it off is repeated. */
static void
test_remove_fails(void **state)
{
	(void)state;
	web_up();
	release(1010, WEB, 9);
	leased(1010, NULL);
	out[0] = '\0';
	removed(1010, WEB, false, "Device busy");
	expect("done 9 ok (silenced, but not removed: Device busy); "
	       "timer 1110; ");
	timer(1110);
	expect("del web; timer off; ");
	removed(1110, WEB, false, "Device busy");
	expect("timer 1310; ");
	timer(1310);
	removed(1310, WEB, true, NULL);
	expect("del web; timer off; ");
	assert_int_equal(vip_state(v, WEB), VIP_OFF);
}

static void
test_stripped_is_put_back(void **state)
{
	struct vip_status s;

	(void)state;
	web_up();
	stripped(1010, WEB);
	expect("add web; ");
	added(1010, WEB, NULL);
	expect("announce web; ");
	/* Again at once: somebody is fighting; the pause doubles (R15). */
	stripped(1020, WEB);
	expect("");
	timer(1095);
	beat(1095);
	leased(1095, NULL);
	out[0] = '\0';
	timer(1110);
	expect("add web; announce web; timer 1195; ");
	added(1110, WEB, NULL);
	out[0] = '\0';
	stripped(1120, WEB);
	beat(1180);
	leased(1180, NULL);
	beat(1260);
	leased(1260, NULL);
	out[0] = '\0';
	timer(1310);
	assert_non_null(strstr(out, "add web; "));
	vip_status(v, &s);
	assert_int_equal(s.addrs[WEB].stripped, 3);
}

static void
test_stripped_elsewhere(void **state)
{
	(void)state;
	stripped(1000, DB);
	expect("");
	beat(1000);
	take(1000, WEB, 0);
	added(1000, WEB, NULL);
	out[0] = '\0';
	stripped(1001, WEB); /* MUTED */
	expect("add web; ");
	added(1001, WEB, "No such device");
	expect("timer 1101; ");
	timer(1101);
	expect("add web; timer off; ");
	release(1102, WEB, 0);
	stripped(1103, WEB); /* CLOSING */
	expect("lease nothing; ");
}

static void
test_conflicts_are_answered_sparingly(void **state)
{
	struct vip_status s;

	(void)state;
	conflict(1000, WEB); /* the holder's word, while we are OFF */
	expect("");
	web_up();
	conflict(1010, WEB);
	expect("announce web; ");
	noted("address web: claimed by 02:00:00:00:00:0b; announcing again");
	conflict(1020, WEB);
	conflict(1030, WEB);
	expect("");
	beat(1090);
	leased(1090, NULL);
	out[0] = '\0';
	conflict(1110, WEB);
	expect("announce web; ");
	beat(1150);
	leased(1150, NULL);
	beat(1230);
	leased(1230, NULL);
	out[0] = '\0';
	conflict(1300, WEB);
	expect("");
	conflict(1310, WEB);
	assert_non_null(strstr(out, "announce web"));
	vip_status(v, &s);
	assert_int_equal(s.addrs[WEB].conflicts, 6);
}

static void
test_carrier_comes_back(void **state)
{
	struct vip_status s;

	(void)state;
	web_up();
	carrier(1001, "eno1", true); /* as it was */
	carrier(1002, "eno2", false);
	expect("");
	noted("address db: interface lost carrier");
	carrier(1010, "eno1", false);
	expect("");
	vip_status(v, &s);
	assert_false(s.addrs[WEB].carrier);
	assert_int_equal(s.addrs[WEB].state, VIP_ACTIVE);
	carrier(1020, "eno1", true);
	expect("announce web; ");
}

static void
test_flushed_is_counted(void **state)
{
	struct vip_status s;

	(void)state;
	step(
	    1, (struct vip_event){.type = VIP_EV_FLUSHED, .u.flushed = {true}});
	noted("guard: somebody changed its tables; they were put back");
	step(2, (struct vip_event){
		    .type = VIP_EV_FLUSHED, .u.flushed = {false, "no memory"}});
	noted("not put back yet: no memory");
	vip_status(v, &s);
	assert_int_equal(s.flushed, 2);
	expect("");
}

/* The newer order wins, and whoever waited for the older one is told. */
static void
test_orders_cross(void **state)
{
	(void)state;
	vouch(1000, true);
	beat(1000);
	take(1000, WEB, 1);
	take(1000, WEB, 2);
	expect("add web; done 1 failed (taken again); ");
	release(1001, WEB, 3);
	expect("done 2 failed (released); lease nothing; ");
	release(1001, WEB, 4);
	expect("done 3 failed (released again); ");
	added(1001, WEB, NULL); /* of the take; it is on its way out */
	leased(1001, NULL);
	expect("del web; ");
	take(1002, WEB, 5);
	expect("done 4 failed (taken again); add web; ");
	removed(1002, WEB, true, NULL); /* of the release */
	added(1002, WEB, NULL);
	leased(1002, NULL);
	expect("lease web until 1100; done 5 ok (active); announce web; "
	       "timer 1100; ");
}

/* The lease counts from when the heartbeat left, not from when that is told. */
static void
test_beat_counts_from_its_own_time(void **state)
{
	(void)state;
	web_up();
	beat_of(1030, 1010);
	expect("lease web until 1110; ");
	leased(1030, NULL);
	expect("");
	/* An older one takes back nothing of what was promised. */
	beat_of(1040, 1005);
	expect("lease web until 1110; ");
	/* One that is as old as the lease is no renewal. */
	beat_of(1109, 1009);
	expect("lease web until 1110; ");
	timer(1110);
	expect("lapsed; lease nothing; timer off; ");
}

/* Nor does one that is over already open anything. */
static void
test_first_beat_is_too_old(void **state)
{
	(void)state;
	vouch(1000, true);
	take(1000, WEB, 7);
	added(1000, WEB, NULL);
	beat_of(1001, 901);
	expect("add web; lease nothing; lease nothing; ");
	leased(1001, NULL);
	assert_int_equal(vip_state(v, WEB), VIP_OPENING);
	beat_of(1002, 903);
	expect("lease web until 1003; ");
}

/* Of an address with family 0 nothing is said and nothing is touched. */
static void
test_family_0_is_skipped(void **state)
{
	static const struct vip_addr_conf two[] = {
	    {.name = "vr", .ifname = "eno1"},
	    {"db", 4, {192, 0, 2, 81}, 24, "eno2"}};
	struct vip_conf conf = {two, NITEMS(two), LEASE};
	struct vip_status s;

	(void)state;
	teardown(NULL);
	v = vip_new(&conf, &ops, NULL);
	assert_non_null(v);
	start(1000);
	expect("del db; ");
	vouch(1001, true);
	carrier(1001, "", false);
	carrier(1001, "eno1", false);
	beat(1001);
	expect("");
	assert_null(strstr(notes, "vr"));
	assert_int_equal(vip_state(v, 0), VIP_OFF);
	assert_int_equal(vip_state(v, 1), VIP_REMOVING);
	vip_status(v, &s);
	assert_int_equal(s.n, 2);
	assert_false(s.addrs[0].present);
}

/* Every state answers every event without an assertion. */
static void
test_table_is_total(void **state)
{
	unsigned s, e;

	(void)state;
	for (s = 0; s < VIP_STATE_N; s++)
		for (e = 0; e < VIP_EV_N; e++) {
			struct vip_event ev = {.type = (enum vip_ev)e};

			if (s > 0 || e > 0) {
				teardown(NULL);
				setup(NULL);
			}
			if (s != VIP_MUTED)
				vouch(1000, true);
			beat(1000);
			if (s != VIP_OFF)
				take(1000, WEB, 1);
			if (s >= VIP_MUTED)
				added(1000, WEB, NULL);
			if (s >= VIP_ACTIVE)
				leased(1000, NULL);
			if (s >= VIP_CLOSING)
				release(1000, WEB, 2);
			if (s >= VIP_REMOVING)
				leased(1000, NULL);
			assert_int_equal(vip_state(v, WEB), s);
			if (e == VIP_EV_CARRIER)
				ev.u.carrier.ifname = "eno1";
			if (e == VIP_EV_LEASED)
				ev.u.leased.seq = seq;
			step(1001, ev);
			assert_true(vip_state(v, WEB) < VIP_STATE_N);
			assert_non_null(vip_ev_name((enum vip_ev)e));
			assert_non_null(vip_state_name((enum vip_state)s));
		}
}

/* A reload: what stays goes on in the middle of whatever it was doing. */
static void
test_another_core_goes_on(void **state)
{
	struct vip_addr_conf more[3] = {
	    addrs[WEB], addrs[DB], {"new", 4, {192, 0, 2, 81}, 24, "eno1"}};
	struct vip_conf conf = {more, NITEMS(more), LEASE};
	struct vip *old = v;
	struct vip_status s;

	(void)state;
	start(0);
	removed(0, WEB, false, NULL);
	removed(0, DB, false, NULL);
	web_up();
	take(1010, DB, 8);
	expect("add db; ");
	strcpy(more[WEB].name, "www");
	v = vip_new(&conf, &ops, NULL);
	assert_non_null(v);
	vip_adopt(v, old);
	vip_free(old);
	/* START looks after the new one only. */
	step(1020, (struct vip_event){.type = VIP_EV_START});
	expect("del new; ");
	assert_int_equal(vip_state(v, 2), VIP_REMOVING);
	assert_int_equal(vip_state(v, WEB), VIP_ACTIVE);
	removed(1020, 2, false, NULL);
	out[0] = '\0';
	added(1021, DB, NULL);
	expect("lease web db until 1100; ");
	leased(1022, NULL);
	expect("done 8 ok (active); announce db; ");
	beat(1050);
	expect("lease web db until 1150; ");
	vip_status(v, &s);
	assert_string_equal(s.addrs[WEB].name, "www");
	assert_int_equal(s.addrs[WEB].since.us, 1000000);
	assert_int_equal(s.addrs[WEB].announced, 1);
	assert_true(s.vouched);
	/* And back: the third one is off, so its place may go. */
	conf.n = 2;
	old = v;
	v = vip_new(&conf, &ops, NULL);
	assert_non_null(v);
	vip_adopt(v, old);
	vip_free(old);
	out[0] = '\0';
	step(1060, (struct vip_event){.type = VIP_EV_START});
	expect("");
	beat(1070);
	expect("lease web db until 1170; ");
}

/* Who says until when may say less than before, and is held to it. */
static void
test_a_beat_that_says_until_when(void **state)
{
	struct vip_event ev = {.type = VIP_EV_BEAT};

	(void)state;
	web_up();
	ev.u.beat.until = (monotime_t){3000 * 1000};
	step(1010, ev);
	expect("lease web until 3000; ");
	leased(1010, NULL);
	out[0] = '\0';
	ev.u.beat.until = (monotime_t){1040 * 1000};
	step(1020, ev);
	expect("lease web until 1040; ");
	leased(1020, NULL);
	expect("timer 1040; ");
	/* It is over as it is said. */
	ev.u.beat.until = (monotime_t){1025 * 1000};
	step(1030, ev);
	expect("lapsed; lease nothing; timer off; ");
	assert_int_equal(vip_state(v, WEB), VIP_MUTED);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(start_removes_leftovers),
	    T(take_opens_behind_the_guard),
	    T(release_closes_first),
	    T(schedule_of_announcements),
	    T(beat_renews_all_in_one),
	    T(siblings_open_together),
	    T(slow_sibling_holds_up_nobody),
	    T(nobody_vouches),
	    T(leaving_stays_silent),
	    T(first_beat_opens),
	    T(late_beat_lapses),
	    T(timer_lapses_without_beats),
	    T(late_answer_opens_nothing),
	    T(add_fails),
	    T(guard_does_not_open),
	    T(remove_fails),
	    T(stripped_is_put_back),
	    T(stripped_elsewhere),
	    T(conflicts_are_answered_sparingly),
	    T(carrier_comes_back),
	    T(flushed_is_counted),
	    T(orders_cross),
	    T(beat_counts_from_its_own_time),
	    T(first_beat_is_too_old),
	    T(family_0_is_skipped),
	    T(another_core_goes_on),
	    T(a_beat_that_says_until_when),
	    T(table_is_total),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
