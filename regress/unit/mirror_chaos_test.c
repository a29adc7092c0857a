/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Seeded random schedules of two mirrors under an arbitration that keeps its
 * word (one owner, a rebooted node takes nothing by itself), with lost
 * connections, crashes, power cuts, freezes and failing disks at any moment.
 * Checked: nothing that was acknowledged is lost or comes back older, no
 * read returns what was not written, copies in sync are equal, and all ends
 * in sync.
 *
 * MIR_SEED=N repeats one, MIR_SEEDS=N sets how many, MIR_TRACE=1 shows it.
 */
#include "mir_world.h"

enum { STEPS = 1500 };

static bool
insync(struct world *w, uint8_t id)
{
	return w->n[id].up && !w->n[id].frozen &&
	       w_status(w, id).conn == MIR_CONN_INSYNC;
}

/* Has node id every acknowledged write, however the other one ends? */
static bool
has_all(struct world *w, uint8_t id)
{
	struct w_node *n = &w->n[id];

	return n->up && !n->unclean && !n->d.broken && w->sole == 0 &&
	       w_status(w, id).disk == MIR_DISK_UPTODATE;
}

/* May arbitration let it go on alone? */
static bool
eligible(struct world *w, uint8_t id)
{
	struct w_node *n = &w->n[id];

	if (!n->up || n->frozen)
		return false;
	if (w->sole != 0)
		return w->sole == id;
	return !n->unclean && !n->d.broken;
}

static void
crash(struct world *w, uint8_t id, bool power)
{
	if (!w->n[id].up)
		return;
	/*
	 * A node cannot tell a crash of its daemon from a power cut, so if one
	 * lost its cache and the other then crashes in any way, the better
	 * copy of the two is not known any more.
	 */
	if ((power || w->n[w_other(id)].lost) && !has_all(w, w_other(id)))
		w_catastrophe(w);
	w_crash(w, id, power);
	w->n[id].lost |= power;
	w->n[id].d.broken = false; /* replaced cable, so to say */
	if (w->owner == id)
		w->owner = 0;
}

static void
thaw(struct world *w, uint8_t id)
{
	struct w_node *n = &w->n[id];

	if (!n->up || !n->frozen)
		return;
	n->frozen = false;
	n->doubt = true;
	w_view(w, id, MIR_PEER_DOWN, false);
	for (uint64_t i = w_rand(w, 6); i > 0; i--)
		w_complete_any(w, id, w_rand(w, 0));
	n->doubt = false;
	w_view(w, id, MIR_PEER_DOWN, w->owner != id);
}

/* The peer of id is declared gone, and really is out of the way. */
static void
alone(struct world *w, uint8_t id)
{
	uint8_t o = w_other(id);

	if (!eligible(w, id) || w->n[id].view == MIR_PEER_GONE)
		return;
	w_cut(w);
	if (w->owner == o || w_status(w, id).primary == false) {
		switch (w_rand(w, 4)) {
		case 0:
			crash(w, o, false);
			break;
		case 1:
			crash(w, o, true);
			break;
		case 2:
			if (w->n[o].up)
				w->n[o].frozen = true;
			break;
		case 3:
			if (w->n[o].up && !w->n[o].frozen)
				w_view(w, o, MIR_PEER_DOWN, true);
			break;
		}
		if (w->owner == o)
			w->owner = 0;
	}
	if (!eligible(w, id))
		return;
	w->epoch++;
	w->sole = id;
	w_view(w, id, MIR_PEER_GONE, false);
	if (w->owner == 0) {
		w->owner = id;
		w_promote(w, id, 1);
		w->failovers++;
	}
}

static void
request(struct world *w, uint8_t id)
{
	uint64_t off = w_rand(w, W_SECTORS);
	uint32_t len = 1 + (uint32_t)w_rand(w, w_rand(w, 4) == 0 ? 128 : 12);
	enum mir_cmd cmd = MIR_WRITE;

	switch (w_rand(w, 16)) {
	case 0:
	case 1:
	case 2:
		cmd = MIR_READ;
		break;
	case 3:
	case 4:
		w_request(w, id, MIR_FLUSH, 0, 0);
		return;
	case 5:
		cmd = MIR_TRIM;
		break;
	case 6:
		cmd = MIR_ZERO;
		break;
	}
	if (len > W_SECTORS - off)
		len = (uint32_t)(W_SECTORS - off);
	len = mir_piece(MIR_WRITE, off * 512, len * 512);
	w_request(w, id, cmd, off * 512, len);
}

