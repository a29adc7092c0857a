/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HMAC of VRRP: the vectors of draft-cassen-vrrp-auth-hmac in both
 * directions, every bit that can be turned, and which sequences are sent and
 * believed while clocks go and are set.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "vrrp_auth.h"

enum { VRID = 51, PRIO = 200, LEN4 = 12, LEN6 = 24, WINDOW = 5 };

/* Of both vectors. */
static const uint64_t golden_seq = UINT64_C(0x6800000080000000);
static const uint8_t src4[16] = {198, 51, 100, 10};
static const uint8_t addr4[4] = {192, 0, 2, 100};
static const uint8_t src6[16] = {0xfe, 0x80, [15] = 0x10};
static const uint8_t dst6[16] = {0xfe, 0x80, [15] = 0x20};
static const uint8_t addr6[16] = {0xfe, 0x80, [14] = 1, [15] = 0};
static const uint8_t golden4[LEN4 + VRRP_TRAILER_LEN] = {0x31, 0x33, 0xc8, 0x01,
    0x00, 0x64, 0x44, 0x02, 0xc0, 0x00, 0x02, 0x64, 0x01, 0x01, 0x00, 0x00,
    0x68, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x1b, 0x84, 0xbc, 0x4e,
    0x8e, 0x43, 0x89, 0x2d, 0xc6, 0xd9, 0x84, 0x48, 0xf8, 0xee, 0x22, 0x65};
static const uint8_t golden6[LEN6 + VRRP_TRAILER_LEN] = {0x31, 0x33, 0xc8, 0x01,
    0x00, 0x64, 0xa2, 0xe9, 0xfe, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x01, 0x00, 0x00,
    0x68, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0xc8, 0xc5, 0x61, 0x46,
    0xeb, 0xfd, 0x66, 0xee, 0x10, 0xec, 0x4d, 0x81, 0x86, 0x46, 0x1b, 0x78};

/* A router with keys 1 (00 to 1f) and 2; it signs with the first. */
struct router {
	struct vrrp_auth a;
	struct vrrp_auth_key keys[2];
};

static void
router_init(struct router *r)
{
	uint8_t key[VRRP_HMAC_KEY_MAX];

	memset(r, 0, sizeof(*r));
	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	vrrp_auth_key_init(&r->keys[0], 1, key, 32);
	vrrp_auth_key_init(&r->keys[1], 2, key, 64);
	r->a.keys = r->keys;
	r->a.n_keys = 2;
	r->a.sign = 1;
	r->a.enforce = true;
	r->a.window_s = WINDOW;
}

static void
packet_init(struct vrrp_packet *p, uint8_t family)
{
	vrrp_packet_init(p, 3, family, VRID);
	p->priority = PRIO;
	p->interval_ms = 1000;
	p->naddr = 1;
	p->addrs = family == 4 ? addr4 : addr6;
	memcpy(p->f.src, family == 4 ? src4 : src6, 16);
	if (family == 4)
		p->sum = VRRP_SUM_MESSAGE;
	else
		adv_frame_unicast(&p->f, dst6, (const uint8_t[6]){0});
}

/* The message alone, and its signature. */
static void
sign(struct router *r, struct vrrp_packet *p, uint64_t clock,
    uint8_t trailer[VRRP_TRAILER_LEN])
{
	uint8_t msg[64];
	size_t n;

	p->trailer = NULL;
	n = vrrp_encode_message(msg, sizeof(msg), p);
	vrrp_auth_sign(&r->a, clock, p->f.family, p->f.src, msg, n, trailer);
	p->trailer = trailer;
}

static enum vrrp_reject
check_as(struct router *r, const uint8_t *msg, size_t len, uint8_t family,
    const uint8_t src[16], uint64_t clock)
{
	struct vrrp_packet p;
	int32_t ahead;

	packet_init(&p, family);
	memcpy(p.f.src, src, 16);
	p.version = msg[0] >> 4;
	p.vrid = msg[1];
	p.naddr = msg[3];
	/* What the decoder would refuse gets here, too. */
	p.trailer = msg + len - VRRP_TRAILER_LEN;
	return vrrp_auth_check(&r->a, &p, clock, &ahead);
}

