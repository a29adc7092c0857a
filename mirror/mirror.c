/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mirror core: creation, the step, and what one event leads to.  The map
 * of the files and the rules that make it safe are in mirror_int.h.
 */
#include "mirror.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror_int.h"

uint32_t
mir_piece(enum mir_cmd cmd, uint64_t off, uint64_t len)
{
	uint64_t max =
	    cmd == MIR_TRIM || cmd == MIR_ZERO ? MIR_TRIM_MAX : HAD_IO_MAX;
	uint64_t room = max - off % max;

	if (cmd == MIR_FLUSH)
		return 0;
	return (uint32_t)(len < room ? len : room);
}

/* Hands out page-aligned parts of the arena. */
static uint8_t *
carve(uint8_t **at, size_t len)
{
	uint8_t *p = *at;

	*at += len;
	return p;
}

static int
new_buffers(struct mir *m)
{
	size_t big = 1 + m->c.peer_slots + m->c.resync_pieces;
	size_t len = big * HAD_IO_MAX + (1 + 2 * META_IOS) * MMETA_PAGE;
	uint8_t *at;

	m->arena = calloc(1, len + MMETA_PAGE);
	m->reqs = calloc(m->c.reqs_max, sizeof(*m->reqs));
	m->reps = calloc(m->c.peer_slots, sizeof(*m->reps));
	m->pieces = calloc(m->c.resync_pieces, sizeof(*m->pieces));
	if (m->arena == NULL || m->reqs == NULL || m->reps == NULL ||
	    m->pieces == NULL)
		return -1;
	at = m->arena + (MMETA_PAGE - (uintptr_t)m->arena % MMETA_PAGE);
	m->load_buf = carve(&at, HAD_IO_MAX);
	for (uint32_t i = 0; i < m->c.peer_slots; i++) {
		m->reps[i].buf = carve(&at, HAD_IO_MAX);
		TAILQ_INSERT_TAIL(&m->rep_free, &m->reps[i], link);
	}
	for (uint32_t i = 0; i < m->c.resync_pieces; i++)
		m->pieces[i].buf = carve(&at, HAD_IO_MAX);
	m->sb_buf = carve(&at, MMETA_PAGE);
	for (int i = 0; i < META_IOS; i++) {
		m->iio[i].buf = carve(&at, MMETA_PAGE);
		m->bio[i].buf = carve(&at, MMETA_PAGE);
	}
	ASSERT(at <= m->arena + len + MMETA_PAGE);
	for (uint32_t i = 0; i < m->c.reqs_max; i++)
		TAILQ_INSERT_TAIL(&m->req_free, &m->reqs[i], link);
	return 0;
}

static int
new_maps(struct mir *m)
{
	const struct mmeta_layout *l = &m->c.layout;
	uint64_t blocks = l->data_bytes / MMETA_BLOCK;
	uint64_t chunks = (l->data_bytes + MMETA_CHUNK - 1) / MMETA_CHUNK;
	struct dirtymap *by_chunk[] = {
	    &m->intent, &m->istable, &m->isnap, &m->itouched, &m->icand};

	for (size_t i = 0; i < NITEMS(by_chunk); i++)
		if (dm_init(by_chunk[i], chunks) == -1)
			return -1;
	if (dm_init(&m->bits, blocks) == -1 ||
	    dm_init(&m->bpage_dirty, l->bitmap_pages) == -1 ||
	    dm_init(&m->bpage_wait, l->bitmap_pages) == -1 ||
	    dm_init(&m->ipage_dirty, l->intent_pages) == -1 ||
	    dm_init(&m->ipage_busy, l->intent_pages) == -1)
		return -1;
	return 0;
}

static void
defaults(struct mir_conf *c)
{
	if (c->reqs_max == 0)
		c->reqs_max = 128;
	if (c->peer_slots == 0)
		c->peer_slots = 64;
	if (c->window_bytes == 0)
		c->window_bytes = 1024 * 1024;
	if (c->resync_pieces == 0)
		c->resync_pieces = 16;
	if (c->clean_ms == 0)
		c->clean_ms = 5000;
	if (c->latency_ms == 0)
		c->latency_ms = 20;
	ASSERT(c->reqs_max < 0xffff && c->peer_slots < 0xffff &&
	       c->resync_pieces < 0xffff);
	ASSERT(c->window_bytes >= 2 * HAD_IO_MAX);
	/* peer 0: a cluster of one. */
	ASSERT(c->self != c->peer && c->self != 0);
}

struct mir *
mir_new(const struct mir_conf *c, const struct mir_ops *ops, void *ctx)
{
	struct mir *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->c = *c;
	defaults(&m->c);
	m->ops = ops;
	m->ctx = ctx;
	TAILQ_INIT(&m->ireqs);
	TAILQ_INIT(&m->ireps);
	TAILQ_INIT(&m->req_free);
	TAILQ_INIT(&m->req_active);
	TAILQ_INIT(&m->sendq);
	TAILQ_INIT(&m->rep_free);
	TAILQ_INIT(&m->rep_active);
	TAILQ_INIT(&m->piece_sendq);
	rl_init(&m->locks);
	m->clean_at = m->sync_mark = m->sync_wake = m->meta_at = MT_NEVER;
	if (new_maps(m) == -1 || new_buffers(m) == -1) {
		mir_free(m);
		return NULL;
	}
	return m;
}

