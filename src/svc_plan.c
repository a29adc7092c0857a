/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who should run what.  Pure questions: nothing here changes anything.
 *
 * Placement, in this order: whoever runs it keeps it; a node that cannot run
 * it does not get it; a complete copy of its volumes beats an incomplete one;
 * the preferred node; the lower id.
 *
 * R10: a service moves by itself once in ten minutes.  From a node that lives
 * it does not move if either node took it so lately; from a dead one, if this
 * node did.  So a service that kills whoever runs it stops moving, and one
 * whose node died is not left alone because the other node had taken it before
 * that, nor because of what an operator did.
 */
#include <stdio.h>
#include <string.h>

#include "svc_int.h"

/* prefer, else the lower id. */
bool
svc_is_first(const struct svc *s, const struct unit *u)
{
	if (s->peer == 0 || u->conf->prefer == s->self)
		return true;
	return u->conf->prefer != s->peer && s->self < s->peer;
}

bool
svc_reachable(const struct svc *s, const struct unit *u)
{
	for (unsigned i = 0; i < u->conf->n_steps; i++) {
		const struct conf_step *st = &u->conf->steps[i];

		if (st->type == CONF_STEP_ADDRESS && s->unusable[st->ref])
			return false;
	}
	return true;
}

uint8_t
svc_able(const struct svc *s, const struct unit *u, char why[SVC_TEXT])
{
	uint8_t able = 2;

	why[0] = '\0';
	for (unsigned i = 0; i < u->conf->n_steps; i++) {
		const struct conf_step *st = &u->conf->steps[i];
		const struct volume *v;

		if (st->type != CONF_STEP_VOLUME)
			continue;
		v = &s->volumes[st->ref];
		if (!v->can_promote) {
			snprintf(why, SVC_TEXT,
			    "volume %s cannot become primary there",
			    s->conf->volumes[st->ref].name);
			return 0;
		}
		/* Amnesia: what was not compared may be stale. */
		if (!v->met && !s->view.own_right) {
			snprintf(why, SVC_TEXT,
			    "volume %s was not compared with the peer's copy "
			    "yet",
			    s->conf->volumes[st->ref].name);
			return 0;
		}
		if (!v->uptodate)
			able = 1;
	}
	return able;
}

uint8_t
svc_can(
    const struct svc *s, const struct unit *u, bool *firm, char why[SVC_TEXT])
{
	uint8_t able = svc_able(s, u, why);

	*firm = true;
	if (s->standby) {
		snprintf(
		    why, SVC_TEXT, "%s is standby", svc_node_name(s, s->self));
	} else if (u->barred) {
		snprintf(why, SVC_TEXT, "%s", u->why_barred);
	} else if (u->disabled) {
		snprintf(why, SVC_TEXT, "an operator stopped it");
	} else if (s->view.right == SVC_RIGHT_STOPPING) {
		snprintf(why, SVC_TEXT, "%s is being stopped",
		    svc_node_name(s, s->self));
	} else if (u->state == SVC_FAILED) {
		snprintf(why, SVC_TEXT, "it would not stop there");
	} else if (!svc_reachable(s, u)) {
		snprintf(why, SVC_TEXT, "no carrier for its address there");
	} else {
		*firm = false;
		return able;
	}
	return 0;
}

bool
svc_frozen(const struct svc *s, const struct unit *u)
{
	return s->frozen || u->frozen;
}

/* Did an operator make it leave where it ran last? */
static bool
was_ordered(const struct svc *s, const struct unit *u)
{
	return u->ran_on == s->self ? u->ordered : u->peer.ordered;
}

bool
svc_is_automatic(const struct svc *s, const struct unit *u)
{
	return u->ran_on != 0 && u->ran_on != s->self && !u->wanted &&
	       !was_ordered(s, u);
}

static void
held_text(const struct svc *s, const struct unit *u, monotime_t last,
    char why[SVC_HELD])
{
	bool mine = last.us == u->took[0].us;

	snprintf(why, SVC_HELD,
	    "%s took it by itself %lld s ago; one automatic takeover in 10 "
	    "minutes: frozen for %lld s; 'hactl takeover %s' on the node that "
	    "shall run it, or 'hactl thaw %s'",
	    svc_node_name(s, mine ? s->self : s->peer),
	    (long long)(mt_sub_us(s->now, last) / 1000000),
	    (long long)(SVC_AUTO_MS / 1000 - mt_sub_us(s->now, last) / 1000000),
	    u->conf->name, u->conf->name);
}

