/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The planned move of a pair's router, as the orders that both nodes give, in
 * their order: what somebody waits for comes first.
 */
#include "node_host.h"
#include "node_vr.h"
#include "vr_wire.h"
#include "vrrp_packet.h"
#include "wire.h"

enum { ROUTERS = 2 };

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

struct world {
	monotime_t now;
	struct host h[NODES];
	uint8_t farewell[NODES]; /* of this router, to be sent; 0: none */
	char out[NODES][2048]; /* what it ordered */
};

static void
say(struct host *h, const char *what)
{
	char *out = h->w->out[h->me];
	size_t used = strlen(out), size = sizeof(h->w->out[0]);

	assert_true(used + strlen(what) + 3 < size);
	snprintf(out + used, size - used, "%s; ", what);
	if (getenv("NOTES") != NULL)
		printf("%8.3f %u %s\n", (double)h->now->us / 1e6, h->me, what);
}

/* And forgotten. */
static void
said(struct host *h, const char *what)
{
	assert_string_equal(h->w->out[h->me], what);
	h->w->out[h->me][0] = '\0';
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
	struct host *h = ctx;
	const struct frame *f;

	host_send(h, peer, kind, link, stream, bufs, n);
	f = &h->other->in[(h->other->head + h->other->n_in - 1) % FRAMES];
	if (kind == ND_CTL)
		say_words(h, f->bytes, f->len);
}

/* Of its notes those are shown that say what it refuses. */
static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)level, (void)object;
	if (rule != NULL && strcmp(rule, "R15") == 0)
		say(ctx, text);
}

static void
op_add(void *ctx, uint16_t id)
{
	say(ctx, id == 0 ? "add one" : "add two");
	host_add(ctx, id);
}

static void
op_del(void *ctx, uint16_t id)
{
	say(ctx, id == 0 ? "del one" : "del two");
	host_del(ctx, id);
}

/* Renewals are not shown. */
static void
op_vr_lease(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct host *h = ctx;

	for (uint16_t i = 0; i < ROUTERS; i++) {
		if (vip_set_has(open, i) == vip_set_has(&h->open, i))
			continue;
		say(h, !vip_set_has(open, i)
			   ? (i == 0 ? "close one" : "close two")
		       : i == 0 ? "open one"
				: "open two");
	}
	host_vr_lease(h, seq, open, until);
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
	const struct host *h = ctx;
	struct vrrp_packet p;

	(void)ifx, (void)resolve;
	memset(&p, 0, sizeof(p));
	assert_int_equal(vrrp_decode_ip(&p, frame + 14, len - 14), VRRP_OK);
	if (p.priority == 0)
		h->w->farewell[h->me] = p.vrid;
}

static void
op_vr_flush(void *ctx)
{
	struct host *h = ctx;
	uint8_t *farewell = &h->w->farewell[h->me];

	if (*farewell != 0)
		say(h, *farewell == 91 ? "farewell one" : "farewell two");
	*farewell = 0;
}

static void
op_reply(void *ctx, uint64_t token, int code, const char *text)
{
	char line[200];

	if (code == 0)
		snprintf(
		    line, sizeof(line), "reply %u (%s)", (unsigned)token, text);
	else
		snprintf(line, sizeof(line), "reply %u: %d (%s)",
		    (unsigned)token, code, text);
	say(ctx, line);
}

static const struct nd_ops ops = {
    .send = op_send,
    .timer = host_timer,
    .persist = host_persist,
    .note = op_note,
    .addr_add = op_add,
    .addr_del = op_del,
    .lease = host_lease_none,
    .announce = op_announce,
    .vr_lease = op_vr_lease,
    .vr_send = op_vr_send,
    .vr_flush = op_vr_flush,
    .reply = op_reply,
    .done = host_done,
    .told = host_told,
};

static void
never_both(const struct host *h)
{
	for (uint16_t i = 0; i < ROUTERS; i++)
		assert_false(holds(h, i) && holds(h->other, i));
}

static void
run(struct world *w, unsigned ms)
{
	while (ms-- > 0) {
		w->now.us += 1000;
		for (unsigned i = 0; i < NODES; i++)
			host_turn(&w->h[i]);
	}
}

static void
boot(struct world *w, unsigned i)
{
	struct conf_errors errors = {.text = NULL};
	struct host *h = &w->h[i];

	h->look = never_both;
	h->conf = calloc(1, sizeof(*h->conf));
	assert_non_null(h->conf);
	assert_int_equal(
	    conf_parse(h->conf, "f", file, strlen(file), &errors), 0);
	host_start(h, (uint8_t)(i + 1), &ops, 77 + i, 1000 + i, NULL);
	host_iface(h, true, (uint8_t[]){192, 0, 2, (uint8_t)(i + 1)});
	host_work(h);
}

/* A pair; both routers are on bravo, which has the higher address. */
static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->now.us = 1000000;
	for (unsigned i = 0; i < NODES; i++)
		host_init(&w->h[i], w, &w->now, w->h);
	boot(w, 0);
	boot(w, 1);
	run(w, 10);
	host_connect(&w->h[0], 1001, 1);
	host_connect(&w->h[1], 1000, 1);
	run(w, 6000);
	for (uint16_t i = 0; i < ROUTERS; i++) {
		assert_false(holds(&w->h[0], i));
		assert_true(holds(&w->h[1], i));
	}
	w->out[0][0] = w->out[1][0] = '\0';
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < NODES; i++)
		host_free(&w->h[i]);
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
	host_work(&w->h[1]);
	said(&w->h[1], "told one free; farewell one; del one; "
		       "reply 7 (router one: its addresses are released); ");
	assert_false(holds(&w->h[1], 0));
	run(w, 1);
	said(&w->h[0], "add one; open one; announce one; told one held; ");
	assert_true(holds(&w->h[0], 0) && holds(&w->h[1], 1));
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
	host_work(&w->h[1]);
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
	host_work(&w->h[1]);
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
	assert_null(strstr(w->out[1], "free"));
	assert_null(strstr(w->out[1], "del"));
	assert_null(strstr(w->out[1], "reply"));
}

