#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# had --import keepalived: what it prints had -n accepts, what it tells names
# file and line.  BIN is where the binaries are.
set -u
BIN=${BIN:-build/release}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 bad=0
tap() { # status description
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		bad=$((bad + 1))
		echo "not ok $n - $2"
		sed 's/^/# /' "$tmp/out" "$tmp/err" 2>/dev/null
	fi
}
import() { # file; its status
	timeout 20 "$BIN/had" --import keepalived "$1" >"$tmp/out" 2>"$tmp/err"
}

for f in regress/conf/import/*.conf; do
	name=$(basename "$f" .conf)
	import "$f"
	rc=$?
	if [ -s "${f%.conf}.out" ]; then
		[ $rc -eq 0 ] && cmp -s "$tmp/out" "${f%.conf}.out"
		tap $? "$name is converted as expected"
		timeout 20 "$BIN/had" -n -f "$tmp/out" >"$tmp/n" 2>&1 &&
			grep -q "configuration ok" "$tmp/n"
		tap $? "$name: had -n accepts what comes of it"
	else
		[ $rc -eq 65 ] && [ ! -s "$tmp/out" ] &&
			tail -n 1 "$tmp/err" | grep -q 'not converted$'
		tap $? "$name is not converted, which is said"
	fi
	! grep -vE "^$f:[0-9]+: [^:]+: .|: not converted\$" "$tmp/err" |
		grep -v "^$f:[0-9]*: " | grep -q .
	tap $? "$name: each line names the file, the line and the keyword"
done

import "$tmp/nowhere.conf"
[ $? -ne 0 ] && grep -q "nowhere.conf: No such file" "$tmp/err"
tap $? "a missing file is named"
timeout 20 "$BIN/had" --import ucarp "$f" >"$tmp/out" 2>"$tmp/err"
[ $? -eq 64 ] && grep -q "had --import keepalived file" "$tmp/err"
tap $? "another program is refused with the use"
timeout 20 "$BIN/had" --import keepalived >"$tmp/out" 2>"$tmp/err"
[ $? -eq 64 ]
tap $? "no file is refused"
timeout 20 "$BIN/had" --import keepalived regress/conf/import/plain.conf \
	>/dev/full 2>"$tmp/err"
[ $? -ne 0 ] && grep -q "standard output" "$tmp/err"
tap $? "output that cannot be written is an error"
echo "1..$n"
[ "$bad" -eq 0 ]