static void
test_vectors_are_signed(void **state)
{
	uint8_t out[128], trailer[VRRP_TRAILER_LEN];
	struct vrrp_packet p;
	struct router r;

	(void)state;
	router_init(&r);
	packet_init(&p, 4);
	sign(&r, &p, golden_seq, trailer);
	assert_int_equal(
	    vrrp_encode_message(out, sizeof(out), &p), sizeof(golden4));
	assert_memory_equal(out, golden4, sizeof(golden4));

	router_init(&r);
	packet_init(&p, 6);
	sign(&r, &p, golden_seq, trailer);
	assert_int_equal(
	    vrrp_encode_message(out, sizeof(out), &p), sizeof(golden6));
	assert_memory_equal(out, golden6, sizeof(golden6));
}

static void
test_vectors_are_believed(void **state)
{
	struct vrrp_packet p;
	struct router r;
	int32_t ahead;

	(void)state;
	router_init(&r);
	packet_init(&p, 4);
	assert_int_equal(
	    vrrp_decode_message(&p, golden4, sizeof(golden4)), VRRP_OK);
	assert_ptr_equal(p.trailer, golden4 + LEN4);
	assert_int_equal(p.sum, VRRP_SUM_MESSAGE);
	assert_int_equal(
	    vrrp_auth_check(&r.a, &p, golden_seq - (UINT64_C(3) << 32), &ahead),
	    VRRP_OK);
	assert_int_equal(ahead, 3);

	packet_init(&p, 6);
	assert_int_equal(
	    vrrp_decode_message(&p, golden6, sizeof(golden6)), VRRP_OK);
	assert_ptr_equal(p.trailer, golden6 + LEN6);
	assert_int_equal(
	    vrrp_auth_check(&r.a, &p, golden_seq + (UINT64_C(2) << 32), &ahead),
	    VRRP_OK);
	assert_int_equal(ahead, -2);
}

/* Any bit of it: nothing is ignored but the checksum, which has its own test.
 */
static void
test_each_bit_counts(void **state)
{
	uint8_t b[sizeof(golden6)];
	enum vrrp_reject got, want;
	struct router r;

	(void)state;
	for (unsigned bit = 0; bit < 8 * sizeof(b); bit++) {
		unsigned at = bit / 8, to = at - LEN6;

		if (at == 3)
			continue; /* the count: another length */
		memcpy(b, golden6, sizeof(b));
		b[at] ^= (uint8_t)(1u << bit % 8);
		if (at == 0 && b[0] >> 4 == 2)
			continue; /* no such packet of IPv6 */
		router_init(&r);
		r.a.monotonic = true; /* by time: see the windows */
		got = check_as(&r, b, sizeof(b), 6, src6, golden_seq);
		want = VRRP_R_HMAC;
		if (at == 6 || at == 7)
			want = VRRP_OK;
		else if (at >= LEN6 && (to == 0 || to == 2 || to == 3))
			want = VRRP_R_HMAC_MALFORMED;
		else if (at >= LEN6 && to == 1 && b[at] != 2)
			want = VRRP_R_HMAC_KEY;
		if (got != want)
			fail_msg("bit %u of byte %u: %s", bit % 8, at,
			    vrrp_reject_name(got));
	}
}

static void
test_source_and_key_count(void **state)
{
	uint8_t other[16], trailer[VRRP_TRAILER_LEN], out[64];
	struct vrrp_packet p;
	struct router r;
	size_t n;

	(void)state;
	router_init(&r);
	memcpy(other, src6, 16);
	other[15] ^= 1;
	assert_int_equal(
	    check_as(&r, golden6, sizeof(golden6), 6, other, golden_seq),
	    VRRP_R_HMAC);
	/* The other key, of the greatest length, in either direction. */
	r.a.sign = 2;
	packet_init(&p, 4);
	sign(&r, &p, golden_seq, trailer);
	n = vrrp_encode_message(out, sizeof(out), &p);
	assert_int_equal(trailer[1], 2);
	assert_int_equal(check_as(&r, out, n, 4, src4, golden_seq), VRRP_OK);
	r.a.n_keys = 1;
	assert_int_equal(
	    check_as(&r, out, n, 4, src4, golden_seq), VRRP_R_HMAC_KEY);
}

