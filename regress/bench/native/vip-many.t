#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# 255 routers with one address each, adverts every 10 ms: processor time of
# master and backup, memory for each address, and whether they stay where
# they are while both processors are busy.  had and keepalived in turn, several
# times: the figures of one run differ by a tenth from those of the next.
#
# While the master's time is taken its adverts end where the wire begins: else
# the switch and both receivers, which are this machine as well, would count
# as the sender.
# lab: timeout 900
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
many_pid() { # had|ka|burst node
	case $1 in
	ka) pgrep -P "$(node_pid "$2" keepalived)" ;;
	*) node_pid "$2" "$1" ;;
	esac
}

# How many addresses are there.  Not by hactl: its answer about 255 routers
# takes memory of the daemon, too.
held() { # node
	on "$1" busybox ip -o addr show dev lan0 | grep -c 'inet 198\.51\.100\.'
}
holds_all() { [ "$(held "$1")" = "$2" ]; }
# Transitions since a time (of the logs' clocks), but for those within two
# seconds of a stall of this machine, which no program can help.
flaps() { # had|ka boot-seconds seconds-of-the-day
	local node log=keepalived from=$3 clock=2
	[ "$1" = ka ] || log=had from=$2 clock=1
	for node in alpha bravo; do
		cat "$LAB/log/$node.$log.log"
	done | awk -v from="$from" -v clock="$clock" -v stalls="$LAB/stalls" '
		BEGIN {
			while ((getline line <stalls) > 0) {
				split(line, f, " ")
				at[++n] = f[clock]
				if (clock == 2) at[n] %= 86400
			}
		}
		/: router r[0-9]+: [A-Z]+ -> [A-Z]+:/ { t = $1 }
		/Entering [A-Z]+ STATE/ {
			split($4, f, ":")
			t = f[1] * 3600 + f[2] * 60 + f[3]
		}
		t != "" && t >= from {
			for (i = 1; i <= n; i++)
				if (t >= at[i] - 1 && t < at[i] + 2) break
			if (i > n) flaps++
		}
		{ t = "" }
		END { print flaps + 0 }'
}

