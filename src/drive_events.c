/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The timelines of both nodes for hactl events.  The peer is asked for its
 * events in pieces, the next when one has come, so that no more than one is
 * under way; then they are merged with ours, see evlog.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "drive_int.h"
#include "evlog.h"
#include "log.h"

enum { ASKS = 4, QUESTIONS = 8, WAIT_MS = 1000 };

/* A client that waits. */
struct ask {
	uint64_t token; /* 0 = unused */
	uint32_t id;
	uint8_t node; /* whose events are wanted, 0 = both */
	bool follow, send; /* send: the next question is due */
	int64_t since_ms, age_us;
	monotime_t asked, until;
	struct ev_clock clock;
	struct ev *got; /* owned */
	unsigned n;
};

/* A peer that waits. */
struct question {
	uint8_t peer; /* 0 = unused */
	uint32_t id;
	uint64_t after, age_us;
};

struct drive_events {
	struct ask asks[ASKS];
	struct question questions[QUESTIONS];
	struct loop_timer *timer; /* owned */
	uint32_t id;
	struct ev_msg in, out; /* scratch */
};

static uint64_t
first_serial(const struct drive *d)
{
	return d->note_serial >= DRIVE_NOTES ? d->note_serial - DRIVE_NOTES + 1
					     : 1;
}

