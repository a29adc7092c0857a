/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What must hold when nothing goes wrong any more, and the comparison of the
 * two copies.
 */
#include <string.h>

#include "sim_vr.h"

/* In the state for ever: of two, a pair; of one, alone. */
static bool
whole(const struct world *w, const struct nd_status *s)
{
	if (w->n_hosts == 1)
		return s->member.self == MB_ALONE;
	return s->member.self == MB_PAIRED &&
	       s->member.peers[0].verdict == MB_PEER_ALIVE;
}

bool
paired(struct world *w)
{
	for (unsigned i = 0; i < w->n_hosts; i++) {
		struct host *h = &w->host[i];

		if (!h->running || h->paused || !whole(w, status(h)))
			return false;
	}
	return true;
}

bool
in_sync(struct world *w)
{
	for (unsigned i = 0; i < w->n_hosts && w->conf->n_volumes > 0; i++) {
		const struct mir_status *v;

		if (!w->host[i].running)
			return false;
		v = &status(&w->host[i])->vols[0];
		if (v->conn != MIR_CONN_INSYNC ||
		    v->disk != MIR_DISK_UPTODATE || v->dirty_bytes != 0)
			return false;
	}
	return true;
}

int
runs_on(struct world *w, uint16_t service)
{
	int on = -1;

	for (unsigned i = 0; i < w->n_hosts; i++) {
		if (!w->host[i].running ||
		    status(&w->host[i])->svc.services[service].state !=
			SVC_RUNNING)
			continue;
		if (on >= 0)
			return -2;
		on = (int)i;
	}
	return on;
}

static const char *
unsettled_volume(struct world *w, struct host *h)
{
	static char text[200];
	const struct mir_status *v = &status(h)->vols[0];

	snprintf(text, sizeof(text), "%s: copy %s, peer's %s, %s%s, %s",
	    h->name, mir_disk_name(v->disk), mir_disk_name(v->peer_disk),
	    mir_conn_name(v->conn), v->primary ? ", primary" : "", v->error);
	(void)w;
	return text;
}

const char *
unsettled(struct world *w)
{
	static char text[200];

	for (unsigned i = 0; i < w->n_hosts; i++) {
		struct host *h = &w->host[i];
		const struct nd_status *s;

		if (!h->running || h->paused)
			return "a daemon is not there";
		s = status(h);
		if (!whole(w, s)) {
			snprintf(text, sizeof(text),
			    "%s is %s (%s), its peer %s (%s)", h->name,
			    mb_self_name(s->member.self), s->member.rule,
			    mb_peer_name(s->member.peers[0].verdict),
			    s->member.peers[0].rule);
			return text;
		}
	}
	if (!in_sync(w)) {
		snprintf(
		    text, sizeof(text), "%s", unsettled_volume(w, &w->host[0]));
		strncat(text, " / ", sizeof(text) - strlen(text) - 1);
		strncat(text, unsettled_volume(w, &w->host[1]),
		    sizeof(text) - strlen(text) - 1);
		return text;
	}
	for (uint16_t i = 0; i < SERVICES; i++) {
		if (runs_on(w, i) >= 0)
			continue;
		snprintf(text, sizeof(text),
		    "service %s is %s (%s) on %s and %s (%s)",
		    w->conf->services[i].name,
		    svc_state_name(status(&w->host[0])->svc.services[i].state),
		    w->host[0].st->svc.services[i].reason, w->host[0].name,
		    w->n_hosts == 1
			? "nowhere else"
			: svc_state_name(
			      status(&w->host[1])->svc.services[i].state),
		    w->host[1].st->svc.services[i].reason);
		return text;
	}
	return rt_unsettled(w);
}

bool
settled(struct world *w)
{
	return unsettled(w) == NULL;
}

bool
images_equal(struct world *w, bool complain)
{
	const uint8_t *a = w->host[0].disk.cache, *b = w->host[1].disk.cache;
	uint64_t size = w->host[0].disk.layout.data_bytes;

	for (uint64_t off = 0; off < size; off += SECTOR) {
		if (memcmp(a + off, b + off, SECTOR) == 0)
			continue;
		if (complain)
			violation(w, "I4",
			    "in sync and clean, but the copies differ at %llu",
			    (unsigned long long)off);
		return false;
	}
	return true;
}

/*
 * They are a pair again, nobody goes on from an older epoch, and nothing that
 * was told before the lie is still on its way.
 */
static bool
all_agree(struct world *w)
{
	return settled(w) && nd_epoch(w->host[0].nd) == nd_epoch(w->host[1].nd);
}

/*
 * I4: a clean bit implies equal blocks; looked at whenever nothing moves.
 * Here a lie ends too: from now on what is there counts.
 */
void
judge_sync_point(struct world *w)
{
	uint64_t where;

	if (w->conf->n_volumes == 0 || !w->host[0].running ||
	    !w->host[1].running || !in_sync(w))
		return;
	for (unsigned i = 0; i < HOSTS; i++) {
		const struct mir_status *v = &w->host[i].st->vols[0];

		if (v->requests != 0 || v->peer_ops != 0)
			return;
	}
	if (vol_inflight(w) > 0)
		return;
	if (!disk_same(w, &where))
		violation(w, "I4",
		    "in sync and clean, but the copies differ at %llu",
		    (unsigned long long)where);
	w->host[0].stale = w->host[1].stale = false;
	if (w->lied && all_agree(w)) {
		say(w, "the copies have met again: what is there counts");
		vol_adopt(w, w->host[0].disk.cache);
		w->lied = false;
	}
}

void
judge_end(struct world *w)
{
	if (w->sim->failed)
		return;
	if (w->conf->n_volumes > 0)
		images_equal(w, true);
	if (w->conf->n_volumes > 0 && !vol_holds(w, w->host[0].disk.cache))
		violation(w, "I2", "an acknowledged write is missing");
	for (unsigned i = 0; i < OPS_MAX; i++)
		if (w->ops[i].token != 0)
			violation(w, "I6",
			    "an operator waits for ever on %s, request %u "
			    "since %lld.%06lld",
			    w->ops[i].h->name, w->ops[i].op,
			    (long long)(w->ops[i].asked / SEC),
			    (long long)(w->ops[i].asked % SEC));
}
