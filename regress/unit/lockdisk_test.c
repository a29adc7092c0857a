/* SPDX-License-Identifier: BSD-2-Clause */
/* The lock disk: its layout, its making, and two nodes on one file. */
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

#include <bsd/string.h>

#include "lockdisk.h"
#include "lockdisk_slot.h"
#include "log.h"
#include "loop.h"

static const struct ld_header header = {"prod", 0x1122334455667788};

static void
make_image(uint8_t *image)
{
	memset(image, 0, LD_BYTES);
	for (unsigned c = 0; c < 2; c++) {
		ld_header_encode(&header, image + ld_offset(0, c));
		for (uint8_t id = 1; id <= HAD_NODES_MAX; id++) {
			const struct ld_slot s = {.node = id};

			ld_slot_encode(&header, &s, image + ld_offset(id, c));
		}
	}
}

static void
put_slot(uint8_t *image, const struct ld_slot *s)
{
	ld_slot_encode(
	    &header, s, image + ld_offset(s->node, (unsigned)(s->seq % 2)));
}

static const struct ld_slot chosen2 = {
    .node = 2,
    .seq = 1,
    .incarnation = 99,
    .epoch = 7,
    .mbal = 33,
    .bal = 33,
    .inp = 1,
    .chosen = 1,
};

static void
a_block_is_these_bytes(void **state)
{
	static const uint8_t head[] = {
	    'h', 'a', 'd', 'l', 'o', 'c', 'k', 's', 1, 0, 2, 0, 0, 0, 0, 0};
	static const uint8_t body[] = {1, 0, 0, 0, 0, 0, 0, 0, /* seq */
	    99, 0, 0, 0, 0, 0, 0, 0, /* incarnation */
	    7, 0, 0, 0, 0, 0, 0, 0, /* epoch */
	    33, 0, 0, 0, 0, 0, 0, 0, 33, 0, 0, 0, 0, 0, 0, 0, /* mbal, bal */
	    1, 1};
	static const uint8_t id[] = {0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22,
	    0x11, 'p', 'r', 'o', 'd', 0};
	uint8_t block[LD_BLOCK];
	struct ld_header h;
	struct ld_slot s;
	const char *why;

	(void)state;
	ld_slot_encode(&header, &chosen2, block);
	assert_memory_equal(block, head, sizeof(head));
	assert_memory_equal(block + 24, id, sizeof(id));
	assert_memory_equal(block + 64, body, sizeof(body));
	assert_int_equal(
	    ld_slot_decode(&header, 2, &s, block, sizeof(block), &why), 0);
	assert_memory_equal(&s, &chosen2, sizeof(s));
	ld_header_encode(&header, block);
	assert_int_equal(ld_header_decode(&h, block, LD_USED, &why), 0);
	assert_memory_equal(&h, &header, sizeof(h));
	/* The two copies do not share a block, and all of it fits. */
	assert_int_equal(ld_offset(0, 0), 0);
	assert_int_equal(ld_offset(16, 0) + LD_BLOCK, ld_offset(0, 1));
	assert_int_equal(ld_offset(16, 1) + LD_BLOCK, LD_BYTES);
}

