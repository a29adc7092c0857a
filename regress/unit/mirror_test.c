/* SPDX-License-Identifier: BSD-2-Clause */
/* The mirror core as stories of two nodes in virtual time. */
#include "mir_world.h"

static void
first_sync_is_full_and_unattended(void **state)
{
	struct world *w = w_new_pair(1);

	(void)state;
	for (int i = 0; i < W_SECTORS; i++) {
		w->n[1].d.cur[i] = w->s[i].acked = i % 200 ? 0 : i + 7u;
		w->n[2].d.cur[i] = 99;
	}
	assert_int_equal(w_status(w, 1).disk, MIR_DISK_UPTODATE);
	assert_int_equal(w_status(w, 2).disk, MIR_DISK_BLANK);
	w_connect(w);
	w_run_ms(w, 3000);
	assert_int_equal(w_status(w, 2).disk, MIR_DISK_UPTODATE);
	assert_memory_equal(
	    w_status(w, 1).volume_id, w_status(w, 2).volume_id, 16);
	assert_int_equal(w_status(w, 1).current, w_status(w, 2).current);
	end_in_sync(w);
}

static void
of_two_new_copies_the_first_primary_counts(void **state)
{
	struct world *w = w_new(2);

	(void)state;
	for (uint8_t id = 1; id <= 2; id++) {
		w_format(w, id, false);
		w_start(w, id);
	}
	for (int i = 0; i < W_SECTORS; i++) {
		w->n[1].d.cur[i] = 5;
		w->n[2].d.cur[i] = w->s[i].acked = 6;
	}
	w_run(w);
	w_promote(w, 2, 3);
	w_run(w);
	assert_int_equal(w->n[2].done_token, 0); /* held: no peer yet */
	w_connect(w);
	w_run_ms(w, 3000);
	assert_int_equal(w->n[2].done_token, 3);
	assert_true(w->n[2].done_ok);
	w_write(w, 2, 0, 8);
	end_in_sync(w);
}

static void
a_new_copy_alone_is_not_promoted(void **state)
{
	struct world *w = w_new(3);

	(void)state;
	w_format(w, 1, false);
	w_start(w, 1);
	w_run(w);
	w_view(w, 1, MIR_PEER_GONE, false);
	w_promote(w, 1, 4);
	w_run(w);
	assert_int_equal(w->n[1].done_token, 4);
	assert_false(w->n[1].done_ok);
	assert_non_null(strstr(w->n[1].done_text, "this copy is new"));
	w_free(w);
}

static void
a_write_is_answered_when_both_have_it(void **state)
{
	struct world *w = new_synced(4);

	(void)state;
	w_write(w, 1, 10, 4);
	for (int i = 0; in_flight(w) > 0; i++) {
		assert_true(i < 100);
		w_work(w);
		if (in_flight(w) == 0)
			for (int s = 10; s < 14; s++) {
				assert_int_equal(
				    w->n[1].d.cur[s], w->s[s].acked);
				assert_int_equal(
				    w->n[2].d.cur[s], w->s[s].acked);
			}
	}
	/* Not flushed unless asked. */
	assert_true(w->n[1].d.vol[10] || w->n[1].d.stable[10] != 0);
	w_request(w, 1, MIR_FLUSH, 0, 0);
	w_run(w);
	for (int id = 1; id <= 2; id++)
		assert_int_equal(w->n[id].d.stable[10], w->s[10].acked);
	end_in_sync(w);
}

static void
the_intent_is_stable_before_the_data_are_written(void **state)
{
	struct world *w = new_synced(5);
	struct w_op *o;

	(void)state;
	w_run_ms(w, 5000); /* intents of the resync are cleaned */
	assert_int_equal(w_status(w, 1).intents, 0);
	w_write(w, 1, 10, 4);
	assert_int_equal(w->n[1].d.n_ops, 1);
	for (o = w->n[1].d.ops; !o->used; o++)
		;
	assert_int_equal(o->io.area, MIR_META);
	assert_true(o->io.fua);
	/* The peer gets only the hint, not the data. */
	assert_int_equal(w->n[2].in_n, 1);
	assert_int_equal(w->n[2].in[w->n[2].in_head].bytes[0], MP_WARM);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	/* Hot now: straight to the disk and to the peer. */
	w_write(w, 1, 12, 1);
	for (o = w->n[1].d.ops; !o->used; o++)
		;
	assert_int_equal(o->io.area, MIR_DATA);
	end_in_sync(w);
}

