/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parser's part for arbiters: witness, lock disks, watchdog, pings, what
 * a node does to itself, fence agents, and the domains of links.
 */
#include <bsd/string.h>
#include <string.h>

#include "conf_int.h"

enum { FENCE_TIMEOUT_MIN_MS = 100, FENCE_TIMEOUT_MAX_MS = 600 * 1000 };

static struct conf_pos
at_keyword(const struct conf_parser *p)
{
	return (struct conf_pos){p->key_line, p->key_col};
}

/* A numeric address, as written. */
static bool
parse_numeric(struct conf_parser *p, char *dst, size_t size)
{
	uint8_t bytes[16];

	if (conf_addr_parse(p->tok.text, bytes) == 0)
		return conf_expected(p, "a numeric IPv4 or IPv6 address");
	return conf_text(p, dst, size, "an address");
}

static bool
parse_witness_key(struct conf_parser *p)
{
	return conf_key(p, p->c->witness.key);
}

static bool
parse_witness_port(struct conf_parser *p)
{
	uint32_t port;

	if (!conf_uint(p, 1, 65535, &port))
		return false;
	p->c->witness.port = (uint16_t)port;
	return true;
}

bool
conf_parse_witness(struct conf_parser *p)
{
	static const struct conf_stmt port[] = {
	    {CONF_KW_PORT, parse_witness_port, false, false},
	};
	struct conf_witness *w = &p->c->witness;

	w->line = p->key_line;
	w->col = p->key_col;
	w->port = CONF_WITNESS_PORT;
	return parse_numeric(p, w->addr, sizeof(w->addr)) &&
	       conf_want_kw(p, CONF_KW_KEY) && parse_witness_key(p) &&
	       conf_attrs(p, port, NITEMS(port));
}

bool
conf_parse_lock(struct conf_parser *p)
{
	struct conf *c = p->c;

	if (!conf_want_kw(p, CONF_KW_DISK))
		return false;
	if (c->n_lock_disks == HAD_LOCK_DISKS_MAX)
		return conf_expected(
		    p, "at most %d lock disks", HAD_LOCK_DISKS_MAX);
	c->lock_disk_at[c->n_lock_disks] = at_keyword(p);
	return conf_path(p, c->lock_disks[c->n_lock_disks++],
	    sizeof(c->lock_disks[0]), "the path of a block device or file");
}

bool
conf_parse_watchdog(struct conf_parser *p)
{
	struct conf_token duration;
	struct conf *c = p->c;
	uint32_t ms;

	c->watchdog_at = at_keyword(p);
	if (!conf_path(p, c->watchdog, sizeof(c->watchdog),
		"the path of a watchdog device") ||
	    !conf_want_kw(p, CONF_KW_TIMEOUT))
		return false;
	duration = p->tok;
	if (!conf_duration(p, 1000, CONF_WATCHDOG_MAX_MS, &ms))
		return false;
	if (ms % 1000 != 0) {
		conf_error(p->errors, p->file, duration.line, duration.col,
		    "got %ums, expected whole seconds: watchdog devices know "
		    "no others",
		    ms);
		return false;
	}
	c->watchdog_timeout_ms = ms;
	return true;
}

bool
conf_parse_ping(struct conf_parser *p)
{
	struct conf *c = p->c;

	if (c->n_pings == HAD_PINGS_MAX)
		return conf_expected(
		    p, "at most %d addresses to ping", HAD_PINGS_MAX);
	c->ping_at[c->n_pings] = at_keyword(p);
	return parse_numeric(p, c->pings[c->n_pings++], sizeof(c->pings[0]));
}

bool
conf_parse_self(struct conf_parser *p)
{
	struct conf *c = p->c;

	c->self_fence_at = at_keyword(p);
	if (!conf_want_kw(p, CONF_KW_FENCE))
		return false;
	if (conf_is_kw(p, CONF_KW_OFF))
		c->self_fence = CONF_SELF_FENCE_OFF;
	else if (conf_is_kw(p, CONF_KW_SYSRQ))
		c->self_fence = CONF_SELF_FENCE_SYSRQ;
	else if (conf_is_kw(p, CONF_KW_WATCHDOG))
		c->self_fence = CONF_SELF_FENCE_WATCHDOG;
	else
		return conf_expected(p, "off, sysrq or watchdog");
	conf_next(p);
	return true;
}

bool
conf_parse_domain(struct conf_parser *p)
{
	return conf_name(p, p->link->domain, sizeof(p->link->domain),
	    "the name of a domain");
}

