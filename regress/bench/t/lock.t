#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A synchronous lock beside a bare SEQPACKET round trip, on the node that is
# the master of the resource and on the other one.
# lab: timeout 90
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/bench/lib.sh"

count() { if [ -n "${LAB_ENV_QUICK:-}" ]; then echo 100; else echo 500; fi; }
lock_row() { # NAME RESOURCE METHOD
	local json
	json=$(on alpha rtt -n "$(count)" -r "$(runs 5)" lock default "$2" \
		2>&1) || diag "$json"
	row "$1" us "$(jq -r '.lock_us[]' <<<"$json")" "bare SEQPACKET" \
		"$(jq -r '.bare_us[]' <<<"$json")" \
		"halock_lock, EX, $3, median of $(count), emulated"
}
cost() { on alpha rtt -n 30 -r 1 lock default "$1" | jq '.lock_us[0]'; }
paired() {
	[ "$(hactl alpha --json status | jq -r '.nodes[0].state')" = paired ] &&
		[ "$(hactl bravo --json status | jq -r '.nodes[0].state')" = paired ]
}

check "nodes" nodes_up alpha bravo
conf_write <<-END
	lockspace default {
	}
END
check "had on alpha" had_start alpha
check "had on bravo" had_start bravo
check "a pair" wait_for 20 paired

# Which of these names alpha is the master of is seen by what they cost.
for name in r1 r2 r3 r4 r5 r6; do
	echo "$(cost $name) $name"
done | sort -g >"$LAB/costs"
diag "$(tr '\n' ';' <"$LAB/costs")"
lock_row lock/local "$(head -n 1 "$LAB/costs" | cut -d' ' -f2)" \
	"mastered here"
lock_row lock/remote "$(tail -n 1 "$LAB/costs" | cut -d' ' -f2)" \
	"mastered by the peer"
done_testing
