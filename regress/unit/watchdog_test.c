/* SPDX-License-Identifier: BSD-2-Clause */
/* The watchdog with a kernel made of a table; the real one is in the lab. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <bsd/string.h>
#include <linux/watchdog.h>

#include "log.h"
#include "watchdog.h"

/* What the kernel would know; cmocka's tests each begin with a fresh one. */
struct fake {
	const char *nowayout; /* NULL = no such attribute */
	const char *asked[64];
	unsigned n_asked;
	uint32_t options;
	int max, timeout, boot, open_error, set_error, feed_error, magic_error;
	int get_offset; /* GETTIMEOUT says that much more */
	bool open, armed, is_file;
	int fed, opened;
	char magic; /* last byte written */
};
static struct fake k;

static int
fake_stat(const char *path, struct stat *st)
{
	if (strcmp(path, "/dev/watchdog") != 0) {
		errno = ENOENT;
		return -1;
	}
	memset(st, 0, sizeof(*st));
	st->st_mode = k.is_file ? S_IFREG : S_IFCHR;
	st->st_rdev = makedev(10, 130);
	return 0;
}

static int
fake_attribute(const char *path, char *buf, size_t size)
{
	bool class = strncmp(path, "/sys/class/", 11) == 0;

	assert_true(k.n_asked < NITEMS(k.asked));
	k.asked[k.n_asked++] = class ? "class" : "device";
	if (k.nowayout == NULL || !class) {
		errno = ENOENT;
		return -1;
	}
	strlcpy(buf, k.nowayout, size);
	return 0;
}

static int
fake_open(const char *path)
{
	(void)path;
	if (k.open_error != 0) {
		errno = k.open_error;
		return -1;
	}
	k.open = k.armed = true;
	k.opened++;
	k.magic = 0;
	return 42;
}

static int
result(int error)
{
	errno = error;
	return error == 0 ? 0 : -1;
}

static int
fake_control(int fd, unsigned long request, void *arg)
{
	struct watchdog_info *info = arg;
	int *value = arg;

	assert_int_equal(fd, 42);
	assert_true(k.open);
	switch (request) {
	case WDIOC_GETSUPPORT:
		memset(info, 0, sizeof(*info));
		info->options = k.options;
		/* All of it: there need not be a NUL. */
		memcpy(info->identity, "A watchdog of thirty-two letters",
		    sizeof(info->identity));
		return k.options == 0 ? result(ENOTTY) : 0;
	case WDIOC_SETTIMEOUT:
		if (k.set_error != 0)
			return result(k.set_error);
		k.timeout = *value > k.max ? k.max : *value;
		*value = k.timeout;
		return 0;
	case WDIOC_GETTIMEOUT:
		*value = k.timeout + k.get_offset;
		return 0;
	case WDIOC_GETBOOTSTATUS:
		*value = k.boot;
		return 0;
	case WDIOC_KEEPALIVE:
		k.fed++;
		return result(k.feed_error);
	default:
		return result(ENOTTY);
	}
}

static int
fake_write(int fd, const void *bytes, size_t len)
{
	assert_int_equal(fd, 42);
	assert_int_equal(len, 1);
	if (k.magic_error != 0)
		return result(k.magic_error);
	k.magic = *(const char *)bytes;
	return 1;
}

static int
fake_close(int fd)
{
	assert_int_equal(fd, 42);
	k.open = false;
	if (k.magic == 'V')
		k.armed = false;
	return 0;
}

static const struct wd_ops fake = {
    fake_stat, fake_attribute, fake_open, fake_control, fake_write, fake_close};

static int
set_up(void **state)
{
	(void)state;
	log_init("watchdog_test", 0, false);
	memset(&k, 0, sizeof(k));
	k.options = WDIOF_SETTIMEOUT | WDIOF_MAGICCLOSE | WDIOF_KEEPALIVEPING;
	k.max = 60;
	k.nowayout = "0";
	return 0;
}

