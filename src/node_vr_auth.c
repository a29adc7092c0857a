/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers inside the node: adverts of VRRP that are signed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "node_vr.h"

_Static_assert((int)CONF_HMAC_MAX == (int)VRRP_HMAC_KEY_MAX &&
		   (int)CONF_HMAC_MIN == (int)VRRP_HMAC_KEY_MIN,
    "a key as the protocol has it");

/* What is refused, or late, is said so often, for each router. */
enum { SAY_MS = 10 * 1000 };

/* So long after a reload an advert may come once more, by the old socket. */
enum { TWICE_MS = 100 };

bool
nd_vr_auth_new(
    struct nd_vr_router *r, const struct conf *c, const struct conf_router *rc)
{
	const struct conf_hmac_key *keys[CONF_HMAC_KEYS_MAX];
	struct nd_vr_auth *v;
	uint8_t n;

	/* One that leaves has the keys that it had: nd_vr_auth_adopt. */
	if (rc->hmac.mode == CONF_HMAC_NONE || rc->leaving)
		return true;
	n = conf_router_keys(c, rc, keys);
	v = calloc(1, sizeof(*v) + n * sizeof(v->keys[0]));
	if (v == NULL)
		return false;
	for (uint8_t i = 0; i < n; i++)
		vrrp_auth_key_init(
		    &v->keys[i], keys[i]->id, keys[i]->bytes, keys[i]->len);
	v->auth.keys = v->keys;
	v->auth.n_keys = n;
	v->auth.enforce = rc->hmac.mode == CONF_HMAC_ENFORCE;
	if (rc->hmac.mode != CONF_HMAC_RECEIVE_ONLY)
		v->auth.sign = rc->hmac.sign;
	v->auth.monotonic = rc->hmac.monotonic;
	v->auth.window_s = rc->hmac.window_s;
	memcpy(v->auth.peers, rc->unicast, sizeof(v->auth.peers));
	v->auth.n_peers = rc->n_unicast;
	v->refused_at.us = v->skewed_at.us = -SAY_MS * INT64_C(1000);
	r->auth = v;
	return true;
}

void
nd_vr_auth_adopt(const struct nd *nd, struct nd_vr_router *r,
    struct nd_vr_router *old, bool leaves)
{
	struct nd_vr_auth *was = r->auth;

	if (was != NULL)
		was->twice_until = mt_add_ms(nd->now, TWICE_MS);
	if (leaves)
		return;
	r->auth = old->auth;
	old->auth = was;
	if (r->auth != NULL && was != NULL) {
		vrrp_auth_adopt(&r->auth->auth, &was->auth);
		r->auth->refused_at = was->refused_at;
		r->auth->skewed_at = was->skewed_at;
		r->auth->twice_until = was->twice_until;
	}
}

const uint8_t *
nd_vr_auth_sign(const struct nd *nd, struct nd_vr_router *r,
    const struct vrrp_packet *p, uint8_t trailer[VRRP_TRAILER_LEN])
{
	uint8_t
	    msg[VRRP_HEAD_LEN + VRRP_AUTH_LEN + 16 * HAD_ROUTER_ADDRESSES_MAX];
	size_t len;

	if (r->auth == NULL || r->auth->auth.sign == 0)
		return NULL;
	ASSERT(p->trailer == NULL);
	len = vrrp_encode_message(msg, sizeof(msg), p);
	vrrp_auth_sign(&r->auth->auth, vrrp_auth_clock(nd->wall_us),
	    p->f.family, p->f.src, msg, len, trailer);
	return trailer;
}

static bool
may_say(const struct nd *nd, monotime_t *last)
{
	if (mt_before(nd->now, mt_add_ms(*last, SAY_MS)))
		return false;
	*last = nd->now;
	return true;
}

static void
say(struct nd *nd, const struct nd_vr_router *r, const struct vrrp_packet *p,
    const char *what)
{
	char object[16 + HAD_NAME_MAX], text[256], from[INET6_ADDRSTRLEN];

	snprintf(object, sizeof(object), "router %s", nd_vr_conf(nd, r)->name);
	if (inet_ntop(p->f.family == 4 ? AF_INET : AF_INET6, p->f.src, from,
		sizeof(from)) == NULL)
		from[0] = '\0';
	snprintf(text, sizeof(text), "advert from %s: %s", from, what);
	nd_note(nd, HAD_WARN, "", object, text);
}

/* Why it was refused. */
static void
say_refused(struct nd *nd, const struct nd_vr_router *r,
    const struct vrrp_packet *p, enum vrrp_reject why, int64_t ahead)
{
	char text[160];

	if (why == VRRP_R_HMAC_STALE)
		snprintf(text, sizeof(text),
		    "refused: hmac-stale: its clock is %" PRId64
		    " s %s this one's, or it was sent then; the window is %u s",
		    ahead < 0 ? -ahead : ahead,
		    ahead < 0 ? "behind" : "ahead of", r->auth->auth.window_s);
	else
		snprintf(
		    text, sizeof(text), "refused: %s", vrrp_reject_name(why));
	say(nd, r, p, text);
}

/* It was believed, but a little more and it will not be. */
static void
say_skewed(struct nd *nd, const struct nd_vr_router *r,
    const struct vrrp_packet *p, int64_t ahead)
{
	char text[160];

	snprintf(text, sizeof(text),
	    "its clock is %" PRId64 " s %s this one's; with more than %u s it "
	    "will be refused: synchronize the clocks",
	    ahead < 0 ? -ahead : ahead, ahead < 0 ? "behind" : "ahead of",
	    r->auth->auth.window_s);
	say(nd, r, p, text);
}

enum vrrp_reject
nd_vr_auth_check(struct nd *nd, struct nd_vr_router *r,
    const struct vrrp_packet *p, bool *twice)
{
	struct nd_vr_auth *v = r->auth;
	enum vrrp_reject why;
	int32_t ahead;

	*twice = false;
	if (v == NULL)
		return VRRP_OK;
	why =
	    vrrp_auth_check(&v->auth, p, vrrp_auth_clock(nd->wall_us), &ahead);
	*twice = why == VRRP_R_HMAC_REPLAY &&
		 mt_before(nd->now, v->twice_until) &&
		 vrrp_auth_is_last(&v->auth, p);
	if (why != VRRP_OK) {
		if (!*twice && may_say(nd, &v->refused_at))
			say_refused(nd, r, p, why, ahead);
	} else if (!v->auth.monotonic &&
		   (ahead < 0 ? -(int64_t)ahead : ahead) * 2 >
		       v->auth.window_s &&
		   may_say(nd, &v->skewed_at))
		say_skewed(nd, r, p, ahead);
	return why;
}
