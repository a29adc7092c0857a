/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VRRP against what keepalived sends, in both directions; each way in which an
 * advertisement can be wrong, by its reason.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "adv_pcap.h"
#include "carp_packet.h"
#include "vip_packet.h"
#include "vrrp_packet.h"

enum { VRID = 51, PRIO = 200, IP4 = ADV_ETH_LEN, MSG4 = ADV_ETH_LEN + 20 };

static const uint8_t sender_mac[6] = {0x9e, 0x20, 0x51, 0x52, 0x6e, 0x54};
static const uint8_t peer_mac[6] = {0x3a, 0xa1, 0xd5, 0x8f, 0x3f, 0x82};
static const uint8_t sender4[4] = {10, 9, 0, 1};
static const uint8_t peer4[4] = {10, 9, 0, 2};
static const uint8_t sender6[16] = {
    0xfe, 0x80, [8] = 0x9c, 0x20, 0x51, 0xff, 0xfe, 0x52, 0x6e, 0x54};
static const uint8_t addrs4[8] = {10, 9, 0, 100, 10, 9, 0, 101};
static const uint8_t addrs6[32] = {
    0xfe, 0x80, [15] = 0x51, 0xfd, 0x00, 0x00, 0x09, [30] = 0x01, 0x00};

/* What a capture has. */
struct golden {
	const char *file;
	uint8_t version, family, priority, naddr;
	uint32_t interval_ms;
	unsigned adverts;
	const char *password;
	bool unicast, vmac;
};

static const struct golden goldens[] = {
    {"v2-plain.pcap", 2, 4, PRIO, 1, 1000, 4},
    {"v2-authpass.pcap", 2, 4, PRIO, 2, 1000, 4, .password = "s3cr3t12"},
    {"v2-unicast.pcap", 2, 4, PRIO, 1, 1000, 4, .unicast = true},
    {"v3-ip4.pcap", 3, 4, PRIO, 2, 500, 6},
    {"v3-ip4-owner255-10ms.pcap", 3, 4, VRRP_PRIO_OWNER, 1, 10, 144},
    {"v3-ip4-vmac.pcap", 3, 4, PRIO, 1, 500, 6, .vmac = true},
    {"v3-unicast.pcap", 3, 4, PRIO, 1, 500, 6, .unicast = true},
    {"v3-ip6.pcap", 3, 6, PRIO, 2, 500, 6},
};

/* The packet that was captured; the caller adds id, flow and priority 0. */
static void
packet_of(struct vrrp_packet *p, const struct golden *g)
{
	vrrp_packet_init(p, g->version, g->family, VRID);
	p->priority = g->priority;
	p->interval_ms = g->interval_ms;
	p->naddr = g->naddr;
	p->addrs = g->family == 4 ? addrs4 : addrs6;
	memcpy(p->f.src_mac, sender_mac, 6);
	if (g->vmac)
		vrrp_mac(p->f.src_mac, g->family, VRID);
	if (g->family == 4)
		memcpy(p->f.src, sender4, 4);
	else
		memcpy(p->f.src, sender6, 16);
	if (g->unicast)
		adv_frame_unicast(&p->f, peer4, peer_mac);
	if (g->password != NULL) {
		p->auth_type = VRRP_AUTH_PASSWORD;
		memcpy(p->auth, g->password, strlen(g->password));
	}
}

static void
assert_same(const struct vrrp_packet *a, const struct vrrp_packet *b)
{
	assert_memory_equal(a->f.src, b->f.src, 16);
	assert_memory_equal(a->f.dst, b->f.dst, 16);
	assert_memory_equal(a->f.src_mac, b->f.src_mac, 6);
	assert_memory_equal(a->f.dst_mac, b->f.dst_mac, 6);
	assert_int_equal(a->f.family, b->f.family);
	assert_int_equal(a->f.tos, b->f.tos);
	assert_int_equal(a->f.ttl, b->f.ttl);
	assert_int_equal(a->f.df, b->f.df);
	assert_int_equal(a->f.id, b->f.id);
	assert_int_equal(a->f.flow, b->f.flow);
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->vrid, b->vrid);
	assert_int_equal(a->priority, b->priority);
	assert_int_equal(a->sum, b->sum);
	assert_int_equal(a->interval_ms, b->interval_ms);
	assert_int_equal(a->auth_type, b->auth_type);
	assert_memory_equal(a->auth, b->auth, VRRP_AUTH_LEN);
	assert_int_equal(a->naddr, b->naddr);
	assert_memory_equal(
	    a->addrs, b->addrs, a->naddr * (a->f.family == 4 ? 4u : 16u));
}

