/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration as a plain struct.  Lexer, parser, checker and printer
 * are pure: bytes in, struct out.  The grammar is in had.conf(5).
 */
#ifndef CONF_H
#define CONF_H

#include "had.h"

/* Where a statement stands in the file, for messages. */
struct conf_pos {
	int line, col;
};

enum conf_silent { CONF_SILENT_UNSET, CONF_SILENT_TAKEOVER, CONF_SILENT_WAIT };

struct conf_link {
	char name[HAD_NAME_MAX];
	char addr[46]; /* as written; numeric IPv4 or IPv6 */
	char ifname[16];
	uint8_t index; /* same for one link name on every node */
	/*
	 * Links that have one domain on either node can be cut by one fault.
	 * "" = a domain of its own, unless the kernel says that it shares a
	 * device with another.
	 */
	char domain[HAD_NAME_MAX];
	int line, col;
};

/* A parameter of a fence agent: name=value on its standard input. */
struct conf_fence_param {
	char name[HAD_NAME_MAX];
	char value[HAD_VALUE_MAX]; /* the value, or the file that holds it */
	bool file; /* the first line of that file is the value */
};

/* One level: a program of the fence agents' convention. */
struct conf_fence {
	char agent[HAD_PATH_MAX]; /* no slash: looked up in /usr/sbin */
	uint32_t timeout_ms; /* of off, and of each status query */
	struct conf_fence_param params[HAD_FENCE_PARAMS_MAX];
	uint8_t n_params;
	int line, col;
};

/* had-witness: grants leases bound to (cluster, epoch). */
struct conf_witness {
	char addr[46]; /* "" = there is none */
	uint8_t key[32]; /* SHA-256 of the SubjectPublicKeyInfo */
	uint16_t port;
	int line, col;
};

struct conf_node {
	char name[HAD_NAME_MAX];
	uint8_t id; /* 1..16 */
	uint8_t key[32]; /* SHA-256 of the SubjectPublicKeyInfo */
	bool key_set;
	struct conf_link links[HAD_LINKS_MAX];
	uint8_t n_links;
	struct conf_fence fences[HAD_FENCES_MAX]; /* levels, in this order */
	uint8_t n_fences;
	int line, col; /* of its block, for messages of the checker */
};

enum conf_write { CONF_WRITE_DISK };

struct conf_volume {
	char name[HAD_NAME_MAX];
	char device[HAD_PATH_MAX]; /* backing device or regular file */
	char meta[HAD_PATH_MAX]; /* "" = internal, at the device's end */
	uint16_t id; /* index in volumes[], in file order */
	enum conf_write write;
	uint32_t resync_rate_kib; /* limit per second, 0 = as fast as it goes */
	int line, col;
};

struct conf_address {
	char name[HAD_NAME_MAX];
	char addr[46];
	uint8_t family; /* 4 or 6 */
	uint8_t bytes[16]; /* network order; IPv4 in the first four */
	uint8_t prefix;
	char ifname[16];
	uint16_t id; /* index in addresses[] */
	uint16_t router; /* derived: the one that has it; UINT16_MAX = none */
	uint16_t service; /* derived: as router */
	bool share; /* both nodes answer for it, each some of its clients */
	bool leaving; /* see conf_merge */
	int line, col;
};

enum conf_step_type {
	CONF_STEP_VOLUME,
	CONF_STEP_MOUNT,
	CONF_STEP_COMMAND,
	CONF_STEP_ADDRESS,
};

struct conf_step {
	enum conf_step_type type;
	uint16_t ref; /* VOLUME, MOUNT: volume id; ADDRESS: address id */
	uint32_t timeout_ms; /* deadline of start and of stop; never 0 */
	/* MOUNT */
	char dir[HAD_PATH_MAX];
	char fstype[16];
	char options[128]; /* mount -o, "" = defaults */
	char name[HAD_NAME_MAX]; /* of the volume, address or command */
	/* COMMAND: run by /bin/sh -c; stop "" = terminate start's group */
	char start[HAD_PATH_MAX];
	char stop[HAD_PATH_MAX];
	char status[HAD_PATH_MAX]; /* "" = none */
	int line, col;
};

struct conf_service {
	char name[HAD_NAME_MAX];
	uint8_t prefer; /* node id, 0 = none */
	char prefer_name[HAD_NAME_MAX]; /* as written; only for messages */
	bool failback; /* failback auto; default never */
	uint16_t id; /* index in services[] */
	struct conf_step steps[HAD_STEPS_MAX]; /* in starting order */
	uint8_t n_steps;
	/* health check; "" = none */
	char check[HAD_PATH_MAX];
	uint32_t check_every_ms;
	uint32_t check_timeout_ms;
	bool data; /* derived: has a volume step */
	int line, col;
};

