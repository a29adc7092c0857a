/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine: its daemon, and what that asks of the world.
 */
#include <stdlib.h>
#include <string.h>

#include "faults_int.h"

enum { PERSIST_US = 4000, ADDRESS_US = 1000, LEASE_US = 100, CHECK_US = 10000 };

struct host *
host_other(struct host *h)
{
	return &h->w->host[1 - h->idx];
}

bool
host_up(const struct host *h)
{
	return h->alive && h->running && !h->frozen;
}

static void
op_send(void *ctx, uint8_t peer, enum nd_kind kind, uint8_t link,
    uint16_t stream, const struct nd_buf *bufs, unsigned n)
{
	(void)peer;
	(void)stream;
	net_send(ctx, kind, link, bufs, n);
}

static void
op_timer(void *ctx, monotime_t at)
{
	struct host *h = ctx;
	int64_t now = h->w->now;

	h->timer_serial++;
	if (at.us != NEVER)
		world_mail(h, at.us > now ? at.us - now : 0, ND_EV_TIMER)->a =
		    h->timer_serial;
}

/* a = serial */
static void
ev_persist(struct world *w, struct ev *e)
{
	struct host *h = e->h;
	struct ev *m;

	(void)w;
	memcpy(&h->record, e->data, sizeof(h->record));
	h->record_set = true;
	m = world_mail(h, 0, ND_EV_PERSISTED);
	m->mail->u.persisted.serial = e->a;
	m->mail->u.persisted.ok = true;
}

static void
op_persist(void *ctx, const struct sf_record *r, uint64_t serial)
{
	struct host *h = ctx;
	int64_t at = h->w->now + PERSIST_US;
	struct ev *e;

	h->persist_at = at > h->persist_at ? at : h->persist_at + 1;
	e = world_at(h->w, h->persist_at - h->w->now, ev_persist, h);
	e->a = serial;
	memcpy(world_bytes(e, sizeof(*r)), r, sizeof(*r));
}

/* The verdict is made of what happens, not of what is said. */
static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx;
	(void)level;
	(void)rule;
	(void)object;
	(void)text;
}

static struct ev *
step_result(struct host *h, int64_t us, uint16_t service, uint8_t step,
    enum svc_action action, uint32_t token)
{
	struct ev *e = world_mail(h, us, ND_EV_STEP_DONE);

	e->mail->u.step.service = service;
	e->mail->u.step.step = step;
	e->mail->u.step.action = action;
	e->mail->u.step.token = token;
	e->mail->u.step.result = SVC_RES_OK;
	e->mail->u.step.text = "";
	return e;
}

static bool
is_cancelled(struct host *h, uint32_t token)
{
	for (unsigned i = 0; i < CANCELS; i++)
		if (h->cancelled[i] == token)
			return true;
	return false;
}

/* a = service, b = step, c = action and token */
static void
ev_step(struct world *w, struct ev *ev)
{
	struct host *h = ev->h;
	uint16_t service = (uint16_t)ev->a;
	uint8_t step = (uint8_t)ev->b;
	enum svc_action action = (enum svc_action)(ev->c >> 32);
	uint32_t token = (uint32_t)ev->c;
	struct ev *e;

	if (!host_up(h) || is_cancelled(h, token))
		return;
	e = step_result(h, 0, service, step, action, token);
	if (step == SVC_STEP_CHECK)
		return;
	if (action == SVC_DO_START) {
		const struct conf_step *cs =
		    &w->conf->services[service].steps[step];

		/* A file system needs its device. */
		if (cs->type == CONF_STEP_MOUNT && !h->serve[cs->ref].open) {
			e->mail->u.step.result = SVC_RES_FAILED;
			return;
		}
		h->active[service][step] = true;
	} else if (action == SVC_DO_STOP || action == SVC_DO_CLEAN) {
		h->active[service][step] = false;
	}
}

static void
op_step(void *ctx, uint16_t service, uint8_t step, enum svc_action action,
    uint32_t token)
{
	struct host *h = ctx;
	int64_t us = CHECK_US;
	struct ev *e;

	if (step != SVC_STEP_CHECK && action != SVC_DO_STATUS) {
		const struct conf_step *cs =
		    &h->w->conf->services[service].steps[step];
		int64_t limit = (int64_t)cs->timeout_ms * MS / 2;

		us = FAULTS_STOP_MS * MS;
		if (action == SVC_DO_START)
			us = (cs->type == CONF_STEP_MOUNT ? FAULTS_MOUNT_MS
							  : FAULTS_COMMAND_MS) *
			     MS;
		us = us < limit ? us : limit;
	}
	e = world_at(h->w, us, ev_step, h);
	e->a = service;
	e->b = step;
	e->c = (uint64_t)action << 32 | token;
}

