/* SPDX-License-Identifier: BSD-2-Clause */
/* Fence agents' convention: what they are told, and what they answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <bsd/string.h>

#include "fence_agent.h"

static void
param(struct conf_fence *f, struct fa_values *v, const char *name,
    const char *value, bool file)
{
	struct conf_fence_param *p = &f->params[f->n_params];

	strlcpy(p->name, name, sizeof(p->name));
	p->file = file;
	strlcpy(p->value, file ? "/etc/secret" : value, sizeof(p->value));
	strlcpy(v->values[f->n_params++], value, HAD_VALUE_MAX);
}

static void
input_has_action_node_and_parameters(void **state)
{
	struct conf_fence f = {0};
	struct fa_values v = {0};
	char buf[FA_INPUT_MAX];
	const char *why;

	(void)state;
	param(&f, &v, "ip", "10.0.0.1", false);
	param(&f, &v, "passwd", "two words = one", true);
	assert_int_equal(fa_input(&f, &v, FA_OFF, "bravo", buf, &why), 61);
	assert_string_equal(buf, "action=off\nnodename=bravo\nip=10.0.0.1\n"
				 "passwd=two words = one\n");
	assert_true(fa_input(&f, &v, FA_STATUS, "bravo", buf, &why) > 0);
	assert_int_equal(strncmp(buf, "action=status\n", 14), 0);
	assert_true(fa_input(&f, &v, FA_MONITOR, "bravo", buf, &why) > 0);
	assert_int_equal(strncmp(buf, "action=monitor\n", 15), 0);
	assert_true(fa_input(&f, &v, FA_ON, "bravo", buf, &why) > 0);
	assert_int_equal(strncmp(buf, "action=on\n", 10), 0);
	/* The device may know the node by another name. */
	param(&f, &v, "nodename", "rack4-b", false);
	assert_true(fa_input(&f, &v, FA_OFF, "bravo", buf, &why) > 0);
	assert_string_equal(buf, "action=off\nnodename=rack4-b\nip=10.0.0.1\n"
				 "passwd=two words = one\n");
}

static void
input_refuses_what_would_change_its_meaning(void **state)
{
	struct conf_fence f = {0}, g = {0};
	struct fa_values v = {0}, w = {0};
	char buf[FA_INPUT_MAX];
	const char *why;

	(void)state;
	param(&f, &v, "ip", "10.0.0.1\naction=on", false);
	assert_int_equal(fa_input(&f, &v, FA_OFF, "bravo", buf, &why), -1);
	assert_string_equal(why, "a line end in a parameter");
	param(&g, &w, "action", "reboot", false);
	assert_int_equal(fa_input(&g, &w, FA_OFF, "bravo", buf, &why), -1);
	assert_string_equal(why, "the action is not a parameter");
}

static void
the_largest_input_fits(void **state)
{
	struct conf_fence f = {0};
	struct fa_values v = {0};
	char buf[FA_INPUT_MAX], name[HAD_NAME_MAX], value[HAD_VALUE_MAX];
	const char *why;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	memset(value, 'v', sizeof(value) - 1);
	name[sizeof(name) - 1] = value[sizeof(value) - 1] = '\0';
	while (f.n_params < HAD_FENCE_PARAMS_MAX)
		param(&f, &v, name, value, false);
	assert_true(fa_input(&f, &v, FA_MONITOR, name, buf, &why) > 4000);
}

static int
of_file(const char *text, size_t len, char *value, const char **why)
{
	return fa_value_of_file(value, (const uint8_t *)text, len, why);
}

