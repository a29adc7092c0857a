/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients of the lock manager on both nodes.  What each believes to hold is
 * judged at true time: a right begins when the daemon says so and ends when
 * the client lets go, or is told that it is lost (plus the grace that it was
 * promised), or loses its daemon.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static const char *const names[LOCK_NAMES] = {"a", "bb", "ccc"};

static struct locker *
locker_of(struct host *h, uint32_t slot)
{
	ASSERT(slot < LOCKERS);
	return &h->w->locker[h->idx * LOCKERS + slot];
}

static void
lock_mail(struct locker *l, enum nd_ev type, const void *bytes, size_t len)
{
	struct mail *m = mail_bytes(l->h, type, FROM_LOCK, bytes, len);

	m->e.u.lock.client = l->slot;
	m->e.u.lock.uid = 1000 + l->slot;
	m->e.u.lock.gid = 1000;
	m->e.u.lock.pid = 100 + l->slot;
	m->e.u.lock.spaces = 1;
	deliver_in(l->h, m, 30);
}

static void
request(struct locker *l, struct lkp_req *r)
{
	uint8_t bytes[LKP_HDR_LEN + LKP_REQ_LEN];

	r->space = l->space;
	r->cookie = l->cookie = ++l->h->w->cookie;
	detail(l->h->w,
	    "%s client %u: op %u mode %u on %s, lock %llx, cookie %llu",
	    l->h->name, l->slot, r->op, r->mode, names[l->name],
	    (unsigned long long)r->lock, (unsigned long long)r->cookie);
	lkp_put_hdr(bytes, 1);
	lkp_put_req(bytes + LKP_HDR_LEN, r);
	lock_mail(l, ND_EV_LOCK_MSG, bytes, sizeof(bytes));
}

/* R7: its locks had to end while it stood still, and nothing in it could. */
static bool
overdue(struct host *h)
{
	const struct mb_status *m = &status(h)->member;
	int64_t ms = h->w->conf->t.self_demote_ms;

	return ms != 0 && m->n_peers > 0 &&
	       m->peers[0].verdict == MB_PEER_SILENT &&
	       local_of(h, h->w->sim->now) - m->peers[0].mutual.us >= ms * MS;
}

/* R8: it will find itself in doubt, whatever the length of the pause. */
static bool
unheard(struct host *h)
{
	const struct mb_status *m = &status(h)->member;

	return m->self == MB_PAIRED && m->n_peers > 0 &&
	       m->peers[0].verdict == MB_PEER_ALIVE &&
	       local_of(h, h->w->sim->now) - m->peers[0].mutual.us >=
		   h->w->conf->t.dead_ms * MS;
}

/*
 * A frozen daemon cannot tell its clients anything, and a thawed one does not
 * know yet: what fencing tokens are for.
 */
static bool
deaf(struct host *h)
{
	const struct world *w = h->w;

	if (h->misled)
		return true;
	/* Until its daemon has looked at anything, or at its clock. */
	if ((h->paused || h->waking) && h->running &&
	    (overdue(h) || unheard(h) ||
		w->sim->now - h->paused_at > (int64_t)w->conf->t.lease_ms * MS))
		return true;
	/* Also if it has stopped again before it was out of doubt. */
	return h->running && status(h)->member.self == MB_DOUBT;
}

static bool
believes(const struct locker *l)
{
	return l->holds && l->h->w->sim->now < l->held_until;
}

static void
judge_grant(struct world *w, struct locker *l)
{
	/* Of a machine that stood still: its tokens are behind. */
	if (l->h->misled) {
		w->excused++;
		return;
	}
	for (unsigned i = 0; i < NITEMS(w->locker); i++) {
		struct locker *k = &w->locker[i];

		if (k == l || !believes(k) || k->held_name != l->held_name ||
		    lkm_compat(k->held_mode, l->held_mode))
			continue;
		if (k->misled || deaf(k->h)) {
			w->excused++;
			continue;
		}
		violation(w, "I3",
		    "%s client %u is granted %s on %s while %s client %u "
		    "holds %s",
		    l->h->name, l->slot, lkm_name(l->held_mode),
		    names[l->held_name], k->h->name, k->slot,
		    lkm_name(k->held_mode));
		return;
	}
	for (unsigned m = 0; m < LKM_COUNT; m++) {
		uint64_t *max = &w->max_token[l->held_name][m];

		if (!lkm_compat(m, l->held_mode) && l->token <= *max)
			violation(w, "I3",
			    "%s client %u: token %llu of %s after %llu",
			    l->h->name, l->slot, (unsigned long long)l->token,
			    names[l->held_name], (unsigned long long)*max);
	}
	if (l->token > w->max_token[l->held_name][l->held_mode])
		w->max_token[l->held_name][l->held_mode] = l->token;
}

