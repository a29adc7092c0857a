/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames between the lock cores of two nodes: packed during a step, sent at
 * its end; taken apart and given to the owner's, the master's or the round's
 * side.
 */
#include "lock_int.h"

uint64_t
lk_my_view(const struct lk *lk)
{
	return (uint64_t)lk->inst << 32 | lk->round;
}

bool
lk_met(const struct lk *lk, uint8_t node)
{
	const struct lk_peer *p = &lk->peers[node];

	return p->view != 0 && p->echo == lk_my_view(lk) &&
	       p->told == p->view && p->members == lk->view.members &&
	       p->view >> 32 != p->void_inst;
}

bool
lk_in_session(const struct lk *lk, uint8_t node)
{
	return lk->phase >= LK_PH_REBUILD &&
	       NODESET_HAS(lk->view.members, node) && lk_met(lk, node);
}

void
lk_frames_reset(struct lk_peer *p)
{
	p->tx_seq = 0;
	p->rx_seq = 0;
	p->out_len = 0;
	p->out_count = 0;
}

static void
flush(struct lk *lk, uint8_t node)
{
	struct lk_peer *p = &lk->peers[node];
	struct lkw_hdr h = {.kind = LKW_DATA,
	    .count = p->out_count,
	    .src = lk_my_view(lk),
	    .dst = p->view,
	    .seq = p->tx_seq};

	if (p->out_count == 0)
		return;
	lkw_put_hdr(p->out, &h);
	lk->ops->send(lk->ctx, node, p->out, p->out_len);
	p->tx_seq++;
	p->out_count = 0;
	p->out_len = 0;
}

void
lk_frames_flush(struct lk *lk)
{
	NODE_FOREACH(id, lk->conf.nodes) flush(lk, id);
}

void
lk_frame(struct lk *lk, uint8_t node, const struct lkw_msg *msg)
{
	struct lk_peer *p = &lk->peers[node];

	ASSERT(node != lk->conf.self);
	/* Out of session it would not count; the next one tells all. */
	if (!lk_in_session(lk, node))
		return;
	if (p->out_len + LKW_MSG_MAX > LKW_FRAME_MAX)
		flush(lk, node);
	if (p->out_count == 0)
		p->out_len = LKW_HDR_LEN;
	p->out_len += lkw_put_msg(p->out + p->out_len, msg);
	p->out_count++;
}

void
lk_to_master(struct lk *lk, uint8_t node, const struct lkw_msg *msg)
{
	if (node == lk->conf.self)
		lk_master_msg(lk, node, msg);
	else
		lk_frame(lk, node, msg);
}

void
lk_to_owner(struct lk *lk, uint8_t node, const struct lkw_msg *msg)
{
	if (node == lk->conf.self)
		lk_owner_msg(lk, node, msg);
	else
		lk_frame(lk, node, msg);
}

void
lk_send_sync(struct lk *lk, uint8_t node)
{
	struct lk_peer *p = &lk->peers[node];
	uint8_t buf[LKW_HDR_LEN + LKW_SYNC_LEN];
	struct lkw_hdr h = {.kind = LKW_SYNC,
	    .count = 1,
	    .src = lk_my_view(lk),
	    .dst = p->view};
	struct lkw_sync s = {.members = lk->view.members,
	    .synced = lk->synced,
	    .void_inst = p->void_inst,
	    .epoch = lk->view.epoch};

	lkw_put_hdr(buf, &h);
	lkw_put_sync(buf + LKW_HDR_LEN, &s);
	p->told = p->view;
	lk->ops->send(lk->ctx, node, buf, sizeof(buf));
}

/*
 * Bytes that no correct node sends.  What they asked for is not done, so
 * both sides have to compare what they know; not at once, lest it goes round.
 */
void
lk_bad(struct lk *lk, uint8_t from, const char *why)
{
	monotime_t at = mt_add_ms(lk->now, LK_BAD_MS);

	lk->count.bad_messages++;
	lk_note(lk, HAD_WARN, "node %u: %s", from, why);
	if (from != lk->conf.self && lk->phase >= LK_PH_REBUILD &&
	    lk->sync_at.us == INT64_MAX)
		lk->sync_at = at;
}

static void
route(struct lk *lk, uint8_t from, const struct lkw_msg *msg)
{
	switch (msg->type) {
	case LKW_REQUEST:
	case LKW_CONVERT:
	case LKW_UNLOCK:
	case LKW_CANCEL:
	case LKW_REBUILD:
	case LKW_VALUE:
		lk_master_msg(lk, from, msg);
		break;
	case LKW_QUERY:
		lk_query_master(lk, from, msg);
		break;
	case LKW_ROW:
	case LKW_ROWS:
		lk_query_answer(lk, from, msg);
		break;
	case LKW_TOLD:
	case LKW_READY:
		lk_round_msg(lk, from, msg);
		break;
	default:
		lk_owner_msg(lk, from, msg);
	}
}

static void
on_data(struct lk *lk, uint8_t from, const struct lkw_hdr *h,
    const uint8_t *bytes, size_t len)
{
	struct lk_peer *p = &lk->peers[from];
	uint64_t view = lk_my_view(lk);

	/* Of another session: what it says was told or will be told. */
	if (h->src != p->view || h->dst != view || !lk_met(lk, from) ||
	    !NODESET_HAS(lk->view.members, from))
		return;
	if (lk->phase == LK_PH_SYNC) {
		/* It goes on because it knows that everybody is in session. */
		NODE_FOREACH(id, lk->view.members) lk->peers[id].synced = true;
		lk_round_begin(lk);
	}
	if (!lk_in_session(lk, from))
		return;
	if (h->seq != p->rx_seq) {
		lk_new_round(lk, "messages were lost");
		return;
	}
	p->rx_seq++;
	for (unsigned i = 0; i < h->count; i++) {
		struct lkw_msg msg;
		const char *why;
		int n = lkw_get_msg(&msg, bytes, len, &why);

		if (n < 0) {
			lk_bad(lk, from, why);
			return;
		}
		bytes += n;
		len -= (size_t)n;
		route(lk, from, &msg);
		/* The message may have ended the session. */
		if (lk_my_view(lk) != view)
			return;
	}
	if (len > 0)
		lk_bad(lk, from, "bytes behind the last message");
}

void
lk_dist_msg(struct lk *lk, uint8_t from, const uint8_t *bytes, size_t len)
{
	struct lkw_hdr h;
	struct lkw_sync s;
	const char *why;

	if (from < 1 || from > HAD_NODES_MAX || from == lk->conf.self ||
	    !NODESET_HAS(lk->conf.nodes, from)) {
		lk_bad(lk, lk->conf.self, "a message from an unknown node");
		return;
	}
	if (lkw_get_hdr(&h, bytes, len, &why) == -1) {
		lk_bad(lk, from, why);
		return;
	}
	bytes += LKW_HDR_LEN;
	len -= LKW_HDR_LEN;
	if (h.kind == LKW_DATA)
		on_data(lk, from, &h, bytes, len);
	else if (lkw_get_sync(&s, bytes, len, &why) == -1)
		lk_bad(lk, from, why);
	else
		lk_round_sync(lk, from, &h, &s);
}
