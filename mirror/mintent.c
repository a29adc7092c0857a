/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The write-intent map.
 *
 * A chunk's bit must be stable before its data are written, or a crash could
 * leave copies that differ where nothing says so; a bit that was written and
 * not flushed would be as good as none after a power cut.  So each page of
 * the map is written with FUA, and all writes that wait for the same page
 * share it.
 *
 * Three maps keep it exact: intent is what is wanted, istable what is on the
 * disk whatever happens, isnap what the page under way will bring.  While a
 * page is under way the disk may have its old or its new bits, so istable
 * loses at once what the page clears and gains at the end what it sets.
 */
#include "mirror_int.h"

enum { PAGE_WORDS = MMETA_PAGE_BITS / 64 };

void
mir_clean_arm(struct mir *m)
{
	m->clean_at = mt_min(m->clean_at, mt_add_ms(m->now, m->c.clean_ms));
}

static void
want(struct mir *m, uint64_t from, uint64_t n)
{
	uint64_t first = from / MMETA_PAGE_BITS;
	uint64_t last = (from + n - 1) / MMETA_PAGE_BITS;

	if (dm_set(&m->intent, from, n) > 0) {
		dm_set(&m->ipage_dirty, first, last - first + 1);
		mir_clean_arm(m);
		m->again = true;
	}
}

/*
 * A write of that range is coming.  True if its intents are stable already,
 * else mir_intent_stable will say so.  One that follows a chunk in use is
 * taken for a sequential writer, and chunks ahead of it are marked as well.
 */
bool
mir_intent(struct mir *m, uint64_t off, uint32_t len, bool resync)
{
	uint64_t from, n, first, count, ahead;

	ASSERT(m->attached);
	mir_chunks(off, len, &from, &n);
	dm_set(&m->itouched, from, n);
	if (dm_all(&m->istable, from, n)) {
		/* It may be about to be cleared; then not. */
		want(m, from, n);
		return true;
	}
	first = from;
	count = n;
	if (resync) {
		first = from - from % SYNC_CHUNKS;
		count = SYNC_CHUNKS;
	} else if (from > 0 && dm_test(&m->intent, from - 1)) {
		ahead = WARM_CHUNKS;
		count = n > ahead ? n : ahead;
	}
	if (count > m->intent.nbits - first)
		count = m->intent.nbits - first;
	ASSERT(first <= from && from + n <= first + count);
	want(m, first, count);
	return false;
}

bool
mir_intent_stable(const struct mir *m, uint64_t off, uint32_t len)
{
	uint64_t from, n;

	mir_chunks(off, len, &from, &n);
	return dm_all(&m->istable, from, n);
}

static void
write_page(struct mir *m, unsigned i, uint64_t page)
{
	struct mpage_io *io = &m->iio[i];
	uint64_t w = page * PAGE_WORDS, v;

	io->busy = true;
	io->page = (uint32_t)page;
	dm_clear(&m->ipage_dirty, page, 1);
	dm_set(&m->ipage_busy, page, 1);
	for (int j = 0; j < PAGE_WORDS; j++) {
		v = dm_word(&m->intent, w + j);
		dm_put_word(&m->isnap, w + j, v);
		dm_put_word(
		    &m->istable, w + j, v & dm_word(&m->istable, w + j));
	}
	mmeta_page_encode(
	    io->buf, m->sb.tag, MMETA_INTENT, 0, io->page, &m->intent);
	mir_disk(m, IO_INTENT, i, MIR_WRITE, MIR_META, true,
	    m->c.layout.intent_off + page * MMETA_PAGE, MMETA_PAGE, io->buf);
}

/* Lets go whoever has what it waits for, or cannot get it any more. */
static void
release(struct mir *m, bool all)
{
	struct mreq *r, *rn;
	struct mrep *p, *pn;

	TAILQ_FOREACH_SAFE (r, &m->ireqs, iwait, rn) {
		if (!all && !mir_intent_stable(m, r->off, r->len))
			continue;
		TAILQ_REMOVE(&m->ireqs, r, iwait);
		mir_req_intent(m, r);
	}
	TAILQ_FOREACH_SAFE (p, &m->ireps, iwait, pn) {
		if (!all && !mir_intent_stable(m, p->off, p->len))
			continue;
		TAILQ_REMOVE(&m->ireps, p, iwait);
		mir_rep_intent(m, p);
	}
}

void
mir_intent_run(struct mir *m)
{
	uint64_t page = 0;

	if (!m->attached || m->meta_bad) {
		release(m, true);
		return;
	}
	if (m->load != LOAD_NONE)
		return;
	for (unsigned i = 0; i < META_IOS; i++) {
		if (m->iio[i].busy)
			continue;
		while (dm_next(&m->ipage_dirty, page, &page) &&
		       dm_test(&m->ipage_busy, page))
			page++;
		if (page >= m->ipage_dirty.nbits ||
		    !dm_test(&m->ipage_dirty, page))
			return;
		write_page(m, i, page);
	}
}

