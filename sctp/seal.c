/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records and keys of one association.
 *
 * Rules of the exchange of keys, for the epoch after the one in use (all of it
 * travels in order on stream 0):
 *  - Whoever has a session that differs from the one in use, or has used up
 *    its keys, or sees a token of the current session, sends a TOKEN.
 *  - Own and peer's TOKEN of the same session: install the keys for receiving,
 *    send CONFIRM.  From then on this end does not give up on them by itself.
 *  - CONFIRM, or anything that opens under the new keys: use them for sending.
 *  - An end that has not installed may start over with a newer session.  The
 *    other one, if it has installed, sees a TOKEN before any CONFIRM, and
 *    starts over as well.
 */
#include "seal.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

enum {
	SEAL_VERSION = 1,
	SEAL_NONCE = 32,
	SEAL_MAC = 32,
	SEAL_TOKEN_LEN = SEAL_HEADER + 8 + SEAL_NONCE + SEAL_MAC,
	/* Records of older keys may still be under way on other streams. */
	SEAL_EPOCHS = 8,
	SEAL_WINDOW = 256,
	/* Sequence space of CONFIRM: one record for each pair of keys. */
	SEAL_CONFIRM_STREAM = 0x7fff,
	SEAL_UNORDERED = 0x8000,
	SEAL_CONTROLS = 4,
};

/* NIST's bound for one GCM key, and TLS 1.3's caution about bytes. */
#define SEAL_RECORDS_HARD (UINT64_C(1) << 32)
#define SEAL_BYTES_SOFT (UINT64_C(1) << 36)

struct seal_key {
	EVP_CIPHER_CTX *ctx; /* owned */
	uint8_t iv[12];
	uint16_t epoch; /* 0 = unused */
};

struct seal {
	struct seal_conf conf;
	EVP_CIPHER *cipher; /* owned */
	bool failed; /* the library failed; nothing may be sent */

	struct seal_session session; /* zero if !have_session */
	bool have_session;
	uint8_t used_sid[8]; /* session of the keys in use */

	uint16_t epoch; /* in use for sending */
	struct seal_key tx, tx_next;
	struct seal_key rx[SEAL_EPOCHS]; /* by epoch */
	uint64_t records, bytes; /* sent under tx */
	uint64_t tx_seq[SEAL_STREAMS];
	uint64_t rx_seq[SEAL_STREAMS]; /* next, ordered streams */
	uint64_t rx_top; /* unordered: highest + 1 */
	uint64_t rx_seen[SEAL_WINDOW / 64];

	/* The exchange for epoch + 1. */
	bool offered, installed, held;
	uint8_t own_sid[8], own_nonce[SEAL_NONCE];
	uint8_t held_token[SEAL_TOKEN_LEN]; /* the peer's, to be looked at */

	/* What seal_control gives out, in this order. */
	uint8_t control[SEAL_CONTROLS][SEAL_CONTROL_MAX];
	uint8_t control_len[SEAL_CONTROLS];
	unsigned n_control;
};

