/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <bsd/sys/queue.h>
#include <systemd/sd-event.h>

#include "log.h"
#include "witness_core.h"
#include "witness_int.h"
#include "witness_serve.h"
#include "witness_store.h"
#include "witness_wire.h"
#include "worker.h"

enum {
	AUTH_MS = 1800,
	UNPROVEN_MAX = 32, /* a newer one takes the place of the oldest */
	TURN_ACCEPTS = 8,
	ACCEPT_AGAIN_MS = 200,
};

/* One association. */
struct client {
	TAILQ_ENTRY(client) entry;
	struct serve *serve; /* borrowed */
	struct wcn *conn; /* owned */
	char addr[64];
	struct cluster *cluster; /* borrowed; NULL until its key is known */
	uint8_t node;
	uint64_t incarnation;
	bool up;
};
TAILQ_HEAD(clients, client);

struct cluster {
	struct serve *serve; /* borrowed */
	const struct wc_cluster *conf; /* borrowed */
	struct wit *core; /* owned; NULL: not served */
	struct wf_record record; /* the durable one */
	struct wf_record next; /* being written */
	struct client *here[HAD_NODES_MAX]; /* borrowed; index id - 1 */
	struct log_limit limit[HAD_NODES_MAX]; /* comes and goes */
};

struct listener {
	struct serve *serve; /* borrowed */
	int fd; /* owned */
	sd_event_source *source; /* owned */
};

struct serve {
	struct loop *loop; /* borrowed */
	const struct wc *conf; /* borrowed */
	struct seal_id *id; /* owned */
	struct worker *worker; /* owned */
	struct wst *store; /* owned */
	struct cluster clusters[WC_CLUSTERS_MAX];
	struct listener listeners[WC_LISTEN_MAX];
	struct loop_timer *again; /* owned; accepting paused until then */
	struct clients clients;
	unsigned n_unproven;
	uint64_t incarnation;
	bool stopping; /* nothing is written any more */
	struct log_limit strangers, accepts;
};

static void
refused(struct serve *s, const char *addr, const char *why)
{
	uint32_t more;

	if (log_allowed(&s->strangers, loop_now(), &more))
		log_warnx("witness: refused %s: %s (%u more before)", addr, why,
		    more);
}

static void
client_free(struct client *c)
{
	struct serve *s = c->serve;
	struct wit_event e = {.type = WIT_EV_GONE, .u.gone = c->node};

	if (!c->up) {
		s->n_unproven--;
	} else if (c->cluster->here[c->node - 1] == c) {
		c->cluster->here[c->node - 1] = NULL;
		wit_step(c->cluster->core, &e);
	}
	TAILQ_REMOVE(&s->clients, c, entry);
	wcn_free(c->conn);
	free(c);
}

static int
say(struct client *c, const struct ww_msg *m)
{
	uint8_t bytes[WW_MAX];

	return wcn_send(c->conn, bytes, ww_encode(m, bytes));
}

/* To one that has proven who it is: no, and why. */
static void
refuse(struct client *c, const char *why)
{
	struct ww_msg m = {.type = WW_REFUSE};
	char who[160];

	snprintf(m.u.text, sizeof(m.u.text), "%s", why);
	(void)say(c, &m);
	wcn_shutdown(c->conn);
	snprintf(who, sizeof(who), "node %u of cluster %s at %s", c->node,
	    c->cluster->conf->name, c->addr);
	refused(c->serve, who, why);
}

/* Below: what a core wants. */

static void
on_written(void *ctx, bool durable)
{
	struct cluster *cl = ctx;
	struct wit_event e = {.type = WIT_EV_WRITTEN, .u.written = durable};

	if (cl->serve->stopping)
		return; /* it asks again when the witness is back */
	if (durable)
		cl->record = cl->next;
	wit_step(cl->core, &e);
}

static void
op_write(void *ctx, const struct wit_lease *lease)
{
	struct cluster *cl = ctx;

	cl->next = cl->record;
	cl->next.epoch = lease->epoch;
	cl->next.holder = lease->holder;
	cl->next.incarnation = lease->incarnation;
	cl->next.serial++;
	wst_write(cl->serve->store, &cl->next, on_written, cl);
}

static void
op_answer(void *ctx, uint8_t node, uint64_t epoch, enum wit_vote vote,
    const struct wit_lease *lease)
{
	static const enum ww_vote votes[] = {
	    [WIT_GRANTED] = WW_GRANTED,
	    [WIT_DENIED] = WW_DENIED,
	    [WIT_FAILED] = WW_FAILED,
	};
	struct cluster *cl = ctx;
	struct ww_msg m = {.type = WW_ANSWER};

	if (cl->here[node - 1] == NULL)
		return; /* it asks again when it is back */
	m.u.answer.epoch = epoch;
	m.u.answer.vote = votes[vote];
	m.u.answer.holder = lease->holder;
	m.u.answer.holder_epoch = lease->epoch;
	m.u.answer.holder_incarnation = lease->incarnation;
	(void)say(cl->here[node - 1], &m);
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *text)
{
	const struct cluster *cl = ctx;
	char object[HAD_NAME_MAX + 16];

	snprintf(object, sizeof(object), "cluster %s", cl->conf->name);
	log_at(level, rule, object, text);
}

