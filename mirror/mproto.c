/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages between the copies of a volume; see mproto.h. */
#include "mproto.h"

#include <string.h>

#include "wire.h"

const char *
mp_name(enum mp_type t)
{
#define X(sym, name) [MP_##sym] = name,
	static const char *const names[MP_N] = {[MP_NONE] = "none", MP_LIST(X)};
#undef X
	ASSERT(t < MP_N);
	return names[t];
}

/* Which fields a type has, and how much data. */
enum {
	RANGE_IO = 1, /* off, len: at most HAD_IO_MAX */
	RANGE_TRIM = 2, /* off, len: at most MP_TRIM_MAX */
	DATA_LEN = 4, /* data: exactly len */
	FUA = 8,
	MP_TRIM_MAX = 16 << 20,
};
struct shape {
	uint8_t what;
	uint32_t min, max; /* bytes of data, without DATA_LEN */
};

static const struct shape shapes[MP_N] = {
    [MP_HELLO] = {0, MP_IDENT_LEN, MP_IDENT_LEN},
    [MP_VERDICT] = {0, 0, 0},
    [MP_BITS] = {0, 0, MP_RUNS_MAX *MP_RUN_LEN},
    [MP_BITS_ACK] = {0, 0, 0},
    [MP_BEGIN] = {0, MP_BEGIN_LEN, MP_BEGIN_LEN},
    [MP_READY] = {0, 0, 0},
    [MP_WRITE] = {RANGE_IO | DATA_LEN | FUA, 0, 0},
    [MP_TRIM] = {RANGE_TRIM | FUA, 0, 0},
    [MP_ZERO] = {RANGE_TRIM | FUA, 0, 0},
    [MP_FLUSH] = {0, 0, 0},
    [MP_READ] = {RANGE_IO, 0, 0},
    [MP_WARM] = {RANGE_TRIM, 0, 0},
    [MP_PIECE] = {RANGE_IO | DATA_LEN, 0, 0},
    [MP_PIECE_ZERO] = {RANGE_IO, 0, 0},
    [MP_ACK] = {0, 0, 0},
    [MP_DATA] = {RANGE_IO | DATA_LEN, 0, 0},
    [MP_FIN] = {0, 8 * MMETA_HISTORY, 8 * MMETA_HISTORY},
    [MP_FIN_ACK] = {0, 0, 0},
    [MP_ALONE] = {0, 0, 0},
    [MP_ROLE] = {0, 0, 0},
    [MP_REFUSE] = {0, 0, MP_TEXT_MAX},
    [MP_INVALIDATE] = {0, 0, 0},
    [MP_INVALIDATED] = {0, 0, MP_TEXT_MAX},
};

void
mp_put(uint8_t hdr[MP_HDR_LEN], const struct mp_msg *m)
{
	ASSERT(m->type > MP_NONE && m->type < MP_N);
	hdr[0] = (uint8_t)m->type;
	hdr[1] = m->fua ? MP_F_FUA : 0;
	put_u16(hdr + 2, 0);
	put_u32(hdr + 4, m->mine);
	put_u32(hdr + 8, m->yours);
	put_u32(hdr + 12, m->len);
	put_u64(hdr + 16, m->id);
	put_u64(hdr + 24, m->off);
	put_u64(hdr + 32, m->arg);
}

/* Why the range cannot be one that a sound sender cut. */
static const char *
bad_range(const struct mp_msg *m, uint32_t max)
{
	if (m->len == 0 || m->len % MMETA_SECTOR != 0 ||
	    m->off % MMETA_SECTOR != 0)
		return "range is empty or not aligned";
	if (m->len > max)
		return "range is too long";
	if (m->off > MMETA_DATA_MAX || m->off + m->len > MMETA_DATA_MAX)
		return "range is beyond any volume";
	if (m->off / max != (m->off + m->len - 1) / max)
		return "range crosses a boundary of pieces";
	return NULL;
}

