/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "mir_world.h"

enum { REGIONS = 48, PAGE_BITS = 22, TAG = 77 /* of both copies */ };

struct world W;
const struct config *C;
struct mir *cores[NODES];
const char *broken;
bool telling;

/* A page of metadata, once for all states. */
struct page {
	uint64_t key;
	bool valid; /* SB */
	struct mmeta_sb sb;
	uint64_t bits; /* maps; both kinds have one word */
};
static struct page *pages; /* owned */
static uint32_t n_pages, room_pages;
static uint32_t *page_index; /* owned; by hash, 0: none */

/* Where a core's memory is that a step may change. */
static struct region {
	void *at; /* borrowed from the core */
	size_t len;
} regions[NODES][REGIONS];
static unsigned n_regions[NODES];
static uint8_t *fresh[NODES]; /* owned; a core as mir_new makes it */
static size_t core_size;
static struct mmeta_layout layout;
static uint8_t req_buf[NODES][REQS][MMETA_BLOCK];

static uint32_t
page_put(const uint8_t *bytes, enum place place)
{
	struct dirtymap dm = {.words = (uint64_t[1]){0},
	    .sum = (uint64_t[1]){0},
	    .nbits =
		place == AT_BITMAP ? C->cells * MMETA_CHUNK_BITS : C->cells,
	    .room = 64};
	uint64_t key = XXH3_64bits_withSeed(bytes, MMETA_PAGE, place + 1u);
	uint32_t i = (uint32_t)(key >> (64 - PAGE_BITS));
	struct page *p;
	const char *why;

	for (; page_index[i] != 0; i = (i + 1) & ((1u << PAGE_BITS) - 1))
		if (pages[page_index[i]].key == key)
			return page_index[i];
	if (n_pages == room_pages) {
		room_pages *= 2;
		pages = realloc(pages, room_pages * sizeof(*pages));
		ASSERT(pages != NULL && room_pages < 1u << PAGE_BITS);
	}
	p = &pages[n_pages];
	memset(p, 0, sizeof(*p));
	p->key = key;
	if (place == AT_SB_A || place == AT_SB_B) {
		p->valid = mmeta_sb_decode(&p->sb, bytes, &why) == 0;
	} else {
		mmeta_page_decode(bytes, TAG,
		    place == AT_BITMAP ? MMETA_BITMAP : MMETA_INTENT, 0, 0,
		    &dm);
		p->bits = dm.words[0];
	}
	page_index[i] = n_pages;
	return n_pages++;
}

static void
page_get(unsigned i, enum place place, uint8_t *bytes)
{
	const struct page *p = &pages[W.node[i].disk.page[place]];
	struct dirtymap dm = {.words = (uint64_t[1]){p->bits},
	    .sum = (uint64_t[1]){p->bits != 0},
	    .nbits =
		place == AT_BITMAP ? C->cells * MMETA_CHUNK_BITS : C->cells,
	    .room = 64};

	if (place == AT_INTENT || place == AT_BITMAP)
		mmeta_page_encode(bytes, TAG,
		    place == AT_BITMAP ? MMETA_BITMAP : MMETA_INTENT, 0, 0,
		    &dm);
	else if (p->valid)
		mmeta_sb_encode(&p->sb, bytes);
	else
		memset(bytes, 0, MMETA_PAGE);
}

const struct mmeta_sb *
world_sb(uint32_t page)
{
	ASSERT(page < n_pages);
	return pages[page].valid ? &pages[page].sb : NULL;
}

uint64_t
world_bits(uint32_t page, enum mmeta_map map)
{
	ASSERT(page < n_pages && (map == MMETA_INTENT || map == MMETA_BITMAP));
	return pages[page].bits;
}

/* Ops of the cores. */

static unsigned
index_of(const void *ctx)
{
	return (unsigned)((const struct node *)ctx - W.node);
}

static bool
covers(const struct mir_io *io, unsigned cell)
{
	uint64_t at = (uint64_t)cell * MMETA_CHUNK;

	return io->off <= at && at + MMETA_BLOCK <= io->off + io->len;
}

