/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services: ordered steps on exactly one node.  A pure core.  Rights come
 * from membership as VIEW events; the steps themselves are carried out by
 * others and answered with STEP_DONE.
 *
 * Ownership.  In a pair nobody starts a service without the peer's grant:
 * CLAIM -> GRANT or DENY; a grant binds the granter until the claimant says
 * that it neither runs nor claims the service.  PULL asks the owner to stop
 * and hand over.  Alone (epoch durable) no grant is needed.
 */
#ifndef SVC_H
#define SVC_H

#include "conf.h"
#include "had.h"

/* Mirrors enum mb_self; the composer translates. */
#define SVC_RIGHT_LIST(X) \
	X(NONE, "none") /* inert: everything must be stopped */ \
	X(PAIRED, "paired") \
	X(ALONE, "alone") \
	X(ISOLATED, "isolated") /* hand over: everything is stopped */ \
	X(DOUBT, "doubt") /* nothing is started or stopped */ \
	X(STOPPING, "stopping") /* everything is stopped, then stopped() */

/* A service on this node. */
#define SVC_STATE_LIST(X) \
	X(CLEANING, "cleaning") /* leftovers of a dead daemon are removed */ \
	X(STOPPED, "stopped") \
	X(CLAIMING, "claiming") /* waits for the peer's grant */ \
	X(PULLING, "pulling") /* waits for the peer to stop it */ \
	X(STARTING, "starting") \
	X(RUNNING, "running") \
	X(STOPPING, "stopping") \
	X(FAILED, "failed") /* will not stop: blocked everywhere (R12) */

#define SVC_ACTION_LIST(X) \
	X(START, "start") \
	X(STOP, "stop") \
	X(KILL, "kill") /* kill the users, so that STOP can succeed */ \
	X(CLEAN, "clean") /* remove what an earlier daemon left */ \
	X(STATUS, "status")

#define SVC_RESULT_LIST(X) \
	X(OK, "ok") \
	X(FAILED, "failed") \
	X(TIMEOUT, "timed out") /* cancelled at the deadline */

#define X(sym, name) SVC_RIGHT_##sym,
enum svc_right { SVC_RIGHT_LIST(X) SVC_RIGHT_N };
#undef X
#define X(sym, name) SVC_##sym,
enum svc_state { SVC_STATE_LIST(X) SVC_STATE_N };
#undef X
#define X(sym, name) SVC_DO_##sym,
enum svc_action { SVC_ACTION_LIST(X) SVC_ACTION_N };
#undef X
#define X(sym, name) SVC_RES_##sym,
enum svc_result { SVC_RESULT_LIST(X) SVC_RESULT_N };
#undef X

const char *svc_right_name(enum svc_right);
const char *svc_state_name(enum svc_state);
const char *svc_action_name(enum svc_action);
const char *svc_result_name(enum svc_result);

/* The step index of the service's own health check, action STATUS. */
enum { SVC_STEP_CHECK = 0xff };

enum svc_ev {
	SVC_EV_START,
	SVC_EV_TIMER,
	SVC_EV_VIEW,
	SVC_EV_MSG,
	SVC_EV_STEP_DONE,
	SVC_EV_VOLUME,
	SVC_EV_ADDRESS,
	SVC_EV_OP,
	SVC_EV_JOINED, /* messages reach the peer again */
	SVC_EV_N
};

/*
 * Operators' requests.
 *   TAKEOVER  a service, or all, here
 *   MOVE      a service to a node
 *   STANDBY   a node is drained and takes nothing until ONLINE
 *   FREEZE    nothing of a service, or of any, moves by itself until THAW;
 *             what runs goes on
 *   THAW      also ends what R10 has frozen
 *   STOP      a service runs nowhere until START
 * What FREEZE, THAW, STOP and START say holds on both nodes and outlives a
 * daemon as long as the other remembers it.
 */
#define SVC_OP_LIST(X) \
	X(TAKEOVER, "takeover") \
	X(STANDBY, "standby") \
	X(ONLINE, "online") \
	X(FREEZE, "freeze") \
	X(THAW, "thaw") \
	X(MOVE, "move") \
	X(START, "start") \
	X(STOP, "stop")
#define X(sym, name) SVC_OP_##sym,
enum svc_op { SVC_OP_LIST(X) SVC_OP_N };
#undef X

struct svc_view {
	enum svc_right right;
	bool own_right; /* as in struct mb_ops self() */
	uint64_t epoch;
	/* disjoint; a node in none of them is unknown */
	nodeset_t alive, silent, lost;
	nodeset_t gone; /* LEFT or GONE */
	nodeset_t stateless_gone; /* any verdict */
	/* Without peer and without lease: data stops (R7). */
	bool no_data;
};

