#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The command line of had.  BIN is where the binaries are.
set -u
BIN=${BIN:-build/release}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 bad=0
is() { # description expected-status pattern command...
	local what=$1 want=$2 pattern=$3 out rc
	shift 3
	n=$((n + 1))
	out=$(timeout 20 "$@" 2>&1 </dev/null)
	rc=$?
	if [ "$rc" -eq "$want" ] && grep -qE -- "$pattern" <<<"$out"; then
		echo "ok $n - $what"
	else
		bad=$((bad + 1))
		echo "not ok $n - $what"
		printf '%s\n' "status $rc, expected $want and /$pattern/:" "$out" | sed 's/^/# /'
	fi
}
run="-r $tmp/run -s $tmp/state -k $tmp/key.pem"

for f in etc/*.conf; do
	is "had -n accepts $f" 0 "configuration ok" "$BIN/had" -n -f "$f"
done
is "had -n prints the timers and their proof" 0 "lease" "$BIN/had" -n -f etc/had.conf
is "a missing file is named" 78 "nowhere.conf: No such file" "$BIN/had" -n -f nowhere.conf
printf 'cluster x {\n\tdead 5\n}\n' >"$tmp/bad.conf"
is "an error has file, line and column" 78 "bad.conf:2:[0-9]+: got" "$BIN/had" -n -f "$tmp/bad.conf"
is "an unknown option shows the use" 64 "usage: had" "$BIN/had" -Z
is "the version" 0 "had [0-9]" "$BIN/had" -V
is "a machine that is no node of the file is told so" 69 "no node has a link address" \
	"$BIN/had" -d -f etc/had.conf $run
head -c 96 /dev/urandom >"$tmp/state/state" 2>/dev/null || {
	mkdir -p "$tmp/state"
	head -c 96 /dev/urandom >"$tmp/state/state"
}
is "a corrupt state file stops the start" 69 "state" "$BIN/had" -d -N alpha -f etc/had.conf $run
rm -f "$tmp/state/state"
echo "1..$n"
[ "$bad" -eq 0 ]
