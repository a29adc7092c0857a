/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two ends in memory: the handshake, what a stranger can try, and what can
 * happen to records under way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "seal.h"

enum { ALPHA, BRAVO, QUEUE = 64, BIG = 4096 };

struct packet {
	uint16_t stream;
	bool unordered;
	size_t len;
	uint8_t bytes[BIG + SEAL_OVERHEAD];
};

struct end {
	EVP_PKEY *key;
	struct seal_id *id;
	struct seal_who who;
	struct seal_tls *tls;
	struct seal *seal;
	struct seal_session session;
	bool proven, refused;
	const char *why;
	/* What the last delivery gave. */
	uint8_t got[BIG];
	size_t got_len;
	unsigned n_got;
	uint64_t credit;
	/* To the other end. */
	struct packet out[QUEUE];
	size_t n_out;
};

struct pair {
	struct end end[2];
	bool unordered;
	uint64_t rekey_records;
};

static void
pin_of(EVP_PKEY *key, uint8_t pin[32])
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);

	assert_true(len > 0);
	SHA256(der, (size_t)len, pin);
	OPENSSL_free(der);
}

static void
new_seal(struct pair *p, int who)
{
	struct end *e = &p->end[who];
	struct seal_conf conf = {
	    .kind = 0,
	    .client = who == ALPHA,
	    .unordered = p->unordered,
	    .rekey_records = p->rekey_records,
	};

	seal_free(e->seal);
	e->seal = seal_new(&conf);
	assert_non_null(e->seal);
	e->n_out = 0;
}

static struct pair *
new_pair(void)
{
	struct pair *p = calloc(1, sizeof(*p));
	int i;

	assert_non_null(p);
	p->rekey_records = 1 << 20;
	for (i = 0; i < 2; i++) {
		p->end[i].key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		p->end[i].id = seal_id_new(p->end[i].key);
		assert_non_null(p->end[i].id);
		p->end[i].who = (struct seal_who){
		    .cluster = "shop",
		    .self = (uint8_t)(i + 1),
		    .peer = (uint8_t)(2 - i),
		    .incarnation = 100 + (uint64_t)i,
		};
	}
	for (i = 0; i < 2; i++)
		pin_of(p->end[!i].key, p->end[i].who.pin);
	return p;
}

static void
free_pair(struct pair *p)
{
	int i;

	for (i = 0; i < 2; i++) {
		seal_free(p->end[i].seal);
		seal_tls_free(p->end[i].tls);
		seal_id_free(p->end[i].id);
		EVP_PKEY_free(p->end[i].key);
	}
	free(p);
}

static struct packet *
push(struct end *e, uint16_t stream, bool unordered)
{
	assert_true(e->n_out < QUEUE);
	e->out[e->n_out].stream = stream;
	e->out[e->n_out].unordered = unordered;
	return &e->out[e->n_out++];
}

static void
push_control(struct end *e)
{
	uint8_t buf[SEAL_CONTROL_MAX];
	size_t len;

	while ((len = seal_control(e->seal, buf)) > 0) {
		struct packet *k = push(e, 0, false);

		memcpy(k->bytes, buf, len);
		k->len = len;
	}
}

static void
push_tls(struct end *e)
{
	uint8_t buf[SEAL_UNPROVEN_MAX];
	size_t len;

	while ((len = seal_tls_output(e->tls, buf, sizeof(buf))) > 0) {
		struct packet *k = push(e, 0, false);

		memcpy(k->bytes, buf, len);
		k->len = len;
	}
}

static void
tls_input(struct end *e, const uint8_t *bytes, size_t len)
{
	int rc = seal_tls_input(e->tls, bytes, len, &e->session, &e->why);

	e->refused = rc == -1;
	push_tls(e);
	if (rc == 1) {
		e->proven = true;
		seal_use(e->seal, &e->session);
		push_control(e);
	}
}

/* Delivers one packet; what it was is in the verdict. */
static enum seal_verdict
deliver(struct end *to, const struct packet *k)
{
	static uint8_t bytes[BIG + SEAL_OVERHEAD];
	enum seal_verdict v;
	struct seal_in in;

	memcpy(bytes, k->bytes, k->len);
	v = seal_open(to->seal, k->stream, k->unordered, bytes, k->len, &in);
	switch (v) {
	case SEAL_GOT_TLS:
		tls_input(to, in.data, in.len);
		break;
	case SEAL_GOT_DATA:
		memcpy(to->got, in.data, in.len);
		to->got_len = in.len;
		to->n_got++;
		break;
	case SEAL_GOT_CREDIT:
		to->credit = in.credit;
		break;
	case SEAL_DROP:
	case SEAL_BAD:
		to->why = in.why;
		assert_non_null(in.why);
		break;
	case SEAL_HANDLED:
		break;
	}
	push_control(to);
	return v;
}

