/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What follows a keyword: names, paths, numbers with units, addresses.
 */
#include <bsd/string.h>
#include <stdio.h>
#include <string.h>

#include "conf_int.h"

/* A message that does not fit whole is only counted. */
static void
error_at(struct conf_errors *e, const char *file, int line, int col,
    const char *text)
{
	size_t room;
	int n;

	e->count++;
	room = e->size - e->used;
	n = snprintf(room > 0 ? e->text + e->used : NULL, room,
	    "%s:%d:%d: %s\n", file, line, col, text);
	if (n > 0 && (size_t)n < room)
		e->used += (size_t)n;
	else if (room > 0)
		e->text[e->used] = '\0';
}

void
conf_error(struct conf_errors *e, const char *file, int line, int col,
    const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	error_at(e, file, line, col, text);
}

bool
conf_expected(struct conf_parser *p, const char *fmt, ...)
{
	char got[CONF_TEXT_MAX + 8], want[768];
	va_list ap;

	if (p->tok.type == CONF_TOK_END) {
		if (p->end_reported)
			return false;
		p->end_reported = true;
	}
	va_start(ap, fmt);
	vsnprintf(want, sizeof(want), fmt, ap);
	va_end(ap);
	conf_token_name(&p->tok, got, sizeof(got));
	conf_error(p->errors, p->file, p->tok.line, p->tok.col,
	    "got %s, expected %s", got, want);
	return false;
}

/* A macro's token takes the text of its string and keeps its own position. */
static void
replace_macro(struct conf_parser *p)
{
	struct conf_token value;
	struct conf_lex l;
	uint8_t i;

	for (i = 0; i < p->n_macros; i++) {
		if (strcmp(p->macros[i].name, p->tok.text) != 0)
			continue;
		l = p->lex;
		l.pos = p->macros[i].at;
		conf_lex_next(&l, &value);
		ASSERT(value.type == CONF_TOK_STRING);
		p->tok.type = CONF_TOK_STRING;
		memcpy(p->tok.text, value.text, sizeof(p->tok.text));
		return;
	}
	memcpy(value.text, p->tok.text, sizeof(value.text));
	p->tok.type = CONF_TOK_BAD;
	snprintf(p->tok.text, sizeof(p->tok.text),
	    "macro $%.40s, which is not defined above", value.text);
}

void
conf_next(struct conf_parser *p)
{
	conf_lex_next(&p->lex, &p->tok);
	if (p->tok.type == CONF_TOK_MACRO)
		replace_macro(p);
}

bool
conf_is_kw(const struct conf_parser *p, enum conf_kw kw)
{
	return p->tok.type == CONF_TOK_WORD &&
	       strcmp(p->tok.text, conf_kw_word(kw)) == 0;
}

bool
conf_want_kw(struct conf_parser *p, enum conf_kw kw)
{
	if (!conf_is_kw(p, kw))
		return conf_expected(p, "%s", conf_kw_word(kw));
	conf_next(p);
	return true;
}

bool
conf_either(struct conf_parser *p, enum conf_kw first, enum conf_kw second,
    bool *is_second)
{
	if (!conf_is_kw(p, first) && !conf_is_kw(p, second))
		return conf_expected(
		    p, "%s or %s", conf_kw_word(first), conf_kw_word(second));
	*is_second = conf_is_kw(p, second);
	conf_next(p);
	return true;
}

static bool
is_value(const struct conf_parser *p)
{
	return p->tok.type == CONF_TOK_WORD || p->tok.type == CONF_TOK_STRING;
}

/* size counts the NUL. */
static bool
check_text(struct conf_parser *p, size_t size, const char *what)
{
	if (!is_value(p) || p->tok.text[0] == '\0')
		return conf_expected(p, "%s", what);
	if (strlen(p->tok.text) >= size)
		return conf_expected(
		    p, "%s of at most %zu bytes", what, size - 1);
	return true;
}

static bool
take_text(struct conf_parser *p, char *dst, size_t size)
{
	size_t n;

	n = strlcpy(dst, p->tok.text, size);
	ASSERT(n < size);
	conf_next(p);
	return true;
}

bool
conf_text(struct conf_parser *p, char *dst, size_t size, const char *what)
{
	return check_text(p, size, what) && take_text(p, dst, size);
}

/* They become parts of paths and arguments of hactl: no '/', no "-x". */
bool
conf_name_valid(const char *name)
{
	if (*name == '\0' || *name == '.' || *name == '-' ||
	    strlen(name) >= HAD_NAME_MAX)
		return false;
	for (; *name != '\0'; name++)
		if (!conf_is_word((const char[]){*name, '\0'}) ||
		    strchr(":/%@+,", *name) != NULL)
			return false;
	return true;
}

bool
conf_name(struct conf_parser *p, char *dst, size_t size, const char *what)
{
	if (!check_text(p, size, what))
		return false;
	if (!conf_name_valid(p->tok.text))
		return conf_expected(p,
		    "%s of letters, digits, '_', '.' and '-', "
		    "not beginning with '.' or '-'",
		    what);
	return take_text(p, dst, size);
}

bool
conf_path(struct conf_parser *p, char *dst, size_t size, const char *what)
{
	if (!check_text(p, size, what))
		return false;
	if (p->tok.text[0] != '/')
		return conf_expected(p, "%s that begins with '/'", what);
	return take_text(p, dst, size);
}

