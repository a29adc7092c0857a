/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A reload of virtual routers, composed: two nodes with nothing but a LAN
 * between them, in virtual milliseconds.  What a reload does not change has no
 * outage and no transition, what it removes is silent before the others hear
 * so, and never do both speak for one address.
 */
#include "node_host.h"
#include "vrrp_packet.h"

enum { BYTES = 256 };

struct world {
	monotime_t now;
	struct host h[NODES];
	uint8_t addrs[NODES][BYTES]; /* of the last advert of each number */
	uint8_t number[NODES][HAD_ADDRESSES_MAX]; /* of an address: its byte */
	unsigned both, none_ms[BYTES]; /* by the last byte of an address */
};

/* Does it speak for 10.9.0.NUMBER? */
static bool
speaks(const struct host *h, uint8_t number)
{
	for (uint16_t i = 0; i < HAD_ADDRESSES_MAX; i++)
		if (holds(h, i) && h->w->number[h->me][i] == number)
			return true;
	return false;
}

/* The LAN; of a farewell, nothing that it is for is spoken for any more. */
static void
op_send(void *ctx, uint16_t ifx, const uint8_t *frame, size_t len, bool resolve)
{
	struct host *h = ctx;
	struct vrrp_packet p;

	memset(&p, 0, sizeof(p));
	assert_int_equal(vrrp_decode_ip(&p, frame + 14, len - 14), VRRP_OK);
	h->w->addrs[h->me][p.vrid] = p.naddr;
	for (uint8_t i = 0; p.priority == 0 && i < p.naddr; i++)
		assert_false(speaks(h, p.addrs[4 * i + 3]));
	lan_send(h, ifx, frame, len, resolve);
}

static const struct nd_ops ops = {
    .timer = host_timer,
    .persist = host_persist,
    .note = host_note,
    .addr_add = host_add,
    .addr_del = host_del,
    .lease = host_lease_none,
    .announce = host_announce,
    .vr_lease = host_vr_lease,
    .vr_send = op_send,
    .vr_flush = host_vr_flush,
    .reply = host_reply,
};

/* What is gone gives its place to others; nothing of it is left here. */
static void
tidy(struct host *h)
{
	struct conf *c = h->conf;
	bool there[HAD_ADDRESSES_MAX];

	for (uint16_t i = 0; i < HAD_ADDRESSES_MAX; i++)
		there[i] = !conf_is_hole(c->addresses[i].name);
	if (!nd_reload_tidy(h->nd, c, NULL, NULL))
		return;
	for (uint16_t i = 0; i < HAD_ADDRESSES_MAX; i++)
		if (there[i] && conf_is_hole(c->addresses[i].name))
			assert_false(h->present[i]);
}

static void
run_ms(struct world *w, unsigned ms)
{
	while (ms-- > 0) {
		w->now = mt_add_ms(w->now, 1);
		lan_settle(w->h);
		for (unsigned n = 1; n < BYTES; n++) {
			bool a = speaks(&w->h[0], (uint8_t)n);
			bool b = speaks(&w->h[1], (uint8_t)n);

			w->both += a && b;
			w->none_ms[n] += !a && !b;
		}
		for (unsigned i = 0; i < NODES; i++)
			if (w->h[i].nd != NULL)
				tidy(&w->h[i]);
	}
}

/* 'R5=100,1000:7,8': vrid 5, priority, interval in ms, addresses. */
static struct conf *
parse(unsigned node, const char *routers)
{
	char text[16384], errors[1024];
	struct conf_errors err = {.text = errors, .size = sizeof(errors)};
	struct conf *c = calloc(1, sizeof(*c));
	int n, used, len;
	unsigned id, prio, ms, addr;

	assert_non_null(c);
	n = snprintf(text, sizeof(text),
	    "cluster c%u {\n}\nnode n%u {\nid 1\n}\n", node, node);
	for (; sscanf(routers, " R%u=%u,%u%n", &id, &prio, &ms, &used) == 3;) {
		char list[2048] = "";

		routers += used;
		while (sscanf(routers, "%*[:,]%u%n", &addr, &used) == 1) {
			routers += used;
			len = (int)strlen(list);
			snprintf(list + len, sizeof(list) - (size_t)len,
			    "address a%u\n", addr);
			n += snprintf(text + n, sizeof(text) - (size_t)n,
			    "address a%u {\n10.9.0.%u/24 interface eth0\n}\n",
			    addr, addr);
		}
		n += snprintf(text + n, sizeof(text) - (size_t)n,
		    "router r%u {\nvrrp 3 vrid %u\npriority %u\n"
		    "interval %ums\n%s}\n",
		    id, id, prio, ms, list);
	}
	if (conf_parse(c, "test", text, (size_t)n, &err) != 0)
		fail_msg("%s\n%s", text, errors);
	return c;
}

