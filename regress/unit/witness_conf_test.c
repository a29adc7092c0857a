/* SPDX-License-Identifier: BSD-2-Clause */
/* The witness's configuration: what is read, and each mistake by its text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "witness_conf.h"

#define PIN(x) \
	"sha256:00000000000000000000000000000000000000000000000000000000" \
	"0000000" x
#define TOP "listen 192.0.2.1\n"
#define SHOP "cluster shop\nnode 1 " PIN("1") "\n"

static char mistakes[4096];

static void
on_mistake(void *ctx, int line, const char *text)
{
	size_t used = strlen(mistakes);

	assert_ptr_equal(ctx, mistakes);
	snprintf(
	    mistakes + used, sizeof(mistakes) - used, "%d: %s\n", line, text);
}

static int
parse(struct wc *c, const char *text)
{
	mistakes[0] = '\0';
	return wc_parse(c, text, strlen(text), on_mistake, mistakes);
}

static void
good(void **state)
{
	static const char text[] =
	    "# a comment\n\n"
	    "listen 192.0.2.1 # here\r\n"
	    "listen\t2001:db8::1\n"
	    "port 7799\n"
	    "cluster shop\n"
	    "  node 1 " PIN("1") "\n"
				 "  node 16 " PIN(
				     "a") "\n"
					  "cluster bank.2\n"
					  "node 1 " PIN("b"); /* no newline */
	const struct wc_cluster *cluster;
	const struct wc_node *node;
	uint8_t pin[32] = {0};
	struct wc c;

	(void)state;
	assert_int_equal(parse(&c, text), 0);
	assert_string_equal(mistakes, "");
	assert_int_equal(c.n_listen, 2);
	assert_string_equal(c.listen[0], "192.0.2.1");
	assert_string_equal(c.listen[1], "2001:db8::1");
	assert_int_equal(c.port, 7799);
	assert_int_equal(c.n_clusters, 2);
	assert_string_equal(c.clusters[0].name, "shop");
	assert_int_equal(c.clusters[0].n_nodes, 2);
	assert_int_equal(c.clusters[0].nodes[1].id, 16);
	assert_int_equal(c.clusters[0].nodes[1].pin[31], 0x0a);
	pin[31] = 0x0b;
	node = wc_find(&c, pin, &cluster);
	assert_non_null(node);
	assert_int_equal(node->id, 1);
	assert_string_equal(cluster->name, "bank.2");
	pin[0] = 1;
	assert_null(wc_find(&c, pin, &cluster));
	assert_int_equal(parse(&c, TOP SHOP), 0);
	assert_int_equal(c.port, WC_PORT);
}

static void
bad(const char *text, const char *expected)
{
	struct wc c;

	assert_int_equal(parse(&c, text), 1);
	assert_string_equal(mistakes, expected);
}

static void
words(void **state)
{
	char text[512];

	(void)state;
	bad(TOP SHOP "speak up\n",
	    "4: got 'speak', expected listen, port, cluster or node\n");
	bad(TOP SHOP "port\n", "4: expected: port NUMBER\n");
	bad(TOP SHOP "port 1 2\n", "4: expected: port NUMBER\n");
	bad(TOP "cluster a b\n", "2: expected: cluster NAME\n");
	bad("listen\n", "1: expected: listen ADDRESS\n");
	bad(TOP SHOP "node 2\n", "4: expected: node ID FINGERPRINT\n");
	bad(TOP SHOP "a b c d e\n",
	    "4: too many or too long words, or not plain text\n");
	bad(TOP SHOP "caf\xc3\xa9\n",
	    "4: too many or too long words, or not plain text\n");
	snprintf(text, sizeof(text), "%s%0*d\n", TOP SHOP, 80, 0);
	bad(text, "4: too many or too long words, or not plain text\n");
}

static void
listens(void **state)
{
	(void)state;
	bad("listen example.org\n", "1: listen: got 'example.org', expected "
				    "a numeric address\n");
	bad(TOP TOP, "2: listen 192.0.2.1: again\n");
	bad("listen 192.0.2.1\nlisten 192.0.2.2\nlisten 192.0.2.3\n"
	    "listen 192.0.2.4\nlisten 192.0.2.5\n",
	    "5: listen 192.0.2.5: more than 4\n");
	bad(SHOP, "2: no 'listen ADDRESS'\n");
	bad(TOP SHOP "port 0\n", "4: port: got '0', expected 1 to 65535\n");
	bad(TOP SHOP "port 65536\n",
	    "4: port: got '65536', expected 1 to 65535\n");
	bad(TOP SHOP "port 77x\n", "4: port: got '77x', expected 1 to 65535\n");
	bad(TOP SHOP "port 1\nport 2\n", "5: port: again\n");
}

