#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# 255 routers with one address each, adverts every 10 ms: processor time of
# master and backup, memory for each address, and whether they stay where
# they are while both processors are busy.  had and keepalived in turn.
# lab: timeout 420
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/bench/lib.sh"
N=${LAB_ENV_ROUTERS:-255}
MS=10
KA="keepalived v3 $MS ms"

many_addr() { echo "198.51.100.$1"; }
had_conf() { # node routers
	local id=1 i
	[ "$1" = bravo ] && id=2
	{
		echo "cluster many-$1 {
		}
		node $1 {
			id $id
		}"
		for ((i = 1; i <= $2; i++)); do
			echo "address a$i {
				$(many_addr "$i")/32 interface lan0
			}
			router r$i {
				vrrp 3 vrid $i
				interval ${MS}ms
				address a$i
			}"
		done
	} >"$LAB/$1.conf"
	node_put "$1" "$LAB/$1.conf" /etc/had/had.conf
}
ka_conf() { # node routers
	local i
	{
		echo "global_defs {
			vrrp_version 3
			router_id $1
		}"
		for ((i = 1; i <= $2; i++)); do
			echo "vrrp_instance r$i {
				state BACKUP
				nopreempt
				interface lan0
				virtual_router_id $i
				priority 100
				advert_int 0.0$((MS / 10))
				virtual_ipaddress {
					$(many_addr "$i")/32 dev lan0
				}
			}"
		done
	} >"$LAB/ka.$1.conf"
}
many_start() { # had|ka node routers
	"$1_conf" "$2" "$3"
	if [ "$1" = had ]; then
		had_start "$2"
	else
		node_spawn "$2" keepalived "$(type -P keepalived)" -n -l -P \
			-f "$LAB/ka.$2.conf" -p /run/ka.pid -r /run/ka-vrrp.pid
	fi
}
many_stop() { # had|ka node
	if [ "$1" = had ]; then had_stop "$2"; else ka_stop "$2"; fi
}
# The process that does the work: of keepalived its child.
many_pid() { # had|ka node
	if [ "$1" = had ]; then had_pid "$2"; else
		pgrep -P "$(node_pid "$2" keepalived)"
	fi
}

# How many are master there, and how often one became so or ceased to.
held() { # had|ka node
	if [ "$1" = had ]; then
		hactl "$2" --json addresses |
			jq '[.routers[] | select(.state == "ACTIVE")] | length'
	else
		on "$2" busybox ip -o addr show dev lan0 |
			grep -c 'inet 198\.51\.100\.'
	fi
}
holds_all() { [ "$(held "$1" "$2")" = "$3" ]; }
flaps() { # had|ka
	local node
	for node in alpha bravo; do
		if [ "$1" = had ]; then
			hactl $node --json addresses |
				jq '[.routers[].transitions] | add'
		else
			grep -c 'Entering \(MASTER\|BACKUP\|FAULT\) STATE' \
				"$LAB/log/$node.keepalived.log"
		fi
	done | awk '{ n += $1 } END { print n }'
}

# Nanoseconds on a processor, exact: all threads.
on_cpu() { cat /proc/"$1"/task/*/schedstat | awk '{ n += $1 } END { print n }'; }
memory() { awk '/^Rss:/ { print $2 }' "/proc/$1/smaps_rollup"; }
# Percent of one processor that had|ka takes on a node for some seconds.
share() { # had|ka node seconds
	local pid a t0
	pid=$(many_pid "$1" "$2") || return
	a=$(on_cpu "$pid") t0=${EPOCHREALTIME/[.,]/}
	lab_nap "$3"
	calc "($(on_cpu "$pid") - $a) / 10 / (${EPOCHREALTIME/[.,]/} - $t0)"
}

# Both up with some routers, all of them on alpha.
up() { # had|ka routers
	: >"$LAB/log/alpha.keepalived.log"
	: >"$LAB/log/bravo.keepalived.log"
	check "$1: $2 routers on alpha" many_start "$1" alpha "$2"
	check "$1: it has all of them" wait_for 20 holds_all "$1" alpha "$2"
	check "$1: $2 routers on bravo" many_start "$1" bravo "$2"
	lab_nap 2
	is "$(held "$1" bravo)" 0 "$1: bravo has none"
}
down() { # had|ka
	many_stop "$1" bravo
	many_stop "$1" alpha
}

# Two loops that never sleep, as long as these figures are taken.
BUSY=()
busy() {
	local i
	for ((i = 0; i < $(nproc); i++)); do
		(while :; do :; done) &
		BUSY+=($!)
	done
}
idle() {
	kill "${BUSY[@]}"
	wait "${BUSY[@]}" 2>/dev/null
	BUSY=()
}

measure() { # had|ka: sets MASTER BACKUP RSS RSS1 FLAPS
	local before
	up "$1" 1
	RSS1=$(memory "$(many_pid "$1" alpha)")
	down "$1"
	up "$1" "$N"
	MASTER=$(share "$1" alpha "$SECONDS_EACH")
	BACKUP=$(share "$1" bravo "$SECONDS_EACH")
	RSS=$(memory "$(many_pid "$1" alpha)")
	before=$(flaps "$1")
	busy
	lab_nap "$BUSY_SECONDS"
	FLAPS=$(($(flaps "$1") - before))
	idle
	down "$1"
}

SECONDS_EACH=10 BUSY_SECONDS=60
[ -z "${LAB_ENV_QUICK:-}" ] || SECONDS_EACH=3 BUSY_SECONDS=5
check "nodes" nodes_up
measure had
h_master=$MASTER h_backup=$BACKUP h_flaps=$FLAPS
h_each=$(calc "($RSS - $RSS1) / ($N - 1)")
diag "had: master $MASTER %, backup $BACKUP %, $RSS1 KiB with one, $RSS KiB with $N"
measure ka
k_each=$(calc "($RSS - $RSS1) / ($N - 1)")
diag "keepalived: master $MASTER %, backup $BACKUP %, $RSS1 KiB with one, $RSS KiB with $N"
row vip/many-cpu-master/${MS}ms "% of a core" "$h_master" "$KA" "$MASTER" \
	"$N routers with one address each: time of the master's process" \
	"<= 0.1 of peer"
row vip/many-cpu-backup/${MS}ms "% of a core" "$h_backup" "$KA" "$BACKUP" \
	"the same, of the backup's" "<= 0.1 of peer"
row vip/many-flaps/${MS}ms transitions "$h_flaps" "$KA" "$FLAPS" \
	"the same for $BUSY_SECONDS s, all processors busy with other programs" \
	"<= 0"
row vip/many-memory KiB "$h_each" "$KA" "$k_each" \
	"resident memory that each router with its address adds, from 1 to $N" \
	"<= 2"
done_testing
