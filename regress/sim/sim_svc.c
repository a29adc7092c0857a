/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mounts and commands that take their time and fail, the export of the
 * volume, and addresses behind the kernel's guard.
 */
#include <stdlib.h>
#include <string.h>

#include "sim_vr.h"

static void
job_done(struct host *h, unsigned job, enum svc_result result, const char *text)
{
	struct mail *m = mail_new(h, ND_EV_STEP_DONE, FROM_STEPS);

	m->e.u.step.service = h->jobs[job].service;
	m->e.u.step.step = h->jobs[job].step;
	m->e.u.step.action = h->jobs[job].action;
	m->e.u.step.token = h->jobs[job].token;
	m->e.u.step.result = result;
	snprintf(m->text, sizeof(m->text), "%s", text);
	memset(&h->jobs[job], 0, sizeof(h->jobs[job]));
	deliver(h, m);
}

static void
finish(struct host *h, unsigned job, bool fail)
{
	uint16_t service = h->jobs[job].service;
	uint8_t step = h->jobs[job].step;
	enum svc_action action = h->jobs[job].action;
	bool *active;

	detail(h->w, "%s step %u of service %u: %s %s", h->name, step, service,
	    svc_action_name(action), fail ? "failed" : "done");
	if (step != SVC_STEP_CHECK && !fail) {
		active = &h->active[service][step];
		if (action == SVC_DO_START)
			*active = true;
		else if (action == SVC_DO_STOP || action == SVC_DO_CLEAN)
			*active = false;
	}
	job_done(h, job, fail ? SVC_RES_FAILED : SVC_RES_OK,
	    fail ? "exit status 1" : "");
}

static void
ev_step(struct world *w, struct ev *e)
{
	struct host *h = e->h;
	unsigned i = (unsigned)e->a;
	const struct conf_step *cs;
	bool fail;

	if (held(w, e) || h->gen != e->gen || !h->running || !h->jobs[i].used ||
	    h->jobs[i].token != e->b)
		return;
	if (h->mute_steps && h->jobs[i].action != SVC_DO_KILL) {
		h->jobs[i].hung = true;
		return;
	}
	fail = h->jobs[i].action != SVC_DO_KILL && chance(w, h->fail_permille);
	if (fail && (h->jobs[i].action == SVC_DO_STOP ||
			h->jobs[i].action == SVC_DO_CLEAN))
		h->stop_failed_at[h->jobs[i].service] = w->sim->now;
	if (h->jobs[i].step != SVC_STEP_CHECK) {
		cs = &w->conf->services[h->jobs[i].service]
			  .steps[h->jobs[i].step];
		/* A file system needs its device. */
		if (cs->type == CONF_STEP_MOUNT &&
		    h->jobs[i].action == SVC_DO_START && !h->vol.open)
			fail = true;
	}
	finish(h, i, fail);
}

void
svc_step_go(struct host *h, uint16_t service, uint8_t step,
    enum svc_action action, uint32_t token)
{
	struct world *w = h->w;
	unsigned i = 0;
	struct ev *e;

	while (i < NITEMS(h->jobs) && h->jobs[i].used)
		i++;
	ASSERT(i < NITEMS(h->jobs));
	if (step != SVC_STEP_CHECK) {
		const struct conf_step *cs =
		    &w->conf->services[service].steps[step];

		ASSERT(cs->type == CONF_STEP_MOUNT ||
		       cs->type == CONF_STEP_COMMAND);
		if (cs->type == CONF_STEP_MOUNT && action == SVC_DO_START &&
		    !h->vol.open)
			violation(w, "order",
			    "%s mounts a volume that is not there", h->name);
	}
	h->jobs[i].used = true;
	h->jobs[i].service = service;
	h->jobs[i].step = step;
	h->jobs[i].action = action;
	h->jobs[i].token = token;
	mix(w, (uint64_t)service << 32 | (uint64_t)step << 16 | action);
	detail(w, "%s step %u of service %u: %s", h->name, step, service,
	    svc_action_name(action));
	e = at(w, w->sim->now + rnd_in(w, 2 * MS, 60 * MS), ev_step, h, h->gen);
	e->a = i;
	e->b = token;
}

static void
ev_cancelled(struct world *w, struct ev *e)
{
	struct host *h = e->h;

	if (held(w, e) || h->gen != e->gen || !h->running)
		return;
	for (unsigned i = 0; i < NITEMS(h->jobs); i++)
		if (h->jobs[i].used && h->jobs[i].token == e->b)
			job_done(h, i, SVC_RES_TIMEOUT, "killed");
}

void
svc_step_cancel(struct host *h, uint32_t token)
{
	struct world *w = h->w;

	at(w, w->sim->now + rnd_in(w, MS, 20 * MS), ev_cancelled, h, h->gen)
	    ->b = token;
}

void
svc_killed(struct host *h, bool power)
{
	rt_killed(h, power);
	memset(h->jobs, 0, sizeof(h->jobs));
	if (power) {
		memset(h->active, 0, sizeof(h->active));
		memset(h->addr, 0, sizeof(h->addr));
		h->open_until = 0;
	} else if (h->open_until > h->w->sim->now) {
		/*
		 * The owner table goes with its socket, which is opened before
		 * and so closed before those of the associations.
		 */
		h->open_until = h->w->sim->now;
	}
}

