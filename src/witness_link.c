/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client: one association to the witness, or an attempt at one, or a pause
 * before the next attempt.  One timer serves all that has a time.
 */
#include "witness_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "loop.h"
#include "witness_int.h"
#include "witness_wire.h"

enum {
	BACKOFF_MS = 100,
	BACKOFF_MAX_MS = 1000,
	AUTH_MS = 1800, /* from the first INIT to the proof */
	PING_MIN_MS = 10,
};

struct wl {
	sd_event *event; /* borrowed */
	struct wl_conf conf;
	const struct wl_cb *cb; /* borrowed */
	void *ctx; /* borrowed */
	struct seal_id *id; /* owned */
	struct seal_who who; /* who.cluster: conf.cluster */
	struct loop_timer *timer; /* owned */
	struct wcn *conn; /* owned; NULL: pausing */
	bool proven; /* of conn; pings are under way */
	bool lost; /* conn is to be dropped: it is silent, or refused us */
	bool told_up; /* what the owner knows */
	monotime_t connect_at; /* if pausing */
	uint32_t backoff_ms;
	monotime_t ping_at, heard;
	uint64_t ask; /* 0: none is under way */
	bool ask_sent; /* on conn */
	monotime_t ask_end;
	struct wl_status status;
	char noted[sizeof(((struct wl_status *)0)->why)]; /* cause, as told */
	struct log_limit down_limit, up_limit; /* R15 */
};

static void
arm(struct wl *wl)
{
	monotime_t at = MT_NEVER;

	if (wl->conn == NULL)
		at = wl->connect_at;
	else if (wl->lost)
		at = (monotime_t){0};
	else if (wl->proven)
		at =
		    mt_min(wl->ping_at, mt_add_ms(wl->heard, wl->conf.dead_ms));
	if (wl->ask != 0)
		at = mt_min(at, wl->ask_end);
	loop_timer_at(wl->timer, at);
}

static void
note(struct wl *wl, enum had_level level, const char *what, const char *why)
{
	char text[256];

	snprintf(text, sizeof(text), "%s port %u %s%s", wl->conf.addr,
	    wl->conf.port, what, why);
	wl->cb->note(wl->ctx, level, "witness", text);
}

/* A cause is told once, until it is another one. */
static void
cause(struct wl *wl, const char *why)
{
	uint32_t unused;

	snprintf(wl->status.why, sizeof(wl->status.why), "%s", why);
	if (strcmp(wl->status.why, wl->noted) == 0 ||
	    !log_allowed(&wl->down_limit, loop_now(), &unused))
		return;
	memcpy(wl->noted, wl->status.why, sizeof(wl->noted));
	note(wl, HAD_WARN, "does not work: ", wl->noted);
}

static void
tell(struct wl *wl, bool up)
{
	uint32_t unused;

	if (wl->told_up == up)
		return;
	wl->told_up = up;
	wl->status.up = up;
	wl->status.since = loop_now();
	if (up) {
		wl->status.ups++;
		wl->status.why[0] = wl->noted[0] = '\0';
		if (log_allowed(&wl->up_limit, wl->status.since, &unused))
			note(wl, HAD_INFO, "works", "");
	}
	wl->cb->up(wl->ctx, up);
}

static void
drop(struct wl *wl)
{
	wcn_free(wl->conn);
	wl->conn = NULL;
	wl->proven = wl->lost = wl->ask_sent = false;
	wl->connect_at = mt_add_ms(loop_now(), wl->backoff_ms);
	wl->backoff_ms = wl->backoff_ms * 2 < BACKOFF_MAX_MS
			     ? wl->backoff_ms * 2
			     : BACKOFF_MAX_MS;
	tell(wl, false);
}

