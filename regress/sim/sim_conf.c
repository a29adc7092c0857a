/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration of a run, as text through the real parser and checker, so
 * that the timers are those of the product.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

const char *const host_names[WORLDS][HOSTS] = {
    {"alpha", "bravo"}, {"charlie", "delta"}, {"echo", "foxtrot"}};

static const char nodes_text[] =
    "node %s {\n"
    "	id %d\n"
    "	key \"sha256:00000000000000000000000000000000"
    "000000000000000000000000000000%u%d\"\n"
    "	link cross 10.77.%u.%d interface x0\n"
    "	link lan 192.0.2.%u%d interface l0\n"
    "%s"
    "}\n";

static const char fence_text[] =
    "	fence \"fence_board\" timeout 3s { plug 1 }\n"
    "	fence \"fence_strip\" timeout 4s { plug 1 }\n";

static const char volume_text[] = "volume vol {\n"
				  "	device \"/sim/vol\"\n"
				  "	meta internal\n"
				  "	write disk\n"
				  "}\n";

static const char rest_text[] = "address web { 192.0.2.8%u/24 interface l0 }\n"
				"address gate { 192.0.2.9%u/24 interface l0 }\n"
				"service shop {\n"
				"%s"
				"	start {\n"
				"%s"
				"		command prog {\n"
				"			start \"up\"\n"
				"			stop \"down\"\n"
				"			timeout 5s\n"
				"		}\n"
				"		address web\n"
				"	}\n"
				"%s"
				"}\n"
				"service gate {\n"
				"	start { address gate }\n"
				"}\n"
				"lockspace default { locks 64 }\n";

static uint64_t
draw(uint64_t seed)
{
	return (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 20;
}

/* Most seeds are one pair; a node alone has nothing to mirror. */
unsigned
shape_draw(uint64_t seed, unsigned n_hosts[WORLDS])
{
	static const unsigned shapes[][WORLDS] = {{2, 1}, {2, 2}, {2, 2, 1}};
	uint64_t r = draw(seed) >> 24 & 15;
	unsigned n = 0;

	memset(n_hosts, 0, WORLDS * sizeof(n_hosts[0]));
	n_hosts[0] = HOSTS;
	if (r < NITEMS(shapes))
		memcpy(n_hosts, shapes[r], sizeof(shapes[r]));
	while (n < WORLDS && n_hosts[n] > 0)
		n++;
	return n;
}

/* Half of the seeds have no arbiter, the others each kind of them. */
static uint32_t
pair_draw(uint64_t seed)
{
	static const uint32_t kinds[] = {W_FENCE, W_WITNESS,
	    W_WITNESS | W_DISKS, W_FENCE | W_WITNESS, W_FENCE, W_WITNESS,
	    W_DISK, W_DISKS | W_DISK};
	uint64_t r = draw(seed);
	uint32_t with;

	if (seed % 2 == 0)
		with = seed % 4 == 0 ? 0 : W_WAIT;
	else
		with = kinds[r % NITEMS(kinds)];
	if ((r >> 8 & 3) == 0)
		with |= W_PINGS;
	if ((r >> 10 & 3) == 0)
		with |= W_ADVERTS;
	if ((r >> 12 & 15) == 0)
		with |= W_DOMAIN;
	if ((r >> 16 & 1) == 0)
		with |= W_SYSRQ;
	if ((with & W_VOTERS) != 0 && (r >> 17 & 1) == 0)
		with |= W_WATCHDOG;
	else if ((with & W_SYSRQ) == 0 && (r >> 17 & 3) == 0)
		with |= W_STARVE | W_WATCHDOG;
	return with;
}

/* Where there are several clusters, most of them have the witness. */
uint32_t
conf_draw(uint64_t seed, unsigned world, unsigned n_hosts)
{
	unsigned shape[WORLDS];
	uint32_t with;

	if (n_hosts == 1)
		return draw(seed) >> 9 & 1 ? W_CHECK | W_SYSRQ : W_ADVERTS;
	if (shape_draw(seed, shape) == 1)
		return pair_draw(seed);
	with = pair_draw(seed * WORLDS + world);
	if (draw(seed) >> (28 + world) & 1) {
		with &= ~(uint32_t)(W_WAIT | W_DISKS | W_DISK);
		with |= W_WITNESS;
	}
	return with;
}

struct text {
	char s[8192];
	size_t used;
};

static void PRINTF_LIKE(2, 3) put(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->used +=
	    (size_t)vsnprintf(t->s + t->used, sizeof(t->s) - t->used, fmt, ap);
	va_end(ap);
	ASSERT(t->used < sizeof(t->s));
}

static void
put_cluster(struct text *t, uint64_t seed, uint32_t with, unsigned world)
{
	static const int beats[][2] = {{100, 500}, {50, 200}, {100, 400}};
	const int *beat = beats[seed % NITEMS(beats)];
	int disks = (with & W_DISKS ? 2 : 0) + (with & W_DISK ? 1 : 0);

	put(t, "cluster sim%u {\n	heartbeat %dms\n	dead %dms\n",
	    world, beat[0], beat[1]);
	if ((with & W_ARBITER) == 0)
		put(t, "	silent peer %s\n",
		    with & W_WAIT ? "wait" : "takeover");
	if (with & W_WITNESS)
		put(t, "	witness 192.0.2.53 key "
		       "\"sha256:11111111111111111111111111111111"
		       "11111111111111111111111111111111\"\n");
	for (int i = 0; i < disks; i++)
		put(t, "	lock disk \"/sim/lock%d\"\n", i + 1);
	if (with & W_WATCHDOG)
		put(t, "	watchdog \"/dev/watchdog\" timeout %ds\n",
		    seed % 4 == 1 || beat[1] > 200 ? 2 : 1);
	if (with & W_PINGS)
		put(t, "	ping 192.0.2.1; ping 192.0.2.2\n");
	if (with & (W_SYSRQ | W_STARVE))
		put(t, "	self fence %s\n",
		    with & W_SYSRQ ? "sysrq" : "watchdog");
	put(t, "}\n");
}

struct conf *
conf_make(uint64_t seed, uint32_t with, unsigned world, unsigned n_hosts,
    const char *more)
{
	struct conf *c = calloc(1, sizeof(*c));
	struct text *t = calloc(1, sizeof(*t));
	char complaints[2048];
	struct conf_errors errors = {
	    .text = complaints, .size = sizeof(complaints)};

	if (c == NULL || t == NULL)
		exit(2);
	put_cluster(t, seed, with, world);
	for (unsigned i = 0; i < n_hosts; i++) {
		int id = (int)i + 1;

		put(t, nodes_text, host_names[world][i], id, world, id, world,
		    id, world + 1, id, with & W_FENCE ? fence_text : "");
	}
	if (n_hosts > 1)
		put(t, "%s", volume_text);
	put(t, rest_text, world, world,
	    seed % 3 == 0 && world == 0 ? "	prefer alpha\n" : "",
	    n_hosts > 1 ? "		volume vol\n"
			  "		mount vol on \"/srv\" type ext4\n"
			: "",
	    seed % 5 == 0 || (with & W_CHECK) ? "	check \"ok\" every 2s\n"
					      : "");
	put(t, "%s", more);
	if (conf_parse(c, "sim.conf", t->s, t->used, &errors) < 0) {
		fprintf(stderr, "%s%.*s", t->s, (int)errors.used, complaints);
		exit(2);
	}
	free(t);
	return c;
}
