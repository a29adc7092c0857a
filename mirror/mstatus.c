/* SPDX-License-Identifier: BSD-2-Clause */
/* Names, states as others see them, status. */
#include <string.h>

#include <bsd/string.h>

#include "mirror_int.h"

const char *
mir_ev_name(enum mir_ev e)
{
#define X(sym, name) name,
	static const char *const names[] = {MIR_EV_LIST(X)};
#undef X
	ASSERT(e < MIR_EV_N);
	return names[e];
}

const char *
mir_disk_name(enum mir_disk d)
{
#define X(sym, name) name,
	static const char *const names[] = {MIR_DISK_LIST(X)};
#undef X
	ASSERT(d < MIR_DISK_N);
	return names[d];
}

const char *
mir_conn_name(enum mir_conn c)
{
#define X(sym, name) name,
	static const char *const names[] = {MIR_CONN_LIST(X)};
#undef X
	ASSERT(c < MIR_CONN_N);
	return names[c];
}

static enum mir_disk
by_flags(uint32_t flags)
{
	if (!(flags & MMETA_F_CONSISTENT) || (flags & MMETA_F_DISCARD))
		return MIR_DISK_INCONSISTENT;
	return flags & MMETA_F_UPTODATE ? MIR_DISK_UPTODATE : MIR_DISK_OUTDATED;
}

enum mir_disk
mir_disk_state(const struct mir *m)
{
	if (m->load != LOAD_NONE)
		return MIR_DISK_LOADING;
	if (m->failed)
		return MIR_DISK_FAILED;
	if (!m->attached)
		return MIR_DISK_NONE;
	if (mmeta_blank(&m->sb))
		return MIR_DISK_BLANK;
	return by_flags(m->sb.flags);
}

enum mir_disk
mir_peer_disk_state(const struct mir *m)
{
	static const uint8_t zero[16];

	if (!m->have_hello || m->conn <= MIR_CONN_DRAIN)
		return MIR_DISK_LOADING;
	if (m->peer_id.flags & MIR_I_NODISK)
		return MIR_DISK_NONE;
	if (m->conn == MIR_CONN_INSYNC)
		return MIR_DISK_UPTODATE;
	if (m->conn == MIR_CONN_SOURCE || m->conn == MIR_CONN_FINISH)
		return MIR_DISK_INCONSISTENT;
	if (memcmp(m->peer_id.volume_id, zero, 16) == 0)
		return MIR_DISK_BLANK;
	return by_flags(m->peer_id.flags);
}

/*
 * A peer without a disk: what it serves is this copy; or it has seen no data
 * that this copy lacks.
 */
static bool
agrees(const struct mir *m)
{
	return m->conn == MIR_CONN_NOCOPY && m->attached &&
	       (m->peer_primary ||
		   (m->peer_id.current != 0 &&
		       m->peer_id.current == m->self_id.current));
}

/* Changes whenever something that the user should look at has. */
uint64_t
mir_digest(const struct mir *m)
{
	uint64_t d = m->sb.data_bytes;

	d = d * 31 + m->primary;
	d = d * 31 + m->peer_primary;
	d = d * 31 + (m->op != OP_NONE);
	d = d * 31 + mir_disk_state(m);
	d = d * 31 + mir_peer_disk_state(m);
	d = d * 31 + m->conn;
	d = d * 31 + m->mode;
	d = d * 31 + m->meta_bad;
	d = d * 31 + m->compared;
	return d;
}

static void
sync_status(const struct mir *m, struct mir_status *st)
{
	bool source = m->conn == MIR_CONN_SOURCE || m->conn == MIR_CONN_FINISH;

	st->sync.active = source || m->conn == MIR_CONN_TARGET;
	if (!st->sync.active)
		return;
	st->sync.source = source;
	st->sync.stalled = source && mt_before(m->now, m->sync_stall);
	st->sync.left_bytes =
	    source ? m->bits.count * MMETA_BLOCK : m->sync_left;
	st->sync.total_bytes = m->sync_total;
	st->sync.rate = m->sync_rate;
	if (m->sync_rate > 0)
		st->sync.eta_s = (uint32_t)(st->sync.left_bytes / m->sync_rate);
}

void
mir_status(const struct mir *m, struct mir_status *st)
{
	memset(st, 0, sizeof(*st));
	st->primary = m->primary;
	st->peer_primary = m->peer_primary;
	st->changing = m->op != OP_NONE;
	st->disk = mir_disk_state(m);
	st->peer_disk = mir_peer_disk_state(m);
	st->conn = m->conn;
	st->peer_agrees = agrees(m);
	st->holding = m->primary && (m->mode == MODE_HOLD || m->doubt);
	st->alone = m->primary && m->mode == MODE_ALONE;
	st->size_bytes = m->sb.data_bytes;
	st->epoch = m->sb.epoch;
	if (m->attached) {
		st->dirty_bytes = m->bits.count * MMETA_BLOCK;
		memcpy(st->volume_id, m->sb.volume_id, 16);
		st->current = m->sb.current;
		st->bitmap = m->sb.slot[m->slot].bitmap;
		memcpy(st->history, m->sb.history, sizeof(st->history));
		st->intents = (uint32_t)m->intent.count;
	}
	st->requests = m->n_active;
	st->peer_ops = m->n_reps;
	st->read_bytes = m->read_bytes;
	st->written_bytes = m->written_bytes;
	st->sent_bytes = m->sent_bytes;
	st->received_bytes = m->received_bytes;
	st->latency_us = m->latency_us;
	sync_status(m, st);
	strlcpy(st->error, m->error, sizeof(st->error));
}
