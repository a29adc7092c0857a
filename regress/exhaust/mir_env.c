/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may happen to the two copies: what is under way comes to pass, the
 * rest as src/node*.c and the member core behind it allow.
 *
 *  - INERT after boot and after R8: demoted, not connected.
 *  - PAIRED on both sides: connected while there is an association.
 *  - ALONE: only when the other is off, frozen (it is told before it does
 *    anything again), without a lease, or INERT; by right of its own if its
 *    record says that it was the last one that acted (R1), else without: an
 *    arbiter's word says nothing about data.
 *  - A rift: both ALONE with both alive, which no arbitration should allow.
 *  - One owner of the service, who is promoted.
 */
#include <stdio.h>
#include <string.h>

#include "mir_world.h"

enum { OUTCOMES_MAX = 96 };

static const char *const type_names[EV_TYPES] = {
    [EV_DELIVER] = "receives",
    [EV_IO] = "disk",
    [EV_CLEAN] = "cleans up its intents",
    [EV_NOTICE] = "notices that the connection is lost",
    [EV_RETRY] = "tries its metadata again",
    [EV_RESTART] = "is restarted, for its disk",
    [EV_BOOT] = "boots",
    [EV_PAIR] = "the nodes pair",
    [EV_HEAL] = "the link is back",
    [EV_ALONE] = "goes on alone",
    [EV_NO_LEASE] = "has lost its lease and is demoted",
    [EV_PROMOTE] = "promote",
    [EV_THAW] = "thaws, in doubt",
    [EV_DECIDE] = "the doubt is over",
    [EV_RESOLVE] = "the operator keeps this copy",
    [EV_WRITE] = "WRITE",
    [EV_DEMOTE] = "DEMOTE",
    [EV_STOP] = "STOP",
    [EV_CUT] = "CUT: the link breaks",
    [EV_FREEZE] = "FREEZE",
    [EV_CRASH] = "CRASH of the daemon",
    [EV_POWER] = "POWER CUT",
    [EV_ERROR] = "ERROR",
};

/* How the operations under way and the cache may end. */
static unsigned
outcomes(unsigned i, bool power)
{
	const struct disk *d = &W.node[i].disk;
	unsigned n = 1;

	for (unsigned k = 0; k < OPS; k++) {
		const struct op *o = &d->ops[k];

		if (!o->used || o->io.cmd == MIR_READ || o->io.cmd == MIR_FLUSH)
			continue;
		n *= o->io.area == MIR_META && o->place <= AT_SB_B ? 3 : 2;
	}
	for (unsigned c = 0; power && c < C->cells; c++)
		if (d->cur[c] != d->stable[c])
			n *= 2;
	return n < OUTCOMES_MAX ? n : OUTCOMES_MAX;
}

/* Does the other node have all that was acknowledged? */
static bool
has_all(unsigned i)
{
	const struct node *n = &W.node[i];

	return !n->unclean && (W.sole == 0 || W.sole == 1 << i) &&
	       (n->state == ST_OFF ||
		   mir_disk_state(cores[i]) == MIR_DISK_UPTODATE);
}

static void
crash(unsigned i, bool power, unsigned outcome)
{
	struct node *n = &W.node[i];
	struct disk *d = &n->disk;
	unsigned way;

	/*
	 * A node cannot tell a crash of its daemon from a power cut: after two
	 * failures the better copy is not known any more.
	 */
	if ((power || W.node[other(i)].lost) && !has_all(other(i)))
		W.acked = 0;
	for (unsigned k = 0; k < OPS; k++) {
		struct op *o = &d->ops[k];

		if (!o->used || o->io.cmd == MIR_READ || o->io.cmd == MIR_FLUSH)
			continue;
		way = 2;
		if (o->io.area == MIR_META && o->place <= AT_SB_B)
			way = 3;
		if (outcome % way == 1)
			world_perform(i, o);
		else if (outcome % way == 2)
			d->page[o->place] = DEAD_PAGE;
		outcome /= way;
	}
	for (unsigned c = 0; power && c < C->cells; c++) {
		if (d->cur[c] == d->stable[c])
			continue;
		if (outcome % 2 == 0)
			d->cur[c] = d->stable[c];
		else
			d->stable[c] = d->cur[c];
		outcome /= 2;
	}
	n->unclean = true;
	n->lost |= power;
	world_halt(i);
}

