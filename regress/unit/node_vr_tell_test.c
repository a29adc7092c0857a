/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The planned move of a pair's router, as the orders that both nodes give, in
 * their order: what somebody waits for comes first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node.h"
#include "vr_wire.h"
#include "vrrp_packet.h"
#include "wire.h"

enum { NODES = 2, ROUTERS = 2, EVENTS = 64, FRAMES = 512, FRAME = 512 };

static const char file[] =
    "cluster web { heartbeat 100ms; dead 400ms; silent peer takeover }\n"
    "node alpha {\n\tid 1\n"
    "\tkey \"sha256:5f2c0f4e8d1b6a9370c2e5b8f1a4d7e0"
    "0112233445566778899aabbccddeeff0\"\n"
    "\tlink cross 10.77.0.1 interface eno2\n}\n"
    "node bravo {\n\tid 2\n"
    "\tkey \"sha256:91aa7b3c5d2e4f60718293a4b5c6d7e8"
    "f90123456789abcdeffedcba98765432\"\n"
    "\tlink cross 10.77.0.2 interface eno2\n}\n"
    "address one { 192.0.2.91/24 interface eno1 }\n"
    "address two { 192.0.2.92/24 interface eno1 }\n"
    "router one { vrrp 3 vrid 91; interval 1s; address one }\n"
    "router two { vrrp 3 vrid 92; interval 1s; address two }\n";

struct frame {
	int64_t at;
	enum nd_kind kind;
	uint8_t link;
	size_t len;
	uint8_t bytes[FRAME];
};

struct host {
	struct world *w;
	unsigned me;
	struct conf *conf; /* owned */
	struct nd *nd; /* owned */
	monotime_t timer;
	struct nd_event queue[EVENTS];
	unsigned n_queue;
	struct frame in[FRAMES]; /* ring */
	unsigned head, n_in;
	struct vip_set open;
	monotime_t until;
	bool present[ROUTERS], mute, done; /* mute: nothing is answered */
	uint8_t farewell; /* of this router, to be sent; 0: none */
	char out[2048]; /* what it ordered */
};

struct world {
	monotime_t now;
	struct host h[NODES];
};

static void
say(struct host *h, const char *what)
{
	size_t used = strlen(h->out);

	assert_true(used + strlen(what) + 3 < sizeof(h->out));
	snprintf(h->out + used, sizeof(h->out) - used, "%s; ", what);
	if (getenv("NOTES") != NULL)
		printf(
		    "%8.3f %u %s\n", (double)h->w->now.us / 1e6, h->me, what);
}

/* And forgotten. */
static void
said(struct host *h, const char *what)
{
	assert_string_equal(h->out, what);
	h->out[0] = '\0';
}

static void
put(struct host *h, const struct nd_event *e)
{
	if (h->mute)
		return;
	assert_true(h->n_queue < EVENTS);
	h->queue[h->n_queue++] = *e;
}

/* A message about routers is shown, word by word. */
static void
say_words(struct host *h, const uint8_t *bytes, size_t len)
{
	struct wire_hdr hdr;
	struct vr_wire word;
	const char *why;
	char text[200] = "told";

	assert_int_equal(wire_get_hdr(&hdr, bytes, len, &why), 0);
	if (hdr.core != WIRE_ROUTERS)
		return;
	for (size_t at = WIRE_HDR_LEN; at < len; at += VR_WIRE_LEN) {
		assert_int_equal(vr_wire_get(&word, bytes + at, &why), 0);
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    " %s %s", word.vrid == 91 ? "one" : "two",
		    word.peer.holds  ? "held"
		    : word.peer.able ? "free"
				     : "no");
	}
	say(h, text);
}

static void
op_send(void *ctx, uint8_t peer, enum nd_kind kind, uint8_t link,
    uint16_t stream, const struct nd_buf *bufs, unsigned n)
{
	struct host *h = ctx, *to = &h->w->h[peer - 1];
	struct frame *f;

	(void)stream;
	assert_true(to->n_in < FRAMES);
	f = &to->in[(to->head + to->n_in++) % FRAMES];
	f->at = h->w->now.us + 1000;
	f->kind = kind;
	f->link = link;
	f->len = 0;
	for (unsigned i = 0; i < n; i++) {
		assert_true(f->len + bufs[i].len <= FRAME);
		if (bufs[i].len > 0)
			memcpy(f->bytes + f->len, bufs[i].data, bufs[i].len);
		f->len += bufs[i].len;
	}
	if (kind == ND_CTL)
		say_words(h, f->bytes, f->len);
}

static void
op_timer(void *ctx, monotime_t at)
{
	((struct host *)ctx)->timer = at;
}

static void
op_persist(void *ctx, const struct sf_record *r, uint64_t serial)
{
	struct nd_event e = {.type = ND_EV_PERSISTED};

	(void)r;
	e.u.persisted.serial = serial;
	e.u.persisted.ok = true;
	put(ctx, &e);
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx, (void)level, (void)rule, (void)object, (void)text;
}