static enum place
place_of(uint64_t off)
{
	if (off == layout.sb_off[0])
		return AT_SB_A;
	if (off == layout.sb_off[1])
		return AT_SB_B;
	ASSERT(off == layout.intent_off || off == layout.bitmap_off[0]);
	return off == layout.intent_off ? AT_INTENT : AT_BITMAP;
}

static void
op_disk(void *ctx, const struct mir_io *io)
{
	struct node *n = ctx;
	struct op *o = n->disk.ops;
	uint64_t v;

	while (o < n->disk.ops + OPS && o->used)
		o++;
	ASSERT(o < n->disk.ops + OPS);
	memset(o, 0, sizeof(*o));
	o->used = true;
	o->io = *io;
	o->age = ++W.age;
	if (io->cmd == MIR_FLUSH) {
		memcpy(o->value, n->disk.cur, sizeof(o->value));
		return;
	}
	if (io->area == MIR_META) {
		o->place = (uint8_t)place_of(io->off);
		ASSERT(
		    io->len == MMETA_PAGE && (io->fua || io->cmd == MIR_READ));
		if (io->cmd == MIR_WRITE)
			o->page = page_put(io->buf, o->place);
		return;
	}
	for (unsigned c = 0; c < C->cells; c++) {
		if (!covers(io, c))
			continue;
		o->cells |= (uint8_t)(1 << c);
		v = 0;
		if (io->cmd == MIR_WRITE)
			memcpy(&v,
			    (uint8_t *)io->buf + c * MMETA_CHUNK - io->off, 8);
		ASSERT(v < VERS);
		o->value[c] = (uint8_t)v;
	}
}

static void
op_reply(void *ctx, uint64_t cookie, int error)
{
	unsigned i = index_of(ctx);
	struct req *r = &W.node[i].req[cookie];

	ASSERT(cookie < REQS && r->used);
	if (error == 0)
		world_acked(i, r);
	else if (error == ERR_IO && !W.node[i].sick)
		broken = "a write failed, and the disk here did not";
	memset(r, 0, sizeof(*r));
}

static void
op_send(void *ctx, uint8_t peer, const uint8_t *hdr, size_t hdr_len,
    const void *data, size_t data_len)
{
	struct node *from = ctx, *to = &W.node[peer - 1];
	struct msg *m;

	ASSERT(peer == 2 - index_of(ctx) && hdr_len == MP_HDR_LEN);
	if (!W.joined || !from->session || to->state == ST_OFF)
		return;
	ASSERT(to->n_in < MSGS);
	m = &to->in[to->n_in++];
	memset(m, 0, sizeof(*m));
	m->age = ++W.age;
	m->len = MP_HDR_LEN;
	memcpy(m->bytes, hdr, hdr_len);
	if (hdr_len + data_len > MSG_BYTES) {
		m->data_len = (uint32_t)data_len;
		memcpy(&m->value, data, 8);
	} else if (data_len > 0) {
		memcpy(m->bytes + hdr_len, data, data_len);
		m->len += (uint16_t)data_len;
	}
}

static void
op_timer(void *ctx, monotime_t at)
{
	(void)ctx;
	(void)at;
}

static void
op_done(void *ctx, uint64_t token, bool ok, const char *text)
{
	struct node *n = ctx;

	if (telling)
		printf("#        node %u: %s%s\n", index_of(ctx) + 1,
		    ok ? "done: " : "refused: ", text);
	if (token == TOKEN_PROMOTE ? !ok : token == TOKEN_DEMOTE)
		n->owner = false;
	if (token == TOKEN_STOP)
		n->stopping = ok;
}

static void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)level;
	(void)object;
	if (telling)
		printf("#        node %u: %s%s%s\n", index_of(ctx) + 1, rule,
		    rule[0] != '\0' ? ": " : "", text);
}

static void
op_changed(void *ctx)
{
	(void)ctx;
}

static const struct mir_ops ops = {
    op_disk, op_reply, op_send, op_timer, op_done, op_note, op_changed};

/* Saving and loading. */

static void
region(unsigned i, void *at, size_t len)
{
	ASSERT(n_regions[i] < REGIONS);
	regions[i][n_regions[i]++] = (struct region){at, len};
}

