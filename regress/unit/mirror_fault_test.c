/* SPDX-License-Identifier: BSD-2-Clause */
/* Stories of two mirrors in which something breaks. */
#include "mir_world.h"

static void
an_error_of_the_local_disk_is_not_seen(void **state)
{
	struct world *w = new_synced(11);

	(void)state;
	w_write(w, 1, 0, 8);
	w_run(w);
	w->n[1].d.broken = true;
	w_request(w, 1, MIR_READ, 0, 4096);
	w_write(w, 1, 64, 8);
	w_run_ms(w, 200);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->fails, 0);
	assert_int_equal(w_status(w, 1).disk, MIR_DISK_NONE);
	assert_int_equal(w_status(w, 1).conn, MIR_CONN_NOCOPY);
	assert_true(w_status(w, 1).primary);
	assert_non_null(strstr(w_status(w, 1).error, "detached"));
	/* Goes on without a disk; the peer notes what is missing here. */
	w_write(w, 1, 0, 4);
	w_request(w, 1, MIR_READ, 64 * 512, 4096);
	w_request(w, 1, MIR_FLUSH, 0, 0);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->fails, 0);
	assert_true(w_status(w, 2).dirty_bytes > 0);
	assert_int_not_equal(w_status(w, 2).bitmap, 0);
	w_crash(w, 1, false);
	w->n[1].d.broken = false;
	w_start(w, 1);
	w_run(w);
	end_in_sync(w);
}

static void
an_error_of_the_peers_disk_is_not_seen(void **state)
{
	struct world *w = new_synced(12);

	(void)state;
	w->n[2].d.broken = true;
	w_write(w, 1, 64, 8);
	w_run_ms(w, 200);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->fails, 0);
	assert_int_equal(w_status(w, 2).disk, MIR_DISK_NONE);
	assert_int_equal(w_status(w, 1).peer_disk, MIR_DISK_NONE);
	assert_true(w_status(w, 1).alone);
	w_write(w, 1, 200, 8);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	w_crash(w, 2, false);
	w->n[2].d.broken = false;
	w_start(w, 2);
	w_run(w);
	end_in_sync(w);
}

static void
an_error_of_the_last_disk_is_an_error(void **state)
{
	struct world *w = new_synced(13);

	(void)state;
	w_crash(w, 2, false);
	w->epoch++;
	w_view(w, 1, MIR_PEER_GONE, false);
	w_run(w);
	w->n[1].d.broken = true;
	w_request(w, 1, MIR_READ, 0, 512);
	w_write(w, 1, 8, 8);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->fails, 2);
	assert_non_null(strstr(w->n[1].why, "no other good copy"));
	w_free(w);
}

static void
a_diskless_primary_without_peer_fails(void **state)
{
	struct world *w = new_synced(14);

	(void)state;
	w->n[1].d.broken = true;
	w_write(w, 1, 8, 8);
	w_run(w);
	assert_int_equal(w->fails, 0);
	w_cut(w);
	w_request(w, 1, MIR_READ, 0, 512);
	w_run(w);
	assert_int_equal(in_flight(w), 1); /* it may come back */
	w_view(w, 1, MIR_PEER_GONE, false);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->fails, 1);
	w_free(w);
}

static void
a_node_without_disk_can_be_primary(void **state)
{
	struct world *w = w_new(15);
	struct mir_conf c = w_conf(w, 2);

	(void)state;
	w_format(w, 1, true);
	w_start(w, 1);
	memset(&c.layout, 0, sizeof(c.layout));
	snprintf(c.disk_why, sizeof(c.disk_why), "No such file");
	w_start_conf(w, 2, c);
	w_run(w);
	assert_non_null(strstr(w_status(w, 2).error, "No such file"));
	w_connect(w);
	w_run(w);
	assert_int_equal(w_status(w, 2).size_bytes, W_SECTORS * 512);
	/* It never had a disk: what it missed may have been newer. */
	assert_int_equal(w_status(w, 1).conn, MIR_CONN_NOCOPY);
	assert_false(w_status(w, 1).peer_agrees);
	start_primary(w, 2);
	w_write(w, 2, 3, 5);
	w_request(w, 2, MIR_READ, 64 * 512, 4096);
	w_run(w);
	assert_int_equal(in_flight(w), 0);
	assert_int_equal(w->fails, 0);
	assert_int_equal(w->n[1].d.cur[3], w->s[3].acked);
	/* What it works on is this copy. */
	assert_true(w_status(w, 1).peer_agrees);
	assert_false(w_status(w, 2).peer_agrees);
	w_demote(w, 2, 8);
	w_run(w);
	assert_true(w->n[2].done_ok);
	w_free(w);
}

