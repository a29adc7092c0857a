/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disk driver on files of its own: in /var/tmp (O_DIRECT where it is a
 * disk) and in /dev/shm (no zero-range there: zeroes are written by hand).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "mdisk.h"

enum { SIZE = 4 << 20, OPS = 700, UNIT = 4096 };

static struct {
	sd_event *event;
	struct mdisk *disk;
	char path[64];
	unsigned n_done, n_closed;
	int errors[OPS];
	char why[256];
	uint8_t *mem; /* SIZE bytes, page-aligned */
	unsigned largest; /* submission */
} w;

/* The library's, and what goes into it. */
int
io_uring_submit(struct io_uring *ring)
{
	union {
		void *object;
		int (*function)(struct io_uring *);
	} real = {dlsym(RTLD_NEXT, "io_uring_submit")};
	unsigned n = io_uring_sq_ready(ring);

	assert_non_null(real.object);
	if (n > w.largest)
		w.largest = n;
	return real.function(ring);
}

static void
on_done(void *ctx, uint64_t id, int error)
{
	assert_ptr_equal(ctx, &w);
	assert_true(id < OPS);
	w.errors[id] = error;
	w.n_done++;
}

static void
on_closed(void *ctx)
{
	assert_ptr_equal(ctx, &w);
	w.n_closed++;
}

/* Until n operations are done; the limit is for a driver that lost one. */
static void
wait_for(unsigned n)
{
	while (w.n_done < n)
		if (sd_event_run(w.event, 20 * 1000 * 1000) == 0)
			fail_msg("%u of %u operations are done", w.n_done, n);
}

static int
run(enum mdisk_op op, uint64_t off, uint32_t len, void *buf)
{
	w.n_done = 0;
	mdisk_io(w.disk, 0, op, off, len, buf);
	assert_int_equal(w.n_done, 0); /* never from inside */
	wait_for(1);
	return w.errors[0];
}

static struct mdisk *
open_it(bool read_only)
{
	return mdisk_open(
	    w.event, w.path, OPS, read_only, on_done, &w, w.why, sizeof(w.why));
}

static void
close_it(void)
{
	w.n_closed = 0;
	mdisk_close(w.disk, on_closed, &w);
	while (w.n_closed == 0)
		assert_true(sd_event_run(w.event, 20 * 1000 * 1000) > 0);
	w.disk = NULL;
}

static int
setup_in(const char *dir)
{
	int fd;

	memset(&w, 0, sizeof(w));
	snprintf(w.path, sizeof(w.path), "%s/mdisk_test.%d", dir, getpid());
	fd = open(w.path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd != -1 && ftruncate(fd, SIZE) == 0);
	close(fd);
	assert_true(sd_event_new(&w.event) >= 0);
	w.mem = aligned_alloc(UNIT, SIZE);
	for (unsigned i = 0; i < SIZE; i++)
		w.mem[i] = (uint8_t)(i * 13 + i / UNIT);
	w.disk = open_it(false);
	if (w.disk == NULL)
		fail_msg("%s", w.why);
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	return setup_in("/var/tmp");
}

static int
setup_shm(void **state)
{
	(void)state;
	return setup_in("/dev/shm");
}

static int
teardown(void **state)
{
	(void)state;
	if (w.disk != NULL)
		close_it();
	sd_event_unref(w.event);
	unlink(w.path);
	free(w.mem);
	return 0;
}

/* What the file holds, through another descriptor. */
static void
file_has(uint64_t off, const uint8_t *want, size_t len)
{
	uint8_t *got = malloc(len);
	int fd = open(w.path, O_RDONLY);

	assert_int_equal(pread(fd, got, len, (off_t)off), len);
	assert_memory_equal(got, want, len);
	close(fd);
	free(got);
}

static void
it_tells_what_it_opened(void **state)
{
	struct mdisk_info info;

	(void)state;
	mdisk_info(w.disk, &info);
	assert_int_equal(info.size, SIZE);
	assert_false(info.block);
	assert_true(info.sector == 512 || info.sector == 4096);
}

