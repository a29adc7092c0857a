/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stories of a copy whose metadata cannot be written, while it may be the
 * only one with all data: it must neither be given up nor be relied on, and
 * nobody may wait for ever.  See mirror/mfail.c.
 */
#include "mir_world.h"

/* Node 1 primary and alone, with a write that node 2 lacks. */
static struct world *
new_alone(uint64_t seed)
{
	struct world *w = new_synced(seed);

	w_crash(w, 2, false);
	w->epoch++;
	w_view(w, 1, MIR_PEER_GONE, false);
	w_write(w, 1, 40, 8);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	return w;
}

/* The disk of a node is replaced by a healthy one with the same content. */
static void
end_repaired_at(struct world *w, uint8_t id)
{
	w_crash(w, id, false);
	w->n[id].d.meta_ro = false;
	w_start(w, id);
	w_run(w);
	end_in_sync(w);
}

static void
end_repaired(struct world *w)
{
	end_repaired_at(w, 1);
}

/* Everything is on node 2's disk, and node 1 uses that. */
static void
expect_moved(struct world *w)
{
	assert_int_equal(w_status(w, 1).disk, MIR_DISK_NONE);
	assert_int_equal(w_status(w, 1).conn, MIR_CONN_NOCOPY);
	assert_int_equal(w_status(w, 2).disk, MIR_DISK_UPTODATE);
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_NOCOPY);
	for (int i = 0; i < W_SECTORS; i++)
		assert_true(w_allowed(&w->s[i], w->n[2].d.cur[i]));
}

/* The peer comes back and the metadata fail at any moment of that. */
static void
the_peer_is_filled_before_the_disk_is_given_up(void **state)
{
	(void)state;
	for (int at = 0; at < 120; at++) {
		struct world *w = new_alone(1);

		w_write(w, 1, 600, 8);
		w_start(w, 2);
		for (int i = 0, n = 0; n < at && i < 3000; i++) {
			uint8_t id = 1 + (uint8_t)(i & 1);

			if (i == 40)
				w_connect(w);
			n += w_deliver(w, id);
			n += w_complete_any(w, id, 0);
		}
		w->n[1].d.meta_ro = true;
		w_write(w, 1, 200, 8);
		w_connect(w);
		w_run_ms(w, 12000);
		assert_int_equal(in_flight(w), 0);
		/* Some moments are too late to notice anything. */
		if (w_status(w, 1).disk == MIR_DISK_NONE) {
			expect_moved(w);
			w->fails = 0;
			w_write(w, 1, 300, 8);
			w_request(w, 1, MIR_READ, 40 * 512, 4096);
			w_request(w, 1, MIR_FLUSH, 0, 0);
			w_run(w);
			assert_int_equal(in_flight(w), 0);
			assert_int_equal(w->fails, 0);
		}
		end_repaired(w);
	}
}

/* No longer primary, because nothing could be written: the same. */
static void
a_failing_copy_that_was_demoted_fills_the_peer(void **state)
{
	struct world *w = new_alone(2);

	(void)state;
	w->n[1].d.meta_ro = true;
	w_write(w, 1, 600, 8);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->fails, 1); /* no copy can take it */
	w_request(w, 1, MIR_READ, 40 * 512, 4096);
	w_run(w);
	assert_int_equal(w->fails, 1);
	w_demote(w, 1, 5);
	w_run(w);
	assert_true(w->n[1].done_ok);
	assert_int_equal(w_status(w, 1).disk, MIR_DISK_UPTODATE);
	w_start(w, 2);
	w_run(w);
	w_connect(w);
	w_run_ms(w, 3000);
	expect_moved(w);
	w_promote(w, 2, 6);
	w_run(w);
	assert_true(w->n[2].done_ok);
	w_write(w, 2, 300, 8);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->fails, 1);
	end_repaired(w);
}