static void
every_flipped_bit_is_seen(void **state)
{
	uint8_t block[LD_BLOCK];
	struct ld_header h;
	struct ld_slot s;
	const char *why;

	(void)state;
	ld_slot_encode(&header, &chosen2, block);
	for (unsigned bit = 0; bit < LD_USED * 8; bit++) {
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(
		    ld_slot_decode(&header, 2, &s, block, sizeof(block), &why),
		    -1);
		assert_non_null(why);
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t len = 0; len < LD_USED; len++) {
		assert_int_equal(
		    ld_slot_decode(&header, 2, &s, block, len, &why), -1);
		assert_string_equal(why, "truncated");
	}
	ld_header_encode(&header, block);
	for (unsigned bit = 0; bit < LD_USED * 8; bit++) {
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(
		    ld_header_decode(&h, block, sizeof(block), &why), -1);
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(ld_header_decode(&h, block, 511, &why), -1);
	assert_string_equal(why, "truncated");
}

static void
refused(const struct ld_header *h, struct ld_slot s, const char *want)
{
	uint8_t block[LD_BLOCK];
	const char *why = NULL;
	struct ld_slot got;

	ld_slot_encode(h, &s, block);
	assert_int_equal(
	    ld_slot_decode(&header, 2, &got, block, LD_BLOCK, &why), -1);
	assert_string_equal(why, want);
}

static void
whole_but_wrong_slots_are_refused(void **state)
{
	const struct ld_header other = {"test", 0x1122334455667788},
			       copy = {"prod", 5};
	struct ld_slot s;

	(void)state;
	refused(&other, chosen2, "of another cluster");
	refused(&copy, chosen2, "of another lock disk");
#define WRONG(want, ...) \
	s = chosen2; \
	__VA_ARGS__; \
	refused(&header, s, want)
	WRONG("of another node", s.node = 3);
	WRONG("node id out of range", s.inp = s.chosen = 17);
	WRONG("node id out of range", s.chosen = 200);
	WRONG("a ballot without an epoch", s.epoch = 0);
	WRONG("an epoch that nobody wrote", s.seq = 0);
	WRONG("an epoch that nobody wrote", s.incarnation = 0);
	WRONG("another node's ballot", s.mbal = 34);
	WRONG("another node's ballot", s.mbal = 1; s.bal = 1);
	WRONG("another node's ballot", s.bal = 32);
	WRONG("ballots do not match", s.bal = 49);
	WRONG("ballots do not match", s.inp = s.chosen = 0);
	WRONG("ballots do not match", s.bal = 0);
	WRONG("chosen without a ballot", s.chosen = 2);
	WRONG("chosen without a ballot", s.mbal = 49);
}

static int
look(const uint8_t *image, const uint8_t *before, struct ld_view *v, char *why)
{
	why[0] = '\0';
	return ld_view_decode(v, image, before, "prod", why, 128);
}

static void
a_view_needs_the_disk_whole(void **state)
{
	uint8_t *image = malloc(LD_BYTES);
	struct ld_view v;
	char why[128];

	(void)state;
	make_image(image);
	put_slot(image, &chosen2);
	assert_int_equal(look(image, NULL, &v, why), 0);
	assert_int_equal(v.slots[1].seq, 1);
	assert_int_equal(v.holder, 1);
	assert_int_equal(v.holder_epoch, 7);
	assert_string_equal(v.damage, "");
	assert_int_equal(
	    ld_view_decode(&v, image, NULL, "test", why, sizeof(why)), -1);
	assert_string_equal(why, "it belongs to cluster prod, not to test");
	/* One header, none; two that differ. */
	image[ld_offset(0, 0) + 40] ^= 1;
	assert_int_equal(look(image, NULL, &v, why), 0);
	assert_string_equal(v.damage, "header: copy 1: checksum does not "
				      "match; the other is used");
	image[ld_offset(0, 1) + 40] ^= 1;
	assert_int_equal(look(image, NULL, &v, why), -1);
	assert_string_equal(why, "header: checksum does not match");
	ld_header_encode(&header, image);
	ld_header_encode(
	    &(struct ld_header){"prod", 5}, image + ld_offset(0, 1));
	assert_int_equal(look(image, NULL, &v, why), -1);
	assert_string_equal(why, "its two headers differ");
	memset(image, 0, LD_BYTES);
	assert_int_equal(look(image, NULL, &v, why), -1);
	assert_string_equal(why, "header: not of a lock disk (bad magic)");
	free(image);
}

static void
damaged_copies(void **state)
{
	uint8_t *image = malloc(LD_BYTES);
	struct ld_slot s = chosen2;
	struct ld_view v;
	char why[128];

	(void)state;
	make_image(image);
	put_slot(image, &chosen2);
	/* The newer copy torn: first look again, then the older counts. */
	memset(image + ld_offset(2, 1) + 256, 0xff, 10);
	assert_int_equal(look(image, NULL, &v, why), 1);
	assert_int_equal(look(image, image, &v, why), 0);
	assert_int_equal(v.slots[1].seq, 0);
	assert_string_equal(v.damage, "slot of node 2: copy 2: checksum does "
				      "not match; the other is used");
	/* Both: never. */
	memset(image + ld_offset(2, 0), 0, LD_USED);
	assert_int_equal(look(image, NULL, &v, why), 1);
	assert_int_equal(look(image, image, &v, why), -1);
	assert_string_equal(
	    why, "slot of node 2: not of a lock disk (bad magic)");
	/* A write that was reported and is not there. */
	make_image(image);
	s.seq = 3;
	put_slot(image, &s);
	assert_int_equal(look(image, image, &v, why), -1);
	assert_string_equal(why, "slot of node 2: a write got lost");
	s.seq = 2;
	put_slot(image, &s);
	assert_int_equal(look(image, NULL, &v, why), 0);
	assert_int_equal(v.slots[1].seq, 3);
	/* Not where it belongs. */
	s.seq = 4;
	ld_slot_encode(&header, &s, image + ld_offset(2, 1));
	assert_int_equal(look(image, image, &v, why), 0);
	assert_int_equal(v.slots[1].seq, 2);
	assert_string_equal(v.damage, "slot of node 2: copy 2: in the other's "
				      "place; the other is used");
	free(image);
}

/* The driver. */

enum { NODES = 2 };

struct node {
	struct world *w;
	struct lockdisk *d;
	int answers, ups;
	uint64_t epoch;
	enum ld_vote vote;
	uint8_t holder;
	uint64_t holder_epoch;
	char text[128];
	bool up;
	char up_text[128];
};

struct world {
	struct loop *loop;
	struct node node[NODES];
	char dir[64], path[80];
};

static void
on_answer(void *ctx, uint64_t epoch, enum ld_vote vote, uint8_t holder,
    uint64_t holder_epoch, const char *text)
{
	struct node *n = ctx;

	n->answers++;
	n->epoch = epoch;
	n->vote = vote;
	n->holder = holder;
	n->holder_epoch = holder_epoch;
	strlcpy(n->text, text, sizeof(n->text));
}

static void
on_up(void *ctx, bool up, const char *text)
{
	struct node *n = ctx;

	n->ups++;
	n->up = up;
	strlcpy(n->up_text, text, sizeof(n->up_text));
}

static const struct ld_cb callbacks = {on_answer, on_up};

static void
start(struct world *w, unsigned i, uint64_t incarnation)
{
	const struct ld_conf c = {
	    .path = w->path,
	    .cluster = "prod",
	    .self = (uint8_t)(i + 1),
	    .incarnation = incarnation,
	    .deadline_ms = 20000,
	    .probe_ms = 20,
	};

	memset(&w->node[i], 0, sizeof(w->node[i]));
	w->node[i].w = w;
	w->node[i].d = ld_new(loop_event(w->loop), &c, &callbacks, &w->node[i]);
	assert_non_null(w->node[i].d);
}

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char why[256];

	log_init("lockdisk_test", 0, false);
	strlcpy(w->dir, "/tmp/lockdisk_test.XXXXXX", sizeof(w->dir));
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof(w->path), "%s/disk", w->dir);
	assert_int_equal(
	    lockdisk_create(w->path, "prod", false, why, sizeof(why)), 0);
	w->loop = loop_new();
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;
	char command[128];

	for (unsigned i = 0; i < NODES; i++)
		ld_free(w->node[i].d);
	loop_free(w->loop);
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

