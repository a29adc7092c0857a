/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The session with the peer's copy.
 *
 *	DOWN    VIEW says UP ................................... DRAIN
 *	DRAIN   operations of the old session are through ...... HELLO (sent)
 *	HELLO   both greetings seen, both verdicts agree ....... by verdict
 *	BITS    target tells its dirty chunks, source adds them  BEGIN
 *	BEGIN   source: sync generation stable, BEGIN sent;
 *	        target: inconsistent and stable, READY sent .... SOURCE, TARGET
 *	SOURCE  nothing dirty any more (resync.c) .............. FINISH, INSYNC
 *
 * A session is named by a number of each side.  Whoever has to begin anew
 * takes another number and greets; the other side, seeing an unknown number,
 * does the same once.  A side that only waits for a greeting takes whatever
 * number comes and decides again, which is what keeps two restarts that cross
 * from chasing each other.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mirror_int.h"
#include "wire.h"

void
mir_put(struct mir *m, struct mp_msg *msg, const void *data, size_t len)
{
	uint8_t hdr[MP_HDR_LEN];

	msg->mine = m->mine;
	msg->yours = m->yours;
	mp_put(hdr, msg);
	ASSERT(sizeof(hdr) + len <= MIR_MSG_MAX);
	m->sent_bytes += len;
	m->ops->send(m->ctx, m->c.peer, hdr, sizeof(hdr), data, len);
}

void
mir_tell(struct mir *m, enum mp_type type, uint64_t id, uint64_t arg,
    const void *data, size_t len)
{
	struct mp_msg msg = {.type = type, .id = id, .arg = arg};

	mir_put(m, &msg, data, len);
}

void
mir_set_conn(struct mir *m, enum mir_conn conn, const char *reason)
{
	bool bad = conn == MIR_CONN_SPLIT || conn == MIR_CONN_REFUSED;
	bool good = conn == MIR_CONN_INSYNC || conn == MIR_CONN_SOURCE ||
		    conn == MIR_CONN_TARGET;

	if (m->conn == conn)
		return;
	mir_note(m, bad ? HAD_ERR : HAD_INFO, "", "%s: %s -> %s: %s",
	    m->c.peer_name, mir_conn_name(m->conn), mir_conn_name(conn),
	    reason);
	if (bad || conn == MIR_CONN_WAIT)
		mir_set_error(m, "%s: %s", mir_conn_name(conn), reason);
	else if (good && m->attached && !m->meta_bad)
		m->error[0] = '\0';
	m->conn = conn;
	m->again = true;
}

bool
mir_sess_linked(const struct mir *m)
{
	return m->conn == MIR_CONN_INSYNC || m->conn == MIR_CONN_SOURCE ||
	       m->conn == MIR_CONN_FINISH || m->conn == MIR_CONN_NOCOPY;
}

void
mir_sess_reset(struct mir *m, const char *reason)
{
	mir_set_conn(m, MIR_CONN_DOWN, reason);
	m->mine++;
	m->yours = 0;
	m->have_hello = m->sent_verdict = false;
	m->both_blank = m->peer_primary = false;
	m->begin_wait = m->bits_wait = m->alone_owed = m->relied = false;
	m->fin = FIN_NONE;
	m->cr_ops = m->cr_bytes = 0;
	if (m->mode == MODE_BOTH || m->mode == MODE_REMOTE)
		m->mode = MODE_HOLD;
	mir_sync_abort(m);
	mir_req_unlink(m);
	mir_inval_lost(m);
	m->again = true;
}

/*
 * The peer answers our new greeting with one of its own only if it has gone
 * beyond greetings; if it has not, the one that we have is the one that
 * counts.  Before the peer can have gone beyond, we are in DRAIN or HELLO.
 */
