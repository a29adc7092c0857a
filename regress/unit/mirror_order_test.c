/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What has to be stable before what: each story stops at the one moment at
 * which a step taken too early would show.
 */
#include "mir_world.h"

/* The superblock that node id would find after a power cut now. */
static struct mmeta_sb
stable_sb(struct world *w, uint8_t id)
{
	struct w_node *n = &w->n[id];
	struct mmeta_sb sb;
	const char *why;
	int which;

	assert_int_equal(
	    mmeta_sb_pick(&sb, n->d.mstable[n->layout.sb_off[0] / 512],
		n->d.mstable[n->layout.sb_off[1] / 512], &which, &why),
	    0);
	return sb;
}

/* One message or operation, in an order that the seed decides. */
static void
shuffle(struct world *w)
{
	uint8_t id = 1 + (uint8_t)w_rand(w, 2);

	if (w_rand(w, 2))
		w_deliver(w, id);
	else
		w_complete_any(w, id, w_rand(w, 0));
}

static void
a_diskless_primary_answers_when_the_peer_knows(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 200; seed++) {
		struct world *w = new_synced(seed);
		uint64_t before = w_status(w, 1).current;
		struct mmeta_sb sb;

		w_write(w, 1, 0, 8);
		w_run(w);
		w->acks = 0;
		w_write(w, 1, 2, 2); /* hot: disk and peer at once */
		for (uint64_t i = w_rand(w, 4); i > 0; i--)
			shuffle(w);
		if (in_flight(w) == 0) {
			w_free(w);
			continue;
		}
		/* Its own leg may be done; now the disk is gone. */
		w->n[1].d.broken = true;
		w_request(w, 1, MIR_READ, 512 * 512, 512);
		for (int i = 0; i < 5000 && w->acks < 2; i++) {
			bool had = w_status(w, 1).disk != MIR_DISK_NONE;
			unsigned acks = w->acks;

			shuffle(w);
			if (had || w->acks == acks || w->reqs[0].used)
				continue;
			/* The write: answered after the disk was given up. */
			sb = stable_sb(w, 2);
			assert_int_equal(sb.slot[0].bitmap, before);
			assert_int_not_equal(sb.current, before);
		}
		assert_int_equal(w->acks, 2);
		w_free(w);
	}
}

static void
old_writes_of_the_peer_come_before_a_greeting(void **state)
{
	struct world *w = new_synced(1);

	(void)state;
	w_write(w, 1, 0, 8);
	w_run(w);
	w_write(w, 1, 0, 8);
	while (w->n[2].d.n_ops == 0)
		assert_true(w_deliver(w, 2));
	w_cut(w);
	w_connect(w);
	while (w_deliver(w, 1) || w_deliver(w, 2))
		;
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_DRAIN);
	assert_int_equal(w_status(w, 1).conn, MIR_CONN_HELLO);
	end_in_sync(w);
}

static void
a_promotion_waits_for_old_writes_of_the_peer(void **state)
{
	struct world *w = new_synced(2);

	(void)state;
	w_write(w, 1, 0, 8);
	w_run(w);
	w_write(w, 1, 0, 8);
	while (w->n[2].d.n_ops == 0)
		assert_true(w_deliver(w, 2));
	w_crash(w, 1, true);
	w->epoch++;
	w_view(w, 2, MIR_PEER_GONE, false);
	w_promote(w, 2, 7);
	assert_int_equal(w->n[2].d.n_ops, 1); /* nothing but that write */
	assert_int_equal(w->n[2].done_token, 0);
	w_run(w);
	assert_int_equal(w->n[2].done_token, 7);
	assert_true(w->n[2].done_ok);
	w_start(w, 1);
	end_in_sync(w);
}

static void
forge_write(struct world *w, uint64_t id, uint8_t fill, uint64_t off)
{
	static uint8_t buf[MP_HDR_LEN + 4096];
	struct mp_msg msg = {.type = MP_WRITE,
	    .mine = w->n[2].m->yours,
	    .yours = w->n[2].m->mine,
	    .id = id,
	    .off = off,
	    .len = 4096};
	struct mir_event ev = {.type = MIR_MSG};

	mp_put(buf, &msg);
	memset(buf + MP_HDR_LEN, fill, 4096);
	ev.u.msg.from = 1;
	ev.u.msg.bytes = buf;
	ev.u.msg.len = sizeof(buf);
	w_step(w, 2, &ev);
}

