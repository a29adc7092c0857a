/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The arbiters as JSON: one object each, in the order in which they are asked.
 */
#include <stdio.h>
#include <string.h>

#include "drive_int.h"

static json_t *
arbiter(json_t *list, const char *kind, const char *name, const char *state)
{
	json_t *o = json_object();

	json_object_set_new(o, "kind", json_string(kind));
	json_object_set_new(o, "name", json_string(name));
	json_object_set_new(o, "state", json_string(state));
	json_array_append_new(list, o);
	return o;
}

/* Milliseconds since at; -1: never. */
static json_t *
since(monotime_t now, monotime_t at)
{
	return json_integer(at.us == 0 ? -1 : mt_sub_us(now, at) / 1000);
}

static void
voters(const struct drive *d, json_t *list)
{
	const struct arb_status *a = &d->status->arb;
	unsigned first = d->conf->witness.addr[0] != '\0';

	for (unsigned i = 0; i < a->n_voters; i++) {
		bool witness = i < first;
		const struct conf_node *holder =
		    a->voters[i].holder != 0
			? conf_node(d->conf, a->voters[i].holder)
			: NULL;
		json_t *o = arbiter(list, witness ? "witness" : "lock disk",
		    witness ? d->conf->witness.addr
			    : d->conf->lock_disks[i - first],
		    (a->voters_up >> i & 1) != 0 ? "answers" : "silent");

		json_object_set_new(o, "holder",
		    json_string(holder != NULL ? holder->name : ""));
		json_object_set_new(o, "holder_epoch",
		    json_integer((json_int_t)a->voters[i].holder_epoch));
	}
}

static void
agents(const struct drive *d, json_t *list, monotime_t now)
{
	const struct arb_status *a = &d->status->arb;

	for (unsigned i = 0; i < a->n_peers; i++) {
		const struct conf_node *n = conf_node(d->conf, a->peers[i].id);

		for (unsigned l = 0; l < n->n_fences; l++) {
			json_t *o = arbiter(list, "fence", n->fences[l].agent,
			    a->peers[i].tested.us == 0 ? "never tested"
			    : a->peers[i].test_ok      ? "tested"
						       : "failed");

			json_object_set_new(o, "node", json_string(n->name));
			json_object_set_new(o, "level", json_integer(l + 1));
			json_object_set_new(
			    o, "tested_ms", since(now, a->peers[i].tested));
			json_object_set_new(
			    o, "took_ms", json_integer(a->peers[i].fence_ms));
		}
	}
}

static void
watchdogs(const struct drive *d, json_t *list)
{
	const struct nd_status *s = d->status;
	json_t *o;

	if (d->conf->watchdog[0] == '\0')
		return;
	o = arbiter(list, "watchdog", d->conf->watchdog,
	    s->watchdog_armed ? "armed" : "not armed");
	json_object_set_new(o, "node", json_string(d->me->name));
	for (unsigned i = 0; i < s->n_peers; i++) {
		o = arbiter(list, "watchdog", d->conf->watchdog,
		    s->peers[i].watchdog_armed ? "armed" : "not armed");
		json_object_set_new(o, "node",
		    json_string(conf_node(d->conf, s->peers[i].id)->name));
	}
}

json_t *
drive_json_arbiters(struct drive *d, monotime_t now)
{
	json_t *list = json_array();

	voters(d, list);
	agents(d, list, now);
	watchdogs(d, list);
	return list;
}