struct svc_event {
	enum svc_ev type;
	monotime_t now;
	union {
		struct {
			uint64_t seed;
		} start;
		struct svc_view view; /* the whole view, on every change */
		struct {
			uint8_t from;
			const uint8_t *bytes; /* borrowed for the step */
			size_t len;
		} msg;
		struct {
			uint16_t service;
			uint8_t step;
			enum svc_action action;
			uint32_t token; /* as given to step() */
			enum svc_result result;
			const char *text; /* borrowed; may be NULL */
		} done;
		/*
		 * Whenever one of these changes; all false until told.
		 * can_promote: by the mirror's own rules this copy could
		 * become primary as soon as the peer's is not (so it is true
		 * on an up to date secondary while the peer is primary).
		 * uptodate: the local copy is complete.  met: it was compared
		 * with the peer's copy since this daemon started, or was
		 * primary since.
		 */
		struct {
			uint16_t id;
			bool can_promote, uptodate, met;
		} volume;
		/* an address' interface has carrier; true until told */
		struct {
			uint16_t id;
			bool usable;
		} address;
		struct {
			enum svc_op op;
			/* id, or -1 for all (TAKEOVER, FREEZE, THAW) */
			int service;
			uint8_t node; /* STANDBY, ONLINE, MOVE: which */
			bool dry_run;
			bool force; /* STANDBY: stop even what the peer
				       cannot take */
			uint64_t token; /* for op_reply() */
		} op;
	} u;
};

/* The inputs of a service's state machine, as cell() tells them. */
#define SVC_IN_LIST(X) \
	X(EVAL, "eval") /* anything may have changed: go on */ \
	X(OK, "ok") /* the step under way succeeded */ \
	X(BAD, "bad") /* it failed */ \
	X(CLAIM, "claim") \
	X(PULL, "pull") \
	X(GRANT, "grant") \
	X(DENY, "deny")
#define X(sym, name) SVC_IN_##sym,
enum svc_in { SVC_IN_LIST(X) SVC_IN_N };
#undef X

struct svc_ops {
	/*
	 * Carries out one step of a service; answered by one STEP_DONE with
	 * the same token.  A STEP_DONE with an old token is ignored.
	 */
	void (*step)(void *ctx, uint16_t service, uint8_t step, enum svc_action,
	    uint32_t token);
	/* The deadline of that step is over: kill it, answer TIMEOUT. */
	void (*cancel)(
	    void *ctx, uint16_t service, uint8_t step, uint32_t token);
	void (*send)(void *ctx, uint8_t to, const uint8_t *bytes, size_t len);
	void (*timer)(void *ctx, monotime_t at);
	void (*note)(void *ctx, enum had_level, const char *rule,
	    const char *object, const char *text);
	/* code 0 = done; else refused or failed.  text may have many lines. */
	void (*op_reply)(void *ctx, uint64_t token, int code, const char *text);
	void (*state)(void *ctx, uint16_t service, enum svc_state old,
	    enum svc_state new, const char *reason);
	/*
	 * Once per STOPPING view: nothing runs here any more.  clean is false
	 * if a service would not stop; then no goodbye may be said.
	 */
	void (*stopped)(void *ctx, bool clean);
	/*
	 * R12: the service does not stop although its users were killed, and
	 * the configuration wants this node to reset itself then.  Once.
	 */
	void (*self_fence)(void *ctx, uint16_t service, const char *reason);
	/* NULL, or: a service in this state is given this input. */
	void (*cell)(void *ctx, enum svc_in, enum svc_state);
};

struct svc;
/* conf is lent until svc_free. */
struct svc *svc_new(
    const struct conf *conf, uint8_t self, const struct svc_ops *, void *ctx);
void svc_free(struct svc *);
void svc_step(struct svc *, const struct svc_event *);

struct svc_status {
	struct {
		enum svc_state state;
		char reason[96]; /* of the last change */
		monotime_t since;
		uint8_t step; /* under way, while starting or stopping */
		uint8_t on; /* node that runs it, 0 = none known */
		uint8_t can_run; /* here: 0 no, 1 yes, 2 yes and up to date */
		char why_not[96]; /* if can_run is 0 */
		bool degraded; /* a health check timed out (R11) */
		bool barred; /* failed here; not tried again by itself */
		bool ends; /* it is being stopped, or will be */
		bool stopped; /* by an operator, until START */
		bool frozen; /* by an operator, until THAW */
		/* R10 or a freeze keeps it from moving now; why, and how to
		 * go on, else "" */
		char held[240];
		uint8_t moved_by; /* the last automatic takeover, 0 = none */
		monotime_t moved_at; /* within ten minutes */
		uint32_t start_ms, stop_ms; /* last measured, 0 = never */
		bool peer_known;
		enum svc_state peer_state;
		uint8_t peer_can_run;
	} services[HAD_SERVICES_MAX];
	uint16_t n_services;
	nodeset_t standby;
	bool frozen; /* everything is, by an operator */
	bool self_fenced; /* R12 was said: this node is to be reset */
	enum svc_right right;
	/* The peer has said what it runs, and knew what this node does. */
	bool peer_told;
};
/* Is this node put on standby by an operator? */
bool svc_standby(const struct svc *);
void svc_status(const struct svc *, struct svc_status *);

/*
 * Who would run the service if node died now (asked with the fate of the
 * node known from mb_forecast): a node id, 0 = nobody.  *ms is the expected
 * duration of its start, 0 = not measured yet; why is one clause if nobody.
 */
uint8_t svc_forecast(const struct svc *, uint16_t service, uint8_t node,
    uint32_t *ms, char *why, size_t size);

#endif
