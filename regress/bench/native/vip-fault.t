#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Outage of an address and answers by two, as a client sees them that asks by
# ARP each millisecond: had beside keepalived, and had's CARP beside ucarp, all
# in one segment at the same interval and with equal priorities.  A fault of a
# node's links meets all of them at once, one of a program each in turn.
# lab: timeout 1200
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_router.sh"
. "$LAB_ROOT/regress/bench/lib.sh"
. "$LAB_ROOT/regress/bench/lib_vip.sh"

now_us() { echo "${EPOCHREALTIME/[.,]/}"; }
probers() { # start|stop id
	local s
	for s in $SYSTEMS; do
		if [ "$1" = start ]; then
			prober_start "$2-$s" -m arp -i lan0 "${VIP[$s]}"
		else
			prober_stop "$2-$s"
		fi
	done
}
# Of the node's links, or of one program after the other.  Sets T0.
strike() { # kind
	local s
	for s in $SYSTEMS; do T0[$s]=$(now_us); done
	case $1 in
	vanish) node_vanish "$FROM" ;;
	link) link_down "$FROM" lan ;;
	oneway) one_way "$FROM" lan out on ;;
	*)
		for s in $SYSTEMS; do
			T0[$s]=$(now_us)
			vip_fault "$1" "$s" "$FROM"
			lab_nap 0.1
		done
		;;
	esac
}
unstrike() { # kind
	local s
	case $1 in
	vanish) node_return "$FROM" ;;
	link) link_up "$FROM" lan ;;
	oneway) one_way "$FROM" lan out off ;;
	*) for s in $SYSTEMS; do vip_fault_end "$1" "$s" "$FROM"; done ;;
	esac
}
# One fault.  A node that nobody heard is not watched when it is heard again: it
# was never told (vip-dup.t counts that).
once() { # kind id
	local kind=$1 id=$2 s first
	vip_settled 5 || vip_heal
	if ! vip_align; then
		not_ok "$id: whole before the fault"
		return
	fi
	lab_nap "$(calc "0.2 + $VIP_MS / 500")"
	probers start "$id"
	lab_nap 0.2
	strike "$kind"
	lab_nap "$(calc "0.5 + $VIP_MS * 5 / 1000")"
	if [ "$kind" != vanish ] && [ "$kind" != oneway ]; then
		unstrike "$kind"
		lab_nap "$(calc "0.3 + $VIP_MS * 2 / 1000")"
	fi
	probers stop "$id"
	case $kind in vanish | oneway) unstrike "$kind" ;; esac
	for s in $SYSTEMS; do
		read -r OUT["$s"] DUP["$s"] first <<<"$(prober_get "$id-$s" "
			\"\(.longest_ms) \(.duplicates) \(.first_us[\"$(lab_mac "$TO" lan)\"] // 0)\"")"
		diag "$id: $s from $FROM: outage ${OUT[$s]} ms, duplicates ${DUP[$s]}"
		if [ "$first" = 0 ]; then
			diag "$id: $s: $TO never answered"
			OUT[$s]=''
		elif [ "$kind" = planned ]; then
			OUT[$s]=$(calc "($first - ${T0[$s]}) / 1000")
		fi
	done
}

put() { # kind interval runs had peer suffix
	local name=vip/$1/$2$6 h='' p='' hd='' pd='' i
	for ((i = 1; i <= $3; i++)); do
		[ -n "${R[$i.$4]}" ] && [ -n "${R[$i.$5]}" ] || continue
		h+=" ${R[$i.$4]}" p+=" ${R[$i.$5]}"
		hd+=" ${D[$i.$4]}" pd+=" ${D[$i.$5]}"
	done
	row "$name" ms "$h" "${PEER[$5]} $2" "$p" "${METHOD[$1]}" "${GOAL[$1$6]:-}"
	ROW_OF=max row "$name/duplicates" answers "$hd" "${PEER[$5]} $2" "$pd" \
		"probes that two stations answered, the most of any run" "<= 0"
}
compare() { # kind interval runs
	local i s
	case " ${LAB_ENV_KINDS:-$1} " in *" $1 "*) ;; *) return ;; esac
	for ((i = 1; i <= $3; i++)); do
		for s in $SYSTEMS; do OUT[$s]='' DUP[$s]=''; done
		once "$1" "$1-$2-$i"
		for s in $SYSTEMS; do
			R[$i.$s]=${OUT[$s]} D[$i.$s]=${DUP[$s]}
		done
	done
	put "$1" "$2" "$3" had ka ''
	! takes_part ucarp || put "$1" "$2" "$3" carp ucarp /carp
}
interval() { # name ms runs
	local kind
	case " ${LAB_ENV_INTERVALS:-$1} " in *" $1 "*) ;; *) return ;; esac
	SYSTEMS="had ka"
	[ "$2" != 1000 ] || SYSTEMS="had ka carp ucarp"
	check "$1: $SYSTEMS" vip_begin "$2"
	for kind in vanish link planned kill freeze oneway; do
		compare $kind "$1" "$(runs "$3")"
	done
	vip_end
}

declare -A T0 OUT DUP R D
declare -A PEER=([ka]="keepalived v3" [ucarp]=ucarp)
declare -A METHOD=(
	[vanish]="all links of the master silent at once; equal priorities, so that both wait three intervals and the same skew"
	[link]="the master's cable is out"
	[planned]="fault to the first answer of the new node; had: hactl release, others: SIGTERM of the master"
	[kill]="SIGKILL of the daemon (keepalived: parent and child)"
	[freeze]="SIGSTOP of the daemon, SIGCONT after the move"
	[oneway]="nothing that the master sends arrives, until another has it"
)
# VRRP lets a backup wait for its skew after a farewell, and for three intervals
# and the skew after none: two routers that are no pair do not beat that.
declare -A GOAL=([planned/carp]="<= 0.1 of peer")
check "nodes" nodes_up
interval 10ms 10 5
interval 100ms 100 3
interval 1s 1000 2
done_testing