# Nanoseconds on a processor, exact: all threads.
on_cpu() { cat /proc/"$1"/task/*/schedstat | awk '{ n += $1 } END { print n }'; }
memory() { awk '/^Rss:/ { print $2 }' "/proc/$1/smaps_rollup"; }
# Of it what the process can write.  The rest is the program and its libraries,
# of which more or less is mapped from one start to the next.
own_memory() {
	awk '/^[0-9a-f]+-/ { w = $2 ~ /w/ }
		/^Rss:/ && w { n += $2 }
		END { print n }' "/proc/$1/smaps"
}
# Percent of one processor that it takes on a node for some seconds.
share() { # had|ka|burst node seconds
	local pid a t0
	pid=$(many_pid "$1" "$2") || return
	a=$(on_cpu "$pid") t0=${EPOCHREALTIME/[.,]/}
	lab_nap "$3"
	calc "($(on_cpu "$pid") - $a) / 10 / (${EPOCHREALTIME/[.,]/} - $t0)"
}

# Both up with some routers, all of them on alpha.
up() { # had|ka routers
	check "$1: $2 routers on alpha" many_start "$1" alpha "$2"
	check "$1: it has all of them" wait_for 20 holds_all alpha "$2"
	check "$1: $2 routers on bravo" many_start "$1" bravo "$2"
	lab_nap 2
	[ "$1" = ka ] || is "$(held bravo)" 0 "had: bravo has none"
}
down() { # had|ka
	many_stop "$1" bravo
	many_stop "$1" alpha
}

# Two loops that never sleep, and something that sees the machine stall.
BUSY=()
busy() {
	local i
	for ((i = 0; i < $(nproc); i++)); do
		(while :; do :; done) &
		BUSY+=($!)
		stall "$i" 15 >>"$LAB/stalls" &
		BUSY+=($!)
	done
}
idle() {
	kill "${BUSY[@]}"
	wait "${BUSY[@]}" 2>/dev/null
	BUSY=()
}

# One round of one program, added to the lists of figures by its name.
declare -A MASTER BACKUP BOTH OWN RSS FLAPS STALLS
add() { # list had|ka figure
	local -n to=$1
	to[$2]+="${to[$2]:+ }$3"
}
each() { calc "($2 - $1) / ($N - 1)"; }
measure() { # had|ka
	local one own master backup
	up "$1" 1
	lab_nap "$SECONDS_EACH"
	one=$(memory "$(many_pid "$1" alpha)")
	own=$(own_memory "$(many_pid "$1" alpha)")
	down "$1"
	up "$1" "$N"
	backup=$(share "$1" bravo "$SECONDS_EACH")
	add RSS "$1" "$(each "$one" "$(memory "$(many_pid "$1" alpha)")")"
	add OWN "$1" "$(each "$own" "$(own_memory "$(many_pid "$1" alpha)")")"
	many_stop "$1" bravo
	one_way alpha lan out on
	wait_for 10 holds_all alpha "$N"
	lab_nap 1
	master=$(share "$1" alpha "$SECONDS_EACH")
	one_way alpha lan out off
	many_stop "$1" alpha
	add MASTER "$1" "$master"
	add BACKUP "$1" "$backup"
	add BOTH "$1" "$(calc "$master + $backup")"
	diag "$1: master $master %, backup $backup %, ${OWN[$1]##* } KiB each"
}
# Do they stay where they are while the machine is busy?
hold() { # had|ka
	local boot day
	up "$1" "$N"
	: >"$LAB/stalls"
	read -r boot _ </proc/uptime
	day=$(($(date -u +%s) % 86400))
	busy
	lab_nap "$BUSY_SECONDS"
	idle
	STALLS[$1]=$(wc -l <"$LAB/stalls")
	FLAPS[$1]=$(flaps "$1" "$boot" "$day")
	down "$1"
	diag "$1: ${FLAPS[$1]} flaps, ${STALLS[$1]} stalls"
}
# What the kernel takes to send as much: no program can take less.
floor() {
	one_way alpha lan out on
	node_spawn alpha burst "$(type -P burst)" lan0 "$N" "$MS"
	lab_nap 1
	FLOOR=$(share burst alpha "$SECONDS_EACH")
	node_signal alpha burst TERM
	one_way alpha lan out off
}

SECONDS_EACH=8 BUSY_SECONDS=60 floors=
[ -z "${LAB_ENV_QUICK:-}" ] || SECONDS_EACH=3 BUSY_SECONDS=5
check "nodes" nodes_up
for ((i = $(runs 3); i > 0; i--)); do
	measure had
	measure ka
	floor
	floors+=" $FLOOR"
done
hold had
hold ka
row vip/many-cpu/${MS}ms "% of a core" "${BOTH[had]}" "$KA" "${BOTH[ka]}" \
	"$N routers with one address each: processor time of master and backup" \
	"<= 0.1 of peer"
row vip/many-cpu-master/${MS}ms "% of a core" "${MASTER[had]}" \
	"$KA" "${MASTER[ka]}" "of it, the master's"
row vip/many-cpu-backup/${MS}ms "% of a core" "${BACKUP[had]}" \
	"$KA" "${BACKUP[ka]}" "of it, the backup's"
row vip/many-cpu-master-floor/${MS}ms "% of a core" "${MASTER[had]}" \
	"sendmmsg alone" "$floors" \
	"the master beside a program that only sends as many frames"
row vip/many-flaps/${MS}ms transitions "${FLAPS[had]}" "$KA" "${FLAPS[ka]}" \
	"the same for $BUSY_SECONDS s, all processors busy with other programs; but for those when the machine itself stood still for 15 ms" \
	"<= 0"
row vip/many-flaps/${MS}ms/stalls "" "${STALLS[had]}" \
	"while $KA ran" "${STALLS[ka]}" "how often that was"
row vip/many-memory KiB "${OWN[had]}" "$KA" "${OWN[ka]}" \
	"resident memory that each router with its address adds, from 1 to $N, but for pages of the program and its libraries" \
	"<= 2"
row vip/many-rss KiB "${RSS[had]}" "$KA" "${RSS[ka]}" \
	"the same with those pages, of which more or less is there from start to start"
done_testing
