/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guard: keeps its tables in the kernel as they should be.  See
 * vip_guard.h; the tables are drawn in vip_guard_nft.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <net/if.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bsd/string.h>

#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>

#include "loop.h"
#include "vip_guard_int.h"

enum {
	PORT_BASE = 0x48000000, /* see port_of */
	PORT_CLASSES = 3,
	RESTORE_GAP_MS = 5, /* between two repairs */
	RESTORE_RETRY_MS = 50, /* after one that failed */
	SNDBUF = 1024 * 1024,
	FD_HIGH = 1000, /* see own_socket */
	PROBE_MS = 10000,
	TICK_MAX_US = 10000,
};

struct dev {
	char name[16];
	unsigned ifindex; /* as installed; 0: not there */
	bool has_primary;
	uint8_t primary[4];
};

struct vip_guard {
	struct vip_guard_cb cb;
	void *ctx; /* borrowed */
	struct vip_addr_conf *addrs; /* owned */
	uint16_t n;
	struct dev devs[VIP_GUARD_DEVS_MAX];
	uint16_t n_devs;
	struct mnl_socket *nl; /* owned; owns had_lease: never duplicated */
	struct mnl_socket *mon, *link; /* owned */
	sd_event_source *mon_src, *link_src; /* owned */
	struct loop_timer *timer; /* owned */
	struct vip_batch batch;
	uint32_t min_ms; /* a shorter lease would not be one */
	bool in_place; /* this kernel can move the end of an element */
	bool unsure; /* a batch failed: the kernel may differ from open */
	struct vip_set open;
	monotime_t until; /* of open */
	uint64_t buckets;
	monotime_t restored_at;
	bool dirty; /* the kernel's tables are not ours any more */
	char error[160];
	struct vip_guard_stats stats;
};

static bool
set_empty(const struct vip_set *s)
{
	static const struct vip_set none;

	return memcmp(s, &none, sizeof(none)) == 0;
}

static enum vip_guard_class
guard_class(const struct vip_guard *g)
{
	return (enum vip_guard_class)(g->batch.names - vip_guard_names);
}

/* Whole milliseconds from now to at, never rounded up. */
static int64_t
ms_until(monotime_t at)
{
	return mt_sub_us(at, loop_now()) / 1000;
}

/* Sends what is in the batch. */
static int
guard_send(struct vip_guard *g)
{
	const char *what = "batch";
	int saved;

	g->stats.batches++;
	if (vip_batch_send(&g->batch, g->nl, &what) == 0)
		return 0;
	saved = errno;
	g->stats.failed++;
	snprintf(g->error, sizeof(g->error), "%s: %s", what, strerror(saved));
	errno = saved;
	return -1;
}

/* What the tables are made from; of the interfaces, those that are there. */
static void
guard_tables(const struct vip_guard *g, struct vip_tables *t)
{
	uint16_t i, n = 0;

	t->addrs = g->addrs;
	t->n = g->n;
	t->n_primary = 0;
	t->buckets = g->buckets;
	for (i = 0; i < g->n_devs; i++) {
		const struct dev *d = &g->devs[i];
		struct vip_primary *p = &t->primary[t->n_primary];

		if (d->ifindex == 0)
			continue;
		t->devs[n++] = d->name;
		if (!d->has_primary)
			continue;
		p->ifindex = d->ifindex;
		memcpy(p->addr, d->primary, 4);
		t->n_primary++;
	}
	t->devs[n] = NULL;
}

/* Both tables as they should be, on the interfaces that exist now. */
static int
guard_install(struct vip_guard *g)
{
	struct vip_tables t;
	struct vip_set open = g->open;
	int64_t ms = ms_until(g->until);
	uint16_t i;

	for (i = 0; i < g->n_devs; i++)
		g->devs[i].ifindex = if_nametoindex(g->devs[i].name);
	guard_tables(g, &t);
	if (ms < g->min_ms) {
		memset(&open, 0, sizeof(open));
		ms = 0;
		g->unsure = true;
	}
	vip_batch_begin(&g->batch);
	vip_batch_install(&g->batch, &t, &open, (uint64_t)ms);
	return guard_send(g);
}