/* Is the other node out of the way of this one? */
static bool
out_of_the_way(unsigned i)
{
	const struct node *o = &W.node[other(i)];

	return o->state == ST_OFF || o->frozen || o->no_lease ||
	       o->state == ST_INERT;
}

static bool
may_alone(unsigned i, enum why_alone why)
{
	const struct node *n = &W.node[i], *o = &W.node[other(i)];

	if (!world_running(i) || n->stopping || n->no_lease)
		return false;
	switch (why) {
	case ALONE_PAIRED:
		return n->state == ST_PAIRED && out_of_the_way(i) &&
		       (!W.joined || o->frozen);
	case ALONE_SOLO:
		return n->state == ST_INERT && n->solo &&
		       (o->state == ST_OFF ||
			   (o->state == ST_INERT && !o->solo && W.cut));
	case ALONE_BLIND:
		return n->state == ST_INERT && !n->solo && o->state == ST_OFF;
	case ALONE_RIFT:
		return W.rifts > 0 && W.cut && o->state != ST_OFF &&
		       (n->state == ST_PAIRED || n->state == ST_INERT) &&
		       !out_of_the_way(i);
	}
	return false;
}

static void
alone(unsigned i, enum why_alone why)
{
	struct node *n = &W.node[i], *o = &W.node[other(i)];
	enum mir_disk disk = mir_disk_state(cores[i]);
	bool right = why == ALONE_SOLO || why == ALONE_RIFT;
	bool behind = (!n->met && !n->own_right) ||
		      (disk != MIR_DISK_UPTODATE && disk != MIR_DISK_BLANK);

	if (why == ALONE_RIFT) {
		W.rift = true;
		W.rifts--;
	} else {
		o->owner = false;
	}
	world_lose_messages();
	n->session = false;
	n->epoch++;
	n->own_right = right;
	n->solo = right || !behind;
	n->state = ST_ALONE;
	world_view(i);
}

/* R8: the other has acted without this one. */
static void
overtaken(unsigned i)
{
	struct node *n = &W.node[i];

	n->state = ST_INERT;
	n->session = n->own_right = n->owner = n->no_lease = n->solo = false;
	world_view(i);
}

static void
pair(void)
{
	struct node *a = &W.node[0], *b = &W.node[1];
	uint64_t epoch = a->epoch > b->epoch ? a->epoch : b->epoch;

	if (a->state == ST_INERT && b->state == ST_INERT)
		epoch++;
	/* Whoever was left behind, or lost a race, gives up everything. */
	if (a->state != ST_INERT && a->epoch < b->epoch)
		overtaken(0);
	if (b->state != ST_INERT &&
	    (b->epoch < a->epoch ||
		(a->state == ST_ALONE && b->state == ST_ALONE)))
		overtaken(1);
	world_lose_messages();
	W.joined = true;
	for (unsigned i = 0; i < NODES; i++) {
		struct node *n = &W.node[i];

		n->epoch = epoch;
		n->state = ST_PAIRED;
		n->own_right = n->solo = n->no_lease = false;
		if (n->session) { /* that one is over */
			n->session = false;
			world_view(i);
		}
	}
	for (unsigned i = 0; i < NODES; i++) {
		W.node[i].session = true;
		W.node[i].link++;
		world_view(i);
	}
}

static bool
may_pair(void)
{
	for (unsigned i = 0; i < NODES; i++)
		if (!world_running(i) || W.node[i].stopping ||
		    W.node[i].state == ST_DOUBT)
			return false;
	return !W.cut && !W.joined;
}

static bool
may_promote(unsigned i)
{
	const struct node *n = &W.node[i], *o = &W.node[other(i)];

	if (!world_running(i) || n->owner || n->stopping || n->no_lease)
		return false;
	if (cores[i]->primary || cores[i]->op != OP_NONE)
		return false;
	if (n->state == ST_PAIRED)
		return !o->owner;
	return n->state == ST_ALONE && (!o->owner || W.rift);
}

