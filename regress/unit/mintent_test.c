/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The write-intent map of a volume with several pages: at every data write
 * that is submitted, the disk itself is asked whether the chunk's bit is
 * stable, through cleaning, errors of the metadata and a power cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mirror.h"
#include "mirror_int.h"

#define DATA (UINT64_C(9) << 30) /* five pages of intents */
#define PART (DATA / 5 / MMETA_CHUNK * MMETA_CHUNK)
enum { OPS = 256, REQS = 64 };

static struct {
	struct mir *m;
	struct mmeta_layout l;
	uint8_t *meta; /* what is stable: all metadata are written so */
	struct mir_io ops[OPS];
	unsigned n, writes, pages, errors, replies;
	int fail_meta; /* the next pages fail */
	monotime_t now, timer;
	uint64_t rng;
	bool busy[REQS];
} w;

static uint64_t
rnd(uint64_t n)
{
	w.rng ^= w.rng << 13;
	w.rng ^= w.rng >> 7;
	w.rng ^= w.rng << 17;
	return w.rng % n;
}

static bool
stable(uint64_t off)
{
	uint64_t chunk = off / MMETA_CHUNK;
	uint32_t page = (uint32_t)(chunk / MMETA_PAGE_BITS);
	struct dirtymap dm;
	bool set;

	assert_int_equal(dm_init(&dm, DATA / MMETA_CHUNK), 0);
	assert_int_equal(
	    mmeta_page_decode(w.meta + w.l.intent_off + page * MMETA_PAGE, 3,
		MMETA_INTENT, 0, page, &dm),
	    0);
	set = dm_test(&dm, chunk);
	dm_fini(&dm);
	return set;
}

static void
op_disk(void *ctx, const struct mir_io *io)
{
	(void)ctx;
	assert_true(w.n < OPS);
	w.ops[w.n++] = *io;
	if (io->area == MIR_META && io->cmd == MIR_WRITE)
		assert_true(io->fua);
	if (io->area == MIR_DATA && io->len > 0 && io->cmd != MIR_READ) {
		w.writes++;
		if (!stable(io->off) || !stable(io->off + io->len - 1))
			fail_msg("write at %llu without intent",
			    (unsigned long long)io->off);
	}
}

static void
op_reply(void *ctx, uint64_t cookie, int error)
{
	(void)ctx;
	w.busy[cookie] = false;
	w.replies++;
	w.errors += error != 0;
}

static void
op_send(void *ctx, uint8_t peer, const uint8_t *hdr, size_t hdr_len,
    const void *data, size_t len)
{
	(void)ctx, (void)peer, (void)hdr, (void)hdr_len, (void)data, (void)len;
}

static void
op_timer(void *ctx, monotime_t at)
{
	(void)ctx;
	w.timer = at;
}

static void
op_done(void *ctx, uint64_t token, bool ok, const char *text)
{
	(void)ctx, (void)token, (void)text;
	assert_true(ok);
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx, (void)level, (void)rule, (void)object, (void)text;
}

static void
op_changed(void *ctx)
{
	(void)ctx;
}

static const struct mir_ops ops = {
    op_disk, op_reply, op_send, op_timer, op_done, op_note, op_changed};

static void
step(struct mir_event ev)
{
	ev.now = w.now;
	mir_step(w.m, &ev);
}

static void
complete(unsigned i)
{
	struct mir_io io = w.ops[i];
	struct mir_event ev = {.type = MIR_DISK};

	w.ops[i] = w.ops[--w.n];
	ev.u.disk.io = io.io;
	if (io.area == MIR_META && io.cmd == MIR_WRITE && w.fail_meta > 0) {
		w.fail_meta--;
		ev.u.disk.error = 5;
	} else if (io.area == MIR_META && io.cmd == MIR_READ) {
		memcpy(io.buf, w.meta + io.off, io.len);
	} else if (io.area == MIR_META) {
		memcpy(w.meta + io.off, io.buf, io.len);
		w.pages++;
	}
	step(ev);
}

static void
run(void)
{
	while (w.n > 0)
		complete((unsigned)rnd(w.n));
}

static void
start(void)
{
	struct mir_conf c = {.name = "v",
	    .self = 1,
	    .peer = 2,
	    .peer_name = "p",
	    .cluster = 7,
	    .layout = w.l,
	    .reqs_max = REQS,
	    .clean_ms = 1000};
	struct mir_event ev = {.type = MIR_START};

	w.m = mir_new(&c, &ops, NULL);
	assert_non_null(w.m);
	step(ev);
	run();
	ev = (struct mir_event){.type = MIR_VIEW};
	ev.u.view.peer = MIR_PEER_GONE;
	ev.u.view.own_right = true;
	step(ev);
	ev = (struct mir_event){.type = MIR_PROMOTE};
	step(ev);
	run();
}