/* Takes the n-th packet out of the queue. */
static struct packet
take(struct end *from, size_t n)
{
	struct packet k;

	assert_true(n < from->n_out);
	k = from->out[n];
	from->n_out--;
	memmove(
	    &from->out[n], &from->out[n + 1], (from->n_out - n) * sizeof(k));
	return k;
}

static enum seal_verdict
deliver_nth(struct pair *p, int from, size_t n)
{
	struct packet k = take(&p->end[from], n);

	return deliver(&p->end[!from], &k);
}

/* Lets everything arrive, in turns, until nothing is under way. */
static void
settle(struct pair *p)
{
	int i;

	while (p->end[ALPHA].n_out + p->end[BRAVO].n_out > 0)
		for (i = 0; i < 2; i++)
			if (p->end[i].n_out > 0)
				assert_int_not_equal(
				    deliver_nth(p, i, 0), SEAL_BAD);
}

static void
start_tls(struct pair *p)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct end *e = &p->end[i];

		seal_tls_free(e->tls);
		e->tls = seal_tls_new(e->id, &e->who);
		assert_non_null(e->tls);
		e->proven = e->refused = false;
	}
	for (i = 0; i < 2; i++)
		tls_input(&p->end[i], NULL, 0);
}

/* A pair that is proven and keyed. */
static struct pair *
paired(bool unordered, uint64_t rekey_records)
{
	struct pair *p = new_pair();

	p->unordered = unordered;
	p->rekey_records = rekey_records;
	new_seal(p, ALPHA);
	new_seal(p, BRAVO);
	start_tls(p);
	settle(p);
	assert_true(p->end[ALPHA].proven && p->end[BRAVO].proven);
	assert_true(seal_ready(p->end[ALPHA].seal));
	assert_true(seal_ready(p->end[BRAVO].seal));
	return p;
}

static void
send_on(struct pair *p, int from, uint16_t stream, const char *text)
{
	struct end *e = &p->end[from];
	struct iovec iov = {(char[64]){0}, strlen(text)};
	struct packet *k = push(e, stream, p->unordered);

	memcpy(iov.iov_base, text, iov.iov_len);
	k->len =
	    seal_data(e->seal, stream, &iov, 1, k->bytes, sizeof(k->bytes));
	assert_int_equal(k->len, iov.iov_len + SEAL_OVERHEAD);
	push_control(e);
}

static void
expect_got(const struct end *e, unsigned n, const char *text)
{
	assert_int_equal(e->n_got, n);
	assert_int_equal(e->got_len, strlen(text));
	assert_memory_equal(e->got, text, strlen(text));
}

static void
handshake_agrees_on_a_session(void **state)
{
	struct pair *p = paired(false, 1000);
	struct end *a = &p->end[ALPHA], *b = &p->end[BRAVO];

	(void)state;
	assert_memory_equal(a->session.master, b->session.master, 32);
	assert_memory_equal(a->session.sid, b->session.sid, 8);
	assert_int_equal(a->session.incarnation, 100);
	assert_int_equal(a->session.peer_incarnation, 101);
	assert_int_equal(b->session.peer_incarnation, 100);
	send_on(p, ALPHA, 1, "hello");
	send_on(p, BRAVO, 3, "and back");
	settle(p);
	expect_got(b, 1, "hello");
	expect_got(a, 1, "and back");
	free_pair(p);
}

static void
every_handshake_has_its_own_secrets(void **state)
{
	struct pair *p = paired(false, 1000);
	struct seal_session first = p->end[ALPHA].session;

	(void)state;
	new_seal(p, ALPHA);
	new_seal(p, BRAVO);
	start_tls(p);
	settle(p);
	assert_true(p->end[ALPHA].proven);
	assert_memory_not_equal(first.master, p->end[ALPHA].session.master, 32);
	assert_memory_not_equal(first.sid, p->end[ALPHA].session.sid, 8);
	free_pair(p);
}

/* Runs a handshake that has to fail at this end, saying this. */
static void
refused_by(struct pair *p, int who, const char *why)
{
	struct end *e = &p->end[who];
	int i, rounds;

	new_seal(p, ALPHA);
	new_seal(p, BRAVO);
	start_tls(p);
	for (rounds = 0; rounds < 20 && !e->refused; rounds++)
		for (i = 0; i < 2; i++)
			if (p->end[i].n_out > 0)
				deliver_nth(p, i, 0);
	assert_true(e->refused);
	assert_string_equal(e->why, why);
	assert_false(e->proven);
	assert_false(seal_ready(e->seal));
	/* Nothing is said any more. */
	assert_int_equal(seal_tls_output(e->tls, e->got, sizeof(e->got)), 0);
	assert_int_equal(
	    seal_tls_input(e->tls, NULL, 0, &e->session, &e->why), -1);
}

