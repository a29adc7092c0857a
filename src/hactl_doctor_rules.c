/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl doctor: base chains of others that would drop what had sends or
 * waits for, and what else keeps rules on this machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hactl_doctor.h"

static const struct doctor_proto protos[] = {
    {112, "vrrp", "VRRP and CARP"},
    {132, "sctp", "SCTP"},
};

/* Does the configuration send the protocol over what the chain sees? */
static bool
is_used(
    const struct doctor *d, const struct doctor_proto *p, const char *family)
{
	int only = strcmp(family, "ip") == 0    ? 4
		   : strcmp(family, "ip6") == 0 ? 6
						: 0;
	const struct conf *c = d->c;

	if (c == NULL)
		return true;
	if (p->number == 112) {
		for (uint16_t i = 0; i < c->n_routers; i++)
			if (only == 0 || c->routers[i].family == only)
				return true;
		return false;
	}
	for (uint8_t i = 0; c->n_nodes > 1 && i < c->nodes[0].n_links; i++)
		if (only == 0 ||
		    only == (strchr(c->nodes[0].links[i].addr, ':') != NULL
				    ? 6
				    : 4))
			return true;
	return false;
}

static void
say(struct doctor *d, enum doctor_level level, const struct doctor_walk *w,
    const char *base, const char *chain, const char *rule, const char *how)
{
	char object[256], fix[512];

	snprintf(
	    object, sizeof(object), "%s %s %s", w->family, w->table, chain);
	snprintf(fix, sizeof(fix),
	    "nft insert rule %s %s %s meta l4proto %d accept, and in what "
	    "sets up the table",
	    w->family, w->table, base, w->p->number);
	doctor_say(d, level, "firewall", object, fix,
	    "%s protocol %d (%s)%s%s%s", how, w->p->number, w->p->what,
	    *rule != '\0' ? ": rule '" : "", rule, *rule != '\0' ? "'" : "");
}