/* One captured advertisement, the nth of its file. */
static void
check_golden(const struct golden *g, const struct pcap *c, unsigned nth)
{
	uint8_t out[VRRP_FRAME_MAX];
	struct vrrp_packet p, want, ip;
	size_t n;

	assert_int_equal(vrrp_decode_frame(&p, c->frame, c->len), VRRP_OK);
	packet_of(&want, g);
	/* keepalived counts; the flow label is the kernel's own choice. */
	want.f.id = g->family == 4 ? (uint16_t)nth : 0;
	want.f.flow = g->family == 4 ? 0 : 0xc06bfa7 & 0xfffff;
	if (nth == g->adverts)
		want.priority = VRRP_PRIO_LEAVE;
	assert_same(&p, &want);

	n = vrrp_encode_frame(out, sizeof(out), &want);
	assert_int_equal(n, c->len);
	assert_memory_equal(out, c->frame, n);

	/* The IP packet alone, and the message alone, are parts of it. */
	n = vrrp_encode_ip(out, sizeof(out), &want);
	assert_int_equal(n, c->len - ADV_ETH_LEN);
	assert_memory_equal(out, c->frame + ADV_ETH_LEN, n);
	assert_int_equal(vrrp_decode_ip(&ip, out, n), VRRP_OK);
	memset(want.f.src_mac, 0, 6);
	memset(want.f.dst_mac, 0, 6);
	assert_same(&ip, &want);
	n = vrrp_encode_message(out, sizeof(out), &want);
	assert_int_equal(n, vrrp_message_len(&want));
	assert_memory_equal(out, c->frame + c->len - n, n);
}

static void
test_captures_both_ways(void **state)
{
	const struct golden *g;
	struct vrrp_packet p;
	struct pcap c;
	unsigned n;

	(void)state;
	for (g = goldens; g < goldens + NITEMS(goldens); g++) {
		n = 0;
		pcap_open(&c, g->file);
		while (pcap_next(&c)) {
			if (pcap_is_advert(&c))
				check_golden(g, &c, ++n);
			else
				assert_int_not_equal(
				    vrrp_decode_frame(&p, c.frame, c.len),
				    VRRP_OK);
		}
		assert_int_equal(n, g->adverts);
	}
}

/* keepalived announces the addresses as we do. */
static void
test_captured_announcements(void **state)
{
	uint8_t arp[2][VIP_ARP_LEN], na[2][VIP_NA_LEN];
	unsigned i, arps = 0, nas = 0;
	struct pcap c;

	(void)state;
	for (i = 0; i < 2; i++) {
		vip_arp_encode(
		    arp[i], VIP_ARP_REQUEST, sender_mac, addrs4 + 4 * i);
		vip_na_encode(na[i], sender_mac, addrs6 + 16 * i, false);
	}
	for (pcap_open(&c, "v3-ip4.pcap"); pcap_next(&c);)
		for (i = 0; i < 2; i++)
			arps += c.len == VIP_ARP_LEN &&
				memcmp(c.frame, arp[i], VIP_ARP_LEN) == 0;
	assert_int_equal(arps, 8);
	for (pcap_open(&c, "v3-ip6.pcap"); pcap_next(&c);)
		for (i = 0; i < 2; i++)
			nas += c.len == VIP_NA_LEN &&
			       memcmp(c.frame, na[i], VIP_NA_LEN) == 0;
	assert_int_equal(nas, 8);
}

