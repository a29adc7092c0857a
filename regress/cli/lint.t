#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The rules of lint find what they are for: a small tree with one offence of
# each kind, and with none.
set -u
root=$PWD
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 bad=0
said() { # description status pattern rule...
	local what=$1 want=$2 pattern=$3 out rc
	shift 3
	n=$((n + 1))
	out=$(cd "$tmp" && CODEC='' CORE=src/svc_x.c NODE='' DRIVER='' HAD='' \
		HACTL='' HALOCK='' SIM='' PURE=src/svc_x.c FAULTS='' O=o \
		regress/lint/run "$@" 2>&1)
	rc=$?
	if [ "$rc" -eq "$want" ] && grep -qE -- "$pattern" <<<"$out"; then
		echo "ok $n - $what"
	else
		bad=$((bad + 1))
		echo "not ok $n - $what"
		printf '%s\n' "status $rc, expected $want and /$pattern/:" "$out" | sed 's/^/# /'
	fi
}
file() { # text: the one source file of the tree, compiled
	printf '/* SPDX-License-Identifier: BSD-2-Clause */\n%s\n' "$1" >"$tmp/src/svc_x.c"
	gcc -c -w -I"$root/src" -o "$tmp/o/src/svc_x.o" "$tmp/src/svc_x.c" || exit 1
}

mkdir -p "$tmp/src" "$tmp/o/src" "$tmp/regress"
cp -r "$root/regress/lint" "$tmp/regress/"
cp "$root/src/had.h" "$tmp/src/"
git -C "$tmp" init -q
echo o/ >"$tmp/.gitignore"
file 'int svc_x(void); int svc_x(void) { return 0; }'
git -C "$tmp" add src
said "nothing to say" 0 "^ok 4 - lint: spdx" layers pure length spdx
file '#include "member.h"'
said "a core that includes another core" 1 "^# src/svc_x.c.*member.h" layers
file '#include "loop.h"'
said "a core that includes a driver's header" 1 "^# src/svc_x.c.*loop.h" layers
file 'long time(long *); long svc_x(void) { return time(0); }'
said "a core that asks for the time" 1 "^# src/svc_x.c: asks the world for time" pure
file 'int svc_count; int svc_x(void) { return ++svc_count; }'
said "a core with a global" 1 "^# src/svc_x.c: has writable data: svc_count" pure
file "int
svc_x(void)
{
$(for ((i = 0; i < 71; i++)); do echo "	(void)$i;"; done)
}"
said "a function of 71 lines" 1 "^# src/svc_x.c:4: function of 71 lines" length
file 'int svc_x;'
sed -i 1d "$tmp/src/svc_x.c"
said "a file without its licence" 1 "^# src/svc_x.c" spdx
echo "1..$n"
[ "$bad" -eq 0 ]
