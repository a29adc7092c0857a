#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The command line of hactl, without a daemon.  BIN is where the binaries are.
set -u
BIN=${BIN:-build/release}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 bad=0
is() { # description expected-status pattern command...
	local what=$1 want=$2 pattern=$3 out rc
	shift 3
	n=$((n + 1))
	out=$("$@" 2>&1 </dev/null)
	rc=$?
	if [ "$rc" -eq "$want" ] && grep -qE -- "$pattern" <<<"$out"; then
		echo "ok $n - $what"
	else
		bad=$((bad + 1))
		echo "not ok $n - $what"
		printf '%s\n' "status $rc, expected $want and /$pattern/:" "$out" | sed 's/^/# /'
	fi
}
h="$BIN/hactl -r $tmp/run -s $tmp/state -f $tmp/had.conf"
mkdir "$tmp/run" "$tmp/state"

is "an unknown command is named" 64 "no such command 'dance'" $h dance
is "an ambiguous prefix lists what it could be" 64 "ambiguous command 'st'" $h st
is "a prefix that only one has works" 3 "had is not running" $h stat
is "help is on standard output" 0 "usage: hactl" $h --help
is "the version" 0 "hactl [0-9]" $h --version
is "no daemon: says so and what is missing" 3 "left no state" $h status
cp regress/cli/golden/status.json "$tmp/state/status.json"
is "no daemon: last state and its age" 3 "last state, .* old" $h
is "no daemon: the same as JSON, marked stale" 3 '"stale": true' $h --json
is "no daemon: other commands fail with the reason" 69 "had does not answer" $h links
is "options work behind the command" 3 '"age_s"' $h status --json
is "seed wants the peer's name typed" 64 "seed --peer-is-down NODE" $h seed
is "stop wants -y where nobody can be asked" 64 "down on both nodes; -y" $h stop shop
is "move wants a service and a node" 64 "move SERVICE NODE" $h move shop
is "start wants a service" 64 "start SERVICE" $h start
is "freeze takes one service or all" 64 "freeze \[SERVICE \| --all\]" $h freeze a b
is "thaw: an unknown option is refused" 64 "thaw \[SERVICE \| --all\]" $h thaw --some
is "a prefix of freeze" 69 "had does not answer" $h fr
is "a prefix of thaw with --all" 69 "had does not answer" $h th --all
is "stop with -y anywhere" 69 "had does not answer" $h stop -y shop
is "sto is stop, stat is status" 69 "had does not answer" $h -y sto shop
is "t is takeover or thaw" 64 "ambiguous command 't'" $h t
is "fence wants a verb and a node" 64 "fence test\|confirm NODE" $h fence test
is "fence: an unknown verb" 64 "fence test\|confirm NODE" $h fence kill bravo
is "fence confirm wants the name again" 64 "not confirmed" sh -c "echo no | $h fence confirm bravo"
is "fence confirm, typed" 69 "had does not answer" sh -c "echo bravo | $h fence confirm bravo"
sed "s#^cluster .*#&\n\tlock disk \"$tmp/disk\"#" regress/conf/good/witness.conf >"$tmp/disk.conf"
is "lockdisk: one that is not configured" 64 "no lock disk of" $h -f "$tmp/disk.conf" lockdisk create "$tmp/other"
is "lockdisk: what would happen" 0 "becomes a lock disk of cluster" $h -f "$tmp/disk.conf" --dry-run lockdisk create "$tmp/disk"
is "lockdisk: the dry run made nothing" 1 "" test -e "$tmp/disk"
is "lockdisk: created" 0 "a lock disk of cluster" $h -f "$tmp/disk.conf" lockdisk create "$tmp/disk"
is "lockdisk: its leases are not lost by mistake" 73 "-y does it nevertheless" $h -f "$tmp/disk.conf" lockdisk create "$tmp/disk"
is "lockdisk: -y" 0 "a lock disk of cluster" $h -f "$tmp/disk.conf" -y lockdisk create "$tmp/disk"
is "standby wants a node" 64 "standby .*NODE" $h standby
is "events: a bad time is refused" 64 "events \[--since" $h events --since soon
is "volume: wrong use shows the use" 64 "volume create" $h volume create
is "volume: no configuration is named" 78 "had.conf" $h volume create x
is "keygen prints the line for the configuration" 0 'key "SHA256:[0-9a-f]{64}"|key "sha256:[0-9a-f]{64}"' \
	$h keygen "$tmp/key.pem"
is "keygen never overwrites" 73 "exists" $h keygen "$tmp/key.pem"
is "the key is for root's eyes only" 0 "^600$" stat -c %a "$tmp/key.pem"
is "keygen as JSON" 0 '"key": "' $h --json keygen "$tmp/key2.pem"
echo "1..$n"
[ "$bad" -eq 0 ]
