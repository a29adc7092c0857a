/* SPDX-License-Identifier: BSD-2-Clause */
/* The witness's records on a real disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop.h"
#include "witness_store.h"

struct world {
	char dir[64], path[128];
	struct loop *loop;
	struct worker *worker;
	struct wst *store;
	unsigned done, durable;
};

static const struct wf_record sample = {
    .cluster = "shop",
    .epoch = 7,
    .holder = 2,
    .incarnation = 5,
    .serial = 1,
};

static int
setup(void **state)
{
	struct world *x = calloc(1, sizeof(*x));
	char why[400];

	assert_non_null(x);
	snprintf(x->dir, sizeof(x->dir), "/tmp/witness_store.XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	snprintf(x->path, sizeof(x->path), "%s/shop.lease", x->dir);
	x->loop = loop_new();
	x->worker = worker_new(loop_event(x->loop));
	assert_non_null(x->worker);
	x->store = wst_new(x->dir, x->worker, why, sizeof(why));
	assert_non_null(x->store);
	*state = x;
	return 0;
}

static int
teardown(void **state)
{
	struct world *x = *state;
	char command[128];

	worker_free(x->worker);
	wst_free(x->store);
	loop_free(x->loop);
	snprintf(command, sizeof(command), "rm -rf %s", x->dir);
	assert_int_equal(system(command), 0);
	free(x);
	return 0;
}

static void
on_done(void *ctx, bool durable)
{
	struct world *x = ctx;

	x->done++;
	x->durable += durable;
	loop_exit(x->loop, 0);
}

static void
put(struct world *x, const struct wf_record *r, bool durable)
{
	unsigned done = x->done, was = x->durable;

	wst_write(x->store, r, on_done, x);
	assert_int_equal(x->done, done); /* never at once */
	assert_int_equal(loop_run(x->loop), 0);
	assert_int_equal(x->done, done + 1);
	assert_int_equal(x->durable, was + durable);
	/* A loop that has ended starts no more. */
	worker_free(x->worker);
	wst_free(x->store);
	loop_free(x->loop);
	x->loop = loop_new();
	x->worker = worker_new(loop_event(x->loop));
	x->store = wst_new(x->dir, x->worker, (char[400]){0}, 400);
	assert_non_null(x->store);
}

static void
what_is_written_is_read(void **state)
{
	struct world *x = *state;
	struct wf_record r, next = sample;
	char why[600], tmp[160];
	struct stat st;

	assert_int_equal(wst_read(x->dir, "shop", &r, why, sizeof(why)), 0);
	assert_true(r.epoch == 0 && r.holder == 0);
	assert_string_equal(r.cluster, "shop");
	put(x, &sample, true);
	assert_int_equal(wst_read(x->dir, "shop", &r, why, sizeof(why)), 1);
	assert_memory_equal(&r, &sample, sizeof(r));
	next.epoch = 8;
	next.holder = 1;
	put(x, &next, true);
	assert_int_equal(wst_read(x->dir, "shop", &r, why, sizeof(why)), 1);
	assert_true(r.epoch == 8 && r.holder == 1);
	assert_int_equal(stat(x->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(tmp, sizeof(tmp), "%s.new", x->path);
	assert_int_equal(stat(tmp, &st), -1);
	/* Other clusters are not touched. */
	assert_int_equal(wst_read(x->dir, "bank", &r, why, sizeof(why)), 0);
}

static void
a_failed_write_says_so(void **state)
{
	struct world *x = *state;
	struct wf_record r, next = sample;
	char why[600], tmp[160];

	put(x, &sample, true);
	snprintf(tmp, sizeof(tmp), "%s.new", x->path);
	assert_int_equal(mkdir(tmp, 0700), 0);
	next.epoch = 9;
	put(x, &next, false);
	assert_int_equal(wst_read(x->dir, "shop", &r, why, sizeof(why)), 1);
	assert_true(r.epoch == 7);
	assert_int_equal(rmdir(tmp), 0);
	put(x, &next, true);
}

static void
a_rename_that_fails_says_so(void **state)
{
	struct world *x = *state;

	assert_int_equal(mkdir(x->path, 0700), 0);
	put(x, &sample, false);
}

static void
refused(struct world *x, const char *reason)
{
	char why[600], expected[600];
	struct wf_record r;

	assert_int_equal(wst_read(x->dir, "shop", &r, why, sizeof(why)), -1);
	snprintf(expected, sizeof(expected),
	    "%s: %s: refusing to guess who has the lease.  Once both nodes "
	    "run and see each other, remove the file and start again",
	    x->path, reason);
	assert_string_equal(why, expected);
}

static void
a_record_that_cannot_be_is_refused(void **state)
{
	struct world *x = *state;
	uint8_t bytes[WF_SIZE];
	struct wf_record foreign = sample;
	FILE *f;

	put(x, &sample, true);
	assert_int_equal(truncate(x->path, WF_SIZE - 1), 0);
	refused(x, "truncated");
	assert_int_equal(truncate(x->path, 0), 0);
	refused(x, "truncated");
	put(x, &sample, true);
	assert_int_equal(truncate(x->path, WF_SIZE + 1), 0);
	refused(x, "too long");
	put(x, &sample, true);
	f = fopen(x->path, "r+");
	assert_non_null(f);
	assert_int_equal(fseek(f, 20, SEEK_SET), 0);
	assert_int_equal(fputc('x', f), 'x');
	assert_int_equal(fclose(f), 0);
	refused(x, "checksum does not match");
	snprintf(foreign.cluster, sizeof(foreign.cluster), "bank");
	wf_encode(&foreign, bytes);
	f = fopen(x->path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, WF_SIZE, f), WF_SIZE);
	assert_int_equal(fclose(f), 0);
	refused(x, "belongs to another cluster");
	assert_int_equal(unlink(x->path), 0);
	assert_int_equal(mkdir(x->path, 0700), 0);
	refused(x, "Is a directory");
	assert_int_equal(rmdir(x->path), 0);
	assert_int_equal(symlink(x->path, x->path), 0);
	refused(x, "Too many levels of symbolic links");
}

static void
one_process_has_the_directory(void **state)
{
	struct world *x = *state;
	char why[400], expected[400];

	assert_null(wst_new(x->dir, x->worker, why, sizeof(why)));
	assert_int_equal(errno, EWOULDBLOCK);
	snprintf(expected, sizeof(expected), "%s: another had-witness has it",
	    x->dir);
	assert_string_equal(why, expected);
	assert_null(wst_new("/nowhere/at/all", x->worker, why, sizeof(why)));
	assert_string_equal(why, "/nowhere/at/all: No such file or directory");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(what_is_written_is_read),
	    TEST(a_failed_write_says_so),
	    TEST(a_rename_that_fails_says_so),
	    TEST(a_record_that_cannot_be_is_refused),
	    TEST(one_process_has_the_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
