/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One job at a time on a worker of its own: attach, repair, detach, clean.
 * The netlink messages are handled by the kernel inside sendmsg(2), where a
 * disconnect waits for I/O: hence the thread.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bsd/string.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>

#include "log.h"
#include "loop.h"
#include "nbd_kernel.h"
#include "worker.h"

enum {
	RETRY_MIN_MS = 50, /* the kernel needs a moment to see the end */
	RETRY_MAX_MS = 2000,
	CALM_MS = 5000, /* without a loss: the next one is fresh */
	SOCK_BUF = 1 << 20,
};

enum state { IDLE, ATTACHING, ATTACHED, REPAIRING, DETACHING, CLEANING };

/* What the thread works on; the loop keeps off until it is done. */
struct job {
	char prefix[128]; /* CLEANING */
	int fds[NBDK_CONNECTIONS_MAX]; /* kernel's ends; owned */
	unsigned n_fds;
	int index;
	int cleaned;
	char why[HAD_PATH_MAX + 128];
};

struct nbdk {
	struct nbdk_cb cb;
	void *ctx; /* borrowed, of the callbacks */
	struct worker *worker; /* owned */
	struct loop_timer *timer; /* owned */
	struct mnl_socket *nl; /* owned; the thread's while a job runs */
	unsigned portid, seq;
	uint16_t family;
	struct nbdk_conf conf;
	struct job job;
	enum state state;
	int index;
	uint32_t lost; /* connections to be replaced */
	bool want_detach;
	unsigned retry_ms;
	monotime_t repaired;
	nbdk_cleaned cleaned;
	void *cleaned_ctx; /* borrowed */
};

/* Netlink. */

struct answer {
	uint16_t family;
	int index;
};

static int
on_attr_ctrl(const struct nlattr *a, void *arg)
{
	struct answer *ans = arg;

	if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID)
		ans->family = mnl_attr_get_u16(a);
	return MNL_CB_OK;
}

static int
on_attr_nbd(const struct nlattr *a, void *arg)
{
	struct answer *ans = arg;

	if (mnl_attr_get_type(a) == NBD_ATTR_INDEX)
		ans->index = (int)mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int
on_msg(const struct nlmsghdr *h, void *arg)
{
	return mnl_attr_parse(h, sizeof(struct genlmsghdr),
	    h->nlmsg_type == GENL_ID_CTRL ? on_attr_ctrl : on_attr_nbd, arg);
}

static struct nlmsghdr *
request(struct nbdk *k, char *buf, uint16_t type, uint8_t cmd)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *g;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = ++k->seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->cmd = cmd;
	g->version = 1;
	return h;
}

/* Sends h and takes the answers up to the acknowledgement. */
static int
talk(struct nbdk *k, const struct nlmsghdr *h, struct answer *ans)
{
	char buf[8192];
	ssize_t n;
	int r;

	if (mnl_socket_sendto(k->nl, h, h->nlmsg_len) == -1)
		return -errno;
	do {
		n = mnl_socket_recvfrom(k->nl, buf, sizeof(buf));
		if (n == -1)
			return -errno;
		r = mnl_cb_run(
		    buf, (size_t)n, h->nlmsg_seq, k->portid, on_msg, ans);
	} while (r > 0);
	return r == -1 ? -errno : 0;
}

/* The socket belongs to the network namespace that its maker was in. */
static void *
open_in_init_netns(void *arg)
{
	struct nbdk *k = arg;
	int fd = open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);

	/* Refused in a container: then its own namespace is all there is. */
	if (fd != -1) {
		if (setns(fd, CLONE_NEWNET) == -1)
			log_debug("nbd: initial network namespace: %s",
			    strerror(errno));
		close(fd);
	}
	k->nl = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	return NULL;
}