static int
setup(void **state)
{
	struct mmeta_new n = {.cluster = 7,
	    .name = "v",
	    .node = 1,
	    .peers = {2},
	    .tag = 3,
	    .keep = true,
	    .volume_id = {1},
	    .current = 5};
	struct mmeta_sb sb;
	const char *why;

	(void)state;
	memset(&w, 0, sizeof(w));
	w.rng = 88172645463325252ull;
	w.now = (monotime_t){1000000};
	assert_int_equal(mmeta_plan(&w.l, DATA, false, 1, &why), 0);
	assert_int_equal(w.l.intent_pages, 5);
	w.meta = malloc(w.l.meta_bytes);
	mmeta_format(&sb, &w.l, &n);
	for (uint64_t off = 0; off < w.l.meta_bytes; off += MMETA_PAGE)
		mmeta_format_page(&sb, &w.l, off, w.meta + off);
	start();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	mir_free(w.m);
	free(w.meta);
	return 0;
}

static void
write_at(uint64_t off, uint32_t len, enum mir_cmd cmd)
{
	static uint8_t buf[HAD_IO_MAX];
	struct mir_event ev = {.type = MIR_REQ};
	uint64_t i = 0;

	while (i < REQS && w.busy[i])
		i++;
	if (i == REQS)
		return;
	w.busy[i] = true;
	ev.u.req.cookie = i;
	ev.u.req.cmd = cmd;
	ev.u.req.off = off;
	ev.u.req.len = mir_piece(cmd, off, len);
	ev.u.req.buf = cmd == MIR_WRITE ? buf : NULL;
	step(ev);
}

static void
never_a_write_without_its_intent(void **state)
{
	struct mir_event ev = {.type = MIR_TIMER};

	(void)state;
	for (int i = 0; i < 30000; i++) {
		if (rnd(3) == 0) {
			/* Few chunks, so that they are cleaned and reused. */
			uint64_t off = rnd(5) * PART + rnd(40) * MMETA_CHUNK +
				       rnd(16) * 4096;

			write_at(off, (uint32_t)(1 + rnd(16)) * 4096,
			    rnd(8) ? MIR_WRITE : MIR_TRIM);
		} else if (w.n > 0) {
			complete((unsigned)rnd(w.n));
		}
		if (rnd(200) == 0) {
			w.now = mt_add_ms(w.now, (int64_t)rnd(1500));
			step(ev);
		}
	}
	run();
	assert_true(w.writes > 5000);
	assert_int_equal(w.errors, 0);
	assert_int_equal(w.writes, w.replies);
}

/* Many that wait for one page share its write. */
static void
waiting_writes_share_a_page(void **state)
{
	unsigned before = w.pages;

	(void)state;
	for (uint64_t i = 0; i < 40; i++)
		write_at(i * 7 * MMETA_CHUNK, 4096, MIR_WRITE);
	run();
	assert_int_equal(w.replies, 40);
	/* The first page alone, then all others together. */
	assert_true(w.pages - before <= 3);
}

/* A sequential writer does not wait at each chunk. */
static void
a_sequential_writer_finds_its_intents_set(void **state)
{
	unsigned before = w.pages;

	(void)state;
	for (uint64_t i = 0; i < 160; i++) {
		write_at(i * MMETA_CHUNK, MMETA_CHUNK, MIR_WRITE);
		run();
	}
	assert_int_equal(w.replies, 160);
	assert_true(w.pages - before <= 2 + 160 / WARM_CHUNKS);
}

static void
without_metadata_nothing_is_written(void **state)
{
	(void)state;
	w.fail_meta = 1;
	write_at(0, 4096, MIR_WRITE);
	run();
	assert_int_equal(w.errors, 1);
	assert_int_equal(w.writes, 0);
	write_at(DATA / 2, 4096, MIR_WRITE);
	run();
	assert_int_equal(w.errors, 2);
	assert_int_equal(w.writes, 0);
}

static void
after_a_crash_all_hot_chunks_are_in_doubt(void **state)
{
	struct mir_status st;

	(void)state;
	for (uint64_t i = 0; i < 5; i++)
		write_at(i * PART, 4096, MIR_WRITE);
	while (w.writes < 5)
		complete((unsigned)rnd(w.n));
	w.n = 0;
	memset(w.busy, 0, sizeof(w.busy));
	mir_free(w.m);
	start();
	mir_status(w.m, &st);
	assert_int_equal(st.dirty_bytes, 5 * MMETA_CHUNK);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(never_a_write_without_its_intent),
	    T(waiting_writes_share_a_page),
	    T(a_sequential_writer_finds_its_intents_set),
	    T(without_metadata_nothing_is_written),
	    T(after_a_crash_all_hot_chunks_are_in_doubt),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
