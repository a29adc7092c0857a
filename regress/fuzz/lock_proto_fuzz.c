/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The codecs of the lock manager, and its core behind them: clients and a
 * peer that send whatever can be encoded, in any order, with views and rounds
 * in between.  Nothing that comes from outside reaches an assertion.
 */
#include <string.h>
#include <xxhash.h>

#include "lock.h"
#include "lock_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct {
	struct lk *lk;
	monotime_t now;
	uint64_t view, mine; /* of the core; of the peer that is played here */
	uint32_t seq;
	uint64_t epoch;
	bool open[2];
	bool closed[2]; /* by the core: free, no EOF needed */
} f;

struct input {
	const uint8_t *p;
	size_t left;
};

static uint8_t
byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

static void
take(struct input *in, uint8_t *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = byte(in);
}

static void
step(struct lk_event *ev)
{
	f.now.us += 1000;
	ev->now = f.now;
	lk_step(f.lk, ev);
}

static void
op_send(void *ctx, uint8_t peer, const uint8_t *bytes, size_t len)
{
	struct lkw_hdr h;
	const char *why;

	(void)ctx;
	(void)peer;
	ASSERT(lkw_get_hdr(&h, bytes, len, &why) == 0);
	f.view = h.src;
}

static void
op_client(void *ctx, uint32_t client, const uint8_t *bytes, size_t len)
{
	struct lkp_ans a;
	const char *why;
	int n = lkp_get_hdr(bytes, len, LKP_ANS_LEN, &why);

	(void)ctx;
	ASSERT(n > 0 && client < 2);
	for (int i = 0; i < n; i++)
		ASSERT(lkp_get_ans(&a, bytes + LKP_HDR_LEN + i * LKP_ANS_LEN,
			   &why) == 0);
}

static void
op_close(void *ctx, uint32_t client, const char *why)
{
	(void)ctx;
	ASSERT(why != NULL);
	f.closed[client] = true;
}

static void
op_timer(void *ctx, monotime_t at)
{
	(void)ctx;
	(void)at;
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx;
	(void)level;
	(void)rule;
	(void)object;
	ASSERT(strlen(text) > 0);
}

static const struct lk_ops ops = {
    op_send, op_client, op_close, op_timer, op_note};

static void
open_client(uint32_t c)
{
	struct lk_event ev = {.type = LK_EV_CLIENT_OPEN};
	struct lkp_req q = {.op = LKP_OPEN, .name = "s", .name_len = 1};
	uint8_t buf[LKP_HDR_LEN + LKP_REQ_LEN];

	ev.u.open.client = c;
	ev.u.open.uid = c;
	ev.u.open.spaces = 1;
	step(&ev);
	f.open[c] = true;
	f.closed[c] = false;
	lkp_put_hdr(buf, 1);
	lkp_put_req(buf + LKP_HDR_LEN, &q);
	ev.type = LK_EV_CLIENT_MSG;
	ev.u.cmsg.client = c;
	ev.u.cmsg.bytes = buf;
	ev.u.cmsg.len = sizeof(buf);
	step(&ev);
}

static void
client_bytes(struct input *in, uint32_t c, bool raw)
{
	uint8_t buf[LKP_HDR_LEN + 2 * LKP_REQ_LEN];
	struct lk_event ev = {.type = LK_EV_CLIENT_MSG};

	if (f.closed[c])
		open_client(c);
	lkp_put_hdr(buf, 2);
	ev.u.cmsg.client = c;
	ev.u.cmsg.bytes = buf;
	ev.u.cmsg.len = sizeof(buf);
	if (raw) {
		take(in, buf, sizeof(buf));
		ev.u.cmsg.len = byte(in);
	} else {
		for (unsigned i = 0; i < 2; i++) {
			uint8_t lock;
			struct lkp_req q = {.op = (uint8_t)(1 + byte(in) % 6),
			    .mode = byte(in) % 7};

			q.flags = byte(in);
			q.timeout_ms = byte(in);
			lock = byte(in);
			q.name_len = lock >> 6;
			memset(q.name, 'a' + lock % 3, q.name_len);
			if (q.op != LKP_LOCK)
				q.lock = (uint64_t)(1 + lock % 4) << 32 |
					 (1 + lock / 4 % 8);
			lkp_put_req(buf + LKP_HDR_LEN + i * LKP_REQ_LEN, &q);
		}
	}
	step(&ev);
}

static void
frame(uint8_t kind, const uint8_t *body, size_t len, unsigned count)
{
	uint8_t buf[2048];
	struct lkw_hdr h = {.kind = kind,
	    .count = (uint16_t)count,
	    .src = f.mine,
	    .dst = f.view,
	    .seq = kind == LKW_DATA ? f.seq++ : 0};
	struct lk_event ev = {.type = LK_EV_MSG};

	lkw_put_hdr(buf, &h);
	memcpy(buf + LKW_HDR_LEN, body, len);
	ev.u.msg.from = 2;
	ev.u.msg.bytes = buf;
	ev.u.msg.len = LKW_HDR_LEN + len;
	step(&ev);
}