/* Equal copies: the failing one is given up, one new generation is made. */
static void
a_write_that_was_held_goes_to_the_peer(void **state)
{
	(void)state;
	for (int k = 0; k < 2; k++) {
		struct world *w = new_synced(3);
		uint64_t before = w_status(w, 1).current, after;

		w_run_ms(w, 5000); /* no intents */
		w_cut(w);
		w->n[1].d.meta_ro = true;
		w_write(w, 1, 80, 8);
		w_run_ms(w, k * 7000);
		assert_int_equal(in_flight(w), 1);
		assert_int_equal(w->fails, 0);
		w_connect(w);
		w_run_ms(w, 200);
		expect_moved(w);
		assert_int_equal(in_flight(w), 0);
		assert_int_equal(w->fails, 0);
		after = w_status(w, 2).current;
		assert_int_not_equal(after, before);
		assert_int_equal(w_status(w, 2).bitmap, before);
		assert_int_equal(w->n[1].m->exposed, after);
		/* And they meet again, however often. */
		w_cut(w);
		w_run_ms(w, 500);
		w_connect(w);
		w_write(w, 1, 90, 2);
		w_run_ms(w, 500);
		expect_moved(w);
		assert_int_equal(in_flight(w), 0);
		assert_int_equal(w->fails, 0);
		end_repaired(w);
	}
}

/* A peer that is silent may have lost its power: it is no other good copy. */
static void
a_silent_peer_does_not_count(void **state)
{
	(void)state;
	for (uint8_t id = 1; id <= 2; id++) {
		struct world *w = new_synced(id);

		w_write(w, 1, 80, 8);
		w_run(w);
		w->n[id].silent = true;
		w_view(w, id, MIR_PEER_UP, false);
		w->n[id].d.meta_ro = true;
		w_run_ms(w, 12000); /* its intents go */
		assert_int_equal(w_status(w, id).disk, MIR_DISK_UPTODATE);
		assert_int_equal(w_status(w, id).conn, MIR_CONN_INSYNC);
		assert_non_null(strstr(w_status(w, id).error, "failed"));
		/* Nothing is promised meanwhile. */
		w_write(w, 1, 90, 8);
		w_run_ms(w, 100);
		assert_int_equal(w->fails, 0);
		w->n[id].silent = false;
		w_view(w, id, MIR_PEER_UP, false);
		w_run_ms(w, 500);
		assert_int_equal(w_status(w, id).disk, MIR_DISK_NONE);
		assert_int_equal(in_flight(w), 0);
		assert_int_equal(w->fails, 0);
		end_repaired_at(w, id);
	}
}

static void
it_is_tried_again(void **state)
{
	struct world *w = new_alone(4);
	unsigned notes;

	(void)state;
	w->n[1].d.meta_ro = true;
	w_write(w, 1, 600, 8);
	w_run_ms(w, 20000);
	assert_int_equal(w->fails, 1);
	assert_non_null(strstr(w_status(w, 1).error, "failed"));
	assert_false(
	    mir_promotable(w->n[1].m, NULL, 0) && !w_status(w, 1).primary);
	notes = w->n[1].notes;
	w_run_ms(w, 20000);
	assert_int_equal(w->n[1].notes, notes); /* said once */
	w->n[1].d.meta_ro = false;
	w_run_ms(w, 6000);
	assert_string_equal(w_status(w, 1).error, "");
	w_write(w, 1, 600, 8);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->fails, 1);
	w_request(w, 1, MIR_FLUSH, 0, 0);
	w_run(w);
	/* What is on the disk is the truth again. */
	w_crash(w, 1, true);
	w_start(w, 1);
	w_run(w);
	w_start(w, 2);
	w_run(w);
	w_connect(w);
	w_run_ms(w, 3000);
	start_primary(w, 2);
	end_in_sync(w);
}