static void
a_value_is_the_first_line_of_its_file(void **state)
{
	char value[HAD_VALUE_MAX], longer[HAD_VALUE_MAX + 1];
	const char *why;

	(void)state;
	assert_int_equal(of_file("pw 1\nrest\n", 10, value, &why), 0);
	assert_string_equal(value, "pw 1");
	assert_int_equal(of_file("pw", 2, value, &why), 0);
	assert_string_equal(value, "pw");
	assert_int_equal(of_file("pw\r\n", 4, value, &why), 0);
	assert_string_equal(value, "pw");
	assert_int_equal(of_file("\npw", 3, value, &why), -1);
	assert_string_equal(why, "its first line is empty");
	assert_int_equal(of_file("", 0, value, &why), -1);
	assert_string_equal(why, "its first line is empty");
	assert_int_equal(of_file("a\0b\n", 4, value, &why), -1);
	assert_string_equal(why, "its first line is not text");
	assert_int_equal(of_file("a\rb\n", 4, value, &why), -1);
	assert_string_equal(why, "its first line is not text");
	memset(longer, 'x', sizeof(longer));
	assert_int_equal(of_file(longer, HAD_VALUE_MAX, value, &why), -1);
	assert_string_equal(why, "its first line is too long");
	assert_int_equal(of_file(longer, HAD_VALUE_MAX - 1, value, &why), 0);
	assert_int_equal(strlen(value), HAD_VALUE_MAX - 1);
}

static void
only_status_tells_on_from_off(void **state)
{
	(void)state;
	assert_int_equal(fa_result_of(FA_OFF, 0), FA_OK);
	assert_int_equal(fa_result_of(FA_ON, 0), FA_OK);
	assert_int_equal(fa_result_of(FA_MONITOR, 0), FA_OK);
	assert_int_equal(fa_result_of(FA_STATUS, 0), FA_IS_ON);
	assert_int_equal(fa_result_of(FA_STATUS, 2), FA_IS_OFF);
	for (int s = 1; s < 256; s++) {
		assert_int_equal(fa_result_of(FA_OFF, s), FA_FAILED);
		assert_int_equal(fa_result_of(FA_ON, s), FA_FAILED);
		assert_int_equal(fa_result_of(FA_MONITOR, s), FA_FAILED);
		if (s != 2)
			assert_int_equal(fa_result_of(FA_STATUS, s), FA_FAILED);
	}
}

static void
say(struct fa_output *o, const char *text)
{
	fa_output_add(o, text, strlen(text));
}

static void
the_last_line_is_kept(void **state)
{
	struct conf_fence f = {0};
	struct fa_values v = {0};
	struct fa_output o = {0};
	char text[FA_LINE_MAX];

	(void)state;
	fa_output_text(&o, &f, &v, text);
	assert_string_equal(text, "");
	say(&o, "first\nSta");
	fa_output_text(&o, &f, &v, text);
	assert_string_equal(text, "Sta");
	say(&o, "tus:\tOFF\n  \n\n");
	fa_output_text(&o, &f, &v, text);
	assert_string_equal(text, "Status: OFF");
	for (int i = 0; i < 1000; i++)
		say(&o, "long ");
	fa_output_text(&o, &f, &v, text);
	assert_int_equal(strlen(text), FA_LINE_MAX - 1);
}

static void
secrets_are_cut_out(void **state)
{
	struct conf_fence f = {0};
	struct fa_values v = {0};
	struct fa_output o = {0};
	char text[FA_LINE_MAX];

	(void)state;
	param(&f, &v, "passwd", "hunter2", false);
	param(&f, &v, "port", "7", false);
	param(&f, &v, "login", "from-file", true);
	param(&f, &v, "ssh_key", "", false);
	say(&o, "from-file:hunter2@7 hunter2hunter2");
	fa_output_text(&o, &f, &v, text);
	assert_string_equal(text, "***:***@7 ******");
	/* Not even the first half of one, where the line was cut. */
	memset(&o, 0, sizeof(o));
	for (int i = 0; i < FA_LINE_MAX - 1 - 5; i++)
		say(&o, "x");
	say(&o, "hunter2");
	fa_output_text(&o, &f, &v, text);
	assert_null(strstr(text, "h"));
	assert_int_equal(strlen(text), FA_LINE_MAX - 1 - 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(input_has_action_node_and_parameters),
	    cmocka_unit_test(input_refuses_what_would_change_its_meaning),
	    cmocka_unit_test(the_largest_input_fits),
	    cmocka_unit_test(a_value_is_the_first_line_of_its_file),
	    cmocka_unit_test(only_status_tells_on_from_off),
	    cmocka_unit_test(the_last_line_is_kept),
	    cmocka_unit_test(secrets_are_cut_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