static void
writes_are_held_until_it_is_decided(void **state)
{
	struct world *w = new_synced(6);

	(void)state;
	w_cut(w);
	w_write(w, 1, 20, 2);
	w_run_ms(w, 3000);
	assert_int_equal(in_flight(w), 1);
	assert_true(w_status(w, 1).holding);
	w->epoch++;
	w_view(w, 1, MIR_PEER_GONE, false);
	assert_int_equal(in_flight(w), 1); /* the generation first */
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	assert_true(w_status(w, 1).alone);
	assert_int_equal(w_status(w, 1).dirty_bytes, MMETA_BLOCK);
	assert_int_not_equal(w_status(w, 1).bitmap, 0);
	end_in_sync(w);
}

static void
held_writes_go_on_when_the_peer_is_back(void **state)
{
	struct world *w = new_synced(7);
	uint64_t before;

	(void)state;
	w_cut(w);
	w_write(w, 1, 20, 2);
	w_run_ms(w, 300);
	assert_int_equal(in_flight(w), 1);
	before = w_status(w, 1).current;
	w_connect(w);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w_status(w, 1).current, before);
	end_in_sync(w);
}

static void
the_returning_peer_gets_what_changed(void **state)
{
	struct world *w = new_synced(8);
	uint64_t sent;

	(void)state;
	w_crash(w, 2, true);
	w->epoch++;
	w_view(w, 1, MIR_PEER_GONE, false);
	for (int i = 0; i < 5; i++)
		w_write(w, 1, 8 + 160 * (uint64_t)i, 8);
	w_run_ms(w, 4000);
	assert_int_equal(in_flight(w), 0);
	sent = w_status(w, 1).sent_bytes;
	w_start(w, 2);
	w_run(w);
	w_connect(w);
	w_run_ms(w, 2000);
	/* Five blocks, and the chunks that node 2's intents name. */
	assert_true(w_status(w, 1).sent_bytes - sent < 6 * 65536);
	end_in_sync(w);
}

static void
resync_goes_on_where_it_was_cut(void **state)
{
	(void)state;
	/* Cut after each of the first deliveries in turn. */
	for (int cut = 0; cut < 60; cut++) {
		struct world *w = new_synced(9);

		w_crash(w, 2, false);
		w->epoch++;
		w_view(w, 1, MIR_PEER_GONE, false);
		for (int i = 0; i < 12; i++)
			w_write(w, 1, 80 * (uint64_t)i, 8);
		w_run(w);
		w_start(w, 2);
		w_run(w);
		w_connect(w);
		for (int i = 0, n = 0; n < cut && i < 5000; i++) {
			if (w_deliver(w, 1 + (uint8_t)(i & 1)))
				n++;
			w_complete_any(w, 1, 0);
			w_complete_any(w, 2, 0);
		}
		w_cut(w);
		if (cut % 3 == 0) {
			w_crash(w, 2, true);
			w_start(w, 2);
		}
		w_run(w);
		end_in_sync(w);
	}
}

static void
a_source_cut_at_the_end_that_goes_on_alone_wins(void **state)
{
	(void)state;
	/*
	 * "Finished" may or may not have arrived.  What the source writes
	 * alone afterwards must not be lost to a target that thinks itself
	 * equal.
	 */
	for (int cut = 0; cut < 60; cut++) {
		struct world *w = new_synced(10);

		w_cut(w);
		w->epoch++;
		w_view(w, 1, MIR_PEER_GONE, false);
		w_write(w, 1, 0, 8);
		w_run(w);
		w_connect(w);
		for (int i = 0, n = 0; n < cut && i < 5000; i++) {
			if (w_deliver(w, 1 + (uint8_t)(i & 1)))
				n++;
			w_complete_any(w, 1, 0);
			w_complete_any(w, 2, 0);
		}
		w_cut(w);
		w->epoch++;
		w_view(w, 1, MIR_PEER_GONE, false);
		w_write(w, 1, 300, 8);
		w_run(w);
		assert_int_equal(in_flight(w), 0);
		/* Node 2 must be found behind, whatever it thinks. */
		w_crash(w, 1, true);
		w_catastrophe(w);
		w_start(w, 1);
		w_run(w);
		end_in_sync(w);
	}
}

