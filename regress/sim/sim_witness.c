/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The witness: one machine for all clusters, with the daemon's own core
 * (src/witness_core.c) and a record for each.  What it had not made durable
 * when it went down is lost, or was just durable, and nobody heard.
 */
#include "sim.h"

static unsigned
index_of(const struct voter *v, const struct world *w)
{
	return (unsigned)(v - w->voter);
}

static void
durable(struct world *w, struct voter *v, uint64_t epoch, uint8_t holder)
{
	if (epoch <= v->epoch)
		violation(w, "R6", "the witness writes epoch %llu over %llu",
		    (unsigned long long)epoch, (unsigned long long)v->epoch);
	v->epoch = epoch;
	v->holder = holder;
	v->had[holder - 1] = epoch;
	say(w, "voter %u: epoch %llu is %s's", index_of(v, w),
	    (unsigned long long)epoch, w->host[holder - 1].name);
}

/* a = voter, b = epoch, c = holder */
static void
ev_written(struct world *w, struct ev *e)
{
	struct voter *v = &w->voter[e->a];
	struct wit_event we = {.type = WIT_EV_WRITTEN};

	if (v->box->boot != e->gen) {
		if (chance(w, 500))
			durable(w, v, e->b, (uint8_t)e->c);
		return;
	}
	we.u.written = !v->box->read_only;
	if (we.u.written)
		durable(w, v, e->b, (uint8_t)e->c);
	wit_step(v->wit, &we);
}

static void
op_write(void *ctx, const struct wit_lease *lease)
{
	struct voter *v = ctx;
	struct world *w = v->w;
	struct ev *e = at(w, w->sim->now + rnd_in(w, MS, 8 * MS), ev_written,
	    NULL, v->box->boot);

	e->a = index_of(v, w);
	e->b = lease->epoch;
	e->c = lease->holder;
}

static void
op_answer(void *ctx, uint8_t node, uint64_t epoch, enum wit_vote vote,
    const struct wit_lease *lease)
{
	static const enum arb_vote votes[] = {[WIT_GRANTED] = ARB_VOTE_GRANTED,
	    [WIT_DENIED] = ARB_VOTE_DENIED,
	    [WIT_FAILED] = ARB_VOTE_UNREACHABLE};
	struct voter *v = ctx;
	struct world *w = v->w;

	ASSERT(node >= 1 && node <= w->n_hosts);
	arb_answer(&w->host[node - 1], index_of(v, w), epoch, votes[vote],
	    lease->holder, lease->epoch);
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *text)
{
	struct voter *v = ctx;

	(void)level;
	detail(v->w, "witness   %s %s: %s", rule, v->w->conf->cluster, text);
}

static const struct wit_ops ops = {
    .write = op_write,
    .answer = op_answer,
    .note = op_note,
};

/* Its daemon, since the last start, from what is durable. */
static void
start(struct world *w, struct voter *v)
{
	struct wit_conf conf = {.nodes = 0};

	if (v->wit != NULL && v->boot == v->box->boot)
		return;
	witness_free(v);
	for (unsigned i = 0; i < w->n_hosts; i++)
		conf.nodes |= NODESET(w->host[i].id);
	conf.lease.epoch = v->epoch;
	conf.lease.holder = v->holder;
	v->boot = v->box->boot;
	v->wit = wit_new(&conf, &ops, v);
	ASSERT(v->wit != NULL);
}

void
witness_ask(struct host *h, unsigned voter, uint64_t epoch)
{
	struct voter *v = &h->w->voter[voter];
	struct wit_event e = {.type = WIT_EV_ASK};

	start(h->w, v);
	e.u.ask.node = h->id;
	e.u.ask.incarnation = h->gen;
	e.u.ask.epoch = epoch;
	wit_step(v->wit, &e);
}

/* Its association with that node has ended. */
void
witness_gone(struct host *h, unsigned voter)
{
	struct voter *v = &h->w->voter[voter];
	struct wit_event e = {.type = WIT_EV_GONE, .u.gone = h->id};

	if (v->wit != NULL && v->boot == v->box->boot)
		wit_step(v->wit, &e);
}

void
witness_free(struct voter *v)
{
	wit_free(v->wit);
	v->wit = NULL;
}

void
box_down(struct box *b)
{
	b->down = true;
	b->boot++;
}
