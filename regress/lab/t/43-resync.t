#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A resync that is slow enough to be watched, first of the whole volume, then
# of what one node missed: the percentage grows to its end, at the rate that
# the configuration allows, and the text says it.  And the device that a
# killed daemon leaves in the kernel is free again once the next has started.
# lab: long
# lab: timeout 240
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"

# The configuration of cluster.sh with a limit.
eval "conf_write_all() $(declare -f conf_write | tail -n +2)"
conf_write() {
	sed 's,device "/dev/lab/orders",&\n\t\t\tresync rate 2 MiB,' | conf_write_all
}

# What alpha says of its volume all the time, from processes of its own, so
# that the progress is seen however slow this machine is.
watch_start() { # name
	node_spawn alpha "watch.$1" "$LAB_BIN/hactl" --json status -w
	# shellcheck disable=SC2016
	node_spawn alpha "text.$1" sh -c 'while :; do "$1" volumes; sleep 0.2; done' \
		- "$LAB_BIN/hactl"
}
watch_stop() { # name: percent, MiB in all, source, for each look
	node_signal alpha "watch.$1" TERM
	node_signal alpha "text.$1" TERM
	wait_for 10 lab_gone alpha "watch.$1"
	jq -r '.volumes[0].resync | select(.active) |
		"\(100 * (.total_bytes - .left_bytes) / .total_bytes | floor) \(.total_bytes / 1048576 | round) \(.source)"' \
		"$LAB/log/alpha.watch.$1.log" >"$LAB/log/$1" 2>/dev/null
	log=$LAB/log/$1 text=$LAB/log/alpha.text.$1.log
}
node_start() {
	had_start "$1" && { [ "$1" = bravo ] || watch_start "$watch"; }
}
grows() { # many different percentages, and never a smaller one
	awk '{ if (NR > 1 && $1 < last) bad = 1; if (NR == 1 || $1 > last) n++; last = $1 }
		END { print n + 0 " steps, bad " bad + 0; exit !(n >= 4 && !bad) }' "$log"
}
nbd_of() { # node: the number of its device
	local f
	for f in /sys/block/nbd*/backend; do
		[ "$(cat "$f" 2>/dev/null)" = "had:lab:$1:orders" ] || continue
		f=${f#/sys/block/nbd}
		echo "${f%/backend}"
		return
	done
	return 1
}

t=$(now_ms)
watch=full
check "a pair is up" cluster_up 24
check "paired" wait_for 20 cluster_paired
check "the whole volume is copied" wait_for 60 in_sync
t=$(($(now_ms) - t))
watch_stop full
check "all: the percentage grows" grows
diag "$(grows): $(cut -d' ' -f1 "$log" | uniq | xargs)"
# 24 MiB at 2 MiB/s.
check "all: it took its time ($t ms)" test "$t" -ge 8000
is "$(cut -d' ' -f3 "$log" | sort -u)" true "all: alpha is the source"
is "$(head -n 1 "$log" | cut -d' ' -f2)" 24 "all: it is about the whole volume, in MiB"
line='^  resync to the peer \[[#.]{30}\] [0-9]+%, [0-9.]+ [KM]iB left, [0-9.]+ [KM]iB/s'
check "all: the text shows it" grep -qE "$line" "$text"
check "all: and how long it takes" grep -qE "$line, [0-9]+ s to go" "$text"
shows() { hactl alpha volumes | grep 'resync '; }
refuse "all: and nothing afterwards" shows
check "shop runs on alpha" wait_for 30 service_on alpha

# Killed with its device in use: it stays in the kernel, for nobody.
check "alpha has a device" nbd_of alpha
n=$(nbd_of alpha)
check "which is in use" nbd-client -c "/dev/nbd$n"
had_kill alpha
check "killed: bravo has shop" wait_for 20 service_on bravo
check "killed: the kernel still has the device" grep -q . "/sys/block/nbd$n/pid"
check "bravo has another" test "$(nbd_of bravo)" != "$n"
other=$(nbd_of bravo)
on bravo dd if=/dev/urandom of=/srv/orders/missed bs=1M count=8 conv=fsync 2>/dev/null
watch=missed
node_start alpha
freed() { ! nbd_of alpha && ! [ -e "/sys/block/nbd$n/pid" ]; }
check "started again: the device is free" wait_for 20 freed
refuse "so says nbd-client" nbd-client -c "/dev/nbd$n"
check "it is told" grep -q 'volumes: 1 devices of an earlier daemon removed' "$(had_log alpha)"
check "bravo's is untouched" nbd-client -c "/dev/nbd$other"
refuse "nothing is mounted from it" on alpha mountpoint -q /srv/orders

# What alpha missed, and no more.
check "what was missed is copied" wait_for 60 whole
watch_stop missed
check "missed: the percentage grows" grows
diag "$(grows): $(cut -d' ' -f1 "$log" | uniq | xargs)"
is "$(cut -d' ' -f3 "$log" | sort -u)" false "missed: alpha is the target"
check "missed: the text says from where" grep -qE '^  resync from the peer \[' "$text"
part=$(head -n 1 "$log" | cut -d' ' -f2)
check "missed: it is about a part, in MiB ($part)" test "$part" -lt 18
check "missed: which is not less than was written" test "$part" -ge 8
check "the service is stopped on both" quiesce
check "both disks are equal" backing_equal
done_testing
