/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of the service core; nobody else includes it. */
#ifndef SVC_INT_H
#define SVC_INT_H

#include "svc.h"

enum {
	SVC_RESEND_MS = 500, /* of what was not confirmed */
	SVC_HOLD_MS = 300, /* after a DENY */
	SVC_SETTLE_MS = 1000, /* the preferred node may still be coming up */
	SVC_GRACE_MS = 5000, /* for a cancelled step to be answered */
	SVC_BAR_MS = 600 * 1000, /* R10: no automatic return before */
	SVC_AUTO_MS = 600 * 1000, /* R10: one automatic takeover in so long */
	/* Who hands over waits longer than who takes: ages are rounded. */
	SVC_AUTO_SLACK_MS = 2000,
	SVC_WAIT_MS = 60 * 1000, /* for the peer to start or stop something */
	SVC_STATUS_MS = 10 * 1000, /* period of step status without a check */
	SVC_RETRY_MIN_S = 5,
	SVC_RETRY_MAX_S = 60,
	SVC_TEXT = 96,
	SVC_HELD = 240,
	SVC_SLOTS = 4,
	SVC_PLAN = 4096,
};

/* Messages. */
enum svc_msg_type {
	SVC_MSG_TABLE = 1, /* what the sender runs and could run */
	SVC_MSG_CLAIM, /* may I start it? */
	SVC_MSG_PULL, /* stop it and let me start it */
	SVC_MSG_GRANT, /* to CLAIM and PULL */
	SVC_MSG_DENY, /* to CLAIM and PULL, with a text */
	SVC_MSG_ASK_OP, /* an operator's request for the receiver */
	SVC_MSG_OP_DONE, /* its answer */
};

struct svc_entry {
	uint16_t service;
	uint32_t hash; /* of its name */
	enum svc_state state;
	uint8_t can; /* as can_run in struct svc_status */
	bool firm; /* can is 0 for a reason that will last */
	uint32_t gen;
	uint32_t start_ms, stop_ms;
	bool ordered; /* it stopped there because an operator wanted so */
	/* Where it ran last, and the gen of that start. */
	uint8_t ran_on;
	uint32_t ran_gen;
	/* What operators said: the greater stamp is the later word. */
	uint32_t stamp;
	bool frozen, stopped;
	/* R10: seconds since an automatic takeover by the sender, and, as far
	 * as it knows, by the receiver; SVC_AGE_NONE = not lately. */
	uint16_t took_s, peer_took_s;
};

enum { SVC_AGE_NONE = 0xffff };

struct svc_msg {
	enum svc_msg_type type;
	/* TABLE */
	bool ask; /* answer with yours */
	bool standby;
	bool frozen; /* everything, as of the word with this stamp: */
	uint32_t stamp;
	uint32_t serial, seen;
	uint16_t n;
	struct svc_entry entries[HAD_SERVICES_MAX];
	/* CLAIM, PULL, GRANT, DENY; serial as well */
	uint16_t service;
	uint32_t hash;
	/* ASK_OP, OP_DONE; serial as well; ASK_OP: service and hash, or */
	bool all; /* no certain service */
	enum svc_op op;
	bool dry_run, force;
	int code;
	char text[512]; /* DENY, OP_DONE */
};

enum {
	SVC_MSG_HEAD = 16,
	SVC_MSG_ENTRY = 36,
	SVC_MSG_ENTRY_AGES = 32, /* from here on: what the clock changes */
	SVC_MSG_MAX = SVC_MSG_HEAD + SVC_MSG_ENTRY * HAD_SERVICES_MAX,
};

/* Returns the length; at most SVC_MSG_MAX. */
size_t svc_msg_encode(const struct svc_msg *, uint8_t bytes[SVC_MSG_MAX]);
int svc_msg_decode(
    struct svc_msg *, const uint8_t *, size_t len, const char **why);

