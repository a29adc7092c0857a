/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Authentication of VRRP advertisements by HMAC-SHA256.  See vrrp_auth.h.
 *
 *	 0       1       2       3       4       5       6       7
 *	+-------+-------+-------+-------+-------+-------+-------+-------+
 *	| type  |key id | 0             | seconds since 1970            |
 *	+-------+-------+-------+-------+-------+-------+-------+-------+
 *	| 1/65536 s     | counter       | HMAC, 16 bytes ...            |
 *	+-------+-------+-------+-------+-------+-------+-------+-------+
 *
 * All distances of sequences are modulo 2^64 (RFC 1982).
 *
 * libcrypto's own HMAC allocates with every digest, and may fail.  What it
 * calls the low-level interface does neither, and a key is prepared once: its
 * two states are copied.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <string.h>

#include <openssl/crypto.h>

#include "vrrp_auth.h"

enum { SEQ = 4, HMAC = 12, CHECKSUM = 6, INNER = 0x36, OUTER = 0x5c };

_Static_assert((int)VRRP_AUTH_MARKS >= (int)HAD_ROUTER_PEERS_MAX &&
		   (int)VRRP_AUTH_MARKS >= (int)VRRP_AUTH_SENDERS &&
		   (int)HMAC + (int)VRRP_HMAC_LEN == (int)VRRP_TRAILER_LEN,
    "each sender has a mark");

void
vrrp_trailer_put(uint8_t bytes[VRRP_TRAILER_LEN], const struct vrrp_trailer *t)
{
	bytes[0] = t->type;
	bytes[1] = t->key;
	bytes[2] = (uint8_t)(t->reserved >> 8);
	bytes[3] = (uint8_t)t->reserved;
	for (unsigned i = 0; i < 8; i++)
		bytes[SEQ + i] = (uint8_t)(t->seq >> (56 - 8 * i));
	memcpy(bytes + HMAC, t->hmac, VRRP_HMAC_LEN);
}

void
vrrp_trailer_get(struct vrrp_trailer *t, const uint8_t bytes[VRRP_TRAILER_LEN])
{
	t->type = bytes[0];
	t->key = bytes[1];
	t->reserved = (uint16_t)(bytes[2] << 8 | bytes[3]);
	t->seq = 0;
	for (unsigned i = 0; i < 8; i++)
		t->seq = t->seq << 8 | bytes[SEQ + i];
	memcpy(t->hmac, bytes + HMAC, VRRP_HMAC_LEN);
}

void
vrrp_auth_key_init(
    struct vrrp_auth_key *k, uint8_t id, const uint8_t *key, size_t len)
{
	uint8_t inner[SHA256_CBLOCK], outer[SHA256_CBLOCK];

	ASSERT(id != 0 && len <= VRRP_HMAC_KEY_MAX);
	memset(inner, INNER, sizeof(inner));
	memset(outer, OUTER, sizeof(outer));
	for (size_t i = 0; i < len; i++) {
		inner[i] ^= key[i];
		outer[i] ^= key[i];
	}
	memset(k, 0, sizeof(*k));
	k->id = id;
	SHA256_Init(&k->inner);
	SHA256_Update(&k->inner, inner, sizeof(inner));
	SHA256_Init(&k->outer);
	SHA256_Update(&k->outer, outer, sizeof(outer));
	OPENSSL_cleanse(inner, sizeof(inner));
	OPENSSL_cleanse(outer, sizeof(outer));
}

/* Of a message, its checksum read as zero, and the head of its trailer. */
static void
digest_of(const struct vrrp_auth_key *k, uint8_t family, const uint8_t *src,
    const uint8_t *msg, size_t len, const uint8_t trailer[VRRP_TRAILER_LEN],
    uint8_t hmac[VRRP_HMAC_LEN])
{
	static const uint8_t zero[VRRP_HMAC_LEN];
	uint8_t pseudo[20] = {family, msg[0] >> 4, msg[1]};
	uint8_t whole[SHA256_DIGEST_LENGTH];
	SHA256_CTX c = k->inner;

	ASSERT(len >= VRRP_HEAD_LEN && (family == 4 || family == 6));
	memcpy(pseudo + 4, src, family == 4 ? 4 : 16);
	SHA256_Update(&c, pseudo, sizeof(pseudo));
	SHA256_Update(&c, msg, CHECKSUM);
	SHA256_Update(&c, zero, 2);
	SHA256_Update(&c, msg + CHECKSUM + 2, len - CHECKSUM - 2);
	SHA256_Update(&c, trailer, HMAC);
	SHA256_Update(&c, zero, VRRP_HMAC_LEN);
	SHA256_Final(whole, &c);
	c = k->outer;
	SHA256_Update(&c, whole, sizeof(whole));
	SHA256_Final(whole, &c);
	memcpy(hmac, whole, VRRP_HMAC_LEN);
}

uint64_t
vrrp_auth_clock(uint64_t us)
{
	return us / 1000000 << 32 | us % 1000000 * 65536 / 1000000 << 16;
}

/* Is a later than b? */
static bool
after(uint64_t a, uint64_t b)
{
	return a != b && a - b <= INT64_MAX;
}

static const struct vrrp_auth_key *
key_of(const struct vrrp_auth *a, uint8_t id)
{
	for (uint8_t i = 0; i < a->n_keys; i++)
		if (a->keys[i].id == id)
			return &a->keys[i];
	return NULL;
}

/*
 * Of the own clock; later than the last one, unless that one is of a clock
 * that was wrong: nobody would believe what goes on from there.
 */
