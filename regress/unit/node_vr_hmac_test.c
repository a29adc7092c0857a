/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Adverts that are signed, composed: two nodes with nothing but a LAN between
 * them, in virtual milliseconds, and somebody on it who sends what he likes.
 * What he sends moves nothing and is counted; keys and modes change by reloads
 * without a transition.
 */
#include "node_host.h"
#include "vrrp_auth.h"

enum { VRID = 51, FRAME4 = 128 };

struct world {
	monotime_t now;
	struct host h[NODES];
	struct frame_of {
		uint8_t bytes[FRAME4]; /* from the IP header on */
		size_t len;
	} last[NODES]; /* advert of each */
	unsigned sent[NODES], both, none_ms, notes;
	bool resolves, same_trailer; /* unicast; all copies had the same */
	char note[256]; /* the last warning */
};

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	struct host *h = ctx;

	host_note(ctx, level, rule, object, text);
	if (level != HAD_WARN || strcmp(object, "router gw") != 0)
		return;
	h->w->notes++;
	snprintf(h->w->note, sizeof(h->w->note), "%s", text);
}

static void
op_send(void *ctx, uint16_t ifx, const uint8_t *frame, size_t len, bool resolve)
{
	struct host *h = ctx;
	struct frame_of *f = &h->w->last[h->me];

	assert_int_equal(resolve, h->w->resolves);
	assert_true(len - 14 <= sizeof(f->bytes));
	if (resolve && h->w->sent[h->me] % 2 == 1 &&
	    memcmp(f->bytes + f->len - VRRP_TRAILER_LEN,
		frame + len - VRRP_TRAILER_LEN, VRRP_TRAILER_LEN) != 0)
		h->w->same_trailer = false;
	f->len = len - 14;
	memcpy(f->bytes, frame + 14, f->len);
	h->w->sent[h->me]++;
	/* The second copy is for a machine that is not there. */
	if (!resolve || h->w->sent[h->me] % 2 == 1)
		lan_send(h, ifx, frame, len, false);
}

static const struct nd_ops ops = {
    .timer = host_timer,
    .persist = host_persist,
    .note = op_note,
    .addr_add = host_add,
    .addr_del = host_del,
    .lease = host_lease_none,
    .announce = host_announce,
    .vr_lease = host_vr_lease,
    .vr_send = op_send,
    .vr_flush = host_vr_flush,
    .reply = host_reply,
    .done = host_done,
};

static bool
speaks(const struct host *h)
{
	return holds(h, 0);
}

static void
run_ms(struct world *w, unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		w->now = mt_add_ms(w->now, 1);
		lan_settle(w->h);
		w->both += speaks(&w->h[0]) && speaks(&w->h[1]);
		w->none_ms += !speaks(&w->h[0]) && !speaks(&w->h[1]);
	}
}

#define K1 "0123456789abcdef0123456789abcdef"
#define K2 "fedcba9876543210fedcba9876543210"
#define KEY1 "key 1 " K1 "; "
#define KEY2 "key 2 " K2 "; "

/* The statements of router gw, or NULL: the file has none. */
static struct conf *
parse(unsigned node, const char *router)
{
	char text[2048], errors[1024];
	struct conf_errors err = {.text = errors, .size = sizeof(errors)};
	struct conf *c = calloc(1, sizeof(*c));
	int n;

	assert_non_null(c);
	n = snprintf(text, sizeof(text),
	    "cluster c%u {\n}\nnode n%u {\nid 1\n}\n", node, node);
	if (router != NULL)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
		    "address gw {\n10.9.0.100/24 interface eth0\n}\n"
		    "router gw {\naddress gw\n%s\n}\n",
		    router);
	if (conf_parse(c, "test", text, (size_t)n, &err) != 0)
		fail_msg("%s\n%s", text, errors);
	return c;
}

static void
start(struct world *w, unsigned i, const char *router)
{
	struct host *h = &w->h[i];

	h->conf = parse(i, router);
	host_start(h, 1, &ops, 7 + i, 77 + i, NULL);
	host_iface(h, true, (uint8_t[]){10, 9, 0, (uint8_t)(i + 1)});
	lan_settle(w->h);
}

/* The first has 200, the second 100; all that stands in the router. */
#define V3(prio, hmac) \
	"vrrp 3 vrid 51; interval 100ms; priority " prio "; " hmac