static void
number(struct host *h)
{
	for (uint16_t i = 0; i < HAD_ADDRESSES_MAX; i++)
		h->w->number[h->me][i] = i < h->conf->n_addresses
					     ? h->conf->addresses[i].bytes[3]
					     : 0;
}

static void
facts(struct host *h)
{
	host_iface(h, true, (uint8_t[]){10, 9, 0, (uint8_t)(h->me + 1)});
}

static void
start(struct world *w, unsigned i, const char *routers)
{
	struct host *h = &w->h[i];

	h->conf = parse(i, routers);
	number(h);
	host_start(h, 1, &ops, 7 + i, 77 + i, NULL);
	facts(h);
	lan_settle(w->h);
}

static struct world *
world(const char *first, const char *second)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->now.us = 1000000;
	for (unsigned i = 0; i < NODES; i++)
		host_init(&w->h[i], w, &w->now, w->h);
	start(w, 0, first);
	if (second != NULL)
		start(w, 1, second);
	run_ms(w, 5000);
	memset(w->none_ms, 0, sizeof(w->none_ms));
	return w;
}

static void
end(struct world *w)
{
	assert_int_equal(w->both, 0);
	for (unsigned i = 0; i < NODES; i++)
		host_free(&w->h[i]);
	free(w);
}

/* 0, or -1: refused. */
static int
reload(struct world *w, unsigned i, const char *routers, struct conf_merge *m)
{
	struct nd_event e = {.type = ND_EV_VR_RELOAD};
	struct conf *next = parse(i, routers), *old, *merged;
	struct host *h = &w->h[i];
	char why[256];

	old = calloc(1, sizeof(*old));
	merged = calloc(1, sizeof(*merged));
	assert_true(old != NULL && merged != NULL);
	*old = *h->conf;
	if (conf_merge(merged, h->conf, next, m, why, sizeof(why)) < 0) {
		free(next);
		free(old);
		free(merged);
		return -1;
	}
	e.u.reload.vr = nd_reload_new(h->nd, merged);
	assert_non_null(e.u.reload.vr);
	*h->conf = *merged;
	e.u.reload.tracks = old->tracks;
	e.u.reload.n_tracks = old->n_tracks;
	number(h);
	step(h, &e);
	facts(h);
	lan_settle(w->h);
	free(next);
	free(old);
	free(merged);
	return 0;
}

static struct vr_status
status(const struct world *w, unsigned i, uint8_t vrid)
{
	struct vr_status s;

	for (uint16_t k = 0; k < w->h[i].conf->n_routers; k++)
		if (w->h[i].conf->routers[k].vrid == vrid &&
		    nd_router_status(w->h[i].nd, k, &s))
			return s;
	fail_msg("no router %u", vrid);
	return s;
}

static void
nothing_happened(const struct world *w, uint8_t vrid, uint8_t address)
{
	assert_int_equal(w->none_ms[address], 0);
	assert_int_equal(status(w, 0, vrid).transitions, 2);
	assert_int_equal(status(w, 1, vrid).transitions, 1);
}

static void
one_comes(void **state)
{
	struct world *w = world("R5=200,100:50", "R5=100,100:50");
	struct conf_merge m;

	(void)state;
	assert_int_equal(reload(w, 0, "R4=200,100:40,41 R5=200,100:50", &m), 0);
	assert_int_equal(m.added, 1);
	assert_int_equal(m.kept, 1);
	assert_false(speaks(&w->h[0], 40));
	assert_true(status(w, 0, 4).state == VR_BACKUP);
	/* 3 intervals and the skew of 56/256. */
	run_ms(w, 330);
	assert_true(speaks(&w->h[0], 40) && speaks(&w->h[0], 41));
	assert_int_equal(w->h[0].announced[1], 1);
	assert_int_equal(reload(w, 1, "R5=100,100:50 R4=100,100:40,41", &m), 0);
	run_ms(w, 3000);
	assert_true(status(w, 1, 4).state == VR_BACKUP);
	assert_true(speaks(&w->h[0], 40));
	nothing_happened(w, 5, 50);
	end(w);
}