bool
svc_held(const struct svc *s, const struct unit *u, uint8_t node, bool dead,
    char why[SVC_HELD])
{
	monotime_t mine = u->took[node == s->self ? 0 : 1];
	monotime_t other = u->took[node == s->self ? 1 : 0];
	monotime_t last = dead || mt_before(other, mine) ? mine : other;

	why[0] = '\0';
	if (u->ran_on == 0 || u->ran_on == node)
		return false;
	if (svc_frozen(s, u) && !(u->wanted && node == s->self)) {
		snprintf(why, SVC_HELD,
		    "frozen by an operator: it is not taken from %s; 'hactl "
		    "thaw%s%s', or 'hactl takeover %s' on the node that shall "
		    "run it",
		    svc_node_name(s, u->ran_on), u->frozen ? " " : "",
		    u->frozen ? u->conf->name : "", u->conf->name);
		return true;
	}
	if ((u->wanted && node == s->self) || was_ordered(s, u) ||
	    last.us == 0 ||
	    !mt_before(s->now,
		mt_add_ms(last,
		    SVC_AUTO_MS + (node == s->self ? 0 : SVC_AUTO_SLACK_MS))))
		return false;
	held_text(s, u, last, why);
	return true;
}

static bool
peer_runs(const struct unit *u)
{
	return u->peer_known && u->peer.state != SVC_STOPPED &&
	       u->peer.state != SVC_CLAIMING && u->peer.state != SVC_PULLING;
}

static bool
may_retry(const struct svc *s, const struct unit *u)
{
	return !u->barred || !mt_before(s->now, u->retry_at);
}

static enum svc_want
wants_paired(const struct svc *s, const struct unit *u)
{
	char why[SVC_HELD];
	uint8_t able = svc_able(s, u, why);
	bool first = svc_is_first(s, u);

	/* A frozen or cut off peer: addresses without data may move. */
	if (!NODESET_HAS(s->view.alive, s->peer))
		return !u->conf->data &&
			       NODESET_HAS(s->view.stateless_gone, s->peer) &&
			       !u->barred
			   ? WANT_START
			   : WANT_NOT;
	if (!u->peer_known || u->granted || peer_runs(u) || able == 0)
		return WANT_NOT;
	/* One has not heard the operator's last word yet. */
	if (u->peer.stamp != u->stamp)
		return WANT_NOT;
	if (u->peer.can > 0 && !svc_held(s, u, s->peer, false, why)) {
		if (u->barred || !svc_reachable(s, u) || able < u->peer.can)
			return WANT_NOT;
		return able > u->peer.can || first ? WANT_CLAIM : WANT_NOT;
	}
	if (!may_retry(s, u))
		return WANT_NOT;
	/* The preferred node, or the better copy, may be a moment late. */
	if ((!first || able < 2) && !u->peer.firm &&
	    mt_before(s->now, s->settle_until))
		return WANT_NOT;
	return WANT_CLAIM;
}

enum svc_want
svc_wants(const struct svc *s, const struct unit *u)
{
	char why[SVC_TEXT];

	if (s->standby || u->disabled || mt_before(s->now, u->hold_until))
		return WANT_NOT;
	switch (s->view.right) {
	case SVC_RIGHT_PAIRED:
		return wants_paired(s, u);
	case SVC_RIGHT_ALONE:
		return svc_able(s, u, why) > 0 && may_retry(s, u) ? WANT_START
								  : WANT_NOT;
	default:
		return WANT_NOT;
	}
}

/* The evidence for a start here, in one clause. */
void
svc_placed(const struct svc *s, const struct unit *u, char why[SVC_TEXT])
{
	char no[SVC_TEXT];
	const char *peer = svc_node_name(s, s->peer);

	if (u->wanted)
		snprintf(why, SVC_TEXT, "an operator wants it");
	else if (s->peer == 0)
		snprintf(why, SVC_TEXT, "there is no other node");
	else if (s->view.right == SVC_RIGHT_ALONE)
		snprintf(why, SVC_TEXT, "%s is gone%s", peer,
		    u->ran_on == s->peer ? " and ran it" : "");
	else if (!NODESET_HAS(s->view.alive, s->peer))
		snprintf(why, SVC_TEXT, "%s is silent, it has no data", peer);
	else if (u->peer.can == 0)
		snprintf(why, SVC_TEXT, "%s cannot run it", peer);
	else if (u->peer.can < svc_able(s, u, no))
		snprintf(why, SVC_TEXT, "%s has no complete copy", peer);
	else if (u->conf->prefer == s->self)
		snprintf(why, SVC_TEXT, "preferred before %s", peer);
	else
		snprintf(
		    why, SVC_TEXT, "nobody runs it, lower id than %s", peer);
}

