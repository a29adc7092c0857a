/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Creating and showing a volume's metadata, on sparse files: what is refused,
 * what is written, and what a damaged superblock leads to.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "mvolume.h"

enum { SIZE = 8 << 20 };

static char dir[64], device[96], meta[96], why[512];
static struct mvolume_info info;

static int
setup(void **state)
{
	int fd;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/mvolume_test.%d", getpid());
	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(device, sizeof(device), "%s/device", dir);
	snprintf(meta, sizeof(meta), "%s/meta", dir);
	fd = open(device, O_RDWR | O_CREAT, 0600);
	assert_true(fd != -1 && ftruncate(fd, SIZE) == 0);
	close(fd);
	close(open(meta, O_RDWR | O_CREAT, 0600));
	why[0] = '\0';
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(device);
	unlink(meta);
	rmdir(dir);
	return 0;
}

static struct mvolume_new
fresh(void)
{
	return (struct mvolume_new){.device = device,
	    .meta = "",
	    .cluster = "lab",
	    .volume = "orders",
	    .node = 1,
	    .peers = {2},
	    .n_peers = 1};
}

static void
created(const struct mvolume_new *n)
{
	if (mvolume_create(n, why, sizeof(why)) == -1)
		fail_msg("%s", why);
}

static void
refused(const struct mvolume_new *n, const char *words)
{
	assert_int_equal(mvolume_create(n, why, sizeof(why)), -1);
	if (strstr(why, words) == NULL)
		fail_msg("'%s', wanted '%s'", why, words);
}

static void
shown(const char *meta_path)
{
	if (mvolume_dump(device, meta_path, &info, why, sizeof(why)) == -1)
		fail_msg("%s", why);
}

static void
put(const char *path, off_t off, const void *bytes, size_t len)
{
	int fd = open(path, O_RDWR);

	assert_int_equal(pwrite(fd, bytes, len, off), len);
	close(fd);
}

/* Enough of a LUKS header for libblkid to know it. */
static void
put_signature(const char *path)
{
	put(path, 0, "LUKS\xba\xbe\0\1", 8);
}

static void
a_blank_copy_is_made_and_found_again(void **state)
{
	struct mvolume_new n = fresh();

	(void)state;
	created(&n);
	shown("");
	assert_true(info.internal && info.good[0] && info.good[1]);
	assert_string_equal(info.sb.name, "orders");
	assert_int_equal(info.sb.node, 1);
	assert_int_equal(info.sb.slots, 1);
	assert_int_equal(info.sb.slot[0].peer, 2);
	assert_true(mmeta_blank(&info.sb));
	assert_true(info.sb.cluster == mmeta_cluster("lab"));
	assert_int_equal(info.device_bytes, SIZE);
	assert_int_equal(info.bad_sectors, 0);
	assert_int_equal(info.intent_bytes, 0);
	assert_int_equal(info.layout.meta_off + info.layout.meta_bytes, SIZE);
}

static void
kept_data_make_it_a_good_copy_with_an_identity(void **state)
{
	struct mvolume_new n = fresh();
	uint8_t first[16];

	(void)state;
	n.keep = true;
	created(&n);
	shown("");
	assert_false(mmeta_blank(&info.sb));
	assert_true(info.sb.current != 0);
	assert_true(info.sb.flags & MMETA_F_UPTODATE);
	memcpy(first, info.sb.volume_id, sizeof(first));
	n.force = true; /* and each creation makes another one */
	created(&n);
	shown("");
	assert_memory_not_equal(first, info.sb.volume_id, sizeof(first));
}

static void
more_peers_need_more_room_and_are_found_too(void **state)
{
	struct mvolume_new n = fresh();
	uint64_t one;

	(void)state;
	created(&n);
	shown("");
	one = info.layout.meta_bytes;
	n.force = true;
	n.n_peers = 3;
	n.peers[1] = 3;
	n.peers[2] = 4;
	created(&n);
	shown("");
	assert_int_equal(info.sb.slots, 3);
	assert_int_equal(info.sb.slot[2].peer, 4);
	assert_true(info.layout.meta_bytes > one);
}

static void
what_is_had_s_is_not_overwritten(void **state)
{
	struct mvolume_new n = fresh();

	(void)state;
	created(&n);
	n.volume = "other";
	refused(&n, "is had's already: volume orders, node 1: --force");
	shown("");
	assert_string_equal(info.sb.name, "orders");
	n.force = true;
	created(&n);
	shown("");
	assert_string_equal(info.sb.name, "other");
}

static void
what_holds_something_is_not_overwritten(void **state)
{
	struct mvolume_new n = fresh();
	struct stat before, after;

	(void)state;
	put_signature(device);
	assert_int_equal(stat(device, &before), 0);
	refused(&n, "holds data (crypto_LUKS): --keep");
	assert_int_equal(stat(device, &after), 0);
	assert_int_equal(before.st_blocks, after.st_blocks); /* untouched */
	n.keep = true;
	refused(&n, "internal metadata would overwrite its last part");
	n.meta = meta;
	created(&n);
	n.keep = false;
	n.meta = "";
	n.force = true;
	created(&n);
}

static void
metadata_of_their_own_grow_a_file(void **state)
{
	struct mvolume_new n = fresh();
	struct stat st;

	(void)state;
	n.meta = meta;
	created(&n);
	shown(meta);
	assert_false(info.internal);
	assert_int_equal(info.layout.meta_off, 0);
	assert_int_equal(info.layout.data_bytes, SIZE);
	assert_int_equal(stat(meta, &st), 0);
	assert_int_equal(st.st_size, info.layout.meta_bytes);
	assert_int_equal(mvolume_dump(device, "", &info, why, sizeof(why)), -1);
	n.volume = "other";
	refused(&n, "is had's already");
}

