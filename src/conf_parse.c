/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recursive descent over statements.  Each block has a table of its
 * statements; a statement that does not parse is reported once and skipped
 * to its end, so that the rest of the file is still looked at.
 */
#include <bsd/string.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "conf_int.h"

bool
conf_skip_statement(struct conf_parser *p)
{
	unsigned depth;

	for (depth = 0; p->tok.type != CONF_TOK_END; conf_next(p)) {
		switch (p->tok.type) {
		case CONF_TOK_LBRACE:
			depth++;
			break;
		case CONF_TOK_RBRACE:
			if (depth == 0)
				return true;
			depth--;
			break;
		case CONF_TOK_NEWLINE:
		case CONF_TOK_SEMICOLON:
			if (depth == 0) {
				conf_next(p);
				return false;
			}
			break;
		default:
			break;
		}
	}
	return false;
}

void
conf_skip_separators(struct conf_parser *p)
{
	while (p->tok.type == CONF_TOK_NEWLINE ||
	       p->tok.type == CONF_TOK_SEMICOLON)
		conf_next(p);
}

static bool
at_end_of_statement(const struct conf_parser *p)
{
	return p->tok.type == CONF_TOK_NEWLINE ||
	       p->tok.type == CONF_TOK_SEMICOLON ||
	       p->tok.type == CONF_TOK_RBRACE || p->tok.type == CONF_TOK_END;
}

/* "a, b or c" */
static void
list_words(const struct conf_stmt *table, size_t n, const char *last, char *buf,
    size_t size)
{
	size_t i;

	*buf = '\0';
	for (i = 0; i < n; i++) {
		if (i > 0)
			strlcat(buf, ", ", size);
		strlcat(buf, conf_kw_word(table[i].kw), size);
	}
	strlcat(buf, " or ", size);
	strlcat(buf, last, size);
}

/*
 * Reads the keyword of one statement and what belongs to it.  *seen has a
 * bit for each entry of the table that was read well.
 */
static bool
one_of(struct conf_parser *p, const struct conf_stmt *table, size_t n,
    uint32_t *seen, const char *last, bool *block)
{
	char words[256];
	size_t i;

	ASSERT(n <= 32);
	for (i = 0; i < n; i++)
		if (conf_is_kw(p, table[i].kw))
			break;
	if (i == n) {
		list_words(table, n, last, words, sizeof(words));
		return conf_expected(p, "%s", words);
	}
	if (!table[i].many && (*seen & 1u << i) != 0) {
		conf_error(p->errors, p->file, p->tok.line, p->tok.col,
		    "got a second %s, expected it once",
		    conf_kw_word(table[i].kw));
		return false;
	}
	*block = table[i].block;
	p->key_line = p->tok.line;
	p->key_col = p->tok.col;
	conf_next(p);
	if (!table[i].parse(p))
		return false;
	*seen |= 1u << i;
	return true;
}

bool
conf_end_statement(struct conf_parser *p)
{
	if (!at_end_of_statement(p))
		return conf_expected(p, "end of line");
	if (p->tok.type != CONF_TOK_RBRACE && p->tok.type != CONF_TOK_END)
		conf_next(p);
	return true;
}

bool
conf_block(struct conf_parser *p, const struct conf_stmt *table, size_t n,
    const char *what)
{
	uint32_t seen;
	bool block;

	if (p->tok.type != CONF_TOK_LBRACE)
		return conf_expected(p, "'{' on the line of the %s", what);
	conf_next(p);
	seen = 0;
	for (;;) {
		conf_skip_separators(p);
		if (p->tok.type == CONF_TOK_RBRACE)
			break;
		if (p->tok.type == CONF_TOK_END)
			return conf_expected(
			    p, "'}' at the end of the %s", what);
		block = false;
		if (!one_of(p, table, n, &seen, "'}'", &block) ||
		    (!block && !conf_end_statement(p)))
			(void)conf_skip_statement(p);
	}
	conf_next(p);
	return true;
}

