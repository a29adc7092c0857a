/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One machine: its clock, its power, its daemon, and what the daemon asks of
 * the world.
 */
#include <stdlib.h>
#include <string.h>

#include "sim_vr.h"

enum { LOOP_LAG_US = 300 };

struct host *
other(struct host *h)
{
	return &h->w->host[1 - h->idx];
}

/* Wall clocks that are synchronized, but for a second. */
static uint64_t
wall_of(const struct host *h)
{
	return (uint64_t)(h->w->sim->now + h->id * 1000 * MS) +
	       UINT64_C(1700000000) * 1000000;
}

int64_t
local_of(const struct host *h, int64_t t)
{
	int64_t d = t - h->clock_true;

	return h->clock_local + d + d * h->drift_ppm / 1000000;
}

/* The first true time at which its clock shows at least that. */
int64_t
true_of(const struct host *h, int64_t local)
{
	int64_t t, d;

	if (local >= INT64_MAX / 4)
		return NEVER;
	d = local - h->clock_local;
	t = h->clock_true + d - d * h->drift_ppm / 1000000 - 2;
	while (local_of(h, t) < local)
		t++;
	return t;
}

static void
op_send(void *ctx, uint8_t peer, enum nd_kind kind, uint8_t link,
    uint16_t stream, const struct nd_buf *bufs, unsigned n)
{
	(void)peer;
	watch_send(ctx, kind);
	net_send(ctx, kind, link, stream, bufs, n);
}

static void
ev_mail(struct world *w, struct ev *e)
{
	struct mail *m = e->data;

	(void)w;
	e->data = NULL;
	deliver(e->h, m);
}

void
deliver_in(struct host *h, struct mail *m, int64_t us)
{
	at(h->w, h->w->sim->now + us, ev_mail, h, m->gen)->data = m;
}

bool
held(struct world *w, struct ev *e)
{
	struct ev *again;

	if (!e->h->frozen)
		return false;
	again = at(w, w->sim->now + 5 * MS, e->fn, e->h, e->gen);
	again->a = e->a;
	again->b = e->b;
	again->c = e->c;
	again->data = e->data;
	again->len = e->len;
	e->data = NULL;
	return true;
}

static void
lie(struct host *h)
{
	say(h->w, "%s never hears that it was overtaken", h->name);
	h->w->lied = true;
	h->w->lies++;
}

/* What was armed before counts no more, be it in the inbox already. */
static void
arm(struct host *h)
{
	struct world *w = h->w;
	struct mail *m;
	int64_t t = true_of(h, h->timer_at);

	h->timer_serial++;
	if (t == NEVER)
		return;
	m = mail_new(h, ND_EV_TIMER, FROM_TIMER);
	m->serial = h->timer_serial;
	t = t < w->sim->now ? w->sim->now : t;
	deliver_in(h, m, t - w->sim->now + rnd_in(w, 0, LOOP_LAG_US));
}

static void
op_timer(void *ctx, monotime_t when)
{
	struct host *h = ctx;

	h->timer_at = when.us;
	arm(h);
}

/* On the worker: the new record replaces the old one at one moment. */
static void
ev_persist(struct world *w, struct ev *e)
{
	struct host *h = e->h;
	struct mail *m;

	if (h->gen != e->gen || !h->running)
		return;
	if (h->paused) {
		/* Its threads stand still too. */
		struct ev *again =
		    at(w, w->sim->now + 5 * MS, ev_persist, h, e->gen);

		h->persist_at = w->sim->now + 5 * MS;
		again->a = e->a;
		again->data = e->data;
		e->data = NULL;
		return;
	}
	h->n_pending--;
	m = mail_new(h, ND_EV_PERSISTED, FROM_STATE);
	m->e.u.persisted.serial = e->a;
	m->e.u.persisted.ok =
	    !w->sim->calm && w->sim->scene == NULL ? !chance(w, 10) : true;
	if (m->e.u.persisted.ok) {
		memcpy(&h->record, e->data, sizeof(h->record));
		h->record_set = true;
		mix(w, h->record.epoch);
	}
	detail(w, "%s record epoch %llu solo %d: %s", h->name,
	    (unsigned long long)((struct sf_record *)e->data)->epoch,
	    ((struct sf_record *)e->data)->solo,
	    m->e.u.persisted.ok ? "durable" : "cannot be written");
	deliver(h, m);
}