static void
event_of(const struct drive_note *n, struct ev *e)
{
	memset(e, 0, sizeof(*e));
	e->serial = n->serial;
	e->at_us = n->at.us;
	e->epoch = n->epoch;
	e->level = (uint8_t)n->level;
	snprintf(e->rule, sizeof(e->rule), "%s", n->rule);
	snprintf(e->object, sizeof(e->object), "%s", note_object(n));
	snprintf(e->text, sizeof(e->text), "%s", note_text(n));
	/* A text may have lines, as that of an agent. */
	for (char *p = e->text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
}

static void
send_msg(struct drive *d, uint8_t peer, const struct ev_msg *m)
{
	uint8_t bytes[EV_MSG_MAX];
	size_t len = ev_encode(m, bytes);

	nd_tell(d->nd, peer, bytes, len);
}

static void
answer_peer(struct drive *d, const struct question *q)
{
	struct ev_msg *m = &d->events->out;
	int64_t now_us = drive_now().us;

	memset(m, 0, sizeof(*m));
	m->type = EV_ANSWER;
	m->id = q->id;
	m->now_us = now_us;
	for (uint64_t i = first_serial(d); i <= d->note_serial; i++) {
		const struct drive_note *n = d->notes[i % DRIVE_NOTES];

		if (i <= q->after ||
		    (q->age_us != 0 &&
			(uint64_t)(now_us - n->at.us) > q->age_us))
			continue;
		if (m->n == EV_PIECE) {
			m->more = true;
			break;
		}
		event_of(n, &m->events[m->n++]);
	}
	send_msg(d, q->peer, m);
}

static uint8_t
peer_of(const struct drive *d)
{
	for (unsigned i = 0; i < d->conf->n_nodes; i++)
		if (d->conf->nodes[i].id != d->self)
			return d->conf->nodes[i].id;
	return 0;
}

static json_t *
json_of(const struct drive *d, uint8_t node, const struct ev *e)
{
	struct drive_note *n = drive_note_new(e->rule, e->object, e->text);
	struct timespec ts;
	json_t *o;

	if (n == NULL)
		return json_null();
	/* In this node's wall clock, whatever the peer's says. */
	clock_gettime(CLOCK_REALTIME, &ts);
	n->serial = e->serial;
	n->at.us = e->at_us;
	n->epoch = e->epoch;
	n->level = e->level;
	n->wall_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 -
		     (drive_now().us - e->at_us) / 1000;
	o = drive_json_note(n);
	free(n);
	json_object_set_new(
	    o, "node", json_string(conf_node(d->conf, node)->name));
	return o;
}

/* Both lists are in the order of their node, and stay so. */
static json_t *
merge(struct drive *d, const struct ask *a)
{
	json_t *list = json_array();
	uint64_t i = first_serial(d);
	int64_t error_us = 0;
	unsigned k = 0;

	for (;;) {
		const struct drive_note *n = d->notes[i % DRIVE_NOTES];
		struct ev mine, theirs;
		bool has_mine;

		if (i <= d->note_serial &&
		    (n->wall_ms < a->since_ms ||
			(a->node != 0 && a->node != d->self))) {
			i++;
			continue;
		}
		has_mine = i <= d->note_serial;
		if (has_mine)
			event_of(n, &mine);
		if (k < a->n) {
			theirs = a->got[k];
			theirs.at_us =
			    ev_clock_own(&a->clock, theirs.at_us, &error_us);
		}
		if (has_mine &&
		    (k == a->n || ev_before(&mine, &theirs, error_us))) {
			json_array_append_new(list, json_of(d, d->self, &mine));
			i++;
		} else if (k < a->n) {
			json_array_append_new(
			    list, json_of(d, peer_of(d), &theirs));
			k++;
		} else {
			return list;
		}
	}
}

static void
finish(struct drive *d, struct ask *a, const char *missing)
{
	json_t *o = json_object();
	int64_t error_us = -1;

	if (a->clock.known)
		ev_clock_own(&a->clock, 0, &error_us);
	json_object_set_new(o, "events", merge(d, a));
	json_object_set_new(o, "missing", json_string(missing));
	json_object_set_new(o, "clock_error_us", json_integer(error_us));
	if (a->follow) {
		ctl_send(d->ctl, a->token, o);
		drive_ctl_follow(d, a->token);
	} else {
		ctl_done(d->ctl, a->token, 0, NULL, o);
	}
	free(a->got);
	memset(a, 0, sizeof(*a));
}

static void
ask_peer(struct drive *d, struct ask *a)
{
	struct ev_msg *m = &d->events->out;

	memset(m, 0, sizeof(*m));
	m->type = EV_ASK;
	m->id = a->id;
	m->age_us = (uint64_t)a->age_us;
	m->after = a->n > 0 ? a->got[a->n - 1].serial : 0;
	a->asked = drive_now();
	a->until = mt_add_ms(a->asked, WAIT_MS);
	a->send = false;
	send_msg(d, peer_of(d), m);
}

/* Outside of any step of the node. */
static void
cb_timer(void *ctx, monotime_t now)
{
	struct drive *d = ctx;
	struct drive_events *e = d->events;
	monotime_t next = MT_NEVER;
	char text[128];

	for (unsigned i = 0; i < QUESTIONS; i++) {
		if (e->questions[i].peer != 0)
			answer_peer(d, &e->questions[i]);
		e->questions[i].peer = 0;
	}
	for (unsigned i = 0; i < ASKS; i++) {
		struct ask *a = &e->asks[i];

		if (a->token == 0)
			continue;
		if (a->send)
			ask_peer(d, a);
		if (!mt_before(now, a->until)) {
			snprintf(text, sizeof(text), "%s does not answer: %s",
			    conf_node(d->conf, peer_of(d))->name,
			    a->n > 0 ? "its later events are missing"
				     : "its events are missing");
			finish(d, a, text);
		} else {
			next = mt_min(next, a->until);
		}
	}
	loop_timer_at(e->timer, next);
}

/* An answer of the peer; its last piece ends the wait. */
static void
take(struct drive *d, const struct ev_msg *m)
{
	struct drive_events *e = d->events;
	struct ask *a = NULL;
	struct ev *grown;

	for (unsigned i = 0; i < ASKS; i++)
		if (e->asks[i].token != 0 && e->asks[i].id == m->id)
			a = &e->asks[i];
	/* Late, or not in order: it has been given up. */
	if (a == NULL || a->send ||
	    (m->n > 0 && a->n > 0 &&
		m->events[0].serial <= a->got[a->n - 1].serial))
		return;
	ev_clock_add(&a->clock, a->asked.us, m->now_us, drive_now().us);
	if (m->n > 0) {
		grown = realloc(a->got, (a->n + m->n) * sizeof(*grown));
		if (grown == NULL) {
			finish(d, a, "no memory for the peer's events");
			return;
		}
		a->got = grown;
		memcpy(a->got + a->n, m->events, m->n * sizeof(*grown));
		a->n += m->n;
	}
	/* The peer's ring is as long as ours: more than that is no answer. */
	if (!m->more || a->n + EV_PIECE > 2 * DRIVE_NOTES) {
		finish(d, a, "");
		return;
	}
	a->send = true;
	loop_timer_at(e->timer, drive_now());
}

void
drive_told(void *ctx, uint8_t peer, const uint8_t *bytes, size_t len)
{
	struct drive *d = ctx;
	struct drive_events *e = d->events;
	const char *why;

	if (ev_decode(&e->in, bytes, len, &why) < 0) {
		log_debug("events: of the peer, refused: %s", why);
		return;
	}
	if (e->in.type == EV_ANSWER) {
		take(d, &e->in);
		return;
	}
	for (unsigned i = 0; i < QUESTIONS; i++) {
		if (e->questions[i].peer != 0)
			continue;
		e->questions[i] = (struct question){
		    peer, e->in.id, e->in.after, e->in.age_us};
		loop_timer_at(e->timer, drive_now());
		return;
	}
}

void
drive_events_ask(struct drive *d, uint64_t token, uint8_t node,
    int64_t since_ms, bool follow)
{
	struct drive_events *e = d->events;
	struct ask *a = NULL, alone = {.token = token,
				  .node = node,
				  .since_ms = since_ms,
				  .follow = follow};
	struct timespec ts;
	int64_t now_ms;

	for (unsigned i = 0; i < ASKS && a == NULL; i++)
		if (e->asks[i].token == 0)
			a = &e->asks[i];
	if (node == d->self || peer_of(d) == 0 || !d->begun || a == NULL) {
		finish(d, &alone,
		    node == d->self || peer_of(d) == 0 ? ""
		    : a == NULL ? "too many ask at once: the peer's are missing"
				: "had is starting: the peer's are missing");
		return;
	}
	*a = alone;
	clock_gettime(CLOCK_REALTIME, &ts);
	now_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	a->age_us =
	    since_ms > 0 && since_ms < now_ms ? (now_ms - since_ms) * 1000 : 0;
	a->id = ++e->id;
	ask_peer(d, a);
	loop_timer_at(e->timer, a->until);
}

int
drive_events_new(struct drive *d)
{
	d->events = calloc(1, sizeof(*d->events));
	if (d->events == NULL)
		return -1;
	d->events->timer = loop_timer_new(d->event, cb_timer, d);
	return d->events->timer != NULL ? 0 : -1;
}

void
drive_events_free(struct drive *d)
{
	if (d->events == NULL)
		return;
	for (unsigned i = 0; i < ASKS; i++)
		free(d->events->asks[i].got);
	loop_timer_free(d->events->timer);
	free(d->events);
	d->events = NULL;
}
