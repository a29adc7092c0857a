/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client of the witness: what it refuses to begin with, and, where the
 * kernel has SCTP, that an ask of nobody ends in time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "loop.h"
#include "witness_link.h"

struct world {
	struct loop *loop;
	unsigned answers, ups;
	uint64_t epoch;
	enum wl_vote vote;
};

static void
on_answer(void *ctx, uint64_t epoch, enum wl_vote vote, uint8_t holder,
    uint64_t holder_epoch)
{
	struct world *x = ctx;

	assert_int_equal(holder, 0);
	assert_true(holder_epoch == 0);
	x->answers++;
	x->epoch = epoch;
	x->vote = vote;
	loop_exit(x->loop, 0);
}

static void
on_up(void *ctx, bool up)
{
	struct world *x = ctx;

	(void)up;
	x->ups++;
}

static void
on_note(void *ctx, enum had_level level, const char *object, const char *text)
{
	(void)ctx;
	(void)level;
	assert_string_equal(object, "witness");
	assert_true(strlen(text) > 0);
}

static const struct wl_cb cb = {on_answer, on_up, on_note};

static struct wl_conf
conf(EVP_PKEY *key)
{
	struct wl_conf c = {
	    .addr = "127.0.0.1",
	    .port = 7770,
	    .cluster = "shop",
	    .self = 1,
	    .key = key,
	    .dead_ms = 100,
	};

	return c;
}

static void
refused(struct world *x, const struct wl_conf *c, int error, const char *text)
{
	char why[300] = "";

	errno = 0;
	assert_null(wl_new(loop_event(x->loop), c, &cb, x, why, sizeof(why)));
	assert_int_equal(errno, error);
	assert_string_equal(why, text);
}

static void
bad_configurations(void **state)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	struct world x = {.loop = loop_new()};
	struct wl_conf c = conf(key);

	(void)state;
	assert_non_null(key);
	assert_non_null(other);
	snprintf(c.addr, sizeof(c.addr), "example.org");
	refused(&x, &c, EINVAL, "example.org: Invalid argument");
	c = conf(key);
	snprintf(c.local, sizeof(c.local), "here");
	refused(&x, &c, EINVAL, "here: Invalid argument");
	c = conf(other);
	refused(&x, &c, EINVAL, "the key is not an Ed25519 key");
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	loop_free(x.loop);
}

static void
an_ask_of_nobody_ends(void **state)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	struct world x = {.loop = loop_new()};
	struct wl_conf c = conf(key);
	struct wl_status s;
	char why[300] = "";
	struct wl *wl;

	(void)state;
	wl = wl_new(loop_event(x.loop), &c, &cb, &x, why, sizeof(why));
	EVP_PKEY_free(key);
	if (wl == NULL) {
		/* The text says what to do. */
		assert_true(
		    errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT);
		assert_non_null(strstr(why, "modprobe sctp"));
		loop_free(x.loop);
		return;
	}
	wl_ask(wl, 4);
	wl_ask(wl, 5); /* replaces it */
	assert_int_equal(x.answers, 0);
	assert_int_equal(loop_run(x.loop), 0);
	assert_int_equal(x.answers, 1);
	assert_true(x.epoch == 5);
	assert_int_equal(x.vote, WL_UNREACHABLE);
	assert_int_equal(x.ups, 0);
	wl_status(wl, &s);
	assert_false(s.up);
	wl_free(wl);
	loop_free(x.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bad_configurations),
	    cmocka_unit_test(an_ask_of_nobody_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
