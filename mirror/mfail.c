/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors of this disk.
 *
 * A disk that fails is detached if that loses nothing: the peer is in sync,
 * or this copy is of no use by itself.  Otherwise it stays, whether this node
 * is primary or not: it can be read, and may be the only good copy there is.
 *
 * Metadata that cannot be written on a copy that stays (meta_bad): nothing
 * new is promised here, no write begins and no generation is answered for.
 * But what is in memory is the truth about this copy, and in a session it
 * speaks as any other does:
 *
 *  - If the copies are equal, or have become so by a resync from here, the
 *    peer has everything.  Then, and not before, the disk is detached, and
 *    the peer, before it takes a first write, makes a generation of its own.
 *    Requests are held until then.
 *  - A resync from here does not wait for the superblock.  Should this node
 *    die meanwhile, its disk tells of an older generation: one that the peer
 *    has in its history once it is whole, and no relation to an inconsistent
 *    copy before.  Either way all blocks are compared, from the good side.
 *  - Overwritten from the peer it cannot be: then it is detached.  So it is
 *    as long as it is the target, up to its last superblock, which would have
 *    called it whole: until the source hears of that, the source has it all.
 *  - A peer that is silent may have lost its power, and then what was not
 *    flushed: it does not count as good until it is heard again.
 *  - The peer is told (MIR_I_FAILING), so that of two such copies neither
 *    gives itself up for the other.
 *
 * Every META_RETRY_MS it is tried again, by allowing what was forbidden: each
 * promise waits for its own page, so an attempt that fails breaks none.  When
 * the superblock and all changed pages were written, all is as before.  After
 * a flush that failed there is no other attempt: a later one that succeeds
 * would say nothing about what was lost with the first.
 */
#include "mirror_int.h"

/* May the data that clients rely on be only here, whatever the peer has? */
static bool
valuable(const struct mir *m)
{
	enum { GOOD = MMETA_F_CONSISTENT | MMETA_F_UPTODATE };

	if (m->conn == MIR_CONN_TARGET)
		return false;
	return m->primary || (m->sb.flags & (GOOD | MMETA_F_DISCARD)) == GOOD;
}

static bool
needed(const struct mir *m)
{
	return valuable(m) && !mir_peer_is_good(m);
}

static void
detach(struct mir *m, const char *what, int error)
{
	ASSERT(m->attached);
	m->attached = m->meta_bad = m->meta_trial = false;
	m->meta_at = MT_NEVER;
	m->exposed = m->sb.current;
	mir_set_error(m, "disk detached: %s failed, error %d", what, error);
	mir_note(m, HAD_ERR, "", "disk detached: %s failed (error %d)%s", what,
	    error, m->primary ? "; going on with the peer's copy" : "");
	if (m->conn != MIR_CONN_DOWN)
		mir_sess_restart(m, "disk detached");
	m->again = true;
}

bool
mir_disk_error(struct mir *m, const char *what, int error)
{
	if (!m->attached)
		return true;
	if (needed(m)) {
		mir_note(m, HAD_ERR, "",
		    "%s failed (error %d) and no other good copy is connected",
		    what, error);
		mir_set_error(m, "%s failed, error %d", what, error);
		return false;
	}
	detach(m, what, error);
	return true;
}

void
mir_meta_error(struct mir *m, const char *what, int error)
{
	bool again = m->meta_bad || m->meta_trial; /* said so already */
	bool silent = m->silent && mir_peer_is_good(m) && valuable(m);

	if (!m->attached)
		return;
	if (silent && !again) {
		mir_note(m, HAD_ERR, "",
		    "%s failed (error %d) and %s is silent: the disk stays "
		    "until it is heard",
		    what, error, m->c.peer_name);
		mir_set_error(m, "%s failed, error %d", what, error);
	} else if (!(again && (silent || needed(m))) &&
		   mir_disk_error(m, what, error)) {
		return;
	}
	m->meta_bad = m->recheck = m->again = true;
	m->meta_trial = false;
	m->meta_at = mt_add_ms(m->now, META_RETRY_MS);
}

void
mir_flush_error(struct mir *m, int error)
{
	if (mir_disk_error(m, "flush", error))
		return;
	m->meta_bad = m->recheck = m->again = true;
	m->meta_trial = false;
	m->meta_at = MT_NEVER;
}

/* A resync to this copy: it could not say that it is inconsistent. */
bool
mir_meta_refuses(struct mir *m)
{
	if (!m->attached || !m->meta_bad)
		return false;
	detach(m, "writing metadata", ERR_IO);
	return true;
}

static void
try_again(struct mir *m)
{
	bool busy = m->save != SAVE_IDLE || m->load != LOAD_NONE ||
		    m->flush_busy[FLUSH_CLEAN];

	for (int i = 0; i < META_IOS; i++)
		busy |= m->iio[i].busy || m->bio[i].busy;
	if (busy) {
		m->meta_at = mt_add_ms(m->now, SYNC_TICK_MS);
		return;
	}
	m->meta_at = MT_NEVER;
	m->meta_bad = false;
	m->meta_trial = m->meta_clean = true;
	m->meta_seq = mir_save(m);
	m->clean_at = m->now; /* all changed pages of the bitmap */
	m->recheck = true;
}

static void
succeeded(struct mir *m)
{
	m->meta_trial = false;
	m->error[0] = '\0';
	mir_note(m, HAD_INFO, "", "the metadata can be written again");
	if (m->view == MIR_PEER_UP)
		mir_sess_restart(m, "this copy can be written again");
	m->again = true;
}

void
mir_meta_run(struct mir *m)
{
	if (!m->attached)
		return;
	if (m->meta_bad && mir_peer_is_good(m) && !m->silent)
		mir_disk_error(m, "writing metadata", ERR_IO);
	else if (m->meta_bad && !mt_before(m->now, m->meta_at))
		try_again(m);
	else if (m->meta_trial && !m->meta_clean && mir_saved(m, m->meta_seq) &&
		 m->ipage_busy.count == 0)
		succeeded(m);
}
