/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text for eyes, made from the JSON for programs: one source of truth.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

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

static bool
b_of(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static const char *
or_dash(const char *s)
{
	return *s != '\0' ? s : "-";
}

static void
nodes_table(const json_t *o, FILE *f)
{
	static const char *const head[] = {
	    "  NODE", "ROLE", "STATE", "SEEN", "VERSION"};
	struct table t = {0};
	const json_t *n;
	size_t i;

	table_row(&t, head, NITEMS(head));
	json_array_foreach(json_object_get(o, "nodes"), i, n)
	{
		char name[HAD_NAME_MAX + 2], seen[24];
		const char *cells[] = {name, s_of(n, "role"), s_of(n, "state"),
		    seen, or_dash(s_of(n, "version"))};

		snprintf(name, sizeof(name), "%s%s",
		    b_of(n, "self") ? "* " : "  ", s_of(n, "name"));
		if (b_of(n, "self"))
			snprintf(seen, sizeof(seen), "self");
		else
			format_age(i_of(n, "seen_ms"), seen, sizeof(seen));
		table_row(&t, cells, NITEMS(cells));
	}
	table_print(&t, "", f);
}

static void
links_table(const json_t *o, FILE *f)
{
	static const char *const head[] = {
	    "LINK", "STATE", "RTT", "LOSS", "SINCE"};
	struct table t = {0};
	const json_t *l;
	size_t i;

	if (json_array_size(json_object_get(o, "links")) == 0)
		return;
	table_row(&t, head, NITEMS(head));
	json_array_foreach(json_object_get(o, "links"), i, l)
	{
		char rtt[24], loss[24], since[24];
		const char *cells[] = {
		    s_of(l, "name"), s_of(l, "state"), rtt, loss, since};
		int64_t us = i_of(l, "rtt_us"), pm = i_of(l, "loss_permille");

		if (us < 0 || strcmp(s_of(l, "state"), "down") == 0)
			snprintf(rtt, sizeof(rtt), "-");
		else
			snprintf(rtt, sizeof(rtt), "%lld.%02lld ms",
			    (long long)us / 1000, (long long)us / 10 % 100);
		snprintf(loss, sizeof(loss), "%lld.%lld%%", (long long)pm / 10,
		    (long long)pm % 10);
		format_age(i_of(l, "since_ms"), since, sizeof(since));
		table_row(&t, cells, NITEMS(cells));
	}
	table_print(&t, "  ", f);
}

static void
services_table(const json_t *o, FILE *f)
{
	static const char *const head[] = {
	    "SERVICE", "ON", "HERE", "SINCE", "VOLUME", "STATE", "BEHIND"};
	struct table t = {0};
	const json_t *s;
	size_t i;

	if (json_array_size(json_object_get(o, "services")) == 0)
		return;
	table_row(&t, head, NITEMS(head));
	json_array_foreach(json_object_get(o, "services"), i, s)
	{
		char since[24], behind[24];
		const char *cells[] = {s_of(s, "name"), or_dash(s_of(s, "on")),
		    s_of(s, "state"), since, or_dash(s_of(s, "volume")),
		    or_dash(s_of(s, "volume_state")), behind};

		format_age(i_of(s, "since_ms"), since, sizeof(since));
		format_bytes(i_of(s, "behind_bytes"), behind, sizeof(behind));
		if (*s_of(s, "volume") == '\0')
			snprintf(behind, sizeof(behind), "-");
		table_row(&t, cells, NITEMS(cells));
	}
	table_print(&t, "  ", f);
}

static void
addresses_table(const json_t *o, FILE *f)
{
	static const char *const head[] = {
	    "ADDRESS", "IS", "INTERFACE", "HERE", "SINCE"};
	struct table t = {0};
	const json_t *a;
	size_t i;

	if (json_array_size(json_object_get(o, "addresses")) == 0)
		return;
	table_row(&t, head, NITEMS(head));
	json_array_foreach(json_object_get(o, "addresses"), i, a)
	{
		char since[24];
		const char *cells[] = {s_of(a, "name"), s_of(a, "address"),
		    s_of(a, "interface"), s_of(a, "state"), since};

		format_age(i_of(a, "since_ms"), since, sizeof(since));
		table_row(&t, cells, NITEMS(cells));
	}
	table_print(&t, "  ", f);
}

/* What an operator has said, or R10 has: so that nobody overlooks it. */
static void
orders(const json_t *o, FILE *f)
{
	const json_t *s;
	size_t i;

	if (b_of(o, "frozen"))
		fprintf(f, "*** everything is FROZEN: nothing moves by itself; "
			   "'hactl thaw' ***\n");
	json_array_foreach(json_object_get(o, "services"), i, s)
	{
		if (b_of(s, "frozen") && !b_of(o, "frozen"))
			fprintf(f,
			    "*** %s is FROZEN: it does not move by "
			    "itself; 'hactl thaw %s' ***\n",
			    s_of(s, "name"), s_of(s, "name"));
		else if (*s_of(s, "held") != '\0' && !b_of(s, "frozen"))
			fprintf(f, "*** %s is FROZEN (R10): %s ***\n",
			    s_of(s, "name"), s_of(s, "held"));
		if (b_of(s, "stopped"))
			fprintf(f,
			    "*** %s is STOPPED by an operator; 'hactl "
			    "start %s' ***\n",
			    s_of(s, "name"), s_of(s, "name"));
	}
	if (b_of(o, "self_fenced"))
		fprintf(f, "*** this node is to be RESET (R12) ***\n");
}

/* Who decides about a silent peer; nothing if nobody is configured. */
static void
arbiters_table(const json_t *o, FILE *f)
{
	static const char *const head[] = {
	    "ARBITER", "NAME", "OF", "STATE", "LEASE"};
	const json_t *list = json_object_get(o, "arbiters"), *a;
	struct table t = {0};
	size_t i;

	if (json_array_size(list) == 0)
		return;
	table_row(&t, head, NITEMS(head));
	json_array_foreach(list, i, a)
	{
		const char *of = s_of(a, "node"), *holder = s_of(a, "holder");
		char state[48], age[24], lease[64] = "-";
		const char *cells[] = {s_of(a, "kind"), s_of(a, "name"),
		    *of != '\0' ? of : "-", state, lease};
		bool tested = json_object_get(a, "tested_ms") != NULL &&
			      i_of(a, "tested_ms") >= 0;

		format_age(i_of(a, "tested_ms"), age, sizeof(age));
		snprintf(state, sizeof(state), "%s%s%s%s", s_of(a, "state"),
		    tested ? " " : "", tested ? age : "", tested ? " ago" : "");
		if (*holder != '\0')
			snprintf(lease, sizeof(lease), "%s, epoch %lld", holder,
			    (long long)i_of(a, "holder_epoch"));
		table_row(&t, cells, NITEMS(cells));
	}
	table_print(&t, "  ", f);
}

void
text_status(const json_t *o, FILE *f)
{
	const char *mine = s_of(o, "configuration");
	const char *peer = s_of(o, "peer_configuration");

	fprintf(f, "cluster %s   %s   epoch %lld   configuration %s",
	    s_of(o, "cluster"), s_of(o, "state"), (long long)i_of(o, "epoch"),
	    mine);
	if (*peer != '\0')
		fprintf(f, " %s %s", strcmp(mine, peer) == 0 ? "=" : "is not",
		    peer);
	fprintf(f, "\n");
	if (*s_of(o, "reason") != '\0')
		fprintf(f, "status: %s\naction: %s\n", s_of(o, "reason"),
		    s_of(o, "action"));
	orders(o, f);
	nodes_table(o, f);
	links_table(o, f);
	services_table(o, f);
	addresses_table(o, f);
	arbiters_table(o, f);
	fprintf(f, "%s\n", s_of(o, "forecast"));
}

void
text_links(const json_t *o, FILE *f)
{
	static const char *const head[] = {"LINK", "PEER", "INTERFACE",
	    "ADDRESS", "CARRIER", "STATE", "RTT", "LOSS", "SENT", "LOST",
	    "LATE", "DOWNS"};
	struct table t = {0};
	const json_t *l;
	size_t i;

	table_row(&t, head, NITEMS(head));
	json_array_foreach(json_object_get(o, "links"), i, l)
	{
		char rtt[24], loss[24], n[4][24];
		const char *cells[] = {s_of(l, "name"), s_of(l, "peer"),
		    s_of(l, "interface"), s_of(l, "address"),
		    b_of(l, "carrier") ? "on" : "off", s_of(l, "state"), rtt,
		    loss, n[0], n[1], n[2], n[3]};
		static const char *const keys[] = {
		    "sent", "lost", "late", "downs"};
		int64_t us = i_of(l, "rtt_us"), pm = i_of(l, "loss_permille");

		if (us < 0)
			snprintf(rtt, sizeof(rtt), "-");
		else
			snprintf(rtt, sizeof(rtt), "%lld us", (long long)us);
		snprintf(loss, sizeof(loss), "%lld.%lld%%", (long long)pm / 10,
		    (long long)pm % 10);
		for (unsigned k = 0; k < NITEMS(keys); k++)
			snprintf(n[k], sizeof(n[k]), "%lld",
			    (long long)i_of(l, keys[k]));
		table_row(&t, cells, NITEMS(cells));
	}
	table_print(&t, "", f);
	if (i_of(o, "strangers") > 0)
		fprintf(f, "%lld strangers refused, the last one %s: %s\n",
		    (long long)i_of(o, "strangers"),
		    s_of(o, "stranger_address"), s_of(o, "stranger_why"));
}

/* A bar of 30 characters, and how long it will take. */
static void
progress(const json_t *sync, FILE *f)
{
	int64_t total = i_of(sync, "total_bytes");
	int64_t left = i_of(sync, "left_bytes");
	int64_t eta = i_of(sync, "eta_s");
	char rate[24], todo[24], bar[31];
	unsigned done = total > 0 ? (unsigned)(30 * (total - left) / total) : 0;

	for (unsigned i = 0; i < 30; i++)
		bar[i] = i < done ? '#' : '.';
	bar[30] = '\0';
	format_bytes(i_of(sync, "rate_bytes_per_s"), rate, sizeof(rate));
	format_bytes(left, todo, sizeof(todo));
	fprintf(f, "  resync %s [%s] %lld%%, %s left, %s/s",
	    b_of(sync, "source") ? "to the peer" : "from the peer", bar,
	    (long long)(total > 0 ? 100 * (total - left) / total : 0), todo,
	    rate);
	if (eta >= 0)
		fprintf(f, ", %lld s to go", (long long)eta);
	fprintf(f, "%s\n", b_of(sync, "stalled") ? " (stalled)" : "");
}

void
text_volumes(const json_t *o, FILE *f)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(o, "volumes"), i, v)
	{
		const json_t *sync = json_object_get(v, "resync");
		char size[24], dirty[24];

		format_bytes(i_of(v, "size_bytes"), size, sizeof(size));
		format_bytes(i_of(v, "dirty_bytes"), dirty, sizeof(dirty));
		fprintf(f, "volume %s   %s   %s   %s\n", s_of(v, "name"),
		    s_of(v, "role"), s_of(v, "connection"), size);
		fprintf(f, "  disk here %s (%s), at the peer %s; %s differ\n",
		    s_of(v, "disk"), s_of(v, "backing"), s_of(v, "peer_disk"),
		    dirty);
		if (*s_of(v, "device") != '\0')
			fprintf(f, "  device %s\n", s_of(v, "device"));
		if (b_of(sync, "active"))
			progress(sync, f);
		if (b_of(v, "holding"))
			fprintf(f, "  answers are held until the peer's fate "
				   "is decided (R14)\n");
		if (*s_of(v, "error") != '\0')
			fprintf(f, "  error: %s\n", s_of(v, "error"));
	}
	if (json_array_size(json_object_get(o, "volumes")) == 0)
		fprintf(f, "no volume is configured\n");
}

