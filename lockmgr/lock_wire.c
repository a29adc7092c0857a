/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The codec between lock cores.  One table says which fields a type has.
 */
#include "lock_wire.h"

#include <string.h>

#include "wire.h"

/* In the order in which they travel. */
enum lkw_field {
	F_LOCK = 1u << 0,
	F_OSEQ = 1u << 1,
	F_STATE = 1u << 2,
	F_GR = 1u << 3,
	F_RQ = 1u << 4,
	F_ERR = 1u << 5,
	F_FLAGS = 1u << 6,
	F_PID = 1u << 7,
	F_TOKEN = 1u << 8,
	F_QSEQ = 1u << 9,
	F_BLOCKER = 1u << 10,
	F_VAL = 1u << 11,
	F_WVAL = 1u << 12,
	F_NAME = 1u << 13,
};

static const uint32_t fields[LKW_TYPE_END] = {0,
#define X(name, f) f,
    LKW_TYPES(X)
#undef X
};

static const char *const names[LKW_TYPE_END] = {"NONE",
#define X(name, f) #name,
    LKW_TYPES(X)
#undef X
};

const char *
lkw_type_name(unsigned type)
{
	return type < LKW_TYPE_END ? names[type] : "?";
}

void
lkw_put_hdr(uint8_t *p, const struct lkw_hdr *h)
{
	p[0] = LKW_VERSION;
	p[1] = h->kind;
	put_u16(p + 2, h->count);
	put_u64(p + 4, h->src);
	put_u64(p + 12, h->dst);
	put_u32(p + 20, h->seq);
}

int
lkw_get_hdr(struct lkw_hdr *h, const uint8_t *p, size_t len, const char **why)
{
	*why = NULL;
	if (len < LKW_HDR_LEN)
		*why = "shorter than a header";
	else if (p[0] != LKW_VERSION)
		*why = "another version of the lock protocol";
	else if (p[1] != LKW_SYNC && p[1] != LKW_DATA)
		*why = "unknown kind of frame";
	if (*why != NULL)
		return -1;
	h->kind = p[1];
	h->count = get_u16(p + 2);
	h->src = get_u64(p + 4);
	h->dst = get_u64(p + 12);
	h->seq = get_u32(p + 20);
	if (h->src >> 32 == 0)
		*why = "a view without an instance";
	else if (h->count == 0 || (h->kind == LKW_SYNC && h->count != 1))
		*why = "wrong number of messages";
	return *why == NULL ? 0 : -1;
}

void
lkw_put_sync(uint8_t *p, const struct lkw_sync *s)
{
	put_u16(p, s->members);
	p[2] = s->synced;
	p[3] = 0;
	put_u32(p + 4, s->void_inst);
	put_u64(p + 8, s->epoch);
}

int
lkw_get_sync(struct lkw_sync *s, const uint8_t *p, size_t len, const char **why)
{
	*why = NULL;
	if (len != LKW_SYNC_LEN)
		*why = "wrong length of a SYNC";
	else if (p[2] > 1 || p[3] != 0)
		*why = "reserved bytes of a SYNC are not zero";
	if (*why != NULL)
		return -1;
	s->members = get_u16(p);
	s->synced = p[2] != 0;
	s->void_inst = get_u32(p + 4);
	s->epoch = get_u64(p + 8);
	return 0;
}

static uint8_t *
put_val(uint8_t *p, const struct lkw_val *v)
{
	put_u64(p, v->seq);
	p[8] = v->valid;
	memcpy(p + 9, v->bytes, LKP_VALUE_LEN);
	return p + 9 + LKP_VALUE_LEN;
}

static uint8_t *
put_numbers(uint8_t *p, const struct lkw_msg *m, uint32_t f)
{
	if (f & F_LOCK)
		put_u64(p, m->lock), p += 8;
	if (f & F_OSEQ)
		put_u32(p, m->oseq), p += 4;
	if (f & F_STATE)
		*p++ = m->state;
	if (f & F_GR)
		*p++ = m->gr;
	if (f & F_RQ)
		*p++ = m->rq;
	if (f & F_ERR)
		*p++ = m->err;
	if (f & F_FLAGS)
		put_u32(p, m->flags), p += 4;
	if (f & F_PID)
		put_u32(p, m->pid), p += 4;
	if (f & F_TOKEN)
		put_u64(p, m->token), p += 8;
	if (f & F_QSEQ)
		put_u64(p, m->qseq), p += 8;
	return p;
}

