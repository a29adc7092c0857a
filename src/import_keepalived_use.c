/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What instances and groups of a keepalived.conf track, to their routers.
 */
#include <bsd/string.h>
#include <stdio.h>
#include <string.h>

#include "import_int.h"

enum { ROUTER_TRACKS_MAX = 16, WEIGHT_MAX = 254, EVERY_MIN_MS = 100 };

static const struct imp_source *
source_named(
    const struct import *im, enum conf_track_type type, const char *name)
{
	for (uint16_t i = 0; i < im->n_sources; i++)
		if (im->sources[i].type == type &&
		    strcmp(im->sources[i].name, name) == 0)
			return &im->sources[i];
	return NULL;
}

static uint32_t
to_ms(uint64_t us, uint32_t least)
{
	uint64_t ms = (us + 999) / 1000;

	return ms < least ? least : (uint32_t)ms;
}

/* In sh(1) it stands for itself. */
static bool
is_plain_path(const char *path)
{
	return path[strspn(path, "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789/._-")] == '\0';
}

/*
 * A file without a weight: keepalived takes a number other than 0 for a
 * failure, had asks whether the file exists.
 */
static bool
file_to_check(struct import *im, const struct imp_use *u, struct conf_track *t)
{
	char path[IMP_TEXT_MAX];

	strlcpy(path, t->what, sizeof(path));
	if (!is_plain_path(path) ||
	    snprintf(t->what, sizeof(t->what), "! grep -qs '[1-9]' %s", path) >=
		(int)sizeof(t->what)) {
		imp_tell(im, u->line, u->name,
		    "left out: a file without a weight, whose path cannot "
		    "stand in a command; name it otherwise");
		return false;
	}
	t->type = CONF_TRACK_CHECK;
	t->every_ms = 1000;
	t->timeout_ms = 1000;
	imp_tell(im, u->line, u->name,
	    "becomes a check of the file every second: a file without a "
	    "weight means a failure here while it holds a number other than "
	    "0, in had while it does not exist");
	return true;
}

/* What it is about and what it weighs; false: told. */
static bool
resolve(struct import *im, const struct imp_use *u, struct conf_track *t,
    int32_t *weight, bool *reverse)
{
	const struct imp_source *so;

	t->type = u->type;
	*weight = u->weight;
	*reverse = u->reverse;
	if (u->type == CONF_TRACK_INTERFACE) {
		if (conf_ifname_valid(u->name)) {
			strlcpy(t->what, u->name, sizeof(t->what));
			return true;
		}
		imp_tell(im, u->line, u->name,
		    "left out: expected the name of a network interface");
		return false;
	}
	so = source_named(im, u->type, u->name);
	if (so == NULL || so->what[0] == '\0') {
		imp_tell(im, u->line, u->name, "left out: %s",
		    so == NULL ? "nothing of this name is defined"
			       : "what it stands for was left out");
		return false;
	}
	if (!u->weight_set) {
		*weight = so->weight;
		*reverse = so->reverse;
	}
	strlcpy(t->what, so->what, sizeof(t->what));
	t->every_ms = to_ms(so->every_us, EVERY_MIN_MS);
	if (so->type == CONF_TRACK_CHECK && so->every_us < EVERY_MIN_MS * 1000)
		imp_tell(im, so->line, so->name,
		    "interval becomes %dms: had runs a check no more often",
		    EVERY_MIN_MS);
	t->timeout_ms =
	    so->timeout_us != 0 ? to_ms(so->timeout_us, 1) : t->every_ms;
	return true;
}

/* keepalived lets members of a group differ in weight only if asked to. */
static bool
set_weight(struct import *im, const struct imp_use *u,
    const struct imp_instance *in, struct conf_track *t, int32_t weight,
    bool reverse)
{
	if (reverse) {
		imp_tell(im, u->line, u->name,
		    "left out: had has no reverse; a 'track check' with '!' "
		    "before its command turns it round");
		return false;
	}
	if (weight < -WEIGHT_MAX || weight > WEIGHT_MAX) {
		imp_tell(im, u->line, u->name,
		    "left out: got weight %d, expected -%d to %d", weight,
		    WEIGHT_MAX, WEIGHT_MAX);
		return false;
	}
	if (weight != 0 && in->group != UINT16_MAX &&
	    !im->groups[in->group].weights) {
		imp_tell(im, u->line, u->name,
		    "its weight %d is left out: %s is in a group without "
		    "sync_group_tracking_weight, where keepalived takes it "
		    "for 0",
		    weight, in->name);
		weight = 0;
	}
	t->weight = (int16_t)weight;
	return weight != 0 || t->type != CONF_TRACK_FILE ||
	       file_to_check(im, u, t);
}

static void
add_track(struct import *im, const struct imp_use *u, struct conf_track t,
    uint16_t router)
{
	struct conf *c = im->c;
	unsigned n = 0;

	for (uint16_t i = 0; i < c->n_tracks; i++)
		n += c->tracks[i].router == router;
	if (n == ROUTER_TRACKS_MAX || c->n_tracks == HAD_TRACKS_MAX) {
		imp_tell(im, u->line, u->name,
		    "left out for router %s: had tracks at most %d things of "
		    "a router and %d of a file",
		    c->routers[router].name, ROUTER_TRACKS_MAX, HAD_TRACKS_MAX);
		return;
	}
	t.router = router;
	t.line = u->line;
	c->tracks[c->n_tracks++] = t;
}

static void
use(struct import *im, const struct imp_use *u, const struct imp_instance *in)
{
	struct conf_track t = {
	    .every_ms = CONF_CHECK_EVERY_MS,
	    .timeout_ms = CONF_CHECK_TIMEOUT_MS,
	};
	bool reverse;
	int32_t weight;

	if (in->n_routers == 0 || !resolve(im, u, &t, &weight, &reverse) ||
	    !set_weight(im, u, in, &t, weight, reverse))
		return;
	for (uint16_t i = 0; i < in->n_routers; i++)
		add_track(im, u, t, (uint16_t)(in->first_router + i));
}

void
imp_tracks(struct import *im)
{
	for (uint16_t i = 0; i < im->n_uses; i++) {
		const struct imp_use *u = &im->uses[i];

		for (uint16_t k = 0; k < im->n_instances; k++) {
			const struct imp_instance *in = &im->instances[k];

			if (u->of_group ? in->group == u->owner : k == u->owner)
				use(im, u, in);
		}
	}
}
