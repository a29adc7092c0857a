#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# For scripts that measure; sourced after regress/lab/lib.sh.  A script writes
# rows, one JSON object each, to $LAB/log/rows.json, which run collects.
#
#	row NAME UNIT VALUES PEER PEER_VALUES METHOD [GOAL]
#		VALUES and PEER_VALUES are lists of what several runs gave,
#		equally many; the row's value is the median.  PEER "" and ""
#		if there is none.  ROW_OF=max: the largest instead of the
#		median.  GOAL is "OP NUMBER [of peer]", OP one of
#		<= and >=; "of peer" compares the ratio
#	info NAME UNIT VALUE METHOD	a row of one measurement, no peer
#	median N...		the middle one of numbers
#	calc EXPRESSION		awk's arithmetic
#	runs N			as many of them: 1 if LAB_ENV_QUICK is set
#
# keepalived, on both nodes, as the peer that is measured beside had:
#	ka_start NODE [PRIORITY]	VRRPv3, 100 ms, holds $KA_VIP
#	ka_kill NODE, ka_freeze NODE, ka_thaw NODE, ka_stop NODE
#	ka_holds NODE		true if NODE has the address
#	ka_pids NODE		parent and children
#	ka_clean NODE		takes away what a killed one left

ROWS=$LAB/log/rows.json
KA_VIP=192.0.2.90
logs_keep

calc() { awk "BEGIN { printf \"%.6g\\n\", $* }" 2>/dev/null; }
median() {
	printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END {
		if (NR % 2) print v[(NR + 1) / 2]
		else if (NR) print (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}
runs() { if [ -n "${LAB_ENV_QUICK:-}" ]; then echo 1; else echo "$1"; fi; }
list() { printf '%s\n' "$@" | jq -cs .; }

row() {
	local name=$1 unit=$2 values peers
	# shellcheck disable=SC2086
	values=$(list $3) peers=$(list $5)
	if ! jq -cn --arg name "$name" --arg unit "$unit" \
		--argjson values "$values" --arg peer "$4" \
		--argjson peers "$peers" --arg method "$6" \
		--arg goal "${7:-}" --arg of "${ROW_OF:-median}" -f "$LAB_ROOT/regress/bench/row.jq" \
		>"$LAB/row" || [ ! -s "$LAB/row" ]; then
		not_ok "$name" "no figures: '$3' beside '$5'"
		return
	fi
	cat "$LAB/row" >>"$ROWS"
	ok "$name: $(jq -r '"\(.value) \(.unit)" +
		(if .peer == null then "" else
		", \(.peer): \(.peer_value)" end)' "$LAB/row")"
}
info() { row "$1" "$2" "$3" "" "" "$4" "${5:-}"; }


# --- keepalived ------------------------------------------------------------

ka_start() {
	cat >"$LAB/ka.$1.conf" <<-END
		global_defs {
			vrrp_version 3
			router_id $1
		}
		vrrp_instance bench {
			state BACKUP
			nopreempt
			interface lan0
			virtual_router_id 90
			priority ${2:-100}
			advert_int 0.1
			virtual_ipaddress {
				$KA_VIP/24 dev lan0
			}
		}
	END
	node_spawn "$1" keepalived "$(type -P keepalived)" -n -l -P \
		-f "$LAB/ka.$1.conf" -p /run/ka.pid -r /run/ka-vrrp.pid
}
ka_pids() {
	local pid
	pid=$(node_pid "$1" keepalived) || return
	echo "$pid" $(pgrep -P "$pid")
}
# shellcheck disable=SC2046
ka_signal() { kill "-$1" $(ka_pids "$2"); }
ka_kill() { ka_signal KILL "$1" && wait_for 10 lab_gone "$1" keepalived; }
ka_freeze() { ka_signal STOP "$1"; }
ka_thaw() { ka_signal CONT "$1"; }
ka_stop() {
	node_signal "$1" keepalived TERM
	wait_for 10 lab_gone "$1" keepalived
}
ka_holds() {
	on "$1" busybox ip -o addr show dev lan0 2>/dev/null | grep -q "$KA_VIP/"
}
ka_clean() {
	on "$1" ip addr del $KA_VIP/24 dev lan0 2>/dev/null
	on "$1" busybox rm -f /run/ka.pid /run/ka-vrrp.pid
}
