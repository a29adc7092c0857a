/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of membership as transcripts: alpha (1) and bravo (2), links
 * cross (0) and lan (1), time in virtual milliseconds.  Heartbeats every 20,
 * dead 100, takeover 150, lease 60.  A disk takes 2 ms, a message none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "member.h"

enum { ALPHA = 1, BRAVO = 2, CROSS = 0, LAN = 1 };
enum { HEARTBEAT = 20, DEAD = 100, TAKEOVER = 150, LEASE = 60, DISK = 2 };

struct packet {
	uint8_t to, from;
	uint8_t bytes[64];
	size_t len;
};

struct node {
	struct mb *mb; /* owned; NULL = no daemon */
	uint8_t id;
	uint64_t incarnation;
	bool frozen;
	monotime_t frozen_at, timer;
	/* What the core said last. */
	enum mb_self self;
	bool own_right;
	enum mb_peer peer;
	bool stateless_gone;
	uint64_t epoch;
	char rule[16];
	/* The disk. */
	struct sf_record disk, pending;
	bool has_disk, is_pending, disk_broken;
	uint64_t pending_serial;
	monotime_t pending_at;
	bool done, replied, reply_ok;
	char reply[160];
	char notes[16384];
	/* Order of takeover outputs, for R8. */
	uint64_t alone_at_disk_epoch;
};

static struct world {
	struct node nodes[3];
	int now;
	bool cut[3][2]; /* [from][link]: heartbeats are lost */
	bool ctl_cut;
	bool wait; /* silent peer wait */
	struct packet queue[64];
	unsigned n_queue;
} w;

static monotime_t
at(int ms)
{
	/* Not zero: zero means never. */
	return (monotime_t){(int64_t)(ms + 1000) * 1000};
}

static void
op_send(void *ctx, uint8_t to, const uint8_t *bytes, size_t len)
{
	struct node *n = ctx;
	struct packet *p;

	if (w.ctl_cut)
		return;
	assert_true(w.n_queue < 64 && len <= sizeof(p->bytes));
	p = &w.queue[w.n_queue++];
	p->to = to;
	p->from = n->id;
	p->len = len;
	memcpy(p->bytes, bytes, len);
}

static void
op_timer(void *ctx, monotime_t when)
{
	((struct node *)ctx)->timer = when;
}

static void
op_persist(void *ctx, const struct sf_record *r, uint64_t serial)
{
	struct node *n = ctx;

	n->pending = *r;
	n->pending_serial = serial;
	n->is_pending = true;
	n->pending_at = at(w.now + DISK);
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	struct node *n = ctx;
	size_t used = strlen(n->notes);

	if (level == HAD_DEBUG)
		return;
	if (used + 400 > sizeof(n->notes))
		used = 0;
	snprintf(n->notes + used, sizeof(n->notes) - used, "%d %s [%s] %s\n",
	    w.now, object, rule, text);
	if (getenv("VERBOSE") != NULL)
		fputs(n->notes + used, stderr);
}

static void
op_self(void *ctx, enum mb_self self, bool own_right, const char *rule)
{
	struct node *n = ctx;

	if (self == MB_ALONE && n->self != MB_ALONE)
		n->alone_at_disk_epoch = n->disk.epoch;
	n->self = self;
	n->own_right = own_right;
	snprintf(n->rule, sizeof(n->rule), "%s", rule);
}

static void
op_peer(void *ctx, uint8_t id, enum mb_peer verdict, bool stateless_gone,
    const char *rule)
{
	struct node *n = ctx;

	assert_int_equal(id, 3 - n->id);
	assert_true(rule[0] != '\0');
	n->peer = verdict;
	n->stateless_gone = stateless_gone;
}

static void
op_epoch(void *ctx, uint64_t epoch)
{
	struct node *n = ctx;

	/* Never before it is durable. */
	assert_true(epoch <= n->disk.epoch);
	n->epoch = epoch;
}

static void
op_reply(void *ctx, uint64_t token, bool ok, const char *text)
{
	struct node *n = ctx;

	assert_int_equal(token, 99);
	assert_false(n->replied);
	n->replied = true;
	n->reply_ok = ok;
	snprintf(n->reply, sizeof(n->reply), "%s", text);
}

static void
op_done(void *ctx)
{
	((struct node *)ctx)->done = true;
}

static const struct mb_ops ops = {op_send, op_timer, op_persist, op_note,
    op_self, op_peer, op_epoch, op_reply, op_done};

static void
step(uint8_t id, struct mb_event e)
{
	struct node *n = &w.nodes[id];

	if (n->mb == NULL || n->frozen)
		return;
	e.now = at(w.now);
	mb_step(n->mb, &e);
}

