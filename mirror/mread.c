/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads: from this disk while there is one, else from the peer's.  An error
 * of this disk detaches it if the peer has all data, and the read goes there.
 */
#include <string.h>

#include "mirror_int.h"

void
mir_read(struct mir *m, struct mreq *r)
{
	r->phase = PH_RUN;
	m->recheck = true;
	if (!m->attached) {
		r->remote = R_WAIT;
		return;
	}
	r->local = L_BUSY;
	mir_disk(m, IO_REQ, (unsigned)(r - m->reqs), MIR_READ, MIR_DATA, false,
	    r->off, r->len, r->buf);
}

void
mir_read_check(struct mir *m, struct mreq *r)
{
	ASSERT(r->cmd == MIR_READ && r->local != L_BUSY);
	if (r->local == L_OK || r->remote == R_OK) {
		mir_req_end(m, r, 0);
	} else if (m->attached) {
		ASSERT(r->local == L_FAIL);
		if (mir_peer_is_good(m))
			mir_disk_error(m, "a read", ERR_IO);
		else if (m->mode == MODE_ALONE || m->mode == MODE_BOTH) {
			mir_disk_error(m, "a read", ERR_IO);
			mir_req_end(m, r, ERR_IO);
		}
	} else if (r->remote == R_FAIL) {
		mir_req_end(m, r, ERR_IO);
	} else if (r->remote == R_NONE) {
		r->remote = R_WAIT; /* routed by what the mode is next */
		m->recheck = true;
	}
}

/* The peer's answer to a READ. */
void
mir_read_data(struct mir *m, const struct mp_msg *msg)
{
	unsigned i = msg->id & 0xffff;
	struct mreq *r;

	if (i >= m->c.reqs_max)
		return;
	r = &m->reqs[i];
	if (r->phase != PH_RUN || r->remote != R_SENT || r->cmd != MIR_READ ||
	    r->serial != msg->id >> 17)
		return;
	if (msg->len != r->len || msg->off != r->off) {
		mir_sess_refuse(m, "data of another range than asked for");
		return;
	}
	ASSERT(m->cr_ops > 0 && m->cr_bytes >= r->len);
	m->cr_ops--;
	m->cr_bytes -= r->len;
	memcpy(r->buf, msg->data, r->len);
	r->remote = R_OK;
	mir_req_check(m, r);
}
