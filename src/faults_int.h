/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of faults share: the world around two nodes.
 *
 *	faults.c	which faults there are; one run
 *	faults_verdict.c what became of the services
 *	faults_remedy.c	what would help
 *	faults_mend.c	faults are mended
 *	faults_hit.c	faults happen
 *	faults_world.c	time and events
 *	faults_host.c	a machine, its daemon and what that asks for
 *	faults_net.c	links and associations
 *	faults_disk.c	disks, the export of volumes, one writer for each
 *	faults_arbiter.c fence agents, voters, ping nodes, watchdogs
 */
#ifndef FAULTS_INT_H
#define FAULTS_INT_H

#include "faults.h"
#include "node.h"

#define MS INT64_C(1000)
#define NEVER INT64_MAX

enum {
	HOSTS = 2,
	/* Each link is a net; then the interfaces that have addresses only. */
	NETS = HAD_LINKS_MAX + 4,
	ASSOCS = 2 + HAD_LINKS_MAX, /* ctl, bulk, a heartbeat per link */
	DEVICE_BYTES = 128 << 10,
	WRITE_BYTES = 4096,
	BLOCKS = 16, /* that the writer uses, one after the other */
	CANCELS = 16,
};

#define FAULT_LIST(X) \
	X(CRASH) /* the machine stops dead, its ports stay on */ \
	X(POWER) /* it loses its power, and what is fed by it */ \
	X(DAEMON) /* had is killed */ \
	X(FREEZE) /* had is stopped, the kernel goes on */ \
	X(DISK) /* every volume's device fails */ \
	X(CABLE) /* one node's carrier goes */ \
	X(DIRECT) /* a cable without a switch: both carriers go */ \
	X(SILENT) /* nothing passes between the nodes, carriers stay */ \
	X(DOMAIN) /* the same on all links of one domain */ \
	X(SWITCH) /* dead: carriers go, so does all that is behind it */ \
	X(PINGS) /* all ping nodes */ \
	X(WITNESS) \
	X(LOCKDISK) \
	X(FENCE) /* one device of one node */
#define X(sym) FAULT_##sym,
enum fault_type { FAULT_LIST(X) FAULT_N };
#undef X

struct fault {
	enum fault_type type;
	uint8_t host; /* index, where it is about one */
	uint8_t which; /* net, lock disk or fence level */
	char name[96], mend[128];
};

struct faults {
	const struct conf *conf; /* lent */
	int service;
	struct fault list[FAULTS_MAX];
	unsigned n;
	uint8_t home[HAD_SERVICES_MAX]; /* node ids */
	/* Networks. */
	unsigned n_nets;
	struct net {
		char ifname[HOSTS][16];
		char name[HAD_NAME_MAX];
		int link; /* -1: addresses only */
		bool lan; /* clients, and all else outside, are behind it */
	} nets[NETS];
	bool any_lan;
};

struct world;
struct host;
struct ev {
	int64_t at;
	uint64_t seq;
	void (*fn)(struct world *, struct ev *);
	struct host *h; /* borrowed; NULL: of the world */
	uint32_t gen; /* of its daemon; an older one is ignored */
	uint64_t a, b, c;
	struct nd_event *mail; /* owned */
	char text[32];
	uint8_t *data; /* owned; bytes of mail */
	size_t len;
	void *buf; /* lent by a core until its disk operation is done */
};

/* One copy of a volume. */
struct copy {
	struct mmeta_layout layout;
	uint8_t bytes[DEVICE_BYTES];
};

/* A volume as this node serves it, and the program that writes there. */
struct serve {
	bool open, wanted, broken; /* broken: the last write failed */
	int64_t first_ack, last_ack; /* NEVER, 0: none */
	bool busy; /* one write is under way */
	bool due; /* the next one is scheduled */
	uint64_t cookie, number;
	int64_t issued;
	unsigned block;
	uint8_t buf[WRITE_BYTES];
};

struct host {
	struct world *w; /* borrowed */
	const struct conf_node *conf; /* borrowed */
	uint8_t idx, id;
	bool alive; /* the kernel runs */
	bool running, frozen; /* the daemon */
	bool outlet_off; /* a fence device has switched it off */
	bool disk_failed;
	bool hit; /* down by a fault, not by who decides */
	bool carrier[NETS];
	uint32_t gen, timer_serial;
	uint64_t incarnation;
	struct sf_record record; /* durable */
	bool record_set;
	struct nd *nd; /* owned */
	struct copy *copies; /* owned; one per volume */
	struct serve serve[HAD_VOLUMES_MAX];
	/* Steps that are started. */
	bool active[HAD_SERVICES_MAX][HAD_STEPS_MAX];
	uint32_t cancelled[CANCELS];
	unsigned n_cancelled;
	/* Addresses behind their guard. */
	bool addr[HAD_ADDRESSES_MAX];
	struct vip_set open;
	int64_t open_until;
	int64_t persist_at;
	/* Arbiters as this node sees them. */
	uint8_t voters_up; /* bitmap, as told */
	bool pings_told;
	int64_t voter_since[HAD_VOTERS_MAX], pings_since; /* differs since */
	int64_t fed_at;
	struct agent {
		uint32_t token; /* 0: free */
		uint8_t level;
		enum arb_action action;
	} agents[4];
	int op_code; /* answer to the last request; -1: none yet */
};