static void
deliver(void)
{
	for (unsigned i = 0; i < w.n_queue; i++) {
		struct packet p = w.queue[i];

		assert_true(i < 60);
		step(p.to, (struct mb_event){.type = MB_EV_MSG,
			       .u.msg = {p.from, p.bytes, p.len}});
	}
	w.n_queue = 0;
}

static void
daemon_start(uint8_t id)
{
	struct mb_conf c = {.cluster = "shop",
	    .self = id,
	    .n_peers = 1,
	    .n_links = 2,
	    .links = {"cross", "lan"},
	    .heartbeat_ms = HEARTBEAT,
	    .lease_ms = LEASE,
	    .dead_ms = DEAD,
	    .takeover_ms = TAKEOVER};
	struct node *n = &w.nodes[id];

	strcpy(c.self_name, id == ALPHA ? "alpha" : "bravo");
	strcpy(c.peers[0].name, id == ALPHA ? "bravo" : "alpha");
	c.peers[0].id = (uint8_t)(3 - id);
	c.silent_takeover = !w.wait;
	assert_null(n->mb);
	n->id = id;
	n->incarnation += 100 + id;
	n->mb = mb_new(&c, &ops, n);
	n->timer = MT_NEVER;
	n->notes[0] = '\0';
	step(id, (struct mb_event){.type = MB_EV_START,
		     .u.start = {
			 n->incarnation, id, n->has_disk ? &n->disk : NULL}});
	deliver();
}

static void
daemon_end(uint8_t id)
{
	struct node *n = &w.nodes[id];

	mb_free(n->mb);
	n->mb = NULL;
	n->is_pending = false;
	n->frozen = n->done = n->replied = false;
	n->self = MB_OFF;
	n->peer = MB_PEER_UNKNOWN;
}

static void
heartbeat(uint8_t from, uint8_t link)
{
	struct node *n = &w.nodes[from];

	if (n->mb == NULL || n->frozen || w.cut[from][link] ||
	    n->self == MB_STOPPING)
		return;
	step((uint8_t)(3 - from),
	    (struct mb_event){.type = MB_EV_HEARD,
		.u.heard = {from, link, n->incarnation, n->epoch}});
	deliver();
}

static void
tick(struct node *n)
{
	struct mb_event e = {.type = MB_EV_PERSISTED};

	if (n->mb == NULL || n->frozen)
		return;
	if (n->is_pending && !mt_before(at(w.now), n->pending_at)) {
		n->is_pending = false;
		e.u.persisted.serial = n->pending_serial;
		e.u.persisted.ok = !n->disk_broken;
		if (!n->disk_broken) {
			n->disk = n->pending;
			n->has_disk = true;
		}
		step(n->id, e);
		deliver();
	}
	for (int i = 0; !mt_before(at(w.now), n->timer); i++) {
		/* A timer that never moves on would spin the loop. */
		assert_true(i < 5);
		n->timer = MT_NEVER;
		step(n->id, (struct mb_event){.type = MB_EV_TIMER});
		deliver();
	}
}

static void
run(int ms)
{
	for (int end = w.now + ms; w.now < end;) {
		w.now++;
		for (uint8_t id = ALPHA; id <= BRAVO; id++) {
			tick(&w.nodes[id]);
			for (uint8_t l = 0; l < 2 && w.now % HEARTBEAT == id;
			     l++)
				heartbeat(id, l);
		}
	}
}

static void
expect_(uint8_t id, enum mb_self self, enum mb_peer peer, int line)
{
	const struct node *n = &w.nodes[id];

	if (n->self == self && n->peer == peer)
		return;
	fprintf(stderr, "line %d, node %u: %s, peer %s; expected %s, %s\n%s",
	    line, id, mb_self_name(n->self), mb_peer_name(n->peer),
	    mb_self_name(self), mb_peer_name(peer), n->notes);
	fail();
}
#define expect(id, self, peer) expect_(id, MB_##self, MB_PEER_##peer, __LINE__)

static void
noted(uint8_t id, const char *text)
{
	if (strstr(w.nodes[id].notes, text) == NULL) {
		fprintf(stderr, "missing '%s' in\n%s", text, w.nodes[id].notes);
		fail();
	}
}

static void
both_paired(void)
{
	daemon_start(ALPHA);
	daemon_start(BRAVO);
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == w.nodes[BRAVO].epoch);
}

static void
aborted(uint8_t id)
{
	step(id, (struct mb_event){
		     .type = MB_EV_ABORTED, .u.aborted = {(uint8_t)(3 - id)}});
	deliver();
}

static void
refused(uint8_t id, uint8_t link)
{
	step(id, (struct mb_event){.type = MB_EV_REFUSED,
		     .u.refused = {(uint8_t)(3 - id), link}});
	deliver();
}

static void
seed(uint8_t id)
{
	w.nodes[id].replied = false;
	step(id, (struct mb_event){
		     .type = MB_EV_SEED, .u.seed = {(uint8_t)(3 - id), 99}});
	deliver();
}

