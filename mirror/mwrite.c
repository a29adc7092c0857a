/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests that change data, and flushes; write mode "disk".
 *
 *	LOCK    overlapping requests one after the other
 *	INTENT  the chunk's bit is stable here
 *	RUN     local leg: this disk; remote leg: the peer's disk
 *
 * Both legs run at once.  What the remote leg is depends on the mode: sent,
 * held while arbitration is undecided (R14), or dirty bits.  A request is
 * answered when both legs are through.
 */
#include <string.h>

#include "mirror_int.h"

static bool
changes_data(const struct mreq *r)
{
	return r->cmd == MIR_WRITE || r->cmd == MIR_TRIM || r->cmd == MIR_ZERO;
}

/* Going on without the peer: its copy falls behind from here. */
void
mir_solo(struct mir *m)
{
	ASSERT(m->attached);
	m->solo = true;
	if (mir_bump(m))
		mir_save(m);
	m->solo_seq = m->save_want;
	m->recheck = true;
}

static bool
decided_alone(const struct mir *m)
{
	return m->view == MIR_PEER_GONE || m->conn == MIR_CONN_NOCOPY ||
	       m->conn == MIR_CONN_SPLIT || m->conn == MIR_CONN_REFUSED;
}

static bool
both_linked(const struct mir *m)
{
	return m->conn == MIR_CONN_INSYNC || m->conn == MIR_CONN_SOURCE ||
	       m->conn == MIR_CONN_FINISH;
}

/* This copy cannot be written; will the peer's soon have all there is? */
static bool
evacuating(const struct mir *m)
{
	if (m->have_hello && (m->peer_id.flags & MIR_I_FAILING))
		return false;
	return both_linked(m) || m->conn == MIR_CONN_DRAIN ||
	       m->conn == MIR_CONN_HELLO || m->conn == MIR_CONN_BITS ||
	       m->conn == MIR_CONN_BEGIN;
}

static enum mode
mode_now(struct mir *m)
{
	if (m->attached) {
		if (m->meta_bad && evacuating(m))
			return MODE_HOLD;
		if (both_linked(m))
			return MODE_BOTH;
		if (m->conn == MIR_CONN_WAIT)
			return MODE_HOLD;
		if (!m->solo && m->primary && decided_alone(m) && !m->doubt)
			mir_solo(m);
		return m->solo ? MODE_ALONE : MODE_HOLD;
	}
	if (m->conn == MIR_CONN_NOCOPY)
		return MODE_REMOTE;
	if (m->view == MIR_PEER_GONE || m->conn == MIR_CONN_WAIT ||
	    m->conn == MIR_CONN_SPLIT || m->conn == MIR_CONN_REFUSED)
		return MODE_DEAD;
	return MODE_HOLD;
}

static void
enqueue(struct mir *m, struct mreq *r)
{
	r->remote = R_QUEUED;
	r->serial = ++m->serial;
	TAILQ_INSERT_TAIL(&m->sendq, r, send);
}

/* What becomes of a remote leg that was held. */
static void
route(struct mir *m, struct mreq *r)
{
	if (r->phase != PH_RUN || r->remote != R_WAIT)
		return;
	switch (m->mode) {
	case MODE_HOLD:
		break;
	case MODE_BOTH:
		if (r->cmd != MIR_READ)
			enqueue(m, r);
		break;
	case MODE_REMOTE:
		enqueue(m, r);
		break;
	case MODE_ALONE:
		if (r->cmd == MIR_READ)
			break;
		if (changes_data(r))
			mir_bits_set(m, r->off, r->len);
		r->remote = R_ALONE;
		break;
	case MODE_DEAD:
		r->remote = R_FAIL;
		r->error = ERR_IO;
		break;
	}
}

void
mir_req_end(struct mir *m, struct mreq *r, int error)
{
	int64_t us = mt_sub_us(m->now, r->since);
	bool internal = r->internal;
	uint64_t cookie = r->cookie;

	ASSERT(r->phase != PH_FREE && r->local != L_BUSY);
	if (r->remote == R_QUEUED)
		TAILQ_REMOVE(&m->sendq, r, send);
	if (r->phase == PH_INTENT)
		TAILQ_REMOVE(&m->ireqs, r, iwait);
	r->phase = PH_FREE;
	r->remote = R_NONE;
	TAILQ_REMOVE(&m->req_active, r, link);
	TAILQ_INSERT_TAIL(&m->req_free, r, link);
	ASSERT(m->n_active > 0);
	m->n_active--;
	if (changes_data(r) && error == 0) {
		m->latency_us += (uint32_t)((us - (int64_t)m->latency_us) / 8);
		if (us > (int64_t)m->c.latency_ms * 1000)
			m->sync_slow = true;
	}
	m->again = true;
	mir_unlock(m, &r->lock);
	if (internal)
		mir_role_flushed(m);
	else
		m->ops->reply(m->ctx, cookie, error);
}