/* A superblock that may be torn is written anew before the good one is. */
static void
the_copy_that_failed_is_written_first(void **state)
{
	(void)state;
	for (unsigned nth = 0; nth < 2; nth++) {
		struct world *w = new_alone(5);
		struct w_node *n = &w->n[1];
		uint64_t off = 0;
		unsigned seen = 0;

		w_run_ms(w, 8000); /* nothing to clean */
		mir_save(n->m);
		w_view(w, 1, MIR_PEER_GONE, false);
		while (n->d.n_ops > 0) {
			struct w_op *o = n->d.ops;

			while (!o->used)
				o++;
			off = o->io.off;
			n->d.meta_ro = seen++ == nth;
			w_complete_any(w, 1, 0);
		}
		assert_true(n->m->meta_bad);
		n->d.meta_ro = false;
		memset(n->d.mcur[off / 512], 0xee, 512);
		memset(n->d.mstable[off / 512], 0xee, 512);
		w_advance(w, 5000);
		for (unsigned i = 0; i < W_OPS; i++)
			if (n->d.ops[i].used &&
			    n->d.ops[i].io.cmd == MIR_WRITE &&
			    (n->d.ops[i].io.off == n->layout.sb_off[0] ||
				n->d.ops[i].io.off == n->layout.sb_off[1]))
				assert_int_equal(n->d.ops[i].io.off, off);
		w_crash(w, 1, true);
		w_start(w, 1);
		w_run(w);
		assert_int_equal(w_status(w, 1).disk, MIR_DISK_UPTODATE);
		w_free(w);
	}
}

/* Not primary, and the primary is not there: it may be all there is. */
static void
a_secondary_that_is_needed_stays(void **state)
{
	struct world *w = new_synced(6);
	char why[160];

	(void)state;
	w_write(w, 1, 80, 8);
	w_run(w);
	w->n[2].d.meta_ro = true;
	w_crash(w, 1, true);
	w_run_ms(w, 3000); /* cleaning of intents fails */
	assert_int_equal(w_status(w, 2).disk, MIR_DISK_UPTODATE);
	w->epoch++;
	w_view(w, 2, MIR_PEER_GONE, false);
	assert_false(mir_promotable(w->n[2].m, why, sizeof(why)));
	assert_non_null(strstr(why, "failed"));
	w->n[2].d.meta_ro = false;
	w_run_ms(w, 6000);
	assert_true(mir_promotable(w->n[2].m, NULL, 0));
	start_primary(w, 2);
	w_request(w, 2, MIR_READ, 80 * 512, 4096);
	w_write(w, 2, 90, 8);
	w_run(w);
	assert_int_equal(w->fails, 0);
	w_start(w, 1);
	w_run(w);
	end_in_sync(w);
}

/* It lacks what the primary wrote since: then it is of no use. */
static void
a_failing_copy_that_is_behind_is_given_up(void **state)
{
	struct world *w = new_synced(7);

	(void)state;
	w_write(w, 1, 80, 8);
	w_run(w);
	w_cut(w);
	w->n[2].d.meta_ro = true;
	w->epoch++;
	w_view(w, 1, MIR_PEER_GONE, false);
	w_write(w, 1, 90, 8);
	w_run_ms(w, 3000);
	assert_int_equal(w_status(w, 2).disk, MIR_DISK_UPTODATE);
	w_connect(w);
	w_run_ms(w, 500);
	assert_int_equal(w_status(w, 2).disk, MIR_DISK_NONE);
	assert_int_equal(w_status(w, 1).conn, MIR_CONN_NOCOPY);
	w_write(w, 1, 100, 8);
	w_run(w);
	assert_int_equal(w->fails, 0);
	assert_int_equal(in_flight(w), 0);
	w->n[2].d.meta_ro = false;
	w_crash(w, 2, false);
	w_start(w, 2);
	w_run(w);
	end_in_sync(w);
}

