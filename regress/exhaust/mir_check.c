/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What must hold after every step.
 *
 * A write knows which one it overwrote, so that a block that holds one holds
 * in effect all before it.  A write that was answered may be forgotten only
 * after more than one failure (mir_env.c, crash) or when an operator gave up
 * the copy that had it.
 */
#include <stdio.h>
#include <string.h>

#include "mir_world.h"

bool
world_descends(uint8_t version, uint8_t from)
{
	for (; version != 0; version = W.parent[version])
		if (version == from)
			return true;
	return from == 0;
}

/* The superblock that counts, as it lies on the disk. */
static const struct mmeta_sb *
on_disk(unsigned i)
{
	const struct disk *d = &W.node[i].disk;
	const struct mmeta_sb *a = world_sb(d->page[AT_SB_A]);
	const struct mmeta_sb *b = world_sb(d->page[AT_SB_B]);

	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	return a->gen >= b->gen ? a : b;
}

/*
 * Does its disk say that the other copy is behind, and memory where?  Before
 * that no write may be answered that the other did not get.
 */
static bool
behind(unsigned i, unsigned cell)
{
	const struct mmeta_sb *sb = on_disk(i);

	return sb != NULL && sb->slot[0].bitmap != 0 &&
	       !(sb->slot[0].flags & MMETA_S_EVEN) &&
	       dm_test(&cores[i]->bits, cell * MMETA_CHUNK_BITS);
}

/* Does a disk say, as it lies there, that this extent may differ? */
static bool
marked(unsigned i, unsigned cell)
{
	const struct disk *d = &W.node[i].disk;

	return (world_bits(d->page[AT_INTENT], MMETA_INTENT) >> cell & 1) ||
	       (world_bits(d->page[AT_BITMAP], MMETA_BITMAP) >>
		       (cell * MMETA_CHUNK_BITS) &
		   1);
}

/* A write of a primary without a disk is being answered. */
static void
acked_there(unsigned i, const struct req *r)
{
	const struct mmeta_sb *sb = on_disk(i);

	W.acked_alone[i] |= (uint8_t)(1 << r->version);
	if (!world_descends(W.node[i].disk.cur[r->cell], r->version))
		broken = "a write was answered that no disk has";
	else if (sb == NULL || sb->slot[0].bitmap == 0 ||
		 (sb->slot[0].flags & MMETA_S_EVEN) || !marked(i, r->cell))
		broken = "a write was answered that only the peer's disk has, "
			 "and nothing there says that the other is behind (I2)";
}

/* A write is being answered. */
void
world_acked(unsigned i, const struct req *r)
{
	const struct node *n = &W.node[i], *o = &W.node[other(i)];

	W.acked |= (uint8_t)(1 << r->version);
	if (!cores[i]->attached)
		acked_there(other(i), r);
	else if (!world_descends(n->disk.cur[r->cell], r->version))
		broken = "a write was answered that this disk does not have";
	else if (n->state == ST_DOUBT)
		broken = "a write was answered in doubt (R14)";
	else if (world_descends(o->disk.cur[r->cell], r->version))
		;
	else if (behind(i, r->cell))
		W.acked_alone[i] |= (uint8_t)(1 << r->version);
	else if (!o->lost) /* else it had it, in its cache */
		broken = "a write was answered that only one disk has, and "
			 "nothing says that the other is behind (I2)";
}

/* I2, on disks. */
static const char *
lost(void)
{
	for (uint8_t v = 1; v <= W.n_versions; v++) {
		uint8_t c = W.cell[v];

		if (!(W.acked >> v & 1))
			continue;
		if (world_descends(W.node[0].disk.cur[c], v) ||
		    world_descends(W.node[1].disk.cur[c], v))
			continue;
		/* Of the copy that an operator gave up. */
		for (unsigned i = 0; i < NODES; i++)
			if ((W.resolved >> i & 1) &&
			    (W.acked_alone[other(i)] >> v & 1))
				W.acked &= (uint8_t) ~(1 << v);
		if (W.acked >> v & 1)
			return "a write that was answered is on no disk (I2, "
			       "I4)";
	}
	return NULL;
}

/* I2: whoever serves has everything. */
static const char *
stale(unsigned i)
{
	const struct node *n = &W.node[i];

	if (!world_running(i) || !cores[i]->primary || n->state == ST_DOUBT)
		return NULL;
	if (!cores[i]->attached) {
		if (cores[i]->conn != MIR_CONN_NOCOPY)
			return NULL;
		n = &W.node[other(i)];
	}
	for (uint8_t v = 1; v <= W.n_versions; v++) {
		if (!(W.acked >> v & 1) ||
		    (W.rift && (W.acked_alone[other(i)] >> v & 1)))
			continue;
		if (!world_descends(n->disk.cur[W.cell[v]], v))
			return "the primary lacks a write that was answered "
			       "(I2)";
	}
	return NULL;
}

static bool
may_differ(unsigned cell)
{
	const struct disk *a = &W.node[0].disk, *b = &W.node[1].disk;

	return a->cur[cell] != b->cur[cell] ||
	       a->stable[cell] != a->cur[cell] ||
	       b->stable[cell] != b->cur[cell];
}

/* I4: a clean bit implies equal blocks, whatever crashes now. */
static const char *
unmarked(void)
{
	const struct mmeta_sb *a = on_disk(0), *b = on_disk(1);

	if (a == NULL || b == NULL)
		return "both superblocks of a disk are damaged";
	if (mmeta_blank(a) || mmeta_blank(b) ||
	    ((a->slot[0].flags | b->slot[0].flags) & MMETA_S_FULL))
		return NULL;
	for (unsigned c = 0; c < C->cells; c++)
		if (may_differ(c) && !marked(0, c) && !marked(1, c))
			return "blocks may differ, or are in a cache only, "
			       "and no map on either disk says so (I4)";
	return NULL;
}

