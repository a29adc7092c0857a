#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A mirrored volume (both copies durable) beside its raw backing device, and
# a full resync beside plain TCP on the same link.
# lab: timeout 300
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/bench/lib.sh"

mib=96
status() { hactl "$1" --json status | jq -r "$2"; }
ready() { # the volume is served on alpha, both copies are equal
	[ "$(status alpha '"\(.services[0].state) \(.services[0].on) \(.volumes[0].connection)"')" = \
		"running alpha in-sync" ]
}
# Prints FIELD of fio's figures for writes.
load() { # DEVICE FIELD ARG...
	local dev=$1 field=$2
	shift 2
	on alpha fio --name=load --filename="$dev" --ioengine=libaio \
		--direct=1 --time_based --runtime="${LAB_ENV_SECS:-3}" \
		--ramp_time=0.5 --output-format=json --randrepeat=0 "$@" \
		>"$LAB/log/fio" 2>&1
	sed -n '/^{/,$p' "$LAB/log/fio" | jq ".jobs[0] | select(.error == 0) |
		.write.$field"
}
compare() { # NAME UNIT FIELD PER METHOD FIO...
	local name=$1 unit=$2 field=$3 per=$4 method=$5 had='' raw='' i
	shift 5
	for ((i = 1; i <= $(runs 3); i++)); do
		raw+=" $(calc "$(load /dev/lab/raw "$field" "$@") / $per")"
		had+=" $(calc "$(load /dev/had/bench "$field" "$@") / $per")"
	done
	row "$name" "$unit" "$had" "raw backing device" "$raw" "$method"
}

check "nodes" nodes_up alpha bravo
for node in alpha bravo; do disk_make $node bench $mib >/dev/null; done
disk_make alpha raw $mib >/dev/null
conf_write <<-END
	volume bench {
		device "/dev/lab/bench"
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

compare volume/4k-qd1 IOPS iops 1 "random 4 KiB writes, libaio on /dev/had" \
	--rw=randwrite --bs=4k --iodepth=1
compare volume/4k-qd32 IOPS iops 1 "random 4 KiB writes, libaio on /dev/had" \
	--rw=randwrite --bs=4k --iodepth=32
compare volume/1m-seq MB/s bw_bytes 1000000 \
	"sequential 1 MiB writes, depth 4, libaio on /dev/had" \
	--rw=write --bs=1m --iodepth=4

# The whole volume from alpha to bravo, by the daemon's own times.
synced() {
	sed -n "/$1/s/^ *\\([0-9.]*\\) .*/\\1/p" "$(had_log alpha)" | tail -n 1
}
tcp() {
	calc "$(on alpha bulk send "$(lab_cross bravo)" 9100 3 65536) / 1000000"
}
resync() { # MB/s
	local from to
	hactl alpha volume resync bench --from alpha >"$LAB/log/resync" 2>&1 || {
		diag "$(cat "$LAB/log/resync")"
		return
	}
	wait_for 10 not_ready
	wait_for 60 ready || return
	from=$(synced 'resync to bravo, full')
	to=$(synced 'resync finished')
	calc "$mib * 1.048576 / ($to - $from)"
}
not_ready() { ! ready; }
node_spawn bravo bulk bulk serve "$(lab_cross bravo)" 9100
wait_for 10 grep -q serving "$LAB/log/bravo.bulk.log"
rates='' tcps=''
for ((i = 1; i <= $(runs 2); i++)); do
	tcps+=" $(tcp)"
	rates+=" $(resync)"
done
[ -n "${rates// /}" ] || rates=
row volume/resync MB/s "$rates" "TCP, not sealed" "$tcps" \
	"all of $mib MiB, the volume idle; the ratio is the share of the link"
done_testing