static void
carrier(uint8_t id, uint8_t link, bool up)
{
	step(id,
	    (struct mb_event){.type = MB_EV_CARRIER, .u.carrier = {link, up}});
	deliver();
}

static void
cut_both(bool cut)
{
	for (uint8_t id = ALPHA; id <= BRAVO; id++)
		w.cut[id][CROSS] = w.cut[id][LAN] = cut;
	w.ctl_cut = cut;
}

static void
freeze(uint8_t id)
{
	w.nodes[id].frozen = true;
	w.nodes[id].frozen_at = at(w.now);
}

static void
thaw(uint8_t id)
{
	struct node *n = &w.nodes[id];

	n->frozen = false;
	step(id, (struct mb_event){.type = MB_EV_GAP,
		     .u.gap = {mt_sub_us(at(w.now), n->frozen_at)}});
	deliver();
}

/* bravo takes over from alpha, which died with an abort and a refusal. */
static void
bravo_alone(void)
{
	both_paired();
	daemon_end(ALPHA);
	aborted(BRAVO);
	refused(BRAVO, CROSS);
	run(5);
	expect(BRAVO, ALONE, GONE);
}

static int
setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	mb_free(w.nodes[ALPHA].mb);
	mb_free(w.nodes[BRAVO].mb);
	return 0;
}

static void
R1_peer_seen(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	run(5000);
	expect(ALPHA, INERT, UNKNOWN);
	noted(ALPHA, "[R1] inert until bravo is seen or 'hactl seed "
		     "--peer-is-down bravo'");
	daemon_start(BRAVO);
	run(50);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	noted(ALPHA, "[R1] bravo is seen, agreed on epoch 0");
}

static void
R1_seed(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	run(100);
	seed(ALPHA);
	/* Nothing before the epoch is durable (R8). */
	expect(ALPHA, INERT, UNKNOWN);
	assert_false(w.nodes[ALPHA].replied);
	run(DISK);
	expect(ALPHA, ALONE, GONE);
	assert_true(w.nodes[ALPHA].own_right);
	assert_true(w.nodes[ALPHA].epoch == 1);
	assert_true(w.nodes[ALPHA].disk.solo);
	assert_true(w.nodes[ALPHA].replied && w.nodes[ALPHA].reply_ok);
	/* The peer joins the one that acts. */
	daemon_start(BRAVO);
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[BRAVO].epoch == 1);
	assert_false(w.nodes[ALPHA].disk.solo);
	assert_false(w.nodes[BRAVO].disk.solo);
}

static void
R1_seed_refused(void **state)
{
	(void)state;
	both_paired();
	seed(ALPHA);
	assert_true(w.nodes[ALPHA].replied);
	assert_false(w.nodes[ALPHA].reply_ok);
	assert_non_null(strstr(w.nodes[ALPHA].reply, "bravo is not down: "
						     "heard"));
	expect(ALPHA, PAIRED, ALIVE);
	w.nodes[ALPHA].replied = false;
	step(ALPHA, (struct mb_event){.type = MB_EV_SEED, .u.seed = {7, 99}});
	assert_string_equal(w.nodes[ALPHA].reply, "there is no such peer");
	step(ALPHA, (struct mb_event){.type = MB_EV_STOP});
	w.nodes[ALPHA].replied = false;
	seed(ALPHA);
	assert_string_equal(w.nodes[ALPHA].reply, "this node is stopping");
}

/* The last survivor restarts unattended; its peer cannot (amnesia). */
static void
R1_solo(void **state)
{
	(void)state;
	bravo_alone();
	daemon_end(BRAVO);
	run(1000);
	daemon_start(ALPHA);
	run(5000);
	expect(ALPHA, INERT, UNKNOWN);
	daemon_end(ALPHA);
	daemon_start(BRAVO);
	run(TAKEOVER - 1);
	expect(BRAVO, INERT, UNKNOWN);
	run(2);
	expect(BRAVO, ALONE, GONE);
	assert_true(w.nodes[BRAVO].own_right);
	assert_true(w.nodes[BRAVO].epoch == 1);
	noted(BRAVO, "[R1] act alone: sole survivor at epoch 1, and alpha "
		     "was not heard");
}

static void
R1_solo_refused_is_at_once(void **state)
{
	(void)state;
	bravo_alone();
	daemon_end(BRAVO);
	daemon_start(BRAVO);
	run(3);
	refused(BRAVO, LAN);
	expect(BRAVO, ALONE, GONE);
	noted(BRAVO, "alpha refuses: its daemon does not run");
}

/* SOLO is gone from the disk before the other may act. */
static void
R1_solo_ends_with_pairing(void **state)
{
	(void)state;
	bravo_alone();
	daemon_start(ALPHA);
	for (int i = 0; i < 200; i++) {
		run(1);
		if (w.nodes[ALPHA].self == MB_PAIRED)
			assert_false(w.nodes[BRAVO].disk.solo);
	}
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 1);
}

