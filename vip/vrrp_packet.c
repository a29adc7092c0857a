/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Advertisements of VRRP versions 2 and 3.
 *
 *	 0       1       2       3       4       5       6       7
 *	+-------+-------+-------+-------+-------+-------+-------+-------+
 *	|ver|typ| VRID  | prio  | count |auth ty| s     |   checksum    | v2
 *	|ver|typ| VRID  | prio  | count |  0 | cs       |   checksum    | v3
 *	+-------+-------+-------+-------+-------+-------+-------+-------+
 *	| addresses, 4 or 16 bytes each ...   (v2: 8 bytes of password) |
 *	| perhaps a trailer of 28 bytes, which no length field counts   |
 */
#include <string.h>

#include "carp_packet.h"
#include "vrrp_packet.h"

enum { ADVERTISEMENT = 1, INTERVAL3_MAX = 0xfff };

static const uint8_t link_local[2] = {0xfe, 0x80};

const char *
vrrp_reject_name(enum vrrp_reject r)
{
#define X(id, name) name,
	static const char *const names[] = {"ok", VRRP_REJECTS(X)};
#undef X

	ASSERT((unsigned)r < NITEMS(names));
	return names[r];
}

void
vrrp_mac(uint8_t mac[6], uint8_t family, uint8_t vrid)
{
	ASSERT(family == 4 || family == 6);
	memset(mac, 0, 6);
	mac[2] = 0x5e;
	mac[4] = family == 4 ? 1 : 2;
	mac[5] = vrid;
}

void
vrrp_packet_init(
    struct vrrp_packet *p, uint8_t version, uint8_t family, uint8_t vrid)
{
	ASSERT(version == 3 || (version == 2 && family == 4));
	ASSERT(vrid != 0);
	memset(p, 0, sizeof(*p));
	adv_frame_init(&p->f, family);
	p->f.tos = VRRP_TOS;
	p->version = version;
	p->vrid = vrid;
	p->sum = version == 2 ? VRRP_SUM_MESSAGE : VRRP_SUM_PSEUDO;
}

bool
vrrp_interval_ok(uint8_t version, uint32_t ms)
{
	if (version == 2)
		return ms % 1000 == 0 && ms / 1000 >= 1 && ms / 1000 <= 255;
	return ms % 10 == 0 && ms / 10 >= 1 && ms / 10 <= INTERVAL3_MAX;
}

static size_t
address_len(const struct adv_frame *f)
{
	return f->family == 4 ? 4 : 16;
}

size_t
vrrp_message_len(const struct vrrp_packet *p)
{
	return VRRP_HEAD_LEN + p->naddr * address_len(&p->f) +
	       (p->version == 2 ? VRRP_AUTH_LEN : 0);
}

static size_t
trailer_len(const struct vrrp_packet *p)
{
	return p->trailer != NULL ? VRRP_TRAILER_LEN : 0;
}

/*
 * Of IPv4 it covers the message only; of IPv6 all that the packet carries, as
 * a raw socket of the kernel makes it.
 */
static uint16_t
checksum(const struct vrrp_packet *p, enum vrrp_sum form, const uint8_t *msg)
{
	size_t len = vrrp_message_len(p);
	uint32_t sum = 0;

	if (p->f.family == 6)
		len += trailer_len(p);
	if (form == VRRP_SUM_PSEUDO)
		sum = adv_sum_pseudo(0, &p->f, len);
	return adv_sum_end(adv_sum(sum, msg, len));
}

/* May this version and family have this checksum form? */
static bool
form_ok(const struct vrrp_packet *p, enum vrrp_sum form)
{
	if (p->version == 2)
		return form == VRRP_SUM_MESSAGE;
	return p->f.family == 4 || form == VRRP_SUM_PSEUDO;
}