/* The kernel's own rule (dev_valid_name), and printable. */
bool
conf_ifname_valid(const char *name)
{
	size_t n;

	n = strlen(name);
	if (n == 0 || n >= 16 || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return false;
	for (; *name != '\0'; name++)
		if (*name <= ' ' || *name >= 0x7f || strchr("/:%", *name))
			return false;
	return true;
}

bool
conf_ifname(struct conf_parser *p, char dst[16])
{
	if (!is_value(p) || !conf_ifname_valid(p->tok.text))
		return conf_expected(p, "the name of a network interface "
					"(1 to 15 bytes)");
	return take_text(p, dst, 16);
}

/*
 * Digits at the beginning of s; *end is what follows them.  False if there
 * is none or the number is above UINT32_MAX.
 */
static bool
scan_uint(const char *s, uint32_t *v, const char **end)
{
	uint64_t n;

	if (*s < '0' || *s > '9')
		return false;
	for (n = 0; *s >= '0' && *s <= '9'; s++) {
		n = n * 10 + (uint64_t)(*s - '0');
		if (n > UINT32_MAX)
			return false;
	}
	*v = (uint32_t)n;
	*end = s;
	return true;
}

bool
conf_uint(struct conf_parser *p, uint32_t min, uint32_t max, uint32_t *v)
{
	const char *end;
	uint32_t n;

	if (!is_value(p) || !scan_uint(p->tok.text, &n, &end) || *end != '\0' ||
	    n < min || n > max)
		return conf_expected(p, "a number from %u to %u", min, max);
	*v = n;
	conf_next(p);
	return true;
}

bool
conf_int(struct conf_parser *p, int32_t min, int32_t max, int32_t *v)
{
	const char *text = p->tok.text, *end;
	bool minus = is_value(p) && *text == '-';
	uint32_t n;
	int64_t value;

	if (!is_value(p) || !scan_uint(text + minus, &n, &end) || *end != '\0')
		return conf_expected(p, "a number from %d to %d", min, max);
	value = minus ? -(int64_t)n : n;
	if (value < min || value > max)
		return conf_expected(p, "a number from %d to %d", min, max);
	*v = (int32_t)value;
	conf_next(p);
	return true;
}

struct unit {
	const char *name;
	uint32_t factor;
};

/*
 * NUMBER UNIT, with or without a space between them.  The result is
 * number * factor; want says what was expected, range included.
 */
static bool
number_unit(struct conf_parser *p, const struct unit *units, size_t n,
    uint64_t *v, const char *want)
{
	const char *name;
	uint32_t number;
	size_t i;

	if (!is_value(p) || !scan_uint(p->tok.text, &number, &name))
		return conf_expected(p, "%s", want);
	if (*name == '\0') {
		conf_next(p);
		name = p->tok.type == CONF_TOK_WORD ? p->tok.text : "";
	}
	for (i = 0; i < n; i++)
		if (strcmp(units[i].name, name) == 0)
			break;
	if (i == n)
		return conf_expected(p, "%s", want);
	*v = (uint64_t)number * units[i].factor;
	return true;
}

bool
conf_duration(
    struct conf_parser *p, uint32_t min_ms, uint32_t max_ms, uint32_t *ms)
{
	static const struct unit units[] = {
	    {"ms", 1}, {"s", 1000}, {"m", 60000}};
	char want[96];
	uint64_t v;

	ASSERT(min_ms <= max_ms);
	ASSERT(max_ms % 1000 == 0);
	snprintf(want, sizeof(want),
	    "a duration with its unit (ms, s or m), from %ums to %u%s", min_ms,
	    max_ms % 60000 == 0 ? max_ms / 60000 : max_ms / 1000,
	    max_ms % 60000 == 0 ? "m" : "s");
	if (!number_unit(p, units, NITEMS(units), &v, want))
		return false;
	if (v < min_ms || v > max_ms)
		return conf_expected(p, "%s", want);
	*ms = (uint32_t)v;
	conf_next(p);
	return true;
}

bool
conf_rate(struct conf_parser *p, uint32_t *kib)
{
	static const struct unit units[] = {{"KiB", 1}, {"MiB", 1024}};
	static const char want[] =
	    "a rate per second with its unit (KiB or MiB), "
	    "from 64 KiB to 1048576 MiB";
	uint64_t v;

	if (!number_unit(p, units, NITEMS(units), &v, want))
		return false;
	if (v < 64 || v > 1024 * 1024 * 1024)
		return conf_expected(p, "%s", want);
	*kib = (uint32_t)v;
	conf_next(p);
	return true;
}

int
conf_hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	if (ch >= 'A' && ch <= 'F')
		return ch - 'A' + 10;
	return -1;
}

bool
conf_key(struct conf_parser *p, uint8_t key[32])
{
	static const char prefix[] = "sha256:";
	const char *hex;
	uint8_t out[32];
	size_t i;

	hex = p->tok.text + strlen(prefix);
	if (!is_value(p) || strncmp(p->tok.text, prefix, strlen(prefix)) != 0 ||
	    strlen(hex) != 64)
		goto wrong;
	for (i = 0; i < 64; i++) {
		if (conf_hex_digit(hex[i]) < 0)
			goto wrong;
		if (i % 2 == 1)
			out[i / 2] = (uint8_t)(conf_hex_digit(hex[i - 1]) << 4 |
					       conf_hex_digit(hex[i]));
	}
	memcpy(key, out, sizeof(out));
	conf_next(p);
	return true;
wrong:
	return conf_expected(p, "\"sha256:\" and 64 hexadecimal digits");
}
