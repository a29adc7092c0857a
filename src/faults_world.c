/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time and events of the small world.  Memory that is short is an assertion:
 * hactl has nothing to go on with.
 */
#include <stdlib.h>
#include <string.h>

#include "faults_int.h"

enum { TICK_US = 20000, BOOT_US = 1000000 };

static void *
must(void *p)
{
	ASSERT(p != NULL);
	return p;
}

static bool
before(const struct ev *a, const struct ev *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void
heap_up(struct world *w, size_t i)
{
	while (i > 0 && before(w->heap[i], w->heap[(i - 1) / 2])) {
		struct ev *t = w->heap[i];

		w->heap[i] = w->heap[(i - 1) / 2];
		w->heap[(i - 1) / 2] = t;
		i = (i - 1) / 2;
	}
}

static void
heap_down(struct world *w)
{
	size_t i = 0;

	for (;;) {
		size_t k = 2 * i + 1;
		struct ev *t;

		if (k >= w->heap_n)
			return;
		if (k + 1 < w->heap_n && before(w->heap[k + 1], w->heap[k]))
			k++;
		if (!before(w->heap[k], w->heap[i]))
			return;
		t = w->heap[i];
		w->heap[i] = w->heap[k];
		w->heap[k] = t;
		i = k;
	}
}

static void
heap_grow(struct world *w)
{
	struct ev **more;

	w->heap_size = w->heap_size == 0 ? 256 : 2 * w->heap_size;
	more = must(calloc(w->heap_size, sizeof(struct ev *)));
	if (w->heap_n > 0)
		memcpy(more, w->heap, w->heap_n * sizeof(*more));
	free(w->heap);
	w->heap = more;
}

struct ev *
world_at(struct world *w, int64_t us, void (*fn)(struct world *, struct ev *),
    struct host *h)
{
	struct ev *e = w->spare;

	if (e != NULL) {
		w->spare = (struct ev *)(void *)e->data;
		memset(e, 0, sizeof(*e));
	} else {
		e = must(calloc(1, sizeof(*e)));
	}
	e->at = w->now + us;
	e->seq = ++w->seq;
	e->fn = fn;
	e->h = h;
	e->gen = h != NULL ? h->gen : 0;
	if (w->heap_n == w->heap_size)
		heap_grow(w);
	w->heap[w->heap_n++] = e;
	heap_up(w, w->heap_n - 1);
	return e;
}

static void
discard(struct ev *e)
{
	free(e->mail);
	free(e->data);
	e->mail = NULL;
	e->data = NULL;
}

/* What comes for a daemon that does not run any more, nobody reads. */
static void
ev_mail(struct world *w, struct ev *e)
{
	(void)w;
	if (!host_up(e->h))
		return;
	if (e->mail->type == ND_EV_TIMER && e->a != e->h->timer_serial)
		return;
	if (e->mail->type == ND_EV_MSG) {
		e->mail->u.msg.bytes = e->data;
		e->mail->u.msg.len = e->len;
	} else if (e->mail->type == ND_EV_VIP &&
		   e->mail->u.vip.type == VIP_EV_CARRIER) {
		e->mail->u.vip.u.carrier.ifname = e->text;
	}
	host_step(e->h, e->mail);
}

struct ev *
world_mail(struct host *h, int64_t us, enum nd_ev type)
{
	struct ev *e = world_at(h->w, us, ev_mail, h);

	e->mail = must(calloc(1, sizeof(*e->mail)));
	e->mail->type = type;
	e->mail->peer = host_other(h)->id;
	return e;
}

uint8_t *
world_bytes(struct ev *e, size_t len)
{
	e->data = must(calloc(1, len + 1));
	e->len = len;
	return e->data;
}

void
world_run(struct world *w, int64_t ms)
{
	int64_t end = w->now + ms * MS;

	while (w->heap_n > 0 && w->heap[0]->at <= end) {
		struct ev *e = w->heap[0];

		w->heap[0] = w->heap[--w->heap_n];
		heap_down(w);
		ASSERT(e->at >= w->now);
		w->now = e->at;
		if (e->h == NULL || e->gen == e->h->gen)
			e->fn(w, e);
		discard(e);
		e->data = (uint8_t *)(void *)w->spare;
		w->spare = e;
		verdict_look(w);
	}
	w->now = end;
}

static void
ev_tick(struct world *w, struct ev *e)
{
	(void)e;
	net_tick(w);
	for (unsigned i = 0; i < HOSTS; i++)
		if (w->host[i].alive)
			arbiter_tick(&w->host[i]);
	world_at(w, TICK_US, ev_tick, NULL);
}

static void
host_new(struct world *w, uint8_t idx)
{
	struct host *h = &w->host[idx];

	h->w = w;
	h->idx = idx;
	h->conf = &w->conf->nodes[idx];
	h->id = h->conf->id;
	h->alive = true;
	for (unsigned n = 0; n < NETS; n++)
		h->carrier[n] = true;
	for (unsigned v = 0; v < HAD_VOLUMES_MAX; v++)
		h->serve[v].first_ack = NEVER;
	if (w->conf->n_volumes > 0)
		h->copies =
		    must(calloc(w->conf->n_volumes, sizeof(struct copy)));
}

/* Both machines are switched on. */
struct world *
world_new(const struct faults *f)
{
	struct world *w = must(calloc(1, sizeof(*w)));
	const char *why;

	w->f = f;
	w->conf = f->conf;
	w->now = BOOT_US;
	w->hit_at = NEVER;
	w->st = must(calloc(1, sizeof(*w->st)));
	for (unsigned s = 0; s < HAD_SERVICES_MAX; s++)
		w->seen[s].on = -1;
	for (uint8_t i = 0; i < HOSTS; i++)
		host_new(w, i);
	for (unsigned i = 0; i < HOSTS; i++) {
		int rc = disk_format(&w->host[i], i == 0, &why);

		/* The device has room: its size is ours. */
		ASSERT(rc == 0);
		host_start(&w->host[i]);
	}
	net_start(w);
	world_at(w, TICK_US, ev_tick, NULL);
	return w;
}

void
world_free(struct world *w)
{
	for (unsigned i = 0; i < HOSTS; i++) {
		nd_free(w->host[i].nd);
		free(w->host[i].copies);
	}
	while (w->heap_n > 0) {
		struct ev *e = w->heap[--w->heap_n];

		discard(e);
		free(e);
	}
	for (struct ev *e = w->spare, *next; e != NULL; e = next) {
		next = (struct ev *)(void *)e->data;
		free(e);
	}
	free(w->heap);
	free(w->st);
	free(w);
}
