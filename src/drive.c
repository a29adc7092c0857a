/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "drive_int.h"
#include "log.h"

enum {
	CONF_BYTES_MAX = 1 << 20,
	TICK_MS = 250, /* saved status, watchdog */
	SAVE_BYTES = 128 * 1024, /* given back after each use */
	DRAIN_MS = 500, /* for the goodbye to leave */
};

monotime_t
drive_now(void)
{
	return loop_now();
}

/* The text of an event that has to wait lies elsewhere; most have none. */
static void
keep_text(struct nd_event *e, char keep[DRIVE_QUEUE_TEXT])
{
	const char **text = NULL;

	if (e->type == ND_EV_STEP_DONE)
		text = &e->u.step.text;
	else if (e->type == ND_EV_EXPORTED)
		text = &e->u.exported.text;
	else if (e->type == ND_EV_ARB && e->u.arb.type == ARB_EV_FENCED)
		text = &e->u.arb.u.fenced.text;
	else if (e->type == ND_EV_VIP && e->u.vip.type == VIP_EV_LEASED)
		text = &e->u.vip.u.leased.text;
	else if (e->type == ND_EV_VIP && (e->u.vip.type == VIP_EV_ADDED ||
					     e->u.vip.type == VIP_EV_REMOVED))
		text = &e->u.vip.u.result.text;
	else if (e->type == ND_EV_VIP && e->u.vip.type == VIP_EV_FLUSHED)
		text = &e->u.vip.u.flushed.text;
	else if (e->type == ND_EV_VIP && e->u.vip.type == VIP_EV_CARRIER)
		text = &e->u.vip.u.carrier.ifname;
	if (text == NULL || *text == NULL)
		return;
	if ((*text)[0] != '\0')
		snprintf(keep, DRIVE_QUEUE_TEXT, "%s", *text);
	*text = (*text)[0] != '\0' ? keep : "";
}

/* By both clocks, the wall's only if something is signed with it. */
static void
step_now(struct drive *d, struct nd_event *e)
{
	struct timespec wall;

	e->now = drive_now();
	if (d->wall) {
		clock_gettime(CLOCK_REALTIME, &wall);
		e->wall_us = (uint64_t)wall.tv_sec * 1000000 +
			     (uint64_t)wall.tv_nsec / 1000;
	}
	nd_step(d->nd, e);
}

/*
 * A driver that answers from inside of an order would step the node again in
 * the middle of a step: such events wait until it is over.
 */
void
drive_step(struct drive *d, struct nd_event *e)
{
	char text[DRIVE_QUEUE_TEXT];
	unsigned slot;

	if (!d->begun)
		return;
	if (d->stepping) {
		/* These carry bytes that are only lent for the call. */
		ASSERT(e->type != ND_EV_MSG && e->type != ND_EV_LOCK_MSG &&
		       e->type != ND_EV_VR_PACKET);
		ASSERT(d->queue_used < DRIVE_QUEUE);
		if (d->queue_used == 0)
			d->queue_head = 0; /* memory that is in use anyhow */
		slot = (d->queue_head + d->queue_used++) % DRIVE_QUEUE;
		d->queue[slot] = *e;
		keep_text(&d->queue[slot], d->queue_text[slot]);
		return;
	}
	d->stepping = true;
	log_hold();
	step_now(d, e);
	while (d->queue_used > 0) {
		struct nd_event now = d->queue[d->queue_head];

		d->queue_head = (d->queue_head + 1) % DRIVE_QUEUE;
		d->queue_used--;
		keep_text(&now, text);
		step_now(d, &now);
	}
	d->stepping = false;
	/* Neighbours wait for that, nobody for the lines. */
	if (d->announce != NULL)
		vip_announce_flush(d->announce);
	log_release();
}

