/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The routers and shared addresses that a seed draws: about one seed of eight
 * has some.  What is drawn here is drawn from a source of its own, so that the
 * history of the other seeds does not depend on it.
 */
#include <stdarg.h>
#include <string.h>

#include "sim_vr.h"

struct draw {
	uint64_t rng; /* its own */
	char *text; /* lent */
	size_t used;
	unsigned world, next; /* the next address' number */
};

static void PRINTF_LIKE(2, 3) put(struct draw *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	d->used +=
	    (size_t)vsnprintf(d->text + d->used, VR_TEXT - d->used, fmt, ap);
	va_end(ap);
	ASSERT(d->used < VR_TEXT);
}

static unsigned
pick(struct draw *d, unsigned n)
{
	d->rng ^= d->rng >> 12;
	d->rng ^= d->rng << 25;
	d->rng ^= d->rng >> 27;
	return (unsigned)((d->rng * UINT64_C(2685821657736338717)) >> 33) % n;
}

static void
put_address(struct draw *d, bool v6, bool share)
{
	unsigned last = 100 + 20 * d->world + d->next;

	if (v6)
		put(d, "address e%u { 2001:db8::%u/64 interface l0%s }\n",
		    d->next, last, share ? "; share" : "");
	else
		put(d, "address e%u { 192.0.2.%u/24 interface l0%s }\n",
		    d->next, last, share ? "; share" : "");
	d->next++;
}

/* Who is meant to have it, if anybody is. */
static void
put_ranks(struct draw *d, unsigned n_hosts, bool carp)
{
	static const unsigned pairs[][2] = {{150, 100}, {100, 150}, {100, 100},
	    {255, 100}, {101, 100}, {254, 1}, {100, 200}};
	unsigned p = pick(d, NITEMS(pairs));

	for (unsigned i = 0; i < n_hosts; i++) {
		const char *node = host_names[d->world][i];

		if (carp)
			put(d, "	skew %u on %s\n",
			    pairs[p][i] == 255 ? 0 : 254 - pairs[p][i], node);
		else
			put(d, "	priority %u on %s\n", pairs[p][i],
			    node);
	}
}

static void
put_options(struct draw *d, bool carp)
{
	static const unsigned delays[] = {0, 500, 2000};

	if (pick(d, 5) < 3)
		put(d, "	preempt after %ums\n", delays[pick(d, 3)]);
	if (pick(d, 8) == 0)
		put(d, "	start after 1s\n");
	if (pick(d, 4) == 0)
		put(d, "	track file \"/sim/file\"%s\n",
		    pick(d, 2) == 0 ? " weight -80" : "");
	if (pick(d, 8) == 0)
		put(d, "	track interface x0 weight -60\n");
	if (pick(d, 8) == 0)
		put(d, "	track service gate weight %u\n", carp ? 1 : 40);
	if (!carp && pick(d, 4) == 0)
		put(d, "	virtual mac\n");
}

static void
put_router(struct draw *d, unsigned k, unsigned n_hosts, bool group)
{
	static const unsigned intervals[] = {100, 200, 400, 1000};
	unsigned kind = pick(d, 8), first = d->next, n = 1 + pick(d, 2);
	bool v6 = kind == 1 || kind == 6, carp = kind >= 6;
	unsigned vrid = 10 * (d->world + 1) + k;

	for (unsigned i = 0; i < n; i++)
		put_address(d, v6, false);
	put(d, "router r%u {\n", k);
	if (carp)
		put(d, "	carp vhid %u\n	password \"sesame\"\n", vrid);
	else
		put(d, "	vrrp %u vrid %u\n", kind == 0 ? 2 : 3, vrid);
	for (unsigned i = 0; i < n; i++)
		put(d, "	address e%u\n", first + i);
	if (!carp && kind != 0)
		put(d, "	interval %ums\n", intervals[pick(d, 4)]);
	if (kind == 0 && pick(d, 2) == 0)
		put(d, "	password \"sesame\"\n");
	put_ranks(d, n_hosts, carp);
	put_options(d, carp);
	if (group)
		put(d, "	group all\n");
	put(d, "}\n");
}

/* None is in about seven seeds of eight. */
static bool
drawn(uint64_t seed, struct draw *d)
{
	d->rng = (seed + 1) * UINT64_C(0xbf58476d1ce4e5b9) ^ UINT64_C(0x7672);
	for (unsigned i = 0; i < 4; i++)
		(void)pick(d, 2);
	return pick(d, 8) == 0;
}

bool
rt_drawn(uint64_t seed)
{
	struct draw d;

	return drawn(seed, &d);
}

/* In half of them the files change, and have room for what comes later. */
static void
draw_reloads(struct draw *d, struct vr_drawn *out, unsigned n_hosts, unsigned n)
{
	unsigned more = 1 + pick(d, 2);
	bool group = pick(d, 4) == 0;

	out->reloads = pick(d, 2) == 0;
	for (unsigned k = n; out->reloads && k < n + more; k++) {
		put_router(d, k, n_hosts, group);
		if (pick(d, 3) > 0)
			out->late |= UINT32_C(1) << k;
	}
}

void
rt_draw(uint64_t seed, unsigned world, unsigned n_hosts, struct vr_drawn *out)
{
	struct draw d = {.text = out->text, .world = world};
	unsigned n;
	bool group;

	memset(out, 0, sizeof(*out));
	if (!drawn(seed, &d))
		return;
	/* The others of this seed draw on from somewhere else. */
	d.rng += world * UINT64_C(0x94d049bb133111eb);
	(void)pick(&d, 2);
	n = pick(&d, 4);
	if (n == 0 && (n_hosts == 1 || world > 0))
		return;
	out->any = true;
	group = n > 1 && pick(&d, 3) == 0;
	for (unsigned k = 0; k < n; k++)
		put_router(&d, k, n_hosts, group);
	if (n_hosts > 1 && (n == 0 || pick(&d, 3) == 0))
		for (unsigned k = 1 + pick(&d, 2); k > 0; k--)
			put_address(&d, pick(&d, 3) == 0, true);
	draw_reloads(&d, out, n_hosts, n);
}