static void
wrong_pin_of_the_server_is_refused(void **state)
{
	struct pair *p = new_pair();

	(void)state;
	p->end[ALPHA].who.pin[31] ^= 1;
	refused_by(p, ALPHA, "its key is not the configured one");
	free_pair(p);
}

static void
wrong_pin_of_the_client_is_refused(void **state)
{
	struct pair *p = new_pair();

	(void)state;
	p->end[BRAVO].who.pin[0] ^= 0x80;
	refused_by(p, BRAVO, "its key is not the configured one");
	assert_false(p->end[ALPHA].proven);
	free_pair(p);
}

static void
another_cluster_is_refused(void **state)
{
	struct pair *p = new_pair();

	(void)state;
	p->end[BRAVO].who.cluster = "shop2";
	refused_by(p, BRAVO, "it belongs to another cluster");
	free_pair(p);
}

static void
other_node_ids_are_refused(void **state)
{
	struct pair *p = new_pair();

	(void)state;
	p->end[BRAVO].who.self = 3;
	refused_by(p, BRAVO, "node ids differ from the configuration");
	free_pair(p);
}

/* A TLS peer of our own making, to be less careful than seal_tls is. */
static SSL *
foreign_client(SSL_CTX *ctx, struct end *server)
{
	SSL *ssl = SSL_new(ctx);

	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(ssl);
	server->tls = seal_tls_new(server->id, &server->who);
	return ssl;
}

/* Handshakes with bravo until it answers 1 or -1; its answer. */
static int
talk(SSL *ssl, struct end *server)
{
	uint8_t buf[BIG];
	size_t len;
	int n, rc = 0, rounds;

	for (rounds = 0; rounds < 10 && rc == 0; rounds++) {
		(void)SSL_do_handshake(ssl);
		while (rc == 0 &&
		       (n = BIO_read(SSL_get_wbio(ssl), buf, sizeof(buf))) > 0)
			rc = seal_tls_input(server->tls, buf, (size_t)n,
			    &server->session, &server->why);
		while (
		    (len = seal_tls_output(server->tls, buf, sizeof(buf))) > 0)
			BIO_write(SSL_get_rbio(ssl), buf + SEAL_HEADER,
			    (int)(len - SEAL_HEADER));
	}
	SSL_free(ssl);
	return rc;
}

static SSL_CTX *
foreign_ctx(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	assert_non_null(ctx);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	return ctx;
}

static void
no_certificate_is_refused(void **state)
{
	struct pair *p = new_pair();
	SSL_CTX *ctx = foreign_ctx();

	(void)state;
	assert_int_equal(
	    SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)"\005had/1", 6), 0);
	assert_int_equal(
	    talk(foreign_client(ctx, &p->end[BRAVO]), &p->end[BRAVO]), -1);
	assert_string_equal(p->end[BRAVO].why, "its handshake failed");
	SSL_CTX_free(ctx);
	free_pair(p);
}

static void
tls_1_2_is_refused(void **state)
{
	struct pair *p = new_pair();
	SSL_CTX *ctx = foreign_ctx();

	(void)state;
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	assert_int_equal(
	    talk(foreign_client(ctx, &p->end[BRAVO]), &p->end[BRAVO]), -1);
	SSL_CTX_free(ctx);
	free_pair(p);
}

/* The right key, but what else it says is not ours. */
static int
talk_with_key(struct pair *p, const char *protocols, size_t len)
{
	SSL_CTX *ctx = foreign_ctx();
	X509 *x = X509_new();
	int rc;

	X509_gmtime_adj(X509_getm_notBefore(x), -7200);
	X509_gmtime_adj(X509_getm_notAfter(x), -3600); /* has ended */
	X509_set_pubkey(x, p->end[ALPHA].key);
	assert_true(X509_sign(x, p->end[ALPHA].key, NULL) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, p->end[ALPHA].key), 1);
	if (len > 0)
		SSL_CTX_set_alpn_protos(
		    ctx, (const uint8_t *)protocols, (unsigned)len);
	rc = talk(foreign_client(ctx, &p->end[BRAVO]), &p->end[BRAVO]);
	X509_free(x);
	SSL_CTX_free(ctx);
	return rc;
}

static void
without_alpn_it_is_refused(void **state)
{
	struct pair *p = new_pair();

	(void)state;
	assert_int_equal(talk_with_key(p, "", 0), -1);
	assert_string_equal(p->end[BRAVO].why, "it speaks another protocol");
	free_pair(p);
}

static void
another_alpn_is_refused(void **state)
{
	struct pair *p = new_pair();

	(void)state;
	assert_int_equal(talk_with_key(p, "\002h2", 3), -1);
	assert_string_equal(p->end[BRAVO].why, "its handshake failed");
	free_pair(p);
}