static void
op_cancel(void *ctx, uint32_t token)
{
	struct host *h = ctx;

	for (size_t i = 0; i < h->w->heap_n; i++) {
		const struct ev *e = h->w->heap[i];

		if (e->fn != ev_step || e->h != h || (uint32_t)e->c != token)
			continue;
		h->cancelled[h->n_cancelled++ % CANCELS] = token;
		step_result(h, MS, (uint16_t)e->a, (uint8_t)e->b,
		    (enum svc_action)(e->c >> 32), token)
		    ->mail->u.step.result = SVC_RES_TIMEOUT;
		return;
	}
}

static void
op_export(void *ctx, uint16_t vol, bool on)
{
	disk_export(ctx, vol, on);
}

static void
op_disk(void *ctx, uint16_t vol, const struct mir_io *io)
{
	disk_op(ctx, vol, io);
}

static void
op_vol_reply(void *ctx, uint16_t vol, uint64_t cookie, int error)
{
	disk_reply(ctx, vol, cookie, error);
}

static void
address(struct host *h, uint16_t id, bool on)
{
	struct ev *e = world_mail(h, ADDRESS_US, ND_EV_VIP);

	e->mail->u.vip.type = on ? VIP_EV_ADDED : VIP_EV_REMOVED;
	e->mail->u.vip.u.result.id = id;
	e->mail->u.vip.u.result.ok = true;
	e->mail->u.vip.u.result.found = h->addr[id];
	e->mail->u.vip.u.result.text = "";
	h->addr[id] = on;
}

static void
op_addr_add(void *ctx, uint16_t id)
{
	address(ctx, id, true);
}

static void
op_addr_del(void *ctx, uint16_t id)
{
	address(ctx, id, false);
}

static void
op_lease(void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct host *h = ctx;
	struct ev *e = world_mail(h, LEASE_US, ND_EV_VIP);

	h->open = *open;
	h->open_until = until.us;
	e->mail->u.vip.type = VIP_EV_LEASED;
	e->mail->u.vip.u.leased.seq = seq;
	e->mail->u.vip.u.leased.ok = true;
	e->mail->u.vip.u.leased.text = "";
}

/* Clients of shared addresses are not looked at here. */
static void
op_share_lease(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct ev *e = world_mail(ctx, LEASE_US, ND_EV_VIP);

	(void)open, (void)until;
	e->mail->shared = true;
	e->mail->u.vip.type = VIP_EV_LEASED;
	e->mail->u.vip.u.leased.seq = seq;
	e->mail->u.vip.u.leased.ok = true;
	e->mail->u.vip.u.leased.text = "";
}

static void
op_share_serve(void *ctx, uint32_t seq, uint64_t buckets)
{
	struct ev *e = world_mail(ctx, LEASE_US, ND_EV_SERVED);

	(void)buckets;
	e->mail->u.served.seq = seq;
	e->mail->u.served.ok = true;
}

static void
op_announce(void *ctx, uint16_t id)
{
	(void)ctx;
	(void)id;
}

static void
op_lock_send(void *ctx, uint32_t client, const uint8_t *bytes, size_t len)
{
	(void)ctx;
	(void)client;
	(void)bytes;
	(void)len;
}

static void
op_lock_close(void *ctx, uint32_t client, const char *why)
{
	(void)ctx;
	(void)client;
	(void)why;
}

static void
op_vote(void *ctx, uint8_t voter, uint64_t epoch)
{
	arbiter_vote(ctx, voter, epoch);
}

static void
op_fence(void *ctx, uint8_t node, uint8_t level, enum arb_action action,
    uint32_t token)
{
	arbiter_fence(ctx, node, level, action, token);
}

static void
op_fence_cancel(void *ctx, uint32_t token)
{
	arbiter_cancel(ctx, token);
}

static void
op_reply(void *ctx, uint64_t token, int code, const char *text)
{
	struct host *h = ctx;

	(void)token;
	(void)text;
	h->op_code = code;
}

static void
op_done(void *ctx, bool clean)
{
	(void)ctx;
	(void)clean;
}