static void
granted(struct world *w, struct locker *l, const struct lkp_ans *a)
{
	w->grants++;
	l->state = LK_HELD;
	l->mode = l->held_mode = a->mode;
	l->held_name = l->name;
	l->lock = a->lock;
	l->token = a->token;
	l->holds = true;
	l->held_until = NEVER;
	l->misled = false;
	detail(w, "%s client %u holds %s on %s, token %llx", l->h->name,
	    l->slot, lkm_name(l->mode), names[l->name],
	    (unsigned long long)l->token);
	judge_grant(w, l);
}

static void
dropped(struct locker *l, int64_t grace_ms)
{
	/* It may use up the grace that it was promised, and does. */
	if (l->holds && l->held_until == NEVER) {
		l->held_until = l->h->w->sim->now + grace_ms * MS * 97 / 100;
		l->misled = l->h->misled;
	}
	/* A request under way has an answer of its own. */
	if (l->state == LK_HELD)
		l->state = LK_IDLE;
	else if (l->state == LK_CONVERT)
		l->state = LK_UNLOCK;
	l->lock = 0;
}

static void
done(struct world *w, struct locker *l, const struct lkp_ans *a)
{
	if (a->cookie != l->cookie)
		return;
	switch (l->state) {
	case LK_ASKED:
		if (a->status == LKE_OK)
			granted(w, l, a);
		else
			l->state = LK_IDLE;
		break;
	case LK_CONVERT:
		if (a->status == LKE_OK) {
			granted(w, l, a);
		} else {
			l->state = LK_HELD;
			l->held_mode = l->mode; /* kept */
		}
		break;
	case LK_UNLOCK:
		l->state = LK_IDLE;
		l->lock = 0;
		break;
	case LK_IDLE:
	case LK_HELD:
		break;
	}
}

static void
space_event(struct world *w, struct locker *l, const struct lkp_ans *a)
{
	detail(w, "%s client %u: lockspace event %u, %u ms", l->h->name,
	    l->slot, a->arg, a->ms);
	if (a->arg == LKP_LOST_ALL)
		dropped(l, a->ms);
}

void
lock_answer(struct host *h, uint32_t client, const uint8_t *bytes, size_t len)
{
	struct world *w = h->w;
	struct locker *l = locker_of(h, client);
	const char *why = "";
	int n = lkp_get_hdr(bytes, len, LKP_ANS_LEN, &why);

	mix_bytes(w, bytes, len);
	if (n < 0) {
		violation(w, "contract", "answer to a lock client: %s", why);
		return;
	}
	for (int i = 0; i < n; i++) {
		struct lkp_ans a;

		if (lkp_get_ans(&a,
			bytes + LKP_HDR_LEN + (size_t)i * LKP_ANS_LEN,
			&why) < 0) {
			violation(
			    w, "contract", "answer to a lock client: %s", why);
			return;
		}
		if (a.type == LKP_OPENED) {
			l->opened = a.status == LKE_OK;
			l->space = a.space;
		} else if (a.type == LKP_QUEUED && a.cookie == l->cookie) {
			l->lock = a.lock;
		} else if (a.type == LKP_DONE) {
			done(w, l, &a);
		} else if (a.type == LKP_SPACE) {
			space_event(w, l, &a);
		} else if (a.type == LKP_LOST && a.lock == l->lock) {
			dropped(l, a.ms);
		} else if (a.type == LKP_ERROR) {
			violation(w, "contract",
			    "%s: the daemon hangs up on client %u", h->name,
			    client);
		}
	}
}

void
lock_hangup(struct host *h, uint32_t client, const char *why)
{
	violation(h->w, "contract", "%s hangs up on client %u: %s", h->name,
	    client, why);
}

/* EOF: the library gives up what it held at once. */
void
lock_killed(struct host *h)
{
	for (unsigned i = 0; i < LOCKERS; i++) {
		struct locker *l = locker_of(h, i);

		l->open = l->opened = l->holds = false;
		l->state = LK_IDLE;
		l->lock = 0;
	}
}

static void
lk_open(struct locker *l)
{
	struct lkp_req r = {.op = LKP_OPEN, .name_len = 7};

	l->open = true;
	l->opened = false;
	l->gen = l->h->gen;
	l->state = LK_IDLE;
	lock_mail(l, ND_EV_LOCK_OPEN, NULL, 0);
	memcpy(r.name, "default", 7);
	request(l, &r);
}

void
lock_boot(struct host *h)
{
	for (unsigned i = 0; i < LOCKERS; i++)
		lk_open(locker_of(h, i));
}

void
lock_ask(struct locker *l, uint8_t name, uint8_t mode, uint32_t flags)
{
	struct lkp_req r = {.op = LKP_LOCK, .mode = mode, .flags = flags};

	ASSERT(l->state == LK_IDLE);
	r.name_len = (uint8_t)strlen(names[name]);
	memcpy(r.name, names[name], r.name_len);
	l->name = name;
	l->want = mode;
	l->asked = l->h->w->sim->now;
	l->state = LK_ASKED;
	l->lock = 0;
	request(l, &r);
}

