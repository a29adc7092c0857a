/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two mirror cores of the daemon on disks with a volatile cache, joined by an
 * association that may break at any message, under an arbitration that grants
 * what src/node*.c would.  Time stands still; a timer is an event like others.
 *
 * Of each extent (the 64 KiB of one intent bit) only the first block is ever
 * written, and a block has one value: the number of the write that made it.
 * So the data of a disk are one byte per extent, and what lies in a buffer is
 * its first word.  Pages of metadata are kept once each and named by number.
 *
 * Files: mir_world.c the world and what the cores ask of it; mir_env.c what
 * may happen; mir_hash.c which states are the same; mir_check.c what must
 * hold; mir_ex.c the exploration.
 */
#ifndef MIR_WORLD_H
#define MIR_WORLD_H

#include <stddef.h>

#include "mirror_int.h"

enum {
	NODES = 2,
	CELLS_MAX = 4, /* extents */
	OPS = 12, /* of a disk, at once */
	MSGS = 16, /* on their way to a node */
	REQS = 3,
	VERS = 8, /* writes of a history, and zeroes */
	MSG_BYTES = MP_HDR_LEN + MP_IDENT_LEN,
	DEAD_PAGE = 0, /* garbage */
};

/* Of node.c: what membership says of this node. */
enum state { ST_OFF, ST_INERT, ST_PAIRED, ST_ALONE, ST_DOUBT };

enum place { AT_SB_A, AT_SB_B, AT_INTENT, AT_BITMAP, PLACES };

struct op {
	bool used;
	uint8_t place; /* META */
	uint8_t cells; /* DATA: bitmap, those in the range */
	uint8_t value[CELLS_MAX]; /* WRITE, ZERO; FLUSH: what gets stable */
	uint32_t page; /* META, WRITE */
	uint32_t age; /* flushes and orders by it */
	struct mir_io io;
};

struct disk {
	uint32_t page[PLACES];
	uint8_t cur[CELLS_MAX], stable[CELLS_MAX];
	uint32_t flushed; /* age of the last flush that took effect */
	struct op ops[OPS];
};

struct msg {
	uint16_t len; /* of bytes; 0: no message */
	uint32_t data_len; /* WRITE, PIECE, DATA: of the range */
	uint32_t age;
	uint64_t value; /* its first word */
	uint8_t bytes[MSG_BYTES];
};

struct req {
	bool used;
	uint8_t cell, version;
};

struct node {
	enum state state;
	bool frozen, stopping, session, own_right, met, no_lease;
	bool solo; /* durable: it was the last one that acted */
	bool owner; /* the service is, or is to be, here */
	bool unclean, lost; /* crashed, with its cache, since in sync */
	bool sick; /* its disk failed, and is not in order again */
	uint32_t link, boots;
	uint64_t epoch; /* durable */
	struct disk disk;
	struct req req[REQS];
	struct msg in[MSGS]; /* in order */
	uint8_t n_in;
};

struct world {
	struct node node[NODES];
	bool joined; /* an association */
	bool cut; /* no link */
	bool rift; /* both were told to go on alone */
	uint8_t sole; /* bitmap: went on alone, not in sync since */
	uint8_t apart; /* bitmap: was primary alone, not in sync since */
	uint8_t n_versions;
	uint8_t resolved; /* bitmap: the copies that an operator chose */
	uint8_t acked; /* bitmap of versions that must not get lost */
	uint8_t acked_alone[NODES]; /* of these, by one node only */
	uint8_t parent[VERS], cell[VERS];
	uint8_t writes, faults, admin, rifts; /* left */
	uint32_t age;
	monotime_t now;
};

/* In which order things that are under way come to pass. */
enum order {
	ORDER_AGE, /* as they began */
	ORDER_DISK, /* disks are fast, the network is slow */
	ORDER_NET,
	ORDER_FIRST, /* node 1 is fast */
	ORDER_SECOND,
	ORDER_LAST, /* the latest first */
	ORDER_ANY, /* every order */
	ORDERS
};

struct config {
	const char *name;
	enum order order;
	uint8_t cells, writes, faults, admin, rifts;
	bool fresh; /* node 2's copy is new, to begin with */
	bool quick; /* timers and voluntary acts only when all is at rest */
	bool errors; /* an operation of a disk fails */
};

enum ev_type {
	EV_NONE,
	EV_DELIVER, /* arg: unused */
	EV_IO, /* arg: op */
	EV_CLEAN, /* the timer of intents */
	EV_RETRY, /* that of metadata that could not be written */
	EV_RESTART, /* of a daemon that has given its disk up */
	EV_NOTICE, /* that the association is lost */
	EV_BOOT,
	EV_PAIR,
	EV_HEAL,
	EV_ALONE, /* arg: enum why_alone */
	EV_NO_LEASE,
	EV_PROMOTE,
	EV_THAW,
	EV_DECIDE, /* what comes of the doubt */
	EV_RESOLVE, /* a split brain: this node's copy is kept */
	EV_WRITE, /* arg: cell */
	EV_DEMOTE,
	EV_STOP,
	EV_CUT,
	EV_FREEZE,
	EV_CRASH, /* arg: outcome */
	EV_POWER, /* arg: outcome */
	EV_ERROR, /* arg: op, ERROR_DONE */
	EV_TYPES
};
enum { ERROR_DONE = 1 << 8 }; /* it was carried out, or half of it */
enum why_alone { ALONE_PAIRED, ALONE_SOLO, ALONE_BLIND, ALONE_RIFT };
struct event {
	uint8_t type, node;
	uint16_t arg;
};
enum { EVENTS_MAX = 512 };
enum { TOKEN_PROMOTE = 1, TOKEN_DEMOTE, TOKEN_STOP, TOKEN_RESYNC };

extern struct world W;
extern const struct config *C;
extern struct mir *cores[NODES]; /* owned */
/* What the last step broke, or NULL. */
extern const char *broken;
extern bool telling; /* notes of the cores are printed */

/* mir_world.c */
void world_begin(const struct config *);
void world_end(void);
size_t world_size(void);
void world_save(uint8_t *);
void world_load(const uint8_t *);
void world_step(unsigned node, struct mir_event *);
void world_view(unsigned node);
void world_boot(unsigned node);
/* The client's buffer of that request, with that in it. */
void *world_req_buf(unsigned node, unsigned req, uint64_t value);
void world_deliver(unsigned node);
void world_io(unsigned node, unsigned op);
void world_perform(unsigned node, struct op *);
void world_error(unsigned node, unsigned op, bool done);
void world_lose_messages(void);
void world_halt(unsigned node); /* the daemon is gone */
const struct mmeta_sb *world_sb(uint32_t page); /* NULL: damaged */
uint64_t world_bits(uint32_t page, enum mmeta_map); /* of the first word */
bool world_running(unsigned node);
static inline unsigned
other(unsigned i)
{
	return 1 - i;
}

/* mir_crc.c */
bool crc_same(void);

/* mir_env.c */
unsigned env_events(struct event *, unsigned max);
bool env_internal(struct event *); /* the next one in the order of C */
unsigned env_internals(struct event *, unsigned max); /* all */
void env_apply(struct event);
void env_name(struct event, char *buf, size_t size);
/* What is under way, else what mends something; false: all is at rest. */
bool env_mend(struct event *);

/* mir_hash.c */
uint64_t world_hash(void);

/* mir_check.c */
const char *world_broken(void);
const char *world_unequal(void); /* at rest, after mending */
void world_acked(unsigned node, const struct req *);
bool world_descends(uint8_t version, uint8_t from);
void world_print(void);

#endif
