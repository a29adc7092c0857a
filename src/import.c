/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The converter: its memory, what it tells, blocks by table, and arguments.
 */
#include <bsd/string.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import_int.h"

struct import *
import_new(void)
{
	return calloc(1, sizeof(struct import));
}

void
import_free(struct import *im)
{
	free(im);
}

/* What stands in a file may be anything; a terminal shows it. */
static void
printable(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

void
imp_tell(struct import *im, int line, const char *keyword, const char *fmt, ...)
{
	struct conf_errors *e = im->told;
	char text[1024], whole[1400];
	size_t room = e->size - e->used, last = e->used - im->last;
	va_list ap;
	int n;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(whole, sizeof(whole), "%s:%d: %.64s: %s", im->file, line,
	    *keyword != '\0' ? keyword : "{", text);
	printable(whole);
	/* A group's line would come once for each member. */
	if (last == strlen(whole) + 1 &&
	    memcmp(e->text + im->last, whole, last - 1) == 0)
		return;
	e->count++;
	n = snprintf(room > 0 ? e->text + e->used : NULL, room, "%s\n", whole);
	if (n > 0 && (size_t)n < room) {
		im->last = e->used;
		e->used += (size_t)n;
	} else if (room > 0)
		e->text[e->used] = '\0';
}

static bool
matches(const char *pattern, const char *word)
{
	size_t n = strlen(pattern);

	if (pattern[n - 1] == '*')
		return strncmp(pattern, word, n - 1) == 0;
	return strcmp(pattern, word) == 0;
}

static void
run_row(struct import *im, const struct imp_row *r, const struct imp_stmt *s)
{
	if (r->fn == NULL && r->why != NULL)
		imp_tell(im, s->line, s->word[0], "left out: %s", r->why);
	if (r->fn != NULL && r->block && !s->block)
		imp_tell(im, s->line, s->word[0],
		    "left out: got no block behind it, expected '{'");
	else if (r->fn != NULL)
		r->fn(im, s);
	if (s->block && (r->fn == NULL || !r->block))
		imp_skip_block(im);
}

static void
run_stmt(struct import *im, const struct imp_stmt *s,
    const struct imp_row *rows, size_t n)
{
	bool one_machine = s->word[0][0] == '@';

	for (size_t i = 0; i < n && !one_machine; i++)
		if (matches(rows[i].word, s->word[0])) {
			run_row(im, &rows[i], s);
			return;
		}
	if (one_machine)
		imp_tell(im, s->line, s->word[0],
		    "left out: a line for one machine only; write what holds "
		    "for this one without the '@'");
	else
		imp_tell(im, s->line, s->word[0],
		    "left out: not a keyword of keepalived that is known "
		    "here");
	if (s->block)
		imp_skip_block(im);
}

void
imp_read(struct import *im, const struct imp_stmt *head,
    const struct imp_row *rows, size_t n)
{
	struct imp_stmt s;

	while (!im->broken) {
		switch (imp_next(im, &s)) {
		case IMP_STMT:
			run_stmt(im, &s, rows, n);
			break;
		case IMP_CLOSE:
			if (head != NULL)
				return;
			imp_tell(im, s.line, "}",
			    "it closes no block: a '{' is missing, or this "
			    "is one too many");
			im->broken = true;
			return;
		case IMP_END:
			if (head == NULL)
				return;
			imp_tell(im, head->line, head->word[0],
			    "this block does not end: a '}' is missing");
			im->broken = true;
			return;
		}
	}
}

void
imp_list(struct import *im, const struct imp_stmt *head,
    void (*fn)(struct import *, const struct imp_stmt *))
{
	const struct imp_row any = {"*", fn, false, NULL};

	imp_read(im, head, &any, 1);
}

static bool
wrong(struct import *im, const struct imp_stmt *s, const char *want)
{
	imp_tell(im, s->line, s->word[0], "left out: got '%.80s', expected %s",
	    s->n > 1 ? s->word[1] : "", want);
	return false;
}

/* Decimal digits to *v, at most max; NULL, or behind them. */
static const char *
digits(const char *text, uint64_t max, uint64_t *v)
{
	if (*text < '0' || *text > '9')
		return NULL;
	for (*v = 0; *text >= '0' && *text <= '9'; text++) {
		*v = *v * 10 + (uint64_t)(*text - '0');
		if (*v > max)
			return NULL;
	}
	return text;
}

bool
imp_uint(struct import *im, const struct imp_stmt *s, uint32_t min,
    uint32_t max, uint32_t *v)
{
	const char *end = s->n > 1 ? s->word[1] : "";
	char want[64];
	uint64_t n;

	end = digits(end, max, &n);
	if (end == NULL || *end != '\0' || n < min) {
		snprintf(
		    want, sizeof(want), "a number from %u to %u", min, max);
		return wrong(im, s, want);
	}
	*v = (uint32_t)n;
	return true;
}

bool
imp_seconds(
    struct import *im, const struct imp_stmt *s, uint64_t max_us, uint64_t *us)
{
	const char *text = s->n > 1 ? s->word[1] : "";
	char want[64];
	uint64_t whole = 0, part = 0, unit = 100000;

	if (*text != '.')
		text = digits(text, max_us / 1000000, &whole);
	if (text != NULL && *text == '.') {
		for (text++; *text >= '0' && *text <= '9'; text++) {
			part += (uint64_t)(*text - '0') * unit;
			unit /= 10;
		}
	}
	if (text == NULL || *text != '\0' || whole * 1000000 + part > max_us) {
		snprintf(want, sizeof(want), "seconds, at most %u",
		    (unsigned)(max_us / 1000000));
		return wrong(im, s, want);
	}
	*us = whole * 1000000 + part;
	return true;
}

bool
imp_bool(struct import *im, const struct imp_stmt *s, bool *v)
{
	static const char *const on[] = {"on", "true", "yes"};
	static const char *const off[] = {"off", "false", "no"};

	for (unsigned i = 0; i < NITEMS(on); i++) {
		if (s->n == 1 || strcmp(s->word[1], on[i]) == 0) {
			*v = true;
			return true;
		}
		if (strcmp(s->word[1], off[i]) == 0) {
			*v = false;
			return true;
		}
	}
	return wrong(im, s, "on or off");
}

/* All words behind the first; those that were separate stay so. */
bool
imp_text(struct import *im, const struct imp_stmt *s, char *dst, size_t size)
{
	dst[0] = '\0';
	for (uint8_t i = 1; i < s->n; i++)
		if ((i > 1 && strlcat(dst, " ", size) >= size) ||
		    strlcat(dst, s->word[i], size) >= size) {
			imp_tell(im, s->line, s->word[0],
			    "left out: longer than %zu bytes", size - 1);
			dst[0] = '\0';
			return false;
		}
	return dst[0] != '\0' || wrong(im, s, "a text");
}

bool
imp_ifname(struct import *im, const struct imp_stmt *s, char dst[16])
{
	if (s->n < 2 || !conf_ifname_valid(s->word[1]))
		return wrong(im, s, "the name of a network interface");
	strlcpy(dst, s->word[1], 16);
	return true;
}

bool
imp_weight(struct import *im, const struct imp_stmt *s, uint8_t at,
    int32_t *weight, bool *reverse)
{
	const char *text = at < s->n ? s->word[at] : "";
	bool minus = *text == '-';
	uint64_t n;

	text = digits(text + (minus || *text == '+'), INT32_MAX, &n);
	if (text == NULL || *text != '\0') {
		imp_tell(im, s->line, s->word[0],
		    "left out: got weight '%.80s', expected a number",
		    at < s->n ? s->word[at] : "");
		return false;
	}
	*weight = (int32_t)(minus ? -(int64_t)n : (int64_t)n);
	*reverse = at + 1 < s->n && strcmp(s->word[at + 1], "reverse") == 0;
	return true;
}

void
imp_name(char dst[HAD_NAME_MAX], const char *text, size_t max)
{
	size_t n = 0;

	ASSERT(max < HAD_NAME_MAX && max > 0);
	for (; *text != '\0' && n < max; text++) {
		char ch = *text;
		bool letter = (ch >= 'a' && ch <= 'z') ||
			      (ch >= 'A' && ch <= 'Z') ||
			      (ch >= '0' && ch <= '9') || ch == '_';

		if (n > 0 && (ch == '.' || ch == '-'))
			letter = true;
		dst[n++] = letter ? ch : '_';
	}
	if (n == 0)
		dst[n++] = '_';
	dst[n] = '\0';
}
