/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NBD codec: golden bytes from the protocol's specification, and each
 * malformed request has its own error and words.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nbd_proto.h"

static const struct nbdp_export export = {.name = "orders",
    .size = 0x0102030405060000,
    .flags = NBDP_HAS_FLAGS | NBDP_SEND_FLUSH | NBDP_SEND_FUA | NBDP_SEND_TRIM |
	     NBDP_SEND_WRITE_ZEROES | NBDP_CAN_MULTI_CONN,
    .block_min = 512,
    .block_pref = 4096,
    .block_max = NBDP_PAYLOAD_MAX};

static uint8_t buf[8192];

#define GOLDEN(len, ...) \
	do { \
		static const uint8_t want[] = {__VA_ARGS__}; \
		assert_int_equal(len, sizeof(want)); \
		assert_memory_equal(buf, want, sizeof(want)); \
	} while (0)

static void
the_greeting_is_fixed_newstyle_without_zeroes(void **state)
{
	(void)state;
	GOLDEN(nbdp_put_greeting(buf, sizeof(buf)), 'N', 'B', 'D', 'M', 'A',
	    'G', 'I', 'C', 'I', 'H', 'A', 'V', 'E', 'O', 'P', 'T', 0, 3);
}

static void
client_flags_are_known_or_refused(void **state)
{
	static const uint8_t both[4] = {0, 0, 0, 3}, odd[4] = {0, 0, 0, 4};
	const char *why = NULL;
	uint32_t flags;

	(void)state;
	assert_int_equal(nbdp_get_client_flags(&flags, both, 4, &why), 0);
	assert_int_equal(flags, NBDP_FIXED_NEWSTYLE | NBDP_NO_ZEROES);
	assert_int_equal(nbdp_get_client_flags(&flags, odd, 4, &why), -1);
	assert_string_equal(why, "unknown client flags");
	assert_int_equal(nbdp_get_client_flags(&flags, both, 3, &why), -1);
	assert_string_equal(why, "client flags are not 4 bytes");
}

static void
an_option_header_needs_its_magic(void **state)
{
	uint8_t h[16] = {
	    'I', 'H', 'A', 'V', 'E', 'O', 'P', 'T', 0, 0, 0, 7, 0, 0, 1, 2};
	struct nbdp_opt_hdr o;
	const char *why = NULL;

	(void)state;
	assert_int_equal(nbdp_get_opt_hdr(&o, h, sizeof(h), &why), 0);
	assert_int_equal(o.opt, NBDP_OPT_GO);
	assert_int_equal(o.len, 0x102);
	h[0] = 'J';
	assert_int_equal(nbdp_get_opt_hdr(&o, h, sizeof(h), &why), -1);
	assert_string_equal(why, "bad magic of an option");
	assert_int_equal(nbdp_get_opt_hdr(&o, h, 15, &why), -1);
	assert_string_equal(why, "an option's header is not 16 bytes");
}

static void
go_data_are_taken_apart(void **state)
{
	static const uint8_t go[] = {
	    0, 0, 0, 2, 'a', 'b', 0, 4, 0, 3, 0, 1, 0, 2, 0x12, 0x34};
	struct nbdp_go g;
	const char *why = NULL;

	(void)state;
	assert_int_equal(nbdp_get_go(&g, go, sizeof(go), &why), 0);
	assert_int_equal(g.name_len, 2);
	assert_memory_equal(g.name, "ab", 2);
	assert_true(g.want_name && g.want_description && g.want_block_size);
}

static void
go_refused(const uint8_t *bytes, size_t len, const char *expect)
{
	struct nbdp_go g;
	const char *why = NULL;

	assert_int_equal(nbdp_get_go(&g, bytes, len, &why), -1);
	assert_string_equal(why, expect);
}

static void
malformed_go_data_have_their_reasons(void **state)
{
	static const uint8_t b[] = {0, 0, 0, 2, 'a', 'b', 0, 1, 0, 3};
	static const uint8_t over[] = {0, 0, 0, 5, 'a', 'b', 0, 1, 0, 3};
	static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0, 0};

	(void)state;
	go_refused(b, 5, "option data too short");
	go_refused(over, sizeof(over), "export name runs over the option data");
	go_refused(huge, sizeof(huge), "export name longer than 4096 bytes");
	go_refused(b, sizeof(b) - 1,
	    "number of information requests does not fit the length");
}

