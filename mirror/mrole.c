/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Promote, demote, resync on request, stop.  Each is a row of steps with
 * durable ones between; m->op says which is under way.
 *
 * Promote waits while it is not known what the peer has: a copy that is told
 * "go on alone" before the comparison could be the older one.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mirror_int.h"

static enum may PRINTF_LIKE(4, 5)
    say(enum may may, char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	if (why != NULL && size > 0) {
		va_start(ap, fmt);
		vsnprintf(why, size, fmt, ap);
		va_end(ap);
	}
	return may;
}

/* Without a disk: only on the shoulders of a connected good copy. */
static enum may
may_diskless(const struct mir *m, char *why, size_t size)
{
	if (m->failed)
		return say(MAY_NOT, why, size, "%s", m->error);
	if (m->conn == MIR_CONN_NOCOPY) {
		if ((m->peer_id.flags & (MMETA_F_UPTODATE | MMETA_F_CONSISTENT |
					    MMETA_F_DISCARD)) !=
		    (MMETA_F_UPTODATE | MMETA_F_CONSISTENT))
			return say(MAY_NOT, why, size,
			    "no disk here, and %s has no good copy",
			    m->c.peer_name);
		return m->peer_primary ? MAY_HOLD : MAY;
	}
	if (m->view == MIR_PEER_GONE || m->conn >= MIR_CONN_WAIT)
		return say(MAY_NOT, why, size, "no disk here: %s", m->error);
	return say(MAY_HOLD, why, size, "waiting for %s", m->c.peer_name);
}

static enum may
may_blank(const struct mir *m, char *why, size_t size)
{
	if (m->both_blank)
		return m->peer_primary ? MAY_HOLD : MAY;
	if (m->view == MIR_PEER_GONE)
		return say(MAY_NOT, why, size,
		    "this copy is new and %s is not there: connect it, or "
		    "declare the data here good when creating the volume",
		    m->c.peer_name);
	if (m->conn <= MIR_CONN_HELLO)
		return say(
		    MAY_HOLD, why, size, "waiting for %s", m->c.peer_name);
	return say(MAY_NOT, why, size,
	    "this copy is new and not yet filled from %s", m->c.peer_name);
}

/* The copy is good; what about the other one? */
static enum may
may_uptodate(const struct mir *m, char *why, size_t size)
{
	switch (m->conn) {
	case MIR_CONN_INSYNC:
	case MIR_CONN_NOCOPY:
	case MIR_CONN_SOURCE:
	case MIR_CONN_FINISH:
		if (m->peer_primary)
			return say(MAY_HOLD, why, size,
			    "waiting for %s to be demoted", m->c.peer_name);
		return MAY;
	case MIR_CONN_DOWN:
		if (m->view != MIR_PEER_GONE)
			break;
		if (m->own_right || m->compared)
			return MAY;
		return say(MAY_NOT, why, size,
		    "not compared with %s since the start", m->c.peer_name);
	case MIR_CONN_TARGET:
	case MIR_CONN_WAIT:
	case MIR_CONN_SPLIT:
	case MIR_CONN_REFUSED:
		return say(MAY_NOT, why, size, "%s", m->error);
	case MIR_CONN_DRAIN:
	case MIR_CONN_HELLO:
	case MIR_CONN_BITS:
	case MIR_CONN_BEGIN:
	case MIR_CONN_N:
		break;
	}
	return say(MAY_HOLD, why, size, "waiting for %s", m->c.peer_name);
}

enum may
mir_may_promote(const struct mir *m, bool force, char *why, size_t size)
{
	if (m->meta_bad)
		return say(MAY_NOT, why, size, "%s", m->error);
	switch (mir_disk_state(m)) {
	case MIR_DISK_LOADING:
		return say(MAY_HOLD, why, size, "reading the metadata");
	case MIR_DISK_NONE:
	case MIR_DISK_FAILED:
		return may_diskless(m, why, size);
	case MIR_DISK_BLANK:
		return may_blank(m, why, size);
	case MIR_DISK_INCONSISTENT:
		if (m->conn == MIR_CONN_TARGET)
			return say(MAY_NOT, why, size,
			    "resync from %s is under way, %llu MiB left",
			    m->c.peer_name,
			    (unsigned long long)(m->sync_left >> 20));
		return say(MAY_NOT, why, size,
		    "this copy is inconsistent: a resync from %s was not "
		    "finished",
		    m->c.peer_name);
	case MIR_DISK_OUTDATED:
		if (force && m->conn == MIR_CONN_DOWN &&
		    m->view == MIR_PEER_GONE)
			return MAY;
		return say(MAY_NOT, why, size,
		    "this copy is outdated: %s has newer data", m->c.peer_name);
	case MIR_DISK_UPTODATE:
	case MIR_DISK_N:
		break;
	}
	return may_uptodate(m, why, size);
}