static const struct wit_ops ops = {
    .write = op_write,
    .answer = op_answer,
    .note = op_note,
};

/* Below: what an association says. */

/* By its key; what it says of itself has to agree. */
static const char *
on_find(void *ctx, const uint8_t pin[32], const char **cluster, uint8_t *peer)
{
	struct client *c = ctx;
	const struct wc *conf = c->serve->conf;
	const struct wc_cluster *found;
	const struct wc_node *node = wc_find(conf, pin, &found);

	if (node == NULL)
		return "its key is in no cluster of this witness";
	c->cluster = &c->serve->clusters[found - conf->clusters];
	c->node = node->id;
	*cluster = found->name;
	*peer = node->id;
	return NULL;
}

static void
on_up(void *ctx, uint64_t incarnation)
{
	struct client *c = ctx;
	struct cluster *cl = c->cluster;
	uint32_t more;

	ASSERT(cl != NULL && c->node >= 1 && c->node <= HAD_NODES_MAX);
	c->up = true;
	c->incarnation = incarnation;
	c->serve->n_unproven--;
	if (cl->core == NULL) {
		refuse(c, "its record of this cluster cannot be used");
		return;
	}
	if (cl->here[c->node - 1] != NULL)
		client_free(cl->here[c->node - 1]);
	cl->here[c->node - 1] = c;
	if (log_allowed(&cl->limit[c->node - 1], loop_now(), &more))
		log_info("cluster %s: node %u is here, from %s", cl->conf->name,
		    c->node, c->addr);
}

static void
got_ask(struct client *c, const struct ww_msg *m)
{
	struct wit_event e = {.type = WIT_EV_ASK};

	if (strcmp(m->u.ask.cluster, c->cluster->conf->name) != 0) {
		refuse(c, "it asks for another cluster");
	} else if (m->u.ask.node != c->node) {
		refuse(c, "it asks for another node");
	} else if (m->u.ask.incarnation != c->incarnation) {
		refuse(c, "it asks for another incarnation");
	} else {
		e.u.ask.node = c->node;
		e.u.ask.incarnation = c->incarnation;
		e.u.ask.epoch = m->u.ask.epoch;
		wit_step(c->cluster->core, &e);
	}
}

static void
on_msg(void *ctx, const uint8_t *bytes, size_t len)
{
	struct client *c = ctx;
	struct ww_msg m;
	const char *why;

	if (ww_decode(&m, bytes, len, &why) == -1) {
		refuse(c, why);
	} else if (m.type == WW_PING) {
		m.type = WW_PONG;
		(void)say(c, &m);
	} else if (m.type == WW_ASK) {
		got_ask(c, &m);
	} else {
		refuse(c, "it says what only a witness says");
	}
}

static void
on_down(void *ctx, enum wcn_end end, const char *why)
{
	struct client *c = ctx;
	struct cluster *cl = c->cluster;
	uint32_t more;

	(void)end;
	if (!c->up)
		refused(c->serve, c->addr, why);
	else if (cl->here[c->node - 1] == c &&
		 log_allowed(&cl->limit[c->node - 1], loop_now(), &more))
		log_info("cluster %s: node %u is gone: %s", cl->conf->name,
		    c->node, why);
	client_free(c);
}

static const struct wcn_cb conn_cb = {
    .up = on_up,
    .msg = on_msg,
    .down = on_down,
};

/* A crowd of strangers must not keep nodes out. */
static void
make_room(struct serve *s)
{
	struct client *c;

	if (s->n_unproven < UNPROVEN_MAX)
		return;
	TAILQ_FOREACH (c, &s->clients, entry) {
		if (c->up)
			continue;
		refused(s, c->addr, "too many that prove nothing");
		client_free(c);
		return;
	}
}

static void
welcome(struct serve *s, int fd, const char *addr)
{
	struct client *c = calloc(1, sizeof(*c));
	struct seal_who who = {
	    .cluster = "",
	    .self = WW_NODE_ID,
	    .incarnation = s->incarnation,
	    .find = on_find,
	    .ctx = c,
	};

	if (c == NULL) {
		close(fd);
		return;
	}
	make_room(s);
	c->serve = s;
	snprintf(c->addr, sizeof(c->addr), "%s", addr);
	c->conn = wcn_new(
	    loop_event(s->loop), fd, false, s->id, &who, AUTH_MS, &conn_cb, c);
	if (c->conn == NULL) {
		free(c);
		return;
	}
	TAILQ_INSERT_TAIL(&s->clients, c, entry);
	s->n_unproven++;
}

