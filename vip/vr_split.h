/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A LAN in pieces: two nodes that are peers over another path, too, tell one
 * another what they hold and what they hear, and decide by that, where adverts
 * alone would make two masters, or wait for nothing.
 */
#ifndef VR_SPLIT_H
#define VR_SPLIT_H

#include "vr.h"

struct vr_split {
	bool active; /* this node is ACTIVE; else BACKUP */
	bool timed_out; /* BACKUP: the master is silent, or worse */
	bool third; /* another than the peer is heard as master */
	bool beats_third; /* and it is worse, and would be preempted */
	bool peer_was; /* the last known master was the peer */
	bool waited; /* one timeout was waited for a better peer already */
	bool better; /* than the peer: priority, then address */
	enum vr_life life;
	bool own_lan, peer_lan;
	bool peer_holds, peer_able, peer_wants, peer_third;
};

enum vr_verdict {
	VR_PLAIN, /* the protocol alone decides */
	VR_TAKE, /* now */
	VR_WAIT, /* not even though it timed out */
	VR_YIELD, /* give it up now */
};

/* why: static text. */
enum vr_verdict vr_split(const struct vr_split *, const char **why);

#endif
