/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What operators ask for.  A request occupies a slot until every service it
 * concerns has settled.
 *
 * Freeze, thaw, stop and start are words: they hold on both nodes, in the
 * tables that these exchange, and the later one wins.
 */
#include <stdio.h>
#include <string.h>

#include "svc_int.h"

static void
tell_done(struct svc *s)
{
	struct svc_msg *m = &s->out;
	uint8_t bytes[SVC_MSG_MAX];
	size_t len;

	memset(m, 0, sizeof(*m));
	m->type = SVC_MSG_OP_DONE;
	m->serial = s->done.serial;
	m->code = s->done.code;
	snprintf(m->text, sizeof(m->text), "%s", s->done.text);
	len = svc_msg_encode(m, bytes);
	s->ops->send(s->ctx, s->peer, bytes, len);
}

void
svc_op_answer(struct svc *s, struct slot *o, int code, const char *text)
{
	if (o->remote) {
		s->done.serial = (uint32_t)o->token;
		s->done.code = code;
		snprintf(s->done.text, sizeof(s->done.text), "%s", text);
		tell_done(s);
	} else {
		s->ops->op_reply(s->ctx, o->token, code, text);
	}
	o->used = false;
}

static void
add_text(struct slot *o, const char *service, const char *text)
{
	size_t used = strlen(o->text);

	snprintf(o->text + used, sizeof(o->text) - used, "%s%s: %s",
	    used > 0 ? "\n" : "", service, text);
}

struct slot *
svc_op_slot(struct svc *s, const struct slot *request)
{
	for (unsigned i = 0; i < SVC_SLOTS; i++) {
		if (s->slots[i].used)
			continue;
		s->slots[i] = *request;
		s->slots[i].used = true;
		s->slots[i].began = s->now;
		return &s->slots[i];
	}
	return NULL;
}

void
svc_op_settle(struct svc *s, struct unit *u, bool ok, const char *text)
{
	struct slot *o = &s->slots[u->slot];

	ASSERT(o->used && o->pending > 0);
	u->slot = -1;
	add_text(o, u->conf->name, text);
	o->failed |= !ok;
	if (--o->pending == 0)
		svc_op_answer(s, o, o->failed ? 1 : 0, o->text);
}

/* A service that a request waited for has settled. */
void
svc_op_unit(struct svc *s, struct unit *u, bool ok, const char *text)
{
	const struct slot *o;
	char line[SVC_TEXT + 64];

	if (u->slot < 0)
		return;
	o = &s->slots[u->slot];
	/* Stopped here is the end of standby, not of a move. */
	if (ok && (o->op == SVC_OP_TAKEOVER || o->op == SVC_OP_START) &&
	    u->state != SVC_RUNNING)
		return;
	if (ok && o->op == SVC_OP_STOP && u->state == SVC_RUNNING)
		return;
	snprintf(line, sizeof(line), "%s", text);
	if (ok && o->op == SVC_OP_TAKEOVER)
		snprintf(line, sizeof(line), "runs on %s, moved in %lld ms",
		    svc_node_name(s, s->self),
		    (long long)(mt_sub_us(s->now, o->began) / 1000));
	svc_op_settle(s, u, ok, line);
}

void
svc_op_attach(struct svc *s, struct slot *o, struct unit *u)
{
	ASSERT(u->slot < 0);
	u->slot = (int)(o - s->slots);
	o->pending++;
}

/* Why can u not be taken over now?  NULL if it can. */
static const char *
takeover_refused(
    const struct svc *s, const struct unit *u, char *buf, size_t size)
{
	char why[SVC_TEXT];

	if (u->state == SVC_RUNNING) {
		snprintf(buf, size, "it runs on %s already",
		    svc_node_name(s, s->self));
		return buf;
	}
	if (u->disabled) {
		snprintf(buf, size,
		    "an operator stopped it; 'hactl start %s' first",
		    u->conf->name);
		return buf;
	}
	if (u->slot >= 0)
		return "another request is under way";
	if (u->state != SVC_STOPPED) {
		snprintf(buf, size, "it is %s here", svc_state_name(u->state));
		return buf;
	}
	if (s->standby)
		return "this node is standby; 'hactl online' first";
	if (svc_able(s, u, why) == 0) {
		snprintf(buf, size, "cannot run here: %s", why);
		return buf;
	}
	if (s->view.right == SVC_RIGHT_ALONE)
		return NULL;
	if (s->view.right != SVC_RIGHT_PAIRED || !svc_peer_here(s) ||
	    !NODESET_HAS(s->view.alive, s->peer)) {
		snprintf(buf, size,
		    "this node is %s and has no peer to take "
		    "it from",
		    svc_right_name(s->view.right));
		return buf;
	}
	if (!u->peer_known ||
	    (u->peer.state != SVC_RUNNING && u->peer.state != SVC_STOPPED)) {
		snprintf(buf, size, "it is %s on %s",
		    u->peer_known ? svc_state_name(u->peer.state)
				  : "in an unknown state",
		    svc_node_name(s, s->peer));
		return buf;
	}
	/* It would be given back at once (R9). */
	if (!svc_reachable(s, u) && u->peer.can > 0) {
		snprintf(buf, size,
		    "its address cannot be served from here: no carrier, or "
		    "no ping node answers");
		return buf;
	}
	return NULL;
}

