/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables of the lock core: allocated once, from the configuration.  Records
 * that were never used stay untouched, so that they cost no memory.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lock_int.h"

static int
deadline_cmp(const struct lk_own *a, const struct lk_own *b)
{
	if (a->deadline.us != b->deadline.us)
		return a->deadline.us < b->deadline.us ? -1 : 1;
	return a < b ? -1 : a > b;
}

/* libbsd's RB_GENERATE_STATIC needs a macro that glibc does not have. */
RB_GENERATE_INTERNAL(lk_deadlines, lk_own, by_deadline, deadline_cmp,
    static __attribute__((unused)))

static unsigned
count_nodes(nodeset_t set)
{
	unsigned n = 0;

	NODE_FOREACH(id, set) n++;
	return n;
}

int
lk_table_new(struct lk *lk)
{
	uint32_t buckets = 16;

	for (unsigned i = 0; i < lk->conf.n_spaces; i++)
		lk->owns_max += lk->conf.spaces[i].locks_max;
	/* Every node may master all locks of all nodes. */
	lk->msts_max = lk->owns_max * count_nodes(lk->conf.nodes);
	/* A record holds at most one resource; one is being made. */
	lk->ress_max = lk->msts_max + lk->owns_max + 1;
	while (buckets < lk->msts_max / 2 && buckets < 1u << 24)
		buckets *= 2;
	lk->hash_mask = buckets - 1;
	lk->owns = calloc(lk->owns_max + 1, sizeof(*lk->owns));
	lk->msts = calloc(lk->msts_max + 1, sizeof(*lk->msts));
	lk->ress = calloc(lk->ress_max, sizeof(*lk->ress));
	lk->mst_hash = calloc(buckets, sizeof(*lk->mst_hash));
	lk->res_hash = calloc(buckets, sizeof(*lk->res_hash));
	lk->clients = calloc(lk->conf.clients_max, sizeof(*lk->clients));
	lk->outs = calloc(LK_OUT_MAX, sizeof(*lk->outs));
	if (lk->owns == NULL || lk->msts == NULL || lk->ress == NULL ||
	    lk->mst_hash == NULL || lk->res_hash == NULL ||
	    lk->clients == NULL || lk->outs == NULL)
		return -1;
	TAILQ_INIT(&lk->owns_free);
	TAILQ_INIT(&lk->held);
	TAILQ_INIT(&lk->msts_free);
	LIST_INIT(&lk->ress_free);
	RB_INIT(&lk->deadlines);
	STAILQ_INIT(&lk->dirty);
	NODE_FOREACH(id, lk->conf.nodes)
	{
		lk->peers[id].out = calloc(1, LKW_FRAME_MAX);
		if (lk->peers[id].out == NULL)
			return -1;
	}
	return 0;
}

void
lk_table_free(struct lk *lk)
{
	for (unsigned i = 0; i <= HAD_NODES_MAX; i++)
		free(lk->peers[i].out);
	free(lk->owns);
	free(lk->msts);
	free(lk->ress);
	free(lk->mst_hash);
	free(lk->res_hash);
	free(lk->clients);
	free(lk->outs);
}

/* Resources. */

uint64_t
lk_space_hash(const char *space)
{
	return XXH3_64bits(space, strlen(space));
}

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

/* Rendezvous hashing: the member with the highest score. */
static uint8_t
master_of(nodeset_t ring, uint64_t space, const uint8_t *name, size_t len)
{
	uint64_t h = XXH3_64bits_withSeed(name, len, space), best = 0;
	uint8_t master = 0;

	NODE_FOREACH(id, ring)
	{
		uint64_t score = mix(h ^ id * 0x9e3779b97f4a7c15ULL);

		if (master == 0 || score > best) {
			master = id;
			best = score;
		}
	}
	return master;
}

uint8_t
lk_master_of(
    nodeset_t ring, const char *space, const uint8_t *name, size_t name_len)
{
	return master_of(ring, lk_space_hash(space), name, name_len);
}

uint8_t
lk_res_master(const struct lk_res *r, nodeset_t ring)
{
	return master_of(ring, r->space, r->name, r->name_len);
}

static struct lk_resl *
res_bucket(struct lk *lk, uint64_t space, const uint8_t *name, size_t len)
{
	uint64_t h = XXH3_64bits_withSeed(name, len, space ^ lk->hash_seed);

	return &lk->res_hash[h & lk->hash_mask];
}

struct lk_res *
lk_res_find(struct lk *lk, uint64_t space, const uint8_t *name, size_t len)
{
	struct lk_res *r;

	LIST_FOREACH (r, res_bucket(lk, space, name, len), on_hash) {
		if (r->space == space && r->name_len == len &&
		    memcmp(r->name, name, len) == 0)
			return r;
	}
	return NULL;
}

/*
 * Nobody may grant a new resource as its master as long as another node may
 * still tell that it holds it.
 */
static bool
born_frozen(const struct lk *lk, const struct lk_res *r)
{
	if (r->master != lk->conf.self || lk->settled)
		return false;
	return lk->unsettled != 1 || lk->settled_ring == 0 ||
	       lk_res_master(r, lk->settled_ring) != lk->conf.self;
}