static void
fault(struct world *w)
{
	uint8_t id = 1 + (uint8_t)w_rand(w, 2);
	struct w_node *n = &w->n[id];

	switch (w_rand(w, 14)) {
	case 0:
	case 1:
		w_cut(w);
		break;
	case 2:
		crash(w, id, false);
		break;
	case 3:
		crash(w, id, true);
		break;
	case 4:
	case 5:
		alone(w, id);
		break;
	case 6: /* only one thing at a time fails with the disk */
		if (insync(w, 1) && insync(w, 2) && !w->n[1].d.broken &&
		    !w->n[2].d.broken && w->sole == 0 && w_rand(w, 3) == 0) {
			n->d.broken = true;
			w->sole = w_other(id);
		}
		break;
	case 7:
		if (n->up && !n->frozen && w->owner != id &&
		    w_rand(w, 2) == 0) {
			w_cut(w);
			n->frozen = true;
		}
		break;
	case 8:
		if (w->owner == id && n->up && !n->frozen) {
			w_demote(w, id, 2);
			w->owner = 0;
		}
		break;
	default:
		break;
	}
}

/* What goes right by itself. */
static void
mend(struct world *w)
{
	uint8_t id = 1 + (uint8_t)w_rand(w, 2);
	struct w_node *n = &w->n[id], *o = &w->n[w_other(id)];

	switch (w_rand(w, 6)) {
	case 0:
	case 1:
		if (!n->up)
			w_start(w, id);
		break;
	case 2:
		thaw(w, id);
		break;
	case 3:
	case 4:
		if (n->up && o->up && !n->frozen && !o->frozen)
			w_connect(w);
		break;
	case 5: /* somebody should be primary */
		if (w->owner == 0 && n->up && !n->frozen &&
		    (w->sole == 0 || w->sole == id) && w->assoc != 0 &&
		    !w_status(w, w_other(id)).primary &&
		    !w_status(w, w_other(id)).changing &&
		    !w_status(w, id).changing) {
			w->owner = id;
			w_promote(w, id, 3);
		}
		break;
	}
}

static void
check(struct world *w)
{
	struct mir_status a, b;
	bool busy = false;

	for (uint8_t id = 1; id <= 2; id++) {
		if (!w->n[id].up)
			continue;
		a = w_status(w, id);
		assert_int_not_equal(a.conn, MIR_CONN_SPLIT);
		assert_int_not_equal(a.conn, MIR_CONN_REFUSED);
		assert_int_not_equal(a.disk, MIR_DISK_FAILED);
		/* A promotion that failed leaves nobody in charge. */
		if (w->owner == id && !a.primary && !a.changing)
			w->owner = 0;
	}
	if (!insync(w, 1) || !insync(w, 2) || w->n[1].d.broken ||
	    w->n[2].d.broken || w->assoc == 0)
		return;
	a = w_status(w, 1);
	b = w_status(w, 2);
	assert_false(a.primary && b.primary);
	if (w->sole != 0)
		w->resyncs++;
	w->sole = 0;
	w->n[1].unclean = w->n[2].unclean = false;
	w->n[1].lost = w->n[2].lost = false;
	for (int i = 0; i < W_REQS; i++)
		busy |= w->reqs[i].used;
	if (!busy && a.peer_ops == 0 && b.peer_ops == 0 && a.requests == 0 &&
	    b.requests == 0)
		w_check_equal(w);
}