static void
dates_of_the_certificate_do_not_matter(void **state)
{
	struct pair *p = new_pair();

	(void)state;
	/* No greeting follows, so it is not proven, but not refused. */
	assert_int_equal(talk_with_key(p, "\005had/1", 6), 0);
	free_pair(p);
}

static void
plain_bytes_are_refused(void **state)
{
	struct pair *p = new_pair();
	struct end *b = &p->end[BRAVO];
	struct packet k = {.len = 32};

	(void)state;
	new_seal(p, BRAVO);
	memcpy(k.bytes, "GET / HTTP/1.1\r\nHost: bravo\r\n\r\n", 32);
	assert_int_equal(deliver(b, &k), SEAL_BAD);
	assert_string_equal(b->why, "not a record of ours");
	k.len = 3;
	assert_int_equal(deliver(b, &k), SEAL_BAD);
	k.len = 0;
	assert_int_equal(deliver(b, &k), SEAL_BAD);
	/* Framed as a handshake, but rubbish inside. */
	b->tls = seal_tls_new(b->id, &b->who);
	memset(k.bytes, 0, SEAL_HEADER);
	k.bytes[0] = 1;
	k.bytes[1] = SEAL_TLS;
	memcpy(k.bytes + SEAL_HEADER, "GET / HTTP/1.1", 14);
	k.len = SEAL_HEADER + 14;
	assert_int_equal(deliver(b, &k), SEAL_GOT_TLS);
	assert_true(b->refused);
	free_pair(p);
}

static void
an_endless_handshake_is_refused(void **state)
{
	struct pair *p = new_pair();
	struct end *b = &p->end[BRAVO];
	uint8_t zero[1024] = {22, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xfb};
	int i, rc = 0;

	(void)state;
	b->tls = seal_tls_new(b->id, &b->who);
	for (i = 0; i < 40 && rc == 0; i++)
		rc = seal_tls_input(
		    b->tls, zero, sizeof(zero), &b->session, &b->why);
	assert_int_equal(rc, -1);
	assert_true(i <= SEAL_HELLO_MAX / 1024 + 1);
	free_pair(p);
}

static void
data_before_the_proof_is_refused(void **state)
{
	struct pair *p = paired(false, 1000);
	struct packet k;

	(void)state;
	send_on(p, ALPHA, 1, "early");
	k = take(&p->end[ALPHA], 0);
	new_seal(p, BRAVO);
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(
	    p->end[BRAVO].why, "data before the peer has proven itself");
	free_pair(p);
}

static void
a_tampered_record_closes_the_association(void **state)
{
	size_t i, len;

	(void)state;
	len = SEAL_OVERHEAD + 5;
	for (i = 0; i < len; i++) {
		struct pair *p = paired(false, 1000);
		struct packet k;

		send_on(p, ALPHA, 2, "hello");
		k = take(&p->end[ALPHA], 0);
		assert_int_equal(k.len, len);
		k.bytes[i] ^= 0x10;
		assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
		assert_int_equal(p->end[BRAVO].n_got, 0);
		free_pair(p);
	}
}

static void
a_shortened_record_closes_the_association(void **state)
{
	struct pair *p = paired(false, 1000);
	struct packet k;

	(void)state;
	send_on(p, ALPHA, 2, "hello");
	k = take(&p->end[ALPHA], 0);
	k.len = SEAL_OVERHEAD - 1;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "record too short");
	k.len = SEAL_OVERHEAD + 4;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "record does not open");
	free_pair(p);
}

static void
a_replayed_record_closes_an_ordered_association(void **state)
{
	struct pair *p = paired(false, 1000);
	struct packet k;

	(void)state;
	send_on(p, ALPHA, 2, "once");
	k = take(&p->end[ALPHA], 0);
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_GOT_DATA);
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(
	    p->end[BRAVO].why, "replayed, lost or reordered record");
	free_pair(p);
}

static void
reordering_within_a_stream_is_refused(void **state)
{
	struct pair *p = paired(false, 1000);

	(void)state;
	send_on(p, ALPHA, 2, "one");
	send_on(p, ALPHA, 2, "two");
	assert_int_equal(deliver_nth(p, ALPHA, 1), SEAL_BAD);
	free_pair(p);
}

static void
streams_may_overtake_each_other(void **state)
{
	struct pair *p = paired(false, 1000);

	(void)state;
	send_on(p, ALPHA, 2, "one");
	send_on(p, ALPHA, 3, "two");
	assert_int_equal(deliver_nth(p, ALPHA, 1), SEAL_GOT_DATA);
	assert_int_equal(deliver_nth(p, ALPHA, 0), SEAL_GOT_DATA);
	expect_got(&p->end[BRAVO], 2, "one");
	free_pair(p);
}

