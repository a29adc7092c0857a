/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of hactl, the timeline, and the lock socket.
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "drive_int.h"
#include "log.h"
#include "rule.h"

enum {
	/* A second in all. */
	DYING_TRIES = 20,
	DYING_NAP_US = 50 * 1000,
};

void
drive_ctl_follow(struct drive *d, uint64_t token)
{
	for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++) {
		if (d->follow[i] == 0) {
			d->follow[i] = token;
			return;
		}
	}
}

static json_t *
note_here(const struct drive *d, const struct drive_note *n)
{
	json_t *o = drive_json_note(n);

	json_object_set_new(o, "node", json_string(d->me->name));
	return o;
}

/* As long as its texts are: most are short, and there are many. */
struct drive_note *
drive_note_new(const char *rule, const char *object, const char *text)
{
	size_t a = strnlen(rule, DRIVE_RULE_MAX - 1);
	size_t b = strnlen(object, DRIVE_OBJECT_MAX - 1);
	size_t c = strnlen(text, DRIVE_TEXT_MAX - 1);
	size_t len = sizeof(struct drive_note) + a + b + c + 3;
	struct drive_note *n = calloc(1, len);

	if (n == NULL)
		return NULL;
	n->object_at = (uint8_t)(a + 1);
	n->text_at = (uint8_t)(a + b + 2);
	memcpy(n->rule, rule, a);
	memcpy(n->rule + n->object_at, object, b);
	memcpy(n->rule + n->text_at, text, c);
	return n;
}

void
drive_note(void *ctx, enum had_level level, const char *rule,
    const char *object, const char *text)
{
	struct drive *d = ctx;
	struct drive_note *n;
	struct timespec ts;

	log_at(level, rule, object, text);
	if (level == HAD_DEBUG)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	n = drive_note_new(rule, object, text);
	if (n == NULL)
		return; /* it is in the log */
	n->serial = ++d->note_serial;
	n->wall_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	n->at = drive_now();
	n->epoch = d->nd != NULL ? nd_epoch(d->nd) : 0;
	if (n->epoch == 0 && d->record_set)
		n->epoch = d->record.epoch;
	n->level = (uint8_t)level;
	free(d->notes[n->serial % DRIVE_NOTES]);
	d->notes[n->serial % DRIVE_NOTES] = n;
	if (d->ctl == NULL)
		return;
	for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++)
		if (d->follow[i] != 0)
			ctl_send(d->ctl, d->follow[i], note_here(d, n));
}

/* Whose is it: a service's name, or NULL if it concerns the whole node. */
static const char *
service_of(const struct drive *d, const struct drive_note *n)
{
	if (strncmp(note_object(n), "service ", 8) == 0)
		return note_object(n) + 8;
	return conf_service_named(d->conf, note_object(n)) != NULL
		   ? note_object(n)
		   : NULL;
}

/* Does a note say why a service (NULL: anything) is as it is? */
static bool
explains(const struct drive *d, const struct drive_note *n, const char *service)
{
	const char *whose = service_of(d, n);

	if (n->rule[0] == '\0' && whose == NULL)
		return false;
	return service == NULL || whose == NULL || strcmp(whose, service) == 0;
}

static json_t *
reasons(struct drive *d, const char *service)
{
	json_t *o = json_object(), *list = json_array();
	uint64_t first = d->note_serial >= DRIVE_NOTES
			     ? d->note_serial - DRIVE_NOTES + 1
			     : 1;

	for (uint64_t i = first; i <= d->note_serial; i++) {
		const struct drive_note *n = d->notes[i % DRIVE_NOTES];

		if (explains(d, n, service))
			json_array_append_new(list, note_here(d, n));
	}
	json_object_set_new(o, "events", list);
	return o;
}

static const char *
text_of(const json_t *req, const char *key)
{
	return json_string_value(json_object_get(req, key));
}

static void
bad(struct drive *d, uint64_t token, const char *what, const char *name)
{
	char text[200];

	snprintf(text, sizeof(text), "%s '%s'", what, name != NULL ? name : "");
	ctl_done(d->ctl, token, EX_USAGE, text, NULL);
}

/* The last decision: its evidence, its rule, and what was not done instead. */
static json_t *
decision(struct drive *d, const char *service)
{
	uint64_t first = d->note_serial >= DRIVE_NOTES
			     ? d->note_serial - DRIVE_NOTES + 1
			     : 1;

	for (uint64_t i = d->note_serial; i >= first; i--) {
		const struct drive_note *n = d->notes[i % DRIVE_NOTES];
		const struct rule *r = rule_named(n->rule);
		json_t *o;

		if (r == NULL || !r->decides || !explains(d, n, service))
			continue;
		o = note_here(d, n);
		json_object_set_new(o, "rule_says", json_string(r->says));
		json_object_set_new(o, "rejected", json_string(r->rejected));
		return o;
	}
	return json_null();
}

