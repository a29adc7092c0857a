/* SPDX-License-Identifier: BSD-2-Clause */
/* The record on disk: replaced as a whole, read back, or clearly refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state.h"

struct fixture {
	char dir[64], path[96];
	sd_event *event;
	struct worker *worker;
	struct state *state;
	uint64_t answered[16];
	bool ok[16];
	int n, want;
};

static void
answered(void *ctx, uint64_t serial, bool ok)
{
	struct fixture *f = ctx;

	f->answered[f->n] = serial;
	f->ok[f->n++] = ok;
	if (f->n == f->want)
		sd_event_exit(f->event, 0);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/had-state-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/state", f->dir);
	assert_int_equal(sd_event_new(&f->event), 0);
	f->worker = worker_new(f->event);
	assert_non_null(f->worker);
	f->state = state_new(f->path, f->worker, answered, f);
	assert_non_null(f->state);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char tmp[128];

	worker_free(f->worker);
	state_free(f->state);
	sd_event_unref(f->event);
	unlink(f->path);
	snprintf(tmp, sizeof(tmp), "%s.new", f->path);
	unlink(tmp);
	rmdir(f->dir);
	free(f);
	return 0;
}

static struct sf_record
record(uint64_t epoch)
{
	struct sf_record r = {.node = 1, .epoch = epoch, .solo = true};

	strcpy(r.cluster, "shop");
	return r;
}

static void
put(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void
write_then_read(void **state)
{
	struct fixture *f = *state;
	struct sf_record r;
	struct stat st;
	char why[512];

	assert_int_equal(
	    state_read(f->path, "shop", 1, &r, why, sizeof(why)), 0);
	f->want = 3;
	for (uint64_t i = 1; i <= 3; i++) {
		r = record(40 + i);
		state_write(f->state, &r, i);
	}
	assert_true(sd_event_loop(f->event) >= 0);
	for (int i = 0; i < 3; i++) {
		assert_true(f->answered[i] == (uint64_t)i + 1);
		assert_true(f->ok[i]);
	}
	assert_int_equal(
	    state_read(f->path, "shop", 1, &r, why, sizeof(why)), 1);
	assert_true(r.epoch == 43 && r.solo);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, SF_SIZE);
}

static void
refusals_name_file_reason_and_remedy(void **state)
{
	struct fixture *f = *state;
	struct sf_record r = record(9), out;
	uint8_t bytes[SF_SIZE + 1] = {0};
	char why[512];

	sf_encode(&r, bytes);
	put(f->path, bytes, SF_SIZE);
	assert_int_equal(
	    state_read(f->path, "shop", 2, &out, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "belongs to another node"));
	assert_int_equal(
	    state_read(f->path, "mill", 1, &out, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "belongs to another cluster"));

	put(f->path, bytes, SF_SIZE - 10);
	assert_int_equal(
	    state_read(f->path, "shop", 1, &out, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "truncated"));
	assert_int_equal(strncmp(why, f->path, strlen(f->path)), 0);
	assert_non_null(strstr(why, "hactl seed --peer-is-down"));

	put(f->path, bytes, SF_SIZE + 1);
	assert_int_equal(
	    state_read(f->path, "shop", 1, &out, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "too long"));

	bytes[17] ^= 1;
	put(f->path, bytes, SF_SIZE);
	assert_int_equal(
	    state_read(f->path, "shop", 1, &out, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "checksum does not match"));

	put(f->path, "", 0);
	assert_int_equal(
	    state_read(f->path, "shop", 1, &out, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "truncated"));

	/* Not a file at all. */
	assert_int_equal(
	    state_read(f->dir, "shop", 1, &out, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "directory"));
}

static void
a_failed_write_keeps_the_old_record(void **state)
{
	struct fixture *f = *state;
	struct sf_record r = record(5);
	char tmp[128], why[512];

	f->want = 1;
	state_write(f->state, &r, 1);
	assert_true(sd_event_loop(f->event) >= 0);
	assert_true(f->ok[0]);

	/* The temporary file's name is taken by a directory. */
	snprintf(tmp, sizeof(tmp), "%s.new", f->path);
	assert_int_equal(mkdir(tmp, 0700), 0);
	sd_event_unref(f->event);
	worker_free(f->worker);
	state_free(f->state);
	assert_int_equal(sd_event_new(&f->event), 0);
	f->worker = worker_new(f->event);
	f->state = state_new(f->path, f->worker, answered, f);
	f->want = 2;
	r.epoch = 6;
	state_write(f->state, &r, 2);
	assert_true(sd_event_loop(f->event) >= 0);
	assert_true(f->answered[1] == 2);
	assert_false(f->ok[1]);
	assert_int_equal(rmdir(tmp), 0);
	assert_int_equal(
	    state_read(f->path, "shop", 1, &r, why, sizeof(why)), 1);
	assert_true(r.epoch == 5);
}

static void
a_left_over_temporary_file_is_ignored(void **state)
{
	struct fixture *f = *state;
	struct sf_record r = record(8);
	char tmp[128], why[512];

	snprintf(tmp, sizeof(tmp), "%s.new", f->path);
	put(tmp, "half", 4);
	assert_int_equal(
	    state_read(f->path, "shop", 1, &r, why, sizeof(why)), 0);
	f->want = 1;
	r = record(8);
	state_write(f->state, &r, 1);
	assert_true(sd_event_loop(f->event) >= 0);
	assert_true(f->ok[0]);
	assert_int_equal(access(tmp, F_OK), -1);
	assert_int_equal(
	    state_read(f->path, "shop", 1, &r, why, sizeof(why)), 1);
	assert_true(r.epoch == 8);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(write_then_read),
	    T(refusals_name_file_reason_and_remedy),
	    T(a_failed_write_keeps_the_old_record),
	    T(a_left_over_temporary_file_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
