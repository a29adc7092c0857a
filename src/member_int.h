/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of the membership core; nobody else includes it. */
#ifndef MEMBER_INT_H
#define MEMBER_INT_H

#include "member.h"

/*
 * What a decision that waits for the disk will do (R8: durable before it
 * takes effect).
 */
enum mb_goal {
	GOAL_NONE,
	GOAL_ALONE, /* epoch raised, SOLO set: act alone */
	GOAL_PAIR, /* epoch adopted, SOLO cleared: pair */
	GOAL_DEMOTE, /* a higher epoch is remembered; already inert */
	GOAL_RESTORE, /* SOLO set again: pairing came to nothing */
	GOAL_STOP, /* clean stop */
};

/* R4: at the least, before a node without data fires; as in arb.h. */
enum { MB_FENCE_DELAY_MS = 5000 };

/* What nodes tell each other. */
enum mb_msg_type { MB_MSG_VIEW = 1, MB_MSG_GOODBYE = 2 };
enum { MB_MSG_SIZE = 64 };

struct mb_msg {
	enum mb_msg_type type;
	enum mb_self state;
	bool solo; /* of the sender's durable record */
	bool paired; /* the sender is paired with this receiver */
	uint32_t seeds; /* of the sender's durable record */
	uint64_t epoch;
	uint64_t incarnation; /* the sender's */
	uint64_t seen; /* the receiver's, as the sender knows it */
	uint32_t serial; /* of the sender's view; new when it changed */
	uint32_t seen_serial; /* the receiver's latest that arrived */
	uint64_t challenge; /* to be answered; 0 = none */
	uint64_t answer; /* to the receiver's challenge */
	/*
	 * The highest epoch that voters granted to the sender and that it
	 * did not use, or will use no more; 0 = none.
	 */
	uint64_t spent;
};

void mb_msg_encode(const struct mb_msg *, uint8_t bytes[MB_MSG_SIZE]);
int mb_msg_decode(
    struct mb_msg *, const uint8_t *, size_t len, const char **why);

struct peer {
	uint8_t id;
	char name[HAD_NAME_MAX];
	enum mb_peer verdict;
	const char *rule;
	bool stateless_gone;
	monotime_t since;
	/* Who is there: the incarnation last heard, its view, and ours. */
	uint64_t incarnation; /* 0 = never heard */
	uint64_t dead; /* an earlier one; what it sent is ignored */
	uint64_t paired; /* the one we paired with, 0 = none */
	bool view_known; /* of the present incarnation */
	bool solo; /* its record says so, for all that it has told */
	struct mb_msg view;
	bool told; /* it has our present view */
	monotime_t tell_at; /* when to tell it again */
	monotime_t told_at; /* when it was told last, whatever came of it */
	/* Evidence. us 0 = never. */
	monotime_t heard[HAD_LINKS_MAX];
	/* The same for R2, and how far this node's own pause has moved it. */
	monotime_t sure[HAD_LINKS_MAX], thawed_at;
	int64_t moved_us;
	bool unheard; /* it hears nothing of this node, it said last */
	bool link_down[HAD_LINKS_MAX];
	monotime_t last; /* heard, any link */
	monotime_t beat; /* the same, of heartbeats alone */
	bool pair_waits; /* for those, to and fro: all else is agreed */
	monotime_t word; /* the same, be it that it does not hear us */
	monotime_t deaf; /* it has heard nothing since then; us 0 = it hears */
	monotime_t deaf_word; /* when it said so last */
	monotime_t reached; /* it has heard what was sent at that time */
	monotime_t answered; /* its question, because of which it goes on */
	monotime_t kernel; /* its kernel answered last */
	monotime_t kernel_since; /* and ever since, without a long gap */
	bool aborted;
	monotime_t aborted_at;
	uint8_t refused; /* bitmap of links */
	monotime_t refused_at;
	bool late_death; /* a voter must say when, was said */
	/* What the arbiters are asked, and what they said. */
	uint64_t asked; /* epoch; 0 = nothing */
	bool asked_active, asked_verify;
	bool frozen; /* they cannot say (R5) */
	bool leased; /* granted; acted upon at takeover_ms */
	bool off; /* verified, while this node was in doubt */
	monotime_t advert; /* only its daemon sends those */
	bool rival; /* it acts, as this node does, and must yield */
	bool jeopardy; /* alarm is raised */
	monotime_t jeopardy_at; /* when to raise it; MT_NEVER */
};