/* Of IPv4 it covers the message, of IPv6 the trailer, too. */
static void
test_checksums(void **state)
{
	uint8_t b[128], trailer[VRRP_TRAILER_LEN], bare[64];
	struct vrrp_packet p, q;
	struct router r;
	size_t n;

	(void)state;
	memcpy(b, golden6, sizeof(golden6));
	b[LEN6 + 20] ^= 1;
	packet_init(&p, 6);
	assert_int_equal(
	    vrrp_decode_message(&p, b, sizeof(golden6)), VRRP_R_CHECKSUM);
	memcpy(b, golden4, sizeof(golden4));
	b[LEN4 + 20] ^= 1;
	packet_init(&p, 4);
	assert_int_equal(vrrp_decode_message(&p, b, sizeof(golden4)), VRRP_OK);
	b[6] ^= 1;
	assert_int_equal(
	    vrrp_decode_message(&p, b, sizeof(golden4)), VRRP_R_CHECKSUM);

	/* The form of keepalived: as without a trailer. */
	router_init(&r);
	packet_init(&p, 4);
	p.sum = VRRP_SUM_PSEUDO;
	(void)vrrp_encode_message(bare, sizeof(bare), &p);
	sign(&r, &p, golden_seq, trailer);
	n = vrrp_encode_message(b, sizeof(b), &p);
	assert_memory_equal(b, bare, LEN4);
	packet_init(&q, 4);
	assert_int_equal(vrrp_decode_message(&q, b, n), VRRP_OK);
	assert_int_equal(q.sum, VRRP_SUM_PSEUDO);
	assert_int_equal(check_as(&r, b, n, 4, src4, golden_seq), VRRP_OK);
}

/* Whole frames of every version and family, and their lengths. */
static void
test_frames(void **state)
{
	static const uint8_t kinds[][2] = {{2, 4}, {3, 4}, {3, 6}};
	uint8_t out[256], trailer[VRRP_TRAILER_LEN], msg[64];
	struct vrrp_packet p, q;
	struct vrrp_expect e;
	struct router r;
	int32_t ahead;
	size_t n, len;

	(void)state;
	for (unsigned i = 0; i < NITEMS(kinds); i++) {
		router_init(&r);
		packet_init(&p, kinds[i][1]);
		p.version = kinds[i][0];
		len = vrrp_encode_message(msg, sizeof(msg), &p);
		vrrp_auth_sign(
		    &r.a, golden_seq, p.f.family, p.f.src, msg, len, trailer);
		p.trailer = trailer;
		n = vrrp_encode_frame(out, sizeof(out), &p);
		assert_int_equal(
		    n, ADV_ETH_LEN + adv_ip_len(&p.f) + len + VRRP_TRAILER_LEN);
		assert_int_equal(vrrp_decode_frame(&q, out, n), VRRP_OK);
		assert_memory_equal(q.trailer, trailer, VRRP_TRAILER_LEN);
		assert_int_equal(
		    vrrp_auth_check(&r.a, &q, golden_seq, &ahead), VRRP_OK);
		/* Who has no keys takes it as before: it is too long. */
		e = (struct vrrp_expect){
		    p.version, p.f.family, VRID, .trailer = false};
		assert_int_equal(vrrp_check(&q, &e), VRRP_R_LENGTH);
		e.trailer = true;
		assert_int_equal(vrrp_check(&q, &e), VRRP_OK);
		n = vrrp_encode_ip(out, sizeof(out), &p);
		assert_int_equal(vrrp_decode_ip(&q, out, n), VRRP_OK);
		assert_non_null(q.trailer);
		/* And one byte less or more is no trailer. */
		memcpy(out, msg, len);
		memcpy(out + len, trailer, VRRP_TRAILER_LEN);
		for (int by = -1; by <= 1; by += 2) {
			q = p;
			assert_int_equal(
			    vrrp_decode_message(&q, out,
				(size_t)((int)len + VRRP_TRAILER_LEN + by)),
			    VRRP_R_LENGTH);
		}
	}
}