/* alpha dies again while bravo clears SOLO: bravo writes it back. */
static void
R1_solo_restored(void **state)
{
	(void)state;
	bravo_alone();
	daemon_start(ALPHA);
	while (w.nodes[BRAVO].disk.solo && w.nodes[BRAVO].self == MB_ALONE) {
		run(1);
		if (w.nodes[BRAVO].is_pending)
			break;
	}
	assert_true(w.nodes[BRAVO].is_pending);
	daemon_end(ALPHA);
	w.now += DEAD + 20;
	run(20);
	expect(BRAVO, ALONE, GONE);
	assert_true(w.nodes[BRAVO].disk.solo);
}

static void
R1_no_peer_configured(void **state)
{
	struct mb_conf c = {.cluster = "one",
	    .self = 1,
	    .heartbeat_ms = 20,
	    .lease_ms = 60,
	    .dead_ms = 100,
	    .takeover_ms = 150};
	struct node *n = &w.nodes[ALPHA];

	(void)state;
	n->id = ALPHA;
	n->mb = mb_new(&c, &ops, n);
	n->timer = MT_NEVER;
	step(ALPHA,
	    (struct mb_event){.type = MB_EV_START, .u.start = {5, 5, NULL}});
	assert_int_equal(n->self, MB_INERT);
	run(DISK);
	assert_int_equal(n->self, MB_ALONE);
	assert_true(n->own_right && n->epoch == 1);
}

/* One link lost, the second more than dead later: each keeps its own. */
static void
R2_jeopardy(void **state)
{
	struct mb_status s;

	(void)state;
	both_paired();
	w.cut[ALPHA][CROSS] = w.cut[BRAVO][CROSS] = true;
	run(DEAD + 50);
	mb_status(w.nodes[BRAVO].mb, &s);
	assert_false(s.jeopardy);
	run(DEAD);
	mb_status(w.nodes[BRAVO].mb, &s);
	assert_true(s.jeopardy);
	noted(BRAVO, "[R2] jeopardy: one link domain left to alpha");
	expect(BRAVO, PAIRED, ALIVE);
	cut_both(true);
	run(5000);
	expect(ALPHA, PAIRED, LOST);
	expect(BRAVO, PAIRED, LOST);
	assert_true(w.nodes[BRAVO].epoch == 0);
	noted(BRAVO, "[R2] alpha is lost: the last link failed in jeopardy");
	/* It heals without a takeover and without a doubt. */
	cut_both(false);
	run(2 * DEAD + 50);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	mb_status(w.nodes[BRAVO].mb, &s);
	assert_false(s.jeopardy);
}

/* A link reported down by its liveness raises the alarm as well. */
static void
R2_link_down(void **state)
{
	struct mb_status s;

	(void)state;
	both_paired();
	step(BRAVO, (struct mb_event){
			.type = MB_EV_LINK, .u.link = {ALPHA, LAN, false}});
	run(DEAD + 1);
	mb_status(w.nodes[BRAVO].mb, &s);
	assert_true(s.jeopardy);
	assert_int_equal(s.peers[0].links_up, 1 << CROSS);
	step(BRAVO, (struct mb_event){
			.type = MB_EV_LINK, .u.link = {ALPHA, LAN, true}});
	run(HEARTBEAT);
	mb_status(w.nodes[BRAVO].mb, &s);
	assert_false(s.jeopardy);
	noted(BRAVO, "[R2] jeopardy is over");
}

/* A daemon killed in jeopardy is taken over from: its kernel said so. */
static void
R2_crash_in_jeopardy(void **state)
{
	(void)state;
	both_paired();
	w.cut[ALPHA][CROSS] = w.cut[BRAVO][CROSS] = true;
	run(500);
	daemon_end(ALPHA);
	aborted(BRAVO);
	refused(BRAVO, LAN);
	run(DISK);
	expect(BRAVO, ALONE, GONE);
}

/* The node vanishes: both links within dead of each other. */
static void
R3_takeover(void **state)
{
	int t;

	(void)state;
	both_paired();
	t = w.now;
	daemon_end(ALPHA);
	while (w.nodes[BRAVO].peer == MB_PEER_ALIVE)
		run(1);
	expect(BRAVO, PAIRED, SILENT);
	assert_in_range(w.now - t, DEAD - HEARTBEAT, DEAD);
	assert_false(w.nodes[BRAVO].stateless_gone);
	while (w.nodes[BRAVO].peer == MB_PEER_SILENT)
		run(1);
	expect(BRAVO, ALONE, GONE);
	assert_in_range(w.now - t, TAKEOVER - HEARTBEAT, TAKEOVER + DISK);
	assert_false(w.nodes[BRAVO].own_right);
	assert_true(w.nodes[BRAVO].epoch == 1 && w.nodes[BRAVO].disk.solo);
	noted(BRAVO, "[R3] alpha is gone: all links fell silent at once, 150 "
		     "ms since it was heard; silent peer takeover");
}

