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

#include "drive_reload.c"

static const char *file_text; /* what drive_load reads */

int
drive_load(struct conf *c, const char *path)
{
	struct conf_errors errors = {.text = NULL};

	return conf_parse(c, path, file_text, strlen(file_text), &errors);
}

/* What a reload of routers tells the node and the drivers. */
static unsigned reloads, retracked;
static uint16_t old_tracks;
static bool bad_password;

int
drive_vr_passwords(struct conf *c)
{
	(void)c;
	return bad_password ? -1 : 0;
}

void
drive_step(struct drive *d, struct nd_event *e)
{
	(void)d;
	assert_int_equal(e->type, ND_EV_VR_RELOAD);
	old_tracks = e->u.reload.n_tracks;
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
routers_change_in_all_but_who_they_are(void **state)
{
	static const char *const refused[][2] = {
	    {"vrid 51", "vrid 52"},
	    {"address gw; ", "address gw; virtual mac; "},
	    {"interval 100ms", "interval 200ms"},
	    {"track interface e0", "track interface e7"},
	    {"address gw; ", "address gw; unicast 192.0.2.12; "},
	};
	struct drive *d = running();
	char text[512], *with;

	(void)state;
	reloads = retracked = 0;
	assert_int_equal(drive_reload(d, text, sizeof(text)), 0);
	assert_int_equal(reloads, 0);
	file_text = with =
	    replaced("track interface e0", "priority 150; track file /a");
	assert_int_equal(drive_reload(d, text, sizeof(text)), 0);
	assert_string_equal(text, "applied");
	assert_int_equal(reloads, 1);
	assert_int_equal(retracked, 1);
	assert_int_equal(old_tracks, 1);
	assert_int_equal(conf_router_rank(&d->conf->routers[0], 1), 150);
	assert_string_equal(d->conf->tracks[0].what, "/a");
	free(with);
	stop(d);
	for (size_t i = 0; i < NITEMS(refused); i++) {
		d = running();
		file_text = with = replaced(refused[i][0], refused[i][1]);
		if (drive_reload(d, text, sizeof(text)) != -1)
			fail_msg("%s was taken", refused[i][1]);
		free(with);
		stop(d);
	}
	assert_int_equal(reloads, 1);
	d = running();
	bad_password = true;
	assert_int_equal(drive_reload(d, text, sizeof(text)), -1);
	assert_non_null(strstr(text, "password file"));
	bad_password = false;
	stop(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(arbiters_are_refused_with_the_reason),
	    cmocka_unit_test(other_changes_are_applied_or_refused),
	    cmocka_unit_test(routers_change_in_all_but_who_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