/* From the other node, as its connection brings it. */
static void
hears(struct host *h, const uint8_t *words, size_t len)
{
	struct wire_hdr hdr = {.core = WIRE_ROUTERS,
	    .sender = (uint8_t)(h->other->me + 1),
	    .incarnation = 1000 + h->other->me};
	struct nd_event e = {.type = ND_EV_MSG, .peer = hdr.sender};
	uint8_t bytes[WIRE_HDR_LEN + 4 * VR_WIRE_LEN];

	assert_true(WIRE_HDR_LEN + len <= sizeof(bytes));
	wire_put_hdr(bytes, &hdr);
	memcpy(bytes + WIRE_HDR_LEN, words, len);
	e.u.msg.kind = ND_CTL;
	e.u.msg.bytes = bytes;
	e.u.msg.len = WIRE_HDR_LEN + len;
	step(h, &e);
	host_work(h);
}

static uint64_t
refusals(const struct host *h)
{
	struct nd_status *s = calloc(1, sizeof(*s));
	uint64_t n;

	assert_non_null(s);
	nd_status(h->nd, *h->now, s);
	n = s->refused_malformed;
	free(s);
	return n;
}

/* That router one is free; an older had knew it by its name. */
static void
put_free(uint8_t *buf, const char *name)
{
	struct vr_wire w = {.ifname = "eno1",
	    .proto = VR_VRRP3,
	    .family = 4,
	    .vrid = 91,
	    .peer = {.able = true, .priority = 100},
	    .lan_ok = true};

	vr_wire_put(buf, &w);
	if (name != NULL) {
		memset(buf, 0, VR_WIRE_IF_LEN);
		memcpy(buf, name, strlen(name));
	}
}

static const char older[] = "message from bravo refused: router without an "
			    "interface, or with one too long; ";
static const char shorter[] = "message from bravo refused: words about routers "
			      "of another length; ";

/*
 * What the peer told before goes on to be true: no advert comes here, so only
 * its words keep alpha from taking what bravo has.
 */
static void
test_words_of_another_form(void **state)
{
	struct world *w = *state;
	uint8_t words[2 * VR_WIRE_LEN];
	uint64_t before = refusals(&w->h[0]);

	put_free(words, "a-router-with-a-long-name");
	put_free(words + VR_WIRE_LEN, "another-with-a-long-name");
	hears(&w->h[0], words, sizeof(words));
	said(&w->h[0], older);
	assert_int_equal(refusals(&w->h[0]), before + 2);
	run(w, 1100);
	for (size_t cut = 1; cut < VR_WIRE_LEN; cut++) {
		put_free(words, NULL);
		put_free(words + VR_WIRE_LEN, NULL);
		hears(&w->h[0], words, sizeof(words) - cut);
		hears(&w->h[0], words, VR_WIRE_LEN - cut);
		assert_int_equal(
		    refusals(&w->h[0]), before + 2 + 2 * (uint64_t)cut);
	}
	said(&w->h[0], shorter);
	/* It may be an interface, but is none of a router here. */
	put_free(words, "one");
	hears(&w->h[0], words, VR_WIRE_LEN);
	said(&w->h[0], "");
	run(w, 6000);
	said(&w->h[0], "");
	for (uint16_t i = 0; i < ROUTERS; i++)
		assert_true(holds(&w->h[1], i));
	release(&w->h[1], 0, 7);
	run(w, 2);
	said(&w->h[0], "add one; open one; announce one; told one held; ");
}

/* In one message with a word that is refused: it is taken all the same. */
static void
test_a_right_word_among_others(void **state)
{
	struct world *w = *state;
	uint8_t words[3 * VR_WIRE_LEN];

	w->h[1].frozen = true;
	run(w, 100);
	memset(&w->h[1].open, 0, sizeof(w->h[1].open));
	put_free(words, "a-router-with-a-long-name");
	put_free(words + VR_WIRE_LEN, NULL);
	put_free(words + 2 * VR_WIRE_LEN, "a-router-with-a-long-name");
	hears(&w->h[0], words, sizeof(words));
	said(&w->h[0],
	    "message from bravo refused: router "
	    "without an interface, or with one too long; add one; open one; "
	    "announce one; told one held; ");
}

/*
 * One who waits for a router that is active: it does not come about, and if it
 * did, the next one who asks is told so, and the first is not forgotten.
 */
static void
test_two_who_ask(void **state)
{
	struct world *w = *state;
	struct nd_vr_router *r = &w->h[1].nd->vr->routers[0];

	r->asker = 6;
	release(&w->h[1], 0, 7);
	host_work(&w->h[1]);
	said(&w->h[1], "reply 7: 75 (router one: its release was asked for "
		       "before, and that is not answered yet: ask again); ");
	assert_true(holds(&w->h[1], 0));
	assert_int_equal(r->asker, 6);
	r->asker = 0;
	release(&w->h[1], 0, 8);
	said(&w->h[1], "close one; ");
	host_work(&w->h[1]);
	assert_non_null(strstr(
	    w->out[1], "reply 8 (router one: its addresses are released); "));
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
	    cmocka_unit_test_setup_teardown(test_two_who_ask, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_words_of_another_form, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_a_right_word_among_others, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
