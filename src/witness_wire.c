/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Layout, little-endian:
 *	 0	version (1), type (1), zeroes (6)
 * ASK	 8	epoch (8), incarnation (8), node (1), zeroes (7)
 *	32	cluster (32, NUL-padded)
 * ANSWER
 *	 8	epoch (8), holder's epoch (8), holder's incarnation (8)
 *	32	vote (1), holder (1), zeroes (6)
 * PING, PONG
 *	 8	stamp (8)
 * REFUSE
 *	 8	text (120, NUL-padded)
 */
#include <string.h>

#include "witness_wire.h"

enum {
	VERSION = 1,
	HEAD = 8,
	ASK_LEN = 64,
	ANSWER_LEN = 40,
	PING_LEN = 16,
	REFUSE_LEN = HEAD + WW_TEXT,
};

static void
put64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t
get64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* 0: there is no such type. */
static size_t
length_of(unsigned type)
{
	switch (type) {
	case WW_ASK:
		return ASK_LEN;
	case WW_ANSWER:
		return ANSWER_LEN;
	case WW_PING:
	case WW_PONG:
		return PING_LEN;
	case WW_REFUSE:
		return REFUSE_LEN;
	default:
		return 0;
	}
}

static void
put_text(uint8_t *p, const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	ASSERT(len > 0 && len < size);
	memcpy(p, text, len);
}

size_t
ww_encode(const struct ww_msg *m, uint8_t bytes[WW_MAX])
{
	size_t len = length_of(m->type);

	ASSERT(len > 0 && len <= WW_MAX);
	memset(bytes, 0, len);
	bytes[0] = VERSION;
	bytes[1] = (uint8_t)m->type;
	switch (m->type) {
	case WW_ASK:
		put64(bytes + 8, m->u.ask.epoch);
		put64(bytes + 16, m->u.ask.incarnation);
		bytes[24] = m->u.ask.node;
		put_text(bytes + 32, m->u.ask.cluster, HAD_NAME_MAX);
		break;
	case WW_ANSWER:
		put64(bytes + 8, m->u.answer.epoch);
		put64(bytes + 16, m->u.answer.holder_epoch);
		put64(bytes + 24, m->u.answer.holder_incarnation);
		bytes[32] = (uint8_t)m->u.answer.vote;
		bytes[33] = m->u.answer.holder;
		break;
	case WW_PING:
	case WW_PONG:
		put64(bytes + 8, m->u.stamp);
		break;
	case WW_REFUSE:
		put_text(bytes + 8, m->u.text, WW_TEXT);
		break;
	}
	return len;
}

static bool
all_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* A text that ends within size, nothing behind its end. */
static bool
text_ok(const uint8_t *p, size_t size)
{
	size_t len = strnlen((const char *)p, size);

	if (len == 0 || len == size)
		return false;
	for (size_t i = 0; i < len; i++)
		if (p[i] < ' ' || p[i] > '~')
			return false;
	return all_zero(p + len, size - len);
}

static const char *
check_ask(const uint8_t *bytes)
{
	if (get64(bytes + 8) == 0)
		return "asks for epoch 0";
	if (bytes[24] < 1 || bytes[24] > HAD_NODES_MAX)
		return "node id out of range";
	if (!all_zero(bytes + 25, 7))
		return "reserved bytes are not zero";
	if (!text_ok(bytes + 32, HAD_NAME_MAX))
		return "bad cluster name";
	return NULL;
}

static const char *
check_answer(const uint8_t *bytes)
{
	uint64_t epoch = get64(bytes + 8), holder_epoch = get64(bytes + 16);
	uint8_t vote = bytes[32], holder = bytes[33];

	if (epoch == 0)
		return "answers for epoch 0";
	if (vote < WW_GRANTED || vote > WW_FAILED)
		return "unknown vote";
	if (holder > HAD_NODES_MAX || (holder == 0 && vote != WW_FAILED))
		return "holder out of range";
	if ((holder == 0) != (holder_epoch == 0))
		return "holder without a lease, or a lease without holder";
	if (vote == WW_GRANTED && holder_epoch != epoch)
		return "grants another epoch";
	if (vote == WW_DENIED && holder_epoch < epoch)
		return "denied for an older lease";
	if (!all_zero(bytes + 34, 6))
		return "reserved bytes are not zero";
	return NULL;
}

static const char *
check(const uint8_t *bytes, size_t len)
{
	if (len < HEAD)
		return "truncated";
	if (bytes[0] != VERSION)
		return "another version of the protocol";
	if (length_of(bytes[1]) == 0)
		return "unknown type";
	if (len != length_of(bytes[1]))
		return "wrong length";
	if (!all_zero(bytes + 2, 6))
		return "reserved bytes are not zero";
	if (bytes[1] == WW_ASK)
		return check_ask(bytes);
	if (bytes[1] == WW_ANSWER)
		return check_answer(bytes);
	if (bytes[1] == WW_REFUSE && !text_ok(bytes + 8, WW_TEXT))
		return "bad text";
	return NULL;
}

int
ww_decode(struct ww_msg *m, const uint8_t *bytes, size_t len, const char **why)
{
	memset(m, 0, sizeof(*m));
	if ((*why = check(bytes, len)) != NULL)
		return -1;
	m->type = (enum ww_type)bytes[1];
	switch (m->type) {
	case WW_ASK:
		m->u.ask.epoch = get64(bytes + 8);
		m->u.ask.incarnation = get64(bytes + 16);
		m->u.ask.node = bytes[24];
		memcpy(m->u.ask.cluster, bytes + 32, HAD_NAME_MAX);
		break;
	case WW_ANSWER:
		m->u.answer.epoch = get64(bytes + 8);
		m->u.answer.holder_epoch = get64(bytes + 16);
		m->u.answer.holder_incarnation = get64(bytes + 24);
		m->u.answer.vote = (enum ww_vote)bytes[32];
		m->u.answer.holder = bytes[33];
		break;
	case WW_PING:
	case WW_PONG:
		m->u.stamp = get64(bytes + 8);
		break;
	case WW_REFUSE:
		memcpy(m->u.text, bytes + 8, WW_TEXT);
		break;
	}
	return 0;
}