static void
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static void
put64(uint8_t *p, uint64_t v)
{
	int i;

	for (i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t
get64(const uint8_t *p)
{
	uint64_t v = 0;
	int i;

	for (i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static void
seal_header(uint8_t *p, enum seal_type type, uint16_t epoch, uint16_t stream,
    uint64_t seq)
{
	p[0] = SEAL_VERSION;
	p[1] = (uint8_t)type;
	put16(p + 2, epoch);
	put16(p + 4, stream);
	put16(p + 6, 0);
	put64(p + 8, seq);
}

struct seal *
seal_new(const struct seal_conf *conf)
{
	struct seal *s;
	bool ok;
	int i;

	ASSERT(conf->rekey_records > 0);
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->conf = *conf;
	s->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	s->tx.ctx = EVP_CIPHER_CTX_new();
	s->tx_next.ctx = EVP_CIPHER_CTX_new();
	ok = s->cipher != NULL && s->tx.ctx != NULL && s->tx_next.ctx != NULL;
	for (i = 0; i < SEAL_EPOCHS; i++) {
		s->rx[i].ctx = EVP_CIPHER_CTX_new();
		ok = ok && s->rx[i].ctx != NULL;
	}
	if (ok)
		return s;
	seal_free(s);
	return NULL;
}

void
seal_free(struct seal *s)
{
	int i;

	if (s == NULL)
		return;
	EVP_CIPHER_CTX_free(s->tx.ctx);
	EVP_CIPHER_CTX_free(s->tx_next.ctx);
	for (i = 0; i < SEAL_EPOCHS; i++)
		EVP_CIPHER_CTX_free(s->rx[i].ctx);
	EVP_CIPHER_free(s->cipher);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

bool
seal_ready(const struct seal *s)
{
	return s->epoch != 0 && !s->failed;
}

uint16_t
seal_epoch(const struct seal *s)
{
	return s->epoch;
}

/* HKDF-Expand (RFC 5869) of the session's master secret. */
static bool
seal_expand(const struct seal_session *session, const uint8_t *info,
    size_t info_len, uint8_t *out, size_t len)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	char digest[] = "SHA256";
	uint8_t key[sizeof(session->master)];
	uint8_t copy[128];
	EVP_KDF_CTX *ctx;
	EVP_KDF *kdf;
	bool ok;

	ASSERT(info_len <= sizeof(copy));
	memcpy(key, session->master, sizeof(key));
	memcpy(copy, info, info_len);
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_KEY, key, sizeof(key)),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_INFO, copy, info_len),
	    OSSL_PARAM_construct_end(),
	};
	kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	ok = ctx != NULL && EVP_KDF_derive(ctx, out, len, params) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	OPENSSL_cleanse(key, sizeof(key));
	return ok;
}

/* The MAC of a token; from_client says who made it. */
static bool
seal_mac(const struct seal *s, bool from_client, const uint8_t *token,
    uint8_t mac[SEAL_MAC])
{
	uint8_t info[] = {'h', 'a', 'd', ' ', 't', 'o', 'k', 'e', 'n',
	    s->conf.kind, s->conf.link, from_client};
	uint8_t key[32];
	unsigned len = SEAL_MAC;
	bool ok;

	ok = seal_expand(&s->session, info, sizeof(info), key, sizeof(key)) &&
	     HMAC(EVP_sha256(), key, sizeof(key), token,
		 SEAL_TOKEN_LEN - SEAL_MAC, mac, &len) != NULL;
	OPENSSL_cleanse(key, sizeof(key));
	return ok;
}

/* One direction's key from the session and both nonces. */
static bool
seal_derive(const struct seal *s, bool from_client, uint16_t epoch,
    const uint8_t *peer_nonce, struct seal_key *key)
{
	uint8_t info[16 + 2 * SEAL_NONCE] = "had keys";
	uint8_t out[32 + 12];
	const uint8_t *mine = s->own_nonce;
	bool ok;

	info[8] = s->conf.kind;
	info[9] = s->conf.link;
	info[10] = from_client;
	put16(info + 11, epoch);
	memcpy(info + 16, s->conf.client ? mine : peer_nonce, SEAL_NONCE);
	memcpy(info + 16 + SEAL_NONCE, s->conf.client ? peer_nonce : mine,
	    SEAL_NONCE);
	ok = seal_expand(&s->session, info, sizeof(info), out, sizeof(out)) &&
	     EVP_CipherInit_ex2(key->ctx, s->cipher, out, NULL,
		 from_client == s->conf.client, NULL) == 1;
	memcpy(key->iv, out + 32, sizeof(key->iv));
	key->epoch = epoch;
	OPENSSL_cleanse(out, sizeof(out));
	return ok;
}

static struct seal_key *
seal_rx_key(struct seal *s, uint16_t epoch)
{
	struct seal_key *key = &s->rx[epoch % SEAL_EPOCHS];

	return epoch != 0 && key->epoch == epoch ? key : NULL;
}

static bool
seal_wants(const struct seal *s)
{
	if (memcmp(s->session.sid, s->used_sid, 8) != 0 || s->epoch == 0)
		return true;
	if (s->records >= s->conf.rekey_records || s->bytes >= SEAL_BYTES_SOFT)
		return true;
	return s->held &&
	       memcmp(s->held_token + SEAL_HEADER, s->session.sid, 8) == 0;
}

/*
 * The cipher for one record; in and out may be the same.  Returns false if the
 * tag is wrong (opening) or the library failed.
 */
static bool
seal_crypt(struct seal_key *key, const uint8_t *header, const struct iovec *iov,
    int n, uint8_t *out, uint8_t *tag, bool sealing)
{
	uint8_t nonce[12];
	int i, len;

	memcpy(nonce, key->iv, sizeof(nonce));
	for (i = 0; i < 2; i++)
		nonce[i] ^= header[4 + i];
	for (i = 0; i < 8; i++)
		nonce[4 + i] ^= header[8 + i];
	if (EVP_CipherInit_ex2(key->ctx, NULL, NULL, nonce, -1, NULL) != 1 ||
	    EVP_CipherUpdate(key->ctx, NULL, &len, header, SEAL_HEADER) != 1)
		return false;
	for (i = 0; i < n; i++) {
		if (iov[i].iov_len == 0)
			continue;
		if (EVP_CipherUpdate(key->ctx, out, &len, iov[i].iov_base,
			(int)iov[i].iov_len) != 1)
			return false;
		out += len;
	}
	if (!sealing && EVP_CIPHER_CTX_ctrl(key->ctx, EVP_CTRL_AEAD_SET_TAG,
			    SEAL_TAG, tag) != 1)
		return false;
	if (EVP_CipherFinal_ex(key->ctx, out, &len) != 1)
		return false;
	return !sealing || EVP_CIPHER_CTX_ctrl(key->ctx, EVP_CTRL_AEAD_GET_TAG,
			       SEAL_TAG, tag) == 1;
}

/* Room for one more record of the exchange; NULL and failed if none is. */
static uint8_t *
seal_push(struct seal *s, size_t len)
{
	if (s->n_control == SEAL_CONTROLS) {
		s->failed = true;
		return NULL;
	}
	s->control_len[s->n_control] = (uint8_t)len;
	return s->control[s->n_control++];
}

static void
seal_offer(struct seal *s)
{
	uint8_t *buf;

	ASSERT(s->have_session && !s->installed);
	s->offered = true;
	memcpy(s->own_sid, s->session.sid, sizeof(s->own_sid));
	buf = seal_push(s, SEAL_TOKEN_LEN);
	if (buf == NULL)
		return;
	seal_header(buf, SEAL_TOKEN, (uint16_t)(s->epoch + 1), 0, 0);
	memcpy(buf + SEAL_HEADER, s->own_sid, 8);
	if (RAND_bytes(s->own_nonce, sizeof(s->own_nonce)) != 1)
		s->failed = true;
	memcpy(buf + SEAL_HEADER + 8, s->own_nonce, SEAL_NONCE);
	if (!seal_mac(s, s->conf.client, buf, buf + SEAL_TOKEN_LEN - SEAL_MAC))
		s->failed = true;
}

/* The new keys are here: says so, under them. */
static void
seal_say_confirm(struct seal *s)
{
	uint8_t *buf = seal_push(s, SEAL_OVERHEAD);

	if (buf == NULL)
		return;
	seal_header(buf, SEAL_CONFIRM, (uint16_t)(s->epoch + 1),
	    SEAL_CONFIRM_STREAM, 0);
	if (!seal_crypt(&s->tx_next, buf, NULL, 0, buf + SEAL_HEADER,
		buf + SEAL_HEADER, true))
		s->failed = true;
}

/* Both tokens are here.  Returns false if the peer's is forged. */
static bool
seal_install(struct seal *s)
{
	const uint8_t *nonce = s->held_token + SEAL_HEADER + 8;
	uint16_t next = (uint16_t)(s->epoch + 1);
	uint8_t mac[SEAL_MAC];

	ASSERT(s->offered && s->held && !s->installed);
	s->held = false;
	if (!seal_mac(s, !s->conf.client, s->held_token, mac) ||
	    CRYPTO_memcmp(
		mac, s->held_token + SEAL_TOKEN_LEN - SEAL_MAC, SEAL_MAC) != 0)
		return false;
	if (!seal_derive(s, s->conf.client, next, nonce, &s->tx_next) ||
	    !seal_derive(
		s, !s->conf.client, next, nonce, &s->rx[next % SEAL_EPOCHS]))
		s->failed = true;
	s->installed = true;
	s->offered = false;
	seal_say_confirm(s);
	return true;
}

/* Goes on with the exchange as far as it can.  False: the peer is forged. */
static bool
seal_advance(struct seal *s)
{
	const uint8_t *sid = s->held_token + SEAL_HEADER;
	bool current;

	if (!s->have_session)
		return true;
	current = s->held && memcmp(sid, s->session.sid, 8) == 0;
	if (s->installed) {
		/* The peer gave up on what we have installed. */
		if (!current || memcmp(sid, s->own_sid, 8) == 0)
			return true;
		s->installed = false;
		s->rx[(s->epoch + 1) % SEAL_EPOCHS].epoch = 0;
	}
	if (seal_wants(s) &&
	    (!s->offered || memcmp(s->own_sid, s->session.sid, 8) != 0))
		seal_offer(s);
	if (s->offered && current)
		return seal_install(s);
	return true;
}

void
seal_use(struct seal *s, const struct seal_session *session)
{
	if (session == NULL) {
		OPENSSL_cleanse(&s->session, sizeof(s->session));
		s->have_session = false;
		return;
	}
	s->session = *session;
	s->have_session = true;
	/* A held token that proves forged now is met by the deadline. */
	(void)seal_advance(s);
}

/* The peer has the new keys: use them. */
static void
seal_confirmed(struct seal *s)
{
	struct seal_key old = s->tx;

	ASSERT(s->installed);
	s->installed = false;
	s->tx = s->tx_next;
	s->tx_next = old;
	s->epoch++;
	ASSERT(s->tx.epoch == s->epoch);
	s->records = 0;
	s->bytes = 0;
	memcpy(s->used_sid, s->own_sid, sizeof(s->used_sid));
	(void)seal_advance(s);
}

static size_t
seal_record(struct seal *s, enum seal_type type, uint16_t stream,
    const struct iovec *iov, int n, uint8_t *buf, size_t size)
{
	size_t len = 0;
	int i;

	ASSERT(seal_ready(s));
	ASSERT(stream < SEAL_STREAMS);
	for (i = 0; i < n; i++)
		len += iov[i].iov_len;
	ASSERT(len + SEAL_OVERHEAD <= size);
	if (s->records >= SEAL_RECORDS_HARD || s->epoch == UINT16_MAX)
		return 0;
	seal_header(buf, type, s->epoch,
	    (uint16_t)(s->conf.unordered && type == SEAL_DATA
			   ? stream | SEAL_UNORDERED
			   : stream),
	    s->tx_seq[stream]);
	if (!seal_crypt(&s->tx, buf, iov, n, buf + SEAL_HEADER,
		buf + SEAL_HEADER + len, true)) {
		s->failed = true;
		return 0;
	}
	s->tx_seq[stream]++;
	s->records++;
	s->bytes += len;
	if (!s->offered && !s->installed)
		(void)seal_advance(s);
	return len + SEAL_OVERHEAD;
}

size_t
seal_data(struct seal *s, uint16_t stream, const struct iovec *iov, int n,
    uint8_t *buf, size_t size)
{
	ASSERT(stream > 0);
	ASSERT(!s->conf.unordered || stream == 1);
	return seal_record(s, SEAL_DATA, stream, iov, n, buf, size);
}

size_t
seal_credit(struct seal *s, uint64_t consumed, uint8_t buf[SEAL_CONTROL_MAX])
{
	uint8_t bytes[8];
	struct iovec iov = {bytes, sizeof(bytes)};

	put64(bytes, consumed);
	return seal_record(s, SEAL_CREDIT, 0, &iov, 1, buf, SEAL_CONTROL_MAX);
}

size_t
seal_control(struct seal *s, uint8_t buf[SEAL_CONTROL_MAX])
{
	size_t len;

	if (s->failed || s->n_control == 0)
		return 0;
	len = s->control_len[0];
	memcpy(buf, s->control[0], len);
	s->n_control--;
	memmove(
	    s->control[0], s->control[1], s->n_control * sizeof(s->control[0]));
	memmove(&s->control_len[0], &s->control_len[1], s->n_control);
	return len;
}

/* Below: what came from the peer, genuine or not. */

static enum seal_verdict
seal_bad(struct seal_in *in, const char *why)
{
	in->why = why;
	return SEAL_BAD;
}

/* Not genuine.  Only on unordered streams can one do without the message. */
static enum seal_verdict
seal_reject(bool unordered, struct seal_in *in, const char *why)
{
	in->why = why;
	return unordered ? SEAL_DROP : SEAL_BAD;
}

static enum seal_verdict
seal_got_token(
    struct seal *s, const uint8_t *bytes, size_t len, struct seal_in *in)
{
	uint16_t epoch = get16(bytes + 2);

	if (len != SEAL_TOKEN_LEN)
		return seal_bad(in, "token of a wrong length");
	if (epoch == 0 || epoch > s->epoch + 1)
		return seal_bad(in, "token for a wrong epoch");
	if (epoch <= s->epoch)
		return SEAL_HANDLED;
	memcpy(s->held_token, bytes, SEAL_TOKEN_LEN);
	s->held = true;
	if (!seal_advance(s))
		return seal_bad(in, "forged token");
	return SEAL_HANDLED;
}

static enum seal_verdict
seal_got_confirm(struct seal *s, uint8_t *bytes, size_t len, struct seal_in *in)
{
	uint16_t epoch = get16(bytes + 2);

	if (len != SEAL_OVERHEAD)
		return seal_bad(in, "confirmation of a wrong length");
	/* Of keys that both have in use, or that we gave up on: no matter. */
	if (!s->installed || epoch != s->epoch + 1)
		return SEAL_HANDLED;
	if (!seal_crypt(seal_rx_key(s, epoch), bytes, NULL, 0,
		bytes + SEAL_HEADER, bytes + SEAL_HEADER, false)) {
		in->why = "confirmation does not open";
		return SEAL_DROP;
	}
	seal_confirmed(s);
	return SEAL_HANDLED;
}

static bool
seal_replayed(const struct seal *s, uint64_t seq)
{
	uint64_t back;

	if (seq >= s->rx_top)
		return false;
	back = s->rx_top - 1 - seq;
	return back >= SEAL_WINDOW ||
	       (s->rx_seen[seq / 64 % NITEMS(s->rx_seen)] >> (seq % 64) & 1) !=
		   0;
}

/* The window is a ring of bits, indexed by the sequence itself. */
static void
seal_mark(struct seal *s, uint64_t seq)
{
	uint64_t i;

	if (seq >= s->rx_top) {
		if (seq - s->rx_top >= SEAL_WINDOW)
			memset(s->rx_seen, 0, sizeof(s->rx_seen));
		else
			for (i = s->rx_top; i < seq; i++)
				s->rx_seen[i / 64 % NITEMS(s->rx_seen)] &=
				    ~(UINT64_C(1) << (i % 64));
		s->rx_top = seq + 1;
	}
	s->rx_seen[seq / 64 % NITEMS(s->rx_seen)] |= UINT64_C(1) << (seq % 64);
}

static enum seal_verdict
seal_got_sealed(struct seal *s, uint16_t stream, bool unordered, uint8_t *bytes,
    size_t len, struct seal_in *in)
{
	uint16_t epoch = get16(bytes + 2);
	uint64_t seq = get64(bytes + 8);
	struct seal_key *key;
	struct iovec iov;

	if (len < SEAL_OVERHEAD)
		return seal_reject(unordered, in, "record too short");
	key = seal_rx_key(s, epoch);
	if (key == NULL)
		return seal_reject(unordered, in, "record under unknown keys");
	if (unordered ? seal_replayed(s, seq) || seq == UINT64_MAX
		      : seq != s->rx_seq[stream])
		return seal_reject(
		    unordered, in, "replayed, lost or reordered record");
	iov.iov_base = bytes + SEAL_HEADER;
	iov.iov_len = len - SEAL_OVERHEAD;
	if (!seal_crypt(key, bytes, &iov, 1, bytes + SEAL_HEADER,
		bytes + len - SEAL_TAG, false))
		return seal_reject(unordered, in, "record does not open");
	if (unordered)
		seal_mark(s, seq);
	else
		s->rx_seq[stream]++;
	if (s->installed && epoch == s->epoch + 1)
		seal_confirmed(s);
	in->data = iov.iov_base;
	in->len = iov.iov_len;
	return SEAL_GOT_DATA;
}

static enum seal_verdict
seal_got_credit(struct seal *s, uint8_t *bytes, size_t len, struct seal_in *in)
{
	enum seal_verdict verdict;

	verdict = seal_got_sealed(s, 0, false, bytes, len, in);
	if (verdict != SEAL_GOT_DATA)
		return verdict;
	if (in->len != 8)
		return seal_bad(in, "credit of a wrong length");
	in->credit = get64(in->data);
	return SEAL_GOT_CREDIT;
}

/* What is plain or part of the exchange: in order, on stream 0. */
static enum seal_verdict
seal_got_control(struct seal *s, uint8_t *bytes, size_t len, struct seal_in *in)
{
	switch (bytes[1]) {
	case SEAL_TLS:
		if (s->epoch != 0)
			return seal_bad(in, "handshake on a proven ctl");
		in->data = bytes + SEAL_HEADER;
		in->len = len - SEAL_HEADER;
		return SEAL_GOT_TLS;
	case SEAL_TOKEN:
		return seal_got_token(s, bytes, len, in);
	case SEAL_CONFIRM:
		return seal_got_confirm(s, bytes, len, in);
	case SEAL_CREDIT:
		return seal_got_credit(s, bytes, len, in);
	default:
		return seal_bad(in, "record of an unknown type");
	}
}

enum seal_verdict
seal_open(struct seal *s, uint16_t stream, bool unordered, uint8_t *bytes,
    size_t len, struct seal_in *in)
{
	uint16_t expected;

	memset(in, 0, sizeof(*in));
	if (s->failed)
		return seal_bad(in, "the crypto library failed");
	if (len < SEAL_HEADER || bytes[0] != SEAL_VERSION ||
	    get16(bytes + 6) != 0)
		return seal_reject(
		    unordered && s->epoch != 0, in, "not a record of ours");
	if (stream >= SEAL_STREAMS)
		return seal_bad(in, "stream out of range");
	expected = (uint16_t)(unordered ? stream | SEAL_UNORDERED : stream);
	if (bytes[1] == SEAL_CONFIRM)
		expected = SEAL_CONFIRM_STREAM;
	if (get16(bytes + 4) != expected)
		return seal_reject(
		    unordered && s->epoch != 0, in, "record of another stream");
	if (stream == 0 && !unordered)
		return seal_got_control(s, bytes, len, in);
	if (bytes[1] != SEAL_DATA || stream == 0 ||
	    unordered != s->conf.unordered || (unordered && stream != 1))
		return seal_reject(
		    unordered && s->epoch != 0, in, "record in a wrong place");
	if (s->epoch == 0 && !s->installed)
		return seal_bad(in, "data before the peer has proven itself");
	return seal_got_sealed(s, stream, unordered, bytes, len, in);
}