size_t
vrrp_encode_message(uint8_t *buf, size_t cap, const struct vrrp_packet *p)
{
	size_t len = vrrp_message_len(p);
	size_t n = p->naddr * address_len(&p->f);
	uint16_t sum;

	ASSERT(p->version == 3 || (p->version == 2 && p->f.family == 4));
	ASSERT(p->vrid != 0 && p->naddr != 0);
	ASSERT(vrrp_interval_ok(p->version, p->interval_ms));
	ASSERT(form_ok(p, p->sum));
	ASSERT(len + trailer_len(p) <= cap);
	buf[0] = (uint8_t)(p->version << 4 | ADVERTISEMENT);
	buf[1] = p->vrid;
	buf[2] = p->priority;
	buf[3] = p->naddr;
	if (p->version == 2) {
		ASSERT(p->auth_type <= VRRP_AUTH_PASSWORD);
		buf[4] = p->auth_type;
		buf[5] = (uint8_t)(p->interval_ms / 1000);
		memcpy(buf + VRRP_HEAD_LEN + n, p->auth, VRRP_AUTH_LEN);
	} else {
		buf[4] = (uint8_t)(p->interval_ms / 10 >> 8);
		buf[5] = (uint8_t)(p->interval_ms / 10);
	}
	buf[6] = 0;
	buf[7] = 0;
	memcpy(buf + VRRP_HEAD_LEN, p->addrs, n);
	if (p->trailer != NULL)
		memcpy(buf + len, p->trailer, VRRP_TRAILER_LEN);
	sum = checksum(p, p->sum, buf);
	buf[6] = (uint8_t)(sum >> 8);
	buf[7] = (uint8_t)sum;
	return len + trailer_len(p);
}

size_t
vrrp_encode_ip(uint8_t *buf, size_t cap, const struct vrrp_packet *p)
{
	size_t len = vrrp_message_len(p) + trailer_len(p);
	size_t head = adv_ip_len(&p->f);

	ASSERT(cap >= head + len);
	adv_put_ip(buf, &p->f, len);
	return head + vrrp_encode_message(buf + head, cap - head, p);
}

size_t
vrrp_encode_frame(uint8_t *buf, size_t cap, const struct vrrp_packet *p)
{
	size_t len = vrrp_message_len(p) + trailer_len(p);
	size_t head = ADV_ETH_LEN + adv_ip_len(&p->f);

	ASSERT(cap >= head + len);
	adv_put_eth(buf, &p->f, len);
	return head + vrrp_encode_message(buf + head, cap - head, p);
}

/* What only version 2 has, and where the interval lies. */
static enum vrrp_reject
get_times(struct vrrp_packet *p, const uint8_t *msg, size_t len)
{
	if (p->version == 2) {
		p->interval_ms = msg[5] * 1000u;
		p->auth_type = msg[4];
		memcpy(p->auth, msg + len - VRRP_AUTH_LEN, VRRP_AUTH_LEN);
	} else {
		p->interval_ms = ((msg[4] & 15u) << 8 | msg[5]) * 10;
	}
	if (p->interval_ms == 0)
		return VRRP_R_INTERVAL;
	if (p->auth_type > VRRP_AUTH_PASSWORD)
		return VRRP_R_AUTH_TYPE;
	return VRRP_OK;
}

enum vrrp_reject
vrrp_decode_message(struct vrrp_packet *p, const uint8_t *msg, size_t len)
{
	size_t whole;

	ASSERT(p->f.family == 4 || p->f.family == 6);
	if (len < VRRP_HEAD_LEN)
		return VRRP_R_SHORT;
	p->version = msg[0] >> 4;
	p->vrid = msg[1];
	p->priority = msg[2];
	p->naddr = msg[3];
	p->addrs = msg + VRRP_HEAD_LEN;
	if (carp_is_message(msg, len))
		return VRRP_R_CARP;
	if (p->version != 3 && (p->version != 2 || p->f.family != 4))
		return VRRP_R_VERSION;
	if ((msg[0] & 15) != ADVERTISEMENT)
		return VRRP_R_TYPE;
	if (p->naddr == 0)
		return VRRP_R_NADDR;
	whole = vrrp_message_len(p);
	p->trailer = len == whole + VRRP_TRAILER_LEN ? msg + whole : NULL;
	if (len != whole + trailer_len(p))
		return VRRP_R_LENGTH;
	p->sum = VRRP_SUM_PSEUDO;
	if (!form_ok(p, p->sum) || checksum(p, p->sum, msg) != 0)
		p->sum = VRRP_SUM_MESSAGE;
	if (!form_ok(p, p->sum) || checksum(p, p->sum, msg) != 0)
		return VRRP_R_CHECKSUM;
	if (p->vrid == 0)
		return VRRP_R_VRID;
	return get_times(p, msg, whole);
}

