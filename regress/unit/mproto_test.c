/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages between the copies: there and back, and every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mproto.h"

static const char *why;
static uint8_t buf[MP_HDR_LEN + HAD_IO_MAX + 8];

static void
there_and_back(void **state)
{
	struct mp_msg in = {.type = MP_WRITE,
			  .fua = true,
			  .mine = 0xdeadbeef,
			  .yours = 7,
			  .len = 4096,
			  .id = UINT64_C(0x123456789abcdef0),
			  .off = UINT64_C(1) << 40,
			  .arg = 99},
		      out;

	(void)state;
	mp_put(buf, &in);
	memset(buf + MP_HDR_LEN, 0x5a, 4096);
	assert_int_equal(mp_get(&out, buf, MP_HDR_LEN + 4096, &why), 0);
	assert_int_equal(out.type, in.type);
	assert_true(out.fua);
	assert_int_equal(out.mine, in.mine);
	assert_int_equal(out.yours, in.yours);
	assert_int_equal(out.len, in.len);
	assert_int_equal(out.id, in.id);
	assert_int_equal(out.off, in.off);
	assert_int_equal(out.arg, in.arg);
	assert_int_equal(out.data_len, 4096);
	assert_int_equal(out.data[4095], 0x5a);
}

static void
refused(const struct mp_msg *m, size_t data_len, const char *text)
{
	struct mp_msg out;

	mp_put(buf, m);
	assert_int_equal(mp_get(&out, buf, MP_HDR_LEN + data_len, &why), -1);
	assert_string_equal(why, text);
}

static void
refusals(void **state)
{
	struct mp_msg out, m = {.type = MP_FLUSH};

	(void)state;
	mp_put(buf, &m);
	assert_int_equal(mp_get(&out, buf, MP_HDR_LEN - 1, &why), -1);
	assert_string_equal(why, "shorter than a header");
	buf[0] = 0;
	assert_int_equal(mp_get(&out, buf, MP_HDR_LEN, &why), -1);
	assert_string_equal(why, "unknown type");
	buf[0] = MP_N;
	assert_int_equal(mp_get(&out, buf, MP_HDR_LEN, &why), -1);
	buf[0] = MP_FLUSH;
	for (int i = 1; i < 4; i++) {
		buf[i] = 0x82;
		assert_int_equal(mp_get(&out, buf, MP_HDR_LEN, &why), -1);
		assert_string_equal(why, "unknown flags");
		buf[i] = 0;
	}
	m.fua = true;
	refused(&m, 0, "flag does not belong to the type");
	m = (struct mp_msg){.type = MP_FLUSH, .len = 512};
	refused(&m, 0, "range does not belong to the type");
	m.len = 0;
	refused(&m, 1, "wrong length of the data");
	m = (struct mp_msg){.type = MP_WRITE};
	refused(&m, 0, "range is empty or not aligned");
	m.len = 513;
	refused(&m, 513, "range is empty or not aligned");
	m.len = 512;
	m.off = 1;
	refused(&m, 512, "range is empty or not aligned");
	m.off = 0;
	refused(&m, 511, "wrong length of the data");
	m.len = HAD_IO_MAX + 512;
	refused(&m, 0, "range is too long");
	m.len = 1024;
	m.off = HAD_IO_MAX - 512;
	refused(&m, 1024, "range crosses a boundary of pieces");
	m.off = UINT64_MAX - 511;
	refused(&m, 1024, "range is beyond any volume");
	m = (struct mp_msg){.type = MP_TRIM, .len = (16 << 20) + 512};
	refused(&m, 0, "range is too long");
	m = (struct mp_msg){.type = MP_BITS};
	refused(&m, 7, "wrong length of the data");
	m = (struct mp_msg){.type = MP_HELLO};
	refused(&m, 10, "wrong length of the data");
}

static void
ident_there_and_back(void **state)
{
	struct mir_ident a = {.node = 2,
			     .slots = 64,
			     .flags = MIR_I_PRIMARY | MMETA_F_CONSISTENT,
			     .cluster = 5,
			     .volume_id = {1, 2},
			     .size_bytes = 1 << 20,
			     .room_bytes = 1 << 21,
			     .dirty_bytes = 4096,
			     .current = 10,
			     .bitmap = 11,
			     .history = {12, 13, 14, 15, 16, 17, 18, 19}},
			 b;
	uint8_t p[MP_IDENT_LEN], again[MP_IDENT_LEN];

	(void)state;
	mp_put_ident(p, &a);
	assert_int_equal(mp_get_ident(&b, p, sizeof(p), &why), 0);
	/* Not the structs themselves: they have padding. */
	mp_put_ident(again, &b);
	assert_memory_equal(p, again, sizeof(p));
	assert_int_equal(b.node, 2);
	assert_int_equal(b.flags, MIR_I_PRIMARY | MMETA_F_CONSISTENT);
	assert_true(b.current == 10 && b.bitmap == 11 && b.history[7] == 19);
	assert_true(b.size_bytes == 1 << 20 && b.volume_id[1] == 2);
	assert_int_equal(mp_get_ident(&b, p, sizeof(p) - 1, &why), -1);
	assert_string_equal(why, "wrong length");
	p[0]++;
	assert_int_equal(mp_get_ident(&b, p, sizeof(p), &why), -1);
	assert_string_equal(why, "another version of the protocol");
}

static void
ident_that_makes_no_sense(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
		const char *text;
	} bad[] = {
	    {4, 0, "bad node id"},
	    {4, 17, "bad node id"},
	    {6, 0, "takes no operations"},
	    {11, 1, "unknown flags"},
	    {40, 1, "bad size"},
	    {47, 1, "bad size"},
	    {55, 1, "bad size"},
	    {42, 0, "a copy without a size"},
	};
	struct mir_ident a = {.node = 2,
			     .slots = 64,
			     .size_bytes = 1 << 20,
			     .room_bytes = 1 << 20},
			 b;
	uint8_t p[MP_IDENT_LEN];

	(void)state;
	for (size_t i = 0; i < NITEMS(bad); i++) {
		mp_put_ident(p, &a);
		p[bad[i].at] = bad[i].value;
		assert_int_equal(mp_get_ident(&b, p, sizeof(p), &why), -1);
		assert_string_equal(why, bad[i].text);
	}
}

static void
small_parts_there_and_back(void **state)
{
	struct mp_begin g = {{9, 8, 7}, 1 << 20}, h;
	struct mp_run r = {12345, 678}, s;
	uint8_t p[MP_BEGIN_LEN];

	(void)state;
	mp_put_begin(p, &g);
	mp_get_begin(&h, p);
	assert_memory_equal(&g, &h, sizeof(g));
	mp_put_run(p, &r);
	mp_get_run(&s, p);
	assert_memory_equal(&r, &s, sizeof(r));
	for (int t = 0; t < MP_N; t++)
		assert_non_null(mp_name((enum mp_type)t));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(there_and_back),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(ident_there_and_back),
	    cmocka_unit_test(ident_that_makes_no_sense),
	    cmocka_unit_test(small_parts_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
