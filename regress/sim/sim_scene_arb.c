/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of arbitration, one scene each.
 */
#include <string.h>

#include "sim.h"

static bool
bravo_runs(struct world *w)
{
	return bravo(w)->running &&
	       status(bravo(w))->svc.services[0].state == SVC_RUNNING;
}

/* R3: the peer is silent; it is acted on when it is verified off. */
static void
R3_fence_verified(struct world *w)
{
	scene_begin(w);
	w->stays_off = true;
	daemon_pause(alpha(w));
	expect(w, run_till(w, bravo_runs, 10000), "bravo runs the service");
	expect(w, !alpha(w)->powered && w->fenced == 1, "alpha was fenced");
	scene_end(w);
}

const struct scene scenes_arb[] = {
    {SCENE(R3_fence_verified), W_FENCE},
};
const unsigned n_scenes_arb = NITEMS(scenes_arb);