/* RFC 9568's checksum over the message alone, worked out by hand. */
static void
test_checksum_over_the_message(void **state)
{
	static const struct {
		const char *file;
		uint16_t sum;
	} t[] = {{"v3-ip4.pcap", 0xf1bc}, {"v3-ip4-owner255-10ms.pcap", 0xc55c},
	    {"v3-unicast.pcap", 0xfc2b}};
	uint8_t out[VRRP_FRAME_MAX];
	struct vrrp_packet p, again;
	struct pcap c;
	unsigned i;
	size_t n;

	(void)state;
	for (i = 0; i < NITEMS(t); i++) {
		pcap_open(&c, t[i].file);
		do
			assert_true(pcap_next(&c));
		while (!pcap_is_advert(&c));
		fclose(c.f);
		assert_int_equal(
		    vrrp_decode_frame(&p, c.frame, c.len), VRRP_OK);
		assert_int_equal(p.sum, VRRP_SUM_PSEUDO);
		p.sum = VRRP_SUM_MESSAGE;
		n = vrrp_encode_frame(out, sizeof(out), &p);
		assert_int_equal(out[MSG4 + 6] << 8 | out[MSG4 + 7], t[i].sum);
		assert_int_equal(vrrp_decode_frame(&again, out, n), VRRP_OK);
		assert_same(&again, &p);
	}
}

/* The pseudo header has the real destination: another one does not fit. */
static void
test_unicast_checksum_needs_its_destination(void **state)
{
	uint8_t out[VRRP_FRAME_MAX];
	struct vrrp_packet p;
	size_t n;

	(void)state;
	packet_of(&p, &goldens[6]);
	n = vrrp_encode_frame(out, sizeof(out), &p);
	assert_int_equal(vrrp_decode_frame(&p, out, n), VRRP_OK);
	assert_false(adv_is_multicast(&p.f));
	out[IP4 + 19] = 3;
	mend_ip4(out + IP4);
	assert_int_equal(vrrp_decode_frame(&p, out, n), VRRP_R_CHECKSUM);
}

/* A good frame to be spoilt, and the reasons that were found. */
struct bench {
	uint8_t frame[VRRP_FRAME_MAX];
	size_t len;
	bool seen[VRRP_REJECTS_N];
};

static struct vrrp_packet
good(struct bench *b, unsigned golden)
{
	struct vrrp_packet p;

	packet_of(&p, &goldens[golden]);
	b->len = vrrp_encode_frame(b->frame, sizeof(b->frame), &p);
	return p;
}

/* The frame from memory of exactly its size, so that no byte more is read. */
static enum vrrp_reject
decode_exactly(const uint8_t *frame, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct vrrp_packet p;
	enum vrrp_reject r;

	assert_non_null(copy);
	memcpy(copy, frame, len);
	r = vrrp_decode_frame(&p, copy, len);
	free(copy);
	return r;
}

static void
refused(struct bench *b, enum vrrp_reject want)
{
	assert_string_equal(vrrp_reject_name(decode_exactly(b->frame, b->len)),
	    vrrp_reject_name(want));
	b->seen[want] = true;
}

/* Frame golden with one byte of the IP header other, its checksum right. */
static void
ip_refused(struct bench *b, unsigned golden, unsigned at, uint8_t value,
    enum vrrp_reject want)
{
	good(b, golden);
	b->frame[IP4 + at] = value;
	if (goldens[golden].family == 4 && (b->frame[IP4] & 15) >= 5)
		mend_ip4(b->frame + IP4);
	refused(b, want);
}

/* The same within the message; version 2 and IPv4 only. */
static void
msg_refused(struct bench *b, unsigned at, uint8_t value, enum vrrp_reject want)
{
	good(b, 0);
	b->frame[MSG4 + at] = value;
	mend_sum(b->frame + MSG4, b->len - MSG4, 6, 0);
	refused(b, want);
}

