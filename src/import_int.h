/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the converter share: the words of a keepalived.conf, and
 * what it says before it is put together.
 */
#ifndef IMPORT_INT_H
#define IMPORT_INT_H

#include "conf_int.h"
#include "import.h"

enum {
	IMP_WORDS_MAX = 16,
	IMP_TEXT_MAX = HAD_PATH_MAX,
	IMP_PARAMS_MAX = 64,
	IMP_SOURCES_MAX = 128,
	IMP_USES_MAX = 512,
	IMP_MEMBERS_MAX = 256,
	IMP_GROUPS_MAX = 128,
	IMP_INSTANCES_MAX = HAD_ADDRESSES_MAX,
};

/* The words of one statement. */
struct imp_stmt {
	int line;
	uint8_t n;
	bool block; /* a block follows; its brace was read */
	char word[IMP_WORDS_MAX][IMP_TEXT_MAX];
};

/* What a substitution stands for, as it is in the file. */
struct imp_param {
	size_t name, n_name, value, n_value; /* offsets and lengths */
};

struct imp_lex {
	const char *bytes; /* borrowed */
	size_t len, pos;
	int line;
	struct imp_param params[IMP_PARAMS_MAX];
	uint8_t n_params;
};

struct imp_addr {
	uint16_t instance;
	int line;
	uint8_t family, prefix, bytes[16];
	bool excluded; /* from the adverts */
	bool placed; /* a router has it */
	char ifname[16]; /* "" = the instance's */
};

/* auth_hmac */
struct imp_hmac {
	int line, window_line;
	enum conf_hmac_mode mode; /* NONE: there is none, or it was left out */
	bool monotonic;
	bool broken; /* something of it cannot be converted */
	uint8_t active, n_keys; /* 0: not given */
	uint16_t window_s; /* 0: not given */
	struct conf_hmac_key keys[CONF_HMAC_KEYS_MAX];
};

struct imp_instance {
	char name[IMP_TEXT_MAX];
	int line;
	char ifname[16];
	uint8_t version, vrid, priority; /* 0: not given */
	uint64_t interval_us, preempt_us;
	bool master, nopreempt, vmac, strict, strict_set, accept, no_accept;
	int state_line, nopreempt_line, preempt_line, interval_line,
	    version_line;
	bool auth_ah;
	char password[HAD_PASSWORD_MAX];
	int auth_line; /* 0: none */
	struct imp_hmac hmac;
	uint8_t source[16], source_family; /* 0: none */
	int source_line;
	uint8_t peers[HAD_ROUTER_PEERS_MAX][16];
	uint8_t peer_family[HAD_ROUTER_PEERS_MAX];
	uint8_t n_peers;
	/* Its routers stand together. */
	uint16_t first_router, n_routers;
	uint16_t group; /* index, UINT16_MAX = none */
};

/* A vrrp_script, vrrp_track_file or vrrp_track_process. */
struct imp_source {
	enum conf_track_type type; /* CHECK, FILE, PROCESS */
	char name[IMP_TEXT_MAX];
	char what[IMP_TEXT_MAX]; /* "" = cannot be converted, and was told */
	int line;
	uint64_t every_us, timeout_us;
	int32_t weight;
	bool reverse;
};

/* A thing that an instance or a group tracks. */
struct imp_use {
	enum conf_track_type type;
	bool of_group;
	uint16_t owner; /* index of the instance or group */
	char name[IMP_TEXT_MAX];
	int line;
	bool weight_set, reverse;
	int32_t weight;
};

struct imp_group {
	char name[IMP_TEXT_MAX];
	char ours[HAD_NAME_MAX]; /* as had can have it */
	int line;
	bool weights; /* sync_group_tracking_weight */
};

struct imp_member {
	char name[IMP_TEXT_MAX];
	uint16_t group;
	int line;
};