static void
a_record_on_another_stream_is_refused(void **state)
{
	struct pair *p = paired(false, 1000);
	struct packet k;

	(void)state;
	send_on(p, ALPHA, 2, "moved");
	k = take(&p->end[ALPHA], 0);
	k.stream = 3;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "record of another stream");
	/* Even if the header is made to agree. */
	k.bytes[4] = 3;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "record does not open");
	k.bytes[4] = k.stream = SEAL_STREAMS;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "stream out of range");
	free_pair(p);
}

static void
a_record_reflected_to_its_sender_is_refused(void **state)
{
	struct pair *p = paired(false, 1000);
	struct packet k;

	(void)state;
	send_on(p, ALPHA, 2, "mine");
	k = take(&p->end[ALPHA], 0);
	assert_int_equal(deliver(&p->end[ALPHA], &k), SEAL_BAD);
	assert_string_equal(p->end[ALPHA].why, "record does not open");
	free_pair(p);
}

static void
kinds_of_records_stay_in_their_places(void **state)
{
	struct pair *p = paired(false, 1000);
	struct end *b = &p->end[BRAVO];
	struct packet k;

	(void)state;
	send_on(p, ALPHA, 2, "x");
	k = take(&p->end[ALPHA], 0);
	k.unordered = true; /* and the header does not say so */
	assert_int_equal(deliver(b, &k), SEAL_DROP);
	k.bytes[5] = 0x80; /* says so, but this association has none */
	assert_int_equal(deliver(b, &k), SEAL_DROP);
	assert_string_equal(b->why, "record in a wrong place");
	memset(k.bytes, 0, SEAL_HEADER);
	k.bytes[0] = 1;
	k.bytes[1] = 77;
	k.stream = 0;
	k.unordered = false;
	assert_int_equal(deliver(b, &k), SEAL_BAD);
	assert_string_equal(b->why, "record of an unknown type");
	k.bytes[1] = SEAL_TLS;
	assert_int_equal(deliver(b, &k), SEAL_BAD);
	assert_string_equal(b->why, "handshake on a proven ctl");
	k.bytes[1] = SEAL_CONFIRM;
	k.bytes[4] = 0xff;
	k.bytes[5] = 0x7f;
	assert_int_equal(deliver(b, &k), SEAL_BAD);
	assert_string_equal(b->why, "confirmation of a wrong length");
	free_pair(p);
}

static void
empty_and_scattered_messages_survive(void **state)
{
	struct pair *p = paired(false, 1000);
	struct end *a = &p->end[ALPHA];
	char one[] = "hel", two[] = "", three[] = "lo";
	struct iovec iov[3] = {{one, 3}, {two, 0}, {three, 2}};
	struct packet *k;

	(void)state;
	send_on(p, ALPHA, 1, "");
	settle(p);
	expect_got(&p->end[BRAVO], 1, "");
	k = push(a, 1, false);
	k->len = seal_data(a->seal, 1, iov, 3, k->bytes, sizeof(k->bytes));
	settle(p);
	expect_got(&p->end[BRAVO], 2, "hello");
	free_pair(p);
}

static void
credit_travels_sealed(void **state)
{
	struct pair *p = paired(false, 1000);
	struct end *a = &p->end[ALPHA];
	struct packet *k = push(a, 0, false);

	(void)state;
	k->len = seal_credit(a->seal, 0x123456789abcdef0, k->bytes);
	assert_int_equal(deliver_nth(p, ALPHA, 0), SEAL_GOT_CREDIT);
	assert_true(p->end[BRAVO].credit == 0x123456789abcdef0);
	k = push(a, 0, false);
	k->len = seal_credit(a->seal, 1, k->bytes);
	k->bytes[SEAL_HEADER] ^= 1;
	assert_int_equal(deliver_nth(p, ALPHA, 0), SEAL_BAD);
	free_pair(p);
}

static void
unordered_records_may_be_lost_and_reordered_but_not_replayed(void **state)
{
	struct pair *p = paired(true, 1 << 20);
	struct end *b = &p->end[BRAVO];
	struct packet k[4];
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		send_on(p, ALPHA, 1, "beat");
		k[i] = take(&p->end[ALPHA], 0);
	}
	assert_int_equal(deliver(b, &k[3]), SEAL_GOT_DATA);
	assert_int_equal(deliver(b, &k[1]), SEAL_GOT_DATA);
	assert_int_equal(deliver(b, &k[1]), SEAL_DROP);
	assert_int_equal(deliver(b, &k[3]), SEAL_DROP);
	assert_int_equal(deliver(b, &k[0]), SEAL_GOT_DATA);
	assert_int_equal(deliver(b, &k[0]), SEAL_DROP);
	assert_int_equal(b->n_got, 3);
	/* Far ahead: what fell out of the window is old. */
	for (i = 0; i < 300; i++) {
		send_on(p, ALPHA, 1, "beat");
		k[0] = take(&p->end[ALPHA], 0);
	}
	assert_int_equal(deliver(b, &k[0]), SEAL_GOT_DATA);
	assert_int_equal(deliver(b, &k[2]), SEAL_DROP);
	assert_string_equal(b->why, "replayed, lost or reordered record");
	/* Tampering costs the record, not the association. */
	send_on(p, ALPHA, 1, "beat");
	k[0] = take(&p->end[ALPHA], 0);
	k[0].bytes[SEAL_HEADER] ^= 1;
	assert_int_equal(deliver(b, &k[0]), SEAL_DROP);
	k[0].bytes[SEAL_HEADER] ^= 1;
	assert_int_equal(deliver(b, &k[0]), SEAL_GOT_DATA);
	/* A forged high sequence does not move the window. */
	memset(k[0].bytes + 8, 0xff, 8);
	assert_int_equal(deliver(b, &k[0]), SEAL_DROP);
	send_on(p, ALPHA, 1, "beat");
	assert_int_equal(deliver_nth(p, ALPHA, 0), SEAL_GOT_DATA);
	free_pair(p);
}

