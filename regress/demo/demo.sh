#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The demo, inside the lab: one story, every claim checked.
# shellcheck source=../lab/lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../lab/cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"

say() { diag "$@"; }
show() { # NODE COMMAND... : what an operator would type and see
	local node=$1
	shift
	say "  $node\$ hactl $*"
	hactl "$node" "$@" 2>&1 | sed 's/^/#     /'
}

lock_granted_on() {
	[ "$(hactl "$1" locks --json | jq '[.locks[] | select(.state == "granted")] | length')" -gt 0 ]
}
lock_waits() {
	[ "$(hactl bravo locks --json | jq '[.locks[] | select(.state == "waiting")] | length')" -gt 0 ]
}
address_gone() { ! on "$1" ip -o addr show dev lan0 | grep -qw "$VIP"; }

say "Two nodes, alpha and bravo: a LAN, a crossover cable, a client."
check "volumes created, both daemons started" cluster_up 48
check "both are paired, both links up" wait_for 20 links_up alpha 2
check "bravo says the same" wait_for 20 cluster_paired
check "service shop (volume, ext4, server, addresses) runs on alpha" wait_for 30 service_on alpha
check "the client writes checksummed records through $VIP" writer_start
check "bravo's blank copy was made equal" wait_for 90 in_sync
show alpha status

say "The crossover is cut."
t=$(now_ms)
link_down alpha cross
check "both notice" wait_for 10 links_up alpha 1
sleep 1
is "$(status alpha '.services[0].on')" alpha "nothing moved"
is "$(status alpha .state)" DEGRADED "status says DEGRADED"
check "and why" test -n "$(status alpha .reason | grep 'link')"
at_most "$(gap_ms "$t")" 900 "the client's longest wait meanwhile, in ms"
show alpha status
link_up alpha cross
check "the crossover is back" wait_for 20 links_up alpha 2
check "in sync" wait_for 30 in_sync

say "had on alpha is killed (SIGKILL)."
prober_start dup $VIP
sleep 1
t=$(now_ms)
had_kill alpha
check "bravo runs shop" wait_for 20 service_on bravo
check "the client is served again" wait_for 10 answered_since $((t + 1))
sleep 2
say "  the client's outage: $(gap_ms "$t") ms"
at_most "$(gap_ms "$t")" 6000 "outage of the whole service, file system and all, in ms"
prober_stop dup
is "$(prober_get dup .duplicates)" 0 "no duplicate answer for the address"
is "$(prober_get dup ".answers[\"$(mac_of bravo)\"] > 0")" true "bravo answers for it"
refuse "the dead node still has the address, and is silent" address_gone alpha
show bravo why

say "alpha's had comes back."
had_start alpha
check "alpha is there again" wait_for 20 cluster_paired
refuse "it cleaned up the mount" on alpha mountpoint -q /srv/orders
check "and the address" wait_for 10 address_gone alpha
check "resynced by bitmap" wait_for 60 in_sync
is "$(status alpha '.nodes[0].role')" standby "alpha is standby"
show alpha volumes

say "hactl takeover on alpha."
t=$(now_ms)
check "takeover" hactl alpha takeover shop
check "alpha runs shop" wait_for 20 service_on alpha
check "the client is served" wait_for 10 answered_since "$(now_ms)"
say "  the client's outage: $(gap_ms "$t") ms"
at_most "$(gap_ms "$t")" 6000 "outage of the planned move, in ms"
check "in sync" wait_for 60 in_sync

say "A lock is held on alpha; bravo waits for it; alpha is cut off."
on alpha hactl lock demo -- sleep 120 >/dev/null 2>&1 &
check "alpha shows it" wait_for 10 lock_granted_on alpha
on bravo hactl lock demo -- touch "$LAB/granted" >/dev/null 2>&1 &
check "bravo waits" wait_for 10 lock_waits
sleep 1
refuse "it is not granted while alpha holds it" test -e "$LAB/granted"
show bravo locks
t=$(now_ms)
node_vanish -c alpha
check "granted on bravo" wait_for 20 test -e "$LAB/granted"
say "  after $(($(now_ms) - t)) ms"
check "bravo runs shop, too" wait_for 20 service_on bravo
node_return alpha
check "alpha is back" wait_for 30 cluster_paired
check "in sync again" wait_for 60 in_sync

say "The end: what was acknowledged must be there, on both disks."
writer_stop
check "every acknowledged record is read back" verify
say "  $(verify)"
show bravo status
check "the service is stopped on both" quiesce
check "both backing devices are equal" backing_equal
done_testing
