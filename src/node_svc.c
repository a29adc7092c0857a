/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services inside the node: each step goes to who can do it.  Mounts and
 * commands go out to the driver; a volume is promoted by its mirror and then
 * exported; an address is taken by the vip core.
 */
#include <stdio.h>
#include <string.h>

#include "node_int.h"

/* Tokens of vip_event.order: which step waits. */
static uint64_t
vip_token(uint16_t service, uint8_t step)
{
	return UINT64_C(1) << 32 | (uint64_t)service << 8 | step;
}

static const struct conf_step *
conf_step(const struct nd *nd, uint16_t service, uint8_t step)
{
	ASSERT(service < nd->conf->n_services);
	ASSERT(step < nd->conf->services[service].n_steps);
	return &nd->conf->services[service].steps[step];
}

static void
step_done(struct nd *nd, uint16_t service, uint8_t step, enum svc_action action,
    uint32_t token, enum svc_result result, const char *text)
{
	struct nd_inner *in = nd_inner_put(nd, ND_IN_SVC);

	in->u.svc.type = SVC_EV_STEP_DONE;
	in->u.svc.u.done.service = service;
	in->u.svc.u.done.step = step;
	in->u.svc.u.done.action = action;
	in->u.svc.u.done.token = token;
	in->u.svc.u.done.result = result;
	snprintf(in->text, ND_INNER_TEXT, "%s", text != NULL ? text : "");
	in->u.svc.u.done.text = in->text;
}

void
nd_task_done(struct nd *nd, uint16_t service, uint8_t step,
    enum svc_result result, const char *text)
{
	struct nd_task *t = &nd->tasks[service][step];
	enum svc_action action = t->action;
	uint32_t token = t->token;

	if (t->what == ND_TASK_NONE)
		return;
	memset(t, 0, sizeof(*t));
	step_done(nd, service, step, action, token, result, text);
}

/* The task of a volume step that is under way, or NULL. */
static struct nd_task *
volume_task(struct nd *nd, uint16_t vol, uint16_t *service, uint8_t *step)
{
	for (uint16_t s = 0; s < nd->conf->n_services; s++) {
		const struct conf_service *cs = &nd->conf->services[s];

		for (uint8_t i = 0; i < cs->n_steps; i++) {
			if (nd->tasks[s][i].what == ND_TASK_VOLUME &&
			    cs->steps[i].ref == vol) {
				*service = s;
				*step = i;
				return &nd->tasks[s][i];
			}
		}
	}
	return NULL;
}

static void
export_volume(struct nd *nd, uint16_t vol, bool on)
{
	nd->vols[vol].export_wanted = on;
	nd->ops->vol_export(nd->ctx, vol, on);
}

static void
order_mirror(struct nd *nd, uint16_t vol, bool promote)
{
	struct nd_inner *in = nd_inner_put(nd, ND_IN_MIR);

	in->vol = vol;
	in->u.mir.type = promote ? MIR_PROMOTE : MIR_DEMOTE;
	if (promote)
		in->u.mir.u.promote.token = ND_TOKEN_PROMOTE;
	else
		in->u.mir.u.demote.token = ND_TOKEN_DEMOTE;
}

static void
volume_step(struct nd *nd, uint16_t service, uint8_t step,
    const struct conf_step *cs, enum svc_action action)
{
	struct nd_vol *v = &nd->vols[cs->ref];
	struct nd_task *t = &nd->tasks[service][step];

	switch (action) {
	case SVC_DO_START:
		order_mirror(nd, cs->ref, true);
		break;
	case SVC_DO_STOP:
	case SVC_DO_CLEAN:
		/* First nobody writes any more, then the role is given up. */
		if (v->exported || v->export_wanted) {
			t->exporting = true;
			export_volume(nd, cs->ref, false);
		} else {
			order_mirror(nd, cs->ref, false);
		}
		break;
	case SVC_DO_KILL:
		nd_task_done(nd, service, step, SVC_RES_OK, NULL);
		break;
	case SVC_DO_STATUS:
		nd_task_done(nd, service, step,
		    v->exported ? SVC_RES_OK : SVC_RES_FAILED,
		    v->exported ? NULL : "not exported");
		break;
	case SVC_ACTION_N:
		break;
	}
}

/* The mirror answered PROMOTE or DEMOTE. */
void
nd_svc_promoted(
    struct nd *nd, uint16_t vol, bool promote, bool ok, const char *text)
{
	uint16_t service;
	uint8_t step;
	struct nd_task *t = volume_task(nd, vol, &service, &step);