static void
one_goes(void **state)
{
	struct world *w =
	    world("R4=200,100:40 R5=200,100:50", "R4=100,100:40 R5=100,100:50");
	struct conf_merge m;

	(void)state;
	assert_int_equal(reload(w, 0, "R5=200,100:50", &m), 0);
	assert_int_equal(m.removed, 1);
	assert_int_equal(m.addrs_removed, 1);
	/* The farewell: the other one waits for its skew only. */
	run_ms(w, 65);
	assert_true(speaks(&w->h[1], 40));
	assert_false(w->h[0].present[0]);
	assert_true(conf_is_hole(w->h[0].conf->routers[0].name));
	assert_true(conf_is_hole(w->h[0].conf->addresses[0].name));
	/* It goes on the other, too, and then a third has its place. */
	assert_int_equal(reload(w, 1, "R5=100,100:50", &m), 0);
	run_ms(w, 100);
	assert_false(speaks(&w->h[1], 40));
	assert_int_equal(reload(w, 0, "R5=200,100:50 R9=200,100:40", &m), 0);
	assert_int_equal(w->h[0].conf->routers[0].vrid, 9);
	run_ms(w, 1000);
	assert_true(speaks(&w->h[0], 40));
	nothing_happened(w, 5, 50);
	end(w);
}

/* It stood still, and a reload that gives more addresses is the first it does.
 */
static void
a_pause_before_it(void **state)
{
	struct world *w = world("R5=200,100:50", "R5=100,100:50");
	struct conf_merge m;

	(void)state;
	assert_true(speaks(&w->h[0], 50));
	w->now.us += 2000000;
	assert_int_equal(reload(w, 0, "R5=200,100:50,51", &m), 0);
	assert_false(speaks(&w->h[0], 50));
	assert_true(status(w, 0, 5).state == VR_BACKUP);
	run_ms(w, 3000);
	assert_int_equal(reload(w, 1, "R5=100,100:50,51", &m), 0);
	run_ms(w, 3000);
	assert_true(speaks(&w->h[0], 50) && speaks(&w->h[0], 51));
	end(w);
}

static void
addresses_come_and_go(void **state)
{
	struct world *w = world("R5=200,100:50,51", "R5=100,100:50,51");
	struct conf_merge m;

	(void)state;
	assert_int_equal(reload(w, 0, "R5=200,100:50,52,51", &m), 0);
	assert_int_equal(m.changed, 1);
	assert_int_equal(m.addrs_added, 1);
	run_ms(w, 100);
	assert_true(speaks(&w->h[0], 52));
	assert_int_equal(w->h[0].announced[2], 2);
	assert_int_equal(w->addrs[0][5], 3);
	/* The other one has the old list, and goes on listening. */
	run_ms(w, 2000);
	assert_int_equal(status(w, 1, 5).rejects[VRRP_R_ADDRESSES] > 0, 1);
	nothing_happened(w, 5, 50);
	assert_int_equal(reload(w, 1, "R5=100,100:50,51,52", &m), 0);
	assert_int_equal(reload(w, 0, "R5=200,100:52,51", &m), 0);
	assert_int_equal(m.addrs_removed, 1);
	run_ms(w, 1);
	assert_false(speaks(&w->h[0], 50));
	assert_false(w->h[0].present[0]);
	run_ms(w, 200);
	assert_int_equal(w->addrs[0][5], 2);
	w->none_ms[50] = 0;
	nothing_happened(w, 5, 50);
	run_ms(w, 2000);
	nothing_happened(w, 5, 51);
	assert_int_equal(w->h[0].announced[1], 4);
	end(w);
}

/* What cannot be taken at once is taken later, and the rest is not given up. */
static void
an_address_that_fails_is_tried_again(void **state)
{
	struct world *w = world("R5=200,100:50", "R5=100,100:50");
	struct conf_merge m;

	(void)state;
	w->h[0].broken[1] = true;
	assert_int_equal(reload(w, 0, "R5=200,100:50,51", &m), 0);
	run_ms(w, 2500);
	assert_false(speaks(&w->h[0], 51));
	w->h[0].broken[1] = false;
	run_ms(w, 1100);
	assert_true(speaks(&w->h[0], 51));
	nothing_happened(w, 5, 50);
	end(w);
}

/* In the middle of a take: it is for the addresses that there are now. */
static void
a_take_under_way_goes_on(void **state)
{
	struct world *w = world("R5=200,100:50,51", NULL);
	struct conf_merge m;
	struct nd_event e = {.type = ND_EV_OP};

	(void)state;
	e.u.op.op = ND_OP_RELEASE;
	step(&w->h[0], &e);
	lan_settle(w->h);
	/* Until the timer has it taken, whose answers have not come. */
	while (!w->h[0].present[1] || !w->h[0].present[0]) {
		w->now = mt_add_ms(w->now, 1);
		memset(&e, 0, sizeof(e));
		e.type = ND_EV_TIMER;
		if (!mt_before(w->now, w->h[0].timer))
			step(&w->h[0], &e);
	}
	assert_int_equal(w->h[0].n_queue, 2);
	assert_int_equal(reload(w, 0, "R5=200,100:51,52", &m), 0);
	run_ms(w, 50);
	assert_false(speaks(&w->h[0], 50) || w->h[0].present[0]);
	assert_true(speaks(&w->h[0], 51) && speaks(&w->h[0], 52));
	assert_int_equal(status(w, 0, 5).take_failed, 0);
	end(w);
}