struct unit {
	const struct conf_service *conf; /* lent until svc_free */
	uint16_t id;
	uint32_t hash;
	enum svc_state state;
	char reason[SVC_TEXT];
	monotime_t since;
	/* The step under way. */
	uint8_t step;
	bool busy;
	enum svc_action action;
	uint32_t token;
	monotime_t deadline;
	bool cancelled;
	uint8_t tries; /* of stopping this step */
	char error[SVC_TEXT]; /* of the last step that failed */
	/* Why it is stopped, and what comes after. */
	bool stop_wanted; /* as soon as the step under way ends */
	char stop_reason[SVC_TEXT]; /* if stop_wanted */
	bool was_running;
	bool rollback; /* the start failed */
	bool again; /* start here again */
	bool bar; /* bar this node when it has stopped */
	uint32_t pulled; /* hand it to the peer: serial of its PULL */
	/* Failures. */
	bool barred;
	char why_barred[SVC_TEXT];
	monotime_t barred_until, retry_at;
	unsigned fails; /* in a row */
	unsigned stop_fails; /* in a row */
	bool fenced; /* R12: self_fence was called because of it */
	/* Ownership. */
	uint32_t gen; /* grows with every start, on either node */
	uint32_t claim; /* serial of my CLAIM or PULL */
	monotime_t claim_at; /* when to repeat it */
	monotime_t hold_until; /* no claim before */
	bool granted; /* to the peer */
	/* R10. */
	uint8_t ran_on; /* where it ran last, 0 = not known */
	uint32_t ran_gen;
	monotime_t took[2]; /* automatic takeovers: mine, the peer's; us 0 */
	bool automatic; /* the start under way is one */
	bool wanted; /* an operator wants it here: the next one is not */
	bool ordered; /* it stopped here because an operator wanted so */
	char held[SVC_HELD]; /* what was told about it, "" = nothing */
	/* What operators said, see struct svc_entry. */
	uint32_t stamp;
	bool frozen, disabled;
	/* Health. */
	uint8_t probe; /* step, or SVC_STEP_CHECK */
	monotime_t check_at;
	bool degraded, cycle_late;
	monotime_t restarted_at; /* us 0 = never */
	monotime_t began;
	uint32_t start_ms, stop_ms;
	/* The peer's word. */
	struct svc_entry peer;
	bool peer_known;
	int slot; /* of the operator's request, -1 */
};

/* An operator's request under way. */
struct slot {
	bool used;
	bool remote; /* asked by the peer: answer by message */
	bool waits_peer; /* answered by the peer's OP_DONE */
	uint64_t token; /* of op_reply(), or the peer's serial */
	uint32_t serial; /* of ASK_OP */
	bool dry_run, force; /* of ASK_OP */
	monotime_t ask_at; /* again, until it is answered */
	enum svc_op op;
	int service; /* of ASK_OP; -1 = no certain one */
	monotime_t wait_until; /* START, STOP: no longer for the peer */
	unsigned pending; /* services */
	bool failed;
	monotime_t began;
	char text[512];
};

struct volume {
	bool can_promote, uptodate, met;
};

struct svc {
	const struct conf *conf; /* lent until svc_free */
	uint8_t self, peer; /* node ids; peer 0 = there is none */
	const struct svc_ops *ops; /* borrowed until svc_free */
	void *ctx; /* borrowed until svc_free */
	bool stepping, started;
	monotime_t now;
	struct svc_view view;
	bool standby, drain_force, peer_standby;
	bool frozen; /* everything; the word of an operator with this stamp */
	uint32_t stamp;
	bool told_stopped;
	uint32_t token, serial;
	monotime_t settle_until;
	/* The table, as the peer has it or is getting it. */
	uint8_t table[SVC_MSG_MAX];
	size_t table_len;
	uint32_t table_serial, peer_serial;
	bool table_told, table_asked;
	monotime_t table_at;
	struct volume volumes[HAD_VOLUMES_MAX];
	bool unusable[HAD_ADDRESSES_MAX];
	monotime_t cut_at; /* the last of them became so */
	struct slot slots[SVC_SLOTS];
	/* The last request of the peer that was answered, and how. */
	struct {
		uint32_t serial; /* 0 = none */
		int code;
		char text[512];
	} done;
	struct svc_msg in, out; /* scratch */
	char plan[SVC_PLAN]; /* scratch */
	unsigned n_units;
	struct unit units[HAD_SERVICES_MAX];
};

