/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vrrp_script, vrrp_track_file, vrrp_track_process and vrrp_sync_group of
 * keepalived.conf(5).
 */
#include <bsd/string.h>
#include <string.h>

#include "import_int.h"

#define WHY_NOTIFY \
	"had runs nothing on a change of state; 'hactl events " \
	"-f' tells it, and a service runs commands where its address is"
#define WHY_COUNT \
	"had acts on each result of a check; let the check itself " \
	"try more than once"
#define WHY_PROCS \
	"had asks whether a process of that name runs, by " \
	"/proc/PID/comm; a 'track check' with pgrep(1) can ask for more"

/* A new one, or NULL after a message; then its block is skipped. */
static struct imp_source *
add_source(
    struct import *im, const struct imp_stmt *s, enum conf_track_type type)
{
	struct imp_source *so = &im->sources[im->n_sources];

	if (s->n < 2 || im->n_sources == IMP_SOURCES_MAX) {
		imp_tell(im, s->line, s->word[0], "left out: %s",
		    s->n < 2 ? "it has no name" : "too many of them");
		imp_skip_block(im);
		return NULL;
	}
	im->n_sources++;
	im->source = so;
	so->type = type;
	so->line = s->line;
	so->every_us = 1000000;
	strlcpy(so->name, s->word[1], sizeof(so->name));
	return so;
}

/* Without what it is about it cannot be used; its users are told, too. */
static void
end_source(struct import *im, const struct imp_stmt *s, const char *word)
{
	if (im->source->what[0] == '\0')
		imp_tell(im, s->line, s->word[0],
		    "left out: got no %s that can be converted", word);
}

static void
on_what(struct import *im, const struct imp_stmt *s)
{
	(void)imp_text(im, s, im->source->what, sizeof(im->source->what));
}

static void
on_interval(struct import *im, const struct imp_stmt *s)
{
	(void)imp_seconds(im, s, 3600ull * 1000000, &im->source->every_us);
}

static void
on_timeout(struct import *im, const struct imp_stmt *s)
{
	(void)imp_seconds(im, s, 3600ull * 1000000, &im->source->timeout_us);
}

static void
on_weight(struct import *im, const struct imp_stmt *s)
{
	if (!imp_weight(im, s, 1, &im->source->weight, &im->source->reverse))
		im->source->weight = 0;
}

/* rise and fall: once is what had does. */
static void
on_count(struct import *im, const struct imp_stmt *s)
{
	uint32_t n;

	if (imp_uint(im, s, 1, INT32_MAX, &n) && n > 1)
		imp_tell(im, s->line, s->word[0], "left out: " WHY_COUNT);
}

void
imp_script(struct import *im, const struct imp_stmt *s)
{
	static const struct imp_row rows[] = {
	    {"script", on_what, false, NULL},
	    {"interval", on_interval, false, NULL},
	    {"timeout", on_timeout, false, NULL},
	    {"weight", on_weight, false, NULL},
	    {"rise", on_count, false, NULL},
	    {"fall", on_count, false, NULL},
	    {"user", NULL, false,
		"had runs checks as root; 'runuser -u USER -- COMMAND' in the "
		"check itself changes that"},
	    {"init_fail", NULL, false,
		"a check counts as passed until it has run once; 'start "
		"after' gives it the time"},
	};

	if (add_source(im, s, CONF_TRACK_CHECK) == NULL)
		return;
	imp_read(im, s, rows, NITEMS(rows));
	end_source(im, s, "script");
}

static void
on_path(struct import *im, const struct imp_stmt *s)
{
	struct imp_source *so = im->source;

	if (!imp_text(im, s, so->what, sizeof(so->what)) || so->what[0] == '/')
		return;
	imp_tell(im, s->line, s->word[0],
	    "left out: expected a path that begins with '/'");
	so->what[0] = '\0';
}

void
imp_file(struct import *im, const struct imp_stmt *s)
{
	static const struct imp_row rows[] = {
	    {"file", on_path, false, NULL},
	    {"weight", on_weight, false, NULL},
	    {"init_file", NULL, false,
		"had only reads the file; one that is not there counts as 0"},
	};

	if (add_source(im, s, CONF_TRACK_FILE) == NULL)
		return;
	im->source->weight = 1;
	imp_read(im, s, rows, NITEMS(rows));
	end_source(im, s, "file");
}

