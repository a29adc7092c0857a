/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services: the entry point, views, messages.  svc_fsm.c is the life of one
 * service, svc_plan.c decides who runs what, svc_op.c serves operators.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc_int.h"

const char *
svc_right_name(enum svc_right r)
{
	static const char *const names[] = {
#define X(sym, name) name,
	    SVC_RIGHT_LIST(X)
#undef X
	};
	ASSERT((unsigned)r < NITEMS(names));
	return names[r];
}

const char *
svc_state_name(enum svc_state s)
{
	static const char *const names[] = {
#define X(sym, name) name,
	    SVC_STATE_LIST(X)
#undef X
	};
	ASSERT((unsigned)s < NITEMS(names));
	return names[s];
}

const char *
svc_action_name(enum svc_action a)
{
	static const char *const names[] = {
#define X(sym, name) name,
	    SVC_ACTION_LIST(X)
#undef X
	};
	ASSERT((unsigned)a < NITEMS(names));
	return names[a];
}

const char *
svc_result_name(enum svc_result r)
{
	static const char *const names[] = {
#define X(sym, name) name,
	    SVC_RESULT_LIST(X)
#undef X
	};
	ASSERT((unsigned)r < NITEMS(names));
	return names[r];
}

/* FNV-1a: notices that the nodes' files name different services. */
static uint32_t
name_hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

struct svc *
svc_new(
    const struct conf *conf, uint8_t self, const struct svc_ops *ops, void *ctx)
{
	struct svc *s = calloc(1, sizeof(*s));

	/* Ownership is negotiated between two; see mb_new. */
	ASSERT(conf->n_nodes >= 1 && conf->n_nodes <= 2);
	ASSERT(conf->n_services <= HAD_SERVICES_MAX);
	if (s == NULL)
		return NULL;
	s->conf = conf;
	s->self = self;
	s->ops = ops;
	s->ctx = ctx;
	for (unsigned i = 0; i < conf->n_nodes; i++)
		if (conf->nodes[i].id != self)
			s->peer = conf->nodes[i].id;
	s->n_units = conf->n_services;
	for (unsigned i = 0; i < s->n_units; i++) {
		struct unit *u = &s->units[i];

		u->conf = &conf->services[i];
		u->id = (uint16_t)i;
		u->hash = name_hash(u->conf->name);
		u->state = SVC_CLEANING;
		u->slot = -1;
		u->check_at = MT_NEVER;
	}
	return s;
}

void
svc_free(struct svc *s)
{
	free(s);
}

void
svc_say(struct svc *s, enum had_level level, const char *rule,
    const struct unit *u, const char *fmt, ...)
{
	char text[240];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->ops->note(s->ctx, level, rule,
	    u != NULL ? u->conf->name : svc_node_name(s, s->self), text);
}

const char *
svc_node_name(const struct svc *s, uint8_t id)
{
	for (unsigned i = 0; i < s->conf->n_nodes; i++)
		if (s->conf->nodes[i].id == id)
			return s->conf->nodes[i].name;
	return "nobody";
}

/* Does membership know the peer as one that this node agreed with? */
bool
svc_peer_here(const struct svc *s)
{
	return s->peer != 0 &&
	       NODESET_HAS(
		   s->view.alive | s->view.silent | s->view.lost, s->peer);
}

void
svc_send(struct svc *s, enum svc_msg_type type, const struct unit *u,
    uint32_t serial, const char *text)
{
	struct svc_msg *m = &s->out;
	uint8_t bytes[SVC_MSG_MAX];
	size_t len;

	ASSERT(type >= SVC_MSG_CLAIM && type <= SVC_MSG_DENY);
	memset(m, 0, sizeof(*m));
	m->type = type;
	m->service = u->id;
	m->hash = u->hash;
	m->serial = serial;
	if (text != NULL)
		snprintf(m->text, sizeof(m->text), "%s", text);
	len = svc_msg_encode(m, bytes);
	s->ops->send(s->ctx, s->peer, bytes, len);
}

/* R10: how long ago, as it is told; whole seconds. */
static uint16_t
age_s(const struct svc *s, monotime_t at)
{
	int64_t us = mt_sub_us(s->now, at);

	return at.us == 0 || us >= (int64_t)SVC_AUTO_MS * 1000
		   ? SVC_AGE_NONE
		   : (uint16_t)(us / 1000000);
}

