/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses of interfaces, by rtnetlink.  See vip_addr.h.
 *
 * Two sockets: one asks and gets its answers at once (the kernel works while
 * the request is sent, so reading never waits), one listens.  What is
 * known about the kernel (places, links) only comes from what the second one
 * heard and from dumps; before a decision it is read until it is empty.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>

#include <bsd/string.h>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "vip_addr.h"

enum {
	PLACES = 4, /* where one address can be known to be at once */
	LINKS_MAX = 64 + HAD_ADDRESSES_MAX, /* each may have its own */
	BUF_SIZE = 32768,
	DRAIN_ROUNDS = 256, /* bounded work per wake-up */
	DUMP_TRIES = 5,
	RCVBUF = 4 * 1024 * 1024, /* all addresses may change at once */
};

struct place {
	uint32_t ifindex; /* 0: free */
	uint8_t prefix;
};

struct svc_addr {
	struct vip_addr_conf conf;
	uint16_t link; /* its home's index in links */
	struct place places[PLACES];
	bool wanted; /* added and not deleted by us since */
	bool told; /* stripped() was called for this absence */
};

struct watch {
	char name[16];
	uint32_t ifindex; /* 0: not there */
	bool up, known, changed;
	bool thinned; /* had removed an IPv4 address since the last tell */
};

struct vip_addr {
	struct vip_addr_cb cb;
	void *ctx; /* borrowed */
	struct mnl_socket *ask, *mon; /* owned */
	sd_event_source *mon_src, *defer_src; /* owned */
	uint32_t seq;
	char *buf; /* owned; BUF_SIZE */
	struct watch links[LINKS_MAX];
	uint16_t n_links;
	bool lost; /* the kernel dropped messages for us */
	uint16_t n;
	struct svc_addr addrs[]; /* n */
};

static size_t
addr_len(const struct vip_addr_conf *c)
{
	return c->family == 4 ? 4 : 16;
}

/* What the kernel knows about one address of an interface. */
static void
place_heard(struct svc_addr *a, uint32_t ifindex, uint8_t prefix, bool there)
{
	struct place *p, *empty = NULL;
	size_t i;

	for (i = 0; i < PLACES; i++) {
		p = &a->places[i];
		if (p->ifindex == 0 && empty == NULL)
			empty = p;
		if (p->ifindex == ifindex && p->prefix == prefix) {
			if (!there)
				p->ifindex = 0;
			return;
		}
	}
	/* More places than fit are found by the next dump, if need be. */
	if (there && empty != NULL)
		*empty = (struct place){ifindex, prefix};
}

static uint32_t
home(const struct vip_addr *va, const struct svc_addr *a)
{
	return a->link < va->n_links ? va->links[a->link].ifindex : 0;
}

static bool
at_home(const struct vip_addr *va, const struct svc_addr *a)
{
	uint32_t ifindex = home(va, a);
	size_t i;

	for (i = 0; ifindex != 0 && i < PLACES; i++)
		if (a->places[i].ifindex == ifindex &&
		    a->places[i].prefix == a->conf.prefix)
			return true;
	return false;
}

static void
heard_addr(struct vip_addr *va, const struct nlmsghdr *nlh)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct nlattr *attr, *addr = NULL;
	uint8_t family;
	uint16_t i;

	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*ifa))
		return;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
	{
		int type = mnl_attr_get_type(attr);

		/* On a point-to-point link IFA_ADDRESS is the peer's. */
		if (type == IFA_LOCAL || (type == IFA_ADDRESS && addr == NULL))
			addr = attr;
	}
	family = ifa->ifa_family == AF_INET    ? 4
		 : ifa->ifa_family == AF_INET6 ? 6
					       : 0;
	if (addr == NULL || family == 0)
		return;
	for (i = 0; i < va->n; i++) {
		struct svc_addr *a = &va->addrs[i];

		if (a->conf.family == family &&
		    mnl_attr_get_payload_len(addr) == addr_len(&a->conf) &&
		    memcmp(mnl_attr_get_payload(addr), a->conf.bytes,
			addr_len(&a->conf)) == 0)
			place_heard(a, ifa->ifa_index, ifa->ifa_prefixlen,
			    nlh->nlmsg_type == RTM_NEWADDR);
	}
}

static void
watch_set(struct watch *w, uint32_t ifindex, bool up)
{
	w->changed = w->changed || !w->known || w->up != up;
	w->known = true;
	w->ifindex = ifindex;
	w->up = up;
}

