/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Liveness of one link.  Only a beat that is newer than all before refreshes
 * it: one that was delayed says nothing about now.
 */
#include "link.h"

#include <string.h>

/* A round trip beyond this is a clock gone wrong, not a measurement. */
enum { LNK_RTT_MAX_US = 60 * 1000 * 1000 };

const char *
lnk_state_text(enum lnk_state state)
{
	static const char *const texts[] = {
#define X(name, text) [name] = #text,
	    LNK_STATES(X)
#undef X
	};

	ASSERT((unsigned)state < NITEMS(texts));
	return texts[state];
}

/* The only place that sets the state. */
static struct lnk_change
lnk_become(struct lnk *l, enum lnk_state to, const char *why, monotime_t now)
{
	struct lnk_change change = {l->state, to, why};

	ASSERT(to != LNK_UP || l->carrier);
	if (to == l->state)
		return change;
	l->state = to;
	l->since = now;
	if (to == LNK_LATE)
		l->late++;
	if (to == LNK_DOWN)
		l->downs++;
	return change;
}

static struct lnk_change
lnk_same(const struct lnk *l)
{
	return (struct lnk_change){l->state, l->state, ""};
}

static int64_t
lnk_late_ms(const struct lnk *l)
{
	return (int64_t)l->conf.heartbeat_ms * LNK_LATE_BEATS;
}

void
lnk_init(struct lnk *l, const struct lnk_conf *conf, monotime_t now)
{
	ASSERT(conf->heartbeat_ms > 0);
	ASSERT(conf->dead_ms > conf->heartbeat_ms);
	memset(l, 0, sizeof(*l));
	l->conf = *conf;
	l->state = LNK_DOWN;
	l->carrier = true;
	l->since = now;
	l->heard_at = MT_NEVER;
	l->sent_at = MT_NEVER;
}

void
lnk_sent(struct lnk *l, monotime_t now)
{
	l->sent++;
	l->sent_at = now;
}

void
lnk_reset(struct lnk *l, monotime_t now)
{
	(void)now;
	l->peer_seq = 0;
	l->expected = 0;
	l->srtt_us = 0;
	l->rttvar_us = 0;
	memset(l->seen, 0, sizeof(l->seen));
}

/* Moves the window by n beats; bit 0 becomes the newest, not seen yet. */
static void
lnk_shift(struct lnk *l, uint64_t n)
{
	size_t i;

	if (n >= LNK_WINDOW) {
		memset(l->seen, 0, sizeof(l->seen));
		return;
	}
	for (; n >= 64; n -= 64) {
		for (i = NITEMS(l->seen) - 1; i > 0; i--)
			l->seen[i] = l->seen[i - 1];
		l->seen[0] = 0;
	}
	if (n == 0)
		return;
	for (i = NITEMS(l->seen) - 1; i > 0; i--)
		l->seen[i] = l->seen[i] << n | l->seen[i - 1] >> (64 - n);
	l->seen[0] <<= n;
}

/* Notes the sequence; true if it is newer than all before. */
static bool
lnk_count(struct lnk *l, uint64_t seq)
{
	uint64_t gap;

	if (l->expected == 0) {
		l->peer_seq = seq;
		l->expected = 1;
		l->seen[0] = 1;
		return true;
	}
	if (seq > l->peer_seq) {
		gap = seq - l->peer_seq;
		l->lost += gap - 1;
		lnk_shift(l, gap);
		l->expected = gap > LNK_WINDOW - l->expected
				  ? LNK_WINDOW
				  : l->expected + (uint32_t)gap;
		l->peer_seq = seq;
		l->seen[0] |= 1;
		return true;
	}
	gap = l->peer_seq - seq;
	if (gap >= l->expected || (l->seen[gap / 64] >> (gap % 64) & 1) != 0) {
		l->duplicate++;
		return false;
	}
	l->seen[gap / 64] |= UINT64_C(1) << (gap % 64);
	if (l->lost > 0)
		l->lost--;
	return false;
}

/* Smoothed as in RFC 6298. */
static void
lnk_rtt(struct lnk *l, int64_t sample_us)
{
	int64_t err;

	if (sample_us < 0 || sample_us > LNK_RTT_MAX_US)
		return;
	if (sample_us == 0)
		sample_us = 1;
	if (l->srtt_us == 0) {
		l->srtt_us = (uint32_t)sample_us;
		l->rttvar_us = (uint32_t)sample_us / 2;
		return;
	}
	err = sample_us - l->srtt_us;
	l->srtt_us = (uint32_t)(l->srtt_us + err / 8);
	if (l->srtt_us == 0)
		l->srtt_us = 1;
	l->rttvar_us =
	    (uint32_t)(((int64_t)l->rttvar_us * 3 + (err < 0 ? -err : err)) /
		       4);
}

struct lnk_change
lnk_heard(struct lnk *l, uint64_t seq, int64_t echo_us, uint32_t hold_us,
    monotime_t now)
{
	bool newest;

	l->received++;
	newest = lnk_count(l, seq);
	if (echo_us > 0 && echo_us <= now.us)
		lnk_rtt(l, now.us - echo_us - hold_us);
	if (!newest)
		return lnk_same(l);
	l->ever = true;
	l->heard_at = now;
	if (!l->carrier)
		return lnk_same(l);
	return lnk_become(l, LNK_UP, "heartbeat heard", now);
}

struct lnk_change
lnk_carrier(struct lnk *l, bool on, monotime_t now)
{
	if (l->carrier == on)
		return lnk_same(l);
	l->carrier = on;
	if (on)
		return lnk_same(l);
	return lnk_become(l, LNK_DOWN, "no carrier", now);
}

struct lnk_change
lnk_tick(struct lnk *l, monotime_t now)
{
	if (l->state == LNK_DOWN)
		return lnk_same(l);
	ASSERT(l->ever);
	if (!mt_before(now, mt_add_ms(l->heard_at, l->conf.dead_ms)))
		return lnk_become(l, LNK_DOWN, "silent", now);
	if (l->state == LNK_UP &&
	    !mt_before(now, mt_add_ms(l->heard_at, lnk_late_ms(l))))
		return lnk_become(l, LNK_LATE, "heartbeats late", now);
	return lnk_same(l);
}

monotime_t
lnk_next(const struct lnk *l)
{
	monotime_t dead;

	if (l->state == LNK_DOWN)
		return MT_NEVER;
	dead = mt_add_ms(l->heard_at, l->conf.dead_ms);
	if (l->state == LNK_LATE)
		return dead;
	return mt_min(dead, mt_add_ms(l->heard_at, lnk_late_ms(l)));
}

void
lnk_status(const struct lnk *l, struct lnk_status *s)
{
	uint32_t i, came = 0;

	for (i = 0; i < l->expected; i++)
		came += l->seen[i / 64] >> (i % 64) & 1;
	ASSERT(came <= l->expected);
	*s = (struct lnk_status){
	    .state = l->state,
	    .carrier = l->carrier,
	    .since = l->since,
	    .heard_at = l->heard_at,
	    .srtt_us = l->srtt_us,
	    .sent = l->sent,
	    .received = l->received,
	    .lost = l->lost,
	    .duplicate = l->duplicate,
	    .late = l->late,
	    .downs = l->downs,
	};
	if (l->state == LNK_DOWN)
		s->loss_permille = 1000;
	else if (l->expected > 0)
		s->loss_permille = (l->expected - came) * 1000 / l->expected;
}