enum conf_proto { CONF_VRRP2, CONF_VRRP3, CONF_CARP };

/* What the checksum of VRRPv3 over IPv4 covers. */
enum conf_checksum { CONF_SUM_AUTO, CONF_SUM_PSEUDO, CONF_SUM_PLAIN };

enum conf_track_type {
	CONF_TRACK_INTERFACE,
	CONF_TRACK_CHECK,
	CONF_TRACK_FILE,
	CONF_TRACK_PROCESS,
	CONF_TRACK_VOLUME,
	CONF_TRACK_SERVICE,
};

/* What the priority of a virtual router depends on. */
struct conf_track {
	enum conf_track_type type;
	uint16_t router; /* index in routers[] */
	/*
	 * INTERFACE, PROCESS, VOLUME, SERVICE: name; FILE: path; CHECK: for
	 * /bin/sh -c.
	 */
	char what[HAD_PATH_MAX];
	uint16_t ref; /* VOLUME, SERVICE: its id */
	/*
	 * 0: while it is down the router does not take part.  Else a positive
	 * one is added while it is up, a negative one while it is down; a FILE
	 * with a weight holds a number, which is multiplied by it.
	 */
	int16_t weight;
	uint32_t every_ms, timeout_ms; /* CHECK */
	int line, col;
};

/* There are many routers: what each has room for is small. */
enum { CONF_SOURCES_MAX = 4, CONF_PASSWORD_PATH_MAX = 128 };

/* Keys of one router, and the bytes of a key. */
enum {
	CONF_HMAC_KEYS_MAX = 8,
	CONF_HMAC_MIN = 32,
	CONF_HMAC_MAX = 64,
};

/* A key that adverts of VRRP are signed with. */
struct conf_hmac_key {
	uint16_t router; /* index in routers[] */
	uint8_t id; /* 1..255 */
	uint8_t len; /* 0: it is in the file, which was not read yet */
	uint8_t bytes[CONF_HMAC_MAX];
	char file[CONF_PASSWORD_PATH_MAX]; /* "" = none */
	int line, col;
};

enum conf_hmac_mode {
	CONF_HMAC_NONE,
	CONF_HMAC_ENFORCE,
	CONF_HMAC_PERMISSIVE, /* believes what is not signed, too */
	CONF_HMAC_RECEIVE_ONLY, /* and does not sign */
};

/* A virtual router: addresses that are held by election. */
struct conf_router {
	char name[HAD_NAME_MAX];
	enum conf_proto proto;
	uint8_t vrid; /* CARP: vhid; 0 = not given */
	uint8_t family; /* derived: 4 or 6, of the addresses and the adverts */
	uint16_t id; /* index in routers[] */
	bool leaving; /* see conf_merge */
	/* Of the adverts; "" = that of the addresses, filled in. */
	char ifname[16];
	/* Indexes in addresses[], in the order of the adverts. */
	uint16_t addrs[HAD_ROUTER_ADDRESSES_MAX];
	uint8_t n_addrs;
	uint32_t interval_ms; /* CARP: advbase, whole seconds */
	/*
	 * VRRP: priority, CARP: skew; by node id, [0] is for those without
	 * their own.  rank_set has a bit for each that the file gives.
	 */
	uint8_t rank[HAD_NODES_MAX + 1];
	uint32_t rank_set;
	bool preempt;
	uint32_t preempt_after_ms, start_after_ms;
	char password[HAD_PASSWORD_MAX]; /* "" = none, or in the file */
	/* "" = none; its first line */
	char password_file[CONF_PASSWORD_PATH_MAX];
	/* VRRP; the keys are in hmac_keys[]. */
	struct {
		uint8_t mode; /* enum conf_hmac_mode */
		uint8_t sign; /* the key to sign with; 0: none */
		bool monotonic;
		uint16_t window_s; /* by time; filled in */
	} hmac;
	/* Network order; the source is that of one node, 0: of the others. */
	struct {
		uint8_t node;
		uint8_t addr[16];
	} sources[CONF_SOURCES_MAX];
	uint32_t source_set; /* bitmap of these nodes */
	uint8_t n_sources;
	uint8_t unicast[HAD_ROUTER_PEERS_MAX][16]; /* else multicast */
	uint8_t n_unicast;
	enum conf_checksum checksum;
	bool virtual_mac, no_accept;
	char group[HAD_NAME_MAX]; /* sync group, "" = none */
	uint8_t group_id; /* derived: from 1, 0 = none */
	/* derived: the service that has its addresses; UINT16_MAX = elected */
	uint16_t service;
	int line, col;
};

