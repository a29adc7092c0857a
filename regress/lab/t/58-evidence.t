#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the other scripts leave of the table of evidence: an ABORT alone proves
# nothing, whose addresses answer lives whatever SCTP says, and of a frozen
# daemon the addresses move, its data does not where the file says wait.
# lab: timeout 360
# lab: long
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"
# shellcheck source=../lib_arbiter.sh
. "$LAB_ROOT/regress/lab/lib_arbiter.sh"

EDGE=192.0.2.81
# shellcheck disable=SC2034
CLUSTER_EXTRA="address edge { $EDGE/24 interface lan0 }
service edge {
	prefer alpha
	start {
		address edge
	}
}"
# Both nodes' frames of one kind are lost, on every link: an nft rule, or "".
sieve() {
	local node link
	for node in alpha bravo; do
		for link in lan cross; do
			lab_fault $node $link in sieve "$1"
		done
	done
	lab_pair_drops
}
peer_is() { [ "$(status "$1" '.nodes[1].state')" = "$2" ]; }
edge_on() { # node: by name, the order of services is the file's
	[ "$(status "$1" '.services[] | select(.name == "edge") | .on + " " + .state')" = "$1 running" ]
}
gone_lines() { grep -c 'fresh INIT refused' "$(had_log bravo)"; }

check "a pair is up" cluster_up 24
check "paired" wait_for 20 cluster_paired
check "shop runs on alpha" wait_for 30 service_on alpha
check "edge runs on alpha" wait_for 30 edge_on alpha
check "both copies are equal" wait_for 60 in_sync
check "the client writes" writer_start

# alpha's daemon is killed: its kernel's ABORT is heard, but what it says to
# an INIT is not, because no INIT gets there.  So it is not "at once".
prober_start abort "$VIP"
t=$(now_ms)
sieve "ip protocol 132 @th,96,8 1 counter drop"
had_kill alpha
check "abort alone: bravo has shop, later" wait_for 30 service_on bravo
is "$(gone_lines)" 0 "abort alone: no INIT was refused"
check "abort alone: it waited for silence" events_have bravo "silent peer takeover"
check "abort alone: served" served
diag "abort alone: served again after $(gap_ms "$t") ms"
sieve ""
check "alpha starts again" had_start alpha
check "abort alone: whole" whole
had_kill bravo
check "refused: alpha has shop" wait_for 20 service_on alpha
check "refused: that is the evidence" \
	grep -q 'fresh INIT refused' "$(had_log alpha)"
check "bravo starts again" had_start bravo
check "refused: whole" whole
check "an operator has looked (R10)" forgive
prober_stop abort
is "$(prober_get abort .duplicates)" 0 "aborts: no duplicate answer"

# No SCTP passes, all else does: alpha's addresses answer, so it lives.
prober_start sctp "$VIP"
prober_start edge "$EDGE"
sieve "ip protocol 132 counter drop"
check "no SCTP: bravo knows that alpha lives" wait_for 20 peer_is bravo lost
check "no SCTP: by its addresses" \
	events_have bravo "but its adverts are heard: it lives"
check "no SCTP: bravo takes nothing" never_for 4 service_on bravo
check "no SCTP: alpha keeps shop" service_on alpha
sieve ""
check "no SCTP: whole" whole
check "no SCTP: shop stayed" service_on alpha
prober_stop sctp
prober_stop edge
is "$(prober_get sctp .duplicates)" 0 "no SCTP: no duplicate answer"
is "$(prober_get edge .duplicates)" 0 "no SCTP: nor for edge"

# The same nodes, but silence waits for an operator.
had_stop bravo
had_stop alpha
# shellcheck disable=SC2034
LAB_SILENT="wait"
check "the file says wait" cluster_conf
check "alpha starts" had_start alpha
check "bravo starts" had_start bravo
check "wait: whole" whole
check "wait: shop runs on alpha" wait_for 30 service_on alpha
check "wait: edge runs on alpha" wait_for 30 edge_on alpha
check "wait: an operator has looked (R10)" forgive
prober_start wait "$EDGE"
freeze alpha
check "wait: the address moves" wait_for 20 edge_on bravo
check "wait: the data does not" never_for 5 service_on bravo
check "wait: and that is told" events_have bravo "silent peer wait: an operator decides"
check "wait: nothing is acknowledged" held_for 1
thaw alpha
check "thawed: whole" whole
check "thawed: shop is on alpha" wait_for 30 service_on alpha
check "thawed: served" served
prober_stop wait
is "$(prober_get wait .duplicates)" 0 "wait: no duplicate answer"

writer_stop
check "every acknowledged record is there" verify
check "the service is stopped on both" quiesce
check "both disks are equal" backing_equal
done_testing
