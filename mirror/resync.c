/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying dirty blocks to the peer, and the end of it.
 *
 * A piece (at most 64 KiB, never across a multiple of it) takes the range
 * lock, is read here, sent, written there and acknowledged; then its bits are
 * cleared and the lock let go.  So a request that overlaps comes wholly before
 * or after it, and requests go to both disks all the while.
 *
 * The depth is the number of pieces under way.  It grows while requests are
 * answered in time and halves when one was slow.
 */
#include <string.h>

#include "mirror_int.h"
#include "wire.h"

void
mir_sync_start(struct mir *m)
{
	m->sync_at = 0;
	m->sync_done = m->sync_mark_done = 0;
	m->sync_rate = 0;
	m->sync_slow = false;
	m->sync_depth = m->c.resync_pieces < 4 ? m->c.resync_pieces : 4;
	m->sync_paid = m->now;
	m->sync_stall = (monotime_t){0};
	m->sync_mark = mt_add_ms(m->now, SYNC_TICK_MS);
	m->sync_wake = MT_NEVER;
	if (m->conn == MIR_CONN_SOURCE)
		m->sync_total = m->bits.count * MMETA_BLOCK;
	m->again = true;
}

static void
piece_free(struct mir *m, struct mpiece *p)
{
	if (p->state == P_QUEUED)
		TAILQ_REMOVE(&m->piece_sendq, p, send);
	if (p->state == P_SENT) {
		ASSERT(m->cr_ops > 0 && m->cr_bytes >= p->len);
		m->cr_ops--;
		m->cr_bytes -= p->len;
	}
	p->state = P_FREE;
	ASSERT(m->n_pieces > 0);
	m->n_pieces--;
	m->again = true;
	mir_unlock(m, &p->lock);
}

/* The session ended; the credit was taken back as a whole. */
void
mir_sync_abort(struct mir *m)
{
	struct mpiece *p;

	m->sync_mark = m->sync_wake = MT_NEVER;
	for (uint32_t i = 0; i < m->c.resync_pieces; i++)
		m->pieces[i].aborted = true;
	for (uint32_t i = 0; i < m->c.resync_pieces; i++) {
		p = &m->pieces[i];
		if (p->state == P_SENT)
			p->state = P_LOCK; /* no credit to give back */
		if (p->state != P_FREE && p->state != P_READ)
			piece_free(m, p);
	}
}

/* Depth, rate, once per tick. */
static void
tick(struct mir *m)
{
	uint32_t max = m->c.resync_pieces;
	uint64_t rate =
	    (m->sync_done - m->sync_mark_done) * (1000 / SYNC_TICK_MS);

	if (mt_before(m->now, m->sync_mark))
		return;
	m->sync_rate =
	    m->sync_rate == 0 ? rate : (m->sync_rate * 15 + rate) / 16;
	m->sync_mark_done = m->sync_done;
	if (m->sync_slow)
		m->sync_depth = m->sync_depth > 1 ? m->sync_depth / 2 : 1;
	else if (m->n_active == 0)
		m->sync_depth =
		    m->sync_depth * 2 < max ? m->sync_depth * 2 : max;
	else if (m->sync_depth < max)
		m->sync_depth++;
	m->sync_slow = false;
	m->sync_mark = mt_add_ms(m->now, SYNC_TICK_MS);
}

/* The next dirty piece at or after the cursor. */
static bool
pick(struct mir *m, uint64_t *bit, uint64_t *n)
{
	uint64_t room;

	if (!dm_next(&m->bits, m->sync_at, bit)) {
		/* Round again, but not onto what is still under way. */
		if (m->n_pieces > 0)
			return false;
		m->sync_at = 0;
		if (!dm_next(&m->bits, 0, bit))
			return false;
	}
	room = HAD_IO_MAX / MMETA_BLOCK - *bit % (HAD_IO_MAX / MMETA_BLOCK);
	*n = dm_run(&m->bits, *bit, room);
	ASSERT(*n > 0);
	return true;
}