#define BETTER(hmac) V3("200", hmac)
#define WORSE(hmac) V3("100", hmac)
#define HMAC(words) "hmac { " words " }"

static struct world *
quiet(void)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->same_trailer = true;
	w->now.us = 1000000;
	for (unsigned i = 0; i < NODES; i++) {
		host_init(&w->h[i], w, &w->now, w->h);
		w->h[i].wall_us = INT64_C(1700000000) * 1000000;
	}
	return w;
}

static struct world *
pair(const char *better, const char *worse)
{
	struct world *w = quiet();

	start(w, 0, better);
	start(w, 1, worse);
	run_ms(w, 2000);
	w->none_ms = 0;
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

static struct vr_status
status(const struct world *w, unsigned i)
{
	struct vr_status s;

	assert_true(nd_router_status(w->h[i].nd, 0, &s));
	return s;
}

static uint64_t
refused(const struct world *w, unsigned i, enum vrrp_reject why)
{
	return status(w, i).rejects[why];
}

static uint64_t
all_refused(const struct world *w, unsigned i)
{
	struct vr_status s = status(w, i);
	uint64_t n = 0;

	for (unsigned k = 0; k < VR_REJECTS_MAX; k++)
		n += s.rejects[k];
	return n;
}

/* Node i hears these bytes. */
static void
inject(struct world *w, unsigned i, const uint8_t *bytes, size_t len)
{
	struct nd_packet p = {bytes, len};
	struct nd_event e = {.type = ND_EV_VR_PACKET};

	e.u.packet.n = 1;
	e.u.packet.list = &p;
	step(&w->h[i], &e);
	lan_settle(w->h);
}

/* An advert of somebody at 10.9.0.FROM, without a signature. */
static void
forge(struct world *w, unsigned i, uint8_t from, uint8_t priority)
{
	static const uint8_t addrs[4] = {10, 9, 0, 100};
	uint8_t out[FRAME4];
	struct vrrp_packet p;

	vrrp_packet_init(&p, 3, 4, VRID);
	memcpy(p.f.src, (const uint8_t[]){10, 9, 0, from}, 4);
	p.priority = priority;
	p.interval_ms = 100;
	p.naddr = 1;
	p.addrs = addrs;
	inject(w, i, out, vrrp_encode_ip(out, sizeof(out), &p));
}

static void
reload(struct world *w, unsigned i, const char *router)
{
	struct nd_event e = {.type = ND_EV_VR_RELOAD};
	struct conf *next = parse(i, router), *old, *merged;
	struct host *h = &w->h[i];
	struct conf_merge m;
	char why[256];

	old = calloc(1, sizeof(*old));
	merged = calloc(1, sizeof(*merged));
	assert_true(old != NULL && merged != NULL);
	*old = *h->conf;
	if (conf_merge(merged, h->conf, next, &m, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	assert_int_equal(m.changed + m.removed, 1);
	e.u.reload.vr = nd_reload_new(h->nd, merged);
	assert_non_null(e.u.reload.vr);
	*h->conf = *merged;
	e.u.reload.tracks = old->tracks;
	e.u.reload.n_tracks = old->n_tracks;
	step(h, &e);
	lan_settle(w->h);
	free(next);
	free(old);
	free(merged);
}

/* No outage, no transition, and nobody refused anything. */
static void
nothing_happened(const struct world *w)
{
	assert_int_equal(w->none_ms, 0);
	assert_true(speaks(&w->h[0]));
	assert_int_equal(status(w, 0).transitions, 2);
	assert_int_equal(status(w, 1).transitions, 1);
	assert_int_equal(all_refused(w, 0), 0);
	assert_int_equal(all_refused(w, 1), 0);
}

static void
test_signed_ones_elect(void **state)
{
	struct world *w =
	    pair(BETTER(HMAC(KEY1)), WORSE(HMAC(KEY1 "replay monotonic")));
	struct vrrp_trailer t;
	uint64_t seq = 0;

	(void)state;
	nothing_happened(w);
	assert_int_equal(w->last[0].len, 20 + 12 + VRRP_TRAILER_LEN);
	for (unsigned i = 0; i < 20; i++) {
		run_ms(w, 100);
		vrrp_trailer_get(&t, w->last[0].bytes + 32);
		assert_true(t.seq > seq);
		assert_true(t.seq >> 32 ==
			    (uint64_t)(w->now.us + w->h[0].wall_us) / 1000000);
		seq = t.seq;
	}
	/* The better one is gone: nobody else could say so. */
	host_free(&w->h[0]);
	memset(&w->h[0].open, 0, sizeof(w->h[0].open));
	run_ms(w, 470);
	assert_true(speaks(&w->h[1]));
	end(w);
}

/* It takes nothing, and nothing is taken from it. */
static void
test_who_has_no_key_moves_nothing(void **state)
{
	struct world *w = pair(BETTER(HMAC(KEY1)), WORSE(HMAC(KEY1)));

	(void)state;
	for (unsigned n = 1; n <= 5; n++) {
		forge(w, 0, 66, 255);
		forge(w, 1, 1, 0); /* in the name of the master */
		forge(w, 1, 66, 254);
		run_ms(w, 500);
		assert_int_equal(refused(w, 0, VRRP_R_HMAC_MISSING), n);
		assert_int_equal(refused(w, 1, VRRP_R_HMAC_MISSING), 2 * n);
	}
	assert_int_equal(w->none_ms, 0);
	assert_int_equal(status(w, 0).transitions, 2);
	assert_int_equal(status(w, 1).transitions, 1);
	assert_int_equal(status(w, 1).farewells_received, 0);
	end(w);
}

/* The same bytes are never right twice, whatever was heard just before. */
static void
test_a_recording_is_refused(void **state)
{
	struct world *w = pair(BETTER(HMAC(KEY1 "mode permissive")),
	    WORSE(HMAC(KEY1 "mode permissive")));
	struct frame_of last;
	uint64_t heard;

	(void)state;
	for (unsigned n = 1; n <= 3; n++) {
		last = w->last[0];
		heard = status(w, 1).received;
		inject(w, 1, last.bytes, last.len);
		inject(w, 1, last.bytes, last.len);
		assert_int_equal(refused(w, 1, VRRP_R_HMAC_REPLAY), 2 * n);
		assert_int_equal(status(w, 1).received, heard);
		run_ms(w, 100);
	}
	assert_non_null(strstr(w->note, "10.9.0.1: refused: hmac-replay"));
	/* The master is dead: its recordings do not keep it alive. */
	host_free(&w->h[0]);
	memset(&w->h[0].open, 0, sizeof(w->h[0].open));
	for (unsigned i = 0; i < 47; i++) {
		inject(w, 1, last.bytes, last.len);
		run_ms(w, 10);
	}
	assert_true(speaks(&w->h[1]));
	end(w);
}

/* A farewell of an hour ago, and one that waits for somebody to start. */
static void
test_an_old_farewell(void **state)
{
	struct world *w = pair(BETTER(HMAC(KEY1)), WORSE(HMAC(KEY1)));
	struct nd_event stop = {.type = ND_EV_STOP};
	struct frame_of farewell;

	(void)state;
	step(&w->h[0], &stop);
	lan_settle(w->h);
	run_ms(w, 200);
	assert_true(speaks(&w->h[1]));
	assert_int_equal(status(w, 1).farewells_received, 1);
	farewell = w->last[0];
	assert_int_equal(farewell.bytes[22], 0);
	host_free(&w->h[0]);
	start(w, 0, BETTER(HMAC(KEY1)));
	run_ms(w, 10000);
	assert_int_equal(all_refused(w, 1), 0);
	inject(w, 0, farewell.bytes, farewell.len);
	/* From its own address: a loop of the LAN, whoever made it. */
	assert_int_equal(refused(w, 0, VRRP_R_OWN), 1);
	inject(w, 1, farewell.bytes, farewell.len);
	assert_int_equal(refused(w, 1, VRRP_R_HMAC_STALE), 1);
	assert_int_equal(status(w, 1).farewells_received, 1);
	end(w);
}

static void
test_each_reason(void **state)
{
	struct world *w = pair(BETTER(HMAC(KEY1)), WORSE(HMAC(KEY1)));
	struct frame_of f;

	(void)state;
	w->h[0].cut = true; /* what it says is changed on its way */
	run_ms(w, 100);
	f = w->last[0];
	f.bytes[32] = 2;
	inject(w, 1, f.bytes, f.len);
	assert_int_equal(refused(w, 1, VRRP_R_HMAC_MALFORMED), 1);
	f = w->last[0];
	f.bytes[35] = 1;
	inject(w, 1, f.bytes, f.len);
	assert_int_equal(refused(w, 1, VRRP_R_HMAC_MALFORMED), 2);
	f = w->last[0];
	f.bytes[33] = 9;
	inject(w, 1, f.bytes, f.len);
	assert_int_equal(refused(w, 1, VRRP_R_HMAC_KEY), 1);
	f = w->last[0];
	f.bytes[59] ^= 1;
	inject(w, 1, f.bytes, f.len);
	assert_int_equal(refused(w, 1, VRRP_R_HMAC), 1);
	f = w->last[0];
	f.bytes[37] ^= 1; /* many hours */
	inject(w, 1, f.bytes, f.len);
	assert_int_equal(refused(w, 1, VRRP_R_HMAC_STALE), 1);
	assert_int_equal(all_refused(w, 1), 5);
	/* And as it was it is believed. */
	f = w->last[0];
	inject(w, 1, f.bytes, f.len);
	assert_int_equal(all_refused(w, 1), 5);
	w->h[0].cut = false;
	run_ms(w, 1000);
	assert_int_equal(w->none_ms, 0);
	end(w);
}

/* Who has no hmac takes what is signed for what is too long, as before. */
static void
test_without_keys_it_is_too_long(void **state)
{
	struct world *w = pair(BETTER(HMAC(KEY1)), WORSE(""));

	(void)state;
	w->both = 0;
	assert_true(refused(w, 1, VRRP_R_LENGTH) > 10);
	assert_true(refused(w, 0, VRRP_R_HMAC_MISSING) > 10);
	end(w);
}

static void
test_clocks_apart(void **state)
{
	struct world *w = pair(BETTER(HMAC(KEY1)), WORSE(HMAC(KEY1)));

	(void)state;
	assert_int_equal(w->notes, 0);
	/* More than half of the window is said, once in ten seconds. */
	w->h[0].wall_us += 4 * 1000000;
	run_ms(w, 9000);
	assert_int_equal(w->notes, 1);
	assert_string_equal(w->note,
	    "advert from 10.9.0.1: its clock is 4 s ahead of this one's; with "
	    "more than 5 s it will be refused: synchronize the clocks");
	run_ms(w, 2000);
	assert_int_equal(w->notes, 2);
	/* The receiver's goes on, too; then the sender's is set back. */
	w->h[1].wall_us += 7 * 1000000;
	run_ms(w, 10000);
	assert_int_equal(w->notes, 3);
	assert_non_null(strstr(w->note, "its clock is 3 s behind this one's"));
	w->h[0].wall_us -= 2 * 1000000; /* it goes on from its last one */
	run_ms(w, 5000);
	nothing_happened(w);
	/* Both are set back by a day. */
	w->h[0].wall_us -= INT64_C(86400) * 1000000;
	w->h[1].wall_us -= INT64_C(86400) * 1000000;
	run_ms(w, 5000);
	nothing_happened(w);
	end(w);
}

/* Beyond the window nothing is believed, and the log says why. */
static void
test_clocks_too_far_apart(void **state)
{
	struct world *w = pair(BETTER(HMAC(KEY1)), WORSE(HMAC(KEY1)));

	(void)state;
	w->h[0].wall_us += 60 * 1000000;
	run_ms(w, 200);
	assert_int_equal(refused(w, 1, VRRP_R_HMAC_STALE), 2);
	assert_string_equal(w->note,
	    "advert from 10.9.0.1: refused: hmac-stale: its clock is 60 s "
	    "ahead of this one's, or it was sent then; the window is 5 s");
	w->h[0].wall_us -= 60 * 1000000;
	run_ms(w, 3000);
	assert_int_equal(w->none_ms, 0);
	assert_int_equal(status(w, 1).transitions, 1);
	end(w);
}

static void
test_monotonic_asks_no_clock(void **state)
{
	struct world *w = pair(BETTER(HMAC(KEY1 "replay monotonic")),
	    WORSE(HMAC(KEY1 "replay monotonic")));

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		w->h[i % 2].wall_us += (i < 2 ? 1 : -1) * INT64_C(3600000000);
		run_ms(w, 2000);
	}
	nothing_happened(w);
	assert_int_equal(w->notes, 0);
	end(w);
}

static void
test_keys_change_without_an_outage(void **state)
{
	static const char *const steps[] = {HMAC(KEY1 KEY2 "sign 1"),
	    HMAC(KEY1 KEY2 "sign 2"), HMAC(KEY2), HMAC(KEY2 "window 9s"),
	    HMAC(KEY2 "replay monotonic")};
	struct world *w = pair(BETTER(HMAC(KEY1)), WORSE(HMAC(KEY1)));
	struct frame_of old, before;
	uint64_t heard, n = 0;
	char text[512];

	(void)state;
	old = w->last[0];
	for (unsigned k = 0; k < NITEMS(steps); k++)
		for (unsigned i = 0; i < NODES; i++) {
			before = w->last[0];
			run_ms(w, 100);
			heard = status(w, 1).received;
			snprintf(text, sizeof(text), V3("%s", "%s"),
			    i == 0 ? "200" : "100", steps[k]);
			reload(w, i, text);
			/* What was heard before is still known. */
			inject(w, 1, before.bytes, before.len);
			n++;
			/* By the old socket, too: no replay, nor news. */
			inject(w, 1, w->last[0].bytes, w->last[0].len);
			n += i == 0;
			assert_int_equal(status(w, 1).received, heard);
			assert_int_equal(refused(w, 1, VRRP_R_HMAC_REPLAY), n);
			run_ms(w, 150);
			inject(w, 1, w->last[0].bytes, w->last[0].len);
			n++;
			assert_int_equal(refused(w, 1, VRRP_R_HMAC_REPLAY), n);
			run_ms(w, 1000);
			assert_in_range(status(w, 1).received - heard, 11, 12);
		}
	assert_int_equal(w->last[0].bytes[33], 2);
	assert_int_equal(w->none_ms, 0);
	assert_int_equal(status(w, 0).transitions, 2);
	assert_int_equal(status(w, 1).transitions, 1);
	assert_int_equal(all_refused(w, 0), 0);
	assert_int_equal(all_refused(w, 1), n);
	inject(w, 1, old.bytes, old.len);
	assert_int_equal(refused(w, 1, VRRP_R_HMAC_KEY), 1);
	end(w);
}

/* On machines that run: no step makes an advert that is refused. */
static void
test_modes_bring_it_in_and_out(void **state)
{
	static const char *const steps[] = {HMAC(KEY1 "mode receive-only"),
	    HMAC(KEY1 "mode permissive"), HMAC(KEY1),
	    HMAC(KEY1 "mode permissive"), HMAC(KEY1 "mode receive-only"), ""};
	static const bool signs[] = {false, true, true, true, false, false};
	struct world *w = pair(BETTER(""), WORSE(""));
	char text[512];

	(void)state;
	for (unsigned k = 0; k < NITEMS(steps); k++) {
		for (unsigned i = 0; i < NODES; i++) {
			unsigned who = (k + i) % NODES;

			snprintf(text, sizeof(text), V3("%s", "%s"),
			    who == 0 ? "200" : "100", steps[k]);
			reload(w, who, text);
			run_ms(w, 1000);
			nothing_happened(w);
		}
		assert_int_equal(w->last[0].len,
		    20 + 12 + (signs[k] ? VRRP_TRAILER_LEN : 0));
	}
	end(w);
}

/* Its farewell is signed, with keys that the file does not have any more. */
static void
test_one_that_leaves_says_so(void **state)
{
	struct world *w = pair(BETTER(HMAC(KEY1)), WORSE(HMAC(KEY1)));

	(void)state;
	reload(w, 0, NULL);
	run_ms(w, 100);
	assert_true(speaks(&w->h[1]));
	assert_int_equal(status(w, 1).farewells_received, 1);
	assert_int_equal(all_refused(w, 1), 0);
	assert_true(nd_reload_tidy(w->h[0].nd, w->h[0].conf, NULL, NULL));
	end(w);
}

static void
test_unicast(void **state)
{
	struct world *w = quiet();

	(void)state;
	w->resolves = true;
	start(w, 0, BETTER(HMAC(KEY1) "; unicast 10.9.0.2; unicast 10.9.0.3"));
	start(w, 1, WORSE(HMAC(KEY1) "; unicast 10.9.0.1; unicast 10.9.0.3"));
	run_ms(w, 2000);
	w->none_ms = 0;
	run_ms(w, 1000);
	nothing_happened(w);
	assert_true(w->same_trailer);
	/* It is signed well, but by nobody whom it knows. */
	reload(w, 1, WORSE(HMAC(KEY1) "; unicast 10.9.0.4; unicast 10.9.0.3"));
	run_ms(w, 150);
	assert_true(refused(w, 1, VRRP_R_HMAC_SENDER) >= 1);
	assert_int_equal(refused(w, 1, VRRP_R_HMAC_SENDER), all_refused(w, 1));
	reload(w, 1, WORSE(HMAC(KEY1) "; unicast 10.9.0.1; unicast 10.9.0.3"));
	run_ms(w, 1000);
	assert_int_equal(w->none_ms, 0);
	end(w);
}

/* Other addresses are counted, and believed if they are signed. */
static void
test_other_addresses(void **state)
{
	struct world *w = pair(BETTER(HMAC(KEY1)), WORSE(HMAC(KEY1)));
	uint8_t out[FRAME4];
	struct vrrp_packet p;

	(void)state;
	vrrp_packet_init(&p, 3, 4, VRID);
	memcpy(p.f.src, (const uint8_t[]){10, 9, 0, 66}, 4);
	p.priority = 201;
	p.interval_ms = 100;
	p.naddr = 1;
	p.addrs = p.f.src;
	inject(w, 1, out, vrrp_encode_ip(out, sizeof(out), &p));
	assert_int_equal(refused(w, 1, VRRP_R_ADDRESSES), 0);
	assert_int_equal(refused(w, 1, VRRP_R_HMAC_MISSING), 1);
	run_ms(w, 1000);
	assert_int_equal(w->none_ms, 0);
	end(w);
}

static void
test_version_2(void **state)
{
	struct world *w = quiet();

	(void)state;
	start(w, 0, "vrrp 2 vrid 51; priority 200; " HMAC(KEY1));
	start(w, 1, "vrrp 2 vrid 51; priority 100; " HMAC(KEY1));
	run_ms(w, 8000);
	w->none_ms = 0;
	run_ms(w, 5000);
	nothing_happened(w);
	assert_int_equal(w->last[0].len, 20 + 20 + VRRP_TRAILER_LEN);
	inject(w, 1, w->last[0].bytes, w->last[0].len);
	assert_int_equal(refused(w, 1, VRRP_R_HMAC_REPLAY), 1);
	end(w);
}

/* What a file holds is a part of the configuration. */
static void
test_a_file_with_another_key_is_a_change(void **state)
{
	struct conf *running =
	    parse(0, BETTER(HMAC("key 1 file /k; key 2 " K2 "; sign 1")));
	struct conf *next = calloc(1, sizeof(*next));
	struct conf *out = calloc(1, sizeof(*out));
	struct conf_merge m;
	char why[256];

	(void)state;
	assert_true(next != NULL && out != NULL);
	assert_int_equal(running->n_hmac_keys, 2);
	assert_string_equal(running->hmac_keys[0].file, "/k");
	memcpy(running->hmac_keys[0].bytes, K1, 32);
	running->hmac_keys[0].len = 32;
	*next = *running;
	assert_int_equal(
	    conf_merge(out, running, next, &m, why, sizeof(why)), 0);
	assert_int_equal(m.kept, 1);
	next->hmac_keys[0].bytes[31]++;
	assert_int_equal(
	    conf_merge(out, running, next, &m, why, sizeof(why)), 0);
	assert_int_equal(m.changed, 1);
	assert_string_equal(m.names, ": ~gw");
	assert_memory_equal(
	    out->hmac_keys, next->hmac_keys, 2 * sizeof(out->hmac_keys[0]));
	free(running);
	free(next);
	free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_signed_ones_elect),
	    cmocka_unit_test(test_who_has_no_key_moves_nothing),
	    cmocka_unit_test(test_a_recording_is_refused),
	    cmocka_unit_test(test_an_old_farewell),
	    cmocka_unit_test(test_each_reason),
	    cmocka_unit_test(test_without_keys_it_is_too_long),
	    cmocka_unit_test(test_clocks_apart),
	    cmocka_unit_test(test_clocks_too_far_apart),
	    cmocka_unit_test(test_monotonic_asks_no_clock),
	    cmocka_unit_test(test_keys_change_without_an_outage),
	    cmocka_unit_test(test_modes_bring_it_in_and_out),
	    cmocka_unit_test(test_one_that_leaves_says_so),
	    cmocka_unit_test(test_unicast),
	    cmocka_unit_test(test_other_addresses),
	    cmocka_unit_test(test_version_2),
	    cmocka_unit_test(test_a_file_with_another_key_is_a_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
