/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gratuitous ARP, unsolicited neighbour advertisements, and claims by others.
 */
#include <string.h>

#include "vip_packet.h"

enum {
	ETH_LEN = 14,
	TYPE_ARP = 0x0806,
	TYPE_IP6 = 0x86dd,
	IP6_LEN = 40,
	ICMP6 = 58,
	NA_TYPE = 136,
	NA_MIN = 24, /* without options */
	OPT_TLLA = 2, /* target link-layer address */
};

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
vip_arp_encode(uint8_t frame[VIP_ARP_LEN], enum vip_arp_form form,
    const uint8_t mac[6], const uint8_t ip[4])
{
	uint8_t *p = frame + ETH_LEN;

	ASSERT(form == VIP_ARP_REQUEST || form == VIP_ARP_REPLY);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, mac, 6);
	put16(frame + 12, TYPE_ARP);
	put16(p, 1); /* Ethernet */
	put16(p + 2, 0x0800);
	p[4] = 6;
	p[5] = 4;
	put16(p + 6, (uint16_t)form);
	memcpy(p + 8, mac, 6);
	memcpy(p + 14, ip, 4);
	if (form == VIP_ARP_REQUEST)
		memset(p + 18, 0xff, 6);
	else
		memcpy(p + 18, mac, 6);
	memcpy(p + 24, ip, 4);
}

/*
 * The Internet checksum over the IPv6 pseudo header (RFC 8200, section 8.1)
 * and len bytes of ICMPv6; 0 over a message that carries a right one.
 */
static uint16_t
icmp6_sum(const uint8_t *ip6, const uint8_t *msg, size_t len)
{
	uint32_t sum = (uint32_t)len + ICMP6;
	size_t i;

	ASSERT(len < 65536);
	for (i = 8; i < IP6_LEN; i += 2)
		sum += get16(ip6 + i);
	for (i = 0; i + 1 < len; i += 2)
		sum += get16(msg + i);
	if (len % 2 != 0)
		sum += (uint32_t)msg[len - 1] << 8;
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void
vip_na_encode(uint8_t frame[VIP_NA_LEN], const uint8_t mac[6],
    const uint8_t ip[16], bool router)
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	uint8_t *h = frame + ETH_LEN, *p = h + IP6_LEN;

	memset(frame, 0, VIP_NA_LEN);
	memcpy(frame, all_nodes_mac, 6);
	memcpy(frame + 6, mac, 6);
	put16(frame + 12, TYPE_IP6);
	h[0] = 0x60;
	put16(h + 4, VIP_NA_LEN - ETH_LEN - IP6_LEN);
	h[6] = ICMP6;
	h[7] = 255; /* receivers drop anything that was routed */
	memcpy(h + 8, ip, 16);
	memcpy(h + 24, all_nodes, 16);
	p[0] = NA_TYPE;
	p[4] = router ? 0xa0 : 0x20; /* override */
	memcpy(p + 8, ip, 16);
	p[24] = OPT_TLLA;
	p[25] = 1; /* times eight bytes */
	memcpy(p + 26, mac, 6);
	put16(p + 2, icmp6_sum(h, p, VIP_NA_LEN - ETH_LEN - IP6_LEN));
}

static int
arp_decode(struct vip_claim *c, const uint8_t *p, size_t len, const char **why)
{
	static const uint8_t none[4] = {0};

	*why = NULL;
	if (len < VIP_ARP_LEN - ETH_LEN)
		*why = "ARP: too short";
	else if (get16(p) != 1 || p[4] != 6)
		*why = "ARP: not of Ethernet";
	else if (get16(p + 2) != 0x0800 || p[5] != 4)
		*why = "ARP: not for IPv4";
	else if (get16(p + 6) != 1 && get16(p + 6) != 2)
		*why = "ARP: neither request nor reply";
	else if (memcmp(p + 14, none, 4) == 0)
		*why = "ARP: a probe claims nothing";
	if (*why != NULL)
		return -1;
	c->family = 4;
	memcpy(c->ip, p + 14, 4);
	memcpy(c->mac, p + 8, 6);
	return 0;
}

/* Finds the target link-layer address; keeps mac if there is none. */
static int
na_options(struct vip_claim *c, const uint8_t *p, size_t len, const char **why)
{
	while (len > 0) {
		if (len < 2 || p[1] == 0 || (size_t)p[1] * 8 > len) {
			*why = "NA: bad option length";
			return -1;
		}
		if (p[0] == OPT_TLLA)
			memcpy(c->mac, p + 2, 6);
		len -= (size_t)p[1] * 8;
		p += (size_t)p[1] * 8;
	}
	return 0;
}

static int
na_decode(struct vip_claim *c, const uint8_t *h, size_t len, const char **why)
{
	const uint8_t *p = h + IP6_LEN;
	size_t n;

	*why = NULL;
	if (len < IP6_LEN || h[0] >> 4 != 6) {
		*why = "IPv6: too short or another version";
		return -1;
	}
	n = get16(h + 4);
	if (n > len - IP6_LEN)
		*why = "IPv6: shorter than its header says";
	else if (h[6] != ICMP6 || n < NA_MIN || p[0] != NA_TYPE)
		*why = "IPv6: not a neighbour advertisement";
	else if (h[7] != 255)
		*why = "NA: hop limit is not 255";
	else if (p[1] != 0)
		*why = "NA: code is not 0";
	else if (icmp6_sum(h, p, n) != 0)
		*why = "NA: wrong checksum";
	else if (p[8] == 0xff)
		*why = "NA: multicast target";
	if (*why != NULL)
		return -1;
	c->family = 6;
	memcpy(c->ip, p + 8, 16);
	return na_options(c, p + NA_MIN, n - NA_MIN, why);
}

int
vip_claim_decode(
    struct vip_claim *c, const uint8_t *frame, size_t len, const char **why)
{
	memset(c, 0, sizeof(*c));
	if (len < ETH_LEN) {
		*why = "frame: too short";
		return -1;
	}
	memcpy(c->mac, frame + 6, 6);
	switch (get16(frame + 12)) {
	case TYPE_ARP:
		return arp_decode(c, frame + ETH_LEN, len - ETH_LEN, why);
	case TYPE_IP6:
		return na_decode(c, frame + ETH_LEN, len - ETH_LEN, why);
	default:
		*why = "frame: neither ARP nor IPv6";
		return -1;
	}
}
