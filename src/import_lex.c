/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of a keepalived.conf: comments from '#' and '!', quotes, escapes,
 * parameters, and braces wherever they stand.
 */
#include <string.h>

#include "import_int.h"

static bool
at_end(const struct imp_lex *l)
{
	return l->pos == l->len;
}

static char
peek(const struct imp_lex *l)
{
	return at_end(l) ? '\0' : l->bytes[l->pos];
}

static bool
is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\v' ||
	       ch == '\f';
}

/* strchr(3) would find the NUL byte in every set. */
static bool
is_one_of(const char *set, char ch)
{
	return ch != '\0' && strchr(set, ch) != NULL;
}

static void
skip_line(struct imp_lex *l)
{
	while (!at_end(l) && peek(l) != '\n')
		l->pos++;
}

/* A backslash at the end of a line joins it with the next. */
static bool
joins(const struct imp_lex *l)
{
	return peek(l) == '\\' && l->pos + 1 < l->len &&
	       l->bytes[l->pos + 1] == '\n';
}

/* Blanks and comments; lines, too, if asked. */
static void
skip_space(struct imp_lex *l, bool lines)
{
	while (!at_end(l)) {
		char ch = peek(l);

		if (ch == '#' || ch == '!')
			skip_line(l);
		else if (joins(l)) {
			l->pos += 2;
			l->line++;
		} else if (is_blank(ch) || (lines && ch == '\n')) {
			l->pos++;
			l->line += ch == '\n';
		} else
			return;
	}
}

static bool
is_name(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
	       (ch >= '0' && ch <= '9') || ch == '_';
}

/* A word that is being read. */
struct word {
	char *text; /* borrowed: IMP_TEXT_MAX bytes */
	size_t n;
	bool cut, odd; /* too long; bytes that no text has */
};

static void
put(struct word *w, char ch)
{
	if (((unsigned char)ch < ' ' && ch != '\t') || ch == 0x7f)
		w->odd = true;
	else if (w->n + 1 == IMP_TEXT_MAX)
		w->cut = true;
	else
		w->text[w->n++] = ch;
}

/* Behind the backslash. */
static void
put_escape(struct imp_lex *l, struct word *w)
{
	char ch = peek(l);

	if (at_end(l) || ch == '\n')
		return;
	l->pos++;
	if (ch == 't')
		ch = '\t';
	else if (is_one_of("abcEefnrvx01234567", ch))
		w->odd = true;
	put(w, ch);
}

/*
 * "$NAME" or "${NAME}" at pos: its value into the word.  False if there is no
 * such parameter.
 */
static bool
put_param(struct imp_lex *l, struct word *w)
{
	size_t brace = l->pos + 1 < l->len && l->bytes[l->pos + 1] == '{';
	size_t from = l->pos + 1 + brace, to = from;

	while (to < l->len && is_name(l->bytes[to]))
		to++;
	if (brace == 1 && (to == l->len || l->bytes[to] != '}'))
		return false;
	for (unsigned i = l->n_params; i-- > 0;) {
		const struct imp_param *p = &l->params[i];

		if (p->n_name != to - from ||
		    memcmp(l->bytes + p->name, l->bytes + from, p->n_name) != 0)
			continue;
		for (size_t k = 0; k < p->n_value; k++)
			put(w, l->bytes[p->value + k]);
		l->pos = to + brace;
		return true;
	}
	return false;
}

/* Behind the opening quote. */
static void
put_quoted(struct imp_lex *l, struct word *w, char quote)
{
	while (!at_end(l) && peek(l) != '\n') {
		char ch = peek(l);

		if (ch == '$' && put_param(l, w))
			continue;
		l->pos++;
		if (ch == quote)
			return;
		if (ch == '\\')
			put_escape(l, w);
		else
			put(w, ch);
	}
	w->odd = true;
}

