/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services as transcripts: alpha (1) and bravo (2), two cores joined by a
 * queue of messages, time in virtual milliseconds.  Service 0 "shop" prefers
 * alpha: volume, mount, command with a status, address, and a check.  Service
 * 1 "web" is an address without data.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc.h"

enum { ALPHA = 1, BRAVO = 2, SHOP = 0, WEB = 1 };
enum { VOLUME, MOUNT, COMMAND, ADDRESS, N_STEPS };

struct job {
	bool used, cancelled;
	uint16_t service;
	uint8_t step;
	enum svc_action action;
	uint32_t token;
	int due; /* -1 = never by itself */
};

struct node {
	struct svc *svc; /* owned */
	uint8_t id;
	monotime_t timer;
	struct svc_view view;
	struct job jobs[8];
	/* What goes wrong: result by step and action; -1 = never ends. */
	int result[N_STEPS + 1][SVC_ACTION_N];
	int took_ms;
	bool ignores_cancel;
	enum svc_state state[2];
	bool clean, told_stopped;
	int replies, code;
	char reply[4096];
	char log[8192]; /* what was done, in order */
	char notes[16384];
};

struct packet {
	uint8_t to, from;
	uint8_t bytes[1024];
	size_t len;
};

static struct world {
	struct conf conf;
	struct node nodes[3];
	int now;
	bool deaf;
	struct packet queue[64];
	unsigned n_queue;
	uint32_t random; /* of the swarm; 0 = off */
} w;

static monotime_t
at(int ms)
{
	return (monotime_t){(int64_t)(ms + 1000) * 1000};
}

static uint32_t
rnd(uint32_t below)
{
	w.random ^= w.random << 13;
	w.random ^= w.random >> 17;
	w.random ^= w.random << 5;
	return w.random % below;
}

static void
add(char *buf, size_t size, const char *fmt, ...)
{
	size_t used = strlen(buf);
	va_list ap;

	if (used + 300 > size)
		buf[used = 0] = '\0';
	va_start(ap, fmt);
	vsnprintf(buf + used, size - used, fmt, ap);
	va_end(ap);
}

static void
op_step(void *ctx, uint16_t service, uint8_t step, enum svc_action action,
    uint32_t token)
{
	struct node *n = ctx;
	unsigned row = step == SVC_STEP_CHECK ? N_STEPS : step;
	int i = 0;

	add(n->log, sizeof(n->log), "%s%u ", svc_action_name(action), row);
	while (n->jobs[i].used)
		assert_true(++i < 8);
	n->jobs[i] = (struct job){.used = true,
	    .service = service,
	    .step = step,
	    .action = action,
	    .token = token,
	    .due = w.now + n->took_ms};
	if (n->result[row][action] == -1)
		n->jobs[i].due = -1;
}

static void
op_cancel(void *ctx, uint16_t service, uint8_t step, uint32_t token)
{
	struct node *n = ctx;

	(void)service;
	(void)step;
	for (int i = 0; i < 8; i++) {
		if (!n->jobs[i].used || n->jobs[i].token != token)
			continue;
		assert_false(n->jobs[i].cancelled);
		n->jobs[i].cancelled = true;
		if (!n->ignores_cancel)
			n->jobs[i].due = w.now + 1;
		add(n->log, sizeof(n->log), "cancel ");
		return;
	}
	fail();
}

static void
op_send(void *ctx, uint8_t to, const uint8_t *bytes, size_t len)
{
	struct node *n = ctx;
	struct packet *p;

	if (w.deaf || (w.random != 0 && rnd(20) == 0))
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
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	struct node *n = ctx;
	const char *line;

	if (level == HAD_DEBUG)
		return;
	line = n->notes + strlen(n->notes);
	add(n->notes, sizeof(n->notes), "%d %s [%s] %s\n", w.now, object, rule,
	    text);
	if (getenv("VERBOSE") != NULL)
		fprintf(stderr, "%u: %s", n->id, line);
}

static void
op_reply(void *ctx, uint64_t token, int code, const char *text)
{
	struct node *n = ctx;

	assert_int_equal(token, 77);
	n->replies++;
	n->code = code;
	snprintf(n->reply, sizeof(n->reply), "%s", text);
}

static void
op_state(void *ctx, uint16_t service, enum svc_state old, enum svc_state new,
    const char *reason)
{
	struct node *n = ctx;

	assert_int_equal(n->state[service], old);
	assert_true(reason[0] != '\0');
	n->state[service] = new;
	if (getenv("VERBOSE") != NULL)
		fprintf(stderr, "%u: %d %s: %s -> %s: %s\n", n->id, w.now,
		    w.conf.services[service].name, svc_state_name(old),
		    svc_state_name(new), reason);
}

static void
op_stopped(void *ctx, bool clean)
{
	struct node *n = ctx;

	assert_false(n->told_stopped);
	n->told_stopped = true;
	n->clean = clean;
}

static const struct svc_ops ops = {op_step, op_cancel, op_send, op_timer,
    op_note, op_reply, op_state, op_stopped};

static void
step(uint8_t id, struct svc_event e)
{
	if (w.nodes[id].svc == NULL)
		return;
	e.now = at(w.now);
	svc_step(w.nodes[id].svc, &e);
}

/* Up to a bound per millisecond: messages that breed for ever are a bug. */
static void
deliver(void)
{
	for (unsigned i = 0; i < w.n_queue; i++) {
		struct packet p = w.queue[i];

		assert_true(i < 60);
		step(p.to, (struct svc_event){.type = SVC_EV_MSG,
			       .u.msg = {p.from, p.bytes, p.len}});
	}
	w.n_queue = 0;
}