void
mir_free(struct mir *m)
{
	if (m == NULL)
		return;
	dm_fini(&m->intent);
	dm_fini(&m->istable);
	dm_fini(&m->isnap);
	dm_fini(&m->itouched);
	dm_fini(&m->icand);
	dm_fini(&m->bits);
	dm_fini(&m->bpage_dirty);
	dm_fini(&m->bpage_wait);
	dm_fini(&m->ipage_dirty);
	dm_fini(&m->ipage_busy);
	free(m->reqs);
	free(m->reps);
	free(m->pieces);
	free(m->arena);
	free(m);
}

void
mir_note(
    struct mir *m, enum had_level level, const char *rule, const char *fmt, ...)
{
	char object[16 + HAD_NAME_MAX], text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(object, sizeof(object), "volume %s", m->c.name);
	m->ops->note(m->ctx, level, rule, object, text);
}

void
mir_set_error(struct mir *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->error, sizeof(m->error), fmt, ap);
	va_end(ap);
}

/* splitmix64; never 0, which means "none" among generations. */
uint64_t
mir_random(struct mir *m)
{
	uint64_t z;

	do {
		z = m->rng += UINT64_C(0x9e3779b97f4a7c15);
		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		z ^= z >> 31;
	} while (z == 0);
	return z;
}

void
mir_disk(struct mir *m, enum io_kind kind, unsigned index, enum mir_cmd cmd,
    enum mir_area area, bool fua, uint64_t off, uint32_t len, void *buf)
{
	struct mir_io io = {
	    (uint32_t)kind << 16 | index, cmd, area, fua, off, len, buf};

	ASSERT(kind < IO_KINDS && index < 0xffff);
	if (area == MIR_DATA)
		ASSERT(off + len <= m->sb.data_bytes);
	else
		ASSERT(off + len <= m->c.layout.meta_bytes);
	m->ops->disk(m->ctx, &io);
}

uint64_t
mir_size(const struct mir *m)
{
	return m->sb.data_bytes;
}

void
mir_chunks(uint64_t off, uint32_t len, uint64_t *from, uint64_t *n)
{
	*from = off / MMETA_CHUNK;
	*n = (off + len - 1) / MMETA_CHUNK - *from + 1;
}

void
mir_blocks(uint64_t off, uint32_t len, uint64_t *from, uint64_t *n)
{
	*from = off / MMETA_BLOCK;
	*n = (off + len - 1) / MMETA_BLOCK - *from + 1;
}

/* Each holder of a lock is in one of three arrays; its address says which. */
void
mir_granted(void *ctx, struct rl_entry *e)
{
	struct mir *m = ctx;
	uintptr_t p = (uintptr_t)e;

	if (p >= (uintptr_t)m->reqs && p < (uintptr_t)(m->reqs + m->c.reqs_max))
		mir_req_granted(
		    m, (struct mreq *)(p - offsetof(struct mreq, lock)));
	else if (p >= (uintptr_t)m->reps &&
		 p < (uintptr_t)(m->reps + m->c.peer_slots))
		mir_rep_granted(
		    m, (struct mrep *)(p - offsetof(struct mrep, lock)));
	else
		mir_piece_granted(
		    m, (struct mpiece *)(p - offsetof(struct mpiece, lock)));
}

void
mir_unlock(struct mir *m, struct rl_entry *e)
{
	if (e->queued)
		rl_release(&m->locks, e, mir_granted, m);
}

/* The peer's copy is connected, as good as ours, and can be written. */
bool
mir_peer_is_good(const struct mir *m)
{
	return m->conn == MIR_CONN_INSYNC &&
	       !(m->peer_id.flags & MIR_I_FAILING);
}

static void
on_flush(struct mir *m, unsigned which, int error)
{
	ASSERT(which < FLUSH_N && m->flush_busy[which]);
	m->flush_busy[which] = false;
	if (error != 0)
		mir_flush_error(m, error);
	if (which == FLUSH_CLEAN)
		mir_clean_flushed(m);
	else if (which == FLUSH_FIN)
		mir_fin_flushed(m, error);
	else
		mir_role_flushed(m);
}

