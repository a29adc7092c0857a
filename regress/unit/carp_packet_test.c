/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CARP against what ucarp sends, in both directions; each way in which an
 * advertisement can be wrong, by its reason; and what the memory of counters
 * lets through.
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
#include "carp_replay.h"

enum { VHID = 51, IP4 = ADV_ETH_LEN, MSG4 = ADV_ETH_LEN + 20 };

static const uint8_t sender4[4] = {10, 9, 0, 1};
static const uint8_t addr4[4] = {10, 9, 0, 100};

static void
test_capture_both_ways(void **state)
{
	static const uint8_t mac[6] = {0, 0, 0x5e, 0, 0, VHID};
	uint8_t out[CARP_FRAME_MAX];
	struct carp_packet p, want, ip;
	static const uint64_t counters[4] = {0x79315c6b9f620e82,
	    0x97cd32660b0ea9a3, 0x6f22e13a010301b4, 0x122cf72fcaed0c89};
	struct carp_replay replay;
	struct carp_key key;
	unsigned n = 0;
	struct pcap c;
	size_t len;

	(void)state;
	carp_replay_init(&replay);
	carp_key_init(&key, "secret", VHID, addr4, 1, NULL, 0);
	for (pcap_open(&c, "ucarp.pcap"); pcap_next(&c);) {
		if (!pcap_is_advert(&c)) {
			assert_int_equal(carp_decode_frame(&p, c.frame, c.len),
			    CARP_R_ETHERTYPE);
			continue;
		}
		assert_int_equal(
		    carp_decode_frame(&p, c.frame, c.len), CARP_OK);
		assert_int_equal(carp_check(&p, VHID, &key), CARP_OK);
		/* ucarp does not count: each is as random as the first. */
		assert_int_equal(carp_replay_check(&replay, &p,
				     mt_add_ms((monotime_t){0}, n * 1000)),
		    CARP_OK);
		carp_packet_init(&want, 4, VHID);
		carp_mac(want.f.src_mac, CARP_MAC_UCARP, VHID);
		assert_memory_equal(want.f.src_mac, mac, 6);
		memcpy(want.f.src, sender4, 4);
		want.f.id = p.f.id; /* random */
		want.advbase = 1;
		want.advskew = 7;
		want.counter = counters[n++];
		carp_sign(&want, &key);
		assert_memory_equal(&p.f.src, &want.f.src, 16);
		assert_int_equal(p.vhid, VHID);
		assert_int_equal(p.advbase, 1);
		assert_int_equal(p.advskew, 7);
		assert_int_equal(p.demote, 0);
		assert_int_equal(p.counter, want.counter);
		len = carp_encode_frame(out, sizeof(out), &want);
		assert_int_equal(len, c.len);
		assert_memory_equal(out, c.frame, len);
		len = carp_encode_ip(out, sizeof(out), &want);
		assert_int_equal(len, c.len - ADV_ETH_LEN);
		assert_memory_equal(out, c.frame + ADV_ETH_LEN, len);
		assert_int_equal(carp_decode_ip(&ip, out, len), CARP_OK);
		assert_int_equal(ip.counter, want.counter);
		len = carp_encode_message(out, sizeof(out), &want);
		assert_int_equal(len, CARP_LEN);
		assert_memory_equal(out, c.frame + MSG4, len);
	}
	assert_int_equal(n, 4);
}

/* The digests were made by another implementation of HMAC. */
static void
test_addresses_are_sorted(void **state)
{
	static const uint8_t ip4[] = {
	    10, 9, 0, 200, 10, 9, 0, 100, 9, 255, 0, 1, 10, 9, 0, 100};
	static const uint8_t ip6[48] = {0xfe, 0x80, [15] = 0x51, 0xfd, 0, 0,
	    9, [30] = 1, 0, 0x20, 0x01, 0x0d, 0xb8, [47] = 1};
	static const uint8_t all[SHA1_LEN] = {0x74, 0xcf, 0x5b, 0x2b, 0x29,
	    0xd0, 0x59, 0x08, 0x3a, 0x90, 0xca, 0x5c, 0xce, 0x1c, 0xb4, 0xdd,
	    0x9b, 0xc0, 0xb4, 0x29};
	static const uint8_t global[SHA1_LEN] = {0x38, 0xa2, 0x22, 0x85, 0x57,
	    0xa9, 0x34, 0x9c, 0xf2, 0xdb, 0xae, 0x98, 0x3c, 0x09, 0x19, 0xfc,
	    0x0b, 0x6d, 0x1b, 0x43};
	struct carp_packet p;
	struct carp_key key;

	(void)state;
	carp_key_init(&key, "twenty bytes of word", 7, ip4, 4, ip6, 3);
	carp_packet_init(&p, 6, 7);
	p.counter = 0x0123456789abcdef;
	carp_sign(&p, &key);
	assert_memory_equal(p.digest, all, SHA1_LEN);
	assert_int_equal(carp_check(&p, 7, &key), CARP_OK);
	/* OpenBSD leaves the link-local one out. */
	memcpy(p.digest, global, SHA1_LEN);
	assert_int_equal(carp_check(&p, 7, &key), CARP_OK);
	p.digest[0] ^= 1;
	assert_int_equal(carp_check(&p, 7, &key), CARP_R_DIGEST);
}

