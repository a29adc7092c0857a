/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The convention of fence agents (FenceAgentAPI of ClusterLabs): options as
 * key=value lines on standard input, the answer as an exit status.  Pure.
 */
#ifndef FENCE_AGENT_H
#define FENCE_AGENT_H

#include "conf.h"
#include "had.h"

enum fa_action { FA_OFF, FA_STATUS, FA_MONITOR, FA_ON, FA_ACTION_N };

enum fa_result {
	FA_OK, /* off, on, monitor: done, so it says */
	FA_IS_ON, /* status */
	FA_IS_OFF, /* status */
	FA_FAILED,
	FA_TIMEOUT, /* killed: cancelled, or past its deadline */
};

enum {
	FA_INPUT_MAX = HAD_FENCE_PARAMS_MAX * (HAD_NAME_MAX + HAD_VALUE_MAX) +
		       256, /* always holds what fa_input() makes */
	FA_LINE_MAX = 256, /* of an agent's output, the NUL included */
};

const char *fa_action_name(enum fa_action);

/* What the parameters are worth, files read; values[i] is of params[i]. */
struct fa_values {
	char values[HAD_FENCE_PARAMS_MAX][HAD_VALUE_MAX];
};

/*
 * The text for an agent's standard input: action, nodename, the parameters.
 * A parameter named nodename replaces the node's own name.  Returns its
 * length, or -1 and *why: a parameter named action, or one with a line end.
 */
int fa_input(const struct conf_fence *, const struct fa_values *,
    enum fa_action, const char *node, char buf[FA_INPUT_MAX], const char **why);

/*
 * The value of a parameter that stands in a file: its first line.  Returns 0,
 * or -1 and *why: empty, too long, NUL in it.
 */
int fa_value_of_file(char value[HAD_VALUE_MAX], const uint8_t *bytes,
    size_t len, const char **why);

/*
 * What an exit status means.  status exits with 0 = on, 2 = off, anything
 * else = it cannot say; all other actions with 0 = done.
 */
enum fa_result fa_result_of(enum fa_action, int exit_status);

/* The last line of an agent's output that is not blank, in bounds. */
struct fa_output {
	char last[FA_LINE_MAX]; /* the last whole one */
	char part[FA_LINE_MAX]; /* the one that is being read */
	uint16_t used; /* of part */
};
void fa_output_add(struct fa_output *, const char *bytes, size_t len);

/*
 * The last line for eyes: what is secret in it is replaced by "***".  Secret
 * is the value of every parameter from a file, and of one whose name has
 * pass, secret, token or key in it.
 */
void fa_output_text(const struct fa_output *, const struct conf_fence *,
    const struct fa_values *, char text[FA_LINE_MAX]);

#endif
