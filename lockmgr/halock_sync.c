/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libhalock: the synchronous interface, on top of the asynchronous one.
 */
#include <errno.h>
#include <string.h>

#include "halock_int.h"

static void
forget(struct halock *h, const struct halock_wait *w)
{
	struct halock_wait **p;

	for (p = &h->waits; *p != w; p = &(*p)->next)
		;
	*p = w->next;
}

/* Waits with others; whoever finds nobody reading reads for all. */
static int
await(struct halock *h, struct halock_wait *w)
{
	while (!w->done && !h->dead) {
		if (h->reading)
			pthread_cond_wait(&h->cond, &h->lock);
		else
			halock_read(h, true);
	}
	/* What was read for others is theirs to look at now. */
	pthread_cond_broadcast(&h->cond);
	if (w->done)
		return 0;
	errno = ENOTCONN;
	return -1;
}

static int
call(struct halock *h, struct halock_req *r, struct lkp_ans *ans)
{
	struct halock_wait w = {.done = false};
	uint8_t buf[LKP_HDR_LEN + LKP_REQ_LEN];
	int rc;

	pthread_mutex_lock(&h->lock);
	w.cookie = r->cookie = HALOCK_SYNC | ++h->cookie;
	w.next = h->waits;
	/* cppcheck-suppress autoVariables ; forget() takes it back */
	h->waits = &w;
	pthread_mutex_unlock(&h->lock);
	lkp_put_hdr(buf, 1);
	halock_put_req(h, buf + LKP_HDR_LEN, r);
	rc = halock_send(h, buf, sizeof(buf));
	pthread_mutex_lock(&h->lock);
	if (rc == 0)
		rc = await(h, &w);
	forget(h, &w);
	pthread_mutex_unlock(&h->lock);
	*ans = w.ans;
	if (rc == 0 && w.ans.status != 0) {
		errno = w.ans.status;
		return -1;
	}
	return rc;
}

static void
to_grant(struct halock_grant *g, const struct lkp_ans *a)
{
	if (g == NULL)
		return;
	memset(g, 0, sizeof(*g));
	g->lock = a->lock;
	g->token = a->token;
	g->value_valid =
	    (a->flags & (LKP_F_VALUE | LKP_F_NOTVALID)) == LKP_F_VALUE;
	memcpy(g->value, a->value, sizeof(g->value));
}

int
halock_lock(struct halock *h, const char *name, enum halock_mode mode,
    unsigned flags, uint32_t timeout_ms, struct halock_grant *g)
{
	struct halock_req r = {.op = HALOCK_OP_LOCK,
	    .mode = mode,
	    .flags = flags,
	    .timeout_ms = timeout_ms,
	    .name = name,
	    .name_len = strlen(name)};
	struct lkp_ans a;

	if (r.name_len < 1 || r.name_len > HALOCK_NAME_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (call(h, &r, &a) == -1)
		return -1;
	to_grant(g, &a);
	return 0;
}

int
halock_convert(struct halock *h, uint64_t lock, enum halock_mode mode,
    unsigned flags, uint32_t timeout_ms, const void *value,
    struct halock_grant *g)
{
	struct halock_req r = {.op = HALOCK_OP_CONVERT,
	    .mode = mode,
	    .flags = flags,
	    .timeout_ms = timeout_ms,
	    .lock = lock,
	    .value = value};
	struct lkp_ans a;

	if (call(h, &r, &a) == -1)
		return -1;
	to_grant(g, &a);
	return 0;
}

int
halock_unlock(
    struct halock *h, uint64_t lock, unsigned flags, const void *value)
{
	struct halock_req r = {.op = HALOCK_OP_UNLOCK,
	    .flags = flags,
	    .lock = lock,
	    .value = value};
	struct lkp_ans a;

	return call(h, &r, &a);
}

int
halock_cancel(struct halock *h, uint64_t lock)
{
	struct halock_req r = {.op = HALOCK_OP_CANCEL, .lock = lock};
	struct lkp_ans a;

	return call(h, &r, &a);
}
