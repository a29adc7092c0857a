/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state without its history: times relative to now, what is long ago is
 * long ago, numbers that only count are left out.
 */
#include <string.h>

#include "arb_world.h"

enum { LONG_AGO_US = 3000 * 1000 };

static uint64_t sum;

static void
mix(uint64_t v)
{
	sum = (sum ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	sum ^= sum >> 32;
}

static void
age(monotime_t t)
{
	int64_t us = mt_sub_us(W.now, t);

	if (t.us == 0 || us > LONG_AGO_US)
		mix(t.us == 0 ? 1 : 2);
	else
		mix((uint64_t)us + 16);
}

static void
deadline(monotime_t t)
{
	if (t.us == MT_NEVER.us)
		mix(3);
	else
		mix(mt_before(W.now, t) ? (uint64_t)mt_sub_us(t, W.now) + 16
					: 4);
}

static void
view(const struct mb_msg *v)
{
	mix(v->type | v->state << 4 | v->solo << 8 | v->paired << 9 |
	    (v->challenge != 0) << 10 | (v->answer != 0) << 11);
	mix(v->epoch << 32 | v->incarnation << 16 | v->seen);
	mix(v->spent);
	mix(v->seeds);
}

static void
record(const struct sf_record *r)
{
	mix(r->epoch << 2 | r->solo << 1 | r->clean);
	mix(r->seeds);
}

static void
peer(const struct peer *p)
{
	mix((uint64_t)p->verdict | p->stateless_gone << 4 | p->view_known << 5 |
	    p->told << 6 | p->aborted << 7 | p->asked_active << 8 |
	    p->asked_verify << 9 | p->frozen << 10 | p->leased << 11 |
	    p->jeopardy << 12 | p->refused << 16);
	mix(p->incarnation << 32 | p->dead << 16 | p->paired);
	if (p->view_known)
		view(&p->view);
	deadline(p->tell_at);
	for (unsigned l = 0; l < LINKS; l++) {
		age(p->heard[l]);
		mix(p->link_down[l]);
	}
	age(p->last);
	age(p->kernel);
	age(p->kernel_since);
	age(p->aborted_at);
	age(p->refused_at);
	age(p->advert);
	deadline(p->jeopardy_at);
	mix(p->asked);
}

static void
member(const struct mb *m)
{
	mix((uint64_t)m->self | m->own_right << 4 | m->writing << 5 |
	    m->goal_right << 6 | m->data_behind << 7 | m->alone_behind << 8 |
	    m->may_have_acted << 9 | (m->challenge != 0) << 10 |
	    m->arbiter_works << 11 | m->holds_data << 12 | m->demoted << 13 |
	    m->booting << 14 | (m->goal_peer != NULL) << 15 |
	    (uint64_t)m->goal << 16 | (uint64_t)m->goal_verdict << 20 |
	    (uint64_t)m->doubt_from << 24);
	mix(m->epoch << 32 | m->spent);
	record(&m->record);
	record(&m->want);
	deadline(m->retry_at);
	age(m->doubt_at);
	deadline(m->ask_at);
	mix(m->fence_ms);
	peer(&m->peers[0]);
}

static void
arbiter(const struct arb *a)
{
	const struct arb_peer *p = &a->peers[0];

	mix(a->working | a->voting << 1 | (uint64_t)a->told_fence_ms << 2 |
	    a->vote_epoch << 32);
	for (unsigned v = 0; v < a->conf.n_voters; v++) {
		const struct arb_voter *o = &a->voters[v];

		mix(o->up | o->asked << 1 | o->answered << 2 |
		    (o->answered ? (uint64_t)o->vote : 0) << 3 |
		    (uint64_t)o->retry_ms << 8 | (uint64_t)o->holder << 32 |
		    o->holder_epoch << 40);
		deadline(o->ask_at);
	}
	mix((uint64_t)p->state | p->active << 4 | p->verify << 5 |
	    p->leased << 6 | p->off << 7 | (p->token != 0) << 8 |
	    p->exhausted << 9 | (uint64_t)p->action << 10 |
	    (uint64_t)p->level << 12 | (uint64_t)p->verify_ms << 16);
	mix(p->epoch);
	deadline(p->deadline);
	deadline(p->next_at);
	age(p->began);
}

static void
node(const struct node *n)
{
	mix(n->powered | n->running << 1 | n->frozen << 2 | n->own_right << 3 |
	    n->no_data << 4 | n->denied << 5 | n->holds << 6 |
	    n->has_record << 7 | (n->token != 0) << 8 |
	    (uint64_t)n->boot << 16);
	record(&n->record);
	deadline(n->mb_at);
	deadline(n->arb_at);
	age(n->stepped);
	for (unsigned l = 0; l < LINKS; l++) {
		age(n->heard[l]);
		age(n->reached[l]);
		mix(n->link_up[l]);
	}
}

static void
letters(void)
{
	for (unsigned k = 0; k < W.n_mails; k++) {
		const struct mail *m = &W.mails[k];
		struct mb_msg msg;
		const char *why;

		mix(m->what | (uint64_t)m->to << 4 | (uint64_t)m->boot << 8 |
		    (uint64_t)m->vote << 16 | (uint64_t)m->result << 20 |
		    (uint64_t)m->holder << 24 | m->holder_epoch << 32);
		deadline(m->due);
		if (m->what == M_VOTE)
			mix(m->serial);
		else if (m->what == M_DISK)
			record(&m->record);
		else if (m->what == M_FENCED)
			mix(m->serial == W.node[m->to].token);
		else if (mb_msg_decode(
			     &msg, m->bytes, sizeof(m->bytes), &why) == 0)
			view(&msg);
	}
}

uint64_t
world_hash(void)
{
	sum = W.faults | (uint64_t)W.since << 8 | (uint64_t)W.repairs << 16;
	mix(W.voter_down | W.voter_cut[0] << 1 | W.voter_cut[1] << 2 |
	    W.lied << 3 | (uint64_t)W.agent[0] << 4 |
	    (uint64_t)W.agent[1] << 8 | (uint64_t)W.voter_holder << 12 |
	    W.voter_epoch << 16);
	mix(W.shot);
	deadline(W.off_at[0]);
	deadline(W.off_at[1]);
	for (unsigned l = 0; l < LINKS; l++)
		mix(W.cut[l][0] | W.cut[l][1] << 1);
	for (unsigned i = 0; i < NODES; i++) {
		node(&W.node[i]);
		if (!W.node[i].running)
			continue;
		member(mb_cores[i]);
		arbiter(arb_cores[i]);
	}
	letters();
	return sum;
}
