/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the peer asks of this disk: replicated writes, flushes, reads of a
 * primary without a disk, pieces of a resync.  The same steps as for a local
 * write: lock, intent, disk; then ACK.  The number of slots was announced in
 * the greeting; the peer never has more under way.
 */
#include <string.h>

#include "mirror_int.h"

static bool
is_piece(enum mp_type t)
{
	return t == MP_PIECE || t == MP_PIECE_ZERO;
}

static bool
changes_data(enum mp_type t)
{
	return t == MP_WRITE || t == MP_TRIM || t == MP_ZERO || is_piece(t);
}

static void
done(struct mir *m, struct mrep *p)
{
	p->phase = PH_FREE;
	TAILQ_REMOVE(&m->rep_active, p, link);
	TAILQ_INSERT_TAIL(&m->rep_free, p, link);
	ASSERT(m->n_reps > 0);
	m->n_reps--;
	m->again = true;
	mir_unlock(m, &p->lock);
}

static void
submit(struct mir *m, struct mrep *p)
{
	static const enum mir_cmd cmds[MP_N] = {[MP_WRITE] = MIR_WRITE,
	    [MP_PIECE] = MIR_WRITE,
	    [MP_TRIM] = MIR_TRIM,
	    [MP_ZERO] = MIR_ZERO,
	    [MP_PIECE_ZERO] = MIR_ZERO,
	    [MP_FLUSH] = MIR_FLUSH,
	    [MP_READ] = MIR_READ};
	enum mir_cmd cmd = cmds[p->type];

	p->phase = PH_RUN;
	mir_disk(m, IO_REP, (unsigned)(p - m->reps), cmd, MIR_DATA, p->fua,
	    p->off, p->len,
	    cmd == MIR_WRITE || cmd == MIR_READ ? p->buf : NULL);
}

static void
answer(struct mir *m, const struct mrep *p, int error)
{
	struct mp_msg msg = {
	    .type = MP_DATA, .id = p->id, .off = p->off, .len = p->len};

	if (p->type == MP_READ && error == 0)
		mir_put(m, &msg, p->buf, p->len);
	else
		mir_tell(m, MP_ACK, p->id, (uint64_t)error, NULL, 0);
}

void
mir_rep_intent(struct mir *m, struct mrep *p)
{
	ASSERT(p->phase == PH_INTENT);
	if (m->attached && !m->meta_bad) {
		submit(m, p);
		return;
	}
	/* With a disk the peer has to hear it, else by the new session. */
	if (m->attached && p->session == m->mine)
		answer(m, p, ERR_IO);
	done(m, p);
}

void
mir_rep_granted(struct mir *m, struct mrep *p)
{
	ASSERT(p->phase == PH_LOCK);
	p->phase = PH_INTENT;
	if (m->attached && !m->meta_bad &&
	    mir_intent(m, p->off, p->len, is_piece(p->type))) {
		submit(m, p);
		return;
	}
	/* Without a disk it is let go, and ended, from there as well. */
	TAILQ_INSERT_TAIL(&m->ireps, p, iwait);
	m->again = true;
}

/* May the peer ask that now?  NULL, or why not. */
static const char *
out_of_place(const struct mir *m, const struct mp_msg *msg)
{
	bool usable = m->conn == MIR_CONN_INSYNC ||
		      m->conn == MIR_CONN_TARGET || m->conn == MIR_CONN_NOCOPY;

	if (m->primary)
		return "a write of another primary";
	if (!usable)
		return "a request out of place";
	if (is_piece(msg->type) &&
	    (m->conn != MIR_CONN_TARGET || m->fin != FIN_NONE))
		return "a piece of a resync that is not";
	if (msg->len > 0 &&
	    (msg->off > mir_size(m) || msg->len > mir_size(m) - msg->off))
		return "a range beyond the volume";
	if (is_piece(msg->type) &&
	    (msg->off % MMETA_BLOCK != 0 || msg->len % MMETA_BLOCK != 0))
		return "a piece that is not of whole blocks";
	if (msg->type != MP_WARM && TAILQ_EMPTY(&m->rep_free))
		return "more requests than slots";
	return NULL;
}

static void
begin(struct mir *m, const struct mp_msg *msg)
{
	struct mrep *p = TAILQ_FIRST(&m->rep_free);

	TAILQ_REMOVE(&m->rep_free, p, link);
	TAILQ_INSERT_TAIL(&m->rep_active, p, link);
	m->n_reps++;
	memset(&p->lock, 0, sizeof(p->lock));
	p->type = msg->type;
	p->fua = msg->fua;
	p->len = msg->len;
	p->off = msg->off;
	p->id = msg->id;
	p->session = m->mine;
	if (msg->data_len > 0)
		memcpy(p->buf, msg->data, msg->data_len);
	if (is_piece(msg->type)) {
		m->sync_left = msg->arg;
		m->sync_done += msg->len;
	}
	if (!changes_data(msg->type)) {
		submit(m, p);
		return;
	}
	/* Of a primary without a disk: its copy does not get this. */
	if (m->conn == MIR_CONN_NOCOPY)
		mir_bits_set(m, msg->off, msg->len);
	p->phase = PH_LOCK;
	if (rl_acquire(&m->locks, &p->lock, p->off, p->len))
		mir_rep_granted(m, p);
}

void
mir_rep_msg(struct mir *m, const struct mp_msg *msg)
{
	const char *why = out_of_place(m, msg);

	if (why != NULL) {
		mir_sess_refuse(m, "%s", why);
		return;
	}
	if (!m->attached)
		return; /* the new session that says so is on its way */
	if (msg->type != MP_WARM)
		begin(m, msg);
	else if (!m->meta_bad)
		mir_intent(m, msg->off, msg->len, false);
}

void
mir_rep_disk(struct mir *m, struct mrep *p, int error)
{
	bool current = p->session == m->mine;

	ASSERT(p->phase == PH_RUN);
	if (error != 0 && current && m->conn == MIR_CONN_NOCOPY) {
		/* Nobody else has a copy: the primary has to hear it. */
		mir_note(m, HAD_ERR, "", "request of %s failed (error %d)",
		    m->c.peer_name, error);
		answer(m, p, ERR_IO);
	} else if (error != 0 && p->type == MP_FLUSH) {
		/* Detached, the new session says it. */
		mir_flush_error(m, error);
		if (current && m->attached)
			answer(m, p, ERR_IO);
	} else if (error != 0) {
		if (!mir_disk_error(m, "a request of the peer", error) &&
		    changes_data(
			p->type)) /* the peer may have carried it out */
			mir_bits_set(m, p->off, p->len);
	} else if (current && m->attached) {
		if (is_piece(p->type))
			mir_bits_clear(m, p->off, p->len);
		answer(m, p, 0);
	}
	done(m, p);
}