static void
test_what_is_not_signed(void **state)
{
	struct vrrp_packet p;
	struct router r;
	int32_t ahead;

	(void)state;
	router_init(&r);
	packet_init(&p, 4);
	assert_int_equal(
	    vrrp_auth_check(&r.a, &p, golden_seq, &ahead), VRRP_R_HMAC_MISSING);
	r.a.enforce = false;
	assert_int_equal(
	    vrrp_auth_check(&r.a, &p, golden_seq, &ahead), VRRP_OK);
	/* But what is signed has to be signed well. */
	p.trailer = golden4 + LEN4;
	p.addrs = addr4;
	assert_int_equal(
	    check_as(&r, golden4, sizeof(golden4), 4, src6, golden_seq),
	    VRRP_R_HMAC);
}

/* What a sender sends: its sequences, as its clock goes. */
static uint64_t
sends(struct router *r, uint64_t clock)
{
	uint8_t trailer[VRRP_TRAILER_LEN];
	struct vrrp_trailer t;
	struct vrrp_packet p;

	packet_init(&p, 4);
	sign(r, &p, clock, trailer);
	vrrp_trailer_get(&t, trailer);
	assert_int_equal(t.type, VRRP_AUTH_HMAC_SHA256);
	assert_int_equal(t.reserved, 0);
	return t.seq;
}

#define SEC(n) ((uint64_t)(n) << 32)

static void
test_clock(void **state)
{
	(void)state;
	assert_true(vrrp_auth_clock(0) == 0);
	assert_true(vrrp_auth_clock(1500000) == (SEC(1) | 0x80000000));
	assert_true(vrrp_auth_clock(999999) == UINT64_C(0xffff0000) ||
		    vrrp_auth_clock(999999) < SEC(1));
	assert_true((vrrp_auth_clock(999999) & 0xffff) == 0);
	/* Beyond 2106 the seconds begin again. */
	assert_true(vrrp_auth_clock(UINT64_C(4294967297) * 1000000) == SEC(1));
}

static void
test_sequence_grows(void **state)
{
	struct router r;

	(void)state;
	for (int monotonic = 0; monotonic < 2; monotonic++) {
		router_init(&r);
		r.a.monotonic = monotonic == 1;
		assert_true(sends(&r, SEC(100)) == SEC(100));
		assert_true(sends(&r, SEC(100)) == SEC(100) + 1);
		assert_true(sends(&r, SEC(101)) == SEC(101));
		/* A little back: it goes on. */
		assert_true(sends(&r, SEC(99)) == SEC(101) + 1);
		assert_true(sends(&r, SEC(96) + 2) == SEC(101) + 2);
		/* Far back: by time it begins there, else it goes on. */
		assert_true(
		    sends(&r, SEC(50)) == (monotonic ? SEC(101) + 3 : SEC(50)));
		/* Through zero. */
		assert_true(sends(&r, SEC(UINT32_MAX)) ==
			    (monotonic ? SEC(101) + 4 : SEC(UINT32_MAX)));
	}
	router_init(&r);
	assert_true(sends(&r, SEC(UINT32_MAX)) == SEC(UINT32_MAX));
	assert_true(sends(&r, SEC(0)) == SEC(0));
	assert_true(sends(&r, SEC(1)) == SEC(1));
}

/* A sender's advert of this sequence, as a receiver hears it. */
static enum vrrp_reject
hears(struct router *r, const uint8_t src[16], uint64_t seq, uint64_t clock)
{
	uint8_t trailer[VRRP_TRAILER_LEN], out[64];
	struct router from;
	struct vrrp_packet p;
	size_t n;

	router_init(&from);
	packet_init(&p, 4);
	memcpy(p.f.src, src, 16);
	sign(&from, &p, seq, trailer);
	n = vrrp_encode_message(out, sizeof(out), &p);
	return check_as(r, out, n, 4, src, clock);
}