static void
refuse_promote(struct world *w, uint8_t id, const char *text)
{
	char why[160];

	assert_false(mir_promotable(w->n[id].m, why, sizeof(why)));
	assert_non_null(strstr(why, text));
	w_promote(w, id, 5);
	w_run(w);
	assert_int_equal(w->n[id].done_token, 5);
	assert_false(w->n[id].done_ok);
	assert_non_null(strstr(w->n[id].done_text, text));
	assert_false(w_status(w, id).primary);
}

static void
promotions_that_are_refused(void **state)
{
	struct world *w = w_new_pair(16);
	struct mir_event ev = {.type = MIR_PROMOTE};

	(void)state;
	/* Not compared, no right of its own. */
	ev = (struct mir_event){.type = MIR_VIEW};
	ev.u.view.peer = MIR_PEER_GONE;
	ev.u.view.epoch = 1;
	w_step(w, 1, &ev);
	refuse_promote(w, 1, "not compared");
	w_view(w, 1, MIR_PEER_DOWN, false);
	/* An older epoch. */
	w_connect(w);
	for (int i = 0; i < 20; i++)
		w_work(w);
	w->epoch = 5;
	w_view(w, 1, MIR_PEER_UP, false);
	w_view(w, 2, MIR_PEER_UP, false);
	/* The target of a resync, under way and cut. */
	while (w_status(w, 2).conn != MIR_CONN_TARGET)
		assert_true(w_work(w));
	refuse_promote(w, 2, "");
	w_cut(w);
	w_free(w);
	w = w_new_pair(17);
	w_connect(w);
	while (w_status(w, 2).conn != MIR_CONN_TARGET)
		assert_true(w_work(w));
	w_cut(w);
	w_view(w, 2, MIR_PEER_GONE, false);
	refuse_promote(w, 2, "inconsistent");
	w_connect(w);
	w_run_ms(w, 3000);
	w->epoch = 9;
	w_view(w, 2, MIR_PEER_UP, false);
	w->epoch = 8;
	w_promote(w, 2, 6);
	w_run(w);
	assert_int_equal(w->n[2].done_token, 6);
	assert_non_null(strstr(w->n[2].done_text, "epoch 8 is over"));
	w_free(w);
}

static void
no_metadata_no_volume(void **state)
{
	struct world *w = w_new(18);

	(void)state;
	w_start(w, 1);
	w_run(w);
	assert_int_equal(w_status(w, 1).disk, MIR_DISK_FAILED);
	assert_non_null(
	    strstr(w_status(w, 1).error, "hactl volume create orders"));
	refuse_promote(w, 1, "no metadata");
	for (int i = 0; i < W_META; i++) /* nothing was created */
		for (int j = 0; j < 512; j++)
			assert_int_equal(w->n[1].d.mcur[i][j], 0);
	w_free(w);
}

static void
demote_drains_and_then_nothing_is_served(void **state)
{
	struct world *w = new_synced(22);

	(void)state;
	for (int i = 0; i < 6; i++)
		w_write(w, 1, 100 * (uint64_t)i, 8);
	w_demote(w, 1, 9);
	assert_int_equal(w->n[1].done_token, 0);
	/* A late one is refused while the others are still answered. */
	w_request(w, 1, MIR_READ, 900 * 512, 512);
	assert_int_equal(w->fails, 1);
	w_run(w);
	assert_int_equal(w->n[1].done_token, 9);
	assert_true(w->n[1].done_ok);
	assert_int_equal(w->acks, 6);
	assert_false(w_status(w, 1).primary);
	assert_int_equal(w_status(w, 1).intents, 0);
	for (int id = 1; id <= 2; id++) /* flushed on both */
		assert_int_equal(w->n[id].d.stable[100], w->s[100].acked);
	w_request(w, 1, MIR_READ, 0, 512);
	w_request(w, 1, MIR_FLUSH, 0, 0);
	assert_int_equal(w->fails, 3);
	start_primary(w, 2);
	w_write(w, 2, 0, 8);
	end_in_sync(w);
}

static void
promotion_waits_for_the_other_to_be_demoted(void **state)
{
	struct world *w = new_synced(23);

	(void)state;
	w_promote(w, 2, 11);
	w_run_ms(w, 1000);
	assert_int_equal(w->n[2].done_token, 0);
	w_demote(w, 1, 12);
	w_run(w);
	assert_int_equal(w->n[2].done_token, 11);
	assert_true(w->n[2].done_ok);
	end_in_sync(w);
}

