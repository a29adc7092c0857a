/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes wrong in the small world, what is put right again, and what must
 * hold all the same.
 */
#include <stdio.h>
#include <string.h>

#include "arb_world.h"

enum {
	F_CRASH,
	F_POWER = F_CRASH + NODES,
	F_FREEZE = F_POWER + NODES,
	F_CUT = F_FREEZE + NODES,
	F_CUT_BOTH = F_CUT + LINKS,
	F_ONE_WAY,
	F_LOSE = F_ONE_WAY + NODES, /* both links, from that node */
	F_VOTER,
	F_VOTER_CUT,
	F_VOTE_LOST = F_VOTER_CUT + NODES,
	F_AGENT_FAILS,
	F_AGENT_LIES = F_AGENT_FAILS + NODES,
	F_AGENT_HANGS = F_AGENT_LIES + NODES,
	F_N = F_AGENT_HANGS + NODES
};
const unsigned n_faults = F_N;

static const char *const fault_names[F_N] = {"daemon 1 crashes",
    "daemon 2 crashes", "node 1 vanishes", "node 2 vanishes", "node 1 freezes",
    "node 2 freezes", "link 1 is cut", "link 2 is cut", "both links are cut",
    "nothing of node 1 arrives", "nothing of node 2 arrives",
    "messages under way are lost", "the voter goes down",
    "the voter is cut off from node 1", "the voter is cut off from node 2",
    "answers of the voter are lost", "the agent of node 1 fails",
    "the agent of node 2 fails", "the agent of node 1 lies",
    "the agent of node 2 lies", "the agent of node 1 hangs",
    "the agent of node 2 hangs"};

const char *
world_fault_name(unsigned kind)
{
	return fault_names[kind];
}

static bool
change(bool *b, bool to)
{
	bool was = *b;

	*b = to;
	return was != to;
}

static void
crash(unsigned i)
{
	struct mb_event e = {.type = MB_EV_ABORTED};
	bool told = world_awake(1 - i) && world_any_both_ways();

	W.node[i].running = W.node[i].frozen = W.node[i].holds = false;
	W.node[i].token = 0;
	e.u.aborted.peer = (uint8_t)(i + 1);
	if (told)
		world_mb_give(1 - i, e);
}

/* Messages of one kind that are under way. */
static bool
lose(int what)
{
	unsigned n = 0;

	for (unsigned k = 0; k < W.n_mails; k++)
		if (W.mails[k].what != (unsigned)what)
			W.mails[n++] = W.mails[k];
	if (n == W.n_mails)
		return false;
	W.n_mails = (uint8_t)n;
	return true;
}

/* An answer that does not come is one that says so, later. */
static bool
lose_votes(void)
{
	bool any = false;

	for (unsigned k = 0; k < W.n_mails; k++) {
		struct mail *m = &W.mails[k];

		if (m->what != M_VOTE || m->vote == ARB_VOTE_UNREACHABLE)
			continue;
		m->vote = ARB_VOTE_UNREACHABLE;
		m->holder = 0;
		m->holder_epoch = 0;
		any = true;
	}
	return any;
}

/*
 * Without an arbiter the cut of both at once, with both alive, is the accepted
 * risk of "silent peer takeover": the second link may go once the loss of the
 * first is known to both, and nothing may be in doubt.
 */
static bool
cut(unsigned link)
{
	bool other = W.cut[1 - link][0] || W.cut[1 - link][1];

	if (!config->fences && !config->voter && other &&
	    (W.node[0].running || W.node[1].running))
		for (unsigned i = 0; i < NODES; i++)
			if (W.node[i].running &&
			    !mb_cores[i]->peers[0].jeopardy)
				return false;
	return (int)change(&W.cut[link][0], true) |
	       (int)change(&W.cut[link][1], true);
}

static bool
node_fault(unsigned kind, unsigned i)
{
	struct node *n = &W.node[i];

	if (kind == F_POWER) {
		if (!n->powered)
			return false;
		world_power_off(i);
		return true;
	}
	if (!world_awake(i))
		return false;
	if (kind == F_CRASH)
		crash(i);
	else
		n->frozen = true;
	return true;
}

static bool
agent_fault(unsigned i, enum way how)
{
	if (!config->fences || W.agent[i] != AGENT_GOOD)
		return false;
	W.agent[i] = how;
	return true;
}

