#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Real failures of a real pair: each row of the table of evidence, with a
# client that writes all the time, and at the end everything acknowledged is
# there on both disks.
# lab: timeout 400
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"

rule_of() { hactl "$1" why --json | jq -r '[.events[] | select(.rule != "")] | .[-1].rule'; }
state_is() { [ "$(status "$1" '.nodes[0].state')" = "$2" ]; }
# The address answers from one node at a time during the whole fault.
watch_begin() { prober_start "$1" $VIP; }
watch_end() {
	prober_stop "$1"
	is "$(prober_get "$1" .duplicates)" 0 "$1: no duplicate answer"
}

check "a pair is up" cluster_up 24
check "paired" wait_for 20 cluster_paired
check "shop runs on alpha" wait_for 30 service_on alpha
check "both copies are equal" wait_for 60 in_sync
check "the client writes" writer_start

# SIGKILL: the kernel refuses a fresh INIT.
watch_begin kill
t=$(now_ms)
had_kill alpha
check "kill: bravo has shop" wait_for 15 service_on bravo
check "kill: served again" wait_for 10 answered_since $((t + 1))
check "kill: bravo says on what evidence" said bravo R3
watch_end kill
had_start alpha
check "kill: whole again" whole
check "kill: shop stayed on bravo (R10)" service_on bravo

# SIGSTOP, SIGCONT: the thawed node finds the higher epoch.
watch_begin freeze
freeze bravo
check "freeze: alpha has shop" wait_for 20 service_on alpha
thaw bravo
check "freeze: the thawed node gives up what it held" wait_for 30 state_is bravo paired
check "freeze: whole again" whole
refuse "freeze: its mount is gone" on bravo mountpoint -q /srv/orders
watch_end freeze
is "$(status alpha '.services[0].on')" alpha "freeze: one owner"

# A short freeze, shorter than dead: nothing moves.
freeze alpha
sleep 0.15
thaw alpha
sleep 2
check "hiccup: nothing moved" service_on alpha

# One link.
link_down alpha cross
check "cross down: noticed" wait_for 10 links_up alpha 1
check "cross down: nothing moved" service_on alpha
is "$(status alpha .jeopardy)" true "cross down: jeopardy is said (R2)"
link_up alpha cross
check "cross up: whole again" whole

loss alpha lan 100
check "lan silent: noticed" wait_for 10 links_up alpha 1
check "lan silent: nothing moved" service_on alpha
loss alpha lan 0
check "lan heard: both links" wait_for 20 links_up alpha 2

one_way alpha cross in on
check "cross lost one way: noticed by alpha" wait_for 10 links_up alpha 1
check "cross lost one way: nothing moved" service_on alpha
one_way alpha cross in off
check "cross both ways: both links" wait_for 20 links_up alpha 2

# Jeopardy, then the last link: nothing moves, nobody takes.
loss alpha cross 100
wait_for 10 links_up alpha 1
sleep 2
loss alpha lan 100
sleep 3
check "jeopardy: alpha keeps shop" service_on alpha
refuse "jeopardy: bravo does not take it" service_on bravo
loss alpha lan 0
loss alpha cross 0
check "jeopardy ended: whole again" whole
check "an operator has looked (R10)" forgive

# One takeover by itself in ten minutes (R10): the operator allows the next.
check "the operator lets it move again" hactl alpha thaw shop

# The machine dies at once: from full redundancy silence is death (R3).
watch_begin vanish
t=$(now_ms)
power_cut alpha
check "vanish: bravo has shop" wait_for 20 service_on bravo
check "vanish: served again" wait_for 10 answered_since $((t + 1))
diag "vanish: served again after $(gap_ms "$t") ms"
watch_end vanish
power_on alpha
had_start alpha
check "vanish: whole again" whole
check "an operator has looked (R10)" forgive

check "the operator lets it move again" hactl alpha thaw shop

# A node that has lost all its carriers hands over (R9), and loses no data.
watch_begin isolated
node_vanish -c bravo
check "isolated: alpha has shop" wait_for 20 service_on alpha
node_return bravo
check "isolated: whole again" whole
watch_end isolated
check "back to bravo" hactl bravo takeover
check "bravo has shop" wait_for 20 service_on bravo

# Planned.
t=$(now_ms)
check "planned: takeover" hactl alpha takeover
check "planned: alpha has shop" wait_for 20 service_on alpha
diag "planned: longest wait $(gap_ms "$t") ms"

# Clean stop is a goodbye.
had_stop alpha
check "stop: bravo has shop" wait_for 15 service_on bravo
refuse "stop: no guard is left on alpha" on alpha nft list table netdev had_guard
had_start alpha
check "stop: whole again" whole

check "standby drains" hactl bravo standby bravo
check "standby: alpha has shop" wait_for 20 service_on alpha
check "online" hactl alpha online bravo

writer_stop
check "every acknowledged record is there" verify
check "the service is stopped on both" quiesce
check "both disks are equal" backing_equal
done_testing
