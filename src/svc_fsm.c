/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of one service.
 *
 *	CLEANING --> STOPPED <--> CLAIMING --(GRANT)--> STARTING --> RUNNING
 *	    |           ^ ^ ----> PULLING --(GRANT)------^   |          |
 *	    v           | |                                  v          |
 *	  FAILED <------+-+------------------------------ STOPPING <----+
 *
 * A step that will not stop: its users are killed, it is stopped once more,
 * and then the service is FAILED: nothing is started elsewhere (R12), and
 * stopping is tried again at growing intervals.
 */
#include <stdio.h>
#include <string.h>

#include "svc_int.h"

/* The only place where the state of a service changes. */
static void
set_state(
    struct svc *s, struct unit *u, enum svc_state state, const char *reason)
{
	enum svc_state old = u->state;

	ASSERT(state != old);
	u->state = state;
	u->since = s->now;
	snprintf(u->reason, sizeof(u->reason), "%s", reason);
	s->ops->state(s->ctx, u->id, old, state, reason);
}

static void
issue(struct svc *s, struct unit *u, enum svc_action action, uint8_t step)
{
	uint32_t ms;

	ASSERT(!u->busy);
	if (step == SVC_STEP_CHECK) {
		ms = u->conf->check_timeout_ms;
	} else {
		ASSERT(step < u->conf->n_steps);
		ms = u->conf->steps[step].timeout_ms;
	}
	u->busy = true;
	u->cancelled = false;
	u->action = action;
	u->token = ++s->token;
	u->deadline = mt_add_ms(s->now, ms);
	if (action == SVC_DO_STATUS)
		u->probe = step;
	else
		u->step = step;
	s->ops->step(s->ctx, u->id, step, action, u->token);
}

static void
cancel(struct svc *s, struct unit *u)
{
	ASSERT(u->busy);
	if (u->cancelled)
		return;
	u->cancelled = true;
	u->deadline = mt_add_ms(s->now, SVC_GRACE_MS);
	s->ops->cancel(s->ctx, u->id,
	    u->action == SVC_DO_STATUS ? u->probe : u->step, u->token);
}

