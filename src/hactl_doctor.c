/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl doctor: is this machine fit for had?  Each line says what was found
 * and, where something is wrong, what to do about it.  It needs no daemon,
 * and changes nothing.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "hactl.h"
#include "hactl_doctor.h"
#include "hactl_int.h"

static const char *const levels[] = {"ok", "warn", "fail"};

void
doctor_say(struct doctor *d, enum doctor_level level, const char *check,
    const char *object, const char *fix, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (level > d->worst)
		d->worst = level;
	json_array_append_new(d->list,
	    json_pack("{s:s, s:s, s:s, s:s, s:s}", "level", levels[level],
		"check", check, "object", object, "text", text, "fix", fix));
}

static const char *
get(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text != NULL ? text : "";
}

static void
text_doctor(const struct doctor *d, FILE *f)
{
	static const char *const words[] = {"OK", "WARN", "FAIL"};
	static const char *const ends[] = {"nothing is wrong",
	    "had runs, but see the warnings",
	    "mend what failed before had is trusted with anything"};
	const json_t *row;
	size_t i;

	json_array_foreach(d->list, i, row)
	{
		unsigned level = 0;

		while (strcmp(levels[level], get(row, "level")) != 0)
			level++;
		fprintf(f, "%-4s  %s%s%s: %s\n", words[level],
		    get(row, "check"), *get(row, "object") != '\0' ? " " : "",
		    get(row, "object"), get(row, "text"));
		if (*get(row, "fix") != '\0')
			fprintf(f, "      fix: %s\n", get(row, "fix"));
	}
	fprintf(f, "%s\n", ends[d->worst]);
}

static struct conf *
read_conf(struct doctor *d, const struct hactl *h)
{
	struct conf *c;

	if (access(h->conf_path, F_OK) < 0) {
		doctor_say(d, DOCTOR_WARN, "configuration", h->conf_path,
		    "write it, see had.conf(5); then run this again",
		    "there is none, so nothing was looked at that it names");
		return NULL;
	}
	c = hactl_conf(h);
	if (c == NULL)
		doctor_say(d, DOCTOR_FAIL, "configuration", h->conf_path,
		    "mend what is told above; 'had -n' checks it",
		    "it has errors");
	else
		doctor_say(d, DOCTOR_OK, "configuration", h->conf_path, "",
		    "cluster %s, %u node%s", c->cluster, c->n_nodes,
		    c->n_nodes == 1 ? "" : "s");
	return c;
}

int
cmd_doctor(struct hactl *h, int argc, char **argv)
{
	struct doctor d = {.list = json_array()};
	struct conf *c;
	json_t *whole;

	(void)argv;
	if (argc != 1)
		return usage_of("doctor");
	d.c = c = read_conf(&d, h);
	doctor_kernel(&d);
	doctor_rules(&d);
	doctor_net(&d);
	if (h->json) {
		whole = json_pack("{s:i, s:s, s:O}", "version", 1, "worst",
		    levels[d.worst], "checks", d.list);
		json_dumpf(whole, stdout, JSON_INDENT(2));
		printf("\n");
		json_decref(whole);
	} else
		text_doctor(&d, stdout);
	json_decref(d.list);
	free(c);
	return (int)d.worst;
}