static uint64_t
next_seq(const struct vrrp_auth *a, uint64_t clock)
{
	uint64_t window = (uint64_t)a->window_s << 32;

	if (!a->sent || after(clock, a->last) ||
	    (!a->monotonic && after(a->last, clock + window)))
		return clock;
	return a->last + 1;
}

void
vrrp_auth_sign(struct vrrp_auth *a, uint64_t clock, uint8_t family,
    const uint8_t *src, const uint8_t *msg, size_t len,
    uint8_t trailer[VRRP_TRAILER_LEN])
{
	const struct vrrp_auth_key *k = key_of(a, a->sign);
	struct vrrp_trailer t = {.type = VRRP_AUTH_HMAC_SHA256};

	ASSERT(k != NULL);
	t.key = k->id;
	t.seq = a->last = next_seq(a, clock);
	a->sent = true;
	vrrp_trailer_put(trailer, &t);
	digest_of(k, family, src, msg, len, trailer, trailer + HMAC);
}

static bool
is_peer(const struct vrrp_auth *a, const uint8_t src[16])
{
	for (uint8_t i = 0; i < a->n_peers; i++)
		if (memcmp(a->peers[i], src, 16) == 0)
			return true;
	return a->n_peers == 0;
}

static struct vrrp_auth_mark *
mark_of(struct vrrp_auth *a, const uint8_t src[16])
{
	for (unsigned i = 0; i < VRRP_AUTH_MARKS; i++)
		if (a->marks[i].used && memcmp(a->marks[i].src, src, 16) == 0)
			return &a->marks[i];
	return NULL;
}

/* For a sender that has none: an empty one, or that of the most silent. */
static struct vrrp_auth_mark *
mark_new(struct vrrp_auth *a)
{
	unsigned n = a->n_peers == 0 ? VRRP_AUTH_SENDERS : VRRP_AUTH_MARKS;
	struct vrrp_auth_mark *m = &a->marks[0];

	for (unsigned i = 0; i < n && m->used; i++)
		if (!a->marks[i].used ||
		    a->turn - a->marks[i].turn > a->turn - m->turn)
			m = &a->marks[i];
	return m;
}

static bool
in_window(const struct vrrp_auth *a, uint64_t seq, uint64_t clock)
{
	uint32_t ahead = (uint32_t)(seq >> 32) - (uint32_t)(clock >> 32);

	return ahead + a->window_s <= 2u * a->window_s;
}

/* Its HMAC is right: so is its source, and that it was sent once. */
static enum vrrp_reject
check_replay(
    struct vrrp_auth *a, const uint8_t src[16], uint64_t seq, uint64_t clock)
{
	struct vrrp_auth_mark *m = mark_of(a, src);

	if (!is_peer(a, src))
		return VRRP_R_HMAC_SENDER;
	/*
	 * By time, a mark of what would not be believed now is of a clock that
	 * was wrong: without it the sender is heard again.
	 */
	if (m != NULL && !after(seq, m->seq) &&
	    (a->monotonic || in_window(a, m->seq, clock)))
		return VRRP_R_HMAC_REPLAY;
	if (m == NULL)
		m = mark_new(a);
	m->used = true;
	memcpy(m->src, src, sizeof(m->src));
	m->seq = seq;
	m->turn = ++a->turn;
	return VRRP_OK;
}

enum vrrp_reject
vrrp_auth_check(struct vrrp_auth *a, const struct vrrp_packet *p,
    uint64_t clock, int32_t *ahead_s)
{
	size_t len = vrrp_message_len(p);
	const struct vrrp_auth_key *k;
	uint8_t want[VRRP_HMAC_LEN];
	struct vrrp_trailer t;

	*ahead_s = 0;
	if (p->trailer == NULL)
		return a->enforce ? VRRP_R_HMAC_MISSING : VRRP_OK;
	vrrp_trailer_get(&t, p->trailer);
	if (t.type != VRRP_AUTH_HMAC_SHA256 || t.reserved != 0)
		return VRRP_R_HMAC_MALFORMED;
	*ahead_s = (int32_t)((uint32_t)(t.seq >> 32) - (uint32_t)(clock >> 32));
	/* Before the digest: a flood of old adverts costs none. */
	if (!a->monotonic && !in_window(a, t.seq, clock))
		return VRRP_R_HMAC_STALE;
	k = key_of(a, t.key);
	if (k == NULL)
		return VRRP_R_HMAC_KEY;
	/* A decoded packet's message stands before its trailer. */
	digest_of(
	    k, p->f.family, p->f.src, p->trailer - len, len, p->trailer, want);
	if (CRYPTO_memcmp(want, t.hmac, VRRP_HMAC_LEN) != 0)
		return VRRP_R_HMAC;
	return check_replay(a, p->f.src, t.seq, clock);
}

bool
vrrp_auth_is_last(const struct vrrp_auth *a, const struct vrrp_packet *p)
{
	struct vrrp_trailer t;

	ASSERT(p->trailer != NULL);
	vrrp_trailer_get(&t, p->trailer);
	for (unsigned i = 0; i < VRRP_AUTH_MARKS; i++)
		if (a->marks[i].used &&
		    memcmp(a->marks[i].src, p->f.src, 16) == 0)
			return a->marks[i].seq == t.seq;
	return false;
}

void
vrrp_auth_adopt(struct vrrp_auth *a, const struct vrrp_auth *old)
{
	a->sent = old->sent;
	a->last = old->last;
	a->turn = old->turn;
	memcpy(a->marks, old->marks, sizeof(a->marks));
	/* A peer that is none any more has its place for another. */
	for (unsigned i = 0; i < VRRP_AUTH_MARKS; i++)
		if (a->marks[i].used && !is_peer(a, a->marks[i].src))
			a->marks[i].used = false;
}