	if (t == NULL) {
		/* Cancelled meanwhile: a stop follows and takes it back. */
		return;
	}
	if (promote != (t->action == SVC_DO_START))
		return;
	if (promote && ok) {
		t->exporting = true;
		export_volume(nd, vol, true);
		return;
	}
	nd_task_done(nd, service, step, ok ? SVC_RES_OK : SVC_RES_FAILED, text);
}

void
nd_svc_exported(struct nd *nd, uint16_t vol, bool on, bool ok, const char *text)
{
	struct nd_vol *v = &nd->vols[vol];
	uint16_t service;
	uint8_t step;
	struct nd_task *t = volume_task(nd, vol, &service, &step);

	v->exported = on;
	if (t == NULL || !t->exporting)
		return;
	if (t->action == SVC_DO_START) {
		if (on || !ok)
			nd_task_done(nd, service, step,
			    on ? SVC_RES_OK : SVC_RES_FAILED, text);
		return;
	}
	if (on && ok)
		return;
	if (!ok) {
		nd_task_done(nd, service, step, SVC_RES_FAILED, text);
		return;
	}
	t->exporting = false;
	order_mirror(nd, vol, false);
}

static void
address_step(struct nd *nd, uint16_t service, uint8_t step, uint16_t id,
    enum svc_action action)
{
	enum vip_state st = vip_state(nd->vip, id);
	struct nd_inner *in;

	if (action == SVC_DO_KILL || action == SVC_DO_STATUS) {
		bool ok = action == SVC_DO_KILL || st == VIP_ACTIVE ||
			  st == VIP_OPENING;

		nd_task_done(nd, service, step,
		    ok ? SVC_RES_OK : SVC_RES_FAILED,
		    ok ? NULL : vip_state_name(st));
		return;
	}
	in = nd_inner_put(nd, ND_IN_VIP);
	in->u.vip.type = action == SVC_DO_START ? VIP_EV_TAKE : VIP_EV_RELEASE;
	in->u.vip.u.order.id = id;
	in->u.vip.u.order.token = vip_token(service, step);
}

static void
op_step(void *ctx, uint16_t service, uint8_t step, enum svc_action action,
    uint32_t token)
{
	struct nd *nd = ctx;
	const struct conf_step *cs;
	struct nd_task *t;

	if (step == SVC_STEP_CHECK) {
		nd->ops->step(nd->ctx, service, step, action, token);
		return;
	}
	cs = conf_step(nd, service, step);
	if (cs->type == CONF_STEP_MOUNT || cs->type == CONF_STEP_COMMAND) {
		nd->ops->step(nd->ctx, service, step, action, token);
		return;
	}
	t = &nd->tasks[service][step];
	memset(t, 0, sizeof(*t));
	t->what =
	    cs->type == CONF_STEP_VOLUME ? ND_TASK_VOLUME : ND_TASK_ADDRESS;
	t->action = action;
	t->token = token;
	if (t->what == ND_TASK_VOLUME)
		volume_step(nd, service, step, cs, action);
	else
		address_step(nd, service, step, cs->ref, action);
}

static void
op_cancel(void *ctx, uint16_t service, uint8_t step, uint32_t token)
{
	struct nd *nd = ctx;

	if (step != SVC_STEP_CHECK &&
	    nd->tasks[service][step].what != ND_TASK_NONE) {
		if (nd->tasks[service][step].token == token)
			nd_task_done(
			    nd, service, step, SVC_RES_TIMEOUT, "deadline");
		return;
	}
	nd->ops->step_cancel(nd->ctx, token);
}

static void
op_send(void *ctx, uint8_t to, const uint8_t *bytes, size_t len)
{
	struct nd *nd = ctx;
	struct nd_peer *p = nd_peer(nd, to);
	struct nd_buf buf = {bytes, len};

	if (p != NULL)
		nd_net_send(nd, p, WIRE_SVC, 0, 0, &buf, 1);
}

static void
op_timer(void *ctx, monotime_t at)
{
	((struct nd *)ctx)->svc_at = at;
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	nd_note(ctx, level, rule, object, text);
}

static void
op_reply(void *ctx, uint64_t token, int code, const char *text)
{
	struct nd *nd = ctx;

	nd->ops->reply(nd->ctx, token, code == 0 ? 0 : 69, text);
}

static void
op_state(void *ctx, uint16_t service, enum svc_state old, enum svc_state new,
    const char *reason)
{
	struct nd *nd = ctx;
	char object[HAD_NAME_MAX + 16], text[200];

	snprintf(object, sizeof(object), "service %s",
	    nd->conf->services[service].name);
	snprintf(text, sizeof(text), "%s -> %s: %s", svc_state_name(old),
	    svc_state_name(new), reason);
	nd_note(nd, new == SVC_FAILED ? HAD_ERR : HAD_INFO, "", object, text);
	nd_arb_service(nd, service, new);
	nd_vr_service(nd, service, new);
}

