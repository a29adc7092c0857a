/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words about shared addresses.  See share_wire.h.
 */
#include <string.h>

#include "share_wire.h"

static void
put(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t
get(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

void
share_wire_put(uint8_t buf[SHARE_WIRE_LEN], const struct share_word *w)
{
	ASSERT(w->seq != 0);
	memset(buf, 0, SHARE_WIRE_LEN);
	put(buf, w->seq, 4);
	put(buf + 4, w->ask, 4);
	put(buf + 8, w->answer, 4);
	buf[12] = w->good;
	buf[13] = w->again ? SHARE_WIRE_AGAIN : 0;
	put(buf + 16, w->bound, 8);
	put(buf + 24, w->want, 8);
}

int
share_wire_get(
    struct share_word *w, const uint8_t *buf, size_t len, const char **why)
{
	memset(w, 0, sizeof(*w));
	if (len != SHARE_WIRE_LEN) {
		*why = "word on shares of another length";
		return -1;
	}
	if ((buf[13] & ~SHARE_WIRE_AGAIN) != 0 || buf[14] != 0 ||
	    buf[15] != 0) {
		*why = "word on shares with unknown fields";
		return -1;
	}
	w->seq = (uint32_t)get(buf, 4);
	if (w->seq == 0) {
		*why = "word on shares without a number";
		return -1;
	}
	w->ask = (uint32_t)get(buf + 4, 4);
	w->answer = (uint32_t)get(buf + 8, 4);
	w->good = buf[12];
	w->again = (buf[13] & SHARE_WIRE_AGAIN) != 0;
	w->bound = get(buf + 16, 8);
	w->want = get(buf + 24, 8);
	return 0;
}