static void
ask_why(struct drive *d, uint64_t token, const json_t *req)
{
	const char *service = text_of(req, "service");
	json_t *o;

	if (service != NULL && conf_service_named(d->conf, service) == NULL) {
		bad(d, token, "no such service:", service);
		return;
	}
	o = reasons(d, service);
	json_object_set_new(o, "decision", decision(d, service));
	nd_status(d->nd, drive_now(), d->status);
	json_object_set_new(o, "forecast", json_string(d->status->forecast));
	json_object_set_new(o, "reason", json_string(d->status->reason));
	json_object_set_new(o, "action", json_string(d->status->action));
	ctl_done(d->ctl, token, 0, NULL, o);
}

static bool
ask_show(struct drive *d, uint64_t token, const char *op, const json_t *req)
{
	json_t *o;

	if (strcmp(op, "status") == 0)
		o = drive_json_status(d);
	else if (strcmp(op, "links") == 0)
		o = drive_json_links(d);
	else if (strcmp(op, "addresses") == 0)
		o = drive_json_addresses(d);
	else if (strcmp(op, "volumes") == 0)
		o = drive_json_volumes(d);
	else if (strcmp(op, "locks") == 0)
		o = drive_json_locks(d, text_of(req, "name"),
		    json_is_true(json_object_get(req, "blocked")));
	else
		return false;
	ctl_done(d->ctl, token, 0, NULL, o);
	return true;
}

/* Node ids: 0 if there is no such node. */
static uint8_t
node_named(const struct drive *d, const char *name)
{
	const struct conf_node *n =
	    name != NULL ? conf_node_named(d->conf, name) : NULL;

	return n != NULL ? n->id : 0;
}

static void
ask_events(struct drive *d, uint64_t token, const json_t *req)
{
	const char *name = text_of(req, "node");
	uint8_t node = name != NULL ? node_named(d, name) : 0;

	if (name != NULL && node == 0) {
		bad(d, token, "no such node:", name);
		return;
	}
	if (json_is_true(json_object_get(req, "local")))
		node = d->self;
	drive_events_ask(d, token, node,
	    json_integer_value(json_object_get(req, "since_ms")),
	    json_is_true(json_object_get(req, "follow")));
}

/* What each operation needs to be named. */
static const struct op {
	const char *name;
	bool node, service, any_service, volume, router;
} ops[] = {
    [ND_OP_SEED] = {"seed", .node = true},
    [ND_OP_TAKEOVER] = {"takeover", .any_service = true},
    [ND_OP_STANDBY] = {"standby", .node = true},
    [ND_OP_ONLINE] = {"online", .node = true},
    [ND_OP_RESYNC] = {"resync", .node = true, .volume = true},
    [ND_OP_FREEZE] = {"freeze", .any_service = true},
    [ND_OP_THAW] = {"thaw", .any_service = true},
    [ND_OP_MOVE] = {"move", .node = true, .service = true},
    [ND_OP_START] = {"start", .service = true},
    [ND_OP_STOP] = {"stop", .service = true},
    [ND_OP_FENCE_TEST] = {"fence-test", .node = true},
    [ND_OP_FENCE_CONFIRM] = {"fence-confirm", .node = true},
    [ND_OP_RELEASE] = {"release", .router = true},
};

/* Resolves the names; false after an answer that says which is wrong. */
static bool
op_names(struct drive *d, uint64_t token, const struct op *op,
    const json_t *req, struct nd_event *e)
{
	const char *node = text_of(req, "node");
	const char *service = text_of(req, "service");
	const char *volume = text_of(req, "volume");
	const struct conf_service *cs =
	    service != NULL ? conf_service_named(d->conf, service) : NULL;
	const struct conf_volume *cv =
	    volume != NULL ? conf_volume_named(d->conf, volume) : NULL;

	if (op->node && (e->u.op.node = node_named(d, node)) == 0) {
		bad(d, token, "no such node:", node);
		return false;
	}
	if ((op->service || (op->any_service && service != NULL)) &&
	    cs == NULL) {
		bad(d, token, "no such service:", service);
		return false;
	}
	if (op->router) {
		const char *router = text_of(req, "router");
		const struct conf_router *r =
		    router != NULL ? conf_router_named(d->conf, router) : NULL;

		if (r == NULL) {
			bad(d, token, "no such router:", router);
			return false;
		}
		e->u.op.service = r->id;
	}
	if (op->volume && cv == NULL) {
		bad(d, token, "no such volume:", volume);
		return false;
	}
	if (cs != NULL)
		e->u.op.service = cs->id;
	if (cv != NULL)
		e->u.op.vol = cv->id;
	return true;
}