static void
op_persist(void *ctx, const struct sf_record *r, uint64_t serial)
{
	struct host *h = ctx;
	struct world *w = h->w;
	int64_t when = w->sim->now + rnd_in(w, MS, 12 * MS);
	struct ev *e;

	watch_persist(h);
	/* Alone from the start, in a cluster of one. */
	if (w->n_hosts > 1 && r->epoch > h->record.epoch)
		watch_moved(h, "raises the epoch");
	/* In the order of the calls. */
	h->persist_at = when > h->persist_at ? when : h->persist_at + 1;
	e = at(w, h->persist_at, ev_persist, h, h->gen);
	h->pending = *r;
	h->n_pending++;
	e->data = malloc(sizeof(*r));
	if (e->data == NULL)
		exit(2);
	memcpy(e->data, r, sizeof(*r));
	e->a = serial;
}

/*
 * The other copy lost its cache, and the disk of this one, which was the only
 * one that had what was not flushed, fails before it can know that.
 */
static void
copy_fails(struct host *h)
{
	if (!h->vol.open && other(h)->stale &&
	    status(h)->member.peers[0].verdict == MB_PEER_ALIVE)
		vol_power_cut(h, false);
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	struct host *h = ctx;

	mix_bytes(h->w, text, strlen(text));
	if (level == HAD_DEBUG) {
		detail(h->w, "%s   %s: %s", h->name, object, text);
		return;
	}
	say(h->w, "%s   %s%s%s: %s", h->name, rule, rule[0] != '\0' ? " " : "",
	    object, text);
	watch_note(h, level, object, text);
	if (strncmp(text, "disk detached: ", 15) == 0)
		copy_fails(h);
}

static void
op_step(void *ctx, uint16_t service, uint8_t step, enum svc_action action,
    uint32_t token)
{
	watch_step(ctx);
	if (action != SVC_DO_STATUS)
		watch_moved(ctx, svc_action_name(action));
	svc_step_go(ctx, service, step, action, token);
}

static void
op_cancel(void *ctx, uint32_t token)
{
	svc_step_cancel(ctx, token);
}

static void
op_export(void *ctx, uint16_t vol, bool on)
{
	watch_moved(ctx, on ? "exports" : "withdraws");
	svc_export(ctx, vol, on);
}

static void
op_disk(void *ctx, uint16_t vol, const struct mir_io *io)
{
	ASSERT(vol == 0);
	disk_op(ctx, io);
}

static void
op_vol_reply(void *ctx, uint16_t vol, uint64_t cookie, int error)
{
	ASSERT(vol == 0);
	vol_reply(ctx, cookie, error);
}

static void
op_addr_add(void *ctx, uint16_t id)
{
	if (id >= ADDRESSES) {
		rt_addr_add(ctx, id);
		return;
	}
	watch_moved(ctx, "adds an address");
	addr_add(ctx, id);
}

static void
op_addr_del(void *ctx, uint16_t id)
{
	if (id >= ADDRESSES) {
		rt_addr_del(ctx, id);
		return;
	}
	watch_moved(ctx, "takes an address away");
	addr_del(ctx, id);
}

static void
op_lease(void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	addr_lease(ctx, seq, open, until);
}

static void
op_announce(void *ctx, uint16_t id)
{
	struct host *h = ctx;

	detail(h->w, "%s announces address %u", h->name, id);
	if (!(id < ADDRESSES ? guard_open(h, id)
			     : rt_open(h, rt_number(h, id))))
		violation(h->w, "I1",
		    "%s announces address %u behind a closed guard", h->name,
		    id);
}

static void
op_lock_send(void *ctx, uint32_t client, const uint8_t *bytes, size_t len)
{
	lock_answer(ctx, client, bytes, len);
}

static void
op_lock_close(void *ctx, uint32_t client, const char *why)
{
	lock_hangup(ctx, client, why);
}

