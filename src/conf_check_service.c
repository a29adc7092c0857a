/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checker's part for services: every step refers to something that
 * exists, that no other service has, and that an earlier step has prepared.
 */
#include <stdio.h>
#include <string.h>

#include "conf_int.h"

/* Which step took it, NULL = none yet. */
struct used {
	const struct conf_step *volumes[HAD_VOLUMES_MAX]; /* borrowed */
	const struct conf_step *addresses[HAD_ADDRESSES_MAX]; /* borrowed */
};

static void
step_volume(struct conf_checker *k, struct used *u, struct conf_service *sv,
    const struct conf_step *s)
{
	const struct conf_volume *v;

	if (s->ref >= k->c->n_volumes) {
		CONF_AT(k, s,
		    "service %s: got volume %s, expected a volume that "
		    "the file defines",
		    sv->name, s->name);
		return;
	}
	v = &k->c->volumes[s->ref];
	sv->data = true;
	if (u->volumes[s->ref] != NULL)
		CONF_AT(k, s,
		    "service %s: got volume %s, expected a volume of "
		    "this service alone: line %d uses it",
		    sv->name, v->name, u->volumes[s->ref]->line);
	else
		u->volumes[s->ref] = s;
}

static void
step_address(struct conf_checker *k, struct used *u,
    const struct conf_service *sv, const struct conf_step *s)
{
	struct conf_address *a;

	if (s->ref >= k->c->n_addresses) {
		CONF_AT(k, s,
		    "service %s: got address %s, expected an address "
		    "that the file defines",
		    sv->name, s->name);
		return;
	}
	a = &k->c->addresses[s->ref];
	if (u->addresses[s->ref] != NULL)
		CONF_AT(k, s,
		    "service %s: got address %s, expected an address of "
		    "this service alone: line %d uses it",
		    sv->name, a->name, u->addresses[s->ref]->line);
	else
		u->addresses[s->ref] = s;
	a->service = sv->id;
}

/* Two services can be on one node: a directory is the place of one mount. */
static void
check_mount_dirs(struct conf_checker *k, const struct conf_service *sv,
    const struct conf_step *s)
{
	const struct conf_service *osv;
	const struct conf_step *o;
	uint16_t i;
	uint8_t j;

	for (i = 0; i <= sv->id; i++) {
		osv = &k->c->services[i];
		for (j = 0; j < osv->n_steps; j++) {
			o = &osv->steps[j];
			if (o == s)
				return;
			if (o->type != CONF_STEP_MOUNT)
				continue;
			if (strcmp(o->dir, s->dir) == 0)
				CONF_AT(k, s,
				    "service %s: got directory \"%s\", "
				    "expected another: service %s mounts "
				    "there on line %d",
				    sv->name, s->dir, osv->name, o->line);
			if (osv == sv && o->ref == s->ref)
				CONF_AT(k, s,
				    "service %s: got a second mount of volume "
				    "%s, expected one (the first is on "
				    "line %d)",
				    sv->name, s->name, o->line);
		}
	}
}

static void
step_mount(struct conf_checker *k, const struct conf_service *sv,
    const struct conf_step *s)
{
	const struct conf_step *o;

	if (s->ref >= k->c->n_volumes) {
		CONF_AT(k, s,
		    "service %s: got a mount of %s, expected a volume "
		    "that the file defines",
		    sv->name, s->name);
		return;
	}
	for (o = sv->steps; o < s; o++)
		if (o->type == CONF_STEP_VOLUME && o->ref == s->ref)
			break;
	if (o == s)
		CONF_AT(k, s,
		    "service %s: got mount %s without an earlier 'volume %s', "
		    "expected that step before it",
		    sv->name, s->name, s->name);
	if (s->dir[0] != '/')
		CONF_AT(k, s,
		    "service %s: mount %s: got no directory, expected "
		    "'on' and the path of one",
		    sv->name, s->name);
	if (s->fstype[0] == '\0')
		CONF_AT(k, s,
		    "service %s: mount %s: got no type, expected 'type' "
		    "and that of the file system",
		    sv->name, s->name);
	if (s->dir[0] != '\0')
		check_mount_dirs(k, sv, s);
}

