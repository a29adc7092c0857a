/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The deterministic simulator: one to five nodes (src/node.c, the very objects
 * of the daemon) in simulated worlds.  A world is one cluster, of two nodes or
 * of one; up to three of them share a LAN, a witness and one heap of events by
 * true time; each node has its own clock that drifts.  Everything random comes
 * from one seed, so the same seed gives the same history, and its hash says so.
 * README.md says which invariant is checked where, and what is excused.
 *
 *	sim_world.c	time, events, randomness, trace
 *	sim_host.c	a machine: power, daemon, clock, pause, ops of the node
 *	sim_net.c	links, associations, what a kernel answers
 *	sim_disk.c	backing disks with a volatile cache
 *	sim_svc.c	steps, exports, addresses behind their guard
 *	sim_vr.c	virtual routers: their LAN and their guard
 *	sim_vr_judge.c	and what they promise
 *	sim_vr_file.c	each node's file of them, which operators edit
 *	sim_share.c	addresses that both nodes share
 *	sim_vol.c	the writer of the volume and what it may read back
 *	sim_lock.c	clients of the lock manager
 *	sim_conf.c	the configuration that a seed draws
 *	sim_vr_conf.c	and its routers and shared addresses
 *	sim_arb.c	voters, fence agents, watchdogs, ping nodes, adverts
 *	sim_witness.c	the witness that all clusters share
 *	sim_judge.c	what must hold in the end
 *	sim_watch.c	what must hold while faults come: I6, I7, I8
 *	sim_swarm.c	faults at random
 *	sim_cells.c	the cells of the state machines that were taken
 *	sim_par.c	many seeds by several processes
 *	sim_min.c	the fewest faults that break the same promise
 *	sim_fast.c	failovers and nothing else
 *	sim_scene*.c	named stories
 */
#ifndef SIM_H
#define SIM_H

#include <stdio.h>

#include "node.h"
#include "wire.h"
#include "witness_core.h"

enum {
	WORLDS = 3, /* clusters on one LAN */
	HOSTS = 2, /* of one cluster */
	LINKS = 2, /* 0 = cross, 1 = lan */
	LAN = 1,
	STREAMS = 3,
	DISK_BYTES = 2 << 20,
	SECTOR = 512,
	SECTORS = DISK_BYTES / SECTOR,
	ADDRESSES = 2,
	SERVICES = 2, /* 0: with data, 1: an address only */
	VIEW_BLOCKS = 96, /* blocks of 4 KiB that the writer uses */
	LOCKERS = 4, /* clients per host */
	LOCK_NAMES = 3,
	OPS_MAX = 64, /* operator requests under way */
	LEVELS = 2, /* fence agents of a node */
	VOTERS = 4, /* the witness and lock disks */
	AGENT_JOBS = 4,
	TOLD = 128,
};

/* What the configuration has.  None of the first five: takeover. */
enum {
	W_WAIT = 1, /* silent peer wait */
	W_FENCE = 2,
	W_WITNESS = 4,
	W_DISKS = 8, /* two lock disks */
	W_DISK = 16, /* one more */
	W_WATCHDOG = 32,
	W_PINGS = 64,
	W_SYSRQ = 128, /* self fence sysrq */
	W_STARVE = 256, /* self fence watchdog */
	W_DOMAIN = 512, /* the kernel says that both links share a device */
	W_ADVERTS = 1024, /* the daemons announce themselves on the LAN */
	W_CHECK = 2048, /* the service's health is asked for */
	W_VOTERS = W_WITNESS | W_DISKS | W_DISK,
	W_ARBITER = W_FENCE | W_VOTERS,
};

#define MS INT64_C(1000)
#define SEC INT64_C(1000000)
#define NEVER INT64_MAX

struct sim;
struct world;
struct host;
struct scene;
struct plan;
struct vr_world;

