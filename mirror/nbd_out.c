/* SPDX-License-Identifier: BSD-2-Clause */
/* NBD server: replies, from complete pieces to the socket. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "nbd_int.h"

static void
enqueue(struct nbd_client *c, struct nbd_out *o)
{
	STAILQ_INSERT_TAIL(&c->out, o, link);
	nbd_pump_soon(c->nbd);
}

/* The reply that ends a request, without data. */
void
nbd_reply(struct nbd_req *req, enum nbdp_error error, const char *text)
{
	struct nbd_client *c = req->client;
	struct nbd_out *o = &req->out;

	o->piece = NULL;
	o->req = req;
	o->data_len = 0;
	if (error != NBDP_OK)
		c->nbd->st.errors++;
	/* Only reads must be structured; text is worth it for any error. */
	if (c->structured && error != NBDP_OK)
		o->hdr_len =
		    (uint32_t)nbdp_put_error_chunk(o->hdr, sizeof(o->hdr),
			req->r.handle, NBDP_CHUNK_DONE, error, text);
	else
		o->hdr_len = (uint32_t)nbdp_put_simple(
		    o->hdr, sizeof(o->hdr), req->r.handle, error);
	enqueue(c, o);
}

/* A piece's data go out behind hdr_len bytes of header. */
static void
enqueue_data(struct nbd_piece *p, size_t hdr_len, bool last)
{
	struct nbd_req *req = p->req;

	TAILQ_REMOVE(&req->pieces, p, req_link);
	p->out.piece = p;
	p->out.req = last ? req : NULL;
	p->out.hdr_len = (uint32_t)hdr_len;
	p->out.data_len = p->len;
	enqueue(p->client, &p->out);
}

/* NBD_CHUNKS: each piece is a chunk of its own. */
static void
chunk_done(struct nbd_piece *p)
{
	struct nbd_req *req = p->req;
	bool last = req->issued && req->open == 0;
	uint16_t flags = last ? NBDP_CHUNK_DONE : 0;
	size_t n;

	if (p->error == 0) {
		n = nbdp_put_data_chunk(p->out.hdr, sizeof(p->out.hdr),
		    req->r.handle, flags, p->off, p->len);
		enqueue_data(p, n, last);
		return;
	}
	n = nbdp_put_error_offset_chunk(p->out.hdr, sizeof(p->out.hdr),
	    req->r.handle, flags, nbdp_error_of(p->error), p->off);
	if (req->error == 0)
		p->client->nbd->st.errors++;
	req->error = p->error;
	enqueue_data(p, n, last);
	p->out.data_len = 0;
}

/* Queues the complete pieces at the front, in order. */
static void
send_in_order(struct nbd_req *req)
{
	struct nbd_piece *p;
	size_t n;

	while (
	    (p = TAILQ_FIRST(&req->pieces)) != NULL && p->state == NBD_DONE) {
		n = 0;
		if (!req->head_sent) {
			n = req->mode == NBD_WHOLE && req->client->structured
				? nbdp_put_data_chunk(p->out.hdr,
				      sizeof(p->out.hdr), req->r.handle,
				      NBDP_CHUNK_DONE, req->r.off, req->r.len)
				: nbdp_put_simple(p->out.hdr,
				      sizeof(p->out.hdr), req->r.handle,
				      NBDP_OK);
			req->head_sent = true;
		}
		enqueue_data(p, n, p->off + p->len == req->end);
	}
}

static void
drop_pieces(struct nbd_req *req)
{
	struct nbd_piece *p;

	while ((p = TAILQ_FIRST(&req->pieces)) != NULL) {
		ASSERT(p->state == NBD_DONE);
		TAILQ_REMOVE(&req->pieces, p, req_link);
		nbd_piece_free(req->client->nbd, p);
	}
}

