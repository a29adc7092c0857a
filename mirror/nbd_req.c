/* SPDX-License-Identifier: BSD-2-Clause */
/* NBD server: requests and the pieces that they are taken apart into. */
#include <errno.h>
#include <string.h>

#include "mirror.h"
#include "nbd_int.h"

/*
 * Buffers that must stay free so that every client can have its share, one
 * that has yet to come included.
 */
static unsigned
owed(const struct nbd *n)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < n->conf.clients_max; i++)
		if (n->clients[i].used < n->reserve)
			sum += n->reserve - n->clients[i].used;
	return sum;
}

static struct nbd_piece *
piece_get(struct nbd_client *c, bool data)
{
	struct nbd *n = c->nbd;
	struct nbd_pieceq *q = data ? &n->free : &n->free_plain;
	struct nbd_piece *p = STAILQ_FIRST(q);

	if (p == NULL)
		return NULL;
	if (data && c->used >= n->reserve && n->n_free <= owed(n))
		return NULL;
	if (!data && c->used_plain >= NBD_PLAIN)
		return NULL;
	STAILQ_REMOVE_HEAD(q, link);
	if (data) {
		n->n_free--;
		c->used++;
	} else
		c->used_plain++;
	ASSERT(p->state == NBD_FREE);
	p->state = NBD_FILLING;
	p->client = c;
	p->error = 0;
	p->filled = 0;
	return p;
}

/* Takes p from its client's account. */
static void
piece_leave(struct nbd_piece *p)
{
	struct nbd_client *c = p->client;

	if (c == NULL)
		return;
	if (p->buf != NULL) {
		ASSERT(c->used > 0);
		c->used--;
	} else {
		ASSERT(c->used_plain > 0);
		c->used_plain--;
	}
	p->client = NULL;
	p->req = NULL;
}

void
nbd_piece_orphan(struct nbd_piece *p)
{
	ASSERT(p->state == NBD_LENT);
	piece_leave(p);
}

void
nbd_piece_free(struct nbd *n, struct nbd_piece *p)
{
	ASSERT(p->state == NBD_FILLING || p->state == NBD_DONE);
	piece_leave(p);
	p->state = NBD_FREE;
	p->gen++;
	if (p->buf != NULL) {
		n->n_free++;
		STAILQ_INSERT_HEAD(&n->free, p, link);
	} else
		STAILQ_INSERT_HEAD(&n->free_plain, p, link);
	if (!TAILQ_EMPTY(&n->waiters))
		nbd_pump_soon(n);
}

static struct nbd_req *
req_get(struct nbd_client *c)
{
	struct nbd_req *req = STAILQ_FIRST(&c->free_reqs);

	if (req == NULL)
		return NULL;
	STAILQ_REMOVE_HEAD(&c->free_reqs, link);
	c->n_reqs++;
	req->client = c;
	TAILQ_INIT(&req->pieces);
	req->open = 0;
	req->issued = req->head_sent = false;
	req->error = 0;
	return req;
}

void
nbd_req_free(struct nbd_req *req)
{
	struct nbd_client *c = req->client;

	ASSERT(c != NULL && c->n_reqs > 0 && req->open == 0);
	ASSERT(TAILQ_EMPTY(&req->pieces));
	req->client = NULL;
	c->n_reqs--;
	STAILQ_INSERT_HEAD(&c->free_reqs, req, link);
	if (c->waiting || c->phase == NBD_PH_END)
		nbd_pump_soon(c->nbd);
}

/* Gives p the next part of c->cur and closes the request behind the last. */
static void
piece_assign(struct nbd_client *c, struct nbd_piece *p)
{
	struct nbd_req *req = c->cur;
	uint64_t max = p->buf != NULL ? HAD_IO_MAX : MIR_TRIM_MAX;
	uint64_t bound = (req->next / max + 1) * max;

	p->req = req;
	p->off = req->next;
	p->len = (uint32_t)((bound < req->end ? bound : req->end) - p->off);
	ASSERT(p->len <= max);
	req->next += p->len;
	TAILQ_INSERT_TAIL(&req->pieces, p, req_link);
}

