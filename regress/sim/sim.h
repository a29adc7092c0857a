/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The deterministic simulator: two nodes (src/node.c, the very objects of the
 * daemon) in a simulated world.  One heap of events by true time; each node
 * has its own clock that drifts.  Everything random comes from one seed, so
 * the same seed gives the same history, and its hash says so.
 *
 *	sim_world.c	time, events, randomness, trace
 *	sim_host.c	a machine: power, daemon, clock, pause, ops of the node
 *	sim_net.c	links, associations, what a kernel answers
 *	sim_disk.c	backing disks with a volatile cache
 *	sim_svc.c	steps, exports, addresses behind their guard
 *	sim_vol.c	the writer of the volume and what it may read back
 *	sim_lock.c	clients of the lock manager
 *	sim_judge.c	the invariants
 *	sim_swarm.c	faults at random
 *	sim_scene*.c	named stories
 */
#ifndef SIM_H
#define SIM_H

#include <stdio.h>

#include "node.h"
#include "wire.h"

enum {
	HOSTS = 2,
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
};

#define MS INT64_C(1000)
#define SEC INT64_C(1000000)
#define NEVER INT64_MAX

struct world;
struct host;
struct scene;

struct ev {
	int64_t at;
	uint64_t seq;
	void (*fn)(struct world *, struct ev *);
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
	FROM_NET, /* + index of the association */
	SOURCES = FROM_NET + 8,
};

/* Something for a daemon, which may be frozen when it comes. */
struct mail {
	struct nd_event e;
	uint32_t gen; /* of the daemon */
	enum source source;
	uint64_t serial; /* of a timer */
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
	uint8_t dirty[SECTORS]; /* cache differs from stable */
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
	bool powered, running, paused, pumping, pump_due, stopping;
	int64_t paused_at, stopped_us; /* when; total of it */
	uint32_t gen; /* of the daemon; of powered: see boot */
	uint32_t boot;
	int64_t clock_true, clock_local;
	int drift_ppm;
	uint64_t timer_serial;
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
	bool stale; /* its copy lacks an acknowledged write */
	struct { /* commands under way, to be cancelled */
		uint32_t token;
		uint16_t service;
		uint8_t step;
		enum svc_action action;
		bool used;
	} jobs[16];
	struct nd_status *st; /* owned; scratch */
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
	int64_t patience_us;
	struct end end[HOSTS];
};
enum { ASSOCS = 2 + LINKS };

/* One direction of a link, from host d. */
struct wire_dir {
	bool cut;
	int loss_permille;
	int64_t delay_us, jitter_us;
	int64_t changed; /* when cut changed */
};
struct link {
	struct wire_dir dir[HOSTS];
	int64_t impaired_since; /* NEVER: works both ways */
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
};

struct world {
	uint64_t seed, rng;
	int64_t now; /* true */
	uint64_t seq;
	struct ev **heap; /* owned */
	size_t heap_n, heap_size;
	uint64_t hash;
	bool verbose, quiet, failed;
	const char *scene; /* borrowed; NULL: a random run */
	FILE *out; /* borrowed */

	struct conf *conf; /* owned */
	bool takeover; /* silent peer takeover */
	struct host host[HOSTS];
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
	char op_text[256];

	/* the swarm */
	uint32_t menu; /* kinds of faults */
	int64_t fault_gap_us;
	bool calm; /* everything is healed, no more faults */
	unsigned disk_victim; /* the host whose disk may fail */
	bool disk_faults;
	int64_t total_cut_at; /* last time that no link worked; NEVER: never */
	unsigned lossy_steps;

	/* counted */
	unsigned faults, failovers, violations;
	unsigned acks, reads, grants, excused;
	int active_host; /* that acknowledged last, -1 = none */

	char *ring; /* owned; the last lines */
	unsigned ring_next;
};
enum { RING_LINES = 400, RING_LEN = 200 };

/* sim_world.c */
struct world *world_new(
    uint64_t seed, const struct scene *, FILE *out, bool verbose);
void world_free(struct world *);
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
void deliver(struct host *, struct mail *);
struct mail *mail_new(struct host *, enum nd_ev, enum source);
struct mail *mail_bytes(
    struct host *, enum nd_ev, enum source, const void *, size_t);
/* The same, after so many microseconds, if that daemon still lives. */
void deliver_in(struct host *, struct mail *, int64_t us);
const struct nd_status *status(struct host *);
uint64_t operator(struct host *, enum nd_op, int service, uint8_t node);
uint64_t operator_resync(struct host *, uint8_t from);

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

/* sim_vol.c */
void vol_init(struct world *);
void vol_free(struct world *);
void vol_reply(struct host *, uint64_t cookie, int error);
void vol_ended(struct host *); /* the session is over */
void vol_power_cut(struct host *, bool strict);
void vol_quiet(struct world *, bool quiet);
unsigned vol_inflight(const struct world *);
/* The newest versions in an image of the volume; false: one is missing. */
bool vol_holds(const struct world *, const uint8_t *image);

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

/* sim_swarm.c */
void swarm_begin(struct world *);
void swarm_heal(struct world *);

/* sim_scene.c */
struct scene {
	const char *name;
	void (*fn)(struct world *);
	bool wait; /* silent peer wait */
};
extern const struct scene scenes[];
extern const unsigned n_scenes;

#endif
