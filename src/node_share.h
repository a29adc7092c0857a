/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared addresses inside the node.
 *
 * The core of the shares decides which clients this node serves; a third core
 * of addresses, with a guard and a lease of its own, holds them.  Both nodes
 * have the addresses on their interfaces all the time.
 */
#ifndef NODE_SHARE_H
#define NODE_SHARE_H

#include "node_int.h"
#include "share.h"

struct nd_share {
	struct share *core; /* owned */
	struct vip *vip; /* owned; the shared addresses */
	struct share_view view; /* as told last */
	bool viewed;
	monotime_t core_at, vip_at;
	monotime_t take_at; /* next try to take what could not be taken */
	bool stopping; /* asked to end */
	bool given_up; /* nothing is served any more */
	unsigned releasing; /* addresses still to answer */
	bool stopped; /* all are off the interfaces */
};

#endif
