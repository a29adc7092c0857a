#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What a lab script that fails leaves behind, and that one which tests nothing
# or ends before its plan does not pass.  Natively, in namespaces.
set -u
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp" build/lab/logs/z-cli-*' EXIT
n=0 bad=0
is() { # description expected-status pattern script
	local rc
	n=$((n + 1))
	printf '#!/bin/bash\n. "$LAB_ROOT/regress/lab/lib.sh"\n%s\n' "$4" >"$tmp/z-cli-$n.t"
	chmod +x "$tmp/z-cli-$n.t"
	timeout 90 regress/lab/run -m native "$tmp/z-cli-$n.t" >"$tmp/out" 2>&1
	rc=$?
	if [ "$rc" -eq "$2" ] && grep -qE -- "$3" "$tmp/out"; then
		echo "ok $n - $1"
	else
		bad=$((bad + 1))
		echo "not ok $n - $1"
		{
			echo "status $rc, expected $2 and /$3/:"
			cat "$tmp/out"
		} | sed 's/^/# /'
	fi
}
kept() { # description file...
	local what=$1 f
	shift
	n=$((n + 1))
	for f; do
		[ -s "$f" ] && continue
		bad=$((bad + 1))
		echo "not ok $n - $what"
		echo "# $f is not there"
		return
	done
	echo "ok $n - $what"
}

is "a script that passes" 0 '^ok 1 - z-cli-1: well' 'check well true
done_testing'
is "one that fails: status, and where its logs are" 1 '^# all logs: build/lab/logs/z-cli-2' \
	'nodes_up alpha bravo
node_spawn alpha talk sh -c "echo alpha was here; exec sleep 60"
node_spawn bravo talk sh -c "echo bravo was here; exec sleep 60"
check "wrong" false
done_testing'
kept "the logs of both nodes are kept" build/lab/logs/z-cli-2/alpha.talk.log \
	build/lab/logs/z-cli-2/bravo.talk.log
is "one that tests nothing has failed" 1 'not ok .*tested something' 'true'
is "one that ends before its plan has failed" 1 'not ok ' 'check well true
exit 0'

printf '#!/bin/bash\n. "$LAB_ROOT/regress/lab/lib.sh"\nok here\nexec sleep 77777\n' >"$tmp/z-cli-end.t"
chmod +x "$tmp/z-cli-end.t"
timeout 60 regress/lab/run -m native "$tmp/z-cli-end.t" >"$tmp/out" 2>&1 &
pid=$!
for ((i = 0; i < 100; i++)); do
	grep -q '^ok 1' "$tmp/out" && break
	sleep 0.1
done
here=$(pgrep -cf 'sleep 77777')
kill -TERM $pid
wait $pid 2>/dev/null
for ((i = 0; i < 100; i++)); do
	pgrep -f 'sleep 77777' >/dev/null || break
	sleep 0.1
done
n=$((n + 1))
if [ "$here" -ge 1 ] && ! pgrep -f 'sleep 77777' >/dev/null; then
	echo "ok $n - a run that is ended takes its world along"
else
	bad=$((bad + 1))
	echo "not ok $n - a run that is ended takes its world along"
fi
echo "1..$n"
[ "$bad" -eq 0 ]
