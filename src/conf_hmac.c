/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hmac of a virtual router: the keys that its adverts are signed with, and
 * what is asked of those of the others.  Parser, checker and printer.
 */
#include <bsd/string.h>
#include <stdio.h>
#include <string.h>

#include "conf_int.h"

static const char hex_prefix[] = "hex:";

static uint8_t
scan_hex(const char *hex, uint8_t bytes[CONF_HMAC_MAX], const char **why)
{
	size_t n = strlen(hex);

	*why = "64 to 128 hexadecimal digits behind 'hex:', two for a byte";
	if (n % 2 != 0 || n / 2 < CONF_HMAC_MIN || n / 2 > CONF_HMAC_MAX)
		return 0;
	for (size_t i = 0; i < n; i += 2) {
		int high = conf_hex_digit(hex[i]);
		int low = conf_hex_digit(hex[i + 1]);

		if (high < 0 || low < 0)
			return 0;
		bytes[i / 2] = (uint8_t)(high << 4 | low);
	}
	return (uint8_t)(n / 2);
}

uint8_t
conf_hmac_scan(const char *text, uint8_t bytes[CONF_HMAC_MAX], const char **why)
{
	size_t n = strlen(text);

	memset(bytes, 0, CONF_HMAC_MAX);
	if (strncmp(text, hex_prefix, strlen(hex_prefix)) == 0)
		return scan_hex(text + strlen(hex_prefix), bytes, why);
	*why = "a key of 32 to 64 bytes, or 'hex:' and 64 to 128 digits";
	if (n < CONF_HMAC_MIN || n > CONF_HMAC_MAX)
		return 0;
	memcpy(bytes, text, n);
	return (uint8_t)n;
}

uint8_t
conf_router_keys(const struct conf *c, const struct conf_router *r,
    const struct conf_hmac_key *list[CONF_HMAC_KEYS_MAX])
{
	uint8_t n = 0;

	for (uint16_t i = 0; i < c->n_hmac_keys; i++)
		if (c->hmac_keys[i].router == r->id) {
			ASSERT(n < CONF_HMAC_KEYS_MAX);
			list[n++] = &c->hmac_keys[i];
		}
	return n;
}

/* The parser. */

/* Where the next key goes; NULL: there is no place, or it is there. */
static struct conf_hmac_key *
place_key(struct conf_parser *p, uint8_t id, const struct conf_token *at)
{
	struct conf *c = p->c;
	uint16_t router = (uint16_t)(p->router - c->routers);
	unsigned n = 0;

	for (uint16_t i = 0; i < c->n_hmac_keys; i++) {
		const struct conf_hmac_key *k = &c->hmac_keys[i];

		if (k->router != router)
			continue;
		if (k->id == id) {
			conf_error(p->errors, p->file, at->line, at->col,
			    "got a second key %u, expected each number once "
			    "(the first is on line %d)",
			    id, k->line);
			return NULL;
		}
		n++;
	}
	if (n == CONF_HMAC_KEYS_MAX || c->n_hmac_keys == HAD_HMAC_KEYS_MAX) {
		conf_error(p->errors, p->file, at->line, at->col,
		    "got key %u, expected at most %d keys of a router and %d "
		    "of a file",
		    id, CONF_HMAC_KEYS_MAX, HAD_HMAC_KEYS_MAX);
		return NULL;
	}
	return &c->hmac_keys[c->n_hmac_keys];
}

/* What is wrong with it is said, the key itself is not. */
static bool
parse_key_value(struct conf_parser *p, struct conf_hmac_key *k)
{
	const char *why;

	if (conf_is_kw(p, CONF_KW_FILE)) {
		conf_next(p);
		return conf_path(
		    p, k->file, sizeof(k->file), "the path of a file");
	}
	if (p->tok.type != CONF_TOK_WORD && p->tok.type != CONF_TOK_STRING)
		return conf_expected(p, "a key, or file and a path");
	k->len = conf_hmac_scan(p->tok.text, k->bytes, &why);
	if (k->len == 0) {
		conf_error(p->errors, p->file, p->tok.line, p->tok.col,
		    "got %zu bytes, expected %s", strlen(p->tok.text), why);
		return false;
	}
	conf_next(p);
	return true;
}