/* As nft(8) prints it, for eyes. */
static void
rule_text(const char *family, const char *table, const char *chain, int handle,
    char *text, size_t size)
{
	const char *const argv[] = {
	    "nft", "-a", "list", "chain", family, table, chain, NULL};
	char want[32], *line, *save, *out;

	snprintf(text, size, "handle %d", handle);
	snprintf(want, sizeof(want), " # handle %d", handle);
	out = doctor_nft_run(argv, "", NULL, 0);
	if (out == NULL)
		return;
	for (line = strtok_r(out, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char *at = strstr(line, want);

		if (at == NULL || at[strlen(want)] != '\0')
			continue;
		line += strspn(line, " \t");
		snprintf(text, size, "%.*s (handle %d)", (int)(at - line), line,
		    handle);
	}
	free(out);
}

/* One protocol through one base chain; true: nothing is wrong. */
static bool
check_chain(struct doctor *d, struct doctor_walk *w, const json_t *chain)
{
	const char *name = doctor_text(chain, "name");
	enum doctor_outcome o = doctor_walk(w, name);
	char rule[256] = "";

	if (o == DOCTOR_DROPPED) {
		rule_text(w->family, w->table, w->drop_chain, w->drop, rule,
		    sizeof(rule));
		say(d, w->maybe && !w->named ? DOCTOR_WARN : DOCTOR_FAIL, w,
		    name, w->drop_chain, rule,
		    w->maybe && !w->named
			? "accepts only under conditions, and then drops,"
			: "drops");
		return false;
	}
	if (w->soft >= 0) {
		rule_text(w->family, w->table, w->soft_chain, w->soft, rule,
		    sizeof(rule));
		say(d, DOCTOR_WARN, w, name, w->soft_chain, rule,
		    "drops under conditions");
		return false;
	}
	if (o == DOCTOR_GO_ON &&
	    strcmp(doctor_text(chain, "policy"), "drop") == 0) {
		say(d, w->maybe ? DOCTOR_WARN : DOCTOR_FAIL, w, name, name, "",
		    w->maybe ? "has the policy drop, and only rules with "
			       "conditions that accept"
			     : "has the policy drop, and no rule accepts");
		return false;
	}
	return true;
}

static bool
is_base(const json_t *chain)
{
	static const char *const hooks[] = {"prerouting", "input", "output",
	    "postrouting", "ingress", "egress"};
	const char *family = doctor_text(chain, "family");

	/* had's own guard drops by design. */
	if (strcmp(doctor_text(chain, "type"), "filter") != 0 ||
	    strncmp(doctor_text(chain, "table"), "had_", 4) == 0 ||
	    strcmp(family, "arp") == 0 || strcmp(family, "bridge") == 0)
		return false;
	for (unsigned i = 0; i < NITEMS(hooks); i++)
		if (strcmp(doctor_text(chain, "hook"), hooks[i]) == 0)
			return true;
	return false;
}

static void
check_ruleset(struct doctor *d, const json_t *listing)
{
	const json_t *objects = json_object_get(listing, "nftables"), *e;
	unsigned bad = 0, chains = 0;
	size_t i;

	json_array_foreach(objects, i, e)
	{
		const json_t *chain = json_object_get(e, "chain");

		if (chain == NULL || !is_base(chain))
			continue;
		chains++;
		for (unsigned k = 0; k < NITEMS(protos); k++) {
			struct doctor_walk w = {
			    .d = d,
			    .objects = objects,
			    .p = &protos[k],
			    .family = doctor_text(chain, "family"),
			    .table = doctor_text(chain, "table"),
			    .drop = -1,
			    .soft = -1,
			};

			if (is_used(d, w.p, w.family))
				bad += !check_chain(d, &w, chain);
		}
	}
	if (bad == 0)
		doctor_say(d, DOCTOR_OK, "firewall", "", "",
		    "none of %u chain%s of others drops what had sends", chains,
		    chains == 1 ? "" : "s");
}

static bool
has_table(const json_t *listing, const char *name)
{
	const json_t *e;
	size_t i;

	json_array_foreach(json_object_get(listing, "nftables"), i, e)
	{
		if (strcmp(doctor_text(json_object_get(e, "table"), "name"),
			name) == 0)
			return true;
	}
	return false;
}

static void
check_others(struct doctor *d, const json_t *listing)
{
	FILE *f = fopen("/proc/net/ip_tables_names", "re");
	char word[64] = "";

	if (f != NULL && fgets(word, sizeof(word), f) != NULL)
		doctor_say(d, DOCTOR_WARN, "firewall", "iptables-legacy",
		    "iptables-legacy -S; let it accept protocols 112 and 132",
		    "the old iptables is in use; its rules were not looked "
		    "at");
	if (f != NULL)
		fclose(f);
	if (has_table(listing, "firewalld") ||
	    access("/run/firewalld.pid", F_OK) == 0)
		doctor_say(d, DOCTOR_WARN, "firewall", "firewalld",
		    "firewall-cmd --permanent --add-protocol=vrrp "
		    "--add-protocol=sctp, then firewall-cmd --reload",
		    "firewalld runs: what is changed by hand it takes back, "
		    "and a reload of it may flush the guard for a moment");
}

void
doctor_rules(struct doctor *d)
{
	static const char *const argv[] = {
	    "nft", "-j", "list", "ruleset", NULL};
	char why[256] = "", *out;
	json_t *listing = NULL;

	out = doctor_nft_run(argv, "", why, sizeof(why));
	if (out != NULL)
		listing = json_loads(out, 0, NULL);
	if (listing != NULL)
		check_ruleset(d, listing);
	else
		doctor_say(d, DOCTOR_WARN, "firewall", "",
		    "run it as root; install the package nftables",
		    "the rules were not looked at: %s",
		    out != NULL ? "no JSON" : why);
	check_others(d, listing);
	json_decref(listing);
	free(out);
}
