/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who copies what to whom; see mdecide.h.
 *
 * Two things differ from DRBD on purpose.
 *
 * Where generations are equal and exactly one side crashed, the one that did
 * not is the source, even if the crashed one was primary.  A write is
 * answered when both copies have it, so the side that kept running has every
 * answered write; the crashed one may have lost those that only its cache
 * had.  Taking the crashed primary would let one power cut lose answered
 * writes that a good copy still holds.
 *
 * Rules are tried by level, for both sides at once.  DRBD tries all rules for
 * one direction first, so that histories made by several faults could let
 * both sides think themselves the target.
 */
#include "mdecide.h"

#include <string.h>

const char *
mir_dir_name(enum mir_dir d)
{
	static const char *const names[MIR_DIR_N] = {"none", "source", "target",
	    "one copy", "split brain", "unrelated", "wait"};

	ASSERT(d < MIR_DIR_N);
	return names[d];
}

static struct mir_verdict
verdict(enum mir_dir dir, bool full, enum mir_fix fix, const char *rule)
{
	return (struct mir_verdict){dir, full, fix, rule};
}

struct mir_verdict
mir_mirror(struct mir_verdict v)
{
	static const enum mir_fix fixes[] = {
	    [MIR_FIX_NONE] = MIR_FIX_NONE,
	    [MIR_FIX_FIN_SELF] = MIR_FIX_FIN_PEER,
	    [MIR_FIX_FIN_PEER] = MIR_FIX_FIN_SELF,
	    [MIR_FIX_UNDO_SELF] = MIR_FIX_UNDO_PEER,
	    [MIR_FIX_UNDO_PEER] = MIR_FIX_UNDO_SELF,
	};

	if (v.dir == MIR_DIR_SOURCE)
		v.dir = MIR_DIR_TARGET;
	else if (v.dir == MIR_DIR_TARGET)
		v.dir = MIR_DIR_SOURCE;
	v.fix = fixes[v.fix];
	return v;
}

uint64_t
mir_verdict_code(struct mir_verdict v)
{
	return (uint64_t)v.dir | (uint64_t)v.full << 8 | (uint64_t)v.fix << 16;
}

static bool
has(const struct mir_ident *i, uint32_t flag)
{
	return i->flags & flag;
}

static bool
blank(const struct mir_ident *i)
{
	static const uint8_t zero[16];

	return memcmp(i->volume_id, zero, 16) == 0;
}

/* A copy that others may be made from. */
static bool
good(const struct mir_ident *i)
{
	return has(i, MMETA_F_CONSISTENT) && !has(i, MMETA_F_DISCARD) &&
	       !blank(i);
}

static bool
in_history(uint64_t id, const struct mir_ident *i)
{
	for (int j = 0; j < MMETA_HISTORY; j++)
		if (id != 0 && i->history[j] == id)
			return true;
	return false;
}

/* +1: a only, -1: b only, 0: none or both. */
static int
only(bool a, bool b)
{
	return (int)a - (int)b;
}

static struct mir_verdict
toward(int sign, bool full, enum mir_fix self_fix, const char *rule)
{
	struct mir_verdict v = verdict(MIR_DIR_SOURCE, full, self_fix, rule);

	ASSERT(sign != 0);
	return sign > 0 ? v : mir_mirror(v);
}

/* One side, or none, has a disk. */
static struct mir_verdict
decide_nodisk(const struct mir_ident *self, const struct mir_ident *peer)
{
	const struct mir_ident *none = has(self, MIR_I_NODISK) ? self : peer;
	const struct mir_ident *copy = none == self ? peer : self;

	if (has(copy, MIR_I_NODISK))
		return verdict(
		    MIR_DIR_WAIT, false, 0, "no copy on either side");
	if (has(none, MIR_I_PRIMARY) &&
	    (none->current != copy->current || !good(copy)))
		return verdict(MIR_DIR_WAIT, false, 0,
		    "the diskless primary has seen other data");
	return verdict(MIR_DIR_NOCOPY, false, 0, "one side has no disk");
}