static bool
may_write(unsigned i, unsigned cell)
{
	const struct node *n = &W.node[i];
	bool room = false, fresh = true;

	for (unsigned v = 1; v <= W.n_versions && cell > 0; v++)
		fresh &= W.cell[v] + 1u < cell;
	/* One extent is as good as another: they are used in order. */
	if (cell > 0 && fresh)
		return false;
	if (W.writes == 0 || !world_running(i) || !cores[i]->primary ||
	    cores[i]->op >= OP_DEMOTE_DRAIN || n->state == ST_DOUBT)
		return false;
	for (unsigned k = 0; k + 1 < REQS; k++) {
		room |= !n->req[k].used;
		if (n->req[k].used && n->req[k].cell == cell)
			return false;
	}
	return room;
}

static void
write_cell(unsigned i, unsigned cell)
{
	struct mir_event e = {.type = MIR_REQ};
	struct node *n = &W.node[i];
	unsigned k = n->req[0].used ? 1 : 0, at = i;

	if (!cores[i]->attached)
		at = other(i);

	W.writes--;
	W.n_versions++;
	W.cell[W.n_versions] = (uint8_t)cell;
	W.parent[W.n_versions] = W.node[at].disk.cur[cell];
	n->req[k] = (struct req){true, (uint8_t)cell, W.n_versions};
	e.u.req.cookie = k;
	e.u.req.cmd = MIR_WRITE;
	e.u.req.off = (uint64_t)cell * MMETA_CHUNK;
	e.u.req.len = MMETA_BLOCK;
	e.u.req.buf = world_req_buf(i, k, W.n_versions);
	world_step(i, &e);
}

static void
order(unsigned i, enum mir_ev type)
{
	struct mir_event e = {.type = type};

	if (type == MIR_PROMOTE) {
		W.node[i].owner = true;
		e.u.promote.token = TOKEN_PROMOTE;
		e.u.promote.epoch = W.node[i].epoch;
	} else if (type == MIR_DEMOTE) {
		e.u.demote.token = TOKEN_DEMOTE;
	} else if (type == MIR_STOP) {
		W.node[i].stopping = true;
		e.u.stop.token = TOKEN_STOP;
	} else {
		e.u.resync.token = TOKEN_RESYNC;
		e.u.resync.from = (uint8_t)(i + 1);
	}
	world_step(i, &e);
}

/* The daemon ran again: before anything else it is told to doubt. */
static void
thaw(unsigned i)
{
	W.node[i].frozen = false;
	if (W.node[i].state == ST_PAIRED)
		W.node[i].state = ST_DOUBT;
	world_view(i);
}

static void
decide(unsigned i)
{
	struct node *n = &W.node[i];

	if (W.node[other(i)].epoch > n->epoch) {
		overtaken(i);
		return;
	}
	n->state = ST_PAIRED;
	world_view(i);
}

static void
clean(unsigned i)
{
	struct mir_event e = {.type = MIR_TIMER};

	if (mt_before(W.now, cores[i]->clean_at))
		W.now = cores[i]->clean_at;
	world_step(i, &e);
}

static void
retry(unsigned i)
{
	struct mir_event e = {.type = MIR_TIMER};

	if (mt_before(W.now, cores[i]->meta_at))
		W.now = cores[i]->meta_at;
	world_step(i, &e);
}

/* With what was answered it is as when a daemon crashes. */
static void
error(unsigned i, unsigned arg)
{
	if (W.node[other(i)].lost && !has_all(other(i)))
		W.acked = 0;
	world_error(i, arg & (ERROR_DONE - 1), arg & ERROR_DONE);
}

static void
cut(void)
{
	W.cut = true;
	world_lose_messages();
}

