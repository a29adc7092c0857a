#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The drivers of arbitration with real programs: agents that obey, lie, fail,
# hang and take their time; two nodes as processes on one lock disk, killed at
# any moment.
# lab: timeout 170
. "$LAB_ROOT/regress/lab/lib.sh"

agents=$LAB_ROOT/regress/lab/agents
world=$LAB/fence
mkdir "$world"
fence() { # AGENT ACTION [NAME=VALUE...]
	timeout 60 arbiters fence "$agents/fence_$1" "${LIMIT:-20000}" "$2" \
		bravo state="$world" "${@:3}"
}
ms() { # command...
	local t0
	t0=$(now_ms)
	"$@" >/dev/null
	echo $(($(now_ms) - t0))
}

is "$(fence ok status)" "on: Status: ON" "status says on"
is "$(fence ok off)" "ok: Success: Powered OFF" "off does it"
is "$(fence ok status)" "off: Status: OFF" "status says off"
fence ok on >/dev/null
is "$(fence liar off)" "ok: Success: off" "a liar says that it did it"
is "$(fence liar status)" "on: Status: ON" "and is found out"
is "$(fence fail off)" "failed: Unable to connect/login to fencing device" \
	"a failure has its words"
is "$(LIMIT=500 fence hang off)" "timeout: connecting" "one that hangs is killed"
check "with its child" wait_for 10 sh -c "! kill -0 $(<"$world/child")"
is "$(fence slow off delay=1)" "ok: Success: Powered OFF" "a slow one may take its time"
is "$(fence slow status)" "off: Status: OFF" "and has done it"
echo hunter2 >"$world/pw"
fence ok monitor passwd=hunter2 >/dev/null
refuse "no secret in the environment or the arguments" \
	grep -q hunter2 "$world/env" "$world/args" "$world/log"
is "$(timeout 20 arbiters fence fence_of_nobody 1000 status bravo)" \
	"failed: cannot run /usr/sbin/fence_of_nobody: No such file or directory" \
	"a program that is missing has failed"

disk=$LAB/lockdisk
check "a lock disk is made" arbiters lockdisk-create "$disk" prod
refuse "once" arbiters lockdisk-create "$disk" prod
is "$(arbiters lockdisk "$disk" prod 1 7)" "granted 7" "alpha gets a lease"
is "$(arbiters lockdisk "$disk" prod 2 7)" "denied 7 holder 1 epoch 7" "bravo does not"
is "$(arbiters lockdisk "$disk" prod 2 8)" "granted 8" "bravo gets the next"
is "$(arbiters lockdisk "$disk" prod 1 7)" "denied 7 holder 2 epoch 8" "and alpha's is over"
is "$(arbiters lockdisk "$disk" other 1 9 2>/dev/null)" \
	"unreachable 9 it belongs to cluster prod, not to other" "another cluster is refused"

# Both ask for the same epoch at once; one of them may be killed on its way
# and ask again.  Whoever is told "granted", nobody else may ever be.
both=0 none=0 kills=0
for epoch in $(seq 100 159); do
	for node in 1 2; do
		timeout 20 arbiters lockdisk "$disk" prod $node "$epoch" \
			>"$LAB/vote.$node" 2>/dev/null &
		pid[node]=$!
	done
	if [ $((epoch % 2)) = 0 ]; then
		lab_nap 0.00$((RANDOM % 10))
		# timeout passes it on only when it can be caught.
		pkill -KILL -P "${pid[1 + epoch / 2 % 2]}" && kills=$((kills + 1))
	fi
	wait "${pid[@]}" 2>/dev/null
	# Those that said nothing ask again.
	for node in 1 2; do
		[ -s "$LAB/vote.$node" ] || timeout 20 arbiters lockdisk \
			"$disk" prod $node "$epoch" >"$LAB/vote.$node"
	done
	case $(cat "$LAB/vote.1" "$LAB/vote.2" | grep -c ^granted) in
	0) none=$((none + 1)) ;;
	2) both=$((both + 1)) ;;
	esac
done 2>/dev/null
diag "60 races, $kills killed on their way"
is "$both" 0 "never both"
is "$none" 0 "always one"
at_most 1 "$kills" "some were killed"

printf x | dd of="$disk" bs=1 seek=$((4096 + 70)) conv=notrunc 2>/dev/null
is "$(arbiters lockdisk "$disk" prod 1 200 2>/dev/null)" "granted 200" \
	"one damaged copy is made good"
for at in $((4096 + 70)) $((18 * 4096 + 70)); do
	printf y | dd of="$disk" bs=1 seek=$at conv=notrunc 2>/dev/null
done
before=$(md5sum <"$disk")
is "$(arbiters lockdisk "$disk" prod 1 201 2>/dev/null)" \
	"unreachable 201 slot of node 1: checksum does not match" "two are not"
is "$(md5sum <"$disk")" "$before" "and nothing was written over them"
done_testing