bool
mir_promotable(const struct mir *m, char *why, size_t size)
{
	if (why != NULL && size > 0)
		why[0] = '\0';
	return m->primary || mir_may_promote(m, false, why, size) != MAY_NOT;
}

static void
end_op(struct mir *m, bool ok, const char *text)
{
	uint64_t token = m->op_token;

	m->op = OP_NONE;
	m->again = true;
	m->ops->done(m->ctx, token, ok, text);
}

/* The first primary of two new copies: its data are the volume's. */
static void
become_first(struct mir *m)
{
	uint64_t a = mir_random(m), b = mir_random(m);

	memcpy(m->sb.volume_id, &a, 8);
	memcpy(m->sb.volume_id + 8, &b, 8);
	m->sb.current = mir_random(m);
	m->sb.flags |= MMETA_F_CONSISTENT | MMETA_F_UPTODATE;
	if (m->peer_id.room_bytes < m->sb.data_bytes)
		mir_resize(m, m->peer_id.room_bytes);
	mir_note(m, HAD_INFO, "",
	    "both copies are new: the data of this node are the volume's");
}

/* Nothing of it is durable: the peer's copy may still become the first. */
static void
not_first(struct mir *m)
{
	m->sb.flags &= ~(uint32_t)(MMETA_F_PRIMARY);
	if (!m->op_first)
		return;
	m->sb.flags &= ~(uint32_t)(MMETA_F_CONSISTENT | MMETA_F_UPTODATE);
	memset(m->sb.volume_id, 0, sizeof(m->sb.volume_id));
	m->sb.current = 0;
}

/* It is demoted, but its data may be the volume's: the peer has to know. */
static void
promote_late(struct mir *m)
{
	if (m->op_first)
		mir_sess_restart(m, "this copy is the volume's now");
}

static void
promote_go(struct mir *m)
{
	m->op_first = false;
	if (!m->attached) {
		m->exposed = m->peer_id.current;
		m->primary = true;
		m->relied = false;
		mir_note(m, HAD_INFO, "", "secondary -> primary, without disk");
		mir_sess_role(m);
		end_op(m, true, "primary, on the peer's copy");
		return;
	}
	if (mmeta_blank(&m->sb)) {
		become_first(m);
		m->op_first = true;
	}
	m->sb.flags |= MMETA_F_PRIMARY | MMETA_F_UPTODATE;
	m->sb.epoch = m->op_epoch;
	if (m->conn == MIR_CONN_DOWN || m->conn == MIR_CONN_NOCOPY)
		mir_solo(m);
	m->op_seq = mir_save(m);
	m->op = OP_PROMOTE_SAVE;
}

static void
promote_try(struct mir *m)
{
	char why[160] = "";
	enum may may;

	if (m->op_epoch < m->epoch || m->op_epoch < m->sb.epoch) {
		snprintf(why, sizeof(why), "epoch %llu is over",
		    (unsigned long long)m->op_epoch);
		end_op(m, false, why);
		return;
	}
	may = mir_may_promote(m, m->op_force, why, sizeof(why));
	if (may == MAY_NOT)
		end_op(m, false, why);
	else if (may == MAY && !m->doubt && m->n_reps == 0)
		promote_go(m);
}

void
mir_promote(struct mir *m, const struct mir_event *ev)
{
	uint64_t token = ev->u.promote.token;

	if (m->op != OP_NONE) {
		m->ops->done(m->ctx, token, false,
		    "another change of role is under way");
		return;
	}
	if (m->primary) {
		m->ops->done(m->ctx, token, true, "primary already");
		return;
	}
	m->op = OP_PROMOTE_HELD;
	m->op_token = token;
	m->op_epoch = ev->u.promote.epoch;
	m->op_force = ev->u.promote.force;
	m->again = true;
}

void
mir_demote(struct mir *m, const struct mir_event *ev)
{
	uint64_t token = ev->u.demote.token;

	bool late = m->op == OP_PROMOTE_SAVE;

	if (m->op == OP_PROMOTE_HELD || late)
		end_op(m, false, "demoted meanwhile");
	if (late) { /* the disk may say primary already: take that back */
		m->sb.flags &= ~(uint32_t)MMETA_F_PRIMARY;
		m->op = OP_DEMOTE_SAVE;
		m->op_token = token;
		m->op_seq = mir_save(m);
		promote_late(m);
		return;
	}
	if (m->op != OP_NONE) {
		m->ops->done(m->ctx, token, false,
		    "another change of role is under way");
		return;
	}
	if (!m->primary) {
		m->ops->done(m->ctx, token, true, "secondary already");
		return;
	}
	m->op = OP_DEMOTE_DRAIN;
	m->op_token = token;
	m->again = true;
}