/* The local leg failed.  True if the request is settled by that. */
static bool
local_failed(struct mir *m, struct mreq *r)
{
	if (mir_peer_is_good(m)) {
		/* Detaches, which begins a new session and holds us. */
		mir_disk_error(m, "a request", ERR_IO);
		return true;
	}
	if (m->mode == MODE_HOLD)
		return true;
	if (r->cmd == MIR_FLUSH)
		mir_flush_error(m, ERR_IO);
	else
		mir_disk_error(m, "a request", ERR_IO);
	if (changes_data(r))
		mir_bits_set(m, r->off, r->len);
	mir_req_end(m, r, ERR_IO);
	return true;
}

void
mir_req_check(struct mir *m, struct mreq *r)
{
	if (r->phase != PH_RUN || r->local == L_BUSY)
		return;
	if (r->aborted) {
		mir_req_end(m, r, ERR_SHUTDOWN);
		return;
	}
	if (m->doubt)
		return;
	if (r->cmd == MIR_READ) {
		mir_read_check(m, r);
		return;
	}
	if (r->local == L_FAIL && m->attached && local_failed(m, r))
		return;
	switch (r->remote) {
	case R_OK:
		/* Only the peer has it: not before it knows what that means. */
		if (r->local == L_OK || m->relied)
			mir_req_end(m, r, 0);
		break;
	case R_ALONE:
		if (r->local != L_OK || m->meta_bad)
			mir_req_end(m, r, ERR_IO);
		else if (mir_saved(m, m->solo_seq))
			mir_req_end(m, r, 0);
		break;
	case R_FAIL:
		mir_req_end(m, r, r->error);
		break;
	case R_NONE:
	case R_WAIT:
	case R_QUEUED:
	case R_SENT:
		break;
	}
}

static void
write_run(struct mir *m, struct mreq *r)
{
	unsigned i = (unsigned)(r - m->reqs);

	m->recheck = true;
	if (m->attached && m->meta_bad) {
		r->phase = PH_HELD;
		m->again = true;
		return;
	}
	r->phase = PH_RUN;
	r->remote = R_WAIT;
	if (m->attached) {
		r->local = L_BUSY;
		mir_disk(m, IO_REQ, i, r->cmd, MIR_DATA, r->fua, r->off, r->len,
		    r->buf);
	}
	route(m, r);
}

/* The intents are stable, or there is no disk for them to be on. */
void
mir_req_intent(struct mir *m, struct mreq *r)
{
	ASSERT(r->phase == PH_INTENT);
	write_run(m, r);
}

void
mir_req_granted(struct mir *m, struct mreq *r)
{
	struct mp_msg warm = {.type = MP_WARM, .off = r->off, .len = r->len};

	ASSERT(r->phase == PH_LOCK && changes_data(r));
	if (r->aborted)
		return;
	if (!m->attached || m->meta_bad ||
	    mir_intent(m, r->off, r->len, false)) {
		write_run(m, r);
		return;
	}
	/* The peer can do the same at the same time. */
	if (m->mode == MODE_BOTH)
		mir_put(m, &warm, NULL, 0);
	r->phase = PH_INTENT;
	TAILQ_INSERT_TAIL(&m->ireqs, r, iwait);
	m->again = true;
}

static struct mreq *
take(struct mir *m)
{
	struct mreq *r = TAILQ_FIRST(&m->req_free);

	if (r == NULL)
		return NULL;
	TAILQ_REMOVE(&m->req_free, r, link);
	TAILQ_INSERT_TAIL(&m->req_active, r, link);
	m->n_active++;
	memset(&r->lock, 0, sizeof(r->lock));
	r->local = L_NONE;
	r->remote = R_NONE;
	r->aborted = r->internal = r->fua = false;
	r->off = r->len = 0;
	r->buf = NULL;
	r->error = 0;
	r->since = m->now;
	m->again = true;
	return r;
}

