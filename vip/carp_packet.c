/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Advertisements of CARP.
 *
 *	 0       1       2       3       4       5       6       7
 *	+-------+-------+-------+-------+-------+-------+-------+-------+
 *	|ver|typ| VHID  |advskew| 7     |demote |advbase|   checksum    |
 *	| counter, 8 bytes, big-endian                                  |
 *	| HMAC-SHA1, 20 bytes ...
 *
 * The HMAC covers version, type, vhid, the addresses in ascending order, IPv4
 * first, and the counter; not the header, nor the times.
 */
#include <string.h>

#include "carp_packet.h"

enum { VERSION = 2, ADVERTISEMENT = 1, COUNTER = 8, DIGEST = 16 };

const char *
carp_reject_name(enum carp_reject r)
{
#define X(id, name) name,
	static const char *const names[] = {"ok", CARP_REJECTS(X)};
#undef X

	ASSERT((unsigned)r < NITEMS(names));
	return names[r];
}

void
carp_mac(uint8_t mac[6], enum carp_mac_form form, uint8_t vhid)
{
	ASSERT(form == CARP_MAC_OPENBSD || form == CARP_MAC_UCARP);
	memset(mac, 0, 6);
	mac[2] = 0x5e;
	mac[4] = form == CARP_MAC_OPENBSD ? 1 : 0;
	mac[5] = vhid;
}

void
carp_packet_init(struct carp_packet *p, uint8_t family, uint8_t vhid)
{
	ASSERT(vhid != 0);
	memset(p, 0, sizeof(*p));
	adv_frame_init(&p->f, family);
	if (family == 4) {
		p->f.tos = CARP_TOS;
		p->f.df = true;
	}
	p->vhid = vhid;
}

bool
carp_is_message(const uint8_t *msg, size_t len)
{
	return len == CARP_LEN && msg[0] == (VERSION << 4 | ADVERTISEMENT) &&
	       msg[3] == CARP_AUTHLEN;
}

bool
carp_is_bow_out(const struct carp_packet *p)
{
	return p->advbase == 255 && p->advskew == 255;
}

int64_t
carp_interval_us(uint8_t advbase, uint8_t advskew)
{
	return advbase * 1000000LL + advskew * 1000000LL / 256;
}

static bool
is_link_local(const uint8_t *a, size_t len)
{
	return len == 16 && a[0] == 0xfe && (a[1] & 0xc0) == 0x80;
}

/*
 * Feeds n addresses of len bytes in ascending order, equal ones once, to all
 * and those that are not link-local to global, too.  Their number is small and
 * the key made once, so each time the next greater one is looked for.
 */
static void
feed_addresses(struct carp_key *k, const uint8_t *addrs, size_t n, size_t len)
{
	const uint8_t *last = NULL, *next, *a;
	size_t i;

	for (;;) {
		next = NULL;
		for (i = 0; i < n; i++) {
			a = addrs + i * len;
			if (last != NULL && memcmp(a, last, len) <= 0)
				continue;
			if (next == NULL || memcmp(a, next, len) < 0)
				next = a;
		}
		if (next == NULL)
			return;
		sha1_hmac_update(&k->all, next, len);
		if (!is_link_local(next, len))
			sha1_hmac_update(&k->global, next, len);
		last = next;
	}
}

void
carp_key_init(struct carp_key *k, const char *password, uint8_t vhid,
    const uint8_t *ip4, size_t n4, const uint8_t *ip6, size_t n6)
{
	const uint8_t head[3] = {VERSION, ADVERTISEMENT, vhid};
	uint8_t key[CARP_KEY_LEN] = {0};
	size_t len = strlen(password);

	ASSERT(len <= CARP_KEY_LEN);
	memcpy(key, password, len);
	sha1_hmac_init(&k->all, key, sizeof(key));
	sha1_hmac_update(&k->all, head, sizeof(head));
	k->global = k->all;
	feed_addresses(k, ip4, n4, 4);
	feed_addresses(k, ip6, n6, 16);
}

static void
put_counter(uint8_t *buf, uint64_t counter)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		buf[i] = (uint8_t)(counter >> (56 - 8 * i));
}

static void
digest_of(
    uint8_t digest[SHA1_LEN], uint64_t counter, const struct sha1_hmac *key)
{
	struct sha1_hmac m = *key;
	uint8_t bytes[8];

	put_counter(bytes, counter);
	sha1_hmac_update(&m, bytes, sizeof(bytes));
	sha1_hmac_final(&m, digest);
}

void
carp_sign(struct carp_packet *p, const struct carp_key *k)
{
	digest_of(p->digest, p->counter, &k->all);
}