static void
test_replay(void **state)
{
	struct router r;

	(void)state;
	for (int monotonic = 0; monotonic < 2; monotonic++) {
		router_init(&r);
		r.a.monotonic = monotonic == 1;
		assert_int_equal(hears(&r, src4, SEC(100), SEC(100)), VRRP_OK);
		assert_int_equal(
		    hears(&r, src4, SEC(100), SEC(100)), VRRP_R_HMAC_REPLAY);
		assert_int_equal(
		    hears(&r, src4, SEC(99), SEC(100)), VRRP_R_HMAC_REPLAY);
		assert_int_equal(
		    hears(&r, src4, SEC(100) + 1, SEC(100)), VRRP_OK);
		assert_int_equal(hears(&r, src4, SEC(102), SEC(100)), VRRP_OK);
		assert_int_equal(
		    hears(&r, src4, SEC(101), SEC(101)), VRRP_R_HMAC_REPLAY);
	}
}

static void
test_window(void **state)
{
	struct router r;

	(void)state;
	router_init(&r);
	assert_int_equal(hears(&r, src4, SEC(94), SEC(100)), VRRP_R_HMAC_STALE);
	assert_int_equal(hears(&r, src4, SEC(95), SEC(100)), VRRP_OK);
	assert_int_equal(
	    hears(&r, src4, SEC(106), SEC(100)), VRRP_R_HMAC_STALE);
	assert_int_equal(hears(&r, src4, SEC(105), SEC(100)), VRRP_OK);
	/* Through zero, both ways. */
	router_init(&r);
	assert_int_equal(hears(&r, src4, SEC(UINT32_MAX), SEC(1)), VRRP_OK);
	assert_int_equal(hears(&r, src4, SEC(2), SEC(UINT32_MAX)), VRRP_OK);
	/* Old ones are refused before their digest is looked at. */
	assert_int_equal(check_as(&r, golden4, sizeof(golden4), 4, src6,
			     golden_seq + SEC(6)),
	    VRRP_R_HMAC_STALE);
	/* Without time nothing is old. */
	r.a.monotonic = true;
	router_init(&r);
	r.a.monotonic = true;
	assert_int_equal(hears(&r, src4, SEC(5), SEC(100000)), VRRP_OK);
	assert_int_equal(hears(&r, src4, SEC(200000), SEC(100)), VRRP_OK);
}

/* A sender whose clock was ahead is heard again when it is right. */
static void
test_clock_set_back(void **state)
{
	struct router r;

	(void)state;
	router_init(&r);
	assert_int_equal(hears(&r, src4, SEC(105), SEC(100)), VRRP_OK);
	/* Both are set back by a minute. */
	assert_int_equal(hears(&r, src4, SEC(40), SEC(40)), VRRP_OK);
	assert_int_equal(hears(&r, src4, SEC(40), SEC(41)), VRRP_R_HMAC_REPLAY);
	/* Only the sender's, within the window: until the mark is reached. */
	assert_int_equal(hears(&r, src4, SEC(39), SEC(41)), VRRP_R_HMAC_REPLAY);
	assert_int_equal(hears(&r, src4, SEC(41), SEC(42)), VRRP_OK);
	/* Monotonic: never. */
	r.a.monotonic = true;
	assert_int_equal(hears(&r, src4, SEC(20), SEC(20)), VRRP_R_HMAC_REPLAY);
}

static void
test_group_remembers_four(void **state)
{
	uint8_t src[16] = {10};
	struct router r;

	(void)state;
	router_init(&r);
	for (uint8_t i = 1; i <= 4; i++) {
		src[3] = i;
		assert_int_equal(
		    hears(&r, src, SEC(100) + i, SEC(100)), VRRP_OK);
	}
	src[3] = 1;
	assert_int_equal(hears(&r, src, SEC(101), SEC(100)), VRRP_OK);
	/* What is not signed well takes no place. */
	for (uint8_t i = 1; i < 200; i++)
		assert_int_equal(check_as(&r, golden4, sizeof(golden4), 4,
				     (uint8_t[16]){11, 0, 0, i}, golden_seq),
		    VRRP_R_HMAC);
	for (uint8_t i = 1; i <= 4; i++) {
		src[3] = i;
		assert_int_equal(
		    hears(&r, src, SEC(100) + i, SEC(100)), VRRP_R_HMAC_REPLAY);
	}
	/* A fifth one takes that of the second, which was silent longest. */
	src[3] = 5;
	assert_int_equal(hears(&r, src, SEC(100), SEC(100)), VRRP_OK);
	src[3] = 1;
	assert_int_equal(
	    hears(&r, src, SEC(101), SEC(100)), VRRP_R_HMAC_REPLAY);
	src[3] = 3;
	assert_int_equal(
	    hears(&r, src, SEC(100) + 3, SEC(100)), VRRP_R_HMAC_REPLAY);
	src[3] = 2;
	assert_int_equal(hears(&r, src, SEC(100) + 2, SEC(100)), VRRP_OK);
}