static int
open_netlink(struct nbdk *k, char *why, size_t why_size)
{
	char buf[1024];
	struct answer ans = {0};
	struct nlmsghdr *h;
	pthread_t thread;
	int r;

	/* setns(2) is for one thread only: this one ends with it. */
	r = pthread_create(&thread, NULL, open_in_init_netns, k);
	if (r == 0)
		pthread_join(thread, NULL);
	if (r != 0 || k->nl == NULL ||
	    mnl_socket_bind(k->nl, 0, MNL_SOCKET_AUTOPID) == -1) {
		snprintf(why, why_size, "nbd: netlink: %s",
		    strerror(r != 0 ? r : errno));
		return -1;
	}
	k->portid = mnl_socket_get_portid(k->nl);
	h = request(k, buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	mnl_attr_put_strz(h, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME);
	r = talk(k, h, &ans);
	if (r == -ENOENT || (r == 0 && ans.family == 0)) {
		snprintf(why, why_size,
		    "nbd: the kernel's NBD client is missing: load it with "
		    "'modprobe nbd' (CONFIG_BLK_DEV_NBD)");
		return -1;
	}
	if (r < 0) {
		snprintf(why, why_size, "nbd: netlink: %s", strerror(-r));
		return -1;
	}
	k->family = ans.family;
	return 0;
}

static void
put_sockets(struct nlmsghdr *h, const struct job *j)
{
	struct nlattr *list = mnl_attr_nest_start(h, NBD_ATTR_SOCKETS), *item;

	for (unsigned i = 0; i < j->n_fds; i++) {
		item = mnl_attr_nest_start(h, NBD_SOCK_ITEM);
		mnl_attr_put_u32(h, NBD_SOCK_FD, (uint32_t)j->fds[i]);
		mnl_attr_nest_end(h, item);
	}
	mnl_attr_nest_end(h, list);
}

static int
connect_new(struct nbdk *k)
{
	const struct nbdk_conf *c = &k->conf;
	struct answer ans = {.index = -1};
	char buf[2048];
	struct nlmsghdr *h = request(k, buf, k->family, NBD_CMD_CONNECT);
	int r;

	if (c->index >= 0)
		mnl_attr_put_u32(h, NBD_ATTR_INDEX, (uint32_t)c->index);
	mnl_attr_put_u64(h, NBD_ATTR_SIZE_BYTES, c->size);
	mnl_attr_put_u64(h, NBD_ATTR_BLOCK_SIZE_BYTES, c->block_size);
	mnl_attr_put_u64(h, NBD_ATTR_SERVER_FLAGS, c->flags);
	mnl_attr_put_u64(h, NBD_ATTR_TIMEOUT, c->timeout_s);
	mnl_attr_put_u64(h, NBD_ATTR_DEAD_CONN_TIMEOUT, c->dead_timeout_s);
	mnl_attr_put_strz(h, NBD_ATTR_BACKEND_IDENTIFIER, c->identifier);
	put_sockets(h, &k->job);
	if ((r = talk(k, h, &ans)) < 0)
		return r;
	return ans.index >= 0 ? ans.index : -EPROTO;
}

static int
reconnect(struct nbdk *k, int index)
{
	const struct nbdk_conf *c = &k->conf;
	struct answer ans = {0};
	char buf[2048];
	struct nlmsghdr *h = request(k, buf, k->family, NBD_CMD_RECONFIGURE);

	mnl_attr_put_u32(h, NBD_ATTR_INDEX, (uint32_t)index);
	mnl_attr_put_u64(h, NBD_ATTR_DEAD_CONN_TIMEOUT, c->dead_timeout_s);
	mnl_attr_put_strz(h, NBD_ATTR_BACKEND_IDENTIFIER, c->identifier);
	put_sockets(h, &k->job);
	return talk(k, h, &ans);
}

static int
disconnect(struct nbdk *k, int index)
{
	struct answer ans = {0};
	char buf[256];
	struct nlmsghdr *h = request(k, buf, k->family, NBD_CMD_DISCONNECT);

	mnl_attr_put_u32(h, NBD_ATTR_INDEX, (uint32_t)index);
	return talk(k, h, &ans);
}

/* sysfs */

/* The identifier of /dev/nbd<index>; false if it is not in use or not ours. */
static bool
backend_of(int index, char *buf, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/block/nbd%d/backend", index);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return true;
}

/*
 * The first device above after whose identifier is, or begins with, id; -1 if
 * there is none.  The order is that of the indices.
 */
static int
find_device(const char *id, bool is_prefix, int after)
{
	DIR *dir = opendir("/sys/block");
	int index, found = -1;
	struct dirent *e;
	char have[256];

	if (dir == NULL)
		return -1;
	while ((e = readdir(dir)) != NULL) {
		if (sscanf(e->d_name, "nbd%d", &index) != 1 || index <= after ||
		    (found >= 0 && index > found) ||
		    !backend_of(index, have, sizeof(have)))
			continue;
		if (is_prefix ? strncmp(have, id, strlen(id)) == 0
			      : strcmp(have, id) == 0)
			found = index;
	}
	closedir(dir);
	return found;
}

int
nbdk_find(const char *identifier)
{
	return find_device(identifier, false, -1);
}

static void
set_max_sectors(int index, unsigned kb)
{
	char path[80], text[16];
	int fd, n;

	snprintf(
	    path, sizeof(path), "/sys/block/nbd%d/queue/max_sectors_kb", index);
	n = snprintf(text, sizeof(text), "%u", kb);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	/* It is about speed only: worth a line, not a failure. */
	if (fd == -1 || write(fd, text, (size_t)n) != n)
		log_warn("nbd%d: max_sectors_kb %u", index, kb);
	if (fd != -1)
		close(fd);
}

/* Replaces the link in one step; whoever opens it finds old or new. */
static int
make_link(const char *link_path, int index)
{
	char target[32], tmp[HAD_PATH_MAX + 8];

	snprintf(target, sizeof(target), "/dev/nbd%d", index);
	snprintf(tmp, sizeof(tmp), "%s.new", link_path);
	if (unlink(tmp) == -1 && errno != ENOENT)
		return -errno;
	if (symlink(target, tmp) == -1 || rename(tmp, link_path) == -1)
		return -errno;
	return 0;
}

/* Jobs, on the thread. */

static int
run_attach(void *arg)
{
	struct nbdk *k = arg;
	struct job *j = &k->job;
	int r = -ENODEV, index = nbdk_find(k->conf.identifier);

	if (index >= 0) {
		r = reconnect(k, index);
		if (r < 0)
			log_warnx("nbd%d: left over, cannot be taken back: %s",
			    index, strerror(-r));
	}
	if (r < 0)
		r = index = connect_new(k);
	if (r < 0) {
		snprintf(j->why, sizeof(j->why), "connect: %s",
		    r == -EBUSY ? "the device is in use" : strerror(-r));
		return r;
	}
	j->index = index;
	if (k->conf.max_sectors_kb > 0)
		set_max_sectors(index, k->conf.max_sectors_kb);
	if (k->conf.link[0] != '\0' &&
	    (r = make_link(k->conf.link, index)) < 0) {
		snprintf(j->why, sizeof(j->why), "%s: %s", k->conf.link,
		    strerror(-r));
		(void)disconnect(k, index);
		return r;
	}
	return 0;
}

static int
run_repair(void *arg)
{
	struct nbdk *k = arg;

	return reconnect(k, k->index);
}

static int
run_detach(void *arg)
{
	struct nbdk *k = arg;
	struct job *j = &k->job;
	int r = disconnect(k, k->index);

	if (r < 0)
		snprintf(j->why, sizeof(j->why), "nbd%d: disconnect: %s",
		    k->index, strerror(-r));
	if (k->conf.link[0] != '\0' && unlink(k->conf.link) == -1 &&
	    errno != ENOENT && r == 0) {
		r = -errno;
		snprintf(j->why, sizeof(j->why), "%s: %s", k->conf.link,
		    strerror(errno));
	}
	return r;
}

static int
run_clean(void *arg)
{
	struct nbdk *k = arg;
	struct job *j = &k->job;
	int index = -1, r, error = 0;

	j->cleaned = 0;
	while ((index = find_device(j->prefix, true, index)) >= 0) {
		r = disconnect(k, index);
		if (r < 0) {
			log_warnx("nbd%d: disconnect: %s", index, strerror(-r));
			error = r;
		} else
			j->cleaned++;
	}
	return error;
}

/* On the loop. */

static void
close_fds(struct job *j)
{
	for (unsigned i = 0; i < j->n_fds; i++)
		close(j->fds[i]);
	j->n_fds = 0;
}

/* A socket pair: one end is served here, the other is the kernel's. */
static int
add_connection(struct nbdk *k, unsigned tag)
{
	int sv[2], size = SOCK_BUF;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return -errno;
	(void)setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (k->cb.serve(k->ctx, sv[0], tag) == -1) {
		close(sv[1]);
		return -EUSERS;
	}
	k->job.fds[k->job.n_fds++] = sv[1];
	return 0;
}

static void job_done(void *, int);

static void
start(struct nbdk *k, enum state state, worker_run run)
{
	k->state = state;
	if (worker_submit(k->worker, run, job_done, k) == -1)
		job_done(k, -errno);
}

static void
retry_later(struct nbdk *k)
{
	loop_timer_at(k->timer, mt_add_ms(loop_now(), k->retry_ms));
}

/* What was asked for while a job was running. */
static void
next_job(struct nbdk *k)
{
	if (k->state != ATTACHED)
		return;
	if (k->want_detach) {
		k->want_detach = false;
		start(k, DETACHING, run_detach);
	} else if (k->lost != 0)
		retry_later(k);
}

static void
on_retry(void *arg, monotime_t now)
{
	struct nbdk *k = arg;
	int r = 0;

	if (k->state != ATTACHED || k->lost == 0)
		return;
	if (mt_sub_us(now, k->repaired) > CALM_MS * 1000)
		k->retry_ms = RETRY_MIN_MS;
	else if (k->retry_ms < RETRY_MAX_MS)
		k->retry_ms *= 2;
	k->repaired = now;
	for (unsigned tag = 0; tag < k->conf.connections && r == 0; tag++) {
		if (!(k->lost & 1u << tag))
			continue;
		r = add_connection(k, tag);
		if (r == 0)
			k->lost &= ~(1u << tag);
	}
	if (r < 0)
		log_warnx("nbd%d: connection: %s", k->index, strerror(-r));
	if (k->job.n_fds > 0)
		start(k, REPAIRING, run_repair);
	else
		retry_later(k);
}

static void
job_done(void *arg, int result)
{
	struct nbdk *k = arg;
	enum state was = k->state;

	/*
	 * The kernel has its own references.  One it did not take ends here:
	 * its server sees that, and nbdk_lost follows.
	 */
	close_fds(&k->job);
	if (result < 0 && k->job.why[0] == '\0')
		strlcpy(k->job.why, strerror(-result), sizeof(k->job.why));
	switch (was) {
	case ATTACHING:
		k->state = result < 0 ? IDLE : ATTACHED;
		k->index = result < 0 ? -1 : k->job.index;
		k->cb.attached(
		    k->ctx, result < 0 ? result : k->index, k->job.why);
		break;
	case REPAIRING:
		k->state = ATTACHED;
		if (result < 0)
			log_warnx(
			    "nbd%d: new connection: %s", k->index, k->job.why);
		break;
	case DETACHING:
		k->state = IDLE;
		k->index = -1;
		k->cb.detached(k->ctx, result, k->job.why);
		return;
	case CLEANING:
		k->state = IDLE;
		k->cleaned(
		    k->cleaned_ctx, result < 0 ? result : k->job.cleaned);
		return;
	default:
		ASSERT(!"a job was running");
	}
	next_job(k);
}

static void
new_job(struct nbdk *k)
{
	ASSERT(k->job.n_fds == 0);
	k->job.why[0] = '\0';
}

void
nbdk_attach(struct nbdk *k, const struct nbdk_conf *conf)
{
	int r = 0;

	ASSERT(k->state == IDLE);
	ASSERT(conf->connections >= 1 &&
	       conf->connections <= NBDK_CONNECTIONS_MAX);
	new_job(k);
	k->conf = *conf;
	k->lost = 0;
	k->want_detach = false;
	k->retry_ms = RETRY_MIN_MS;
	k->repaired = loop_now();
	for (unsigned tag = 0; tag < conf->connections && r == 0; tag++)
		r = add_connection(k, tag);
	if (r < 0) {
		k->state = ATTACHING;
		job_done(k, r);
		return;
	}
	start(k, ATTACHING, run_attach);
}

void
nbdk_lost(struct nbdk *k, unsigned tag)
{
	if (k->state != ATTACHED && k->state != REPAIRING)
		return;
	k->lost |= 1u << tag;
	if (k->state == ATTACHED)
		retry_later(k);
}

void
nbdk_detach(struct nbdk *k)
{
	ASSERT(k->index >= 0);
	if (k->state == DETACHING)
		return;
	new_job(k);
	k->want_detach = true;
	next_job(k);
}

int
nbdk_index(const struct nbdk *k)
{
	return k->index;
}

void
nbdk_clean(struct nbdk *k, const char *prefix, nbdk_cleaned done, void *ctx)
{
	ASSERT(k->state == IDLE && prefix[0] != '\0');
	new_job(k);
	strlcpy(k->job.prefix, prefix, sizeof(k->job.prefix));
	k->cleaned = done;
	k->cleaned_ctx = ctx;
	start(k, CLEANING, run_clean);
}

struct nbdk *
nbdk_new(sd_event *event, const struct nbdk_cb *cb, void *ctx, char *why,
    size_t why_size)
{
	struct nbdk *k = calloc(1, sizeof(*k));

	if (k == NULL) {
		snprintf(why, why_size, "nbd: out of memory");
		return NULL;
	}
	k->cb = *cb;
	k->ctx = ctx;
	k->index = -1;
	if (open_netlink(k, why, why_size) == -1) {
		nbdk_free(k);
		return NULL;
	}
	k->worker = worker_new(event);
	k->timer = loop_timer_new(event, on_retry, k);
	if (k->worker == NULL || k->timer == NULL) {
		snprintf(why, why_size, "nbd: thread: %s", strerror(errno));
		nbdk_free(k);
		return NULL;
	}
	return k;
}

void
nbdk_free(struct nbdk *k)
{
	if (k->worker != NULL)
		worker_free(k->worker);
	if (k->timer != NULL)
		loop_timer_free(k->timer);
	close_fds(&k->job);
	if (k->nl != NULL)
		mnl_socket_close(k->nl);
	free(k);
}