int
drive_load(struct conf *c, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *bytes = calloc(1, CONF_BYTES_MAX), *text = calloc(1, 65536);
	struct conf_errors errors = {.text = text, .size = 65536};
	ssize_t n, used = 0;
	int result = -1;

	if (bytes == NULL || text == NULL)
		fatal("configuration");
	if (fd < 0) {
		log_warn("configuration: %s", path);
		goto out;
	}
	while (
	    (n = read(fd, bytes + used, (size_t)(CONF_BYTES_MAX - used))) > 0)
		used += n;
	if (n < 0) {
		log_warn("configuration: %s", path);
		goto out;
	}
	if (used == CONF_BYTES_MAX) {
		log_warnx("configuration: %s: larger than 1 MiB", path);
		goto out;
	}
	result = conf_parse(c, path, bytes, (size_t)used, &errors);
	if (result < 0)
		fprintf(stderr, "%.*s%s: %u errors\n", (int)errors.used, text,
		    path, errors.count);
out:
	if (fd >= 0)
		close(fd);
	free(bytes);
	free(text);
	return result;
}

/* Is addr (numeric) an address of this machine? */
static bool
is_local(const struct ifaddrs *list, const char *addr)
{
	for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		uint8_t want[16];
		const void *have;
		int family;

		if (i->ifa_addr == NULL)
			continue;
		family = i->ifa_addr->sa_family;
		if (family == AF_INET)
			have = &((const struct sockaddr_in *)(const void *)
				     i->ifa_addr)
				    ->sin_addr;
		else if (family == AF_INET6)
			have = &((const struct sockaddr_in6 *)(const void *)
				     i->ifa_addr)
				    ->sin6_addr;
		else
			continue;
		if (inet_pton(family, addr, want) == 1 &&
		    memcmp(have, want, family == AF_INET ? 4 : 16) == 0)
			return true;
	}
	return false;
}

/* Which node of the configuration is this machine? */
static const struct conf_node *
who_am_i(const struct drive *d)
{
	const struct conf_node *found = NULL;
	struct ifaddrs *list;

	if (d->o.node != NULL) {
		found = conf_node_named(d->conf, d->o.node);
		if (found == NULL)
			log_warnx(
			    "configuration: no node is called %s", d->o.node);
		return found;
	}
	if (getifaddrs(&list) < 0) {
		log_warn("daemon: getifaddrs");
		return NULL;
	}
	for (unsigned i = 0; i < d->conf->n_nodes; i++) {
		const struct conf_node *n = &d->conf->nodes[i];

		for (unsigned l = 0; l < n->n_links && found != n; l++) {
			if (!is_local(list, n->links[l].addr))
				continue;
			if (found != NULL) {
				log_warnx("configuration: this machine has "
					  "link addresses of both %s and %s",
				    found->name, n->name);
				freeifaddrs(list);
				return NULL;
			}
			found = n;
		}
	}
	freeifaddrs(list);
	if (found == NULL && d->conf->n_nodes == 1)
		found = &d->conf->nodes[0];
	if (found == NULL)
		log_warnx("configuration: no node has a link address of this "
			  "machine; had -N NODE says which it is");
	return found;
}

static void
op_timer(void *ctx, monotime_t at)
{
	loop_timer_at(((struct drive *)ctx)->timer, at);
}

static void
op_persist(void *ctx, const struct sf_record *r, uint64_t serial)
{
	struct drive *d = ctx;

	log_context(d->me->name, r->epoch);
	state_write(d->state, r, serial);
}

static void
op_step(void *ctx, uint16_t service, uint8_t step, enum svc_action action,
    uint32_t token)
{
	struct drive *d = ctx;
	const struct conf_service *cs = &d->conf->services[service];
	const char *device = NULL;
	char buf[32];

	if (step != SVC_STEP_CHECK && cs->steps[step].type == CONF_STEP_MOUNT)
		device =
		    drive_vol_device(d, cs->steps[step].ref, buf, sizeof(buf));
	svc_run_go(d->run, cs, step, action, token, device);
}

static void
op_cancel(void *ctx, uint32_t token)
{
	svc_run_cancel(((struct drive *)ctx)->run, token);
}