static void
take(struct svc *s, struct slot *o, struct unit *u)
{
	svc_op_attach(s, o, u);
	u->barred = false;
	u->wanted = true;
	u->hold_until = s->now;
	svc_say(s, HAD_INFO, "takeover", u, "an operator wants it on %s",
	    svc_node_name(s, s->self));
	if (s->view.right == SVC_RIGHT_PAIRED)
		svc_pull(s, u);
	else
		svc_input(s, u, SVC_IN_EVAL);
}

static void
plan_takeover(struct svc *s, const struct unit *u, size_t *used)
{
	uint8_t from = u->peer_known && u->peer.state == SVC_RUNNING &&
			       s->view.right == SVC_RIGHT_PAIRED
			   ? s->peer
			   : 0;

	*used += svc_plan_move(
	    s, u, from, s->self, s->plan + *used, sizeof(s->plan) - *used);
}

/* The services that can be had, of one or of all; none: why. */
static unsigned
choose(struct svc *s, int service, struct unit **chosen, const char **why,
    char *buf, size_t size)
{
	unsigned n = 0;

	*why = service < 0 ? "no service that runs elsewhere can run here"
			   : "there is no such service";
	for (unsigned i = 0; i < s->n_units; i++) {
		const char *no;

		if (service >= 0 && (int)i != service)
			continue;
		no = takeover_refused(s, &s->units[i], buf, size);
		if (no == NULL)
			chosen[n++] = &s->units[i];
		else if (service >= 0)
			*why = no;
	}
	return n;
}

static void
takeover(struct svc *s, const struct slot *request, int service)
{
	struct unit *chosen[HAD_SERVICES_MAX];
	struct slot copy = *request, *o;
	char buf[SVC_TEXT + 64];
	const char *why;
	unsigned n = choose(s, service, chosen, &why, buf, sizeof(buf));
	size_t used = 0;

	s->plan[0] = '\0';
	for (unsigned i = 0; copy.dry_run && i < n; i++)
		plan_takeover(s, chosen[i], &used);
	if (n == 0 || copy.dry_run) {
		svc_op_answer(s, &copy, n == 0, n == 0 ? why : s->plan);
		return;
	}
	if ((o = svc_op_slot(s, request)) == NULL) {
		svc_op_answer(s, &copy, 1, "too many requests are under way");
		return;
	}
	o->op = SVC_OP_TAKEOVER;
	/* Held by a count of its own until all are attached. */
	o->pending = 1;
	for (unsigned i = 0; i < n; i++)
		take(s, o, chosen[i]);
	if (--o->pending == 0)
		svc_op_answer(s, o, o->failed ? 1 : 0, o->text);
}

bool
svc_runs(const struct unit *u)
{
	return u->state == SVC_RUNNING || u->state == SVC_STARTING;
}

static bool
heir_for(const struct svc *s, const struct unit *u)
{
	return s->view.right == SVC_RIGHT_PAIRED && svc_peer_here(s) &&
	       u->peer_known && u->peer.can > 0 &&
	       u->peer.state == SVC_STOPPED && !svc_frozen(s, u);
}

static void
plan_standby(struct svc *s, bool force)
{
	size_t used = 0;

	s->plan[0] = '\0';
	for (unsigned i = 0; i < s->n_units; i++) {
		const struct unit *u = &s->units[i];

		if (svc_runs(u) && (heir_for(s, u) || force))
			used += svc_plan_move(s, u, s->self,
			    heir_for(s, u) ? s->peer : 0, s->plan + used,
			    sizeof(s->plan) - used);
	}
	if (used == 0)
		snprintf(s->plan, sizeof(s->plan),
		    "%s: nothing runs here, nothing stops\n",
		    svc_node_name(s, s->self));
}