static void
finish(struct node *n, struct job *j)
{
	unsigned row = j->step == SVC_STEP_CHECK ? N_STEPS : j->step;
	struct svc_event e = {.type = SVC_EV_STEP_DONE};

	e.u.done.service = j->service;
	e.u.done.step = j->step;
	e.u.done.action = j->action;
	e.u.done.token = j->token;
	e.u.done.result = SVC_RES_OK;
	if (j->cancelled)
		e.u.done.result = SVC_RES_TIMEOUT;
	else if (n->result[row][j->action] > 0 && j->service == SHOP)
		e.u.done.result = SVC_RES_FAILED;
	e.u.done.text = e.u.done.result == SVC_RES_FAILED ? "exit 1" : "";
	j->used = false;
	step(n->id, e);
	deliver();
}

static void
run(int ms)
{
	for (int end = w.now + ms; w.now < end;) {
		w.now++;
		for (uint8_t id = ALPHA; id <= BRAVO; id++) {
			struct node *n = &w.nodes[id];

			for (int i = 0; i < 8; i++)
				if (n->jobs[i].used && n->jobs[i].due >= 0 &&
				    n->jobs[i].due <= w.now)
					finish(n, &n->jobs[i]);
			for (int i = 0;
			     n->svc != NULL && !mt_before(at(w.now), n->timer);
			     i++) {
				assert_true(i < 5);
				n->timer = MT_NEVER;
				step(id,
				    (struct svc_event){.type = SVC_EV_TIMER});
				deliver();
			}
		}
	}
}

/* Membership as the transcripts need it. */
static void
view(uint8_t id, enum svc_right right, char peer)
{
	struct svc_event e = {.type = SVC_EV_VIEW};
	nodeset_t set = NODESET(3 - id);

	e.u.view.right = right;
	e.u.view.epoch = 1;
	e.u.view.own_right = w.nodes[id].view.own_right;
	if (peer == 'a')
		e.u.view.alive = set;
	if (peer == 's')
		e.u.view.silent = set;
	if (peer == 'f') /* frozen: silent, addresses may move */
		e.u.view.silent = e.u.view.stateless_gone = set;
	if (peer == 'l')
		e.u.view.lost = set;
	if (peer == 'g')
		e.u.view.gone = set;
	w.nodes[id].view = e.u.view;
	step(id, e);
	deliver();
}

static void
volume(uint8_t id, bool can, bool uptodate, bool met)
{
	step(id, (struct svc_event){.type = SVC_EV_VOLUME,
		     .u.volume = {0, can, uptodate, met}});
	deliver();
}

static void
daemon_start(uint8_t id)
{
	struct node *n = &w.nodes[id];

	assert_null(n->svc);
	n->id = id;
	n->timer = MT_NEVER;
	n->svc = svc_new(&w.conf, id, &ops, n);
	step(id, (struct svc_event){.type = SVC_EV_START});
}

static void
daemon_end(uint8_t id)
{
	struct node *n = &w.nodes[id];

	svc_free(n->svc);
	memset(n, 0, sizeof(*n));
	n->took_ms = 1;
}

static void
op(uint8_t id, struct svc_event e)
{
	e.type = SVC_EV_OP;
	e.u.op.token = 77;
	w.nodes[id].replies = 0;
	w.nodes[id].reply[0] = '\0';
	step(id, e);
	deliver();
}

static void
takeover(uint8_t id, int service, bool dry_run)
{
	op(id, (struct svc_event){.u.op = {.op = SVC_OP_TAKEOVER,
				      .service = service,
				      .dry_run = dry_run}});
}

static void
standby(uint8_t id, uint8_t node, bool force)
{
	op(id,
	    (struct svc_event){
		.u.op = {.op = SVC_OP_STANDBY, .node = node, .force = force}});
}

static void
expect_(uint8_t id, int service, enum svc_state state, int line)
{
	const struct node *n = &w.nodes[id];

	if (n->state[service] == state)
		return;
	fprintf(stderr, "line %d, node %u, service %d: %s; expected %s\n%s\n%s",
	    line, id, service, svc_state_name(n->state[service]),
	    svc_state_name(state), n->notes, n->log);
	fail();
}
#define expect(id, service, state) expect_(id, service, SVC_##state, __LINE__)

static void
contains(const char *hay, const char *needle)
{
	if (strstr(hay, needle) == NULL) {
		fprintf(stderr, "missing '%s' in\n%s\n", needle, hay);
		fail();
	}
}

static void
config(void)
{
	struct conf *c = &w.conf;
	struct conf_service *s = &c->services[SHOP];

	strcpy(c->nodes[0].name, "alpha");
	strcpy(c->nodes[1].name, "bravo");
	c->nodes[0].id = ALPHA;
	c->nodes[1].id = BRAVO;
	c->n_nodes = 2;
	c->n_volumes = 1;
	strcpy(c->volumes[0].name, "orders");
	c->n_addresses = 2;
	strcpy(c->addresses[0].name, "shop");
	strcpy(c->addresses[1].name, "web");
	c->n_services = 2;
	strcpy(s->name, "shop");
	s->prefer = ALPHA;
	s->data = true;
	s->n_steps = N_STEPS;
	s->steps[VOLUME].type = CONF_STEP_VOLUME;
	s->steps[MOUNT].type = CONF_STEP_MOUNT;
	strcpy(s->steps[MOUNT].dir, "/srv");
	s->steps[COMMAND].type = CONF_STEP_COMMAND;
	strcpy(s->steps[COMMAND].name, "server");
	strcpy(s->steps[COMMAND].status, "status");
	s->steps[ADDRESS].type = CONF_STEP_ADDRESS;
	for (int i = 0; i < N_STEPS; i++)
		s->steps[i].timeout_ms = 1000;
	strcpy(s->check, "check");
	s->check_every_ms = 2000;
	s->check_timeout_ms = 500;
	s = &c->services[WEB];
	strcpy(s->name, "web");
	s->n_steps = 1;
	s->steps[0].type = CONF_STEP_ADDRESS;
	s->steps[0].ref = 1;
	s->steps[0].timeout_ms = 1000;
}