static void
metadata_of_others_are_refused(void **state)
{
	static const char *const texts[] = {"another cluster", "another volume",
	    "another node", "no place for the peer", "another size"};

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct world *w = w_new(19);
		struct mir_conf c;

		w_format(w, 1, true);
		c = w_conf(w, 1);
		if (i == 0)
			c.cluster = mmeta_cluster("other");
		else if (i == 1)
			snprintf(c.name, sizeof(c.name), "stock");
		else if (i == 2) {
			c.self = 2;
			c.peer = 1;
		} else if (i == 3)
			c.peer = 3;
		else
			c.layout.data_bytes -= MMETA_PAGE;
		if (i != 1) {
			w_start_conf(w, 1, c);
			w_run(w);
			assert_int_equal(w_status(w, 1).disk, MIR_DISK_FAILED);
			assert_non_null(strstr(w_status(w, 1).error, texts[i]));
		}
		w_free(w);
	}
}

static void
one_damaged_superblock_is_survived(void **state)
{
	(void)state;
	for (int which = 0; which < 2; which++) {
		struct world *w = new_synced(20);
		struct w_node *n = &w->n[2];
		uint64_t at = n->layout.sb_off[which] / 512;

		w_crash(w, 2, false);
		n->d.mcur[at][70] ^= 1;
		w_start(w, 2);
		w_run(w);
		assert_int_equal(w_status(w, 2).disk, MIR_DISK_UPTODATE);
		end_in_sync(w);
		w = new_synced(20);
		n = &w->n[2];
		w_crash(w, 2, false);
		n->d.mcur[n->layout.sb_off[0] / 512][70] ^= 1;
		n->d.mcur[n->layout.sb_off[1] / 512][70] ^= 1;
		w_start(w, 2);
		w_run(w);
		assert_int_equal(w_status(w, 2).disk, MIR_DISK_FAILED);
		w_free(w);
	}
}

static void
a_damaged_map_is_taken_as_dirty(void **state)
{
	struct world *w = new_synced(21);
	struct w_node *n = &w->n[2];

	(void)state;
	w_run_ms(w, 5000);
	w_crash(w, 2, false);
	n->d.mcur[n->layout.bitmap_off[0] / 512][100] ^= 1;
	/* Nobody would know of this one otherwise. */
	n->d.cur[500] = 0xbad;
	w_start(w, 2);
	w_run(w);
	assert_int_equal(w_status(w, 2).dirty_bytes, W_SECTORS * 512);
	end_in_sync(w);
}

static void
split_brain_is_seen_and_nothing_is_discarded(void **state)
{
	struct world *w = new_synced(26);
	struct mir_event ev = {.type = MIR_RESYNC};

	(void)state;
	w_cut(w);
	w->epoch++;
	w_view(w, 1, MIR_PEER_GONE, false);
	w_view(w, 2, MIR_PEER_GONE, false); /* what must never be */
	start_primary(w, 2);
	w_write(w, 1, 0, 8);
	w_run(w);
	w_request(w, 2, MIR_WRITE, 64 * 512, 4096);
	w_run(w);
	w_connect(w);
	w_run_ms(w, 2000);
	assert_int_equal(w_status(w, 1).conn, MIR_CONN_SPLIT);
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_SPLIT);
	assert_int_not_equal(w->n[1].d.cur[0], w->n[2].d.cur[0]);
	assert_int_not_equal(w->n[1].d.cur[64], w->n[2].d.cur[64]);
	/* In use, it is not given up. */
	ev.u.resync.token = 30;
	ev.u.resync.from = 1;
	w_step(w, 2, &ev);
	assert_int_equal(w->n[2].done_token, 30);
	assert_false(w->n[2].done_ok);
	assert_string_equal(w->n[2].done_text,
	    "this copy is in use: stop what runs on it first");
	/* Nor if the other node is asked. */
	ev.u.resync.token = 32;
	w_step(w, 1, &ev);
	w_run(w);
	assert_int_equal(w->n[1].done_token, 32);
	assert_false(w->n[1].done_ok);
	assert_string_equal(w->n[1].done_text,
	    "the peer's copy is in use: stop what runs on it first");
	ev.u.resync.token = 30;
	w_demote(w, 2, 31);
	w_run(w);
	/* The operator keeps node 1's. */
	for (int i = 0; i < W_SECTORS; i++) {
		w->s[i].acked = w->n[1].d.cur[i];
		w->s[i].n_maybe = 0;
	}
	w_step(w, 2, &ev);
	assert_true(w->n[2].done_ok);
	w_run_ms(w, 3000);
	end_in_sync(w);
}

