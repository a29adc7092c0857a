/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reload, all or nothing: what a running daemon takes over, and what it
 * refuses with which reason.  The daemon's reading of the file is replaced by
 * a text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The node and the drivers are this test's. */
#define nd_reload_new test_reload_new
#define nd_reload_free test_reload_free
#include "drive_reload.c"

static const char *file_text; /* what drive_load reads */

int
drive_load(struct conf *c, const char *path)
{
	struct conf_errors errors = {.text = NULL};

	return conf_parse(c, path, file_text, strlen(file_text), &errors);
}

/* What a reload of routers tells the node and the drivers. */
static unsigned reloads, retracked, remade, drained;
static uint16_t old_tracks;
static bool bad_password, no_memory, no_drivers;
static struct nd_vr *const room = (struct nd_vr *)&reloads;
static const struct conf_router *seen; /* by the node */

int
drive_vr_passwords(struct conf *c)
{
	(void)c;
	return bad_password ? -1 : 0;
}

struct nd_vr *
test_reload_new(struct nd *nd, const struct conf *c)
{
	(void)nd, (void)c;
	return no_memory ? NULL : room;
}

void
test_reload_free(struct nd_vr *vr)
{
	assert_true(vr == (no_memory ? NULL : room));
}

int
drive_vip_remake(struct drive *d, char *err, size_t size)
{
	(void)d;
	remade++;
	snprintf(err, size, "guard: no");
	return no_drivers ? -1 : 0;
}

void
drive_vr_drain(struct drive *d)
{
	(void)d;
	drained++;
}

void
drive_step(struct drive *d, struct nd_event *e)
{
	assert_int_equal(e->type, ND_EV_VR_RELOAD);
	/* The guard is closed over what comes before anybody can take it. */
	assert_int_equal(remade, reloads + 1);
	assert_int_equal(drained, reloads);
	assert_true(e->u.reload.vr == room);
	old_tracks = e->u.reload.n_tracks;
	seen = d->conf->routers;
	reloads++;
}

void
drive_vr_tracks(struct drive *d)
{
	(void)d;
	retracked++;
}

static const char pair[] =
    "cluster shop {\n"
    "	heartbeat 100ms; dead 500ms\n"
    "	witness 192.0.2.53 key \"sha256:c0ffee3c5d2e4f60718293a4b5c6d7e8"
    "f90123456789abcdeffedcba98765432\" port 7770\n"
    "	lock disk /dev/lock-a\n"
    "	watchdog /dev/watchdog timeout 5s\n"
    "	ping 192.0.2.1\n"
    "	self fence off\n"
    "}\n"
    "node alpha { id 1; key \"sha256:5f2c0f4e8d1b6a9370c2e5b8f1a4d7e0"
    "0112233445566778899aabbccddeeff0\"\n"
    "	link a 10.77.0.1 interface e0 domain one\n"
    "	link b 10.78.0.1 interface e1\n"
    "	fence fence_x timeout 20s { plug 1; password file /etc/a } }\n"
    "node bravo { id 2; key \"sha256:91aa7b3c5d2e4f60718293a4b5c6d7e8"
    "f90123456789abcdeffedcba98765432\"\n"
    "	link a 10.77.0.2 interface e0\n"
    "	link b 10.78.0.2 interface e1\n"
    "	fence fence_x timeout 20s { plug 2 } }\n"
    "address web { 192.0.2.80/24 interface e0 }\n"
    "service web { start { address web timeout 10s } check \"true\" }\n"
    "address gw { 192.0.2.3/24 interface e0 }\n"
    "router gw { vrrp 3 vrid 51; address gw; interval 100ms\n"
    "	track interface e0 }\n";

/* The text with what replaced by with; what has to be there. */
static char *
replaced(const char *what, const char *with)
{
	size_t size = sizeof(pair) + strlen(with);
	const char *at = strstr(pair, what);
	char *text;

	assert_non_null(at);
	text = calloc(1, size);
	assert_non_null(text);
	snprintf(text, size, "%.*s%s%s", (int)(at - pair), pair, with,
	    at + strlen(what));
	return text;
}

static struct drive *
running(void)
{
	struct drive *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	d->conf = calloc(1, sizeof(*d->conf));
	assert_non_null(d->conf);
	d->begun = true;
	file_text = pair;
	assert_int_equal(drive_load(d->conf, "f"), 0);
	return d;
}

static void
stop(struct drive *d)
{
	free(d->conf);
	free(d);
}

