/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include <bsd/string.h>

#include "fence_agent.h"

const char *
fa_action_name(enum fa_action action)
{
	static const char *const names[FA_ACTION_N] = {
	    [FA_OFF] = "off",
	    [FA_STATUS] = "status",
	    [FA_MONITOR] = "monitor",
	    [FA_ON] = "on",
	};

	ASSERT(action < FA_ACTION_N);
	return names[action];
}

/* A line end in a value would be an option of its own to the agent. */
static const char *
value_check(const char *value)
{
	return value[strcspn(value, "\r\n")] != 0 ? "a line end in a parameter"
						  : NULL;
}

int
fa_input(const struct conf_fence *f, const struct fa_values *v,
    enum fa_action action, const char *node, char buf[FA_INPUT_MAX],
    const char **why)
{
	const char *target = node;
	int len;

	ASSERT(f->n_params <= HAD_FENCE_PARAMS_MAX);
	*why = NULL;
	for (unsigned i = 0; i < f->n_params && *why == NULL; i++) {
		const struct conf_fence_param *p = &f->params[i];

		*why = value_check(v->values[i]);
		if (strcmp(p->name, "action") == 0)
			*why = "the action is not a parameter";
		if (strcmp(p->name, "nodename") == 0)
			target = v->values[i];
	}
	if (*why != NULL)
		return -1;
	len = snprintf(buf, FA_INPUT_MAX, "action=%s\nnodename=%s\n",
	    fa_action_name(action), target);
	for (unsigned i = 0; i < f->n_params; i++)
		if (strcmp(f->params[i].name, "nodename") != 0)
			len += snprintf(buf + len, (size_t)(FA_INPUT_MAX - len),
			    "%s=%s\n", f->params[i].name, v->values[i]);
	ASSERT(len < FA_INPUT_MAX);
	return len;
}

int
fa_value_of_file(char value[HAD_VALUE_MAX], const uint8_t *bytes, size_t len,
    const char **why)
{
	size_t n = 0;

	while (n < len && bytes[n] != '\n')
		n++;
	if (n > 0 && bytes[n - 1] == '\r')
		n--;
	*why = NULL;
	if (n == 0)
		*why = "its first line is empty";
	else if (n >= HAD_VALUE_MAX)
		*why = "its first line is too long";
	else if (memchr(bytes, '\0', n) != NULL ||
		 memchr(bytes, '\r', n) != NULL)
		*why = "its first line is not text";
	if (*why != NULL)
		return -1;
	memcpy(value, bytes, n);
	value[n] = '\0';
	return 0;
}

enum fa_result
fa_result_of(enum fa_action action, int exit_status)
{
	if (action != FA_STATUS)
		return exit_status == 0 ? FA_OK : FA_FAILED;
	/* 1 is "cannot say"; so is whatever the convention does not know. */
	if (exit_status == 0)
		return FA_IS_ON;
	return exit_status == 2 ? FA_IS_OFF : FA_FAILED;
}

static void
line_end(struct fa_output *o)
{
	o->part[o->used] = '\0';
	if (o->part[strspn(o->part, " ")] != '\0')
		strlcpy(o->last, o->part, sizeof(o->last));
	o->used = 0;
}

void
fa_output_add(struct fa_output *o, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c == '\n')
			line_end(o);
		else if (o->used < FA_LINE_MAX - 1)
			o->part[o->used++] =
			    c < ' ' || c == 127 ? ' ' : (char)c;
	}
}

static bool
is_secret(const struct conf_fence_param *p)
{
	static const char *const words[] = {"pass", "secret", "token", "key"};

	for (unsigned i = 0; i < NITEMS(words); i++)
		if (strstr(p->name, words[i]) != NULL)
			return true;
	return p->file;
}

/* Replaces each occurrence of word in text, which never grows too long. */
static void
mask(char text[FA_LINE_MAX], const char *word)
{
	char rest[FA_LINE_MAX], *at = text;
	size_t len = strlen(word);

	while (len > 0 && (at = strstr(at, word)) != NULL) {
		strlcpy(rest, at + len, sizeof(rest));
		*at = '\0';
		strlcat(text, "***", FA_LINE_MAX);
		at = text + strlen(text);
		strlcat(text, rest, FA_LINE_MAX);
	}
}

/*
 * A line that was cut may end within a secret: what is left of it at the end
 * goes as well.
 */
static void
mask_tail(char text[FA_LINE_MAX], const char *word)
{
	size_t len = strlen(text), n = strlen(word);

	if (len < FA_LINE_MAX - 1)
		return;
	for (n = n < len ? n : len; n > 0; n--)
		if (memcmp(text + len - n, word, n) == 0)
			break;
	text[len - n] = '\0';
}

void
fa_output_text(const struct fa_output *o, const struct conf_fence *f,
    const struct fa_values *v, char text[FA_LINE_MAX])
{
	struct fa_output end = *o;

	line_end(&end);
	strlcpy(text, end.last, FA_LINE_MAX);
	for (unsigned i = 0; i < f->n_params; i++)
		if (is_secret(&f->params[i]))
			mask_tail(text, v->values[i]);
	for (unsigned i = 0; i < f->n_params; i++)
		if (is_secret(&f->params[i]))
			mask(text, v->values[i]);
}
