/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "witness_conf.h"

enum { WORDS_MAX = 4, WORD_MAX = 80 };

struct parser {
	struct wc *c; /* borrowed */
	wc_error error;
	void *ctx; /* borrowed */
	int line, errors;
	char words[WORDS_MAX][WORD_MAX];
	unsigned n;
	bool have_port;
	bool skipping; /* nodes of a cluster that was refused */
	struct wc_cluster *cluster; /* in c; NULL: none yet */
};

static void mistake(struct parser *, int line, const char *, ...)
    PRINTF_LIKE(3, 4);

static void
mistake(struct parser *p, int line, const char *fmt, ...)
{
	char text[240];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->errors++;
	p->error(p->ctx, line, text);
}

/* The cluster's name is part of a file's name. */
static bool
name_ok(const char *name)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	return name[0] != '.' && name[0] != '-' &&
	       strlen(name) < HAD_NAME_MAX && name[strspn(name, ok)] == '\0';
}

/* A decimal number from 1 to max; 0 if it is none. */
static unsigned long
number(const char *word, unsigned long max)
{
	unsigned long v;

	if (word[0] < '1' || word[0] > '9' || strlen(word) > 5 ||
	    word[strspn(word, "0123456789")] != '\0')
		return 0;
	v = strtoul(word, NULL, 10);
	return v <= max ? v : 0;
}

static int
hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	return -1;
}

