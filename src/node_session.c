/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions.  Volumes and locks need all messages of a peer, in order, from a
 * common beginning; associations break, peers are given up and met again,
 * and a message of the time before must not count after it.
 *
 *	OPEN(mine, 0)       ->		I do not know yours yet
 *			    <-	OPEN(theirs, mine)
 *	OPEN(mine, theirs)  ->		both are up
 *
 * A side is up once it has received its own nonce back; it had sent its OPEN
 * before anything of the session, on the same ordered stream, so the other
 * side is up before it sees the first message.  Messages carry both nonces;
 * those of another session are dropped.  A side that gives up takes a new
 * nonce.
 */
#include "node_int.h"

enum { OPEN_LEN = 4 };

uint32_t
nd_session_tx(const struct nd_session *s)
{
	return (uint32_t)s->mine << 16 | s->theirs;
}

uint32_t
nd_session_rx(const struct nd_session *s)
{
	return (uint32_t)s->theirs << 16 | s->mine;
}

/*
 * Another one than before: the same again would not end the session that the
 * peer knows.
 */
static uint16_t
nonce(struct nd *nd, uint16_t before)
{
	uint16_t n;

	do {
		nd->seed ^= nd->seed << 13;
		nd->seed ^= nd->seed >> 7;
		nd->seed ^= nd->seed << 17;
		n = (uint16_t)(nd->seed >> 32);
	} while (n == 0 || n == before);
	return n;
}

static void
send_open(struct nd *nd, struct nd_peer *p, bool bulk)
{
	struct nd_session *s = bulk ? &p->bulk : &p->ctl;
	uint8_t bytes[OPEN_LEN];
	struct nd_buf buf = {bytes, sizeof(bytes)};

	put_u16(bytes, s->mine);
	put_u16(bytes + 2, s->theirs);
	nd_net_send(nd, p, WIRE_OPEN, bulk, 0, &buf, 1);
}

static void
set_up(struct nd *nd, struct nd_peer *p, bool bulk, bool up)
{
	struct nd_session *s = bulk ? &p->bulk : &p->ctl;

	if (s->up == up)
		return;
	s->up = up;
	if (bulk) {
		nd_mir_peer(nd, p, up);
	} else if (up) {
		struct nd_inner *in = nd_inner_put(nd, ND_IN_LOCK);

		in->u.lock.type = LK_EV_RESYNC;
		in->u.lock.u.resync.peer = p->id;
	}
}

/* May a session with this peer exist? */
static bool
willing(const struct nd *nd, const struct nd_peer *p, bool bulk)
{
	if (bulk ? !p->bulk_up : !p->ctl_up)
		return false;
	/* A lock granted before the doubt must not be taken after it. */
	if (nd->state == MB_DOUBT && !bulk)
		return false;
	if (nd->state != MB_PAIRED && nd->state != MB_DOUBT &&
	    nd->state != MB_STOPPING && nd->state != MB_ISOLATED)
		return false;
	return p->verdict == MB_PEER_ALIVE || p->verdict == MB_PEER_SILENT;
}

static void
check(struct nd *nd, struct nd_peer *p, bool bulk)
{
	struct nd_session *s = bulk ? &p->bulk : &p->ctl;
	bool want = willing(nd, p, bulk);

	/* An association that is gone takes the peer's nonce with it. */
	if (bulk ? !p->bulk_up : !p->ctl_up)
		s->theirs = 0;
	if (s->willing == want)
		return;
	s->willing = want;
	if (want) {
		s->mine = nonce(nd, s->mine);
		send_open(nd, p, bulk);
	} else {
		set_up(nd, p, bulk, false);
	}
}

void
nd_session_check(struct nd *nd, struct nd_peer *p)
{
	check(nd, p, false);
	check(nd, p, true);
}

/* Something of the session was lost: begin anew. */
void
nd_session_broken(struct nd *nd, struct nd_peer *p, bool bulk)
{
	struct nd_session *s = bulk ? &p->bulk : &p->ctl;

	if (!s->willing)
		return;
	set_up(nd, p, bulk, false);
	s->mine = nonce(nd, s->mine);
	send_open(nd, p, bulk);
}

void
nd_session_open(struct nd *nd, struct nd_peer *p, bool bulk,
    const uint8_t *bytes, size_t len)
{
	struct nd_session *s = bulk ? &p->bulk : &p->ctl;
	uint16_t theirs, echo;
	bool fresh;

	if (len != OPEN_LEN || get_u16(bytes) == 0) {
		nd->refused_malformed++;
		return;
	}
	theirs = get_u16(bytes);
	echo = get_u16(bytes + 2);
	fresh = theirs != s->theirs;
	s->theirs = theirs;
	if (!s->willing)
		return;
	if (fresh && s->up) {
		/* The peer gave the old session up; so do I. */
		set_up(nd, p, bulk, false);
		s->mine = nonce(nd, s->mine);
		echo = 0;
	}
	if (echo == s->mine) {
		if (fresh)
			send_open(nd, p, bulk);
		set_up(nd, p, bulk, true);
	} else {
		send_open(nd, p, bulk);
	}
}