static bool
parse_key(struct conf_parser *p)
{
	struct conf_token at = p->tok;
	struct conf_hmac_key *k;
	uint32_t id;

	if (!conf_uint(p, 1, 255, &id))
		return false;
	k = place_key(p, (uint8_t)id, &at);
	if (k == NULL)
		return false;
	memset(k, 0, sizeof(*k));
	k->router = (uint16_t)(p->router - p->c->routers);
	k->id = (uint8_t)id;
	k->line = at.line;
	k->col = at.col;
	if (!parse_key_value(p, k)) {
		memset(k, 0, sizeof(*k));
		return false;
	}
	p->c->n_hmac_keys++;
	return true;
}

static bool
parse_sign(struct conf_parser *p)
{
	uint32_t id;

	if (!conf_uint(p, 1, 255, &id))
		return false;
	p->router->hmac.sign = (uint8_t)id;
	return true;
}

static bool
parse_replay(struct conf_parser *p)
{
	return conf_either(
	    p, CONF_KW_TIME, CONF_KW_MONOTONIC, &p->router->hmac.monotonic);
}

static bool
parse_window(struct conf_parser *p)
{
	struct conf_token at = p->tok;
	uint32_t ms;

	if (!conf_duration(p, 1000, CONF_HMAC_WINDOW_MAX_S * 1000, &ms))
		return false;
	if (ms % 1000 != 0) {
		conf_error(p->errors, p->file, at.line, at.col,
		    "got %ums, expected whole seconds: what is signed is "
		    "compared by them",
		    ms);
		return false;
	}
	p->router->hmac.window_s = (uint16_t)(ms / 1000);
	return true;
}

static bool
parse_mode(struct conf_parser *p)
{
	if (conf_is_kw(p, CONF_KW_ENFORCE))
		p->router->hmac.mode = CONF_HMAC_ENFORCE;
	else if (conf_is_kw(p, CONF_KW_PERMISSIVE))
		p->router->hmac.mode = CONF_HMAC_PERMISSIVE;
	else if (conf_is_kw(p, CONF_KW_RECEIVE_ONLY))
		p->router->hmac.mode = CONF_HMAC_RECEIVE_ONLY;
	else
		return conf_expected(p, "enforce, permissive or receive-only");
	conf_next(p);
	return true;
}

bool
conf_parse_hmac(struct conf_parser *p)
{
	static const struct conf_stmt table[] = {
	    {CONF_KW_KEY, parse_key, true, false},
	    {CONF_KW_SIGN, parse_sign, false, false},
	    {CONF_KW_REPLAY, parse_replay, false, false},
	    {CONF_KW_WINDOW, parse_window, false, false},
	    {CONF_KW_MODE, parse_mode, false, false},
	};

	p->router->hmac.mode = CONF_HMAC_ENFORCE;
	return conf_block(p, table, NITEMS(table), "hmac");
}

/* The checker. */

/* The one key that there is, or the one that was named. */
static void
check_sign(struct conf_checker *k, struct conf_router *r)
{
	const struct conf_hmac_key *keys[CONF_HMAC_KEYS_MAX];
	uint8_t n = conf_router_keys(k->c, r, keys);

	if (n == 0) {
		CONF_AT(k, r,
		    "router %s: got hmac without a key, expected one or more",
		    r->name);
		return;
	}
	if (r->hmac.sign == 0 && n == 1)
		r->hmac.sign = keys[0]->id;
	if (r->hmac.sign == 0 && r->hmac.mode != CONF_HMAC_RECEIVE_ONLY)
		CONF_AT(k, r,
		    "router %s: got %u keys, expected 'sign' and the number "
		    "of the one to sign with",
		    r->name, n);
	for (uint8_t i = 0; i < n; i++)
		if (keys[i]->id == r->hmac.sign)
			return;
	if (r->hmac.sign != 0)
		CONF_AT(k, r,
		    "router %s: got sign %u, expected the number of one of "
		    "its keys",
		    r->name, r->hmac.sign);
}