static void
frame_rejects(struct bench *b)
{
	good(b, 0);
	b->len = ADV_ETH_LEN - 1;
	refused(b, VRRP_R_SHORT);
	b->len = ADV_ETH_LEN + 19;
	refused(b, VRRP_R_SHORT);
	good(b, 7);
	b->len = ADV_ETH_LEN + 39;
	refused(b, VRRP_R_SHORT);
	good(b, 0);
	b->frame[13] = 6; /* ARP */
	refused(b, VRRP_R_ETHERTYPE);
	b->frame[12] = 0x86;
	b->frame[13] = 0xdd;
	refused(b, VRRP_R_ETHERTYPE);
	good(b, 7);
	b->frame[12] = 8;
	b->frame[13] = 0;
	refused(b, VRRP_R_ETHERTYPE);
	ip_refused(b, 0, 0, 0x55, VRRP_R_IP_VERSION);
	ip_refused(b, 0, 0, 0x44, VRRP_R_IP_HEADER);
	good(b, 0);
	b->frame[IP4] = 0x4f; /* 60 bytes, of which there are 40 */
	refused(b, VRRP_R_IP_HEADER);
	ip_refused(b, 0, 3, 19, VRRP_R_IP_LENGTH);
	ip_refused(b, 0, 3, 41, VRRP_R_IP_LENGTH);
	ip_refused(b, 7, 5, 41, VRRP_R_IP_LENGTH);
	good(b, 0);
	b->frame[IP4 + 11] ^= 1;
	refused(b, VRRP_R_IP_CHECKSUM);
	ip_refused(b, 0, 6, 0x20, VRRP_R_FRAGMENT);
	ip_refused(b, 0, 7, 0x01, VRRP_R_FRAGMENT);
	ip_refused(b, 0, 9, 51, VRRP_R_PROTOCOL);
	ip_refused(b, 7, 6, 0, VRRP_R_PROTOCOL);
	ip_refused(b, 0, 8, 254, VRRP_R_TTL);
	ip_refused(b, 7, 7, 254, VRRP_R_TTL);
}

static void
address_rejects(struct bench *b)
{
	ip_refused(b, 0, 12, 224, VRRP_R_SOURCE);
	ip_refused(b, 0, 12, 0, VRRP_R_SOURCE);
	ip_refused(b, 7, 8, 0xff, VRRP_R_SOURCE);
	ip_refused(b, 7, 8, 0xfd, VRRP_R_SOURCE); /* to the group */
	good(b, 7);
	memset(b->frame + IP4 + 8, 0, 16);
	refused(b, VRRP_R_SOURCE);
	ip_refused(b, 0, 19, 5, VRRP_R_DESTINATION);
	ip_refused(b, 0, 16, 255, VRRP_R_DESTINATION);
	ip_refused(b, 2, 16, 0, VRRP_R_DESTINATION);
	ip_refused(b, 7, 39, 1, VRRP_R_DESTINATION);
	good(b, 7);
	memset(b->frame + IP4 + 24, 0, 16);
	refused(b, VRRP_R_DESTINATION);
}

static void
message_rejects(struct bench *b)
{
	ip_refused(b, 0, 3, 27, VRRP_R_SHORT);
	ip_refused(b, 7, 5, 7, VRRP_R_SHORT);
	msg_refused(b, 0, 0x11, VRRP_R_VERSION);
	msg_refused(b, 0, 0x41, VRRP_R_VERSION);
	good(b, 7);
	b->frame[ADV_HEAD_MAX] = 0x21; /* version 2 has no IPv6 */
	refused(b, VRRP_R_VERSION);
	msg_refused(b, 0, 0x22, VRRP_R_TYPE);
	msg_refused(b, 3, 0, VRRP_R_NADDR);
	msg_refused(b, 3, 2, VRRP_R_LENGTH);
	ip_refused(b, 0, 3, 39, VRRP_R_LENGTH);
	msg_refused(b, 0, 0x31, VRRP_R_LENGTH); /* no password in version 3 */
	good(b, 3);
	b->frame[IP4 + 3] += 4;
	b->len += 4;
	mend_ip4(b->frame + IP4);
	refused(b, VRRP_R_LENGTH);
	msg_refused(b, 1, 0, VRRP_R_VRID);
	msg_refused(b, 5, 0, VRRP_R_INTERVAL);
	msg_refused(b, 4, 2, VRRP_R_AUTH_TYPE);
}