static void
what_is_written_is_read_back(void **state)
{
	uint8_t *back = aligned_alloc(UNIT, SIZE);

	(void)state;
	assert_int_equal(run(MDISK_WRITE, 0, SIZE, w.mem), 0);
	assert_int_equal(run(MDISK_FLUSH, 0, 0, NULL), 0);
	file_has(0, w.mem, SIZE);
	assert_int_equal(run(MDISK_READ, 0, SIZE, back), 0);
	assert_memory_equal(back, w.mem, SIZE);
	assert_int_equal(run(MDISK_WRITE_FUA, UNIT, UNIT, w.mem), 0);
	file_has(UNIT, w.mem, UNIT);
	free(back);
}

static void
memory_of_any_alignment_will_do(void **state)
{
	uint8_t *back = malloc(1 << 20);

	(void)state;
	/* Longer than a bounce buffer, and from an odd address. */
	assert_int_equal(run(MDISK_WRITE, 8192, 300 * 1024, w.mem + 1), 0);
	file_has(8192, w.mem + 1, 300 * 1024);
	assert_int_equal(run(MDISK_READ, 8192, 300 * 1024, back + 3), 0);
	assert_memory_equal(back + 3, w.mem + 1, 300 * 1024);
	free(back);
}

static void
more_than_the_ring_holds_are_all_done(void **state)
{
	(void)state;
	for (unsigned i = 0; i < OPS; i++) /* odd ones need a bounce buffer */
		mdisk_io(w.disk, i, MDISK_WRITE, (uint64_t)i * UNIT, UNIT,
		    w.mem + i * UNIT + i % 2);
	assert_int_equal(mdisk_under_way(w.disk), OPS);
	wait_for(OPS);
	assert_int_equal(mdisk_under_way(w.disk), 0);
	for (unsigned i = 0; i < OPS; i++) {
		assert_int_equal(w.errors[i], 0);
		file_has((uint64_t)i * UNIT, w.mem + i * UNIT + i % 2, UNIT);
	}
}

/* The loop has other things to do meanwhile. */
static void
large_writes_are_submitted_some_at_a_time(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIZE / HAD_IO_MAX; i++)
		mdisk_io(w.disk, i, MDISK_WRITE, (uint64_t)i * HAD_IO_MAX,
		    HAD_IO_MAX, w.mem + (size_t)i * HAD_IO_MAX);
	wait_for(SIZE / HAD_IO_MAX);
	for (unsigned i = 0; i < SIZE / HAD_IO_MAX; i++)
		assert_int_equal(w.errors[i], 0);
	file_has(0, w.mem, SIZE);
	assert_in_range(w.largest, 1, 4); /* of 64 KiB */
}

