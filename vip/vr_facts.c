/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What rtnetlink says about the interfaces of virtual routers.  See vr_sock.h.
 *
 * A notice only says what has to be asked again: links, or addresses.  The
 * answer of a dump is in the kernel's order, in which the first address is
 * the primary one.  Notices about service addresses ask nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <net/if_arp.h>

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "loop.h"
#include "vr_sock_int.h"

enum {
	BUF_SIZE = 32768,
	DRAIN_ROUNDS = 256, /* bounded work per wake-up */
	DUMP_TRIES = 5,
	RETRY_MS = 1000,
	RCVBUF = 4 * 1024 * 1024,
	OPER_UNKNOWN = 0, /* operstates, RFC 2863 */
	OPER_UP = 6,
};

static bool
is_own(const struct vrs *v, uint8_t family, const uint8_t *bytes)
{
	uint16_t i;

	for (i = 0; i < v->n_own; i++)
		if (v->own[i].family == family &&
		    memcmp(v->own[i].bytes, bytes, family == 4 ? 4 : 16) == 0)
			return true;
	return false;
}

/* fe80::200:5eff:fe00:1xx and 2xx: made from a virtual hardware address. */
static bool
is_virtual(const uint8_t *b)
{
	static const uint8_t made[6] = {0x02, 0x00, 0x5e, 0xff, 0xfe, 0x00};

	return memcmp(b + 8, made, 6) == 0 && (b[14] == 1 || b[14] == 2);
}

struct addr_msg {
	uint8_t family;
	uint32_t ifindex, flags;
	uint8_t scope;
	const uint8_t *bytes; /* lent by the message */
};

static bool
addr_parse(const struct nlmsghdr *nlh, struct addr_msg *a)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct nlattr *attr, *addr = NULL;

	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*ifa))
		return false;
	a->family = ifa->ifa_family == AF_INET ? 4 : 6;
	a->ifindex = ifa->ifa_index;
	a->flags = ifa->ifa_flags;
	a->scope = ifa->ifa_scope;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
	{
		int type = mnl_attr_get_type(attr);

		/* On a point-to-point link IFA_ADDRESS is the peer's. */
		if (type == IFA_LOCAL || (type == IFA_ADDRESS && addr == NULL))
			addr = attr;
		else if (type == IFA_FLAGS &&
			 mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			a->flags = mnl_attr_get_u32(attr);
	}
	if ((ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6) ||
	    addr == NULL ||
	    mnl_attr_get_payload_len(addr) != (a->family == 4 ? 4 : 16))
		return false;
	a->bytes = mnl_attr_get_payload(addr);
	return true;
}

/* Does it matter to us?  What does not need not be asked for. */
static bool
addr_matters(const struct vrs *v, const struct addr_msg *a)
{
	return !is_own(v, a->family, a->bytes) &&
	       (a->family == 4
		       ? a->scope == RT_SCOPE_UNIVERSE
		       : a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80 &&
			     !is_virtual(a->bytes));
}

static struct iface *
by_index(struct vrs *v, uint32_t ifindex)
{
	uint16_t i;

	for (i = 0; ifindex != 0 && i < v->n_ifs; i++)
		if (v->ifs[i].facts.ifindex == ifindex)
			return &v->ifs[i];
	return NULL;
}

/* One of a dump: the first one that will do is kept. */
static int
on_addr(const struct nlmsghdr *nlh, void *ctx)
{
	struct vrs *v = ctx;
	struct addr_msg a;
	struct iface *f;

	if (nlh->nlmsg_type != RTM_NEWADDR || !addr_parse(nlh, &a) ||
	    !addr_matters(v, &a) || (f = by_index(v, a.ifindex)) == NULL)
		return MNL_CB_OK;
	if (a.family == 4 && !f->facts.has4) {
		f->facts.has4 = true;
		memcpy(f->facts.addr4, a.bytes, 4);
	} else if (a.family == 6 && !f->facts.has6 &&
		   (a.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) == 0) {
		f->facts.has6 = true;
		memcpy(f->facts.addr6, a.bytes, 16);
	}
	return MNL_CB_OK;
}