struct ev {
	int64_t at;
	uint64_t seq;
	void (*fn)(struct world *, struct ev *);
	struct world *w; /* borrowed */
	struct host *h; /* borrowed; NULL: of the world */
	uint32_t gen; /* of what it belongs to, checked by fn */
	uint64_t a, b, c;
	void *data; /* owned; a mail or bytes */
	size_t len;
};

/* Where mail comes from; within one it stays in order. */
enum source {
	FROM_TIMER,
	FROM_DISK,
	FROM_STATE,
	FROM_STEPS,
	FROM_EXPORT,
	FROM_VIP,
	FROM_CTL,
	FROM_VOL,
	FROM_LOCK,
	FROM_ARB,
	FROM_PING,
	FROM_LAN, /* adverts of virtual routers */
	FROM_NET, /* + index of the association */
	SOURCES = FROM_NET + 8,
};

/* Something for a daemon, which may be frozen when it comes. */
struct mail {
	struct nd_event e;
	uint32_t gen; /* of the daemon */
	enum source source;
	uint64_t serial; /* of a timer */
	int64_t sent; /* of a message: when its peer sent it */
	char text[128];
	struct mail *next;
	size_t len;
	uint8_t data[]; /* bytes of e */
};

struct disk_op {
	uint32_t io;
	enum mir_cmd cmd;
	enum mir_area area;
	bool fua, used;
	uint64_t off;
	uint32_t len;
	uint32_t serial;
	void *buf; /* lent by the core */
	uint8_t *copy; /* owned: what was to be written; or a flush' list */
	size_t n; /* sectors in a flush' list */
};
enum { DISK_OPS = 512 };

struct disk {
	struct mmeta_layout layout;
	uint8_t stable[DISK_BYTES], cache[DISK_BYTES];
	uint64_t dirty[SECTORS / 64]; /* bitmap: cache differs from stable */
	uint64_t touched[SECTORS / 64]; /* since the copies were compared */
	/* The last operation asked for when it was what is stable now. */
	uint32_t since[SECTORS];
	uint8_t bad[SECTORS]; /* BAD_* */
	struct disk_op ops[DISK_OPS];
	uint32_t serial;
	bool dead; /* every operation fails */
	int64_t slow_until, slow_us;
};
enum { BAD_READ = 1, BAD_WRITE = 2 };

/* One use of the exported volume: from export to its end. */
struct session {
	bool open, wanted; /* serving; not asked to end */
	uint32_t serial;
	int64_t first_ack, last_ack; /* of writes; NEVER, 0: none */
	unsigned inflight;
};