/* By arbitration: at once, whatever is under way. */
void
mir_demoted(struct mir *m)
{
	bool was = m->primary;

	mir_req_fail_fast(m);
	if (m->op == OP_PROMOTE_SAVE)
		promote_late(m);
	if (m->op == OP_PROMOTE_HELD || m->op == OP_PROMOTE_SAVE)
		end_op(m, false, "demoted by arbitration");
	else if (m->op >= OP_DEMOTE_DRAIN && m->op <= OP_DEMOTE_SAVE)
		end_op(m, true, "demoted by arbitration");
	m->primary = m->solo = false;
	if (m->attached && (m->sb.flags & MMETA_F_PRIMARY)) {
		m->sb.flags &= ~(uint32_t)MMETA_F_PRIMARY;
		mir_save(m);
	}
	if (was) {
		mir_note(m, HAD_WARN, "R8",
		    "primary -> secondary, by force: requests fail");
		mir_sess_role(m);
	}
}

/* The internal flush, or the one of this disk at the stop, is through. */
void
mir_role_flushed(struct mir *m)
{
	if (m->op == OP_DEMOTE_FLUSH)
		m->op = OP_DEMOTE_CLEAN;
	else if (m->op == OP_STOP_FLUSH)
		m->op = OP_STOP_CLEAN;
	m->clean_all = m->op == OP_DEMOTE_CLEAN || m->op == OP_STOP_CLEAN;
	m->again = true;
}

static void
demote_run(struct mir *m)
{
	if (m->op == OP_DEMOTE_DRAIN && m->n_active == 0) {
		m->op = OP_DEMOTE_FLUSH;
		mir_req_internal_flush(m);
	} else if (m->op == OP_DEMOTE_CLEAN && mir_clean_finished(m)) {
		m->sb.flags &= ~(uint32_t)MMETA_F_PRIMARY;
		m->op_seq = mir_save(m);
		m->op = OP_DEMOTE_SAVE;
	} else if (m->op == OP_DEMOTE_SAVE &&
		   (mir_saved(m, m->op_seq) || m->meta_bad)) {
		m->primary = m->solo = false;
		mir_note(m, HAD_INFO, "", "primary -> secondary");
		mir_sess_role(m);
		end_op(m, true, "secondary");
	}
}

static void
stop_run(struct mir *m)
{
	if (m->op == OP_STOP_DRAIN && m->n_reps == 0 && m->n_pieces == 0 &&
	    m->load == LOAD_NONE && m->n_active == 0) {
		m->op = OP_STOP_FLUSH;
		if (m->attached) {
			m->flush_busy[FLUSH_ROLE] = true;
			mir_disk(m, IO_FLUSH, FLUSH_ROLE, MIR_FLUSH, MIR_DATA,
			    false, 0, 0, NULL);
		} else {
			mir_role_flushed(m);
		}
	} else if (m->op == OP_STOP_CLEAN && mir_clean_finished(m)) {
		m->op_seq = mir_save(m);
		m->op = OP_STOP_SAVE;
	} else if (m->op == OP_STOP_SAVE &&
		   (mir_saved(m, m->op_seq) || m->meta_bad) &&
		   m->save == SAVE_IDLE) {
		m->stopped = true;
		mir_note(m, HAD_INFO, "", "stopped");
		end_op(m, true, "stopped");
	}
}

void
mir_role_run(struct mir *m)
{
	if (m->op == OP_PROMOTE_HELD)
		promote_try(m);
	if (m->op == OP_PROMOTE_SAVE && m->meta_bad) {
		not_first(m);
		end_op(m, false, "the metadata cannot be written");
	} else if (m->op == OP_PROMOTE_SAVE && !m->attached) {
		end_op(m, false, "the disk failed");
	} else if (m->op == OP_PROMOTE_SAVE && mir_saved(m, m->op_seq)) {
		m->primary = true;
		mir_note(m, HAD_INFO, "", "secondary -> primary, epoch %llu",
		    (unsigned long long)m->op_epoch);
		mir_sess_role(m);
		end_op(m, true, "primary");
	}
	if (m->op >= OP_DEMOTE_DRAIN && m->op <= OP_DEMOTE_SAVE)
		demote_run(m);
	if (m->op >= OP_STOP_DRAIN)
		stop_run(m);
}

void
mir_stop(struct mir *m, const struct mir_event *ev)
{
	if (m->primary || m->op != OP_NONE) {
		m->ops->done(m->ctx, ev->u.stop.token, false,
		    m->primary ? "demote it first"
			       : "a change of role is under way");
		return;
	}
	m->op_token = ev->u.stop.token;
	m->op = OP_STOP_DRAIN;
	m->view = MIR_PEER_DOWN;
	mir_sess_reset(m, "stopping");
}