/* The copy of a primary without a disk: it says so, and reads go on. */
static void
a_diskless_primary_hears_of_it(void **state)
{
	struct world *w = new_synced(8);

	(void)state;
	w_run_ms(w, 5000);
	w->n[1].d.broken = true;
	w_request(w, 1, MIR_READ, 0, 512);
	w_run_ms(w, 200);
	expect_moved(w);
	w->n[2].d.meta_ro = true;
	w_write(w, 1, 600, 8);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->fails, 1);
	w_request(w, 1, MIR_READ, 80 * 512, 4096);
	w_run(w);
	assert_int_equal(w->fails, 1);
	w->n[2].d.meta_ro = false;
	w_run_ms(w, 6000);
	w_write(w, 1, 600, 8);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->fails, 1);
	w_crash(w, 1, false);
	w->n[1].d.broken = false;
	w_start(w, 1);
	w_run(w);
	end_in_sync(w);
}

/* Neither gives itself up for the other. */
static void
two_failing_copies_both_stay(void **state)
{
	struct world *w = new_synced(9);

	(void)state;
	w_write(w, 1, 80, 8);
	w_run(w);
	w_cut(w);
	w->n[1].d.meta_ro = w->n[2].d.meta_ro = true;
	w_run_ms(w, 3000);
	w_connect(w);
	w_run_ms(w, 1000);
	assert_int_equal(w_status(w, 1).disk, MIR_DISK_UPTODATE);
	assert_int_equal(w_status(w, 2).disk, MIR_DISK_UPTODATE);
	w_write(w, 1, 600, 8);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	w->n[1].d.meta_ro = w->n[2].d.meta_ro = false;
	w_run_ms(w, 6000);
	w->fails = 0;
	w_write(w, 1, 600, 8);
	w_run(w);
	assert_int_equal(w->fails, 0);
	end_in_sync(w);
}

/* The source dies before its peer is whole; its disk knows nothing of it. */
static void
a_failing_source_may_die(void **state)
{
	(void)state;
	for (int at = 0; at < 120; at++) {
		struct world *w = new_alone(10);

		w->n[1].d.meta_ro = true;
		w_write(w, 1, 600, 8);
		w_run(w);
		w_start(w, 2);
		w_run(w);
		w_connect(w);
		for (int i = 0, n = 0; n < at && i < 3000; i++) {
			uint8_t id = 1 + (uint8_t)(i & 1);

			n += w_deliver(w, id);
			n += w_complete_any(w, id, 0);
		}
		w_crash(w, 1, false);
		w->n[1].d.meta_ro = at & 1;
		w_start(w, 1);
		w_run(w);
		w_connect(w);
		w_run_ms(w, 3000);
		end_repaired(w);
	}
}

/* What a forced demotion cut off may be on one disk only. */
static void
blocks_in_doubt_are_copied_without_another_meeting(void **state)
{
	(void)state;
	for (uint64_t at = 0; at < 20; at++) {
		struct world *w = new_synced(11);

		for (uint64_t i = 0; i < 6; i++)
			w_write(w, 1, 80 * i, 8);
		for (uint64_t i = 0; i < at; i++)
			w_complete_any(w, 1, 0);
		w_view(w, 1, MIR_PEER_UP, true);
		w_view(w, 1, MIR_PEER_UP, false);
		end_in_sync(w);
	}
}

/* R8: the peer has acted since; what a comparison said before is over. */
static void
who_was_overtaken_is_not_promoted_alone(void **state)
{
	struct world *w = new_synced(12);
	struct mir_event ev = {.type = MIR_VIEW};
	char why[160];

	(void)state;
	w_cut(w);
	w->epoch++;
	ev.u.view.peer = MIR_PEER_GONE;
	ev.u.view.epoch = w->epoch;
	w_step(w, 2, &ev);
	assert_true(mir_promotable(w->n[2].m, why, sizeof(why)));
	w_view(w, 2, MIR_PEER_DOWN, true); /* node 1 was quicker */
	w_step(w, 2, &ev);
	assert_false(mir_promotable(w->n[2].m, why, sizeof(why)));
	assert_non_null(strstr(why, "not compared"));
	w_view(w, 2, MIR_PEER_DOWN, false);
	w_connect(w);
	w_run(w);
	end_in_sync(w);
}

