/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl faults: every fault and every two faults of the configuration, run
 * through the cores of the daemon.  No daemon is needed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "faults.h"
#include "hactl.h"
#include "hactl_int.h"

static const char *const outcomes[] = {"continues", "moves", "waits", "risk"};

static const char *
node_name(const struct conf *c, uint8_t id)
{
	const struct conf_node *n = conf_node(c, id);

	return n != NULL ? n->name : "";
}

static json_t *
json_services(const struct conf *c, const struct faults_outcome *o, int service)
{
	json_t *list = json_array();

	for (uint16_t i = 0; i < c->n_services; i++) {
		const struct faults_service *s = &o->services[i];

		if (service >= 0 && service != i)
			continue;
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:s, s:i, s:i}", "service",
			      c->services[i].name, "outcome", outcomes[s->kind],
			      "on", node_name(c, s->on), "away_ms",
			      (int)s->away_ms, "held_ms", (int)s->held_ms));
	}
	return list;
}

static json_t *
json_outcome(const struct conf *c, const struct faults_outcome *o, int service)
{
	const struct faults_service *s = &o->services[o->worst];

	return json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:s, s:i, s:b, "
			 "s:i, s:o}",
	    "outcome", outcomes[s->kind], "service", c->services[o->worst].name,
	    "on", node_name(c, s->on), "away_ms", (int)s->away_ms, "held_ms",
	    (int)s->held_ms, "why", o->why, "action", o->action, "type_on",
	    node_name(c, o->node), "back_ms", (int)o->back_ms, "doubled",
	    (int)o->doubled, "daemons", (int)o->daemons, "services",
	    json_services(c, o, service));
}

/* NULL: it does not come up; said so. */
static json_t *
run(const struct conf *c, const struct faults *f, int service, unsigned first,
    int second, uint32_t gap_ms)
{
	struct faults_outcome o;

	if (faults_run(f, first, second, gap_ms, &o) < 0) {
		fprintf(stderr, "hactl: %s\n", o.why);
		return NULL;
	}
	return json_outcome(c, &o, service);
}

static bool
run_single(const struct conf *c, const struct faults *f, int service, json_t *o)
{
	json_t *list = json_array();

	json_object_set_new(o, "single", list);
	for (unsigned i = 0; i < faults_count(f); i++) {
		json_t *r = run(c, f, service, i, -1, 0);

		if (r == NULL)
			return false;
		json_object_set_new(r, "fault", json_string(faults_name(f, i)));
		json_array_append_new(list, r);
	}
	return true;
}

/* The second FAULTS_DOUBLE_MS after the first: their order counts. */
static bool
run_double(const struct conf *c, const struct faults *f, int service,
    const char *key, uint32_t gap_ms, json_t *o)
{
	json_t *list = json_array();

	json_object_set_new(o, key, list);
	for (unsigned i = 0; i < faults_count(f); i++) {
		for (unsigned k = gap_ms == 0 ? i + 1 : 0; k < faults_count(f);
		     k++) {
			json_t *r;

			if (faults_void(f, i, k) ||
			    (gap_ms == 0 && faults_void(f, k, i)))
				continue;
			r = run(c, f, service, i, (int)k, gap_ms);
			if (r == NULL)
				return false;
			json_object_set_new(
			    r, "first", json_string(faults_name(f, i)));
			json_object_set_new(
			    r, "second", json_string(faults_name(f, k)));
			json_array_append_new(list, r);
		}
	}
	return true;
}

static int
kind_of(const json_t *r)
{
	const char *name = json_string_value(json_object_get(r, "outcome"));

	for (int k = 0; k < (int)NITEMS(outcomes); k++)
		if (strcmp(outcomes[k], name) == 0)
			return k;
	return FAULTS_RISK;
}

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