static struct mir_verdict
decide_blank(const struct mir_ident *self, const struct mir_ident *peer)
{
	const struct mir_ident *empty = blank(self) ? self : peer;
	const struct mir_ident *copy = empty == self ? peer : self;

	if (blank(copy))
		return verdict(MIR_DIR_NONE, false, 0, "both just created");
	if (!good(copy))
		return verdict(MIR_DIR_WAIT, false, 0,
		    "one side is blank, the other not consistent");
	if (empty->room_bytes < copy->size_bytes)
		return verdict(MIR_DIR_UNRELATED, false, 0,
		    "the blank disk is smaller than the volume");
	return toward(
	    copy == self ? 1 : -1, true, MIR_FIX_NONE, "one side is blank");
}

/*
 * The same generation on both sides: the copies differ at most where the
 * bitmaps and intents say.
 */
static struct mir_verdict
decide_equal(const struct mir_ident *self, const struct mir_ident *peer)
{
	int missed = only(self->bitmap != 0, peer->bitmap != 0);
	enum mir_fix fix = missed == 0  ? MIR_FIX_NONE
			   : missed > 0 ? MIR_FIX_FIN_SELF
					: MIR_FIX_FIN_PEER;
	struct mir_verdict v;
	uint32_t crash = MMETA_F_CRASHED | MMETA_F_CRASHED_PRIMARY;
	bool dirty = self->dirty_bytes > 0 || peer->dirty_bytes > 0;
	int s, p = only(has(self, MMETA_F_CRASHED_PRIMARY),
		   has(peer, MMETA_F_CRASHED_PRIMARY));
	int tie = self->node < peer->node ? 1 : -1;

	if (!dirty && missed == 0 && !has(self, crash) && !has(peer, crash) &&
	    good(self) == good(peer))
		return verdict(MIR_DIR_NONE, false, 0, "equal generations");
	if ((s = only(good(self), good(peer))) != 0)
		v = toward(s, false, 0, "equal generations, one inconsistent");
	else if ((s = only(
		      has(self, MIR_I_PRIMARY), has(peer, MIR_I_PRIMARY))) != 0)
		v = toward(s, false, 0, "equal generations, one is primary");
	else if ((s = only(has(peer, crash), has(self, crash))) != 0)
		v = toward(s, false, 0, "equal generations, one crashed");
	else if (missed != 0)
		v = toward(missed, false, 0, "resync had finished");
	else if (p != 0)
		v = toward(p, false, 0, "both crashed, one as primary");
	else
		v = toward(tie, false, 0,
		    "equal generations, writes in doubt: lower node id");
	v.fix = fix;
	return v;
}

/* self's data are a later generation of peer's, the bitmap counts from it. */
static bool
follows(const struct mir_ident *self, const struct mir_ident *peer)
{
	return self->bitmap != 0 && self->bitmap == peer->current;
}

/* The peer missed the beginning of a resync from self. */
static bool
began(const struct mir_ident *self, const struct mir_ident *peer)
{
	return self->history[0] != 0 && self->history[0] == peer->current &&
	       self->history[0] + MIR_SYNC_STEP == self->bitmap;
}

static bool
common_history(const struct mir_ident *self, const struct mir_ident *peer)
{
	if (in_history(self->bitmap, peer) || in_history(peer->bitmap, self))
		return true;
	for (int i = 0; i < MMETA_HISTORY; i++)
		if (in_history(self->history[i], peer))
			return true;
	return false;
}

