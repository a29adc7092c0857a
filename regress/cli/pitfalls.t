#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# regress/lab/PITFALLS is true: thirteen of them, each with code that is there
# and with tests that are there by that name.
set -u
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 bad=0

# One line for each thing that is wrong with a list; none if it is right.
wrong() { # file
	local word rest file name at=0 codes=1 tests=1 text
	while IFS= read -r text; do
		case $text in
		'#'* | '' | '   '*) continue ;;
		[0-9]*)
			[ "$codes" -gt 0 ] || echo "$at: no code"
			[ "$tests" -gt 0 ] || echo "$at: no test"
			[ "${text%% *}" -eq $((at + 1)) ] || echo "${text%% *}: after $at"
			at=${text%% *} codes=0 tests=0
			continue
			;;
		esac
		IFS=$'\t' read -r word rest <<<"$text"
		file=${rest%% *} name=${rest#* }
		if [ ! -f "$file" ] || [ -z "$name" ]; then
			echo "$at: no file $file"
			continue
		fi
		case $word:$file in
		code:*.c)
			codes=$((codes + 1))
			grep -q "^$name(" "$file" || echo "$at: $file has no $name"
			;;
		test:*_test.c)
			tests=$((tests + 1))
			grep -qE "(T|cmocka_unit_test)\($name\)," "$file" ||
				echo "$at: $file has no test $name"
			;;
		test:*.t)
			tests=$((tests + 1))
			grep -E '^[^#]' "$file" | grep -qF "\"$name\"" ||
				echo "$at: $file has no test '$name'"
			;;
		*) echo "$at: '$text'?" ;;
		esac
	done <"$1"
	[ "$codes" -gt 0 ] && [ "$tests" -gt 0 ] || echo "$at: no code, or no test"
	[ "$at" -eq 13 ] || echo "$at of 13"
}
is() { # description pattern sed-script: what is said of a list so changed
	local out
	n=$((n + 1))
	sed -E "$3" regress/lab/PITFALLS >"$tmp/list"
	out=$(wrong "$tmp/list" 2>&1)
	if [[ $out =~ ^$2$ ]]; then
		echo "ok $n - $1"
	else
		bad=$((bad + 1))
		echo "not ok $n - $1"
		printf '%s\n' "expected /^$2\$/:" "$out" | sed 's/^/# /'
	fi
}

is "each pitfall has its code and its tests" "" ""
is "a test of a program that is not there is found" \
	".*has no test a_message_in_pieces" 's/a_message_in_parts_is_one/a_message_in_pieces/'
is "a test of a script that is not there is found" \
	".*has no test 'and written'" 's/\.t and not written/.t and written/'
is "code that is not there is found" ".*has no tp_close" 's/ tp_reopen$/ tp_close/'
is "a file that is not there is found" "(.*no file sctp/recv.c.*)+" 's,sctp/assoc_io.c,sctp/recv.c,'
is "a pitfall without a test is found" "6: no test" '/^6 /,/^7 /{/^	test/d}'
is "a missing one is found" "(.*)12 of 13" "/^13 /,\$d"
echo "1..$n"
[ "$bad" -eq 0 ]