static void
arbiters_are_refused_with_the_reason(void **state)
{
	static const char *const rows[][2] = {{"100ms", "99ms"},
	    {"500ms", "501ms"}, {"192.0.2.53", "192.0.2.54"}, {"c0ff", "c1ff"},
	    {"port 7770", "port 7771"}, {"lock disk /dev/lock-a\n", "\n"},
	    {"lock-a", "lock-b"}, {"/dev/watchdog", "/dev/watchdog1"},
	    {"timeout 5s", "timeout 6s"}, {"ping 192.0.2.1", "ping 192.0.2.2"},
	    {"self fence off", "self fence sysrq"}, {" domain one", ""},
	    {"e1\n", "e1 domain one\n"}, {"fence_x", "fence_y"},
	    {"timeout 20s", "timeout 21s"}, {"plug 1", "plug 3"},
	    {"plug 1", "port 1"}, {"plug 1;", ""}, {"file /etc/a", "x"}};
	struct drive *d = running();
	uint64_t digest = d->conf->digest;
	char text[512], *with;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		file_text = with = replaced(rows[i][0], rows[i][1]);
		assert_int_equal(drive_reload(d, text, sizeof(text)), -1);
		if (strstr(text, "what decides on a silent peer") == NULL)
			fail_msg("%s -> %s: %s", rows[i][0], rows[i][1], text);
		assert_non_null(
		    strstr(text, "the running configuration stays"));
		assert_true(d->conf->digest == digest);
		free(with);
	}
	stop(d);
}

static void
other_changes_are_applied_or_refused(void **state)
{
	struct drive *d = running();
	char text[512], *with;

	(void)state;
	assert_int_equal(drive_reload(d, text, sizeof(text)), 0);
	assert_string_equal(text, "nothing changed");
	file_text = with = replaced("check \"true\"", "check \"false\"");
	assert_int_equal(drive_reload(d, text, sizeof(text)), 0);
	assert_string_equal(text, "applied");
	assert_string_equal(d->conf->services[0].check, "false");
	free(with);
	file_text = with = replaced("192.0.2.80", "192.0.2.81");
	assert_int_equal(drive_reload(d, text, sizeof(text)), -1);
	assert_non_null(strstr(text, "address web is new, and of a service"));
	assert_non_null(strstr(text, "the running configuration stays"));
	free(with);
	file_text = with = replaced("service web", "service www");
	assert_int_equal(drive_reload(d, text, sizeof(text)), -1);
	assert_non_null(strstr(text, "more than a running daemon can take"));
	free(with);
	file_text = with = replaced("self fence off", "self fence watchdo");
	assert_int_equal(drive_reload(d, text, sizeof(text)), -1);
	assert_non_null(strstr(text, "has errors"));
	assert_string_equal(d->conf->services[0].check, "false");
	free(with);
	stop(d);
}

static void
fresh_counts(void)
{
	reloads = retracked = remade = drained = 0;
}

static void
routers_change(void **state)
{
	struct drive *d = running();
	char text[512], *with;

	(void)state;
	fresh_counts();
	assert_int_equal(drive_reload(d, text, sizeof(text)), 0);
	assert_int_equal(reloads, 0);
	file_text = with =
	    replaced("track interface e0", "priority 150; track file /a");
	assert_int_equal(drive_reload_plan(d, text, sizeof(text)), 0);
	assert_string_equal(text,
	    "it would be applied: routers 0 added, 0 removed, 1 changed, 0 "
	    "kept; addresses 0 added, 0 removed: ~gw; nothing is interrupted");
	assert_int_equal(reloads, 0);
	assert_int_equal(drive_reload(d, text, sizeof(text)), 0);
	assert_string_equal(text,
	    "applied: routers 0 added, 0 removed, 1 changed, 0 kept; addresses "
	    "0 added, 0 removed: ~gw");
	assert_int_equal(reloads, 1);
	assert_int_equal(retracked, 1);
	assert_int_equal(drained, 1);
	assert_int_equal(old_tracks, 1);
	assert_int_equal(conf_router_rank(&d->conf->routers[0], 1), 150);
	assert_string_equal(d->conf->tracks[0].what, "/a");
	assert_int_equal(drive_reload(d, text, sizeof(text)), 0);
	assert_string_equal(text, "nothing changed");
	free(with);
	file_text = pair;
	bad_password = true;
	assert_int_equal(drive_reload(d, text, sizeof(text)), -1);
	assert_non_null(strstr(text, "password file"));
	bad_password = false;
	d->begun = false;
	assert_int_equal(drive_reload(d, text, sizeof(text)), -1);
	assert_non_null(strstr(text, "starting"));
	stop(d);
}

