/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The direction decision: every row and its mirror image, and the symmetry of
 * all small histories exhaustively.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mdecide.h"

#define GOOD (MMETA_F_CONSISTENT | MMETA_F_UPTODATE)
#define STEP MIR_SYNC_STEP

/* A copy in a row: the fields that matter. */
struct copy {
	uint64_t current, bitmap, hist0, hist1;
	uint32_t flags;
	uint64_t dirty;
	bool blank;
};

static struct mir_ident
ident(const struct copy *c, uint8_t node)
{
	struct mir_ident i = {.node = node,
	    .slots = 8,
	    .flags = c->flags,
	    .cluster = 7,
	    .size_bytes = 1 << 20,
	    .room_bytes = 1 << 20,
	    .dirty_bytes = c->dirty,
	    .current = c->current,
	    .bitmap = c->bitmap};

	i.history[0] = c->hist0;
	i.history[1] = c->hist1;
	if (!c->blank)
		memset(i.volume_id, 9, sizeof(i.volume_id));
	return i;
}

static void
expect(const char *name, const struct mir_ident *a, const struct mir_ident *b,
    enum mir_dir dir, bool full, enum mir_fix fix)
{
	struct mir_verdict v = mir_decide(a, b), o = mir_decide(b, a);

	if (v.dir != dir || v.full != full || v.fix != fix)
		fail_msg("%s: %s full %d fix %d (%s)", name,
		    mir_dir_name(v.dir), v.full, v.fix, v.rule);
	if (mir_verdict_code(mir_mirror(v)) != mir_verdict_code(o))
		fail_msg("%s: the other side says %s full %d fix %d", name,
		    mir_dir_name(o.dir), o.full, o.fix);
}