static void
plan_seed(struct drive *d, const char *peer, char *text, size_t size)
{
	const struct nd_status *s = d->status;

	if (s->member.self != MB_INERT)
		snprintf(text, size, "nothing: this node is %s, not inert",
		    mb_self_name(s->member.self));
	else
		snprintf(text, size,
		    "%s: raise the epoch above %llu and act alone\n"
		    "%s: start what it can run\n"
		    "interruption: none, it ends one\n"
		    "risk: if %s is not down, both will have data that the "
		    "other lacks",
		    d->me->name, (unsigned long long)s->epoch, d->me->name,
		    peer);
}

static void
plan_resync(struct drive *d, const struct nd_event *e, char *text, size_t size)
{
	const struct mir_status *v = &d->status->vols[e->u.op.vol];
	const struct conf_volume *cv = &d->conf->volumes[e->u.op.vol];
	uint8_t from = e->u.op.node;

	snprintf(text, size,
	    "volume %s: the copy of %s is kept\n"
	    "volume %s: the other copy is overwritten with it, up to %llu "
	    "bytes, at least the %llu that differ; what only that one has is "
	    "lost\n"
	    "interruption: none for what runs on %s",
	    cv->name, conf_node(d->conf, from)->name, cv->name,
	    (unsigned long long)v->size_bytes,
	    (unsigned long long)v->dirty_bytes, conf_node(d->conf, from)->name);
}

static void
plan_fence(struct drive *d, const struct nd_event *e, char *text, size_t size)
{
	const struct conf_node *n = conf_node(d->conf, e->u.op.node);

	if (e->u.op.op == ND_OP_FENCE_TEST)
		snprintf(text, size,
		    "run monitor and status of %u agents of %s; nothing is "
		    "switched off\ninterruption: none",
		    n->n_fences, n->name);
	else
		snprintf(text, size,
		    "if it is undecided: take %s for off, raise the epoch "
		    "above %llu and act alone\ninterruption: none, it ends "
		    "one\nrisk: if %s is not off, both write to the data",
		    n->name, (unsigned long long)d->status->epoch, n->name);
}

static bool
needs_plan(enum nd_op op)
{
	return op == ND_OP_SEED || op == ND_OP_RESYNC ||
	       op == ND_OP_FENCE_TEST || op == ND_OP_FENCE_CONFIRM;
}

/* The plans of what no core plans; true if it was answered. */
static bool
ask_plan(struct drive *d, uint64_t token, const struct nd_event *e)
{
	char text[512];

	if (!e->u.op.dry_run || !needs_plan(e->u.op.op))
		return false;
	nd_status(d->nd, drive_now(), d->status);
	if (e->u.op.op == ND_OP_SEED)
		plan_seed(d, conf_node(d->conf, e->u.op.node)->name, text,
		    sizeof(text));
	else if (e->u.op.op == ND_OP_RESYNC)
		plan_resync(d, e, text, sizeof(text));
	else
		plan_fence(d, e, text, sizeof(text));
	drive_reply(d, token, 0, text);
	return true;
}

static void
ask_op(struct drive *d, uint64_t token, enum nd_op op, const json_t *req)
{
	struct nd_event e = {.type = ND_EV_OP};

	e.u.op.op = op;
	e.u.op.token = token;
	e.u.op.service = -1;
	e.u.op.dry_run = json_is_true(json_object_get(req, "dry_run"));
	e.u.op.force = json_is_true(json_object_get(req, "force"));
	if (!op_names(d, token, &ops[op], req, &e))
		return;
	if ((op == ND_OP_SEED || op == ND_OP_FENCE_TEST ||
		op == ND_OP_FENCE_CONFIRM) &&
	    e.u.op.node == d->self) {
		bad(d, token, "this node is up; name its peer, not",
		    text_of(req, "node"));
		return;
	}
	if (!ask_plan(d, token, &e))
		drive_step(d, &e);
}

static void
ask_reload(struct drive *d, uint64_t token, const json_t *req)
{
	bool dry_run = json_is_true(json_object_get(req, "dry_run"));
	char text[512];
	int bad = dry_run ? drive_reload_plan(d, text, sizeof(text))
			  : drive_reload(d, text, sizeof(text));

	if (bad < 0)
		ctl_done(d->ctl, token, EX_CONFIG, text, NULL);
	else
		drive_reply(d, token, 0, text);
}

static void
request(void *ctx, uint64_t token, const char *op, json_t *req)
{
	struct drive *d = ctx;

	if (!d->begun) {
		ctl_done(d->ctl, token, EX_TEMPFAIL,
		    "had is starting, try again", NULL);
		return;
	}
	if (ask_show(d, token, op, req))
		return;
	if (strcmp(op, "why") == 0) {
		ask_why(d, token, req);
		return;
	}
	if (strcmp(op, "events") == 0) {
		ask_events(d, token, req);
		return;
	}
	if (strcmp(op, "reload") == 0) {
		ask_reload(d, token, req);
		return;
	}
	for (unsigned i = 0; i < NITEMS(ops); i++) {
		if (ops[i].name != NULL && strcmp(op, ops[i].name) == 0) {
			ask_op(d, token, (enum nd_op)i, req);
			return;
		}
	}
	bad(d, token, "no such request:", op);
}

