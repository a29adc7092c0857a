/* SPDX-License-Identifier: BSD-2-Clause */
/* Which interfaces share a device, read from a tree like /sys/class/net. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netdev.h"

static char class[64];

static void
interface(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", class, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void
reference(const char *name, const char *what, const char *to)
{
	char path[128], target[128];

	snprintf(path, sizeof(path), "%s/%s/%s", class, name, what);
	snprintf(target, sizeof(target), "../%s", to);
	assert_int_equal(symlink(target, path), 0);
}

static void
vlans_of_one_card(void **state)
{
	(void)state;
	interface("eno1");
	interface("eno1.10");
	interface("eno1.20");
	interface("enp3s0");
	reference("eno1.10", "lower_eno1", "eno1");
	reference("eno1.20", "lower_eno1", "eno1");
	assert_true(netdev_share(class, "eno1.10", "eno1.20"));
	assert_true(netdev_share(class, "eno1", "eno1.20"));
	assert_true(netdev_share(class, "eno1", "eno1"));
	assert_false(netdev_share(class, "eno1.10", "enp3s0"));
	assert_false(netdev_share(class, "eno1.10", "absent"));
}

static void
slaves_of_one_bond(void **state)
{
	(void)state;
	interface("bond0");
	interface("slave1");
	interface("slave2");
	interface("bond0.7");
	reference("slave1", "master", "bond0");
	reference("slave2", "master", "bond0");
	reference("bond0", "lower_slave1", "slave1");
	reference("bond0", "lower_slave2", "slave2");
	reference("bond0.7", "lower_bond0", "bond0");
	assert_true(netdev_share(class, "slave1", "slave2"));
	assert_true(netdev_share(class, "bond0.7", "slave2"));
}

/* Two ports of one bridge have two cables. */
static void
ports_of_one_bridge(void **state)
{
	(void)state;
	interface("br0");
	interface("br0/bridge");
	interface("port1");
	interface("port2");
	reference("port1", "master", "br0");
	reference("port2", "master", "br0");
	assert_false(netdev_share(class, "port1", "port2"));
}

static int
setup(void **state)
{
	(void)state;
	snprintf(class, sizeof(class), "/tmp/netdev-XXXXXX");
	return mkdtemp(class) != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", class);
	return system(command);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(vlans_of_one_card),
	    T(slaves_of_one_bond),
	    T(ports_of_one_bridge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
