#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# had, keepalived and ucarp as routers of one segment, each with an address of
# its own on alpha and bravo; sourced by native/vip-*.t after lib.sh and
# lib_router.sh.  Systems are had (VRRP 3), ka, carp (had's CARP, in the same
# daemon as had) and ucarp; those of $SYSTEMS take part.
#
#	vip_begin MS		all of them on both nodes, adverts every MS
#	vip_end
#	vip_whole SYSTEM	running on both, the address on one: sets OWNER
#	vip_settled SECONDS	all of them
#	vip_align		all of them on one node; sets FROM and TO
#	vip_fault KIND SYSTEM NODE	kill (SIGKILL), freeze (SIGSTOP), planned
#				(hactl release; others SIGTERM)
#	vip_fault_end KIND SYSTEM NODE
#	vip_heal		what is whole no more begins anew

declare -A VIP=([had]=192.0.2.91 [ka]=192.0.2.92 [carp]=192.0.2.93
	[ucarp]=192.0.2.94)
other() { if [ "$1" = alpha ]; then echo bravo; else echo alpha; fi; }
takes_part() { [[ " $SYSTEMS " = *" $1 "* ]]; }

vip_had_conf() { # node
	local n=1
	[ "$1" = bravo ] && n=2
	{
		echo "cluster vip-$1 {
		}
		node $1 {
			id $n
		}
		address gw {
			${VIP[had]}/24 interface lan0
		}
		router gw {
			vrrp 3 vrid 91
			interval ${VIP_MS}ms
			address gw
		}"
		! takes_part carp || echo "address cg {
			${VIP[carp]}/24 interface lan0
		}
		router cg {
			carp vhid 93
			password $PASS
			address cg
		}"
	} >"$LAB/$1.vip.conf"
	node_put "$1" "$LAB/$1.vip.conf" /etc/had/had.conf
}

# carp is a router of the daemon that had is.
vip_start() { # system node
	case $1 in
	had) had_start "$2" ;;
	ka)
		KA_VRID=92 GW=${VIP[ka]} KA_INT=$(calc "$VIP_MS / 1000") \
			keepalived_start "$2" 100 nopreempt
		;;
	ucarp) UCARP_PREEMPT='' UCARP_VHID=94 GW=${VIP[ucarp]} ucarp_start "$2" 0 ;;
	esac
}
vip_clean() { # system node
	case $1 in
	ka) GW=${VIP[ka]} keepalived_clean "$2" ;;
	ucarp) GW=${VIP[ucarp]} gw_clean "$2" ;;
	esac
}
vip_program() { # system
	case $1 in had | carp) echo had ;; ka) echo keepalived ;; *) echo ucarp ;; esac
}
vip_holds() { # system node
	local name=gw
	case $1 in
	had | carp)
		[ "$1" = had ] || name=cg
		[ "$(hactl "$2" --json addresses 2>/dev/null |
			jq -r --arg n $name '.routers[] | select(.name == $n).state')" = ACTIVE ]
		;;
	*)
		on "$2" busybox ip -o addr show dev lan0 2>/dev/null |
			grep -q " ${VIP[$1]}/"
		;;
	esac
}
vip_whole() { # system
	local node n=0
	for node in alpha bravo; do
		node_alive $node "$(vip_program "$1")" || return
		vip_holds "$1" $node && OWNER=$node && n=$((n + 1))
	done
	[ $n = 1 ]
}
vip_settled() { # seconds
	local end s
	end=$(($(now_ms) + $1 * 1000))
	for s in $SYSTEMS; do
		until vip_whole "$s"; do
			lab_until "$end" || {
				diag "$s: not whole"
				return 1
			}
			lab_nap 0.1
		done
	done
}

vip_begin() { # ms
	local s node
	VIP_MS=$1
	for node in alpha bravo; do
		vip_had_conf $node
		for s in $SYSTEMS; do vip_start "$s" $node; done
		lab_nap "$(calc "$VIP_MS / 200")"
	done
	vip_settled 20
}
vip_end() {
	local s node
	for node in alpha bravo; do
		for s in $SYSTEMS; do
			vip_signal "$s" $node TERM
		done
		for s in $SYSTEMS; do
			[ "$s" = carp ] ||
				wait_for 10 lab_gone $node "$(vip_program "$s")"
			vip_clean "$s" $node
		done
	done
}
# shellcheck disable=SC2046
vip_signal() { # system node signal
	case $1 in
	carp) ;; # had's
	ka)
		if [ "$3" = TERM ]; then
			node_signal "$2" keepalived TERM
		else
			kill "-$3" $(keepalived_pids "$2")
		fi
		;;
	*) node_signal "$2" "$(vip_program "$1")" "$3" ;;
	esac
}
# One fault of one system's program on a node, and its end.
vip_fault() { # kill|freeze|planned system node
	case $1.$2 in
	kill.*) vip_signal "$2" "$3" KILL ;;
	freeze.*) vip_signal "$2" "$3" STOP ;;
	planned.had) hactl "$3" release gw >/dev/null ;;
	planned.carp) hactl "$3" release cg >/dev/null ;;
	planned.*) vip_signal "$2" "$3" TERM ;;
	esac
}
vip_fault_end() { # kill|freeze|planned system node
	case $1.$2 in
	*.carp | planned.had) return ;;
	freeze.*)
		vip_signal "$2" "$3" CONT
		return
		;;
	esac
	wait_for 10 lab_gone "$3" "$(vip_program "$2")" || return
	vip_clean "$2" "$3"
	vip_start "$2" "$3"
}
vip_align() {
	local s
	FROM=''
	for s in $SYSTEMS; do
		vip_whole "$s" || return
		: "${FROM:=$OWNER}"
		[ "$OWNER" = "$FROM" ] && continue
		vip_fault planned "$s" "$OWNER"
		vip_fault_end planned "$s" "$OWNER"
		vip_settled 20 || return
	done
	# shellcheck disable=SC2034
	TO=$(other "$FROM") # for the script
}
# Two masters need not heal by themselves, nor two programs that died.
vip_heal() {
	local s node
	heal
	for s in $SYSTEMS; do
		vip_whole "$s" && continue
		[ "$s" = carp ] && s=had
		for node in alpha bravo; do
			node_alive $node "$(vip_program "$s")" &&
				vip_signal "$s" $node KILL
			wait_for 5 lab_gone $node "$(vip_program "$s")"
			vip_clean "$s" $node
			vip_start "$s" $node
			lab_nap "$(calc "$VIP_MS / 200")"
		done
	done
	vip_settled 20
}
