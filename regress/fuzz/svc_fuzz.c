/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any message from a peer that is paired: no assertion is reachable.  Input
 * is a row of messages, each after a byte with its length; what decodes
 * encodes to the same.
 */
#include <string.h>

#include "svc.h"
#include "svc_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct world {
	struct svc_event done[16];
	unsigned n_done;
	monotime_t timer;
};

static void
op_step(void *ctx, uint16_t service, uint8_t step, enum svc_action action,
    uint32_t token)
{
	struct world *w = ctx;
	struct svc_event *e = &w->done[w->n_done++ % 16];

	memset(e, 0, sizeof(*e));
	e->type = SVC_EV_STEP_DONE;
	e->u.done.service = service;
	e->u.done.step = step;
	e->u.done.action = action;
	e->u.done.token = token;
}

static void
op_cancel(void *ctx, uint16_t service, uint8_t step, uint32_t token)
{
	(void)ctx;
	(void)service;
	(void)step;
	(void)token;
}

static void
op_send(void *ctx, uint8_t to, const uint8_t *bytes, size_t len)
{
	struct svc_msg m;
	const char *why;

	(void)ctx;
	ASSERT(to == 2);
	ASSERT(svc_msg_decode(&m, bytes, len, &why) == 0);
}

static void
op_timer(void *ctx, monotime_t at)
{
	((struct world *)ctx)->timer = at;
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx;
	(void)level;
	ASSERT(rule[0] != '\0' && object[0] != '\0' && text[0] != '\0');
}

static void
op_reply(void *ctx, uint64_t token, int code, const char *text)
{
	(void)ctx;
	(void)token;
	(void)code;
	ASSERT(text != NULL);
}

static void
op_state(void *ctx, uint16_t service, enum svc_state old, enum svc_state new,
    const char *reason)
{
	(void)ctx;
	(void)service;
	ASSERT(old != new &&reason[0] != '\0');
}

static void
op_stopped(void *ctx, bool clean)
{
	(void)ctx;
	(void)clean;
}

static void
op_self_fence(void *ctx, uint16_t service, const char *reason)
{
	(void)ctx;
	(void)service;
	ASSERT(reason[0] != '\0');
}

static const struct svc_ops ops = {op_step, op_cancel, op_send, op_timer,
    op_note, op_reply, op_state, op_stopped, op_self_fence};

static void
check_codec(const uint8_t *data, size_t len)
{
	uint8_t bytes[SVC_MSG_MAX];
	struct svc_msg m, n;
	const char *why;

	if (svc_msg_decode(&m, data, len, &why) == -1) {
		ASSERT(why != NULL);
		return;
	}
	len = svc_msg_encode(&m, bytes);
	ASSERT(svc_msg_decode(&n, bytes, len, &why) == 0);
	ASSERT(n.type == m.type && n.serial == m.serial && n.n == m.n);
}

static void
step(struct svc *s, struct svc_event e, monotime_t now)
{
	e.now = now;
	svc_step(s, &e);
}

static void
settle(struct svc *s, struct world *w, monotime_t now)
{
	for (unsigned i = 0; i < 40 && w->n_done > 0; i++) {
		struct svc_event e = w->done[(w->n_done - 1) % 16];

		w->n_done--;
		step(s, e, now);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf conf;
	struct world w = {.timer = MT_NEVER};
	struct svc_event e = {.type = SVC_EV_START};
	monotime_t now = {1000000};
	struct svc *s;

	strcpy(conf.nodes[0].name, "a");
	strcpy(conf.nodes[1].name, "b");
	conf.nodes[0].id = 1;
	conf.nodes[1].id = 2;
	conf.n_nodes = 2;
	conf.n_services = 1;
	strcpy(conf.services[0].name, "s");
	conf.services[0].n_steps = 1;
	conf.services[0].steps[0].type = CONF_STEP_ADDRESS;
	conf.services[0].steps[0].timeout_ms = 100;
	s = svc_new(&conf, 1, &ops, &w);
	step(s, e, now);
	settle(s, &w, now);
	e.type = SVC_EV_VIEW;
	e.u.view.right = SVC_RIGHT_PAIRED;
	e.u.view.alive = NODESET(2);
	step(s, e, now);
	while (size > 1) {
		size_t len = data[0] < size - 1 ? data[0] : size - 1;

		check_codec(data + 1, len);
		memset(&e, 0, sizeof(e));
		e.type = SVC_EV_MSG;
		e.u.msg.from = 2;
		e.u.msg.bytes = data + 1;
		e.u.msg.len = len;
		step(s, e, now);
		if (data[0] & 1)
			settle(s, &w, now);
		now = mt_add_ms(now, data[0]);
		e.type = SVC_EV_TIMER;
		step(s, e, now);
		data += 1 + len;
		size -= 1 + len;
	}
	svc_free(s);
	return 0;
}