static void
heard_link(struct vip_addr *va, const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct nlattr *attr;
	const char *name = "";
	bool there = nlh->nlmsg_type == RTM_NEWLINK;
	uint32_t index;
	uint16_t i;

	/* A bridge tells of its ports in the same message, by family. */
	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*ifi) ||
	    ifi->ifi_family != AF_UNSPEC)
		return;
	mnl_attr_for_each(attr, nlh,
	    sizeof(*ifi)) if (mnl_attr_get_type(attr) == IFLA_IFNAME &&
			      mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
	    name = mnl_attr_get_str(attr);
	index = (uint32_t)ifi->ifi_index;
	for (i = 0; i < va->n_links; i++) {
		struct watch *w = &va->links[i];

		if (there && strcmp(w->name, name) == 0)
			watch_set(w, index,
			    (ifi->ifi_flags & IFF_UP) != 0 &&
				(ifi->ifi_flags & IFF_LOWER_UP) != 0);
		else if (w->known && w->ifindex == index)
			watch_set(w, 0, false); /* gone, or renamed */
	}
}

static int
heard(const struct nlmsghdr *nlh, void *data)
{
	struct vip_addr *va = data;

	switch (nlh->nlmsg_type) {
	case RTM_NEWADDR:
	case RTM_DELADDR:
		heard_addr(va, nlh);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		heard_link(va, nlh);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

/*
 * Sends a request.  What is left of an answer that was not read to its end
 * must not be taken for the next one.
 */
static int
request(struct vip_addr *va, struct nlmsghdr *nlh)
{
	char rest[4096];

	while (mnl_socket_recvfrom(va->ask, rest, sizeof(rest)) >= 0 ||
	       errno == ENOSPC || errno == ENOBUFS)
		continue;
	nlh->nlmsg_flags |= NLM_F_REQUEST;
	nlh->nlmsg_seq = ++va->seq;
	return mnl_socket_sendto(va->ask, nlh, nlh->nlmsg_len) < 0 ? -1 : 0;
}

/* Asks for everything of one kind. */
static int
dump_once(struct vip_addr *va, uint16_t type)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(va->buf);
	struct rtgenmsg *gen;
	uint32_t port = mnl_socket_get_portid(va->ask);
	ssize_t len;
	int r = MNL_CB_OK;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_DUMP;
	gen = mnl_nlmsg_put_extra_header(nlh, type == RTM_GETLINK
						  ? sizeof(struct ifinfomsg)
						  : sizeof(struct ifaddrmsg));
	gen->rtgen_family = AF_UNSPEC;
	if (request(va, nlh) < 0)
		return -1;
	while (r > MNL_CB_STOP) {
		len = mnl_socket_recvfrom(va->ask, va->buf, BUF_SIZE);
		if (len < 0)
			return -1;
		r = mnl_cb_run(va->buf, (size_t)len, va->seq, port, heard, va);
	}
	return r < 0 ? -1 : 0;
}

/* Again if something changed meanwhile: then the answer is inconsistent. */
static int
dump(struct vip_addr *va, uint16_t type)
{
	int tries = DUMP_TRIES, r;

	do
		r = dump_once(va, type);
	while (r < 0 && errno == EINTR && --tries > 0);
	return r;
}

/* Forgets what was known and asks anew. */
static int
relearn(struct vip_addr *va)
{
	uint16_t i;

	for (i = 0; i < va->n; i++)
		memset(va->addrs[i].places, 0, sizeof(va->addrs[i].places));
	for (i = 0; i < va->n_links; i++)
		va->links[i].ifindex = 0;
	if (dump(va, RTM_GETLINK) < 0 || dump(va, RTM_GETADDR) < 0)
		return -1;
	for (i = 0; i < va->n_links; i++)
		if (va->links[i].ifindex == 0)
			watch_set(&va->links[i], 0, false);
	va->lost = false;
	return 0;
}

/* Reads what the kernel has told; what was lost is asked for again. */
static void
drain(struct vip_addr *va)
{
	ssize_t len;
	int rounds = DRAIN_ROUNDS;

	while (rounds-- > 0) {
		len = mnl_socket_recvfrom(va->mon, va->buf, BUF_SIZE);
		if (len < 0 && (errno == ENOBUFS || errno == ENOSPC))
			va->lost = true;
		else if (len <= 0)
			break;
		else
			mnl_cb_run(va->buf, (size_t)len, 0, 0, heard, va);
	}
	if (va->lost)
		relearn(va);
}

/* Sends one request and reads its answer, which is there when it is sent. */
static int
ask(struct vip_addr *va, struct nlmsghdr *nlh)
{
	uint32_t port = mnl_socket_get_portid(va->ask);
	ssize_t len;

	nlh->nlmsg_flags |= NLM_F_ACK;
	if (request(va, nlh) < 0)
		return -1;
	len = mnl_socket_recvfrom(va->ask, va->buf, BUF_SIZE);
	if (len < 0)
		return -1;
	return mnl_cb_run(va->buf, (size_t)len, va->seq, port, NULL, NULL) < 0
		   ? -1
		   : 0;
}

static int
change(struct vip_addr *va, const struct svc_addr *a, uint16_t type,
    uint32_t ifindex, uint8_t prefix)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(va->buf);
	struct ifaddrmsg *ifa;
	uint32_t flags = 0;

	nlh->nlmsg_type = type;
	if (type == RTM_NEWADDR)
		nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = a->conf.family == 4 ? AF_INET : AF_INET6;
	ifa->ifa_prefixlen = prefix;
	ifa->ifa_scope = RT_SCOPE_UNIVERSE;
	ifa->ifa_index = ifindex;
	mnl_attr_put(nlh, IFA_LOCAL, addr_len(&a->conf), a->conf.bytes);
	mnl_attr_put(nlh, IFA_ADDRESS, addr_len(&a->conf), a->conf.bytes);
	if (type == RTM_NEWADDR && a->conf.family == 6) {
		/* Valid for ever, but never preferred as a source. */
		const struct ifa_cacheinfo ci = {.ifa_valid = UINT32_MAX};

		flags |= IFA_F_NODAD;
		mnl_attr_put(nlh, IFA_CACHEINFO, sizeof(ci), &ci);
	}
	/* For one that finds it and knows nothing of it: see vip_sweep.h. */
	if (type == RTM_NEWADDR)
		mnl_attr_put_u8(nlh, IFA_PROTO, VIP_ADDR_PROTO);
	/* The way to the segment is the interface below. */
	if (type == RTM_NEWADDR && a->conf.has_mac)
		flags |= IFA_F_NOPREFIXROUTE;
	if (flags != 0)
		mnl_attr_put_u32(nlh, IFA_FLAGS, flags);
	return ask(va, nlh);
}

