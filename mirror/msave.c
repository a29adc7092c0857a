/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of the metadata goes to disk, and generations.
 *
 * The superblock is written to one copy, stable, then to the other; only then
 * is it saved.  At any moment one copy is whole, and once something was
 * saved both have it.
 */
#include <string.h>

#include "mirror_int.h"

struct mmeta_slot *
mir_slot(struct mir *m)
{
	ASSERT(m->slot < m->sb.slots);
	return &m->sb.slot[m->slot];
}

uint64_t
mir_save(struct mir *m)
{
	m->again = true;
	return ++m->save_want;
}

/*
 * Without a disk nothing can be saved and nobody waits: the peer's copy is
 * what counts then.
 */
bool
mir_saved(const struct mir *m, uint64_t number)
{
	return !m->attached || (m->save_done >= number && !m->meta_bad);
}

static void
write_copy(struct mir *m)
{
	m->sb_copy = 1 - m->sb_copy;
	mir_disk(m, IO_SB, 0, MIR_WRITE, MIR_META, true,
	    m->c.layout.sb_off[m->sb_copy], MMETA_PAGE, m->sb_buf);
}

void
mir_save_run(struct mir *m)
{
	if (m->save != SAVE_IDLE || m->save_done == m->save_want ||
	    !m->attached || m->meta_bad)
		return;
	m->save_run = m->save_want;
	m->sb.gen++;
	mmeta_sb_encode(&m->sb, m->sb_buf);
	m->save = SAVE_FIRST;
	write_copy(m);
}

void
mir_save_done(struct mir *m, int error)
{
	ASSERT(m->save != SAVE_IDLE);
	if (error != 0) {
		m->save = SAVE_IDLE;
		if (m->load == LOAD_SAVE)
			m->load = LOAD_NONE;
		/* What is in that copy now is not known: it is first again. */
		m->sb_copy = 1 - m->sb_copy;
		mir_meta_error(m, "writing the superblock", error);
		return;
	}
	if (m->save == SAVE_FIRST) {
		m->save = SAVE_SECOND;
		write_copy(m);
		return;
	}
	m->save = SAVE_IDLE;
	m->save_done = m->save_run;
	if (m->load == LOAD_SAVE && mir_saved(m, m->begin_seq)) {
		m->load = LOAD_NONE;
		mir_note(m, HAD_INFO, "", "disk %s, %llu KiB in doubt%s",
		    mir_disk_name(mir_disk_state(m)),
		    (unsigned long long)(m->bits.count * (MMETA_BLOCK / 1024)),
		    m->sb.flags & MMETA_F_CRASHED ? ", was not stopped cleanly"
						  : "");
	}
}

/* Pages of the bitmap that hold those bits are to be written some time. */
static void
touch_pages(struct mir *m, uint64_t from, uint64_t n)
{
	uint64_t first = from / MMETA_PAGE_BITS;
	uint64_t last = (from + n - 1) / MMETA_PAGE_BITS;

	dm_set(&m->bpage_dirty, first, last - first + 1);
	mir_clean_arm(m);
}

void
mir_bits_mark(struct mir *m, uint64_t from, uint64_t n)
{
	ASSERT(m->attached);
	if (dm_set(&m->bits, from, n) > 0)
		touch_pages(m, from, n);
}

void
mir_bits_set(struct mir *m, uint64_t off, uint32_t len)
{
	uint64_t from, n;

	ASSERT(len > 0);
	mir_blocks(off, len, &from, &n);
	mir_bits_mark(m, from, n);
}

void
mir_bits_set_all(struct mir *m)
{
	dm_set_all(&m->bits);
	m->full_new = true;
	touch_pages(m, 0, m->bits.nbits);
}

/* Only blocks that lie wholly in the range. */
void
mir_bits_clear(struct mir *m, uint64_t off, uint32_t len)
{
	uint64_t from = (off + MMETA_BLOCK - 1) / MMETA_BLOCK;
	uint64_t end = (off + len) / MMETA_BLOCK;

	if (end > from && dm_clear(&m->bits, from, end - from) > 0)
		touch_pages(m, from, end - from);
}

void
mir_bits_drop(struct mir *m)
{
	uint64_t bit = 0, n;

	while (dm_next(&m->bits, bit, &bit)) {
		n = dm_run(&m->bits, bit, MMETA_PAGE_BITS);
		dm_clear(&m->bits, bit, n);
		touch_pages(m, bit, n);
		bit += n;
	}
	ASSERT(m->bits.count == 0);
}