static void
op_done(void *ctx, bool clean)
{
	struct drive *d = ctx;

	d->stopping = true;
	d->clean = clean;
	d->stop_at = mt_add_ms(drive_now(), DRAIN_MS);
	if (d->tp != NULL)
		tp_drain(d->tp);
	loop_timer_at(d->tick, drive_now());
}

static const struct nd_ops ops = {
    .send = drive_send,
    .timer = op_timer,
    .persist = op_persist,
    .note = drive_note,
    .step = op_step,
    .step_cancel = op_cancel,
    .vol_export = drive_vol_export,
    .disk = drive_disk,
    .vol_reply = drive_vol_reply,
    .addr_add = drive_addr_add,
    .addr_del = drive_addr_del,
    .lease = drive_lease,
    .announce = drive_announce,
    .vr_lease = drive_vr_lease,
    .vr_send = drive_vr_send,
    .vr_flush = drive_vr_flush,
    .share_lease = drive_share_lease,
    .share_serve = drive_share_serve,
    .lock_send = drive_lock_send,
    .lock_close = drive_lock_close,
    .reply = drive_reply,
    .done = op_done,
    .vote = drive_vote,
    .fence = drive_fence,
    .fence_cancel = drive_fence_cancel,
    .self_fence = drive_self_fence,
    .told = drive_told,
};

static void
cb_timer(void *ctx, monotime_t now)
{
	struct nd_event e = {.type = ND_EV_TIMER};
	struct drive *d = ctx;

	(void)now;
	/* What was received before a timeout must be heard before it. */
	if (d->vrs != NULL)
		vrs_read(d->vrs);
	drive_step(d, &e);
}

static void
cb_persisted(void *ctx, uint64_t serial, bool ok)
{
	struct nd_event e = {.type = ND_EV_PERSISTED};

	e.u.persisted.serial = serial;
	e.u.persisted.ok = ok;
	drive_step(ctx, &e);
}

static void
cb_step(void *ctx, uint16_t service, uint8_t step, enum svc_action action,
    uint32_t token, enum svc_result result, const char *text)
{
	struct nd_event e = {.type = ND_EV_STEP_DONE};

	e.u.step.service = service;
	e.u.step.step = step;
	e.u.step.action = action;
	e.u.step.token = token;
	e.u.step.result = result;
	e.u.step.text = text;
	drive_step(ctx, &e);
}

/* On the worker: what hactl shows when the daemon is down. */
static int
save_run(void *job)
{
	struct drive *d = job;
	char tmp[HAD_PATH_MAX + 32], path[HAD_PATH_MAX + 32];
	int fd, bad;

	snprintf(path, sizeof(path), "%s/status.json", d->o.state_dir);
	snprintf(tmp, sizeof(tmp), "%s/status.json.new", d->o.state_dir);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	bad = write(fd, d->save_text, d->save_len) != (ssize_t)d->save_len;
	if (close(fd) < 0 || bad || rename(tmp, path) < 0)
		return -EIO;
	return 0;
}

static void
save_done(void *job, int result)
{
	struct drive *d = job;

	if (result < 0)
		log_debug("daemon: status.json: %s", strerror(-result));
	free(d->save_text);
	d->save_text = NULL;
	d->saving = false;
}

static int
save_bytes(const char *p, size_t n, void *ctx)
{
	struct drive *d = ctx;
	size_t size = d->save_size == 0 ? SAVE_BYTES : d->save_size;
	char *text;

	while (size - d->save_len < n)
		size *= 2;
	if (size != d->save_size) {
		text = realloc(d->save_text, size);
		if (text == NULL)
			return -1;
		d->save_text = text;
		d->save_size = size;
	}
	memcpy(d->save_text + d->save_len, p, n);
	d->save_len += n;
	return 0;
}