/* What somebody does, or a fault. */
static void
act(struct event e)
{
	unsigned i = e.node;

	switch ((enum ev_type)e.type) {
	case EV_WRITE:
		write_cell(i, e.arg);
		break;
	case EV_DEMOTE:
		W.admin--;
		order(i, MIR_DEMOTE);
		break;
	case EV_STOP:
		W.admin--;
		order(i, MIR_STOP);
		break;
	case EV_CUT:
		W.faults--;
		cut();
		break;
	case EV_FREEZE:
		W.faults--;
		W.node[i].frozen = true;
		break;
	case EV_CRASH:
	case EV_POWER:
		W.faults--;
		crash(i, e.type == EV_POWER, e.arg);
		break;
	case EV_ERROR:
		W.faults--;
		error(i, e.arg);
		break;
	default:
		ASSERT(false);
	}
}

/* Others go on by themselves. */
void
env_apply(struct event e)
{
	unsigned i = e.node;

	broken = NULL;
	switch ((enum ev_type)e.type) {
	case EV_DELIVER:
		world_deliver(i);
		break;
	case EV_IO:
		world_io(i, e.arg);
		break;
	case EV_CLEAN:
		clean(i);
		break;
	case EV_RETRY:
		retry(i);
		break;
	case EV_RESTART:
		crash(i, false, 0);
		break;
	case EV_NOTICE:
		W.node[i].session = false;
		world_view(i);
		break;
	case EV_BOOT:
		world_boot(i);
		break;
	case EV_PAIR:
		pair();
		break;
	case EV_HEAL:
		W.cut = false;
		break;
	case EV_ALONE:
		alone(i, e.arg);
		break;
	case EV_NO_LEASE:
		W.node[i].no_lease = true;
		W.node[i].owner = false;
		world_view(i);
		break;
	case EV_PROMOTE:
		order(i, MIR_PROMOTE);
		break;
	case EV_THAW:
		thaw(i);
		break;
	case EV_DECIDE:
		decide(i);
		break;
	case EV_RESOLVE:
		W.resolved = (uint8_t)(1 << i);
		order(i, MIR_RESYNC);
		break;
	default:
		act(e);
		break;
	}
}

struct list {
	struct event *at;
	unsigned n, max;
};

static void
add(struct list *l, enum ev_type type, unsigned node, unsigned arg)
{
	ASSERT(l->n < l->max);
	l->at[l->n++] =
	    (struct event){(uint8_t)type, (uint8_t)node, (uint16_t)arg};
}

unsigned
env_internals(struct event *at, unsigned max)
{
	struct list l = {at, 0, max};

	for (unsigned i = 0; i < NODES; i++) {
		if (!world_running(i))
			continue;
		if (W.node[i].n_in > 0)
			add(&l, EV_DELIVER, i, 0);
		for (unsigned k = 0; k < OPS; k++)
			if (W.node[i].disk.ops[k].used)
				add(&l, EV_IO, i, k);
	}
	return l.n;
}

/* Smaller is earlier. */
static uint64_t
rank(struct event e)
{
	const struct node *n = &W.node[e.node];
	bool net = e.type == EV_DELIVER;
	uint64_t age = net ? n->in[0].age : n->disk.ops[e.arg].age;

	switch (C->order) {
	case ORDER_DISK:
		return (uint64_t)net << 32 | age;
	case ORDER_NET:
		return (uint64_t)!net << 32 | age;
	case ORDER_FIRST:
		return (uint64_t)e.node << 32 | age;
	case ORDER_SECOND:
		return (uint64_t)!e.node << 32 | age;
	case ORDER_LAST:
		return UINT32_MAX - age;
	case ORDER_AGE:
	case ORDER_ANY:
	case ORDERS:
		break;
	}
	return age;
}

bool
env_internal(struct event *first)
{
	struct event all[EVENTS_MAX];
	unsigned n = env_internals(all, NITEMS(all));

	for (unsigned k = 0; k < n; k++)
		if (k == 0 || rank(all[k]) < rank(*first))
			*first = all[k];
	return n > 0;
}

static bool
may_clean(unsigned i)
{
	const struct mir *m = cores[i];

	return world_running(i) && m->clean == CLEAN_IDLE &&
	       m->load == LOAD_NONE && m->clean_at.us != MT_NEVER.us;
}