/*
 * With the first IPv4 address of a subnet the kernel removes the others (unless
 * promote_secondaries is set).  What was lost by our own hand is put back.
 */
static bool
put_back(struct vip_addr *va, struct svc_addr *a)
{
	struct watch *w = &va->links[a->link];

	if (w->ifindex == 0 || !w->thinned || a->conf.family != 4 ||
	    change(va, a, RTM_NEWADDR, w->ifindex, a->conf.prefix) < 0)
		return false;
	place_heard(a, w->ifindex, a->conf.prefix, true);
	return true;
}

/* Tells the caller; only ever from the loop. */
static void
tell(struct vip_addr *va)
{
	uint16_t i;

	for (i = 0; i < va->n_links; i++) {
		struct watch *w = &va->links[i];

		if (!w->changed)
			continue;
		w->changed = false;
		va->cb.carrier(va->ctx, w->name, w->up);
	}
	for (i = 0; i < va->n; i++) {
		struct svc_addr *a = &va->addrs[i];
		bool gone = a->wanted && !at_home(va, a) && !put_back(va, a);

		if (gone && !a->told)
			va->cb.stripped(va->ctx, i);
		a->told = gone;
	}
	for (i = 0; i < va->n_links; i++)
		va->links[i].thinned = false;
}

static int
on_mon(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct vip_addr *va = ctx;

	(void)src, (void)fd, (void)revents;
	drain(va);
	tell(va);
	return 0;
}

static int
on_defer(sd_event_source *src, void *ctx)
{
	(void)src;
	drain(ctx);
	tell(ctx);
	return 0;
}

static void
thinned(struct vip_addr *va, uint32_t ifindex)
{
	uint16_t i;

	for (i = 0; i < va->n_links; i++)
		if (va->links[i].ifindex == ifindex)
			va->links[i].thinned = true;
}

/* Removes it where it is, except from one place.  Counts them. */
static int
remove_places(struct vip_addr *va, struct svc_addr *a, uint32_t keep)
{
	int removed = 0;
	size_t i;

	for (i = 0; i < PLACES; i++) {
		struct place p = a->places[i];

		if (p.ifindex == 0 ||
		    (p.ifindex == keep && p.prefix == a->conf.prefix))
			continue;
		if (change(va, a, RTM_DELADDR, p.ifindex, p.prefix) == 0) {
			removed++;
			thinned(va, p.ifindex);
		} else if (errno != EADDRNOTAVAIL && errno != ENODEV)
			return -1;
		a->places[i].ifindex = 0;
	}
	return removed;
}

int
vip_addr_add(struct vip_addr *va, uint16_t id)
{
	struct svc_addr *a;
	uint32_t ifindex;

	ASSERT(id < va->n);
	a = &va->addrs[id];
	drain(va);
	ifindex = home(va, a);
	if (ifindex == 0) {
		errno = ENODEV;
		return -1;
	}
	if (remove_places(va, a, ifindex) < 0 ||
	    change(va, a, RTM_NEWADDR, ifindex, a->conf.prefix) < 0)
		return -1;
	place_heard(a, ifindex, a->conf.prefix, true);
	a->wanted = true;
	a->told = false;
	return 0;
}