/* How many came out how, and which is the worst. */
static void
summarize(json_t *o, const char *key)
{
	json_t *list = json_object_get(o, key), *sums, *r;
	int n[FAULTS_KIND_N] = {0};
	const json_t *worst = NULL;
	int64_t away = 0;
	size_t i;

	if (list == NULL)
		return;
	json_array_foreach(list, i, r)
	{
		int k = kind_of(r);

		n[k]++;
		if (k == FAULTS_MOVES && i_of(r, "away_ms") > away)
			away = i_of(r, "away_ms");
		if (worst == NULL || k > kind_of(worst) ||
		    (k == kind_of(worst) &&
			i_of(r, "away_ms") + i_of(r, "held_ms") >
			    i_of(worst, "away_ms") + i_of(worst, "held_ms")))
			worst = r;
	}
	sums = json_object_get(o, "summary");
	if (sums == NULL) {
		sums = json_object();
		json_object_set_new(o, "summary", sums);
	}
	json_object_set_new(sums, key,
	    json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "faults",
		(int)json_array_size(list), "continue", n[FAULTS_CONTINUES],
		"move", n[FAULTS_MOVES], "wait", n[FAULTS_WAITS], "risk",
		n[FAULTS_RISK], "longest_away_ms", (int)away));
	if (strcmp(key, "single") == 0 && worst != NULL)
		json_object_set_new(
		    sums, "worst", json_string(s_of(worst, "fault")));
}

json_t *
faults_json(const struct conf *c, const struct faults_options *want)
{
	struct faults *f = faults_new(c, want->service);
	json_t *o = json_object(), *homes = json_array();
	bool ok = f != NULL;

	json_object_set_new(o, "version", json_integer(1));
	json_object_set_new(o, "cluster", json_string(c->cluster));
	json_object_set_new(o, "services", homes);
	for (uint16_t i = 0; ok && i < c->n_services; i++)
		if (want->service < 0 || want->service == i)
			json_array_append_new(
			    homes, json_pack("{s:s, s:s}", "service",
				       c->services[i].name, "on",
				       node_name(c, faults_home(f, i))));
	ok = ok && run_single(c, f, want->service, o);
	if (ok && !want->single && !want->at_once)
		ok = run_double(
		    c, f, want->service, "double", FAULTS_DOUBLE_MS, o);
	if (ok && !want->single)
		ok = run_double(c, f, want->service, "at_once", 0, o);
	if (ok) {
		summarize(o, "single");
		summarize(o, "double");
		summarize(o, "at_once");
	} else {
		json_decref(o);
		o = NULL;
	}
	if (f != NULL)
		faults_free(f);
	return o;
}

int
faults_status(const json_t *o)
{
	const json_t *single =
	    json_object_get(json_object_get(o, "summary"), "single");

	if (i_of(single, "risk") > 0)
		return 2;
	return i_of(single, "wait") > 0;
}

/* Two cases in which there is nothing to run. */
static int
trivial(const struct hactl *h, const struct conf *c)
{
	const char *note =
	    c->n_services == 0
		? "no service is configured: nothing can be lost"
		: "one node: nobody takes over from it, whatever "
		  "stops it waits for you";

	if (h->json)
		printf("{\"version\": 1, \"cluster\": \"%s\", \"note\": "
		       "\"%s\"}\n",
		    c->cluster, note);
	else
		printf("cluster %s: %s\n", c->cluster, note);
	return c->n_services == 0 ? 0 : 1;
}

static int
parse(int argc, char **argv, struct faults_options *want, const char **service)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--single") == 0)
			want->single = true;
		else if (strcmp(argv[i], "--at-once") == 0)
			want->at_once = true;
		else if (strcmp(argv[i], "--all") == 0)
			want->all = true;
		else if (strcmp(argv[i], "--service") == 0 && i + 1 < argc)
			*service = argv[++i];
		else
			return -1;
	}
	return want->single && want->at_once ? -1 : 0;
}

int
cmd_faults(struct hactl *h, int argc, char **argv)
{
	struct faults_options want = {.service = -1};
	const struct conf_service *s;
	const char *service = NULL;
	struct conf *c;
	json_t *o;
	int rc;

	if (parse(argc, argv, &want, &service) < 0)
		return usage_of("[--json] faults [--single | --at-once] "
				"[--all] [--service NAME]");
	if ((c = hactl_conf(h)) == NULL)
		return EX_CONFIG;
	s = service != NULL ? conf_service_named(c, service) : NULL;
	if (service != NULL && s == NULL) {
		fprintf(stderr, "hactl: no service is called %s\n", service);
		free(c);
		return EX_USAGE;
	}
	want.service = s != NULL ? s->id : -1;
	if (c->n_services == 0 || c->n_nodes < 2) {
		rc = trivial(h, c);
		free(c);
		return rc;
	}
	o = faults_json(c, &want);
	free(c);
	if (o == NULL)
		return EX_SOFTWARE;
	rc = faults_status(o);
	if (h->json) {
		json_dumpf(o, stdout, JSON_INDENT(1));
		printf("\n");
	} else {
		text_faults(o, want.all, stdout);
	}
	json_decref(o);
	return rc;
}
