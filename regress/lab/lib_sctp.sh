#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# For lab scripts about the transport alone: the driver in sctp_pair, without
# the daemon.  Sourced after lib.sh.
#
#	pair_keys		a key for each node, under $LAB
#	pair_start NODE [ARG...]	starts sctp_pair there; PAIR_LINKS=lan: by one
#				link only, six: the LAN by IPv6; PAIR_KEY: another key
#	pair_wait_up [NODE...]	all four associations are up
#	pair_log NODE		its output
#	pair_stat NODE		figures since the last call, as JSON in $STAT
#	pair_stop NODE, pair_kill NODE
#	events NODE REGEX	its event lines that match
#	since NODE MS REGEX	milliseconds from MS to the first event after it
#	boot_ms			the clock of the events
# Figures: see the report() of regress/lab/tools/sctp_pair.c.

boot_ms() {
	local up
	read -r up _ </proc/uptime
	echo "${up/./}0"
}
pair_id() { [ "$1" = alpha ] && echo 1 || echo 2; }
pair_peer() { [ "$1" = alpha ] && echo bravo || echo alpha; }
pair_log() { echo "$LAB/log/$1.pair.log"; }
pair_keys() {
	local n
	for n in alpha bravo mallory; do
		sctp_stranger keygen "$LAB/$n.pem" >"$LAB/$n.pin" || return
	done
}
pair_start() {
	local n=$1 p
	p=$(pair_peer "$n")
	shift
	local cross=(-l "0,$(lab_cross "$n"),$(lab_cross "$p"),cross0")
	local lan=(-l "1,192.0.2.$(lab_host "$n"),192.0.2.$(lab_host "$p"),lan0")
	case ${PAIR_LINKS:-} in
	lan) cross=() ;;
	six) lan=(-l "1,2001:db8::$(lab_host "$n"),2001:db8::$(lab_host "$p"),lan0") ;;
	esac
	rm -f "$(pair_log "$n")"
	node_spawn "$n" pair "${PAIR:-sctp_pair}" -i "$(pair_id "$n")" \
		-k "${PAIR_KEY:-$LAB/$n.pem}" \
		-p "$(pair_id "$p"):$(cat "$LAB/$p.pin")" \
		"${cross[@]}" "${lan[@]}" \
		"$@"
}
pair_is_up() {
	local n
	for n in "$@"; do
		[ "$(grep -cE ' up [12] (ctl 0|bulk 0|hb 0|hb 1) ' "$(pair_log "$n")")" -ge 4 ] || return
	done
}
pair_wait_up() {
	[ $# -gt 0 ] || set -- alpha bravo
	wait_for "${PAIR_WAIT:-15}" pair_is_up "$@"
}
pair_stat() {
	local before
	before=$(grep -c '^{' "$(pair_log "$1")")
	node_signal "$1" pair USR1
	wait_for 15 pair_reported "$1" "$before"
	STAT=$(grep '^{' "$(pair_log "$1")" | tail -n 1)
}
pair_reported() { [ "$(grep -c '^{' "$(pair_log "$1")")" -gt "$2" ]; }
stat_of() { jq -r "$1" <<<"$STAT"; }
pair_gone() { ! node_alive "$1" pair; }
pair_kill() {
	node_signal "$1" pair KILL
	wait_for 10 pair_gone "$1"
}
pair_stop() {
	node_signal "$1" pair TERM
	wait_for 10 pair_gone "$1"
}
events() { grep -E "^[0-9]+ $2" "$(pair_log "$1")"; }
since() {
	events "$1" "$3" | awk -v t="$2" '$1 + 0 >= t { print $1 - t; exit }'
}
saw() { [ -n "$(since "$@")" ]; }
