#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A virtual router of a pair: the two nodes also talk over the crossover, and
# so a LAN that is cut while its carrier is up, or that lets adverts through
# in one direction only, makes neither two holders nor none.
# lab: timeout 180
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_router.sh"
export LAB_HEARTBEAT=200ms LAB_DEAD=1s
LAB_CLUSTER="silent peer takeover
	ping 192.0.2.100"

paired() { [ "$(hactl "$1" --json status | jq -r '.state')" = OK ]; }
state() { router_is "$1" "$2"; }
# Probes that two answered while the commands ran, and the longest silence.
watched() { # id command...
	local id=$1
	shift
	prober_start "$id" -m arp -i lan0 "$GW" || return
	lab_nap 0.5
	"$@"
	lab_nap "${AFTER:-3}"
	prober_stop "$id"
	DUPS=$(prober_get "$id" .duplicates)
	LONGEST=$(prober_get "$id" '.longest_ms | ceil')
	diag "$id: $(prober_get "$id" '"\(.answers) longest \(.longest_ms) stalls \(.stalls)"')"
}

check "nodes" nodes_up
conf_write <<-END
	address gw {
		$GW/24 interface lan0
	}
	router gw {
		vrrp 3 vrid 90
		address gw
		interval 500ms
		priority 200 on alpha
		priority 100
		preempt after 1s
	}
END
check "alpha starts" had_start alpha
check "bravo starts" had_start bravo
check "they are a pair" wait_for 30 paired alpha
check "alpha has it" wait_for 20 state alpha ACTIVE
check "bravo is backup" wait_for 10 state bravo BACKUP
check "it answers" wait_for 10 on client ping -c 1 -W 1 $GW

# The port is dead: told over the crossover at once, not after three adverts.
AFTER=2 watched port link_down alpha lan
is "$DUPS" 0 "port: never two"
at_most "$LONGEST" 700 "port: silence, in ms"
check "port: bravo has it" state bravo ACTIVE
AFTER=6 watched port-back link_up alpha lan
is "$DUPS" 0 "port is back: never two"
check "port is back: alpha has it" wait_for 20 state alpha ACTIVE

# Adverts do not reach bravo, and alpha is well: bravo waits.
AFTER=5 watched deaf one_way bravo lan in on
is "$DUPS" 0 "adverts are lost: never two"
is "$LONGEST" 0 "adverts are lost: never none"
check "adverts are lost: alpha keeps it" state alpha ACTIVE
check "adverts are lost: bravo stays backup" state bravo BACKUP
one_way bravo lan in off
check "whole again" wait_for 20 paired bravo

# Alpha's port is cut behind its back: the carrier is there, nobody is.
AFTER=8 watched cut loss alpha lan 100
is "$DUPS" 0 "LAN cut: never two"
check "LAN cut: bravo has it" wait_for 10 state bravo ACTIVE
check "LAN cut: it answers" wait_for 5 on client ping -c 1 -W 1 $GW
check "LAN cut: alpha does not hold it" wait_for 5 state alpha BACKUP
AFTER=4 watched heal loss alpha lan 0
is "$DUPS" 0 "LAN healed: never two"
check "LAN healed: alpha has it" wait_for 30 state alpha ACTIVE

# Planned, and dead.
watched release hactl alpha release gw
is "$DUPS" 0 "released: never two"
at_most "$LONGEST" 500 "released: silence, in ms"
check "released: bravo has it" wait_for 5 state bravo ACTIVE
AFTER=4 watched dead had_kill bravo
is "$DUPS" 0 "dead: never two"
check "dead: alpha has it" wait_for 5 state alpha ACTIVE
had_start bravo
check "a pair again" wait_for 30 paired alpha
done_testing