static void
find_regions(unsigned i)
{
	struct mir *m = cores[i];
	struct dirtymap *maps[] = {&m->bits, &m->bpage_dirty, &m->bpage_wait,
	    &m->intent, &m->istable, &m->isnap, &m->itouched, &m->icand,
	    &m->ipage_dirty, &m->ipage_busy};

	region(i, m, sizeof(*m));
	region(i, m->reqs, m->c.reqs_max * sizeof(*m->reqs));
	region(i, m->reps, m->c.peer_slots * sizeof(*m->reps));
	region(i, m->pieces, m->c.resync_pieces * sizeof(*m->pieces));
	for (unsigned k = 0; k < NITEMS(maps); k++) {
		ASSERT(maps[k]->room <= 64);
		region(i, maps[k]->words, 8);
		region(i, maps[k]->sum, 8);
	}
	/* Written twice, from the same buffer; what follows is zeroes. */
	region(i, m->sb_buf, MMETA_SECTOR);
	for (unsigned k = 0; k < m->c.peer_slots; k++)
		region(i, m->reps[k].buf, 8);
	for (unsigned k = 0; k < m->c.resync_pieces; k++)
		region(i, m->pieces[k].buf, 8);
	for (unsigned k = 0; k < REQS; k++)
		region(i, req_buf[i][k], 8);
}

static uint8_t *
core_save(unsigned i, uint8_t *to)
{
	for (unsigned k = 0; k < n_regions[i]; k++) {
		memcpy(to, regions[i][k].at, regions[i][k].len);
		to += regions[i][k].len;
	}
	return to;
}

static const uint8_t *
core_load(unsigned i, const uint8_t *from)
{
	for (unsigned k = 0; k < n_regions[i]; k++) {
		memcpy(regions[i][k].at, from, regions[i][k].len);
		from += regions[i][k].len;
	}
	return from;
}

size_t
world_size(void)
{
	return (2 * core_size + sizeof(W) + 7) & ~(size_t)7;
}

void
world_save(uint8_t *to)
{
	to = core_save(1, core_save(0, to));
	memcpy(to, &W, sizeof(W));
}

void
world_load(const uint8_t *from)
{
	from = core_load(1, core_load(0, from));
	memcpy(&W, from, sizeof(W));
}

void *
world_req_buf(unsigned i, unsigned k, uint64_t value)
{
	memcpy(req_buf[i][k], &value, 8);
	return req_buf[i][k];
}

/* Steps. */

bool
world_running(unsigned i)
{
	return W.node[i].state != ST_OFF && !W.node[i].frozen;
}

/* Does nothing remember an error of this disk? */
static bool
in_order(const struct mir *m)
{
	const struct mreq *r;

	if (!m->attached || m->meta_bad || m->meta_trial)
		return false;
	TAILQ_FOREACH (r, &m->req_active, link)
		if (r->local == L_FAIL)
			return false;
	return true;
}

/* As tell_svc of node_mir.c: were the copies compared since the start? */
static void
remember(unsigned i)
{
	struct node *n = &W.node[i];
	enum mir_conn conn = cores[i]->conn;
	bool compared = conn == MIR_CONN_INSYNC || conn == MIR_CONN_SOURCE ||
			conn == MIR_CONN_FINISH || conn == MIR_CONN_TARGET;

	n->sick = n->sick && !in_order(cores[i]);
	n->met = n->state != ST_INERT && (n->met || compared);
	if (W.node[0].state != ST_OFF && W.node[1].state != ST_OFF &&
	    cores[0]->conn == MIR_CONN_INSYNC &&
	    cores[1]->conn == MIR_CONN_INSYNC && W.joined) {
		W.sole = W.apart = 0;
		memset(W.acked_alone, 0, sizeof(W.acked_alone));
		for (unsigned k = 0; k < NODES; k++)
			W.node[k].unclean = W.node[k].lost = false;
	}
	if (cores[i]->solo) {
		W.sole |= (uint8_t)(1 << i);
		W.apart |= (uint8_t)(1 << i);
	}
}

