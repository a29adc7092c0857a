/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lexer, parser, checker and printer of the configuration share.
 */
#ifndef CONF_INT_H
#define CONF_INT_H

#include <stdarg.h>

#include "conf.h"

/*
 * Every word with a meaning, once.  The parser's tables, the messages, the
 * printer and the test that looks for each in the manual go by this list.
 */
#define CONF_KEYWORDS(X) \
	X(CLUSTER, "cluster") \
	X(HEARTBEAT, "heartbeat") \
	X(DEAD, "dead") \
	X(SILENT, "silent") \
	X(PEER, "peer") \
	X(TAKEOVER, "takeover") \
	X(WAIT, "wait") \
	X(PORT, "port") \
	X(NODE, "node") \
	X(ID, "id") \
	X(KEY, "key") \
	X(LINK, "link") \
	X(INTERFACE, "interface") \
	X(VOLUME, "volume") \
	X(DEVICE, "device") \
	X(META, "meta") \
	X(INTERNAL, "internal") \
	X(WRITE, "write") \
	X(DISK, "disk") \
	X(RESYNC, "resync") \
	X(RATE, "rate") \
	X(ADDRESS, "address") \
	X(SERVICE, "service") \
	X(PREFER, "prefer") \
	X(FAILBACK, "failback") \
	X(NEVER, "never") \
	X(AUTO, "auto") \
	X(START, "start") \
	X(MOUNT, "mount") \
	X(ON, "on") \
	X(TYPE, "type") \
	X(OPTIONS, "options") \
	X(COMMAND, "command") \
	X(STOP, "stop") \
	X(STATUS, "status") \
	X(TIMEOUT, "timeout") \
	X(CHECK, "check") \
	X(EVERY, "every") \
	X(LOCKSPACE, "lockspace") \
	X(GROUP, "group") \
	X(LOCKS, "locks") \
	X(WITNESS, "witness") \
	X(LOCK, "lock") \
	X(WATCHDOG, "watchdog") \
	X(PING, "ping") \
	X(SELF, "self") \
	X(FENCE, "fence") \
	X(OFF, "off") \
	X(SYSRQ, "sysrq") \
	X(FILE, "file") \
	X(DOMAIN, "domain") \
	X(ROUTER, "router") \
	X(VRRP, "vrrp") \
	X(VRID, "vrid") \
	X(CARP, "carp") \
	X(VHID, "vhid") \
	X(SKEW, "skew") \
	X(PRIORITY, "priority") \
	X(INTERVAL, "interval") \
	X(PREEMPT, "preempt") \
	X(AFTER, "after") \
	X(PASSWORD, "password") \
	X(SOURCE, "source") \
	X(UNICAST, "unicast") \
	X(CHECKSUM, "checksum") \
	X(PSEUDO, "pseudo") \
	X(PLAIN, "plain") \
	X(VIRTUAL, "virtual") \
	X(MAC, "mac") \
	X(ACCEPT, "accept") \
	X(TRACK, "track") \
	X(PROCESS, "process") \
	X(WEIGHT, "weight") \
	X(SHARE, "share") \
	X(HMAC, "hmac") \
	X(SIGN, "sign") \
	X(REPLAY, "replay") \
	X(TIME, "time") \
	X(MONOTONIC, "monotonic") \
	X(WINDOW, "window") \
	X(MODE, "mode") \
	X(ENFORCE, "enforce") \
	X(PERMISSIVE, "permissive") \
	X(RECEIVE_ONLY, "receive-only")

enum conf_kw {
#define X(id, word) CONF_KW_##id,
	CONF_KEYWORDS(X)
#undef X
	    CONF_KW_N
};

enum conf_tok {
	CONF_TOK_END, /* of the file */
	CONF_TOK_NEWLINE,
	CONF_TOK_SEMICOLON,
	CONF_TOK_LBRACE,
	CONF_TOK_RBRACE,
	CONF_TOK_EQUALS,
	CONF_TOK_WORD,
	CONF_TOK_STRING,
	CONF_TOK_MACRO, /* $name; text is the name */
	CONF_TOK_BAD, /* no token; text says what it is */
};

enum { CONF_TEXT_MAX = HAD_PATH_MAX };