static int
setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	config();
	w.nodes[ALPHA].took_ms = w.nodes[BRAVO].took_ms = 1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	svc_free(w.nodes[ALPHA].svc);
	svc_free(w.nodes[BRAVO].svc);
	return 0;
}

static void
pair(void)
{
	daemon_start(ALPHA);
	daemon_start(BRAVO);
	run(10);
	volume(ALPHA, true, true, true);
	volume(BRAVO, true, true, true);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
}

/* shop runs on alpha, logs are empty. */
static void
shop_on_alpha(void)
{
	pair();
	run(100);
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
	w.nodes[ALPHA].log[0] = w.nodes[BRAVO].log[0] = '\0';
	w.nodes[ALPHA].notes[0] = w.nodes[BRAVO].notes[0] = '\0';
}

static void
leftovers_are_cleaned_first(void **state)
{
	(void)state;
	w.nodes[ALPHA].view.own_right = true;
	daemon_start(ALPHA);
	volume(ALPHA, true, true, false);
	/* Entitled at once: it cleans nevertheless. */
	view(ALPHA, SVC_RIGHT_ALONE, 'g');
	expect(ALPHA, SHOP, CLEANING);
	run(3);
	expect(ALPHA, SHOP, CLEANING);
	run(20);
	expect(ALPHA, SHOP, RUNNING);
	contains(w.nodes[ALPHA].log, "clean3 clean0 clean2 ");
	contains(w.nodes[ALPHA].log, "clean0 start0 start1 start2 start3 ");
}

static void
leftovers_that_stay_block(void **state)
{
	(void)state;
	w.nodes[ALPHA].result[MOUNT][SVC_DO_CLEAN] = 1;
	pair();
	run(100);
	expect(ALPHA, SHOP, FAILED);
	/* alpha may still have it mounted: bravo must not start it. */
	expect(BRAVO, SHOP, STOPPED);
	contains(w.nodes[ALPHA].notes, "[R12] will not stop on alpha: exit 1");
	w.nodes[ALPHA].result[MOUNT][SVC_DO_CLEAN] = 0;
	run(5000);
	expect(ALPHA, SHOP, RUNNING);
}

static void
inert_runs_nothing(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	volume(ALPHA, true, true, true);
	view(ALPHA, SVC_RIGHT_NONE, '-');
	run(5000);
	expect(ALPHA, SHOP, STOPPED);
	expect(ALPHA, WEB, STOPPED);
}

static void
ordered_start_on_the_preferred_node(void **state)
{
	(void)state;
	pair();
	run(100);
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
	/* web has no preference: the lower id. */
	expect(ALPHA, WEB, RUNNING);
	expect(BRAVO, WEB, STOPPED);
	contains(w.nodes[ALPHA].log, "start1 start2 start3 ");
}

static void
volumes_decide(void **state)
{
	(void)state;
	pair();
	volume(ALPHA, true, false, true);
	volume(BRAVO, true, true, true);
	daemon_end(ALPHA);
	daemon_end(BRAVO);
	daemon_start(ALPHA);
	daemon_start(BRAVO);
	run(10);
	volume(ALPHA, true, false, true);
	volume(BRAVO, true, true, true);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	run(2000);
	/* bravo's copy is complete, alpha's is not. */
	expect(BRAVO, SHOP, RUNNING);
	expect(ALPHA, SHOP, STOPPED);
}

/* The preferred node is a moment late: it still gets the service. */
static void
preferred_node_is_waited_for(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	daemon_start(BRAVO);
	run(10);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	volume(BRAVO, true, true, true);
	run(500);
	expect(BRAVO, SHOP, STOPPED);
	volume(ALPHA, true, true, true);
	run(50);
	expect(ALPHA, SHOP, RUNNING);
}

static void
preferred_node_is_not_waited_for_long(void **state)
{
	(void)state;
	daemon_start(ALPHA);
	daemon_start(BRAVO);
	run(10);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	volume(BRAVO, true, true, true);
	run(1100);
	expect(BRAVO, SHOP, RUNNING);
	volume(ALPHA, true, true, true);
	run(5000);
	/* R10: no failback. */
	expect(BRAVO, SHOP, RUNNING);
	expect(ALPHA, SHOP, STOPPED);
}

/* Amnesia: a copy that was not compared since the start is not used. */
static void
R1_stale_copy_is_not_used(void **state)
{
	char why[96];
	uint32_t ms;

	(void)state;
	daemon_start(ALPHA);
	run(10);
	volume(ALPHA, true, true, false);
	view(ALPHA, SVC_RIGHT_ALONE, 'g');
	run(5000);
	expect(ALPHA, SHOP, STOPPED);
	/* What has no data runs. */
	expect(ALPHA, WEB, RUNNING);
	assert_int_equal(svc_forecast(w.nodes[ALPHA].svc, SHOP, BRAVO, &ms, why,
			     sizeof(why)),
	    0);
	assert_string_equal(
	    why, "volume orders was not compared with the peer's copy yet");
	/* The operator seeds it: its own right. */
	w.nodes[ALPHA].view.own_right = true;
	view(ALPHA, SVC_RIGHT_ALONE, 'g');
	run(50);
	expect(ALPHA, SHOP, RUNNING);
}

static void
R8_alone_takes_over(void **state)
{
	(void)state;
	shop_on_alpha();
	view(BRAVO, SVC_RIGHT_PAIRED, 's');
	run(1000);
	expect(BRAVO, SHOP, STOPPED);
	daemon_end(ALPHA);
	view(BRAVO, SVC_RIGHT_ALONE, 'g');
	run(10);
	expect(BRAVO, SHOP, RUNNING);
	expect(BRAVO, WEB, RUNNING);
}

