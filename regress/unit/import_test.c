/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The converter of keepalived.conf(5).  regress/conf/import/X.conf with X.out,
 * the file that comes of it (empty: none does), and X.err, what is told.
 * CONF_UPDATE=1 in the environment writes both anew, to be read before they
 * are committed.  Whatever comes of any bytes is accepted by the parser.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bsd/string.h>
#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import.h"

enum { TEXT_MAX = 1 << 20 };

struct run {
	struct import *im; /* owned */
	struct conf *c, *again; /* owned */
	char *told, *out, *errors; /* owned, TEXT_MAX bytes */
	struct conf_errors list;
	size_t n; /* of out */
	int rc;
};

static struct run *
run_new(void)
{
	struct run *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->im = import_new();
	r->c = malloc(sizeof(*r->c));
	r->again = malloc(sizeof(*r->again));
	r->told = malloc(TEXT_MAX);
	r->out = malloc(TEXT_MAX);
	r->errors = malloc(TEXT_MAX);
	assert_true(r->im != NULL && r->c != NULL && r->again != NULL &&
		    r->told != NULL && r->out != NULL && r->errors != NULL);
	return r;
}

static void
run_free(struct run *r)
{
	import_free(r->im);
	free(r->c);
	free(r->again);
	free(r->told);
	free(r->out);
	free(r->errors);
	free(r);
}

/* What comes of it is accepted, and prints the same once more. */
static void
convert(struct run *r, const char *name, const char *bytes, size_t len)
{
	struct conf_errors errors = {.text = r->errors, .size = TEXT_MAX};

	r->told[0] = r->out[0] = r->errors[0] = '\0';
	r->list = (struct conf_errors){.text = r->told, .size = TEXT_MAX};
	r->n = 0;
	r->rc = import_keepalived(r->im, r->c, name, bytes, len, &r->list);
	if (r->rc < 0) {
		assert_int_not_equal(r->list.count, 0);
		return;
	}
	r->n = conf_print(r->c, r->out, TEXT_MAX);
	assert_true(r->n < TEXT_MAX);
	if (conf_parse(r->again, "out", r->out, r->n, &errors) < 0)
		fail_msg("not accepted:\n%s%s", r->errors, r->out);
	assert_int_equal(conf_print(r->again, r->errors, TEXT_MAX), r->n);
	assert_string_equal(r->errors, r->out);
}

static char *
read_file(const char *path, size_t *len)
{
	char *bytes = calloc(1, TEXT_MAX);
	FILE *f = fopen(path, "r");

	assert_non_null(bytes);
	if (f == NULL)
		fail_msg(
		    "%s cannot be read: run from the top of the tree", path);
	*len = fread(bytes, 1, TEXT_MAX - 1, f);
	fclose(f);
	return bytes;
}

static void
golden(const char *conf, const char *end, const char *got)
{
	char path[512], *want;
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "%.*s%s",
	    (int)(strlen(conf) - strlen(".conf")), conf, end);
	if (getenv("CONF_UPDATE") != NULL) {
		f = fopen(path, "w");
		assert_non_null(f);
		fputs(got, f);
		assert_int_equal(fclose(f), 0);
	}
	want = read_file(path, &len);
	if (strcmp(want, got) != 0)
		fail_msg(
		    "%s differs.\nexpected:\n%s\ngot:\n%s", path, want, got);
	free(want);
}

static void
each_file(void (*fn)(struct run *, const char *path, char *bytes, size_t len))
{
	struct run *r = run_new();
	glob_t g;

	assert_int_equal(glob("regress/conf/import/*.conf", 0, NULL, &g), 0);
	assert_true(g.gl_pathc >= 10);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		size_t len;
		char *bytes = read_file(g.gl_pathv[i], &len);

		fn(r, g.gl_pathv[i], bytes, len);
		free(bytes);
	}
	globfree(&g);
	run_free(r);
}

static void
one_golden(struct run *r, const char *path, char *bytes, size_t len)
{
	convert(r, strrchr(path, '/') + 1, bytes, len);
	golden(path, ".out", r->out);
	golden(path, ".err", r->told);
}

static void
goldens(void **state)
{
	(void)state;
	each_file(one_golden);
}

static void
one_truncated(struct run *r, const char *path, char *bytes, size_t len)
{
	(void)path;
	for (size_t n = 0; n < len; n += 1 + n % 13)
		convert(r, "cut", bytes, n);
}

static void
truncated(void **state)
{
	(void)state;
	each_file(one_truncated);
}

/* Bytes that mean something, at places that a counter chooses. */
static void
one_mutated(struct run *r, const char *path, char *bytes, size_t len)
{
	static const char some[] = "{}\n \"'\\#!$@/0:.-";
	uint64_t x = 88172645463325252u;

	(void)path;
	for (unsigned round = 0; round < 60; round++) {
		char old[4];
		size_t at[4];

		for (unsigned i = 0; i < NITEMS(at); i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			at[i] = x % len;
			old[i] = bytes[at[i]];
			bytes[at[i]] = some[(x >> 32) % (sizeof(some))];
		}
		convert(r, "mutated", bytes, len);
		for (unsigned i = NITEMS(at); i-- > 0;)
			bytes[at[i]] = old[i];
	}
}

