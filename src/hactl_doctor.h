/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl doctor: what its files share.
 */
#ifndef HACTL_DOCTOR_H
#define HACTL_DOCTOR_H

#include <jansson.h>

#include "conf.h"

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor {
	json_t *list; /* owned: {level, check, object, text, fix} */
	const struct conf *c; /* borrowed; NULL: there is none */
	const struct conf_node *me; /* borrowed, in c; NULL: not known */
	enum doctor_level worst;
};

/* fix: what to do about it; "" for what is well. */
void doctor_say(struct doctor *, enum doctor_level, const char *check,
    const char *object, const char *fix, const char *fmt, ...)
    PRINTF_LIKE(6, 7);

/* hactl_doctor_kernel.c: modules, nftables, sysctls, clock */
void doctor_kernel(struct doctor *);
/*
 * What nft(8) prints when it is given input; the caller frees.  NULL: it
 * failed, and why, if not NULL, has its first line.
 */
char *doctor_nft_run(
    const char *const argv[], const char *input, char *why, size_t size);

/* hactl_doctor_net.c: interfaces, addresses and links of the configuration */
void doctor_net(struct doctor *);

/* hactl_doctor_rules.c: chains of others that would drop what had sends */
void doctor_rules(struct doctor *);

/* hactl_doctor_walk.c */
/* A string of an object; "" if there is none. */
const char *doctor_text(const json_t *, const char *key);
struct doctor_proto {
	int number;
	const char *name, *what;
};

enum doctor_outcome { DOCTOR_GO_ON, DOCTOR_ACCEPTED, DOCTOR_DROPPED };

struct doctor_walk {
	const struct doctor *d; /* borrowed */
	const json_t *objects; /* borrowed: of the listing */
	const struct doctor_proto *p; /* borrowed */
	const char *family, *table; /* borrowed */
	unsigned depth;
	bool maybe; /* an accept under conditions was passed */
	/* The rule that drops: -1 = none; under conditions. */
	int drop, soft;
	const char *drop_chain, *soft_chain; /* borrowed */
	bool named; /* the rule that drops names the protocol */
};

/* From here on; the chain is one of w->table. */
enum doctor_outcome doctor_walk(struct doctor_walk *w, const char *chain);

#endif