static void
flush(struct mir *m, struct mreq *r)
{
	r->cmd = MIR_FLUSH;
	r->phase = PH_RUN;
	r->remote = R_WAIT;
	if (m->attached) {
		r->local = L_BUSY;
		mir_disk(m, IO_REQ, (unsigned)(r - m->reqs), MIR_FLUSH,
		    MIR_DATA, false, 0, 0, NULL);
	}
	route(m, r);
	m->recheck = true;
}

void
mir_req_internal_flush(struct mir *m)
{
	struct mreq *r = take(m);

	ASSERT(r != NULL);
	r->internal = true;
	flush(m, r);
}

/* Refused before anything else is done: 0, or an errno. */
static int
invalid(const struct mir *m, const struct mir_event *ev)
{
	uint64_t off = ev->u.req.off, len = ev->u.req.len;
	enum mir_cmd cmd = ev->u.req.cmd;

	if (!m->primary || m->op >= OP_DEMOTE_DRAIN)
		return ERR_SHUTDOWN;
	if (cmd > MIR_ZERO)
		return ERR_INVAL;
	if (cmd == MIR_FLUSH)
		return off == 0 && len == 0 ? 0 : ERR_INVAL;
	if (len == 0 || off % 512 != 0 || len % 512 != 0)
		return ERR_INVAL;
	if (mir_piece(cmd, off, len) != len)
		return ERR_INVAL;
	if (off > mir_size(m) || len > mir_size(m) - off)
		return cmd == MIR_READ ? ERR_INVAL : ERR_NOSPC;
	return 0;
}

void
mir_req(struct mir *m, const struct mir_event *ev)
{
	int error = invalid(m, ev);
	struct mreq *r = error == 0 ? take(m) : NULL;

	if (r == NULL) {
		m->ops->reply(
		    m->ctx, ev->u.req.cookie, error != 0 ? error : ERR_NOMEM);
		return;
	}
	r->cookie = ev->u.req.cookie;
	r->cmd = ev->u.req.cmd;
	r->fua = ev->u.req.fua;
	r->off = ev->u.req.off;
	r->len = ev->u.req.len;
	r->buf = ev->u.req.buf;
	if (r->cmd == MIR_READ) {
		m->read_bytes += r->len;
		mir_read(m, r);
	} else if (r->cmd == MIR_FLUSH) {
		flush(m, r);
	} else {
		m->written_bytes += r->len;
		r->phase = PH_LOCK;
		if (rl_acquire(&m->locks, &r->lock, r->off, r->len))
			mir_req_granted(m, r);
	}
}

void
mir_req_disk(struct mir *m, struct mreq *r, int error)
{
	ASSERT(r->phase == PH_RUN && r->local == L_BUSY);
	r->local = error == 0 ? L_OK : L_FAIL;
	/* A detached disk's word counts no more: it may lose this. */
	if (!m->attached)
		r->local = L_NONE;
	mir_req_check(m, r);
}

/*
 * The peer has a disk that took this no more, and this one may have it
 * already: they differ.  A comparison finds out what is left of the peer's
 * copy, and the request waits for that.
 */
static void
refused(struct mir *m, struct mreq *r)
{
	mir_bits_set(m, r->off, r->len);
	r->remote = R_WAIT;
	mir_sess_restart(m, "the peer refused a write");
}

void
mir_req_ack(struct mir *m, const struct mp_msg *msg)
{
	unsigned i = msg->id & 0xffff;
	struct mreq *r;

	if (i >= m->c.reqs_max)
		return;
	r = &m->reqs[i];
	if (r->phase != PH_RUN || r->remote != R_SENT ||
	    r->serial != msg->id >> 17 || (r->cmd == MIR_READ && msg->arg == 0))
		return;
	ASSERT(m->cr_ops > 0 && m->cr_bytes >= mir_req_cost(r));
	m->cr_ops--;
	m->cr_bytes -= mir_req_cost(r);
	if (msg->arg != 0 && m->attached && changes_data(r)) {
		refused(m, r);
		return;
	}
	r->remote = msg->arg == 0 ? R_OK : R_FAIL;
	r->error = ERR_IO;
	mir_req_check(m, r);
}

/* The session ended: what the peer has not confirmed is open again. */
void
mir_req_unlink(struct mir *m)
{
	struct mreq *r;

	TAILQ_FOREACH (r, &m->req_active, link) {
		if (r->phase != PH_RUN)
			continue;
		if (r->remote == R_QUEUED)
			TAILQ_REMOVE(&m->sendq, r, send);
		if (r->remote == R_QUEUED || r->remote == R_SENT ||
		    r->remote == R_OK)
			r->remote = R_WAIT;
		if (!m->attached && r->local == L_OK) /* see mir_req_disk */
			r->local = L_NONE;
		if (!m->attached && r->remote == R_NONE)
			r->remote = R_WAIT;
	}
	m->recheck = true;
}