static void
a_demotion_overtakes_a_promotion(void **state)
{
	(void)state;
	for (int at = 0; at < 8; at++) {
		struct world *w = w_new_pair(230);

		w_connect(w);
		w_run_ms(w, 1000);
		w_promote(w, 1, 60);
		for (int i = 0; i < at; i++)
			w_work(w);
		w_demote(w, 1, 61);
		w_run(w);
		assert_int_equal(w->n[1].done_token, 61);
		assert_true(w->n[1].done_ok);
		assert_false(w_status(w, 1).primary);
		start_primary(w, 2);
		end_in_sync(w);
	}
}

static void
in_doubt_nothing_is_answered(void **state)
{
	struct world *w = new_synced(24);

	(void)state;
	w->n[1].doubt = true;
	w_view(w, 1, MIR_PEER_UP, false);
	w_write(w, 1, 8, 8);
	w_request(w, 1, MIR_READ, 0, 512);
	w_run_ms(w, 1000);
	assert_int_equal(in_flight(w), 2);
	assert_int_equal(w->fails, 0);
	w->n[1].doubt = false;
	w_view(w, 1, MIR_PEER_UP, false);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->fails, 0);
	end_in_sync(w);
}

static void
demoted_by_force_nothing_waits(void **state)
{
	struct world *w = new_synced(25);

	(void)state;
	w_cut(w);
	for (int i = 0; i < 4; i++)
		w_write(w, 1, 8 * (uint64_t)i, 8);
	w_run(w);
	assert_int_equal(in_flight(w), 4);
	/* The other node has taken over. */
	w->epoch++;
	w_view(w, 2, MIR_PEER_GONE, false);
	start_primary(w, 2);
	w_write(w, 2, 64, 8);
	w_run(w);
	w_view(w, 1, MIR_PEER_DOWN, true);
	w_run(w);
	assert_int_equal(w->fails, 4);
	assert_false(w_status(w, 1).primary);
	/* What it had written for nobody is undone by the resync. */
	end_in_sync(w);
}

/* R7: what was stopped for want of a lease goes on with one. */
static void
without_a_lease_the_copy_stays_good(void **state)
{
	struct world *w = new_synced(26);

	(void)state;
	w->n[1].no_right = w->n[1].no_lease = true;
	w_cut(w);
	for (int i = 0; i < 4; i++)
		w_write(w, 1, 8 * (uint64_t)i, 8);
	w_view(w, 1, MIR_PEER_DOWN, true);
	w_run(w);
	assert_int_equal(w->fails, 4);
	assert_false(w_status(w, 1).primary);
	/* It is granted: the other node cannot have acted. */
	w->n[1].no_lease = false;
	w->epoch++;
	w_view(w, 1, MIR_PEER_GONE, false);
	start_primary(w, 1);
	w_write(w, 1, 64, 8);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	end_in_sync(w);
}

static void
overlapping_writes_end_alike(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 100; seed++) {
		struct world *w = new_synced(28 + seed);
		uint8_t bufs[6][8192];

		for (int i = 0; i < 6; i++) {
			struct mir_event ev = {.type = MIR_REQ};
			struct w_req *r = &w->reqs[i];

			r->used = true;
			r->node = 1;
			r->cmd = MIR_WRITE;
			r->cookie = w->next_cookie++;
			r->id = w->next_id++;
			r->off = 4096 * (uint64_t)(i % 3);
			r->len = 8192;
			memset(bufs[i], 0, sizeof(bufs[i]));
			for (uint32_t s = 0; s < 16; s++) {
				uint64_t v = w_value(r, s);

				memcpy(bufs[i] + 512 * s, &v, 8);
				w_maybe(&w->s[r->off / 512 + s], v);
			}
			ev.u.req.cookie = r->cookie;
			ev.u.req.cmd = MIR_WRITE;
			ev.u.req.off = r->off;
			ev.u.req.len = r->len;
			ev.u.req.buf = bufs[i];
			w_step(w, 1, &ev);
		}
		for (int i = 0; i < 100000 && in_flight(w) > 0; i++) {
			uint8_t id = 1 + (uint8_t)w_rand(w, 2);

			if (w_rand(w, 2))
				w_deliver(w, id);
			else
				w_complete_any(w, id, w_rand(w, 0));
		}
		assert_int_equal(in_flight(w), 0);
		for (int s = 0; s < 32; s++)
			assert_int_equal(w->n[1].d.cur[s], w->n[2].d.cur[s]);
		w_free(w);
	}
}