static void
run_until(struct world *w, const int *what, int count)
{
	monotime_t end = mt_add_ms(loop_now(), 60000);

	while (*what < count) {
		assert_true(sd_event_run(loop_event(w->loop), 1000000) >= 0);
		assert_true(mt_before(loop_now(), end));
	}
}

static enum ld_vote
ask(struct world *w, unsigned i, uint64_t epoch)
{
	struct node *n = &w->node[i];
	int before = n->answers;

	ld_ask(n->d, epoch);
	/* The same once more is the same. */
	ld_ask(n->d, epoch);
	assert_int_equal(n->answers, before);
	run_until(w, &n->answers, before + 1);
	assert_int_equal(n->answers, before + 1);
	assert_int_equal(n->epoch, epoch);
	return n->vote;
}

static void
a_lease_has_one_holder(void **state)
{
	struct world *w = *state;
	struct ld_status st;

	start(w, 0, 11);
	start(w, 1, 22);
	assert_int_equal(ask(w, 0, 5), LD_GRANTED);
	assert_int_equal(ask(w, 1, 5), LD_DENIED);
	assert_int_equal(w->node[1].holder, 1);
	assert_int_equal(w->node[1].holder_epoch, 5);
	assert_int_equal(ask(w, 0, 5), LD_GRANTED);
	/* It goes on at the next epoch, and the first is over. */
	assert_int_equal(ask(w, 1, 6), LD_GRANTED);
	assert_int_equal(ask(w, 0, 5), LD_DENIED);
	assert_int_equal(w->node[0].holder, 2);
	assert_int_equal(w->node[0].holder_epoch, 6);
	/* A daemon that starts again has what it had. */
	ld_free(w->node[1].d);
	start(w, 1, 23);
	assert_int_equal(ask(w, 1, 6), LD_GRANTED);
	run_until(w, &w->node[1].ups, 1);
	assert_true(w->node[1].up);
	ld_status(w->node[1].d, &st);
	assert_true(st.up);
	assert_int_equal(st.holder, 2);
	assert_int_equal(st.holder_epoch, 6);
}