static void
option_replies_are_golden(void **state)
{
	(void)state;
	GOLDEN(nbdp_put_opt_reply(
		   buf, sizeof(buf), NBDP_OPT_ABORT, NBDP_REP_ACK, NULL, 0),
	    0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0,
	    0, 0);
	GOLDEN(
	    nbdp_put_opt_error(buf, sizeof(buf), 9, NBDP_REP_ERR_UNSUP, "no"),
	    0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9, 0, 0, 0, 9, 0x80, 0, 0, 1, 0,
	    0, 0, 2, 'n', 'o');
	GOLDEN(nbdp_put_list_entry(buf, sizeof(buf), &export), 0, 3, 0xe8, 0x89,
	    4, 0x55, 0x65, 0xa9, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 10, 0, 0, 0,
	    6, 'o', 'r', 'd', 'e', 'r', 's');
}

static void
info_has_size_flags_and_block_sizes(void **state)
{
	struct nbdp_go g = {.name = ""};

	(void)state;
	GOLDEN(nbdp_put_info(buf, sizeof(buf), NBDP_OPT_GO, &g, &export),
	    /* export */
	    0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0,
	    0, 12, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 1, 0x6d,
	    /* block sizes: 512, 4096, 32 MiB */
	    0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0,
	    0, 14, 0, 3, 0, 0, 2, 0, 0, 0, 0x10, 0, 2, 0, 0, 0,
	    /* acknowledged */
	    0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0,
	    0, 0);
}

static void
name_and_description_are_given_when_asked(void **state)
{
	struct nbdp_go g = {.want_name = true, .want_description = true};
	size_t n = nbdp_put_info(buf, sizeof(buf), NBDP_OPT_INFO, &g, &export);

	(void)state;
	assert_int_equal(n, 32 + 28 + 22 + 19 + 34 + 20);
	assert_memory_equal(buf + 32 + 20, "\0\1orders", 8);
	assert_memory_equal(buf + 60 + 20, "\0\2had mirrored volume", 21);
}

static void
the_old_export_reply_has_zeroes_if_wanted(void **state)
{
	(void)state;
	GOLDEN(nbdp_put_export_reply(buf, sizeof(buf), &export, true), 1, 2, 3,
	    4, 5, 6, 0, 0, 1, 0x6d);
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(
	    nbdp_put_export_reply(buf, sizeof(buf), &export, false),
	    NBDP_EXPORT_REPLY_LEN);
	assert_int_equal(buf[10], 0);
	assert_int_equal(buf[133], 0);
	assert_int_equal(buf[134], 0xff);
}

static void
a_request_is_taken_apart(void **state)
{
	uint8_t b[28] = {0x25, 0x60, 0x95, 0x13, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6,
	    7, 8, 0, 0, 0, 9, 0, 0, 0, 10, 0, 1, 0, 0};
	struct nbdp_request r;
	const char *why = NULL;

	(void)state;
	assert_int_equal(nbdp_get_request(&r, b, sizeof(b), &why), 0);
	assert_int_equal(r.flags, NBDP_CMD_FUA);
	assert_int_equal(r.cmd, NBDP_WRITE_ZEROES);
	assert_true(r.handle == 0x0102030405060708);
	assert_true(r.off == 0x000000090000000a);
	assert_int_equal(r.len, 65536);
	assert_int_equal(nbdp_get_request(&r, b, 27, &why), -1);
	assert_string_equal(why, "a request is not 28 bytes");
	b[3]++;
	assert_int_equal(nbdp_get_request(&r, b, sizeof(b), &why), -1);
	assert_string_equal(why, "bad magic of a request");
}

/* The error and its words; both are part of what a client sees. */
struct verdict {
	const char *title;
	struct nbdp_request r;
	uint16_t without; /* transmission flags taken away */
	uint16_t with; /* and added */
	bool structured;
	enum nbdp_error error;
	const char *why;
};

#define END (UINT64_C(0x0102030405060000))

