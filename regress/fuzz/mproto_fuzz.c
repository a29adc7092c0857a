/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages from a hostile but authenticated peer: first the codec, then a
 * whole volume core with a disk of its own that answers at once.  The input is
 * a row of records: how long, what to do, bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "mirror_int.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

enum { DATA = 512 * 1024, META = 64 * 1024, OPS = 256 };

struct fake {
	struct mir *m;
	uint8_t data[DATA], meta[META];
	struct mir_io ops[OPS];
	unsigned n;
	monotime_t now;
};

static void
f_disk(void *ctx, const struct mir_io *io)
{
	struct fake *f = ctx;

	if (f->n == OPS)
		abort();
	f->ops[f->n++] = *io;
}

static void
f_reply(void *ctx, uint64_t cookie, int error)
{
	(void)ctx, (void)cookie, (void)error;
}

static void
f_send(void *ctx, uint8_t peer, const uint8_t *hdr, size_t hdr_len,
    const void *data, size_t len)
{
	struct mp_msg msg;
	const char *why;
	uint8_t *copy = malloc(hdr_len + len);

	(void)ctx, (void)peer;
	/* What a core says must be what a core understands. */
	if (copy == NULL)
		return;
	memcpy(copy, hdr, hdr_len);
	if (len > 0)
		memcpy(copy + hdr_len, data, len);
	if (mp_get(&msg, copy, hdr_len + len, &why) == -1)
		abort();
	free(copy);
}

static void
f_timer(void *ctx, monotime_t at)
{
	(void)ctx, (void)at;
}

static void
f_done(void *ctx, uint64_t token, bool ok, const char *text)
{
	(void)ctx, (void)token, (void)ok, (void)text;
}

static void
f_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx, (void)level, (void)rule, (void)object, (void)text;
}

static void
f_changed(void *ctx)
{
	(void)ctx;
}

static const struct mir_ops ops = {
    f_disk, f_reply, f_send, f_timer, f_done, f_note, f_changed};

static void
step(struct fake *f, struct mir_event *ev)
{
	ev->now = f->now;
	mir_step(f->m, ev);
}

static void
complete(struct fake *f)
{
	struct mir_event ev = {.type = MIR_DISK};
	struct mir_io io = f->ops[0];
	uint8_t *at = (io.area == MIR_DATA ? f->data : f->meta) + io.off;

	memmove(f->ops, f->ops + 1, --f->n * sizeof(f->ops[0]));
	if (io.cmd == MIR_READ)
		memcpy(io.buf, at, io.len);
	else if (io.cmd == MIR_WRITE)
		memcpy(at, io.buf, io.len);
	else if (io.len > 0)
		memset(at, 0, io.len);
	ev.u.disk.io = io.io;
	step(f, &ev);
}

static void
message(struct fake *f, const uint8_t *p, size_t len)
{
	struct mir_event ev = {.type = MIR_MSG};
	uint8_t *copy = calloc(1, len + 1);

	if (copy == NULL)
		return;
	memcpy(copy, p, len);
	if (len >= MP_HDR_LEN && copy[0] % MP_N != MP_HELLO) {
		put_u32(copy + 4, f->m->yours);
		put_u32(copy + 8, f->m->mine);
		/* The verdict that the core expects, now and then. */
		if (copy[0] == MP_VERDICT && copy[1] == 0)
			put_u64(copy + 32,
			    mir_verdict_code(mir_mirror(f->m->verdict)));
	}
	ev.u.msg.from = 2;
	ev.u.msg.bytes = copy;
	ev.u.msg.len = len;
	step(f, &ev);
	free(copy);
}

static void
act(struct fake *f, uint8_t what, const uint8_t *p, size_t len)
{
	static uint8_t buf[HAD_IO_MAX];
	struct mir_event ev = {.type = MIR_VIEW};

	switch (what % 10) {
	case 0:
		f->now = mt_add_ms(f->now, len * 100);
		ev.type = MIR_TIMER;
		break;
	case 1:
		ev.u.view.peer = len > 0 ? p[0] % 3 : 0;
		ev.u.view.link = len > 1 ? p[1] : 0;
		ev.u.view.own_right = true;
		ev.u.view.demoted = len > 2 && p[2] == 7;
		break;
	case 2:
		ev.type = MIR_PROMOTE;
		ev.u.promote.epoch = 9;
		break;
	case 3:
		ev.type = MIR_DEMOTE;
		break;
	case 4:
		ev.type = MIR_RESYNC;
		ev.u.resync.from = 1 + len % 2;
		break;
	case 5:
		ev.type = MIR_REQ;
		ev.u.req.cmd = len > 0 ? p[0] % 5 : 0;
		ev.u.req.off = ev.u.req.cmd == MIR_FLUSH ? 0 : len * 4096;
		ev.u.req.len = ev.u.req.cmd == MIR_FLUSH ? 0 : 4096;
		ev.u.req.buf = buf;
		break;
	case 6:
		for (unsigned i = 0; i < 8 && f->n > 0; i++)
			complete(f);
		return;
	default:
		message(f, p, len);
		return;
	}
	step(f, &ev);
}

static struct fake *
make(void)
{
	struct fake *f = calloc(1, sizeof(*f));
	struct mir_conf c = {.name = "v",
	    .self = 1,
	    .peer = 2,
	    .cluster = 7,
	    .reqs_max = 8,
	    .peer_slots = 4,
	    .resync_pieces = 2,
	    .peer_name = "p"};
	struct mmeta_new n = {.cluster = 7,
	    .name = "v",
	    .node = 1,
	    .peers = {2},
	    .tag = 3,
	    .keep = true,
	    .volume_id = {1},
	    .current = 5};
	struct mir_event ev = {.type = MIR_START};
	struct mmeta_sb sb;
	const char *why;

	if (f == NULL || mmeta_plan(&c.layout, DATA, false, 1, &why) == -1)
		abort();
	mmeta_format(&sb, &c.layout, &n);
	for (uint64_t off = 0; off < c.layout.meta_bytes; off += MMETA_PAGE)
		mmeta_format_page(&sb, &c.layout, off, f->meta + off);
	f->now = (monotime_t){1000000};
	f->m = mir_new(&c, &ops, f);
	if (f->m == NULL)
		abort();
	step(f, &ev);
	while (f->n > 0)
		complete(f);
	act(f, 1, (const uint8_t *)"\1\1", 2);
	return f;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct mp_msg msg;
	struct mir_ident id;
	const char *why;
	struct fake *f;

	mp_get(&msg, data, len, &why);
	mp_get_ident(&id, data, len, &why);
	f = make();
	while (len >= 3) {
		size_t n = (size_t)data[0] | (size_t)(data[1] & 3) << 8;

		if (n > len - 3)
			n = len - 3;
		act(f, data[2], data + 3, n);
		data += 3 + n;
		len -= 3 + n;
	}
	mir_free(f->m);
	free(f);
	return 0;
}