static void
two_at_once_and_one_wins(void **state)
{
	struct world *w = *state;
	unsigned won[NODES] = {0};

	start(w, 0, 11);
	start(w, 1, 22);
	for (uint64_t e = 1; e <= 40; e++) {
		int a = w->node[0].answers, b = w->node[1].answers;

		ld_ask(w->node[e % 2].d, e);
		ld_ask(w->node[1 - e % 2].d, e);
		run_until(w, &w->node[0].answers, a + 1);
		run_until(w, &w->node[1].answers, b + 1);
		for (unsigned i = 0; i < NODES; i++) {
			const struct node *n = &w->node[i];

			assert_int_not_equal(n->vote, LD_UNREACHABLE);
			won[i] += n->vote == LD_GRANTED;
			if (n->vote == LD_DENIED)
				assert_int_equal(n->holder, 2 - i);
		}
		assert_int_equal(won[0] + won[1], e);
	}
	printf("# of 40 races %u and %u were won\n", won[0], won[1]);
}

static void
another_epoch_takes_the_place(void **state)
{
	struct world *w = *state;
	struct node *n = &w->node[0];

	start(w, 0, 11);
	ld_ask(n->d, 3);
	ld_ask(n->d, 4);
	run_until(w, &n->answers, 1);
	assert_int_equal(n->epoch, 4);
	assert_int_equal(n->vote, LD_GRANTED);
	assert_int_equal(ask(w, 0, 5), LD_GRANTED);
	assert_int_equal(n->answers, 2);
}

static void
overwrite(const struct world *w, off_t at, const void *bytes, size_t len)
{
	int fd = open(w->path, O_RDWR | O_CLOEXEC);

	assert_true(fd != -1);
	assert_int_equal(pwrite(fd, bytes, len, at), len);
	assert_int_equal(fsync(fd), 0);
	close(fd);
}

