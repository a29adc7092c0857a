/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What operators ask for: takeover, standby, online.  A request occupies a
 * slot until every service it concerns has settled.
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

static void
answer(struct svc *s, struct slot *o, int code, const char *text)
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

static struct slot *
slot_new(struct svc *s, const struct slot *request)
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

/* A service that a request waited for has settled. */
void
svc_op_unit(struct svc *s, struct unit *u, bool ok, const char *text)
{
	struct slot *o;
	char line[SVC_TEXT + 64];

	if (u->slot < 0)
		return;
	o = &s->slots[u->slot];
	ASSERT(o->used && o->pending > 0);
	/* Moved: stopped here is the end of standby, not of takeover. */
	if (o->op == SVC_OP_TAKEOVER && ok && u->state != SVC_RUNNING)
		return;
	if (ok && o->op == SVC_OP_TAKEOVER)
		snprintf(line, sizeof(line), "runs on %s, moved in %lld ms",
		    svc_node_name(s, s->self),
		    (long long)(mt_sub_us(s->now, o->began) / 1000));
	else
		snprintf(line, sizeof(line), "%s", text);
	u->slot = -1;
	add_text(o, u->conf->name, line);
	o->failed |= !ok;
	if (--o->pending == 0)
		answer(s, o, o->failed ? 1 : 0, o->text);
}

static void
attach(struct svc *s, struct slot *o, struct unit *u)
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

	if (u->state == SVC_RUNNING)
		return "it runs here already";
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
	return NULL;
}