void
text_locks(const json_t *o, FILE *f)
{
	static const char *const head[] = {"SPACE", "NAME", "NODE", "PID",
	    "STATE", "MODE", "WANTS", "SINCE", "WHY"};
	struct table t = {0};
	const json_t *l;
	size_t i;

	fprintf(f, "locks: %s, %lld granted and %lld waiting here\n",
	    s_of(o, "state"), (long long)i_of(o, "granted"),
	    (long long)i_of(o, "waiting"));
	if (json_array_size(json_object_get(o, "locks")) == 0)
		return;
	table_row(&t, head, NITEMS(head));
	json_array_foreach(json_object_get(o, "locks"), i, l)
	{
		char since[24], pid[24];
		const char *cells[] = {s_of(l, "space"), s_of(l, "name"),
		    s_of(l, "node"), pid, s_of(l, "state"), s_of(l, "mode"),
		    s_of(l, "wanted"), since, or_dash(s_of(l, "why"))};

		format_age(i_of(l, "since_ms"), since, sizeof(since));
		snprintf(pid, sizeof(pid), "%lld", (long long)i_of(l, "pid"));
		table_row(&t, cells, NITEMS(cells));
	}
	table_print(&t, "", f);
}

void
text_event(const json_t *o, FILE *f)
{
	int64_t ms = i_of(o, "time_ms");
	time_t sec = (time_t)(ms / 1000);
	char at[32];
	struct tm tm;

	localtime_r(&sec, &tm);
	strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(f, "%s.%03lld %s%s%-7s %s: %s%s%s%s\n", at,
	    (long long)ms % 1000, s_of(o, "node"),
	    *s_of(o, "node") != '\0' ? " " : "", s_of(o, "level"),
	    s_of(o, "object"), s_of(o, "text"),
	    *s_of(o, "rule") != '\0' ? " [" : "", s_of(o, "rule"),
	    *s_of(o, "rule") != '\0' ? "]" : "");
}

static void
decision(const json_t *d, FILE *f)
{
	if (!json_is_object(d))
		return;
	fprintf(
	    f, "last decision: %s: %s\n", s_of(d, "object"), s_of(d, "text"));
	fprintf(f, "  rule %s: %s\n", s_of(d, "rule"), s_of(d, "rule_says"));
	fprintf(f, "  rejected: %s\n", s_of(d, "rejected"));
}

void
text_why(const json_t *o, FILE *f)
{
	const json_t *events = json_object_get(o, "events");
	size_t n = json_array_size(events);

	if (n == 0)
		fprintf(f, "nothing has been decided since had started\n");
	/* What led here, newest last: the story of the present state. */
	for (size_t i = n > 10 ? n - 10 : 0; i < n; i++)
		text_event(json_array_get(events, i), f);
	decision(json_object_get(o, "decision"), f);
	if (*s_of(o, "reason") != '\0')
		fprintf(f, "status: %s\naction: %s\n", s_of(o, "reason"),
		    s_of(o, "action"));
	fprintf(f, "%s\n", s_of(o, "forecast"));
}