static void
op_reply(void *ctx, uint64_t token, int code, const char *text)
{
	struct host *h = ctx;
	struct world *w = h->w;

	say(w, "%s answers the operator (%d): %.140s", h->name, code, text);
	for (unsigned i = 0; i < OPS_MAX; i++) {
		if (w->ops[i].token != token || w->ops[i].h != h)
			continue;
		w->ops[i].token = 0;
		w->op_code = code;
		snprintf(w->op_text, sizeof(w->op_text), "%s", text);
		return;
	}
	violation(w, "contract", "%s answers request %llu twice", h->name,
	    (unsigned long long)token);
}

static void gone(struct host *, bool goodbye);

/*
 * The other copy lost its cache, and this one cannot say that it lost none:
 * its disk failed, and the daemon that knew so is stopped.
 */
static bool
knowledge_ends(struct host *h)
{
	const struct mir_status *v = &status(h)->vols[0];

	return h->w->conf->n_volumes > 0 && !h->vol.open && other(h)->stale &&
	       (v->disk != MIR_DISK_UPTODATE ||
		   strstr(v->error, "failed, error") != NULL);
}

static void
ev_exit(struct world *w, struct ev *e)
{
	if (e->h->gen != e->gen || !e->h->running)
		return;
	if (e->h->paused) {
		at(w, w->sim->now + 5 * MS, ev_exit, e->h, e->gen);
		return;
	}
	if (knowledge_ends(e->h))
		vol_power_cut(e->h, false);
	gone(e->h, true);
}

static void
op_done(void *ctx, bool clean)
{
	struct host *h = ctx;

	say(h->w, "%s is stopped, %s", h->name, clean ? "clean" : "not clean");
	h->clean = clean;
	at(h->w, h->w->sim->now + rnd_in(h->w, 10 * MS, 60 * MS), ev_exit, h,
	    h->gen);
}

/* No timelines are asked for here. */
static void
op_told(void *ctx, uint8_t peer, const uint8_t *bytes, size_t len)
{
	struct host *h = ctx;

	(void)bytes;
	violation(
	    h->w, "events", "%s was told %zu bytes by %u", h->name, len, peer);
}

static void
op_cell(void *ctx, enum nd_table table, unsigned in, unsigned state)
{
	(void)ctx;
	cell_taken(table, in, state);
}

static void
op_self_fence(void *ctx, const char *why)
{
	arb_self_fence(ctx, why);
}

static void
op_vote(void *ctx, uint8_t voter, uint64_t epoch)
{
	arb_vote(ctx, voter, epoch);
}

static void
op_fence(void *ctx, uint8_t node, uint8_t level, enum arb_action action,
    uint32_t token)
{
	arb_fence(ctx, node, level, action, token);
}

static void
op_fence_cancel(void *ctx, uint32_t token)
{
	arb_fence_cancel(ctx, token);
}

static const struct nd_ops ops = {
    .send = op_send,
    .timer = op_timer,
    .persist = op_persist,
    .note = op_note,
    .step = op_step,
    .step_cancel = op_cancel,
    .vol_export = op_export,
    .disk = op_disk,
    .vol_reply = op_vol_reply,
    .addr_add = op_addr_add,
    .addr_del = op_addr_del,
    .lease = op_lease,
    .announce = op_announce,
    .lock_send = op_lock_send,
    .lock_close = op_lock_close,
    .vote = op_vote,
    .fence = op_fence,
    .fence_cancel = op_fence_cancel,
    .reply = op_reply,
    .done = op_done,
    .self_fence = op_self_fence,
    .vr_lease = rt_lease,
    .vr_send = rt_send,
    .vr_flush = rt_flush,
    .share_lease = share_lease,
    .share_serve = share_serve,
    .told = op_told,
    .cell = op_cell,
};

struct mail *
mail_bytes(struct host *h, enum nd_ev type, enum source source,
    const void *bytes, size_t len)
{
	struct mail *m = calloc(1, sizeof(*m) + len);

	if (m == NULL)
		exit(2);
	m->e.type = type;
	m->e.peer = other(h)->id;
	m->gen = h->gen;
	m->source = source;
	m->len = len;
	if (len > 0)
		memcpy(m->data, bytes, len);
	return m;
}

struct mail *
mail_new(struct host *h, enum nd_ev type, enum source source)
{
	return mail_bytes(h, type, source, NULL, 0);
}

/*
 * R8: a word of its peer, said since, tells that it was overtaken, unless the
 * peer has still to act: it counts this node as dead, and knows no better.
 */
