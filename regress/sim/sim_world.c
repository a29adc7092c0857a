/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time, events, randomness, trace.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim_run.h"
#include "sim_vr.h"

uint64_t
rnd(struct world *w)
{
	/* xorshift64* */
	w->sim->rng ^= w->sim->rng >> 12;
	w->sim->rng ^= w->sim->rng << 25;
	w->sim->rng ^= w->sim->rng >> 27;
	return w->sim->rng * UINT64_C(2685821657736338717);
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
	w->sim->hash ^= v;
	w->sim->hash *= UINT64_C(0x100000001b3);
	w->sim->hash ^= w->sim->hash >> 29;
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
heap_up(struct sim *s, size_t i)
{
	while (i > 0 && before(s->heap[i], s->heap[(i - 1) / 2])) {
		struct ev *t = s->heap[i];

		s->heap[i] = s->heap[(i - 1) / 2];
		s->heap[(i - 1) / 2] = t;
		i = (i - 1) / 2;
	}
}

static void
heap_down(struct sim *s)
{
	size_t i = 0;

	for (;;) {
		size_t k = 2 * i + 1;
		struct ev *t;

		if (k >= s->heap_n)
			return;
		if (k + 1 < s->heap_n && before(s->heap[k + 1], s->heap[k]))
			k++;
		if (!before(s->heap[k], s->heap[i]))
			return;
		t = s->heap[i];
		s->heap[i] = s->heap[k];
		s->heap[k] = t;
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
	struct sim *s = w->sim;
	struct ev *e = s->spare;

	ASSERT(when >= s->now);
	if (e != NULL) {
		s->spare = e->data;
		memset(e, 0, sizeof(*e));
	} else {
		e = must(calloc(1, sizeof(*e)));
	}
	e->at = when;
	e->seq = ++s->seq;
	e->fn = fn;
	e->w = w;
	e->h = h;
	e->gen = gen;
	if (s->heap_n == s->heap_size) {
		s->heap_size = s->heap_size == 0 ? 1024 : 2 * s->heap_size;
		s->heap =
		    must(realloc(s->heap, s->heap_size * sizeof(*s->heap)));
	}
	s->heap[s->heap_n++] = e;
	heap_up(s, s->heap_n - 1);
	return e;
}

static void
forbidden(struct world *w)
{
	for (unsigned i = 0; i < w->n_hosts && !w->sim->failed; i++)
		if (w->host[i].running &&
		    nd_epoch(w->host[i].nd) >= w->sim->plan->epoch)
			violation(w, "epoch", "%s has reached epoch %llu",
			    w->host[i].name,
			    (unsigned long long)nd_epoch(w->host[i].nd));
}

/* In all worlds. */
void
run_until(struct world *w, int64_t when)
{
	struct sim *s = w->sim;

	while (s->heap_n > 0 && s->heap[0]->at <= when && !s->failed) {
		struct ev *e = s->heap[0];

		s->heap[0] = s->heap[--s->heap_n];
		heap_down(s);
		ASSERT(e->at >= s->now);
		s->now = e->at;
		mix(w, (uint64_t)e->at);
		e->fn(e->w, e);
		if (s->plan != NULL && s->plan->epoch != 0)
			forbidden(e->w);
		free(e->data);
		e->data = s->spare;
		s->spare = e;
	}
	if (!s->failed && s->now < when)
		s->now = when;
}

void
run_ms(struct world *w, int64_t ms)
{
	run_until(w, w->sim->now + ms * MS);
}

bool
run_till(struct world *w, bool (*ok)(struct world *), int64_t ms)
{
	int64_t end = w->sim->now + ms * MS;

	while (!w->sim->failed && w->sim->now < end) {
		if (ok(w))
			return true;
		run_ms(w, 10);
	}
	return !w->sim->failed && ok(w);
}

static void
line(struct world *w, bool show, const char *fmt, va_list ap)
{
	char *slot =
	    w->sim->ring + (w->sim->ring_next++ % RING_LINES) * RING_LEN;
	int n = snprintf(slot, RING_LEN, "%4lld.%06lld ",
	    (long long)(w->sim->now / SEC), (long long)(w->sim->now % SEC));

	vsnprintf(slot + n, RING_LEN - (size_t)n, fmt, ap);
	if (show)
		fprintf(w->sim->out, "%s\n", slot);
}

void
say(struct world *w, const char *fmt, ...)
{
	const char *slot;
	va_list ap;

	va_start(ap, fmt);
	line(w, w->sim->verbose, fmt, ap);
	va_end(ap);
	slot = w->sim->ring + ((w->sim->ring_next - 1) % RING_LINES) * RING_LEN;
	/* What the nodes say to it is indented. */
	if (w->sim->telling != NULL && strstr(slot + 12, "   ") == NULL)
		fprintf(w->sim->telling, " %s\n", slot);
}

struct faults {
	int64_t gap_us;
	void (*hit)(struct world *);
};

/*
 * Around each fault: what it draws depends on the seed and its number only.
 * False: it is to be left out.
 */
static bool
fault_begin(struct world *w, uint64_t *rng)
{
	struct plan *p = w->sim->plan;
	unsigned n = w->sim->fault_n++;

	*rng = w->sim->rng;
	w->sim->rng = (w->sim->seed + 1) * UINT64_C(0xd1342543de82ef95) ^
		      (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
	if (w->sim->rng == 0)
		w->sim->rng = 1;
	rnd(w);
	rnd(w);
	if (p == NULL)
		return true;
	p->n = w->sim->fault_n;
	if (!p->all && (n >= PLAN_MAX || !(p->keep[n / 64] >> n % 64 & 1)))
		return false;
	w->sim->telling = p->words;
	if (w->sim->telling != NULL)
		fprintf(w->sim->telling, "fault %u\n", n);
	return true;
}

static void
fault_end(struct world *w, uint64_t rng)
{
	w->sim->telling = NULL;
	w->sim->rng = rng;
}

static void
ev_fault(struct world *w, struct ev *e)
{
	const struct faults *f = e->data;
	struct ev *next;
	uint64_t rng;
	bool wanted;

	if (w->sim->calm)
		return;
	wanted = fault_begin(w, &rng);
	next = at(w, w->sim->now + rnd_in(w, 1, f->gap_us), ev_fault, NULL, 0);
	next->data = e->data;
	e->data = NULL;
	if (wanted)
		f->hit(w);
	fault_end(w, rng);
}

void
faults_from(struct world *w, int64_t first_us, int64_t gap_us,
    void (*hit)(struct world *))
{
	struct faults *f = must(malloc(sizeof(*f)));

	f->gap_us = gap_us;
	f->hit = hit;
	at(w, w->sim->now + first_us, ev_fault, NULL, 0)->data = f;
}

void
detail(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->sim->verbose)
		return;
	va_start(ap, fmt);
	line(w, true, fmt, ap);
	va_end(ap);
}

void
print_ring(struct world *w, unsigned lines)
{
	unsigned from =
	    w->sim->ring_next > lines ? w->sim->ring_next - lines : 0;

	if (w->sim->ring_next > RING_LINES &&
	    from < w->sim->ring_next - RING_LINES)
		from = w->sim->ring_next - RING_LINES;
	for (; from < w->sim->ring_next; from++)
		fprintf(w->sim->out, "# %s\n",
		    w->sim->ring + (from % RING_LINES) * RING_LEN);
}

/*
 * After a lie: who owns the data, what is read, who holds a lock, and that it
 * ends well without an operator.  The rest holds whatever agents say.
 */
static bool
not_promised(const char *rule)
{
	static const char *const rules[] = {"I1", "I2", "I3", "I6"};

	for (unsigned i = 0; i < NITEMS(rules); i++)
		if (strcmp(rule, rules[i]) == 0)
			return true;
	return false;
}

/* The run ends here: what follows a broken promise proves nothing. */
void
violation(struct world *w, const char *rule, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	if (w->sim->failed)
		return;
	if (w->lied && not_promised(rule)) {
		w->excused++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(w, "VIOLATION %s: %s", rule, text);
	w->sim->violations++;
	w->sim->failed = true;
	if (w->sim->plan != NULL) {
		snprintf(
		    w->sim->plan->rule, sizeof(w->sim->plan->rule), "%s", rule);
		snprintf(
		    w->sim->plan->text, sizeof(w->sim->plan->text), "%s", text);
	}
	fprintf(w->sim->out, "# violation of %s, %s %llu: %s\n", rule,
	    w->sim->scene != NULL ? w->sim->scene : "seed",
	    (unsigned long long)w->sim->seed, text);
	if (!w->sim->verbose)
		print_ring(w, 60);
	if (w->sim->scene != NULL)
		fprintf(w->sim->out,
		    "# replay: build/release/sim -S %s -v, commit %s\n",
		    w->sim->scene, sim_commit());
	else
		fprintf(w->sim->out,
		    "# replay: build/release/sim -s %llu -n 1 -v, commit %s; "
		    "fewest faults: sim -m -s %llu\n",
		    (unsigned long long)w->sim->seed, sim_commit(),
		    (unsigned long long)w->sim->seed);
}

static struct world *
world_new(struct sim *s, unsigned idx, unsigned n_hosts, uint32_t with,
    const struct vr_drawn *vr)
{
	struct world *w = must(calloc(1, sizeof(*w)));

	ASSERT(n_hosts >= 1 && n_hosts <= HOSTS);
	w->sim = s;
	w->idx = idx;
	w->n_hosts = n_hosts;
	w->total_cut_at = NEVER;
	w->quiet_at = w->hold_at = NEVER;
	w->active_host = -1;
	w->with = with;
	w->takeover = n_hosts > 1 && (with & (W_WAIT | W_ARBITER)) == 0;
	w->conf = conf_make(s->seed, with, idx, n_hosts, vr->text);
	rt_init(w, vr);
	for (unsigned i = 0; i < HOSTS; i++)
		host_init(&w->host[i], w, i);
	net_init(w);
	arb_init(w);
	vol_init(w);
	lock_init(w);
	return w;
}

/* A scene with n nodes: pairs, and one alone if n is odd. */
static void
shape_of(const struct scene *scene, unsigned n_hosts[WORLDS])
{
	if (scene->nodes == 0)
		return; /* a pair */
	n_hosts[0] = 0;
	for (unsigned i = 0, n = scene->nodes; n > 0; i++) {
		n_hosts[i] = n < HOSTS ? n : HOSTS;
		n -= n_hosts[i];
	}
}

struct sim *
sim_new(uint64_t seed, const struct scene *scene, FILE *out, bool verbose)
{
	struct sim *s = must(calloc(1, sizeof(*s)));
	unsigned n_hosts[WORLDS] = {HOSTS};

	s->seed = seed;
	s->rng = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	s->hash = UINT64_C(0xcbf29ce484222325);
	s->out = out;
	s->verbose = verbose;
	s->ring = must(calloc(RING_LINES, RING_LEN));
	s->now = SEC;
	s->scene = scene != NULL ? scene->name : NULL;
	if (scene == NULL)
		shape_draw(seed, n_hosts);
	else
		shape_of(scene, n_hosts);
	for (unsigned i = 0; i < WORLDS && n_hosts[i] > 0; i++) {
		uint32_t with = conf_draw(seed, i, n_hosts[i]);
		struct vr_drawn vr = {.text = ""};

		if (scene == NULL)
			rt_draw(seed, i, n_hosts[i], &vr);
		else
			with = n_hosts[i] > 1 ? scene->with : W_CHECK;
		if (scene != NULL && scene->more != NULL) {
			snprintf(vr.text, sizeof(vr.text), "%s", scene->more);
			vr.any = true;
		}
		s->world[s->n_worlds++] =
		    world_new(s, i, n_hosts[i], with, &vr);
	}
	return s;
}

static void
world_free(struct world *w)
{
	for (unsigned i = 0; i < HOSTS; i++)
		host_free(&w->host[i]);
	for (unsigned i = 0; i < w->n_voters; i++)
		witness_free(&w->voter[i]);
	net_free(w);
	vol_free(w);
	rt_free(w);
	free(w->conf);
	free(w);
}

void
sim_free(struct sim *s)
{
	for (unsigned i = 0; i < s->n_worlds; i++)
		world_free(s->world[i]);
	while (s->heap_n > 0) {
		struct ev *e = s->heap[--s->heap_n];

		free(e->data);
		free(e);
	}
	for (struct ev *e = s->spare, *next; e != NULL; e = next) {
		next = e->data;
		free(e);
	}
	free(s->heap);
	free(s->ring);
	free(s);
}