void
lock_release(struct locker *l)
{
	struct lkp_req r = {.op = LKP_UNLOCK, .lock = l->lock};

	ASSERT(l->state == LK_HELD);
	l->holds = false;
	l->state = LK_UNLOCK;
	request(l, &r);
}

/*
 * What is sure in both modes: a conversion may have been granted already when
 * its client does not know it yet.
 */
static uint8_t
meet(uint8_t a, uint8_t b)
{
	if ((a == LKM_CW && b == LKM_PR) || (a == LKM_PR && b == LKM_CW))
		return LKM_CR;
	return a < b ? a : b;
}

static void
convert(struct world *w, struct locker *l)
{
	struct lkp_req r = {.op = LKP_CONVERT, .lock = l->lock};
	uint8_t to = (uint8_t)rnd_in(w, 0, LKM_COUNT - 1);

	r.mode = to;
	r.flags = chance(w, 300) ? LKF_NOQUEUE : 0;
	r.timeout_ms = chance(w, 200) ? (uint32_t)rnd_in(w, 50, 2000) : 0;
	l->asked = w->sim->now;
	l->state = LK_CONVERT;
	l->want = to;
	l->held_mode = meet(l->mode, to);
	request(l, &r);
}

static void
cancel(struct locker *l)
{
	struct lkp_req r = {.op = LKP_CANCEL, .lock = l->lock};
	uint64_t cookie = l->cookie;

	request(l, &r);
	l->cookie = cookie; /* the request's own completion counts */
}

static void
play(struct world *w, struct locker *l)
{
	int dice = (int)rnd_in(w, 0, 99);

	if (!l->opened)
		return;
	switch (l->state) {
	case LK_IDLE:
		if (!w->lock_calm)
			lock_ask(l, (uint8_t)rnd_in(w, 0, LOCK_NAMES - 1),
			    dice < 40   ? LKM_EX
			    : dice < 60 ? LKM_PR
					: (uint8_t)rnd_in(w, 0, LKM_COUNT - 1),
			    chance(w, 200) ? LKF_NOQUEUE : 0);
		break;
	case LK_HELD:
		if (w->lock_calm || dice < 60)
			lock_release(l);
		else
			convert(w, l);
		break;
	case LK_ASKED:
	case LK_CONVERT:
		if (dice < 4 && l->lock != 0)
			cancel(l);
		/* Its process is killed: EOF, and another one comes. */
		else if (dice == 5 && !w->lock_calm) {
			l->holds = false;
			lock_mail(l, ND_EV_LOCK_EOF, NULL, 0);
			lk_open(l);
		}
		break;
	case LK_UNLOCK:
		break;
	}
}

static void
ev_locks(struct world *w, struct ev *e)
{
	(void)e;
	at(w,
	    w->sim->now + (w->lock_gap_us > 0 ? rnd_in(w, 1, 2 * w->lock_gap_us)
					      : 50 * MS),
	    ev_locks, NULL, 0);
	if (w->lock_gap_us > 0) {
		struct locker *l =
		    &w->locker[rnd_in(w, 0, w->n_hosts * LOCKERS - 1)];

		if (l->h->running && l->open && !l->h->frozen)
			play(w, l);
	}
}

bool
lock_idle(const struct world *w)
{
	for (unsigned i = 0; i < NITEMS(w->locker); i++)
		if (w->locker[i].state != LK_IDLE)
			return false;
	return true;
}

/* What each daemon knows of its locks, into the trace. */
static void
lock_dump(struct world *w)
{
	for (unsigned i = 0; i < w->n_hosts; i++) {
		struct lk_iter it = {0};
		struct lk_row r;

		while (w->host[i].running &&
		       lk_status_next(nd_locks(w->host[i].nd), &it, &r))
			say(w,
			    "  %s: %.*s node %u lock %llx %s %s>%s master %u "
			    "pid %u %s",
			    w->host[i].name, r.name_len, (const char *)r.name,
			    r.node, (unsigned long long)r.lock,
			    lk_row_state_name(r.state), lkm_name(r.mode),
			    lkm_name(r.rqmode), r.master, r.pid, r.why);
	}
}

const char *
lock_stuck(struct world *w)
{
	static const char *const states[] = {
	    "idle", "asked", "holds", "converts", "unlocks"};
	static char text[120];

	lock_dump(w);
	for (unsigned i = 0; i < NITEMS(w->locker); i++) {
		const struct locker *l = &w->locker[i];

		if (l->state == LK_IDLE)
			continue;
		snprintf(text, sizeof(text),
		    "%s client %u %s %s (%s) on %s for %lld ms", l->h->name,
		    l->slot, states[l->state], lkm_name(l->mode),
		    lkm_name(l->want), names[l->name],
		    (long long)((w->sim->now - l->asked) / MS));
		return text;
	}
	return "nobody";
}

void
lock_init(struct world *w)
{
	for (unsigned i = 0; i < NITEMS(w->locker); i++) {
		w->locker[i].h = &w->host[i / LOCKERS];
		w->locker[i].slot = i % LOCKERS;
	}
	at(w, w->sim->now, ev_locks, NULL, 0);
}
