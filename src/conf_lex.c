/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes to tokens.  What is no token becomes CONF_TOK_BAD with a text that
 * fits behind "got", so that the parser reports it where it wanted something
 * else, and skips it like anything else that it did not want.
 */
#include <stdio.h>
#include <string.h>

#include "conf_int.h"

static const char *const kw_words[CONF_KW_N] = {
#define X(id, word) word,
    CONF_KEYWORDS(X)
#undef X
};

const char *
conf_kw_word(enum conf_kw kw)
{
	ASSERT(kw < CONF_KW_N);
	return kw_words[kw];
}

static bool
is_word_byte(char ch)
{
	if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
	    (ch >= '0' && ch <= '9'))
		return true;
	return ch != '\0' && strchr("_.:/%@+,-", ch) != NULL;
}

bool
conf_is_word(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
		if (!is_word_byte(*text))
			return false;
	return true;
}

void
conf_lex_init(struct conf_lex *l, const char *bytes, size_t len)
{
	ASSERT(bytes != NULL || len == 0);
	*l = (struct conf_lex){.bytes = bytes, .len = len, .line = 1, .col = 1};
}

static bool
at_end(const struct conf_lex *l)
{
	return l->pos == l->len;
}

static char
take(struct conf_lex *l)
{
	char ch;

	ASSERT(l->pos < l->len);
	ch = l->bytes[l->pos++];
	if (ch == '\n') {
		l->line++;
		l->col = 1;
	} else
		l->col++;
	return ch;
}

static void
skip_line(struct conf_lex *l)
{
	while (!at_end(l) && l->bytes[l->pos] != '\n')
		(void)take(l);
}

static void
skip_blanks(struct conf_lex *l)
{
	char ch;

	while (!at_end(l)) {
		ch = l->bytes[l->pos];
		if (ch == '#')
			skip_line(l);
		else if (ch == ' ' || ch == '\t')
			(void)take(l);
		else
			return;
	}
}

static void
bad(struct conf_token *t, const char *what)
{
	t->type = CONF_TOK_BAD;
	snprintf(t->text, sizeof(t->text), "%s", what);
}

/* The rest of a word; its text begins at bytes[from]. */
static void
lex_word(struct conf_lex *l, struct conf_token *t, enum conf_tok type)
{
	size_t from, n;

	from = l->pos;
	while (!at_end(l) && is_word_byte(l->bytes[l->pos]))
		(void)take(l);
	n = l->pos - from;
	if (n >= sizeof(t->text)) {
		bad(t, "a word of more than 255 bytes");
		return;
	}
	t->type = type;
	memcpy(t->text, l->bytes + from, n);
	t->text[n] = '\0';
	if (type == CONF_TOK_MACRO && n == 0)
		bad(t, "'$' without a name");
}

/* Behind the opening quote. */
static void
lex_string(struct conf_lex *l, struct conf_token *t)
{
	const char *wrong;
	size_t n;
	char ch;

	wrong = NULL;
	n = 0;
	for (;;) {
		if (at_end(l) || l->bytes[l->pos] == '\n') {
			bad(t, "a string that does not end on its line");
			return;
		}
		ch = take(l);
		if (ch == '"')
			break;
		if (ch == '\\') {
			if (at_end(l) || l->bytes[l->pos] == '\n')
				continue;
			ch = take(l);
			if (ch != '"' && ch != '\\')
				wrong = "a string with a backslash before "
					"neither '\"' nor '\\'";
		} else if (((unsigned char)ch < ' ' && ch != '\t') ||
			   ch == 0x7f)
			wrong = "a string with a control character";
		if (n + 1 >= sizeof(t->text))
			wrong = "a string of more than 255 bytes";
		else
			t->text[n++] = ch;
	}
	t->type = CONF_TOK_STRING;
	t->text[n] = '\0';
	if (wrong != NULL)
		bad(t, wrong);
}

static void
lex_other(struct conf_token *t, char ch)
{
	switch (ch) {
	case '\n':
		t->type = CONF_TOK_NEWLINE;
		return;
	case ';':
		t->type = CONF_TOK_SEMICOLON;
		return;
	case '{':
		t->type = CONF_TOK_LBRACE;
		return;
	case '}':
		t->type = CONF_TOK_RBRACE;
		return;
	case '=':
		t->type = CONF_TOK_EQUALS;
		return;
	default:
		t->type = CONF_TOK_BAD;
		if (ch > ' ' && ch < 0x7f)
			snprintf(
			    t->text, sizeof(t->text), "character '%c'", ch);
		else
			snprintf(t->text, sizeof(t->text), "byte 0x%02x",
			    (unsigned char)ch);
	}
}

void
conf_lex_next(struct conf_lex *l, struct conf_token *t)
{
	ASSERT(l->pos <= l->len);
	skip_blanks(l);
	t->line = l->line;
	t->col = l->col;
	t->at = l->pos;
	t->text[0] = '\0';
	if (at_end(l)) {
		t->type = CONF_TOK_END;
		return;
	}
	if (is_word_byte(l->bytes[l->pos])) {
		lex_word(l, t, CONF_TOK_WORD);
		return;
	}
	switch (l->bytes[l->pos]) {
	case '"':
		(void)take(l);
		lex_string(l, t);
		return;
	case '$':
		(void)take(l);
		lex_word(l, t, CONF_TOK_MACRO);
		return;
	default:
		lex_other(t, take(l));
	}
}

/* Foreign bytes in a message: printable ASCII only. */
static void
copy_shown(char *buf, size_t size, char quote, const char *text)
{
	char shown[48];
	size_t i;

	for (i = 0; text[i] != '\0' && i + 1 < sizeof(shown); i++)
		shown[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
	shown[i] = '\0';
	snprintf(buf, size, "%c%s%s%c", quote, shown,
	    text[i] != '\0' ? "..." : "", quote);
}

void
conf_token_name(const struct conf_token *t, char *buf, size_t size)
{
	switch (t->type) {
	case CONF_TOK_END:
		snprintf(buf, size, "end of file");
		return;
	case CONF_TOK_NEWLINE:
		snprintf(buf, size, "end of line");
		return;
	case CONF_TOK_SEMICOLON:
		snprintf(buf, size, "';'");
		return;
	case CONF_TOK_LBRACE:
		snprintf(buf, size, "'{'");
		return;
	case CONF_TOK_RBRACE:
		snprintf(buf, size, "'}'");
		return;
	case CONF_TOK_EQUALS:
		snprintf(buf, size, "'='");
		return;
	case CONF_TOK_WORD:
		copy_shown(buf, size, '\'', t->text);
		return;
	case CONF_TOK_STRING:
		copy_shown(buf, size, '"', t->text);
		return;
	case CONF_TOK_MACRO:
		snprintf(buf, size, "a macro");
		return;
	case CONF_TOK_BAD:
		snprintf(buf, size, "%s", t->text);
		return;
	}
}