struct lk_res *
lk_res_get(struct lk *lk, uint64_t space, const uint8_t *name, size_t len)
{
	struct lk_res *r = lk_res_find(lk, space, name, len);

	ASSERT(len >= 1 && len <= LKP_NAME_MAX);
	if (r != NULL) {
		r->refs++;
		return r;
	}
	r = LIST_FIRST(&lk->ress_free);
	if (r != NULL)
		LIST_REMOVE(r, on_hash);
	else if (lk->ress_hi < lk->ress_max)
		r = &lk->ress[lk->ress_hi++];
	else
		return NULL;
	memset(r, 0, sizeof(*r));
	r->used = true;
	r->refs = 1;
	r->space = space;
	memcpy(r->name, name, len);
	r->name_len = (uint8_t)len;
	TAILQ_INIT(&r->owns);
	TAILQ_INIT(&r->granted);
	TAILQ_INIT(&r->converting);
	TAILQ_INIT(&r->waiting);
	r->master = lk_res_master(r, lk->ring);
	r->frozen = born_frozen(lk, r);
	LIST_INSERT_HEAD(res_bucket(lk, space, name, len), r, on_hash);
	lk->ress_used++;
	return r;
}

void
lk_res_put(struct lk *lk, struct lk_res *r)
{
	ASSERT(r->used && r->refs > 0);
	if (--r->refs > 0)
		return;
	ASSERT(TAILQ_EMPTY(&r->owns) && TAILQ_EMPTY(&r->granted) &&
	       TAILQ_EMPTY(&r->converting) && TAILQ_EMPTY(&r->waiting));
	r->used = false;
	LIST_REMOVE(r, on_hash);
	LIST_INSERT_HEAD(&lk->ress_free, r, on_hash);
	lk->ress_used--;
}

/* Owner records. */

uint64_t
lk_own_id(const struct lk *lk, const struct lk_own *o)
{
	return (uint64_t)o->gen << 32 | (uint64_t)(o - lk->owns + 1);
}

struct lk_own *
lk_own_find(struct lk *lk, uint64_t lock)
{
	uint32_t i = (uint32_t)lock;
	struct lk_own *o;

	if (i == 0 || i > lk->owns_hi)
		return NULL;
	o = &lk->owns[i - 1];
	return o->state != OWN_FREE && o->gen == lock >> 32 ? o : NULL;
}

struct lk_own *
lk_own_new(struct lk *lk, struct lk_res *r)
{
	struct lk_own *o = TAILQ_FIRST(&lk->owns_free);
	uint32_t gen;

	if (o != NULL)
		TAILQ_REMOVE(&lk->owns_free, o, on_client);
	else if (lk->owns_hi < lk->owns_max)
		o = &lk->owns[lk->owns_hi++];
	else
		return NULL;
	gen = o->gen + 1;
	memset(o, 0, sizeof(*o));
	o->gen = gen == 0 ? 1 : gen;
	o->state = OWN_REQUEST;
	o->gr = LKM_IV;
	o->rq = LKM_IV;
	o->since = lk->now;
	o->deadline = MT_NEVER;
	o->res = r;
	r->refs++;
	TAILQ_INSERT_TAIL(&r->owns, o, on_res);
	lk->owns_used++;
	return o;
}

void
lk_own_free(struct lk *lk, struct lk_own *o)
{
	struct lk_res *r = o->res;

	ASSERT(o->state != OWN_FREE);
	lk_own_deadline(lk, o, MT_NEVER);
	if (o->held)
		TAILQ_REMOVE(&lk->held, o, on_held);
	if (o->client != NULL) {
		TAILQ_REMOVE(&o->client->owns, o, on_client);
		o->client->locks--;
	}
	ASSERT(lk->spaces[o->space].locks > 0);
	lk->spaces[o->space].locks--;
	TAILQ_REMOVE(&r->owns, o, on_res);
	o->state = OWN_FREE;
	TAILQ_INSERT_TAIL(&lk->owns_free, o, on_client);
	lk->owns_used--;
	lk_res_put(lk, r);
}

void
lk_own_deadline(struct lk *lk, struct lk_own *o, monotime_t at)
{
	if (o->deadline.us != INT64_MAX)
		RB_REMOVE(lk_deadlines, &lk->deadlines, o);
	o->deadline = at;
	if (at.us != INT64_MAX)
		RB_INSERT(lk_deadlines, &lk->deadlines, o);
}

struct lk_own *
lk_own_first_deadline(struct lk *lk)
{
	return RB_MIN(lk_deadlines, &lk->deadlines);
}

/* Master records. */

static struct lk_mstl *
mst_bucket(const struct lk *lk, uint8_t node, uint64_t lock)
{
	uint64_t h = mix(lock * 17 + node);

	return &lk->mst_hash[h & lk->hash_mask];
}

struct lk_mst *
lk_mst_find(const struct lk *lk, uint8_t node, uint64_t lock)
{
	struct lk_mst *m;

	LIST_FOREACH (m, mst_bucket(lk, node, lock), on_hash) {
		if (m->node == node && m->lock == lock)
			return m;
	}
	return NULL;
}

struct lk_mst *
lk_mst_new(struct lk *lk, struct lk_res *r, uint8_t node, uint64_t lock)
{
	struct lk_mst *m = TAILQ_FIRST(&lk->msts_free);

	if (m != NULL)
		TAILQ_REMOVE(&lk->msts_free, m, on_queue);
	else if (lk->msts_hi < lk->msts_max)
		m = &lk->msts[lk->msts_hi++];
	else
		return NULL;
	memset(m, 0, sizeof(*m));
	m->node = node;
	m->lock = lock;
	m->gr = LKM_IV;
	m->rq = LKM_IV;
	m->since = lk->now;
	m->round = lk->round;
	m->res = r;
	r->refs++;
	LIST_INSERT_HEAD(mst_bucket(lk, node, lock), m, on_hash);
	lk->msts_used++;
	return m;
}

void
lk_mst_free(struct lk *lk, struct lk_mst *m)
{
	struct lk_res *r = m->res;

	ASSERT(m->state == MST_FREE && m->res != NULL);
	LIST_REMOVE(m, on_hash);
	m->res = NULL;
	TAILQ_INSERT_TAIL(&lk->msts_free, m, on_queue);
	lk->msts_used--;
	lk_res_put(lk, r);
}
