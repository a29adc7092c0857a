/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys of hmac in files: what is taken, and that each refusal names the file,
 * what was got and what was expected, and never the key.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hmac_file.h"

#define TEXT32 "0123456789abcdef0123456789abcdef"
#define SECRET "secret"

static char dir[] = "/tmp/had-hmac-XXXXXX";
static struct conf_hmac_key key;

/* A file of these bytes; what reading it says, "" if it is well. */
static const char *
reads(const char *bytes, size_t len, mode_t mode)
{
	static char why[512];
	int fd;

	memset(&key, 0, sizeof(key));
	snprintf(key.file, sizeof(key.file), "%s/key", dir);
	unlink(key.file);
	fd = open(key.file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	why[0] = '\0';
	if (hmac_file_read(&key, why, sizeof(why)) == 0)
		assert_string_equal(why, "");
	else {
		assert_string_not_equal(why, "");
		assert_int_equal(strncmp(why, key.file, strlen(key.file)), 0);
		assert_null(strstr(why, SECRET));
	}
	return why;
}

static const char *
text(const char *bytes)
{
	return reads(bytes, strlen(bytes), 0600);
}

static void
says(const char *why, const char *what)
{
	if (strstr(why, what) == NULL)
		fail_msg("'%s' does not say '%s'", why, what);
}

static void
test_what_is_taken(void **state)
{
	uint8_t want[32];

	(void)state;
	memset(want, 0xa5, sizeof(want));
	assert_string_equal(text(TEXT32), "");
	assert_int_equal(key.len, 32);
	assert_memory_equal(key.bytes, TEXT32, 32);
	assert_string_equal(text(TEXT32 TEXT32 "\n"), "");
	assert_int_equal(key.len, 64);
	/* The first line, whoever ended it. */
	assert_string_equal(text(TEXT32 "x\r\nand more\n"), "");
	assert_int_equal(key.len, 33);
	assert_string_equal(text("hex:a5a5a5a5a5a5a5a5A5A5A5A5A5A5A5A5"
				 "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\n"),
	    "");
	assert_int_equal(key.len, 32);
	assert_memory_equal(key.bytes, want, 32);
	assert_string_equal(reads(TEXT32, 32, 0400), "");
}

static void
test_what_is_no_key(void **state)
{
	char big[1000];

	(void)state;
	says(
	    text(""), "the first line has 0 bytes, expected a key of 32 to 64");
	says(text("\n" TEXT32), "has 0 bytes");
	says(text(SECRET "\n"), "the first line has 6 bytes");
	says(text(TEXT32 TEXT32 "x"), "has 65 bytes");
	says(text("hex:" SECRET), "64 to 128 hexadecimal digits");
	says(reads(TEXT32 "\0" SECRET, 39, 0600), "has a byte 0");
	memset(big, 'x', sizeof(big));
	says(reads(big, sizeof(big), 0600), "has 255 bytes");
}

static void
test_what_others_may_read(void **state)
{
	(void)state;
	for (mode_t bit = 1; bit <= 040; bit <<= 1)
		says(reads(TEXT32, 32, 0600 | bit),
		    "lets others at the key; chmod 600 it");
	says(reads(TEXT32, 32, 0640), "mode 0640");
}

static void
test_what_is_no_file(void **state)
{
	char why[512] = "";

	(void)state;
	(void)text(TEXT32);
	unlink(key.file);
	assert_int_equal(hmac_file_read(&key, why, sizeof(why)), -1);
	says(why, "/key: No such file or directory");
	assert_int_equal(mkdir(key.file, 0700), 0);
	assert_int_equal(hmac_file_read(&key, why, sizeof(why)), -1);
	says(why, "/key: not a regular file");
	rmdir(key.file);
	/* Nobody waits for a writer. */
	assert_int_equal(mkfifo(key.file, 0600), 0);
	assert_int_equal(hmac_file_read(&key, why, sizeof(why)), -1);
	says(why, "/key: not a regular file");
	unlink(key.file);
}

static int
setup(void **state)
{
	(void)state;
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(key.file);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_taken),
	    cmocka_unit_test(test_what_is_no_key),
	    cmocka_unit_test(test_what_others_may_read),
	    cmocka_unit_test(test_what_is_no_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
