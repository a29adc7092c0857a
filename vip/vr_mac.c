/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual hardware addresses by macvlan interfaces.  See vr_mac.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bsd/string.h>

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>

#include "loop.h"
#include "vr_mac.h"

enum {
	BUF_SIZE = 32768,
	DRAIN_ROUNDS = 256, /* bounded work per wake-up */
	RETRY_MS = 50, /* first pause after a failure; it doubles */
	RETRY_MAX_MS = 5000,
	RCVBUF = 4 * 1024 * 1024,
};

struct mac_if {
	char name[16]; /* "": free */
	char parent[16];
	uint8_t mac[6];
	uint8_t family;
	uint32_t ifindex; /* 0: somebody removed it */
};

struct vrm {
	struct vrm_cb cb;
	void *ctx; /* borrowed */
	struct mnl_socket *ask, *mon; /* owned */
	sd_event_source *mon_src; /* owned */
	struct loop_timer *retry; /* owned */
	uint32_t retry_ms;
	uint32_t seq;
	char *buf; /* owned; BUF_SIZE */
	char error[160];
	uint16_t n; /* in use are below */
	struct mac_if ifs[VRM_MAX];
};

void
vrm_name(char name[16], uint8_t vrid, uint8_t family, uint32_t number)
{
	ASSERT(number < 1000000 && (family == 4 || family == 6));
	snprintf(name, 16, "had%u-%u.%u", vrid, family, number);
}

static int
failed(struct vrm *v, const char *name, const char *what)
{
	int saved = errno;

	snprintf(v->error, sizeof(v->error), "%s: %s: %s", name, what,
	    strerror(saved));
	errno = saved;
	return -1;
}

/* Reads the answers, which are there when the request is sent. */
static int
answers(struct vrm *v, mnl_cb_t cb, void *ctx)
{
	uint32_t port = mnl_socket_get_portid(v->ask);
	int r = MNL_CB_OK;

	while (r > MNL_CB_STOP) {
		ssize_t len = mnl_socket_recvfrom(v->ask, v->buf, BUF_SIZE);

		if (len < 0)
			return -1;
		r = mnl_cb_run(v->buf, (size_t)len, 0, port, cb, ctx);
	}
	return r < 0 ? -1 : 0;
}

/* What is left of an answer must not be taken for the next one. */
static void
forget_rest(struct vrm *v)
{
	char rest[4096];

	while (mnl_socket_recvfrom(v->ask, rest, sizeof(rest)) >= 0 ||
	       errno == ENOSPC || errno == ENOBUFS)
		continue;
}

static struct nlmsghdr *
link_msg(struct vrm *v, void *at, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(at);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = ++v->seq;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	return nlh;
}

static int
link_del(struct vrm *v, uint32_t ifindex)
{
	struct nlmsghdr *nlh = link_msg(v, v->buf, RTM_DELLINK, NLM_F_ACK);
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	ifi->ifi_index = (int)ifindex;
	forget_rest(v);
	if (mnl_socket_sendto(v->ask, nlh, nlh->nlmsg_len) < 0)
		return -1;
	return answers(v, NULL, NULL);
}

/* The new interface: down, with had's mark on it. */
static void
put_create(struct nlmsghdr *nlh, const struct mac_if *m, uint32_t below)
{
	struct nlattr *info, *data;

	mnl_attr_put_u32(nlh, IFLA_LINK, below);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, m->name);
	mnl_attr_put(nlh, IFLA_ADDRESS, 6, m->mac);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "macvlan");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	mnl_attr_put_u32(nlh, IFLA_MACVLAN_MODE, MACVLAN_MODE_PRIVATE);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
}

/*
 * No IPv6 address of its own: made from the hardware address it would be the
 * same on all machines.  IPv4: whoever asks may be reached by the interface
 * below only, and is answered all the same, whatever the machine's defaults
 * are for others.
 */
static void
put_manners(struct nlmsghdr *nlh, const struct mac_if *m)
{
	struct nlattr *spec, *family, *conf;
	char alias[64];

	mnl_attr_put_strz(nlh, IFLA_IFNAME, m->name);
	snprintf(
	    alias, sizeof(alias), VRM_ALIAS "virtual address on %s", m->parent);
	mnl_attr_put_strz(nlh, IFLA_IFALIAS, alias);
	spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	family = mnl_attr_nest_start(nlh, AF_INET);
	conf = mnl_attr_nest_start(nlh, IFLA_INET_CONF);
	/* Loose: by whatever interface.  The larger of this and "all" counts */
	mnl_attr_put_u32(nlh, IPV4_DEVCONF_RP_FILTER, 2);
	/* Not for addresses of other interfaces. */
	mnl_attr_put_u32(nlh, IPV4_DEVCONF_ARP_IGNORE, 1);
	/* That the first address goes is no reason for the others to go. */
	mnl_attr_put_u32(nlh, IPV4_DEVCONF_PROMOTE_SECONDARIES, 1);
	mnl_attr_nest_end(nlh, conf);
	mnl_attr_nest_end(nlh, family);
	family = mnl_attr_nest_start(nlh, AF_INET6);
	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nlh, family);
	mnl_attr_nest_end(nlh, spec);
}