struct end {
	bool up;
	int64_t bad_since, last_at; /* no path; last arrival */
};

struct world {
	const struct faults *f; /* lent */
	const struct conf *conf; /* lent */
	int64_t now;
	uint64_t seq, numbers;
	struct ev **heap; /* owned */
	size_t heap_n, heap_size;
	struct ev *spare; /* owned; linked by data */
	struct host host[HOSTS];
	bool silent[NETS], dead[NETS];
	int64_t net_changed;
	struct end assoc[ASSOCS][HOSTS];
	/* Arbiters. */
	bool witness_lost, pings_lost, disk_lost[HAD_LOCK_DISKS_MAX];
	bool fence_lost[HOSTS][HAD_FENCES_MAX];
	struct {
		uint64_t epoch;
		uint8_t holder;
	} voters[HAD_VOTERS_MAX];
	/* Acknowledged writes: the newest number of each block. */
	uint64_t acked[HAD_VOLUMES_MAX][BLOCKS];
	bool both[HAD_VOLUMES_MAX]; /* two nodes acknowledged in turns */
	/* What the verdict is made of. */
	int64_t hit_at; /* of the last fault; NEVER: none yet */
	int64_t changed; /* last time that something below changed */
	struct {
		int on; /* host that it can be had from, -1 = none */
		int64_t away_since, away_us, held_us;
	} seen[HAD_SERVICES_MAX];
	bool doubled;
	struct nd_status *st; /* owned; scratch */
};

/* faults_world.c */
struct world *world_new(const struct faults *);
void world_free(struct world *);
struct ev *world_at(struct world *, int64_t us,
    void (*fn)(struct world *, struct ev *), struct host *);
/* An event for a daemon after so many microseconds. */
struct ev *world_mail(struct host *, int64_t us, enum nd_ev);
uint8_t *world_bytes(struct ev *, size_t len); /* owned by the event */
void world_run(struct world *, int64_t ms);

/* faults_host.c */
void host_start(struct host *);
/* After host_kill, or instead of the daemon that is there. */
void host_restart(struct host *);
void host_kill(struct host *, bool kernel); /* kernel: that too */
void host_step(struct host *, const struct nd_event *);
bool host_up(const struct host *); /* its daemon is there and runs */
struct host *host_other(struct host *);
/* Is the address heard from there, by clients? */
bool host_answers(const struct host *, uint16_t address);
const struct nd_status *host_status(struct host *);
int host_ask(struct host *, enum nd_op, int service, uint8_t node);

/* faults_net.c */
void net_start(struct world *);
void net_tick(struct world *);
void net_killed(struct host *); /* its kernel ends what its daemon had */
void net_carrier(struct host *, unsigned net, bool up);
bool net_works(const struct world *, unsigned link);
void net_send(struct host *, enum nd_kind, uint8_t link, const struct nd_buf *,
    unsigned n);
bool net_outside(const struct host *); /* does it reach anything there */

/* faults_disk.c */
/* keep: with data; otherwise it takes the other node's. */
int disk_format(struct host *, bool keep, const char **why);
void disk_op(struct host *, uint16_t vol, const struct mir_io *);
void disk_export(struct host *, uint16_t vol, bool on);
void disk_reply(struct host *, uint16_t vol, uint64_t cookie, int error);
/* The programs write at once: what does the fault do to that? */
void disk_write_now(struct host *);
/* Has that copy all acknowledged writes, as far as they were not replaced? */
bool disk_complete(const struct host *, uint16_t vol);

/* faults_arbiter.c */
void arbiter_start(struct host *);
void arbiter_tick(struct host *);
void arbiter_vote(struct host *, uint8_t voter, uint64_t epoch);
void arbiter_fence(struct host *, uint8_t node, uint8_t level, enum arb_action,
    uint32_t token);
void arbiter_cancel(struct host *, uint32_t token);

/* faults_remedy.c: tries what would help; false: nothing that is typed does */
bool remedy(struct world *, uint16_t service, struct faults_outcome *);
/* Is it back, and nothing lost, within a minute?  from: when that began. */
bool remedy_waits(struct world *, uint16_t service, int64_t from);

/* faults_mend.c: what a fault has done is put right */
void mend(struct world *, const struct fault *);
/* What was switched off for a fault stays so until somebody starts it. */
bool mend_starts(struct world *, char *what, size_t size);

/* faults_hit.c */
void hit(struct world *, const struct fault *);

/* faults_verdict.c */
void verdict_look(struct world *); /* after every event */
bool verdict_calm(const struct world *);
/* Is everything that the service consists of there? */
bool verdict_runs(const struct host *, uint16_t service);
/* Are acknowledged writes lost, or about to be?  Then why. */
bool verdict_at_risk(
    const struct world *, uint16_t service, char *why, size_t size);
void verdict(struct world *, const struct fault *first,
    const struct fault *second, struct faults_outcome *);

#endif