struct host {
	struct world *w; /* borrowed */
	uint8_t id;
	unsigned idx;
	const char *name; /* borrowed */
	bool waking; /* goes on, and its daemon has not done so yet */
	bool powered, running, paused, pumping, pump_due, stopping;
	bool frozen; /* the whole machine: kernel, disk and watchdog too */
	int64_t paused_at, stopped_us; /* when; total of it */
	/* It stood still and cannot know it; see machine_thaw. */
	int64_t thawed_at;
	bool misled, untold;
	uint32_t gen; /* of the daemon; of powered: see boot */
	uint32_t boot;
	int64_t clock_true, clock_local;
	int drift_ppm;
	uint64_t timer_serial;
	int64_t timer_at; /* its clock; INT64_MAX: none */
	struct conf *conf; /* of its daemon; owned if the world has routers */
	struct nd *nd; /* owned */
	struct mail *inbox, **inbox_end; /* owned */
	struct sf_record record;
	bool record_set;
	struct sf_record pending; /* being written */
	unsigned n_pending;
	int64_t persist_at;
	bool carrier[LINKS];
	struct disk disk;
	struct session vol;
	/* addresses */
	bool addr[ADDRESSES];
	struct vip_set open;
	int64_t open_until; /* true time */
	/* services: started and not stopped, leftovers included */
	bool active[SERVICES][HAD_STEPS_MAX];
	bool mute_steps; /* they hang until cancelled */
	int fail_permille; /* of the steps */
	int64_t stop_failed_at[SERVICES]; /* or a clean-up; 0: never */
	int64_t retried_at[SERVICES]; /* last seen to wait because of that */
	bool disk_sick; /* some sectors are bad */
	bool stale; /* its copy lacks an acknowledged write */
	struct { /* commands under way, to be cancelled */
		uint32_t token;
		uint16_t service;
		uint8_t step;
		enum svc_action action;
		bool used;
		bool hung; /* until it is cancelled */
	} jobs[16];
	struct nd_status *st; /* owned; scratch */
	/* arbitration */
	bool watchdog, starving; /* its watchdog runs; it is not to be fed */
	bool clean; /* ended so that the watchdog was disarmed */
	int64_t fed_at;
	bool ping_cut, ping_told, pings_up;
	int64_t ping_since; /* that it differs from what was told */
	struct { /* what its daemon asked of a voter */
		uint32_t serial;
		uint64_t epoch;
		bool open, up; /* waits; was told that it answers */
		int64_t since; /* that this is not so */
	} ask[VOTERS];
	struct { /* agents that run */
		bool used;
		uint32_t token;
		uint8_t level;
		enum arb_action action;
	} agents[AGENT_JOBS];
	/* within some seconds; I8 */
	struct {
		int64_t since;
		unsigned votes[VOTERS], offs[LEVELS], queries[LEVELS];
		monotime_t heard; /* the peer, before that silence */
	} tries;
	/* within the last second; I8 */
	struct {
		int64_t since;
		unsigned sends[ND_KINDS], persists, steps;
	} rate;
	struct { /* what was logged last, by a hash of it; I8 */
		uint64_t what;
		int64_t at;
		unsigned n;
	} told[TOLD];
	unsigned told_next;
	int64_t voters_at; /* since then most voters answer; NEVER */
	unsigned resets; /* by a watchdog, an agent or itself */
};

/* The machine or the device that a voter is on, and what ails it. */
struct box {
	bool down, read_only;
	int lost_permille; /* of the answers */
	int64_t slow_us;
	uint32_t boot; /* counts: what it had not written is gone */
};

/* Grants an epoch of one cluster to one node, for ever. */
struct voter {
	struct world *w; /* borrowed: the cluster that it is for */
	struct box *box; /* borrowed: the witness', or own */
	struct box own;
	uint64_t epoch; /* durable */
	uint8_t holder;
	bool cut[HOSTS];
	uint64_t asked[HOSTS]; /* the highest epoch that each asked for */
	uint64_t had[HOSTS]; /* and the highest that each was given */
	/* the witness: */
	bool witness;
	struct wit *wit; /* owned; NULL: it is not there, or just came */
	uint32_t boot; /* of the box, when wit began */
};

/* One level of the agents that switch a host off. */
enum agent_how {
	AG_GOOD,
	AG_FAIL,
	AG_HANG,
	AG_LATE, /* says it is done, and it will be */
	AG_BOASTS, /* says it is done, does nothing, but status is true */
	AG_MUTE, /* does it, and cannot say */
	AG_LIAR, /* does nothing and says that it is off */
	AG_HOWS
};
struct agent {
	enum agent_how how;
	bool cut[HOSTS]; /* from that host */
};

struct msg {
	uint8_t *data; /* owned */
	size_t len;
	uint64_t serial;
	bool arrived;
	int64_t sent;
	struct msg *next;
};

struct end {
	bool up; /* the kernel has an association of that id */
	bool told; /* and its daemon knows */
	bool closing; /* shutdown under way: takes nothing more */
	uint32_t id;
	int64_t bad_since; /* no way to the other end; NEVER: fine */
	int64_t refused_at, alive_at; /* not before: next report */
	struct queue { /* of what it sends, per stream */
		struct msg *head, **tail; /* owned */
		size_t bytes;
	} q[STREAMS];
};