bool
conf_attrs(struct conf_parser *p, const struct conf_stmt *table, size_t n)
{
	uint32_t seen;
	bool block;

	seen = 0;
	while (!at_end_of_statement(p))
		if (!one_of(p, table, n, &seen, "end of line", &block))
			return false;
	return true;
}

static bool
parse_heartbeat(struct conf_parser *p)
{
	return conf_duration(p, 2, 10 * 1000, &p->c->t.heartbeat_ms);
}

static bool
parse_dead(struct conf_parser *p)
{
	return conf_duration(p, 10, 300 * 1000, &p->c->t.dead_ms);
}

static bool
parse_silent(struct conf_parser *p)
{
	bool wait;

	if (!conf_want_kw(p, CONF_KW_PEER) ||
	    !conf_either(p, CONF_KW_TAKEOVER, CONF_KW_WAIT, &wait))
		return false;
	p->c->silent_at = (struct conf_pos){p->key_line, p->key_col};
	p->c->silent = wait ? CONF_SILENT_WAIT : CONF_SILENT_TAKEOVER;
	return true;
}

/* Above it are the ports of bulk and of one heartbeat per link. */
static bool
parse_port(struct conf_parser *p)
{
	uint32_t port;

	if (!conf_uint(p, 1, 65535 - 1 - HAD_LINKS_MAX, &port))
		return false;
	p->c->port = (uint16_t)port;
	return true;
}

static bool
parse_cluster(struct conf_parser *p)
{
	static const struct conf_stmt table[] = {
	    {CONF_KW_HEARTBEAT, parse_heartbeat, false, false},
	    {CONF_KW_DEAD, parse_dead, false, false},
	    {CONF_KW_SILENT, parse_silent, false, false},
	    {CONF_KW_PORT, parse_port, false, false},
	    {CONF_KW_WITNESS, conf_parse_witness, false, false},
	    {CONF_KW_LOCK, conf_parse_lock, true, false},
	    {CONF_KW_WATCHDOG, conf_parse_watchdog, false, false},
	    {CONF_KW_PING, conf_parse_ping, true, false},
	    {CONF_KW_SELF, conf_parse_self, false, false},
	};

	p->c->line = p->key_line;
	p->c->col = p->key_col;
	return conf_name(p, p->c->cluster, sizeof(p->c->cluster),
		   "the cluster's name") &&
	       conf_block(p, table, NITEMS(table), "cluster");
}

static bool
parse_node_id(struct conf_parser *p)
{
	uint32_t id;

	if (!conf_uint(p, 1, HAD_NODES_MAX, &id))
		return false;
	p->node->id = (uint8_t)id;
	return true;
}

static bool
parse_node_key(struct conf_parser *p)
{
	p->node->key_set = conf_key(p, p->node->key);
	return p->node->key_set;
}

static bool
parse_node_link(struct conf_parser *p)
{
	static const struct conf_stmt table[] = {
	    {CONF_KW_DOMAIN, conf_parse_domain, false, false},
	};
	struct conf_link *link;
	uint8_t bytes[16];

	if (p->node->n_links == HAD_LINKS_MAX)
		return conf_expected(
		    p, "at most %d links of a node", HAD_LINKS_MAX);
	p->link = link = &p->node->links[p->node->n_links++];
	link->line = p->key_line;
	link->col = p->key_col;
	if (!conf_name(p, link->name, sizeof(link->name), "the link's name"))
		return false;
	if (conf_addr_parse(p->tok.text, bytes) == 0)
		return conf_expected(p, "a numeric IPv4 or IPv6 address");
	return conf_text(p, link->addr, sizeof(link->addr), "an address") &&
	       conf_want_kw(p, CONF_KW_INTERFACE) &&
	       conf_ifname(p, link->ifname) &&
	       conf_attrs(p, table, NITEMS(table));
}

