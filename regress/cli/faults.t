#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# hactl faults at the command line.  BIN is where the binaries are.
set -u
BIN=${BIN:-build/release}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 bad=0
is() { # description expected-status pattern command...
	local what=$1 want=$2 pattern=$3 out rc
	shift 3
	n=$((n + 1))
	out=$(timeout 60 "$@" 2>&1 </dev/null)
	rc=$?
	if [ "$rc" -eq "$want" ] && grep -qE -- "$pattern" <<<"$out"; then
		echo "ok $n - $what"
	else
		bad=$((bad + 1))
		echo "not ok $n - $what"
		printf '%s\n' "status $rc, expected $want and /$pattern/:" "$out" | sed 's/^/# /'
	fi
}
h=$BIN/hactl
golden=regress/cli/golden

is "one fault each, and their sum" 1 '^16 single faults: .* 0 risk data$' \
	$h -f $golden/faults_takeover.conf faults --single
is "the worst one in words" 1 '^worst single fault: .*WAITS FOR YOU' \
	$h -f $golden/faults_takeover.conf faults --single
is "a service that no fault stops for good" 0 'gate: to alpha|moves in' \
	$h -f etc/fence.conf faults --single
is "two at once" 1 'double faults at once: ' $h -f $golden/faults_wait.conf faults --at-once
is "--all also tells what needs nobody" 1 '^had dies on south .*  continues' \
	$h -f $golden/faults_wait.conf faults --at-once --all
is "one service" 1 '^cluster shop: gate runs on bravo;' \
	$h -f $golden/faults_takeover.conf faults --single --service gate
is "no such service" 64 'no service is called nosuch' \
	$h -f $golden/faults_takeover.conf faults --service nosuch
is "both modes are too much" 64 'faults \[--single \| --at-once\]' \
	$h -f $golden/faults_takeover.conf faults --single --at-once
is "an unknown option" 64 'faults \[--single' $h -f $golden/faults_takeover.conf faults --some
is "--service wants a name" 64 'faults \[--single' $h -f $golden/faults_takeover.conf faults --service
is "no configuration is named" 78 'nowhere.conf: No such file' $h -f "$tmp/nowhere.conf" faults
is "no service" 0 'no service is configured' $h -f etc/lockspace.conf faults
is "one node" 1 'one node: nobody takes over' $h -f regress/conf/good/alone.conf faults
is "one node as JSON" 1 '"note": "one node' $h -f regress/conf/good/alone.conf --json faults
$h -f $golden/faults_wait.conf --json faults >"$tmp/all.json"
is "JSON has every kind of run" 0 '^14 170 79 6$' jq -r \
	'"\(.single | length) \(.double | length) \(.at_once | length) \(.summary.single.wait)"' "$tmp/all.json"
is "JSON: a command that was tried" 0 '^south$' jq -r \
	'.single[] | select(.fault == "north crashes") | .type_on' "$tmp/all.json"
is "a prefix" 1 'ONE FAULT' $h -f $golden/faults_wait.conf fau --single
echo "1..$n"
[ "$bad" -eq 0 ]