static void
resync_on_request(void **state)
{
	struct world *w = new_synced(27);
	struct mir_event ev = {.type = MIR_RESYNC};
	uint64_t sent = w_status(w, 1).sent_bytes;

	(void)state;
	for (int i = 0; i < W_SECTORS; i += 3)
		w->n[1].d.cur[i] = w->s[i].acked = 1000 + (uint64_t)i;
	ev.u.resync.token = 40;
	ev.u.resync.from = 7;
	w_step(w, 1, &ev);
	assert_non_null(strstr(w->n[1].done_text, "no such node"));
	/* Asked on the source. */
	ev.u.resync.from = 1;
	w_step(w, 1, &ev);
	w_run_ms(w, 3000);
	assert_int_equal(w->n[1].done_token, 40);
	assert_true(w->n[1].done_ok);
	assert_true(w_status(w, 1).sent_bytes - sent >= W_SECTORS * 512);
	w_check_equal(w);
	/* The only good copy is not given up. */
	w_crash(w, 2, false);
	w_format(w, 2, false);
	w_start(w, 2);
	w_run(w);
	w_connect(w);
	while (w_status(w, 1).conn != MIR_CONN_SOURCE)
		assert_true(w_work(w));
	w_demote(w, 1, 1);
	ev.u.resync.from = 2;
	w_step(w, 1, &ev);
	assert_false(w->n[1].done_ok);
	end_in_sync(w);
}

static void
bad_requests_have_their_errors(void **state)
{
	static const struct {
		enum mir_cmd cmd;
		uint64_t off;
		uint32_t len;
	} bad[] = {
	    {MIR_WRITE, 0, 0},
	    {MIR_READ, 1, 512},
	    {MIR_READ, 0, 511},
	    {MIR_WRITE, 512, HAD_IO_MAX},
	    {MIR_READ, 0, 2 * HAD_IO_MAX},
	    {MIR_WRITE, W_SECTORS * 512, 512},
	    {MIR_READ, W_SECTORS * 512, 512},
	    {MIR_FLUSH, 0, 512},
	};
	struct world *w = new_synced(152);
	struct mir_event ev = {.type = MIR_REQ};
	unsigned n = 0;

	(void)state;
	for (size_t i = 0; i < NITEMS(bad); i++) {
		struct w_req *r = &w->reqs[0];

		memset(r, 0, sizeof(*r));
		r->used = true;
		r->node = 1;
		r->cookie = ++n;
		ev.u.req.cookie = n;
		ev.u.req.cmd = bad[i].cmd;
		ev.u.req.off = bad[i].off;
		ev.u.req.len = bad[i].len;
		ev.u.req.buf = r->buf;
		w_step(w, 1, &ev);
		assert_int_equal(w->fails, n);
	}
	end_in_sync(w);
}

/* Sends bytes to node 2 as if from node 1, in the session under way. */
static void
forge(struct world *w, struct mp_msg msg, size_t data_len)
{
	static uint8_t buf[MP_HDR_LEN + HAD_IO_MAX];
	struct mir_event ev = {.type = MIR_MSG};

	msg.mine = w->n[2].m->yours;
	msg.yours = w->n[2].m->mine;
	mp_put(buf, &msg);
	ev.u.msg.from = 1;
	ev.u.msg.bytes = buf;
	ev.u.msg.len = MP_HDR_LEN + data_len;
	w_step(w, 2, &ev);
}

static void
a_peer_that_breaks_the_protocol_is_refused(void **state)
{
	static const struct {
		struct mp_msg msg;
		size_t len;
		const char *text;
	} bad[] = {
	    {{.type = MP_READY}, 0, "ready out of place"},
	    {{.type = MP_BITS, .arg = 1}, 8, "dirty map out of place"},
	    {{.type = MP_BEGIN, .arg = 1}, MP_BEGIN_LEN,
		"beginning out of place"},
	    {{.type = MP_FIN, .arg = 1}, 64, "end of a resync out of place"},
	    {{.type = MP_FIN_ACK}, 0, "acknowledged end"},
	    {{.type = MP_PIECE_ZERO, .len = 4096}, 0, "resync that is not"},
	    {{.type = MP_WRITE, .off = W_SECTORS * 512, .len = 512}, 512,
		"beyond the volume"},
	    {{.type = MP_WRITE, .off = 0, .len = 512}, 511, "wrong length"},
	    {{.type = MP_READ, .off = 100, .len = 512}, 0, "aligned"},
	    {{.type = MP_FLUSH, .off = 512}, 0, "does not belong"},
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(bad); i++) {
		struct world *w = new_synced(153);

		forge(w, bad[i].msg, bad[i].len);
		assert_int_equal(w_status(w, 2).conn, MIR_CONN_REFUSED);
		assert_non_null(strstr(w_status(w, 2).error, bad[i].text));
		/* The other side is told, and does not wait for ever. */
		w_write(w, 1, 0, 8);
		w_run(w);
		assert_int_equal(w_status(w, 1).conn, MIR_CONN_REFUSED);
		assert_int_equal(in_flight(w), 0);
		assert_true(w_status(w, 1).alone);
		w_cut(w);
		end_in_sync(w);
	}
}

