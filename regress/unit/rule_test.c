/* SPDX-License-Identifier: BSD-2-Clause */
/* Every rule that a note can name can be explained. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>

#include "rule.h"

static void
every_rule_says_what_it_does_and_what_not(void **state)
{
	char name[8];

	(void)state;
	for (unsigned i = 1; i <= 15; i++) {
		snprintf(name, sizeof(name), "R%u", i);
		assert_non_null(rule_named(name));
	}
	for (unsigned i = 0; rule_at(i) != NULL; i++) {
		const struct rule *r = rule_at(i);

		assert_ptr_equal(rule_named(r->name), r);
		assert_true(strlen(r->says) > 20);
		assert_true(strlen(r->rejected) > 20);
		/* It has to fit where a note's rule does. */
		assert_true(strlen(r->name) < 12);
	}
	assert_null(rule_named("R16"));
	assert_null(rule_named(""));
}

/* The words between quotes right after a level are the rule of a note. */
static void
rules_of(const char *path)
{
	static const char *const levels[] = {
	    "HAD_ERR, \"", "HAD_WARN, \"", "HAD_INFO, \""};
	FILE *f = fopen(path, "r");
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		for (unsigned i = 0; i < NITEMS(levels); i++) {
			const char *at = strstr(line, levels[i]);
			char name[32];

			if (at == NULL)
				continue;
			snprintf(
			    name, sizeof(name), "%s", at + strlen(levels[i]));
			name[strcspn(name, "\"")] = '\0';
			if (name[0] != '\0' && rule_named(name) == NULL)
				fail_msg("%s: rule '%s' is not explained", path,
				    name);
		}
	}
	fclose(f);
}

static void
every_note_names_a_rule_that_exists(void **state)
{
	static const char *const cores[] = {"svc", "member", "arb", "node"};
	DIR *d = opendir("src");
	struct dirent *e;
	unsigned n = 0;

	(void)state;
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		size_t len = strlen(e->d_name);
		char path[300];

		for (unsigned i = 0; i < NITEMS(cores); i++) {
			if (strncmp(e->d_name, cores[i], strlen(cores[i])) !=
				0 ||
			    strcmp(e->d_name + len - 2, ".c") != 0)
				continue;
			snprintf(path, sizeof(path), "src/%s", e->d_name);
			rules_of(path);
			n++;
		}
	}
	closedir(d);
	assert_true(n > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_rule_says_what_it_does_and_what_not),
	    cmocka_unit_test(every_note_names_a_rule_that_exists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