static void
R8_demoted_stops_everything(void **state)
{
	(void)state;
	shop_on_alpha();
	view(ALPHA, SVC_RIGHT_DOUBT, 'a');
	run(100);
	expect(ALPHA, SHOP, RUNNING);
	view(ALPHA, SVC_RIGHT_NONE, '-');
	expect(ALPHA, SHOP, STOPPING);
	run(20);
	expect(ALPHA, SHOP, STOPPED);
	contains(w.nodes[ALPHA].log, "stop3 stop0 stop2 stop1 stop0 ");
	contains(w.nodes[ALPHA].notes, "[R8] stopped on alpha: this node may "
				       "not run anything");
}

/* In doubt a start pauses between two steps, and goes on afterwards. */
static void
R8_doubt_pauses_a_start(void **state)
{
	(void)state;
	w.nodes[ALPHA].took_ms = 20;
	pair();
	run(110);
	expect(ALPHA, SHOP, STARTING);
	view(ALPHA, SVC_RIGHT_DOUBT, 'a');
	run(2000);
	expect(ALPHA, SHOP, STARTING);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	run(100);
	expect(ALPHA, SHOP, RUNNING);
}

static void
R2_lost_keeps_and_takes_nothing(void **state)
{
	(void)state;
	shop_on_alpha();
	w.deaf = true;
	view(ALPHA, SVC_RIGHT_PAIRED, 'l');
	view(BRAVO, SVC_RIGHT_PAIRED, 'l');
	run(60000);
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
	w.deaf = false;
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	run(2000);
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
}