static void
armed_fed_and_disarmed(void **state)
{
	struct wd_info info;
	char why[256];
	struct wd *w;

	(void)state;
	w = wd_open("/dev/watchdog", 3, &fake, why, sizeof(why));
	assert_non_null(w);
	assert_true(k.open && k.armed);
	assert_int_equal(k.timeout, 3);
	assert_int_equal(k.fed, 1);
	assert_int_equal(wd_feed(w), 0);
	assert_int_equal(k.fed, 2);
	wd_info(w, &info);
	assert_string_equal(info.identity, "A watchdog of thirty-two letters");
	assert_int_equal(info.timeout_s, 3);
	assert_false(info.caused_reset);
	assert_int_equal(wd_close(w), 0);
	assert_false(k.open || k.armed);
	/* It says so if it has been at work. */
	k.boot = WDIOF_CARDRESET;
	w = wd_open("/dev/watchdog", 60, &fake, why, sizeof(why));
	assert_non_null(w);
	wd_info(w, &info);
	assert_true(info.caused_reset);
	/* One that cannot be fed is an error of the caller's to handle. */
	k.feed_error = EIO;
	assert_int_equal(wd_feed(w), -1);
	assert_int_equal(errno, EIO);
	/* And so is one that does not take the magic. */
	k.magic_error = ENODEV;
	assert_int_equal(wd_close(w), -1);
	assert_int_equal(errno, ENODEV);
	assert_true(k.armed);
}

static void
refused(const char *path, uint32_t timeout_s, const char *want)
{
	char why[256] = "";

	assert_null(wd_open(path, timeout_s, &fake, why, sizeof(why)));
	assert_string_equal(why, want);
	assert_false(k.open || k.armed);
}

static void
what_cannot_be_relied_on_is_refused(void **state)
{
	(void)state;
	refused("/dev/nothing", 3, "/dev/nothing: No such file or directory");
	k.is_file = true;
	refused("/dev/watchdog", 3, "/dev/watchdog: not a device");
	k.is_file = false;
	k.open_error = EBUSY;
	refused("/dev/watchdog", 3, "/dev/watchdog: another program has it");
	k.open_error = EACCES;
	refused("/dev/watchdog", 3, "/dev/watchdog: Permission denied");
	k.open_error = 0;
#define DEV "/dev/watchdog (A watchdog of thirty-two letters): "
	refused("/dev/watchdog", 61,
	    DEV "asked for a timeout of 61 s, it took 60 s");
	k.get_offset = 1;
	refused(
	    "/dev/watchdog", 3, DEV "asked for a timeout of 3 s, it took 4 s");
	k.get_offset = 0;
	k.set_error = EINVAL;
	refused("/dev/watchdog", 3, DEV "timeout of 3 s: Invalid argument");
	k.set_error = 0;
	k.feed_error = EIO;
	refused("/dev/watchdog", 3, DEV "cannot be fed: Input/output error");
	k.feed_error = 0;
	k.options = WDIOF_SETTIMEOUT;
	refused("/dev/watchdog", 3, DEV "it stops when this daemon dies");
	k.options = WDIOF_MAGICCLOSE;
	refused("/dev/watchdog", 3, DEV "its timeout cannot be set");
	k.options = 0;
	refused("/dev/watchdog", 3,
	    "/dev/watchdog: not a watchdog: Inappropriate ioctl for device");
}

static void
no_way_out_is_refused_before_it_is_armed(void **state)
{
	char why[256];
	struct wd *w;

	(void)state;
	k.nowayout = "1";
	refused("/dev/watchdog", 3,
	    "/dev/watchdog: its driver has nowayout set: the machine would be "
	    "reset after every stop of this daemon");
	assert_int_equal(k.opened, 0);
	assert_string_equal(k.asked[0], "device");
	assert_string_equal(k.asked[1], "class");
	/* A kernel that does not say. */
	k.nowayout = NULL;
	k.n_asked = 0;
	w = wd_open("/dev/watchdog", 3, &fake, why, sizeof(why));
	assert_non_null(w);
	assert_int_equal(wd_close(w), 0);
}

/* The kernel's own calls, on what is not a watchdog. */
static void
the_real_calls(void **state)
{
	char why[256];

	(void)state;
	assert_null(wd_open("/dev/null", 3, NULL, why, sizeof(why)));
	assert_string_equal(
	    why, "/dev/null: not a watchdog: Inappropriate ioctl for device");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(armed_fed_and_disarmed, set_up),
	    cmocka_unit_test_setup(what_cannot_be_relied_on_is_refused, set_up),
	    cmocka_unit_test_setup(
		no_way_out_is_refused_before_it_is_armed, set_up),
	    cmocka_unit_test_setup(the_real_calls, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
