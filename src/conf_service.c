/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parser's part for services: an ordered list of steps, and a check.
 */
#include <string.h>

#include "conf_int.h"

enum { TIMEOUT_MAX_MS = 24 * 3600 * 1000 };

static bool
parse_timeout(struct conf_parser *p)
{
	return conf_duration(p, 1, TIMEOUT_MAX_MS, &p->step->timeout_ms);
}

static bool
parse_dir(struct conf_parser *p)
{
	return conf_path(
	    p, p->step->dir, sizeof(p->step->dir), "the path of a directory");
}

static bool
parse_fstype(struct conf_parser *p)
{
	return conf_name(p, p->step->fstype, sizeof(p->step->fstype),
	    "the type of a file system");
}

static bool
parse_options(struct conf_parser *p)
{
	return conf_text(
	    p, p->step->options, sizeof(p->step->options), "mount options");
}

static bool
parse_cmd_start(struct conf_parser *p)
{
	return conf_text(
	    p, p->step->start, sizeof(p->step->start), "a shell command");
}

static bool
parse_cmd_stop(struct conf_parser *p)
{
	return conf_text(
	    p, p->step->stop, sizeof(p->step->stop), "a shell command");
}

static bool
parse_cmd_status(struct conf_parser *p)
{
	return conf_text(
	    p, p->step->status, sizeof(p->step->status), "a shell command");
}

/* Appends a step and reads its name. */
static bool
new_step(struct conf_parser *p, enum conf_step_type type, uint32_t timeout_ms,
    const char *what)
{
	struct conf_service *sv = p->service;

	if (sv->n_steps == HAD_STEPS_MAX)
		return conf_expected(
		    p, "at most %d steps of a service", HAD_STEPS_MAX);
	p->step = &sv->steps[sv->n_steps++];
	p->step->type = type;
	p->step->timeout_ms = timeout_ms;
	p->step->line = p->key_line;
	p->step->col = p->key_col;
	return conf_name(p, p->step->name, sizeof(p->step->name), what);
}

static const struct conf_stmt timeout_only[] = {
    {CONF_KW_TIMEOUT, parse_timeout, false, false},
};

static bool
parse_step_volume(struct conf_parser *p)
{
	return new_step(p, CONF_STEP_VOLUME, CONF_VOLUME_TIMEOUT_MS,
		   "the name of a volume") &&
	       conf_attrs(p, timeout_only, NITEMS(timeout_only));
}

static bool
parse_step_address(struct conf_parser *p)
{
	return new_step(p, CONF_STEP_ADDRESS, CONF_ADDRESS_TIMEOUT_MS,
		   "the name of an address") &&
	       conf_attrs(p, timeout_only, NITEMS(timeout_only));
}

static bool
parse_step_mount(struct conf_parser *p)
{
	static const struct conf_stmt table[] = {
	    {CONF_KW_ON, parse_dir, false, false},
	    {CONF_KW_TYPE, parse_fstype, false, false},
	    {CONF_KW_OPTIONS, parse_options, false, false},
	    {CONF_KW_TIMEOUT, parse_timeout, false, false},
	};

	return new_step(p, CONF_STEP_MOUNT, CONF_MOUNT_TIMEOUT_MS,
		   "the name of a volume") &&
	       conf_attrs(p, table, NITEMS(table));
}

static bool
parse_step_command(struct conf_parser *p)
{
	static const struct conf_stmt table[] = {
	    {CONF_KW_START, parse_cmd_start, false, false},
	    {CONF_KW_STOP, parse_cmd_stop, false, false},
	    {CONF_KW_STATUS, parse_cmd_status, false, false},
	    {CONF_KW_TIMEOUT, parse_timeout, false, false},
	};

	return new_step(p, CONF_STEP_COMMAND, CONF_COMMAND_TIMEOUT_MS,
		   "the command's name") &&
	       conf_block(p, table, NITEMS(table), "command");
}

static bool
parse_start(struct conf_parser *p)
{
	static const struct conf_stmt table[] = {
	    {CONF_KW_VOLUME, parse_step_volume, true, false},
	    {CONF_KW_MOUNT, parse_step_mount, true, false},
	    {CONF_KW_COMMAND, parse_step_command, true, true},
	    {CONF_KW_ADDRESS, parse_step_address, true, false},
	};

	return conf_block(p, table, NITEMS(table), "start");
}

static bool
parse_prefer(struct conf_parser *p)
{
	return conf_name(p, p->service->prefer_name,
	    sizeof(p->service->prefer_name), "the name of a node");
}

static bool
parse_failback(struct conf_parser *p)
{
	return conf_either(
	    p, CONF_KW_NEVER, CONF_KW_AUTO, &p->service->failback);
}

static bool
parse_every(struct conf_parser *p)
{
	return conf_duration(
	    p, 100, TIMEOUT_MAX_MS, &p->service->check_every_ms);
}

static bool
parse_check_timeout(struct conf_parser *p)
{
	return conf_duration(
	    p, 1, TIMEOUT_MAX_MS, &p->service->check_timeout_ms);
}

static bool
parse_check(struct conf_parser *p)
{
	static const struct conf_stmt table[] = {
	    {CONF_KW_EVERY, parse_every, false, false},
	    {CONF_KW_TIMEOUT, parse_check_timeout, false, false},
	};

	return conf_text(p, p->service->check, sizeof(p->service->check),
		   "a shell command") &&
	       conf_attrs(p, table, NITEMS(table));
}

bool
conf_parse_service(struct conf_parser *p)
{
	static const struct conf_stmt table[] = {
	    {CONF_KW_PREFER, parse_prefer, false, false},
	    {CONF_KW_FAILBACK, parse_failback, false, false},
	    {CONF_KW_START, parse_start, false, true},
	    {CONF_KW_CHECK, parse_check, false, false},
	};
	struct conf *c = p->c;

	if (c->n_services == HAD_SERVICES_MAX)
		return conf_expected(
		    p, "at most %d services", HAD_SERVICES_MAX);
	p->service = &c->services[c->n_services++];
	p->service->line = p->key_line;
	p->service->col = p->key_col;
	p->service->check_every_ms = CONF_CHECK_EVERY_MS;
	p->service->check_timeout_ms = CONF_CHECK_TIMEOUT_MS;
	return conf_name(p, p->service->name, sizeof(p->service->name),
		   "the service's name") &&
	       conf_block(p, table, NITEMS(table), "service");
}
