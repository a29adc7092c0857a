#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Fifty random real faults in one run, with a client that writes all the time:
# nothing acknowledged is lost, the address never answers twice, and it ends
# whole.  LAB_ENV_SEED replays the choices of a run (not the kernel's), and
# LAB_ENV_FAULTS says how many.
# lab: timeout 900
# lab: long
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"
# shellcheck source=../lib_arbiter.sh
. "$LAB_ROOT/regress/lab/lib_arbiter.sh"

seed=${LAB_ENV_SEED:-$((SRANDOM % 32768))}
faults=${LAB_ENV_FAULTS:-50}
limit=$(($(now_ms) + 660000)) # no new fault after that
RANDOM=$seed

cluster_before() {
	witness_make || return
	# shellcheck disable=SC2034
	LAB_CLUSTER=$(witness_line)
	witness_start
}
# Choices are made here and not in subshells, which would not advance RANDOM.
pick() { # variable word...
	local -n lab_picked=$1
	shift
	shift $((RANDOM % $#))
	# shellcheck disable=SC2034
	lab_picked=$1
}
nap() { wait_for "$1" false; }
owner() {
	local n
	for n in alpha bravo; do
		lab_is_up $n && service_on $n && echo $n && return
	done
	echo alpha
}

# One fault of a kind, held for some time, and its end.
fault() { # kind node other link direction seconds
	local n=$2 other=$3 link=$4
	case $1 in
	kill)
		had_kill "$n"
		nap "$6"
		had_start "$n"
		;;
	power)
		power_cut "$n"
		nap "$6"
		power_on "$n" && had_start "$n"
		;;
	freeze)
		freeze "$n"
		nap "$6"
		thaw "$n"
		;;
	link)
		link_down "$n" "$link"
		nap "$6"
		link_up "$n" "$link"
		;;
	loss)
		loss "$n" "$link" 100
		nap "$6"
		loss "$n" "$link" 0
		;;
	oneway)
		one_way "$n" "$link" "$5" on
		nap "$6"
		one_way "$n" "$link" "$5" off
		;;
	vanish)
		node_vanish "$n"
		nap "$6"
		node_return "$n"
		;;
	pair)
		pair_cut
		nap "$6"
		pair_join
		;;
	witness)
		witness_stop KILL
		nap "$6"
		witness_start
		;;
	takeover) hactl "$n" takeover ;;
	move) hactl "$n" move shop "$other" ;;
	standby)
		hactl "$n" standby "$n"
		nap "$6"
		hactl "$n" online "$n"
		;;
	stop)
		had_stop "$n"
		nap "$6"
		had_start "$n"
		;;
	esac
}
# Paired, in sync, and exactly one of them runs shop: one question each, since
# programs start slowly under emulation.
node_well() { # node: prints who runs shop
	hactl "$1" status --json | jq -er --arg me "$1" '
		select(.nodes[0].state == "paired" and
		    .volumes[0].connection == "in-sync" and
		    (.services[0] | .state == "running" or .on != $me)) |
		.services[0].on'
}
all_well() {
	local a
	a=$(node_well alpha) && [ -n "$a" ] && [ "$a" = "$(node_well bravo)" ]
}
# An operator's help where a rule says that one is needed.  After each fault
# one has looked (forgive): else a service stays where it is (R10).
helped() {
	wait_for 60 all_well && return
	operator=$((operator + 1))
	diag "helped: $(status alpha '.services[0].why_not + .services[0].held + " / " + .reason')"
	wait_for 40 cluster_paired
	forgive >>"$LAB/log/faults" 2>&1
	hactl alpha takeover >>"$LAB/log/faults" 2>&1
	wait_for 60 all_well
}

diag "seed $seed: LAB_ENV_SEED=$seed regress/lab/run regress/lab/t/59-random.t"
check "a pair is up" cluster_up 24
check "paired" wait_for 20 cluster_paired
check "shop runs on alpha" wait_for 30 service_on alpha
check "both copies are equal" wait_for 60 in_sync
check "the client writes" writer_start
prober_start all "$VIP"

done=0 operator=0 bad=0 kind="" dir="" secs=""
while [ $done -lt "$faults" ] && lab_until $limit; do
	pick kind kill power freeze freeze link loss loss oneway oneway vanish \
		vanish pair witness takeover move standby stop
	pick node alpha bravo
	pick link lan cross
	pick dir in out
	pick secs 1 1 2 3
	other=alpha
	[ "$node" = alpha ] && other=bravo
	[ "$kind" = move ] && node=$(owner) && other=alpha
	[ "$kind" = move ] && [ "$node" = alpha ] && other=bravo
	done=$((done + 1))
	echo "$(now_ms) $done $kind $node $link $dir $secs" >>"$LAB/log/faults"
	fault "$kind" "$node" "$other" "$link" "$dir" "$secs" \
		>>"$LAB/log/faults" 2>&1
	helped && hactl alpha thaw >>"$LAB/log/faults" 2>&1 && continue
	bad=$((bad + 1))
	not_ok "fault $done: whole after $kind $node $link $dir $secs s" \
		"$(status alpha .reason) / $(status bravo .reason)"
	break
done
is $bad 0 "whole after each of $done faults ($operator times with an operator)"
is $done "$faults" "all faults were done in time"

heal
check "whole at the end" whole
check "one owner" one_owner
check "served" served 40
prober_stop all
is "$(prober_get all .duplicates)" 0 "no duplicate answer in all that"
writer_stop
check "every acknowledged record is there" verify
check "the service is stopped on both" quiesce
check "both disks are equal" backing_equal
done_testing