static void
step_command(struct conf_checker *k, const struct conf_service *sv,
    const struct conf_step *s)
{
	const struct conf_step *o;

	if (!conf_name_valid(s->name))
		CONF_AT(k, s,
		    "service %s: got a command named '%s', expected a "
		    "valid name",
		    sv->name, s->name);
	if (s->start[0] == '\0')
		CONF_AT(k, s,
		    "service %s: command %s: got no start, expected "
		    "'start' and a shell command",
		    sv->name, s->name);
	for (o = sv->steps; o < s; o++)
		if (o->type == CONF_STEP_COMMAND &&
		    strcmp(o->name, s->name) == 0)
			CONF_AT(k, s,
			    "service %s: got a second command %s, expected "
			    "one (the first is on line %d)",
			    sv->name, s->name, o->line);
}

static void
check_step(struct conf_checker *k, struct used *u, struct conf_service *sv,
    const struct conf_step *s)
{
	if (s->timeout_ms == 0)
		CONF_AT(k, s,
		    "service %s: step %u: got timeout 0, expected 1ms or "
		    "more",
		    sv->name, (unsigned)(s - sv->steps) + 1);
	switch (s->type) {
	case CONF_STEP_VOLUME:
		step_volume(k, u, sv, s);
		return;
	case CONF_STEP_MOUNT:
		step_mount(k, sv, s);
		return;
	case CONF_STEP_COMMAND:
		step_command(k, sv, s);
		return;
	case CONF_STEP_ADDRESS:
		step_address(k, u, sv, s);
		return;
	}
}

static void
check_placement(struct conf_checker *k, const struct conf_service *sv)
{
	if (sv->prefer != 0 && conf_node(k->c, sv->prefer) == NULL)
		CONF_AT(k, sv,
		    "service %s: got prefer %s, expected a node that the "
		    "file defines",
		    sv->name, sv->prefer_name);
	if (sv->failback && sv->prefer == 0)
		CONF_AT(k, sv,
		    "service %s: got 'failback auto' without 'prefer', "
		    "expected the node to go back to",
		    sv->name);
	if (sv->check[0] != '\0' &&
	    (sv->check_every_ms == 0 || sv->check_timeout_ms == 0))
		CONF_AT(k, sv,
		    "service %s: got a check with interval or timeout 0, "
		    "expected 1ms or more",
		    sv->name);
}

static void
check_service(struct conf_checker *k, struct used *u, struct conf_service *sv)
{
	uint16_t i;
	uint8_t j;

	if (!conf_name_valid(sv->name))
		CONF_AT(k, sv, "service: got name '%s', expected a valid name",
		    sv->name);
	for (i = 0; i < sv->id; i++)
		if (strcmp(sv->name, k->c->services[i].name) == 0)
			CONF_AT(k, sv,
			    "service %s: got a second service of this name, "
			    "expected one (the first is on line %d)",
			    sv->name, k->c->services[i].line);
	check_placement(k, sv);
	if (sv->n_steps == 0)
		CONF_AT(k, sv,
		    "service %s: got no steps, expected one or more in "
		    "'start { ... }'",
		    sv->name);
	sv->data = false;
	for (j = 0; j < sv->n_steps; j++)
		check_step(k, u, sv, &sv->steps[j]);
}

void
conf_check_services(struct conf_checker *k)
{
	struct conf *c = k->c;
	struct used u;
	uint16_t i;

	memset(&u, 0, sizeof(u));
	for (i = 0; i < c->n_addresses; i++)
		c->addresses[i].service = UINT16_MAX;
	for (i = 0; i < c->n_services; i++) {
		c->services[i].id = i;
		check_service(k, &u, &c->services[i]);
	}
}
