/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is there another had?  See vip_guard_claim.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>

#include "vip_guard_claim.h"
#include "vip_guard_msg.h"

struct vip_guard_claim {
	struct mnl_socket *nl; /* owned; owns the tables */
};

static int
claim(struct mnl_socket *nl, const char **what)
{
	struct vip_batch b;
	int r = -1;

	*what = "netlink socket";
	if (nl == NULL || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -1;
	*what = "memory";
	if (vip_batch_init(&b, VIP_GUARD_SERVICE) == 0) {
		vip_batch_begin(&b);
		for (int c = VIP_GUARD_SERVICE; c <= VIP_GUARD_SHARE; c++)
			vg_put_table(&b, NFT_MSG_NEWTABLE,
			    vip_guard_names[c].lease, NFT_TABLE_F_OWNER,
			    vip_guard_names[c].lease_what);
		r = vip_batch_send(&b, nl, what);
	}
	vip_batch_release(&b);
	return r;
}

struct vip_guard_claim *
vip_guard_claim(char *err, size_t size)
{
	struct vip_guard_claim *c = calloc(1, sizeof(*c));
	const char *what = "memory";

	if (c != NULL) {
		c->nl = mnl_socket_open2(
		    NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (claim(c->nl, &what) == 0)
			return c;
	}
	snprintf(err, size, "%s: %s", what, strerror(errno));
	vip_guard_unclaim(c);
	return NULL;
}

void
vip_guard_unclaim(struct vip_guard_claim *c)
{
	if (c == NULL)
		return;
	if (c->nl != NULL)
		mnl_socket_close(c->nl);
	free(c);
}