void
world_step(unsigned i, struct mir_event *e)
{
	struct node *n = &W.node[i];

	ASSERT(world_running(i));
	e->now = W.now;
	mir_step(cores[i], e);
	/* Reading the metadata has no order that would matter. */
	for (unsigned k = 0; k < OPS; k++)
		if (n->disk.ops[k].used && n->disk.ops[k].io.area == MIR_META &&
		    n->disk.ops[k].io.cmd == MIR_READ) {
			world_io(i, k);
			return;
		}
	if (n->stopping && cores[i]->stopped)
		world_halt(i);
	else
		remember(i);
}

void
world_view(unsigned i)
{
	struct node *n = &W.node[i];
	struct mir_event e = {.type = MIR_VIEW};

	e.u.view.epoch = n->epoch;
	e.u.view.own_right = n->own_right;
	e.u.view.link = n->link;
	e.u.view.peer = n->state == ST_ALONE ? MIR_PEER_GONE
			: n->session         ? MIR_PEER_UP
					     : MIR_PEER_DOWN;
	e.u.view.doubt = n->state == ST_DOUBT;
	e.u.view.demoted = n->state == ST_INERT;
	e.u.view.no_lease = !e.u.view.demoted && n->no_lease;
	e.u.view.demoted |= e.u.view.no_lease;
	world_step(i, &e);
}

/* Pages and cells of one operation; its event is somebody else's. */
void
world_perform(unsigned i, struct op *o)
{
	struct disk *d = &W.node[i].disk;
	uint64_t v;

	if (o->io.cmd == MIR_FLUSH) {
		/* A later flush had this already, and perhaps newer. */
		if (o->age > d->flushed)
			memcpy(d->stable, o->value, sizeof(d->stable));
		if (o->age > d->flushed)
			d->flushed = o->age;
		return;
	}
	if (o->io.area == MIR_META) {
		if (o->io.cmd == MIR_WRITE)
			d->page[o->place] = o->page;
		else
			page_get(i, o->place, o->io.buf);
		return;
	}
	if (o->io.cmd == MIR_READ)
		memset(o->io.buf, 0, 8);
	for (unsigned c = 0; c < C->cells; c++) {
		if (!(o->cells >> c & 1))
			continue;
		v = d->cur[c];
		if (o->io.cmd == MIR_READ)
			memcpy(
			    (uint8_t *)o->io.buf + c * MMETA_CHUNK - o->io.off,
			    &v, 8);
		else
			d->cur[c] = o->value[c];
	}
}

void
world_io(unsigned i, unsigned k)
{
	struct op *o = &W.node[i].disk.ops[k];
	struct mir_event e = {.type = MIR_DISK};

	ASSERT(o->used);
	world_perform(i, o);
	e.u.disk.io = o->io.io;
	memset(o, 0, sizeof(*o));
	world_step(i, &e);
}

/* A superblock that was written halfway is none; a page or data are. */
void
world_error(unsigned i, unsigned k, bool done)
{
	struct disk *d = &W.node[i].disk;
	struct op *o = &d->ops[k];
	struct mir_event e = {.type = MIR_DISK};

	ASSERT(o->used && o->io.cmd != MIR_READ);
	if (done && o->io.area == MIR_META && o->place <= AT_SB_B)
		d->page[o->place] = DEAD_PAGE;
	else if (done)
		world_perform(i, o);
	e.u.disk.io = o->io.io;
	e.u.disk.error = ERR_IO;
	memset(o, 0, sizeof(*o));
	W.node[i].sick = W.node[i].unclean = true;
	world_step(i, &e);
}

void
world_deliver(unsigned i)
{
	static uint8_t bytes[MIR_MSG_MAX];
	struct node *n = &W.node[i];
	struct msg m = n->in[0];
	struct mir_event e = {.type = MIR_MSG};

	ASSERT(n->n_in > 0);
	n->n_in--;
	memmove(n->in, n->in + 1, n->n_in * sizeof(m));
	memset(&n->in[n->n_in], 0, sizeof(m));
	memcpy(bytes, m.bytes, m.len);
	if (m.data_len > 0)
		memcpy(bytes + MP_HDR_LEN, &m.value, 8);
	e.u.msg.from = (uint8_t)(other(i) + 1);
	e.u.msg.bytes = bytes;
	e.u.msg.len = m.len + m.data_len;
	world_step(i, &e);
	memset(bytes, 0, MSG_BYTES);
}