static int
on_accept(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct listener *l = arg;
	struct serve *s = l->serve;
	char addr[64];
	uint32_t more;
	int conn;

	(void)events;
	for (int i = 0; i < TURN_ACCEPTS; i++) {
		conn = wcn_accept(fd, addr, sizeof(addr));
		if (conn == -1)
			break;
		welcome(s, conn, addr);
	}
	if (conn != -1 || errno == EAGAIN || errno == ECONNABORTED ||
	    errno == EINTR)
		return 0;
	if (log_allowed(&s->accepts, loop_now(), &more))
		log_warn("witness: cannot accept");
	/* It stays readable: a pause, instead of a busy loop. */
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	loop_timer_at(s->again, mt_add_ms(loop_now(), ACCEPT_AGAIN_MS));
	return 0;
}

static void
on_again(void *ctx, monotime_t now)
{
	struct serve *s = ctx;

	(void)now;
	for (unsigned i = 0; i < s->conf->n_listen; i++)
		(void)sd_event_source_set_enabled(
		    s->listeners[i].source, SD_EVENT_ON);
}

/* Below: the beginning and the end. */

static int
open_cluster(struct serve *s, unsigned i, const char *dir)
{
	struct cluster *cl = &s->clusters[i];
	struct wit_conf conf = {.nodes = 0};
	char why[640];
	int rc;

	cl->serve = s;
	cl->conf = &s->conf->clusters[i];
	rc = wst_read(dir, cl->conf->name, &cl->record, why, sizeof(why));
	if (rc == -1) {
		op_note(cl, HAD_ERR, "R6", why);
		return 0;
	}
	for (unsigned n = 0; n < cl->conf->n_nodes; n++)
		conf.nodes |= NODESET(cl->conf->nodes[n].id);
	conf.lease.epoch = cl->record.epoch;
	conf.lease.holder = cl->record.holder;
	conf.lease.incarnation = cl->record.incarnation;
	cl->core = wit_new(&conf, &ops, cl);
	if (cl->core == NULL)
		fatal("witness: calloc");
	if (rc == 0)
		log_info("cluster %s: no lease was ever granted here",
		    cl->conf->name);
	else
		log_info("cluster %s: node %u has the lease of epoch %llu",
		    cl->conf->name, cl->record.holder,
		    (unsigned long long)cl->record.epoch);
	return 1;
}

static int
open_listeners(struct serve *s)
{
	struct listener *l;
	char why[200];

	for (unsigned i = 0; i < s->conf->n_listen; i++) {
		l = &s->listeners[i];
		l->serve = s;
		l->fd = wcn_listen(
		    s->conf->listen[i], s->conf->port, why, sizeof(why));
		if (l->fd == -1) {
			log_warnx("witness: cannot listen: %s", why);
			return -1;
		}
		if (sd_event_add_io(loop_event(s->loop), &l->source, l->fd,
			EPOLLIN, on_accept, l) < 0) {
			log_warnx("witness: cannot watch a socket");
			return -1;
		}
		log_info("witness: listens at %s port %u", s->conf->listen[i],
		    s->conf->port);
	}
	return 0;
}

static int
open_all(struct serve *s, struct evp_pkey_st *key, const char *dir)
{
	unsigned served = 0;
	char why[400];

	s->id = seal_id_new(key);
	s->again = loop_timer_new(loop_event(s->loop), on_again, s);
	s->worker = worker_new(loop_event(s->loop));
	if (s->id == NULL || s->worker == NULL) {
		log_warnx("witness: cannot use the key, or out of memory");
		return -1;
	}
	s->store = wst_new(dir, s->worker, why, sizeof(why));
	if (s->store == NULL) {
		log_warnx("witness: %s", why);
		return -1;
	}
	for (unsigned i = 0; i < s->conf->n_clusters; i++)
		served += (unsigned)open_cluster(s, i, dir);
	if (served == 0) {
		log_warnx("witness: there is no cluster that it could serve");
		return -1;
	}
	return open_listeners(s);
}

struct serve *
serve_new(struct loop *loop, const struct wc *conf, struct evp_pkey_st *key,
    const char *dir)
{
	struct serve *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->loop = loop;
	s->conf = conf;
	s->incarnation = (uint64_t)loop_now().us;
	TAILQ_INIT(&s->clients);
	for (unsigned i = 0; i < WC_LISTEN_MAX; i++)
		s->listeners[i].fd = -1;
	if (open_all(s, key, dir) == 0)
		return s;
	serve_free(s);
	return NULL;
}

void
serve_free(struct serve *s)
{
	struct client *c;

	if (s == NULL)
		return;
	s->stopping = true;
	if (s->worker != NULL)
		worker_free(s->worker);
	wst_free(s->store);
	while ((c = TAILQ_FIRST(&s->clients)) != NULL)
		client_free(c);
	for (unsigned i = 0; i < WC_LISTEN_MAX; i++) {
		sd_event_source_disable_unref(s->listeners[i].source);
		if (s->listeners[i].fd != -1)
			close(s->listeners[i].fd);
	}
	for (unsigned i = 0; i < WC_CLUSTERS_MAX; i++)
		wit_free(s->clusters[i].core);
	if (s->again != NULL)
		loop_timer_free(s->again);
	seal_id_free(s->id);
	free(s);
}