struct import {
	struct imp_lex lex;
	struct conf *c; /* borrowed */
	const char *file; /* borrowed */
	struct conf_errors *told; /* borrowed */
	size_t last; /* where the last line of it begins */
	bool broken; /* braces do not match */
	/* global_defs */
	uint8_t version;
	int version_line;
	bool strict;
	char ifname[16];
	uint64_t start_us;
	/* What is read, and the ones that are being read. */
	struct imp_instance instances[IMP_INSTANCES_MAX];
	struct imp_addr addrs[HAD_ADDRESSES_MAX];
	struct imp_source sources[IMP_SOURCES_MAX];
	struct imp_use uses[IMP_USES_MAX];
	struct imp_group groups[IMP_GROUPS_MAX];
	struct imp_member members[IMP_MEMBERS_MAX];
	uint16_t n_instances, n_addrs, n_sources, n_uses, n_groups, n_members;
	struct imp_instance *instance; /* borrowed, in instances */
	struct imp_source *source; /* borrowed, in sources */
	struct imp_group *group; /* borrowed, in groups; NULL: an instance */
	bool excluded; /* the block of addresses that is being read */
	char auth_type[8];
};

/* import_lex.c */
enum imp_next { IMP_STMT, IMP_CLOSE, IMP_END };
enum imp_next imp_next(struct import *, struct imp_stmt *);
/* To behind the brace that closes the block. */
void imp_skip_block(struct import *);

/* import.c */
/* "FILE:LINE: KEYWORD: ..." */
void imp_tell(struct import *, int line, const char *keyword, const char *fmt,
    ...) PRINTF_LIKE(4, 5);
/* A keyword of a block, and what becomes of it. */
struct imp_row {
	const char *word; /* a '*' at its end: what begins so */
	void (*fn)(struct import *, const struct imp_stmt *);
	bool block; /* fn reads the block */
	const char *why; /* without fn: why it is left out; NULL: it holds */
};
/* The rest of a block; NULL: to the end of the file. */
void imp_read(struct import *, const struct imp_stmt *head,
    const struct imp_row *, size_t n);
/* Each line of a block to fn. */
void imp_list(struct import *, const struct imp_stmt *head,
    void (*fn)(struct import *, const struct imp_stmt *));
/* Arguments: false = told. */
bool imp_uint(struct import *, const struct imp_stmt *, uint32_t min,
    uint32_t max, uint32_t *);
bool imp_seconds(
    struct import *, const struct imp_stmt *, uint64_t max_us, uint64_t *us);
bool imp_bool(struct import *, const struct imp_stmt *, bool *);
bool imp_text(struct import *, const struct imp_stmt *, char *dst, size_t size);
bool imp_ifname(struct import *, const struct imp_stmt *, char dst[16]);
/* "weight N [reverse]" from word at; false = told. */
bool imp_weight(struct import *, const struct imp_stmt *, uint8_t at,
    int32_t *weight, bool *reverse);
/* text as a name, with what had does not allow replaced; at most max bytes. */
void imp_name(char dst[HAD_NAME_MAX], const char *text, size_t max);

/* import_keepalived_instance.c */
void imp_instance(struct import *, const struct imp_stmt *);
void imp_track_interface(struct import *, const struct imp_stmt *);
void imp_track_script(struct import *, const struct imp_stmt *);
void imp_track_file(struct import *, const struct imp_stmt *);
void imp_track_process(struct import *, const struct imp_stmt *);

/* import_keepalived_hmac.c */
void imp_hmac(struct import *, const struct imp_stmt *);
/* That of its instance, to a router that has its place in the list. */
void imp_set_hmac(
    struct import *, const struct imp_instance *, struct conf_router *);

/* import_keepalived_track.c */
void imp_script(struct import *, const struct imp_stmt *);
void imp_file(struct import *, const struct imp_stmt *);
void imp_process(struct import *, const struct imp_stmt *);
void imp_sync_group(struct import *, const struct imp_stmt *);

/* import_keepalived_address.c: lines of blocks */
/* A numeric address that one machine can have: 4 or 6; 0 = it is none. */
uint8_t imp_host(const char *text, uint8_t bytes[16]);
void imp_address(struct import *, const struct imp_stmt *);
void imp_peer(struct import *, const struct imp_stmt *);

/* import_keepalived_build.c and _use.c: what was read to routers, tracks */
void imp_groups(struct import *);
void imp_routers(struct import *);
void imp_tracks(struct import *);

#endif
