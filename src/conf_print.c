/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * struct conf to a file, defaults included, macros replaced; and look-ups.
 */
#include <stdio.h>
#include <string.h>

#include "conf_int.h"

void
conf_put(struct conf_out *o, const char *fmt, ...)
{
	va_list ap;
	size_t room;
	int n;

	room = o->len < o->size ? o->size - o->len : 0;
	va_start(ap, fmt);
	n = vsnprintf(room > 0 ? o->buf + o->len : NULL, room, fmt, ap);
	va_end(ap);
	ASSERT(n >= 0);
	o->len += (size_t)n;
}

void
conf_put_string(struct conf_out *o, const char *text)
{
	conf_put(o, "\"");
	for (; *text != '\0'; text++)
		conf_put(o, "%s%c", *text == '"' || *text == '\\' ? "\\" : "",
		    *text);
	conf_put(o, "\"");
}

void
conf_put_word(struct conf_out *o, const char *text)
{
	if (conf_is_word(text))
		conf_put(o, "%s", text);
	else
		conf_put_string(o, text);
}

/* "KEYWORD STRING", or nothing for "". */
static void
put_optional(struct conf_out *o, const char *before, enum conf_kw kw,
    const char *text, const char *after)
{
	if (text[0] == '\0')
		return;
	conf_put(o, "%s%s ", before, conf_kw_word(kw));
	conf_put_string(o, text);
	conf_put(o, "%s", after);
}

void
conf_put_duration(struct conf_out *o, uint32_t ms)
{
	if (ms % 1000 == 0)
		conf_put(o, "%us", ms / 1000);
	else
		conf_put(o, "%ums", ms);
}

void
conf_put_key(struct conf_out *o, const uint8_t key[32])
{
	size_t i;

	conf_put(o, "key \"sha256:");
	for (i = 0; i < 32; i++)
		conf_put(o, "%02x", key[i]);
	conf_put(o, "\"");
}

static void
put_cluster(struct conf_out *o, const struct conf *c)
{
	conf_put(o, "cluster %s {\n\theartbeat ", c->cluster);
	conf_put_duration(o, c->t.heartbeat_ms);
	conf_put(o, "\n\tdead ");
	conf_put_duration(o, c->t.dead_ms);
	conf_put(o, "\n");
	if (c->silent != CONF_SILENT_UNSET)
		conf_put(o, "\tsilent peer %s\n",
		    conf_kw_word(c->silent == CONF_SILENT_WAIT
				     ? CONF_KW_WAIT
				     : CONF_KW_TAKEOVER));
	conf_put(o, "\tport %u\n", c->port);
	conf_put_arbiters(o, c);
	conf_put(o, "}\n");
}

static void
put_node(struct conf_out *o, const struct conf_node *n)
{
	size_t i;

	conf_put(o, "node %s {\n\tid %u\n", n->name, n->id);
	if (n->key_set) {
		conf_put(o, "\t");
		conf_put_key(o, n->key);
		conf_put(o, "\n");
	}
	for (i = 0; i < n->n_links; i++) {
		conf_put(o, "\tlink %s %s interface ", n->links[i].name,
		    n->links[i].addr);
		conf_put_word(o, n->links[i].ifname);
		conf_put_domain(o, &n->links[i]);
		conf_put(o, "\n");
	}
	conf_put_fences(o, n);
	conf_put(o, "}\n");
}

static void
put_volume(struct conf_out *o, const struct conf_volume *v)
{
	conf_put(o, "volume %s {\n", v->name);
	put_optional(o, "\t", CONF_KW_DEVICE, v->device, "\n");
	if (v->meta[0] == '\0')
		conf_put(o, "\tmeta internal\n");
	put_optional(o, "\t", CONF_KW_META, v->meta, "\n");
	conf_put(o, "\twrite disk\n");
	if (v->resync_rate_kib != 0)
		conf_put(o, "\tresync rate %u KiB\n", v->resync_rate_kib);
	conf_put(o, "}\n");
}

static void
put_address(struct conf_out *o, const struct conf_address *a)
{
	conf_put(
	    o, "address %s {\n\t%s/%u interface ", a->name, a->addr, a->prefix);
	conf_put_word(o, a->ifname);
	conf_put(o, "\n");
	if (a->share)
		conf_put(o, "\tshare\n");
	conf_put(o, "}\n");
}

static const char *
ref_name(const struct conf *c, const struct conf_step *s)
{
	if (s->type == CONF_STEP_ADDRESS)
		return s->ref < c->n_addresses ? c->addresses[s->ref].name
					       : s->name;
	return s->ref < c->n_volumes ? c->volumes[s->ref].name : s->name;
}

static void
put_command(struct conf_out *o, const struct conf_step *s)
{
	conf_put(o, "\t\tcommand %s {\n", s->name);
	put_optional(o, "\t\t\t", CONF_KW_START, s->start, "\n");
	put_optional(o, "\t\t\t", CONF_KW_STOP, s->stop, "\n");
	put_optional(o, "\t\t\t", CONF_KW_STATUS, s->status, "\n");
	conf_put(o, "\t\t\ttimeout ");
	conf_put_duration(o, s->timeout_ms);
	conf_put(o, "\n\t\t}\n");
}

