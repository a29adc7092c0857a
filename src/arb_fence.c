/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fence agents.  Each level is switched off and then asked until it says that
 * the peer is off, or until its deadline; what an agent says about "off" alone
 * counts for nothing (R3).
 */
#include <stdio.h>
#include <string.h>

#include "arb_int.h"

static void
run(struct arb *a, struct arb_peer *p, enum arb_action action)
{
	ASSERT(p->token == 0 && p->level < p->n_levels);
	if (++a->token == 0)
		a->token = 1;
	p->token = a->token;
	p->action = action;
	p->next_at = MT_NEVER;
	a->ops->fence(a->ctx, p->id, p->level, action, p->token);
}

/* Its answer, should there be one, counts no more. */
void
arb_fence_stop(struct arb *a, struct arb_peer *p)
{
	uint32_t token = p->token;

	p->token = 0;
	p->next_at = p->deadline = MT_NEVER;
	if (token != 0)
		a->ops->cancel(a->ctx, token);
}

/*
 * R4: when to fire.  The one with the lease at once.  Without voters the one
 * that holds data.  With voters that do not answer it may be the peer who has
 * the lease and fires already, so that one waits as well; and the other twice
 * as long, because nobody may hear the voters.  Where neither holds data
 * both would wait alike: the higher id waits once more.
 */
monotime_t
arb_fence_delay(const struct arb *a, const struct arb_peer *p)
{
	uint32_t delay = 2 * p->fence_ms, turns = 1;

	if (p->leased || (a->conf.n_voters == 0 && p->active))
		return a->now;
	if (delay < ARB_DELAY_MS)
		delay = ARB_DELAY_MS;
	if (!p->active)
		turns += (a->conf.n_voters > 0) + p->waits;
	return mt_add_ms(a->now, (int64_t)turns * delay);
}

void
arb_fence_fire(struct arb *a, struct arb_peer *p)
{
	ASSERT(p->level < p->n_levels && p->token == 0);
	p->began = a->now;
	p->deadline = mt_add_ms(a->now, p->timeout_ms[p->level]);
	arb_say(a, HAD_WARN, "R3", p, "fence level %u: %s, off", p->level + 1u,
	    p->agent[p->level]);
	arb_set(a, p, ARB_OFF, "an agent is told");
	run(a, p, ARB_DO_OFF);
}

static void
frozen(struct arb *a, struct arb_peer *p)
{
	arb_set(a, p, ARB_FROZEN, "no fence agent and no voter could decide");
	arb_verdict(a, p, ARB_VERDICT_FROZEN, "R5",
	    "no fence agent and no voter could decide");
}

/* R5: the next level; after the last one voters may still decide. */
static void
level_failed(struct arb *a, struct arb_peer *p, const char *how)
{
	arb_say(a, HAD_ERR, "R5", p, "fence level %u: %s %s%s%s", p->level + 1u,
	    p->agent[p->level], how, p->last[0] != '\0' ? ": " : "", p->last);
	arb_fence_stop(a, p);
	if (++p->level < p->n_levels) {
		arb_fence_fire(a, p);
		return;
	}
	p->exhausted = true;
	if (p->leased)
		arb_set(a, p, ARB_WON, "the lease is enough");
	else if (a->conf.n_voters > 0 && arb_tally(a) == TALLY_OPEN)
		arb_set(a, p, ARB_ASK, "no level is left, voters are");
	else
		frozen(a, p);
}

/* R1: only questions. */
void
arb_fence_verify(struct arb *a, struct arb_peer *p)
{
	p->deadline = mt_add_ms(a->now, p->timeout_ms[p->level]);
	run(a, p, ARB_DO_STATUS);
}

static void
verify_failed(struct arb *a, struct arb_peer *p)
{
	arb_fence_stop(a, p);
	if (++p->level < p->n_levels) {
		arb_fence_verify(a, p);
		return;
	}
	p->level = 0;
	p->next_at = mt_add_ms(a->now, p->verify_ms);
	p->verify_ms *= 2;
	if (p->verify_ms > ARB_RETRY_MAX_MS)
		p->verify_ms = ARB_RETRY_MAX_MS;
}

void
arb_fence_tick(struct arb *a, struct arb_peer *p, const struct arb_event *e)
{
	(void)e;
	if (!mt_before(a->now, p->deadline)) {
		bool hangs = p->token != 0;

		/* What it said before is not why. */
		if (hangs)
			p->last[0] = '\0';
		if (p->state == ARB_VERIFY)
			verify_failed(a, p);
		else
			level_failed(a, p,
			    hangs ? "did not answer in time"
				  : "did not verify in time that it is off");
		return;
	}
	if (mt_before(a->now, p->next_at))
		return;
	p->next_at = MT_NEVER;
	if (p->state == ARB_WAIT)
		arb_fence_fire(a, p);
	else if (p->state == ARB_VERIFY)
		arb_fence_verify(a, p);
	else if (p->state == ARB_CHECK)
		run(a, p, ARB_DO_STATUS);
}