/* Without a slash it is looked up where fence agents are. */
bool
conf_agent_valid(const char *agent)
{
	if (strchr(agent, '/') != NULL)
		return agent[0] == '/' && agent[strlen(agent) - 1] != '/';
	return conf_name_valid(agent);
}

bool
conf_param_valid(const char *name)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

	return *name != '\0' && name[strspn(name, ok)] == '\0' &&
	       strlen(name) < HAD_NAME_MAX;
}

const char *
conf_param_reserved(const char *name)
{
	if (strcmp(name, "action") == 0)
		return "had itself says what the agent is to do";
	if (strcmp(name, "option") == 0)
		return "it is the old name of action, which had itself sets";
	if (strcmp(name, "nodename") == 0)
		return "had itself names the node that is meant";
	return NULL;
}

/* A value, or file and the path of what holds it; "file" is a value. */
static bool
parse_param_value(struct conf_parser *p, struct conf_fence_param *param)
{
	param->file = conf_is_kw(p, CONF_KW_FILE);
	if (!param->file)
		return conf_text(p, param->value, sizeof(param->value),
		    "a value, or file and a path");
	conf_next(p);
	return conf_path(
	    p, param->value, sizeof(param->value), "the path of a file");
}

static bool
parse_param(struct conf_parser *p)
{
	struct conf_fence *f = p->fence;
	struct conf_fence_param *param;
	const char *why;
	uint8_t i;

	if (p->tok.type != CONF_TOK_WORD || !conf_param_valid(p->tok.text))
		return conf_expected(p,
		    "the name of an agent's parameter (at most 31 of a-z, "
		    "0-9, '_' and '-', not quoted) or '}'");
	why = conf_param_reserved(p->tok.text);
	if (why != NULL)
		return conf_expected(p, "another parameter: %s", why);
	for (i = 0; i < f->n_params; i++)
		if (strcmp(f->params[i].name, p->tok.text) == 0) {
			conf_error(p->errors, p->file, p->tok.line, p->tok.col,
			    "got a second %s, expected it once", p->tok.text);
			return false;
		}
	if (f->n_params == HAD_FENCE_PARAMS_MAX)
		return conf_expected(
		    p, "at most %d parameters", HAD_FENCE_PARAMS_MAX);
	param = &f->params[f->n_params++];
	strlcpy(param->name, p->tok.text, sizeof(param->name));
	conf_next(p);
	return parse_param_value(p, param) && conf_end_statement(p);
}

static bool
parse_fence_timeout(struct conf_parser *p)
{
	return conf_duration(p, FENCE_TIMEOUT_MIN_MS, FENCE_TIMEOUT_MAX_MS,
	    &p->fence->timeout_ms);
}

/* Its block: names are free, so there is no table of them. */
static bool
parse_params(struct conf_parser *p)
{
	if (p->tok.type != CONF_TOK_LBRACE)
		return conf_expected(
		    p, "timeout, or '{' on the line of the fence");
	conf_next(p);
	for (;;) {
		conf_skip_separators(p);
		if (p->tok.type == CONF_TOK_RBRACE)
			break;
		if (p->tok.type == CONF_TOK_END)
			return conf_expected(p, "'}' at the end of the fence");
		if (!parse_param(p))
			(void)conf_skip_statement(p);
	}
	conf_next(p);
	return true;
}

bool
conf_parse_fence(struct conf_parser *p)
{
	struct conf_node *n = p->node;
	struct conf_fence *f;

	if (n->n_fences == HAD_FENCES_MAX)
		return conf_expected(
		    p, "at most %d fences of a node", HAD_FENCES_MAX);
	f = p->fence = &n->fences[n->n_fences++];
	f->line = p->key_line;
	f->col = p->key_col;
	f->timeout_ms = CONF_FENCE_TIMEOUT_MS;
	if (p->tok.type == CONF_TOK_WORD || p->tok.type == CONF_TOK_STRING)
		if (!conf_agent_valid(p->tok.text))
			return conf_expected(p,
			    "the name of a fence agent, or its path from '/' "
			    "on");
	if (!conf_text(p, f->agent, sizeof(f->agent), "a fence agent"))
		return false;
	if (conf_is_kw(p, CONF_KW_TIMEOUT)) {
		conf_next(p);
		if (!parse_fence_timeout(p))
			return false;
	}
	return parse_params(p);
}