static void
read_word(struct import *im, struct imp_stmt *s)
{
	struct imp_lex *l = &im->lex;
	char over[IMP_TEXT_MAX];
	bool fits = s->n < IMP_WORDS_MAX;
	struct word w = {.text = fits ? s->word[s->n] : over};
	bool undefined = false;

	while (!at_end(l)) {
		char ch = peek(l);

		if (is_blank(ch) || ch == '\n' || joins(l) ||
		    is_one_of("{}#!", ch))
			break;
		if (ch == '$' && put_param(l, &w))
			continue;
		undefined |= ch == '$';
		l->pos++;
		if (ch == '"' || ch == '\'')
			put_quoted(l, &w, ch);
		else if (ch == '\\')
			put_escape(l, &w);
		else
			put(&w, ch);
	}
	w.text[w.n] = '\0';
	if (w.cut)
		imp_tell(im, l->line, s->n == 0 ? w.text : s->word[0],
		    "left out what is beyond 255 bytes of a word");
	if (w.odd)
		imp_tell(im, l->line, s->n == 0 ? w.text : s->word[0],
		    "left out characters that cannot be printed, or a quote "
		    "does not end on its line");
	if (undefined)
		imp_tell(im, l->line, s->n == 0 ? w.text : s->word[0],
		    "'$' with no parameter that is defined above stands for "
		    "itself");
	if (fits)
		s->n++;
	else if (s->n == IMP_WORDS_MAX)
		imp_tell(im, l->line, s->word[0],
		    "left out what is beyond %d words of a line",
		    IMP_WORDS_MAX);
}

/* "$NAME=VALUE" to the end of the line; false if it is none. */
static bool
define(struct import *im)
{
	struct imp_lex *l = &im->lex;
	size_t to = l->pos + 1;
	struct imp_param *p;

	while (to < l->len && is_name(l->bytes[to]))
		to++;
	if (peek(l) != '$' || to == l->len || l->bytes[to] != '=')
		return false;
	if (l->n_params == IMP_PARAMS_MAX) {
		imp_tell(im, l->line, "$",
		    "left out: more than %d parameters; write the value in "
		    "its place",
		    IMP_PARAMS_MAX);
		skip_line(l);
		return true;
	}
	p = &l->params[l->n_params++];
	p->name = l->pos + 1;
	p->n_name = to - p->name;
	p->value = l->pos = to + 1;
	while (!at_end(l) && !is_one_of("\n#!", peek(l)))
		l->pos++;
	p->n_value = l->pos - p->value;
	while (p->n_value > 0 && is_blank(l->bytes[p->value + p->n_value - 1]))
		p->n_value--;
	if (memchr(l->bytes + p->value, ' ', p->n_value) != NULL)
		imp_tell(im, l->line, "$",
		    "a parameter of several words is taken for one word; "
		    "write them in its place");
	return true;
}

/* The pattern of an include may have braces of its own. */
static void
skip_include(struct import *im, const struct imp_stmt *s)
{
	if (s->n == 1 && strncmp(s->word[0], "include", 7) == 0)
		skip_line(&im->lex);
}

enum imp_next
imp_next(struct import *im, struct imp_stmt *s)
{
	struct imp_lex *l = &im->lex;

	do
		skip_space(l, true);
	while (define(im));
	s->n = 0;
	s->block = false;
	s->word[0][0] = '\0';
	s->line = l->line;
	if (at_end(l))
		return IMP_END;
	if (peek(l) == '}') {
		l->pos++;
		return IMP_CLOSE;
	}
	for (;;) {
		skip_space(l, false);
		if (at_end(l) || is_one_of("{}\n", peek(l)))
			break;
		read_word(im, s);
		skip_include(im, s);
	}
	/* keepalived also takes a brace on a line of its own. */
	skip_space(l, true);
	if (peek(l) == '{') {
		l->pos++;
		s->block = true;
	}
	return IMP_STMT;
}

void
imp_skip_block(struct import *im)
{
	struct imp_lex *l = &im->lex;
	struct imp_stmt s;
	unsigned depth = 1;
	int line = l->line;

	while (depth > 0) {
		switch (imp_next(im, &s)) {
		case IMP_STMT:
			depth += s.block;
			break;
		case IMP_CLOSE:
			depth--;
			break;
		case IMP_END:
			imp_tell(im, line, "{",
			    "this block does not end: a '}' is missing");
			im->broken = true;
			return;
		}
	}
}