/* One lease for all: of slow ones it lasts while a fast one is not active. */
static void
intervals_differ(void **state)
{
	struct world *w =
	    world("R4=200,2000:40 R5=100,50:50", "R4=100,2000:40 R5=200,50:50");
	struct conf_merge m;

	(void)state;
	run_ms(w, 20000);
	memset(w->none_ms, 0, sizeof(w->none_ms));
	run_ms(w, 20000);
	assert_true(speaks(&w->h[0], 40) && speaks(&w->h[1], 50));
	assert_int_equal(w->none_ms[40], 0);
	assert_int_equal(w->none_ms[50], 0);
	assert_int_equal(status(w, 0, 4).transitions, 2);
	/* A much faster one comes, and the slow one gets fast and slow. */
	assert_int_equal(
	    reload(w, 0, "R4=200,2000:40 R5=100,50:50 R6=200,10:60", &m), 0);
	run_ms(w, 5000);
	assert_true(speaks(&w->h[0], 60));
	/* Its lease is short as long as it is here: frozen, all are silent. */
	w->h[0].frozen = true;
	run_ms(w, 30);
	assert_false(speaks(&w->h[0], 60));
	w->h[0].frozen = false;
	run_ms(w, 20000);
	memset(w->none_ms, 0, sizeof(w->none_ms));
	assert_int_equal(
	    reload(w, 0, "R4=200,100:40 R5=100,50:50 R6=200,10:60", &m), 0);
	assert_int_equal(m.changed, 1);
	run_ms(w, 5000);
	assert_int_equal(reload(w, 0, "R4=200,3000:40 R5=100,50:50", &m), 0);
	run_ms(w, 20000);
	assert_int_equal(w->none_ms[40], 0);
	assert_int_equal(w->none_ms[50], 0);
	assert_true(speaks(&w->h[0], 40));
	end(w);
}

static void
from_none_to_some_and_back(void **state)
{
	struct world *w = world("", NULL);
	struct conf_merge m;
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(
		    reload(w, 0, "R5=200,100:50,51 R6=255,1000:60", &m), 0);
		assert_int_equal(m.added, 2);
		run_ms(w, 10);
		/* The owner does not wait. */
		assert_true(speaks(&w->h[0], 60));
		run_ms(w, 400);
		assert_true(speaks(&w->h[0], 50));
		assert_int_equal(reload(w, 0, "", &m), 0);
		run_ms(w, 10);
		assert_int_equal(w->h[0].conf->n_routers, 0);
		assert_int_equal(w->h[0].conf->n_addresses, 0);
		for (unsigned k = 0; k < HAD_ADDRESSES_MAX; k++)
			assert_false(w->h[0].present[k]);
	}
	end(w);
}

static uint64_t
draw(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Any files on both sides, one after the other. */
static void
any_reloads_and_never_two(void **state)
{
	uint64_t x = 88172645463325252u;
	struct world *w = world("R9=200,100:90", "R9=100,100:90");
	unsigned taken = 0;

	(void)state;
	memset(w->none_ms, 0, sizeof(w->none_ms));
	for (unsigned round = 0; round < 300; round++) {
		unsigned who = draw(&x) % NODES;
		struct conf_merge m;
		char text[1024];
		int n = 0;

		for (unsigned r = 1; r <= 8; r++) {
			if (draw(&x) % 3 == 0)
				continue;
			n += snprintf(text + n, sizeof(text) - (size_t)n,
			    "R%u=%u,%u:%u", r, 1 + (unsigned)(draw(&x) % 254),
			    100, 10 * r);
			for (unsigned a = 1; a < 4; a++)
				if (draw(&x) % 2 == 0)
					n += snprintf(text + n,
					    sizeof(text) - (size_t)n, ",%u",
					    10 * r + a);
			text[n++] = ' ';
		}
		snprintf(text + n, sizeof(text) - (size_t)n, "R9=%u,100:90",
		    who == 0 ? 200 : 100);
		taken += reload(w, who, text, &m) == 0;
		run_ms(w, (unsigned)(draw(&x) % 5) * (draw(&x) % 100));
		assert_int_equal(w->both, 0);
	}
	assert_true(taken > 250);
	nothing_happened(w, 9, 90);
	end(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_comes),
	    cmocka_unit_test(one_goes),
	    cmocka_unit_test(a_pause_before_it),
	    cmocka_unit_test(addresses_come_and_go),
	    cmocka_unit_test(an_address_that_fails_is_tried_again),
	    cmocka_unit_test(a_take_under_way_goes_on),
	    cmocka_unit_test(intervals_differ),
	    cmocka_unit_test(from_none_to_some_and_back),
	    cmocka_unit_test(any_reloads_and_never_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