/* All pieces of a request that is answered at once are complete. */
void
nbd_req_finish(struct nbd_req *req)
{
	ASSERT(req->issued && req->open == 0);
	if (req->cmd != NBD_READ || req->error != 0) {
		drop_pieces(req);
		nbd_reply(req, nbdp_error_of(req->error),
		    req->error == 0 ? "" : strerrordesc_np(req->error));
		return;
	}
	if (req->mode == NBD_WHOLE)
		send_in_order(req);
}

/* A piece of a live request is complete. */
void
nbd_piece_done(struct nbd_piece *p)
{
	struct nbd_req *req = p->req;
	struct nbd_client *c = p->client;

	ASSERT(p->state == NBD_DONE && req->open > 0);
	req->open--;
	if (req->cmd == NBD_READ && req->mode == NBD_CHUNKS) {
		chunk_done(p);
		return;
	}
	if (p->error != 0 && req->error == 0)
		req->error = p->error;
	if (req->cmd == NBD_READ && req->mode == NBD_STREAM) {
		if (req->error == 0) {
			send_in_order(req);
			return;
		}
		/*
		 * The reply may have begun and cannot be taken back: the
		 * pump ends the connection, and the client asks again.
		 */
		c->broken = "a read failed in its middle";
		nbd_pump_soon(c->nbd);
		return;
	}
	if (req->cmd != NBD_READ) {
		TAILQ_REMOVE(&req->pieces, p, req_link);
		nbd_piece_free(c->nbd, p);
	}
	if (req->issued && req->open == 0)
		nbd_req_finish(req);
}

/* Fills iov with what is ready; returns the number of segments. */
static int
gather(struct nbd_client *c, struct iovec *iov)
{
	size_t skip = c->out_done;
	struct nbd_out *o;
	int n = 0;

	if (c->olen > 0)
		iov[n++] = (struct iovec){c->obuf + c->oat, c->olen - c->oat};
	for (o = STAILQ_FIRST(&c->out); o != NULL; o = STAILQ_NEXT(o, link)) {
		if (n + 2 > NBD_IOV)
			break;
		if (skip < o->hdr_len) {
			iov[n++] =
			    (struct iovec){o->hdr + skip, o->hdr_len - skip};
			skip = 0;
		} else
			skip -= o->hdr_len;
		if (skip < o->data_len) {
			iov[n++] = (struct iovec){
			    o->piece->buf + skip, o->data_len - skip};
		}
		skip = 0;
	}
	return n;
}

/* n bytes are on their way: what they complete is released. */
static void
sent(struct nbd_client *c, size_t n)
{
	struct nbd_out *o;
	size_t k;

	if (c->olen > 0) {
		k = c->olen - c->oat < n ? c->olen - c->oat : n;
		c->oat += k;
		n -= k;
		if (c->oat == c->olen)
			c->oat = c->olen = 0;
	}
	c->out_done += n;
	while ((o = STAILQ_FIRST(&c->out)) != NULL) {
		k = (size_t)o->hdr_len + o->data_len;
		if (c->out_done < k)
			break;
		c->out_done -= k;
		STAILQ_REMOVE_HEAD(&c->out, link);
		if (o->req != NULL)
			nbd_req_free(o->req);
		if (o->piece != NULL)
			nbd_piece_free(c->nbd, o->piece);
	}
}

int
nbd_client_flush(struct nbd_client *c)
{
	struct iovec iov[NBD_IOV];
	struct msghdr m = {.msg_iov = iov};
	ssize_t n;

	c->full = false;
	while (c->olen > 0 || !STAILQ_EMPTY(&c->out)) {
		m.msg_iovlen = (size_t)gather(c, iov);
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		c->nbd->st.sends++;
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN) {
			c->full = true;
			break;
		}
		if (n == -1) {
			nbd_client_close(c, "went away");
			return -1;
		}
		sent(c, (size_t)n);
	}
	if (c->phase == NBD_PH_END) /* it may be over now */
		nbd_pump_soon(c->nbd);
	nbd_client_poll(c);
	return 0;
}