/* Puts the tables back if somebody touched them, but not in a tight race. */
static void
guard_restore(struct vip_guard *g, bool flushed)
{
	monotime_t now = loop_now(), next;
	int r;

	next = mt_add_ms(g->restored_at, RESTORE_GAP_MS);
	if (mt_before(now, next)) {
		loop_timer_at(g->timer, next);
		return;
	}
	r = guard_install(g);
	g->restored_at = now;
	g->dirty = r != 0;
	if (r == 0)
		g->stats.restored++;
	else
		loop_timer_at(g->timer, mt_add_ms(now, RESTORE_RETRY_MS));
	if (flushed)
		g->cb.flushed(g->ctx, r == 0, r == 0 ? "" : g->error);
}

static void
on_timer(void *ctx, monotime_t now)
{
	struct vip_guard *g = ctx;

	(void)now;
	if (g->dirty)
		guard_restore(g, true);
}

static int
attr_first_name(const struct nlattr *attr, void *data)
{
	const char **name = data;

	/* NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, ... are all 1. */
	if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME &&
	    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
		*name = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

/* True if the message tells of a change to one of our tables. */
static bool
touches_us(const struct vip_guard_names *names, const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *nfg;
	const char *name = NULL;

	if (nlh->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
	    (nlh->nlmsg_type & 0xff) == NFT_MSG_NEWGEN ||
	    nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*nfg))
		return false;
	nfg = mnl_nlmsg_get_payload(nlh);
	if (nfg->nfgen_family != NFPROTO_NETDEV)
		return false;
	if (mnl_attr_parse(nlh, sizeof(*nfg), attr_first_name, &name) < 0 ||
	    name == NULL)
		return false;
	return strcmp(name, names->guard) == 0 ||
	       strcmp(name, names->lease) == 0;
}

static int
on_mon(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct vip_guard *g = ctx;
	char buf[16384];
	ssize_t len;
	int rounds = 64; /* bounded work; the rest next time */

	(void)src, (void)fd, (void)revents;
	while (rounds-- > 0) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)buf;
		int left;

		len = mnl_socket_recvfrom(g->mon, buf, sizeof(buf));
		if (len < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
			g->dirty = true; /* something was lost: who knows */
			continue;
		}
		if (len <= 0)
			break;
		for (left = (int)len; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left))
			if (touches_us(g->batch.names, nlh))
				g->dirty = true;
	}
	if (g->dirty)
		guard_restore(g, true);
	return 0;
}

/* An interface that was made anew has no chains. */
static int
on_link(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct vip_guard *g = ctx;
	char buf[16384];
	bool changed = false;
	int rounds = 64;
	uint16_t i;

	(void)src, (void)fd, (void)revents;
	while (rounds-- > 0 &&
	       (mnl_socket_recvfrom(g->link, buf, sizeof(buf)) > 0 ||
		   errno == ENOBUFS || errno == ENOSPC))
		continue;
	for (i = 0; i < g->n_devs; i++)
		if (if_nametoindex(g->devs[i].name) != g->devs[i].ifindex)
			changed = true;
	if (changed) {
		g->dirty = true;
		guard_restore(g, false);
	}
	return 0;
}

/* A name for the owning socket: others of this process differ in the class. */
static uint32_t port_of(enum vip_guard_class class)
{
	return PORT_BASE | (uint32_t)getpid() << 2 | class;
}

/*
 * Our own batches, one per heartbeat, must not wake us, nor those of a guard
 * of another class: drop what carries our port without the bits of the class
 * (a message is read as big-endian words, its header is native).
 */
