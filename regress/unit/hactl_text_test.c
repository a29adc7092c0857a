/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What hactl prints for eyes, against golden files.  GOLDEN_UPDATE=1 writes
 * them anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hactl.h"

#define DIR "regress/cli/golden/"

static char *
slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 65536);

	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, 65535, f) > 0);
	fclose(f);
	return text;
}

static void
golden(const char *name, void (*print)(const json_t *, FILE *))
{
	char path[128], *got = NULL, *want;
	size_t len = 0;
	FILE *f = open_memstream(&got, &len);
	json_t *o;

	snprintf(path, sizeof(path), DIR "%s.json", name);
	o = json_load_file(path, 0, NULL);
	assert_non_null(o);
	print(o, f);
	fclose(f);
	json_decref(o);
	snprintf(path, sizeof(path), DIR "%s.txt", name);
	if (getenv("GOLDEN_UPDATE") != NULL) {
		f = fopen(path, "w");
		assert_non_null(f);
		fputs(got, f);
		fclose(f);
	}
	want = slurp(path);
	assert_string_equal(got, want);
	free(want);
	free(got);
}

static void
status_says_state_cause_command_and_forecast(void **state)
{
	(void)state;
	golden("status", text_status);
}

static void
status_is_loud_about_a_freeze(void **state)
{
	(void)state;
	golden("frozen", text_status);
	golden("held", text_status);
}

static void
volumes_show_progress_and_errors(void **state)
{
	(void)state;
	golden("volumes", text_volumes);
}

static void
addresses_show_who_decides_and_what_was_rejected(void **state)
{
	(void)state;
	golden("addresses", text_addresses);
}

static void
metrics_are_what_prometheus_reads(void **state)
{
	(void)state;
	golden("metrics", text_metrics);
}

static void
links_show_loss_and_strangers(void **state)
{
	(void)state;
	golden("links", text_links);
}

static void
locks_say_who_holds_and_who_waits_for_whom(void **state)
{
	(void)state;
	golden("locks", text_locks);
}

static void
why_tells_the_story_in_order(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	golden("why", text_why);
}

static void
ages_read_well(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {{-1, "-"}, {0, "0.0 s"}, {149, "0.1 s"}, {59999, "59.9 s"},
	    {60000, "1 min"}, {3600000, "1 h"}, {47 * 3600000LL, "47 h"},
	    {12 * 86400000LL, "12 d"}};
	char buf[24];

	(void)state;
	for (unsigned i = 0; i < NITEMS(cases); i++) {
		format_age(cases[i].ms, buf, sizeof(buf));
		assert_string_equal(buf, cases[i].text);
	}
}

static void
sizes_read_well(void **state)
{
	static const struct {
		int64_t bytes;
		const char *text;
	} cases[] = {{0, "0"}, {512, "512 B"}, {1536, "1.5 KiB"},
	    {268435456, "256 MiB"}, {1LL << 40, "1.0 TiB"}};
	char buf[24];

	(void)state;
	for (unsigned i = 0; i < NITEMS(cases); i++) {
		format_bytes(cases[i].bytes, buf, sizeof(buf));
		assert_string_equal(buf, cases[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(status_says_state_cause_command_and_forecast),
	    cmocka_unit_test(status_is_loud_about_a_freeze),
	    cmocka_unit_test(volumes_show_progress_and_errors),
	    cmocka_unit_test(addresses_show_who_decides_and_what_was_rejected),
	    cmocka_unit_test(metrics_are_what_prometheus_reads),
	    cmocka_unit_test(links_show_loss_and_strangers),
	    cmocka_unit_test(locks_say_who_holds_and_who_waits_for_whom),
	    cmocka_unit_test(why_tells_the_story_in_order),
	    cmocka_unit_test(ages_read_well),
	    cmocka_unit_test(sizes_read_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