static const struct {
	const char *name;
	struct copy a, b;
	enum mir_dir dir;
	bool full;
	enum mir_fix fix;
} rows[] = {
    {"both just created", {.blank = true}, {.blank = true}, MIR_DIR_NONE},
    {"only self just created", {.blank = true}, {5, .flags = GOOD},
	MIR_DIR_TARGET, true},
    {"blank against a copy that is not consistent", {.blank = true}, {5},
	MIR_DIR_WAIT},
    {"equal", {5, .flags = GOOD}, {5, .flags = GOOD}, MIR_DIR_NONE},
    {"equal, but bits here (never a silent 0)",
	{5, .flags = GOOD, .dirty = 4096}, {5, .flags = GOOD}, MIR_DIR_SOURCE},
    {"equal, but bits there", {5, .flags = GOOD},
	{5, .flags = GOOD, .dirty = 4096}, MIR_DIR_SOURCE},
    {"equal, I missed that the resync finished", {5, 90, 3, .flags = GOOD},
	{5, 0, 90, 3, .flags = GOOD}, MIR_DIR_SOURCE, false, MIR_FIX_FIN_SELF},
    {"equal, both crashed, mine as primary",
	{5, .flags = GOOD | MMETA_F_CRASHED | MMETA_F_CRASHED_PRIMARY},
	{5, .flags = GOOD | MMETA_F_CRASHED}, MIR_DIR_SOURCE},
    {"equal, both crashed as primary: lower node id",
	{5, .flags = GOOD | MMETA_F_CRASHED_PRIMARY},
	{5, .flags = GOOD | MMETA_F_CRASHED_PRIMARY}, MIR_DIR_SOURCE},
    {"equal, only mine crashed: the other has all answered writes",
	{5, .flags = GOOD | MMETA_F_CRASHED_PRIMARY}, {5, .flags = GOOD},
	MIR_DIR_TARGET},
    {"equal, the peer's secondary crashed", {5, .flags = GOOD},
	{5, .flags = GOOD | MMETA_F_CRASHED}, MIR_DIR_SOURCE},
    {"equal, one is primary: never overwritten",
	{5, .flags = GOOD | MMETA_F_CRASHED | MIR_I_PRIMARY},
	{5, .flags = GOOD}, MIR_DIR_SOURCE},
    {"equal, one inconsistent", {5}, {5, .flags = GOOD}, MIR_DIR_TARGET},
    {"my current is the peer's bitmap", {5, .flags = GOOD},
	{6, 5, .flags = GOOD}, MIR_DIR_TARGET},
    {"the beginning of a resync was lost", {5, .flags = GOOD},
	{6, 5 + STEP, 5, 2, .flags = GOOD}, MIR_DIR_TARGET, false,
	MIR_FIX_UNDO_PEER},
    {"my current is in the peer's history", {5, .flags = GOOD},
	{6, 4, 5, .flags = GOOD}, MIR_DIR_TARGET, true},
    {"my current is deep in the peer's history", {5, .flags = GOOD},
	{6, 4, 3, 5, .flags = GOOD}, MIR_DIR_TARGET, true},
    {"both went on from the same", {6, 5, .flags = GOOD}, {7, 5, .flags = GOOD},
	MIR_DIR_SPLIT},
    {"both went on, long ago", {6, 5, 3, .flags = GOOD},
	{7, 4, 3, .flags = GOOD}, MIR_DIR_SPLIT, true},
    {"each claims to follow the other", {6, 7, .flags = GOOD},
	{7, 6, .flags = GOOD}, MIR_DIR_SPLIT, true},
    {"nothing in common", {6, 5, .flags = GOOD}, {7, 4, .flags = GOOD},
	MIR_DIR_UNRELATED},
    {"neither consistent", {6, 5}, {5}, MIR_DIR_WAIT},
    {"target of an interrupted resync", {90}, {6, 90, 5, .flags = GOOD},
	MIR_DIR_TARGET},
    {"split, but one is inconsistent", {6, 5}, {7, 5, .flags = GOOD},
	MIR_DIR_TARGET, true},
    {"the newer is inconsistent", {6, 5}, {5, .flags = GOOD}, MIR_DIR_TARGET,
	true},
    {"the target would be a primary", {5, .flags = GOOD | MIR_I_PRIMARY},
	{6, 5, .flags = GOOD}, MIR_DIR_WAIT},
    {"both primaries, split", {6, 5, .flags = GOOD | MIR_I_PRIMARY},
	{7, 5, .flags = GOOD | MIR_I_PRIMARY}, MIR_DIR_SPLIT},
    {"given up", {5, .flags = GOOD | MMETA_F_DISCARD}, {5, .flags = GOOD},
	MIR_DIR_TARGET, true},
    {"given up after a split: the bitmaps tell",
	{6, 5, .flags = GOOD | MMETA_F_DISCARD}, {7, 5, .flags = GOOD},
	MIR_DIR_TARGET},
    {"given up, although newer", {6, 5, .flags = GOOD | MMETA_F_DISCARD},
	{5, .flags = GOOD}, MIR_DIR_TARGET, true},
    {"given up, the other no good", {5, .flags = GOOD | MMETA_F_DISCARD}, {5},
	MIR_DIR_WAIT},
    {"both given up", {5, .flags = GOOD | MMETA_F_DISCARD},
	{5, .flags = GOOD | MMETA_F_DISCARD}, MIR_DIR_WAIT},
    {"given up, but in use",
	{5, .flags = GOOD | MMETA_F_DISCARD | MIR_I_PRIMARY},
	{5, .flags = GOOD}, MIR_DIR_WAIT},
    {"no disk there", {5, .flags = GOOD}, {.flags = MIR_I_NODISK},
	MIR_DIR_NOCOPY},
    {"diskless primary comes back to its copy", {5, .flags = GOOD},
	{5, .flags = MIR_I_NODISK | MIR_I_PRIMARY}, MIR_DIR_NOCOPY},
    {"diskless primary meets an older copy", {5, .flags = GOOD},
	{6, .flags = MIR_I_NODISK | MIR_I_PRIMARY}, MIR_DIR_WAIT},
    {"no disk anywhere", {.flags = MIR_I_NODISK}, {.flags = MIR_I_NODISK},
	MIR_DIR_WAIT},
};

static void
every_row_and_its_mirror(void **state)
{
	(void)state;
	for (size_t i = 0; i < NITEMS(rows); i++) {
		struct mir_ident a = ident(&rows[i].a, 1);
		struct mir_ident b = ident(&rows[i].b, 2);
		struct mir_verdict m = mir_mirror((struct mir_verdict){
		    rows[i].dir, rows[i].full, rows[i].fix, ""});

		expect(rows[i].name, &a, &b, rows[i].dir, rows[i].full,
		    rows[i].fix);
		expect(rows[i].name, &b, &a, m.dir, m.full, m.fix);
	}
}