/* svc.c */
void svc_say(struct svc *, enum had_level, const char *rule,
    const struct unit *, const char *fmt, ...) PRINTF_LIKE(5, 6);
const char *svc_node_name(const struct svc *, uint8_t id);
void svc_send(struct svc *, enum svc_msg_type, const struct unit *,
    uint32_t serial, const char *text);
bool svc_peer_here(const struct svc *);

/* svc_fsm.c: the life of one service. */
void svc_input(struct svc *, struct unit *, enum svc_in);
void svc_done(struct svc *, struct unit *, enum svc_result, const char *text);
void svc_deadline(struct svc *, struct unit *);
monotime_t svc_unit_deadline(const struct svc *, const struct unit *);
void svc_pull(struct svc *, struct unit *);

/* svc_plan.c: who should run what. */
enum svc_want {
	WANT_NOT, /* not here, or not now */
	WANT_CLAIM, /* here, if the peer agrees */
	WANT_START, /* here, nobody needs to be asked */
};
enum svc_want svc_wants(const struct svc *, const struct unit *);
/* May this node run it?  Bars are ignored.  why is one clause. */
/* Can the addresses of it be served from here (R9)? */
bool svc_reachable(const struct svc *, const struct unit *);
uint8_t svc_able(const struct svc *, const struct unit *, char why[SVC_TEXT]);
/* The same with bars: what the peer is told. */
uint8_t svc_can(
    const struct svc *, const struct unit *, bool *firm, char why[SVC_TEXT]);
/* Why must or should it stop here?  NULL if it may stay. */
const char *svc_must_stop(
    const struct svc *, const struct unit *, const char **rule);
bool svc_is_first(const struct svc *, const struct unit *);
bool svc_frozen(const struct svc *, const struct unit *);
/*
 * R10: may the service not be started on node by itself now?  dead: its
 * runner is.  why says how to go on.
 */
bool svc_held(const struct svc *, const struct unit *, uint8_t node, bool dead,
    char why[SVC_HELD]);
/* Does it not move away from here only because of svc_held? */
bool svc_held_back(const struct svc *, const struct unit *, char why[SVC_HELD]);
/* Would the start that begins now be an automatic takeover? */
bool svc_is_automatic(const struct svc *, const struct unit *);
monotime_t svc_plan_deadline(const struct svc *, const struct unit *);
void svc_placed(const struct svc *, const struct unit *, char why[SVC_TEXT]);
size_t svc_plan_move(const struct svc *, const struct unit *, uint8_t from,
    uint8_t to, char *buf, size_t size);

/* svc_op.c: what operators ask for. */
void svc_op_event(struct svc *, const struct svc_event *);
void svc_op_remote(struct svc *, const struct svc_msg *);
void svc_op_answered(struct svc *, const struct svc_msg *);
void svc_op_unit(struct svc *, struct unit *, bool ok, const char *text);
void svc_op_peer_lost(struct svc *);
void svc_op_tick(struct svc *);
monotime_t svc_op_deadline(const struct svc *);
bool svc_runs(const struct unit *); /* running or starting */
/* The slot of a request, NULL if there are too many. */
struct slot *svc_op_slot(struct svc *, const struct slot *request);
void svc_op_attach(struct svc *, struct slot *, struct unit *);
void svc_op_settle(struct svc *, struct unit *, bool ok, const char *text);
void svc_op_answer(struct svc *, struct slot *, int code, const char *text);

/* svc_word.c: what holds until an operator says otherwise. */
void svc_word_freeze(struct svc *, const struct slot *request);
void svc_word_start(struct svc *, const struct slot *request, struct unit *);
void svc_word_stop(struct svc *, const struct slot *request, struct unit *);
/* START and STOP that the peer carries out, as its table tells. */
void svc_word_settle(struct svc *, struct unit *);
void svc_word_wanted(struct unit *);
bool svc_word_waits(enum svc_op);
/* A word about u, or about everything (NULL), from the peer. */
void svc_word_heard(
    struct svc *, struct unit *, uint32_t stamp, bool frozen, bool disabled);

#endif
