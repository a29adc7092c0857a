/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses that an earlier had left behind.  See vip_sweep.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "vip_sweep.h"

enum { BUF_SIZE = 32768, DUMP_TRIES = 5 };

struct find {
	const struct vip_addr_conf *addrs; /* borrowed */
	uint16_t n;
	struct vip_swept *list; /* borrowed */
	size_t size, found;
};

struct removal {
	const struct vip_swept *list; /* borrowed */
	size_t n;
};

static size_t
len_of(uint8_t family)
{
	return family == 4 ? 4 : 16;
}

static bool
configured(const struct find *f, const struct vip_swept *a)
{
	for (uint16_t i = 0; i < f->n; i++)
		if (f->addrs[i].family == a->family &&
		    memcmp(f->addrs[i].bytes, a->bytes, len_of(a->family)) == 0)
			return true;
	return false;
}

/* One of had's, and which. */
static bool
is_ours(const struct nlmsghdr *nlh, struct vip_swept *a)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct nlattr *attr, *addr = NULL;
	bool ours = false;

	if (nlh->nlmsg_type != RTM_NEWADDR ||
	    nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*ifa) ||
	    (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
		return false;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
	{
		uint16_t type = mnl_attr_get_type(attr);

		if (type == IFA_LOCAL || (type == IFA_ADDRESS && addr == NULL))
			addr = attr;
		else if (type == IFA_PROTO &&
			 mnl_attr_get_payload_len(attr) == 1)
			ours = mnl_attr_get_u8(attr) == VIP_ADDR_PROTO;
	}
	memset(a, 0, sizeof(*a));
	a->family = ifa->ifa_family == AF_INET ? 4 : 6;
	a->prefix = ifa->ifa_prefixlen;
	a->ifindex = ifa->ifa_index;
	if (!ours || addr == NULL ||
	    mnl_attr_get_payload_len(addr) != len_of(a->family))
		return false;
	memcpy(a->bytes, mnl_attr_get_payload(addr), len_of(a->family));
	return true;
}

static int
heard(const struct nlmsghdr *nlh, void *data)
{
	struct find *f = data;
	struct vip_swept a;

	if (f->found < f->size && is_ours(nlh, &a) && !configured(f, &a))
		f->list[f->found++] = a;
	return MNL_CB_OK;
}

static int
talk(struct mnl_socket *nl, struct nlmsghdr *nlh, char *buf, mnl_cb_t cb,
    void *data)
{
	uint32_t port = mnl_socket_get_portid(nl);
	unsigned seq = nlh->nlmsg_seq;
	int r = MNL_CB_OK;

	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -1;
	while (r > MNL_CB_STOP) {
		ssize_t len = mnl_socket_recvfrom(nl, buf, BUF_SIZE);

		if (len < 0)
			return -1;
		r = mnl_cb_run(buf, (size_t)len, seq, port, cb, data);
	}
	return r;
}

static int
find(struct mnl_socket *nl, char *buf, void *arg)
{
	struct find *f = arg;
	int r = -1;

	/* Again if something changed meanwhile. */
	for (unsigned i = 1; i <= DUMP_TRIES && r < 0; i++) {
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

		nlh->nlmsg_type = RTM_GETADDR;
		nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		nlh->nlmsg_seq = i;
		mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifaddrmsg));
		f->found = 0;
		r = talk(nl, nlh, buf, heard, f);
		if (r < 0 && errno != EINTR)
			break;
	}
	return r;
}

static int
remove_one(struct mnl_socket *nl, char *buf, const struct vip_swept *a)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *ifa;

	nlh->nlmsg_type = RTM_DELADDR;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = DUMP_TRIES + 1;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = a->family == 4 ? AF_INET : AF_INET6;
	ifa->ifa_prefixlen = a->prefix;
	ifa->ifa_index = a->ifindex;
	mnl_attr_put(nlh, IFA_LOCAL, len_of(a->family), a->bytes);
	mnl_attr_put(nlh, IFA_ADDRESS, len_of(a->family), a->bytes);
	if (talk(nl, nlh, buf, NULL, NULL) >= 0 || errno == EADDRNOTAVAIL ||
	    errno == ENODEV)
		return 0;
	return -1;
}

static int
remove_all(struct mnl_socket *nl, char *buf, void *arg)
{
	const struct removal *r = arg;

	for (size_t i = 0; i < r->n; i++)
		if (remove_one(nl, buf, &r->list[i]) < 0)
			return -1;
	return 0;
}

/* The one thing to do with a socket. */
static int
with_socket(int (*fn)(struct mnl_socket *, char *, void *), void *arg)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char *buf = malloc(BUF_SIZE);
	int r = -1, saved;

	if (nl != NULL && buf != NULL &&
	    mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0)
		r = fn(nl, buf, arg);
	saved = errno;
	if (nl != NULL)
		mnl_socket_close(nl);
	free(buf);
	errno = saved;
	return r;
}

int
vip_sweep_find(const struct vip_addr_conf *addrs, uint16_t n,
    struct vip_swept *found, size_t size)
{
	struct find f = {.addrs = addrs, .n = n, .list = found, .size = size};

	ASSERT(size > 0);
	return with_socket(find, &f) < 0 ? -1 : (int)f.found;
}

int
vip_sweep(const struct vip_swept *list, size_t n)
{
	struct removal r = {list, n};

	return with_socket(remove_all, &r);
}
