/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What hactl faults prints for eyes, made from its JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "hactl.h"

enum { CELL = 400 };

static int64_t
i_of(const json_t *r, const char *key)
{
	return json_integer_value(json_object_get(r, key));
}

static const char *
s_of(const json_t *r, const char *key)
{
	const char *s = json_string_value(json_object_get(r, key));

	return s != NULL ? s : "";
}

static bool
is(const json_t *r, const char *outcome)
{
	return strcmp(s_of(r, "outcome"), outcome) == 0;
}

static void
format_ms(int64_t ms, char *buf, size_t size)
{
	if (ms < 1000)
		snprintf(buf, size, "%lld ms", (long long)ms);
	else
		snprintf(buf, size, "%lld.%lld s", (long long)ms / 1000,
		    (long long)ms / 100 % 10);
}

/* "moves in 1.7 s" */
static void
outcome_text(const json_t *r, char *buf, size_t size)
{
	char ms[32];

	if (is(r, "moves")) {
		format_ms(i_of(r, "away_ms"), ms, sizeof(ms));
		snprintf(buf, size, "moves in %s", ms);
	} else if (is(r, "waits")) {
		snprintf(buf, size, "WAITS FOR YOU");
	} else if (is(r, "risk")) {
		snprintf(buf, size, "DATA AT RISK");
	} else {
		snprintf(buf, size, "%s", s_of(r, "outcome"));
	}
}

/* Where to, how long writes waited, why, and what to do. */
static void
detail_text(const json_t *r, bool name, char *buf, size_t size)
{
	char ms[32];
	int n = 0;

	buf[0] = '\0';
	/* Unless what follows begins with it. */
	name &= strncmp(s_of(r, "why"), s_of(r, "service"),
		    strlen(s_of(r, "service"))) != 0;
	if (name && !is(r, "continues"))
		n = snprintf(buf, size, "%s: ", s_of(r, "service"));
	if (is(r, "waits")) {
		snprintf(buf + n, size - (size_t)n, "%s; %s", s_of(r, "why"),
		    s_of(r, "action"));
	} else if (is(r, "risk")) {
		snprintf(buf + n, size - (size_t)n, "%s", s_of(r, "why"));
	} else if (is(r, "moves")) {
		snprintf(buf + n, size - (size_t)n, "to %s", s_of(r, "on"));
	} else if (i_of(r, "held_ms") >= 50) {
		format_ms(i_of(r, "held_ms"), ms, sizeof(ms));
		snprintf(buf, size, "writes wait %s", ms);
	}
	if (json_is_true(json_object_get(r, "doubled"))) {
		n = (int)strlen(buf);
		snprintf(buf + n, size - (size_t)n,
		    "%sboth nodes answer for an address", n > 0 ? "; " : "");
	}
}

static int
widest(const json_t *list, const char *key, int least)
{
	const json_t *r;
	size_t i;

	json_array_foreach(list, i, r)
	{
		int len = (int)strlen(s_of(r, key));

		if (len > least)
			least = len;
	}
	return least;
}

static void
text_single(const json_t *o, bool names, FILE *f)
{
	const json_t *list = json_object_get(o, "single"), *r;
	int w = widest(list, "fault", 9);
	size_t i;

	fprintf(f, "%-*s  %s\n", w, "ONE FAULT", "OUTCOME");
	json_array_foreach(list, i, r)
	{
		char outcome[64], detail[2 * CELL];

		outcome_text(r, outcome, sizeof(outcome));
		detail_text(r, names, detail, sizeof(detail));
		if (detail[0] != '\0')
			fprintf(f, "%-*s  %-16s  %s\n", w, s_of(r, "fault"),
			    outcome, detail);
		else
			fprintf(f, "%-*s  %s\n", w, s_of(r, "fault"), outcome);
	}
}

static const json_t *
single_of(const json_t *o, const char *fault)
{
	const json_t *r;
	size_t i;

	json_array_foreach(json_object_get(o, "single"), i, r)
	{
		if (strcmp(s_of(r, "fault"), fault) == 0)
			return r;
	}
	return NULL;
}