static bool
parse_node(struct conf_parser *p)
{
	static const struct conf_stmt table[] = {
	    {CONF_KW_ID, parse_node_id, false, false},
	    {CONF_KW_KEY, parse_node_key, false, false},
	    {CONF_KW_LINK, parse_node_link, true, false},
	    {CONF_KW_FENCE, conf_parse_fence, true, true},
	};
	struct conf *c = p->c;

	if (c->n_nodes == HAD_NODES_MAX)
		return conf_expected(p, "at most %d nodes", HAD_NODES_MAX);
	p->node = &c->nodes[c->n_nodes++];
	p->node->line = p->key_line;
	p->node->col = p->key_col;
	return conf_name(p, p->node->name, sizeof(p->node->name),
		   "the node's name") &&
	       conf_block(p, table, NITEMS(table), "node");
}

static bool
parse_volume_device(struct conf_parser *p)
{
	return conf_path(p, p->volume->device, sizeof(p->volume->device),
	    "the path of a block device or file");
}

static bool
parse_volume_meta(struct conf_parser *p)
{
	if (conf_is_kw(p, CONF_KW_INTERNAL)) {
		p->volume->meta[0] = '\0';
		conf_next(p);
		return true;
	}
	return conf_path(p, p->volume->meta, sizeof(p->volume->meta),
	    "internal, or the path of a block device or file");
}

static bool
parse_volume_write(struct conf_parser *p)
{
	p->volume->write = CONF_WRITE_DISK;
	return conf_want_kw(p, CONF_KW_DISK);
}

static bool
parse_volume_resync(struct conf_parser *p)
{
	return conf_want_kw(p, CONF_KW_RATE) &&
	       conf_rate(p, &p->volume->resync_rate_kib);
}

static bool
parse_volume(struct conf_parser *p)
{
	static const struct conf_stmt table[] = {
	    {CONF_KW_DEVICE, parse_volume_device, false, false},
	    {CONF_KW_META, parse_volume_meta, false, false},
	    {CONF_KW_WRITE, parse_volume_write, false, false},
	    {CONF_KW_RESYNC, parse_volume_resync, false, false},
	};
	struct conf *c = p->c;

	if (c->n_volumes == HAD_VOLUMES_MAX)
		return conf_expected(p, "at most %d volumes", HAD_VOLUMES_MAX);
	p->volume = &c->volumes[c->n_volumes++];
	p->volume->line = p->key_line;
	p->volume->col = p->key_col;
	return conf_name(p, p->volume->name, sizeof(p->volume->name),
		   "the volume's name") &&
	       conf_block(p, table, NITEMS(table), "volume");
}

/* ADDR/PREFIX */
static bool
parse_prefixed(struct conf_parser *p, struct conf_address *a)
{
	static const char want[] =
	    "a numeric address and its prefix length, as 192.0.2.80/24";
	char text[sizeof(p->tok.text)];
	char *slash, *s;
	unsigned n;

	memcpy(text, p->tok.text, sizeof(text));
	slash = strchr(text, '/');
	if (slash == NULL)
		return conf_expected(p, "%s", want);
	*slash = '\0';
	a->family = conf_addr_parse(text, a->bytes);
	if (a->family == 0 ||
	    strlcpy(a->addr, text, sizeof(a->addr)) >= sizeof(a->addr))
		return conf_expected(p, "%s", want);
	n = 0;
	for (s = slash + 1; *s >= '0' && *s <= '9' && n <= 128; s++)
		n = n * 10 + (unsigned)(*s - '0');
	if (s == slash + 1 || *s != '\0' || n == 0 ||
	    n > (a->family == 4 ? 32 : 128))
		return conf_expected(p, "a prefix length from 1 to %d",
		    a->family == 4 ? 32 : 128);
	a->prefix = (uint8_t)n;
	conf_next(p);
	return true;
}

/* Behind its line, what may stand once. */
static void
parse_share(struct conf_parser *p, struct conf_address *a)
{
	if (a->share || !conf_is_kw(p, CONF_KW_SHARE))
		return;
	a->share = true;
	conf_next(p);
	if (!conf_end_statement(p))
		(void)conf_skip_statement(p);
	conf_skip_separators(p);
}