static void
checksum_rejects(struct bench *b)
{
	struct vrrp_packet p;
	uint8_t *msg = b->frame + MSG4;
	unsigned i;

	for (i = 0; i < NITEMS(goldens); i++) {
		good(b, i);
		b->frame[b->len - 1] ^= 1;
		refused(b, VRRP_R_CHECKSUM);
	}
	/* Version 2 never has a pseudo header, IPv6 never goes without. */
	p = good(b, 0);
	mend_sum(msg, b->len - MSG4, 6, adv_sum_pseudo(0, &p.f, b->len - MSG4));
	refused(b, VRRP_R_CHECKSUM);
	good(b, 7);
	mend_sum(b->frame + ADV_HEAD_MAX, b->len - ADV_HEAD_MAX, 6, 0);
	refused(b, VRRP_R_CHECKSUM);
}

/* A CARP advertisement is told, and not counted as a broken VRRP one. */
static void
carp_reject(struct bench *b)
{
	struct carp_packet p;

	carp_packet_init(&p, 4, VRID);
	memcpy(p.f.src, sender4, 4);
	p.advbase = 1;
	b->len = carp_encode_frame(b->frame, sizeof(b->frame), &p);
	refused(b, VRRP_R_CARP);
}

static struct vrrp_expect
expect_of(const struct vrrp_packet *p)
{
	struct vrrp_expect e = {.version = p->version,
	    .family = p->f.family,
	    .vrid = p->vrid,
	    .auth_type = p->auth_type,
	    .interval_ms = p->interval_ms,
	    .own = peer4,
	    .addrs = p->addrs,
	    .naddr = p->naddr};

	memcpy(e.auth, p->auth, VRRP_AUTH_LEN);
	return e;
}

static void
unexpected(struct bench *b, const struct vrrp_packet *p,
    const struct vrrp_expect *e, enum vrrp_reject want)
{
	assert_string_equal(
	    vrrp_reject_name(vrrp_check(p, e)), vrrp_reject_name(want));
	b->seen[want] = true;
}

static void
config_rejects(struct bench *b)
{
	struct vrrp_packet p = good(b, 1);
	struct vrrp_expect e;

	e = expect_of(&p);
	assert_int_equal(vrrp_check(&p, &e), VRRP_OK);
	e.version = 3;
	unexpected(b, &p, &e, VRRP_R_VERSION);
	e = expect_of(&p);
	e.family = 6;
	unexpected(b, &p, &e, VRRP_R_VERSION);
	e = expect_of(&p);
	e.vrid = 52;
	unexpected(b, &p, &e, VRRP_R_VRID);
	e = expect_of(&p);
	e.own = sender4;
	unexpected(b, &p, &e, VRRP_R_OWN);
	e = expect_of(&p);
	e.auth_type = VRRP_AUTH_NONE;
	unexpected(b, &p, &e, VRRP_R_AUTH_MISMATCH);
	e = expect_of(&p);
	e.auth[7] ^= 1;
	unexpected(b, &p, &e, VRRP_R_AUTH);
	e = expect_of(&p);
	e.interval_ms = 2000;
	unexpected(b, &p, &e, VRRP_R_INTERVAL);
	e = expect_of(&p);
	e.naddr = 1;
	unexpected(b, &p, &e, VRRP_R_ADDRESSES);
	e = expect_of(&p);
	e.addrs = sender4; /* one address would do to see the difference */
	p.naddr = e.naddr = 1;
	unexpected(b, &p, &e, VRRP_R_ADDRESSES);
	p.priority = VRRP_PRIO_OWNER;
	assert_int_equal(vrrp_check(&p, &e), VRRP_OK);
}

static void
test_every_reject_has_its_reason(void **state)
{
	static struct bench b;
	unsigned i;

	(void)state;
	memset(&b, 0, sizeof(b));
	frame_rejects(&b);
	address_rejects(&b);
	message_rejects(&b);
	checksum_rejects(&b);
	carp_reject(&b);
	config_rejects(&b);
	/* Those of the HMAC have a test of their own, vrrp_auth_test. */
	for (i = VRRP_OK + 1; i < VRRP_R_HMAC_MISSING; i++)
		if (!b.seen[i])
			fail_msg("no case for %s", vrrp_reject_name(i));
}