static void
put_step(struct conf_out *o, const struct conf *c, const struct conf_step *s)
{
	if (s->type == CONF_STEP_COMMAND) {
		put_command(o, s);
		return;
	}
	if (s->type == CONF_STEP_MOUNT) {
		conf_put(o, "\t\tmount %s", ref_name(c, s));
		put_optional(o, " ", CONF_KW_ON, s->dir, "");
		if (s->fstype[0] != '\0')
			conf_put(o, " type %s", s->fstype);
		put_optional(o, " ", CONF_KW_OPTIONS, s->options, "");
	} else
		conf_put(o, "\t\t%s %s",
		    conf_kw_word(s->type == CONF_STEP_VOLUME ? CONF_KW_VOLUME
							     : CONF_KW_ADDRESS),
		    ref_name(c, s));
	conf_put(o, " timeout ");
	conf_put_duration(o, s->timeout_ms);
	conf_put(o, "\n");
}

static void
put_service(
    struct conf_out *o, const struct conf *c, const struct conf_service *sv)
{
	const struct conf_node *n;
	uint8_t i;

	conf_put(o, "service %s {\n", sv->name);
	n = conf_node(c, sv->prefer);
	if (n != NULL)
		conf_put(o, "\tprefer %s\n", n->name);
	conf_put(o, "\tfailback %s\n", sv->failback ? "auto" : "never");
	conf_put(o, "\tstart {\n");
	for (i = 0; i < sv->n_steps; i++)
		put_step(o, c, &sv->steps[i]);
	conf_put(o, "\t}\n");
	if (sv->check[0] != '\0') {
		put_optional(o, "\t", CONF_KW_CHECK, sv->check, " every ");
		conf_put_duration(o, sv->check_every_ms);
		conf_put(o, " timeout ");
		conf_put_duration(o, sv->check_timeout_ms);
		conf_put(o, "\n");
	}
	conf_put(o, "}\n");
}

static void
put_lockspace(struct conf_out *o, const struct conf_lockspace *l)
{
	conf_put(o, "lockspace %s {\n", l->name);
	if (l->group[0] != '\0')
		conf_put(o, "\tgroup %s\n", l->group);
	conf_put(o, "\tlocks %u\n}\n", l->locks_max);
}

size_t
conf_print(const struct conf *c, char *buf, size_t size)
{
	struct conf_out o = {.buf = buf, .size = size};
	uint16_t i;

	if (size > 0)
		buf[0] = '\0';
	if (c->cluster[0] != '\0')
		put_cluster(&o, c);
	for (i = 0; i < c->n_nodes; i++)
		put_node(&o, &c->nodes[i]);
	for (i = 0; i < c->n_volumes; i++)
		put_volume(&o, &c->volumes[i]);
	for (i = 0; i < c->n_addresses; i++)
		put_address(&o, &c->addresses[i]);
	for (i = 0; i < c->n_services; i++)
		put_service(&o, c, &c->services[i]);
	for (i = 0; i < c->n_lockspaces; i++)
		put_lockspace(&o, &c->lockspaces[i]);
	for (i = 0; i < c->n_routers; i++)
		conf_put_router(&o, c, &c->routers[i]);
	return o.len;
}

uint8_t
conf_n_voters(const struct conf *c)
{
	return (uint8_t)((c->witness.addr[0] != '\0') + c->n_lock_disks);
}

bool
conf_arbitrated(const struct conf *c)
{
	uint8_t i;

	for (i = 0; i < c->n_nodes; i++)
		if (c->nodes[i].n_fences > 0)
			return true;
	return conf_n_voters(c) > 0;
}

const struct conf_node *
conf_node(const struct conf *c, uint8_t id)
{
	uint8_t i;

	for (i = 0; i < c->n_nodes; i++)
		if (id != 0 && c->nodes[i].id == id)
			return &c->nodes[i];
	return NULL;
}

const struct conf_node *
conf_node_named(const struct conf *c, const char *name)
{
	uint8_t i;

	for (i = 0; i < c->n_nodes; i++)
		if (strcmp(c->nodes[i].name, name) == 0)
			return &c->nodes[i];
	return NULL;
}

const struct conf_service *
conf_service_named(const struct conf *c, const char *name)
{
	uint16_t i;

	for (i = 0; i < c->n_services; i++)
		if (strcmp(c->services[i].name, name) == 0)
			return &c->services[i];
	return NULL;
}

const struct conf_volume *
conf_volume_named(const struct conf *c, const char *name)
{
	uint16_t i;

	for (i = 0; i < c->n_volumes; i++)
		if (strcmp(c->volumes[i].name, name) == 0)
			return &c->volumes[i];
	return NULL;
}
