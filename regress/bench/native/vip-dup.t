#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A hundred faults of a router, half of them at 10 ms and half at 100 ms: its
# master killed, frozen and thawed, or heard by nobody.  Probes that two
# stations answered; and those from when a master that nobody heard is heard
# again until one of the two yields.
# lab: timeout 900
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_router.sh"
. "$LAB_ROOT/regress/bench/lib.sh"
. "$LAB_ROOT/regress/bench/lib_vip.sh"
SYSTEMS=had
KINDS=(kill freeze oneway)

watch_begin() { prober_start "$1" -m arp -i lan0 "${VIP[had]}" && lab_nap 0.1; }
# Sets DUPS; false if the other node never answered.
watch_end() { # id
	prober_stop "$1"
	DUPS=$(prober_get "$1" .duplicates)
	[ "$(prober_get "$1" ".answers | has(\"$(lab_mac "$TO" lan)\")")" = true ]
}
fault() { # kind id
	local kind=$1 id=$2
	vip_settled 10 && vip_align || return
	lab_nap "$(calc "$VIP_MS / 250")"
	watch_begin "$id" || return
	if [ "$kind" = oneway ]; then
		one_way "$FROM" lan out on
	else
		vip_fault "$kind" had "$FROM"
	fi
	lab_nap "$(calc "0.2 + $VIP_MS / 200")"
	if [ "$kind" = oneway ]; then
		watch_end "$id" || return
		TOTAL=$((TOTAL + DUPS))
		watch_begin "$id-back"
		one_way "$FROM" lan out off
		lab_nap "$(calc "0.2 + $VIP_MS / 200")"
		watch_end "$id-back"
		BACK+=" $DUPS"
		return
	fi
	vip_fault_end "$kind" had "$FROM"
	lab_nap "$(calc "0.2 + $VIP_MS / 200")"
	watch_end "$id" || return
	TOTAL=$((TOTAL + DUPS))
}

faults=50
[ -z "${LAB_ENV_QUICK:-}" ] || faults=6
check "nodes" nodes_up
TOTAL=0 BACK='' done=0
for ms in 10 100; do
	check "two routers, $ms ms" vip_begin $ms
	for ((i = 0; i < faults; i++)); do
		kind=${KINDS[i % 3]}
		was=$TOTAL
		if fault "$kind" "$kind-$ms-$i"; then
			done=$((done + 1))
		else
			not_ok "$kind at $ms ms, fault $i: the other one has it"
			vip_heal
		fi
		[ "$TOTAL" = "$was" ] ||
			diag "$kind-$ms-$i: duplicates $((TOTAL - was))"
		rm -f "$LAB/log/client.prober.$kind-$ms-$i"*.log
	done
	vip_end
done
info vip/faults "" "$done" "faults of a master: SIGKILL, SIGSTOP and SIGCONT, nothing that it sends arrives; in turn, half of them at 10 ms, half at 100 ms" ">= $((2 * faults))"
info vip/faults/duplicates answers "$TOTAL" "probes that two stations answered in all of them" "<= 0"
ROW_OF=max row vip/oneway-return/duplicates answers "$BACK" "" "" "from when a master that nobody heard is heard again, until one of two yields; the most of any"
done_testing