static bool
fingerprint(const char *word, uint8_t pin[32])
{
	const char *hex = word + 7;

	if (strncmp(word, "sha256:", 7) != 0 || strlen(hex) != 64)
		return false;
	for (int i = 0; i < 32; i++) {
		int hi = hex_digit(hex[2 * i]), lo = hex_digit(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		pin[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

static void
on_listen(struct parser *p)
{
	struct wc *c = p->c;
	const char *addr = p->words[1];
	uint8_t bytes[16];

	if (inet_pton(AF_INET, addr, bytes) != 1 &&
	    inet_pton(AF_INET6, addr, bytes) != 1) {
		mistake(p, p->line,
		    "listen: got '%s', expected a numeric address", addr);
		return;
	}
	for (unsigned i = 0; i < c->n_listen; i++)
		if (strcmp(c->listen[i], addr) == 0) {
			mistake(p, p->line, "listen %s: again", addr);
			return;
		}
	if (c->n_listen == WC_LISTEN_MAX) {
		mistake(
		    p, p->line, "listen %s: more than %d", addr, WC_LISTEN_MAX);
		return;
	}
	snprintf(c->listen[c->n_listen], sizeof(c->listen[0]), "%.45s", addr);
	c->n_listen++;
}

static void
on_port(struct parser *p)
{
	unsigned long v = number(p->words[1], 65535);

	if (v == 0)
		mistake(p, p->line, "port: got '%s', expected 1 to 65535",
		    p->words[1]);
	else if (p->have_port)
		mistake(p, p->line, "port: again");
	else
		p->c->port = (uint16_t)v;
	p->have_port = true;
}

static void
on_cluster(struct parser *p)
{
	struct wc *c = p->c;
	const char *name = p->words[1];

	p->cluster = NULL;
	p->skipping = true;
	if (!name_ok(name)) {
		mistake(p, p->line,
		    "cluster: got '%s', expected at most %d letters, digits, "
		    "'_', '.' and '-', not beginning with '.' or '-'",
		    name, HAD_NAME_MAX - 1);
		return;
	}
	for (unsigned i = 0; i < c->n_clusters; i++)
		if (strcmp(c->clusters[i].name, name) == 0) {
			mistake(p, p->line, "cluster %s: again, see line %d",
			    name, c->clusters[i].line);
			return;
		}
	if (c->n_clusters == WC_CLUSTERS_MAX) {
		mistake(p, p->line, "cluster %s: more than %d clusters", name,
		    WC_CLUSTERS_MAX);
		return;
	}
	p->skipping = false;
	p->cluster = &c->clusters[c->n_clusters++];
	snprintf(p->cluster->name, sizeof(p->cluster->name), "%.31s", name);
	p->cluster->line = p->line;
}

static void
on_node(struct parser *p)
{
	unsigned long id = number(p->words[1], HAD_NODES_MAX);
	struct wc_cluster *cluster = p->cluster;
	const struct wc_cluster *other;
	struct wc_node *node;
	uint8_t pin[32];

	if (cluster == NULL) {
		if (!p->skipping)
			mistake(p, p->line, "node: before any cluster");
		return;
	}
	if (id == 0) {
		mistake(p, p->line, "node: got id '%s', expected 1 to %d",
		    p->words[1], HAD_NODES_MAX);
		return;
	}
	if (!fingerprint(p->words[2], pin)) {
		mistake(p, p->line,
		    "node %lu: expected the fingerprint that 'hactl keygen' "
		    "prints, sha256: and 64 hexadecimal digits",
		    id);
		return;
	}
	for (unsigned i = 0; i < cluster->n_nodes; i++)
		if (cluster->nodes[i].id == id) {
			mistake(p, p->line, "node %lu: again in cluster %s", id,
			    cluster->name);
			return;
		}
	if (wc_find(p->c, pin, &other) != NULL) {
		mistake(p, p->line,
		    "node %lu: a node of cluster %s has the same key", id,
		    other->name);
		return;
	}
	node = &cluster->nodes[cluster->n_nodes++];
	node->id = (uint8_t)id;
	memcpy(node->pin, pin, sizeof(node->pin));
}

static void
on_line(struct parser *p)
{
	static const struct {
		const char *word, *args;
		unsigned n;
		void (*fn)(struct parser *);
	} table[] = {
	    {"listen", "ADDRESS", 2, on_listen},
	    {"port", "NUMBER", 2, on_port},
	    {"cluster", "NAME", 2, on_cluster},
	    {"node", "ID FINGERPRINT", 3, on_node},
	};

	if (p->n == 0)
		return;
	for (unsigned i = 0; i < NITEMS(table); i++) {
		if (strcmp(table[i].word, p->words[0]) != 0)
			continue;
		if (p->n == table[i].n)
			table[i].fn(p);
		else
			mistake(p, p->line, "expected: %s %s", table[i].word,
			    table[i].args);
		return;
	}
	mistake(p, p->line, "got '%s', expected listen, port, cluster or node",
	    p->words[0]);
}

/* Cuts a line into words; false if one is too long or not text. */
static bool
split(struct parser *p, const char *s, size_t len)
{
	size_t used = 0;
	bool in_word = false;

	p->n = 0;
	for (size_t i = 0; i < len && s[i] != '#'; i++) {
		if (s[i] == ' ' || s[i] == '\t' || s[i] == '\r') {
			in_word = false;
			continue;
		}
		if (s[i] < ' ' || s[i] > '~')
			return false;
		if (!in_word) {
			if (p->n == WORDS_MAX)
				return false;
			p->n++;
			used = 0;
			in_word = true;
		}
		if (used == WORD_MAX - 1)
			return false;
		p->words[p->n - 1][used++] = s[i];
		p->words[p->n - 1][used] = '\0';
	}
	return true;
}

static void
check_whole(struct parser *p)
{
	const struct wc *c = p->c;

	if (c->n_listen == 0)
		mistake(p, p->line, "no 'listen ADDRESS'");
	if (c->n_clusters == 0)
		mistake(p, p->line, "no 'cluster NAME'");
	for (unsigned i = 0; i < c->n_clusters; i++)
		if (c->clusters[i].n_nodes == 0)
			mistake(p, c->clusters[i].line,
			    "cluster %s: no 'node ID FINGERPRINT'",
			    c->clusters[i].name);
}

int
wc_parse(struct wc *c, const char *text, size_t len, wc_error error, void *ctx)
{
	struct parser p = {.c = c, .error = error, .ctx = ctx};
	const char *end;
	size_t n;

	memset(c, 0, sizeof(*c));
	c->port = WC_PORT;
	while (len > 0) {
		p.line++;
		end = memchr(text, '\n', len);
		n = end == NULL ? len : (size_t)(end - text);
		if (split(&p, text, n))
			on_line(&p);
		else
			mistake(&p, p.line,
			    "too many or too long words, or not plain text");
		if (end != NULL)
			n++;
		text += n;
		len -= n;
	}
	/* What is missing is of interest once the rest is right. */
	if (p.errors == 0)
		check_whole(&p);
	return p.errors;
}

const struct wc_node *
wc_find(const struct wc *c, const uint8_t pin[32],
    const struct wc_cluster **cluster)
{
	for (unsigned i = 0; i < c->n_clusters; i++)
		for (unsigned j = 0; j < c->clusters[i].n_nodes; j++)
			if (memcmp(c->clusters[i].nodes[j].pin, pin, 32) == 0) {
				*cluster = &c->clusters[i];
				return &c->clusters[i].nodes[j];
			}
	return NULL;
}
