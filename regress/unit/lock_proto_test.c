/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two codecs of the lock manager: there and back, and each way to be
 * refused.
 */
#include "lock_world.h"

#include "wire.h"

static uint64_t rng = 88172645463325252ULL;

static void
fill(void *buf, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		rng ^= rng << 13;
		rng ^= rng >> 7;
		rng ^= rng << 17;
		((uint8_t *)buf)[i] = (uint8_t)(rng >> 40);
	}
}

static void
modes(void **state)
{
	uint8_t m;

	(void)state;
	for (unsigned i = 0; i < LKM_COUNT; i++) {
		assert_true(lkm_parse(lkm_name(i), &m));
		assert_int_equal(m, i);
	}
	assert_true(lkm_parse("pW", &m));
	assert_int_equal(m, LKM_PW);
	assert_false(lkm_parse("EXX", &m));
	assert_false(lkm_parse("", &m));
	assert_string_equal(lkm_name(LKM_IV), "-");
	assert_true(lkm_compat(LKM_IV, LKM_EX));
}

static void
requests_there_and_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct lkp_req a, b;
		uint8_t buf[LKP_REQ_LEN];
		const char *why;

		fill(&a, sizeof(a));
		a.op = (uint8_t)(1 + a.op % 6);
		a.name_len %= LKP_NAME_MAX + 1;
		lkp_put_req(buf, &a);
		assert_int_equal(lkp_get_req(&b, buf, &why), 0);
		assert_int_equal(a.flags, b.flags);
		assert_int_equal(a.cookie, b.cookie);
		assert_int_equal(a.lock, b.lock);
		assert_int_equal(a.timeout_ms, b.timeout_ms);
		assert_int_equal(a.mode, b.mode);
		assert_int_equal(a.space, b.space);
		assert_int_equal(a.name_len, b.name_len);
		assert_memory_equal(a.name, b.name, a.name_len);
		assert_memory_equal(a.value, b.value, sizeof(a.value));
	}
}

static void
answers_there_and_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct lkp_ans a;
		uint8_t buf[LKP_ANS_LEN], again[LKP_ANS_LEN];
		const char *why;

		fill(buf, sizeof(buf));
		buf[0] = (uint8_t)(1 + buf[0] % 8);
		buf[46] = buf[47] = 0;
		assert_int_equal(lkp_get_ans(&a, buf, &why), 0);
		lkp_put_ans(again, &a);
		assert_memory_equal(buf, again, sizeof(buf));
	}
}

static void
every_refusal_of_a_client_has_its_words(void **state)
{
	uint8_t buf[LKP_HDR_LEN + LKP_REQ_LEN], ok[sizeof(buf)];
	uint8_t *req = buf + LKP_HDR_LEN;
	struct lkp_req q = {.op = LKP_LOCK, .name_len = 3, .name = "abc"};
	struct lkp_ans a;
	const char *why;

	(void)state;
	lkp_put_hdr(ok, 1);
	lkp_put_req(ok + LKP_HDR_LEN, &q);
	assert_int_equal(lkp_get_hdr(ok, sizeof(ok), LKP_REQ_LEN, &why), 1);
#define HDR(change, len, text) \
	do { \
		memcpy(buf, ok, sizeof(buf)); \
		change; \
		assert_int_equal( \
		    lkp_get_hdr(buf, len, LKP_REQ_LEN, &why), -1); \
		assert_string_equal(why, text); \
	} while (0)
	HDR((void)0, 7, "shorter than a header");
	HDR(buf[0] = 0, sizeof(buf), "no message of the lock protocol");
	HDR(buf[1] = 0, sizeof(buf), "no message of the lock protocol");
	HDR(buf[2] = 9, sizeof(buf), "another version of the lock protocol");
	HDR(buf[3] = 1, sizeof(buf),
	    "reserved bytes of the header are not zero");
	HDR(buf[7] = 1, sizeof(buf),
	    "reserved bytes of the header are not zero");
	HDR(buf[4] = 0, sizeof(buf), "a message without records");
	HDR(put_u16(buf + 4, 257), sizeof(buf), "too many records");
	HDR(buf[4] = 2, sizeof(buf),
	    "length does not fit the number of records");
	HDR((void)0, sizeof(buf) - 1,
	    "length does not fit the number of records");
#define REQ(change, text) \
	do { \
		memcpy(buf, ok, sizeof(buf)); \
		change; \
		assert_int_equal(lkp_get_req(&q, req, &why), -1); \
		assert_string_equal(why, text); \
	} while (0)
	REQ(req[0] = 0, "unknown operation");
	REQ(req[0] = 7, "unknown operation");
	REQ(req[3] = 65, "name is too long");
	REQ(req[31] = 1, "reserved bytes of a request are not zero");
	REQ(req[3] = 2, "bytes behind the name are not zero");
	memset(buf, 0, sizeof(buf));
	assert_int_equal(lkp_get_ans(&a, buf, &why), -1);
	assert_string_equal(why, "unknown type of answer");
	buf[0] = LKP_DONE;
	buf[47] = 1;
	assert_int_equal(lkp_get_ans(&a, buf, &why), -1);
	assert_string_equal(why, "reserved bytes of an answer are not zero");
}