/*
 * Both run it: after a freeze, or a cut of all links.  Whoever is starting it
 * will run it before its next word is here.
 */
static bool
must_yield(const struct svc *s, const struct unit *u)
{
	if (s->view.right != SVC_RIGHT_PAIRED || !svc_peer_here(s) ||
	    !u->peer_known ||
	    (u->peer.state != SVC_RUNNING && u->peer.state != SVC_STARTING))
		return false;
	if (u->peer.gen != u->gen)
		return u->peer.gen > u->gen;
	return !svc_is_first(s, u);
}

/* Could the peer take it from here now? */
static bool
has_heir(const struct svc *s, const struct unit *u)
{
	return s->view.right == SVC_RIGHT_PAIRED && svc_peer_here(s) &&
	       NODESET_HAS(s->view.alive, s->peer) && u->peer_known &&
	       u->peer.can > 0 && u->peer.state == SVC_STOPPED;
}

/*
 * A switch that dies takes the carrier of both, and one of them hears of it
 * first: a quarter of a heartbeat is what their drivers may differ by.
 */
static monotime_t
cut_until(const struct svc *s)
{
	return mt_add_ms(s->cut_at, s->conf->t.heartbeat_ms / 4);
}

/* Why would it be better off there?  NULL: it would not. */
static const char *
would_move(const struct svc *s, const struct unit *u, const char **rule)
{
	if (!has_heir(s, u))
		return NULL;
	*rule = "R9";
	if (!svc_reachable(s, u) && !mt_before(s->now, cut_until(s)))
		return "no carrier for its address here: hand over";
	*rule = "R10";
	if (u->conf->failback && u->conf->prefer == s->peer &&
	    u->peer.can == 2 && u->state == SVC_RUNNING)
		return "failback to the preferred node";
	return NULL;
}

/* A failback that has to wait is nothing to be told. */
bool
svc_held_back(const struct svc *s, const struct unit *u, char why[SVC_HELD])
{
	const char *rule, *reason = would_move(s, u, &rule);

	return reason != NULL && strcmp(rule, "R9") == 0 &&
	       svc_held(s, u, s->peer, false, why);
}

const char *
svc_must_stop(const struct svc *s, const struct unit *u, const char **rule)
{
	const char *why;
	char held[SVC_HELD];

	*rule = "R8";
	switch (s->view.right) {
	case SVC_RIGHT_NONE:
		return "this node may not run anything";
	case SVC_RIGHT_ISOLATED:
		*rule = "R9";
		return "this node is isolated: hand over";
	case SVC_RIGHT_STOPPING:
		*rule = "stop";
		return "this node is being stopped";
	case SVC_RIGHT_DOUBT:
		return NULL;
	default:
		break;
	}
	*rule = "R7";
	if (s->view.no_data && u->conf->data)
		return "this node has lost its peer and has no lease";
	*rule = "R8";
	if (must_yield(s, u))
		return "the peer runs it as well and took it later";
	*rule = "stop";
	if (u->disabled)
		return "an operator stopped it";
	*rule = "standby";
	if (s->standby &&
	    ((has_heir(s, u) && !svc_frozen(s, u)) || s->drain_force))
		return "this node is standby";
	why = would_move(s, u, rule);
	return why != NULL && !svc_held(s, u, s->peer, false, held) ? why
								    : NULL;
}

/* When what was taken then may move again: from here, or for good. */
static monotime_t
took_until(const struct svc *s, monotime_t took)
{
	monotime_t at = mt_add_ms(took, SVC_AUTO_MS);

	return mt_before(s->now, at) ? at : mt_add_ms(at, SVC_AUTO_SLACK_MS);
}

/* When an answer of svc_wants may change by itself. */
monotime_t
svc_plan_deadline(const struct svc *s, const struct unit *u)
{
	monotime_t at = MT_NEVER;

	if (mt_before(s->now, u->hold_until))
		at = mt_min(at, u->hold_until);
	if (!svc_reachable(s, u) && mt_before(s->now, cut_until(s)))
		at = mt_min(at, cut_until(s));
	if (u->state == SVC_STOPPED && mt_before(s->now, s->settle_until))
		at = mt_min(at, s->settle_until);
	if (u->barred && mt_before(s->now, u->retry_at))
		at = mt_min(at, u->retry_at);
	if (u->barred)
		at = mt_min(at, u->barred_until);
	for (unsigned i = 0; i < NITEMS(u->took); i++)
		if (u->took[i].us != 0)
			at = mt_min(at, took_until(s, u->took[i]));
	return at;
}

