/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl addresses: service addresses and virtual routers.
 */
#include <stdio.h>
#include <string.h>

#include "hactl.h"

static const char *
s_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static int64_t
i_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* Who decides where it is. */
static void
whose(const json_t *o, char *buf, size_t size)
{
	if (*s_of(o, "service") != '\0')
		snprintf(buf, size, "service %s", s_of(o, "service"));
	else if (json_is_true(json_object_get(o, "shared")))
		snprintf(buf, size, "both nodes");
	else
		snprintf(buf, size, "router %s", s_of(o, "router"));
}

static void
address_rows(const json_t *o, FILE *f)
{
	static const char *const head[] = {"ADDRESS", "IS", "INTERFACE", "OF",
	    "HERE", "SINCE", "ANNOUNCED", "CONFLICTS", "STRIPPED"};
	struct table t = {0};
	const json_t *a;
	size_t i;

	table_row(&t, head, NITEMS(head));
	json_array_foreach(json_object_get(o, "addresses"), i, a)
	{
		char of[48], since[24], n[3][24];
		const char *cells[] = {s_of(a, "name"), s_of(a, "address"),
		    s_of(a, "interface"), of, s_of(a, "state"), since, n[0],
		    n[1], n[2]};

		whose(a, of, sizeof(of));
		format_age(i_of(a, "since_ms"), since, sizeof(since));
		snprintf(n[0], sizeof(n[0]), "%lld",
		    (long long)i_of(a, "announced"));
		snprintf(n[1], sizeof(n[1]), "%lld",
		    (long long)i_of(a, "conflicts"));
		snprintf(
		    n[2], sizeof(n[2]), "%lld", (long long)i_of(a, "stripped"));
		table_row(&t, cells, NITEMS(cells));
	}
	table_print(&t, "", f);
	json_array_foreach(json_object_get(o, "addresses"), i,
	    a) if (*s_of(a, "error") != '\0')
	    fprintf(f, "address %s: %s\n", s_of(a, "name"), s_of(a, "error"));
}

/* Which of the clients of shared addresses are served here. */
static void
share_note(const json_t *o, FILE *f)
{
	const json_t *s = json_object_get(o, "shares");
	char since[24];

	if (s == NULL)
		return;
	format_age(i_of(s, "since_ms"), since, sizeof(since));
	fprintf(f,
	    "shared addresses: %s for %s: %s%lld of %lld shares of the "
	    "clients are served here\n",
	    s_of(s, "state"), since,
	    json_is_true(json_object_get(s, "certain")) ? "" : "at most ",
	    (long long)i_of(s, "serves"), (long long)i_of(s, "of"));
	if (i_of(s, "failed") > 0)
		fprintf(f, "shared addresses: the guard failed %lld times\n",
		    (long long)i_of(s, "failed"));
}

static void
master_of(const json_t *r, char *buf, size_t size)
{
	if (strcmp(s_of(r, "state"), "ACTIVE") == 0)
		snprintf(buf, size, "this node");
	else if (*s_of(r, "master") == '\0')
		snprintf(buf, size, "-");
	else
		snprintf(buf, size, "%s (%lld)", s_of(r, "master"),
		    (long long)i_of(r, "master_priority"));
}

static long long
rejected(const json_t *r)
{
	const char *key;
	json_t *v;
	long long n = 0;

	json_object_foreach(json_object_get(r, "rejected"), key, v) n +=
	    json_integer_value(v);
	return n;
}

static void
router_rows(const json_t *o, FILE *f)
{
	static const char *const head[] = {"ROUTER", "PROTOCOL", "ID",
	    "INTERFACE", "STATE", "SINCE", "PRIORITY", "MASTER", "SENT",
	    "RECEIVED", "REJECTED"};
	struct table t = {0};
	const json_t *r;
	size_t i;

	table_row(&t, head, NITEMS(head));
	json_array_foreach(json_object_get(o, "routers"), i, r)
	{
		bool carp = strcmp(s_of(r, "protocol"), "carp") == 0;
		char id[8], since[24], rank[24], master[80], n[3][24];
		const char *cells[] = {s_of(r, "name"), s_of(r, "protocol"), id,
		    s_of(r, "interface"), s_of(r, "state"), since, rank, master,
		    n[0], n[1], n[2]};

		snprintf(id, sizeof(id), "%lld", (long long)i_of(r, "vrid"));
		format_age(i_of(r, "since_ms"), since, sizeof(since));
		snprintf(rank, sizeof(rank), carp ? "skew %lld" : "%lld",
		    (long long)i_of(r, carp ? "skew" : "priority"));
		master_of(r, master, sizeof(master));
		snprintf(
		    n[0], sizeof(n[0]), "%lld", (long long)i_of(r, "sent"));
		snprintf(
		    n[1], sizeof(n[1]), "%lld", (long long)i_of(r, "received"));
		snprintf(n[2], sizeof(n[2]), "%lld", rejected(r));
		table_row(&t, cells, NITEMS(cells));
	}
	table_print(&t, "", f);
}

/* What a router says about itself, where there is something to say. */
static void
router_notes(const json_t *o, FILE *f)
{
	const json_t *r, *v;
	const char *key;
	size_t i;

	json_array_foreach(json_object_get(o, "routers"), i, r)
	{
		if (*s_of(r, "reason") != '\0')
			fprintf(f, "router %s: %s: %s\n", s_of(r, "name"),
			    s_of(r, "state"), s_of(r, "reason"));
		json_object_foreach(
		    (json_t *)(uintptr_t)json_object_get(r, "rejected"), key, v)
		    fprintf(f, "router %s: %lld adverts rejected: %s\n",
			s_of(r, "name"), (long long)json_integer_value(v), key);
	}
	if (i_of(o, "strays") > 0)
		fprintf(f,
		    "%lld adverts of routers that are not configured "
		    "here\n",
		    (long long)i_of(o, "strays"));
}

void
text_addresses(const json_t *o, FILE *f)
{
	if (json_array_size(json_object_get(o, "addresses")) == 0) {
		fprintf(f, "no address is configured\n");
		return;
	}
	address_rows(o, f);
	share_note(o, f);
	if (json_array_size(json_object_get(o, "routers")) == 0)
		return;
	fputc('\n', f);
	router_rows(o, f);
	router_notes(o, f);
}

int
cmd_addresses(struct hactl *h, int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return usage_of("addresses");
	return show(h, request("addresses"), text_addresses);
}