static void
others_are_refused(void **state)
{
	struct copy c = {5, .flags = GOOD}, e = {.blank = true};
	struct mir_ident a = ident(&c, 1), b = ident(&c, 2), x;

	(void)state;
	b.cluster = 8;
	expect("cluster", &a, &b, MIR_DIR_UNRELATED, false, 0);
	b = ident(&c, 2);
	b.volume_id[3] = 1;
	expect("age", &a, &b, MIR_DIR_UNRELATED, false, 0);
	b = ident(&c, 2);
	b.size_bytes = 1 << 21;
	expect("size", &a, &b, MIR_DIR_UNRELATED, false, 0);
	x = ident(&e, 2);
	x.room_bytes = 4096;
	expect("room", &a, &x, MIR_DIR_UNRELATED, false, 0);
}

/*
 * All pairs of copies over a handful of generations and all combinations of
 * flags: the mirror holds, and no verdict breaks what must never happen.
 */
static void
check_pair(const struct mir_ident *a, const struct mir_ident *b)
{
	struct mir_verdict v = mir_decide(a, b), o = mir_decide(b, a);

	if (mir_verdict_code(mir_mirror(v)) != mir_verdict_code(o))
		fail_msg("not symmetric: %s/%s (%s, %s) cur %llx %llx bm %llx "
			 "%llx fl %x %x",
		    mir_dir_name(v.dir), mir_dir_name(o.dir), v.rule, o.rule,
		    (unsigned long long)a->current,
		    (unsigned long long)b->current,
		    (unsigned long long)a->bitmap,
		    (unsigned long long)b->bitmap, a->flags, b->flags);
	if (v.dir == MIR_DIR_NONE)
		assert_true(a->dirty_bytes == 0 && b->dirty_bytes == 0 &&
			    a->current == b->current);
	if (v.dir == MIR_DIR_TARGET) {
		assert_false(a->flags & MIR_I_PRIMARY);
		assert_true(b->flags & MMETA_F_CONSISTENT);
		assert_false(b->flags & MMETA_F_DISCARD);
	}
	/* A newer copy is overwritten only if useless or given up. */
	if (v.dir == MIR_DIR_TARGET && a->bitmap == b->current &&
	    a->current != b->current && b->bitmap != a->current &&
	    (a->flags & MMETA_F_CONSISTENT))
		assert_true(a->flags & MMETA_F_DISCARD);
}

static void
all_small_histories(void **state)
{
	static const uint64_t ids[] = {1, 2, 1 + STEP, 3};
	static const uint64_t bms[] = {0, 1, 2, 1 + STEP, 3};
	static const uint32_t flags[] = {0, GOOD, GOOD | MMETA_F_CRASHED,
	    GOOD | MMETA_F_CRASHED | MMETA_F_CRASHED_PRIMARY,
	    GOOD | MIR_I_PRIMARY, GOOD | MMETA_F_DISCARD, MMETA_F_CONSISTENT,
	    MIR_I_NODISK, MIR_I_NODISK | MIR_I_PRIMARY};
	static struct mir_ident all[4 * 5 * 5 * 2 * 9 * 2];
	size_t n = 0;

	(void)state;
	for (size_t c = 0; c < NITEMS(ids); c++)
		for (size_t b = 0; b < NITEMS(bms); b++)
			for (size_t h = 0; h < NITEMS(bms); h++)
				for (size_t f = 0; f < NITEMS(flags); f++)
					for (int k = 0; k < 4; k++) {
						struct copy x = {ids[c], bms[b],
						    bms[h], k & 1 ? 1 : 0,
						    flags[f], k & 2 ? 4096 : 0,
						    false};

						all[n++] = ident(&x, 1);
					}
	assert_true(n <= NITEMS(all));
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			struct mir_ident b = all[j];

			b.node = 2;
			check_pair(&all[i], &b);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_row_and_its_mirror),
	    cmocka_unit_test(others_are_refused),
	    cmocka_unit_test(all_small_histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