/* The role is gone: requests fail, what they may have changed is dirty. */
void
mir_req_fail_fast(struct mir *m)
{
	struct mreq *r, *rn;

	TAILQ_FOREACH (r, &m->req_active, link) {
		if (r->phase == PH_RUN && changes_data(r) && m->attached)
			mir_bits_set(m, r->off, r->len);
		/* Those that wait must not begin when others let go. */
		r->aborted = true;
	}
	TAILQ_FOREACH_SAFE (r, &m->req_active, link, rn)
		if (r->phase == PH_LOCK)
			mir_req_end(m, r, ERR_SHUTDOWN);
	TAILQ_FOREACH_SAFE (r, &m->req_active, link, rn)
		if (r->phase == PH_INTENT || r->local != L_BUSY)
			mir_req_end(m, r, ERR_SHUTDOWN);
}

/* A write that could not begin: again, or an error if no copy takes it. */
static void
held_check(struct mir *m, struct mreq *r)
{
	if (!m->attached || !m->meta_bad) {
		r->phase = PH_LOCK;
		mir_req_granted(m, r);
	} else if (m->mode != MODE_HOLD && !m->doubt) {
		mir_req_end(m, r, ERR_IO);
	}
}

/* Tells all requests when what they depend on has changed. */
void
mir_mode_run(struct mir *m)
{
	enum mode mode = mode_now(m);
	bool durable = mir_saved(m, m->solo_seq);
	bool hold = mode == MODE_HOLD && m->primary && m->view == MIR_PEER_DOWN;
	struct mreq *r, *rn;

	if (mode == m->mode && m->doubt == m->told_doubt &&
	    durable == m->told_durable && m->relied == m->told_relied &&
	    !m->recheck)
		return;
	if (hold && !m->told_hold)
		mir_note(m, HAD_INFO, "R14",
		    "answers to writes are held: %s is undecided about",
		    m->c.peer_name);
	m->told_hold = hold;
	m->mode = mode;
	if (mode == MODE_BOTH || (m->attached && both_linked(m)))
		m->solo = false;
	m->told_doubt = m->doubt;
	m->told_durable = durable;
	m->told_relied = m->relied;
	m->recheck = false;
	TAILQ_FOREACH (r, &m->req_active, link)
		route(m, r);
	TAILQ_FOREACH_SAFE (r, &m->req_active, link, rn) {
		if (r->phase == PH_HELD)
			held_check(m, r);
		else
			mir_req_check(m, r);
	}
	m->again = true;
}

/* Of the window: what is copied over the wire, either way. */
uint32_t
mir_req_cost(const struct mreq *r)
{
	return r->cmd == MIR_READ || r->cmd == MIR_WRITE ? r->len : 0;
}

static bool
send_one(struct mir *m)
{
	static const enum mp_type types[] = {[MIR_READ] = MP_READ,
	    [MIR_WRITE] = MP_WRITE,
	    [MIR_FLUSH] = MP_FLUSH,
	    [MIR_TRIM] = MP_TRIM,
	    [MIR_ZERO] = MP_ZERO};
	struct mreq *r = TAILQ_FIRST(&m->sendq);
	uint32_t len = mir_req_cost(r);
	struct mp_msg msg = {.type = types[r->cmd],
	    .fua = r->fua && changes_data(r),
	    .off = r->off,
	    .len = r->len,
	    .id = r->serial << 17 | (uint64_t)(r - m->reqs)};

	if (m->cr_ops >= m->peer_id.slots ||
	    (m->cr_bytes > 0 && m->cr_bytes + len > m->c.window_bytes))
		return false;
	TAILQ_REMOVE(&m->sendq, r, send);
	r->remote = R_SENT;
	m->cr_ops++;
	m->cr_bytes += len;
	mir_put(m, &msg, r->cmd == MIR_WRITE ? r->buf : NULL,
	    r->cmd == MIR_WRITE ? r->len : 0);
	return true;
}

/* Requests first; a resync takes what room they leave. */
void
mir_send_run(struct mir *m)
{
	while (!TAILQ_EMPTY(&m->sendq))
		if (!send_one(m))
			return;
	while (mir_piece_send(m))
		;
}