static void
trimmed_and_zeroed_ranges_read_as_zeroes(void **state)
{
	static const uint8_t zeroes[5 * UNIT * 20];
	struct stat st;

	(void)state;
	assert_int_equal(run(MDISK_WRITE, 0, SIZE, w.mem), 0);
	assert_int_equal(run(MDISK_ZERO, UNIT, sizeof(zeroes), NULL), 0);
	file_has(UNIT, zeroes, sizeof(zeroes));
	file_has(UNIT + sizeof(zeroes), w.mem + UNIT + sizeof(zeroes), UNIT);
	file_has(0, w.mem, UNIT);
	assert_int_equal(run(MDISK_TRIM, 2 << 20, 2 << 20, NULL), 0);
	assert_int_equal(stat(w.path, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_true(st.st_blocks * 512 < SIZE); /* space came back */
	file_has(2 << 20, zeroes, sizeof(zeroes));
}

static void
ranges_that_are_not_there_are_refused(void **state)
{
	(void)state;
	assert_int_equal(run(MDISK_READ, SIZE, UNIT, w.mem), -ENOSPC);
	assert_int_equal(
	    run(MDISK_WRITE, SIZE - UNIT, 2 * UNIT, w.mem), -ENOSPC);
	assert_int_equal(
	    run(MDISK_TRIM, UINT64_MAX - UNIT + 1, UNIT, NULL), -ENOSPC);
	assert_int_equal(run(MDISK_WRITE, 1, UNIT, w.mem), -EINVAL);
	assert_int_equal(run(MDISK_WRITE, 0, 100, w.mem), -EINVAL);
	assert_int_equal(run(MDISK_READ, 0, 0, w.mem), -EINVAL);
}

static void
a_file_that_shrank_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(truncate(w.path, UNIT), 0);
	assert_int_equal(run(MDISK_READ, 1 << 20, UNIT, w.mem), -EIO);
	assert_int_equal(run(MDISK_READ, 0, 2 * UNIT, w.mem), -EIO);
}

static void
only_one_may_have_it(void **state)
{
	(void)state;
	errno = 0;
	assert_null(open_it(false));
	/* Who waits for a process that was killed has to know. */
	assert_int_equal(errno, EBUSY);
	assert_non_null(strstr(w.why, "in use by another process"));
}

static void
a_reader_does_not_mind_and_cannot_write(void **state)
{
	struct mdisk *writer = w.disk;

	(void)state;
	w.disk = open_it(true);
	assert_non_null(w.disk);
	assert_int_equal(run(MDISK_READ, 0, UNIT, w.mem), 0);
	assert_int_equal(run(MDISK_WRITE, 0, UNIT, w.mem), -EBADF);
	close_it();
	w.disk = writer;
}

static void
what_cannot_be_opened_has_a_reason(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s", w.path);
	snprintf(w.path, sizeof(w.path), "/nowhere/disk");
	assert_null(open_it(false));
	assert_string_equal(w.why, "/nowhere/disk: No such file or directory");
	snprintf(w.path, sizeof(w.path), "/dev/null");
	assert_null(open_it(false));
	assert_string_equal(
	    w.why, "/dev/null is neither a block device nor a regular file");
	snprintf(w.path, sizeof(w.path), "%s", path);
}

static void
closing_waits_for_what_is_under_way(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++)
		mdisk_io(w.disk, i, MDISK_WRITE_FUA, (uint64_t)i * UNIT, UNIT,
		    w.mem + i * UNIT);
	close_it();
	assert_int_equal(w.n_done, 50);
	file_has(0, w.mem, 50 * UNIT);
}

/* Else io_uring says EAGAIN, without end, where a device makes it wait. */
static void
waits_for_the_device(void **state)
{
	char link[64], path[64] = "";
	int found = 0;

	(void)state;
	for (int fd = 3; fd < 64; fd++) {
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, path, sizeof(path) - 1);
		if (n <= 0)
			continue;
		path[n] = '\0';
		if (strcmp(path, w.path) != 0)
			continue;
		found++;
		assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	}
	assert_true(found > 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define S(f) cmocka_unit_test_setup_teardown(f, setup_shm, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(it_tells_what_it_opened),
	    T(waits_for_the_device),
	    T(what_is_written_is_read_back),
	    T(memory_of_any_alignment_will_do),
	    T(large_writes_are_submitted_some_at_a_time),
	    T(more_than_the_ring_holds_are_all_done),
	    T(trimmed_and_zeroed_ranges_read_as_zeroes),
	    T(ranges_that_are_not_there_are_refused),
	    T(a_file_that_shrank_is_an_error),
	    T(only_one_may_have_it),
	    T(a_reader_does_not_mind_and_cannot_write),
	    T(what_cannot_be_opened_has_a_reason),
	    T(closing_waits_for_what_is_under_way),
	    S(what_is_written_is_read_back),
	    S(memory_of_any_alignment_will_do),
	    S(more_than_the_ring_holds_are_all_done),
	    S(trimmed_and_zeroed_ranges_read_as_zeroes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