static void
on_program(struct import *im, const struct imp_stmt *s)
{
	struct imp_source *so = im->source;
	const char *word = s->n > 1 ? s->word[1] : "";
	const char *base = strrchr(word, '/');

	base = base == NULL ? word : base + 1;
	if (*base == '\0') {
		imp_tell(im, s->line, s->word[0],
		    "left out: expected the name of a program");
		return;
	}
	if (base != word || s->n > 2)
		imp_tell(im, s->line, s->word[0],
		    "only the name %.80s is converted: " WHY_PROCS, base);
	strlcpy(so->what, base, sizeof(so->what));
}

static void
on_quorum(struct import *im, const struct imp_stmt *s)
{
	uint32_t n;

	if (imp_uint(im, s, 0, INT32_MAX, &n) && n != 1)
		imp_tell(im, s->line, s->word[0], "left out: " WHY_PROCS);
}

void
imp_process(struct import *im, const struct imp_stmt *s)
{
	static const struct imp_row rows[] = {
	    {"process", on_program, false, NULL},
	    {"weight", on_weight, false, NULL},
	    {"quorum", on_quorum, false, NULL},
	    {"quorum_max", NULL, false, WHY_PROCS},
	    {"param_match", NULL, false, WHY_PROCS},
	    {"full_command", NULL, false, WHY_PROCS},
	    {"fork_delay", NULL, false,
		"had looks at processes twice a second, and acts at once"},
	    {"terminate_delay", NULL, false,
		"had looks at processes twice a second, and acts at once"},
	    {"delay", NULL, false,
		"had looks at processes twice a second, and acts at once"},
	};

	if (add_source(im, s, CONF_TRACK_PROCESS) == NULL)
		return;
	im->source->weight = 1;
	imp_read(im, s, rows, NITEMS(rows));
	end_source(im, s, "process");
}

static void
add_members(struct import *im, const struct imp_stmt *s)
{
	for (uint8_t i = 0; i < s->n; i++) {
		struct imp_member *m = &im->members[im->n_members];

		if (im->n_members == IMP_MEMBERS_MAX) {
			imp_tell(im, s->line, s->word[i],
			    "left out: more than %d members of groups",
			    IMP_MEMBERS_MAX);
			return;
		}
		im->n_members++;
		m->line = s->line;
		m->group = (uint16_t)(im->group - im->groups);
		strlcpy(m->name, s->word[i], sizeof(m->name));
	}
}

static void
on_group(struct import *im, const struct imp_stmt *s)
{
	imp_list(im, s, add_members);
}

static void
on_group_weights(struct import *im, const struct imp_stmt *s)
{
	(void)s;
	im->group->weights = true;
}

void
imp_sync_group(struct import *im, const struct imp_stmt *s)
{
	static const struct imp_row rows[] = {
	    {"group", on_group, true, NULL},
	    {"track_interface", imp_track_interface, true, NULL},
	    {"track_script", imp_track_script, true, NULL},
	    {"track_file", imp_track_file, true, NULL},
	    {"track_process", imp_track_process, true, NULL},
	    {"track_bfd", NULL, false,
		"had has no BFD; an 'interval' of 10ms finds a dead router as "
		"soon"},
	    {"sync_group_tracking_weight", on_group_weights, false, NULL},
	    {"global_tracking", on_group_weights, false, NULL},
	    {"notify*", NULL, false, WHY_NOTIFY},
	    {"smtp_alert", NULL, false,
		"had sends no mail; 'hactl events -f' tells each change"},
	};

	if (s->n < 2 || im->n_groups == IMP_GROUPS_MAX) {
		imp_tell(im, s->line, s->word[0], "left out: %s",
		    s->n < 2 ? "it has no name" : "too many of them");
		imp_skip_block(im);
		return;
	}
	im->group = &im->groups[im->n_groups++];
	im->group->line = s->line;
	strlcpy(im->group->name, s->word[1], sizeof(im->group->name));
	imp_read(im, s, rows, NITEMS(rows));
	im->group = NULL;
}
