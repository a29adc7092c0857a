/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock core: its beginning, its end and its one way in.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lock_int.h"

void
lk_note(struct lk *lk, enum had_level level, const char *fmt, ...)
{
	char text[192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	lk->ops->note(lk->ctx, level, "", "locks", text);
}

uint32_t
lk_random(struct lk *lk)
{
	uint32_t x;

	do {
		lk->rng ^= lk->rng << 13;
		lk->rng ^= lk->rng >> 7;
		lk->rng ^= lk->rng << 17;
		x = (uint32_t)(lk->rng >> 32);
	} while (x == 0);
	return x;
}

struct lk *
lk_new(const struct lk_conf *conf, const struct lk_ops *ops, void *ctx)
{
	struct lk *lk = calloc(1, sizeof(*lk));

	ASSERT(conf->self >= 1 && conf->self <= HAD_NODES_MAX);
	ASSERT(NODESET_HAS(conf->nodes, conf->self));
	ASSERT(conf->n_spaces <= HAD_LOCKSPACES_MAX && conf->clients_max > 0);
	if (lk == NULL)
		return NULL;
	lk->conf = *conf;
	lk->ops = ops;
	lk->ctx = ctx;
	lk->sync_at = MT_NEVER;
	lk->armed = MT_NEVER;
	lk->rng = 1;
	for (unsigned i = 0; i < conf->n_spaces; i++) {
		struct lk_space *s = &lk->spaces[i];

		memcpy(s->name, conf->spaces[i].name, sizeof(s->name));
		s->name[sizeof(s->name) - 1] = '\0';
		s->hash = lk_space_hash(s->name);
		s->locks_max = conf->spaces[i].locks_max;
	}
	if (lk_table_new(lk) == -1) {
		lk_free(lk);
		return NULL;
	}
	return lk;
}

void
lk_free(struct lk *lk)
{
	if (lk == NULL)
		return;
	lk_table_free(lk);
	free(lk);
}

static void
start(struct lk *lk, uint64_t seed, uint64_t epoch)
{
	ASSERT(!lk->started);
	lk->started = true;
	lk->rng = seed == 0 ? 1 : seed;
	lk->hash_seed = (uint64_t)lk_random(lk) << 32 | lk_random(lk);
	lk->inst = lk_random(lk);
	lk->round = 1;
	lk->view.epoch = epoch;
	lk->view.state = LK_VIEW_INERT;
	lk->view.members = NODESET(lk->conf.self);
}

static void
resync(struct lk *lk, uint8_t peer)
{
	if (lk->phase >= LK_PH_SYNC && peer != lk->conf.self &&
	    NODESET_HAS(lk->view.members, peer))
		lk_new_round(lk, "the session with a peer is a new one");
}

static void
dispatch(struct lk *lk, const struct lk_event *ev)
{
	switch (ev->type) {
	case LK_EV_START:
		start(lk, ev->u.start.seed, ev->u.start.epoch);
		break;
	case LK_EV_TIMER:
		lk_own_timeouts(lk);
		lk_round_timer(lk);
		break;
	case LK_EV_VIEW:
		lk_view_set(lk, &ev->u.view);
		break;
	case LK_EV_RESYNC:
		resync(lk, ev->u.resync.peer);
		break;
	case LK_EV_MSG:
		lk_dist_msg(lk, ev->u.msg.from, ev->u.msg.bytes, ev->u.msg.len);
		break;
	case LK_EV_CLIENT_OPEN:
		lk_client_open(lk, ev);
		break;
	case LK_EV_CLIENT_MSG:
		lk_client_msg(
		    lk, ev->u.cmsg.client, ev->u.cmsg.bytes, ev->u.cmsg.len);
		break;
	case LK_EV_CLIENT_EOF:
		lk_client_eof(lk, ev->u.eof.client);
		break;
	}
}

void
lk_step(struct lk *lk, const struct lk_event *ev)
{
	const struct lk_own *o;
	monotime_t at;

	ASSERT(!lk->stepping);
	ASSERT(lk->started || ev->type == LK_EV_START);
	lk->stepping = true;
	lk->now = ev->now;
	dispatch(lk, ev);
	lk_client_flush(lk);
	lk_frames_flush(lk);
	o = lk_own_first_deadline(lk);
	at = o == NULL ? lk->sync_at : mt_min(lk->sync_at, o->deadline);
	if (at.us != lk->armed.us || ev->type == LK_EV_TIMER) {
		lk->armed = at;
		lk->ops->timer(lk->ctx, at);
	}
	lk->stepping = false;
}
