#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# had among others: keepalived (VRRP 2 and 3, password, unicast, IPv6, virtual
# MAC) and ucarp in one segment, each as master and as backup, through a stop,
# a kill, a freeze, a lost link and the return.  LAB_ENV_ALL=1: version 2,
# unicast, IPv6 and the virtual MAC, too, for which a check has no time.
# lab: timeout 420
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_router.sh"

state() { router_is "$1" "$2"; }
on_lan() { # node: is the address on an interface of it?
	on "$1" ip -o addr show | grep -q " $GW/"
}
not_on_lan() { ! on_lan "$1"; }
answers() { on client ping -c 1 -W 1 "$GW"; }
has_heard() { [ "$(router_get "$1" .received)" -ge 3 ]; }
# The reasons of what was rejected, of every router and of none.
rejected() { router_get "$1" '.rejected | to_entries | map("\(.key) \(.value)") | join(", ")'; }

# had on alpha with 200, keepalived on bravo with 100, and the other way round.
interop() { # id had-statements keepalived-statements preempting
	local id=$1 had=$2 ka=$3
	router_conf alpha "$had; priority 200; preempt after 0ms"
	check "$id: had starts" had_start alpha
	check "$id: keepalived starts" keepalived_start bravo 100 "$ka"
	check "$id: had is master" wait_for 8 state alpha ACTIVE
	check "$id: keepalived is backup" wait_for 5 not_on_lan bravo
	check "$id: the address answers" wait_for 3 answers
	had_kill alpha
	check "$id: had killed: keepalived has it" wait_for 8 on_lan bravo
	check "$id: it answers" wait_for 5 answers
	had_start alpha
	check "$id: had is back and preempts" wait_for 8 state alpha ACTIVE
	check "$id: keepalived yields" wait_for 5 not_on_lan bravo
	freeze alpha
	check "$id: had frozen: keepalived has it" wait_for 8 on_lan bravo
	thaw alpha
	check "$id: thawed: had takes it in order" wait_for 10 state alpha ACTIVE
	check "$id: keepalived yields again" wait_for 5 not_on_lan bravo
	had_stop alpha
	check "$id: had stopped: keepalived has it" wait_for 4 on_lan bravo
	keepalived_stop bravo
	keepalived_clean bravo

	router_conf bravo "$(peer_of "$had"); priority 100"
	keepalived_start alpha 200 "$(peer_of "$ka")"
	check "$id: keepalived is master" wait_for 8 on_lan alpha
	had_start bravo
	check "$id: had hears it" wait_for 8 has_heard bravo
	is "$(router_get bravo .state)" BACKUP "$id: had is backup"
	is "$(rejected bravo)" "" "$id: nothing was rejected"
	keepalived_stop alpha
	check "$id: keepalived stopped: had has it" wait_for 4 state bravo ACTIVE
	check "$id: it answers" wait_for 3 answers
	keepalived_start alpha 200 "$(peer_of "$ka")"
	check "$id: keepalived is back and preempts" wait_for 8 state bravo BACKUP
	check "$id: it answers" wait_for 5 answers
	link_down alpha lan
	check "$id: its link is lost: had has it" wait_for 8 state bravo ACTIVE
	check "$id: it answers" wait_for 3 answers
	link_up alpha lan
	check "$id: and back" wait_for 10 state bravo BACKUP
	had_stop bravo
	keepalived_stop alpha
	keepalived_clean alpha
}
# The same for the other node: only addresses of unicast differ.
peer_of() { sed 's/\.11/.X/g; s/\.12/.11/g; s/\.X/.12/g' <<<"$1"; }

nodes_up
sniff_start
if type -P keepalived >/dev/null; then
	KA_VERSION=3 KA_INT=0.1 interop v3 'vrrp 3 vrid 90; interval 100ms' ''
	[ -z "${LAB_ENV_ALL:-}" ] || KA_VERSION=3 KA_INT=0.1 interop v3-unicast \
		'vrrp 3 vrid 90; interval 100ms; source 192.0.2.11; unicast 192.0.2.12' \
		"unicast_src_ip 192.0.2.12
		unicast_peer {
			192.0.2.11
		}"
	[ -z "${LAB_ENV_ALL:-}" ] || KA_VERSION=2 KA_INT=1 interop v2 \
		"vrrp 2 vrid 90; interval 1s; password $PASS" \
		"authentication {
			auth_type PASS
			auth_pass $PASS
		}"
	[ -z "${LAB_ENV_ALL:-}" ] ||
		GW=2001:db8::90 GW_PREFIX=64 KA_VERSION=3 KA_INT=0.1 \
		interop v3-ip6 'vrrp 3 vrid 90; interval 100ms' ''
	[ -z "${LAB_ENV_ALL:-}" ] || KA_VERSION=3 KA_INT=0.1 interop v3-vmac \
		'vrrp 3 vrid 90; interval 100ms; virtual mac' 'use_vmac'
else
	not_ok "keepalived is installed"
fi

# ucarp: skew 0 beats skew 50.
router_conf alpha "carp vhid 90; password $PASS; preempt after 0ms"
check "carp: had starts" had_start alpha
check "carp: ucarp starts" ucarp_start bravo 50
check "carp: had is master" wait_for 8 state alpha ACTIVE
check "carp: ucarp is backup" wait_for 5 not_on_lan bravo
had_kill alpha
check "carp: had killed: ucarp has it" wait_for 12 on_lan bravo
had_start alpha
check "carp: had is back and preempts" wait_for 12 state alpha ACTIVE
check "carp: ucarp yields" wait_for 5 not_on_lan bravo
had_stop alpha
check "carp: had stopped: ucarp has it" wait_for 8 on_lan bravo
ucarp_stop bravo
gw_clean bravo
router_conf bravo "carp vhid 90; password $PASS; skew 50"
ucarp_start alpha 0
check "carp: ucarp is master" wait_for 12 on_lan alpha
had_start bravo
check "carp: had hears it" wait_for 8 has_heard bravo
is "$(router_get bravo .state)" BACKUP "carp: had is backup"
is "$(rejected bravo)" "" "carp: nothing was rejected"
ucarp_kill alpha
gw_clean alpha
check "carp: ucarp killed: had has it" wait_for 8 state bravo ACTIVE
check "carp: it answers" wait_for 3 answers
ucarp_start alpha 0
check "carp: ucarp is back" wait_for 12 state bravo BACKUP
had_stop bravo
ucarp_stop alpha
is "$(sniff_bad)" "" "tcpdump finds nothing wrong in any advert"
done_testing