/* A good frame to be spoilt, and the reasons that were found. */
struct bench {
	uint8_t frame[CARP_FRAME_MAX + 8];
	size_t len, msg; /* where the message begins */
	struct carp_key key;
	bool seen[CARP_REJECTS_N];
};

static void
good(struct bench *b, uint8_t family)
{
	struct carp_packet p;

	carp_key_init(&b->key, "secret", VHID, addr4, 1, NULL, 0);
	carp_packet_init(&p, family, VHID);
	p.f.src[0] = 0xfe;
	p.f.src[1] = 0x80;
	p.f.src[15] = 1;
	if (family == 4) {
		memset(p.f.src, 0, 16);
		memcpy(p.f.src, sender4, 4);
	}
	p.advbase = 1;
	p.counter = 7;
	carp_sign(&p, &b->key);
	b->len = carp_encode_frame(b->frame, sizeof(b->frame), &p);
	b->msg = b->len - CARP_LEN;
}

static enum carp_reject
decode_exactly(struct carp_packet *p, const uint8_t *frame, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	enum carp_reject r;

	assert_non_null(copy);
	memcpy(copy, frame, len);
	r = carp_decode_frame(p, copy, len);
	free(copy);
	return r;
}

static void
refused(struct bench *b, enum carp_reject want)
{
	struct carp_packet p;
	enum carp_reject r = decode_exactly(&p, b->frame, b->len);

	if (r == CARP_OK)
		r = carp_check(&p, VHID, &b->key);
	assert_string_equal(carp_reject_name(r), carp_reject_name(want));
	b->seen[want] = true;
}

static void
ip_refused(struct bench *b, uint8_t family, unsigned at, uint8_t value,
    enum carp_reject want)
{
	good(b, family);
	b->frame[IP4 + at] = value;
	if (family == 4 && (b->frame[IP4] & 15) >= 5)
		mend_ip4(b->frame + IP4);
	refused(b, want);
}

static void
msg_refused(struct bench *b, unsigned at, uint8_t value, enum carp_reject want)
{
	uint8_t family;

	for (family = 4; family <= 6; family += 2) {
		good(b, family);
		b->frame[b->msg + at] = value;
		mend_sum(b->frame + b->msg, CARP_LEN, 6, 0);
		refused(b, want);
	}
}

static void
frame_rejects(struct bench *b)
{
	good(b, 4);
	b->len = ADV_ETH_LEN - 1;
	refused(b, CARP_R_SHORT);
	ip_refused(b, 4, 3, 27, CARP_R_SHORT);
	good(b, 4);
	b->frame[12] = 0;
	refused(b, CARP_R_ETHERTYPE);
	ip_refused(b, 4, 0, 0x75, CARP_R_IP_VERSION);
	ip_refused(b, 4, 0, 0x44, CARP_R_IP_HEADER);
	ip_refused(b, 4, 3, 57, CARP_R_IP_LENGTH);
	ip_refused(b, 6, 5, 37, CARP_R_IP_LENGTH);
	good(b, 4);
	b->frame[IP4 + 10] ^= 1;
	refused(b, CARP_R_IP_CHECKSUM);
	ip_refused(b, 4, 6, 0x20, CARP_R_FRAGMENT);
	ip_refused(b, 4, 9, 17, CARP_R_PROTOCOL);
	ip_refused(b, 4, 8, 64, CARP_R_TTL);
	ip_refused(b, 6, 7, 64, CARP_R_TTL);
	ip_refused(b, 4, 12, 240, CARP_R_SOURCE);
	ip_refused(b, 6, 8, 0x20, CARP_R_SOURCE);
	ip_refused(b, 4, 19, 1, CARP_R_DESTINATION);
	ip_refused(b, 6, 39, 1, CARP_R_DESTINATION);
}