/* A frozen peer: what has no data moves first, the thawed one yields. */
static void
R3_stateless_moves_early(void **state)
{
	(void)state;
	shop_on_alpha();
	w.deaf = true;
	view(BRAVO, SVC_RIGHT_PAIRED, 'f');
	run(20);
	expect(BRAVO, WEB, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
	w.deaf = false;
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	run(600);
	expect(BRAVO, WEB, RUNNING);
	expect(ALPHA, WEB, STOPPED);
	expect(ALPHA, SHOP, RUNNING);
	contains(w.nodes[ALPHA].notes, "the peer runs it as well and took it "
				       "later");
}

static void
R9_isolated_hands_over(void **state)
{
	(void)state;
	shop_on_alpha();
	view(ALPHA, SVC_RIGHT_ISOLATED, 'a');
	run(20);
	expect(ALPHA, SHOP, STOPPED);
	expect(ALPHA, WEB, STOPPED);
	contains(w.nodes[ALPHA].notes, "[R9] stopped on alpha: this node is "
				       "isolated");
}

/* The LAN port is down here and not there: the service moves at once. */
static void
R9_address_without_carrier(void **state)
{
	struct svc_event e = {.type = SVC_EV_ADDRESS};

	(void)state;
	shop_on_alpha();
	step(ALPHA, e);
	deliver();
	run(20);
	expect(ALPHA, SHOP, STOPPED);
	expect(BRAVO, SHOP, RUNNING);
	expect(ALPHA, WEB, RUNNING);
	contains(w.nodes[ALPHA].notes, "[R9] stopped on alpha: no carrier for "
				       "its address here: hand over");
}

/* Both ports are down: nobody is better off, nothing moves. */
static void
R9_no_carrier_anywhere(void **state)
{
	struct svc_event e = {.type = SVC_EV_ADDRESS};

	(void)state;
	shop_on_alpha();
	step(BRAVO, e);
	deliver();
	step(ALPHA, e);
	deliver();
	run(5000);
	expect(ALPHA, SHOP, RUNNING);
}

static void
R10_no_failback(void **state)
{
	(void)state;
	shop_on_alpha();
	daemon_end(ALPHA);
	view(BRAVO, SVC_RIGHT_ALONE, 'g');
	run(50);
	expect(BRAVO, SHOP, RUNNING);
	daemon_start(ALPHA);
	run(10);
	volume(ALPHA, true, true, true);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	run(5000);
	expect(BRAVO, SHOP, RUNNING);
	expect(ALPHA, SHOP, STOPPED);
}

static void
R10_failback_when_configured(void **state)
{
	(void)state;
	w.conf.services[SHOP].failback = true;
	shop_on_alpha();
	daemon_end(ALPHA);
	view(BRAVO, SVC_RIGHT_ALONE, 'g');
	run(50);
	daemon_start(ALPHA);
	run(10);
	volume(ALPHA, true, false, true);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	run(2000);
	/* Not before its copy is complete. */
	expect(BRAVO, SHOP, RUNNING);
	volume(ALPHA, true, true, true);
	run(100);
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
	contains(w.nodes[BRAVO].notes, "[R10] stopped on bravo: failback");
}

static void
R11_failed_check_restarts_then_moves(void **state)
{
	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[N_STEPS][SVC_DO_STATUS] = 1;
	run(2010);
	contains(w.nodes[ALPHA].notes, "[R11] check failed on alpha: exit 1; "
				       "started again");
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
	run(2100);
	contains(w.nodes[ALPHA].notes, "this node is given up");
	expect(ALPHA, SHOP, STOPPED);
	expect(BRAVO, SHOP, RUNNING);
	/* And it stays there. */
	w.nodes[ALPHA].result[N_STEPS][SVC_DO_STATUS] = 0;
	run(700 * 1000);
	expect(BRAVO, SHOP, RUNNING);
}

/* With nobody to move to, it is tried here again at growing intervals. */
static void
R11_failed_check_alone(void **state)
{
	(void)state;
	w.nodes[ALPHA].view.own_right = true;
	daemon_start(ALPHA);
	run(10);
	volume(ALPHA, true, true, true);
	view(ALPHA, SVC_RIGHT_ALONE, 'g');
	run(50);
	expect(ALPHA, SHOP, RUNNING);
	w.nodes[ALPHA].result[COMMAND][SVC_DO_STATUS] = 1;
	run(5000);
	expect(ALPHA, SHOP, STOPPED);
	w.nodes[ALPHA].result[COMMAND][SVC_DO_STATUS] = 0;
	run(5000);
	expect(ALPHA, SHOP, RUNNING);
}

static void
R11_late_check_degrades(void **state)
{
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[N_STEPS][SVC_DO_STATUS] = -1;
	run(10000);
	expect(ALPHA, SHOP, RUNNING);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_true(st.services[SHOP].degraded);
	contains(w.nodes[ALPHA].notes, "[R11] a check on alpha did not answer "
				       "in time: degraded, nothing moves");
	w.nodes[ALPHA].result[N_STEPS][SVC_DO_STATUS] = 0;
	run(5000);
	svc_status(w.nodes[ALPHA].svc, &st);
	assert_false(st.services[SHOP].degraded);
	contains(w.nodes[ALPHA].notes, "answers its checks again");
}

static void
failed_start_rolls_back_and_the_peer_tries(void **state)
{
	(void)state;
	w.nodes[ALPHA].result[COMMAND][SVC_DO_START] = 1;
	pair();
	run(100);
	contains(w.nodes[ALPHA].log, "start2 stop2 stop1 stop0 ");
	contains(w.nodes[ALPHA].notes, "start failed on alpha at step 3: exit "
				       "1; rolled back");
	expect(ALPHA, SHOP, STOPPED);
	expect(BRAVO, SHOP, RUNNING);
}

static void
failed_start_on_both_is_tried_slowly(void **state)
{
	int starts = 0;

	(void)state;
	w.nodes[ALPHA].result[COMMAND][SVC_DO_START] = 1;
	w.nodes[BRAVO].result[COMMAND][SVC_DO_START] = 1;
	pair();
	run(120 * 1000);
	for (uint8_t id = ALPHA; id <= BRAVO; id++)
		for (const char *p = w.nodes[id].log;
		     (p = strstr(p, "start2 ")) != NULL; p++)
			starts++;
	/* R15: 5, 10, 20, 40, 60 seconds apart on each. */
	assert_in_range(starts, 6, 14);
	w.nodes[BRAVO].result[COMMAND][SVC_DO_START] = 0;
	run(130 * 1000);
	expect(BRAVO, SHOP, RUNNING);
	expect(ALPHA, SHOP, STOPPED);
}

static void
late_start_is_cancelled(void **state)
{
	(void)state;
	w.nodes[ALPHA].result[COMMAND][SVC_DO_START] = -1;
	pair();
	run(1000);
	expect(ALPHA, SHOP, STARTING);
	run(100);
	contains(w.nodes[ALPHA].log, "start2 ");
	contains(w.nodes[ALPHA].log, "cancel stop2 stop1 stop0 ");
	contains(w.nodes[ALPHA].notes, "at step 3: timed out; rolled back");
	expect(BRAVO, SHOP, RUNNING);
}

/* Not even the cancellation is answered: the core goes on, once. */
static void
late_cancel_is_not_waited_for(void **state)
{
	(void)state;
	w.nodes[ALPHA].result[COMMAND][SVC_DO_START] = -1;
	w.nodes[ALPHA].ignores_cancel = true;
	pair();
	run(5900);
	expect(ALPHA, SHOP, STARTING);
	run(300);
	expect(ALPHA, SHOP, STOPPED);
	expect(BRAVO, SHOP, RUNNING);
	/* The answer comes at last; it has an old token. */
	for (int i = 0; i < 8; i++)
		if (w.nodes[ALPHA].jobs[i].used &&
		    w.nodes[ALPHA].jobs[i].due == -1)
			w.nodes[ALPHA].jobs[i].due = w.now;
	run(10);
	expect(ALPHA, SHOP, STOPPED);
}

static void
R12_users_are_killed(void **state)
{
	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = 1;
	view(ALPHA, SVC_RIGHT_NONE, '-');
	run(4);
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = 0;
	run(20);
	contains(w.nodes[ALPHA].log, "stop1 kill1 stop1 stop0 ");
	expect(ALPHA, SHOP, STOPPED);
}

static void
R12_nothing_starts_elsewhere(void **state)
{
	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = 1;
	takeover(BRAVO, SHOP, false);
	run(100);
	expect(ALPHA, SHOP, FAILED);
	expect(BRAVO, SHOP, STOPPED);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
	assert_int_equal(w.nodes[BRAVO].code, 1);
	contains(w.nodes[BRAVO].reply, "shop: will not stop: exit 1");
	run(4000);
	expect(BRAVO, SHOP, STOPPED);
	/* A second takeover is refused with the reason. */
	takeover(BRAVO, SHOP, false);
	contains(w.nodes[BRAVO].reply, "it is failed on alpha");
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = 0;
	run(2000);
	/* Stopped at last: it runs again, where it was. */
	expect(ALPHA, SHOP, RUNNING);
}

static void
takeover_moves(void **state)
{
	(void)state;
	shop_on_alpha();
	takeover(BRAVO, SHOP, false);
	assert_int_equal(w.nodes[BRAVO].replies, 0);
	run(20);
	expect(ALPHA, SHOP, STOPPED);
	expect(BRAVO, SHOP, RUNNING);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
	assert_int_equal(w.nodes[BRAVO].code, 0);
	contains(w.nodes[BRAVO].reply, "shop: runs on bravo, moved in 8 ms");
	contains(w.nodes[ALPHA].log, "stop3 stop2 stop1 stop0 ");
	contains(w.nodes[BRAVO].log, "start0 start1 start2 start3 ");
	run(5000);
	expect(BRAVO, SHOP, RUNNING);
}

static void
takeover_all(void **state)
{
	(void)state;
	shop_on_alpha();
	takeover(BRAVO, -1, false);
	run(20);
	expect(BRAVO, SHOP, RUNNING);
	expect(BRAVO, WEB, RUNNING);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
	contains(w.nodes[BRAVO].reply, "web: runs on bravo");
	contains(w.nodes[BRAVO].reply, "shop: runs on bravo");
	takeover(BRAVO, -1, false);
	assert_string_equal(w.nodes[BRAVO].reply,
	    "no service that runs elsewhere can run here");
}

static void
takeover_that_fails_goes_back(void **state)
{
	(void)state;
	shop_on_alpha();
	w.nodes[BRAVO].result[ADDRESS][SVC_DO_START] = 1;
	takeover(BRAVO, SHOP, false);
	run(50);
	assert_int_equal(w.nodes[BRAVO].code, 1);
	contains(w.nodes[BRAVO].reply, "shop: failed here: exit 1");
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
}

static void
takeover_of_a_peer_that_dies(void **state)
{
	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = -1;
	takeover(BRAVO, SHOP, false);
	run(10);
	expect(BRAVO, SHOP, PULLING);
	daemon_end(ALPHA);
	view(BRAVO, SVC_RIGHT_ALONE, 'g');
	run(10);
	expect(BRAVO, SHOP, RUNNING);
	assert_int_equal(w.nodes[BRAVO].code, 0);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
}

static void
takeover_is_refused_with_a_reason(void **state)
{
	(void)state;
	shop_on_alpha();
	takeover(ALPHA, SHOP, false);
	assert_string_equal(w.nodes[ALPHA].reply, "it runs here already");
	assert_int_equal(w.nodes[ALPHA].code, 1);
	takeover(ALPHA, 9, false);
	assert_string_equal(w.nodes[ALPHA].reply, "there is no such service");
	volume(BRAVO, false, false, true);
	takeover(BRAVO, SHOP, false);
	contains(w.nodes[BRAVO].reply,
	    "cannot run here: volume orders cannot become primary");
	volume(BRAVO, true, true, true);
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = -1;
	takeover(BRAVO, SHOP, false);
	takeover(BRAVO, SHOP, false);
	assert_string_equal(
	    w.nodes[BRAVO].reply, "another request is under way");
	view(BRAVO, SVC_RIGHT_PAIRED, 'l');
	takeover(BRAVO, WEB, false);
	contains(w.nodes[BRAVO].reply, "has no peer to take it from");
	standby(BRAVO, BRAVO, false);
	takeover(BRAVO, WEB, false);
	contains(w.nodes[BRAVO].reply, "this node is standby");
}

static void
takeover_dry_run(void **state)
{
	(void)state;
	shop_on_alpha();
	takeover(BRAVO, SHOP, true);
	assert_int_equal(w.nodes[BRAVO].code, 0);
	assert_string_equal(w.nodes[BRAVO].reply,
	    "alpha: stop address shop\n"
	    "alpha: stop command server\n"
	    "alpha: stop mount /srv\n"
	    "alpha: stop volume orders\n"
	    "bravo: start volume orders\n"
	    "bravo: start mount /srv\n"
	    "bravo: start command server\n"
	    "bravo: start address shop\n"
	    "shop: expected interruption not measured yet; the deadlines "
	    "allow 8000 ms\n");
	run(1000);
	expect(ALPHA, SHOP, RUNNING);
	/* Once both ways were measured it knows better. */
	takeover(BRAVO, SHOP, false);
	run(100);
	takeover(ALPHA, SHOP, false);
	run(100);
	takeover(BRAVO, SHOP, true);
	contains(w.nodes[BRAVO].reply,
	    "shop: expected interruption about 8 ms, as last time\n");
}

static void
standby_drains(void **state)
{
	struct svc_status st;

	(void)state;
	shop_on_alpha();
	standby(ALPHA, ALPHA, false);
	run(30);
	assert_int_equal(w.nodes[ALPHA].replies, 1);
	assert_int_equal(w.nodes[ALPHA].code, 0);
	expect(BRAVO, SHOP, RUNNING);
	expect(BRAVO, WEB, RUNNING);
	svc_status(w.nodes[BRAVO].svc, &st);
	assert_int_equal(st.standby, NODESET(ALPHA));
	assert_int_equal(st.services[SHOP].on, BRAVO);
	/* It takes nothing back, not even from a dead peer. */
	daemon_end(BRAVO);
	view(ALPHA, SVC_RIGHT_ALONE, 'g');
	run(1000);
	expect(ALPHA, SHOP, STOPPED);
	op(ALPHA,
	    (struct svc_event){.u.op = {.op = SVC_OP_ONLINE, .node = ALPHA}});
	assert_string_equal(w.nodes[ALPHA].reply, "online");
	run(20);
	expect(ALPHA, SHOP, RUNNING);
}

static void
standby_of_the_peer(void **state)
{
	(void)state;
	shop_on_alpha();
	standby(BRAVO, ALPHA, false);
	run(30);
	assert_int_equal(w.nodes[BRAVO].replies, 1);
	assert_int_equal(w.nodes[BRAVO].code, 0);
	contains(w.nodes[BRAVO].reply, "shop: stopped in");
	expect(BRAVO, SHOP, RUNNING);
	op(BRAVO,
	    (struct svc_event){.u.op = {.op = SVC_OP_ONLINE, .node = ALPHA}});
	assert_string_equal(w.nodes[BRAVO].reply, "online");
	standby(BRAVO, 9, false);
	assert_string_equal(w.nodes[BRAVO].reply, "there is no such node");
}

/* Nobody else can run it: only force stops it. */
static void
standby_is_refused(void **state)
{
	(void)state;
	shop_on_alpha();
	volume(BRAVO, false, false, true);
	standby(ALPHA, ALPHA, false);
	assert_int_equal(w.nodes[ALPHA].code, 1);
	contains(w.nodes[ALPHA].reply, "shop runs here and the peer cannot "
				       "take it now");
	run(1000);
	expect(ALPHA, SHOP, RUNNING);
	standby(ALPHA, ALPHA, true);
	run(50);
	expect(ALPHA, SHOP, STOPPED);
	assert_int_equal(w.nodes[ALPHA].code, 0);
	daemon_end(BRAVO);
	view(ALPHA, SVC_RIGHT_ALONE, 'g');
	standby(ALPHA, BRAVO, false);
	assert_string_equal(w.nodes[ALPHA].reply, "that node is not there");
}

static void
standby_dry_run(void **state)
{
	(void)state;
	shop_on_alpha();
	op(ALPHA, (struct svc_event){.u.op = {.op = SVC_OP_STANDBY,
					 .node = ALPHA,
					 .dry_run = true}});
	contains(w.nodes[ALPHA].reply, "alpha: stop address shop\n");
	contains(w.nodes[ALPHA].reply, "bravo: start address web\n");
	run(1000);
	expect(ALPHA, SHOP, RUNNING);
}

/* The daemon is stopped: services move before the goodbye. */
static void
stopping_hands_over(void **state)
{
	(void)state;
	shop_on_alpha();
	view(ALPHA, SVC_RIGHT_STOPPING, 'a');
	run(30);
	assert_true(w.nodes[ALPHA].told_stopped && w.nodes[ALPHA].clean);
	expect(BRAVO, SHOP, RUNNING);
	expect(BRAVO, WEB, RUNNING);
}

static void
stopping_that_fails_is_told(void **state)
{
	(void)state;
	shop_on_alpha();
	w.nodes[ALPHA].result[MOUNT][SVC_DO_STOP] = 1;
	view(ALPHA, SVC_RIGHT_STOPPING, 'a');
	run(50);
	assert_true(w.nodes[ALPHA].told_stopped);
	assert_false(w.nodes[ALPHA].clean);
	expect(BRAVO, SHOP, STOPPED);
}

/* A start under way is ended before it is stopped. */
static void
stop_during_start(void **state)
{
	(void)state;
	w.nodes[ALPHA].took_ms = 20;
	w.nodes[ALPHA].result[MOUNT][SVC_DO_START] = -1;
	pair();
	run(200);
	expect(ALPHA, SHOP, STARTING);
	view(ALPHA, SVC_RIGHT_NONE, '-');
	run(200);
	expect(ALPHA, SHOP, STOPPED);
	contains(w.nodes[ALPHA].log, "start1 cancel ");
	contains(w.nodes[ALPHA].log, "stop1 stop0 ");
}

static void
lost_messages_are_repeated(void **state)
{
	(void)state;
	w.deaf = true;
	pair();
	run(300);
	w.deaf = false;
	run(1000);
	expect(ALPHA, SHOP, RUNNING);
	w.deaf = true;
	takeover(BRAVO, SHOP, false);
	run(300);
	w.deaf = false;
	run(1000);
	expect(BRAVO, SHOP, RUNNING);
}

static void
other_configuration_is_not_agreed_with(void **state)
{
	struct conf other;

	(void)state;
	other = w.conf;
	strcpy(other.services[SHOP].name, "shoe");
	daemon_start(ALPHA);
	w.nodes[BRAVO].id = BRAVO;
	w.nodes[BRAVO].timer = MT_NEVER;
	w.nodes[BRAVO].svc = svc_new(&other, BRAVO, &ops, &w.nodes[BRAVO]);
	step(BRAVO, (struct svc_event){.type = SVC_EV_START});
	run(10);
	volume(ALPHA, true, true, true);
	volume(BRAVO, true, true, true);
	view(ALPHA, SVC_RIGHT_PAIRED, 'a');
	view(BRAVO, SVC_RIGHT_PAIRED, 'a');
	run(5000);
	expect(ALPHA, SHOP, STOPPED);
	expect(BRAVO, SHOP, STOPPED);
	expect(ALPHA, WEB, RUNNING);
	contains(w.nodes[ALPHA].notes, "bravo has another configuration");
}

static void
bad_messages(void **state)
{
	static const struct {
		uint8_t bytes[64];
		size_t len;
		const char *why;
	} cases[] = {
	    {{1}, 15, "too short"},
	    {{9}, 16, "unknown type"},
	    {{2, 0x80}, 16, "unknown flags"},
	    {{1, 0, 1}, 16, "wrong length of a table"},
	    {{1, 0, 200}, 16, "wrong length of a table"},
	    {{2}, 17, "trailing bytes"},
	    {{6}, 16, "unknown operation"},
	    {{6, 0, 1}, 17, "trailing bytes"},
	    {{5}, 17, "bad text"},
	    {{1, 0, 1, [16] = 33}, 40, "service out of range"},
	    {{1, 0, 1, [18] = 8}, 40, "unknown state of a service"},
	    {{1, 0, 1, [19] = 3}, 40, "unknown ability"},
	    {{1, 0, 1, [36] = 2}, 40, "unknown flags of a service"},
	    {{2, 0, 7}, 16, "a service that is not configured here"},
	    {{2, 0, 0}, 16, "a service that is not configured here"},
	};

	(void)state;
	shop_on_alpha();
	for (size_t i = 0; i < NITEMS(cases); i++) {
		w.nodes[ALPHA].notes[0] = '\0';
		step(
		    ALPHA, (struct svc_event){.type = SVC_EV_MSG,
			       .u.msg = {BRAVO, cases[i].bytes, cases[i].len}});
		contains(w.nodes[ALPHA].notes, cases[i].why);
	}
	expect(ALPHA, SHOP, RUNNING);
}

static void
forecast(void **state)
{
	char why[96];
	uint32_t ms;

	(void)state;
	shop_on_alpha();
	assert_int_equal(svc_forecast(w.nodes[ALPHA].svc, SHOP, ALPHA, &ms, why,
			     sizeof(why)),
	    BRAVO);
	assert_int_equal(svc_forecast(w.nodes[BRAVO].svc, SHOP, ALPHA, &ms, why,
			     sizeof(why)),
	    BRAVO);
	/* Not the one that runs it: it stays. */
	assert_int_equal(svc_forecast(w.nodes[BRAVO].svc, SHOP, BRAVO, &ms, why,
			     sizeof(why)),
	    ALPHA);
	volume(BRAVO, false, false, true);
	assert_int_equal(svc_forecast(w.nodes[ALPHA].svc, SHOP, ALPHA, &ms, why,
			     sizeof(why)),
	    0);
	assert_string_equal(why, "bravo cannot run it now");
}

static bool
owns(uint8_t id)
{
	enum svc_state st = w.nodes[id].state[SHOP];

	return w.nodes[id].svc != NULL &&
	       (st == SVC_STARTING || st == SVC_RUNNING || st == SVC_STOPPING ||
		   st == SVC_FAILED);
}

static void
swarm_event(void)
{
	uint8_t id = (uint8_t)(1 + rnd(2));
	struct node *n = &w.nodes[id];

	switch (rnd(6)) {
	case 0:
		takeover(id, SHOP, rnd(4) == 0);
		break;
	case 1:
		standby(id, (uint8_t)(1 + rnd(2)), rnd(2) == 0);
		break;
	case 2:
		op(id, (struct svc_event){.u.op = {.op = SVC_OP_ONLINE,
					      .node = (uint8_t)(1 + rnd(2))}});
		break;
	case 3:
		n->result[rnd(N_STEPS + 1)][rnd(SVC_ACTION_N)] =
		    (int)rnd(3) - 1;
		break;
	case 4:
		volume(id, rnd(4) != 0, rnd(3) != 0, rnd(5) != 0);
		break;
	case 5:
		view(id, rnd(3) == 0 ? SVC_RIGHT_DOUBT : SVC_RIGHT_PAIRED, 'a');
		break;
	}
}

/*
 * While they are paired at most one owns the service, whatever is lost, late
 * or failing; and when all is well again it runs on one of them.
 */
static void
swarm_one_owner(void **state)
{
	for (uint32_t seed = 1; seed <= 150; seed++) {
		setup(state);
		w.random = seed * 2654435761u | 1;
		pair();
		for (int i = 0; i < 300; i++) {
			run((int)rnd(400));
			if (owns(ALPHA) && owns(BRAVO)) {
				fprintf(stderr, "seed %u: two owners at %d\n",
				    seed, w.now);
				fail();
			}
			swarm_event();
		}
		w.random = 0;
		for (uint8_t id = ALPHA; id <= BRAVO; id++) {
			memset(
			    w.nodes[id].result, 0, sizeof(w.nodes[id].result));
			for (int i = 0; i < 8; i++)
				if (w.nodes[id].jobs[i].used)
					w.nodes[id].jobs[i].due = w.now + 1;
			view(id, SVC_RIGHT_PAIRED, 'a');
			volume(id, true, true, true);
			op(id, (struct svc_event){
				   .u.op = {.op = SVC_OP_ONLINE, .node = id}});
		}
		run(130 * 1000);
		if ((w.nodes[ALPHA].state[SHOP] == SVC_RUNNING) ==
		    (w.nodes[BRAVO].state[SHOP] == SVC_RUNNING)) {
			fprintf(stderr, "seed %u: %s and %s in the end\n%s%s",
			    seed, svc_state_name(w.nodes[ALPHA].state[SHOP]),
			    svc_state_name(w.nodes[BRAVO].state[SHOP]),
			    w.nodes[ALPHA].notes, w.nodes[BRAVO].notes);
			fail();
		}
		teardown(state);
		w.nodes[ALPHA].svc = w.nodes[BRAVO].svc = NULL;
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(leftovers_are_cleaned_first),
	    T(leftovers_that_stay_block),
	    T(inert_runs_nothing),
	    T(ordered_start_on_the_preferred_node),
	    T(volumes_decide),
	    T(preferred_node_is_waited_for),
	    T(preferred_node_is_not_waited_for_long),
	    T(R1_stale_copy_is_not_used),
	    T(R8_alone_takes_over),
	    T(R8_demoted_stops_everything),
	    T(R8_doubt_pauses_a_start),
	    T(R2_lost_keeps_and_takes_nothing),
	    T(R3_stateless_moves_early),
	    T(R9_isolated_hands_over),
	    T(R9_address_without_carrier),
	    T(R9_no_carrier_anywhere),
	    T(R10_no_failback),
	    T(R10_failback_when_configured),
	    T(R11_failed_check_restarts_then_moves),
	    T(R11_failed_check_alone),
	    T(R11_late_check_degrades),
	    T(failed_start_rolls_back_and_the_peer_tries),
	    T(failed_start_on_both_is_tried_slowly),
	    T(late_start_is_cancelled),
	    T(late_cancel_is_not_waited_for),
	    T(R12_users_are_killed),
	    T(R12_nothing_starts_elsewhere),
	    T(takeover_moves),
	    T(takeover_all),
	    T(takeover_that_fails_goes_back),
	    T(takeover_of_a_peer_that_dies),
	    T(takeover_is_refused_with_a_reason),
	    T(takeover_dry_run),
	    T(standby_drains),
	    T(standby_of_the_peer),
	    T(standby_is_refused),
	    T(standby_dry_run),
	    T(stopping_hands_over),
	    T(stopping_that_fails_is_told),
	    T(stop_during_start),
	    T(lost_messages_are_repeated),
	    T(other_configuration_is_not_agreed_with),
	    T(bad_messages),
	    T(forecast),
	    T(swarm_one_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
