#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Licences: LICENSE is the text of BSD-2-Clause, every source says so, and
# README.md names each library that is linked, with the licence that Debian's
# package has it under, and no other.  BIN is where the binaries are.
set -u
PATH=$PATH:/usr/sbin:/sbin
BIN=${BIN:-build/release}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 bad=0
result() { # status description [why...]
	local rc=$1 what=$2
	shift 2
	n=$((n + 1))
	if [ "$rc" -eq 0 ]; then
		echo "ok $n - $what"
	else
		bad=$((bad + 1))
		echo "not ok $n - $what"
		[ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/# /'
	fi
}
is() { # got wanted description
	[ "$1" = "$2" ]
	result $? "$3" "got:    $1" "wanted: $2"
}

# The text without title, holders and line breaks, as SPDX matches it.
is "$(sed '1,/^Copyright/d' LICENSE | tr -s '[:space:]' ' ' | sha256sum | cut -c 1-16)" \
	9403c57220e06673 "LICENSE is the text of BSD-2-Clause"
is "$(head -n 1 LICENSE)" "BSD 2-Clause License" "and says so"
grep -qE '^Copyright \(c\) 20[0-9]{2}' LICENSE
result $? "and whose it is"

# Every source, whatever it is written in.
git ls-files 2>/dev/null >"$tmp/files"
[ -s "$tmp/files" ] || find . -type f -not -path './build/*' -not -path './.git/*' |
	sed 's,^\./,,' >"$tmp/files"
grep -E '\.([chtS]|sh|[1-8]|map|service|conf|jq|awk|py)$|^Makefile$|^rc/deps$' "$tmp/files" |
	grep -vE 'golden/|corpus/|regress/conf/' |
	while read -r f; do
		[ -f "$f" ] || continue
		head -n 5 "$f" | grep -q 'SPDX-License-Identifier: BSD-2-Clause' || echo "$f"
	done >"$tmp/without"
is "$(xargs <"$tmp/without")" "" "every source has its SPDX line"
[ "$(grep -c '\.c$' "$tmp/files")" -gt 100 ]
result $? "all sources were looked at"

# What README.md says: "NAME (LICENCE)" in its paragraph on dependencies.
sed -n '/^## Dependencies/,$p' README.md | grep -oE '[A-Za-z0-9]+( 3)? \([^)]*\)' |
	sed -E 's/ 3 \(/ (/; s/ \(/\t/; s/\)$//' | grep -E '	.*(GPL|BSD|MIT|Apache)' |
	sort -u >"$tmp/readme"
name_of() { # of a library's file
	case $1 in
	libc.*) echo glibc ;;
	libssl.* | libcrypto.*) echo OpenSSL ;;
	libjansson.*) echo jansson ;;
	libxxhash.*) echo xxHash ;;
	*) echo "${1%%.*}" ;;
	esac
}
for f in had hactl had-witness libhalock.so; do
	readelf -dW "$BIN/$f" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
done | sort -u >"$tmp/needed"
[ "$(wc -l <"$tmp/needed")" -ge 10 ]
result $? "the binaries say what they are linked with"
while read -r lib; do
	name=$(name_of "$lib")
	echo "$name" >>"$tmp/linked"
	licence=$(awk -F '\t' -v n="$name" '$1 == n { print $2 }' "$tmp/readme")
	[ -n "$licence" ]
	result $? "README.md names $name ($lib) with a licence: ${licence:-none}"
	# Debian calls MIT's licence Expat.
	file=$(ldconfig -p | awk -v l="$lib" '$1 == l { print $NF; exit }')
	package=$(dpkg -S "*/${file##*/}" 2>/dev/null | grep -v -- -dev | head -n 1 | cut -d: -f1)
	wanted=${licence%% or *}
	wanted=${wanted/MIT/Expat} wanted=${wanted%+}
	grep -qiF -- "$wanted" "/usr/share/doc/$package/copyright" ||
		{ [ "$name" = glibc ] && grep -qi 'version 2.1 of the License, or' \
			"/usr/share/doc/$package/copyright"; }
	result $? "and $package is under it"
done <"$tmp/needed"
is "$(cut -f 1 "$tmp/readme" | grep -vxFf "$tmp/linked" | xargs)" "" \
	"README.md names no library that is not linked"
# The Makefile asks for nothing that no binary needs.
sed -n '/^LIBS :=/,/[^\\]$/p' Makefile | grep -oE -- '-l[a-z]+' | sed 's/^-l/lib/' |
	while read -r l; do
		case $l in libpthread) continue ;; esac
		grep -qE "^$l\.so" "$tmp/needed" || echo "$l"
	done >"$tmp/unused"
is "$(xargs <"$tmp/unused")" "" "every library of the Makefile is linked"
echo "1..$n"
[ "$bad" -eq 0 ]