static void
exported(struct host *h, bool on, bool ok, const char *why)
{
	struct mail *m = mail_new(h, ND_EV_EXPORTED, FROM_EXPORT);

	m->e.u.exported.vol = 0;
	m->e.u.exported.on = on;
	m->e.u.exported.ok = ok;
	snprintf(m->text, sizeof(m->text), "%s", why);
	deliver(h, m);
}

static void
ev_export(struct world *w, struct ev *e)
{
	struct host *h = e->h;

	if (held(w, e) || h->gen != e->gen || !h->running || !h->vol.wanted)
		return;
	if (chance(w, h->fail_permille)) {
		h->vol.wanted = false;
		exported(h, false, false, "no block device");
		return;
	}
	h->vol.open = true;
	h->vol.serial = ++w->session;
	h->vol.first_ack = NEVER;
	h->vol.last_ack = 0;
	say(w, "%s serves the volume", h->name);
	exported(h, true, true, "");
}

static void
ev_drained(struct world *w, struct ev *e)
{
	struct host *h = e->h;

	if (held(w, e) || h->gen != e->gen || !h->running || h->vol.wanted)
		return;
	vol_ended(h);
	say(h->w, "%s serves the volume no more", h->name);
	exported(h, false, true, "");
}

/* The last reply of an export that is to end has been given. */
void
svc_drained(struct host *h)
{
	struct world *w = h->w;

	if (!h->vol.wanted && h->vol.inflight == 0)
		at(w, w->sim->now + rnd_in(w, 200, 5 * MS), ev_drained, h,
		    h->gen);
}

void
svc_export(struct host *h, uint16_t vol, bool on)
{
	struct world *w = h->w;
	const struct conf_service *cs = &w->conf->services[0];

	ASSERT(vol == 0);
	mix(w, 0xe000 + on);
	h->vol.wanted = on;
	if (on) {
		at(w, w->sim->now + rnd_in(w, MS, 30 * MS), ev_export, h,
		    h->gen);
		return;
	}
	for (unsigned i = 0; i < cs->n_steps; i++)
		if (h->active[0][i] && cs->steps[i].type == CONF_STEP_MOUNT)
			violation(w, "order",
			    "%s withdraws the volume under a mount", h->name);
	svc_drained(h);
}

bool
guard_open(const struct host *h, unsigned id)
{
	return h->powered && h->addr[id] && h->w->sim->now < h->open_until &&
	       vip_set_has(&h->open, (uint16_t)id);
}

bool
answers(const struct host *h, unsigned id)
{
	return !h->frozen && h->carrier[LAN] && guard_open(h, id);
}

/*
 * The address without data may be doubled when nothing joins the nodes, until
 * they have heard of each other again; and any by a machine that stood still
 * and cannot know it.
 */
bool
addr_excused(const struct world *w, unsigned id)
{
	const struct conf_timers *t = &w->conf->t;

	for (unsigned i = 0; i < HOSTS; i++)
		if (w->host[i].misled)
			return true;
	return id == 1 && w->total_cut_at != NEVER &&
	       w->sim->now - w->total_cut_at <
		   (int64_t)(t->dead_ms + t->lease_ms) * MS;
}

void
addr_check(struct world *w)
{
	for (unsigned id = 0; id < ADDRESSES; id++) {
		if (!answers(&w->host[0], id) || !answers(&w->host[1], id))
			continue;
		if (addr_excused(w, id)) {
			w->excused++;
			continue;
		}
		violation(w, "I1", "both nodes answer for address %s",
		    w->conf->addresses[id].name);
	}
	rt_check(w);
}

static struct mail *
vip_mail(struct host *h, enum vip_ev type)
{
	struct mail *m = mail_new(h, ND_EV_VIP, FROM_VIP);

	m->e.u.vip.type = type;
	return m;
}

void
addr_add(struct host *h, uint16_t id)
{
	struct mail *m = vip_mail(h, VIP_EV_ADDED);
	bool ok = !chance(h->w, h->fail_permille / 4);

	h->addr[id] |= ok;
	m->e.u.vip.u.result.id = id;
	m->e.u.vip.u.result.ok = ok;
	snprintf(m->text, sizeof(m->text), "%s", ok ? "" : "no such device");
	deliver_in(h, m, 20);
	addr_check(h->w);
}

void
addr_del(struct host *h, uint16_t id)
{
	struct mail *m = vip_mail(h, VIP_EV_REMOVED);

	m->e.u.vip.u.result.id = id;
	m->e.u.vip.u.result.ok = true;
	m->e.u.vip.u.result.found = h->addr[id];
	if (answers(h, id))
		say(h->w, "%s takes address %u away with its guard open",
		    h->name, id);
	h->addr[id] = false;
	deliver_in(h, m, 20);
}

void
addr_lease(
    struct host *h, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct world *w = h->w;
	struct mail *m = vip_mail(h, VIP_EV_LEASED);
	bool had[ADDRESSES];

	for (unsigned id = 0; id < ADDRESSES; id++)
		had[id] = answers(h, id);
	h->open = *open;
	h->open_until = true_of(h, until.us);
	for (unsigned id = 0; id < ADDRESSES; id++)
		if (answers(h, id) != had[id])
			say(w, "%s %s for address %s", h->name,
			    had[id] ? "is silent" : "answers",
			    w->conf->addresses[id].name);
	mix(w, open->w[0] << 32 ^ (uint64_t)h->open_until);
	m->e.u.vip.u.leased.seq = seq;
	m->e.u.vip.u.leased.ok = true;
	deliver_in(h, m, 10);
	addr_check(w);
}
