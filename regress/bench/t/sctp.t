#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the sealed transport moves over one veth, beside plain TCP and plain
# SCTP on it, and what sealing alone costs on the emulated processor; and how
# late its messages are when a link is lost meanwhile.
# lab: timeout 180
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_sctp.sh"
. "$LAB_ROOT/regress/bench/lib.sh"

size=65536
# MB/s of plain messages from alpha to bravo over cross.
plain() { # [-s]
	local rate
	rate=$(on alpha bulk "$@" send "$(lab_cross bravo)" \
		"$((9100 + $#))" 3 $size) || return
	calc "$rate / 1000000"
}
sealed() {
	local rate=
	pair_start bravo -w 1048576 && pair_start alpha -w 1048576 -B $size &&
		pair_wait_up || return
	lab_nap 0.5
	pair_stat bravo
	lab_nap 3
	pair_stat bravo
	rate=$(calc "$(stat_of .bulk_bytes) / $(stat_of .ms) / 1000")
	[ "$(stat_of '.corrupt + .bulk_gaps')" = 0 ] || rate=
	pair_stop alpha
	pair_stop bravo
	echo "$rate"
}
# Control messages every 5 ms each way, among bulk at full speed; then the
# crossover is silently lost.  Sets WHOLE and LOST, the latest message in ms.
latest_ms() {
	local n max=0
	for n in alpha bravo; do
		pair_stat $n
		[ "$(stat_of '.ctl_rx > 0 and .ctl_gaps + .corrupt == 0')" = true ] ||
			return
		max=$(printf '%s\n' "$max" "$(stat_of .ctl_max_us)" | sort -n |
			tail -n 1)
	done
	calc "$max / 1000"
}
late() {
	WHOLE='' LOST=''
	pair_start bravo -c 5 && pair_start alpha -c 5 -B $size &&
		pair_wait_up || return
	lab_nap 1
	latest_ms >"$LAB/late"
	lab_nap 2
	WHOLE=$(latest_ms)
	loss alpha cross 100
	lab_nap 2
	LOST=$(latest_ms)
	loss alpha cross 0
	pair_stop alpha
	pair_stop bravo
}
aead_rate() { calc "$(on alpha aead $size 1000) / 1000000"; }

check "nodes" nodes_up alpha bravo
check "keys" pair_keys
node_spawn bravo bulk-tcp bulk serve "$(lab_cross bravo)" 9100
node_spawn bravo bulk-sctp bulk -s serve "$(lab_cross bravo)" 9101
wait_for 10 grep -q serving "$LAB/log/bravo.bulk-sctp.log"

tcp='' sctp='' seal='' aead=''
for ((i = 1; i <= $(runs 3); i++)); do
	seal+=" $(sealed)"
	tcp+=" $(plain)"
	sctp+=" $(plain -s)"
	aead+=" $(aead_rate)"
done
whole='' lost=''
for ((i = 1; i <= $(runs 3); i++)); do
	late
	whole+=" $WHOLE" lost+=" $LOST"
done
ROW_OF=max row link/message ms "$lost" "no link lost" "$whole" \
	"latest of the messages every 5 ms, one way, among sealed bulk at full speed, when the crossover is silently lost" \
	"<= 100"
row sctp/sealed MB/s "$seal" "TCP, not sealed" "$tcp" \
	"64 KiB messages one way, window 1 MiB, MTU 1500"
row sctp/plain MB/s "$sctp" "TCP" "$tcp" \
	"a bare SCTP socket, 64 KiB messages one way, MTU 1500"
row sctp/sealed-of-aead MB/s "$seal" "AES-256-GCM alone, here" "$aead" \
	"share of what the emulated processor seals in memory"
done_testing