static void
message_rejects(struct bench *b)
{
	msg_refused(b, 0, 0x31, CARP_R_VERSION);
	msg_refused(b, 0, 0x22, CARP_R_TYPE);
	msg_refused(b, 3, 5, CARP_R_AUTHLEN);
	msg_refused(b, 1, 0, CARP_R_VHID);
	msg_refused(b, 1, VHID + 1, CARP_R_VHID);
	msg_refused(b, 5, 0, CARP_R_INTERVAL);
	msg_refused(b, 15, 8, CARP_R_DIGEST); /* the counter */
	msg_refused(b, 35, 0x55, CARP_R_DIGEST);
	good(b, 4);
	b->frame[b->msg + 20] ^= 1;
	refused(b, CARP_R_CHECKSUM);
	good(b, 6);
	b->frame[b->msg + 6] ^= 1;
	refused(b, CARP_R_CHECKSUM);
	/* Shorter and longer; a VRRPv2 advert with seven addresses has 44. */
	ip_refused(b, 4, 3, 55, CARP_R_LENGTH);
	good(b, 4);
	b->frame[IP4 + 3] += 8;
	b->len += 8;
	mend_ip4(b->frame + IP4);
	refused(b, CARP_R_LENGTH);
	assert_false(carp_is_message(b->frame + MSG4, 44));
	assert_true(carp_is_message(b->frame + MSG4, CARP_LEN));
}

/* Times and demotion are not signed. */
static void
replay_rejects(struct bench *b)
{
	const monotime_t t = {5000000};
	struct carp_replay r;
	struct carp_packet p;

	good(b, 4);
	assert_int_equal(decode_exactly(&p, b->frame, b->len), CARP_OK);
	carp_replay_init(&r);
	assert_int_equal(carp_replay_check(&r, &p, t), CARP_OK);
	p.counter++;
	assert_int_equal(carp_replay_check(&r, &p, t), CARP_OK);
	b->seen[carp_replay_check(&r, &p, t)] = true;
	p.counter -= 2;
	b->seen[carp_replay_check(&r, &p, t)] = true;
	assert_true(b->seen[CARP_R_REPLAY] && b->seen[CARP_R_RESTART]);
}

static void
test_every_reject_has_its_reason(void **state)
{
	static struct bench b;
	unsigned i;

	(void)state;
	memset(&b, 0, sizeof(b));
	frame_rejects(&b);
	message_rejects(&b);
	replay_rejects(&b);
	for (i = CARP_OK + 1; i < CARP_REJECTS_N; i++)
		if (!b.seen[i])
			fail_msg("no case for %s", carp_reject_name(i));
}

/* Another password, vhid or address, and none at all. */
static void
test_key(void **state)
{
	static const uint8_t other[4] = {10, 9, 0, 101};
	static struct bench b;
	struct carp_packet p;
	struct carp_key key;

	(void)state;
	good(&b, 4);
	assert_int_equal(decode_exactly(&p, b.frame, b.len), CARP_OK);
	assert_int_equal(carp_check(&p, VHID, &b.key), CARP_OK);
	carp_key_init(&key, "Secret", VHID, addr4, 1, NULL, 0);
	assert_int_equal(carp_check(&p, VHID, &key), CARP_R_DIGEST);
	carp_key_init(&key, "secret", VHID + 1, addr4, 1, NULL, 0);
	assert_int_equal(carp_check(&p, VHID, &key), CARP_R_DIGEST);
	carp_key_init(&key, "secret", VHID, other, 1, NULL, 0);
	assert_int_equal(carp_check(&p, VHID, &key), CARP_R_DIGEST);
	carp_key_init(&key, "secret", VHID, NULL, 0, NULL, 0);
	assert_int_equal(carp_check(&p, VHID, &key), CARP_R_DIGEST);
}