static void
the_window_matches_a_model(void **state)
{
	struct pair *p = paired(true, 1 << 20);
	struct packet *k = calloc(1000, sizeof(*k));
	bool seen[1000] = {false};
	unsigned i, n, top = 0, rnd = 12345;
	enum seal_verdict v;
	bool fresh;

	(void)state;
	for (i = 0; i < 1000; i++) {
		send_on(p, ALPHA, 1, "beat");
		k[i] = take(&p->end[ALPHA], 0);
	}
	for (i = 0; i < 4000; i++) {
		rnd = rnd * 1103515245 + 12345;
		n = i / 4 + (rnd >> 16) % 400;
		if (n < 200 || n >= 1200)
			continue;
		n -= 200;
		fresh = !seen[n] && n + 256 >= top;
		v = deliver(&p->end[BRAVO], &k[n]);
		assert_int_equal(v, fresh ? SEAL_GOT_DATA : SEAL_DROP);
		if (fresh) {
			seen[n] = true;
			top = n + 1 > top ? n + 1 : top;
		}
	}
	free(k);
	free_pair(p);
}

static void
keys_change_before_they_are_used_up(void **state)
{
	struct pair *p = paired(false, 10);
	unsigned i;

	(void)state;
	for (i = 0; i < 200; i++) {
		send_on(p, (int)(i % 2), (uint16_t)(1 + i % 5), "traffic");
		settle(p);
	}
	assert_int_equal(p->end[ALPHA].n_got, 100);
	assert_int_equal(p->end[BRAVO].n_got, 100);
	assert_in_range(seal_epoch(p->end[ALPHA].seal), 8, 25);
	assert_int_equal(
	    seal_epoch(p->end[ALPHA].seal), seal_epoch(p->end[BRAVO].seal));
	free_pair(p);
}

/*
 * Keys change all the time, under traffic in both directions, with streams
 * that overtake each other at random.  Nothing is lost.
 */
static void
nothing_is_lost_while_keys_change_under_way(void **state)
{
	struct pair *p = paired(false, 20);
	unsigned i, n, j, rnd = 99, sent = 0;
	int from;

	(void)state;
	for (i = 0; i < 6000; i++) {
		rnd = rnd * 1103515245 + 12345;
		from = (rnd >> 16) & 1;
		if ((rnd >> 18) % 2 == 0 && p->end[from].n_out < 10) {
			send_on(p, from, (uint16_t)(1 + (rnd >> 20) % 8), "x");
			sent++;
			continue;
		}
		if (p->end[from].n_out == 0)
			continue;
		/* Any packet that is the first of its stream. */
		n = (rnd >> 20) % (unsigned)p->end[from].n_out;
		for (j = 0; j < n; j++)
			if (p->end[from].out[j].stream ==
			    p->end[from].out[n].stream)
				break;
		assert_int_not_equal(deliver_nth(p, from, j), SEAL_BAD);
	}
	settle(p);
	assert_int_equal(p->end[ALPHA].n_got + p->end[BRAVO].n_got, sent);
	assert_true(seal_epoch(p->end[ALPHA].seal) > 20);
	free_pair(p);
}

/* Gives both ends' associations another session, as after a new ctl. */
static struct seal_session
new_session(uint8_t n, uint64_t self)
{
	struct seal_session s = {.incarnation = self};

	memset(s.sid, n, sizeof(s.sid));
	memset(s.master, n ^ 0x55, sizeof(s.master));
	return s;
}

static void
use(struct pair *p, int who, uint8_t n)
{
	struct seal_session s = new_session(n, (uint64_t)who);

	seal_use(p->end[who].seal, &s);
	push_control(&p->end[who]);
}