/* A message with something in every field. */
static struct lkw_msg
full(uint8_t type, const uint8_t *name)
{
	struct lkw_msg m = {.type = type,
	    .gr = LKM_PR,
	    .rq = LKM_EX,
	    .state = 3,
	    .err = LKE_DEADLK,
	    .name_len = LKP_NAME_MAX,
	    .blocker_node = 2,
	    .blocker_mode = LKM_PW,
	    .blocker_pid = 0x01020304,
	    .oseq = 0x05060708,
	    .flags = LKW_F_ALL,
	    .pid = 0x090a0b0c,
	    .lock = 0x1112131415161718,
	    .token = 0x2122232425262728,
	    .qseq = 0x3132333435363738,
	    .space = 0x4142434445464748,
	    .val = {.seq = 0x5152535455565758, .valid = true},
	    .name = name};

	fill(m.val.bytes, sizeof(m.val.bytes));
	fill(m.wval, sizeof(m.wval));
	return m;
}

static void
every_type_between_nodes_there_and_back(void **state)
{
	uint8_t name[LKP_NAME_MAX];

	(void)state;
	fill(name, sizeof(name));
	for (uint8_t t = LKW_NONE + 1; t < LKW_TYPE_END; t++) {
		struct lkw_msg a = full(t, name), b;
		uint8_t buf[LKW_MSG_MAX], again[LKW_MSG_MAX];
		size_t n = lkw_put_msg(buf, &a);
		const char *why;

		assert_int_equal(lkw_get_msg(&b, buf, n, &why), n);
		assert_int_equal(lkw_put_msg(again, &b), n);
		assert_memory_equal(buf, again, n);
		/* Cut anywhere it is refused. */
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(lkw_get_msg(&b, buf, i, &why), -1);
			assert_string_equal(why, "cut short");
		}
		assert_string_not_equal(lkw_type_name(t), "?");
	}
	assert_string_equal(lkw_type_name(LKW_TYPE_END), "?");
}

static void
refused_message(const struct lkw_msg *m, const char *text)
{
	uint8_t buf[LKW_MSG_MAX];
	struct lkw_msg got;
	const char *why;
	size_t n = lkw_put_msg(buf, m);

	assert_int_equal(lkw_get_msg(&got, buf, n, &why), -1);
	assert_string_equal(why, text);
}

