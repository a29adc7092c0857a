/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "witness_core.h"

/* What one node asks for. */
struct ask {
	uint64_t epoch; /* 0: nothing */
	uint64_t incarnation;
	uint64_t order; /* of arrival */
};

struct wit {
	struct wit_conf conf;
	const struct wit_ops *ops; /* borrowed */
	void *ctx; /* borrowed */
	struct wit_lease lease; /* durable */
	struct wit_lease next; /* being written; epoch 0: nothing is */
	struct ask asks[HAD_NODES_MAX]; /* waiting, index id - 1 */
	uint64_t arrivals;
	/* Last denial that was noted, so that a repeated one is not. */
	uint64_t denied[HAD_NODES_MAX], denied_for[HAD_NODES_MAX];
	bool stepping;
};

struct wit *
wit_new(const struct wit_conf *conf, const struct wit_ops *ops, void *ctx)
{
	struct wit *w;

	ASSERT(conf->nodes != 0);
	ASSERT((conf->lease.epoch == 0) == (conf->lease.holder == 0));
	ASSERT(conf->lease.holder <= HAD_NODES_MAX);
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return NULL;
	w->conf = *conf;
	w->lease = conf->lease;
	w->ops = ops;
	w->ctx = ctx;
	return w;
}

void
wit_free(struct wit *w)
{
	free(w);
}

const struct wit_lease *
wit_lease(const struct wit *w)
{
	return &w->lease;
}

static void
deny(struct wit *w, uint8_t node, uint64_t epoch)
{
	char text[120];

	ASSERT(w->lease.holder != 0 && epoch <= w->lease.epoch);
	if (w->denied[node - 1] != epoch ||
	    w->denied_for[node - 1] != w->lease.epoch) {
		w->denied[node - 1] = epoch;
		w->denied_for[node - 1] = w->lease.epoch;
		snprintf(text, sizeof(text),
		    "epoch %llu denied to node %u: node %u has epoch %llu",
		    (unsigned long long)epoch, node, w->lease.holder,
		    (unsigned long long)w->lease.epoch);
		w->ops->note(w->ctx, HAD_INFO, "R6", text);
	}
	w->ops->answer(w->ctx, node, epoch, WIT_DENIED, &w->lease);
}

/* Nothing is being written: what comes of this ask? */
static void
decide(struct wit *w, uint8_t node, const struct ask *a)
{
	ASSERT(w->next.epoch == 0);
	if (a->epoch > w->lease.epoch) {
		w->next.epoch = a->epoch;
		w->next.holder = node;
		w->next.incarnation = a->incarnation;
		w->ops->write(w->ctx, &w->next);
	} else if (a->epoch == w->lease.epoch && node == w->lease.holder) {
		w->ops->answer(w->ctx, node, a->epoch, WIT_GRANTED, &w->lease);
	} else {
		deny(w, node, a->epoch);
	}
}

/* Those who waited, in order of arrival, until there is something to write. */
static void
next(struct wit *w)
{
	struct ask *first, a;
	unsigned i;

	while (w->next.epoch == 0) {
		first = NULL;
		for (i = 0; i < HAD_NODES_MAX; i++)
			if (w->asks[i].epoch != 0 &&
			    (first == NULL || w->asks[i].order < first->order))
				first = &w->asks[i];
		if (first == NULL)
			return;
		a = *first;
		first->epoch = 0;
		decide(w, (uint8_t)(first - w->asks + 1), &a);
	}
}

static void
asked(struct wit *w, uint8_t node, uint64_t incarnation, uint64_t epoch)
{
	struct ask *a;

	ASSERT(node >= 1 && node <= HAD_NODES_MAX && epoch > 0);
	ASSERT(NODESET_HAS(w->conf.nodes, node));
	a = &w->asks[node - 1];
	/* A repeated one keeps its place. */
	if (a->epoch == 0)
		a->order = w->arrivals++;
	a->epoch = epoch;
	a->incarnation = incarnation;
	next(w);
}

/* Durable first, and only then said (R6). */
static void
written(struct wit *w, bool durable)
{
	struct wit_lease lease = w->next;
	char text[120];

	ASSERT(lease.epoch > w->lease.epoch);
	memset(&w->next, 0, sizeof(w->next));
	if (durable) {
		w->lease = lease;
		snprintf(text, sizeof(text), "epoch %llu granted to node %u",
		    (unsigned long long)lease.epoch, lease.holder);
		w->ops->note(w->ctx, HAD_INFO, "R6", text);
		w->ops->answer(
		    w->ctx, lease.holder, lease.epoch, WIT_GRANTED, &w->lease);
	} else {
		snprintf(text, sizeof(text),
		    "epoch %llu not granted to node %u: the record could not "
		    "be made durable",
		    (unsigned long long)lease.epoch, lease.holder);
		w->ops->note(w->ctx, HAD_ERR, "R6", text);
		w->ops->answer(
		    w->ctx, lease.holder, lease.epoch, WIT_FAILED, &w->lease);
	}
	next(w);
}

void
wit_step(struct wit *w, const struct wit_event *e)
{
	ASSERT(!w->stepping);
	w->stepping = true;
	switch (e->type) {
	case WIT_EV_ASK:
		asked(w, e->u.ask.node, e->u.ask.incarnation, e->u.ask.epoch);
		break;
	case WIT_EV_WRITTEN:
		written(w, e->u.written);
		break;
	case WIT_EV_GONE:
		ASSERT(e->u.gone >= 1 && e->u.gone <= HAD_NODES_MAX);
		w->asks[e->u.gone - 1].epoch = 0;
		break;
	}
	w->stepping = false;
}