/* The first statement of an address has no keyword of its own. */
static bool
parse_address(struct conf_parser *p)
{
	struct conf_address *a;
	struct conf *c = p->c;

	if (c->n_addresses == HAD_ADDRESSES_MAX)
		return conf_expected(
		    p, "at most %d addresses", HAD_ADDRESSES_MAX);
	a = &c->addresses[c->n_addresses++];
	a->line = p->key_line;
	a->col = p->key_col;
	if (!conf_name(p, a->name, sizeof(a->name), "the address's name"))
		return false;
	if (p->tok.type != CONF_TOK_LBRACE)
		return conf_expected(p, "'{' on the line of the address");
	conf_next(p);
	conf_skip_separators(p);
	if (!parse_prefixed(p, a) || !conf_want_kw(p, CONF_KW_INTERFACE) ||
	    !conf_ifname(p, a->ifname) || !conf_end_statement(p))
		(void)conf_skip_statement(p);
	conf_skip_separators(p);
	parse_share(p, a);
	while (p->tok.type != CONF_TOK_RBRACE) {
		(void)conf_expected(p, "%s'}' behind the line of an address",
		    a->share ? "" : "share or ");
		if (p->tok.type == CONF_TOK_END)
			return false;
		(void)conf_skip_statement(p);
		conf_skip_separators(p);
	}
	conf_next(p);
	return true;
}

static bool
parse_lockspace_group(struct conf_parser *p)
{
	return conf_name(p, p->lockspace->group, sizeof(p->lockspace->group),
	    "the name of a group");
}

static bool
parse_lockspace_locks(struct conf_parser *p)
{
	return conf_uint(p, 1, CONF_LOCKS_MAX, &p->lockspace->locks_max);
}

static bool
parse_lockspace(struct conf_parser *p)
{
	static const struct conf_stmt table[] = {
	    {CONF_KW_GROUP, parse_lockspace_group, false, false},
	    {CONF_KW_LOCKS, parse_lockspace_locks, false, false},
	};
	struct conf *c = p->c;

	if (c->n_lockspaces == HAD_LOCKSPACES_MAX)
		return conf_expected(
		    p, "at most %d lockspaces", HAD_LOCKSPACES_MAX);
	p->lockspace = &c->lockspaces[c->n_lockspaces++];
	p->lockspace->line = p->key_line;
	p->lockspace->col = p->key_col;
	p->lockspace->locks_max = CONF_LOCKS;
	return conf_name(p, p->lockspace->name, sizeof(p->lockspace->name),
		   "the lockspace's name") &&
	       conf_block(p, table, NITEMS(table), "lockspace");
}

/* Behind NAME, at '='. */
static bool
parse_macro(struct conf_parser *p, const struct conf_token *name)
{
	struct conf_macro *m;
	uint8_t i;

	if (!conf_name_valid(name->text)) {
		conf_error(p->errors, p->file, name->line, name->col,
		    "got '%.40s', expected a macro's name of at most 31 "
		    "letters, digits, '_', '.' and '-'",
		    name->text);
		return false;
	}
	for (i = 0; i < p->n_macros; i++)
		if (strcmp(p->macros[i].name, name->text) == 0) {
			conf_error(p->errors, p->file, name->line, name->col,
			    "got a second macro %s, expected it once "
			    "(the first is on line %d)",
			    name->text, p->macros[i].line);
			return false;
		}
	if (p->n_macros == CONF_MACROS_MAX) {
		conf_error(p->errors, p->file, name->line, name->col,
		    "got macro %s, expected at most %d macros", name->text,
		    CONF_MACROS_MAX);
		return false;
	}
	conf_next(p);
	if (p->tok.type != CONF_TOK_STRING || p->lex.bytes[p->tok.at] != '"')
		return conf_expected(p, "a string in double quotes");
	m = &p->macros[p->n_macros++];
	strlcpy(m->name, name->text, sizeof(m->name));
	m->at = p->tok.at;
	m->line = name->line;
	conf_next(p);
	return conf_end_statement(p);
}

