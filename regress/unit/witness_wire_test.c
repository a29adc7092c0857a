/* SPDX-License-Identifier: BSD-2-Clause */
/* What a node and the witness say: golden bytes, and a refusal for each way
 * to be malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "witness_wire.h"

static const struct ww_msg ask = {
    .type = WW_ASK,
    .u.ask = {.cluster = "shop",
	.node = 2,
	.incarnation = 0x1112131415161718,
	.epoch = 0x0102030405060708},
};
static const struct ww_msg denied = {
    .type = WW_ANSWER,
    .u.answer = {.epoch = 5,
	.vote = WW_DENIED,
	.holder = 1,
	.holder_epoch = 9,
	.holder_incarnation = 77},
};
static const struct ww_msg ping = {.type = WW_PING, .u.stamp = 258};
static const struct ww_msg refuse = {.type = WW_REFUSE, .u.text = "go away"};

static size_t
round_trip(const struct ww_msg *m, uint8_t bytes[WW_MAX])
{
	uint8_t again[WW_MAX];
	struct ww_msg out;
	const char *why;
	size_t len = ww_encode(m, bytes);

	assert_int_equal(ww_decode(&out, bytes, len, &why), 0);
	assert_null(why);
	assert_int_equal(out.type, m->type);
	assert_int_equal(ww_encode(&out, again), len);
	assert_memory_equal(bytes, again, len);
	return len;
}

static void
golden(void **state)
{
	static const uint8_t head[] = {1, 1, 0, 0, 0, 0, 0, 0, /* ASK */
	    8, 7, 6, 5, 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12,
	    0x11, 2, 0, 0, 0, 0, 0, 0, 0, 's', 'h', 'o', 'p', 0};
	static const uint8_t answer[] = {1, 2, 0, 0, 0, 0, 0, 0, /* ANSWER */
	    5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0, 0, 0,
	    0, 0, 2, 1, 0, 0, 0, 0, 0, 0};
	static const uint8_t stamp[] = {
	    1, 3, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0};
	struct ww_msg m;
	const char *why;
	uint8_t bytes[WW_MAX];

	(void)state;
	assert_int_equal(round_trip(&ask, bytes), 64);
	assert_memory_equal(bytes, head, sizeof(head));
	assert_int_equal(ww_decode(&m, bytes, 64, &why), 0);
	assert_string_equal(m.u.ask.cluster, "shop");
	assert_int_equal(m.u.ask.node, 2);
	assert_true(m.u.ask.epoch == ask.u.ask.epoch);
	assert_true(m.u.ask.incarnation == ask.u.ask.incarnation);
	assert_int_equal(round_trip(&denied, bytes), sizeof(answer));
	assert_memory_equal(bytes, answer, sizeof(answer));
	assert_int_equal(ww_decode(&m, bytes, sizeof(answer), &why), 0);
	assert_int_equal(m.u.answer.vote, WW_DENIED);
	assert_int_equal(m.u.answer.holder, 1);
	assert_true(m.u.answer.holder_epoch == 9);
	assert_true(m.u.answer.holder_incarnation == 77);
	assert_int_equal(round_trip(&ping, bytes), sizeof(stamp));
	assert_memory_equal(bytes, stamp, sizeof(stamp));
	assert_int_equal(round_trip(&refuse, bytes), WW_MAX);
	assert_int_equal(ww_decode(&m, bytes, WW_MAX, &why), 0);
	assert_string_equal(m.u.text, "go away");
}

/* m with one byte changed is refused, saying this. */
static void
spoilt(const struct ww_msg *m, size_t at, uint8_t value, const char *expected)
{
	uint8_t bytes[WW_MAX];
	struct ww_msg out;
	const char *why = NULL;
	size_t len = ww_encode(m, bytes);

	assert_true(at < len);
	assert_int_not_equal(bytes[at], value);
	bytes[at] = value;
	assert_int_equal(ww_decode(&out, bytes, len, &why), -1);
	assert_string_equal(why, expected);
}

static void
lengths(void **state)
{
	const struct ww_msg *const all[] = {&ask, &denied, &ping, &refuse};
	uint8_t bytes[WW_MAX + 1] = {0};
	struct ww_msg out;
	const char *why;

	(void)state;
	for (size_t i = 0; i < NITEMS(all); i++) {
		size_t len = ww_encode(all[i], bytes);

		for (size_t n = 0; n < len; n++) {
			assert_int_equal(ww_decode(&out, bytes, n, &why), -1);
			assert_string_equal(
			    why, n < 8 ? "truncated" : "wrong length");
		}
		bytes[len] = 0;
		assert_int_equal(ww_decode(&out, bytes, len + 1, &why), -1);
		assert_string_equal(why, "wrong length");
	}
}

static void
heads(void **state)
{
	(void)state;
	spoilt(&ping, 0, 2, "another version of the protocol");
	spoilt(&ping, 1, 0, "unknown type");
	spoilt(&ping, 1, 6, "unknown type");
	for (size_t i = 2; i < 8; i++)
		spoilt(&ping, i, 1, "reserved bytes are not zero");
}

static void
asks(void **state)
{
	static const struct ww_msg low = {
	    .type = WW_ASK,
	    .u.ask = {.cluster = "shop", .node = 2, .epoch = 1},
	};
	char name[HAD_NAME_MAX];

	(void)state;
	spoilt(&low, 8, 0, "asks for epoch 0");
	spoilt(&ask, 24, 0, "node id out of range");
	spoilt(&ask, 24, HAD_NODES_MAX + 1, "node id out of range");
	for (size_t i = 25; i < 32; i++)
		spoilt(&ask, i, 1, "reserved bytes are not zero");
	spoilt(&ask, 32, 0, "bad cluster name");
	spoilt(&ask, 33, '\n', "bad cluster name");
	spoilt(&ask, 33, 0xc3, "bad cluster name");
	spoilt(&ask, 63, 'x', "bad cluster name");
	/* A name that does not end. */
	struct ww_msg full = ask;

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	memcpy(full.u.ask.cluster, name, sizeof(name));
	spoilt(&full, 63, 'n', "bad cluster name");
}

static void
answers(void **state)
{
	struct ww_msg granted = denied, failed = denied;

	(void)state;
	granted.u.answer.vote = WW_GRANTED;
	granted.u.answer.holder_epoch = 5;
	failed.u.answer.vote = WW_FAILED;
	failed.u.answer.holder = 0;
	failed.u.answer.holder_epoch = 0;
	spoilt(&denied, 8, 0, "answers for epoch 0");
	spoilt(&denied, 32, 0, "unknown vote");
	spoilt(&denied, 32, 4, "unknown vote");
	spoilt(&denied, 33, 0, "holder out of range");
	spoilt(&denied, 33, HAD_NODES_MAX + 1, "holder out of range");
	spoilt(&failed, 33, 1,
	    "holder without a lease, or a lease without holder");
	spoilt(&failed, 16, 1,
	    "holder without a lease, or a lease without holder");
	spoilt(&granted, 16, 6, "grants another epoch");
	spoilt(&denied, 16, 4, "denied for an older lease");
	for (size_t i = 34; i < 40; i++)
		spoilt(&denied, i, 1, "reserved bytes are not zero");
}

static void
texts(void **state)
{
	(void)state;
	spoilt(&refuse, 8, 0, "bad text");
	spoilt(&refuse, 8, 0x1b, "bad text");
	spoilt(&refuse, WW_MAX - 1, 'x', "bad text");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(golden),
	    cmocka_unit_test(lengths),
	    cmocka_unit_test(heads),
	    cmocka_unit_test(asks),
	    cmocka_unit_test(answers),
	    cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
