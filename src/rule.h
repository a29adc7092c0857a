/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules that decisions follow from, in words, for hactl why.  A note of a
 * core names its rule and gives the evidence; what the rule says, and what it
 * does not do instead, is here.
 */
#ifndef RULE_H
#define RULE_H

#include "had.h"

struct rule {
	const char *name; /* as in notes */
	const char *says;
	const char *rejected; /* the alternatives, and why not */
	bool decides; /* false: it only bounds how something is done */
};

/* NULL: there is no such rule. */
const struct rule *rule_named(const char *name);
/* For tests: the i-th, NULL after the last. */
const struct rule *rule_at(unsigned i);

#endif
