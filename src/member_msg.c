/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The messages of membership, little-endian:
 *	 0	type, state, flags (1 solo, 2 paired), zero
 *	 4	seeds (4)
 *	 8	epoch  16 incarnation  24 seen
 *	32	serial (4), seen serial (4)
 *	40	challenge  48 answer  56 spent
 */
#include <string.h>

#include "member_int.h"

enum { FLAG_SOLO = 1, FLAG_PAIRED = 2 };

static void
put_int(uint8_t *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t
get_int(const uint8_t *p, int bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

void
mb_msg_encode(const struct mb_msg *m, uint8_t bytes[MB_MSG_SIZE])
{
	ASSERT(m->incarnation != 0);
	memset(bytes, 0, MB_MSG_SIZE);
	bytes[0] = (uint8_t)m->type;
	bytes[1] = (uint8_t)m->state;
	bytes[2] = (uint8_t)((m->solo ? FLAG_SOLO : 0) |
			     (m->paired ? FLAG_PAIRED : 0));
	put_int(bytes + 4, m->seeds, 4);
	put_int(bytes + 8, m->epoch, 8);
	put_int(bytes + 16, m->incarnation, 8);
	put_int(bytes + 24, m->seen, 8);
	put_int(bytes + 32, m->serial, 4);
	put_int(bytes + 36, m->seen_serial, 4);
	put_int(bytes + 40, m->challenge, 8);
	put_int(bytes + 48, m->answer, 8);
	put_int(bytes + 56, m->spent, 8);
}

int
mb_msg_decode(
    struct mb_msg *m, const uint8_t *bytes, size_t len, const char **why)
{
	memset(m, 0, sizeof(*m));
	*why = NULL;
	if (len != MB_MSG_SIZE)
		*why = "wrong length";
	else if (bytes[0] != MB_MSG_VIEW && bytes[0] != MB_MSG_GOODBYE)
		*why = "unknown type";
	else if (bytes[1] == MB_OFF || bytes[1] >= MB_SELF_N)
		*why = "unknown state";
	else if ((bytes[2] & ~(FLAG_SOLO | FLAG_PAIRED)) != 0)
		*why = "unknown flags";
	else if (bytes[3] != 0)
		*why = "a reserved byte is not zero";
	else if (get_int(bytes + 16, 8) == 0)
		*why = "no incarnation";
	if (*why != NULL)
		return -1;
	m->type = bytes[0];
	m->state = bytes[1];
	m->solo = (bytes[2] & FLAG_SOLO) != 0;
	m->paired = (bytes[2] & FLAG_PAIRED) != 0;
	m->seeds = (uint32_t)get_int(bytes + 4, 4);
	m->epoch = get_int(bytes + 8, 8);
	m->incarnation = get_int(bytes + 16, 8);
	m->seen = get_int(bytes + 24, 8);
	m->serial = (uint32_t)get_int(bytes + 32, 4);
	m->seen_serial = (uint32_t)get_int(bytes + 36, 4);
	m->challenge = get_int(bytes + 40, 8);
	m->answer = get_int(bytes + 48, 8);
	m->spent = get_int(bytes + 56, 8);
	return 0;
}