static const struct verdict verdicts[] = {
    {"the last block is read", {0, NBDP_READ, 1, END - 512, 512}},
    {"32 MiB are written", {1, NBDP_WRITE, 1, 0, 32 << 20}},
    {"4 GiB less a block are trimmed", {1, NBDP_TRIM, 1, 0, UINT32_MAX - 511}},
    {"holes may be forbidden", {3, NBDP_WRITE_ZEROES, 1, 0, 4096}},
    {"flush", {0, NBDP_FLUSH, 1, 0, 0}},
    {"FUA is allowed on every command", {1, NBDP_READ, 1, 0, 512}},
    {"DF with structured replies", {4, NBDP_READ, 1, 0, 512}, .structured = 1},
    {"disconnect", {0, NBDP_DISC, 1, 7, 9}},
    {"DF without them", {4, NBDP_READ, 1, 0, 512}, .error = NBDP_EINVAL,
	.why = "flag DF without structured replies"},
    {"a command from the future", {0, 8, 1, 0, 512}, .error = NBDP_EINVAL,
	.why = "unknown command"},
    {"a command of another kind", {0, 0xffff, 1, 0, 0}, .error = NBDP_EINVAL,
	.why = "unknown command"},
    {"cache is not offered", {0, NBDP_CACHE, 1, 0, 512}, .error = NBDP_EINVAL,
	.why = "unknown command"},
    {"block status is not offered", {0, NBDP_BLOCK_STATUS, 1, 0, 512},
	.error = NBDP_EINVAL, .why = "unknown command"},
    {"a flag that a write does not take", {2, NBDP_WRITE, 1, 0, 512},
	.error = NBDP_EINVAL, .why = "flag that the command does not take"},
    {"fast zeroes are not offered", {16, NBDP_WRITE_ZEROES, 1, 0, 512},
	.error = NBDP_EINVAL, .why = "flag that the command does not take"},
    {"FUA where it was not offered", {1, NBDP_WRITE, 1, 0, 512},
	.without = NBDP_SEND_FUA, .error = NBDP_EINVAL,
	.why = "flag that the command does not take"},
    {"trim where it was not offered", {0, NBDP_TRIM, 1, 0, 512},
	.without = NBDP_SEND_TRIM, .error = NBDP_EINVAL,
	.why = "command that was not offered"},
    {"a write to a read-only export", {0, NBDP_WRITE, 1, 0, 512},
	.with = NBDP_READ_ONLY, .error = NBDP_EPERM,
	.why = "the export is read-only"},
    {"zeroes to a read-only export", {0, NBDP_WRITE_ZEROES, 1, 0, 512},
	.with = NBDP_READ_ONLY, .error = NBDP_EPERM,
	.why = "the export is read-only"},
    {"flush with an offset", {0, NBDP_FLUSH, 1, 512, 0}, .error = NBDP_EINVAL,
	.why = "flush with a range"},
    {"flush with a length", {0, NBDP_FLUSH, 1, 0, 512}, .error = NBDP_EINVAL,
	.why = "flush with a range"},
    {"an empty read", {0, NBDP_READ, 1, 0, 0}, .error = NBDP_EINVAL,
	.why = "length 0"},
    {"an empty write", {0, NBDP_WRITE, 1, 0, 0}, .error = NBDP_EINVAL,
	.why = "length 0"},
    {"a read of more than 32 MiB", {0, NBDP_READ, 1, 0, (32 << 20) + 512},
	.error = NBDP_EINVAL, .why = "longer than 32 MiB"},
    {"a write of 4 GiB less a block", {0, NBDP_WRITE, 1, 0, UINT32_MAX - 511},
	.error = NBDP_EINVAL, .why = "longer than 32 MiB"},
    {"a read beyond the end", {0, NBDP_READ, 1, END, 512}, .error = NBDP_EINVAL,
	.why = "beyond the end of the volume"},
    {"a write across the end", {0, NBDP_WRITE, 1, END - 512, 1024},
	.error = NBDP_ENOSPC, .why = "beyond the end of the volume"},
    {"a write whose end wraps around",
	{0, NBDP_WRITE, 1, UINT64_MAX - 511, 512}, .error = NBDP_ENOSPC,
	.why = "beyond the end of the volume"},
    {"zeroes beyond the end", {0, NBDP_WRITE_ZEROES, 1, END, 512},
	.error = NBDP_ENOSPC, .why = "beyond the end of the volume"},
    {"a trim beyond the end", {0, NBDP_TRIM, 1, END, 512}, .error = NBDP_EINVAL,
	.why = "beyond the end of the volume"},
    {"an odd offset", {0, NBDP_READ, 1, 1, 512}, .error = NBDP_EINVAL,
	.why = "not aligned to the minimum block size"},
    {"an odd length", {0, NBDP_WRITE, 1, 0, 511}, .error = NBDP_EINVAL,
	.why = "not aligned to the minimum block size"},
};