static void
an_association_is_keyed_from_a_session_alone(void **state)
{
	struct pair *p = new_pair();

	(void)state;
	p->unordered = true;
	new_seal(p, ALPHA);
	new_seal(p, BRAVO);
	/* Bravo's token comes before alpha has the session. */
	use(p, BRAVO, 1);
	settle(p);
	assert_false(seal_ready(p->end[ALPHA].seal));
	use(p, ALPHA, 1);
	settle(p);
	assert_true(seal_ready(p->end[ALPHA].seal));
	assert_true(seal_ready(p->end[BRAVO].seal));
	send_on(p, ALPHA, 1, "beat");
	settle(p);
	expect_got(&p->end[BRAVO], 1, "beat");
	free_pair(p);
}

static void
different_sessions_do_not_pair(void **state)
{
	struct pair *p = new_pair();

	(void)state;
	new_seal(p, ALPHA);
	new_seal(p, BRAVO);
	use(p, ALPHA, 1);
	use(p, BRAVO, 2);
	settle(p);
	assert_false(seal_ready(p->end[ALPHA].seal));
	assert_false(seal_ready(p->end[BRAVO].seal));
	use(p, ALPHA, 2);
	settle(p);
	assert_true(seal_ready(p->end[ALPHA].seal));
	assert_true(seal_ready(p->end[BRAVO].seal));
	free_pair(p);
}

static void
a_forged_token_is_refused(void **state)
{
	struct pair *p = new_pair();
	struct packet k;

	(void)state;
	new_seal(p, ALPHA);
	new_seal(p, BRAVO);
	use(p, BRAVO, 1);
	use(p, ALPHA, 1);
	k = take(&p->end[ALPHA], 0);
	k.bytes[SEAL_HEADER + 8] ^= 1;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "forged token");
	k.len--;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "token of a wrong length");
	k.len++;
	k.bytes[2] = 9;
	assert_int_equal(deliver(&p->end[BRAVO], &k), SEAL_BAD);
	assert_string_equal(p->end[BRAVO].why, "token for a wrong epoch");
	free_pair(p);
}

/* Everything that alpha said on an association, said again on another. */
static void
a_replayed_exchange_proves_nothing(void **state)
{
	struct pair *p = new_pair();
	struct packet said[QUEUE];
	size_t n = 0, i;

	(void)state;
	new_seal(p, ALPHA);
	new_seal(p, BRAVO);
	use(p, BRAVO, 1);
	use(p, ALPHA, 1);
	while (p->end[ALPHA].n_out + p->end[BRAVO].n_out > 0) {
		if (p->end[ALPHA].n_out > 0) {
			said[n] = take(&p->end[ALPHA], 0);
			deliver(&p->end[BRAVO], &said[n++]);
		}
		if (p->end[BRAVO].n_out > 0)
			deliver_nth(p, BRAVO, 0);
	}
	assert_int_equal(n, 2);
	assert_true(seal_ready(p->end[BRAVO].seal));
	new_seal(p, BRAVO);
	use(p, BRAVO, 1);
	for (i = 0; i < n; i++)
		deliver(&p->end[BRAVO], &said[i]);
	assert_false(seal_ready(p->end[BRAVO].seal));
	free_pair(p);
}

static void
a_new_session_changes_the_keys_under_traffic(void **state)
{
	struct pair *p = paired(false, 1 << 20);

	(void)state;
	seal_use(p->end[ALPHA].seal, NULL);
	seal_use(p->end[BRAVO].seal, NULL);
	send_on(p, ALPHA, 1, "old keys still");
	settle(p);
	expect_got(&p->end[BRAVO], 1, "old keys still");
	send_on(p, ALPHA, 2, "under way");
	use(p, ALPHA, 9);
	use(p, BRAVO, 9);
	/* The data arrives after everything else. */
	while (p->end[ALPHA].n_out > 1 || p->end[BRAVO].n_out > 0) {
		if (p->end[ALPHA].n_out > 1)
			deliver_nth(p, ALPHA, 1);
		if (p->end[BRAVO].n_out > 0)
			deliver_nth(p, BRAVO, 0);
	}
	assert_int_equal(seal_epoch(p->end[BRAVO].seal), 2);
	assert_int_equal(deliver_nth(p, ALPHA, 0), SEAL_GOT_DATA);
	send_on(p, ALPHA, 2, "new keys");
	settle(p);
	expect_got(&p->end[BRAVO], 3, "new keys");
	free_pair(p);
}

static void
without_a_session_keys_do_not_change(void **state)
{
	struct pair *p = paired(false, 10);
	int i;

	(void)state;
	seal_use(p->end[ALPHA].seal, NULL);
	seal_use(p->end[BRAVO].seal, NULL);
	for (i = 0; i < 30; i++)
		send_on(p, ALPHA, 1, "x");
	settle(p);
	assert_int_equal(p->end[BRAVO].n_got, 30);
	assert_int_equal(seal_epoch(p->end[ALPHA].seal), 1);
	free_pair(p);
}

