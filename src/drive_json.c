/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The node's status as JSON.  Units are in the names; times since an event
 * are in milliseconds; -1 means never or unknown.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "drive_int.h"

static const char *const health_names[] = {"OK", "DEGRADED", "CRITICAL"};

static void
put_s(json_t *o, const char *key, const char *value)
{
	json_object_set_new(o, key, json_string(value));
}

static void
put_i(json_t *o, const char *key, int64_t value)
{
	json_object_set_new(o, key, json_integer(value));
}

static void
put_b(json_t *o, const char *key, bool value)
{
	json_object_set_new(o, key, json_boolean(value));
}

static void
put_hex(json_t *o, const char *key, uint64_t value)
{
	char text[20];

	snprintf(text, sizeof(text), "%016llx", (unsigned long long)value);
	put_s(o, key, text);
}

/* Milliseconds from at to now; -1: never. */
static int64_t
ago_ms(monotime_t now, monotime_t at)
{
	if (at.us == 0 || at.us == MT_NEVER.us)
		return -1;
	return mt_sub_us(now, at) / 1000;
}

static const char *
name_of(const struct drive *d, uint8_t id)
{
	const struct conf_node *n = conf_node(d->conf, id);

	return n != NULL ? n->name : "";
}

/* The role of a node: active runs services, standby could. */
static const char *
role_of(const struct drive *d, uint8_t id)
{
	const struct nd_status *s = d->status;

	for (uint16_t i = 0; i < s->svc.n_services; i++)
		if (s->svc.services[i].on == id)
			return "active";
	if (NODESET_HAS(s->svc.standby, id))
		return "drained";
	if (id == d->self)
		return s->member.self == MB_INERT ? "inert" : "standby";
	for (unsigned i = 0; i < s->member.n_peers; i++)
		if (s->member.peers[i].id == id)
			return s->member.peers[i].verdict == MB_PEER_ALIVE
				   ? "standby"
				   : mb_peer_name(s->member.peers[i].verdict);
	return "unknown";
}