static void
test_truncated(void **state)
{
	static struct bench b;
	struct carp_packet p;
	uint8_t family;
	size_t n;

	(void)state;
	for (family = 4; family <= 6; family += 2) {
		good(&b, family);
		for (n = 0; n < b.len; n++)
			assert_int_not_equal(
			    decode_exactly(&p, b.frame, n), CARP_OK);
		assert_int_equal(decode_exactly(&p, b.frame, b.len), CARP_OK);
	}
}

static void
test_small_things(void **state)
{
	static const uint8_t openbsd[6] = {0, 0, 0x5e, 0, 1, VHID};
	static struct bench b;
	struct carp_packet p;
	uint8_t mac[6];

	(void)state;
	carp_mac(mac, CARP_MAC_OPENBSD, VHID);
	assert_memory_equal(mac, openbsd, 6);
	assert_int_equal(carp_interval_us(1, 0), 1000000);
	assert_int_equal(carp_interval_us(1, 128), 1500000);
	assert_int_equal(carp_interval_us(0, 1), 3906);
	assert_int_equal(carp_interval_us(255, 255), 255996093);
	good(&b, 4);
	assert_int_equal(decode_exactly(&p, b.frame, b.len), CARP_OK);
	assert_false(carp_is_bow_out(&p));
	/* Faster than once a second. */
	p.advbase = 0;
	p.advskew = 1;
	b.len = carp_encode_frame(b.frame, sizeof(b.frame), &p);
	assert_int_equal(decode_exactly(&p, b.frame, b.len), CARP_OK);
	assert_int_equal(carp_interval_us(p.advbase, p.advskew), 3906);
	p.advskew = 0;
	p.advbase = 255;
	assert_false(carp_is_bow_out(&p));
	p.advskew = 255;
	p.demote = 3;
	b.len = carp_encode_frame(b.frame, sizeof(b.frame), &p);
	memset(&p, 0, sizeof(p));
	assert_int_equal(decode_exactly(&p, b.frame, b.len), CARP_OK);
	assert_true(carp_is_bow_out(&p));
	assert_int_equal(p.demote, 3);
	assert_string_equal(carp_reject_name(CARP_OK), "ok");
	assert_string_equal(carp_reject_name(CARP_R_RESTART), "restart");
}

/* At ms, from 10.9.0.host, an advertisement with this counter and these times.
 */
static void
hear_times(struct carp_replay *r, int64_t ms, uint8_t host, uint64_t counter,
    uint8_t advbase, uint8_t advskew, enum carp_reject want)
{
	struct carp_packet p;

	carp_packet_init(&p, 4, VHID);
	memcpy(p.f.src, sender4, 4);
	p.f.src[3] = host;
	p.counter = counter;
	p.advbase = advbase;
	p.advskew = advskew;
	assert_string_equal(carp_reject_name(carp_replay_check(
				r, &p, mt_add_ms((monotime_t){0}, ms))),
	    carp_reject_name(want));
}

/* Of a sender that advertises every second. */
static void
hear(struct carp_replay *r, int64_t ms, uint8_t host, uint64_t counter,
    enum carp_reject want)
{
	hear_times(r, ms, host, counter, 1, 0, want);
}

static void
test_counters_grow(void **state)
{
	struct carp_replay r;

	(void)state;
	carp_replay_init(&r);
	hear(&r, 0, 1, 1000, CARP_OK);
	hear(&r, 1000, 1, 1001, CARP_OK);
	hear(&r, 1000, 1, 1001, CARP_R_REPLAY); /* a loop in the network */
	hear(&r, 2000, 1, 1005, CARP_OK); /* some were lost */
	hear(&r, 2100, 1, 1003, CARP_R_REPLAY); /* late, or held back */
	/* However long it was silent: what was heard is not heard again. */
	hear(&r, 900000, 1, 1000, CARP_R_REPLAY);
	hear(&r, 900000, 1, 1005, CARP_R_REPLAY);
	hear(&r, 900000, 1, 1006, CARP_OK);
}

static void
test_restart_is_heard_after_silence(void **state)
{
	struct carp_replay r;

	(void)state;
	carp_replay_init(&r);
	hear(&r, -1000, 1, 999, CARP_OK);
	hear(&r, 0, 1, 1000, CARP_OK);
	/* It begins anew, with any counter, lower or higher. */
	hear(&r, 1000, 1, 50, CARP_R_RESTART);
	hear(&r, 1999, 1, 51, CARP_R_RESTART);
	hear(&r, 2000, 1, 52, CARP_OK);
	hear(&r, 3000, 1, 53, CARP_OK);
	hear(&r, 4000, 1, 1ULL << 40, CARP_R_RESTART);
	hear(&r, 5000, 1, (1ULL << 40) + 1, CARP_OK);
	/* Both earlier lives stay known. */
	hear(&r, 99000, 1, 1000, CARP_R_REPLAY);
	hear(&r, 99000, 1, 53, CARP_R_REPLAY);
}