static void
on_disk(struct mir *m, const struct mir_event *ev)
{
	unsigned kind = ev->u.disk.io >> 16, i = ev->u.disk.io & 0xffff;
	int error = ev->u.disk.error;

	ASSERT(kind < IO_KINDS);
	switch ((enum io_kind)kind) {
	case IO_REQ:
		ASSERT(i < m->c.reqs_max);
		mir_req_disk(m, &m->reqs[i], error);
		break;
	case IO_REP:
		ASSERT(i < m->c.peer_slots);
		mir_rep_disk(m, &m->reps[i], error);
		break;
	case IO_PIECE:
		ASSERT(i < m->c.resync_pieces);
		mir_piece_disk(m, &m->pieces[i], error);
		break;
	case IO_SB:
		mir_save_done(m, error);
		break;
	case IO_INTENT:
		mir_intent_done(m, i, error);
		break;
	case IO_BITMAP:
		mir_bits_done(m, i, error);
		break;
	case IO_LOAD:
		mir_load_done(m, error);
		break;
	case IO_FLUSH:
		on_flush(m, i, error);
		break;
	case IO_KINDS:
		break;
	}
	m->again = true;
}

static void
on_view(struct mir *m, const struct mir_event *ev)
{
	bool other = ev->u.view.link != m->view_link;
	enum mir_peer peer = ev->u.view.peer;

	if (m->view == MIR_PEER_UP && (peer != MIR_PEER_UP || other))
		mir_sess_reset(
		    m, peer == MIR_PEER_GONE ? "the peer is gone"
		       : peer == MIR_PEER_UP
			   ? "another connection"
			   : "connection lost, the peer's fate is undecided");
	m->epoch = ev->u.view.epoch;
	m->view = peer;
	m->view_link = ev->u.view.link;
	m->own_right = ev->u.view.own_right;
	m->doubt = ev->u.view.doubt;
	m->silent = ev->u.view.silent;
	if (ev->u.view.demoted) {
		/* The peer has acted, or may have: R8. */
		if (peer != MIR_PEER_UP && !ev->u.view.no_lease)
			m->compared = false;
		mir_demoted(m);
	}
	m->again = true;
}

/* The next time at which something is due without an event. */
static void
set_timer(struct mir *m)
{
	monotime_t at = MT_NEVER;

	if (m->clean == CLEAN_IDLE && m->load == LOAD_NONE)
		at = m->clean_at;
	at = mt_min(at, m->sync_mark);
	at = mt_min(at, m->sync_wake);
	if (m->meta_bad)
		at = mt_min(at, m->meta_at);
	m->ops->timer(m->ctx, at);
}

static void
run(struct mir *m)
{
	uint64_t digest;
	int rounds = 0;

	do {
		ASSERT(rounds++ < 1000);
		m->again = false;
		mir_meta_run(m);
		mir_save_run(m);
		mir_sess_run(m);
		mir_mode_run(m);
		mir_role_run(m);
		mir_clean_run(m);
		mir_intent_run(m);
		mir_bits_run(m);
		mir_fin_run(m);
		mir_sync_run(m);
		mir_send_run(m);
	} while (m->again);
	set_timer(m);
	digest = mir_digest(m);
	if (digest != m->last_digest) {
		m->last_digest = digest;
		m->ops->changed(m->ctx);
	}
}

/* After STOP nothing is done any more, but everything is answered. */
static void
step_stopped(struct mir *m, const struct mir_event *ev)
{
	if (ev->type == MIR_REQ)
		m->ops->reply(m->ctx, ev->u.req.cookie, ERR_SHUTDOWN);
	else if (ev->type == MIR_PROMOTE)
		m->ops->done(m->ctx, ev->u.promote.token, false, "stopped");
	else if (ev->type == MIR_DEMOTE)
		m->ops->done(m->ctx, ev->u.demote.token, true, "stopped");
	else if (ev->type == MIR_RESYNC)
		m->ops->done(m->ctx, ev->u.resync.token, false, "stopped");
	else if (ev->type == MIR_STOP)
		m->ops->done(m->ctx, ev->u.stop.token, true, "stopped");
}

static void
dispatch(struct mir *m, const struct mir_event *ev)
{
	switch (ev->type) {
	case MIR_START:
		ASSERT(!m->started);
		m->started = true;
		m->rng = ev->u.start.seed;
		m->mine = (uint32_t)mir_random(m);
		mir_load(m);
		break;
	case MIR_VIEW:
		on_view(m, ev);
		break;
	case MIR_REQ:
		mir_req(m, ev);
		break;
	case MIR_DISK:
		on_disk(m, ev);
		break;
	case MIR_MSG:
		mir_msg(m, ev);
		break;
	case MIR_PROMOTE:
		mir_promote(m, ev);
		break;
	case MIR_DEMOTE:
		mir_demote(m, ev);
		break;
	case MIR_RESYNC:
		mir_resync(m, ev);
		break;
	case MIR_STOP:
		mir_stop(m, ev);
		break;
	case MIR_TIMER:
	case MIR_EV_N:
		break;
	}
}

void
mir_step(struct mir *m, const struct mir_event *ev)
{
	ASSERT(!m->in_step && ev->type < MIR_EV_N);
	ASSERT(m->started || ev->type == MIR_START);
	m->in_step = true;
	m->now = ev->now;
	if (m->stopped) {
		step_stopped(m, ev);
	} else {
		dispatch(m, ev);
		run(m);
	}
	m->in_step = false;
}