static json_t *
nodes(struct drive *d, monotime_t now)
{
	const struct nd_status *s = d->status;
	json_t *list = json_array(), *o;

	o = json_object();
	put_s(o, "name", d->me->name);
	put_b(o, "self", true);
	put_s(o, "role", role_of(d, d->self));
	put_s(o, "state", mb_self_name(s->member.self));
	put_i(o, "seen_ms", 0);
	put_s(o, "version", HAD_VERSION);
	json_array_append_new(list, o);
	for (unsigned i = 0; i < s->n_peers; i++) {
		o = json_object();
		put_s(o, "name", name_of(d, s->peers[i].id));
		put_b(o, "self", false);
		put_s(o, "role", role_of(d, s->peers[i].id));
		put_s(o, "state", mb_peer_name(s->member.peers[i].verdict));
		put_s(o, "rule",
		    s->member.peers[i].rule != NULL ? s->member.peers[i].rule
						    : "");
		put_i(o, "seen_ms", ago_ms(now, s->peers[i].heard));
		put_s(o, "version", s->peers[i].version);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
links(struct drive *d, monotime_t now)
{
	const struct nd_status *s = d->status;
	json_t *list = json_array();

	for (unsigned p = 0; p < s->n_peers; p++) {
		for (unsigned l = 0; l < s->n_links; l++) {
			const struct lnk_status *ls = &s->links[p][l];
			struct tp_assoc_stats as;
			json_t *o = json_object();

			put_s(o, "name", d->me->links[l].name);
			put_s(o, "peer", name_of(d, s->peers[p].id));
			put_s(o, "interface", d->me->links[l].ifname);
			put_s(o, "address", d->me->links[l].addr);
			put_s(o, "state", lnk_state_text(ls->state));
			put_b(o, "carrier", ls->carrier);
			put_i(o, "rtt_us",
			    ls->srtt_us > 0 ? (int64_t)ls->srtt_us : -1);
			put_i(o, "loss_permille",
			    ls->state == LNK_DOWN ? 1000 : ls->loss_permille);
			put_i(o, "since_ms", ago_ms(now, ls->since));
			put_i(o, "heard_ms", ago_ms(now, ls->heard_at));
			put_i(o, "sent", (int64_t)ls->sent);
			put_i(o, "received", (int64_t)ls->received);
			put_i(o, "lost", (int64_t)ls->lost);
			put_i(o, "late", (int64_t)ls->late);
			put_i(o, "downs", (int64_t)ls->downs);
			if (d->tp != NULL &&
			    tp_assoc_stats(d->tp, s->peers[p].id, TP_HB,
				(uint8_t)l, &as) == 0) {
				put_b(o, "secured", as.up);
				put_i(o, "rejected", (int64_t)as.rx_bad);
				put_i(o, "unsent", (int64_t)as.tx_dropped);
			}
			json_array_append_new(list, o);
		}
	}
	return list;
}

static const struct mir_status *
first_volume(
    const struct drive *d, const struct conf_service *cs, const char **name)
{
	for (unsigned i = 0; i < cs->n_steps; i++) {
		if (cs->steps[i].type == CONF_STEP_VOLUME) {
			*name = d->conf->volumes[cs->steps[i].ref].name;
			return &d->status->vols[cs->steps[i].ref];
		}
	}
	return NULL;
}

static json_t *
services(struct drive *d, monotime_t now)
{
	const struct nd_status *s = d->status;
	json_t *list = json_array();

	for (uint16_t i = 0; i < s->svc.n_services; i++) {
		const struct conf_service *cs = &d->conf->services[i];
		const struct mir_status *v;
		const char *volume = "";
		json_t *o = json_object();

		put_s(o, "name", cs->name);
		put_s(o, "on", name_of(d, s->svc.services[i].on));
		put_s(o, "state", svc_state_name(s->svc.services[i].state));
		put_s(o, "reason", s->svc.services[i].reason);
		put_s(o, "why_not", s->svc.services[i].why_not);
		put_b(o, "degraded", s->svc.services[i].degraded);
		put_b(o, "barred", s->svc.services[i].barred);
		put_b(o, "stopped", s->svc.services[i].stopped);
		put_b(o, "frozen", s->svc.services[i].frozen);
		put_s(o, "held", s->svc.services[i].held);
		put_s(o, "moved_by", name_of(d, s->svc.services[i].moved_by));
		put_i(o, "moved_ms", ago_ms(now, s->svc.services[i].moved_at));
		put_i(o, "since_ms", ago_ms(now, s->svc.services[i].since));
		put_i(o, "start_ms", s->svc.services[i].start_ms);
		put_i(o, "stop_ms", s->svc.services[i].stop_ms);
		v = first_volume(d, cs, &volume);
		put_s(o, "volume", volume);
		put_s(
		    o, "volume_state", v != NULL ? mir_conn_name(v->conn) : "");
		put_i(
		    o, "behind_bytes", v != NULL ? (int64_t)v->dirty_bytes : 0);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
sync_of(const struct mir_status *v)
{
	json_t *o = json_object();

	put_b(o, "active", v->sync.active);
	put_b(o, "source", v->sync.source);
	put_b(o, "stalled", v->sync.stalled);
	put_i(o, "total_bytes", (int64_t)v->sync.total_bytes);
	put_i(o, "left_bytes", (int64_t)v->sync.left_bytes);
	put_i(o, "rate_bytes_per_s", (int64_t)v->sync.rate);
	put_i(o, "eta_s", v->sync.rate > 0 ? (int64_t)v->sync.eta_s : -1);
	return o;
}

static json_t *
volumes(struct drive *d)
{
	const struct nd_status *s = d->status;
	json_t *list = json_array();

	for (uint16_t i = 0; i < s->n_vols; i++) {
		const struct mir_status *v = &s->vols[i];
		json_t *o = json_object();
		char dev[32];

		put_s(o, "name", d->conf->volumes[i].name);
		put_s(o, "role", v->primary ? "primary" : "secondary");
		put_s(o, "disk", mir_disk_name(v->disk));
		put_s(o, "peer_disk", mir_disk_name(v->peer_disk));
		put_s(o, "connection", mir_conn_name(v->conn));
		put_s(o, "backing", d->conf->volumes[i].device);
		put_s(o, "device",
		    drive_vol_device(d, i, dev, sizeof(dev)) != NULL ? dev
								     : "");
		put_b(o, "holding", v->holding);
		put_b(o, "alone", v->alone);
		put_i(o, "size_bytes", (int64_t)v->size_bytes);
		put_i(o, "dirty_bytes", (int64_t)v->dirty_bytes);
		put_i(o, "read_bytes", (int64_t)v->read_bytes);
		put_i(o, "written_bytes", (int64_t)v->written_bytes);
		put_i(o, "sent_bytes", (int64_t)v->sent_bytes);
		put_i(o, "received_bytes", (int64_t)v->received_bytes);
		put_i(o, "latency_us", v->latency_us);
		put_i(o, "requests", v->requests);
		put_hex(o, "generation", v->current);
		put_hex(o, "bitmap_generation", v->bitmap);
		json_object_set_new(o, "resync", sync_of(v));
		put_s(o, "error", v->error);
		json_array_append_new(list, o);
	}
	return list;
}

static void
take_status(struct drive *d, monotime_t now)
{
	nd_status(d->nd, now, d->status);
}

json_t *
drive_json_links(struct drive *d)
{
	json_t *o = json_object();
	struct tp_stats ts;

	take_status(d, drive_now());
	json_object_set_new(o, "links", links(d, drive_now()));
	if (d->tp != NULL) {
		tp_stats(d->tp, &ts);
		put_i(o, "strangers", (int64_t)ts.strangers);
		put_s(o, "stranger_address", ts.stranger_addr);
		put_s(o, "stranger_why", ts.stranger_why);
	}
	return o;
}

json_t *
drive_json_volumes(struct drive *d)
{
	json_t *o = json_object();

	take_status(d, drive_now());
	json_object_set_new(o, "volumes", volumes(d));
	return o;
}

static json_t *
daemon_object(struct drive *d)
{
	const struct nd_status *s = d->status;
	json_t *o = json_object();
	struct loop_lag lag;
	struct rusage ru;

	loop_lag(d->loop, &lag);
	put_i(o, "loop_lag_p50_us", lag.p50_us);
	put_i(o, "loop_lag_p99_us", lag.p99_us);
	put_i(o, "loop_lag_max_us", lag.max_us);
	if (getrusage(RUSAGE_SELF, &ru) == 0) {
		put_i(o, "rss_max_kib", ru.ru_maxrss);
		put_i(o, "cpu_ms",
		    (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000 +
			(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1000);
	}
	put_i(o, "refused_stale", (int64_t)s->refused_stale);
	put_i(o, "refused_malformed", (int64_t)s->refused_malformed);
	put_i(o, "guard_lapsed", (int64_t)s->vip.lapsed);
	put_i(o, "guard_flushed", (int64_t)s->vip.flushed);
	put_hex(o, "incarnation", s->incarnation);
	return o;
}

json_t *
drive_json_status_head(struct drive *d)
{
	monotime_t now = drive_now();
	const struct nd_status *s = d->status;
	json_t *o = json_object();
	char digest[20], peer[20] = "";

	take_status(d, now);
	put_s(o, "had", HAD_VERSION);
	put_i(o, "time", (int64_t)time(NULL));
	put_s(o, "cluster", d->conf->cluster);
	put_s(o, "node", d->me->name);
	put_s(o, "state", health_names[s->health]);
	put_s(o, "reason", s->reason);
	put_s(o, "action", s->action);
	put_i(o, "epoch", (int64_t)s->epoch);
	put_b(o, "jeopardy", s->member.jeopardy);
	put_b(o, "frozen", s->svc.frozen);
	put_b(o, "self_fenced", s->svc.self_fenced);
	snprintf(digest, sizeof(digest), "%04llx",
	    (unsigned long long)(d->conf->digest >> 48));
	if (s->n_peers > 0 && s->peers[0].digest != 0)
		snprintf(peer, sizeof(peer), "%04llx",
		    (unsigned long long)(s->peers[0].digest >> 48));
	put_s(o, "configuration", digest);
	put_s(o, "peer_configuration", peer);
	json_object_set_new(o, "nodes", nodes(d, now));
	json_object_set_new(o, "links", links(d, now));
	json_object_set_new(o, "services", services(d, now));
	json_object_set_new(o, "volumes", volumes(d));
	json_object_set_new(o, "arbiters", drive_json_arbiters(d, now));
	json_object_set_new(o, "daemon", daemon_object(d));
	put_s(o, "forecast", s->forecast);
	return o;
}

json_t *
drive_json_status(struct drive *d)
{
	json_t *o = drive_json_status_head(d);

	json_object_set_new(
	    o, "addresses", drive_json_address_list(d, drive_now()));
	return o;
}

static const char *const mode_names[] = {"NL", "CR", "CW", "PR", "PW", "EX"};

static const char *
mode_name(uint8_t mode)
{
	return mode < NITEMS(mode_names) ? mode_names[mode] : "-";
}

/* A lock's name: as it is if it is printable, else in hexadecimal. */
static void
lock_name(const struct lk_row *r, char *text, size_t size)
{
	bool plain = true;

	for (unsigned i = 0; i < r->name_len; i++)
		if (!isgraph(r->name[i]))
			plain = false;
	if (plain) {
		snprintf(
		    text, size, "%.*s", r->name_len, (const char *)r->name);
		return;
	}
	snprintf(text, size, "0x");
	for (unsigned i = 0; i < r->name_len; i++)
		snprintf(
		    text + 2 + 2 * i, size - 2 - 2 * i, "%02x", r->name[i]);
}

json_t *
drive_json_locks(struct drive *d, const char *name, bool blocked)
{
	monotime_t now = drive_now();
	const struct lk *lk = nd_locks(d->nd);
	struct lk_iter it = {0};
	struct lk_row row;
	struct lk_status ls;
	json_t *o = json_object(), *list = json_array(), *r;
	char text[2 * LKP_NAME_MAX + 4];

	lk_status(lk, &ls);
	put_s(o, "state", lk_phase_name(ls.phase));
	put_i(o, "granted", ls.granted);
	put_i(o, "waiting", ls.waiting + ls.converting);
	put_i(o, "clients", ls.clients);
	put_i(o, "resources", ls.resources);
	while (lk_status_next(lk, &it, &row)) {
		lock_name(&row, text, sizeof(text));
		if ((name != NULL && strcmp(name, text) != 0) ||
		    (blocked && row.state == LK_ROW_GRANTED))
			continue;
		r = json_object();
		put_s(r, "space", row.space);
		put_s(r, "name", text);
		put_s(r, "node", name_of(d, row.node));
		put_s(r, "master", name_of(d, row.master));
		put_s(r, "state", lk_row_state_name(row.state));
		put_s(r, "mode", mode_name(row.mode));
		put_s(r, "wanted", mode_name(row.rqmode));
		put_i(r, "pid", row.pid);
		put_i(r, "token", (int64_t)row.token);
		put_i(r, "since_ms", ago_ms(now, row.since));
		put_s(r, "blocker", name_of(d, row.blocker_node));
		put_i(r, "blocker_pid", row.blocker_pid);
		put_s(r, "why", row.why);
		json_array_append_new(list, r);
	}
	json_object_set_new(o, "locks", list);
	return o;
}

json_t *
drive_json_note(const struct drive_note *n)
{
	static const char *const levels[] = {
	    [HAD_ERR] = "error",
	    [HAD_WARN] = "warning",
	    [HAD_INFO] = "info",
	    [HAD_DEBUG] = "debug",
	};
	json_t *o = json_object();

	put_i(o, "serial", (int64_t)n->serial);
	put_i(o, "time_ms", n->wall_ms);
	put_i(o, "epoch", (int64_t)n->epoch);
	put_s(o, "level", levels[n->level]);
	put_s(o, "rule", n->rule);
	put_s(o, "object", note_object(n));
	put_s(o, "text", note_text(n));
	return o;
}