static bool
may_retry(unsigned i)
{
	return world_running(i) && cores[i]->meta_bad &&
	       cores[i]->meta_at.us != MT_NEVER.us;
}

/* Its disk is of no use any more, until it is opened anew. */
static bool
may_restart(unsigned i)
{
	const struct mir *m = cores[i];

	return world_running(i) && W.node[i].sick &&
	       (!m->attached || (m->meta_bad && m->meta_at.us == MT_NEVER.us));
}

/* What goes on by itself, and costs nothing. */
static void
add_free(struct list *l, bool rest)
{

	if (C->quick && !rest)
		return;
	for (unsigned i = 0; i < NODES; i++) {
		const struct node *n = &W.node[i];

		if (n->state == ST_OFF)
			add(l, EV_BOOT, i, 0);
		if (n->frozen)
			add(l, EV_THAW, i, 0);
		if (!world_running(i))
			continue;
		if (n->session && !W.joined)
			add(l, EV_NOTICE, i, 0);
		if (n->state == ST_DOUBT)
			add(l, EV_DECIDE, i, 0);
		if (may_clean(i))
			add(l, EV_CLEAN, i, 0);
		if (may_retry(i))
			add(l, EV_RETRY, i, 0);
		if (rest && may_restart(i))
			add(l, EV_RESTART, i, 0);
		for (enum why_alone w = ALONE_PAIRED; w <= ALONE_RIFT; w++)
			if (may_alone(i, w))
				add(l, EV_ALONE, i, w);
		if (W.cut && n->state == ST_PAIRED && n->owner &&
		    !n->no_lease && !n->session)
			add(l, EV_NO_LEASE, i, 0);
		if (may_promote(i))
			add(l, EV_PROMOTE, i, 0);
		if (W.joined && cores[i]->conn == MIR_CONN_SPLIT && rest &&
		    cores[other(i)]->conn == MIR_CONN_SPLIT)
			add(l, EV_RESOLVE, i, 0);
	}
	if (W.cut)
		add(l, EV_HEAL, 0, 0);
	if (may_pair())
		add(l, EV_PAIR, 0, 0);
}

static void
add_acts(struct list *l, bool rest)
{
	for (unsigned i = 0; i < NODES; i++) {
		for (unsigned c = 0; c < C->cells; c++)
			if (may_write(i, c))
				add(l, EV_WRITE, i, c);
		if (W.admin == 0 || !world_running(i) || !(rest || !C->quick))
			continue;
		if (cores[i]->primary && cores[i]->op == OP_NONE)
			add(l, EV_DEMOTE, i, 0);
		if (!cores[i]->primary && cores[i]->op == OP_NONE &&
		    !W.node[i].owner && !W.node[i].stopping)
			add(l, EV_STOP, i, 0);
	}
}

static void
add_error(struct list *l, struct event e)
{
	const struct op *o = &W.node[e.node].disk.ops[e.arg];

	if (e.type != EV_IO || o->io.cmd == MIR_READ)
		return;
	add(l, EV_ERROR, e.node, e.arg);
	if (o->io.cmd != MIR_FLUSH)
		add(l, EV_ERROR, e.node, e.arg | ERROR_DONE);
}

/* Of what is under way and may come next. */
static void
add_errors(struct list *l)
{
	struct event all[EVENTS_MAX];
	unsigned n = 0;

	if (C->order == ORDER_ANY)
		n = env_internals(all, NITEMS(all));
	else if (env_internal(all))
		n = 1;
	for (unsigned k = 0; k < n; k++)
		add_error(l, all[k]);
}

static void
add_faults(struct list *l)
{
	unsigned n;

	if (W.faults == 0)
		return;
	if (C->errors)
		add_errors(l);
	if (!W.cut)
		add(l, EV_CUT, 0, 0);
	for (unsigned i = 0; i < NODES; i++) {
		if (W.node[i].state == ST_OFF)
			continue;
		if (!W.node[i].frozen)
			add(l, EV_FREEZE, i, 0);
		n = outcomes(i, false);
		for (unsigned k = 0; k < n; k++)
			add(l, EV_CRASH, i, k);
		n = outcomes(i, true);
		for (unsigned k = 0; k < n; k++)
			add(l, EV_POWER, i, k);
	}
}