struct assoc {
	enum nd_kind kind;
	uint8_t link;
	unsigned idx;
	uint32_t id; /* of the newest */
	bool connecting;
	bool mute; /* heartbeats get lost in it */
	int64_t patience_us;
	struct end end[HOSTS];
};
enum { ASSOCS = 2 + LINKS };

/* One direction of a link, from host d. */
struct wire_dir {
	bool cut;
	bool clogged; /* heartbeats pass, nothing else */
	int twice_permille; /* heartbeats that come twice */
	int loss_permille;
	int64_t delay_us, jitter_us;
	int64_t changed; /* when cut changed */
};
struct link {
	struct wire_dir dir[HOSTS];
	int64_t impaired_since; /* NEVER: works both ways */
	int64_t whole_at; /* and well since then; NEVER: it is not */
};

/* A version of one sector that the volume may hold. */
struct version {
	uint32_t v;
	bool zero, flushed;
	int64_t issued, acked, ended; /* NEVER: not yet */
	uint32_t session;
};
enum { VERSIONS = 16 };
struct unit {
	struct version v[VERSIONS];
	unsigned n;
};

struct vreq {
	bool used;
	struct host *h; /* borrowed */
	uint32_t gen, session;
	uint64_t cookie;
	enum mir_cmd cmd;
	bool fua;
	uint64_t off;
	uint32_t len, version;
	int64_t issued;
	uint8_t *buf; /* owned */
};
enum { VREQS = 24 };

struct locker {
	struct host *h; /* borrowed */
	uint32_t slot; /* client number */
	bool open, opened;
	uint32_t gen;
	uint8_t space;
	enum { LK_IDLE, LK_ASKED, LK_HELD, LK_CONVERT, LK_UNLOCK } state;
	uint8_t name, mode, want;
	uint64_t lock, cookie, token;
	int64_t asked;
	/* The right as the client believes in it; judged at true time. */
	bool holds;
	uint8_t held_mode, held_name;
	int64_t held_until; /* NEVER, or its last grace */
	bool misled; /* promised by a machine that had stood still */
};

/* What all worlds of a seed share. */
struct sim {
	uint64_t seed, rng;
	int64_t now; /* true */
	uint64_t seq;
	struct ev **heap; /* owned */
	size_t heap_n, heap_size;
	struct ev *spare; /* owned; linked by data */
	uint64_t hash;
	struct plan *plan; /* borrowed; which faults happen; NULL: all */
	unsigned fault_n; /* faults that were due */
	FILE *telling; /* borrowed; what a fault says goes there too */
	bool verbose, failed;
	const char *scene; /* borrowed; NULL: a random run */
	FILE *out; /* borrowed */

	struct world *world[WORLDS]; /* owned */
	unsigned n_worlds;
	struct box witness;

	/* the swarm */
	uint32_t menu; /* kinds of faults */
	bool calm; /* everything is healed, no more faults */
	unsigned faults, violations;

	char *ring; /* owned; the last lines */
	unsigned ring_next;
};

struct world {
	struct sim *sim; /* borrowed */
	unsigned idx;
	unsigned n_hosts; /* the others of host[] are never powered */
	struct conf *conf; /* owned */
	uint32_t with; /* W_* */
	bool takeover; /* silent peer takeover */
	struct host host[HOSTS];
	struct voter voter[VOTERS];
	unsigned n_voters;
	struct agent agent[HOSTS][LEVELS]; /* that switch this host off */
	unsigned arb_faults; /* of voters, agents and ping nodes; heal as one */
	bool stays_off; /* what was fenced does not boot by itself */
	/*
	 * An agent or an operator lied, or two faults met that no rule covers:
	 * what I1, I2 and I3 promise, and an end without an operator, is not
	 * promised until the copies have met; see README.md.
	 */
	bool lied;
	struct link link[LINKS];
	struct assoc assoc[ASSOCS];
	int64_t late_us; /* a daemon hears so late, at most, that one is up */