/* Drains this node. */
static void
standby_here(struct svc *s, const struct slot *request)
{
	bool dry_run = request->dry_run, force = request->force;
	struct slot copy = *request, *o;

	for (unsigned i = 0; i < s->n_units; i++) {
		const struct unit *u = &s->units[i];

		if (!svc_runs(u) || heir_for(s, u) || force)
			continue;
		snprintf(copy.text, sizeof(copy.text),
		    "%s runs here and %s; -y stops it nevertheless",
		    u->conf->name,
		    svc_frozen(s, u) ? "is frozen ('hactl thaw')"
				     : "the peer cannot take it now");
		svc_op_answer(s, &copy, 1, copy.text);
		return;
	}
	if (dry_run) {
		plan_standby(s, force);
		svc_op_answer(s, &copy, 0, s->plan);
		return;
	}
	if ((o = svc_op_slot(s, request)) == NULL) {
		svc_op_answer(s, &copy, 1, "too many requests are under way");
		return;
	}
	s->standby = true;
	s->drain_force = force;
	svc_say(s, HAD_INFO, "standby", NULL, "%s is standby",
	    svc_node_name(s, s->self));
	o->pending = 1;
	for (unsigned i = 0; i < s->n_units; i++)
		if (svc_runs(&s->units[i]) && s->units[i].slot < 0)
			svc_op_attach(s, o, &s->units[i]);
	if (--o->pending == 0)
		svc_op_answer(s, o, 0, "standby; nothing ran here");
}

static void
online_here(struct svc *s, const struct slot *request)
{
	struct slot copy = *request;

	if (copy.dry_run) {
		svc_op_answer(s, &copy, 0,
		    s->standby
			? "this node accepts services again; nothing moves"
			: "this node is online already");
		return;
	}
	if (s->standby)
		svc_say(s, HAD_INFO, "standby", NULL, "%s is online",
		    svc_node_name(s, s->self));
	s->standby = s->drain_force = false;
	svc_op_answer(s, &copy, 0, "online");
}

/* The message may get lost when an association breaks: it is repeated. */
static void
ask_peer(struct svc *s, struct slot *o)
{
	struct svc_msg *m = &s->out;
	uint8_t bytes[SVC_MSG_MAX];
	size_t len;

	o->ask_at = mt_add_ms(s->now, SVC_RESEND_MS);
	memset(m, 0, sizeof(*m));
	m->type = SVC_MSG_ASK_OP;
	m->serial = o->serial;
	m->op = o->op;
	m->dry_run = o->dry_run;
	m->force = o->force;
	m->all = o->service < 0;
	if (!m->all) {
		m->service = (uint16_t)o->service;
		m->hash = s->units[o->service].hash;
	}
	len = svc_msg_encode(m, bytes);
	s->ops->send(s->ctx, s->peer, bytes, len);
}

/* The peer shall do it. */
static void
forward(struct svc *s, const struct slot *request)
{
	struct slot copy = *request, *o;

	if (!svc_peer_here(s) || !NODESET_HAS(s->view.alive, s->peer)) {
		svc_op_answer(s, &copy, 1, "that node is not there");
		return;
	}
	if ((o = svc_op_slot(s, request)) == NULL) {
		svc_op_answer(s, &copy, 1, "too many requests are under way");
		return;
	}
	o->waits_peer = true;
	o->serial = ++s->serial;
	ask_peer(s, o);
}

/* What was asked for will not come any more: something else came first. */
static void
overtaken(struct svc *s, struct unit *u)
{
	enum svc_op op = s->slots[u->slot].op;

	if (op == SVC_OP_TAKEOVER && u->state == SVC_STOPPED) {
		u->wanted = false;
		svc_op_settle(s, u, false, "not taken: something came between");
	} else if (op == SVC_OP_STANDBY && svc_runs(u) && !s->standby) {
		svc_op_settle(s, u, false, "online again, it stays");
	}
}

void
svc_op_tick(struct svc *s)
{
	for (unsigned i = 0; i < SVC_SLOTS; i++) {
		struct slot *o = &s->slots[i];

		if (o->used && o->waits_peer && !mt_before(s->now, o->ask_at))
			ask_peer(s, o);
	}
	for (unsigned i = 0; i < s->n_units; i++)
		if (s->units[i].slot >= 0) {
			overtaken(s, &s->units[i]);
			svc_word_settle(s, &s->units[i]);
		}
}

monotime_t
svc_op_deadline(const struct svc *s)
{
	monotime_t at = MT_NEVER;

	for (unsigned i = 0; i < SVC_SLOTS; i++)
		if (s->slots[i].used && s->slots[i].waits_peer)
			at = mt_min(at, s->slots[i].ask_at);
	for (unsigned i = 0; i < SVC_SLOTS; i++)
		if (s->slots[i].used && svc_word_waits(s->slots[i].op))
			at = mt_min(at, s->slots[i].wait_until);
	return at;
}

