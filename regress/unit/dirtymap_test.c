/* SPDX-License-Identifier: BSD-2-Clause */
/* The dirty map against a plain array of flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dirtymap.h"

static uint64_t rng = 42;

static uint64_t
rnd(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % n;
}

static void
compare(const struct dirtymap *m, const uint8_t *flags)
{
	uint64_t count = 0, bit, from = rnd(m->nbits + 1), next, run = 0;

	for (uint64_t i = 0; i < m->nbits; i++)
		count += flags[i];
	assert_int_equal(m->count, count);
	for (next = from; next < m->nbits && !flags[next]; next++)
		;
	if (next == m->nbits) {
		assert_false(dm_next(m, from, &bit));
	} else {
		assert_true(dm_next(m, from, &bit));
		assert_int_equal(bit, next);
	}
	while (from + run < m->nbits && run < 300 && flags[from + run])
		run++;
	assert_int_equal(dm_run(m, from, 300), run);
	if (run > 0)
		assert_true(dm_all(m, from, run));
	if (from < m->nbits)
		assert_int_equal(dm_test(m, from), flags[from]);
}

static void
like_an_array(void **state)
{
	static const uint64_t sizes[] = {1, 63, 64, 65, 4095, 4096, 4097, 9000};

	(void)state;
	for (size_t k = 0; k < NITEMS(sizes); k++) {
		uint64_t nbits = sizes[k], from, n, changed;
		uint8_t *flags = calloc(nbits, 1);
		struct dirtymap m;

		assert_int_equal(dm_init(&m, nbits), 0);
		for (int i = 0; i < 600; i++) {
			bool set = rnd(2);

			from = rnd(nbits);
			n = rnd(rnd(4) ? 70 : nbits) + 1;
			if (n > nbits - from)
				n = nbits - from;
			changed = 0;
			for (uint64_t j = from; j < from + n; j++) {
				changed += flags[j] != set;
				flags[j] = set;
			}
			assert_int_equal(
			    set ? dm_set(&m, from, n) : dm_clear(&m, from, n),
			    changed);
			assert_int_equal(dm_any(&m, from, n), set);
			compare(&m, flags);
		}
		dm_set_all(&m);
		memset(flags, 1, nbits);
		compare(&m, flags);
		dm_clear_all(&m);
		memset(flags, 0, nbits);
		compare(&m, flags);
		dm_fini(&m);
		free(flags);
	}
}

static void
words_keep_within_the_map(void **state)
{
	struct dirtymap m;

	(void)state;
	assert_int_equal(dm_init(&m, 70), 0);
	dm_or_word(&m, 1, ~UINT64_C(0));
	assert_int_equal(m.count, 6);
	dm_or_word(&m, 2, 1); /* beyond: nothing */
	assert_int_equal(m.count, 6);
	assert_int_equal(dm_word(&m, 1), 63);
	assert_int_equal(dm_word(&m, 9), 0);
	dm_put_word(&m, 1, 1);
	assert_int_equal(m.count, 1);
	dm_resize(&m, 10);
	assert_int_equal(m.count, 0);
	dm_set_all(&m);
	assert_int_equal(m.count, 10);
	dm_fini(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(like_an_array),
	    cmocka_unit_test(words_keep_within_the_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