static void
send_ask(struct wl *wl)
{
	struct ww_msg m = {.type = WW_ASK};
	uint8_t bytes[WW_MAX];

	if (wl->ask == 0 || !wl->proven || wl->lost)
		return;
	memcpy(m.u.ask.cluster, wl->conf.cluster, HAD_NAME_MAX);
	m.u.ask.node = wl->conf.self;
	m.u.ask.incarnation = wl->conf.incarnation;
	m.u.ask.epoch = wl->ask;
	wl->ask_sent = wcn_send(wl->conn, bytes, ww_encode(&m, bytes)) == 0;
}

static void
send_ping(struct wl *wl, monotime_t now)
{
	struct ww_msg m = {.type = WW_PING, .u.stamp = (uint64_t)now.us};
	uint8_t bytes[WW_MAX];

	(void)wcn_send(wl->conn, bytes, ww_encode(&m, bytes));
	wl->ping_at = mt_add_ms(now, wl->conf.ping_ms);
}

static void
on_up(void *ctx, uint64_t incarnation)
{
	struct wl *wl = ctx;

	(void)incarnation;
	wl->proven = true;
	wl->heard = loop_now();
	send_ask(wl);
	send_ping(wl, wl->heard);
	arm(wl);
}

static void
got_answer(struct wl *wl, const struct ww_msg *m)
{
	uint64_t epoch = m->u.answer.epoch;
	bool denied = m->u.answer.vote == WW_DENIED;
	uint32_t unused;

	/* An old one: of an ask that was given up or replaced. */
	if (wl->ask == 0 || epoch != wl->ask)
		return;
	wl->ask = 0;
	if (m->u.answer.vote == WW_FAILED &&
	    log_allowed(&wl->down_limit, loop_now(), &unused))
		note(wl, HAD_ERR,
		    "grants nothing: ", "it cannot write its record");
	wl->cb->answer(wl->ctx, epoch,
	    denied                           ? WL_DENIED
	    : m->u.answer.vote == WW_GRANTED ? WL_GRANTED
					     : WL_UNREACHABLE,
	    denied ? m->u.answer.holder : 0,
	    denied ? m->u.answer.holder_epoch : 0);
}

static void
got_pong(struct wl *wl, uint64_t stamp)
{
	int64_t us = loop_now().us - (int64_t)stamp;

	/* A time that was never now is no reason to believe anything. */
	if (us < 0 || us > (int64_t)wl->conf.dead_ms * 1000)
		return;
	wl->heard = loop_now();
	wl->status.rtt_us = (uint32_t)us;
	wl->backoff_ms = BACKOFF_MS;
	tell(wl, true);
}

static void
on_msg(void *ctx, const uint8_t *bytes, size_t len)
{
	struct wl *wl = ctx;
	char text[WW_TEXT + 16];
	struct ww_msg m;
	const char *why;

	if (wl->lost)
		return;
	if (ww_decode(&m, bytes, len, &why) == -1) {
		snprintf(
		    text, sizeof(text), "it says what nobody asked: %s", why);
		cause(wl, text);
		wl->lost = true;
	} else if (m.type == WW_ANSWER) {
		got_answer(wl, &m);
	} else if (m.type == WW_PONG) {
		got_pong(wl, m.u.stamp);
	} else if (m.type == WW_REFUSE) {
		snprintf(text, sizeof(text), "it refuses: %s", m.u.text);
		cause(wl, text);
		wl->lost = true;
	}
	arm(wl);
}

static void
on_down(void *ctx, enum wcn_end end, const char *why)
{
	struct wl *wl = ctx;
	char text[128];

	if (wl->lost)
		; /* it was told why already */
	else if (!wl->proven && end == WCN_CLOSED)
		cause(wl, "it refuses this node: its key, node id or cluster "
			  "is not the one configured there");
	else if (!wl->proven && end == WCN_BAD) {
		snprintf(text, sizeof(text), "not the witness: %s", why);
		cause(wl, text);
	} else
		cause(wl, why);
	drop(wl);
	arm(wl);
}

static const struct wcn_cb conn_cb = {
    .up = on_up,
    .msg = on_msg,
    .down = on_down,
};