void
mir_sess_restart(struct mir *m, const char *reason)
{
	bool keep = m->have_hello &&
		    (m->conn == MIR_CONN_DRAIN || m->conn == MIR_CONN_HELLO);
	uint32_t yours = m->yours;

	if (m->conn == MIR_CONN_DOWN)
		return;
	mir_sess_reset(m, reason);
	if (m->view != MIR_PEER_UP)
		return;
	if (keep) {
		m->have_hello = true;
		m->yours = yours;
		m->peer_primary = m->peer_id.flags & MIR_I_PRIMARY;
	}
	mir_set_conn(m, MIR_CONN_DRAIN, reason);
}

/* The peer broke the protocol; nothing more of this session counts. */
void
mir_sess_refuse(struct mir *m, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (m->conn != MIR_CONN_DOWN)
		mir_tell(m, MP_REFUSE, 0, 0, text, strlen(text));
	mir_sess_reset(m, "the peer broke the protocol");
	if (m->view == MIR_PEER_UP)
		mir_set_conn(m, MIR_CONN_REFUSED, text);
}

static void
on_refuse(struct mir *m, const struct mp_msg *msg)
{
	char text[MP_TEXT_MAX + 1];

	if (m->conn == MIR_CONN_DOWN || m->conn == MIR_CONN_DRAIN ||
	    msg->yours != m->mine)
		return;
	memcpy(text, msg->data_len > 0 ? (const char *)msg->data : "",
	    msg->data_len);
	text[msg->data_len] = '\0';
	/* Bytes from outside: for a log line, printable only. */
	for (char *p = text; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	mir_sess_reset(m, "the peer refused");
	if (m->view == MIR_PEER_UP)
		mir_set_conn(m, MIR_CONN_REFUSED, text);
}

void
mir_sess_role(struct mir *m)
{
	if (m->conn == MIR_CONN_DOWN || m->conn == MIR_CONN_DRAIN)
		return;
	if (mir_sess_linked(m) || m->conn == MIR_CONN_TARGET) {
		m->relied = false;
		mir_tell(m, MP_ROLE, 0, m->primary, NULL, 0);
	} else {
		mir_sess_restart(m, "the role changed");
	}
}

void
mir_ident(const struct mir *m, struct mir_ident *id)
{
	const struct mmeta_sb *sb = &m->sb;

	memset(id, 0, sizeof(*id));
	id->node = m->c.self;
	id->slots = (uint16_t)m->c.peer_slots;
	id->cluster = m->c.cluster;
	id->flags = sb->flags & ~(uint32_t)MMETA_F_PRIMARY;
	if (m->primary)
		id->flags |= MIR_I_PRIMARY;
	id->size_bytes = sb->data_bytes;
	id->room_bytes = sb->room_bytes;
	memcpy(id->volume_id, sb->volume_id, sizeof(id->volume_id));
	id->current = sb->current;
	memcpy(id->history, sb->history, sizeof(id->history));
	if (m->attached) {
		id->bitmap = sb->slot[m->slot].bitmap;
		id->dirty_bytes = m->bits.count * MMETA_BLOCK;
		if (m->meta_bad || m->meta_trial)
			id->flags |= MIR_I_FAILING;
	} else {
		id->flags |= MIR_I_NODISK;
		id->current = m->exposed;
	}
}

/* Everything that the old session began on this disk has ended. */
static bool
drained(const struct mir *m)
{
	return m->load == LOAD_NONE && m->n_reps == 0 && m->n_pieces == 0 &&
	       !m->flush_busy[FLUSH_FIN] &&
	       (m->save_done == m->save_want || !m->attached || m->meta_bad);
}

static void
decide(struct mir *m)
{
	m->verdict = mir_decide(&m->self_id, &m->peer_id);
	m->sent_verdict = true;
	mir_tell(m, MP_VERDICT, 0, mir_verdict_code(m->verdict), NULL, 0);
}

static void
greet(struct mir *m)
{
	uint8_t buf[MP_IDENT_LEN];

	mir_ident(m, &m->self_id);
	mp_put_ident(buf, &m->self_id);
	mir_set_conn(m, MIR_CONN_HELLO, "comparing generations");
	mir_tell(m, MP_HELLO, 0, 0, buf, sizeof(buf));
	if (m->have_hello)
		decide(m);
}

static void
on_hello(struct mir *m, const struct mp_msg *msg)
{
	struct mir_ident id;
	const char *why;

	if (m->conn != MIR_CONN_DOWN && m->conn != MIR_CONN_DRAIN &&
	    m->conn != MIR_CONN_HELLO)
		mir_sess_restart(m, "the peer begins anew");
	m->have_hello = false;
	m->yours = msg->mine;
	if (mp_get_ident(&id, msg->data, msg->data_len, &why) == -1) {
		mir_sess_refuse(m, "greeting: %s", why);
		return;
	}
	if (id.node != m->c.peer) {
		mir_sess_refuse(m, "greeting: from node %u", id.node);
		return;
	}
	m->peer_id = id;
	m->have_hello = true;
	m->peer_primary = id.flags & MIR_I_PRIMARY;
	if (m->conn == MIR_CONN_HELLO)
		decide(m);
}

/* Corrections of what a lost message left behind, at this side. */
static void
apply_fix(struct mir *m)
{
	struct mmeta_slot *s = mir_slot(m);

	if (m->verdict.fix == MIR_FIX_FIN_SELF) {
		mir_push_history(m, s->bitmap);
		s->bitmap = 0;
	} else if (m->verdict.fix == MIR_FIX_UNDO_SELF) {
		s->bitmap = m->sb.history[0];
		memmove(m->sb.history, m->sb.history + 1,
		    (MMETA_HISTORY - 1) * sizeof(m->sb.history[0]));
		m->sb.history[MMETA_HISTORY - 1] = 0;
	}
}

/* The copies are equal, whatever was before. */
static void
enter_insync(struct mir *m)
{
	uint32_t flags = m->sb.flags;

	if (m->bits.count > 0) {
		mir_sess_restart(m, "blocks in doubt turned up");
		return;
	}
	m->sb.flags &= ~(uint32_t)(MMETA_F_CRASHED | MMETA_F_CRASHED_PRIMARY);
	m->sb.flags |= MMETA_F_UPTODATE;
	if (flags != m->sb.flags)
		mir_save(m);
	m->compared = true;
	mir_set_conn(m, MIR_CONN_INSYNC, m->verdict.rule);
}

/* A primary without a disk relies on this copy: the peer's is behind now. */
static void
owe_alone(struct mir *m)
{
	if (!m->attached || m->conn != MIR_CONN_NOCOPY || !m->peer_primary ||
	    !(m->peer_id.flags & MIR_I_NODISK) || m->alone_owed)
		return;
	if (mir_bump(m))
		mir_save(m);
	m->alone_seq = m->save_want;
	m->alone_owed = true;
	m->again = true;
}

static void
enter_nocopy(struct mir *m)
{
	bool peer_has = !(m->peer_id.flags & MIR_I_NODISK);

	if (m->attached && !peer_has)
		m->compared = true;
	if (!m->attached && m->sb.data_bytes == 0)
		m->sb.data_bytes = m->peer_id.size_bytes;
	mir_set_conn(
	    m, MIR_CONN_NOCOPY, peer_has ? "no disk here" : "no disk there");
	owe_alone(m);
}

static void
enter_bits(struct mir *m, bool source)
{
	apply_fix(m);
	if (source) {
		m->compared = true;
	} else {
		m->sb.flags &= ~(uint32_t)MMETA_F_UPTODATE;
		m->bits_at = 0;
		m->bits_wait = false;
	}
	m->begin_seq = mir_save(m);
	m->begin_wait = true;
	mir_set_conn(m, MIR_CONN_BITS, m->verdict.rule);
	mir_note(m, HAD_INFO, "", "resync %s %s, %s: %s",
	    source ? "to" : "from", m->c.peer_name,
	    m->verdict.full ? "full" : "of what changed", m->verdict.rule);
}

static void
on_verdict(struct mir *m, const struct mp_msg *msg)
{
	if (m->conn != MIR_CONN_HELLO || !m->sent_verdict)
		return;
	if (msg->arg != mir_verdict_code(mir_mirror(m->verdict))) {
		mir_set_conn(m, MIR_CONN_REFUSED,
		    "the nodes disagree about the direction");
		return;
	}
	switch (m->verdict.dir) {
	case MIR_DIR_NONE:
		if (!mmeta_blank(&m->sb)) {
			enter_insync(m);
			break;
		}
		m->both_blank = true;
		mir_set_conn(m, MIR_CONN_WAIT,
		    "both copies are new; the first primary's counts");
		break;
	case MIR_DIR_SOURCE:
	case MIR_DIR_TARGET:
		if (m->verdict.dir == MIR_DIR_TARGET && mir_meta_refuses(m))
			break;
		enter_bits(m, m->verdict.dir == MIR_DIR_SOURCE);
		break;
	case MIR_DIR_NOCOPY:
		enter_nocopy(m);
		break;
	case MIR_DIR_SPLIT:
		mir_set_conn(m, MIR_CONN_SPLIT, m->verdict.rule);
		break;
	case MIR_DIR_UNRELATED:
		mir_set_conn(m, MIR_CONN_REFUSED, m->verdict.rule);
		break;
	case MIR_DIR_WAIT:
	case MIR_DIR_N:
		mir_set_conn(m, MIR_CONN_WAIT, m->verdict.rule);
		break;
	}
}

/* Target: the next runs of dirty chunks. */
static void
tell_bits(struct mir *m)
{
	uint8_t *buf = m->load_buf;
	uint64_t bit, chunk = m->bits_at, end;
	size_t n = 0;
	struct mp_run run;

	while (n < MP_RUNS_MAX && !m->verdict.full &&
	       dm_next(&m->bits, chunk * MMETA_CHUNK_BITS, &bit)) {
		chunk = end = bit / MMETA_CHUNK_BITS;
		do
			end++;
		while (end * MMETA_CHUNK_BITS < m->bits.nbits &&
		       dm_next(&m->bits, end * MMETA_CHUNK_BITS, &bit) &&
		       bit / MMETA_CHUNK_BITS == end);
		run = (struct mp_run){(uint32_t)chunk, (uint32_t)(end - chunk)};
		mp_put_run(buf + MP_RUN_LEN * n++, &run);
		chunk = end;
	}
	m->bits_at = chunk;
	m->bits_wait = true;
	mir_tell(
	    m, MP_BITS, 0, n<MP_RUNS_MAX, n> 0 ? buf : NULL, n * MP_RUN_LEN);
	if (n < MP_RUNS_MAX)
		mir_set_conn(m, MIR_CONN_BEGIN, "waiting for the beginning");
}

/* Source: the union is complete; generations move before the first block. */
static void
begin_source(struct mir *m)
{
	struct mmeta_slot *s = mir_slot(m);

	if (m->verdict.full) {
		s->flags |= MMETA_S_FULL;
		mir_bits_set_all(m);
	}
	if (s->bitmap != 0) {
		mir_push_history(m, s->bitmap);
		s->bitmap += MIR_SYNC_STEP;
	}
	if (s->bitmap == 0)
		s->bitmap = mir_random(m);
	/* Until the peer says READY it may hold the same generation. */
	if (m->self_id.current == m->peer_id.current)
		s->flags |= MMETA_S_EVEN;
	else
		s->flags &= (uint8_t)~MMETA_S_EVEN;
	m->begin_seq = mir_save(m);
	m->begin_wait = true;
	mir_set_conn(m, MIR_CONN_BEGIN, "the peer's bitmap is here");
}

static void
on_bits(struct mir *m, const struct mp_msg *msg)
{
	uint64_t from, n;
	struct mp_run run;

	if (m->conn != MIR_CONN_BITS || m->verdict.dir != MIR_DIR_SOURCE) {
		mir_sess_refuse(m, "dirty map out of place");
		return;
	}
	for (size_t i = 0; i < msg->data_len; i += MP_RUN_LEN) {
		mp_get_run(&run, msg->data + i);
		from = (uint64_t)run.chunk * MMETA_CHUNK_BITS;
		n = (uint64_t)run.n * MMETA_CHUNK_BITS;
		if (n == 0 || from >= m->bits.nbits ||
		    from + n >= m->bits.nbits + MMETA_CHUNK_BITS) {
			mir_sess_refuse(m, "dirty map beyond the volume");
			return;
		}
		if (from + n > m->bits.nbits)
			n = m->bits.nbits - from;
		mir_bits_mark(m, from, n);
	}
	mir_tell(m, MP_BITS_ACK, 0, 0, NULL, 0);
	if (msg->arg != 0)
		begin_source(m);
}

static void
on_begin(struct mir *m, const struct mp_msg *msg)
{
	struct mp_begin b;

	mp_get_begin(&b, msg->data);
	if (m->conn != MIR_CONN_BEGIN || m->verdict.dir != MIR_DIR_TARGET ||
	    m->begin_wait || msg->arg == 0 || !m->attached) {
		mir_sess_refuse(m, "beginning out of place");
		return;
	}
	if (memcmp(b.volume_id, m->peer_id.volume_id, 16) != 0 ||
	    b.size_bytes != m->peer_id.size_bytes) {
		mir_sess_refuse(m, "beginning of another volume");
		return;
	}
	if (mmeta_blank(&m->sb)) {
		mir_resize(m, b.size_bytes);
		memcpy(m->sb.volume_id, b.volume_id, 16);
	}
	m->sb.current = msg->arg;
	mir_slot(m)->bitmap = 0;
	mir_slot(m)->flags &= (uint8_t)~MMETA_S_EVEN;
	m->sb.flags &= ~(
	    uint32_t)(MMETA_F_CONSISTENT | MMETA_F_UPTODATE | MMETA_F_DISCARD);
	m->sync_total = m->sync_left = msg->id;
	m->begin_seq = mir_save(m);
	m->begin_wait = true;
}

static void
on_ready(struct mir *m)
{
	if (m->conn != MIR_CONN_BEGIN || m->verdict.dir != MIR_DIR_SOURCE ||
	    m->begin_wait) {
		mir_sess_refuse(m, "ready out of place");
		return;
	}
	if (mir_slot(m)->flags & MMETA_S_EVEN) {
		mir_slot(m)->flags &= (uint8_t)~MMETA_S_EVEN;
		mir_save(m);
	}
	mir_set_conn(m, MIR_CONN_SOURCE, "the peer is ready");
	mir_sync_start(m);
}

/* What waited for the superblock goes on. */
static void
begin_go_on(struct mir *m)
{
	uint8_t buf[MP_BEGIN_LEN];
	struct mp_begin b;
	bool source = m->verdict.dir == MIR_DIR_SOURCE;

	m->begin_wait = false;
	if (m->conn == MIR_CONN_FINISH) {
		uint8_t hist[8 * MMETA_HISTORY];

		for (int i = 0; i < MMETA_HISTORY; i++)
			put_u64(hist + 8 * i, m->sb.history[i]);
		mir_tell(m, MP_FIN, 0, m->sb.current, hist, sizeof(hist));
	} else if (m->conn == MIR_CONN_BEGIN && source) {
		memcpy(b.volume_id, m->sb.volume_id, 16);
		b.size_bytes = m->sb.data_bytes;
		mp_put_begin(buf, &b);
		m->begin_total = m->bits.count * MMETA_BLOCK;
		mir_tell(m, MP_BEGIN, m->begin_total, mir_slot(m)->bitmap, buf,
		    sizeof(buf));
	} else if (m->conn == MIR_CONN_BEGIN) {
		mir_tell(m, MP_READY, 0, 0, NULL, 0);
		mir_set_conn(m, MIR_CONN_TARGET, "ready");
		mir_sync_start(m);
	} else if (m->conn == MIR_CONN_BITS && !source) {
		tell_bits(m);
	}
}

void
mir_sess_run(struct mir *m)
{
	if (m->conn == MIR_CONN_DOWN && m->view == MIR_PEER_UP)
		mir_set_conn(m, MIR_CONN_DRAIN, "connected");
	/*
	 * Writes that a forced demotion cut off may be on one disk only.  A
	 * resync under way takes such blocks along; here nobody would.
	 */
	if (m->conn == MIR_CONN_INSYNC && m->bits.count > 0)
		mir_sess_restart(m, "blocks in doubt turned up");
	if (m->conn == MIR_CONN_DRAIN && drained(m))
		greet(m);
	/* A source that cannot save goes on without, see mfail.c. */
	if (m->begin_wait && (mir_saved(m, m->begin_seq) || m->meta_bad))
		begin_go_on(m);
	if (m->alone_owed && mir_saved(m, m->alone_seq)) {
		m->alone_owed = false;
		mir_tell(m, MP_ALONE, 0, m->sb.current, NULL, 0);
	}
}

static void
on_role(struct mir *m, const struct mp_msg *msg)
{
	m->peer_primary = msg->arg != 0;
	owe_alone(m);
}

static void
on_alone(struct mir *m, const struct mp_msg *msg)
{
	if (m->conn != MIR_CONN_NOCOPY || m->attached)
		return;
	m->relied = true;
	m->exposed = msg->arg;
	m->recheck = true;
}

static void
dispatch(struct mir *m, const struct mp_msg *msg)
{
	switch (msg->type) {
	case MP_VERDICT:
		on_verdict(m, msg);
		break;
	case MP_BITS:
		on_bits(m, msg);
		break;
	case MP_BITS_ACK:
		if (m->conn == MIR_CONN_BITS && m->bits_wait)
			tell_bits(m);
		break;
	case MP_BEGIN:
		on_begin(m, msg);
		break;
	case MP_READY:
		on_ready(m);
		break;
	case MP_ACK:
		if (!mir_piece_ack(m, msg))
			mir_req_ack(m, msg);
		break;
	case MP_DATA:
		mir_read_data(m, msg);
		break;
	case MP_FIN:
		mir_fin_msg(m, msg);
		break;
	case MP_FIN_ACK:
		mir_fin_ack(m);
		break;
	case MP_ALONE:
		on_alone(m, msg);
		break;
	case MP_ROLE:
		on_role(m, msg);
		break;
	case MP_INVALIDATE:
		mir_invalidate(m, msg);
		break;
	case MP_INVALIDATED:
		mir_invalidated(m, msg);
		break;
	default:
		mir_rep_msg(m, msg);
		break;
	}
}

void
mir_msg(struct mir *m, const struct mir_event *ev)
{
	struct mp_msg msg;
	const char *why;

	if (ev->u.msg.from != m->c.peer)
		return;
	if (mp_get(&msg, ev->u.msg.bytes, ev->u.msg.len, &why) == -1) {
		mir_sess_refuse(m, "malformed message: %s", why);
		return;
	}
	m->received_bytes += msg.data_len;
	m->again = true;
	if (msg.type == MP_HELLO)
		on_hello(m, &msg);
	else if (msg.type == MP_REFUSE)
		on_refuse(m, &msg);
	else if (m->have_hello && m->conn != MIR_CONN_DRAIN &&
		 m->conn != MIR_CONN_DOWN && msg.mine == m->yours &&
		 msg.yours == m->mine)
		dispatch(m, &msg);
}
