/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handshake, and what a stranger can try in it.
 */
#include "seal_ends.h"

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
	    cmocka_unit_test(another_type_of_key_makes_no_identity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
