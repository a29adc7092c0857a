/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services as transcripts: alpha (1) and bravo (2), two cores joined by a
 * queue of messages, time in virtual milliseconds.  Service 0 "shop" prefers
 * alpha: volume, mount, command with a status, address, and a check.  Service
 * 1 "web" is an address without data.
 */
#ifndef SVC_WORLD_H
#define SVC_WORLD_H

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
	int replies, code, fenced;
	char reply[4096];
	char log[8192]; /* what was done, in order */
	char notes[16384];
};

struct packet {
	uint8_t to, from;
	uint8_t bytes[2048];
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

static inline monotime_t
at(int ms)
{
	return (monotime_t){(int64_t)(ms + 1000) * 1000};
}

static inline uint32_t
rnd(uint32_t below)
{
	w.random ^= w.random << 13;
	w.random ^= w.random >> 17;
	w.random ^= w.random << 5;
	return w.random % below;
}

static inline void
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

static inline void
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

static inline void
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

static inline void
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

static inline void
op_timer(void *ctx, monotime_t when)
{
	((struct node *)ctx)->timer = when;
}

static inline void
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

static inline void
op_reply(void *ctx, uint64_t token, int code, const char *text)
{
	struct node *n = ctx;

	assert_int_equal(token, 77);
	n->replies++;
	n->code = code;
	snprintf(n->reply, sizeof(n->reply), "%s", text);
}

static inline void
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

static inline void
op_stopped(void *ctx, bool clean)
{
	struct node *n = ctx;

	assert_false(n->told_stopped);
	n->told_stopped = true;
	n->clean = clean;
}

static inline void
op_self_fence(void *ctx, uint16_t service, const char *reason)
{
	struct node *n = ctx;

	(void)service;
	n->fenced++;
	add(n->log, sizeof(n->log), "fence(%s) ", reason);
}

static const struct svc_ops ops = {op_step, op_cancel, op_send, op_timer,
    op_note, op_reply, op_state, op_stopped, op_self_fence};

static inline void
step(uint8_t id, struct svc_event e)
{
	if (w.nodes[id].svc == NULL)
		return;
	e.now = at(w.now);
	svc_step(w.nodes[id].svc, &e);
}

/* Up to a bound per millisecond: messages that breed for ever are a bug. */
static inline void
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

static inline void
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

static inline void
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
static inline void
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

static inline void
volume(uint8_t id, bool can, bool uptodate, bool met)
{
	step(id, (struct svc_event){.type = SVC_EV_VOLUME,
		     .u.volume = {0, can, uptodate, met}});
	deliver();
}

static inline void
daemon_start(uint8_t id)
{
	struct node *n = &w.nodes[id];

	assert_null(n->svc);
	n->id = id;
	n->timer = MT_NEVER;
	n->svc = svc_new(&w.conf, id, &ops, n);
	step(id, (struct svc_event){.type = SVC_EV_START});
}

static inline void
daemon_end(uint8_t id)
{
	struct node *n = &w.nodes[id];

	svc_free(n->svc);
	memset(n, 0, sizeof(*n));
	n->took_ms = 1;
}

static inline void
op(uint8_t id, struct svc_event e)
{
	e.type = SVC_EV_OP;
	e.u.op.token = 77;
	w.nodes[id].replies = 0;
	w.nodes[id].reply[0] = '\0';
	step(id, e);
	deliver();
}

static inline void
takeover(uint8_t id, int service, bool dry_run)
{
	op(id, (struct svc_event){.u.op = {.op = SVC_OP_TAKEOVER,
				      .service = service,
				      .dry_run = dry_run}});
}

static inline void
standby(uint8_t id, uint8_t node, bool force)
{
	op(id,
	    (struct svc_event){
		.u.op = {.op = SVC_OP_STANDBY, .node = node, .force = force}});
}

/* FREEZE, THAW, MOVE, START, STOP */
static inline void
order(uint8_t id, enum svc_op what, int service, uint8_t node)
{
	op(id, (struct svc_event){
		   .u.op = {.op = what, .service = service, .node = node}});
}

static inline void
order_dry(uint8_t id, enum svc_op what, int service, uint8_t node)
{
	op(id, (struct svc_event){.u.op = {.op = what,
				      .service = service,
				      .node = node,
				      .dry_run = true}});
}

static inline void
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

static inline void
contains(const char *hay, const char *needle)
{
	if (strstr(hay, needle) == NULL) {
		fprintf(stderr, "missing '%s' in\n%s\n", needle, hay);
		fail();
	}
}

static inline void
config(void)
{
	struct conf *c = &w.conf;
	struct conf_service *s = &c->services[SHOP];

	strcpy(c->nodes[0].name, "alpha");
	strcpy(c->nodes[1].name, "bravo");
	c->nodes[0].id = ALPHA;
	c->nodes[1].id = BRAVO;
	c->n_nodes = 2;
	c->t.lease_ms = 200;
	c->t.heartbeat_ms = 100;
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

static inline int
setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	config();
	w.nodes[ALPHA].took_ms = w.nodes[BRAVO].took_ms = 1;
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	svc_free(w.nodes[ALPHA].svc);
	svc_free(w.nodes[BRAVO].svc);
	return 0;
}

static inline void
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
static inline void
shop_on_alpha(void)
{
	pair();
	run(100);
	expect(ALPHA, SHOP, RUNNING);
	expect(BRAVO, SHOP, STOPPED);
	w.nodes[ALPHA].log[0] = w.nodes[BRAVO].log[0] = '\0';
	w.nodes[ALPHA].notes[0] = w.nodes[BRAVO].notes[0] = '\0';
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