static void
fill_table(struct svc *s, struct svc_msg *m)
{
	char why[SVC_TEXT];

	memset(m, 0, sizeof(*m));
	m->type = SVC_MSG_TABLE;
	m->standby = s->standby;
	m->frozen = s->frozen;
	m->stamp = s->stamp;
	m->n = (uint16_t)s->n_units;
	for (unsigned i = 0; i < s->n_units; i++) {
		const struct unit *u = &s->units[i];
		struct svc_entry *e = &m->entries[i];

		e->service = u->id;
		e->hash = u->hash;
		e->state = u->state;
		e->can = svc_can(s, u, &e->firm, why);
		e->gen = u->gen;
		e->start_ms = u->start_ms;
		e->stop_ms = u->stop_ms;
		e->ordered = u->ordered;
		e->ran_on = u->ran_on;
		e->ran_gen = u->ran_gen;
		e->stamp = u->stamp;
		e->frozen = u->frozen;
		e->stopped = u->disabled;
		e->took_s = age_s(s, u->took[0]);
		e->peer_took_s = age_s(s, u->took[1]);
	}
}

/* The table without what changes with the clock: it says nothing new. */
static void
strip_ages(uint8_t *bytes, size_t len)
{
	for (size_t at = SVC_MSG_HEAD; at + SVC_MSG_ENTRY <= len;
	     at += SVC_MSG_ENTRY)
		memset(bytes + at + SVC_MSG_ENTRY_AGES, 0,
		    SVC_MSG_ENTRY - SVC_MSG_ENTRY_AGES);
}

/* Tells the peer what changed; until it is confirmed. */
static void
flush_table(struct svc *s)
{
	uint8_t bytes[SVC_MSG_MAX];
	size_t len;
	bool ask = false, changed;

	if (!svc_peer_here(s))
		return;
	for (unsigned i = 0; i < s->n_units; i++)
		ask |= !s->units[i].peer_known;
	fill_table(s, &s->out);
	len = svc_msg_encode(&s->out, bytes);
	strip_ages(bytes, len);
	changed = len != s->table_len || memcmp(bytes, s->table, len) != 0;
	if (changed) {
		memcpy(s->table, bytes, len);
		s->table_len = len;
		s->table_serial++;
		s->table_told = false;
	}
	if (!changed && !s->table_asked &&
	    ((s->table_told && !ask) || mt_before(s->now, s->table_at)))
		return;
	s->table_at = mt_add_ms(s->now, SVC_RESEND_MS);
	s->out.serial = s->table_serial;
	s->out.seen = s->peer_serial;
	/* An answer asks nothing, or two strangers would never be silent. */
	s->out.ask = ask && !s->table_asked;
	s->table_asked = false;
	len = svc_msg_encode(&s->out, bytes);
	s->ops->send(s->ctx, s->peer, bytes, len);
}

static monotime_t
time_of(const struct svc *s, uint16_t age)
{
	return mt_add_ms(s->now, -(int64_t)age * 1000);
}

/*
 * What both nodes keep, so that the one that restarts learns it again.  Of
 * its own takeovers a node takes the peer's word only if it knows of none:
 * rounded ages that went to and fro would never grow old.
 */
static void
merge(struct svc *s, struct unit *u, const struct svc_entry *e)
{
	if (e->ran_gen > u->ran_gen) {
		u->ran_gen = e->ran_gen;
		u->ran_on = e->ran_on;
	}
	/* What an operator wanted has come true. */
	if (e->state == SVC_RUNNING && u->state == SVC_STOPPED)
		u->wanted = false;
	if (e->stamp >= u->stamp) {
		if (e->took_s < SVC_AUTO_MS / 1000)
			u->took[1] = time_of(s, e->took_s);
		if (u->took[0].us == 0 && e->peer_took_s < SVC_AUTO_MS / 1000)
			u->took[0] = time_of(s, e->peer_took_s);
	}
	svc_word_heard(s, u, e->stamp, e->frozen, e->stopped);
}

static void
on_table(struct svc *s)
{
	const struct svc_msg *m = &s->in;

	svc_word_heard(s, NULL, m->stamp, m->frozen, false);
	s->table_asked |= m->ask || m->serial != s->peer_serial;
	s->table_told = m->seen == s->table_serial;
	s->peer_serial = m->serial;
	s->peer_standby = m->standby;
	for (unsigned i = 0; i < m->n; i++) {
		const struct svc_entry *e = &m->entries[i];
		struct unit *u;

		if (e->service >= s->n_units)
			continue;
		u = &s->units[e->service];
		if (u->hash != e->hash) {
			if (u->peer_known || u->peer.hash != e->hash)
				svc_say(s, HAD_ERR, "service", u,
				    "%s has another configuration: nothing is "
				    "agreed about it",
				    svc_node_name(s, s->peer));
			u->peer_known = false;
			u->peer.hash = e->hash;
			continue;
		}
		u->peer = *e;
		u->peer_known = true;
		merge(s, u, e);
		/* It neither runs nor claims it: a grant is used up. */
		if (e->state == SVC_STOPPED)
			u->granted = false;
	}
}

