/* SPDX-License-Identifier: BSD-2-Clause */
/* How a resync behaves: what it copies, how fast, what it yields to. */
#include "mir_world.h"

/* Node 1 is primary and alone, node 2 stopped; every block differs. */
static struct world *
new_behind(struct mir_conf *c1)
{
	struct world *w = w_new(5);

	w_format(w, 1, true);
	w_format(w, 2, false);
	w_start_conf(w, 1, c1 != NULL ? *c1 : w_conf(w, 1));
	w_start(w, 2);
	w_run(w);
	for (int i = 0; i < W_SECTORS; i++) {
		w->n[1].d.cur[i] = w->s[i].acked = 5000 + (uint64_t)i;
		w->n[2].d.cur[i] = 1;
	}
	return w;
}

static void
progress_rate_and_eta(void **state)
{
	struct world *w = w_new(1);
	struct mir_conf c = w_conf(w, 1);
	struct mir_status st;
	uint64_t left = W_SECTORS * 512;

	(void)state;
	w_free(w);
	c.resync_rate_kib = 64;
	w = new_behind(NULL);
	mir_free(w->n[1].m);
	w->n[1].m = NULL;
	w->n[1].up = false;
	c.layout = w->n[1].layout;
	w_start_conf(w, 1, c);
	w_run(w);
	w_connect(w);
	w_run(w);
	for (int i = 0; i < 6; i++) {
		w_run_ms(w, 1000);
		st = w_status(w, 1);
		assert_true(st.sync.active && st.sync.source);
		assert_int_equal(st.sync.total_bytes, W_SECTORS * 512);
		assert_true(st.sync.left_bytes < left);
		left = st.sync.left_bytes;
		/* 64 KiB a second, not more: one piece per second. */
		assert_true(st.sync.left_bytes + (uint64_t)(i + 3) * 65536 >=
			    W_SECTORS * 512);
		st = w_status(w, 2);
		assert_true(st.sync.active && !st.sync.source);
		assert_int_equal(st.disk, MIR_DISK_INCONSISTENT);
	}
	assert_true(w_status(w, 1).sync.rate > 0);
	assert_true(w_status(w, 1).sync.rate < 200000);
	assert_true(w_status(w, 1).sync.eta_s < 60);
	w_run_ms(w, 4000);
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_INSYNC);
	w_check_equal(w);
	w_free(w);
}

static void
zeroes_travel_as_zeroes(void **state)
{
	struct world *w = new_behind(NULL);

	(void)state;
	for (int i = 0; i < W_SECTORS; i++)
		w->n[1].d.cur[i] = w->s[i].acked = 0;
	w->n[1].d.cur[700] = w->s[700].acked = 3;
	w_connect(w);
	w_run_ms(w, 2000);
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_INSYNC);
	assert_true(w_status(w, 1).sent_bytes < 2 * 65536);
	w_check_equal(w);
	w_free(w);
}

static void
writes_during_a_resync_go_to_both(void **state)
{
	struct world *w = new_behind(NULL);
	unsigned n = 0;

	(void)state;
	w_connect(w);
	while (w_status(w, 1).conn != MIR_CONN_SOURCE)
		assert_true(w_work(w));
	w_promote(w, 1, 1);
	while (!w_status(w, 1).primary)
		assert_true(w_complete_any(w, 1, 0));
	for (int i = 0; i < 100000 && w_status(w, 1).conn == MIR_CONN_SOURCE;
	     i++) {
		if (i % 3 == 0 && w_request(w, 1, MIR_WRITE,
				      4096 * w_rand(w, 128), 4096) != NULL)
			n++;
		if (w_rand(w, 2))
			w_deliver(w, 1 + (uint8_t)w_rand(w, 2));
		else
			w_complete_any(
			    w, 1 + (uint8_t)w_rand(w, 2), w_rand(w, 0));
	}
	assert_true(n > 10);
	w_run_ms(w, 2000);
	assert_int_equal(w->fails, 0);
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_INSYNC);
	w_check_equal(w);
	w_free(w);
}

/* Everything but the reads of pieces. */
static bool
work_but_pieces(struct world *w)
{
	bool any = w_complete_any(w, 2, 0);

	any |= w_deliver(w, 2);
	any |= w_deliver(w, 1);
	for (unsigned k = 0; k < W_OPS; k++)
		if (w->n[1].d.ops[k].used &&
		    w->n[1].d.ops[k].io.io >> 16 != IO_PIECE) {
			w_complete(w, 1, k, 0);
			return true;
		}
	return any;
}