struct mb {
	struct mb_conf conf;
	const struct mb_ops *ops; /* borrowed until mb_free */
	void *ctx; /* borrowed until mb_free */
	bool stepping;
	monotime_t now;
	enum mb_self self;
	const char *rule;
	monotime_t since;
	bool own_right;
	uint64_t incarnation, random;
	uint64_t epoch; /* the one announced by epoch() */
	uint32_t view_serial;
	bool view_solo; /* as the present view says */
	/* The durable record, and what is being made durable. */
	struct sf_record record, want;
	bool writing;
	monotime_t retry_at; /* of a failed write; MT_NEVER */
	uint32_t retry_ms;
	enum mb_goal goal;
	struct peer *goal_peer; /* into peers; NULL = none */
	enum mb_peer goal_verdict;
	const char *goal_rule;
	bool goal_right; /* own_right when alone */
	bool data_behind; /* DATA: not current */
	bool alone_behind; /* alone, and it was not when that began */
	/* Began to act alone without the peer: at its epoch, for all it knew.
	 */
	bool alone_blind;
	bool seeding; /* an operator waits for the answer */
	uint64_t seed_token;
	/* DOUBT and ISOLATED ask the peer what happened meanwhile. */
	enum mb_self doubt_from;
	monotime_t doubt_at;
	bool may_have_acted; /* the pause was long enough for the peer */
	uint64_t challenge; /* 0 = none is open */
	monotime_t ask_at; /* when to repeat it */
	bool carrier_lost[HAD_LINKS_MAX + 1]; /* MB_OUTSIDE is the last */
	uint8_t domain[HAD_LINKS_MAX];
	bool arbiter_works, pings_lost, holds_data;
	bool by_pings; /* ISOLATED, and that is how it is known */
	uint32_t fence_ms;
	uint64_t spent; /* as in mb_msg, of this pair */
	bool demoted; /* R7 */
	bool booting; /* inert since START */
	/* STOPPING out of a pair, not paused since, no goodbye said. */
	bool stop_acts;
	unsigned n_peers;
	struct peer peers[HAD_NODES_MAX - 1];
};

/* member.c */
struct peer *mb_find(struct mb *, uint8_t id);
void mb_say(struct mb *, enum had_level, const char *rule, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void mb_set_self(struct mb *, enum mb_self, const char *rule);
void mb_set_peer(struct mb *, struct peer *, enum mb_peer, bool stateless_gone,
    const char *rule);
void mb_persist(struct mb *, enum mb_goal);
void mb_view_changed(struct mb *);
void mb_tell(struct mb *, struct peer *, uint64_t answer);
int64_t mb_ago_ms(const struct mb *, monotime_t);
void mb_isolated_by_pings(struct mb *);

/* member_peer.c: evidence about one peer becomes a verdict. */
void mb_peer_heard(struct mb *, struct peer *, uint64_t incarnation);
void mb_peer_unheard(struct mb *, struct peer *);
void mb_peer_sure(struct mb *, struct peer *, uint8_t link, monotime_t reached);
void mb_peer_shift(struct mb *, struct peer *, int64_t us);
void mb_peer_incarnation(
    struct mb *, struct peer *, uint64_t incarnation, uint64_t epoch);
void mb_peer_aborted(struct mb *, struct peer *);
void mb_peer_refused(struct mb *, struct peer *, uint8_t link);
void mb_peer_tick(struct mb *, struct peer *);
void mb_peer_jeopardy(struct mb *, struct peer *);
void mb_peer_decide(
    struct mb *, struct peer *, enum mb_peer verdict, const char *rule);
monotime_t mb_peer_deadline(const struct mb *, const struct peer *);
bool mb_peer_fresh(const struct mb *, const struct peer *);

/* member_pair.c: how nodes agree, doubt and yield. */
void mb_pair_view(struct mb *, struct peer *, const struct mb_msg *);
void mb_pair_goodbye(struct mb *, struct peer *, const struct mb_msg *);
void mb_pair_newer(struct mb *, struct peer *, uint64_t epoch);
void mb_pair_rival(struct mb *, struct peer *, uint64_t epoch, bool acts);
void mb_pair_doubt(struct mb *, enum mb_self from, const char *rule);
void mb_pair_ask(struct mb *);
void mb_pair_beat(struct mb *, struct peer *);
void mb_pair_heard(struct mb *, struct peer *, uint64_t epoch);
/* A decision that could not be written is not taken: the peer is back. */
bool mb_pair_dropped(struct mb *);
void mb_pair_undecide(struct mb *);
void mb_pair_tick(struct mb *);
void mb_pair_done(struct mb *);
void mb_pair_alone(struct mb *, struct peer *, enum mb_peer verdict,
    const char *rule, bool own_right);
void mb_pair_refused(struct mb *, struct peer *);
monotime_t mb_pair_deadline(const struct mb *);

/* member_arb.c: those who decide about a silent peer. */
bool mb_arb_configured(const struct mb *);
void mb_arb_silent(struct mb *, struct peer *);
void mb_arb_rest(struct mb *, struct peer *);
void mb_arb_boot(struct mb *);
void mb_arb_verdict(struct mb *, struct peer *, const struct mb_event *);
void mb_arb_epoch(struct mb *);
void mb_arb_holds(struct mb *);
void mb_arb_spent(struct mb *, uint64_t epoch);
monotime_t mb_arb_deadline(const struct mb *, const struct peer *);
monotime_t mb_arb_boot_deadline(const struct mb *);
void mb_arb_demote(struct mb *, bool on);

#endif
