/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers and shared addresses of a world.
 *
 *	sim_vr_conf.c	which ones a seed draws
 *	sim_vr_file.c	the file of each node: which of them it has, and reloads
 *	sim_vr.c	their LAN, interfaces, guard, and what ails them
 *	sim_vr_judge.c	what must hold: I1, I6 and I7 for them
 *	sim_share.c	all of that for addresses that both nodes share
 */
#ifndef SIM_VR_H
#define SIM_VR_H

#include "sim.h"

enum {
	VR_ROUTERS = 5, /* of one world */
	/* Elected and shared ones; their numbers follow ADDRESSES. */
	VR_ADDRS = 12,
	VR_TEXT = 4096,
	VR_NOWHERE = UINT16_MAX, /* a node's daemon does not know it */
};

/*
 * All that any file ever has is the world's configuration, and its numbers are
 * those of the world.  A file has some of it, and its daemon numbers that as
 * it comes.
 */
struct vr_file {
	bool router[VR_ROUTERS], addr[VR_ADDRS];
	int rank[VR_ROUTERS][HOSTS]; /* -1: as in the world's */
	uint32_t every_ms[VR_ROUTERS]; /* 0: as in the world's */
	bool renamed[VR_ROUTERS]; /* its name is another */
};

/* One thing that an operator changes. */
struct vr_edit {
	enum { ED_NONE, ED_ROUTER, ED_ADDR, ED_RANK, ED_EVERY, ED_NAME } what;
	unsigned which; /* router, or number of an address */
	bool there; /* ED_ROUTER, ED_ADDR; ED_NAME: as in the world's */
	unsigned node; /* ED_RANK: of this host */
	unsigned value; /* ED_RANK, ED_EVERY */
};

/* What the kernel lets speak, and until when: true time. */
struct vr_guard {
	struct vip_set open; /* by the daemon's numbers */
	int64_t until;
};

struct vr_host {
	struct vr_file file;
	/* What its daemon has for the world's numbers, or VR_NOWHERE. */
	uint16_t router_at[VR_ROUTERS], addr_at[VR_ADDRS];
	bool addr[VR_ADDRS]; /* on the interface */
	struct vr_guard elected, shared;
	uint64_t buckets; /* of the guard */
	bool no_file; /* the tracked one is not there */
	int lost_permille; /* of the adverts that it sends */
	int64_t told_at; /* the latest that its daemon is to hear */
	int64_t failed_at; /* an address could not be added; NEVER */
	uint64_t moves[VR_ROUTERS]; /* transitions seen */
	unsigned reloads; /* numbers of before mean nothing */
	bool tidying;
};

struct vr_world {
	struct vr_host host[HOSTS];
	char *text; /* owned; the blocks of the world's configuration */
	bool reloads; /* operators change the files */
	int64_t down_us; /* of the slowest router: when a master is dead */
	int64_t every_us; /* its interval */
	int64_t delay_us; /* at most, before a start or a preemption */
	/* Not since then could adverts, could words be relied on. */
	int64_t lan_bad_at, words_bad_at;
	/* Since when both answer for it (NEVER), and who did last. */
	int64_t since[2][VR_ADDRS]; /* the node answers; 0: it does not */
	int64_t twice_at[VR_ADDRS];
	bool asleep[VR_ADDRS]; /* one of them did not run by then */
	int64_t alone_at; /* since when one node can, the other cannot; NEVER */
	unsigned alone; /* which */
	int64_t still_at; /* no router has moved since, nor had cause to */
	int64_t changed_at[VR_ROUTERS]; /* a reload did, or it moved by that */
	/* Both answered for the same clients when that was excused, and do. */
	bool shares_twice;
	unsigned doubles, looks; /* counted */
};

/* sim_vr_conf.c: what one world draws. */
struct vr_drawn {
	char text[VR_TEXT];
	bool any, reloads;
	uint32_t late; /* bitmap: routers that are in no file at first */
};
void rt_draw(
    uint64_t seed, unsigned world, unsigned n_hosts, struct vr_drawn *);
bool rt_drawn(uint64_t seed); /* has it any? */

/* sim_vr_file.c */
void rt_files(struct world *, const struct vr_drawn *);
/* Its daemon reads its file and starts. */
void rt_read(struct host *);
uint16_t rt_number(const struct host *, uint16_t id); /* the world's */
/* The operator edits the file, and asks for a reload if it runs. */
void rt_edit(struct host *, const struct vr_edit *);
void rt_has(struct host *, unsigned router, bool there);
void rt_has_addr(struct host *, unsigned id, bool there);
void rt_rename(struct host *, unsigned router);
/* A new priority or skew of that node, in its file. */
void rt_rank(struct host *, unsigned router, uint8_t rank);
/* The daemon does it.  False: it was refused, and nothing changed. */
bool rt_reload(struct host *, struct mail *);
/* Its daemon has it, to stay. */
bool rt_configured(const struct host *, unsigned router);
const struct conf_router *rt_router(const struct host *, unsigned router);
void rt_files_swarm(struct sim *);
void rt_files_heal(struct world *);

/* sim_vr.c */
void rt_init(struct world *, const struct vr_drawn *);
void rt_free(struct world *);
void rt_started(struct host *);
void rt_killed(struct host *, bool power);
void rt_thawed(struct host *, int64_t us); /* its clock stood still, too */
void rt_carrier(struct host *);
void rt_heal(struct world *);
void rt_swarm(struct sim *); /* their own faults */
/* It waits for a daemon that does not run: what it makes untrue does not. */
void rt_overtaken(struct host *, const struct mail *);
/* What a daemon reads first of what waits: at, or an advert. */
struct mail **rt_first(struct host *, struct mail **at);
void rt_addr_add(struct host *, uint16_t id);
void rt_addr_del(struct host *, uint16_t id);
void rt_lease(void *ctx, uint64_t seq, const struct vip_set *, monotime_t);
void rt_send(
    void *ctx, uint16_t ifx, const uint8_t *frame, size_t len, bool resolve);
void rt_flush(void *ctx);
bool rt_open(const struct host *, unsigned id); /* its guard, any kind */
bool rt_answers(const struct host *, unsigned id); /* an elected one */
bool rt_holds(const struct host *, unsigned router); /* all its addresses */
struct vr_host *rt_host(const struct host *);
void rt_file(struct host *, bool there);
void rt_lose(struct host *, int permille);
void rt_release(struct host *, unsigned router); /* hactl release */
void rt_bounds(struct world *, const struct conf *); /* what it may take */
void rt_tell(struct host *); /* its interface, what is tracked */
void rt_set_guard(
    struct host *, struct vr_guard *, const struct vip_set *, monotime_t);

/* sim_vr_judge.c */
void rt_check(struct world *); /* something answers, or ceases to */
void rt_round(struct world *); /* now and then */
void rt_words_lost(struct world *);
bool rt_words_passed(struct world *);
void rt_disturbed(struct world *); /* a router may move by right */
/* Only this one, and those of its group. */
void rt_changed(struct world *, unsigned router);
void rt_anew(struct world *); /* and whoever is alone waits anew */
void rt_jumped(const struct host *); /* its clock */
const char *rt_unsettled(struct world *); /* why not, one line; or NULL */

/* sim_share.c */
void share_lease(void *ctx, uint64_t seq, const struct vip_set *, monotime_t);
void share_serve(void *ctx, uint32_t seq, uint64_t buckets);
/* Whose clients it answers now. */
uint64_t share_answers(const struct host *, unsigned id);
void share_check(struct world *);
const char *share_unsettled(struct world *);
/* It could serve all since a bound. */
void share_survivor(struct host *);

#endif
