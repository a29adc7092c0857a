#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# 255 routers with adverts every 10 ms: neither who sends 25500 packets a
# second nor who hears them wakes for each.  Counted, not timed: how often each
# daemon went to sleep, which it does once for all that it finds.
# lab: timeout 60
. "$LAB_ROOT/regress/lab/lib.sh"
N=255 MS=10 SECONDS_MEASURED=2

file() { # node id
	local i
	{
		printf 'cluster many-%s {\n}\nnode %s {\n\tid %d\n}\n' "$1" "$1" "$2"
		for ((i = 1; i <= N; i++)); do
			printf 'address a%d { 198.51.100.%d/32 interface lan0 }\n' $i $i
			printf 'router r%d { vrrp 3 vrid %d; interval %dms; address a%d }\n' \
				$i $i $MS $i
		done
	} >"$LAB/$1.conf"
	node_put "$1" "$LAB/$1.conf" /etc/had/had.conf
}
held() { on "$1" busybox ip -o addr show dev lan0 | grep -c 'inet 198\.51\.100\.'; }
holds() { [ "$(held "$1")" = "$2" ]; }
# All adverts of one kind that a node's routers have counted.
adverts() { # node sent|received
	hactl "$1" --json addresses | jq "[.routers[].$2] | add"
}
# How often all threads of a daemon went to sleep of themselves.
sleeps() { # node
	cat "/proc/$(had_pid "$1")"/task/*/status |
		awk '/^voluntary_ctxt_switches:/ { n += $2 } END { print n }'
}
# More than 10000 packets a second, and at most 1000 sleeps.
cheap() { # name sleeps-before sleeps-after packets-before packets-after ms
	local packets=$((($5 - $4) * 1000 / $6))
	check "$1: packets a second ($packets, at least 10000)" [ $packets -ge 10000 ]
	at_most $((($3 - $2) * 1000 / $6)) 1000 "$1: sleeps a second"
}

nodes_up
file alpha 1
file bravo 2
check "alpha has $N routers" had_start alpha
check "and holds them all" wait_for 15 holds alpha $N
check "bravo has them, too" had_start bravo
lab_nap 1
check "and holds none" wait_for 5 holds bravo 0

sent=$(adverts alpha sent) heard=$(adverts bravo received)
start=$(now_ms) a=$(sleeps alpha) b=$(sleeps bravo)
lab_nap $SECONDS_MEASURED
a_end=$(sleeps alpha) b_end=$(sleeps bravo) ms=$(($(now_ms) - start))
sent_end=$(adverts alpha sent) heard_end=$(adverts bravo received)
cheap "master" "$a" "$a_end" "$sent" "$sent_end" $ms
cheap "backup" "$b" "$b_end" "$heard" "$heard_end" $ms
had_stop bravo
had_stop alpha
check "stopped: nothing is left" holds alpha 0
done_testing