int
mp_get(struct mp_msg *m, const uint8_t *b, size_t len, const char **why)
{
	const struct shape *s;

	memset(m, 0, sizeof(*m));
	*why = NULL;
	if (len < MP_HDR_LEN)
		*why = "shorter than a header";
	else if (b[0] == MP_NONE || b[0] >= MP_N)
		*why = "unknown type";
	else if ((b[1] & ~MP_F_FUA) != 0 || b[2] != 0 || b[3] != 0)
		*why = "unknown flags";
	if (*why != NULL)
		return -1;
	m->type = b[0];
	m->fua = b[1] & MP_F_FUA;
	m->mine = get_u32(b + 4);
	m->yours = get_u32(b + 8);
	m->len = get_u32(b + 12);
	m->id = get_u64(b + 16);
	m->off = get_u64(b + 24);
	m->arg = get_u64(b + 32);
	m->data_len = len - MP_HDR_LEN;
	m->data = m->data_len > 0 ? b + MP_HDR_LEN : NULL;
	s = &shapes[m->type];
	if (m->fua && !(s->what & FUA))
		*why = "flag does not belong to the type";
	else if (s->what & RANGE_IO)
		*why = bad_range(m, HAD_IO_MAX);
	else if (s->what & RANGE_TRIM)
		*why = bad_range(m, MP_TRIM_MAX);
	else if (m->len != 0 || m->off != 0)
		*why = "range does not belong to the type";
	if (*why == NULL &&
	    (s->what & DATA_LEN ? m->data_len != m->len
				: m->data_len < s->min || m->data_len > s->max))
		*why = "wrong length of the data";
	if (*why == NULL && m->type == MP_BITS && m->data_len % MP_RUN_LEN != 0)
		*why = "wrong length of the data";
	return *why == NULL ? 0 : -1;
}

void
mp_put_ident(uint8_t b[MP_IDENT_LEN], const struct mir_ident *i)
{
	memset(b, 0, MP_IDENT_LEN);
	put_u32(b, MP_VERSION);
	b[4] = i->node;
	put_u16(b + 6, i->slots);
	put_u32(b + 8, i->flags);
	put_u64(b + 16, i->cluster);
	memcpy(b + 24, i->volume_id, 16);
	put_u64(b + 40, i->size_bytes);
	put_u64(b + 48, i->room_bytes);
	put_u64(b + 56, i->dirty_bytes);
	put_u64(b + 64, i->current);
	put_u64(b + 72, i->bitmap);
	for (int j = 0; j < MMETA_HISTORY; j++)
		put_u64(b + 80 + 8 * j, i->history[j]);
}

int
mp_get_ident(
    struct mir_ident *i, const uint8_t *b, size_t len, const char **why)
{
	memset(i, 0, sizeof(*i));
	*why = NULL;
	if (len != MP_IDENT_LEN) {
		*why = "wrong length";
		return -1;
	}
	if (get_u32(b) != MP_VERSION) {
		*why = "another version of the protocol";
		return -1;
	}
	i->node = b[4];
	i->slots = get_u16(b + 6);
	i->flags = get_u32(b + 8);
	i->cluster = get_u64(b + 16);
	memcpy(i->volume_id, b + 24, 16);
	i->size_bytes = get_u64(b + 40);
	i->room_bytes = get_u64(b + 48);
	i->dirty_bytes = get_u64(b + 56);
	i->current = get_u64(b + 64);
	i->bitmap = get_u64(b + 72);
	for (int j = 0; j < MMETA_HISTORY; j++)
		i->history[j] = get_u64(b + 80 + 8 * j);
	if (i->node < 1 || i->node > HAD_NODES_MAX)
		*why = "bad node id";
	else if (i->slots == 0)
		*why = "takes no operations";
	else if ((i->flags & ~(uint32_t)MIR_I_ALL) != 0)
		*why = "unknown flags";
	else if (i->size_bytes > MMETA_DATA_MAX ||
		 i->size_bytes % MMETA_PAGE != 0 ||
		 i->room_bytes > MMETA_DATA_MAX)
		*why = "bad size";
	else if (!(i->flags & MIR_I_NODISK) && i->size_bytes == 0)
		*why = "a copy without a size";
	return *why == NULL ? 0 : -1;
}

void
mp_put_begin(uint8_t b[MP_BEGIN_LEN], const struct mp_begin *g)
{
	memcpy(b, g->volume_id, 16);
	put_u64(b + 16, g->size_bytes);
}

void
mp_get_begin(struct mp_begin *g, const uint8_t b[MP_BEGIN_LEN])
{
	memcpy(g->volume_id, b, 16);
	g->size_bytes = get_u64(b + 16);
}

void
mp_put_run(uint8_t b[MP_RUN_LEN], const struct mp_run *r)
{
	put_u32(b, r->chunk);
	put_u32(b + 4, r->n);
}

void
mp_get_run(struct mp_run *r, const uint8_t b[MP_RUN_LEN])
{
	r->chunk = get_u32(b);
	r->n = get_u32(b + 4);
}