static void
op_told(void *ctx, uint8_t peer, const uint8_t *bytes, size_t len)
{
	(void)ctx;
	(void)peer;
	(void)bytes;
	(void)len;
}

static void
ev_reset(struct world *w, struct ev *e)
{
	(void)w;
	host_kill(e->h, true);
}

/* R12.  It does not come back: nothing is repaired here. */
static void
op_self_fence(void *ctx, const char *why)
{
	struct host *h = ctx;

	(void)why;
	if (h->w->conf->self_fence != CONF_SELF_FENCE_OFF)
		world_at(h->w, MS, ev_reset, h);
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
    .share_lease = op_share_lease,
    .share_serve = op_share_serve,
    .lock_send = op_lock_send,
    .lock_close = op_lock_close,
    .vote = op_vote,
    .fence = op_fence,
    .fence_cancel = op_fence_cancel,
    .reply = op_reply,
    .done = op_done,
    .told = op_told,
    .self_fence = op_self_fence,
};

void
host_step(struct host *h, const struct nd_event *event)
{
	struct nd_event e = *event;

	ASSERT(host_up(h));
	e.now.us = h->w->now;
	nd_step(h->nd, &e);
}

void
host_start(struct host *h)
{
	struct nd_disk disks[HAD_VOLUMES_MAX];
	struct nd_event e = {.type = ND_EV_START};

	memset(disks, 0, sizeof(disks));
	for (unsigned v = 0; v < h->w->conf->n_volumes; v++)
		disks[v].layout = h->copies[v].layout;
	h->nd = nd_new(h->w->conf, h->id, disks, &ops, h);
	ASSERT(h->nd != NULL);
	h->running = true;
	h->gen++;
	h->incarnation = (uint64_t)h->gen << 8 | h->id;
	e.u.start.seed = h->id;
	e.u.start.incarnation = h->incarnation;
	e.u.start.record = h->record_set ? &h->record : NULL;
	host_step(h, &e);
	arbiter_start(h);
}

void
host_restart(struct host *h)
{
	if (h->running)
		host_kill(h, false);
	nd_free(h->nd);
	if (!h->alive)
		memset(h->addr, 0, sizeof(h->addr));
	memset(h->agents, 0, sizeof(h->agents));
	h->alive = true;
	h->frozen = h->outlet_off = h->hit = false;
	host_start(h);
}

/* With the kernel goes all that it held; else only what the daemon served. */
void
host_kill(struct host *h, bool kernel)
{
	if (!h->alive)
		return;
	h->alive = !kernel;
	h->gen++;
	for (unsigned v = 0; v < HAD_VOLUMES_MAX; v++) {
		h->serve[v].open = h->serve[v].wanted = false;
		h->serve[v].busy = h->serve[v].due = false;
		h->serve[v].first_ack = NEVER;
	}
	/* The guard's owner is gone. */
	h->open_until = 0;
	if (kernel)
		memset(h->active, 0, sizeof(h->active));
	net_killed(h);
	h->running = false;
}

/* At whose interface the clients are. */
static bool
reached(const struct host *h, uint16_t id)
{
	const struct faults *f = h->w->f;
	const char *ifname = h->w->conf->addresses[id].ifname;

	for (unsigned n = 0; n < f->n_nets; n++)
		if (strcmp(f->nets[n].ifname[h->idx], ifname) == 0 &&
		    (!h->carrier[n] || h->w->dead[n]))
			return false;
	return true;
}

bool
host_answers(const struct host *h, uint16_t id)
{
	return h->alive && h->addr[id] && h->w->now < h->open_until &&
	       vip_set_has(&h->open, id) && reached(h, id);
}

const struct nd_status *
host_status(struct host *h)
{
	ASSERT(host_up(h));
	nd_status(h->nd, (monotime_t){h->w->now}, h->w->st);
	return h->w->st;
}

/* An operator's request and its answer; -1 if none came in ten seconds. */
int
host_ask(struct host *h, enum nd_op op, int service, uint8_t node)
{
	struct nd_event e = {.type = ND_EV_OP};

	h->op_code = -1;
	e.u.op.op = op;
	e.u.op.token = 1;
	e.u.op.service = service;
	e.u.op.node = node;
	host_step(h, &e);
	for (unsigned i = 0; i < 100 && h->op_code < 0 && host_up(h); i++)
		world_run(h->w, 100);
	return h->op_code;
}