static void
the_peer_keeps_overlapping_writes_in_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 50; seed++) {
		struct world *w = new_synced(seed);

		for (uint8_t i = 0; i < 6; i++)
			forge_write(
			    w, 1000 + i, 0x11 * (i + 1u), i % 2 ? 2048 : 0);
		while (w->n[2].d.n_ops > 0)
			w_complete_any(w, 2, w_rand(w, 0));
		/* Sectors 0..3 by the fifth, 4..11 by the sixth. */
		for (int s = 0; s < 12; s++)
			assert_int_equal(w->n[2].d.cur[s],
			    s < 4 ? UINT64_C(0x5555555555555555)
				  : UINT64_C(0x6666666666666666));
		w_free(w);
	}
}

static void
a_target_calls_itself_good_when_all_is_stable(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 60; seed++) {
		struct world *w = w_new_pair(seed);
		struct mmeta_sb sb;

		for (int i = 0; i < W_SECTORS; i++) {
			w->n[1].d.cur[i] = w->s[i].acked = 1 + (uint64_t)i;
			w->n[2].d.cur[i] = w->n[2].d.stable[i] = 0;
		}
		w_connect(w);
		for (int i = 0; i < 100000; i++) {
			bool target = w_status(w, 2).conn == MIR_CONN_TARGET;

			shuffle(w);
			sb = stable_sb(w, 2);
			/* From the first block on it is not consistent. */
			if (target)
				for (int s = 0;
				     s < W_SECTORS &&
				     !(sb.flags & MMETA_F_CONSISTENT);
				     s += 100)
					assert_int_equal(
					    sb.flags & MMETA_F_UPTODATE, 0);
			if (w->n[2].d.cur[0] != 0 &&
			    (sb.flags & MMETA_F_CONSISTENT))
				for (int s = 0; s < W_SECTORS; s++)
					assert_int_equal(
					    w->n[2].d.stable[s], s + 1);
			/* And the source believes it not a moment earlier. */
			if (w_status(w, 1).conn == MIR_CONN_INSYNC) {
				assert_true(sb.flags & MMETA_F_CONSISTENT);
				assert_int_equal(
				    sb.current, w_status(w, 1).current);
				break;
			}
		}
		end_in_sync(w);
	}
}

static void
a_target_is_inconsistent_before_the_first_block(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 30; seed++) {
		struct world *w = new_synced(seed);

		w_cut(w);
		w->epoch++;
		w_view(w, 1, MIR_PEER_GONE, false);
		w_write(w, 1, 0, 8);
		w_write(w, 1, 600, 8);
		w_run(w);
		w_connect(w);
		while (w->n[2].d.cur[0] != w->s[0].acked &&
		       w->n[2].d.cur[600] != w->s[600].acked)
			shuffle(w);
		assert_int_equal(stable_sb(w, 2).flags & MMETA_F_CONSISTENT, 0);
		/* So it is not promoted, also after a power cut. */
		w_crash(w, 2, true);
		w_start(w, 2);
		w_run(w);
		w_view(w, 2, MIR_PEER_GONE, false);
		w_promote(w, 2, 3);
		w_run(w);
		assert_int_equal(w->n[2].done_token, 3);
		assert_false(w->n[2].done_ok);
		w_view(w, 2, MIR_PEER_DOWN, false);
		end_in_sync(w);
	}
}

/*
 * Cut anywhere in a resync that began from equal generations, or from
 * different ones, and both sides go on alone (which arbitration prevents):
 * where both could, the split is seen.
 */
static void
no_cut_hides_a_split(void **state)
{
	unsigned splits = 0;

	(void)state;
	for (int k = 0; k < 2; k++)
		for (int cut = 0; cut < 200; cut++) {
			struct world *w = new_synced(3);
			struct mir_event ev = {.type = MIR_PROMOTE};

			w_write(w, 1, 0, 8);
			w_run(w);
			if (k == 0) { /* equal: node 2 crashed, no writes */
				w_crash(w, 2, false);
				w_start(w, 2);
				w_run(w);
			} else {
				w_cut(w);
				w_view(w, 1, MIR_PEER_GONE, false);
				w_write(w, 1, 8, 8);
				w_run(w);
			}
			w_connect(w);
			for (int i = 0; i < cut; i++)
				shuffle(w);
			w_cut(w);
			w->epoch++;
			w_view(w, 1, MIR_PEER_GONE, false);
			w_view(w, 2, MIR_PEER_GONE, false);
			w_run(w);
			w_write(w, 1, 16, 8);
			ev.u.promote.token = 4;
			ev.u.promote.epoch = w->epoch;
			ev.u.promote.force = cut % 2; /* outdated, too */
			w_step(w, 2, &ev);
			w_run(w);
			if (!w->n[2].done_ok) {
				w_view(w, 2, MIR_PEER_DOWN, false);
				end_in_sync(w);
				continue;
			}
			w_request(w, 2, MIR_WRITE, 32 * 512, 4096);
			w_run(w);
			w_crash(w, 2, false);
			w_start(w, 2);
			w_crash(w, 1, false);
			w_start(w, 1);
			w_run(w);
			w_connect(w);
			w_run_ms(w, 1000);
			assert_int_equal(w_status(w, 1).conn, MIR_CONN_SPLIT);
			assert_int_equal(w_status(w, 2).conn, MIR_CONN_SPLIT);
			splits++;
			w_free(w);
		}
	assert_true(splits > 20);
}