size_t
lkw_put_msg(uint8_t *buf, const struct lkw_msg *m)
{
	uint32_t f;
	uint8_t *p = buf;

	ASSERT(m->type > LKW_NONE && m->type < LKW_TYPE_END);
	f = fields[m->type];
	*p++ = m->type;
	p = put_numbers(p, m, f);
	if (f & F_BLOCKER) {
		p[0] = m->blocker_node;
		p[1] = m->blocker_mode;
		put_u32(p + 2, m->blocker_pid);
		p += 6;
	}
	if (f & F_VAL)
		p = put_val(p, &m->val);
	if (f & F_WVAL) {
		memcpy(p, m->wval, LKP_VALUE_LEN);
		p += LKP_VALUE_LEN;
	}
	if (f & F_NAME) {
		ASSERT(m->name_len >= 1 && m->name_len <= LKP_NAME_MAX);
		put_u64(p, m->space);
		p[8] = m->name_len;
		memcpy(p + 9, m->name, m->name_len);
		p += 9 + m->name_len;
	}
	ASSERT(p - buf <= LKW_MSG_MAX);
	return (size_t)(p - buf);
}

/* Length of the fields but for the bytes of the name. */
static size_t
fixed_len(uint32_t f)
{
	static const uint8_t len[] = {8, 4, 1, 1, 1, 1, 4, 4, 8, 8, 6,
	    9 + LKP_VALUE_LEN, LKP_VALUE_LEN, 9};
	size_t n = 1;

	for (unsigned i = 0; i < NITEMS(len); i++) {
		if (f >> i & 1)
			n += len[i];
	}
	return n;
}

static const uint8_t *
get_numbers(const uint8_t *p, struct lkw_msg *m, uint32_t f)
{
	if (f & F_LOCK)
		m->lock = get_u64(p), p += 8;
	if (f & F_OSEQ)
		m->oseq = get_u32(p), p += 4;
	if (f & F_STATE)
		m->state = *p++;
	if (f & F_GR)
		m->gr = *p++;
	if (f & F_RQ)
		m->rq = *p++;
	if (f & F_ERR)
		m->err = *p++;
	if (f & F_FLAGS)
		m->flags = get_u32(p), p += 4;
	if (f & F_PID)
		m->pid = get_u32(p), p += 4;
	if (f & F_TOKEN)
		m->token = get_u64(p), p += 8;
	if (f & F_QSEQ)
		m->qseq = get_u64(p), p += 8;
	return p;
}

static const char *
check_msg(const struct lkw_msg *m, uint32_t f)
{
	if ((m->gr >= LKM_COUNT && m->gr != LKM_IV) ||
	    (m->rq >= LKM_COUNT && m->rq != LKM_IV))
		return "no such mode";
	if ((m->type == LKW_GRANT && m->gr == LKM_IV) ||
	    ((m->type == LKW_REQUEST || m->type == LKW_CONVERT ||
		 m->type == LKW_BAST) &&
		m->rq == LKM_IV))
		return "no mode";
	if ((m->flags & ~(uint32_t)LKW_F_ALL) != 0)
		return "unknown flags";
	if ((f & F_NAME) && (m->name_len < 1 || m->name_len > LKP_NAME_MAX))
		return "bad length of a name";
	return NULL;
}

int
lkw_get_msg(struct lkw_msg *m, const uint8_t *buf, size_t len, const char **why)
{
	const uint8_t *p = buf;
	uint32_t f;

	memset(m, 0, sizeof(*m));
	*why = "cut short";
	if (len < 1)
		return -1;
	m->type = *p++;
	if (m->type == LKW_NONE || m->type >= LKW_TYPE_END) {
		*why = "unknown type";
		return -1;
	}
	f = fields[m->type];
	if (len < fixed_len(f))
		return -1;
	p = get_numbers(p, m, f);
	if (f & F_BLOCKER) {
		m->blocker_node = p[0];
		m->blocker_mode = p[1];
		m->blocker_pid = get_u32(p + 2);
		p += 6;
	}
	if (f & F_VAL) {
		m->val.seq = get_u64(p);
		m->val.valid = p[8] != 0;
		memcpy(m->val.bytes, p + 9, LKP_VALUE_LEN);
		p += 9 + LKP_VALUE_LEN;
	}
	if (f & F_WVAL) {
		memcpy(m->wval, p, LKP_VALUE_LEN);
		p += LKP_VALUE_LEN;
	}
	if (f & F_NAME) {
		m->space = get_u64(p);
		m->name_len = p[8];
		m->name = p + 9;
		p += 9;
		if (m->name_len <= LKP_NAME_MAX &&
		    len < fixed_len(f) + m->name_len)
			return -1;
		p += m->name_len;
	}
	*why = check_msg(m, f);
	return *why == NULL ? (int)(p - buf) : -1;
}