	/* the writer */
	struct unit *units; /* owned; one per sector of the blocks used */
	uint32_t version, session;
	uint64_t cookie;
	struct vreq req[VREQS];
	int64_t vol_gap_us; /* mean between requests; 0: no writer */
	bool trim_ok, overlap_ok;

	struct locker locker[HOSTS * LOCKERS];
	int64_t lock_gap_us; /* 0: no lockers */
	bool lock_calm; /* ask for nothing new */
	uint64_t max_token[LOCK_NAMES][LKM_COUNT];

	struct { /* operator requests not answered yet */
		uint64_t token;
		uint32_t gen;
		struct host *h; /* borrowed */
		int64_t asked;
		enum nd_op op;
	} ops[OPS_MAX];
	uint64_t op_token;
	int op_code; /* of the last answer */
	char op_text[512];

	/* the swarm */
	unsigned disk_victim; /* the host whose disk may fail */
	int64_t total_cut_at; /* last time that no link worked; NEVER: never */
	bool cut_off; /* none has, and carried words for a lease, since */
	int64_t words_since; /* that a link does */

	struct vr_world *vr; /* owned; NULL: no routers, nothing shared */

	/* what is being watched: see sim_watch.c */
	int64_t quiet_at; /* since then all is well; NEVER: it is not */
	bool undecided; /* all was, until one node died */
	int64_t hold_at; /* since then the other could act; NEVER: it cannot */
	int teller; /* by whom it knows since then (sim_watch.c) */
	bool retold; /* that was somebody else before */
	unsigned windows, holds; /* that were looked at */

	/* counted */
	unsigned failovers;
	unsigned acks, reads, grants, excused, fenced, leases, lies;
	int active_host; /* that acknowledged last, -1 = none */
};
enum { RING_LINES = 400, RING_LEN = 200 };

/* sim_world.c */
struct sim *sim_new(
    uint64_t seed, const struct scene *, FILE *out, bool verbose);
void sim_free(struct sim *);
uint64_t rnd(struct world *);
int64_t rnd_in(struct world *, int64_t lo, int64_t hi); /* both included */
bool chance(struct world *, int permille);
struct ev *at(struct world *, int64_t when,
    void (*fn)(struct world *, struct ev *), struct host *, uint32_t gen);