struct conf_token {
	enum conf_tok type;
	int line, col; /* of its first byte, from 1 */
	size_t at; /* its offset in the file */
	char text[CONF_TEXT_MAX]; /* NUL-terminated, escapes resolved */
};

struct conf_lex {
	const char *bytes; /* borrowed */
	size_t len, pos;
	int line, col; /* of bytes[pos] */
};

enum { CONF_MACROS_MAX = 64 };

struct conf_macro {
	char name[HAD_NAME_MAX];
	size_t at; /* offset of its string */
	int line;
};

/* The parser: one token of look-ahead. */
struct conf_parser {
	struct conf *c; /* borrowed */
	const char *file; /* borrowed */
	struct conf_errors *errors; /* borrowed */
	struct conf_lex lex;
	struct conf_token tok; /* the next one, macros replaced */
	int key_line, key_col; /* of the keyword that was read last */
	bool end_reported; /* every open block would complain again */
	/* The block that is being filled. */
	struct conf_node *node; /* borrowed, in c */
	struct conf_link *link; /* borrowed, in c */
	struct conf_fence *fence; /* borrowed, in c */
	struct conf_volume *volume; /* borrowed, in c */
	struct conf_service *service; /* borrowed, in c */
	struct conf_step *step; /* borrowed, in c */
	struct conf_lockspace *lockspace; /* borrowed, in c */
	struct conf_router *router; /* borrowed, in c */
	struct conf_track *track; /* borrowed, in c */
	struct conf_macro macros[CONF_MACROS_MAX];
	uint8_t n_macros;
};

/*
 * A statement or an attribute: its keyword and what reads the rest.  parse
 * is called behind the keyword; false means that it reported an error.
 */
struct conf_stmt {
	enum conf_kw kw;
	bool (*parse)(struct conf_parser *);
	bool many; /* may occur more than once */
	bool block; /* ends with its own brace */
};

/* conf_lex.c */
void conf_lex_init(struct conf_lex *, const char *bytes, size_t len);
void conf_lex_next(struct conf_lex *, struct conf_token *);
/* Text for "got %s". */
void conf_token_name(const struct conf_token *, char *buf, size_t size);
bool conf_is_word(const char *text); /* needs no quotes */
const char *conf_kw_word(enum conf_kw);

/* conf_value.c: each consumes what it accepts; false = reported. */
void conf_next(struct conf_parser *);
void conf_error(struct conf_errors *, const char *file, int line, int col,
    const char *fmt, ...) PRINTF_LIKE(5, 6);
/* "got TOKEN, expected ..."; always false. */
bool conf_expected(struct conf_parser *, const char *fmt, ...)
    PRINTF_LIKE(2, 3);
bool conf_is_kw(const struct conf_parser *, enum conf_kw);
bool conf_want_kw(struct conf_parser *, enum conf_kw);
/* One of two words; *second tells which. */
bool conf_either(struct conf_parser *, enum conf_kw first, enum conf_kw second,
    bool *is_second);
bool conf_text(struct conf_parser *, char *dst, size_t size, const char *what);
bool conf_name(struct conf_parser *, char *dst, size_t size, const char *what);
bool conf_path(struct conf_parser *, char *dst, size_t size, const char *what);
bool conf_ifname(struct conf_parser *, char dst[16]);
int conf_hex_digit(char); /* its value; -1: it is none */
bool conf_uint(struct conf_parser *, uint32_t min, uint32_t max, uint32_t *);
bool conf_duration(
    struct conf_parser *, uint32_t min_ms, uint32_t max_ms, uint32_t *ms);
bool conf_rate(struct conf_parser *, uint32_t *kib);
bool conf_int(struct conf_parser *, int32_t min, int32_t max, int32_t *);
bool conf_key(struct conf_parser *, uint8_t key[32]);
bool conf_name_valid(const char *);
bool conf_ifname_valid(const char *);

/* conf_addr.c */
/* Numeric IPv4 or IPv6: 4 or 6, or 0 if text is neither. */
uint8_t conf_addr_parse(const char *text, uint8_t bytes[16]);
bool conf_addr_unicast(uint8_t family, const uint8_t bytes[16]);
bool conf_addr_link_local(uint8_t family, const uint8_t bytes[16]);
bool conf_addr_is_network(
    uint8_t family, const uint8_t bytes[16], uint8_t prefix);

