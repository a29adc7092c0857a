/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A LAN in pieces: the decision.  See vr_split.h.
 *
 * "heard" is by the peer's word over the other path.  The first row that fits
 * decides; "-" is any.
 *
 *	  peer    LAN       other conditions                    verdict
 *	          own peer
 *	ACTIVE
 *	 1 not alive  -  -  -                                   PLAIN
 *	 2 alive     no yes peer holds or is able                YIELD
 *	 3 alive    yes  no -                                   PLAIN
 *	 4 alive      equal peer holds and is better             YIELD
 *	 5 alive      equal peer wants and is better             YIELD
 *	 6 alive      -  -  -                                   PLAIN
 *	BACKUP
 *	 7 unknown    -  -  -                                   PLAIN
 *	 8 -          -  -  a third is master, not timed out    PLAIN
 *	 9 dead       -  -  the peer was the master             TAKE
 *	10 dead       -  -  -                                   PLAIN
 *	11 alive    yes  no peer holds                          TAKE
 *	12 alive      -  -  peer holds                          WAIT
 *	13 alive      -  -  peer hears a third as master which
 *	                    this node would not preempt         WAIT
 *	14 alive     no yes peer is able                        WAIT
 *	15 alive      -  -  the peer was the master             TAKE
 *	16 alive      -  -  not timed out; peer wants, this
 *	                    node is better                      TAKE
 *	17 alive      -  -  not timed out                       PLAIN
 *	18 alive    yes  no -                                   TAKE
 *	19 alive      -  -  peer is not able                    TAKE
 *	20 alive      -  -  this node is better                 TAKE
 *	21 alive      -  -  it waited for the peer once         TAKE
 *	22 alive      -  -  -                                   WAIT
 *
 * Never two: while the peer holds, lives and reaches the LAN, a timeout means
 * that adverts are lost one way (12); of two that hold, one yields (2, 4).
 * Preemption goes by asking (5).  Never none: who was told that the master is
 * gone takes at once (9, 11, 15); of two that wait, the better one takes (20),
 * even if only the other has timed out yet, which then wants it (16); the
 * other waits no longer than once (21).  WAIT before the timeout changes
 * nothing.
 */
#include "vr_split.h"

static enum vr_verdict
split_active(const struct vr_split *s, const char **why)
{
	if (s->life != VR_PEER_ALIVE)
		return VR_PLAIN;
	if (!s->own_lan && s->peer_lan && (s->peer_holds || s->peer_able)) {
		*why = "the peer reaches the LAN, this node does not";
		return VR_YIELD;
	}
	if (s->own_lan != s->peer_lan || s->better)
		return VR_PLAIN;
	if (s->peer_holds) {
		*why = "the peer is active, too, and better";
		return VR_YIELD;
	}
	if (s->peer_wants) {
		*why = "handed over to the peer, which is better";
		return VR_YIELD;
	}
	return VR_PLAIN;
}

/* Nobody of the two holds, and the master is silent. */
static enum vr_verdict
split_none_holds(const struct vr_split *s, const char **why)
{
	if (s->own_lan && !s->peer_lan) {
		*why = "this node reaches the LAN, the peer does not";
		return VR_TAKE;
	}
	if (!s->peer_able) {
		*why = "the peer is not able to";
		return VR_TAKE;
	}
	if (s->better) {
		*why = "no master, and this node is better than its peer";
		return VR_TAKE;
	}
	if (s->waited) {
		*why = "no master, and the better peer did not take";
		return VR_TAKE;
	}
	*why = "the peer is better, and may take";
	return VR_WAIT;
}

static enum vr_verdict
split_alive(const struct vr_split *s, const char **why)
{
	if (s->peer_holds) {
		if (s->own_lan && !s->peer_lan) {
			*why = "the peer lost the LAN";
			return VR_TAKE;
		}
		*why = "the peer says that it is active and reaches the LAN";
		return VR_WAIT;
	}
	if (s->peer_third && !s->beats_third) {
		*why = "the peer hears another master";
		return VR_WAIT;
	}
	if (!s->own_lan && s->peer_lan && s->peer_able) {
		*why = "the peer reaches the LAN, this node does not";
		return VR_WAIT;
	}
	if (s->peer_was) {
		*why = "the peer gave it up";
		return VR_TAKE;
	}
	if (!s->timed_out && s->peer_wants && s->better) {
		*why = "the peer waits for this node, which is better";
		return VR_TAKE;
	}
	if (!s->timed_out)
		return VR_PLAIN;
	return split_none_holds(s, why);
}

enum vr_verdict
vr_split(const struct vr_split *s, const char **why)
{
	*why = "";
	if (s->active)
		return split_active(s, why);
	if (s->life == VR_PEER_UNKNOWN || (s->third && !s->timed_out))
		return VR_PLAIN;
	if (s->life == VR_PEER_ALIVE)
		return split_alive(s, why);
	ASSERT(s->life == VR_PEER_DEAD);
	if (!s->peer_was)
		return VR_PLAIN;
	*why = "the peer is dead";
	return VR_TAKE;
}
