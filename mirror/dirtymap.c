/* SPDX-License-Identifier: BSD-2-Clause */
/* A set of bit numbers; see dirtymap.h. */
#include "dirtymap.h"

#include <stdlib.h>
#include <string.h>

static uint64_t
words_of(uint64_t nbits)
{
	return (nbits + 63) / 64;
}

int
dm_init(struct dirtymap *m, uint64_t nbits)
{
	uint64_t w = words_of(nbits), s = words_of(w);

	memset(m, 0, sizeof(*m));
	if (w > SIZE_MAX / 8)
		return -1;
	m->words = calloc(w ? w : 1, 8);
	m->sum = calloc(s ? s : 1, 8);
	if (m->words == NULL || m->sum == NULL) {
		dm_fini(m);
		return -1;
	}
	m->nbits = m->room = nbits;
	return 0;
}

void
dm_fini(struct dirtymap *m)
{
	free(m->words);
	free(m->sum);
	memset(m, 0, sizeof(*m));
}

void
dm_resize(struct dirtymap *m, uint64_t nbits)
{
	ASSERT(nbits <= m->room);
	dm_clear_all(m);
	m->nbits = nbits;
}

/* The bits of word w that lie in [from, end). */
static uint64_t
mask_of(uint64_t w, uint64_t from, uint64_t end)
{
	uint64_t lo = w * 64, mask = ~UINT64_C(0);

	if (from > lo)
		mask &= ~UINT64_C(0) << (from - lo);
	if (end < lo + 64)
		mask &= (UINT64_C(1) << (end - lo)) - 1;
	return mask;
}

static void
put_word(struct dirtymap *m, uint64_t w, uint64_t value)
{
	m->count -= (uint64_t)__builtin_popcountll(m->words[w]);
	m->count += (uint64_t)__builtin_popcountll(value);
	m->words[w] = value;
	if (value != 0)
		m->sum[w / 64] |= UINT64_C(1) << (w % 64);
	else
		m->sum[w / 64] &= ~(UINT64_C(1) << (w % 64));
}

bool
dm_test(const struct dirtymap *m, uint64_t bit)
{
	ASSERT(bit < m->nbits);
	return m->words[bit / 64] >> (bit % 64) & 1;
}

uint64_t
dm_set(struct dirtymap *m, uint64_t from, uint64_t n)
{
	uint64_t before = m->count, end = from + n;

	ASSERT(end >= from && end <= m->nbits);
	if (n == 0)
		return 0;
	for (uint64_t w = from / 64; w <= (end - 1) / 64; w++)
		put_word(m, w, m->words[w] | mask_of(w, from, end));
	ASSERT(m->count >= before);
	return m->count - before;
}

uint64_t
dm_clear(struct dirtymap *m, uint64_t from, uint64_t n)
{
	uint64_t before = m->count, end = from + n;

	ASSERT(end >= from && end <= m->nbits);
	if (n == 0)
		return 0;
	for (uint64_t w = from / 64; w <= (end - 1) / 64; w++)
		put_word(m, w, m->words[w] & ~mask_of(w, from, end));
	ASSERT(m->count <= before);
	return before - m->count;
}

void
dm_set_all(struct dirtymap *m)
{
	dm_set(m, 0, m->nbits);
	ASSERT(m->count == m->nbits);
}

void
dm_clear_all(struct dirtymap *m)
{
	uint64_t bit = 0;

	while (dm_next(m, bit, &bit))
		put_word(m, bit / 64, 0);
	ASSERT(m->count == 0);
}

bool
dm_all(const struct dirtymap *m, uint64_t from, uint64_t n)
{
	return dm_run(m, from, n) == n;
}

bool
dm_any(const struct dirtymap *m, uint64_t from, uint64_t n)
{
	uint64_t bit;

	ASSERT(from + n >= from && from + n <= m->nbits);
	return n > 0 && dm_next(m, from, &bit) && bit < from + n;
}

bool
dm_next(const struct dirtymap *m, uint64_t from, uint64_t *bit)
{
	uint64_t w = from / 64, nwords = words_of(m->nbits), nsum, v, s;

	if (from >= m->nbits || m->count == 0)
		return false;
	v = m->words[w] & (~UINT64_C(0) << (from % 64));
	if (v == 0) {
		if (++w >= nwords)
			return false;
		nsum = words_of(nwords);
		v = m->sum[w / 64] & (~UINT64_C(0) << (w % 64));
		for (s = w / 64; v == 0; v = m->sum[s])
			if (++s >= nsum)
				return false;
		w = s * 64 + (uint64_t)__builtin_ctzll(v);
		v = m->words[w];
		ASSERT(v != 0);
	}
	*bit = w * 64 + (uint64_t)__builtin_ctzll(v);
	ASSERT(*bit < m->nbits);
	return true;
}

uint64_t
dm_run(const struct dirtymap *m, uint64_t from, uint64_t max)
{
	uint64_t n = 0, v, room;

	ASSERT(from <= m->nbits);
	if (max > m->nbits - from)
		max = m->nbits - from;
	while (n < max) {
		room = 64 - (from + n) % 64;
		v = ~(m->words[(from + n) / 64] >> ((from + n) % 64));
		if (room < 64)
			v |= UINT64_C(1) << room;
		if (v != 0 && (uint64_t)__builtin_ctzll(v) < room) {
			n += (uint64_t)__builtin_ctzll(v);
			break;
		}
		n += room;
	}
	return n < max ? n : max;
}

uint64_t
dm_word(const struct dirtymap *m, uint64_t word)
{
	return word < words_of(m->nbits) ? m->words[word] : 0;
}

void
dm_or_word(struct dirtymap *m, uint64_t word, uint64_t bits)
{
	if (word >= words_of(m->nbits))
		return;
	put_word(m, word, m->words[word] | (bits & mask_of(word, 0, m->nbits)));
}

void
dm_put_word(struct dirtymap *m, uint64_t word, uint64_t bits)
{
	if (word < words_of(m->nbits))
		put_word(m, word, bits & mask_of(word, 0, m->nbits));
}