static void
test_unicast_knows_its_peers(void **state)
{
	static uint8_t peers[VRRP_AUTH_MARKS][16];
	uint8_t src[16] = {10};
	struct router r, next;

	(void)state;
	router_init(&r);
	for (uint8_t i = 0; i < VRRP_AUTH_MARKS; i++) {
		peers[i][0] = 10;
		peers[i][3] = i;
	}
	memcpy(r.a.peers, peers, sizeof(peers));
	r.a.n_peers = VRRP_AUTH_MARKS;
	for (uint8_t i = 0; i < VRRP_AUTH_MARKS; i++) {
		src[3] = i;
		assert_int_equal(hears(&r, src, SEC(100), SEC(100)), VRRP_OK);
	}
	for (uint8_t i = 0; i < VRRP_AUTH_MARKS; i++) {
		src[3] = i;
		assert_int_equal(
		    hears(&r, src, SEC(100), SEC(100)), VRRP_R_HMAC_REPLAY);
	}
	src[3] = 99;
	assert_int_equal(
	    hears(&r, src, SEC(100), SEC(100)), VRRP_R_HMAC_SENDER);
	/* A configuration with other peers and keys goes on. */
	assert_true(sends(&r, SEC(300)) == SEC(300));
	router_init(&next);
	memcpy(next.a.peers, peers[1], 2 * 16);
	next.a.n_peers = 1;
	vrrp_auth_adopt(&next.a, &r.a);
	assert_true(sends(&next, SEC(300)) == SEC(300) + 1);
	src[3] = 1;
	assert_int_equal(
	    hears(&next, src, SEC(100), SEC(100)), VRRP_R_HMAC_REPLAY);
	src[3] = 2;
	assert_int_equal(
	    hears(&next, src, SEC(100), SEC(100)), VRRP_R_HMAC_SENDER);
	next.a.n_peers = 2;
	assert_int_equal(hears(&next, src, SEC(100), SEC(100)), VRRP_OK);
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(
	    vrrp_reject_name(VRRP_R_HMAC_MISSING), "hmac-missing");
	assert_string_equal(
	    vrrp_reject_name(VRRP_R_HMAC_MALFORMED), "hmac-malformed");
	assert_string_equal(vrrp_reject_name(VRRP_R_HMAC_STALE), "hmac-stale");
	assert_string_equal(vrrp_reject_name(VRRP_R_HMAC_KEY), "hmac-key");
	assert_string_equal(vrrp_reject_name(VRRP_R_HMAC), "hmac");
	assert_string_equal(
	    vrrp_reject_name(VRRP_R_HMAC_SENDER), "hmac-sender");
	assert_string_equal(
	    vrrp_reject_name(VRRP_R_HMAC_REPLAY), "hmac-replay");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors_are_signed),
	    cmocka_unit_test(test_vectors_are_believed),
	    cmocka_unit_test(test_each_bit_counts),
	    cmocka_unit_test(test_source_and_key_count),
	    cmocka_unit_test(test_checksums),
	    cmocka_unit_test(test_frames),
	    cmocka_unit_test(test_what_is_not_signed),
	    cmocka_unit_test(test_clock),
	    cmocka_unit_test(test_sequence_grows),
	    cmocka_unit_test(test_replay),
	    cmocka_unit_test(test_window),
	    cmocka_unit_test(test_clock_set_back),
	    cmocka_unit_test(test_group_remembers_four),
	    cmocka_unit_test(test_unicast_knows_its_peers),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
