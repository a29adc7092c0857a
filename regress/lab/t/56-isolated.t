#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Who is cut off hands over and never takes (R9): carriers are up all the
# time, only the ping node tells.
# lab: timeout 360
# lab: long
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"
# shellcheck source=../lib_arbiter.sh
. "$LAB_ROOT/regress/lab/lib_arbiter.sh"

# shellcheck disable=SC2034
LAB_CLUSTER='silent peer takeover
	ping 192.0.2.100'
pings() { # on|off: does the ping node answer?
	local ignore=1
	[ "$1" = on ] && ignore=0
	on client sh -c "echo $ignore >/proc/sys/net/ipv4/icmp_echo_ignore_all"
}
isolated() { [ "$(status "$1" '.nodes[0].state')" = isolated ]; }

check "a pair is up" cluster_up 24
check "paired" wait_for 20 cluster_paired
check "shop runs on alpha" wait_for 30 service_on alpha
check "both copies are equal" wait_for 60 in_sync
check "the client writes" writer_start
prober_start all "$VIP"

# The ping node does not answer anybody: that says nothing about a node.
pings off
check "no pings: nothing moves" never_for 6 service_on bravo
check "no pings: shop is on alpha" service_on alpha
check "no pings: served" served
pings on
wait_for 3 false

# alpha's LAN is gone behind its switch, the crossover works.
t=$(now_ms)
loss alpha lan 100
check "lan gone: bravo has shop" wait_for 30 service_on bravo
check "lan gone: served" served
check "lan gone: R9 is told" said alpha R9
is "$(status alpha '.links[] | select(.name == "lan") | .carrier')" true \
	"lan gone: the carrier was up"
is "$(status bravo .epoch)" "$(status alpha .epoch)" "lan gone: nobody acted alone"
diag "lan gone: served again after $(gap_ms "$t") ms"
loss alpha lan 0
check "lan back: whole" whole
wait_for 4 false
check "lan back: shop stays where it is (R10)" service_on bravo

# The standby's LAN is gone: nothing to hand over.
loss alpha lan 100
check "standby's lan gone: nothing moves" never_for 5 service_on alpha
check "standby's lan gone: a takeover there is refused" \
	eval '! hactl alpha takeover'
check "standby's lan gone: served by bravo" service_on bravo
loss alpha lan 0
check "lan back: whole" whole

# A standby that is cut off from all, at once: without the ping node this
# looks to it like the death of bravo.  It does not take.
node_vanish alpha
check "standby cut off: it knows" wait_for 15 isolated alpha
check "standby cut off: it never takes" never_for 5 service_on alpha
check "standby cut off: served by bravo" served
node_return alpha
check "standby back: whole" whole
check "standby back: shop stayed" service_on bravo

# And the active one: it gives up, the other one takes.
t=$(now_ms)
node_vanish bravo
check "active cut off: it knows" wait_for 15 isolated bravo
check "active cut off: alpha has shop" wait_for 30 service_on alpha
check "active cut off: served" served
check "active cut off: its mount is gone" wait_for 30 eval '! has_mount bravo'
diag "active cut off: served again after $(gap_ms "$t") ms"
node_return bravo
check "active back: whole" whole
check "active back: one owner" one_owner

prober_stop all
is "$(prober_get all .duplicates)" 0 "no duplicate answer in all that"
writer_stop
check "every acknowledged record is there" verify
check "the service is stopped on both" quiesce
check "both disks are equal" backing_equal
done_testing
