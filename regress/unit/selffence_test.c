/* SPDX-License-Identifier: BSD-2-Clause */
/* Self-fencing, with a trigger that is a file; the real one is in the lab. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "selffence.h"

static void
read_back(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n;

	assert_non_null(f);
	n = fread(buf, 1, size - 1, f);
	buf[n] = '\0';
	fclose(f);
}

static void
count(void *ctx)
{
	(*(int *)ctx)++;
}

static void
each_way_does_its_thing(void **state)
{
	char path[] = "/tmp/selffence_test.XXXXXX", buf[128], why[128];
	int starved = 0, fd = mkstemp(path);
	struct selffence_conf c = {
	    .trigger = path, .starve = count, .ctx = &starved};

	(void)state;
	log_init("selffence_test", 0, false);
	assert_true(fd != -1);
	c.how = CONF_SELF_FENCE_OFF;
	assert_int_equal(selffence_check(&c, why, sizeof(why)), 0);
	assert_int_equal(selffence_now(&c, "stop failed"), 1);
	read_back(path, buf, sizeof(buf));
	assert_string_equal(buf, "");
	c.how = CONF_SELF_FENCE_WATCHDOG;
	assert_int_equal(selffence_check(&c, why, sizeof(why)), 0);
	assert_int_equal(selffence_now(&c, "stop failed"), 0);
	assert_int_equal(starved, 1);
	read_back(path, buf, sizeof(buf));
	assert_string_equal(buf, "");
	c.how = CONF_SELF_FENCE_SYSRQ;
	assert_int_equal(selffence_check(&c, why, sizeof(why)), 0);
	assert_int_equal(selffence_now(&c, "stop failed"), 0);
	assert_int_equal(starved, 1);
	read_back(path, buf, sizeof(buf));
	assert_string_equal(buf, "b");
	/* What is not there is said before it is needed, and then. */
	close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(selffence_check(&c, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "No such file or directory"));
	assert_int_equal(selffence_now(&c, "stop failed"), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(access(path, F_OK), -1);
	c.how = CONF_SELF_FENCE_WATCHDOG;
	c.starve = NULL;
	assert_int_equal(selffence_check(&c, why, sizeof(why)), -1);
	assert_string_equal(why, "self-fence: there is no watchdog");
	assert_int_equal(selffence_now(&c, "stop failed"), -1);
	assert_int_equal(errno, ENODEV);
}

static void
the_fake_only_writes(void **state)
{
	char path[] = "/tmp/selffence_test.XXXXXX", buf[128], why[128];
	int starved = 0, fd = mkstemp(path);
	struct selffence_conf c = {.how = CONF_SELF_FENCE_SYSRQ,
	    .trigger = "/nowhere/trigger",
	    .fake = path,
	    .starve = count,
	    .ctx = &starved};

	(void)state;
	assert_int_equal(selffence_check(&c, why, sizeof(why)), 0);
	assert_int_equal(selffence_now(&c, "orders will not stop"), 0);
	c.how = CONF_SELF_FENCE_WATCHDOG;
	assert_int_equal(selffence_now(&c, "nor will that"), 0);
	assert_int_equal(starved, 0);
	read_back(path, buf, sizeof(buf));
	assert_string_equal(
	    buf, "sysrq: orders will not stop\nwatchdog: nor will that\n");
	c.how = CONF_SELF_FENCE_OFF;
	assert_int_equal(selffence_now(&c, "off"), 1);
	close(fd);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_way_does_its_thing),
	    cmocka_unit_test(the_fake_only_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
