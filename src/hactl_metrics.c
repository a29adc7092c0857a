/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl metrics: addresses and virtual routers in Prometheus' text format.
 * States are sets of 0 and 1, counters end in _total.
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

static long long
i_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void
family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
addresses(const json_t *list, FILE *f)
{
	static const struct {
		const char *name, *key, *help;
	} counters[] = {
	    {"had_address_announced_total", "announced",
		"Gratuitous ARP and unsolicited neighbour advertisements."},
	    {"had_address_conflicts_total", "conflicts",
		"Claims of other machines."},
	    {"had_address_stripped_total", "stripped",
		"Times that somebody removed it from its interface."},
	};
	const json_t *a;
	size_t i;

	family(f, "had_address_active", "gauge", "This node answers for it.");
	json_array_foreach(list, i, a)
	    fprintf(f, "had_address_active{address=\"%s\"} %d\n",
		s_of(a, "name"), strcmp(s_of(a, "state"), "ACTIVE") == 0);
	for (size_t k = 0; k < NITEMS(counters); k++) {
		family(f, counters[k].name, "counter", counters[k].help);
		json_array_foreach(list, i, a)
		    fprintf(f, "%s{address=\"%s\"} %lld\n", counters[k].name,
			s_of(a, "name"), i_of(a, counters[k].key));
	}
}

static void
states(const json_t *list, FILE *f)
{
	static const char *const names[] = {"INIT", "BACKUP", "ACTIVE"};
	const json_t *r;
	size_t i;

	family(f, "had_vrrp_state", "gauge", "State of the virtual router.");
	json_array_foreach(list, i, r)
	{
		for (size_t k = 0; k < NITEMS(names); k++)
			fprintf(f,
			    "had_vrrp_state{router=\"%s\",state=\"%s\"} %d\n",
			    s_of(r, "name"), names[k],
			    strcmp(s_of(r, "state"), names[k]) == 0);
	}
}

static void
rejected(const json_t *list, FILE *f)
{
	const json_t *r;
	json_t *v;
	const char *key;
	size_t i;

	family(f, "had_vrrp_rejected_total", "counter",
	    "Adverts that were not believed.");
	json_array_foreach(list, i, r)
	{
		json_object_foreach(json_object_get(r, "rejected"), key, v)
		    fprintf(f,
			"had_vrrp_rejected_total{router=\"%s\","
			"reason=\"%s\"} %lld\n",
			s_of(r, "name"), key, (long long)json_integer_value(v));
	}
}

static void
routers(const json_t *list, FILE *f)
{
	static const struct {
		const char *name, *key, *help;
	} counters[] = {
	    {"had_vrrp_sent_total", "sent", "Adverts sent."},
	    {"had_vrrp_received_total", "received", "Adverts believed."},
	    {"had_vrrp_farewells_sent_total", "farewells_sent",
		"Adverts of priority 0, or bow-outs, sent."},
	    {"had_vrrp_farewells_received_total", "farewells_received",
		"The same, received."},
	    {"had_vrrp_transitions_total", "transitions", "Changes of state."},
	    {"had_vrrp_became_active_total", "became_active",
		"Times that it took its addresses."},
	    {"had_vrrp_take_failed_total", "take_failed",
		"Times that it could not."},
	    {"had_vrrp_waited_total", "waited",
		"Timeouts that the peer node contradicted."},
	};
	const json_t *r;
	size_t i;

	states(list, f);
	for (size_t k = 0; k < NITEMS(counters); k++) {
		family(f, counters[k].name, "counter", counters[k].help);
		json_array_foreach(list, i, r)
		    fprintf(f, "%s{router=\"%s\"} %lld\n", counters[k].name,
			s_of(r, "name"), i_of(r, counters[k].key));
	}
	rejected(list, f);
}

static void
shares(const json_t *o, FILE *f)
{
	if (o == NULL)
		return;
	family(f, "had_share_served", "gauge",
	    "Shares of the clients of shared addresses that are served here.");
	fprintf(f, "had_share_served %lld\n", i_of(o, "serves"));
	family(f, "had_share_of", "gauge", "Shares that there are.");
	fprintf(f, "had_share_of %lld\n", i_of(o, "of"));
	family(f, "had_share_changes_total", "counter",
	    "Times that other shares were served from then on.");
	fprintf(f, "had_share_changes_total %lld\n", i_of(o, "changes"));
}

void
text_metrics(const json_t *o, FILE *f)
{
	family(f, "had_up", "gauge", "The daemon answers.");
	fprintf(f, "had_up 1\n");
	addresses(json_object_get(o, "addresses"), f);
	shares(json_object_get(o, "shares"), f);
	routers(json_object_get(o, "routers"), f);
	family(f, "had_vrrp_strays_total", "counter",
	    "Adverts of routers that are not configured.");
	fprintf(f, "had_vrrp_strays_total %lld\n", i_of(o, "strays"));
}

int
cmd_metrics(struct hactl *h, int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return usage_of("metrics");
	return show(h, request("addresses"), text_metrics);
}