/* conf_parse.c */
/*
 * To the end of the statement: behind its newline or semicolon, or before
 * the brace that closes the block around it.  Blocks inside it are skipped
 * whole.  True if it stopped at a brace.
 */
bool conf_skip_statement(struct conf_parser *);
void conf_skip_separators(struct conf_parser *);
/* A statement without a block of its own ends with its line. */
bool conf_end_statement(struct conf_parser *);
bool conf_block(
    struct conf_parser *, const struct conf_stmt *, size_t n, const char *what);
/* Attributes in any order up to the end of the statement. */
bool conf_attrs(struct conf_parser *, const struct conf_stmt *, size_t n);

/* conf_service.c */
bool conf_parse_service(struct conf_parser *);

/* conf_arbiter.c: each is called behind its keyword. */
bool conf_parse_witness(struct conf_parser *);
bool conf_parse_lock(struct conf_parser *);
bool conf_parse_watchdog(struct conf_parser *);
bool conf_parse_ping(struct conf_parser *);
bool conf_parse_self(struct conf_parser *);
bool conf_parse_fence(struct conf_parser *); /* in the block of a node */
bool conf_parse_domain(struct conf_parser *); /* behind a link */
bool conf_agent_valid(const char *); /* a name, or an absolute path */
bool conf_param_valid(const char *); /* the name of a parameter */
/* Why had sets this parameter of every agent itself; NULL if it does not. */
const char *conf_param_reserved(const char *name);

/*
 * conf_timers.c: derives all but heartbeat and dead; false if the chain does
 * not hold.  watchdog_ms: 0 = none.
 */
bool conf_timers_derive(
    struct conf_timers *, uint8_t voters, uint32_t watchdog_ms);
/* One inequality of the chain: small <= large has to hold. */
struct conf_bound {
	const char *what; /* borrowed, static */
	uint32_t small, large;
};
enum { CONF_BOUNDS_MAX = 8 };
size_t conf_timers_bounds(
    const struct conf_timers *, struct conf_bound[CONF_BOUNDS_MAX]);
/* The least dead that holds with this heartbeat. */
uint32_t conf_dead_min(uint32_t heartbeat_ms);
/* What waits for another's lease waits this long. */
uint32_t conf_lease_over(uint32_t lease_ms);

/* conf_router.c */
bool conf_parse_router(struct conf_parser *);

/* conf_hmac.c: in the block of a router */
bool conf_parse_hmac(struct conf_parser *);

/* The checker, and its message at the position of an object. */
struct conf_checker {
	struct conf *c; /* borrowed */
	const char *file; /* borrowed */
	struct conf_errors *errors; /* borrowed */
};
#define CONF_AT(k, obj, ...) \
	conf_error((k)->errors, (k)->file, (obj)->line, (obj)->col, __VA_ARGS__)

/* conf_check_arbiter.c */
void conf_check_arbiters(struct conf_checker *);

/* conf_check_router.c; behind the services */
void conf_check_routers(struct conf_checker *);

/* conf_hmac.c: fills in what was not given */
void conf_check_hmac(struct conf_checker *, struct conf_router *);

/* conf_check_service.c */
void conf_check_services(struct conf_checker *);

/* Text into a buffer as snprintf(3) does it. */
struct conf_out {
	char *buf; /* borrowed */
	size_t size, len; /* len also counts what did not fit */
};

/* conf_print.c */
void conf_put(struct conf_out *, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* In double quotes, with '"' and '\' escaped. */
void conf_put_string(struct conf_out *, const char *text);
void conf_put_word(struct conf_out *, const char *text);
void conf_put_duration(struct conf_out *, uint32_t ms);
void conf_put_key(struct conf_out *, const uint8_t key[32]);

/* conf_print_router.c */
void conf_put_router(
    struct conf_out *, const struct conf *, const struct conf_router *);

/* conf_hmac.c */
void conf_put_hmac(
    struct conf_out *, const struct conf *, const struct conf_router *);

/* conf_print_arbiter.c */
void conf_put_arbiters(struct conf_out *, const struct conf *);
void conf_put_domain(struct conf_out *, const struct conf_link *);
void conf_put_fences(struct conf_out *, const struct conf_node *);
/* Who decides and what may be lost, for had -n. */
void conf_put_votes(struct conf_out *, const struct conf *);

#endif