static void
op_stopped(void *ctx, bool clean)
{
	struct nd *nd = ctx;

	if (clean) {
		nd_lock_leave(nd);
	} else {
		/* No goodbye: the peer must not think that all is free. */
		nd_vr_tell_due(nd, true); /* no word leaves after this */
		nd->ops->done(nd->ctx, false);
	}
}

static void
op_self_fence(void *ctx, uint16_t service, const char *reason)
{
	struct nd *nd = ctx;

	(void)service;
	nd->ops->self_fence(nd->ctx, reason);
}

static void
op_svc_cell(void *ctx, enum svc_in in, enum svc_state state)
{
	nd_cell(ctx, ND_TABLE_SVC, in, state);
}

static const struct svc_ops svc_ops = {
    .step = op_step,
    .cancel = op_cancel,
    .send = op_send,
    .timer = op_timer,
    .note = op_note,
    .op_reply = op_reply,
    .state = op_state,
    .stopped = op_stopped,
    .self_fence = op_self_fence,
    .cell = op_svc_cell,
};

struct svc *
nd_svc_new(struct nd *nd)
{
	return svc_new(nd->conf, nd->self, &svc_ops, nd);
}

static void
vip_op_add(void *ctx, uint16_t id)
{
	struct nd *nd = ctx;

	nd->ops->addr_add(nd->ctx, id);
}

static void
vip_op_del(void *ctx, uint16_t id)
{
	struct nd *nd = ctx;

	nd->ops->addr_del(nd->ctx, id);
}

static void
vip_op_lease(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct nd *nd = ctx;

	nd->ops->lease(nd->ctx, seq, open, until);
}

static void
vip_op_announce(void *ctx, uint16_t id)
{
	struct nd *nd = ctx;

	nd->ops->announce(nd->ctx, id);
}

static void
vip_op_timer(void *ctx, monotime_t at)
{
	((struct nd *)ctx)->vip_at = at;
}

/*
 * The kernel has silenced the addresses because no renewal came in time.  It
 * is the same as not having run: membership decides whether they may speak
 * again, and VOUCH is told anew.
 */
static void
vip_op_lapsed(void *ctx)
{
	struct nd *nd = ctx;
	struct nd_inner *in;

	nd->vouch_told = false;
	nd->views_due = true;
	/* Whoever ends does not ask: its addresses go anyway. */
	if (nd->state == MB_STOPPING)
		return;
	in = nd_inner_put(nd, ND_IN_MEMBER);
	in->u.member.type = MB_EV_GAP;
	in->u.member.u.gap.us = (int64_t)nd->conf->t.lease_ms * 1000 + 1;
}

static void
vip_op_done(void *ctx, uint64_t token, bool ok, const char *text)
{
	struct nd *nd = ctx;

	if (token == 0)
		return;
	nd_task_done(nd, (uint16_t)(token >> 8 & 0xffff),
	    (uint8_t)(token & 0xff), ok ? SVC_RES_OK : SVC_RES_FAILED, text);
}

static void
op_vip_cell(void *ctx, enum vip_ev in, enum vip_state state)
{
	nd_cell(ctx, ND_TABLE_VIP, in, state);
}

static const struct vip_ops vip_ops = {
    .addr_add = vip_op_add,
    .addr_del = vip_op_del,
    .lease = vip_op_lease,
    .announce = vip_op_announce,
    .timer = vip_op_timer,
    .lapsed = vip_op_lapsed,
    .done = vip_op_done,
    .note = op_note,
    .cell = op_vip_cell,
};

struct vip *
nd_vip_new(struct nd *nd)
{
	struct vip_addr_conf addrs[HAD_ADDRESSES_MAX];
	struct vip_conf c = {
	    .addrs = addrs,
	    .lease_ms = nd->conf->t.lease_ms,
	};

	memset(addrs, 0, sizeof(addrs));
	for (uint16_t i = 0; i < nd->conf->n_addresses; i++) {
		const struct conf_address *a = &nd->conf->addresses[i];

		memcpy(addrs[i].name, a->name, sizeof(addrs[i].name));
		/* 0: another core's. */
		if (!nd_elected(nd, i) && !nd_shared(nd, i)) {
			addrs[i].family = a->family;
			c.n = i + 1; /* no room for what is another's after */
		}
		memcpy(addrs[i].bytes, a->bytes, sizeof(addrs[i].bytes));
		addrs[i].prefix = a->prefix;
		memcpy(addrs[i].ifname, a->ifname, sizeof(addrs[i].ifname));
	}
	return vip_new(&c, &vip_ops, nd);
}
