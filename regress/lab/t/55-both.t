#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Fence agents and a witness together: either is enough, who was refused the
# lease never fires (R13), and the loser of a cut is switched off once.
# lab: timeout 600
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
# shellcheck disable=SC2034
LAB_NODE=$(fence_lines 1 25s)
power_serve
state_is() { [ "$(status "$1" '.nodes[0].state')" = "$2" ]; }

check "a pair is up" cluster_up 24
check "paired" wait_for 20 cluster_paired
check "shop runs on alpha" wait_for 30 service_on alpha
check "both copies are equal" wait_for 60 in_sync
check "the witness is heard" wait_for 20 voters_answer alpha 1
check "by both" wait_for 20 voters_answer bravo 1
check "the client writes" writer_start
prober_start all "$VIP"

# Cut: the one with the lease fires and need not wait for the agent; the other
# one never fires.
pair_cut
check "cut: alpha acts alone" wait_for 20 state_is alpha alone
wait_for 15 false
is "$(power_cuts alpha)" 0 "cut: the loser never fired (R13)"
at_most "$(power_cuts bravo)" 1 "cut: the winner at most once"
is "$(lease_holder)" alpha "cut: alpha has the lease"
check "cut: served" served
pair_join
if is_dark bravo; then node_again bravo; fi
check "cut: whole again" whole

# The agent fails, the lease is enough.
fence_how 1 fail
t=$(now_ms)
power_cut alpha
check "agent fails: bravo has shop by the lease" wait_for 30 service_on bravo
is "$(lease_holder)" bravo "agent fails: bravo has the lease"
check "agent fails: served" served
diag "agent fails: served again after $(gap_ms "$t") ms"
check "alpha comes back" node_again alpha
check "agent fails: whole again" whole

check "an operator has looked (R10)" forgive
# The witness is lost, the agent decides, after the delay.
fence_how 1 ok
witness_stop KILL
check "no witness: noticed" wait_for 15 voters_answer alpha 0
before=$(power_cuts bravo)
freeze bravo
check "no witness: alpha has shop" wait_for 60 service_on alpha
check "no witness: bravo is off" is_dark bravo
is "$(power_cuts bravo)" $((before + 1)) "no witness: once"
check "no witness: served" served 40
check "bravo comes back" node_again bravo
check "no witness: whole again" whole

check "an operator has looked (R10)" forgive
# Both are lost: frozen, and the witness ends it.
fence_how 1 fail
power_cut bravo
check "neither: nothing is acknowledged" held_for 12
witness_start
check "neither: the witness ends it" wait_for 60 state_is alpha alone
check "neither: served" served 40
check "bravo comes back" node_again bravo
check "neither: whole again" whole

prober_stop all
is "$(prober_get all .duplicates)" 0 "no duplicate answer in all that"
writer_stop
check "every acknowledged record is there" verify
check "the service is stopped on both" quiesce
check "both disks are equal" backing_equal
done_testing