static bool
save_json(struct drive *d, const char *before, json_t *o)
{
	bool ok = save_bytes(before, strlen(before), d) == 0 &&
		  json_dump_callback(o, save_bytes, d, JSON_COMPACT) == 0;

	json_decref(o);
	return ok;
}

/*
 * As drive_json_status, but each address goes into the text as soon as it is
 * made: all of them at once would be the most that the daemon ever holds.
 */
static bool
save_make(struct drive *d, monotime_t now)
{
	static const char list[] = ",\"addresses\":[";
	bool ok, first = true;

	d->save_len = d->save_size = 0;
	ok = save_json(d, "", drive_json_status_head(d));
	d->save_len -= ok; /* its brace */
	ok = ok && save_bytes(list, strlen(list), d) == 0;
	for (uint16_t i = 0; ok && i < d->status->vip.n; i++) {
		json_t *o = drive_json_address(d, i, now);

		if (o == NULL)
			continue;
		ok = save_json(d, first ? "" : ",", o);
		first = false;
	}
	return ok && save_bytes("]}\n", 3, d) == 0;
}

/* After each change and every few seconds. */
static void
save_status(struct drive *d, monotime_t now)
{
	if (d->saving || (d->status_saved == d->note_serial &&
			     mt_before(now, mt_add_ms(d->saved_at, 5000))))
		return;
	d->status_saved = d->note_serial;
	d->saved_at = now;
	if (!save_make(d, now)) {
		free(d->save_text);
		d->save_text = NULL;
		return;
	}
	d->saving = true;
	if (worker_submit(d->worker, save_run, save_done, d) < 0)
		save_done(d, -errno);
}

static void
cb_tick(void *ctx, monotime_t now)
{
	struct drive *d = ctx;

	if (d->stopping &&
	    (d->tp == NULL || tp_idle(d->tp) || !mt_before(now, d->stop_at))) {
		loop_exit(d->loop, 0);
		return;
	}
	save_status(d, now);
	if (d->begun)
		drive_vr_tidy(d);
	if (d->watchdog_us > 0)
		sd_notify(0, "WATCHDOG=1");
	loop_timer_at(d->tick, mt_add_ms(now, d->stopping ? 10 : TICK_MS));
}

void
drive_begin(struct drive *d)
{
	struct nd_event e = {.type = ND_EV_START};

	ASSERT(!d->begun);
	d->nd = nd_new(d->conf, d->self, d->disks, &ops, d);
	if (d->nd == NULL || drive_locks_new(d) < 0) {
		log_warn("daemon: start");
		loop_exit(d->loop, 69);
		return;
	}
	/* Orders of the node's start already go to the drivers. */
	if (drive_vip_new(d) < 0 || drive_net_new(d, d->incarnation) < 0 ||
	    drive_arb_new(d) < 0) {
		loop_exit(d->loop, 69);
		return;
	}
	d->begun = true;
	e.u.start.seed = d->seed;
	e.u.start.incarnation = d->incarnation;
	e.u.start.record = d->record_set ? &d->record : NULL;
	drive_step(d, &e);
	drive_arb_begin(d);
	loop_timer_at(d->tick, drive_now());
	sd_notify(0, "READY=1");
}

static int
on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *ctx)
{
	struct drive *d = ctx;
	struct nd_event e = {.type = ND_EV_STOP};
	char text[512];

	(void)s;
	if (si->ssi_signo == SIGHUP) {
		int bad = drive_reload(d, text, sizeof(text));

		drive_note(d, bad < 0 ? HAD_WARN : HAD_INFO, "",
		    "configuration", text);
		return 0;
	}
	log_info("daemon: stopping on signal %u", si->ssi_signo);
	sd_notify(0, "STOPPING=1");
	if (!d->begun)
		loop_exit(d->loop, 0);
	drive_step(d, &e);
	return 0;
}

static int
signals(struct drive *d)
{
	static const int list[] = {SIGTERM, SIGINT, SIGHUP};
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < NITEMS(list); i++)
		sigaddset(&set, list[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < NITEMS(list); i++)
		if (sd_event_add_signal(d->event, NULL, list[i], on_signal, d) <
		    0)
			return -1;
	return 0;
}