static void
op_add(void *ctx, uint16_t id)
{
	struct nd_event e = {.type = ND_EV_VIP};
	struct host *h = ctx;

	say(h, id == 0 ? "add one" : "add two");
	h->present[id] = true;
	e.u.vip.type = VIP_EV_ADDED;
	e.u.vip.u.result.id = id;
	e.u.vip.u.result.ok = true;
	put(h, &e);
}

static void
op_del(void *ctx, uint16_t id)
{
	struct nd_event e = {.type = ND_EV_VIP};
	struct host *h = ctx;

	say(h, id == 0 ? "del one" : "del two");
	e.u.vip.type = VIP_EV_REMOVED;
	e.u.vip.u.result.id = id;
	e.u.vip.u.result.ok = true;
	e.u.vip.u.result.found = h->present[id];
	h->present[id] = false;
	put(h, &e);
}

static void
op_lease(void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	(void)ctx, (void)seq, (void)open, (void)until;
	fail_msg("no address of a service is configured");
}

/* Renewals are not shown. */
static void
op_vr_lease(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct nd_event e = {.type = ND_EV_VIP, .elected = true};
	struct host *h = ctx;

	for (uint16_t i = 0; i < ROUTERS; i++) {
		if (vip_set_has(open, i) == vip_set_has(&h->open, i))
			continue;
		say(h, !vip_set_has(open, i)
			   ? (i == 0 ? "close one" : "close two")
		       : i == 0 ? "open one"
				: "open two");
	}
	h->open = *open;
	h->until = until;
	e.u.vip.type = VIP_EV_LEASED;
	e.u.vip.u.leased.seq = seq;
	e.u.vip.u.leased.ok = true;
	put(h, &e);
}

static void
op_announce(void *ctx, uint16_t id)
{
	say(ctx, id == 0 ? "announce one" : "announce two");
}

/* The peer does not hear them: what moves, moves by words. */
static void
op_vr_send(
    void *ctx, uint16_t ifx, const uint8_t *frame, size_t len, bool resolve)
{
	struct vrrp_packet p;

	(void)ifx, (void)resolve;
	memset(&p, 0, sizeof(p));
	assert_int_equal(vrrp_decode_ip(&p, frame + 14, len - 14), VRRP_OK);
	if (p.priority == 0)
		((struct host *)ctx)->farewell = p.vrid;
}

static void
op_vr_flush(void *ctx)
{
	struct host *h = ctx;

	if (h->farewell != 0)
		say(h, h->farewell == 91 ? "farewell one" : "farewell two");
	h->farewell = 0;
}

static void
op_reply(void *ctx, uint64_t token, int code, const char *text)
{
	char line[200];

	assert_int_equal(code, 0);
	snprintf(line, sizeof(line), "reply %u (%s)", (unsigned)token, text);
	say(ctx, line);
}

static void
op_done(void *ctx, bool clean)
{
	assert_true(clean);
	((struct host *)ctx)->done = true;
}

static void
op_told(void *ctx, uint8_t peer, const uint8_t *bytes, size_t len)
{
	(void)ctx, (void)peer, (void)bytes, (void)len;
}

static const struct nd_ops ops = {
    .send = op_send,
    .timer = op_timer,
    .persist = op_persist,
    .note = op_note,
    .addr_add = op_add,
    .addr_del = op_del,
    .lease = op_lease,
    .announce = op_announce,
    .vr_lease = op_vr_lease,
    .vr_send = op_vr_send,
    .vr_flush = op_vr_flush,
    .reply = op_reply,
    .done = op_done,
    .told = op_told,
};

static void
step(struct host *h, struct nd_event *e)
{
	e->now = h->w->now;
	nd_step(h->nd, e);
}

static bool
speaks(const struct host *h, uint16_t id)
{
	return h->present[id] && vip_set_has(&h->open, id) &&
	       mt_before(h->w->now, h->until);
}

/* What the drivers answer comes at once, before anything else. */
static void
work(struct host *h)
{
	struct nd_event e;

	while (h->n_queue > 0) {
		e = h->queue[0];
		memmove(
		    h->queue, h->queue + 1, --h->n_queue * sizeof(h->queue[0]));
		step(h, &e);
		for (uint16_t i = 0; i < ROUTERS; i++)
			assert_false(
			    speaks(&h->w->h[0], i) && speaks(&h->w->h[1], i));
	}
}

static void
turn(struct host *h)
{
	struct nd_event e = {.type = ND_EV_MSG, .peer = (uint8_t)(2 - h->me)};

	work(h);
	while (h->n_in > 0 && h->in[h->head].at <= h->w->now.us) {
		struct frame *f = &h->in[h->head];

		e.u.msg.kind = f->kind;
		e.u.msg.link = f->link;
		e.u.msg.bytes = f->bytes;
		e.u.msg.len = f->len;
		h->head = (h->head + 1) % FRAMES;
		h->n_in--;
		step(h, &e);
		work(h);
	}
	if (!mt_before(h->w->now, h->timer)) {
		e = (struct nd_event){.type = ND_EV_TIMER};
		h->timer = MT_NEVER;
		step(h, &e);
		work(h);
	}
}