/* Answers until both are in session. */
static void
meet(bool anew)
{
	struct lkw_sync s = {.members = 3, .synced = true, .epoch = f.epoch};
	uint8_t buf[LKW_SYNC_LEN];

	f.mine += anew ? 1ULL << 32 : 1;
	lkw_put_sync(buf, &s);
	for (unsigned i = 0; i < 3; i++)
		frame(LKW_SYNC, buf, sizeof(buf), 1);
	f.seq = 0;
}

static void
peer_message(struct input *in)
{
	uint8_t name[4], buf[LKW_MSG_MAX], lock = byte(in);
	struct lkw_msg m = {
	    .type = (uint8_t)(1 + byte(in) % (LKW_TYPE_END - 1)),
	    .gr = byte(in) % 7,
	    .rq = byte(in) % 7,
	    .state = byte(in) % 6,
	    .err = byte(in),
	    .name_len = (uint8_t)(1 + (lock >> 6)),
	    .oseq = byte(in) % 8,
	    .flags = byte(in),
	    .lock = (uint64_t)(1 + lock % 4) << 32 | (1 + lock / 4 % 8),
	    .token = byte(in),
	    .qseq = byte(in),
	    .name = name};

	/* The core's own lockspace, or none that it knows. */
	m.space = lock & 32 ? 0 : XXH3_64bits("s", 1);
	memset(name, 'a' + lock % 3, sizeof(name));
	m.val.seq = byte(in);
	m.val.valid = lock & 1;
	if (m.gr == 6)
		m.gr = LKM_IV;
	if (m.rq == 6)
		m.rq = LKM_IV;
	frame(LKW_DATA, buf, lkw_put_msg(buf, &m), 1);
}

static void
view(struct input *in)
{
	struct lk_event ev = {.type = LK_EV_VIEW};
	uint8_t b = byte(in);

	ev.u.view.state = (enum lk_view_state)(b % 4);
	ev.u.view.members = b & 4 ? 3 : 1;
	ev.u.view.dead = !(b & 4) && b & 8 ? 2 : 0;
	ev.u.view.epoch = b & 16 ? ++f.epoch : f.epoch;
	step(&ev);
}

static void
eof(uint32_t c)
{
	struct lk_event ev = {.type = LK_EV_CLIENT_EOF};

	ev.u.eof.client = c;
	step(&ev);
	open_client(c);
}

static void
act(struct input *in)
{
	uint8_t what = byte(in), raw[300];
	struct lk_event ev = {.type = LK_EV_TIMER};
	size_t n;

	switch (what % 12) {
	case 0:
	case 1:
	case 2:
	case 3:
		client_bytes(in, what >> 4 & 1, false);
		break;
	case 4:
		client_bytes(in, what >> 4 & 1, true);
		break;
	case 5:
	case 6:
	case 7:
		peer_message(in);
		break;
	case 8:
		n = byte(in);
		take(in, raw, n);
		frame(what & 16 ? LKW_DATA : LKW_SYNC, raw, n, 1 + what / 32);
		break;
	case 9:
		view(in);
		break;
	case 10:
		meet(what & 16);
		break;
	default:
		if (what & 16) {
			eof(what >> 5 & 1);
		} else {
			f.now.us += byte(in) * 10000;
			step(&ev);
		}
	}
}

static void
codecs(const uint8_t *data, size_t len)
{
	struct lkw_hdr h;
	struct lkw_msg m;
	struct lkp_ans a;
	const char *why;
	uint8_t buf[LKW_MSG_MAX], again[LKP_ANS_LEN];
	int n = lkw_get_msg(&m, data, len, &why);

	if (n > 0)
		ASSERT(lkw_put_msg(buf, &m) == (size_t)n);
	if (lkw_get_hdr(&h, data, len, &why) == 0)
		lkw_put_hdr(buf, &h);
	if (len >= LKP_ANS_LEN && lkp_get_ans(&a, data, &why) == 0) {
		lkp_put_ans(again, &a);
		ASSERT(memcmp(again, data, LKP_ANS_LEN) == 0);
	}
}

static void
look(void)
{
	struct lk_status st;
	struct lk_iter it = {0};
	struct lk_row row;
	uint32_t n = 0;

	lk_status(f.lk, &st);
	while (lk_status_next(f.lk, &it, &row)) {
		ASSERT((row.state == LK_ROW_GRANTED) == (row.why[0] == '\0'));
		n++;
	}
	ASSERT(n <= st.locks + st.masters);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct lk_conf conf = {
	    .self = 1, .nodes = 3, .n_spaces = 1, .clients_max = 2};
	struct lk_event ev = {.type = LK_EV_START};
	struct input in = {data, len};

	codecs(data, len);
	strcpy(conf.spaces[0].name, "s");
	conf.spaces[0].locks_max = 8;
	memset(&f, 0, sizeof(f));
	f.lk = lk_new(&conf, &ops, NULL);
	f.mine = 7ULL << 32;
	f.epoch = 1;
	ev.u.start.seed = 1;
	step(&ev);
	open_client(0);
	open_client(1);
	ev.type = LK_EV_VIEW;
	ev.u.view = (struct lk_view){
	    .state = LK_VIEW_RUNNING, .members = 3, .epoch = f.epoch};
	step(&ev);
	meet(false);
	while (in.left > 0)
		act(&in);
	look();
	lk_free(f.lk);
	return 0;
}