/* The two ends see each other's image. */
static const char *
directions(void)
{
	const struct mir *a = cores[0], *b = cores[1];
	struct mir_ident x, y;
	struct mir_verdict v;

	if (!world_running(0) || !world_running(1) || a->load != LOAD_NONE ||
	    b->load != LOAD_NONE)
		return NULL;
	mir_ident(a, &x);
	mir_ident(b, &y);
	v = mir_decide(&x, &y);
	if (mir_verdict_code(mir_mirror(v)) !=
	    mir_verdict_code(mir_decide(&y, &x)))
		return "what one end decides is not the mirror image of what "
		       "the other does";
	if (!W.joined || a->mine != b->yours || b->mine != a->yours)
		return NULL;
	if (a->conn < MIR_CONN_BITS || a->conn > MIR_CONN_TARGET ||
	    b->conn < MIR_CONN_BITS || b->conn > MIR_CONN_TARGET)
		return NULL;
	if (mir_verdict_code(mir_mirror(a->verdict)) !=
	    mir_verdict_code(b->verdict))
		return "two ends in one session follow different verdicts";
	if ((a->conn == MIR_CONN_SOURCE || a->conn == MIR_CONN_FINISH) &&
	    (b->conn == MIR_CONN_SOURCE || b->conn == MIR_CONN_FINISH))
		return "both are source";
	if (a->conn == MIR_CONN_TARGET && b->conn == MIR_CONN_TARGET)
		return "both are target";
	return NULL;
}

static const char *
states(unsigned i)
{
	const struct mir *m = cores[i];

	if (!world_running(i))
		return NULL;
	if (m->conn == MIR_CONN_REFUSED)
		return "the copies refuse each other";
	if (m->conn == MIR_CONN_SPLIT && W.apart != 3)
		return "a split brain is claimed, but both sides never acted "
		       "apart";
	if (m->conn == MIR_CONN_WAIT && !W.rift && W.apart == 0 && !C->fresh &&
	    !((m->self_id.flags | m->peer_id.flags) & MIR_I_NODISK))
		return "the copies wait for each other";
	if (!m->attached && m->load == LOAD_NONE && !W.node[i].sick)
		return "a disk that works was given up";
	return NULL;
}

static const char *
primaries(void)
{
	if (!W.rift && world_running(0) && world_running(1) &&
	    cores[0]->primary && cores[1]->primary &&
	    W.node[0].state != ST_DOUBT && W.node[1].state != ST_DOUBT)
		return "both are primary (I1)";
	return NULL;
}

const char *
world_broken(void)
{
	const char *why = broken;

	for (unsigned i = 0; i < NODES && why == NULL; i++)
		if ((why = stale(i)) == NULL)
			why = states(i);
	if (why == NULL)
		why = lost();
	if (why == NULL)
		why = unmarked();
	if (why == NULL)
		why = directions();
	return why != NULL ? why : primaries();
}

const char *
world_unequal(void)
{
	bool any = false;

	for (unsigned i = 0; i < NODES; i++) {
		const struct mir *m = cores[i];

		if (m->conn == MIR_CONN_SPLIT && W.apart == 3)
			return NULL; /* that is for the operator */
		for (unsigned k = 0; k < REQS; k++)
			if (W.node[i].req[k].used)
				return "a request is never answered";
		if (m->op != OP_NONE)
			return "a change of role never ends";
		if (m->conn != MIR_CONN_INSYNC)
			return W.rift && m->conn == MIR_CONN_WAIT
				   ? NULL
				   : "mended, the copies do not get in sync";
		if (m->bits.count > 0 || m->intent.count > 0)
			return "at rest and in sync, blocks are still marked";
		any |= m->primary || mir_promotable(m, NULL, 0);
	}
	for (unsigned c = 0; c < C->cells; c++)
		if (W.node[0].disk.cur[c] != W.node[1].disk.cur[c])
			return "in sync, but the copies differ";
	return any ? NULL : "mended, and nobody can be promoted";
}

static const char *const state_names[] = {
    "off", "inert", "paired", "alone", "in doubt"};

void
world_print(void)
{
	for (unsigned i = 0; i < NODES; i++) {
		const struct node *n = &W.node[i];
		const struct mir *m = cores[i];
		const struct mmeta_sb *sb = on_disk(i);

		printf("#   node %u: %s%s, epoch %llu", i + 1,
		    state_names[n->state], n->frozen ? ", frozen" : "",
		    (unsigned long long)n->epoch);
		if (n->state != ST_OFF)
			printf(", %s, %s, %s",
			    m->primary ? "primary" : "secondary",
			    mir_disk_name(mir_disk_state(m)),
			    mir_conn_name(m->conn));
		printf("; blocks");
		for (unsigned c = 0; c < C->cells; c++)
			printf(" %u%s%s", n->disk.cur[c],
			    n->disk.stable[c] != n->disk.cur[c] ? " (cached)"
								: "",
			    marked(i, c) ? "*" : "");
		if (sb != NULL)
			printf("; disk: flags %x current %llx bitmap %llx "
			       "history %llx",
			    sb->flags, (unsigned long long)sb->current,
			    (unsigned long long)sb->slot[0].bitmap,
			    (unsigned long long)sb->history[0]);
		printf("\n");
	}
	printf("#   answered:");
	for (unsigned v = 1; v <= W.n_versions; v++)
		if (W.acked >> v & 1)
			printf(" %u (extent %u)", v, W.cell[v]);
	printf("\n");
}