static void
the_metadata_s_device_may_hold_something_too(void **state)
{
	struct mvolume_new n = fresh();

	(void)state;
	assert_int_equal(truncate(meta, SIZE), 0);
	put_signature(meta);
	n.meta = meta;
	refused(&n, "meta holds data (crypto_LUKS): --force destroys them");
}

static void
what_is_in_use_is_refused_even_by_force(void **state)
{
	struct mvolume_new n = fresh();
	int fd = open(device, O_RDWR);

	(void)state;
	assert_int_equal(flock(fd, LOCK_EX), 0);
	n.force = true;
	refused(&n, "in use by a running had");
	close(fd);
	created(&n);
}

static void
what_cannot_be_has_a_reason(void **state)
{
	struct mvolume_new n = fresh();

	(void)state;
	assert_int_equal(mvolume_dump(device, "", &info, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "no metadata of had: create it with "
				    "'hactl volume create'"));
	assert_int_equal(truncate(device, 16384), 0);
	refused(&n, "the device is too small");
	n.device = dir;
	refused(&n, "is neither a block device nor a file");
	n.device = "/nowhere";
	refused(&n, "/nowhere: No such file or directory");
	n = fresh();
	n.meta = "/nowhere";
	refused(&n, "/nowhere: No such file or directory");
}

static void
one_good_superblock_is_enough_and_the_other_is_shown(void **state)
{
	static const uint8_t junk[512] = {1, 2, 3};
	struct mvolume_new n = fresh();
	char text[4096];

	(void)state;
	created(&n);
	shown("");
	put(device,
	    (off_t)(info.layout.meta_off + info.layout.sb_off[info.which]),
	    junk, sizeof(junk));
	shown("");
	assert_int_equal(info.good[0] + info.good[1], 1);
	assert_true(info.good[info.which]);
	assert_non_null(info.bad_why[!info.which]);
	mvolume_text(&info, text, sizeof(text));
	assert_non_null(strstr(text, info.bad_why[!info.which]));
	put(device,
	    (off_t)(info.layout.meta_off + info.layout.sb_off[info.which]),
	    junk, sizeof(junk));
	assert_int_equal(mvolume_dump(device, "", &info, why, sizeof(why)), -1);
}

static void
a_bad_map_sector_counts_as_dirty(void **state)
{
	static const uint8_t junk[16] = {0xaa};
	struct mvolume_new n = fresh();
	uint64_t before;

	(void)state;
	n.keep = true;
	created(&n);
	shown("");
	before = info.intent_bytes;
	put(device, (off_t)(info.layout.meta_off + info.layout.intent_off),
	    junk, sizeof(junk));
	shown("");
	assert_int_equal(info.bad_sectors, 1);
	assert_true(info.intent_bytes > before);
	assert_int_equal(info.intent_bytes, info.sb.data_bytes);
}

static const char golden[] =
    "volume       orders\n"
    "id           ab000000000000000000000000000000\n"
    "node         2\n"
    "size         1048576 bytes\n"
    "metadata     internal, 20480 bytes at 1048576\n"
    "superblock   A: good\n"
    "superblock   B: good, counts\n"
    "update       42\n"
    "epoch        7\n"
    "flags        consistent primary crashed\n"
    "current      00000000000000ff\n"
    "history      00000000000000fe\n"
    "peer         node 1, generation 0000000000000010, even\n"
    "             8192 bytes to be resynced\n"
    "intents      65536 bytes\n"
    "bad sectors  3 of the maps, taken as all dirty\n";

static void
the_text_is_golden(void **state)
{
	struct mvolume_info v = {
	    .sb = {.gen = 42,
		.volume_id = {0xab},
		.name = "orders",
		.node = 2,
		.slots = 1,
		.flags = MMETA_F_CONSISTENT | MMETA_F_PRIMARY | MMETA_F_CRASHED,
		.data_bytes = 1 << 20,
		.epoch = 7,
		.current = 0xff,
		.history = {0xfe},
		.slot = {{1, MMETA_S_ALL & ~MMETA_S_FULL, 0x10}}},
	    .layout = {.meta_off = 1 << 20, .meta_bytes = 20480},
	    .internal = true,
	    .which = 1,
	    .good = {true, true},
	    .intent_bytes = 65536,
	    .dirty_bytes = {8192},
	    .bad_sectors = 3,
	};
	char text[2048];

	(void)state;
	assert_int_equal(
	    mvolume_text(&v, text, sizeof(text)), sizeof(golden) - 1);
	assert_string_equal(text, golden);
	/* Cut, but with the length that it wants. */
	assert_int_equal(mvolume_text(&v, text, 10), sizeof(golden) - 1);
	assert_string_equal(text, "volume   ");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_blank_copy_is_made_and_found_again),
	    T(kept_data_make_it_a_good_copy_with_an_identity),
	    T(more_peers_need_more_room_and_are_found_too),
	    T(what_is_had_s_is_not_overwritten),
	    T(what_holds_something_is_not_overwritten),
	    T(metadata_of_their_own_grow_a_file),
	    T(the_metadata_s_device_may_hold_something_too),
	    T(what_is_in_use_is_refused_even_by_force),
	    T(what_cannot_be_has_a_reason),
	    T(one_good_superblock_is_enough_and_the_other_is_shown),
	    T(a_bad_map_sector_counts_as_dirty),
	    cmocka_unit_test(the_text_is_golden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