static void
undeceived(struct host *h)
{
	struct host *o = other(h);
	enum mb_self self = status(h)->member.self;

	if (self == MB_DOUBT || self == MB_INERT ||
	    (o->running && nd_verdict(o->nd, h->id) == MB_PEER_ALIVE))
		h->misled = false;
}

static void
give(struct host *h, struct mail *m)
{
	struct world *w = h->w;
	struct nd_packet packet;

	if (m->e.type == ND_EV_TIMER && m->serial != h->timer_serial)
		return;
	if (m->e.type == ND_EV_VR_TRACK && m->serial != rt_host(h)->reloads)
		return;
	m->e.now.us = local_of(h, w->sim->now);
	m->e.wall_us = wall_of(h);
	h->waking = false;
	mix(w, (uint64_t)m->e.type << 8 | h->id);
	if (m->e.type == ND_EV_MSG) {
		m->e.u.msg.bytes = m->data;
		m->e.u.msg.len = m->len;
		mix_bytes(w, m->data, m->len < 96 ? m->len : 96);
	} else if (m->e.type == ND_EV_VR_PACKET) {
		packet = (struct nd_packet){m->data, m->len};
		m->e.u.packet.list = &packet;
		m->e.u.packet.n = 1;
		mix_bytes(w, m->data, m->len);
	} else if (m->e.type == ND_EV_VR_RELOAD) {
		rt_reload(h, m);
		return;
	} else if (m->e.type == ND_EV_OP && m->e.u.op.op == ND_OP_RELEASE) {
		/* By its name, whose number it is now. */
		m->e.u.op.service = rt_host(h)->router_at[m->e.u.op.service];
		if (m->e.u.op.service == VR_NOWHERE) {
			op_reply(h, m->e.u.op.token, 64, "no such router");
			return;
		}
	} else if (m->e.type == ND_EV_LOCK_MSG) {
		m->e.u.lock.bytes = m->data;
		m->e.u.lock.len = m->len;
	} else if (m->e.type == ND_EV_STEP_DONE) {
		m->e.u.step.text = m->text;
	} else if (m->e.type == ND_EV_EXPORTED) {
		m->e.u.exported.text = m->text;
	} else if (m->e.type == ND_EV_ARB) {
		if (m->e.u.arb.type == ARB_EV_FENCED)
			m->e.u.arb.u.fenced.text = m->text;
	} else if (m->e.type == ND_EV_VIP) {
		/* Each has its text elsewhere. */
		if (m->e.u.vip.type == VIP_EV_LEASED)
			m->e.u.vip.u.leased.text = m->text;
		else if (m->e.u.vip.type == VIP_EV_CARRIER)
			m->e.u.vip.u.carrier.ifname = m->text;
		else
			m->e.u.vip.u.result.text = m->text;
	}
	nd_step(h->nd, &m->e);
	if (h->misled && h->running && m->e.type == ND_EV_MSG &&
	    m->sent > h->thawed_at)
		undeceived(h);
}

static void
ev_pump(struct world *w, struct ev *e)
{
	struct host *h = e->h;
	struct mail **at_, *m;
	bool seen[SOURCES] = {false};

	if (h->gen != e->gen || !h->running || h->paused)
		return;
	/* Any source may be looked at first; each keeps its order. */
	for (at_ = &h->inbox; *at_ != NULL; at_ = &(*at_)->next) {
		if (seen[(*at_)->source])
			continue;
		seen[(*at_)->source] = true;
		if (chance(w, 400))
			break;
	}
	if (*at_ == NULL)
		at_ = &h->inbox;
	if (w->vr != NULL)
		at_ = rt_first(h, at_);
	m = *at_;
	if (m == NULL)
		return;
	*at_ = m->next;
	if (m->next == NULL)
		h->inbox_end = at_;
	give(h, m);
	free(m);
	if (h->inbox != NULL && h->running && h->gen == e->gen)
		at(w, w->sim->now + rnd_in(w, 1, 20), ev_pump, h, h->gen);
}

