#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The witness with real daemons: whatever is cut, one node at most has the
# lease and the other one stops its data (R6, R7, R13); nothing acknowledged is
# lost and the address never answers from two nodes.
# lab: timeout 480
# lab: long
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"
# shellcheck source=../lib_arbiter.sh
. "$LAB_ROOT/regress/lab/lib_arbiter.sh"

cluster_before() {
	witness_make || return
	# shellcheck disable=SC2034
	LAB_CLUSTER=$(witness_line)
	witness_start
}
state_is() { [ "$(status "$1" '.nodes[0].state')" = "$2" ]; }
peer_is() { [ "$(status "$1" '.nodes[1].state')" = "$2" ]; }
health_is() { [ "$(status "$1" .state)" = "$2" ]; }
# How often did it stop its data (R7)?
stops() { grep -c "data stops here" "$(had_log "$1")"; }
demoted() { [ "$(stops "$1")" -gt "${2:-0}" ]; }
held_by_r10() { status "$1" '.services[0].held' | grep -q 'hactl'; }
watch_begin() { prober_start "$1" "$VIP"; }
watch_end() {
	prober_stop "$1"
	is "$(prober_get "$1" .duplicates)" 0 "$1: no duplicate answer"
}

check "a pair is up" cluster_up 24
check "paired" wait_for 20 cluster_paired
check "shop runs on alpha" wait_for 30 service_on alpha
check "both copies are equal" wait_for 60 in_sync
check "alpha hears the witness" wait_for 10 voters_answer alpha 1
check "bravo hears the witness" wait_for 10 voters_answer bravo 1
check "the client writes" writer_start

# The witness alone is lost: nothing changes but the health (R6).
t=$(now_ms)
epoch=$(status alpha .epoch)
witness_stop KILL
check "witness lost: noticed by alpha" wait_for 15 voters_answer alpha 0
check "witness lost: noticed by bravo" wait_for 15 voters_answer bravo 0
is "$(status alpha .state)" DEGRADED "witness lost: degraded"
wait_for 4 false
check "witness lost: shop stays" service_on alpha
is "$(status alpha .epoch)" "$epoch" "witness lost: no new epoch"
witness_start
check "witness back: heard" wait_for 20 voters_answer alpha 1
check "witness back: by both" wait_for 20 voters_answer bravo 1
check "witness back: all is well" wait_for 10 health_is alpha OK
refuse "witness lost and back: nothing was held (R14)" \
	events_have alpha "acknowledgements are held"
diag "witness lost and back: longest wait of the client $(gap_ms "$t") ms"

# All links between the nodes are cut, both live and reach the witness.
watch_begin cut
t=$(now_ms)
pair_cut
check "cut: bravo is refused and inert" wait_for 20 state_is bravo inert
check "cut: alpha acts alone" wait_for 20 state_is alpha alone
is "$(lease_holder)" alpha "cut: the lease stays with the active node (R6)"
check "cut: served" served
check "cut: shop is on alpha" service_on alpha
check "cut: bravo never fights (R13)" said bravo R13
witness_stop KILL
witness_start
check "cut: the restarted witness is heard" wait_for 20 voters_answer bravo 1
check "cut: nor gets it then" never_for 4 service_on bravo
is "$(lease_holder)" alpha "cut: the witness remembers"
check "cut: served" served
pair_join
check "cut: whole again" whole
watch_end cut
diag "cut: longest wait of the client $(gap_ms "$t") ms"

# The active node's machine dies.
watch_begin dead
t=$(now_ms)
power_cut alpha
check "dead: bravo has shop" wait_for 30 service_on bravo
is "$(lease_holder)" bravo "dead: bravo has the lease"
check "dead: served" served
diag "dead: served again after $(gap_ms "$t") ms"
watch_end dead
check "alpha comes back" node_again alpha
check "dead: whole again" whole

# The active node is cut off from everything: it stops its data (R7).
watch_begin isolated
node_vanish bravo
check "isolated: bravo stops its data" wait_for 15 demoted bravo
check "isolated: alpha has shop" wait_for 30 service_on alpha
is "$(lease_holder)" alpha "isolated: alpha has the lease"
check "isolated: served" served
check "isolated: bravo has no mount" wait_for 30 eval '! has_mount bravo'
check "isolated: R7 is told" said bravo R7
node_return bravo
check "isolated: whole again" whole
check "isolated: one owner" service_on alpha
watch_end isolated

# The active node's daemon is frozen: thawed, it finds that it was replaced.
# bravo took shop by itself a minute ago: now an operator has to look (R10).
watch_begin frozen
freeze alpha
check "frozen: bravo acts alone" wait_for 30 state_is bravo alone
check "frozen: but shop moves once in ten minutes (R10)" \
	wait_for 20 held_by_r10 bravo
refuse "frozen: so it does not run there" service_on bravo
check "frozen: the operator thaws it" hactl bravo thaw
check "frozen: bravo has shop" wait_for 30 service_on bravo
check "frozen: served" served
thaw alpha
check "frozen: whole again" whole
check "frozen: one owner" service_on bravo
refuse "frozen: alpha's mount is gone" has_mount alpha
watch_end frozen

check "the operator has looked" forgive
# Cut, and no witness: nobody may act, the active node stops (R7), until the
# witness is there and decides.
watch_begin blind
n=$(stops bravo)
witness_stop KILL
check "blind: noticed" wait_for 15 voters_answer bravo 0
pair_cut
check "blind: bravo stops its data" wait_for 15 demoted bravo "$n"
check "blind: nothing is acknowledged" held_for 3
check "blind: nobody has shop" never_for 2 service_on alpha
witness_start
check "blind: the witness decides" wait_for 60 one_owner
check "blind: served" served 40
pair_join
check "blind: whole again" whole
check "blind: one owner" one_owner
watch_end blind

# A standby that dies leaves the active node alone with a lease.
owner=alpha other=bravo
service_on bravo && owner=bravo other=alpha
t=$(now_ms)
power_cut $other
check "standby dead: alone" wait_for 20 state_is $owner alone
check "standby dead: served" served
diag "standby dead: longest wait $(gap_ms "$t") ms"
check "it comes back" node_again $other
check "whole again" whole
check "shop stayed" service_on $owner

writer_stop
check "every acknowledged record is there" verify
check "the service is stopped on both" quiesce
check "both disks are equal" backing_equal
done_testing
