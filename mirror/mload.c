/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the metadata at start.  What is missing, damaged in both copies or
 * not this volume's is refused with the reason; nothing is created here.
 */
#include <stdio.h>
#include <string.h>

#include "mirror_int.h"

static void
refuse(struct mir *m, const char *text)
{
	m->load = LOAD_NONE;
	m->attached = false;
	m->failed = true;
	memset(&m->sb, 0, sizeof(m->sb));
	mir_set_error(m, "%s", text);
	mir_note(m, HAD_ERR, "", "%s", text);
	m->again = true;
}

void
mir_load(struct mir *m)
{
	if (m->c.layout.meta_bytes == 0) {
		mir_set_error(m, "no disk: %s", m->c.disk_why);
		mir_note(m, HAD_WARN, "", "no disk: %s", m->c.disk_why);
		return;
	}
	m->load = LOAD_SB_A;
	mir_disk(m, IO_LOAD, 0, MIR_READ, MIR_META, false,
	    m->c.layout.sb_off[0], MMETA_PAGE, m->load_buf);
}

/* Whose metadata is it?  NULL: ours. */
static const char *
not_ours(struct mir *m)
{
	const struct mmeta_sb *sb = &m->sb;

	if (sb->cluster != m->c.cluster)
		return "the metadata belong to another cluster";
	if (strcmp(sb->name, m->c.name) != 0)
		return "the metadata belong to another volume";
	if (sb->node != m->c.self)
		return "the metadata belong to another node";
	if (sb->room_bytes != m->c.layout.data_bytes ||
	    sb->slots != m->c.layout.slots)
		return "the device has another size than at its creation";
	for (m->slot = 0; m->slot < sb->slots; m->slot++)
		if (sb->slot[m->slot].peer == m->c.peer)
			return NULL;
	return "the metadata have no place for the peer";
}

static void
next_pages(struct mir *m)
{
	const struct mmeta_layout *l = &m->c.layout;
	bool intent = m->load == LOAD_INTENT;
	uint64_t pages = intent ? l->intent_pages : l->bitmap_pages;
	uint64_t n = pages - m->load_at;
	uint64_t off = intent ? l->intent_off : l->bitmap_off[m->slot];

	if (n > LOAD_PAGES)
		n = LOAD_PAGES;
	mir_disk(m, IO_LOAD, 0, MIR_READ, MIR_META, false,
	    off + m->load_at * MMETA_PAGE, (uint32_t)n * MMETA_PAGE,
	    m->load_buf);
}

static void
got_superblocks(struct mir *m)
{
	const char *why;
	int which;
	char text[160];

	if (mmeta_sb_pick(&m->sb, m->load_buf, m->load_buf + MMETA_PAGE, &which,
		&why) == -1) {
		snprintf(text, sizeof(text),
		    "no metadata (%s): 'hactl volume create %s' makes them",
		    why, m->c.name);
		refuse(m, text);
		return;
	}
	if ((why = not_ours(m)) != NULL) {
		refuse(m, why);
		return;
	}
	m->sb_copy = which;
	mir_resize(m, m->sb.data_bytes);
	m->load = LOAD_INTENT;
	m->load_at = 0;
	next_pages(m);
}

/* Everything is read: what does it say about how the last run ended? */
static void
loaded(struct mir *m)
{
	uint64_t chunk = 0, n, from;

	m->attached = true;
	if (m->sb.flags & MMETA_F_PRIMARY) {
		m->sb.flags &= ~(uint32_t)MMETA_F_PRIMARY;
		m->sb.flags |= MMETA_F_CRASHED_PRIMARY | MMETA_F_CRASHED;
	}
	if (m->intent.count > 0)
		m->sb.flags |= MMETA_F_CRASHED;
	/* They are on the disk (a damaged sector reads as set, too). */
	for (uint64_t w = 0; w * 64 < m->intent.nbits; w++)
		dm_put_word(&m->istable, w, dm_word(&m->intent, w));
	/* What was being written may differ, whatever the bits say. */
	while (dm_next(&m->intent, chunk, &chunk)) {
		n = dm_run(&m->intent, chunk, m->intent.nbits);
		from = chunk * MMETA_CHUNK_BITS;
		chunk += n;
		n *= MMETA_CHUNK_BITS;
		if (from + n > m->bits.nbits)
			n = m->bits.nbits - from;
		mir_bits_mark(m, from, n);
	}
	if (mir_slot(m)->flags & MMETA_S_FULL)
		mir_bits_set_all(m);
	/* Both superblocks become good and equal, and the disk is tried. */
	m->load = LOAD_SAVE;
	m->begin_seq = mir_save(m);
	mir_clean_arm(m);
}

static void
got_pages(struct mir *m, int error)
{
	const struct mmeta_layout *l = &m->c.layout;
	bool intent = m->load == LOAD_INTENT;
	uint64_t pages = intent ? l->intent_pages : l->bitmap_pages;
	struct dirtymap *dm = intent ? &m->intent : &m->bits;
	unsigned bad = 0;

	for (int i = 0; i < LOAD_PAGES && m->load_at < pages; i++) {
		if (error != 0) /* unreadable: as damaged */
			memset(m->load_buf + i * MMETA_PAGE, 0, MMETA_PAGE);
		bad += mmeta_page_decode(m->load_buf + i * MMETA_PAGE,
		    m->sb.tag, intent ? MMETA_INTENT : MMETA_BITMAP,
		    intent ? 0 : m->slot, (uint32_t)m->load_at, dm);
		if (bad > 0) /* to be written anew */
			dm_set(intent ? &m->ipage_dirty : &m->bpage_dirty,
			    m->load_at, 1);
		m->load_at++;
	}
	if (bad > 0)
		mir_note(m, HAD_WARN, "",
		    "%u damaged sectors of the %s map: taken as dirty", bad,
		    intent ? "intent" : "dirty");
	if (m->load_at < pages) {
		next_pages(m);
	} else if (intent) {
		m->load = LOAD_BITMAP;
		m->load_at = 0;
		next_pages(m);
	} else {
		loaded(m);
	}
}

void
mir_load_done(struct mir *m, int error)
{
	if (m->load == LOAD_SB_A) {
		/* An unreadable copy is a damaged one; the other decides. */
		if (error != 0)
			memset(m->load_buf, 0, MMETA_PAGE);
		m->load = LOAD_SB_B;
		mir_disk(m, IO_LOAD, 0, MIR_READ, MIR_META, false,
		    m->c.layout.sb_off[1], MMETA_PAGE,
		    m->load_buf + MMETA_PAGE);
	} else if (m->load == LOAD_SB_B) {
		if (error != 0)
			memset(m->load_buf + MMETA_PAGE, 0, MMETA_PAGE);
		got_superblocks(m);
	} else {
		ASSERT(m->load == LOAD_INTENT || m->load == LOAD_BITMAP);
		got_pages(m, error);
	}
}
