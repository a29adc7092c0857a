/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two ends of a sealed association in memory, for the tests of seal.
 */
#ifndef SEAL_ENDS_H
#define SEAL_ENDS_H

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

static __attribute__((unused)) void
pin_of(EVP_PKEY *key, uint8_t pin[32])
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);

	assert_true(len > 0);
	SHA256(der, (size_t)len, pin);
	OPENSSL_free(der);
}

static __attribute__((unused)) void
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

static __attribute__((unused)) struct pair *
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

static __attribute__((unused)) void
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

static __attribute__((unused)) struct packet *
push(struct end *e, uint16_t stream, bool unordered)
{
	assert_true(e->n_out < QUEUE);
	e->out[e->n_out].stream = stream;
	e->out[e->n_out].unordered = unordered;
	return &e->out[e->n_out++];
}

static __attribute__((unused)) void
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

static __attribute__((unused)) void
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

static __attribute__((unused)) void
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
static __attribute__((unused)) enum seal_verdict
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
static __attribute__((unused)) struct packet
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

static __attribute__((unused)) enum seal_verdict
deliver_nth(struct pair *p, int from, size_t n)
{
	struct packet k = take(&p->end[from], n);

	return deliver(&p->end[!from], &k);
}

/* Lets everything arrive, in turns, until nothing is under way. */
static __attribute__((unused)) void
settle(struct pair *p)
{
	int i;

	while (p->end[ALPHA].n_out + p->end[BRAVO].n_out > 0)
		for (i = 0; i < 2; i++)
			if (p->end[i].n_out > 0)
				assert_int_not_equal(
				    deliver_nth(p, i, 0), SEAL_BAD);
}

static __attribute__((unused)) void
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
static __attribute__((unused)) struct pair *
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

static __attribute__((unused)) void
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

static __attribute__((unused)) void
expect_got(const struct end *e, unsigned n, const char *text)
{
	assert_int_equal(e->n_got, n);
	assert_int_equal(e->got_len, strlen(text));
	assert_memory_equal(e->got, text, strlen(text));
}

#endif