static int
mon_filter(const struct vip_guard *g)
{
	uint32_t port = mnl_socket_get_portid(g->nl);
	/* Unless the name was taken. */
	uint32_t bits =
	    port == port_of(guard_class(g)) ? (uint32_t)PORT_CLASSES : 0;
	uint32_t mine = port & ~bits;
	struct sock_filter code[] = {
	    BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
	    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, __builtin_bswap32(~bits)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __builtin_bswap32(mine), 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog prog = {NITEMS(code), code};

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	code[1].k = ~bits;
	code[2].k = mine;
#endif
	return setsockopt(mnl_socket_get_fd(g->mon), SOL_SOCKET,
	    SO_ATTACH_FILTER, &prog, sizeof(prog));
}

static struct mnl_socket *
nl_open(int bus, unsigned groups, uint32_t port)
{
	struct mnl_socket *nl;

	/* A child that kept it would keep had_lease alive. */
	nl = mnl_socket_open2(bus, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (nl == NULL)
		return NULL;
	if ((port == 0 || mnl_socket_bind(nl, groups, (pid_t)port) < 0) &&
	    mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(nl);
		return NULL;
	}
	return nl;
}

/*
 * The socket that owns had_lease.  When a process dies, the kernel closes its
 * files from the highest number down: this one must be among the first, so
 * that the addresses are silent before any connection of the daemon tells a
 * peer of its death.
 */
static struct mnl_socket *own_socket(enum vip_guard_class class)
{
	struct mnl_socket *low = nl_open(NETLINK_NETFILTER, 0, port_of(class));
	struct mnl_socket *high;
	struct rlimit lim;
	int fd, at = FD_HIGH;

	if (low == NULL)
		return NULL;
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 &&
	    lim.rlim_cur < (rlim_t)FD_HIGH + 1)
		at = (int)lim.rlim_cur - 1;
	fd = fcntl(mnl_socket_get_fd(low), F_DUPFD_CLOEXEC, at);
	if (fd < 0)
		return low;
	high = mnl_socket_fdopen(fd);
	if (high == NULL) {
		close(fd);
		return low;
	}
	mnl_socket_close(low);
	return high;
}

static int
open_sockets(struct vip_guard *g, sd_event *event)
{
	int size = SNDBUF;

	g->nl = own_socket(guard_class(g));
	g->mon = nl_open(NETLINK_NETFILTER, 1u << (NFNLGRP_NFTABLES - 1), 0);
	g->link = nl_open(NETLINK_ROUTE, RTMGRP_LINK, 0);
	if (g->nl == NULL || g->mon == NULL || g->link == NULL)
		return -1;
	if (setsockopt(mnl_socket_get_fd(g->nl), SOL_SOCKET, SO_SNDBUFFORCE,
		&size, sizeof(size)) < 0 ||
	    mon_filter(g) < 0)
		return -1;
	if ((errno = -sd_event_add_io(event, &g->mon_src,
		 mnl_socket_get_fd(g->mon), EPOLLIN, on_mon, g)) > 0 ||
	    (errno = -sd_event_add_io(event, &g->link_src,
		 mnl_socket_get_fd(g->link), EPOLLIN, on_link, g)) > 0)
		return -1;
	g->timer = loop_timer_new(event, on_timer, g);
	return g->timer != NULL ? 0 : -1;
}

/* Adds a name once. */
static int
dev_add(struct vip_guard *g, const char *name)
{
	uint16_t i;

	for (i = 0; i < g->n_devs; i++)
		if (strcmp(g->devs[i].name, name) == 0)
			return 0;
	if (g->n_devs == VIP_GUARD_DEVS_MAX) {
		errno = E2BIG;
		return -1;
	}
	strlcpy(g->devs[g->n_devs++].name, name, sizeof(g->devs[0].name));
	return 0;
}

/*
 * Can the end of an element be moved?  Older kernels (before 6.12) take the
 * order and do nothing.  Nothing is open yet, so a lease harms nobody.
 */
static int
guard_probe(struct vip_guard *g)
{
	uint64_t ms;

	vip_batch_begin(&g->batch);
	vip_batch_lease(&g->batch, PROBE_MS, false);
	if (guard_send(g) < 0)
		return -1;
	vip_batch_begin(&g->batch);
	vip_batch_lease(&g->batch, 2 * PROBE_MS, true);
	if (guard_send(g) < 0)
		return -1;
	if (vip_lease_left(&g->batch, g->nl, &ms) < 0) {
		snprintf(
		    g->error, sizeof(g->error), "lease: %s", strerror(errno));
		return -1;
	}
	g->in_place = ms > PROBE_MS;
	vip_batch_begin(&g->batch);
	vip_batch_lease(&g->batch, 0, false);
	return guard_send(g);
}

static int
devs_add(struct vip_guard *g, const struct vip_guard_conf *conf)
{
	uint16_t i;

	for (i = 0; i < conf->n; i++)
		if (conf->addrs[i].family != 0 && !conf->addrs[i].has_mac &&
		    dev_add(g, conf->addrs[i].ifname) < 0)
			return -1;
	for (i = 0; i < conf->n_ifnames; i++)
		if (dev_add(g, conf->ifnames[i]) < 0)
			return -1;
	return 0;
}

static struct vip_addr_conf *
copy_addrs(const struct vip_guard_conf *conf)
{
	struct vip_addr_conf *a = calloc(conf->n + 1u, sizeof(*a));

	if (a != NULL && conf->n > 0)
		memcpy(a, conf->addrs, conf->n * sizeof(*a));
	return a;
}

static int
guard_setup(struct vip_guard *g, sd_event *event,
    const struct vip_guard_conf *conf, const char **what)
{
	*what = "interfaces";
	if (devs_add(g, conf) < 0)
		return -1;
	*what = "memory";
	g->addrs = copy_addrs(conf);
	if (g->addrs == NULL || vip_batch_init(&g->batch, conf->class) < 0)
		return -1;
	g->n = conf->n;
	*what = "netlink sockets";
	if (open_sockets(g, event) < 0)
		return -1;
	*what = NULL;
	return guard_install(g) < 0 ? -1 : guard_probe(g);
}

struct vip_guard *
vip_guard_new(sd_event *event, const struct vip_guard_conf *conf,
    const struct vip_guard_cb *cb, void *ctx, char *err, size_t err_size)
{
	struct vip_guard *g;
	const char *what = "memory";
	int saved;

	ASSERT(conf->n <= HAD_ADDRESSES_MAX);
	g = calloc(1, sizeof(*g));
	if (g != NULL) {
		g->cb = *cb;
		g->ctx = ctx;
		g->min_ms = (vip_guard_tick_us() + 999) / 1000;
		if (guard_setup(g, event, conf, &what) == 0)
			return g;
	}
	saved = errno;
	if (what != NULL)
		snprintf(err, err_size, "guard: %s: %s", what, strerror(saved));
	else
		snprintf(err, err_size,
		    "guard: the kernel refused nftables (netdev egress and "
		    "owner tables, Linux 5.16 and later): %s",
		    g->error);
	if (g != NULL)
		vip_guard_free(g, false);
	errno = saved;
	return NULL;
}

int
vip_guard_reload(struct vip_guard *g, const struct vip_guard_conf *conf)
{
	struct vip_addr_conf *addrs = copy_addrs(conf), *old_addrs = g->addrs;
	uint16_t old_n = g->n, old_devs = g->n_devs;

	ASSERT(conf->n <= HAD_ADDRESSES_MAX && conf->class == guard_class(g));
	if (addrs == NULL || devs_add(g, conf) < 0) {
		snprintf(g->error, sizeof(g->error), "%s: %s",
		    addrs == NULL ? "memory" : "interfaces", strerror(errno));
		goto fail;
	}
	g->addrs = addrs;
	g->n = conf->n;
	if (guard_install(g) == 0) {
		free(old_addrs);
		return 0;
	}
	g->addrs = old_addrs;
	g->n = old_n;
fail:
	g->n_devs = old_devs;
	free(addrs);
	return -1;
}

void
vip_guard_free(struct vip_guard *g, bool remove)
{
	if (g == NULL)
		return;
	if (remove) {
		vip_batch_begin(&g->batch);
		vip_batch_remove(&g->batch);
		guard_send(g);
	}
	loop_timer_free(g->timer);
	sd_event_source_disable_unref(g->mon_src);
	sd_event_source_disable_unref(g->link_src);
	if (g->link != NULL)
		mnl_socket_close(g->link);
	if (g->mon != NULL)
		mnl_socket_close(g->mon);
	if (g->nl != NULL)
		mnl_socket_close(g->nl);
	vip_batch_release(&g->batch);
	free(g->addrs);
	free(g);
}

int
vip_guard_lease(
    struct vip_guard *g, const struct vip_set *open, monotime_t until)
{
	static const struct vip_set none;
	monotime_t start = loop_now();
	int64_t ms = ms_until(until);
	bool late = !set_empty(open) && ms < g->min_ms;
	struct vip_tables t;
	int r;

	if (late)
		open = &none;
	vip_batch_begin(&g->batch);
	if (g->unsure || memcmp(open, &g->open, sizeof(*open)) != 0) {
		guard_tables(g, &t);
		vip_batch_open(
		    &g->batch, &t, g->unsure ? NULL : &g->open, open);
	}
	if (set_empty(open))
		vip_batch_lease(&g->batch, 0, false);
	else
		vip_batch_lease(&g->batch, (uint64_t)ms, g->in_place);
	g->open = *open;
	g->until = until;
	r = guard_send(g);
	g->unsure = r != 0;
	g->stats.lease_us_last = (uint32_t)mt_sub_us(loop_now(), start);
	if (g->stats.lease_us_last > g->stats.lease_us_max)
		g->stats.lease_us_max = g->stats.lease_us_last;
	if (r == 0 && late) {
		snprintf(g->error, sizeof(g->error),
		    "the lease was over before it began");
		errno = ETIMEDOUT;
		return -1;
	}
	return r;
}

uint32_t
vip_guard_tick_us(void)
{
	struct timespec ts;

	/* The coarse clock is read from the tick. */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &ts) < 0 || ts.tv_sec != 0)
		return TICK_MAX_US;
	return (uint32_t)(ts.tv_nsec + 999) / 1000;
}