static void
broken(struct world *w, const char *why)
{
	struct node *n = &w->node[0];
	struct ld_status st;

	assert_int_equal(ask(w, 0, 50), LD_UNREACHABLE);
	assert_string_equal(n->text, why);
	ld_status(n->d, &st);
	assert_false(st.up);
	assert_string_equal(st.text, why);
}

static void
a_disk_that_is_not_right_is_unreachable(void **state)
{
	struct world *w = *state;
	uint8_t *image = malloc(LD_BYTES), *now = malloc(LD_BYTES);
	char why[256], other[96];
	struct stat st;
	int fd;

	start(w, 0, 11);
	run_until(w, &w->node[0].ups, 1);
	assert_true(w->node[0].up);
	/* Flipped in both copies: and not overwritten. */
	overwrite(w, (off_t)ld_offset(2, 0) + 100, "x", 1);
	overwrite(w, (off_t)ld_offset(2, 1) + 100, "x", 1);
	fd = open(w->path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, image, LD_BYTES, 0), LD_BYTES);
	broken(w, "slot of node 2: checksum does not match");
	assert_int_equal(pread(fd, now, LD_BYTES, 0), LD_BYTES);
	assert_memory_equal(image, now, LD_BYTES);
	close(fd);
	run_until(w, &w->node[0].ups, 2);
	assert_false(w->node[0].up);
	/* Truncated. */
	assert_int_equal(truncate(w->path, LD_BYTES - LD_BLOCK), 0);
	snprintf(why, sizeof(why), "truncated: %d bytes of %d",
	    LD_BYTES - LD_BLOCK, LD_BYTES);
	broken(w, why);
	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_size, LD_BYTES - LD_BLOCK);
	/* Gone. */
	assert_int_equal(unlink(w->path), 0);
	broken(w, "No such file or directory");
	/* Another cluster's; another of this cluster. */
	assert_int_equal(
	    lockdisk_create(w->path, "test", false, why, sizeof(why)), 0);
	broken(w, "it belongs to cluster test, not to prod");
	assert_int_equal(
	    lockdisk_create(w->path, "prod", true, why, sizeof(why)), 0);
	broken(w, "another lock disk is in its place");
	/* Put in its place while it is open. */
	ld_free(w->node[0].d);
	start(w, 0, 13);
	run_until(w, &w->node[0].ups, 1);
	assert_true(w->node[0].up);
	snprintf(other, sizeof(other), "%s.new", w->path);
	assert_int_equal(
	    lockdisk_create(other, "prod", true, why, sizeof(why)), 0);
	assert_int_equal(rename(other, w->path), 0);
	broken(w, "something else is in its place");
	broken(w, "another lock disk is in its place");
	/* For a daemon that starts now it is as good as any. */
	ld_free(w->node[0].d);
	start(w, 0, 12);
	assert_int_equal(ask(w, 0, 50), LD_GRANTED);
	free(image);
	free(now);
}

static void
a_disk_put_back_is_refused(void **state)
{
	struct world *w = *state;
	uint8_t *image = malloc(LD_BYTES);
	int fd = open(w->path, O_RDONLY | O_CLOEXEC);

	start(w, 0, 11);
	assert_int_equal(ask(w, 0, 1), LD_GRANTED);
	assert_int_equal(pread(fd, image, LD_BYTES, 0), LD_BYTES);
	assert_int_equal(ask(w, 0, 2), LD_GRANTED);
	overwrite(w, 0, image, LD_BYTES);
	broken(w, "it shows an old state of this node's slot");
	close(fd);
	free(image);
}

static void
two_daemons_of_one_node(void **state)
{
	struct world *w = *state;
	const struct ld_conf twin = {
	    .path = w->path,
	    .cluster = "prod",
	    .self = 1,
	    .incarnation = 33,
	    .deadline_ms = 20000,
	    .probe_ms = 1000,
	};

	start(w, 0, 11);
	assert_int_equal(ask(w, 0, 1), LD_GRANTED);
	w->node[1].w = w;
	w->node[1].d =
	    ld_new(loop_event(w->loop), &twin, &callbacks, &w->node[1]);
	assert_int_equal(ask(w, 1, 2), LD_GRANTED);
	broken(w, "another daemon writes as this node");
}

