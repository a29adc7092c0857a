/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which cells of the state machines' tables were taken, by all workers and all
 * runs that add to the same file.  A line of it is
 *	taken|never TABLE INPUT STATE
 */
#include <stdlib.h>
#include <string.h>

#include "sim_run.h"

enum { TABLES = 6, INS_MAX = 32, STATES_MAX = 16 };

#define X(sym, name) name,
#define V(sym) #sym,
static const char *const mb_ins[] = {MB_EV_LIST(X) NULL};
static const char *const mb_states[] = {MB_SELF_LIST(X) NULL};
static const char *const svc_ins[] = {SVC_IN_LIST(X) NULL};
static const char *const svc_states[] = {SVC_STATE_LIST(X) NULL};
static const char *const arb_ins[] = {ARB_IN_LIST(X) NULL};
static const char *const arb_states[] = {ARB_STATE_LIST(X) NULL};
static const char *const vip_ins[] = {VIP_EVENTS(V) NULL};
static const char *const vip_states[] = {VIP_STATES(V) NULL};
static const char *const vr_ins[] = {VR_EVENTS(V) NULL};
static const char *const vr_states[] = {VR_STATES(V) NULL};
static const char *const share_ins[] = {SHARE_EVENTS(V) NULL};
static const char *const share_states[] = {SHARE_STATES(V) NULL};
#undef X
#undef V

static const struct {
	const char *name;
	const char *const *ins, *const *states; /* each ends with NULL */
} tables[TABLES] = {
    [ND_TABLE_MB] = {"member", mb_ins, mb_states},
    [ND_TABLE_SVC] = {"service", svc_ins, svc_states},
    [ND_TABLE_ARB] = {"arbiter", arb_ins, arb_states},
    [ND_TABLE_VIP] = {"address", vip_ins, vip_states},
    [ND_TABLE_VR] = {"router", vr_ins, vr_states},
    [ND_TABLE_SHARE] = {"share", share_ins, share_states},
};

/* Shared by the workers, who only ever write the same to it. */
static uint8_t (*taken)[INS_MAX][STATES_MAX];

void
cells_begin(void)
{
	taken = shared(sizeof(*taken) * TABLES);
}

void
cell_taken(enum nd_table table, unsigned in, unsigned state)
{
	ASSERT((unsigned)table < TABLES && in < INS_MAX && state < STATES_MAX);
	taken[table][in][state] = 1;
}

static void
cell_line(unsigned t, unsigned in, unsigned st, char *text, size_t size)
{
	snprintf(text, size, "%s %s / %s", tables[t].name, tables[t].ins[in],
	    tables[t].states[st]);
}

/* Calls fn for every cell until it returns true. */
static bool
each(bool (*fn)(unsigned, unsigned, unsigned, void *), void *arg)
{
	for (unsigned t = 0; t < TABLES; t++)
		for (unsigned i = 0; tables[t].ins[i] != NULL; i++)
			for (unsigned s = 0; tables[t].states[s] != NULL; s++)
				if (fn(t, i, s, arg))
					return true;
	return false;
}

static bool
if_named(unsigned t, unsigned in, unsigned st, void *arg)
{
	char text[96];

	cell_line(t, in, st, text, sizeof(text));
	if (strcmp(text, arg) != 0)
		return false;
	taken[t][in][st] = 1;
	return true;
}

static bool
print(unsigned t, unsigned in, unsigned st, void *arg)
{
	char text[96];

	cell_line(t, in, st, text, sizeof(text));
	fprintf(arg, "%s %s\n", taken[t][in][st] ? "taken" : "never", text);
	return false;
}

int
cells_save(const char *path)
{
	char line[128];
	FILE *f = fopen(path, "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "taken ", 6) == 0 &&
		    !each(if_named, line + 6)) {
			fprintf(
			    stderr, "sim: %s: no cell '%s'\n", path, line + 6);
			fclose(f);
			return -1;
		}
	}
	if (f != NULL)
		fclose(f);
	if ((f = fopen(path, "w")) == NULL) {
		perror(path);
		return -1;
	}
	each(print, f);
	if (fclose(f) != 0) {
		perror(path);
		return -1;
	}
	return 0;
}