/*
 * ctl is lost again and again while keys change: sessions come to the two
 * ends at different times and in the middle of exchanges.
 */
static void
sessions_that_come_at_any_moment_end_well(void **state)
{
	unsigned seed, i, n, j, rnd, s[2];
	struct pair *p;
	int w;

	(void)state;
	for (seed = 1; seed <= 300; seed++) {
		rnd = seed * 2654435761u;
		p = new_pair();
		p->rekey_records = 15;
		new_seal(p, ALPHA);
		new_seal(p, BRAVO);
		s[0] = s[1] = 0;
		for (i = 0; i < 300; i++) {
			rnd = rnd * 1103515245 + 12345;
			w = (rnd >> 16) & 1;
			switch ((rnd >> 17) % 16) {
			case 0:
				if (s[w] <= s[!w])
					use(p, w, (uint8_t)++s[w]);
				break;
			case 1:
				seal_use(p->end[w].seal, NULL);
				break;
			case 2:
			case 3:
				if (seal_ready(p->end[w].seal))
					send_on(p, w, 1 + (rnd >> 21) % 4, "x");
				break;
			default:
				if (p->end[w].n_out == 0)
					break;
				n = (rnd >> 21) % (unsigned)p->end[w].n_out;
				for (j = 0; j < n; j++)
					if (p->end[w].out[j].stream ==
					    p->end[w].out[n].stream)
						break;
				assert_int_not_equal(
				    deliver_nth(p, w, j), SEAL_BAD);
			}
			if (p->end[0].n_out > 40 || p->end[1].n_out > 40)
				settle(p);
		}
		/* All is well at last: one session for both. */
		use(p, ALPHA, 200);
		use(p, BRAVO, 200);
		settle(p);
		p->end[BRAVO].n_got = 0;
		assert_true(seal_ready(p->end[ALPHA].seal));
		send_on(p, ALPHA, 1, "well");
		settle(p);
		expect_got(&p->end[BRAVO], 1, "well");
		assert_int_equal(seal_epoch(p->end[ALPHA].seal),
		    seal_epoch(p->end[BRAVO].seal));
		free_pair(p);
	}
}

static void
another_type_of_key_makes_no_identity(void **state)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

	(void)state;
	assert_null(seal_id_new(key));
	EVP_PKEY_free(key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(handshake_agrees_on_a_session),
	    cmocka_unit_test(every_handshake_has_its_own_secrets),
	    cmocka_unit_test(wrong_pin_of_the_server_is_refused),
	    cmocka_unit_test(wrong_pin_of_the_client_is_refused),
	    cmocka_unit_test(another_cluster_is_refused),
	    cmocka_unit_test(other_node_ids_are_refused),
	    cmocka_unit_test(no_certificate_is_refused),
	    cmocka_unit_test(tls_1_2_is_refused),
	    cmocka_unit_test(without_alpn_it_is_refused),
	    cmocka_unit_test(another_alpn_is_refused),
	    cmocka_unit_test(dates_of_the_certificate_do_not_matter),
	    cmocka_unit_test(plain_bytes_are_refused),
	    cmocka_unit_test(an_endless_handshake_is_refused),
	    cmocka_unit_test(data_before_the_proof_is_refused),
	    cmocka_unit_test(a_tampered_record_closes_the_association),
	    cmocka_unit_test(a_shortened_record_closes_the_association),
	    cmocka_unit_test(a_replayed_record_closes_an_ordered_association),
	    cmocka_unit_test(reordering_within_a_stream_is_refused),
	    cmocka_unit_test(streams_may_overtake_each_other),
	    cmocka_unit_test(a_record_on_another_stream_is_refused),
	    cmocka_unit_test(a_record_reflected_to_its_sender_is_refused),
	    cmocka_unit_test(kinds_of_records_stay_in_their_places),
	    cmocka_unit_test(empty_and_scattered_messages_survive),
	    cmocka_unit_test(credit_travels_sealed),
	    cmocka_unit_test(
		unordered_records_may_be_lost_and_reordered_but_not_replayed),
	    cmocka_unit_test(the_window_matches_a_model),
	    cmocka_unit_test(keys_change_before_they_are_used_up),
	    cmocka_unit_test(nothing_is_lost_while_keys_change_under_way),
	    cmocka_unit_test(an_association_is_keyed_from_a_session_alone),
	    cmocka_unit_test(different_sessions_do_not_pair),
	    cmocka_unit_test(a_forged_token_is_refused),
	    cmocka_unit_test(a_replayed_exchange_proves_nothing),
	    cmocka_unit_test(a_new_session_changes_the_keys_under_traffic),
	    cmocka_unit_test(without_a_session_keys_do_not_change),
	    cmocka_unit_test(sessions_that_come_at_any_moment_end_well),
	    cmocka_unit_test(another_type_of_key_makes_no_identity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