/* A FIFO is neither; and opening it does not block. */
static void
not_a_disk(void **state)
{
	struct world *w = *state;

	assert_int_equal(unlink(w->path), 0);
	assert_int_equal(mkfifo(w->path, 0600), 0);
	start(w, 0, 11);
	broken(w, "neither a file nor a block device");
}

static void
no_create(const char *path, const char *cluster, const char *want)
{
	char why[256] = "", text[256];

	assert_int_equal(
	    lockdisk_create(path, cluster, false, why, sizeof(why)), -1);
	snprintf(text, sizeof(text), "%s: %s", path, want);
	assert_string_equal(why, text);
}

static void
create_destroys_nothing(void **state)
{
	struct world *w = *state;
	char other[96], command[512], why[256];
	struct stat st;

	no_create(w->path, "prod",
	    "it is the lock disk of cluster prod: --force forgets who has its "
	    "lease");
	no_create("/dev/no-such-device", "prod", "there is no such device");
	no_create("/dev/null", "prod", "neither a file nor a block device");
	snprintf(other, sizeof(other), "%s/other", w->dir);
	no_create(other, "", "a cluster's name has 1 to 31 bytes");
	no_create(other, "a-name-that-is-longer-than-it-may",
	    "a cluster's name has 1 to 31 bytes");
	assert_int_equal(stat(other, &st), -1);
	snprintf(command, sizeof(command), "echo precious >%s", other);
	assert_int_equal(system(command), 0);
	no_create(other, "prod", "it holds data: --force destroys them");
	/* A file system begins with zeroes as far as that goes. */
	snprintf(command, sizeof(command),
	    "rm %s; truncate -s 8M %s && mkfs.ext4 -q -F %s", other, other,
	    other);
	assert_int_equal(system(command), 0);
	no_create(other, "prod", "it holds data: --force destroys them");
	/* Empty but for its end, where some write that it is theirs. */
	snprintf(command, sizeof(command),
	    "truncate -s 0 %s; truncate -s 64M %s; printf 'Promise "
	    "Technology, Inc.' | dd of=%s bs=512 seek=%d conv=notrunc "
	    "2>/dev/null",
	    other, other, other, (64 << 11) - 63);
	assert_int_equal(system(command), 0);
	no_create(other, "prod",
	    "it holds promise_fasttrack_raid_member: --force destroys it");
	snprintf(command, sizeof(command),
	    "truncate -s 0 %s; truncate -s 64M %s", other, other);
	assert_int_equal(system(command), 0);
	/* Zeroes are nothing. */
	assert_int_equal(
	    lockdisk_create(other, "prod", false, why, sizeof(why)), 0);
	assert_int_equal(stat(other, &st), 0);
	assert_int_equal(st.st_size, 64 << 20);
	assert_int_equal(
	    lockdisk_create(other, "test", true, why, sizeof(why)), 0);
	no_create(other, "prod",
	    "it is the lock disk of cluster test: --force forgets who has its "
	    "lease");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_block_is_these_bytes),
	    cmocka_unit_test(every_flipped_bit_is_seen),
	    cmocka_unit_test(whole_but_wrong_slots_are_refused),
	    cmocka_unit_test(a_view_needs_the_disk_whole),
	    cmocka_unit_test(damaged_copies),
	    TEST(a_lease_has_one_holder),
	    TEST(two_at_once_and_one_wins),
	    TEST(another_epoch_takes_the_place),
	    TEST(a_disk_that_is_not_right_is_unreachable),
	    TEST(a_disk_put_back_is_refused),
	    TEST(two_daemons_of_one_node),
	    TEST(not_a_disk),
	    TEST(create_destroys_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