static void
start_piece(struct mir *m, uint64_t bit, uint64_t n)
{
	struct mpiece *p = m->pieces;

	while (p->state != P_FREE)
		p++;
	ASSERT(p < m->pieces + m->c.resync_pieces);
	m->n_pieces++;
	memset(&p->lock, 0, sizeof(p->lock));
	p->state = P_LOCK;
	p->aborted = p->zero = false;
	p->off = bit * MMETA_BLOCK;
	p->len = (uint32_t)n * MMETA_BLOCK;
	m->sync_at = bit + n;
	if (m->c.resync_rate_kib > 0) {
		if (mt_before(m->sync_paid, m->now))
			m->sync_paid = m->now;
		m->sync_paid = mt_add_us(
		    m->sync_paid, (int64_t)p->len * 1000000 /
				      ((int64_t)m->c.resync_rate_kib * 1024));
	}
	if (rl_acquire(&m->locks, &p->lock, p->off, p->len))
		mir_piece_granted(m, p);
}

void
mir_sync_run(struct mir *m)
{
	uint64_t bit, n;

	if (m->conn == MIR_CONN_TARGET || m->conn == MIR_CONN_SOURCE)
		tick(m);
	if (m->conn != MIR_CONN_SOURCE)
		return;
	m->sync_left = m->bits.count * MMETA_BLOCK;
	if (m->bits.count == 0 && m->n_pieces == 0) {
		/* From here the peer may hold our generation. */
		mir_slot(m)->flags |= MMETA_S_EVEN;
		m->begin_seq = mir_save(m);
		m->begin_wait = true;
		m->sync_mark = m->sync_wake = MT_NEVER;
		mir_set_conn(m, MIR_CONN_FINISH, "all blocks are copied");
		return;
	}
	m->sync_wake = MT_NEVER;
	if (mt_before(m->now, m->sync_stall)) {
		m->sync_wake = m->sync_stall;
		return;
	}
	while (m->n_pieces < m->sync_depth) {
		if (mt_before(m->now, m->sync_paid)) {
			m->sync_wake = m->sync_paid;
			return;
		}
		if (!pick(m, &bit, &n))
			return;
		start_piece(m, bit, n);
	}
}

void
mir_piece_granted(struct mir *m, struct mpiece *p)
{
	ASSERT(p->state == P_LOCK);
	if (p->aborted)
		return;
	p->state = P_READ;
	mir_disk(m, IO_PIECE, (unsigned)(p - m->pieces), MIR_READ, MIR_DATA,
	    false, p->off, p->len, p->buf);
}

static bool
all_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

void
mir_piece_disk(struct mir *m, struct mpiece *p, int error)
{
	ASSERT(p->state == P_READ);
	if (p->aborted) {
		piece_free(m, p);
		return;
	}
	if (error != 0) {
		/* Its bits stay; tried again later. */
		m->sync_stall = mt_add_ms(m->now, SYNC_STALL_MS);
		mir_set_error(m,
		    "resync: reading %u bytes at %llu failed, "
		    "error %d",
		    p->len, (unsigned long long)p->off, error);
		mir_note(m, HAD_ERR, "", "%s", m->error);
		piece_free(m, p);
		return;
	}
	p->zero = all_zero(p->buf, p->len);
	p->state = P_QUEUED;
	TAILQ_INSERT_TAIL(&m->piece_sendq, p, send);
	m->again = true;
}

/*
 * While there are requests, a resync takes no more than half of the peer's
 * slots and of the window.
 */
bool
mir_piece_send(struct mir *m)
{
	struct mpiece *p = TAILQ_FIRST(&m->piece_sendq);
	unsigned share = m->n_active > 0 ? 2 : 1;
	struct mp_msg msg;

	if (p == NULL ||
	    (m->cr_ops > 0 &&
		(m->cr_ops + 1 > m->peer_id.slots / share ||
		    m->cr_bytes + p->len > m->c.window_bytes / share)))
		return false;
	TAILQ_REMOVE(&m->piece_sendq, p, send);
	p->state = P_SENT;
	p->serial = ++m->serial;
	m->cr_ops++;
	m->cr_bytes += p->len;
	msg = (struct mp_msg){.type = p->zero ? MP_PIECE_ZERO : MP_PIECE,
	    .id = p->serial << 17 | 1 << 16 | (uint64_t)(p - m->pieces),
	    .off = p->off,
	    .len = p->len,
	    .arg = m->sync_left};
	mir_put(m, &msg, p->zero ? NULL : p->buf, p->zero ? 0 : p->len);
	return true;
}