static void
every_refusal_of_a_node_has_its_words(void **state)
{
	uint8_t name[LKP_NAME_MAX] = {0}, buf[LKW_MSG_MAX] = {99};
	struct lkw_msg m;
	const char *why;
	size_t n;

	(void)state;
	assert_int_equal(lkw_get_msg(&m, buf, 10, &why), -1);
	assert_string_equal(why, "unknown type");
	m = full(LKW_REBUILD, name);
	m.gr = 6;
	refused_message(&m, "no such mode");
	m = full(LKW_REBUILD, name);
	m.rq = 200;
	refused_message(&m, "no such mode");
	m = full(LKW_GRANT, name);
	m.gr = LKM_IV;
	refused_message(&m, "no mode");
	m = full(LKW_REQUEST, name);
	m.rq = LKM_IV;
	refused_message(&m, "no mode");
	m = full(LKW_CONVERT, name);
	m.flags |= 1u << 31;
	refused_message(&m, "unknown flags");
	m = full(LKW_QUERY, name);
	n = lkw_put_msg(buf, &m);
	buf[n - LKP_NAME_MAX - 1] = 0;
	assert_int_equal(lkw_get_msg(&m, buf, n, &why), -1);
	assert_string_equal(why, "bad length of a name");
	buf[n - LKP_NAME_MAX - 1] = 65;
	assert_int_equal(lkw_get_msg(&m, buf, n, &why), -1);
	assert_string_equal(why, "bad length of a name");
}

static void
frames_and_syncs(void **state)
{
	struct lkw_hdr a = {.kind = LKW_DATA,
			   .count = 3,
			   .src = 0x0102030405060708,
			   .dst = 0x1112131415161718,
			   .seq = 0x21222324},
		       b;
	struct lkw_sync s = {
	    .members = 0x8003, .synced = true, .void_inst = 77, .epoch = 88};
	struct lkw_sync t;
	uint8_t buf[LKW_HDR_LEN], sync[LKW_SYNC_LEN];
	const char *why;

	(void)state;
	lkw_put_hdr(buf, &a);
	assert_int_equal(lkw_get_hdr(&b, buf, sizeof(buf), &why), 0);
	assert_int_equal(a.src, b.src);
	assert_int_equal(a.dst, b.dst);
	assert_int_equal(a.seq, b.seq);
	assert_int_equal(a.count, b.count);
#define FRAME(change, len, text) \
	do { \
		lkw_put_hdr(buf, &a); \
		change; \
		assert_int_equal(lkw_get_hdr(&b, buf, len, &why), -1); \
		assert_string_equal(why, text); \
	} while (0)
	FRAME((void)0, sizeof(buf) - 1, "shorter than a header");
	FRAME(buf[0] = 2, sizeof(buf), "another version of the lock protocol");
	FRAME(buf[1] = 3, sizeof(buf), "unknown kind of frame");
	FRAME(memset(buf + 8, 0, 4), sizeof(buf), "a view without an instance");
	FRAME(buf[2] = 0, sizeof(buf), "wrong number of messages");
	FRAME(buf[1] = LKW_SYNC, sizeof(buf), "wrong number of messages");
	lkw_put_sync(sync, &s);
	assert_int_equal(lkw_get_sync(&t, sync, sizeof(sync), &why), 0);
	assert_int_equal(t.members, s.members);
	assert_true(t.synced);
	assert_int_equal(t.void_inst, 77);
	assert_int_equal(t.epoch, 88);
	assert_int_equal(lkw_get_sync(&t, sync, sizeof(sync) - 1, &why), -1);
	assert_string_equal(why, "wrong length of a SYNC");
	sync[3] = 1;
	assert_int_equal(lkw_get_sync(&t, sync, sizeof(sync), &why), -1);
	assert_string_equal(why, "reserved bytes of a SYNC are not zero");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(modes),
	    cmocka_unit_test(requests_there_and_back),
	    cmocka_unit_test(answers_there_and_back),
	    cmocka_unit_test(every_refusal_of_a_client_has_its_words),
	    cmocka_unit_test(every_type_between_nodes_there_and_back),
	    cmocka_unit_test(every_refusal_of_a_node_has_its_words),
	    cmocka_unit_test(frames_and_syncs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
