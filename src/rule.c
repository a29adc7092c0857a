/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "rule.h"

static const struct rule rules[] = {
    {"R1",
	"after a start a node acts only if it has seen its peer, if the peer "
	"is verified off, if its own record says that it was the only one "
	"left, or if an operator says that the peer is down",
	"acting because nobody answers: the peer may be up and cut off, or "
	"its copy of the data the newer one",
	true},
    {"R2",
	"with one way to the peer left, and no arbiter, its loss moves "
	"nothing: each side keeps what it holds",
	"taking over: a broken cable looks the same as a dead peer. Stopping "
	"here: the peer would not start it",
	true},
    {"R3",
	"data is taken from a silent peer only if it is verified off, if a "
	"lease was granted, or if the file says that silence of all links at "
	"once is death",
	"taking it at once: two owners destroy it. Waiting for ever: the "
	"evidence suffices, or an operator is asked",
	true},
    {"R4",
	"the node that holds good data fires at once, the other one after a "
	"delay",
	"firing at the same time: both nodes would be off", true},
    {"R5",
	"a fence that failed or cannot be verified is a failure: the next "
	"level, then everything stays as it is until an operator confirms",
	"taking a failed fence for a success: the peer may still write. "
	"Trying one level for ever: the next one may work",
	true},
    {"R6",
	"a lease is bound to one epoch and one node, and the node that holds "
	"good data asks first; losing only an arbiter changes nothing",
	"moving services because an arbiter is gone: both nodes are well",
	true},
    {"R7",
	"an active node without peer and without lease stops its data before "
	"the other one may take it",
	"going on: the other side may have the lease. Stopping without an "
	"arbiter: one dead standby would stop everything",
	true},
    {"R8",
	"who acts alone raises the epoch first, durably; what is of an older "
	"epoch is refused, and who finds a higher one steps back",
	"believing the older side: the newer one has gone on without it", true},
    {"R9", "a node that is cut off itself hands over and takes nothing",
	"taking over: the silence is its own. Going on: nobody reaches it "
	"here",
	true},
    {"R10",
	"a service does not go back by itself unless that is configured, and "
	"moves by itself once in ten minutes; then it stays where it is",
	"moving it again: what failed on both nodes would go round for ever. "
	"Never trying again: after ten minutes, or when an operator says so, "
	"it may",
	true},
    {"R11",
	"a check that fails moves a service, after one start where it was; "
	"one that gives no answer in time only degrades it",
	"moving it on a timeout: a busy machine would lose its services. "
	"Ignoring a failure: the service is down",
	true},
    {"R12",
	"what does not stop in time has its users killed, then the node "
	"resets itself if that is configured; nothing is started elsewhere "
	"before",
	"starting it elsewhere meanwhile: it may still be running here", true},
    {"R13", "who was refused by the arbiters never fences and stops its data",
	"fencing nevertheless: the peer has won and goes on. Going on here: "
	"there would be two owners",
	true},
    {"R14", "while the peer's fate is undecided writes are not answered",
	"answering them: they would be lost if the peer has taken over", true},
    {"R15", "every retry backs off, and one cause is told once",
	"telling and trying it every time: it would hide the cause", false},
    {"service",
	"whoever runs it keeps it; else a node that can, with the complete "
	"copy, the preferred one, the lower id, once the other one agrees",
	"starting it without the other node's word: both could start it", true},
    {"goodbye",
	"a node that says goodbye has stopped its services and its data: the "
	"other one acts at once",
	"waiting as for a silent node: it has told what became of it", true},
    {"takeover", "an operator wants it on that node",
	"leaving it where the rules of placement would put it", true},
    {"standby",
	"an operator drains the node: it gives what it runs to the peer and "
	"takes nothing",
	"stopping what the peer cannot take: it goes on here until it can",
	true},
    {"stop", "an operator stopped it, or the daemon that runs it",
	"starting it elsewhere although an operator wants it down", true},
    {"freeze", "an operator wants nothing to move by itself; what runs goes on",
	"taking it over, or stopping it for a failed check", true},
};

const struct rule *
rule_named(const char *name)
{
	for (unsigned i = 0; i < NITEMS(rules); i++)
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	return NULL;
}

const struct rule *
rule_at(unsigned i)
{
	return i < NITEMS(rules) ? &rules[i] : NULL;
}