static void
link_attrs(const struct nlmsghdr *nlh, struct vrs_iface *n, char name[16])
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	uint8_t oper = OPER_UNKNOWN;
	struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(*ifi))
	{
		const void *data = mnl_attr_get_payload(attr);
		size_t len = mnl_attr_get_payload_len(attr);

		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			if (len > 0 && len <= 16)
				memcpy(name, data, len);
			break;
		case IFLA_ADDRESS:
			n->has_mac = len == 6 && ifi->ifi_type == ARPHRD_ETHER;
			if (n->has_mac)
				memcpy(n->mac, data, 6);
			break;
		case IFLA_MTU:
			if (len == 4)
				memcpy(&n->mtu, data, 4);
			break;
		case IFLA_OPERSTATE:
			if (len == 1)
				memcpy(&oper, data, 1);
			break;
		default:
			break;
		}
	}
	n->carrier = (ifi->ifi_flags & IFF_UP) != 0 &&
		     (ifi->ifi_flags & IFF_LOWER_UP) != 0 &&
		     (oper == OPER_UP || oper == OPER_UNKNOWN);
}

static int
on_link(const struct nlmsghdr *nlh, void *ctx)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct vrs_iface n;
	struct vrs *v = ctx;
	char name[16] = "";
	uint16_t i;

	if (nlh->nlmsg_type != RTM_NEWLINK ||
	    nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*ifi))
		return MNL_CB_OK;
	/* Compared as memory later on. */
	memset(&n, 0, sizeof(n));
	n.exists = true;
	link_attrs(nlh, &n, name);
	n.ifindex = (uint32_t)ifi->ifi_index;
	n.up = (ifi->ifi_flags & IFF_UP) != 0;
	for (i = 0; i < v->n_ifs; i++)
		if (strncmp(v->ifs[i].conf.name, name, sizeof(name)) == 0) {
			memcpy(n.addr4, v->ifs[i].facts.addr4, 4);
			memcpy(n.addr6, v->ifs[i].facts.addr6, 16);
			n.has4 = v->ifs[i].facts.has4;
			n.has6 = v->ifs[i].facts.has6;
			memcpy(&v->ifs[i].facts, &n, sizeof(n));
		}
	return MNL_CB_OK;
}

static int
dump_once(struct vrs *v, uint16_t type, mnl_cb_t cb)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(v->buf);
	uint32_t port = mnl_socket_get_portid(v->ask);
	int r = MNL_CB_OK;
	ssize_t len;

	/* What is left of one that failed. */
	while (mnl_socket_recvfrom(v->ask, v->buf, BUF_SIZE) >= 0 ||
	       errno == ENOSPC || errno == ENOBUFS)
		continue;
	nlh = mnl_nlmsg_put_header(v->buf);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = ++v->seq;
	mnl_nlmsg_put_extra_header(nlh, type == RTM_GETLINK
					    ? sizeof(struct ifinfomsg)
					    : sizeof(struct ifaddrmsg));
	if (mnl_socket_sendto(v->ask, nlh, nlh->nlmsg_len) < 0)
		return -1;
	while (r > MNL_CB_STOP) {
		len = mnl_socket_recvfrom(v->ask, v->buf, BUF_SIZE);
		if (len < 0)
			return -1;
		r = mnl_cb_run(v->buf, (size_t)len, v->seq, port, cb, v);
	}
	return r < 0 ? -1 : 0;
}

/* Again if something changed meanwhile: then the answer is inconsistent. */
static int
ask_links(struct vrs *v)
{
	int tries = DUMP_TRIES, r;
	uint16_t i;

	do {
		for (i = 0; i < v->n_ifs; i++) {
			struct vrs_iface *f = &v->ifs[i].facts;

			f->exists = f->up = f->carrier = f->has_mac = false;
			f->ifindex = f->mtu = 0;
			memset(f->mac, 0, sizeof(f->mac));
		}
		r = dump_once(v, RTM_GETLINK, on_link);
	} while (r < 0 && errno == EINTR && --tries > 0);
	v->links_stale = r < 0;
	return r;
}

static int
ask_addrs(struct vrs *v)
{
	int tries = DUMP_TRIES, r;
	uint16_t i;

	do {
		for (i = 0; i < v->n_ifs; i++) {
			struct vrs_iface *f = &v->ifs[i].facts;

			f->has4 = f->has6 = false;
			memset(f->addr4, 0, sizeof(f->addr4));
			memset(f->addr6, 0, sizeof(f->addr6));
		}
		r = dump_once(v, RTM_GETADDR, on_addr);
	} while (r < 0 && errno == EINTR && --tries > 0);
	v->addrs_stale = r < 0;
	return r;
}