/* What is known already: one of the two alone is as bad, or nobody is left. */
static bool
is_news(const json_t *o, const json_t *r)
{
	static const char *const keys[] = {"first", "second"};

	for (unsigned k = 0; k < NITEMS(keys); k++)
		if (strcmp(s_of(single_of(o, s_of(r, keys[k])), "outcome"),
			s_of(r, "outcome")) == 0)
			return false;
	return i_of(r, "daemons") > 0;
}

static void
text_double(
    const json_t *o, const char *key, const char *head, bool all, FILE *f)
{
	const json_t *list = json_object_get(o, key), *r;
	int a = widest(list, "first", 10), b = widest(list, "second", 4);
	size_t i, fine = 0, known = 0;

	if (list == NULL)
		return;
	fprintf(f, "\n%-*s  %-*s  %s\n", a, "TWO FAULTS", b, "THEN", head);
	json_array_foreach(list, i, r)
	{
		char outcome[64], detail[2 * CELL];

		if (!all && !is(r, "waits") && !is(r, "risk")) {
			fine++;
			continue;
		}
		if (!all && !is(r, "risk") && !is_news(o, r)) {
			known++;
			continue;
		}
		outcome_text(r, outcome, sizeof(outcome));
		detail_text(r, false, detail, sizeof(detail));
		fprintf(f, "%-*s  %-*s  ", a, s_of(r, "first"), b,
		    s_of(r, "second"));
		if (detail[0] != '\0')
			fprintf(f, "%-16s  %s\n", outcome, detail);
		else
			fprintf(f, "%s\n", outcome);
	}
	if (!all)
		fprintf(f,
		    "... %zu need nobody; %zu wait for you as one of the two "
		    "alone does, or as no daemon is left (--all shows them)\n",
		    fine, known);
}

static void
text_sum(const json_t *sums, const char *key, const char *what, FILE *f)
{
	const json_t *s = json_object_get(sums, key);
	char ms[32], worst[48] = "";

	if (s == NULL)
		return;
	if (i_of(s, "move") > 0) {
		format_ms(i_of(s, "longest_away_ms"), ms, sizeof(ms));
		snprintf(worst, sizeof(worst), " (at most %s)", ms);
	}
	fprintf(f,
	    "%lld %s: %lld continue, %lld move%s, %lld wait for you, %lld risk "
	    "data\n",
	    (long long)i_of(s, "faults"), what, (long long)i_of(s, "continue"),
	    (long long)i_of(s, "move"), worst, (long long)i_of(s, "wait"),
	    (long long)i_of(s, "risk"));
}

static void
text_worst(const json_t *o, FILE *f)
{
	const json_t *r =
	    single_of(o, s_of(json_object_get(o, "summary"), "worst"));
	char outcome[64], detail[2 * CELL];

	if (r == NULL)
		return;
	outcome_text(r, outcome, sizeof(outcome));
	detail_text(r, false, detail, sizeof(detail));
	fprintf(f, "worst single fault: %s: %s %s%s%s\n", s_of(r, "fault"),
	    s_of(r, "service"), outcome,
	    detail[0] == '\0' ? ""
	    : is(r, "moves")  ? " "
			      : ": ",
	    detail);
}

void
text_faults(const json_t *o, bool all, FILE *f)
{
	const json_t *homes = json_object_get(o, "services"), *s;
	const json_t *sums = json_object_get(o, "summary");
	size_t i;

	fprintf(f, "cluster %s", s_of(o, "cluster"));
	json_array_foreach(homes, i, s)
	{
		fprintf(f, "%s %s runs on %s", i == 0 ? ":" : ",",
		    s_of(s, "service"), s_of(s, "on"));
	}
	fprintf(f,
	    "; nothing is repaired\nreckoned with: mount %d ms, command %d ms, "
	    "fence %d ms\n\n",
	    FAULTS_MOUNT_MS, FAULTS_COMMAND_MS, FAULTS_FENCE_MS);
	text_single(o, json_array_size(homes) > 1, f);
	text_double(o, "double", "30 S LATER", all, f);
	text_double(o, "at_once", "AT ONCE", all, f);
	fprintf(f, "\n");
	text_sum(sums, "single", "single faults", f);
	text_sum(sums, "double", "double faults, 30 s apart", f);
	text_sum(sums, "at_once", "double faults at once", f);
	text_worst(o, f);
}