void
mir_intent_done(struct mir *m, unsigned i, int error)
{
	struct mpage_io *io = &m->iio[i];
	uint64_t w = (uint64_t)io->page * PAGE_WORDS;

	ASSERT(i < META_IOS && io->busy);
	io->busy = false;
	dm_clear(&m->ipage_busy, io->page, 1);
	if (error != 0) {
		dm_set(&m->ipage_dirty, io->page, 1);
		mir_meta_error(m, "writing the intent map", error);
		return;
	}
	for (int j = 0; j < PAGE_WORDS; j++)
		dm_or_word(&m->istable, w + j, dm_word(&m->isnap, w + j));
	release(m, false);
}

/* Marks the chunks that operations in flight use. */
static void
touch_active(struct mir *m)
{
	struct mreq *r;
	struct mrep *p;
	uint64_t from, n;

	TAILQ_FOREACH (r, &m->req_active, link) {
		if (r->len == 0 || r->cmd == MIR_READ)
			continue;
		mir_chunks(r->off, r->len, &from, &n);
		dm_set(&m->itouched, from, n);
	}
	TAILQ_FOREACH (p, &m->rep_active, link) {
		if (p->len == 0 || p->type == MP_READ)
			continue;
		mir_chunks(p->off, p->len, &from, &n);
		dm_set(&m->itouched, from, n);
	}
}

/* Intents that nothing used for a whole period become candidates. */
static void
clean_begin(struct mir *m)
{
	uint64_t w = 0, bit = 0;

	if (m->clean_all)
		dm_clear_all(&m->itouched);
	touch_active(m);
	dm_clear_all(&m->icand);
	while (dm_next(&m->intent, bit, &bit)) {
		w = bit / 64;
		dm_put_word(&m->icand, w,
		    dm_word(&m->intent, w) & ~dm_word(&m->itouched, w));
		bit = (w + 1) * 64;
	}
	dm_clear_all(&m->itouched);
	touch_active(m);
	m->clean_all = false;
	m->full_new = false;
	if (m->icand.count > 0) {
		m->clean = CLEAN_FLUSH;
		m->flush_busy[FLUSH_CLEAN] = true;
		mir_disk(m, IO_FLUSH, FLUSH_CLEAN, MIR_FLUSH, MIR_DATA, false,
		    0, 0, NULL);
	} else {
		m->clean = CLEAN_BITS;
		mir_bits_wait(m);
	}
}

void
mir_clean_flushed(struct mir *m)
{
	ASSERT(m->clean == CLEAN_FLUSH);
	m->clean = CLEAN_BITS;
	mir_bits_wait(m);
}

/* The data are flushed and the dirty bits stable: the intents may go. */
static void
clean_end(struct mir *m)
{
	uint64_t bit = 0;

	while (dm_next(&m->icand, bit, &bit)) {
		if (!dm_test(&m->itouched, bit) &&
		    dm_clear(&m->intent, bit, 1) > 0)
			dm_set(&m->ipage_dirty, bit / MMETA_PAGE_BITS, 1);
		bit++;
	}
	dm_clear_all(&m->icand);
	if ((mir_slot(m)->flags & MMETA_S_FULL) && !m->full_new) {
		/* The map on disk says it all by now. */
		mir_slot(m)->flags &= (uint8_t)~MMETA_S_FULL;
		mir_save(m);
	}
	m->clean = CLEAN_IDLE;
	m->clean_at = MT_NEVER;
	m->meta_clean = false;
	if (m->intent.count > 0 || m->bpage_dirty.count > 0)
		mir_clean_arm(m);
	m->again = true;
}

void
mir_clean_run(struct mir *m)
{
	if (m->load != LOAD_NONE || m->flush_busy[FLUSH_CLEAN])
		return;
	if (!m->attached || m->meta_bad) {
		m->clean = CLEAN_IDLE;
		m->clean_at = MT_NEVER;
		m->clean_all = false;
		return;
	}
	if (m->clean == CLEAN_IDLE &&
	    (m->clean_all || !mt_before(m->now, m->clean_at)))
		clean_begin(m);
	if (m->clean == CLEAN_BITS && m->bpage_wait.count == 0)
		clean_end(m);
}

/* Was a cleaning that was asked for carried out, as far as possible? */
bool
mir_clean_finished(const struct mir *m)
{
	if (!m->attached || m->meta_bad)
		return true;
	return !m->clean_all && m->clean == CLEAN_IDLE &&
	       m->ipage_dirty.count == 0 && m->ipage_busy.count == 0;
}