/* Hands p to the callback; it may be complete when this returns. */
static void
piece_lend(struct nbd_client *c, struct nbd_piece *p)
{
	struct nbd_req *req = p->req;
	struct nbd *n = c->nbd;
	bool fua = req->r.flags & NBDP_CMD_FUA &&
		   (req->cmd == NBD_WRITE || req->cmd == NBD_TRIM ||
		       req->cmd == NBD_ZERO);

	ASSERT(p->state == NBD_FILLING);
	p->state = NBD_LENT;
	n->in_flight++;
	c->turn++;
	req->open++;
	if (req->next == req->end) {
		req->issued = true;
		c->cur = NULL;
		c->phase = NBD_PH_REQUEST;
	}
	n->cb.request(n->ctx, (uint64_t)p->gen << 32 | p->index, req->cmd, fua,
	    p->off, p->len, p->buf);
}

void
nbd_complete(struct nbd *n, uint64_t cookie, int error)
{
	uint32_t index = (uint32_t)cookie;
	struct nbd_piece *p;

	ASSERT(index < n->n_pieces && error >= 0);
	p = &n->pieces[index];
	ASSERT(p->gen == (uint32_t)(cookie >> 32) && p->state == NBD_LENT);
	p->state = NBD_DONE;
	p->error = error;
	ASSERT(n->in_flight > 0);
	n->in_flight--;
	if (n->stopping)
		nbd_pump_soon(n);
	if (p->client == NULL)
		nbd_piece_free(n, p);
	else
		nbd_piece_done(p);
}

static void
count(struct nbd *n, const struct nbd_req *req)
{
	switch (req->cmd) {
	case NBD_READ:
		n->st.reads++;
		n->st.read_bytes += req->r.len;
		break;
	case NBD_WRITE:
		n->st.writes++;
		n->st.written_bytes += req->r.len;
		break;
	case NBD_FLUSH:
		n->st.flushes++;
		break;
	case NBD_TRIM:
		n->st.trims++;
		break;
	case NBD_ZERO:
		n->st.zeroes++;
		break;
	}
}

static void
begin(struct nbd_client *c, struct nbd_req *req, unsigned n_pieces)
{
	static const enum nbd_cmd cmds[] = {
	    [NBDP_READ] = NBD_READ,
	    [NBDP_WRITE] = NBD_WRITE,
	    [NBDP_FLUSH] = NBD_FLUSH,
	    [NBDP_TRIM] = NBD_TRIM,
	    [NBDP_WRITE_ZEROES] = NBD_ZERO,
	};

	ASSERT(req->r.cmd < NITEMS(cmds));
	req->cmd = cmds[req->r.cmd];
	req->next = req->r.off;
	req->end = req->r.off + req->r.len;
	if (c->structured && !(req->r.flags & NBDP_CMD_DF))
		req->mode = NBD_CHUNKS;
	else if (n_pieces <= c->nbd->reserve)
		req->mode = NBD_WHOLE;
	else
		req->mode = NBD_STREAM;
	count(c->nbd, req);
	c->cur = req;
	c->phase = req->cmd == NBD_WRITE ? NBD_PH_DATA : NBD_PH_ISSUE;
}

static int
step_request(struct nbd_client *c)
{
	struct nbdp_request r;
	struct nbdp_export e = {
	    .size = c->nbd->conf.size,
	    .flags = nbd_flags(c->nbd),
	    .block_min = c->nbd->conf.block_min,
	};
	enum nbdp_error error;
	struct nbd_req *req;
	const char *why = "";
	unsigned n_pieces;

	if (c->rlen - c->rat < NBDP_REQUEST_LEN)
		return 0;
	if (nbdp_get_request(&r, c->rbuf + c->rat, NBDP_REQUEST_LEN, &why) ==
	    -1) {
		nbd_client_close(c, why);
		return -1;
	}
	error = nbdp_check_request(&r, &e, c->structured, &why);
	if (error == NBDP_OK && r.cmd == NBDP_DISC) {
		c->phase = NBD_PH_END;
		nbd_pump_soon(c->nbd);
		return 0;
	}
	n_pieces = (unsigned)((r.off % HAD_IO_MAX + r.len + HAD_IO_MAX - 1) /
			      HAD_IO_MAX);
	if (error == NBDP_OK && r.flags & NBDP_CMD_DF &&
	    n_pieces > c->nbd->reserve) {
		error = NBDP_EOVERFLOW;
		why = "too long for one fragment";
	}
	if ((req = req_get(c)) == NULL) {
		nbd_client_wait(c);
		return 0;
	}
	c->rat += NBDP_REQUEST_LEN;
	req->r = r;
	if (error == NBDP_OK) {
		begin(c, req, n_pieces);
		return 1;
	}
	nbd_complain(c, "%s at %llu, %u bytes: %s", nbdp_cmd_name(r.cmd),
	    (unsigned long long)r.off, r.len, why);
	c->skip = nbdp_payload(&r);
	if (c->skip > 0)
		c->phase = NBD_PH_SKIP;
	nbd_reply(req, error, why);
	return 1;
}

