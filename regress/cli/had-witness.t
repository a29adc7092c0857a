#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The command line of had-witness.  BIN is where the binaries are.
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
W=$BIN/had-witness
conf=etc/witness/witness.conf
dir=$tmp/records
mkdir "$dir"

is "the version" 0 '^had-witness [0-9]' "$W" -V
is "the use" 0 '^usage: had-witness' "$W" -h
is "an unknown option shows the use" 64 '^usage: had-witness' "$W" -Z
is "so does an argument" 64 '^usage: had-witness' "$W" -n what
is "-n accepts the example" 0 '^configuration ok$' "$W" -n -d "$dir" -f $conf
is "a missing file is named" 78 'nowhere.conf: No such file' "$W" -n -f nowhere.conf
is "a directory is no file" 78 'etc: Is a directory' "$W" -n -f etc
printf 'listen here\ncluster x\n' >"$tmp/bad.conf"
is "a mistake has file and line" 78 'bad.conf:1: listen: got' "$W" -n -f "$tmp/bad.conf"
is "and stops the start" 78 'bad.conf:1: listen: got' "$W" -d "$dir" -f "$tmp/bad.conf"
head -c 300000 /dev/zero >"$tmp/long.conf"
is "a file that is too long is refused" 78 'more than 262144 bytes' "$W" -n -f "$tmp/long.conf"
is "no key, no start" 1 'key.pem: No such file' "$W" -d "$dir" -f $conf
is "-g makes a key" 0 '^sha256:[0-9a-f]{64}$' "$W" -g -d "$dir"
is "-g makes it once" 0 "^$("$W" -g -d "$dir")\$" "$W" -g -d "$dir"
is "-g where nothing can be written" 73 'No such file' "$W" -g -d "$dir/none"
chmod 640 "$dir/key.pem"
is "a key that others may read is refused" 1 'mode 0640' "$W" -d "$dir" -f $conf
chmod 600 "$dir/key.pem"
is "a directory that is not there is named" 69 'none: No such file' \
	"$W" -d "$dir/none" -k "$dir/key.pem" -f $conf
is "no such user" 1 "there is no user 'nobody-at-all'" "$W" -u nobody-at-all -d "$dir"
is "-s says that nobody has a lease" 0 '^shop: none$' "$W" -s -d "$dir" -f $conf
cp regress/fuzz/corpus/witness_file_fuzz/shop "$dir/shop.lease"
is "-s says who has it" 0 '^shop: node 2 has epoch 7$' "$W" -s -d "$dir" -f $conf
cp regress/fuzz/corpus/witness_file_fuzz/bank "$dir/shop.lease"
is "-s refuses a record of another cluster" 65 'belongs to another cluster' \
	"$W" -s -d "$dir" -f $conf
is "-n does, too" 65 'belongs to another cluster' "$W" -n -d "$dir" -f $conf
is "no cluster left, no start" 69 'no cluster that it could serve' \
	"$W" -d "$dir" -f $conf
echo "1..$n"
[ "$bad" -eq 0 ]