int
vip_addr_del(struct vip_addr *va, uint16_t id)
{
	struct svc_addr *a;
	int all = 0, r;

	ASSERT(id < va->n);
	a = &va->addrs[id];
	a->wanted = false;
	drain(va);
	/* More places than can be known at once take more rounds. */
	while ((r = remove_places(va, a, 0)) > 0) {
		all += r;
		if (r < PLACES)
			break;
		if (relearn(va) < 0)
			return -1;
	}
	return r < 0 ? -1 : all;
}

bool
vip_addr_present(const struct vip_addr *va, uint16_t id)
{
	ASSERT(id < va->n);
	return at_home(va, &va->addrs[id]);
}

bool
vip_addr_carrier(const struct vip_addr *va, const char *ifname)
{
	uint16_t i;

	for (i = 0; i < va->n_links; i++)
		if (strcmp(va->links[i].name, ifname) == 0)
			return va->links[i].up;
	return false;
}

/* Its index in links, or -1. */
static int
watch_add(struct vip_addr *va, const char *name)
{
	uint16_t i;

	for (i = 0; i < va->n_links; i++)
		if (strcmp(va->links[i].name, name) == 0)
			return i;
	if (va->n_links == LINKS_MAX) {
		errno = E2BIG;
		return -1;
	}
	strlcpy(va->links[va->n_links++].name, name, sizeof(va->links[0].name));
	return i;
}

static struct mnl_socket *
open_route(unsigned groups, int flags)
{
	struct mnl_socket *nl;

	nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);
	if (nl != NULL && mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(nl);
		return NULL;
	}
	return nl;
}

static int
setup(struct vip_addr *va, sd_event *event)
{
	int r, rcvbuf = RCVBUF;

	/* Listen first, then ask: nothing falls between. */
	va->mon =
	    open_route(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
		SOCK_NONBLOCK);
	if (va->mon != NULL)
		setsockopt(mnl_socket_get_fd(va->mon), SOL_SOCKET,
		    SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf));
	va->ask = open_route(0, SOCK_NONBLOCK);
	va->buf = malloc(BUF_SIZE);
	if (va->mon == NULL || va->ask == NULL || va->buf == NULL ||
	    relearn(va) < 0)
		return -1;
	r = sd_event_add_io(event, &va->mon_src, mnl_socket_get_fd(va->mon),
	    EPOLLIN, on_mon, va);
	if (r >= 0)
		r = sd_event_add_defer(event, &va->defer_src, on_defer, va);
	if (r < 0) {
		errno = -r;
		return -1;
	}
	return 0;
}

struct vip_addr *
vip_addr_new(sd_event *event, const struct vip_addr_conf *addrs, uint16_t n,
    const char (*watch)[16], uint16_t n_watch, const struct vip_addr_cb *cb,
    void *ctx, char *err, size_t err_size)
{
	struct vip_addr *va;
	uint16_t i;
	int r = 0, saved;

	ASSERT(n <= HAD_ADDRESSES_MAX);
	va = calloc(1, sizeof(*va) + n * sizeof(va->addrs[0]));
	if (va == NULL) {
		snprintf(err, err_size, "addresses: %s", strerror(errno));
		return NULL;
	}
	va->cb = *cb;
	va->ctx = ctx;
	va->n = n;
	for (i = 0; i < n && r >= 0; i++) {
		va->addrs[i].conf = addrs[i];
		va->addrs[i].link = LINKS_MAX;
		if (addrs[i].family == 0)
			continue;
		r = watch_add(va, addrs[i].ifname);
		va->addrs[i].link = (uint16_t)r;
	}
	for (i = 0; i < n_watch && r >= 0; i++)
		r = watch_add(va, watch[i]);
	if (r >= 0 && setup(va, event) == 0)
		return va;
	saved = errno;
	snprintf(err, err_size, "addresses: rtnetlink: %s", strerror(saved));
	vip_addr_free(va);
	errno = saved;
	return NULL;
}

void
vip_addr_adopt(struct vip_addr *va, const struct vip_addr *old)
{
	uint16_t i, k;

	for (i = 0; i < va->n && i < old->n; i++) {
		va->addrs[i].wanted = old->addrs[i].wanted;
		va->addrs[i].told = old->addrs[i].told;
	}
	for (i = 0; i < va->n_links; i++)
		for (k = 0; k < old->n_links; k++)
			if (strcmp(va->links[i].name, old->links[k].name) == 0)
				va->links[i].thinned = old->links[k].thinned;
}

void
vip_addr_free(struct vip_addr *va)
{
	if (va == NULL)
		return;
	sd_event_source_disable_unref(va->mon_src);
	sd_event_source_disable_unref(va->defer_src);
	if (va->mon != NULL)
		mnl_socket_close(va->mon);
	if (va->ask != NULL)
		mnl_socket_close(va->ask);
	free(va->buf);
	free(va);
}