unsigned
env_events(struct event *at, unsigned max)
{
	struct list l = {at, 0, max};
	struct event e;
	bool rest = !env_internal(&e);

	if (C->order == ORDER_ANY)
		l.n = env_internals(at, max);
	else if (!rest)
		add(&l, e.type, e.node, e.arg);
	add_free(&l, rest);
	add_acts(&l, rest);
	add_faults(&l);
	return l.n;
}

static const char *const place_names[PLACES] = {
    "superblock A", "superblock B", "intent page", "dirty page"};

static void
io_name(const struct op *o, char *buf, size_t size)
{
	static const char *const cmds[] = {[MIR_READ] = "read",
	    [MIR_WRITE] = "write",
	    [MIR_FLUSH] = "flush",
	    [MIR_TRIM] = "trim",
	    [MIR_ZERO] = "zero"};

	if (o->io.cmd == MIR_FLUSH)
		snprintf(buf, size, "flush is through");
	else if (o->io.area == MIR_META)
		snprintf(buf, size, "%s is written", place_names[o->place]);
	else
		snprintf(buf, size, "%s of %u KiB at %u KiB is through",
		    cmds[o->io.cmd], o->io.len >> 10,
		    (unsigned)(o->io.off >> 10));
}

void
env_name(struct event e, char *buf, size_t size)
{
	static const char *const whys[] = {"the peer is out of the way",
	    "it was the last one before", "an arbiter says so",
	    "wrongly: the other acts as well"};
	const struct node *n = &W.node[e.node];
	char what[160], io[80];

	snprintf(what, sizeof(what), "%s", type_names[e.type]);
	if (e.type == EV_DELIVER)
		snprintf(what, sizeof(what), "receives %s",
		    mp_name(n->in[0].bytes[0]));
	else if (e.type == EV_IO)
		io_name(&n->disk.ops[e.arg], what, sizeof(what));
	else if (e.type == EV_ERROR) {
		io_name(&n->disk.ops[e.arg & (ERROR_DONE - 1)], io, sizeof(io));
		snprintf(what, sizeof(what), "ERROR, %s: %s",
		    e.arg & ERROR_DONE ? "done or half done" : "not done", io);
	} else if (e.type == EV_ALONE)
		snprintf(what, sizeof(what), "goes on alone: %s", whys[e.arg]);
	else if (e.type == EV_WRITE)
		snprintf(what, sizeof(what), "WRITE %u to extent %u",
		    W.n_versions + 1, e.arg);
	else if (e.type == EV_CRASH || e.type == EV_POWER)
		snprintf(what, sizeof(what), "%s (outcome %u of %u)",
		    type_names[e.type], e.arg,
		    outcomes(e.node, e.type == EV_POWER));
	if (e.type == EV_PAIR || e.type == EV_HEAL || e.type == EV_CUT)
		snprintf(buf, size, "%s", what);
	else
		snprintf(buf, size, "node %u: %s", e.node + 1, what);
}

static bool
mend(struct event *e)
{
	for (unsigned i = 0; i < NODES; i++) {
		const struct node *n = &W.node[i];

		*e = (struct event){EV_BOOT, (uint8_t)i, 0};
		if (n->state == ST_OFF)
			return true;
		e->type = EV_THAW;
		if (n->frozen)
			return true;
		e->type = EV_DECIDE;
		if (n->state == ST_DOUBT)
			return true;
	}
	*e = (struct event){EV_HEAL, 0, 0};
	if (W.cut)
		return true;
	e->type = EV_PAIR;
	if (may_pair())
		return true;
	for (unsigned i = 0; i < NODES; i++) {
		*e = (struct event){EV_CLEAN, (uint8_t)i, 0};
		if (may_clean(i))
			return true;
		e->type = EV_RETRY;
		if (may_retry(i))
			return true;
		e->type = EV_RESTART;
		if (may_restart(i))
			return true;
	}
	return false;
}

bool
env_mend(struct event *e)
{
	return env_internal(e) || mend(e);
}