static void
mutated(void **state)
{
	(void)state;
	each_file(one_mutated);
}

static void
add(char *text, const char *fmt, ...)
{
	size_t n = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + n, TEXT_MAX - n, fmt, ap);
	va_end(ap);
}

static unsigned
lines_with(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

/* Who gets no keys is told: it will sign nothing. */
static void
limit_of_keys(void **state)
{
	struct run *r = run_new();
	char *text = calloc(1, TEXT_MAX);

	(void)state;
	assert_non_null(text);
	for (unsigned i = 0; i < 66; i++) {
		add(text,
		    "vrrp_instance v%u {\ninterface eth0\n"
		    "virtual_router_id %u\nvirtual_ipaddress {\n10.0.0.%u\n}\n"
		    "auth_hmac {\nactive_key 1\n",
		    i, i + 1, i + 1);
		for (unsigned k = 1; k <= 8; k++)
			add(text, "key %u file:/k\n", k);
		add(text, "}\n}\n");
	}
	convert(r, "keys", text, strlen(text));
	assert_int_equal(r->rc, 0);
	assert_int_equal(r->c->n_routers, 66);
	assert_int_equal(r->c->n_hmac_keys, HAD_HMAC_KEYS_MAX);
	assert_int_equal(lines_with(r->told, "at most 512 keys"), 2);
	assert_int_equal(r->c->routers[63].hmac.mode, CONF_HMAC_ENFORCE);
	assert_int_equal(r->c->routers[64].hmac.mode, CONF_HMAC_NONE);
	free(text);
	run_free(r);
}

/* What had cannot have as many of as keepalived is named, each. */
static void
limits(void **state)
{
	struct run *r = run_new();
	char *text = calloc(1, TEXT_MAX);

	(void)state;
	assert_non_null(text);
	for (unsigned i = 0; i < 260; i++) {
		add(text,
		    "vrrp_instance v%u {\ninterface eth%u\n"
		    "virtual_router_id %u\ntrack_interface {\neth9\n}\n"
		    "virtual_ipaddress {\n10.0.%u.1\n}\n}\n",
		    i, i % 2, i / 2 + 1, i % 256);
	}
	convert(r, "many", text, strlen(text));
	assert_int_equal(r->rc, 0);
	assert_int_equal(r->c->n_routers, 256);
	assert_int_equal(r->c->n_tracks, HAD_TRACKS_MAX);
	assert_int_equal(lines_with(r->told, "at most 256 routers"), 4);
	assert_int_equal(lines_with(r->told, "128 of a file"), 128);

	strlcpy(text, "vrrp_instance v {\ninterface e\n", TEXT_MAX);
	add(text, "virtual_router_id 1\nvirtual_ipaddress {\n");
	for (unsigned i = 0; i < 40; i++)
		add(text, "10.0.0.%u\n", i + 1);
	add(text, "}\nunicast_peer {\n");
	for (unsigned i = 0; i < 10; i++)
		add(text, "10.0.1.%u\n", i + 1);
	add(text, "}\ntrack_interface {\n");
	for (unsigned i = 0; i < 20; i++)
		add(text, "eth%u\n", i);
	add(text, "}\n}\n");
	convert(r, "large", text, strlen(text));
	assert_int_equal(r->rc, 0);
	assert_int_equal(r->c->routers[0].n_addrs, 32);
	assert_int_equal(r->c->routers[0].n_unicast, 8);
	assert_int_equal(r->c->n_tracks, 16);
	assert_int_equal(lines_with(r->told, "has at most 32"), 8);
	assert_int_equal(lines_with(r->told, "8 unicast peers"), 2);
	assert_int_equal(lines_with(r->told, "16 things"), 4);
	free(text);
	run_free(r);
}

/* A list that does not fit is counted, and nothing is written behind it. */
static void
short_list(void **state)
{
	static const char text[] = "a\nb\nc\nd\n";
	struct run *r = run_new();
	char told[64];
	struct conf_errors list = {.text = told, .size = sizeof(told)};

	(void)state;
	memset(told, 'x', sizeof(told));
	told[0] = '\0';
	assert_int_equal(
	    import_keepalived(r->im, r->c, "f", text, sizeof(text) - 1, &list),
	    -1);
	assert_int_equal(list.count, 5);
	assert_true(list.used < sizeof(told));
	assert_int_equal(told[list.used], '\0');
	run_free(r);
}

/* A NUL byte is a character like any other that no text has. */
static void
nul_byte(void **state)
{
	static const char text[] = "vrrp\0_instance a {\n\0\n}\n\0";
	struct run *r = run_new();

	(void)state;
	convert(r, "nul", text, sizeof(text));
	assert_int_equal(r->rc, -1);
	assert_non_null(strstr(r->told, "nul:1: vrrp_instance: "));
	assert_non_null(strstr(r->told, "cannot be printed"));
	run_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(goldens),
	    cmocka_unit_test(truncated),
	    cmocka_unit_test(mutated),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(limit_of_keys),
	    cmocka_unit_test(short_list),
	    cmocka_unit_test(nul_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
