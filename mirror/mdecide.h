/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who copies what to whom when two copies meet: one pure function of what
 * both say of themselves.  Both sides compute it, and what one computes is
 * the mirror image of what the other does.
 *
 * Generations, after DRBD 8.4.  current names the data.  A primary that goes
 * on alone moves current to bitmap and takes a new random current: its bitmap
 * then says what changed since the generation that the peer still has.  The
 * source of a resync gives a sync generation: into its bitmap field (the old
 * value goes to history) and into the target's current; at the end the target
 * takes the source's current and the sync generation goes to both histories.
 */
#ifndef MDECIDE_H
#define MDECIDE_H

#include "mproto.h"

/* Distance from a bitmap generation to the sync generation made from it. */
#define MIR_SYNC_STEP (UINT64_C(1) << 48)

enum mir_dir {
	MIR_DIR_NONE, /* equal: nothing to copy */
	MIR_DIR_SOURCE, /* from self to peer */
	MIR_DIR_TARGET, /* from peer to self */
	MIR_DIR_NOCOPY, /* one side has no disk: usable, nothing to copy */
	MIR_DIR_SPLIT, /* diverged; an operator chooses */
	MIR_DIR_UNRELATED, /* not copies of the same volume */
	MIR_DIR_WAIT, /* cannot be done now */
	MIR_DIR_N
};
const char *mir_dir_name(enum mir_dir);

/* What a lost message left behind, to be put right before going on. */
enum mir_fix {
	MIR_FIX_NONE,
	MIR_FIX_FIN_SELF, /* self missed "finished": bitmap to history */
	MIR_FIX_FIN_PEER,
	MIR_FIX_UNDO_SELF, /* the peer missed "begin": undo it at self */
	MIR_FIX_UNDO_PEER,
};

struct mir_verdict {
	enum mir_dir dir;
	bool full; /* all blocks; else the union of both bitmaps */
	enum mir_fix fix;
	const char *rule; /* static string, one clause, for notes */
};

struct mir_verdict mir_decide(
    const struct mir_ident *self, const struct mir_ident *peer);
/* What the other side must have computed. */
struct mir_verdict mir_mirror(struct mir_verdict);
/* For the VERDICT message. */
uint64_t mir_verdict_code(struct mir_verdict);

#endif