/* Who said good-bye may be back at once, with another counter. */
static void
test_restart_after_a_bow_out(void **state)
{
	struct carp_replay r;

	(void)state;
	carp_replay_init(&r);
	hear(&r, 0, 1, 1000, CARP_OK);
	hear(&r, 1000, 1, 1001, CARP_OK);
	hear_times(&r, 1500, 1, 1002, 255, 255, CARP_OK);
	hear(&r, 1501, 1, 50, CARP_OK);
	hear(&r, 2501, 1, 51, CARP_OK);
	hear(&r, 2502, 1, 1002, CARP_R_REPLAY);
}

/* The times are not signed: those of a recording say nothing. */
static void
test_times_of_the_run_count(void **state)
{
	struct carp_replay r;

	(void)state;
	carp_replay_init(&r);
	hear_times(&r, 0, 1, 1000, 2, 128, CARP_OK);
	hear_times(&r, 2500, 1, 1001, 2, 128, CARP_OK);
	hear_times(&r, 5000, 1, 50, 0, 1, CARP_R_RESTART);
	hear_times(&r, 5000, 1, 51, 255, 255, CARP_R_RESTART);
	hear_times(&r, 7499, 1, 52, 2, 128, CARP_R_RESTART);
	hear_times(&r, 7500, 1, 53, 2, 128, CARP_OK);
}

/* A recording that we do not know neither counts nor shuts anybody out. */
static void
test_unknown_recording_while_the_sender_speaks(void **state)
{
	struct carp_replay r;
	int64_t ms;

	(void)state;
	carp_replay_init(&r);
	hear(&r, 0, 1, 500, CARP_OK);
	for (ms = 1000; ms < 10000; ms += 1000) {
		hear(&r, ms, 1, 500 + (uint64_t)ms / 1000, CARP_OK);
		hear(&r, ms + 500, 1, (1ULL << 50) + (uint64_t)ms,
		    CARP_R_RESTART);
	}
	/* Not even if it begins before the sender is known to count. */
	carp_replay_init(&r);
	hear(&r, 0, 1, 500, CARP_OK);
	hear(&r, 1, 1, 1ULL << 50, CARP_OK);
	hear(&r, 2, 1, (1ULL << 50) + 1, CARP_OK);
	hear(&r, 1000, 1, 501, CARP_OK);
	hear(&r, 2000, 1, 502, CARP_OK);
	hear(&r, 3000, 1, 503, CARP_OK);
	hear(&r, 3004, 1, (1ULL << 50) + 1, CARP_R_REPLAY);
}

/* As ucarp does it. */
static void
test_random_counters(void **state)
{
	uint64_t c = 0x9e3779b97f4a7c15;
	struct carp_replay r;
	unsigned i;

	(void)state;
	carp_replay_init(&r);
	for (i = 1; i <= CARP_LONE_MAX; i++)
		hear(&r, i * 1000, 1, c * i, CARP_OK);
	for (i = 1; i <= CARP_LONE_MAX; i++)
		hear(&r, 500000, 1, c * i, CARP_R_REPLAY);
	/* So many it remembers, and not one more. */
	hear(&r, 500000, 1, c * i, CARP_OK);
	hear(&r, 500000, 1, c * 2, CARP_R_REPLAY);
	hear(&r, 500000, 1, c, CARP_OK);
}

/* The digest does not cover the source address. */
static void
test_replay_from_another_address(void **state)
{
	struct carp_replay r;

	(void)state;
	carp_replay_init(&r);
	hear(&r, 0, 1, 1000, CARP_OK);
	hear(&r, 100, 2, 1000, CARP_R_REPLAY);
	hear(&r, 1000, 1, 1001, CARP_OK);
	hear(&r, 1100, 2, 1000, CARP_R_REPLAY);
	hear(&r, 1100, 2, 1001, CARP_R_REPLAY);
	/* A second sender has a run of its own. */
	hear(&r, 1200, 2, 77, CARP_OK);
	hear(&r, 2000, 1, 1002, CARP_OK);
	hear(&r, 2200, 2, 78, CARP_OK);
	/* One run over two addresses, as OpenBSD's with IPv4 and IPv6. */
	hear(&r, 3000, 3, 1003, CARP_OK);
	hear(&r, 3000, 1, 1004, CARP_OK);
	hear(&r, 4000, 3, 1005, CARP_OK);
	hear(&r, 4000, 1, 1006, CARP_OK);
}