int
vip_guard_primary(struct vip_guard *g, const char *ifname, const uint8_t *addr)
{
	struct vip_tables t;
	struct dev *d = NULL;
	uint16_t i;

	ASSERT(guard_class(g) == VIP_GUARD_ROUTER);
	for (i = 0; i < g->n_devs; i++)
		if (strcmp(g->devs[i].name, ifname) == 0)
			d = &g->devs[i];
	if (d == NULL) {
		snprintf(g->error, sizeof(g->error), "%s: %s", ifname,
		    strerror(ENODEV));
		errno = ENODEV;
		return -1;
	}
	if (d->has_primary == (addr != NULL) &&
	    (addr == NULL || memcmp(d->primary, addr, 4) == 0))
		return 0;
	d->has_primary = addr != NULL;
	if (addr != NULL)
		memcpy(d->primary, addr, 4);
	guard_tables(g, &t);
	vip_batch_begin(&g->batch);
	vip_batch_primary(&g->batch, &t);
	return guard_send(g);
}

int
vip_guard_buckets(struct vip_guard *g, uint64_t buckets)
{
	ASSERT(guard_class(g) == VIP_GUARD_SHARE);
	vip_batch_begin(&g->batch);
	vip_batch_buckets(&g->batch, buckets);
	if (guard_send(g) < 0)
		return -1;
	g->buckets = buckets;
	return 0;
}

const char *
vip_guard_error(const struct vip_guard *g)
{
	return g->error;
}

void
vip_guard_stats(const struct vip_guard *g, struct vip_guard_stats *s)
{
	*s = g->stats;
}