static const char *
step_name(const struct svc *s, const struct conf_step *st, char buf[SVC_TEXT])
{
	switch (st->type) {
	case CONF_STEP_VOLUME:
		snprintf(
		    buf, SVC_TEXT, "volume %s", s->conf->volumes[st->ref].name);
		break;
	case CONF_STEP_MOUNT:
		snprintf(buf, SVC_TEXT, "mount %.80s", st->dir);
		break;
	case CONF_STEP_COMMAND:
		snprintf(buf, SVC_TEXT, "command %s", st->name);
		break;
	case CONF_STEP_ADDRESS:
		snprintf(buf, SVC_TEXT, "address %s",
		    s->conf->addresses[st->ref].name);
		break;
	}
	return buf;
}

/* Appends to buf as far as it fits; returns the new length. */
static size_t
add(char *buf, size_t size, size_t used, const char *a, const char *b,
    const char *c)
{
	int n;

	if (used + 1 >= size)
		return used;
	n = snprintf(buf + used, size - used, "%s: %s %s\n", a, b, c);
	ASSERT(n >= 0);
	return used + (size_t)n < size ? used + (size_t)n : size - 1;
}

/* The plan of a move, for --dry-run.  from or to 0 = nowhere. */
size_t
svc_plan_move(const struct svc *s, const struct unit *u, uint8_t from,
    uint8_t to, char *buf, size_t size)
{
	const struct conf_service *c = u->conf;
	uint32_t stop = from == s->self ? u->stop_ms : u->peer.stop_ms;
	uint32_t start = to == s->self ? u->start_ms : u->peer.start_ms;
	uint64_t most = 0;
	char name[SVC_TEXT], text[SVC_TEXT];
	size_t used = 0;

	ASSERT(size > 0);
	buf[0] = '\0';
	for (unsigned i = c->n_steps; from != 0 && i-- > 0;) {
		most += c->steps[i].timeout_ms;
		used = add(buf, size, used, svc_node_name(s, from), "stop",
		    step_name(s, &c->steps[i], name));
	}
	for (unsigned i = 0; to != 0 && i < c->n_steps; i++) {
		most += c->steps[i].timeout_ms;
		used = add(buf, size, used, svc_node_name(s, to), "start",
		    step_name(s, &c->steps[i], name));
	}
	if (to == 0)
		snprintf(text, sizeof(text), "until it is started again");
	else if ((from != 0 && stop == 0) || start == 0)
		snprintf(text, sizeof(text),
		    "not measured yet; the deadlines allow %llu ms",
		    (unsigned long long)most);
	else
		snprintf(text, sizeof(text), "about %u ms, as last time",
		    (from != 0 ? stop : 0) + start);
	return add(buf, size, used, c->name, "expected interruption", text);
}

uint8_t
svc_forecast(const struct svc *s, uint16_t service, uint8_t node, uint32_t *ms,
    char *why, size_t size)
{
	const struct unit *u;
	char reason[SVC_TEXT] = "", held[SVC_HELD];
	uint8_t on = 0, heir, can;
	bool firm;

	ASSERT(service < s->n_units && size > 0);
	u = &s->units[service];
	*ms = 0;
	why[0] = '\0';
	if (u->state == SVC_RUNNING || u->state == SVC_STARTING)
		on = s->self;
	else if (u->peer_known && (u->peer.state == SVC_RUNNING ||
				      u->peer.state == SVC_STARTING))
		on = s->peer;
	if (on != 0 && on != node)
		return on;
	heir = node == s->self ? s->peer : s->self;
	if (heir == s->self) {
		can = svc_can(s, u, &firm, reason);
		*ms = u->start_ms;
	} else {
		can = u->peer_known ? u->peer.can : 0;
		*ms = u->peer.start_ms;
	}
	if (heir != 0 && can > 0 && svc_held(s, u, heir, true, held)) {
		snprintf(why, size, "%s",
		    svc_frozen(s, u)
			? "an operator has frozen it"
			: "it took it by itself within 10 minutes (R10)");
		*ms = 0;
		return 0;
	}
	if (heir != 0 && can > 0)
		return heir;
	if (reason[0] == '\0')
		snprintf(reason, sizeof(reason), "%s cannot run it now",
		    heir == 0 ? "no other node" : svc_node_name(s, heir));
	snprintf(why, size, "%s", reason);
	*ms = 0;
	return 0;
}