static void
R3_wait(void **state)
{
	(void)state;
	w.wait = true;
	both_paired();
	daemon_end(ALPHA);
	run(5000);
	expect(BRAVO, PAIRED, LOST);
	assert_true(w.nodes[BRAVO].stateless_gone);
	assert_true(w.nodes[BRAVO].epoch == 0);
	noted(BRAVO, "silent peer wait: an operator decides (hactl seed "
		     "--peer-is-down alpha)");
	seed(BRAVO);
	run(DISK);
	expect(BRAVO, ALONE, GONE);
	assert_true(w.nodes[BRAVO].own_right);
}

static void
R3_aborted_and_refused(void **state)
{
	(void)state;
	both_paired();
	daemon_end(ALPHA);
	aborted(BRAVO);
	expect(BRAVO, PAIRED, ALIVE);
	run(1);
	refused(BRAVO, CROSS);
	run(DISK);
	expect(BRAVO, ALONE, GONE);
	noted(BRAVO, "[R3] alpha is gone: association aborted by it, fresh "
		     "INIT refused on cross; its daemon is dead");
}

/* A forged ABORT, or one of a connection that is set up again. */
static void
R3_abort_alone_proves_nothing(void **state)
{
	(void)state;
	both_paired();
	aborted(BRAVO);
	run(500);
	expect(BRAVO, PAIRED, ALIVE);
	/* Long after: the abort does not count any more. */
	refused(BRAVO, CROSS);
	run(500);
	expect(BRAVO, PAIRED, ALIVE);
	/* Nor does a refusal alone. */
	refused(BRAVO, LAN);
	run(500);
	expect(BRAVO, PAIRED, ALIVE);
}

/* A heartbeat that was on its way when alpha died saves nobody. */
static void
R3_heartbeat_in_flight(void **state)
{
	(void)state;
	both_paired();
	aborted(BRAVO);
	heartbeat(ALPHA, LAN);
	daemon_end(ALPHA);
	run(1);
	refused(BRAVO, CROSS);
	run(DISK);
	expect(BRAVO, ALONE, GONE);
}

/* Frozen: the kernel answers.  Addresses may move first, data later. */
static void
R3_frozen(void **state)
{
	struct mb_event k = {.type = MB_EV_KERNEL_ALIVE};

	(void)state;
	both_paired();
	freeze(ALPHA);
	run(DEAD);
	k.u.kernel_alive.peer = ALPHA;
	step(BRAVO, k);
	expect(BRAVO, PAIRED, SILENT);
	assert_true(w.nodes[BRAVO].stateless_gone);
	run(TAKEOVER - DEAD + DISK);
	expect(BRAVO, ALONE, GONE);
	noted(BRAVO, "its daemon is silent, its kernel answers: frozen");
}

/* Frozen in jeopardy: the link works, so this is no cut. */
static void
R3_frozen_in_jeopardy(void **state)
{
	struct mb_event k = {.type = MB_EV_KERNEL_ALIVE};

	(void)state;
	both_paired();
	w.cut[ALPHA][CROSS] = w.cut[BRAVO][CROSS] = true;
	run(500);
	freeze(ALPHA);
	run(DEAD);
	k.u.kernel_alive.peer = ALPHA;
	step(BRAVO, k);
	run(TAKEOVER);
	expect(BRAVO, ALONE, GONE);
}

/* The restart of a daemon is seen before its death was. */
static void
R8_restarted(void **state)
{
	(void)state;
	both_paired();
	daemon_end(ALPHA);
	daemon_start(ALPHA);
	run(30);
	noted(BRAVO, "[R8] alpha is gone: its daemon restarted");
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 1);
	noted(BRAVO, "paired -> alone at epoch 1");
}

/* Nothing takes effect before the raised epoch is durable. */
static void
R8_durable_before_acting(void **state)
{
	(void)state;
	both_paired();
	w.nodes[BRAVO].disk_broken = true;
	daemon_end(ALPHA);
	run(TAKEOVER + 500);
	expect(BRAVO, PAIRED, SILENT);
	assert_true(w.nodes[BRAVO].epoch == 0);
	noted(BRAVO, "[R8] the record of epoch 1 cannot be written");
	w.nodes[BRAVO].disk_broken = false;
	run(1000);
	expect(BRAVO, ALONE, GONE);
	assert_true(w.nodes[BRAVO].alone_at_disk_epoch == 1);
}