static void
is_off(struct arb *a, struct arb_peer *p)
{
	char text[ARB_TEXT + HAD_NAME_MAX];

	if (p->state == ARB_CHECK) {
		p->fence_ms = (uint32_t)(mt_sub_us(a->now, p->began) / 1000);
		if (p->fence_ms == 0)
			p->fence_ms = 1;
	}
	snprintf(
	    text, sizeof(text), "%s says that it is off", p->agent[p->level]);
	arb_fence_stop(a, p);
	p->off = true;
	arb_set(a, p, ARB_WON, "verified off");
	arb_verdict(a, p, ARB_VERDICT_OFF, "R3", text);
}

/* An agent of this peer has ended. */
void
arb_fence_done(struct arb *a, struct arb_peer *p, const struct arb_event *e)
{
	enum arb_result res = e->u.fenced.result;

	p->token = 0;
	snprintf(p->last, sizeof(p->last), "%s",
	    e->u.fenced.text != NULL ? e->u.fenced.text : "");
	if (p->action == ARB_DO_STATUS && res == ARB_RES_IS_OFF) {
		is_off(a, p);
	} else if (p->state == ARB_VERIFY) {
		verify_failed(a, p);
	} else if (p->action == ARB_DO_OFF) {
		if (res != ARB_RES_OK) {
			level_failed(a, p,
			    res == ARB_RES_TIMEOUT ? "did not answer in time"
						   : "failed");
			return;
		}
		arb_set(a, p, ARB_CHECK, "the agent says so: is it true?");
		run(a, p, ARB_DO_STATUS);
	} else {
		/* Not yet, or it cannot say: until the deadline. */
		p->next_at = mt_add_ms(a->now, ARB_POLL_MS);
	}
}

/* Tests: monitor, then status, of every level. */
static void
test_next(struct arb *a, struct arb_peer *p, enum arb_action action)
{
	p->deadline = mt_add_ms(a->now, p->timeout_ms[p->level]);
	run(a, p, action);
}

void
arb_test_end(struct arb *a, struct arb_peer *p, const char *why)
{
	size_t used = strlen(p->report);

	if (!p->testing)
		return;
	p->testing = false;
	p->level = 0;
	arb_fence_stop(a, p);
	/* One that was given up says nothing about the agents. */
	if (why != NULL) {
		snprintf(
		    p->report + used, sizeof(p->report) - used, "%s\n", why);
		a->ops->reply(a->ctx, p->test_token, false, p->report);
		return;
	}
	p->tested = a->now;
	p->test_ok = !p->test_bad;
	if (p->test_ok)
		p->exhausted = false;
	arb_say(a, p->test_ok ? HAD_INFO : HAD_ERR, "R5", p, "fence test %s",
	    p->test_ok ? "passed" : "failed");
	a->ops->reply(a->ctx, p->test_token, p->test_ok, p->report);
}

void
arb_test(struct arb *a, struct arb_peer *p, const struct arb_event *e)
{
	if (p->n_levels == 0 || p->testing) {
		a->ops->reply(a->ctx, e->u.test.token, false,
		    p->testing ? "a test is under way already"
			       : "no fence agent is configured for it");
		return;
	}
	p->testing = true;
	p->test_bad = false;
	p->test_token = e->u.test.token;
	p->level = 0;
	p->report[0] = '\0';
	test_next(a, p, ARB_DO_MONITOR);
}

static const char *
result_text(enum arb_result r)
{
	switch (r) {
	case ARB_RES_OK:
		return "ok";
	case ARB_RES_IS_ON:
		return "on";
	case ARB_RES_IS_OFF:
		return "off";
	case ARB_RES_FAILED:
		return "failed";
	case ARB_RES_TIMEOUT:
		break;
	}
	return "no answer in time";
}

void
arb_test_done(struct arb *a, struct arb_peer *p, const struct arb_event *e)
{
	enum arb_result res = e->u.fenced.result;
	const char *text = e->u.fenced.text;
	size_t used = strlen(p->report);
	bool ok = p->action == ARB_DO_MONITOR
		      ? res == ARB_RES_OK
		      : res == ARB_RES_IS_ON || res == ARB_RES_IS_OFF;

	p->token = 0;
	p->test_bad |= !ok;
	snprintf(p->report + used, sizeof(p->report) - used,
	    "level %u: %s: %s: %s%s%.*s\n", p->level + 1u, p->agent[p->level],
	    p->action == ARB_DO_MONITOR ? "monitor" : "status",
	    result_text(res), text != NULL && text[0] != '\0' ? ": " : "",
	    ARB_TEXT - 1, text != NULL ? text : "");
	if (p->action == ARB_DO_MONITOR)
		test_next(a, p, ARB_DO_STATUS);
	else if (++p->level < p->n_levels)
		test_next(a, p, ARB_DO_MONITOR);
	else
		arb_test_end(a, p, NULL);
}