static void
on_msg(struct svc *s, const struct svc_event *e)
{
	const char *why;
	struct unit *u;

	/* What a stranger to this view says is asked for again later. */
	if (e->u.msg.from != s->peer || !svc_peer_here(s))
		return;
	if (svc_msg_decode(&s->in, e->u.msg.bytes, e->u.msg.len, &why) == -1) {
		svc_say(s, HAD_WARN, "service", NULL,
		    "a message of %s is refused: %s", svc_node_name(s, s->peer),
		    why);
		return;
	}
	switch (s->in.type) {
	case SVC_MSG_TABLE:
		on_table(s);
		return;
	case SVC_MSG_ASK_OP:
		svc_op_remote(s, &s->in);
		return;
	case SVC_MSG_OP_DONE:
		svc_op_answered(s, &s->in);
		return;
	default:
		break;
	}
	if (s->in.service >= s->n_units ||
	    s->units[s->in.service].hash != s->in.hash) {
		svc_say(s, HAD_WARN, "service", NULL,
		    "%s speaks of a service that is not configured here",
		    svc_node_name(s, s->peer));
		return;
	}
	u = &s->units[s->in.service];
	svc_input(
	    s, u, (enum svc_in)(SVC_IN_CLAIM + s->in.type - SVC_MSG_CLAIM));
}

static void
forget_peer(struct svc *s)
{
	s->table_told = s->table_asked = false;
	s->table_len = 0;
	s->peer_standby = false;
	for (unsigned i = 0; i < s->n_units; i++) {
		struct unit *u = &s->units[i];
		uint32_t gen = u->peer.gen;
		bool ordered = u->peer.ordered;

		memset(&u->peer, 0, sizeof(u->peer));
		u->peer.state = SVC_STOPPED;
		u->peer.gen = gen;
		/* Its last word: it left because an operator wanted so. */
		u->peer.ordered = ordered;
		u->peer_known = u->granted = false;
		u->pulled = 0;
	}
	svc_op_peer_lost(s);
}

static void
on_view(struct svc *s, const struct svc_event *e)
{
	bool was_here = svc_peer_here(s);
	enum svc_right old = s->view.right;

	s->view = e->u.view;
	if (s->view.right != SVC_RIGHT_STOPPING)
		s->told_stopped = false;
	/*
	 * In doubt, what the peer said before may be over: it may have taken
	 * what was silent here.  It is asked anew.
	 */
	if ((was_here && !svc_peer_here(s)) ||
	    (s->view.right == SVC_RIGHT_DOUBT && old != SVC_RIGHT_DOUBT))
		forget_peer(s);
	if (!was_here && svc_peer_here(s)) {
		s->settle_until = mt_add_ms(s->now, SVC_SETTLE_MS);
	}
	if (s->view.right != SVC_RIGHT_ALONE || old == SVC_RIGHT_ALONE)
		return;
	/* Nobody else is left: what failed here is worth another try. */
	for (unsigned i = 0; i < s->n_units; i++)
		s->units[i].retry_at = mt_min(s->units[i].retry_at, s->now);
}

static void
on_step_done(struct svc *s, const struct svc_event *e)
{
	struct unit *u;

	ASSERT(e->u.done.service < s->n_units);
	u = &s->units[e->u.done.service];
	/* An answer that came after its deadline. */
	if (!u->busy || e->u.done.token != u->token)
		return;
	ASSERT(e->u.done.action == u->action);
	svc_done(s, u, e->u.done.result, e->u.done.text);
}

static void
on_volume(struct svc *s, const struct svc_event *e)
{
	struct volume *v;

	ASSERT(e->u.volume.id < HAD_VOLUMES_MAX);
	v = &s->volumes[e->u.volume.id];
	v->can_promote = e->u.volume.can_promote;
	v->uptodate = e->u.volume.uptodate;
	v->met = e->u.volume.met;
}

static void
dispatch(struct svc *s, const struct svc_event *e)
{
	switch (e->type) {
	case SVC_EV_START:
		ASSERT(!s->started);
		s->started = true;
		break;
	case SVC_EV_TIMER:
		break;
	case SVC_EV_VIEW:
		on_view(s, e);
		break;
	case SVC_EV_MSG:
		on_msg(s, e);
		break;
	case SVC_EV_STEP_DONE:
		on_step_done(s, e);
		break;
	case SVC_EV_VOLUME:
		on_volume(s, e);
		break;
	case SVC_EV_ADDRESS:
		ASSERT(e->u.address.id < HAD_ADDRESSES_MAX);
		if (!e->u.address.usable && !s->unusable[e->u.address.id])
			s->cut_at = s->now;
		s->unusable[e->u.address.id] = !e->u.address.usable;
		break;
	case SVC_EV_OP:
		svc_op_event(s, e);
		break;
	case SVC_EV_JOINED:
		/* What was said before may have been lost. */
		s->table_at = s->now;
		break;
	case SVC_EV_N:
		ASSERT(!"an event");
	}
}