size_t
carp_encode_message(uint8_t *buf, size_t cap, const struct carp_packet *p)
{
	uint16_t sum;

	ASSERT(cap >= CARP_LEN);
	ASSERT(p->vhid != 0);
	ASSERT(p->advbase != 0 || p->advskew != 0);
	buf[0] = VERSION << 4 | ADVERTISEMENT;
	buf[1] = p->vhid;
	buf[2] = p->advskew;
	buf[3] = CARP_AUTHLEN;
	buf[4] = p->demote;
	buf[5] = p->advbase;
	buf[6] = 0;
	buf[7] = 0;
	put_counter(buf + COUNTER, p->counter);
	memcpy(buf + DIGEST, p->digest, SHA1_LEN);
	sum = adv_sum_end(adv_sum(0, buf, CARP_LEN));
	buf[6] = (uint8_t)(sum >> 8);
	buf[7] = (uint8_t)sum;
	return CARP_LEN;
}

size_t
carp_encode_ip(uint8_t *buf, size_t cap, const struct carp_packet *p)
{
	size_t head = adv_ip_len(&p->f);

	ASSERT(cap >= head + CARP_LEN);
	adv_put_ip(buf, &p->f, CARP_LEN);
	return head + carp_encode_message(buf + head, cap - head, p);
}

size_t
carp_encode_frame(uint8_t *buf, size_t cap, const struct carp_packet *p)
{
	size_t head = ADV_ETH_LEN + adv_ip_len(&p->f);

	ASSERT(cap >= head + CARP_LEN);
	adv_put_eth(buf, &p->f, CARP_LEN);
	return head + carp_encode_message(buf + head, cap - head, p);
}

enum carp_reject
carp_decode_message(struct carp_packet *p, const uint8_t *msg, size_t len)
{
	unsigned i;

	if (len < COUNTER)
		return CARP_R_SHORT;
	p->vhid = msg[1];
	p->advskew = msg[2];
	p->demote = msg[4];
	p->advbase = msg[5];
	if (msg[0] >> 4 != VERSION)
		return CARP_R_VERSION;
	if ((msg[0] & 15) != ADVERTISEMENT)
		return CARP_R_TYPE;
	if (len != CARP_LEN)
		return CARP_R_LENGTH;
	if (msg[3] != CARP_AUTHLEN)
		return CARP_R_AUTHLEN;
	if (adv_sum_end(adv_sum(0, msg, CARP_LEN)) != 0)
		return CARP_R_CHECKSUM;
	if (p->vhid == 0)
		return CARP_R_VHID;
	if (p->advbase == 0 && p->advskew == 0)
		return CARP_R_INTERVAL;
	for (i = 0; i < 8; i++)
		p->counter = p->counter << 8 | msg[COUNTER + i];
	memcpy(p->digest, msg + DIGEST, SHA1_LEN);
	return CARP_OK;
}

/* The reasons of the frame are the first ones of CARP's, in the same order. */
static enum carp_reject
from_frame(enum adv_reject r)
{
	_Static_assert(CARP_R_DESTINATION == (int)ADV_R_DESTINATION &&
			   CARP_R_VERSION == (int)ADV_REJECTS_N,
	    "the reasons of the frame come first");
	return (enum carp_reject)r;
}

enum carp_reject
carp_decode_ip(struct carp_packet *p, const uint8_t *ip, size_t len)
{
	const uint8_t *msg;
	enum adv_reject r;
	size_t n;

	memset(p, 0, sizeof(*p));
	r = adv_get_ip(&p->f, ip, len, &msg, &n);
	return r != ADV_OK ? from_frame(r) : carp_decode_message(p, msg, n);
}

enum carp_reject
carp_decode_frame(struct carp_packet *p, const uint8_t *frame, size_t len)
{
	const uint8_t *msg;
	enum adv_reject r;
	size_t n;

	memset(p, 0, sizeof(*p));
	r = adv_get_eth(&p->f, frame, len, &msg, &n);
	return r != ADV_OK ? from_frame(r) : carp_decode_message(p, msg, n);
}

static bool
signed_with(const struct carp_packet *p, const struct sha1_hmac *key)
{
	uint8_t want[SHA1_LEN], diff = 0;
	unsigned i;

	digest_of(want, p->counter, key);
	for (i = 0; i < SHA1_LEN; i++)
		diff |= want[i] ^ p->digest[i];
	return diff == 0;
}

enum carp_reject
carp_check(const struct carp_packet *p, uint8_t vhid, const struct carp_key *k)
{
	if (p->vhid != vhid)
		return CARP_R_VHID;
	if (!signed_with(p, &k->all) && !signed_with(p, &k->global))
		return CARP_R_DIGEST;
	return CARP_OK;
}