bool
world_fault(unsigned k)
{
	bool arbiter = config->fences || config->voter;

	if (k < F_POWER)
		return node_fault(F_CRASH, k - F_CRASH);
	if (k < F_FREEZE)
		return node_fault(F_POWER, k - F_POWER);
	if (k < F_CUT)
		return node_fault(F_FREEZE, k - F_FREEZE);
	if (k < F_CUT_BOTH)
		return cut(k - F_CUT);
	if (k == F_CUT_BOTH)
		return arbiter && ((int)cut(0) | (int)cut(1));
	if (k < F_LOSE)
		return arbiter &&
		       ((int)change(&W.cut[0][k - F_ONE_WAY], true) |
			   (int)change(&W.cut[1][k - F_ONE_WAY], true));
	if (k == F_LOSE)
		return lose(M_MSG);
	if (k == F_VOTER)
		return config->voter && change(&W.voter_down, true);
	if (k < F_VOTE_LOST)
		return config->voter &&
		       change(&W.voter_cut[k - F_VOTER_CUT], true);
	if (k == F_VOTE_LOST)
		return lose_votes();
	if (k < F_AGENT_LIES)
		return agent_fault(k - F_AGENT_FAILS, AGENT_FAILS);
	if (k < F_AGENT_HANGS)
		return agent_fault(k - F_AGENT_LIES, AGENT_LIES);
	return agent_fault(k - F_AGENT_HANGS, AGENT_HANGS);
}

static const char *const repair_names[REPAIRS] = {"links are whole again",
    "node 1 comes back", "node 2 comes back", "arbiters work again"};

const char *
world_repair_name(unsigned kind)
{
	return repair_names[kind];
}

bool
world_repair(unsigned kind)
{
	bool any = false;

	if (kind == 1 || kind == 2) {
		struct node *n = &W.node[kind - 1];

		if (world_awake(kind - 1))
			return false;
		if (n->running)
			n->frozen = false;
		else
			world_boot(kind - 1);
		return true;
	}
	if (kind == 0) {
		for (unsigned l = 0; l < LINKS; l++)
			for (unsigned i = 0; i < NODES; i++)
				any |= change(&W.cut[l][i], false);
		return any;
	}
	any |= change(&W.voter_down, false);
	for (unsigned i = 0; i < NODES; i++) {
		any |= change(&W.voter_cut[i], false);
		any |= W.agent[i] != AGENT_GOOD;
		W.agent[i] = AGENT_GOOD;
	}
	return any;
}

/* What was started with data here may run. */
static bool
acts(unsigned i)
{
	const struct node *n = &W.node[i];

	return world_awake(i) && n->holds && !n->no_data &&
	       (n->self == MB_ALONE || n->self == MB_PAIRED);
}

const char *
world_broken(void)
{
	const struct node *a = &W.node[0], *b = &W.node[1];

	if (broken != NULL)
		return broken;
	if (W.lied)
		return NULL;
	/*
	 * One that was not there and found its peer switched off (R1) has no
	 * right to data, and does not count.
	 */
	if (a->running && b->running && a->self == MB_ALONE &&
	    b->self == MB_ALONE && a->epoch == b->epoch && a->own_right &&
	    b->own_right)
		return "I1: both act alone at one epoch";
	/* A frozen one is asked when it thaws: it knows before it acts. */
	if (acts(0) && acts(1))
		return "I1: both may own the data";
	if (W.shot == 3)
		return "R4: each has switched the other off";
	return NULL;
}

static bool
arbiter_for(unsigned i)
{
	if (config->fences && W.agent[1 - i] == AGENT_GOOD)
		return true;
	return config->voter && !W.voter_down && !W.voter_cut[i];
}

/* After a long time in which nothing changes any more. */
const char *
world_stuck(void)
{
	bool up[NODES] = {world_awake(0), world_awake(1)};
	unsigned i = up[0] ? 0 : 1;

	if (W.lied || up[0] == up[1] || !arbiter_for(i))
		return NULL;
	/* R5: every agent failed, and no voter is left: an operator decides. */
	if (arb_cores[i]->peers[0].state == ARB_FROZEN &&
	    (!config->voter || W.voter_down || W.voter_cut[i]))
		return NULL;
	/* It had the right when its peer went, and nobody else has the lease.
	 */
	if (W.node[i].self == MB_PAIRED &&
	    (W.voter_epoch <= W.node[i].epoch || W.voter_holder == i + 1 ||
		!config->voter))
		return "I6: one node and one arbiter are alive, and it waits";
	return NULL;
}

void
world_print(void)
{
	for (unsigned i = 0; i < NODES; i++) {
		const struct node *n = &W.node[i];

		printf("#   node %u: %s%s%s, %s, peer %s, epoch %llu%s%s\n",
		    i + 1, n->powered ? "on" : "off",
		    n->running ? "" : ", no daemon",
		    n->frozen ? ", frozen" : "", mb_self_name(n->self),
		    mb_peer_name(n->verdict), (unsigned long long)n->epoch,
		    n->holds ? ", holds data" : "",
		    n->no_data ? ", demoted" : "");
	}
}
