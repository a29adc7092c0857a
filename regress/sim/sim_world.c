/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time, events, randomness, trace.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim_run.h"

uint64_t
rnd(struct world *w)
{
	/* xorshift64* */
	w->rng ^= w->rng >> 12;
	w->rng ^= w->rng << 25;
	w->rng ^= w->rng >> 27;
	return w->rng * UINT64_C(2685821657736338717);
}

int64_t
rnd_in(struct world *w, int64_t lo, int64_t hi)
{
	ASSERT(lo <= hi);
	return lo + (int64_t)((rnd(w) >> 11) % (uint64_t)(hi - lo + 1));
}

bool
chance(struct world *w, int permille)
{
	return permille > 0 && rnd_in(w, 0, 999) < permille;
}

void
mix(struct world *w, uint64_t v)
{
	w->hash ^= v;
	w->hash *= UINT64_C(0x100000001b3);
	w->hash ^= w->hash >> 29;
}

void
mix_bytes(struct world *w, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t v;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&v, p, 8);
		mix(w, v);
	}
	for (v = 0; len > 0; len--)
		v = v << 8 | *p++;
	mix(w, v);
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

static void *
must(void *p)
{
	if (p == NULL) {
		fprintf(stderr, "sim: out of memory\n");
		exit(2);
	}
	return p;
}

struct ev *
at(struct world *w, int64_t when, void (*fn)(struct world *, struct ev *),
    struct host *h, uint32_t gen)
{
	struct ev *e = w->spare;

	ASSERT(when >= w->now);
	if (e != NULL) {
		w->spare = e->data;
		memset(e, 0, sizeof(*e));
	} else {
		e = must(calloc(1, sizeof(*e)));
	}
	e->at = when;
	e->seq = ++w->seq;
	e->fn = fn;
	e->h = h;
	e->gen = gen;
	if (w->heap_n == w->heap_size) {
		w->heap_size = w->heap_size == 0 ? 1024 : 2 * w->heap_size;
		w->heap =
		    must(realloc(w->heap, w->heap_size * sizeof(*w->heap)));
	}
	w->heap[w->heap_n++] = e;
	heap_up(w, w->heap_n - 1);
	return e;
}

static void
forbidden(struct world *w)
{
	for (unsigned i = 0; i < HOSTS && !w->failed; i++)
		if (w->host[i].running &&
		    nd_epoch(w->host[i].nd) >= w->plan->epoch)
			violation(w, "epoch", "%s has reached epoch %llu",
			    w->host[i].name,
			    (unsigned long long)nd_epoch(w->host[i].nd));
}

void
run_until(struct world *w, int64_t when)
{
	while (w->heap_n > 0 && w->heap[0]->at <= when && !w->failed) {
		struct ev *e = w->heap[0];

		w->heap[0] = w->heap[--w->heap_n];
		heap_down(w);
		ASSERT(e->at >= w->now);
		w->now = e->at;
		mix(w, (uint64_t)e->at);
		e->fn(w, e);
		if (w->plan != NULL && w->plan->epoch != 0)
			forbidden(w);
		free(e->data);
		e->data = w->spare;
		w->spare = e;
	}
	if (!w->failed && w->now < when)
		w->now = when;
}

void
run_ms(struct world *w, int64_t ms)
{
	run_until(w, w->now + ms * MS);
}

bool
run_till(struct world *w, bool (*ok)(struct world *), int64_t ms)
{
	int64_t end = w->now + ms * MS;

	while (!w->failed && w->now < end) {
		if (ok(w))
			return true;
		run_ms(w, 10);
	}
	return !w->failed && ok(w);
}

static void
line(struct world *w, bool show, const char *fmt, va_list ap)
{
	char *slot = w->ring + (w->ring_next++ % RING_LINES) * RING_LEN;
	int n = snprintf(slot, RING_LEN, "%4lld.%06lld ",
	    (long long)(w->now / SEC), (long long)(w->now % SEC));

	vsnprintf(slot + n, RING_LEN - (size_t)n, fmt, ap);
	if (show)
		fprintf(w->out, "%s\n", slot);
}