/* The durable record.  One that cannot be trusted stops the start. */
static int
load_record(struct drive *d)
{
	char path[HAD_PATH_MAX + 16], why[512];
	int got;

	snprintf(path, sizeof(path), "%s/state", d->o.state_dir);
	got = state_read(
	    path, d->conf->cluster, d->self, &d->record, why, sizeof(why));
	if (got < 0) {
		log_warnx("state: %s", why);
		return -1;
	}
	d->record_set = got == 1;
	d->worker = worker_new(d->event);
	if (d->worker == NULL)
		return -1;
	d->state = state_new(path, d->worker, cb_persisted, d);
	return d->state != NULL ? 0 : -1;
}

static int
make(struct drive *d)
{
	char steps[HAD_PATH_MAX + 16];
	struct svc_run_conf rc = {.steps_dir = steps};

	if (load_record(d) < 0)
		return -1;
	snprintf(steps, sizeof(steps), "%s/steps", d->o.run_dir);
	d->run = svc_run_new(d->event, &rc, cb_step, d);
	d->timer = loop_timer_new(d->event, cb_timer, d);
	d->tick = loop_timer_new(d->event, cb_tick, d);
	loop_timer_watch(d->timer, d->loop);
	loop_timer_watch(d->tick, d->loop);
	if (d->run == NULL || d->timer == NULL || d->tick == NULL) {
		log_warn("daemon: start");
		return -1;
	}
	if (drive_vol_new(d) < 0 || signals(d) < 0) {
		log_warn("daemon: start");
		return -1;
	}
	if (drive_events_new(d) < 0 || drive_ctl_new(d) < 0)
		return -1;
	drive_vol_open(d);
	return 0;
}

struct drive *
drive_new(struct conf *conf, const struct drive_options *o)
{
	struct drive *d = calloc(1, sizeof(*d));
	uint64_t random[2] = {0, 0};
	const char *wd = getenv("WATCHDOG_USEC");

	if (d == NULL || (d->status = calloc(1, sizeof(*d->status))) == NULL)
		fatal("daemon");
	d->conf = conf;
	d->wall = conf->n_hmac_keys > 0;
	d->o = *o;
	d->me = who_am_i(d);
	if (d->me == NULL)
		return NULL;
	d->self = d->me->id;
	log_context(d->me->name, 0);
	while (random[0] == 0 || random[1] == 0)
		if (getrandom(random, sizeof(random), 0) !=
		    (ssize_t)sizeof(random))
			fatal("daemon: getrandom");
	d->seed = random[0];
	d->incarnation = random[1];
	d->watchdog_us = wd != NULL ? strtoull(wd, NULL, 10) : 0;
	d->loop = loop_new();
	d->event = loop_event(d->loop);
	log_info("daemon: had %s, node %s of cluster %s", HAD_VERSION,
	    d->me->name, conf->cluster);
	if (make(d) < 0)
		return NULL;
	return d;
}

int
drive_run(struct drive *d)
{
	return loop_run(d->loop);
}

void
drive_free(struct drive *d)
{
	d->begun = false;
	if (d->tp != NULL)
		tp_free(d->tp);
	drive_arb_free(d, d->clean);
	drive_vip_free(d, d->clean);
	if (d->locks != NULL)
		lks_free(d->locks);
	ctl_free(d->ctl);
	drive_events_free(d);
	svc_run_free(d->run);
	worker_free(d->worker);
	state_free(d->state);
	drive_vol_close(d);
	if (d->nd != NULL)
		nd_free(d->nd);
	loop_timer_free(d->timer);
	loop_timer_free(d->tick);
	loop_free(d->loop);
	for (unsigned i = 0; i < DRIVE_NOTES; i++)
		free(d->notes[i]);
	free(d->status);
	free(d->conf);
	free(d);
}