static void
run(struct world *w, unsigned ms)
{
	while (ms-- > 0) {
		w->now.us += 1000;
		for (unsigned i = 0; i < NODES; i++)
			turn(&w->h[i]);
	}
}

static void
boot(struct world *w, unsigned i)
{
	struct conf_errors errors = {.text = NULL};
	struct nd_disk none[1] = {{.why = "none"}};
	struct nd_event e = {.type = ND_EV_START};
	struct host *h = &w->h[i];

	h->w = w;
	h->me = i;
	h->timer = MT_NEVER;
	h->conf = calloc(1, sizeof(*h->conf));
	assert_int_equal(
	    conf_parse(h->conf, "f", file, strlen(file), &errors), 0);
	h->nd = nd_new(h->conf, (uint8_t)(i + 1), none, &ops, h);
	assert_non_null(h->nd);
	e.u.start.seed = 77 + i;
	e.u.start.incarnation = 1000 + i;
	step(h, &e);
	e = (struct nd_event){.type = ND_EV_VR_IFACE};
	e.u.iface.facts.carrier = e.u.iface.facts.has4 = true;
	memcpy(
	    e.u.iface.facts.addr4, (uint8_t[]){192, 0, 2, (uint8_t)(i + 1)}, 4);
	put(h, &e);
	work(h);
}

static void
connect_to(struct host *h, const struct host *o)
{
	struct nd_event e = {.type = ND_EV_UP, .peer = (uint8_t)(o->me + 1)};

	e.u.assoc.incarnation = 1000 + o->me;
	e.u.assoc.kind = ND_CTL;
	step(h, &e);
	e.u.assoc.kind = ND_HB;
	step(h, &e);
}

/* A pair; both routers are on bravo, which has the higher address. */
static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->now.us = 1000000;
	boot(w, 0);
	boot(w, 1);
	run(w, 10);
	connect_to(&w->h[0], &w->h[1]);
	connect_to(&w->h[1], &w->h[0]);
	run(w, 6000);
	for (uint16_t i = 0; i < ROUTERS; i++) {
		assert_false(speaks(&w->h[0], i));
		assert_true(speaks(&w->h[1], i));
	}
	w->h[0].out[0] = w->h[1].out[0] = '\0';
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < NODES; i++) {
		nd_free(w->h[i].nd);
		free(w->h[i].conf);
	}
	free(w);
	return 0;
}

static void
release(struct host *h, int router, uint64_t token)
{
	struct nd_event e = {.type = ND_EV_OP};

	e.u.op.op = ND_OP_RELEASE;
	e.u.op.service = router;
	e.u.op.token = token;
	step(h, &e);
}

/*
 * Nothing is told while it closes; that it is free before all else, and the
 * operator last.  Who takes it says so when it answers for it.
 */
static void
test_what_is_waited_for_comes_first(void **state)
{
	struct world *w = *state;

	release(&w->h[1], 0, 7);
	said(&w->h[1], "close one; ");
	work(&w->h[1]);
	said(&w->h[1], "told one free; farewell one; del one; "
		       "reply 7 (router one: its addresses are released); ");
	assert_false(speaks(&w->h[1], 0));
	run(w, 1);
	said(&w->h[0], "add one; open one; announce one; told one held; ");
	assert_true(speaks(&w->h[0], 0) && speaks(&w->h[1], 1));
	run(w, 5);
	said(&w->h[1], "");
}

/* One after the other; nothing of the second one is told with the first. */
static void
test_two(void **state)
{
	struct nd_event e = {.type = ND_EV_STOP};
	struct world *w = *state;

	step(&w->h[1], &e);
	said(&w->h[1], "close one; close two; ");
	work(&w->h[1]);
	said(&w->h[1], "told one no; farewell one; del one; "
		       "told two no; farewell two; del two; ");
	run(w, 1);
	said(&w->h[0], "add one; open one; announce one; told one held; "
		       "add two; open two; announce two; told two held; ");
}

/* A kernel that does not answer: the peer hears of it in time. */
static void
test_not_for_long(void **state)
{
	struct world *w = *state;

	release(&w->h[1], 0, 7);
	work(&w->h[1]);
	w->h[0].mute = true;
	run(w, 1);
	said(&w->h[0], "add one; ");
	run(w, 100);
	said(&w->h[0], "told one held; ");
	run(w, 200);
	said(&w->h[0], "");
}

/* The guard is not closed yet: neither the peer nor the operator hears. */
static void
test_not_before_it_is_silent(void **state)
{
	struct world *w = *state;

	w->h[1].mute = true;
	release(&w->h[1], 0, 7);
	said(&w->h[1], "close one; ");
	run(w, 50);
	assert_null(strstr(w->h[1].out, "free"));
	assert_null(strstr(w->h[1].out, "del"));
	assert_null(strstr(w->h[1].out, "reply"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_what_is_waited_for_comes_first, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_two, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_not_for_long, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_not_before_it_is_silent, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