/* What would come of it if one side gave up its copy? */
static struct mir_verdict
if_discarded(const struct mir *m, bool ours)
{
	struct mir_ident self, peer = m->peer_id;

	mir_ident(m, &self);
	self.flags &= ~(uint32_t)MMETA_F_DISCARD;
	peer.flags &= ~(uint32_t)MMETA_F_DISCARD;
	if (m->peer_primary)
		peer.flags |= MIR_I_PRIMARY;
	else
		peer.flags &= ~(uint32_t)MIR_I_PRIMARY;
	if (ours)
		self.flags |= MMETA_F_DISCARD;
	else
		peer.flags |= MMETA_F_DISCARD;
	return mir_decide(&self, &peer);
}

/* Why this copy may not be given up for the peer's; NULL if it may. */
static const char *
no_discard(const struct mir *m)
{
	struct mir_verdict v;

	if (!m->have_hello || m->conn < MIR_CONN_INSYNC)
		return "the peer is not connected";
	if (!m->attached || m->failed)
		return "no disk here";
	if (m->primary || m->op != OP_NONE)
		return "this copy is in use: stop what runs on it first";
	if (m->conn == MIR_CONN_SOURCE || m->conn == MIR_CONN_FINISH)
		return "this is the only good copy: the peer is being filled "
		       "from it";
	if (m->conn == MIR_CONN_TARGET)
		return "a resync to this copy is under way already";
	v = if_discarded(m, true);
	if (v.dir != MIR_DIR_TARGET)
		return v.rule;
	return NULL;
}

static void
discard(struct mir *m)
{
	mir_note(m, HAD_WARN, "", "by request: this copy is given up for %s's",
	    m->c.peer_name);
	m->sb.flags |= MMETA_F_DISCARD;
	m->sb.flags &= ~(uint32_t)MMETA_F_UPTODATE;
	mir_save(m);
	mir_sess_restart(m, "a copy was given up");
}

/* This copy is kept: does the peer give up its own? */
static const char *
ask_peer(struct mir *m, uint64_t token)
{
	struct mir_verdict v;

	if (!m->have_hello || m->conn < MIR_CONN_INSYNC)
		return "the peer is not connected";
	if (!m->attached)
		return "no disk here";
	if (m->inval_wait)
		return "asked the peer already";
	if (m->peer_primary)
		return "the peer's copy is in use: stop what runs on it first";
	if (m->conn == MIR_CONN_SOURCE || m->conn == MIR_CONN_FINISH)
		return "that resync is under way already";
	v = if_discarded(m, false);
	if (v.dir != MIR_DIR_SOURCE)
		return v.rule;
	if (m->sb.flags & MMETA_F_DISCARD) {
		m->sb.flags &= ~(uint32_t)MMETA_F_DISCARD;
		mir_save(m);
	}
	m->inval_wait = true;
	m->inval_token = token;
	mir_tell(m, MP_INVALIDATE, token, 0, NULL, 0);
	return NULL;
}

void
mir_resync(struct mir *m, const struct mir_event *ev)
{
	uint64_t token = ev->u.resync.token;
	const char *why;

	if (ev->u.resync.from == m->c.self) {
		why = ask_peer(m, token);
		if (why != NULL)
			m->ops->done(m->ctx, token, false, why);
		return;
	}
	why = ev->u.resync.from == m->c.peer ? no_discard(m) : "no such node";
	if (why == NULL)
		discard(m);
	m->ops->done(m->ctx, token, why == NULL,
	    why == NULL ? "the resync begins" : why);
}

void
mir_invalidate(struct mir *m, const struct mp_msg *msg)
{
	const char *why = no_discard(m);

	mir_tell(m, MP_INVALIDATED, msg->id, why == NULL, why,
	    why == NULL ? 0 : strlen(why));
	if (why == NULL)
		discard(m);
}

void
mir_invalidated(struct mir *m, const struct mp_msg *msg)
{
	char text[MP_TEXT_MAX + 1];

	if (!m->inval_wait || msg->id != m->inval_token)
		return;
	m->inval_wait = false;
	for (size_t i = 0; i < msg->data_len; i++)
		text[i] = msg->data[i] >= ' ' && msg->data[i] <= '~'
			      ? (char)msg->data[i]
			      : '?';
	text[msg->data_len] = '\0';
	m->ops->done(m->ctx, m->inval_token, msg->arg != 0,
	    msg->arg != 0 ? "the resync begins" : text);
}

void
mir_inval_lost(struct mir *m)
{
	if (!m->inval_wait)
		return;
	m->inval_wait = false;
	m->ops->done(
	    m->ctx, m->inval_token, false, "the connection was lost meanwhile");
}