struct conf_lockspace {
	char name[HAD_NAME_MAX];
	char
	    group[HAD_NAME_MAX]; /* "" = root only; clients of it may connect */
	uint32_t locks_max; /* per node, all clients */
	uint16_t id;
	int line, col;
};

/* Derived from heartbeat and dead; proven by conf_check.  Milliseconds. */
struct conf_timers {
	uint32_t heartbeat_ms;
	uint32_t lease_ms; /* guard lease, 2 * heartbeat <= lease < dead */
	uint32_t dead_ms;
	/*
	 * With voters: an active node that has lost its peer and gets no lease
	 * has stopped its data by then; else the watchdog resets it (R7).
	 * self_demote: 0 = no voter grants leases.  watchdog: 0 = none, or it
	 * only serves self fence.
	 */
	uint32_t self_demote_ms, watchdog_ms;
	/*
	 * From the last receive.  The last of dead, lease, self_demote and
	 * watchdog, each * 1.02 + margin except dead.
	 */
	uint32_t takeover_ms;
};

/* R12: what a node does to itself when a service will not stop. */
enum conf_self_fence {
	CONF_SELF_FENCE_OFF,
	CONF_SELF_FENCE_SYSRQ,
	CONF_SELF_FENCE_WATCHDOG,
};

struct conf {
	char cluster[HAD_NAME_MAX];
	struct conf_timers t;
	enum conf_silent silent; /* only without fence and voters */
	struct conf_pos silent_at;
	uint16_t port; /* SCTP: ctl; bulk is port + 1, hb port + 2 + link */
	struct conf_witness witness;
	/* Small blocks on shared devices or files; each has a vote. */
	char lock_disks[HAD_LOCK_DISKS_MAX][HAD_PATH_MAX];
	struct conf_pos lock_disk_at[HAD_LOCK_DISKS_MAX];
	uint8_t n_lock_disks;
	char watchdog[HAD_PATH_MAX]; /* device, "" = none */
	uint32_t watchdog_timeout_ms; /* as written, whole seconds */
	struct conf_pos watchdog_at;
	char pings[HAD_PINGS_MAX][46]; /* numeric addresses (R9) */
	struct conf_pos ping_at[HAD_PINGS_MAX];
	uint8_t n_pings;
	enum conf_self_fence self_fence;
	struct conf_pos self_fence_at;
	int line, col; /* of the cluster block */
	struct conf_node nodes[HAD_NODES_MAX];
	struct conf_volume volumes[HAD_VOLUMES_MAX];
	struct conf_address addresses[HAD_ADDRESSES_MAX];
	struct conf_service services[HAD_SERVICES_MAX];
	struct conf_lockspace lockspaces[HAD_LOCKSPACES_MAX];
	struct conf_router routers[HAD_ADDRESSES_MAX];
	struct conf_track tracks[HAD_TRACKS_MAX];
	struct conf_hmac_key hmac_keys[HAD_HMAC_KEYS_MAX];
	uint8_t n_nodes;
	uint16_t n_volumes, n_addresses, n_services, n_lockspaces;
	uint16_t n_routers, n_tracks, n_hmac_keys;
	/* derived: the interfaces of routers, each once */
	char router_ifs[HAD_ROUTER_IFS_MAX][16];
	uint16_t n_router_ifs;
	/*
	 * XXH3-64 of the file's bytes.  The nodes compare it; filled in by
	 * conf_parse.
	 */
	uint64_t digest;
};

/* A list of messages, "file:line:col: got X, expected Y". */
struct conf_errors {
	char *text; /* caller's buffer, lines end in \n */
	size_t size, used;
	unsigned count; /* also counts what did not fit in text */
};

/* What holds where the file says nothing.  had.conf(5) lists them. */
enum {
	CONF_PORT = 7750, /* 7750..7755: not assigned by IANA */
	CONF_HEARTBEAT_MS = 100,
	CONF_DEAD_MS = 500,
	CONF_VOLUME_TIMEOUT_MS = 30 * 1000,
	CONF_MOUNT_TIMEOUT_MS = 60 * 1000,
	CONF_COMMAND_TIMEOUT_MS = 30 * 1000,
	CONF_ADDRESS_TIMEOUT_MS = 10 * 1000,
	CONF_CHECK_EVERY_MS = 2 * 1000,
	CONF_CHECK_TIMEOUT_MS = 5 * 1000,
	CONF_LOCKS = 16384,
	CONF_LOCKS_MAX = 1000000,
	CONF_FENCE_TIMEOUT_MS = 20 * 1000,
	CONF_WATCHDOG_MAX_MS = 3600 * 1000,
	CONF_WITNESS_PORT = 7770,
	CONF_PRIORITY = 100,
	CONF_INTERVAL_MS = 1000,
	CONF_VRRP_OWNER = 255,
	CONF_HMAC_WINDOW_S = 5, /* or three intervals, if that is more */
	CONF_HMAC_WINDOW_MAX_S = 300,
};