static struct mir_verdict
decide_differ(const struct mir_ident *self, const struct mir_ident *peer)
{
	struct {
		bool a, b, full;
		enum mir_fix fix;
		const char *rule;
	} levels[] = {
	    {follows(self, peer), follows(peer, self), false, MIR_FIX_NONE,
		"one side went on alone"},
	    {began(self, peer), began(peer, self), false, MIR_FIX_UNDO_SELF,
		"the beginning of a resync was lost"},
	    {in_history(peer->current, self), in_history(self->current, peer),
		true, MIR_FIX_NONE, "one side is several generations behind"},
	};

	for (size_t i = 0; i < NITEMS(levels); i++) {
		if (levels[i].a && levels[i].b)
			return verdict(MIR_DIR_SPLIT, true, 0,
			    "each side claims to follow the other");
		if (levels[i].a || levels[i].b)
			return toward(levels[i].a ? 1 : -1, levels[i].full,
			    levels[i].fix, levels[i].rule);
	}
	if (self->bitmap != 0 && self->bitmap == peer->bitmap)
		return verdict(MIR_DIR_SPLIT, false, 0,
		    "both sides went on alone from the same data");
	if (common_history(self, peer))
		return verdict(MIR_DIR_SPLIT, true, 0,
		    "both sides went on alone, long ago");
	return verdict(MIR_DIR_UNRELATED, false, 0, "no generation in common");
}

/* The operator gave up a copy. */
static struct mir_verdict
decide_discard(const struct mir_ident *self, const struct mir_ident *peer)
{
	int s = only(has(peer, MMETA_F_DISCARD), has(self, MMETA_F_DISCARD));
	struct mir_verdict v;

	if (s == 0)
		return verdict(
		    MIR_DIR_WAIT, false, 0, "both copies were given up");
	if (!good(s > 0 ? self : peer))
		return verdict(MIR_DIR_WAIT, false, 0,
		    "one copy was given up, the other is not consistent");
	/* After a split from known data the bitmaps say what differs. */
	v = self->current == peer->current ? verdict(MIR_DIR_NONE, true, 0, "")
					   : decide_differ(self, peer);
	return toward(s, v.dir != MIR_DIR_SPLIT || v.full, MIR_FIX_NONE,
	    "the operator gave up a copy");
}

struct mir_verdict
mir_decide(const struct mir_ident *self, const struct mir_ident *peer)
{
	struct mir_verdict v;
	int s;

	if (self->cluster != peer->cluster)
		return verdict(MIR_DIR_UNRELATED, false, 0,
		    "the copies belong to different clusters");
	if (has(self, MIR_I_NODISK) || has(peer, MIR_I_NODISK))
		return decide_nodisk(self, peer);
	if (blank(self) || blank(peer))
		v = decide_blank(self, peer);
	else if (memcmp(self->volume_id, peer->volume_id, 16) != 0)
		return verdict(MIR_DIR_UNRELATED, false, 0,
		    "the copies are of different volumes");
	else if (self->size_bytes != peer->size_bytes)
		return verdict(MIR_DIR_UNRELATED, false, 0,
		    "the copies have different sizes");
	else if (has(self, MMETA_F_DISCARD) || has(peer, MMETA_F_DISCARD))
		v = decide_discard(self, peer);
	else if (!good(self) && !good(peer))
		return verdict(
		    MIR_DIR_WAIT, false, 0, "neither copy is consistent");
	else if (self->current == peer->current)
		v = decide_equal(self, peer);
	else {
		v = decide_differ(self, peer);
		s = only(good(self), good(peer));
		/* Of the same age, and useless by itself: not a rival. */
		if (s != 0 &&
		    v.dir != (s > 0 ? MIR_DIR_SOURCE : MIR_DIR_TARGET))
			v = toward(
			    s, true, MIR_FIX_NONE, "one side is inconsistent");
	}
	if ((v.dir == MIR_DIR_TARGET && has(self, MIR_I_PRIMARY)) ||
	    (v.dir == MIR_DIR_SOURCE && has(peer, MIR_I_PRIMARY)))
		return verdict(MIR_DIR_WAIT, false, 0,
		    "the primary has the older copy and must be demoted");
	return v;
}
