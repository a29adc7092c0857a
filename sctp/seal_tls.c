/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handshake: TLS 1.3 through memory BIOs, both ends with a self-signed
 * Ed25519 certificate that exists in memory only.  The pinned key decides,
 * nothing else in the certificate is looked at.
 *
 * When TLS is done each end sends a greeting through it, so that both know
 * that the other one accepted them, and both incarnations are authentic.
 */
#include "seal.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

enum {
	GREETING_LEN = 48,
	GREETING_VERSION = 1,
	/* A flight is cut into records of this size. */
	TLS_PIECE = 2048,
};

static const uint8_t alpn[] = "\005had/1";

struct seal_id {
	SSL_CTX *ctx; /* owned */
};

struct seal_tls {
	SSL *ssl; /* owned */
	BIO *in, *out; /* owned by ssl */
	struct seal_who who;
	uint8_t cluster[32]; /* SHA-256 of the cluster's name */
	size_t taken;
	bool greeted; /* our greeting was written */
	bool done, dead;
	const char *why; /* why the peer's certificate was refused */
};

static X509 *
tls_certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name;

	if (x == NULL)
		return NULL;
	name = X509_get_subject_name(x);
	if (X509_set_version(x, X509_VERSION_3) == 1 &&
	    ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
	    ASN1_TIME_set_string(X509_getm_notBefore(x), "19700101000000Z") ==
		1 &&
	    ASN1_TIME_set_string(X509_getm_notAfter(x), "99991231235959Z") ==
		1 &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		(const unsigned char *)"had", -1, -1, 0) == 1 &&
	    X509_set_issuer_name(x, name) == 1 &&
	    X509_set_pubkey(x, key) == 1 && X509_sign(x, key, NULL) > 0)
		return x;
	X509_free(x);
	return NULL;
}

/* NULL if the key with this hash is the one that is expected. */
static const char *
tls_check_key(struct seal_tls *t, const uint8_t hash[32])
{
	const char *cluster, *why;

	if (t->who.find == NULL)
		return CRYPTO_memcmp(hash, t->who.pin, 32) == 0
			   ? NULL
			   : "its key is not the configured one";
	why = t->who.find(t->who.ctx, hash, &cluster, &t->who.peer);
	if (why == NULL)
		SHA256((const uint8_t *)cluster, strlen(cluster), t->cluster);
	return why;
}

/* The pin decides; a chain, a name or a date does not. */
static int
tls_verify(X509_STORE_CTX *store, void *arg)
{
	X509 *x = X509_STORE_CTX_get0_cert(store);
	unsigned char *der = NULL;
	struct seal_tls *t;
	uint8_t hash[32];
	SSL *ssl;
	int len;

	(void)arg;
	ssl = X509_STORE_CTX_get_ex_data(
	    store, SSL_get_ex_data_X509_STORE_CTX_idx());
	t = SSL_get_app_data(ssl);
	len = x == NULL ? -1 : i2d_PUBKEY(X509_get0_pubkey(x), &der);
	if (len <= 0) {
		t->why = "certificate without a key";
	} else {
		SHA256(der, (size_t)len, hash);
		t->why = tls_check_key(t, hash);
	}
	OPENSSL_free(der);
	X509_STORE_CTX_set_error(
	    store, t->why == NULL ? X509_V_OK : X509_V_ERR_CERT_UNTRUSTED);
	return t->why == NULL;
}

static int
tls_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned inlen, void *arg)
{
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, outlen, alpn, sizeof(alpn) - 1, in,
		inlen) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static bool
tls_configure(SSL_CTX *ctx, X509 *cert, EVP_PKEY *key)
{
	char groups[] = "X25519", sigalgs[] = "ed25519";

	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_clear_options(ctx, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(
	    ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, tls_verify, NULL);
	SSL_CTX_set_alpn_select_cb(ctx, tls_alpn, NULL);
	SSL_CTX_set_max_cert_list(ctx, 4096);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_ciphersuites(ctx, "TLS_AES_256_GCM_SHA384") == 1 &&
	       SSL_CTX_set1_groups_list(ctx, groups) == 1 &&
	       SSL_CTX_set1_sigalgs_list(ctx, sigalgs) == 1 &&
	       SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
	       SSL_CTX_set_max_early_data(ctx, 0) == 1 &&
	       SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) == 0 &&
	       SSL_CTX_use_certificate(ctx, cert) == 1 &&
	       SSL_CTX_use_PrivateKey(ctx, key) == 1;
}

struct seal_id *
seal_id_new(EVP_PKEY *key)
{
	struct seal_id *id;
	X509 *cert;
	bool ok;

	if (!EVP_PKEY_is_a(key, "ED25519"))
		return NULL;
	id = calloc(1, sizeof(*id));
	if (id == NULL)
		return NULL;
	id->ctx = SSL_CTX_new(TLS_method());
	cert = tls_certificate(key);
	ok = id->ctx != NULL && cert != NULL &&
	     tls_configure(id->ctx, cert, key);
	X509_free(cert);
	if (ok)
		return id;
	seal_id_free(id);
	return NULL;
}

void
seal_id_free(struct seal_id *id)
{
	if (id == NULL)
		return;
	SSL_CTX_free(id->ctx);
	free(id);
}

struct seal_tls *
seal_tls_new(const struct seal_id *id, const struct seal_who *who)
{
	struct seal_tls *t = calloc(1, sizeof(*t));

	ASSERT(who->self != who->peer);
	if (t == NULL)
		return NULL;
	t->who = *who;
	SHA256((const uint8_t *)who->cluster, strlen(who->cluster), t->cluster);
	t->who.cluster = NULL;
	t->ssl = SSL_new(id->ctx);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	if (t->ssl == NULL || t->in == NULL || t->out == NULL) {
		BIO_free(t->in);
		BIO_free(t->out);
		SSL_free(t->ssl);
		free(t);
		return NULL;
	}
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_app_data(t->ssl, t);
	if (who->self < who->peer)
		SSL_set_connect_state(t->ssl);
	else
		SSL_set_accept_state(t->ssl);
	return t;
}

