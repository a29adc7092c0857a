#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# One link is lost while a volume is written at full speed: nothing moves,
# and no message is late.  A client on bravo locks and unlocks all the time;
# some of the names are mastered by alpha, so that each call is a message
# there and one back, among the volume's.
# lab: timeout 180
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/bench/lib.sh"
export LAB_HEARTBEAT=20ms LAB_DEAD=${LAB_ENV_DEAD:-200ms}

status() { hactl "$1" --json status | jq -r "$2"; }
ready() {
	[ "$(status alpha '"\(.services[0].state) \(.services[0].on) \(.volumes[0].connection) \([.links[] | select(.state == "up")] | length)"')" = \
		"running alpha in-sync 2" ]
}
# Writes as fast as it goes for 8 s, with FAULT in the middle; sets CALLS.
loaded() { # FAULT...
	local fio pace
	on alpha fio --name=load --filename=/dev/had/bench --ioengine=libaio \
		--direct=1 --rw=write --bs=64k --iodepth=16 --time_based \
		--runtime=9 --output-format=json >"$LAB/log/fio" 2>&1 &
	fio=$!
	lab_nap 2
	# Above the daemons' priority: the message is timed, not the wait of a
	# client for the processors that they keep busy.
	on bravo chrt -r 2 rtt -t 5 -i 5 pace default a b c d e f \
		>"$LAB/pace" 2>&1 &
	pace=$!
	lab_nap 2
	"$@"
	wait "$pace"
	wait "$fio"
	CALLS=$(cat "$LAB/pace")
	lag=$(status alpha .daemon.loop_lag_p99_us)
	lag_max=$(status alpha .daemon.loop_lag_max_us)
	diag "$* $CALLS written: $(sed -n '/^{/,$p' "$LAB/log/fio" |
		jq -c '.jobs[0] | [.error, .write.bw_bytes]'), loop lag of alpha and bravo, p99 and max: $lag $lag_max $(status bravo '"\(.daemon.loop_lag_p99_us) \(.daemon.loop_lag_max_us)"') us"
}

# Two nodes that share processors: neither may keep the other from one for
# the 100 ms of a usual slice of SCHED_RR.
echo 5 >/proc/sys/kernel/sched_rr_timeslice_ms
check "nodes" nodes_up alpha bravo
for node in alpha bravo; do disk_make $node bench 96 >/dev/null; done
conf_write <<-END
	volume bench {
		device "/dev/lab/bench"
	}
	lockspace default {
	}
	service bench {
		prefer alpha
		start {
			volume bench
		}
	}
END
check "volume on alpha" hactl alpha volume create --keep-data bench
check "volume on bravo" hactl bravo volume create bench
check "had on alpha" had_start alpha
check "had on bravo" had_start bravo
check "in sync, served on alpha" wait_for 60 ready
epoch=$(status alpha .epoch)

whole='' lost='' lags=''
for ((i = 1; i <= $(runs 2); i++)); do
	check "whole" wait_for 30 ready
	loaded :
	whole+=" $(calc "$(jq .max_us <<<"$CALLS") / 1000")"
	check "still whole" wait_for 30 ready
	loaded loss alpha cross 100
	[ "$(jq .failed <<<"$CALLS")" = 0 ] || not_ok "every call was answered"
	lags+=" $lag"
	lost+=" $(calc "$(jq .max_us <<<"$CALLS") / 1000")"
	loss alpha cross 0
done
ROW_OF=max row link/under-load ms "$lost" "no link lost" "$whole" \
	"longest lock call, two messages of which each may be 100 ms late, when the crossover is silently lost while the volume is written" \
	"<= 200"
info link/under-load/loop-lag-p99 us "$lags" \
	"how late timers ran on the writing node in the last minute, from hactl status --json"
check "whole again" wait_for 30 ready
info link/under-load/takeovers epochs \
	"$(($(status alpha .epoch) - epoch))" \
	"changes of the epoch in all of that" "<= 0"
done_testing