/* Takes m. */
void
deliver(struct host *h, struct mail *m)
{
	if (!h->running || m->gen != h->gen || h->w->sim->failed) {
		free(m);
		return;
	}
	if (h->paused || h->inbox != NULL) {
		if (h->paused)
			rt_overtaken(h, m);
		m->next = NULL;
		*h->inbox_end = m;
		h->inbox_end = &m->next;
		return;
	}
	give(h, m);
	free(m);
}

void
daemon_start(struct host *h)
{
	struct world *w = h->w;
	struct nd_disk disk = {.layout = h->disk.layout};
	struct nd_event e = {.type = ND_EV_START};
	static const char *const ifs[LINKS] = {"x0", "l0"};

	ASSERT(h->powered && !h->running);
	watch_born(h);
	memset(h->told, 0, sizeof(h->told));
	other(h)->untold = false;
	h->gen++;
	h->running = true;
	h->paused = h->waking = h->stopping = false;
	h->stopped_us = 0;
	if (h->disk.dead || w->conf->n_volumes == 0)
		memset(&disk.layout, 0, sizeof(disk.layout));
	snprintf(disk.why, sizeof(disk.why), "no device");
	rt_read(h);
	h->nd = nd_new(h->conf, h->id, &disk, &ops, h);
	if (h->nd == NULL)
		exit(2);
	say(w, "%s daemon starts (start %u)", h->name, h->gen);
	e.now.us = local_of(h, w->sim->now);
	e.wall_us = wall_of(h);
	e.u.start.seed = rnd(w) | 1;
	e.u.start.incarnation = rnd(w) | 1;
	e.u.start.record = h->record_set ? &h->record : NULL;
	nd_step(h->nd, &e);
	for (unsigned l = 0; l < LINKS; l++) {
		struct mail *m = mail_new(h, ND_EV_VIP, FROM_VIP);

		m->e.u.vip.type = VIP_EV_CARRIER;
		m->e.u.vip.u.carrier.up = h->carrier[l];
		snprintf(m->text, sizeof(m->text), "%s", ifs[l]);
		deliver_in(h, m, 50);
	}
	rt_started(h);
	arb_started(h);
	lock_boot(h);
}

/*
 * It acts alone, and dies before the other, which stood still and cannot know
 * it, has heard a word.  Two faults that no clock shows: the voters would tell,
 * but nobody asks them about a daemon whose kernel says that it is dead.  The
 * copies are found to differ when they meet.
 */
static void
untold(struct host *h)
{
	struct host *o = other(h);
	struct world *w = h->w;

	if (!o->running || nd_epoch(o->nd) >= nd_epoch(h->nd))
		return;
	if (!h->powered && (w->with & W_VOTERS))
		return;
	o->untold = o->frozen; /* it may find its clock ahead, and know */
	if (o->misled)
		lie(o);
}

/* The process is no more, for whatever reason. */
static void
gone(struct host *h, bool goodbye)
{
	struct mail *m;

	watch_death(h);
	untold(h);
	h->misled = h->untold = false;
	/* The rename may have happened, though nobody was told. */
	if (h->n_pending > 0 && chance(h->w, 500)) {
		h->record = h->pending;
		h->record_set = true;
	}
	h->n_pending = 0;
	h->running = h->paused = h->frozen = false;
	h->timer_serial++;
	while ((m = h->inbox) != NULL) {
		h->inbox = m->next;
		free(m);
	}
	h->inbox_end = &h->inbox;
	for (unsigned i = 0; i < OPS_MAX; i++)
		if (h->w->ops[i].h == h)
			h->w->ops[i].token = 0;
	vol_ended(h);
	svc_killed(h, !h->powered);
	lock_killed(h);
	arb_gone(h);
	if (h->powered)
		disk_killed(h);
	net_killed(h, h->powered, goodbye);
	nd_free(h->nd);
	h->nd = NULL;
}

void
daemon_kill(struct host *h)
{
	ASSERT(h->running);
	say(h->w, "%s daemon is killed", h->name);
	/*
	 * The other copy lost its cache, and now nobody is left who knows:
	 * a second failure.  Once this copy has acted alone, it is known.
	 */
	if (!h->vol.open && other(h)->stale)
		vol_power_cut(h, false);
	gone(h, false);
}

