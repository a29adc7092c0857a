/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared addresses, the pure core.  See share.h.
 *
 * Every event changes what is known; settle then does what follows from all
 * of it, in whatever state.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "share.h"

struct share {
	struct share_conf conf;
	const struct share_ops *ops; /* borrowed */
	void *ctx; /* borrowed */
	bool stepping;
	monotime_t now;

	enum share_state state;
	monotime_t since;
	struct share_view view;
	bool stopping, done;
	/* The guard has been emptied since the right, or the lease, ended. */
	bool clean;
	bool vouched; /* as told */

	/* What the kernel may let through; exact: that and nothing less. */
	uint64_t held;
	bool exact;
	bool flying; /* an order to the guard is under way */
	uint32_t flight; /* its number */
	uint64_t ordered; /* and what it says */
	bool failed; /* wait for retry_at */
	monotime_t retry_at, armed;

	struct share_word said; /* the last one; seq grows with each */
	bool say; /* anew, although nothing has changed */
	bool again; /* and an answer is wanted once more */
	bool told; /* the peer's word is known */
	bool valid; /* and it answers the last question */
	struct share_word peer;

	uint64_t n_failed, n_moved;
};

const char *
share_state_name(enum share_state s)
{
#define X(n) #n,
	static const char *const names[] = {SHARE_STATES(X)};
#undef X

	ASSERT(s < SHARE_STATE_N);
	return names[s];
}

const char *
share_ev_name(enum share_ev e)
{
#define X(n) #n,
	static const char *const names[] = {SHARE_EVENTS(X)};
#undef X

	ASSERT(e < SHARE_EV_N);
	return names[e];
}

void
share_mac(uint8_t mac[6], uint8_t family, const uint8_t bytes[16])
{
	static const uint8_t ip4[4] = {0x01, 0x00, 0x5e, 0x7f};
	static const uint8_t ip6[3] = {0x33, 0x33, 0xff};

	ASSERT(family == 4 || family == 6);
	if (family == 4) {
		memcpy(mac, ip4, 4);
		memcpy(mac + 4, bytes + 2, 2);
	} else {
		memcpy(mac, ip6, 3);
		memcpy(mac + 3, bytes + 13, 3);
	}
}

struct share *
share_new(const struct share_conf *conf, const struct share_ops *ops, void *ctx)
{
	struct share *s;

	ASSERT(conf->half != 0 && conf->half != SHARE_EVERY);
	ASSERT(conf->retry_ms > 0);
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->conf = *conf;
	s->ops = ops;
	s->ctx = ctx;
	s->retry_at = s->armed = MT_NEVER;
	return s;
}

void
share_free(struct share *s)
{
	free(s);
}

/* A new question: what the peer said before it is no answer. */
static void
ask(struct share *s)
{
	if (++s->said.ask == 0)
		s->said.ask = 1;
	s->valid = false;
	s->say = true;
}

/* Whatever the guard has, it shall have nothing before it is opened again. */
static void
empty(struct share *s)
{
	s->clean = false;
	s->exact = false;
}

static void
forget_peer(struct share *s)
{
	s->told = false;
	ask(s);
}

/* Order what the guard accepts; until it has answered both may hold. */
static void
serve(struct share *s, uint64_t buckets)
{
	ASSERT(!s->flying);
	s->flying = true;
	s->flight++;
	s->ordered = buckets;
	s->held |= buckets;
	s->exact = false;
	s->ops->serve(s->ctx, s->flight, buckets);
}

static bool
entitled(const struct share *s)
{
	return s->view.right && s->clean && !s->stopping;
}

/* What this node means to serve as long as the peer acts, too. */
static uint64_t
wanted(const struct share *s)
{
	if (!entitled(s))
		return 0;
	if (s->told && s->peer.good > s->view.good)
		return 0;
	return s->conf.half;
}

static uint64_t
desired(const struct share *s, uint64_t want)
{
	if (!entitled(s))
		return 0;
	/* Who has all keeps it until the other speaks up. */
	if (s->view.life == SHARE_PEER_DEAD || !s->told)
		return SHARE_EVERY;
	/* It does not know yet that it will leave all to this node. */
	if (want != 0 && s->peer.good < s->view.good)
		return SHARE_EVERY;
	if (want != 0)
		return ~s->peer.want;
	return s->peer.want != 0 ? 0 : SHARE_EVERY;
}

/* What may be served at once, from all that is known. */
static uint64_t
allowed(const struct share *s)
{
	if (s->view.life == SHARE_PEER_DEAD)
		return SHARE_EVERY;
	if (s->view.life == SHARE_PEER_ALIVE && s->valid)
		return s->held | ~s->peer.bound;
	return s->held;
}

static bool
same_word(const struct share_word *a, const struct share_word *b)
{
	return a->ask == b->ask && a->answer == b->answer &&
	       a->good == b->good && a->bound == b->bound && a->want == b->want;
}

/* Says it if it differs from what was said last. */
static void
say(struct share *s, const struct share_word *w)
{
	if (!s->say && same_word(w, &s->said))
		return;
	s->said = *w;
	s->said.again = s->again && !s->valid;
	s->say = s->again = false;
	if (++s->said.seq == 0)
		s->said.seq = 1;
	s->ops->say(s->ctx, &s->said);
	s->said.again = false;
}

static enum share_state
state_of(const struct share *s)
{
	if (s->done)
		return SHARE_STOPPED;
	if (!entitled(s))
		return SHARE_WAITING;
	if (s->held == 0)
		return SHARE_ASKING;
	return s->held == SHARE_EVERY ? SHARE_WHOLE : SHARE_SHARING;
}