/* Frozen, taken over from, thawed: it demotes itself and joins. */
static void
R8_thawed_late(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	run(500);
	expect(BRAVO, ALONE, GONE);
	thaw(ALPHA);
	/* Its question was answered at once: it has been taken over from. */
	expect(ALPHA, INERT, UNKNOWN);
	noted(ALPHA, "paired -> doubt");
	noted(ALPHA, "[R8] bravo has raised the epoch without us");
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 1);
}

/* Thawed in time: doubt, a question, an answer. */
static void
R8_thawed_in_time(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	run(LEASE + 20);
	w.ctl_cut = true;
	thaw(ALPHA);
	expect(ALPHA, DOUBT, ALIVE);
	run(30);
	expect(ALPHA, DOUBT, ALIVE);
	w.ctl_cut = false;
	run(2 * HEARTBEAT);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 0);
	noted(ALPHA, "[R8] bravo answers and has not acted meanwhile");
}

/* What was queued during the pause is not an answer. */
static void
R8_stale_queue_is_no_answer(void **state)
{
	struct node *b = &w.nodes[BRAVO];

	(void)state;
	both_paired();
	freeze(ALPHA);
	run(500);
	expect(BRAVO, ALONE, GONE);
	w.ctl_cut = true;
	thaw(ALPHA);
	step(ALPHA, (struct mb_event){.type = MB_EV_HEARD,
			.u.heard = {BRAVO, LAN, b->incarnation, 0}});
	expect(ALPHA, DOUBT, ALIVE);
	step(ALPHA, (struct mb_event){.type = MB_EV_HEARD,
			.u.heard = {BRAVO, LAN, b->incarnation, 1}});
	expect(ALPHA, INERT, UNKNOWN);
}

/* The answers are lost, the heartbeats are not. */
static void
R8_doubt_ends_by_heartbeats(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	run(LEASE + 20);
	w.ctl_cut = true;
	thaw(ALPHA);
	run(DEAD - 10);
	expect(ALPHA, DOUBT, ALIVE);
	run(HEARTBEAT + 10);
	expect(ALPHA, PAIRED, ALIVE);
}

static void
R8_short_gap_is_nothing(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	run(LEASE);
	thaw(ALPHA);
	expect(ALPHA, PAIRED, ALIVE);
}

/* The pause itself is not silence of the peer. */
static void
R8_gap_is_not_silence(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	freeze(BRAVO);
	run(5000);
	w.nodes[ALPHA].frozen = w.nodes[BRAVO].frozen = false;
	w.nodes[ALPHA].frozen = true;
	thaw(BRAVO);
	thaw(ALPHA);
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 0);
}

/* Silence after a short pause: the peer cannot have acted. */
static void
R8_thawed_to_silence_short(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	run(LEASE + 10);
	daemon_end(BRAVO);
	thaw(ALPHA);
	run(TAKEOVER + 2 * HEARTBEAT + DISK);
	expect(ALPHA, ALONE, GONE);
	assert_true(w.nodes[ALPHA].epoch == 1);
}

/* Silence after a long one: it may have, so nobody guesses. */
static void
R8_thawed_to_silence_long(void **state)
{
	(void)state;
	both_paired();
	freeze(ALPHA);
	run(1000);
	expect(BRAVO, ALONE, GONE);
	daemon_end(BRAVO);
	thaw(ALPHA);
	run(5000);
	expect(ALPHA, INERT, UNKNOWN);
	noted(ALPHA, "may have acted alone during the pause");
	seed(ALPHA);
	run(DISK);
	expect(ALPHA, ALONE, GONE);
}

/* Alone, a pause shorter than any operator changes nothing. */
static void
R8_thawed_alone(void **state)
{
	(void)state;
	bravo_alone();
	freeze(BRAVO);
	run(TAKEOVER);
	thaw(BRAVO);
	expect(BRAVO, ALONE, GONE);
	freeze(BRAVO);
	run(10000);
	thaw(BRAVO);
	expect(BRAVO, DOUBT, GONE);
	run(TAKEOVER);
	expect(BRAVO, ALONE, GONE);
	assert_true(w.nodes[BRAVO].disk.solo);
}

/* alpha was frozen alone, the operator seeded bravo: alpha gives up. */
static void
R8_seeded_meanwhile(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	run(10);
	seed(ALPHA);
	run(10);
	expect(ALPHA, ALONE, GONE);
	freeze(ALPHA);
	w.nodes[BRAVO].disk.epoch = 5;
	w.nodes[BRAVO].disk.node = BRAVO;
	strcpy(w.nodes[BRAVO].disk.cluster, "shop");
	w.nodes[BRAVO].has_disk = true;
	daemon_start(BRAVO);
	run(10);
	seed(BRAVO);
	run(1000);
	expect(BRAVO, ALONE, GONE);
	thaw(ALPHA);
	run(100);
	noted(ALPHA, "acted alone as well and has precedence");
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 6);
	assert_false(w.nodes[ALPHA].disk.solo);
}