void
daemon_stop(struct host *h)
{
	struct mail *m = mail_new(h, ND_EV_STOP, FROM_CTL);

	if (h->stopping) {
		free(m);
		return;
	}
	say(h->w, "%s daemon is asked to stop", h->name);
	watch_death(h);
	h->stopping = true;
	deliver(h, m);
}

void
daemon_pause(struct host *h)
{
	ASSERT(h->running && !h->paused);
	say(h->w, "%s daemon is frozen", h->name);
	watch_death(h);
	h->paused = true;
	h->paused_at = h->w->sim->now;
	rt_anew(h->w);
}

void
daemon_resume(struct host *h)
{
	ASSERT(h->running && h->paused);
	say(h->w, "%s daemon thaws after %lld ms", h->name,
	    (long long)((h->w->sim->now - h->paused_at) / MS));
	watch_disturbed(h->w);
	rt_anew(h->w);
	h->paused = false;
	h->waking = true;
	h->stopped_us += h->w->sim->now - h->paused_at;
	at(h->w, h->w->sim->now + 1, ev_pump, h, h->gen);
}

void
machine_freeze(struct host *h)
{
	ASSERT(h->powered && h->running && !h->paused && !h->frozen);
	say(h->w, "%s stands still, all of it", h->name);
	watch_death(h);
	h->paused = h->frozen = true;
	h->paused_at = h->w->sim->now;
	rt_anew(h->w);
	addr_check(h->w);
}

static void
ev_knows(struct world *w, struct ev *e)
{
	(void)w;
	if (e->h->thawed_at == (int64_t)e->a)
		e->h->misled = false;
}

/*
 * Its clock has gone on meanwhile, or it has not: then nothing in it knows,
 * and what the kernel had promised to end is that much longer there.  R8 is
 * all that is left, and it does not protect reads, or addresses, or locks
 * without their tokens, before the peer is heard, or missed.
 */
void
machine_thaw(struct host *h, bool jump)
{
	struct world *w = h->w;
	int64_t us = w->sim->now - h->paused_at;

	ASSERT(h->frozen && h->paused && h->running);
	say(w, "%s goes on after %lld ms%s", h->name, (long long)(us / MS),
	    jump ? "" : ", and does not know it");
	watch_disturbed(w);
	rt_anew(w);
	if (!jump) {
		int64_t local = local_of(h, h->paused_at);

		h->clock_true = w->sim->now;
		h->clock_local = local;
		if (h->open_until > h->paused_at)
			h->open_until += us;
		rt_thawed(h, us);
		h->disk.slow_until += us;
		h->misled = true;
		h->thawed_at = w->sim->now;
		at(w, w->sim->now + 2 * w->conf->t.dead_ms * MS, ev_knows, h, 0)
		    ->a = (uint64_t)h->thawed_at;
		if (h->untold)
			lie(h);
	}
	h->untold = false;
	h->fed_at += us;
	h->frozen = h->paused = false;
	h->waking = true;
	h->stopped_us += us;
	arm(h);
	addr_check(w);
	at(w, w->sim->now + 1, ev_pump, h, h->gen);
}

void
clock_jump(struct host *h, int64_t us)
{
	struct world *w = h->w;

	say(w, "%s: its clock jumps by %lld ms", h->name, (long long)(us / MS));
	watch_disturbed(w);
	rt_jumped(h);
	h->clock_local += us;
	/* It is the clock of its clients as well. */
	for (unsigned i = 0; i < NITEMS(w->locker); i++)
		if (w->locker[i].h == h && w->locker[i].held_until != NEVER)
			w->locker[i].held_until -= us;
	if (h->running)
		arm(h);
}

void
clock_drift(struct host *h, int ppm)
{
	struct world *w = h->w;
	int64_t local = local_of(h, w->sim->now);

	say(w, "%s: its clock runs %d ppm fast", h->name, ppm);
	watch_disturbed(w);
	h->clock_true = w->sim->now;
	h->clock_local = local;
	h->drift_ppm = ppm;
	if (h->running)
		arm(h);
}

