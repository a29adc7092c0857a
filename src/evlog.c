/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages, little-endian:
 *	 0	type, flags (1 = more), count, zero
 *	 4	id (4)
 *	 8	ASK: after (8), age_us (8); ANSWER: now_us (8), zero (8)
 * then count events:
 *	 0	serial (8), at_us (8), epoch (8)
 *	24	level, lengths of rule, object and text
 *	28	rule, object, text
 */
#include <string.h>

#include "evlog.h"
#include "wire.h"

static size_t
put_text(uint8_t *p, const char *text, size_t size, uint8_t *len)
{
	*len = (uint8_t)strnlen(text, size - 1);
	memcpy(p, text, *len);
	return *len;
}

static size_t
put_event(const struct ev *e, uint8_t *p)
{
	size_t len = EV_ENTRY_MIN;

	put_u64(p, e->serial);
	put_u64(p + 8, (uint64_t)e->at_us);
	put_u64(p + 16, e->epoch);
	p[24] = e->level;
	len += put_text(p + len, e->rule, sizeof(e->rule), p + 25);
	len += put_text(p + len, e->object, sizeof(e->object), p + 26);
	len += put_text(p + len, e->text, sizeof(e->text), p + 27);
	return len;
}

size_t
ev_encode(const struct ev_msg *m, uint8_t bytes[EV_MSG_MAX])
{
	size_t len = EV_HEAD;

	ASSERT(m->n <= EV_PIECE && (m->n == 0 || m->type == EV_ANSWER));
	memset(bytes, 0, EV_HEAD);
	bytes[0] = (uint8_t)m->type;
	bytes[1] = m->more;
	bytes[2] = m->n;
	put_u32(bytes + 4, m->id);
	put_u64(bytes + 8, m->type == EV_ASK ? m->after : (uint64_t)m->now_us);
	put_u64(bytes + 16, m->type == EV_ASK ? m->age_us : 0);
	for (unsigned i = 0; i < m->n; i++)
		len += put_event(&m->events[i], bytes + len);
	ASSERT(len <= EV_MSG_MAX);
	return len;
}

/* A text without NUL and control characters: it goes to a terminal. */
static const char *
get_text(char *text, size_t size, const uint8_t *p, size_t len)
{
	if (len >= size)
		return "text too long";
	for (size_t i = 0; i < len; i++)
		if (p[i] < ' ' || p[i] == 0x7f)
			return "control character in a text";
	memcpy(text, p, len);
	text[len] = '\0';
	return NULL;
}

/* Returns the bytes used, or 0 and why. */
static size_t
get_event(struct ev *e, const uint8_t *p, size_t left, const char **why)
{
	size_t rule, object, text;

	if (left < EV_ENTRY_MIN ||
	    left < (size_t)EV_ENTRY_MIN + p[25] + p[26] + p[27]) {
		*why = "event cut short";
		return 0;
	}
	rule = p[25];
	object = p[26];
	text = p[27];
	e->serial = get_u64(p);
	e->at_us = (int64_t)get_u64(p + 8);
	e->epoch = get_u64(p + 16);
	e->level = p[24];
	if (e->level != HAD_ERR && e->level != HAD_WARN &&
	    e->level != HAD_INFO) {
		*why = "unknown level";
		return 0;
	}
	if (e->at_us < 0 || e->at_us > INT64_MAX / 4) {
		*why = "time out of range";
		return 0;
	}
	p += EV_ENTRY_MIN;
	*why = get_text(e->rule, sizeof(e->rule), p, rule);
	if (*why == NULL)
		*why = get_text(e->object, sizeof(e->object), p + rule, object);
	if (*why == NULL)
		*why =
		    get_text(e->text, sizeof(e->text), p + rule + object, text);
	return *why == NULL ? EV_ENTRY_MIN + rule + object + text : 0;
}

static const char *
get_events(struct ev_msg *m, const uint8_t *p, size_t left)
{
	const char *why = NULL;

	for (unsigned i = 0; i < m->n; i++) {
		size_t used = get_event(&m->events[i], p, left, &why);

		if (used == 0)
			return why;
		if (i > 0 && m->events[i].serial <= m->events[i - 1].serial)
			return "events out of order";
		p += used;
		left -= used;
	}
	return left == 0 ? NULL : "trailing bytes";
}

int
ev_decode(struct ev_msg *m, const uint8_t *bytes, size_t len, const char **why)
{
	memset(m, 0, sizeof(*m));
	*why = NULL;
	if (len < EV_HEAD) {
		*why = "too short";
		return -1;
	}
	m->type = bytes[0];
	m->more = bytes[1] == 1;
	m->n = bytes[2];
	m->id = get_u32(bytes + 4);
	if (m->type != EV_ASK && m->type != EV_ANSWER)
		*why = "unknown type";
	else if (bytes[1] > 1 || bytes[3] != 0 ||
		 (m->type == EV_ANSWER && get_u64(bytes + 16) != 0))
		*why = "unknown flags";
	else if (m->n > EV_PIECE || (m->n > 0 && m->type == EV_ASK) ||
		 (m->more && m->n == 0))
		*why = "wrong count";
	if (*why != NULL)
		return -1;
	m->after = get_u64(bytes + 8);
	m->now_us = (int64_t)get_u64(bytes + 8);
	m->age_us = get_u64(bytes + 16);
	if (m->type == EV_ANSWER &&
	    (m->now_us < 0 || m->now_us > INT64_MAX / 4))
		*why = "time out of range";
	else
		*why = get_events(m, bytes + EV_HEAD, len - EV_HEAD);
	return *why == NULL ? 0 : -1;
}

void
ev_clock_add(
    struct ev_clock *c, int64_t asked_us, int64_t peer_us, int64_t now_us)
{
	int64_t low = peer_us - now_us, high = peer_us - asked_us;

	ASSERT(asked_us <= now_us);
	/* One of them was set, or stood still: the newer word counts. */
	if (!c->known || low > c->high_us || high < c->low_us) {
		*c = (struct ev_clock){true, low, high};
		return;
	}
	if (low > c->low_us)
		c->low_us = low;
	if (high < c->high_us)
		c->high_us = high;
}

int64_t
ev_clock_own(const struct ev_clock *c, int64_t peer_us, int64_t *error_us)
{
	ASSERT(c->known && c->low_us <= c->high_us);
	*error_us = (c->high_us - c->low_us + 1) / 2;
	return peer_us - (c->low_us + (c->high_us - c->low_us) / 2);
}

bool
ev_before(const struct ev *a, const struct ev *b, int64_t error_us)
{
	int64_t d = a->at_us - b->at_us;

	if (a->epoch != b->epoch && d <= error_us && d >= -error_us)
		return a->epoch < b->epoch;
	return d <= 0;
}