void run_until(struct world *, int64_t when);
void run_ms(struct world *, int64_t ms);
/* Runs until ok says so; false after ms. */
bool run_till(struct world *, bool (*ok)(struct world *), int64_t ms);
void mix(struct world *, uint64_t);
void mix_bytes(struct world *, const void *, size_t);
/* A line of the story; detail: only with -v. */
void say(struct world *, const char *fmt, ...) PRINTF_LIKE(2, 3);
void detail(struct world *, const char *fmt, ...) PRINTF_LIKE(2, 3);
void violation(struct world *, const char *rule, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void print_ring(struct world *, unsigned lines);
/*
 * Faults of one kind from first_us on, at most gap_us apart, until it is calm:
 * hit is called for each, unless it is to be left out.
 */
void faults_from(struct world *, int64_t first_us, int64_t gap_us,
    void (*hit)(struct world *));

/* sim_cells.c */
void cell_taken(enum nd_table, unsigned in, unsigned state);

/* sim_conf.c */
extern const char *const host_names[WORLDS][HOSTS];
/* How many clusters there are, and of how many nodes each is. */
unsigned shape_draw(uint64_t seed, unsigned n_hosts[WORLDS]);
uint32_t conf_draw(uint64_t seed, unsigned world, unsigned n_hosts);
/* more: the blocks of addresses, and of routers that have them. */
struct conf *conf_make(uint64_t seed, uint32_t with, unsigned world,
    unsigned n_hosts, const char *more);

/* sim_host.c */
void host_init(struct host *, struct world *, unsigned idx);
void host_free(struct host *);
struct host *other(struct host *);
int64_t local_of(const struct host *, int64_t t); /* its clock */
int64_t true_of(const struct host *, int64_t local); /* and back */
void host_power_on(struct host *); /* and start the daemon */
void host_power_off(struct host *); /* a power cut */
void daemon_start(struct host *);
void daemon_kill(struct host *); /* SIGKILL */
void daemon_stop(struct host *); /* SIGTERM */
void daemon_pause(struct host *);
void daemon_resume(struct host *);
/* The whole machine stands still, and its clock jumps when it goes on. */
void machine_freeze(struct host *);
void machine_thaw(struct host *, bool jump);
/* A kernel crash: no cache of a disk is lost. */
void host_crash(struct host *);
void clock_jump(struct host *, int64_t us);
void clock_drift(struct host *, int ppm);
/* Inside a machine that stands still nothing happens: it will, later. */
bool held(struct world *, struct ev *);
void deliver(struct host *, struct mail *);
struct mail *mail_new(struct host *, enum nd_ev, enum source);
struct mail *mail_bytes(
    struct host *, enum nd_ev, enum source, const void *, size_t);
/* The same, after so many microseconds, if that daemon still lives. */
void deliver_in(struct host *, struct mail *, int64_t us);
const struct nd_status *status(struct host *);
uint64_t operator(struct host *, enum nd_op, int service, uint8_t node);
uint64_t operator_resync(struct host *, uint8_t from);

/* sim_arb.c */
void arb_init(struct world *);
void arb_started(struct host *);
void arb_gone(struct host *); /* its daemon is */
void arb_heal(struct world *);
void arb_vote(struct host *, uint8_t voter, uint64_t epoch);
void arb_fence(struct host *, uint8_t node, uint8_t level, enum arb_action,
    uint32_t token);
void arb_fence_cancel(struct host *, uint32_t token);
void arb_self_fence(struct host *, const char *why);
/* It boots again by itself. */
void machine_reset(struct host *, const char *why);
/* Could it be decided from here: a level that works, or enough voters? */
bool arb_works(const struct world *, const struct host *);
bool voters_work(const struct world *, const struct host *);
bool voter_well(const struct world *, const struct host *, unsigned voter);
bool voter_reaches(const struct world *, const struct host *, unsigned voter);
/* What a voter says, to the daemon that asked it. */
void arb_answer(struct host *, unsigned voter, uint64_t epoch, enum arb_vote,
    uint8_t holder, uint64_t holder_epoch);

/* sim_witness.c */
void witness_ask(struct host *, unsigned voter, uint64_t epoch);
void witness_gone(struct host *, unsigned voter);
void witness_free(struct voter *);
void box_down(struct box *); /* and what it had not written is gone */

/* sim_net.c */
void net_init(struct world *);
void net_free(struct world *);
void net_tick(struct world *);
void net_send(struct host *, enum nd_kind, uint8_t link, uint16_t stream,
    const struct nd_buf *, unsigned n);
void net_killed(struct host *, bool aborts, bool goodbye);
/* One association ends by itself, in one of several ways. */
void net_break(struct world *, unsigned assoc);
void link_set(struct world *, unsigned link, unsigned from, bool cut);
void link_cut(struct world *, unsigned link);
void link_heal(struct world *, unsigned link);
void carrier_set(struct host *, unsigned link, bool up);
bool dir_works(const struct world *, unsigned link, unsigned from);
bool link_works(const struct world *, unsigned link); /* both ways */
bool any_link_works(const struct world *);

/* sim_disk.c */
void disk_format(struct host *, bool keep);
void disk_op(struct host *, const struct mir_io *);
void disk_killed(struct host *); /* the daemon died, the kernel lives */
void disk_power_cut(struct host *);
void disk_destage(struct host *); /* some of the cache reaches the media */
/* Compares what was touched in either cache since they were last the same. */
bool disk_same(struct world *, uint64_t *where);

/* sim_svc.c */
void svc_step_go(struct host *, uint16_t service, uint8_t step, enum svc_action,
    uint32_t token);
void svc_step_cancel(struct host *, uint32_t token);
void svc_killed(struct host *, bool power);
void svc_export(struct host *, uint16_t vol, bool on);
void svc_drained(struct host *);
void addr_add(struct host *, uint16_t id);
void addr_del(struct host *, uint16_t id);
void addr_lease(
    struct host *, uint64_t seq, const struct vip_set *, monotime_t until);
bool guard_open(const struct host *, unsigned id);
bool answers(const struct host *, unsigned id); /* now, at true time */
void addr_check(struct world *);
/* May an address without data be doubled now? */
bool addr_excused(const struct world *, unsigned id);

/* sim_vol.c */
void vol_init(struct world *);
void vol_free(struct world *);
void vol_reply(struct host *, uint64_t cookie, int error);
void vol_ended(struct host *); /* the session is over */
void vol_power_cut(struct host *, bool strict);
unsigned vol_inflight(const struct world *);
/* The newest versions in an image of the volume; false: one is missing. */
bool vol_holds(const struct world *, const uint8_t *image);
/* What it holds is what was acknowledged. */
void vol_adopt(struct world *, const uint8_t *image);

/* sim_lock.c */
void lock_init(struct world *);
void lock_answer(struct host *, uint32_t client, const uint8_t *, size_t);
void lock_hangup(struct host *, uint32_t client, const char *why);
void lock_killed(struct host *);
void lock_boot(struct host *);
bool lock_idle(const struct world *); /* nobody holds or waits */
const char *lock_stuck(struct world *);
/* For scenes: one request of one client. */
void lock_ask(struct locker *, uint8_t name, uint8_t mode, uint32_t flags);
void lock_release(struct locker *);

/* sim_judge.c */
bool paired(struct world *);
bool in_sync(struct world *);
bool settled(struct world *); /* all of it: what liveness asks for */
bool images_equal(struct world *, bool complain);
void judge_sync_point(struct world *);
void judge_end(struct world *);
const char *unsettled(struct world *); /* why not, one line */
int runs_on(struct world *, uint16_t service); /* host or -1 */

/* sim_watch.c */
/* Something happened after which nothing is promised for a while. */
void watch_disturbed(struct world *);
/* This host died, in whatever way. */
void watch_death(struct host *);
void watch_born(struct host *); /* its daemon starts */
void watch_links(struct world *); /* one changed */
/* Something of a service is started, stopped or moved on that host. */
void watch_moved(struct host *, const char *what);
void watch_round(struct world *); /* now and then */
void watch_note(
    struct host *, enum had_level, const char *object, const char *text);
void watch_send(struct host *, enum nd_kind);
void watch_persist(struct host *);
void watch_step(struct host *);

/* sim_swarm.c */
void swarm_begin(struct sim *);
void swarm_heal(struct sim *);

/* sim_scene.c */
struct scene {
	const char *name;
	void (*fn)(struct world *);
	uint32_t with; /* W_* */
	unsigned nodes; /* 0: a pair, else as many, of several clusters */
	const char *more; /* of conf_make; NULL: nothing */
};
#define SCENE(fn) #fn, fn
extern const struct scene scenes[], scenes_arb[], scenes_doubt[], scenes_vr[];
extern const unsigned n_scenes, n_scenes_arb, n_scenes_doubt, n_scenes_vr;
struct host *alpha(struct world *);
struct host *bravo(struct world *);
void expect(struct world *, bool ok, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum mb_self self_of(struct host *);
bool shop_runs(struct world *);
/* Both up, in sync, the service on alpha, everybody at work. */
void scene_begin(struct world *);
void scene_end(struct world *); /* heals, and asks for liveness */

#endif