/* The machine goes off; a board that fences cuts the power of its disk too. */
static void
go_dark(struct host *h, bool cut)
{
	bool strict = false;
	struct host *o = other(h);

	bool nobody_knows = !h->vol.open && o->stale;

	ASSERT(h->powered);
	/* Do the promises about unflushed data hold?  See sim_vol.c. */
	if (o->running) {
		const struct mir_status *v = &status(o)->vols[0];

		strict = v->disk == MIR_DISK_UPTODATE && !o->stale &&
			 (v->conn == MIR_CONN_INSYNC || v->alone);
	}
	/* It goes on from its own copy, whatever one that has left still has.
	 */
	if (h->running && status(h)->member.self == MB_ALONE)
		strict = false;
	h->powered = h->frozen = false;
	h->boot++;
	if (h->running)
		gone(h, false);
	if (cut)
		disk_power_cut(h);
	else
		disk_killed(h);
	strict |= !cut && !nobody_knows;
	svc_killed(h, true);
	if (h->w->conf->n_volumes == 0)
		return;
	vol_power_cut(h, strict);
	h->stale |= !vol_holds(h->w, h->disk.cache);
}

void
host_power_off(struct host *h)
{
	say(h->w, "%s loses its power", h->name);
	go_dark(h, true);
}

void
host_crash(struct host *h)
{
	say(h->w, "%s: its kernel crashes", h->name);
	go_dark(h, false);
}

void
host_power_on(struct host *h)
{
	struct world *w = h->w;

	ASSERT(!h->powered);
	say(w, "%s is powered on", h->name);
	h->powered = true;
	h->clock_true = w->sim->now;
	h->clock_local = rnd_in(w, SEC, 100 * SEC);
	h->drift_ppm = (int)rnd_in(w, -4000, 4000);
	daemon_start(h);
}

void
host_init(struct host *h, struct world *w, unsigned idx)
{
	h->w = w;
	h->idx = idx;
	h->id = (uint8_t)(idx + 1);
	h->name = host_names[w->idx][idx];
	h->inbox_end = &h->inbox;
	h->vol.first_ack = NEVER;
	for (unsigned l = 0; l < LINKS; l++)
		h->carrier[l] = true;
	h->st = calloc(1, sizeof(*h->st));
	if (h->st == NULL)
		exit(2);
	if (w->conf->n_volumes == 0)
		return;
	/* One copy has the data of the volume, or both are blank. */
	disk_format(h, idx == 0 && w->sim->seed % 4 == 0);
}

void
host_free(struct host *h)
{
	struct mail *m;

	while ((m = h->inbox) != NULL) {
		h->inbox = m->next;
		free(m);
	}
	for (unsigned i = 0; i < DISK_OPS; i++)
		free(h->disk.ops[i].copy);
	nd_free(h->nd);
	free(h->st);
}

const struct nd_status *
status(struct host *h)
{
	monotime_t now = {local_of(h, h->w->sim->now)};

	ASSERT(h->running);
	nd_status(h->nd, now, h->st);
	return h->st;
}

static uint64_t
ask(struct host *h, struct mail *m, enum nd_op op)
{
	struct world *w = h->w;
	unsigned i = 0;

	while (i < OPS_MAX && w->ops[i].token != 0)
		i++;
	if (i == OPS_MAX || !h->running) {
		free(m);
		return 0;
	}
	w->ops[i].token = m->e.u.op.token = ++w->op_token;
	w->ops[i].h = h;
	w->ops[i].asked = w->sim->now;
	w->ops[i].op = m->e.u.op.op = op;
	w->op_code = -1;
	watch_disturbed(w);
	deliver_in(h, m, 100);
	return w->op_token;
}

uint64_t
operator(struct host *h, enum nd_op op, int service, uint8_t node)
{
	static const char *const names[ND_OP_N] = {"seed", "takeover",
	    "standby", "online", "resync", "freeze", "thaw", "move", "start",
	    "stop", "fence test", "fence confirm", "release"};
	struct mail *m = mail_new(h, ND_EV_OP, FROM_CTL);

	say(h->w, "%s operator: %s, node %u, service %d", h->name, names[op],
	    node, service);
	m->e.u.op.service = service;
	m->e.u.op.node = node;
	return ask(h, m, op);
}

uint64_t
operator_resync(struct host *h, uint8_t from)
{
	struct mail *m = mail_new(h, ND_EV_OP, FROM_CTL);

	say(h->w, "%s operator: resync from node %u", h->name, from);
	m->e.u.op.node = from;
	return ask(h, m, ND_OP_RESYNC);
}
