/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of operators: freeze, thaw, stop and start.  They hold on both
 * nodes: each is told with a stamp in the tables that the nodes exchange, and
 * the greater stamp is the later word.
 */
#include <stdio.h>
#include <string.h>

#include "svc_int.h"

/* Those that wait until both nodes have done it. */
bool
svc_word_waits(enum svc_op op)
{
	return op == SVC_OP_START || op == SVC_OP_STOP;
}

static const char *
peer_learns(const struct svc *s, char *buf, size_t size)
{
	buf[0] = '\0';
	if (s->peer != 0 &&
	    (!svc_peer_here(s) || !NODESET_HAS(s->view.alive, s->peer)))
		snprintf(buf, size, "; %s is not there and learns it later",
		    svc_node_name(s, s->peer));
	return buf;
}

/* What R10 has frozen, and what failed here, may be tried again. */
static void
forgive(struct svc *s, struct unit *u)
{
	memset(u->took, 0, sizeof(u->took));
	u->barred = false;
	u->fails = 0;
	u->hold_until = s->now;
}

static void
say_word(struct svc *s, const struct unit *u, bool frozen, bool disabled)
{
	if (u->frozen != frozen)
		svc_say(s, HAD_WARN, "freeze", u, "%s by an operator",
		    frozen ? "frozen: nothing moves by itself" : "thawed");
	if (u->disabled != disabled)
		svc_say(s, HAD_WARN, "stop", u, "%s by an operator",
		    disabled ? "stopped on both nodes" : "may run again");
}

static void
set_word(struct svc *s, struct unit *u, bool frozen, bool disabled)
{
	say_word(s, u, frozen, disabled);
	u->stamp++;
	u->frozen = frozen;
	u->disabled = disabled;
	if (!frozen)
		forgive(s, u);
}

/*
 * An operator who moves a service has looked at it: the count of R10 begins
 * anew, on both nodes, unless everything is to stay where it is.
 */
void
svc_word_wanted(struct unit *u)
{
	if (u->frozen || (u->took[0].us == 0 && u->took[1].us == 0))
		return;
	memset(u->took, 0, sizeof(u->took));
	u->stamp++;
}

static void
heard_all(struct svc *s, uint32_t stamp, bool frozen)
{
	bool newer = stamp > s->stamp;

	if (!newer && (stamp < s->stamp || !frozen))
		return;
	s->stamp = stamp;
	if (s->frozen != frozen)
		svc_say(s, HAD_WARN, "freeze", NULL, "everything is %s on %s",
		    frozen ? "frozen" : "thawed", svc_node_name(s, s->peer));
	s->frozen = frozen;
}

/* Two words with one stamp were said at once: the careful one holds. */
void
svc_word_heard(
    struct svc *s, struct unit *u, uint32_t stamp, bool frozen, bool disabled)
{
	if (u == NULL) {
		heard_all(s, stamp, frozen);
		return;
	}
	if (stamp < u->stamp)
		return;
	if (stamp == u->stamp) {
		frozen |= u->frozen;
		disabled |= u->disabled;
	} else if (!frozen) {
		forgive(s, u);
	}
	say_word(s, u, frozen, disabled);
	if (u->disabled && !disabled)
		u->wanted = true;
	u->stamp = stamp;
	u->frozen = frozen;
	u->disabled = disabled;
}

/* What would happen at once if u were thawed. */
static void
plan_thaw(struct svc *s, struct unit *u, size_t *used)
{
	int n;

	if (u->held[0] != '\0' && u->state == SVC_STOPPED)
		*used += svc_plan_move(
		    s, u, 0, s->self, s->plan + *used, sizeof(s->plan) - *used);
	if (*used + 1 >= sizeof(s->plan))
		return;
	n = snprintf(s->plan + *used, sizeof(s->plan) - *used,
	    "%s: may move by itself again\n", u->conf->name);
	*used += (size_t)n < sizeof(s->plan) - *used
		     ? (size_t)n
		     : sizeof(s->plan) - 1 - *used;
}

static void
plan_freeze(struct svc *s, const struct slot *request)
{
	size_t used = 0;

	snprintf(s->plan, sizeof(s->plan),
	    "%s: nothing of it moves by itself any more; what runs goes on: "
	    "no interruption\n",
	    request->service < 0 ? s->conf->cluster
				 : s->units[request->service].conf->name);
	if (request->op == SVC_OP_FREEZE)
		return;
	s->plan[0] = '\0';
	for (unsigned i = 0; i < s->n_units; i++)
		if (request->service < 0 || (int)i == request->service)
			plan_thaw(s, &s->units[i], &used);
}

void
svc_word_freeze(struct svc *s, const struct slot *request)
{
	bool on = request->op == SVC_OP_FREEZE, all = request->service < 0;
	struct slot copy = *request;
	char later[SVC_TEXT], text[2 * SVC_TEXT];

	if (copy.dry_run) {
		plan_freeze(s, request);
		svc_op_answer(s, &copy, 0, s->plan);
		return;
	}
	peer_learns(s, later, sizeof(later));
	if (all) {
		s->stamp++;
		s->frozen = on;
		svc_say(s, HAD_WARN, "freeze", NULL, "everything is %s",
		    on ? "frozen" : "thawed");
	}
	for (unsigned i = 0; i < s->n_units; i++) {
		struct unit *u = &s->units[i];

		/* Thawing all ends what was frozen one by one, too. */
		if (all ? !on : (int)i == request->service)
			set_word(s, u, on, u->disabled);
	}
	if (on)
		snprintf(text, sizeof(text),
		    "frozen: nothing moves by itself until 'hactl thaw'%s",
		    later);
	else
		snprintf(text, sizeof(text), "thawed%s", later);
	svc_op_answer(s, &copy, 0, text);
}