/* STOPPING is over when nothing runs, or when something will not stop. */
static void
check_stopped(struct svc *s)
{
	bool clean = true;

	if (s->view.right != SVC_RIGHT_STOPPING || s->told_stopped)
		return;
	for (unsigned i = 0; i < s->n_units; i++) {
		if (s->units[i].state == SVC_FAILED)
			clean = false;
		else if (s->units[i].state != SVC_STOPPED)
			return;
	}
	s->told_stopped = true;
	s->ops->stopped(s->ctx, clean);
}

static void
set_timer(struct svc *s)
{
	monotime_t at = MT_NEVER;
	bool ask = false;

	for (unsigned i = 0; i < s->n_units; i++) {
		at = mt_min(at, svc_unit_deadline(s, &s->units[i]));
		ask |= !s->units[i].peer_known;
	}
	if (svc_peer_here(s) && (!s->table_told || ask))
		at = mt_min(at, s->table_at);
	at = mt_min(at, svc_op_deadline(s));
	s->ops->timer(s->ctx, at);
}

/* What ends by itself after ten minutes (R10). */
static void
age(struct svc *s, struct unit *u)
{
	if (u->barred && !mt_before(s->now, u->barred_until)) {
		u->barred = false;
		u->fails = 0;
	}
	for (unsigned i = 0; i < NITEMS(u->took); i++)
		if (u->took[i].us != 0 &&
		    !mt_before(s->now,
			mt_add_ms(u->took[i], SVC_AUTO_MS + SVC_AUTO_SLACK_MS)))
			u->took[i] = (monotime_t){0};
}

void
svc_step(struct svc *s, const struct svc_event *e)
{
	ASSERT(!s->stepping);
	ASSERT(s->started || e->type == SVC_EV_START);
	ASSERT(!mt_before(e->now, s->now));
	s->stepping = true;
	s->now = e->now;
	dispatch(s, e);
	for (unsigned i = 0; i < s->n_units; i++) {
		struct unit *u = &s->units[i];

		svc_deadline(s, u);
		age(s, u);
		svc_input(s, u, SVC_IN_EVAL);
	}
	svc_op_tick(s);
	flush_table(s);
	check_stopped(s);
	set_timer(s);
	s->stepping = false;
}

static void
status_held(const struct svc *s, const struct unit *u, struct svc_status *st)
{
	bool mine = mt_before(u->took[1], u->took[0]);
	monotime_t at = mine ? u->took[0] : u->took[1];

	st->services[u->id].ends =
	    u->state == SVC_STOPPING || u->state == SVC_FAILED ||
	    (u->stop_wanted &&
		(u->state == SVC_STARTING || u->state == SVC_RUNNING));
	st->services[u->id].stopped = u->disabled;
	st->services[u->id].frozen = svc_frozen(s, u);
	memcpy(st->services[u->id].held, u->held, sizeof(u->held));
	st->services[u->id].moved_at = at;
	if (at.us != 0)
		st->services[u->id].moved_by = mine ? s->self : s->peer;
	st->self_fenced |= u->fenced;
}

bool
svc_standby(const struct svc *s)
{
	return s->standby;
}

void
svc_status(const struct svc *s, struct svc_status *st)
{
	bool firm;

	memset(st, 0, sizeof(*st));
	st->n_services = (uint16_t)s->n_units;
	st->right = s->view.right;
	st->frozen = s->frozen;
	st->peer_told = s->table_told;
	if (s->standby)
		st->standby |= NODESET(s->self);
	if (s->peer_standby)
		st->standby |= NODESET(s->peer);
	for (unsigned i = 0; i < s->n_units; i++) {
		const struct unit *u = &s->units[i];

		st->services[i].state = u->state;
		memcpy(st->services[i].reason, u->reason, sizeof(u->reason));
		st->services[i].since = u->since;
		st->services[i].step = u->step;
		if (u->state == SVC_RUNNING)
			st->services[i].on = s->self;
		else if (u->peer_known && u->peer.state == SVC_RUNNING)
			st->services[i].on = s->peer;
		st->services[i].can_run =
		    svc_can(s, u, &firm, st->services[i].why_not);
		st->services[i].degraded = u->degraded;
		st->services[i].barred = u->barred;
		st->services[i].start_ms = u->start_ms;
		st->services[i].stop_ms = u->stop_ms;
		/* Said in the knowledge of what was told to it. */
		st->services[i].peer_known = u->peer_known && s->table_told;
		st->services[i].peer_state = u->peer.state;
		st->services[i].peer_can_run = u->peer.can;
		status_held(s, u, st);
	}
}