/* A page that cleaning waits for and that nobody is writing. */
static bool
next_page(const struct mir *m, uint64_t *page)
{
	uint64_t p = 0;
	bool busy;

	for (; dm_next(&m->bpage_wait, p, &p); p++) {
		busy = !dm_test(&m->bpage_dirty, p);
		for (int i = 0; i < META_IOS; i++)
			busy |= m->bio[i].busy && m->bio[i].page == p;
		if (!busy) {
			*page = p;
			return true;
		}
	}
	return false;
}

/*
 * Writes pages while somebody waits for them: cleaning of intents does, for
 * all pages that were dirty when it began.
 */
void
mir_bits_run(struct mir *m)
{
	struct mpage_io *io;
	uint64_t page;

	if (m->clean != CLEAN_BITS || !m->attached || m->meta_bad)
		return;
	for (unsigned i = 0; i < META_IOS; i++) {
		io = &m->bio[i];
		if (io->busy)
			continue;
		if (!next_page(m, &page))
			return;
		io->busy = true;
		io->page = (uint32_t)page;
		io->seq = ++m->bseq;
		dm_clear(&m->bpage_dirty, page, 1);
		mmeta_page_encode(io->buf, m->sb.tag, MMETA_BITMAP, m->slot,
		    io->page, &m->bits);
		mir_disk(m, IO_BITMAP, i, MIR_WRITE, MIR_META, true,
		    m->c.layout.bitmap_off[m->slot] + page * MMETA_PAGE,
		    MMETA_PAGE, io->buf);
	}
}

void
mir_bits_done(struct mir *m, unsigned i, int error)
{
	struct mpage_io *io = &m->bio[i];

	ASSERT(i < META_IOS && io->busy);
	io->busy = false;
	if (error != 0) {
		dm_set(&m->bpage_dirty, io->page, 1);
		mir_meta_error(m, "writing the dirty map", error);
		return;
	}
	if (io->seq > m->bwait_seq)
		dm_clear(&m->bpage_wait, io->page, 1);
}

/* Cleaning waits for all pages that differ from the disk, as of now. */
void
mir_bits_wait(struct mir *m)
{
	/* Of a page under way it is not known what it will have. */
	for (int i = 0; i < META_IOS; i++)
		if (m->bio[i].busy)
			dm_set(&m->bpage_dirty, m->bio[i].page, 1);
	for (uint64_t w = 0; w * 64 < m->bpage_dirty.nbits; w++)
		dm_put_word(&m->bpage_wait, w, dm_word(&m->bpage_dirty, w));
	m->bwait_seq = m->bseq;
}

void
mir_push_history(struct mir *m, uint64_t id)
{
	memmove(m->sb.history + 1, m->sb.history,
	    (MMETA_HISTORY - 1) * sizeof(m->sb.history[0]));
	m->sb.history[0] = id;
}

/* The volume is that large; maps are empty afterwards. */
void
mir_resize(struct mir *m, uint64_t bytes)
{
	uint64_t chunks = (bytes + MMETA_CHUNK - 1) / MMETA_CHUNK;

	ASSERT(bytes <= m->c.layout.data_bytes);
	m->sb.data_bytes = bytes;
	dm_resize(&m->bits, bytes / MMETA_BLOCK);
	dm_resize(&m->intent, chunks);
	dm_resize(&m->istable, chunks);
	dm_resize(&m->isnap, chunks);
	dm_resize(&m->itouched, chunks);
	dm_resize(&m->icand, chunks);
}

/*
 * This copy goes on without the peer's.  If the peer is not yet known to be
 * behind (its generation is not the one that our bits count from, or it may
 * have finished a resync), the data get a new generation.  The caller saves.
 */
bool
mir_bump(struct mir *m)
{
	struct mmeta_slot *s = mir_slot(m);

	ASSERT(m->attached && m->sb.current != 0);
	if (s->bitmap != 0 && !(s->flags & MMETA_S_EVEN))
		return false;
	if (s->bitmap != 0)
		mir_push_history(m, s->bitmap);
	s->bitmap = m->sb.current;
	s->flags &= (uint8_t)~MMETA_S_EVEN;
	m->sb.current = mir_random(m);
	m->sb.flags &= ~(uint32_t)(MMETA_F_CRASHED | MMETA_F_CRASHED_PRIMARY);
	mir_note(m, HAD_INFO, "", "new generation %016llx, was %016llx",
	    (unsigned long long)m->sb.current, (unsigned long long)s->bitmap);
	return true;
}
