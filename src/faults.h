/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens if...: two nodes (node.h, the very cores of the daemon) of a
 * given configuration in a small world of their own, in which one fault or
 * two happen and nothing is repaired.  Pure: the time is simulated, nothing is
 * random, so one configuration has one answer.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include "conf.h"
#include "had.h"

/* What became of a service; each is worse than the one before. */
#define FAULTS_OUTCOME_LIST(X) \
	X(CONTINUES, "continues") /* was never away */ \
	X(MOVES, "moves") /* was away, and is there again by itself */ \
	X(WAITS, "waits for you") /* is away until somebody does something */ \
	X(RISK, "data at risk") /* acknowledged writes are or may be lost */
#define X(sym, name) FAULTS_##sym,
enum faults_kind { FAULTS_OUTCOME_LIST(X) FAULTS_KIND_N };
#undef X

const char *faults_kind_name(enum faults_kind);

enum { FAULTS_MAX = 64 };

struct faults_service {
	enum faults_kind kind;
	uint8_t on; /* node id at the end, 0: nowhere */
	uint32_t away_ms; /* MOVES: how long it was not to be had */
	/* Longest that a write had to wait while nobody had decided. */
	uint32_t held_ms;
};

struct faults_outcome {
	uint16_t worst; /* service that the rest is about */
	struct faults_service services[HAD_SERVICES_MAX];
	/* WAITS, RISK: why, one clause. */
	char why[256];
	/*
	 * WAITS: what to do, one clause.  node != 0: a command of hactl to be
	 * typed there, which was tried; back_ms after it the service was back.
	 */
	char action[384];
	uint8_t node;
	uint32_t back_ms;
	uint8_t daemons; /* that run at the end */
	bool doubled; /* both nodes answer for an address without data */
};

struct faults;
/*
 * conf is lent until faults_free; it has two nodes and a service.  service:
 * the only one that is looked at, or -1.
 */
struct faults *faults_new(const struct conf *, int service);
void faults_free(struct faults *);
unsigned faults_count(const struct faults *);
const char *faults_name(const struct faults *, unsigned fault);
/* Makes no sense: the second would happen to what is already dead. */
bool faults_void(const struct faults *, unsigned first, unsigned second);
/* Where the service runs before anything happens: a node id. */
uint8_t faults_home(const struct faults *, uint16_t service);
/*
 * One run.  second: -1 for none; it happens gap_ms after the first.  Returns
 * 0, or -1 if the pair does not even come up; then why says why.
 */
int faults_run(const struct faults *, unsigned first, int second,
    uint32_t gap_ms, struct faults_outcome *);

/* What the model takes for granted, in milliseconds. */
enum {
	FAULTS_EXPORT_MS = 20,
	FAULTS_MOUNT_MS = 200,
	FAULTS_COMMAND_MS = 1000,
	FAULTS_STOP_MS = 100,
	FAULTS_FENCE_MS = 2000,
	FAULTS_DOUBLE_MS = 30 * 1000,
};

#endif