static void
each_request_has_its_verdict(void **state)
{
	const struct verdict *v;
	struct nbdp_export e;
	enum nbdp_error error;
	const char *why;

	(void)state;
	for (size_t i = 0; i < NITEMS(verdicts); i++) {
		v = &verdicts[i];
		e = export;
		e.flags = (uint16_t)((e.flags & ~v->without) | v->with);
		why = NULL;
		error = nbdp_check_request(&v->r, &e, v->structured, &why);
		if (error != v->error)
			fail_msg("%s: error %d, wanted %d", v->title, error,
			    v->error);
		if (v->why != NULL && strcmp(why, v->why) != 0)
			fail_msg(
			    "%s: '%s', wanted '%s'", v->title, why, v->why);
	}
}

static void
only_writes_have_a_payload(void **state)
{
	struct nbdp_request r = {.cmd = NBDP_WRITE, .len = 4096};

	(void)state;
	assert_int_equal(nbdp_payload(&r), 4096);
	r.cmd = NBDP_WRITE_ZEROES;
	assert_int_equal(nbdp_payload(&r), 0);
	assert_string_equal(nbdp_cmd_name(NBDP_TRIM), "trim");
	assert_string_equal(nbdp_cmd_name(99), "unknown");
}

static void
replies_are_golden(void **state)
{
	const uint64_t handle = 0x1122334455667788;

	(void)state;
	GOLDEN(nbdp_put_simple(buf, sizeof(buf), handle, NBDP_ENOSPC), 0x67,
	    0x44, 0x66, 0x98, 0, 0, 0, 28, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66,
	    0x77, 0x88);
	GOLDEN(nbdp_put_data_chunk(
		   buf, sizeof(buf), handle, NBDP_CHUNK_DONE, 0x10000, 4096),
	    0x66, 0x8e, 0x33, 0xef, 0, 1, 0, 1, 0x11, 0x22, 0x33, 0x44, 0x55,
	    0x66, 0x77, 0x88, 0, 0, 0x10, 8, 0, 0, 0, 0, 0, 1, 0, 0);
	GOLDEN(nbdp_put_error_chunk(
		   buf, sizeof(buf), handle, NBDP_CHUNK_DONE, NBDP_EIO, "bad"),
	    0x66, 0x8e, 0x33, 0xef, 0, 1, 0x80, 1, 0x11, 0x22, 0x33, 0x44, 0x55,
	    0x66, 0x77, 0x88, 0, 0, 0, 9, 0, 0, 0, 5, 0, 3, 'b', 'a', 'd');
	GOLDEN(nbdp_put_error_offset_chunk(
		   buf, sizeof(buf), handle, 0, NBDP_EIO, 512),
	    0x66, 0x8e, 0x33, 0xef, 0, 0, 0x80, 2, 0x11, 0x22, 0x33, 0x44, 0x55,
	    0x66, 0x77, 0x88, 0, 0, 0, 14, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0,
	    2, 0);
}

static void
a_long_error_text_is_cut(void **state)
{
	char text[300];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(
	    nbdp_put_error_chunk(buf, NBDP_HDR_MAX, 1, 0, NBDP_EIO, text),
	    NBDP_HDR_MAX);
}

static void
system_errors_become_those_of_the_protocol(void **state)
{
	static const int map[][2] = {{0, 0}, {EPERM, 1}, {EROFS, 1}, {EIO, 5},
	    {EBADF, 5}, {ENODEV, 5}, {ENOMEM, 12}, {EINVAL, 22}, {ENOSPC, 28},
	    {EDQUOT, 28}, {EFBIG, 28}, {EOVERFLOW, 75}, {EOPNOTSUPP, 95},
	    {ESHUTDOWN, 108}};

	(void)state;
	for (size_t i = 0; i < NITEMS(map); i++)
		assert_int_equal(nbdp_error_of(map[i][0]), map[i][1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_greeting_is_fixed_newstyle_without_zeroes),
	    cmocka_unit_test(client_flags_are_known_or_refused),
	    cmocka_unit_test(an_option_header_needs_its_magic),
	    cmocka_unit_test(go_data_are_taken_apart),
	    cmocka_unit_test(malformed_go_data_have_their_reasons),
	    cmocka_unit_test(option_replies_are_golden),
	    cmocka_unit_test(info_has_size_flags_and_block_sizes),
	    cmocka_unit_test(name_and_description_are_given_when_asked),
	    cmocka_unit_test(the_old_export_reply_has_zeroes_if_wanted),
	    cmocka_unit_test(a_request_is_taken_apart),
	    cmocka_unit_test(each_request_has_its_verdict),
	    cmocka_unit_test(only_writes_have_a_payload),
	    cmocka_unit_test(replies_are_golden),
	    cmocka_unit_test(a_long_error_text_is_cut),
	    cmocka_unit_test(system_errors_become_those_of_the_protocol),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