void
conf_check_hmac(struct conf_checker *k, struct conf_router *r)
{
	uint32_t intervals_s = (3 * r->interval_ms + 999) / 1000;

	if (r->hmac.mode == CONF_HMAC_NONE)
		return;
	if (r->proto == CONF_CARP)
		CONF_AT(k, r,
		    "router %s: got hmac, expected none: carp signs its "
		    "adverts with its password",
		    r->name);
	if (r->proto == CONF_VRRP2 &&
	    (r->password[0] != '\0' || r->password_file[0] != '\0'))
		CONF_AT(k, r,
		    "router %s: got hmac and a password, expected one of them",
		    r->name);
	check_sign(k, r);
	if (r->hmac.monotonic && r->hmac.window_s != 0)
		CONF_AT(k, r,
		    "router %s: got window and replay monotonic, expected "
		    "one of them: only times are compared with a window",
		    r->name);
	if (r->hmac.monotonic || r->hmac.window_s != 0)
		return;
	if (intervals_s < CONF_HMAC_WINDOW_S)
		intervals_s = CONF_HMAC_WINDOW_S;
	if (intervals_s > CONF_HMAC_WINDOW_MAX_S)
		intervals_s = CONF_HMAC_WINDOW_MAX_S;
	r->hmac.window_s = (uint16_t)intervals_s;
}

/* The printer. */

/* Can it stand in a string, and mean itself there? */
static bool
is_text(const struct conf_hmac_key *k)
{
	for (uint8_t i = 0; i < k->len; i++)
		if (k->bytes[i] < ' ' || k->bytes[i] > '~')
			return false;
	return k->len < strlen(hex_prefix) ||
	       memcmp(k->bytes, hex_prefix, strlen(hex_prefix)) != 0;
}

static void
put_key(struct conf_out *o, const struct conf_hmac_key *k)
{
	char text[CONF_HMAC_MAX + 1] = "";

	conf_put(o, "\t\tkey %u ", k->id);
	/* What is in the file is not printed. */
	if (k->file[0] != '\0') {
		conf_put(o, "file ");
		conf_put_string(o, k->file);
	} else if (is_text(k)) {
		memcpy(text, k->bytes, k->len);
		conf_put_string(o, text);
	} else {
		conf_put(o, "\"%s", hex_prefix);
		for (uint8_t i = 0; i < k->len; i++)
			conf_put(o, "%02x", k->bytes[i]);
		conf_put(o, "\"");
	}
	conf_put(o, "\n");
}

void
conf_put_hmac(
    struct conf_out *o, const struct conf *c, const struct conf_router *r)
{
	static const enum conf_kw modes[] = {
	    [CONF_HMAC_ENFORCE] = CONF_KW_ENFORCE,
	    [CONF_HMAC_PERMISSIVE] = CONF_KW_PERMISSIVE,
	    [CONF_HMAC_RECEIVE_ONLY] = CONF_KW_RECEIVE_ONLY,
	};
	const struct conf_hmac_key *keys[CONF_HMAC_KEYS_MAX];
	uint8_t n;

	if (r->hmac.mode == CONF_HMAC_NONE)
		return;
	conf_put(o, "\thmac {\n");
	n = conf_router_keys(c, r, keys);
	for (uint8_t i = 0; i < n; i++)
		put_key(o, keys[i]);
	if (r->hmac.sign != 0)
		conf_put(o, "\t\tsign %u\n", r->hmac.sign);
	if (r->hmac.monotonic)
		conf_put(o, "\t\treplay monotonic\n");
	else {
		conf_put(o, "\t\treplay time\n\t\twindow ");
		conf_put_duration(o, r->hmac.window_s * 1000u);
		conf_put(o, "\n");
	}
	conf_put(o, "\t\tmode %s\n\t}\n", conf_kw_word(modes[r->hmac.mode]));
}