/* All links cut at once with both alive: both act, one yields later. */
static void
R8_conflict(void **state)
{
	(void)state;
	both_paired();
	cut_both(true);
	run(1000);
	expect(ALPHA, ALONE, GONE);
	expect(BRAVO, ALONE, GONE);
	cut_both(false);
	run(200);
	/* Equal epochs: the higher id yields. */
	noted(BRAVO, "[R8] alpha acted alone as well and has precedence");
	noted(ALPHA, "[R8] bravo acted alone as well, at epoch 1");
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(strstr(w.nodes[ALPHA].notes, "alone -> inert") == NULL);
}

/* One-way loss: alpha is heard by nobody and hears it was replaced. */
static void
R8_one_way(void **state)
{
	(void)state;
	both_paired();
	w.cut[ALPHA][CROSS] = w.cut[ALPHA][LAN] = true;
	w.ctl_cut = true;
	run(TAKEOVER + DISK + HEARTBEAT);
	expect(BRAVO, ALONE, GONE);
	run(HEARTBEAT);
	expect(ALPHA, INERT, UNKNOWN);
	w.cut[ALPHA][CROSS] = w.cut[ALPHA][LAN] = w.ctl_cut = false;
	run(300);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
}

/* The envelope check saw a higher epoch. */
static void
R8_newer_epoch_seen(void **state)
{
	(void)state;
	both_paired();
	w.ctl_cut = true;
	step(ALPHA, (struct mb_event){
			.type = MB_EV_NEWER_EPOCH, .u.newer = {BRAVO, 3}});
	expect(ALPHA, INERT, UNKNOWN);
	assert_true(w.nodes[ALPHA].epoch == 0);
	run(DISK);
	assert_true(w.nodes[ALPHA].epoch == 3);
}

/* Own carrier lost everywhere: hand over, never take. */
static void
R9_isolated(void **state)
{
	(void)state;
	both_paired();
	carrier(ALPHA, CROSS, false);
	expect(ALPHA, PAIRED, ALIVE);
	carrier(ALPHA, LAN, false);
	cut_both(true);
	expect(ALPHA, ISOLATED, ALIVE);
	run(1000);
	expect(ALPHA, ISOLATED, ALIVE);
	expect(BRAVO, ALONE, GONE);
	cut_both(false);
	carrier(ALPHA, LAN, true);
	carrier(ALPHA, CROSS, true);
	run(200);
	expect(ALPHA, PAIRED, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 1);
}

/* The peer did not act meanwhile. */
static void
R9_isolated_briefly(void **state)
{
	(void)state;
	both_paired();
	carrier(ALPHA, CROSS, false);
	carrier(ALPHA, LAN, false);
	cut_both(true);
	run(50);
	cut_both(false);
	carrier(ALPHA, LAN, true);
	run(1);
	expect(ALPHA, PAIRED, ALIVE);
	assert_true(w.nodes[ALPHA].epoch == 0);
	noted(ALPHA, "[R9] carrier is back on lan");
}

/* With nobody to hand over to, a pulled cable changes nothing. */
static void
R9_alone_keeps(void **state)
{
	(void)state;
	bravo_alone();
	carrier(BRAVO, CROSS, false);
	carrier(BRAVO, LAN, false);
	run(1000);
	expect(BRAVO, ALONE, GONE);
}

static void
goodbye(void **state)
{
	(void)state;
	both_paired();
	step(ALPHA, (struct mb_event){.type = MB_EV_STOP});
	deliver();
	run(10);
	expect(ALPHA, STOPPING, ALIVE);
	expect(BRAVO, PAIRED, ALIVE);
	step(ALPHA, (struct mb_event){.type = MB_EV_STOPPED});
	deliver();
	run(DISK);
	expect(BRAVO, ALONE, LEFT);
	assert_true(w.nodes[ALPHA].done);
	assert_true(w.nodes[ALPHA].disk.clean);
	assert_false(w.nodes[ALPHA].disk.solo);
	assert_true(w.nodes[BRAVO].disk.solo);
	/* The refusals that follow mean nothing new. */
	daemon_end(ALPHA);
	aborted(BRAVO);
	refused(BRAVO, LAN);
	run(500);
	expect(BRAVO, ALONE, LEFT);
	daemon_start(ALPHA);
	run(100);
	expect(ALPHA, PAIRED, ALIVE);
}