static void
heal(struct world *w)
{
	for (uint8_t id = 1; id <= 2; id++) {
		thaw(w, id);
		if (w->n[id].d.broken)
			crash(w, id, false);
		if (!w->n[id].up)
			w_start(w, id);
	}
	w_run(w);
	w_connect(w);
	for (int i = 0; i < 200 && !(insync(w, 1) && insync(w, 2)); i++)
		w_run_ms(w, 100);
	w_run_ms(w, 3000);
	assert_true(insync(w, 1) && insync(w, 2));
	check(w);
	for (int i = 0; i < W_REQS; i++)
		assert_false(w->reqs[i].used);
	assert_int_equal(w_status(w, 1).dirty_bytes, 0);
	assert_int_equal(w_status(w, 2).dirty_bytes, 0);
	w_check_equal(w);
	if (w->owner == 0) {
		w->owner = 2;
		w_promote(w, 2, 9);
		w_run(w);
		assert_true(w->n[2].done_ok);
	}
	request(w, w->owner);
	w_run_ms(w, 3000);
	w_check_equal(w);
}

static uint64_t
one(uint64_t seed, struct world *total)
{
	struct world *w = w_new_pair(seed);
	unsigned faults = 1 + (unsigned)w_rand(w, 30), load;
	uint64_t hash = 0;

	w->trace = getenv("MIR_TRACE") != NULL;
	load = 1 + (unsigned)w_rand(w, 20);
	w->sole = 1;
	w_connect(w);
	for (int i = 0; i < STEPS; i++) {
		uint8_t id = 1 + (uint8_t)w_rand(w, 2);
		uint64_t what = w_rand(w, 100);

		if (what < 40)
			w_deliver(w, id);
		else if (what < 75)
			w_complete_any(w, id, w_rand(w, 0));
		else if (what < 75 + load && w->owner != 0 &&
			 w->n[w->owner].up && !w->n[w->owner].frozen &&
			 w_status(w, w->owner).primary)
			request(w, w->owner);
		else if (what < 97)
			mend(w);
		else if (what == 97)
			w_advance(w, (int64_t)w_rand(w, 900));
		else if (w_rand(w, 40) < faults)
			fault(w);
		check(w);
	}
	heal(w);
	total->acks += w->acks;
	total->reads += w->reads;
	total->fails += w->fails;
	total->failovers += w->failovers;
	total->resyncs += w->resyncs;
	total->crashes += w->crashes;
	for (int i = 0; i < W_SECTORS; i++)
		hash = hash * 31 + w->n[1].d.cur[i];
	hash = hash * 31 + w->next_id + w->acks * 7 + w->clock;
	w_free(w);
	return hash;
}

static void
nothing_acknowledged_is_lost(void **state)
{
	struct world total = {0};
	const char *s = getenv("MIR_SEED"), *n = getenv("MIR_SEEDS");
	uint64_t first = s != NULL ? strtoull(s, NULL, 0) : 1;
	uint64_t count = s != NULL   ? 1
			 : n != NULL ? strtoull(n, NULL, 0)
				     : 1000;

	(void)state;
	for (uint64_t seed = first; seed < first + count; seed++) {
		/* So that a failure names the command that repeats it. */
		static char line[64];

		snprintf(line, sizeof(line), "%llu", (unsigned long long)seed);
		setenv("MIR_LAST_SEED", line, 1);
		one(seed, &total);
	}
	print_message(
	    "%llu runs: %u writes acknowledged, %u sectors read, "
	    "%u failed requests, %u failovers, %u resyncs, %u crashes\n",
	    (unsigned long long)count, total.acks, total.reads, total.fails,
	    total.failovers, total.resyncs, total.crashes);
	if (count > 100) { /* it did happen */
		assert_true(total.failovers > count / 10);
		assert_true(total.resyncs > count / 10);
		assert_true(total.crashes > count / 10);
	}
}

static void
the_same_seed_is_the_same_run(void **state)
{
	struct world total = {0};

	(void)state;
	for (uint64_t seed = 1; seed < 20; seed++)
		assert_int_equal(one(seed, &total), one(seed, &total));
}

static int
say_seed(void **state)
{
	(void)state;
	if (getenv("MIR_SEED") == NULL && getenv("MIR_LAST_SEED") != NULL)
		print_message(
		    "last seed: MIR_SEED=%s\n", getenv("MIR_LAST_SEED"));
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(nothing_acknowledged_is_lost, say_seed),
	    cmocka_unit_test(the_same_seed_is_the_same_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
