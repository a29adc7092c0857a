/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frame around an advertisement of VRRP or CARP.
 */
#include <string.h>

#include "adv_frame.h"

enum {
	TYPE_IP4 = 0x0800,
	TYPE_IP6 = 0x86dd,
	IP4_DF = 0x4000,
	IP4_FRAGMENT = 0x3fff, /* more fragments, or not the first */
};

static const uint8_t group4[4] = {224, 0, 0, 18};
static const uint8_t group4_mac[6] = {0x01, 0x00, 0x5e, 0, 0, 0x12};
static const uint8_t group6[16] = {0xff, 2, [15] = 0x12};
static const uint8_t group6_mac[6] = {0x33, 0x33, 0, 0, 0, 0x12};

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void
adv_frame_init(struct adv_frame *f, uint8_t family)
{
	ASSERT(family == 4 || family == 6);
	memset(f, 0, sizeof(*f));
	f->family = family;
	f->ttl = ADV_TTL;
	if (family == 4) {
		memcpy(f->dst, group4, sizeof(group4));
		memcpy(f->dst_mac, group4_mac, 6);
	} else {
		memcpy(f->dst, group6, sizeof(group6));
		memcpy(f->dst_mac, group6_mac, 6);
	}
}

void
adv_frame_unicast(
    struct adv_frame *f, const uint8_t *dst, const uint8_t dst_mac[6])
{
	ASSERT(f->family == 4 || f->family == 6);
	memset(f->dst, 0, sizeof(f->dst));
	memcpy(f->dst, dst, f->family == 4 ? 4 : 16);
	memcpy(f->dst_mac, dst_mac, 6);
}

bool
adv_is_multicast(const struct adv_frame *f)
{
	if (f->family == 4)
		return f->dst[0] >> 4 == 0xe;
	return f->dst[0] == 0xff;
}

size_t
adv_ip_len(const struct adv_frame *f)
{
	ASSERT(f->family == 4 || f->family == 6);
	return f->family == 4 ? ADV_IP4_LEN : ADV_IP6_LEN;
}

uint32_t
adv_sum(uint32_t sum, const uint8_t *p, size_t len)
{
	size_t i;

	ASSERT(len <= UINT16_MAX); /* the sum cannot overflow */
	for (i = 0; i + 1 < len; i += 2)
		sum += get16(p + i);
	if (len % 2 != 0)
		sum += (uint32_t)p[len - 1] << 8;
	return (sum & 0xffff) + (sum >> 16);
}

uint32_t
adv_sum_pseudo(uint32_t sum, const struct adv_frame *f, size_t len)
{
	size_t n = f->family == 4 ? 4 : 16;

	ASSERT(len <= UINT16_MAX);
	sum = adv_sum(sum, f->src, n);
	sum = adv_sum(sum, f->dst, n);
	return sum + ADV_PROTO + (uint32_t)len;
}