static void
gone(void *ctx, uint64_t token)
{
	struct drive *d = ctx;

	for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++)
		if (d->follow[i] == token)
			d->follow[i] = 0;
}

void
drive_reply(void *ctx, uint64_t token, int code, const char *text)
{
	struct drive *d = ctx;
	json_t *o = json_object();

	json_object_set_new(o, "text", json_string(text));
	ctl_done(d->ctl, token, code, code == 0 ? NULL : text, o);
}

/*
 * True if it is worth another try: a process that was killed a moment ago
 * keeps its sockets until the last of its threads has ended.
 */
static bool
may_be_dying(unsigned *tries)
{
	if (errno != EADDRINUSE || (*tries)++ >= DYING_TRIES)
		return false;
	usleep(DYING_NAP_US);
	return true;
}

int
drive_ctl_new(struct drive *d)
{
	static const struct ctl_cb cb = {.request = request, .gone = gone};
	char path[HAD_PATH_MAX + 16];
	unsigned tries = 0;

	snprintf(path, sizeof(path), "%s/ctl.sock", d->o.run_dir);
	do
		d->ctl = ctl_new(d->event, path, &cb, d);
	while (d->ctl == NULL && may_be_dying(&tries));
	if (d->ctl == NULL && errno == EADDRINUSE)
		log_warnx("control: another had answers at %s", path);
	else if (d->ctl == NULL)
		log_warn("control: %s", path);
	return d->ctl != NULL ? 0 : -1;
}

/* Root may use every lockspace, a member of its group that one. */
static uint16_t
spaces_of(void *ctx, uid_t uid, const gid_t *gids, size_t n)
{
	const struct drive *d = ctx;
	uint16_t set = 0;

	for (unsigned i = 0; i < d->conf->n_lockspaces; i++) {
		const char *name = d->conf->lockspaces[i].group;
		struct group *g =
		    uid != 0 && name[0] != '\0' ? getgrnam(name) : NULL;

		if (uid == 0)
			set |= (uint16_t)(1u << i);
		for (size_t k = 0; g != NULL && k < n; k++)
			if (gids[k] == g->gr_gid)
				set |= (uint16_t)(1u << i);
	}
	return set;
}

static void
lock_open(void *ctx, uint32_t client, uid_t uid, gid_t gid, pid_t pid,
    uint16_t spaces)
{
	struct nd_event e = {.type = ND_EV_LOCK_OPEN};

	e.u.lock.client = client;
	e.u.lock.uid = uid;
	e.u.lock.gid = gid;
	e.u.lock.pid = (uint32_t)pid;
	e.u.lock.spaces = spaces;
	drive_step(ctx, &e);
}

static void
lock_msg(void *ctx, uint32_t client, const uint8_t *bytes, size_t len)
{
	struct nd_event e = {.type = ND_EV_LOCK_MSG};

	e.u.lock.client = client;
	e.u.lock.bytes = bytes;
	e.u.lock.len = len;
	drive_step(ctx, &e);
}

static void
lock_eof(void *ctx, uint32_t client)
{
	struct nd_event e = {.type = ND_EV_LOCK_EOF};

	e.u.lock.client = client;
	drive_step(ctx, &e);
}

void
drive_lock_send(void *ctx, uint32_t client, const uint8_t *bytes, size_t len)
{
	lks_send(((struct drive *)ctx)->locks, client, bytes, len);
}

void
drive_lock_close(void *ctx, uint32_t client, const char *why)
{
	lks_close(((struct drive *)ctx)->locks, client, why);
}

int
drive_locks_new(struct drive *d)
{
	static const struct lks_cb cb = {.spaces = spaces_of,
	    .open = lock_open,
	    .msg = lock_msg,
	    .eof = lock_eof};
	char path[HAD_PATH_MAX + 16];
	struct lks_conf c = {.path = path,
	    .clients_max = ND_LOCK_CLIENTS,
	    .uid_clients_max = ND_LOCK_CLIENTS / 2,
	    .queue_bytes = 1 << 20};
	unsigned tries = 0;
	int got;

	snprintf(path, sizeof(path), "%s/lock.sock", d->o.run_dir);
	do
		got = lks_new(&d->locks, d->event, &c, &cb, d);
	while (got < 0 && may_be_dying(&tries));
	if (got < 0) {
		log_warn("locks: %s", path);
		return -1;
	}
	return 0;
}