void
say(struct world *w, const char *fmt, ...)
{
	const char *slot;
	va_list ap;

	va_start(ap, fmt);
	line(w, w->verbose, fmt, ap);
	va_end(ap);
	slot = w->ring + ((w->ring_next - 1) % RING_LINES) * RING_LEN;
	/* What the nodes say to it is indented. */
	if (w->telling != NULL && strstr(slot + 12, "   ") == NULL)
		fprintf(w->telling, " %s\n", slot);
}

bool
fault_begin(struct world *w, uint64_t *rng)
{
	struct plan *p = w->plan;
	unsigned n = w->fault_n++;

	*rng = w->rng;
	w->rng = (w->seed + 1) * UINT64_C(0xd1342543de82ef95) ^
		 (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
	if (w->rng == 0)
		w->rng = 1;
	rnd(w);
	rnd(w);
	if (p == NULL)
		return true;
	p->n = w->fault_n;
	if (!p->all && (n >= PLAN_MAX || !(p->keep[n / 64] >> n % 64 & 1)))
		return false;
	w->telling = p->words;
	if (w->telling != NULL)
		fprintf(w->telling, "fault %u\n", n);
	return true;
}

void
fault_end(struct world *w, uint64_t rng)
{
	w->telling = NULL;
	w->rng = rng;
}

void
detail(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->verbose)
		return;
	va_start(ap, fmt);
	line(w, true, fmt, ap);
	va_end(ap);
}

void
print_ring(struct world *w, unsigned lines)
{
	unsigned from = w->ring_next > lines ? w->ring_next - lines : 0;

	if (w->ring_next > RING_LINES && from < w->ring_next - RING_LINES)
		from = w->ring_next - RING_LINES;
	for (; from < w->ring_next; from++)
		fprintf(
		    w->out, "# %s\n", w->ring + (from % RING_LINES) * RING_LEN);
}

/* The run ends here: what follows a broken promise proves nothing. */
void
violation(struct world *w, const char *rule, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	if (w->failed)
		return;
	if (w->lied && rule[0] == 'I') {
		w->excused++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(w, "VIOLATION %s: %s", rule, text);
	w->violations++;
	w->failed = true;
	if (w->plan != NULL) {
		snprintf(w->plan->rule, sizeof(w->plan->rule), "%s", rule);
		snprintf(w->plan->text, sizeof(w->plan->text), "%s", text);
	}
	fprintf(w->out, "# violation of %s, %s %llu: %s\n", rule,
	    w->scene != NULL ? w->scene : "seed", (unsigned long long)w->seed,
	    text);
	if (!w->verbose)
		print_ring(w, 60);
	if (w->scene != NULL)
		fprintf(w->out,
		    "# replay: build/release/sim -S %s -v, commit %s\n",
		    w->scene, sim_commit());
	else
		fprintf(w->out,
		    "# replay: build/release/sim -s %llu -n 1 -v, commit %s; "
		    "fewest faults: sim -m -s %llu\n",
		    (unsigned long long)w->seed, sim_commit(),
		    (unsigned long long)w->seed);
}

struct world *
world_new(uint64_t seed, const struct scene *scene, FILE *out, bool verbose)
{
	struct world *w = must(calloc(1, sizeof(*w)));

	w->seed = seed;
	w->rng = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	w->hash = UINT64_C(0xcbf29ce484222325);
	w->out = out;
	w->verbose = verbose;
	w->ring = must(calloc(RING_LINES, RING_LEN));
	w->now = SEC;
	w->total_cut_at = NEVER;
	w->active_host = -1;
	w->scene = scene != NULL ? scene->name : NULL;
	w->with = scene != NULL ? scene->with : conf_draw(seed);
	w->takeover = (w->with & (W_WAIT | W_ARBITER)) == 0;
	w->conf = conf_make(seed, w->with);
	for (unsigned i = 0; i < HOSTS; i++)
		host_init(&w->host[i], w, i);
	net_init(w);
	arb_init(w);
	vol_init(w);
	lock_init(w);
	return w;
}

void
world_free(struct world *w)
{
	for (unsigned i = 0; i < HOSTS; i++)
		host_free(&w->host[i]);
	net_free(w);
	vol_free(w);
	while (w->heap_n > 0) {
		struct ev *e = w->heap[--w->heap_n];

		free(e->data);
		free(e);
	}
	for (struct ev *e = w->spare, *next; e != NULL; e = next) {
		next = e->data;
		free(e);
	}
	free(w->heap);
	free(w->ring);
	free(w->conf);
	free(w);
}
