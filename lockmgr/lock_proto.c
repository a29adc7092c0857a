/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The codec between lock clients and the daemon; bytes in, structs out.
 */
#include "lock_proto.h"

#include <string.h>
#include <strings.h>

#include "wire.h"

enum { MAGIC0 = 'h', MAGIC1 = 'L' };

static const char *const mode_names[LKM_COUNT] = {
    "NL", "CR", "CW", "PR", "PW", "EX"};

/* Row: held, bit: wanted beside it. */
static const uint8_t compat[LKM_COUNT] = {
    0x3f, /* NL: everything */
    0x1f, /* CR: all but EX */
    0x07, /* CW: NL CR CW */
    0x0b, /* PR: NL CR PR */
    0x03, /* PW: NL CR */
    0x01, /* EX: NL */
};

const char *
lkm_name(unsigned mode)
{
	return mode < LKM_COUNT ? mode_names[mode] : "-";
}

bool
lkm_parse(const char *s, uint8_t *mode)
{
	for (uint8_t i = 0; i < LKM_COUNT; i++) {
		if (strcasecmp(s, mode_names[i]) == 0) {
			*mode = i;
			return true;
		}
	}
	return false;
}

bool
lkm_compat(unsigned held, unsigned want)
{
	ASSERT(want < LKM_COUNT);
	if (held == LKM_IV)
		return true;
	ASSERT(held < LKM_COUNT);
	return (compat[held] >> want & 1) != 0;
}

void
lkp_put_hdr(uint8_t *p, unsigned count)
{
	ASSERT(count >= 1 && count <= LKP_BATCH_MAX);
	p[0] = MAGIC0;
	p[1] = MAGIC1;
	p[2] = LKP_VERSION;
	p[3] = 0;
	put_u16(p + 4, (uint16_t)count);
	put_u16(p + 6, 0);
}

int
lkp_get_hdr(const uint8_t *p, size_t len, size_t rec, const char **why)
{
	unsigned count;

	ASSERT(rec == LKP_REQ_LEN || rec == LKP_ANS_LEN);
	*why = NULL;
	if (len < LKP_HDR_LEN)
		*why = "shorter than a header";
	else if (p[0] != MAGIC0 || p[1] != MAGIC1)
		*why = "no message of the lock protocol";
	else if (p[2] != LKP_VERSION)
		*why = "another version of the lock protocol";
	else if (p[3] != 0 || get_u16(p + 6) != 0)
		*why = "reserved bytes of the header are not zero";
	if (*why != NULL)
		return -1;
	count = get_u16(p + 4);
	if (count == 0)
		*why = "a message without records";
	else if (count > LKP_BATCH_MAX)
		*why = "too many records";
	else if (len != LKP_HDR_LEN + count * rec)
		*why = "length does not fit the number of records";
	return *why == NULL ? (int)count : -1;
}

void
lkp_put_req(uint8_t *p, const struct lkp_req *r)
{
	ASSERT(r->name_len <= LKP_NAME_MAX);
	p[0] = r->op;
	p[1] = r->mode;
	p[2] = r->space;
	p[3] = r->name_len;
	put_u32(p + 4, r->flags);
	put_u64(p + 8, r->cookie);
	put_u64(p + 16, r->lock);
	put_u32(p + 24, r->timeout_ms);
	put_u32(p + 28, 0);
	memset(p + 32, 0, LKP_NAME_MAX);
	memcpy(p + 32, r->name, r->name_len);
	memcpy(p + 96, r->value, LKP_VALUE_LEN);
}

int
lkp_get_req(struct lkp_req *r, const uint8_t *p, const char **why)
{
	*why = NULL;
	memset(r, 0, sizeof(*r));
	if (p[0] < LKP_OPEN || p[0] > LKP_QUERY)
		*why = "unknown operation";
	else if (p[3] > LKP_NAME_MAX)
		*why = "name is too long";
	else if (get_u32(p + 28) != 0)
		*why = "reserved bytes of a request are not zero";
	if (*why != NULL)
		return -1;
	r->op = p[0];
	r->mode = p[1];
	r->space = p[2];
	r->name_len = p[3];
	r->flags = get_u32(p + 4);
	r->cookie = get_u64(p + 8);
	r->lock = get_u64(p + 16);
	r->timeout_ms = get_u32(p + 24);
	memcpy(r->name, p + 32, r->name_len);
	for (size_t i = r->name_len; i < LKP_NAME_MAX; i++) {
		if (p[32 + i] != 0) {
			*why = "bytes behind the name are not zero";
			return -1;
		}
	}
	memcpy(r->value, p + 96, LKP_VALUE_LEN);
	return 0;
}

void
lkp_put_ans(uint8_t *p, const struct lkp_ans *a)
{
	p[0] = a->type;
	p[1] = a->mode;
	p[2] = a->rqmode;
	p[3] = a->space;
	put_u32(p + 4, (uint32_t)a->status);
	put_u64(p + 8, a->cookie);
	put_u64(p + 16, a->lock);
	put_u64(p + 24, a->token);
	put_u32(p + 32, a->arg);
	put_u32(p + 36, a->pid);
	put_u32(p + 40, a->ms);
	p[44] = a->node;
	p[45] = a->flags;
	put_u16(p + 46, 0);
	memcpy(p + 48, a->value, LKP_VALUE_LEN);
}

int
lkp_get_ans(struct lkp_ans *a, const uint8_t *p, const char **why)
{
	*why = NULL;
	memset(a, 0, sizeof(*a));
	if (p[0] < LKP_OPENED || p[0] > LKP_ERROR)
		*why = "unknown type of answer";
	else if (get_u16(p + 46) != 0)
		*why = "reserved bytes of an answer are not zero";
	if (*why != NULL)
		return -1;
	a->type = p[0];
	a->mode = p[1];
	a->rqmode = p[2];
	a->space = p[3];
	a->status = (int32_t)get_u32(p + 4);
	a->cookie = get_u64(p + 8);
	a->lock = get_u64(p + 16);
	a->token = get_u64(p + 24);
	a->arg = get_u32(p + 32);
	a->pid = get_u32(p + 36);
	a->ms = get_u32(p + 40);
	a->node = p[44];
	a->flags = p[45];
	memcpy(a->value, p + 48, LKP_VALUE_LEN);
	return 0;
}
