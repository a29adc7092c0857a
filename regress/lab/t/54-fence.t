#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Fence agents that really switch a node off, with real daemons: who is silent
# is fenced, verified and only then replaced (R3, R4); levels, liars and what
# hangs (R5); the operator's word.
# lab: timeout 560
# lab: long
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"
# shellcheck source=../lib_arbiter.sh
. "$LAB_ROOT/regress/lab/lib_arbiter.sh"

# shellcheck disable=SC2034
LAB_CLUSTER=''
# shellcheck disable=SC2034
LAB_NODE=$(fence_lines 2 8s)
power_serve

level_of() { status "$1" ".arbiters[] | select(.node == \"$2\" and .level == $3) | .state"; }
frozen() { status alpha .action | grep -q "fence confirm bravo"; }
undecided() { [ "$(status alpha '.nodes[1].state')" = silent ]; }
is_alone() { [ "$(status "$1" '.nodes[0].state')" = alone ]; }

check "a pair is up" cluster_up 24
check "paired" wait_for 20 cluster_paired
check "shop runs on alpha" wait_for 30 service_on alpha
check "both copies are equal" wait_for 60 in_sync
check "the client writes" writer_start

# The operator's test of the agents.
is "$(level_of alpha bravo 1)" "never tested" "a new agent was never tested"
check "hactl fence test" hactl alpha fence test bravo
is "$(level_of alpha bravo 1)" "tested" "and the status says so"
fence_how 2 fail
refuse "a test with a bad agent fails" hactl alpha fence test bravo
is "$(level_of alpha bravo 2)" "failed" "and the status says so"
is "$(status alpha .state)" DEGRADED "which is a reason to act"
is "$(status alpha .action)" "hactl fence test bravo" "and what to do is said"
fence_how 2 ok
check "mended, the test is passed" hactl alpha fence test bravo
is "$(status alpha .state)" OK "and all is well again"
refuse "a node that lives cannot be confirmed off" hactl alpha -y fence confirm bravo
is "$(power_cuts alpha) $(power_cuts bravo)" "0 0" "tests switch nothing off"

# The standby dies: alpha makes sure of it before it writes alone.
power_cut bravo
check "standby dead: alpha acts alone" wait_for 20 is_alone alpha
check "standby dead: the client is served" served
check "standby dead: verified off (R3)" events_have alpha "verified off"
check "bravo comes back" node_again bravo
check "whole again" whole

# The active node dies: bravo waits (R4), fences, takes over.
prober_start dead $VIP
t=$(now_ms)
power_cut alpha
check "active dead: bravo has shop" wait_for 40 service_on bravo
check "active dead: served again" served
diag "active dead: served again after $(gap_ms "$t") ms"
check "active dead: the rule is told" said bravo R3
check "active dead: it let the other one fire first" \
	events_have bravo "the other one may fire first (R4)"
prober_stop dead
is "$(prober_get dead .duplicates)" 0 "active dead: no duplicate answer"
check "alpha comes back" node_again alpha
check "whole again" whole

# The active node is frozen: it is fenced and gone.
before=$(power_cuts bravo)
freeze bravo
check "frozen: alpha has shop" wait_for 40 service_on alpha
check "frozen: bravo was switched off" is_dark bravo
is "$(power_cuts bravo)" $((before + 1)) "frozen: once"
check "frozen: served again" served
check "bravo comes back" node_again bravo
check "whole again" whole

# All links are cut and both live: who has the data fires at once (R4).
before="$(power_cuts alpha) $(power_cuts bravo)"
prober_start cut $VIP
pair_cut
check "cut: bravo is switched off" wait_for 40 is_dark bravo
check "cut: alpha acts alone" wait_for 20 is_alone alpha
check "cut: served" served
wait_for 8 false
refuse "cut: alpha is not" is_dark alpha
is "$(power_cuts alpha) $(power_cuts bravo)" \
	"${before% *} $((${before#* } + 1))" "cut: exactly one was fenced"
prober_stop cut
is "$(prober_get cut .duplicates)" 0 "cut: no duplicate answer"
pair_join
check "bravo comes back" node_again bravo
check "whole again" whole

# The first level fails, the second does it (R5).
fence_how 1 fail
freeze bravo
check "first fails: alpha acts alone" wait_for 40 is_alone alpha
check "first fails: bravo is off" is_dark bravo
is "$(tail -n 1 "$LAB/power/log")" "fence_power status bravo" "first fails: verified"
check "first fails: by the second" events_have alpha "fence level 2: fence_power, off"
check "first fails: served" served
check "bravo comes back" node_again bravo
check "whole again" whole

# The first one hangs: at its deadline the second is tried.
fence_how 1 hang
freeze bravo
check "first hangs: it is not off yet" never_for 3 is_dark bravo
check "first hangs: bravo is switched off" wait_for 40 is_dark bravo
check "first hangs: alpha acts alone" wait_for 20 is_alone alpha
check "first hangs: that is told" events_have alpha "did not answer in time"
check "bravo comes back" node_again bravo
check "whole again" whole

# Nobody can say: frozen, nothing is acknowledged, and the operator decides.
fence_how 1 lie
fence_how 2 fail
freeze bravo
check "all fail: frozen" wait_for 40 frozen
check "all fail: a liar is not believed" \
	events_have alpha "fence level 1: fence_power did not"
is "$(status alpha .state)" CRITICAL "all fail: critical"
check "all fail: alpha is undecided" undecided
check "all fail: nothing is acknowledged" held_for 4
refuse "all fail: bravo is on" is_dark bravo
check "all fail: what confirm would do" hactl alpha --dry-run fence confirm bravo
check "all fail: a plan does nothing" held_for 1
power_cut bravo
check "confirm: it is off, the operator says" hactl alpha -y fence confirm bravo
check "confirm: alpha acts alone" wait_for 20 is_alone alpha
check "confirm: served" served
check "confirm: the rule is told" said alpha R5
check "confirm: journaled" events_have alpha "the operator confirmed that it is off"
check "bravo comes back" node_again bravo
check "whole again" whole

# Frozen, and then it is heard again: nothing was lost, nothing moves.
pair_cut
check "heard again: frozen before" wait_for 40 frozen
check "heard again: nothing is acknowledged" held_for 2
pair_join
check "heard again: whole" whole
check "heard again: served" served
check "heard again: shop stayed on alpha" service_on alpha
refuse "heard again: nothing is frozen" frozen
fence_how 1 ok
fence_how 2 ok

writer_stop
check "every acknowledged record is there" verify
check "the service is stopped on both" quiesce
check "both disks are equal" backing_equal
done_testing