/* A slow request halves the depth; without requests it grows again. */
static void
yields_to_slow_requests(void **state)
{
	struct world *w = new_behind(NULL);
	uint32_t before;

	(void)state;
	w_connect(w);
	while (w_status(w, 1).conn != MIR_CONN_SOURCE)
		assert_true(w_work(w));
	w_promote(w, 1, 1);
	while (work_but_pieces(w))
		;
	assert_true(w_status(w, 1).primary);
	before = w->n[1].m->sync_depth;
	w_write(w, 1, 1000, 8);
	w->now = mt_add_ms(w->now, 90); /* it takes long */
	while (work_but_pieces(w))
		;
	assert_int_equal(w->acks, 1);
	assert_int_equal(w_status(w, 1).conn, MIR_CONN_SOURCE);
	w_advance(w, 100);
	assert_int_equal(w->n[1].m->sync_depth, before / 2);
	w_advance(w, 100);
	assert_true(w->n[1].m->sync_depth > before / 2);
	w_run_ms(w, 2000);
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_INSYNC);
	w_check_equal(w);
	w_free(w);
}

static void
an_unreadable_block_stalls_and_says_so(void **state)
{
	struct world *w = new_behind(NULL);

	(void)state;
	w_connect(w);
	while (w_status(w, 1).conn != MIR_CONN_SOURCE)
		assert_true(w_work(w));
	w->n[1].d.broken = true;
	w_run(w);
	assert_true(w_status(w, 1).sync.stalled);
	assert_non_null(strstr(w_status(w, 1).error, "resync: reading"));
	/* The disk that has the only good copy is not detached by that. */
	assert_int_equal(w_status(w, 1).disk, MIR_DISK_UPTODATE);
	assert_true(w_status(w, 1).dirty_bytes > 0);
	w->n[1].d.broken = false;
	w_run_ms(w, 12000);
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_INSYNC);
	w_check_equal(w);
	w_free(w);
}

static void
full_is_remembered_until_the_map_says_it(void **state)
{
	struct world *w = new_behind(NULL);

	(void)state;
	w_connect(w);
	while (w_status(w, 1).conn != MIR_CONN_SOURCE)
		assert_true(w_work(w));
	assert_int_equal(w_status(w, 1).dirty_bytes, W_SECTORS * 512);
	/* The map on disk is still clean; the superblock says "all". */
	w_crash(w, 1, true);
	w_start(w, 1);
	w_run(w);
	assert_int_equal(w_status(w, 1).dirty_bytes, W_SECTORS * 512);
	w_run_ms(w, 3000);
	assert_int_equal(
	    w->n[1].m->sb.slot[w->n[1].m->slot].flags & MMETA_S_FULL, 0);
	w_crash(w, 1, true);
	w_start(w, 1);
	w_run(w);
	assert_int_equal(w_status(w, 1).dirty_bytes, W_SECTORS * 512);
	w_connect(w);
	w_run_ms(w, 3000);
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_INSYNC);
	w_check_equal(w);
	w_free(w);
}

/* The peer never has more under way than it said it takes. */
static void
credit_is_kept(void **state)
{
	struct world *w = new_behind(NULL);

	(void)state;
	w_connect(w);
	while (w_status(w, 1).conn != MIR_CONN_SOURCE)
		assert_true(w_work(w));
	w_promote(w, 1, 1);
	for (int i = 0; i < 60; i++)
		w_complete_any(w, 1, 0);
	for (uint64_t i = 0; i < W_REQS; i++)
		w_request(w, 1, MIR_WRITE, 8192 * i, 512);
	/* The other side is slow: all that can be sent is. */
	for (int i = 0; i < 500; i++) {
		w_complete_any(w, 1, 0);
		w_deliver(w, 1);
		assert_true(w->n[1].m->cr_ops <= 8);
		assert_true(w->n[1].m->cr_bytes <= 256 * 1024);
	}
	w_run_ms(w, 3000);
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_INSYNC);
	w_check_equal(w);
	w_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(progress_rate_and_eta),
	    cmocka_unit_test(zeroes_travel_as_zeroes),
	    cmocka_unit_test(writes_during_a_resync_go_to_both),
	    cmocka_unit_test(yields_to_slow_requests),
	    cmocka_unit_test(an_unreadable_block_stalls_and_says_so),
	    cmocka_unit_test(full_is_remembered_until_the_map_says_it),
	    cmocka_unit_test(credit_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