/* A promotion that comes to nothing leaves one volume, not two. */
static void
one_of_two_new_copies_is_the_first(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		struct world *w = w_new(13);

		for (uint8_t id = 1; id <= 2; id++) {
			w_format(w, id, false);
			w_start(w, id);
		}
		w_run(w);
		w_connect(w);
		w_run(w);
		w->n[1].d.meta_ro = how == 0;
		w_promote(w, 1, 3);
		if (how == 1)
			w_demote(w, 1, 4);
		else if (how == 2)
			w_view(w, 1, MIR_PEER_UP, true);
		w_run(w);
		w_view(w, 1, MIR_PEER_UP, false);
		assert_false(w_status(w, 1).primary);
		w_run_ms(w, how == 0 ? 0 : 3000);
		start_primary(w, 2);
		w_run_ms(w, 3000);
		w_write(w, 2, 0, 8);
		w_run_ms(w, 3000);
		for (int i = 0; i < W_SECTORS; i++)
			if (i >= 8)
				w->s[i].acked = w->n[2].d.cur[i];
		end_repaired(w);
	}
}

/*
 * A target whose metadata fail at any moment of its filling, the last one
 * too, while the source's client writes: the source has everything.
 */
static void
a_target_that_fails_is_given_up(void **state)
{
	(void)state;
	for (int at = 0; at < 120; at++) {
		struct world *w = new_alone(14);

		w_start(w, 2);
		for (int i = 0, n = 0; n < at && i < 3000; i++) {
			uint8_t id = 1 + (uint8_t)(i & 1);

			if (i == 40)
				w_connect(w);
			n += w_deliver(w, id);
			n += w_complete_any(w, id, 0);
		}
		w->n[2].d.meta_ro = true;
		w_connect(w);
		w_run_ms(w, 100);
		w_write(w, 1, 40, 8);
		w_write(w, 1, 200, 8);
		w_run_ms(w, 1000);
		assert_int_equal(in_flight(w), 0);
		assert_int_equal(w->fails, 0);
		w->n[2].d.meta_ro = false;
		w_run_ms(w, 12000);
		if (w_status(w, 2).disk == MIR_DISK_NONE) {
			w_crash(w, 2, false);
			w_start(w, 2);
			w_run(w);
		}
		end_in_sync(w);
	}
}

static bool
complete_but_the_superblock(struct world *w, uint8_t id)
{
	struct w_node *n = &w->n[id];

	for (unsigned i = 0; i < W_OPS; i++)
		if (n->d.ops[i].used && n->d.ops[i].io.io >> 16 != IO_SB) {
			w_complete(w, id, i, w_error(&n->d, &n->d.ops[i].io));
			return true;
		}
	return false;
}

/* Of two failing copies one recovers: the other may not refuse in silence. */
static void
a_write_that_the_failing_peer_refused_is_not_forgotten(void **state)
{
	(void)state;
	for (uint8_t id = 1; id <= 2; id++) {
		struct world *w = new_synced(15);

		w_write(w, 1, 80, 8);
		w_run(w);
		w_cut(w);
		w->n[1].d.meta_ro = w->n[2].d.meta_ro = true;
		w_run_ms(w, 3000);
		w_connect(w);
		w_run_ms(w, 200);
		assert_true(w->n[1].m->meta_bad && w->n[2].m->meta_bad);
		w->n[1].d.meta_ro = false;
		w->n[2].m->meta_at = MT_NEVER;
		while (!w->n[1].m->meta_trial)
			w_advance(w, 50);
		/* Before its superblock is there, which would begin anew. */
		w_write(w, 1, 600, 8);
		while (complete_but_the_superblock(w, 1) || w_deliver(w, 2) ||
		       w_complete_any(w, 2, 0) || w_deliver(w, 1))
			continue;
		assert_true(w->n[1].m->meta_trial);
		w_run_ms(w, 12000);
		assert_int_equal(in_flight(w), 0);
		assert_int_equal(w->fails, 0);
		w->n[2].d.meta_ro = false;
		w_crash(w, id, false);
		if (id == 1) {
			w_crash(w, 2, false);
			w_start(w, 2);
			w_run(w);
		}
		w_start(w, id);
		w_run(w);
		end_in_sync(w);
	}
}