void
world_lose_messages(void)
{
	W.joined = false;
	for (unsigned i = 0; i < NODES; i++) {
		memset(W.node[i].in, 0, sizeof(W.node[i].in));
		W.node[i].n_in = 0;
	}
}

void
world_halt(unsigned i)
{
	struct node *n = &W.node[i];

	world_lose_messages();
	memset(n->disk.ops, 0, sizeof(n->disk.ops));
	memset(n->req, 0, sizeof(n->req));
	n->state = ST_OFF;
	n->frozen = n->stopping = n->session = n->own_right = n->met =
	    n->no_lease = n->owner = n->sick = false;
	core_load(i, fresh[i]);
}

void
world_boot(unsigned i)
{
	struct node *n = &W.node[i];
	struct mir_event e = {.type = MIR_START};

	ASSERT(n->state == ST_OFF);
	core_load(i, fresh[i]);
	n->state = ST_INERT;
	n->boots++;
	e.u.start.seed = n->boots * 1000003u + i * 17u + 1;
	world_step(i, &e);
	world_view(i);
}

static void
format(unsigned i, bool keep)
{
	struct mmeta_sb sb;
	uint8_t bytes[MMETA_PAGE];
	struct mmeta_new nw = {.cluster = mmeta_cluster("shop"),
	    .name = "orders",
	    .node = (uint8_t)(i + 1),
	    .peers = {(uint8_t)(other(i) + 1)},
	    .tag = TAG,
	    .keep = keep,
	    .volume_id = {1, 2, 3},
	    .current = 0x1000};
	uint64_t off[PLACES] = {layout.sb_off[0], layout.sb_off[1],
	    layout.intent_off, layout.bitmap_off[0]};

	mmeta_format(&sb, &layout, &nw);
	for (unsigned p = 0; p < PLACES; p++) {
		mmeta_format_page(&sb, &layout, off[p], bytes);
		W.node[i].disk.page[p] = page_put(bytes, p);
	}
}

static void
new_core(unsigned i)
{
	struct mir_conf mc = {.name = "orders",
	    .self = (uint8_t)(i + 1),
	    .peer = (uint8_t)(other(i) + 1),
	    .peer_name = "peer",
	    .cluster = mmeta_cluster("shop"),
	    .layout = layout,
	    .reqs_max = REQS,
	    .peer_slots = 4,
	    .window_bytes = 2 * HAD_IO_MAX,
	    .resync_pieces = 1};

	cores[i] = mir_new(&mc, &ops, &W.node[i]);
	ASSERT(cores[i] != NULL);
	find_regions(i);
	core_size = 0;
	for (unsigned k = 0; k < n_regions[i]; k++)
		core_size += regions[i][k].len;
	fresh[i] = malloc(core_size);
	ASSERT(fresh[i] != NULL);
	core_save(i, fresh[i]);
}

void
world_begin(const struct config *c)
{
	const char *why;

	C = c;
	ASSERT(crc_same());
	memset(&W, 0, sizeof(W));
	memset(n_regions, 0, sizeof(n_regions));
	W.now = (monotime_t){1000000};
	ASSERT(c->cells <= CELLS_MAX && c->writes < VERS);
	ASSERT(mmeta_plan(&layout, (uint64_t)c->cells * MMETA_CHUNK, false, 1,
		   &why) == 0);
	room_pages = 1024;
	pages = calloc(room_pages, sizeof(*pages));
	page_index = calloc(1u << PAGE_BITS, sizeof(*page_index));
	ASSERT(pages != NULL && page_index != NULL);
	n_pages = 1; /* DEAD_PAGE */
	for (unsigned i = 0; i < NODES; i++)
		new_core(i);
	for (unsigned i = 0; i < NODES; i++)
		format(i, i == 0);
	W.writes = c->writes;
	W.faults = c->faults;
	W.admin = c->admin;
	W.rifts = c->rifts;
}

void
world_end(void)
{
	for (unsigned i = 0; i < NODES; i++) {
		core_load(i, fresh[i]);
		mir_free(cores[i]);
		free(fresh[i]);
		cores[i] = NULL;
	}
	free(pages);
	free(page_index);
}
