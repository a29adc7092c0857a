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
/* The same for a listing of 'nft -j'; the function prints a rule. */
void doctor_ruleset(struct doctor *, const json_t *listing,
    void (*rule_text)(const char *family, const char *table, const char *chain,
	int handle, char *text, size_t size));

#endif