/* The file with other routers behind, or before what a service has. */
static void
load_tail(const char *tail)
{
	static char text[4096];
	const char *at = strstr(pair, "address gw {");

	snprintf(text, sizeof(text), "%.*s%s", (int)(at - pair), pair, tail);
	file_text = text;
}

#define GW "address gw { 192.0.2.3/24 interface e0 }\n"
#define R "router gw { vrrp 3 vrid 51; address gw; interval 100ms\n"
#define GW_R GW R "	track interface e0 }\n"
#define G6 "address g6 { 2001:db8::3/64 interface e0 }\n"
#define G6_R \
	G6 "router g6 { vrrp 3 vrid 51; address g6; interval 20ms; group b " \
	   "}\n"
#define G7 "address g7 { 2001:db8::7/64 interface e0 }\n"

static void
routers_come_and_go_and_keep_their_places(void **state)
{
	struct drive *d = running();
	char text[512], *with;

	(void)state;
	fresh_counts();
	/* Before a service's address: its place must not move. */
	file_text = with = replaced("address web {", G6_R "address web {");
	assert_int_equal(drive_reload(d, text, sizeof(text)), 0);
	assert_string_equal(text,
	    "applied: routers 1 added, 0 removed, 0 changed, 1 kept; addresses "
	    "1 added, 0 removed: +g6");
	assert_int_equal(reloads, 1);
	assert_string_equal(seen[0].name, "gw");
	assert_string_equal(seen[1].name, "g6");
	assert_int_equal(seen[1].addrs[0], 2);
	assert_int_equal(seen[1].id, 1);
	assert_string_equal(d->conf->addresses[0].name, "web");
	assert_int_equal(d->conf->services[0].steps[0].ref, 0);
	assert_int_equal(d->conf->tracks[0].router, 0);
	assert_int_equal(d->conf->addresses[2].router, 1);
	assert_int_equal(d->conf->n_router_ifs, 1);
	assert_int_equal(drive_reload(d, text, sizeof(text)), 0);
	assert_string_equal(text, "nothing changed");
	free(with);
	/* The first one goes, the second has another name and address more. */
	load_tail(G6 G7 "router g { vrrp 3 vrid 51; address g6; address g7; "
			"interval 20ms; group b }\n");
	assert_int_equal(drive_reload(d, text, sizeof(text)), 0);
	assert_string_equal(text,
	    "applied: routers 0 added, 1 removed, 1 changed, 0 kept; addresses "
	    "1 added, 1 removed: -gw ~g");
	assert_true(seen[0].leaving && d->conf->addresses[1].leaving);
	assert_int_equal(seen[1].n_addrs, 2);
	assert_int_equal(seen[1].addrs[1], 3);
	assert_int_equal(d->conf->addresses[1].router, 0);
	/* It is not gone yet. */
	load_tail(GW_R G6_R);
	assert_int_equal(drive_reload(d, text, sizeof(text)), -1);
	assert_non_null(strstr(text, "still being given up"));
	/* Its place is another's then, and what is last is no place at all. */
	conf_drop_router(d->conf, 0);
	conf_drop_address(d->conf, 1);
	assert_int_equal(d->conf->n_routers, 2);
	load_tail(
	    "address gx { 192.0.2.9/24 interface e2 }\n"
	    "router gx { vrrp 3 vrid 9; address gx; interval 1s; group a }\n");
	assert_int_equal(drive_reload(d, text, sizeof(text)), 0);
	assert_string_equal(seen[0].name, "gx");
	assert_int_equal(seen[0].addrs[0], 1);
	assert_true(seen[1].leaving);
	assert_int_equal(seen[1].group_id, 1);
	assert_int_equal(seen[0].group_id, 2);
	assert_int_equal(d->conf->n_router_ifs, 2);
	assert_string_equal(d->conf->router_ifs[1], "e2");
	conf_drop_router(d->conf, 1);
	conf_drop_address(d->conf, 3);
	conf_drop_address(d->conf, 2);
	assert_int_equal(d->conf->n_routers, 1);
	assert_int_equal(d->conf->n_addresses, 2);
	stop(d);
}