static void
clusters(void **state)
{
	static const char *const names[] = {
	    ".x", "-x", "../x", "a/b", "name-of-32-bytes-0123456789abcde"};
	char text[200], expected[300];
	size_t used;
	char *many;
	struct wc c;

	(void)state;
	for (size_t i = 0; i < NITEMS(names); i++) {
		/* Its nodes are not complained of as well. */
		snprintf(text, sizeof(text),
		    TOP "cluster %s\nnode 1 " PIN("1") "\n", names[i]);
		snprintf(expected, sizeof(expected),
		    "2: cluster: got '%s', expected at most 31 letters, "
		    "digits, '_', '.' and '-', not beginning with '.' or "
		    "'-'\n",
		    names[i]);
		bad(text, expected);
	}
	bad(TOP SHOP "cluster shop\n", "4: cluster shop: again, see line 2\n");
	bad(TOP, "1: no 'cluster NAME'\n");
	bad(TOP "cluster shop\n",
	    "2: cluster shop: no 'node ID FINGERPRINT'\n");
	many = calloc(1, 8192);
	assert_non_null(many);
	used = (size_t)snprintf(many, 8192, TOP);
	for (int i = 0; i <= WC_CLUSTERS_MAX; i++)
		used += (size_t)snprintf(
		    many + used, 8192 - used, "cluster c%d\n", i);
	assert_int_equal(parse(&c, many), 1);
	assert_string_equal(
	    mistakes, "66: cluster c64: more than 64 clusters\n");
	free(many);
}

static void
nodes(void **state)
{
	static const char expected[] =
	    "4: node 2: expected the fingerprint that 'hactl keygen' prints, "
	    "sha256: and 64 hexadecimal digits\n";

	(void)state;
	bad(TOP "node 1 " PIN("1") "\n", "2: node: before any cluster\n");
	bad(TOP SHOP "node 0 " PIN("2") "\n",
	    "4: node: got id '0', expected 1 to 16\n");
	bad(TOP SHOP "node 17 " PIN("2") "\n",
	    "4: node: got id '17', expected 1 to 16\n");
	bad(TOP SHOP "node 01 " PIN("2") "\n",
	    "4: node: got id '01', expected 1 to 16\n");
	bad(TOP SHOP "node 1 " PIN("2") "\n",
	    "4: node 1: again in cluster shop\n");
	bad(TOP SHOP "node 2 " PIN("1") "\n",
	    "4: node 2: a node of cluster shop has the same key\n");
	bad(TOP SHOP "cluster bank\nnode 2 " PIN("1") "\nnode 3 " PIN("3"),
	    "5: node 2: a node of cluster shop has the same key\n");
	bad(TOP SHOP "node 2 sha256:00\n", expected);
	bad(TOP SHOP "node 2 " PIN("G") "\n", expected);
	bad(TOP SHOP "node 2 " PIN("11") "\n", expected);
}

static void
mistakes_are_counted(void **state)
{
	struct wc c;

	(void)state;
	assert_int_equal(parse(&c, "listen x\nport y\nwhat\n"), 3);
	assert_string_equal(mistakes,
	    "1: listen: got 'x', expected a numeric address\n"
	    "2: port: got 'y', expected 1 to 65535\n"
	    "3: got 'what', expected listen, port, cluster or node\n");
}

/* The example and what the manual shows are as good as they look. */
static void
from(const char *command)
{
	char text[4096];
	size_t len;
	struct wc c;
	FILE *f = popen(command, "r");

	assert_non_null(f);
	len = fread(text, 1, sizeof(text), f);
	assert_int_equal(pclose(f), 0);
	mistakes[0] = '\0';
	assert_int_equal(wc_parse(&c, text, len, on_mistake, mistakes), 0);
	assert_string_equal(mistakes, "");
	assert_true(c.n_clusters > 0);
}

static void
examples(void **state)
{
	(void)state;
	from("cat etc/witness/witness.conf");
	from("sed -n '/^\\.\\\\\" example begins/,/^\\.\\\\\" example ends/p' "
	     "man/had-witness.8 | grep -v '^\\.'");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good),
	    cmocka_unit_test(words),
	    cmocka_unit_test(listens),
	    cmocka_unit_test(clusters),
	    cmocka_unit_test(nodes),
	    cmocka_unit_test(mistakes_are_counted),
	    cmocka_unit_test(examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
