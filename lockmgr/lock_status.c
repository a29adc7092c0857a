/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an operator sees of the lock core.
 */
#include <stdio.h>
#include <string.h>

#include "lock_int.h"

const char *
lk_row_state_name(enum lk_row_state state)
{
	static const char *const names[] = {"granted", "converting", "waiting"};

	ASSERT(state < NITEMS(names));
	return names[state];
}

void
lk_status(const struct lk *lk, struct lk_status *s)
{
	*s = lk->count;
	s->phase = lk->phase;
	s->ring = lk->ring;
	s->epoch = lk->view.epoch;
	s->resources = lk->ress_used;
	s->masters = lk->msts_used;
	for (uint32_t i = 0; i < lk->conf.clients_max; i++)
		s->clients += lk->clients[i].used;
	for (uint32_t i = 0; i < lk->owns_hi; i++) {
		const struct lk_own *o = &lk->owns[i];

		s->locks += o->state != OWN_FREE;
		s->granted += o->state == OWN_GRANTED;
		s->waiting += o->state == OWN_REQUEST;
		s->converting += o->state == OWN_CONVERT;
		if (o->state == OWN_GRANTED || o->state == OWN_CONVERT)
			s->by_mode[o->gr]++;
	}
	for (uint32_t i = 0; i < lk->ress_hi; i++)
		s->mastered +=
		    lk->ress[i].used && lk->ress[i].master == lk->conf.self;
}

static void
row_res(const struct lk *lk, const struct lk_res *r, struct lk_row *row)
{
	row->space = "?";
	for (unsigned i = 0; i < lk->conf.n_spaces; i++) {
		if (lk->spaces[i].hash == r->space)
			row->space = lk->spaces[i].name;
	}
	memcpy(row->name, r->name, r->name_len);
	row->name_len = r->name_len;
	row->master = r->master;
}

static void
why(const struct lk *lk, const struct lk_res *r, struct lk_row *row, bool ahead)
{
	char *t = row->why;
	size_t n = sizeof(row->why);

	if (r->master == 0)
		snprintf(t, n, "this node may not grant locks now");
	else if (r->frozen)
		snprintf(t, n, "the resource is being rebuilt here");
	else if (r->master != lk->conf.self && lk->phase == LK_PH_STOPPED)
		snprintf(t, n, "the fate of its master, node %u, is undecided",
		    r->master);
	else if (r->master != lk->conf.self &&
		 !(lk_in_session(lk, r->master) && lk->peers[r->master].ready))
		snprintf(
		    t, n, "its master, node %u, is not ready yet", r->master);
	else if (row->blocker_node == 0)
		snprintf(t, n, "its master, node %u, has not answered yet",
		    r->master);
	else if (ahead)
		snprintf(t, n, "behind pid %u on node %u, which wants %s",
		    row->blocker_pid, row->blocker_node,
		    lkm_name(row->blocker_mode));
	else
		snprintf(t, n, "pid %u on node %u holds %s", row->blocker_pid,
		    row->blocker_node, lkm_name(row->blocker_mode));
}

static void
row_waiter(const struct lk *lk, const struct lk_res *r, const struct lk_mst *m,
    struct lk_row *row)
{
	const struct lk_mst *b;
	bool ahead;

	if (m != NULL && m->rq != LKM_IV) {
		b = lkq_blocker(r, m, &ahead);
		if (b != NULL) {
			row->blocker_node = b->node;
			row->blocker_mode = ahead ? b->rq : b->gr;
			row->blocker_pid = b->pid;
		}
	} else {
		/* As its master said; a compatible mode is only ahead. */
		ahead = row->blocker_node != 0 &&
			row->blocker_mode < LKM_COUNT &&
			lkm_compat(row->blocker_mode, row->rqmode);
	}
	why(lk, r, row, ahead);
}

static void
row_own(const struct lk *lk, const struct lk_own *o, struct lk_row *row)
{
	const struct lk_mst *m;

	row_res(lk, o->res, row);
	row->node = lk->conf.self;
	row->state = o->state == OWN_REQUEST   ? LK_ROW_WAITING
		     : o->state == OWN_CONVERT ? LK_ROW_CONVERTING
					       : LK_ROW_GRANTED;
	row->mode = o->gr;
	row->rqmode = o->rq;
	row->pid = o->pid;
	row->lock = lk_own_id(lk, o);
	row->token = o->token;
	row->since = o->since;
	row->blocker_node = o->blocker_node;
	row->blocker_mode = o->blocker_mode;
	row->blocker_pid = o->blocker_pid;
	m = lk_mst_find(lk, lk->conf.self, row->lock);
	if (row->state != LK_ROW_GRANTED)
		row_waiter(lk, o->res, m, row);
}

static void
row_mst(const struct lk *lk, const struct lk_mst *m, struct lk_row *row)
{
	row_res(lk, m->res, row);
	row->node = m->node;
	row->state = m->state == MST_WAITING      ? LK_ROW_WAITING
		     : m->state == MST_CONVERTING ? LK_ROW_CONVERTING
						  : LK_ROW_GRANTED;
	row->mode = m->gr;
	row->rqmode = m->rq;
	row->pid = m->pid;
	row->lock = m->lock;
	row->token = m->token;
	row->since = m->since;
	if (row->state != LK_ROW_GRANTED)
		row_waiter(lk, m->res, m, row);
}

bool
lk_status_next(const struct lk *lk, struct lk_iter *it, struct lk_row *row)
{
	memset(row, 0, sizeof(*row));
	for (; it->own < lk->owns_hi; it->own++) {
		const struct lk_own *o = &lk->owns[it->own];

		/* One that is given up already is nobody's. */
		if (o->state == OWN_FREE || o->state == OWN_UNLOCK)
			continue;
		row_own(lk, o, row);
		it->own++;
		return true;
	}
	for (; it->mst < lk->msts_hi; it->mst++) {
		const struct lk_mst *m = &lk->msts[it->mst];

		if (m->res == NULL || m->node == lk->conf.self)
			continue;
		row_mst(lk, m, row);
		it->mst++;
		return true;
	}
	return false;
}