static void
what_routers_cannot_change_is_refused(void **state)
{
	static const char *const rows[][2] = {
	    {GW "router gw { vrrp 3 vrid 52; address gw; interval 100ms }\n",
		"address gw goes from router gw to another"},
	    {GW "router gw { vrrp 3 vrid 51; address gw; virtual mac }\n",
		"router gw changes virtual mac"},
	    {GW "router gw { vrrp 2 vrid 51; address gw; interval 1s }\n",
		"router gw changes its protocol"},
	    {"address gw { 192.0.2.3/25 interface e0 }\n" R "}\n",
		"address gw gets another interface, prefix length"},
	    {"address gw { 192.0.2.3/24 interface e1 }\n" R "}\n",
		"address gw gets another interface, prefix length"},
	    {"address gw { 192.0.2.3/24 interface e0; share }\n",
		"address gw gets another interface, prefix length"},
	    {GW_R "address s { 192.0.2.5/24 interface e0; share }\n",
		"address s is new, and of a service or shared"},
	    {"router gw { vrrp 3 vrid 51; address web }\n",
		"router gw changes its service"},
	    {GW_R "router b { vrrp 3 vrid 51; address gw }\n", "has errors"},
	};
	struct drive *d;
	char text[512];
	struct conf *was = calloc(1, sizeof(*was));

	(void)state;
	assert_non_null(was);
	fresh_counts();
	for (size_t i = 0; i < NITEMS(rows); i++) {
		d = running();
		*was = *d->conf;
		load_tail(rows[i][0]);
		if (drive_reload(d, text, sizeof(text)) != -1 ||
		    strstr(text, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], text);
		assert_non_null(
		    strstr(text, "the running configuration stays"));
		assert_memory_equal(was, d->conf, sizeof(*was));
		stop(d);
	}
	assert_int_equal(remade, 0);
	/* The world says no: it is all as it was. */
	d = running();
	*was = *d->conf;
	load_tail(GW_R G6_R);
	no_drivers = true;
	assert_int_equal(drive_reload(d, text, sizeof(text)), -1);
	assert_string_equal(text, "guard: no; the running configuration stays");
	assert_memory_equal(was, d->conf, sizeof(*was));
	no_drivers = false;
	no_memory = true;
	assert_int_equal(drive_reload(d, text, sizeof(text)), -1);
	assert_memory_equal(was, d->conf, sizeof(*was));
	no_memory = false;
	assert_int_equal(reloads, 0);
	stop(d);
	free(was);
}

/* Who has the old list would believe nothing, and take all of them. */
static void
lists_that_are_signed_stay(void **state)
{
	static const char *const protos[] = {
	    "carp vhid 7; password x", "vrrp 2 vrid 7"};

	(void)state;
	for (size_t i = 0; i < NITEMS(protos); i++) {
		struct drive *d = running();
		char tail[512], text[512];

		snprintf(tail, sizeof(tail),
		    GW "router gw { %s; address gw }\n", protos[i]);
		load_tail(tail);
		assert_int_equal(drive_load(d->conf, "f"), 0);
		snprintf(tail, sizeof(tail),
		    GW "address g2 { 192.0.2.4/24 interface e0 }\n"
		       "router gw { %s; address gw; address g2 }\n",
		    protos[i]);
		load_tail(tail);
		assert_int_equal(drive_reload(d, text, sizeof(text)), -1);
		assert_non_null(strstr(text, "stop had on both"));
		stop(d);
	}
}

static void
there_is_an_end_to_places(void **state)
{
	struct drive *d = running();
	char *text = calloc(1, 65536), answer[512];

	(void)state;
	assert_non_null(text);
	fresh_counts();
	/* With the one that leaves there are 256 addresses, and 257. */
	for (unsigned most = 255; most >= 254; most--) {
		size_t n = (size_t)(strstr(pair, "address gw {") - pair);

		memcpy(text, pair, n);
		for (unsigned i = 1; i <= most; i++)
			n += (size_t)snprintf(text + n, 65536 - n,
			    "address a%u { 172.16.1.%u/16 interface e0 }\n"
			    "router a%u { vrrp 3 vrid %u; address a%u }\n",
			    i, i, i, i, i);
		file_text = text;
		assert_int_equal(drive_reload(d, answer, sizeof(answer)),
		    most == 255 ? -1 : 0);
		assert_non_null(strstr(
		    answer, most == 255 ? "more than 256 addresses"
					: "253 added, 0 removed, 1 changed"));
		if (most == 254)
			assert_string_equal(
			    answer + strlen(answer) - 9, " +a45 ...");
	}
	stop(d);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(arbiters_are_refused_with_the_reason),
	    cmocka_unit_test(other_changes_are_applied_or_refused),
	    cmocka_unit_test(routers_change),
	    cmocka_unit_test(routers_come_and_go_and_keep_their_places),
	    cmocka_unit_test(what_routers_cannot_change_is_refused),
	    cmocka_unit_test(lists_that_are_signed_stay),
	    cmocka_unit_test(there_is_an_end_to_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
