#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# lab: timeout 400
# lab: long
# Both links are cut at once, both nodes take the other for dead, as "silent
# peer takeover" tells them to, and both write.  Afterwards nothing is thrown
# away until an operator says whose data are kept: once those of the node that
# went on, once those of the one that had to yield.
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"

# Half a MiB that can be told from all else, and a file that both have.
writes() { # node text
	# shellcheck disable=SC2016
	on "$1" bash -c 'cd /srv/orders && yes "$1" | head -c 524288 >"$2" &&
		echo "$1" >shared && sync -f .' - "$2" "by-$1"
}
# All files, by name and contents, as the service's node sees them.
files() { # node
	on "$1" sh -c 'cd /srv/orders && mountpoint -q . &&
		find . -type f | sort | xargs sha256sum' | sha256sum
}
# Of what was written, as it lies on a backing device: all of it, or nothing.
traces() { # node text
	local n
	n=$(grep -acF "$2" "$(disk_file "$1" orders)")
	if [ "$n" -gt 20000 ]; then echo all; else echo "$n"; fi
}
both_run() { service_on alpha && service_on bravo; }
# One runs it, the other does not, and both say which.
one_yields() {
	local all
	all=$(for node in alpha bravo; do
		status $node '.services[0].on + " " + .services[0].state'
	done | tr '\n' ' ')
	[ "$all" = "alpha running alpha stopped " ] ||
		[ "$all" = "bravo stopped bravo running " ]
}
split() {
	[ "$(status alpha '.volumes[0].connection')" = split-brain ] &&
		[ "$(status bravo '.volumes[0].connection')" = split-brain ]
}
secondary() { [ "$(status "$1" '.volumes[0].role')" = secondary ]; }
other() { [ "$1" = alpha ] && echo bravo || echo alpha; }
resync() { hactl "$1" volume resync orders --from "$2"; }
resync_says() { # node from text
	resync "$1" "$2" >"$LAB/log/said" 2>&1 && return 1
	grep -qF "$3" "$LAB/log/said"
}
status_says() {
	hactl "$1" status >"$LAB/log/$1.status"
	grep -q 'volume orders has diverged' "$LAB/log/$1.status" &&
		grep -qF 'hactl volume resync orders --from NODE' "$LAB/log/$1.status"
}

# Sets winner, loser, and what each has in its files.
make_split() { # what round
	pair_cut
	check "$1: both are active" wait_for 20 both_run
	writes alpha "$1: alpha wrote this"
	writes bravo "$1: bravo wrote this"
	alpha_files=$(files alpha) bravo_files=$(files bravo)
	refuse "$1: their files differ" test "$alpha_files" = "$bravo_files"
	pair_join
	check "$1: the conflict is found by both" wait_for 30 split
	check "$1: one of them yields" wait_for 30 one_yields
	winner=$(status alpha '.services[0].on')
	loser=$(other "$winner")
	check "$1: its copy is in use no more" wait_for 20 secondary "$loser"
	for node in alpha bravo; do
		check "$1: status of $node says so and names the command" \
			status_says $node
	done
}
untouched() { # what: neither copy has got anything of the other
	local node sum
	sum=$(data_sum "$loser")
	wait_for 3 false
	is "$(data_sum "$loser")" "$sum" "$1: nothing is written to the copy of the loser"
	for node in alpha bravo; do
		is "$(traces $node "$1: $node wrote this") $(traces $node \
			"$1: $(other $node) wrote this")" "all 0" \
			"$1: $node has what it wrote and nothing of the other"
	done
}
kept() { # what node
	local node
	for node in alpha bravo; do
		is "$(traces $node "$1: $2 wrote this") $(traces $node \
			"$1: $(other "$2") wrote this")" "all 0" \
			"$1: $node has what $2 wrote, and no more of the other"
	done
}

check "a pair with a mirrored volume" cluster_up 16 || bail "no cluster"
check "shop runs on alpha" wait_for 60 service_on alpha
check "in sync" whole
check "something is written that both have" writes alpha "from the beginning"
base=$(data_sum bravo)

refuse "a node that does not exist is refused" resync alpha charlie
check "by name" resync_says alpha charlie "no such node: 'charlie'"
check "a volume that does not exist is refused by name" eval \
	'! hactl alpha volume resync bills --from alpha >"$LAB/log/said" 2>&1 &&
	grep -q "bills" "$LAB/log/said"'
refuse "without --from it is refused" hactl alpha volume resync orders
check "the copy that is in use is never given up" \
	resync_says alpha bravo "this copy is in use: stop what runs on it first"
check "nor when the other node is asked to do it" \
	resync_says bravo bravo "the peer's copy is in use"
is "$(data_sum bravo)" "$base" "none of that has written anything"

make_split "first"
untouched "first"
check "the copy in use is not given up" \
	resync_says "$loser" "$loser" "the peer's copy is in use"
hactl "$loser" --dry-run volume resync orders --from "$winner" >"$LAB/log/plan"
check "the plan says what is lost" grep -q 'what only that one has is lost' "$LAB/log/plan"
check "and does nothing" split
winner_files=${winner}_files
check "the operator keeps the copy of the one that went on" resync "$loser" "$winner"
check "in sync again" wait_for 60 in_sync
check "shop runs where it ran" service_on "$winner"
is "$(files "$winner")" "${!winner_files}" "its files are as they were"
kept "first" "$winner"
forgive
check "shop moves to the one that lost" hactl "$loser" takeover shop
check "it runs there" wait_for 20 service_on "$loser"
is "$(files "$loser")" "${!winner_files}" "with the files of the winner"
check "in sync" wait_for 30 in_sync

make_split "second"
untouched "second"
loser_files=${loser}_files
check "its copy is in use: refused" resync_says "$winner" "$loser" "in use"
check "the service is stopped" hactl "$winner" stop -y shop
check "then the copy of the one that yielded is kept" wait_for 10 resync "$winner" "$loser"
check "in sync once more" wait_for 60 in_sync
check "the service is started" hactl "$loser" start shop
check "it runs on one node" wait_for 20 one_yields
is "$(files "$(status alpha '.services[0].on')")" "${!loser_files}" \
	"with the files of the one that yielded"
kept "second" "$loser"
check "the service is stopped on both" quiesce
check "both copies are equal" backing_equal
done_testing
