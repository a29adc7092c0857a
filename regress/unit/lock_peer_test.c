/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A peer made of bytes: what no correct node sends.
 */
#include "lock_int.h"
#include "lock_world.h"

static enum lk_phase
phase(struct world *w, uint8_t id)
{
	struct lk_status st;

	lk_status(w->node[id].lk, &st);
	return st.phase;
}

static void
raw(struct world *w, uint8_t kind, uint64_t src, uint64_t dst, uint32_t seq,
    const uint8_t *body, size_t len, uint16_t count)
{
	uint8_t buf[1024];
	struct lkw_hdr h = {
	    .kind = kind, .count = count, .src = src, .dst = dst, .seq = seq};
	struct lk_event ev = {.type = LK_EV_MSG};

	lkw_put_hdr(buf, &h);
	memcpy(buf + LKW_HDR_LEN, body, len);
	ev.u.msg.from = 2;
	ev.u.msg.bytes = buf;
	ev.u.msg.len = LKW_HDR_LEN + len;
	w_step(w, 1, &ev);
}

static void
raw_sync(struct world *w, uint64_t src, uint64_t dst)
{
	uint8_t buf[LKW_SYNC_LEN];
	struct lkw_sync s = {.members = 3, .synced = true, .epoch = 1};

	lkw_put_sync(buf, &s);
	raw(w, LKW_SYNC, src, dst, 0, buf, sizeof(buf), 1);
}

/* The view of node 1 as its last frame says. */
static uint64_t
view_of_one(struct world *w)
{
	struct lkw_hdr h;
	const char *why;
	struct w_msg *m;

	assert_true(w->n_queue > 0);
	m = &w->queue[w->n_queue - 1];
	assert_int_equal(lkw_get_hdr(&h, m->bytes, m->len, &why), 0);
	return h.src;
}

static const uint64_t fake = 0x1234500000001ULL;

/* Node 1 runs together with node 2, which is this test. */
static struct world *
faked(uint64_t *view)
{
	struct world *w = w_new(2, 3);
	struct lkw_msg told = {.type = LKW_TOLD};
	uint8_t buf[LKW_MSG_MAX];

	w_kill(w, 2);
	w_view(w, 1, LK_VIEW_RUNNING, 3, 0, 1);
	for (uint32_t c = 0; c < W_CLIENTS; c++)
		w_open(w, 1, c);
	*view = view_of_one(w);
	raw_sync(w, fake, *view);
	raw(w, LKW_DATA, fake, *view, 0, buf, lkw_put_msg(buf, &told), 1);
	assert_int_equal(phase(w, 1), LK_PH_RUNNING);
	return w;
}

static uint64_t
bad(struct world *w)
{
	struct lk_status st;

	lk_status(w->node[1].lk, &st);
	return st.bad_messages;
}

static void
bytes_of_a_peer_never_do_harm(void **state)
{
	uint64_t view;
	struct world *w = faked(&view);
	char r = w_res_of(3, 1), other = w_res_of(3, 2);
	struct lkw_msg m = {.type = LKW_REQUEST,
	    .lock = 7,
	    .oseq = 1,
	    .rq = LKM_PR,
	    .name_len = 1,
	    .name = (uint8_t *)&other};
	uint8_t buf[LKW_MSG_MAX];
	uint32_t seq = 1;
	uint64_t n = 0;

	(void)state;
#define BAD(body, len, count) \
	do { \
		raw(w, LKW_DATA, fake, view, seq++, body, len, count); \
		assert_int_equal(bad(w), ++n); \
	} while (0)
	buf[0] = 99;
	BAD(buf, 1, 1); /* no such type */
	BAD(buf, 0, 1); /* cut short */
	/* A request that is not for this master. */
	m.space = lk_space_hash("default");
	BAD(buf, lkw_put_msg(buf, &m), 1);
	m.type = LKW_QUEUED; /* of a lock that is not there: ignored */
	raw(w, LKW_DATA, fake, view, seq++, buf, lkw_put_msg(buf, &m), 1);
	assert_int_equal(bad(w), n);
	/* Bytes behind the last message. */
	m.type = LKW_READY;
	buf[lkw_put_msg(buf, &m)] = 0;
	BAD(buf, 2, 1);
	m.type = LKW_TOLD;
	BAD(buf, lkw_put_msg(buf, &m), 1);
	/* A lock that cannot be. */
	m.type = LKW_REBUILD;
	m.state = 9;
	m.name = (uint8_t *)&r;
	BAD(buf, lkw_put_msg(buf, &m), 1);
	m.type = LKW_VALUE;
	BAD(buf, lkw_put_msg(buf, &m), 1);
	/* Shorter than a header, from nobody, from itself. */
	{
		struct lk_event ev = {.type = LK_EV_MSG};

		ev.u.msg.from = 2;
		ev.u.msg.bytes = buf;
		ev.u.msg.len = 3;
		w_step(w, 1, &ev);
		assert_int_equal(bad(w), ++n);
		ev.u.msg.from = 9;
		w_step(w, 1, &ev);
		assert_int_equal(bad(w), ++n);
		ev.u.msg.from = 1;
		w_step(w, 1, &ev);
		assert_int_equal(bad(w), ++n);
	}
	/* After a while both sides compare again. */
	w_sleep(w, 1100);
	assert_int_equal(phase(w, 1), LK_PH_SYNC);
	w_free(w);
}

/* A lock that its owner does not tell of any more is gone. */
static void
what_is_not_told_is_dropped(void **state)
{
	uint64_t view, k;
	struct world *w = faked(&view);
	char r = w_res_of(3, 1);
	struct lkw_msg m = {.type = LKW_TOLD};
	struct lk_row row;
	struct lk_iter it = {0};
	uint8_t buf[LKW_MSG_MAX];

	(void)state;
	k = w_lockf(w, 1, 0, r, LKM_NL, 0, 0);
	assert_int_equal(w_status(w, 1, 0, k), LKE_OK);
	assert_true(lk_status_next(w->node[1].lk, &it, &row));
	/* Its request: the space is named by a hash that node 1 has sent. */
	m.type = LKW_REQUEST;
	m.lock = 7;
	m.oseq = 1;
	m.rq = LKM_EX;
	m.name = (uint8_t *)&r;
	m.name_len = 1;
	m.space = lk_space_hash("default");
	raw(w, LKW_DATA, fake, view, 1, buf, lkw_put_msg(buf, &m), 1);
	k = w_lockf(w, 1, 1, r, LKM_PR, 0, 0);
	assert_int_equal(w_status(w, 1, 1, k), -1);
	/* The same number twice, and a lock that waits converted. */
	raw(w, LKW_DATA, fake, view, 2, buf, lkw_put_msg(buf, &m), 1);
	assert_int_equal(bad(w), 1);
	w_resync(w, 1, 2);
	view = view_of_one(w);
	raw_sync(w, fake + 1, view);
	view = view_of_one(w);
	raw_sync(w, fake + 1, view);
	m.type = LKW_TOLD;
	raw(w, LKW_DATA, fake + 1, view, 0, buf, lkw_put_msg(buf, &m), 1);
	assert_int_equal(w_status(w, 1, 1, k), LKE_OK);
	w_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_of_a_peer_never_do_harm),
	    cmocka_unit_test(what_is_not_told_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