/* Nor may a flush wait for ever, or be followed by one that says nothing. */
static void
a_flush_that_the_failing_peer_lost_is_answered(void **state)
{
	struct world *w = new_synced(16);

	(void)state;
	w_write(w, 1, 80, 8);
	w_run(w);
	w_cut(w);
	w->n[1].d.meta_ro = w->n[2].d.meta_ro = true;
	w_run_ms(w, 3000);
	w_connect(w);
	w_run_ms(w, 200);
	assert_true(w->n[1].m->meta_bad && w->n[2].m->meta_bad);
	w->n[2].d.broken = true;
	w_request(w, 1, MIR_FLUSH, 0, 0);
	w_run_ms(w, 200);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->fails, 1);
	w->n[2].d.broken = w->n[2].d.meta_ro = false;
	w_run_ms(w, 12000);
	assert_true(w->n[2].m->meta_bad);
	w_crash(w, 2, false);
	w_start(w, 2);
	w_run(w);
	w_connect(w);
	w_run_ms(w, 3000);
	end_repaired(w);
}

/* The only copy: what it may have lost stays marked, and it says so. */
static void
a_flush_that_failed_here_is_not_made_good_by_another(void **state)
{
	struct world *w = new_alone(17);
	char why[160];

	(void)state;
	w_write(w, 1, 600, 8);
	w_run(w);
	w->n[1].d.broken = true;
	w_request(w, 1, MIR_FLUSH, 0, 0);
	w_run(w);
	w->n[1].d.broken = false;
	assert_int_equal(w->fails, 1);
	w_write(w, 1, 200, 8);
	w_run_ms(w, 8000);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->fails, 2);
	w_demote(w, 1, 5);
	w_run_ms(w, 8000);
	assert_true(w->n[1].done_ok);
	assert_int_not_equal(w->n[1].m->intent.count, 0);
	assert_false(mir_promotable(w->n[1].m, why, sizeof(why)));
	assert_non_null(strstr(why, "flush failed"));
	w_start(w, 2);
	w_run(w);
	end_repaired(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_peer_is_filled_before_the_disk_is_given_up),
	    cmocka_unit_test(a_failing_copy_that_was_demoted_fills_the_peer),
	    cmocka_unit_test(a_write_that_was_held_goes_to_the_peer),
	    cmocka_unit_test(a_silent_peer_does_not_count),
	    cmocka_unit_test(it_is_tried_again),
	    cmocka_unit_test(the_copy_that_failed_is_written_first),
	    cmocka_unit_test(a_secondary_that_is_needed_stays),
	    cmocka_unit_test(a_failing_copy_that_is_behind_is_given_up),
	    cmocka_unit_test(a_diskless_primary_hears_of_it),
	    cmocka_unit_test(two_failing_copies_both_stay),
	    cmocka_unit_test(a_failing_source_may_die),
	    cmocka_unit_test(
		blocks_in_doubt_are_copied_without_another_meeting),
	    cmocka_unit_test(who_was_overtaken_is_not_promoted_alone),
	    cmocka_unit_test(one_of_two_new_copies_is_the_first),
	    cmocka_unit_test(a_target_that_fails_is_given_up),
	    cmocka_unit_test(
		a_write_that_the_failing_peer_refused_is_not_forgotten),
	    cmocka_unit_test(a_flush_that_the_failing_peer_lost_is_answered),
	    cmocka_unit_test(
		a_flush_that_failed_here_is_not_made_good_by_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