static void
more_requests_than_slots_are_refused(void **state)
{
	struct world *w = new_synced(154);

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		forge(w, (struct mp_msg){.type = MP_FLUSH, .id = i}, 0);
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_INSYNC);
	forge(w, (struct mp_msg){.type = MP_FLUSH}, 0);
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_REFUSED);
	w_free(w);
}

static void
messages_of_another_session_do_not_count(void **state)
{
	struct world *w = new_synced(155);
	struct mp_msg msg = {.type = MP_FIN_ACK};
	uint8_t buf[MP_HDR_LEN];
	struct mir_event ev = {.type = MIR_MSG};

	(void)state;
	msg.mine = w->n[2].m->yours;
	msg.yours = w->n[2].m->mine - 1;
	mp_put(buf, &msg);
	ev.u.msg.from = 1;
	ev.u.msg.bytes = buf;
	ev.u.msg.len = sizeof(buf);
	w_step(w, 2, &ev);
	ev.u.msg.from = 9;
	msg.yours++;
	mp_put(buf, &msg);
	w_step(w, 2, &ev);
	assert_int_equal(w_status(w, 2).conn, MIR_CONN_INSYNC);
	end_in_sync(w);
}

static void
begin_anew(struct world *w, uint8_t id)
{
	mir_sess_restart(w->n[id].m, "test");
	w_view(w, id, MIR_PEER_UP, false);
}

static void
two_restarts_that_cross_settle(void **state)
{
	(void)state;
	/* Both begin anew at every possible distance. */
	for (int a = 0; a < 30; a++)
		for (int b = 0; b < 30; b++) {
			struct world *w = w_new_pair(156);

			w_connect(w);
			for (int i = 0; i < 60; i++) {
				if (i == a)
					begin_anew(w, 1);
				if (i == b)
					begin_anew(w, 2);
				w_work(w);
			}
			end_in_sync(w);
		}
}

/*
 * A short story, stopped by a crash of either node after each single step,
 * with and without power.
 */
static void
story(struct world *w, int crash_at, uint8_t who, bool power)
{
	int step = 0;

	w_connect(w);
	for (int i = 0; i < 400 && step < crash_at; i++) {
		uint8_t id = 1 + (uint8_t)(i & 1);

		if (i == 60)
			w_promote(w, 1, 1);
		if (i >= 80 && i % 10 == 0 && w_status(w, 1).primary)
			w_request(w, 1, i % 30 == 0 ? MIR_FLUSH : MIR_WRITE,
			    i % 30 == 0 ? 0 : 4096 * (uint64_t)(i % 16),
			    i % 30 == 0 ? 0 : 4096);
		if (i == 300)
			w_demote(w, 1, 2);
		if (i % 50 == 49)
			w_advance(w, 1000);
		if (w_deliver(w, id))
			step++;
		if (step < crash_at && w_complete_any(w, id, 0))
			step++;
	}
	w_crash(w, who, power);
	w_start(w, who);
	for (int i = 0; i < 10; i++)
		w_work(w);
}

static void
a_crash_at_every_step(void **state)
{
	(void)state;
	for (int at = 0; at < 300; at++)
		for (int k = 0; k < 4; k++) {
			struct world *w = w_new_pair(157 + (uint64_t)at);

			story(w, at, 1 + (uint8_t)(k & 1), k & 2);
			end_in_sync(w);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_error_of_the_local_disk_is_not_seen),
	    cmocka_unit_test(an_error_of_the_peers_disk_is_not_seen),
	    cmocka_unit_test(an_error_of_the_last_disk_is_an_error),
	    cmocka_unit_test(a_diskless_primary_without_peer_fails),
	    cmocka_unit_test(a_node_without_disk_can_be_primary),
	    cmocka_unit_test(metadata_of_others_are_refused),
	    cmocka_unit_test(one_damaged_superblock_is_survived),
	    cmocka_unit_test(a_damaged_map_is_taken_as_dirty),
	    cmocka_unit_test(split_brain_is_seen_and_nothing_is_discarded),
	    cmocka_unit_test(resync_on_request),
	    cmocka_unit_test(bad_requests_have_their_errors),
	    cmocka_unit_test(a_peer_that_breaks_the_protocol_is_refused),
	    cmocka_unit_test(more_requests_than_slots_are_refused),
	    cmocka_unit_test(messages_of_another_session_do_not_count),
	    cmocka_unit_test(two_restarts_that_cross_settle),
	    cmocka_unit_test(a_crash_at_every_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