/* The reasons of the frame are the first ones of VRRP's, in the same order. */
static enum vrrp_reject
from_frame(enum adv_reject r)
{
	_Static_assert(VRRP_R_DESTINATION == (int)ADV_R_DESTINATION &&
			   VRRP_R_CARP == (int)ADV_REJECTS_N,
	    "the reasons of the frame come first");
	return (enum vrrp_reject)r;
}

enum vrrp_reject
vrrp_decode_ip(struct vrrp_packet *p, const uint8_t *ip, size_t len)
{
	const uint8_t *msg;
	enum adv_reject r;
	size_t n;

	memset(p, 0, sizeof(*p));
	r = adv_get_ip(&p->f, ip, len, &msg, &n);
	return r != ADV_OK ? from_frame(r) : vrrp_decode_message(p, msg, n);
}

enum vrrp_reject
vrrp_decode_frame(struct vrrp_packet *p, const uint8_t *frame, size_t len)
{
	const uint8_t *msg;
	enum adv_reject r;
	size_t n;

	memset(p, 0, sizeof(*p));
	r = adv_get_eth(&p->f, frame, len, &msg, &n);
	return r != ADV_OK ? from_frame(r) : vrrp_decode_message(p, msg, n);
}

/* Is each of a's n addresses of len bytes among b's? */
static bool
addresses_in(const uint8_t *a, const uint8_t *b, size_t n, size_t len)
{
	size_t i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; k < n; k++)
			if (memcmp(a + i * len, b + k * len, len) == 0)
				break;
		if (k == n)
			return false;
	}
	return true;
}

/* The same set, in any order; nearly always in the same one. */
static bool
addresses_same(const struct vrrp_packet *p, const struct vrrp_expect *e)
{
	size_t n = p->naddr, len = address_len(&p->f);

	if (p->naddr != e->naddr)
		return false;
	if (memcmp(p->addrs, e->addrs, n * len) == 0)
		return true;
	return addresses_in(p->addrs, e->addrs, n, len) &&
	       addresses_in(e->addrs, p->addrs, n, len);
}

enum vrrp_reject
vrrp_check(const struct vrrp_packet *p, const struct vrrp_expect *e)
{
	if (p->version != e->version || p->f.family != e->family)
		return VRRP_R_VERSION;
	if (p->vrid != e->vrid)
		return VRRP_R_VRID;
	if (p->trailer != NULL && !e->trailer)
		return VRRP_R_LENGTH;
	if (e->own != NULL && memcmp(p->f.src, e->own, address_len(&p->f)) == 0)
		return VRRP_R_OWN;
	if (p->version == 2) {
		if (p->auth_type != e->auth_type)
			return VRRP_R_AUTH_MISMATCH;
		if (p->auth_type == VRRP_AUTH_PASSWORD &&
		    memcmp(p->auth, e->auth, VRRP_AUTH_LEN) != 0)
			return VRRP_R_AUTH;
		if (e->interval_ms != 0 && p->interval_ms != e->interval_ms)
			return VRRP_R_INTERVAL;
	}
	if (e->addrs != NULL && p->priority != VRRP_PRIO_OWNER &&
	    !addresses_same(p, e))
		return VRRP_R_ADDRESSES;
	return VRRP_OK;
}

bool
vrrp_first_is_link_local(const struct vrrp_packet *p)
{
	ASSERT(p->f.family == 6 && p->naddr > 0);
	return p->addrs[0] == link_local[0] &&
	       (p->addrs[1] & 0xc0) == link_local[1];
}