static void
set_state(struct share *s)
{
	enum share_state to = state_of(s);
	char text[160];

	if (to == s->state)
		return;
	snprintf(text, sizeof(text),
	    "%s -> %s: serves %d of %d shares; this node %s, its peer %s",
	    share_state_name(s->state), share_state_name(to),
	    __builtin_popcountll(s->held), SHARE_BUCKETS,
	    s->stopping     ? "stops"
	    : entitled(s)   ? "may act"
	    : s->view.right ? "was late with its lease"
			    : "may not act",
	    s->view.life == SHARE_PEER_DEAD      ? "is dead or has left"
	    : s->view.life == SHARE_PEER_UNKNOWN ? "is not heard"
	    : s->told && s->peer.want == 0       ? "leaves all to it"
						 : "is alive");
	s->state = to;
	s->since = s->now;
	s->ops->note(s->ctx, HAD_INFO, "", "shared addresses", text);
}

/* What failed, and a question without an answer, is repeated. */
static void
arm(struct share *s)
{
	bool unanswered = s->view.life == SHARE_PEER_ALIVE && entitled(s) &&
			  !s->valid && !s->done;

	if (!s->failed && !unanswered)
		s->retry_at = MT_NEVER;
	else if (s->retry_at.us == MT_NEVER.us)
		s->retry_at = mt_add_ms(s->now, s->conf.retry_ms);
	if (s->retry_at.us == s->armed.us)
		return;
	s->armed = s->retry_at;
	s->ops->timer(s->ctx, s->retry_at);
}

static void
vouch(struct share *s)
{
	bool on = entitled(s);

	if (on == s->vouched)
		return;
	s->vouched = on;
	s->ops->vouch(s->ctx, on);
}

static void
settle(struct share *s)
{
	uint64_t want, wish, target;
	struct share_word w;

	want = wanted(s);
	wish = desired(s, want);
	/* To take what was not announced, announce it and ask. */
	if ((wish & ~s->said.bound) != 0)
		ask(s);
	target = wish & allowed(s);
	if (!s->flying && !s->failed && (target != s->held || !s->exact))
		serve(s, target);
	w = s->said;
	w.good = s->view.good;
	w.want = want;
	w.bound = wish | s->held;
	say(s, &w);
	vouch(s);
	/* A guard that fails is closed, and ends with the daemon. */
	if (s->stopping && !s->done && !s->flying &&
	    (s->failed || (s->held == 0 && s->exact))) {
		s->done = true;
		s->ops->done(s->ctx);
	}
	set_state(s);
	arm(s);
}

static void
on_view(struct share *s, const struct share_view *v)
{
	bool lost = s->view.right && !v->right;

	if (v->incarnation != s->view.incarnation) {
		/* Another daemon: it counts from somewhere else. */
		memset(&s->peer, 0, sizeof(s->peer));
		s->said.answer = 0;
		forget_peer(s);
	} else if (lost || (v->life == SHARE_PEER_ALIVE &&
			       s->view.life != SHARE_PEER_ALIVE))
		forget_peer(s);
	s->view = *v;
	if (lost)
		empty(s);
}

static void
on_word(struct share *s, const struct share_word *w)
{
	/* By number, in case that a later one was faster. */
	if ((int32_t)(w->seq - s->peer.seq) <= 0 && s->peer.seq != 0)
		return;
	s->peer = *w;
	s->told = true;
	s->valid = w->answer == s->said.ask;
	/* It waits for this. */
	if (w->ask != s->said.answer || w->again)
		s->say = true;
	s->said.answer = w->ask;
}

static void
on_served(struct share *s, uint32_t seq, bool ok)
{
	ASSERT(s->flying && seq == s->flight);
	s->flying = false;
	if (!ok) {
		s->n_failed++;
		s->failed = true;
		return;
	}
	s->n_moved++;
	s->held = s->ordered;
	s->exact = true;
	if (s->held == 0)
		s->clean = true;
}

static void
on_timer(struct share *s)
{
	if (mt_before(s->now, s->retry_at))
		return;
	s->retry_at = MT_NEVER;
	s->failed = false;
	s->again = s->say = true;
}

void
share_step(struct share *s, const struct share_event *e)
{
	ASSERT(!s->stepping);
	ASSERT((s->state == SHARE_OFF) == (e->type == SHARE_EV_START));
	s->stepping = true;
	s->now = e->now;
	if (s->ops->cell != NULL)
		s->ops->cell(s->ctx, e->type, s->state);
	switch (e->type) {
	case SHARE_EV_START:
		s->said.ask = e->u.start.seed;
		ask(s);
		break;
	case SHARE_EV_TIMER:
		s->armed = MT_NEVER;
		on_timer(s);
		break;
	case SHARE_EV_VIEW:
		on_view(s, &e->u.view);
		break;
	case SHARE_EV_HELLO:
		s->say = true;
		break;
	case SHARE_EV_WORD:
		on_word(s, &e->u.word);
		break;
	case SHARE_EV_SERVED:
		on_served(s, e->u.served.seq, e->u.served.ok);
		break;
	case SHARE_EV_LAPSED:
		empty(s);
		forget_peer(s);
		break;
	case SHARE_EV_STOP:
		s->stopping = true;
		break;
	case SHARE_EV_N:
		ASSERT(false);
	}
	settle(s);
	s->stepping = false;
}

void
share_status(const struct share *s, struct share_status *st)
{
	*st = (struct share_status){
	    .state = s->state,
	    .since = s->since,
	    .serves = s->held,
	    .exact = s->exact,
	    .failed = s->n_failed,
	    .moved = s->n_moved,
	};
}