/* What is stale is asked for; ears follow their interfaces. */
static int
refresh(struct vrs *v)
{
	bool links = v->links_stale;
	uint16_t i;
	int r = 0;

	if (links)
		r = ask_links(v);
	if (v->addrs_stale || links)
		r = ask_addrs(v) < 0 ? -1 : r;
	for (i = 0; links && i < v->n_ifs; i++)
		if (vrs_bind(v, i) < 0)
			v->links_stale = true;
	if (v->links_stale || v->addrs_stale)
		loop_timer_at(v->retry, mt_add_ms(loop_now(), RETRY_MS));
	return r;
}

/* Tells the caller; only ever from the loop. */
static void
tell(struct vrs *v)
{
	uint16_t i;

	for (i = 0; i < v->n_ifs; i++) {
		struct iface *f = &v->ifs[i];

		if (f->was_told &&
		    memcmp(&f->told, &f->facts, sizeof(f->told)) == 0)
			continue;
		f->was_told = true;
		memcpy(&f->told, &f->facts, sizeof(f->told));
		v->cb.iface(v->ctx, i, &f->told);
	}
}

/* Is a notice about a link that we use, or could use? */
static bool
link_matters(struct vrs *v, const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct vrs_iface n = {0};
	char name[16] = "";
	uint16_t i;

	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*ifi))
		return false;
	if (by_index(v, (uint32_t)ifi->ifi_index) != NULL)
		return true;
	link_attrs(nlh, &n, name);
	for (i = 0; i < v->n_ifs; i++)
		if (strncmp(v->ifs[i].conf.name, name, sizeof(name)) == 0)
			return true;
	return false;
}

static int
on_notice(const struct nlmsghdr *nlh, void *ctx)
{
	struct vrs *v = ctx;
	struct addr_msg a;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		v->links_stale = v->links_stale || link_matters(v, nlh);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		if (addr_parse(nlh, &a) && addr_matters(v, &a) &&
		    by_index(v, a.ifindex) != NULL)
			v->addrs_stale = true;
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int
on_mon(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct vrs *v = ctx;
	int rounds = DRAIN_ROUNDS;
	ssize_t len;

	(void)src, (void)fd, (void)revents;
	while (rounds-- > 0) {
		len = mnl_socket_recvfrom(v->mon, v->buf, BUF_SIZE);
		if (len < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
			v->stats.overruns++;
			v->links_stale = v->addrs_stale = true;
		} else if (len <= 0)
			break;
		else
			mnl_cb_run(v->buf, (size_t)len, 0, 0, on_notice, v);
	}
	refresh(v);
	tell(v);
	return 0;
}

static void
on_retry(void *ctx, monotime_t now)
{
	(void)now;
	refresh(ctx);
	tell(ctx);
}

static int
on_defer(sd_event_source *src, void *ctx)
{
	(void)src;
	tell(ctx);
	return 0;
}

static struct mnl_socket *
open_route(unsigned groups)
{
	struct mnl_socket *nl;
	int size = RCVBUF;

	nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (nl != NULL && mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(nl);
		return NULL;
	}
	if (nl != NULL)
		setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE,
		    &size, sizeof(size));
	return nl;
}

int
vrs_facts_open(struct vrs *v)
{
	int r;

	/* Listen first, then ask: nothing falls between. */
	v->mon =
	    open_route(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
	v->ask = open_route(0);
	v->buf = malloc(BUF_SIZE);
	v->links_stale = v->addrs_stale = true;
	v->retry = loop_timer_new(v->event, on_retry, v);
	if (v->mon == NULL || v->ask == NULL || v->buf == NULL ||
	    v->retry == NULL || refresh(v) < 0)
		return -1;
	r = sd_event_add_io(v->event, &v->mon_src, mnl_socket_get_fd(v->mon),
	    EPOLLIN, on_mon, v);
	if (r >= 0)
		r = sd_event_source_set_priority(v->mon_src, LOOP_CONTROL);
	if (r >= 0)
		r = sd_event_add_defer(v->event, &v->defer_src, on_defer, v);
	if (r < 0)
		errno = -r;
	return r < 0 ? -1 : 0;
}

void
vrs_facts_close(struct vrs *v)
{
	sd_event_source_disable_unref(v->mon_src);
	sd_event_source_disable_unref(v->defer_src);
	loop_timer_free(v->retry);
	if (v->mon != NULL)
		mnl_socket_close(v->mon);
	if (v->ask != NULL)
		mnl_socket_close(v->ask);
	free(v->buf);
}