static bool
peer_has(const struct unit *u)
{
	return u->peer_known && u->peer.state != SVC_STOPPED &&
	       u->peer.state != SVC_CLAIMING && u->peer.state != SVC_PULLING;
}

/* Where would it start?  0: nowhere, why says why. */
static uint8_t
start_where(const struct svc *s, const struct unit *u, char *why, size_t size)
{
	bool peer = s->view.right == SVC_RIGHT_PAIRED && svc_peer_here(s) &&
		    u->peer_known && !s->peer_standby &&
		    (u->peer.can > 0 || u->disabled);
	char no[SVC_TEXT] = "";
	bool here = svc_able(s, u, no) > 0 && !s->standby &&
		    (s->view.right == SVC_RIGHT_PAIRED ||
			s->view.right == SVC_RIGHT_ALONE);

	if (here && (svc_is_first(s, u) || !peer))
		return s->self;
	if (peer)
		return s->peer;
	if (no[0] == '\0')
		snprintf(no, sizeof(no), "%s is %s", svc_node_name(s, s->self),
		    s->standby ? "standby" : svc_right_name(s->view.right));
	snprintf(why, size, "no node can run it now: %s", no);
	return 0;
}

static bool
word_refused(struct svc *s, const struct slot *request, const struct unit *u)
{
	bool start = request->op == SVC_OP_START;
	struct slot copy = *request;
	char text[SVC_TEXT + 64] = "";

	if (u->slot >= 0)
		snprintf(text, sizeof(text), "another request is under way");
	else if (start && (svc_runs(u) || peer_has(u)))
		snprintf(text, sizeof(text), "it is %s on %s already",
		    svc_state_name(svc_runs(u) ? u->state : u->peer.state),
		    svc_node_name(s, svc_runs(u) ? s->self : s->peer));
	else if (start)
		start_where(s, u, text, sizeof(text));
	else if (u->disabled && u->state == SVC_STOPPED && !peer_has(u))
		snprintf(text, sizeof(text), "an operator stopped it already");
	if (text[0] == '\0')
		return false;
	svc_op_answer(s, &copy, 1, text);
	return true;
}

static void
say_it(struct svc *s, const struct slot *request, struct unit *u)
{
	bool start = request->op == SVC_OP_START;
	struct slot copy = *request, *o = svc_op_slot(s, request);

	if (o == NULL) {
		svc_op_answer(s, &copy, 1, "too many requests are under way");
		return;
	}
	o->wait_until = mt_add_ms(s->now, SVC_WAIT_MS);
	svc_op_attach(s, o, u);
	set_word(s, u, u->frozen, !start);
	if (start) {
		forgive(s, u);
		u->wanted = true;
	}
}

void
svc_word_start(struct svc *s, const struct slot *request, struct unit *u)
{
	struct slot copy = *request;
	char why[SVC_TEXT + 64];

	if (word_refused(s, request, u))
		return;
	if (!copy.dry_run) {
		say_it(s, request, u);
		return;
	}
	svc_plan_move(s, u, 0, start_where(s, u, why, sizeof(why)), s->plan,
	    sizeof(s->plan));
	svc_op_answer(s, &copy, 0, s->plan);
}

void
svc_word_stop(struct svc *s, const struct slot *request, struct unit *u)
{
	struct slot copy = *request;
	uint8_t on = svc_runs(u) ? s->self : peer_has(u) ? s->peer : 0;

	if (word_refused(s, request, u))
		return;
	if (!copy.dry_run) {
		say_it(s, request, u);
		return;
	}
	svc_plan_move(s, u, on, 0, s->plan, sizeof(s->plan));
	svc_op_answer(s, &copy, 0, s->plan);
}

/* START and STOP that the peer carries out, as its table tells. */
void
svc_word_settle(struct svc *s, struct unit *u)
{
	const struct slot *o = &s->slots[u->slot < 0 ? 0 : u->slot];
	char text[SVC_TEXT];

	if (u->slot < 0 || !svc_word_waits(o->op))
		return;
	if (o->op == SVC_OP_START && u->peer_known &&
	    u->peer.state == SVC_RUNNING) {
		snprintf(text, sizeof(text), "runs on %s",
		    svc_node_name(s, s->peer));
		svc_op_settle(s, u, true, text);
	} else if (o->op == SVC_OP_STOP && u->state == SVC_STOPPED &&
		   !peer_has(u)) {
		svc_op_settle(s, u, true, "stopped until it is started");
	} else if (u->disabled != (o->op == SVC_OP_STOP)) {
		/* A later word, on the other node: nothing to wait for. */
		svc_op_settle(s, u, false,
		    u->disabled ? "stopped by another operator"
				: "started by another operator");
	} else if (u->peer_known && u->peer.state == SVC_FAILED) {
		snprintf(text, sizeof(text), "will not stop on %s",
		    svc_node_name(s, s->peer));
		svc_op_settle(s, u, false, text);
	} else if (!mt_before(s->now, o->wait_until)) {
		svc_op_settle(s, u, false, "not yet; 'hactl why' tells");
	}
}