/* A lost BEGIN is undone; it does not end in copying everything. */
static void
a_lost_beginning_costs_nothing(void **state)
{
	struct world *w = new_synced(4);
	uint64_t sent;

	(void)state;
	w_run_ms(w, 5000);
	w_cut(w);
	w->epoch++;
	w_view(w, 1, MIR_PEER_GONE, false);
	w_write(w, 1, 8, 8);
	w_run(w);
	sent = w_status(w, 1).sent_bytes;
	for (int i = 0; i < 12; i++) {
		w_connect(w);
		for (;;) { /* until BEGIN is on its way */
			struct w_node *n = &w->n[2];
			unsigned last = (n->in_head + n->in_n - 1) % W_MSGS;

			if (n->in_n > 0 && n->in[last].bytes[0] == MP_BEGIN)
				break;
			assert_true(w_complete_any(w, 1, 0) ||
				    w_complete_any(w, 2, 0) ||
				    w_deliver(w, 1) || w_deliver(w, 2));
		}
		w_cut(w);
		w_run(w);
	}
	w_connect(w);
	w_run_ms(w, 1000);
	assert_true(w_status(w, 1).sent_bytes - sent < 65536);
	end_in_sync(w);
}

/* A lost FIN_ACK, often: histories do not grow apart. */
static void
a_lost_end_costs_nothing(void **state)
{
	struct world *w = new_synced(5);
	uint64_t sent;

	(void)state;
	w_run_ms(w, 5000);
	w_cut(w);
	w->epoch++;
	w_view(w, 1, MIR_PEER_GONE, false);
	w_write(w, 1, 8, 8);
	w_run(w);
	sent = w_status(w, 1).sent_bytes;
	for (int i = 0; i < 12; i++) {
		w_connect(w);
		while (w_status(w, 2).conn != MIR_CONN_INSYNC)
			assert_true(w_work(w));
		assert_int_equal(w_status(w, 1).conn, MIR_CONN_FINISH);
		w_cut(w);
		w_run(w);
	}
	w_connect(w);
	w_run_ms(w, 1000);
	assert_true(w_status(w, 1).sent_bytes - sent < 65536);
	end_in_sync(w);
}

static void
a_crashed_secondary_is_never_the_source(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 30; seed++) {
		struct world *w = new_synced(seed);

		w_demote(w, 1, 1);
		w_run(w);
		start_primary(w, 2);
		for (uint64_t i = 0; i < 8; i++)
			w_write(w, 2, 16 * i, 16);
		w_run(w);
		assert_int_equal(in_flight(w), 0);
		/* Node 1, whose id would win a tie, loses its cache. */
		w_crash(w, 1, true);
		w_view(w, 2, MIR_PEER_DOWN, true);
		w_start(w, 1);
		w_run(w);
		end_in_sync(w);
	}
}

/* What was sent when the connection broke is sent again. */
static void
unconfirmed_writes_are_sent_again(void **state)
{
	struct world *w = new_synced(6);

	(void)state;
	w_write(w, 1, 0, 8);
	w_run(w);
	w_write(w, 1, 4, 4);
	while (w_complete_any(w, 1, 0))
		;
	w_cut(w); /* node 2 never saw it */
	w_run(w);
	assert_int_equal(in_flight(w), 1);
	w_connect(w);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->n[2].d.cur[4], w->s[4].acked);
	end_in_sync(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_diskless_primary_answers_when_the_peer_knows),
	    cmocka_unit_test(old_writes_of_the_peer_come_before_a_greeting),
	    cmocka_unit_test(a_promotion_waits_for_old_writes_of_the_peer),
	    cmocka_unit_test(the_peer_keeps_overlapping_writes_in_order),
	    cmocka_unit_test(a_target_calls_itself_good_when_all_is_stable),
	    cmocka_unit_test(a_target_is_inconsistent_before_the_first_block),
	    cmocka_unit_test(no_cut_hides_a_split),
	    cmocka_unit_test(a_lost_beginning_costs_nothing),
	    cmocka_unit_test(a_lost_end_costs_nothing),
	    cmocka_unit_test(a_crashed_secondary_is_never_the_source),
	    cmocka_unit_test(unconfirmed_writes_are_sent_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