/*
 * What netlink cannot set.  Where it cannot be written there is no IPv6, or
 * nobody may write there; then it stays as it is, behind the guard.
 */
static void
set_ipv6(const char *name, const char *key, const char *value)
{
	char path[96];
	int fd;

	snprintf(
	    path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", name, key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, value, strlen(value));
	close(fd);
}

static int
link_create(struct vrm *v, const struct mac_if *m, uint32_t below)
{
	struct nlmsghdr *nlh;
	size_t len;

	/* Both in one call: there is never one without the alias. */
	nlh = link_msg(v, v->buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	put_create(nlh, m, below);
	len = MNL_ALIGN(nlh->nlmsg_len);
	nlh = link_msg(v, v->buf + len, RTM_NEWLINK, NLM_F_ACK);
	put_manners(nlh, m);
	len += nlh->nlmsg_len;
	forget_rest(v);
	if (mnl_socket_sendto(v->ask, v->buf, len) < 0)
		return -1;
	/* The first error, if any, is that of the first message. */
	return answers(v, NULL, NULL);
}

static int
link_up(struct vrm *v, const struct mac_if *m)
{
	struct nlmsghdr *nlh = link_msg(v, v->buf, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, m->name);
	forget_rest(v);
	if (mnl_socket_sendto(v->ask, nlh, nlh->nlmsg_len) < 0)
		return -1;
	return answers(v, NULL, NULL);
}

static int
make(struct vrm *v, struct mac_if *m)
{
	uint32_t below = if_nametoindex(m->parent);
	int saved;

	if (below == 0) {
		errno = ENODEV;
		return failed(v, m->name, m->parent);
	}
	/* The second half must not hit a stranger of the same name. */
	if (if_nametoindex(m->name) != 0)
		errno = EEXIST;
	else if (link_create(v, m, below) == 0)
		errno = 0;
	if (errno != 0)
		return failed(v, m->name, "create");
	set_ipv6(m->name, "accept_ra", "0");
	set_ipv6(m->name, "autoconf", "0");
	if (m->family == 4)
		set_ipv6(m->name, "disable_ipv6", "1");
	m->ifindex = if_nametoindex(m->name);
	if (link_up(v, m) < 0) {
		failed(v, m->name, "up");
		saved = errno;
		link_del(v, m->ifindex);
		m->ifindex = 0;
		errno = saved;
		return -1;
	}
	return 0;
}

/* Leftovers of a dead daemon. */

struct leftovers {
	uint32_t ifindex[VRM_MAX];
	unsigned n;
};

static int
on_leftover(const struct nlmsghdr *nlh, void *ctx)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct leftovers *l = ctx;
	const char *alias = "";
	struct nlattr *attr;

	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*ifi))
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*ifi))
	{
		if (mnl_attr_get_type(attr) == IFLA_IFALIAS &&
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
			alias = mnl_attr_get_str(attr);
	}
	if (strncmp(alias, VRM_ALIAS, strlen(VRM_ALIAS)) == 0 &&
	    l->n < NITEMS(l->ifindex))
		l->ifindex[l->n++] = (uint32_t)ifi->ifi_index;
	return MNL_CB_OK;
}

static int
remove_leftovers(struct vrm *v)
{
	struct leftovers l = {.n = 0};
	struct nlmsghdr *nlh = link_msg(v, v->buf, RTM_GETLINK, NLM_F_DUMP);
	unsigned i;

	if (mnl_socket_sendto(v->ask, nlh, nlh->nlmsg_len) < 0 ||
	    answers(v, on_leftover, &l) < 0)
		return -1;
	for (i = 0; i < l.n; i++)
		if (link_del(v, l.ifindex[i]) < 0 && errno != ENODEV)
			return -1;
	return 0;
}

/* Somebody else's hands. */

static void
restore(struct vrm *v)
{
	bool missing = false;
	uint16_t i;

	for (i = 0; i < v->n; i++) {
		struct mac_if *m = &v->ifs[i];
		bool ok;

		if (m->name[0] == '\0' || m->ifindex != 0)
			continue;
		ok = make(v, m) == 0;
		missing = missing || !ok;
		v->cb.lost(v->ctx, m->name, ok, ok ? "" : v->error);
	}
	if (!missing) {
		v->retry_ms = RETRY_MS;
		loop_timer_at(v->retry, MT_NEVER);
		return;
	}
	loop_timer_at(v->retry, mt_add_ms(loop_now(), v->retry_ms));
	if (v->retry_ms < RETRY_MAX_MS)
		v->retry_ms *= 2;
}

static void
on_retry(void *ctx, monotime_t now)
{
	(void)now;
	restore(ctx);
}

