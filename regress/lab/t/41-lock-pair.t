#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Locks across two real nodes: queues, conversion, the value block, blocking
# notices, cancellation, and what a node's death does to those who wait and to
# those who hold.
# lab: timeout 240
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
dir=$LAB/lock
mkdir "$dir"

# A client on a node; it holds at most one lock.  Names decide which node is
# the master: with several of them both are.
locker() { # ID NODE NAME
	mkfifo "$dir/$1.in"
	on "$2" locker default "$3" <>"$dir/$1.in" >>"$dir/$1.out" 2>&1 &
	wait_for 10 grep -q open "$dir/$1.out"
}
tell() { # ID WORD...
	local id=$1
	shift
	: >"$dir/$id.out"
	echo "$*" >"$dir/$id.in"
}
says() { # ID LINE
	wait_for 10 grep -qx "$2 *" "$dir/$1.out"
}
got() { tr '\n' ';' <"$dir/$1.out"; }
heard() { # NAME ID LINE
	if says "$2" "$3"; then ok "$1"; else not_ok "$1" "said: $(got "$2")"; fi
}
state_is() { [ "$(hactl "$1" status --json | jq -r '.nodes[0].state')" = "$2" ]; }

nodes_up
conf_write <<-END
	lockspace default {
	}
END
check "both start" eval 'had_start alpha && had_start bravo'
check "paired" wait_for 20 state_is alpha paired
check "paired" wait_for 20 state_is bravo paired

# The same story with enough names that each node is the master of some.
story() { # NAME
	local n=$1
	locker a-$n alpha $n
	locker b-$n bravo $n
	tell a-$n lock EX
	heard "$n: EX on alpha" a-$n 'granted EX'
	tell b-$n lock PR noqueue
	heard "$n: NOQUEUE on bravo is refused" b-$n 'failed EAGAIN'
	: >"$dir/a-$n.out"
	tell b-$n lock PR
	heard "$n: without it bravo waits" b-$n queued
	heard "$n: alpha is told whom it blocks" a-$n 'blocking PR'
	refuse "$n: bravo has nothing yet" grep -q granted "$dir/b-$n.out"
	tell a-$n convert PR from-alpha
	heard "$n: alpha converts down" a-$n 'granted PR'
	heard "$n: bravo shares it, and reads alpha's value" b-$n \
		'granted PR from-alpha'
	tell b-$n convert EX
	heard "$n: bravo's conversion waits for alpha" b-$n queued
	tell b-$n cancel
	heard "$n: cancelled: bravo keeps what it had" b-$n 'failed ECANCELED'
	tell b-$n convert NL
	heard "$n: bravo converts to NL" b-$n 'granted NL.*'
	tell a-$n convert EX
	heard "$n: alpha converts up" a-$n 'granted EX.*'
	tell a-$n unlock last
	heard "$n: alpha lets go" a-$n unlocked
	tell b-$n convert PW
	heard "$n: bravo reads what alpha left" b-$n 'granted PW last'
}
for n in one two three four; do story $n; done
masters=$(for n in alpha bravo; do hactl $n locks --json |
	jq -r '[.locks[].master] | unique | join(" ")'; done | tr ' ' '\n' | sort -u | xargs)
diag "masters: $masters"

# A holder's node dies: its locks are free, but a value that it may have
# changed is not valid, and waiters get theirs in turn.
for n in one two three four; do
	tell b-$n unlock
	says b-$n unlocked
	tell b-$n lock EX
	says b-$n 'granted EX.*' || not_ok "$n: EX on bravo" "$(got b-$n)"
	tell a-$n lock EX
	says a-$n queued || not_ok "$n: alpha waits" "$(got a-$n)"
done
on bravo hactl lock -w 5 job -- sh -c 'trap "echo asked" TERM; sleep 60 & wait' \
	>"$dir/job" 2>&1 &
job=$!
lock_seen() { hactl bravo locks --json | jq -e '.locks[] | select(.name == "job")' >/dev/null; }
check "a command under a lock on bravo" wait_for 10 lock_seen
t=$(now_ms)
had_kill bravo
for n in one two three four; do
	heard "bravo's daemon dead: $n is alpha's" a-$n 'granted EX.*'
	heard "bravo's daemon dead: its client of $n is told" b-$n gone
done
diag "all granted after $(($(now_ms) - t)) ms"
wait $job
is "$?" 74 "bravo's hactl lock says that it lost"
had_start bravo
check "bravo is back" wait_for 20 state_is bravo paired
locker c bravo one
tell c lock PR
heard "bravo waits for alpha's lock, as before" c queued
heard "alpha is told" a-one 'blocking PR'

# A node that is cut off loses its locks before others get them.
on alpha hactl lock cut -- sleep 60 >"$dir/cut" 2>&1 &
cut=$!
cut_seen() { hactl alpha locks --json | jq -e '.locks[] | select(.name == "cut")' >/dev/null; }
check "a command under a lock on alpha" wait_for 10 cut_seen
on bravo hactl lock cut -- sh -c 'cut -d" " -f1 /proc/uptime' >"$dir/next" 2>&1 &
next=$!
node_vanish -c alpha
wait $cut
is "$?" 74 "isolated: the command on alpha is ended"
lost=$(busybox cut -d' ' -f1 /proc/uptime)
check "isolated: then bravo's runs" wait $next
check "and not before ($lost, $(<"$dir/next"))" awk -v a="$lost" \
	-v b="$(<"$dir/next")" 'BEGIN { exit !(b + 0.5 > a) }'
node_return alpha
check "alpha is back" wait_for 30 state_is alpha paired
done_testing