static void
connect_now(struct wl *wl)
{
	char why[128];
	int fd;

	fd = wcn_connect(
	    wl->conf.addr, wl->conf.port, wl->conf.local, why, sizeof(why));
	if (fd != -1) {
		wl->conn = wcn_new(wl->event, fd, true, wl->id, &wl->who,
		    AUTH_MS, &conn_cb, wl);
		if (wl->conn != NULL)
			return;
		snprintf(why, sizeof(why), "out of memory");
	}
	cause(wl, why);
	drop(wl);
}

static void
on_timer(void *ctx, monotime_t now)
{
	struct wl *wl = ctx;
	uint64_t epoch;

	if (wl->conn != NULL && wl->lost) {
		drop(wl);
	} else if (wl->conn != NULL && wl->proven &&
		   !mt_before(now, mt_add_ms(wl->heard, wl->conf.dead_ms))) {
		cause(wl, "it does not answer");
		drop(wl);
	}
	if (wl->conn == NULL && !mt_before(now, wl->connect_at))
		connect_now(wl);
	else if (wl->conn != NULL && wl->proven && !mt_before(now, wl->ping_at))
		send_ping(wl, now);
	if (wl->ask != 0 && wl->proven && !wl->ask_sent)
		send_ask(wl);
	if (wl->ask != 0 && !mt_before(now, wl->ask_end)) {
		epoch = wl->ask;
		wl->ask = 0;
		wl->cb->answer(wl->ctx, epoch, WL_UNREACHABLE, 0, 0);
	}
	arm(wl);
}

void
wl_ask(struct wl *wl, uint64_t epoch)
{
	monotime_t now = loop_now();

	ASSERT(epoch > 0);
	wl->ask = epoch;
	wl->ask_sent = false;
	wl->ask_end = mt_add_ms(now, wl->conf.dead_ms);
	send_ask(wl);
	/* No pause when it matters. */
	if (wl->conn == NULL)
		wl->connect_at = now;
	arm(wl);
}

struct wl *
wl_new(sd_event *event, const struct wl_conf *conf, const struct wl_cb *cb,
    void *ctx, char *why, size_t why_size)
{
	struct wl *wl = calloc(1, sizeof(*wl));
	int saved;

	ASSERT(conf->dead_ms > 0 && conf->self >= 1);
	ASSERT(conf->self <= HAD_NODES_MAX && conf->cluster[0] != '\0');
	if (wl == NULL) {
		snprintf(why, why_size, "out of memory");
		return NULL;
	}
	wl->event = event;
	wl->conf = *conf;
	wl->conf.key = NULL;
	if (wl->conf.ping_ms == 0)
		wl->conf.ping_ms = conf->dead_ms / 3;
	if (wl->conf.ping_ms < PING_MIN_MS)
		wl->conf.ping_ms = PING_MIN_MS;
	wl->cb = cb;
	wl->ctx = ctx;
	wl->backoff_ms = BACKOFF_MS;
	wl->status.since = wl->connect_at = loop_now();
	wl->who = (struct seal_who){
	    .cluster = wl->conf.cluster,
	    .self = conf->self,
	    .peer = WW_NODE_ID,
	    .incarnation = conf->incarnation,
	};
	memcpy(wl->who.pin, conf->pin, sizeof(wl->who.pin));
	wl->timer = loop_timer_new(event, on_timer, wl);
	wl->id = seal_id_new(conf->key);
	if (wl->id == NULL) {
		snprintf(why, why_size, "the key is not an Ed25519 key");
		errno = EINVAL;
	} else if (wcn_probe(conf->addr, conf->local, why, why_size) == 0) {
		arm(wl);
		return wl;
	}
	saved = errno;
	wl_free(wl);
	errno = saved;
	return NULL;
}

void
wl_free(struct wl *wl)
{
	if (wl == NULL)
		return;
	wcn_free(wl->conn);
	if (wl->timer != NULL)
		loop_timer_free(wl->timer);
	seal_id_free(wl->id);
	free(wl);
}

void
wl_status(const struct wl *wl, struct wl_status *s)
{
	*s = wl->status;
}