static int
on_mon(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct vrm *v = ctx;
	bool gone = false;
	int rounds = DRAIN_ROUNDS;
	uint16_t i;

	(void)src, (void)fd, (void)revents;
	while (rounds-- > 0 &&
	       (mnl_socket_recvfrom(v->mon, v->buf, BUF_SIZE) > 0 ||
		   errno == ENOBUFS || errno == ENOSPC))
		continue;
	/* The news is only that something is new: the truth is asked for. */
	for (i = 0; i < v->n; i++) {
		struct mac_if *m = &v->ifs[i];

		if (m->name[0] == '\0' || m->ifindex == 0 ||
		    if_nametoindex(m->name) == m->ifindex)
			continue;
		m->ifindex = 0;
		gone = true;
	}
	if (gone)
		restore(v);
	return 0;
}

static struct mac_if *
find(struct vrm *v, const char *name)
{
	uint16_t i;

	for (i = 0; i < v->n; i++)
		if (strcmp(v->ifs[i].name, name) == 0)
			return &v->ifs[i];
	return NULL;
}

int
vrm_add(struct vrm *v, const char *parent, const char *name,
    const uint8_t mac[6], uint8_t family)
{
	struct mac_if *m = find(v, name);
	int saved;

	ASSERT(name[0] != '\0' && (family == 4 || family == 6));
	if (m != NULL && m->ifindex != 0 && strcmp(m->parent, parent) == 0 &&
	    memcmp(m->mac, mac, 6) == 0 && m->family == family &&
	    if_nametoindex(name) == m->ifindex)
		return 0;
	if (m != NULL && vrm_del(v, name) < 0)
		return -1;
	m = find(v, "");
	if (m == NULL && v->n == VRM_MAX) {
		errno = E2BIG;
		return failed(v, name, "create");
	}
	if (m == NULL)
		m = &v->ifs[v->n++];
	memset(m, 0, sizeof(*m));
	strlcpy(m->name, name, sizeof(m->name));
	strlcpy(m->parent, parent, sizeof(m->parent));
	memcpy(m->mac, mac, 6);
	m->family = family;
	if (make(v, m) == 0)
		return 0;
	saved = errno;
	m->name[0] = '\0';
	errno = saved;
	return -1;
}

int
vrm_del(struct vrm *v, const char *name)
{
	struct mac_if *m = find(v, name);
	uint32_t ifindex;

	if (m == NULL)
		return 0;
	ifindex = m->ifindex;
	m->name[0] = '\0';
	if (ifindex == 0 || link_del(v, ifindex) == 0 || errno == ENODEV)
		return 0;
	return failed(v, name, "remove");
}

const char *
vrm_error(const struct vrm *v)
{
	return v->error;
}

static struct mnl_socket *
open_route(unsigned groups)
{
	struct mnl_socket *nl;

	nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (nl != NULL && mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(nl);
		return NULL;
	}
	return nl;
}

static int
setup(struct vrm *v, sd_event *event)
{
	int rcvbuf = RCVBUF, r;

	v->buf = malloc(BUF_SIZE);
	v->mon = open_route(RTMGRP_LINK);
	v->ask = open_route(0);
	if (v->buf == NULL || v->mon == NULL || v->ask == NULL)
		return -1;
	setsockopt(mnl_socket_get_fd(v->mon), SOL_SOCKET, SO_RCVBUFFORCE,
	    &rcvbuf, sizeof(rcvbuf));
	v->retry_ms = RETRY_MS;
	v->retry = loop_timer_new(event, on_retry, v);
	if (v->retry == NULL || remove_leftovers(v) < 0)
		return -1;
	r = sd_event_add_io(
	    event, &v->mon_src, mnl_socket_get_fd(v->mon), EPOLLIN, on_mon, v);
	if (r < 0)
		errno = -r;
	return r < 0 ? -1 : 0;
}

struct vrm *
vrm_new(sd_event *event, const struct vrm_cb *cb, void *ctx, char *err,
    size_t err_size)
{
	struct vrm *v = calloc(1, sizeof(*v));
	int saved;

	if (v != NULL) {
		v->cb = *cb;
		v->ctx = ctx;
		if (setup(v, event) == 0)
			return v;
	}
	saved = errno;
	snprintf(err, err_size, "virtual hardware addresses: rtnetlink: %s",
	    strerror(saved));
	vrm_free(v);
	errno = saved;
	return NULL;
}

void
vrm_free(struct vrm *v)
{
	uint16_t i;

	if (v == NULL)
		return;
	for (i = 0; i < v->n; i++)
		if (v->ifs[i].name[0] != '\0')
			vrm_del(v, v->ifs[i].name);
	loop_timer_free(v->retry);
	sd_event_source_disable_unref(v->mon_src);
	if (v->mon != NULL)
		mnl_socket_close(v->mon);
	if (v->ask != NULL)
		mnl_socket_close(v->ask);
	free(v->buf);
	free(v);
}
