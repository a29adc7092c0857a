/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the cores have to say.  A warning or an error is said once a second,
 * however often its cause comes back (R15); when it is said again, it says how
 * often it was not.  The changes of a state are all told.
 */
#include <stdio.h>
#include <string.h>

#include "node_int.h"

/* FNV-1a */
static uint64_t
digest(uint64_t v, const char *text)
{
	for (; *text != '\0'; text++)
		v = (v ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return v;
}

/* The entry of what was said, or the oldest, made new. */
static struct nd_said *
find(struct nd *nd, uint64_t what)
{
	struct nd_said *s = &nd->said[0];

	for (unsigned i = 0; i < NITEMS(nd->said); i++) {
		if (nd->said[i].what == what)
			return &nd->said[i];
		if (mt_before(nd->said[i].next, s->next))
			s = &nd->said[i];
	}
	*s = (struct nd_said){.what = what};
	return s;
}

void
nd_note(struct nd *nd, enum had_level level, const char *rule,
    const char *object, const char *text)
{
	struct nd_said *s;
	char more[400];

	ASSERT(rule != NULL && object != NULL && text != NULL);
	if (level > HAD_WARN) {
		nd->ops->note(nd->ctx, level, rule, object, text);
		return;
	}
	s = find(
	    nd, digest(digest(UINT64_C(0xcbf29ce484222325), object), text));
	if (mt_before(nd->now, s->next)) {
		s->more++;
		return;
	}
	s->next = mt_add_ms(nd->now, ND_SAY_MS);
	if (s->more > 0) {
		snprintf(more, sizeof(more), "%s (and %u times more lately)",
		    text, s->more);
		text = more;
	}
	s->more = 0;
	nd->ops->note(nd->ctx, level, rule, object, text);
}
