/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim.h"
static void
noop(struct world *w)
{
	run_ms(w, 1000);
}
const struct scene scenes[] = {{"noop", noop, false, ""}};
const unsigned n_scenes = NITEMS(scenes);