static void
test_own_do_not_come_back(void **state)
{
	struct carp_replay r;
	uint64_t i;

	(void)state;
	carp_replay_init(&r);
	for (i = 300; i < 305; i++)
		carp_replay_sent(&r, i);
	hear(&r, 10, 9, 300, CARP_R_REPLAY);
	hear(&r, 90000, 9, 304, CARP_R_REPLAY);
	hear(&r, 90000, 9, 1ULL << 33, CARP_OK);
	/* Begun anew: not everything between the two runs. */
	carp_replay_sent(&r, 1ULL << 60);
	hear(&r, 90000, 9, 1ULL << 59, CARP_OK);
	hear(&r, 90000, 9, 1ULL << 60, CARP_R_REPLAY);
}

static void
test_counter_goes_through_zero(void **state)
{
	struct carp_replay r;

	(void)state;
	carp_replay_init(&r);
	hear(&r, 0, 1, UINT64_MAX - 1, CARP_OK);
	hear(&r, 1, 1, UINT64_MAX, CARP_OK);
	hear(&r, 2, 1, 0, CARP_OK);
	hear(&r, 3, 1, UINT64_MAX, CARP_R_REPLAY);
	hear(&r, 4, 1, 0, CARP_R_REPLAY);
	hear(&r, 5, 1, 1, CARP_OK);
}

/* The gap that is still the same run, to the number. */
static void
test_gap(void **state)
{
	struct carp_replay r;

	(void)state;
	carp_replay_init(&r);
	hear(&r, 0, 1, 0, CARP_OK);
	hear(&r, 0, 1, 1, CARP_OK);
	hear(&r, 1, 1, 2 + CARP_RUN_GAP, CARP_R_RESTART);
	hear(&r, 1, 1, 1 + CARP_RUN_GAP, CARP_OK);
}

/* There is room for so many runs; the one silent for longest makes place. */
static void
test_oldest_run_is_forgotten(void **state)
{
	struct carp_replay r;
	uint8_t i;

	(void)state;
	carp_replay_init(&r);
	for (i = 0; i < CARP_RUNS_MAX; i++) {
		hear(&r, i, 10 + i, (uint64_t)i << 40, CARP_OK);
		hear(&r, i, 10 + i, ((uint64_t)i << 40) + 9, CARP_OK);
	}
	hear(&r, 100, 10, 10, CARP_OK); /* the first still speaks */
	hear(&r, 101, 99, 0x77ULL << 40, CARP_OK);
	hear(&r, 102, 99, (0x77ULL << 40) + 1, CARP_OK);
	hear(&r, 102, 10, 5, CARP_R_REPLAY);
	for (i = 2; i < CARP_RUNS_MAX; i++)
		hear(&r, 103, 10 + i, ((uint64_t)i << 40) + 5, CARP_R_REPLAY);
	hear(&r, 104, 11, (1ULL << 40) + 5, CARP_OK); /* this made place */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_capture_both_ways),
	    cmocka_unit_test(test_addresses_are_sorted),
	    cmocka_unit_test(test_every_reject_has_its_reason),
	    cmocka_unit_test(test_key),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_small_things),
	    cmocka_unit_test(test_counters_grow),
	    cmocka_unit_test(test_restart_is_heard_after_silence),
	    cmocka_unit_test(test_unknown_recording_while_the_sender_speaks),
	    cmocka_unit_test(test_restart_after_a_bow_out),
	    cmocka_unit_test(test_times_of_the_run_count),
	    cmocka_unit_test(test_random_counters),
	    cmocka_unit_test(test_replay_from_another_address),
	    cmocka_unit_test(test_own_do_not_come_back),
	    cmocka_unit_test(test_counter_goes_through_zero),
	    cmocka_unit_test(test_gap),
	    cmocka_unit_test(test_oldest_run_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