/* One turn must not keep the loop from its other work. */
static bool
turn_is_over(struct nbd_client *c)
{
	if (c->turn < NBD_BUDGET)
		return false;
	nbd_client_wait(c);
	nbd_pump_soon(c->nbd);
	return true;
}

static int
step_issue(struct nbd_client *c)
{
	struct nbd_piece *p;

	ASSERT(c->cur != NULL);
	if (turn_is_over(c))
		return 0;
	if ((p = piece_get(c, c->cur->cmd == NBD_READ)) == NULL) {
		nbd_client_wait(c);
		return 0;
	}
	piece_assign(c, p);
	piece_lend(c, p);
	return 1;
}

static int
step_data(struct nbd_client *c)
{
	struct nbd_piece *p = c->fill;
	size_t n = c->rlen - c->rat;

	ASSERT(c->cur != NULL);
	if (turn_is_over(c))
		return 0;
	if (p == NULL) {
		if ((p = piece_get(c, true)) == NULL) {
			nbd_client_wait(c);
			return 0;
		}
		piece_assign(c, p);
		c->fill = p;
	}
	if (n == 0)
		return 0;
	if (n > p->len - p->filled)
		n = p->len - p->filled;
	memcpy(p->buf + p->filled, c->rbuf + c->rat, n);
	c->rat += n;
	nbd_req_filled(c, n);
	return 1;
}

static int
step_skip(struct nbd_client *c)
{
	size_t n = c->rlen - c->rat;

	if (n > c->skip)
		n = c->skip;
	c->rat += n;
	c->skip -= n;
	if (c->skip > 0)
		return 0;
	c->phase = NBD_PH_REQUEST;
	return 1;
}

uint8_t *
nbd_req_room(struct nbd_client *c, size_t *len)
{
	struct nbd_piece *p = c->fill;

	if (p == NULL)
		return NULL;
	*len = p->len - p->filled;
	return p->buf + p->filled;
}

void
nbd_req_filled(struct nbd_client *c, size_t len)
{
	struct nbd_piece *p = c->fill;

	ASSERT(len <= p->len - p->filled);
	p->filled += (uint32_t)len;
	if (p->filled < p->len)
		return;
	c->fill = NULL;
	piece_lend(c, p);
}

int
nbd_req_step(struct nbd_client *c)
{
	switch (c->phase) {
	case NBD_PH_REQUEST:
		return step_request(c);
	case NBD_PH_ISSUE:
		return step_issue(c);
	case NBD_PH_DATA:
		return step_data(c);
	default:
		ASSERT(c->phase == NBD_PH_SKIP);
		return step_skip(c);
	}
}

void
nbd_req_cut(struct nbd_client *c)
{
	struct nbd_req *req = c->cur;
	struct nbd_piece *p;

	c->cur = NULL;
	c->fill = NULL;
	if (req == NULL)
		return;
	/* Part of its reply may be out: nothing can follow that. */
	if (req->head_sent)
		c->broken = "stopped in the middle of a read";
	while ((p = TAILQ_FIRST(&req->pieces)) != NULL) {
		TAILQ_REMOVE(&req->pieces, p, req_link);
		if (p->state == NBD_LENT)
			nbd_piece_orphan(p);
		else
			nbd_piece_free(c->nbd, p);
	}
	req->open = 0;
	nbd_req_free(req);
}