static const struct conf_stmt top[] = {
    {CONF_KW_CLUSTER, parse_cluster, false, true},
    {CONF_KW_NODE, parse_node, true, true},
    {CONF_KW_VOLUME, parse_volume, true, true},
    {CONF_KW_ADDRESS, parse_address, true, true},
    {CONF_KW_SERVICE, conf_parse_service, true, true},
    {CONF_KW_LOCKSPACE, parse_lockspace, true, true},
    {CONF_KW_ROUTER, conf_parse_router, true, true},
};

static bool
parse_top(struct conf_parser *p, uint32_t *seen)
{
	struct conf_token first;
	struct conf_lex at_first;
	bool block;

	first = p->tok;
	at_first = p->lex;
	if (first.type == CONF_TOK_WORD) {
		conf_next(p);
		if (p->tok.type == CONF_TOK_EQUALS)
			return parse_macro(p, &first);
		p->tok = first;
		p->lex = at_first;
	}
	return one_of(p, top, NITEMS(top), seen, "NAME = \"...\"", &block);
}

/* Names to indexes; what is not there becomes UINT16_MAX for the checker. */
static void
resolve_step(const struct conf *c, struct conf_step *s)
{
	uint16_t i;

	s->ref = s->type == CONF_STEP_COMMAND ? 0 : UINT16_MAX;
	if (s->type == CONF_STEP_VOLUME || s->type == CONF_STEP_MOUNT) {
		for (i = c->n_volumes; i-- > 0;)
			if (strcmp(c->volumes[i].name, s->name) == 0)
				s->ref = i;
	} else if (s->type == CONF_STEP_ADDRESS) {
		for (i = c->n_addresses; i-- > 0;)
			if (strcmp(c->addresses[i].name, s->name) == 0)
				s->ref = i;
	}
}

static void
resolve_tracks(struct conf *c)
{
	for (uint16_t i = 0; i < c->n_tracks; i++) {
		struct conf_track *t = &c->tracks[i];

		t->ref = UINT16_MAX;
		for (uint16_t k = 0; k < c->n_volumes; k++)
			if (t->type == CONF_TRACK_VOLUME &&
			    strcmp(c->volumes[k].name, t->what) == 0)
				t->ref = k;
		for (uint16_t k = 0; k < c->n_services; k++)
			if (t->type == CONF_TRACK_SERVICE &&
			    strcmp(c->services[k].name, t->what) == 0)
				t->ref = k;
	}
}

static void
resolve(struct conf *c)
{
	const struct conf_node *node;
	struct conf_service *sv;
	uint16_t i;
	uint8_t k;

	for (i = 0; i < c->n_services; i++) {
		sv = &c->services[i];
		for (k = 0; k < sv->n_steps; k++)
			resolve_step(c, &sv->steps[k]);
		if (sv->prefer_name[0] == '\0')
			continue;
		node = conf_node_named(c, sv->prefer_name);
		sv->prefer = node != NULL ? node->id : UINT8_MAX;
	}
	resolve_tracks(c);
}

static void
set_defaults(struct conf *c)
{
	memset(c, 0, sizeof(*c));
	c->t.heartbeat_ms = CONF_HEARTBEAT_MS;
	c->t.dead_ms = CONF_DEAD_MS;
	c->port = CONF_PORT;
}

int
conf_parse(struct conf *c, const char *file, const char *bytes, size_t len,
    struct conf_errors *errors)
{
	struct conf_parser p;
	unsigned before;
	uint32_t seen;

	set_defaults(c);
	c->digest = XXH3_64bits(bytes, len);
	memset(&p, 0, sizeof(p));
	p.c = c;
	p.file = file;
	p.errors = errors;
	before = errors->count;
	conf_lex_init(&p.lex, bytes, len);
	conf_next(&p);
	seen = 0;
	for (;;) {
		conf_skip_separators(&p);
		if (p.tok.type == CONF_TOK_END)
			break;
		if (parse_top(&p, &seen))
			continue;
		if (conf_skip_statement(&p))
			conf_next(&p);
	}
	if (errors->count != before)
		return -1;
	resolve(c);
	return conf_check(c, file, errors);
}
