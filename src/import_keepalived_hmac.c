/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * auth_hmac of a vrrp_instance, and the hmac of its routers.  Either all of the
 * block comes over, or none of it, and then it is told that nothing is signed.
 */
#include <bsd/string.h>
#include <string.h>

#include "import_int.h"

static const char file_prefix[] = "file:";

static bool
wrong(struct import *im, const struct imp_stmt *s, const char *want)
{
	/* It may be a key, so it is not repeated. */
	imp_tell(im, s->line, s->word[0], "left out: expected %s", want);
	im->instance->hmac.broken = true;
	return false;
}

static bool
key_file(struct import *im, const struct imp_stmt *s, struct conf_hmac_key *k)
{
	const char *path = s->word[2] + strlen(file_prefix);

	if (path[0] != '/')
		return wrong(im, s, "a path from '/' on behind 'file:'");
	if (strlcpy(k->file, path, sizeof(k->file)) >= sizeof(k->file))
		return wrong(im, s, "a path of at most 127 bytes");
	return true;
}

static void
on_key(struct import *im, const struct imp_stmt *s)
{
	struct imp_hmac *h = &im->instance->hmac;
	struct conf_hmac_key *k = &h->keys[h->n_keys];
	const char *why;
	uint32_t id;

	if (s->n != 3) {
		wrong(im, s, "a number from 1 to 255 and a key behind it");
		return;
	}
	if (!imp_uint(im, s, 1, 255, &id)) {
		h->broken = true;
		return;
	}
	for (uint8_t i = 0; i < h->n_keys; i++)
		if (h->keys[i].id == id) {
			wrong(im, s, "each key once");
			return;
		}
	if (h->n_keys == CONF_HMAC_KEYS_MAX) {
		wrong(im, s, "at most 8 keys");
		return;
	}
	memset(k, 0, sizeof(*k));
	k->id = (uint8_t)id;
	k->line = s->line;
	if (strncmp(s->word[2], file_prefix, strlen(file_prefix)) == 0) {
		if (!key_file(im, s, k))
			return;
	} else {
		k->len = conf_hmac_scan(s->word[2], k->bytes, &why);
		if (k->len == 0) {
			wrong(im, s, why);
			return;
		}
	}
	h->n_keys++;
}

static void
on_active(struct import *im, const struct imp_stmt *s)
{
	uint32_t id;

	if (imp_uint(im, s, 1, 255, &id))
		im->instance->hmac.active = (uint8_t)id;
	else
		im->instance->hmac.broken = true;
}

/* The index of the first argument among n words; n: it is none of them. */
static size_t
one_of(const struct imp_stmt *s, const char *const *words, size_t n)
{
	size_t i = 0;

	while (i < n && (s->n < 2 || strcmp(s->word[1], words[i]) != 0))
		i++;
	return i;
}

static void
on_replay(struct import *im, const struct imp_stmt *s)
{
	static const char *const words[] = {"time", "monotonic"};
	size_t i = one_of(s, words, NITEMS(words));

	if (i == NITEMS(words))
		wrong(im, s, "time or monotonic");
	else
		im->instance->hmac.monotonic = i == 1;
}

static void
on_window(struct import *im, const struct imp_stmt *s)
{
	struct imp_hmac *h = &im->instance->hmac;
	uint32_t n;

	if (!imp_uint(im, s, 1, CONF_HMAC_WINDOW_MAX_S, &n))
		return; /* the default is what keepalived would take, too */
	h->window_s = (uint16_t)n;
	h->window_line = s->line;
}

static void
on_mode(struct import *im, const struct imp_stmt *s)
{
	static const char *const words[] = {
	    "enforce", "permissive", "receive-only"};
	static const enum conf_hmac_mode modes[] = {
	    CONF_HMAC_ENFORCE, CONF_HMAC_PERMISSIVE, CONF_HMAC_RECEIVE_ONLY};
	size_t i = one_of(s, words, NITEMS(words));

	if (i == NITEMS(words))
		wrong(im, s, "enforce, permissive or receive-only");
	else
		im->instance->hmac.mode = modes[i];
}

static bool
has_key(const struct imp_hmac *h, uint8_t id)
{
	for (uint8_t i = 0; i < h->n_keys; i++)
		if (h->keys[i].id == id)
			return true;
	return false;
}

void
imp_hmac(struct import *im, const struct imp_stmt *s)
{
	static const struct imp_row rows[] = {
	    {"key", on_key, false, NULL},
	    {"active_key", on_active, false, NULL},
	    {"anti_replay", on_replay, false, NULL},
	    {"time_window", on_window, false, NULL},
	    {"mode", on_mode, false, NULL},
	};
	struct imp_hmac *h = &im->instance->hmac;

	memset(h, 0, sizeof(*h));
	h->line = s->line;
	h->mode = CONF_HMAC_ENFORCE;
	imp_read(im, s, rows, NITEMS(rows));
	if (h->active == 0 && h->n_keys > 0) {
		h->active = h->keys[0].id;
		if (h->n_keys > 1 && !h->broken)
			imp_tell(im, s->line, s->word[0],
			    "becomes 'sign %u', its first key: there is no "
			    "active_key",
			    h->active);
	}
	if (h->broken || !has_key(h, h->active)) {
		imp_tell(im, s->line, s->word[0],
		    "left out: %s; without it had signs no adverts and "
		    "refuses those that are signed",
		    h->broken ? "not all of it could be converted"
			      : "it has no key, or not that of active_key");
		h->mode = CONF_HMAC_NONE;
	}
	if (h->monotonic && h->window_s != 0) {
		imp_tell(im, h->window_line, "time_window",
		    "left out: it has no effect with anti_replay monotonic");
		h->window_s = 0;
	}
}

void
imp_set_hmac(
    struct import *im, const struct imp_instance *in, struct conf_router *r)
{
	const struct imp_hmac *h = &in->hmac;
	struct conf *c = im->c;

	if (h->mode == CONF_HMAC_NONE)
		return;
	if (c->n_hmac_keys + h->n_keys > HAD_HMAC_KEYS_MAX) {
		imp_tell(im, h->line, "auth_hmac",
		    "left out for router %s, which signs nothing: had has at "
		    "most %d keys",
		    r->name, HAD_HMAC_KEYS_MAX);
		return;
	}
	if (r->password[0] != '\0') {
		imp_tell(im, in->auth_line, "auth_pass",
		    "left out: auth_hmac takes its place");
		r->password[0] = '\0';
	}
	r->hmac.mode = (uint8_t)h->mode;
	r->hmac.sign = h->active;
	r->hmac.monotonic = h->monotonic;
	r->hmac.window_s = h->window_s;
	for (uint8_t i = 0; i < h->n_keys; i++) {
		struct conf_hmac_key *k = &c->hmac_keys[c->n_hmac_keys++];

		*k = h->keys[i];
		k->router = (uint16_t)(r - c->routers);
	}
}
