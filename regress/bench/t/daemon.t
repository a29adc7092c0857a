#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the daemon costs when it has nothing to do: a pair with one address,
# no volumes, default timers, beside keepalived with one address.
# lab: timeout 120
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/bench/lib.sh"

ticks() { # PID...
	local pid sum=0 f
	for pid in "$@"; do
		read -ra f <"/proc/$pid/stat"
		sum=$((sum + f[13] + f[14]))
	done
	echo $sum
}
rss_mb() { # PID...
	local pid
	for pid in "$@"; do
		awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"
	done | awk '{ kib += $1 } END { printf "%.1f\n", kib / 1024 }'
}
percent() { calc "($2 - $1) * 100 / ($(getconf CLK_TCK) * $3)"; }
paired() {
	[ "$(hactl alpha --json status | jq -r '.state')" = OK ] &&
		[ "$(hactl bravo --json status | jq -r '.state')" = OK ]
}

check "nodes" nodes_up alpha bravo
conf_write <<-END
	address web {
		192.0.2.80/24 interface lan0
	}
	service web {
		prefer alpha
		start {
			address web
		}
	}
END
check "had on alpha" had_start alpha
check "had on bravo" had_start bravo
check "a pair" wait_for 30 paired
check "keepalived on alpha" ka_start alpha 101
check "keepalived: master" wait_for 30 ka_holds alpha
check "keepalived on bravo" ka_start bravo 100

had=$(had_pid alpha)
ka=$(ka_pids alpha)
secs=10
had_cpu='' ka_cpu='' had_rss='' ka_rss=''
for ((i = 1; i <= $(runs 3); i++)); do
	# shellcheck disable=SC2086
	h0=$(ticks "$had") k0=$(ticks $ka)
	lab_nap "$secs"
	# shellcheck disable=SC2086
	h1=$(ticks "$had") k1=$(ticks $ka)
	had_cpu+=" $(percent "$h0" "$h1" "$secs")"
	ka_cpu+=" $(percent "$k0" "$k1" "$secs")"
	had_rss+=" $(rss_mb "$had")"
	# shellcheck disable=SC2086
	ka_rss+=" $(rss_mb $ka)"
done
row daemon/rss MB "$had_rss" "keepalived v3 100 ms" "$ka_rss" \
	"VmRSS (locked in memory, libraries included), one address" "<= 20"
row daemon/cpu-idle "% of a core" "$had_cpu" "keepalived v3 100 ms" "$ka_cpu" \
	"heartbeats of 100 ms on two links, over $secs s, emulated processor"
info daemon/loop-lag-p99 us \
	"$(hactl alpha --json status | jq -r .daemon.loop_lag_p99_us)" \
	"how late timers ran, from hactl status --json, idle"
done_testing
