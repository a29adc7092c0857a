/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state without its history.  Generations, numbers of sessions, serials
 * and numbers of saves are arbitrary: of each only what it is equal to
 * counts, in the order in which they are met here.
 */
#include <string.h>

#include "mir_world.h"
#include "wire.h"

enum { IDS = 128 };
#define LOW_48 ((UINT64_C(1) << 48) - 1)

static uint64_t sum;
static uint64_t gens[IDS];
static unsigned n_gens;
static uint32_t sessions[NODES][IDS];
static unsigned n_sessions[NODES];

static void
mix(uint64_t v)
{
	sum = (sum ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	sum ^= sum >> 29;
}

/* A generation; what was made from another by a step keeps that relation. */
static void
gen(uint64_t id)
{
	unsigned k = 0;

	if (id == 0) {
		mix(0);
		return;
	}
	while (k < n_gens && (gens[k] & LOW_48) != (id & LOW_48))
		k++;
	if (k == n_gens) {
		ASSERT(n_gens < IDS);
		gens[n_gens++] = id;
	}
	mix(k + 1 + (((id >> 48) - (gens[k] >> 48)) << 16));
}

static void
session(unsigned node, uint32_t number)
{
	unsigned k = 0;

	if (number == 0) {
		mix(0);
		return;
	}
	while (k < n_sessions[node] && sessions[node][k] != number)
		k++;
	if (k == n_sessions[node]) {
		ASSERT(k < IDS);
		sessions[node][n_sessions[node]++] = number;
	}
	mix(k + 1);
}

static void
superblock(const struct mmeta_sb *sb)
{
	static const uint8_t blank[16];

	mix(sb->flags | (uint64_t)sb->slot[0].flags << 32 |
	    (uint64_t)(memcmp(sb->volume_id, blank, 16) == 0) << 40);
	gen(sb->current);
	gen(sb->slot[0].bitmap);
	for (unsigned i = 0; i < MMETA_HISTORY; i++)
		gen(sb->history[i]);
}

static void
ident(const struct mir_ident *id)
{
	mix(id->flags | (uint64_t)(id->dirty_bytes != 0) << 32);
	gen(id->current);
	gen(id->bitmap);
	for (unsigned i = 0; i < MMETA_HISTORY; i++)
		gen(id->history[i]);
}

static void
map(const struct dirtymap *d)
{
	mix(d->words[0]);
}

/* Which save is meant: one that is through, the one under way, a later one? */
static void
save_number(const struct mir *m, uint64_t number)
{
	if (m->save_done >= number)
		mix(0);
	else
		mix(m->save != SAVE_IDLE && m->save_run >= number ? 1 : 2);
}

/* A request or operation by its place in line, not by the slot it got. */
static unsigned
req_place(const struct mir *m, unsigned slot)
{
	const struct mreq *r;
	unsigned n = 1;

	TAILQ_FOREACH (r, &m->req_active, link) {
		if (r == &m->reqs[slot])
			return n;
		n++;
	}
	return 0;
}

static unsigned
rep_place(const struct mir *m, unsigned slot)
{
	const struct mrep *p;
	unsigned n = 1;

	TAILQ_FOREACH (p, &m->rep_active, link) {
		if (p == &m->reps[slot])
			return n;
		n++;
	}
	return 0;
}

/* What an io number of that node belongs to. */
static unsigned
io_place(unsigned i, uint32_t io)
{
	unsigned kind = io >> 16, slot = io & 0xffff;

	if (kind == IO_REQ)
		slot = req_place(cores[i], slot);
	else if (kind == IO_REP)
		slot = rep_place(cores[i], slot);
	return kind << 8 | slot;
}

/* The number by which an operation is answered. */
static void
serial(unsigned owner, uint64_t id)
{
	const struct mir *m = cores[owner];
	unsigned k = id & 0xffff;
	bool piece = id & 1 << 16;

	if (W.node[owner].state == ST_OFF)
		mix(0);
	else if (piece)
		mix(m->pieces[k].serial == id >> 17 ? 64 + k : 0);
	else
		mix(m->reqs[k].serial == id >> 17 ? req_place(m, k) : 0);
}

static void
lock(const struct mir *m, const struct rl_entry *e)
{
	uintptr_t p = (uintptr_t)e;

	if (p >= (uintptr_t)m->reqs && p < (uintptr_t)(m->reqs + m->c.reqs_max))
		mix(req_place(m,
		    (unsigned)((p - (uintptr_t)m->reqs) / sizeof(*m->reqs))));
	else if (p >= (uintptr_t)m->reps &&
		 p < (uintptr_t)(m->reps + m->c.peer_slots))
		mix(32 + rep_place(m, (unsigned)((p - (uintptr_t)m->reps) /
						 sizeof(*m->reps))));
	else
		mix(64 + (p - (uintptr_t)m->pieces) / sizeof(*m->pieces));
	mix(e->off | e->len << 24 | (uint64_t)e->granted << 48);
}

static void
requests(unsigned i)
{
	const struct mir *m = cores[i];
	const struct mreq *r;
	const struct rl_entry *e;

	TAILQ_FOREACH (r, &m->req_active, link)
		mix(req_place(m, (unsigned)(r - m->reqs)) |
		    (uint64_t)r->phase << 8 | (uint64_t)r->local << 12 |
		    (uint64_t)r->remote << 16 | (uint64_t)r->cmd << 20 |
		    (uint64_t)r->aborted << 24 | (uint64_t)r->internal << 25 |
		    (uint64_t)r->error << 26 | (uint64_t)r->off << 40);
	mix(1);
	TAILQ_FOREACH (r, &m->sendq, send)
		mix(req_place(m, (unsigned)(r - m->reqs)));
	mix(2);
	TAILQ_FOREACH (r, &m->ireqs, iwait)
		mix(req_place(m, (unsigned)(r - m->reqs)));
	mix(3);
	TAILQ_FOREACH (e, &m->locks.list, link)
		lock(m, e);
	/* The order in which slots are taken shows in numbers only. */
	mix(4);
}

static void
operations(unsigned i)
{
	const struct mir *m = cores[i];
	const struct mrep *p;
	uint64_t v;

	TAILQ_FOREACH (p, &m->rep_active, link) {
		memcpy(&v, p->buf, 8);
		mix(rep_place(m, (unsigned)(p - m->reps)) |
		    (uint64_t)p->phase << 8 | (uint64_t)p->type << 12 |
		    (uint64_t)p->off << 24);
		mix(v | (uint64_t)p->len << 32);
		session(i, p->session);
		serial(other(i), p->id);
	}
	mix(5);
	TAILQ_FOREACH (p, &m->ireps, iwait)
		mix(rep_place(m, (unsigned)(p - m->reps)));
	for (unsigned k = 0; k < m->c.resync_pieces; k++) {
		const struct mpiece *q = &m->pieces[k];

		mix((uint64_t)q->state);
		if (q->state == P_FREE)
			continue;
		memcpy(&v, q->buf, 8);
		mix(q->off | (uint64_t)q->len << 24 |
		    (uint64_t)q->aborted << 48 | (uint64_t)q->zero << 49);
		mix(v);
	}
}

static void
maps(const struct mir *m)
{
	map(&m->bits);
	map(&m->bpage_dirty);
	map(&m->bpage_wait);
	map(&m->intent);
	map(&m->istable);
	mix(m->ipage_busy.count > 0 ? m->isnap.words[0] : 0);
	map(&m->itouched);
	map(&m->icand);
	map(&m->ipage_dirty);
	map(&m->ipage_busy);
	for (unsigned k = 0; k < META_IOS; k++) {
		mix(m->bio[k].busy | (uint64_t)m->iio[k].busy << 1 |
		    (uint64_t)(m->bio[k].busy && m->bio[k].seq > m->bwait_seq)
			<< 2);
	}
}

static void
role(const struct mir *m)
{
	mix(m->started | m->stopped << 1 | m->own_right << 2 | m->doubt << 3 |
	    m->compared << 4 | m->primary << 5 | m->op_force << 6 |
	    m->op_first << 7 | m->flush_busy[0] << 8 | m->flush_busy[1] << 9 |
	    m->flush_busy[2] << 10 | m->failed << 11 | m->attached << 12 |
	    m->meta_bad << 13 | m->meta_trial << 14 | m->solo << 15 |
	    m->told_doubt << 16 | m->told_durable << 17 | m->told_relied << 18 |
	    m->told_hold << 19 | m->recheck << 20 | m->relied << 21 |
	    m->clean_all << 22 | m->full_new << 23 |
	    (m->clean_at.us != MT_NEVER.us) << 24 |
	    (m->save_done != m->save_want) << 25 | m->meta_clean << 26 |
	    (m->meta_at.us != MT_NEVER.us) << 27 |
	    !mt_before(W.now, m->meta_at) << 28);
	mix((uint64_t)m->view | (uint64_t)m->op << 4 | (uint64_t)m->load << 12 |
	    (uint64_t)m->save << 16 | (uint64_t)m->clean << 20 |
	    (uint64_t)m->mode << 24);
	/* Epochs only grow, and a disk's is never above its node's. */
	mix(m->op != OP_NONE && m->op_epoch < m->epoch);
	if (m->op != OP_NONE)
		save_number(m, m->op_seq);
	save_number(m, m->solo_seq);
	if (m->begin_wait || m->load != LOAD_NONE)
		save_number(m, m->begin_seq);
	if (m->alone_owed)
		save_number(m, m->alone_seq);
	if (m->fin == FIN_SAVE)
		save_number(m, m->fin_seq);
	if (m->meta_trial)
		save_number(m, m->meta_seq);
	if (!m->attached)
		gen(m->exposed);
}

static void
connection(unsigned i)
{
	const struct mir *m = cores[i];

	mix((uint64_t)m->conn | m->have_hello << 8 | m->sent_verdict << 9 |
	    m->peer_primary << 10 | m->both_blank << 11 | m->begin_wait << 12 |
	    m->bits_wait << 13 | m->alone_owed << 14 | m->inval_wait << 15 |
	    (uint64_t)m->fin << 16 | m->sync_slow << 20 |
	    (m->view_link == W.node[i].link) << 21);
	session(i, m->mine);
	session(other(i), m->yours);
	/* In a session that got further they are a thing of the past. */
	if (m->conn == MIR_CONN_HELLO || m->conn == MIR_CONN_BITS ||
	    m->conn == MIR_CONN_BEGIN || m->conn >= MIR_CONN_WAIT)
		ident(&m->self_id);
	if (m->conn > MIR_CONN_HELLO && m->conn != MIR_CONN_INSYNC)
		mix((uint64_t)m->verdict.dir | (uint64_t)m->verdict.full << 8 |
		    (uint64_t)m->verdict.fix << 16);
	if (m->have_hello &&
	    (m->conn < MIR_CONN_INSYNC || m->conn >= MIR_CONN_WAIT))
		ident(&m->peer_id);
	mix((m->conn == MIR_CONN_BITS ? m->bits_at : 0) |
	    (m->conn == MIR_CONN_SOURCE ? m->sync_at : 0) << 16 |
	    (uint64_t)m->cr_ops << 32 | (uint64_t)m->n_pieces << 40);
	mix(m->cr_bytes);
	if (m->fin != FIN_NONE) {
		gen(m->fin_current);
		for (unsigned k = 0; k < MMETA_HISTORY; k++)
			gen(m->fin_history[k]);
	}
}

static void
core(unsigned i)
{
	role(cores[i]);
	superblock(&cores[i]->sb);
	maps(cores[i]);
	connection(i);
	requests(i);
	operations(i);
}

static void
page(uint32_t number, enum place place)
{
	const struct mmeta_sb *sb;

	if (place == AT_INTENT || place == AT_BITMAP) {
		mix(world_bits(
		    number, place == AT_INTENT ? MMETA_INTENT : MMETA_BITMAP));
		return;
	}
	sb = world_sb(number);
	mix(sb != NULL);
	if (sb != NULL)
		superblock(sb);
}

/* Which copy of the superblock is the older one? */
static unsigned
older(unsigned i)
{
	const struct disk *d = &W.node[i].disk;
	const struct mmeta_sb *a = world_sb(d->page[AT_SB_A]);
	const struct mmeta_sb *b = world_sb(d->page[AT_SB_B]);

	if (a == NULL || b == NULL)
		return a == NULL ? AT_SB_A : AT_SB_B;
	if (a->gen == b->gen && W.node[i].state != ST_OFF)
		return 1 - (unsigned)cores[i]->sb_copy;
	return a->gen < b->gen ? AT_SB_A : AT_SB_B;
}

static void
operation(unsigned i, const struct op *o, unsigned old)
{
	const struct disk *d = &W.node[i].disk;
	unsigned later = 0; /* which of the flushes it is */

	for (unsigned q = 0; q < OPS && o->io.cmd == MIR_FLUSH; q++)
		later += d->ops[q].used && d->ops[q].age < o->age &&
			 d->ops[q].io.cmd == MIR_FLUSH;
	mix(io_place(i, o->io.io) | (uint64_t)later << 32 |
	    (uint64_t)(o->io.cmd == MIR_FLUSH && o->age < d->flushed) << 40);
	if (o->io.area == MIR_META && o->io.cmd == MIR_WRITE) {
		page(o->page, o->place);
		mix(o->place <= AT_SB_B && o->place == old);
	}
	for (unsigned c = 0; c < C->cells; c++)
		mix(o->value[c] | (uint64_t)o->cells << 8);
}

static void
disk(unsigned i)
{
	const struct disk *d = &W.node[i].disk;
	unsigned old = older(i);
	uint64_t before, all = 0;

	page(d->page[old], old);
	page(d->page[1 - old], 1 - old);
	page(d->page[AT_INTENT], AT_INTENT);
	page(d->page[AT_BITMAP], AT_BITMAP);
	if (W.node[i].state != ST_OFF)
		mix(cores[i]->sb_copy == (int)old);
	for (unsigned c = 0; c < C->cells; c++)
		mix(d->cur[c] | (uint64_t)d->stable[c] << 8);
	before = sum;
	for (unsigned k = 0; k < OPS; k++) {
		if (!d->ops[k].used)
			continue;
		sum = before;
		operation(i, &d->ops[k], old);
		all += sum;
	}
	sum = before;
	mix(all);
}

static void
letter(unsigned to, const struct msg *l)
{
	struct mp_msg m;
	struct mir_ident id;
	const char *why;
	static uint8_t bytes[MIR_MSG_MAX];
	bool answer;

	memcpy(bytes, l->bytes, l->len);
	ASSERT(mp_get(&m, bytes, l->len + l->data_len, &why) == 0);
	answer = m.type == MP_ACK || m.type == MP_DATA;
	mix(m.type | (uint64_t)m.len << 16 | (uint64_t)m.off << 40);
	session(other(to), m.mine);
	session(to, m.yours);
	mix(l->value);
	switch (m.type) {
	case MP_HELLO:
		ASSERT(mp_get_ident(&id, m.data, m.data_len, &why) == 0);
		ident(&id);
		break;
	case MP_BEGIN:
	case MP_FIN:
		gen(m.arg);
		for (size_t k = 0; m.type == MP_FIN && k < MMETA_HISTORY; k++)
			gen(get_u64(m.data + 8 * k));
		break;
	case MP_ACK:
	case MP_DATA:
	case MP_WRITE:
	case MP_FLUSH:
	case MP_PIECE:
	case MP_PIECE_ZERO:
		serial(answer ? to : other(to), m.id);
		if (answer)
			mix(m.arg);
		break;
	default:
		mix(m.arg);
		for (size_t k = 0; k < m.data_len && l->data_len == 0; k++)
			mix(m.data[k]);
		break;
	}
	memset(bytes, 0, l->len);
}

static void
node(unsigned i)
{
	const struct node *n = &W.node[i];

	mix((uint64_t)n->state | n->frozen << 4 | n->stopping << 5 |
	    n->session << 6 | n->own_right << 7 | n->met << 8 |
	    n->no_lease << 9 | n->solo << 10 | n->owner << 11 |
	    n->unclean << 12 | n->lost << 13 | n->sick << 14);
	for (unsigned k = 0; k < REQS; k++)
		mix(n->req[k].used | (uint64_t)n->req[k].cell << 8 |
		    (uint64_t)n->req[k].version << 16);
	if (n->state != ST_OFF)
		core(i);
	disk(i);
	for (unsigned k = 0; k < n->n_in; k++)
		letter(i, &n->in[k]);
	mix(7);
}

struct under_way {
	uint32_t age, name;
};

/* What is under way at a node, the oldest first. */
static unsigned
collect(unsigned i, struct under_way *u, unsigned n)
{
	const struct node *o = &W.node[i];
	struct under_way x;
	unsigned at;

	for (unsigned k = 0; k < OPS + (unsigned)o->n_in; k++) {
		if (k < OPS && !o->disk.ops[k].used)
			continue;
		x.age = k < OPS ? o->disk.ops[k].age : o->in[k - OPS].age;
		x.name = i << 31 | (k < OPS ? io_place(i, o->disk.ops[k].io.io)
					    : 0xff00u + k);
		for (at = n++; at > 0 && u[at - 1].age > x.age; at--)
			u[at] = u[at - 1];
		u[at] = x;
	}
	return n;
}

/* The order decides what comes next, unless every order is tried. */
static void
ages(void)
{
	struct under_way u[NODES * (OPS + MSGS)];
	unsigned n = 0;

	if (C->order == ORDER_ANY)
		return;
	for (unsigned i = 0; i < NODES; i++) {
		n = collect(i, u, n);
		if (C->order != ORDER_FIRST && C->order != ORDER_SECOND)
			continue;
		for (unsigned k = 0; k < n; k++)
			mix(u[k].name);
		n = 0;
	}
	for (unsigned k = 0; k < n; k++)
		mix(u[k].name);
}

uint64_t
world_hash(void)
{
	sum = 1;
	n_gens = n_sessions[0] = n_sessions[1] = 0;
	mix(W.joined | W.cut << 1 | W.rift << 2 | (uint64_t)W.sole << 4 |
	    (uint64_t)W.apart << 8 | (uint64_t)W.resolved << 12 |
	    (uint64_t)W.n_versions << 16 | (uint64_t)W.acked << 24 |
	    (uint64_t)W.acked_alone[0] << 32 |
	    (uint64_t)W.acked_alone[1] << 40);
	mix(W.writes | (uint64_t)W.faults << 8 | (uint64_t)W.admin << 16 |
	    (uint64_t)W.rifts << 24);
	mix(W.node[0].epoch - W.node[1].epoch);
	for (unsigned v = 1; v <= W.n_versions; v++)
		mix(W.parent[v] | (uint64_t)W.cell[v] << 8);
	node(0);
	node(1);
	ages();
	return sum;
}