/* No beginning of a frame is taken for a whole one, no byte beyond is read. */
static void
test_truncated(void **state)
{
	static struct bench b;
	unsigned g;
	size_t n;

	(void)state;
	for (g = 0; g < NITEMS(goldens); g++) {
		good(&b, g);
		for (n = 0; n < b.len; n++)
			assert_int_not_equal(
			    decode_exactly(b.frame, n), VRRP_OK);
		assert_int_equal(decode_exactly(b.frame, b.len), VRRP_OK);
	}
}

/* A refusal still tells the router that was meant. */
static void
test_refusal_tells_the_router(void **state)
{
	static struct bench b;
	struct vrrp_packet p;

	(void)state;
	good(&b, 0);
	b.frame[MSG4 + 6] ^= 1;
	assert_int_equal(
	    vrrp_decode_frame(&p, b.frame, b.len), VRRP_R_CHECKSUM);
	assert_int_equal(p.vrid, VRID);
	assert_int_equal(vrrp_decode_frame(&p, b.frame, 20), VRRP_R_SHORT);
	assert_int_equal(p.vrid, 0);
}

/* What a sender may do that we do not. */
static void
test_tolerated(void **state)
{
	static struct bench b;
	struct vrrp_packet p, want;

	(void)state;
	/* Padding to the shortest Ethernet frame. */
	want = good(&b, 3);
	memset(b.frame + b.len, 0x5a, 60 - b.len);
	assert_int_equal(vrrp_decode_frame(&p, b.frame, 60), VRRP_OK);
	assert_same(&p, &want);
	/* IPv4 options: router alert. */
	memmove(b.frame + MSG4 + 4, b.frame + MSG4, b.len - MSG4);
	memcpy(b.frame + MSG4, (uint8_t[]){0x94, 4, 0, 0}, 4);
	b.frame[IP4] = 0x46;
	b.frame[IP4 + 3] += 4;
	mend_ip4(b.frame + IP4);
	assert_int_equal(vrrp_decode_frame(&p, b.frame, b.len + 4), VRRP_OK);
	assert_same(&p, &want);
	/* Reserved bits of version 3; the message checksum. */
	want = good(&b, 3);
	b.frame[MSG4 + 4] |= 0xf0;
	mend_sum(b.frame + MSG4, b.len - MSG4, 6, 0);
	assert_int_equal(vrrp_decode_frame(&p, b.frame, b.len), VRRP_OK);
	want.sum = VRRP_SUM_MESSAGE;
	assert_same(&p, &want);
	/* All of fe80::/10 is link-local. */
	want = good(&b, 7);
	want.f.src[1] = 0xbf;
	b.len = vrrp_encode_frame(b.frame, sizeof(b.frame), &want);
	assert_int_equal(vrrp_decode_frame(&p, b.frame, b.len), VRRP_OK);
	assert_same(&p, &want);
	/* Unicast IPv6 from an address that is not link-local. */
	want = good(&b, 7);
	adv_frame_unicast(&want.f, addrs6 + 16, peer_mac);
	want.f.src[0] = 0xfd;
	b.len = vrrp_encode_frame(b.frame, sizeof(b.frame), &want);
	assert_int_equal(vrrp_decode_frame(&p, b.frame, b.len), VRRP_OK);
	assert_same(&p, &want);
}

static void
test_order_of_addresses_is_free(void **state)
{
	static const uint8_t swapped[8] = {10, 9, 0, 101, 10, 9, 0, 100};
	static const uint8_t twice[8] = {10, 9, 0, 100, 10, 9, 0, 100};
	static struct bench b;
	struct vrrp_packet p = good(&b, 3);
	struct vrrp_expect e = expect_of(&p);

	(void)state;
	e.addrs = swapped;
	assert_int_equal(vrrp_check(&p, &e), VRRP_OK);
	e.addrs = twice;
	assert_int_equal(vrrp_check(&p, &e), VRRP_R_ADDRESSES);
	e.addrs = p.addrs;
	p.addrs = twice;
	assert_int_equal(vrrp_check(&p, &e), VRRP_R_ADDRESSES);
	e.addrs = NULL;
	assert_int_equal(vrrp_check(&p, &e), VRRP_OK);
	/* A learned interval is no error, nor is anybody's when not asked. */
	p.interval_ms = 10;
	assert_int_equal(vrrp_check(&p, &e), VRRP_OK);
	p = good(&b, 0);
	e = expect_of(&p);
	p.interval_ms = 3000;
	e.interval_ms = 0;
	e.own = NULL;
	assert_int_equal(vrrp_check(&p, &e), VRRP_OK);
	/* Without authentication its bytes are nobody's business. */
	p.auth[0] = 1;
	assert_int_equal(vrrp_check(&p, &e), VRRP_OK);
}