static void
a_clean_stop_needs_no_resync(void **state)
{
	struct world *w = new_synced(150);
	struct mir_event ev = {.type = MIR_STOP};
	uint64_t before;

	(void)state;
	w_write(w, 1, 0, 100);
	w_run(w);
	ev.u.stop.token = 50;
	w_step(w, 1, &ev);
	assert_non_null(strstr(w->n[1].done_text, "demote it first"));
	w_demote(w, 1, 51);
	w_run(w);
	for (uint8_t id = 1; id <= 2; id++) {
		w_cut(w);
		w_step(w, id, &ev);
		w_run(w);
		assert_int_equal(w->n[id].done_token, 50);
		assert_true(w->n[id].done_ok);
		w_request(w, id, MIR_READ, 0, 512);
		w_crash(w, id, true);
		w_start(w, id);
		w_run(w);
		assert_int_equal(w_status(w, id).dirty_bytes, 0);
		assert_int_equal(w_status(w, id).intents, 0);
	}
	w_connect(w);
	w_run(w);
	before = w_status(w, 1).sent_bytes + w_status(w, 2).sent_bytes;
	assert_true(before < 4096);
	end_in_sync(w);
}

static void
intents_are_cleaned_up_lazily(void **state)
{
	struct world *w = new_synced(151);

	(void)state;
	w_run_ms(w, 5000);
	w_write(w, 1, 0, 8);
	w_run(w);
	assert_int_equal(w_status(w, 1).intents, 1);
	assert_int_equal(w_status(w, 2).intents, 1);
	w_run_ms(w, 500);
	assert_int_equal(w_status(w, 1).intents, 1);
	w_run_ms(w, 4000);
	assert_int_equal(w_status(w, 1).intents, 0);
	assert_int_equal(w_status(w, 2).intents, 0);
	for (int id = 1; id <= 2; id++) /* not before the data are stable */
		assert_int_equal(w->n[id].d.stable[0], w->s[0].acked);
	end_in_sync(w);
}

static void
pieces_never_cross_a_boundary(void **state)
{
	(void)state;
	assert_int_equal(mir_piece(MIR_READ, 0, 1 << 20), HAD_IO_MAX);
	assert_int_equal(mir_piece(MIR_READ, 512, 1 << 20), HAD_IO_MAX - 512);
	assert_int_equal(mir_piece(MIR_WRITE, HAD_IO_MAX, 512), 512);
	assert_int_equal(
	    mir_piece(MIR_TRIM, 0, UINT64_C(1) << 40), MIR_TRIM_MAX);
	assert_int_equal(mir_piece(MIR_ZERO, MIR_TRIM_MAX - 512, 4096), 512);
	assert_int_equal(mir_piece(MIR_FLUSH, 0, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(first_sync_is_full_and_unattended),
	    cmocka_unit_test(of_two_new_copies_the_first_primary_counts),
	    cmocka_unit_test(a_new_copy_alone_is_not_promoted),
	    cmocka_unit_test(a_write_is_answered_when_both_have_it),
	    cmocka_unit_test(the_intent_is_stable_before_the_data_are_written),
	    cmocka_unit_test(writes_are_held_until_it_is_decided),
	    cmocka_unit_test(held_writes_go_on_when_the_peer_is_back),
	    cmocka_unit_test(the_returning_peer_gets_what_changed),
	    cmocka_unit_test(resync_goes_on_where_it_was_cut),
	    cmocka_unit_test(a_source_cut_at_the_end_that_goes_on_alone_wins),
	    cmocka_unit_test(promotions_that_are_refused),
	    cmocka_unit_test(no_metadata_no_volume),
	    cmocka_unit_test(demote_drains_and_then_nothing_is_served),
	    cmocka_unit_test(promotion_waits_for_the_other_to_be_demoted),
	    cmocka_unit_test(a_demotion_overtakes_a_promotion),
	    cmocka_unit_test(in_doubt_nothing_is_answered),
	    cmocka_unit_test(demoted_by_force_nothing_waits),
	    cmocka_unit_test(without_a_lease_the_copy_stays_good),
	    cmocka_unit_test(overlapping_writes_end_alike),
	    cmocka_unit_test(a_clean_stop_needs_no_resync),
	    cmocka_unit_test(intents_are_cleaned_up_lazily),
	    cmocka_unit_test(pieces_never_cross_a_boundary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
