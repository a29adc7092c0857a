#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What needs neither a peer nor a kernel module, on the real processor: local
# locks, an idle daemon, what sealing costs.
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
# How often its main thread has gone to sleep.
sleeps() { awk '/^voluntary_ctxt/ { print $2 }' "/proc/$1/status"; }
# One node has nobody to wait for: it may act at once.
single() {
	cat >"$LAB/had.conf" <<-END
		cluster lab {
			heartbeat 100ms
			dead 500ms
		}
		node alpha {
			id 1
			key "$(lab_key alpha)"
			link cross 10.77.0.1 interface "cross0"
		}
		lockspace default {
		}
	END
	node_put alpha "$LAB/had.conf" /etc/had/had.conf
}
locks() { on alpha rtt -n "$1" -r "$2" -c 0 -e "$3" lock default r; }
# The server of the locks beside the bare end, on the same processor.
lock_row() { # NAME CPU METHOD
	local json
	taskset -p "$((1 << $2))" "$(had_pid alpha)" >/dev/null
	json=$(locks 5000 "$(runs 7)" "$2")
	row "$1" us "$(jq -r '.lock_us[]' <<<"$json")" "bare SEQPACKET" \
		"$(jq -r '.bare_us[]' <<<"$json")" \
		"halock_lock, EX, $3, median of 5000, native"
	row "$1/unlock" us "$(jq -r '.unlock_us[]' <<<"$json")" \
		"bare SEQPACKET" "$(jq -r '.bare_us[]' <<<"$json")" \
		"halock_unlock, $3, median of 5000, native"
}

check "a node" nodes_up alpha
single
check "had" had_start alpha
check "locks are served" wait_for 10 locks 1 1 1
lock_row lock/roundtrip 0 "client and server on one processor"
lock_row lock/roundtrip-2cpu 1 "client and server on two processors"

pid=$(had_pid alpha)
taskset -p 3 "$pid" >/dev/null
cpu='' wakes='' secs=10
for ((i = 1; i <= $(runs 3); i++)); do
	t0=$(ticks "$pid") s0=$(sleeps "$pid")
	lab_nap "$secs"
	wakes+=" $(calc "($(sleeps "$pid") - $s0) / $secs")"
	cpu+=" $(calc "($(ticks "$pid") - $t0) * 100 / ($(getconf CLK_TCK) * $secs)")"
done
info daemon/cpu-idle-native "% of a core" "$cpu" \
	"one node without a peer, over $secs s, native" "<= 0.5"
info daemon/wakeups-idle-native "1/s" "$wakes" \
	"how often the daemon woke up in that time" "<= 10"

rates=''
for ((i = 1; i <= $(runs 3); i++)); do
	rates+=" $(calc "$(on alpha aead 65536 500) / 1000000")"
done
info sctp/aead-native MB/s "$rates" \
	"AES-256-GCM of 64 KiB messages, one core, native: what sealing costs where nothing is emulated"
done_testing