static void
take(struct svc *s, struct slot *o, struct unit *u)
{
	attach(s, o, u);
	u->barred = false;
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

static void
op_takeover(struct svc *s, const struct svc_event *e)
{
	struct slot request = {.token = e->u.op.token, .op = SVC_OP_TAKEOVER};
	bool all = e->u.op.service < 0;
	struct unit *chosen[HAD_SERVICES_MAX];
	unsigned n = 0;
	size_t used = 0;
	char buf[SVC_TEXT + 64];
	const char *why = "no service that runs elsewhere can run here";
	struct slot *o;

	s->plan[0] = '\0';
	for (unsigned i = 0; i < s->n_units; i++) {
		struct unit *u = &s->units[i];
		const char *no;

		if (!all && (int)i != e->u.op.service)
			continue;
		no = takeover_refused(s, u, buf, sizeof(buf));
		if (no == NULL)
			chosen[n++] = u;
		else if (!all)
			why = no;
	}
	if (!all && e->u.op.service >= (int)s->n_units)
		why = "there is no such service";
	for (unsigned i = 0; e->u.op.dry_run && i < n; i++)
		plan_takeover(s, chosen[i], &used);
	if (n == 0 || e->u.op.dry_run) {
		s->ops->op_reply(
		    s->ctx, request.token, n == 0, n == 0 ? why : s->plan);
		return;
	}
	if ((o = slot_new(s, &request)) == NULL) {
		s->ops->op_reply(s->ctx, request.token, 1,
		    "too many requests are under way");
		return;
	}
	/* Held by a count of its own until all are attached. */
	o->pending = 1;
	for (unsigned i = 0; i < n; i++)
		take(s, o, chosen[i]);
	if (--o->pending == 0)
		answer(s, o, o->failed ? 1 : 0, o->text);
}

static bool
runs(const struct unit *u)
{
	return u->state == SVC_RUNNING || u->state == SVC_STARTING;
}

static bool
heir_for(const struct svc *s, const struct unit *u)
{
	return s->view.right == SVC_RIGHT_PAIRED && svc_peer_here(s) &&
	       u->peer_known && u->peer.can > 0 && u->peer.state == SVC_STOPPED;
}

static void
plan_standby(struct svc *s, bool force)
{
	size_t used = 0;

	s->plan[0] = '\0';
	for (unsigned i = 0; i < s->n_units; i++) {
		const struct unit *u = &s->units[i];

		if (runs(u) && (heir_for(s, u) || force))
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
standby_here(
    struct svc *s, const struct slot *request, bool dry_run, bool force)
{
	struct slot copy = *request, *o;

	for (unsigned i = 0; i < s->n_units; i++) {
		const struct unit *u = &s->units[i];

		if (!runs(u) || heir_for(s, u) || force)
			continue;
		snprintf(copy.text, sizeof(copy.text),
		    "%s runs here and the peer cannot take it now; -y stops "
		    "it nevertheless",
		    u->conf->name);
		answer(s, &copy, 1, copy.text);
		return;
	}
	if (dry_run) {
		plan_standby(s, force);
		answer(s, &copy, 0, s->plan);
		return;
	}
	if ((o = slot_new(s, request)) == NULL) {
		answer(s, &copy, 1, "too many requests are under way");
		return;
	}
	s->standby = true;
	s->drain_force = force;
	svc_say(s, HAD_INFO, "standby", NULL, "%s is standby",
	    svc_node_name(s, s->self));
	o->pending = 1;
	for (unsigned i = 0; i < s->n_units; i++)
		if (runs(&s->units[i]) && s->units[i].slot < 0)
			attach(s, o, &s->units[i]);
	if (--o->pending == 0)
		answer(s, o, 0, "standby; nothing ran here");
}

static void
online_here(struct svc *s, const struct slot *request, bool dry_run)
{
	struct slot copy = *request;

	if (dry_run) {
		answer(s, &copy, 0,
		    s->standby
			? "this node accepts services again; nothing moves"
			: "this node is online already");
		return;
	}
	if (s->standby)
		svc_say(s, HAD_INFO, "standby", NULL, "%s is online",
		    svc_node_name(s, s->self));
	s->standby = s->drain_force = false;
	answer(s, &copy, 0, "online");
}

static void
carry_out(struct svc *s, const struct slot *request, bool dry_run, bool force)
{
	if (request->op == SVC_OP_STANDBY)
		standby_here(s, request, dry_run, force);
	else
		online_here(s, request, dry_run);
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
	len = svc_msg_encode(m, bytes);
	s->ops->send(s->ctx, s->peer, bytes, len);
}

/* The peer shall do it. */
static void
forward(struct svc *s, const struct slot *request, const struct svc_event *e)
{
	struct slot copy = *request, *o;

	if (!svc_peer_here(s) || !NODESET_HAS(s->view.alive, s->peer)) {
		answer(s, &copy, 1, "that node is not there");
		return;
	}
	if ((o = slot_new(s, request)) == NULL) {
		answer(s, &copy, 1, "too many requests are under way");
		return;
	}
	o->waits_peer = true;
	o->serial = ++s->serial;
	o->dry_run = e->u.op.dry_run;
	o->force = e->u.op.force;
	ask_peer(s, o);
}

void
svc_op_tick(struct svc *s)
{
	for (unsigned i = 0; i < SVC_SLOTS; i++) {
		struct slot *o = &s->slots[i];

		if (o->used && o->waits_peer && !mt_before(s->now, o->ask_at))
			ask_peer(s, o);
	}
}

monotime_t
svc_op_deadline(const struct svc *s)
{
	monotime_t at = MT_NEVER;

	for (unsigned i = 0; i < SVC_SLOTS; i++)
		if (s->slots[i].used && s->slots[i].waits_peer)
			at = mt_min(at, s->slots[i].ask_at);
	return at;
}

void
svc_op_event(struct svc *s, const struct svc_event *e)
{
	struct slot request = {.token = e->u.op.token, .op = e->u.op.op};

	if (e->u.op.op == SVC_OP_TAKEOVER)
		op_takeover(s, e);
	else if (e->u.op.node == s->self)
		carry_out(s, &request, e->u.op.dry_run, e->u.op.force);
	else if (e->u.op.node == s->peer && s->peer != 0)
		forward(s, &request, e);
	else
		s->ops->op_reply(
		    s->ctx, request.token, 1, "there is no such node");
}

/* ASK_OP of the peer. */
void
svc_op_remote(struct svc *s, const struct svc_msg *m)
{
	struct slot request = {.remote = true, .token = m->serial, .op = m->op};

	/* Asked again: it is under way, or its answer got lost. */
	for (unsigned i = 0; i < SVC_SLOTS; i++)
		if (s->slots[i].used && s->slots[i].remote &&
		    s->slots[i].token == m->serial)
			return;
	if (m->serial == s->done.serial) {
		tell_done(s);
		return;
	}
	carry_out(s, &request, m->dry_run, m->force);
}

/* OP_DONE of the peer. */
void
svc_op_answered(struct svc *s, const struct svc_msg *m)
{
	for (unsigned i = 0; i < SVC_SLOTS; i++) {
		struct slot *o = &s->slots[i];

		if (o->used && o->waits_peer && o->serial == m->serial) {
			answer(s, o, m->code, m->text);
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
			answer(s, &s->slots[i], 1, "the peer went away");
}