static void
test_limits(void **state)
{
	static uint8_t addrs[16 * VRRP_ADDRS_MAX], out[VRRP_FRAME_MAX];
	static const uint32_t ms[2][2] = {{1000, 255000}, {10, 40950}};
	struct vrrp_packet p, again;
	unsigned i, k, family;
	size_t n;

	(void)state;
	for (i = 0; i < sizeof(addrs); i++)
		addrs[i] = (uint8_t)(i * 11);
	for (i = 0; i < 3; i++) {
		family = i == 2 ? 6 : 4;
		packet_of(&p, &goldens[i == 0 ? 0 : family == 6 ? 7 : 3]);
		p.naddr = VRRP_ADDRS_MAX;
		p.addrs = addrs;
		for (k = 0; k < 2; k++) {
			p.interval_ms = ms[p.version - 2][k];
			n = vrrp_encode_frame(out, sizeof(out), &p);
			assert_int_equal(
			    vrrp_decode_frame(&again, out, n), VRRP_OK);
			assert_same(&again, &p);
		}
	}
	p.trailer = addrs;
	n = vrrp_encode_frame(out, sizeof(out), &p);
	assert_int_equal(vrrp_decode_frame(&again, out, n), VRRP_OK);
	assert_memory_equal(again.trailer, addrs, VRRP_TRAILER_LEN);
	assert_int_equal(n, VRRP_FRAME_MAX);
}

static void
test_intervals(void **state)
{
	(void)state;
	assert_true(vrrp_interval_ok(2, 1000));
	assert_true(vrrp_interval_ok(2, 255000));
	assert_false(vrrp_interval_ok(2, 0));
	assert_false(vrrp_interval_ok(2, 1500));
	assert_false(vrrp_interval_ok(2, 256000));
	assert_true(vrrp_interval_ok(3, 10));
	assert_true(vrrp_interval_ok(3, 40950));
	assert_false(vrrp_interval_ok(3, 0));
	assert_false(vrrp_interval_ok(3, 15));
	assert_false(vrrp_interval_ok(3, 40960));
}

static void
test_small_things(void **state)
{
	static const uint8_t mac4[6] = {0, 0, 0x5e, 0, 1, 7};
	static const uint8_t mac6[6] = {0, 0, 0x5e, 0, 2, 7};
	struct vrrp_packet p;
	uint8_t mac[6];

	(void)state;
	vrrp_mac(mac, 4, 7);
	assert_memory_equal(mac, mac4, 6);
	vrrp_mac(mac, 6, 7);
	assert_memory_equal(mac, mac6, 6);
	assert_string_equal(vrrp_reject_name(VRRP_OK), "ok");
	assert_string_equal(vrrp_reject_name(VRRP_R_SHORT), "short");
	assert_string_equal(vrrp_reject_name(VRRP_R_OWN), "own");
	packet_of(&p, &goldens[7]);
	assert_true(adv_is_multicast(&p.f));
	assert_true(vrrp_first_is_link_local(&p));
	p.addrs += 16;
	p.naddr = 1;
	assert_false(vrrp_first_is_link_local(&p));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_captures_both_ways),
	    cmocka_unit_test(test_captured_announcements),
	    cmocka_unit_test(test_checksum_over_the_message),
	    cmocka_unit_test(test_unicast_checksum_needs_its_destination),
	    cmocka_unit_test(test_every_reject_has_its_reason),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_refusal_tells_the_router),
	    cmocka_unit_test(test_tolerated),
	    cmocka_unit_test(test_order_of_addresses_is_free),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_intervals),
	    cmocka_unit_test(test_small_things),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