/*
 * Kernel timeouts end on a jiffy and the clocks of two machines differ by
 * less than 2 %: who waits for another's lease waits lease * 1.02 + margin.
 */
enum { CONF_MARGIN_MS = 10 };

/*
 * Parses and checks len bytes.  The checker runs only when the parser found
 * no error: what is wrong with the words hides what is wrong with their
 * meaning.  file is only named in messages.  Returns 0, or -1 with
 * errors->count > 0; c is filled as far as it was understood.  Does no I/O.
 * struct conf is large: keep it on the heap.
 */
int conf_parse(struct conf *c, const char *file, const char *bytes, size_t len,
    struct conf_errors *errors);

/*
 * The checker alone, for a struct conf built by other means: fills in what
 * is derived (lease, takeover, ids, link indexes, address bytes, data).
 * Steps refer by ref, names are only for messages.
 */
int conf_check(struct conf *c, const char *file, struct conf_errors *errors);

/*
 * Prints c as a file that parses back to an equal struct conf (lines and
 * digest aside).  Returns the length that was needed, as snprintf(3) does.
 */
size_t conf_print(const struct conf *c, char *buf, size_t size);

/*
 * What decides who may act, alone: the cluster's arbiters and timers, the
 * nodes' fences and the links' domains.  For reload, which must not change
 * them under a running pair.
 */
size_t conf_print_arbiters(const struct conf *c, char *buf, size_t size);

/*
 * The derived timer chain, the proof of each inequality, and who arbitrates
 * with how much to spare, for had -n.
 */
size_t conf_print_timers(const struct conf *c, char *buf, size_t size);

/* The witness and the lock disks: how many grant leases. */
uint8_t conf_n_voters(const struct conf *);
/* Fences or voters: silence of the peer is decided by them. */
bool conf_arbitrated(const struct conf *);

/* Look-ups; NULL if there is none. */
const struct conf_node *conf_node(const struct conf *, uint8_t id);
const struct conf_node *conf_node_named(const struct conf *, const char *);
const struct conf_service *conf_service_named(
    const struct conf *, const char *);
const struct conf_volume *conf_volume_named(const struct conf *, const char *);
const struct conf_router *conf_router_named(const struct conf *, const char *);
/* A router's priority or skew on a node. */
uint8_t conf_router_rank(const struct conf_router *, uint8_t node);
/* Its source address there; NULL: the interface's own. */
const uint8_t *conf_router_source(const struct conf_router *, uint8_t node);
/*
 * The keys of a router, n of them, into list; they are borrowed.
 */
uint8_t conf_router_keys(const struct conf *, const struct conf_router *,
    const struct conf_hmac_key *list[CONF_HMAC_KEYS_MAX]);
/*
 * A key as it is written, "hex:" and digits or a text: its length, or 0 if it
 * is not one of 32 to 64 bytes; then *why says what was expected.
 */
uint8_t conf_hmac_scan(
    const char *text, uint8_t bytes[CONF_HMAC_MAX], const char **why);
/* A place in routers[] or addresses[] that a reload has emptied: "". */
static inline bool
conf_is_hole(const char *name)
{
	return name[0] == '\0';
}
/* Held by election, by no service. */
bool conf_router_elected(const struct conf_router *);
/*
 * The shortest time in which another router may take the place of one of this
 * file's after its last advert: 3 intervals of the fastest; 0 = none elected.
 */
uint32_t conf_router_down_ms(const struct conf *);

/*
 * A reload: next as a running daemon takes it over.  What routers and addresses
 * have in common with running keeps its place there (a router is known by its
 * interface, family and number), so that an index means the same before and
 * after.  What next has not is kept as leaving; conf_drop makes a hole of its
 * place, for another to fill, once nothing of it is left.
 */
struct conf_merge {
	unsigned added, removed, changed, kept; /* routers */
	unsigned addrs_added, addrs_removed;
	char names[256]; /* ": +a -b ~c", as many as fit, "..." */
};
/* out is filled; 0, or -1 and why, and then what it holds means nothing. */
int conf_merge(struct conf *out, const struct conf *running,
    const struct conf *next, struct conf_merge *, char *why, size_t size);
/* Routers and what is theirs, of what conf_merge made, or back again. */
void conf_copy_routers(struct conf *to, const struct conf *from);
void conf_drop_router(struct conf *, uint16_t);
void conf_drop_address(struct conf *, uint16_t);

#endif