uint16_t
adv_sum_end(uint32_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static enum adv_reject
check_addresses4(const struct adv_frame *f)
{
	/* 0.x is "this network", from 224 on are groups and broadcast. */
	if (f->src[0] == 0 || f->src[0] >= 224)
		return ADV_R_SOURCE;
	if (memcmp(f->dst, group4, sizeof(group4)) == 0)
		return ADV_OK;
	if (f->dst[0] == 0 || f->dst[0] >= 224)
		return ADV_R_DESTINATION;
	return ADV_OK;
}

static enum adv_reject
check_addresses6(const struct adv_frame *f)
{
	static const uint8_t none[16] = {0};
	bool link_local = f->src[0] == 0xfe && (f->src[1] & 0xc0) == 0x80;

	if (f->src[0] == 0xff || memcmp(f->src, none, 16) == 0)
		return ADV_R_SOURCE;
	if (memcmp(f->dst, group6, sizeof(group6)) == 0)
		return link_local ? ADV_OK : ADV_R_SOURCE;
	if (f->dst[0] == 0xff || memcmp(f->dst, none, 16) == 0)
		return ADV_R_DESTINATION;
	return ADV_OK;
}

static enum adv_reject
get_ip4(struct adv_frame *f, const uint8_t *ip, size_t len,
    const uint8_t **payload, size_t *payload_len)
{
	size_t head, total;

	if (len < ADV_IP4_LEN)
		return ADV_R_SHORT;
	head = (size_t)(ip[0] & 15) * 4;
	total = get16(ip + 2);
	if (head < ADV_IP4_LEN || head > len)
		return ADV_R_IP_HEADER;
	if (total < head || total > len)
		return ADV_R_IP_LENGTH;
	if (adv_sum_end(adv_sum(0, ip, head)) != 0)
		return ADV_R_IP_CHECKSUM;
	f->tos = ip[1];
	f->id = get16(ip + 4);
	f->df = (get16(ip + 6) & IP4_DF) != 0;
	f->ttl = ip[8];
	memcpy(f->src, ip + 12, 4);
	memcpy(f->dst, ip + 16, 4);
	if ((get16(ip + 6) & IP4_FRAGMENT) != 0)
		return ADV_R_FRAGMENT;
	if (ip[9] != ADV_PROTO)
		return ADV_R_PROTOCOL;
	if (f->ttl != ADV_TTL)
		return ADV_R_TTL;
	*payload = ip + head;
	*payload_len = total - head;
	return check_addresses4(f);
}

static enum adv_reject
get_ip6(struct adv_frame *f, const uint8_t *ip, size_t len,
    const uint8_t **payload, size_t *payload_len)
{
	if (len < ADV_IP6_LEN)
		return ADV_R_SHORT;
	if (get16(ip + 4) > len - ADV_IP6_LEN)
		return ADV_R_IP_LENGTH;
	f->tos = (uint8_t)(ip[0] << 4 | ip[1] >> 4);
	f->flow = (uint32_t)(ip[1] & 15) << 16 | get16(ip + 2);
	f->ttl = ip[7];
	memcpy(f->src, ip + 8, 16);
	memcpy(f->dst, ip + 24, 16);
	if (ip[6] != ADV_PROTO)
		return ADV_R_PROTOCOL;
	if (f->ttl != ADV_TTL)
		return ADV_R_TTL;
	*payload = ip + ADV_IP6_LEN;
	*payload_len = get16(ip + 4);
	return check_addresses6(f);
}

enum adv_reject
adv_get_ip(struct adv_frame *f, const uint8_t *ip, size_t len,
    const uint8_t **payload, size_t *payload_len)
{
	memset(f, 0, sizeof(*f));
	*payload = NULL;
	*payload_len = 0;
	if (len == 0)
		return ADV_R_SHORT;
	f->family = ip[0] >> 4;
	if (f->family == 4)
		return get_ip4(f, ip, len, payload, payload_len);
	if (f->family == 6)
		return get_ip6(f, ip, len, payload, payload_len);
	return ADV_R_IP_VERSION;
}

enum adv_reject
adv_get_eth(struct adv_frame *f, const uint8_t *frame, size_t len,
    const uint8_t **payload, size_t *payload_len)
{
	enum adv_reject r = ADV_R_SHORT;
	unsigned type;

	memset(f, 0, sizeof(*f));
	*payload = NULL;
	*payload_len = 0;
	if (len < ADV_ETH_LEN)
		return r;
	type = get16(frame + 12);
	if (type == TYPE_IP4 || type == TYPE_IP6)
		r = adv_get_ip(f, frame + ADV_ETH_LEN, len - ADV_ETH_LEN,
		    payload, payload_len);
	memcpy(f->dst_mac, frame, 6);
	memcpy(f->src_mac, frame + 6, 6);
	if ((type != TYPE_IP4 && type != TYPE_IP6) ||
	    (type == TYPE_IP4 && f->family == 6) ||
	    (type == TYPE_IP6 && f->family == 4))
		return ADV_R_ETHERTYPE;
	return r;
}

static void
put_ip4(uint8_t *ip, const struct adv_frame *f, size_t payload_len)
{
	ip[0] = 4 << 4 | ADV_IP4_LEN / 4;
	ip[1] = f->tos;
	put16(ip + 2, (uint16_t)(ADV_IP4_LEN + payload_len));
	put16(ip + 4, f->id);
	put16(ip + 6, f->df ? IP4_DF : 0);
	ip[8] = f->ttl;
	ip[9] = ADV_PROTO;
	put16(ip + 10, 0);
	memcpy(ip + 12, f->src, 4);
	memcpy(ip + 16, f->dst, 4);
	put16(ip + 10, adv_sum_end(adv_sum(0, ip, ADV_IP4_LEN)));
}

static void
put_ip6(uint8_t *ip, const struct adv_frame *f, size_t payload_len)
{
	ASSERT(f->flow <= 0xfffff);
	ip[0] = (uint8_t)(6 << 4 | f->tos >> 4);
	ip[1] = (uint8_t)((f->tos & 15u) << 4 | f->flow >> 16);
	put16(ip + 2, (uint16_t)f->flow);
	put16(ip + 4, (uint16_t)payload_len);
	ip[6] = ADV_PROTO;
	ip[7] = f->ttl;
	memcpy(ip + 8, f->src, 16);
	memcpy(ip + 24, f->dst, 16);
}

size_t
adv_put_ip(uint8_t *ip, const struct adv_frame *f, size_t payload_len)
{
	ASSERT(payload_len <= UINT16_MAX - ADV_IP6_LEN);
	if (f->family == 4)
		put_ip4(ip, f, payload_len);
	else
		put_ip6(ip, f, payload_len);
	return adv_ip_len(f);
}

size_t
adv_put_eth(uint8_t *frame, const struct adv_frame *f, size_t payload_len)
{
	memcpy(frame, f->dst_mac, 6);
	memcpy(frame + 6, f->src_mac, 6);
	put16(frame + 12, f->family == 4 ? TYPE_IP4 : TYPE_IP6);
	return ADV_ETH_LEN + adv_put_ip(frame + ADV_ETH_LEN, f, payload_len);
}