static uint32_t
elapsed_ms(const struct svc *s, monotime_t since)
{
	int64_t ms = mt_sub_us(s->now, since) / 1000;

	/* 0 means not measured. */
	return ms < 1 ? 1 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static void
bar(struct svc *s, struct unit *u, const char *why)
{
	unsigned wait = SVC_RETRY_MIN_S << (u->fails > 4 ? 4 : u->fails);

	if (wait > SVC_RETRY_MAX_S)
		wait = SVC_RETRY_MAX_S;
	u->barred = true;
	u->fails++;
	u->barred_until = mt_add_ms(s->now, SVC_BAR_MS);
	u->retry_at = mt_add_ms(s->now, (int64_t)wait * 1000);
	snprintf(u->why_barred, sizeof(u->why_barred), "%.90s", why);
}

static void
running(struct svc *s, struct unit *u)
{
	char text[SVC_TEXT];

	u->start_ms = elapsed_ms(s, u->began);
	u->check_at = mt_add_ms(s->now, u->conf->check[0] != '\0'
					    ? u->conf->check_every_ms
					    : SVC_STATUS_MS);
	u->degraded = u->cycle_late = false;
	u->barred = false;
	u->ran_on = s->self;
	u->ran_gen = u->gen;
	if (u->automatic)
		u->took[0] = s->now;
	else if (u->wanted)
		svc_word_wanted(u);
	u->automatic = u->wanted = u->ordered = u->fenced = false;
	snprintf(text, sizeof(text), "started in %u ms", u->start_ms);
	svc_say(s, HAD_INFO, "service", u, "runs on %s: %s",
	    svc_node_name(s, s->self), text);
	set_state(s, u, SVC_RUNNING, text);
	svc_op_unit(s, u, true, text);
}

static void
begin_start(struct svc *s, struct unit *u, const char *reason)
{
	ASSERT(!u->busy);
	if (u->peer.gen > u->gen)
		u->gen = u->peer.gen;
	if (u->ran_gen > u->gen)
		u->gen = u->ran_gen;
	u->gen++;
	u->automatic = svc_is_automatic(s, u);
	u->held[0] = '\0';
	u->stop_wanted = u->rollback = u->again = u->bar = false;
	u->was_running = false;
	u->granted = false;
	u->pulled = 0;
	u->error[0] = '\0';
	u->began = s->now;
	set_state(s, u, SVC_STARTING, reason);
	if (u->conf->n_steps == 0)
		running(s, u);
	else
		issue(s, u, SVC_DO_START, 0);
}

/* Nothing of it runs here any more. */
static void
stopped(struct svc *s, struct unit *u)
{
	bool again = u->again && !u->bar && u->pulled == 0;
	char text[SVC_TEXT + 40] = "stopped";

	ASSERT(!u->busy);
	u->stop_fails = 0;
	u->fenced = false;
	if (u->was_running) {
		u->stop_ms = elapsed_ms(s, u->began);
		snprintf(text, sizeof(text), "stopped in %u ms", u->stop_ms);
	}
	if (u->rollback || u->bar) {
		u->wanted = false;
		bar(s, u, u->error);
		snprintf(text, sizeof(text), "failed here: %s", u->error);
		svc_say(s, HAD_ERR, "R10", u,
		    "not started on %s again by itself: %s",
		    svc_node_name(s, s->self), u->error);
	}
	set_state(s, u, SVC_STOPPED, text);
	svc_op_unit(s, u, !u->rollback, text);
	u->rollback = u->again = u->bar = u->stop_wanted = false;
	if (u->pulled != 0 && svc_peer_here(s)) {
		u->granted = true;
		svc_send(s, SVC_MSG_GRANT, u, u->pulled, NULL);
		svc_say(s, HAD_INFO, "service", u, "handed to %s",
		    svc_node_name(s, s->peer));
	}
	u->pulled = 0;
	if (again &&
	    (s->view.right == SVC_RIGHT_ALONE ||
		s->view.right == SVC_RIGHT_PAIRED) &&
	    !s->standby && !u->disabled)
		begin_start(s, u, "started again here");
}

static void
stop_from(struct svc *s, struct unit *u, uint8_t step)
{
	u->tries = 0;
	if (u->conf->n_steps == 0)
		stopped(s, u);
	else
		issue(s, u, SVC_DO_STOP, step);
}

/* Is it an operator who ends it here?  Then R10 does not count the move. */
static bool
is_ordered(const struct svc *s, const struct unit *u)
{
	return u->pulled != 0 || u->disabled || s->standby ||
	       s->view.right == SVC_RIGHT_STOPPING;
}

/* Stops a running or starting service; what comes after is set already. */
static void
begin_stop(struct svc *s, struct unit *u, const char *reason)
{
	ASSERT(u->state == SVC_RUNNING || u->state == SVC_STARTING);
	u->ordered = is_ordered(s, u);
	if (u->busy) {
		/* One thing at a time: the step under way has to end. */
		if (!u->stop_wanted)
			snprintf(u->stop_reason, sizeof(u->stop_reason), "%s",
			    reason);
		u->stop_wanted = true;
		cancel(s, u);
		return;
	}
	u->was_running = u->state == SVC_RUNNING;
	if (u->was_running)
		u->step =
		    u->conf->n_steps > 0 ? (uint8_t)(u->conf->n_steps - 1) : 0;
	u->began = s->now;
	set_state(s, u, SVC_STOPPING, reason);
	stop_from(s, u, u->step);
}

/*
 * R12: nothing else ends what will not stop.  The peer starts it once it
 * knows that this node is down: FAILED bars it until then.  Leftovers of an
 * earlier daemon are not worth a reset: it might never end.
 */
static void
self_fence(struct svc *s, struct unit *u)
{
	char text[SVC_TEXT + 80];

	if (s->conf->self_fence == CONF_SELF_FENCE_OFF || u->fenced ||
	    u->action == SVC_DO_CLEAN)
		return;
	u->fenced = true;
	snprintf(text, sizeof(text), "service %s will not stop: %s",
	    u->conf->name, u->error);
	svc_say(s, HAD_ERR, "R12", u,
	    "%s resets itself; the peer takes over once that is certain",
	    svc_node_name(s, s->self));
	s->ops->self_fence(s->ctx, u->id, text);
}

static void
fail(struct svc *s, struct unit *u)
{
	unsigned wait = SVC_RETRY_MIN_S
			<< (u->stop_fails > 4 ? 4 : u->stop_fails);
	char text[SVC_TEXT + 40];

	if (wait > SVC_RETRY_MAX_S)
		wait = SVC_RETRY_MAX_S;
	u->stop_fails++;
	u->retry_at = mt_add_ms(s->now, (int64_t)wait * 1000);
	snprintf(text, sizeof(text), "will not stop: %s", u->error);
	svc_say(s, HAD_ERR, "R12", u,
	    "will not stop on %s: %s; it is started nowhere; tried again in "
	    "%u s",
	    svc_node_name(s, s->self), u->error, wait);
	if (u->pulled != 0)
		svc_send(s, SVC_MSG_DENY, u, u->pulled, text);
	u->pulled = 0;
	set_state(s, u, SVC_FAILED, text);
	svc_op_unit(s, u, false, text);
	self_fence(s, u);
}

/* EVAL */

static void
eval_cleaning(struct svc *s, struct unit *u)
{
	if (!u->busy && u->conf->n_steps == 0)
		set_state(s, u, SVC_STOPPED, "nothing to clean");
	else if (!u->busy)
		issue(s, u, SVC_DO_CLEAN, (uint8_t)(u->conf->n_steps - 1));
}

/* R10: says once that it stays where it is, and how to go on. */
static void
hold(struct svc *s, struct unit *u, const char why[SVC_HELD])
{
	bool told = u->held[0] != '\0';

	memcpy(u->held, why, SVC_HELD);
	if (!told)
		svc_say(s, svc_frozen(s, u) ? HAD_WARN : HAD_ERR,
		    svc_frozen(s, u) ? "freeze" : "R10", u, "%s", why);
}

static void
say_start(struct svc *s, struct unit *u)
{
	char why[SVC_TEXT];

	svc_placed(s, u, why);
	svc_say(s, HAD_INFO, "service", u, "start on %s%s: %s",
	    svc_node_name(s, s->self),
	    svc_is_automatic(s, u) ? ", an automatic takeover" : "", why);
}

static void
eval_stopped(struct svc *s, struct unit *u)
{
	enum svc_want want = svc_wants(s, u);
	bool dead = s->view.right == SVC_RIGHT_ALONE || !svc_peer_here(s) ||
		    !NODESET_HAS(s->view.alive, s->peer);
	char why[SVC_HELD];

	if (want != WANT_NOT && svc_held(s, u, s->self, dead, why)) {
		hold(s, u, why);
		return;
	}
	u->held[0] = '\0';
	switch (want) {
	case WANT_START:
		say_start(s, u);
		begin_start(s, u, "nobody else runs it");
		break;
	case WANT_CLAIM:
		u->claim = ++s->serial;
		u->claim_at = mt_add_ms(s->now, SVC_RESEND_MS);
		set_state(s, u, SVC_CLAIMING, "asks the peer");
		svc_send(s, SVC_MSG_CLAIM, u, u->claim, NULL);
		break;
	case WANT_NOT:
		break;
	}
}

static void
eval_asking(struct svc *s, struct unit *u)
{
	bool pull = u->state == SVC_PULLING;

	if (s->view.right != SVC_RIGHT_PAIRED || !svc_peer_here(s)) {
		set_state(s, u, SVC_STOPPED, "the peer is not there to agree");
		if (s->view.right != SVC_RIGHT_ALONE) {
			u->wanted = false;
			svc_op_unit(s, u, false, "the peer went away");
		} else {
			eval_stopped(s, u); /* nobody else looks again */
		}
		return;
	}
	if (mt_before(s->now, u->claim_at))
		return;
	u->claim_at = mt_add_ms(s->now, SVC_RESEND_MS);
	svc_send(s, pull ? SVC_MSG_PULL : SVC_MSG_CLAIM, u, u->claim, NULL);
}

/* The next health probe after u->probe; false if the round is over. */
static bool
next_probe(const struct unit *u, bool begin, uint8_t *probe)
{
	unsigned i = begin ? 0 : u->probe + 1u;

	if (!begin && u->probe == SVC_STEP_CHECK)
		return false;
	for (; i < u->conf->n_steps; i++) {
		if (u->conf->steps[i].type != CONF_STEP_COMMAND ||
		    u->conf->steps[i].status[0] == '\0')
			continue;
		*probe = (uint8_t)i;
		return true;
	}
	*probe = SVC_STEP_CHECK;
	return u->conf->check[0] != '\0';
}

static void
eval_running(struct svc *s, struct unit *u)
{
	const char *rule, *why = svc_must_stop(s, u, &rule);
	char held[SVC_HELD];
	uint8_t probe;

	if (why == NULL && svc_held_back(s, u, held))
		hold(s, u, held);
	else
		u->held[0] = '\0';
	if (why != NULL) {
		if (!u->stop_wanted)
			svc_say(s, HAD_INFO, rule, u, "stopped on %s: %s",
			    svc_node_name(s, s->self), why);
		u->again = false;
		begin_stop(s, u, why);
		return;
	}
	if (u->busy)
		return;
	if (u->stop_wanted) {
		begin_stop(s, u, u->stop_reason);
		return;
	}
	if (s->view.right == SVC_RIGHT_DOUBT || mt_before(s->now, u->check_at))
		return;
	u->cycle_late = false;
	if (next_probe(u, true, &probe))
		issue(s, u, SVC_DO_STATUS, probe);
	else
		u->check_at = MT_NEVER;
}

static void
eval_starting(struct svc *s, struct unit *u)
{
	const char *rule, *why = svc_must_stop(s, u, &rule);

	if (why != NULL) {
		if (!u->stop_wanted)
			svc_say(s, HAD_INFO, rule, u,
			    "start on %s given up: "
			    "%s",
			    svc_node_name(s, s->self), why);
		svc_op_unit(s, u, false, why);
		begin_stop(s, u, why);
		return;
	}
	/* In doubt nothing new begins; it goes on here afterwards. */
	if (!u->busy && s->view.right != SVC_RIGHT_DOUBT)
		issue(s, u, SVC_DO_START, u->step);
}

static void
eval_failed(struct svc *s, struct unit *u)
{
	if (mt_before(s->now, u->retry_at))
		return;
	if (u->action == SVC_DO_CLEAN) {
		set_state(s, u, SVC_CLEANING, "tried again");
		issue(s, u, SVC_DO_CLEAN, u->step);
	} else {
		u->was_running = false;
		set_state(s, u, SVC_STOPPING, "tried again");
		stop_from(s, u, u->step);
	}
}

/* OK and BAD: the step under way has ended. */

static void
ok_cleaning(struct svc *s, struct unit *u)
{
	if (u->step > 0)
		issue(s, u, SVC_DO_CLEAN, (uint8_t)(u->step - 1));
	else
		set_state(s, u, SVC_STOPPED, "nothing is left of before");
}

static void
ok_starting(struct svc *s, struct unit *u)
{
	if (u->stop_wanted) {
		begin_stop(s, u, u->stop_reason);
	} else if (u->step + 1 == u->conf->n_steps) {
		running(s, u);
	} else {
		u->step++;
		if (s->view.right != SVC_RIGHT_DOUBT)
			issue(s, u, SVC_DO_START, u->step);
	}
}

static void
bad_starting(struct svc *s, struct unit *u)
{
	if (!u->stop_wanted) {
		svc_say(s, HAD_ERR, "service", u,
		    "start failed on %s at step %u: %s; rolled back",
		    svc_node_name(s, s->self), u->step + 1u, u->error);
		u->rollback = true;
	}
	begin_stop(s, u, u->rollback ? "the start failed" : u->stop_reason);
}

static void
end_round(struct svc *s, struct unit *u)
{
	u->check_at = mt_add_ms(s->now, u->conf->check[0] != '\0'
					    ? u->conf->check_every_ms
					    : SVC_STATUS_MS);
	if (u->degraded && !u->cycle_late) {
		u->degraded = false;
		svc_say(s, HAD_INFO, "R11", u, "answers its checks again");
	}
}

static void
ok_running(struct svc *s, struct unit *u)
{
	uint8_t probe;

	if (u->stop_wanted) {
		begin_stop(s, u, u->stop_reason);
		return;
	}
	if (next_probe(u, false, &probe))
		issue(s, u, SVC_DO_STATUS, probe);
	else
		end_round(s, u);
}

/* While an operator has frozen it, what a check says is only told. */
static void
probe_bad(struct svc *s, struct unit *u)
{
	u->cycle_late = true;
	if (u->degraded)
		return;
	u->degraded = true;
	svc_say(s, HAD_WARN, "R11", u,
	    "check failed on %s: %s; frozen by an operator: it goes on",
	    svc_node_name(s, s->self), u->error);
}

/*
 * R11: a check that fails moves the service: once it is started again here;
 * if it fails again within ten minutes, this node is barred.
 */
static void
bad_running(struct svc *s, struct unit *u)
{
	uint8_t probe;

	if (u->stop_wanted) {
		begin_stop(s, u, u->stop_reason);
		return;
	}
	if (svc_frozen(s, u)) {
		probe_bad(s, u);
		if (next_probe(u, false, &probe))
			issue(s, u, SVC_DO_STATUS, probe);
		else
			end_round(s, u);
		return;
	}
	u->again =
	    u->restarted_at.us == 0 ||
	    mt_sub_us(s->now, u->restarted_at) >= (int64_t)SVC_BAR_MS * 1000;
	u->bar = !u->again;
	if (u->again)
		u->restarted_at = s->now;
	svc_say(s, HAD_WARN, "R11", u, "check failed on %s: %s; %s",
	    svc_node_name(s, s->self), u->error,
	    u->again ? "started again" : "this node is given up");
	begin_stop(s, u, "its check failed");
}

static void
ok_stopping(struct svc *s, struct unit *u)
{
	if (u->action == SVC_DO_KILL) {
		issue(s, u, SVC_DO_STOP, u->step);
	} else if (u->step > 0) {
		u->tries = 0;
		issue(s, u, SVC_DO_STOP, (uint8_t)(u->step - 1));
	} else {
		stopped(s, u);
	}
}

/* R12: kill its users, stop it once more, then give up loudly. */
static void
bad_stopping(struct svc *s, struct unit *u)
{
	if (u->action == SVC_DO_KILL) {
		issue(s, u, SVC_DO_STOP, u->step);
	} else if (u->tries++ == 0) {
		svc_say(s, HAD_WARN, "R12", u,
		    "step %u will not stop: %s; its users are killed",
		    u->step + 1u, u->error);
		issue(s, u, SVC_DO_KILL, u->step);
	} else {
		fail(s, u);
	}
}

/* CLAIM and PULL of the peer; s->in is the message. */

static void
grant(struct svc *s, struct unit *u)
{
	enum svc_right right = s->view.right;

	if (right == SVC_RIGHT_DOUBT || right == SVC_RIGHT_ALONE) {
		svc_send(s, SVC_MSG_DENY, u, s->in.serial, "not paired");
		return;
	}
	u->granted = true;
	svc_send(s, SVC_MSG_GRANT, u, s->in.serial, NULL);
}

static void
deny(struct svc *s, struct unit *u)
{
	char text[64];

	snprintf(text, sizeof(text), "it is %s on %s", svc_state_name(u->state),
	    svc_node_name(s, s->self));
	svc_send(s, SVC_MSG_DENY, u, s->in.serial, text);
}

/* Both claim at once: the first by placement wins. */
static void
claim_claiming(struct svc *s, struct unit *u)
{
	if (svc_is_first(s, u)) {
		deny(s, u);
		return;
	}
	u->hold_until = mt_add_ms(s->now, SVC_HOLD_MS);
	set_state(s, u, SVC_STOPPED, "the peer claims it as well");
	grant(s, u);
}

static void
pull_running(struct svc *s, struct unit *u)
{
	if (s->view.right != SVC_RIGHT_PAIRED) {
		svc_send(s, SVC_MSG_DENY, u, s->in.serial, "not paired");
		return;
	}
	if (u->pulled == s->in.serial)
		return;
	u->pulled = s->in.serial;
	u->again = false;
	svc_say(s, HAD_INFO, "takeover", u, "%s takes it from %s",
	    svc_node_name(s, s->peer), svc_node_name(s, s->self));
	begin_stop(s, u, "taken over by the peer");
}

static void
pull_stopping(struct svc *s, struct unit *u)
{
	if (u->rollback || u->bar) {
		deny(s, u);
		return;
	}
	u->pulled = s->in.serial;
	u->ordered = true;
}

/* GRANT and DENY from the peer. */

static void
granted(struct svc *s, struct unit *u)
{
	bool pull = u->state == SVC_PULLING;

	if (s->in.serial != u->claim)
		return;
	if (s->view.right == SVC_RIGHT_PAIRED && !s->standby && !u->disabled) {
		if (!pull)
			say_start(s, u);
		begin_start(s, u, pull ? "handed over" : "the peer agrees");
	} else {
		set_state(s, u, SVC_STOPPED, "the moment is over");
	}
}

static void
denied(struct svc *s, struct unit *u)
{
	bool pull = u->state == SVC_PULLING;

	if (s->in.serial != u->claim)
		return;
	u->hold_until = mt_add_ms(s->now, SVC_HOLD_MS);
	set_state(s, u, SVC_STOPPED, "the peer disagrees");
	svc_say(s, pull ? HAD_WARN : HAD_DEBUG, "service", u,
	    "%s does not agree: %s", svc_node_name(s, s->peer), s->in.text);
	svc_op_unit(s, u, false, s->in.text);
}

static void
nothing(struct svc *s, struct unit *u)
{
	(void)s;
	(void)u;
}

/*
 * Every state answers every input; next is what the action may leave behind.
 * Rows are inputs; columns CLEANING, STOPPED, CLAIMING, PULLING, STARTING,
 * RUNNING, STOPPING, FAILED.
 */
struct cell {
	void (*act)(struct svc *, struct unit *);
	uint8_t next;
};
#define S(x) (1u << SVC_##x)
#define ROW(in, ...) [SVC_IN_##in] = {__VA_ARGS__}
#define DO(fn, next) \
	{ \
		fn, next \
	}
#define STAY(fn, x) \
	{ \
		fn, S(x) \
	}
/* A start may be over at once, if it has no steps. */
#define STARTS (S(STARTING) | S(RUNNING))
#define STOPS (S(STOPPING) | S(STOPPED))

/* clang-format off */
static const struct cell table[SVC_IN_N][SVC_STATE_N] = {
	ROW(EVAL, DO(eval_cleaning, S(CLEANING) | S(STOPPED)),
	    DO(eval_stopped, S(STOPPED) | S(CLAIMING) | STARTS),
	    DO(eval_asking, S(CLAIMING) | S(STOPPED) | STARTS),
	    DO(eval_asking, S(PULLING) | S(STOPPED) | STARTS),
	    DO(eval_starting, S(STARTING) | STOPS),
	    DO(eval_running, S(RUNNING) | STOPS | STARTS),
	    STAY(nothing, STOPPING),
	    DO(eval_failed, S(FAILED) | S(CLEANING) | STOPS)),
	ROW(OK, DO(ok_cleaning, S(CLEANING) | S(STOPPED)),
	    STAY(nothing, STOPPED), STAY(nothing, CLAIMING),
	    STAY(nothing, PULLING), DO(ok_starting, STARTS | STOPS),
	    DO(ok_running, S(RUNNING) | STOPS),
	    DO(ok_stopping, STOPS | STARTS), STAY(nothing, FAILED)),
	ROW(BAD, DO(fail, S(FAILED)), STAY(nothing, STOPPED),
	    STAY(nothing, CLAIMING), STAY(nothing, PULLING),
	    DO(bad_starting, STOPS), DO(bad_running, S(RUNNING) | STOPS | STARTS),
	    DO(bad_stopping, S(STOPPING) | S(FAILED)), STAY(nothing, FAILED)),
	ROW(CLAIM, STAY(deny, CLEANING), STAY(grant, STOPPED),
	    DO(claim_claiming, S(CLAIMING) | S(STOPPED)), STAY(deny, PULLING),
	    STAY(deny, STARTING), STAY(deny, RUNNING), STAY(deny, STOPPING),
	    STAY(deny, FAILED)),
	ROW(PULL, STAY(deny, CLEANING), STAY(grant, STOPPED),
	    DO(claim_claiming, S(CLAIMING) | S(STOPPED)), STAY(deny, PULLING),
	    STAY(deny, STARTING), DO(pull_running, S(RUNNING) | STOPS),
	    STAY(pull_stopping, STOPPING), STAY(deny, FAILED)),
	ROW(GRANT, STAY(nothing, CLEANING), STAY(nothing, STOPPED),
	    DO(granted, STARTS | S(STOPPED) | S(CLAIMING)),
	    DO(granted, STARTS | S(STOPPED) | S(PULLING)),
	    STAY(nothing, STARTING), STAY(nothing, RUNNING),
	    STAY(nothing, STOPPING), STAY(nothing, FAILED)),
	ROW(DENY, STAY(nothing, CLEANING), STAY(nothing, STOPPED),
	    DO(denied, S(STOPPED) | S(CLAIMING)),
	    DO(denied, S(STOPPED) | S(PULLING)), STAY(nothing, STARTING),
	    STAY(nothing, RUNNING), STAY(nothing, STOPPING),
	    STAY(nothing, FAILED)),
};
/* clang-format on */

void
svc_input(struct svc *s, struct unit *u, enum svc_in in)
{
	const struct cell *cell;

	ASSERT((unsigned)in < SVC_IN_N);
	if (s->ops->cell != NULL)
		s->ops->cell(s->ctx, in, u->state);
	cell = &table[in][u->state];
	cell->act(s, u);
	ASSERT((cell->next >> u->state & 1) != 0);
}

/* R11: a check that does not answer in time only degrades. */
static void
probe_late(struct svc *s, struct unit *u)
{
	u->cycle_late = true;
	if (u->degraded)
		return;
	u->degraded = true;
	svc_say(s, HAD_WARN, "R11", u,
	    "a check on %s did not answer in time: degraded, nothing moves",
	    svc_node_name(s, s->self));
}

/* The answer to the step under way. */
void
svc_done(
    struct svc *s, struct unit *u, enum svc_result result, const char *text)
{
	ASSERT(u->busy);
	u->busy = false;
	if (text == NULL || text[0] == '\0')
		text = svc_result_name(result);
	/* What it died of when it was ended is not the cause. */
	if (result == SVC_RES_TIMEOUT &&
	    strcmp(text, svc_result_name(result)) != 0)
		snprintf(u->error, sizeof(u->error), "%s: %.70s",
		    svc_result_name(result), text);
	else if (result != SVC_RES_OK)
		snprintf(u->error, sizeof(u->error), "%.90s", text);
	if (result == SVC_RES_TIMEOUT && u->action == SVC_DO_STATUS) {
		if (!u->stop_wanted)
			probe_late(s, u);
		svc_input(s, u, SVC_IN_OK);
		return;
	}
	svc_input(s, u, result == SVC_RES_OK ? SVC_IN_OK : SVC_IN_BAD);
}

/* The step under way is late; or its cancellation is. */
void
svc_deadline(struct svc *s, struct unit *u)
{
	if (!u->busy || mt_before(s->now, u->deadline))
		return;
	if (!u->cancelled) {
		cancel(s, u);
		return;
	}
	svc_say(s, HAD_ERR, "service", u,
	    "step %u was not even cancelled in time", u->step + 1u);
	/* Whatever is answered later has an old token. */
	svc_done(s, u, SVC_RES_TIMEOUT, NULL);
}

/* An operator wants it here. */
void
svc_pull(struct svc *s, struct unit *u)
{
	ASSERT(u->state == SVC_STOPPED && svc_peer_here(s));
	u->claim = ++s->serial;
	u->claim_at = mt_add_ms(s->now, SVC_RESEND_MS);
	set_state(s, u, SVC_PULLING, "taken over");
	svc_send(s, SVC_MSG_PULL, u, u->claim, NULL);
}

monotime_t
svc_unit_deadline(const struct svc *s, const struct unit *u)
{
	monotime_t at = svc_plan_deadline(s, u);

	if (u->busy)
		at = mt_min(at, u->deadline);
	if (u->state == SVC_CLAIMING || u->state == SVC_PULLING)
		at = mt_min(at, u->claim_at);
	if (u->state == SVC_FAILED)
		at = mt_min(at, u->retry_at);
	if (u->state == SVC_RUNNING && !u->busy &&
	    s->view.right != SVC_RIGHT_DOUBT)
		at = mt_min(at, u->check_at);
	return at;
}