void
seal_tls_free(struct seal_tls *t)
{
	if (t == NULL)
		return;
	SSL_free(t->ssl);
	OPENSSL_cleanse(t, sizeof(*t));
	free(t);
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

/* "HAD" version, from, to, 2 zero, incarnation, SHA-256 of the cluster. */
static void
tls_greeting(const struct seal_tls *t, uint8_t g[GREETING_LEN])
{
	memset(g, 0, GREETING_LEN);
	memcpy(g, "HAD", 3);
	g[3] = GREETING_VERSION;
	g[4] = t->who.self;
	g[5] = t->who.peer;
	put64(g + 8, t->who.incarnation);
	memcpy(g + 16, t->cluster, sizeof(t->cluster));
}

static const char *
tls_check_greeting(const struct seal_tls *t, const uint8_t *g, int len)
{
	if (len != GREETING_LEN || memcmp(g, "HAD", 3) != 0)
		return "greeting not understood";
	if (g[3] != GREETING_VERSION)
		return "another version of the protocol";
	if (g[4] != t->who.peer || g[5] != t->who.self)
		return "node ids differ from the configuration";
	if (memcmp(g + 16, t->cluster, sizeof(t->cluster)) != 0)
		return "it belongs to another cluster";
	return NULL;
}

static bool
tls_session(struct seal_tls *t, const uint8_t *g, struct seal_session *s)
{
	static const char label[] = "EXPORTER-had-1";
	bool client = t->who.self < t->who.peer;
	uint8_t context[32 + 2 + 16], out[40];

	s->incarnation = t->who.incarnation;
	s->peer_incarnation = get64(g + 8);
	memcpy(context, t->cluster, 32);
	context[32] = client ? t->who.self : t->who.peer;
	context[33] = client ? t->who.peer : t->who.self;
	put64(context + 34, client ? s->incarnation : s->peer_incarnation);
	put64(context + 42, client ? s->peer_incarnation : s->incarnation);
	if (SSL_export_keying_material(t->ssl, out, sizeof(out), label,
		sizeof(label) - 1, context, sizeof(context), 1) != 1)
		return false;
	memcpy(s->master, out, sizeof(s->master));
	memcpy(s->sid, out + sizeof(s->master), sizeof(s->sid));
	OPENSSL_cleanse(out, sizeof(out));
	return true;
}

static int
tls_dead(struct seal_tls *t, const char **why, const char *text)
{
	t->dead = true;
	*why = text;
	return -1;
}

/* Drives the handshake; 1 done, 0 more is needed, -1 and why. */
static int
tls_handshake(struct seal_tls *t, const char **why)
{
	const unsigned char *name;
	unsigned len;
	int rc;

	rc = SSL_do_handshake(t->ssl);
	if (rc != 1) {
		if (SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ)
			return 0;
		return tls_dead(
		    t, why, t->why != NULL ? t->why : "its handshake failed");
	}
	SSL_get0_alpn_selected(t->ssl, &name, &len);
	if (len != sizeof(alpn) - 2 || memcmp(name, alpn + 1, len) != 0)
		return tls_dead(t, why, "it speaks another protocol");
	if (SSL_get0_peer_certificate(t->ssl) == NULL)
		return tls_dead(t, why, "it has no certificate");
	return 1;
}

int
seal_tls_input(struct seal_tls *t, const uint8_t *bytes, size_t len,
    struct seal_session *s, const char **why)
{
	/* One byte more than allowed, to see one that is too long. */
	uint8_t g[GREETING_LEN + 1];
	const char *text;
	int rc;

	if (t->dead)
		return tls_dead(t, why, "its handshake failed");
	ERR_clear_error(); /* SSL_get_error looks at what others left */
	t->taken += len;
	if (t->done || t->taken > SEAL_HELLO_MAX)
		return tls_dead(t, why, "too long a handshake");
	if (len > 0 && BIO_write(t->in, bytes, (int)len) != (int)len)
		return tls_dead(t, why, "out of memory");
	rc = tls_handshake(t, why);
	if (rc != 1)
		return rc;
	if (!t->greeted) {
		tls_greeting(t, g);
		if (SSL_write(t->ssl, g, GREETING_LEN) != GREETING_LEN)
			return tls_dead(t, why, "its handshake failed");
		t->greeted = true;
	}
	rc = SSL_read(t->ssl, g, sizeof(g));
	if (rc <= 0) {
		if (SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ)
			return 0;
		return tls_dead(
		    t, why, t->why != NULL ? t->why : "it refused our key");
	}
	text = tls_check_greeting(t, g, rc);
	if (text != NULL)
		return tls_dead(t, why, text);
	if (!tls_session(t, g, s))
		return tls_dead(t, why, "the crypto library failed");
	t->done = true;
	return 1;
}

size_t
seal_tls_output(struct seal_tls *t, uint8_t *buf, size_t size)
{
	int n, room;

	ASSERT(size > SEAL_HEADER);
	/* Nothing is said to a stranger, not even an alert. */
	if (t->dead)
		return 0;
	room = (int)(size - SEAL_HEADER);
	if (room > TLS_PIECE)
		room = TLS_PIECE;
	n = BIO_read(t->out, buf + SEAL_HEADER, room);
	if (n <= 0)
		return 0;
	memset(buf, 0, SEAL_HEADER);
	buf[0] = 1;
	buf[1] = SEAL_TLS;
	return SEAL_HEADER + (size_t)n;
}