/* True if the ACK was for a piece. */
bool
mir_piece_ack(struct mir *m, const struct mp_msg *msg)
{
	unsigned i = msg->id & 0xffff;
	struct mpiece *p;

	if (!(msg->id & 1 << 16))
		return false;
	if (i >= m->c.resync_pieces || msg->arg != 0)
		return true;
	p = &m->pieces[i];
	if (p->state != P_SENT || p->serial != msg->id >> 17)
		return true;
	/* The other disk has it; nobody wrote here since it was read. */
	mir_bits_clear(m, p->off, p->len);
	m->sync_done += p->len;
	piece_free(m, p);
	return true;
}

/* Target: all blocks are here. */
void
mir_fin_msg(struct mir *m, const struct mp_msg *msg)
{
	if (m->conn != MIR_CONN_TARGET || m->fin != FIN_NONE || msg->arg == 0 ||
	    !m->attached || m->flush_busy[FLUSH_FIN]) {
		mir_sess_refuse(m, "end of a resync out of place");
		return;
	}
	m->fin = FIN_FLUSH;
	m->fin_current = msg->arg;
	for (int i = 0; i < MMETA_HISTORY; i++)
		m->fin_history[i] = get_u64(msg->data + 8 * i);
	/* A copy that calls itself good must not sit in a cache. */
	m->flush_busy[FLUSH_FIN] = true;
	mir_disk(
	    m, IO_FLUSH, FLUSH_FIN, MIR_FLUSH, MIR_DATA, false, 0, 0, NULL);
}

void
mir_fin_flushed(struct mir *m, int error)
{
	uint64_t sync = m->sb.current;

	if (m->fin != FIN_FLUSH || error != 0 || !m->attached)
		return; /* the session ended meanwhile */
	memcpy(m->sb.history, m->fin_history, sizeof(m->sb.history));
	mir_push_history(m, sync);
	m->sb.current = m->fin_current;
	mir_slot(m)->bitmap = 0;
	mir_slot(m)->flags = 0;
	m->sb.flags |= MMETA_F_CONSISTENT | MMETA_F_UPTODATE;
	m->sb.flags &= ~(uint32_t)(MMETA_F_CRASHED | MMETA_F_CRASHED_PRIMARY);
	mir_bits_drop(m);
	m->fin_seq = mir_save(m);
	m->fin = FIN_SAVE;
}

void
mir_fin_run(struct mir *m)
{
	if (m->fin != FIN_SAVE || !mir_saved(m, m->fin_seq))
		return;
	m->fin = FIN_NONE;
	if (!m->attached)
		return;
	m->compared = true;
	m->sync_mark = m->sync_wake = MT_NEVER;
	mir_tell(m, MP_FIN_ACK, 0, 0, NULL, 0);
	mir_set_conn(m, MIR_CONN_INSYNC, "resync finished");
}

/* Source: the target has said so durably. */
void
mir_fin_ack(struct mir *m)
{
	struct mmeta_slot *s;

	if (m->conn != MIR_CONN_FINISH || m->begin_wait) {
		mir_sess_refuse(m, "acknowledged end of a resync that is not");
		return;
	}
	s = mir_slot(m);
	ASSERT(s->bitmap != 0);
	mir_push_history(m, s->bitmap);
	s->bitmap = 0;
	s->flags = 0;
	m->sb.flags &= ~(uint32_t)(MMETA_F_CRASHED | MMETA_F_CRASHED_PRIMARY);
	m->sb.flags |= MMETA_F_UPTODATE;
	mir_save(m);
	if (m->bits.count > 0) /* a request failed on this disk meanwhile */
		mir_sess_restart(m, "blocks in doubt turned up");
	else
		mir_set_conn(m, MIR_CONN_INSYNC, "resync finished");
}