static void
refuse(struct svc *s, const struct slot *request, const char *why)
{
	struct slot copy = *request;

	svc_op_answer(s, &copy, 1, why);
}

/* To the peer: its takeover; the plan is made here, where it runs. */
static void
move_away(struct svc *s, const struct slot *request, struct unit *u)
{
	struct slot copy = *request;
	char text[SVC_TEXT + 64];

	if (u->disabled) {
		refuse(
		    s, request, "an operator stopped it; 'hactl start' first");
		return;
	}
	if (copy.dry_run && svc_runs(u)) {
		if (!svc_peer_here(s) || !u->peer_known || u->peer.can == 0) {
			snprintf(text, sizeof(text), "%s cannot run it now",
			    svc_node_name(s, s->peer));
			refuse(s, request, text);
			return;
		}
		svc_plan_move(s, u, s->self, s->peer, s->plan, sizeof(s->plan));
		svc_op_answer(s, &copy, 0, s->plan);
		return;
	}
	copy.op = SVC_OP_TAKEOVER;
	forward(s, &copy);
}

static void
on_service(struct svc *s, const struct slot *request, uint8_t node)
{
	struct unit *u = &s->units[request->service];

	switch (request->op) {
	case SVC_OP_MOVE:
		if (node == s->self)
			takeover(s, request, request->service);
		else
			move_away(s, request, u);
		break;
	case SVC_OP_START:
		svc_word_start(s, request, u);
		break;
	case SVC_OP_STOP:
		svc_word_stop(s, request, u);
		break;
	default:
		ASSERT(!"an operation on one service");
	}
}

void
svc_op_event(struct svc *s, const struct svc_event *e)
{
	struct slot request = {
	    .token = e->u.op.token,
	    .op = e->u.op.op,
	    .service = e->u.op.service,
	    .dry_run = e->u.op.dry_run,
	    .force = e->u.op.force,
	};
	bool one = request.op >= SVC_OP_MOVE;
	bool node = request.op == SVC_OP_MOVE || request.op == SVC_OP_STANDBY ||
		    request.op == SVC_OP_ONLINE;

	if (request.service >= (int)s->n_units ||
	    (one && request.service < 0)) {
		refuse(s, &request, "there is no such service");
		return;
	}
	if (node && e->u.op.node != s->self &&
	    (s->peer == 0 || e->u.op.node != s->peer)) {
		refuse(s, &request, "there is no such node");
		return;
	}
	if (one) {
		on_service(s, &request, e->u.op.node);
	} else if (request.op == SVC_OP_TAKEOVER) {
		takeover(s, &request, request.service);
	} else if (request.op == SVC_OP_FREEZE || request.op == SVC_OP_THAW) {
		svc_word_freeze(s, &request);
	} else if (e->u.op.node == s->peer) {
		request.service = -1;
		forward(s, &request);
	} else if (request.op == SVC_OP_STANDBY) {
		standby_here(s, &request);
	} else {
		online_here(s, &request);
	}
}

/* ASK_OP of the peer. */
void
svc_op_remote(struct svc *s, const struct svc_msg *m)
{
	struct slot request = {
	    .remote = true,
	    .token = m->serial,
	    .op = m->op,
	    .service = m->all ? -1 : m->service,
	    .dry_run = m->dry_run,
	    .force = m->force,
	};

	/* Asked again: it is under way, or its answer got lost. */
	for (unsigned i = 0; i < SVC_SLOTS; i++)
		if (s->slots[i].used && s->slots[i].remote &&
		    s->slots[i].token == m->serial)
			return;
	if (m->serial == s->done.serial) {
		tell_done(s);
		return;
	}
	if (!m->all &&
	    (m->service >= s->n_units || s->units[m->service].hash != m->hash))
		refuse(s, &request, "there is no such service");
	else if (m->op == SVC_OP_TAKEOVER)
		takeover(s, &request, request.service);
	else if (m->op == SVC_OP_STANDBY)
		standby_here(s, &request);
	else
		online_here(s, &request);
}

/* OP_DONE of the peer. */
void
svc_op_answered(struct svc *s, const struct svc_msg *m)
{
	for (unsigned i = 0; i < SVC_SLOTS; i++) {
		struct slot *o = &s->slots[i];

		if (o->used && o->waits_peer && o->serial == m->serial) {
			svc_op_answer(s, o, m->code, m->text);
			return;
		}
	}
}

void
svc_op_peer_lost(struct svc *s)
{
	s->done.serial = 0;
	for (unsigned i = 0; i < SVC_SLOTS; i++)
		if (s->slots[i].used && s->slots[i].waits_peer)
			svc_op_answer(s, &s->slots[i], 1, "the peer went away");
}