/* Both stop one after the other: the last one may start alone. */
static void
goodbye_of_both(void **state)
{
	(void)state;
	goodbye(state);
	step(BRAVO, (struct mb_event){.type = MB_EV_STOP});
	step(BRAVO, (struct mb_event){.type = MB_EV_STOPPED});
	deliver();
	run(10);
	expect(ALPHA, ALONE, LEFT);
	step(ALPHA, (struct mb_event){.type = MB_EV_STOP});
	step(ALPHA, (struct mb_event){.type = MB_EV_STOPPED});
	run(10);
	assert_true(w.nodes[ALPHA].done && w.nodes[ALPHA].disk.solo);
	assert_false(w.nodes[BRAVO].disk.solo);
}

/* Bytes from outside are refused with a reason, whatever they are. */
static void
bad_messages(void **state)
{
	uint8_t good[64], b[64];
	static const struct {
		int at, value;
		const char *why;
	} cases[] = {
	    {0, 9, "unknown type"},
	    {1, 0, "unknown state"},
	    {1, 77, "unknown state"},
	    {2, 8, "unknown flags"},
	    {3, 1, "reserved bytes are not zero"},
	};

	(void)state;
	both_paired();
	seed(ALPHA);
	step(BRAVO, (struct mb_event){.type = MB_EV_STOP});
	assert_true(w.n_queue > 0);
	memcpy(good, w.queue[0].bytes, sizeof(good));
	w.n_queue = 0;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		memcpy(b, good, sizeof(b));
		b[cases[i].at] = (uint8_t)cases[i].value;
		step(ALPHA, (struct mb_event){
				.type = MB_EV_MSG, .u.msg = {BRAVO, b, 56}});
		noted(ALPHA, cases[i].why);
	}
	step(ALPHA,
	    (struct mb_event){.type = MB_EV_MSG, .u.msg = {BRAVO, good, 55}});
	noted(ALPHA, "wrong length");
	memset(good + 16, 0, 8);
	step(ALPHA,
	    (struct mb_event){.type = MB_EV_MSG, .u.msg = {BRAVO, good, 56}});
	noted(ALPHA, "no incarnation");
	expect(ALPHA, PAIRED, ALIVE);
}

static void
forecast(void **state)
{
	struct mb_forecast f;

	(void)state;
	daemon_start(BRAVO);
	run(10);
	mb_forecast(w.nodes[BRAVO].mb, at(w.now), ALPHA, &f);
	assert_int_equal(f.fate, MB_FATE_NOBODY);
	daemon_end(BRAVO);
	both_paired();
	mb_forecast(w.nodes[BRAVO].mb, at(w.now), ALPHA, &f);
	assert_int_equal(f.fate, MB_FATE_TAKEN);
	assert_int_equal(f.ms, TAKEOVER);
	assert_int_equal(f.crash_ms, HEARTBEAT);
	assert_string_equal(f.rule, "R3");
	w.cut[ALPHA][CROSS] = true;
	run(500);
	mb_forecast(w.nodes[BRAVO].mb, at(w.now), ALPHA, &f);
	assert_int_equal(f.fate, MB_FATE_OPERATOR);
	assert_string_equal(f.rule, "R2");
	daemon_end(ALPHA);
	daemon_end(BRAVO);
	memset(&w, 0, sizeof(w));
	w.wait = true;
	both_paired();
	mb_forecast(w.nodes[BRAVO].mb, at(w.now), ALPHA, &f);
	assert_int_equal(f.fate, MB_FATE_OPERATOR);
	assert_string_equal(f.rule, "R3");
	assert_string_equal(f.text, "silent peer wait: an operator decides");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(R1_peer_seen),
	    T(R1_seed),
	    T(R1_seed_refused),
	    T(R1_solo),
	    T(R1_solo_refused_is_at_once),
	    T(R1_solo_ends_with_pairing),
	    T(R1_solo_restored),
	    T(R1_no_peer_configured),
	    T(R2_jeopardy),
	    T(R2_link_down),
	    T(R2_crash_in_jeopardy),
	    T(R3_takeover),
	    T(R3_wait),
	    T(R3_aborted_and_refused),
	    T(R3_abort_alone_proves_nothing),
	    T(R3_heartbeat_in_flight),
	    T(R3_frozen),
	    T(R3_frozen_in_jeopardy),
	    T(R8_restarted),
	    T(R8_durable_before_acting),
	    T(R8_thawed_late),
	    T(R8_thawed_in_time),
	    T(R8_stale_queue_is_no_answer),
	    T(R8_doubt_ends_by_heartbeats),
	    T(R8_short_gap_is_nothing),
	    T(R8_gap_is_not_silence),
	    T(R8_thawed_to_silence_short),
	    T(R8_thawed_to_silence_long),
	    T(R8_thawed_alone),
	    T(R8_seeded_meanwhile),
	    T(R8_conflict),
	    T(R8_one_way),
	    T(R8_newer_epoch_seen),
	    T(R9_isolated),
	    T(R9_isolated_briefly),
	    T(R9_alone_keeps),
	    T(goodbye),
	    T(goodbye_of_both),
	    T(bad_messages),
	    T(forecast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
